package reconcile_test

import (
	"fmt"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// stripe keeps accounts for taking money, in some runs.
const stripe = "stripe"

// paid are the runs in which clients take payments.
type paid struct {
	on bool
	// The account that a client had first, by its mark: there is never another one.
	first  map[provider.Mark]string
	purged map[state.ClientID]bool
}

func (s *story) takePayments() {
	s.paid = paid{on: s.besidesN(2, "payments") == 2, first: map[provider.Mark]string{}, purged: map[state.ClientID]bool{}}
}

// keeper is who keeps accounts. It misbehaves as the other vendors do.
func (s *story) keeper(open func(string, map[state.Kind]provider.Traits) provider.Provider) []provider.Provider {
	if !s.paid.on {
		return nil
	}
	return []provider.Provider{open(stripe, memory.Payments())}
}

// accountsStay: an account is made once, outlives its client, and is the client's again when
// that returns; another one never takes its place (P3, P5).
func (s *story) accountsStay() {
	if !s.paid.on {
		return
	}
	there := map[string]provider.Object{}
	for _, o := range s.vendors.world.Objects(stripe) {
		there[o.ID] = o
		if !ours(o) {
			continue
		}
		if first := s.paid.first[o.Mark]; first != "" && first != o.ID {
			s.Fatalf("I1: %s has the account %s, and had %s", o.Mark.Client, o.ID, first)
		}
		s.paid.first[o.Mark] = o.ID
	}
	for mark, id := range s.paid.first {
		if _, is := there[id]; !is {
			s.Fatalf("P5: the account %s of %s is gone", id, mark.Client)
		}
	}
	for _, c := range s.clients() {
		if x := s.bySpec[c.Blob]; !s.clean[c.ID] || c.Removed {
			continue
		} else if got, want := s.accountInUse(c.ID), x.pays; (got != "") != want {
			s.Fatalf("payments: %s is at rest and asks for an account: %v; it has %q", c.ID, want, got)
		} else if o := there[got]; want && o.Mark.Client != c.ID {
			s.Fatalf("P3: %s uses the account %s of %s", c.ID, got, o.Mark.Client)
		}
	}
}

// accountInUse is the account that is on record of a client that takes payments.
func (s *story) accountInUse(id state.ClientID) string {
	for _, r := range s.resources(id) {
		if r.Ref.Kind == state.KindPayments && r.Real() && !r.Retained() {
			return r.ID
		}
	}
	return ""
}

// leftToItsOwner says that an account need not be on record: somebody purged its client, and
// it stays where it is.
func (s *story) leftToItsOwner(o provider.Object) bool {
	if o.Kind != state.KindPayments {
		return false
	}
	s.paid.purged[o.Mark.Client] = s.paid.purged[o.Mark.Client] || s.purging[o.Mark.Client]
	return s.paid.purged[o.Mark.Client]
}

// payments is what a manifest says of them.
func (x spec) payments() string {
	if !x.pays {
		return ""
	}
	return fmt.Sprintf("payments: {enabled: true, country: %s}", "NL")
}
