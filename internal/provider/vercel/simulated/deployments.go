package simulated

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// blocked is the state of a build that a person has to let go.
const blocked = "BLOCKED"

// deployment is one, as it is kept.
type deployment struct {
	ID, Project, Name, URL string
	Target                 string
	State, Substate        string
	Error                  string
	Begun, Created, Ready  int64
	Polls                  int
	AutoAssign             bool
	Meta                   map[string]string
	Env                    map[string]string
	Files                  map[string]string
	Git                    map[string]any
	Written                []line // of its log
	Usual                  int    // of the usual lines of a build, those that are written
	Closed                 bool   // its log says how it ended
	Expired                int64  // when the project's retention took it away; 0: it is there
}

// advance lets happen what is due: builds end, and production is pointed at what was asked.
func (v *Vercel) advance() {
	now := v.o.Now()
	v.certify(now)
	for _, d := range v.is.Deployments.All() {
		d = v.write(d)
		if d.State != "BUILDING" || d.Polls < v.o.BuildPolls || now.Sub(time.UnixMilli(d.Begun)) < v.o.BuildTime {
			continue
		}
		d.State, d.Ready = "READY", now.UnixMilli()
		if d.Error != "" {
			d.State = "ERROR"
		} else if d.Target == "production" {
			d.Substate = "STAGED"
		}
		d = v.write(d)
		if x, ok := v.is.Projects.Get(d.Project); ok && d.State == "READY" && d.Target == "production" && d.AutoAssign && !x.Paused {
			v.assign(x, d.ID)
		}
	}
	for _, x := range v.is.Projects.All() {
		if r := x.Request; r != nil && !r.Done && now.UnixMilli() >= r.Due {
			done := *r
			done.Done = true
			x.Request = &done
			v.assign(x, r.To)
		}
	}
}

// assign points a project's production at a deployment.
func (v *Vercel) assign(x project, id string) {
	d, ok := v.is.Deployments.Get(id)
	if ok {
		if x.Production != id {
			x.Previous = x.Production
		}
		x.Production, d.Substate = id, "PROMOTED"
		v.is.Deployments.Put(id, d)
	}
	v.put(x)
}

// aliasesOf are the addresses of a project's production.
func (v *Vercel) aliasesOf(x project) []string {
	out := []string{x.Name + ".vercel.app"}
	for _, d := range v.is.Domains.All() {
		if d.Project == x.ID && d.Verified && d.Redirect == "" {
			out = append(out, d.Name)
		}
	}
	return out
}

// served is a deployment as what it serves sees it.
func (v *Vercel) served(d deployment, host string) Served {
	return Served{Project: d.Name, Deployment: d.ID, Host: host, Env: maps.Clone(d.Env), Meta: maps.Clone(d.Meta), Files: maps.Clone(d.Files)}
}

func (v *Vercel) createDeployment(c call) (answer, *refusal) {
	var in struct {
		Name, Project, Target string
		Meta                  map[string]string
		Files                 []struct{ File, Data string }
		GitSource             map[string]any `json:"gitSource"`
		Settings              struct {
			Build   *string `json:"buildCommand"`
			Install *string `json:"installCommand"`
			Root    *string `json:"rootDirectory"`
		} `json:"projectSettings"`
	}
	if n := c.read(&in); n != nil {
		return answer{}, n
	}
	if in.Project == "" {
		in.Project = in.Name
	}
	x, n := v.find(in.Project)
	switch {
	case n != nil:
		return answer{}, n
	case x.Transferred:
		return answer{}, transferred()
	case in.GitSource == nil && len(in.Files) == 0:
		return answer{}, no(400, "missing_files", "The `files` property or a `gitSource` is needed")
	case in.GitSource != nil && len(in.Files) > 0:
		return answer{}, no(400, "bad_request", "`gitSource` can not be used in combination with `files`")
	}
	day := v.o.Now().UTC().Format(time.DateOnly)
	if v.o.MaxDeployments > 0 && v.is.Quota[day] >= v.o.MaxDeployments {
		return answer{}, no(402, "api-deployments-free-per-day", "Resource is limited - try again in 24 hours (more than %d, code: \"api-deployments-free-per-day\").", v.o.MaxDeployments)
	}
	v.is.Quota[day]++
	d := deployment{ID: "dpl_" + v.is.IDs.Hex(28), Project: x.ID, Name: x.Name, Target: in.Target, State: "BUILDING", Begun: v.o.Now().UnixMilli(), Created: v.stamp(), AutoAssign: x.AutoAssign, Meta: in.Meta, Git: in.GitSource,
		Env: map[string]string{}, Files: map[string]string{}}
	d.URL = x.Name + "-" + v.is.IDs.Hex(9) + "-agency.vercel.app"
	for _, f := range in.Files {
		d.Files[f.File] = f.Data
	}
	for _, e := range x.Env {
		if slices.Contains(e.Target, d.Target) || d.Target == "" && slices.Contains(e.Target, "preview") {
			d.Env[e.Key] = e.Value
		}
	}
	if x.Barred {
		d.State = blocked
	}
	if v.o.Fails != nil {
		d.Error = v.o.Fails(v.served(d, d.URL))
	}
	for at, value := range map[*string]*string{&x.Build: in.Settings.Build, &x.Install: in.Settings.Install, &x.Root: in.Settings.Root} {
		if *at = ""; value != nil {
			*at = *value
		}
	}
	v.put(x)
	v.is.Deployments.Put(d.ID, d)
	v.write(d)
	return answer{status: 200, body: d.show()}, nil
}

