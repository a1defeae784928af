package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// pageType is a gateway's page.
func pageType() http.Header { return http.Header{"Content-Type": {"text/html"}} }

// jsonType is a vendor's answer.
func jsonType() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// S28: each vendor refuses a client's step for good. It is failed (or held) in the vendor's
// words, with what to do; what was made stays, as its manifest says; others are not affected;
// `retry` goes on from there.
func TestS28OverVendors(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atPloi("keeper", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	f.settle("keeper")
	for _, c := range []struct {
		vendor, client, words string
		fault                 simulator.Fault
		manifest              func(string, ...string) string
	}{
		{"vercel", "vienna", "Resource is limited", simulator.Fault{Method: http.MethodPost, Path: "/v13/deployments", Do: simulator.Refuse(402, jsonType(), `{"error":{"code":"api-deployments-free-per-day","message":"Resource is limited - try again in 24 hours"}}`)}, atVercel},
		{"ploi", "padua", "The server has no room", simulator.Fault{Method: http.MethodPost, Path: "/api/servers/*/sites/*/deploy", Do: simulator.Refuse(422, jsonType(), `{"message":"The server has no room","errors":{"server":["The server has no room"]}}`)}, atPloi},
		{"cloudflare", "como", "as many records as its plan allows", simulator.Fault{Method: http.MethodPost, Path: "/client/v4/zones/*/dns_records*", Do: simulator.Refuse(400, jsonType(), `{"success":false,"errors":[{"code":81045,"message":"Record quota exceeded."}],"messages":[],"result":null}`)}, atPloi},
		{"stripe", "siena", "signed up for Connect", simulator.Fault{Method: http.MethodPost, Path: "/v1/accounts", Do: simulator.Refuse(400, jsonType(), `{"error":{"type":"invalid_request_error","message":"You can only create new accounts if you've signed up for Connect"}}`)}, paying(atPloi)},
		{"payload", "pisa", "phone", simulator.Fault{Method: http.MethodPost, Path: payloadUsers + "first-register", Do: simulator.Refuse(400, jsonType(), `{"errors":[{"name":"ValidationError","message":"The following field is invalid: phone","data":{"errors":[{"path":"phone"}]}}]}`)}, paying(atVercel)},
		{"railway", "rimini", "not allowed", simulator.Fault{Match: writing, Do: simulator.Refuse(400, jsonType(), `{"errors":[{"message":"not allowed on this plan"}]}`)}, atPloi},
	} {
		c.fault.Times = -1
		f.faults[c.vendor].Add(c.fault)
		f.commit(map[string]string{"clients/" + c.client + ".yaml": c.manifest(c.client, "onFailure: keep")})
		f.apply()
		v := f.apply()
		if r := rowOf(v, c.client); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, c.words) || !strings.Contains(r.Next, "reconciler retry "+c.client) {
			t.Errorf("%s: %s is %s: %s; %s", c.vendor, c.client, r.Status, r.Because, r.Next)
		}
		if !strings.HasPrefix(v.Verdict, "failure") {
			t.Errorf("%s: the verdict is %q", c.vendor, v.Verdict)
		}
		if r := rowOf(v, "keeper"); r.Status != string(state.StatusActive) {
			t.Errorf("%s: keeper is %s", c.vendor, r.Status)
		}
		f.faults[c.vendor].Clear()
		n := f.sent.len()
		f.must(0, "retry", c.client)
		f.settle(c.client, "keeper")
		for _, x := range f.sent.since(n) {
			if x.Call == "makeProject" && c.vendor != "railway" {
				t.Errorf("%s: the database is made again", c.vendor)
			}
		}
	}
	f.wantThings("after the retries", slices.Concat(wholeOf("vercel", "vienna"), wholeOf("ploi", "padua"), wholeOf("ploi", "como"), wholeOf("ploi", "rimini"),
		wholeOf("ploi", "siena"), paysAndUser("siena"), wholeOf("vercel", "pisa"), paysAndUser("pisa"),
		[]string{"ploi site keeper", "cloudflare A " + site("keeper"), "resend dana@keeper.example Shop keeper is ready"})...)
}

