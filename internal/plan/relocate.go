package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// CopyTime is the longest that a database is frozen for its copy: what takes longer is given
// up, and the freeze lifted.
const CopyTime = 30 * time.Minute

// Beside is under what a database stands that is not its client's: the copy that a move
// makes at a provider, and afterwards the one that it left there.
func Beside(database state.Ref, provider string) state.Ref {
	database.Name += "@" + provider
	return database
}

// Until is until when data is kept that is taken out of use now: for its whole time from then on,
// though the clock was set forward since the plan was made. Zero: for ever.
func (s Step) Until(now time.Time) time.Time {
	if at := now.Add(s.Keep); !s.PurgeAfter.IsZero() && at.After(s.PurgeAfter) {
		return at
	}
	return s.PurgeAfter
}

// Switched is what is on record after a database's move: the copy in the database's place, and
// what was there before out of use. It works in both directions.
func Switched(had, comes state.Resource, now, purgeAfter time.Time) (main, beside state.Resource) {
	main, beside = comes, had
	main.Ref, beside.Ref = had.Ref, Beside(had.Ref, had.Provider)
	beside.Copy = !comes.Copy // what is left on the way back was never more than a copy
	main.Copy, main.Agreed, main.RetainedAt, main.PurgeAfter, main.Ahead = false, false, time.Time{}, time.Time{}, 0
	beside.RetainedAt, beside.PurgeAfter, beside.Ahead = now, purgeAfter, 0
	return main, beside
}

// Repointed is an environment that says which database it has the address of, once that is
// under another name.
func Repointed(r state.Resource, from, to state.Ref) state.Resource {
	if r.Ref.Kind != state.KindEnvironment {
		return r
	}
	all := append(state.Attributes(nil), r.Attributes...)
	for i, a := range all {
		if a.Value.Ref != nil && *a.Value.Ref == from {
			all[i].Value = state.OutputOf(to, a.Value.Output)
		}
	}
	r.Attributes = all
	return r
}

// fixed says why a database's data can't be moved to where it is wished; "": it can.
func (b *builder) fixed(w, have state.Resource) string {
	to, from := b.traits(w.Provider, w.Ref.Kind), b.traits(have.Provider, w.Ref.Kind)
	beside, there := b.recorded[Beside(w.Ref, w.Provider)]
	switch {
	case from.Engine == "" || from.Engine != to.Engine:
		return "an empty database never takes its place, and data is not moved between the two"
	case have.Retained():
		return "it is retained; it comes back where it is, and may move then"
	case have.Adopted, have.Found, w.AdoptID != "":
		return "it was adopted: move it yourself, and name the new one in `adopt:`"
	case have.Phase != "":
		return "it is not ready (" + have.Phase + ")"
	case b.keepsUser(have.Provider):
		return have.Provider + " keeps the site's user, too, who can't be moved"
	case there && beside.Real() && !beside.Copy && !b.undoes(w.Ref) && !b.c.Looks[beside.Ref].Gone:
		until := "for ever, or until you delete it there"
		if !beside.PurgeAfter.IsZero() {
			until = "until " + beside.PurgeAfter.UTC().Format("2 January 2006")
		}
		return "at " + w.Provider + " there is still the database that an earlier move left (kept " + until + "), and what was written since is not in it"
	}
	return ""
}

// keepsUser says that the client's user is kept by a provider.
func (b *builder) keepsUser(provider string) bool {
	for _, r := range b.recorded {
		if r.Ref.Kind == state.KindAdmin && r.Real() && r.Provider == provider {
			return true
		}
	}
	return false
}

// undoes says that a pass which is not done changed this: it may be put back.
func (b *builder) undoes(r state.Ref) bool {
	for _, u := range b.c.Client.Undo {
		if u.Ref == r {
			return true
		}
	}
	return false
}

