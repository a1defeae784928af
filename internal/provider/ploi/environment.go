package ploi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// The variables of a .env that say what of it is ours.
const (
	// markVariable is whose the site and its environment are.
	markVariable = "RECONCILER_MARK"
	// keysVariable are the names of the variables that we set, with * behind secret ones.
	keysVariable = "RECONCILER_KEYS"
)

const (
	envPrefix = "env."
	maxEnv    = 512 << 10 // bytes of a .env
)

// env is a .env as it was read.
type env struct {
	text string
	all  []statement
}

func readEnv(text string) env { return env{text, cut(text)} }

// mark is whose it is.
func (f env) mark() provider.Mark {
	text, _ := valueOf(f.all, markVariable)
	return provider.ParseMark(text)
}

// key is a variable of ours.
type key struct {
	name   string
	secret bool
}

// keys are the variables that are ours; listed is false where nobody wrote them down: of a
// site that was not made here.
func (f env) keys() (out []key, listed bool) {
	text, listed := valueOf(f.all, keysVariable)
	for name := range strings.SplitSeq(text, ",") {
		name, secret := strings.CutSuffix(name, "*")
		if ourNames.MatchString(name) && !reserved(name) {
			out = append(out, key{name, secret})
		}
	}
	return out, listed
}

func reserved(name string) bool { return name == markVariable || name == keysVariable }

func keysText(keys []key) string {
	var b strings.Builder
	for n, k := range keys {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k.name)
		if k.secret {
			b.WriteByte('*')
		}
	}
	return b.String()
}

// attributes are what it says of the variables that are ours; of a site that was not made
// here, all: nobody knows which of them are secret. A secret whose line somebody took out is
// empty: one that is left out would be one that nobody shows.
func (f env) attributes(site string) []provider.Observed {
	keys, listed := f.keys()
	if !listed {
		for _, s := range f.all {
			if s.name != "" && !reserved(s.name) && !slices.ContainsFunc(keys, func(k key) bool { return k.name == s.name }) {
				keys = append(keys, key{s.name, true})
			}
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.name, b.name) })
	var out []provider.Observed
	for _, k := range keys {
		value, there := valueOf(f.all, k.name)
		if !there && !k.secret {
			continue
		}
		i := provider.Observed{Name: envPrefix + k.name}
		if k.secret {
			s := state.NewSecret(value)
			i.Secret = &s
		} else {
			i.Text = value
		}
		out = append(out, i)
	}
	return append(out, provider.Observed{Name: "site", Text: site})
}

// getEnv reads a site's .env. there is false where there is no file, or no site.
func (p *Provider) getEnv(ctx context.Context, at siteID) (f env, there bool, err error) {
	var got envFile
	found, err := p.read(ctx, at.path()+"/env", nil, &got)
	if err != nil || !found {
		return env{}, false, err
	}
	text, ok := got.text()
	switch {
	case !ok:
		return env{}, false, fail(opObserve, provider.Transient, "its answer holds no .env")
	case len(text) > maxEnv:
		return env{}, false, fail(opObserve, provider.Transient, "the site's .env is too large")
	}
	return readEnv(text), true, nil
}

// sureEnv is getEnv for who writes the whole file: that there is none is believed once it has been
// so for as long as the vendor takes to write one. It answers 404 then, too. A site that we made
// and that was never deployed holds nothing that could be lost.
func (p *Provider) sureEnv(ctx context.Context, op string, at siteID) (f env, there bool, err error) {
	if f, there, err = p.getEnv(ctx, at); err != nil || there {
		return f, there, err
	}
	s, err := p.getSite(ctx, at)
	if err != nil || s == nil {
		return f, false, err
	}
	if _, mark := readRoot(s.Domain); !mark.IsZero() && lastDeploy(*s) == never {
		return f, false, nil
	}
	for _, wait := range delays() {
		if err := p.o.Sleep(ctx, wait); err != nil {
			return f, false, gaveUp(ctx, op)
		}
		if f, there, err = p.getEnv(ctx, at); err != nil || there {
			return f, there, err
		}
	}
	return f, false, nil
}

// seeEnvironment is the environment as an object; nil: there is none.
//
// On a site that was made here, an environment is there once its variables are written
// down. A site that was made by others has one as it is.
func (p *Provider) seeEnvironment(ctx context.Context, at siteID) (*provider.Object, error) {
	f, there, err := p.environment(ctx, at)
	if err != nil || !there {
		return nil, err
	}
	return environmentObject(at, f), nil
}

func (p *Provider) environment(ctx context.Context, at siteID) (f env, there bool, err error) {
	f, there, err = p.getEnv(ctx, at)
	if err == nil && !there {
		_, err = p.sees(ctx, opObserve, at.server)
	}
	if err != nil || !there {
		return f, false, err
	}
	if _, listed := f.keys(); !listed {
		s, err := p.getSite(ctx, at)
		if err != nil || s == nil {
			return f, false, err
		}
		name, _ := readRoot(s.Domain)
		return f, name == "", nil
	}
	return f, true, nil
}

