package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Two clients swap their names, and a newer commit removes one of them when both names have moved.
// Its removal fails. The name that it took is not given back to the other one, which is through with
// what it wishes and would have to let it go once more.
func TestS24WhoGoesGivesNoNameBackToWhoIsThrough(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	hosts, _ := v.swapping()
	cakes := w.id("cakes")
	v.removesOnceMoved(w, "cakes", hosts[0])
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindDomain), 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	back := 0
	v.faults.Do(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Update && c.Name == hosts[0] && c.Client == w.id("bakery")
	}, 0, func(context.Context, memory.Call) error {
		back++
		return nil
	})
	ids := w.push(swapped("", ""))
	for range 3 {
		w.pass(ids...)
		w.clock.add(2 * w.engine.Soak)
		ids = w.due()
	}
	if c := w.stored(cakes); c.Status != state.StatusFailed || back > 0 {
		t.Errorf("cakes is %s (%s), and %d times its name was given back", c.Status, c.Because, back)
	}
	w.want("bakery", state.StatusActive)
	v.faults.Clear()
	if _, err := w.engine.Retry(string(cakes), "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(cakes)
	if _, up := v.world.Serves(hosts[0]); up {
		t.Errorf("cakes is gone, and something serves at %s", hosts[0])
	}
	if _, up := v.world.Serves(hosts[1]); !up {
		t.Errorf("nothing serves at %s", hosts[1])
	}
}

// Two clients swap their names, a newer commit removes one of them when both names have moved, and
// the other one fails with what that commit wishes of it. It gets its old name back from the one that
// goes, which has kept it so long.
func TestS24WhoGoesGivesTheNameBackToWhoFails(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	hosts, before := v.swapping()
	v.removesOnceMoved(w, "cakes", hosts[0], "env: {COLOUR: blue}")
	w.unfit = func(string) error {
		if v.colour(hosts[1]) == "blue" { // all else is done, and cakes has let go what it may by then
			return errAway
		}
		return nil
	}
	ids := w.push(swapped("", ""))
	for range 4 {
		w.pass(ids...)
		w.clock.add(2 * w.engine.Soak)
		ids = w.due()
		if now, _ := v.world.Serves(hosts[0]); now != before[0] {
			t.Errorf("%s is served by %q, and was by %q", hosts[0], now, before[0])
		}
		if _, up := v.world.Serves(hosts[1]); !up {
			t.Errorf("nothing serves at %s", hosts[1])
		}
	}
	w.want("bakery", state.StatusFailed)
	w.unfit = nil
	id, err := w.engine.Retry("bakery", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("bakery", state.StatusActive)
	for range 2 {
		w.clock.add(2 * w.engine.Soak)
		w.pass(w.due()...)
	}
	if v.colour(hosts[1]) != "blue" {
		t.Errorf("%s is served by %q", hosts[1], v.colour(hosts[1]))
	}
	if _, up := v.world.Serves(hosts[0]); up {
		t.Errorf("cakes is gone, and something serves at %s", hosts[0])
	}
}

// Three clients pass their names on: the bakery takes that of cakes, cakes that of a third one, which
// is removed. Cakes fails. The bakery gives back what it took, and has kept its own so long, which
// nobody takes over.
func TestS24WhoPassesNamesOnKeepsItsOwnUntilAllAreThrough(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes"), "clients/deli.yaml": client("deli")})
	hosts, before := v.swapping()
	broken := true
	w.unfit = func(url string) error {
		if broken && strings.Contains(url, "deli.agency.example") {
			return errAway
		}
		return nil
	}
	ids := w.push(map[string]string{
		"clients/bakery.yaml": strings.Replace(client("bakery"), "\ndomain: bakery", "\ndomain: cakes", 1),
		"clients/cakes.yaml":  strings.Replace(client("cakes"), "\ndomain: cakes", "\ndomain: deli", 1),
		"clients/deli.yaml":   "",
	})
	for range 3 {
		w.pass(ids...)
		w.clock.add(2 * w.engine.Soak)
		ids = w.due()
	}
	for i, host := range hosts {
		if now, _ := v.world.Serves(host); now != before[i] {
			t.Errorf("%s is served by %q, and was by %q", host, now, before[i])
		}
	}
	w.want("bakery", state.StatusFailed)
	broken = false
	id, err := w.engine.Retry("cakes", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.clock.add(2 * w.engine.Soak)
	w.pass(w.due()...)
	for _, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusActive)
	}
	if now, _ := v.world.Serves(hosts[1]); now != before[0] {
		t.Errorf("%s is served by %q", hosts[1], now)
	}
	if now, _ := v.world.Serves("deli.agency.example"); now != before[1] {
		t.Errorf("deli.agency.example is served by %q", now)
	}
	if _, up := v.world.Serves(hosts[0]); up {
		t.Errorf("nobody wishes %s, and something serves there", hosts[0])
	}
}

// Two clients swap their names, and one of them fails when both have moved. A name can't be given back
// for a while: nobody is told as failed, with its old version running, before it answers by its own.
func TestS24NameIsGivenBackBeforeAnybodyIsToldAsFailed(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	hosts, before := v.swapping()
	w.unfit = func(url string) error {
		if !strings.Contains(url, hosts[0]) {
			return nil
		}
		v.faults.On(memory.Before, func(c memory.Call) bool {
			return c.Verb == memory.Update && c.Kind == state.KindDomain && c.Name == hosts[0]
		}, 0, memory.Fail(provider.Transient, "try again later"))
		return errAway
	}
	ids := w.push(swapped("", ""))
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{"bakery": "taking back waits for cakes, which still has its name", "cakes": "taking back waits: vercel: try again later"} {
		if r := w.want(name, state.StatusDeploying); !strings.Contains(r.Because, says) {
			t.Errorf("%s says %q", name, r.Because)
		}
	}
	v.faults.Clear()
	w.clock.add(time.Hour)
	w.pass(ids[0])
	for i, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusFailed)
		if now, _ := v.world.Serves(hosts[i]); now != before[i] {
			t.Errorf("%s is served by %q, and was by %q", hosts[i], now, before[i])
		}
		if c := w.stored(w.id(name)); len(c.Undo) > 0 {
			t.Errorf("of %s is put back the next time: %v", name, c.Undo)
		}
	}
}

