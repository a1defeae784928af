package accept

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestRuleGuardFormula(t *testing.T) {
	for _, c := range []struct{ most, percent, fleet, want int }{
		{3, 10, 100, 3}, {3, 10, 29, 2}, {3, 10, 20, 2}, {3, 10, 19, 1}, {3, 10, 9, 1}, {3, 10, 0, 1},
		{0, 10, 100, 1}, {3, 0, 100, 1}, {50, 10, 100, 10}, {50, 10, 109, 10}, {1000, 100, 7, 7},
	} {
		g := Guard{MaxDeletes: c.most, MaxDeletePercent: c.percent}
		equal(t, "allowed", g.Deletes(c.fleet), c.want)
	}
}

// strict is a fleet under the guard's own defaults.
func strict(t *testing.T, n int) *world {
	w := fleet(t, numbered(n)...)
	w.guard.MaxDeletes, w.guard.MaxDeletePercent = 3, 10
	return w
}

func gone(names ...string) m {
	out := m{}
	for _, n := range names {
		out[cpath(n)] = ""
	}
	return out
}

// S37: one commit removes 30 of 100 and edits five.
func TestS37RuleGuardBulk(t *testing.T) {
	w := strict(t, 100)
	files := gone(numbered(30)...)
	for _, n := range numbered(35)[30:] {
		files[cpath(n)] = client(n, n, "env: {A: b}")
	}
	r := w.push(files)
	equal(t, "due", w.dueParts(), []string{})
	h := w.hold(state.HoldGuard)
	equal(t, "held", len(h.Clients), 30)
	contains(t, "reason", h.Reason, "30 clients would lose their manifest, database or host name within 24 hours; the guard allows 3 of 100")
	contains(t, "act", h.Act, "`reconciler approve "+h.Fingerprint+"`")
	for _, n := range numbered(35)[30:] {
		equal(t, n, r.Verdict.Clients[w.named(n).ID], FatePending)
	}
	equal(t, "fate", r.Verdict.Clients[h.Clients[0]], FateHeld)
	equal(t, "status", w.clients[h.Clients[0]].Status, state.StatusHeld)
	w.settle()
	// The next commits change nothing of it, and are not held up.
	w.push(m{cpath("c050"): client("c050", "c050", "env: {A: b}")})
	equal(t, "same hold", w.hold(state.HoldGuard), h)
	r = w.approve(h.Fingerprint)
	equal(t, "due", len(w.due()), 30)
	equal(t, "touched", len(r.Touched), 30)
	equal(t, "fate", w.verdicts[h.Commit].Clients[h.Clients[0]], FatePending)
	w.finish()
	// That approval serves no other plan: one more is one too many within 24 hours.
	w.push(gone("c060"))
	equal(t, "due", w.dueParts(), []string{})
	next := w.hold(state.HoldGuard)
	equal(t, "another", next.Fingerprint != h.Fingerprint, true)
	equal(t, "nor the used one", Release(ReleaseInput{Now: w.now, Hold: next, Approval: w.approvals[h.Fingerprint]}), Result{})
	// The day after, one may go; the held one too, if somebody says so.
	w.now = w.now.Add(25 * time.Hour)
	w.push(gone("c061"))
	equal(t, "due", w.dueParts(), []string{"c061"})
}

// S51: a removal is held, ten other commits follow, then it is approved.
func TestS51RuleGuardApprovedLater(t *testing.T) {
	w := strict(t, 20)
	w.push(gone("c000", "c001", "c002"))
	h := w.hold(state.HoldGuard)
	for i := range 10 {
		w.push(m{cpath("c010"): client("c010", "c010", "env: {N: \"x"+string(rune('a'+i))+"\"}")})
	}
	w.approve(h.Fingerprint)
	equal(t, "due", w.dueParts(), []string{"c000", "c001", "c002"})
	equal(t, "used once", w.approve(h.Fingerprint), Result{})
}

func TestRuleGuardCountsADay(t *testing.T) {
	w := strict(t, 20) // two a day
	w.push(gone("c000"))
	w.now = w.now.Add(23 * time.Hour)
	w.push(gone("c001"))
	equal(t, "due", w.dueParts(), []string{"c000", "c001"})
	w.push(gone("c002"))
	equal(t, "a third", w.dueParts(), []string{"c000", "c001"})
	w.hold(state.HoldGuard)
	// What is held counts as lost; what went more than a day ago doesn't.
	w.now = w.now.Add(2 * time.Hour)
	w.push(gone("c003"))
	equal(t, "holds", len(w.holds), 2)
}