// show is a deployment asked for by its id.
func (d deployment) show() map[string]any {
	out := map[string]any{"id": d.ID, "name": d.Name, "url": d.URL, "projectId": d.Project, "readyState": d.State, "status": d.State, "createdAt": d.Created, "meta": d.metaOrEmpty(), "target": orNull(d.Target),
		"build": map[string]any{"env": []string{}}, "env": []string{}, "inspectorUrl": "https://vercel.example/agency/" + d.Name, "isInConcurrentBuildsQueue": false, "isInSystemBuildsQueue": false,
		"projectSettings": map[string]any{}, "aliasAssigned": d.Substate == "PROMOTED", "bootedAt": d.Created, "buildingAt": d.Created, "buildSkipped": false, "creator": map[string]any{"uid": "usr_simulated"},
		"public": false, "type": "LAMBDAS", "regions": []string{"iad1"}, "version": 2, "plan": "pro", "createdIn": "iad1", "ownerId": "acc_simulated", "routes": nil, "autoAssignCustomDomains": d.AutoAssign}
	if d.Expired > 0 {
		out["deletedAt"] = d.Expired
	}
	d.more(out)
	return out
}

func (d deployment) metaOrEmpty() map[string]string {
	if d.Meta == nil {
		return map[string]string{}
	}
	return d.Meta
}

// more is what is there only once it is so.
func (d deployment) more(out map[string]any) {
	if d.Substate != "" {
		out["readySubstate"] = d.Substate
	}
	if d.Ready > 0 {
		out["ready"] = d.Ready
	}
	if d.Expired > 0 {
		out["softDeletedByRetention"] = true
	}
	if d.State == "ERROR" {
		out["errorCode"], out["errorMessage"] = "BUILD_FAILED", d.Error
	}
}

// listed is a deployment in a list.
func (d deployment) listed() map[string]any {
	out := map[string]any{"uid": d.ID, "name": d.Name, "url": d.URL, "projectId": d.Project, "readyState": d.State, "state": d.State, "created": d.Created, "createdAt": d.Created, "meta": d.metaOrEmpty(),
		"type": "LAMBDAS", "creator": map[string]any{"uid": "usr_simulated"}, "inspectorUrl": "https://vercel.example/agency/" + d.Name, "target": orNull(d.Target)}
	if d.Expired > 0 {
		out["deleted"] = d.Expired
	}
	d.more(out)
	return out
}

// at is the deployment that a path names, by its id or its address.
func (v *Vercel) at(c call) (deployment, *refusal) {
	id := c.PathValue("id")
	if d, ok := v.is.Deployments.Get(id); ok {
		return d, nil
	}
	for _, d := range v.is.Deployments.All() {
		if d.URL == id {
			return d, nil
		}
	}
	return deployment{}, notFound("Deployment")
}

func (v *Vercel) getDeployment(c call) (answer, *refusal) {
	d, n := v.at(c)
	if n != nil {
		return answer{}, n
	}
	if d.State == "BUILDING" {
		d.Polls++
		v.is.Deployments.Put(d.ID, d)
	}
	return answer{status: 200, body: d.show()}, nil
}

