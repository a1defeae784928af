package reconcile_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// P4: the server that a manifest means when it names none is called default: to say so changes nothing, and to
// leave it out again does not either.
func TestP4NamingTheDefaultServerChangesNothing(t *testing.T) {
	w, line := atPloi(t, 1)
	for _, say := range []string{"deployment: {provider: ploi, server: default}", "deployment: {provider: ploi}"} {
		before := line.all
		w.apply(map[string]string{"clients/c000.yaml": strings.ReplaceAll(hosted("ploi", 1)["clients/c000.yaml"], "deployment: {provider: ploi}", say)})
		w.want("c000", state.StatusActive)
		if line.all > before {
			t.Errorf("%s: %d requests", say, line.all-before)
		}
	}
}
