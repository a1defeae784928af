package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// shelf is sources of secrets in memory, in their order: source → owner/name → value; a
// value that begins with "!" is a problem.
type shelf struct {
	mu      sync.Mutex
	order   []string
	secrets map[string]map[string]string
	failed  map[string]bool
	changed bool
	reads   int // in which something was handed out
}

func newShelf(names ...string) *shelf {
	o := &shelf{order: names, secrets: map[string]map[string]string{}, failed: map[string]bool{}, changed: true}
	for _, n := range names {
		o.secrets[n] = map[string]string{}
	}
	return o
}

// put sets a secret of the first source; "" takes it away.
func (o *shelf) put(key, value string) { o.putAt(o.order[0], key, value) }

func (o *shelf) putAt(source, key, value string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changed = true
	if value == "" {
		delete(o.secrets[source], key)
		return
	}
	o.secrets[source][key] = value
}

func (o *shelf) fail(source string, yes bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed[source], o.changed = yes, true
}

func (o *shelf) Read(_ context.Context, anew bool) state.Outside {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !anew && !o.changed {
		return state.Outside{Same: true}
	}
	o.changed = false
	o.reads++
	out := state.Outside{Sources: o.order}
	seen := map[string]bool{}
	for _, source := range o.order {
		if o.failed[source] {
			out.Failed = append(out.Failed, source)
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(o.secrets[source])) {
			if seen[key] {
				continue
			}
			seen[key] = true
			owner, name, _ := strings.Cut(key, "/")
			x := state.OutsideSecret{Owner: owner, Name: name, Source: source, Place: source + ":" + key}
			if problem, bad := strings.CutPrefix(o.secrets[source][key], "!"); bad {
				x.Problem = problem
			} else {
				x.Value = state.NewSecret(o.secrets[source][key])
			}
			out.Secrets = append(out.Secrets, x)
		}
	}
	return out
}

// newSourced is a world whose secrets come from sources.
func newSourced(t *testing.T, names ...string) (*shelf, *vendors, *world) {
	t.Helper()
	o := newShelf(names...)
	v, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Sources = o }
	w.restart()
	return o, v, w
}

// refresh takes in what the sources have, and passes who uses it.
func (w *world) refresh() reconcile.Refreshed {
	w.t.Helper()
	r, err := w.engine.RefreshSecrets(w.t.Context(), reconcile.Refresh{By: "schedule"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.pass(r.Clients...)
	return r
}

// has is the value that a client's site runs with.
func (v *vendors) has(client, variable string) string {
	d, _ := v.world.Serves(client + ".agency.example")
	return v.world.BuiltWith(d)[variable]
}

func (w *world) clientID(name string) state.ClientID {
	w.t.Helper()
	var id state.ClientID
	err := w.store.View(func(tx store.Tx) error {
		c, _, err := store.ClientByName(tx, name)
		id = c.ID
		return err
	})
	if err != nil || id == "" {
		w.t.Fatalf("no client %s: %v", name, err)
	}
	return id
}

// wantNote wants one of the notes to hold all parts.
func wantNote(t *testing.T, notes []string, parts ...string) {
	t.Helper()
	if !slices.ContainsFunc(notes, func(n string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(n, p) })
	}) {
		t.Errorf("it is not said: %q in %q", parts, notes)
	}
}

const usesMollie = "env: {KEY: {secret: mollie}}"

