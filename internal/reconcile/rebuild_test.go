package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Ancestors implements reconcile.Ancestry.
func (r *repository) Ancestors(_ context.Context, head string, most int) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for i := slices.Index(r.order, head); i >= 0 && len(out) < most; i-- {
		out = append(out, r.order[i])
	}
	return out, nil
}

// rebuild loses the state and makes it anew; nothing may be written at a provider.
func (w *world) rebuild(v *vendors) reconcile.Rebuilt {
	w.t.Helper()
	w.lose()
	before := v.world.Snapshot(everything)
	v.world.ForgetCalls()
	out, err := w.engine.Rebuild(w.t.Context(), "ops")
	if err != nil {
		w.t.Fatal(err)
	}
	if got := v.writes(); len(got) > 0 || v.world.Snapshot(everything) != before {
		w.t.Fatalf("a rebuild wrote: %v", got)
	}
	return out
}

func everything(provider.Object) bool { return true }

// planned is what the next plan of the head shows, as step keys.
func (w *world) planned() (steps, problems []string) {
	w.t.Helper()
	commit, files, err := w.repo.Tree(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.engine.PreviewOf(w.t.Context(), commit, files, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range p.Changes {
		for _, s := range c.Steps {
			if s.Action != "record" && s.Action != "probe" && s.Action != "await" {
				steps = append(steps, c.Client+" "+s.Action+" "+s.Ref)
			}
		}
	}
	for _, q := range p.Problems {
		problems = append(problems, q.Text)
	}
	slices.Sort(steps)
	return steps, problems
}

// records are what is on record, without what only time tells.
func (w *world) records() string {
	w.t.Helper()
	var b strings.Builder
	err := w.store.View(func(tx store.Tx) error {
		clients, err := store.Clients(tx)
		if err != nil {
			return err
		}
		for _, c := range clients {
			fmt.Fprintf(&b, "%s %s gen %d former %v removed %v blob %s template %s platform %s hash %s invalid %s deployed %v\n", c.ID, c.Name, c.Generation, c.Former, c.Removed, c.Blob, c.TemplateBlob, c.PlatformBlob, c.WishHash, c.InvalidBlob, c.EverDeployed)
		}
		all, err := store.AllResources(tx)
		for _, r := range all {
			fmt.Fprintf(&b, "%s at %s id %s name %s gen %d phase %q found %v retained %v\n%s", r.Ref, r.Provider, r.ID, r.Name, r.Generation, r.Phase, r.Found, r.Retained(), r.Attributes.Canonical())
			for _, k := range []string{"id", "url", "host", "address"} {
				if v, ok := r.Outputs[k]; ok {
					fmt.Fprintf(&b, "  out %s = %s\n", k, v.Canonical())
				}
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// otherThan lists the lines that only one of two records has.
func otherThan(got, want string) string {
	var out []string
	for _, x := range []struct{ sign, a, b string }{{"-", want, got}, {"+", got, want}} {
		have := map[string]int{}
		for l := range strings.Lines(x.b) {
			have[l]++
		}
		for l := range strings.Lines(x.a) {
			if have[l]--; have[l] < 0 {
				out = append(out, x.sign+l)
			}
		}
	}
	return strings.Join(out, "")
}

// byKind is the one object of a kind that a client's mark is on.
func (v *vendors) byKind(t testing.TB, id state.ClientID, k state.Kind) provider.Object {
	t.Helper()
	var out []provider.Object
	for _, o := range v.world.Objects("") {
		if o.Mark.Client == id && o.Kind == k {
			out = append(out, o)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no %s", id, k)
	}
	return out[len(out)-1]
}

// S43: a rebuilt record is the one that was lost; the next plan is empty, and applying it
// writes nothing.
func TestS43RebuildIsTheSameRecord(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]"), "clients/b.yaml": client("b"), "clients/c.yaml": client("c", "deployment: {provider: none}")})
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]", "env: {COLOUR: red}")}) // an earlier release
	w.apply(map[string]string{"clients/b.yaml": "", "clients/bee.yaml": client("bee", "previously: [b]")})
	for _, n := range []string{"a", "bee", "c"} {
		w.want(n, state.StatusActive)
	}
	before := w.records()
	out := w.rebuild(v)
	if len(out.Holds) > 0 || len(out.Missing) > 0 || len(out.Clients) != 3 {
		t.Errorf("%+v", out)
	}
	if got := w.records(); got != before {
		t.Errorf("rebuilt:\n%s", otherThan(got, before))
	}
	if steps, problems := w.planned(); len(steps)+len(problems) > 0 {
		t.Errorf("the next plan: %v %v", steps, problems)
	}
	w.pass(w.due()...)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	for _, n := range []string{"a", "bee", "c"} {
		if r := w.want(n, state.StatusActive); r.URL == "" && n != "c" {
			t.Errorf("%+v", r)
		}
	}
	// It goes on like any other.
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.want("a", state.StatusRetained)
}

// S43: what was changed by hand before is exactly the next plan.
func TestS43DriftIsTheNextPlan(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]", "env: {COLOUR: red}"), "clients/b.yaml": client("b")})
	a := state.ClientID(w.detail("a").ID)
	v.world.Set(v.byKind(t, a, state.KindEnvironment).ID, "env.COLOUR", "blue")
	var www provider.Object
	for _, o := range v.world.Objects("") {
		if o.Kind == state.KindRecord && o.Mark.Client == a && o.Name == "A www.a.example" {
			www = o
		}
	}
	v.world.Set(v.byKind(t, a, state.KindDomain).ID, "redirect", "elsewhere.example")
	v.world.Remove(www.ID)
	w.rebuild(v)
	steps, problems := w.planned()
	want := []string{"a create record/A www.a.example", "a update domain/www.a.example@vercel", "a update environment/vercel"}
	if !slices.Equal(steps, want) || len(problems) > 0 {
		t.Errorf("the next plan: %v %v, want %v", steps, problems, want)
	}
	w.pass(w.due()...)
	w.want("a", state.StatusActive)
	if steps, _ := w.planned(); len(steps) > 0 {
		t.Errorf("left: %v", steps)
	}
}

// S43: of a file that is invalid at the head the newest ancestor that validates is taken,
// with the template and the platform file of that commit.
func TestS43LastGoodVersions(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"), "clients/late.yaml": client("late")})
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
	w.apply(map[string]string{"clients/a.yaml": "name: a\nnonsense: true\n"})
	w.apply(map[string]string{"templates/shop.yaml": "kind: [\n"})
	w.apply(map[string]string{"clients/b.yaml": "apiVersion: reconciler/v1\nkind: Client\nname: b\ntemplate: gone\ndomain: b\ncontact: {email: o@b.example}\n"})
	before := w.records()
	w.rebuild(v)
	if got := w.records(); got != before {
		t.Errorf("rebuilt:\n%s", otherThan(got, before))
	}
	if steps, _ := w.planned(); len(steps) > 0 {
		t.Errorf("the next plan: %v", steps)
	}
	w.pass(w.due()...)
	if d := w.detail("a"); d.Problem == nil || !strings.Contains(d.Problem.Text, "nonsense") || d.Status != string(state.StatusActive) {
		t.Errorf("a is %s: %s", d.Status, d.Because)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: green}"), "templates/shop.yaml": template})
	w.want("a", state.StatusActive)
}

// S43: of two that ask for one name, or for names one of which lies below the other, the one
// whose objects bear it had it first.
func TestS43WhoHadANameKeepsIt(t *testing.T) {
	for what, name := range map[string]string{"before it": "a", "after it": "z"} {
		for _, host := range []string{"victim.agency.example", "login.victim.agency.example"} {
			t.Run(what+", "+host, func(t *testing.T) {
				v, w := newVendors(t)
				file := "clients/" + name + ".yaml"
				w.apply(map[string]string{"clients/victim.yaml": client("victim"), file: client(name)})
				w.apply(map[string]string{file: client(name, "aliases: ["+host+"]")})
				w.apply(map[string]string{"clients/new-" + name + ".yaml": strings.Replace(client("new-"+name), "domain: new-"+name, "domain: "+host, 1)})
				w.apply(map[string]string{"clients/victim.yaml": client("victim", "env: {COLOUR: red}")})
				before := w.records()
				w.rebuild(v)
				if got := w.records(); got != before {
					t.Errorf("rebuilt:\n%s", otherThan(got, before))
				}
				w.pass(w.due()...)
				w.want("victim", state.StatusActive)
				w.apply(map[string]string{"clients/victim.yaml": client("victim", "env: {COLOUR: green}")})
				w.want("victim", state.StatusActive)
				if d := w.detail(name); d.Problem == nil || !strings.Contains(d.Problem.Text, host) || w.row("new-"+name).Status != string(state.StatusInvalid) {
					t.Errorf("%+v", d)
				}
			})
		}
	}
}

// S43: where no object bears a name, nothing shows who of two had it first: both are held.
func TestS43NobodyShowsWhoHadAName(t *testing.T) {
	v, w := newVendors(t)
	bare := []string{"deployment: {provider: none}", "dns: {provider: none}"}
	w.apply(map[string]string{"clients/victim.yaml": client("victim", bare...), "clients/a.yaml": client("a")})
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [login.victim.agency.example]")})
	w.repo.commit(map[string]string{"README.md": "more"})
	w.poll()
	w.rebuild(v)
	w.pass(w.due()...)
	w.want("victim", state.StatusHeld)
	if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "login.victim.agency.example may be its name, and as well victim.agency.example that of victim") || len(v.writes()) > 0 {
		t.Errorf("%s: %v", r.Because, v.writes())
	}
}

// S43: marked objects without a manifest are held; a database alone is retained, from now.
func TestS43OrphansAndRetention(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/keep.yaml": client("keep"), "clients/gone.yaml": client("gone", "database: {retain: 40d}"), "clients/late.yaml": client("late")})
	gone, late := state.ClientID(w.detail("gone").ID), state.ClientID(w.detail("late").ID)
	w.apply(map[string]string{"clients/gone.yaml": ""})
	w.want("gone", state.StatusRetained)
	w.clock.add(10 * 24 * time.Hour)
	w.repo.commit(map[string]string{"clients/late.yaml": ""}) // never seen by the state that is lost
	out := w.rebuild(v)
	d := w.detail("gone")
	var db state.Resource
	for _, r := range d.Resources {
		if r.Ref.Kind == state.KindDatabase {
			db = r
		}
	}
	if d.Status != string(state.StatusRetained) || state.ClientID(d.ID) != gone || !db.PurgeAfter.Equal(w.clock.Now().Add(40*24*time.Hour)) {
		t.Errorf("gone: %s %s, purge after %v", d.Status, d.ID, db.PurgeAfter)
	}
	if kept, err := w.engine.Retained(); err != nil || len(kept) != 1 {
		t.Errorf("retained: %v %v", kept, err)
	}
	d = w.detail("late")
	if d.Status != string(state.StatusHeld) || state.ClientID(d.ID) != late || len(d.Holds) != 1 || len(out.Holds) != 1 {
		t.Fatalf("late: %+v", d)
	}
	objects := len(v.world.Objects(""))
	w.pass(append(w.due(), late, gone)...)
	if got := v.writes(); len(got) > 0 || len(v.world.Objects("")) != objects {
		t.Errorf("writes: %v", got)
	}
	w.want("late", state.StatusHeld)
	ids, err := w.engine.Approve(t.Context(), d.Holds[0].Fingerprint, "ops")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("late", state.StatusRetained)
	if v.byKind(t, late, state.KindDatabase).ID == "" {
		t.Error("its data went")
	}
	// A manifest that returns gets its database back.
	w.apply(map[string]string{"clients/gone.yaml": client("gone", "database: {retain: 40d}")})
	if w.want("gone", state.StatusActive); v.byKind(t, gone, state.KindDatabase).ID != db.ID {
		t.Error("another database")
	}
}

// S43: secrets that manifests name are listed with the command that sets them; set again
// to the same value, nothing is built anew. Generated ones come from where they are given
// back.
func TestS43Secrets(t *testing.T) {
	v, w := newQuietVendors(t, map[state.Kind][]string{state.KindAdmin: {"password"}})
	set := func(client, name, value string) {
		t.Helper()
		if _, _, err := w.engine.SetSecret(client, name, state.NewSecret(value), w.keys.Fingerprint, "ops"); err != nil {
			t.Fatal(err)
		}
	}
	set("new/a", "mollie", "live_abcdef")
	set("", "sentry", "dsn-of-all")
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {KEY: {secret: mollie}, DSN: {secret: shared/sentry}, SESSION: {generate: hex32}}")})
	w.want("a", state.StatusActive)
	a := state.ClientID(w.detail("a").ID)
	before, env := w.records(), v.byKind(t, a, state.KindEnvironment)
	out := w.rebuild(v)
	var acts []string
	for _, m := range out.Missing {
		acts = append(acts, m.Act)
	}
	slices.Sort(acts)
	if want := []string{"reconciler secret set mollie --client a", "reconciler secret set sentry"}; !slices.Equal(acts, want) {
		t.Errorf("missing: %v", acts)
	}
	if len(out.Lost) != 1 || out.Lost[0].Name != "generated/admin-password" {
		t.Errorf("lost: %+v", out.Lost)
	}
	if _, problems := w.planned(); len(problems) == 0 || !strings.Contains(strings.Join(problems, "\n"), "not set") {
		t.Errorf("problems: %v", problems)
	}
	set("a", "mollie", "live_abcdef")
	set("", "sentry", "dsn-of-all")
	if steps, problems := w.planned(); len(steps)+len(problems) > 0 {
		t.Errorf("after setting them again: %v %v", steps, problems)
	}
	w.pass(w.due()...)
	w.want("a", state.StatusActive)
	if got := w.records(); got != before {
		t.Errorf("rebuilt:\n%s", otherThan(got, before))
	}
	if got := v.byKind(t, a, state.KindEnvironment); fmt.Sprint(got.ID, revealed(got)) != fmt.Sprint(env.ID, revealed(env)) {
		t.Error("the environment is another one")
	}
	// Never rotated by itself: a change that needs what was lost waits for a person.
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {KEY: {secret: mollie}, DSN: {secret: shared/sentry}, SESSION: {generate: hex32}}", "admin: {email: other@a.example}")})
	if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "secret rm generated/admin-password") {
		t.Errorf("a: %s", r.Because)
	}
	if err := w.engine.RemoveSecret("a", "generated/admin-password", "ops"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Retry("a", "ops"); err != nil {
		t.Fatal(err)
	}
	w.pass(a)
	w.want("a", state.StatusActive)
}

// newQuietVendors are vendors that don't give some attributes back.
func newQuietVendors(t testing.TB, hidden map[state.Kind][]string) (*vendors, *world) {
	t.Helper()
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		v.clock, v.world = c, memory.NewWorld(c.Now)
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: v.world, Kinds: kinds, Fault: v.faults.Hook, Sleep: c.Sleep, WriteOnly: hidden})
		}
		return []provider.Provider{open("railway", memory.Databases()), open("vercel", memory.Hosting()), open("cloudflare", memory.DNS())}
	})
	return v, w
}

