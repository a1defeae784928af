package simulated

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	gh "github.com/google/go-github/v60/github"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// visit is a browser on the pages.
type visit struct {
	*scene
	at string
}

func (s *scene) visit() *visit {
	s.t.Helper()
	pages, err := s.Pages()
	if err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/forge", pages))
	s.t.Cleanup(server.Close)
	return &visit{s, server.URL + "/forge/" + owner + "/" + repoN}
}

// do asks for a page, or sends a form, and follows where it leads.
func (v *visit) do(method, path string, form url.Values, header ...string) (int, string, string) {
	v.t.Helper()
	r, err := http.NewRequest(method, v.at+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		v.t.Errorf("%s: its policy is %q", path, csp)
	}
	return res.StatusCode, strings.TrimPrefix(res.Request.URL.String(), v.at), string(body)
}

func (v *visit) see(path string, words ...string) string {
	v.t.Helper()
	code, _, body := v.do(http.MethodGet, path, nil)
	if code != http.StatusOK {
		v.t.Fatalf("%s: %d", path, code)
	}
	for _, w := range words {
		if !strings.Contains(body, w) {
			v.t.Errorf("%s does not say %q", path, w)
		}
	}
	return body
}

func (v *visit) click(path string, form url.Values, leads string) {
	v.t.Helper()
	code, at, _ := v.do(http.MethodPost, path, form)
	if code != http.StatusOK || at != leads {
		v.t.Fatalf("POST %s leads to %d %s, want %s", path, code, at, leads)
	}
}