// said counts the daemon's log lines that hold all of these.
func (f *fleet) said(all ...string) (n int) {
	for line := range strings.Lines(f.daemon.out.String()) {
		if !slices.ContainsFunc(all, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

// toldByMail is the configuration under which those who run it are mailed.
const toldByMail = "notify: {mail: [ops@" + agencyZone + "]}\n"

// minutes go by, and those who run it are told what is new.
func (f *fleet) minutes(n int) {
	f.t.Helper()
	for range n {
		f.clock.add(time.Minute)
		if err := f.daemon.program.tellPeople(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
	}
}

// mailed are the subjects of what they got.
func (f *fleet) mailed() (out []string) {
	for _, m := range f.resend.Sent() {
		if m.To[0] == "ops@"+agencyZone {
			out = append(out, m.Subject)
		}
	}
	return out
}

// S31: Cloudflare answers 503 for half an hour. Steps that don't need it go on, whoever doesn't
// need it is provisioned, statuses say for whom it is waited, it is told once and its end once,
// by one mail each though the daemon starts anew meanwhile, and all is done within two minutes
// of its return.
func TestS31OverVendors(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atVercel("keeper")})
	f.configure(toldByMail)
	f.start()
	f.settle("keeper")
	f.minutes(3)
	f.faults["cloudflare"].Add(simulator.Fault{Times: -1, Do: simulator.Refuse(503, pageType(), "<html>503</html>")})
	f.commit(map[string]string{"clients/demoshop.yaml": paying(atPloi)("demoshop"), "clients/bakery.yaml": atVercel("bakery", shopPays), "clients/florist.yaml": strings.Replace(atPloi("florist", "dns: {provider: none}"), "domain: florist", "domain: shop.florist.example", 1)})
	from, anew := f.now(), false
	for f.now().Sub(from) < 30*time.Minute {
		v := f.apply()
		for _, name := range []string{"demoshop", "bakery"} {
			if r := rowOf(v, name); r.Status == string(state.StatusFailed) || r.Status == string(state.StatusActive) {
				t.Fatalf("%s is %s: %s", name, r.Status, r.Because)
			}
		}
		f.minutes(1)
		f.clock.add(30 * time.Second)
		if len(f.mailed()) == 1 && !anew {
			anew = true
			f.stop()
			f.start()
		}
	}
	v := f.apply()
	if got := f.mailed(); !anew || !slices.Equal(got, []string{"cloudflare does not answer"}) {
		t.Errorf("mailed %q", got)
	}
	for _, name := range []string{"demoshop", "bakery"} {
		if r := rowOf(v, name); !strings.HasPrefix(r.Because, "waiting for cloudflare") {
			t.Errorf("%s is %s: %s", name, r.Status, r.Because)
		}
	}
	if r := rowOf(v, "florist"); r.Status != string(state.StatusActive) {
		t.Errorf("florist, which needs no DNS, is %s: %s", r.Status, r.Because)
	}
	if n := len(v.Notices); n != 1 || !strings.HasPrefix(v.Notices[0], "cloudflare does not answer since ") {
		t.Errorf("notices: %q", v.Notices)
	}
	built := f.things()
	for _, want := range []string{"stripe account demoshop", "stripe account bakery", "payload dana@demoshop.example", "vercel project bakery", "ploi site demoshop", "railway project demoshop with 1, 1, 1, 1"} {
		if !slices.Contains(built, want) {
			t.Errorf("%s is not there meanwhile", want)
		}
	}
	f.faults["cloudflare"].Clear()
	back := f.now()
	f.until("all is done", func() bool { // the vendor is asked again after a real moment
		v = f.apply()
		if rowOf(v, "demoshop").Status == string(state.StatusActive) && rowOf(v, "bakery").Status == string(state.StatusActive) {
			return true
		}
		if f.now().Sub(back) < 100*time.Second {
			f.clock.add(10 * time.Second)
		}
		return false
	})
	if took := f.now().Sub(back); took > 2*time.Minute {
		t.Errorf("it took %s from its return", took)
	}
	if down, again := f.said("provider does not answer", "cloudflare"), f.said("provider is back", "cloudflare"); down != 1 || again != 1 {
		t.Errorf("it was told %d times that it is away and %d times that it is back", down, again)
	}
	if v := f.status(); len(v.Notices) > 0 {
		t.Errorf("notices: %q", v.Notices)
	}
	f.minutes(15)
	f.wantThings("after the outage", slices.Concat([]string{"resend ops@" + agencyZone + " cloudflare does not answer", "resend ops@" + agencyZone + " cloudflare is back"}, wholeOf("ploi", "demoshop"), paysAndUser("demoshop"), wholeOf("vercel", "bakery"), wholeOf("vercel", "keeper"),
		[]string{"stripe account bakery", "ploi site florist", "railway project florist with 1, 1, 1, 1", "resend dana@florist.example Shop florist is ready"})...)
}

// S32: Cloudflare answers 429 with Retry-After 54 while 200 clients are due. Nobody calls it
// before its time, and a new client that is merged meanwhile does not wait behind them.
func TestS32OverVendors(t *testing.T) {
	t.Parallel()
	note := func(text string) map[string]string {
		files := map[string]string{}
		for n := range bulkOf200 {
			name := fmt.Sprintf("c%03d", n)
			files["clients/"+name+".yaml"] = atPloi(name, "deployment: {provider: none}", "database: {provider: none}", "dns: {records: [{type: TXT, name: note, content: "+text+"}]}")
		}
		return files
	}
	f := newFleet(t, usual(), nil)
	f.configure("guard: {maxChanged: 1000, maxCreates: 1000}\n")
	f.start()
	f.commit(note("one"))
	f.apply()
	if got := len(f.cloudflare.Records(f.zone())); got < bulkOf200 {
		t.Fatalf("%d records", got)
	}
	limited := simulator.Refuse(429, http.Header{"Content-Type": {"application/json"}, "Retry-After": {"54"}}, `{"success":false,"errors":[{"code":10429,"message":"More than 1200 requests per 300 seconds reached"}],"messages":[],"result":null}`)
	f.faults["cloudflare"].Add(simulator.Fault{Times: 1, Match: writing, Do: limited})
	f.commit(note("two"))
	n := f.sent.len()
	f.apply()
	f.commit(map[string]string{"clients/demoshop.yaml": paying(atPloi)("demoshop")})
	f.apply()
	const inFlight = time.Second // what was under way when it said so
	var said time.Time
	for _, x := range f.sent.since(n) {
		switch {
		case x.Vendor != "cloudflare":
		case said.IsZero() && x.Writes:
			said = x.At
		case !said.IsZero() && x.At.Sub(said) > inFlight && x.At.Sub(said) < 54*time.Second:
			t.Errorf("%s %s after it said 54 s", x, x.At.Sub(said))
		}
	}
	if got := f.things(); !slices.Contains(got, "stripe account demoshop") || !slices.Contains(got, "ploi site demoshop") || !slices.Contains(got, "railway project demoshop with 1, 1, 1, 1") {
		t.Errorf("the new client waits for who does not need it: %q", got)
	}
	f.clock.add(54 * time.Second)
	done, n := func() (n int) {
		for _, r := range f.cloudflare.Records(f.zone()) {
			if r.Content == `"two"` {
				n++
			}
		}
		return n
	}, f.sent.len()
	f.settle("demoshop")
	before := 0
	for _, x := range f.sent.since(n) {
		if x.Call == "POST /emails" { // it is done
			break
		}
		if x.Vendor == "cloudflare" && x.Writes {
			before++
		}
	}
	if before >= bulkOf200 {
		t.Errorf("the new client waited for %d writes of the others", before)
	}
	for range 20 {
		if done() == bulkOf200 {
			break
		}
		f.clock.add(time.Minute)
		f.apply()
	}
	if done() != bulkOf200 {
		t.Errorf("%d of %d are done", done(), bulkOf200)
	}
}

// bulkOf200 is how many clients are due at once in S32.
const bulkOf200 = 200

// S33: a token is revoked, at each vendor in turn, while clients are due. It is told once, by
// one mail, that provider is left alone, nobody fails, who does not need it goes on, and once it
// is back all is done. Where it is the one that mails, both are told once it is back. (Payload
// has no credential but a user's own.)
func TestS33OverVendors(t *testing.T) {
	t.Parallel()
	clients := func(currency string) map[string]string {
		files := map[string]string{}
		for n := range 2 {
			more := []string{"env: {STORE_CURRENCY: " + currency + "}", "dns: {records: [{type: TXT, name: note, content: " + currency + "}]}",
				"payments: {enabled: true, pricingTier: " + currency + ", country: NL}"}
			files[fmt.Sprintf("clients/c%d.yaml", n)], files[fmt.Sprintf("clients/v%d.yaml", n)] = atPloi(fmt.Sprintf("c%d", n), more...), atVercel(fmt.Sprintf("v%d", n), more...)
			// With no vendor but one.
			files[fmt.Sprintf("clients/d%d.yaml", n)] = atPloi(fmt.Sprintf("d%d", n), append(bareClient(), more[1])...)
		}
		return files
	}
	names := []string{"c0", "c1", "v0", "v1", "d0", "d1"}
	f := newFleet(t, usual(), clients("EUR"))
	f.configure("guard: {maxChanged: 1000, maxCreates: 1000}\n" + toldByMail)
	f.start()
	f.settle(names...)
	var mailed []string
	for n, c := range []struct {
		vendor string
		refuse simulator.Effect
	}{
		{"ploi", simulator.Refuse(401, jsonType(), `{"message":"Unauthenticated."}`)},
		{"vercel", simulator.Refuse(403, jsonType(), `{"error":{"code":"forbidden","message":"Not authorized","invalidToken":true}}`)},
		{"cloudflare", simulator.Refuse(403, jsonType(), `{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}`)},
		{"railway", simulator.Refuse(200, jsonType(), `{"errors":[{"message":"Not Authorized","extensions":{"code":"INTERNAL_SERVER_ERROR"}}],"data":null}`)},
		{"stripe", simulator.Refuse(401, jsonType(), `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided"}}`)},
		{"resend", simulator.Refuse(403, jsonType(), `{"statusCode":403,"name":"invalid_api_key","message":"API key is invalid"}`)},
	} {
		f.faults[c.vendor].Add(simulator.Fault{Times: -1, Do: c.refuse})
		from, currency := f.sent.len(), []string{"USD", "CHF", "SEK", "NOK", "DKK", "GBP"}[n]
		files := clients(currency)
		if c.vendor == "railway" || c.vendor == "resend" { // nothing is due there but of who is new
			for n := range 2 {
				name := fmt.Sprintf("%s%d", c.vendor, n)
				names = append(names, name)
				files["clients/"+name+".yaml"] = atVercel(name)
			}
		}
		f.commit(files)
		var v = f.apply()
		for range 3 {
			f.clock.add(20 * time.Second)
			v = f.apply()
		}
		waits := 0
		for _, r := range v.Clients {
			if r.Status == string(state.StatusFailed) {
				t.Errorf("%s: %s is failed: %s", c.vendor, r.Name, r.Because)
			}
			if strings.HasPrefix(r.Because, "waiting for "+c.vendor) {
				waits++
			}
			if strings.HasPrefix(r.Name, "d") && c.vendor != "cloudflare" && (r.Status != string(state.StatusActive) || r.Because != "") {
				t.Errorf("%s: %s is %s: %s", c.vendor, r.Name, r.Status, r.Because)
			}
		}
		asked := 0
		for _, x := range f.sent.since(from) {
			if x.Vendor == c.vendor {
				asked++
			}
		}
		if waits < 2 || asked > 20 {
			t.Errorf("%s: %d clients wait for it, it was asked %d times", c.vendor, waits, asked)
		}
		if told := f.said("provider does not let us in", c.vendor); told != 1 {
			t.Errorf("%s: told %d times", c.vendor, told)
		}
		if len(v.Notices) != 1 || !strings.HasPrefix(v.Notices[0], c.vendor+" does not let us in since ") {
			t.Errorf("%s: notices %q", c.vendor, v.Notices)
		}
		f.minutes(15)
		if c.vendor != "resend" {
			mailed = append(mailed, c.vendor+" does not let us in")
		}
		if !slices.Equal(f.mailed(), mailed) {
			t.Errorf("%s: mailed %q", c.vendor, f.mailed())
		}
		f.faults[c.vendor].Clear()
		f.clock.add(5 * time.Minute)
		f.settle(names...)
		f.minutes(15)
		if mailed = append(mailed, c.vendor+" is back"); !slices.Equal(f.mailed(), mailed) {
			t.Errorf("%s: mailed %q", c.vendor, f.mailed())
		}
		if again := f.said("provider is back", c.vendor); again != 1 {
			t.Errorf("%s: told %d times that it is back", c.vendor, again)
		}
	}
	for _, a := range f.stripe.Accounts() {
		if _, like := f.likes()["stripe account "+a.ID]; !like && a.Metadata["reconciler_tier"] != "GBP" {
			t.Errorf("the tier at %s is %s", a.ID, a.Metadata["reconciler_tier"])
		}
	}
}

// bareClient are the lines of a client that has neither a site nor a database.
func bareClient() []string {
	return []string{"deployment: {provider: none}", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}"}
}

// paying makes clients that take payments and have a user at their site.
func paying(at func(string, ...string) string) func(string, ...string) string {
	return func(name string, more ...string) string { return withUser(at(name, append(more, shopPays)...)) }
}
