package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// found is a site that somebody clicked together before this program came: unmarked,
// under names of its own.
type found struct {
	name     string
	site     string
	database string
	objects  []provider.Object
	env      map[string]string
}

// adoptLine is what a manifest says to take it over.
func (f *found) adoptLine() string {
	return fmt.Sprintf("adopt: {site: {id: %q}, database: {id: %q}}", f.site, f.database)
}

// vendor is an embedded provider, asked past the call log.
func (w *world) vendor(name string, k state.Kind) provider.Provider {
	w.t.Helper()
	for _, p := range w.daemon.program.engine.Providers {
		if _, keeps := p.Traits()[k]; keeps && p.Name() == name {
			if l, is := p.(logged); is {
				return l.Provider
			}
			return p
		}
	}
	w.t.Fatalf("no provider %s for %s", name, k)
	return nil
}

func inputs(pairs map[string]string) []provider.Input {
	var out []provider.Input
	for _, k := range sortedKeys(pairs) {
		out = append(out, provider.Input{Name: k, Text: pairs[k]})
	}
	return out
}

// byHand makes an object as a person does, and waits until it is ready.
func (f *found) byHand(w *world, at string, k state.Kind, name string, attributes map[string]string) provider.Object {
	w.t.Helper()
	p := w.vendor(at, k)
	o, err := p.Create(w.t.Context(), provider.Wish{Ref: state.Ref{Kind: k, Name: name}, Name: name, Inputs: inputs(attributes)})
	for end := time.Now().Add(patience); err == nil && o.Phase == provider.Progressing; {
		if time.Now().After(end) {
			w.t.Fatalf("%s %s does not become ready", k, name)
		}
		var now []provider.Object
		if now, err = p.Observe(w.t.Context(), provider.Query{Kind: k, ID: o.ID}); len(now) == 1 {
			o = now[0]
		}
	}
	if err != nil || o.Phase != provider.Ready {
		w.t.Fatalf("%s %s: %s %v", k, name, o.Phase, err)
	}
	f.objects = append(f.objects, o)
	return o
}

