package providertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

// broken is a provider that breaks one promise.
type broken struct {
	provider.Provider
	observe func(context.Context, provider.Query) ([]provider.Object, error)
	owned   func(context.Context, string) ([]provider.Object, error)
	create  func(context.Context, provider.Wish) (provider.Object, error)
	update  func(context.Context, string, provider.Wish) (provider.Object, error)
	remove  func(context.Context, state.Kind, string) error
}

func (b broken) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if b.observe != nil {
		return b.observe(ctx, q)
	}
	return b.Provider.Observe(ctx, q)
}

func (b broken) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if b.owned != nil {
		return b.owned(ctx, installation)
	}
	return b.Provider.Owned(ctx, installation)
}

func (b broken) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	if b.create != nil {
		return b.create(ctx, w)
	}
	return b.Provider.Create(ctx, w)
}

func (b broken) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	if b.update != nil {
		return b.update(ctx, id, w)
	}
	return b.Provider.Update(ctx, id, w)
}

func (b broken) Delete(ctx context.Context, k state.Kind, id string) error {
	if b.remove != nil {
		return b.remove(ctx, k, id)
	}
	return b.Provider.Delete(ctx, k, id)
}

// promise is a way to break one, and the test that must see it.
type promise struct {
	name, seenBy string
	ignoreUnique bool
	breakIt      func(*broken, provider.Provider)
}

func promises() []promise {
	return []promise{
		{name: "an error as absence", seenBy: "cancelled", breakIt: func(b *broken, p provider.Provider) {
			b.observe = func(ctx context.Context, q provider.Query) ([]provider.Object, error) {
				o, _ := p.Observe(ctx, q)
				return o, nil
			}
		}},
		{name: "an unclassified error", seenBy: "create_again", breakIt: func(b *broken, p provider.Provider) {
			b.create = func(ctx context.Context, w provider.Wish) (provider.Object, error) {
				o, err := p.Create(ctx, w)
				if err != nil {
					err = errors.New(err.Error())
				}
				return o, err
			}
		}},
		{name: "two of a name", seenBy: "create_again", ignoreUnique: true},
		{name: "absent delete fails", seenBy: "absent", breakIt: func(b *broken, p provider.Provider) {
			b.remove = func(ctx context.Context, k state.Kind, id string) error {
				if o, err := p.Observe(ctx, provider.Query{Kind: k, ID: id}); err == nil && len(o) == 0 {
					return &provider.Error{Kind: provider.NotFound, Provider: "x", Op: "delete", Message: "no"}
				}
				return p.Delete(ctx, k, id)
			}
		}},
		{name: "absent update creates", seenBy: "absent", breakIt: func(b *broken, p provider.Provider) {
			b.update = func(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
				o, err := p.Update(ctx, id, w)
				if provider.KindOf(err) == provider.NotFound {
					return p.Create(ctx, w)
				}
				return o, err
			}
		}},
		{name: "an update that does nothing", seenBy: "update", breakIt: func(b *broken, p provider.Provider) {
			b.update = func(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
				found, err := p.Observe(ctx, provider.Query{Kind: w.Ref.Kind, ID: id})
				if err != nil || len(found) == 0 {
					return p.Update(ctx, id, w)
				}
				return found[0], nil
			}
		}},
		{name: "another installation's objects", seenBy: "owned", breakIt: func(b *broken, p provider.Provider) {
			b.owned = func(ctx context.Context, installation string) ([]provider.Object, error) {
				a, err := p.Owned(ctx, "0badcafe")
				if err != nil {
					return nil, err
				}
				return a, nil
			}
		}},
		{name: "a lost mark", seenBy: "create", breakIt: func(b *broken, p provider.Provider) {
			b.create = func(ctx context.Context, w provider.Wish) (provider.Object, error) {
				w.Mark = provider.Mark{}
				return p.Create(ctx, w)
			}
		}},
		{name: "a look that changes", seenBy: "looking_changes_nothing", breakIt: func(b *broken, p provider.Provider) {
			b.owned = func(ctx context.Context, installation string) ([]provider.Object, error) {
				w := p.(*memory.Provider).World()
				for _, o := range w.Objects("") {
					w.Set(o.ID, "seen", "true")
				}
				return p.Owned(ctx, installation)
			}
		}},
		{name: "a secret in clear", seenBy: "secrets", breakIt: func(b *broken, p provider.Provider) {
			b.observe = func(ctx context.Context, q provider.Query) ([]provider.Object, error) {
				found, err := p.Observe(ctx, q)
				for _, o := range found {
					for n, a := range o.Attributes {
						o.Attributes[n] = provider.Input{Name: a.Name, Text: a.Reveal()}
					}
				}
				return found, err
			}
		}},
		{name: "any kind", seenBy: "unknown_kind", breakIt: func(b *broken, p provider.Provider) {
			b.observe = func(ctx context.Context, q provider.Query) ([]provider.Object, error) {
				o, err := p.Observe(ctx, q)
				if provider.KindOf(err) == provider.Unsupported {
					return nil, nil
				}
				return o, err
			}
		}},
	}
}

