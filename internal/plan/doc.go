// Package plan says what has to be done: recorded × wished (× looked at) → steps.
//
// # Model
//
// A Plan is data: ordered Steps, each with its reason, field differences, risk, undo,
// provider calls and the steps that it needs. It is calculated for a group of clients
// (usually one) from an Input; whoever has the Input can calculate it again.
//
//	database ─┐
//	site ─────┴ environment ─ deployment ─ await ─ admin ─ probe ─ traffic ─┬ domains, records ─ probe outside ─ the old side goes ─ record
//	                                                                        └ mail
//
// A host name whose host gets its certificate once DNS leads there (Traits.AfterDNS) is bound
// before its record, and secured after it, before it is proved from outside.
//
// What serves is replaced make before break: the new side is built and probed on its
// own address, then traffic, domains and records move, then it is probed from outside,
// then the old side goes. Removal is the reverse: records and domains, traffic,
// releases, environment, site; the database is retained.
//
// # Promises
//
// The same input gives the same plan, whatever the order of its slices. A plan of what
// a plan would lead to is empty. Deleting needs a tombstone, but for what the wish
// itself replaces (releases beyond Keep, the other side of a provider switch, a host
// bound to the old site). Data is never deleted here but by Purge, and never replaced
// by something empty. What was found is forgotten, not deleted, and never changed; what
// was adopted may change and is never deleted. Fingerprints bind clients by name, so
// that a plan which was reviewed before its client had an id is the plan that runs.
//
// # Refusals
//
// It calls nothing and holds no type that could: no provider is imported.
//
// # Design
//
// Calculate is a Calculation in one go: what concerns several clients, each client by
// itself, all steps together. The second part may be done for several clients at a time;
// no goroutine is started here.
//
// A changed database.provider moves the data where both providers have one engine: a copy's
// database is made under a Ref of its own (Beside), Transfer freezes, copies, compares and puts
// it in the place of the old one, which is retained under the Ref that says where it is.
// All else of the client needs the Transfer. It is one step, not five: what is frozen must be
// thawed by whoever froze it, whatever happens in between, and steps can be held, superseded or
// planned anew. Its fields say what it does, in order. Both the making and the Transfer are
// held; an approval holds for one freeze (Agreed), and a move that was cut off, or taken back, asks again. It
// waits for whatever gives the site its new address (moveWaits), and once it has begun no freeze of the platform
// file stops that (ReadsOnly): the site can't write in between.
// Releases that were built with another database, or another account for payments, are never promoted
// (Resource.Database, Resource.Payments), and
// where the database is counts among what a release is made of. A copy that nobody wishes any
// more is retained as any data is; wished again, it is emptied and filled anew: what is in a copy
// is in the old one, too, as it never served. There is no way back to a provider at which an
// earlier database is still retained: it has the client's name there, and lacks what was
// written since. A move that is not done yet goes back without a question.
//
// Adoption is two passes. The first, while something that `adopt:` names is not on
// record, only records: what is named, and the parts of a site that is named, as
// Adopted. What the objects say becomes their record (Adopted, Covers: pure, for
// apply), the wish where it is the same; so the second pass is empty exactly where
// nothing differs, and shows the rest as changes like any other. No administrator and
// no welcome is ever made for a client whose site or database was adopted. When such a
// client goes, its site keeps what it serves with; names that we made go.
//
// Taking away mail: a record that carries mail (MX, TXT at the host, _dmarc,
// _domainkey) is held whatever takes it away, the removal of the whole client too. Mail
// then goes on until someone approves; nothing else of the removal waits for it. A new
// time to live takes nothing away.
//
// A record of which a name may have several is known by what it says. Where somebody
// changed that by hand and the manifest takes it over, the record goes on under its new
// name: that takes a look, and is no removal.
//
// A host whose deployments aren't Promotable serves what was built last. Which that is stands
// on record (state.Resource.Overtaken): a release that another one overtook is built again,
// under its own name, where other hosts would promote it.
//
// The side of a site that was replaced is in Later, not among the steps, until its names are
// forgotten (their time to live and Input.Soak, from when they were last written): a plan that
// holds nothing else is empty, costs no pass, and is nothing that a review has to bind.
//
// A gap is stated for the address record that leads people over to a site whose certificate
// comes after DNS, and that record alone waits: the new side is built, so that whoever
// approves finds all else proved, and can see to a certificate before. The same gap is stated
// for a host name that moves from one client to another where certificates belong to sites
// (Traits.PerSite); there the name waits, and its old owner keeps it. A name that is on record
// as secured has none. Behind a proxy people meet the proxy's certificate, so none is stated, but for a name that comes
// out from behind it before it was ever secured.
// A name that moves between two clients states none either: a host that keeps certificates by
// site (Ploi) makes a new one then, and a few seconds pass.
//
// What leads people over to another site of the client's has the risk "traffic", and its release,
// also where the record is made and not changed: the one before is gone at the vendor, or of
// another type. What was shown as a change, and is gone since, runs as it was shown.
//
// A name that people come by redirects to one that another client gives away only once that one
// has let it go: until then DNS may answer with both, and his site is not for them. While his
// removal is not planned (he waits for a guard, a date, a file), it waits and says for whom. Where
// two clients exchange their names one of the two would wait for ever, and waits for nothing. Where
// a person takes a record away, nothing tells us that he did. Where one sets the new owner's, and DNS
// answers with the old owner's until that goes, theirs is seen in the pass after that: the name redirects
// to what it did until then. Where that is another client's by then, it is led on before the old owner's goes: it is right
// until then, and away as long as the name after that.
//
// A name moves to another client once both are ready: the new owner's version, and the one that
// the old owner gets with its other name, are proved on their own addresses. It stays while one of
// the names that the old owner is to answer by instead waits (Gate): of two that exchange theirs,
// neither is without one meanwhile. Who gives up two names gives up first what redirects to the other.
//
// A name goes once none of another client's redirects to it: it was that one's before the two
// exchanged theirs. Where that one moves to another host meanwhile, it does so once its record
// leads there. While nothing leads it on, as its client can't be planned, the name waits and
// says for whom.
//
// Data that is not wished any more is in use, and has no date, until what is built without it was proved.
//
// A user is retained with the database that it is in, goes off the record with it, and
// is led to the new site when its client returns: lists that are late would show it to
// nobody, and it would be made twice.
//
// What a trait says counts Once is part of a create and of no difference: a first user's
// address and password are his from then on, and each release has another address.
//
// An account for payments is its owner's (payments.go): made beside all else, awaited by
// nothing, kept without a date when it is not wished any more. An adopted one is never changed.
//
// Where another provider is to answer for a name, its record goes at the first one. What was found or adopted there stays, and
// what is in a zone that is another account's by now does once a person says so (RiskLeft). Ours goes before a person's
// can be seen, as DNS answers with it: that is a gap, until they have set theirs.
//
// A look that fails blocks its provider's steps, and beside them those that lead a name anew
// to what it did not see, whoever keeps the name, or redirect one that people come by to it:
// making comes before breaking.
// Where nobody can see where a name leads, what was replaced at its old host waits as well.
//
// What was replaced goes after the records' time to live and a soak, and not while DNS leads people
// there: a record that a person keeps may stand beside the one that was asked for, or be set back.
// People are served by the new side meanwhile.
//
// A client that goes while one comes that looks like it is a warning, not a problem:
// what shares a host is refused where manifests are accepted.
package plan
