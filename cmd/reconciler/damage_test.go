package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// damages are ways in which a file is not what it was.
var damages = []string{"cut", "a bit turned", "200 bits turned", "a page emptied"}

// damage returns the file after it.
func (w *crashWorld) damage(whole []byte, how string) []byte {
	file, used := slices.Clone(whole), len(bytes.TrimRight(whole, "\x00"))
	turn := func() { file[w.rng.IntN(used)] ^= 1 << w.rng.IntN(8) }
	switch how {
	case "cut":
		return file[:w.rng.IntN(used)]
	case "a bit turned":
		turn()
	case "200 bits turned":
		for range 200 {
			turn()
		}
	case "a page emptied":
		at := w.rng.IntN(used/4096) * 4096
		clear(file[at : at+4096])
	}
	return file
}

// unreadable says of whom something can't be read in a state, of those that a pass rests
// on: the client, its resources, its open intents and its secrets. all: of nobody anything.
func (w *crashWorld) unreadable(file []byte, clients []state.Client) (all bool, of map[state.ClientID]bool) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "state.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		w.t.Fatal(err)
	}
	of = map[state.ClientID]bool{}
	s, err := bolt.Open(bolt.Options{Path: path, Keys: w.keys(), Now: time.Now, NoSync: true})
	if err != nil {
		return true, of
	}
	defer func() { _ = s.Close() }() // a damaged one may not close well
	for _, c := range clients {
		err := s.View(func(tx store.Tx) error {
			_, there, err := store.Client(tx, c.ID)
			if err == nil && !there {
				err = store.ErrDamaged
			}
			_, err1 := store.Resources(tx, c.ID)
			_, err2 := store.Intents(tx, c.ID)
			refs, err3 := store.Secrets(tx, string(c.ID))
			for _, ref := range refs {
				_, _, err := store.Secret(tx, ref.Scope, ref.Name, ref.Version)
				err3 = errors.Join(err3, err)
			}
			return errors.Join(err, err1, err2, err3)
		})
		of[c.ID] = err != nil
	}
	return false, of
}

// S34 and I13: the state file is cut, or bits of it are turned, while no process has it and
// a commit waits that changes every client and adds one. Of whom something can't be read,
// nothing is written at a provider, and it is said what is wrong; where nothing can be read,
// nobody is. With the file as it was, all comes to what is wished.
func TestS34DamagedStateOfAProcess(t *testing.T) {
	w := newCrashWorld(t, 9, hostSpec{})
	fail := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, strings.Join(w.log, "\n"))
		}
	}
	var whole []byte
	var before truth
	var rec record
	// pending lets everything come to rest, keeps the state, and commits something.
	pending := func() {
		t.Helper()
		fail("settle", w.settle())
		var err error
		before, err = w.check(true)
		fail("check", err)
		rec, err = w.read()
		fail("read", err)
		whole = []byte(readAll(t, w.path("state.db")))
		var changed []string
		for _, name := range w.alive() {
			s := w.shops[name]
			s.Currency, s.Note = w.currency(s.Currency), fmt.Sprintf("note%d", w.rng.IntN(1000))
			if w.shops[name] = s; name != keeper && len(w.shops) > crashFleet {
				delete(w.shops, name)
			}
			changed = append(changed, name)
		}
		w.names++
		s := shop{Name: fmt.Sprintf("shop%d", w.names), Currency: "EUR"}
		w.shops[s.Name] = s
		fail("commit", w.commit(append(changed, s.Name)...))
	}
	for _, name := range []string{keeper, "shop1"} {
		w.shops[name] = shop{Name: name, Currency: "EUR", Note: "hello"}
	}
	w.names = 1
	fail("commit", w.commit(keeper, "shop1"))
	pending()
	refused, partly, through := 0, 0, 0
	for n := range 16 {
		what := damages[n%len(damages)]
		file := w.damage(whole, what)
		all, of := w.unreadable(file, rec.clients)
		fail("damage", os.WriteFile(w.path("state.db"), file, 0o600))
		e, out, err := w.command("apply")
		fail(what, err)
		fail("put back", os.WriteFile(w.path("state.db"), whole, 0o600))
		after, err := w.check(false)
		fail(what, err)
		writes, some := after.Writes-before.Writes, false
		for _, c := range rec.clients {
			some = some || of[c.ID] && !c.Removed // of whom the commit changes something
			if n := after.Of[string(c.ID)] - before.Of[string(c.ID)]; of[c.ID] && n > 0 {
				t.Errorf("%s: %d writes of %s, of whom something can't be read:\n%s", what, n, c.ID, out)
			}
		}
		switch {
		case all && writes > 0:
			t.Errorf("%s: %d writes, although nothing can be read:\n%s", what, writes, out)
		case e.code == exitDone && (all || some):
			t.Errorf("%s: it ends with 0 although something can't be read (all %v, %v):\n%s", what, all, of, out)
		case e.code == exitDone && writes == 0:
			t.Errorf("%s: it did nothing:\n%s", what, out)
		case e.code == exitDone:
			through++
		case e.code != exitFailed:
			t.Errorf("%s: it ends with %d:\n%s", what, e.code, out)
		case writes > 0:
			partly++
		default:
			refused++
		}
		says := strings.Contains(out, "damaged") || strings.Contains(out, "not a state file of this program")
		if e.code == exitFailed && (!says || strings.Contains(out, "goroutine ")) {
			t.Errorf("%s: it says\n%s", what, out)
		}
		if writes > 0 {
			pending()
		}
	}
	t.Logf("refused %d times, %d times for some; %d damages were where nothing is read", refused, partly, through)
	if refused < 5 {
		t.Error("that damages too little")
	}
	fail("settle", w.settle())
}
