package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// vendors are a host, a keeper of databases and a DNS host on one world in memory.
type vendors struct {
	world  *memory.World
	faults *memory.Faults
	clock  *clock
	builds func(provider.Wish) memory.Build // of deployments; nil: at once
}

func newVendors(t testing.TB) (*vendors, *world) {
	t.Helper()
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		v.clock = c
		v.world = memory.NewWorld(c.Now)
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: v.world, Kinds: kinds, Fault: v.faults.Hook, Sleep: c.Sleep})
		}
		return []provider.Provider{open("railway", memory.Databases()), open("vercel", memory.Hosting()), open("cloudflare", memory.DNS())}
	})
	return v, w
}

// writes are the calls since ForgetCalls that changed something.
func (v *vendors) writes() []string {
	var out []string
	for _, c := range v.world.Calls() {
		if c.Verb.Writes() {
			out = append(out, c.String())
		}
	}
	return out
}

// A client without a site has no address, and nobody asks after its health; with one it has.
func TestClientWithoutASiteHasNoAddress(t *testing.T) {
	_, w := newVendors(t)
	asked := 0
	w.engine.Check = func(context.Context, string, manifest.Health) error { asked++; return errors.New("nothing is there") }
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: none}")})
	if r := w.want("a", state.StatusActive); r.URL != "" || r.Health == "degraded" {
		t.Errorf("it is at %q, and %s", r.URL, r.Health)
	}
	for range 3 {
		if err := w.engine.ProbeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if r := w.want("a", state.StatusActive); asked > 0 || r.Health == "degraded" {
		t.Errorf("asked %d times, and %s", asked, r.Health)
	}
	w.engine.Check = func(context.Context, string, manifest.Health) error { return nil }
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	if r := w.want("a", state.StatusActive); r.URL != "https://a.agency.example" {
		t.Errorf("it has a site now, and is at %q", r.URL)
	}
}

func TestProvisionChangeRemoveReturn(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other", "deployment: {provider: none}", "dns: {provider: none}", "database: {provider: none}")})
	r := w.want("shop", state.StatusActive)
	if _, ok := v.world.Serves("shop.agency.example"); !ok || r.URL != "https://shop.agency.example" || r.Health != "healthy" {
		t.Fatalf("nothing serves: %+v", r)
	}
	if got := v.world.Resolves("shop.agency.example"); len(got) != 1 {
		t.Fatalf("the name resolves to %v", got)
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}")})
	w.want("shop", state.StatusActive)
	w.apply(map[string]string{"clients/shop.yaml": ""})
	w.want("shop", state.StatusRetained)
	if left := v.world.Objects("vercel"); len(left) > 0 {
		t.Errorf("the host still has %v", left)
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.want("shop", state.StatusActive)
	databases := 0
	for _, o := range v.world.Objects("railway") {
		if o.Kind == state.KindDatabase {
			databases++
		}
	}
	if databases != 1 {
		t.Errorf("%d databases", databases)
	}
}

// P11: of 10,000 clients one file changes: one parse, one plan, one pass; and a poll
// without a change does nothing at all.
func TestP11OneChangeAmongMany(t *testing.T) {
	t.Parallel()
	n := 10_000
	if testing.Short() {
		n = 500
	}
	v, w := newVendors(t)
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("clients/c%05d.yaml", i)] = client(fmt.Sprintf("c%05d", i), "deployment: {provider: none}", "dns: {provider: none}", "database: {provider: none}")
	}
	if ids := w.push(files); len(ids) != n {
		t.Fatalf("%d clients are due", len(ids))
	}
	w.settle()
	if due := w.restart(); len(due) > 0 {
		t.Fatalf("due at the start: %v", due)
	}
	w.pass(w.poll()...) // a start judges the head once more

	stats, syncs, calls := w.engine.Stats(), w.store.Stats().Syncs, len(v.world.Calls())
	for range 100 {
		w.pass(w.poll()...)
	}
	if got := w.engine.Stats(); got != stats {
		t.Errorf("polls without a change went from %+v to %+v", stats, got)
	}
	if got := w.store.Stats().Syncs; got != syncs {
		t.Errorf("polls without a change made %d syncs", got-syncs)
	}
	if got := len(v.world.Calls()); got != calls {
		t.Errorf("polls without a change made %d provider calls", got-calls)
	}
	reads := w.repo.reads
	w.apply(map[string]string{"clients/c00042.yaml": client("c00042", "deployment: {provider: none}", "dns: {provider: none}")})
	got := w.engine.Stats()
	if got.Parses-stats.Parses != 1 || got.Plans-stats.Plans != 1 || got.Passes-stats.Passes != 1 {
		t.Errorf("one changed file: %d parses, %d plans, %d passes", got.Parses-stats.Parses, got.Plans-stats.Plans, got.Passes-stats.Passes)
	}
	if w.repo.reads-reads != 1 {
		t.Errorf("%d files were read", w.repo.reads-reads)
	}
	if got := v.writes(); len(got) != 1 {
		t.Errorf("writes: %v", got)
	}
	w.want("c00042", state.StatusActive)
}

