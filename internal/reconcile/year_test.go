package reconcile_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

var yearClients = flag.Int("year.clients", 10, "clients that live for a year; at least 4")

// weight is what a state weighs.
type weight struct {
	file, heap int64
	records    map[string]int
}

func (w *world) weight() weight {
	w.t.Helper()
	at := weight{records: map[string]int{}}
	f, err := os.Stat(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	at.file = f.Size()
	err = w.store.View(func(tx store.Tx) error {
		for _, b := range store.Buckets() {
			err := tx.Each(b, "", func(string, func(any) error) error { at.records[b]++; return nil })
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	at.heap = int64(m.HeapAlloc)
	return at
}

// I14 of the reliability model: the state and the memory grow with the fleet, not with its
// age. A fleet lives for a year: one client is changed and one is retried every day, a site degrades
// and recovers every other day, a shared secret is rotated every week, and every month a client
// goes, another comes, and a rewritten history is approved. In the end there is no more
// of anything than there was after three quarters, nor than what is said to be kept.
func TestI14AYear(t *testing.T) {
	const (
		days     = 365
		mostEach = 512 << 10 // bytes of the state file for a client, …
		mostBase = 4 << 20   // … and for what is about nobody
	)
	fleet := *yearClients
	v, w := newVendors(t)
	shared := func(value string) {
		t.Helper()
		_, ids, err := w.engine.SetSecret("", "mollie", state.NewSecret(value), w.keys.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	shared("first")
	files := map[string]string{}
	for i := range fleet {
		files[fmt.Sprintf("clients/c%02d.yaml", i)] = client(fmt.Sprintf("c%02d", i))
	}
	files["clients/c03.yaml"] = client("c03", "env: {KEY: {secret: shared/mollie}}")
	w.apply(files)
	bad := false
	w.unfit = func(url string) error {
		if bad && strings.Contains(url, "//c01.") {
			return errors.New("answers 500")
		}
		return nil
	}
	told := 0
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	day := func(n int) {
		w.apply(map[string]string{"clients/c00.yaml": client("c00", fmt.Sprintf("env: {STORE_DAY: d%d}", n))})
		id, err := w.engine.Retry("c02", "dana")
		do("retry", err)
		w.pass(id)
		for probe := range 4 * (n % 2) {
			bad = probe < 3
			do("probe", w.engine.ProbeAll(t.Context()))
		}
		if n%7 == 0 {
			shared(fmt.Sprint("version ", n))
		}
		if n%30 == 0 {
			old, young := fmt.Sprintf("clients/c%02d.yaml", fleet-1+n/30-1), fmt.Sprintf("c%02d", fleet-1+n/30)
			if n > 0 {
				w.apply(map[string]string{old: "", "clients/" + young + ".yaml": client(young)})
			}
			w.repo.cut(w.repo.commit(map[string]string{"README.md": fmt.Sprint(n)}))
			w.poll()
			o, err := w.engine.Overview()
			do("overview", err)
			for _, h := range o.Holds {
				ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
				do("approve", err)
				w.pass(ids...)
			}
			w.pass(w.poll()...)
		}
		do("deliver", w.engine.Deliver(t.Context(), func(context.Context, state.Report) error { told++; return nil }))
		if n%7 == 0 {
			looks, err := w.engine.Look(t.Context())
			do("look", err)
			w.pass(looks.Due...)
			_, err = w.engine.PurgeDue(t.Context())
			do("purge", err)
			_, err = w.engine.Prune(t.Context())
			do("prune", err)
		}
		w.clock.add(24 * time.Hour)
		w.repo.forget()
		v.world.ForgetCalls()
	}
	var late weight
	for n := range days {
		if day(n); n == days*3/4 {
			late = w.weight()
		}
	}
	_, err := w.engine.Prune(t.Context())
	do("prune", err)
	end := w.weight()
	for _, name := range []string{"c00", "c01", "c02", "c03", fmt.Sprintf("c%02d", fleet-1+days/30)} {
		w.want(name, state.StatusActive)
	}
	each := len(w.everybody())
	for bucket, most := range map[string]int{
		"deployments": each*50 + 50, "history": each*400 + 4000, "verdicts": 501, "fates": 501 + fleet, "approvals": 2, "reports": 0, "intents": 0, "holds": 0,
		"secrets": each*4 + 4, "tombstones": each, "clients": fleet + days/30, "names": fleet + days/30, "looked": each, "resources": each * 12, "claims": each * 2,
	} {
		if got := end.records[bucket]; got > most {
			t.Errorf("%d records in %s, %d are enough for %d clients", got, bucket, most, each)
		}
	}
	if got := end.records["deployments"]; got < 100 {
		t.Errorf("%d audit records are left", got) // of c00 and c02 fifty each
	}
	if most := int64(mostBase + each*mostEach); end.file > most || end.file > late.file*5/4+1<<20 { // it grows in steps
		t.Errorf("the state has %d bytes after a year, %d after three quarters", end.file, late.file)
	}
	if end.heap > late.heap+4<<20 {
		t.Errorf("%d bytes are in memory after a year, %d after three quarters", end.heap, late.heap)
	}
	for _, e := range w.history("c02", 1000) {
		if e.By == "" || e.What != "retry" {
			continue
		}
		if told == 0 || w.clock.Now().Sub(e.At) > 201*24*time.Hour {
			t.Errorf("%s of %s is on record", e.What, e.At)
		}
	}
	if n := len(w.history("c02", 1000)); n < 200 {
		t.Errorf("of what happened to c02 %d lines are left", n)
	}
	t.Logf("state: %d kB after three quarters, %d kB after a year; heap: %d, %d kB; %d reports; %v", late.file>>10, end.file>>10, late.heap>>10, end.heap>>10, told, end.records)
}

// forget lets go of old trees: they are the test's, not the program's.
func (r *repository) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	const keep = 3
	if len(r.order) <= keep {
		return
	}
	used := map[string]bool{}
	for _, head := range r.order[len(r.order)-keep:] {
		for _, b := range r.trees[head] {
			used[b] = true
		}
	}
	for _, head := range r.order[:len(r.order)-keep] {
		delete(r.trees, head)
	}
	for b := range r.blobs {
		if !used[b] {
			delete(r.blobs, b)
		}
	}
}

func (w *world) history(name string, limit int) []state.Entry {
	w.t.Helper()
	out, err := w.engine.History(name, limit)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}
