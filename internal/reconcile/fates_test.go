package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// P9: a pass ends while the next head is judged, which ends others in the same verdict. What
// the pass came to stays in it, and is told.
func TestP9PassThatEndsWhileAHeadIsJudged(t *testing.T) {
	_, w := newVendors(t)
	w.push(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/shop.yaml": client("shop")})
	first, bakery := w.engine.Head(), w.id("bakery")
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointRead {
			w.engine.At = nil
			w.pass(bakery)
		}
	}
	w.pass(w.push(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}")})...)
	var v state.Verdict
	told := map[string]string{}
	err := w.store.View(func(tx store.Tx) (err error) {
		if v, _, err = store.Verdict(tx, first); err != nil {
			return err
		}
		reports, err := store.Reports(tx)
		for _, r := range reports {
			told[r.Subject] = r.State
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if v.State != "success" || v.Clients[bakery] != "succeeded" || told["commit/"+first] != "success" {
		t.Errorf("the first head came to %s (%v), and %q is told", v.State, v.Clients, told["commit/"+first])
	}
}

// P9: what had failed is tried again while the next head is judged, and waits: that head takes
// over what it asked for, as if it had waited before.
func TestP9FailedClientThatIsTriedAgainWhileAHeadIsJudged(t *testing.T) {
	v, w := newVendors(t)
	refuse := func(kind provider.ErrorKind, times int) {
		v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDeployment), times, func(context.Context, memory.Call) error {
			return &provider.Error{Kind: kind, Provider: "vercel", Op: "create", Message: "no"}
		})
	}
	refuse(provider.Invalid, 1)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	w.want("bakery", state.StatusFailed)
	first, bakery := w.engine.Head(), w.id("bakery")
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointRead {
			w.engine.At = nil
			refuse(provider.Transient, 9)
			if _, err := w.engine.Retry("bakery", "dana"); err != nil {
				t.Error(err)
			}
			if _, err := w.engine.Pass(t.Context(), bakery, reconcile.CauseRetry); err != nil {
				t.Error(err)
			}
			if got := w.fateIn(first, bakery); got != "pending" {
				t.Errorf("while the next head is judged it is %q", got)
			}
		}
	}
	w.pass(w.push(map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: red}")})...)
	if got := w.fateIn(first, bakery); got != "superseded by "+w.engine.Head() {
		t.Errorf("of the first head it is %q", got)
	}
}

// fateIn is what became of a client's wish of a commit.
func (w *world) fateIn(commit string, id state.ClientID) (fate string) {
	w.t.Helper()
	err := w.store.View(func(tx store.Tx) (err error) { fate, _, err = store.Fate(tx, commit, id); return err })
	if err != nil {
		w.t.Fatal(err)
	}
	return fate
}

// Once what waited is approved, its commit is pending again: the pass that follows may take long. Where something else of the
// client waits, it stays as it is, and so does that of a client in quarantine.
func TestApprovedCommitGoesOn(t *testing.T) {
	_, w := newVendors(t)
	mx := "dns: {records: [{type: MX, name: \"@\", content: mx.example, priority: 10}]}"
	w.apply(map[string]string{"clients/a.yaml": client("a", mx), "clients/b.yaml": client("b", mx)})
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	told := func(of string) (text string) {
		w.view(func(tx store.Tx) error {
			all, err := store.Reports(tx)
			for _, r := range all {
				if r.Subject == "commit/"+w.engine.Head()+of {
					text = r.State + ": " + r.Text
				}
			}
			return err
		})
		return text
	}
	if got := told(""); !strings.HasPrefix(got, "failure: held: a, b") {
		t.Fatalf("before it was told %q", got)
	}
	for range 3 {
		w.crash(w.id("b"))
	}
	for _, name := range []string{"a", "b"} {
		holds := w.detail(name).Holds
		if len(holds) != 1 || holds[0].Kind != state.HoldMail {
			t.Fatalf("%s waits for %+v", name, holds)
		}
		if _, err := w.engine.Approve(t.Context(), holds[0].Fingerprint, "dana"); err != nil {
			t.Fatal(err)
		}
	}
	if fate, verdict := w.fate("a"); fate != accept.FatePending || verdict != "pending" {
		t.Errorf("approved, it is %s, and its commit %s", fate, verdict)
	}
	if got := told(""); !strings.HasPrefix(got, "pending: ") {
		t.Errorf("of the commit people are told %q", got)
	}
	if got := told("/client/a"); got != "pending: approved" {
		t.Errorf("of the client people are told %q", got)
	}
	if fate, _ := w.fate("b"); fate == accept.FatePending {
		t.Error("nothing is tried of b, and it is pending")
	}
	w.pass(w.id("a"))
	if fate, _ := w.fate("a"); fate != accept.FateSucceeded {
		t.Errorf("it ended as %s", fate)
	}
	if got := told("/client/a"); !strings.HasPrefix(got, "success: ") {
		t.Errorf("of the client people are told %q", got)
	}
}

// A pass ends while a head is judged that says something else of its client: what the pass
// came to stays on record.
func TestClientThatIsPassedWhileAHeadIsJudged(t *testing.T) {
	for name, text := range map[string]string{"is invalid": "kind: [", "moved": client("bakery")} {
		_, w := newVendors(t)
		w.push(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/shop.yaml": client("shop")})
		id := w.id("bakery")
		files := map[string]string{"clients/bakery.yaml": text}
		if name == "moved" {
			files = map[string]string{"clients/bakery.yaml": "", "clients/ba/bakery.yaml": text}
		}
		w.engine.At = func(p reconcile.Point) {
			if p == reconcile.PointRead {
				w.engine.At = nil
				w.pass(id)
			}
		}
		w.push(files)
		if r := w.want("bakery", state.StatusActive); r.URL == "" {
			t.Errorf("%s: it lost what it had: %+v", name, r)
		}
		if due := w.due(); slices.Contains(due, id) {
			t.Errorf("%s: it is not at rest: %v", name, due)
		}
	}
}

// P12: what a pull request showed is done by a pass that ends while the next head is judged:
// it is no matter of that head, and nothing that nobody proposed waits for it.
func TestP12ReviewThatIsDoneWhileAHeadIsJudged(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "aliases: [www.bakery.example]"), "clients/shop.yaml": client("shop")})
	id := w.id("bakery")
	files := map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: red}", "aliases: [www.bakery.example]")}
	w.merge(w.proposed(1, files).Head, files)
	if w.stored(id).Review == nil {
		t.Fatal("nothing is on record of what was shown")
	}
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointRead {
			w.engine.At = nil
			w.pass(id)
		}
	}
	// The head is about bakery, too, though not about what it wishes.
	w.pass(w.push(map[string]string{"clients/bakery.yaml": "", "clients/ba/bakery.yaml": files["clients/bakery.yaml"]})...)
	if r := w.stored(id).Review; r != nil {
		t.Errorf("what is done is still to be held against what was shown: %+v", r)
	}
	w.apply(map[string]string{"clients/ba/bakery.yaml": client("bakery", "env: {COLOUR: red}")})
	w.want("bakery", state.StatusActive)
	if holds := w.waits(state.HoldRisk); len(holds) > 0 {
		t.Errorf("a push that nobody proposed waits: %+v", holds)
	}
}

