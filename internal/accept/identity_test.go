package accept

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

type m = map[string]string

func TestRuleIdentityMintedOnce(t *testing.T) {
	w := fleet(t, "alpha")
	a := w.named("alpha")
	equal(t, "generation", a.Generation, 1)
	equal(t, "status, path, head", []any{a.Path, a.Commit, a.Seq, a.Blob}, []any{cpath("alpha"), w.base.Head, w.base.Seq, blob(w.tree[cpath("alpha")])})
	equal(t, "owner", w.owner("alpha.agency.example"), "alpha")
	r := w.push(m{cpath("alpha"): client("alpha", "alpha", "env: {A: b}")})
	equal(t, "touched", touched(r, w), []string{"alpha"})
	equal(t, "id", w.named("alpha").ID, a.ID)
}

func TestRuleIdentityMovedFileIsNoChange(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	text := w.tree[cpath("alpha")]
	r := w.push(m{cpath("alpha"): "", "clients/al/alpha.yaml": text})
	equal(t, "touched", r.Touched, []state.ClientID{})
	equal(t, "tombstones", r.Tombstones, []state.Tombstone{})
	equal(t, "path", w.named("alpha").Path, "clients/al/alpha.yaml")
	equal(t, "verdict", r.Verdict.State, "success")
	// Moved and changed at once is one change.
	r = w.push(m{"clients/al/alpha.yaml": "", cpath("alpha"): client("alpha", "alpha", "env: {A: b}")})
	equal(t, "touched", touched(r, w), []string{"alpha"})
	equal(t, "due", w.dueParts(), []string{})
	// Moved and broken at once keeps the last good version.
	r = w.push(m{cpath("alpha"): "", "clients/al/alpha.yaml": "name: [\n"})
	equal(t, "tombstones", len(r.Tombstones), 0)
	equal(t, "still there", w.named("alpha").InvalidBlob != "", true)
	r = w.push(m{"clients/al/alpha.yaml": ""})
	equal(t, "removed then", len(r.Tombstones), 1)
}

func TestS23RuleIdentityRename(t *testing.T) {
	w := fleet(t, "demoshop", "other")
	id := w.named("demoshop").ID
	r := w.push(m{cpath("demoshop"): "", cpath("demo-shop"): client("demo-shop", "demoshop", "previously: [demoshop]")})
	c := w.named("demo-shop")
	equal(t, "id, generation, former", []any{c.ID, c.Generation, c.Former}, []any{id, 1, []string{"demoshop"}})
	equal(t, "tombstones", r.Tombstones, []state.Tombstone{})
	equal(t, "touched", touched(r, w), []string{"demo-shop"})
	equal(t, "owner", w.owner("demoshop.agency.example"), "demo-shop")
	// The manifest goes on saying so, and that is fine.
	w.push(m{cpath("demo-shop"): client("demo-shop", "demoshop", "previously: [demoshop]", "env: {A: b}")})
	equal(t, "problems", w.base.Problems, []state.FileProblem{})
	// Somebody else may take the former name afresh, as a new generation.
	w.push(m{cpath("demoshop"): client("demoshop", "fresh")})
	n := w.named("demoshop")
	equal(t, "new id", n.ID != id, true)
	equal(t, "generation", n.Generation, 2)
	// And the renamed one may still change.
	r = w.push(m{cpath("demo-shop"): client("demo-shop", "demoshop", "previously: [demoshop]")})
	equal(t, "touched", touched(r, w), []string{"demo-shop"})
}

