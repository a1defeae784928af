package report

import (
	"bytes"
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	goldhtml "github.com/yuin/goldmark/renderer/html"
	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/state"
)

// pages are all that is written on a pull request, with s in every text of somebody else and
// url in every address.
func pages(s, url string) map[string]func() string {
	p := hostilePlan(s)
	p.Problems = append(p.Problems, Problem{Client: s, Path: s + "/" + s, Line: 2, Text: s, Hint: s, Warning: true})
	pull := PullPlan{Stage: StagePlanned, Head: s, Base: s, Files: 2, Checked: true, Plan: p, At: day(1), Clients: map[string]About{s: {From: s, Site: url, Page: url}},
		Holds: []state.Hold{{Fingerprint: s, Reason: s, Act: s, Approvable: true}, {Fingerprint: s + "2", Reason: s, Act: s}}, Since: &Plan{Changes: []Change{{Client: s + "b", Steps: p.Changes[0].Steps[:1]}}}, SinceBase: s + "c",
		Others: []Other{{Number: 4, URL: url, Title: s, Client: s}, {Number: 5, URL: url, Title: s, Host: s}}, Skipped: []Skipped{{s, s}}, OwnRules: []string{s}, Conflicts: []string{s}, Cause: s, Next: s, Repo: Repo{View: url, Edit: url}, Link: url, Result: url, Merged: s}
	out := map[string]func() string{}
	for _, stage := range []Stage{StagePlanning, StagePlanned, StageOutdated, StageConflict, StageFork, StageFailed, StageClosed, StageMerged} {
		pull.Stage = stage
		out["plan "+string(stage)] = pull.Markdown
	}
	out["plan of many"] = func() string {
		many := pull
		many.Stage = StagePlanned
		for i := range maxPlain + 2 {
			many.Plan.Changes = append(many.Plan.Changes, Change{Client: fmt.Sprint(s, i), Steps: []Step{{Action: "update", Ref: "environment/" + s, Reason: s}}})
		}
		return many.Markdown()
	}
	c := ClientResult{Client: state.Client{Name: s, URL: url, Because: s, Next: s, EverDeployed: true}, Log: url, Newer: url, Holds: pull.Holds, Reviewed: &p.Changes[0], Now: &Change{Client: s, Steps: []Step{{Action: s, Ref: s, Provider: s, Reason: s, Risk: s}}},
		Run: state.Deployment{State: "failed", Error: s, Next: s, Started: day(1), Ended: day(2), Steps: []state.StepRun{{Number: 3, Step: s, Action: s, Ref: ref(s, s, s), Provider: s, State: "failed", Note: s, Error: s, Started: day(1), Ended: day(2)}, {Number: 4, Action: s, Ref: ref(s, s, s), State: s, Note: s}}}}
	r := PullResult{Commit: s, Problems: p.Problems, Took: time.Minute, Repo: pull.Repo, Link: url}
	for _, fate := range append(fates(), "superseded by "+s) {
		c.Fate = fate
		out["result "+fate[:4]] = PullResult{Commit: s, Clients: []ClientResult{c}, Link: url}.Markdown
		r.Clients = append(r.Clients, c)
	}
	out["result of many"] = r.Markdown
	for name, text := range map[string]string{"unknown": ReplyUnknown(7, s), "misused": ReplyMisused(7, s), "help": ReplyHelp(7), "denied": ReplyDenied(7), "approved": ReplyApproved(7, s, s, p.Changes[0].Steps, day(1)),
		"refused": ReplyRefused(7, s, RefusedUnknownHold), "retrying": ReplyRetrying(7, s), "planning": ReplyPlanning(7, s), "nothing waits": ReplyNothingWaits(7, s, Approval{By: s, At: day(1), Used: true}, day(2))} {
		out[name] = func() string { return text }
	}
	if body, ok := Suggestion(p.Problems[0], s); ok {
		out["suggestion"] = func() string { return body }
	}
	return out
}

