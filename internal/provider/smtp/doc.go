// Package smtp sends mail through a mail server of one's own, or any that speaks SMTP.
//
// # Model
//
// A mail is one delivery: connect, TLS, log in, sender, recipient, the message of package
// letter, and the dot that ends it. SMTP has nothing that could be looked up afterwards. So
// a record of each mail is kept in a folder of our own (package objectstore), written right
// before the dot: no record, and the server never got a whole message; a record, and it may
// have. A refusal of the message takes the record off again.
//
// # Promises
//
// A name is sent once: a second Create of it is a Conflict, also after a restart. A write is
// Uncertain only when the connection broke between the dot and its answer; then the record
// stands, the look finds the mail, and it counts as sent: one mail too few is better than the
// same one twice, which looks like an attack or a fault of the client's shop. Whatever breaks
// earlier is Transient: nothing was sent.
//
// Answers are told apart by code and by where they come (RFC 5321 section 4.2): 4xx are
// Transient; 5xx are Denied where they are about us (greeting, TLS, login, sender) and
// Invalid where they are about the mail (recipient, content).
//
// A password goes out over TLS or to this machine, nowhere else. STARTTLS is insisted on
// unless the configuration says none; what came in clear before it is forgotten, and what
// came along with its answer ends the talk. Certificates are verified. A talk has 2 minutes
// until the dot and 3 more for the answer; a server may say 256 KiB.
//
// The Message-ID is made of the name: should a mail arrive twice in spite of all, because
// the folder was lost, most mailboxes show one.
//
// # Refusals
//
// A mail that was sent can't be changed or taken back. What it said is not kept: the record
// holds the name, the mark and the time. Records of mails to those who run this program (no
// mark) are dropped after 30 days.
package smtp
