package cloudflare

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// What Cloudflare keeps and gives back is what was wished, in the one spelling: no drift.
func TestSpellings(t *testing.T) {
	w := newWorld(t, setup{})
	long := strings.Repeat("k", 600)
	for i, c := range []struct{ kind, content, more, kept, shows string }{
		{"A", "192.0.2.7", "", "192.0.2.7", "content=192.0.2.7 name=HOST proxied=false ttl=300 type=A"},
		{"A", "192.0.2.8", "proxied=true", "192.0.2.8", "content=192.0.2.8 name=HOST proxied=true type=A"},
		{"AAAA", "2001:DB8:0::1", "", "2001:db8::1", "content=2001:db8::1 name=HOST proxied=false ttl=300 type=AAAA"},
		{"CNAME", "Target.Example.", "", "target.example", "content=target.example name=HOST proxied=false ttl=300 type=CNAME"},
		{"CNAME", "bücher.example", "ttl=1", "xn--bcher-kva.example", "content=xn--bcher-kva.example name=HOST proxied=false ttl=1 type=CNAME"},
		{"MX", "MX.Example.", "priority=10", "mx.example", "content=mx.example name=HOST priority=10 ttl=300 type=MX"},
		{"MX", ".", "priority=0", ".", "content=. name=HOST priority=0 ttl=300 type=MX"},
		{"TXT", "v=spf1 -all", "", `"v=spf1 -all"`, "content=v=spf1 -all name=HOST ttl=300 type=TXT"},
		{"TXT", `"v=spf1 ~all"`, "", `"v=spf1 ~all"`, "content=v=spf1 ~all name=HOST ttl=300 type=TXT"},
		{"TXT", `say "hi" \ there`, "", `"say \"hi\" \\ there"`, `content=say "hi" \ there name=HOST ttl=300 type=TXT`},
		{"TXT", long, "", `"` + long[:255] + `" "` + long[:255] + `" "` + long[:90] + `"`, "content=" + long + " name=HOST ttl=300 type=TXT"},
		{"CAA", "0 issue ca.example", "", `0 issue "ca.example"`, `content=0 issue "ca.example" name=HOST ttl=300 type=CAA`},
		{"SRV", "5 443 Sip.Example.", "priority=20", "5\t443\tsip.example", "content=5 443 sip.example name=HOST priority=20 ttl=300 type=SRV"},
	} {
		name := fmt.Sprintf("n%d.shops.example", i)
		wished := wish(c.kind, name, c.content, strings.Fields(c.more)...)
		o := w.create(wished)
		want := strings.ReplaceAll(c.shows, "HOST", name)
		for _, seen := range append([]provider.Object{*w.byID(o.ID), o}, w.byName(wished)...) {
			if got := attributes(seen); got != want || seen.Mark != mark || seen.Name != wished.Name {
				t.Errorf("%s %s shows %s of %v as %s\nwant %s", c.kind, c.content, got, seen.Mark, seen.Name, want)
			}
		}
		for _, r := range w.vendor.Records(shopID) {
			if r.Name == name && (r.Content != c.kept || r.Comment != "reconciler:0badcafe/bakery-1a2b/1" || r.Proxied && r.TTL != 1) {
				t.Errorf("%s %s is kept as %+v", c.kind, c.content, r)
			}
		}
	}
}

// What a vendor may write in its own way is read as the same.
func TestVendorsSpellings(t *testing.T) {
	one, two, three := number(1), number(443), number(20)
	for _, c := range []struct {
		is       record
		content  string
		priority int
	}{
		{record{Type: "SRV", Content: "20 1 443 Sip.Example."}, "1 443 sip.example", 0},
		{record{Type: "SRV", Content: "1\t443\tsip.example", Priority: 20}, "1 443 sip.example", 20},
		{record{Type: "SRV", Content: "?", Data: parts{Weight: &one, Port: &two, Priority: &three, Target: "Sip.Example"}}, "1 443 sip.example", 20},
		{record{Type: "CAA", Content: "0 issue ca.example"}, `0 issue "ca.example"`, 0},
		{record{Type: "TXT", Content: `"a" "b"`}, `"a" "b"`, 0},
		{record{Type: "TXT", Content: "bare"}, "bare", 0},
	} {
		if c.is.content() != c.content || c.is.priority() != c.priority {
			t.Errorf("%+v is %q %d, want %q %d", c.is, c.is.content(), c.is.priority(), c.content, c.priority)
		}
	}
}

