package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// P4: a name moved to a client that was held then, for something else, and the one that had it
// came to its end. A later commit, of the new owner alone, fails. What that takes back is the new
// owner's: nothing of the old one is written, and the name is not his again, who would not let it
// go any more. Where the new owner has a version that serves it serves the name; else the name goes
// with what was made for it. A retry, or the removal of the new owner, finds nothing in its way.
func TestP4AnUndoLeavesTheOldOwnerAlone(t *testing.T) {
	const host = "shop.agency.example"
	named := func(name, domain string, more ...string) map[string]string {
		return map[string]string{"clients/" + name + ".yaml": strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)}
	}
	theirs := provider.Object{ID: "theirs", Kind: state.KindRecord, Name: "A " + host, Mark: provider.Mark{Installation: "ffff0000", Client: "x-000001", Generation: 1},
		Attributes: []provider.Input{{Name: "type", Text: "A"}, {Name: "name", Text: host}, {Name: "content", Text: "192.0.2.9"}, {Name: "ttl", Text: "300"}}}
	for _, served := range []bool{false, true} {
		for _, goes := range []bool{false, true} {
			v, w := newVendors(t)
			bound := func() (to []state.ClientID) {
				for _, o := range v.world.Objects("vercel") {
					if o.Kind == state.KindDomain && attribute(o, "host") == host {
						to = append(to, o.Mark.Client)
					}
				}
				return to
			}
			v.world.Seed("cloudflare", theirs)
			w.apply(named("z", "z"))
			w.apply(named("old", "shop"))
			w.want("old", state.StatusHeld)
			if served {
				w.apply(named("new", "new"))
				w.want("new", state.StatusActive)
			}
			files := named("old", "other")
			for path, text := range named("new", "shop") {
				files[path] = text
			}
			w.apply(files)
			w.want("old", state.StatusActive)
			w.want("new", state.StatusHeld)
			if to := bound(); !slices.Equal(to, []state.ClientID{w.id("new")}) {
				t.Fatalf("the name did not move: %v", to)
			}

			v.faults.On(memory.Before, memory.Is(memory.Update, state.KindTraffic), 1, memory.Fail(provider.Invalid, "the plan's quota is used up"))
			v.world.ForgetCalls()
			w.apply(named("new", "shop", "env: {COLOUR: green}"))
			w.want("new", state.StatusFailed)
			for _, c := range v.world.Calls() {
				if c.Verb.Writes() && c.Client == w.id("old") {
					t.Errorf("served before %v: no commit touched the old owner, and it is written: %s", served, c)
				}
			}
			want := []state.ClientID{w.id("new")}
			if !served {
				want = nil
			}
			if to := bound(); !slices.Equal(to, want) {
				t.Errorf("served before %v: after the failure the name is bound for %v, want %v", served, to, want)
			}

			v.world.Remove("theirs")
			if d, ok := v.world.Serves(host); ok != served || ok && v.world.BuiltWith(d)["COLOUR"] != "" {
				t.Errorf("served before %v: the name is served by %q (%v)", served, d, ok)
			}
			want = []state.ClientID{w.id("new")}
			if goes {
				w.apply(map[string]string{"clients/new.yaml": ""})
				w.want("new", state.StatusRetained)
				want = nil
			} else {
				id, err := w.engine.Retry("new", "dana")
				if err != nil {
					t.Fatal(err)
				}
				w.pass(id)
				w.want("new", state.StatusActive)
			}
			w.want("old", state.StatusActive)
			if to := bound(); !slices.Equal(to, want) {
				t.Errorf("served before %v, removed %v: in the end the name is bound for %v, want %v", served, goes, to, want)
			}
		}
	}
}
