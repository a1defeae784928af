package ploi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of logs.
const (
	maxLines  = 400      // of a build log
	maxLine   = 16 << 10 // characters; who tells it cuts it, once secrets are out of it
	maxLogs   = 3        // entries that are read to find a deployment's
	maxWaited = 10_000
	logLag    = 30 * time.Second // how long one is waited for once the status tells the end
)

// never stands for the time of a site's last deployment where there was none.
const never = "never"

func lastDeploy(s site) string {
	if at := provider.Line(string(s.LastDeployAt), maxWord); at != "" {
		return at
	}
	return never
}

// seeDeployment is a release as an object; nil: it is not what the site builds or built
// last. Without a name it is the one that is there.
func (p *Provider) seeDeployment(ctx context.Context, at id) (*provider.Object, error) {
	s, err := p.getSite(ctx, at.siteID)
	if err != nil || s == nil {
		return nil, err
	}
	h, _ := readScript(string(s.DeployScript))
	if h.release == "" {
		return p.seeAdopted(ctx, at, *s, h)
	}
	before := at.word != "" && at.word != h.release
	if before && at.word != h.serves || uninstalled(*s) {
		return nil, nil
	}
	o := deploymentObject(at.siteID, *s, h)
	began, err := p.progress(ctx, at.siteID, *s, h, o)
	switch {
	case err == nil && before && !began: // the script names a release that was never begun: what served before it does so still
		return deploymentObject(at.siteID, *s, header{mark: h.mark, release: h.serves}), nil
	case err != nil || before || !began:
		return nil, err
	}
	if o.Phase != provider.Progressing && o.Log == nil && p.lagging(o.ID) {
		o.Phase, o.Message = provider.Progressing, "it is done; its log is not there yet"
	}
	return o, nil
}

// uninstalled says that a site's repository was taken away, and what was built of it with that.
func uninstalled(s site) bool { return !s.HasRepository && s.settled() }

// seeAdopted is what serves a site that was deployed by others, as a release.
func (p *Provider) seeAdopted(ctx context.Context, at id, s site, h header) (*provider.Object, error) {
	name, _ := readRoot(s.Domain)
	if at.word != "" && at.word != adoptedRelease || name != "" || !h.mark.IsZero() || !s.HasRepository || lastDeploy(s) == never {
		return nil, nil
	}
	o := deploymentObject(at.siteID, s, header{release: adoptedRelease})
	o.Name = ""
	var got one[siteWithRepository]
	if found, err := p.read(ctx, at.path()+"/repository", nil, &got); err != nil {
		return nil, err
	} else if r := got.Data.Repository; found && r != nil {
		o.Attributes = r.attributes(at.siteID)
	}
	return o, nil
}

// attributes are what a repository says of the release that was deployed from it.
func (r *repository) attributes(at siteID) []provider.Observed {
	name := provider.Line(string(r.Name), maxHost)
	if name != "" && !strings.Contains(name, "/") && r.User != "" {
		name = provider.Line(string(r.User), maxWord) + "/" + name
	}
	return []provider.Observed{{Name: "ref", Text: provider.Line(string(r.Branch), maxHost)}, {Name: "repository", Text: name}, {Name: "site", Text: at.String()}}
}

// progress says how far the release of a script is, into o. began is false where it was
// written down and never begun.
//
// Whether it ran is told by the time of the site's last deployment, which is another one
// than when the script was written, or by the status; where both are the same, by the log,
// in which the script says its name first.
func (p *Provider) progress(ctx context.Context, at siteID, s site, h header, o *provider.Object) (began bool, err error) {
	if !s.settled() {
		o.Phase = provider.Progressing
		o.Message = "the site's status at Ploi is " + quote(string(s.Status))
		o.Log = lines(string(s.Log))
		p.watch(o.ID)
		return true, nil
	}
	began = lastDeploy(s) != h.since || h.was != "" && s.Status != statusSuspended && string(s.Status) != h.was
	if began && s.Status == statusActive && !p.watches(o.ID) {
		return true, nil
	}
	log, found, err := p.logOf(ctx, at, h)
	switch {
	case err != nil:
		return false, err
	case !began && !found && p.lagging(o.ID): // it was accepted a moment ago, or its log is late
		o.Phase, o.Message = provider.Progressing, "Ploi does not show it yet"
		return true, nil
	case !began && !found:
		return false, nil
	}
	o.Log = log
	if s.Status == statusFailed {
		o.Phase = provider.Failed
		o.Message = "the deployment failed at Ploi"
		if n := len(log); n > 0 {
			o.Message += ": " + provider.Line(log[n-1], maxLine)
		}
	}
	if found {
		p.unwatch(o.ID)
	}
	return true, nil
}