func (v *Vercel) deleteDeployment(c call) (answer, *refusal) {
	d, n := v.at(c)
	if n != nil {
		return answer{}, n
	}
	v.is.Deployments.Delete(d.ID)
	return answer{status: 200, body: map[string]any{"uid": d.ID, "state": "DELETED"}}, nil
}

func (v *Vercel) listDeployments(c call) (answer, *refusal) {
	q := c.URL.Query()
	project := q.Get("projectId")
	if project != "" {
		x, n := v.find(project)
		if n != nil {
			return answer{}, n
		}
		project = x.ID
	}
	var all []deployment
	for _, d := range v.is.Deployments.Seen() {
		if (project == "" || d.Project == project) && (q.Get("target") == "" || d.Target == q.Get("target")) && (q.Get("app") == "" || d.Name == q.Get("app")) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b deployment) int { return int(b.Created - a.Created) })
	page, next := pageOf(all, func(d deployment) int64 { return d.Created }, q.Get("until"), q.Get("limit"))
	shown := []any{}
	for _, d := range page {
		shown = append(shown, d.listed())
	}
	return answer{status: 200, body: map[string]any{"deployments": shown, "pagination": map[string]any{"count": len(shown), "next": next, "prev": nil}}}, nil
}

func (v *Vercel) aliases(c call) (answer, *refusal) {
	d, n := v.at(c)
	if n != nil {
		return answer{}, n
	}
	out := []any{}
	if x, ok := v.is.Projects.Get(d.Project); ok && x.Production == d.ID {
		for _, alias := range v.aliasesOf(x) {
			out = append(out, map[string]any{"uid": "als_" + alias, "alias": alias, "created": time.UnixMilli(d.Created).UTC().Format(time.RFC3339), "redirect": nil})
		}
	}
	return answer{status: 200, body: map[string]any{"aliases": out}}, nil
}

// promote asks for production to be pointed at a deployment; a rollback takes only one that
// was there before.
func (v *Vercel) promote(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	d, n := v.at(c)
	kind := "promote"
	if strings.Contains(c.URL.Path, "/rollback/") {
		kind = "rollback"
	}
	switch {
	case n != nil:
		return answer{}, n
	case d.Project != x.ID || d.State != "READY" || d.Target != "production":
		return answer{}, no(400, "bad_request", "The deployment can't be promoted")
	case d.Expired > 0 && kind == "rollback":
		return answer{}, no(410, "gone", "The deployment was deleted")
	case d.Expired > 0:
		return answer{}, no(400, "bad_request", "The deployment was deleted")
	case kind == "rollback" && d.Substate != "PROMOTED":
		return answer{}, no(422, "invalid_rollback_target", "The deployment was never in production")
	case kind == "rollback" && v.o.Hobby && d.ID != x.Previous && d.ID != x.Production:
		return answer{}, no(402, "payment_required", "To roll back further than the previous production deployment, upgrade to pro")
	case x.Request != nil && !x.Request.Done:
		return answer{}, no(409, "conflict", "Another request to assign aliases is in progress")
	case x.Production == d.ID && d.Substate == "PROMOTED": // inkeep/agents#2375
		status := 409
		if kind == "rollback" {
			status = 422
		}
		return answer{}, no(status, "conflict", "The provided deploymentId is already the current production deployment")
	}
	now := v.stamp()
	x.Request = &request{From: x.Production, To: d.ID, Type: kind, Asked: now, Due: v.o.Now().UnixMilli() + v.o.PointTime.Milliseconds()}
	if kind == "rollback" {
		x.AutoAssign = false
	}
	v.put(x)
	v.advance()
	if kind == "rollback" {
		return answer{status: 201}, nil
	}
	return answer{status: 202}, nil
}

func (v *Vercel) promoteAliases(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	out := []any{}
	if r := x.Request; r != nil {
		for _, alias := range v.aliasesOf(x) {
			out = append(out, map[string]any{"status": map[bool]string{true: "completed", false: "pending"}[r.Done], "alias": alias, "id": "als_" + alias})
		}
	}
	return answer{status: 200, body: map[string]any{"aliases": out, "pagination": map[string]any{"count": len(out), "next": nil, "prev": nil}}}, nil
}
