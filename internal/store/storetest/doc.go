// Package storetest is the conformance suite of stores.
//
// Run puts a store through what store.Tx and store.Store promise: records, order,
// sequences, the undoing of what failed, consistency under concurrency, and equality
// with a map under random programs. A store that passes can stand behind the program.
package storetest
