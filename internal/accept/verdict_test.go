package accept

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/state"
)

// S05: nine good files, one with a YAML error, merged anyway.
func TestS05RuleVerdictBadAmongGood(t *testing.T) {
	w := fleet(t, numbered(9)...)
	files := m{}
	for _, n := range numbered(9) {
		files[cpath(n)] = client(n, n, "env: {A: b}")
	}
	bad := w.named("c004")
	files[cpath("c004")] = "apiVersion: reconciler/v1\nkind: Client\nname: [c004\n"
	files[cpath("new")] = client("new", "new")
	r := w.push(files)
	equal(t, "the others converge", len(r.Touched), 9)
	c := w.named("c004")
	equal(t, "keeps its last good version", []any{c.Blob, c.WishHash, string(c.Manifest)}, []any{bad.Blob, bad.WishHash, string(bad.Manifest)})
	contains(t, "why", c.Because, cpath("c004")+":3:7: this [ is not closed")
	contains(t, "why", c.Because, "Its last good version stays.")
	equal(t, "fate", r.Verdict.Clients[c.ID], FateInvalid)
	contains(t, "summary", r.Reports[0].Text, "invalid: clients/c004.yaml")
	w.settle()
	equal(t, "the status is failure, and names the one file", []any{w.verdicts[w.base.Head].State, w.verdicts[w.base.Head].Invalid[0].Path}, []any{"failure", cpath("c004")})
	// The next commit isn't told of it again, the state is.
	r = w.push(m{cpath("c001"): client("c001", "c001")})
	equal(t, "next verdict", []any{len(r.Verdict.Invalid), len(r.Verdict.Clients)}, []any{0, 1})
	equal(t, "still listed", w.problem(cpath("c004")) != "", true)
	w.push(m{cpath("c004"): w.tree[cpath("c005")]})
	contains(t, "another error", w.problem(cpath("c004")), "c00")
	r = w.push(m{cpath("c004"): string(bad.Manifest)})
	equal(t, "put back: nothing to do", []any{touched(r, w), r.Verdict.State, w.named("c004").InvalidBlob}, []any{[]string{}, "success", ""})
}

// S10: the second of two that want one domain.
func TestS10RuleVerdictSameDomain(t *testing.T) {
	w := fleet(t, "alpha")
	w.push(m{cpath("one"): client("one", "shop")})
	r := w.push(m{cpath("two"): client("two", "shop")})
	equal(t, "verdict", r.Verdict.State, "failure")
	contains(t, "text", r.Verdict.Invalid[0].Text, "shop.agency.example belongs to one")
	equal(t, "never valid: no client", w.has("two"), false)
}

// S16: the first commit's verdict is "superseded by".
func TestS16RuleVerdictSuperseded(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	one := w.push(m{cpath("alpha"): client("alpha", "alpha", "env: {A: one}"), cpath("beta"): client("beta", "beta", "env: {A: one}")})
	two := w.push(m{cpath("alpha"): client("alpha", "alpha", "env: {A: two}")})
	id := w.named("alpha").ID
	equal(t, "first", w.verdicts[one.Verdict.Commit].Clients[id], "superseded by "+two.Verdict.Commit)
	equal(t, "beta goes on in it", w.verdicts[one.Verdict.Commit].State, "pending")
	equal(t, "newest wins", w.named("alpha").Seq > one.Verdict.Seq, true)
	three := w.push(m{cpath("beta"): client("beta", "beta")})
	v := w.verdicts[one.Verdict.Commit]
	equal(t, "ended", []any{v.State, v.Ended}, []any{"success", w.now})
	found := false
	for _, r := range three.Reports {
		found = found || r.Subject == "commit/"+one.Verdict.Commit && strings.HasPrefix(r.Text, "superseded by")
	}
	equal(t, "reported", found, true)
	for name, r := range map[string]Result{"alpha": two, "beta": three} { // each when it was superseded
		equal(t, name+" ends in it", slices.ContainsFunc(r.Reports, func(r state.Report) bool {
			return r.Subject == "commit/"+one.Verdict.Commit+"/client/"+name && r.State == "success"
		}), true)
	}
}

