// Package canary looks for planted secrets in whatever a program put out.
//
// A Trap knows values that may be nowhere outside, and searches bytes for them: for each
// value and for every piece of it, in every spelling in which text travels (plain, base64
// of both alphabets inside of longer base64 too, hex, numbers, percent-encoded, escaped as
// in JSON, Go, HTML and Markdown, reversed). It serves tests; no other room imports it.
//
// It promises: eight bytes of a planted value in a row are found, wherever they begin and
// whatever stands around them; a find names whose value it was and how it was spelled, and
// never shows it. It refuses values shorter than four bytes, which ordinary text would
// hold, and finds nothing that was sealed. What is packed is searched once Unpacked opened it.
package canary
