// Package notify tells those who run this program by mail what became of clients.
//
// # Model
//
// A client is well, or it failed, is held, or is degraded: that is its word, and with what
// caused it (the step and the commit, the hold) its cause. So is a hold of the whole
// repository. Run compares what is recorded with what people were told. What differs becomes
// one Bulletin, stored in the transaction that notes it as told, and then mailed to each
// recipient under a name of its own.
//
// # Promises
//
// A cause is told once, and its end once, and only if the cause was told. What came and went
// between two bulletins is not told. A bulletin that is stored arrives at least once, across
// restarts; twice only where a vendor of mail forgets a name before its answer is known. A
// client that is being worked on is no news: what becomes of it is.
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
// health of a site have none.
package notify
