// Package memory is a complete vendor that exists in memory, for tests.
//
// # Model
//
// A World holds the objects of any number of Providers: a test opens two hosts, a
// keeper of databases and a DNS side by side on one World, under the names and Traits
// that it wants. Opening a provider again on the same World is a restart.
//
// It is as unkind as a vendor. Lists and look-ups by name are late by Traits.ListLag
// while reads by id are not; names may be given twice; strangers' objects may be there
// (Seed); builds take looks and time, and some fail; people change and delete things
// by hand (Edit, Remove); a site takes what is inside it along when it goes. Lists come in
// pages (Options.Page), each a call by itself, and what is made or deleted between two of them
// shifts those that come after.
//
// Faults come from a hook that is asked at each call, once before its effect and once
// after: an error before it means that nothing happened, one after it that the answer
// was lost; Late is a write that happens when its caller has gone. Down, Limit and
// Latency do the same for whole vendors.
//
// What a test asks afterwards is the World: Objects, Snapshot, Written, Serves, Resolves, Rows,
// BuiltWith, how many calls it took, and which of them came too Early.
//
// # Promises
//
// Ids follow from the provider, the kind, the name and how often it was taken, so that
// equal runs give equal ids in whatever order they call. No goroutine, no randomness,
// no clock but Now and Sleep. Safe for concurrent use; the hook runs without a lock
// held and may look at the World or change it.
//
// # Refusals
//
// It checks what vendors check (references, hosts bound once, one environment a site)
// and nothing of the engine's: whose an object is, whether a write was announced.
package memory
