package report

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// The record of a pass that was cut off says why that has no end. What became of its client, and
// why, the client says: a later pass may have ended without a record of its own.
func TestOutcomeOfAPassThatWasCutOff(t *testing.T) {
	began := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	run := state.Deployment{State: "interrupted", Error: "this program died while it was at work on it", Started: began, Ended: began.Add(10 * time.Hour)}
	for _, c := range []struct{ fate, because, want string }{
		{"pending", "this program died while it was at work on it; it is tried again as soon as the program runs", "shop is not done yet; it goes on by itself."},
		{"failed", "railway: the plan does not allow it", "shop failed: railway: the plan does not allow it"},
		{"held", "mail would stop", "shop waits: mail would stop"},
		{"succeeded", "", "shop is live at https://shop.example."},
	} {
		r := ClientResult{Fate: c.fate, Run: run, Client: state.Client{Name: "shop", URL: "https://shop.example", Because: c.because}}
		if got := r.Outcome().Line(); got != c.want {
			t.Errorf("%s: %q, want %q", c.fate, got, c.want)
		}
		if got := r.Status(); strings.Contains(got.Text, " in ") {
			t.Errorf("%s: it took from its beginning until somebody found it: %q", c.fate, got.Text)
		}
	}
}
