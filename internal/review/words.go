package review

import (
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// worded is a report of a head in the words of now, where the verdict is still what the
// report says: how many are done, how long it took.
func (r *Reviewer) worded(head string, t state.Report) (state.Report, error) {
	err := r.Store.View(func(tx store.Tx) error {
		v, ok, err := store.Verdict(tx, head)
		n := v.Tally()
		if err != nil || !ok || v.State != t.State || n["superseded"] > 0 {
			return err // the report's own words say why
		}
		names := func(id state.ClientID) string {
			c, _, err := store.Client(tx, id)
			if err != nil {
				return ""
			}
			return c.Name
		}
		total, fault := 0, n["failed"] > 0
		for _, k := range n {
			total += k
		}
		for id, fate := range v.Clients {
			if state.FateWord(fate) != "failed" {
				continue
			}
			c, _, err := store.Client(tx, id)
			if err != nil {
				return err
			}
			fault = fault && ours(c)
		}
		running := report.Running{Total: total, Done: total - n["pending"]}
		if v.Waits != "" {
			running.Trouble = report.WaitingFor(v.Waits)
		}
		line := running.Progress()
		if v.State != string(forge.Pending) {
			took := time.Duration(0)
			if v.Ended.After(v.At) {
				took = v.Ended.Sub(v.At)
			}
			line = report.Finished(v, names, took, fault)
		}
		t.State, t.Text = line.State, line.Text
		return nil
	})
	return t, err
}

// clientWorded is the same for one client of a head.
func (r *Reviewer) clientWorded(head, name string, t state.Report) (state.Report, error) {
	err := r.Store.View(func(tx store.Tx) error {
		c, ok, err := store.ClientByName(tx, name)
		if err != nil || !ok {
			return err
		}
		fate, touched, err := store.Fate(tx, head, c.ID)
		if err != nil || !touched {
			return err
		}
		holds, err := store.Holds(tx)
		if err != nil {
			return err
		}
		one, err := r.clientResult(tx, c, head, fate, holds)
		if err != nil {
			return err
		}
		if line := one.Status(); (line.State == string(forge.Pending)) == (t.State == string(forge.Pending)) {
			t.State, t.Text = line.State, line.Text
		}
		return nil
	})
	return t, err
}

// ours says that what a client failed by is an error of this program, and nothing that
// a person wished or a provider refuses. (A quarantine of an earlier version has no Fault.)
func ours(c state.Client) bool { return c.Fault || !c.Quarantined.IsZero() }
