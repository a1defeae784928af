package reconcile_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// S23: the revert button on a rename takes the file with `previously` away and brings the former one back, which names
// nobody: what is said to do keeps the client, as the plan of the rename promised ("Reverting brings it back").
func TestS23RevertOfARenameSaysHowItKeepsEverything(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	w.apply(map[string]string{"clients/bakery.yaml": "", "clients/bread.yaml": client("bread", "previously: [bakery]")})
	j := w.judged(map[string]string{"clients/bread.yaml": "", "clients/bakery.yaml": client("bakery")})
	if len(j.Problems) != 1 || !strings.Contains(j.Problems[0].Hint, "previously: [bread]") {
		t.Errorf("it says %+v; want to say previously: [bread]", j.Problems)
	}
	// So it is once it is merged as it stands; and what it says helps.
	id := w.id("bread")
	w.apply(map[string]string{"clients/bread.yaml": "", "clients/bakery.yaml": client("bakery")})
	if c := w.stored(id); c.Status != state.StatusHeld {
		t.Errorf("bread is %s: %s", c.Status, c.Because)
	}
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "previously: [bread]")})
	w.want("bakery", state.StatusActive)
	if w.id("bakery") != id {
		t.Errorf("bakery is %s, and was %s", w.id("bakery"), id)
	}
}
