// Package journal says what was begun, how it ended and where to go on.
//
// An Intent is committed before a provider write and closed in the transaction that
// records the write's outcome. An intent that a restart finds open, or whose answer
// was lost, is a write that may have happened. Settle decides, from what a look at
// the provider shows, whether it did: Done (take the object over), NotDone (the step
// may run anew), LookAgain (the provider's lists may be late), Park (only a person
// can say: two objects, somebody else's mark).
//
// It promises that a create is never sent twice for an object that exists or may
// still show up, that what is not ours is never taken for ours, and that the order in
// which a vendor lists objects decides nothing. What holds data is never used because
// it looks equal. It refuses to
// read error texts, to call anything, to know the time.
package journal