func TestRuleIdentityPreviouslyOnlyOfTheSameRange(t *testing.T) {
	cases := []struct {
		name  string
		files m
		says  string
	}{
		{"living", m{cpath("new"): client("new", "new", "previously: [alpha]")}, "alpha still has its own manifest"},
		{"unknown", m{cpath("new"): client("new", "new", "previously: [alhpa]")}, "nobody here is called alhpa"},
		{"earlier", m{cpath("new"): client("new", "new", "previously: [gone]")}, "gone was removed by an earlier commit"},
		{"two", m{cpath("alpha"): "", cpath("beta"): "", cpath("new"): client("new", "new", "previously: [alpha, beta]")}, "more than one of its former names"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := fleet(t, "alpha", "beta", "gone")
			w.push(m{cpath("gone"): ""})
			w.finish()
			r := w.push(c.files)
			equal(t, "new client", w.has("new"), false)
			contains(t, "problem", w.problem(cpath("new")), c.says)
			equal(t, "state", r.Verdict.State == "success", false)
			equal(t, "invalid", r.Verdict.Invalid[0].Path, cpath("new"))
		})
	}
	t.Run("existing", func(t *testing.T) {
		w := fleet(t, "alpha", "beta")
		w.push(m{cpath("alpha"): "", cpath("beta"): client("beta", "beta", "previously: [alpha]")})
		contains(t, "problem", w.problem(cpath("beta")), "can't become alpha")
		equal(t, "due", w.dueParts(), []string{})
	})
	t.Run("twice", func(t *testing.T) {
		w := fleet(t, "alpha")
		w.push(m{cpath("alpha"): "", cpath("one"): client("one", "one", "previously: [alpha]"), cpath("two"): client("two", "two", "previously: [alpha]")})
		contains(t, "problem", w.problem(cpath("one")), "more than one file would be alpha")
		contains(t, "problem", w.problem(cpath("two")), "more than one file would be alpha")
		equal(t, "due", w.dueParts(), []string{})
	})
}

func TestRuleIdentityRenameThatForgotToSaySo(t *testing.T) {
	w := fleet(t, "demoshop")
	w.push(m{cpath("demoshop"): "", cpath("demo-shop"): client("demo-shop", "demoshop")})
	contains(t, "problem", w.problem(cpath("demo-shop")), "takes demoshop.agency.example from demoshop, which is removed here")
	equal(t, "due: it waits for the file", w.dueParts(), []string{})
	id := w.claims["host:demoshop.agency.example"].Client
	// The next commit says it: nothing was lost.
	w.push(m{cpath("demo-shop"): client("demo-shop", "demoshop", "previously: [demoshop]")})
	equal(t, "id", w.named("demo-shop").ID, id)
	equal(t, "tombstones", w.tombs, map[string]state.Tombstone{})
}

// A file of an earlier commit that asked in vain for the name counts too.
func TestRuleIdentityRenameInTwoCommits(t *testing.T) {
	w := fleet(t, "demoshop")
	id := w.named("demoshop").ID
	w.push(m{cpath("demo-shop"): client("demo-shop", "demoshop")})
	contains(t, "first", w.problem(cpath("demo-shop")), "demoshop.agency.example belongs to demoshop")
	w.push(m{cpath("demoshop"): ""})
	contains(t, "then", w.problem(cpath("demo-shop")), "a rename that doesn't say so?")
	w.again()
	equal(t, "due: it waits for the file", w.dueParts(), []string{})
	w.push(m{cpath("demo-shop"): client("demo-shop", "demoshop", "previously: [demoshop]")})
	equal(t, "id", w.named("demo-shop").ID, id)
}

func TestRuleIdentityFreshTakesTheHost(t *testing.T) {
	w := fleet(t, "demoshop")
	old := w.named("demoshop").ID
	r := w.push(m{cpath("demoshop"): "", cpath("demo-shop"): client("demo-shop", "demoshop", "database: {reuse: fresh}")})
	c := w.named("demo-shop")
	equal(t, "new id", c.ID != old, true)
	equal(t, "due", w.dueParts(), []string{"demoshop"})
	equal(t, "claim", w.claims["host:demoshop.agency.example"].From[0], old)
	equal(t, "touched", touched(r, w), []string{"demo-shop", "demoshop"})
}

