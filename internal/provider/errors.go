package provider

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind says what an error means for the caller. The vendor's package
// classifies; nobody reads error text.
type ErrorKind string

// The kinds.
const (
	Transient   ErrorKind = "transient"    // nothing happened; may be tried again
	RateLimited ErrorKind = "rate limited" // nothing happened; not before Until
	Invalid     ErrorKind = "invalid"      // the vendor refuses this wish; trying again is pointless
	Denied      ErrorKind = "denied"       // credentials or permissions: stops the provider, not the client
	Conflict    ErrorKind = "conflict"     // an object of that name exists
	Uncertain   ErrorKind = "uncertain"    // a write may or may not have happened: look, never repeat
	NotFound    ErrorKind = "not found"    // an update's object is gone
	Unsupported ErrorKind = "unsupported"  // not configured or not built: says so
)

// Error is a provider's error. Message is the vendor's own words, bounded, safe to
// show, without secrets; untrusted text all the same.
type Error struct {
	Kind     ErrorKind
	Provider string
	Op       string // observe | create | update | delete
	Message  string
	Code     string // the vendor's code, such as 81053
	Until    time.Time
	Away     bool  // of a look: what holds the object (a DNS zone, say) is not this account's any more, so nothing there can be changed
	Err      error // cause for errors.Is/As; its text is not shown
}

// Error implements error.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: %s: %s", e.Provider, e.Op, e.Kind, e.Message)
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf classifies any error: what is not an *Error is Uncertain, the kind that is
// safe to assume for a write.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Uncertain
}

// UntilOf returns the time before which no call should be made, or zero.
func UntilOf(err error) time.Time {
	var e *Error
	if errors.As(err, &e) {
		return e.Until
	}
	return time.Time{}
}