func subject(b promise) providertest.Subject {
	kinds := map[state.Kind]provider.Traits{state.KindDatabase: memory.Databases()[state.KindDatabase], state.KindRecord: memory.DNS()[state.KindRecord]}
	actual := kinds
	if b.ignoreUnique {
		actual = memory.Change(kinds, memory.Unkind(0))
	}
	host := func(c providertest.Chain) string { return fmt.Sprintf("shop-%d.example", c.N) }
	return providertest.Subject{
		New: func(*testing.T) provider.Provider {
			p := memory.New(memory.Options{Kinds: actual})
			out := broken{Provider: p}
			if b.breakIt != nil {
				b.breakIt(&out, p)
			}
			if b.ignoreUnique {
				return boaster{out, kinds}
			}
			return out
		},
		Cases: []providertest.Case{
			{Kind: state.KindDatabase, Inputs: func(providertest.Chain) []provider.Input {
				return []provider.Input{providertest.Text("access", "public"), providertest.Secret("key", "pssst-key")}
			}, Change: func(providertest.Chain) []provider.Input {
				return []provider.Input{providertest.Text("access", "private")}
			}},
			{Kind: state.KindRecord, Name: func(c providertest.Chain) string { return "A " + host(c) }, Inputs: func(c providertest.Chain) []provider.Input {
				return []provider.Input{providertest.Text("type", "A"), providertest.Text("name", host(c)), providertest.Text("content", "203.0.113.7")}
			}},
		},
	}
}

// boaster promises other traits than it keeps.
type boaster struct {
	broken
	kinds map[state.Kind]provider.Traits
}

func (b boaster) Traits() map[state.Kind]provider.Traits {
	return memory.Change(b.kinds, func(state.Kind, *provider.Traits) {})
}

func TestSound(t *testing.T) { providertest.Run(t, subject(promise{})) }

// breakingNow is set in the process that runs the suite on a broken provider.
const breakingNow = "PROVIDERTEST_BREAK"

// Each broken promise is seen, by the test that is about it.
func TestBroken(t *testing.T) {
	if name := os.Getenv(breakingNow); name != "" {
		for _, b := range promises() {
			if b.name == name {
				providertest.Run(t, subject(b))
			}
		}
		return
	}
	for _, b := range promises() {
		t.Run(b.name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$", "-test.v")
			c.Env = append(os.Environ(), breakingNow+"="+b.name)
			out, err := c.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !strings.Contains(string(out), "--- FAIL: TestBroken/"+b.seenBy+" ") {
				t.Errorf("%v: the suite's %q did not see it:\n%s", err, b.seenBy, out)
			}
		})
	}
}
