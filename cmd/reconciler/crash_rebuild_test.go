package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/store"
)

// lostState is what a killed rebuild must come to.
type lostState struct {
	args         []string // of the rebuild
	installation string
	key          bool     // the key was lost, too: the one that there is says another installation
	records      []string // of a rebuild that nobody killed
	writes       int      // at the providers, before it
	shops        []shop   // that are removed or broken
}

// loseState deletes the state, at times with its key. One client is active, one
// retained, and the file of one is broken.
func (w *crashWorld) loseState() ([]string, error) {
	for _, s := range w.lost.shops { // as they were before the last loss
		w.shops[s.Name] = s
		if err := w.commit(s.Name); err != nil {
			return nil, err
		}
	}
	if _, err := w.overview(); err != nil {
		return nil, err
	}
	gone, err := w.one()
	if err != nil {
		return nil, err
	}
	broken, err := w.one(gone.Name)
	if err != nil {
		return nil, err
	}
	w.lost.shops = []shop{gone, broken}
	delete(w.shops, gone.Name)
	if err := w.commit(gone.Name); err != nil {
		return nil, err
	}
	if _, err := w.overview(); err != nil { // a removal would wait for a broken file of the same range
		return nil, err
	}
	broken.Broken = true
	w.shops[broken.Name] = broken
	if err := w.commit(broken.Name); err != nil {
		return nil, err
	}
	if _, err := w.overview(); err != nil {
		return nil, err
	}
	rec, err := w.read()
	if err != nil {
		return nil, err
	}
	w.lost.args, w.lost.installation = []string{"rebuild"}, rec.installation
	if w.lost.key || w.rng.IntN(3) == 0 {
		w.say("the key is lost, too")
		w.lost.key = true
		w.lost.args = append(w.lost.args, "--installation", rec.installation)
		if err := os.Remove(w.path("key")); err != nil {
			return nil, err
		}
	}
	if w.lost.writes, err = w.wrote(); err != nil {
		return nil, err
	}
	if err := os.Remove(w.path("state.db")); err != nil {
		return nil, err
	}
	e, out, err := w.command(w.lost.args...)
	if err != nil || e.code != 0 {
		return nil, fmt.Errorf("a rebuild ends with %d (%w): %s", e.code, err, out)
	}
	if w.lost.records, err = w.records(); err != nil {
		return nil, err
	}
	return w.lost.args, os.Remove(w.path("state.db"))
}

// rebuilt: until the rebuild has committed nothing takes what it left behind for a state;
// then it is all there. Another one comes to the same, and no provider was written.
func (w *crashWorld) rebuilt() error {
	whole := false
	if exists(w.path("state.db")) {
		got, err := w.records()
		if err != nil {
			return err
		}
		whole = slices.Equal(got, w.lost.records)
	}
	if !whole {
		e, out, err := w.command("apply")
		if err != nil || e.code != exitFailed || !strings.Contains(out, "reconciler rebuild") {
			return fmt.Errorf("apply on half a rebuild ends with %d (%w): %s", e.code, err, out)
		}
	}
	e, out, err := w.command(w.lost.args...)
	switch {
	case err != nil:
		return err
	case whole && (e.code != exitFailed || !strings.Contains(out, "came to its end")):
		return fmt.Errorf("a rebuild of what is whole ends with %d: %s", e.code, out)
	case !whole && e.code != 0:
		return fmt.Errorf("the rebuild after it ends with %d: %s", e.code, out)
	}
	got, err := w.records()
	if err != nil {
		return err
	}
	if !slices.Equal(got, w.lost.records) {
		return fmt.Errorf("on record after the rebuild:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(w.lost.records, "\n"))
	}
	writes, err := w.wrote()
	if err == nil && writes != w.lost.writes {
		err = fmt.Errorf("a rebuild wrote %d times", writes-w.lost.writes)
	}
	return err
}

// wrote is how many writes there were at the providers.
func (w *crashWorld) wrote() (int, error) {
	var t truth
	err := w.host.ask(context.Background(), "/truth?installation="+w.lost.installation, nil, &t)
	return t.Writes, err
}

var moment = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)

// records are all records of the state, whatever it is, but for their times.
func (w *crashWorld) records() (out []string, err error) {
	s, err := bolt.Open(bolt.Options{Path: w.path("state.db"), Keys: w.keys(), Now: time.Now, NoSync: true, Anew: true})
	if err != nil {
		return nil, err
	}
	err = s.View(func(tx store.Tx) error {
		for _, bucket := range store.Buckets() {
			err := tx.Each(bucket, "", func(key string, decode func(any) error) error {
				var v json.RawMessage
				if err := decode(&v); err != nil {
					return err
				}
				out = append(out, bucket+" "+key+" "+moment.ReplaceAllString(string(v), `"then"`))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, errors.Join(err, s.Close())
}
