package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// with is an input whose vendors differ from the usual ones.
func with(in plan.Input, provider string, kind state.Kind, change func(*state.Traits)) plan.Input {
	of := map[state.Kind]state.Traits{} // the traits of two hosts are one map
	for k, t := range in.Traits[provider] {
		of[k] = t
	}
	t := of[kind]
	change(&t)
	of[kind] = t
	in.Traits[provider] = of
	return in
}

// late is an input in which vercel gets certificates once DNS leads there.
func late(c plan.ClientInput) plan.Input {
	return with(input(c), "vercel", state.KindDomain, func(t *state.Traits) { t.AfterDNS = true })
}

func at(host string) func(*manifest.Effective) {
	return func(e *manifest.Effective) { e.Deployment.Provider = host }
}

func proxied(e *manifest.Effective) { e.DNS.Proxied = true }

// S25: where a host can't have the certificate before DNS leads to it, the plan of a switch
// states the gap, and the name is secured once its record is set, before it is asked from
// outside. Nobody is led away from another site: no gap. What has its certificate: none.
func TestS25GapIsStatedWhereTheCertificateComesAfterDNS(t *testing.T) {
	const record, secure, outside = "update record/A shop.example", "secure domain/shop.example@vercel", "probe traffic/vercel outside"
	c := becomes(t, settled(t, shop("shop")), shop("shop", at("vercel")))
	p := plan.Calculate(late(c))
	moves, secured, proof := find(t, p, record+" !gap"), find(t, p, secure), find(t, p, outside)
	if !after(p, secured.Key(), moves.Key()) || !after(p, proof.Key(), secured.Key()) || after(p, moves.Key(), secured.Key()) {
		t.Errorf("the order is wrong: %v", lines(p))
	}
	gated, holds := plan.Gate(p, plan.GateInput{Now: now})
	if len(holds) != 1 || !strings.Contains(holds[0].Reason, "vercel gets its certificate for shop.example once the name leads there") {
		t.Fatalf("the holds are %+v", holds)
	}
	for _, s := range gated.Steps {
		waits := s.Held != "" || s.Blocked
		if builds := s.Ref.Kind == state.KindSite && s.Action == plan.Create || s.Ref.Kind == state.KindDomain && s.Action == plan.Create; builds && waits || (s.Action == plan.Delete || s.Action == plan.Secure) && !waits {
			t.Errorf("%s waits: %v", line(s), waits)
		}
	}

	// The name is bound, and the move waits for an approval: it is still a gap. With its
	// certificate it is none.
	bound := c
	bound.Recorded = plan.Model(c.Recorded, gated, now)
	i := slices.IndexFunc(bound.Recorded, func(r state.Resource) bool { return r.Ref.Name == "shop.example@vercel" })
	bound.Recorded[i].Phase = "unreached"
	find(t, plan.Calculate(late(bound)), record+" !gap")
	bound.Recorded[i].Phase = ""
	p = plan.Calculate(late(bound))
	find(t, p, record+" !traffic")
	if got := lines(p); slices.Contains(got, secure) {
		t.Errorf("what is secured is secured again: %v", got)
	}

	for name, c := range map[string]plan.ClientInput{
		"a new client":       client(t, shop("shop", at("vercel"))),
		"nobody's records":   becomes(t, settled(t, shop("shop")), shop("shop", at("vercel"), func(e *manifest.Effective) { e.DNS.Provider = "none" })),
		"no certificate due": becomes(t, settled(t, shop("shop", proxied)), shop("shop", at("vercel"), proxied)),
	} {
		p := plan.Calculate(late(c))
		if got := lines(p); slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, "!gap") }) || slices.Contains(got, secure) != (name != "no certificate due") {
			t.Errorf("%s: %v", name, got)
		}
	}

	// A second look at what is done finds nothing; a name that had to wait is gone on with.
	done := settledBy(t, client(t, shop("shop", at("vercel"))), late)
	if p := plan.Calculate(late(done)); !p.Empty() {
		t.Errorf("done, and there is %v", lines(p))
	}
	i = slices.IndexFunc(done.Recorded, func(r state.Resource) bool { return r.Ref.Kind == state.KindDomain })
	done.Recorded[i].Phase = "unreached"
	if got := lines(plan.Calculate(late(done))); !slices.Equal(got, []string{secure, outside}) {
		t.Errorf("it waits to be secured: %v", got)
	}
	done.Recorded[i].Adopted = true
	if got := lines(plan.Calculate(late(done))); len(got) > 0 {
		t.Errorf("an adopted name: %v", got)
	}
}

