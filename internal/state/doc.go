// Package state is the vocabulary of what we hold to be true.
//
// A Ref names a resource: client, kind, name. A Resource is a Ref, a provider,
// sorted attributes, references to other resources' outputs and, once it is real,
// the provider's id and outputs. A Value is a literal, "output x of Ref r" or
// "secret n version v". Everything that plans, stores, orders and prints works on
// these and never imports a vendor.
//
// It promises: values only (no clock, no network, no disk, no goroutine); an id
// that never changes; no secret text in anything but Secret, which cannot print
// itself. It refuses: behaviour. Deciding is plan's, storing is bolt's.
package state
