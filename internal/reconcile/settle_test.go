package reconcile

import (
	"testing"
	"time"

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

// What a failed client took goes back to who had it, as long as that one passes with it, is not through, and
// may be worked on; and as long as the taker itself is not on its way out.
func TestKeptByTaker(t *testing.T) {
	ref := state.Ref{Kind: state.KindDomain, Name: "bakery.example@vercel"}
	had, took := ref, ref
	had.Client, took.Client = "bakery", "cakes"
	quarantined := state.Client{ID: "bakery", Quarantined: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	for _, c := range []struct {
		name   string
		bakery *member
		cakes  member
		undo   state.Undo
		keeps  bool
	}{
		{"it goes back", &member{client: state.Client{ID: "bakery"}}, member{}, state.Undo{Ref: took, Prior: state.Resource{Ref: had}}, false},
		{"who had it is through", &member{client: state.Client{ID: "bakery"}}, member{}, state.Undo{Ref: took, Prior: state.Resource{Ref: had}, Kept: true}, true},
		{"who had it does not pass with it any more", nil, member{}, state.Undo{Ref: took, Prior: state.Resource{Ref: had}}, true},
		{"who had it is in quarantine", &member{client: quarantined}, member{}, state.Undo{Ref: took, Prior: state.Resource{Ref: had}}, true},
		{"who had it waits in a hold of new clients", &member{client: state.Client{ID: "bakery"}, unbegun: true}, member{}, state.Undo{Ref: took, Prior: state.Resource{Ref: had}}, true},
		{"the taker goes, and failed at that", &member{client: state.Client{ID: "bakery"}}, member{removed: true}, state.Undo{Ref: took, Prior: state.Resource{Ref: had}}, true},
		{"it was its own", &member{client: quarantined}, member{removed: true}, state.Undo{Ref: took, Prior: state.Resource{Ref: took}}, false},
	} {
		c.cakes.client.ID = "cakes"
		g := &group{members: []*member{&c.cakes}}
		if c.bakery != nil {
			g.members = append(g.members, c.bakery)
		}
		if got := g.keptByTaker(c.undo); got != c.keeps {
			t.Errorf("%s: it is kept: %v", c.name, got)
		}
	}
}

// A client that goes back waits for a name as long as the one that has it is about to give it back. Of two that
// can't give each other theirs none waits for the other: both say that they don't have it.
func TestHasNameOf(t *testing.T) {
	name := func(client state.ClientID, host string) state.Resource {
		return state.Resource{Ref: state.Ref{Client: client, Kind: state.KindDomain, Name: host + "@vercel"}, ID: "dom-" + host}
	}
	took := name("cakes", "bakery.example")
	for _, c := range []struct {
		name  string
		cakes state.Client
		has   []state.Resource
		lost  bool
		who   string
		back  bool
	}{
		{"it is about to give it back", state.Client{RollingBack: "health: 503"}, []state.Resource{took}, false, "Cakes", true},
		{"it could not", state.Client{RollingBack: "health: 503"}, []state.Resource{took}, true, "Cakes", false},
		{"it goes on", state.Client{}, []state.Resource{took}, false, "Cakes", false},
		{"it has it no more", state.Client{RollingBack: "health: 503"}, nil, false, "", false},
	} {
		c.cakes.ID, c.cakes.Name, c.cakes.Undo = "cakes", "Cakes", []state.Undo{{Ref: took.Ref, Prior: name("bakery", "bakery.example")}}
		bakery := &member{client: state.Client{ID: "bakery"}}
		g := &group{members: []*member{bakery, {client: c.cakes, recorded: c.has}}, lost: map[state.ClientID]bool{"cakes": c.lost}}
		if who, _, back := g.hasNameOf(bakery); who != c.who || back != c.back {
			t.Errorf("%s: %q has it, and gives it back: %v", c.name, who, back)
		}
	}
}
