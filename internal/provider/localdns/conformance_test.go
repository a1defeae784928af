package localdns

import (
	"fmt"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestConformance(t *testing.T) {
	type chain = providertest.Chain
	text := providertest.Text
	start := func(t *testing.T, dir string) provider.Provider {
		p, err := New(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := p.Listen("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		return p
	}
	host := func(c chain) string { return fmt.Sprintf("shop%d.example", c.N) }
	for _, kind := range []struct{ name, before, after string }{
		{"A", "192.0.2.7", "192.0.2.8"}, {"CNAME", "a.example", "b.example"}, {"TXT", "one", `"two" "three"`}, {"MX", "mx1.example", "mx2.example"},
	} {
		t.Run(kind.name, func(t *testing.T) {
			providertest.Run(t, providertest.Subject{
				New: func(t *testing.T) provider.Provider { return start(t, t.TempDir()) },
				Reopen: func(t *testing.T, p provider.Provider) provider.Provider {
					if err := p.(*Provider).Close(); err != nil {
						t.Fatal(err)
					}
					return start(t, p.(*Provider).o.Dir)
				},
				Cases: []providertest.Case{{
					Kind: state.KindRecord,
					Name: func(c chain) string { return kind.name + " " + host(c) },
					Inputs: func(c chain) []provider.Input {
						return []provider.Input{text("type", kind.name), text("name", host(c)), text("content", kind.before), text("ttl", "300"), text("priority", "10"), text("proxied", "true")}
					},
					Change: func(chain) []provider.Input { return []provider.Input{text("content", kind.after), text("ttl", "60")} },
				}},
			})
		})
	}
}
