// Package github speaks with GitHub.
//
// API is one repository there, a forge.Forge over go-github: pull requests, comments,
// statuses, deployments, checks, suggestions, in the name of a token or of a GitHub App.
// Propose (propose.go) opens a pull request that changes one file, step by step, each after a
// look, so that asked again it goes on. Hook says whether a request that claims to be a webhook delivery is one, HintOf where it
// says that there is something to look at, and Handler answers it. A delivery is a hint, no
// more: nothing in it is believed, and what GitHub says of a commit is never applied from here.
//
// It promises of calls: reads are repeated a few times, a write is sent once (again only
// where GitHub said that it did nothing: 401 with a token that can be renewed, a redirect
// with 307 or 308); every body, list and wait has a limit; a failed or empty answer is an
// error, never an empty list; once a limit is met nothing is sent until its time, and near the
// budget of writes the less important give way (importance). Lists that did not change cost
// nothing of the limit. An error is one of package forge's; neither it nor the log holds a
// credential, and of GitHub's words only what is short and plain.
//
// It promises of deliveries: whoever does not know the secret gets nothing read but bytes; the
// signature is compared in constant time, over the bytes as they came, before they are
// parsed; a body is bounded by MaxPayload; two secrets hold while one is changed for another.
// A flood of bad requests takes bounded memory, and bodies that dribble make room for others.
//
// It refuses: to send a credential to another host or outside the API's path; plain http but
// to this machine; SHA-1 signatures, forms, a request with two values of a header that
// decides, a secret that is empty or can be guessed, and anything but POST. The error of a bad
// delivery repeats nothing of it.
//
// # Design
//
// The transport is ours, go-github gives requests and types. It would not see a limit told by
// 429, would refuse calls by a clock of its own after one, and its errors hold requests and
// answers. So it never sees an answer that is not success, nor a limit's header.
//
// ghinstallation signs as the App and keeps its installation's token. It renews the token a
// minute before its end by the machine's clock; a token that GitHub refuses earlier, because
// the clock jumped or somebody revoked it, is replaced once a call. It is asked for this one
// repository only.
//
// Who we are is asked from GitHub (Me), for an App as the user SLUG[bot]: what is compared
// with a comment's author is that user's ID, since a login may change hands.
//
// Me, suggestions and their comments use operations that the cut of GitHub's description
// beside the project lacks; githubtest names them.
package github
