package mailbox

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestConformance(t *testing.T) {
	dirs := map[provider.Provider]string{}
	start := func(t *testing.T, dir string) provider.Provider {
		p, err := New(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		dirs[p] = dir
		return p
	}
	providertest.Run(t, providertest.Subject{
		New:    func(t *testing.T) provider.Provider { return start(t, t.TempDir()) },
		Reopen: func(t *testing.T, p provider.Provider) provider.Provider { return start(t, dirs[p]) },
		Cases: []providertest.Case{{
			Kind: state.KindMail,
			Inputs: func(providertest.Chain) []provider.Input {
				return []provider.Input{providertest.Text("to", "dana@demoshop.example"), providertest.Text("subject", "Demo Shop is ready"), providertest.Text("text", "It is.\n")}
			},
		}},
	})
}
