package payload

import (
	"context"
	"net/http"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/payload/simulated"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

// withDatabase is the provider together with what the engine does: a user goes with its
// database, which this provider does not keep.
type withDatabase struct {
	*Provider
	w *world
}

func (d withDatabase) Delete(ctx context.Context, kind state.Kind, id string) error {
	if err := d.Provider.Delete(ctx, kind, id); err != nil {
		return err
	}
	if is, ok := parseID(id); ok {
		return d.w.site(is.site).Drop()
	}
	return nil
}

func TestConformance(t *testing.T) {
	for what, change := range map[string]func(*simulated.Options){
		"PostgreSQL": func(o *simulated.Options) { o.NumericIDs = true },
		"MongoDB":    func(o *simulated.Options) { o.German, o.RemoveToken = true, true },
	} {
		t.Run(what, func(t *testing.T) {
			var w *world
			open := func(t *testing.T) provider.Provider {
				p, err := New(Options{HTTP: &http.Client{Transport: w}, Now: w.clock.Now, Where: func(_ context.Context, site string) (string, error) { return w.address(site), nil }})
				if err != nil {
					t.Fatal(err)
				}
				return withDatabase{p, w}
			}
			providertest.Run(t, providertest.Subject{
				New: func(t *testing.T) provider.Provider {
					w = start(t, change)
					w.files = t.TempDir()
					return open(t)
				},
				Reopen: func(t *testing.T, _ provider.Provider) provider.Provider {
					w.restart()
					return open(t)
				},
				Cases: []providertest.Case{{Kind: state.KindAdmin,
					Inputs: func(c providertest.Chain) []provider.Input {
						site := name(c.N)
						return []provider.Input{providertest.Text("database", "db-"+site), providertest.Text("email", "Dana@"+site+".example"), providertest.Secret("password", testPassword),
							providertest.Text("path", "/admin"), providertest.Text("site", site), providertest.Text("url", w.address(site))}
					},
					WriteOnly: []string{"database", "password", "path", "site", "url"}}},
			})
		})
	}
}
