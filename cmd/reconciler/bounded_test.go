package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// held is what a running program holds, beside memory. Packs of the mirror stay open until
// there are so many that they become one (source: 50).
type held struct{ goroutines, files, packs, gone, due, running, outbox int }

func (w *world) holds() held {
	w.t.Helper()
	p := w.daemon.program
	var h held
	h.due, h.running = p.daemon.Queue().Busy()
	if err := p.store.View(func(tx store.Tx) error {
		all, err := store.Reports(tx)
		h.outbox = len(all)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil { // where there is none, nobody counts
		for _, e := range open {
			to, err := os.Readlink("/proc/self/fd/" + e.Name())
			switch {
			case err != nil: // closed meanwhile
			case strings.HasSuffix(to, " (deleted)"):
				h.gone++
			case strings.HasSuffix(to, ".pack"):
				h.packs++
			default:
				h.files++
			}
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	h.goroutines = runtime.NumGoroutine()
	return h
}

// more is what is left of a load: a twentieth is no growth, nor is a connection that idles.
func (h held) more(before held) bool {
	const idle = 2
	return h.goroutines > before.goroutines+before.goroutines/20+idle || h.files > before.files+before.files/20+idle ||
		h.packs > maxMirrorPacks || h.gone > before.gone ||
		h.due > 0 || h.running > 0 || h.outbox > 0
}

const maxMirrorPacks = 51

// I14 of the reliability model: what load takes, it gives back: goroutines, open files, the
// queue, the outbox; and the state grows with what is on record, not with how often it was
// written.
func TestI14BoundedAfterLoad(t *testing.T) {
	files := func(currency string) map[string]string {
		out := map[string]string{}
		for i := range 12 {
			name := fmt.Sprintf("shop%02d", i)
			out["clients/"+name+".yaml"] = manifestOf(name, "env: {STORE_CURRENCY: "+currency+"}")
		}
		return out
	}
	w := newWorld(t, files("EUR"))
	w.configure("guard: {maxCreates: 50, maxChanged: 50}\n")
	w.start()
	load := func(round int) {
		t.Helper()
		w.commit(files(fmt.Sprintf("C%02d", round)))
		w.apply()
		for _, path := range []string{"/", "/api/clients", "/api/deployments", "/clients/shop00", "/healthz"} {
			if code, _ := w.get("localhost", path); code != 200 {
				t.Errorf("%s answers %d", path, code)
			}
		}
		w.must(0, "drift")
		w.must(0, "history", "shop00")
	}
	load(0) // what is made once
	load(1)
	rest := func(before held) (h held) {
		t.Helper()
		for limit := time.Now().Add(patience); ; {
			if h = w.holds(); !h.more(before) || time.Now().After(limit) {
				return h
			}
			runtime.Gosched()
			if err := sleep(t.Context(), 10*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := rest(held{goroutines: 1 << 20, files: 1 << 20})
	const rounds = 8
	for round := range rounds {
		load(2 + round)
	}
	for n := range maxMirrorPacks + 5 { // a fetch each, of next to nothing
		w.commit(map[string]string{"README.md": fmt.Sprint("words ", n)})
		w.apply()
	}
	after := rest(before)
	if after.more(before) {
		t.Errorf("before the load it held %+v, after it %+v", before, after)
	}
	for _, r := range w.status().Clients {
		if r.Status != string(state.StatusActive) {
			t.Errorf("%s is %s", r.Name, r.Status)
		}
	}
	t.Logf("before %+v, after %d rounds %+v", before, rounds, after)
}
