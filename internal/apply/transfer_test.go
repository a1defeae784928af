package apply_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// mover is a world with a client whose data is to be moved from db to db2, and who
// writes whenever it can.
type mover struct {
	*world
	accepted []string
}

func moving(t *testing.T) *mover {
	t.Helper()
	m := &mover{world: start(t)}
	m.wants(shop("bakery", noUser))
	m.converged()
	m.order()
	m.wants(shop("bakery", noUser, func(e *manifest.Effective) { e.Database.Provider = "db2" }))
	return m
}

func (m *mover) database(name string) state.Resource {
	m.t.Helper()
	r, _ := m.record(state.Ref{Client: idOf("bakery"), Kind: state.KindDatabase, Name: name})
	return r
}

// address is what the serving release connects to: the database's id.
func (m *mover) address() string {
	m.t.Helper()
	serving, ok := m.vendor.Serves("bakery.example")
	if !ok {
		m.t.Fatalf("nothing serves")
	}
	url := m.vendor.BuiltWith(serving)["DATABASE_URL"]
	for _, o := range m.vendor.Objects("") {
		for _, out := range o.Outputs {
			if o.Kind == state.KindDatabase && out.Secret != nil && out.Secret.Reveal() == url {
				return o.ID
			}
		}
	}
	m.t.Fatalf("the serving release's address leads nowhere")
	return ""
}

// order writes a row as the site that serves would; what is accepted must never be lost.
func (m *mover) order() bool {
	row := fmt.Sprintf("order %d", len(m.accepted)+1)
	if !m.vendor.Write(m.address(), row) {
		return false
	}
	m.accepted = append(m.accepted, row)
	return true
}

// whole checks what holds at every end: the site's database takes orders, has all of them, and
// is the only one that does; no file of it is left.
func (m *mover) whole(provider string) {
	m.t.Helper()
	own := m.database("main")
	if own.Provider != provider || own.Retained() || own.Copy {
		m.t.Errorf("the client's own: %+v", own)
	}
	if at := m.address(); at != own.ID {
		m.t.Errorf("the site is served from %s, not from %s", at, own.ID)
	}
	if !m.order() {
		m.t.Errorf("the site's database takes no orders")
	}
	have, want := slices.Sorted(slices.Values(m.vendor.Rows(own.ID))), slices.Sorted(slices.Values(m.accepted))
	if !slices.Equal(have, want) {
		m.t.Errorf("the site has %v of %v", have, want)
	}
	for _, o := range m.vendor.Objects("") {
		if o.Kind == state.KindDatabase && o.ID != own.ID && o.ID == m.database("main@db").ID && !m.vendor.Frozen(o.ID) {
			m.t.Errorf("the old one, %s, takes orders", o.ID)
		}
	}
	if left, err := os.ReadDir(m.scratch); err != nil || len(left) > 0 {
		m.t.Errorf("left of the copy: %v (%v)", left, err)
	}
}

// P3: a move takes every row along, and the old one stays, frozen and retained.
func TestP3AMoveTakesEveryRow(t *testing.T) {
	m := moving(t)
	m.at = func(apply.Border, plan.Step) { m.order() }
	m.faults.Do(memory.Before, memory.Is(memory.Compare), 0, func(ctx context.Context, _ memory.Call) error {
		if _, ends := ctx.Deadline(); !ends {
			t.Error("a client that locks its tables would keep us for ever")
		}
		return nil
	})
	m.converged()
	m.at = nil
	m.whole("db2")
	old := m.database("main@db")
	if !old.Retained() || !old.PurgeAfter.Equal(old.RetainedAt.Add(30*24*time.Hour)) || !m.vendor.Frozen(old.ID) {
		t.Errorf("the old one: %+v", old)
	}
	if len(m.accepted) < 5 {
		t.Errorf("only %d orders were taken on the way", len(m.accepted))
	}
	said := ""
	for _, e := range m.events {
		said += e.Text + "\n"
	}
	for _, want := range []string{"db is frozen", "copied to db2", "rows in 1 tables and the like are equal at both"} {
		if !strings.Contains(said, want) {
			t.Errorf("nobody hears %q", want)
		}
	}
}

