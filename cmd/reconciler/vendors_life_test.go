package main

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// S24: a name goes from one client to another in one commit, at each host and from one host to
// the other. Somebody answers for it at every request that is made meanwhile; where the new one
// can't be made ready the name stays. The clients' accounts for payments are not touched by it.
func TestS24OverVendors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		from, to func(string, ...string) string
	}{{"at ploi", atPloi, atPloi}, {"at vercel", atVercel, atVercel}, {"from ploi to vercel", atPloi, atVercel}, {"from vercel to ploi", atVercel, atPloi}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const shared = "shop." + agencyZone
			alias := "aliases: [" + shared + "]"
			light := []string{"database: {provider: none}", "env: {DATABASE_URL: {none: true}}", shopPays}
			client := func(at func(string, ...string) string, name string, more ...string) string {
				return at(name, append(slices.Clone(light), more...)...)
			}
			f := newFleet(t, usual(), map[string]string{"clients/a.yaml": client(c.from, "a", alias), "clients/b.yaml": client(c.to, "b")})
			f.settle("a", "b")
			answers := func(when string) {
				code, page := f.visit(shared, "/")
				if code != http.StatusOK && code != http.StatusPermanentRedirect {
					t.Errorf("%s: %s answers %d %s", when, shared, code, page)
				}
			}
			answers("before")
			accounts := f.stripe.Accounts()
			for vendor, faults := range f.faults { // a look at every request
				faults.Add(simulator.Fault{Times: -1, Do: simulator.LoseAnswer(), Match: func(r *http.Request, _ []byte) bool {
					answers("before " + vendor + " " + r.Method + " " + r.URL.Path)
					return false
				}})
			}
			f.commit(map[string]string{"clients/a.yaml": client(c.from, "a"), "clients/b.yaml": client(c.to, "b", alias, "settings: {breakBuild: true}")})
			// There is a certificate once the name leads there; within Vercel it comes along.
			gap := c.from("x") != c.to("x") || c.to("x") == atPloi("x")
			if r := rowOf(f.apply(), "b"); r.Status != string(state.StatusFailed) && !(gap && r.Status == string(state.StatusHeld)) {
				t.Errorf("b is %s: %s", r.Status, r.Because)
			}
			f.commit(map[string]string{"clients/b.yaml": client(c.to, "b", alias)})
			if gap {
				v := f.apply()
				if len(v.Holds) != 1 || !strings.Contains(v.Holds[0].Reason, "there would be a time without service") {
					t.Fatalf("held: %+v", v.Holds)
				}
				f.must(0, "approve", v.Holds[0].Fingerprint)
			}
			f.settle("a", "b")
			for range 6 {
				if len(f.plan().Changes) == 0 {
					break
				}
				f.clock.add(time.Hour) // what was left serves until names are forgotten
				f.apply()
			}
			if v := f.plan(); len(v.Changes) > 0 {
				t.Errorf("there is still something to do: %+v", v.Changes)
			}
			f.settle("a", "b")
			answers("in the end")
			if got := f.stripe.Accounts(); len(got) != 4 || !reflect.DeepEqual(got, accounts) { // and two look-alikes
				t.Errorf("the accounts are\n%+v\nand were\n%+v", got, accounts)
			}
			records := 0
			for _, r := range f.cloudflare.Records(f.zone()) {
				if r.Name == shared {
					records++
				}
			}
			if records != 1 {
				t.Errorf("%d records of the name", records)
			}
		})
	}
}

