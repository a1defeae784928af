package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// A failed update leaves serving what served: a commit's version serves and answers well for days, while something else of
// that commit waits for a person or an approval. A later one whose build is broken, or a secret that was set since, does
// not bring back the version before both. What nobody saw answer well goes back as it did.
func TestRuleFailedUpdateLeavesWhatServesThoughAPersonIsWaitedFor(t *testing.T) {
	spf := func(text string) string { return "dns: {records: [{type: TXT, name: '@', content: '" + text + "'}]}" }
	const byHand, alias, key = "dns: {provider: external}", "aliases: [www.bakery.example]", ", KEY: {secret: key}"
	for _, c := range []struct {
		name             string
		open             func(*testing.T) (*vendors, *world, func())
		red, green, blue []string
		unseen, bySecret bool
		status           state.Status
		serves           string
	}{
		{name: "an approval is waited for", red: []string{spf("v=spf1 mx -all")}, green: []string{spf("v=spf1 a -all")}, blue: []string{spf("v=spf1 a -all")}, status: state.StatusHeld, serves: "green"},
		{name: "its host serves what was built last", open: func(t *testing.T) (*vendors, *world, func()) { v, w := newInPlace(t); return v, w, func() {} },
			red: []string{spf("v=spf1 mx -all")}, green: []string{spf("v=spf1 a -all")}, blue: []string{spf("v=spf1 a -all")}, status: state.StatusHeld, serves: "green"},
		{name: "a person is waited for", open: openByHand, red: []string{byHand}, green: []string{byHand, alias}, blue: []string{byHand, alias}, status: state.StatusDeploying, serves: "green"},
		{name: "a secret is set meanwhile", open: openByHand, red: []string{byHand}, green: []string{byHand, alias}, bySecret: true, status: state.StatusDeploying, serves: "green"},
		{name: "nobody saw it answer", open: openByHand, unseen: true, red: []string{byHand}, green: []string{byHand, alias}, blue: []string{byHand, alias}, status: state.StatusDeploying, serves: "red"},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := c.open
			if open == nil {
				open = func(t *testing.T) (*vendors, *world, func()) { v, w := newVendors(t); return v, w, func() {} }
			}
			v, w, byPerson := open(t)
			more, ids := "", []state.ClientID(nil)
			coloured := func(colour string, lines []string) []state.ClientID {
				return w.push(map[string]string{"clients/bakery.yaml": client("bakery", append([]string{"env: {COLOUR: " + colour + more + "}"}, lines...)...)})
			}
			set := func(value string) {
				var err error
				if _, ids, err = w.engine.SetSecret("bakery", "key", state.NewSecret(value), w.keys.Fingerprint, "dana"); err != nil {
					t.Fatal(err)
				}
			}
			w.pass(coloured("red", c.red)...)
			byPerson()
			w.pass(w.id("bakery"))
			w.want("bakery", state.StatusActive)
			if c.bySecret {
				more = key
				set("an-invented-value")
			}
			w.pass(coloured("green", c.green)...)
			w.want("bakery", c.status)
			for range 2 {
				w.clock.add(24 * time.Hour)
				if !c.unseen {
					if err := w.engine.ProbeAll(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				w.pass(w.id("bakery"))
			}
			v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, memory.Fail(provider.Invalid, "the build is broken"))
			if c.bySecret {
				set("another-invented-value")
				w.pass(ids...)
			} else {
				w.pass(coloured("blue", c.blue)...)
			}
			r := w.want("bakery", state.StatusFailed)
			if got := v.colour("bakery.agency.example"); got != c.serves || !strings.HasPrefix(r.Because, "Your site still runs the old version.") {
				t.Errorf("it serves the %s version, want the %s one; %q", got, c.serves, r.Because)
			}
			if got := v.environment(); got != c.serves {
				t.Errorf("the environment is that of the %s version, want %s", got, c.serves)
			}
		})
	}
}