// P8: somebody asks for a pass while one is under way, and the process dies when that has
// ended: the next start knows of it.
func TestP8WhoeverAsksDuringAPassIsHeard(t *testing.T) {
	for name, ask := range map[string]func(*world) error{
		"retry": func(w *world) error { _, err := w.engine.Retry("bakery", "dana"); return err },
		"secret": func(w *world) error {
			_, _, err := w.engine.SetSecret("", "key", state.NewSecret("another"), w.keys.Fingerprint, "dana")
			return err
		},
	} {
		v, w := newVendors(t)
		if _, _, err := w.engine.SetSecret("", "key", state.NewSecret("one"), w.keys.Fingerprint, "dana"); err != nil {
			t.Fatal(err)
		}
		w.push(map[string]string{"clients/bakery.yaml": client("bakery", "env: {KEY: {secret: shared/key}}")})
		id := w.id("bakery")
		w.engine.At = func(p reconcile.Point) {
			if p == reconcile.PointEnd {
				w.engine.At = nil
				if err := ask(w); err != nil {
					t.Error(err)
				}
			}
		}
		if d, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil || !d.Again {
			t.Errorf("%s: it is to pass again: %+v, %v", name, d, err)
		}
		due := w.due()
		if !slices.Contains(due, id) {
			t.Fatalf("%s: the next start does not know of it", name)
		}
		w.pass(due...)
		w.want("bakery", state.StatusActive)
		d, _ := v.world.Serves("bakery.agency.example")
		if got := v.world.BuiltWith(d)["KEY"]; name == "secret" && got != "another" {
			t.Errorf("it is built with %q", got)
		}
	}
}