// S43: where environments are not given back, the release tells that its own was set; a
// wish that was never carried out is carried out, and a generated secret is not rotated.
func TestS43WriteOnlyEnvironment(t *testing.T) {
	v, w := newQuietVendors(t, map[state.Kind][]string{state.KindEnvironment: {"env.*"}, state.KindAdmin: {"password"}})
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}"), "clients/b.yaml": client("b")})
	w.repo.commit(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: blue}")}) // never carried out
	out := w.rebuild(v)
	if len(out.Lost) != 4 {
		t.Errorf("lost: %+v", out.Lost)
	}
	steps, problems := w.planned()
	if len(problems) > 0 || !slices.Contains(steps, "a update environment/vercel") || strings.Contains(strings.Join(steps, ","), "b ") {
		t.Errorf("the next plan: %v %v", steps, problems)
	}
	w.pass(w.due()...)
	w.want("b", state.StatusActive)
	if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "generated/PAYLOAD_SECRET") {
		t.Errorf("a: %s", r.Because)
	}
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	if _, _, err := w.engine.SetSecret("a", "generated/PAYLOAD_SECRET", state.NewSecret("what it was"), w.keys.Fingerprint, "ops"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.engine.SetSecret("a", "generated/OTHER", state.NewSecret("x"), w.keys.Fingerprint, "ops"); !errors.Is(err, reconcile.ErrRefused) {
		t.Errorf("a generated secret that was not lost: %v", err)
	}
	if _, err := w.engine.Retry("a", "ops"); err != nil {
		t.Fatal(err)
	}
	w.pass(state.ClientID(w.detail("a").ID))
	w.want("a", state.StatusActive)
	d, _ := v.world.Serves("a.agency.example")
	if got := v.world.BuiltWith(d); got["COLOUR"] != "blue" || got["PAYLOAD_SECRET"] != "what it was" {
		t.Errorf("built with %v", got)
	}
}

