package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
	"github.com/compassdigital/reconciler/internal/underway"
)

// of says that a call is about the client of a name.
func of(name string, match func(memory.Call) bool) func(memory.Call) bool {
	return func(c memory.Call) bool { return match(c) && strings.Contains(fmt.Sprintf("%+v", c), name) }
}

// P6: what a pull request makes this program run into is an error of its plan, told to the log with
// its place, and ends nothing: the program would meet it again at its next start.
func TestP6PanicInAPullRequestsPlan(t *testing.T) {
	for name, plant := range map[string]func(e *reconcile.Engine, on *atomic.Bool){
		"reading the source": func(e *reconcile.Engine, on *atomic.Bool) {
			e.ResolveRef = func(context.Context, string, string) (string, error) { return "0123", boom(on) }
		},
		"the wish": sickURL,
	} {
		_, w := newVendors(t)
		var on atomic.Bool
		w.apply(map[string]string{"clients/sick.yaml": client("sick"), "clients/well.yaml": client("well")})
		plant(w.engine, &on)
		told := 0
		w.engine.OnPanic = func(p *apply.Panicked) {
			if told++; !strings.Contains(string(p.Stack), "poison_test.go") {
				t.Errorf("%s: the log would not say where it was:\n%s", name, p.Stack)
			}
		}
		base, at, err := w.repo.Tree(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		head := w.repo.branch(map[string]string{"clients/sick.yaml": client("sick", "env: {COLOUR: red}", "deployment: {repository: agency/poison, ref: v9}")}, base)
		_, merged, err := w.repo.Tree(t.Context(), head)
		if err != nil {
			t.Fatal(err)
		}
		on.Store(true)
		var ours *apply.Panicked
		_, err = w.engine.Judge(t.Context(), reconcile.Proposal{Commit: head, Base: base, Branch: "main", At: at, Merged: merged})
		if !errors.As(err, &ours) || told != 1 {
			t.Errorf("%s: it ends with %v, and the log is told %d times", name, err, told)
		}
	}
}

// C20, P6: wherever in a pass this program runs into an error of its own, it is that
// client's failure: it is told, tried three times, quarantined, blocks nobody, and heals.
func TestC20PanicAnywhereInAPass(t *testing.T) {
	change := func(name string) string { return client(name, "env: {COLOUR: red}") }
	for _, c := range []struct {
		name  string
		plant func(v *vendors, e *reconcile.Engine, on *atomic.Bool)
	}{
		{"a step", func(v *vendors, _ *reconcile.Engine, on *atomic.Bool) {
			v.faults.Do(memory.Before, of("sick", memory.Is(memory.Create, state.KindDeployment)), 0, func(context.Context, memory.Call) error { return boom(on) })
		}},
		{"a look", func(v *vendors, e *reconcile.Engine, on *atomic.Bool) {
			v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Observe && c.ID == databaseOf(v, e, "sick") }, 0,
				func(context.Context, memory.Call) error { return boom(on) })
		}},
		{"reading the source", func(_ *vendors, e *reconcile.Engine, on *atomic.Bool) {
			e.ResolveRef = func(_ context.Context, repository, ref string) (string, error) {
				if repository == "agency/poison" {
					_ = boom(on)
				}
				return "0123", nil
			}
		}},
		{"the wish", func(_ *vendors, e *reconcile.Engine, on *atomic.Bool) { sickURL(e, on) }},
		{"a probe", func(_ *vendors, e *reconcile.Engine, on *atomic.Bool) {
			was := e.Check
			e.Check = func(ctx context.Context, url string, h manifest.Health) error {
				if strings.Contains(url, "sick") || h.Path == "/poison" {
					if err := boom(on); err != nil {
						return err
					}
				}
				return was(ctx, url, h)
			}
		}},
		{"progress", func(_ *vendors, e *reconcile.Engine, on *atomic.Bool) {
			e.Emit = func(ev apply.Event) {
				if strings.HasPrefix(string(ev.Client), "sick") {
					_ = boom(on)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w := newVendors(t)
			var on atomic.Bool
			var told atomic.Int64
			w.apply(map[string]string{"clients/sick.yaml": client("sick"), "clients/well.yaml": client("well")})
			w.want("sick", state.StatusActive)
			w.engine.OnPanic = func(p *apply.Panicked) {
				told.Add(1)
				if !strings.Contains(p.Text, "a nil map") || !strings.Contains(string(p.Stack), "poison_test.go") {
					t.Errorf("the log would not say where it was: %s\n%s", p.Text, p.Stack)
				}
			}
			w.engine.Redact = func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }
			c.plant(v, w.engine, &on)
			source := "deployment: {repository: agency/poison, ref: v9}"
			if c.name != "reading the source" {
				source = ""
			}
			ids := w.push(map[string]string{"clients/sick.yaml": change("sick") + "health: {path: /poison}\n" + source + "\n", "clients/well.yaml": change("well")})
			on.Store(true)
			for try := 1; try <= 3; try++ {
				if try > 1 {
					ids = []state.ClientID{w.id("sick")}
				}
				for _, id := range ids {
					d, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit)
					if err != nil {
						t.Fatalf("try %d of %s: %v", try, id, err)
					}
					if id != w.id("sick") {
						continue
					}
					if rests := d.At.After(w.clock.Now()); rests != (try < 3) || d.Again {
						t.Errorf("after try %d it is due %v, again %v", try, d.At, d.Again)
					}
				}
				w.want("well", state.StatusActive)
				r := w.row("sick")
				if !strings.Contains(r.Because, "an error in this program: a nil map") || strings.Contains(r.Because, "hunter2") {
					t.Errorf("after try %d it says %q", try, r.Because)
				}
				if quarantined := r.Status == string(state.StatusFailed); quarantined != (try == 3) {
					t.Errorf("after try %d it is %s: %s", try, r.Status, r.Because)
				}
				w.clock.add(time.Hour)
			}
			r := w.row("sick")
			if !strings.Contains(r.Because, "in quarantine since 24 November 2026") || !strings.Contains(r.Because, "3 times in a row") || !strings.Contains(r.Next, "reconciler retry sick") {
				t.Errorf("because %q, next %q", r.Because, r.Next)
			}
			if strings.Contains(r.Because, "old version") { // a step that was cut off may have been the one that changes it
				t.Errorf("it says which version serves, and nobody knows: %q", r.Because)
			}
			if fate, verdict := w.fate("sick"); fate != "failed" || verdict != "failure" {
				t.Errorf("its fate is %q, the verdict %q", fate, verdict)
			}
			// It is left alone: by further passes, after a restart, by probes and drift.
			w.restartWith(func(e *reconcile.Engine) { c.plant(v, e, &on) })
			n, panics := len(v.world.Calls()), told.Load()
			w.pass(w.id("sick"))
			if got := v.world.Calls()[n:]; len(got) > 0 || told.Load() != panics {
				t.Errorf("in quarantine it is worked on: %v", got)
			}
			if panics != 3 {
				t.Errorf("%d panics were told", panics)
			}
			// retry, and the cause is gone.
			on.Store(false)
			id, err := w.engine.Retry("sick", "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.drain(id)
			w.want("sick", state.StatusActive)
			w.onlyOneOfEach(v)
		})
	}
}