func environmentObject(at siteID, f env) *provider.Object {
	o := provider.Object{ID: at.part(partEnvironment), Kind: state.KindEnvironment, Mark: f.mark(), Phase: provider.Ready,
		Attributes: f.attributes(at.String())}
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}}
	if !o.Mark.IsZero() {
		o.Name = provider.ObjectName(o.Mark, state.Ref{Kind: state.KindEnvironment})
	}
	return &o
}

// wished are the variables of a wish.
func wished(w provider.Wish) (set []pair, keys []key, err error) {
	for _, i := range w.Inputs {
		name, ok := strings.CutPrefix(i.Name, envPrefix)
		if !ok {
			continue
		}
		v := pair{name, i.Reveal()}
		if reserved(name) {
			return nil, nil, fail(opUpdate, provider.Invalid, name+" is what the reconciler keeps its own notes in; name the variable otherwise")
		}
		if err := checkPair(v); err != nil {
			return nil, nil, fail(opUpdate, provider.Invalid, err.Error())
		}
		set, keys = append(set, v), append(keys, key{name, i.Secret != nil})
	}
	return set, keys, nil
}

// makeEnvironment writes a site's variables into its .env, beside those that are there.
func (p *Provider) makeEnvironment(ctx context.Context, at siteID, w provider.Wish) (provider.Object, error) {
	f, there, err := p.sureEnv(ctx, opCreate, at)
	if err != nil {
		return provider.Object{}, err
	}
	if _, listed := f.keys(); listed || !f.mark().IsZero() && f.mark() != w.Mark {
		return provider.Object{}, fail(opCreate, provider.Conflict, "the site has its environment")
	}
	f, err = p.putVariables(ctx, opCreate, at, f, w)
	if err != nil && !there && refusedFile(err) {
		// The vendor writes only a file that is there, and this one comes with the repository.
		if s, failed := p.getSite(ctx, at); failed == nil && s != nil && s.HasRepository && lastDeploy(*s) != never {
			return provider.Object{}, because(opCreate, provider.Invalid, "the .env of site "+at.String()+" was deleted, and Ploi writes only one that is there: save one there, with a line in it", err)
		}
		return provider.Object{}, because(opCreate, provider.Transient, "the site has no .env yet; it comes with its repository", err)
	}
	if err != nil {
		return provider.Object{}, err
	}
	return *environmentObject(at, f), nil
}

// refusedFile says that a file could not be written because it is not there.
func refusedFile(err error) bool {
	k := provider.KindOf(err)
	return k == provider.NotFound || k == provider.Invalid
}

// changeEnvironment brings the variables to a wish: those that were ours and aren't wished
// any more go; those that never were ours stay.
func (p *Provider) changeEnvironment(ctx context.Context, at siteID, w provider.Wish) (provider.Object, error) {
	f, there, err := p.environment(ctx, at)
	if err != nil {
		return provider.Object{}, err
	}
	if !there {
		return provider.Object{}, p.absent(w.Ref.Kind, at.part(partEnvironment))
	}
	if w.Get("site") != at.String() {
		return provider.Object{}, fail(opUpdate, provider.Invalid, "an environment stays on its site")
	}
	f, err = p.putVariables(ctx, opUpdate, at, f, w)
	if err != nil {
		return provider.Object{}, err
	}
	return *environmentObject(at, f), nil
}

// putVariables writes a wish into a .env.
func (p *Provider) putVariables(ctx context.Context, op string, at siteID, f env, w provider.Wish) (env, error) {
	set, keys, err := wished(w)
	if err != nil {
		return f, err
	}
	var drop []string
	had, _ := f.keys()
	for _, k := range had {
		if !slices.Contains(keys, k) && !slices.ContainsFunc(set, func(v pair) bool { return v.name == k.name }) {
			drop = append(drop, k.name)
		}
	}
	set = append(set, pair{markVariable, w.Mark.Text()}, pair{keysVariable, keysText(keys)})
	return p.putEnv(ctx, op, at, f, set, drop)
}

// markEnv writes whose a site is that was not made here. The variables that it has then are
// those that were taken over with it.
func (p *Provider) markEnv(ctx context.Context, at siteID, m provider.Mark) error {
	f, _, err := p.sureEnv(ctx, opUpdate, at)
	if err != nil {
		return err
	}
	have := f.mark()
	if have == m {
		return nil
	}
	if !have.IsZero() && (have.Installation != m.Installation || have.Client != m.Client) {
		return fail(opUpdate, provider.Conflict, "the site bears the mark of "+quote(have.Text()))
	}
	set := []pair{{markVariable, m.Text()}}
	if _, listed := f.keys(); !listed {
		var keys []key
		for _, a := range f.attributes("") {
			if name, ok := strings.CutPrefix(a.Name, envPrefix); ok {
				keys = append(keys, key{name, true})
			}
		}
		set = append(set, pair{keysVariable, keysText(keys)})
	}
	_, err = p.putEnv(ctx, opUpdate, at, f, set, nil)
	return err
}