// A pass that reads a client between the commit of a head and the moment at which that is in
// memory does not take what it inherits from the head before, and call that its wish.
func TestPassBetweenACommitAndMemory(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	id := w.id("bakery")
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointAccepted {
			w.engine.At = nil
			if d, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil || !d.Again {
				t.Errorf("it is to come again: %+v, %v", d, err)
			}
		}
	}
	w.apply(map[string]string{"templates/shop.yaml": strings.ReplaceAll(template, "ref: v1", "ref: v2")})
	w.want("bakery", state.StatusActive)
	d, _ := v.world.Serves("bakery.agency.example")
	o, _ := v.world.Object(d)
	if got := attribute(o, "ref"); got != "v2" {
		t.Errorf("it serves %q", got)
	}
}

// P7: so it is with one that first looks into what an earlier pass left open, and reads the client
// again after that.
func TestP7LookBetweenACommitAndMemory(t *testing.T) {
	v, w := newVendors(t)
	w.apply(coloured("red"))
	id := w.id("bakery")
	environment := memory.Is(memory.Observe, state.KindEnvironment)
	v.faults.Do(memory.After, memory.Is(memory.Update, state.KindEnvironment), 1, func(context.Context, memory.Call) error {
		v.faults.On(memory.Before, environment, 0, memory.Fail(provider.Transient, "503 service unavailable"))
		return memory.Fail(provider.Uncertain, "the answer was lost")
	})
	w.apply(coloured("green"))
	v.faults.Clear()
	accepted, looked, polled := make(chan struct{}), make(chan struct{}), make(chan error)
	v.faults.Do(memory.Before, environment, 1, func(context.Context, memory.Call) error {
		w.engine.At = func(p reconcile.Point) {
			if p == reconcile.PointAccepted {
				w.engine.At = nil
				close(accepted)
				<-looked
			}
		}
		w.repo.commit(map[string]string{"templates/shop.yaml": strings.ReplaceAll(template, "ref: v1", "ref: v2")})
		go func() {
			_, err := w.engine.Poll(context.WithoutCancel(t.Context()))
			polled <- err
		}()
		<-accepted
		return nil
	})
	d, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit)
	close(looked)
	if err != nil || !d.Again {
		t.Errorf("it is to come again: %+v, %v", d, err)
	}
	if err := <-polled; err != nil {
		t.Fatal(err)
	}
	w.pass(w.due()...)
	w.want("bakery", state.StatusActive)
	serving, _ := v.world.Serves("bakery.agency.example")
	if o, _ := v.world.Object(serving); attribute(o, "ref") != "v2" {
		t.Errorf("it serves %q", attribute(o, "ref"))
	}
}

// P7, P8: a newer wish comes while a failed one is taken back, or while the program is dead
// over that. It was not tried: it neither fails with the other nor is left.
func TestP7NewerWishDuringARollback(t *testing.T) {
	for _, dies := range []bool{false, true} {
		v, w := newVendors(t)
		w.apply(coloured("red"))
		id := w.id("bakery")
		v.faults.On(memory.Before, memory.Is(memory.Update, state.KindTraffic), 1, memory.Fail(provider.Invalid, "the plan's quota is used up"))
		w.push(coloured("green"))
		ctx, die := context.WithCancel(t.Context())
		w.engine.At = func(p reconcile.Point) {
			switch {
			case p != reconcile.PointRollback:
			case dies:
				die()
			default:
				w.engine.At = nil
				w.push(coloured("blue"))
			}
		}
		if _, err := w.engine.Pass(ctx, id, reconcile.CauseCommit); (err != nil) != dies {
			t.Fatalf("dies %v: %v", dies, err)
		}
		die()
		if dies {
			w.engine.At = nil
			w.restart()
			w.push(coloured("blue"))
			if d, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil || !d.Again {
				t.Errorf("it goes on with the rollback, and comes again: %+v, %v", d, err)
			}
		}
		if fate, verdict := w.fate("bakery"); fate != "pending" || verdict != "pending" {
			t.Errorf("dies %v: what was not tried came to %q, %q", dies, fate, verdict)
		}
		w.pass(w.due()...)
		if r := w.want("bakery", state.StatusActive); v.colour("bakery.agency.example") != "blue" {
			t.Errorf("dies %v: it serves the %s version: %s", dies, v.colour("bakery.agency.example"), r.Because)
		}
	}
}

