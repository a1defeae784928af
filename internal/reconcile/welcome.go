package reconcile

import (
	"fmt"
	"slices"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// withoutMail is noted for as long as nothing sends mail.
const withoutMail = "without mail"

// welcomed is called at a start. The mail that welcomes a client's administrator is for who is new: where
// nothing sent mail so far, and something does now, those who are served already need none.
func (e *Engine) welcomed(clients []state.Client) error {
	var without bool
	err := e.Store.View(func(tx store.Tx) (err error) { _, without, err = store.LastRun(tx, withoutMail); return err })
	if err != nil || without == (e.Mail == "") {
		return err
	}
	err = e.Store.Update(func(tx store.Tx) error {
		if e.Mail == "" {
			return store.PutLastRun(tx, withoutMail, e.Now())
		}
		for _, c := range clients {
			if err := e.takenAsWelcomed(tx, c); err != nil {
				return err
			}
		}
		return store.DeleteLastRun(tx, withoutMail)
	})
	if err != nil {
		return fmt.Errorf("note who was served before there was mail: %w", err)
	}
	return nil
}

// takenAsWelcomed puts a welcome on record that was never sent.
func (e *Engine) takenAsWelcomed(tx store.Tx, c state.Client) error {
	have, err := store.Resources(tx, c.ID)
	served := c.EverDeployed || !c.DeployedAt.IsZero()
	if err != nil || !served || len(have) == 0 || slices.ContainsFunc(have, func(r state.Resource) bool { return r.Ref.Kind == state.KindMail }) {
		return err
	}
	return store.PutResource(tx, state.Resource{Ref: state.Ref{Client: c.ID, Kind: state.KindMail, Name: desired.Welcome}, Provider: e.Mail,
		ID: state.DoneBefore, Generation: max(c.Generation, 1), Message: "taken as sent: the client was served before there was mail", UpdatedAt: e.Now()})
}
