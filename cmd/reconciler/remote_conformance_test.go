package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

// The providers of another process keep the contract, too: what is true of them over the
// wire is true of them for the program that is killed.
func TestRemoteConformance(t *testing.T) {
	type chain = providertest.Chain
	text := providertest.Text
	host := func(c chain) string { return fmt.Sprintf("shop-%d.example", c.N) }
	site := func(c chain) provider.Input { return text("site", c.ID(state.KindSite)) }
	name := func(chain) string { return "ploi" }
	cases := []providertest.Case{
		{Kind: state.KindDatabase, Inputs: func(chain) []provider.Input {
			return []provider.Input{text("access", "public"), text("schema", "ecommerce"), text("disabled", "")}
		}, Change: func(chain) []provider.Input { return []provider.Input{text("access", "private")} }},
		{Kind: state.KindSite, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{text("label", fmt.Sprintf("shop-%d", c.N)), text("server", "web-1"), text("repository", "https://git.example/shop.git"), text("runtime", "node22")}
		}, Change: func(chain) []provider.Input { return []provider.Input{text("runtime", "node24")} }},
		{Kind: state.KindEnvironment, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("env.STORE_NAME", "Dana's Shop"), providertest.Secret("env.SESSION_SECRET", "pssst-session-value")}
		}, Change: func(chain) []provider.Input {
			return []provider.Input{text("env.STORE_NAME", "021"), text("env.NEW", "")}
		}},
		{Kind: state.KindDeployment, Name: func(chain) string { return "0123456789ab" }, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("repository", "https://git.example/shop.git"), text("ref", "v1.4.2"), text("template", "ecommerce"), text("settings", "{}")}
		}},
		{Kind: state.KindAdmin, Inputs: func(c chain) []provider.Input {
			return []provider.Input{text("email", "dana@shop.example"), providertest.Secret("password", "pssst-password"), text("database", c.ID(state.KindDatabase)), site(c), text("path", "/admin")}
		}, Change: func(chain) []provider.Input { return []provider.Input{text("email", "kim@shop.example")} }, WriteOnly: []string{"password"}},
		{Kind: state.KindTraffic, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("deployment", c.ID(state.KindDeployment))}
		}},
		{Kind: state.KindDomain, Name: func(c chain) string { return host(c) + "@ploi" }, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("host", host(c)), text("redirect", "")}
		}, Change: func(c chain) []provider.Input { return []provider.Input{text("redirect", "www."+host(c))} }},
		{Kind: state.KindRecord, Name: func(c chain) string { return "A " + host(c) }, Inputs: func(c chain) []provider.Input {
			return []provider.Input{text("type", "A"), text("name", host(c)), text("content", "203.0.113.7"), text("ttl", "300")}
		}, Change: func(chain) []provider.Input { return []provider.Input{text("content", "203.0.113.8")} }},
		{Kind: state.KindMail, Name: func(chain) string { return "welcome" }, Inputs: func(chain) []provider.Input {
			return []provider.Input{text("to", "dana@shop.example"), text("subject", "ready"), text("text", "Your shop is ready.")}
		}},
	}
	for name, spec := range map[string]hostSpec{
		"plain":  {One: true, NoLikes: true},
		"unkind": {One: true, NoLikes: true, Lag: 4 * time.Second, Builds: 2},
	} {
		t.Run(name, func(t *testing.T) {
			at := map[provider.Provider]*remote{}
			open := func(t *testing.T, r *remote) provider.Provider {
				all, err := r.providers(t.Context())
				if err != nil || len(all) != 1 {
					t.Fatalf("%d providers: %v", len(all), err)
				}
				at[all[0]] = r
				return all[0]
			}
			providertest.Run(t, providertest.Subject{
				New: func(t *testing.T) provider.Provider {
					dir, err := os.MkdirTemp("", "host") //nolint:usetesting // short enough for a socket
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = os.RemoveAll(dir) })
					spec.Socket = filepath.Join(dir, "socket")
					return open(t, startHost(t, spec))
				},
				Reopen: func(t *testing.T, p provider.Provider) provider.Provider { return open(t, at[p]) },
				Cases:  cases,
				Tick: func(p provider.Provider) {
					if err := at[p].pass(t.Context(), time.Second); err != nil {
						t.Error(err)
					}
				},
			})
		})
	}
}