// madeByHand makes all that a client has, as its manifest will describe it. change edits
// the environment before the release is built with it.
func (w *world) madeByHand(name string, change func(env map[string]string)) *found {
	w.t.Helper()
	f := &found{name: name, database: name + "-old"}
	path := filepath.Join(w.dir, "databases", f.database+".db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		w.t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = db.Exec("create table marker (title text); insert into marker values ('an old order')")
	if e := db.Close(); err != nil || e != nil {
		w.t.Fatal(err, e)
	}
	there, err := w.vendor("sqlite", state.KindDatabase).Observe(w.t.Context(), provider.Query{Kind: state.KindDatabase, ID: f.database})
	if err != nil || len(there) != 1 || !there[0].Mark.IsZero() {
		w.t.Fatalf("the file is seen as %v %v", there, err)
	}
	f.objects = append(f.objects, there[0])
	url := ""
	for _, out := range there[0].Outputs {
		if out.Name == "url" {
			url = out.Secret.Reveal()
		}
	}
	_, port, _ := strings.Cut(w.listen, ":")
	host := name + ".localhost"
	site := f.byHand(w, "local", state.KindSite, "old "+name, map[string]string{"label": "old-" + name, "server": "", "repository": "builtin", "runtime": ""})
	f.site = site.ID
	f.env = map[string]string{"DATABASE_URL": url, "PAYLOAD_SECRET": "qZ7x-old-vK2m9-Wd4f", "NEXT_PUBLIC_SERVER_URL": "http://" + host + ":" + port,
		"LEGACY_TOKEN": "Lg3y-old-tN8p2-Rk6s"}
	if change != nil {
		change(f.env)
	}
	env := map[string]string{"site": f.site}
	for k, v := range f.env {
		env["env."+k] = v
	}
	f.byHand(w, "local", state.KindEnvironment, "old set of "+name, env)
	release := f.byHand(w, "local", state.KindDeployment, "old release of "+name, map[string]string{"site": f.site, "repository": "builtin", "ref": "v1", "directory": "ecommerce",
		"template": "ecommerce", "displayName": "Shop " + name, "features": "ecommerce", "settings": "{}"})
	f.byHand(w, "local", state.KindTraffic, "old traffic of "+name, map[string]string{"site": f.site, "deployment": release.ID})
	f.byHand(w, "local", state.KindDomain, "old name of "+name, map[string]string{"site": f.site, "host": host, "redirect": ""})
	f.byHand(w, "local", state.KindRecord, "old record of "+name, map[string]string{"type": "A", "name": host, "content": "127.0.0.1", "ttl": "300"})
	return f
}

// same wants every object to be as it was made.
func (f *found) same(w *world, when string) {
	w.t.Helper()
	for _, o := range f.objects {
		at := "local"
		if o.Kind == state.KindDatabase {
			at = "sqlite"
		}
		now, err := w.vendor(at, o.Kind).Observe(w.t.Context(), provider.Query{Kind: o.Kind, ID: o.ID})
		if err != nil || len(now) != 1 {
			w.t.Errorf("%s: %s %s: %d found, %v", when, o.Kind, o.Name, len(now), err)
			continue
		}
		if now[0].Name != o.Name || now[0].Mark != o.Mark || !slices.EqualFunc(now[0].Attributes, o.Attributes, func(a, b provider.Input) bool { return a.Name == b.Name && a.Reveal() == b.Reveal() }) {
			w.t.Errorf("%s: %s %q was changed", when, o.Kind, o.Name)
		}
	}
}

// Rule "Adoption": the first pass only records. The plan after it is empty, values that
// the manifest does not mention are sealed and kept, nobody is welcomed and no second
// administrator is made; and what was adopted outlives the client.
func TestRuleAdoption(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/other.yaml": bare("other")})
	clock := &hands{at: time.Now()}
	w.now = clock.now
	w.start()
	w.active("other")
	f := w.madeByHand("bakery", nil)
	n := w.calls.len()
	w.write(map[string]string{"clients/bakery.yaml": manifestOf("bakery", f.adoptLine())})
	before := w.plan("--dir", w.work) // as a pull request shows it
	if len(before.Changes) != 1 || len(before.Problems) > 0 {
		t.Fatalf("before the merge: %+v", before)
	}
	for _, s := range before.Changes[0].Steps {
		if s.Action != "adopt" && s.Action != "record" {
			t.Errorf("before the merge the plan wants to %s %s", s.Action, s.Ref)
		}
	}
	w.commit(nil)
	w.active("bakery")
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("the first pass did more than record: %v", got)
	}
	if p := w.plan(); len(p.Changes)+len(p.Problems) > 0 {
		t.Errorf("the plan afterwards is not empty: %+v", p)
	}
	f.same(w, "after the adoption")
	detail := w.why("bakery")
	for _, r := range detail.Resources {
		if !r.Adopted || r.Ref.Kind == state.KindAdmin || r.Ref.Kind == state.KindMail {
			t.Errorf("on record: %s %s, adopted %t", r.Ref, r.ID, r.Adopted)
		}
	}
	if len(detail.Resources) != len(f.objects) {
		t.Errorf("%d on record, %d are there", len(detail.Resources), len(f.objects))
	}
	kept, _ := w.resources("bakery", state.KindEnvironment)[0].Attributes.Get("env.LEGACY_TOKEN")
	if kept.Secret == nil || kept.Secret.Name != "adopted/LEGACY_TOKEN" {
		t.Errorf("LEGACY_TOKEN is on record as %+v", kept)
	}
	if mails, err := w.daemon.program.mail.Messages(); err != nil || len(mails) > 0 {
		t.Errorf("mail: %v %v", mails, err)
	}
	if code, page := w.get("bakery.localhost", "/"); code != 200 || !strings.Contains(page, "Shop bakery") {
		t.Errorf("the site answers %d", code)
	}
	if got := w.rows("bakery"); !slices.Equal(got, []string{"an old order"}) {
		t.Errorf("rows: %v", got)
	}
	said := w.must(0, "why", "bakery").out + w.must(0, "history", "bakery").out + w.must(0, "status", "bakery", "-o", "json").out
	for _, secret := range []string{"Lg3y-old-tN8p2-Rk6s", "qZ7x-old-vK2m9-Wd4f"} { // P10
		if strings.Contains(said, secret) {
			t.Errorf("a value is shown")
		}
	}
	if !strings.Contains(said, "recorded what exists") {
		t.Errorf("the history does not tell of it:\n%s", said)
	}

	// A later change is a change like any other: it keeps what was kept.
	n = w.calls.len()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", f.adoptLine(), "env: {STORE_CURRENCY: CHF}")})
	w.active("bakery")
	for _, x := range w.calls.writes(n) {
		if !strings.HasPrefix(x, "update environment") && !strings.HasPrefix(x, "create deployment") && !strings.HasPrefix(x, "update traffic") {
			t.Errorf("a changed variable did %s", x)
		}
	}
	f.env["STORE_CURRENCY"] = "CHF"
	for k, v := range f.env {
		if got := w.variable(f.site, k); got != v {
			t.Errorf("%s is no longer what it was", k)
		}
	}

	// P5: its removal takes away what this program made, and nothing that it found.
	w.commit(map[string]string{"clients/bakery.yaml": ""})
	if r := rowOf(w.apply(), "bakery"); r.Status != string(state.StatusRetained) {
		t.Fatalf("bakery is %s: %s", r.Status, r.Because)
	}
	for _, o := range f.objects {
		if now, err := w.vendor(map[bool]string{true: "sqlite", false: "local"}[o.Kind == state.KindDatabase], o.Kind).Observe(t.Context(), provider.Query{Kind: o.Kind, ID: o.ID}); err != nil || len(now) != 1 {
			t.Errorf("%s %s went with the client: %v", o.Kind, o.Name, err)
		}
	}
	clock.add(20 * 365 * 24 * time.Hour)
	if gone, err := w.daemon.program.engine.PurgeDue(t.Context()); err != nil || len(gone) > 0 {
		t.Errorf("purged by schedule: %v %v", gone, err)
	}
	if code, _ := w.get("bakery.localhost", "/"); code != 200 {
		t.Errorf("the site answers %d", code)
	}
}

