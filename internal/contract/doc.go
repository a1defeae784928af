// Package contract checks what is said to and by a vendor against the vendor's published
// description.
//
// A Contract holds a description and looks at exchanges: Wrap puts it between a client and
// whatever answers it, Handler in front of a server. So a client and its simulator are held
// to the same paper, which neither of them wrote. OpenAPI reads what most vendors publish,
// GraphQL a schema. It serves tests; no program imports it.
//
// It promises: a request or an answer that does not fit fails the test and says where; an
// operation that the description at hand does not have fails it, too, but for those that
// Description.Uncut names; how many exchanges were judged stands in the test's log and can be
// asked (Judged), so that a test can insist that some were (Some).
//
// A stream (application/stream+json) passes as it comes, both ways; each whole line of it is judged by the
// description's schema once it is over, however it ends.
//
// It refuses to need the description: where it is not there (RECONCILER_SPECS, or shared/specs
// beside the project), exchanges pass, and the test's log says so. Payload publishes none: what
// is known of it is written by hand and always there.
//
// # Design
//
// Answers of a status that a description does not list (most list hardly an error) are judged
// by Description.Failure alone. A parameter or a field that it does not know fails the test
// though most vendors ignore it: whoever sends it hopes for something. Of a form with brackets
// (Stripe's) the values are judged by the validator as far as it reads them: it drops in silence
// what it does not know, and a field that may be a text or an object (metadata). So the names
// in the brackets are judged here, to any depth (see strangeForm); such a field's values are not.
package contract
