package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Payments is how far a client's account for taking money is. Its owner finishes it at its
// keeper, whenever that is; looks, by schedule and when the keeper says that something
// changed, record how far that is.
type Payments struct {
	Provider string    `json:"provider"`
	Account  string    `json:"account"`
	Ready    bool      `json:"ready"` // it takes payments, and is paid out
	Needs    string    `json:"needs"` // what its owner has to do there; of a ready one what is wanted soon
	SeenAt   time.Time `json:"seenAt"`
}

// paymentsOf is the account in use among what is on record, nil without one.
func paymentsOf(have []state.Resource) *Payments {
	for _, r := range have {
		if r.Ref.Kind == state.KindPayments && r.Real() && !r.Retained() {
			return &Payments{Provider: r.Provider, Account: r.ID, Ready: r.Phase == "", Needs: r.Message, SeenAt: r.ObservedAt}
		}
	}
	return nil
}

// needs says what an account wants of its owner, for the line of a client that is well.
func (p *Payments) needs() string {
	if p == nil || p.Needs == "" {
		return ""
	}
	return "payments: " + p.Needs
}

// AccountOf returns the account of a client that takes payments; ErrRefused without one.
func (e *Engine) AccountOf(name string) (Payments, error) {
	var out *Payments
	err := e.Store.View(func(tx store.Tx) error {
		c, err := e.clientByName(tx, name)
		if err != nil {
			return err
		}
		have, err := store.Resources(tx, c.ID)
		out = paymentsOf(have)
		return err
	})
	switch {
	case err != nil:
		return Payments{}, err
	case out == nil:
		return Payments{}, fmt.Errorf("%w: %s has no account for payments", ErrRefused, name)
	}
	return *out, nil
}

// AccountChanged looks at an account because somebody says that it changed: of what was said
// nothing is believed but which account to look at. One that is on record of no client is
// nobody's business here.
func (e *Engine) AccountChanged(ctx context.Context, keeper, id string) error {
	p, ok := e.Runner.Provider(keeper, state.KindPayments)
	if !ok {
		return fmt.Errorf("look at account %s: %w: %s keeps no accounts here", id, ErrRefused, keeper)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := provider.NewReadOnly(p).Observe(ctx, provider.Query{Kind: state.KindPayments, ID: id})
	if err != nil {
		return fmt.Errorf("look at account %s: %w", id, err)
	}
	if len(found) == 0 {
		return nil // that it is gone the next scheduled look tells
	}
	ref, ok, err := e.accountRef(keeper, found[0])
	if err != nil || !ok {
		return err
	}
	return e.noteAccount(ref, found[0])
}

// accountRef finds on record what an account is: by its mark, which names the client, else
// (an adopted one bears none) among all.
func (e *Engine) accountRef(keeper string, o provider.Object) (ref state.Ref, ok bool, err error) {
	err = e.Store.View(func(tx store.Tx) error {
		have, err := []state.Resource(nil), error(nil)
		switch {
		case o.Mark.IsZero():
			have, err = store.AllResources(tx)
		case o.Mark.Installation == e.Runner.Installation:
			have, err = store.Resources(tx, o.Mark.Client)
		}
		for _, r := range have {
			if r.Ref.Kind == state.KindPayments && r.Provider == keeper && r.ID == o.ID {
				ref, ok = r.Ref, true
			}
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("find account %s: %w", o.ID, err)
	}
	return ref, ok, err
}

// noteAccount records how far an account is, where that is another thing than was known. The
// rest of its record is what was wished, and no look changes that.
func (e *Engine) noteAccount(ref state.Ref, o provider.Object) error {
	phase := string(o.Phase)
	if o.Phase == provider.Ready {
		phase = ""
	}
	changed := false
	err := e.Store.Update(func(tx store.Tx) error {
		changed = false
		have, ok, err := store.Resource(tx, ref)
		if err != nil || !ok || have.ID != o.ID || have.Retained() || have.Phase == plan.Adopting || have.Phase == phase && have.Message == o.Message {
			return err
		}
		text := o.Message
		if text == "" {
			text = "the account " + o.ID + " takes payments, and nothing is wanted of its owner"
		}
		have.Phase, have.Message, have.ObservedAt = phase, o.Message, e.Now()
		if err := store.PutResource(tx, have); err != nil {
			return err
		}
		c, _, err := store.Client(tx, ref.Client)
		if err != nil {
			return err
		}
		changed = true
		_, err = store.AddHistory(tx, state.Entry{At: e.Now(), Client: c.ID, Name: c.Name, What: "payments", Text: text})
		return err
	})
	if err != nil {
		return fmt.Errorf("note how far account %s is: %w", o.ID, err)
	}
	if changed {
		e.showing.Lock()
		delete(e.shown, ref.Client) // it was told without a pass
		e.showing.Unlock()
	}
	return nil
}

// noteAccounts records how far the accounts are that a scheduled look saw.
func (e *Engine) noteAccounts(saw *seen) error {
	for _, r := range saw.recorded {
		o, ok := saw.objects[r.Ref]
		if !ok || r.Ref.Kind != state.KindPayments || e.foreign(r, o) != "" || o.Message == r.Message && (o.Phase == provider.Ready) == (r.Phase == "") {
			continue
		}
		if err := e.noteAccount(r.Ref, o); err != nil {
			return err
		}
	}
	return nil
}
