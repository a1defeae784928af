package web

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// hostile are texts that try to be more than text.
func hostile() []string {
	return []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, "x onfocus=alert(1) autofocus", "</title><script>alert(1)</script>", "</td></tr></table><iframe src=//evil.example>",
		"</pre></article><form action=//evil.example>", "<!-- ", "--><b>", "<![CDATA[", "&lt;b&gt;", "&#60;b&#62;", "<svg/onload=alert(1)>", "<style>*{display:none}</style>", "{{.}}", "{{template \"x\"}}", "${alert(1)}", "</script", "<a href=javascript:alert(1)>x</a>",
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "vbscript:x", "data:text/html,<script>alert(1)</script>", "//evil.example", "\\\\evil.example", "/../mail/", "..", "?status=held#x",
		"![i](https://evil.example/?x)", "[l](https://evil.example)", "**bold** `code` @everyone #1", "# head", "| a | b |",
		"`reconciler purge bakery`", "`reconciler retry demoshop; rm -rf ~`", "`reconciler retry <b>demoshop</b>`", "reconciler retry demoshop`", "`", "``", "```", "`<i>` `reconciler status`",
		"\x1b[31mred\x1b[0m", "a\nb\r\nc\td", "\u202eabc\u202c", "\u2066x\u2069\u200b\ufeff", "\x00\x7f\u0085\u009b", "\xff\xfe", "\U000e0041", "日本語 é ✓", "", " ",
		strings.Repeat("n", 10_000), strings.Repeat("<b>", 10_000), strings.Repeat("\u202e", 10_000), strings.Repeat("a ", 10_000),
	}
}

// fill puts s into every text that v holds.
func fill(v reflect.Value, s string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), s)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), s)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), s)
		}
	}
}

// pagesOf are all pages of a world in which every text is s.
func pagesOf(t *testing.T, s string) map[string]string {
	t.Helper()
	k := fleet()
	fill(reflect.ValueOf(&k.overview).Elem(), s)
	fill(reflect.ValueOf(&k.detail).Elem(), s)
	fill(reflect.ValueOf(&k.history).Elem(), s)
	fill(reflect.ValueOf(&k.deployments).Elem(), s)
	for i := range k.deployments {
		k.deployments[i].Name = "demoshop" // whose they are
	}
	k.detail.Name = "demoshop" // as what it is asked for
	out := map[string]string{}
	h := handler(t, Options{Read: k, Mail: func() ([]Message, error) {
		return []Message{{At: someday(1), To: s, Subject: s, Text: s}}, nil
	}, Site: func(string) string { return "/sites/demoshop/" }, Onboard: func(context.Context, string) (state.Secret, error) { return state.Secret{}, Unable(s) }})
	for _, path := range []string{"/", "/clients/demoshop", "/mail/"} {
		out[path] = get(t, h, path)
	}
	r := request("GET", "/clients/demoshop/payments")
	out["a way that can't be made"] = do(h, r).Body.String()
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	out["from elsewhere"] = do(h, r).Body.String()
	return out
}

// built is a page without its texts: elements with their attributes. Where a
// path names something of theirs it is left out.
func built(t *testing.T, page string) (elements, texts []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			e := n.Data
			for _, a := range n.Attr {
				v := a.Val
				if a.Key == "href" && (strings.HasPrefix(v, "/clients/") || strings.HasPrefix(v, "/api/clients/") || strings.HasPrefix(v, "/api/deployments/")) {
					v, _, _ = strings.Cut(v[1:], "/")
				}
				e += fmt.Sprintf(" %s=%q", a.Key, v)
			}
			elements = append(elements, e)
		case html.TextNode:
			texts = append(texts, n.Data)
		case html.CommentNode:
			elements = append(elements, "comment")
		}
	}
	return elements, texts
}

