package simulated

import (
	"bytes"
	"fmt"
	"html/template"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	rendered "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxDepth is how deep elements of a comment may stand in each other.
const maxDepth = 100

// markdown renders comments as GitHub shows them: GFM, some HTML, alerts, mentions and
// references. What it lets through is the list of tags below; everything else is text.
type markdown struct {
	// known says whether there is a pull request of a number, and where it is.
	known func(number int) (address string, ok bool)
	refs  *regexp.Regexp
}

func newMarkdown(known func(int) (string, bool)) markdown {
	return markdown{known, regexp.MustCompile(`(^|[^\w/&@#-])(@[a-zA-Z\d](?:[a-zA-Z\d-]{0,38})|#\d{1,9})\b`)}
}

// render makes a comment into safe HTML: a page needs to trust nothing of it.
func (m markdown) render(text string) template.HTML {
	md := goldmark.New(goldmark.WithExtensions(extension.Linkify, extension.Strikethrough, extension.TaskList,
		extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))), goldmark.WithRendererOptions(rendered.WithUnsafe(), rendered.WithHardWraps()))
	var b bytes.Buffer
	if err := md.Convert([]byte(text), &b); err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>") //nolint:gosec // it is escaped
	}
	body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(&b, body)
	if err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>") //nolint:gosec // it is escaped
	}
	w := &writer{markdown: m}
	for _, n := range nodes {
		w.node(n, 0, false)
	}
	return template.HTML(w.b.String()) //nolint:gosec // all of it was written by writer
}

// tags that are written, and the attributes that they keep.
func tags() map[string][]string {
	return map[string][]string{
		"p": nil, "br": nil, "hr": nil, "strong": nil, "b": nil, "em": nil, "i": nil, "del": nil, "s": nil, "ins": nil, "code": nil, "pre": nil, "blockquote": nil, "kbd": nil,
		"sub": nil, "sup": nil, "ul": nil, "ol": {"start"}, "li": nil, "table": nil, "thead": nil, "tbody": nil, "tr": nil, "th": {"align"}, "td": {"align"},
		"h1": nil, "h2": nil, "h3": nil, "h4": nil, "h5": nil, "h6": nil, "details": {"open"}, "summary": nil, "dl": nil, "dt": nil, "dd": nil, "div": {"align"}, "span": nil,
	}
}

// writer writes a tree of HTML, what is allowed of it.
type writer struct {
	markdown
	b bytes.Buffer
}

// node writes a node; plain is inside of code or of a link, where nothing is a reference.
func (w *writer) node(n *html.Node, depth int, plain bool) {
	if depth > maxDepth {
		return
	}
	switch n.Type {
	case html.TextNode:
		w.text(n.Data, plain)
		return
	case html.ElementNode:
	default: // comments and declarations
		return
	}
	keep, ok := tags()[n.Data]
	switch {
	case n.Data == "a":
		w.link(n, depth)
	case n.Data == "img":
		w.text("[image: "+attr(n, "alt")+"]", true)
	case n.Data == "input":
		w.box(n)
	case n.Data == "script" || n.Data == "style" || n.Data == "iframe" || n.Data == "noscript" || n.Data == "textarea" || n.Data == "title" || n.Data == "template" || n.Data == "xmp" || n.Data == "svg" || n.Data == "math":
		// What a browser would not read as text is left out whole.
	case !ok:
		w.inside(n, depth, plain)
	case n.Data == "blockquote" && w.alert(n, depth):
	default:
		w.b.WriteString("<" + n.Data)
		for _, name := range keep {
			w.attribute(n, name)
		}
		w.b.WriteString(">")
		if n.Data == "br" || n.Data == "hr" {
			return
		}
		w.inside(n, depth, plain || n.Data == "code" || n.Data == "pre")
		w.b.WriteString("</" + n.Data + ">")
	}
}

