package simulated

import (
	"encoding/json"
	"slices"
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

// Env are the variables of a project for one target, by key: what nobody can read through
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
		if slices.Contains(e.Target, target) {
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
			d.Polls = 0 // looks are no change
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

// Projects are the names of all projects, oldest first.
func (v *Vercel) Projects() (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, x := range v.is.Projects.All() {
		out = append(out, x.Name)
	}
	return out
}
