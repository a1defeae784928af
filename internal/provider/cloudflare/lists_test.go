package cloudflare

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// A hundred clients in one zone are looked at with pages, not with a hundred calls; what was
// written, and what is not in a list, is asked for by itself.
func TestAHundredLooks(t *testing.T) {
	w := newWorld(t, setup{})
	var ids []string
	for i := range 100 {
		ids = append(ids, w.create(wish("A", fmt.Sprintf("shop%d.shops.example", i), "192.0.2.7")).ID)
	}
	n := w.wire.count()
	for _, id := range ids {
		w.byID(id)
	}
	if got := w.wire.count() - n; got != 100 {
		t.Errorf("right after it wrote them: %d calls", got)
	}
	w.clock.add(listLag + time.Second)
	n = w.wire.count()
	done := make(chan struct{})
	for _, id := range ids {
		go func() {
			if found, err := w.p.Observe(context.Background(), provider.Query{Kind: state.KindRecord, ID: id}); err != nil || len(found) != 1 {
				t.Errorf("%d found, %v", len(found), err)
			}
			done <- struct{}{}
		}()
	}
	for range ids {
		<-done
	}
	got := w.wire.since(n)
	lists := 0
	for _, call := range got {
		if call == "GET /zones/"+shopID+"/dns_records" {
			lists++
		}
	}
	if lists != 1 || len(got) > fewLooks+1 {
		t.Errorf("%d calls, %d of them lists", len(got), lists)
	}
	// A person deletes one and edits one; an absence is never taken from a kept list.
	_, gone, _ := split(ids[0])
	if err := w.vendor.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if _, err := w.p.Update(t.Context(), ids[1], wish("A", "shop1.shops.example", "192.0.2.8")); err != nil {
		t.Fatal(err)
	}
	if o := w.byID(ids[1]); !strings.Contains(attributes(*o), "192.0.2.8") {
		t.Errorf("our own write is not seen: %s", attributes(*o))
	}
	w.clock.add(listAge + time.Second)
	for _, id := range ids[2:8] {
		w.byID(id)
	}
	if w.byID(ids[0]) != nil {
		t.Error("what is gone is there")
	}
	if err := w.p.Delete(t.Context(), state.KindRecord, ids[5]); err != nil || w.byID(ids[5]) != nil {
		t.Errorf("our own delete is not seen: %v", err)
	}
	// Lists that fail are errors for all who wait.
	w.clock.add(listAge + time.Second)
	w.faults.Add(simulator.Fault{Method: "GET", Path: "/client/v4/zones/*/dns_records", Do: simulator.Refuse(500, nil, refusalBody(10001, "it broke"))})
	failed := 0
	for _, id := range ids[10:20] {
		if _, err := w.p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: id}); err != nil {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d looks failed, of one list", failed)
	}
}

// A list that changes between its pages is read again, also when its total is what it was.
func TestListsThatChange(t *testing.T) {
	for _, swap := range []bool{false, true} {
		w := newWorld(t, setup{})
		add := func(i int) string {
			id, err := w.vendor.Add(simulated.Record{Zone: shopID, Type: "TXT", Name: "many.shops.example", Content: fmt.Sprint("text ", i)})
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		var ids []string
		for i := range 150 {
			ids = append(ids, add(i))
		}
		want := slices.Clone(ids[1:])
		first, vendor := true, w.wire.handler
		w.wire.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			vendor.ServeHTTP(rw, r)
			if r.URL.Query().Get("page") == "1" && strings.HasSuffix(r.URL.Path, "/dns_records") && first {
				first = false
				if err := w.vendor.Remove(ids[0]); err != nil {
					t.Error(err)
				}
				if swap {
					want = append(want, add(1000))
				}
			}
		})
		var got []string
		for _, o := range w.byName(wish("TXT", "many.shops.example", "text 7")) {
			got = append(got, o.ID[strings.LastIndex(o.ID, "/")+1:])
		}
		if slices.Sort(want); len(got) != len(want) {
			t.Errorf("swap %v: %d found of %d", swap, len(got), len(want))
		}
		for _, id := range want {
			if !slices.Contains(got, id) {
				t.Errorf("swap %v: %s is there and was not found", swap, id)
			}
		}
	}
}