// The whole flow of the demonstration in a browser: propose, talk, repair by a click, merge,
// revert.
func TestTheWholeFlowInABrowser(t *testing.T) {
	s := newScene(t, nil)
	v := s.visit()
	v.see("", "No pull request is open.", "git clone")
	v.see("/edit/main/clients/bakery.yaml", "plan: free", "change-bakery-1")
	v.click("/edit/main/clients/bakery.yaml", url.Values{"text": {"name: bakery\r\nplan: startr\r\n"}, "message": {"Let the bakery grow"}, "where": {"new"}, "branch": {"grow"}}, "/pull/1")
	head := s.branch("grow")
	if got := s.file(head, "clients/bakery.yaml"); got != "name: bakery\nplan: startr\n" {
		t.Fatalf("%q", got)
	}
	if _, _, err := s.client.Repositories.CreateStatus(ctx, owner, repoN, head, &gh.RepoStatus{State: ptr("failure"), Context: ptr("reconciler/validate"), Description: ptr("1 problem"), TargetURL: ptr("https://status.example/")}); err != nil {
		t.Fatal(err)
	}
	c, _, err := s.client.PullRequests.CreateComment(ctx, owner, repoN, 1, &gh.PullRequestComment{Body: ptr("mend\n```suggestion\nplan: starter\n```"), CommitID: &head, Path: ptr("clients/bakery.yaml"), Line: ptr(2), Side: ptr("RIGHT")})
	if err != nil {
		t.Fatal(err)
	}
	v.see("/pull/1", "Let the bakery grow", "reconciler/validate", "1 problem", `href="https://status.example/"`, "Commit suggestion", "plan: starter", "It merges without conflicts")
	v.click("/pull/1/apply", url.Values{"suggestion": {itoa(c.GetID())}}, "/pull/1")
	v.see("/pull/1", "applied")
	_, at, _ := v.do(http.MethodPost, "/pull/1/comment", url.Values{"body": {"/reconciler plan"}})
	if said := s.Comments(1); len(said) != 1 || said[0].Body != "/reconciler plan" || said[0].Author != owner || at != "/pull/1#issuecomment-"+itoa(said[0].ID) {
		t.Errorf("%v at %s", said, at)
	}
	v.click("/pull/1/merge", url.Values{"kind": {"squash"}}, "/pull/1")
	if got := s.file(s.branch("main"), "clients/bakery.yaml"); got != "name: bakery\nplan: starter\n" {
		t.Errorf("main holds %q", got)
	}
	v.see("/pull/1", "merged", "Revert")
	v.click("/pull/1/revert", nil, "/pull/2")
	v.click("/pull/2/close", nil, "/pull/2")
	v.click("/pull/2/reopen", nil, "/pull/2")
	v.click("/pull/2/merge", url.Values{"kind": {"rebase"}}, "/pull/2")
	if got := s.file(s.branch("main"), "clients/bakery.yaml"); !strings.Contains(got, "plan: free") {
		t.Errorf("after the revert: %q", got)
	}
	if _, err := s.Push("later", map[string]*string{"x": text("x\n")}, "A later idea\n", "dana"); err != nil {
		t.Fatal(err)
	}
	v.see("", "later", "A later idea", "Open a pull request", "Merged and closed")
	v.click("/pulls", url.Values{"head": {"later"}, "title": {"Later"}}, "/pull/3")
	v.click("/edit/main", url.Values{"path": {"clients/new.yaml"}, "text": {"name: new"}, "where": {"here"}}, "/commits/main")
	for _, path := range []string{"/commits/", "/commits/main", "/commit/" + s.branch("main"), "/deployments", "/blob/main/clients/new.yaml", "/tree/main", "/tree/main/clients", "/new/main/clients/", "/pull/3/files"} {
		v.see(path)
	}
	for path, want := range map[string]int{"/pull/99": 404, "/pull/x": 404, "/blob/main/none": 404, "/edit/" + head + "/README.md": 404, "/runs/1": 404, "/commit/none": 404} {
		if code, _, _ := v.do(http.MethodGet, path, nil); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	for path, want := range map[string]int{"/pull/1/merge": 409, "/pull/1/close": 409, "/pull/1/revert": 409, "/pull/3/nonsense": 404} {
		if code, _, _ := v.do(http.MethodPost, path, url.Values{"kind": {"merge"}}); code != want {
			t.Errorf("POST %s: %d, want %d", path, code, want)
		}
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Pages take forms from themselves only, answer this machine only, and under its names.
func TestPagesAreForWhoeverSitsHere(t *testing.T) {
	s := newScene(t, nil)
	s.proposed("plan", "starter")
	v := s.visit()
	for name, header := range map[string][]string{
		"another site":     {"Sec-Fetch-Site", "cross-site"},
		"a site beside":    {"Sec-Fetch-Site", "same-site"},
		"an older browser": {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
	} {
		if code, _, _ := v.do(http.MethodPost, "/pull/1/merge", url.Values{"kind": {"merge"}}, header...); code != http.StatusForbidden {
			t.Errorf("a form of %s: %d", name, code)
		}
	}
	if code, _, _ := v.do(http.MethodGet, "/pull/1", nil, "Host", "rebound.example"); code != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", code)
	}
	pages, err := s.Pages()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	w := httptest.NewRecorder()
	if pages.ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("from another machine: %d", w.Code)
	}
	if p, err := s.Pull(1); err != nil || p.State != "open" {
		t.Errorf("%v %v", p, err)
	}
}

// hostile are comments that would do something in a page that believed them.
func hostile() []string {
	return []string{
		"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](https://evil.example/pixel.png)", "[x](javascript:alert(1))", "<a href=\"java\nscript:alert(1)\">x</a>",
		"<a href='data:text/html,<script>alert(1)</script>'>x</a>", "<details open ontoggle=alert(1)>x", "<svg><script>alert(1)</script></svg>", "<math><mtext><style><img src=x onerror=alert(1)></style>",
		"<iframe src=https://evil.example></iframe>", "<form action=/pull/1/merge method=post><button>x</button></form>", "<input type=text name=x>", "<style>*{display:none}</style>",
		"<p style=\"position:fixed\" class=go id=body>x</p>", "<base href=https://evil.example/>", "<meta http-equiv=refresh content=0>", "</div></article><h1>not ours", "<!-- --><!--><script>x</script>",
		"<table><tr><td></table><script>x</script>", "[a](//evil.example)", "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">", "<textarea></textarea><script>x</script>",
		"<template><script>x</script></template>", "`<script>`", "```\n<script>\n```", "<a href=http://evil.example/\"onmouseover=x>", "\u202eevil", "&lt;script&gt;", "<b\x00><scr\x00ipt>",
	}
}

func TestCommentsOfOthersDoNothing(t *testing.T) {
	m := newMarkdown(func(n int) (string, bool) { return "/p/" + strconv.Itoa(n), n == 1 })
	for _, text := range hostile() {
		harmless(t, text, string(m.render(text)))
	}
	got := string(m.render("# T\n\n> [!CAUTION]\n> mind\n\n<details><summary>more</summary>\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n</details>\n\n<sub>small</sub> @dana sees #1, not #2, nor mail@dana or `@code`; https://ok.example\n- [x] done"))
	for _, want := range []string{`<div class="alert caution"><p class="alert-title">Caution</p>`, "<p>mind</p>", "<details><summary>more</summary>", `<td class="right">2</td>`, "<sub>small</sub>",
		`<span class="mention">@dana</span> sees <a href="/p/1">#1</a>, not #2, nor mail@dana or <code>@code</code>`, `<a href="https://ok.example"`, "☑"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
}

// harmless is the law of what is rendered: only known elements and attributes, links to the
// web only, and nothing that is loaded or run.
func harmless(t *testing.T, text, out string) {
	t.Helper()
	body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(strings.NewReader(out), body)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	allowed := tags()
	allowed["a"] = nil
	var check func(*html.Node)
	check = func(n *html.Node) {
		if n.Type == html.ElementNode {
			if _, ok := allowed[n.Data]; !ok {
				t.Errorf("%q became an element %s: %s", text, n.Data, out)
			}
			for _, a := range n.Attr {
				ok := slices.Contains([]string{"class", "open", "start", "rel"}, a.Key)
				if a.Key == "href" && n.Data == "a" {
					u, err := url.Parse(a.Val)
					ok = err == nil && (u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "mailto" || strings.HasPrefix(a.Val, "/p/"))
				}
				if a.Key == "class" && !slices.Contains([]string{"left", "right", "center", "task", "mention", "alert-title", "alert note", "alert tip", "alert important", "alert warning", "alert caution"}, a.Val) {
					ok = false
				}
				if !ok {
					t.Errorf("%q became an attribute %s=%q: %s", text, a.Key, a.Val, out)
				}
			}
		} else if n.Type != html.TextNode {
			t.Errorf("%q became a node of type %d", text, n.Type)
		} else if strings.ContainsAny(n.Data, "\u202e\u2066") {
			t.Errorf("%q turns the reading order", text)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			check(c)
		}
	}
	for _, n := range nodes {
		check(n)
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text)
	}
	m := newMarkdown(func(n int) (string, bool) { return "/p/" + strconv.Itoa(n), n == 1 })
	f.Fuzz(func(t *testing.T, text string) {
		harmless(t, text, string(m.render(text)))
	})
}
