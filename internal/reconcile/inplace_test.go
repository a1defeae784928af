package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// newInPlace is newVendors with a host that serves what was built last.
func newInPlace(t testing.TB) (*vendors, *world) {
	t.Helper()
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		v.clock, v.world = c, memory.NewWorld(c.Now)
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: v.world, Kinds: kinds, Fault: v.faults.Hook, Sleep: c.Sleep, Build: func(x provider.Wish) memory.Build {
				if v.builds == nil || x.Ref.Kind != state.KindDeployment {
					return memory.Build{}
				}
				return v.builds(x)
			}})
		}
		inPlace := memory.Change(memory.Hosting(), func(_ state.Kind, t *provider.Traits) { t.Promotable = false })
		return []provider.Provider{open("railway", memory.Databases()), open("vercel", inPlace), open("cloudflare", memory.DNS())}
	})
	return v, w
}

func (v *vendors) colour(host string) string {
	d, _ := v.world.Serves(host)
	return v.world.BuiltWith(d)["COLOUR"]
}

func coloured(colour string) map[string]string {
	return map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: "+colour+"}")}
}

// Where a host serves what was built last, a revert builds the earlier version again, and a
// pass that finds nothing to do builds nothing.
func TestRevertWhereTheHostDeploysInPlace(t *testing.T) {
	v, w := newInPlace(t)
	for _, colour := range []string{"red", "green", "red", "green", "blue", "red"} {
		w.apply(coloured(colour))
		w.want("bakery", state.StatusActive)
		if got := v.colour("bakery.agency.example"); got != colour {
			t.Fatalf("it serves the %s version, and the %s one is wished", got, colour)
		}
		v.world.ForgetCalls()
		id, err := w.engine.Retry("bakery", "dana")
		if err != nil {
			t.Fatal(err)
		}
		if w.pass(id); len(v.writes()) > 0 {
			t.Fatalf("at rest it writes %v", v.writes())
		}
	}
}

// A build that nobody wishes any more goes before it is done: it would serve, unasked.
func TestBuildThatIsNotWishedAnyMoreInPlace(t *testing.T) {
	v, w := newInPlace(t)
	w.apply(coloured("red"))
	v.builds = func(w provider.Wish) memory.Build { return memory.Build{Takes: 5 * time.Minute} }
	id := w.push(coloured("green"))[0]
	v.faults.Do(memory.Before, memory.Is(memory.Observe, state.KindDeployment), 1, func(context.Context, memory.Call) error {
		w.push(coloured("red"))
		return nil
	})
	w.pass(id)
	w.want("bakery", state.StatusActive)
	for range 10 {
		w.clock.add(time.Minute)
		if got := v.colour("bakery.agency.example"); got != "red" {
			t.Fatalf("it serves the %s version", got)
		}
	}
}