// P5: nobody polls before the record was read: the head would be judged as a first one,
// and its removals would be lost.
func TestP5NoPollBeforeTheStart(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	w.repo.commit(map[string]string{"clients/b.yaml": ""})
	other := &reconcile.Engine{Config: w.engine.Config, Store: w.store, Repo: w.repo, Now: w.clock.Now}
	if _, err := other.Poll(t.Context()); !errors.Is(err, reconcile.ErrNotStarted) {
		t.Fatalf("a poll before the start: %v", err)
	}
	w.restart()
	w.pass(w.poll()...)
	w.want("b", state.StatusRetained)
}

// Inside a freeze window changes wait, visibly, until its end or an approval.
func TestRuleFreeze(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"),
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2026-11-25T00:00, to: 2026-11-26T00:00, zone: Europe/Amsterdam, reason: holidays}]\n"})
	w.want("a", state.StatusActive)
	w.clock.add(20 * time.Hour)
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}"), "clients/b.yaml": client("b", "env: {COLOUR: red}")})
	for _, name := range []string{"a", "b"} {
		r := w.want(name, state.StatusHeld)
		if !strings.Contains(r.Because, "holidays") || !strings.Contains(r.Because, "25 November 2026 23:00 UTC") {
			t.Errorf("%s: %s", name, r.Because)
		}
	}
	if got := v.writes(); len(got) > 0 {
		t.Fatalf("writes in a freeze: %v", got)
	}
	d := w.detail("a")
	ids, err := w.engine.Approve(t.Context(), d.Holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("a", state.StatusActive)
	b := w.detail("b")
	w.clock.add(24 * time.Hour)
	if b.RetryAt.IsZero() || b.RetryAt.After(w.clock.Now()) {
		t.Fatalf("b does not go on by itself: %s", b.RetryAt)
	}
	w.pass(state.ClientID(b.ID))
	w.want("b", state.StatusActive)
}

func (w *world) detail(name string) reconcile.Detail {
	w.t.Helper()
	d, err := w.engine.Detail(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// A paused client is planned and left alone; resumed, it goes on.
func TestPausedClientIsLeftAlone(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "paused: true")})
	w.want("b", state.StatusPaused)
	if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
		t.Fatal(err)
	}
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
	w.want("a", state.StatusPaused)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	_, files, err := w.repo.Tree(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.engine.PreviewOf(t.Context(), "", files, nil)
	if err != nil || len(p.Changes) != 2 {
		t.Errorf("its plan is not shown: %+v %v", p.Changes, err)
	}
	id, err := w.engine.SetPaused("a", false, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
}

// Data: a database that is gone at the vendor, and a changed provider, hold the client;
// an empty one never takes its place.
func TestRuleData(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	id := ""
	for _, r := range w.detail("a").Resources {
		if r.Ref.Kind == state.KindDatabase {
			id = r.ID
		}
	}
	v.world.Remove(id)
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}"), "clients/b.yaml": client("b", "database: {provider: postgres}")})
	if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "gone") {
		t.Errorf("a: %s", r.Because)
	}
	if r := w.row("b"); r.Status == string(state.StatusActive) {
		t.Errorf("b is %s: %s", r.Status, r.Because)
	}
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// P6: a provider that is down blocks the steps that need it and no others; a look that
// fails blocks only that provider's steps.
func TestP6ProviderDown(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	v.world.Down("cloudflare", memory.Fail(provider.Transient, "503 service unavailable"))
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}", "aliases: [www.a.example]"), "clients/b.yaml": client("b")})
	a := w.detail("a")
	if !strings.Contains(a.Because, "cloudflare") {
		t.Errorf("a: %s", a.Because)
	}
	if d, _ := v.world.Serves("a.agency.example"); v.world.BuiltWith(d)["COLOUR"] != "red" {
		t.Errorf("the new release does not serve: %v", v.world.BuiltWith(d))
	}
	v.world.Down("cloudflare", nil)
	w.clock.add(time.Hour)
	for _, name := range []string{"a", "b"} {
		d := w.detail(name)
		if d.RetryAt.IsZero() {
			t.Errorf("%s does not go on by itself", name)
		}
		w.pass(state.ClientID(d.ID))
		w.want(name, state.StatusActive)
	}
	if got := v.world.Resolves("www.a.example"); len(got) != 1 {
		t.Errorf("the alias resolves to %v", got)
	}
}

