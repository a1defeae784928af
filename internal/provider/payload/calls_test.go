package payload

import (
	"flag"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The calls that a user costs. The traits count them.
func TestCalls(t *testing.T) {
	w := start(t)
	p, wish := w.open(), w.wish("site-1")
	costs := providertest.Costs{Sent: func() (out []string) {
		for _, s := range w.asked() {
			out = append(out, strings.Replace(s, "/site-1", "", 1))
		}
		return out
	}}
	do := func(what string, f func() error) { t.Helper(); costs.Do(t, what, f) }
	observe := func(q provider.Query, want int) func() error {
		return func() error {
			found, err := p.Observe(t.Context(), q)
			if len(found) != want {
				t.Errorf("found %v, want %d", found, want)
			}
			return err
		}
	}
	byWish := provider.Query{Kind: state.KindAdmin, Name: wish.Name, Wish: &wish}
	var o provider.Object
	do("look before a create", observe(byWish, 0))
	do("create", func() (err error) { o, err = p.Create(t.Context(), wish); return err })
	do("look after it", observe(byWish, 1))
	do("observe, without an address", observe(provider.Query{Kind: state.KindAdmin, ID: o.ID}, 1))
	do("observe", observe(provider.Query{Kind: state.KindAdmin, ID: o.ID, Wish: &wish}, 1))
	do("update", func() error {
		_, err := p.Update(t.Context(), o.ID, w.wish("site-1", input("path", "/manage")))
		return err
	})
	do("forgot password", func() error { return p.ForgotPassword(t.Context(), wish) })
	do("delete", func() error { return p.Delete(t.Context(), state.KindAdmin, o.ID) })
	if n := len(w.site("site-1").Users()); n != 1 {
		t.Errorf("%d users after a delete: it stays with its database", n)
	}
	theirs := w.wish("site-1", input("email", "kim@demoshop.example"))
	do("look where a stranger is", observe(provider.Query{Kind: state.KindAdmin, Name: theirs.Name, Wish: &theirs}, 0))
	costs.Agree(t, p.Traits()[state.KindAdmin], costs.Count("observe"), costs.Count("create"), costs.Count("update"), costs.Count("delete"))
	costs.Golden(t, *update)
}
