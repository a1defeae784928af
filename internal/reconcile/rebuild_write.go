package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/rebuild"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// guard is what limits at the head that a rebuild accepts.
func (b *rebuilder) guard() accept.Guard {
	g := b.e.Guard
	if p := accept.NewResolver(b.result.Baseline, b.e.Program).Platform(); p != nil {
		g = g.Tightened(p.Guard)
	}
	return g
}

// creates holds the clients of which nothing bears a mark, when they are more than the
// guard lets begin in a day.
func (b *rebuilder) creates() {
	limit := b.guard().MaxCreates
	if len(b.unmarked) <= limit {
		return
	}
	h := state.Hold{Kind: state.HoldCreates, Commit: b.head, NewHead: b.head, Approvable: true, At: b.e.Now(), Clients: b.unmarked}
	parts := []string{"creates"}
	for i := range b.writes {
		c := &b.writes[i].client
		if slices.Contains(b.unmarked, c.ID) {
			parts = append(parts, c.Name, c.Blob)
		}
	}
	h.Fingerprint = printOf(parts...)
	h.Reason = fmt.Sprintf("Nothing bears the mark of %d clients that have a manifest; the guard lets %d begin in a day.", len(b.unmarked), limit)
	h.Act = "Is a provider missing in the configuration? Else `reconciler approve " + h.Fingerprint + "`."
	for i := range b.writes {
		c := &b.writes[i].client
		if slices.Contains(b.unmarked, c.ID) {
			c.Status, c.Because, c.Next = state.StatusHeld, h.Reason, h.Act
		}
	}
	b.result.Holds = append(b.result.Holds, h)
}

// waves lets what is due after a rebuild begin with one client when more of them than the
// guard lets change at once have a plan: then it is not they that drifted.
func (b *rebuilder) waves() {
	var due []state.Client
	for _, m := range b.writes {
		c := m.client
		if c.Removed || c.Status == state.StatusHeld || slices.Contains(b.unmarked, c.ID) {
			continue
		}
		if b.e.unlike(m) {
			c.EverDeployed = true // it is as good as active, for the count
			due = append(due, c)
		}
	}
	_, hold := accept.Spread(b.guard(), "What differs after the rebuild", b.head, due, b.e.Now())
	if hold != nil {
		b.result.Holds = append(b.result.Holds, *hold)
	}
}

// commit writes everything as one transaction.
func (b *rebuilder) commit() error {
	now, r := b.e.Now(), b.result
	// Who is gone comes first: a name leads to the client that bears it now.
	sort.SliceStable(b.writes, func(i, j int) bool {
		x, y := b.writes[i].client, b.writes[j].client
		if x.Removed != y.Removed {
			return x.Removed
		}
		return x.ID < y.ID
	})
	r.Clients, r.History = nil, []state.Entry{{At: now, Commit: b.head, By: b.by, What: "rebuilt",
		Text: fmt.Sprintf("the state was lost and made anew from Git and the marks of installation %s", b.e.Runner.Installation)}}
	if r.Verdict != nil {
		for _, m := range b.writes {
			switch _, in := r.Verdict.Clients[m.client.ID]; {
			case in && m.client.Status == state.StatusHeld:
				r.Verdict.Clients[m.client.ID] = accept.FateHeld
			case m.client.InvalidBlob != "":
				r.Verdict.Clients[m.client.ID] = accept.FateInvalid
			}
		}
	}
	for _, q := range b.rules {
		r.Baseline.Problems = append(r.Baseline.Problems, q)
		if r.Verdict != nil {
			r.Verdict.Invalid = append(r.Verdict.Invalid, q)
		}
	}
	if r.Verdict != nil {
		accept.Conclude(r.Verdict, now)
	}
	for _, m := range b.writes {
		what := m.client.Because
		if what == "" {
			what = fmt.Sprintf("%d resources are on record again", len(m.out.Resources))
		}
		r.History = append(r.History, state.Entry{At: now, Client: m.client.ID, Name: m.client.Name, Commit: m.client.Commit, By: b.by, What: "rebuilt", Text: what})
		b.out.Holds = append(b.out.Holds, m.holds...)
	}
	b.out.Head, b.out.Problems = b.head, r.Baseline.Problems
	b.out.Holds = append(b.out.Holds, r.Holds...)
	sort.SliceStable(b.out.Clients, func(i, j int) bool { return b.out.Clients[i].Name < b.out.Clients[j].Name })
	b.e.at(PointRebuild)
	return b.e.Store.Update(func(tx store.Tx) error {
		for _, m := range b.writes {
			if err := m.put(tx, b.e); err != nil {
				return err
			}
		}
		for name, id := range b.bearers() { // each its own key: the order shows nowhere
			if err := store.PutSecretOwner(tx, name, id); err != nil {
				return err
			}
		}
		if err := store.DeleteRestored(tx); err != nil { // of an empty copy that was put back before
			return err
		}
		if err := store.DeleteUnfilled(tx); err != nil {
			return err
		}
		return write(tx, r)
	})
}

// bearers are, of the names that a client had and has no more, or that several had, who had it first: what is
// under it in sources of secrets stays that one's, as it was, and is not handed on to who bears it now.
func (b *rebuilder) bearers() map[string]state.ClientID {
	minted := map[string][]state.Client{}
	for _, m := range b.writes {
		n := rebuild.NameOf(m.client.ID)
		minted[n] = append(minted[n], m.client)
	}
	out := map[string]state.ClientID{}
	for n, all := range minted {
		first := slices.MinFunc(all, func(x, y state.Client) int {
			return cmp.Or(cmp.Compare(max(x.Generation, 1), max(y.Generation, 1)), cmp.Compare(x.ID, y.ID))
		})
		if first.Name != n || len(all) > 1 {
			out[n] = first.ID
		}
	}
	for _, m := range b.writes { // sorted by id
		for _, n := range m.client.Former {
			if _, is := out[n]; !is && len(minted[n]) == 0 && n != m.client.Name {
				out[n] = m.client.ID
			}
		}
	}
	return out
}