// P8: whatever the process dies at, the next start lifts the freeze before anything else, one
// database takes orders, and none that was taken is lost.
func TestP8AMoveKilledAnywhere(t *testing.T) {
	borders := 0
	calm := moving(t)
	calm.at = func(_ apply.Border, s plan.Step) {
		if s.Action == plan.Transfer {
			borders++
		}
	}
	calm.converged()
	if borders != 6 {
		t.Fatalf("%d borders", borders)
	}
	for n := 1; n <= borders; n++ {
		m := moving(t)
		left, where := n, ""
		m.at = func(b apply.Border, s plan.Step) {
			m.order()
			if s.Action == plan.Transfer {
				if left--; left == 0 {
					where = string(b)
					panic(killed{where})
				}
			}
		}
		if !m.dies() {
			t.Fatalf("lived at %d", n)
		}
		m.restart()
		m.at = nil
		if st, err := m.runner.Settle(context.Background(), m.job(plan.Plan{}), m.intents()); err != nil || st != apply.StepDone {
			t.Fatalf("%s: %s %v", where, st, err)
		}
		if own := m.database("main"); m.vendor.Frozen(own.ID) {
			t.Errorf("%s: %s stays frozen after the start", where, own.ID)
		}
		m.converged()
		m.whole("db2")
	}
}

// A call that fails ends the move: the freeze is lifted at once, the site goes on with the old
// one, and it is not tried again unasked. A thaw that fails is tried until it succeeds.
func TestAMoveThatFails(t *testing.T) {
	for _, c := range []struct {
		verb   memory.Verb
		moment memory.Moment
		at     int // which call of the verb
		state  apply.StepState
	}{
		{memory.Compare, memory.Before, 1, apply.StepWaiting}, // nothing is frozen yet
		{memory.Freeze, memory.Before, 1, apply.StepFailed}, {memory.Freeze, memory.After, 1, apply.StepFailed},
		{memory.Dump, memory.Before, 1, apply.StepFailed}, {memory.Dump, memory.After, 1, apply.StepFailed},
		{memory.Load, memory.Before, 1, apply.StepFailed}, {memory.Load, memory.After, 1, apply.StepFailed},
		{memory.Compare, memory.Before, 3, apply.StepFailed}, {memory.Compare, memory.After, 4, apply.StepFailed},
	} {
		name := fmt.Sprintf("%s %s call %d", c.moment, c.verb, c.at)
		m := moving(t)
		n := 0
		m.faults.Do(c.moment, memory.Is(c.verb), 0, func(context.Context, memory.Call) error {
			m.order()
			if n++; n == c.at || c.at == 1 {
				return memory.Fail(provider.Transient, "it is away")
			}
			return nil
		})
		var out outcome
		for range 3 { // the copy's database first
			var err error
			if out, err = m.pass(context.Background()); err != nil {
				t.Fatal(err)
			}
			if out.state != apply.StepDone {
				break
			}
		}
		if out.state != c.state {
			t.Errorf("%s: %s %v", name, out.state, out.err)
		}
		if c.state == apply.StepFailed && (!strings.Contains(out.err.Error(), "the data was not moved, and db serves it as before") || apply.Fault(out.err)) {
			t.Errorf("%s says %v", name, out.err)
		}
		if len(m.intents()) != 0 {
			t.Errorf("%s: intents are open: %+v", name, m.intents())
		}
		m.whole("db")
		m.faults.Clear()
		m.converged() // somebody asked for it once more
		m.whole("db2")
	}
	// The thaw itself fails.
	m := moving(t)
	m.faults.On(memory.Before, memory.Is(memory.Load), 1, memory.Fail(provider.Invalid, "no"))
	m.faults.On(memory.Before, memory.Is(memory.Thaw), 2, memory.Fail(provider.Denied, "not now"))
	var out outcome
	for range 3 {
		if out, _ = m.pass(context.Background()); out.state != apply.StepDone {
			break
		}
	}
	if out.state != apply.StepWaiting || len(m.intents()) != 1 || !strings.Contains(out.err.Error(), "can't be lifted yet") {
		t.Errorf("%s %v, intents %v", out.state, out.err, m.intents())
	}
	m.converged()
	m.whole("db2")
}

