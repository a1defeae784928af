package cloudflare

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// answering is a DNS that answers what the vendor's zones say.
func answering(w *world) Lookup {
	return func(_ context.Context, _, recordType, name string) ([]string, error) {
		return w.vendor.Answers(recordType, name), nil
	}
}

func TestConformance(t *testing.T) {
	type chain = providertest.Chain
	text := providertest.Text
	host := func(c chain) string { return fmt.Sprintf("shop%d.shops.example", c.N) }
	for _, kind := range []struct {
		name, before, after string
		proxied             bool
	}{
		{"A", "192.0.2.7", "192.0.2.8", true}, {"AAAA", "2001:db8::7", "2001:db8::8", false}, {"CNAME", "a.example", "b.example", true}, {"TXT", "one", `"two" "three"`, false},
		{"MX", "mx1.example", "mx2.example", false}, {"CAA", `0 issue "a.example"`, `0 issuewild "b.example"`, false}, {"SRV", "5 443 a.example", "6 8443 b.example", false},
	} {
		for _, lag := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(kind.name, " lists ", lag, " late"), func(t *testing.T) {
				worlds := map[provider.Provider]*world{}
				setups := map[provider.Provider]setup{}
				start := func(t *testing.T, s setup) provider.Provider {
					w := newWorld(t, s)
					worlds[w.p], setups[w.p] = w, s
					return w.p
				}
				subject := providertest.Subject{
					New: func(t *testing.T) provider.Provider {
						s := setup{lag: lag, lookup: answering, file: filepath.Join(t.TempDir(), "state.json")}
						if kind.name == "MX" { // one of them gathers
							s.moment = time.Millisecond
						}
						return start(t, s)
					},
					Reopen: func(t *testing.T, p provider.Provider) provider.Provider {
						before := worlds[p].clock.now()
						next := start(t, setups[p])
						worlds[next].clock.at = before
						return next
					},
					Tick: func(p provider.Provider) { worlds[p].clock.add(time.Second) },
					Cases: []providertest.Case{{
						Kind: state.KindRecord,
						Name: func(c chain) string { return kind.name + " " + host(c) },
						Inputs: func(c chain) []provider.Input {
							in := []provider.Input{text("type", kind.name), text("name", host(c)), text("content", kind.before), text("ttl", "300")}
							if kind.proxied {
								in = append(in, text("proxied", "true"))
							}
							if kind.name == "MX" || kind.name == "SRV" {
								in = append(in, text("priority", "10"))
							}
							return in
						},
						Change: func(chain) []provider.Input {
							return []provider.Input{text("content", kind.after), text("ttl", "60")}
						},
						WriteOnly: []string{"ttl"}, // of a proxied one
					}},
				}
				providertest.Run(t, subject)
			})
		}
	}
}

// With every first create's answer dropped, and lists late by up to a minute, one record
// results: looking as the engine does, three times across the lag.
func TestP3EveryFirstAnswerDropped(t *testing.T) {
	for _, lag := range []time.Duration{0, 20 * time.Second, time.Minute} {
		w := newWorld(t, setup{lag: lag})
		w.faults.Add(simulator.Fault{Method: "POST", Path: "/client/v4/zones/*/dns_records", Do: simulator.LoseAnswer()})
		wished := wish("A", "bakery.shops.example", "192.0.2.7")
		_, err := w.p.Create(t.Context(), wished)
		w.fails(err, provider.Uncertain, "no answer")
		var found []provider.Object
		for range 3 {
			if found = w.byName(wished); len(found) > 0 {
				break
			}
			w.clock.add(listLag / 2)
		}
		if len(found) != 1 || found[0].Mark != mark || len(w.vendor.Records(shopID)) != 1 {
			t.Errorf("lists %s late: %d found, %d there", lag, len(found), len(w.vendor.Records(shopID)))
		}
	}
}
