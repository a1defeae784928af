package reconcile

import (
	"context"
	"fmt"
	"sort"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// DriftRow is one recorded resource that is not as recorded.
type DriftRow struct {
	Client   string       `json:"client"`
	Ref      string       `json:"ref"`
	Provider string       `json:"provider"`
	What     string       `json:"what"` // gone | differs | unknown (the look failed)
	Text     string       `json:"text,omitempty"`
	Fields   []plan.Field `json:"fields,omitempty"`
}

// Drift looks at everything that is recorded of the named clients (none: of all) and
// says what is not as recorded. Nothing is changed, at the providers or in the state.
func (e *Engine) Drift(ctx context.Context, names []string) ([]DriftRow, error) {
	var ids []state.ClientID
	err := e.Store.View(func(tx store.Tx) error {
		ids = nil
		if len(names) == 0 {
			clients, err := store.Clients(tx)
			for _, c := range clients {
				ids = append(ids, c.ID)
			}
			return err
		}
		for _, n := range names {
			c, err := e.clientByName(tx, n)
			if err != nil {
				return err
			}
			ids = append(ids, c.ID)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("drift: %w", err)
	}
	out := []DriftRow{}
	for _, id := range ids {
		g, err := e.load([]state.ClientID{id})
		if err != nil {
			return out, err
		}
		if len(g.members) == 0 {
			continue
		}
		m := g.members[0]
		m.client.LookWanted = true
		if err := e.wish(g); err != nil {
			out = append(out, DriftRow{Client: m.client.Name, What: "unknown", Text: err.Error()})
			continue
		}
		e.look(ctx, g, plan.Plan{})
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		for _, r := range m.recorded {
			if l, ok := m.looks[r.Ref]; ok {
				out = append(out, driftOf(m.client.Name, r, l)...)
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Client < out[j].Client })
	return out, nil
}

func driftOf(client string, r state.Resource, l plan.Look) []DriftRow {
	row := DriftRow{Client: client, Ref: string(r.Ref.Kind) + "/" + r.Ref.Name, Provider: r.Provider}
	switch {
	case l.Failed != "":
		row.What, row.Text = "unknown", l.Failed
	case l.Gone:
		row.What = "gone"
	case len(l.Differs) > 0:
		row.What, row.Fields = "differs", l.Differs
	default:
		return nil
	}
	return []DriftRow{row}
}
