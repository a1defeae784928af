package state

// SharedOwner owns, in a source of secrets, what is everybody's.
const SharedOwner = "shared"

// OutsideSecret is a secret as one source outside of the state has it.
type OutsideSecret struct {
	Owner  string // a client's id or name, or SharedOwner
	Name   string
	Value  Secret
	Source string // which source, for people and for the record: folder /run/secrets
	Place  string // where in it: /run/secrets/demoshop/mollie
	// Problem says why what is there can't be used; Value is empty then. It repeats nothing
	// of it.
	Problem string
}

// Outside is what the sources of secrets have, in one look at all of them.
type Outside struct {
	// Same says that nothing has changed since the look before; Secrets is not filled then.
	Same bool
	// Secrets are sorted by owner and name; of several sources that have one, the first
	// counts.
	Secrets []OutsideSecret
	Sources []string // all, in their order
	// Failed are sources that can't be read now: nothing may be concluded from what they
	// don't show.
	Failed []string
	// Notes are what people should know: what failed and why, what two sources have, what
	// others may read.
	Notes []string
}
