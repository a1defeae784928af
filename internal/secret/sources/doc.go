// Package sources reads secrets that are kept outside of the state.
//
// # Model
//
// A source is one of four: variables of the environment with a prefix, a folder of files,
// a file that age encrypted, a file that sops reads. Each has secrets of an owner (a
// client's id or name, or "shared") and a name, as `{secret: NAME}` and `{secret:
// shared/NAME}` name them; the two are small letters, digits and hyphens:
//
//	environment   PREFIX + CLIENT + "__" + NAME, in capitals, a hyphen as one underscore
//	folder        FOLDER/CLIENT/NAME; one line end at a file's end is not part of it
//	age, sops     CLIENT: {NAME: value}, as YAML; sops is asked for JSON
//
// A Set reads several, in their order: what an earlier one has counts.
//
// # Promises
//
// A look that finds nothing changed costs a listing: no file is opened, nothing is
// decrypted, no program is started. A source that can't be read is named in Failed, and
// one entry that can't be used has a Problem; neither is taken for an absence. Two owners
// or names never come from one place, and no place from two. No value is in a note, an
// error or a name. Values are held by nobody after a look.
//
// # Refusals
//
// Links that lead out of the folder, what is no regular file, values that are empty,
// binary or longer than MaxValue, more than MaxEntries of one source, documents above
// MaxDocument; aliases and anything but texts in a document (a number is written in
// quotes: YAML would change 0123); an age file under a passphrase. sops gets no secret on
// its command line, nor our own settings in its environment, and SopsTime to answer.
//
// # Design
//
// What is unchanged is told by names, sizes and times of files; a time that is too fresh
// to tell two writes apart is not trusted, and nothing is trusted longer than maxTrust.
// The tests let a stand-in answer as sops documents. sops 3.11.0 itself, with an age key, was tried
// by hand in November 2026: a first value, a new one, and a key that is gone.
//
// sops's own words are not repeated: they are of others, and may hold what it read. Its
// documented exit codes say what went wrong.
package sources
