package cloudflare

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write golden files")

// A check says in words what is wrong with the account, and changes nothing.
func TestCheck(t *testing.T) {
	change := func(zone string, c func(*simulated.Zone)) func(*world) {
		return func(w *world) {
			if err := w.vendor.Change(zone, c); err != nil {
				w.Fatal(err)
			}
		}
	}
	headers := http.Header{"Content-Type": {"application/json"}}
	for name, c := range map[string]struct {
		zoneID string
		do     func(*world)
		want   []string
	}{
		"well":      {shopID, func(*world) {}, []string{"+the token is active", "+the zone shops.example is active and its records can be changed"}},
		"all zones": {"", func(*world) {}, []string{"+the token", "+the zone shops.example", "+the zone deep.shops.example", "-the zone pending.example is pending"}},
		"no token": {shopID, func(w *world) {
			w.faults.Add(simulator.Fault{Path: "/client/v4/user/tokens/verify", Do: simulator.Refuse(401, headers, refusalBody(1000, "Invalid API Token"))})
		}, []string{"-Cloudflare does not take the token: Invalid API Token"}},
		"not reached": {shopID, func(w *world) { w.wire.refuse = true }, []string{"-Cloudflare does not answer as it should: no connection"}},
		"expired": {shopID, func(w *world) {
			w.faults.Add(simulator.Fault{Path: "/client/v4/user/tokens/verify", Do: simulator.Refuse(200, headers, `{"success":true,"errors":[],"messages":[],"result":{"id":"a","status":"expired"}}`)})
		}, []string{"-the token is expired"}},
		"hidden":     {shopID, change(shopID, func(z *simulated.Zone) { z.Hidden = true }), []string{"+the token", "-the zones could not be read: Unauthorized"}},
		"reads only": {shopID, change(shopID, func(z *simulated.Zone) { z.ReadOnly = true }), []string{"+the token", "-the token may read the records of shops.example and not change them"}},
		"no purge":   {shopID, change(shopID, func(z *simulated.Zone) { z.NoPurge = true }), []string{"+the token", "+the zone shops.example is active and its records can be changed; its cache can't be purged"}},
		"no records": {shopID, func(w *world) {
			w.faults.Add(simulator.Fault{Path: "/client/v4/zones/*/dns_records", Do: simulator.Refuse(403, headers, refusalBody(10000, "Authentication error"))})
		}, []string{"+the token", "-the records of shops.example can't be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{zoneID: c.zoneID})
			c.do(w)
			found := w.p.Check(t.Context())
			if len(found) != len(c.want) {
				t.Fatalf("%+v", found)
			}
			for i, f := range found {
				sign := map[bool]string{true: "+", false: "-"}[f.OK]
				if !strings.HasPrefix(sign+f.Text, c.want[i]) || !f.OK && f.Hint == "" || strings.Contains(f.Text+f.Hint, token) {
					t.Errorf("%d: %s%s (%s), want %s", i, sign, f.Text, f.Hint, c.want[i])
				}
			}
		})
	}
	w := newWorld(t, setup{})
	for _, z := range zonesOfTests() {
		if err := w.vendor.Change(z.ID, func(z *simulated.Zone) { z.Hidden = true }); err != nil {
			t.Fatal(err)
		}
	}
	if found := w.p.Check(t.Context()); len(found) != 2 || found[1].OK || found[1].Text != "the token sees no zone" {
		t.Errorf("%+v", found)
	}
}

