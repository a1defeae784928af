package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/payload"
	"github.com/compassdigital/reconciler/internal/provider/resend"
	"github.com/compassdigital/reconciler/internal/provider/stripe"
	"github.com/compassdigital/reconciler/internal/state"
)

// theirID is a vendor's own id of what is on record.
func theirID(r state.Resource) string {
	if r.Provider == payload.Name {
		return userOf(r.ID)
	}
	return r.ID
}

// knows says that a client is on record.
func (r record) knows(id state.ClientID) bool {
	return slices.ContainsFunc(r.clients, func(c state.Client) bool { return c.ID == id })
}

// misses says that a user of a site at a vendor is on no record, though its client is served: it
// went off it with its database, or was taken as made by a comparison.
func (r record) misses(user ownedObject) bool {
	for _, x := range r.resources {
		if x.Ref.Client == user.Mark.Client && x.Ref.Kind == state.KindAdmin && x.ID == state.DoneBefore {
			return false
		}
	}
	return user.Owner == payload.Name && slices.ContainsFunc(r.clients, func(c state.Client) bool {
		return c.ID == user.Mark.Client && !c.Removed && c.Settled && c.Status == state.StatusActive
	})
}

// leftAlone wants the account of whoever was removed to stay as it was when all of it was done,
// until somebody wishes that client again, though it may be gone once more by the next check.
func (w *crashWorld) leftAlone(rec record, t truth) (bad []string) {
	rests, names := map[state.ClientID]bool{}, map[state.ClientID]string{}
	for _, c := range rec.clients {
		names[c.ID] = c.Name
		rests[c.ID] = c.Removed && c.Status == state.StatusRetained && w.gone[c.Name]
	}
	for _, i := range rec.intents {
		rests[i.Ref.Client] = false
	}
	left := map[string]string{}
	for _, o := range t.Objects {
		if o.Kind != state.KindPayments || o.Owner != stripe.Name || o.Late {
			continue
		}
		name := cmp.Or(names[o.Mark.Client], string(o.Mark.Client)[:strings.LastIndex(string(o.Mark.Client), "-")])
		_, wished := w.shops[name]
		was, is := w.left[o.ID]
		switch {
		case wished, w.back[name]:
			continue
		case is && was != o.Now:
			bad = append(bad, "P5: the account of "+name+", which was removed, was\n"+was+"\nand is\n"+o.Now)
			fallthrough
		case is || rests[o.Mark.Client]:
			left[o.ID] = cmp.Or(was, o.Now)
		}
	}
	w.left, w.back = left, map[string]bool{}
	return bad
}

// told names a client for people, and says how it is.
func (r record) told(id state.ClientID) string {
	for _, c := range r.clients {
		if c.ID == id {
			return fmt.Sprintf("%s (%s, removed %v): %s", id, c.Status, c.Removed, c.Because)
		}
	}
	return string(id) + " (on no record)"
}

// clientOf is who bears a name.
func (r record) clientOf(name string) state.ClientID {
	for _, c := range r.clients {
		if c.Name == name {
			return c.ID
		}
	}
	return ""
}

// accountForm asks Stripe for an account, as ours are.
func accountForm(m provider.Mark) string {
	form := url.Values{"country": {"NL"}, "metadata[reconciler]": {m.Text()}, "metadata[reconciler_name]": {provider.ObjectName(m, state.Ref{Client: m.Client, Kind: state.KindPayments, Name: "main"})}}
	for name, value := range map[string]string{"fees][payer": "account", "losses][payments": "stripe", "requirement_collection": "stripe", "stripe_dashboard][type": "full"} {
		form.Set("controller["+name+"]", value)
	}
	return form.Encode()
}