func TestRuleGuardReturnedOnesExcepted(t *testing.T) {
	w := strict(t, 20)
	texts := m{}
	for _, n := range []string{"c000", "c001"} {
		texts[cpath(n)] = w.tree[cpath(n)]
	}
	w.push(gone("c000", "c001"))
	equal(t, "due", len(w.due()), 2)
	files := gone("c002", "c003")
	files[cpath("c000")], files[cpath("c001")] = texts[cpath("c000")], texts[cpath("c001")]
	w.push(files)
	equal(t, "due", w.dueParts(), []string{"c002", "c003"})
	// A held removal is lifted by a revert.
	w.push(gone("c004"))
	id := w.hold(state.HoldGuard).Clients[0]
	first := w.base.Head
	w.push(m{cpath("c004"): client("c004", "c004")})
	equal(t, "holds", len(w.holds), 0)
	equal(t, "client", w.named("c004").ID, id)
	equal(t, "superseded", w.verdicts[first].State, "success")
}

func TestRuleGuardCountsManifestDatabaseAndHost(t *testing.T) {
	w := strict(t, 20)
	for _, n := range []string{"c000", "c001", "c002", "c003"} {
		w.tree[cpath(n)] = client(n, n, "aliases: [www."+n+".example]", "dns: {provider: local, records: [{type: TXT, name: x, content: y}]}")
	}
	w.head()
	// Records don't count.
	w.push(m{
		cpath("c000"): client("c000", "c000", "aliases: [www.c000.example]"), cpath("c001"): client("c001", "c001", "aliases: [www.c001.example]"),
		cpath("c002"): client("c002", "c002", "aliases: [www.c002.example]"), cpath("c003"): client("c003", "c003", "aliases: [www.c003.example]"),
	})
	equal(t, "due", len(w.due()), 4)
	w.finish()
	// One of each is three: all of it is held, the harmless part with it.
	r := w.push(m{
		cpath("c000"): client("c000", "c000"), cpath("c001"): client("c001", "c001", "aliases: [www.c001.example]", "database: {provider: none}"),
		cpath("c004"): "", cpath("c005"): client("c005", "c005", "env: {A: b}"),
	})
	equal(t, "due", w.dueParts(), []string{})
	h := w.hold(state.HoldGuard)
	equal(t, "held", len(h.Clients), 3)
	contains(t, "reason", h.Reason, "3 clients")
	// The rest of these clients' wishes goes on.
	equal(t, "touched", touched(r, w), []string{"c000", "c001", "c004", "c005"})
	// A name whose removal is held stays with its owner.
	w.push(m{cpath("new"): client("new", "new", "aliases: [www.c000.example]")})
	contains(t, "new", w.problem(cpath("new")), "www.c000.example is still c000's: its removal is held")
	w.approve(h.Fingerprint)
	w.again()
	equal(t, "due", w.dueParts(), []string{"c000 domain/www.c000.example@local", "c001 database/main", "c004"})
	equal(t, "owner", w.owner("www.c000.example"), "new")
}

func TestRuleGuardClientTwiceIsOne(t *testing.T) {
	w := strict(t, 20)
	w.push(m{cpath("c000"): client("c000", "c000", "database: {provider: none}")})
	w.push(gone("c000", "c001"))
	equal(t, "due", w.dueParts(), []string{"c000", "c000 database/main", "c001"})
}

func TestRuleGuardReviewed(t *testing.T) {
	w := fleet(t, "alpha", "beta", "gamma")
	w.guard.ReviewedOnly = true
	w.push(gone("alpha"))
	equal(t, "a pull request showed it", w.dueParts(), []string{"alpha"})
	w.finish()
	w.reviewed = false
	w.push(m{cpath("beta"): "", cpath("gamma"): client("gamma", "gamma", "env: {A: b}")})
	h := w.hold(state.HoldGuard)
	contains(t, "reason", h.Reason, "no pull request showed the removal of beta")
	equal(t, "due", w.dueParts(), []string{})
	w.approve(h.Fingerprint)
	equal(t, "due", w.dueParts(), []string{"beta"})
	// Records too: whatever is removed.
	w.push(m{cpath("gamma"): client("gamma", "gamma", "dns: {provider: local, records: [{type: TXT, name: x, content: y}]}")})
	w.push(m{cpath("gamma"): client("gamma", "gamma")})
	contains(t, "reason", w.hold(state.HoldGuard).Reason, "the removal of gamma")
}

