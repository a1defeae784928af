package stripe

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The calls that an account costs. The traits count them.
func TestCalls(t *testing.T) {
	w := start(t)
	p := w.open()
	ctx := context.Background()
	costs := providertest.Costs{Sent: func() (out []string) {
		for _, r := range w.log.take() {
			path := r.URL.Path
			if id, ok := strings.CutPrefix(path, accountsPath+"/"); ok {
				path = strings.Replace(path, id, "ID", 1)
			}
			query := strings.Split(r.URL.RawQuery, "acct_")
			out = append(out, fmt.Sprintf("%-4s %s  %s", r.Method, path, query[0]))
			if (r.Method == http.MethodPost) != (r.Header.Get("Idempotency-Key") != "") || r.Header.Get("Stripe-Version") != Version {
				t.Errorf("%s %s: headers %q", r.Method, path, r.Header)
			}
		}
		return out
	}}
	do := func(what string, f func() error) { t.Helper(); costs.Do(t, what, f) }
	var o provider.Object
	link := func() error {
		_, err := p.Link(ctx, o.ID, "https://console.example/refresh", "https://console.example/return")
		return err
	}
	do("look before a create", func() error { _, err := named(p, 1); return err })
	do("create", func() (err error) { o, err = p.Create(ctx, wanted(1)); return err })
	do("observe", func() error { _, err := p.Observe(ctx, provider.Query{Kind: KindPayments, ID: o.ID}); return err })
	do("find by name", func() error { _, err := named(p, 1); return err })
	do("update, nothing differs", func() error { _, err := p.Update(ctx, o.ID, wanted(1)); return err })
	do("update", func() error { _, err := p.Update(ctx, o.ID, with(wanted(1), "tier", "premium")); return err })
	do("first link", link)
	do("another link", link)
	do("remove", func() error { return p.Delete(ctx, KindPayments, o.ID) })
	do("check", func() error { _, err := p.whose(ctx); return err })
	for n := range 250 {
		w.vendor.Add("NL", map[string]string{keyMark: wanted(n + 2).Mark.Text()})
	}
	w.clock.move(time.Minute)
	do("observe 251", func() error {
		owned, err := p.Owned(ctx, ours)
		if err == nil && len(owned) != 251 {
			t.Errorf("%d owned", len(owned))
		}
		return err
	})
	costs.Agree(t, p.Traits()[KindPayments], costs.Count("observe"), costs.Count("create"), costs.Count("update"), costs.Count("remove"))
	costs.Golden(t, *update)
}
