// Package accept decides what accepting a new head of the tracked branch means.
//
// It takes data (the last accepted head, what changed since, what is known of
// the clients) and gives data back: the new baseline, the clients whose wish
// moved, tombstones, holds, claims, the head's verdict. Whoever calls it writes
// all of that in one transaction, or nothing.
//
// # The model
//
// A head is read as a set of candidates: files that changed, files that were
// invalid and are tried again, and clients whose template, platform file or
// defaults changed. Each candidate is resolved; what is wrong with it is a
// problem of that file alone. Then the names are settled (who is this file:
// a known client, a rename, a return, a newcomer), then the host names (the
// ledger of claims), then the guard, and last the result is written down.
//
// # What it promises
//
// Nothing is removed without proof: a tombstone comes only from a file that a
// positively read range of commits took away, or from a part that a valid file
// no longer asks for. A file that can't be read, doesn't parse or breaks a rule
// is an error and never an absence: its client keeps its last good version.
// Equal inputs give equal results, in a fixed order. Files that did not change
// are neither parsed nor hashed, unless what they inherit from changed.
//
// # What it refuses
//
// It has no clock, disk, network or randomness: time is Input.Now, and new
// identities come from Input.NewID. It doesn't plan, and it doesn't delete.
//
// # Design
//
// A client that no longer resolves because its template or the platform file
// changed keeps the version that it was resolved with: Baseline.Kept holds it
// for as long as somebody needs it. Context gives what a client resolves with.
//
// Beside the parts that a wish has, a tombstone may name "host/NAME": that the
// client let this host name go. It deletes nothing (Due leaves it out); it is
// how the guard counts, and how the ledger knows when the name is free. Beside
// those who lose a name it counts, in this range, who keeps it and answers there
// no more: its site goes, or the address that leads there, and nothing comes instead.
//
// What pull requests showed of a wish belongs to it until it is done (review.go). What was
// merged otherwise than it was planned makes it partial: then exactly the steps that were
// shown may run, whatever is pushed on top. Of a file that is not valid it is kept with the
// file's problem, for when others make it valid; whoever changes the file before adds to that.
// Only the version that the file's client has all along holds nothing of it: giving that back
// binds nobody to what was refused, whatever else its commits change.
//
// A change that many inherit runs in waves (NextWave): one at a time until one went
// well, then a tenth, then the rest. That is stricter than "one" by a sick first
// client: it is no reason to go on with a tenth, and none to stop. After the third
// failure whoever has not begun waits again.
//
// A name that was asked for and can't be had is a problem of the file that asks, and
// is asked for again with every head: a removal that can still be taken back keeps
// its names. A newcomer that takes a name with retained data is invalid until it
// says whose it is: nothing can be approved there, so its commit's verdict ends. One that says
// fresh, and names in `adopt:` what the former client adopted and still has, contradicts itself
// and is invalid: as a client of its own it could only be held, and of that client
// database.reuse: retained would ask for nothing any more.
//
// Whose a returning name is, the domain of the last good version tells, and until the removal
// is carried out the ledger, too: a name that was given on and never moved is still the client's.
// So a revert of both commits brings it back, and asks nobody for database.reuse.
//
// A removal that was accepted waits, too, while its client's own file is back and invalid, or
// refused for a name: the design speaks of files of the same range, but that is no absence
// either. Only a file that does not say whose database it wants lets it go on.
//
// A head may be judged again at any time; a second judgement of an unchanged state
// changes nothing but, at most, the words of a problem. Only where files ask in vain
// for names, or removals are held, it may give out what the first one set free, or
// regroup the holds; it comes to rest after a few.
//
// The guard counts a client whose removal is held as lost, and measures against
// the fleet with those who went within its 24 hours. A client that waits in a creates
// hold has nothing to lose and is no part of the fleet: a commit that renames without
// saying so brings as many files as it takes away, and would raise its own limit.
package accept