// P3: an error in this program after a write: the next try looks, and makes nothing twice.
func TestP3PanicAfterAWrite(t *testing.T) {
	for _, kind := range []state.Kind{state.KindDatabase, state.KindSite, state.KindDeployment} {
		t.Run(string(kind), func(t *testing.T) {
			v, w := newVendors(t)
			v.faults.Do(memory.After, of("sick", memory.Is(memory.Create, kind)), 2, func(context.Context, memory.Call) error { panic("a nil map") })
			w.apply(map[string]string{"clients/sick.yaml": client("sick"), "clients/well.yaml": client("well")})
			if d := w.detail("sick"); d.Last == nil || d.Last.State != "interrupted" || d.Last.Ended.IsZero() {
				t.Errorf("the record of the pass that was cut off: %+v", d.Last)
			}
			w.drain(w.id("sick"))
			w.want("sick", state.StatusActive)
			w.onlyOneOfEach(v)
		})
	}
}

// boom panics while it is on.
func boom(on *atomic.Bool) error {
	if on.Load() {
		panic("a nil map of hunter2")
	}
	return nil
}

func sickURL(e *reconcile.Engine, on *atomic.Bool) {
	was := e.PublicURL
	e.PublicURL = func(host string) string {
		if strings.HasPrefix(host, "sick") {
			_ = boom(on)
		}
		return was(host)
	}
}

