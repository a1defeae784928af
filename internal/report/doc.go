// Package report words what people are told.
//
// # Model
//
// Values go in, text comes out. A Plan, an Outcome, a Problem, a client's page are
// plain data; each has a form for a terminal and, where a pull request shows it, one in
// Markdown. Status is a verdict in the 140 characters that a commit status takes.
//
// Text is of two kinds. What stands in this package is ours. Everything else (names,
// reasons, values, a vendor's words) is theirs, and goes through exactly one of three
// doors: Line for a terminal, Text for Markdown prose, Code for Markdown code.
//
// # Promises
//
// Their text is shown as text: no control character, no reordering of what is read, no
// markup, link, image, mention or reference, in a terminal or in a comment (S48). A
// plan says what goes offline, when, what stays and until when, and what it takes to
// stop it. A failure says first what still works, then the cause, then one thing to do.
// Nothing is told by colour alone. Every form has a length that it does not pass.
// Equal values give equal text.
//
// # Refusals
//
// It asks nobody: no clock, no network, no disk. It decides nothing: risks, holds and
// next steps come in. It prints no secret, for no value that it takes holds one.
package report
