package reconcile_test

import (
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// newShops is newVendors with a keeper of accounts for taking money, and a sender of mail.
func newShops(t *testing.T) (*vendors, *world) {
	t.Helper()
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		more := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: v.world, Kinds: kinds, Fault: v.faults.Hook, Sleep: c.Sleep})
		}
		all := v.twoHosts(c)
		return append(all, more(stripe, memory.Payments()), more("resend", memory.Mail()))
	})
	return v, w
}

// An account for payments was closed by its owner, and the manifest gets another one as the hold of that says: it
// leaves payments out in one commit, and says them again in the next. What serves then was built with the new
// account, and not with the closed one, whose release is there still.
func TestP5AShopIsBuiltWithTheAccountThatItHas(t *testing.T) {
	v, w := newShops(t)
	pays := client("shop", "payments: {enabled: true, country: NL}", "env: {ACCOUNT: {from: payments.account}}")
	w.apply(map[string]string{"clients/shop.yaml": pays})
	w.want("shop", state.StatusActive)
	id := w.id("shop")
	first := v.byKind(t, id, state.KindPayments)
	before, _ := v.world.Serves("shop.agency.example")
	v.world.Remove(first.ID)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.want("shop", state.StatusActive)
	w.apply(map[string]string{"clients/shop.yaml": pays})
	w.want("shop", state.StatusActive)
	second := v.byKind(t, id, state.KindPayments)
	if second.ID == first.ID {
		t.Fatalf("the account is %s", second.ID)
	}
	if now, _ := v.world.Serves("shop.agency.example"); now == before {
		t.Errorf("what serves is %s, which was built with the account %s that is closed, and not with %s", now, first.ID, second.ID)
	}
}

// A new shop is built, proved from outside and its owner welcomed while the keeper of accounts is away, and the
// account is refused for good once it is back. A deployment of the client has succeeded: its site stays.
func TestRuleAShopThatServesIsNotTakenBackForItsAccount(t *testing.T) {
	v, w := newShops(t)
	w.engine.Mail = "resend"
	account := func(c memory.Call) bool { return c.Verb == memory.Create && c.Kind == state.KindPayments }
	v.faults.On(memory.Before, account, 0, memory.Fail(provider.Transient, "503 service unavailable"))
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}", "payments: {enabled: true, country: NL}")})
	id := w.id("shop")
	if v.servedBy("shop.agency.example") != id || len(v.world.Objects("resend")) != 1 {
		t.Fatalf("%+v; %v", w.row("shop"), v.world.Objects("resend"))
	}
	v.faults.Clear()
	v.faults.On(memory.Before, account, 0, memory.Fail(provider.Invalid, "accounts in NL are not open to you"))
	w.clock.add(time.Hour)
	w.pass(id)
	w.want("shop", state.StatusFailed)
	if v.servedBy("shop.agency.example") != id {
		t.Error("the site that served is gone")
	}
	v.faults.Clear()
	if _, err := w.engine.Retry("shop", "dana"); err != nil {
		t.Fatal(err)
	}
	v.world.ForgetCalls()
	w.clock.add(72 * time.Hour)
	w.pass(id)
	w.want("shop", state.StatusActive)
	if did := v.writes(); len(did) != 1 {
		t.Errorf("only the account was left to make, and it did %v", did)
	}
}
