package accept

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// demoshop was removed, its database is retained.
func retained(t *testing.T) (*world, state.Client) {
	w := fleet(t, "demoshop", "other")
	w.push(m{cpath("demoshop"): ""})
	w.settle()
	var old state.Client
	for _, c := range w.clients {
		if c.Removed {
			old = c
		}
	}
	w.finish()
	return w, old
}

// S52: a new customer with an old name.
func TestS52RuleDataReuse(t *testing.T) {
	w, old := retained(t)
	r := w.push(m{cpath("demoshop"): client("demoshop", "other-domain")})
	h := w.hold(state.HoldReuse)
	equal(t, "only a change helps", h.Approvable, false)
	contains(t, "act", h.Act, "database.reuse: retained (that database) or fresh (a new one)")
	equal(t, "nobody", w.has("demoshop"), false)
	equal(t, "touched", r.Touched, []state.ClientID{})
	// P9: nothing can be approved, so the commit's verdict ends: it is invalid.
	equal(t, "verdict", []any{r.Verdict.State, r.Verdict.Invalid[0].Path, r.Verdict.Ended.IsZero()}, []any{"failure", cpath("demoshop"), false})
	// It stays held over other commits, and is said once.
	r = w.push(m{cpath("other"): client("other", "other", "env: {A: b}")})
	w.hold(state.HoldReuse)
	equal(t, "not this commit's", len(r.Verdict.Invalid), 0)

	answer := func(say string) (*world, Result) {
		w, _ := retained(t)
		w.push(m{cpath("demoshop"): client("demoshop", "other-domain")})
		r := w.push(m{cpath("demoshop"): client("demoshop", "other-domain", "database: {reuse: "+say+"}")})
		equal(t, "holds", len(w.holds), 0)
		equal(t, "problems", len(w.base.Problems), 0)
		return w, r
	}
	w, r = answer("retained")
	c := w.named("demoshop")
	equal(t, "the same client", []any{c.ID, c.Generation, c.Removed}, []any{old.ID, 1, false})
	equal(t, "fate", r.Verdict.Clients[old.ID], FatePending)
	w, _ = answer("fresh")
	c = w.named("demoshop")
	equal(t, "another client", []any{c.ID != old.ID, c.Generation}, []any{true, 2})
	equal(t, "the old one keeps its data", w.clients[old.ID].Removed, true)
	// It may go on saying so.
	r = w.push(m{cpath("demoshop"): client("demoshop", "other-domain", "database: {reuse: fresh}", "env: {A: b}")})
	equal(t, "touched", touched(r, w), []string{"demoshop"})
	equal(t, "id", w.named("demoshop").ID, c.ID)
}

func TestRuleDataReturnsToTheSameNameAndDomain(t *testing.T) {
	w, old := retained(t)
	// Everything else may differ.
	w.push(m{cpath("demoshop"): client("demoshop", "demoshop", "env: {A: b}")})
	equal(t, "id", w.named("demoshop").ID, old.ID)
	// The domain written in full is the same domain.
	w, old = retained(t)
	w.push(m{cpath("demoshop"): client("demoshop", "demoshop.agency.example")})
	equal(t, "id", w.named("demoshop").ID, old.ID)
	// A fresh start may be asked for.
	w, old = retained(t)
	w.push(m{cpath("demoshop"): client("demoshop", "demoshop", "database: {reuse: fresh}")})
	equal(t, "another id", w.named("demoshop").ID != old.ID, true)
	equal(t, "generation", w.named("demoshop").Generation, 2)
	// Its template is gone meanwhile: the domain as it was written decides.
	w, old = retained(t)
	w.push(m{"templates/shop.yaml": "", "templates/blog.yaml": "apiVersion: reconciler/v1\nkind: Template\nname: blog\nsource: {repository: agency/blog, ref: v1}\n"})
	w.push(m{cpath("demoshop"): "apiVersion: reconciler/v1\nkind: Client\nname: demoshop\ndomain: demoshop\ntemplate: blog\ncontact: {email: a@b.example}\n"})
	equal(t, "id", w.named("demoshop").ID, old.ID)
}

