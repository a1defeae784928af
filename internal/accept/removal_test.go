package accept

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

func (w *world) stone(name, part string) state.Tombstone {
	for _, t := range w.tombs {
		if t.Name == name && t.Part == part {
			return t
		}
	}
	return state.Tombstone{}
}

// S21: what goes is named by a tombstone, written with the baseline.
func TestP5RuleRemovalTombstoneWithTheBaseline(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	a := w.named("alpha")
	r := w.push(m{cpath("alpha"): ""})
	same(t, "tombstone", r.Tombstones, []state.Tombstone{{Client: a.ID, Name: "alpha", Commit: w.base.Head, Blob: a.Blob, At: w.now, Reviewed: true, Retain: "30d"}})
	equal(t, "baseline", r.Baseline.Head, w.base.Head)
	c := w.clients[a.ID]
	equal(t, "client", []any{c.Removed, c.Status, c.Settled, c.Seq}, []any{true, state.StatusDeleting, false, w.base.Seq})
	equal(t, "due", w.dueParts(), []string{"alpha"})
	equal(t, "verdict", r.Verdict.Clients[a.ID], FatePending)
	equal(t, "others", touched(r, w), []string{"alpha"})
}

func TestP5RuleRemovalOfParts(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	full := client("alpha", "alpha", "aliases: [www.alpha.example]", "dns: {provider: local, records: [{type: TXT, name: x, content: y}]}")
	w.push(m{cpath("alpha"): full})
	r := w.push(m{cpath("alpha"): client("alpha", "alpha", "database: {provider: none}")})
	equal(t, "due", w.dueParts(), []string{"alpha database/main", "alpha domain/www.alpha.example@local", "alpha record/TXT x"})
	equal(t, "host", w.stone("alpha", "host/www.alpha.example").Done, true)
	equal(t, "touched", touched(r, w), []string{"alpha"})
	// What comes back voids exactly its own tombstones.
	w.push(m{cpath("alpha"): client("alpha", "alpha", "aliases: [www.alpha.example]", "database: {provider: none}")})
	equal(t, "due", w.dueParts(), []string{"alpha database/main", "alpha record/TXT x"})
	equal(t, "host", w.stone("alpha", "host/www.alpha.example"), state.Tombstone{})
	w.push(m{cpath("alpha"): full})
	equal(t, "due", w.dueParts(), []string{})
	equal(t, "tombstones", len(w.tombs), 0)
}

// A template or platform file that takes a part away is proof like a manifest's.
func TestP5RuleRemovalByTemplateOrPlatform(t *testing.T) {
	with := template("v1") + "defaults: {dns: {records: [{type: TXT, name: x, content: y}]}}\n"
	w := newWorld(t)
	w.tree = m{"templates/shop.yaml": with, cpath("alpha"): client("alpha", "alpha"), cpath("beta"): client("beta", "beta", "dns: {provider: local, records: []}")}
	w.head()
	w.settle()
	r := w.push(m{"templates/shop.yaml": template("v1")})
	equal(t, "due", w.dueParts(), []string{"alpha record/TXT x"})
	equal(t, "touched", touched(r, w), []string{"alpha"})
	w.finish()
	w.push(m{"platform.yaml": platform("defaults: {database: {provider: none}}")})
	equal(t, "due", w.dueParts(), []string{"alpha database/main", "beta database/main"})
	w.push(m{"platform.yaml": ""})
	equal(t, "due", w.dueParts(), []string{})
}

