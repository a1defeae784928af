package simulated

import (
	"fmt"
	"slices"
	"time"
)

// call is one request of somebody.
type call struct {
	*Railway
	who who
}

func failed(format string, a ...any) error { return failure{fmt.Sprintf(format, a...)} }

// errAuthorized is what Railway says to whom it does not know, and of what it does not show.
const errAuthorized = "Not Authorized"

// forMembers lets only those in that may see the workspace.
func (c call) forMembers(f field) field {
	return func(args map[string]any) (any, error) {
		if c.who != person && c.who != workspace {
			return nil, failed(errAuthorized)
		}
		if c.o.TwoFactor {
			return nil, failed("Two Factor Authentication Required")
		}
		return f(args)
	}
}

func text(args map[string]any, name string) string {
	s, _ := args[name].(string)
	return s
}

func number(args map[string]any, name string, otherwise int) int {
	switch n := args[name].(type) {
	case float64:
		return int(n)
	case int64:
		return int(n)
	}
	return otherwise
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// queries are the fields of Query.
func (c call) queries() object {
	return object{
		"me": field(func(map[string]any) (any, error) {
			if c.who != person {
				return nil, failed(errAuthorized)
			}
			return object{"id": "user-1"}, nil
		}),
		"projectToken": field(func(map[string]any) (any, error) {
			if c.who != project {
				return nil, failed("Project Token not found")
			}
			return object{"project": object{"id": "project-1", "name": "shop"}}, nil
		}),
		"apiToken":                 c.forMembers(c.apiToken),
		"projects":                 c.forMembers(c.projects),
		"projectsByIds":            c.forMembers(c.projectsByIDs),
		"variables":                c.forMembers(c.variables),
		"tcpProxies":               c.forMembers(c.tcpProxies),
		"volumeInstanceBackupList": c.forMembers(c.backupList),
		"workflowStatus":           c.forMembers(c.workflowStatus),
	}
}

// workspaces are all names; an id is made of its name.
func (c call) workspaces() []string { return append([]string{c.o.Workspace}, c.o.Workspaces...) }

func workspaceID(name string) string { return "workspace-" + name }

func (c call) apiToken(map[string]any) (any, error) {
	var out []object
	for _, name := range c.workspaces() {
		out = append(out, object{"id": workspaceID(name), "name": name})
	}
	return object{"workspaces": out}, nil
}

// page cuts a Relay connection out of all.
func page(all []object, ids []string, args map[string]any, most int) object {
	from := 0
	if after := text(args, "after"); after != "" {
		from = slices.Index(ids, after) + 1
	}
	to := min(len(all), from+min(number(args, "first", most), most))
	edges := []object{}
	var end any
	for i := from; i < to; i++ {
		edges, end = append(edges, object{"cursor": ids[i], "node": all[i]}), ids[i]
	}
	return object{"edges": edges, "pageInfo": object{"hasNextPage": to < len(all), "hasPreviousPage": from > 0, "endCursor": end, "startCursor": nil}}
}

func connection(all []object, ids []string, most int) field {
	return func(args map[string]any) (any, error) { return page(all, ids, args, most), nil }
}

func (c call) projects(args map[string]any) (any, error) {
	of := text(args, "workspaceId")
	if !slices.ContainsFunc(c.workspaces(), func(name string) bool { return workspaceID(name) == of }) {
		return nil, failed(errAuthorized)
	}
	var all []object
	var ids []string
	for _, p := range c.world.Projects.Seen() {
		if p.Workspace == of {
			all, ids = append(all, c.project(p)), append(ids, p.ID)
		}
	}
	return page(all, ids, args, pageMost), nil
}

func (c call) projectsByIDs(args map[string]any) (any, error) {
	out := []object{}
	asked, _ := args["ids"].([]any)
	for _, p := range c.world.Projects.All() { // not in the order in which they were asked for
		if slices.Contains(asked, any(p.ID)) {
			out = append(out, c.project(p))
		}
	}
	return out, nil
}

func (c call) project(p *projectRow) object {
	var services []object
	var ids []string
	for _, s := range c.world.Services.All() {
		if s.Project == p.ID {
			services, ids = append(services, object{"id": s.ID, "name": s.Name, "deletedAt": nil}), append(ids, s.ID)
		}
	}
	environment := field(func(args map[string]any) (any, error) {
		return page([]object{c.environment(p)}, []string{p.Environment}, args, pageMost), nil
	})
	return object{"id": p.ID, "name": p.Name, "description": orNull(p.Description), "createdAt": moment(p.Created), "deletedAt": moment(p.Deleted),
		"primaryEnvironmentId": p.Environment, "services": connection(services, ids, pageMost), "environments": environment}
}

func (c call) environment(p *projectRow) object {
	var instances, volumes []object
	var instanceIDs, volumeIDs []string
	for _, s := range c.world.Services.All() {
		if s.Project == p.ID {
			instances, instanceIDs = append(instances, c.instance(s)), append(instanceIDs, s.ID)
		}
	}
	for _, v := range c.world.Volumes.Seen() {
		if v.Project == p.ID && v.Environment != "" {
			volumes = append(volumes, object{"id": v.Instance, "serviceId": orNull(v.Service), "currentSizeMB": c.size(v), "isPendingDeletion": false, "deletedAt": nil})
			volumeIDs = append(volumeIDs, v.Instance)
		}
	}
	return object{"id": p.Environment, "serviceInstances": connection(instances, instanceIDs, pageMost), "volumeInstances": connection(volumes, volumeIDs, pageMost)}
}

func (c call) instance(s *serviceRow) object {
	out := object{"serviceId": s.ID, "deletedAt": nil, "source": nil, "latestDeployment": nil}
	if s.Image != "" {
		out["source"] = object{"image": s.Image}
	}
	if !s.Left.IsZero() {
		out["deletedAt"] = moment(s.Left)
		return out
	}
	if b := c.latest(s.ID); b != nil {
		out["latestDeployment"] = object{"id": b.ID, "status": c.status(b), "createdAt": moment(b.Created)}
	}
	return out
}

// serviceIn is a service of a project that is there.
func (c call) serviceIn(id string) (*serviceRow, error) {
	s, ok := c.world.Services.Get(id)
	if !ok {
		return nil, failed("Service not found")
	}
	if p, ok := c.world.Projects.Get(s.Project); !ok || !p.Deleted.IsZero() {
		return nil, failed("Project not found")
	}
	return s, nil
}

func (c call) variables(args map[string]any) (any, error) {
	s, err := c.serviceIn(text(args, "serviceId"))
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, value := range c.rendered(s) {
		out[name] = value
	}
	return out, nil
}

func (c call) tcpProxies(args map[string]any) (any, error) {
	s, err := c.serviceIn(text(args, "serviceId"))
	if err != nil {
		return nil, err
	}
	out := []object{}
	for _, p := range c.proxies(s.ID) {
		status := "CREATING"
		if c.active(p) {
			status = "ACTIVE"
		}
		out = append(out, object{"id": p.ID, "domain": domainOf(p), "proxyPort": p.Public, "applicationPort": p.Port, "syncStatus": status, "createdAt": moment(p.Created), "deletedAt": nil})
	}
	return out, nil
}

func (c call) backupList(args map[string]any) (any, error) {
	c.advance()
	out := []object{}
	for _, b := range c.world.Backups.All() {
		if b.Instance == text(args, "volumeInstanceId") {
			out = append(out, object{"id": b.ID, "name": orNull(b.Name), "createdAt": moment(b.Created)})
		}
	}
	return out, nil
}

func (c call) workflowStatus(args map[string]any) (any, error) {
	c.advance()
	w, ok := c.world.Workflows.Get(text(args, "workflowId"))
	said := func(status string, why any) (any, error) { return object{"status": status, "error": why}, nil }
	if !ok {
		return said("NotFound", nil)
	}
	switch age := c.o.Now().Sub(w.Created); {
	case age < workflowShows:
		return said("NotFound", nil)
	case age < workflowDone:
		return said("Running", nil)
	case w.Fails != "":
		return said("Error", w.Fails)
	}
	return said("Complete", nil)
}

// advance ends the workflows whose time is up.
func (c call) advance() {
	for _, w := range c.world.Workflows.All() {
		if !w.Done && c.o.Now().Sub(w.Created) >= workflowDone {
			if w.Done = true; w.Fails == "" {
				b := &backupRow{ID: c.world.IDs.UUID(), Name: w.Name, Instance: w.Instance, Created: c.o.Now()}
				c.world.Backups.Put(b.ID, b)
			}
		}
	}
}
