package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// loseState deletes the state file; the key stays.
func (w *world) loseState() {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.dir, "state.db")); err != nil {
		w.t.Fatal(err)
	}
}

// rebuilt runs `rebuild`, which must change nothing at a provider.
func (w *world) rebuilt() reconcile.Rebuilt {
	w.t.Helper()
	n, files := w.calls.len(), w.files()
	var out reconcile.Rebuilt
	w.json(&out, "rebuild")
	if got := w.calls.writes(n); len(got) > 0 {
		w.t.Errorf("a rebuild wrote: %v", got)
	}
	now := w.files()
	for path, sum := range files {
		if now[path] != sum {
			w.t.Errorf("a rebuild changed %s", path)
		}
	}
	return out
}

// editRecord changes a DNS record by hand.
func (w *world) editRecord(name, attribute, text string) {
	w.t.Helper()
	dns := w.daemon.program.dns
	found, err := dns.Observe(w.t.Context(), provider.Query{Kind: state.KindRecord, Name: name, Wish: &provider.Wish{Inputs: []provider.Input{{Name: "name", Text: strings.Fields(name)[1]}, {Name: "type", Text: strings.Fields(name)[0]}}}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range found {
		if o.Mark.IsZero() || o.Mark.Installation == "ffffffff" {
			continue
		}
		in := slices.Clone(o.Attributes)
		for i := range in {
			if in[i].Name == attribute {
				in[i].Text = text
			}
		}
		if _, err := dns.Update(w.t.Context(), o.ID, provider.Wish{Ref: state.Ref{Client: o.Mark.Client, Kind: o.Kind, Name: o.Name}, Name: o.Name, Mark: o.Mark, Inputs: in}); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	w.t.Fatalf("there is no record %s of ours", name)
}

// changes are what a plan would change, as "client action ref".
func changes(p reconcile.Preview) []string {
	out := []string{}
	for _, c := range p.Changes {
		for _, s := range c.Steps {
			if s.Action == "create" || s.Action == "update" || s.Action == "delete" || s.Action == "replace" || s.Action == "move" {
				out = append(out, c.Client+" "+s.Action+" "+s.Ref)
			}
		}
	}
	slices.Sort(out)
	return out
}

// S43: the state file is deleted. Everything stops and says what to do; `rebuild` brings
// ids, ownership and last good versions back from Git and the marks, writes nothing, and
// what was changed by hand is the whole next plan.
func TestS43LostState(t *testing.T) {
	w := newWorld(t, map[string]string{
		"clients/demoshop.yaml": manifestOf("demoshop", "aliases: [www.demoshop.localhost]", "env: {STORE_CURRENCY: EUR}"),
		"clients/bakery.yaml":   bare("bakery"),
		"clients/was.yaml":      manifestOf("was", "database: {retain: 20d}"),
		"clients/gone.yaml":     manifestOf("gone"),
	})
	w.start()
	w.active("demoshop", "bakery", "was", "gone")
	w.commit(map[string]string{"clients/was.yaml": ""})
	w.apply()
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "aliases: [www.demoshop.localhost]", "env: {STORE_CURRENCY: CHF}")})
	w.commit(map[string]string{"clients/bakery.yaml": "", "clients/bread.yaml": strings.Replace(bare("bakery", "previously: [bakery]"), "name: bakery", "name: bread", 1)})
	w.active("demoshop", "bread")
	ids := map[string]state.ClientID{}
	for _, n := range []string{"demoshop", "bread", "was", "gone"} {
		ids[n] = w.id(n)
	}
	w.commit(map[string]string{"clients/demoshop.yaml": "apiVersion: reconciler/v1\nkind: Client\nname: demoshop\nnonsense: true\n"})
	w.apply()
	w.editRecord("A www.demoshop.localhost", "content", "127.0.0.9")
	w.stop()
	w.commit(map[string]string{"clients/gone.yaml": ""}) // never seen by the state that is lost

	w.loseState()
	n := w.calls.len()
	if r := w.must(1, "apply"); !strings.Contains(r.err, "reconciler rebuild") || !strings.Contains(r.err, "reconciler restore") {
		t.Errorf("apply says %s", r.err)
	}
	if err := os.Remove(filepath.Join(w.dir, "state.db.marker")); err != nil { // and even so
		t.Fatal(err)
	}
	if r := w.must(1, "apply"); !strings.Contains(r.err, "reconciler rebuild") {
		t.Errorf("apply says %s", r.err)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Fatalf("writes: %v", got)
	}

	out := w.rebuilt()
	for name, id := range ids {
		if got := w.id(name); got != id {
			t.Errorf("%s is %s, was %s", name, got, id)
		}
	}
	if r := w.why("demoshop"); r.Problem == nil || !strings.Contains(r.Because, "last good version") {
		t.Errorf("demoshop: %+v", r.Row)
	}
	if r := w.why("was"); r.Status != string(state.StatusRetained) {
		t.Errorf("was is %s: %s", r.Status, r.Because)
	}
	var kept struct{ Retained []reconcile.Kept }
	w.json(&kept, "retained")
	if len(kept.Retained) != 1 || kept.Retained[0].Client != "was" || kept.Retained[0].Until.Before(w.now().Add(19*24*time.Hour)) {
		t.Errorf("retained: %+v", kept)
	}
	gone := w.why("gone")
	if gone.Status != string(state.StatusHeld) || len(gone.Holds) != 1 || len(out.Holds) != 1 {
		t.Errorf("gone is %s: %s %+v", gone.Status, gone.Because, out.Holds)
	}
	want := []string{"demoshop update record/A www.demoshop.localhost"}
	if got := changes(w.plan()); !slices.Equal(got, []string{}) {
		t.Errorf("the plan of an invalid head: %v", got) // its file is not planned
	}
	n = w.calls.len()
	v := w.apply()
	if got := w.calls.writes(n); len(got) != 1 || !strings.Contains(got[0], "update record A www.demoshop.localhost") {
		t.Errorf("writes: %v, want %v", got, want)
	}
	for name, status := range map[string]state.Status{"demoshop": state.StatusActive, "bread": state.StatusActive, "was": state.StatusRetained, "gone": state.StatusHeld} {
		if r := rowOf(v, name); r.Status != string(status) {
			t.Errorf("%s is %s: %s", name, r.Status, r.Because)
		}
	}
	n = w.calls.len()
	w.apply()
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("another pass: %v", got)
	}
	// A person says what becomes of the orphan.
	w.must(0, "approve", gone.Holds[0].Fingerprint)
	if r := rowOf(w.apply(), "gone"); r.Status != string(state.StatusRetained) {
		t.Errorf("gone is %s: %s", r.Status, r.Because)
	}
	if r := w.must(1, "rebuild"); !strings.Contains(r.err, "move it away") {
		t.Errorf("rebuild on a state: %s", r.err)
	}
}

