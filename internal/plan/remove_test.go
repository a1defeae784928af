package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// RuleData: how long retained data is kept. The last good version's word counts; what
// was adopted is never erased by a date; a schedule erases only what is past it, of a
// client that is still absent.
func TestRuleDataRetention(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name   string
		change func(*plan.ClientInput)
		until  time.Time
	}{
		{"a date", func(*plan.ClientInput) {}, now.Add(30 * day)},
		{"another", func(c *plan.ClientInput) { c.Retain = 7 * day }, now.Add(7 * day)},
		{"for ever", func(c *plan.ClientInput) { c.RetainForever = true }, time.Time{}},
		{"adopted", func(c *plan.ClientInput) {
			*c = alter(*c, state.KindDatabase, func(r *state.Resource) { r.Adopted = true })
		}, time.Time{}},
	} {
		in := removed(settled(t, shop("shop")))
		c.change(&in)
		p := plan.Calculate(input(in))
		if s := find(t, p, "retain database/main"); !s.PurgeAfter.Equal(c.until) {
			t.Errorf("%s: until %s, want %s", c.name, s.PurgeAfter, c.until)
		}
		kept := plan.Model(in.Recorded, p, now)
		for i := range kept { // whatever date it bears: nothing that was adopted is erased by one
			if kept[i].Adopted {
				dated := slices.Clone(kept)
				dated[i].PurgeAfter = now
				gone := in.Client
				gone.Removed = true
				if steps := plan.Purges(gone, nil, dated, now.AddDate(1, 0, 0)); len(steps) > 0 {
					t.Errorf("%s: %v", c.name, steps)
				}
			}
		}
		absent := in.Client
		absent.Removed = true
		for _, at := range []time.Time{c.until.Add(-time.Second), c.until, now.AddDate(20, 0, 0)} {
			steps := plan.Purges(absent, nil, kept, at)
			due := !c.until.IsZero() && !at.Before(c.until)
			if (len(steps) == 1 && steps[0].Action == plan.Purge && steps[0].Ref.Kind == state.KindDatabase && steps[0].Risk == plan.RiskData) != due || (len(steps) > 0) != due {
				t.Errorf("%s at %s: %v, due %t", c.name, at, steps, due)
			}
			if back := plan.Purges(in.Client, wishFor(t, in.Client, shop("shop"), nil), kept, at); len(back) > 0 {
				t.Errorf("%s: the client is back, and its data is erased", c.name)
			}
			if unknown := plan.Purges(in.Client, nil, kept, at); len(unknown) > 0 {
				t.Errorf("%s: the client's wish is not known, and its data is erased", c.name)
			}
			without := wishFor(t, in.Client, shop("shop", func(e *manifest.Effective) { e.Database.Provider = "none"; delete(e.Environment, "DATABASE_URL") }), nil)
			if part := plan.Purges(in.Client, without, kept, at); (len(part) == 1) != due || !due && len(part) > 0 {
				t.Errorf("%s at %s: of a client that wishes no database any more: %v, due %t", c.name, at, part, due)
			}
		}
	}
}

// P3: a client that returns to its data is not welcomed a second time, whatever a list of
// sent mail shows.
func TestP3NoSecondWelcome(t *testing.T) {
	c := settled(t, shop("shop"))
	gone := removed(c)
	c.Recorded = plan.Model(gone.Recorded, plan.Calculate(input(gone)), now)
	p := plan.Calculate(input(c))
	find(t, p, "return database/main")
	for _, s := range p.Steps {
		if s.Ref.Kind == state.KindMail {
			t.Errorf("the mail is sent again: %s", line(s))
		}
	}
}