// keeping has bakery and cakes swap their names, of which cakes fails by its new one, host, that its vendor then refuses to give back.
func (v *vendors) keeping(w *world, host string) {
	w.unfit = func(url string) error {
		if !strings.Contains(url, host) {
			return nil
		}
		v.faults.On(memory.Before, func(c memory.Call) bool {
			return c.Verb == memory.Update && c.Kind == state.KindDomain && c.Name == host
		}, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
		return errAway
	}
	w.pass(w.push(swapped("", ""))...)
	w.clock.add(time.Hour)
	w.pass(w.due()...)
}

// Two clients swap their names, and one of them fails when both have moved. Its vendor refuses to give the
// other one's name back: that one answers by none, and is told who has it. Nobody says that its old version
// runs. Once the vendor does it again, a retry brings the swap to its end.
func TestS24WhoCantHaveItsNameBackIsToldWhy(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	hosts, before := v.swapping()
	v.keeping(w, hosts[0])
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, "cakes still has "+hosts[0]+", and can't give it back") || strings.Contains(r.Because, "old version") {
		t.Errorf("bakery says %q", r.Because)
	}
	if r := w.want("cakes", state.StatusFailed); !strings.Contains(r.Because, "can't be put back") {
		t.Errorf("cakes says %q", r.Because)
	}
	v.faults.Clear()
	w.unfit = nil
	for _, name := range []string{"bakery", "cakes"} {
		id, err := w.engine.Retry(name, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(id)
	}
	for i, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusActive)
		if now, _ := v.world.Serves(hosts[i]); now != before[1-i] {
			t.Errorf("%s is served by %q", hosts[i], now)
		}
		if c := w.stored(w.id(name)); len(c.Undo) > 0 {
			t.Errorf("of %s is put back the next time: %v", name, c.Undo)
		}
	}
}

// So it ends, and what is wished next of the one that answers by no name can't be carried out, either: it has its name
// back as soon as the vendor does it, and does not stay without one until somebody mends what is wished.
func TestS24WhoCouldNotHaveItsNameBackHasItWhenItFailsAgain(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	hosts, _ := v.swapping()
	v.keeping(w, hosts[0])
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, "cakes still has "+hosts[0]+", and can't give it back") {
		t.Fatalf("bakery says %q", r.Because)
	}
	v.faults.Clear()
	w.unfit = nil
	w.pass(w.push(swapped("env: {KEY: {secret: shared/key}}", "env: {COLOUR: green}"))...)
	w.want("bakery", state.StatusFailed)
	v.serves(w, hosts[0], "bakery")
	v.serves(w, hosts[1], "cakes")
}

// A client takes a name from one that has another one by now, and fails with it. The name goes back;
// of the one that is done nothing is left that a later failure would put back.
func TestS24NameThatGoesBackIsNotPutBackOnceMore(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	w.unfit = func(url string) error {
		if strings.Contains(url, "bakery.agency.example") {
			return errAway
		}
		return nil
	}
	w.apply(map[string]string{
		"clients/bakery.yaml": strings.Replace(client("bakery"), "\ndomain: bakery", "\ndomain: bread", 1),
		"clients/cakes.yaml":  strings.Replace(client("cakes"), "\ndomain: cakes", "\ndomain: bakery", 1),
	})
	w.want("bakery", state.StatusActive)
	w.want("cakes", state.StatusFailed)
	if c := w.stored(w.id("bakery")); len(c.Undo) > 0 {
		t.Errorf("of bakery, which is done, is put back the next time: %v", c.Undo)
	}
	v.serves(w, "bakery.agency.example", "bakery") // apply passes each of them, so cakes was tried twice
	for _, host := range []string{"bread.agency.example", "cakes.agency.example"} {
		if _, up := v.world.Serves(host); !up {
			t.Errorf("nothing serves at %s", host)
		}
	}
}

// removesOnceMoved pushes the removal of a client, and more of the other one, once that client has a
// name that moves to it.
func (v *vendors) removesOnceMoved(w *world, name, host string, more ...string) {
	v.faults.Do(memory.After, func(c memory.Call) bool {
		return c.Verb == memory.Update && c.Kind == state.KindDomain && c.Name == host && c.Client == w.id(name)
	}, 1, func(context.Context, memory.Call) error {
		files := swapped("", "")
		files["clients/"+name+".yaml"] = ""
		for _, line := range more {
			files["clients/bakery.yaml"] += line + "\n"
		}
		w.push(files)
		return nil
	})
}

// Two clients swap their names. One has its new one, and its vendor can't even be asked about the other
// one for a while: the first is not through so long. When the other one fails, both get back what they had.
func TestS24WhoTookANameIsNotThroughWhileTheOtherOneCantBeLookedAt(t *testing.T) {
	v, w, alias, ids := swapThatWaits(t)
	hosts := [2]string{"bakery.agency.example", "cakes.agency.example"}
	v.faults.Clear()
	cakes := w.id("cakes")
	v.faults.On(memory.Before, memory.Is(memory.Observe), 0, memory.RateLimited(w.clock.Now().Add(24*time.Hour)))
	w.clock.add(10 * time.Minute)
	w.pass(ids...)
	if r := w.want("bakery", state.StatusDeploying); !strings.Contains(r.Because, "cakes, whose name it took, is not through") {
		t.Errorf("bakery says %q", r.Because)
	}
	v.faults.Clear()
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == alias }, 0, memory.Fail(provider.Invalid, "no such thing"))
	w.clock.add(25 * time.Hour)
	w.pass(cakes)
	for i, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusFailed)
		v.serves(w, hosts[i], name)
	}
}

