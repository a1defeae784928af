package vercel_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// insist makes an object as the engine does: an answer that is lost is looked into across
// the time by which lists may be late, and only what was not found is made again.
func (w *world) insist(t *testing.T, wish provider.Wish) (o provider.Object, lost bool) {
	t.Helper()
	look := func() (provider.Object, bool) {
		found, err := byName(t.Context(), w, wish)
		if err != nil || len(found) > 1 {
			t.Fatalf("look for %s: %d, %v", wish.Ref.Kind, len(found), err)
		}
		if len(found) == 0 {
			return provider.Object{}, false
		}
		return found[0], true
	}
	for range 10 {
		o, err := w.Create(t.Context(), wish)
		switch kindOf(err) {
		case "":
			if err != nil {
				t.Fatal(err)
			}
			return w.ready(t, o), lost
		case provider.Transient:
			lost = true
		case provider.Uncertain:
			lost = true
			for range 3 {
				if o, ok := look(); ok {
					return w.ready(t, o), true
				}
				w.clock.Move(w.Traits()[wish.Ref.Kind].ListLag / 2)
			}
		default:
			t.Fatalf("create %s: %v", wish.Ref.Kind, err)
		}
	}
	t.Fatalf("%s is not made", wish.Ref.Kind)
	return o, lost
}

// writes are all calls by which a client comes to be.
func writes() []simulator.Fault {
	var out []simulator.Fault
	for _, at := range [][2]string{{"POST", "/v11/projects"}, {"PATCH", "/v9/projects/*"}, {"POST", "/v10/projects/*/env"}, {"POST", "/v13/deployments"}, {"POST", "/v10/projects/*/promote/*"}, {"POST", "/v10/projects/*/domains"}} {
		out = append(out, simulator.Fault{Method: at[0], Path: at[1]})
	}
	return out
}

// P3: whatever answer of a create is lost, broken or another one, exactly one object results,
// however late lists are. S30.
func TestP3LostAnswers(t *testing.T) {
	k := published(t)
	for name, effect := range map[string]simulator.Effect{
		"answer":   simulator.LoseAnswer(),
		"request":  simulator.LoseRequest(),
		"page":     simulator.Instead(502, map[string][]string{"Content-Type": {"text/html"}}, "<html>bad gateway"),
		"empty":    simulator.Instead(200, nil, ""),
		"nonsense": simulator.Instead(200, map[string][]string{"Content-Type": {"application/json"}}, `{"id":7,"name":[],"created":{}}`),
	} {
		for _, lag := range []time.Duration{0, 30 * time.Second, time.Minute} {
			t.Run(fmt.Sprintf("%s %s", name, lag), func(t *testing.T) {
				c := k.For(t)
				defer c.Some(t)
				w := openApart(t, c, simulated.Options{Lag: lag, BuildTime: 10 * time.Second})
				for _, f := range writes() {
					f.Do = effect
					w.faults.Add(f)
				}
				missed := 0
				made := func(wish provider.Wish) provider.Object {
					o, lost := w.insist(t, wish)
					if lost {
						missed++
					}
					return o
				}
				site := made(wishSite(1))
				made(wishEnv(1, site.ID))
				release := made(wishRelease(1, site.ID, "aaaaaaaaaaaa"))
				made(wishTraffic(1, site.ID, release.ID))
				domain := made(wishDomain(1, site.ID, "shop1.example", ""))
				w.clock.Move(2 * time.Minute)
				owned, err := w.Owned(t.Context(), ours)
				if err != nil {
					t.Fatal(err)
				}
				count := map[state.Kind]int{}
				for _, o := range owned {
					count[o.Kind]++
				}
				for _, kind := range []state.Kind{state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic} {
					if count[kind] != 1 {
						t.Errorf("%d of kind %s", count[kind], kind)
					}
				}
				if found, err := w.Observe(t.Context(), provider.Query{Kind: state.KindDomain, ID: domain.ID}); err != nil || len(found) != 1 {
					t.Errorf("the domain: %d, %v", len(found), err)
				}
				if status, _ := w.at("shop1.example", "/api/health"); status != 200 {
					t.Errorf("it serves %d", status)
				}
				if missed < 3 {
					t.Errorf("only %d creates lost an answer", missed)
				}
			})
		}
	}
}
