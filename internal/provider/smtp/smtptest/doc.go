// Package smtptest is a mail server for tests.
//
// # Model
//
// A Server listens on a port of this machine, speaks as much SMTP as a sender needs (EHLO,
// STARTTLS, AUTH PLAIN and LOGIN, MAIL, RCPT, DATA, QUIT) and keeps what it took. Faults say
// where it answers something else, breaks off, or breaks off after it took a mail.
//
// It promises: a mail is kept exactly when its dot arrived and no fault refused it; a line end
// of its own or a missing dot never makes one; Close waits for all of its talks. It refuses to
// relay, and to be more patient than the standard: bare line feeds and lines of more than
// 1000 bytes are refused.
package smtptest
