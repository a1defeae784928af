package reconcile

import (
	"maps"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Work beside passes that a crash may cut off, too: it is marked as "look ID". A client's ID has no
// space.
const (
	workLook  = "look"  // a scheduled look at a client
	workProbe = "probe" // of its site
	workList  = "list"  // of everything that a provider has of ours
)

// besideDoes says what the program does at such work on a client; "": it is none that this version knows.
func besideDoes(work string) string {
	switch work {
	case workLook:
		return "it looked at it"
	case workProbe:
		return "it probed its site"
	}
	return ""
}

func besideMark(work, of string) state.ClientID { return state.ClientID(work + " " + of) }

// besideOf is the work of a mark, and whose it was; work "": a pass.
func besideOf(mark state.ClientID) (work string, of state.ClientID) {
	work, id, is := strings.Cut(string(mark), " ")
	if !is {
		return "", mark
	}
	return work, state.ClientID(id)
}

// beside begins work on a client beside its passes, or a provider's list. deaths is how often in a
// row the program died at such work on it: from twice on nothing else is worked on meanwhile, so that
// the third time is proof. ok is false where it is not its turn; it comes in a later run.
func (e *Engine) beside(work, of string, deaths int) (end func(), ok bool, err error) {
	if e.Underway == nil {
		return func() {}, true, nil
	}
	alone := deaths >= maxCrashes-1
	e.mu.Lock()
	ok = e.turns.beside(alone)
	e.mu.Unlock()
	if !ok {
		return nil, false, nil
	}
	giveBack := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.turns.endBeside(alone)
	}
	mark := []state.ClientID{besideMark(work, of)}
	if err := e.mark(mark); err != nil {
		giveBack()
		return nil, false, err
	}
	return func() { e.unmark(mark); giveBack() }, true, nil
}

// beside takes a turn for work that is no pass. It makes nobody due: a pass that has to wait comes
// again by itself.
func (t *turns) beside(alone bool) bool {
	if t.alone || alone && t.running > 0 {
		return false
	}
	t.running++
	t.alone = alone
	return true
}

func (t *turns) endBeside(alone bool) {
	t.running--
	if alone {
		t.alone = false
	}
}

// diedBeside notes that the process before this one died at work beside passes. sure says that it
// was at nothing else: the third time in a row the client is quarantined.
func (e *Engine) diedBeside(work string, id state.ClientID, why string, sure bool) error {
	count := func(c *state.Client) int {
		n := maps.Clone(c.Deaths)
		if n == nil {
			n = map[string]int{}
		}
		n[work]++
		c.Deaths = n
		return n[work]
	}
	last := false
	err := e.Store.Update(func(tx store.Tx) error {
		c, ok, err := store.Client(tx, id)
		if last = false; err != nil || !ok || !c.Quarantined.IsZero() {
			return err
		}
		seen := c
		if n := count(&seen); n >= maxCrashes && sure {
			last = true
			return nil
		}
		if err := store.PutClient(tx, seen); err != nil {
			return err
		}
		_, err = store.AddHistory(tx, state.Entry{At: e.Now(), Client: id, Name: c.Name, Commit: c.Commit, What: "interrupted", Text: why})
		return err
	})
	if err == nil && last {
		_, err = e.blame(id, why, true, count)
	}
	return err
}

// besideWell takes back what was counted: the work came to its end.
func besideWell(tx store.Tx, id state.ClientID, work string) error {
	c, ok, err := store.Client(tx, id)
	if err != nil || !ok || c.Deaths[work] == 0 || !c.Quarantined.IsZero() {
		return err
	}
	c.Deaths = maps.Clone(c.Deaths)
	delete(c.Deaths, work)
	return store.PutClient(tx, c)
}

const (
	// A provider whose list the program died of is not listed for a while: longer where it was at
	// nothing else, so that it was that.
	listRests, listRestsSure = time.Minute, time.Hour
	// Where it is kept when that was.
	listDied, listDiedSure = "died at the list of ", "died at nothing but the list of "
)

// diedListing notes that the program died while it listed what a provider has. No client is to blame.
func (e *Engine) diedListing(name string, sure bool) error {
	key := listDied
	if sure {
		key = listDiedSure
	}
	return e.Store.Update(func(tx store.Tx) error { return store.PutLastRun(tx, key+name, e.Now()) })
}

// restLists leaves those providers alone for now whose lists the program died of.
func (e *Engine) restLists(s *survey) error {
	return e.Store.View(func(tx store.Tx) error {
		for _, p := range e.Providers {
			var until time.Time
			for _, x := range []struct {
				key   string
				rests time.Duration
			}{{listDied, listRests}, {listDiedSure, listRestsSure}} {
				at, ok, err := store.LastRun(tx, x.key+p.Name())
				if err != nil {
					return err
				}
				if ok && at.Add(x.rests).After(until) {
					until = at.Add(x.rests)
				}
			}
			if e.Now().Before(until) {
				s.stopped[p.Name()] = halt{why: "this program died while it listed what is there; it does so again at " + until.UTC().Format("15:04:05 MST")}
			}
		}
		return nil
	})
}
