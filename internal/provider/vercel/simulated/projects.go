package simulated

import (
	"net/http"
	"slices"
	"strings"
)

// project is one, as it is kept.
type project struct {
	ID, Name, Node       string
	Created, Updated     int64
	AutoAssign           bool
	Paused               bool
	Transferred          bool // to another team, right now
	Protected            bool // deployments ask who visits them
	Barred               bool // builds are blocked until a person lets them go
	Link                 *link
	Env                  []variable
	Production, Previous string // the deployment that production is at, and was at before
	Request              *request
	Build, Install, Root string
	Framework            string
}

// link is a project's repository.
type link struct{ Type, Path string }

// request is the last promotion or rollback.
type request struct {
	From, To, Type string
	Asked, Due     int64
	Done           bool
}

// find returns a project by its id or its name.
func (v *Vercel) find(idOrName string) (project, *refusal) {
	if x, ok := v.is.Projects.Get(idOrName); ok {
		return x, nil
	}
	for _, x := range v.is.Projects.All() {
		if x.Name == idOrName {
			return x, nil
		}
	}
	return project{}, notFound("Project")
}

// put keeps a project that was changed.
func (v *Vercel) put(x project) {
	x.Updated = v.stamp()
	v.is.Projects.Put(x.ID, x)
}

func (v *Vercel) showProject(x project) map[string]any {
	out := map[string]any{"accountId": "acc_simulated", "directoryListing": false, "id": x.ID, "name": x.Name, "nodeVersion": x.Node, "createdAt": x.Created, "updatedAt": x.Updated,
		"autoAssignCustomDomains": x.AutoAssign, "resourceConfig": map[string]any{"functionDefaultRegions": []string{"iad1"}}, "defaultResourceConfig": map[string]any{"functionDefaultRegions": []string{"iad1"}},
		"buildCommand": orNull(x.Build), "installCommand": orNull(x.Install), "rootDirectory": orNull(x.Root), "paused": x.Paused, "live": false}
	if x.Protected {
		out["ssoProtection"] = map[string]any{"deploymentType": "all_except_custom_domains"}
	}
	if x.Link != nil {
		out["link"] = x.Link.show()
	}
	if d, ok := v.is.Deployments.Get(x.Production); ok {
		out["targets"] = map[string]any{"production": map[string]any{"id": d.ID, "createdAt": d.Created, "createdIn": "iad1", "creator": map[string]any{"uid": "usr_simulated", "email": "ops@agency.example", "username": "ops"},
			"deploymentHostname": d.URL, "name": x.Name, "plan": "pro", "private": true, "readyState": "READY", "readySubstate": d.Substate, "type": "LAMBDAS", "url": d.URL, "userId": "usr_simulated",
			"alias": v.aliasesOf(x), "meta": d.metaOrEmpty(), "target": "production"}}
	}
	if r := x.Request; r != nil {
		status := "in-progress"
		if r.Done {
			status = "succeeded"
		}
		out["lastAliasRequest"] = map[string]any{"fromDeploymentId": r.From, "toDeploymentId": r.To, "jobStatus": status, "requestedAt": r.Asked, "type": r.Type}
	}
	return out
}

func (l *link) show() map[string]any {
	owner, name, _ := strings.Cut(l.Path, "/")
	out := map[string]any{"type": l.Type, "gitCredentialId": "cred_simulated", "productionBranch": "main", "deployHooks": []any{}}
	switch l.Type {
	case "gitlab":
		out["projectId"], out["projectName"], out["projectNamespace"] = "4711", name, owner
		out["projectNameWithNamespace"], out["projectUrl"] = l.Path, "https://gitlab.com/"+l.Path
	case "bitbucket":
		out["owner"], out["slug"], out["name"], out["uuid"], out["workspaceUuid"] = owner, name, name, "{simulated}", "{workspace}"
	default:
		out["org"], out["repo"], out["repoId"] = owner, name, 4711
	}
	return out
}

func (v *Vercel) listProjects(c call) (answer, *refusal) {
	all := v.is.Projects.Seen()
	slices.SortFunc(all, func(a, b project) int { return int(b.Updated - a.Updated) })
	page, next := pageOf(all, func(x project) int64 { return x.Updated }, c.URL.Query().Get("from"), c.URL.Query().Get("limit"))
	shown := []any{}
	for _, x := range page {
		shown = append(shown, v.showProject(x))
	}
	return answer{status: 200, body: map[string]any{"projects": shown, "pagination": map[string]any{"count": len(shown), "next": next, "prev": nil}}}, nil
}

