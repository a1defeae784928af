package railway

import (
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// What exists is listed by pages and batches, other projects left out; a mark is the last line
// of a description, and is there once.
func TestTakeOver(t *testing.T) {
	w := start(t)
	p := w.open()
	id, url := w.vendor.Seed("old shop", "since 2019", "invented-password")
	w.made(p, 1, public)
	w.log.take()
	all, err := p.Existing(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%d databases, %v", len(all), err)
	}
	if got := w.log.take(); len(got) > 3 {
		t.Errorf("listing cost %v", got)
	}
	i := slices.IndexFunc(all, func(o provider.Object) bool { return o.ID == id })
	if i < 0 || output(all[i], "url") != url || attribute(all[i], "access") != public || !all[i].Mark.IsZero() || all[1-i].Mark != wish(1, public).Mark {
		t.Errorf("there is %+v", all)
	}
	m := wish(2, public).Mark
	for range 2 {
		if err := p.Mark(t.Context(), state.KindDatabase, id, m); err != nil {
			t.Fatal(err)
		}
	}
	reads := []string{"databases", "projects", "rendered", "token"}
	calls := w.log.take()
	if writes := slices.DeleteFunc(slices.Clone(calls), func(c string) bool {
		return slices.ContainsFunc(reads, func(r string) bool { return strings.HasSuffix(c, r) })
	}); len(writes) != 1 || !strings.HasSuffix(writes[0], "describeProject") {
		t.Errorf("marking called %q", calls)
	}
	if got := w.vendor.Projects()[0].Description; got != "since 2019\n"+m.Text() {
		t.Errorf("the description is %q", got)
	}
	if o := w.ready(p, id); o.Mark != m || output(o, "url") != url {
		t.Errorf("a look shows %+v", o)
	}
	for err, want := range map[error]provider.ErrorKind{p.Mark(t.Context(), state.KindDatabase, id, wish(3, public).Mark): provider.Conflict,
		p.Mark(t.Context(), state.KindDatabase, "nothing-has-this", m): provider.NotFound, p.Mark(t.Context(), state.KindSite, id, m): provider.Unsupported} {
		if provider.KindOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