// Clients pass their names on: cakes takes the bakery's, and the bakery that of the deli, which is through.
// Both wait for their vendor, and the name of the first two has moved. They stay together: the bakery
// fails in the end, and has its name back.
func TestS24WhoPassesNamesOnStaysTogetherUntilAllAreThrough(t *testing.T) {
	v, w := newVendors(t)
	const alias = "aliases: [www.cakes.example]"
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes", alias), "clients/deli.yaml": client("deli")})
	takes := func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "deli.agency.example" }
	later := memory.Fail(provider.Transient, "try again later")
	v.faults.On(memory.Before, takes, 0, later)
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "www.cakes.example" }, 0, later)
	w.pass(w.push(map[string]string{"clients/bakery.yaml": named("bakery", "deli"), "clients/cakes.yaml": named("cakes", "bakery", alias), "clients/deli.yaml": named("deli", "bread")})...)
	w.want("deli", state.StatusActive)
	for _, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusDeploying)
	}
	d, _ := v.world.Serves("bakery.agency.example")
	if o, _ := v.world.Object(d); o.Mark.Client != w.id("cakes") {
		t.Fatalf("its name has not moved: the test shows nothing: %q", d)
	}
	v.faults.Clear()
	v.faults.On(memory.Before, takes, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	w.clock.add(time.Hour)
	w.pass(w.id("bakery"))
	for _, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusFailed)
		v.serves(w, name+".agency.example", name)
	}
}

// Clients pass their names on as above, and while the bakery waits for its vendor newer commits let a fourth one ask for the name
// that cakes took: that one is not ready, and cakes has the name still, or asks for it once more. The bakery fails, and has it back.
func TestS24WhoTookANameStaysTogetherThoughAnotherOneAsksForIt(t *testing.T) {
	for _, again := range []bool{false, true} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes"), "clients/deli.yaml": client("deli")})
		takes := func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "deli.agency.example" }
		later := memory.Fail(provider.Transient, "try again later")
		v.faults.On(memory.Before, takes, 0, later)
		v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Create && strings.HasPrefix(c.Name, "eggs") }, 0, later)
		w.apply(map[string]string{"clients/bakery.yaml": led("bakery", "deli"), "clients/cakes.yaml": led("cakes", "bakery"), "clients/deli.yaml": led("deli", "bread")})
		w.apply(map[string]string{"clients/cakes.yaml": client("cakes"), "clients/eggs.yaml": led("eggs", "bakery")})
		if again {
			w.apply(map[string]string{"clients/cakes.yaml": led("cakes", "bakery"), "clients/eggs.yaml": client("eggs")})
		}
		w.want("bakery", state.StatusDeploying)
		v.serves(w, "bakery.agency.example", "cakes")
		v.faults.Clear()
		v.faults.On(memory.Before, takes, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
		w.clock.add(time.Hour)
		w.pass(w.id("bakery"))
		if r := w.want("bakery", state.StatusFailed); strings.HasPrefix(r.Because, state.RunsUnnamed) {
			t.Errorf("again %v: it says %q", again, r.Because)
		}
		v.serves(w, "bakery.agency.example", "bakery")
	}
}

// Two clients swap their names. When one name has moved, a newer commit gives it back to who had it, and
// the other one takes that of a third. All that fails in the end: each has the name that it had first.
func TestS24NameThatCameBackStaysWhenTheRestFails(t *testing.T) {
	v, w := newVendors(t)
	named := func(name, domain string) string {
		return strings.Replace(client(name), "domain: "+name, "domain: "+domain, 1)
	}
	names := []string{"bakery", "cakes", "deli"}
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes"), "clients/deli.yaml": client("deli")})
	hosts, _ := v.swapping()
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == hosts[0] }, 0, memory.Fail(provider.Transient, "try again later"))
	w.pass(w.push(swapped("", ""))...)
	d, _ := v.world.Serves(hosts[1])
	if o, _ := v.world.Object(d); o.Mark.Client != w.id("bakery") {
		t.Fatalf("its name has not moved: the test shows nothing: %q", d)
	}
	v.faults.Clear()
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Update && c.Kind == state.KindRecord && strings.HasSuffix(c.Name, hosts[0])
	}, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	ids := w.push(map[string]string{"clients/bakery.yaml": named("bakery", "deli"), "clients/cakes.yaml": client("cakes"), "clients/deli.yaml": named("deli", "bakery")})
	for range 3 {
		w.pass(ids...)
		w.clock.add(time.Hour)
		ids = w.due()
	}
	w.want("bakery", state.StatusFailed)
	w.want("deli", state.StatusFailed)
	for _, name := range names {
		v.serves(w, name+".agency.example", name)
	}
}

// Two clients swap their names, and a newer commit comes in the middle of that which can't be carried out:
// it asks for a secret that is not there. Both get back what they had, as nobody knows when it will be.
func TestS24NewerWishThatCantBeInTheMiddleOfASwap(t *testing.T) {
	v, w, alias, _ := swapThatWaits(t)
	hosts := [2]string{"bakery.agency.example", "cakes.agency.example"}
	v.faults.Clear()
	w.pass(w.push(swapped("", "aliases: ["+alias+"]\nenv: {KEY: {secret: shared/key}}"))...)
	for i, name := range []string{"bakery", "cakes"} {
		if r := w.want(name, state.StatusFailed); !strings.Contains(r.Because, "shared/key") {
			t.Errorf("%s says %q", name, r.Because)
		}
		v.serves(w, hosts[i], name)
	}
}

