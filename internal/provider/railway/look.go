package railway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Sizes of what is asked for at once. Railway publishes no limit; these are a few hundred
// objects an answer.
const (
	pageSize  = 50
	batchSize = 25
	maxPages  = 400 // 20,000 projects in a workspace
	partsPage = 50  // parts of a project or an environment that are read (operations.graphql)
)

// serviceName is what the database's service is called in a project. Names are unique there:
// Railway refuses a second one.
const serviceName = "postgres"

// settling is how long a part of a finished database may be missing from Railway's answers
// before it is taken for gone.
const settling = 10 * time.Minute

// database is a project as it is.
type database struct {
	id, name, description string
	mark                  provider.Mark
	making                bool // see making
	created               time.Time
	asOf                  time.Time // what is not shown was not there then, but for what is late
	environment           string
	service, image        string
	others                int      // services that are not the database
	several               []string // names of those that may be the database, where that is more than one
	volume                *volumeNode
	deployment            *deploymentNode
	read                  bool // variables and proxies are there
	gone                  bool // it went while it was read
	variables             map[string]string
	proxies               []proxy
}

// proxy is a public address of a service.
type proxy struct {
	ID              string `json:"id"`
	ApplicationPort int    `json:"applicationPort"`
	SyncStatus      string `json:"syncStatus"`
	CreatedAt       string `json:"createdAt"`
	DeletedAt       string `json:"deletedAt"`
}

// listed are the ids of the workspace's projects that fit, in the list's order.
func (p *Provider) listed(ctx context.Context, fits func(projectShort) bool) ([]string, error) {
	workspace, err := p.inWorkspace(ctx)
	if err != nil {
		return nil, err
	}
	c := caller{p, opObserve}
	var ids []string
	after := ""
	for range maxPages {
		got, err := projects(ctx, c, workspace, pageSize, after)
		if err != nil {
			return nil, err
		}
		page := got.Projects
		if page.Edges == nil {
			return nil, c.odd(errors.New("the list of projects is none"))
		}
		for _, e := range page.Edges {
			if n := e.Node; n.DeletedAt == "" && fits(n) && plainID(n.Id) && !slices.Contains(ids, n.Id) {
				ids = append(ids, n.Id)
			}
		}
		switch next := page.PageInfo.EndCursor; {
		case !page.PageInfo.HasNextPage:
			return ids, nil
		case next == "" || next == after:
			return nil, c.odd(errors.New("the list of projects leads nowhere"))
		default:
			after = next
		}
	}
	return nil, p.fail(provider.Invalid, opObserve, fmt.Sprintf("the workspace has more than %d projects", pageSize*maxPages), nil)
}

// objects are the databases of ids that are there.
func (p *Provider) objects(ctx context.Context, ids []string) ([]provider.Object, error) {
	return p.objectsOf(ctx, ids, func(*database) bool { return true })
}

// objectsOf are those of them that fit.
func (p *Provider) objectsOf(ctx context.Context, ids []string, fits func(*database) bool) ([]provider.Object, error) {
	var out []provider.Object
	for batch := range slices.Chunk(ids, batchSize) {
		found, err := p.databases(ctx, batch)
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(d *database) bool { return !fits(d) })
		if err := p.fillIn(ctx, found); err != nil {
			return nil, err
		}
		for _, d := range found {
			if !d.gone {
				out = append(out, d.object(p.now()))
			}
		}
	}
	return out, nil
}

// fillIn reads the variables and proxies of those that run: of the others they say nothing.
// One that is deleted in between spoils the common answer; then each is asked for alone.
func (p *Provider) fillIn(ctx context.Context, all []*database) error {
	var running []*database
	for _, d := range all {
		if phase, _ := d.phase(p.now()); phase == provider.Ready {
			running = append(running, d)
		}
	}
	err := p.render(ctx, running)
	if len(running) < 2 || !errors.Is(err, errRefused) || provider.KindOf(err) != provider.Transient {
		return err
	}
	for _, d := range running {
		if err := p.render(ctx, []*database{d}); err == nil {
			continue
		}
		now, e := p.databases(ctx, []string{d.id})
		if e != nil || len(now) > 0 {
			return err
		}
		d.gone = true
	}
	return nil
}