func TestRuleVerdictOfTouchedClientsOnly(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	r := w.push(m{cpath("alpha"): client("alpha", "alpha", "env: {A: b}")})
	equal(t, "clients", r.Verdict.Clients, map[state.ClientID]string{w.named("alpha").ID: FatePending})
	equal(t, "commits", r.Verdict.Commits, []string{w.base.Head})
	// Formatting, comments and other files touch nobody: success at once.
	for _, files := range []m{{cpath("alpha"): "# hello\n" + client("alpha", "alpha", "env: {A: b}")}, {"README.md": "x"}} {
		r = w.push(files)
		equal(t, "verdict", []any{r.Verdict.State, r.Verdict.Ended, len(r.Verdict.Clients), len(r.Touched)}, []any{"success", w.now, 0, 0})
		contains(t, "text", r.Reports[0].Text, "no client changes")
	}
}

// Nothing is where manifests are looked for: the way is another path, not other names for all of them.
func TestRuleVerdictLooksInTheWrongFolder(t *testing.T) {
	for file, is := range map[string]string{"kunden/new.yaml": "kunden", "new.yaml": ".", "a/b/new.yaml": "a/b"} {
		w := fleet(t)
		r := w.push(m{file: client("new", "new")})
		equal(t, file, r.Verdict.Invalid[0].Hint, "name it clients/new.yaml, or set repository.path to "+is+" if manifests are there")
	}
	w := fleet(t)
	r := w.push(m{"kunden/new.yaml": client("new", "new"), cpath("alpha"): client("alpha", "alpha")})
	equal(t, "beside one that is", r.Verdict.Invalid[0].Hint, "name it clients/new.yaml")
}

func TestRuleVerdictLookAlikes(t *testing.T) {
	cases := map[string]string{
		"clients/new.yml":        "name it clients/new.yaml",
		"clients/New.yaml":       "name it clients/new.yaml",
		"clients/a/b/new.yaml":   "name it clients/new.yaml",
		"clients/ab/new.YAML":    "name it clients/ab/new.yaml",
		"new.yaml":               "name it clients/new.yaml",
		"kunden/new.txt":         "name it clients/new.yaml",
		"templates/Blog.yml":     "name it templates/blog.yaml",
		"platform.yml":           "name it platform.yaml",
		"templates/sub/deep.yml": "name it templates/deep.yaml",
	}
	for file, hint := range cases {
		t.Run(file, func(t *testing.T) {
			w := fleet(t, "alpha")
			r := w.push(m{file: client("new", "new")})
			equal(t, "verdict", r.Verdict.State, "failure")
			equal(t, "invalid", r.Verdict.Invalid[0].Path, file)
			contains(t, "hint", r.Verdict.Invalid[0].Hint, hint)
			equal(t, "nobody", w.has("new"), false)
			// Put right, it is a client.
			if strings.HasPrefix(file, "clients/") {
				good := strings.TrimPrefix(hint, "name it ")
				r = w.push(m{file: "", good: client("new", "new")})
				equal(t, "touched", touched(r, w), []string{"new"})
				equal(t, "problems", len(w.base.Problems), 0)
			}
		})
	}
	w := fleet(t, "alpha")
	for file, text := range (m{"docs/x.yaml": "kind: Deployment\n", "README.md": "a\nkind: Clientele\n", ".github/x.yml": "on: push\n"}) {
		equal(t, file, w.push(m{file: text}).Verdict.State, "success")
	}
}