// watch notes that a release's end is to be told with its log.
func (p *Provider) watch(object string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.watched) < maxWaited {
		p.watched[object] = time.Time{}
	}
}

func (p *Provider) watches(object string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, on := p.watched[object]
	return on
}

func (p *Provider) unwatch(object string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watched, object)
}

// lagging says that the log of a release that has just ended may still come: logs are a few
// seconds later than the status.
func (p *Provider) lagging(object string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	since, on := p.watched[object]
	switch {
	case !on:
		return false
	case since.IsZero():
		p.watched[object] = p.o.Now()
		return true
	case p.o.Now().Sub(since) < logLag:
		return true
	}
	delete(p.watched, object)
	return false
}

// logOf is the log of a release's deployment; found is false where it has none (yet).
func (p *Provider) logOf(ctx context.Context, at siteID, h header) (log []string, found bool, err error) {
	var got page[logEntry]
	if ok, err := p.read(ctx, at.path()+"/log", url.Values{"per_page": {"5"}}, &got); err != nil || !ok {
		return nil, false, err
	}
	for n, e := range got.Data {
		if n >= maxLogs || e.ID <= 0 {
			break
		}
		var entry one[logEntry]
		ok, err := p.read(ctx, at.path()+"/log/"+strconv.FormatInt(e.ID, 10), nil, &entry)
		if err != nil {
			return nil, false, err
		}
		if ok && strings.Contains(string(entry.Data.Content), told(h)) {
			return lines(string(entry.Data.Content)), true, nil
		}
	}
	return nil, false, nil
}

// lines are a log's last ones, cleaned.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(all) > maxLines {
		all = all[len(all)-maxLines:]
	}
	out := make([]string, len(all))
	for n, l := range all {
		out[n] = provider.Line(l, maxLine)
	}
	return out
}

// deploy builds a release where it serves. The script names it before the deployment is
// begun, and no deployment is begun while one runs or while this one may have: so a lost
// answer never leads to a second one.
func (p *Provider) deploy(ctx context.Context, at siteID, w provider.Wish) (provider.Object, error) {
	if !words.MatchString(w.Name) || w.Get("commit") == "" && w.Get("ref") == "" || !hosted(w.Get("repository")) {
		return provider.Object{}, fail(opCreate, provider.Invalid, "Ploi deploys a commit of a repository: the source names none")
	}
	s, err := p.idle(ctx, at, opCreate, w.Name)
	if err != nil {
		return provider.Object{}, err
	}
	if !s.HasRepository {
		if s, err = p.installFor(ctx, at, w); err != nil {
			return provider.Object{}, err
		}
	}
	if s, err = p.addressed(ctx, at, s); err != nil {
		return provider.Object{}, err
	}
	if err := p.slow(ctx, at, *s); err != nil {
		return provider.Object{}, err
	}
	old, _ := readScript(string(s.DeployScript))
	h := header{mark: w.Mark, release: w.Name, serves: old.serves, try: p.o.Now().UTC().Format(time.RFC3339Nano), since: lastDeploy(*s), was: string(s.Status), wish: said(w)}
	if old.release != "" {
		o := deploymentObject(at, *s, old)
		began, err := p.progress(ctx, at, *s, old, o)
		if err != nil {
			return provider.Object{}, err
		}
		switch {
		case began && old.release == w.Name:
			return provider.Object{}, fail(opCreate, provider.Conflict, "the site has that release")
		case began && o.Phase == provider.Ready && old.serves != "":
			h.serves = old.release
		case !began && old.release == w.Name:
			h.try, h.since, h.was = old.try, old.since, old.was // its script is there: it was never begun
		}
	}
	if err := p.putScript(ctx, opCreate, at, string(s.DeployScript), h.text()+body(*s, h, w)); err != nil {
		return provider.Object{}, err
	}
	if err := p.startDeploy(ctx, at); err != nil {
		return provider.Object{}, err
	}
	o := deploymentObject(at, *s, h)
	o.Phase = provider.Progressing
	p.watch(o.ID)
	return *o, nil
}