// Two clients swap their names, and one of them is paused in the middle: the other one is through. Then
// both fail with what a template brings. Each keeps the name that it took: the one that is through has
// no other any more.
func TestS24WhatWasTakenFromWhoIsThroughIsKept(t *testing.T) {
	v, w, alias, ids := swapThatWaits(t)
	hosts := [2]string{"bakery.agency.example", "cakes.agency.example"}
	if _, err := w.engine.SetPaused("cakes", true, "dana"); err != nil {
		t.Fatal(err)
	}
	w.clock.add(10 * time.Minute)
	w.pass(ids...)
	w.want("bakery", state.StatusActive)
	w.want("cakes", state.StatusPaused)
	if _, err := w.engine.SetPaused("cakes", false, "dana"); err != nil {
		t.Fatal(err)
	}
	v.faults.Clear()
	w.unfit = func(string) error { return errAway }
	files := swapped("env: {COLOUR: blue}", "aliases: ["+alias+"]")
	w.pass(w.push(files)...)
	for i, name := range []string{"cakes", "bakery"} { // the other way round
		w.want(name, state.StatusFailed)
		v.serves(w, hosts[i], name)
	}
}

// Two clients are to swap their names, and cakes is paused when the bakery has taken its name and cakes can't have its
// new one. The bakery is not through: when cakes goes on and what is wished of it then can't be, it has its own name
// back, whatever is wished of the bakery by then.
func TestS24WhoIsPausedWithoutANameHasItBackWhenItFails(t *testing.T) {
	for _, c := range []struct{ name, bakery string }{
		{"the bakery is to have its own name again", client("bakery")},
		{"the bakery is to have a third name", led("bakery", "deli")},
		{"the bakery goes", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
			hosts, before := v.swapping()
			v.faults.On(memory.Before, func(c memory.Call) bool {
				return c.Verb == memory.Update && c.Kind == state.KindDomain && c.Name == hosts[0]
			}, 0, memory.Fail(provider.Denied, "the token was revoked"))
			files := swapped("", "")
			if _, err := w.engine.Pass(t.Context(), w.push(files)[0], reconcile.CauseCommit); err != nil {
				t.Fatal(err)
			}
			v.serves(w, hosts[1], "bakery")
			files["clients/cakes.yaml"] += "\npaused: true\n"
			w.apply(files)
			w.want("cakes", state.StatusPaused)
			if r := w.row("bakery"); r.Status != string(state.StatusDeploying) || !strings.Contains(r.Because, "cakes, whose name it took, is not through") {
				t.Errorf("bakery is %s: %q", r.Status, r.Because)
			}
			v.faults.Clear()
			w.apply(map[string]string{"clients/bakery.yaml": c.bakery, "clients/cakes.yaml": client("cakes", "env: {KEY: {secret: shared/key}}")})
			if r := w.want("cakes", state.StatusFailed); !strings.Contains(r.Because, "shared/key") || strings.Contains(r.Because, state.RunsUnnamed) {
				t.Errorf("cakes says %q", r.Because)
			}
			if now, _ := v.world.Serves(hosts[1]); now != before[1] {
				t.Errorf("%s is served by %q, and was by %q", hosts[1], now, before[1])
			}
			if c.bakery == client("bakery") {
				v.serves(w, hosts[0], "bakery")
				w.want("bakery", state.StatusActive)
			}
		})
	}
}

// Three pass their names on in a row. Two are through, and the first one waits for its vendor, when all
// fail with what a template brings: who is through gets nothing back, as nobody would make it let go of
// that once more. The first one keeps what it took, and has its own name still.
func TestS24WhoIsThroughGetsNothingBack(t *testing.T) {
	v, w := newVendors(t)
	row := func(more string, domains ...string) map[string]string {
		files := map[string]string{}
		for i, name := range []string{"bakery", "cakes", "pies"} {
			lines := []string{more}
			if name == "bakery" {
				lines = append(lines, "aliases: [www.bakery.example]")
			}
			files["clients/"+name+".yaml"] = strings.Replace(client(name, lines...), "\ndomain: "+name, "\ndomain: "+domains[i], 1)
		}
		return files
	}
	w.apply(row("", "bakery", "cakes", "pies"))
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "www.bakery.example" }, 0, memory.Fail(provider.Transient, "try again later"))
	ids := w.push(row("", "cakes", "pies", "tarts"))
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	w.want("bakery", state.StatusDeploying)
	w.want("cakes", state.StatusActive)
	v.faults.Clear()
	w.unfit = func(string) error { return errAway }
	w.pass(w.push(row("env: {COLOUR: blue}", "cakes", "pies", "tarts"))...)
	for host, name := range map[string]string{"bakery": "bakery", "cakes": "bakery", "pies": "cakes", "tarts": "pies"} {
		w.want(name, state.StatusFailed)
		v.serves(w, host+".agency.example", name)
	}
}

// swapThatWaits are two clients that swap their names: the bakery has its new one, and cakes waits for its
// vendor, which does not change its alias.
func swapThatWaits(t *testing.T) (v *vendors, w *world, alias string, ids []state.ClientID) {
	v, w = newVendors(t)
	alias = "www.cakes.example"
	aliases := "aliases: [" + alias + "]"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes", aliases)})
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == alias }, 0, memory.Fail(provider.Transient, "try again later"))
	ids = w.push(swapped("", aliases))
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	w.want("bakery", state.StatusDeploying)
	w.want("cakes", state.StatusDeploying)
	return v, w, alias, ids
}

// serves says that people who come by a name reach a client's site.
func (v *vendors) serves(w *world, host, name string) {
	w.t.Helper()
	d, _ := v.world.Serves(host)
	if o, _ := v.world.Object(d); o.Mark.Client != w.id(name) {
		w.t.Errorf("%s is served by %q of %q, not by %s", host, d, o.Mark.Client, name)
	}
}

