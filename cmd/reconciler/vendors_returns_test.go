package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	railwaysim "github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// databaseAt is a client's project at Railway.
func (f *fleet) databaseAt(name string) (out railwaysim.Project) {
	for _, p := range f.railway.Projects() {
		if whose(p.Name) == name && !strings.Contains(p.Name, "ffffff") {
			out = p
		}
	}
	return out
}

// wantAddress wants the site to have been given the address that its database has, and nothing to be left to do.
func (f *fleet) wantAddress(name, when string) {
	f.t.Helper()
	if got, want := f.environment(name)["DATABASE_URL"], f.databaseAt(name).URL; got != want || !strings.Contains(want, "@tokkaido") {
		f.t.Errorf("%s: the site of %s has another address than its database", when, name)
	}
	if v := f.plan(); len(v.Changes)+len(v.Problems) > 0 {
		f.t.Errorf("%s: there is still something to do: %q %+v", when, changes(v), v.Problems)
	}
}

// S23: while a database is out of use somebody gives it another password at Railway, or takes its public address away. Who
// returns to it is deployed with the address that it has by then, and can reach it.
func TestS23WhoReturnsHasTheAddressThatItsDatabaseHasByNow(t *testing.T) {
	t.Parallel()
	const open = "database: {access: public}"
	for _, host := range []string{"ploi", "vercel"} {
		at := map[string]func(string, ...string) string{"ploi": atPloi, "vercel": atVercel}[host]
		for what, change := range map[string]func(*fleet, string){
			"another password":  func(f *fleet, id string) { f.railway.Set(id, "POSTGRES_PASSWORD", "another-password") },
			"no public address": func(f *fleet, id string) { f.railway.CloseOff(id) },
		} {
			for part, without := range map[string]string{"the client": "", "the database": at("a", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")} {
				t.Run(host+" "+what+" "+part, func(t *testing.T) {
					t.Parallel()
					f := newFleet(t, usual(), map[string]string{"clients/a.yaml": at("a", open), "clients/keeper.yaml": at("keeper")})
					f.settle("a", "keeper")
					f.commit(map[string]string{"clients/a.yaml": without})
					for range 3 {
						f.apply()
						f.clock.add(time.Hour)
					}
					id := f.databaseAt("a").ID
					change(f, id)
					f.commit(map[string]string{"clients/a.yaml": at("a", open)})
					f.settle("a")
					f.wantAddress("a", "back")
					if now := f.databaseAt("a").ID; now != id {
						t.Errorf("it has the database %s, and had %s", now, id)
					}
				})
			}
		}
	}
}

// P12: a database was given another password at its vendor, and its site was deployed with it. A plan of that client from
// then on shows what a change comes to, and nothing where nothing changes.
func TestP12PlanAfterADatabaseHadAnotherAddress(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/a.yaml": atVercel("a")})
	f.settle("a")
	f.railway.Set(f.databaseAt("a").ID, "POSTGRES_PASSWORD", "another-password")
	f.commit(map[string]string{"clients/a.yaml": atVercel("a", "env: {STORE_CURRENCY: EUR}")})
	f.settle("a")
	f.wantAddress("a", "deployed")
	f.commit(map[string]string{"clients/a.yaml": atVercel("a", "env: {STORE_CURRENCY: CHF}")})
	want := changes(f.plan())
	if len(want) == 0 {
		t.Fatal("nothing is planned")
	}
	f.settle("a")
	var got []string
	for _, s := range f.why("a").Last.Steps {
		if s.Action != "probe" && s.Action != "await" && s.Action != "record" {
			got = append(got, "a "+s.Action+" "+string(s.Ref.Kind)+"/"+s.Ref.Name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("done is %q, and planned was %q", got, want)
	}
}

// accountOf is a client's account at Stripe.
func (f *fleet) accountOf(name string) (out stripesim.Account) {
	for _, a := range f.stripe.Accounts() {
		if whose(a.Metadata["reconciler_name"]) == name && a.Metadata["reconciler_name"] != lookAlike {
			out = a
		}
	}
	return out
}

// S28: payments are left out and said again with another country, which an account never changes: the plan says so before
// it is merged, and what it says to do leads to an account in that country.
func TestS28PaymentsReturnInAnotherCountry(t *testing.T) {
	t.Parallel()
	shop := func(country string) map[string]string {
		if country != "" {
			country = strings.Replace(shopPays, "NL", country, 1)
		}
		return map[string]string{"clients/a.yaml": atVercel("a", country)}
	}
	f := newFleet(t, usual(), shop("NL"))
	f.settle("a")
	first := f.accountOf("a")
	f.commit(shop(""))
	f.settle("a")
	f.commit(shop("DE"))
	if v := f.plan(); len(v.Problems) != 1 || !strings.Contains(v.Problems[0].Hint, "close this one at stripe") {
		t.Errorf("the plan says %q, %+v", changes(v), v.Problems)
	}
	if r := rowOf(f.apply(), "a"); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "country of the payments changes") {
		t.Errorf("it is %s: %s", r.Status, r.Because)
	}
	// As it says: closed, left out, and said again. On the first day Stripe's memory is in the way, and that is told.
	if err := f.stripe.Close(first.ID); err != nil {
		t.Fatal(err)
	}
	f.commit(shop(""))
	f.settle("a")
	f.commit(shop("DE"))
	for range 3 {
		f.apply() // its lists may be late
		f.clock.add(5 * time.Minute)
	}
	if r := rowOf(f.apply(), "a"); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "a day after the first call") {
		t.Errorf("on the same day it is %s: %s", r.Status, r.Because)
	}
	f.clock.add(25 * time.Hour)
	f.must(0, "retry", "a")
	f.settle("a")
	if now := f.accountOf("a"); now.Country != "DE" || now.ID == first.ID {
		t.Errorf("it has the account %+v", now)
	}
}

// S41: a database stops at Railway, or somebody deletes its service and its volume there and leaves the project. Looks say
// so; who changes or is tried again has it started, or is held, and its site stays as it is.
func TestS41DatabaseThatDoesNotRun(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		happens func(f *fleet, id string)
		says    string
		next    string
		starts  bool
	}{
		"crashed": {func(f *fleet, id string) { f.railway.End(id, "CRASHED") }, "ended as crashed", "`reconciler retry a` starts it again", true},
		"deleted": {func(f *fleet, id string) { f.railway.Drop(id) }, "is gone at railway", "restore it at railway", false},
	} {
		for _, then := range []string{"retry", "a commit"} {
			t.Run(what+" "+then, func(t *testing.T) {
				t.Parallel()
				f := newFleet(t, usual(), map[string]string{"clients/a.yaml": atVercel("a", "database: {access: public}")})
				f.settle("a")
				f.start()
				f.clock.add(time.Hour)
				c.happens(f, f.databaseAt("a").ID)
				if err := f.daemon.program.watchDrift(t.Context()); err != nil {
					t.Fatal(err)
				}
				if out := f.must(1, "drift", "a").out; !strings.Contains(out, c.says) || !strings.Contains(out, c.next) {
					t.Errorf("looks say\n%s", out)
				}
				if then == "retry" {
					f.must(0, "retry", "a")
				} else {
					f.commit(map[string]string{"clients/a.yaml": atVercel("a", "database: {access: public}", "env: {STORE_CURRENCY: CHF}")})
				}
				for range 3 {
					f.apply()
					f.clock.add(5 * time.Minute)
				}
				r := rowOf(f.status(), "a")
				if c.starts {
					if r.Status != string(state.StatusActive) {
						t.Errorf("it is %s: %s", r.Status, r.Because)
					}
					f.wantAddress("a", "started")
					return
				}
				if r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, c.says) {
					t.Errorf("it is %s: %s", r.Status, r.Because)
				}
				if got := f.environment("a")["STORE_CURRENCY"]; got != "" {
					t.Errorf("its site was changed: %s", got)
				}
			})
		}
	}
}

// S41: what is gone and holds data is not made again by a retry, and no look says so.
func TestS41WhatIsGoneWithItsDataIsRestoredByAPerson(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/a.yaml": atVercel("a", shopPays)})
	f.settle("a")
	f.railway.Schedule(f.databaseAt("a").ID, true)
	if err := f.stripe.Close(f.accountOf("a").ID); err != nil {
		t.Fatal(err)
	}
	f.clock.add(5 * time.Minute)
	out := f.must(1, "drift", "a").out
	for _, want := range []string{"restore it at railway, then `reconciler retry a`", "open it again at stripe, then `reconciler retry a`"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "makes it again") {
		t.Errorf("a look says\n%s", out)
	}
}
