package plan

import (
	"slices"
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Model is what would be on record after the plan, for previews and proofs.
func Model(recorded []state.Resource, p Plan, now time.Time) []state.Resource {
	have := map[state.Ref]state.Resource{}
	for _, r := range recorded {
		have[r.Ref] = r
	}
	waits := false
	for _, s := range slices.Concat(p.Steps, p.Later) {
		if waits = waits || s.Held != "" || s.Blocked; s.Held != "" || s.Blocked || waits && s.After > 0 {
			continue
		}
		switch s.Action {
		case Create, Update, Replace, Move, Adopt:
			r := *s.Wish
			if old, ok := have[s.Ref]; ok && s.Action == Update {
				r.ID, r.Name, r.Outputs, r.Adopted, r.Generation, r.Run = old.ID, old.Name, old.Outputs, old.Adopted, old.Generation, old.Run
			}
			if r.ID == "" {
				r.ID = "model-" + digest([]byte(s.Ref.String()))
			}
			r.Provider, r.UpdatedAt = s.Provider, now
			if s.Action == Move {
				r.ID, r.Name, r.Outputs = have[s.From].ID, have[s.From].Name, have[s.From].Outputs
				delete(have, s.From)
			}
			have[s.Ref] = r
		case Transfer:
			fresh := have[s.From]
			main, beside := Switched(have[s.Ref], fresh, now, s.PurgeAfter)
			main.Provider = s.Provider
			delete(have, s.From)
			for ref, r := range have {
				have[ref] = Repointed(r, s.Ref, beside.Ref)
			}
			have[main.Ref], have[beside.Ref] = main, beside
		case Delete, Purge, Forget:
			delete(have, s.Ref)
			for ref, r := range have { // a database's users go with it
				if v, _ := r.Attributes.Get("database"); s.Ref.Kind == state.KindDatabase && ref.Kind == state.KindAdmin && v.Ref != nil && *v.Ref == s.Ref {
					delete(have, ref)
				}
			}
		case Retain:
			r := have[s.Ref]
			r.RetainedAt, r.PurgeAfter, r.Ahead = now, s.PurgeAfter, 0
			have[s.Ref] = r
		case Return:
			r := have[s.Ref]
			r.RetainedAt, r.PurgeAfter, r.Ahead = time.Time{}, time.Time{}, 0
			have[s.Ref] = r
		case Await, Secure:
			if r, ok := have[s.Ref]; ok {
				r.Phase = ""
				have[s.Ref] = r
			}
		}
	}
	out := make([]state.Resource, 0, len(have))
	for _, r := range have {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Ref.Less(out[j].Ref) })
	return out
}