// A client could not have its first name. It takes that of another one, which asks for that first name
// instead and can't have it either: that one gets its own back, and the first answers by none, as before.
func TestS24WhoNeverHadANameGivesBackTheOneThatItTook(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "deployment: {provider: none}", "dns: {provider: none}"), "clients/cakes.yaml": client("cakes")})
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Create && c.Kind == state.KindDomain && strings.Contains(c.Name, "bakery.agency.example")
	}, 0, memory.Fail(provider.Invalid, "another account has this name"))
	w.pass(w.push(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})...)
	w.want("bakery", state.StatusFailed)
	ids := w.push(swapped("", ""))
	for range 3 {
		w.pass(ids...)
		w.clock.add(time.Hour)
		ids = w.due()
	}
	w.want("bakery", state.StatusFailed)
	w.want("cakes", state.StatusFailed)
	v.serves(w, "cakes.agency.example", "cakes")
}

// A client takes an alias of another one, and its own name goes: this program dies as it does. Then both wish
// something else, and fail. The one keeps the name that it took, as it would answer by none: the other is
// through without it.
func TestS24WhoseOwnNameGoesKeepsTheOneThatItTook(t *testing.T) {
	const www = "www.bakery.example"
	v, w := newVendors(t)
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "\ndomain: "+name, "\ndomain: "+domain, 1)
	}
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "aliases: ["+www+"]"), "clients/cakes.yaml": client("cakes")})
	ids := w.push(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": named("cakes", www)})
	ctx, die := context.WithCancel(t.Context())
	v.faults.Do(memory.Before, memory.Is(memory.Delete, state.KindDomain), 1, func(context.Context, memory.Call) error {
		die()
		return memory.Lost()
	})
	_, _ = w.engine.Pass(ctx, ids[0], reconcile.CauseCommit)
	if len(v.world.Resolves("cakes.agency.example")) > 0 {
		t.Fatal("its own name has not begun to go: the test shows nothing")
	}
	w.restart()
	w.unfit = func(string) error { return errAway }
	ids = w.push(map[string]string{"clients/bakery.yaml": named("bakery", www, "env: {COLOUR: green}"), "clients/cakes.yaml": named("cakes", "bakery")})
	for range 3 {
		w.pass(ids...)
		w.clock.add(time.Hour)
		ids = w.due()
	}
	w.want("bakery", state.StatusFailed)
	v.serves(w, www, "cakes")
	v.serves(w, "bakery.agency.example", "bakery")
}

// A client that is paused is to take the name of another one once it goes on. That one fails: the paused one
// is left as it is, with what it says.
func TestS24WhoIsPausedDoesNotFailWithAnother(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	w.unfit = func(string) error { return errAway }
	files := swapped("env: {COLOUR: green}", "paused: true")
	files["clients/bakery.yaml"] = strings.Replace(files["clients/bakery.yaml"], "\ndomain: cakes", "\ndomain: deli", 1)
	w.apply(files)
	w.want("bakery", state.StatusFailed)
	w.want("cakes", state.StatusPaused)
	for _, name := range []string{"bakery", "cakes"} {
		v.serves(w, name+".agency.example", name)
	}
}

// Two clients swap their names, and one of them is to have its new one by a record that a person sets. Nobody
// has set it when that one fails: both get back what they had, and the other one's name led to it all along.
func TestS24RecordThatNobodyHasSetLeadsNowhere(t *testing.T) {
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	ploi := "deployment: {provider: ploi}"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes", ploi)})
	files := swapped("", ploi+"\ndns: {provider: external}")
	ids := w.push(files)
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	if len(s.asked()) == 0 {
		t.Fatalf("nobody is asked for a record: %s", w.row("cakes").Because)
	}
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	ids = w.push(map[string]string{"clients/cakes.yaml": strings.TrimSpace(files["clients/cakes.yaml"]) + "\nenv: {COLOUR: green}\n"})
	for range 3 {
		w.pass(ids...)
		w.clock.add(time.Hour)
		ids = w.due()
	}
	w.want("bakery", state.StatusFailed)
	w.want("cakes", state.StatusFailed)
	for _, name := range []string{"bakery", "cakes"} {
		v.serves(w, name+".agency.example", name)
	}
}

// swapWithARecordThatWasThere is two clients of which one's name is led by a record that was there before us, and
// its id. They are about to swap their names, and the other one is at another host.
func swapWithARecordThatWasThere(t *testing.T) (v *vendors, w *world, files map[string]string, record provider.Object, id string) {
	t.Helper()
	v, w = newVendorsWith(t)
	record = provider.Object{Kind: state.KindRecord, Name: "A cakes.agency.example", Attributes: []provider.Input{
		{Name: "type", Text: "A"}, {Name: "name", Text: "cakes.agency.example"}, {Name: "content", Text: "203.0.113.7"}, {Name: "ttl", Text: "300"}}}
	id = v.world.Seed("cloudflare", record)
	const ploi = "deployment: {provider: ploi}"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", ploi), "clients/cakes.yaml": client("cakes")})
	w.want("cakes", state.StatusActive)
	return v, w, swapped(ploi, ""), record, id
}

// Two clients swap their names. Where one of them is to have its new one there is a record that was there before us
// and leads to the other one's host: a person decides whose it is. Both keep what they have until then.
func TestS24NameStaysWhileTheNewOneIsSomebodyElses(t *testing.T) {
	v, w, files, _, id := swapWithARecordThatWasThere(t)
	w.apply(files)
	const why = "record A cakes.agency.example exists at cloudflare without our mark"
	if r := w.want("bakery", state.StatusHeld); !strings.Contains(r.Because, why) {
		t.Errorf("bakery says %q", r.Because)
	}
	if r := w.row("cakes"); !strings.HasPrefix(r.Because, "waiting: bakery keeps its name until it can have its new one: "+why) {
		t.Errorf("cakes is %s: %s", r.Status, r.Because)
	}
	for _, name := range []string{"bakery", "cakes"} {
		v.serves(w, name+".agency.example", name)
	}
	v.world.Remove(id)
	if _, err := w.engine.Retry("bakery", "dana"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.pass(w.due()...)
		w.clock.add(time.Hour)
	}
	for name, host := range map[string]string{"bakery": "cakes.agency.example", "cakes": "bakery.agency.example"} {
		w.want(name, state.StatusActive)
		v.serves(w, host, name)
	}
}

