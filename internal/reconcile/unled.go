package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// unled is what is said of a host name while its vendor says that DNS does not lead to it yet. A record
// that a person keeps may have been taken away, or changed, since it was seen: those are looked at
// once more, and ask says which of them are to be set. text is how it is where nothing is asked for, or
// where nobody can know. The look is for these words alone; nothing of it is written.
func (e *Engine) unled(ctx context.Context, g *group, m *member, s plan.Step, says string) (ask []string, text string) {
	host := s.Ref.Host()
	var lead, open []string
	for _, w := range m.wish {
		if w.Ref.Kind != state.KindRecord || !plan.Leads(w.Ref, host) {
			continue
		}
		if !g.traits[w.Provider][w.Ref.Kind].Manual {
			at := w.Provider
			if to := w.Attributes.Literal("content"); to != "" { // the manifest's own: only it can lead the name elsewhere
				at += ", to " + to + " as `dns.records` says"
			}
			lead = append(lead, w.Ref.Name+" was set at "+at)
			continue
		}
		switch what, set, err := e.byPerson(ctx, m, w.Ref); {
		case err != nil:
			open = append(open, fmt.Sprintf("whether %s is set as wished can't be seen now (%s)", w.Ref.Name, sentence(err)))
		case set:
			lead = append(lead, w.Ref.Name+" is set as wished")
		default:
			ask = append(ask, what)
		}
	}
	says = s.Provider + " says: " + says
	switch {
	case len(open) > 0:
		return ask, strings.Join(append(lead, open...), ", ") + ", and " + says
	case len(lead) > 0:
		return ask, strings.Join(lead, ", ") + ", and that may take a while to be seen; " + says
	}
	return ask, "no record of " + host + " is set from here: whoever keeps its DNS leads it there; " + says
}

// byPerson looks whether a record that a person keeps is set as it is wished; else ask says what to set.
func (e *Engine) byPerson(ctx context.Context, m *member, ref state.Ref) (ask string, set bool, err error) {
	var r state.Resource
	err = e.Store.View(func(tx store.Tx) (err error) {
		r, _, err = store.Resource(tx, ref)
		return err
	})
	if err != nil {
		return "", false, err
	}
	p, ok := e.Runner.Provider(r.Provider, ref.Kind)
	if !ok || !r.Real() {
		return "", false, errors.New("it is not on record")
	}
	ctx, cancel := context.WithTimeout(provider.For(ctx, provider.Caller{Client: m.client.ID, New: !m.client.EverDeployed}), lookTimeout)
	defer cancel()
	found, err := provider.NewReadOnly(p).Observe(ctx, provider.Query{Kind: ref.Kind, ID: r.ID})
	switch {
	case err != nil:
		return "", false, err
	case len(found) == 0:
		return "", false, fmt.Errorf("%s does not know it", r.Provider)
	}
	return orElse(found[0].Message, "Set the record "+ref.Name+" at your DNS host"), found[0].Phase != provider.Manual, nil
}