func TestInvalidWishes(t *testing.T) {
	w := newWorld(t, setup{})
	for name, wished := range map[string]provider.Wish{
		"type": wish("LOC", "a.shops.example", "x"), "no content": wish("A", "a.shops.example", ""), "name": wish("A", "a b.shops.example", "192.0.2.1"), "no name": wish("A", "", "192.0.2.1"),
		"ttl": wish("A", "a.shops.example", "192.0.2.1", "ttl=soon"), "priority": wish("MX", "a.shops.example", "mx.example", "priority=70000"), "proxied": wish("A", "a.shops.example", "192.0.2.1", "proxied=yes"),
		"srv": wish("SRV", "a.shops.example", "1 2"), "caa": wish("CAA", "a.shops.example", "issue"), "lines": wish("TXT", "a.shops.example", "a\nb"), "bytes": wish("TXT", "a.shops.example", "\xff"),
		"too long": wish("TXT", "a.shops.example", strings.Repeat("x", 5000)), "elsewhere": wish("A", "shop.nowhere.example", "192.0.2.1"),
	} {
		before := w.wire.count()
		_, err := w.p.Create(t.Context(), wished)
		var says string
		if name == "elsewhere" {
			says = "no zone that the token sees holds shop.nowhere.example"
		} else if w.wire.count() != before {
			t.Errorf("%s was sent", name)
		}
		w.fails(err, provider.Invalid, says)
	}
	// What only Cloudflare refuses is told with its reason and code.
	_, err := w.p.Create(t.Context(), wish("A", "a.shops.example", "not-an-address"))
	w.fails(err, provider.Invalid, "must be a valid IPv4 address. (9005)")
	_, err = w.p.Create(t.Context(), wish("A", "a.shops.example", "192.0.2.1", "ttl=7"))
	w.fails(err, provider.Invalid, "(9021)")
	if got := w.vendor.Records(shopID); len(got) != 0 {
		t.Errorf("made: %v", got)
	}
}

// A zone is found by the longest name; one that is not there, not active or not given is a
// clear error, and never an absence.
func TestZones(t *testing.T) {
	w := newWorld(t, setup{})
	if o := w.create(wish("A", "a.deep.shops.example", "192.0.2.1")); !strings.HasPrefix(o.ID, deepID+"/") {
		t.Errorf("made in %s", o.ID)
	}
	w.create(wish("A", "notdeep.shops.example", "192.0.2.1"))
	w.create(wish("A", "shops.example", "192.0.2.1"))
	if n := len(w.wire.since(0)); n != 4 { // the zones are listed once
		t.Errorf("calls: %v", w.wire.since(0))
	}
	for name, says := range map[string]string{"a.pending.example": "the zone pending.example is pending at Cloudflare, not active", "shopsx.example": "no zone that the token sees"} {
		_, err := w.p.Create(t.Context(), wish("A", name, "192.0.2.1"))
		w.fails(err, provider.Invalid, says)
		wished := wish("A", name, "192.0.2.1")
		_, err = w.p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Name: wished.Name, Wish: &wished})
		w.fails(err, provider.Invalid, says)
	}
	// It was activated a moment later.
	if err := w.vendor.Change(pendID, func(z *simulated.Zone) { z.Status = "active" }); err != nil {
		t.Fatal(err)
	}
	w.clock.add(zonesAgain)
	w.create(wish("A", "a.pending.example", "192.0.2.1"))

	one := newWorld(t, setup{zoneID: shopID})
	one.create(wish("A", "a.shops.example", "192.0.2.1"))
	_, err := one.p.Create(t.Context(), wish("A", "a.pending.example", "192.0.2.1"))
	one.fails(err, provider.Invalid, "is not in the zone that providers.cloudflare.zoneID names")
	hidden := newWorld(t, setup{zoneID: shopID})
	if err := hidden.vendor.Change(shopID, func(z *simulated.Zone) { z.Hidden = true }); err != nil {
		t.Fatal(err)
	}
	_, err = hidden.p.Create(t.Context(), wish("A", "a.shops.example", "192.0.2.1"))
	hidden.fails(err, provider.Denied, "9109")
}

