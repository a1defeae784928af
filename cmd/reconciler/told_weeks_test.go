package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// weeks is a fleet whose operators are told by mail, and a site that people can't reach while it is down.
type weeks struct {
	*fleet
	down atomic.Bool // bakery's site
}

func newWeeks(t *testing.T, files map[string]string) *weeks {
	t.Helper()
	f := &weeks{fleet: newFleet(t, usual(), files)}
	f.configure("notify: {mail: [ops@agency.example]}\n")
	wired := f.wired
	f.wired = func(p *program) {
		wired(p)
		p.engine.Check = func(ctx context.Context, base string, h manifest.Health) error {
			if f.down.Load() && strings.Contains(base, "bakery") {
				return errors.New("GET " + base + " answered 502, expected 200")
			}
			return f.probe(ctx, base, h)
		}
	}
	f.start()
	return f
}

// pass lets time go by, with what the schedules do in it.
func (f *weeks) pass(d, step time.Duration) {
	f.t.Helper()
	for ; d > 0; d -= step {
		f.clock.add(step)
		f.apply()
		if err := f.daemon.program.engine.ProbeAll(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
		for range 2 {
			f.clock.add(time.Minute)
			if err := f.daemon.program.tellPeople(f.t.Context()); err != nil {
				f.t.Fatal(err)
			}
		}
	}
}

// told are the subjects of what operators were mailed.
func (f *weeks) told() (out []string) {
	for _, m := range f.resend.Sent() {
		if slices.Contains(m.To, "ops@agency.example") {
			out = append(out, m.Subject)
		}
	}
	return out
}

func (f *weeks) wantTold(when string, want ...string) {
	f.t.Helper()
	if got := f.told(); !slices.Equal(got, want) {
		f.t.Errorf("%s: told %q, want %q", when, got, want)
	}
}

// forbidden is how Vercel refuses what a token may not do.
func forbidden(what string) simulator.Effect {
	return simulator.Refuse(http.StatusForbidden, jsonType(), `{"error":{"code":"forbidden","message":"`+what+`"}}`)
}

// S44: a client waits for its vendor for days, in the middle of a change. The version before serves on: when that goes down,
// and when it is back, people see it and are told.
func TestS44WhoWaitsForAVendorIsAskedAfter(t *testing.T) {
	t.Parallel()
	f := newWeeks(t, map[string]string{"clients/bakery.yaml": atVercel("bakery"), "clients/keeper.yaml": atVercel("keeper")})
	f.settle("bakery", "keeper")
	f.faults["vercel"].Add(simulator.Fault{Times: -1, Method: http.MethodPost, Path: "/v13/deployments", Do: simulator.Refuse(503, nil, "busy")})
	f.commit(map[string]string{"clients/bakery.yaml": atVercel("bakery", "env: {STORE_CURRENCY: USD}")})
	f.pass(2*time.Hour, 20*time.Minute)
	f.wantTold("it waits")
	f.down.Store(true)
	f.pass(5*time.Hour, 20*time.Minute)
	if r := rowOf(f.status(), "bakery"); r.Status != string(state.StatusDeploying) || r.Health != string(state.Degraded) {
		t.Errorf("its site is down for hours, and it is shown as %s, %s (%s)", r.Status, r.Health, r.Because)
	}
	f.must(1, "status", "--exit-code")
	down := "bakery does not answer as it should"
	f.wantTold("its site is down", down)
	f.down.Store(false)
	f.pass(5*time.Hour, 20*time.Minute)
	f.wantTold("its site is back", down, "bakery is well again")
	f.faults["vercel"].Clear()
	f.pass(4*time.Hour, 20*time.Minute)
	f.settle("bakery", "keeper")
	f.wantTold("its change is done", down, "bakery is well again")
}

// P9: a token lacks one permission. Who waits by that is told of once, with what to do, and its end; of a token that is
// refused as a whole one mail speaks for all.
func TestP9WhoWaitsForAPermissionIsToldOf(t *testing.T) {
	t.Parallel()
	f := newWeeks(t, map[string]string{"clients/bakery.yaml": atVercel("bakery"), "clients/keeper.yaml": atVercel("keeper")})
	f.settle("bakery", "keeper")
	f.faults["vercel"].Add(simulator.Fault{Times: -1, Method: http.MethodPost, Path: "/v13/deployments", Do: forbidden("You don't have permission to create the deployment.")})
	f.commit(map[string]string{"clients/bakery.yaml": atVercel("bakery", "env: {STORE_CURRENCY: USD}")})
	f.pass(30*time.Hour, time.Hour)
	want := func(when string) {
		t.Helper()
		for _, r := range []string{rowOf(f.status(), "bakery").Next, f.why("bakery").Next} {
			if !strings.Contains(r, "at vercel") || !strings.Contains(r, "`reconciler retry bakery`") {
				t.Errorf("%s: what to do is %q", when, r)
			}
		}
		f.must(3, "status", "--exit-code")
	}
	want("a permission is missing")
	f.wantTold("a permission is missing", "bakery waits for you")
	f.stop() // a restart tells nothing twice
	f.start()
	f.pass(10*time.Hour, time.Hour)
	f.wantTold("after a restart", "bakery waits for you")
	f.faults["vercel"].Clear()
	f.must(0, "retry", "bakery") // as it was told
	f.settle("bakery", "keeper")
	f.pass(time.Hour, 20*time.Minute)
	f.wantTold("the permission is there", "bakery waits for you", "bakery is well again")

	f.faults["vercel"].Add(simulator.Fault{Times: -1, Do: forbidden("Not authorized")})
	f.commit(map[string]string{"clients/bakery.yaml": atVercel("bakery"), "clients/keeper.yaml": atVercel("keeper", "env: {STORE_CURRENCY: USD}")})
	f.pass(30*time.Hour, time.Hour)
	want("the token is refused")
	all := []string{"bakery waits for you", "bakery is well again", "vercel does not let us in"}
	f.wantTold("the token is refused", all...)
	f.stop()
	f.start()
	f.pass(5*time.Hour, time.Hour)
	f.wantTold("the token is refused, after a restart", all...)
	f.faults["vercel"].Clear()
	f.pass(5*time.Hour, time.Hour)
	f.settle("bakery", "keeper")
	f.pass(time.Hour, 20*time.Minute)
	f.wantTold("the token is accepted", append(all, "vercel is back")...)
}

// `why` says since when a client is as it is, and a mail of a site that is down says that `why` says more: it does.
func TestWhySaysSinceWhenAndWhyItIsDegraded(t *testing.T) {
	t.Parallel()
	f := newWeeks(t, map[string]string{"clients/bakery.yaml": atVercel("bakery"), "clients/keeper.yaml": atVercel("keeper"), "clients/onda.yaml": atVercel("onda")})
	f.settle("bakery", "keeper", "onda")
	f.down.Store(true)
	f.pass(2*time.Hour, 20*time.Minute)
	f.wantTold("its site is down", "bakery does not answer as it should")
	if d := f.why("bakery"); !strings.Contains(d.HealthBecause, "answered 502, expected 200") || d.HealthSince.IsZero() {
		t.Errorf("why -o json says of a site that is down %q since %s", d.HealthBecause, d.HealthSince)
	}
	if text := f.must(0, "why", "bakery").out; !strings.Contains(text, "answered 502, expected 200") {
		t.Errorf("why says of a site that is down:\n%s", text)
	}
	f.down.Store(false)
	f.clock.add(10 * 24 * time.Hour)
	f.commit(map[string]string{"clients/bakery.yaml": ""})
	f.pass(time.Hour, 20*time.Minute)
	d := f.why("bakery")
	if at := since(d); d.Status != string(state.StatusRetained) || f.now().Sub(at) > 2*time.Hour {
		t.Errorf("it is %s since %s, and it is %s now", d.Status, at, f.now())
	}
	if strings.Contains(f.must(0, "why", "bakery").out, "answered 502") {
		t.Error("it is said to be degraded for ever")
	}
}

// What is approved asks for no approval any more, also where no daemon takes it up; and who waits for another approval
// then does not go on.
func TestWhatIsApprovedAsksForNoApproval(t *testing.T) {
	t.Parallel()
	mx := "dns: {records: [{type: MX, name: '@', content: mx.bakery.example, priority: 10}]}"
	f := newFleet(t, usual(), map[string]string{"clients/bakery.yaml": atVercel("bakery", mx), "clients/keeper.yaml": atVercel("keeper")})
	f.settle("bakery", "keeper")
	f.commit(map[string]string{"clients/bakery.yaml": atVercel("bakery")})
	v := f.apply()
	if len(v.Holds) != 1 {
		t.Fatalf("holds %+v", v.Holds)
	}
	ask := "`reconciler approve " + v.Holds[0].Fingerprint + "`"
	if r := f.must(3, "status", "bakery", "--exit-code"); !strings.Contains(r.out, ask) {
		t.Fatalf("%s", r.out)
	}
	f.must(0, "approve", v.Holds[0].Fingerprint)
	for _, r := range []result{f.must(0, "status", "bakery", "--exit-code"), f.must(0, "why", "bakery"), f.must(0, "status", "-o", "json")} {
		if strings.Contains(r.out, ask) || !strings.Contains(r.out, "pproved by") {
			t.Errorf("after the approval:\n%s", r.out)
		}
	}
	f.apply()
	f.settle("bakery", "keeper")

	f.commit(map[string]string{"clients/bakery.yaml": "", "clients/keeper.yaml": ""})
	r := f.must(0, "approve", f.apply().Holds[0].Fingerprint)
	if s := f.status(); rowOf(s, "bakery").Status == string(state.StatusHeld) && (strings.Contains(r.out, "go on") || !strings.Contains(r.out, "`reconciler approve "+s.Holds[0].Fingerprint+"`")) {
		t.Errorf("both are held, and the approval said: %s", r.out)
	}
}