// An empty state in front of marks of this installation stops, and asks for rebuild.
func TestRuleEmptyStateBeforeOwnMarks(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	before := v.world.Snapshot(func(provider.Object) bool { return true })
	w.lose()
	_, err := w.engine.Poll(t.Context())
	if !errors.Is(err, reconcile.ErrRebuild) || !strings.Contains(err.Error(), "rebuild") {
		t.Fatalf("poll: %v", err)
	}
	if after := v.world.Snapshot(func(provider.Object) bool { return true }); after != before {
		t.Errorf("the world changed:\n%s\nwas\n%s", after, before)
	}
	if r := w.row("a"); r.Name != "" {
		t.Errorf("a was accepted: %+v", r)
	}
}

// What is deployed: a ref is resolved to a commit when it is planned; a branch that
// moves later is no change, another ref is.
func TestRuleWhatIsDeployed(t *testing.T) {
	v, w := newVendors(t)
	tip := "1111111111111111111111111111111111111111"
	w.change = func(e *reconcile.Engine) {
		e.ResolveRef = func(context.Context, string, string) (string, error) { return tip, nil }
	}
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {ref: main}")})
	w.want("a", state.StatusActive)
	commitOf := func() string { return v.commitOf("a.agency.example") }
	if got := commitOf(); got != tip {
		t.Fatalf("deployed %q", got)
	}
	tip = "2222222222222222222222222222222222222222"
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {ref: main}", "notes: touched")})
	w.want("a", state.StatusActive)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("a branch that moved is no change: %v", got)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {ref: v2}")})
	w.want("a", state.StatusActive)
	if got := commitOf(); got != tip {
		t.Errorf("deployed %q, want the new ref's commit", got)
	}
}

// commitOf is the commit of what serves a host.
func (v *vendors) commitOf(host string) string {
	d, _ := v.world.Serves(host)
	o, _ := v.world.Object(d)
	for _, x := range o.Attributes {
		if x.Name == "commit" {
			return x.Text
		}
	}
	return ""
}

// P12: the commit that a pull request showed is what is deployed, though the branch that its
// manifest names has moved before the merge; another ref that was pushed after the plan means
// what it does then.
func TestP12ABranchThatMovedSinceTheReview(t *testing.T) {
	v, w := newVendors(t)
	reviewed, moved := strings.Repeat("1", 40), strings.Repeat("2", 40)
	tip := reviewed
	w.change = func(e *reconcile.Engine) {
		e.ResolveRef = func(context.Context, string, string) (string, error) { return tip, nil }
	}
	w.restart()
	w.apply(map[string]string{"clients/keeper.yaml": client("keeper", "deployment: {ref: v1}")})
	first := map[string]string{"clients/a.yaml": client("a", "deployment: {ref: main}")}
	p := w.proposed(1, first)
	if len(p.Sources) != 1 {
		t.Errorf("kept: %v", p.Sources)
	}
	second := map[string]string{"clients/b.yaml": client("b", "deployment: {ref: main}")}
	q := w.proposed(2, second)
	tip = moved
	w.pass(w.merge(p.Head, first)...)
	w.want("a", state.StatusActive)
	if got := v.commitOf("a.agency.example"); got != reviewed {
		t.Errorf("%s is deployed, and %s was reviewed", got, reviewed)
	}
	second["clients/b.yaml"] = client("b", "deployment: {ref: next}")
	w.pass(w.merge(w.repo.branch(second, q.Head), second)...)
	w.want("b", state.StatusActive)
	if got := v.commitOf("b.agency.example"); got != moved {
		t.Errorf("%s is deployed of a ref that nobody reviewed", got)
	}
}

