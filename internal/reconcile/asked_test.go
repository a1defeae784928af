package reconcile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Rule, secrets: a new version wakes the clients that use it, and no other: not one whose
// own secret bears the same name, and not one that names everybody's instead of its own.
func TestRuleSecretsWakeTheirUsersOnly(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{
		"clients/a.yaml": client("a", "env: {KEY: {secret: mollie}}"),
		"clients/b.yaml": client("b", "env: {KEY: {secret: mollie}}"),
		"clients/c.yaml": client("c", "env: {KEY: {secret: shared/mollie}}"),
		"clients/d.yaml": client("d", "notes: mollie"),
	})
	for of, want := range map[string]string{"a": "a", "b": "b", "": "c"} {
		_, ids, err := w.engine.SetSecret(of, "mollie", state.NewSecret("value of "+of), w.keys.Fingerprint, "dana")
		if err != nil || len(ids) != 1 || !strings.HasPrefix(string(ids[0]), want+"-") {
			t.Errorf("a new version of %q's secret wakes %v, %v", of, ids, err)
		}
		w.pass(ids...)
		w.want(want, state.StatusActive)
	}
}

// Rule, secrets: a new version obeys maxChanged, as the platform file tightens it.
func TestRuleSecretsObeyThePlatformsMaxChanged(t *testing.T) {
	_, w := newVendors(t)
	files := map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\n"}
	for i := range 5 {
		n := fmt.Sprintf("c%d", i)
		files["clients/"+n+".yaml"] = client(n, "env: {KEY: {secret: shared/mollie}}")
	}
	w.apply(files)
	set := func(value string) []state.ClientID {
		t.Helper()
		_, ids, err := w.engine.SetSecret("", "mollie", state.NewSecret(value), w.keys.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	w.pass(set("first")...)
	w.pass(w.due()...)
	for i := range 5 {
		w.want(fmt.Sprintf("c%d", i), state.StatusActive)
	}
	ids := set("second")
	if holds := w.overview().Holds; len(ids) != 1 || len(holds) != 1 || holds[0].Kind != state.HoldFleet || len(holds[0].Clients) != 4 {
		t.Errorf("%v go at once, holds %+v", ids, holds)
	}
}

// Rule, data: a new client with the name of one whose database is retained says whose data
// it wants; an approval doesn't say it.
func TestRuleDataReuseIsNotApprovable(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	database := w.database("a")
	w.apply(map[string]string{"clients/a.yaml": ""})
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/a.yaml": strings.Replace(client("a"), "domain: a", "domain: other", 1)})
	holds := w.overview().Holds
	if len(holds) != 1 || holds[0].Kind != state.HoldReuse || holds[0].Approvable {
		t.Fatalf("holds: %+v", holds)
	}
	if _, err := w.engine.Approve(t.Context(), holds[0].Fingerprint, "dana"); !errors.Is(err, reconcile.ErrRefused) || !strings.Contains(err.Error(), "database.reuse") {
		t.Errorf("approved: %v", err)
	}
	w.pass(w.due()...)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	if _, there := v.world.Object(database); !there {
		t.Error("the database is gone")
	}
}