// Earlier releases stay up to Keep, the youngest ones.
func TestReleasesBeyondKeepGo(t *testing.T) {
	c := settled(t, shop("shop"))
	was := map[string]string{}
	for n := range 5 {
		c = becomes(t, c, shop("shop", func(e *manifest.Effective) { e.Settings = map[string]any{"n": n} }))
		p := plan.Calculate(input(c))
		for _, s := range p.Steps {
			switch {
			case s.Action == plan.Create && s.Ref.Kind == state.KindDeployment:
				was[s.Ref.Name] = fmt.Sprint(n)
			case s.Action == plan.Delete:
				if want := fmt.Sprint(n - 3); was[s.Ref.Name] != want && n != 2 {
					t.Errorf("with release %d goes %s, want %s", n, was[s.Ref.Name], want)
				}
			}
		}
		c.Recorded = plan.Model(c.Recorded, p, now.Add(time.Duration(n)*time.Minute))
	}
	if again := plan.Calculate(input(c)); !again.Empty() {
		t.Errorf("not settled: %v", lines(again))
	}
	left := 0
	for _, r := range c.Recorded {
		if r.Ref.Kind == state.KindDeployment {
			left++
		}
	}
	if left != 3 {
		t.Errorf("%d releases are on record, want the serving one and 2 earlier", left)
	}
}

// A client that is said to be removed without a proof keeps everything (P5).
func TestP5RemovedWithoutTombstone(t *testing.T) {
	c := removed(settled(t, shop("shop")))
	c.Tombstones = nil
	if p := plan.Calculate(input(c)); len(p.Steps) > 0 || len(p.Problems) != 1 {
		t.Errorf("steps %v, problems %v", lines(p), p.Problems)
	}
}

// Retained data that returns and changes: what needs it waits for both.
func TestReturnAndChange(t *testing.T) {
	c := alter(settled(t, shop("shop")), state.KindDatabase, func(r *state.Resource) { r.RetainedAt, r.PurgeAfter = now, now.Add(time.Hour) })
	c = becomes(t, c, shop("shop", func(e *manifest.Effective) {
		e.DisabledCollections, e.Settings = []string{"orders"}, map[string]any{"theme": "dark"}
	}))
	p := plan.Calculate(input(c))
	back, change, release := find(t, p, "return database/main"), find(t, p, "update database/main"), find(t, p, "create deployment")
	if !after(p, change.Key(), back.Key()) || !after(p, release.Key(), change.Key()) {
		t.Errorf("order: %v", lines(p))
	}
	c.Recorded = plan.Model(c.Recorded, p, now)
	if again := plan.Calculate(input(c)); !again.Empty() {
		t.Errorf("not settled: %v", lines(again))
	}
}

// takes is a client that takes another one's host over.
func takes(t *testing.T, host string) plan.ClientInput {
	return becomes(t, settled(t, shop("beta")), shop("beta", func(e *manifest.Effective) { e.Hosts = []string{"beta.example", host} }))
}

// S24: while the new owner can't be planned, the old one keeps what serves.
func TestS24OldOwnerWaitsForOneThatIsNotReady(t *testing.T) {
	for name, spoil := range map[string]func(*plan.ClientInput){
		"invalid": func(c *plan.ClientInput) { c.Problems = []plan.Problem{{Name: "beta", Text: "a secret is not set"}} },
		"held":    func(c *plan.ClientInput) { *c = looked(*c, state.KindDatabase, plan.Look{Gone: true}) },
	} {
		beta := takes(t, "alpha.example")
		spoil(&beta)
		p := plan.Calculate(input(removed(settled(t, shop("alpha"))), beta))
		for _, s := range p.Steps {
			serves := s.Ref.Kind == state.KindDomain || s.Ref.Kind == state.KindRecord
			if s.Action != plan.Forget && s.Action != plan.Record && (serves || !s.Blocked || !strings.Contains(s.Reason, "beta")) {
				t.Errorf("%s: %s (%s) would run", name, line(s), s.Reason)
			}
		}
		if len(p.Problems) != 1 {
			t.Errorf("%s: %v", name, p.Problems)
		}
	}
}