// S26: a rename with a typo deletes nothing until it parses.
func TestP5S26RuleRemovalWaitsForAnInvalidFile(t *testing.T) {
	w := fleet(t, "demoshop", "other")
	id := w.named("demoshop").ID
	r := w.push(m{cpath("demoshop"): "", cpath("demo-shop"): "apiVersion: reconciler/v1\nkind: Client\nname: [\n"})
	equal(t, "waits", w.stone("demoshop", "").Waits, cpath("demo-shop"))
	equal(t, "due", w.dueParts(), []string{})
	equal(t, "fate", r.Verdict.Clients[id], FateHeld)
	contains(t, "why", w.clients[id].Because, "waits until clients/demo-shop.yaml is valid")
	// Other commits change nothing of that.
	w.push(m{cpath("other"): client("other", "other", "env: {A: b}")})
	equal(t, "due", w.dueParts(), []string{})
	// Mended, it is the rename that it was meant to be.
	w.push(m{cpath("demo-shop"): client("demo-shop", "demoshop", "previously: [demoshop]")})
	equal(t, "id", w.named("demo-shop").ID, id)
	equal(t, "tombstones", len(w.tombs), 0)
	equal(t, "first verdict", w.verdicts[r.Verdict.Commit].State, "failure") // the file was invalid there; nothing waits
}

func TestP5RuleRemovalGoesOnWhenTheFileIsMended(t *testing.T) {
	for name, mend := range map[string]string{"mended": client("new", "new"), "taken away": ""} {
		t.Run(name, func(t *testing.T) {
			w := fleet(t, "alpha", "beta")
			id := w.named("alpha").ID
			first := w.push(m{cpath("alpha"): "", cpath("new"): "name: [\n"})
			w.settle()
			r := w.push(m{cpath("new"): mend})
			equal(t, "due", w.dueParts(), []string{"alpha"})
			equal(t, "a pass follows", contains2(r.Touched, id), true)
			equal(t, "status", w.clients[id].Status, state.StatusDeleting)
			// P9: the verdict of the commit that removed it speaks of it, and ends with it.
			_, here := r.Verdict.Clients[id]
			equal(t, "this head's verdict", here, false)
			v := w.verdicts[first.Verdict.Commit]
			equal(t, "fate", v.Clients[id], FatePending)
			// What was told of it was an end: that it goes on is told, too.
			equal(t, "told", slices.ContainsFunc(r.Reports, func(x state.Report) bool {
				return x.Subject == "commit/"+first.Verdict.Commit && x.State == "pending" && x.Text == "1 client to do, invalid: clients/new.yaml"
			}), true)
			v.Clients[id] = FateSucceeded
			Conclude(&v, w.now)
			equal(t, "ended", v.Ended.IsZero(), false)
		})
	}
	t.Run("part", func(t *testing.T) {
		w := fleet(t, "alpha", "beta")
		w.push(m{cpath("alpha"): client("alpha", "alpha", "database: {provider: none}"), cpath("new"): "name: [\n"})
		equal(t, "due", w.dueParts(), []string{})
		w.settle()
		r := w.push(m{cpath("new"): ""})
		equal(t, "due", w.dueParts(), []string{"alpha database/main"})
		equal(t, "touched", touched(r, w), []string{"alpha"})
	})
	t.Run("two files", func(t *testing.T) {
		w := fleet(t, "alpha", "beta")
		w.push(m{cpath("alpha"): "", cpath("one"): "name: [\n", "templates/blog.yaml": "x"})
		equal(t, "waits", WaitsFor(w.stone("alpha", "")), []string{cpath("one"), "templates/blog.yaml"})
		w.push(m{cpath("one"): ""})
		equal(t, "due", w.dueParts(), []string{})
		w.push(m{"templates/blog.yaml": ""})
		equal(t, "due", w.dueParts(), []string{"alpha"})
	})
}