func TestRuleGuardReviewedByFile(t *testing.T) {
	// Of one range a pull request showed that alpha goes, and none that beta does.
	w := fleet(t, "alpha", "beta", "gamma")
	w.guard.ReviewedOnly = true
	w.edit(gone("alpha", "beta"))
	w.heads++
	in := w.input("head")
	in.Shown = map[string]bool{cpath("alpha"): true}
	w.play(in)
	equal(t, "due", w.dueParts(), []string{"alpha"})
	contains(t, "reason", w.hold(state.HoldGuard).Reason, "the removal of beta")
}

// What is lost only because something else is held is judged, too: beta was to become delta,
// which asks for a name that alpha has to keep for now.
func TestRuleGuardJudgesWhatAHoldTakesAway(t *testing.T) {
	w := fleet(t, "alpha", "beta", "gamma")
	w.push(m{cpath("alpha"): client("alpha", "alpha", "aliases: [www.alpha.example]")})
	w.now = w.now.Add(25 * time.Hour)
	w.settle()
	w.guard.ReviewedOnly, w.reviewed = true, false
	w.push(m{cpath("alpha"): client("alpha", "alpha"), cpath("beta"): "",
		cpath("delta"): client("delta", "beta", "aliases: [www.alpha.example]", "previously: [beta]")})
	held := map[string]string{} // client → print
	for _, h := range w.holds {
		for _, id := range h.Clients {
			held[w.clients[id].Name] = h.Fingerprint
		}
	}
	if held["alpha"] == "" || held["beta"] == "" {
		t.Fatalf("held are %v; holds %+v", held, w.holds)
	}
	w.push(m{cpath("delta"): ""}) // it is not what beta became after all
	for _, due := range w.dueParts() {
		if strings.HasPrefix(due, "beta") {
			t.Errorf("due are %v: nobody let beta go", w.dueParts())
		}
	}
	w.approve(held["beta"])
	if !slices.Contains(w.dueParts(), "beta") {
		t.Errorf("beta was let go, and due are %v", w.dueParts())
	}
}

// A client changes its host, and before its pass it changes its name, which is held. The old
// host has the name still, and it was let go only for the new one: it stays with the name.
func TestRuleGuardHeldNameKeepsItsOldSite(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	w.push(m{cpath("alpha"): client("alpha", "alpha", "deployment: {provider: vercel}")})
	old := "alpha domain/alpha.agency.example@local"
	if !slices.Contains(w.dueParts(), old) {
		t.Fatalf("due are %v", w.dueParts())
	}
	w.guard.ReviewedOnly, w.reviewed = true, false
	w.push(m{cpath("alpha"): client("alpha", "omega", "deployment: {provider: vercel}")})
	if slices.Contains(w.dueParts(), old) {
		t.Errorf("the name is held, and its old site lets it go: %v", w.dueParts())
	}
	w.approve(w.hold(state.HoldGuard).Fingerprint)
	if !slices.Contains(w.dueParts(), old) {
		t.Errorf("the name was let go, and due are %v", w.dueParts())
	}
}

func TestRuleGuardPlatformOnlyTightens(t *testing.T) {
	n := func(i int) *int { return &i }
	g := Guard{MaxDeletes: 3, MaxDeletePercent: 10, MaxChanged: 25, MaxCreates: 10, RemoveAfter: time.Hour}
	same(t, "looser", g.Tightened(manifest.Guard{MaxDeletes: n(9), MaxDeletePercent: n(90), MaxChanged: n(99), MaxCreates: n(99), Removals: "any"}), g)
	same(t, "tighter", g.Tightened(manifest.Guard{MaxDeletes: n(1), MaxDeletePercent: n(5), MaxChanged: n(2), MaxCreates: n(3), Removals: "reviewed"}),
		Guard{MaxDeletes: 1, MaxDeletePercent: 5, MaxChanged: 2, MaxCreates: 3, ReviewedOnly: true, RemoveAfter: time.Hour})
	d := manifest.Duration(2 * time.Hour)
	equal(t, "later", g.Tightened(manifest.Guard{RemoveAfter: &d}).RemoveAfter, 2*time.Hour)

	// It is judged by the old and by the new file: neither loosening nor tightening comes too late.
	w := fleet(t, numbered(20)...)
	w.push(m{"platform.yaml": platform("guard: {maxDeletes: 1}")})
	files := gone("c000", "c001")
	files["platform.yaml"] = platform()
	w.push(files)
	equal(t, "loosened in the same commit", w.dueParts(), []string{})
	w = fleet(t, numbered(20)...)
	files["platform.yaml"] = platform("guard: {maxDeletes: 1}")
	w.push(files)
	equal(t, "tightened in the same commit", w.dueParts(), []string{})
	w = fleet(t, numbered(20)...)
	w.push(m{"platform.yaml": platform("guard: {maxDeletes: 1}")})
	files["platform.yaml"] = "nonsense"
	w.push(files)
	equal(t, "broken in the same commit", w.dueParts(), []string{})
}