// What is named in adopt: is found by the id that Cloudflare shows, where there is one zone.
func TestIDsOfPeople(t *testing.T) {
	w := newWorld(t, setup{zoneID: shopID})
	id, err := w.vendor.Add(simulated.Record{Zone: shopID, Type: "A", Name: "old.shops.example", Content: "192.0.2.7", TTL: 300})
	if err != nil {
		t.Fatal(err)
	}
	if o := w.byID(id); o == nil || o.ID != shopID+"/"+id || !o.Mark.IsZero() {
		t.Errorf("got %+v", o)
	}
	w.open(setup{}, w.wire)
	if o := w.byID(id); o != nil {
		t.Errorf("of no zone: %+v", o)
	}
}

// More records of a name than a page holds are all seen.
func TestPages(t *testing.T) {
	w := newWorld(t, setup{})
	for i := range 230 {
		if _, err := w.vendor.Add(simulated.Record{Zone: shopID, Type: "TXT", Name: "many.shops.example", Content: fmt.Sprint("text ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if found := w.byName(wish("TXT", "many.shops.example", "text 7")); len(found) != 230 {
		t.Errorf("%d found", len(found))
	}
}

// Records that are not ours are never touched: an equal one is shown without a mark, another
// one in the way is told with what to do.
func TestP3StrangersRecords(t *testing.T) {
	w := newWorld(t, setup{})
	add := func(r simulated.Record) string {
		r.Zone = shopID
		id, err := w.vendor.Add(r)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	add(simulated.Record{Type: "A", Name: "equal.shops.example", Content: "192.0.2.7", TTL: 300, Comment: "by hand"})
	alias := add(simulated.Record{Type: "CNAME", Name: "alias.shops.example", Content: "old.example", Comment: "by hand"})
	add(simulated.Record{Type: "AAAA", Name: "mixed.shops.example", Content: "2001:db8::1", Proxied: true})
	other := add(simulated.Record{Type: "A", Name: "other.shops.example", Content: "192.0.2.9", Comment: "reconciler:0badcafe/florist-9/1"})
	before := fmt.Sprint(w.vendor.Records(shopID))

	equal := wish("A", "equal.shops.example", "192.0.2.7")
	if found := w.byName(equal); len(found) != 1 || !found[0].Mark.IsZero() || !strings.Contains(attributes(found[0]), "ttl=300") {
		t.Errorf("an equal one: %v", found)
	}
	_, err := w.p.Create(t.Context(), equal)
	w.fails(err, provider.Conflict, "an equal record is there already (81058)")
	_, err = w.p.Create(t.Context(), wish("A", "alias.shops.example", "192.0.2.7"))
	w.fails(err, provider.Conflict, "CNAME alias.shops.example has the name and is not ours ("+alias+" → old.example): remove it at Cloudflare, or wish what is there (81054)")
	_, err = w.p.Create(t.Context(), wish("CNAME", "other.shops.example", "x.example"))
	w.fails(err, provider.Conflict, "A other.shops.example has the name and is not ours ("+other)
	mixed := wish("A", "mixed.shops.example", "192.0.2.7")
	_, err = w.p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Name: mixed.Name, Wish: &mixed})
	w.fails(err, provider.Conflict, "would turn its proxy on or off")
	if after := fmt.Sprint(w.vendor.Records(shopID)); after != before {
		t.Errorf("touched:\n%s\n%s", before, after)
	}
	if owned, err := w.p.Owned(t.Context(), "0badcafe"); err != nil || len(owned) != 1 || owned[0].ID != shopID+"/"+other {
		t.Errorf("owned: %v, %v", owned, err)
	}
}

// Cloudflare proxies the addresses of a name alike: an update that would turn somebody else's
// is not made.
func TestP3UpdatesTurnNoStranger(t *testing.T) {
	w := newWorld(t, setup{})
	name := "bakery.shops.example"
	o := w.create(wish("A", name, "192.0.2.7"))
	if _, err := w.vendor.Add(simulated.Record{Zone: shopID, Type: "AAAA", Name: name, Content: "2001:db8::1", TTL: 300}); err != nil {
		t.Fatal(err)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			w.open(setup{}, w.wire)
		}
		_, err := w.p.Update(t.Context(), o.ID, wish("A", name, "192.0.2.7", "proxied=true"))
		w.fails(err, provider.Conflict, "AAAA bakery.shops.example")
		if _, err := w.p.Update(t.Context(), o.ID, wish("A", name, "192.0.2.8")); err != nil {
			t.Errorf("what turns nobody: %v", err)
		}
	}
	for _, r := range w.vendor.Records(shopID) {
		if r.Proxied {
			t.Errorf("turned: %+v", r)
		}
	}
}

// A record of ours that changes its type is replaced in one batch; the delete that comes
// after finds nothing, and that is well.
func TestTypeChangesInOneBatch(t *testing.T) {
	w := newWorld(t, setup{})
	old := w.create(wish("A", "bakery.shops.example", "192.0.2.7"))
	w.create(wish("TXT", "bakery.shops.example", "stays"))
	n := w.wire.count()
	o := w.create(wish("CNAME", "bakery.shops.example", "host.example"))
	if got := w.wire.since(n); len(got) != 3 || got[2] != "POST /zones/"+shopID+"/dns_records/batch" {
		t.Errorf("calls: %v", got)
	}
	if w.byID(old.ID) != nil || w.byID(o.ID) == nil || len(w.vendor.Records(shopID)) != 2 {
		t.Errorf("there: %v", w.vendor.Records(shopID))
	}
	if err := w.p.Delete(t.Context(), state.KindRecord, old.ID); err != nil {
		t.Errorf("the delete after it: %v", err)
	}
	// The vendor still sees one that is gone: nothing happened, and it is tried again.
	w.faults.Add(simulator.Fault{Method: "POST", Path: "/client/v4/zones/*/dns_records", Do: simulator.Refuse(400, http.Header{"Content-Type": {"application/json"}}, refusalBody(81054, "A CNAME record with that host already exists."))})
	_, err := w.p.Create(t.Context(), wish("A", "free.shops.example", "192.0.2.7"))
	w.fails(err, provider.Transient, "nothing was made")
}

// The mark is a word of the comment: what a person writes beside it stays, what a person
// takes away is put back by the next update, and the record is known by its id all the time.
func TestCommentsOfPeople(t *testing.T) {
	w := newWorld(t, setup{})
	wished := wish("TXT", "bakery.shops.example", "one", "tag=#a1b2c3")
	o := w.create(wished)
	_, id, _ := split(o.ID)
	is := func() string { return w.vendor.Records(shopID)[0].Comment }
	if is() != "reconciler:0badcafe/bakery-1a2b/1 #a1b2c3" || o.Name != wished.Name {
		t.Errorf("comment %q, name %q", is(), o.Name)
	}
	edit := func(text string) *provider.Object {
		t.Helper()
		if err := w.vendor.Edit(id, func(r *simulated.Record) { r.Comment = text }); err != nil {
			t.Fatal(err)
		}
		return w.byID(o.ID)
	}
	if seen := edit("ask Dana first: reconciler:0badcafe/bakery-1a2b/1 #a1b2c3 please"); seen.Mark != mark || seen.Name != wished.Name {
		t.Errorf("beside a person's words: %+v", seen)
	}
	if _, err := w.p.Update(t.Context(), o.ID, wished); err != nil {
		t.Fatal(err)
	}
	if is() != "reconciler:0badcafe/bakery-1a2b/1 #a1b2c3 ask Dana first: please" {
		t.Errorf("the words went: %q", is())
	}
	if seen := edit("cleaned up"); seen == nil || !seen.Mark.IsZero() {
		t.Errorf("without a mark: %+v", seen)
	}
	if _, err := w.p.Update(t.Context(), o.ID, wished); err != nil || w.byID(o.ID).Mark != mark {
		t.Errorf("the mark is not back: %q, %v", is(), err)
	}
	if seen := edit("reconciler:0badcafe/bakery-1a2b/1 reconciler:0badcafe/florist-9/1"); !seen.Mark.IsZero() {
		t.Errorf("two marks are one: %v", seen.Mark)
	}
	if got := comment(wished, strings.Repeat("word ", 40)); len(got) < 200 || len(got) > maxLarge {
		t.Errorf("of a large plan: %d: %q", len(got), got)
	}
	// What is too long for a comment is left out, never the mark.
	if got := comment(wished, strings.Repeat("word ", 19)); len(got) > maxComment || !strings.HasPrefix(got, mark.Text()+" #a1b2c3 word") {
		t.Errorf("%d: %q", len(got), got)
	}
}

// Every way in which a call can end has its kind, for reads and for writes.
func TestKinds(t *testing.T) {
	page := http.Header{"Content-Type": {"text/html"}}
	for name, c := range map[string]struct {
		do          simulator.Effect
		read, write provider.ErrorKind
		says        string
	}{
		"request lost":    {simulator.LoseRequest(), provider.Transient, provider.Uncertain, "no answer"},
		"answer lost":     {simulator.LoseAnswer(), provider.Transient, provider.Uncertain, "no answer"},
		"a page":          {simulator.Instead(200, page, "<html>"), provider.Transient, provider.Uncertain, ""},
		"a gateway":       {simulator.Refuse(502, page, "<html>"), provider.Transient, provider.Uncertain, "502"},
		"broken":          {simulator.Refuse(500, nil, refusalBody(10001, "it broke")), provider.Transient, provider.Uncertain, "it broke"},
		"no success":      {simulator.Refuse(200, nil, `{"success":false,"errors":[],"messages":[],"result":null}`), provider.Transient, provider.Uncertain, "neither"},
		"no result":       {simulator.Instead(200, nil, `{"success":true,"errors":[],"messages":[],"result":null}`), provider.Transient, provider.Uncertain, "no result"},
		"another record":  {simulator.Instead(200, nil, `{"success":true,"errors":[],"messages":[],"result":{"id":"ffff","type":"A","name":"other.example","content":"192.0.2.1","ttl":1}}`), provider.Transient, provider.Uncertain, ""},
		"no token":        {simulator.Refuse(400, nil, refusalBody(6003, "Invalid request headers")), provider.Denied, provider.Denied, "edit DNS"},
		"not this one":    {simulator.Refuse(403, nil, refusalBody(10000, "Authentication error")), provider.Denied, provider.Denied, "Authentication error"},
		"a closed door":   {simulator.Refuse(403, page, "<html>"), provider.Denied, provider.Denied, "403"},
		"too many":        {simulator.Refuse(429, http.Header{"Retry-After": {"20"}}, refusalBody(10429, "slower")), provider.RateLimited, provider.RateLimited, "slower"},
		"an unknown path": {simulator.Refuse(404, nil, refusalBody(7003, "Could not route")), provider.Transient, provider.Transient, "Could not route"},
		"a missing page":  {simulator.Refuse(404, page, "<html>"), provider.Transient, provider.Transient, "404"},
		"quota":           {simulator.Refuse(400, nil, refusalBody(81045, "Record quota exceeded.")), provider.Invalid, provider.Invalid, "as many records"},
		"moved":           {simulator.Refuse(302, http.Header{"Location": {"https://elsewhere.example/"}}, ""), provider.Transient, provider.Uncertain, "302"},
		"says the token":  {simulator.Refuse(400, nil, refusalBody(1004, "no\nsuch\u202ething")), provider.Invalid, provider.Invalid, "no suchthing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.wire.handler = w.faults.Handler(papersFor(t).handler(w.vendor)) // some of these are nothing that the description knows
			w.open(setup{}, w.wire)
			wished := wish("A", "bakery.shops.example", "192.0.2.7")
			o := w.create(wished)
			for what, call := range map[string]func() error{
				"observe": func() error {
					_, err := w.p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: o.ID})
					return err
				},
				"list": func() error {
					_, err := w.p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Wish: &wished})
					return err
				},
				"create": func() error { _, err := w.p.Create(t.Context(), wish("A", "b.shops.example", "192.0.2.7")); return err },
				"update": func() error { _, err := w.p.Update(t.Context(), o.ID, wished); return err },
				"delete": func() error { return w.p.Delete(t.Context(), state.KindRecord, o.ID) },
			} {
				w.faults.Clear()
				w.faults.Add(simulator.Fault{Path: "/client/v4/zones/*/dns_records*", Do: c.do}, simulator.Fault{Path: "/client/v4/zones/*/dns_records/*", Do: c.do})
				err := call()
				want := c.write
				if what == "observe" || what == "list" {
					want = c.read
				}
				if what == "delete" && (name == "no result" || name == "another record") {
					if err != nil {
						t.Errorf("a delete reads no result: %v", err)
					}
					continue
				}
				w.fails(err, want, c.says)
				if want == provider.RateLimited && !provider.UntilOf(err).Equal(w.clock.now().Add(20*time.Second)) {
					t.Errorf("until %s", provider.UntilOf(err))
				}
			}
		})
	}
}