func TestRuleIdentityOneNameOneFile(t *testing.T) {
	w := fleet(t, "alpha")
	w.push(m{"clients/x/alpha.yaml": client("alpha", "elsewhere")})
	contains(t, "problem", w.problem("clients/x/alpha.yaml"), "clients/alpha.yaml is the manifest of alpha")
	equal(t, "host", w.owner("alpha.agency.example"), "alpha")
	w.push(m{"clients/x/new.yaml": client("new", "n1"), "clients/y/new.yaml": client("new", "n2")})
	contains(t, "problem", w.problem("clients/x/new.yaml"), "more than one file is named new")
	equal(t, "nobody", w.has("new"), false)
	// Once the incumbent's file goes, the other one is its manifest: a move.
	id := w.named("alpha").ID
	w.push(m{cpath("alpha"): ""})
	equal(t, "id", w.named("alpha").ID, id)
	equal(t, "host", w.named("alpha").Path, "clients/x/alpha.yaml")
	equal(t, "whole", slices.ContainsFunc(w.due(), func(s state.Tombstone) bool { return s.Part == "" }), false)
}

func TestRuleIdentityFirstHeadRecordsFormerNames(t *testing.T) {
	w := newWorld(t)
	w.tree = m{"templates/shop.yaml": template("v1"), cpath("demo-shop"): client("demo-shop", "demoshop", "previously: [demoshop]")}
	w.head()
	equal(t, "former", w.named("demo-shop").Former, []string{"demoshop"})
	equal(t, "problems", len(w.base.Problems), 0)
}

func TestRuleIdentityHostMoves(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	r := w.push(m{cpath("alpha"): client("alpha", "other"), cpath("beta"): client("beta", "beta", "aliases: [alpha.agency.example]")})
	equal(t, "owner", w.owner("alpha.agency.example"), "beta")
	equal(t, "from", w.claims["host:alpha.agency.example"].From[0], w.named("alpha").ID)
	equal(t, "touched", touched(r, w), []string{"alpha", "beta"})
	equal(t, "problems", len(w.base.Problems), 0)
	// A swap is two moves.
	r = w.push(m{cpath("alpha"): client("alpha", "alpha"), cpath("beta"): client("beta", "beta", "aliases: [other.agency.example]")})
	equal(t, "owners", []string{w.owner("alpha.agency.example"), w.owner("other.agency.example")}, []string{"alpha", "beta"})
	equal(t, "touched", touched(r, w), []string{"alpha", "beta"})
}

func TestRuleIdentityIncumbentKeepsTheName(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	r := w.push(m{cpath("beta"): client("beta", "alpha"), cpath("gamma"): client("gamma", "alpha")})
	equal(t, "owner", w.owner("alpha.agency.example"), "alpha")
	contains(t, "beta", w.problem(cpath("beta")), "alpha.agency.example belongs to alpha")
	contains(t, "gamma", w.problem(cpath("gamma")), "alpha.agency.example belongs to alpha")
	equal(t, "beta's own", w.owner("beta.agency.example"), "beta")
	equal(t, "touched", r.Touched, []state.ClientID{})
	// It lets go: now two want it, and neither is chosen.
	w.push(m{cpath("alpha"): client("alpha", "away")})
	contains(t, "beta", w.problem(cpath("beta")), "asked for by more than one manifest")
	// One of them gives in; the other gets it without a commit of its own.
	w.push(m{cpath("gamma"): client("gamma", "gamma")})
	equal(t, "owner", w.owner("alpha.agency.example"), "beta")
	equal(t, "problems", len(w.base.Problems), 0)
}

func TestRuleIdentityInvalidOwnerDoesNotLetGo(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	// alpha would give its name away, but asks for beta's, which stays: so does alpha's.
	w.push(m{cpath("alpha"): client("alpha", "beta"), cpath("gamma"): client("gamma", "alpha")})
	contains(t, "alpha", w.problem(cpath("alpha")), "beta.agency.example belongs to beta")
	contains(t, "gamma", w.problem(cpath("gamma")), "alpha.agency.example belongs to alpha")
	equal(t, "owner", w.owner("alpha.agency.example"), "alpha")
}

