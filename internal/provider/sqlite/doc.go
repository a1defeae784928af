// Package sqlite keeps one database file a client.
//
// # Model
//
// A database is a SQLite file in one folder, named after the object's deterministic
// name. What a vendor would keep beside it is inside it, in the table _reconciler: id,
// name, ownership mark, access, schema, disabled collections. So a lost state can be
// rebuilt from the files alone. An administrator is a row of the table users in such
// a file; whose it is stands in _reconciler_admins.
//
//	DIR/NAME.db      a database; its id is NAME.SUFFIX, minted when it is made
//	DIR/moved/NAME   empty: the database NAME.db has another name now
//	DIR/.new-…       one that is being made; swept at the next start
//
// The attribute schema names a template; its migrations are applied in one
// transaction and noted in schema_migrations. Another template later adds its
// tables and takes none away. Tables that are new get a few invented rows. A template
// without migrations of its own gets pages and users.
//
// # Promises
//
// A database is made whole or not at all: it is built beside its place, synced, and
// linked there, which fails when the name is taken. A file that is damaged is an
// error, never an absence and never an empty database. An id is never used twice, so
// that an empty database can't pass for the one that was there. A password is
// hashed, and never given back. Dump writes a complete copy or nothing, and writes
// over nothing.
//
// # Refusals
//
// Paths: names and ids only ever become one file name in the folder. Deleting what
// can't be read: whose it is can't be told. Taking over an administrator that
// somebody else made: it is reported without a mark.
//
// # Design
//
// The rollback journal (the default) is kept, not WAL: a database at rest is one file, and the site
// may open it to read without leaving files behind. Every call opens and closes the
// file: a fleet of databases holds no descriptors. Bcrypt reads 72 bytes of a
// password, so a longer one is refused instead of cut.
package sqlite
