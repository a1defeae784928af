// Package simulated is a Resend of our own: the mail half of its API, with its limits and
// errors.
//
// # Model
//
// E-mails are sent (POST /emails), read by id and listed newest first, in pages of 100 at
// most, without their bodies. Domains are listed; a sender whose domain is not verified is
// refused. Idempotency keys are kept for 24 hours: the same key and body gives the first
// mail's id, another body a 409, a request beside one that is still at work another 409.
// Requests are limited by the second, mails by the day and the month. An API key may be one
// that only sends, and an account one that Resend found something about (Suspend).
//
// It promises: answers as in the published description and error bodies as in
// resend.com/docs/api-reference/errors, with statusCode, name and message; lists as late as
// Options.Lag says; the same requests at the same times give the same answers and ids. What
// was sent can be asked for with Sent: one entry a mail that somebody would have got.
//
// It refuses to send anything, and what Resend has beyond that: batches, attachments,
// templates, schedules, webhooks answer 404.
package simulated
