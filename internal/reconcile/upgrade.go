package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// upgraded is called at a start, before any pass: where another version of the program was
// here last, whoever would be made otherwise now waits in a hold.
func (e *Engine) upgraded(clients []state.Client) error {
	e.mu.Lock()
	base := e.baseline
	e.mu.Unlock()
	if base == nil || base.Version == "" || base.Version == e.Program {
		return nil
	}
	hold, err := e.upgrade(clients, base.Version, base.Head)
	if err != nil {
		return fmt.Errorf("what version %s makes otherwise: %w", e.Program, err)
	}
	now := *base
	now.Version = e.Program
	err = e.Store.Update(func(tx store.Tx) error {
		holds, err := store.Holds(tx)
		if err != nil {
			return err
		}
		var errs firstError
		for _, h := range holds {
			if h.Kind == state.HoldUpgrade { // of a version that is here no more
				errs.add(store.DeleteHold(tx, h.Fingerprint))
			}
		}
		if hold != nil {
			errs.add(store.PutHold(tx, *hold))
			_, err := store.AddHistory(tx, state.Entry{At: hold.At, Commit: base.Head, What: "held", Text: hold.Reason})
			errs.add(err)
		}
		errs.add(store.PutBaseline(tx, now))
		return errs.err
	})
	if err != nil {
		return fmt.Errorf("hold what version %s makes otherwise: %w", e.Program, err)
	}
	e.mu.Lock()
	e.baseline = &now
	e.mu.Unlock()
	return nil
}

// atRest says that a client has all that it wishes: what is planned of it comes from this program alone. It
// may be paused, and somebody may have asked for a look, or a look found something to put back. Who went half the
// way to another wish, and back to the one before, has a pass under way.
func (m *member) atRest() bool {
	c := m.client
	switch {
	case c.Removed:
		return false
	case c.Settled && c.Status == state.StatusActive:
		return true
	}
	underway := c.Run != "" || c.RollingBack != "" || len(c.Undo) > 0
	return !underway && c.Converged != "" && c.Converged == c.WishHash && (c.Settled || c.LookWanted || len(m.marked()) > 0)
}

// rotated says that a secret of the wish has a newer version than the one that what is on record was made
// with: the client is paused, frozen or failed, and has yet to get it.
func (m *member) rotated() bool {
	made := map[state.Ref]state.Attributes{}
	for _, r := range m.recorded {
		if r.Real() && !r.Retained() {
			made[r.Ref] = r.Attributes
		}
	}
	return slices.ContainsFunc(m.wish, func(w state.Resource) bool {
		return slices.ContainsFunc(w.Attributes, func(a state.Attribute) bool {
			was, _ := made[w.Ref].Get(a.Name)
			now := a.Value.Secret
			return now != nil && was.Secret != nil && was.Secret.Scope == now.Scope && was.Secret.Name == now.Name && was.Secret.Version < now.Version
		})
	})
}