// databases reads projects by their ids, those that are there, in the order of ids. That one
// is not there is only believed of a token that sees its workspace.
func (p *Provider) databases(ctx context.Context, ids []string) ([]*database, error) {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !plainID(id) })
	if len(ids) == 0 {
		return nil, nil
	}
	c, began := caller{p, opObserve}, p.now()
	got, err := databases(ctx, c, ids)
	if err != nil {
		return nil, err
	}
	if got.ProjectsByIds == nil || got.ApiToken.Workspaces == nil {
		return nil, c.odd(errors.New("the projects are no list"))
	}
	var out []*database
	for _, id := range ids {
		n := slices.IndexFunc(got.ProjectsByIds, func(n projectNode) bool { return n.Id == id })
		if n < 0 {
			if p.wanted != "" { // the one that the configuration names, not any that the token sees
				if _, err := p.inWorkspace(ctx); err != nil {
					return nil, err
				}
			}
			if !p.sees(got.ApiToken.Workspaces) {
				return nil, p.fail(provider.Denied, opObserve, "the token does not see the workspace any more, so that nobody can say what is there", nil)
			}
			continue
		}
		if got.ProjectsByIds[n].DeletedAt != "" { // deleted, or to be in 48 hours
			continue
		}
		d, err := databaseOf(got.ProjectsByIds[n], began)
		if err != nil {
			return nil, c.odd(err)
		}
		out = append(out, d)
	}
	return out, nil
}

// databaseOf finds the database in a project.
func databaseOf(n projectNode, asOf time.Time) (*database, error) {
	d := &database{id: n.Id, name: n.Name, description: n.Description, asOf: asOf}
	d.mark, d.making = markIn(n.Description)
	var err error
	if d.created, err = time.Parse(time.RFC3339, n.CreatedAt); err != nil {
		return nil, fmt.Errorf("when a project was made: %w", err)
	}
	if n.Services.Edges == nil || n.Environments.Edges == nil {
		return nil, errors.New("a project's parts are no lists")
	}
	var home environmentNode
	for i, e := range n.Environments.Edges {
		if i == 0 || e.Node.Id == n.PrimaryEnvironmentId {
			home = e.Node
		}
	}
	if d.environment = home.Id; d.environment == "" {
		return d, nil
	}
	if n.PrimaryEnvironmentId != "" && home.Id != n.PrimaryEnvironmentId { // of another one it would be told what is there
		return nil, errors.New("a project's own environment is not among those that are read")
	}
	if home.ServiceInstances.Edges == nil || home.VolumeInstances.Edges == nil {
		return nil, errors.New("an environment's parts are no lists")
	}
	d.choose(n.Services, home)
	// What is late, on a page that is not read, or in another of several environments of which none is the first, is not gone.
	here := d.making || asOf.Sub(d.created) < settling || len(home.ServiceInstances.Edges) >= partsPage || n.PrimaryEnvironmentId == "" && len(n.Environments.Edges) > 1
	for _, e := range home.ServiceInstances.Edges {
		if i := e.Node; i.ServiceId == d.service && d.service != "" && i.DeletedAt == "" {
			here = true
			d.image = i.Source.Image
			if i.LatestDeployment.Id != "" {
				d.deployment = &i.LatestDeployment
			}
		}
	}
	if !here { // people take a service away in one environment, and the project keeps it for the others
		d.service = ""
	}
	for _, e := range home.VolumeInstances.Edges {
		if v := e.Node; v.ServiceId == d.service && d.service != "" && v.DeletedAt == "" && !v.IsPendingDeletion {
			d.volume = &v
		}
	}
	return d, nil
}

