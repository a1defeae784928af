package main

import (
	"slices"
	"testing"

	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
)

// A person adds a name to a client's own site at Ploi, and the manifest asks for it then: it is used as it is, no more.
// What was found is never changed, so that its certificate is left to that person, and the name stays when the manifest drops it.
func TestRuleAliasThatAPersonAddedAtPloi(t *testing.T) {
	t.Parallel()
	const second = "shop." + agencyZone
	f := newFleet(t, usual(), map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase()...)})
	f.settle("a")
	f.ofPloi("a", func(s *ploisim.Site) {
		f.ploi.Edit(s.ID, func(s *ploisim.Site) { s.Aliases = append(s.Aliases, second) })
	})
	f.commit(map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase("aliases: ["+second+"]")...)})
	f.settle("a")
	if f.ploi.Secure(second) {
		t.Error("what was found was changed")
	}
	f.commit(map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase()...)})
	f.settle("a")
	f.ofPloi("a", func(s *ploisim.Site) {
		if !slices.Contains(s.Aliases, second) {
			t.Error("what was found was deleted")
		}
	})
}
