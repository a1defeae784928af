// Package httpapi speaks JSON to vendors over HTTP, for the providers that have no library.
//
// # Model
//
// A Client is one account at one vendor: an address, a token, an *http.Client. A Call is one
// request; Do makes it and says what came of it. An error is a *provider.Error whose kind is
// exact, for that is what nothing-twice rests on (promise P3):
//
//	no connection came about                   Transient: nothing was sent
//	sent, and no answer, or one that breaks    a read: Transient; a write: Uncertain
//	429                                        RateLimited, until Retry-After, at most an hour
//	401, 402, 403                              Denied
//	404                                        NotFound
//	409                                        Conflict
//	other 4xx                                  Invalid; 408 is as no answer
//	3xx that leads elsewhere, 5xx              a read: Transient; a write: Uncertain
//
// A vendor that documents more says it with Client.Classify, by status and code.
//
// Below a vendor's library, whose errors lose what came, Noting is the transport: it writes an
// exchange down in a Note, and Judge says by it what Do would.
//
// Lines is for an answer that lasts, as a build's log that is followed: each line is handed on when it
// comes. In place of the client's time limit it has one for silence and one for the whole; a line and
// the whole are bounded; it is asked once; and it takes one of the transport's places (AtOnce) only until
// the answer begins.
//
// It promises: one request a call, never a repeat; bodies of at most 4 MiB; no redirect to
// another host, and none of a write; no token in an error or an address; vendor text is one
// bounded line. It refuses to wait and to repeat: that is the transport's below it (reads
// only) and the engine's above it.
package httpapi
