package accept

import (
	"fmt"
	"sort"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// large is a fleet of n and the input of a head that changes one of its files. The
// manifests of all others are poison: who parses one finds problems.
func large(t fataler, n int) (*world, Input) {
	w := newWorld(t)
	w.guard.MaxCreates = n
	w.tree["templates/shop.yaml"] = template("v1")
	w.tree[cpath("the-one")] = client("the-one", "the-one")
	w.head()
	w.settle()
	one := w.named("the-one")
	for i := range n - 1 {
		c := one
		c.Name = fmt.Sprintf("c%05d", i)
		c.ID, c.Path, c.Blob, c.Manifest = state.ClientID(c.Name+"-x"), cpath(c.Name), blob(c.Name), []byte("poison: [")
		w.clients[c.ID] = c
		w.claims["host:"+c.Name+".agency.example"] = state.Claim{Key: "host:" + c.Name + ".agency.example", Client: c.ID}
	}
	w.edit(m{cpath("the-one"): client("the-one", "the-one", "env: {A: b}")})
	w.resolved = nil
	in := w.input("next")
	sort.Slice(in.Clients, func(i, j int) bool { return in.Clients[i].ID < in.Clients[j].ID }) // as a store hands them over
	return w, in
}

func TestP11OneFileOfTenThousand(t *testing.T) {
	w, in := large(t, 10_000)
	changes := len(in.Changes)
	r := Head(in)
	equal(t, "one change", changes, 1)
	equal(t, "touched", r.Touched, []state.ClientID{w.named("the-one").ID})
	equal(t, "written", []int{len(r.Clients), len(r.Claims), len(r.Tombstones), len(r.Holds), len(r.Baseline.Problems)}, []int{1, 0, 0, 0, 0})
	for _, name := range w.resolved {
		equal(t, "resolved", name, "the-one")
	}
	equal(t, "verdict", r.Verdict.Clients, map[state.ClientID]string{w.named("the-one").ID: FatePending})
	// The poison works: a template's change does parse everybody.
	w.edit(m{"templates/shop.yaml": template("v2")})
	r = Head(w.input("next"))
	equal(t, "problems", len(r.Baseline.Problems), 9_999)
	equal(t, "nobody is removed", len(r.Tombstones), 0)
}

func TestP11NothingChanged(t *testing.T) {
	w, _ := large(t, 1000)
	w.edit(w.seen)
	in := w.input(w.base.Head)
	in.Parts = func(state.Client, manifest.Effective) []string { panic("nothing is to be resolved") }
	same(t, "result", Head(in), Result{})
}

func BenchmarkHeadOneOf(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, in := large(b, n)
			b.ReportAllocs()
			for b.Loop() {
				Head(in)
			}
		})
	}
}