// S24: where certificates belong to sites, a host name that moves to another client's site is
// without one there until it has a new one: the plan of the move states that, held, as that of
// a switch does. Where they don't, or there was none, nothing is stated.
func TestS24GapOfAMovedNameIsStated(t *testing.T) {
	plans := func(own bool, change func(*plan.ClientInput), more ...func(*manifest.Effective)) plan.Plan {
		alias := func(e *manifest.Effective) { e.Hosts = append(e.Hosts, "www.example") }
		had := settledBy(t, client(t, shop("bakery", append(more, at("vercel"), alias)...)), late)
		takes := settledBy(t, client(t, shop("florist", append(more, at("vercel"))...)), late)
		had, takes = becomes(t, had, shop("bakery", append(more, at("vercel"))...)), becomes(t, takes, shop("florist", append(more, at("vercel"), alias)...))
		if change != nil {
			change(&had)
		}
		return plan.Calculate(with(input(had, takes), "vercel", state.KindDomain, func(t *state.Traits) { t.AfterDNS, t.PerSite = true, own }))
	}
	unsecured := func(c *plan.ClientInput) {
		for i := range c.Recorded {
			if c.Recorded[i].Ref.Kind == state.KindDomain {
				c.Recorded[i].Phase = "unreached"
			}
		}
	}
	const moves = "move domain/www.example@vercel"
	p := plans(true, nil)
	s := find(t, p, moves+" !gap")
	if s.Gap != "about a minute" || !strings.Contains(s.Reason, "about a minute, HTTPS fails") || !after(p, find(t, p, "secure domain/www.example@vercel").Key(), s.Key()) {
		t.Errorf("%q: %s", s.Gap, s.Reason)
	}
	gated, holds := plan.Gate(p, plan.GateInput{Now: now})
	if len(holds) != 1 || !strings.Contains(holds[0].Reason, "until this one has its own for www.example, about a minute, HTTPS fails") {
		t.Errorf("the holds are %+v", holds)
	}
	for _, s := range gated.Steps {
		if names := plan.Leads(s.Ref, "www.example"); names && s.Action.Writes() && s.Held == "" && !s.Blocked {
			t.Errorf("%s runs", line(s))
		}
	}
	find(t, plans(false, nil), moves+" !traffic")
	find(t, plans(true, unsecured), moves+" !traffic")
	find(t, plans(true, nil, proxied), moves+" !traffic")
}

// settledBy is the client after everything that it wishes was done, with other vendors.
func settledBy(t *testing.T, c plan.ClientInput, in func(plan.ClientInput) plan.Input) plan.ClientInput {
	t.Helper()
	for range 3 {
		c.Recorded = plan.Model(c.Recorded, plan.Calculate(in(c)), now.Add(-time.Hour))
	}
	return c
}

