package cloudflare

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// What exists is listed with a page a zone; a mark goes before what people wrote, and nothing
// else of the record changes.
func TestTakeOver(t *testing.T) {
	w := newWorld(t, setup{})
	proxied, err := w.vendor.Add(simulated.Record{Zone: shopID, Type: "A", Name: "bakery.shops.example", Content: "203.0.113.10", Proxied: true, Comment: "by Dana"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.vendor.Add(simulated.Record{Zone: shopID, Type: "MX", Name: "bakery.shops.example", Content: "mx.example", Priority: new(int)}); err != nil {
		t.Fatal(err)
	}
	all, err := w.p.Existing(context.Background())
	if err != nil || len(all) != 2 || w.wire.count() > 4 {
		t.Fatalf("%d records with %v: %v", len(all), w.wire.since(0), err)
	}
	before := w.vendor.Records(shopID)
	n := w.wire.count()
	id := shopID + "/" + proxied
	for range 2 {
		if err := w.p.Mark(context.Background(), state.KindRecord, id, mark); err != nil {
			t.Fatal(err)
		}
	}
	if writes := slices.DeleteFunc(w.wire.since(n), func(c string) bool { return strings.HasPrefix(c, "GET") }); len(writes) != 1 || !strings.HasPrefix(writes[0], "PATCH") {
		t.Errorf("marking wrote %v", writes)
	}
	for i, r := range w.vendor.Records(shopID) {
		want := before[i]
		if r.ID == proxied {
			want.Comment = mark.Text() + " by Dana"
		}
		if r.Content != want.Content || r.TTL != want.TTL || r.Proxied != want.Proxied || r.Comment != want.Comment || r.Type != want.Type {
			t.Errorf("it is %+v, want %+v", r, want)
		}
	}
	if found, err := w.p.Observe(context.Background(), provider.Query{Kind: state.KindRecord, ID: id}); err != nil || len(found) != 1 || found[0].Mark != mark {
		t.Errorf("a look shows %+v %v", found, err)
	}
	other := mark
	other.Client = "florist"
	for err, want := range map[error]provider.ErrorKind{w.p.Mark(context.Background(), state.KindRecord, id, other): provider.Conflict,
		w.p.Mark(context.Background(), state.KindRecord, shopID+"/00000000000000000000000000000000", mark): provider.NotFound, w.p.Mark(context.Background(), state.KindSite, id, mark): provider.Unsupported} {
		if provider.KindOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
