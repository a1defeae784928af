// Package simulated is a GitHub of our own: one repository with its pull requests,
// comments, statuses, deployments and checks, spoken to over HTTP as GitHub is.
//
// The commits are real ones, in a gitserver. A Forge holds what stands beside them, says it
// as GitHub's REST API does (API), shows it to people (Pages), and tells of it by signed
// webhooks. What people do in a test is a method: OpenPull, Push, Comment, Merge. What the
// program did is read back: Statuses, Comments, Deployments, Writes.
//
// It promises to be no kinder than GitHub: answers fit the published descriptions; a token
// can do what its permissions say and no more; `mergeable` is null until it was worked out
// in the background, and is forgotten when the base moves; times have no fractions of a
// second; statuses are added, never replaced, 1,000 a commit and context; what is too long
// is refused; lists come in pages; writes have their limits a minute and an hour; a webhook
// is sent once. Faults (an outage, a lost answer, a slow one, a limit, a list that lags)
// are set while it runs, for one kind of call or for all.
//
// With Options.Dir the world outlives the process: it is written before a call is answered.
// Not kept are tokens of installations, webhooks made over the API and all deliveries,
// limits, faults, Writes, and that the repository was renamed or archived or the App suspended.
//
// It refuses: GraphQL, reviews, organisations and teams, more than one repository
// and its forks. It counts no concurrent requests. What GitHub would only do slowly (a
// webhook, a test merge) is done by one goroutine, in order; Settle waits for it, Close ends
// it. Pages answer only this machine.
//
// # Design
//
// All that changes the world happens under one lock, which is taken before a repository's
// lock of the gitserver. Pushes are not told by their content: after each, the branches are
// compared with those that were known, so that a push that came while the process was away
// is found by the next New.
package simulated