// A file that only moved doesn't take back a name that it let go before.
func TestRuleIdentityMovedFileKeepsNoFormerName(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	w.push(m{cpath("alpha"): client("alpha", "away")})
	w.push(m{cpath("alpha"): "", "clients/x/alpha.yaml": w.tree[cpath("alpha")], cpath("beta"): client("beta", "alpha")})
	equal(t, "problems", len(w.base.Problems), 0)
	equal(t, "owner", w.owner("alpha.agency.example"), "beta")
}

func TestRuleIdentityNameOfOneThatWaitsToGo(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	w.guard.RemoveAfter = time.Hour
	w.push(m{cpath("alpha"): ""})
	w.push(m{cpath("gamma"): client("gamma", "alpha")})
	contains(t, "gamma", w.problem(cpath("gamma")), "alpha.agency.example is still alpha's: its removal waits")
	w.now = w.now.Add(2 * time.Hour)
	r := w.again()
	equal(t, "owner", w.owner("alpha.agency.example"), "gamma")
	equal(t, "verdict", r.Verdict.Clients[w.named("gamma").ID], FatePending)
}

// Threat 16: a name and what lies below it are one client's, whoever asks and in whichever
// order; the base domain is shared.
func TestThreat16NestedNames(t *testing.T) {
	for what, c := range map[string]struct{ has, asks, says string }{
		"below":               {client("victim", "victim.example"), client("evil", "login.victim.example"), "login.victim.example lies below another client's name: victim.example belongs to victim"},
		"far below":           {client("victim", "victim.example"), client("evil", "a.b.victim.example"), "a.b.victim.example lies below"},
		"an alias below":      {client("victim", "victim.example"), client("evil", "evil", "aliases: [www.victim.example]"), "www.victim.example lies below"},
		"below an alias":      {client("victim", "victim", "aliases: [victim.example]"), client("evil", "login.victim.example"), "victim.example belongs to victim"},
		"below a label":       {client("victim", "victim"), client("evil", "mail.victim.agency.example"), "victim.agency.example belongs to victim"},
		"above":               {client("victim", "www.victim.example"), client("evil", "victim.example"), "victim.example lies above another client's name: www.victim.example belongs to victim"},
		"above a name of its": {client("victim", "victim", "aliases: [a.b.victim.example]"), client("evil", "b.victim.example"), "b.victim.example lies above"},
		"in another spelling": {client("victim", "bücher.example"), client("evil", "LOGIN.xn--bcher-kva.example"), "lies below"},
		"above, by its label": {client("victim", "mail.evil.agency.example"), client("evil", "evil"), "evil.agency.example lies above"},
	} {
		t.Run(what, func(t *testing.T) {
			w := fleet(t, "other")
			w.push(m{cpath("victim"): c.has})
			had := w.named("victim")
			r := w.push(m{cpath("evil"): c.asks})
			equal(t, "evil", w.has("evil"), false)
			contains(t, "evil", w.problem(cpath("evil")), c.says)
			contains(t, "evil's next step", w.base.Problems[0].Hint, "choose another name, or take it out of clients/victim.yaml in the same commit")
			equal(t, "touched", r.Touched, []state.ClientID{})
			// Nothing of the victim's stands in the way of its own commits.
			w.push(m{cpath("victim"): c.has + "env: {A: b}\n"})
			equal(t, "victim", []any{w.named("victim").ID, w.named("victim").InvalidBlob, len(w.base.Problems)}, []any{had.ID, "", 1})
			// It goes, and its names are free.
			w.push(m{cpath("victim"): ""})
			w.finish()
			w.again()
			equal(t, "evil", w.has("evil"), true)
			// Who comes back finds what was given away meanwhile.
			w.push(m{cpath("victim"): c.has})
			contains(t, "victim", w.problem(cpath("victim")), " lies ")
			equal(t, "victim", w.has("victim"), false)
		})
	}
	t.Run("an edit of who has another name", func(t *testing.T) {
		w := fleet(t, "victim", "evil")
		w.push(m{cpath("evil"): client("evil", "evil", "aliases: [login.victim.agency.example]", "env: {A: b}")})
		contains(t, "evil", w.problem(cpath("evil")), "login.victim.agency.example lies below")
		equal(t, "evil keeps its last good version", len(w.named("evil").Manifest) > 0 && w.owner("evil.agency.example") == "evil", true)
		equal(t, "nobody's", w.owner("login.victim.agency.example"), "")
	})
	t.Run("what was let go is not had", func(t *testing.T) {
		w := fleet(t, "victim")
		w.push(m{cpath("victim"): client("victim", "away")})
		w.push(m{cpath("evil"): client("evil", "login.victim.agency.example")})
		equal(t, "evil", w.has("evil"), true)
		w.push(m{cpath("victim"): client("victim", "victim")})
		contains(t, "victim", w.problem(cpath("victim")), "victim.agency.example lies above another client's name: login.victim.agency.example belongs to evil")
	})
	t.Run("nor is what a removed client had", func(t *testing.T) {
		w := fleet(t, "victim")
		w.push(m{cpath("victim"): ""})
		w.push(m{cpath("evil"): client("evil", "login.victim.agency.example")})
		equal(t, "evil", w.has("evil"), true)
		w.push(m{cpath("victim"): client("victim", "victim")})
		contains(t, "victim", w.problem(cpath("victim")), "victim.agency.example lies above another client's name: login.victim.agency.example belongs to evil")
	})
	t.Run("two at once", func(t *testing.T) {
		w := fleet(t, "other")
		w.push(m{cpath("one"): client("one", "shop.example"), cpath("two"): client("two", "two", "aliases: [login.shop.example]")})
		contains(t, "one", w.problem(cpath("one")), "shop.example lies above login.shop.example, which clients/two.yaml asks for")
		contains(t, "two", w.problem(cpath("two")), "login.shop.example lies below shop.example, which clients/one.yaml asks for")
		w.push(m{cpath("two"): client("two", "two")})
		equal(t, "problems", len(w.base.Problems), 0)
		equal(t, "owner", w.owner("shop.example"), "one")
	})
	t.Run("nobody is refused for what another asks in vain", func(t *testing.T) {
		w := fleet(t, "other")
		w.push(m{cpath("one"): client("one", "shop.example"), cpath("two"): client("two", "other", "aliases: [login.shop.example]")})
		equal(t, "owner", w.owner("shop.example"), "one")
		contains(t, "two", w.problem(cpath("two")), "other.agency.example belongs to other")
	})
	t.Run("both in one commit from one client to another", func(t *testing.T) {
		w := fleet(t, "alpha", "beta")
		both := "aliases: [shop.example, www.shop.example]"
		w.push(m{cpath("alpha"): client("alpha", "alpha", both)})
		w.push(m{cpath("alpha"): client("alpha", "alpha"), cpath("beta"): client("beta", "beta", both)})
		equal(t, "problems", len(w.base.Problems), 0)
		equal(t, "owners", []string{w.owner("shop.example"), w.owner("www.shop.example")}, []string{"beta", "beta"})
		// One of them alone does not move.
		w.push(m{cpath("beta"): client("beta", "beta", "aliases: [www.shop.example]"), cpath("alpha"): client("alpha", "alpha", "aliases: [shop.example]")})
		contains(t, "alpha", w.problem(cpath("alpha")), "shop.example lies above another client's name: www.shop.example belongs to beta")
	})
	t.Run("a removal that can be taken back keeps them", func(t *testing.T) {
		w := fleet(t, "victim")
		w.guard.RemoveAfter = time.Hour
		w.push(m{cpath("victim"): ""})
		w.push(m{cpath("evil"): client("evil", "login.victim.agency.example")})
		contains(t, "evil", w.problem(cpath("evil")), "victim.agency.example is still victim's: its removal waits")
		w.push(m{cpath("victim"): client("victim", "victim")})
		equal(t, "victim", w.has("victim"), true)
		equal(t, "evil", w.has("evil"), false)
	})
	t.Run("a rename goes on", func(t *testing.T) {
		w := fleet(t, "victim")
		w.push(m{cpath("evil"): client("evil", "login.victim.agency.example"), cpath("victim"): "", cpath("winner"): client("winner", "victim", "previously: [victim]")})
		equal(t, "owner", w.owner("victim.agency.example"), "winner")
		contains(t, "evil", w.problem(cpath("evil")), "victim.agency.example belongs to victim")
	})
	t.Run("whose names came to lie so keeps them", func(t *testing.T) {
		w := newWorld(t)
		w.defaults.BaseDomain = "sites.agency.example"
		w.tree = m{"templates/shop.yaml": template("v1"), cpath("agency"): client("agency", "agency.example"), cpath("alpha"): client("alpha", "alpha")}
		w.head()
		equal(t, "problems", len(w.base.Problems), 0)
		w.push(m{cpath("beta"): client("beta", "beta"), cpath("agency"): client("agency", "agency.example", "env: {A: b}"), cpath("alpha"): client("alpha", "alpha", "env: {A: b}")})
		equal(t, "problems", len(w.base.Problems), 0)
	})
}

