package journal

import (
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// SettleLooks is how many looks must find nothing before a write is taken for one that
// did not happen.
const SettleLooks = 3

// minLag is the time over which the looks are spread when the vendor states none, and that a
// request is under way at most.
const minLag = 2 * time.Second

// Seen is one object that the look found.
type Seen struct {
	ID     string
	Ours   bool // it bears this intent's mark
	Marked bool // it bears some mark
	Equal  bool // it is what the intent wished (update)
	Moved  bool // it is where the intent wished it, which is part of its id, and it is there no more where it was (update)
}

// Kind of decision.
type Kind string

// The decisions.
const (
	Done      Kind = "done"       // it happened: record Object
	NotDone   Kind = "not done"   // it did not: the step may run anew
	Found     Kind = "found"      // somebody made an equal object: use it, record it as found
	LookAgain Kind = "look again" // not before At
	Park      Kind = "park"       // Reason says why a person must decide
)

// Decision is what Settle says.
type Decision struct {
	Kind   Kind
	Object int // index into the seen objects, for Done of a create or update
	At     time.Time
	Reason string
}

// Settle decides what became of the write that i announced, from what a look just
// found: by name for a create, by id for a delete, by id or else by name for an update.
func Settle(i Intent, seen []Seen, t state.Traits, now time.Time) Decision {
	switch i.Op {
	case OpDelete:
		if len(seen) == 0 {
			return Decision{Kind: Done, Object: -1}
		}
		return settleUnseen(i, now)
	case OpMark:
		if len(seen) > 0 && seen[0].Ours {
			return Decision{Kind: Done}
		}
		return Decision{Kind: NotDone} // written late it is written once more: the same
	case OpUpdate:
		if len(seen) > 0 && (seen[0].Equal || seen[0].Moved || i.handsOver() && seen[0].Ours) && (!i.repeats() || i.Looks+1 >= SettleLooks) {
			return Decision{Kind: Done}
		}
		if len(seen) == 0 && (t.Marks || i.Looks+1 >= SettleLooks) {
			return Decision{Kind: NotDone} // nothing is left that it could change
		}
		if len(seen) == 0 { // looked for by its name, too, as it may have another id now
			return Decision{Kind: LookAgain, At: now.Add(max(t.ListLag, minLag) / (SettleLooks - 1))}
		}
		return settleUnseen(i, now)
	}
	return settleCreate(i, seen, t, now)
}

// settleUnseen: a look by id shows at once what happened, and a request may still be under way
// at the vendor when whoever sent it is gone. Taken for one that did not happen it would undo
// what is written meanwhile: delete what somebody wishes again, say.
func settleUnseen(i Intent, now time.Time) Decision {
	if i.Looks+1 >= SettleLooks {
		return Decision{Kind: NotDone}
	}
	return Decision{Kind: LookAgain, At: now.Add(minLag / (SettleLooks - 1))}
}

// settleCreate: a vendor that has a place for a mark writes it with the create (package
// provider). So what does not bear ours there says nothing of what we sent: that may still come,
// beside it. Once the lag is over nothing comes any more; then one that is what we wish may be
// used, as found, but never one that holds data. Whatever else is there is left to the step,
// which looks before it writes: what is not wished any more is in nobody's way.
func settleCreate(i Intent, seen []Seen, t state.Traits, now time.Time) Decision {
	ours := -1
	for n, s := range seen {
		if !s.Ours {
			continue
		}
		if ours >= 0 {
			return Decision{Kind: Park, Reason: fmt.Sprintf("two objects at %s bear our mark for %s %s", i.Provider, i.Ref.Kind, i.Name)}
		}
		ours = n
	}
	if ours >= 0 {
		return Decision{Kind: Done, Object: ours}
	}
	if len(seen) > 0 && !t.Marks {
		return settleBare(i, seen, t)
	}
	if i.Looks+1 >= SettleLooks {
		if equal, equals, marked := strangers(seen); equals == 1 && !marked && !t.Data {
			return Decision{Kind: Found, Object: equal}
		}
		return Decision{Kind: NotDone}
	}
	return Decision{Kind: LookAgain, At: now.Add(max(t.ListLag, minLag) / (SettleLooks - 1))}
}

// settleBare: objects of that name at a vendor that has no place for a mark. The one object is
// ours if our intent followed an observed absence. Else only one that is what we wish may be
// used, as found, and never one that holds data.
func settleBare(i Intent, seen []Seen, t state.Traits) Decision {
	equal, equals, marked := strangers(seen)
	switch {
	case marked:
		return Decision{Kind: Park, Reason: fmt.Sprintf("%s %s at %s bears another mark", i.Ref.Kind, i.Name, i.Provider)}
	case i.Absent && len(seen) == 1:
		return Decision{Kind: Done}
	case i.Absent:
		return Decision{Kind: Park, Reason: fmt.Sprintf("%d objects named %s at %s, and none can bear a mark", len(seen), i.Name, i.Provider)}
	case equals == 1 && !t.Data:
		return Decision{Kind: Found, Object: equal}
	case equals > 1:
		return Decision{Kind: Park, Reason: fmt.Sprintf("%d equal objects at %s could be %s %s", equals, i.Provider, i.Ref.Kind, i.Name)}
	}
	return Decision{Kind: Park, Reason: fmt.Sprintf("%s %s exists at %s without our mark", i.Ref.Kind, i.Name, i.Provider)}
}

// strangers says which of the objects without our mark is what we wish, how many are, and
// whether one bears somebody else's mark.
func strangers(seen []Seen) (equal, equals int, marked bool) {
	for n, s := range seen {
		switch {
		case s.Marked:
			marked = true
		case s.Equal:
			equal, equals = n, equals+1
		}
	}
	return equal, equals, marked
}
