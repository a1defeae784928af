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

// newSwitch is a client that was just led from ploi to vercel, where what was replaced serves
// on for 15 minutes: its records' time to live, and ten more.
func newSwitch(t *testing.T) (*vendors, *world) {
	t.Helper()
	v, w := newVendorsWith(t)
	w.change = func(e *reconcile.Engine) { e.Soak = 10 * time.Minute }
	w.restart()
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "deployment: {provider: ploi}")})
	w.want("bakery", state.StatusActive)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	return v, w
}

// owners are the hosts that the client's site is at.
func (v *vendors) owners() (out []string) {
	for _, name := range []string{"ploi", "vercel"} {
		if len(v.world.Objects(name)) > 0 {
			out = append(out, name)
		}
	}
	return out
}

// next is when a client passes again by itself, as a start of the program sees it.
func (w *world) next() time.Time {
	w.t.Helper()
	for _, d := range w.restart() {
		return d.At
	}
	return time.Time{}
}

// S25, P4, P8: the side that was replaced serves on, the client is active and at rest, and
// passes by itself when the time is over, also after a restart. Then the old side goes.
func TestS25OldSideGoesAfterTheSoak(t *testing.T) {
	v, w := newSwitch(t)
	r := w.want("bakery", state.StatusActive)
	if at := w.next(); !strings.Contains(r.Because, "what it replaced at ploi serves on") || at.Before(w.clock.Now().Add(14*time.Minute)) || at.After(w.clock.Now().Add(15*time.Minute)) {
		t.Errorf("it says %q, and passes again at %s; it is %s", r.Because, at, w.clock.Now())
	}
	id := state.ClientID(w.row("bakery").ID)
	w.clock.add(7 * time.Minute)
	v.world.ForgetCalls()
	if w.pass(id); len(v.world.Calls()) > 0 || !slices.Equal(v.owners(), []string{"ploi", "vercel"}) {
		t.Errorf("before its time it costs %v, and the site is at %v", v.world.Calls(), v.owners())
	}
	w.clock.add(8 * time.Minute)
	w.pass(id)
	if r := w.want("bakery", state.StatusActive); r.Because != "" || !slices.Equal(v.owners(), []string{"vercel"}) || !w.next().IsZero() {
		t.Errorf("it says %q, and the site is at %v", r.Because, v.owners())
	}
}

// S25: the new side is asked once more before the old one goes. Where it does not answer well
// the old one stays, and a revert leads people back to it without a build.
func TestS25OldSideStaysWhileTheNewOneIsUnwell(t *testing.T) {
	v, w := newSwitch(t)
	w.clock.add(16 * time.Minute)
	w.unfit = func(string) error { return errAway }
	w.pass(state.ClientID(w.row("bakery").ID))
	if r := w.want("bakery", state.StatusFailed); !strings.HasPrefix(r.Because, "Your site does not answer well, and what it replaced stays until it does") || !slices.Equal(v.owners(), []string{"ploi", "vercel"}) {
		t.Errorf("it says %q, and the site is at %v", r.Because, v.owners())
	}
	w.unfit = nil
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "deployment: {provider: ploi}")})
	w.want("bakery", state.StatusActive)
	if d, up := v.world.Serves("bakery.agency.example"); !up || !strings.Contains(d, "ploi") {
		t.Errorf("%s serves", d)
	}
	for _, c := range v.world.Calls() {
		if c.Verb == memory.Create {
			t.Errorf("it was built again: %s", c)
		}
	}
}

// A release that fails where it is built in place may take away the one before. That is
// deployed again then, with the environment that it had; one that is still there is left.
func TestFailedBuildWhereTheHostDeploysInPlace(t *testing.T) {
	for name, takesAway := range map[string]bool{"it takes the earlier one away": true, "it leaves the earlier one": false} {
		t.Run(name, func(t *testing.T) {
			v, w := newInPlace(t)
			w.apply(coloured("red"))
			first, _ := v.world.Serves("bakery.agency.example")
			broken := true
			v.builds = func(provider.Wish) memory.Build {
				if broken {
					return memory.Build{Fails: "the build is broken"}
				}
				return memory.Build{}
			}
			v.faults.Do(memory.After, memory.Is(memory.Create, state.KindDeployment), 1, func(context.Context, memory.Call) error {
				broken = false
				if takesAway {
					v.world.Remove(first)
				}
				return nil
			})
			w.apply(coloured("green"))
			r := w.want("bakery", state.StatusFailed)
			now, up := v.world.Serves("bakery.agency.example")
			if !up || v.colour("bakery.agency.example") != "red" || (now != first) != takesAway || !strings.HasPrefix(r.Because, "Your site still runs the old version.") {
				t.Errorf("%q serves the %s version, before it was %q; it says %q", now, v.colour("bakery.agency.example"), first, r.Because)
			}
			v.faults.Clear()
			w.apply(coloured("red"))
			if w.want("bakery", state.StatusActive); v.colour("bakery.agency.example") != "red" {
				t.Errorf("after the revert it serves the %s version", v.colour("bakery.agency.example"))
			}
		})
	}
}

// A client goes that still has the side which it left at another host, as a name there waited. That
// name redirects to one that leads to the new side: once the record of that is gone, people who come
// by the first come nowhere. So the runs' laws see it, though the world leads them to the old side,
// which has the name bound for a moment more (see story.leads).
func TestSimARedirectToANameWhoseRecordIsGoneLeadsNowhere(t *testing.T) {
	const host, alias = "a.agency.example", "shop.example"
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}", "aliases: ["+alias+"]"), "clients/b.yaml": client("b")})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusActive)
	fresh, ok := v.world.Serves(alias)
	if !ok || !slices.ContainsFunc(v.world.Objects("vercel"), func(o provider.Object) bool { return o.ID == fresh }) {
		t.Fatalf("%s is served by %q", alias, fresh)
	}
	s.led = map[string]bool{host: true, alias: true}
	w.apply(map[string]string{"clients/a.yaml": ""})
	if !s.serves(alias) {
		t.Errorf("%s is down while its client's removal waits", alias)
	}
	for _, o := range v.world.Objects("cloudflare") {
		if o.Name == "A "+host {
			v.world.Remove(o.ID) // as the removal does first
		}
	}
	if release, ok := v.world.Serves(alias); !ok || release == fresh || s.serves(alias) {
		t.Errorf("%s is served by %q; people come to it: %v", alias, release, s.serves(alias))
	}
}
