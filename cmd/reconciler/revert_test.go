package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// database is the path of a client's database file, taken from a dump so that the test
// knows nothing of the provider's layout.
func (w *world) rows(name string) []string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "dump.db")
	w.must(0, "dump", name, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	found, err := db.Query("select title from marker order by title")
	if err != nil {
		w.t.Fatal(err)
	}
	defer found.Close()
	var out []string
	for found.Next() {
		var s string
		if err := found.Scan(&s); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := found.Err(); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// mark writes a row of its owner's into a client's database, as the site would.
func (w *world) mark(name, row string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.file(name))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("create table if not exists marker (title text)"); err != nil {
		w.t.Fatal(err)
	}
	if _, err := db.Exec("insert into marker values (?)", row); err != nil {
		w.t.Fatal(err)
	}
}

// file is the client's database file.
func (w *world) file(name string) string {
	w.t.Helper()
	id, _, _ := strings.Cut(w.databaseID(name), ".")
	var found string
	err := filepath.WalkDir(filepath.Join(w.dir, "databases"), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(filepath.Base(p), id) && !strings.HasSuffix(p, "-wal") && !strings.HasSuffix(p, "-shm") {
			found = p
		}
		return err
	})
	if err != nil || found == "" {
		w.t.Fatalf("no database file of %s (%s): %v", name, id, err)
	}
	return found
}

func (w *world) databaseID(name string) string {
	w.t.Helper()
	for _, r := range w.why(name).Resources {
		if r.Ref.Kind == state.KindDatabase {
			return r.ID
		}
	}
	w.t.Fatalf("%s has no database on record", name)
	return ""
}

func (w *world) resources(name string, kind state.Kind) []state.Resource {
	w.t.Helper()
	var out []state.Resource
	for _, r := range w.why(name).Resources {
		if r.Ref.Kind == kind {
			out = append(out, r)
		}
	}
	return out
}

// A dump that was killed leaves what it had written in a person's folder: the next one there tells
// of it, whether it can write or not, and deletes nothing.
func TestDumpTellsOfWhatAnotherLeft(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.apply()
	dir := t.TempDir()
	if r := w.must(0, "dump", "bakery", filepath.Join(dir, "first.db")); r.err != "" {
		t.Errorf("where nothing is left: %s", r.err)
	}
	left := filepath.Join(dir, ".dump-1234")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, exit := range map[string]int{"first.db": 1, "second.db": 0} {
		if r := w.must(exit, "dump", "bakery", filepath.Join(dir, file)); !strings.Contains(r.err, left+" is what a dump that was cut off left") {
			t.Errorf("%s: it says %s", file, r.err)
		}
	}
	if readAll(t, left) != "half" {
		t.Error("what is in a person's folder is changed")
	}
}

// S20: a reverted change promotes the earlier deployment; nothing is built, the
// environment is the old set, the site answers.
func TestS20RevertOfAChange(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: EUR}")})
	w.start()
	w.active("bakery")
	first := w.resources("bakery", state.KindTraffic)[0].Attributes
	env := w.resources("bakery", state.KindEnvironment)[0].Attributes
	change := w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}", "settings: {theme: dark}")})
	w.active("bakery")
	if now := w.resources("bakery", state.KindTraffic)[0].Attributes; now.Canonical() == first.Canonical() {
		t.Fatal("the change promoted nothing")
	}
	if _, page := w.get("bakery.localhost", "/"); !strings.Contains(page, "CHF") {
		t.Errorf("the page does not show the new currency")
	}
	n := w.calls.len()
	w.revert(change)
	w.active("bakery")
	for _, c := range w.calls.since(n) {
		if c.Verb == "create" {
			t.Errorf("a revert made something: %s", c)
		}
	}
	if now := w.resources("bakery", state.KindTraffic)[0].Attributes; now.Canonical() != first.Canonical() {
		t.Errorf("traffic goes to %s, want %s", now.Canonical(), first.Canonical())
	}
	if now := w.resources("bakery", state.KindEnvironment)[0].Attributes; now.Canonical() != env.Canonical() {
		t.Errorf("the environment is %s, want %s", now.Canonical(), env.Canonical())
	}
	if code, page := w.get("bakery.localhost", "/"); code != 200 || !strings.Contains(page, "EUR") {
		t.Errorf("the site answers %d without its old currency", code)
	}
	if r := rowOf(w.status(), "bakery"); r.Health != "healthy" {
		t.Errorf("health is %s", r.Health)
	}
}

