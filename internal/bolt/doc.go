// Package bolt keeps state in one bbolt file.
//
// A record is a JSON value, sealed under bucket and key: a record that is changed,
// or put in another's place, is store.ErrDamaged and never another value. Sequences
// are records too. One plain record, the header, says what the file is: its schema
// and which key seals it.
//
// Concurrent Updates share one transaction of the file and one sync. Whoever holds
// the pen runs its function on its own goroutine, over a buffer of its own; what
// succeeded goes into the shared transaction, so a function that fails, panics or
// exits undoes itself alone. Whoever finds nobody waiting for the pen commits for
// all since the last commit. A lone writer waits for nobody.
//
// Beside the file PATH lie PATH.lock, which says who has it open, and PATH.marker,
// which says that a state is expected: when the marker is there and the file is not,
// Open refuses (ErrMissing) instead of starting with an empty state, which would make
// everything a second time. A state that is made anew in its place for a rebuild (Anew) is no
// state for anybody else until the rebuild has filled it. The marker also tells an older copy that was put back from
// the state that was there last (epoch.go).
//
// It promises: a backup that bears its name is whole and opens; a state of every schema
// that there ever was opens; an Update that returned nil survives a crash; one that returned an
// error changed nothing; what cannot be trusted is an error with a sentence, never a
// panic; files have mode 0600. It refuses: a second process, a newer schema, another
// key, to go on writing after the disk left it unclear what was written (ErrBroken).
//
// # Design
//
// bbolt has no checksum on its data pages and panics on damaged ones; the seals find
// the former, and every access is fenced for the latter. A fault of the mapped file
// (SIGBUS, when it was cut from outside) becomes an error the same way. A page that is
// reached twice, which bbolt would follow for ever, is found when the file is opened
// (loop.go). What the seals cannot find is a record that is missing as a whole, or an old
// version of it brought back by someone who writes the file.
//
// Since goes by a list in memory of the last writes, noted before they are committed: it
// may name a record that was not written after all, and never leaves one out (recent.go).
//
// View and Update hold a transaction: a function must not call View or Update of the
// same store, nor wait for one who does.
package bolt