// S48: whatever the texts are, the page is built of the same elements and attributes, and
// they are read on it.
func TestS48HostileTextIsTextOnThePages(t *testing.T) {
	tame := pagesOf(t, "tame")
	for _, s := range hostile() {
		name := report.Clip(s, 20)
		if strings.TrimSpace(report.Line(s)) == "" {
			continue // TestS48EmptyTexts
		}
		for path, page := range pagesOf(t, s) {
			got, texts := built(t, page)
			want, _ := built(t, tame[path])
			if !slices.Equal(got, want) {
				t.Errorf("%s with %q everywhere is built differently:\n%s\ninstead of\n%s", path, name, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			all := strings.Join(texts, "\x00")
			if !strings.Contains(all, report.Line(s)) && path != "/mail/" {
				t.Errorf("%s: %q can't be read", path, name)
			}
			for _, r := range all {
				if r != 0 && r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
					t.Errorf("%s with %q everywhere shows %U as it is", path, name, r)
					break
				}
			}
			if !utf8.ValidString(page) || len(page) > 128<<10 {
				t.Errorf("%s with %q everywhere: %d bytes", path, name, len(page))
			}
		}
	}
}

// What advice tells people to type is set apart where it was made apart from their words,
// and nowhere else.
func TestS48CommandsAreCode(t *testing.T) {
	k := fleet()
	k.overview.Clients[0].Next = "`reconciler resume demoshop`, or leave it"
	k.overview.Clients[0].Advice = []reconcile.Part{{Typed: "reconciler resume demoshop"}, {Words: ", or leave it, says `somebody`"}}
	k.overview.Holds = append(k.overview.Holds, k.overview.Holds[0], k.overview.Holds[0], k.overview.Holds[0])
	k.overview.Holds[1].Act = "`reconciler approve 9f3a` lets it run; not `reconciler approve 77bb`"
	k.overview.Holds[2].Act, k.overview.Holds[2].Approvable = "mend `reconciler approve 9f3a`", false
	k.overview.Holds[3].Act, k.overview.Holds[3].Approvable, k.overview.Holds[3].File = "take the file out; then `reconciler approve 9f3a` lets it go", false, "clients/demoshop.yaml"
	k.history[0].Text = "`reconciler retry demoshop`"
	page := get(t, handler(t, Options{Read: k}), "/")
	for _, want := range []string{
		`<span class="quiet"><code>reconciler resume demoshop</code>, or leave it, says ` + "`somebody`</span>",
		`<span class="quiet">What to do: Approve 9f3a, or revert. <code>reconciler approve 9f3a</code></span>`,
		`<span class="quiet">What to do: <code>reconciler approve 9f3a</code> lets it run; not ` + "`reconciler approve 77bb`</span>",
		"What to do: take the file out; then <code>reconciler approve 9f3a</code> lets it go</span>",
		"What to do: mend `reconciler approve 9f3a`</span>", "<td>`reconciler retry demoshop`</td>",
	} {
		if !strings.Contains(strings.ReplaceAll(page, "&#96;", "`"), want) {
			t.Errorf("the page does not say %s:\n%s", want, page)
		}
	}
}

// S48: an error page says what was asked for, as text.
func TestS48HostileNamesInProblems(t *testing.T) {
	h := handler(t, Options{Read: fleet()})
	want, _ := built(t, do(h, request("GET", "/clients/nobody")).Body.String())
	for _, s := range hostile() {
		r := request("GET", "/clients/x")
		r.URL.Path = "/clients/" + s
		w := do(h, r)
		if w.Code/100 == 3 { // to the clean path
			continue
		}
		if got, _ := built(t, w.Body.String()); w.Code/100 != 4 || !slices.Equal(got, want) {
			t.Errorf("%.40q: %d %.600s", s, w.Code, w.Body)
		}
	}
}

// Texts that are empty leave things out, and break nothing.
func TestS48EmptyTexts(t *testing.T) {
	for _, s := range []string{"", " ", "\n"} {
		for path, page := range pagesOf(t, s) {
			elements, _ := built(t, page)
			if !slices.Contains(elements, "main") || slices.ContainsFunc(elements, func(e string) bool { return strings.HasPrefix(e, "script") }) {
				t.Errorf("%s with %q: %v", path, s, elements)
			}
		}
	}
}

// S48: a link is one of the web, in one attribute.
func TestS48Links(t *testing.T) {
	for _, s := range []string{"https://demoshop.example", "http://demoshop.localhost:8080/a?b=c&d", `https://x.example/"><script>alert(1)</script>`, "https://x.example/' onmouseover='alert(1)", "http://x.example/\u202e\x00\n"} {
		for path, page := range pagesOf(t, s) {
			if path == "/mail/" {
				continue
			}
			want, _ := built(t, pagesOf(t, "https://tame.example")[path])
			got, _ := built(t, page)
			if len(got) != len(want) {
				t.Fatalf("%s with %q everywhere has %d elements, want %d", path, s, len(got), len(want))
			}
			for i := range got {
				g, w := strings.Fields(got[i])[0], strings.Fields(want[i])[0]
				if g != w || strings.Count(got[i], `="`) != strings.Count(want[i], `="`) {
					t.Errorf("%s: %s instead of %s", path, got[i], want[i])
				}
			}
		}
	}
	for _, s := range hostile() {
		if got := mayLink(s); got != "" {
			t.Errorf("%q is a link", s)
		}
	}
	if mayLink("https://demoshop.example") == "" || mayLink("http://demoshop.example") == "" {
		t.Error("addresses of the web are no links")
	}
}
