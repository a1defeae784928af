package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// S34: the state file is cut, or bits of it are turned, while no process has it. Whatever
// the next one sees of that, it ends, says what is wrong, and writes nothing at a provider:
// nothing was left to do. With the file as it was, all is as it was.
func TestS34DamagedStateOfAProcess(t *testing.T) {
	w := newCrashWorld(t, 9, hostSpec{})
	fail := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, strings.Join(w.log, "\n"))
		}
	}
	for _, name := range []string{keeper, "shop1"} {
		w.shops[name] = shop{Name: name, Currency: "EUR", Note: "hello"}
		fail("commit", w.commit(name))
	}
	fail("settle", w.settle())
	before, err := w.check(true)
	fail("check", err)
	whole := []byte(readAll(t, w.path("state.db")))
	used := len(bytes.TrimRight(whole, "\x00"))
	refused, unseen := 0, 0
	for n := range 24 {
		file := slices.Clone(whole)
		what := ""
		switch n % 4 {
		case 0:
			file, what = file[:w.rng.IntN(used)], "cut"
		case 1:
			file[w.rng.IntN(used)] ^= 1 << w.rng.IntN(8)
			what = "a bit turned"
		case 2:
			for range 200 {
				file[w.rng.IntN(used)] ^= 1 << w.rng.IntN(8)
			}
			what = "200 bits turned"
		case 3:
			at := w.rng.IntN(used/4096) * 4096
			clear(file[at : at+4096])
			what = "a page emptied"
		}
		fail("damage", os.WriteFile(w.path("state.db"), file, 0o600))
		e, out, err := w.command("apply")
		fail(what, err)
		switch e.code {
		case exitDone:
			unseen++ // where nothing is that this run reads
		case exitFailed:
			refused++
			if !strings.Contains(out, "state") || strings.Contains(out, "goroutine ") {
				t.Errorf("%s: it says\n%s", what, out)
			}
		default:
			t.Errorf("%s: it ends with %d:\n%s", what, e.code, out)
		}
		fail("put back", os.WriteFile(w.path("state.db"), whole, 0o600))
		after, err := w.check(true)
		fail(what, err)
		if after.Writes != before.Writes {
			t.Fatalf("%s: %d writes at the providers:\n%s", what, after.Writes-before.Writes, out)
		}
	}
	t.Logf("refused %d times; %d damages were where nothing is read", refused, unseen)
	if refused < 8 {
		t.Error("that damages too little")
	}
	fail("settle", w.settle())
}