// What a client loses that comes back under another name is judged by what it was, though its
// template went with its file and came back in another version.
func TestRuleIdentityRenameAcrossALostTemplate(t *testing.T) {
	w := fleet(t, "alpha")
	id := w.named("alpha").ID
	w.push(m{cpath("alpha"): "", "templates/shop.yaml": "", cpath("beta"): client("beta", "elsewhere.example", "previously: [alpha]")})
	contains(t, "it waits", w.problem(cpath("beta")), `there is no template "shop"`)
	equal(t, "due", w.dueParts(), []string{})
	w.push(m{cpath("gamma"): client("gamma", "gamma")}) // a head in between
	w.push(m{"templates/shop.yaml": template("v2")})
	equal(t, "the same client", w.named("beta").ID, id)
	if _, let := w.tombs[stoneKey(state.Tombstone{Client: id, Part: HostPart + "/alpha.agency.example"})]; !let {
		t.Errorf("nothing says that alpha.agency.example is let go: %v", w.tombs)
	}
	w.finish()
	w.now = w.now.Add(25 * time.Hour)
	w.head()
	equal(t, "nobody's", w.owner("alpha.agency.example"), "")
}

// A name that was let go, by who is paused, say, stays with its last owner until that has carried
// it out, for however long: whoever asks for it gets it from there.
func TestRuleIdentityNameThatIsLetGoAndStillThere(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	alpha := w.named("alpha").ID
	w.push(m{cpath("alpha"): client("alpha", "other")})
	for range 3 {
		w.now = w.now.Add(25 * time.Hour)
		w.push(m{cpath("gamma"): client("gamma", "gamma", fmt.Sprintf("env: {NOW: %q}", w.now))})
	}
	equal(t, "it is alpha's", w.owner("alpha.agency.example"), "alpha")
	w.push(m{cpath("beta"): client("beta", "beta", "aliases: [alpha.agency.example]")})
	equal(t, "problems", len(w.base.Problems), 0)
	equal(t, "owner", w.owner("alpha.agency.example"), "beta")
	same(t, "from", w.claims["host:alpha.agency.example"].From, []state.ClientID{alpha})
	w.push(m{cpath("alpha"): client("alpha", "third")}) // "other" is let go, and then carried out
	w.finish()
	w.now = w.now.Add(25 * time.Hour)
	w.head()
	equal(t, "nobody's", w.owner("other.agency.example"), "")
}