// S21 and S22: the revert of an add takes traffic first, then the site, and retains the
// database; the plan said so; the revert of the revert has the same database and rows.
func TestS21S22RevertOfAnAdd(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("bakery")
	add := w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	w.mark("demoshop", "an order of the owner's")
	id := w.databaseID("demoshop")

	w.git("revert", "--no-edit", add)
	p := w.plan("--dir", w.work)
	if !hasStep(p, "demoshop", "retain", "database/main") || !hasStep(p, "demoshop", "delete", "record/A demoshop.localhost") {
		t.Errorf("the plan of the revert is %+v", p.Changes)
	}
	n := w.calls.len()
	gone := w.push()
	v := w.apply()
	if r := rowOf(v, "demoshop"); r.Status != string(state.StatusRetained) {
		t.Fatalf("demoshop is %q: %s", r.Status, r.Because)
	}
	var kinds []string
	for _, c := range w.calls.since(n) {
		if c.Verb == "delete" {
			kinds = append(kinds, string(c.Kind))
		}
	}
	for _, pair := range [][2]string{{"record", "traffic"}, {"domain", "traffic"}, {"traffic", "deployment"}, {"deployment", "site"}, {"environment", "site"}} {
		if a, b := slices.Index(kinds, pair[0]), slices.Index(kinds, pair[1]); a < 0 || b < 0 || a > b {
			t.Errorf("%s goes after %s: %v", pair[0], pair[1], kinds)
		}
	}
	if slices.Contains(kinds, "database") {
		t.Error("the database was deleted")
	}
	if code, _ := w.get("demoshop.localhost", "/"); code != 404 {
		t.Errorf("the site still answers %d", code)
	}
	if got := w.resolve("demoshop.localhost"); len(got) > 0 {
		t.Errorf("the name still resolves to %v", got)
	}
	var kept struct{ Retained []reconcile.Kept }
	w.json(&kept, "retained")
	if len(kept.Retained) != 1 || kept.Retained[0].ID != id || kept.Retained[0].Until.Sub(kept.Retained[0].Since).Round(time.Minute) != 30*24*time.Hour {
		t.Errorf("retained: %+v", kept.Retained)
	}

	w.revert(gone)
	w.active("demoshop")
	if got := w.databaseID("demoshop"); got != id {
		t.Errorf("the database is %s, want %s", got, id)
	}
	if got := w.rows("demoshop"); !slices.Equal(got, []string{"an order of the owner's"}) {
		t.Errorf("its rows are %v", got)
	}
	if code, _ := w.get("demoshop.localhost", "/"); code != 200 {
		t.Errorf("the site answers %d", code)
	}
}

func hasStep(p reconcile.Preview, client, action, ref string) bool {
	for _, c := range p.Changes {
		if c.Client != client {
			continue
		}
		for _, s := range c.Steps {
			if s.Action == action && s.Ref == ref {
				return true
			}
		}
	}
	return false
}

// S23: a rename with `previously` recreates nothing.
func TestS23Rename(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("demoshop")
	w.mark("demoshop", "row")
	id, site := w.databaseID("demoshop"), w.resources("demoshop", state.KindSite)[0].ID
	n := w.calls.len()
	renamed := strings.Replace(manifestOf("demo-shop", "previously: [demoshop]"), "domain: demo-shop", "domain: demoshop", 1)
	w.commit(map[string]string{"clients/demoshop.yaml": "", "clients/demo-shop.yaml": renamed})
	w.active("demo-shop")
	for _, c := range w.calls.since(n) {
		switch {
		case c.Verb == "delete" && c.Kind != state.KindDeployment, c.Verb == "create" && c.Kind != state.KindDeployment:
			t.Errorf("the rename did %s", c)
		}
	}
	if got := w.databaseID("demo-shop"); got != id {
		t.Errorf("another database: %s, want %s", got, id)
	}
	if got := w.resources("demo-shop", state.KindSite)[0].ID; got != site {
		t.Errorf("another site: %s, want %s", got, site)
	}
	if r := rowOf(w.status(), "demoshop"); r.Name != "" {
		t.Errorf("the old name is still there: %+v", r)
	}
}

// S23: without `previously`, a rename is a delete and a create that shares the host
// name: refused with the word that is missing, and nothing is deleted.
func TestS23RenameThatDoesNotSaySo(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("demoshop", "bakery")
	n := w.calls.len()
	forgot := strings.Replace(manifestOf("demo-shop"), "domain: demo-shop", "domain: demoshop", 1)
	w.commit(map[string]string{"clients/demoshop.yaml": "", "clients/demo-shop.yaml": forgot})
	v := w.apply()
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	if len(v.Problems) == 0 || !strings.Contains(v.Problems[0].Hint, "previously: [demoshop]") {
		t.Errorf("problems: %+v", v.Problems)
	}
	if code, _ := w.get("demoshop.localhost", "/"); code != 200 {
		t.Errorf("demoshop answers %d", code)
	}
}

