package reconcile_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// A new client's first user was made for an address with a typo, its first try failed and was taken back, and the
// address is mended: the user stays who it is, as users of Payload do, and the welcome says who that is.
func TestP3TheWelcomeSaysWhoTheFirstUserIs(t *testing.T) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		all := v.twoHosts(c)
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: v.world, Kinds: kinds, Fault: v.faults.Hook, Sleep: c.Sleep})
		}
		data, users := memory.Databases(), memory.Databases()
		delete(data, state.KindAdmin)
		delete(users, state.KindDatabase)
		users = memory.Change(users, func(_ state.Kind, t *provider.Traits) { t.Once = []string{"email", "password", "url"} })
		all[0] = open("railway", data)
		return append(all, open("payload", users), open("resend", memory.Mail()))
	})
	w.change = func(e *reconcile.Engine) { e.Mail = "resend" }
	w.restart()
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindTraffic), 0, memory.Fail(provider.Invalid, "402 payment required"))
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "admin: {email: dnaa@shop.example}")})
	w.want("shop", state.StatusFailed)
	v.faults.Clear()
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "admin: {email: dana@shop.example}")})
	w.want("shop", state.StatusActive)
	id := w.id("shop")
	said := func(k state.Kind, name string) string {
		for _, a := range v.byKind(t, id, k).Attributes {
			if a.Name == name {
				return a.Text
			}
		}
		return ""
	}
	made := 0
	for _, c := range v.world.Calls() {
		if c.Verb == memory.Create && c.Kind == state.KindAdmin {
			made++
		}
	}
	text := said(state.KindMail, "text")
	if made != 1 || said(state.KindMail, "to") != "dana@shop.example" || strings.Contains(text, "You are its first administrator") || !strings.Contains(text, "dnaa@shop.example") {
		t.Errorf("%d users were made; the welcome to %s says %q", made, said(state.KindMail, "to"), text)
	}
}
