// Package githubtest checks what is said to and by GitHub against GitHub's published description.
//
// A Contract holds the description of the REST API and looks at exchanges: Wrap puts it
// between a client and whatever answers it, Handler in front of a server. So the client
// and its simulator are held to the same paper, which neither of them wrote. It serves
// tests; no program imports it.
//
// It promises: a request or an answer that does not fit fails the test and says where; an
// operation that the description at hand does not have fails it, too, but for the few of
// Uncut, whose names stand here; how many exchanges were judged can be asked, so that a
// test can insist that some were.
//
// It refuses to need the description: where it is not beside the project, exchanges pass,
// and the test's log says so once.
//
// # Design
//
// The description is beside the project, in shared/specs, with the notes of how it was cut.
// Answers of a status that it does not list (GitHub lists hardly an error) are asked only
// for a message. An address may have a path before the API's own: GitHub Enterprise serves
// it below /api/v3/.
package githubtest
