package simulated

import (
	"fmt"
	"slices"
)

// mutations are the fields of Mutation.
func (c call) mutations() object {
	return object{
		"projectCreate":              c.forMembers(c.projectCreate),
		"projectUpdate":              c.forMembers(c.projectUpdate),
		"projectScheduleDelete":      c.forMembers(c.projectScheduleDelete),
		"serviceCreate":              c.forMembers(c.serviceCreate),
		"serviceInstanceUpdate":      c.forMembers(c.serviceInstanceUpdate),
		"serviceInstanceDeployV2":    c.forMembers(c.serviceInstanceDeploy),
		"volumeCreate":               c.forMembers(c.volumeCreate),
		"tcpProxyCreate":             c.forMembers(c.tcpProxyCreate),
		"tcpProxyDelete":             c.forMembers(c.tcpProxyDelete),
		"variableCollectionUpsert":   c.forMembers(c.variableCollectionUpsert),
		"volumeInstanceBackupCreate": c.forMembers(c.backupCreate),
	}
}

func input(args map[string]any) map[string]any {
	in, _ := args["input"].(map[string]any)
	return in
}

// texts are variables as they were given.
func texts(v any) map[string]string {
	out := map[string]string{}
	all, _ := v.(map[string]any)
	for name, value := range all {
		out[name] = fmt.Sprint(value)
	}
	return out
}

func (c call) projectCreate(args map[string]any) (any, error) {
	in := input(args)
	of := text(in, "workspaceId")
	if of == "" && len(c.workspaces()) == 1 {
		of = workspaceID(c.o.Workspace)
	}
	if !slices.ContainsFunc(c.workspaces(), func(name string) bool { return workspaceID(name) == of }) {
		return nil, failed("You must specify a workspaceId to create a project")
	}
	p := &projectRow{ID: c.world.IDs.UUID(), Name: text(in, "name"), Description: text(in, "description"), Workspace: of, Environment: c.world.IDs.UUID(), Created: c.o.Now()}
	c.world.Projects.Put(p.ID, p)
	return c.project(p), nil
}

// projectIn is a project that is there.
func (c call) projectIn(id string) (*projectRow, error) {
	p, ok := c.world.Projects.Get(id)
	if !ok || !p.Deleted.IsZero() {
		return nil, failed("Project not found")
	}
	return p, nil
}

func (c call) projectUpdate(args map[string]any) (any, error) {
	p, err := c.projectIn(text(args, "id"))
	if err != nil {
		return nil, err
	}
	in := input(args)
	if d, ok := in["description"].(string); ok {
		p.Description = d
	}
	if n, ok := in["name"].(string); ok {
		p.Name = n
	}
	return c.project(p), nil
}

func (c call) projectScheduleDelete(args map[string]any) (any, error) {
	p, err := c.projectIn(text(args, "id"))
	if err != nil {
		return nil, err
	}
	p.Deleted = c.o.Now()
	return true, nil
}

func (c call) serviceCreate(args map[string]any) (any, error) {
	in := input(args)
	p, err := c.projectIn(text(in, "projectId"))
	if err != nil {
		return nil, err
	}
	s := &serviceRow{ID: c.world.IDs.UUID(), Project: p.ID, Environment: text(in, "environmentId"), Name: text(in, "name"), Variables: texts(in["variables"])}
	for _, other := range c.world.Services.All() {
		if other.Project == p.ID && other.Name == s.Name {
			return nil, failed("A service named %q already exists in this project", s.Name)
		}
	}
	c.world.Services.Put(s.ID, s)
	return object{"id": s.ID, "name": s.Name, "deletedAt": nil}, nil
}