// takesANameFromWhoHasNone is that swap, of which one has the other's name, and that one can't have its new one for
// now. The first one's own name is wished back in vain meanwhile, so that it has all that it wishes.
func takesANameFromWhoHasNone(t *testing.T) (v *vendors, w *world, bakery string, record provider.Object, before string) {
	t.Helper()
	v, w, files, record, id := swapWithARecordThatWasThere(t)
	hosts, serve := v.swapping()
	v.world.Remove(id)
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindRecord), 0, memory.Fail(provider.Denied, "the token was revoked"))
	if _, err := w.engine.Pass(t.Context(), w.push(files)[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	v.serves(w, hosts[0], "cakes")
	v.faults.Clear()
	return v, w, files["clients/bakery.yaml"], record, serve[0]
}

// isNotThrough says so of who took a name, and that it goes back as the other one fails.
func (v *vendors) isNotThrough(w *world, bakery, before string) {
	w.t.Helper()
	for range 3 {
		w.pass(w.id("cakes"))
		w.clock.add(time.Hour)
	}
	w.want("bakery", state.StatusHeld)
	if r := w.row("cakes"); !strings.Contains(r.Because, "bakery, whose name it took, is not through") {
		w.t.Errorf("cakes is %s: %s", r.Status, r.Because)
	}
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.clock.add(10 * time.Hour)
	w.pass(w.push(map[string]string{"clients/bakery.yaml": bakery + "env: {COLOUR: green}\n"})...)
	w.want("bakery", state.StatusFailed)
	if now, _ := v.world.Serves("bakery.agency.example"); now != before {
		w.t.Errorf("its name is served by %q, and was by %q", now, before)
	}
}

// Two clients swap their names, and somebody else's record comes where one of them is to have its new one: it waits for
// a person. The one that took its name is not through meanwhile: it fails in the end, and has its name back.
func TestS24WhoTookANameIsNotThroughWhileTheOtherOneWaitsForAPerson(t *testing.T) {
	v, w, bakery, record, before := takesANameFromWhoHasNone(t)
	v.world.Seed("cloudflare", record)
	w.apply(map[string]string{"clients/cakes.yaml": client("cakes")})
	v.isNotThrough(w, bakery, before)
}

// Two clients swap their names, and a freeze begins before one of them could have its new one: likewise.
func TestS24WhoTookANameIsNotThroughWhileTheOtherOneIsFrozen(t *testing.T) {
	v, w, bakery, _, before := takesANameFromWhoHasNone(t)
	now := w.clock.Now().UTC()
	w.apply(map[string]string{"clients/cakes.yaml": client("cakes"), "clients/bakery.yaml": bakery + "notes: frozen\n",
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: " + now.Format("2006-01-02T15:04") + ", to: " + now.Add(9*time.Hour).Format("2006-01-02T15:04") + ", zone: UTC, reason: holidays}]\n"})
	v.isNotThrough(w, bakery, before)
}

// Three clients are to pass their names on, and what that needs of DNS can't be had for now. The next commit has
// two of them swap theirs, and the third one keep its own: it lets go where the first one's name was to come.
// Then the two fail. The first one's name leads to it again, and so does its alias.
func TestS24AliasRedirectsAgainToTheNameThatAThirdOneLetGo(t *testing.T) {
	const alias = "www.bakery.example"
	v, w := newVendorsWith(t)
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "\ndomain: "+name, "\ndomain: "+domain, 1)
	}
	files := func(bakery, cakes, deli string) map[string]string {
		return map[string]string{"clients/bakery.yaml": named("bakery", bakery, "aliases: ["+alias+"]"), "clients/cakes.yaml": named("cakes", cakes),
			"clients/deli.yaml": named("deli", deli, "deployment: {provider: ploi}")}
	}
	w.apply(files("bakery", "cakes", "deli"))
	v.serves(w, alias, "bakery")
	v.faults.On(memory.Before, memory.Is(memory.Update, state.KindRecord), 0, memory.Fail(provider.Transient, "try again later"))
	ids := w.push(files("deli", "cakes", "bakery"))
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(v.writes(), "\n"), "ploi create domain bakery.agency.example") {
		t.Fatalf("the deli was not to have the bakery's name: %s", v.writes())
	}
	v.faults.Clear()
	w.unfit = func(string) error {
		if v.redirects(alias) == "cakes.agency.example" {
			return errAway
		}
		return nil
	}
	w.apply(files("cakes", "bakery", "deli"))
	w.want("bakery", state.StatusFailed)
	w.want("cakes", state.StatusFailed)
	w.want("deli", state.StatusActive)
	for host, name := range map[string]string{"bakery.agency.example": "bakery", alias: "bakery", "cakes.agency.example": "cakes"} {
		v.serves(w, host, name)
	}
}

// redirects is the name to which another one redirects.
func (v *vendors) redirects(host string) string {
	for _, o := range v.world.Objects("vercel") {
		if o.Kind == state.KindDomain && attribute(o, "host") == host {
			return attribute(o, "redirect")
		}
	}
	return ""
}

// A new client is to have another one's name as an alias, and that one's new name can't be planned: it lacks a
// secret. Its old name leads to its site all the time, though it would only redirect from now on.
func TestS24NameThatIsToRedirectStaysWhileTheNewOneCantBePlanned(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	const host = "bakery.agency.example"
	w.apply(map[string]string{"clients/bakery.yaml": strings.Replace(client("bakery", "env: {KEY: {secret: shared/key}}"), "\ndomain: bakery", "\ndomain: x.example", 1),
		"clients/cakes.yaml": client("cakes", "aliases: ["+host+"]")})
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, "shared/key") {
		t.Errorf("bakery says %q", r.Because)
	}
	v.serves(w, host, "bakery")
	if r := w.row("cakes"); r.Because != "waiting for bakery, whose new name waits itself" {
		t.Errorf("cakes is %s: %s", r.Status, r.Because)
	}
}