// Both have a name on record: the new owner had it before, and may have it no more. Where it is gone it moves to
// him, and where nobody could look it stays.
func TestS24NewOwnerHasItOnRecord(t *testing.T) {
	beta := takes(t, "alpha.example")
	beta.Recorded = plan.Model(beta.Recorded, plan.Calculate(input(beta)), now)
	alpha := removed(settled(t, shop("alpha")))
	find(t, plan.Calculate(input(alpha, looked(beta, state.KindDomain, plan.Look{}))), "delete domain/alpha.example@local !offline")
	find(t, plan.Calculate(input(alpha, looked(beta, state.KindDomain, plan.Look{Gone: true}))), "move domain/alpha.example@local !traffic")
	s := find(t, plan.Calculate(input(alpha, looked(beta, state.KindDomain, plan.Look{Failed: "503"}))), "delete domain/alpha.example@local !offline blocked")
	if s.Reason != "waiting for beta, which takes a name over and is not ready" {
		t.Error(s.Reason)
	}
}

// A name that its owner has not let go of is waited for: held removal, or none at all.
func TestNameThatIsNotFree(t *testing.T) {
	alpha := becomes(t, settled(t, shop("alpha")), shop("alpha", func(e *manifest.Effective) { e.Host, e.Hosts = "new.example", []string{"new.example"} }))
	alpha.Tombstones = nil // held, or not due
	p := plan.Calculate(input(alpha, takes(t, "alpha.example")))
	want := []string{"create domain/alpha.example@local blocked", "create domain/new.example@local", "create record/A alpha.example blocked", "create record/A new.example"}
	if d := cmp.Diff(want, changes(p)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, s := range p.Steps {
		if s.Blocked && s.Action == plan.Create && s.Reason != "waiting for alpha, which still has it" {
			t.Errorf("%s: %s", line(s), s.Reason)
		}
	}
}

// An adopted name that moves stays adopted: it is never deleted later.
func TestRuleAdoptionMovedNameStaysAdopted(t *testing.T) {
	alpha := alter(settled(t, shop("alpha")), state.KindDomain, func(r *state.Resource) { r.Adopted = true })
	alpha, beta := removed(alpha), takes(t, "alpha.example")
	p := plan.Calculate(input(alpha, beta))
	find(t, p, "move domain/alpha.example@local !traffic")
	for _, r := range plan.Model(append(alpha.Recorded, beta.Recorded...), p, now) {
		if r.Ref.Client == beta.Client.ID && r.Ref.Host() == "alpha.example" && r.Ref.Kind == state.KindDomain && (!r.Adopted || r.ID == "") {
			t.Errorf("%s: adopted %t, id %q", r.Ref, r.Adopted, r.ID)
		}
	}
}

// A proof is needed until what it names has gone or moved: the old owner's own steps may
// be done long before.
func TestProofIsNeededUntilTheNameHasMoved(t *testing.T) {
	alpha := becomes(t, settled(t, shop("alpha")), shop("alpha", func(e *manifest.Effective) { e.Host, e.Hosts = "new.example", []string{"new.example"} }))
	domain := state.Tombstone{Client: alpha.Client.ID, Part: "domain/alpha.example@local"}
	beta := takes(t, "alpha.example")
	all := append(append([]state.Resource(nil), alpha.Recorded...), beta.Recorded...)
	p := plan.Calculate(input(alpha, beta))
	var own plan.Plan
	for _, s := range p.Steps {
		if s.Ref.Client == alpha.Client.ID {
			own.Steps = append(own.Steps, s)
		}
	}
	for _, c := range []struct {
		name string
		t    state.Tombstone
		have []state.Resource
		left bool
	}{
		{"before", domain, all, true},
		{"the old owner is done", domain, plan.Model(all, own, now), true},
		{"both are done", domain, plan.Model(all, p, now), false},
		{"a host is no resource", state.Tombstone{Client: alpha.Client.ID, Part: "host/alpha.example"}, all, false},
		{"another client's", state.Tombstone{Client: beta.Client.ID, Part: domain.Part}, all, false},
		{"the whole client", state.Tombstone{Client: alpha.Client.ID}, all, true},
		{"only retained data", state.Tombstone{Client: alpha.Client.ID}, plan.Model(alpha.Recorded, plan.Calculate(input(removed(alpha))), now), false},
	} {
		if got := plan.Left(c.t, c.have); got != c.left {
			t.Errorf("%s: left %t, want %t", c.name, got, c.left)
		}
	}
}

// Two clients pass together until nothing of the one is still to move to the other.
func TestRuleSharedKeysWhatIsStillToMove(t *testing.T) {
	has := func(e *manifest.Effective) {
		e.Host, e.Hosts = "note.example", []string{"note.example"}
		e.DNS.Records = []manifest.Record{{Type: "TXT", Name: "note", Content: "there"}}
	}
	alpha := becomes(t, settled(t, shop("alpha", has)), shop("alpha"))
	taker := becomes(t, settled(t, shop("beta")), shop("beta", has))
	unknown, other := taker, becomes(t, settled(t, shop("beta")), shop("beta"))
	unknown.Problems = []plan.Problem{{Client: unknown.Client.ID, Text: "the secret mollie is not set"}}
	keeps := alpha
	keeps.Tombstones = nil
	moved, done := plan.Calculate(input(alpha, taker)), alpha
	done.Recorded = plan.Model(alpha.Recorded, moved, now)
	for _, c := range []struct {
		name     string
		from, to plan.ClientInput
		want     bool
	}{
		{"it is to move", alpha, taker, true},
		{"it is not to go yet", keeps, taker, true},
		{"nobody asks for it", alpha, other, false},
		{"nobody knows who asks for it", alpha, unknown, true},
		{"nothing of it is to go", settled(t, shop("alpha")), unknown, false},
		{"it has moved", done, taker, false},
	} {
		if got := plan.Gives(c.from, c.to); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// S24: a name that another client's name redirects to goes after that one was led on. It
// was the other's until it moved, and the other's pass was cut off since.
func TestS24NameGoesAfterThoseThatRedirectToIt(t *testing.T) {
	hosts := func(own string) func(*manifest.Effective) {
		return func(e *manifest.Effective) { e.Host, e.Hosts = own, []string{own, "www.example"} }
	}
	alpha, beta := settled(t, shop("alpha")), settled(t, shop("beta", hosts("old.example")))
	beta.Recorded = slices.DeleteFunc(beta.Recorded, func(r state.Resource) bool {
		moved := plan.Leads(r.Ref, "old.example")
		if r.Ref.Client = alpha.Client.ID; moved {
			alpha.Recorded = append(alpha.Recorded, r)
		}
		return moved
	})
	p := plan.Calculate(input(removed(alpha), becomes(t, beta, shop("beta", hosts("alpha.example")))))
	led := find(t, p, "update domain/www.example@local !traffic")
	for _, goes := range []string{"delete domain/old.example@local !offline", "delete record/A old.example !offline"} {
		if s := find(t, p, goes); !after(p, s.Key(), led.Key()) {
			t.Errorf("%s does not wait for %s", line(s), line(led))
		}
	}
	// Also when every name has moved, and only that is left to do.
	has := becomes(t, settled(t, shop("beta", hosts("alpha.example"))), shop("beta", hosts("alpha.example")))
	for i, r := range has.Recorded {
		for j, a := range r.Attributes {
			if r.Ref.Kind == state.KindDomain && a.Name == "redirect" && a.Value.Literal == "alpha.example" {
				has.Recorded[i].Attributes = slices.Clone(r.Attributes)
				has.Recorded[i].Attributes[j].Value = state.Lit("old.example")
			}
		}
	}
	gone := removed(alpha)
	gone.Recorded = slices.DeleteFunc(slices.Clone(gone.Recorded), func(r state.Resource) bool { return plan.Leads(r.Ref, "alpha.example") })
	p = plan.Calculate(input(gone, has))
	led = find(t, p, "update domain/www.example@local !traffic")
	if s := find(t, p, "delete domain/old.example@local !offline"); !after(p, s.Key(), led.Key()) {
		t.Errorf("%s does not wait for %s when all has moved", line(s), line(led))
	}
	// Also while nothing leads it on, as its client can't be planned.
	has.Problems = []plan.Problem{{Client: has.Client.ID, Name: "beta", Text: "the secret mollie is not set"}}
	p = plan.Calculate(input(gone, has))
	for _, goes := range []string{"delete domain/old.example@local !offline blocked", "delete record/A old.example !offline blocked"} {
		if s := find(t, p, goes); s.Reason != "waiting for beta, whose www.example still redirects to old.example" {
			t.Errorf("%s: %s", line(s), s.Reason)
		}
	}
	// Not for a name that is its client's own, whoever has it, too; nor for one that stays at another host.
	own := settled(t, shop("own", hosts("alpha.example")))
	own.Problems = has.Problems
	if s := find(t, plan.Calculate(input(removed(alpha), own)), "delete domain/alpha.example@local !offline"); s.Blocked {
		t.Errorf("%s: %s", line(s), s.Reason)
	}
}

// S24: a name that people come by redirects anew to one of which a person sets the record. Where DNS answers with another
// client's until that goes, it waits for the pass after that, which looks at the person's. Where that one stays as it is, or leads to another
// host, nothing is seen later.
func TestS24AliasWaitsUntilThePersonsRecordCanBeSeen(t *testing.T) {
	hosts := func(own ...string) func(*manifest.Effective) {
		return func(e *manifest.Effective) { e.Host, e.Hosts = own[0], own }
	}
	byHand := func(e *manifest.Effective) { e.DNS.Provider = "external" }
	for name, waits := range map[string]bool{"ours goes": true, "it was adopted": false, "it leads to another host": false} {
		host := "local"
		if name == "it leads to another host" {
			host = "vercel"
		}
		alpha, beta := settled(t, shop("alpha", at(host), hosts("old.example"))), settled(t, shop("beta", byHand, hosts("beta.example", "www.example")))
		for i, r := range alpha.Recorded {
			alpha.Recorded[i].Adopted = name == "it was adopted" && r.Ref.Kind == state.KindRecord
		}
		p := plan.Calculate(input(becomes(t, alpha, shop("alpha", at(host), hosts("alpha.example"))), becomes(t, beta, shop("beta", byHand, hosts("old.example", "www.example")))))
		i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Update && s.Ref.Name == "www.example@local" })
		end := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Action.Ends() && s.Ref.Name == "A old.example" })
		if i < 0 || end < 0 {
			t.Fatalf("%s: %v", name, lines(p))
		}
		if s := p.Steps[i]; s.Blocked != waits || !after(p, s.Key(), p.Steps[end].Key()) || waits && s.Reason != "whether old.example leads here is seen once alpha's record of it has gone" {
			t.Errorf("%s: %s waits for %v: %s", name, line(s), s.Needs, s.Reason)
		}
	}
}

