// Package railway keeps one PostgreSQL database a client at Railway.
//
// # Model
//
// A database is a project of its own: an environment, a service "postgres" that runs
// Railway's image of PostgreSQL, a volume, and with public access a TCP proxy. Its id is the
// project's. The project has the deterministic name, and the ownership mark as the last line
// of its description. The attributes that mean nothing to Railway (schema, disabled) are kept
// in a variable of the service.
//
//	project       makeProject, with "(in the making)" behind the mark
//	service       makeService, with all its variables
//	volume        makeVolume, always with the environment
//	proxy         makeProxy, for public access; works from the next deployment on
//	image         setImage
//	mark          describeProject: from now on there may be data
//	deployment    deploy; then it is Progressing until it runs
//
// Each line is a call, each is seen by a look, and none but the first makes anything that can
// be lost: so a Create that was cut off is Unfinished (see package provider), and Update makes
// what is missing. No name but the service's is unique and no call is idempotent: a part that
// does not show is only made when no earlier call can have made it: calls of this process are
// remembered, those of an earlier one may have come right before this one began, and either
// is waited for (partLag) where its effect does not show. The latter inside of Update: each
// start counts anew, and a program that only ever makes one pass (apply) would never get there.
//
// The outputs are there once it runs: url and host, the proxy's with public access, else those
// of Railway's private network, which other networks do not reach. The password is made here,
// given to Railway with the service, and read from there; it is nowhere else.
//
// # Promises
//
// A database whose service is gone, be it from its environment alone, or whose volume is, is an error, and never gets an empty one
// in its place. Which service of a project that people made it is, its name says, or its image, and a volume; of several nobody says that they are gone. That
// something is absent is only concluded from a list that is whole, of a token that sees the
// workspace. Before a delete a backup is made and waited for; one that fails leaves all as it
// is. Deleting is Railway's scheduled one: the project can be had back for 48 hours. A project
// without a mark, or with other services, is never deleted. A hundred databases are read by
// pages and batches (testdata/calls.golden).
//
// # Refusals
//
// Dumping, freezing or loading a database that has no public access: nobody outside of
// Railway's network reaches it. Tokens of a project: they can make none. Renaming: the name of a project
// that was adopted stays.
//
// # Design
//
// A project a client, not one project with a service a client: a project has at most 10
// volumes on Hobby and 20 on Pro (docs.railway.com, volumes), only a project has a
// description, services of one project reach each other, and one call deletes it whole.
// Railway bills what runs.
//
// The service and its volume, not Railway's template: what a deployed template made can't be
// told from what another one made at the same time, and the function secret() that makes
// its password exists in templates only.
//
// A database that moves is reached by its public address, as its applications reach it, and as
// the superuser that they are there (see package pgmove). To lift a freeze takes Railway's
// API, too: it tells the address.
//
// Errors come inside of answers of success, and their texts are all there is. No text decides
// here. The form does (see classify): an answer without `data` was not begun: Invalid. A read
// that is refused while the token itself may not be read is Denied. What is left is Transient
// of a read and Uncertain of a write, which is then looked into: so a service that exists
// ("a service named … already exists") is simply seen.
//
// The schema is a part of Railway's, written down for the generator (schema.graphql); tests
// hold it, and every exchange, against the published one. The variables of many databases are
// asked for by one operation that is put together, as no operation has a list of them.
//
// Not known: how late Railway's lists are (a minute is assumed, and 90 s for parts), and
// whether a scheduled project is listed (one with deletedAt counts as gone). A volume that
// does not show is taken for late for ten minutes after the project was made, and for gone
// after that. A volume that holds nothing is deleted without a backup.
package railway

//go:generate go run github.com/Khan/genqlient genqlient.yaml