func (w *writer) inside(n *html.Node, depth int, plain bool) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		w.node(c, depth+1, plain)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == name {
			return a.Val
		}
	}
	return ""
}

// attribute keeps one of the few that are harmless, with a harmless value.
func (w *writer) attribute(n *html.Node, name string) {
	there := slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	v := attr(n, name)
	switch name {
	case "open":
		if there {
			w.b.WriteString(" open")
		}
	case "start":
		if k, err := strconv.Atoi(v); err == nil {
			fmt.Fprintf(&w.b, ` start="%d"`, k)
		}
	case "align":
		if v == "left" || v == "right" || v == "center" {
			w.b.WriteString(` class="` + v + `"`)
		}
	}
}

// link writes a link that leads to the web, or to a place on the page.
func (w *writer) link(n *html.Node, depth int) {
	to := attr(n, "href")
	u, err := url.Parse(to)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	case err == nil && u.Scheme == "mailto" && u.Opaque != "":
	default:
		w.inside(n, depth, true)
		return
	}
	w.b.WriteString(`<a href="` + template.HTMLEscapeString(u.String()) + `" rel="nofollow noopener noreferrer">`)
	w.inside(n, depth, true)
	w.b.WriteString("</a>")
}

// box is the check box of a task.
func (w *writer) box(n *html.Node) {
	if attr(n, "type") != "checkbox" {
		return
	}
	sign := "☐"
	if slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" }) {
		sign = "☑"
	}
	w.b.WriteString(`<span class="task">` + sign + `</span>`)
}

// alert writes a quotation that begins with [!WARNING] as GitHub does; false: it is none.
func (w *writer) alert(n *html.Node, depth int) bool {
	p := n.FirstChild
	for p != nil && p.Type == html.TextNode && strings.TrimSpace(p.Data) == "" {
		p = p.NextSibling
	}
	if p == nil || p.Data != "p" || p.FirstChild == nil || p.FirstChild.Type != html.TextNode {
		return false
	}
	first := p.FirstChild
	for _, kind := range []string{"NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION"} {
		rest, ok := strings.CutPrefix(strings.TrimSpace(first.Data), "[!"+kind+"]")
		if !ok || rest != "" {
			continue
		}
		p.RemoveChild(first)
		if br := p.FirstChild; br != nil && br.Data == "br" {
			p.RemoveChild(br)
		}
		if next := p.FirstChild; next != nil && next.Type == html.TextNode {
			next.Data = strings.TrimLeft(next.Data, "\n")
		}
		name := kind[:1] + strings.ToLower(kind[1:])
		w.b.WriteString(`<div class="alert ` + strings.ToLower(kind) + `"><p class="alert-title">` + name + "</p>")
		w.inside(n, depth, false)
		w.b.WriteString("</div>")
		return true
	}
	return false
}

// text writes text; mentions and references become what they are on GitHub, so that
// somebody's text that does so is seen.
func (w *writer) text(s string, plain bool) {
	s = shown(s)
	if plain {
		w.b.WriteString(template.HTMLEscapeString(s))
		return
	}
	at := 0
	for _, m := range w.refs.FindAllStringSubmatchIndex(s, -1) {
		w.b.WriteString(template.HTMLEscapeString(s[at:m[4]]))
		ref := s[m[4]:m[5]]
		at = m[5]
		if number, err := strconv.Atoi(strings.TrimPrefix(ref, "#")); err == nil {
			if to, ok := w.known(number); ok {
				w.b.WriteString(`<a href="` + template.HTMLEscapeString(to) + `">` + ref + "</a>")
				continue
			}
			w.b.WriteString(ref)
			continue
		}
		w.b.WriteString(`<span class="mention">` + template.HTMLEscapeString(ref) + "</span>")
	}
	w.b.WriteString(template.HTMLEscapeString(s[at:]))
}

// shown is text without what moves the cursor or turns the reading order; lines stay.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f:
			return -1
		}
		return r
	}, s)
}
