// Package web shows what the program knows over HTTP.
//
// It serves the dashboard at /, a client's page at /clients/NAME, the clients as JSON at
// /api/clients and /api/clients/NAME, audit records at /api/deployments (?client=NAME,
// ?limit=N) and /api/deployments/ID, the caught mail at /mail/, and for machines /healthz
// (the process answers) and /readyz (the last poll of the repository went well). Answers
// are the same values that the commands print with -o json; what goes wrong is
// application/problem+json, or a page where people look.
//
// It promises:
//
//   - Everything reads; nothing changes anything, but for the way to payments. Every method but GET and HEAD is refused.
//   - Only this machine is answered (nobody can be let in by a token yet): the connection
//     comes from a loopback address, and Host is a loopback address, localhost, or the host
//     of the configured publicURL, so that no other site's page reads ours through a name
//     that it points here. /healthz and /readyz answer everybody, and tell only this
//     machine why not.
//   - Text from manifests and vendors is shown as text: one line, bounded, without characters
//     that hide or reorder. It is never an element or an attribute; a link is http or https.
//     Commands are set apart where the reader hands them over apart from the words.
//   - No script runs on a page, none is needed, and nobody may frame it.
//
// /clients/NAME/payments leads the owner of a client's account for payments on to its keeper: to
// an address that is made for that click, in no page, log or cache. It is the one path that lets
// something be made elsewhere (that address), and is answered like all others: to this machine
// only, and to a click on our own pages or an address that somebody entered. Whoever is led
// here from another site is asked to click first.
//
// Event and Resume are the two ends of an event stream; no path serves one yet.
//
// It can not tell who asks behind a proxy: a proxy on this machine that passes
// requests on under publicURL has to let in only the right people.
package web
