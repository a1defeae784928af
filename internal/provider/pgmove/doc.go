// Package pgmove freezes a PostgreSQL database, compares it, and loads it from a dump: what
// the rooms of PostgreSQL servers share to be a provider.Mover.
//
// # Model
//
// A Database is one database with two ways in: as its keeper, who freezes and compares, and as
// its owner, as whom a dump is loaded.
//
//	Freeze   default_transaction_read_only = on, of the database and of its owner there; then
//	         all sessions from before end, so that each that comes begins under it
//	Thaw     the reverse: the settings go, and the sessions that had them end
//	Content  every table's rows: their number, and a sum of their texts' MD5; every
//	         sequence's state; the large objects, bytes included; what there is beside rows
//	         (columns, constraints, indexes, views, functions, triggers, policies, comments …):
//	         at one moment (repeatable read); what no dump takes along, and why this machine
//	         could load nothing into it
//	Dump     pg_dump's archive, complete or an error, over nothing
//	Load     pg_restore in one transaction, as the owner
//
// # Promises
//
// A row that is added, changed or lost shows in Content, and so does a table, column, view,
// function or the like that is lost or of another kind. A Load that fails or is cut off has
// loaded nothing, but what was there before is gone. Load takes only what is empty or frozen.
// No password is an argument of a program or stands in an error; of what a program says that
// failed neither rows nor values are told: what the server quotes is left out, but for names.
// What a client's own function says without quotes is told.
//
// # Refusals
//
// Prepared transactions: they would be committed under a freeze. A database's foreign and
// materialized data: it comes from elsewhere. A server older than the dump's.
//
// # Design
//
// pg_dump refuses a server that is newer than itself. pg_restore reads no archive of a newer
// pg_dump, and of 17 and newer it sets transaction_timeout, at which a server before 17 ends
// the load. So Find takes the oldest version that is not older than the server: a move goes to
// an equal or newer one, so that what loads is never older than what dumped. That nothing can be
// loaded is part of Content (Refuses), which is read before anything is frozen, and not of
// Freeze: which of two is left and which is filled does not show by what is in them.
//
// What the freeze holds against. A database's owner can't be kept from writing by anything
// that a statement says and that leaves reading: what is revoked from an owner it grants to
// itself again, and a setting it can set off (SET, BEGIN READ WRITE, ALTER ROLE). It would take
// another owner, or NOLOGIN, which takes reading away, too: the site would be off for as long
// as a copy and a build take. No application writes around a default that it does not know
// of; one that does is found out: contents are compared after the copy, row by row, and a
// difference ends the move with the old database as it was. What is written around it after the
// comparison, before the site has the new address, nobody finds: it stays in the old one.
//
// Rows are compared by their texts (record_out under fixed settings), not by their bytes: two
// versions lay them out differently. The sum is of 64 bits of each MD5, added up as
// numbers: no order, no overflow, and two rows that swap values show. What is beside rows is
// compared by its names and properties, and not as the server prints it: a view's text differs
// between versions, and one that pg_restore made is the one that pg_dump read. What an
// extension's own tables hold is not compared, nor are comments on extensions.
//
// A dump is loaded by pg_restore itself, never as a script by psql: the names in it are the
// client's, and psql has commands that run programs (CVE-2025-8714). It is loaded as the owner:
// whatever a dump says, it can do nothing that its client could not. Nor can what is compared,
// which the keeper reads, perhaps a superuser: it reads tables and sequences only, so that one
// whose client makes a view of it in that moment is an error and no function of the client's.
//
// What pg_dump of one database leaves out, and a site may need, is told as Settings: what ALTER
// DATABASE and ALTER ROLE give a session. Who moves says so before anything is frozen. Two servers
// that sort texts otherwise (Order) hold the same rows, so that it is told and no obstacle.
//
// Privileges and owners are left out, as the roles they name are another server's; so are
// publications, subscriptions and what says where files lie. What other roles may, publications and
// subscriptions are told (Stays), after the copy: a site of its own connects as the owner, who may all.
package pgmove