// variable is what a site's environment says at its vendor.
func (w *world) variable(site, name string) string {
	w.t.Helper()
	all, err := w.vendor("local", state.KindEnvironment).Observe(w.t.Context(), provider.Query{Kind: state.KindEnvironment,
		Wish: &provider.Wish{Inputs: []provider.Input{{Name: "site", Text: site}}}})
	if err != nil || len(all) != 1 {
		w.t.Fatalf("%d environments, %v", len(all), err)
	}
	for _, a := range all[0].Attributes {
		if a.Name == "env."+name {
			return a.Reveal()
		}
	}
	return ""
}

// Rule "Adoption": a DATABASE_URL that leads elsewhere is held, with all that depends on
// it, and stays until someone approves.
func TestRuleAdoptionHoldsDatabaseURL(t *testing.T) {
	w := newWorld(t, nil)
	w.start()
	f := w.madeByHand("bakery", func(env map[string]string) { env["DATABASE_URL"] = "file:/srv/elsewhere.db" })
	n := w.calls.len()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", f.adoptLine())})
	r := rowOf(w.apply(), "bakery")
	if r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "DATABASE_URL") || !strings.Contains(r.Next, "approve") {
		t.Errorf("bakery is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("written: %v", got)
	}
	f.same(w, "while it is held")
	holds := w.status().Holds
	if len(holds) != 1 {
		t.Fatalf("holds: %+v", holds)
	}
	w.must(0, "approve", holds[0].Fingerprint)
	w.active("bakery")
	if got := w.variable(f.site, "DATABASE_URL"); got == "file:/srv/elsewhere.db" || got == "" {
		t.Error("the approved change was not made")
	}
	if got := w.variable(f.site, "LEGACY_TOKEN"); got != "Lg3y-old-tN8p2-Rk6s" {
		t.Error("LEGACY_TOKEN was not kept")
	}
}

// Rule "Adoption": what it names is never created; missing, it holds the client.
func TestRuleAdoptionMissing(t *testing.T) {
	for _, gone := range []string{"site", "database"} {
		t.Run(gone, func(t *testing.T) {
			w := newWorld(t, nil)
			w.start()
			f := w.madeByHand("bakery", nil)
			right := f.adoptLine()
			wrong := map[string]string{"site": f.site, "database": f.database}[gone]
			n := w.calls.len()
			w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", strings.Replace(right, wrong, "nothing-has-this", 1))})
			r := rowOf(w.apply(), "bakery")
			if r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "never created") || !strings.Contains(r.Because, "nothing-has-this") {
				t.Errorf("bakery is %s: %s; %s", r.Status, r.Because, r.Next)
			}
			w.must(0, "retry", "bakery") // is no way around it
			if r := rowOf(w.apply(), "bakery"); r.Status != string(state.StatusHeld) {
				t.Errorf("after a retry bakery is %s: %s", r.Status, r.Because)
			}
			w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", right)})
			w.active("bakery")
			if got := w.calls.writes(n); len(got) > 0 {
				t.Errorf("written: %v", got)
			}
			f.same(w, "in the end")
		})
	}
}

// Rule "Adoption": two manifests that name one object are both held, and neither takes
// it; who has it on record keeps it.
func TestRuleAdoptionTwice(t *testing.T) {
	w := newWorld(t, nil)
	w.start()
	f := w.madeByHand("bakery", nil)
	n := w.calls.len()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", f.adoptLine()), "clients/copycat.yaml": manifestOf("copycat", f.adoptLine())})
	v := w.apply()
	for _, name := range []string{"bakery", "copycat"} {
		if r := rowOf(v, name); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "an object belongs to one client") {
			t.Errorf("%s is %s: %s; %s", name, r.Status, r.Because, r.Next)
		}
	}
	w.commit(map[string]string{"clients/copycat.yaml": ""})
	w.apply()
	w.must(0, "retry", "bakery")
	w.active("bakery")
	w.commit(map[string]string{"clients/copycat.yaml": manifestOf("copycat", f.adoptLine())})
	v = w.apply()
	if r := rowOf(v, "copycat"); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "bakery") {
		t.Errorf("copycat is %s: %s", r.Status, r.Because)
	}
	if r := rowOf(v, "bakery"); r.Status != string(state.StatusActive) {
		t.Errorf("bakery is %s: %s", r.Status, r.Because)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("written: %v", got)
	}
	f.same(w, "in the end")
}
