// Package local is a web server that keeps sites the way a hosting vendor does.
//
// # Model
//
// A site is a place without content. Its environment is one set of variables. A
// deployment is a release: pages rendered from a built-in template, in a folder of
// their own beside the earlier ones, with a snapshot of the environment of the
// moment at which it was created. Traffic says which release of a site serves; a
// domain says which site a host name means. Releases never change, so promoting one,
// and going back, is one write.
//
//	DIR/objects/…            what exists (package objectstore)
//	DIR/releases/ID/         one release: pages, style sheet, release.json, build.log
//	DIR/releases/ID/environment.json   its snapshot, mode 0600
//
// Handler answers, in this order: a deployment at ID.localhost and /deployments/ID/,
// a site at ID.localhost and /sites/LABEL/, a bound host name at the site it is bound
// to. Owns says which requests are meant for it when other things share the address.
//
// # Settings
//
// A deployment's settings are handed to its pages: theme (light, dark, or an object
// with mode and primaryColor), tagline, announcement, locale. Two break a release on
// purpose, for those who want to see what happens then: `breakBuild: true` makes the
// build fail, `breakHealth: true` makes /api/health answer 500 (`breakHealth: /path`
// another path).
//
// # Promises
//
// What Create, Update and Delete returned from is on disk; a killed process goes on
// building where it was. No request fails because of a promotion, a domain that moves
// from site to site, or a release that goes. A page shows no variable but those named
// STORE_ or NEXT_PUBLIC_, and of these none that is a secret. Text of manifests is
// shown as text, cut at a limit. /api/health says ok only when the database that
// DATABASE_URL names was opened and read.
//
// # Refusals
//
// Source of one's own: the repository is `builtin`, everything else is Invalid.
// Scripts: pages have none, and their policy forbids them. Writing to a database:
// it is opened to read.
//
// # Design
//
// Deleting a site deletes what is inside it (environment, deployments, traffic,
// domains), as vendors do. A deployment that serves is not deleted: traffic goes
// first. Two sites may bear the same label, because a client may take the name of one
// that is on its way out; the younger is at /sites/LABEL/. A site's own address is
// made of its id, so that a rename changes no variable.
package local