// S43: what was changed by hand is the whole next plan, whatever it was.
func TestS43DriftIsThePlan(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "aliases: [www.demoshop.localhost]"), "clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("demoshop", "bakery")
	w.editRecord("A demoshop.localhost", "ttl", "60")
	w.editRecord("A www.demoshop.localhost", "content", "127.0.0.9")
	w.stop()
	w.loseState()
	w.rebuilt()
	want := []string{"demoshop update record/A demoshop.localhost", "demoshop update record/A www.demoshop.localhost"}
	p := w.plan()
	if got := changes(p); !slices.Equal(got, want) || len(p.Problems) > 0 {
		t.Errorf("the plan: %v %v", got, p.Problems)
	}
	w.active("demoshop", "bakery")
	if got := changes(w.plan()); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

// S43: stored secrets are listed with the command that sets them; set again to the same
// value nothing is deployed anew. No value is ever printed.
func TestS43SecretsAreListed(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/other.yaml": bare("other")})
	w.active("other")
	w.cliIn("live_0123456789\n", "secret", "set", "mollie", "--client", "demoshop", "--new")
	w.cliIn("zq81-4k7x-0123\n", "secret", "set", "sentry")
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {MOLLIE: {secret: mollie}, SENTRY: {secret: shared/sentry}}")})
	w.active("demoshop")
	w.loseState()
	out := w.rebuilt()
	var acts []string
	for _, m := range out.Missing {
		acts = append(acts, m.Act)
	}
	if want := []string{"reconciler secret set mollie --client demoshop", "reconciler secret set sentry"}; !slices.Equal(acts, want) {
		t.Errorf("missing: %v", acts)
	}
	w.loseState()
	r := w.must(0, "rebuild")
	for _, secret := range []string{"live_0123456789", "zq81-4k7x-0123"} {
		if strings.Contains(r.out+r.err, secret) {
			t.Error("a secret was printed")
		}
	}
	if !strings.Contains(r.out, "reconciler secret set mollie --client demoshop") {
		t.Errorf("rebuild says:\n%s", r.out)
	}
	n := w.calls.len()
	w.cliIn("live_0123456789\n", "secret", "set", "mollie", "--client", "demoshop")
	w.cliIn("zq81-4k7x-0123\n", "secret", "set", "sentry")
	w.active("demoshop", "other")
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// S43 and S34: a state that can't be read is moved away first; with another key the
// installation is named.
func TestS43UnreadableStateAndOtherKey(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	id := w.id("demoshop")
	path := filepath.Join(w.dir, "state.db")
	writeAll(t, path, strings.Repeat("rubbish ", 4096))
	if r := w.must(1, "rebuild"); !strings.Contains(r.err, "mv ") {
		t.Errorf("rebuild says %s", r.err)
	}
	installation := w.installation()
	if err := errors.Join(os.Remove(path), os.Remove(filepath.Join(w.dir, "key"))); err != nil {
		t.Fatal(err)
	}
	if r := w.must(1, "rebuild"); !strings.Contains(r.err, "bring it back") {
		t.Errorf("without its key: %s", r.err)
	}
	w.must(2, "rebuild", "--installation", "XYZ")
	if r := w.must(1, "rebuild", "--installation", "00000000"); !strings.Contains(r.err, "00000000") {
		t.Errorf("another installation: %s", r.err)
	}
	n := w.calls.len()
	if r := w.must(1, "apply"); !strings.Contains(r.err, "reconciler rebuild") { // what that left behind is no first start
		t.Errorf("apply says %s", r.err)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Fatalf("everything is made a second time: %v", got)
	}
	w.must(0, "rebuild", "--installation", installation)
	if got := w.id("demoshop"); got != id {
		t.Errorf("demoshop is %s, was %s", got, id)
	}
	n = w.calls.len()
	w.active("demoshop")
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// installation is the one that this world's objects are marked with.
func (w *world) installation() string {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, "databases", "demoshop-*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range names {
		base := filepath.Base(n)
		id := strings.TrimSuffix(base[strings.LastIndex(base, "-")+1:], filepath.Ext(base))
		if isInstallation(id) && id != "ffffffff" {
			return id
		}
	}
	w.t.Fatalf("no database of ours among %v", names)
	return ""
}

// S34: an older backup is put back after more was made. Nothing is made twice, nothing
// that came back is taken away, and the world stays as it is.
func TestS34OlderBackupLooksFirst(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": manifestOf("bakery")})
	w.active("demoshop", "bakery")
	backup := filepath.Join(t.TempDir(), "state.backup")
	w.must(0, "backup", backup)
	w.commit(map[string]string{"clients/bakery.yaml": ""})
	w.apply()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.commit(map[string]string{"clients/later.yaml": manifestOf("later"), "clients/demoshop.yaml": manifestOf("demoshop", "env: {STORE_CURRENCY: CHF}")})
	w.active("demoshop", "bakery", "later")
	later := w.id("later")
	if r := w.cli("restore", backup); r.code != 1 || !strings.Contains(r.err, "the same command with --replace") {
		t.Errorf("a state is there: exit code %d: %s%s", r.code, r.out, r.err)
	}
	r := w.must(0, "restore", backup, "--replace")
	if !strings.Contains(r.out, "compares it with what the providers show") || !strings.Contains(r.out, "set them again (reconciler secret set)") {
		t.Errorf("restore says %s", r.out)
	}
	n := w.calls.len()
	const older = "the state is an older copy that was put back"
	if r := w.must(0, "apply"); strings.Count(r.err, older) != 1 {
		t.Errorf("apply does not say once why nothing happens at first:\n%s", r.err)
	}
	w.active("demoshop", "bakery", "later")
	if r := w.must(0, "apply"); strings.Contains(r.err, older) {
		t.Errorf("apply says it of a state that was compared:\n%s", r.err)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	if got := w.id("later"); got != later {
		t.Errorf("later is %s, was %s", got, later)
	}
	if got := changes(w.plan()); len(got) > 0 {
		t.Errorf("the plan: %v", got)
	}
}

// S34: the daemon makes verified backups by its schedule, keeps as many as it is told,
// touches no other file, and tells when one fails.
func TestS34BackupsBySchedule(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.configure("")
	conf := filepath.Join(w.dir, defaultConfigFile)
	writeAll(t, conf, strings.Replace(readAll(t, conf), "keyFile: key}", "keyFile: key, backup: {every: 6h, keep: 2}}", 1)) // beside the state, where no folder is named
	dir := filepath.Join(w.dir, "backups")
	w.start()
	w.active("demoshop")
	ran := func() (at time.Time) {
		w.t.Helper()
		if err := w.daemon.program.store.View(func(tx store.Tx) (err error) { at, _, err = store.LastRun(tx, "backup"); return err }); err != nil {
			t.Fatal(err)
		}
		return at
	}
	w.until("the daemon counts from its first start", func() bool { return !ran().IsZero() })
	before := ran()
	w.stop()
	w.clock.add(6 * time.Hour)
	w.start() // it remembers when it should have run
	w.until("what was missed is made up for", func() bool { return ran().After(before) })
	var job func() error
	for _, s := range w.daemon.program.daemon.Schedules {
		if s.Name == "backup" {
			job = func() error { return s.Run(t.Context()) }
		}
	}
	if job == nil {
		t.Fatal("no schedule for backups")
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 1 {
		t.Fatalf("%v %v", names, err)
	}
	other := filepath.Join(dir, "state-of-mine.backup")
	writeAll(t, other, "not theirs")
	for range 3 {
		w.clock.add(6 * time.Hour)
		if err := job(); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 3 || !slices.Contains(names, other) {
		t.Errorf("%v %v", names, err)
	}
	// One that fails is told, and costs no good one.
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // root writes all the same: a file in the folder's place stops it
		if err := errors.Join(os.Chmod(dir, 0o700), os.Rename(dir, dir+".aside"), os.WriteFile(dir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := job(); err == nil {
		t.Error("a backup into nowhere did not fail")
	}
	if v := w.status(); len(v.Notices) != 1 || !strings.Contains(v.Notices[0], "backup") {
		t.Errorf("status: %v", v.Notices)
	}
	if os.Getuid() == 0 {
		if err := errors.Join(os.Remove(dir), os.Rename(dir+".aside", dir)); err != nil {
			t.Fatal(err)
		}
	} else if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := job(); err != nil {
		t.Fatal(err)
	}
	if v := w.status(); len(v.Notices) > 0 {
		t.Errorf("status: %v", v.Notices)
	}
	w.stop()
	again, err := filepath.Glob(filepath.Join(dir, "state-2*.backup"))
	if err != nil || len(again) != 2 {
		t.Fatalf("%v %v", again, err)
	}
	w.must(0, "restore", again[len(again)-1], "--replace")
	w.active("demoshop")
}