func revealed(o provider.Object) []string {
	var out []string
	for _, a := range o.Attributes {
		out = append(out, a.Name+"="+a.Reveal())
	}
	return out
}

// S43: a rebuild refuses a state that holds something, an empty tree and a world without
// marks of ours; a provider that can't be asked stops it.
func TestS43Refusals(t *testing.T) {
	v, w := newVendors(t)
	if _, err := w.engine.Rebuild(t.Context(), "ops"); !errors.Is(err, reconcile.ErrRefused) {
		t.Errorf("nothing there: %v", err)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	if _, err := w.engine.Rebuild(t.Context(), "ops"); !errors.Is(err, reconcile.ErrRefused) || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("a state with clients: %v", err)
	}
	w.lose()
	v.world.Down("cloudflare", &provider.Error{Kind: provider.Transient, Provider: "cloudflare", Op: "observe", Message: "down"})
	if _, err := w.engine.Rebuild(t.Context(), "ops"); err == nil || !strings.Contains(err.Error(), "cloudflare") {
		t.Errorf("a provider that is down: %v", err)
	}
	v.world.Down("cloudflare", nil)
	w.repo.commit(map[string]string{"clients/a.yaml": ""})
	if _, err := w.engine.Rebuild(t.Context(), "ops"); !errors.Is(err, reconcile.ErrRefused) {
		t.Errorf("an empty tree: %v", err)
	}
	if r := w.row("a"); r.Name != "" {
		t.Errorf("something was recorded: %+v", r)
	}
}

