package main

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/reconcile"
)

// What is said at the end of a confirmation holds for all that it took: of a plan that would
// change something nobody hears that it is empty.
func TestWhatAConfirmationSays(t *testing.T) {
	done, differs := reconcile.Taken{Client: "bakery", Done: true, Empty: true}, reconcile.Taken{Client: "cafe", Done: true, Changes: []string{"update site"}}
	for name, c := range map[string]struct {
		v         reconcile.Confirmation
		says, not string
	}{
		"empty":   {reconcile.Confirmation{Clients: []reconcile.Taken{done}}, "that plan is empty, too", "reconciler plan"},
		"differs": {reconcile.Confirmation{Clients: []reconcile.Taken{done, differs}}, "`reconciler plan cafe` shows", "that plan is empty, too"},
		"left":    {reconcile.Confirmation{Clients: []reconcile.Taken{differs}, Left: 1}, "1 client is left", "that plan is empty, too"},
	} {
		var out strings.Builder
		(&app{out: &out}).printConfirmation(c.v)
		if said := out.String(); !strings.Contains(said, c.says) || strings.Contains(said, c.not) {
			t.Errorf("%s: it says\n%s", name, said)
		}
	}
	for name, c := range map[string]struct {
		v    adopted
		says string
	}{
		"nothing at all": {adopted{}, "Nothing was found that could be adopted.\n"},
		"nothing else":   {adopted{Clients: []adoptedRow{{}}}, "Nothing else was found"},
	} {
		if len(c.v.Clients) > 0 {
			c.v.Clients[0].File = "clients/x.yaml"
		}
		var out strings.Builder
		(&app{out: &out}).printAdopted(c.v)
		if !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: it says\n%s", name, out.String())
		}
	}
}