// P12: a build was accepted, and nobody could see how it went; it serves by now, and the record says that it is being
// built. A pull request takes it back. Where its plan showed that, it is done; merged without a plan it waits, as
// people would see the version before, and the plan says so.
func TestP12BuildThatMayServeByNowIsTakenBackInPlace(t *testing.T) {
	for _, planned := range []bool{true, false} {
		v, w := newInPlace(t)
		w.apply(coloured("red"))
		v.builds = func(provider.Wish) memory.Build { return memory.Build{Takes: 3 * time.Minute} }
		v.faults.Do(memory.After, memory.Is(memory.Create, state.KindDeployment), 1, func(context.Context, memory.Call) error {
			v.faults.On(memory.Before, memory.Is(memory.Observe, state.KindDeployment), 0, memory.Fail(provider.Denied, "the token was revoked"))
			return nil
		})
		w.apply(coloured("green"))
		v.faults.Clear()
		w.clock.add(5 * time.Minute)
		if got := v.colour("bakery.agency.example"); got != "green" {
			t.Fatalf("it serves the %s version", got)
		}
		var due []state.ClientID
		if red := coloured("red"); planned {
			due = w.merge(w.proposed(1, red).Head, red)
		} else {
			base, _, err := w.repo.Tree(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			p := state.Pull{Number: 1, Open: true, Head: w.repo.branch(red, base)}
			w.putPull(p)
			due = w.merge(p.Head, red)
		}
		w.pass(due...)
		if planned {
			if w.want("bakery", state.StatusActive); v.colour("bakery.agency.example") != "red" {
				t.Errorf("shown: it serves the %s version", v.colour("bakery.agency.example"))
			}
			continue
		}
		w.want("bakery", state.StatusHeld)
		holds := w.waits(state.HoldRisk)
		if got := v.colour("bakery.agency.example"); got != "green" || len(holds) != 1 {
			t.Fatalf("not shown: it serves the %s version; held: %+v", got, holds)
		}
		ids, err := w.engine.Approve(t.Context(), holds[0].Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
		if w.want("bakery", state.StatusActive); v.colour("bakery.agency.example") != "red" {
			t.Errorf("approved: it serves the %s version", v.colour("bakery.agency.example"))
		}
	}
}

// Whoever overtook a release may have been deleted by hand: the earlier one serves again then,
// and to build it anew would take it away first.
func TestReleaseThatServesAgainIsLeftAloneInPlace(t *testing.T) {
	v, w := newInPlace(t)
	w.apply(coloured("red"))
	red, _ := v.world.Serves("bakery.agency.example")
	v.faults.On(memory.Before, memory.Is(memory.Update, state.KindTraffic), 9, memory.Fail(provider.Transient, "503 service unavailable"))
	id := w.push(coloured("green"))[0]
	w.pass(id)
	if green, _ := v.world.Serves("bakery.agency.example"); green == red || !v.world.Remove(green) {
		t.Fatal("the new one does not serve")
	}
	v.faults.Clear()
	v.builds = func(provider.Wish) memory.Build { return memory.Build{Fails: "a test is red"} }
	serves := func(_ context.Context, c memory.Call) error {
		if now, _ := v.world.Serves("bakery.agency.example"); now != red {
			t.Errorf("%q serves after %s", now, c)
		}
		return nil
	}
	v.faults.Do(memory.After, func(memory.Call) bool { return true }, 1000, serves)
	w.clock.add(time.Hour)
	w.pass(id)
	w.want("bakery", state.StatusFailed)
	v.world.ForgetCalls()
	w.apply(coloured("red")) // the revert finds it as it is wished
	if w.want("bakery", state.StatusActive); len(v.writes()) > 0 {
		t.Errorf("the revert writes %v", v.writes())
	}
	// So does one that comes before the new version was tried again.
	v.faults.Clear()
	v.builds = nil
	w.apply(coloured("green"))
	green, _ := v.world.Serves("bakery.agency.example")
	v.world.Remove(green)
	v.faults.Do(memory.After, func(memory.Call) bool { return true }, 1000, serves)
	w.apply(coloured("red"))
	if w.want("bakery", state.StatusActive); v.colour("bakery.agency.example") != "red" {
		t.Errorf("it serves the %s version", v.colour("bakery.agency.example"))
	}
}

// A failed update at such a host deploys the earlier version and environment again, wherever
// it fails.
func TestFailedUpdateWhereTheHostDeploysInPlace(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(v *vendors, w *world)
	}{
		{"traffic is refused", func(v *vendors, _ *world) {
			v.faults.On(memory.Before, memory.Is(memory.Update, state.KindTraffic), 1, memory.Fail(provider.Invalid, "the plan's quota is used up"))
		}},
		{"it does not answer well", func(v *vendors, w *world) {
			w.unfit = func(string) error {
				if v.colour("bakery.agency.example") == "green" {
					return errAway
				}
				return nil
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w := newInPlace(t)
			w.apply(coloured("red"))
			c.fail(v, w)
			w.apply(coloured("green"))
			if r := w.want("bakery", state.StatusFailed); v.colour("bakery.agency.example") != "red" {
				t.Errorf("it serves the %s version, and says %q", v.colour("bakery.agency.example"), r.Because)
			}
			v.faults.Clear()
			w.unfit = nil
			id, err := w.engine.Retry("bakery", "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(id)
			if w.want("bakery", state.StatusActive); v.colour("bakery.agency.example") != "green" {
				t.Errorf("after a retry it serves the %s version", v.colour("bakery.agency.example"))
			}
		})
	}
}

// An update fails at such a host once it serves, and the environment can't be put back: the earlier version is not
// built again from the new one's. It is once the next try has failed, and the environment can be put back.
func TestEarlierVersionIsNotBuiltFromAnotherEnvironment(t *testing.T) {
	v, w := newInPlace(t)
	w.apply(coloured("red"))
	updates := 0
	v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 0, func(context.Context, memory.Call) error {
		if updates++; updates == 2 {
			return memory.Fail(provider.Invalid, "the plan's quota is used up")
		}
		return nil
	})
	made := 0
	v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, func(context.Context, memory.Call) error { made++; return nil })
	w.unfit = func(string) error {
		if v.colour("bakery.agency.example") == "green" {
			return errAway
		}
		return nil
	}
	w.apply(coloured("green"))
	if r := w.want("bakery", state.StatusFailed); made != 1 || !strings.Contains(r.Because, "can't be put back") {
		t.Errorf("%d were built, it serves the %s version of the environment %s, and says %q", made, v.colour("bakery.agency.example"), v.environment(), r.Because)
	}
	id, err := w.engine.Retry("bakery", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	if r := w.want("bakery", state.StatusFailed); v.environment() != "red" || v.colour("bakery.agency.example") != "red" {
		t.Errorf("it serves the %s version of the environment %s, and says %q", v.colour("bakery.agency.example"), v.environment(), r.Because)
	}
}

// P8: the process dies between the delete and the create of the earlier version that is built
// again, or while that is built. The next start knows what it was made of, and builds it; it says that
// the old version runs once that is done.
func TestP8PutBackIsCutOffWhereTheHostDeploysInPlace(t *testing.T) {
	for _, cut := range []struct {
		moment memory.Moment
		verb   memory.Verb
		nth    int // the green version is created first
	}{{memory.Before, memory.Delete, 1}, {memory.After, memory.Delete, 1}, {memory.After, memory.Create, 2}} {
		v, w := newInPlace(t)
		w.apply(coloured("red"))
		v.faults.On(memory.Before, memory.Is(memory.Update, state.KindTraffic), 1, memory.Fail(provider.Invalid, "the plan's quota is used up"))
		ctx, die := context.WithCancel(t.Context())
		n := 0
		v.faults.Do(cut.moment, memory.Is(cut.verb, state.KindDeployment), cut.nth, func(context.Context, memory.Call) error {
			if n++; n < cut.nth {
				return nil
			}
			die()
			return memory.Lost()
		})
		v.builds = func(provider.Wish) memory.Build { return memory.Build{Takes: time.Minute} }
		if _, err := w.engine.Pass(ctx, w.push(coloured("green"))[0], reconcile.CauseCommit); err == nil {
			t.Fatal("the process was to die")
		}
		v.faults.Clear()
		for range 10 { // what became of the write is looked into
			w.pass(ids(w.restart())...)
			if r := w.row("bakery"); r.Status == string(state.StatusFailed) && v.colour("bakery.agency.example") != "red" {
				t.Errorf("%s %s: it serves the %s version, and says %q", cut.moment, cut.verb, v.colour("bakery.agency.example"), r.Because)
			}
			w.clock.add(time.Hour)
		}
		if r := w.want("bakery", state.StatusFailed); v.colour("bakery.agency.example") != "red" {
			t.Errorf("%s %s: it serves the %s version, and says %q", cut.moment, cut.verb, v.colour("bakery.agency.example"), r.Because)
		}
	}
}

// swapped are the manifests of two clients that swap their names, each with a line more.
func swapped(bakery, cakes string) map[string]string {
	return map[string]string{
		"clients/bakery.yaml": strings.Replace(client("bakery", bakery), "\ndomain: bakery", "\ndomain: cakes", 1),
		"clients/cakes.yaml":  strings.Replace(client("cakes", cakes), "\ndomain: cakes", "\ndomain: bakery", 1),
	}
}

// swapping are the two names of those, and what serves them before.
func (v *vendors) swapping() (hosts, before [2]string) {
	hosts = [2]string{"bakery.agency.example", "cakes.agency.example"}
	for i, host := range hosts {
		before[i], _ = v.world.Serves(host)
	}
	return hosts, before
}

// Two clients at two hosts swap their names. One has its new name, its old host has let the
// old one go; the other fails at something later. Its new name is not led back to where it
// is bound no more.
func TestS24NameIsNotLedBackToWhereItIsGone(t *testing.T) {
	v, w := newVendorsWith(t)
	ploi, alias := "deployment: {provider: ploi}", "aliases: [www.cakes.example]"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", ploi), "clients/cakes.yaml": client("cakes", alias)})
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "www.cakes.example" }, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	ids := w.push(swapped(ploi, alias))
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	w.want("cakes", state.StatusFailed)
	for _, host := range []string{"bakery.agency.example", "cakes.agency.example"} {
		if _, up := v.world.Serves(host); !up {
			t.Errorf("nothing serves at %s", host)
		}
	}
}

// Two clients swap their names, and neither answers well with its new one. Each gets back what it
// had: to take the one's failure back gives the other its old name, and the other's own undo leaves
// that alone. Nothing is left that a later failure of either would put back once more.
func TestP5SwapThatFailsForBothIsPutBack(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	hosts, before := v.swapping()
	check := w.engine.Check
	ids := w.push(swapped("", ""))
	w.engine.Check = func(context.Context, string, manifest.Health) error { return errors.New("it answers 500") }
	backAsTheyWere := func(when string) {
		t.Helper()
		for i, host := range hosts {
			if now, up := v.world.Serves(host); !up || now != before[i] {
				t.Errorf("%s: %s is served by %q, and was by %q", when, host, now, before[i])
			}
		}
		for _, name := range []string{"bakery", "cakes"} {
			w.want(name, state.StatusFailed)
			if c := w.stored(w.id(name)); len(c.Undo) > 0 {
				t.Errorf("%s: of %s is put back the next time: %v", when, name, c.Undo)
			}
		}
	}
	w.pass(ids...)
	backAsTheyWere("failed")
	for _, name := range []string{"bakery", "cakes"} {
		if _, err := w.engine.Retry(name, "dana"); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(ids...)
	backAsTheyWere("failed again")
	w.engine.Check = check
	for _, name := range []string{"bakery", "cakes"} {
		if _, err := w.engine.Retry(name, "dana"); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(ids...)
	for i, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusActive)
		if now, _ := v.world.Serves(hosts[i]); now != before[1-i] {
			t.Errorf("retried: %s is served by %q", hosts[i], now)
		}
	}
}

// Two clients swap their names, and one of them does not answer well with its new one. The other
// gives back what it took, or the one that failed would answer by no name at all; once the failure is
// mended, the swap is done by a retry of that one alone.
func TestS24SwapThatFailsForOneIsPutBackForBoth(t *testing.T) {
	for i, bad := range []string{"bakery", "cakes"} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
		hosts, before := v.swapping()
		ids := w.push(swapped("", ""))
		check := w.engine.Check
		w.engine.Check = func(_ context.Context, url string, _ manifest.Health) error {
			if strings.Contains(url, hosts[1-i]) {
				return errors.New("it answers 500")
			}
			return nil
		}
		w.pass(ids...)
		for j, host := range hosts {
			if now, up := v.world.Serves(host); !up || now != before[j] {
				t.Errorf("%s fails: %s is served by %q, and was by %q", bad, host, now, before[j])
			}
		}
		for _, name := range []string{"bakery", "cakes"} {
			r := w.want(name, state.StatusFailed)
			if !strings.HasPrefix(r.Because, "Your site still runs the old version. ") || !strings.Contains(r.Because, "it answers 500") {
				t.Errorf("%s fails, and %s says %q", bad, name, r.Because)
			}
			if told := strings.Contains(r.Because, bad+", whose name it takes, failed"); told == (name == bad) {
				t.Errorf("%s fails, and %s says %q", bad, name, r.Because)
			}
			if c := w.stored(w.id(name)); len(c.Undo) > 0 || c.RollingBack != "" {
				t.Errorf("%s fails: of %s is put back the next time: %v", bad, name, c.Undo)
			}
		}
		w.engine.Check = check
		id, err := w.engine.Retry(bad, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(id)
		for j, name := range []string{"bakery", "cakes"} {
			w.want(name, state.StatusActive)
			if now, _ := v.world.Serves(hosts[j]); now != before[1-j] {
				t.Errorf("%s failed, and was retried: %s is served by %q", bad, hosts[j], now)
			}
		}
	}
}

// Two clients swap their names. One is done at once, the other waits for its vendor: until it is
// through, the first one is not, and when it fails in the end, both are put back.
func TestS24SwapIsThroughForBothOrForNone(t *testing.T) {
	for _, fails := range []bool{false, true} {
		v, w := newVendors(t)
		alias := "aliases: [www.cakes.example]"
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes", alias)})
		hosts, before := v.swapping()
		want := [2]string{before[1], before[0]}
		late := func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "www.cakes.example" }
		v.faults.On(memory.Before, late, 0, memory.Fail(provider.Transient, "try again later"))
		ids := w.push(swapped("", alias))
		if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
			t.Fatal(err)
		}
		r := w.want("bakery", state.StatusDeploying)
		if !strings.Contains(r.Because, "cakes, whose name it took, is not through") {
			t.Errorf("it says %q", r.Because)
		}
		v.faults.Clear()
		status := state.StatusActive
		if fails {
			v.faults.On(memory.Before, late, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
			want, status = before, state.StatusFailed
		}
		w.clock.add(time.Hour)
		w.pass(ids...)
		for i, name := range []string{"bakery", "cakes"} {
			w.want(name, status)
			if now, _ := v.world.Serves(hosts[i]); now != want[i] {
				t.Errorf("%s: %s is served by %q", status, hosts[i], now)
			}
			if c := w.stored(w.id(name)); len(c.Undo) > 0 {
				t.Errorf("%s: of %s is put back the next time: %v", status, name, c.Undo)
			}
		}
	}
}

