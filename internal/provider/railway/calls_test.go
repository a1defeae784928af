package railway

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The calls that a database costs. The traits count them.
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
		for _, s := range sent {
			fmt.Fprintf(&golden, "    POST /graphql/v2  %s\n", s)
		}
	}
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
	looks := strings.Count(golden.String(), "query workflow") - 1
	for what, c := range map[string][2]int{
		"observe": {counts["observe"], traits.ObserveCalls}, "create": {counts["create, public"], traits.CreateCalls},
		"update": {counts["update, private to public"], traits.UpdateCalls}, "delete": {counts["remove, with a backup"] - looks, traits.DeleteCalls},
	} {
		if c[0] != c[1] {
			t.Errorf("%s costs %d calls, the traits say %d", what, c[0], c[1])
		}
	}
	hundred(t, &golden)
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

// hundred observes a hundred databases by pages and batches.
func hundred(t *testing.T, golden *strings.Builder) {
	w := start(t)
	p := w.open()
	for n := range 100 {
		if _, err := p.Create(context.Background(), wish(n+1, public)); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.move(time.Minute)
	w.log.take()
	owned, err := p.Owned(context.Background(), ours)
	if err != nil || len(owned) != 100 {
		t.Fatalf("%d owned, %v", len(owned), err)
	}
	hosts := 0
	for _, o := range owned {
		if o.Phase == provider.Ready && output(o, "url") != "" {
			hosts++
		}
	}
	if hosts != 100 {
		t.Errorf("%d are ready", hosts)
	}
	sent := w.log.take()
	fmt.Fprintf(golden, "observe a hundred: %d\n", len(sent))
	for _, s := range sent {
		fmt.Fprintf(golden, "    POST /graphql/v2  %s\n", s)
	}
}