// choose finds the service: by its name, or where people made it, as the only one that runs an image of PostgreSQL. What
// only looks at one (an exporter) has a like image, and no volume.
func (d *database) choose(services serviceList, home environmentNode) {
	runs, holds := map[string]string{}, map[string]bool{}
	for _, e := range home.ServiceInstances.Edges {
		runs[e.Node.ServiceId] = e.Node.Source.Image
	}
	for _, e := range home.VolumeInstances.Edges {
		holds[e.Node.ServiceId] = true // one that was deleted, too: that service had the data
	}
	var alive []serviceNode
	for _, e := range services.Edges {
		if e.Node.DeletedAt == "" && e.Node.Id != "" {
			alive = append(alive, e.Node)
		}
	}
	named := func(n serviceNode) bool { return n.Name == serviceName }
	words := []string{"postgres", "postgis", "pgvector", "timescale", "paradedb"} // of images: the official one, and those that bring extensions
	image := func(n serviceNode) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(runs[n.Id], word) })
	}
	var found []serviceNode
	for _, fits := range []func(serviceNode) bool{named, func(n serviceNode) bool { return image(n) && holds[n.Id] }, image} {
		if found = slices.DeleteFunc(slices.Clone(alive), func(n serviceNode) bool { return !fits(n) }); len(found) > 0 {
			break
		}
	}
	d.others = len(alive)
	switch {
	case len(found) == 1:
		d.service = found[0].Id
		d.others--
	case len(found) > 1 && !d.ours():
		for _, n := range found {
			d.several = append(d.several, shown(n.Name))
		}
	}
	if services.PageInfo.HasNextPage {
		d.others++
	}
}

// which says what a person has to do so that one of several is known to be the database.
func (d *database) which() string {
	return "project " + shown(d.name) + " has several services that may be the database (" + strings.Join(d.several[:min(len(d.several), 5)], ", ") + "): at Railway, name the one that is " + serviceName
}

// render reads the variables, as an application would see them, and the proxies of databases
// that have a service: in one request, whose operation is made for as many as there are.
func (p *Provider) render(ctx context.Context, all []*database) error {
	if len(all) == 0 {
		return nil
	}
	var heads, fields []string
	asked := map[string]string{}
	for i, d := range all {
		heads = append(heads, fmt.Sprintf("$p%d: String!, $e%d: String!, $s%d: String!", i, i, i))
		fields = append(fields, fmt.Sprintf("  v%d: variables(projectId: $p%d, environmentId: $e%d, serviceId: $s%d)", i, i, i, i),
			fmt.Sprintf("  t%d: tcpProxies(environmentId: $e%d, serviceId: $s%d) { id applicationPort syncStatus createdAt deletedAt }", i, i, i))
		asked[fmt.Sprintf("p%d", i)], asked[fmt.Sprintf("e%d", i)], asked[fmt.Sprintf("s%d", i)] = d.id, d.environment, d.service
	}
	c := caller{p, opObserve}
	got := map[string]json.RawMessage{}
	req := &graphql.Request{OpName: "rendered", Variables: asked, Query: "query rendered(" + strings.Join(heads, ", ") + ") {\n" + strings.Join(fields, "\n") + "\n}"}
	if err := c.MakeRequest(ctx, req, &graphql.Response{Data: &got}); err != nil {
		return err
	}
	for i, d := range all {
		if err := d.readInto(got[fmt.Sprintf("v%d", i)], got[fmt.Sprintf("t%d", i)]); err != nil {
			return c.odd(err)
		}
	}
	return nil
}

func (d *database) readInto(variables, proxies json.RawMessage) error {
	var all []proxy
	if err := errors.Join(json.Unmarshal(variables, &d.variables), json.Unmarshal(proxies, &all)); err != nil {
		return err
	}
	if d.variables == nil || all == nil {
		return errors.New("the variables or the proxies are none")
	}
	d.proxies = nil
	for _, x := range all {
		if x.ApplicationPort == port && x.DeletedAt == "" && x.SyncStatus != "DELETING" && x.SyncStatus != "DELETED" {
			d.proxies = append(d.proxies, x)
		}
	}
	d.read = true
	return nil
}

// running says that a deployment is up. SLEEPING is up but idle.
func running(s DeploymentStatus) bool {
	return s == DeploymentStatusSuccess || s == DeploymentStatusSleeping
}