// S24: who had a name one after the other pass as one group until it has moved, also when nobody asks for
// it any more: what the first one's alias redirects to may go with the second.
func TestRuleNameOfNobodyKeepsThoseWhoHadItTogether(t *testing.T) {
	w := fleet(t, "alpha", "beta", "other")
	a, b := w.named("alpha").ID, w.named("beta").ID
	w.push(m{cpath("alpha"): client("alpha", "alpha2"), cpath("beta"): client("beta", "alpha")})
	w.finish()
	w.push(m{cpath("beta"): client("beta", "beta2")})
	w.finish()
	w.now = w.now.Add(25 * time.Hour)
	w.push(m{cpath("other"): client("other", "other", "env: {A: b}")})
	same(t, "claim", w.claims["host:alpha.agency.example"], state.Claim{
		Key: "host:alpha.agency.example", Since: fmt.Sprintf("%040x", 2), From: []state.ClientID{a, b},
	})
	// Who asks for it next takes it over from both.
	w.push(m{cpath("other"): client("other", "alpha")})
	same(t, "from", w.claims["host:alpha.agency.example"].From, []state.ClientID{a, b})
}

func contains2(ids []state.ClientID, id state.ClientID) bool {
	for _, have := range ids {
		if have == id {
			return true
		}
	}
	return false
}

// A removal that is on its way waits while its client's own file is back and can't be accepted:
// that is no absence.
func TestP5RuleRemovalWaitsForItsOwnFile(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	id, text := w.named("alpha").ID, w.tree[cpath("alpha")]
	first := w.push(m{cpath("alpha"): ""})
	equal(t, "due", w.dueParts(), []string{"alpha"})
	seq := w.clients[id].Seq
	for _, broken := range []string{client("alpha", "alpha", "aliases: [beta.agency.example]"), "name: [\n"} {
		r := w.push(m{cpath("alpha"): broken})
		equal(t, "due", w.dueParts(), []string{})
		equal(t, "waits", w.stone("alpha", "").Waits, cpath("alpha"))
		contains(t, "why", w.clients[id].Because, "waits until clients/alpha.yaml is valid")
		equal(t, "fate", w.verdicts[first.Verdict.Commit].Clients[id], FateHeld)
		equal(t, "a pass of before ends", w.clients[id].Seq > seq, true)
		equal(t, "its own verdict", r.Verdict.State, "failure")
	}
	w.push(m{cpath("alpha"): ""})
	equal(t, "gone again: due", w.dueParts(), []string{"alpha"})
	equal(t, "fate", w.verdicts[first.Verdict.Commit].Clients[id], FatePending)
	w.push(m{cpath("alpha"): "name: [\n"})
	w.push(m{cpath("alpha"): text})
	equal(t, "back", []any{w.named("alpha").ID, w.clients[id].Removed, len(w.tombs)}, []any{id, false, 0})
}

// S22: the revert of the revert is the same client.
func TestP5S22RuleRemovalReturnVoids(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	a, text := w.named("alpha"), w.tree[cpath("alpha")]
	for _, done := range []bool{false, true} {
		first := w.push(m{cpath("alpha"): ""})
		if done {
			w.finish()
		}
		r := w.push(m{cpath("alpha"): text})
		c := w.named("alpha")
		equal(t, "id, generation", []any{c.ID, c.Generation}, []any{a.ID, 1})
		equal(t, "tombstones", len(w.tombs), 0)
		equal(t, "removed", c.Removed || !c.RemovedAt.IsZero(), false)
		equal(t, "status", []any{c.Status, c.Settled}, []any{state.StatusPending, false})
		equal(t, "touched", touched(r, w), []string{"alpha"})
		if !done {
			equal(t, "first verdict", w.verdicts[first.Verdict.Commit].Clients[a.ID], FateSuperseded+" "+w.base.Head)
			equal(t, "ended", w.verdicts[first.Verdict.Commit].State, "success")
		}
		w.settle()
	}
}