// P5, P7, P9: a name moves between two clients, which pass together. One of them fails, and while that
// is taken back the other one gets a newer wish, or goes. Nobody worked on that: however the older
// one came out, it is neither done nor failed, and another pass's.
func TestP7NewerWishWhileAnotherIsTakenBack(t *testing.T) {
	at := func(name, domain, colour string) string {
		return strings.Replace(client(name, "env: {COLOUR: "+colour+"}"), "domain: "+name+"\n", "domain: "+domain+"\n", 1)
	}
	for _, c := range []struct {
		name  string
		fails []string
		gives bool // to the one that fails, and is done itself; else it takes that one's name, and fails with it
		goes  bool
	}{
		{"done", []string{"a"}, true, false}, {"done, and it goes", []string{"a"}, true, true},
		{"failed with it", []string{"a"}, false, false}, {"failed with it, and it goes", []string{"a"}, false, true},
		{"failed", []string{"a", "b"}, false, false}, {"failed, and it goes", []string{"a", "b"}, false, true},
	} {
		of := map[string]string{"a": "n", "b": "a"}
		if c.gives {
			of = map[string]string{"a": "b", "b": "n"}
		}
		host := of["b"] + ".agency.example"
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": at("a", "a", "red"), "clients/b.yaml": at("b", "b", "red"), "clients/z.yaml": client("z")})
		a, b := w.id("a"), w.id("b")
		for _, name := range c.fails {
			v.faults.On(memory.Before, func(call memory.Call) bool {
				o, _ := v.world.Object(call.ID)
				return call.Verb == memory.Update && call.Kind == state.KindTraffic && o.Mark.Client == w.id(name)
			}, 1, memory.Fail(provider.Invalid, "the plan's quota is used up"))
		}
		w.push(map[string]string{"clients/a.yaml": at("a", of["a"], "green"), "clients/b.yaml": at("b", of["b"], "green")})
		newest := map[string]string{"clients/b.yaml": at("b", of["b"], "blue")}
		if c.goes {
			newest["clients/b.yaml"] = ""
		}
		w.engine.At = func(p reconcile.Point) {
			if p == reconcile.PointRollback {
				w.engine.At = nil
				w.push(newest)
			}
		}
		if d, err := w.engine.Pass(t.Context(), a, reconcile.CauseCommit); err != nil || !d.Again || !slices.Contains(d.Clients, b) {
			t.Errorf("%s: they are to come again: %+v, %v", c.name, d, err)
		}
		if w.engine.At != nil {
			t.Fatalf("%s: nothing was taken back", c.name)
		}
		if fate, verdict := w.fate("b"); fate != "pending" || verdict != "pending" {
			t.Errorf("%s: what was not tried came to %q, %q", c.name, fate, verdict)
		}
		due := w.due()
		if !slices.Contains(due, b) {
			t.Errorf("%s: the next start does not find the newer wish", c.name)
		}
		w.pass(due...)
		_, up := v.world.Serves(host)
		switch {
		case c.goes && (up || w.want("b", state.StatusRetained).Because == ""):
			t.Errorf("%s: what was to go serves still", c.name)
		case !c.goes && (w.want("b", state.StatusActive).Because != "" || v.colour(host) != "blue"):
			t.Errorf("%s: it serves the %s version", c.name, v.colour(host))
		}
	}
}

