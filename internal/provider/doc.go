// Package provider is the contract between the engine and whoever keeps the
// clients' objects.
//
// # Model
//
// A provider keeps Objects of some Kinds. An Object has an id (the vendor's), a
// vendor-side name that we choose (ObjectName: deterministic, so that a lost
// answer can be looked up), a Mark that says whose it is where the vendor has a
// place for one, attributes, outputs for other resources, and a Phase.
//
// The engine writes like this, and a provider may rely on it: it looks before it
// creates; it commits its intent before it calls Create, Update or Delete, and the
// outcome after; an error of kind Uncertain is looked into, never repeated; all
// other kinds say that nothing happened. Wishes come fully resolved.
//
// A provider promises: Observe and Owned change nothing; a list is complete or an
// error; Create makes one object or says Conflict; Delete of the absent succeeds;
// errors are *Error with the right kind (a write whose answer was lost is
// Uncertain, even if it is probable that it failed); vendor text is bounded; no
// retries of writes inside; contexts are honoured; safe for concurrent use.
//
// Where an object takes several calls, its first call is the one that names and marks it,
// and what is there after that is found by id and name as Unfinished, until Update with
// the wish has made what is missing, and only that. A Create that comes no further after
// its first call returns such an object and no error; the engine records it and calls
// Update, whose error says why. Update returns an Unfinished object never.
//
// A host name whose certificate takes DNS to lead to its site (Traits.AfterDNS) is Unreached
// until then. It can be used like a Ready one: its address record is set, and then Update is
// called with the same wish, until the object is another than Unreached. Where that certificate
// is its site's alone (Traits.PerSite), a name that moves to another site is without one at first.
//
// A provider may do more: write data out (Dumper), list what others made (Lister), mark it
// (Marker), check its account (Checker), forget copies of pages (Purger).
//
// A list may cost calls for each site, beside its pages (Traits.ListCalls). Who lists for a part
// of the fleet says so (Only), and what is left out costs none. How calls that nobody waits for go
// about a vendor's limit is their Pace, which the transport keeps to.
//
// What a provider has to say of a Delete that goes well, and nobody could see from outside, it
// tells whoever listens (Tell, Listening): the step's note, and the history of a purge, say it.
//
// Package providertest holds these as a conformance suite.
//
// A provider refuses: to know other providers, plans, manifests or the store; to
// read the environment; to touch an object that is not named by id or name.
//
// A provider whose databases can be moved names their Engine in its traits and is a Mover. It
// promises that who may not write under a freeze can't, and that Content of two equal
// databases is equal at every provider of an engine, whatever the version.
//
// # Kinds, their attributes and outputs
//
//	database     access, schema (the template's name), disabled (collections)   → url, host
//	admin        email, password (secret), database, site, path, url (the
//	             deployment's, where the site itself makes its first user)      → url
//	site         label (the client's name), server, repository, runtime         → id, url, address, host
//	environment  site, env.NAME …: the whole set, replaced as one               → id
//	deployment   site, repository, ref, directory, template, install, command,
//	             start, migrate, settings (JSON), features, collections,
//	             displayName, commit (what ref meant when it was planned; absent
//	             for builtin sources), environment and secrets (hashes of the
//	             set that it is built with, and of its secrets' versions);
//	             immutable; built from the site's environment of that moment;
//	             Progressing until built                                        → id, url (its own address)
//	traffic      site, deployment (the deployment's id): which one serves       → id
//	domain       site, host, redirect ("" or the host to redirect to)           → id
//	record       type, name (fully qualified), content, ttl, priority, proxied  → id
//	mail         to, subject, text, html (absent: made of the text): sent once   → id
//	payments     country (never changes), tier, label, email, url: an account for
//	             taking money; Manual, with what its owner has to do, until it works;
//	             Delete leaves it                                                → id
//
// A trait may say that attributes count at the creation Once; later differences are none.
//
// Attribute `site`, `database` and `deployment` are the ids of those objects.
// Every kind has the output id.
//
// # Design
//
// Complete or an error: where a vendor numbers the pages of a list, what is made or deleted
// between two of them moves the others, and a total does not tell when as many came as went.
// Pages reads such a list until two readings in a row agree; a list of one page is read once.
// Where a vendor says from which object on a page goes, nothing moves, and one reading does.
//
// Await is not a verb: Create returns early and Observe by id says how far it is,
// so that a restarted daemon goes on waiting with what it recorded.
//
// A build's log comes with the looks at it (Object.Log). Who waits for a build may hand down, in the
// context of its looks, where lines go (Following); a provider whose vendor can be followed tells them
// there between the looks, and leaves Log empty. It is no method of its own: a log belongs to looks, which find
// what the connection did not bring, and so it passes every decorator, of which Conceal alone has
// something to do. What Follow does is the same for every vendor, and how far the object is, it never says.
//
// Denied stops the provider, not the client: after three in a row (Bar) nobody asks for a
// minute, then one call tries. Three, since one may be about one zone or one repository.
package provider
