package provider

import "context"

// Finding is one thing that a check of an account found, in words.
type Finding struct {
	OK   bool
	Text string // what is so: "the token is active"; untrusted text in it is one bounded line
	Hint string // what to do where it is not OK
}

// Checker is implemented by providers that can tell what is wrong with their account before
// anything is made there: for `doctor`. A check changes nothing.
type Checker interface {
	// Check looks at credentials, permissions and what has to be there. It always says
	// something; a look that failed is a Finding.
	Check(ctx context.Context) []Finding
}

// Purger is implemented by providers that keep copies of what sites answer.
type Purger interface {
	// Purge forgets the copies of these hosts' pages, after a release serves. It changes no
	// object; who calls it reports a failure and goes on.
	Purge(ctx context.Context, hosts []string) error
}
