package apply_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// drawShop is some manifest of a client; hosts are dealt so that none has two owners.
func drawShop(t *rapid.T, name string, hosts []string) manifest.Effective {
	return shop(name, func(e *manifest.Effective) {
		e.Deployment.Provider = rapid.SampledFrom([]string{"host", "host", "other"}).Draw(t, "host")
		e.DNS.Provider = rapid.SampledFrom([]string{"dns", "dns", "dns2"}).Draw(t, "dns")
		e.DNS.Proxied = rapid.Bool().Draw(t, "proxied")
		e.Source.Ref = rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "ref")
		e.Environment["CURRENCY"] = manifest.EnvValue{Literal: rapid.SampledFrom([]string{"EUR", "SEK", "021"}).Draw(t, "currency")}
		e.Hosts = append(e.Hosts, hosts...)
	})
}

// drawFault lets something go wrong with the n-th call from now.
func drawFault(t *rapid.T, w *world) {
	n := rapid.IntRange(0, 40).Draw(t, "after calls")
	m := rapid.SampledFrom([]memory.Moment{memory.Before, memory.After}).Draw(t, "moment")
	what := rapid.SampledFrom([]string{"lost", "transient", "limited", "denied", "conflict", "invalid", "killed", "unclassified"}).Draw(t, "fault")
	w.faults.Do(m, func(memory.Call) bool { n--; return n < 0 }, 1, func(_ context.Context, c memory.Call) error {
		if m == memory.After && what != "killed" {
			if c.Err != nil || !c.Verb.Writes() {
				return nil //nolint:nilerr // the call goes on as it was
			}
			return memory.Lost() // it happened: only its answer can be lost
		}
		switch what {
		case "transient":
			return memory.Fail(provider.Transient, "busy")
		case "limited":
			return memory.RateLimited(w.clock.Now().Add(45 * time.Second))
		case "denied":
			return memory.Fail(provider.Denied, "revoked")
		case "conflict":
			if c.Verb == memory.Create {
				return memory.Fail(provider.Conflict, "exists")
			}
		case "invalid":
			if c.Verb.Writes() {
				return memory.Fail(provider.Invalid, "no")
			}
		case "killed":
			panic(killed{"in a call"})
		case "unclassified":
			return fmt.Errorf("connection reset")
		}
		return memory.Lost()
	})
}

// tries passes with faults: whatever comes of it, it is not an error of the test.
func (w *world) tries(passes int) {
	w.t.Helper()
	for range passes {
		died := func() (died bool) {
			defer func() {
				if x := recover(); x != nil {
					if _, ours := x.(killed); !ours {
						panic(x)
					}
					died = true
				}
			}()
			out, err := w.pass(context.Background())
			if err != nil {
				w.t.Fatalf("pass: %v", err)
			}
			w.clock.move(max(3*time.Second, out.retry.Sub(w.clock.Now())))
			return false
		}()
		if died {
			w.restart()
		}
	}
}

// P3, P8: random wishes of a few clients, at random vendors, through random faults and
// crashes. Once these stop, the world is as wished, nothing is there twice, nothing of
// ours is lost track of, and what is not ours is byte for byte what it was.
func TestP3P8RandomWorldsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]vendorKind{{"kind", true, true, 0}, {"late", true, true, 8 * time.Second}, {"marks late", false, true, 8 * time.Second}, {"marks", false, true, 0}}).Draw(t, "vendor")
		w := newWorld(t, nil, v.use)
		w.vendor.Seed("host", provider.Object{Kind: state.KindSite, Name: "bakery-1a2b-ffff0000", Mark: provider.Mark{Installation: "ffff0000", Client: idOf("bakery"), Generation: 1}})
		w.vendor.Seed("host", provider.Object{Kind: state.KindSite, Name: "bakery"})
		w.vendor.Seed("db", provider.Object{Kind: state.KindDatabase, Name: "bakery-1a2b"})
		w.vendor.Seed("dns", provider.Object{Kind: state.KindRecord, Name: "MX bakery.example", Attributes: texts("type", "MX", "name", "bakery.example", "content", "mx.example")})
		strangers := w.vendor.Snapshot(memory.Unmarked(installation))
		names := []string{"bakery", "florist"}
		for range rapid.IntRange(1, 3).Draw(t, "commits") {
			owner := rapid.SampledFrom([]string{"bakery", "florist", ""}).Draw(t, "owner of cake.example")
			for _, name := range names {
				if c := w.find(name); c != nil && rapid.IntRange(0, 5).Draw(t, "goes") == 0 {
					if !c.removed {
						w.goes(name)
					}
					continue
				}
				var hosts []string
				if owner == name {
					hosts = []string{"cake.example"}
				}
				w.wants(drawShop(t, name, hosts))
			}
			for range rapid.IntRange(0, 4).Draw(t, "faults") {
				drawFault(t, w)
			}
			if rapid.IntRange(0, 3).Draw(t, "dies at a border") == 0 {
				left := rapid.IntRange(1, 60).Draw(t, "border")
				w.at = func(apply.Border, plan.Step) {
					if left--; left == 0 {
						panic(killed{"at a border"})
					}
				}
			}
			w.tries(rapid.IntRange(1, 4).Draw(t, "passes"))
			w.at = nil
			w.faults.Clear()
			for n := 0; ; n++ {
				// What a commit took away has its tombstone until it is done: the next commit comes after.
				out := w.settle(3)
				if out.idle {
					break
				}
				t.Fatalf("%s: %v", out.state, out.err)
			}
			w.clock.move(time.Hour)
		}
		w.checkRecord()
		if after := w.vendor.Snapshot(memory.Unmarked(installation)); after != strangers {
			t.Fatalf("what is not ours was changed:\n%s\nit was:\n%s", after, strangers)
		}
		for _, c := range w.clients {
			if _, serves := w.vendor.Serves(c.effective.Host); serves == c.removed {
				t.Errorf("%s: removed %v, serves %v", c.client.Name, c.removed, serves)
			}
		}
	})
}
