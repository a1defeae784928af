package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxCrashes is how often in a row a client may end its pass in a panic, or the process.
// Then it is left alone until a person says `retry`, or commits another wish of it.
const maxCrashes = 3

// contain does a client's work. A panic in it is that client's: it comes back as a
// *apply.Panicked, without what must not be told.
func (e *Engine) contain(id state.ClientID, work func() error) error {
	err := apply.Contain(id, work)
	if p := panicOf(err); p != nil && e.Redact != nil {
		p.Text = e.Redact(p.Text)
	}
	return err
}

// panicOf is the panic that an error tells of; nil: none.
func panicOf(err error) *apply.Panicked {
	var p *apply.Panicked
	errors.As(err, &p)
	return p
}

// quarantined says that nothing of the client is worked on: it is left alone, or is a new one that waits with others
// for an approval. Whoever it is joined with goes on.
func (m *member) quarantined() bool { return !m.client.Quarantined.IsZero() || m.unbegun }

// aside is why nothing of a quarantined client is planned, for those of its group who
// wait for it.
func (m *member) aside() plan.Problem {
	return plan.Problem{Client: m.client.ID, Name: m.client.Name, Text: m.client.Because, Act: m.client.Next}
}

// keepNames lets names that go to a quarantined member stay with those who still have them,
// and the sites that serve them, too: nothing of the new owner is planned, so they would go
// to nobody. Their other names go, and so do records that lead nowhere.
func (g *group) keepNames(tx store.Tx) error {
	if len(g.members) < 2 || !slices.ContainsFunc(g.members, (*member).quarantined) {
		return nil
	}
	claims, err := store.Claims(tx)
	if err != nil {
		return err
	}
	for _, m := range g.members {
		m.keeps = nil
		for _, c := range claims {
			host, is := strings.CutPrefix(c.Key, "host:")
			to := slices.IndexFunc(g.members, func(o *member) bool { return o.client.ID == c.Client && o.quarantined() })
			if is && to >= 0 && c.Client != m.client.ID && slices.Contains(c.From, m.client.ID) {
				m.keeps, m.keptFor = append(m.keeps, host), g.members[to]
			}
		}
		if len(m.keeps) > 0 {
			m.due(slices.DeleteFunc(slices.Clone(m.tombstones), m.serves))
		}
	}
	return nil
}

// keptWhy says what the names wait for that the client keeps for others.
func (m *member) keptWhy() string {
	if m.keptFor.unbegun {
		return m.keptFor.client.Name + ", which takes it over, waits: " + m.keptFor.client.Because
	}
	return "whoever takes it over is in quarantine"
}

// serves says that a removal would take away what serves a name that is kept for a member
// that is left alone: the name, its address record, or what is below all names.
func (m *member) serves(t state.Tombstone) bool {
	kind, name, _ := strings.Cut(t.Part, "/")
	switch r := (state.Ref{Kind: state.Kind(kind), Name: name}); r.Kind {
	case state.KindDomain, state.KindRecord:
		return slices.ContainsFunc(m.keeps, func(host string) bool { return plan.Leads(r, host) })
	case accept.HostPart:
		return slices.Contains(m.keeps, name)
	}
	return true
}

// poisoned ends a pass that ran into an error of this program: for the client whose work
// it was, or for the whole group where that is not known.
func (e *Engine) poisoned(ids []state.ClientID, p *apply.Panicked) (Done, error) {
	done := Done{Clients: ids}
	if e.OnPanic != nil {
		e.OnPanic(p)
	}
	blamed := ids
	if slices.Contains(ids, p.Client) {
		blamed = []state.ClientID{p.Client}
	}
	for _, id := range blamed {
		line, _, _ := strings.Cut(p.Error(), "\n")
		d, err := e.blame(id, "its pass ran into "+line, true, func(c *state.Client) int { c.Panics++; return c.Panics })
		if err != nil {
			return done, err
		}
		done.join(d)
		if g, err := e.load([]state.ClientID{id}); err != nil {
			return done, err
		} else if g.freezes() { // also of one that is left alone from now on
			done.join(Done{At: e.Now().Add(firstRetry)})
		}
	}
	if done.At.IsZero() { // the others of the group go on without it
		for _, id := range ids {
			if !slices.Contains(blamed, id) {
				done.Also = append(done.Also, id)
			}
		}
	}
	return done, nil
}

// died notes that the process before this one died, for those that it was at work on. Of several it
// may have been any: they are tried again one at a time, and only who was alone can be the one.
func (e *Engine) died(left []state.ClientID) error {
	alone := true
	_, first := besideOf(left[0])
	for _, mark := range left {
		_, id := besideOf(mark)
		alone = alone && slices.Contains(e.Group(first), id)
	}
	for _, mark := range left {
		work, id := besideOf(mark)
		does := "it was at work on it"
		if work != "" {
			does = besideDoes(work)
		}
		why := "this program died while " + does
		switch others := len(left) - 1; {
		case alone:
		case others == 1 && work == "":
			why += " and another client"
		case work == "":
			why += fmt.Sprintf(" and %d others", others)
		default:
			why += ", and was at work on others"
		}
		var err error
		switch {
		case work == "":
			_, err = e.blame(id, why, alone, func(c *state.Client) int { c.Crashes++; return c.Crashes })
		case work == workList:
			err = e.diedListing(string(id), len(left) == 1)
		case does != "": // else a later version's
			err = e.diedBeside(work, id, why, alone)
		}
		if err != nil {
			return err
		}
	}
	e.unmark(left)
	return nil
}