// S43: a database that is gone is not replaced by an empty one, and two objects that could
// be the same are nobody's guess.
func TestS43Uncertain(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"), "clients/c.yaml": client("c")})
	a, b := state.ClientID(w.detail("a").ID), state.ClientID(w.detail("b").ID)
	v.world.Remove(v.byKind(t, a, state.KindDatabase).ID)
	twin := v.byKind(t, b, state.KindDatabase)
	twin.ID = ""
	v.world.Seed("railway", twin)
	w.rebuild(v)
	w.pass(append(w.due(), a, b)...)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "empty one") {
		t.Errorf("a: %s", r.Because)
	}
	if r := w.want("b", state.StatusHeld); !strings.Contains(r.Because, "two objects") {
		t.Errorf("b: %s", r.Because)
	}
	w.want("c", state.StatusActive)
	ids, err := w.engine.Approve(t.Context(), w.detail("a").Holds[0].Fingerprint, "ops")
	if err != nil || len(ids) != 1 {
		t.Fatalf("%v %v", ids, err)
	}
	w.pass(ids...)
	w.want("a", state.StatusActive)
}

// S43: of who was renamed long ago, and has nothing but a database, no version of a manifest
// at the head says what it was called. An earlier one does: a person looks, and its data stays
// its own, also where its name is another client's by then.
func TestS43RenamedLongAgo(t *testing.T) {
	const data = "deployment: {provider: none}"
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", data)})
	id := state.ClientID(w.detail("a").ID)
	db := v.byKind(t, id, state.KindDatabase)
	w.apply(map[string]string{"clients/a.yaml": "", "clients/b.yaml": client("b", data, "previously: [a]")})
	w.apply(map[string]string{"clients/b.yaml": "", "clients/c.yaml": client("c", data, "previously: [b]")})
	w.apply(map[string]string{"clients/c.yaml": client("c", data)})
	w.apply(map[string]string{"clients/a.yaml": client("a", data, "database: {reuse: fresh}")})
	w.want("a", state.StatusActive)
	young := state.ClientID(w.detail("a").ID)
	if got := w.want("c", state.StatusActive); state.ClientID(got.ID) != id || young == id {
		t.Fatalf("c is %s, a is %s", got.ID, young)
	}
	w.rebuild(v)
	w.pass(append(w.due(), id, young)...)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	c := w.want("c", state.StatusHeld)
	if state.ClientID(c.ID) != id || !strings.Contains(c.Because, "called a before") {
		t.Errorf("c: %s %s", c.ID, c.Because)
	}
	if a := w.detail("a"); state.ClientID(a.ID) != young {
		t.Errorf("a: %s %s", a.ID, a.Because)
	}
	ids, err := w.engine.Approve(t.Context(), w.detail("c").Holds[0].Fingerprint, "ops")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("c", state.StatusActive)
	if got := v.byKind(t, id, state.KindDatabase); got.ID != db.ID || len(v.writes()) > 0 {
		t.Errorf("another database: %s, and writes: %v", got.ID, v.writes())
	}
}

