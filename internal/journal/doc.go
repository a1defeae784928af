// Package journal says what was begun, how it ended and where to go on.
//
// An Intent is committed before a provider write and closed in the transaction that
// records the write's outcome. An intent that a restart finds open, or whose answer
// was lost, is a write that may have happened. Settle decides, from what a look at
// the provider shows, whether it did: Done (take the object over), NotDone (the step
// may run anew), LookAgain (the provider's lists may be late), Found (what we wish is
// there, and nobody's), Park (only a person can say: two objects that are ours, or may be).
//
// It promises that a create is never sent twice for an object that exists or may
// still show up, that what is not ours is never taken for ours, and that the order in
// which a vendor lists objects decides nothing. What holds data is never used because
// it looks equal. It refuses to
// read error texts, to call anything, to know the time.
//
// # Design
//
// Where names are unique a second create would conflict instead of doubling, and could be
// sent at once. It is not: the vendor may still be at work on the first, whose sender is
// dead or has given up. If the wish is another one by then, no second create comes, and
// nobody would ever see what came of the first; and if one comes and is taken back, the
// name is free for the first. So the vendor's lag is waited for, whatever its names are; a
// conflict is what is left of that when a vendor takes longer than it says.
//
// What others made in the place of an uncertain create is no answer to what became of it, where
// ours would bear our mark: it keeps nobody waiting for a person who does not wish it any more,
// and it is not used while ours may still come beside it. Whoever wishes it still looks before it
// sends it anew, and says there whose it is.
package journal
