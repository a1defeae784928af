package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Outdated versions of secrets are forgotten a week after a newer one came, but for those that
// something on record was made of: an environment that was not written since, what is to be put
// back, a write whose end is not known. The newest stays, whoever uses it; where nothing is to
// be forgotten, nothing is written.
func TestOutdatedSecretsAreForgotten(t *testing.T) {
	v, w := newVendors(t)
	set := func(value string) {
		t.Helper()
		_, ids, err := w.engine.SetSecret("", "mollie", state.NewSecret(value), w.keys.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	set("one")
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {KEY: {secret: shared/mollie}}"), "clients/b.yaml": client("b", "env: {KEY: {secret: shared/mollie}}", "paused: true")})
	w.want("a", state.StatusActive)
	prune := func(want int) {
		t.Helper()
		if n, err := w.engine.PruneSecrets(t.Context()); err != nil || n != want {
			t.Errorf("%d forgotten (%v), want %d", n, err, want)
		}
	}
	versions := func() (out string) {
		t.Helper()
		err := w.store.View(func(tx store.Tx) error {
			for n := range 6 {
				if rec, ok, err := store.Secret(tx, "shared", "mollie", n+1); err != nil {
					return err
				} else if ok {
					out += string(rec.Text) + " "
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	// a is paused with what it has while the secret goes on.
	if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"two", "three", "four", "five"} {
		set(value)
	}
	prune(0) // a pass may be under way with any of them
	id := w.id("a")
	three := state.NewAttributes(map[string]state.Value{"env.KEY": state.SecretValue(state.SecretRef{Scope: "shared", Name: "mollie", Version: 3})})
	open := journal.Intent{Ref: state.Ref{Client: id, Kind: state.KindEnvironment, Name: "other"}, Wish: &state.Resource{Attributes: three}, Parked: "somebody looks"}
	open.Key = open.Ref.String()
	if err := w.store.Update(func(tx store.Tx) error { return store.PutIntent(tx, open) }); err != nil {
		t.Fatal(err)
	}
	w.clock.add(8 * 24 * time.Hour)
	prune(2)
	if got := versions(); got != "one three five" {
		t.Errorf("there are %q: the environment that serves, a write that is open, the newest", got)
	}
	prune(0)
	if err := w.store.Update(func(tx store.Tx) error { return store.DeleteIntent(tx, open.Ref) }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.SetPaused("a", false, "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	d, _ := v.world.Serves("a.agency.example")
	if got := v.world.BuiltWith(d)["KEY"]; got != "five" {
		t.Errorf("a has %q", got)
	}
	prune(2)
	if got := versions(); got != "five" {
		t.Errorf("there are %q", got)
	}
}