// S24: so where what it redirects to stays its client's. Where that is another client's by then, who comes by the name would see the other one's
// site: it is led on before ours goes.
func TestS24AliasOfANameThatIsPassedOnGoesBeforeOurRecord(t *testing.T) {
	hosts := func(own ...string) func(*manifest.Effective) {
		return func(e *manifest.Effective) { e.Host, e.Hosts = own[0], own }
	}
	byHand := func(e *manifest.Effective) { e.DNS.Provider = "external" }
	for _, who := range [][2]string{{"alpha", "beta"}, {"beta", "alpha"}} {
		for name, turns := range map[string]bool{"they swap": true, "they swap, and one has an alias": true, "the names have moved": true, "to a third one at another host": true,
			"a third one has it there": true, "it has moved to a third one with its record": true, "to a third one that can't be planned": false} {
			own := []string{"ours.example"}
			if name == "they swap, and one has an alias" {
				own = append(own, "www.ours.example")
			}
			third := strings.Contains(name, "third")
			ours, hand := settled(t, shop(who[0], hosts(own...))), settled(t, shop(who[1], byHand, hosts("hand.example", "www.example")))
			if own[0] = "hand.example"; third {
				own[0] = "new.example"
			}
			clients := []plan.ClientInput{becomes(t, ours, shop(who[0], hosts(own...))), becomes(t, hand, shop(who[1], byHand, hosts("ours.example", "www.example")))}
			if third {
				of := []func(*manifest.Effective){at("vercel")}
				if name == "it has moved to a third one with its record" {
					of[0] = byHand
				}
				clients = append(clients, becomes(t, settled(t, shop("taker", of...)), shop("taker", append(of, hosts("taker.example", "hand.example"))...)))
			}
			p := plan.Calculate(input(clients...))
			switch name {
			case "the names have moved", "it has moved to a third one with its record":
				p.Steps = slices.DeleteFunc(p.Steps, func(s plan.Step) bool { return s.Action != plan.Move })
				clients = apply(clients, p)
			case "a third one has it there":
				p.Steps = slices.DeleteFunc(p.Steps, func(s plan.Step) bool { return s.Client != "taker" || s.Action.Ends() })
				clients = apply(clients, p)
			case "to a third one that can't be planned":
				clients[2].Problems = []plan.Problem{{Client: clients[2].Client.ID, Name: "taker", Text: "the secret mollie is not set"}}
			}
			p = plan.Calculate(input(clients...))
			led, end := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Update && s.Ref.Name == "www.example@local" }), find(t, p, "delete record/A ours.example !gap")
			if led < 0 {
				t.Fatalf("%s: %v", name, lines(p))
			}
			if s := p.Steps[led]; s.Blocked == turns || after(p, end.Key(), s.Key()) != turns || after(p, s.Key(), end.Key()) == turns {
				t.Errorf("by hand: %s, %s: %s waits for %v: %s", who[1], name, line(s), s.Needs, s.Reason)
			}
		}
	}
}

