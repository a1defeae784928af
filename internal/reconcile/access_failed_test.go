package reconcile_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// The access of a database was changed, and the site can't be deployed with its new address: what serves has the old
// one, which is no more. Nobody is told that all is as it was.
func TestRuleAFailureSaysThatTheSiteHasLostItsData(t *testing.T) {
	v, w, _ := newMoving(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	w.want("bakery", state.StatusActive)
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "database: {access: private}")})
	w.approveMoves()
	w.pass(w.id("bakery"))
	r := w.want("bakery", state.StatusFailed)
	if !strings.Contains(r.Because, "its data") {
		t.Errorf("it says %q", r.Because)
	}
}
