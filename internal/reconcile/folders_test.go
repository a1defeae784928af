package reconcile_test

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// A file is moved to a folder, and by mistake to two. Once one of the two is gone, the other is the
// client's; once both are gone, so is the client.
func TestRuleFileInTwoFolders(t *testing.T) {
	for what, next := range map[string]map[string]string{
		"one goes":  {"clients/cd/shop.yaml": ""},
		"both go":   {"clients/ab/shop.yaml": "", "clients/cd/shop.yaml": ""},
		"the other": {"clients/ab/shop.yaml": ""},
	} {
		t.Run(what, func(t *testing.T) {
			_, w := newVendors(t)
			text := client("shop")
			w.apply(map[string]string{"clients/shop.yaml": text, "clients/other.yaml": client("other")})
			w.want("shop", state.StatusActive)
			w.apply(map[string]string{"clients/shop.yaml": "", "clients/ab/shop.yaml": text, "clients/cd/shop.yaml": text})
			w.want("shop", state.StatusActive)
			w.apply(next)
			if o := w.overview(); len(o.Problems) > 0 {
				t.Errorf("%+v", o.Problems)
			}
			if what == "both go" {
				w.want("shop", state.StatusRetained)
				return
			}
			path := "clients/ab/shop.yaml"
			if what == "the other" {
				path = "clients/cd/shop.yaml"
			}
			w.apply(map[string]string{path: client("shop", "env: {COLOUR: green}")})
			if o := w.overview(); len(o.Problems) > 0 {
				t.Errorf("an edit: %+v", o.Problems)
			}
			w.apply(map[string]string{path: ""})
			w.want("shop", state.StatusRetained)
		})
	}
}