// S41: what somebody changes by hand at a vendor is found, with field, before and after, and is
// put back after two equal looks where the policy says so. S42: what is not ours is never
// touched, also when the client goes.
func TestS41S42OverVendors(t *testing.T) {
	t.Parallel()
	heal := "drift: {fields: [{field: record.content, policy: heal}]}"
	f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atVercel("keeper"),
		"clients/demoshop.yaml": atPloi("demoshop", heal, "env: {STORE_CURRENCY: EUR}", shopPays), "clients/bakery.yaml": atVercel("bakery", "env: {STORE_CURRENCY: EUR}")})
	f.start()
	f.settle("demoshop", "bakery", "keeper")
	edit := func(name, content string) {
		t.Helper()
		for _, r := range f.cloudflare.Records(f.zone()) {
			if r.Name == site(name) && r.Type == "A" {
				if err := f.cloudflare.Edit(r.ID, func(r *cloudflaresim.Record) { r.Content = content }); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	edit("demoshop", "198.51.100.1")
	edit("bakery", "198.51.100.2")
	for _, project := range f.vercel.Projects() {
		if strings.HasPrefix(project, "bakery-") && !f.vercel.Edit(project, "STORE_CURRENCY", "USD", "plain", "", "production") {
			t.Fatal("no project")
		}
	}
	for _, s := range f.ploi.Sites() {
		if whose(s.Domain) == "demoshop" && !strings.Contains(s.Domain, "ffffff") {
			f.ploi.Edit(s.ID, func(s *ploisim.Site) {
				s.Env.Now = strings.Replace(s.Env.Now, "STORE_CURRENCY=EUR", "STORE_CURRENCY=CHF", 1)
			})
		}
	}
	for _, a := range f.stripe.Accounts() {
		if whose(a.Metadata["reconciler_name"]) == "demoshop" && a.Metadata["reconciler_name"] != lookAlike {
			f.askStripe(http.MethodPost, "/v1/accounts/"+a.ID, "metadata[reconciler_tier]=premium")
		}
	}
	look := func() {
		t.Helper()
		f.clock.add(2 * time.Minute) // lists may be late
		if err := f.daemon.program.watchDrift(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.apply()
	}
	n := f.sent.len()
	look()
	want := map[string][]string{
		"demoshop": {"content: 203.0.113.10 became 198.51.100.1", "env.STORE_CURRENCY: EUR became CHF", "tier: standard became premium"},
		"bakery":   {"content: 76.76.21.21 became 198.51.100.2", "env.STORE_CURRENCY: EUR became USD"},
	}
	rows := func(name string) (out []string) {
		for _, r := range f.why(name).DriftRows {
			out = append(out, fmt.Sprintf("%s: %s became %s", r.Field, r.Before, r.After))
		}
		slices.Sort(out)
		return out
	}
	for name, want := range want {
		if got := rows(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	look()
	look()
	if got := f.sent.writes(n); len(got) != 1 || !strings.HasPrefix(got[0], "cloudflare PATCH") {
		t.Errorf("writes: %q", got)
	}
	if a, b := f.cloudflare.Answers("A", site("demoshop")), f.cloudflare.Answers("A", site("bakery")); !slices.Equal(a, []string{ploiServer}) || !slices.Equal(b, []string{"198.51.100.2"}) {
		t.Errorf("demoshop leads to %v, bakery to %v", a, b)
	}
	if got := rows("demoshop"); !slices.Equal(got, want["demoshop"][1:]) {
		t.Errorf("demoshop afterwards: %q", got)
	}

	// S42: demoshop has records that people made (they are look-alikes, too), and it goes.
	f.commit(map[string]string{"clients/demoshop.yaml": ""})
	for range 4 {
		f.apply()
		f.clock.add(time.Hour)
	}
	if r := f.why("demoshop"); r.Status != string(state.StatusRetained) {
		t.Errorf("demoshop is %s: %s", r.Status, r.Because)
	}
	got := slices.DeleteFunc(f.things(), func(x string) bool { return !strings.Contains(x, "demoshop") || strings.HasPrefix(x, "resend") })
	if !slices.Equal(got, []string{"railway project demoshop with 1, 1, 1, 1", "stripe account demoshop"}) {
		t.Errorf("of demoshop there is %q", got)
	}
}

// askStripe asks with the installation's key, as a person's program does.
func (f *fleet) askStripe(method, path, form string) {
	f.t.Helper()
	r := mustRequest(f.t, method, f.env[apiVariable("stripe")]+path, form)
	r.Header.Set("Authorization", "Bearer "+f.env["STRIPE_API_KEY"])
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil || a.StatusCode != http.StatusOK {
		f.t.Fatal(a, err)
	}
	if err := a.Body.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// S43: the state is lost. What is at the vendors tells whose it is: ids, sites, databases, the
// earlier release. `rebuild` writes nothing, and what was changed by hand is the whole next
// plan.
func TestS43OverVendors(t *testing.T) {
	t.Parallel()
	plain := shopPays + "\nenv: {STORE_CURRENCY: EUR, PAYLOAD_SECRET: {none: true}}"
	f := newFleet(t, usual(), map[string]string{"clients/demoshop.yaml": atPloi("demoshop", plain, "aliases: [www.demoshop.agency.example]"), "clients/bakery.yaml": withUser(atVercel("bakery", plain)), "clients/was.yaml": atPloi("was", plain)})
	f.settle("demoshop", "bakery", "was")
	f.configure("guard: {maxDeletePercent: 100}\n")
	f.commit(map[string]string{"clients/was.yaml": ""})
	f.apply()
	f.clock.add(time.Hour)
	f.apply()
	ids := map[string]state.ClientID{"demoshop": f.id("demoshop"), "bakery": f.id("bakery"), "was": f.id("was")}
	account := rowOf(f.status(), "bakery").Payments.Account
	before := f.things()
	for _, r := range f.cloudflare.Records(f.zone()) {
		if r.Name == site("bakery") {
			if err := f.cloudflare.Edit(r.ID, func(r *cloudflaresim.Record) { r.Content = "198.51.100.2" }); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.clock.add(5 * time.Minute)
	f.loseState()
	n := f.sent.len()
	if r := f.must(1, "apply"); !strings.Contains(r.err, "reconciler rebuild") {
		t.Errorf("apply says %s", r.err)
	}
	r := f.must(0, "rebuild")
	if got := f.sent.writes(n); len(got) > 0 {
		t.Errorf("a rebuild wrote %q\n%s", got, r.out)
	}
	for name, id := range ids {
		if got := f.id(name); got != id {
			t.Errorf("%s is %s, was %s", name, got, id)
		}
	}
	if got := changes(f.plan()); !slices.Equal(got, []string{"bakery update record/A bakery.agency.example"}) {
		t.Errorf("the plan: %q", got)
	}
	f.settle("demoshop", "bakery")
	if got := f.things(); !slices.Equal(got, before) {
		t.Errorf("there is\n%s\nand was\n%s", strings.Join(got, "\n"), strings.Join(before, "\n"))
	}
	if got := f.sent.writes(n); len(got) != 1 {
		t.Errorf("writes: %q", got)
	}
	if r := rowOf(f.status(), "bakery").Payments; r == nil || r.Account != account || r.Needs == "" {
		t.Errorf("the account of bakery is %+v, was %s", r, account)
	}
	if r := f.why("was"); r.Status != string(state.StatusRetained) {
		t.Errorf("was is %s: %s", r.Status, r.Because)
	}
}

// S44: a site answers 500 for three checks: degraded, told once; then well again, told once;
// the uptime is right. Its account for payments and its first user are not touched by it.
func TestS44OverVendors(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/demoshop.yaml": paying(atPloi)("demoshop"), "clients/bakery.yaml": atVercel("bakery")})
	f.configure("notify: {mail: [ops@" + agencyZone + "]}\npublicURL: https://reconciler." + agencyZone + "\n")
	f.start()
	f.settle("demoshop", "bakery")
	accounts, users := f.stripe.Accounts(), f.payload.users()
	defer func() {
		if a, u := f.stripe.Accounts(), f.payload.users(); len(a) != 3 || len(u) != 1 || !reflect.DeepEqual(a, accounts) || !reflect.DeepEqual(u, users) {
			t.Errorf("accounts and users are\n%+v\n%+v\nand were\n%+v\n%+v", a, u, accounts, users)
		}
	}()
	for _, s := range f.ploi.Sites() {
		if whose(s.Domain) == "demoshop" && !strings.Contains(s.Domain, "ffffff") {
			f.ploi.Edit(s.ID, func(s *ploisim.Site) { s.Pages.Sick = true })
		}
	}
	check := func(times int) {
		t.Helper()
		for range times {
			f.clock.add(5 * time.Minute)
			if err := f.daemon.program.engine.ProbeAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			for range 12 {
				f.clock.add(time.Minute)
				if err := f.daemon.program.tellPeople(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	told := func() (out []string) {
		for _, m := range f.resend.Sent() {
			if strings.HasPrefix(m.To[0], "ops@") {
				out = append(out, m.Subject)
			}
		}
		return out
	}
	check(2)
	if r := rowOf(f.status(), "demoshop"); r.Health == "degraded" || len(told()) > 0 {
		t.Errorf("after two checks it is %s; told %q", r.Health, told())
	}
	check(3)
	if r := rowOf(f.status(), "demoshop"); r.Health != "degraded" || len(told()) != 1 {
		t.Errorf("after five checks it is %s; told %q", r.Health, told())
	}
	for _, s := range f.ploi.Sites() {
		if s.Pages.Sick {
			f.ploi.Edit(s.ID, func(s *ploisim.Site) { s.Pages.Sick = false })
		}
	}
	check(5)
	if r := rowOf(f.status(), "demoshop"); r.Health != "healthy" || fmt.Sprint(r.Uptime) != fmt.Sprint(rowOf(f.status(), "bakery").Uptime/2) {
		t.Errorf("it is %s, up %v; bakery %v", r.Health, r.Uptime, rowOf(f.status(), "bakery").Uptime)
	}
	if got := told(); !slices.Equal(got, []string{"demoshop does not answer as it should", "demoshop is well again"}) {
		t.Errorf("told %q", got)
	}
}

// S52: demoshop is removed and its database kept. Another one of that name is held until its
// manifest says whether it takes that database over; each answer does what it says.
func TestS52OverVendors(t *testing.T) {
	t.Parallel()
	for _, reuse := range []string{"retained", "fresh"} {
		t.Run(reuse, func(t *testing.T) {
			t.Parallel()
			shop := func(domain, more string) map[string]string {
				return map[string]string{"clients/demoshop.yaml": strings.Replace(atPloi("demoshop", more), "domain: demoshop", "domain: "+domain, 1)}
			}
			f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atPloi("keeper", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
			f.commit(shop("demoshop", shopPays+"\nnotes: the first"))
			f.settle("demoshop", "keeper")
			f.commit(map[string]string{"clients/demoshop.yaml": ""})
			for range 3 {
				f.apply()
				f.clock.add(time.Hour)
			}
			f.clock.add(7 * 24 * time.Hour)
			first := f.railway.Projects()
			n := f.sent.len()
			f.commit(shop("other-shop", shopPays+"\nnotes: another customer"))
			v := f.apply()
			if r := rowOf(v, "demoshop"); r.Status != string(state.StatusHeld) && len(v.Problems) == 0 || !strings.Contains(r.Because+fmt.Sprint(v.Problems), "reuse") {
				t.Errorf("demoshop is %s: %s; %+v", r.Status, r.Because, v.Problems)
			}
			for _, x := range f.sent.writes(n) {
				if strings.HasPrefix(x, "railway") {
					t.Errorf("written meanwhile: %s", x)
				}
			}
			f.commit(shop("other-shop", shopPays+"\ndatabase: {reuse: "+reuse+"}"))
			f.settle("demoshop")
			alive := 0
			for _, p := range f.railway.Projects() {
				if whose(p.Name) == "demoshop" && !p.Deleted && !strings.Contains(p.Name, "ffffff") {
					alive++
				}
			}
			if want := map[string]int{"retained": 1, "fresh": 2}[reuse]; alive != want {
				t.Errorf("%d databases of demoshop, want %d (there were %d projects)", alive, want, len(first))
			}
			// Whoever takes the database over is the same customer, with the same account; another
			// one has another, and the first one's stays as it is.
			var accounts []string
			for _, a := range f.stripe.Accounts() {
				if strings.HasPrefix(a.Metadata["reconciler_name"], "demoshop-") && a.Metadata["reconciler_name"] != lookAlike {
					accounts = append(accounts, a.ID+" "+a.URL)
				}
			}
			now := " https://other-shop." + agencyZone
			if r := rowOf(f.status(), "demoshop").Payments; r == nil || len(accounts) != map[string]int{"retained": 1, "fresh": 2}[reuse] || accounts[len(accounts)-1] != r.Account+now || strings.HasSuffix(accounts[0], now) != (reuse == "retained") {
				t.Errorf("accounts %q; it has %+v", accounts, r)
			}
		})
	}
}