// Two clients swap their names. One has all that it wishes, and the mail that its old name got waits for
// a person before it goes; the other waits for its vendor, and fails in the end. Both are put back. When
// it comes through instead, the first one is through with it, and a later failure goes back no further.
func TestS24SwapOfWhichOnlyMailWaitsIsNotThroughBeforeTheOther(t *testing.T) {
	const mail = `dns: {records: [{type: MX, name: "@", content: mx.example, priority: 10}]}`
	for _, fails := range []bool{true, false} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes", mail)})
		hosts, before := v.swapping()
		late := func(c memory.Call) bool {
			return c.Verb == memory.Update && c.Kind == state.KindDomain && c.Name == hosts[1]
		}
		v.faults.On(memory.Before, late, 1, memory.Fail(provider.Denied, "the token was revoked"))
		ids := w.push(swapped("", mail))
		if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
			t.Fatal(err)
		}
		if c := w.stored(w.id("cakes")); c.Status != state.StatusHeld || len(c.Undo) == 0 {
			t.Errorf("cakes is %s, and %d things would be put back", c.Status, len(c.Undo))
		}
		if fails {
			v.faults.On(memory.Before, late, 1, memory.Fail(provider.Invalid, "the plan's quota is used up"))
		}
		w.clock.add(time.Hour)
		w.pass(w.due()...)
		w.clock.add(time.Hour)
		w.pass(w.due()...)
		for i, host := range hosts {
			want := before[1-i]
			if fails {
				want = before[i]
			}
			if now, up := v.world.Serves(host); !up || now != want {
				t.Errorf("fails %v: %s is served by %q, want %q", fails, host, now, want)
			}
		}
		for _, name := range []string{"bakery", "cakes"} {
			if c := w.stored(w.id(name)); len(c.Undo) > 0 || c.Run != "" {
				t.Errorf("fails %v: of %s (%s) would be put back the next time: %v", fails, name, c.Status, c.Undo)
			}
		}
	}
}

