package reconcile

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// C20: a group does not wait for a suspect of its own, whose turn is the group's.
func TestC20AGroupDoesNotWaitForItself(t *testing.T) {
	var turns turns
	turns.suspects = map[state.ClientID]int{"a": 2, "b": 1}
	if !turns.may([]state.ClientID{"a", "b"}) {
		t.Error("a and b pass together, and wait for each other")
	}
	if turns.may([]state.ClientID{"a"}) {
		t.Error("a passes before b, who crashed the program less often")
	}
}
