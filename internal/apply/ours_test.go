package apply_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/provider"
)

// What a provider says, whatever it is, is not our fault; what nobody classified is.
func TestFault(t *testing.T) {
	for _, kind := range []provider.ErrorKind{provider.Transient, provider.RateLimited, provider.Invalid, provider.Denied, provider.Conflict, provider.Uncertain, provider.NotFound, provider.Unsupported} {
		if err := fmt.Errorf("step: %w", &provider.Error{Kind: kind, Provider: "host", Message: "no"}); apply.Fault(err) {
			t.Errorf("%s is our fault", kind)
		}
	}
	if !apply.Fault(errors.New("step explode x: unknown action")) || apply.Fault(nil) {
		t.Error("what nobody classified is not our fault, or nothing is")
	}
}