// S43: where only one has data, and either of two may be who it belongs to, nothing empty is
// made for the other one unasked.
func TestS43OneOfTwoHadTheData(t *testing.T) {
	const data = "deployment: {provider: none}"
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", data)})
	id := state.ClientID(w.detail("a").ID)
	w.apply(map[string]string{"clients/a.yaml": "", "clients/c.yaml": client("c", data, "previously: [a]")})
	w.repo.commit(map[string]string{"clients/a.yaml": client("a", data, "database: {reuse: fresh}")}) // never seen by the state that is lost
	w.rebuild(v)
	a, c := w.want("a", state.StatusHeld), w.want("c", state.StatusHeld)
	w.pass(append(w.due(), id, state.ClientID(a.ID), state.ClientID(c.ID))...)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	for _, d := range []reconcile.Detail{w.detail("a"), w.detail("c")} {
		if d.Status != string(state.StatusHeld) || len(d.Holds) != 1 || !d.Holds[0].Approvable {
			t.Fatalf("%s: %s, %+v", d.Name, d.Status, d.Holds)
		}
		ids, err := w.engine.Approve(t.Context(), d.Holds[0].Fingerprint, "ops")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
		w.want(d.Name, state.StatusActive)
	}
	if v.byKind(t, id, state.KindDatabase).ID == "" {
		t.Error("its data went")
	}
}