// Three clients pass their names on. The first one has lost its own, and can't have its new one for now, when the next
// commit removes the third one, and what it wishes of the first one can't be. The first one gets its name back from
// the second, which gets back what the third one took from it, also where an alias of the second one goes meanwhile.
func TestS24WhoGoesGivesTheNameBackToWhoGivesOneBack(t *testing.T) {
	for _, alias := range []string{"", "aliases: [www.cakes.example]"} {
		t.Run(alias, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes"), "clients/deli.yaml": client("deli")})
			v.faults.On(memory.Before, func(c memory.Call) bool {
				return c.Verb == memory.Update && c.Name == "A deli.agency.example"
			}, 0, memory.Fail(provider.Denied, "the token was revoked"))
			passed := map[string]string{"clients/bakery.yaml": led("bakery", "deli"), "clients/cakes.yaml": led("cakes", "bakery", alias), "clients/deli.yaml": led("deli", "cakes")}
			if _, err := w.engine.Pass(t.Context(), w.push(passed)[0], reconcile.CauseCommit); err != nil {
				t.Fatal(err)
			}
			v.serves(w, "bakery.agency.example", "cakes")
			v.serves(w, "cakes.agency.example", "deli")
			v.faults.Clear()
			w.pass(w.push(map[string]string{"clients/bakery.yaml": led("bakery", "deli", "env: {KEY: {secret: shared/key}}"), "clients/cakes.yaml": led("cakes", "bakery"), "clients/deli.yaml": ""})...)
			for _, name := range []string{"bakery", "cakes"} {
				w.want(name, state.StatusFailed)
				v.serves(w, name+".agency.example", name)
			}
		})
	}
}

// Two clients are to swap their names, and one of them waits for its new one when the next commit removes the other one, and
// what it wishes of the first one can't be. That one's vendor refuses to give the name back: it is told who has it. It has it
// back as soon as the vendor does it, also where its new name is at its site, and leads to the other one, and where it wishes
// a third name by then.
func TestS24WhoCantHaveItsNameBackFromWhoGoesHasItLater(t *testing.T) {
	for _, c := range [][2]string{{"cakes.agency.example", "bakery"}, {"A cakes.agency.example", "bakery"}, {"cakes.agency.example", "bread"}, {"A cakes.agency.example", "bread"}} {
		waits, wishes := c[0], c[1]
		t.Run(waits+", then "+wishes, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
			v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == waits }, 0, memory.Fail(provider.Denied, "the token was revoked"))
			if _, err := w.engine.Pass(t.Context(), w.push(swapped("", ""))[0], reconcile.CauseCommit); err != nil {
				t.Fatal(err)
			}
			v.serves(w, "bakery.agency.example", "cakes")
			v.faults.Clear()
			v.faults.On(memory.Before, func(c memory.Call) bool {
				return c.Verb == memory.Update && c.Kind == state.KindDomain && c.Name == "bakery.agency.example"
			}, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
			w.pass(w.push(map[string]string{"clients/bakery.yaml": led("bakery", wishes, "env: {KEY: {secret: shared/key}}"), "clients/cakes.yaml": ""})...)
			for range 2 { // and when it is tried again
				r := w.want("bakery", state.StatusFailed)
				if !strings.Contains(r.Because, "cakes still has bakery.agency.example, and can't give it back; vercel: the plan's quota is used up") || strings.Contains(r.Because, "old version") {
					t.Errorf("bakery says %q", r.Because)
				}
				w.clock.add(time.Hour)
				w.pass(w.due()...)
			}
			v.faults.Clear()
			w.clock.add(time.Hour)
			w.pass(w.due()...)
			if r := w.want("bakery", state.StatusFailed); !strings.HasPrefix(r.Because, "Your site still runs the old version. KEY needs the secret") {
				t.Errorf("bakery says %q", r.Because)
			}
			v.serves(w, "bakery.agency.example", "bakery")
		})
	}
}

// Three clients pass their names on in a circle, and wait, as the first one can't have its new name. By the next commit the
// third one is to have its own again, and what is wished of the first one can't be. The third one keeps the name that it
// took until it is known that the first one fails: then all have their own again, also where the second one is to have no
// site any more, which goes then.
func TestS24WhoTookANameKeepsItWhileAnotherCantBePlanned(t *testing.T) {
	for _, c := range []struct {
		name, bakery, cakes string
		goes                bool
	}{
		{"the second one keeps the name that it took", led("bakery", "bread", "env: {KEY: {secret: shared/key}}"), led("cakes", "bakery"), false},
		{"the second one is to have no site", client("bakery", "env: {KEY: {secret: shared/key}}"), client("cakes", "deployment: {provider: none}"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes"), "clients/deli.yaml": client("deli")})
			v.faults.On(memory.Before, func(c memory.Call) bool {
				return c.Verb == memory.Update && c.Name == "deli.agency.example"
			}, 0, memory.Fail(provider.Denied, "the token was revoked"))
			passed := map[string]string{"clients/bakery.yaml": led("bakery", "deli"), "clients/cakes.yaml": led("cakes", "bakery"), "clients/deli.yaml": led("deli", "cakes")}
			if _, err := w.engine.Pass(t.Context(), w.push(passed)[0], reconcile.CauseCommit); err != nil {
				t.Fatal(err)
			}
			v.serves(w, "bakery.agency.example", "cakes")
			v.serves(w, "cakes.agency.example", "deli")
			v.faults.Clear()
			w.pass(w.push(map[string]string{"clients/bakery.yaml": c.bakery, "clients/cakes.yaml": c.cakes, "clients/deli.yaml": client("deli")})...)
			if r := w.want("bakery", state.StatusFailed); strings.Contains(r.Because, state.NotPutBack) {
				t.Errorf("bakery says %q", r.Because)
			}
			for _, name := range []string{"bakery", "cakes", "deli"} {
				if name != "cakes" || !c.goes {
					v.serves(w, name+".agency.example", name)
				}
			}
			w.want("deli", state.StatusActive)
			if c.goes {
				w.want("cakes", state.StatusActive)
				if slices.ContainsFunc(v.world.Objects("vercel"), func(o provider.Object) bool { return o.Kind == state.KindSite && o.Mark.Client == w.id("cakes") }) {
					t.Error("cakes wishes no site, and has one")
				}
			}
		})
	}
}