// rendered is a comment as GitHub's Markdown makes HTML of it, before anything is removed.
func rendered(md string) string {
	var b bytes.Buffer
	_ = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(goldhtml.WithUnsafe())).Convert([]byte(md), &b)
	return b.String()
}

var (
	anyTag    = regexp.MustCompile(`<[^>]*>?`)
	ourTag    = regexp.MustCompile(`^</?(h3|h4|p|table|thead|tbody|tr|th|td|ul|li|code|pre|strong|details|summary|sub|blockquote|br)( /)?>$|^<(th|td) style="text-align:(right|left|center)">$|^<code class="language-(text|diff|suggestion)">$|^</a>$`)
	ourLink   = regexp.MustCompile(`^<a href="(https?://[^"<>]*)">$`)
	asCode    = regexp.MustCompile(`(?s)<(pre|code|a)( [^>]*)?>.*?</(pre|code|a)>`)
	reference = regexp.MustCompile(`(?i)@[a-z0-9]|(^|[^&])#[0-9]|\bgh-[0-9]|\b[0-9a-f]{7,40}\b|:[a-z0-9_+-]+:`)
)

// checkPage is the law of all that is written on a pull request: whatever the texts, nothing
// but our own elements comes out, every link leads where allowed says, and what GitHub reads
// in plain words (mentions, references, hashes, emoji) is not there.
func checkPage(t interface{ Errorf(string, ...any) }, name, md string, allowed func(string) bool) {
	if len(md) > MaxComment {
		t.Errorf("%s: %d bytes", name, len(md))
	}
	first, _, _ := strings.Cut(md, "\n")
	if _, _, ok := MarkerOf(md); !ok {
		t.Errorf("%s: begins with %q", name, first)
	}
	page := strings.Replace(rendered(md), first, "", 1)
	if strings.Count(page, "<details>") != strings.Count(page, "</details>") {
		t.Errorf("%s: a fold is left open", name)
	}
	for _, tag := range anyTag.FindAllString(page, -1) {
		if m := ourLink.FindStringSubmatch(tag); m != nil {
			if to := html.UnescapeString(m[1]); !allowed(to) {
				t.Errorf("%s: a link to %q", name, to)
			}
		} else if !ourTag.MatchString(tag) {
			t.Errorf("%s: the element %q", name, tag)
		}
	}
	text := asCode.ReplaceAllString(page, " ")
	text = html.UnescapeString(anyTag.ReplaceAllString(text, " "))
	if m := reference.FindString(text); m != "" {
		at := strings.Index(text, m)
		t.Errorf("%s: the reference %q in %q", name, m, text[max(0, at-20):min(len(text), at+30)])
	}
}

const ourURL = "https://ours.example/a"

func isOurs(to string) bool { return to == ourURL || strings.HasPrefix(to, ourURL+"/") }

func checkPages(t interface{ Errorf(string, ...any) }, s string) {
	if Line(s) == "" { // a name is never empty
		return
	}
	for name, md := range pages(s, ourURL) {
		checkPage(t, name, md(), isOurs)
	}
}

// checkAddresses is the same for addresses: each leads where it says, or nowhere.
func checkAddresses(t interface{ Errorf(string, ...any) }, s string) {
	for name, md := range pages("x", s) {
		checkPage(t, name+" address", md(), func(to string) bool { return strings.HasPrefix(s, "http") })
	}
}

func more() []string {
	return []string{"GH-12 gh-3", "see 3f9c2ab001122334455667788990011223344556", "abcdef1", "a/b@abcdef1234", ":octocat: :+1:::x:", "javascript:alert(1)", "https://ours.example/a)](https://evil.example", "https://u:p@evil.example/", "http://evil.example/\"onx=1", "https://evil.example/a b|c`d<e>", "//evil.example", "../../evil", "a/../b",
		"https://evil.example/&quot;&#x22;", "x` y", "`reconciler retry x`", "`a` @team `b`", "````", "\n> [!WARNING]\n> x", "```suggestion\nrm\n```", "~~~", "<!--", "-->", "--> <b>", "[x][y]", "<sub>", "</summary>", "&lt;/details&gt;", "\\`", "[^1]: x", "| a", "1\\. x", "H\u0000", "\u2028", "İ", "xmpp:a@b.example", "ftp://evil.example", "<mailto:a@b>", "<a@b.example>"}
}

