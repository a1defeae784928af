// Package simulated is the part of a Payload CMS site that registers its first user, over
// users in memory.
//
// # Model
//
// A Payload is an http.Handler: one site with one collection that has `auth` on. It answers
// init, first-register, login and forgot-password under its API path, a page at / and /admin,
// and 404 elsewhere. Its users are its database: Drop takes them, Away takes the database off
// for a while, and File lets them outlive the process.
//
// It is as unkind as Payload is described (shared/specs/payload): first-register looks and
// then creates, and what comes in between is not seen, so that two strangers at once both get
// in; the same address does not. Five wrong passwords lock a user for ten minutes, with the
// status of a wrong password. A second forgot-password within 15 seconds is answered as the
// first and sends nothing, as is one for an address that nobody has. Without its database it
// answers 500 in another form than its errors have.
//
// It promises: the same requests at the same times give the same answers and ids; passwords
// are kept as hashes. It refuses to know what a token is good for: there is nothing behind it.
package simulated