// The control of what is compared at simulated vendors: something twice, an orphan, a
// look-alike that is gone, what is on record and not there, an account that is gone or was
// changed after its client went, a second user of a site, a mail that was sent again, and a
// request that does not fit the vendor's description are seen; one that broke off is none.
func TestCrashCheckSeesVendors(t *testing.T) {
	t.Parallel()
	w := newCrashWorld(t, 12, hostSpec{Vendors: map[string]string{}})
	w.shops[keeper], w.shops["shop1"] = shop{Name: keeper, Currency: "EUR", Tier: "standard"}, shop{Name: "shop1", Currency: "CHF", At: "ploi", User: true, Tier: "premium"}
	w.shops["shop2"] = shop{Name: "shop2", Currency: "SEK", Tier: "standard"}
	if err := w.commit(keeper, "shop1", "shop2"); err != nil {
		t.Fatal(err)
	}
	if err := w.settle(); err != nil {
		t.Fatal(err)
	}
	delete(w.shops, "shop2")
	if err := w.commit("shop2"); err != nil {
		t.Fatal(err)
	}
	if err := w.settle(); err != nil {
		t.Fatal(err)
	}
	rec, err := w.read()
	if err != nil {
		t.Fatal(err)
	}
	var at, site, database, user string
	accounts, mails := map[string]string{}, 0
	for _, r := range rec.resources {
		switch {
		case r.Provider == "ploi" && r.Ref.Kind == state.KindSite:
			_, site, _ = strings.Cut(r.ID, "/")
		case r.Provider == "railway":
			database = provider.ObjectName(provider.Mark{Installation: rec.installation, Client: r.Ref.Client, Generation: 1}, r.Ref)
		case r.Provider == stripe.Name:
			accounts[string(r.Ref.Client)[:strings.LastIndex(string(r.Ref.Client), "-")]] = r.ID
		case r.Provider == payload.Name:
			user = userOf(r.ID)
		case r.Provider == resend.Name:
			mails++
		}
	}
	if err := w.host.ask(t.Context(), "/vendors", nil, &at); err != nil {
		t.Fatal(err)
	}
	if len(accounts) != 3 || user == "" || mails < 2 {
		t.Fatalf("on record are the accounts %v, the user %q and %d mails", accounts, user, mails)
	}
	var truth truth
	if err := w.host.ask(t.Context(), "/truth?installation="+rec.installation, nil, &truth); err != nil {
		t.Fatal(err)
	}
	for _, o := range truth.Objects {
		if o.Owner == payload.Name && (o.ID != user || o.Inside == "") || o.Owner == stripe.Name && !slices.Contains(slices.Collect(maps.Values(accounts)), o.ID) {
			t.Errorf("there is %+v", o)
		}
	}
	send := func(method, path, token, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, at+"/by/0/"+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.place.env[token])
		switch {
		case strings.HasPrefix(body, "{"):
			r.Header.Set("Content-Type", "application/json")
		case body != "":
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if strings.HasSuffix(path, "/emails") {
			r.Header.Set("Idempotency-Key", "shop1-welcome")
		}
		a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode >= http.StatusMultipleChoices {
			t.Fatalf("%s %s: %s", method, path, a.Status)
		}
	}
	send(http.MethodPost, "railway/graphql/v2", "RAILWAY_API_KEY", `{"query":"mutation { projectCreate(input: {name: \"`+database+`\"}) { id } }"}`)
	send(http.MethodPost, "cloudflare/client/v4/zones/"+(&vendorSet{}).zone()+"/dns_records", "CLOUDFLARE_API_TOKEN",
		`{"type":"A","name":"ghost.localhost","content":"192.0.2.1","ttl":300,"comment":"`+provider.Mark{Installation: rec.installation, Client: "ghost-000000", Generation: 1}.Text()+`"}`)
	mark := provider.Mark{Installation: rec.installation, Client: rec.clientOf("shop1"), Generation: 1}
	for range 2 {
		send(http.MethodPost, "stripe/v1/accounts", "STRIPE_API_KEY", accountForm(mark))
		send(http.MethodPost, "resend/emails", "RESEND_API_KEY", `{"from":"ops@localhost","to":["dana@shop1.example"],"subject":"Welcome","text":"Welcome"}`)
		if err := w.host.pass(t.Context(), 25*time.Hour); err != nil { // Resend forgot the key
			t.Fatal(err)
		}
	}
	send(http.MethodPost, "stripe/v1/accounts/"+accounts["shop2"], "STRIPE_API_KEY", "metadata[reconciler_tier]=premium")
	send(http.MethodDelete, "stripe/v1/accounts/"+accounts[keeper], "STRIPE_API_KEY", "")
	if err := w.host.ask(t.Context(), "/strangers", nil, nil); err != nil {
		t.Fatal(err)
	}
	send(http.MethodDelete, "ploi/api/servers/1/sites/"+site, "PLOI_API_TOKEN", "")
	send(http.MethodDelete, "ploi/api/servers/1/sites/48001", "PLOI_API_TOKEN", "") // the first that was planted
	if misfits, err := w.host.judged.misfits(); err != nil || len(misfits) > 0 {
		t.Errorf("before there is one: %v, %q", err, misfits)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /by/0/cloudflare/client/v4/zones HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"half\"")
	_ = c.Close() // as one that is killed does
	send(http.MethodGet, "cloudflare/client/v4/zones?colour=red", "CLOUDFLARE_API_TOKEN", "")
	if err := w.host.pass(t.Context(), patience); err != nil {
		t.Fatal(err)
	}
	_, _ = w.check(true) // what was deleted in the background is seen off
	_, err = w.check(true)
	if err == nil {
		t.Fatal("nothing is seen")
	}
	seen := err.Error()
	for _, want := range []string{"I1: 2 times at railway: database " + database, "I2: an orphan: cloudflare record", "I5: the look-alike ploi site",
		"I1: 2 times at stripe: payments ", "I2: an orphan: stripe payments acct_", "P5: the account " + accounts[keeper] + " is gone", "on record, and not there: stripe payments " + accounts[keeper], "P5: the account of shop2",
		"I1: 2 times at payload: admin shop1-", "I2: an orphan: payload admin ", "I1: 2 times at resend: mail shop1-welcome", "on record, and not there: ploi site 1/" + site} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not seen: %s, in\n%.2000s", want, err)
		}
	}
	one := 1
	if contract.Specs(t) == "" { // nothing is held against descriptions that are not there
		one = 0
	} else if want := "there is no parameter \"colour\""; !strings.Contains(seen, want) {
		t.Errorf("not seen: %s, in\n%.2000s", want, seen)
	}
	misfits, err := w.host.judged.misfits()
	if err != nil || len(misfits) != one {
		t.Errorf("misfits: %v, %q", err, misfits)
	}
	w.host.judged.known = len(misfits)
}

