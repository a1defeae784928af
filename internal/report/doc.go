// Package report words what people are told.
//
// # Model
//
// Values go in, text comes out. A Plan, an Outcome, a Problem, a client's page are
// plain data; each has a form for a terminal. Status is a verdict in the 140 characters
// that a commit status takes.
//
// A pull request has two comments. PullPlan is the plan, in all its stages from
// "planning" to "merged", with the statuses reconciler/validate and reconciler/plan;
// PullResult is what came of the merge, with reconciler/client/NAME of each
// ClientResult. Running and Finished are reconciler/apply. Replies answer comments that
// command, a Suggestion offers a line. Each begins with a hidden marker, by which
// MarkerOf finds it again.
//
// Text is of two kinds. What stands in this package is ours. Everything else (names,
// reasons, values, a vendor's words) is theirs, and goes through exactly one of three
// doors: Line for a terminal, Text for Markdown prose, Code for Markdown code.
// Addresses come in as values; one becomes a link only if it is a plain http(s) address.
//
// # Promises
//
// Their text is shown as text: no control character, no reordering of what is read, no
// markup, link, image, mention or reference, in a terminal or in a comment (S48). A
// plan says what goes offline, when, what stays and until when, and what it takes to
// stop it. A failure says first what still works, then the cause, then one thing to do.
// Nothing is told by colour or sign alone. Every form has a length that it does not pass.
// Equal values give equal text.
//
// A comment is at most MaxComment bytes, and is never cut inside a row, a fold or a
// fence. What is risky, or needs somebody, is told in full and unfolded before all
// else; then come rows, then steps; what does not fit is counted. It mentions nobody.
//
// # Statuses
//
// failure is what makes merging wrong and needs a person: an invalid file, a client that
// can't be planned, a conflict with the base, a fork that nobody let plan. error is what we,
// Git or a provider could not do. A plan of which part would wait after the merge is a
// success that says so: to merge is right, and the approval can be given before or after.
// So is a plan whose host name another open pull request claims, too: were both a failure,
// neither could be merged; whichever is second becomes invalid by the first's merge. After
// the merge, what waits for a person is a failure, for a person must act; what a newer
// commit overtook, and what is paused, is a success.
//
// # Refusals
//
// It asks nobody: no clock, no network, no disk. It decides nothing: risks, holds and
// next steps come in. It prints no secret, for no value that it takes holds one. It does
// not tell who wrote a comment: anybody can write a marker.
package report
