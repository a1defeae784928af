// Package plan says what has to be done: recorded × wished (× looked at) → steps.
//
// # Model
//
// A Plan is data: ordered Steps, each with its reason, field differences, risk, undo,
// provider calls and the steps that it needs. It is calculated for a group of clients
// (usually one) from an Input; whoever has the Input can calculate it again.
//
//	database ─┐
//	site ─────┴ environment ─ deployment ─ await ─ admin ─ probe ─ traffic ─┬ domains, records ─ probe outside ─ the old side goes ─ record
//	                                                                        └ mail
//
// What serves is replaced make before break: the new side is built and probed on its
// own address, then traffic, domains and records move, then it is probed from outside,
// then the old side goes. Removal is the reverse: records and domains, traffic,
// releases, environment, site; the database is retained.
//
// # Promises
//
// The same input gives the same plan, whatever the order of its slices. A plan of what
// a plan would lead to is empty. Deleting needs a tombstone, but for what the wish
// itself replaces (releases beyond Keep, the other side of a provider switch, a host
// bound to the old site). Data is never deleted here but by Purge, and never replaced
// by something empty. What was found is forgotten, not deleted.
//
// # Refusals
//
// It calls nothing and holds no type that could: no provider is imported.
package plan
