package report

import (
	"strings"
	"time"
)

// Replies answer a comment that commands. Each begins with its hidden marker, is short, and
// mentions nobody: who commented sees it where the comment stands.

func reply(comment int64, text string) string { return MarkReply(comment) + "\n" + text + "\n" }

// ReplyDenied answers somebody who may not command.
func ReplyDenied(comment int64) string {
	return reply(comment, "Thank you, but commands are taken from people with write access to this repository only. Nothing was done. Someone who has it can write the same comment.")
}

// ReplyUnknown answers a command that there isn't. word is what was written.
func ReplyUnknown(comment int64, word string) string {
	return reply(comment, "There is no command "+Code(Clip(Line(word), maxCell))+". Nothing was done.\n\n"+commands())
}

// ReplyMisused answers a command that lacks its argument, or has one too many.
func ReplyMisused(comment int64, command string) string {
	return reply(comment, "The command "+Code(Clip(Line(command), maxCell))+" is not complete, or says too much. Nothing was done.\n\n"+commands())
}

// ReplyHelp lists the commands.
func ReplyHelp(comment int64) string { return reply(comment, strings.TrimSuffix(commands(), "\n")) }

// commands are what a comment may say.
func commands() string {
	return "| Comment | What it does |\n|---|---|\n" +
		"| `/reconciler plan` | plans this pull request again |\n" +
		"| `/reconciler plan COMMIT` | lets exactly this commit of a fork be planned |\n" +
		"| `/reconciler retry NAME` | tries a client again that failed |\n" +
		"| `/reconciler approve FINGERPRINT` | lets exactly the steps run that wait under it, once, within 24 hours |\n" +
		"| `/reconciler help` | shows this list |\n\n" +
		"They are taken from people with write access, for the head that they see; an edited comment commands nothing.\n"
}

// ReplyPlanning says that a commit is being planned.
func ReplyPlanning(comment int64, head string) string {
	return reply(comment, "Planning "+commit(head)+"; the plan comment of this pull request shows it when it is there.")
}

// Refusal is why a command was not followed, in a sentence of ours.
type Refusal string

// The refusals.
const (
	RefusedUnknownHold Refusal = "Nothing waits under that fingerprint: it was approved already, it went with a newer plan, or it is another installation's."
	RefusedStaleHead   Refusal = "This pull request's head is not planned yet; look at its plan first."
	RefusedNotWaiting  Refusal = "That client has nothing to try again: nothing of it failed or waits."
	RefusedNoClient    Refusal = "There is no client of that name."
	RefusedFinal       Refusal = "No approval helps here: what waits needs a change of the manifest."
	RefusedClosed      Refusal = "This pull request is closed."
	RefusedNotHead     Refusal = "That commit is not this pull request's head; a plan is made of the head only, named in full."
	RefusedOld         Refusal = "This was asked for more than a day ago, and this program did not come to it before. Please comment again if it is still meant."
	RefusedBusy        Refusal = "Too much is asked for at the moment. Please comment again in a few minutes."
	RefusedTrouble     Refusal = "It could not be looked up at the moment. Please comment again in a few minutes."
)

// ReplyRefused says why a command was not followed. what is the command as it was written.
func ReplyRefused(comment int64, what string, why Refusal) string {
	return reply(comment, "Not done: "+Code(Clip(Line(what), maxCell))+". "+string(why))
}

// ReplyApproved says what an approval binds, and until when it is good. steps are what
// waits under the fingerprint, where known; head is the commit that it was given for.
func ReplyApproved(comment int64, fingerprint, head string, steps []Step, until time.Time) string {
	text := "Approved: " + Code(Clip(Line(fingerprint), maxCell))
	if head != "" {
		text += " for " + commit(head)
	}
	text += ". It binds exactly "
	if len(steps) == 0 {
		text += "the steps that wait under it"
	} else {
		text += "these steps: " + names(steps)
	}
	text += ", and is used once"
	if !until.IsZero() {
		text += ", until " + stamp(until)
	}
	return reply(comment, text+". If the plan changes before that, it asks anew.")
}

// ReplyNothingWaits answers an approval under whose fingerprint nothing waits. It is good until then all the
// same, for what comes to wait there.
func ReplyNothingWaits(comment int64, fingerprint string, a Approval, until time.Time) string {
	print := Code(Clip(Line(fingerprint), maxCell))
	text := "Approved: " + print + ". Nothing waits for it now."
	switch {
	case a.Used:
		text = print + " was approved already, on " + stamp(a.At) + ", and that was used: nothing waits for it any more."
	case a.By != "":
		text = print + " was approved already, on " + stamp(a.At) + ". Nothing waits for it now."
	}
	return reply(comment, text+" What comes to wait under it runs, once, until "+stamp(until)+".")
}

// ReplyRetrying says that a client is tried again.
func ReplyRetrying(comment int64, client string) string {
	return reply(comment, "Trying "+Code(Clip(Line(client), maxCell))+" again; the result comment shows how it goes.")
}