// Secrets: an unset one fails the plan with the way to set it; a new version replans
// only the clients that use it.
func TestRuleSecrets(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{
		"clients/a.yaml": client("a", "env: {MOLLIE_API_KEY: {secret: mollie}}"),
		"clients/b.yaml": client("b", "env: {KEY: {secret: shared/mollie}}"),
		"clients/c.yaml": client("c"),
	})
	for name, way := range map[string]string{"a": "reconciler secret set mollie --client a", "b": "reconciler secret set mollie"} {
		r := w.row(name)
		if r.Status == string(state.StatusActive) || !strings.Contains(r.Next, way) {
			t.Errorf("%s is %s: %s; %s", name, r.Status, r.Because, r.Next)
		}
	}
	w.want("c", state.StatusActive)
	set := func(of, value string) []state.ClientID {
		_, ids, err := w.engine.SetSecret(of, "mollie", state.NewSecret(value), w.keys.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	w.pass(set("a", "own-value")...)
	w.pass(set("", "shared-value")...)
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	envOf := func(name, variable string) string {
		d, _ := v.world.Serves(name + ".agency.example")
		return v.world.BuiltWith(d)[variable]
	}
	if envOf("a", "MOLLIE_API_KEY") != "own-value" || envOf("b", "KEY") != "shared-value" {
		t.Errorf("the sites have %q and %q", envOf("a", "MOLLIE_API_KEY"), envOf("b", "KEY"))
	}
	v.world.ForgetCalls()
	ids := set("", "rotated-value")
	if len(ids) != 1 {
		t.Errorf("a new version of the shared secret wakes %v", ids)
	}
	w.pass(ids...)
	if envOf("b", "KEY") != "rotated-value" {
		t.Errorf("b has %q", envOf("b", "KEY"))
	}
	for _, c := range v.world.Calls() {
		if c.Verb.Writes() && c.Client != "" && !strings.HasPrefix(string(c.Client), "b-") {
			t.Errorf("another client was written: %s", c)
		}
	}
}

// A pass that is interrupted at any border and started again ends as an undisturbed one.
func TestP8StoppedAtEveryStep(t *testing.T) {
	clean := func() string {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		return kinds(v)
	}()
	for n := 1; ; n++ {
		v, w := newVendors(t)
		var seen atomic.Int64 // steps run side by side
		ids := w.push(map[string]string{"clients/a.yaml": client("a")})
		ctx, cancel := context.WithCancelCause(t.Context())
		v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
			if seen.Add(1) == int64(n) {
				cancel(errors.New("killed"))
				return memory.Lost()
			}
			return nil
		})
		for _, id := range ids {
			if _, err := w.engine.Pass(ctx, id, reconcile.CauseCommit); err == nil && ctx.Err() != nil {
				t.Fatalf("a pass that was cut off reports an end")
			}
		}
		cut := ctx.Err() != nil
		cancel(nil)
		v.faults.Clear()
		if !cut {
			if n < 5 {
				t.Fatalf("only %d writes", n)
			}
			return
		}
		for _, d := range w.restart() {
			w.pass(d.Client)
		}
		w.want("a", state.StatusActive)
		if got := kinds(v); got != clean {
			t.Errorf("cut off at write %d:\n%s\nwant\n%s", n, got, clean)
		}
	}
}

func kinds(v *vendors) string {
	var out []string
	for _, owner := range []string{"railway", "vercel", "cloudflare"} {
		for _, o := range v.world.Objects(owner) {
			out = append(out, owner+" "+string(o.Kind))
		}
	}
	return strings.Join(out, "\n")
}

