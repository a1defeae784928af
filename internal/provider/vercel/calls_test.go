package vercel_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write the golden files")

// log collects the calls of steps, under their names.
type log struct {
	t *testing.T
	w *world
	b strings.Builder
}

var ids = regexp.MustCompile(`(prj|dpl)_[0-9a-f]+|/env/[0-9a-f]{16}`)

// step writes down the calls since the last one, and holds their number to what a plan counts.
func (l *log) step(what string, counted int) {
	l.t.Helper()
	calls := l.w.took()
	fmt.Fprintf(&l.b, "# %s\n", what)
	for _, c := range calls {
		fmt.Fprintln(&l.b, ids.ReplaceAllStringFunc(c, func(id string) string {
			switch {
			case strings.HasPrefix(id, "prj"):
				return "{project}"
			case strings.HasPrefix(id, "dpl"):
				return "{deployment}"
			}
			return "/env/{variable}"
		}))
	}
	if counted >= 0 && len(calls) != counted {
		l.t.Errorf("%s: %d calls, and a plan counts %d: %q", what, len(calls), counted, calls)
	}
}

func (l *log) golden(name string) {
	l.t.Helper()
	file := filepath.Join("testdata", "calls", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			l.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(l.b.String()), 0o644); err != nil {
			l.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		l.t.Fatal(err)
	}
	if l.b.String() != string(want) {
		l.t.Errorf("%s: the calls are\n%s\nand not\n%s", name, l.b.String(), want)
	}
	l.b.Reset()
}

// make looks for an object by name, makes it and looks at it, as a pass does.
func (l *log) make(w provider.Wish) provider.Object {
	l.t.Helper()
	traits := l.w.Traits()[w.Ref.Kind]
	if found, err := byName(l.t.Context(), l.w, w); err != nil || len(found) != 0 {
		l.t.Fatalf("%s before its create: %d, %v", w.Ref.Kind, len(found), err)
	}
	l.step(string(w.Ref.Kind)+": look", -1)
	o, err := l.w.Create(l.t.Context(), w)
	if err != nil {
		l.t.Fatal(err)
	}
	l.step(string(w.Ref.Kind)+": create", traits.CreateCalls)
	return l.look(o)
}

func (l *log) look(o provider.Object) provider.Object {
	l.t.Helper()
	found, err := l.w.Observe(l.t.Context(), provider.Query{Kind: o.Kind, ID: o.ID})
	if err != nil || len(found) != 1 || found[0].Phase != provider.Ready {
		l.t.Fatalf("%s: %v, %v", o.Kind, found, err)
	}
	counted := l.w.Traits()[o.Kind].ObserveCalls
	if o.Kind == state.KindDeployment {
		counted++ // the log of a build that has just ended
	}
	l.step(string(o.Kind)+": look at it", counted)
	return found[0]
}

func (l *log) change(o provider.Object, w provider.Wish) {
	l.t.Helper()
	if _, err := l.w.Update(l.t.Context(), o.ID, w); err != nil {
		l.t.Fatal(err)
	}
	l.step(string(o.Kind)+": change", l.w.Traits()[o.Kind].UpdateCalls)
	l.look(o)
}

func (l *log) remove(o provider.Object) {
	l.t.Helper()
	if err := l.w.Delete(l.t.Context(), o.Kind, o.ID); err != nil {
		l.t.Fatal(err)
	}
	counted := l.w.Traits()[o.Kind].DeleteCalls
	if o.Kind == state.KindEnvironment {
		counted = -1 // one a variable
	}
	l.step(string(o.Kind)+": remove", counted)
}

