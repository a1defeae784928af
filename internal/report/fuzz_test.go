package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// shape is what a Markdown text is built of, in order: every node but the texts, and of raw
// HTML its tags. Two pages of equal shape differ in words only.
func shape(md string) []string {
	source := []byte(md)
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	var out []string
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Text, *ast.String:
			return ast.WalkContinue, nil
		case *ast.RawHTML:
			if entering {
				out = append(out, "raw "+string(n.Segments.Value(source)))
			}
			return ast.WalkContinue, nil
		case *ast.HTMLBlock:
			if entering {
				html := string(n.Lines().Value(source))
				out = append(out, "block "+html[:strings.IndexByte(html+">", '>')])
			}
			return ast.WalkContinue, nil
		}
		if entering {
			out = append(out, n.Kind().String())
		} else {
			out = append(out, "/"+n.Kind().String())
		}
		return ast.WalkContinue, nil
	})
	return out
}

// built is a shape without code, which is how text may be shown.
func built(md string) []string {
	return slices.DeleteFunc(shape(md), func(n string) bool {
		return n == "raw <code>" || n == "raw </code>" || n == "CodeSpan" || n == "/CodeSpan"
	})
}

// mentions says that a text holds what GitHub would make a mention or a reference of.
func mentions(md string) bool {
	for i := range len(md) - 1 {
		if c, next := md[i], md[i+1]; (c == '@' || c == '#' && (i == 0 || md[i-1] != '&')) && (next >= '0' && next <= '9' || next|0x20 >= 'a' && next|0x20 <= 'z') {
			return true
		}
	}
	return false
}

// checkMarkdown is the law of comments, read as GitHub reads them: whatever the text, no
// link, image or element comes from it, nobody is mentioned, and the page is built as it is
// with harmless text.
func checkMarkdown(t interface{ Errorf(string, ...any) }, s string) {
	for name, door := range map[string]string{"Text": Text(s), "Code": Code(s)} {
		for _, md := range []string{"before " + door + " after", "x\n\n" + door} {
			got := strings.Join(built(md), " ")
			if want := strings.Join(built(strings.Replace(md, door, "x", 1)), " "); got != want && strings.TrimSpace(door) != "" {
				t.Errorf("%s(%q) = %q is built of %s", name, s, door, got)
			}
		}
	}
	if mentions(Text(s)) {
		t.Errorf("Text(%q) = %q mentions", s, Text(s))
	}
	if strings.TrimSpace(Line(s)) == "" || len(s) >= maxCell/2 { // longer ones may cost the steps
		return
	}
	page := func(s string) []string {
		// Our own ** takes no effect beside a blank of theirs.
		return slices.DeleteFunc(built(PullPlan{Stage: StagePlanned, Plan: hostilePlan(s)}.Markdown()), func(n string) bool { return strings.HasSuffix(n, "Emphasis") })
	}
	got, calm := page(s), page("x")
	for i := range max(len(got), len(calm)) {
		if i >= len(got) || i >= len(calm) || got[i] != calm[i] {
			t.Errorf("%q: a plan is built of …%v in place of …%v", s, got[max(0, min(i, len(got))-3):min(i+3, len(got))], calm[max(0, min(i, len(calm))-3):min(i+3, len(calm))])
			return
		}
	}
}

// Threat 2: no markup comes from somebody's text.
func TestThreat02MarkdownIsText(t *testing.T) {
	for _, s := range append(hostile(), "<!-- reconciler:result -->", "![x](https://evil.example/`\n", "&#64;team", "\\@team", "a@b", "``` @x", "[x]: https://evil.example", "![", "](", "<b", "</code>@team", "`</code>@team") {
		checkMarkdown(t, s)
	}
	links := 0
	for _, n := range shape("![a](b) <b>c</b> https://evil.example <https://evil.example> [x](y)") {
		if n == "Link" || n == "Image" || n == "AutoLink" || strings.HasPrefix(n, "raw ") {
			links++
		}
	}
	if links != 6 || !mentions("a @team") || !mentions("#12") || mentions("&#64;") {
		t.Error("the law sees nothing")
	}
}

// What is found at a provider makes no markup of a proposal.
func TestThreat02ProposalsAreText(t *testing.T) {
	body := func(s string) string {
		title, body := AdoptsDrift("bakery", []string{s}, [][2]string{{s, s}})
		if strings.ContainsAny(title, "\n\r") || mentions(body) {
			t.Errorf("%q: %q\n%s", s, title, body)
		}
		return body
	}
	calm := strings.Join(built(body("x")), " ")
	for _, s := range hostile() {
		if got := strings.Join(built(body(s)), " "); got != calm && strings.TrimSpace(Line(s)) != "" {
			t.Errorf("%q is built of %s, want %s", s, got, calm)
		}
	}
	if _, long := AdoptsDrift("bakery", make([]string, 5000), nil); len(long) > 10_000 {
		t.Errorf("%d bytes are said", len(long))
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkMarkdown(t, s) })
}