// Rule, secrets: what a source has is a version like one that was set: it wakes the clients
// that use it and no others, stands in the history, and is not read twice.
func TestRuleSecretsFromASource(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesMollie), "clients/b.yaml": client("b", "env: {KEY: {secret: shared/mollie}}"), "clients/c.yaml": client("c", usesMollie), "clients/d.yaml": client("d")})
	o.put("a/mollie", "of a")
	o.put("shared/mollie", "of all")
	r := w.refresh()
	if len(r.Set) != 2 || len(r.Clients) != 2 || r.Users != 2 {
		t.Errorf("first: %+v", r)
	}
	if v.has("a", "KEY") != "of a" || v.has("b", "KEY") != "of all" {
		t.Errorf("the sites have %q and %q", v.has("a", "KEY"), v.has("b", "KEY"))
	}
	w.want("c", state.StatusFailed)
	v.world.ForgetCalls()
	o.put("shared/mollie", "of all, anew")
	r = w.refresh()
	if len(r.Set) != 1 || r.Set[0].Version != 2 || len(r.Clients) != 1 || v.has("b", "KEY") != "of all, anew" {
		t.Errorf("rotated: %+v, the site has %q", r, v.has("b", "KEY"))
	}
	for _, call := range v.writes() {
		if !strings.Contains(call, "b-0") {
			t.Errorf("a write for another client: %s", call)
		}
	}
	h, err := w.engine.History("", 100)
	if err != nil {
		t.Fatal(err)
	}
	told := fmt.Sprint(h)
	if !strings.Contains(told, "secret shared/mollie version 2 ("+r.Set[0].Fingerprint+") from the folder /s") || strings.Contains(told, "of all") {
		t.Errorf("the history says %s", told)
	}
	rows, err := w.engine.Secrets("a")
	if err != nil || len(rows) == 0 {
		t.Fatal(rows, err)
	}
	i := slices.IndexFunc(rows, func(r reconcile.SecretRow) bool { return r.Name == "mollie" })
	if got := rows[i]; got.Source != "folder /s" || got.Version != 1 || !slices.Equal(got.Users, []string{"a"}) || got.Client != "a" {
		t.Errorf("listed as %+v", got)
	}
}

// Rule, secrets: what a template or the platform file names is used by all who inherit it.
func TestRuleSecretsThatAreInherited(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	mailer := strings.Replace(strings.Replace(template, "name: shop", "name: mailer", 1), "env: {", "env: {SMTP: {secret: shared/smtp}, ", 1)
	w.apply(map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\ndefaults: {env: {PK: {secret: shared/platform}}}\n", "templates/mailer.yaml": mailer,
		"clients/a.yaml": client("a"), "clients/b.yaml": strings.Replace(client("b"), "template: shop", "template: mailer", 1)})
	o.put("shared/platform", "of the platform")
	o.put("shared/smtp", "of the template")
	w.refresh()
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	o.put("shared/smtp", "anew")
	if r := w.refresh(); len(r.Clients) != 1 || r.Clients[0] != w.clientID("b") || v.has("b", "SMTP") != "anew" {
		t.Errorf("the template's: %+v", r)
	}
	o.put("shared/platform", "anew")
	if r := w.refresh(); len(r.Clients) != 2 || v.has("a", "PK") != "anew" || v.has("b", "PK") != "anew" {
		t.Errorf("the platform's: %+v", r)
	}
}

// P11: a refresh that finds nothing new writes nothing, whatever was read.
func TestP11RefreshWritesNothing(t *testing.T) {
	o, _, w := newSourced(t, "folder /s")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesMollie)})
	o.put("a/mollie", "x")
	o.put("nobody/key", "y")
	w.refresh()
	before := w.store.Stats()
	for range 10 {
		w.refresh()
		if r, err := w.engine.RefreshSecrets(t.Context(), reconcile.Refresh{Anew: true}); err != nil || len(r.Set) > 0 {
			t.Fatal(r, err)
		}
	}
	if got := w.store.Stats(); got != before {
		t.Errorf("the store went from %+v to %+v", before, got)
	}
	reads := o.reads
	w.refresh()
	if o.reads != reads {
		t.Error("what is unchanged was read")
	}
}

// P8: a refresh is one transaction: who uses the new version is due after a crash, and
// gets exactly it, though the source has gone meanwhile.
func TestP8RefreshOutlivesACrash(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	o.put("a/mollie", "first")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesMollie)})
	w.refresh()
	w.want("a", state.StatusActive)
	o.put("a/mollie", "second")
	if _, err := w.engine.RefreshSecrets(t.Context(), reconcile.Refresh{}); err != nil {
		t.Fatal(err)
	}
	o.fail("folder /s", true)
	w.pass(w.due()...)
	if got := v.has("a", "KEY"); got != "second" {
		t.Errorf("the site has %q", got)
	}
}