// S43: vendors whose lists are late, and show what is gone, are waited for: nothing is made
// twice, and nothing that is gone is on record.
func TestS43LateLists(t *testing.T) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		v.clock, v.world = c, memory.NewWorld(c.Now)
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: v.world, Kinds: memory.Change(kinds, memory.Unkind(2*time.Minute)), Sleep: c.Sleep, LateDeletes: true})
		}
		return []provider.Provider{open("railway", memory.Databases()), open("vercel", memory.Hosting()), open("cloudflare", memory.DNS())}
	})
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]"), "clients/b.yaml": client("b")})
	w.apply(map[string]string{"clients/a.yaml": client("a")}) // what goes with the alias is listed for a while
	before := w.records()
	w.rebuild(v)
	if got := w.records(); got != before {
		t.Errorf("rebuilt:\n%s", otherThan(got, before))
	}
	w.pass(w.due()...)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// S43: what differs at more clients than may change at once runs on one first; clients of
// which nothing is there begin no more at once than the guard allows.
func TestS43Guards(t *testing.T) {
	v, w := newVendors(t)
	files := map[string]string{}
	for _, n := range []string{"a", "b", "c", "d"} {
		files["clients/"+n+".yaml"] = client(n)
	}
	w.apply(files)
	for _, o := range v.world.Objects("cloudflare") {
		v.world.Set(o.ID, "content", "198.51.100.9")
	}
	w.repo.commit(map[string]string{"clients/x.yaml": client("x"), "clients/y.yaml": client("y")}) // never carried out
	w.change = func(e *reconcile.Engine) { e.Guard.MaxChanged, e.Guard.MaxCreates = 1, 1 }
	out := w.rebuild(v)
	kinds := map[state.HoldKind]int{}
	for _, h := range out.Holds {
		kinds[h.Kind] += len(h.Clients)
	}
	if kinds[state.HoldCreates] != 2 || kinds[state.HoldFleet] != 3 || len(out.Holds) != 2 {
		t.Fatalf("holds: %+v", out.Holds)
	}
	w.want("x", state.StatusHeld)
	var bound []state.ClientID
	for _, h := range out.Holds {
		bound = append(bound, h.Clients...)
	}
	due := w.due()
	w.pass(bound...)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("who is held was written for: %v", got)
	}
	mended := func() (n int) {
		for _, o := range v.world.Objects("cloudflare") {
			for _, x := range o.Attributes {
				if x.Name == "content" && x.Text == "203.0.113.7" {
					n++
				}
			}
		}
		return n
	}
	first := slices.DeleteFunc(due, func(id state.ClientID) bool { return slices.Contains(bound, id) })
	if len(first) != 1 {
		t.Fatalf("%v begin", first)
	}
	d, err := w.engine.Pass(t.Context(), first[0], reconcile.CauseCommit)
	if n := mended(); err != nil || n != 1 || len(d.Also) == 0 {
		t.Errorf("%d were mended; then %+v %v", n, d, err)
	}
	w.pass(d.Also...)
	if n := mended(); n != 4 {
		t.Errorf("%d of 4 were mended in the end", n)
	}
	w.want("x", state.StatusHeld)
}