// S48, threat 2: whoever writes what into a manifest, a title, a branch or an error, the
// comments say it and do nothing else.
func TestS48HostileTextInEveryComment(t *testing.T) {
	for _, s := range append(hostile(), more()...) {
		checkPages(t, s)
	}
	for _, s := range more() {
		checkAddresses(t, s)
	}
	for _, s := range []string{strings.Repeat("`", 700), strings.Repeat("y ", 5_000), strings.Repeat("<@a>", 2_000), strings.Repeat("日@", 5_000), strings.Repeat("``` ", 2_000)} {
		all := pages(s, ourURL)
		for _, name := range []string{"plan planned", "plan fork", "plan of many", "result held", "result of many", "refused"} {
			checkPage(t, name, all[name](), isOurs)
		}
	}
	if t.Failed() {
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(append(hostile(), more()...)), rapid.String()), 1, 4).Draw(t, "parts")
		text := strings.Join(parts, rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "between"))
		if all := pages(text, ourURL); Line(text) != "" { // a name is never empty
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(slices.Sorted(maps.Keys(all))), 4, 4).Draw(t, "pages") {
				checkPage(t, name, all[name](), isOurs)
			}
		}
	})
}

// The law sees what it is there for.
func TestTheLawOfCommentsSees(t *testing.T) {
	for _, bad := range []string{"<b>x</b>", "<img src=x>", "![a](https://ours.example/a)", "[a](https://evil.example)", "www.evil.example", "https://evil.example", "a@b.example", "@team", "see #12", "GH-3", "abcdef1", ":tada:", "~~x~~", "- [ ] x", "<!-- reconciler:result -->", "<details>", "<script>"} {
		var seen counter
		checkPage(&seen, bad, MarkPlan+"\n"+bad+"\n", isOurs)
		if seen == 0 {
			t.Errorf("%q is not seen", bad)
		}
	}
	var seen counter
	checkPage(&seen, "good", MarkPlan+"\n### a **b** [c](<https://ours.example/a/x>) `@team #1 abcdef1`\n", isOurs)
	if seen != 0 {
		t.Error("what is ours is refused")
	}
}

type counter int

func (c *counter) Errorf(string, ...any) { *c++ }

// Comments are built as they are with harmless text: no text moves a heading, a row, a fold.
func TestS48CommentsKeepTheirShape(t *testing.T) {
	calm := pages("x", "")
	for _, s := range append(hostile(), more()...) {
		if strings.TrimSpace(Line(s)) == "" || strings.Contains(s, "`reconciler") || strings.Count(s, "`") > 1 && strings.Count(s, "`")%2 == 0 {
			continue // pairs of backticks are code in advice
		}
		for name, md := range pages(s, "") {
			noEmphasis := func(md string) string {
				return strings.Join(slices.DeleteFunc(built(md), func(n string) bool { return strings.HasSuffix(n, "Emphasis") }), " ")
			}
			if name == "suggestion" || name == "result of many" { // what is alike is said once
				continue
			}
			if got, want := noEmphasis(md()), noEmphasis(calm[name]()); got != want {
				t.Errorf("%s of %q is built of\n%s\nin place of\n%s", name, s, got, want)
			}
		}
	}
}

func FuzzComments(f *testing.F) {
	for _, s := range append(hostile(), more()...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if Line(s) == "" {
			return
		}
		for _, name := range []string{"plan planned", "plan fork", "result held", "result fail", "refused"} { // all doors, some pages
			checkPage(t, name, pages(s, ourURL)[name](), isOurs)
		}
		checkPage(t, "address", pages("x", s)["result of many"](), func(string) bool { return strings.HasPrefix(s, "http") })
	})
}