func TestP5RuleRemovalUnreadableIsNoAbsence(t *testing.T) {
	for name, do := range map[string]func(w *world){
		"unreadable": func(w *world) { w.broken[cpath("alpha")] = "is not a regular file" },
		"unparsable": func(w *world) { w.tree[cpath("alpha")] = "\x00\xff" },
		"emptied":    func(w *world) { w.tree[cpath("alpha")] = "\n" },
		"renamed to a look-alike": func(w *world) {
			w.tree["clients/alpha.yml"] = w.tree[cpath("alpha")]
			delete(w.tree, cpath("alpha"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := fleet(t, "alpha", "beta")
			do(w)
			r := w.head()
			equal(t, "due", w.dueParts(), []string{})
			equal(t, "state", r.Verdict.State != "success", true)
			equal(t, "owner", w.owner("alpha.agency.example"), "alpha")
		})
	}
}

// guard.removeAfter: a revert in time costs nothing.
func TestRuleGuardRemoveAfter(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	w.guard.RemoveAfter = time.Hour
	a, text := w.named("alpha"), w.tree[cpath("alpha")]
	w.push(m{cpath("alpha"): "", cpath("beta"): client("beta", "beta", "database: {provider: none}")})
	equal(t, "due", w.dueParts(), []string{})
	contains(t, "visibly", w.clients[a.ID].Because, "It goes at 11:02 on 25 November 2026 UTC; a revert until then costs nothing.")
	w.now = w.now.Add(59 * time.Minute)
	equal(t, "due", w.dueParts(), []string{})
	w.now = w.now.Add(2 * time.Minute)
	equal(t, "due", w.dueParts(), []string{"alpha", "beta database/main"})
	w.now = w.now.Add(-2 * time.Minute)
	w.push(m{cpath("alpha"): text, cpath("beta"): client("beta", "beta")})
	w.now = w.now.Add(2 * time.Hour)
	equal(t, "due", w.dueParts(), []string{})
	equal(t, "id", w.named("alpha").ID, a.ID)
	// What isn't somebody's data or name needs no waiting.
	w.push(m{cpath("alpha"): client("alpha", "alpha", "dns: {provider: local, records: [{type: TXT, name: x, content: y}]}")})
	w.push(m{cpath("alpha"): text})
	equal(t, "due", w.dueParts(), []string{"alpha record/TXT x"})
}

func TestRuleDataRetain(t *testing.T) {
	cases := []struct {
		name, floor, manifest, want string
	}{
		{"default", "", "", "30d"},
		{"its own", "", "database: {retain: 90d}", "90d"},
		{"for ever", "", "database: {retain: forever}", "forever"},
		{"above the platform's floor", "limits: {minRetain: 60d}", "database: {retain: 61d}", "61d"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.tree = m{"templates/shop.yaml": template("v1"), cpath("alpha"): client("alpha", "alpha", c.manifest), cpath("beta"): client("beta", "beta")}
			if c.floor != "" {
				w.tree["platform.yaml"] = platform(c.floor)
			}
			w.head()
			w.push(m{cpath("alpha"): ""})
			equal(t, "retain", w.stone("alpha", "").Retain, c.want)
		})
	}
	t.Run("the last good version", func(t *testing.T) {
		w := fleet(t, "alpha", "beta")
		w.push(m{cpath("alpha"): client("alpha", "alpha", "database: {retain: 90d}")})
		w.push(m{cpath("alpha"): client("alpha", "alpha", "database: {retain: 1h}", "nonsense: 1")})
		w.push(m{cpath("alpha"): ""})
		equal(t, "retain", w.stone("alpha", "").Retain, "90d")
	})
	t.Run("no commit lowers the floor that it is judged by", func(t *testing.T) {
		w := fleet(t, "alpha", "beta")
		w.push(m{"platform.yaml": platform("limits: {minRetain: 60d}")})
		w.push(m{"platform.yaml": platform("limits: {minRetain: 31d}"), cpath("alpha"): ""})
		equal(t, "retain", w.stone("alpha", "").Retain, "60d")
		w.push(m{"platform.yaml": platform("limits: {minRetain: 99d}"), cpath("beta"): client("beta", "beta", "database: {provider: none, retain: 99d}")})
		equal(t, "retain", w.stone("beta", "database/main").Retain, "99d")
	})
}