// What differs is no copy, and a server that is older gets none.
func TestP5OnlyAnEqualCopyTakesItsPlace(t *testing.T) {
	m := moving(t)
	m.at = func(b apply.Border, _ plan.Step) {
		if b == apply.AfterLoad { // somebody writes around the freeze
			old := m.database("main").ID
			frozen := m.vendor.Frozen(old)
			_ = m.all["db"].(provider.Mover).Thaw(context.Background(), old)
			m.order()
			if frozen {
				_ = m.all["db"].(provider.Mover).Freeze(context.Background(), old)
			}
		}
	}
	out := m.settle(0)
	if out.state != apply.StepFailed || !strings.Contains(out.err.Error(), "the copy is not what the old one is") {
		t.Errorf("%s %v", out.state, out.err)
	}
	m.at = nil
	m.whole("db")
}

// P5: what a copy can't take along is said before anything is frozen; where the new one has it,
// too, the data moves.
func TestP5AMoveLosesNoSetting(t *testing.T) {
	m := moving(t)
	m.vendor.Tune(m.database("main").ID, "search_path of the database", "shop")
	out := m.settle(0)
	if out.state != apply.StepFailed || !strings.Contains(out.err.Error(), "search_path of the database") || strings.Contains(fmt.Sprint(m.events), "is frozen") {
		t.Errorf("%s %v", out.state, out.err)
	}
	m.whole("db")
	m.vendor.Tune(m.database("main@db2").ID, "search_path of the database", "shop")
	m.converged()
	m.whole("db2")
}

// unfilled is a vendor at which nothing can be loaded from this machine, and whose databases have
// what no copy takes along.
type unfilled struct {
	provider.Provider
	provider.Mover
	refuses *string
}

// Content implements provider.Mover.
func (u unfilled) Content(ctx context.Context, id string) (provider.Content, error) {
	c, err := u.Mover.Content(ctx, id)
	c.Refuses, c.Stays = *u.refuses, []string{"publication feed", "what reader may"}
	return c, err
}

// What this machine can't load is said before anything is frozen, whoever's server it is that the
// data leaves; what stays behind is said after the copy.
func TestP5AMoveIsNotBegunWhereNothingCanBeLoaded(t *testing.T) {
	refuses := "pg_restore is not on this machine: install it"
	m := &mover{world: start(t)}
	m.wrap = func(p provider.Provider) provider.Provider {
		if mover, can := p.(provider.Mover); can {
			return unfilled{p, mover, &refuses}
		}
		return p
	}
	m.restart()
	m.wants(shop("bakery", noUser))
	m.converged()
	m.order()
	m.wants(shop("bakery", noUser, func(e *manifest.Effective) { e.Database.Provider = "db2" }))
	out := m.settle(0)
	if out.state != apply.StepFailed || !strings.Contains(out.err.Error(), "was not moved: "+refuses) || strings.Contains(fmt.Sprint(m.events), "is frozen") {
		t.Errorf("%s %v", out.state, out.err)
	}
	m.whole("db")
	refuses = ""
	m.converged()
	m.whole("db2")
	if said := "not taken along from db: publication feed, what reader may"; !strings.Contains(fmt.Sprint(m.events), said) {
		t.Errorf("it does not say %q", said)
	}
}

