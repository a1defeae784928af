package smtp

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/smtp/smtptest"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	type at struct {
		server *smtptest.Server
		dir    string
	}
	where := map[provider.Provider]at{}
	start := func(t *testing.T, a at) provider.Provider {
		p := open(t, a.server, Options{Dir: a.dir})
		where[p] = a
		return p
	}
	providertest.Run(t, providertest.Subject{
		New: func(t *testing.T) provider.Provider {
			return start(t, at{smtptest.Start(t, smtptest.Options{StartTLS: true}), t.TempDir()})
		},
		Reopen: func(t *testing.T, p provider.Provider) provider.Provider { return start(t, where[p]) },
		Cases: []providertest.Case{{
			Kind: state.KindMail, Sent: true, WriteOnly: []string{"subject", "text", "to"},
			Inputs: func(providertest.Chain) []provider.Input {
				return []provider.Input{providertest.Text("to", "dana@demoshop.example"), providertest.Text("subject", "Demo Shop is ready"), providertest.Text("text", "It is.\n")}
			},
		}},
	})
}