// Two clients swap their names at a vendor whose host names have no place for a mark, and whose ids
// name the site. The answer to the move of one is lost, and before anybody looks the swap is taken
// back. What moved is known to have: it moves back, and nothing stays where it went.
func TestS24NameWhoseMoveNobodyHeardOfIsFound(t *testing.T) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		v.clock, v.world = c, memory.NewWorld(c.Now)
		bare := memory.Change(memory.Hosting(), func(k state.Kind, t *provider.Traits) { t.Marks = k != state.KindDomain })
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: v.world, Kinds: kinds, Fault: v.faults.Hook, Sleep: c.Sleep})
		}
		return []provider.Provider{open("railway", memory.Databases()), open("vercel", bare), open("cloudflare", memory.DNS())}
	})
	before := map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")}
	w.apply(before)
	_, served := v.swapping()
	ids := w.push(swapped("", ""))
	ctx, die := context.WithCancel(t.Context())
	v.faults.Do(memory.After, memory.Is(memory.Update, state.KindDomain), 1, func(context.Context, memory.Call) error {
		die()
		return memory.Lost()
	})
	_, _ = w.engine.Pass(ctx, ids[0], reconcile.CauseCommit)
	w.restart()
	w.apply(before)
	for range 2 {
		w.clock.add(time.Hour)
		w.pass(w.due()...)
	}
	for i, host := range []string{"bakery.agency.example", "cakes.agency.example"} {
		if now, up := v.world.Serves(host); !up || now != served[i] {
			t.Errorf("%s is served by %q, and was by %q", host, now, served[i])
		}
	}
	known := map[string]bool{}
	for _, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusActive)
		w.view(func(tx store.Tx) error {
			all, err := store.Resources(tx, w.id(name))
			for _, r := range all {
				if known[r.ID] = true; r.Found {
					t.Errorf("%s has what the program made for found: %s %s", name, r.Ref.Kind, r.ID)
				}
			}
			return err
		})
	}
	for _, o := range v.world.Objects("vercel") {
		if o.Kind == state.KindDomain && !known[o.ID] {
			t.Errorf("on no record: %s", o.ID)
		}
	}
}

