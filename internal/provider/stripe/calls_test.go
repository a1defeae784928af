package stripe

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The calls that an account costs. The traits count them.
func TestCalls(t *testing.T) {
	var golden strings.Builder
	counts := map[string]int{}
	w := start(t)
	p := w.open()
	ctx := context.Background()
	do := func(what string, f func() error) {
		t.Helper()
		w.log.take()
		if err := f(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		sent := w.log.take()
		counts[what] = len(sent)
		fmt.Fprintf(&golden, "%s: %d\n", what, len(sent))
		for _, r := range sent {
			path := r.URL.Path
			if id, ok := strings.CutPrefix(path, accountsPath+"/"); ok {
				path = strings.Replace(path, id, "ID", 1)
			}
			query := strings.Split(r.URL.RawQuery, "acct_")
			fmt.Fprintf(&golden, "    %-4s %s  %s\n", r.Method, path, query[0])
			if (r.Method == http.MethodPost) != (r.Header.Get("Idempotency-Key") != "") || r.Header.Get("Stripe-Version") != Version {
				t.Errorf("%s: %s %s: headers %q", what, r.Method, path, r.Header)
			}
		}
	}
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
	do("check", func() error { _, err := p.Check(ctx); return err })
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
	traits := p.Traits()[KindPayments]
	for what, c := range map[string][2]int{
		"observe": {counts["observe"], traits.ObserveCalls}, "create": {counts["create"], traits.CreateCalls},
		"update": {counts["update"], traits.UpdateCalls}, "delete": {counts["remove"], traits.DeleteCalls},
	} {
		if c[0] != c[1] {
			t.Errorf("%s costs %d calls, the traits say %d", what, c[0], c[1])
		}
	}
	file := filepath.Join("testdata", "calls.golden")
	if *update {
		if err := os.WriteFile(file, []byte(golden.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != golden.String() {
		t.Errorf("the calls are others than in %s (%v):\n%s", file, err, golden.String())
	}
}