// upgrade is the hold of what only this version of the program would make otherwise: clients at rest whose
// plan is not empty although nobody asked for a change. nil: nothing differs.
func (e *Engine) upgrade(clients []state.Client, was, head string) (*state.Hold, error) {
	prints := make([]string, len(clients))
	errs := make([]error, len(clients))
	sideBySide(len(clients), func(i int) {
		c := clients[i]
		g, err := e.load([]state.ClientID{c.ID})
		if errs[i] = err; err != nil || len(g.members) == 0 || !g.members[0].atRest() {
			return
		}
		// What runs into an error of this program is told by the client's own pass, and keeps
		// no head from being accepted.
		_ = e.contain(c.ID, func() error {
			if err := e.wish(g); err != nil {
				return err
			}
			if g.members[0].rotated() {
				return nil // somebody asked for that; what this version makes otherwise comes with it
			}
			if p := e.calculate(g); len(p.Steps)+len(p.Problems) > 0 {
				prints[i] = plan.Fingerprint(p, c.ID)
			}
			return nil
		})
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	h := &state.Hold{Kind: state.HoldUpgrade, Commit: head, NewHead: head, Approvable: true, At: e.Now()}
	parts := []string{"upgrade", e.Program}
	for i, print := range prints {
		if print != "" {
			h.Clients = append(h.Clients, clients[i].ID)
			parts = append(parts, string(clients[i].ID), print)
		}
	}
	if len(h.Clients) == 0 {
		return nil, nil
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	h.Fingerprint = hex.EncodeToString(sum[:6])
	whom := fmt.Sprintf("%d clients. They stay as they are; each", len(h.Clients))
	if len(h.Clients) == 1 {
		whom = "1 client. It stays as it is, and"
	}
	h.Reason = fmt.Sprintf("Version %s would change what version %s made of %s follows with its next commit, or a new version of a secret that it uses.", e.Program, was, whom)
	h.Act = "`reconciler plan` shows the changes; `reconciler approve " + h.Fingerprint + "` lets them run."
	return h, nil
}

// follow lets the clients of an approved upgrade go: one, a tenth, the rest when they are
// more than the guard lets change at once.
func (e *Engine) follow(tx store.Tx, h state.Hold, a state.Approval) ([]state.ClientID, error) {
	var clients []state.Client
	for _, id := range h.Clients {
		c, ok, err := store.Client(tx, id)
		if err != nil {
			return nil, err
		}
		if ok && !c.Removed {
			clients = append(clients, c)
		}
	}
	now, err := e.spread(tx, "Version "+e.Program, h.Fingerprint, clients)
	if err != nil {
		return nil, err
	}
	for _, c := range clients {
		if err := e.wake(tx, c.ID, func(*state.Client) {}); err != nil {
			return nil, err
		}
	}
	a.Used = e.Now()
	if err := store.PutApproval(tx, a); err != nil {
		return nil, err
	}
	return now, store.DeleteHold(tx, h.Fingerprint)
}

// followed takes clients that wish something else by now out of an upgrade's hold: they are
// made by this version from then on.
func followed(tx store.Tx, ids []state.ClientID) error {
	if len(ids) == 0 {
		return nil
	}
	holds, err := store.Holds(tx)
	if err != nil {
		return err
	}
	for _, h := range holds {
		n := len(h.Clients)
		if h.Kind != state.HoldUpgrade {
			continue
		}
		h.Clients = slices.DeleteFunc(slices.Clone(h.Clients), func(c state.ClientID) bool { return slices.Contains(ids, c) })
		switch {
		case len(h.Clients) == n:
		case len(h.Clients) == 0:
			err = store.DeleteHold(tx, h.Fingerprint)
		default:
			err = store.PutHold(tx, h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newWishes are the clients that got another wish, where an upgrade's hold waits for that; else nobody is
// looked through: a head costs as much as it changes.
func newWishes(holds []state.Hold, before, now []state.Client) (out []state.ClientID) {
	if !slices.ContainsFunc(holds, func(h state.Hold) bool { return h.Kind == state.HoldUpgrade }) {
		return nil
	}
	seq := make(map[state.ClientID]uint64, len(before))
	for _, c := range before {
		seq[c.ID] = c.Seq
	}
	for _, c := range now {
		if was, ok := seq[c.ID]; ok && c.Seq > was {
			out = append(out, c.ID)
		}
	}
	return out
}

// stays says that a client waits in an upgrade's hold. Whatever wakes it (a look that found
// something changed, `retry`, `resume`), it stays as it was made: its wish is its record.
func stays(holds []state.Hold, id state.ClientID) bool {
	return slices.ContainsFunc(holds, func(h state.Hold) bool { return h.Kind == state.HoldUpgrade && slices.Contains(h.Clients, id) })
}

// keepAsMade says of a client that passes by itself whether it stays as it was made. One that passes with others
// is part of what a commit asked for.
func (g *group) keepAsMade() {
	if len(g.members) == 1 {
		g.members[0].stays = stays(g.holds, g.members[0].client.ID)
	}
}

// asMade is what is wished of that which is on record, as it is on record.
func (m *member) asMade() []state.Resource {
	by := map[state.Ref]state.Resource{}
	for _, r := range m.recorded {
		by[r.Ref] = r
	}
	out := []state.Resource{}
	for _, w := range m.wish {
		if have, ok := by[w.Ref]; ok && have.Real() && !have.Retained() {
			w.Provider, w.Attributes = have.Provider, have.Attributes
			out = append(out, w)
		}
	}
	return out
}

// unasked takes out of a plan what nobody asked for of clients that stay as they were made: all but what
// was seen to be otherwise than it is on record, and removals that are due.
func (g *group) unasked(p plan.Plan) plan.Plan {
	for _, m := range g.members {
		if !m.stays {
			continue
		}
		p = plan.Only(p, func(r state.Ref) bool {
			_, seen := m.looks[r]
			wished := slices.ContainsFunc(m.wish, func(w state.Resource) bool { return w.Ref == r })
			return seen && wished || slices.ContainsFunc(m.tombstones, func(t state.Tombstone) bool { return t.Part == r.Part() })
		})
	}
	return p
}
