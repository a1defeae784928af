package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/compassdigital/reconciler/internal/state"
)

// Underway remembers who is worked on where it outlives this process, so that the next
// one knows whose work a crash cut off. Begin and End come with every pass and must cost
// next to nothing: what a power loss takes of it is no matter.
type Underway interface {
	Begin(state.ClientID) error
	End(state.ClientID) error
	// Left are those that Begin named and End did not, sorted.
	Left() ([]state.ClientID, error)
}

// turns says who may pass beside whom. After a crash nobody knows which of those that
// were under way it was. Those are the suspects: they pass one at a time, so that the
// next crash finds one of them. Who crashed the program twice passes alone: a third time
// is proof. The others pass as ever, but for the time of that proof.
//
//	of the group     may pass
//	no suspect       unless somebody passes alone
//	once             likewise, and no other suspect passes
//	twice or more    when nobody passes, after the suspects of fewer crashes
type turns struct {
	suspects map[state.ClientID]int // by crashes in a row
	waiting  map[state.ClientID]bool
	running  int
	onTrial  int // running suspects
	alone    bool
}

// crashes is the most that one of a group has.
func (t *turns) crashes(ids []state.ClientID) int {
	most := 0
	for _, id := range ids {
		most = max(most, t.suspects[id])
	}
	return most
}

func (t *turns) may(ids []state.ClientID) bool {
	n := t.crashes(ids)
	switch {
	case t.alone:
		return false
	case n == 0:
		return true
	case n < maxCrashes-1:
		return t.onTrial == 0
	case t.running > 0:
		return false
	}
	for id, other := range t.suspects {
		if other < n && other < maxCrashes-1 && !slices.Contains(ids, id) {
			return false
		}
	}
	return true
}

// begin takes a turn, if it is the group's; who has to wait is made due by end.
func (t *turns) begin(id state.ClientID, ids []state.ClientID) (trial, alone, ok bool) {
	if !t.may(ids) {
		if t.waiting == nil {
			t.waiting = map[state.ClientID]bool{}
		}
		t.waiting[id] = true
		return false, false, false
	}
	n := t.crashes(ids)
	trial, alone = n > 0, n >= maxCrashes-1
	t.running++
	if trial {
		t.onTrial++
	}
	t.alone = alone
	return trial, alone, true
}

// end gives the turn back and returns who waited for it.
func (t *turns) end(trial, alone bool, group func(state.ClientID) []state.ClientID) []state.ClientID {
	t.running--
	if trial {
		t.onTrial--
	}
	if alone {
		t.alone = false
	}
	next := map[state.ClientID]bool{}
	for id := range t.waiting {
		if t.may(group(id)) {
			next[id] = true
			delete(t.waiting, id)
		}
	}
	return sortedIDs(next)
}

// takeTurn lets a group pass beside those that pass already. Where that is not so, ok is
// false: whoever is at work makes it due. giveBack returns who is due by now.
func (e *Engine) takeTurn(id state.ClientID, ids []state.ClientID) (giveBack func() []state.ClientID, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	trial, alone, ok := e.turns.begin(id, ids)
	if !ok {
		return nil, false
	}
	return func() []state.ClientID {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.turns.end(trial, alone, e.group)
	}, true
}

// mark notes that clients are worked on, before anything of the work is done. A program
// that stops in order is no crash, whatever it leaves behind.
func (e *Engine) mark(ids []state.ClientID) error {
	if e.Underway == nil {
		return nil
	}
	e.marking.Lock()
	defer e.marking.Unlock()
	if e.Stopping() {
		return nil
	}
	for _, id := range ids {
		if err := e.Underway.Begin(id); err != nil {
			return fmt.Errorf("note that %s is under way: %w", id, err)
		}
		if e.marks == nil {
			e.marks = map[state.ClientID]bool{}
		}
		e.marks[id] = true
	}
	return nil
}

// unmark takes it back. A mark that stays counts as a crash, of which it takes three.
func (e *Engine) unmark(ids []state.ClientID) {
	if e.Underway == nil {
		return
	}
	e.marking.Lock()
	defer e.marking.Unlock()
	for _, id := range ids {
		_ = e.Underway.End(id)
		delete(e.marks, id)
	}
}

// unmarkAll takes back what this process has marked: what is cut off from now on is no crash.
func (e *Engine) unmarkAll() {
	e.marking.Lock()
	left := slices.Collect(maps.Keys(e.marks))
	e.marking.Unlock()
	e.unmark(left)
}
