package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// degrade lets a client's site be found sick until it is degraded.
func (w *world) degrade(name string) {
	w.t.Helper()
	w.engine.Check = func(context.Context, string, manifest.Health) error { return errors.New("answered 503") }
	for range 3 {
		if err := w.engine.ProbeAll(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	if r := w.row(name); r.Health != string(state.Degraded) {
		w.t.Fatalf("%s is %s", name, r.Health)
	}
}

// S44: a site that does not answer is degraded until it was seen to answer. A change that asks nothing of it (a record
// beside it, a removed alias of mail) does not make it well.
func TestS44AChangeThatAsksNothingMakesNobodyWell(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.degrade("shop")
	at := w.row("shop").LastHealthCheck
	w.clock.add(1)
	txt := `dns: {records: [{type: TXT, name: proof, content: "12"}]}`
	w.apply(map[string]string{"clients/shop.yaml": client("shop", txt)})
	if r := w.want("shop", state.StatusActive); r.Health != string(state.Degraded) || !r.LastHealthCheck.Equal(at) {
		t.Errorf("after a TXT record the site, which is down, is shown as %s, as asked at %s", r.Health, r.LastHealthCheck)
	}
	w.engine.Check = func(context.Context, string, manifest.Health) error { return nil }
	w.apply(map[string]string{"clients/shop.yaml": client("shop", txt, "env: {COLOUR: red}")})
	if r := w.want("shop", state.StatusActive); r.Health != string(state.Healthy) {
		t.Errorf("a release was seen to answer, and the site is shown as %s", r.Health)
	}
	w.degrade("shop")
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "deployment: {provider: none}", "dns: {provider: none}")})
	if r := w.row("shop"); r.Health == string(state.Degraded) {
		t.Errorf("there is no site any more, and it is %s (%s)", r.Health, r.Status)
	}
}

// S44: a paused client's site serves on, and is asked after.
func TestS44WhoIsPausedIsAskedAfterToo(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/bakery.yaml": client("bakery")})
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "paused: true"), "clients/new.yaml": client("new", "paused: true")})
	id, err := w.engine.SetPaused("bakery", true, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("shop", state.StatusPaused)
	w.want("bakery", state.StatusPaused)
	w.degrade("shop")
	if r := w.want("bakery", state.StatusPaused); r.Health != string(state.Degraded) {
		t.Errorf("its site is down, and it is shown as %s", r.Health)
	}
	if r := w.want("new", state.StatusPaused); r.Health == string(state.Degraded) {
		t.Errorf("it has no site yet, and is %s", r.Health)
	}
}

// A site is built for the runtime that its template says: another one is another release, in waves and proved before it
// serves, and a revert promotes the one before.
func TestRuleAnotherRuntimeIsAnotherRelease(t *testing.T) {
	v, w := newVendors(t)
	with := func(runtime string) map[string]string {
		return map[string]string{"templates/shop.yaml": template + "build: {runtime: " + runtime + "}\n"}
	}
	w.apply(with("node20"))
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	before, _ := v.world.Serves("shop.agency.example")
	w.apply(with("node22"))
	w.want("shop", state.StatusActive)
	if now, _ := v.world.Serves("shop.agency.example"); now == before {
		t.Error("its runtime changed, and it serves what was built for the one before")
	}
	w.apply(with("node20"))
	if now, _ := v.world.Serves("shop.agency.example"); now != before {
		t.Error("after the revert another release serves")
	}
}

// An empty variable is set, and is not the same as none: also where it is all that a commit adds.
func TestRuleValuesAnEmptyVariableIsSet(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	built := func() (value string, there bool) {
		d, _ := v.world.Serves("shop.agency.example")
		value, there = v.world.BuiltWith(d)["BANNER"]
		return value, there
	}
	for range 2 { // set, taken away, set again
		w.apply(map[string]string{"clients/shop.yaml": client("shop", `env: {BANNER: ""}`)})
		w.want("shop", state.StatusActive)
		if value, there := built(); value != "" || !there {
			t.Errorf("the site was built with BANNER %q, there: %t", value, there)
		}
		w.apply(map[string]string{"clients/shop.yaml": client("shop")})
		if _, there := built(); there {
			t.Error("BANNER is still there")
		}
	}
}

