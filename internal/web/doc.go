// Package web shows what the program knows over HTTP.
//
// It serves the dashboard at /, the clients as JSON at /api/clients and
// /api/clients/NAME, deployments at /api/deployments and /api/deployments/ID, the caught mail at
// /mail/, and /healthz. Everything here reads; nothing changes anything. Answers are
// the same values that the commands print with -o json.
//
// It promises: text from manifests and vendors is shown as text; no script runs on a
// page; a request is answered only when its Host is an address or a name that we
// serve (against rebinding). It refuses every method but GET and HEAD.
package web
