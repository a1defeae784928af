package reconcile

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// A name that redirects is led back only to one that its client still has, or gets back with the same
// undo. One that another client keeps is as good as gone.
func TestLeadsNowhere(t *testing.T) {
	name := func(client state.ClientID, host, to string) state.Resource {
		return state.Resource{Ref: state.Ref{Client: client, Kind: state.KindDomain, Name: host + "@vercel"}, ID: "dom-" + host, Attributes: state.NewAttributes(map[string]state.Value{"redirect": state.Lit(to)})}
	}
	alias, old := name("bakery", "www.bakery.example", "bakery.example"), name("bakery", "bakery.example", "")
	taken := func(kept bool) []state.Undo {
		return []state.Undo{{Ref: name("cakes", "bakery.example", "").Ref, Prior: old, Kept: kept}}
	}
	for _, c := range []struct {
		name    string
		prior   state.Resource
		have    []state.Resource
		cakes   []state.Undo
		nowhere bool
	}{
		{"it still has that name", alias, []state.Resource{old}, nil, false},
		{"another client gives it back", alias, nil, taken(false), false},
		{"another client keeps it", alias, nil, taken(true), true},
		{"nobody has it any more", alias, nil, nil, true},
		{"a name that redirects to none", old, nil, nil, false},
	} {
		g := &group{members: []*member{
			{client: state.Client{ID: "bakery"}, recorded: c.have},
			{client: state.Client{ID: "cakes", Undo: c.cakes}},
		}}
		if got := g.leadsNowhere(state.Undo{Ref: c.prior.Ref, Prior: c.prior}); got != c.nowhere {
			t.Errorf("%s: it leads nowhere: %v", c.name, got)
		}
	}
}
