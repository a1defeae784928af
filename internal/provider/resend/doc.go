// Package resend sends mail through Resend (resend.com).
//
// # Model
//
// A mail is made by one POST /emails: recipient, subject, text and HTML (package letter). It
// is named twice: the Idempotency-Key is the deterministic name of the object, and the head
// of its HTML holds that name, which GET /emails/{id} gives back. Tags bear our mark for who
// looks at Resend's own pages; its API shows tags in no list, so Traits say that it keeps no
// mark, and Owned lists nothing.
//
// # Promises
//
// A name is mailed once. For 24 hours Resend answers the same key and body with the first
// mail's id and sends nothing, so a create whose answer was lost may be repeated: it returns
// the mail that was made. The same key with another body is a Conflict: the name was sent.
// Observe by name finds what was sent among the newest mails to that recipient with that
// subject, and is what counts after those 24 hours. Its look reaches two days or a thousand
// mails back, whichever comes first, and lists may be late: 60 seconds are assumed, since
// Resend states nothing. So a name could be mailed twice only if its answer was lost and nobody looked
// until the key was forgotten and a thousand other mails or two days had passed.
//
// A key that may only send ("sending access", which is what it should be) can't look: then
// the key decides alone, a look by name finds nothing, and one by id is Denied.
//
// Quotas are told apart by the error's name (resend.com/docs/api-reference/errors): of a rate
// limit Resend says how long it lasts; a quota of a day or a month ends at midnight UTC or
// with the month, as far as is known, so it is asked again after an hour at most. A sender
// whose domain is not verified is Denied, and says what to do.
//
// # Refusals
//
// A mail that was sent can't be changed or taken back: Update says so, Delete leaves it.
//
// # Design
//
// Of Resend's own library (resend-go) the types of requests and answers are used, and not its
// calls: it gives errors as texts without status and name, reads bodies without a limit and
// takes its address from the environment. Calls go through httpapi, whose kinds are exact.
package resend
