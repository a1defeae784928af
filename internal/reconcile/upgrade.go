package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// upgrade is the hold of what only this version of the program would make otherwise:
// settled clients whose plan is not empty although nobody asked for a change. They stay
// as they are until their next commit, or until it is approved. nil: nothing differs.
func (e *Engine) upgrade(clients []state.Client, was, head string) (*state.Hold, error) {
	prints := make([]string, len(clients))
	errs := make([]error, len(clients))
	sideBySide(len(clients), func(i int) {
		c := clients[i]
		if c.Removed || !c.Settled || c.Status != state.StatusActive {
			return
		}
		g, err := e.load([]state.ClientID{c.ID})
		if errs[i] = err; err != nil {
			return
		}
		// What runs into an error of this program is told by the client's own pass, and keeps
		// no head from being accepted.
		_ = e.contain(c.ID, func() error {
			if err := e.wish(g); err != nil {
				return err
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
	h.Reason = fmt.Sprintf("Version %s would change what version %s made of %d clients. They stay as they are; each follows with its next commit.", e.Program, was, len(h.Clients))
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
	guard := e.Guard
	wishes, _ := e.resolver()
	if p := wishes.Platform(); p != nil {
		guard = guard.Tightened(p.Guard)
	}
	now, hold := accept.Spread(guard, "Version "+e.Program, h.Fingerprint, clients, e.Now())
	if hold != nil {
		if err := store.PutHold(tx, *hold); err != nil {
			return nil, err
		}
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

// followed takes a client that was passed out of an upgrade's hold: nothing of it waits
// any more.
func followed(tx store.Tx, holds []state.Hold, id state.ClientID) error {
	for _, h := range holds {
		if h.Kind != state.HoldUpgrade || !slices.Contains(h.Clients, id) {
			continue
		}
		h.Clients = slices.DeleteFunc(slices.Clone(h.Clients), func(c state.ClientID) bool { return c == id })
		if len(h.Clients) == 0 {
			return store.DeleteHold(tx, h.Fingerprint)
		}
		return store.PutHold(tx, h)
	}
	return nil
}
