package simulated

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// world is all that is kept.
type world struct {
	IDs       simulator.IDs                  `json:"ids"`
	Projects  *simulator.Table[*projectRow]  `json:"projects"`
	Services  *simulator.Table[*serviceRow]  `json:"services"`
	Volumes   *simulator.Table[*volumeRow]   `json:"volumes"`
	Proxies   *simulator.Table[*proxyRow]    `json:"proxies"`
	Builds    *simulator.Table[*buildRow]    `json:"builds"`
	Backups   *simulator.Table[*backupRow]   `json:"backups"`
	Workflows *simulator.Table[*workflowRow] `json:"workflows"`
}

type projectRow struct {
	ID, Name, Description, Workspace, Environment string
	Created, Deleted                              time.Time
}

type serviceRow struct {
	ID, Project, Environment, Name, Image, Real string
	Variables                                   map[string]string
	Left                                        time.Time // when it was taken away in this environment; zero: it is here
}

type volumeRow struct {
	ID, Instance, Project, Environment, Service, Path string
	Created                                           time.Time
	UsedMB, SizeMB                                    float64
}

type proxyRow struct {
	ID, Environment, Service string
	Port, Public             int
	Created                  time.Time
}

type buildRow struct {
	ID, Service    string
	Created, Ready time.Time
	End            string // the status at its end
}

type backupRow struct {
	ID, Name, Instance string
	Created            time.Time
}

type workflowRow struct {
	ID, Name, Instance string
	Created            time.Time
	Fails              string // why it ends in an error; "": it does not
	Done               bool
}

// Times that a workflow takes.
const (
	workflowShows = 2 * time.Second // it is NotFound before
	workflowDone  = 5 * time.Second
)

// Sizes of volumes in MB (docs.railway.com, volumes: 5 GB on Hobby).
const (
	volumeSize = 5000
	freshSize  = 40 // what an empty PostgreSQL takes
)

func newWorld(now func() time.Time, lag func() time.Duration) world {
	return world{
		IDs:       simulator.IDs{Seed: "railway"},
		Projects:  simulator.NewTable[*projectRow](now, lag),
		Services:  simulator.NewTable[*serviceRow](now, nil),
		Volumes:   simulator.NewTable[*volumeRow](now, lag),
		Proxies:   simulator.NewTable[*proxyRow](now, nil),
		Builds:    simulator.NewTable[*buildRow](now, nil),
		Backups:   simulator.NewTable[*backupRow](now, nil),
		Workflows: simulator.NewTable[*workflowRow](now, nil),
	}
}

// builds are a service's, oldest first.
func (r *Railway) builds(service string) (out []*buildRow) {
	for _, b := range r.world.Builds.All() {
		if b.Service == service {
			out = append(out, b)
		}
	}
	return out
}