// relocate plans the move of a database to another provider of the same engine: an empty
// one is made there and filled while the old one is frozen. All else of the client comes
// after it.
func (b *builder) relocate(w, have state.Resource) {
	to := b.traits(w.Provider, w.Ref.Kind)
	ref := Beside(w.Ref, w.Provider)
	there, ok := b.recorded[ref]
	back := ok && there.Real() && !there.Copy && !b.c.Looks[ref].Gone
	s := Step{Number: Number(w.Ref.Kind), Action: Transfer, Ref: w.Ref, From: ref, FromClient: b.c.Client.Name, Provider: w.Provider, Wish: &w, Prior: &have, Risk: RiskData,
		Undo:  "as long as nothing was written to the new one, the old one serves again; else it stays as it is, and that is said",
		Calls: to.ObserveCalls + b.traits(have.Provider, w.Ref.Kind).ObserveCalls}
	if !b.c.RetainForever {
		s.PurgeAfter, s.Keep = b.in.Now.Add(b.c.Retain), b.c.Retain
	}
	s.Fields = movedBy(have.Provider, w.Provider, s.PurgeAfter)
	s.Reason = fmt.Sprintf("database.provider changes from %s to %s; writes fail while it is copied%s, %d minutes at most, and until the site was deployed anew", have.Provider, w.Provider, amount(b.c.Looks[w.Ref].Bytes), int(CopyTime.Minutes()))
	switch {
	case back:
		s.Risk, s.Fields, s.Reason = RiskTraffic, nil, "the move to "+have.Provider+" is not wished any more, and it was not done"
	case ok && there.Real() && there.Agreed && !there.Retained():
		s.Risk = RiskTraffic // somebody said yes to it before the copy's database was made
	}
	look := b.c.Looks[w.Ref]
	if !back {
		s.needs(b.copyPlace(w, ref, there, look))
	}
	if look.Failed != "" {
		said := s.Reason // whoever is asked reads it all the same
		s.WaitFor(have.Provider, look.Failed)
		s.Reason = said + "; " + s.Reason
	}
	b.add(s)
}

// amount is how much is copied, for people.
func amount(bytes int64) string {
	if bytes <= 0 {
		return ""
	}
	return " (about " + state.Amount(bytes) + ")"
}

// movedBy is a move step by step, for people.
func movedBy(from, to string, until time.Time) []Field {
	kept := "for ever, read-only"
	if !until.IsZero() {
		kept = "until " + until.UTC().Format("2 January 2006") + ", read-only"
	}
	return []Field{
		{Name: "1 freeze", After: "the site reads at " + from + " and writes nothing any more"},
		{Name: "2 copy", Before: from, After: to},
		{Name: "3 compare", After: "every table row by row, every sequence; a difference ends the move, and " + from + " goes on"},
		{Name: "4 switch", Before: "database.url of " + from, After: "database.url of " + to + ", with the deployment that follows"},
		{Name: "5 keep", After: "the one at " + from + " " + kept},
	}
}