// Rule, secrets: what can't be read, can't be used or is gone stays as it was, and is never
// "unset"; a later source does not take the place of one that is away for a moment.
func TestRuleSecretsStayWhenASourceIsAway(t *testing.T) {
	o, v, w := newSourced(t, "folder /s", "sops file /t")
	o.put("a/mollie", "good")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesMollie)})
	w.refresh()
	still := func(when string) {
		t.Helper()
		w.commitTo("a", usesMollie+"\nlabels: {when: "+strings.ReplaceAll(when, " ", "-")+"}")
		w.want("a", state.StatusActive)
		if got := v.has("a", "KEY"); got != "good" {
			t.Errorf("%s: the site has %q", when, got)
		}
	}
	o.putAt("sops file /t", "a/mollie", "of the later one")
	o.fail("folder /s", true)
	if r := w.refresh(); len(r.Set) > 0 || !slices.Equal(r.Failed, []string{"folder /s"}) {
		t.Errorf("away: %+v", r)
	}
	still("away")
	o.fail("folder /s", false)
	o.put("a/mollie", "!it is empty")
	if r := w.refresh(); len(r.Set) > 0 {
		t.Errorf("not to be used: %+v", r)
	}
	still("unusable")
	o.putAt("sops file /t", "a/mollie", "")
	o.put("a/mollie", "")
	r := w.refresh()
	wantNote(t, r.Notes, "mollie, which a uses, is in no source any more; version 1 stays", "reconciler secret set mollie --client a")
	still("gone")
	if place, err := w.engine.Outside(t.Context(), "a", "mollie"); err != nil || place != "" {
		t.Errorf("it is said to be in %q, %v", place, err)
	}
	if _, ids, err := w.engine.SetSecret("a", "mollie", state.NewSecret("by hand"), w.keys.Fingerprint, "dana"); err != nil {
		t.Error(err)
	} else {
		w.pass(ids...)
	}
	if got := v.has("a", "KEY"); got != "by hand" {
		t.Errorf("set by hand, the site has %q", got)
	}
	o.putAt("sops file /t", "a/mollie", "from there")
	if r = w.refresh(); len(r.Set) != 1 || r.Set[0].Version != 3 || v.has("a", "KEY") != "from there" {
		t.Errorf("a source has it, and counts: %+v, the site has %q", r, v.has("a", "KEY"))
	}
}

// commitTo changes a client's manifest and passes it.
func (w *world) commitTo(name string, more ...string) {
	w.t.Helper()
	w.apply(map[string]string{"clients/" + name + ".yaml": client(name, more...)})
}

