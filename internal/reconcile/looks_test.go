package reconcile_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// A look that fails is not drift, does not end drift, and does not count.
func TestS41FailedLookIsNotDrift(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	w.look()
	looked := w.row("shop").LastLook
	v.world.Down("cloudflare", memory.Fail(provider.Transient, "503 service unavailable"))
	if l := w.look(); len(l.New) > 0 || l.Seen != 0 {
		t.Errorf("a look that fails finds %+v", l)
	}
	d := w.detail("shop")
	if len(d.DriftRows) > 0 || !d.LastLook.Equal(looked) || !strings.Contains(d.LookFailed, "503") || d.Status != "active" {
		t.Errorf("afterwards: %+v %q", d.Row, d.LookFailed)
	}
	v.world.Down("cloudflare", nil)
	v.world.Set(v.record("A", mailAt), "content", "198.51.100.9")
	w.look()
	v.world.Down("cloudflare", memory.Fail(provider.Transient, "503 service unavailable"))
	w.look()
	if row := w.the("shop"); row.Looks != 1 || w.row("shop").Status != "active" {
		t.Errorf("a failed look counts: %+v", row)
	}
	rows, err := w.engine.Drift(t.Context(), []string{"shop"})
	if err != nil || !slices.ContainsFunc(rows, func(r reconcile.DriftRow) bool {
		return r.What == "unknown" && r.Text == "cloudflare: 503 service unavailable"
	}) {
		t.Errorf("asked by hand: %+v, %v", rows, err)
	}
	v.world.Down("cloudflare", nil)
	w.look()
	if len(w.detail("shop").DriftRows) > 0 || w.detail("shop").LookFailed != "" {
		t.Errorf("the second look that worked does not put it back: %+v", w.detail("shop").DriftRows)
	}
}

// One listing a provider instead of a read an object; and no write.
func TestS41ListsBeforeReads(t *testing.T) {
	v, w := newVendors(t)
	files := map[string]string{}
	for i := range 30 {
		n := fmt.Sprintf("c%02d", i)
		files["clients/"+n+".yaml"] = client(n)
	}
	w.apply(files)
	v.world.ForgetCalls()
	if l := w.look(); l.Seen != 30 || l.Left > 0 {
		t.Fatalf("%+v", l)
	}
	if n := v.world.Counts(""); n.Reads != 3 || n.Writes > 0 {
		t.Errorf("30 clients at 3 providers: %+v", n)
	}
}

// What no list shows is read one by one, within a budget a provider and run; who waits
// longest is next, so that all come to their turn.
func TestS41BudgetSpreadsLooks(t *testing.T) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		v.clock, v.world = c, memory.NewWorld(c.Now)
		unmarked := memory.Change(memory.DNS(), func(_ state.Kind, tr *provider.Traits) { tr.Marks = false })
		return []provider.Provider{memory.New(memory.Options{Name: "cloudflare", World: v.world, Kinds: unmarked, Fault: v.faults.Hook, Sleep: c.Sleep})}
	})
	files := map[string]string{}
	var records []string
	for i := range 20 {
		records = append(records, fmt.Sprintf("{type: A, name: r%d, content: 192.0.2.%d}", i, i+1))
	}
	const clients = 60 // of 20 records: 1,200 reads
	for i := range clients {
		n := fmt.Sprintf("c%02d", i)
		files["clients/"+n+".yaml"] = client(n, "deployment: {provider: none}", "database: {provider: none}", "dns: {records: ["+strings.Join(records, ", ")+"]}")
	}
	w.apply(files)
	whole := map[string]bool{}
	for run := range 3 {
		v.world.ForgetCalls()
		l := w.look()
		if n := v.world.Counts("cloudflare"); n.Reads > 500 || n.Writes > 0 {
			t.Errorf("run %d: %+v", run, n)
		}
		if run < 2 && l.Left == 0 {
			t.Errorf("run %d leaves nothing: %+v", run, l)
		}
		fresh := 0
		for _, r := range w.overview().Clients {
			if !r.LastLook.IsZero() && !whole[r.Name] {
				whole[r.Name] = true
				fresh++
			}
		}
		if fresh < 10 {
			t.Errorf("run %d came to %d clients that were not looked at before", run, fresh)
		}
	}
	if len(whole) != clients {
		t.Errorf("three runs came to %d of %d clients", len(whole), clients)
	}
}

// A provider that asks for a pause gets it, over runs and restarts.
func TestS41PausesOnARateLimit(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	until := w.clock.Now().Add(150 * time.Minute)
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Provider == "cloudflare" }, 0, memory.RateLimited(until))
	calls := func() int { v.world.ForgetCalls(); w.look(); return v.world.Counts("cloudflare").Reads }
	if n := calls(); n != 1 {
		t.Errorf("%d calls until it said so", n)
	}
	if d := w.detail("a"); d.LookFailed != "" || !d.LastLook.IsZero() {
		t.Errorf("who was not looked at in that run failed: %q", d.LookFailed)
	}
	v.faults.Clear()
	w.restart()
	if n := calls(); n != 0 {
		t.Errorf("%d calls before its time", n)
	}
	if d := w.detail("a"); !strings.Contains(d.LookFailed, "cloudflare") || !d.LastLook.IsZero() {
		t.Errorf("it is not said: %q", d.LookFailed)
	}
	if n := calls(); n != 1 || w.row("a").LastLook.IsZero() {
		t.Errorf("after its time: %d calls", n)
	}
}

// How much is in a client's database comes with a look, costs no call, is shown with its age,
// stays where a later look is not told, and is not that of another database.
func TestLooksTellHowMuchADatabaseHolds(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.look()
	if d := w.row("shop").Database; d != nil {
		t.Errorf("nobody told, and it says %+v", d)
	}
	id := v.of(state.KindDatabase)
	holds := func(bytes int64) { v.world.Edit(id, func(o *provider.Object) { o.Bytes = bytes }) }
	holds(40 << 20)
	v.world.ForgetCalls()
	w.look()
	told := w.clock.Now()
	want := reconcile.Database{Provider: "railway", ID: id, Bytes: 40 << 20, SeenAt: told}
	if d := w.row("shop").Database; d == nil || *d != want {
		t.Errorf("the row has %+v, not %+v", d, want)
	}
	if n := v.world.Counts(""); n.Reads != 3 || n.Writes > 0 {
		t.Errorf("a look with sizes costs %+v", n)
	}
	holds(0)
	v.world.Set(v.of(state.KindDomain), "host", "other.example") // and the slow way of a look, too
	w.look()
	d := w.detail("shop")
	if d.Database == nil || *d.Database != want {
		t.Errorf("a look that is not told has %+v", d.Database)
	}
	text, err := json.Marshal(d)
	if err != nil || !strings.Contains(string(text), `"database":{"provider":"railway","id":"`+id+`","bytes":41943040,"seenAt":"`) {
		t.Errorf("%s %v", text, err)
	}
	holds(50 << 20)
	w.look()
	if d := w.row("shop").Database; d == nil || d.Bytes != 50<<20 || !d.SeenAt.Equal(w.clock.Now()) {
		t.Errorf("a later look has %+v", d)
	}
	v.world.Edit(id, func(o *provider.Object) {
		o.Bytes, o.Mark = 90<<20, provider.Mark{Installation: "deadbeef", Client: "thief", Generation: 1}
	})
	w.look()
	if d := w.row("shop").Database; d == nil || d.Bytes != 50<<20 {
		t.Errorf("somebody else's database is shown: %+v", d)
	}
}