// A version is at work, and that its client is to swap its name with another one's waits for an approval. The next commit
// takes the version back, and fails as the other one's build is broken: the version that people came to since stays, as it is
// the one that the newer commit found at work.
func TestS24WhoFailsWithAnotherLeavesWhatServesThoughAnApprovalIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		unseen bool
		serves string
	}{
		{name: "people came to it", serves: "green"},
		{name: "nobody saw it answer", unseen: true, serves: "red"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w := newLateHost(t)
			const ploi, red, green = "deployment: {provider: ploi}", "env: {COLOUR: red}", "env: {COLOUR: green}"
			w.apply(map[string]string{"clients/bakery.yaml": client("bakery", ploi, red), "clients/cakes.yaml": client("cakes")})
			w.pass(w.push(map[string]string{"clients/bakery.yaml": led("bakery", "cakes", ploi, green), "clients/cakes.yaml": led("cakes", "bakery")})...)
			w.want("bakery", state.StatusHeld)
			w.clock.add(24 * time.Hour)
			if !c.unseen {
				if err := w.engine.ProbeAll(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
			w.push(map[string]string{"clients/bakery.yaml": led("bakery", "cakes", ploi, red), "clients/cakes.yaml": led("cakes", "bakery", green)})
			w.approveAll("bakery")
			if r := w.want("bakery", state.StatusFailed); !strings.HasPrefix(r.Because, "Your site still runs the old version. cakes, whose name it takes, failed") {
				t.Errorf("bakery says %q", r.Because)
			}
			if got := v.colour("bakery.agency.example"); got != c.serves {
				t.Errorf("it serves the %s version, want the %s one", got, c.serves)
			}
			for _, o := range v.world.Objects("ploi") {
				if got := attribute(o, "env.COLOUR"); o.Kind == state.KindEnvironment && got != c.serves {
					t.Errorf("the environment is that of the %s version, want %s", got, c.serves)
				}
			}
		})
	}
}

// redByHand has a client at work in red, whose records a person keeps, and commits it in other colours.
func redByHand(t *testing.T) (*vendors, *world, func(colour string, more ...string) []state.ClientID) {
	v, w, byPerson := openByHand(t)
	coloured := func(colour string, more ...string) []state.ClientID {
		return w.push(map[string]string{"clients/bakery.yaml": client("bakery", append(more, "dns: {provider: external}", "env: {COLOUR: "+colour+"}")...)})
	}
	w.pass(coloured("red")...)
	byPerson()
	w.pass(w.id("bakery"))
	w.want("bakery", state.StatusActive)
	w.clock.add(time.Minute)
	return v, w, coloured
}

// S20: a commit is reverted, and the vendor has the earlier release still, but does not take its environment for now: people
// are led there once it is set, as it would not be what serves is built with. A commit that fails later leaves both.
func TestS20RevertServesOnceItsEnvironmentIsSet(t *testing.T) {
	for name, refused := range map[string]func(memory.Call) bool{
		"it can't be seen": memory.Is(memory.Observe, state.KindEnvironment),
		"it can't be set":  memory.Is(memory.Update, state.KindEnvironment),
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			both := func(want string) {
				t.Helper()
				if serves, has := v.colour("bakery.agency.example"), v.environment(); serves != want || has != want {
					t.Errorf("it serves the %s version, and the environment is that of the %s one, want %s", serves, has, want)
				}
			}
			w.apply(coloured("red"))
			w.apply(coloured("green"))
			v.faults.On(memory.Before, refused, 0, memory.Fail(provider.Transient, "503 service unavailable"))
			w.apply(coloured("red"))
			w.want("bakery", state.StatusDeploying)
			both("green")
			w.clock.add(24 * time.Hour)
			if err := w.engine.ProbeAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			v.faults.Clear()
			v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, memory.Fail(provider.Invalid, "the build is broken"))
			w.apply(coloured("blue"))
			w.want("bakery", state.StatusFailed)
			both("green")
			w.apply(coloured("red"))
			w.want("bakery", state.StatusActive)
			both("red")
		})
	}
}

// A site is asked while a pass leads its traffic on: what answered well is the version before.
func TestRuleFailedUpdateGoesBackToWhatAnsweredBesideThePass(t *testing.T) {
	v, w, coloured := redByHand(t)
	const alias = "aliases: [www.bakery.example]"
	check := w.engine.Check
	w.engine.Check = func(ctx context.Context, url string, h manifest.Health) error {
		answer := check(ctx, url, h)
		w.engine.Check = check
		w.pass(coloured("green", alias)...)
		w.want("bakery", state.StatusDeploying)
		w.clock.add(time.Second)
		return answer
	}
	if err := w.engine.ProbeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, memory.Fail(provider.Invalid, "the build is broken"))
	w.pass(coloured("blue", alias)...)
	w.want("bakery", state.StatusFailed)
	if got := v.colour("bakery.agency.example"); got != "red" {
		t.Errorf("it serves the %s version, which nobody saw answer", got)
	}
}