// The plan's steps carry reason, risk, undo and calls, and a second plan is empty.
func TestPreviewIsEmptyAfterTheApply(t *testing.T) {
	_, w := newVendors(t)
	w.push(map[string]string{"clients/a.yaml": client("a")})
	_, files, err := w.repo.Tree(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.engine.PreviewOf(t.Context(), "", files, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Changes) != 1 {
		t.Fatalf("changes: %+v", p.Changes)
	}
	for _, s := range p.Changes[0].Steps {
		if s.Reason == "" || (s.Undo == "" && s.Action != string(plan.Record)) {
			t.Errorf("step %s %s says neither why nor how it is undone: %+v", s.Action, s.Ref, s)
		}
	}
	w.pass(w.due()...)
	w.want("a", state.StatusActive)
	if p, err = w.engine.PreviewOf(t.Context(), "", files, nil); err != nil || len(p.Changes)+len(p.Problems) > 0 {
		t.Errorf("the second plan: %+v %v", p, err)
	}
}

// Guard: a change that more active clients inherit than the guard allows runs on one,
// then on a tenth, then on the rest; after three failures the others are held and
// still serve the old version (S53 as far as the engine goes).
func TestRuleGuardWaves(t *testing.T) {
	const n = 40
	begin := func(t *testing.T) (*vendors, *world) {
		v, w := newVendors(t)
		files := map[string]string{}
		for i := range n {
			files[fmt.Sprintf("clients/c%02d.yaml", i)] = client(fmt.Sprintf("c%02d", i))
		}
		w.apply(files)
		w.want("c39", state.StatusActive)
		return v, w
	}
	next := strings.Replace(template, "ref: v1", "ref: v2", 1)
	t.Run("good", func(t *testing.T) {
		v, w := begin(t)
		ids := w.push(map[string]string{"templates/shop.yaml": next})
		if len(ids) != 1 {
			t.Fatalf("it begins on %d clients", len(ids))
		}
		if d := w.detail("c20"); len(d.Holds) != 1 || d.Holds[0].Kind != state.HoldFleet {
			t.Errorf("why says nothing of the wave: %+v", d.Holds)
		}
		w.pass(ids...)
		for i := range n {
			name := fmt.Sprintf("c%02d", i)
			w.want(name, state.StatusActive)
			d, _ := v.world.Serves(name + ".agency.example")
			if o, _ := v.world.Object(d); !strings.Contains(fmt.Sprintf("%+v", o.Attributes), "v2") {
				t.Fatalf("%s still serves the old version", name)
			}
		}
		o, err := w.engine.Overview()
		if err != nil || len(o.Holds) > 0 {
			t.Errorf("holds are left: %+v %v", o.Holds, err)
		}
	})
	t.Run("bad", func(t *testing.T) {
		v, w := begin(t)
		v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
		w.apply(map[string]string{"templates/shop.yaml": next})
		failed := 0
		for i := range n {
			name := fmt.Sprintf("c%02d", i)
			if w.row(name).Status == string(state.StatusFailed) {
				failed++
			}
			d, _ := v.world.Serves(name + ".agency.example")
			if o, _ := v.world.Object(d); !strings.Contains(fmt.Sprintf("%+v", o.Attributes), "v1") {
				t.Fatalf("%s does not serve the old version", name)
			}
		}
		if failed != 3 {
			t.Errorf("%d clients failed before it was halted", failed)
		}
		o, err := w.engine.Overview()
		if err != nil || len(o.Holds) != 1 || !strings.Contains(o.Holds[0].Reason, "failed on") {
			t.Fatalf("holds: %+v %v", o.Holds, err)
		}
		w.restart()
		v.faults.Clear()
		ids, err := w.engine.Approve(t.Context(), o.Holds[0].Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
		active := 0
		for i := range n {
			if w.row(fmt.Sprintf("c%02d", i)).Status == string(state.StatusActive) {
				active++
			}
		}
		if active != n-3 {
			t.Errorf("%d are active after the approval, want all but the three that failed", active)
		}
	})
}

// The first start of a fleet waits as a whole, and says so.
func TestRuleGuardFirstStart(t *testing.T) {
	v, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.MaxCreates = 10 }
	w.restart()
	files := map[string]string{}
	for i := range 30 {
		files[fmt.Sprintf("clients/c%02d.yaml", i)] = client(fmt.Sprintf("c%02d", i))
	}
	w.apply(files)
	o, err := w.engine.Overview()
	if err != nil || len(o.Holds) != 1 || !strings.HasPrefix(o.Holds[0].Reason, "First start: 30 clients, none known.") {
		t.Fatalf("holds: %+v %v", o.Holds, err)
	}
	for _, d := range w.restart() { // a start does not let them go either
		w.pass(d.Client)
	}
	if got := v.writes(); len(got) > 0 {
		t.Fatalf("writes: %v", got)
	}
	ids, err := w.engine.Approve(t.Context(), o.Holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("c29", state.StatusActive)
}

// History: a force push is held and nothing changes; when the branch is put back, the
// hold is gone.
func TestRuleHistoryPutBack(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	good := w.repo.order[len(w.repo.order)-1]
	w.repo.rewritten = true
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/a.yaml": ""})
	o, err := w.engine.Overview()
	if err != nil || len(o.Holds) != 1 || o.Holds[0].Kind != state.HoldHistory {
		t.Fatalf("holds: %+v %v", o.Holds, err)
	}
	w.repo.rewritten = false
	w.repo.order = append(w.repo.order, good)
	w.pass(w.poll()...)
	if o, err = w.engine.Overview(); err != nil || len(o.Holds) != 0 {
		t.Errorf("holds after the branch was put back: %+v %v", o.Holds, err)
	}
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// P9: a server that is behind shows an accepted head once more. It is told as held; as soon
// as the newer one is seen again, what it had come to is told again.
func TestP9OlderHeadShownAgain(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	old := w.repo.order[len(w.repo.order)-1]
	w.apply(map[string]string{"clients/b.yaml": client("b")})
	newest := w.repo.order[len(w.repo.order)-1]
	said := map[string]string{}
	tell := func() {
		t.Helper()
		err := w.engine.Deliver(t.Context(), func(_ context.Context, r state.Report) error { said[r.Subject] = r.State; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	tell()
	w.repo.cut(old)
	w.repo.order = append(w.repo.order, old)
	w.poll()
	tell()
	if said["commit/"+old] != "failure" {
		t.Errorf("a history that was rewritten is told as %q", said["commit/"+old])
	}
	w.repo.order = append(w.repo.order, newest)
	w.repo.cuts = nil
	w.pass(w.poll()...)
	tell()
	if said["commit/"+old] != "success" || said["commit/"+newest] != "success" {
		t.Errorf("what the heads came to is told as %q and %q", said["commit/"+old], said["commit/"+newest])
	}
}

// History: another folder in the configuration holds everything until it is approved;
// then the clients' files are found in the new one.
func TestRuleHistoryChangedPath(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	w.repo.commit(map[string]string{"clients/a.yaml": "", "clients/b.yaml": "", "customers/a.yaml": client("a"), "customers/b.yaml": client("b")})
	w.change = func(e *reconcile.Engine) { e.Path = "customers" }
	w.restart()
	v.world.ForgetCalls()
	w.pass(w.poll()...)
	o, err := w.engine.Overview()
	if err != nil || len(o.Holds) != 1 || o.Holds[0].Kind != state.HoldHistory {
		t.Fatalf("holds: %+v %v", o.Holds, err)
	}
	ids, err := w.engine.Approve(t.Context(), o.Holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// Review and hold: an approval may be given before the merge; it serves its steps once.
func TestRuleReviewApprovedBeforeTheMerge(t *testing.T) {
	v, w := newVendors(t)
	mail := "dns: {records: [{type: MX, name: \"@\", content: mx.a.example, priority: 10}]}"
	w.apply(map[string]string{"clients/a.yaml": client("a", mail)})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	print := w.detail("a").Holds[0].Fingerprint
	w.apply(map[string]string{"clients/a.yaml": client("a", mail)}) // taken back
	if d := w.detail("a"); len(d.Holds) > 0 {
		t.Fatalf("still held: %+v", d.Holds)
	}
	if _, err := w.engine.Approve(t.Context(), print, "dana"); err != nil {
		t.Fatal(err)
	}
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusActive)
	if got := v.writes(); len(got) != 1 {
		t.Errorf("writes: %v", got)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", mail)})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusHeld) // the approval was used
}

// Who approves what was approved, and is done, is told so: by its whole fingerprint, which is good for what
// comes to wait under it, as ever, and by its first characters, which name nothing that waits.
func TestRuleReviewApprovedOnceMore(t *testing.T) {
	_, w := newVendors(t)
	mail := "dns: {records: [{type: MX, name: \"@\", content: mx.a.example, priority: 10}]}"
	w.apply(map[string]string{"clients/a.yaml": client("a", mail)})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	print := w.detail("a").Holds[0].Fingerprint
	approve := func(want string) (ids []state.ClientID) {
		t.Helper()
		ids, told, err := w.engine.ApproveTold(t.Context(), print, "dana")
		if err != nil || told.Text() != want {
			t.Errorf("%v, %q; want %q", err, told.Text(), want)
		}
		return ids
	}
	at := w.clock.Now().UTC().Format("2 January 2006 15:04 UTC")
	approve("Approved; 1 client goes on: a.")
	ids := approve("Approved already, by dana on " + at + "; 1 client goes on: a.")
	w.pass(ids...)
	w.want("a", state.StatusActive)
	if _, err := w.engine.Approve(t.Context(), print[:6], "dana"); !errors.Is(err, reconcile.ErrNoHold) || !strings.HasSuffix(err.Error(), print[:6]+" was approved already, by dana on "+at+", and used: nothing waits for it any more") {
		t.Errorf("by its first characters: %v", err)
	}
	const comes = " What comes to wait under it within 24 hours runs, once."
	if ids := approve("Approved already, by dana on " + at + ", and used: nothing waits for it any more." + comes); len(ids) > 0 {
		t.Errorf("due are %v", ids)
	}
	approve("Approved already, by dana on " + at + "; nothing waits for it now." + comes)
	w.apply(map[string]string{"clients/a.yaml": client("a", mail)})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusActive) // it let the same run once more
}

// Review and hold: an approval ends with the client that it was given for. A new client of its
// name that asks for an equal step waits for its own, and so does the same client that comes
// back; the removal of one does not wait once more for what was approved of it before the merge.
func TestRuleReviewApprovalEndsWithItsClient(t *testing.T) {
	const holidays = "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2026-11-24T08:00, to: 2026-11-25T05:00, zone: UTC, reason: holidays}]\n"
	site := "deployment: {provider: none}"
	for _, c := range []struct {
		name        string
		early       bool // it is approved once more after the removal, before anything is held
		back        string
		back2, want state.Status
	}{
		{"another client of the name", false, strings.Replace(client("e", site), "domain: e\n", "domain: b\n", 1), state.StatusHeld, state.StatusActive},
		{"the same file", false, client("e", site), state.StatusHeld, state.StatusActive},
		{"the same file, approved for its return", true, client("e", site), state.StatusActive, state.StatusActive},
	} {
		v, w := newVendors(t)
		w.apply(map[string]string{"platform.yaml": holidays, "clients/old.yaml": client("old", site)})
		w.pass(w.push(map[string]string{"clients/e.yaml": client("e", site)})...)
		w.want("e", state.StatusHeld)
		approve := func(name string) {
			t.Helper()
			if _, err := w.engine.Approve(t.Context(), w.detail(name).Holds[0].Fingerprint, "dana"); err != nil {
				t.Fatal(err)
			}
		}
		print := w.detail("e").Holds[0].Fingerprint
		approve("e")
		w.pass(w.push(map[string]string{"clients/e.yaml": ""})...) // before it could be used
		if c.early {
			if _, err := w.engine.Approve(t.Context(), print, "dana"); err != nil {
				t.Fatal(err)
			}
		}
		w.apply(map[string]string{"clients/e.yaml": c.back})
		w.want("e", c.back2)
		if n := len(v.world.Objects("railway")); n != map[state.Status]int{state.StatusActive: 1}[c.back2] {
			t.Errorf("%s: %d databases", c.name, n)
		}
		if c.back2 == state.StatusHeld {
			if now := w.detail("e").Holds[0].Fingerprint; now != print {
				t.Errorf("%s: the step is another one: %s, and was %s", c.name, now, print)
			}
			approve("e")
			w.pass(state.ClientID(w.detail("e").ID))
		}
		w.want("e", c.want)
	}
}

// P5, review and hold: what was approved of a removal before the merge serves it; not the client
// that comes back instead.
func TestRuleReviewApprovalOfARemoval(t *testing.T) {
	v, w := newVendors(t)
	mail := "dns: {records: [{type: MX, name: \"@\", content: mx.a.example, priority: 10}]}"
	with, other := client("a", mail), client("b")
	w.apply(map[string]string{"clients/a.yaml": with, "clients/b.yaml": other})
	w.apply(map[string]string{"clients/a.yaml": ""})
	print := w.detail("a").Holds[0].Fingerprint
	w.apply(map[string]string{"clients/a.yaml": with})
	w.clock.add(25 * time.Hour) // the guard counts a day
	if _, err := w.engine.Approve(t.Context(), print, "dana"); err != nil {
		t.Fatal(err)
	}
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.want("a", state.StatusRetained)

	// One that is approved while it is removed, and comes back: what it drops is asked for.
	w.apply(map[string]string{"clients/a.yaml": with})
	w.want("a", state.StatusActive)
	w.clock.add(25 * time.Hour)
	w.apply(map[string]string{"clients/a.yaml": ""})
	if _, err := w.engine.Approve(t.Context(), w.detail("a").Holds[0].Fingerprint, "dana"); err != nil {
		t.Fatal(err)
	}
	w.push(map[string]string{"clients/a.yaml": client("a")}) // before it passed
	w.pass(state.ClientID(w.detail("a").ID))
	if holds := w.detail("a").Holds; len(holds) != 1 || holds[0].Kind != state.HoldMail {
		t.Errorf("held: %+v", holds)
	}
}

// An approval whose steps did not begin, because the provider was down, serves again.
func TestRuleReviewApprovalOutlivesAnOutage(t *testing.T) {
	v, w := newVendors(t)
	mail := "dns: {records: [{type: MX, name: \"@\", content: mx.a.example, priority: 10}]}"
	w.apply(map[string]string{"clients/a.yaml": client("a", mail)})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindRecord), 0, memory.Fail(provider.Transient, "503 service unavailable"))
	ids, err := w.engine.Approve(t.Context(), w.detail("a").Holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	v.faults.Clear()
	w.clock.add(time.Hour)
	w.pass(ids...)
	if r := w.want("a", state.StatusActive); r.Because != "" {
		t.Errorf("a: %s", r.Because)
	}
}

// Secrets: one of a client that is yet to come can be set before its manifest is merged,
// so that its plan can be read; it becomes the client's own, and survives a rename.
func TestRuleSecretsOfAClientThatIsYetToCome(t *testing.T) {
	v, w := newVendors(t)
	text := client("a", "env: {MOLLIE_API_KEY: {secret: mollie}}")
	w.apply(map[string]string{"clients/other.yaml": client("other")})
	_, files, err := w.repo.Tree(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, accept.File{Path: "clients/a.yaml", Data: []byte(text)})
	p, err := w.engine.PreviewOf(t.Context(), "", files, nil)
	if err != nil || len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Hint, "reconciler secret set mollie --client a --new") {
		t.Fatalf("the plan does not say how to set it: %+v %v", p.Problems, err)
	}
	if _, _, err := w.engine.SetSecret("a", "mollie", state.NewSecret("x"), w.keys.Fingerprint, "dana"); !errors.Is(err, reconcile.ErrNoClient) {
		t.Errorf("a typo is taken for a client: %v", err)
	}
	if _, _, err := w.engine.SetSecret(reconcile.Coming+"other", "mollie", state.NewSecret("x"), w.keys.Fingerprint, "dana"); !errors.Is(err, reconcile.ErrRefused) {
		t.Errorf("a known client is taken for a new one: %v", err)
	}
	if _, _, err := w.engine.SetSecret(reconcile.Coming+"a", "mollie", state.NewSecret("set-before"), w.keys.Fingerprint, "dana"); err != nil {
		t.Fatal(err)
	}
	if p, err = w.engine.PreviewOf(t.Context(), "", files, nil); err != nil || len(p.Problems) > 0 {
		t.Fatalf("problems: %+v %v", p.Problems, err)
	}
	w.apply(map[string]string{"clients/a.yaml": text})
	w.want("a", state.StatusActive)
	d, _ := v.world.Serves("a.agency.example")
	if got := v.world.BuiltWith(d)["MOLLIE_API_KEY"]; got != "set-before" {
		t.Errorf("the site has %q", got)
	}
	if left, err := w.engine.Secrets("a"); err != nil || !strings.Contains(fmt.Sprint(left), "mollie") {
		t.Errorf("its secrets: %v %v", left, err)
	}
}