func TestRuleGuardMaxCreates(t *testing.T) {
	w := fleet(t, "alpha")
	w.guard.MaxCreates = 2
	r := w.push(m{cpath("n1"): client("n1", "n1")})
	equal(t, "one", touched(r, w), []string{"n1"})
	r = w.push(m{cpath("n2"): client("n2", "n2"), cpath("n3"): client("n3", "n3"), cpath("alpha"): client("alpha", "alpha", "env: {A: b}")})
	equal(t, "the others go on", touched(r, w), []string{"alpha"})
	h := w.hold(state.HoldCreates)
	contains(t, "reason", h.Reason, "3 new clients in 24 hours; the guard allows 2.")
	equal(t, "status", w.named("n2").Status, state.StatusHeld)
	equal(t, "fate", r.Verdict.Clients[w.named("n2").ID], FateHeld)
	// It outlives later commits, also those that touch who waits.
	r = w.push(m{cpath("n2"): client("n2", "n2", "env: {A: b}")})
	equal(t, "touched", touched(r, w), []string{})
	equal(t, "fate", r.Verdict.Clients[w.named("n2").ID], FateHeld)
	held := r.Verdict.Commit
	// Who never began has nothing to lose and needs no guard.
	w.guard.MaxDeletes, w.guard.MaxDeletePercent = 0, 0
	w.push(gone("n3", "alpha"))
	equal(t, "due", w.dueParts(), []string{"alpha", "n3"})
	r = w.approve(h.Fingerprint)
	equal(t, "approved", touched(r, w), []string{"n2"})
	equal(t, "status", w.named("n2").Status, state.StatusPending)
	// What was told of it was an end: that it goes on is told, too.
	var told []string
	for _, x := range r.Reports {
		told = append(told, x.Subject+" "+x.State+": "+x.Text)
	}
	equal(t, "told", told, []string{"commit/" + held + " pending: 1 client to do", "commit/" + held + "/client/n2 pending: approved"})
	equal(t, "holds", len(w.holds), 0)
	// A day later there is room again.
	w.now = w.now.Add(25 * time.Hour)
	w.push(m{cpath("n4"): client("n4", "n4"), cpath("n5"): client("n5", "n5")})
	equal(t, "holds", len(w.holds), 0)
}

func TestRuleGuardFirstStart(t *testing.T) {
	w := newWorld(t)
	w.guard.MaxCreates = 10
	w.tree["templates/shop.yaml"] = template("v1")
	for _, n := range numbered(300) {
		w.tree[cpath(n)] = client(n, n)
	}
	r := w.head()
	equal(t, "touched", r.Touched, []state.ClientID{})
	h := w.hold(state.HoldCreates)
	equal(t, "text", h.Reason+" "+h.Act, "First start: 300 clients, none known. Adopt, or approve "+h.Fingerprint+".")
	equal(t, "approved", len(w.approve(h.Fingerprint).Touched), 300)
	// Those that name what exists create nothing.
	w = newWorld(t)
	w.guard.MaxCreates = 1
	w.tree["templates/shop.yaml"] = template("v1")
	for _, n := range numbered(3) {
		w.tree[cpath(n)] = client(n, n, "adopt: {site: {id: "+n+"}}")
	}
	equal(t, "adopted", len(w.head().Touched), 3)
}

