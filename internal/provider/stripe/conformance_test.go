package stripe

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// closing is the provider together with a person who closes at Stripe what the provider leaves
// alone when it is told to delete, and waits a day, so that names are free: the suite asks for
// objects that go. That the provider itself closes nothing: see TestDeleteLeavesTheAccount.
type closing struct {
	*Provider
	w *world
}

func (c closing) Delete(ctx context.Context, kind state.Kind, id string) error {
	if err := c.Provider.Delete(ctx, kind, id); err != nil {
		return err
	}
	for _, a := range c.w.vendor.Accounts() {
		if a.ID == id {
			c.w.clock.move(24 * time.Hour)
			return c.w.vendor.Close(id)
		}
	}
	return nil
}

// Accounts here are born with nothing due: the suite wants what it makes to become ready.
func TestConformance(t *testing.T) {
	text := providertest.Text
	paper := contract.OpenAPI(t, described())
	for name, lag := range map[string]time.Duration{"in time": 0, "a minute late": time.Minute} {
		t.Run(name, func(t *testing.T) {
			judged := 0
			providertest.Run(t, providertest.Subject{
				New: func(t *testing.T) provider.Provider {
					w := begin(t, paper, false, late(lag), onboarded, func(o *simulated.Options) { o.File = filepath.Join(t.TempDir(), "stripe.json") })
					t.Cleanup(func() { judged += w.ask.Judged() })
					return closing{w.open(), w}
				},
				Reopen: func(t *testing.T, old provider.Provider) provider.Provider {
					was := old.(closing).w
					w := begin(t, paper, false, late(lag), onboarded, func(o *simulated.Options) { o.File, o.Now = was.options.File, was.clock.Now })
					w.clock = was.clock
					return closing{w.open(), w}
				},
				Cases: []providertest.Case{{Kind: KindPayments,
					Inputs: func(providertest.Chain) []provider.Input {
						return []provider.Input{text("country", "NL"), text("email", "owner@demoshop.example"), text("label", "Demo Shop"), text("tier", "standard"), text("url", "https://demoshop.example")}
					},
					Change: func(providertest.Chain) []provider.Input {
						return []provider.Input{text("label", "Demo Shop GmbH"), text("tier", "premium")}
					},
					WriteOnly: []string{"email", "label", "url"}, // of an account whose owner was there
				}},
				Tick: func(p provider.Provider) { p.(closing).w.clock.move(5 * time.Second) },
			})
			if contract.Specs(t) != "" && judged == 0 {
				t.Error("no exchange was judged")
			}
		})
	}
}
