// Package objectstore keeps the embedded providers' objects on disk.
//
// # Model
//
// One JSON file an object, named by a hash of its id, in a folder that only its
// owner may read. A write goes to a temporary file, is synced and renamed, so
// that a killed process leaves the old object or the new one, never half of
// either. This is the embedded "vendor's" side: it knows nothing of plans,
// journals or the reconciler's state.
//
// # Design
//
// Secret attributes are written as they are, like the .env file of any server:
// the site has to read them. They never leave through Object's own printing.
package objectstore