// Two clients swap their names, and the new version of one of them is not well, which is seen before
// it serves. Neither name moves, not for a moment, and both say why.
func TestS24SwapMovesNothingBeforeBothAreReady(t *testing.T) {
	for _, bad := range []string{"bakery", "cakes"} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
		v.faults.On(memory.Before, func(c memory.Call) bool {
			return c.Verb == memory.Create && c.Kind == state.KindDeployment && strings.HasPrefix(c.Name, bad)
		}, 0, memory.Fail(provider.Invalid, "the build is broken"))
		moved := 0
		v.faults.Do(memory.After, func(c memory.Call) bool {
			return c.Verb == memory.Update && (c.Kind == state.KindRecord || c.Kind == state.KindDomain)
		}, 0, func(context.Context, memory.Call) error {
			moved++
			return nil
		})
		ids := w.push(swapped("env: {COLOUR: blue}", "env: {COLOUR: blue}"))
		for range 3 {
			w.pass(ids...)
			w.clock.add(2 * time.Hour)
			ids = w.due()
		}
		if moved > 0 {
			t.Errorf("%s is broken, and %d times something moved", bad, moved)
		}
		for _, name := range []string{"bakery", "cakes"} {
			if r := w.want(name, state.StatusFailed); !strings.Contains(r.Because, "the build is broken") {
				t.Errorf("%s is broken, and %s says %q", bad, name, r.Because)
			}
		}
		if got := v.colour("bakery.agency.example") + v.colour("cakes.agency.example"); got != "" {
			t.Errorf("%s is broken, and the colour %q is served", bad, got)
		}
	}
}