// removeEnvironment takes our variables out. Others stay.
func (p *Provider) removeEnvironment(ctx context.Context, at siteID) error {
	f, there, err := p.getEnv(ctx, at)
	if err == nil && !there {
		_, err = p.sees(ctx, opDelete, at.server)
	}
	if err != nil || !there {
		return err
	}
	keys, listed := f.keys()
	if !listed && f.mark().IsZero() {
		return nil
	}
	drop := []string{markVariable, keysVariable}
	for _, k := range keys {
		drop = append(drop, k.name)
	}
	_, err = p.putEnv(ctx, opDelete, at, f, nil, drop)
	return gone(err)
}

// emptyFile stands for a .env without a line: the vendor takes no shorter one.
const emptyFile = "#\n"

// putEnv replaces a .env and looks until it shows: the vendor writes it in the background,
// and whoever reads it too early and writes it back loses what was written.
func (p *Provider) putEnv(ctx context.Context, op string, at siteID, f env, set []pair, drop []string) (env, error) {
	if err := p.written(op, at, f); err != nil {
		return f, err
	}
	text := splice(f.text, set, drop)
	if text == f.text {
		return f, nil
	}
	if len(text) < len(emptyFile) {
		text += emptyFile
	}
	if len(text) > maxEnv {
		return f, fail(op, provider.Invalid, "the site's .env would be too large")
	}
	if err := p.write(ctx, op, http.MethodPatch, at.path()+"/env", map[string]string{"content": text}, nil); err != nil {
		if provider.KindOf(err) == provider.Uncertain {
			p.awaits(at, set, drop)
		}
		return f, err
	}
	for n, waits := 0, delays(); ; n++ {
		now, _, err := p.getEnv(ctx, at)
		if err == nil && now.shows(set, drop) {
			return now, nil
		}
		if err == nil && n < len(waits) {
			err = p.o.Sleep(ctx, waits[n])
			if err == nil {
				continue
			}
		}
		p.awaits(at, set, drop)
		return now, because(op, provider.Uncertain, "its .env does not show what was written", err)
	}
}

// restoreEnv puts a .env back as it was, where a repository that went took it along, or another one brought its own.
func (p *Provider) restoreEnv(ctx context.Context, at siteID, was env) error {
	now, _, err := p.getEnv(ctx, at)
	if err != nil || now.text == was.text || len(was.text) < len(emptyFile) {
		return err
	}
	if err := p.write(ctx, opUpdate, http.MethodPatch, at.path()+"/env", map[string]string{"content": was.text}, nil); err != nil {
		return because(opUpdate, provider.Uncertain, "its .env went with its repository", err)
	}
	for n, waits := 0, delays(); now.text != was.text; n++ {
		if n >= len(waits) {
			return fail(opUpdate, provider.Uncertain, "its .env went with its repository, and does not show again")
		}
		if err := p.o.Sleep(ctx, waits[n]); err != nil {
			return because(opUpdate, provider.Uncertain, "its .env went with its repository", gaveUp(ctx, opUpdate))
		}
		if now, _, err = p.getEnv(ctx, at); err != nil {
			return because(opUpdate, provider.Uncertain, "its .env went with its repository", err)
		}
	}
	return nil
}

// pending is what was sent to a .env and did not show.
type pending struct {
	set   []pair
	drop  []string
	until time.Time // it is not waited for any more
}

// awaits notes what may yet be written: a change that is made of the file as it is now would
// be lost with it, or lose it.
func (p *Provider) awaits(at siteID, set []pair, drop []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late[at] = pending{set, drop, p.o.Now().Add(2 * listLag)}
}

// written refuses while an earlier write may still come.
func (p *Provider) written(op string, at siteID, f env) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, waits := p.late[at]
	if !waits || f.shows(w.set, w.drop) || !p.o.Now().Before(w.until) {
		delete(p.late, at)
		return nil
	}
	e := fail(op, provider.Transient, "an earlier write of its .env does not show yet")
	e.Until = w.until
	return e
}

// shows says that the file holds what was set and nothing of what was taken away.
func (f env) shows(set []pair, drop []string) bool {
	for _, v := range set {
		if value, ok := valueOf(f.all, v.name); !ok || value != v.value {
			return false
		}
	}
	return !slices.ContainsFunc(f.all, func(s statement) bool { return s.name != "" && slices.Contains(drop, s.name) })
}
