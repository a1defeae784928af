package accept

import (
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// whole lists the head's files instead of a difference.
func (w *world) whole() { w.seen, w.listed = map[string]string{}, true }

func TestRuleHistoryHoldsEverything(t *testing.T) {
	cases := []struct {
		name string
		do   func(w *world)
		says string
	}{
		{"S38 rewritten", func(w *world) { w.rewritten = true }, "history was rewritten"},
		{"S39 emptied", func(w *world) { w.tree = m{} }, "the tree is empty"},
		{"repository", func(w *world) { w.repository = "https://git.example/other.git"; w.whole() }, "the repository was changed from https://git.example/clients.git to https://git.example/other.git"},
		{"branch", func(w *world) { w.branch = "next" }, "the branch was changed from main to next"},
		{"path", func(w *world) { w.path = "customers"; w.whole() }, "the path was changed from clients to customers"},
		{"root commit", func(w *world) { w.root = "root2" }, "the repository is another one: it begins at root2 instead of root1"},
		{"S39 folder moved", func(w *world) {
			w.tree = m{"templates/shop.yaml": template("v1"), "kunden/alpha.yaml": client("alpha", "alpha")}
		}, "the tree is empty"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := fleet(t, "alpha", "beta")
			before := *w.base
			w.edit(m{cpath("beta"): client("beta", "beta", "env: {A: b}"), cpath("new"): client("new", "new")})
			c.do(w)
			if w.path == "customers" {
				for _, n := range []string{"alpha", "beta", "new"} {
					w.tree["customers/"+n+".yaml"] = w.tree[cpath(n)]
					delete(w.tree, cpath(n))
				}
			}
			r := w.head()
			equal(t, "held", r.Held, true)
			h := w.hold(state.HoldHistory)
			contains(t, "reason", h.Reason, c.says)
			same(t, "baseline", *w.base, before)
			equal(t, "one alert", len(r.Reports), 1)
			equal(t, "alert", r.Reports[0].State, "failure")
			equal(t, "due", w.dueParts(), []string{})
			equal(t, "old and new head", []string{h.OldHead, h.NewHead}, []string{before.Head, r.History[0].Commit})
			// Asked again, nothing is said twice.
			w.heads--
			r = w.head()
			equal(t, "again", len(r.Reports)+len(r.History), 0)
			equal(t, "same hold", w.hold(state.HoldHistory), h)
		})
	}
}

// S38: accepting a rewritten history still leaves the guard.
func TestS38RuleHistoryApproveLeavesTheGuard(t *testing.T) {
	w := fleet(t, numbered(100)...)
	w.guard.MaxDeletes, w.guard.MaxDeletePercent = 3, 10
	for _, n := range numbered(40) {
		delete(w.tree, cpath(n))
	}
	w.rewritten = true
	w.head()
	h := w.hold(state.HoldHistory)
	contains(t, "reason", h.Reason, "40 clients would lose their manifest")
	equal(t, "clients", len(h.Clients), 40)
	again := w.approve(h.Fingerprint)
	equal(t, "again", again.Again, true)
	w.heads--
	r := w.head()
	equal(t, "accepted", r.Held, false)
	equal(t, "used", w.approvals[h.Fingerprint].Used, w.now)
	g := w.hold(state.HoldGuard)
	equal(t, "the guard", len(g.Clients), 40)
	equal(t, "due", w.dueParts(), []string{})
	// The next rewriting needs an approval of its own.
	w.head()
	contains(t, "again", w.hold(state.HoldHistory).Reason, "history was rewritten")
}

func TestRuleHistoryApprovalBindsItsHeadAndRemovals(t *testing.T) {
	w := fleet(t, "alpha", "beta", "gamma")
	w.rewritten = true
	w.head()
	first := w.hold(state.HoldHistory)
	w.approve(first.Fingerprint)
	// Another head was pushed meanwhile.
	w.edit(m{cpath("alpha"): ""})
	equal(t, "held", w.head().Held, true)
	second := w.hold(state.HoldHistory)
	equal(t, "another fingerprint", first.Fingerprint != second.Fingerprint, true)
	equal(t, "unused", w.approvals[first.Fingerprint].Used.IsZero(), true)
	// It lapses after 24 hours.
	w.approve(second.Fingerprint)
	w.now = w.now.Add(state.ApprovalLife)
	w.heads--
	equal(t, "lapsed", w.head().Held, true)
	// The branch is put back: nothing waits any more, nothing has changed.
	w.rewritten = false
	w.edit(w.seen)
	r := w.again()
	equal(t, "holds", len(w.holds), 0)
	equal(t, "touched", r.Touched, []state.ClientID{})
}

func TestRuleHistoryRootIsPinned(t *testing.T) {
	w := fleet(t, "alpha")
	equal(t, "root", w.base.Root, "root1")
	w.root = "root2"
	w.head()
	w.approve(w.hold(state.HoldHistory).Fingerprint)
	w.heads--
	w.head()
	equal(t, "root", w.base.Root, "root2")
	equal(t, "holds", len(w.holds), 0)
}

// A move of the folder that is approved keeps everybody.
func TestRuleHistoryApprovedMoves(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	ids := []state.ClientID{w.named("alpha").ID, w.named("beta").ID}
	w.path = "customers"
	for _, n := range []string{"alpha", "beta"} {
		w.tree["customers/"+n+".yaml"] = w.tree[cpath(n)]
		delete(w.tree, cpath(n))
	}
	w.whole()
	w.head()
	h := w.hold(state.HoldHistory)
	equal(t, "nobody would go", len(h.Clients), 0)
	w.approve(h.Fingerprint)
	w.heads--
	r := w.head()
	equal(t, "ids", []state.ClientID{w.named("alpha").ID, w.named("beta").ID}, ids)
	equal(t, "path", w.named("alpha").Path, "customers/alpha.yaml")
	equal(t, "touched", r.Touched, []state.ClientID{})
	// Another repository that has only one of them.
	w.repository = "https://git.example/other.git"
	delete(w.tree, "customers/beta.yaml")
	w.whole()
	w.now = w.now.Add(time.Hour)
	w.head()
	h = w.hold(state.HoldHistory)
	equal(t, "beta would go", h.Clients, ids[1:])
	w.approve(h.Fingerprint)
	w.heads--
	w.head()
	equal(t, "due", w.dueParts(), []string{"beta"})
}

func TestS39EmptyAtTheFirstHead(t *testing.T) {
	w := newWorld(t)
	r := w.head()
	equal(t, "nothing known, nothing held", r.Held, false)
	// The state knows clients but not the head (a damaged baseline): still no wish.
	w = fleet(t, "alpha")
	w.base, w.seen, w.tree = nil, m{}, m{}
	equal(t, "held", w.head().Held, true)
	equal(t, "due", w.dueParts(), []string{})
}