func databaseOf(v *vendors, e *reconcile.Engine, name string) string {
	d, err := e.Detail(name)
	if err != nil {
		return ""
	}
	for _, r := range d.Resources {
		if r.Ref.Kind == state.KindDatabase {
			return r.ID
		}
	}
	return ""
}

// id is a client's id.
func (w *world) id(name string) state.ClientID { return state.ClientID(w.row(name).ID) }

// fate is what became of a client in the head's verdict, and the verdict's state.
func (w *world) fate(name string) (fate, verdict string) {
	w.t.Helper()
	id := w.id(name)
	err := w.store.View(func(tx store.Tx) error {
		v, _, err := store.Verdict(tx, w.engine.Head())
		fate, verdict = v.Clients[id], v.State
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return fate, verdict
}

// restartWith restarts and changes the engine before it starts.
func (w *world) restartWith(change func(*reconcile.Engine)) []reconcile.Due {
	w.t.Helper()
	was := w.change
	w.change = func(e *reconcile.Engine) {
		if was != nil {
			was(e)
		}
		change(e)
	}
	defer func() { w.change = was }()
	return w.restart()
}

// drain passes a client, at the times that its passes ask for, until it rests.
func (w *world) drain(id state.ClientID) {
	w.t.Helper()
	for range 20 {
		d, err := w.engine.Pass(w.t.Context(), id, reconcile.CauseRetry)
		if err != nil {
			w.t.Fatal(err)
		}
		switch {
		case d.At.After(w.clock.Now()):
			w.clock.add(d.At.Sub(w.clock.Now()))
		case !d.Again:
			return
		}
	}
	w.t.Fatalf("%s does not come to rest: %+v", id, w.row(string(id)))
}

// onlyOneOfEach wants one site and one database a client at the vendors, and nothing open.
func (w *world) onlyOneOfEach(v *vendors) {
	w.t.Helper()
	n := map[string]int{}
	for _, name := range []string{"railway", "vercel"} {
		for _, o := range v.world.Objects(name) {
			if o.Kind == state.KindDatabase || o.Kind == state.KindSite {
				n[string(o.Kind)+" of "+string(o.Mark.Client)]++
			}
		}
	}
	for what, k := range n {
		if k != 1 {
			w.t.Errorf("%d times %s", k, what)
		}
	}
	for _, name := range []string{"sick", "well"} {
		if d := w.detail(name); len(d.Intents) > 0 {
			w.t.Errorf("%s has open intents: %v", name, d.Intents)
		}
	}
}

// P6: a panic in one subject's probe, look or delivery is that subject's.
func TestP6PanicOfOneSubject(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/sick.yaml": client("sick"), "clients/well.yaml": client("well")})
	var on atomic.Bool
	on.Store(true)
	was := w.engine.Check
	w.engine.Check = func(ctx context.Context, url string, h manifest.Health) error {
		if strings.Contains(url, "sick") {
			_ = boom(&on)
		}
		return was(ctx, url, h)
	}
	w.engine.Redact = func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }
	for range 3 {
		if err := w.engine.ProbeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s, ok := w.row("sick").Health, w.row("well").Health; s != "degraded" || ok != "healthy" {
		t.Errorf("health: sick %s, well %s", s, ok)
	}
	if h := w.detail("sick").History[0]; !strings.Contains(h.Text, "a nil map of ***") {
		t.Errorf("history: %+v", h)
	}
	db := databaseOf(v, w.engine, "sick")
	v.world.Set(db, "access", "private") // what a list shows as another is read by itself
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.ID == db }, 0, func(context.Context, memory.Call) error { return boom(&on) })
	rows, err := w.engine.Drift(t.Context(), nil)
	if err != nil || len(rows) != 1 || rows[0].Client != "sick" || rows[0].What != "unknown" || !strings.Contains(rows[0].Text, "a nil map") {
		t.Errorf("drift: %+v, %v", rows, err)
	}
	var got []string
	err = w.engine.Deliver(t.Context(), func(_ context.Context, r state.Report) error {
		if strings.HasSuffix(r.Subject, "/client/sick") {
			return boom(&on)
		}
		got = append(got, r.Subject)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "a nil map") || len(got) == 0 {
		t.Errorf("delivered %v, %v", got, err)
	}
	on.Store(false)
	got = nil
	w.clock.add(time.Hour)
	if err := w.engine.Deliver(t.Context(), func(_ context.Context, r state.Report) error { got = append(got, r.Subject); return nil }); err != nil || len(got) == 0 {
		t.Errorf("later: %v, %v", got, err)
	}
}

// crash stops the engine as a death of the process does: what is marked stays marked.
// The passes under way are those of the given groups.
func (w *world) crash(ids ...state.ClientID) []state.ClientID {
	w.t.Helper()
	for _, id := range ids {
		if err := w.marks().Begin(id); err != nil {
			w.t.Fatal(err)
		}
	}
	w.change = func(e *reconcile.Engine) { e.Underway = w.marks() }
	return w.due()
}

func (w *world) marks() underway.Folder {
	return underway.Folder(filepath.Join(filepath.Dir(w.path), "underway"))
}

// alone passes the clients that are due and returns the order in which they were worked
// on, as the marks show it.
func (w *world) crashes(name string) (n int, quarantined bool) {
	w.t.Helper()
	err := w.store.View(func(tx store.Tx) error {
		c, _, err := store.Client(tx, w.id(name))
		n, quarantined = c.Crashes, !c.Quarantined.IsZero()
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n, quarantined
}

// C20: of several that were under way at a crash each is suspected; they pass one at a
// time, the innocent are cleared, and three crashes in a row quarantine the one.
func TestC20SuspectsPassOneByOne(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"), "clients/c.yaml": client("c"), "clients/free.yaml": client("free")})
	a, b, c, free := w.id("a"), w.id("b"), w.id("c"), w.id("free")
	due := w.crash(a, b, c)
	if fmt.Sprint(due) != fmt.Sprint([]state.ClientID{a, b, c}) {
		t.Fatalf("due after the crash: %v", due)
	}
	if left, err := w.marks().Left(); err != nil || len(left) > 0 {
		t.Fatalf("marks are left after they were counted: %v, %v", left, err)
	}
	if r := w.row("b"); !strings.Contains(r.Because, "died while it was at work on it and 2 others; they are tried again as soon as the program runs, one after the other") {
		t.Errorf("b says %q", r.Because)
	}
	// While a is at work, b waits and free does not.
	var during []string
	w.engine.ResolveRef = func(ctx context.Context, _, _ string) (string, error) {
		for _, id := range []state.ClientID{b, free} {
			if len(during) < 2 {
				during = append(during, "")
				d, err := w.engine.Pass(ctx, id, reconcile.CauseStart)
				during[len(during)-1] = fmt.Sprint(id, d.Also, d.At.IsZero(), err)
			}
		}
		return "0123", nil
	}
	passes := w.engine.Stats()
	d, err := w.engine.Pass(t.Context(), a, reconcile.CauseStart)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(d.Also) != fmt.Sprint([]state.ClientID{b}) {
		t.Errorf("the end of a makes %v due, want b", d.Also)
	}
	if got := w.engine.Stats().Plans - passes.Plans; got < 2 {
		t.Errorf("%d plans: free did not pass beside a", got)
	}
	if n, _ := w.crashes("a"); n != 0 {
		t.Errorf("a passed well and has %d crashes", n)
	}
	w.engine.ResolveRef = nil
	// b crashes it, alone; c was not under way.
	w.crash(b)
	if n, q := w.crashes("b"); n != 2 || q {
		t.Errorf("b has %d crashes, quarantined %v", n, q)
	}
	// b comes after c, and only when nobody passes.
	if d, err := w.engine.Pass(t.Context(), b, reconcile.CauseStart); err != nil || len(d.Also) > 0 {
		t.Errorf("b: %+v %v", d, err)
	}
	if n, _ := w.crashes("b"); n != 2 {
		t.Errorf("b passed before c")
	}
	d, err = w.engine.Pass(t.Context(), c, reconcile.CauseStart)
	if err != nil || fmt.Sprint(d.Also) != fmt.Sprint([]state.ClientID{b}) {
		t.Errorf("c: %+v %v", d, err)
	}
	w.crash(b)
	r := w.want("b", state.StatusFailed)
	if !strings.Contains(r.Because, "in quarantine since 24 November 2026") || !strings.Contains(r.Because, "3 times in a row") {
		t.Errorf("b says %q", r.Because)
	}
	for _, name := range []string{"a", "c", "free"} {
		w.want(name, state.StatusActive)
		if n, q := w.crashes(name); n != 0 || q {
			t.Errorf("%s has %d crashes, quarantined %v", name, n, q)
		}
	}
	// Nobody waits for it, a commit lets it try again.
	if due := w.due(); len(due) > 0 {
		t.Errorf("due: %v", due)
	}
	w.apply(map[string]string{"clients/b.yaml": client("b", "env: {COLOUR: red}")})
	w.want("b", state.StatusActive)
}

// C20: a third crash proves nothing while somebody else was under way, too; a stop in
// order is no crash; a pass that ends in between begins the count anew.
func TestC20NobodyIsBlamedWrongly(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	a, b := w.id("a"), w.id("b")
	for range 5 {
		w.crash(a, b)
	}
	for _, name := range []string{"a", "b"} {
		if n, q := w.crashes(name); n != 5 || q {
			t.Errorf("%s has %d crashes, quarantined %v", name, n, q)
		}
	}
	w.pass(a, b)
	for range 2 {
		for range 2 {
			w.crash(a)
		}
		w.drain(a)
		if n, q := w.crashes("a"); n != 0 || q {
			t.Errorf("a passed well and has %d crashes, quarantined %v", n, q)
		}
	}
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	// A stop while a passes: nothing is left behind, whatever becomes of the pass.
	stopped := false
	w.engine.ResolveRef = func(context.Context, string, string) (string, error) {
		stopped = true
		if left, _ := w.marks().Left(); len(left) != 1 || left[0] != a {
			t.Errorf("under way: %v", left)
		}
		w.engine.Stop()
		if left, _ := w.marks().Left(); len(left) != 0 {
			t.Errorf("left by a stop: %v", left)
		}
		return "0123", nil
	}
	for _, id := range w.push(map[string]string{"clients/a.yaml": client("a", "deployment: {ref: v2}")}) {
		if _, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil {
			t.Fatal(err)
		}
	}
	w.crash()
	if n, _ := w.crashes("a"); n != 0 || !stopped {
		t.Errorf("a stop counts as %d crashes", n)
	}
}

// C20: a file that is invalid hides from nobody that its client is in quarantine, or why it failed, and one that is put back ends
// neither.
func TestC20InvalidFileHidesNoQuarantine(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	for range 3 {
		w.crash(w.id("a"))
	}
	for _, file := range []string{"name: [\n", client("a")} {
		w.apply(map[string]string{"clients/a.yaml": file})
		r := w.want("a", state.StatusFailed)
		if !strings.HasPrefix(r.Because, "Your site is left as it is. in quarantine since") || !strings.Contains(r.Next, "reconciler retry a") {
			t.Errorf("of %q: because %q, next %q", file, r.Because, r.Next)
		}
		told := ""
		w.view(func(tx store.Tx) error {
			all, err := store.Reports(tx)
			for _, r := range all {
				if r.Subject == "commit/"+w.engine.Head()+"/client/a" {
					told = r.State + ": " + r.Text
				}
			}
			return err
		})
		if want := "failure: clients/a.yaml:1:7: this [ is not closed. Its last good version stays."; file == "name: [\n" && told != want {
			t.Errorf("told of its commit: %q, want %q", told, want)
		}
		if p := w.detail("a").Problem; (p != nil) != (file == "name: [\n") {
			t.Errorf("of %q: the problem %+v", file, p)
		}
	}
	// Of whom nothing else is to be said it is said, and not once the file is put back.
	for _, file := range []string{"name: [\n", client("b")} {
		w.apply(map[string]string{"clients/b.yaml": file})
		if r := w.want("b", state.StatusActive); strings.HasSuffix(r.Because, "Its last good version stays.") != (file == "name: [\n") || file != "name: [\n" && r.Because != "" {
			t.Errorf("of %q: because %q", file, r.Because)
		}
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: blue}")})
	w.want("a", state.StatusActive)
}

// C20, P6: who passes together with a client in quarantine, because a name moves between
// them, goes on with all that does not need it.
func TestC20PartnersGoOn(t *testing.T) {
	v, w := newVendors(t)
	named := func(name, domain string) string {
		return strings.Replace(client(name), "domain: "+name, "domain: "+domain, 1)
	}
	w.apply(map[string]string{"clients/well.yaml": named("well", "shop")})
	var on atomic.Bool
	on.Store(true)
	v.faults.Do(memory.Before, of("sick", memory.Is(memory.Create, state.KindSite)), 0, func(context.Context, memory.Call) error { return boom(&on) })
	ids := w.push(map[string]string{"clients/well.yaml": named("well", "other"), "clients/sick.yaml": named("sick", "shop")})
	if len(ids) != 2 || len(w.engine.Group(ids[0])) != 2 {
		t.Fatalf("they don't pass together: %v", ids)
	}
	for range 3 {
		w.pass(w.id("well"))
		w.clock.add(time.Hour)
	}
	w.want("sick", state.StatusFailed)
	w.want("well", state.StatusActive)
	for _, host := range []string{"other.agency.example", "shop.agency.example"} { // its new name, and the one that nobody else serves yet
		if _, ok := v.world.Serves(host); !ok || len(v.world.Resolves(host)) == 0 {
			t.Errorf("well does not serve %s: %+v", host, w.row("well"))
		}
	}
	w.apply(map[string]string{"clients/well.yaml": named("well", "other") + "env: {COLOUR: red}\n"})
	w.want("well", state.StatusActive)
	on.Store(false)
	id, err := w.engine.Retry("sick", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.drain(id)
	w.want("sick", state.StatusActive)
	w.onlyOneOfEach(v)
	if _, ok := v.world.Serves("shop.agency.example"); !ok {
		t.Error("nobody serves the name that moved")
	}
}

// C20, P6: who took a name from a client that is in quarantine since is through, and lets its own old one go.
func TestC20WhoTookANameFromAClientInQuarantineIsThrough(t *testing.T) {
	v, w := newVendors(t)
	const alias = "aliases: [www.sick.example]"
	w.apply(map[string]string{"clients/sick.yaml": client("sick", alias), "clients/well.yaml": client("well")})
	var on atomic.Bool
	on.Store(true)
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "www.sick.example" }, 0, func(context.Context, memory.Call) error { return boom(&on) })
	w.push(map[string]string{"clients/sick.yaml": led("sick", "new", alias), "clients/well.yaml": led("well", "sick")})
	for range 4 {
		w.pass(w.id("well"))
		w.clock.add(time.Hour)
	}
	if r := w.want("sick", state.StatusFailed); !strings.Contains(r.Because, "in quarantine since") {
		t.Fatalf("sick says %q", r.Because)
	}
	w.want("well", state.StatusActive)
	v.serves(w, "sick.agency.example", "well")
	if _, up := v.world.Serves("well.agency.example"); up {
		t.Error("nobody asks for well.agency.example, which is served")
	}
}

// Who gives its name to a client in quarantine, and goes as a whole, serves it until the other
// takes it over; then it goes.
func TestC20WhoGoesServesWhatNobodyTook(t *testing.T) {
	v, w := newVendors(t)
	named := func(name, domain string) string {
		return strings.Replace(client(name), "domain: "+name, "domain: "+domain, 1)
	}
	w.apply(map[string]string{"clients/well.yaml": named("well", "shop")})
	var on atomic.Bool
	on.Store(true)
	v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindRecord), 0, func(context.Context, memory.Call) error { return boom(&on) })
	w.push(map[string]string{"clients/well.yaml": named("well", "other"), "clients/sick.yaml": named("sick", "shop")})
	for range 3 { // the third time, its domain has moved and its record has not
		w.pass(w.id("well"))
		w.clock.add(time.Hour)
	}
	w.want("sick", state.StatusFailed)
	well := w.id("well")
	w.apply(map[string]string{"clients/well.yaml": ""})
	w.want("well", state.StatusHeld)
	if _, ok := v.world.Serves("shop.agency.example"); !ok || len(v.world.Resolves("shop.agency.example")) == 0 {
		t.Errorf("the name is down, and who takes it over is in quarantine: %+v", w.row("well"))
	}
	on.Store(false)
	id, err := w.engine.Retry("sick", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.drain(id)
	w.pass(well)
	w.want("sick", state.StatusActive)
	w.want("well", state.StatusRetained)
	w.onlyOneOfEach(v)
	if _, ok := v.world.Serves("shop.agency.example"); !ok || len(v.world.Resolves("shop.agency.example")) == 0 {
		t.Error("nobody serves the name that moved")
	}
}