// S51: the daemon was down over twenty commits, three of which removed clients.
func TestS51DownOverTwentyCommits(t *testing.T) {
	play := func(each bool) *world {
		w := fleet(t, numbered(10)...)
		for i := range 20 {
			files := m{cpath("c005"): client("c005", "c005", fmt.Sprintf("env: {N: \"%d\"}", i))}
			if i%7 == 3 {
				files[cpath(fmt.Sprintf("c%03d", i/7))] = ""
			}
			w.edit(files)
			if each {
				w.head()
			}
		}
		if !each {
			w.head()
		}
		return w
	}
	one, many := play(false), play(true)
	equal(t, "due", one.dueParts(), []string{"c000", "c001", "c002"})
	equal(t, "due", many.dueParts(), one.dueParts())
	for id, c := range one.clients {
		d := many.clients[id]
		equal(t, c.Name, []any{c.Name, c.Blob, c.WishHash, c.Removed}, []any{d.Name, d.Blob, d.WishHash, d.Removed})
	}
}

// C20: whoever crashed the program and waits for something else by now tries again once
// that is over. Left in quarantine it would be neither worked on nor shown as such.
func TestC20RuleWhoeverIsLetGoTriesAgain(t *testing.T) {
	crash := func(w *world, id state.ClientID) {
		c := w.clients[id]
		c.Crashes, c.Quarantined, c.Next = 3, w.now, "nothing of it is tried"
		w.clients[id] = c
	}
	tries := func(t *testing.T, w *world, id state.ClientID, status state.Status) {
		t.Helper()
		c := w.clients[id]
		equal(t, "status", c.Status, status)
		equal(t, "crashes", c.Crashes, 0)
		equal(t, "quarantine is over", c.Quarantined.IsZero(), true)
		equal(t, "next", c.Next, "")
		equal(t, "settled", c.Settled, false)
	}
	t.Run("a removal that waited for a file", func(t *testing.T) {
		w := fleet(t, "alpha", "beta")
		id := w.named("alpha").ID
		w.push(m{cpath("alpha"): "", cpath("new"): "name: [\n"})
		crash(w, id)
		w.push(m{cpath("new"): ""})
		tries(t, w, id, state.StatusDeleting)
	})
	for _, removed := range []bool{true, false} {
		t.Run(fmt.Sprintf("an approval, removed %v", removed), func(t *testing.T) {
			w := fleet(t, "alpha", "beta")
			c := w.named("alpha")
			h := state.Hold{Fingerprint: "0123456789ab", Kind: state.HoldRebuild, Client: c.ID, Approvable: true}
			want := state.StatusPending
			if c.Status, c.Removed = state.StatusHeld, removed; removed {
				want = state.StatusDeleting
				w.tombs["alpha"] = state.Tombstone{Client: c.ID, Name: "alpha", Commit: "c0ffee", Held: h.Fingerprint}
			} else {
				h.Clients = []state.ClientID{c.ID}
			}
			w.clients[c.ID], w.holds[h.Fingerprint] = c, h
			crash(w, c.ID)
			w.approve(h.Fingerprint)
			tries(t, w, c.ID, want)
		})
	}
}

// Who waited for a date (a freeze, say) and is removed goes now, also when the program is
// started anew before its pass.
func TestRuleRemovalDoesNotWaitForTheDateOfItsWish(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	c := w.named("alpha")
	c.Settled, c.RetryAt, c.Status = true, w.now.Add(24*time.Hour), state.StatusHeld
	w.clients[c.ID] = c
	w.push(gone("alpha"))
	if c = w.clients[c.ID]; !c.Removed || c.Settled || !c.RetryAt.IsZero() {
		t.Errorf("it is removed %v, settled %v, and passes at %v", c.Removed, c.Settled, c.RetryAt)
	}
}