func TestRuleDataNothingRetainedIsNobodysName(t *testing.T) {
	w, old := retained(t)
	w.retained = map[state.ClientID]bool{}
	w.push(m{cpath("demoshop"): client("demoshop", "other-domain")})
	equal(t, "holds", len(w.holds), 0)
	equal(t, "another client", []any{w.named("demoshop").ID != old.ID, w.named("demoshop").Generation}, []any{true, 2})
}

// Nor is that of a client whose removal is not carried out, and that has no database. That of one which has is.
func TestRuleDataOfARemovalUnderWay(t *testing.T) {
	for name, database := range map[string]string{"none": "database: {provider: none}", "one": ""} {
		w := fleet(t, "demoshop", "other")
		w.push(m{cpath("demoshop"): client("demoshop", "demoshop", database)})
		old := w.named("demoshop")
		w.push(m{cpath("demoshop"): ""})
		w.push(m{cpath("demoshop"): client("demoshop", "other-domain")})
		if name == "one" {
			w.hold(state.HoldReuse)
			continue
		}
		equal(t, "holds", len(w.holds), 0)
		equal(t, "another client", []any{w.named("demoshop").ID != old.ID, w.named("demoshop").Generation}, []any{true, 2})
		// It had one before, which is still on record.
		w.retained[w.named("demoshop").ID] = true
		w.push(m{cpath("demoshop"): ""})
		w.push(m{cpath("demoshop"): client("demoshop", "third-domain")})
		w.hold(state.HoldReuse)
	}
}

func TestRuleDataPurgedWhileItWasAsked(t *testing.T) {
	w, old := retained(t)
	first := w.push(m{cpath("demoshop"): client("demoshop", "other-domain")})
	// The database was purged by schedule, the old client forgotten.
	delete(w.retained, old.ID)
	delete(w.clients, old.ID)
	for k, s := range w.tombs {
		if s.Client == old.ID {
			delete(w.tombs, k)
		}
	}
	r := w.again()
	equal(t, "holds", len(w.holds), 0)
	equal(t, "touched", touched(r, w), []string{"demoshop"})
	v := w.verdicts[first.Verdict.Commit]
	equal(t, "its verdict goes on", []any{v.State, len(v.Invalid), v.Clients[w.named("demoshop").ID]}, []any{"pending", 0, FatePending})
	w.settle()
	equal(t, "and ends", w.verdicts[first.Verdict.Commit].State, "success")
}

// A former name of a removed client is guarded like its last one.
func TestRuleDataFormerName(t *testing.T) {
	w := fleet(t, "demoshop", "other")
	id := w.named("demoshop").ID
	w.push(m{cpath("demoshop"): "", cpath("demo-shop"): client("demo-shop", "demoshop", "previously: [demoshop]")})
	w.push(m{cpath("demo-shop"): ""})
	w.finish()
	w.push(m{cpath("demoshop"): client("demoshop", "other-domain")})
	contains(t, "reason", w.hold(state.HoldReuse).Reason, "demo-shop was removed and its database is still here")
	w.push(m{cpath("demoshop"): client("demoshop", "other-domain", "database: {reuse: retained}")})
	c := w.named("demoshop")
	equal(t, "id, former", []any{c.ID, c.Former}, []any{id, []string{"demo-shop"}})
}

// Whom a rename carries on in the same range is not gone: the name is free.
func TestRuleDataFormerNameOfARename(t *testing.T) {
	w := fleet(t, "demoshop", "other")
	id := w.named("demoshop").ID
	w.push(m{cpath("demoshop"): "", cpath("shop"): client("shop", "demoshop", "previously: [demoshop]")})
	w.push(m{cpath("shop"): "", cpath("the-shop"): client("the-shop", "demoshop", "previously: [shop]"), cpath("demoshop"): client("demoshop", "new-domain")})
	equal(t, "id", w.named("the-shop").ID, id)
	equal(t, "newcomer", w.named("demoshop").Generation, 2)
	equal(t, "holds", len(w.holds), 0)
}

