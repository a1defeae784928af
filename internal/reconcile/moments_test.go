package reconcile_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// at is a client's manifest with a host name and a colour.
func at(name, domain, colour string) string {
	return strings.Replace(client(name, "env: {COLOUR: "+colour+"}"), "domain: "+name+"\n", "domain: "+domain+"\n", 1)
}

// P3: a new client passes with another one, which goes on under the name of a pass that had to wait. The
// new one fails: what was made of it is taken back, whatever the other's pass is called.
func TestP3TakesBackUnderItsOwnName(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/b.yaml": at("b", "b", "red")})
	v.faults.On(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 0, memory.Fail(provider.Transient, "503 service unavailable"))
	id := w.push(map[string]string{"clients/b.yaml": at("b", "b", "green")})[0]
	if _, err := w.engine.Pass(t.Context(), id, "commit"); err != nil {
		t.Fatal(err)
	}
	if w.stored(id).Run == "" {
		t.Fatal("nothing waits")
	}
	v.faults.Clear()
	w.push(map[string]string{"clients/a.yaml": at("a", "b", "red"), "clients/b.yaml": at("b", "n", "green")})
	a := w.id("a")
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Create && c.Kind == state.KindDeployment && c.Client == a
	}, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	w.pass(a)
	w.want("a", state.StatusFailed)
	for _, r := range w.detail("a").Resources {
		if r.Ref.Kind != state.KindDatabase && r.Ref.Kind != state.KindAdmin {
			t.Errorf("%s %s is left", r.Ref.Kind, r.Name)
		}
	}
}
