package report

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/plan"
)

// hostile are texts that try to be more than text.
func hostile() []string {
	return []string{
		"", " ", "plain text, with a comma.", "\x1b[31mred\x1b[0m", "a\nb\r\nc\td", "\u202eabc\u202c", "\u2066x\u2069\u200b\ufeff", "\x00\x7f\u0085\u009b", "\xff\xfe",
		"<script>alert(1)</script>", "<img src=x onerror=y>", "<!-- reconciler:plan -->", "</details>", "![i](https://evil.example/?x)", "[l](https://evil.example)", "https://evil.example", "www.evil.example",
		"WWW.evil.example", "a@evil.example", "@everyone", "@org/team", "#12", "owner/repo#12", "fixes #3", "# head", "- item", "+ item", "1. item", "1) item", "> quote", "    code", "```\ncode\n```", "`a`", "``", "`", "a`b``c",
		"**bold**", "__b__", "~~x~~", "a|b", `a\|b`, `\`, "---", "===", "| a | b |", "$x$", "[^1]", "&lt;b&gt;", "&#60;b&#62;", "&amp;", ":tada:", "- [ ] task", "<https://evil.example>", "mailto:a@evil.example", "\U000e0041\U000e0042", "日本語 é ✓",
	}
}

// entities are what Text may contain of markup.
var entities = regexp.MustCompile(`&#[0-9]+;`)

// checkText is the law of Text: it reads as the line that it was made from, and outside
// of character references there is nothing that Markdown or GitHub would act on.
func checkText(t interface{ Errorf(string, ...any) }, s string) {
	got := Text(s)
	read := strings.ReplaceAll(html.UnescapeString(got), "\u200b", "")
	if read != Line(s) {
		t.Errorf("Text(%q) = %q reads as %q", s, got, read)
	}
	bare := entities.ReplaceAllString(got, "")
	if i := strings.IndexAny(bare, "\\`*_[]|~<>&$@#\n\r"); i >= 0 {
		t.Errorf("Text(%q) = %q has %q", s, got, bare[i])
	}
	if strings.Contains(got, "://") || strings.Contains(strings.ToLower(got), "www.") {
		t.Errorf("Text(%q) = %q has an address", s, got)
	}
	if got != "" && (strings.ContainsRune("-+=.) ", rune(got[0])) || regexp.MustCompile(`^[0-9 ]+[.)]`).MatchString(got)) {
		t.Errorf("Text(%q) = %q begins like a list", s, got)
	}
}

// checkCode is the law of Code: it reads as the line, and nothing in it ends it.
func checkCode(t interface{ Errorf(string, ...any) }, s string) {
	got, want := Code(s), strings.TrimSpace(Line(s))
	var inner string
	switch {
	case want == "":
		if got != "–" {
			t.Errorf("Code(%q) = %q", s, got)
		}
		return
	case strings.HasPrefix(got, "`"):
		inner = strings.TrimSuffix(strings.TrimPrefix(got, "`"), "`")
		if strings.ContainsAny(inner, "`|\\\n\r") {
			t.Errorf("Code(%q) = %q can be left", s, got)
		}
	default:
		raw := strings.TrimSuffix(strings.TrimPrefix(got, "<code>"), "</code>")
		if strings.ContainsAny(entities.ReplaceAllString(raw, ""), "`|\\<>&@*_[]#\n\r") {
			t.Errorf("Code(%q) = %q can be left", s, got)
		}
		inner = html.UnescapeString(raw)
	}
	if inner != want {
		t.Errorf("Code(%q) = %q reads as %q", s, got, inner)
	}
}

// checkLine is the law of Line: one line, bounded, every character seen; again it
// changes nothing.
func checkLine(t interface{ Errorf(string, ...any) }, s string) {
	got := Line(s)
	if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxText {
		t.Errorf("Line(%q) is not valid or too long", s)
	}
	for _, r := range got {
		if hidden(r) {
			t.Errorf("Line(%q) = %q has %U", s, got, r)
		}
	}
	if Line(got) != got {
		t.Errorf("Line(%q) is not stable", s)
	}
}

func checkDoors(t interface{ Errorf(string, ...any) }, s string) {
	checkLine(t, s)
	checkText(t, s)
	checkCode(t, s)
}

func TestS48HostileTextIsText(t *testing.T) {
	for _, s := range append(hostile(), strings.Repeat("x", 10_000), strings.Repeat("`", 10_000), strings.Repeat("日\x1b", 5_000)) {
		checkDoors(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOf(rapid.OneOf(rapid.SampledFrom(hostile()), rapid.String())).Draw(t, "parts"), "")
		checkDoors(t, s)
	})
}

// hostilePlan has a text of somebody else in every field.
func hostilePlan(s string) Plan {
	step := func(a plan.Action, ref string, risk plan.Risk) Step {
		return Step{Step: s, Action: string(a), Ref: ref + s, Provider: s, Reason: s, Risk: string(risk), Undo: s, Fields: []plan.Field{{Name: s, Before: s, After: s}}, Held: s}
	}
	return Plan{Commit: s, Fingerprint: s, Changes: []Change{{Client: s, Fingerprint: s, Steps: []Step{
		step(plan.Delete, "site/", plan.RiskOffline), step(plan.Delete, "domain/", plan.RiskOffline), step(plan.Retain, "database/", ""), step(plan.Forget, "site/", ""), step(plan.Action("a "+s), s, plan.Risk("a "+s))}}},
		Problems: []Problem{{Client: s, Path: s, Line: 1, Column: 3, Text: s, Hint: s, Source: s}, {Client: s, Text: s}}}
}

// checkPlan is the law of whole pages: however hostile the text, a page has the lines
// and the markup that it has with harmless text.
func checkPlan(t interface{ Errorf(string, ...any) }, s string) {
	if strings.TrimSpace(s) == "" {
		return
	}
	got, calm := hostilePlan(s), hostilePlan("x")
	if a, b := strings.Count(got.Terminal(Options{}), "\n"), strings.Count(calm.Terminal(Options{}), "\n"); a != b {
		t.Errorf("%q: %d lines in place of %d on the terminal", s, a, b)
	}
	md := pulled(got).Markdown()
	if a, b := strings.Count(md, "\n"), strings.Count(pulled(calm).Markdown(), "\n"); a != b && len(s) < maxCell/2 { // longer ones may cost the steps
		t.Errorf("%q: %d lines in place of %d in the comment", s, a, b)
	}
	for _, r := range got.Terminal(Options{}) + md {
		if r != '\n' && hidden(r) {
			t.Errorf("%q: %U comes through", s, r)
		}
	}
	width := 0
	for _, line := range strings.Split(md, "\n") {
		switch n := strings.Count(line, "|"); {
		case !strings.HasPrefix(line, "|"):
			width = 0
		case width == 0:
			width = n
		case n != width:
			t.Errorf("%q: a row of another width: %s", s, line)
		}
	}
	if len(md) > MaxComment {
		t.Errorf("%q: %d bytes", s, len(md))
	}
}

func TestS48HostileTextInEveryField(t *testing.T) {
	for _, s := range append(hostile(), strings.Repeat("y ", 5_000)) {
		checkPlan(t, s)
	}
	golden(t, "hostile.md", pulled(hostilePlan("</details>\n\n# @team `x` | ![i](https://evil.example) \u202e\x1b[31m")).Markdown())
	golden(t, "hostile.txt", hostilePlan("a\n\x1b[2Jb\u202ec").Terminal(Options{}))
}

// Long texts may cost the steps, never the consequences.
func TestS48LongTextHidesNoConsequence(t *testing.T) {
	for _, long := range []string{strings.Repeat("<", 10_000), strings.Repeat("x", 10_000)} {
		c := Change{Client: "bakery", Steps: []Step{{Action: "delete", Ref: "site/local", Risk: "offline", Reason: long}}}
		for range 20 {
			c.Steps = append(c.Steps, Step{Action: "delete", Ref: "record/" + long, Reason: long, Undo: long, Provider: long, Risk: "offline"})
		}
		many := make([]Change, 100)
		for i := range many {
			many[i] = c
		}
		got := pulled(Plan{Changes: many}).Markdown()
		if n := strings.Count(got, "**bakery goes offline when this is merged.**"); n != len(many) || len(got) > MaxComment {
			t.Errorf("said %d times in %d bytes", n, len(got))
		}
	}
}

func FuzzDoors(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkDoors(t, s)
		checkPlan(t, s)
	})
}

// An address may be a link up to the length that a host and a path of ours can have.
func TestAddressesThatMayBeLinks(t *testing.T) {
	host, path := strings.Repeat("a", 253), strings.Repeat("b", 200)
	for address, want := range map[string]bool{
		"https://" + host: true, "https://" + host + "a": false, "http://" + host + ":8080/" + path: true, "https://a.example/" + path + "b": false,
		"https://": false, "https:///x": false, "https://a.example:123456": false, "https://a.example/x?y": false, "https://A.example": false, "ftp://a.example": false, "https://a.example/x y": false,
	} {
		if mayFollow(address) != want {
			t.Errorf("%.80s: may be a link %v", address, !want)
		}
	}
}