// under says that a deployment is under way; a status that is not known is one.
func under(s DeploymentStatus) bool {
	switch s {
	case DeploymentStatusFailed, DeploymentStatusCrashed, DeploymentStatusRemoved, DeploymentStatusSkipped, DeploymentStatusNeedsApproval:
		return false
	}
	return !running(s)
}

// ended says that a deployment came to nothing, or is over.
func ended(s DeploymentStatus) bool {
	return !running(s) && !under(s) && s != DeploymentStatusNeedsApproval
}

// phase is how far a database is, before its variables are read.
func (d *database) phase(now time.Time) (provider.Phase, string) {
	late := func(what string) (provider.Phase, string) {
		if now.Sub(d.created) < settling {
			return provider.Progressing, "its " + what + " does not show yet"
		}
		return provider.Failed, "its " + what + " is gone, and the data with it: restore it at Railway"
	}
	switch {
	case d.making:
		return provider.Unfinished, "its making was cut off"
	case len(d.several) > 0:
		return provider.Failed, d.which()
	case d.service == "":
		return late("service")
	case d.deployment == nil:
		return provider.Unfinished, "it was not deployed yet"
	case d.deployment.Status == DeploymentStatusNeedsApproval:
		return provider.Manual, "approve the deployment of " + shown(d.name) + " at Railway"
	case under(d.deployment.Status):
		return provider.Progressing, "its deployment is " + shown(strings.ToLower(string(d.deployment.Status)))
	case d.lost(now): // without its volume the image ends at once
		return late("volume")
	case !running(d.deployment.Status):
		return provider.Failed, "its deployment ended as " + shown(strings.ToLower(string(d.deployment.Status))) + "; its log is at Railway"
	case d.volume == nil:
		return late("volume")
	}
	return provider.Ready, ""
}

// lost says that what held the data was deleted in the project. One that people made may never have had a volume.
func (d *database) lost(now time.Time) bool {
	switch {
	case d.making || len(d.several) > 0 || now.Sub(d.created) < settling:
		return false
	case d.service == "":
		return true
	}
	return d.volume == nil && d.deployment != nil && !under(d.deployment.Status) && d.ours()
}

// ours says that it was made here: then its service has our name for it, and a volume.
func (d *database) ours() bool { return !d.mark.IsZero() && provider.NamedMark(d.name) == d.mark }

// object is the database as the engine sees it. What it gives is told once it is ready.
func (d *database) object(now time.Time) provider.Object {
	o := provider.Object{ID: d.id, Kind: state.KindDatabase, Name: d.name, Mark: d.mark, Outputs: []provider.Output{{Name: "id", Text: d.id}}}
	o.Phase, o.Message = d.phase(now)
	o.Lost = d.lost(now)
	if o.Phase != provider.Ready {
		return o
	}
	access, name := private, privateURL
	if len(d.proxies) > 0 {
		access, name = public, publicURL
	}
	host, ok := connection(d.variables[name])
	switch {
	case !d.read || !ok:
		o.Phase, o.Message = provider.Progressing, "its address is not there yet"
		return o
	case slices.ContainsFunc(d.proxies, func(x proxy) bool { return x.SyncStatus == "CREATING" || x.SyncStatus == "UPDATING" }):
		o.Phase, o.Message = provider.Progressing, "its public address is being made"
		return o
	}
	if d.volume != nil {
		o.Bytes = int64(min(max(d.volume.CurrentSizeMB, 0), maxVolumeMB)) << 20
	}
	url := state.NewSecret(d.variables[name])
	o.Outputs = append(o.Outputs, provider.Output{Name: "host", Text: host}, provider.Output{Name: "url", Secret: &url})
	o.Attributes = []provider.Observed{{Name: "access", Text: access}}
	if k, ok := d.kept(); ok {
		o.Attributes = append(o.Attributes, provider.Observed{Name: "disabled", Text: k.Disabled}, provider.Observed{Name: "schema", Text: k.Schema})
	}
	return o
}

// kept are the attributes that a database has in its variables; one that people made has none.
func (d *database) kept() (k kept, ok bool) {
	text := d.variables[attributesOf]
	return k, text != "" && len(text) <= 3*maxText && json.Unmarshal([]byte(text), &k) == nil
}
