package local

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
	host := func(c chain) string { return fmt.Sprintf("shop-%d.example", c.N) }
	local := func(chain) string { return "local" }
	dirs := map[provider.Provider]string{}
	start := func(t *testing.T, dir string) provider.Provider {
		t.Helper()
		p, err := New(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		dirs[p] = dir
		return p
	}
	providertest.Run(t, providertest.Subject{
		New: func(t *testing.T) provider.Provider { t.Helper(); return start(t, t.TempDir()) },
		Reopen: func(t *testing.T, p provider.Provider) provider.Provider {
			t.Helper()
			if err := p.(*Provider).Close(); err != nil {
				t.Fatal(err)
			}
			return start(t, dirs[p])
		},
		Cases: []providertest.Case{
			{Kind: state.KindSite, Name: local, Inputs: func(c chain) []provider.Input {
				return []provider.Input{text("label", fmt.Sprintf("shop-%d", c.N)), text("server", ""), text("repository", Builtin), text("runtime", "node22")}
			}, Change: func(c chain) []provider.Input {
				return []provider.Input{text("label", fmt.Sprintf("renamed-%d", c.N))}
			}},
			{Kind: state.KindEnvironment, Name: local, Inputs: func(c chain) []provider.Input {
				return []provider.Input{text("site", c.ID(state.KindSite)), text("env.STORE_NAME", "Dana's Shop"), providertest.Secret("env.SESSION_SECRET", "pssst-session-value")}
			}, Change: func(chain) []provider.Input {
				return []provider.Input{text("env.STORE_NAME", "021"), providertest.Secret("env.MOLLIE_KEY", "pssst-mollie-value")}
			}},
			{Kind: state.KindDeployment, Name: func(chain) string { return "0123456789ab" }, Inputs: func(c chain) []provider.Input {
				return []provider.Input{text("site", c.ID(state.KindSite)), text("repository", Builtin), text("ref", "v1.4.2"), text("directory", ""), text("template", "ecommerce"),
					text("install", ""), text("command", "build"), text("start", ""), text("migrate", ""), text("settings", `{"theme":"dark"}`), text("features", "blog,ecommerce"),
					text("collections", ""), text("displayName", "Dana's Shop"), text("environment", "ba9876543210")}
			}},
			{Kind: state.KindTraffic, Name: local, Inputs: func(c chain) []provider.Input {
				return []provider.Input{text("site", c.ID(state.KindSite)), text("deployment", c.ID(state.KindDeployment))}
			}},
			{Kind: state.KindDomain, Name: func(c chain) string { return host(c) + "@local" }, Inputs: func(c chain) []provider.Input {
				return []provider.Input{text("site", c.ID(state.KindSite)), text("host", host(c)), text("redirect", "")}
			}, Change: func(c chain) []provider.Input {
				return []provider.Input{text("redirect", "www."+host(c))}
			}},
		},
	})
}
