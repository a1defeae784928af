package vercel_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// What exists is listed with a page of projects, names included; what stands in no list takes
// two calls a project; a mark is one variable, and is there once.
func TestTakeOver(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	w.sim.Seed("closed", "agency/storefront", nil, nil)
	w.sim.Edit("closed", "DATABASE_URL", "postgres://u:invented@h.example/d", "sensitive", "", "production")
	id := w.sim.Seed("old-shop", "agency/storefront", []string{"bakery.example", "www.bakery.example"}, map[string]string{"DATABASE_URL": "postgres://u:invented@h.example/d"})
	all, err := w.Existing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := w.took(); !slices.Equal(got, []string{"GET /v10/projects"}) {
		t.Errorf("listing cost %v", got)
	}
	said := map[string]string{}
	for _, o := range all {
		said[string(o.Kind)+" "+o.Name] = o.ID
		for _, a := range o.Attributes {
			said[string(o.Kind)+"."+a.Name] = a.Reveal()
		}
	}
	if said["site old-shop"] != id || said["domain bakery.example"] != id+"/bakery.example" || said["site.ref"] != "main" || said["site.repository"] != "agency/storefront" || said["site.runtime"] != "node22" {
		t.Errorf("there is %v", said)
	}
	inside, err := w.Inside(t.Context(), provider.Object{Kind: state.KindSite, ID: id})
	if err != nil || len(w.took()) != 2 {
		t.Fatalf("inside: %v", err)
	}
	closedID := said["site closed"]
	clear(said)
	for _, o := range inside {
		for _, a := range o.Attributes {
			said[o.Name+" "+a.Name] = a.Reveal()
		}
	}
	if said[" env.DATABASE_URL"] != "postgres://u:invented@h.example/d" || said["www.bakery.example redirect"] != "bakery.example" || said["bakery.example redirect"] != "" {
		t.Errorf("inside there is %v", said)
	}
	if closed, err := w.Inside(t.Context(), provider.Object{Kind: state.KindSite, ID: closedID}); err != nil || len(closed) != 1 || !slices.Contains(closed[0].Attributes, provider.Observed{Name: "unread", Text: "DATABASE_URL"}) {
		t.Errorf("of what nobody can read: %+v %v", closed, err)
	}
	w.took()
	m := provider.Mark{Installation: ours, Client: "c00002", Generation: 1}
	before := w.sim.Env("old-shop", "production")
	for range 2 {
		if err := w.Mark(t.Context(), state.KindSite, id, m); err != nil {
			t.Fatal(err)
		}
	}
	if writes := slices.DeleteFunc(w.took(), func(c string) bool { return strings.HasPrefix(c, "GET") }); len(writes) != 1 {
		t.Errorf("marking wrote %v", writes)
	}
	after := w.sim.Env("old-shop", "production")
	if notes := w.sim.Env("old-shop", "development"); len(notes) != 1 || notes["RECONCILER_MARK"] != m.Text() || !maps.Equal(after, before) {
		t.Errorf("the variables are %v, and the notes %v", after, notes)
	}
	if found, err := w.Observe(t.Context(), provider.Query{Kind: state.KindSite, ID: id}); err != nil || len(found) != 1 || found[0].Mark != m {
		t.Errorf("a look shows %v %v", found, err)
	}
	for err, want := range map[error]provider.ErrorKind{w.Mark(t.Context(), state.KindSite, id, provider.Mark{Installation: ours, Client: "c3", Generation: 1}): provider.Conflict,
		w.Mark(t.Context(), state.KindSite, "prj_none", m): provider.NotFound, w.Mark(t.Context(), state.KindDomain, id, m): provider.Unsupported} {
		if provider.KindOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	k.Some(t)
}