// The cache forgets hosts, zone by zone, at most 30 a call.
func TestPurge(t *testing.T) {
	w := newWorld(t, setup{})
	hosts := []string{"a.deep.shops.example"}
	for i := range 35 {
		hosts = append(hosts, fmt.Sprintf("shop%d.shops.example", i), fmt.Sprintf("shop%d.shops.example", i))
	}
	if err := w.p.Purge(t.Context(), hosts); err != nil {
		t.Fatal(err)
	}
	if got := w.vendor.Purged(); len(got) != 36 || w.wire.count() != 4 {
		t.Errorf("purged %d in %v", len(got), w.wire.since(0))
	}
	if err := w.vendor.Change(shopID, func(z *simulated.Zone) { z.NoPurge = true }); err != nil {
		t.Fatal(err)
	}
	w.fails(w.p.Purge(t.Context(), hosts), provider.Denied, "10000")
	w.fails(w.p.Purge(t.Context(), []string{"nowhere.example"}), provider.Invalid, "no zone")
	w.fails(w.p.Purge(t.Context(), []string{"a b"}), provider.Invalid, "")
	w.fails(w.p.Purge(t.Context(), make([]string, maxToPurge+1)), provider.Invalid, "at most")
}

// What provisioning costs, call by call, and that the traits say so.
func TestCalls(t *testing.T) {
	w := newWorld(t, setup{})
	var out strings.Builder
	told := func(what string, most int, do func()) {
		t.Helper()
		n := w.wire.count()
		do()
		calls := w.wire.since(n)
		fmt.Fprintf(&out, "%s\n", what)
		for _, c := range calls {
			for id, name := range map[string]string{shopID: "ZONE"} {
				c = strings.ReplaceAll(c, id, name)
			}
			if at := strings.Index(c, "/dns_records/"); at >= 0 && !strings.HasSuffix(c, "/batch") {
				c = c[:at] + "/dns_records/RECORD"
			}
			fmt.Fprintf(&out, "    %s\n", c)
		}
		if len(calls) != most {
			t.Errorf("%s costs %d calls, and the traits say %d", what, len(calls), most)
		}
	}
	traits := w.p.Traits()[state.KindRecord]
	bakery, old := wish("A", "bakery.shops.example", "192.0.2.7", "proxied=true"), wish("A", "florist.shops.example", "192.0.2.8")
	var o provider.Object
	told("the zones, once in ten minutes", 1, func() {
		if _, err := w.p.zoneOf(t.Context(), "observe", "bakery.shops.example"); err != nil {
			t.Fatal(err)
		}
	})
	told("create: look, make", traits.ObserveCalls+traits.CreateCalls, func() { w.byName(bakery); o = w.create(bakery) })
	told("look at one", traits.ObserveCalls, func() { w.byID(o.ID) })
	told("env only", 0, func() {})
	told("domain change: look, make, take the old one away", traits.ObserveCalls+traits.CreateCalls+traits.DeleteCalls, func() {
		w.byName(old)
		next := w.create(old)
		if err := w.p.Delete(t.Context(), state.KindRecord, o.ID); err != nil {
			t.Fatal(err)
		}
		o = next
	})
	told("provider switch: the record leads elsewhere", traits.ObserveCalls+traits.UpdateCalls, func() {
		w.byID(o.ID)
		if _, err := w.p.Update(t.Context(), o.ID, wish("A", "florist.shops.example", "192.0.2.9")); err != nil {
			t.Fatal(err)
		}
	})
	told("remove", traits.DeleteCalls, func() {
		if err := w.p.Delete(t.Context(), state.KindRecord, o.ID); err != nil {
			t.Fatal(err)
		}
	})
	file := filepath.Join("testdata", "calls.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != out.String() {
		t.Errorf("the calls are\n%s(%v)", out.String(), err)
	}
}

func TestOptions(t *testing.T) {
	h := httpapi.NewHTTP(&direct{}, 0)
	for says, o := range map[string]Options{
		"apiURL is not an address": {Token: state.NewSecret(token), HTTP: h, URL: "here"}, "zoneID is not a zone's id": {Token: state.NewSecret(token), HTTP: h, ZoneID: "../x"},
		"apiToken is missing": {HTTP: h}, "no HTTP client": {Token: state.NewSecret(token)},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), token) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if _, err := New(Options{Token: state.NewSecret(token), HTTP: h}); err != nil {
		t.Error(err)
	}
}
