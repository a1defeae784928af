package apply

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// lookAnew lets the address records that people keep for other clients of the group be
// looked at once more when one of ours at the same name has gone. DNS answered with ours
// until now: what was seen of theirs may have been ours.
//
// It is written with the outcome of the delete, so that no crash loses it: they are on record
// as not done yet, and whose they are is due.
func (r *Runner) lookAnew(tx store.Tx, job Job, i journal.Intent) error {
	_, name, _ := strings.Cut(i.Ref.Name, " ")
	if i.Ref.Kind != state.KindRecord || !plan.Leads(i.Ref, name) {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(job.Clients)) {
		if id == i.Ref.Client {
			continue
		}
		all, err := store.Resources(tx, id)
		if err != nil {
			return err
		}
		for _, have := range all {
			if !have.Real() || have.Phase != "" || have.Found || have.Adopted || have.Provider == i.Provider || have.Ref.Kind != state.KindRecord || !plan.Leads(have.Ref, name) {
				continue
			}
			if _, traits, err := r.providerOf(have.Provider, have.Ref.Kind); err != nil || !traits.Manual {
				continue // a provider that isn't configured any more can't be asked either
			}
			have.Phase, have.Message = string(provider.Manual), "Set the record "+have.Ref.Name+" at your DNS host, if it is not there: until now DNS answered with another client's"
			if err := store.PutResource(tx, have); err != nil {
				return err
			}
			if err := due(tx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// due lets another pass of the client follow.
func due(tx store.Tx, id state.ClientID) error {
	c, ok, err := store.Client(tx, id)
	if err != nil || !ok {
		return err
	}
	c.Settled, c.RetryAt = false, time.Time{}
	c.Wakes++
	return store.PutClient(tx, c)
}
