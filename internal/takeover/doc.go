// Package takeover finds out what exists at providers and writes manifests that adopt it.
//
// # Model
//
//	Collect     what the accounts hold, without a value of any secret  → Inventory
//	ReadExport  clients as a CMS has them, if there is such a list     → []Entry
//	Matches     which site, database and records are one client's      → []Match
//	Draft       a manifest with an `adopt:` block, paused, with what was found as comments
//	Check       what is drafted, held against the tree that it goes into
//
// A site is a client's by its host name, or by the id that the export has. A database is a
// site's by the DATABASE_URL in the site's environment: host, port and database name, or the
// very text. Records are those of the site's host names. An account for payments is a client's
// by its business address, if that is one of its host names and no page below it, or by the
// export's id. What the export says comes first, and where it disagrees with what is there
// nothing is chosen.
//
// # Promises
//
// Nothing is written at a provider: only provider.Lister is known here. No value of a
// variable and no connection URL leaves Collect; names of variables and the host of a
// database do. What is ambiguous is never chosen: the manifest names an object that can't
// exist (choose-one-NAME), so that the client is held until a person has decided, and nothing
// is ever made beside what is there. What bears a mark of this installation is left out; what
// bears another's is told and not adopted. Everything from outside is bounded, cleaned, and
// one line; equal inputs give equal drafts, in the order of their names.
//
// # Refusals
//
// To guess a template or a contact; to touch a file that is there; to put a value that looks
// like a secret into a manifest.
//
// # Design
//
// A site's variables and host names stand in no vendor's list, so that Collect asks for them
// once a site (two calls at Vercel, three at Ploi); sites that bear a mark in the list are not
// asked. Everything else comes from lists.
//
// A host name of a private network (*.railway.internal) is the same in every project: such a
// DATABASE_URL proves nothing, and the database is then matched by its name alone, if exactly
// one has it, and the comment says so.
//
// A record that is what the site's own address record would be is left to `dns`; any other is
// written out, and named in `adopt:`, so that nothing of it changes. Where that can't be (no
// record, or several of a type) `dns.provider` is none, and nobody touches the names.
//
// A client needs no account for payments: where none is found, or the export's is not there,
// the manifest asks for none, so that none is made beside one that has another address. Its mail
// is no proof of whose it is, and is told only where an export says the client's.
//
// Where the site's DATABASE_URL can't be made from the adopted database (the provider does
// not tell its URL, or the site spells it otherwise) the manifest says
// `DATABASE_URL: {secret: database-url}`, and a comment how to set it: the plan is empty once
// that is done.
package takeover
