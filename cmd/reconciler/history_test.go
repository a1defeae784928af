package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// numberedFleet is n small clients without a site: only databases, so that a fleet is
// quick to make.
func numberedFleet(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("c%03d", i)
		out["clients/"+name+".yaml"] = bare(name)
	}
	return out
}

func bare(name string, more ...string) string {
	return manifestOf(name, append([]string{"deployment: {provider: none}", "dns: {provider: none}"}, more...)...)
}

// S37: one commit removes 30 of 100 manifests and edits five: the five apply, the
// removals are held; the approval lets exactly them go, once.
func TestS37Bulk(t *testing.T) {
	files := numberedFleet(100)
	w := newWorld(t, files)
	w.configure("guard: {maxCreates: 200}")
	w.start()
	if v := w.apply(); len(v.Clients) != 100 {
		t.Fatalf("%d clients", len(v.Clients))
	}
	n := w.calls.len()
	change := map[string]string{}
	for i := range 30 {
		change[fmt.Sprintf("clients/c%03d.yaml", i)] = ""
	}
	for i := 50; i < 55; i++ {
		name := fmt.Sprintf("c%03d", i)
		change["clients/"+name+".yaml"] = bare(name, "database: {access: private}")
	}
	w.commit(change)
	v := w.apply()
	if got := w.calls.writes(n); len(got) != 5 {
		t.Errorf("%d writes, want the five edits: %v", len(got), got)
	}
	held := 0
	for _, r := range v.Clients {
		if r.Status == string(state.StatusHeld) {
			held++
		}
	}
	if held != 30 || len(v.Holds) != 1 || len(v.Holds[0].Clients) != 30 {
		t.Fatalf("%d held, holds %+v", held, v.Holds)
	}
	print := v.Holds[0].Fingerprint
	w.must(0, "approve", print)
	v = w.apply()
	gone := 0
	for _, r := range v.Clients {
		if r.Status == string(state.StatusRetained) {
			gone++
		}
	}
	if gone != 30 || len(v.Holds) != 0 {
		t.Errorf("%d are retained, holds %+v", gone, v.Holds)
	}
	// The approval serves no other plan.
	n = w.calls.len()
	again := map[string]string{}
	for i := 60; i < 90; i++ {
		again[fmt.Sprintf("clients/c%03d.yaml", i)] = ""
	}
	w.commit(again)
	if v = w.apply(); len(v.Holds) != 1 || v.Holds[0].Fingerprint == print {
		t.Errorf("the next removals are not held: %+v", v.Holds)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// S38: a forced push makes 40 clients vanish: nothing changes, and it is held as
// rewritten history; accepting that still leaves the guard.
func TestS38ForcePush(t *testing.T) {
	w := newWorld(t, nil)
	w.configure("guard: {maxCreates: 200}")
	w.commit(map[string]string{"clients/bakery.yaml": bare("bakery")})
	w.commit(numberedFleet(40))
	w.start()
	if v := w.apply(); len(v.Clients) != 41 {
		t.Fatalf("%d clients", len(v.Clients))
	}
	n := w.calls.len()
	w.git("reset", "-q", "--hard", "HEAD~1")
	w.git("commit", "-q", "--allow-empty", "-m", "Another history")
	w.push("--force")
	v := w.apply()
	if len(v.Holds) != 1 || v.Holds[0].Kind != state.HoldHistory || !strings.Contains(v.Holds[0].Reason, "history was rewritten") {
		t.Fatalf("holds: %+v", v.Holds)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	w.must(0, "approve", v.Holds[0].Fingerprint)
	v = w.apply()
	if len(v.Holds) != 1 || v.Holds[0].Kind != state.HoldGuard || len(v.Holds[0].Clients) != 40 {
		t.Fatalf("the guard does not hold: %+v", v.Holds)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// S39: a fetch that fails, an emptied tree, a moved folder: nothing is deleted.
func TestS39Empty(t *testing.T) {
	begin := func(t *testing.T) *world {
		w := newWorld(t, map[string]string{"clients/a.yaml": bare("a"), "clients/b.yaml": bare("b")})
		w.start()
		w.active("a", "b")
		return w
	}
	unchanged := func(t *testing.T, w *world, n int, want state.HoldKind) {
		t.Helper()
		v := w.apply()
		if got := w.calls.writes(n); len(got) > 0 {
			t.Errorf("writes: %v", got)
		}
		if len(v.Holds) != 1 || v.Holds[0].Kind != want {
			t.Errorf("holds: %+v", v.Holds)
		}
		for _, name := range []string{"a", "b"} {
			if r := rowOf(v, name); r.Status != string(state.StatusActive) {
				t.Errorf("%s is %s", name, r.Status)
			}
		}
	}
	t.Run("emptied", func(t *testing.T) {
		w := begin(t)
		n := w.calls.len()
		w.git("rm", "-q", "-r", "clients")
		w.git("commit", "-q", "-m", "Empty it")
		w.push()
		unchanged(t, w, n, state.HoldHistory)
	})
	t.Run("moved", func(t *testing.T) {
		w := begin(t)
		n := w.calls.len()
		w.git("mv", "clients", "customers")
		w.git("commit", "-q", "-m", "Move it")
		w.push()
		unchanged(t, w, n, state.HoldHistory)
	})
	t.Run("path in the configuration changed", func(t *testing.T) {
		w := begin(t)
		w.stop()
		n := w.calls.len()
		w.commit(map[string]string{"customers/c.yaml": bare("c")})
		w.configure("")
		text := strings.Replace(readAll(t, filepath.Join(w.dir, defaultConfigFile)), "path: clients", "path: customers", 1)
		writeAll(t, filepath.Join(w.dir, defaultConfigFile), text)
		w.start()
		unchanged(t, w, n, state.HoldHistory)
	})
	t.Run("unreachable", func(t *testing.T) {
		w := begin(t)
		n := w.calls.len()
		w.server.CloseClientConnections()
		w.server.Close()
		if r := w.cli("apply"); r.code != 1 {
			t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
		}
		if got := w.calls.writes(n); len(got) > 0 {
			t.Errorf("writes: %v", got)
		}
	})
	t.Run("branch deleted", func(t *testing.T) {
		w := begin(t)
		n := w.calls.len()
		if err := os.Remove(filepath.Join(w.repository, "refs", "heads", "main")); err != nil {
			t.Fatal(err)
		}
		if r := w.cli("apply"); r.code != 1 || !strings.Contains(r.err, "main") {
			t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
		}
		if got := w.calls.writes(n); len(got) > 0 {
			t.Errorf("writes: %v", got)
		}
	})
}

// S40: retained data is purged only after its time, only if the client is still
// absent, and the history says so.
func TestS40Purge(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	w := newWorld(t, map[string]string{"clients/a.yaml": bare("a"), "clients/b.yaml": bare("b"), "clients/c.yaml": bare("c")})
	w.now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return now }
	later := func(d time.Duration) { w.mu.Lock(); now = now.Add(d); w.mu.Unlock() }
	w.configure("guard: {maxDeletes: 10, maxDeletePercent: 100}")
	w.start()
	w.active("a", "b", "c")
	w.mark("a", "row of a")
	w.commit(map[string]string{"clients/a.yaml": "", "clients/b.yaml": ""})
	w.apply()
	purge := func() []string {
		t.Helper()
		done, err := w.daemon.program.engine.PurgeDue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	later(29 * 24 * time.Hour)
	if done := purge(); len(done) > 0 {
		t.Errorf("purged before its time: %v", done)
	}
	w.commit(map[string]string{"clients/a.yaml": bare("a")})
	w.active("a")
	later(2 * 24 * time.Hour)
	if done := purge(); len(done) != 1 || !strings.HasPrefix(done[0], "b: database") {
		t.Errorf("purged: %v", done)
	}
	if got := w.rows("a"); !slices.Equal(got, []string{"row of a"}) {
		t.Errorf("a's rows: %v", got)
	}
	if r := w.must(0, "history"); !strings.Contains(r.out, "purged") {
		t.Errorf("the history does not say it:\n%s", r.out)
	}
}

// S51: a removal is held, ten other commits follow, then it is approved: it runs, and
// only it. And a daemon that was down over commits that remove clients does the same
// as one that saw each.
func TestS51StaleBaseline(t *testing.T) {
	files := numberedFleet(20)
	w := newWorld(t, files)
	w.configure("guard: {maxCreates: 200, maxDeletes: 1}")
	w.start()
	w.apply()
	w.commit(map[string]string{"clients/c000.yaml": "", "clients/c001.yaml": ""})
	v := w.apply()
	if len(v.Holds) != 1 {
		t.Fatalf("holds: %+v", v.Holds)
	}
	print := v.Holds[0].Fingerprint
	for i := 10; i < 20; i++ {
		name := fmt.Sprintf("c%03d", i)
		w.commit(map[string]string{"clients/" + name + ".yaml": bare(name, "notes: edited")})
		w.apply()
	}
	n := w.calls.len()
	w.must(0, "approve", print)
	v = w.apply()
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("retaining calls nobody: %v", got)
	}
	for i := range 20 {
		name := fmt.Sprintf("c%03d", i)
		want := state.StatusActive
		if i < 2 {
			want = state.StatusRetained
		}
		if r := rowOf(v, name); r.Status != string(want) {
			t.Errorf("%s is %s, want %s", name, r.Status, want)
		}
	}
}

// S51, second half.
func TestS51DownOverManyCommits(t *testing.T) {
	commits := func(w *world) {
		for i := range 20 {
			name := fmt.Sprintf("c%03d", i)
			if i%7 == 6 {
				w.commit(map[string]string{"clients/" + name + ".yaml": ""})
			} else {
				w.commit(map[string]string{"clients/" + name + ".yaml": bare(name, "database: {access: private}")})
			}
		}
	}
	end := func(down bool) map[string]string {
		w := newWorld(t, numberedFleet(40))
		w.configure("guard: {maxCreates: 200, maxDeletes: 10, maxDeletePercent: 50}")
		w.start()
		w.apply()
		if down {
			w.stop()
			commits(w)
			w.start()
		} else {
			commits(w)
		}
		out := map[string]string{}
		for _, r := range w.apply().Clients {
			out[r.Name] = r.Status
		}
		return out
	}
	saw, missed := end(false), end(true)
	if len(saw) != 40 {
		t.Fatalf("%d clients", len(saw))
	}
	for name, want := range saw {
		if missed[name] != want {
			t.Errorf("%s is %s, want %s", name, missed[name], want)
		}
	}
}

// S52: a different client takes the name of a removed one whose database is retained:
// held until database.reuse says whose it is.
func TestS52NewCustomerWithAnOldName(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": bare("bakery")})
	w.start()
	w.active("demoshop", "bakery")
	old := w.databaseID("demoshop")
	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.apply()
	n := w.calls.len()
	stranger := strings.Replace(manifestOf("demoshop"), "domain: demoshop", "domain: otherplace", 1)
	w.commit(map[string]string{"clients/demoshop.yaml": stranger})
	v := w.apply()
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	if len(v.Holds) != 1 || v.Holds[0].Kind != state.HoldReuse || !strings.Contains(v.Holds[0].Act, "database.reuse") {
		t.Fatalf("holds: %+v", v.Holds)
	}
	w.commit(map[string]string{"clients/demoshop.yaml": stranger + "database: {reuse: fresh}\n"})
	w.active("demoshop")
	var kept, now string
	for _, r := range w.status().Clients {
		if r.Name == "demoshop" && r.Status == string(state.StatusActive) {
			now = r.Domain
		}
		if r.Name == "demoshop" && r.Status == string(state.StatusRetained) {
			kept = r.Status
		}
	}
	if now != "otherplace.localhost" || kept == "" {
		t.Errorf("the newcomer is at %q; the old one is %q", now, kept)
	}
	if got := w.databaseID("demoshop"); got == old {
		t.Error("the newcomer got the old database")
	}
}
