package sqlite

import (
	"fmt"
	"testing"

	"golang.org/x/crypto/bcrypt"

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
		p.cost = func(string) int { return bcrypt.MinCost } // the suite is about rows, not about guessing
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
		return p
	}
	providertest.Run(t, providertest.Subject{
		New:    func(t *testing.T) provider.Provider { return start(t, t.TempDir()) },
		Reopen: func(t *testing.T, p provider.Provider) provider.Provider { return start(t, p.(*Provider).dir) },
		Cases: []providertest.Case{
			{Kind: state.KindDatabase,
				Inputs: func(chain) []provider.Input {
					return []provider.Input{text("access", "public"), text("disabled", "orders,posts"), text("schema", "ecommerce")}
				},
				Change: func(chain) []provider.Input {
					return []provider.Input{text("access", "private"), text("disabled", ""), text("schema", "b2b")}
				}},
			{Kind: state.KindAdmin,
				Inputs: func(c chain) []provider.Input {
					return []provider.Input{text("database", c.ID(state.KindDatabase)), text("email", fmt.Sprintf("dana%d@demoshop.example", c.N)),
						text("path", "/admin"), text("site", "site-1"), providertest.Secret("password", "pssst-password-value")}
				},
				Change: func(c chain) []provider.Input {
					return []provider.Input{text("email", fmt.Sprintf("kim%d@demoshop.example", c.N)), providertest.Secret("password", "pssst-another-value")}
				},
				WriteOnly: []string{"password"}},
		},
	})
}