// Where no connection comes about nothing was sent: no write is uncertain.
func TestNobodyThere(t *testing.T) {
	w := newWorld(t, setup{})
	o := w.create(wish("A", "bakery.shops.example", "192.0.2.7"))
	w.wire.refuse = true
	_, err := w.p.Create(t.Context(), wish("A", "b.shops.example", "192.0.2.7"))
	w.fails(err, provider.Transient, "no connection")
	w.fails(w.p.Delete(t.Context(), state.KindRecord, o.ID), provider.Transient, "no connection")
}

// The limit of 1,200 calls in five minutes is told with its end.
func TestLimit(t *testing.T) {
	w := newWorld(t, setup{calls: 3})
	w.create(wish("A", "a.shops.example", "192.0.2.7"))
	w.create(wish("A", "b.shops.example", "192.0.2.7"))
	_, err := w.p.Create(t.Context(), wish("A", "c.shops.example", "192.0.2.7"))
	w.fails(err, provider.RateLimited, "(10429)")
	if !provider.UntilOf(err).Equal(w.clock.now().Add(5 * time.Minute)) {
		t.Errorf("until %s", provider.UntilOf(err))
	}
	w.clock.add(5 * time.Minute)
	w.create(wish("A", "c.shops.example", "192.0.2.7"))
}

