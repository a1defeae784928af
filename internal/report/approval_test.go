package report

import (
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// What an approval came to says who goes on; and where nobody does, whether it was given before, and used.
func TestApprovalIsToldAsItIs(t *testing.T) {
	now := day(2)
	before := func(age, used time.Duration) state.Approval {
		a := state.Approval{Fingerprint: "9f3a00112233", By: "dana\x1b[2J", At: now.Add(-age)}
		if used > 0 {
			a.Used = now.Add(-used)
		}
		return a
	}
	ended := before(time.Hour, 0)
	ended.Ended = true
	const already, comes = `Approved already, by dana\u001b[2J on `, " What comes to wait under it within 24 hours runs, once."
	for _, c := range []struct {
		name   string
		waited bool
		before state.Approval
		names  []string
		want   string
	}{
		{"one goes on", true, state.Approval{}, []string{"demoshop"}, "Approved; 1 client goes on: demoshop."},
		{"some go on", true, state.Approval{}, []string{"a", "b", "c"}, "Approved; 3 clients go on: a, b, c."},
		{"many go on", true, state.Approval{}, []string{"a", "b", "c", "d", "e"}, "Approved; 5 clients go on: a, b, c and 2 more."},
		{"nobody goes on", true, state.Approval{}, nil, "Approved; no client has anything to do for it now."},
		{"once more, before it began", true, before(time.Hour, 0), []string{"a"}, already + "2 December 2026 08:30 UTC; 1 client goes on: a."},
		{"it was used, and the same waits again", true, before(time.Hour, time.Minute), []string{"a"}, "Approved; 1 client goes on: a."},
		{"it was used", false, before(time.Hour, time.Minute), nil, already + "2 December 2026 08:30 UTC, and used: nothing waits for it any more." + comes},
		{"it was used long ago", false, before(72*time.Hour, 71*time.Hour), nil, already + "29 November 2026 09:30 UTC, and used: nothing waits for it any more." + comes},
		{"it was given before, and waits", false, before(time.Hour, 0), nil, already + "2 December 2026 08:30 UTC; nothing waits for it now." + comes},
		{"it had lapsed", false, before(24*time.Hour, 0), nil, "Approved; nothing waits for it now." + comes},
		{"its client had gone", false, ended, nil, "Approved; nothing waits for it now." + comes},
		{"before the merge", false, state.Approval{}, nil, "Approved; nothing waits for it now." + comes},
	} {
		if got := Approved(c.waited, c.before, c.names, now).Text(); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