// suspects reads who was under way when the process before this one died, and who is
// still suspected because of an earlier death. It returns all clients as they are then.
func (e *Engine) suspects(clients []state.Client) ([]state.Client, error) {
	if e.Underway != nil {
		left, err := e.Underway.Left()
		if err != nil {
			return nil, fmt.Errorf("read who was under way: %w", err)
		}
		if len(left) > 0 {
			if err := e.died(left); err != nil {
				return nil, err
			}
			err = e.Store.View(func(tx store.Tx) (err error) {
				clients, err = store.Clients(tx)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	for _, c := range clients {
		if c.Panics+c.Crashes > 0 {
			e.counted(c.ID, c, !c.Quarantined.IsZero())
		}
	}
	return clients, nil
}

// blame counts one more try that ended in a panic or a crash, and quarantines the client
// after maxCrashes of them in a row.
func (e *Engine) blame(id state.ClientID, why string, sure bool, count func(*state.Client) int) (Done, error) {
	done := Done{Clients: []state.ClientID{id}}
	g, err := e.load(done.Clients)
	if err != nil || len(g.members) == 0 {
		return done, err
	}
	m := g.members[0]
	if m.quarantined() {
		return done, nil
	}
	seen := m.client
	n := count(&seen)
	end := ending{status: m.client.Status, what: "interrupted", cut: why}
	if n > 1 {
		why += fmt.Sprintf(", %s in a row", times(n))
	}
	if n >= maxCrashes && sure {
		end = ending{status: state.StatusFailed, what: "failed", word: "failed", settled: true, cut: end.cut, fault: true,
			because: fmt.Sprintf("%sin quarantine since %s: %s", leftAlone(m), e.Now().UTC().Format("2 January 2006 15:04 MST"), why),
			next:    "nothing of it is tried until `reconciler retry " + m.client.Name + "`, or a commit that changes it; report the error, the log has it"}
		if seen.Panics+seen.Crashes == m.client.Panics+m.client.Crashes {
			end.word = "" // it was no pass: what became of the commit stands
		}
	} else if seen.Panics > m.client.Panics {
		end.at = e.later(n, time.Time{})
		end.because = why + "; it is tried again at " + end.at.UTC().Format("15:04:05 MST")
	} else {
		end.because = why + "; " + againAfterDeath(n, sure)
	}
	end.change = func(c *state.Client) {
		count(c)
		c.LookWanted = true                       // it may have done what is not on record
		if end.settled && c.Seq == m.client.Seq { // a newer wish was not tried yet
			c.Quarantined, c.Fault = e.Now(), true
		}
	}
	e.counted(id, seen, end.settled)
	var d Done
	err = e.contain(id, func() (err error) { d, err = e.finish(g, m, nil, end); return err })
	if panicOf(err) == nil {
		return d, err
	}
	// Even to tell it runs into an error: the record alone.
	err = e.Store.Update(func(tx store.Tx) error {
		return e.wake(tx, id, func(c *state.Client) {
			c.Status, c.Because, c.Next, c.Settled, c.RetryAt = end.status, end.because, end.next, end.settled, end.at
			end.change(c)
		})
	})
	return Done{Clients: g.ids, At: end.at}, err
}

// againAfterDeath says when a client is tried again that was under way when the program died.
// It has no time of day: all of them are due with the start, but in turn (see turns).
func againAfterDeath(n int, alone bool) string {
	switch {
	case n >= maxCrashes-1:
		return "it is tried again by itself, once no other client is worked on"
	case alone:
		return "it is tried again as soon as the program runs"
	}
	return "they are tried again as soon as the program runs, one after the other"
}

// leftAlone is what a quarantine says first. What the last try came to nobody knows, and
// nothing of it is put back: which version serves is not said.
func leftAlone(m *member) string {
	if m.client.EverDeployed {
		return "Your site is left as it is. "
	}
	return ""
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// counted notes a count in memory: what a pass that ends well has to take back, and who
// passes beside whom.
func (e *Engine) counted(id state.ClientID, c state.Client, quarantined bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.crashy == nil {
		e.crashy = map[state.ClientID]bool{}
	}
	delete(e.crashy, id)
	if c.Panics+c.Crashes > 0 && !quarantined {
		e.crashy[id] = true
	}
	e.turns.suspect(id, c.Crashes, quarantined)
}

// suspect sets how often the program died at work on a client.
func (t *turns) suspect(id state.ClientID, crashes int, quarantined bool) {
	if t.suspects == nil {
		t.suspects = map[state.ClientID]int{}
	}
	delete(t.suspects, id)
	if crashes > 0 && !quarantined {
		t.suspects[id] = crashes
	}
}

// cleared takes the counts of clients back whose pass came to its end.
func (e *Engine) cleared(ids []state.ClientID) error {
	e.mu.Lock()
	var was []state.ClientID
	for _, id := range ids {
		if e.crashy[id] {
			was = append(was, id)
		}
	}
	e.mu.Unlock()
	if len(was) == 0 {
		return nil
	}
	err := e.Store.Update(func(tx store.Tx) error {
		for _, id := range was {
			c, ok, err := store.Client(tx, id)
			if err != nil {
				return err
			}
			if !ok || !c.Quarantined.IsZero() {
				continue
			}
			c.Panics, c.Crashes = 0, 0
			if err := store.PutClient(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take the counts of crashes back: %w", err)
	}
	for _, id := range was {
		e.counted(id, state.Client{}, false)
	}
	return nil
}