// openByHand is a world in which a person sets records; set does so with those that are asked for.
func openByHand(t *testing.T) (v *vendors, w *world, set func()) {
	s := newVendorsByHand(t)
	return s.vendors, s.world, func() {
		for _, r := range s.asked() {
			s.setByHand(r)
		}
	}
}

// What is deployed: a branch's commit is broken, which is mended there. A retry builds the same commit again, as a branch that
// moves is no change; so who failed is told what helps. It does.
func TestRuleWhoFailedByABranchIsToldThatItStays(t *testing.T) {
	v, w := newVendors(t)
	tip := strings.Repeat("1", 40)
	w.change = func(e *reconcile.Engine) {
		e.ResolveRef = func(_ context.Context, _, ref string) (string, error) {
			if len(ref) == 40 {
				return ref, nil
			}
			return tip, nil
		}
	}
	w.restart()
	w.apply(map[string]string{"clients/keeper.yaml": client("keeper", "deployment: {ref: v1}")})
	v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, func(_ context.Context, c memory.Call) error {
		if tip[0] == '1' {
			return memory.Fail(provider.Invalid, "the build is broken")
		}
		return nil
	})
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "deployment: {ref: main}")})
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Next, "main stays the commit 1111111 here") || !strings.Contains(r.Next, "another `ref`") {
		t.Errorf("it failed by what main is, and is told: %s", r.Next)
	}
	tip = strings.Repeat("2", 40)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "deployment: {ref: '"+tip+"'}")})
	if w.want("bakery", state.StatusActive); v.commitOf("bakery.agency.example") != tip {
		t.Errorf("it serves %s", v.commitOf("bakery.agency.example"))
	}
	v.faults.Clear()
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "deployment: {ref: '"+tip+"'}", "env: {COLOUR: red}")})
	if r := w.want("bakery", state.StatusFailed); strings.Contains(r.Next, "stays") {
		t.Errorf("its manifest names the commit, and it is told: %s", r.Next)
	}
}

// A new client is built, and waits for a customer who is to set its name, for weeks: its administrator is at work on its own
// address. A later commit's build is broken: what was made stays, as it serves there, and goes on once that is mended.
func TestRuleFailedCommitTakesNothingFromWhoWaitsForItsName(t *testing.T) {
	for _, c := range []struct {
		name   string
		change string
		stays  bool
	}{
		{"a later commit", "blue", true},
		{"its first one", "red", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w, set := openByHand(t)
			coloured := func(colour string) map[string]string {
				return map[string]string{"clients/bakery.yaml": client("bakery", "dns: {provider: external}", "env: {COLOUR: "+colour+"}")}
			}
			broken := func() {
				v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, memory.Fail(provider.Invalid, "the build is broken"))
			}
			if !c.stays {
				broken()
			}
			w.apply(coloured("red"))
			site := v.of(state.KindSite)
			if c.stays {
				w.want("bakery", state.StatusProvisioning)
				w.clock.add(14 * 24 * time.Hour)
				broken()
				w.apply(coloured(c.change))
			}
			w.want("bakery", state.StatusFailed)
			if o, there := v.world.Object(site); there != c.stays {
				t.Errorf("its site is there: %t, want %t (%s)", there, c.stays, o.ID)
			}
			if c.stays && v.environment() != "red" {
				t.Errorf("what serves on its own address has the variables of the %q version", v.environment())
			}
			w.apply(coloured("green"))
			set()
			w.clock.add(time.Hour)
			w.pass(w.id("bakery"))
			w.want("bakery", state.StatusActive)
			if now := v.of(state.KindSite); v.colour("bakery.agency.example") != "green" || c.stays && now != site {
				t.Errorf("its site is %s, and was %s; it serves the %s version", now, site, v.colour("bakery.agency.example"))
			}
		})
	}
}
