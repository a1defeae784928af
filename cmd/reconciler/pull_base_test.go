package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/source"
	"github.com/compassdigital/reconciler/internal/state"
)

// A file is moved into a folder on the branch while a pull request changes it: the forge merges that (Git knows the
// rename), so the plan is of the forge's own merge, and no conflict is told. A merge of an older base is not taken.
func TestS04MergeResultOfARename(t *testing.T) {
	w := &world{t: t, work: t.TempDir()}
	dir, git, commit := w.work, w.git, w.commitFiles
	git("init", "-q", "-b", "main")
	commit(map[string]string{"clients/alpha.yaml": manifestOf("alpha"), "clients/beta.yaml": manifestOf("beta")})
	git("checkout", "-q", "-b", "change")
	head := commit(map[string]string{"clients/alpha.yaml": manifestOf("alpha") + "# more\n"})
	git("checkout", "-q", "main")
	git("mv", "clients/beta.yaml", "clients/gamma.yaml")
	older := commit(nil)
	merge := func(base string) {
		git("checkout", "-q", "--detach", base)
		git("merge", "-q", "--no-ff", "-m", "merge", head)
		git("update-ref", "refs/pull/1/merge", "HEAD")
	}
	merge(older)
	git("checkout", "-q", "main")
	base := commit(map[string]string{"clients/alpha.yaml": "", "clients/al/alpha.yaml": manifestOf("alpha")})
	git("update-ref", "refs/pull/1/head", head)

	mirror, err := source.Open(source.Options{URL: dir, Branch: "main", Path: "clients", Dir: filepath.Join(t.TempDir(), "mirror")})
	if err != nil {
		t.Fatal(err)
	}
	defer mirror.Close()
	r := &repository{mirror, manifest.LayoutOf("clients")}
	if err := mirror.Fetch(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	g := &pulls{repo: r}
	if err := g.Bring(t.Context(), 1, head); err != nil {
		t.Fatal(err)
	}
	m, err := g.Merged(t.Context(), 1, base, head)
	if err != nil || len(m.Conflicts) != 1 {
		t.Errorf("of an older merge: conflicts %q, %v", m.Conflicts, err)
	}
	merge(base)
	m, err = g.Merged(t.Context(), 1, base, head)
	if err != nil || len(m.Conflicts) > 0 {
		t.Fatalf("conflicts %q, %v", m.Conflicts, err)
	}
	has := map[string]string{}
	for _, f := range m.Files {
		has[f.Path] = string(f.Data)
	}
	if _, old := has["clients/alpha.yaml"]; old || !strings.Contains(has["clients/al/alpha.yaml"], "# more") || has["clients/gamma.yaml"] == "" {
		t.Errorf("%q", has)
	}
}

// A pull request changes a template, and the branch gets a client that has it: the plan says what the merge changes
// of that one, too.
func TestS04RulesMeetNewClients(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	h.look()
	tmpl := h.git("show", "HEAD:templates/ecommerce.yaml")
	m := h.propose("rules", map[string]string{"templates/ecommerce.yaml": strings.Replace(tmpl, "env: {", "env: {EXTRA: one, ", 1) + "\n"})
	h.look()
	h.look()
	if !strings.Contains(h.wantComment(m, "plan", "bakery"), "1 client changes") {
		t.Error(h.wantComment(m, "plan", "bakery"))
	}
	if _, err := h.gh.Push("main", filesFor(map[string]string{"clients/late.yaml": manifestOf("late")}), "late", "robin"); err != nil {
		t.Fatal(err)
	}
	h.look()
	h.active("late")
	h.look()
	if s := h.wantComment(m, "plan", "late"); !strings.Contains(s, "2 clients change") {
		t.Error(s)
	}
}

// A branch was squashed into main and goes on: its next merge brings the first one's commits once more. That is no
// result of the first pull request, whose own stays as it is told.
func TestP9ResultOfABranchThatGoesOn(t *testing.T) {
	shop := func(a, theme string) map[string]string {
		return map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {A: "+a+"}", "# a\n# b\n# c\n# d", "settings: {theme: "+theme+"}")}
	}
	h := newHub(t, shop("one", "dark"))
	h.look()
	one := h.propose("one", shop("two", "dark"))
	h.look()
	h.git("fetch", "-q", "origin")
	h.git("checkout", "-q", "-b", "two", "origin/one")
	h.write(shop("two", "light"))
	h.git("commit", "-q", "-am", "two")
	h.git("push", "-q", "origin", "two")
	two, err := h.gh.OpenPull(simulated.Proposal{Head: "two", Title: "two", Author: "dana"})
	if err != nil {
		t.Fatal(err)
	}
	h.look()
	h.merge(one, simulated.Squash)
	h.look()
	first := h.wantComment(one, "result", "bakery is live")
	h.merge(two, simulated.MergeCommit)
	h.look()
	if now := h.wantComment(one, "result"); now != first {
		t.Errorf("was:\n%s\nis:\n%s", first, now)
	}
	h.wantComment(two, "result", "bakery is live")
}

// P5: with `guard.removals: reviewed` a removal that was shown, merged and taken back is not shown once more by the
// commits of that time, when somebody merges the branch, which went on, and pushes that.
func TestP5RemovalThatAnEarlierMergeShowed(t *testing.T) {
	h := newHub(t, map[string]string{"clients/a.yaml": bare("a"), "clients/b.yaml": bare("b"),
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {removals: reviewed}\n"}, func(_ *hub, _ *simulated.Options, config *[]string) {
		*config = append(*config, "guard: {maxDeletes: 10, maxDeletePercent: 100}")
	})
	h.look()
	n := h.propose("gone", map[string]string{"clients/a.yaml": ""})
	h.look()
	h.merge(n, simulated.Squash)
	h.look()
	if r := rowOf(h.status(), "a"); r.Status != string(state.StatusRetained) {
		t.Fatalf("a is %s: %s", r.Status, r.Because)
	}
	if _, err := h.gh.Push("main", filesFor(map[string]string{"clients/a.yaml": bare("a")}), "Revert", "robin"); err != nil {
		t.Fatal(err)
	}
	h.look()
	h.active("a")
	h.git("fetch", "-q", "origin")
	h.git("checkout", "-q", "-B", "gone", "origin/gone")
	h.write(map[string]string{"clients/b.yaml": bare("b", "notes: more")})
	h.git("commit", "-q", "-am", "more")
	h.git("checkout", "-q", "-B", "main", "origin/main")
	h.git("merge", "-q", "--no-ff", "-m", "merge", "gone")
	h.git("push", "-q", "origin", "main")
	h.look()
	if r := rowOf(h.status(), "a"); r.Status != string(state.StatusHeld) {
		t.Errorf("a is %s: %s", r.Status, r.Because)
	}
}

// P9: somebody merged the same as a pull request has, which goes on then: its own merge has its own result, also where
// the branch is looked at before GitHub. What it showed counts as shown, and nothing waits for a person.
func TestP9ResultOfWhatWentOnAfterTheSameWasMerged(t *testing.T) {
	chf := "env: {STORE_CURRENCY: CHF}"
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/cafe.yaml": manifestOf("cafe"), "clients/onda.yaml": bare("onda"),
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {removals: reviewed}\n"})
	h.look()
	one := h.propose("one", map[string]string{"clients/bakery.yaml": manifestOf("bakery", chf)})
	h.look()
	two := h.propose("two", map[string]string{"clients/bakery.yaml": manifestOf("bakery", chf)})
	h.look()
	h.merge(one, simulated.Squash)
	h.look()
	h.pushTo("two", map[string]string{"clients/cafe.yaml": manifestOf("cafe", chf), "clients/onda.yaml": ""})
	h.clock.add(patience)
	h.look()
	h.wantComment(two, "plan", "cafe", "onda")
	h.merge(two, simulated.Squash)
	if err := h.daemon.program.daemon.Settle(t.Context()); err != nil { // the branch first
		t.Fatal(err)
	}
	h.look()
	h.wantComment(two, "result", "cafe", "onda")
	if r := rowOf(h.status(), "onda"); r.Status != string(state.StatusRetained) {
		t.Errorf("onda is %s: %s", r.Status, r.Because)
	}
}

// P9: what is merged and taken back between two looks has a result: its plan said that one comes.
func TestP9ResultOfWhatWasTakenBack(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	n := h.propose("one", map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	h.look()
	h.wantComment(n, "plan", "the result comes as a comment here")
	h.merge(n, simulated.Squash)
	back, err := h.gh.Revert(n, "robin")
	if err != nil {
		t.Fatal(err)
	}
	h.merge(back, simulated.MergeCommit)
	h.look()
	h.clock.add(patience)
	h.look()
	h.wantComment(n, "result", "No client changed", "taken back")
	if c := h.gh.Comments(back); len(c) > 0 { // nobody planned it
		t.Errorf("comments: %+v", c)
	}
}

// P9: two pull requests are merged between two looks, one of which renames the client that the other one changes: each
// has a result, and neither says before that they claim one name.
func TestP9ResultOfWhatWasRenamedBesideIt(t *testing.T) {
	lines := strings.Repeat("# a line between\n", 6)
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery", lines)})
	h.look()
	one := h.propose("one", map[string]string{"clients/bakery.yaml": manifestOf("bakery", lines, "env: {STORE_CURRENCY: CHF}")})
	h.look()
	renamed := strings.Replace(manifestOf("bakery", lines), "name: bakery\n", "name: bread\npreviously: [bakery]\n", 1)
	two := h.propose("two", map[string]string{"clients/bakery.yaml": "", "clients/bread.yaml": renamed})
	h.look()
	for _, n := range []int{one, two} {
		if s := h.wantComment(n, "plan", "changes `bakery`, too"); strings.Contains(s, "claims") {
			t.Errorf("#%d:\n%s", n, s)
		}
	}
	h.git("fetch", "-q", "origin")
	h.git("checkout", "-q", "-B", "main", "origin/main")
	h.git("merge", "-q", "--no-ff", "-m", "one", "origin/one")
	h.git("merge", "-q", "--no-ff", "-m", "two", "origin/two") // git knows the rename
	h.git("push", "-q", "origin", "main")
	h.look()
	h.clock.add(patience)
	h.look()
	h.wantComment(one, "result", "bread")
	h.wantComment(two, "result", "bread")
}

// P9: a template is taken away that clients have, and merged all the same: the pull request is told what became of it.
func TestP9ResultOfATemplateThatIsGone(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	n := h.propose("gone", map[string]string{"templates/ecommerce.yaml": ""})
	h.look()
	h.wantComment(n, "plan", "there is no template")
	commit := h.merge(n, simulated.Squash)
	h.look()
	h.wantStatus(commit, "apply", "failure", "clients/bakery.yaml")
	h.wantComment(n, "result", "there is no template", "its last good version stays")
}

// With `guard.removals: reviewed` the plan of a pull request that removes a client shows that: it doesn't say that the
// removal would wait as nobody showed it, and none waits.
func TestRuleGuardReviewedIsNotToldToWait(t *testing.T) {
	h := newHub(t, map[string]string{"clients/a.yaml": bare("a"), "clients/b.yaml": bare("b"), "clients/c.yaml": bare("c"),
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {removals: reviewed}\n"})
	h.look()
	n := h.propose("gone", map[string]string{"clients/a.yaml": ""})
	h.look()
	if s := h.wantComment(n, "plan", "a"); strings.Contains(s, "would wait") || strings.Contains(s, "no pull request showed") {
		t.Errorf("it is shown here:\n%s", s)
	}
	if s := h.statusOf(h.headOf(n), "plan"); s.State != "success" || strings.Contains(s.Description, "wait") {
		t.Errorf("the status: %+v", s)
	}
	h.merge(n, simulated.Squash)
	h.look()
	if r := rowOf(h.status(), "a"); r.Status != string(state.StatusRetained) {
		t.Errorf("a is %s: %s", r.Status, r.Because)
	}
	// What is too much for the guard is told to wait as before.
	n = h.propose("all", map[string]string{"clients/b.yaml": "", "clients/c.yaml": ""})
	h.look()
	h.wantComment(n, "plan", "would wait", "/reconciler approve ")
}

// S10: two pull requests claim one name and are merged between two looks: both files are invalid, as both plans say.
func TestS10SameDomainMergedAtOnce(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	one := h.propose("one", map[string]string{"clients/bakery.yaml": manifestOf("bakery", "aliases: [cafe.localhost]")})
	h.look()
	two := h.propose("two", map[string]string{"clients/cafe.yaml": manifestOf("cafe")})
	h.look()
	for _, n := range []int{one, two} {
		h.wantComment(n, "plan", "claims `cafe.localhost`, too", "where both are merged at once, both files are")
	}
	h.merge(one, simulated.MergeCommit)
	h.merge(two, simulated.MergeCommit)
	h.look()
	h.wantComment(one, "result", "bakery has an invalid file")
	h.wantComment(two, "result", "1 file is invalid", "clients/cafe.yaml")
}
