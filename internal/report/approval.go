package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Approval is what an approval came to, for whoever gave it.
type Approval struct {
	Waited  bool     `json:"waited,omitempty"` // something was held under the fingerprint
	Clients int      `json:"clients"`          // how many go on now
	Names   []string `json:"names,omitempty"`  // theirs, the first few
	// Next are the fingerprints of what came to be held by it, which waits for an approval of its own.
	Next []string `json:"next,omitempty"`
	// By and At are of the approval that it had before; "": none, or one that has lapsed. Used says that
	// that one let something run.
	By   string    `json:"by,omitempty"`
	At   time.Time `json:"at,omitzero"`
	Used bool      `json:"used,omitempty"`
}

// maxGoOn is how many of those that go on are named.
const maxGoOn = 3

// Approved tells of an approval, given now. before is what there was under its fingerprint, the zero value:
// nothing; names are the names of those that go on, in order.
func Approved(waited bool, before state.Approval, names []string, now time.Time) Approval {
	a := Approval{Waited: waited, Clients: len(names), Names: names[:min(len(names), maxGoOn)]}
	if before.Counts(now) || !before.Used.IsZero() {
		a.By, a.At, a.Used = before.By, before.At, !before.Used.IsZero()
	}
	return a
}

// Text is what the command line says of it.
func (a Approval) Text() string {
	switch {
	case a.Waited && len(a.Next) > 0:
		text := a.given()
		if a.Clients > 0 {
			text += "; " + a.goOn()
		}
		return text + "; what waits by that, waits for an approval of its own: `reconciler approve " + strings.Join(a.Next, "`, `reconciler approve ") + "`."
	case a.Waited && a.Clients == 0:
		return a.given() + "; no client has anything to do for it now."
	case a.Waited:
		return a.given() + "; " + a.goOn() + "."
	case a.Used:
		return a.given() + ", and used: nothing waits for it any more. " + comes()
	}
	return a.given() + "; nothing waits for it now. " + comes()
}

// given says whether it was approved before, too. What waits after that was used waits for another one.
func (a Approval) given() string {
	if a.By == "" || a.Waited && a.Used {
		return "Approved"
	}
	return "Approved already, " + by(a.By, a.At)
}

func by(who string, at time.Time) string {
	return "by " + Clip(Line(who), maxCell) + " on " + stamp(at)
}

// Used is what is said of an approval that let something run: approved already …
func Used(a state.Approval) string {
	return "approved already, " + by(a.By, a.At) + ", and used: nothing waits for it any more"
}

// goOn is who goes on.
func (a Approval) goOn() string {
	text := fmt.Sprintf("%d %s", a.Clients, verb(a.Clients, "client goes on", "clients go on"))
	named := make([]string, len(a.Names))
	for i, n := range a.Names {
		named[i] = Line(n)
	}
	if len(named) > 0 {
		text += ": " + strings.Join(named, ", ")
	}
	if more := a.Clients - len(named); more > 0 && len(named) > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// comes is what an approval is good for under which nothing waits.
func comes() string {
	return fmt.Sprintf("What comes to wait under it within %.0f hours runs, once.", state.ApprovalLife.Hours())
}
