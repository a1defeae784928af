package reconcile_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// moving keeps databases whose address is another one after each change of their access, as a
// public address of Railway's is.
type moving struct {
	*memory.Provider
	access map[string]string
	turns  map[string]int
	anew   bool // the password is not known any more: the next change makes another one
}

func (m *moving) show(o provider.Object) provider.Object {
	if o.Kind != state.KindDatabase {
		return o
	}
	access := ""
	for _, a := range o.Attributes {
		if a.Name == "access" {
			access = a.Reveal()
		}
	}
	if access != "" && access != m.access[o.ID] {
		m.access[o.ID] = access
		m.turns[o.ID]++
	}
	url := state.NewSecret(fmt.Sprintf("postgres://%s-%d.example/app", m.access[o.ID], m.turns[o.ID]))
	out := o
	out.Outputs = nil
	for _, x := range o.Outputs {
		if x.Name == "url" && m.anew {
			continue // nobody knows it any more
		}
		if x.Name == "url" {
			x.Secret = &url
		}
		out.Outputs = append(out.Outputs, x)
	}
	return out
}

func (m *moving) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	o, err := m.Provider.Create(ctx, w)
	return m.show(o), err
}

func (m *moving) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	o, err := m.Provider.Update(ctx, id, w)
	if m.anew && err == nil && o.Kind == state.KindDatabase {
		m.turns[id]++
		m.anew = false
	}
	return m.show(o), err
}

func (m *moving) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	all, err := m.Provider.Observe(ctx, q)
	out := make([]provider.Object, 0, len(all))
	for _, o := range all {
		out = append(out, m.show(o))
	}
	return out, err
}

func newMoving(t *testing.T) (*vendors, *world, *moving) {
	t.Helper()
	v, m := &vendors{faults: &memory.Faults{}}, &moving{access: map[string]string{}, turns: map[string]int{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		all := v.twoHosts(c)
		m.Provider = all[0].(*memory.Provider)
		all[0] = m
		return all
	})
	return v, w, m
}

// A database has another address once its access changed: the site is told, and so it is by the
// revert.
func TestSiteFollowsItsDatabasesAddress(t *testing.T) {
	for _, cut := range []bool{false, true} {
		v, w, m := newMoving(t)
		reach := func(when string) {
			t.Helper()
			d, _ := v.world.Serves("bakery.agency.example")
			db := v.of(state.KindDatabase)
			want := fmt.Sprintf("postgres://%s-%d.example/app", m.access[db], m.turns[db])
			if got := v.world.BuiltWith(d)["DATABASE_URL"]; got != want {
				t.Errorf("cut %v, %s: the site asks for its data at %s, and it is at %s", cut, when, got, want)
			}
		}
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
		w.want("bakery", state.StatusActive)
		reach("at first")
		if cut {
			v.faults.On(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 1, memory.Fail(provider.Transient, "503 service unavailable"))
		}
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "database: {access: private}")})
		w.want("bakery", state.StatusHeld)
		reach("held")
		w.approveMoves()
		w.pass(w.id("bakery"))
		w.want("bakery", state.StatusActive)
		reach("private")
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
		w.approveMoves()
		w.pass(w.id("bakery"))
		w.want("bakery", state.StatusActive)
		reach("reverted")
	}
}