// A generated secret that leaked is taken out, forgotten and asked for again: the site is built with the new one. What
// was built with the one before is not promoted.
func TestRuleAGeneratedSecretThatWasForgottenIsMadeAnew(t *testing.T) {
	v, w := newVendors(t)
	with := client("shop", "env: {TOKEN: {generate: hex32}}")
	token := func() string {
		d, _ := v.world.Serves("shop.agency.example")
		return v.world.BuiltWith(d)["TOKEN"]
	}
	w.apply(map[string]string{"clients/shop.yaml": with})
	seen := map[string]bool{token(): true}
	for range 2 {
		w.apply(map[string]string{"clients/shop.yaml": client("shop")})
		w.apply(map[string]string{"clients/shop.yaml": with}) // made once, and kept
		if !seen[token()] {
			t.Error("another one was made, which nobody asked for")
		}
		if err := w.engine.RemoveSecret("shop", "generated/TOKEN", "dana"); err == nil {
			t.Error("it was forgotten while it is in use")
		}
		w.apply(map[string]string{"clients/shop.yaml": client("shop")})
		if err := w.engine.RemoveSecret("shop", "generated/TOKEN", "dana"); err != nil {
			t.Fatal(err)
		}
		w.apply(map[string]string{"clients/shop.yaml": with})
		w.want("shop", state.StatusActive)
		now := token()
		if seen[now] || len(now) != 64 {
			t.Errorf("the site has %q, which was forgotten", now)
		}
		clear(seen)
		seen[now] = true
	}
}

// health.every: a site whose manifest asks for fewer probes than the schedule makes is asked as often as it says, and
// everybody else at each tick.
func TestS44HowOftenASiteIsProbed(t *testing.T) {
	_, w := newVendors(t)
	var mu sync.Mutex // several are asked at once
	asked := map[string]int{}
	w.engine.Check = func(_ context.Context, url string, _ manifest.Health) error {
		mu.Lock()
		defer mu.Unlock()
		asked[url]++
		return nil
	}
	w.apply(map[string]string{"clients/hourly.yaml": client("hourly", "health: {every: 1h}"), "clients/usual.yaml": client("usual"), "clients/often.yaml": client("often", "health: {every: 30s}")})
	clear(asked)
	for range 36 { // three hours
		w.clock.add(5*time.Minute - time.Second)
		if err := w.engine.ProbeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{"hourly": 3, "usual": 36, "often": 36} {
		if got := asked["https://"+name+".agency.example"]; got != want {
			t.Errorf("%s was asked %d times in three hours, want %d", name, got, want)
		}
	}
	if r := w.row("hourly"); r.Uptime != 1 || r.Health != string(state.Healthy) {
		t.Errorf("it is %s, up %v", r.Health, r.Uptime)
	}
}

// Billing, labels and notes deploy nothing, and are shown.
func TestRuleValuesDescriptionsAreShown(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "billing: {status: trial, monthlyFee: 49.00, currency: EUR, nextDate: 2026-12-01}", "labels: {team: shops, area: north}", "notes: pays late")})
	want := "[{billing.status trial} {billing.monthlyFee 49.00 EUR} {billing.nextDate 2026-12-01} {labels.area north} {labels.team shops} {notes pays late}]"
	for _, then := range []string{want, "[]", want} {
		if then == "[]" {
			w.apply(map[string]string{"clients/shop.yaml": client("shop")})
		} else {
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "billing: {status: trial, monthlyFee: 49.00, currency: EUR, nextDate: 2026-12-01}", "labels: {team: shops, area: north}", "notes: pays late")})
		}
		d, err := w.engine.Detail("shop")
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(d.Described); got != then {
			t.Errorf("shown is %s, want %s", got, then)
		}
	}
}