// S43: the state is lost, and with it the password of the user of a site whose data is retained. The
// client comes back, and people are told of that user: once he is deleted it comes to its end.
func TestS43TheLastPasswordIsLost(t *testing.T) {
	t.Parallel()
	w := newCrashWorld(t, 14, hostSpec{Builds: 1, Vendors: map[string]string{}})
	settle := func(what string, changed ...string) {
		t.Helper()
		for _, name := range changed {
			if err := w.commit(name); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.settle(); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, strings.Join(w.log, "\n"))
		}
	}
	has := shop{Name: "shop1", Currency: "EUR", At: "vercel", User: true}
	w.shops[keeper], w.shops["shop1"] = shop{Name: keeper, Currency: "EUR"}, has
	settle("both", keeper, "shop1")
	delete(w.shops, "shop1")
	settle("it goes", "shop1")
	if err := w.rebuild("it is lost"); err != nil {
		t.Fatal(err)
	}
	settle("the state is made anew")
	w.shops["shop1"] = has
	settle("it is back", "shop1")
	if !slices.ContainsFunc(w.log, func(s string) bool { return strings.Contains(s, "delete the users of shop1-") }) {
		t.Errorf("nobody was told of its user:\n%s", strings.Join(w.log, "\n"))
	}
}

// P8: the program died while it made a site's first user, and a copy of that state is put back when
// the client, and with it the site, is gone. Nobody is left to ask about that user: the copy is no
// obstacle to what the client comes to, and he is known again when it comes back.
func TestP8NobodyIsLeftToAskAboutAUser(t *testing.T) {
	t.Parallel()
	w := newCrashWorld(t, 15, hostSpec{Builds: 1, Vendors: map[string]string{}})
	settle := func(what string) {
		t.Helper()
		if err := w.settle(); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, strings.Join(w.log, "\n"))
		}
	}
	has := shop{Name: "shop1", Currency: "EUR", At: "ploi"}
	w.shops[keeper], w.shops["shop1"] = shop{Name: keeper, Currency: "EUR"}, has
	change := func(names ...string) {
		t.Helper()
		if err := w.commit(names...); err != nil {
			t.Fatal(err)
		}
	}
	change(keeper, "shop1")
	settle("both are made")
	has.User = true
	w.shops["shop1"] = has
	change("shop1")
	half := func() bool {
		rec, err := w.read()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(rec.intents, func(i journal.Intent) bool { return i.Ref.Kind == state.KindAdmin })
	}
	for n := 1; !half(); n++ {
		r, err := w.begin(string(apply.AfterCall)+"/"+string(plan.Create)+":1", "apply")
		if err != nil {
			t.Fatal(err)
		}
		if e, err := r.wait(0, nil); err != nil || !e.killed {
			t.Fatalf("start %d was not killed as it made something: %+v %v\n%s%s", n, e, err, r.out, r.errOut)
		}
	}
	file, err := os.ReadFile(w.path("state.db"))
	if err != nil {
		t.Fatal(err)
	}
	settle("its user is made")
	delete(w.shops, "shop1")
	change("shop1")
	settle("it goes")
	if err := os.WriteFile(w.path("state.db"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	w.older = &older{open: true, data: map[string]string{}}
	settle("the copy is put back")
	w.shops["shop1"] = has
	change("shop1")
	settle("it is back")
}

// P8 and P4: the program is killed as soon as a site's removal was asked for. One that its vendor is still
// deleting, in the background, is on record until it is gone, so that one whose deletion came to
// nothing is known.
func TestP8KilledWhileASiteIsDeleted(t *testing.T) {
	t.Parallel()
	w := newCrashWorld(t, 17, hostSpec{Builds: 1, Vendors: map[string]string{}, Work: 3 * time.Second})
	w.shops[keeper], w.shops["shop1"] = shop{Name: keeper, Currency: "EUR"}, shop{Name: "shop1", Currency: "EUR", At: "ploi"}
	if err := w.commit(keeper, "shop1"); err != nil {
		t.Fatal(err)
	}
	if err := w.settle(); err != nil {
		t.Fatalf("both are made: %v\n%s", err, strings.Join(w.log, "\n"))
	}
	delete(w.shops, "shop1")
	if err := w.commit("shop1"); err != nil {
		t.Fatal(err)
	}
	apply := func(killed armed) {
		t.Helper()
		if err := w.host.ask(t.Context(), "/arm", killed, nil); err != nil {
			t.Fatal(err)
		}
		r, err := w.begin("", "apply")
		if err != nil {
			t.Fatal(err)
		}
		e, err := r.wait(0, nil)
		if err != nil || e.killed != (killed.N > 0) {
			t.Fatalf("killed %v: %v\n%s", e.killed, err, r.errOut)
		}
		if _, err := w.check(false); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(w.log, "\n"))
		}
	}
	site := "48003" // the first beside those that were planted
	apply(armed{N: 1, Moment: "after", Only: "DELETE /api/servers/1/sites/" + site})
	apply(armed{})
	if err := w.settle(); err != nil {
		t.Fatalf("it is gone: %v\n%s", err, strings.Join(w.log, "\n"))
	}
}