// An account for payments that exists makes no site and no database exist: such a client is new like any other.
func TestRuleGuardCountsWhoBringsAnAccountAlone(t *testing.T) {
	w := fleet(t, "alpha")
	w.guard.MaxCreates = 1
	files := m{}
	for _, n := range numbered(3) {
		files[cpath(n)] = client(n, n, "payments: {enabled: true, country: NL}", "adopt: {payments: {account: acct_"+n+"}}")
	}
	equal(t, "touched", touched(w.push(files), w), []string{})
	w.hold(state.HoldCreates)
	w.push(m{cpath("c000"): client("c000", "c000", "payments: {enabled: true, country: NL}", "adopt: {payments: {account: acct_c000}}", "env: {A: b}")})
	equal(t, "still waits", w.named("c000").Status, state.StatusHeld)
}

func TestRuleApprovalServesItsPlanOnceWithinADay(t *testing.T) {
	w := strict(t, 20)
	w.push(gone("c000", "c001", "c002"))
	h := w.hold(state.HoldGuard)
	release := func(a state.Approval) Result {
		in := ReleaseInput{Now: w.now, Hold: h, Approval: a}
		for _, s := range w.tombs {
			in.Tombstones = append(in.Tombstones, s)
		}
		return Release(in)
	}
	equal(t, "lapsed", release(state.Approval{Fingerprint: h.Fingerprint, At: w.now.Add(-state.ApprovalLife - 1)}), Result{})
	equal(t, "used", release(state.Approval{Fingerprint: h.Fingerprint, At: w.now, Used: w.now}), Result{})
	equal(t, "another", release(state.Approval{Fingerprint: "x" + h.Fingerprint, At: w.now}), Result{})
	equal(t, "its own", len(release(state.Approval{Fingerprint: h.Fingerprint, At: w.now.Add(-state.ApprovalLife)}).Tombstones), 3)

	// Given before: it serves when the plan is there, once.
	w2 := strict(t, 20)
	w2.approvals[h.Fingerprint] = state.Approval{Fingerprint: h.Fingerprint, At: w2.now}
	w2.push(gone("c000", "c001", "c002"))
	equal(t, "due", len(w2.due()), 3)
	equal(t, "used", w2.approvals[h.Fingerprint].Used.IsZero(), false)
	// Another plan doesn't get it.
	w3 := strict(t, 20)
	w3.approvals[h.Fingerprint] = state.Approval{Fingerprint: h.Fingerprint, At: w3.now}
	w3.push(gone("c000", "c001", "c002", "c003"))
	equal(t, "due", len(w3.due()), 0)
	equal(t, "unused", w3.approvals[h.Fingerprint].Used.IsZero(), true)
}

// Guard: who is put back into the tree and can't be accepted has not returned: its removal
// counts with the others of the day.
func TestRuleGuardCountsWhoCantReturn(t *testing.T) {
	w := fleet(t, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
	w.guard.MaxDeletes = 1
	w.push(map[string]string{cpath("a"): ""})
	w.finish()
	w.push(map[string]string{cpath("a"): client("a", "c"), cpath("b"): ""}) // c.agency.example is c's
	if w.problem(cpath("a")) == "" {
		t.Fatal("a was accepted with the name of c")
	}
	if h := w.hold(state.HoldGuard); h.Fingerprint == "" {
		t.Error("two clients are gone within a day, and the guard allows one")
	}
}

// Guard: who waits to be let in is no part of the fleet, so that it does not let more of the
// others go. Once it was let in it is.
func TestRuleGuardMeasuresAgainstWhoWasLetIn(t *testing.T) {
	w := strict(t, 20) // two a day
	w.guard.MaxDeletes, w.guard.MaxCreates = 100, 5
	fresh := m{}
	for _, n := range []string{"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"} {
		fresh[cpath(n)] = client(n, n)
	}
	w.push(fresh)
	waits := w.hold(state.HoldCreates).Fingerprint
	w.push(gone("c000", "c001", "c002"))
	equal(t, "due", w.dueParts(), []string{})
	h := w.hold(state.HoldGuard)
	contains(t, "reason", h.Reason, "3 clients would lose their manifest, database or host name within 24 hours; the guard allows 2 of 20")
	w.push(m{cpath("c000"): client("c000", "c000"), cpath("c001"): client("c001", "c001"), cpath("c002"): client("c002", "c002")})
	w.approve(waits)
	w.push(gone("c000", "c001", "c002"))
	equal(t, "due of 30", w.dueParts(), []string{"c000", "c001", "c002"})
}