// S43: what was adopted is recorded as such again, with what its environment says, and is
// kept when its client goes; also where the manifest says no more that it was.
func TestS43Adopted(t *testing.T) {
	v, w := newVendors(t)
	url := state.NewSecret("postgres://old.example/db")
	db := v.world.Seed("railway", provider.Object{ID: "data-1", Kind: state.KindDatabase, Name: "old", Attributes: []provider.Input{{Name: "access", Text: "public"}},
		Outputs: []provider.Output{{Name: "id", Text: "data-1"}, {Name: "url", Secret: &url}, {Name: "host", Text: "old.example"}}})
	w.apply(map[string]string{"clients/a.yaml": client("a", "adopt: {database: {id: data-1}}"), "clients/b.yaml": client("b")})
	w.want("a", state.StatusActive)
	w.apply(map[string]string{"clients/a.yaml": client("a", "database: {access: private}", "adopt: {database: {id: data-1}}")}) // now it bears our mark
	w.approveMoves()
	w.pass(w.id("a"))
	w.want("a", state.StatusActive)
	a := state.ClientID(w.detail("a").ID)
	if o, _ := v.world.Object(db); o.Mark.Client != a {
		t.Fatalf("it bears no mark of ours: %+v", o)
	}
	w.repo.commit(map[string]string{"clients/a.yaml": ""}) // never carried out
	out := w.rebuild(v)
	for _, h := range out.Holds {
		ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "ops")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	w.clock.add(400 * 24 * time.Hour)
	if _, err := w.engine.PurgeDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, there := v.world.Object(db); !there {
		t.Error("what was adopted was erased by a schedule")
	}
	if _, ok := v.world.Serves("a.agency.example"); ok {
		t.Error("the orphan was not taken down")
	}
}

// backup and restore, as the commands do them.
func (w *world) backup() string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "state.backup")
	if err := w.store.BackupTo(path); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// restoreWhole puts the whole folder back, with a marker that knows of nothing newer.
func (w *world) restoreWhole(backup string) []reconcile.Due {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	_, err := bolt.Replace(backup, w.path, w.keys)
	if err == nil {
		err = os.WriteFile(bolt.Marker(w.path), []byte("a state is expected here\n"), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.open()
	if err := w.store.Update(func(tx store.Tx) error { return store.DeleteRestored(tx) }); err != nil { // that it came by the command
		w.t.Fatal(err)
	}
	return w.restart()
}

func (w *world) restore(backup string) []reconcile.Due {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	if _, err := bolt.Replace(backup, w.path, w.keys); err != nil {
		w.t.Fatal(err)
	}
	return w.open()
}