// P6: what inherits from a broken template or platform file keeps its last good version.
func TestP6RuleKeptTemplateInvalid(t *testing.T) {
	for file, bad := range map[string]string{"templates/shop.yaml": "kind: [", "platform.yaml": "kind: Nonsense\n"} {
		t.Run(file, func(t *testing.T) {
			w := fleet(t, "alpha", "beta")
			w.push(m{"platform.yaml": platform("defaults: {health: {path: /up}}")})
			before := w.named("alpha")
			r := w.push(m{file: bad, cpath("beta"): client("beta", "beta", "env: {A: b}")})
			equal(t, "verdict", []any{r.Verdict.State, r.Verdict.Invalid[0].Path}, []any{"pending", file})
			equal(t, "alpha", w.named("alpha"), before)
			equal(t, "beta still resolves", touched(r, w), []string{"beta"})
			e, problems := NewResolver(w.base, w.program).Client(w.named("beta"))
			equal(t, "with the last good version", []any{e.Health.Path, e.Source.Ref, problems.Failed()}, []any{"/up", "v1", false})
			w.settle()
			equal(t, "ends in failure", w.verdicts[w.base.Head].State, "failure")
		})
	}
}

func TestP6RuleKeptForWhoBreaksTheNewRules(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	w.push(m{cpath("alpha"): client("alpha", "alpha", "enabledFeatures: [blog]")})
	w.settle()
	before := w.named("alpha")
	// The template forbids what alpha uses: alpha stays with the old one, beta goes on.
	r := w.push(m{"templates/shop.yaml": template("v2") + "features: {allowed: [forms]}\n"})
	equal(t, "touched", touched(r, w), []string{"beta"})
	c := w.named("alpha")
	equal(t, "alpha's version", []any{c.TemplateBlob, c.WishHash, c.InvalidBlob != ""}, []any{before.TemplateBlob, before.WishHash, true})
	equal(t, "fate", r.Verdict.Clients[c.ID], FateInvalid)
	equal(t, "kept", len(w.base.Kept), 1)
	e, problems := NewResolver(w.base, w.program).Client(c)
	equal(t, "resolves as before", []any{e.Source.Ref, problems.Failed(), e.Hash()}, []any{"v1", false, before.WishHash})
	// Other heads don't heal or hurt it.
	r = w.push(m{cpath("beta"): client("beta", "beta", "env: {A: b}")})
	equal(t, "touched", touched(r, w), []string{"beta"})
	equal(t, "still invalid", w.named("alpha").InvalidBlob != "", true)
	equal(t, "listed", w.problem(cpath("alpha")) != "", true)
	// The template is gone altogether: the same.
	r = w.push(m{"templates/shop.yaml": ""})
	equal(t, "touched", touched(r, w), []string{})
	equal(t, "kept", len(w.base.Kept), 2)
	equal(t, "due", w.dueParts(), []string{})
	// Allowed again, it follows; what was kept goes.
	r = w.push(m{"templates/shop.yaml": template("v3")})
	equal(t, "touched", touched(r, w), []string{"alpha", "beta"})
	equal(t, "kept", len(w.base.Kept), 0)
	equal(t, "problems", len(w.base.Problems), 0)
}

// A platform file that comes later holds nobody to what it never agreed to.
func TestP6RuleKeptWithoutAPlatformFile(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	w.push(m{cpath("alpha"): client("alpha", "alpha", "database: {retain: 30d}")})
	w.push(m{"platform.yaml": platform("limits: {minRetain: 60d}")})
	contains(t, "invalid", w.problem(cpath("alpha")), "60d")
	for range 2 {
		w.push(m{"README.md": w.base.Head})
		equal(t, "still invalid", w.named("alpha").InvalidBlob != "", true)
		_, problems := NewResolver(w.base, w.program).Client(w.named("alpha"))
		equal(t, "resolves as before", problems.Failed(), false)
	}
	w.push(m{"platform.yaml": ""})
	equal(t, "problems", len(w.base.Problems), 0)
	equal(t, "valid", w.named("alpha").InvalidBlob, "")
}

// Differences that only a newer version of this program makes wait for the
// client's next commit.
func TestRuleVersionsWait(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	for id, c := range w.clients {
		c.WishHash = "of an older version of this program"
		w.clients[id] = c
	}
	w.program = "2.0.0"
	equal(t, "a start touches nobody", w.again().Touched, []state.ClientID{})
	r := w.push(m{cpath("alpha"): client("alpha", "alpha", "env: {A: b}")})
	equal(t, "its own commit does", touched(r, w), []string{"alpha"})
	// A change of the platform file that changes nothing of beta's wish is none.
	r = w.push(m{"platform.yaml": platform("guard: {maxDeletes: 2}")})
	equal(t, "inherited", touched(r, w), []string{})
	r = w.push(m{"templates/shop.yaml": template("v2")})
	equal(t, "a real change is one", touched(r, w), []string{"alpha", "beta"})
}