// idle reads the site and refuses while the vendor works at it: at the release that is to be
// made ("": at any), or at something else.
func (p *Provider) idle(ctx context.Context, at siteID, op, release string) (*site, error) {
	s, err := p.getSite(ctx, at)
	switch {
	case err != nil:
		return nil, err
	case s == nil && op == opCreate:
		return nil, fail(op, provider.Invalid, "there is no site "+at.String())
	case s == nil:
		return nil, fail(op, provider.NotFound, "there is no site "+at.String())
	case s.Status == statusSuspended:
		return nil, fail(op, provider.Invalid, "the site is suspended at Ploi: resume it there")
	case !s.settled():
		if h, _ := readScript(string(s.DeployScript)); op == opCreate && release != "" && h.release == release {
			return nil, fail(op, provider.Conflict, "that release is being deployed")
		}
		return nil, fail(op, provider.Transient, "the site's status at Ploi is "+quote(string(s.Status))+"; only one thing is done at a time")
	}
	return s, nil
}

// installFor installs the repository with what is wanted, where the site has none.
func (p *Provider) installFor(ctx context.Context, at siteID, w provider.Wish) (*site, error) {
	branch := w.Get("ref")
	if branch == "" {
		branch = p.o.Branch
	}
	if err := p.install(ctx, opCreate, at, w.Get("repository"), branch); err != nil {
		return nil, err
	}
	s, err := p.waitFor(ctx, at, site.settled)
	if err != nil || s == nil || !s.settled() {
		return nil, because(opCreate, provider.Transient, "the repository is being installed", err)
	}
	if !s.HasRepository {
		return nil, fail(opCreate, provider.Invalid, "Ploi could not install "+quote(w.Get("repository"))+": does its account reach it, and is there a branch "+quote(branch)+"?")
	}
	return s, nil
}

// addressed sees to it that a site of ours has an address of its own before its first release,
// for what is done there before names lead to it. A site whose create's answer was lost has
// none yet, and neither has one whose address could not be asked for then. Where the vendor
// gives none the release is proved later.
func (p *Provider) addressed(ctx context.Context, at siteID, s *site) (*site, error) {
	_, mark := readRoot(s.Domain)
	if isHost(string(s.TestDomain)) || mark.IsZero() || lastDeploy(*s) != never {
		return s, nil
	}
	err := p.write(ctx, opCreate, http.MethodPost, at.path()+"/test-domain", nil, nil)
	switch provider.KindOf(err) {
	case provider.Invalid, provider.NotFound, provider.Conflict, provider.Unsupported:
		return s, nil
	case provider.RateLimited, provider.Denied:
		return nil, err
	}
	again, failed := p.getSite(ctx, at)
	switch {
	case failed == nil && again != nil && (err == nil || isHost(string(again.TestDomain))):
		return again, nil
	case failed == nil && again == nil:
		return nil, p.absent(state.KindDeployment, at.String())
	}
	return nil, because(opCreate, provider.Transient, "the site has no address of its own yet", errors.Join(err, failed)) // asked for again it does no harm
}

// slow turns quick deploy off, which would deploy by itself at each push. The call turns it
// over, so that it is made only after a look.
func (p *Provider) slow(ctx context.Context, at siteID, s site) error {
	var quick bool
	if s.QuickDeploy != nil {
		quick = *s.QuickDeploy
	} else {
		var err error
		if _, quick, err = p.hasRepository(ctx, at, ""); err != nil {
			return err
		}
	}
	if !quick {
		return nil
	}
	return p.write(ctx, opCreate, http.MethodPost, at.path()+"/repository/quick-deploy", nil, nil)
}

