package simulated

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Names are the projects' names.
func (v *Vercel) Names() (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.is.Projects.All() {
		out = append(out, p.Name)
	}
	return out
}

// Edit lets a person change a variable of a project by hand, or add it; target nil removes it.
// by is the integration that did it; "": a person. It says whether the project is there.
func (v *Vercel) Edit(idOrName, key, value, kind, by string, target ...string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return false
	}
	env := slices.DeleteFunc(slices.Clone(x.Env), func(e variable) bool { return e.Key == key && (len(target) == 0 || overlaps(e.Target, target)) })
	if len(target) > 0 {
		now := v.stamp()
		env = append(env, variable{ID: v.is.IDs.Hex(16), Key: key, Value: value, Type: kind, Target: target, Integration: by, Created: now, Updated: now})
	}
	x.Env = env
	v.put(x)
	return true
}

// Assign lets a person turn the automatic assignment of host names on or off. It says whether
// the project is there.
func (v *Vercel) Assign(idOrName string, on bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return false
	}
	x.AutoAssign = on
	v.put(x)
	return true
}

// Protect lets a person turn Vercel Authentication on, as it is on for each project that is made in the dashboard, or off. It
// says whether the project is there.
func (v *Vercel) Protect(idOrName string, on bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return false
	}
	x.Protected = on
	v.put(x)
	return true
}

// Transfer lets a person begin to give a project to another team, or end that. It says whether
// the project is there.
func (v *Vercel) Transfer(idOrName string, on bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return false
	}
	x.Transferred = on
	v.put(x)
	return true
}

// Expire lets the retention of a project take away what does not serve, as it does with deployments that are old enough
// (vercel.com/docs/deployment-retention). They are remembered. It says how many went.
func (v *Vercel) Expire(idOrName string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, no := v.find(idOrName)
	if no != nil {
		return 0
	}
	for _, d := range v.is.Deployments.All() {
		if d.Project == x.ID && d.ID != x.Production && d.Expired == 0 {
			d.Expired = v.stamp()
			v.is.Deployments.Put(d.ID, d)
			n++
		}
	}
	return n
}

// Bar lets Vercel block a project's builds, as it does where who made a commit is no member of the team, or let them go, those
// that wait, too.
func (v *Vercel) Bar(idOrName string, on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return
	}
	x.Barred = on
	v.put(x)
	for _, d := range v.is.Deployments.All() {
		if d.Project == x.ID && d.State == blocked && !on {
			d.State, d.Begun = "BUILDING", v.o.Now().UnixMilli()
			v.is.Deployments.Put(d.ID, d)
		}
	}
}

// GiveAway lets a person give a host name to an environment of the project's own; "": to production.
func (v *Vercel) GiveAway(host, environment string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if d, ok := v.is.Domains.Get(host); ok {
		d.Environment, d.Updated = environment, v.stamp()
		v.is.Domains.Put(host, d)
	}
}

// Push lets a person push to the main branch of a project's repository, which Vercel builds for production; why says why that
// fails; "": it does not.
func (v *Vercel) Push(idOrName, why string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return
	}
	now := v.o.Now().UnixMilli()
	d := deployment{ID: "dpl_" + v.is.IDs.Hex(28), Project: x.ID, Name: x.Name, Target: "production", State: "BUILDING", Error: why, Begun: now, Created: v.stamp(), AutoAssign: x.AutoAssign,
		Env: map[string]string{}, Files: map[string]string{}, URL: x.Name + "-" + v.is.IDs.Hex(9) + "-agency.vercel.app"}
	v.is.Deployments.Put(d.ID, d)
}

// Block lets Vercel wait for a payment of the account, or have it.
func (v *Vercel) Block(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.is.Blocked = on
}

// Env are the variables of a project for one target, or one environment of its own, by key: what nobody can read through
// the API, too.
func (v *Vercel) Env(idOrName, target string) map[string]string {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return nil
	}
	out := map[string]string{}
	for _, e := range x.Env {
		if slices.Contains(e.Target, target) || slices.Contains(e.Custom, target) {
			out[e.Key] = e.Value
		}
	}
	return out
}

// Snapshot is all of one project as text: equal texts mean that nothing of it changed.
func (v *Vercel) Snapshot(idOrName string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return ""
	}
	all := []any{x}
	for _, d := range v.is.Deployments.All() {
		if d.Project == x.ID {
			d.Polls, d.Written, d.Usual, d.Closed = 0, nil, 0, false // looks are no change
			all = append(all, d)
		}
	}
	for _, d := range v.is.Domains.All() {
		if d.Project == x.ID {
			all = append(all, d)
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// Refresh lets a person press Refresh at a host name: Vercel looks for its TXT record. It says
// whether the name is verified then.
func (v *Vercel) Refresh(host string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	d, ok := v.is.Domains.Get(host)
	if ok && slices.Contains(v.is.TXT["_vercel."+apex(host)], d.challenge()) {
		d.Verified, d.Updated = true, v.stamp()
		v.is.Domains.Put(host, d)
	}
	return d.Verified
}

// Seed makes a project as a person does: linked to a repository, with variables for
// production, host names of which the first is its own and the others redirect there, and a
// deployment that serves since an hour. It returns the project's id.
func (v *Vercel) Seed(name, repository string, hosts []string, env map[string]string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	x := project{ID: "prj_" + v.is.IDs.Hex(28), Name: name, Node: "22.x", Created: v.stamp(), AutoAssign: true, Link: &link{"github", repository}}
	for _, key := range slices.Sorted(maps.Keys(env)) {
		now := v.stamp()
		x.Env = append(x.Env, variable{ID: v.is.IDs.Hex(16), Key: key, Value: env[key], Type: "encrypted", Target: []string{"production"}, Created: now, Updated: now})
	}
	for n, host := range hosts {
		now := v.stamp()
		d := hostOf{Name: host, Project: x.ID, Verified: true, Token: v.is.IDs.Hex(20), Created: now, Updated: now}
		if n > 0 {
			d.Redirect, d.Status = hosts[0], 308
		}
		v.is.Domains.Put(host, d)
	}
	since := v.o.Now().Add(-time.Hour).UnixMilli()
	d := deployment{ID: "dpl_" + v.is.IDs.Hex(28), Project: x.ID, Name: name, Target: "production", State: "READY", Substate: "PROMOTED", Begun: since, Created: v.stamp(), Ready: since,
		AutoAssign: true, Env: maps.Clone(env), Files: map[string]string{}, URL: name + "-" + v.is.IDs.Hex(9) + "-agency.vercel.app"}
	v.is.Deployments.Put(d.ID, d)
	x.Production = d.ID
	v.put(x)
	return x.ID
}

// Projects are the names of all projects, oldest first.
func (v *Vercel) Projects() (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, x := range v.is.Projects.All() {
		out = append(out, x.Name)
	}
	return out
}