func (r *Railway) latest(service string) *buildRow {
	all := r.builds(service)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// status is how far a deployment is.
func (r *Railway) status(b *buildRow) string {
	now := r.o.Now()
	switch whole := b.Ready.Sub(b.Created); {
	case !now.Before(b.Ready):
		return cmp.Or(b.End, "SUCCESS")
	case now.Sub(b.Created) < whole/10:
		return "QUEUED"
	case now.Sub(b.Created) < whole/2:
		return "BUILDING"
	}
	return "DEPLOYING"
}

// active says that a proxy works: a deployment began after it was made, and is up.
func (r *Railway) active(p *proxyRow) bool {
	for _, b := range r.builds(p.Service) {
		if !b.Created.Before(p.Created) && r.status(b) == "SUCCESS" {
			return true
		}
	}
	return false
}

func (r *Railway) proxies(service string) (out []*proxyRow) {
	for _, p := range r.world.Proxies.All() {
		if p.Service == service {
			out = append(out, p)
		}
	}
	return out
}

func domainOf(p *proxyRow) string { return "tokkaido.proxy.railway.example" }

// size is what a volume holds: nothing before its first deployment ran.
func (r *Railway) size(v *volumeRow) float64 {
	for _, b := range r.builds(v.Service) {
		if r.status(b) == "SUCCESS" {
			return max(v.UsedMB, freshSize)
		}
	}
	return v.UsedMB
}

var reference = regexp.MustCompile(`\$\{\{\s*([A-Z0-9_]+)\s*\}\}`)

// rendered are a service's variables as its container sees them.
func (r *Railway) rendered(s *serviceRow) map[string]string {
	all := map[string]string{"RAILWAY_PRIVATE_DOMAIN": s.Name + ".railway.internal"}
	for _, p := range r.proxies(s.ID) {
		if r.active(p) {
			all["RAILWAY_TCP_PROXY_DOMAIN"], all["RAILWAY_TCP_PROXY_PORT"] = domainOf(p), fmt.Sprint(p.Public)
		}
	}
	for name, text := range s.Variables {
		all[name] = text
	}
	out := map[string]string{}
	for name, text := range all {
		for range 10 { // references to references
			if !strings.Contains(text, "${{") {
				break
			}
			text = reference.ReplaceAllStringFunc(text, func(m string) string { return all[reference.FindStringSubmatch(m)[1]] })
		}
		out[name] = text
	}
	if s.Real != "" {
		out["DATABASE_URL"], out["DATABASE_PUBLIC_URL"] = s.Real, s.Real
	}
	return out
}

// Project is what there is of a project, for whoever wants to see it from outside.
type Project struct {
	ID, Name, Description                            string
	Deleted                                          bool
	Services, Volumes, Proxies, Deployments, Backups int
	Variables                                        map[string]string // of its first service, as they were given
	URL                                              string            `json:"-"` // of its first service's database, from outside
}

// Projects are all, oldest first.
func (r *Railway) Projects() (out []Project) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.world.Projects.All() {
		x := Project{ID: p.ID, Name: p.Name, Description: p.Description, Deleted: !p.Deleted.IsZero()}
		for _, s := range r.world.Services.All() {
			if s.Project != p.ID {
				continue
			}
			if x.Services++; x.Variables == nil {
				x.Variables, x.URL = s.Variables, r.rendered(s)["DATABASE_PUBLIC_URL"]
			}
			x.Proxies += len(r.proxies(s.ID))
			x.Deployments += len(r.builds(s.ID))
		}
		for _, v := range r.world.Volumes.All() {
			if v.Project != p.ID {
				continue
			}
			x.Volumes++
			for _, b := range r.world.Backups.All() {
				if b.Instance == v.Instance {
					x.Backups++
				}
			}
		}
		out = append(out, x)
	}
	return out
}

// Fill says how many MB a project's volume holds.
func (r *Railway) Fill(project string, mb float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.world.Volumes.All() {
		if v.Project == project {
			v.UsedMB = mb
		}
	}
}

// End ends a project's latest deployments with a status, such as CRASHED.
func (r *Railway) End(project, status string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.world.Services.All() {
		if b := r.latest(s.ID); s.Project == project && b != nil {
			b.End = status
		}
	}
}

// Drop takes a project's services and volumes away, as somebody at its page might.
func (r *Railway) Drop(project string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.world.Services.All() {
		if s.Project == project {
			r.world.Services.Delete(s.ID)
		}
	}
	for _, v := range r.world.Volumes.All() {
		if v.Project == project {
			r.world.Volumes.Delete(v.ID)
		}
	}
}

// Unmount deletes a project's volumes, as somebody at its page does: Railway deploys their services anew, and the image of
// PostgreSQL ends at once without its volume.
func (r *Railway) Unmount(project string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.world.Volumes.All() {
		if v.Project != project {
			continue
		}
		r.world.Volumes.Delete(v.ID)
		b := &buildRow{ID: r.world.IDs.UUID(), Service: v.Service, Created: r.o.Now(), Ready: r.o.Now(), End: "CRASHED"}
		r.world.Builds.Put(b.ID, b)
	}
}

