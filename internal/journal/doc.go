// Package journal says what was begun, how it ended and where to go on.
//
// An Intent is committed before a provider write and closed in the transaction that
// records the write's outcome. An intent that a restart finds open, or whose answer
// was lost, is a write that may have happened. Settle decides, from what a look at
// the provider shows, whether it did: Done (take the object over), NotDone (the step
// may run anew), LookAgain (the provider's lists may be late), SendAgain (they may be, and
// its names are unique), Park (only a person can say: two objects, somebody else's mark).
//
// It promises that a create is never sent twice for an object that exists or may
// still show up, that what is not ours is never taken for ours, and that the order in
// which a vendor lists objects decides nothing. What holds data is never used because
// it looks equal. It refuses to
// read error texts, to call anything, to know the time.
//
// # Design
//
// Where names are unique a create may be sent again at once, and its intent stays open
// until that is answered. One look would not do to close it: the process that sent the
// first one is dead, the vendor may still be at work on it, and if the wish is another one
// by then nobody would ever see what came of it.
package journal
