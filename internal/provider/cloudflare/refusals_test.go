package cloudflare

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// codeIn is the code of a failure, and of the reason behind it.
func codeIn(body []byte) string {
	var out []string
	for _, e := range failures(body)[:min(len(failures(body)), 1)] {
		out = append(out, fmt.Sprint(e.Code))
		for _, c := range e.Chain {
			out = append(out, fmt.Sprint(c.Code))
		}
	}
	return strings.Join(out, "/")
}

// Every refusal that is known of Cloudflare comes about at the simulated one, by itself where
// that is possible, and has its kind.
func TestRefusals(t *testing.T) {
	ctx := context.Background()
	const host = "bakery.shops.example"
	open := func(t *testing.T, seen *providertest.Answers, s setup) *world {
		w := newWorld(t, s)
		w.wire.handler = seen.Tap(w.wire.handler)
		return w
	}
	// creates wishes a record in a zone where others are.
	creates := func(wished provider.Wish, there ...simulated.Record) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := open(t, seen, setup{})
			for _, r := range there {
				if r.Zone = shopID; r.Name == "" {
					r.Name = host
				}
				if _, err := w.vendor.Add(r); err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.p.Create(ctx, wished)
			return err
		}
	}
	// zone changes the zone first.
	zone := func(change func(*simulated.Zone), call func(*world) error) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := open(t, seen, setup{zoneID: shopID})
			if err := w.vendor.Change(shopID, change); err != nil {
				t.Fatal(err)
			}
			return call(w)
		}
	}
	create := func(w *world) error { _, err := w.p.Create(ctx, wish("A", host, "192.0.2.7")); return err }
	asked := func(status, code int, header http.Header) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := newWorld(t, setup{})
			w.open(setup{}, w.wire)
			w.wire.handler = seen.Tap(w.faults.Handler(w.wire.handler))
			w.faults.Add(simulator.Fault{Method: http.MethodPost, Do: simulator.Refuse(status, header, refusalBody(code, "as it was asked for"))})
			return create(w)
		}
	}
	token := func(header string, call func(*world) error) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := open(t, seen, setup{})
			vendor := w.wire.handler
			w.wire.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				r.Header.Set("Authorization", header)
				vendor.ServeHTTP(rw, r)
			})
			return call(w)
		}
	}
	providertest.Refusals(t, "testdata/refusals.golden", *update, codeIn, []providertest.Refusal{
		{Answer: "400 9106", How: "a call without a token", Kind: provider.Denied, Call: token("", create)},
		{Answer: "403 10000", How: "a call with another token", Kind: provider.Denied, Call: token("Bearer another-invented-token", create)},
		{Answer: "401 1000", How: "another token, asked what it is worth (doctor)", Call: token("Bearer another-invented-token", func(w *world) error {
			if found := w.p.Check(ctx); found[0].OK {
				t.Errorf("check: %+v", found)
			}
			return nil
		})},
		{Answer: "403 10000", How: "create, with a token that may only read the zone", Kind: provider.Denied, Call: zone(func(z *simulated.Zone) { z.ReadOnly = true }, create)},
		{Answer: "403 10000", How: "purge, with a token that may not purge", Kind: provider.Denied, Call: zone(func(z *simulated.Zone) { z.NoPurge = true }, func(w *world) error {
			return w.p.Purge(ctx, []string{host})
		})},
		{Answer: "403 9109", How: "create in a zone that the token does not see", Kind: provider.Denied, Call: zone(func(z *simulated.Zone) { z.Hidden = true }, create)},
		{Answer: "400 81058", How: "create a record that is there", Kind: provider.Conflict, Call: creates(wish("A", host, "192.0.2.7"), simulated.Record{Type: "A", Content: "192.0.2.7"})},
		{Answer: "400 81054", How: "create an address beside a CNAME", Kind: provider.Conflict, Call: creates(wish("A", host, "192.0.2.7"), simulated.Record{Type: "CNAME", Content: "a.example"})},
		{Answer: "400 81053", How: "create a CNAME beside an address", Kind: provider.Conflict, Call: creates(wish("CNAME", host, "a.example"), simulated.Record{Type: "A", Content: "192.0.2.7"})},
		{Answer: "400 81045", How: "create in a zone that is full", Kind: provider.Invalid, Call: zone(func(z *simulated.Zone) { z.Quota = 1 }, func(w *world) error {
			if err := create(w); err != nil {
				return err
			}
			_, err := w.p.Create(ctx, wish("A", "second.shops.example", "192.0.2.7"))
			return err
		})},
		{Answer: "400 1004/9005", How: "create an A record that leads to no IPv4 address", Kind: provider.Invalid, Call: creates(wish("A", host, "2001:db8::7"))},
		{Answer: "400 1004/9006", How: "create an AAAA record that leads to no IPv6 address", Kind: provider.Invalid, Call: creates(wish("AAAA", host, "192.0.2.7"))},
		{Answer: "400 1004/9007", How: "create a CNAME to itself", Kind: provider.Invalid, Call: creates(wish("CNAME", host, host))},
		{Answer: "400 1004/9009", How: "create an MX record to an address", Kind: provider.Invalid, Call: creates(wish("MX", host, "192.0.2.7", "priority=10"))},
		{Answer: "400 1004/9021", How: "create with a time to live of five seconds", Kind: provider.Invalid, Call: creates(wish("A", host, "192.0.2.7", "ttl=5"))},
		{Answer: "404 81044", How: "update a record that somebody took away", Kind: provider.NotFound, Call: func(t *testing.T, seen *providertest.Answers) error {
			w := open(t, seen, setup{})
			o := w.create(wish("A", host, "192.0.2.7"))
			if err := w.vendor.Remove(o.ID[strings.Index(o.ID, "/")+1:]); err != nil {
				t.Fatal(err)
			}
			_, err := w.p.Update(ctx, o.ID, wish("A", host, "192.0.2.8"))
			return err
		}},
		{Answer: "404 81044", How: "delete a record that somebody took away", Call: func(t *testing.T, seen *providertest.Answers) error {
			w := open(t, seen, setup{})
			o := w.create(wish("A", host, "192.0.2.7"))
			if err := w.vendor.Remove(o.ID[strings.Index(o.ID, "/")+1:]); err != nil {
				t.Fatal(err)
			}
			return w.p.Delete(ctx, state.KindRecord, o.ID)
		}},
		{Answer: "429 10429", How: "one call more than five minutes have", Kind: provider.RateLimited, Call: func(t *testing.T, seen *providertest.Answers) error {
			w := open(t, seen, setup{calls: 3})
			for n := range 4 {
				if _, err := w.p.Create(ctx, wish("A", fmt.Sprintf("shop%d.shops.example", n), "192.0.2.7")); err != nil {
					return err
				}
			}
			return nil
		}},
		{Answer: "404 7003", How: "an apiURL that leads elsewhere, and an update: the record is not taken for gone", Kind: provider.Transient, Call: func(t *testing.T, seen *providertest.Answers) error {
			w := open(t, seen, setup{})
			o := w.create(wish("A", host, "192.0.2.7"))
			w.clock.add(zonesAge)
			vendor := w.wire.handler
			w.wire.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				r.URL.Path = strings.Replace(r.URL.Path, "/client/v4", "/client/v4/v5", 1)
				vendor.ServeHTTP(rw, r)
			})
			_, err := w.p.Update(ctx, o.ID, wish("A", host, "192.0.2.8"))
			return err
		}},
		{Answer: "400 1004", How: "a text that is too long, a proxied TXT record", Fault: "the provider sends neither: it refuses the one and leaves out the other", Kind: provider.Invalid, Call: asked(400, 1004, nil)},
		{Answer: "400 81057", How: "create a record that is there, in the older words", Fault: "81058 says the same, and which of them comes when is not known", Kind: provider.Conflict, Call: asked(400, 81057, nil)},
		{Answer: "400 81056", How: "create a record beside NS records of its name", Fault: "the simulator keeps no NS records: no wish has any", Kind: provider.Conflict, Call: asked(400, 81056, nil)},
		{Answer: "400 6003", How: "a header that is no header", Fault: "no client of ours sends one; of a broken token it is 9106", Kind: provider.Denied, Call: asked(400, 6003, nil)},
		{Answer: "500 10001", How: "it broke", Fault: "nothing breaks in a simulator", Kind: provider.Uncertain, Call: asked(500, 10001, nil)},
		{Answer: "503 10001", How: "it is away", Fault: "nothing breaks in a simulator", Kind: provider.Uncertain, Call: asked(503, 10001, nil)},
	})
}
