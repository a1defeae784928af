package journal

import (
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Op is the provider verb that an intent announces.
type Op string

// The verbs.
const (
	OpCreate Op = "create"
	OpUpdate Op = "update"
	OpDelete Op = "delete"
	OpMark   Op = "mark" // whose it is, and nothing else of it
	// OpTransfer moves a database's content: while it is open, the database that is on record as
	// its client's own may be frozen.
	OpTransfer Op = "transfer"
)

// Intent is committed before a provider write. While it is open (no outcome), the
// write may or may not have happened. It holds no secret: attributes are Values.
type Intent struct {
	Key      string          `json:"key"` // Ref.String(): at most one open intent a resource
	Run      string          `json:"run"`
	Step     string          `json:"step"` // plan.Step.Key
	Op       Op              `json:"op"`
	Ref      state.Ref       `json:"ref"`
	From     state.Ref       `json:"from,omitzero"` // move
	Provider string          `json:"provider"`
	Name     string          `json:"name"`           // vendor-side
	ObjectID string          `json:"id,omitempty"`   // update, delete
	Mark     string          `json:"mark,omitempty"` // installation/client/generation, as the object will carry it
	Wish     *state.Resource `json:"wish,omitempty"`
	Prior    *state.Resource `json:"prior,omitempty"`
	Absent   bool            `json:"absent,omitempty"` // create: we had looked, and there was none
	Sent     bool            `json:"sent,omitempty"`   // an answer was Uncertain (else: cut off, unknown)
	Commit   string          `json:"commit,omitempty"`
	At       time.Time       `json:"at"`
	Looks    int             `json:"looks,omitempty"`  // looks that found nothing
	LookAt   time.Time       `json:"lookAt,omitzero"`  // not before
	Parked   string          `json:"parked,omitempty"` // why nobody but a person can decide
	// Conflict: a vendor whose lists are late refused the create because something is there,
	// and nothing was seen yet.
	Conflict bool `json:"conflict,omitempty"`
	There    bool `json:"there,omitempty"` // the vendor refused the create as it is there: an earlier one made it, perhaps by another wish
	Again    int  `json:"again,omitempty"` // times that it was sent anew after settled looks
}

// handsOver says of an update that it gives something to another client: that one's mark is on it once
// it is done, whatever a person changes of it meanwhile.
func (i Intent) handsOver() bool { return !i.From.IsZero() && i.From.Client != i.Ref.Client }

// repeats says of an update that it wishes what was there already, as that which asks for a name's
// certificate: a look can't tell whether it came, and what comes late would undo what is sent next.
func (i Intent) repeats() bool {
	return i.From.IsZero() && i.Wish != nil && (i.Prior == nil || i.Prior.Attributes.Canonical() == i.Wish.Attributes.Canonical())
}
