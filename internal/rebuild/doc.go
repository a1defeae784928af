// Package rebuild works out, from what providers show, what was on record.
//
// # Model
//
// An object that we made bears a mark (installation, client id, generation), or a name
// that is made of them. Found is one such object. Identify says which manifest each
// client id belongs to: by what the objects say (the label of the site, host names),
// then by the name that the id was minted from and the manifest's former names. Record
// turns one client's objects into resources: the Ref that each is, its outputs, and its
// attributes as the wish says them where the object agrees, as the object says them where
// it doesn't. So the next plan is exactly what differs.
//
// What a provider does not give back (write-only values) is taken to be as wished, but
// for the environment of a site whose wished release is not there: that one may never
// have got it.
//
// # Promises
//
// Equal inputs give equal results, whatever their order. No object is on record for two
// clients or under two Refs. What is uncertain is a Doubt, in a sentence, and never a
// guess: two objects that could be the same resource, a database that was there and is
// not, a client that is known by its name alone. A secret's text is never in an
// attribute.
//
// # Refusals
//
// It calls nothing, and holds no type that could: objects and wishes come in as values.
// It records nothing of what another installation marked, or nobody.
package rebuild