// S24: of two names of one client that go, the one that redirects goes first, as long as the other one
// answers: it may be on its way to another client, whose people come by it.
func TestS24OfTwoNamesThatGoTheOneThatRedirectsGoesFirst(t *testing.T) {
	hosts := func(own ...string) func(*manifest.Effective) {
		return func(e *manifest.Effective) { e.Host, e.Hosts = own[0], own }
	}
	alpha, beta := settled(t, shop("alpha", hosts("old.example", "www.example"))), settled(t, shop("beta"))
	for name, goes := range map[string]plan.ClientInput{"removed": removed(alpha), "renamed": becomes(t, alpha, shop("alpha", hosts("new.example")))} {
		p := plan.Calculate(input(goes, beta))
		for _, kind := range []string{"delete record/A %s !offline", "delete domain/%s@local !offline"} {
			redirects := find(t, p, fmt.Sprintf(kind, "www.example"))
			if s := find(t, p, fmt.Sprintf(kind, "old.example")); !after(p, s.Key(), redirects.Key()) {
				t.Errorf("%s: %s does not wait for %s", name, line(s), line(redirects))
			}
		}
	}
}

// S24: so of two clients' names, where what redirects is on its way to a third one at another host: the name that it
// redirects to stays while that waits.
func TestS24NameGoesAfterAnotherClientsThatRedirectsToItAndGoes(t *testing.T) {
	hosts := func(own ...string) func(*manifest.Effective) {
		return func(e *manifest.Effective) { e.Host, e.Hosts = own[0], own }
	}
	alpha, beta := settled(t, shop("alpha", hosts("old.example"))), settled(t, shop("beta", hosts("beta.example", "www.example")))
	for i, r := range beta.Recorded { // as it was led before the two swapped their names, and its pass was cut off
		for j, a := range r.Attributes {
			if r.Ref.Kind == state.KindDomain && a.Name == "redirect" && a.Value.Literal == "beta.example" {
				beta.Recorded[i].Attributes = slices.Clone(r.Attributes)
				beta.Recorded[i].Attributes[j].Value = state.Lit("old.example")
			}
		}
	}
	beta = becomes(t, beta, shop("beta", hosts("beta.example")))
	taker := becomes(t, settled(t, shop("taker", at("vercel"))), shop("taker", at("vercel"), hosts("taker.example", "www.example")))
	for name, clients := range map[string][]plan.ClientInput{"it goes": {removed(alpha), beta}, "to a third one": {removed(alpha), beta, taker}} {
		p := plan.Calculate(input(clients...))
		redirects := find(t, p, "delete domain/www.example@local !offline")
		for _, kind := range []string{"delete record/A old.example !offline", "delete domain/old.example@local !offline"} {
			if s := find(t, p, kind); !after(p, s.Key(), redirects.Key()) {
				t.Errorf("%s: %s does not wait for %s", name, line(s), line(redirects))
			}
		}
	}
}