func goodName(s string) bool {
	return s != "" && len(s) <= 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == "" && !strings.Contains(s, "---")
}

func (v *Vercel) createProject(c call) (answer, *refusal) {
	var in struct {
		Name          string
		GitRepository *struct{ Type, Repo string }
		Env           []envIn   `json:"environmentVariables"`
		SSO           *struct{} `json:"ssoProtection"`
	}
	if n := c.read(&in); n != nil {
		return answer{}, n
	}
	if !goodName(in.Name) {
		return answer{}, no(400, "bad_request", "Project names can be up to 100 characters long and must be lowercase")
	}
	if _, n := v.find(in.Name); n == nil {
		return answer{}, no(409, "conflict", "Project %q already exists, please use a new name.", in.Name)
	}
	if v.o.MaxProjects > 0 && len(v.is.Projects.All()) >= v.o.MaxProjects {
		return answer{}, no(402, "payment_required", "The plan allows %d projects", v.o.MaxProjects)
	}
	x := project{ID: "prj_" + v.is.IDs.Hex(28), Name: in.Name, Node: "22.x", Created: v.stamp(), AutoAssign: true, Protected: in.SSO != nil || !strings.Contains(string(c.body), `"ssoProtection"`)}
	if in.GitRepository != nil {
		x.Link = &link{in.GitRepository.Type, in.GitRepository.Repo}
	}
	for _, e := range in.Env {
		if n := v.addEnv(&x, e, false); n != nil {
			return answer{}, n
		}
	}
	v.put(x)
	x, _ = v.is.Projects.Get(x.ID)
	return answer{status: 200, body: v.showProject(x)}, nil
}

func (v *Vercel) getProject(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	return answer{status: 200, body: v.showProject(x)}, nil
}

func (v *Vercel) updateProject(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	var in struct {
		AutoAssign *bool   `json:"autoAssignCustomDomains"`
		Node       *string `json:"nodeVersion"`
		Name       *string
	}
	if n := c.read(&in); n != nil {
		return answer{}, n
	}
	if in.Node != nil {
		if !slices.Contains([]string{"22.x", "20.x", "18.x", "16.x", "14.x", "12.x", "10.x"}, *in.Node) {
			return answer{}, no(400, "bad_request", "Invalid request: `nodeVersion` should be equal to one of the allowed values")
		}
		x.Node = *in.Node
	}
	if in.AutoAssign != nil {
		x.AutoAssign = *in.AutoAssign
	}
	if in.Name != nil && *in.Name != x.Name {
		if _, taken := v.find(*in.Name); taken == nil {
			return answer{}, no(409, "conflict", "The provided name is taken")
		}
		x.Name = *in.Name
	}
	v.put(x)
	return answer{status: 200, body: v.showProject(x)}, nil
}

func (v *Vercel) deleteProject(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	for _, d := range v.is.Deployments.All() {
		if d.Project == x.ID {
			v.is.Deployments.Delete(d.ID)
		}
	}
	for _, d := range v.is.Domains.All() {
		if d.Project == x.ID {
			v.is.Domains.Delete(d.Name)
		}
	}
	v.is.Projects.Delete(x.ID)
	return answer{status: 204}, nil
}

func (v *Vercel) linkProject(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	x.Link = nil
	if c.Method == http.MethodPost {
		var in struct{ Type, Repo string }
		if n := c.read(&in); n != nil {
			return answer{}, n
		}
		x.Link = &link{in.Type, in.Repo}
	}
	v.put(x)
	return answer{status: 200, body: v.showProject(x)}, nil
}

// pause stops a project serving, or ends that; both change whether domains follow a new
// deployment by themselves.
func (v *Vercel) pause(c call) (answer, *refusal) {
	x, ok := v.is.Projects.Get(c.PathValue("p"))
	if !ok {
		return answer{}, no(400, "bad_request", "The project does not exist")
	}
	x.Paused = strings.HasSuffix(c.URL.Path, "/pause")
	x.AutoAssign = !x.Paused
	v.put(x)
	return answer{status: 200}, nil
}
