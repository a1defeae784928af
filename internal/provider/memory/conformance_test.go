package memory_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

// clock is a clock that only tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Sleep lets d pass at once.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.Move(d)
	return nil
}

func cases() []providertest.Case {
	type chain = providertest.Chain
	text := providertest.Text
	host := func(c chain) string { return fmt.Sprintf("shop-%d.example", c.N) }
	site := func(c chain) provider.Input { return text("site", c.ID(state.KindSite)) }
	name := func(chain) string { return "ploi" }
	return []providertest.Case{
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
		{Kind: state.KindPayments, Inputs: func(chain) []provider.Input {
			return []provider.Input{text("country", "NL"), text("email", "dana@shop.example"), text("label", "Demo Shop"), text("tier", "standard")}
		}, Change: func(chain) []provider.Input { return []provider.Input{text("tier", "premium")} }},
	}
}

// owned is a vendor with the owners of accounts for taking money: they finish what is begun for
// them, and close what is let go of. The suite wants what it makes to be ready, and to go.
type owned struct{ *memory.Provider }

func (o owned) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	made, err := o.Provider.Create(ctx, w)
	if err == nil && made.Phase == provider.Manual {
		o.World().Done(made.ID)
		made.Phase, made.Message = provider.Ready, ""
	}
	return made, err
}

func (o owned) Delete(ctx context.Context, kind state.Kind, id string) error {
	err := o.Provider.Delete(ctx, kind, id)
	if have, ok := o.World().Object(id); err == nil && ok && kind == state.KindPayments && have.Kind == kind {
		o.World().Remove(id)
	}
	return err
}

func TestConformance(t *testing.T) {
	hidden := map[state.Kind][]string{state.KindAdmin: {"password"}}
	slow := func(provider.Wish) memory.Build {
		return memory.Build{Looks: 2, Takes: 3 * time.Second, Log: []string{"one", "two", "three"}}
	}
	unmarked := memory.Change(memory.Everything(), func(_ state.Kind, tr *provider.Traits) { tr.Marks = false })
	for name, o := range map[string]memory.Options{
		"plain":    {},
		"slow":     {Build: slow, Latency: 50 * time.Millisecond},
		"unkind":   {Kinds: memory.Change(memory.Everything(), memory.Unkind(4*time.Second)), LateDeletes: true, Build: slow},
		"unmarked": {Kinds: unmarked},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			o.Name, o.WriteOnly, o.Sleep = "ploi", hidden, c.Sleep
			providertest.Run(t, providertest.Subject{
				New: func(*testing.T) provider.Provider {
					o := o
					o.World = memory.NewWorld(c.Now)
					return owned{memory.New(o)}
				},
				Reopen: func(_ *testing.T, p provider.Provider) provider.Provider {
					o := o
					o.World = p.(owned).World()
					return owned{memory.New(o)}
				},
				Cases: cases(),
				Tick:  func(provider.Provider) { c.Move(time.Second) },
			})
		})
	}
}