// S24: a domain moves from one client to another in one commit: one move, the new one
// ready before the old one lets go, and nobody who asks meanwhile goes unanswered.
func TestS24DomainMoves(t *testing.T) {
	with := func(name, alias string) string { return manifestOf(name, "aliases: ["+alias+"]") }
	w := newWorld(t, map[string]string{"clients/a.yaml": with("a", "shop.localhost"), "clients/b.yaml": manifestOf("b")})
	w.start()
	w.active("a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	type bad struct {
		code int
		err  error
	}
	asked := make(chan []bad)
	go func() {
		var out []bad
		for ctx.Err() == nil {
			if code, _, err := w.tryGet("shop.localhost", "/"); err != nil || code >= 400 {
				out = append(out, bad{code, err})
			}
		}
		asked <- out
	}()
	n := w.calls.len()
	w.commit(map[string]string{"clients/a.yaml": manifestOf("a"), "clients/b.yaml": with("b", "shop.localhost")})
	w.active("a", "b")
	cancel()
	if out := <-asked; len(out) > 0 {
		t.Errorf("%d requests went unanswered: %+v", len(out), out[0])
	}
	for _, c := range w.calls.since(n) {
		if c.Verb == "delete" && (c.Kind == state.KindDomain || c.Kind == state.KindRecord) {
			t.Errorf("a name was deleted: %s", c)
		}
	}
	if d := w.resources("b", state.KindDomain); len(d) != 2 {
		t.Errorf("b has %d domains", len(d))
	}
	if d := w.resources("a", state.KindDomain); len(d) != 1 {
		t.Errorf("a has %d domains", len(d))
	}
}

// S24: when the new owner can't be made ready, the name stays where it was.
func TestS24FailureLeavesTheDomain(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/a.yaml": manifestOf("a", "aliases: [shop.localhost]"), "clients/b.yaml": manifestOf("b")})
	w.start()
	w.active("a", "b")
	w.commit(map[string]string{"clients/a.yaml": manifestOf("a"), "clients/b.yaml": manifestOf("b", "aliases: [shop.localhost]", "settings: {breakBuild: true}")})
	v := w.apply()
	if r := rowOf(v, "b"); r.Status != string(state.StatusFailed) {
		t.Errorf("b is %s: %s", r.Status, r.Because)
	}
	if code, _ := w.get("shop.localhost", "/"); code >= 400 {
		t.Errorf("the name answers %d", code)
	}
	if d := w.resources("a", state.KindDomain); len(d) != 2 {
		t.Errorf("a has %d domains: it lost the name", len(d))
	}
}

// S26: the old file is gone and the new one, with `previously`, doesn't parse: nothing
// is deleted until it does.
func TestS26RenameWithATypo(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("demoshop", "bakery")
	id := w.databaseID("demoshop")
	n := w.calls.len()
	good := strings.Replace(manifestOf("demo-shop", "previously: [demoshop]"), "domain: demo-shop", "domain: demoshop", 1)
	w.commit(map[string]string{"clients/demoshop.yaml": "", "clients/demo-shop.yaml": good + "plan: [starter\n"})
	v := w.apply()
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	if r := rowOf(v, "demoshop"); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "demo-shop.yaml") {
		t.Errorf("demoshop is %s: %s", r.Status, r.Because)
	}
	if code, _ := w.get("demoshop.localhost", "/"); code != 200 {
		t.Errorf("the site answers %d", code)
	}
	w.commit(map[string]string{"clients/demo-shop.yaml": good})
	w.active("demo-shop", "bakery")
	if got := w.databaseID("demo-shop"); got != id {
		t.Errorf("another database: %s", got)
	}
}

// S55: the mail records are removed from the manifest: only they go, and as that may
// stop mail it waits for an approval.
func TestS55RemovingAPart(t *testing.T) {
	mail := "dns: {records: [{type: MX, name: \"@\", content: mx.bakery.example, priority: 10}, {type: TXT, name: note, content: hello}]}"
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery", mail)})
	w.start()
	w.active("bakery")
	n := w.calls.len()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "dns: {records: [{type: TXT, name: note, content: hello}]}")})
	v := w.apply()
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes before the approval: %v", got)
	}
	r := rowOf(v, "bakery")
	if r.Status != string(state.StatusHeld) || len(v.Holds) != 1 || v.Holds[0].Kind != state.HoldMail {
		t.Fatalf("bakery is %s (%s), holds %+v", r.Status, r.Because, v.Holds)
	}
	w.must(0, "approve", v.Holds[0].Fingerprint)
	w.active("bakery")
	if got := w.calls.writes(n); len(got) != 1 || !strings.HasPrefix(got[0], "delete record") {
		t.Errorf("writes: %v", got)
	}
	if left := w.resources("bakery", state.KindRecord); len(left) != 2 {
		t.Errorf("%d records are left, want the address and the note", len(left))
	}
}
