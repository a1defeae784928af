package main

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	goldtext "github.com/yuin/goldmark/text"
	nethtml "golang.org/x/net/html"

	"github.com/compassdigital/reconciler/internal/github/simulated"
)

// hostileTexts try to be more than text.
func hostileTexts() []string {
	return []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "![i](https://evil.example/?x) [l](https://evil.example)", "https://evil.example www.evil.example",
		"@everyone @org/team #12 owner/repo#12 fixes #3", "</details></summary><!-- reconciler:plan -->", "# head\n- item\n> quote\n```\ncode", "a|b `c` **d** ~~e~~ `` ``` $x$ :tada:",
		"<https://evil.example> mailto:a@evil.example", "\x1b[31mred\x1b[0m \u202eabc\u202c \u200b\ufeff \U000e0041", "javascript:alert(1)", "{{.}} ${x} &lt;b&gt; &#60;b&#62;",
		strings.Repeat("n", 10_000), strings.Repeat("<b>", 4_000), strings.Repeat("`", 10_000),
	}
}

// S48: Markdown, HTML, control characters and 10,000-character names in every field of a
// manifest, in the names of files and branches, in commit messages, titles and logins → text,
// in comments, in statuses and on our pages.
func TestS48HostileTextOnPullRequests(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")})
	h.look()
	var pulls []int
	heads := map[int]string{}
	for i, s := range hostileTexts() {
		branch := h.hostileBranch(fmt.Sprintf("%d-", i), s)
		files := map[string]string{}
		q := yamlText(s)
		name := fmt.Sprintf("h%02d", i)
		files["clients/"+name+".yaml"] = fmt.Sprintf("apiVersion: reconciler/v1\nkind: Client\nname: %s\ndisplayName: %s\ndomain: %s\ntemplate: ecommerce\ndeployment: {provider: none}\ndns: {provider: none}\ncontact: {name: %s, email: dana@x.example}\nnotes: %s\nlabels: {a: %s, %s: b}\nenv: {STORE_NAME: %s}\n", name, q, name, q, q, q, q, q)
		for _, field := range []string{"name", "domain", "template", "plan", "displayName", "apiVersion", "previously", "provider"} {
			files["clients/bad-"+field+name+".yaml"] = broken(name, field, q)
		}
		files["clients/"+fileName255(s)+".yaml"] = bare("bakery", "notes: "+q)
		login := "dana"
		if i%2 == 0 {
			login = clip(s, 60)
		}
		head, err := h.gh.Push(branch, filesFor(files), s, login)
		if err != nil {
			t.Fatalf("%.40q: %v", s, err)
		}
		n, err := h.gh.OpenPull(simulated.Proposal{Head: branch, Title: clip(s, 250), Body: clip(s, 10_000), Author: login})
		if err != nil {
			t.Fatalf("%.40q: %v", s, err)
		}
		pulls, heads[n] = append(pulls, n), head
	}
	for _, n := range pulls {
		for _, who := range []string{"dana", clip(hostileTexts()[0], 60)} {
			h.say(n, who, "/reconciler "+clip(hostileTexts()[n%len(pulls)], 60))
			h.say(n, who, "/reconciler retry "+strings.ReplaceAll(clip(hostileTexts()[n%len(pulls)], 60), " ", ""))
		}
	}
	h.look()
	merged := ""
	for _, n := range pulls {
		h.wantComment(n, "plan")
		merged = h.merge(n, simulated.MergeCommit)
	}
	h.look()
	said := ""
	for _, n := range pulls {
		for _, c := range h.gh.Comments(n) {
			if c.Author == h.bot {
				h.wantTame(c.Body)
				said += c.Body
			}
		}
		for _, s := range h.gh.Statuses(heads[n]) {
			h.wantPlain(s)
		}
		h.wantTamePage(fmt.Sprintf("/pulls/%d", n))
	}
	for _, w := range []string{"alert", "evil", "everyone", "nnnnnnnnnn"} { // else there was nothing to look at
		if !strings.Contains(said, w) {
			t.Errorf("no comment shows %q", w)
		}
	}
	for _, s := range h.gh.Statuses(merged) {
		h.wantPlain(s)
	}
	for _, path := range []string{"/", "/pulls/", "/commits/" + merged, "/clients/bakery", "/clients/h00"} {
		h.wantTamePage(path)
	}
}

func yamlText(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// broken is a manifest in which a field holds what can't stand there.
func broken(name, field, value string) string {
	m := map[string]string{"apiVersion": "reconciler/v1", "kind": "Client", "name": name, "displayName": "Shop", "domain": name, "template": "ecommerce"}
	switch field {
	case "previously":
		m[field] = "[" + value + "]"
	case "provider":
		m["deployment"] = "{provider: " + value + "}"
	default:
		m[field] = value
	}
	var b strings.Builder
	for _, k := range sortedKeys(m) {
		fmt.Fprintf(&b, "%s: %s\n", k, m[k])
	}
	return b.String() + "contact: {name: Dana, email: dana@x.example}\n"
}

func clip(s string, n int) string {
	if utf8.RuneCountInString(s) > n {
		return string([]rune(s)[:n])
	}
	return s
}

// fileName255 is a text as a file's name, as far as Git takes it.
func fileName255(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == 0 {
			return '_'
		}
		return r
	}, s)
	for len(s) > 200 {
		s = clip(s, utf8.RuneCountInString(s)/2)
	}
	return s
}

