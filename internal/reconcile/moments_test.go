package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// at is a client's manifest with a host name and a colour.
func at(name, domain, colour string) string {
	return strings.Replace(client(name, "env: {COLOUR: "+colour+"}"), "domain: "+name+"\n", "domain: "+domain+"\n", 1)
}

// P3: a new client passes with another one, which goes on under the name of a pass that had to wait. The
// new one fails: what was made of it is taken back, whatever the other's pass is called.
func TestP3TakesBackUnderItsOwnName(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/b.yaml": at("b", "b", "red")})
	v.faults.On(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 0, memory.Fail(provider.Transient, "503 service unavailable"))
	id := w.push(map[string]string{"clients/b.yaml": at("b", "b", "green")})[0]
	if _, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	if w.stored(id).Run == "" {
		t.Fatal("nothing waits")
	}
	v.faults.Clear()
	w.push(map[string]string{"clients/a.yaml": at("a", "b", "red"), "clients/b.yaml": at("b", "n", "green")})
	a := w.id("a")
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Create && c.Kind == state.KindDeployment && c.Client == a
	}, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	w.pass(a)
	w.want("a", state.StatusFailed)
	for _, r := range w.detail("a").Resources {
		if r.Ref.Kind != state.KindDatabase && r.Ref.Kind != state.KindAdmin {
			t.Errorf("%s %s is left", r.Ref.Kind, r.Name)
		}
	}
}

// begins tells when somebody's work begins: nothing is read yet, and who passes together is known.
type begins func(state.ClientID)

func (b begins) Begin(id state.ClientID) error   { b(id); return nil }
func (b begins) End(state.ClientID) error        { return nil }
func (b begins) Left() ([]state.ClientID, error) { return nil, nil }

// P5, P7: a pass waits for a look that is at its client. Until its turn comes a head is accepted by which
// the client's name moves to another one: they pass together from then on, or the name would serve
// nobody in between.
func TestP5WhoWaitsForItsTurnPassesWithWhoJoined(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": at("a", "a", "red"), "clients/b.yaml": at("b", "b", "red")})
	b, accepted := w.id("b"), false
	w.engine.Underway = begins(func(state.ClientID) {
		if !accepted {
			accepted = true
			w.push(map[string]string{"clients/a.yaml": at("a", "b", "red"), "clients/b.yaml": at("b", "n", "red")})
		}
	})
	d, err := w.engine.Pass(t.Context(), b, reconcile.CauseRetry)
	if err != nil || !accepted || !d.Again {
		t.Errorf("it is to come again: %+v, %v", d, err)
	}
	if serving, _ := v.world.Serves("b.agency.example"); serving == "" {
		t.Error("its old name serves nobody")
	}
	w.pass(b)
	if o, _ := v.world.Object(first(v.world.Serves("b.agency.example"))); o.Mark.Client != w.id("a") {
		t.Errorf("the name leads to %q", o.Mark.Client)
	}
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
}

func first(s string, _ bool) string { return s }

// overheard is a store that says when something was written, before whoever wrote it hears of it.
type overheard struct {
	store.Store
	written func()
}

func (s *overheard) Update(fn func(store.Tx) error) error {
	err := s.Store.Update(fn)
	if s.written != nil {
		s.written()
	}
	return err
}

