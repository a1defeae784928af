package store

import (
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// MaxPlan is the longest plan of a pull request that is kept whole, in bytes.
const MaxPlan = 16 << 20

// Pull returns what is held of a pull request.
func Pull(tx Tx, number int) (state.Pull, bool, error) {
	return get[state.Pull](tx, bucketPulls, seqKey(uint64(number)))
}

// Pulls returns all of them, by number.
func Pulls(tx Tx) ([]state.Pull, error) { return all[state.Pull](tx, bucketPulls, "") }

// PutPull writes one.
func PutPull(tx Tx, p state.Pull) error {
	return put(tx, bucketPulls, seqKey(uint64(p.Number)), p)
}

// DeletePull forgets one, and its plan.
func DeletePull(tx Tx, number int) error {
	for _, key := range []string{seqKey(uint64(number)), sinceKey(number)} {
		if err := tx.Delete(bucketPlans, key); err != nil {
			return err
		}
	}
	return tx.Delete(bucketPulls, seqKey(uint64(number)))
}

// PullPlan returns the whole plan of a pull request: its JSON in gzip.
func PullPlan(tx Tx, number int) ([]byte, bool, error) {
	return get[[]byte](tx, bucketPlans, seqKey(uint64(number)))
}

// PutPullPlan keeps it.
func PutPullPlan(tx Tx, number int, plan []byte) error {
	return put(tx, bucketPlans, seqKey(uint64(number)), plan)
}

func sinceKey(number int) string { return seqKey(uint64(number)) + "/since" }

// PullSince returns the plan that the one of now is compared with.
func PullSince(tx Tx, number int) ([]byte, bool, error) {
	return get[[]byte](tx, bucketPlans, sinceKey(number))
}

// PutPullSince keeps it; nil forgets it.
func PutPullSince(tx Tx, number int, plan []byte) error {
	if plan == nil {
		return tx.Delete(bucketPlans, sinceKey(number))
	}
	return put(tx, bucketPlans, sinceKey(number), plan)
}

// Command returns what became of a comment that commands.
func Command(tx Tx, comment int64) (state.Command, bool, error) {
	return get[state.Command](tx, bucketCommands, seqKey(uint64(comment)))
}

// Commands returns those that are kept, by comment.
func Commands(tx Tx) ([]state.Command, error) { return all[state.Command](tx, bucketCommands, "") }

// PutCommand writes one.
func PutCommand(tx Tx, c state.Command) error {
	return put(tx, bucketCommands, seqKey(uint64(c.Comment)), c)
}

// DeleteCommand forgets one.
func DeleteCommand(tx Tx, comment int64) error {
	return tx.Delete(bucketCommands, seqKey(uint64(comment)))
}

// CommentsSeen is up to when comments were looked at; false before the first look.
func CommentsSeen(tx Tx) (time.Time, bool, error) { return get[time.Time](tx, bucketMeta, "comments") }

// HeadsAsked is the sequence of the newest verdict whose commits' pull requests were asked
// for; false before the first look.
func HeadsAsked(tx Tx) (uint64, bool, error) { return get[uint64](tx, bucketMeta, "heads") }

// PutHeadsAsked moves it.
func PutHeadsAsked(tx Tx, seq uint64) error { return put(tx, bucketMeta, "heads", seq) }

// PutCommentsSeen moves it.
func PutCommentsSeen(tx Tx, at time.Time) error { return put(tx, bucketMeta, "comments", at) }