// putScript replaces the deploy script and looks until it shows: it is written in the
// background, and a deployment that begins earlier runs the old one.
func (p *Provider) putScript(ctx context.Context, op string, at siteID, was, text string) error {
	if was == text {
		return nil
	}
	if text == "" {
		text = "#\n"
	}
	in := map[string]string{"deploy_script": text}
	if err := p.write(ctx, op, http.MethodPatch, at.path()+"/deploy/script", in, nil); err != nil {
		return err
	}
	for n, waits := 0, delays(); ; n++ {
		var got struct {
			Script word `json:"deploy_script"`
		}
		_, err := p.read(ctx, at.path()+"/deploy/script", nil, &got)
		if err == nil && strings.TrimSpace(string(got.Script)) == strings.TrimSpace(text) {
			return nil
		}
		if err == nil && n < len(waits) {
			if err = p.o.Sleep(ctx, waits[n]); err == nil {
				continue
			}
		}
		return because(op, provider.Uncertain, "its deploy script does not show what was written", err)
	}
}

// startDeploy begins a deployment. The vendor's own program reads an `error` from an answer
// of success, too; what is answered while one is running is not documented, so that a
// refusal is looked into.
func (p *Provider) startDeploy(ctx context.Context, at siteID) error {
	_, err := p.api.Do(ctx, httpapi.Call{Op: opCreate, Method: http.MethodPost, Path: at.path() + "/deploy", Header: agent(), Failed: func(a httpapi.Answer) bool {
		var f failure
		return json.Unmarshal(a.Body, &f) == nil && f.Error != ""
	}})
	if err == nil || provider.KindOf(err) != provider.Invalid {
		return permission(http.MethodPost, at.path()+"/deploy", err)
	}
	if s, e := p.getSite(ctx, at); e == nil && s != nil && !s.settled() {
		return because(opCreate, provider.Transient, "the site is being deployed already", err)
	}
	return err
}

// sameDeployment is the answer to an update: a release never changes.
func (p *Provider) sameDeployment(ctx context.Context, at id, w provider.Wish) (provider.Object, error) {
	o, err := p.seeDeployment(ctx, at)
	switch {
	case err != nil:
		return provider.Object{}, err
	case o == nil:
		return provider.Object{}, p.absent(w.Ref.Kind, at.releaseID(at.word))
	case w.Name != at.word:
		return provider.Object{}, fail(opUpdate, provider.Invalid, "a deployment never changes; create another one")
	}
	return *o, nil
}

// forget takes a release's name out of the deploy script. What it built stays where it is
// until another one is built: the vendor has nothing to delete.
func (p *Provider) forget(ctx context.Context, at id) error {
	s, err := p.getSite(ctx, at.siteID)
	if err != nil || s == nil {
		return err
	}
	h, rest := readScript(string(s.DeployScript))
	if h.release != at.word {
		return nil
	}
	if !s.settled() {
		return fail(opDelete, provider.Transient, "a deployment can't be stopped at Ploi; it is let go when it ends")
	}
	h.release, h.try, h.since, h.was, h.wish = "", "", "", "", nil
	return gone(p.putScript(ctx, opDelete, at.siteID, string(s.DeployScript), h.text()+rest))
}

// gone takes NotFound of a delete for what was wanted.
func gone(err error) error {
	if err != nil && provider.KindOf(err) == provider.NotFound {
		return nil
	}
	return err
}

// partsOfRow are the release and the traffic that a row of a list shows.
func (p *Provider) partsOfRow(ctx context.Context, at siteID, s site) ([]provider.Object, error) {
	h, _ := readScript(string(s.DeployScript))
	var out []provider.Object
	if uninstalled(s) {
		return nil, nil
	}
	if h.release != "" {
		o := deploymentObject(at, s, h)
		began, err := p.progress(ctx, at, s, h, o)
		if err != nil {
			return nil, err
		}
		if began {
			out = append(out, *o)
		}
	}
	if h.serves != "" && s.Status != statusSuspended { // who asks for that one by itself is told
		serves := h.serves
		if slices.ContainsFunc(out, func(o provider.Object) bool { return o.Phase == provider.Ready }) {
			serves = h.release
		}
		out = append(out, *trafficObject(at, h, at.releaseID(serves)))
	}
	return out, nil
}
