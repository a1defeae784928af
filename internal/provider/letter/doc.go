// Package letter holds what a mail is, for the providers that send some.
//
// # Model
//
// A Letter has one recipient, a subject, a text and the same as HTML. Of takes it from a
// wish of the kind mail; where the wish has no HTML, it is made of the text: paragraphs and
// links, nothing else. Key is its name at a vendor that wants keys, MIME the message as it
// goes over SMTP.
//
// # Promises
//
// Nothing that was wished becomes a header of its own: recipient, sender and subject are one
// line without control characters, and are encoded (RFC 2047) where they are not ASCII.
// The HTML is a whole document that names the letter in its head; NameIn reads that, and
// what a text says can't forge it. The same letter is the same bytes, whoever asks and
// whenever: a vendor that compares what it is sent twice sees the same twice. Lines of a
// message have at most 76 characters.
//
// # Refusals
//
// More than one recipient; addresses that are not ASCII, which many servers don't take;
// whatever is too long. It sends nothing and reads no clock.
package letter
