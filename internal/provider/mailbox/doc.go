// Package mailbox catches the mail that a mail vendor would send.
//
// # Model
//
// A mail is an object: to, subject, text, and the time at which it was caught. It is
// on disk (package objectstore) when Create returns. Messages lists what was caught,
// as a page shows it.
//
// # Promises
//
// A name is sent once: a second Create of it is a Conflict, also after a restart and
// after its text was let go. Only the newest KeepMessages keep their text; of older
// ones stay name, mark and time. A mail that was sent can't be unsent: Delete frees
// its name, and its text stays in Messages as long as others do.
//
// # Refusals
//
// Whatever could become a header of its own: recipient and subject are one line
// without control characters, the recipient one address. Changing a mail: it was sent.
// Showing a text that came as a secret.
package mailbox