// What it costs to provision a client, and to change one, is what is written down.
func TestCalls(t *testing.T) {
	k := published(t)
	l := &log{t: t, w: open(t, k, simulated.Options{})}
	var c client
	c.site = l.make(wishSite(1))
	c.env = l.make(wishEnv(1, c.site.ID))
	c.release = l.make(wishRelease(1, c.site.ID, "aaaaaaaaaaaa"))
	c.traffic = l.make(wishTraffic(1, c.site.ID, c.release.ID))
	c.domain = l.make(wishDomain(1, c.site.ID, "shop1.example", ""))
	l.golden("create")

	l.change(c.env, wishEnv(1, c.site.ID, text("env.NEW", "x")))
	second := l.make(wishRelease(1, c.site.ID, "bbbbbbbbbbbb"))
	l.change(c.traffic, wishTraffic(1, c.site.ID, second.ID))
	l.golden("env")

	third := l.make(wishRelease(1, c.site.ID, "cccccccccccc"))
	l.change(c.traffic, wishTraffic(1, c.site.ID, third.ID))
	l.golden("redeploy")

	l.change(c.traffic, wishTraffic(1, c.site.ID, second.ID))
	l.golden("rollback")

	other := l.make(wishDomain(1, c.site.ID, "other.example", ""))
	l.remove(c.domain)
	l.golden("domain")

	for _, o := range []provider.Object{other, c.traffic, third, second, c.release, c.env, c.site} {
		l.remove(o)
	}
	l.golden("remove")
	k.Some(t)
}

// P11: a fleet is observed with the pages of its projects, and two calls a project of ours.
func TestCallsOfAList(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	const many = 130
	for n := range many {
		w.must(t, wishSite(n))
	}
	w.took()
	owned, err := w.Owned(t.Context(), ours)
	if err != nil || len(owned) != many {
		t.Fatalf("%d, %v", len(owned), err)
	}
	each := 0
	for _, k := range w.Traits() {
		each += k.ListCalls
	}
	if n := len(w.took()); n != 3+2*many || each != 2 {
		t.Errorf("%d calls for %d projects, and their traits say %d for each", n, many, each)
	}
	some := map[string]bool{owned[3].ID: true, owned[40].ID: true, owned[129].ID: true}
	only, err := w.Owned(provider.Only(t.Context(), func(id string, says provider.Mark) bool { return some[id] && says.Installation == ours }), ours)
	if n := len(w.took()); err != nil || len(only) != 3 || !some[only[0].ID] || n != 3+2*3 {
		t.Errorf("of 3 projects alone: %d calls, %d objects, %v", n, len(only), err)
	}
	if owned, err := w.Owned(t.Context(), "deadbeef"); err != nil || len(owned) != 0 {
		t.Fatalf("%d, %v", len(owned), err)
	}
	if n := len(w.took()); n != 3 {
		t.Errorf("%d calls where nothing is ours", n)
	}
	k.Some(t)
}

// An environment costs one call however many variables it has, and one more for each that goes.
func TestCallsOfManyVariables(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	site := w.must(t, wishSite(1))
	var many []provider.Input
	for n := range 60 {
		many = append(many, text(fmt.Sprintf("env.V%02d", n), "x"), providertest.Secret(fmt.Sprintf("env.S%02d", n), "pssst"))
	}
	w.took()
	e := w.must(t, wishEnv(1, site.ID, many...))
	if n := len(w.took()); n != 3 {
		t.Errorf("%d calls to make it and look", n)
	}
	if _, err := w.Update(t.Context(), e.ID, wishEnv(1, site.ID, many[4:]...)); err != nil {
		t.Fatal(err)
	}
	if calls := w.took(); len(calls) != 2+4 {
		t.Errorf("%d calls to take four away: %q", len(calls), calls)
	}
	k.Some(t)
}

// moving lets something happen before a list's second page is asked for.
type moving struct {
	base http.RoundTripper
	do   func()
}

func (m *moving) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/v10/projects" && r.URL.Query().Get("from") != "" && m.do != nil {
		m.do()
		m.do = nil
	}
	return m.base.RoundTrip(r)
}

// A project that is changed while the list is read goes to its front, which was read before: it is
// in the list all the same.
func TestAListThatMoves(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	const many = 130
	var first string
	for n := range many {
		if o := w.must(t, wishSite(n)); n == 0 { // the one that nobody changed for longest
			first = o.ID
		}
		w.clock.Move(time.Second)
	}
	p := w.provider(&moving{k.Wrap(&http.Transport{DisableKeepAlives: true}), func() {
		w.clock.Move(time.Second)
		w.sim.Edit(first, "A", "1", "plain", "", "preview") // as a person does, or a deployment
	}})
	owned, err := p.Owned(t.Context(), ours)
	if err != nil || len(owned) != many || !slices.ContainsFunc(owned, func(o provider.Object) bool { return o.ID == first }) {
		t.Errorf("%d of %d are there, %v", len(owned), many, err)
	}
	k.Some(t)
}
