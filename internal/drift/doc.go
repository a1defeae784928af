// Package drift says what becomes of what is not as recorded.
//
// # Model
//
// A look compares what is recorded of an object with what is found (Compare). What
// differs is a row: one field of one object. Rows live from look to look (After): one
// that is found with the same value counts one look more, one with another value begins
// anew, one that is as recorded again is gone. What a look did not see stays as it was.
//
// A row is treated by its policy (Of): the rule of the manifest that names its field
// most exactly, else the default, which is to report. An ignore ends with its last day
// and is a report again, which says so.
//
// Judge decides. A row is mended when its policy says heal, two looks at different times
// found the same value, its client is at rest, and mending can lose nothing (Never says
// why it can't be). Three mends of a field within a day are a fight: it is left alone
// until a person says how to go on.
//
// Where a client's own database is reached (its output url) is compared like an attribute, though
// nobody wishes it: what is found is taken over by the client's next pass, never put back. So is
// a variable that an adopted site had before us and that no manifest mentions, but for heal.
//
// # Promises
//
// The same input gives the same answer. A value that is a secret, or looks like one,
// is a fingerprint wherever it is shown. What was found and not made, what bears
// somebody else's mark and what holds data is never marked for mending.
//
// # Refusals
//
// It looks at nothing and writes nothing: package reconcile does, in looks.go and mend.go.
// It does not know vendors.
//
// # Design
//
// That a database is gone is marked, too, after two looks: the pass that follows writes
// nothing, and holds the client as the rule about data says.
package drift