// The same value from elsewhere is no new version, and no site is built for it.
func TestRuleSecretsTheSameValueIsNoRotation(t *testing.T) {
	o, v, w := newSourced(t, "folder /s", "sops file /t")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesMollie)})
	_, ids, err := w.engine.SetSecret("a", "mollie", state.NewSecret("same"), w.keys.Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	v.world.ForgetCalls()
	for _, at := range []string{"sops file /t", "folder /s"} {
		o.putAt(at, "a/mollie", "same")
		if r := w.refresh(); len(r.Set)+len(r.Clients) > 0 {
			t.Errorf("%s: %+v", at, r)
		}
		rows, err := w.engine.Secrets("a")
		if err != nil || !slices.ContainsFunc(rows, func(r reconcile.SecretRow) bool {
			return r.Name == "mollie" && r.Version == 1 && r.Source == at
		}) {
			t.Errorf("%s: listed as %+v %v", at, rows, err)
		}
	}
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// Rule, identity: a rename loses no secret of a source and hands none on: it is found under
// the former name, and under the new one once it is put there; who takes the former name
// gets nothing that was another's, until it is put under its id.
func TestRuleSecretNamesInSources(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	o.put("shop/mollie", "of the first")
	w.apply(map[string]string{"clients/shop.yaml": client("shop", usesMollie)})
	w.refresh()
	w.want("shop", state.StatusActive)
	first := w.clientID("shop")
	w.apply(map[string]string{"clients/shop.yaml": "", "clients/store.yaml": strings.Replace(client("store", "previously: [shop]", usesMollie), "domain: store", "domain: shop", 1)})
	w.refresh()
	w.want("store", state.StatusActive)
	if w.clientID("store") != first {
		t.Fatal("it is no rename")
	}
	o.put("shop/mollie", "of the first, anew")
	if r := w.refresh(); len(r.Clients) != 1 || r.Clients[0] != first || v.has("shop", "KEY") != "of the first, anew" {
		t.Errorf("under the former name: %+v, the site has %q", r, v.has("shop", "KEY"))
	}
	// Another customer takes the former name.
	w.apply(map[string]string{"clients/shop.yaml": strings.Replace(client("shop", usesMollie), "domain: shop", "domain: second", 1)})
	r := w.refresh()
	second := w.clientID("shop")
	w.want("shop", state.StatusFailed)
	wantNote(t, r.Notes, "what is under shop in sources was read for another client of that name ("+string(first)+")", "put what is this one's under its id, "+string(second))
	o.put("shop/mollie", "meant for whom?")
	if r = w.refresh(); len(r.Clients) != 1 || r.Clients[0] != first {
		t.Errorf("the former name is still the first one's: %+v", r)
	}
	w.want("shop", state.StatusFailed)
	o.put(string(second)+"/mollie", "of the second")
	o.put("store/mollie", "of the first, moved")
	w.refresh()
	w.want("shop", state.StatusActive)
	if v.has("second", "KEY") != "of the second" || v.has("shop", "KEY") != "of the first, moved" {
		t.Errorf("the sites have %q and %q", v.has("second", "KEY"), v.has("shop", "KEY"))
	}
	// What is left under the contested name is nobody's any more.
	o.put("shop/mollie", "left over")
	if r = w.refresh(); len(r.Set) > 0 {
		t.Errorf("left over: %+v", r)
	}
}

// Rule, identity: what was a client's stays with its name in the sources after it is gone
// and forgotten; its return finds it, a newcomer does not.
func TestRuleSecretNamesOutliveTheirClient(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	o.put("shop/mollie", "of the first")
	w.apply(map[string]string{"clients/shop.yaml": client("shop", usesMollie), "clients/other.yaml": client("other")})
	w.refresh()
	first := w.clientID("shop")
	w.apply(map[string]string{"clients/shop.yaml": ""})
	o.put("shop/mollie", "changed meanwhile")
	if r := w.refresh(); len(r.Set) > 0 {
		t.Errorf("it is read for one that is gone: %+v", r)
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop", usesMollie)})
	w.refresh()
	if w.clientID("shop") != first || v.has("shop", "KEY") != "changed meanwhile" {
		t.Errorf("back: %s has %q", w.clientID("shop"), v.has("shop", "KEY"))
	}
	w.apply(map[string]string{"clients/shop.yaml": ""})
	if _, err := w.engine.PurgeNow(t.Context(), "shop", "dana"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/shop.yaml": strings.Replace(client("shop", usesMollie), "domain: shop", "domain: new", 1)})
	w.refresh()
	if w.clientID("shop") == first {
		t.Fatal("it is no new client")
	}
	if r := w.row("shop"); r.Status == string(state.StatusActive) {
		t.Error("a newcomer got what was another's")
	}
}

// A name in a source that nobody bears waits for the client that comes, so that its pull
// request can be planned and its first pass finds it; it goes when it goes from the source.
func TestSecretsOfThoseYetToCome(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	o.put("shop/mollie", "before")
	o.put("never/mollie", "of nobody")
	w.refresh()
	_, files, err := w.repo.Tree(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, accept.File{Path: "clients/shop.yaml", Data: []byte(client("shop", usesMollie))})
	if p, err := w.engine.PreviewOf(t.Context(), "", files, nil); err != nil || len(p.Problems) > 0 {
		t.Fatalf("problems: %+v %v", p.Problems, err)
	}
	o.put("never/mollie", "")
	w.apply(map[string]string{"clients/shop.yaml": client("shop", usesMollie)})
	if v.has("shop", "KEY") != "before" {
		t.Errorf("the site has %q", v.has("shop", "KEY"))
	}
	w.refresh()
	rows, err := w.engine.Secrets("")
	if err != nil || strings.Contains(fmt.Sprint(rows), "never") {
		t.Errorf("what waits for nobody: %v %v", rows, err)
	}
	// What comes into a source with the commit that names it is there for the first pass.
	o.put("late/mollie", "in time")
	w.apply(map[string]string{"clients/late.yaml": client("late", usesMollie)})
	if v.has("late", "KEY") != "in time" {
		t.Errorf("late has %q", v.has("late", "KEY"))
	}
}

// A client called shared, and one whose name is another's id, get nothing that is
// everybody's or the other's.
func TestRuleSecretNamesThatMeanSomethingElse(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesMollie), "clients/shared.yaml": client("shared", usesMollie)})
	a := w.clientID("a")
	w.apply(map[string]string{"clients/" + string(a) + ".yaml": client(string(a), usesMollie)})
	o.put("shared/mollie", "everybody's")
	o.put(string(a)+"/mollie", "of a")
	o.put("a/mollie", "under its name")
	r := w.refresh()
	if v.has("a", "KEY") != "of a" {
		t.Errorf("a has %q", v.has("a", "KEY"))
	}
	w.want("shared", state.StatusFailed)
	w.want(string(a), state.StatusFailed)
	wantNote(t, r.Notes, "the client shared finds none of its own", string(w.clientID("shared")))
	wantNote(t, r.Notes, "is for the client a, whose id that is", string(w.clientID(string(a))))
}