// pausing is a transport that makes no call for a while, and says so itself.
type pausing struct{ err error }

func (p pausing) RoundTrip(*http.Request) (*http.Response, error) { return nil, p.err }

// What the transport below says is what the caller hears, through cloudflare-go.
func TestTheTransportsOwnWord(t *testing.T) {
	w := newWorld(t, setup{zoneID: shopID})
	w.create(wish("A", "a.shops.example", "192.0.2.7"))
	until := w.clock.now().Add(time.Minute)
	w.open(setup{zoneID: shopID}, pausing{&provider.Error{Kind: provider.Transient, Message: "it does not answer and is left alone", Until: until}})
	_, err := w.p.Create(t.Context(), wish("A", "b.shops.example", "192.0.2.7"))
	w.fails(err, provider.Transient, "cloudflare create: transient: it does not answer and is left alone")
	if !provider.UntilOf(err).Equal(until) {
		t.Errorf("until %s", provider.UntilOf(err))
	}
}

// P6: a zone that the token sees no more (its customer took the domain elsewhere) is its clients' matter, and no
// refusal of the token, which would stop everybody. A token that is refused is.
func TestP6ZoneThatIsNotSeenAnyMore(t *testing.T) {
	for _, moment := range []time.Duration{-1, 0} {
		w := newWorld(t, setup{moment: moment})
		o := w.create(wish("A", "a.shops.example", "192.0.2.1"))
		if err := w.vendor.Change(shopID, func(z *simulated.Zone) { z.Hidden = true }); err != nil {
			t.Fatal(err)
		}
		w.clock.add(zonesAgain + listLag)
		const says = "is not one that the token sees"
		_, err := w.p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: o.ID})
		w.fails(err, provider.Invalid, says)
		_, err = w.p.Update(t.Context(), o.ID, wish("A", "a.shops.example", "192.0.2.2"))
		w.fails(err, provider.Invalid, says)
		w.fails(w.p.Delete(t.Context(), state.KindRecord, o.ID), provider.Invalid, says)
	}
}

// P6: the same where one zone is configured, and the record is in the one that was configured before. Only where nothing below
// the zone that is seen is delegated is what is left in another one nobody's.
func TestP6ZoneThatWasConfiguredBefore(t *testing.T) {
	w := newWorld(t, setup{moment: -1})
	o := w.create(wish("A", "a.shops.example", "192.0.2.1"))
	if err := w.vendor.Change(shopID, func(z *simulated.Zone) { z.Hidden = true }); err != nil {
		t.Fatal(err)
	}
	const fresh = "00000000000000000000000000000002"
	w.vendor.AddZone(simulated.Zone{ID: fresh, Name: "shops.example"})
	w.clock.add(zonesAgain + listLag)
	w.p.o.ZoneID = fresh
	_, err := w.p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: o.ID})
	w.fails(err, provider.Invalid, "is not one that the token sees")
	if found, err := w.p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: o.ID, Name: o.Name}); err != nil || len(found) > 0 {
		t.Errorf("%v, %v: it leads nobody", found, err)
	}
	if err := w.p.Delete(t.Context(), state.KindRecord, o.ID); err != nil {
		t.Error(err)
	}
}