func TestRuleDataReturnDuringTheRemoval(t *testing.T) {
	// The removal is not done: the database may still be there, whatever the record says.
	w := fleet(t, "demoshop", "other")
	w.push(m{cpath("demoshop"): ""})
	w.push(m{cpath("demoshop"): client("demoshop", "other-domain")})
	w.hold(state.HoldReuse)
	equal(t, "the removal goes on", w.dueParts(), []string{"demoshop"})
}

// A revert of a swap of names and of the removal after it is the same client: its name never moved.
func TestRuleDataReturnsToTheNameThatItStillHas(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	alpha, beta := w.tree[cpath("alpha")], w.tree[cpath("beta")]
	id := w.named("beta").ID
	swap := func() {
		w.push(m{cpath("alpha"): client("alpha", "beta"), cpath("beta"): client("beta", "alpha")})
		w.push(m{cpath("alpha"): "name: [\n", cpath("beta"): ""})
		equal(t, "the removal waits", w.stone("beta", "").Waits, cpath("alpha"))
	}
	swap()
	w.push(m{cpath("alpha"): alpha, cpath("beta"): beta})
	equal(t, "the same client", []any{w.named("beta").ID, w.named("beta").Removed}, []any{id, false})
	equal(t, "owners", []string{w.owner("alpha.agency.example"), w.owner("beta.agency.example")}, []string{"alpha", "beta"})
	equal(t, "holds", len(w.holds), 0)
	_, goes := w.tombs[stoneKey(state.Tombstone{Client: id})]
	equal(t, "it goes", goes, false)
	// Another domain than those that it has is another customer's, perhaps.
	swap()
	w.push(m{cpath("alpha"): alpha, cpath("beta"): client("beta", "elsewhere")})
	w.hold(state.HoldReuse)
}

// Who begins afresh takes nothing over that is kept for the former client of the name. Anything
// else it may adopt.
func TestRuleAdoptionOfWhatTheFormerClientHas(t *testing.T) {
	with := func(adopt string) string { return "adopt: {" + adopt + "}" }
	for _, c := range []struct{ was, now, refused string }{
		{"database: {id: d1}", "database: {id: d1}", "adopt.database"},
		{"payments: {account: a1}", "payments: {account: a1}", "adopt.payments"},
		{"database: {id: d1}", "database: {id: d2}", ""},
		{"database: {id: d1}", "site: {id: d1}", ""},
		{"site: {id: s1}", "site: {id: s1}", ""},
	} {
		w := fleet(t, "other")
		extra := func(a string) []string {
			if strings.Contains(a, "payments") {
				return []string{with(a), "payments: {enabled: true}"}
			}
			return []string{with(a)}
		}
		w.push(m{cpath("demoshop"): client("demoshop", "demoshop", extra(c.was)...)})
		w.settle()
		old := w.named("demoshop").ID
		w.push(m{cpath("demoshop"): ""})
		w.finish()
		file := func(reuse string) m {
			return m{cpath("demoshop"): client("demoshop", "elsewhere", append(extra(c.now), "database: {reuse: "+reuse+"}")...)}
		}
		w.push(file("fresh"))
		if c.refused == "" {
			equal(t, c.now+": a new client", w.named("demoshop").ID != old, true)
			continue
		}
		equal(t, c.now+": nobody", w.has("demoshop"), false)
		equal(t, c.now+": problems", len(w.base.Problems), 1)
		contains(t, "problem", w.base.Problems[0].Text, c.refused)
		w.push(file("retained"))
		equal(t, c.now+": the same client", w.named("demoshop").ID, old)
	}
}