// Add makes another service in a project, as a person does at its page, with a volume or without, that runs an image since long ago.
func (r *Railway) Add(project, name, image string, volume bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.world.Projects.Get(project)
	if !ok {
		return
	}
	ids, since := &r.world.IDs, r.o.Now().Add(-24*time.Hour)
	s := &serviceRow{ID: ids.UUID(), Project: p.ID, Environment: p.Environment, Name: name, Image: image, Variables: map[string]string{}}
	r.world.Services.Put(s.ID, s)
	if volume {
		v := &volumeRow{ID: ids.UUID(), Instance: ids.UUID(), Project: p.ID, Environment: p.Environment, Service: s.ID, Path: "/data", Created: since, UsedMB: 200, SizeMB: volumeSize}
		r.world.Volumes.Put(v.ID, v)
	}
	b := &buildRow{ID: ids.UUID(), Service: s.ID, Created: since, Ready: since}
	r.world.Builds.Put(b.ID, b)
}

// Image gives a project's services another image, as a person does at its page.
func (r *Railway) Image(project, image string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.world.Services.All() {
		if s.Project == project {
			s.Image = image
		}
	}
}

// Leave takes a project's services away in its environment alone, as somebody at its page does where the project has another
// environment, that keeps them.
func (r *Railway) Leave(project string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.world.Services.All() {
		if s.Project == project {
			s.Left = r.o.Now()
		}
	}
}

// Seed makes a database as Railway's own template does, long ago: a service "Postgres" with a
// volume, a proxy and a deployment that runs. It returns the project's id and the public URL.
func (r *Railway) Seed(name, description, password string) (id, url string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since := r.o.Now().Add(-24 * time.Hour)
	ids := &r.world.IDs
	p := &projectRow{ID: ids.UUID(), Name: name, Description: description, Workspace: workspaceID(r.o.Workspace), Environment: ids.UUID(), Created: since}
	s := &serviceRow{ID: ids.UUID(), Project: p.ID, Environment: p.Environment, Name: "Postgres", Image: "ghcr.io/railwayapp-templates/postgres-ssl:17", Variables: map[string]string{
		"PGUSER": "postgres", "PGPASSWORD": password, "PGDATABASE": "railway",
		"DATABASE_URL":        "postgresql://${{PGUSER}}:${{PGPASSWORD}}@${{RAILWAY_PRIVATE_DOMAIN}}:5432/${{PGDATABASE}}",
		"DATABASE_PUBLIC_URL": "postgresql://${{PGUSER}}:${{PGPASSWORD}}@${{RAILWAY_TCP_PROXY_DOMAIN}}:${{RAILWAY_TCP_PROXY_PORT}}/${{PGDATABASE}}"}}
	r.world.Projects.Put(p.ID, p)
	r.world.Services.Put(s.ID, s)
	v := &volumeRow{ID: ids.UUID(), Instance: ids.UUID(), Project: p.ID, Environment: p.Environment, Service: s.ID, Path: "/var/lib/postgresql/data", Created: since, UsedMB: 200, SizeMB: volumeSize}
	r.world.Volumes.Put(v.ID, v)
	x := &proxyRow{ID: ids.UUID(), Environment: p.Environment, Service: s.ID, Port: 5432, Public: 20_000 + ids.Number()%40_000, Created: since}
	r.world.Proxies.Put(x.ID, x)
	b := &buildRow{ID: ids.UUID(), Service: s.ID, Created: since, Ready: since}
	r.world.Builds.Put(b.ID, b)
	return p.ID, r.rendered(s)["DATABASE_PUBLIC_URL"]
}

// Set gives a variable of a project's services another value, as a person does at its page: its
// container has it from the next deployment on, and whoever asks for variables at once.
func (r *Railway) Set(project, name, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.world.Services.All() {
		if s.Project == project {
			s.Variables[name] = value
		}
	}
}

// CloseOff takes the public addresses of a project's services away, as a person does at its page.
func (r *Railway) CloseOff(project string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.world.Services.All() {
		for _, p := range r.proxies(s.ID) {
			if s.Project == project {
				r.world.Proxies.Delete(p.ID)
			}
		}
	}
}

// Schedule has a project deleted in 48 hours, as a person does at its page, or not any more.
func (r *Railway) Schedule(project string, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.world.Projects.Get(project)
	if !ok {
		return
	}
	if p.Deleted = (time.Time{}); deleted {
		p.Deleted = r.o.Now()
	}
}