// Rule, guard: new versions of one refresh are one change: more active clients than
// maxChanged go in waves, each secret its own client's or not.
func TestRuleRefreshObeysMaxChanged(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	files := map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\n"}
	for i := range 5 {
		n := fmt.Sprintf("c%d", i)
		files["clients/"+n+".yaml"] = client(n, usesMollie)
		o.put(n+"/mollie", "first")
	}
	w.apply(files)
	w.refresh()
	for i := range 5 {
		w.want(fmt.Sprintf("c%d", i), state.StatusActive)
		o.put(fmt.Sprintf("c%d/mollie", i), "second")
	}
	r, err := w.engine.RefreshSecrets(t.Context(), reconcile.Refresh{})
	if err != nil {
		t.Fatal(err)
	}
	holds := w.overview().Holds
	if len(r.Set) != 5 || r.Users != 5 || len(r.Clients) != 1 || len(holds) != 1 || holds[0].Kind != state.HoldFleet || !strings.Contains(holds[0].Reason, "A change of 5 secrets touches 5 clients") {
		t.Fatalf("%+v, holds %+v", r, holds)
	}
	w.pass(r.Clients...)
	for range 3 {
		w.pass(w.due()...)
	}
	for i := range 5 {
		if got := v.has(fmt.Sprintf("c%d", i), "KEY"); got != "second" {
			t.Errorf("c%d has %q", i, got)
		}
	}
	if holds := w.overview().Holds; len(holds) > 0 {
		t.Errorf("holds are left: %+v", holds)
	}
}

// One secret of one client can be read by itself.
func TestRefreshOfOne(t *testing.T) {
	o, _, w := newSourced(t, "folder /s")
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	for _, k := range []string{"a/x", "a/y", "b/x", "shared/x"} {
		o.put(k, "value")
	}
	one := func(client, name string) string {
		t.Helper()
		r, err := w.engine.RefreshSecrets(t.Context(), reconcile.Refresh{Client: client, Name: name, Anew: true})
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, s := range r.Set {
			out += s.Scope + "/" + s.Name + " "
		}
		return out
	}
	if got := one("a", "x"); got != string(w.clientID("a"))+"/x " {
		t.Errorf("of a: %s", got)
	}
	if got := one("", "shared/x"); got != "shared/x " {
		t.Errorf("everybody's: %s", got)
	}
	if r := w.refresh(); len(r.Set) != 2 {
		t.Errorf("the others: %+v", r)
	}
	if _, err := w.engine.RefreshSecrets(t.Context(), reconcile.Refresh{Client: "nobody", Name: "x"}); !errors.Is(err, reconcile.ErrNoClient) {
		t.Errorf("of nobody: %v", err)
	}
}

