package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// mend is a pass that puts back what two looks found changed, and nothing else: its wish
// is the record. over says that it was such a pass. A commit that came since comes first,
// and so does a retry: their passes are about them, and looks find again what is left.
func (e *Engine) mend(ctx context.Context, g *group) (over bool, d Done, err error) {
	if len(g.members) != 1 || len(g.members[0].marked()) == 0 || !e.calculate(g).Empty() {
		return false, d, nil
	}
	m := g.members[0]
	if m.client.Seq != m.looked.Seq {
		return false, d, nil // the commit's verdict waits for its own pass
	}
	g.mending = true
	if !e.lookAgain(ctx, g, m) {
		if ctx.Err() != nil {
			return true, d, context.Cause(ctx)
		}
		d, err := e.settled(ctx, g) // the next look says more
		return true, d, err
	}
	p := e.putBack(g, m)
	if p.Empty() {
		d, err := e.settled(ctx, g)
		return true, d, err
	}
	p, holds := plan.Gate(p, g.gate(e.Now()))
	job, run, err := e.begin(g, p, holds, CauseDrift)
	if errors.Is(err, errAsked) {
		return true, Done{Clients: g.ids, Again: true}, nil
	}
	if err != nil {
		return true, d, err
	}
	var result apply.Result
	if run {
		if result, err = e.Runner.Run(ctx, job); err != nil {
			e.flushLogs(job)
			return true, d, fmt.Errorf("mend %s: %w", m.client.Name, err)
		}
	}
	d, err = e.end(ctx, g, job, holds, result)
	return true, d, err
}

// marked are the rows that the next pass mends.
func (m *member) marked() []state.Drift {
	var out []state.Drift
	for _, row := range m.looked.Rows {
		if row.Mend {
			out = append(out, row)
		}
	}
	return out
}

// lookAgain looks at what is to be put back, right before that. What is another value by
// now is left to the next looks, and what is as recorded is done. false: it can't be
// seen.
func (e *Engine) lookAgain(ctx context.Context, g *group, m *member) bool {
	if e.compared(g, func(*member) bool { return true }) != nil {
		return false
	}
	for _, r := range m.recorded {
		var rows []state.Drift
		for _, row := range m.marked() {
			if row.Ref == r.Ref && row.ID == r.ID {
				rows = append(rows, row)
			}
		}
		if len(rows) == 0 {
			continue
		}
		p, ok := e.Runner.Provider(r.Provider, r.Ref.Kind)
		if !ok {
			return false
		}
		one, cancel := context.WithTimeout(ctx, lookTimeout)
		found, err := p.Observe(one, provider.Query{Kind: r.Ref.Kind, ID: r.ID, Name: r.Name})
		cancel()
		if err != nil {
			return false
		}
		l := plan.Look{Ref: r.Ref, Gone: len(found) == 0 || found[0].Lost}
		if l.Gone && !slices.ContainsFunc(rows, func(d state.Drift) bool { return d.Field == state.FieldGone }) {
			continue
		}
		if !l.Gone {
			all := e.findings(r, m.values[r.Ref], found[0])
			for _, row := range rows {
				i := slices.IndexFunc(all, func(f drift.Finding) bool { return f.Field == row.Field })
				switch {
				case i < 0:
					m.asRecorded = append(m.asRecorded, row)
				case all[i].Print == row.Print:
					l.Differs = append(l.Differs, plan.Field{Name: row.Field, Before: row.After, After: row.Before, Secret: row.Secret})
				}
			}
		}
		m.looks[r.Ref] = l
	}
	return true
}

// putBack plans from what was just seen to what is recorded, for the marked resources
// alone.
func (e *Engine) putBack(g *group, m *member) plan.Plan {
	in := m.input()
	in.Wish = m.asMade()
	p := plan.Calculate(plan.Input{Commit: g.head, Now: g.now, Traits: g.traits, Keep: e.Keep, Clients: []plan.ClientInput{in}})
	p.LookedAt = e.Now()
	return plan.Only(p, func(r state.Ref) bool { _, is := m.looks[r]; return is })
}

// rowsAfter brings what is known of a client's drift up to date with a pass: what was
// written is not as it was seen. What the pass put back because two looks said so counts
// as a mend, also when it was cut off and another one ended it.
func (e *Engine) rowsAfter(tx store.Tx, g *group, m *member, result *apply.Result, end ending, c state.Client, now time.Time) error {
	was, ok, err := store.Looked(tx, c.ID)
	if err != nil || !ok || len(was.Rows) == 0 {
		return err
	}
	recorded, err := store.Resources(tx, c.ID)
	if err != nil {
		return err
	}
	l := was
	l.Rows, l.Mends = nil, slices.Clone(was.Mends)
	for _, row := range was.Rows {
		i := slices.IndexFunc(recorded, func(r state.Resource) bool { return r.Ref == row.Ref })
		written := i >= 0 && (!recorded[i].UpdatedAt.Equal(row.Written) || wrote(result, row.Ref))
		switch {
		case i < 0:
		case written && row.Mend:
			l.Mends = append(l.Mends, state.Mend{Ref: row.Ref, Field: row.Field, At: now})
			_, err := store.AddHistory(tx, state.Entry{At: now, Client: c.ID, Name: c.Name, Commit: c.Commit, What: "mended", Text: drift.Text(row) + "; it was put back"})
			if err != nil {
				return err
			}
		case written, isRow(m.asRecorded, row), m.isBack(row):
		default:
			if end.settled && (!g.mending || end.status != state.StatusHeld) {
				row.Mend = false
			}
			l.Rows = append(l.Rows, row)
		}
	}
	if err := e.tell(tx, c, was, &l, now); err != nil {
		return err
	}
	return store.PutLooked(tx, l)
}

// isBack says that a pass saw what was gone.
func (m *member) isBack(row state.Drift) bool {
	l, looked := m.looks[row.Ref]
	return looked && row.Field == state.FieldGone && l.Failed == "" && !l.Gone
}

func isRow(rows []state.Drift, row state.Drift) bool {
	return slices.ContainsFunc(rows, func(r state.Drift) bool { return r.Ref == row.Ref && r.Field == row.Field })
}

// wrote says that a pass changed an object.
func wrote(result *apply.Result, ref state.Ref) bool {
	if result == nil {
		return false
	}
	return slices.ContainsFunc(result.Steps, func(s apply.StepResult) bool {
		return s.Step.Ref == ref && s.Step.Action.Writes() && s.State == apply.StepDone
	})
}

// begunAnew lets whatever was fought over begin again: a person said so.
func begunAnew(tx store.Tx, id state.ClientID) error {
	l, ok, err := store.Looked(tx, id)
	if err != nil || !ok || len(l.Rows)+len(l.Mends) == 0 {
		return err
	}
	return store.PutLooked(tx, drift.Anew(l))
}
