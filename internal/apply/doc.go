// Package apply walks a plan.
//
// Steps run as soon as what they need is done, side by side where they may. Every
// step that writes goes the same way:
//
//	settle      what an earlier try left open is looked into first
//	look        a create first finds, and reads by id what a list shows: what bears our
//	            mark is taken over, what does not is a conflict
//	intent      committed to the journal, with every generated secret sealed into it
//	call        one provider call; nothing below repeats a write
//	outcome     the recorded resource and the end of the intent, in one transaction
//
// An error says through its kind what comes next: transient and rate-limited calls
// are tried again here, a few times, later by the caller; an uncertain one is looked
// into until journal.Settle decides; a conflict is looked at once; the rest ends the
// client's pass, but for a mail that was refused for good: that is noted, and left to the
// client's next pass. What serves and was changed is noted on the client before it is
// changed (state.Undo), so that a failure, or the start after a crash, puts it back.
//
// What is not ready when it was made is waited for: by the plan's Await step, or where
// there is none by the step that made it. What a person has to do (phase manual) is not
// waited for here: the step ends waiting, with what to do as its error, and a later pass
// looks again. A Ready object may leave something to a person, too: its Message is kept.
// What was made in part (Unfinished) is finished by an update with an intent of its own; a
// restart that finds one on record plans that.
//
// A name that is Unreached is as good as a ready one, until the plan's Secure step: that updates
// it with the wish that it has, a few times, until its host finds that DNS leads there.
// Whether it is done its phase says: an update that changes no attribute looks done always.
//
// Adopting writes nothing. The record is what the object says where that differs from the
// wish: variables and secrets sealed, all else as it is. What is named in `adopt:` keeps
// the phase plan.Adopting until the pass is through, so that one that was cut off is
// begun again.
//
// A mark is written on what was adopted when a person asks for it (label.go), with an intent
// as every write; the record stays as it is.
//
// A transfer of a database has one intent for all that it does. While that is open, the
// database on record as its client's own may be frozen, and whoever finds it thaws that, and
// nothing else: before the switch of the record it is the old one, after it the new one. So
// no freeze outlives its process by more than a start, and two databases never take writes for
// one client. A transfer that failed is not tried again by itself. It is taken back only while
// the new one holds what it held at the switch; that is compared under a freeze of the new one.
//
// It promises: no provider write without a committed intent; no blind repeat; no new
// step once the wish is superseded; a result for every step. It refuses to decide
// what to do: that is plan's.
//
// # Design
//
// The clock of this machine may be set between two looks into an uncertain create. So how far
// apart looks are, and how long a build or a probe may take, is counted by Runner.Elapsed, which
// nobody sets; looks of an earlier process don't count, and after a restart such a create is
// looked for across the whole lag once more.
//
// A wait of a deployment is not an intent: its id is recorded before the first poll,
// so a restart polls on. Its log comes with the looks, or between them where the vendor's can be
// followed (provider.Following). The audit record and the client's status are written by
// reconcile in one transaction at the end of the pass; the plan's Record step only
// shows that it will happen (and ends an adoption).
//
// Copies of pages are forgotten by a step that writes nothing that is on record: it has no
// intent, and after a crash in the moment before it the copies end by themselves.
//
// A conflict at a vendor whose lists are late is looked at again when they can be
// trusted: it may be an earlier create of ours. Beyond maxStepWait the client waits
// outside, its intent open. Where nothing is seen then, the create is tried once more; refused
// again, it waits for a person: what stands in its way no list will ever show.
//
// Where one of our address records goes, and a person keeps another client's of the same name,
// theirs is on record as not done again, with the outcome of the delete: DNS answered with ours
// until then. Its client is due once more, and its pass looks, and asks for it.
//
// An account for payments is no wait: its owner finishes it in their own time, at its keeper,
// and what is left is its Message. Adopting one gives it no phase of its own.
package apply