func (c call) volumeCreate(args map[string]any) (any, error) {
	in := input(args)
	p, err := c.projectIn(text(in, "projectId"))
	if err != nil {
		return nil, err
	}
	v := &volumeRow{ID: c.world.IDs.UUID(), Instance: c.world.IDs.UUID(), Project: p.ID, Environment: text(in, "environmentId"), Service: text(in, "serviceId"),
		Path: text(in, "mountPath"), Created: c.o.Now(), SizeMB: volumeSize}
	if v.Service != "" && len(c.builds(v.Service)) > 0 {
		return nil, failed("Cannot attach a volume to a service that has deployments")
	}
	c.world.Volumes.Put(v.ID, v)
	return object{"id": v.ID}, nil
}

func (c call) tcpProxyCreate(args map[string]any) (any, error) {
	in := input(args)
	s, err := c.serviceIn(text(in, "serviceId"))
	if err != nil {
		return nil, err
	}
	p := &proxyRow{ID: c.world.IDs.UUID(), Environment: text(in, "environmentId"), Service: s.ID, Port: number(in, "applicationPort", 0), Public: 20_000 + c.world.IDs.Number()%40_000, Created: c.o.Now()}
	c.world.Proxies.Put(p.ID, p)
	return object{"id": p.ID, "domain": domainOf(p), "proxyPort": p.Public, "applicationPort": p.Port, "syncStatus": "CREATING"}, nil
}

func (c call) tcpProxyDelete(args map[string]any) (any, error) {
	if !c.world.Proxies.Delete(text(args, "id")) {
		return nil, failed("TCP proxy not found")
	}
	return true, nil
}

func (c call) serviceInstanceUpdate(args map[string]any) (any, error) {
	s, err := c.serviceIn(text(args, "serviceId"))
	if err != nil {
		return nil, failed("ServiceInstance not found")
	}
	if source, ok := input(args)["source"].(map[string]any); ok {
		s.Image = text(source, "image")
	}
	return true, nil
}

func (c call) variableCollectionUpsert(args map[string]any) (any, error) {
	in := input(args)
	s, err := c.serviceIn(text(in, "serviceId"))
	if err != nil {
		return nil, err
	}
	if replace, _ := in["replace"].(bool); replace {
		clear(s.Variables)
	}
	for name, value := range texts(in["variables"]) {
		s.Variables[name] = value
	}
	if skip, _ := in["skipDeploys"].(bool); !skip && s.Image != "" {
		_, err = c.deploy(s)
	}
	return true, err
}

func (c call) serviceInstanceDeploy(args map[string]any) (any, error) {
	s, err := c.serviceIn(text(args, "serviceId"))
	if err != nil {
		return nil, failed("ServiceInstance not found")
	}
	return c.deploy(s)
}

func (c call) deploy(s *serviceRow) (any, error) {
	if s.Image == "" {
		return nil, failed("Cannot redeploy without a snapshot")
	}
	switch b := c.latest(s.ID); {
	case b != nil && c.o.Now().Before(b.Ready):
		return nil, failed("Cannot redeploy yet, please wait for the original deployment to finish building")
	case b == nil && c.o.Databases != nil:
		real, err := c.o.Databases(s.Project, s.Variables["POSTGRES_PASSWORD"])
		if err != nil {
			return nil, err
		}
		s.Real = real
	}
	b := &buildRow{ID: c.world.IDs.UUID(), Service: s.ID, Created: c.o.Now(), Ready: c.o.Now().Add(max(c.o.BuildTime, 0))}
	c.world.Builds.Put(b.ID, b)
	return b.ID, nil
}

func (c call) backupCreate(args map[string]any) (any, error) {
	instance := text(args, "volumeInstanceId")
	for _, v := range c.world.Volumes.All() {
		if v.Instance != instance {
			continue
		}
		w := &workflowRow{ID: c.world.IDs.UUID(), Name: text(args, "name"), Instance: instance, Created: c.o.Now()}
		if c.size(v) > v.SizeMB/2 {
			w.Fails = "The volume is too full for a manual backup"
		}
		c.world.Workflows.Put(w.ID, w)
		return object{"workflowId": w.ID}, nil
	}
	return nil, failed("VolumeInstance not found")
}
