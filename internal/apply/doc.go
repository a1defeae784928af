// Package apply walks a plan.
//
// Steps run as soon as what they need is done, side by side where they may. Every
// step that writes goes the same way:
//
//	look        a create first finds: what bears our mark is taken over, what does
//	            not is a conflict
//	intent      committed to the journal, with every generated secret sealed into it
//	call        one provider call; nothing below repeats a write
//	outcome     the recorded resource and the end of the intent, in one transaction
//
// An error says through its kind what comes next: transient and rate-limited calls
// are tried again here, a few times, later by the caller; an uncertain one is looked
// into until journal.Settle decides; a conflict is looked at once; the rest ends the
// client's pass. What serves and was changed is noted on the client before it is
// changed (state.Undo), so that a failure, or the start after a crash, puts it back.
//
// It promises: no provider write without a committed intent; no blind repeat; no new
// step once the wish is superseded; a result for every step. It refuses to decide
// what to do: that is plan's.
//
// # Design
//
// A wait of a deployment is not an intent: its id is recorded before the first poll,
// so a restart polls on. The audit record and the client's status are written by
// reconcile in one transaction at the end of the pass; the plan's Record step only
// shows that it will happen.
package apply