// P5: as two clients end their passing together, a head is accepted by which two others begin to.
func TestP5WhoJoinsWhileOthersPart(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": at("a", "a", "red"), "clients/b.yaml": at("b", "b", "red"), "clients/x.yaml": at("x", "x", "red"), "clients/y.yaml": at("y", "y", "red")})
	a, b, y := w.id("a"), w.id("b"), w.id("y")
	w.push(map[string]string{"clients/a.yaml": at("a", "b", "red"), "clients/b.yaml": at("b", "n", "red")})
	s := &overheard{Store: w.store}
	w.engine.Store = s
	s.written = func() {
		claims := 0
		if err := w.store.View(func(tx store.Tx) error {
			all, err := store.Claims(tx)
			for _, c := range all {
				claims += len(c.From)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if claims == 0 { // they were let go, and nobody knows yet
			s.written = nil
			w.push(map[string]string{"clients/x.yaml": at("x", "y", "red"), "clients/y.yaml": at("y", "m", "red")})
		}
	}
	w.pass(a)
	if s.written != nil {
		t.Fatal("nobody was let go")
	}
	if got := w.engine.Group(y); len(got) != 2 {
		t.Errorf("%v passes alone", got)
	}
	if got := w.engine.Group(b); len(got) != 1 {
		w.pass(b)
		if got := w.engine.Group(b); len(got) != 1 {
			t.Errorf("%v still pass together", got)
		}
	}
	w.pass(y)
	if o, _ := v.world.Object(first(v.world.Serves("y.agency.example"))); o.Mark.Client != w.id("x") {
		t.Errorf("the name leads to %q", o.Mark.Client)
	}
}

// P7: a change that many inherit goes on in waves. The first client of it ends while a head is judged
// that takes another one out of it: the others follow all the same.
func TestP7AWaveEndsWhileAHeadIsJudged(t *testing.T) {
	v, w := newVendors(t)
	w.engine.Guard.MaxChanged = 3
	files := map[string]string{}
	for i := range 8 {
		files[fmt.Sprintf("clients/c%d.yaml", i)] = client(fmt.Sprintf("c%d", i))
	}
	w.apply(files)
	one := w.push(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	if len(one) != 1 {
		t.Fatalf("%v go first", one)
	}
	var next []state.ClientID
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointAccept {
			w.engine.At = nil
			d, err := w.engine.Pass(t.Context(), one[0], reconcile.CauseCommit)
			if err != nil {
				t.Fatal(err)
			}
			next = d.Also
		}
	}
	w.pass(append(w.push(map[string]string{"clients/c7.yaml": client("c7", "env: {COLOUR: blue}")}), next...)...)
	if o := w.overview(); len(o.Holds) > 0 {
		t.Errorf("some wait: %s", o.Holds[0].Reason)
	}
	for i := range 8 {
		o, _ := v.world.Object(first(v.world.Serves(fmt.Sprintf("c%d.agency.example", i))))
		if attribute(o, "ref") != "v2" {
			t.Errorf("c%d serves %q", i, attribute(o, "ref"))
		}
	}
}

// P1, P5: a client comes back while its removal is done, and a head is judged: it has its names again,
// and nobody else gets them.
func TestP1BackWhileItsRemovalEnds(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	a := w.id("a")
	w.push(map[string]string{"clients/a.yaml": ""})
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointAccept {
			w.engine.At = nil
			if _, err := w.engine.Pass(t.Context(), a, reconcile.CauseCommit); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	if w.id("a") != a {
		t.Fatalf("it is %s, and was %s", w.id("a"), a)
	}
	w.want("a", state.StatusActive)
	w.apply(map[string]string{"clients/thief.yaml": at("thief", "a", "red")})
	if w.row("thief").Status != "invalid" {
		t.Errorf("somebody else was given its name: %+v", w.row("thief"))
	}
}

// P12: a fingerprint is approved while the pass that comes to it looks at the world: that waits for its
// hold, which comes a moment later, and lets it go.
func TestP12ApprovedWhileThePassLooks(t *testing.T) {
	held := func(approve string) []state.Hold {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": client("a", `dns: {records: [{type: MX, name: "@", content: mx.example, priority: 10}]}`)})
		v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Observe }, 1, func(context.Context, memory.Call) error {
			if approve == "" {
				return nil
			}
			_, err := w.engine.Approve(t.Context(), approve, "dana")
			approve = ""
			return err
		})
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		if approve != "" {
			t.Fatal("it did not look")
		}
		return w.overview().Holds
	}
	waits := held("")
	if len(waits) != 1 {
		t.Fatalf("%+v waits", waits)
	}
	if still := held(waits[0].Fingerprint); len(still) > 0 {
		t.Errorf("it waits: %s", still[0].Reason)
	}
}

// A client is paused while its pass looks at the world, before anything of it is begun: nothing is.
func TestPausedWhileThePassLooks(t *testing.T) {
	v, w := newVendors(t)
	w.apply(coloured("red"))
	id := w.push(coloured("green"))[0]
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Observe }, 1, func(context.Context, memory.Call) error {
		_, err := w.engine.SetPaused("bakery", true, "dana")
		return err
	})
	v.world.ForgetCalls()
	w.pass(id)
	w.want("bakery", state.StatusPaused)
	if calls := v.writes(); len(calls) > 0 || v.colour("bakery.agency.example") != "red" {
		t.Errorf("paused, and then: %v", calls)
	}
}

// compares is a repository that says when the whole tree is asked for: what is on record was read.
type compares struct {
	*repository
	asked func()
}

func (r compares) Range(ctx context.Context, from, head string) (reconcile.Range, error) {
	if from == "" {
		r.asked()
	}
	return r.repository.Range(ctx, from, head)
}

