package railway

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The calls that a database costs. The traits count them.
func TestCalls(t *testing.T) {
	w := start(t)
	p := w.open()
	ctx := context.Background()
	costs := providertest.Costs{Sent: w.log.take}
	do := func(what string, f func() error) { t.Helper(); costs.Do(t, what, f) }
	observe := func(id string) func() error {
		return func() error {
			_, err := p.Observe(ctx, provider.Query{Kind: state.KindDatabase, ID: id})
			return err
		}
	}
	var o provider.Object
	create := func(n int, access string) func() error {
		return func() (err error) { o, err = p.Create(ctx, wish(n, access)); return err }
	}
	do("once a start: which workspace", func() error { _, err := p.inWorkspace(ctx); return err })
	do("look before a create", func() error {
		_, err := p.Observe(ctx, provider.Query{Kind: state.KindDatabase, Name: wish(1, public).Name})
		return err
	})
	do("create, public", create(1, public))
	id := o.ID
	do("observe while it is deployed", observe(id))
	w.ready(p, id)
	do("observe", observe(id))
	do("find by name", func() error {
		_, err := p.Observe(ctx, provider.Query{Kind: state.KindDatabase, Name: wish(1, public).Name})
		return err
	})
	do("create, private", create(2, private))
	second := o.ID
	w.ready(p, second)
	do("update, nothing differs", func() error { _, err := p.Update(ctx, id, wish(1, public)); return err })
	do("update, attributes", func() error {
		x := wish(1, public)
		x.Inputs[1].Text = "orders"
		_, err := p.Update(ctx, id, x)
		return err
	})
	do("update, private to public", func() error { _, err := p.Update(ctx, second, wish(2, public)); return err })
	w.ready(p, second)
	do("update, public to private", func() error { _, err := p.Update(ctx, second, wish(2, private)); return err })
	w.clock.move(workflowPause)
	do("remove, with a backup", func() error { return p.Delete(ctx, state.KindDatabase, id) })
	do("remove what is not there", func() error { return p.Delete(ctx, state.KindDatabase, id) })
	traits := p.Traits()[state.KindDatabase]
	// A backup takes as many looks as it takes time: one is counted.
	looks := strings.Count(costs.Text(), "query workflow") - 1
	costs.Agree(t, traits, costs.Count("observe"), costs.Count("create, public"), costs.Count("update, private to public"), costs.Count("remove, with a backup")-looks)
	hundred(t, &costs)
	costs.Golden(t, *update)
}

// hundred observes a hundred databases by pages and batches.
func hundred(t *testing.T, costs *providertest.Costs) {
	w := start(t)
	p := w.open()
	for n := range 100 {
		if _, err := p.Create(context.Background(), wish(n+1, public)); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.move(time.Minute)
	costs.Sent = w.log.take
	costs.Do(t, "observe a hundred", func() error {
		owned, err := p.Owned(context.Background(), ours)
		ready := 0
		for _, o := range owned {
			if o.Phase == provider.Ready && output(o, "url") != "" {
				ready++
			}
		}
		if err == nil && (len(owned) != 100 || ready != 100) {
			t.Errorf("%d are ready of %d owned", ready, len(owned))
		}
		return err
	})
}
