package plan

import (
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Look is what a look at the world said of one resource. Without one, the planner
// goes by the record.
type Look struct {
	Ref  state.Ref
	Gone bool // recorded or named in `adopt:`, and not there (any more)
	// Away is why it can't be taken away by us any more, of a look that failed: what holds it is another account's.
	Away   string
	Failed string // the look failed: this resource's steps wait; the text is for people
	Denied string // the provider that refused the look, as our token may not do it; "": none did
	// For a resource that is not recorded:
	Found   bool   // an object of that name or content exists
	ID      string // its id
	Ours    bool   // it bears our mark (installation, client, generation)
	Foreign string // it bears somebody else's mark: whose, for people
	Equal   bool   // it is what we would make
	Count   int    // objects found; more than one is a conflict
	Other   string // of what `adopt:` names: the client that has it on record or names it, too
	Left    bool   // that client was removed, and has it on record still
	// Differs lists recorded attributes whose real value is another one: drift.
	Differs []Field
	// Broken is why a database that is there and was through does not run; "": it does, or that is not known.
	Broken string
	// Readdresses: the next change of a recorded database gives it another address, as its password can only be made anew.
	Readdresses bool
	// Bytes is about how much a recorded database holds; 0: not known.
	Bytes int64
	// Says is what a recorded DNS record says, by attribute, whole: it is known by that.
	Says map[string]string
	// Also is where else DNS leads the name of a record that a person keeps; Asks is what they are to
	// do where that is not there, or not any more.
	Also []string
	Asks string
}

// ClientInput is one client of the group.
type ClientInput struct {
	Client   state.Client
	Wish     []state.Resource // what desired says; nil when Removed
	Removed  bool             // a tombstone for the whole client is due
	Recorded []state.Resource
	Looks    map[state.Ref]Look
	// Tombstones that are due (not waiting, not held, past NotUntil): proof for deletes.
	Tombstones []state.Tombstone
	// Problems that desired found (unset secrets, unconfigured providers): the
	// client is not planned.
	Problems []Problem
	// Takes are host names that it takes over from others, by the ledger, where its Wish does not
	// say so as it could not be worked out whole.
	Takes  []string
	Health bool // probes are wanted (false: none at the platform)
	// Retention of the database in effect; Forever wins.
	Retain        time.Duration
	RetainForever bool
	Reuse         string // database.reuse of the wish
	Host          string // of the last good manifest, also of a removed one; "": not known
}

// Input is all that planning reads. Equal inputs give equal plans, whatever the
// order of their slices.
type Input struct {
	Commit  string
	Now     time.Time
	Clients []ClientInput
	Traits  map[string]map[state.Kind]state.Traits // by provider name
	Keep    int                                    // releases to keep beside the serving one
	// Soak is how long the side of a site that was replaced still serves after names have moved
	// and are forgotten (their time to live); 0: it goes once the new side is proved.
	Soak     time.Duration
	LookedAt time.Time
}

// GateInput is what decides which steps wait for a person.
type GateInput struct {
	Now time.Time
	// Reviewed are, of clients whose wish pull requests brought, the StepPrints that those
	// showed, and the ClassPrints where every one of them was merged as it was planned. A client
	// that has no entry was not reviewed: the guard alone decides.
	Reviewed  map[state.ClientID]map[string]bool
	Approvals []state.Approval
	Holds     []state.Hold // that exist already for these clients
	Freeze    []Window
	Paused    map[state.ClientID]bool // plans are shown, nothing is written
	Taking    map[state.ClientID]bool // paused, and somebody asked to record what exists of it
	Removed   map[state.ClientID]bool // their manifests are gone: what is planned is that
	ReadsOnly map[state.ClientID]bool // their sites can't write (see ReadsOnly)
}

// Window is a freeze.
type Window struct {
	From, To time.Time
	Reason   string
}