// RULE Values: defaults changed in the configuration count as a template's change.
func TestRuleValuesDefaultsOfTheConfiguration(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	w.push(m{cpath("beta"): client("beta", "beta", "dns: {provider: local}")})
	w.settle()
	w.defaults.DNS = "cloudflare"
	first := w.base.Head
	r := w.again()
	equal(t, "touched", touched(r, w), []string{"alpha"})
	equal(t, "head", w.base.Head, first)
	equal(t, "nothing removed", w.dueParts(), []string{})
	equal(t, "again", w.again().Touched, []state.ClientID{})
}

func TestP9ConcludeEnds(t *testing.T) {
	cases := []struct {
		fates []string
		want  string
	}{
		{nil, "success"}, {[]string{FateSucceeded, FateSuperseded + " abc"}, "success"}, {[]string{FateSucceeded, FateFailed}, "failure"},
		{[]string{FateInvalid}, "failure"}, {[]string{FateFailed, FatePending}, "pending"}, {[]string{FateHeld}, "failure"}, {[]string{FateHeld, FatePending}, "pending"},
	}
	for _, c := range cases {
		v := state.Verdict{Clients: map[state.ClientID]string{}}
		for i, f := range c.fates {
			v.Clients[state.ClientID(rune('a'+i))] = f
		}
		Conclude(&v, start)
		equal(t, strings.Join(c.fates, ","), []any{v.State, v.Ended.IsZero()}, []any{c.want, c.want == "pending"})
		Conclude(&v, start.Add(time.Hour))
		equal(t, "ended once", v.Ended.After(start), false)
	}
}

// Whatever a head brings, a status' text has at most 140 characters, and the whole of it
// is the detail.
func TestRuleVerdictTextFits(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	files := m{cpath("alpha"): client("alpha", "alpha", "deployment: {reff: "+strings.Repeat("v", 30)+", serverr: x, branchh: y, providerr: "+strings.Repeat("p", 60)+"}")}
	for i := range 9 {
		files[cpath(fmt.Sprintf("a-long-name-of-somebody-new-%02d", i))] = "name: [\n"
	}
	all := w.push(files).Reports
	w.rewritten = true
	w.repository = "https://git.example/" + strings.Repeat("é", 200) + ".git"
	all = append(all, w.push(m{cpath("beta"): client("beta", "other")}).Reports...)
	cut := 0
	for _, r := range all {
		if n := utf8.RuneCountInString(r.Text); n > 140 || n == 0 {
			t.Errorf("%d characters: %s", n, r.Text)
		}
		if strings.HasSuffix(r.Text, "…") {
			cut++
		}
	}
	equal(t, "cut", cut >= 2, true)
}

// The configuration makes files invalid (a default is gone), and is mended: the head's verdict says so no more.
func TestP9WhatTheConfigurationMadeInvalidIsValidAgain(t *testing.T) {
	w := fleet(t, "alpha", "beta")
	w.push(m{cpath("beta"): client("beta", "beta", "env: {A: b}")})
	w.settle()
	equal(t, "before", w.verdicts[w.base.Head].State, "success")
	was := w.defaults.BaseDomain
	w.defaults.BaseDomain = ""
	w.again()
	equal(t, "broken", w.verdicts[w.base.Head].State, "failure")
	w.defaults.BaseDomain = was
	r := w.again()
	w.passAll(r.Touched, state.StatusActive)
	w.settle()
	v := w.verdicts[w.base.Head]
	equal(t, "mended", []any{v.State, len(v.Invalid), v.Tally()[FateInvalid], v.Tally()[FateSucceeded]}, []any{"success", 0, 0, 1})
	for _, of := range r.Reports {
		equal(t, of.Subject, of.State, "success")
	}
	equal(t, "again", w.again().Touched, []state.ClientID{})
}
