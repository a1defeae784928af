package reconcile_test

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// The mail that welcomes an administrator is for who is new: whoever was served before there was anything to
// send it gets none, by its next commit or whatever wakes it, also when it comes back later.
func TestWelcomeIsForWhoIsNew(t *testing.T) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		return append(v.twoHosts(c), memory.New(memory.Options{Name: "resend", World: v.world, Kinds: memory.Mail(), Fault: v.faults.Hook, Sleep: c.Sleep}))
	})
	mails := func() (to []string) {
		for _, o := range v.world.Objects("resend") {
			to = append(to, string(o.Mark.Client))
		}
		return to
	}
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Create && c.Client == "late-000002" }, 0, memory.Fail(provider.Transient, "503 service unavailable"))
	w.apply(map[string]string{"clients/old.yaml": client("old"), "clients/away.yaml": client("away"), "clients/late.yaml": client("late")})
	w.apply(map[string]string{"clients/away.yaml": ""})
	w.want("old", state.StatusActive)
	w.want("away", state.StatusRetained)
	v.faults.Clear()
	w.change = func(e *reconcile.Engine) { e.Mail = "resend" }
	w.restart()
	w.clock.add(24 * 60 * 60 * 1e9)
	w.pass(w.id("late"))
	w.apply(map[string]string{"clients/new.yaml": client("new"), "clients/old.yaml": client("old", "env: {COLOUR: red}"), "clients/away.yaml": client("away")})
	for _, n := range []string{"old", "away", "late", "new"} {
		w.want(n, state.StatusActive)
	}
	if id, err := w.engine.Retry("old", "dana"); err != nil {
		t.Fatal(err)
	} else {
		w.pass(id)
	}
	got := map[string]bool{}
	for _, id := range mails() {
		got[id] = true
	}
	if len(got) != 2 || !got[string(w.id("late"))] || !got[string(w.id("new"))] {
		t.Errorf("welcomed: %v", mails())
	}
	w.change = nil // and without mail again, for a while
	w.restart()
	w.apply(map[string]string{"clients/between.yaml": client("between")})
	w.change = func(e *reconcile.Engine) { e.Mail = "resend" }
	w.restart()
	w.apply(map[string]string{"clients/between.yaml": client("between", "env: {COLOUR: red}")})
	w.want("between", state.StatusActive)
	if len(mails()) != 2 {
		t.Errorf("welcomed: %v", mails())
	}
}
