// Package store is the port to durable state.
//
// It has two halves. store.go says what a store is: sealed records under bucket and
// key, read in View and written in Update, nothing more, so that another store (a
// replicated one, say) can be written from that page. records.go gives every record
// its bucket, its key and its type: all keys of the program are in that file.
//
// Whoever reads all clients again and again keeps them in a Memo (memo.go). The store
// itself says which records were written since (Tx.Since), at the one place that writes
// them, so that what is remembered can't be older than what a plain read would give.
//
// It promises that code above it never sees bytes, seals or keys. It refuses to know
// how records are kept; package bolt does that.
package store
