package resend

import (
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestConformance(t *testing.T) {
	judge := describe(t)
	for name, lag := range map[string]time.Duration{"lists at once": 0, "lists a minute late": time.Minute} {
		t.Run(name, func(t *testing.T) {
			worlds := map[provider.Provider]*world{}
			providertest.Run(t, providertest.Subject{
				New: func(t *testing.T) provider.Provider {
					w := begin(t, simulated.Options{Lag: lag, Domains: map[string]string{"acme.example": "verified"}}, judge)
					p := w.open(t)
					worlds[p] = w
					return p
				},
				Reopen: func(t *testing.T, p provider.Provider) provider.Provider {
					again := worlds[p].open(t)
					worlds[again] = worlds[p]
					return again
				},
				Tick: func(p provider.Provider) { worlds[p].clock.pass(20 * time.Second) },
				Cases: []providertest.Case{{
					Kind: state.KindMail, Sent: true,
					Inputs: func(providertest.Chain) []provider.Input {
						return []provider.Input{providertest.Text("to", "dana@demoshop.example"), providertest.Text("subject", "Demo Shop is ready"), providertest.Text("text", "It is.\n")}
					},
				}},
			})
		})
	}
	judge.Some(t)
}