// environment is the colour in the environment of the one site at vercel.
func (v *vendors) environment() string {
	for _, o := range v.world.Objects("vercel") {
		if o.Kind == state.KindEnvironment {
			return attribute(o, "env.COLOUR")
		}
	}
	return ""
}

// An update fails, and the environment that it changed can't be put back. The next try fails, too:
// it is put back then, to what the version that serves was built with.
func TestEnvironmentIsPutBackOnceItCanBe(t *testing.T) {
	v, w := newVendors(t)
	w.apply(coloured("red"))
	updates := 0
	v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 0, func(context.Context, memory.Call) error {
		if updates++; updates == 2 {
			return memory.Fail(provider.Invalid, "the plan's quota is used up")
		}
		return nil
	})
	w.unfit = func(string) error { return errAway }
	w.apply(coloured("green"))
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, "can't be put back") || v.environment() != "green" {
		t.Fatalf("the environment is %q, and it says %q", v.environment(), r.Because)
	}
	id, err := w.engine.Retry("bakery", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	if r := w.want("bakery", state.StatusFailed); v.environment() != "red" || v.colour("bakery.agency.example") != "red" {
		t.Errorf("the environment is %q, the site %q, and it says %q", v.environment(), v.colour("bakery.agency.example"), r.Because)
	}
}

