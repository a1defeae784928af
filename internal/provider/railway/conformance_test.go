package railway

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestConformance(t *testing.T) {
	text := providertest.Text
	for name, lag := range map[string]time.Duration{"in time": 0, "a minute late": time.Minute} {
		t.Run(name, func(t *testing.T) {
			worlds := map[*Provider]*world{}
			judged := 0
			providertest.Run(t, providertest.Subject{
				New: func(t *testing.T) provider.Provider {
					w := start(t, late(lag), func(o *simulated.Options) { o.File = filepath.Join(t.TempDir(), "railway.json") })
					t.Cleanup(func() { judged += w.ask.Judged() })
					p := w.open()
					worlds[p] = w
					return p
				},
				Reopen: func(t *testing.T, old provider.Provider) provider.Provider {
					was := worlds[old.(*Provider)]
					w := start(t, late(lag), func(o *simulated.Options) { o.File, o.Now = was.options.File, was.clock.Now })
					w.clock = was.clock
					p := w.open()
					worlds[p] = w
					return p
				},
				Cases: []providertest.Case{{Kind: state.KindDatabase,
					Inputs: func(providertest.Chain) []provider.Input {
						return []provider.Input{text("access", "public"), text("disabled", "orders,posts"), text("schema", "ecommerce")}
					},
					Change: func(providertest.Chain) []provider.Input {
						return []provider.Input{text("access", "private"), text("disabled", ""), text("schema", "b2b")}
					}}},
				Tick: func(p provider.Provider) { worlds[p.(*Provider)].clock.move(5 * time.Second) },
			})
			if contract.Specs(t) != "" && judged == 0 {
				t.Error("no exchange was judged")
			}
		})
	}
}
