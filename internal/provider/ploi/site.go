package ploi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// addressAge is how long a server's address is believed.
const addressAge = 10 * time.Minute

// webDirectory is the folder that a new site serves files from.
const webDirectory = "/public"

// The vendor's words for how a site is.
const (
	statusActive    = "active"
	statusFailed    = "deploy-failed"
	statusDeploying = "deploying"
	statusSuspended = "suspended"
	statusDeleting  = "deleting"
)

// settled says that the vendor works at nothing.
func (s site) settled() bool {
	return s.Status == statusActive || s.Status == statusFailed || s.Status == statusSuspended
}

// getSite reads a site; nil: it is not there, or on its way out.
func (p *Provider) getSite(ctx context.Context, at siteID) (*site, error) {
	s, err := p.anySite(ctx, at)
	if err != nil || s == nil || s.Status == statusDeleting {
		return nil, err
	}
	return s, nil
}

// anySite reads a site; nil: it is not there.
func (p *Provider) anySite(ctx context.Context, at siteID) (*site, error) {
	var got one[site]
	found, err := p.read(ctx, at.path(), nil, &got)
	if err == nil && !found {
		_, err = p.sees(ctx, opObserve, at.server)
	}
	if err != nil || !found {
		return nil, err
	}
	if strconv.FormatInt(got.Data.ID, 10) != at.site {
		return nil, fail(opObserve, provider.Transient, "asked for site "+at.String()+", it answered with another one")
	}
	return &got.Data, nil
}

// seeSite is the site as an object; nil: it is not there. Of one that is being deleted nobody
// can tell yet: its deletion may come to nothing.
func (p *Provider) seeSite(ctx context.Context, at siteID) (*provider.Object, error) {
	s, err := p.anySite(ctx, at)
	if err != nil || s == nil {
		return nil, err
	}
	if s.Status == statusDeleting {
		return nil, fail(opObserve, provider.Transient, "site "+at.String()+" is being deleted there")
	}
	o, err := p.siteObject(ctx, at, *s)
	if err != nil {
		return nil, err
	}
	if o.Name == "" { // not made here: whether it was marked stands in its files
		if o.Mark, err = p.markOf(ctx, at, *s); err != nil {
			return nil, err
		}
		if !o.Mark.IsZero() {
			o.Name = provider.ObjectName(o.Mark, state.Ref{Kind: state.KindSite})
		}
	}
	return &o, nil
}

// markOf is whose a site is that was not made here: where a release of ours was deployed its
// script says it, else its .env.
func (p *Provider) markOf(ctx context.Context, at siteID, s site) (provider.Mark, error) {
	if h, _ := readScript(string(s.DeployScript)); !h.mark.IsZero() {
		return h.mark, nil
	}
	f, _, err := p.getEnv(ctx, at)
	return f.mark(), err
}

// siteObject is what a row of a list or an answer says of a site. Label and runtime are
// nobody's business at the vendor and are left out; of the repository it is known whether
// there is one.
func (p *Provider) siteObject(ctx context.Context, at siteID, s site) (provider.Object, error) {
	ip, err := p.addressOf(ctx, at.server)
	if err != nil {
		return provider.Object{}, err
	}
	o := provider.Object{ID: at.String(), Kind: state.KindSite, Phase: provider.Ready}
	o.Name, o.Mark = readRoot(s.Domain)
	if !s.HasRepository && s.settled() {
		o.Attributes = append(o.Attributes, provider.Observed{Name: "repository"})
	}
	// On the server that a wish without one means it can't be told what the wish said.
	if usual, err := p.serverNamed("", opObserve); err != nil || usual != at.server {
		o.Attributes = append(o.Attributes, provider.Observed{Name: "server", Text: p.names[at.server]})
	}
	address, host := "", s.Domain
	if test := provider.Line(string(s.TestDomain), maxHost); isHost(test) {
		address, host = "http://"+test, test
	}
	o.Outputs = []provider.Output{{Name: "address", Text: ip}, {Name: "host", Text: provider.Line(host, maxHost)}, {Name: "id", Text: o.ID}, {Name: "url", Text: address}}
	switch {
	case s.Status == statusSuspended:
		o.Phase, o.Message = provider.Manual, "the site is suspended at Ploi: resume it there"
	case s.settled(), s.Status == statusDeploying:
	default: // being made, being installed, or a word that is new
		o.Phase, o.Message = provider.Progressing, "its status at Ploi is "+quote(string(s.Status))
	}
	return o, nil
}

