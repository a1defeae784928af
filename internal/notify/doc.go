// Package notify tells those who run this program by mail what became of clients, or of
// the providers that these wait for.
//
// # Model
//
// A client is well, or it failed, is held, or is degraded: that is its word, and with what
// caused it (the step and the commit, the hold) its cause. So is a hold of the whole
// repository. One that waits in the middle of a change as a token may not do what it asks is held, too: nobody but a
// person mends that. (Where the token is refused as a whole, the provider's notice speaks for all.) A provider is away (it does not answer), or shut (it does not let us in), each by
// itself, or back; until it was asked since the start, nothing is known of it. Run compares how
// things stand with what people were told. What differs becomes one Bulletin, stored in the
// transaction that notes it as told, and then mailed to each recipient under a name of its own.
//
// # Promises
//
// A cause is told once, and its end once, and only if the cause was told. What came and went
// between two bulletins is not told. A bulletin that is stored arrives at least once, across
// restarts; twice only where a vendor of mail forgets a name before its answer is known. A
// client that is being worked on is no news: what becomes of it is.
//
// An outage is one mail, and its end one, across restarts: what people know of a provider
// stays until it is seen to answer, or to let us in; that a new process has not asked it yet
// says nothing. What is over within a minute, or by the end of quiet hours, is not told. Where
// the provider is the one that mails, the outage is remembered and told with its end, in one
// mail; what waited then goes out at once.
//
// A flood is one mail: news is looked at twice, a run apart, before it is told, and ten
// minutes lie between two bulletins. In quiet hours none is made; what is over by their end
// is not told. A bulletin shows thirty notices, and counts the rest.
//
// # Refusals
//
// To decide anything by a mail's fate. A recipient whose address is refused is dropped from a
// bulletin, and logged; who can't be reached for two days, too.
//
// # Design
//
// Notices follow from what is recorded of clients and not from the outbox of verdicts: a
// verdict ends with its commit, while a failure that mends itself, a hold that lapses and the
// health of a site have none. How a provider stands is known to the process alone; what is
// recorded is that it was told, and since when: one that is refused again after a restart is
// in the same outage. The mail names no clients: who waits changes by the minute, and
// `reconciler status` says it.
//
// Of who is reached without HTTP (a mail server, PostgreSQL) it is told that it does not let us
// in; that it does not answer is seen at the clients that wait.
package notify