// hostileBranch is a text as a branch's name, as far as Git takes it.
func (h *hub) hostileBranch(prefix, s string) string {
	return prefix + strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\/.{`, r) || unicode.IsSpace(r) {
			return '-'
		}
		return r
	}, clip(s, 60)) + "x"
}

// ours says that an address leads to where we lead people.
func (h *hub) ours(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	at, err := url.Parse(h.api.URL)
	return err == nil && (u.Host == "reconciler.agency.example" || u.Host == at.Host || u.Host == "github.example" || strings.HasSuffix(u.Hostname(), ".localhost"))
}

// mention is what GitHub would make a mention or a reference of, in text. Addresses become
// links while Markdown is read: those are nodes.
var mention = regexp.MustCompile(`(?i)(^|[^a-z0-9_/])@[a-z0-9]|#[0-9]`)

// tags are the elements that our comments are built of.
func tags() []string { return []string{"details", "summary", "sub", "br", "code"} }

// wantTame wants that nothing in a comment is a link, but to where we lead, an image, a mention,
// or an element that is not ours.
func (h *hub) wantTame(md string) {
	h.t.Helper()
	if len(md) > 65_536 {
		h.t.Errorf("a comment of %d bytes", len(md))
	}
	source, markers := []byte(md), 0
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(goldtext.NewReader(source))
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.CodeSpan, *ast.FencedCodeBlock, *ast.CodeBlock:
			return ast.WalkSkipChildren, nil
		case *ast.Link:
			if !h.ours(string(n.Destination)) {
				h.t.Errorf("a link to %s", n.Destination)
			}
		case *ast.AutoLink:
			h.t.Errorf("an address became a link: %s", n.URL(source))
		case *ast.Image:
			h.t.Errorf("an image: %s", n.Destination)
		case *ast.RawHTML:
			markers += strings.Count(string(n.Segments.Value(source)), "<!--")
			h.wantTags(string(n.Segments.Value(source)), tags())
		case *ast.HTMLBlock:
			markers += strings.Count(string(n.Lines().Value(source)), "<!--")
			h.wantTags(string(n.Lines().Value(source)), tags())
		case *ast.Text:
			if said := html.UnescapeString(string(n.Segment.Value(source))); !n.IsRaw() && mention.MatchString(said) && !inCode(n, source) {
				h.t.Errorf("a mention, a reference or an address: %.200q", said)
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		h.t.Error(err)
	}
	for _, r := range md {
		if r != '\n' && (unicode.IsControl(r) || r == '\u202e' || r == '\u202c' || r >= 0xe0000 && r <= 0xe007f) {
			h.t.Errorf("%U comes through", r)
			return
		}
	}
	if markers != 1 {
		h.t.Errorf("%d markers", markers)
	}
}

// inCode says that a text stands between the tags of an inline <code>.
func inCode(n ast.Node, source []byte) bool {
	for p := n.PreviousSibling(); p != nil; p = p.PreviousSibling() {
		if raw, ok := p.(*ast.RawHTML); ok {
			if tag := string(raw.Segments.Value(source)); tag == "<code>" || tag == "</code>" {
				return tag == "<code>"
			}
		}
	}
	return false
}

// wantTags wants only these elements, without attributes that do something.
func (h *hub) wantTags(fragment string, allowed []string) {
	h.t.Helper()
	z := nethtml.NewTokenizer(strings.NewReader(fragment))
	code := 0
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			return
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			t := z.Token()
			if !slices.Contains(allowed, t.Data) || len(t.Attr) > 0 {
				h.t.Errorf("an element %s", t)
			}
			if t.Data == "code" {
				code++
			}
		case nethtml.EndTagToken:
			if z.Token().Data == "code" {
				code--
			}
		case nethtml.TextToken:
			if said := z.Token().Data; code == 0 && mention.MatchString(said) {
				h.t.Errorf("a mention, a reference or an address: %.200q", said)
			}
		}
	}
}

// wantPlain wants a status of one short line.
func (h *hub) wantPlain(s simulated.Status) {
	h.t.Helper()
	if utf8.RuneCountInString(s.Description) > 140 || strings.IndexFunc(s.Description, unicode.IsControl) >= 0 || strings.ContainsAny(s.Description, "\u202e\u202c\ufeff") {
		h.t.Errorf("%s: %q", s.Context, s.Description)
	}
	if s.URL != "" && !h.ours(s.URL) {
		h.t.Errorf("%s leads to %s", s.Context, s.URL)
	}
}

// wantTamePage wants a page without scripts, images, forms and foreign links.
func (h *hub) wantTamePage(path string) {
	h.t.Helper()
	page := h.whole(path)
	z := nethtml.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			return
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			t := z.Token()
			if slices.Contains([]string{"script", "img", "svg", "iframe", "style", "form", "input", "object", "embed", "base"}, t.Data) {
				h.t.Errorf("%s: an element %s", path, t)
			}
			for _, a := range t.Attr {
				switch {
				case strings.HasPrefix(a.Key, "on"):
					h.t.Errorf("%s: an attribute %s", path, a.Key)
				case a.Key == "href" && (!strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//")) && !h.ours(a.Val):
					h.t.Errorf("%s: a link to %s", path, a.Val)
				}
			}
		}
	}
}