// A removal that stops halfway has taken some of the old version away: it is not said to run.
func TestFailedRemovalClaimsNothing(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/shop.yaml": client("shop")})
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindSite), 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	if _, up := v.world.Serves("bakery.example"); up {
		t.Fatal("it was to stop halfway")
	}
	if r := w.want("bakery", state.StatusFailed); strings.Contains(r.Because, "old version") {
		t.Errorf("it says %q", r.Because)
	}
}

// P5: what an earlier commit took out of a manifest stays while the file can't be accepted:
// it may ask for it again. It goes when the file is valid, also when that is as it was.
func TestP5RemovalOfAPartWaitsForAValidFile(t *testing.T) {
	v, w := newVendors(t)
	with, without := client("bakery", "aliases: [www.bakery.example]"), client("bakery")
	w.apply(map[string]string{"clients/bakery.yaml": with})
	ids := w.push(map[string]string{"clients/bakery.yaml": without})
	w.push(map[string]string{"clients/bakery.yaml": "kind: ["})
	w.pass(ids...)
	w.want("bakery", state.StatusActive)
	if _, up := v.world.Serves("www.bakery.example"); !up {
		t.Error("its name went while nobody can read what it asks for")
	}
	w.apply(map[string]string{"clients/bakery.yaml": without})
	if w.want("bakery", state.StatusActive); len(v.world.Resolves("www.bakery.example")) > 0 {
		t.Error("its name stays")
	}
}

// P7, P8: a head is judged again while a pass of the wish that it gave a client is under way,
// and gives the client a second one. That is a newer wish: the pass ends at a step's border,
// does not count the second as done, and should the process die now, the next start finds it.
func TestP7ASecondWishOfOneHeadIsANewerOne(t *testing.T) {
	at := func(name, domain string) string {
		return strings.Replace(client(name), "domain: "+name+"\n", "domain: "+domain+"\n", 1)
	}
	v, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.ReviewedOnly = true }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": at("b", "shop.example")})
	// b's name is held, and so a's file is invalid; a gets a new wish from its template.
	w.push(map[string]string{"clients/a.yaml": at("a", "shop.example"), "clients/b.yaml": client("b"), "templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	a := state.ClientID(w.detail("a").ID)
	v.faults.Do(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Create && c.Kind == state.KindDeployment && c.Client == a
	}, 1, func(context.Context, memory.Call) error {
		_, err := w.engine.Approve(t.Context(), w.waits(state.HoldGuard)[0].Fingerprint, "dana")
		return err
	})
	d, err := w.engine.Pass(t.Context(), a, reconcile.CauseCommit)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Again {
		t.Error("the pass of the first wish says that all is done")
	}
	if !slices.Contains(ids(w.restart()), a) {
		t.Error("the next start does not find the second wish")
	}
	w.pass(a)
	for range 3 {
		for _, h := range w.waits(state.HoldGuard) {
			due, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(due...)
		}
	}
	w.want("a", state.StatusActive)
	serving, _ := v.world.Serves("shop.example")
	if o, _ := v.world.Object(serving); o.Mark.Client != a {
		t.Errorf("shop.example is served by %q", o.Mark.Client)
	}
}

// stored is a client as it is on record.
func (w *world) stored(id state.ClientID) (c state.Client) {
	w.t.Helper()
	if err := w.store.View(func(tx store.Tx) (err error) { c, _, err = store.Client(tx, id); return err }); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// P8, P9: what a pass came to is told when it is written, with the client's record in one
// transaction: whoever dies before has told nothing.
func TestP9NothingIsToldBeforeItIsWritten(t *testing.T) {
	_, w := newVendors(t)
	ids := w.push(map[string]string{"clients/shop.yaml": client("shop", ownA)})
	told := map[reconcile.Point]int{}
	w.engine.At = func(p reconcile.Point) {
		w.view(func(tx store.Tx) error {
			all, err := store.Reports(tx)
			for _, r := range all {
				if strings.HasPrefix(r.Subject, "commit/") && r.State == "success" {
					told[p]++
				}
			}
			return err
		})
	}
	w.pass(ids...)
	if told[reconcile.PointEnd] > 0 || told[reconcile.PointEnded] == 0 {
		t.Errorf("successes that are told: %v", told)
	}
}
