package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// outage is a repository that can't be reached for a while.
type outage struct {
	*repository
	away bool
}

func (o *outage) Poll(ctx context.Context) (string, error) {
	if o.away {
		return "", errAway
	}
	return o.repository.Poll(ctx)
}

// withOutages is a world whose repository can be away, and where removals wait an hour.
func withOutages(t *testing.T) (*vendors, *world, *outage) {
	t.Helper()
	v, w := newVendors(t)
	o := &outage{repository: w.repo}
	w.change = func(e *reconcile.Engine) { e.Repo, e.Guard.RemoveAfter = o, time.Hour }
	w.restart()
	return v, w, o
}

// deletes are what the vendors were told to take away.
func (v *vendors) deletes() (out []string) {
	for _, line := range v.writes() {
		if strings.Contains(line, " delete ") {
			out = append(out, line)
		}
	}
	return out
}

// A removal comes due while the branch can't be read, and a revert is there by then: nothing goes, also where the
// program was started anew meanwhile. Once the branch can be read the client lives on.
func TestP5NothingGoesBeforeTheBranchIsRead(t *testing.T) {
	for _, again := range []string{"", "restarted", "comes due while it is down"} {
		t.Run(again, func(t *testing.T) {
			v, w, o := withOutages(t)
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
			w.apply(map[string]string{"clients/a.yaml": ""})
			o.away = true
			w.repo.commit(map[string]string{"clients/a.yaml": client("a")})
			w.clock.add(time.Hour)
			if again != "" {
				w.restart()
			}
			a := w.id("a")
			w.pass(a)
			if gone := v.deletes(); len(gone) > 0 {
				t.Fatalf("it went: %q", gone)
			}
			if r := w.row("a"); !strings.Contains(r.Because, "reading the branch, which may ask again for what is to go") || !strings.Contains(r.Because, errAway.Error()) {
				t.Errorf("a is %s: %s", r.Status, r.Because)
			}
			o.away = false
			if again == "comes due while it is down" {
				w.restart()
			}
			w.clock.add(time.Hour)
			w.pass(a) // before any poll
			if gone := v.deletes(); len(gone) > 0 {
				t.Fatalf("it went: %q", gone)
			}
			w.want("a", state.StatusActive)
			v.serves(w, "a.agency.example", "a")
		})
	}
}

// What is still to go when the branch can be read again goes then.
func TestP5WhatIsToGoGoesOnceTheBranchIsRead(t *testing.T) {
	v, w, o := withOutages(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	w.apply(map[string]string{"clients/a.yaml": ""})
	o.away = true
	w.clock.add(time.Hour)
	w.pass(w.id("a"))
	o.away = false
	w.clock.add(time.Hour)
	w.pass(w.id("a"))
	w.want("a", state.StatusRetained)
	if len(v.deletes()) == 0 {
		t.Error("nothing went")
	}
}

// S40: a purge is due while the branch can't be read, or has the client's file again in a head that nobody judged yet:
// nothing is erased, whoever asks. The file finds its data.
func TestS40NothingIsErasedBeforeTheBranchIsRead(t *testing.T) {
	v, w, o := withOutages(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	db := w.database("a")
	v.world.Write(db, "a row")
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.clock.add(time.Hour)
	w.pass(w.id("a"))
	w.want("a", state.StatusRetained)
	w.clock.add(3 * month)
	stays := func() {
		t.Helper()
		if rows := v.world.Rows(db); len(rows) != 1 {
			t.Fatalf("the database has %q", rows)
		}
	}
	o.away = true
	if _, err := w.purge(); !errors.Is(err, errAway) || !strings.Contains(err.Error(), "nothing is erased until it can be") {
		t.Errorf("the purge says %v", err)
	}
	stays()
	if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); !errors.Is(err, errAway) {
		t.Errorf("the purge that was asked for says %v", err)
	}
	stays()
	o.away = false
	w.repo.commit(map[string]string{"clients/a.yaml": client("a", "database: {reuse: retained}")})
	if gone, err := w.purge(); err != nil || len(gone) > 0 {
		t.Errorf("the purge says %q, %v", gone, err)
	}
	stays()
	if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); !errors.Is(err, reconcile.ErrRefused) || !errors.Is(err, reconcile.ErrStaleHead) {
		t.Errorf("the purge that was asked for says %v", err)
	}
	stays()
	w.pass(w.poll()...)
	w.want("a", state.StatusActive)
	if got := w.database("a"); got != db {
		t.Errorf("it has the database %s, want %s", got, db)
	}
	stays()
}