// addressOf is a server's address.
func (p *Provider) addressOf(ctx context.Context, number string) (string, error) {
	p.mu.Lock()
	a, known := p.addresses[number]
	p.mu.Unlock()
	if known && p.o.Now().Sub(a.at) < addressAge {
		return a.text, nil
	}
	var got one[server]
	found, err := p.read(ctx, "/servers/"+number, nil, &got)
	if err != nil {
		return "", err
	}
	if !found {
		return "", fail(opObserve, provider.Denied, fmt.Sprintf("Ploi shows this token no server %s (%s)", number, p.names[number]))
	}
	ip := provider.Line(string(got.Data.Address), maxWord)
	if ip == "" { // it is being made: an empty address would be on record, and in DNS, for good
		return "", fail(opObserve, provider.Transient, fmt.Sprintf("the server %s (%s) has no address at Ploi yet", p.names[number], number))
	}
	p.mu.Lock()
	p.addresses[number] = address{ip, p.o.Now()}
	p.mu.Unlock()
	return ip, nil
}

// sees says whether a server is there, where Ploi says 404 of it, or of what is on it. It says so, too, of all that another
// account has: where the token sees none of the servers, nothing is gone.
func (p *Provider) sees(ctx context.Context, op, number string) (bool, error) {
	for _, n := range append([]string{number}, p.order...) {
		p.mu.Lock()
		a, known := p.addresses[n]
		p.mu.Unlock()
		if known && p.o.Now().Sub(a.at) < addressAge {
			return n == number, nil
		}
		if found, err := p.read(ctx, "/servers/"+n, nil, nil); err != nil || found {
			return n == number, err
		}
	}
	return false, fail(op, provider.Denied, "Ploi shows this token none of the servers in providers.ploi.servers: set providers.ploi.apiToken to one of the account, and team, that has them; where they were deleted, name another one that is there, too")
}

// sitesOn reads the sites of a server; one that was deleted has none.
func (p *Provider) sitesOn(ctx context.Context, number string, query url.Values, enough func(site) bool) ([]site, error) {
	rows, err := list(ctx, p, "/servers/"+number+"/sites", query, enough, siteNumber)
	if !errors.Is(err, errNoList) {
		return rows, err
	}
	if there, failed := p.sees(ctx, opObserve, number); failed != nil || !there {
		return nil, failed
	}
	return nil, err
}

// serverOf is the id of the server that a wish chooses.
func (p *Provider) serverOf(w provider.Wish, op string) (string, error) {
	return p.serverNamed(w.Get("server"), op)
}

func (p *Provider) serverNamed(name, op string) (string, error) {
	if name == "" && len(p.order) == 1 {
		return p.order[0], nil
	}
	asked := name
	if name == "" {
		name = "default"
	}
	number, ok := p.o.Servers[name]
	if !ok && asked == "" {
		return "", fail(op, provider.Invalid, "deployment.server is not said, and there are several in providers.ploi.servers: say which, or call the one that is meant then `default` there")
	}
	if !ok {
		return "", fail(op, provider.Invalid, fmt.Sprintf("no server is named %s in providers.ploi.servers", quote(name)))
	}
	return number, nil
}