// A name is taken from another client only by a site of which somebody saw that it is there:
// whoever deleted it by hand would take the name down with it.
func TestNameWaitsForALookAtItsNewSite(t *testing.T) {
	alias := func(e *manifest.Effective) { e.Hosts = append(e.Hosts, "www.example") }
	from, to := settled(t, shop("bakery", alias)), settled(t, shop("florist"))
	from, to = becomes(t, from, shop("bakery")), becomes(t, to, shop("florist", alias))
	for _, kind := range []state.Kind{"", state.KindSite, state.KindDeployment, state.KindTraffic, state.KindDatabase} {
		p := plan.Calculate(input(from, looked(to, kind, plan.Look{Failed: "503"})))
		moves, waits := 0, kind != "" && kind != state.KindDatabase
		for _, s := range p.Steps {
			if s.Action == plan.Move {
				moves++
				if s.Blocked != waits {
					t.Errorf("no look at the %s: %s", kind, line(s))
				}
			}
			if s.Ref.Client == from.Client.ID && s.Action == plan.Delete && s.Blocked != waits {
				t.Errorf("no look at the %s: %s", kind, line(s))
			}
		}
		if moves == 0 {
			t.Fatalf("nothing moves: %v", lines(p))
		}
	}
}

// A name is led to a site for the first time when somebody saw that it is there: also the
// client's own, as when its records were set by hand so far. A record that was deleted is put back.
func TestNameIsLedToASiteThatSomebodySaw(t *testing.T) {
	byHand := settled(t, shop("shop", func(e *manifest.Effective) { e.DNS.Provider = "external" }))
	ours := becomes(t, byHand, shop("shop"))
	first := settled(t, shop("shop"))
	first.Recorded = slices.DeleteFunc(first.Recorded, func(r state.Resource) bool { return r.Ref.Kind == state.KindRecord })
	leads := func(c plan.ClientInput, a plan.Action, kind state.Kind) plan.Step {
		p := plan.Calculate(input(looked(c, kind, plan.Look{Failed: "503"})))
		for _, s := range p.Steps {
			if s.Ref.Kind == state.KindRecord && s.Action == a {
				return s
			}
		}
		t.Fatalf("no record: %v", lines(p))
		return plan.Step{}
	}
	for _, kind := range []state.Kind{"", state.KindSite, state.KindDeployment, state.KindTraffic, state.KindDomain, state.KindDatabase} {
		waits := kind != "" && kind != state.KindDatabase
		for _, s := range []plan.Step{leads(ours, plan.Replace, kind), leads(first, plan.Create, kind)} {
			if s.Blocked != waits {
				t.Errorf("no look at the %s: %s", kind, line(s))
			}
		}
	}
	deleted := looked(settled(t, shop("shop")), state.KindRecord, plan.Look{Gone: true})
	if s := leads(deleted, plan.Create, state.KindSite); s.Blocked {
		t.Errorf("what somebody deleted stays away: %s", line(s))
	}
}