// copyPlace plans the database that is to be filled, and returns the step that the copy
// waits for. Nothing is made while the old one can't be seen: it may be gone, and then no
// empty one is made.
func (b *builder) copyPlace(w state.Resource, ref state.Ref, there state.Resource, old Look) string {
	wish := w
	wish.Ref, wish.Copy, wish.Agreed = ref, true, true
	first := len(b.steps)
	switch look := b.c.Looks[ref]; {
	case !there.Real():
		b.create(wish, nil, "its data is moved there")
	case look.Gone && !there.Copy:
		b.create(wish, &there, "what an earlier move left at "+w.Provider+" is gone, and the data is moved there once more")
	case look.Gone:
		b.create(wish, &there, "it is gone at "+w.Provider+", and nothing was in it that is not in the old one")
	case there.Retained():
		back := there
		back.RetainedAt, back.PurgeAfter, back.Ahead = time.Time{}, time.Time{}, 0
		b.add(Step{Number: Number(w.Ref.Kind), Action: Return, Ref: ref, Provider: w.Provider, Wish: &back, Prior: &there, Reason: "an earlier move made it", Undo: "it is retained again"})
	case there.Phase == unfinished:
		b.update(wish, there, nil, "its making was cut off")
	case there.Phase == "failed":
		b.update(wish, there, nil, "the last try failed")
	case there.Phase != "":
		b.add(Step{Number: Number(w.Ref.Kind), Action: Await, Ref: ref, Provider: w.Provider, Reason: "until it is there", Undo: "nothing: it only waits"})
		return b.steps[len(b.steps)-1].Key()
	}
	before := ""
	if len(b.steps) > first {
		s := &b.steps[first]
		if !there.Agreed || there.Retained() {
			s.Risk = RiskData // nothing of the move is begun before somebody said yes to it: not to one that was taken back since
		}
		if old.Failed != "" {
			s.WaitFor(b.recorded[w.Ref].Provider, old.Failed)
		}
		before = s.Key()
	}
	if look := b.c.Looks[ref]; look.Readdresses && !look.Gone && there.Phase == "" { // empty as it is, it is filled with a password that is known
		wish.Agreed = there.Agreed && !there.Retained()
		b.update(wish, there, nil, "its password can only be made anew")
		s := &b.steps[len(b.steps)-1]
		s.needs(before)
		before = s.Key()
	}
	return before
}

// behindMove lets all that the client has planned beside the move of its database wait for that.
func (b *builder) behindMove() {
	for _, move := range b.steps {
		if move.Action != Transfer {
			continue
		}
		for i := range b.steps {
			if s := &b.steps[i]; s.Ref != move.From && s.Ref != move.Ref {
				s.needs(move.Key())
			}
		}
	}
}

// copied says that a record is the copy of a move.
func (b *builder) copied(r state.Resource) bool {
	return r.Ref.Kind == state.KindDatabase && r.Copy && r.Real() && strings.Contains(r.Ref.Name, "@")
}

// copyLeft retains a copy whose move is not wished any more.
func (b *builder) copyLeft(r state.Resource) {
	for _, s := range b.steps {
		if s.Action == Transfer && s.From == r.Ref {
			return
		}
	}
	s := b.retain(r)
	s.Reason, s.Undo = "the move of the data to "+r.Provider+" did not happen; what was copied is kept", "the move is begun again"
}

// elsewhereBuilt says that a release was built with the address of a database that is not
// the client's any more, or with an account for payments that isn't: it is never promoted again. One
// that serves, serves.
func (b *builder) elsewhereBuilt(have state.Resource) bool {
	if serving, ok := b.serving(); have.Ref.Kind != state.KindDeployment || ok && serving.Ref == have.Ref {
		return false
	}
	for _, of := range []state.Ref{{Client: have.Ref.Client, Kind: state.KindDatabase, Name: MainDatabase}, {Client: have.Ref.Client, Kind: state.KindPayments, Name: MainAccount}} {
		n, planned := b.byRef[of]
		if planned && b.steps[n].Action == Create && (of.Kind == state.KindDatabase || have.Payments != "") {
			return true
		}
	}
	return BuiltElsewhere(have, b.c.Recorded)
}

// BuiltElsewhere says that a release was built with the address of a database, or with an account for payments,
// that is not the one among what its client has on record. Where a move left one, that may be the one of a release of which nobody
// knows which it was built with.
func BuiltElsewhere(release state.Resource, recorded []state.Resource) bool {
	if release.Ref.Kind != state.KindDeployment {
		return false
	}
	var own string
	left := false
	for _, r := range recorded {
		switch {
		case r.Ref.Kind == state.KindPayments && r.Real() && !r.Retained() && release.Payments != "" && release.Payments != r.ID:
			return true
		case r.Ref.Kind != state.KindDatabase || !r.Real():
		case r.Ref.Name == MainDatabase:
			own = r.ID
		default:
			left = left || !r.Copy
		}
	}
	return own != "" && own != release.Database && (release.Database != "" || left)
}

// MainDatabase is the name of a client's own database.
const MainDatabase = "main"

// MainAccount is the name of a client's account for payments.
const MainAccount = "main"
