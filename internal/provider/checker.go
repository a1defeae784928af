package provider

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxFound is how many characters the text of a Finding has.
const maxFound = 300

// Finding is one thing that a check of an account found, in words.
type Finding struct {
	OK   bool
	Text string // what is so: "the token is active"; untrusted text in it is one bounded line
	Hint string // what to do where it is not OK; beside what is OK: what could be better
}

// Checker is implemented by providers that can tell what is wrong with their account before
// anything is made there: for `doctor`. A check changes nothing.
type Checker interface {
	// Check looks at credentials, permissions and what has to be there. It always says
	// something; a look that failed is a Finding.
	Check(ctx context.Context) []Finding
}

// Well is a Finding of what is as it should be.
func Well(format string, a ...any) Finding {
	return Finding{OK: true, Text: Line(fmt.Sprintf(format, a...), maxFound)}
}

// Wrong is a Finding of what keeps an account from being used.
func Wrong(hint, format string, a ...any) Finding {
	return Finding{Text: Line(fmt.Sprintf(format, a...), maxFound), Hint: hint}
}

// LookFailed is the Finding of a look at something that did not come about. denied is what to do
// where it was refused; where nobody answered or a limit is used up, that is the hint.
func LookFailed(what string, err error, denied string) Finding {
	var e *Error
	if !errors.As(err, &e) {
		return Wrong("try again; if it stays, look at the network between here and there", "%s could not be looked at: it did not say why", what)
	}
	switch e.Kind {
	case Transient, Uncertain:
		return Wrong("see whether its address in reconciler.yaml is right and can be reached from here (network.proxy, network.caFile); if so, look at its status page", "%s does not answer as it should: %s", what, e.Message)
	case RateLimited:
		hint := "what is to be done there waits until then; nothing else has to be done"
		if e.Until.IsZero() {
			return Wrong(hint, "%s takes no more requests for now: %s", what, e.Message)
		}
		return Wrong(hint, "%s takes no more requests until %s: %s", what, e.Until.UTC().Format(time.DateTime+" MST"), e.Message)
	}
	return Wrong(denied, "%s: %s", what, e.Message)
}

// Purger is implemented by providers that keep copies of what sites answer.
type Purger interface {
	// Purge forgets the copies of these hosts' pages, after a release serves. It changes no
	// object; who calls it reports a failure and goes on.
	Purge(ctx context.Context, hosts []string) error
}
