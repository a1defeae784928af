// Package external stands for what a person keeps elsewhere.
//
// # Model
//
// It creates nothing. An object is a thing that somebody has to do, said in its
// Message, and looking at it is looking whether it is done: a DNS record is Manual
// until DNS answers with it, then Ready. A database is what its url says, and is Ready.
// Of a site at a host of which nothing is known (site, environment, deployment,
// traffic, domain, admin) nothing can be looked at: these are Ready at once, their
// Message and the deployment's Log say what there is to do, and the health check, from
// the outside, is the proof.
//
// # Promises
//
// Nothing is stored, here or anywhere: an object's id is made of its wish, so that it
// can be looked at after a restart. No secret is in an id; a database's url is a secret
// output of the create or update that it was given to.
//
// # Refusals
//
// Dumping a database, whose keeper has better means. Taking a record away: the delete
// succeeds, and the record stays until a person removes it.
//
// # Design
//
// A look by name finds nothing, for nothing is ever made here: a create that was lost
// is sent again and does no harm. An update gives the object another id where its wish
// is another; the engine records the id that it gets.
//
// A site's address, host and url are empty: only the person knows them. An address
// record with empty content is done when the name has any address.
package external
