package local

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// FuzzServe: whatever host and path are asked for, what is served is a page of the release
// and nothing else of the disk, and whoever is sent elsewhere is sent to the same host or
// to the one that the site redirects to.
func FuzzServe(f *testing.F) {
	p, err := New(Options{Dir: filepath.Join(f.TempDir(), "sites")})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := p.Close(); err != nil {
			f.Error(err)
		}
	})
	make := func(kind state.Kind, name string, attributes map[string]string) string {
		o, err := p.Create(f.Context(), wish(kind, name, attributes))
		if err != nil {
			f.Fatal(err)
		}
		return o.ID
	}
	site := make(state.KindSite, "shop", map[string]string{"label": "shop", "repository": Builtin})
	release := make(state.KindDeployment, "r1", releaseOf(site, nil))
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		found, err := p.Observe(f.Context(), provider.Query{Kind: state.KindDeployment, ID: release})
		if err == nil && len(found) == 1 && found[0].Phase == provider.Ready {
			break
		}
		if time.Now().After(end) {
			f.Fatal("the build does not end")
		}
	}
	make(state.KindDomain, "shop.example", map[string]string{"site": site, "host": "shop.example"})
	make(state.KindDomain, "www.shop.example", map[string]string{"site": site, "host": "www.shop.example", "redirect": "shop.example"})
	rel, err := p.releases.load(release)
	if err != nil {
		f.Fatal(err)
	}
	var bodies []string
	for _, entry := range rel.Pages {
		body, err := p.releases.body(release, entry)
		if err != nil {
			f.Fatal(err)
		}
		bodies = append(bodies, string(body))
	}
	for path := range rel.Pages {
		f.Add("GET", "shop.example", path, "")
	}
	for _, path := range []string{"/../../../etc/passwd", "/..%2f..", "/sites/shop/../../x", "/deployments/" + release + "/", "/sites/shop", "/admin", "//evil.example/admin", "/sites/shop//evil.example", "/\\evil.example", "/.env", "/env.json", "/%00"} {
		f.Add("GET", "localhost:8080", path, "a=b")
		f.Add("POST", "www.shop.example:8080", path, "//evil.example")
	}
	f.Fuzz(func(t *testing.T, method, host, path, query string) {
		asked, err := url.ParseRequestURI("/" + strings.TrimPrefix(path, "/") + "?" + query)
		if err != nil {
			return // refused before it gets here
		}
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		r.Method, r.Host, r.URL = method, host, asked
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, r)
		if to := w.Header().Get("Location"); to != "" {
			u, err := url.Parse(to)
			if err != nil || u.Host != "" && u.Hostname() != "shop.example" || strings.HasPrefix(to, "//") || strings.HasPrefix(to, "/\\") {
				t.Errorf("%q %q is sent to %q (%v)", host, path, to, err)
			}
			return
		}
		if body := w.Body.String(); w.Code == http.StatusOK && method == http.MethodGet && r.URL.Path != healthPath && !strings.HasSuffix(r.URL.Path, healthPath) && !slices.Contains(bodies, body) {
			t.Errorf("%q %q: %.200q", host, path, body)
		}
		if w.Code == http.StatusOK && method != http.MethodGet && method != http.MethodHead {
			t.Errorf("%s is answered with 200", method)
		}
	})
}