// Two clients that swap their names fail, and where the alias of one of them redirected before can't be put back, nor what
// comes after it: that one keeps the name that it took. It is given back when the next change fails, and the alias
// redirects to its own client's name again.
func TestS24AliasRedirectsAgainOnceTheNameCanBeGivenBack(t *testing.T) {
	const alias = "www.bakery.example"
	v, w := newVendors(t)
	aliases := "aliases: [" + alias + "]"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", aliases), "clients/cakes.yaml": client("cakes")})
	updates := 0
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == alias }, 0, func(context.Context, memory.Call) error {
		if updates++; updates == 2 {
			return memory.Fail(provider.Invalid, "the plan's quota is used up")
		}
		return nil
	})
	w.unfit = func(string) error {
		if v.redirects(alias) == "cakes.agency.example" {
			return errAway
		}
		return nil
	}
	files := swapped(aliases, "")
	if _, err := w.engine.Pass(t.Context(), w.push(files)[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, state.NotPutBack) {
		t.Fatalf("bakery says %q", r.Because)
	}
	w.unfit = nil
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/bakery.yaml": files["clients/bakery.yaml"] + "env: {COLOUR: green}\n"})
	w.want("bakery", state.StatusFailed)
	for host, name := range map[string]string{"bakery.agency.example": "bakery", alias: "bakery", "cakes.agency.example": "cakes"} {
		v.serves(w, host, name)
	}
}

// Two clients are to swap their names across hosts, and wait, while a person deletes the record of one of them: the
// other one makes one of its own, and is through. By the next commit the first one has a third one's name instead,
// and that one fails. The first one has none to go back to, so it doesn't fail with it, and the third one is told
// at once that its name is gone.
func TestS24WhoseNameLeadsElsewhereDoesNotFailWithAnother(t *testing.T) {
	v, w := newVendorsWith(t)
	const ploi = "deployment: {provider: ploi}"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", ploi), "clients/cakes.yaml": client("cakes"), "clients/deli.yaml": client("deli", ploi)})
	v.faults.On(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 0, memory.Fail(provider.Transient, "try again later"))
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindSite), 0, memory.Fail(provider.Transient, "try again later"))
	w.pass(w.push(map[string]string{"clients/cakes.yaml": led("cakes", "deli", ploi), "clients/deli.yaml": led("deli", "cakes", ploi, "env: {COLOUR: green}")})...)
	v.faults.Clear()
	for _, o := range v.world.Objects("cloudflare") {
		if o.Name == "A cakes.agency.example" {
			v.world.Remove(o.ID)
		}
	}
	w.unfit = func(url string) error {
		if strings.Contains(url, "deli.agency.example") {
			return errAway
		}
		return nil
	}
	ids := w.push(map[string]string{"clients/bakery.yaml": led("bakery", "deli", ploi), "clients/cakes.yaml": led("cakes", "bakery", ploi)})
	done, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, "cakes still has A bakery.agency.example, and can't give it back") {
		t.Errorf("bakery says %q", r.Because)
	}
	w.pass(done.Also...)
	w.want("bakery", state.StatusFailed)
	for name, host := range map[string]string{"bakery": "deli.agency.example", "cakes": "bakery.agency.example", "deli": "cakes.agency.example"} {
		v.serves(w, host, name)
	}
	for _, name := range []string{"cakes", "deli"} {
		w.want(name, state.StatusActive)
	}
}

// A name is bound at its new owner's site, at another host, and its record waits, when somebody changes what is bound there. The
// record does not move while that can't be seen: the name serves where it is.
func TestS24NameStaysWhileWhereItGoesCantBeSeen(t *testing.T) {
	v, w := newVendorsWith(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes", "deployment: {provider: ploi}")})
	const host = "cakes.agency.example"
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Update && c.Kind == state.KindRecord && strings.Contains(c.Name, host)
	}, 0,
		memory.Fail(provider.Transient, "503 service unavailable"))
	w.apply(map[string]string{"clients/bakery.yaml": led("bakery", "cakes"), "clients/cakes.yaml": led("cakes", "deli", "deployment: {provider: ploi}")})
	v.serves(w, host, "cakes")
	there := ""
	for _, o := range v.world.Objects("") {
		if o.Kind == state.KindDomain && o.Mark.Client == w.id("bakery") && o.Name == host {
			there = o.ID
		}
	}
	if there == "" {
		t.Fatal("the name is not bound at its new owner's site")
	}
	v.world.Set(there, "redirect", "elsewhere.example")
	v.faults.Clear()
	v.faults.On(memory.Before, memory.Is(memory.Observe, state.KindDomain), 0, memory.Fail(provider.Denied, "the token was revoked"))
	w.clock.add(time.Hour)
	w.pass(w.due()...)
	v.serves(w, host, "cakes")
	if r := w.row("bakery"); !strings.Contains(r.Because, "waiting for vercel: ") {
		t.Errorf("bakery is %s: %q", r.Status, r.Because)
	}
	v.faults.Clear()
	w.clock.add(time.Hour)
	w.pass(w.due()...)
	w.want("bakery", state.StatusActive)
	v.serves(w, host, "bakery")
}