// The side of a site that was replaced goes once names are forgotten and some time more; until
// then it is no change, whatever else is planned. Before it goes the new one is asked again.
func TestS25ReplacedSideServesUntilItsAddressIsForgotten(t *testing.T) {
	soaking := func(c plan.ClientInput, at time.Time) plan.Plan {
		in := input(c)
		in.Soak, in.Now = 10*time.Minute, at
		return plan.Calculate(in)
	}
	goes := []string{"delete domain/shop.example@local", "delete traffic/local", "delete deployment", "delete environment/local", "delete site/local"}
	c := becomes(t, settled(t, shop("shop")), shop("shop", at("vercel")))
	p := soaking(c, now)
	if got := lines(plan.Plan{Steps: p.Later}); !slices.Equal(got, goes) || slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Delete }) {
		t.Fatalf("later comes %v, now %v", got, lines(p))
	}
	for _, s := range p.Later {
		if s.After != 15*time.Minute || !s.NotBefore.IsZero() || s.Client != "shop" || !strings.Contains(s.Reason, "it serves for 15m after the names have moved") {
			t.Errorf("%s comes after %s, not before %s: %s", line(s), s.After, s.NotBefore, s.Reason)
		}
	}
	if left := soaking(plan.ClientInput{Client: c.Client, Wish: c.Wish, Health: true, Recorded: plan.Model(c.Recorded, p, now)}, now); !left.Empty() || len(left.Later) > 0 {
		t.Errorf("after all of it there is %v and later %v", lines(left), left.Later)
	}

	p.Later = nil
	c.Recorded = plan.Model(c.Recorded, p, now)
	p = soaking(c, now.Add(15*time.Minute-time.Second))
	if !p.Empty() || len(p.Later) != len(goes) || !p.Later[0].NotBefore.Equal(now.Add(15*time.Minute)) {
		t.Errorf("before its time: %v, later %d", lines(p), len(p.Later))
	}
	// Something else changes meanwhile: the same comes later.
	dark := becomes(t, c, shop("shop", at("vercel"), func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} }))
	if p := soaking(dark, now.Add(5*time.Minute)); p.Empty() || len(p.Later) != len(goes) {
		t.Errorf("with another change: %v, later %d", lines(p), len(p.Later))
	}
	// It is taken back: the old side has all that it needs, and the other one is left.
	back := becomes(t, c, shop("shop"))
	if p := soaking(back, now.Add(5*time.Minute)); len(p.Later) != len(goes) || slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Create }) {
		t.Errorf("taken back: %v, later %d", lines(p), len(p.Later))
	}
	p = soaking(c, now.Add(15*time.Minute))
	if got := lines(p); len(got) != len(goes)+1 || len(p.Later) > 0 || slices.ContainsFunc(goes, func(l string) bool { return !slices.Contains(got, l) }) {
		t.Errorf("when its time has come: %v", got)
	}
	for _, s := range p.Steps {
		if s.Action == plan.Delete && !after(p, s.Key(), find(t, p, "probe traffic/vercel outside").Key()) {
			t.Errorf("%s does not wait for the proof", line(s))
		}
	}
}

// Copies of pages are forgotten when another release answers, where records are proxied and
// somebody saw a page before.
func TestCopiesAreForgottenWhenAnotherReleaseAnswers(t *testing.T) {
	in := func(c plan.ClientInput) plan.Input {
		return with(input(c), "localdns", state.KindRecord, func(t *state.Traits) { t.Copies = true })
	}
	const refresh = "refresh record/A shop.example"
	dark := func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} }
	for name, x := range map[string]struct {
		c    plan.ClientInput
		want bool
	}{
		"a new client":    {client(t, shop("shop", proxied)), false},
		"another release": {becomes(t, settled(t, shop("shop", proxied)), shop("shop", proxied, dark)), true},
		"another host":    {becomes(t, settled(t, shop("shop", proxied)), shop("shop", proxied, at("vercel"))), true},
		"no proxy":        {becomes(t, settled(t, shop("shop")), shop("shop", dark)), false},
		"nothing is served": {becomes(t, settled(t, shop("shop", proxied)), shop("shop", proxied, func(e *manifest.Effective) {
			e.DNS.Records = []manifest.Record{{Type: "TXT", Name: "@", Content: "a note"}}
		})), false},
		"all is as it was":   {settled(t, shop("shop", proxied)), false},
		"its record changes": {becomes(t, settled(t, shop("shop")), shop("shop", proxied)), false},
	} {
		p := plan.Calculate(in(x.c))
		if got := slices.Contains(lines(p), refresh); got != x.want {
			t.Errorf("%s: %v", name, lines(p))
		}
		for _, s := range p.Steps {
			if s.Action == plan.Refresh && (s.Risk != "" || s.Action.Writes() || !after(p, s.Key(), "create shop-1a2b/traffic/vercel") && !after(p, s.Key(), "update shop-1a2b/traffic/local")) {
				t.Errorf("%s: %s", name, line(s))
			}
		}
		if again := plan.Model(x.c.Recorded, p, now); x.want {
			x.c.Recorded = again
			if left := plan.Calculate(in(x.c)); !left.Empty() {
				t.Errorf("%s: then there is %v", name, lines(left))
			}
		}
	}
}
