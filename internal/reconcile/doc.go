// Package reconcile brings one client to what Git wishes.
//
// Read pass.go first: it is one client, one pass, from the recorded wish to the
// reported end. The rest serves it:
//
//	poll.go     has the branch moved? accept the new head (package accept decides)
//	load.go     what a pass reads, in one moment
//	look.go     look before you change
//	end.go      how a pass ended: one transaction for status, audit, verdict, report
//	together.go who fails with whom, where names moved between them
//	settle.go   what an earlier pass left open: uncertain writes, half a rollback
//	ops.go      what people ask for: approve, retry, pause, resume, purge
//	takeover.go what paused clients adopt: recorded and marked when a person confirms it
//	secrets.go  secrets that are set, and who uses them; refresh.go  what sources outside have,
//	            secretowners.go  and whose it is, prune.go  what is forgotten: versions that nothing is made
//	            of any more, runs and history over what is kept of a client
//	preview.go  plans that nobody runs
//	side.go     what can be worked out for many clients at a time
//	view.go     what people are shown
//	health.go   scheduled probes
//	looks.go    scheduled looks: who is looked at, what is written and told of it
//	survey.go   how a look sees: one listing a provider, of those whose turn it is, single reads,
//	            within a budget and half of each vendor's window
//	mend.go     a pass that puts back what two looks found changed
//	payments.go how far an account for payments is: looked at when its keeper says that it
//	            changed, and by the scheduled looks; no pass waits for it
//	drift.go    what is not as recorded, now; adoptdrift.go makes a change of it, adoptproof.go checks that
//	sources.go  what a ref means; bump.go  a change of a template that deploys another one
//	rebuild.go  a lost state, made anew from Git and marks (package rebuild decides)
//	restored.go an older state that was put back, compared before anything acts on it
//	witness.go  what the providers show of ours, read only
//	clock.go    this machine's clock was set: what waits for no date of before, what stays, and what
//	            is put off
//	upgrade.go  what only a new version of this program would make otherwise waits
//	welcome.go  who was served before anything sent mail needs no welcome
//	poison.go   passes that run into an error of this program, or end the process
//	turns.go    who may pass beside whom after a crash
//
// A pass is about a group: clients joined by a name that moves between them, usually
// one. Whoever calls runs one pass a group at a time (Group says who belongs). They stay
// joined when nobody asks for the name any more, until it has gone: one may still have it,
// and another's alias redirect to it.
//
// Judging a new head reads all clients and claims. The engine keeps them from head to head
// in a store.Memo, so that one changed manifest costs as much among ten thousand clients
// as among a hundred.
//
// It promises: nothing is written for a client whose wish did not change, unless a
// retry, an approval, a secret, a date or a mend that its policy asks for is the cause; a pass may be killed anywhere and the next
// one goes on; every pass that changed something leaves an audit record; an error of
// one client is that client's, an error in this program too: three panics in a row, or
// three deaths of the process of which it was proved alone, and the client is left alone
// until somebody says `retry` or commits another wish of it.
//
// # Design
//
// What only a new version of this program would make otherwise waits, beside a commit and an approval, for a new
// version of a secret that the client uses: to keep a leaked one in use until somebody approves an upgrade would be worse.
// A client that passes with others, as a name moves between them, is part of what their commit asks for, and waits
// for neither. A change of the configuration alone is no upgrade.
//
// A plan that the forge refused to take shows nothing (P12): whoever merges on an earlier one is asked again, also about
// what that one showed. First tries count as told, as a merge may follow within the second.
//
// A removal waits longer than its date while the branch has a head that is held as a whole and has that client's file.
//
// A name or a database that a commit takes away, and that waits for an approval, a date or a file, keeps that commit's
// verdict at held until it has gone, as the removal of a whole client does: "success" would say that it is gone.
//
// A vendor that doesn't answer keeps what became of a write to itself, maybe for hours. Its client is planned beside that
// where it passes alone and puts nothing back: all steps at that vendor wait, and whatever was written. (Of clients that
// pass together the write may decide who has a name; what is put back may come first of two writes.)
//
// What is in a DNS zone that is another account's by now nobody here can take away. It is neither taken for gone (P3) nor
// waited for without end: its removal is a hold of its own (left), and whoever approves that lets it be. It goes off the
// record, and all else of the client goes.
//
// Data is kept until the latest of the date that it was retained with, what its living client's manifest says by now, or
// said last before it went, and the platform's floor by now. A later date is never undone by the earlier one. What was asked
// for again in between is kept for its whole time from when it was taken out of use last, though it never came back into use.
//
// It refuses to know vendors, files, sockets or schedules: it owns the small ports
// that it needs (Repository, and the store's and providers' contracts).
package reconcile
