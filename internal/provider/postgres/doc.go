// Package postgres keeps one database and one role a client, on a PostgreSQL server of
// the user's own (13 or newer).
//
// # Model
//
// Database and role have one name, the object's. The role owns its database and has a
// limited number of connections; PUBLIC may not connect. The mark stands in two comments:
//
//	COMMENT ON ROLE      what counts: only an administrator can write it
//	COMMENT ON DATABASE  the same text, for people and for dumps: its owner could change it
//
//	reconciler:INSTALLATION/CLIENT/GENERATION id=… oid=… key=… access=… schema=… disabled=…
//
// The id is NAME.SUFFIX. The suffix is minted at each create and stands in the comment: a
// name alone would let an empty database pass for the one that was there; an OID is another
// one after the server was restored from a dump. A database of somebody else has its name as
// its id, bears no mark, and gives no url: `adopt:` records it, nothing here changes it.
//
// The password is derived (HMAC-SHA-256) from a key that the caller gives, the name and the
// suffix. So it is kept nowhere, a lost answer loses nothing, every look gives the same
// url, and a state that was made anew has it. The server is sent a SCRAM verifier, never
// the password: statements may be logged.
//
// # Promises
//
// CREATE DATABASE can't be in a transaction. So Create is three writes, each of which can
// be the last one, and a Create that comes later goes on from there:
//
//	1 role and its comment, stage=making    no object yet; nobody else's role is taken
//	2 CREATE DATABASE, owned by the role,   no object yet; nobody can connect to it
//	  ALLOW_CONNECTIONS false
//	3 REVOKE, ALLOW_CONNECTIONS, comments   the object, in one transaction
//
// Delete is three, too; a Delete that comes later finishes, and until then a look by id
// shows that something is left:
//
//	1 the role's comment, stage=going       the database is whole and serves
//	2 DROP DATABASE WITH (FORCE)            it is gone
//	3 DROP ROLE                             nothing is left
//
// A DROP DATABASE that is broken off leaves a database that the server calls invalid: nobody can
// connect to it, nothing can be written out of it, and only another DROP DATABASE ends it. So a
// Delete goes on without a dump there; the one that began it has made its own.
//
// Who works at a name holds an advisory lock, so that two processes make one database; a
// connection that broke in the middle of a statement holds it until the server is done.
// What nobody went on with for an hour (its client left Git) is taken away by a later
// Create of the same installation. Errors get their kind from SQLSTATE and from whether a
// writing statement was on its way: once a call has written, only the server's own refusal is
// not Uncertain. No error and no statement holds a password. Dump writes what pg_dump makes,
// complete or an error, over nothing. With Options.Dumps, Delete does so first, to a file of the database's
// id, of which the newest stays, and what can't be written out, or finds no room on the disk, is not erased; whoever
// writes to it in between writes to what goes. Where no pg_dump suits the server that holds, too, but under
// Options.GoesWithout: it is erased then, and whoever listens is told (provider.Tell), as of where a dump is.
//
// A look by id tells how much a database holds; so does the list, in the same connection, where
// the server works that out within five seconds for all of them: else the list tells no sizes.
//
// # Refusals
//
// Names that the server would cut (63 bytes). Anything without our mark: a database or a
// role of a wished name is a Conflict; it is never changed or dropped. `access: private`: from
// where a server is reached stands in its pg_hba.conf, which no statement changes. A
// DSN's other sources: no PG… variable, no .pgpass and no service file is used.
//
// # Design
//
// The configuration has host (where clients reach a server that we reach elsewhere),
// connectionLimit and dumps beside the design's dsn. Who says nothing of dumps has them beside the state,
// where a pg_dump is: data that nobody meant to lose weighs more than a file too many. `dumps: none` is for whoever
// promised a customer that data is gone by a date; nothing here deletes a dump. A folder that somebody named is
// asked for: there nothing is erased without a pg_dump. A dump takes up to an eighth more room than its database
// (measured: 7 % more than random bytes in a bytea, which pg_dump writes in hexadecimal and compresses).
// A client's role can connect to nothing else of ours. Databases that somebody else made let
// PUBLIC connect unless their owner says otherwise; that is not ours to change, and the
// README has the statement. Delete does not lock people out before it drops (ALLOW_CONNECTIONS
// false): a purge that is called off then leaves a database that works. Every call has
// its own connection instead of one of a pool, four at once: calls are few, and one that is
// never stale tells exactly which statement was on its way when it broke. schema and disabled
// are kept, not acted upon: the site's own migrations make its tables.
//
// A database that moves is frozen and compared by the administrator, and loaded as the client's
// role (see package pgmove): what is in a dump can do no more there than its client can.
package postgres
