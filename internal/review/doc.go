// Package review reads pull requests, and tells people on them what comes of it.
//
// # Model
//
//	sync.go      what is there: open pull requests, those that ended, comments
//	unseen.go    merged ones that nobody saw open
//	plan.go      one pull request, one plan: fetch, merge, judge, tell
//	others.go    who else touches the same client or claims the same name
//	command.go   comments that command
//	deliver.go   the outbox's sink: statuses, comments, deployments
//	result.go    what a merge came to
//	words.go     statuses in the words of now
//	queue.go     statuses that the forge's merge queue waits for
//	files.go     annotations and suggestions in the files
//	watch.go     statuses that hang
//
// A pull request is a record (state.Pull) with the head that was seen and the head that
// was planned; where the two differ, a plan is due. What is planned is the merge of the
// head into the accepted head of the branch, worked out from Git. What is to be said goes
// into the outbox in the transaction that writes the record; Deliver is its sink and says
// it to the forge. A webhook only says "look now" (Hint): whatever it lost, the next look
// finds.
//
// # Promises
//
// Nothing is written to a provider, and nothing that a pull request holds decides how it is
// judged: rules come from the branch. Of a fork only the files are judged, until somebody
// with write access names the commit. A command is carried out once, for who may write at
// that moment, on the head that its plan was made of. One comment a pull request holds the
// plan, one the result; each is found by marker and author before one is made. Equal words
// are not sent twice. Every head's statuses end: what keeps a plan from being made is told as
// an error and tried again.
//
// # Refusals
//
// It trusts no payload and no text: titles, bodies and logins go through package report. It
// decides nothing about clients. It needs no answer of the forge to accept a merge: package
// reconcile finds by Git alone which pull requests a range brought.
package review
