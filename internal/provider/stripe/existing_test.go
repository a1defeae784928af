package stripe

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// All accounts are listed, by pages, with country, business address and mail, ours and others'; and
// one that was made by hand gets our mark, and nothing else of it changes.
func TestExistingAndMark(t *testing.T) {
	w := start(t)
	p := w.open()
	ctx := context.Background()
	own := w.made(p, 1)
	if _, err := p.Link(ctx, own.ID, "https://a.example", "https://b.example"); err != nil { // the profile is its owner's
		t.Fatal(err)
	}
	var ids []string
	for n := range pageSize + 10 {
		ids = append(ids, w.vendor.Seed(simulated.Account{Country: "DE", Email: "dana@shop.example", Label: "Shop", URL: fmt.Sprintf("https://shop%03d.example", n), Enabled: n%2 == 0, Metadata: map[string]string{"crm": "17"}}))
	}
	theirs := w.vendor.Seed(simulated.Account{Country: "NL", Metadata: map[string]string{keyMark: provider.Mark{Installation: "feedface", Client: "c2", Generation: 1}.Text()}})
	odd := w.vendor.Seed(simulated.Account{Country: "NL", Metadata: map[string]string{keyMark: "somebody's own word"}})
	w.log.take()
	all, err := p.Existing(ctx)
	if err != nil || len(all) != len(ids)+3 || len(w.log.take()) != 2 {
		t.Fatalf("%d objects, %v", len(all), err)
	}
	by := map[string]provider.Object{}
	for _, o := range all {
		by[o.ID] = o
	}
	if o := by[ids[7]]; attribute(o, "url") != "https://shop007.example" || attribute(o, "country") != "DE" || attribute(o, "email") != "dana@shop.example" || !o.Mark.IsZero() || o.Phase != provider.Manual {
		t.Errorf("by hand: %+v", o)
	}
	if o := by[own.ID]; o.Mark != own.Mark || attribute(o, "url") == "" {
		t.Errorf("our own: %+v", o)
	}
	if o := by[theirs]; o.Mark.Installation != "feedface" {
		t.Errorf("theirs: %+v", o)
	}
	if inside, err := p.Inside(ctx, all[0]); err != nil || len(inside) > 0 {
		t.Errorf("inside: %v %v", inside, err)
	}

	m := provider.Mark{Installation: ours, Client: "bakery-1a2b3c", Generation: 2}
	before := w.vendor.Accounts()
	for range 2 {
		if err := p.Mark(ctx, KindPayments, ids[8], m); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.log.take()); n != 3 { // a look, a write, and a look again
		t.Errorf("%d calls", n)
	}
	if o := w.look(p, ids[8]); o.Mark != m {
		t.Errorf("marked: %+v", o)
	}
	found, err := p.Owned(ctx, ours)
	if err != nil || len(found) != 2 {
		t.Errorf("ours are %v %v", found, err)
	}
	if _, err := p.Link(ctx, ids[8], "https://a.example", "https://b.example"); err != nil {
		t.Errorf("a way there: %v", err)
	}
	after := w.vendor.Accounts()
	for i := range after {
		if after[i].ID == ids[8] {
			delete(after[i].Metadata, keyMark)
			delete(after[i].Metadata, keyOnboarding)
		}
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Error(d)
	}
	for name, c := range map[string]struct {
		kind state.Kind
		id   string
		mark provider.Mark
		want provider.ErrorKind
	}{
		"theirs":        {KindPayments, theirs, m, provider.Conflict},
		"another word":  {KindPayments, odd, m, provider.Conflict},
		"our other one": {KindPayments, own.ID, m, provider.Conflict},
		"nobody's":      {KindPayments, "acct_1Nobody", m, provider.NotFound},
		"no id":         {KindPayments, "choose-one-bakery", m, provider.NotFound},
		"no mark":       {KindPayments, ids[1], provider.Mark{}, provider.Invalid},
		"another kind":  {state.KindSite, ids[1], m, provider.Unsupported},
	} {
		if err := p.Mark(ctx, c.kind, c.id, c.mark); provider.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