// An update fails after it serves, and what served before can't be put back. The next one fails, too: the
// environment stays that of what serves now.
func TestEnvironmentOfWhatServesStays(t *testing.T) {
	v, w := newVendors(t)
	w.apply(coloured("red"))
	moves := 0
	v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindTraffic), 0, func(context.Context, memory.Call) error {
		if moves++; moves == 2 {
			return memory.Fail(provider.Invalid, "the plan's quota is used up")
		}
		return nil
	})
	w.unfit = func(url string) error {
		if strings.Contains(url, "bakery.agency.example") {
			return errAway
		}
		return nil
	}
	w.apply(coloured("green"))
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, "can't be put back") || v.colour("bakery.agency.example") != "green" {
		t.Fatalf("the site is %q, and it says %q", v.colour("bakery.agency.example"), r.Because)
	}
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(coloured("blue"))
	w.want("bakery", state.StatusFailed)
	if got, serves := v.environment(), v.colour("bakery.agency.example"); got != serves || serves != "green" {
		t.Errorf("the environment is %q, and the site %q", got, serves)
	}
}

// newLateHost is a world with a second host, ploi, that gets its certificate once the name leads there.
func newLateHost(t *testing.T) (*vendors, *world) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		all := v.twoHosts(c)
		late := memory.Change(memory.Hosting(), func(k state.Kind, t *provider.Traits) { t.AfterDNS = k == state.KindDomain })
		all[2] = memory.New(memory.Options{Name: "ploi", World: v.world, Kinds: late, Fault: v.faults.Hook, Sleep: c.Sleep, Address: "203.0.113.8"})
		return all
	})
	return v, w
}

// Two clients at two hosts swap their names, and one of them is asked about first: its host gets a
// certificate once the name leads there. Until then neither name moves, or it would answer by none.
func TestS24SwapWaitsForBothNames(t *testing.T) {
	v, w := newLateHost(t)
	ploi := "deployment: {provider: ploi}"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", ploi), "clients/cakes.yaml": client("cakes")})
	hosts, before := v.swapping()
	ids := w.push(swapped(ploi, ""))
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	for i, host := range hosts {
		if now, _ := v.world.Serves(host); now != before[i] {
			t.Errorf("nobody has approved it, and %s is served by %q", host, now)
		}
	}
	if r := w.row("cakes"); r.Because != "waiting for bakery, whose new name waits itself" {
		t.Errorf("cakes says %q", r.Because)
	}
	for _, h := range w.waits(state.HoldData) {
		ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	for i, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusActive)
		if now, _ := v.world.Serves(hosts[i]); now != before[1-i] {
			t.Errorf("approved: %s is served by %q", hosts[i], now)
		}
	}
}

