package ploi_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// What exists is listed with a page a server; what hangs on a site takes three calls; a mark
// is two variables, and is there once.
func TestTakeOver(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	const env = "# by hand\nDATABASE_URL='postgres://u:invented@h.example/d'\nEMPTY=\n"
	old := w.vendor.Seed("bakery.example", env, "git pull\n")
	w.vendor.Edit(old, func(s *simulated.Site) { s.Aliases = []string{"www.bakery.example"} })
	w.create(siteWish("c00001"))
	w.calls.take()
	all, err := w.p.Existing(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := w.calls.take(); !slices.Equal(got, []string{"GET /api/servers/1/sites"}) {
		t.Errorf("listing cost %v", got)
	}
	var kinds []string
	for _, o := range all {
		kinds = append(kinds, string(o.Kind)+" "+o.Name+" "+o.Mark.Installation)
	}
	slices.Sort(kinds)
	if want := []string{"domain bakery.example ", "site bakery.example ", "site c00001-" + installation + " " + installation}; !slices.Equal(kinds, want) {
		t.Errorf("there are %q", kinds)
	}
	id := all[slices.IndexFunc(all, func(o provider.Object) bool { return o.Kind == state.KindSite && o.Mark.IsZero() })].ID
	inside, err := w.p.Inside(context.Background(), provider.Object{Kind: state.KindSite, ID: id})
	if err != nil || len(w.calls.take()) != 3 {
		t.Fatalf("inside: %v", err)
	}
	said := map[string]string{}
	for _, o := range inside {
		for _, a := range o.Attributes {
			said[string(o.Kind)+" "+a.Name+" "+o.Name] = a.Reveal()
		}
	}
	for what, want := range map[string]string{"environment env.DATABASE_URL ": "postgres://u:invented@h.example/d", "environment env.EMPTY ": "", "deployment ref ": "main",
		"deployment repository ": "compassdigital/storefront", "domain host www.bakery.example": "www.bakery.example"} {
		if got, there := said[what]; !there || got != want {
			t.Errorf("%s is %q, want %q", what, got, want)
		}
	}
	for range 2 {
		if err := w.p.Mark(context.Background(), state.KindSite, id, mark("c00002")); err != nil {
			t.Fatal(err)
		}
	}
	writes := slices.DeleteFunc(w.calls.take(), func(c string) bool { return strings.HasPrefix(c, "GET") })
	if len(writes) != 1 {
		t.Errorf("marking wrote %v", writes)
	}
	for _, s := range w.vendor.Sites() {
		if want := env + "RECONCILER_MARK=" + mark("c00002").Text() + "\nRECONCILER_KEYS='DATABASE_URL*,EMPTY*'\n"; s.ID == old && s.Env.Text() != want {
			t.Errorf("the .env is\n%s", s.Env.Text())
		}
	}
	if o, ok := w.see(state.KindSite, id); !ok || o.Mark != mark("c00002") {
		t.Errorf("a look shows the mark %v", o.Mark)
	}
	for err, want := range map[error]provider.ErrorKind{w.p.Mark(context.Background(), state.KindSite, id, mark("c00003")): provider.Conflict,
		w.p.Mark(context.Background(), state.KindSite, "1/999", mark("c1")): provider.NotFound, w.p.Mark(context.Background(), state.KindDomain, id, mark("c1")): provider.Unsupported} {
		if provider.KindOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
