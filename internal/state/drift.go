package state

import (
	"fmt"
	"time"
)

// Looked is what the scheduled looks know of one client.
type Looked struct {
	Client ClientID `json:"client"`
	// At is the last look that saw all that there is to see; zero: none did yet.
	At time.Time `json:"at,omitzero"`
	// Tried is the last look, whole or not: who waits longest is next.
	Tried  time.Time `json:"tried,omitzero"`
	Failed string    `json:"failed,omitempty"` // why the last one saw not all; untrusted text
	// Seq is the client's Seq at the last look: a commit lets a fight begin anew.
	Seq   uint64  `json:"seq,omitempty"`
	Rows  []Drift `json:"rows,omitempty"`  // by Ref and field
	Mends []Mend  `json:"mends,omitempty"` // of the last day, oldest first
	Sizes []Size  `json:"sizes,omitempty"` // of its databases, by Ref
	// Told is what was last reported of the rows; "": nothing.
	Told string `json:"told,omitempty"`
}

// Drift is one field of a recorded object that is not as recorded. Values of secrets
// show as fingerprints.
type Drift struct {
	Ref      Ref    `json:"ref"`
	Provider string `json:"provider"`
	ID       string `json:"id"`    // the object's
	Field    string `json:"field"` // the attribute; FieldGone, FieldBroken, FieldUndone, FieldForeign
	Before   string `json:"before,omitempty"`
	After    string `json:"after,omitempty"`
	Print    string `json:"print,omitempty"` // of what was found: equal looks have equal ones
	Secret   bool   `json:"secret,omitempty"`
	// Since is the first look that saw it so; Looks are the scheduled ones, at different
	// times, that saw the same.
	Since time.Time `json:"since"`
	At    time.Time `json:"at"` // the last of them
	Looks int       `json:"looks"`
	// Written is when the record that was compared was written: a later one is another.
	Written time.Time `json:"written,omitzero"`
	// As the last look decided:
	Policy string `json:"policy,omitempty"` // heal | report | ignore
	Reason string `json:"reason,omitempty"` // of an ignore
	Until  string `json:"until,omitempty"`  // of an ignore: its last day
	Lapsed bool   `json:"lapsed,omitempty"` // the ignore has ended
	Waits  string `json:"waits,omitempty"`  // why it is not mended although it is to be healed
	Mend   bool   `json:"mend,omitempty"`   // the next pass mends it
	Fight  bool   `json:"fight,omitempty"`  // it was mended too often: somebody changes it back
}

// Fields of Drift that are no attributes.
const (
	FieldGone    = "gone"    // the object is not there any more
	FieldBroken  = "broken"  // a database is there, and does not run
	FieldUndone  = "undone"  // a record that a person keeps is not set any more, or another way
	FieldForeign = "foreign" // it bears somebody else's mark now
)

// Mend is one time that a field was put back.
type Mend struct {
	Ref   Ref       `json:"ref"`
	Field string    `json:"field"`
	At    time.Time `json:"at"`
}

// Size is about how much a database holds, as the last look that was told so saw it.
type Size struct {
	Ref   Ref       `json:"ref"`
	ID    string    `json:"id"` // the database's
	Bytes int64     `json:"bytes"`
	At    time.Time `json:"at"`
}

// Amount is so many bytes for people, in units of 1024: 24 kB, 7 MB, 12.4 GB. What is not
// nothing is never shown as nothing.
func Amount(bytes int64) string {
	switch {
	case bytes >= 10<<30:
		return fmt.Sprintf("%d.%d GB", bytes>>30, bytes&(1<<30-1)*10>>30)
	case bytes >= 1<<20:
		return fmt.Sprintf("%d MB", bytes>>20)
	case bytes > 0:
		return fmt.Sprintf("%d kB", max(bytes>>10, 1))
	}
	return "0 kB"
}