// S34: a client is paused while a state that was put back is compared with the providers: it stays
// paused.
func TestS34PausedWhileItIsCompared(t *testing.T) {
	v, w := newVendors(t)
	w.apply(coloured("red"))
	backup := w.onDisk()
	w.apply(coloured("green"))
	paused := false
	w.change = func(e *reconcile.Engine) {
		e.Repo = compares{w.repo, func() {
			if paused {
				return
			}
			paused = true
			if _, err := w.engine.SetPaused("bakery", true, "dana"); err != nil {
				t.Fatal(err)
			}
		}}
	}
	w.putBack(backup)
	for range 3 {
		if ids, err := w.engine.Poll(t.Context()); err == nil { // else the next one compares again
			w.pass(ids...)
		}
	}
	if !paused {
		t.Fatal("nothing was compared")
	}
	w.want("bakery", state.StatusPaused)
	if c := v.colour("bakery.agency.example"); c != "green" {
		t.Errorf("it serves the %s version", c)
	}
}

// P5: what a purge is about to erase, by its date, may be asked for again by then: by a file that is not
// valid yet, or of a client that is to be left alone.
func TestP5PurgeOfWhatMayBeAskedForAgain(t *testing.T) {
	none := client("a", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")
	for name, c := range map[string]struct {
		without string // its file as it drops the database
		then    func(*world)
	}{
		"its file is back, and invalid": {"", func(w *world) { w.push(map[string]string{"clients/a.yaml": client("a", "plan: no such one")}) }},
		"its file is invalid":           {none, func(w *world) { w.push(map[string]string{"clients/a.yaml": client("a", "plan: no such one")}) }},
		"it is paused": {none, func(w *world) {
			if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
		db := w.database("a")
		w.apply(map[string]string{"clients/a.yaml": c.without})
		w.clock.add(month)
		begun := false
		w.engine.At = func(p reconcile.Point) {
			if p == reconcile.PointPurge {
				w.engine.At, begun = nil, true
				c.then(w)
			}
		}
		done, _ := w.purge()
		if _, there := v.world.Object(db); !begun || !there || len(done) > 0 {
			t.Errorf("%s: begun %v, there %v, told %v", name, begun, there, done)
		}
	}
}

// C20, P7: a newer wish is accepted as a client is about to be left alone, for the third panic over its
// older one: nobody tried the newer one yet.
func TestC20NewerWishAsAClientIsLeftAlone(t *testing.T) {
	v, w := newVendors(t)
	w.apply(coloured("red"))
	v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 3, func(context.Context, memory.Call) error { panic("boom") })
	id := w.push(coloured("green"))[0]
	for range 2 {
		if _, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil {
			t.Fatal(err)
		}
	}
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointEnd {
			w.engine.At = nil
			w.push(coloured("blue"))
		}
	}
	w.pass(id)
	w.want("bakery", state.StatusActive)
	if c := v.colour("bakery.agency.example"); w.engine.At != nil || c != "blue" {
		t.Errorf("it serves the %s version", c)
	}
}

// P5: of those that one hold of removals binds, some are accepted and wait, and some are not valid before
// the names that they take are free. Whoever approves it approved them all, and a name goes from one to
// the other with no time in between.
func TestP5OneApprovalOfRemovalsThatAreHeldForEachOther(t *testing.T) {
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	before := map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"), "clients/d.yaml": client("d", "aliases: [www.a.example]")}
	for name, after := range map[string]map[string]string{
		"some wait":        {"clients/a.yaml": named("a", "b", "aliases: [www.a.example]"), "clients/b.yaml": named("b", "a"), "clients/d.yaml": client("d")},
		"none is accepted": {"clients/a.yaml": named("a", "b"), "clients/b.yaml": named("b", "a"), "clients/d.yaml": before["clients/d.yaml"]},
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(before)
			w.engine.Guard.MaxDeletes = 1
			change := func(files map[string]string) {
				t.Helper()
				w.apply(files)
				o, err := w.engine.Overview()
				if err != nil || len(o.Holds) != 1 {
					t.Fatalf("%v %v", o.Holds, err)
				}
				ids, err := w.engine.Approve(t.Context(), o.Holds[0].Fingerprint, "dana")
				if err != nil {
					t.Fatal(err)
				}
				if once := slices.Compact(slices.Sorted(slices.Values(ids))); len(once) != len(ids) {
					t.Errorf("more go on than there are: %v", ids)
				}
				w.pass(ids...)
				if o, _ = w.engine.Overview(); len(o.Holds) != 0 {
					t.Errorf("it is to be approved once more: %v", o.Holds)
				}
			}
			change(after)
			for host, name := range map[string]string{"b.agency.example": "a", "www.a.example": map[string]string{"some wait": "a", "none is accepted": "d"}[name], "a.agency.example": "b", "d.agency.example": "d"} {
				id, _ := v.world.Serves(host)
				if o, _ := v.world.Object(id); string(o.Mark.Client) != w.row(name).ID {
					t.Errorf("%s is served by %q, not by %s", host, o.Mark.Client, name)
				}
			}
			change(before)
			change(after) // another head, though it takes the same away: it wants an approval of its own
		})
	}
}