// P6: a copy that would fill the disk, which the state is on, is not begun: nothing is frozen.
func TestP6AMoveFillsNoDisk(t *testing.T) {
	m := moving(t)
	free := uint64(200 << 20)
	m.runner.Room = func(dir string) (uint64, bool) { return free, dir == m.scratch }
	out := m.settle(0)
	if out.state != apply.StepFailed || !strings.Contains(out.err.Error(), "200 MB are left") || strings.Contains(fmt.Sprint(m.events), "is frozen") {
		t.Errorf("%s %v", out.state, out.err)
	}
	m.whole("db")
	free = 1 << 30
	m.converged()
	m.whole("db2")
}

// A pass that fails after the switch puts the old one back, if nothing was written to the new
// one; else everything stays as it is, and that is said.
func TestAMoveThatIsTakenBack(t *testing.T) {
	failing := func(m *mover) plan.Plan {
		t.Helper()
		m.probe = func(context.Context, apply.Target) error { return errors.New("500 Internal Server Error") }
		if out := m.settle(0); out.state != apply.StepFailed {
			t.Fatalf("%s %v", out.state, out.err)
		}
		c := m.undo()
		var p plan.Plan
		m.view(func(tx store.Tx) (err error) { p, err = apply.Back(tx, c); return err })
		return p
	}
	m := moving(t)
	p := failing(m)
	if len(p.Steps) == 0 || p.Steps[0].Action != plan.Transfer || p.Steps[0].Provider != "db" {
		t.Fatalf("the way back: %v", stepLines(p))
	}
	if m.order() {
		t.Error("orders are taken by the frozen one")
	}
	if out, err := m.run(context.Background(), p); err != nil || out.state != apply.StepDone {
		t.Fatalf("%v %v", out, err)
	}
	m.whole("db")
	if left := m.database("main@db2"); !left.Copy || !left.Retained() || !m.vendor.Frozen(left.ID) {
		t.Errorf("the copy: %+v", left)
	}
	for n := 1; n <= 6; n++ { // killed on the way back, it comes to the same
		m := moving(t)
		p := failing(m)
		left := n
		m.at = func(_ apply.Border, s plan.Step) {
			if left--; left == 0 && s.Action == plan.Transfer {
				panic(killed{"back"})
			}
		}
		func() {
			defer func() {
				if x := recover(); x != nil {
					if _, ours := x.(killed); !ours {
						panic(x)
					}
				}
			}()
			_, _ = m.run(context.Background(), p)
		}()
		m.restart()
		m.at = nil
		if _, err := m.runner.Settle(context.Background(), m.job(plan.Plan{}), m.intents()); err != nil {
			t.Fatal(err)
		}
		var again plan.Plan
		c := m.undo()
		m.view(func(tx store.Tx) (err error) { again, err = apply.Back(tx, c); return err })
		if out, err := m.run(context.Background(), again); err != nil || len(again.Steps) > 0 && out.state != apply.StepDone {
			t.Fatalf("killed at %d: %v %v", n, out, err)
		}
		m.whole("db")
	}
	m = moving(t)
	p = failing(m)
	fresh := m.database("main")
	if !m.vendor.Write(fresh.ID, "an order at the new one") {
		t.Fatal("the new one takes no orders")
	}
	out, err := m.run(context.Background(), p)
	if err != nil || out.state != apply.StepParked || !strings.Contains(out.err.Error(), "was written to since the move") {
		t.Fatalf("%+v %v", out, err)
	}
	if own := m.database("main"); own.ID != fresh.ID || m.vendor.Frozen(own.ID) || !m.vendor.Frozen(m.database("main@db").ID) {
		t.Errorf("the new one is %+v", own)
	}
	for _, r := range out.result.Steps {
		if r.Step.Action == plan.Update && r.State != apply.StepSkipped {
			t.Errorf("%s: %s", r.Step.Key(), r.State)
		}
	}
}
