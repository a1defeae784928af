// Package simulated is Stripe's Connect API over accounts in memory: as much of it as a
// client's account takes.
//
// # Model
//
// A Stripe is an http.Handler with accounts, account links and the memory of idempotency keys,
// and can keep them in a file. The platform is Platform. An account is born with things due;
// a test takes them away (Fulfil, Demand, Disable), a person does so on the page of a link,
// and Deliver sends signed events to a URL.
//
// It is as unkind as Stripe is described (shared/specs/stripe, docs.stripe.com): bodies are
// forms with brackets, and what it does not know there is refused; ids are long; lists have 10
// of a page, at most 100, the newest first, and are late by Options.Lag; an Idempotency-Key is
// kept for a day with its first answer, 500s too, with Idempotent-Replayed; another request
// with that key is an idempotency_error; nothing is kept of what was refused before it began;
// names are not unique; an account that is closed, or was never there, is "no access" (403,
// account_invalid); links work once and for a few minutes, and the profile can't be changed
// once there was one; a limit a second with 429 and rate_limit; a key may be one whose time is over or
// that only reads, its owner one who has not signed up for Connect, a request of a key still under way.
//
// It promises: the same requests at the same times give the same answers and ids. It refuses
// to move money.
//
// # Design
//
// That deleting is there at all is so that a test can see that nobody does it. What the
// description leaves open is done the hard way: any change of the profile after a link is
// refused, though Stripe takes some.
package simulated