// Rule, secrets: what somebody uses is not forgotten: neither what a manifest names, nor
// what is on record and would be put back.
func TestRuleSecretsInUseAreNotForgotten(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", usesMollie), "clients/b.yaml": client("b", "env: {KEY: {secret: shared/mollie}}")})
	for _, of := range []string{"a", ""} {
		_, ids, err := w.engine.SetSecret(of, "mollie", state.NewSecret("x"), w.keys.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	refused := func(when, of, name, by string) {
		t.Helper()
		if err := w.engine.RemoveSecret(of, name, "dana"); !errors.Is(err, reconcile.ErrRefused) || !strings.Contains(fmt.Sprint(err), "in use by "+by) {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused("a client's own", "a", "mollie", "a")
	refused("everybody's", "", "shared/mollie", "b")
	refused("made here", "a", "generated/PAYLOAD_SECRET", "a")
	ids := w.push(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	refused("taken out, and not done", "a", "mollie", "a")
	refused("taken out, and not done", "", "mollie", "b")
	w.pass(ids...)
	for _, of := range []string{"a", ""} {
		if err := w.engine.RemoveSecret(of, "mollie", "dana"); err != nil {
			t.Errorf("nobody uses %q's any more: %v", of, err)
		}
	}
}

// redWithMollie has a client, bakery, that is red and uses a secret of everybody's.
func redWithMollie(t *testing.T) (*vendors, *world) {
	t.Helper()
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: red, KEY: {secret: shared/mollie}}")})
	_, ids, err := w.engine.SetSecret("", "mollie", state.NewSecret("x"), w.keys.Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	return v, w
}

// A client no longer asks for a secret, and its new version is being built: until that is through, the secret is
// in use by what would be put back, and it is.
func TestRuleSecretsOfWhatWouldBePutBackAreNotForgotten(t *testing.T) {
	v, w := redWithMollie(t)
	w.want("bakery", state.StatusActive)
	asked := error(nil)
	v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, func(context.Context, memory.Call) error {
		asked = w.engine.RemoveSecret("", "mollie", "dana")
		return memory.Fail(provider.Invalid, "the build is broken")
	})
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: green}")})
	if !errors.Is(asked, reconcile.ErrRefused) || !strings.Contains(asked.Error(), "in use by bakery") {
		t.Errorf("it is forgotten in the middle of a change: %v", asked)
	}
	if r := w.want("bakery", state.StatusFailed); strings.Contains(r.Because, "can't be put back") || v.environment() != "red" {
		t.Errorf("the environment is %q, and it says %q", v.environment(), r.Because)
	}
}

// The same of who is removed in the middle of a rollback: that goes on, and needs it.
func TestRuleSecretsOfARollbackAreNotForgotten(t *testing.T) {
	v, w := redWithMollie(t)
	var asked error
	var ids []state.ClientID
	failed := false
	v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, func(context.Context, memory.Call) error {
		failed = true
		return memory.Fail(provider.Invalid, "the build is broken")
	})
	v.faults.Do(memory.Before, func(c memory.Call) bool { return failed && c.Verb == memory.Update && c.Kind == state.KindEnvironment }, 1, func(context.Context, memory.Call) error {
		ids = w.push(map[string]string{"clients/bakery.yaml": "", "clients/other.yaml": client("other")})
		asked = w.engine.RemoveSecret("", "mollie", "dana")
		return nil
	})
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: green}")})
	if !errors.Is(asked, reconcile.ErrRefused) || !strings.Contains(asked.Error(), "in use by bakery") {
		t.Errorf("it is forgotten in the middle of a rollback: %v", asked)
	}
	w.pass(ids...)
	if err := w.engine.RemoveSecret("", "mollie", "dana"); err != nil {
		t.Errorf("once it was removed: %v", err)
	}
}

// S43: what the sources have is there again after the state was lost, and nothing is built
// for it: the values are those that the sites have.
func TestS43SecretsFromSources(t *testing.T) {
	o := newShelf("folder /s")
	v, w := newQuietVendors(t, nil)
	w.change = func(e *reconcile.Engine) { e.Sources = o }
	w.restart()
	o.put("a/mollie", "of a")
	o.put("shared/sentry", "of all")
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {KEY: {secret: mollie}, DSN: {secret: shared/sentry}}")})
	w.refresh()
	w.want("a", state.StatusActive)
	before := w.records()
	w.rebuild(v)
	w.restart()
	if r := w.refresh(); len(r.Set) != 2 || r.Set[0].Version != 1 {
		t.Errorf("read again: %+v", r)
	}
	if steps, problems := w.planned(); len(steps)+len(problems) > 0 {
		t.Errorf("planned: %v %v", steps, problems)
	}
	v.world.ForgetCalls()
	w.pass(w.due()...)
	w.want("a", state.StatusActive)
	if got := w.records(); got != before {
		t.Errorf("rebuilt:\n%s", otherThan(got, before))
	}
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// Rule, identity: what waited for a client is its own from its first moment: also where no
// source could be read until it was renamed and another client had its name.
func TestRuleSecretsThatWaitedKeepTheirName(t *testing.T) {
	o, v, w := newSourced(t, "folder /s")
	o.put("shop/mollie", "of the first")
	w.refresh()
	o.fail("folder /s", true)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", usesMollie)})
	first := w.clientID("shop")
	w.apply(map[string]string{"clients/shop.yaml": "", "clients/store.yaml": strings.Replace(client("store", "previously: [shop]", usesMollie), "domain: store", "domain: shop", 1)})
	w.apply(map[string]string{"clients/shop.yaml": strings.Replace(client("shop", usesMollie), "domain: shop", "domain: second", 1)})
	if v.has("shop", "KEY") != "of the first" || w.clientID("store") != first {
		t.Errorf("the first has %q", v.has("shop", "KEY"))
	}
	o.fail("folder /s", false)
	o.put("shop/mollie", "of the first, anew")
	if r := w.refresh(); len(r.Clients) != 1 || r.Clients[0] != first {
		t.Errorf("%+v, want it for %s", r, first)
	}
	w.want("shop", state.StatusFailed)
}