// sitesNamed looks for a site by the root domain that its name makes: on the wish's server,
// or on all. Lists may be late.
func (p *Provider) sitesNamed(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	root, ok := rootOf(q.Name)
	if !ok {
		return nil, nil
	}
	servers := p.order
	if q.Wish != nil {
		number, err := p.serverOf(*q.Wish, opObserve)
		if err != nil {
			return nil, nil //nolint:nilerr // nothing is on a server that is not ours
		}
		servers = []string{number}
	}
	var out []provider.Object
	for _, number := range servers {
		is := func(s site) bool { return s.Domain == root }
		rows, err := p.sitesOn(ctx, number, url.Values{"search": {root}}, is)
		if err != nil {
			return nil, err
		}
		for _, s := range rows {
			if !is(s) || s.Status == statusDeleting || s.ID <= 0 {
				continue
			}
			o, err := p.siteObject(ctx, siteID{number, strconv.FormatInt(s.ID, 10)}, s)
			if err != nil {
				return nil, err
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// makeSite makes a site with its repository and an address of its own. What fails once the
// site is there is left to an update: a site without its repository differs from its wish.
func (p *Provider) makeSite(ctx context.Context, w provider.Wish) (provider.Object, error) {
	root, ok := rootOf(w.Name)
	if !ok {
		return provider.Object{}, fail(opCreate, provider.Invalid, "a site can't be named "+quote(w.Name))
	}
	number, err := p.serverOf(w, opCreate)
	if err != nil {
		return provider.Object{}, err
	}
	var got one[site]
	err = p.write(ctx, opCreate, http.MethodPost, "/servers/"+number+"/sites", map[string]string{"root_domain": root, "web_directory": webDirectory}, &got)
	if err != nil {
		return provider.Object{}, p.siteRefused(err, number)
	}
	at := siteID{number, strconv.FormatInt(got.Data.ID, 10)}
	if got.Data.ID <= 0 || got.Data.Domain != root {
		return provider.Object{}, fail(opCreate, provider.Uncertain, "it answered a create with another site")
	}
	leave, err := p.locks.enter(ctx, at, opCreate)
	if err == nil {
		defer leave()
		got.Data = p.furnish(ctx, at, got.Data, w)
	}
	o, err := p.siteObject(ctx, at, got.Data)
	if err != nil { // the server's address is not known yet: a look tells it
		o = provider.Object{ID: at.String(), Kind: state.KindSite, Name: w.Name, Mark: w.Mark, Phase: provider.Progressing}
	}
	return o, nil
}

// siteRefused says what a refused create of a site means. Its name is well-formed, so that
// what is wrong with it can only be that it is taken; 422 is also all that the vendor gives
// for other fields.
func (p *Provider) siteRefused(err error, server string) error {
	switch provider.KindOf(err) {
	case provider.NotFound:
		return because(opCreate, provider.Invalid, "Ploi has no server "+quote(server)+" for this token: see providers.ploi.servers", err)
	case provider.Invalid:
	default:
		return err
	}
	fields := refusedFields(err)
	for _, f := range fields {
		if f != "root_domain" {
			return err
		}
	}
	return because(opCreate, provider.Conflict, "a site of that name exists", err)
}

// furnish waits for a new site, gives it an address of its own and its repository, and
// returns it as it was last seen.
func (p *Provider) furnish(ctx context.Context, at siteID, s site, w provider.Wish) site {
	seen, err := p.waitFor(ctx, at, site.settled)
	if seen != nil {
		s = *seen
	}
	if err != nil || !s.settled() {
		return s
	}
	// An address at which it can be proved before a name leads to it. Where there is none it
	// is proved later.
	_ = p.write(ctx, opCreate, http.MethodPost, at.path()+"/test-domain", nil, nil)
	if !hosted(w.Get("repository")) || s.HasRepository {
		if again, err := p.getSite(ctx, at); err == nil && again != nil {
			return *again
		}
		return s
	}
	if err := p.install(ctx, opCreate, at, w.Get("repository"), p.o.Branch); err != nil {
		return s
	}
	if seen, _ = p.waitFor(ctx, at, site.settled); seen != nil {
		s = *seen
	}
	return s
}

// waitFor looks at a site until it is as it should be, or patience ends: then it returns it
// as it is. nil: it is gone.
func (p *Provider) waitFor(ctx context.Context, at siteID, is func(site) bool) (*site, error) {
	for n, waits := 0, patient(); ; n++ {
		s, err := p.getSite(ctx, at)
		if err != nil || s == nil || is(*s) || n >= len(waits) {
			return s, err
		}
		if err := p.o.Sleep(ctx, waits[n]); err != nil {
			return s, gaveUp(ctx, opObserve)
		}
	}
}

// hosted says that a repository is one that can be installed.
func hosted(repository string) bool { return repository != "" && repository != "builtin" }

// source is a repository in the vendor's words.
func source(repository string) (provider, name string) {
	if strings.Contains(repository, "://") || strings.Contains(repository, "@") {
		if !strings.HasSuffix(repository, ".git") {
			repository += ".git" // the vendor wants it so
		}
		return "custom", repository
	}
	return "github", repository
}

// install begins to install a repository.
func (p *Provider) install(ctx context.Context, op string, at siteID, repository, branch string) error {
	from, name := source(repository)
	return p.write(ctx, op, http.MethodPost, at.path()+"/repository", map[string]string{"provider": from, "branch": branch, "name": name}, nil)
}

// changeSite brings a site to its wish: its repository, its mark. A label is nothing there.
func (p *Provider) changeSite(ctx context.Context, at siteID, w provider.Wish) (provider.Object, error) {
	s, err := p.getSite(ctx, at)
	if err != nil {
		return provider.Object{}, err
	}
	if s == nil {
		return provider.Object{}, p.absent(w.Ref.Kind, at.String())
	}
	if number, err := p.serverOf(w, opUpdate); w.Get("server") != "" && (err != nil || number != at.server) { // one that asks for none stays where it is
		return provider.Object{}, fail(opUpdate, provider.Invalid, "a site stays on its server; another one is another site")
	}
	if repository := w.Get("repository"); hosted(repository) {
		if s, err = p.changeRepository(ctx, at, *s, repository); err != nil {
			return provider.Object{}, err
		}
	}
	if _, mark := readRoot(s.Domain); mark.IsZero() {
		if err := p.markEnv(ctx, at, w.Mark); err != nil {
			return provider.Object{}, err
		}
	}
	o, err := p.siteObject(ctx, at, *s)
	if err != nil {
		return provider.Object{}, err
	}
	if o.Name == "" {
		o.Name, o.Mark = w.Name, w.Mark
	}
	return o, nil
}

// changeRepository installs the repository where there is none, or another one.
func (p *Provider) changeRepository(ctx context.Context, at siteID, s site, repository string) (*site, error) {
	var was env
	var there bool
	// What is being made or installed may be what an earlier call asked for.
	if !s.settled() && s.Status != statusDeploying {
		seen, err := p.waitFor(ctx, at, site.settled)
		if err != nil || seen == nil || !seen.settled() {
			return nil, because(opUpdate, provider.Transient, "the site is not ready", err)
		}
		s = *seen
	}
	if s.HasRepository {
		same, _, err := p.hasRepository(ctx, at, repository)
		if err != nil || same {
			return &s, err
		}
		if s.Status == statusDeploying {
			return nil, fail(opUpdate, provider.Transient, "the site is being deployed; its repository is changed after that")
		}
		if was, there, err = p.getEnv(ctx, at); err != nil {
			return nil, err
		}
		if err := p.write(ctx, opUpdate, http.MethodDelete, at.path()+"/repository", nil, nil); err != nil {
			return nil, err
		}
		seen, err := p.waitFor(ctx, at, func(s site) bool { return s.settled() && !s.HasRepository })
		if err != nil || seen == nil {
			return nil, because(opUpdate, provider.Uncertain, "the repository is being taken away", err)
		}
	}
	if err := p.install(ctx, opUpdate, at, repository, p.o.Branch); err != nil {
		return nil, err
	}
	seen, err := p.waitFor(ctx, at, site.settled)
	if err != nil || seen == nil {
		return nil, because(opUpdate, provider.Uncertain, "the repository is being installed", err)
	}
	if there {
		return seen, p.restoreEnv(ctx, at, was)
	}
	return seen, nil
}

// hasRepository says whether the site is deployed from a repository, and by itself at each
// push.
func (p *Provider) hasRepository(ctx context.Context, at siteID, repository string) (same, quick bool, err error) {
	var got one[siteWithRepository]
	found, err := p.read(ctx, at.path()+"/repository", nil, &got)
	if err != nil || !found || got.Data.Repository == nil {
		return false, false, err
	}
	r := got.Data.Repository
	name := string(r.Name)
	if name != "" && !strings.Contains(name, "/") && r.User != "" {
		name = string(r.User) + "/" + name
	}
	_, want := source(repository)
	// Where it doesn't say its whole name nothing is concluded from it.
	return name == "" || !strings.Contains(name, "/") || strings.EqualFold(name, want), got.Data.QuickDeploy, nil
}

// removeSite deletes a site and waits until it is gone: its name is free only then.
func (p *Provider) removeSite(ctx context.Context, at siteID) error {
	if err := p.write(ctx, opDelete, http.MethodDelete, at.path(), nil, nil); err != nil {
		if err = gone(err); err == nil {
			_, err = p.sees(ctx, opDelete, at.server)
		}
		return err
	}
	for n, waits := 0, patient(); ; n++ {
		found, err := p.read(ctx, at.path(), nil, nil)
		switch {
		case err != nil:
			return because(opDelete, provider.Uncertain, "the site is being deleted", err)
		case !found:
			return nil
		case n >= len(waits):
			return fail(opDelete, provider.Uncertain, "the site is still being deleted")
		}
		if err := p.o.Sleep(ctx, waits[n]); err != nil {
			return because(opDelete, provider.Uncertain, "the site is being deleted", gaveUp(ctx, opDelete))
		}
	}
}