// A client's domain changes. The name that redirects to it follows, the old domain goes, and a
// newer commit comes in between; what that one wishes fails. The name is not led back to where
// nothing is any more: to a domain that was let go, or whose address record was.
func TestS24RedirectIsNotPutBackToANameThatIsGone(t *testing.T) {
	for _, gone := range []state.Kind{state.KindRecord, state.KindDomain} {
		v, w := newVendors(t)
		const alias = "aliases: [www.bakery.example]"
		moved := strings.Replace(client("bakery", alias), "\ndomain: bakery", "\ndomain: bread", 1)
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery", alias)})
		v.faults.Do(memory.After, memory.Is(memory.Delete, gone), 1, func(context.Context, memory.Call) error {
			w.push(map[string]string{"clients/bakery.yaml": moved + "env: {COLOUR: green}\n"})
			return nil
		})
		v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
		w.apply(map[string]string{"clients/bakery.yaml": moved})
		if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, "the build is broken") {
			t.Errorf("%s: it says %q", gone, r.Because)
		}
		for _, host := range []string{"bread.agency.example", "www.bakery.example"} {
			if _, up := v.world.Serves(host); !up {
				t.Errorf("%s: nothing serves at %s", gone, host)
			}
		}
		for _, o := range v.world.Objects("vercel") {
			if to := attribute(o, "redirect"); o.Kind == state.KindDomain && to != "" && len(v.world.Resolves(to)) == 0 {
				t.Errorf("%s: %s leads to %s, which has no address", gone, o.Name, to)
			}
		}
	}
}

// An older copy of the state is put back, which does not know what was built since, or it is lost. What is
// wished is what is served, also where a release of that name is there already and another one was built
// after it, whether the copy is known as older or not.
func TestOlderCopyWhereTheHostDeploysInPlace(t *testing.T) {
	for name, put := range map[string]func(*vendors, *world, string){
		"by the command": func(_ *vendors, w *world, copied string) { w.restore(copied) },
		"by hand":        func(_ *vendors, w *world, copied string) { w.restoreWhole(copied) },
		"lost":           func(v *vendors, w *world, _ string) { w.rebuild(v) },
	} {
		for _, colours := range [][]string{{"green", "red", "green"}, {"red", "green"}, {"blue", "green", "red", "blue"}} {
			if name == "by hand" && colours[0] == "red" {
				continue // what it says is what is wished: nothing is looked for
			}
			t.Run(name+" "+colours[0], func(t *testing.T) {
				v, w := newInPlace(t)
				w.apply(coloured("red"))
				copied := w.backup()
				w.apply(coloured("green"))
				put(v, w, copied)
				for _, colour := range colours {
					w.apply(coloured(colour))
					for range 2 { // what is there already takes another plan
						w.clock.add(time.Hour)
						w.pass(w.due()...)
					}
					w.want("bakery", state.StatusActive)
					if got := v.colour("bakery.agency.example"); got != colour {
						t.Fatalf("it serves the %s version, and the %s one is wished", got, colour)
					}
				}
			})
		}
	}
}

// The request that changes an environment comes late, nobody hears whether it did, and what is done beside it fails
// for good. The environment is not taken for what it was before: once its host answers it is put back.
func TestEnvironmentIsPutBackThoughItsChangeComesLate(t *testing.T) {
	v, w := newVendors(t)
	w.apply(coloured("red"))
	sent := false
	v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 1, func(context.Context, memory.Call) error {
		sent = true
		return memory.Late(30*time.Second, memory.Lost())
	})
	v.faults.Do(memory.Before, memory.Is(memory.Observe, state.KindEnvironment), 0, func(context.Context, memory.Call) error {
		if sent {
			return memory.Fail(provider.Denied, "the token was revoked")
		}
		return nil
	})
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindRecord), 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	files := coloured("green")
	files["clients/bakery.yaml"] += "dns: {records: [{type: TXT, name: note, content: hello}]}\n"
	if _, err := w.engine.Pass(t.Context(), w.push(files)[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	v.faults.Clear()
	w.clock.add(time.Hour)
	w.pass(w.id("bakery"))
	if r := w.want("bakery", state.StatusFailed); !sent || v.environment() != "red" {
		t.Errorf("the environment is %q, and it says %q", v.environment(), r.Because)
	}
}
