package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github"
	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/health"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// storefront is the repository of a template at a GitHub of our own, which is found through a
// proxy, as in a closed network.
type storefront struct {
	t        *testing.T
	git      *gitserver.Server
	bare     string
	caFile   string
	proxy    string
	asked    atomic.Int64
	shown    atomic.Value // string: the last Authorization header
	carried  atomic.Int64 // tunnels
	first    string
	requests func(http.ResponseWriter, *http.Request) bool // nil, or says that it has answered
}

func newStorefront(t *testing.T) *storefront {
	t.Helper()
	dir := t.TempDir()
	s := &storefront{t: t, bare: filepath.Join(dir, "storefront.git"), caFile: filepath.Join(t.TempDir(), "ca.pem")}
	var err error
	if s.git, err = gitserver.New(dir); err != nil {
		t.Fatal(err)
	}
	if s.first, err = s.git.Create("storefront", "main", map[string]string{"index.html": "1"}, "Begin"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.shown.Store(r.Header.Get("Authorization"))
		if s.requests == nil || !s.requests(w, r) {
			http.StripPrefix("/compassdigital", s.git).ServeHTTP(w, r)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{s.certificate("github.com", "git.example", "inside.example")}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.proxy = s.newProxy(server.Listener.Addr().String())
	return s
}

// certificate makes one for the names, and its authority's file.
func (s *storefront) certificate(names ...string) tls.Certificate {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "invented"}, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	if err == nil {
		err = os.WriteFile(s.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// newProxy carries every tunnel to one place, and plain requests to where they go.
func (s *storefront) newProxy(to string) string {
	plain := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}
	var tunnels sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			plain.ServeHTTP(w, r)
			return
		}
		s.carried.Add(1)
		tunnels.Add(1) // closing the server waits for no connection that was taken from it
		defer tunnels.Done()
		out, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, "nobody there", http.StatusBadGateway)
			return
		}
		in, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, err = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		}
		if err != nil {
			out.Close()
			return
		}
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			tunnels.Go(func() {
				_, _ = io.Copy(pair[0], pair[1]) // it ends with either side
				_, _ = pair[0].Close(), pair[1].Close()
			})
		}
	}))
	s.t.Cleanup(func() { server.Close(); tunnels.Wait() })
	return server.URL
}

// commit moves the branch.
func (s *storefront) commit(text string) string {
	s.t.Helper()
	head, err := s.git.Commit("storefront", map[string]*string{"index.html": &text}, "Change")
	if err != nil {
		s.t.Fatal(err)
	}
	return head
}

// network is the part of a configuration that finds it.
func (s *storefront) network() string {
	return fmt.Sprintf("network: {proxy: %q, caFile: %q}\n", s.proxy, s.caFile)
}

// dns is the world's: what is not listed is not there.
func dnsOf(records map[string]string) func(context.Context, string, string) ([]string, error) {
	return func(_ context.Context, kind, name string) ([]string, error) {
		if a := records[name]; a != "" && kind == "A" {
			return []string{a}, nil
		}
		return nil, nil
	}
}

// storeTemplate is the tests' template, deployed from a repository.
func storeTemplate(source string) string {
	return strings.Replace(shopTemplate, "source: {repository: builtin, ref: v1, directory: ecommerce}", "source: {"+source+"}", 1)
}

// What is deployed: a branch and a tag become the commit that is planned, is in the
// fingerprint, and is what Vercel builds. A branch that moves later is no change, and nobody
// asks about it; a revert is the release that was; a name that means nothing is that client's
// problem, said with its place and what to do.
func TestRuleWhatIsDeployedAtVercel(t *testing.T) {
	s := newStorefront(t)
	w := newVercelWorld(t)
	w.public = dnsOf(map[string]string{"github.com": "140.82.121.4"})
	w.configure(s.network())
	client := func(name string, more ...string) string {
		return manifestOf(name, append([]string{"database: {provider: none}", "env: {DATABASE_URL: {none: true}}"}, more...)...)
	}
	w.commit(map[string]string{"templates/ecommerce.yaml": storeTemplate("repository: compassdigital/storefront, ref: main"),
		"clients/demoshop.yaml": client("demoshop", "deployment: {provider: vercel}"), "clients/twin.yaml": client("twin", "deployment: {provider: vercel}")})
	before := w.plan()
	if told := fmt.Sprint(before.Changes); strings.Count(told, s.first) != 2 {
		t.Errorf("the plan does not tell the commit twice: %s", told)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("two clients of one template were %d questions", n)
	}
	w.wantActive("demoshop")
	w.clock.add(time.Hour)
	asked := s.asked.Load()
	builds := func(name, commit string) int {
		t.Helper()
		for _, r := range w.status().Clients {
			if r.Name == name {
				return strings.Count(w.sim.Snapshot(w.projectOf(name)), `"sha":"`+commit+`"`)
			}
		}
		t.Fatalf("no client %s", name)
		return 0
	}
	if n := builds("demoshop", s.first); n != 1 {
		t.Errorf("Vercel built %s %d times", s.first, n)
	}
	released := w.serves("demoshop.localhost")
	second := s.commit("2")
	if v := w.plan(); len(v.Changes) > 0 || len(v.Problems) > 0 {
		t.Errorf("a branch that moved is a change: %+v", v)
	}
	w.wantActive("demoshop")
	if n := s.asked.Load(); n != asked {
		t.Errorf("clients whose wish did not change were %d questions", n-asked)
	}
	// A change of the client alone is built from what it was built from; who is new gets the new one.
	w.commit(map[string]string{"clients/demoshop.yaml": client("demoshop", "deployment: {provider: vercel}", "settings: {theme: dark}"), "clients/new.yaml": client("new", "deployment: {provider: vercel}")})
	w.wantActive("new")
	if first, moved, other := builds("demoshop", s.first), builds("demoshop", second), builds("new", second); first != 2 || moved != 0 || other != 1 {
		t.Errorf("demoshop was built %d times from the first and %d from the second, new %d", first, moved, other)
	}
	// A tag that is not there yet, in one client; the others go on.
	tagged := w.commit(map[string]string{"clients/demoshop.yaml": client("demoshop", "deployment: {provider: vercel, ref: v2}"), "clients/twin.yaml": client("twin", "deployment: {provider: vercel}", "settings: {theme: light}")})
	if v := w.plan(); len(v.Problems) != 1 || v.Problems[0].Text != "deployment of clients/demoshop.yaml: github.com/compassdigital/storefront has no branch and no tag v2" || v.Problems[0].Hint != "push it, or name another one" {
		t.Errorf("%+v", v.Problems)
	}
	v := w.applyThere()
	if r := rowOf(v, "demoshop"); r.Status != "failed" || !strings.Contains(r.Because, "no branch and no tag v2") {
		t.Errorf("demoshop is %s: %s", r.Status, r.Because)
	}
	if r := rowOf(v, "twin"); r.Status != "active" || builds("twin", s.first) != 2 {
		t.Errorf("twin is %s: %s", r.Status, r.Because)
	}
	if next := w.why("demoshop").Next; !strings.Contains(fmt.Sprint(next), "push it, or name another one; then `reconciler retry demoshop`") {
		t.Errorf("next is %v", next)
	}
	w.git2(s.bare, "tag", "-a", "-m", "release", "v2", second)
	w.clock.add(time.Minute)
	w.must(0, "retry", "demoshop")
	w.wantActive("demoshop")
	if n := builds("demoshop", second); n != 1 {
		t.Errorf("the tag was built %d times", n)
	}
	// Back: main is for this client what it was, and nothing is built.
	w.revert(tagged)
	w.commit(map[string]string{"clients/demoshop.yaml": client("demoshop", "deployment: {provider: vercel}")})
	w.wantActive("demoshop")
	if got := w.serves("demoshop.localhost"); got != released {
		t.Errorf("after the revert %s serves, it was %s", got, released)
	}
}

// projectOf is what a client's project is called at Vercel.
func (w *vercelWorld) projectOf(client string) string {
	w.t.Helper()
	for _, r := range w.why(client).Resources {
		if r.Ref.Kind == state.KindSite {
			return r.ID
		}
	}
	w.t.Fatalf("%s has no site", client)
	return ""
}

// The same at Ploi, whose script checks the commit out; what waits for a person is what was
// planned, though the branch has moved; a repository that does not answer lets wait, and is
// told with what is asked.
func TestRuleWhatIsDeployedAtPloi(t *testing.T) {
	s := newStorefront(t)
	a := newAgency(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: ploi, server: web-1, ref: main}", "paused: true")}, simulated.Doubts{})
	a.resolve, a.public = true, dnsOf(map[string]string{"github.com": "140.82.121.4"})
	a.configure(s.network())
	down := true
	s.requests = func(w http.ResponseWriter, _ *http.Request) bool {
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return down
	}
	if code, out := a.pass(); code != 0 || !strings.Contains(out, "deployment of clients/demoshop.yaml: github.com/compassdigital/storefront answered 503: it is asked again") {
		t.Errorf("it ends with %d\n%s", code, out)
	}
	down = false
	a.clock.add(time.Hour)
	if code, out := a.pass(); code != 0 && code != 3 {
		t.Errorf("it ends with %d\n%s", code, out)
	}
	second := s.commit("2") // while it waits
	a.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: ploi, server: web-1, ref: main}")})
	if code, out := a.pass(); code != 0 {
		t.Fatalf("it ends with %d\n%s", code, out)
	}
	sites := a.ploi.Sites()
	if len(sites) != 1 || !strings.Contains(sites[0].Script.Text(), s.first) {
		t.Errorf("%+v", sites)
	}

	// bump: what the branch has become is deployed by a commit, of a template that says so.
	a.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: ploi, server: web-1}"), "templates/ecommerce.yaml": storeTemplate("repository: compassdigital/storefront, ref: main")})
	if code, out := a.pass(); code != 0 {
		t.Fatalf("it ends with %d\n%s", code, out)
	}
	if n := a.ploi.Sites()[0].Deployments; n != 1 {
		t.Errorf("the same name in the template is %d deployments", n)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		x := a.app(&out, &errOut)
		x.providers, x.wired = a.open, nil
		if code := x.run(t.Context(), append(args, "--config", filepath.Join(a.dir, defaultConfigFile))); code != want {
			t.Fatalf("%v ends with %d\n%s%s", args, code, &out, &errOut)
		}
		told := errOut.String()
		if out.Len() > 0 {
			if err := os.WriteFile(filepath.Join(a.work, "bump.patch"), out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			a.git("apply", "bump.patch")
			a.git("rm", "-q", "--cached", "--ignore-unmatch", "bump.patch")
			if err := os.Remove(filepath.Join(a.work, "bump.patch")); err != nil {
				t.Fatal(err)
			}
		}
		return told
	}
	if told := run(0, "bump", "--template", "ecommerce", "main"); !strings.Contains(told, "deploys main already") {
		t.Error(told)
	}
	if told := run(1, "bump", "--template", "ecommerce", "v9"); !strings.Contains(told, "has no branch and no tag v9") {
		t.Error(told)
	}
	if told := run(1, "bump", "--template", "../clients/demoshop", "v9"); !strings.Contains(told, "there is no template") {
		t.Error(told)
	}
	run(2, "bump", "main")
	if told := run(0, "bump", "--template", "ecommerce", "--pin", "main"); !strings.Contains(told, "main is commit "+second) || !strings.Contains(told, "it is followed by demoshop") {
		t.Error(told)
	}
	a.git("commit", "-qam", "Deploy what main is now")
	a.push()
	if code, out := a.pass(); code != 0 {
		t.Fatalf("it ends with %d\n%s", code, out)
	}
	if sites := a.ploi.Sites(); sites[0].Deployments != 2 || !strings.Contains(sites[0].Script.Text(), second) {
		t.Errorf("%d deployments\n%s", sites[0].Deployments, sites[0].Script.Text())
	}
}

// Threat 11: an address that a manifest calls a repository leads into no private network, with
// a proxy or without, by whatever name; network.allowPrivate lists exceptions.
func TestThreat11SourcesAreNoWayIn(t *testing.T) {
	s := newStorefront(t)
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	defer inside.Close()
	port := inside.URL[strings.LastIndex(inside.URL, ":")+1:]
	names := map[string]string{"git.example": "140.82.121.4", "inside.example": "10.0.0.1", "here.example": "127.0.0.1"}
	for _, c := range []struct {
		proxy, allow, repository, want string
	}{
		{"", "", inside.URL + "/shop", health.ErrAddress.Error()},
		{"", "", "https://localhost:" + port + "/shop", "can't be asked"},
		{"", "", "https://here.example:" + port + "/shop", health.ErrAddress.Error()},
		{"", "", "https://[::ffff:127.0.0.1]:" + port + "/shop", health.ErrAddress.Error()},
		{"", "", "https://169.254.169.254/latest/meta-data", health.ErrAddress.Error()},
		{"", "", "https://inside.example/shop", health.ErrAddress.Error()},
		{s.proxy, "", "https://inside.example/compassdigital/storefront", health.ErrAddress.Error()},
		{s.proxy, "", "https://169.254.169.254/compassdigital/storefront", health.ErrAddress.Error()},
		{s.proxy, "10.0.0.0/8", "https://inside.example/compassdigital/storefront.git", ""},
		{s.proxy, "", "https://git.example/compassdigital/storefront.git", ""},
		{s.proxy, "", "https://unknown.example/compassdigital/storefront.git", "certificate"}, // the proxy may know it
	} {
		p := &program{now: time.Now, public: dnsOf(names), engine: &reconcile.Engine{}}
		n := NetworkConfig{Proxy: c.proxy, CAFile: s.caFile}
		if c.allow != "" {
			n.AllowPrivate = []string{c.allow}
		}
		if err := p.openRefs(Config{Network: n}); err != nil {
			t.Fatal(err)
		}
		commit, err := p.engine.ResolveRef(t.Context(), c.repository, "main")
		switch {
		case c.want == "" && (err != nil || commit != s.first):
			t.Errorf("%s: %s %v", c.repository, commit, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.repository, err, c.want)
		}
		if a, _ := s.shown.Load().(string); a != "" {
			t.Errorf("%s was shown %q", c.repository, a)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
	if n := s.carried.Load(); n != 3 {
		t.Errorf("the proxy was asked for %d tunnels", n)
	}
}

// Threat 15: our token for GitHub goes to the GitHub that is configured, over https, and
// nowhere else.
func TestThreat15TokenForSources(t *testing.T) {
	for api, hosts := range map[string]map[string]bool{
		"":                              {"github.com": true, "github.com:443": true, "github.com:8443": false, "api.github.com": false, "github.com.evil.example": false, "gitlab.com": false, "": false},
		"https://api.github.com":        {"github.com": true, "gitlab.com": false},
		"https://ghe.example/api/v3/":   {"ghe.example": true, "github.com": false, "ghe.example:8443": false},
		"https://ghe.example:8443/api/": {"ghe.example:8443": true, "ghe.example": false},
		"https://api.agency.ghe.com/":   {"agency.ghe.com": true, "github.com": false},
		"http://127.0.0.1:9/api/v3/":    {"127.0.0.1:9": false, "github.com": false},
	} {
		x, err := github.New(github.Options{APIURL: api, Owner: "agency", Repo: "clients", Token: func() state.Secret { return state.NewSecret("invented-token") }, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		token := (&program{github: x}).tokenAt(api)
		for host, want := range hosts {
			if got := token(t.Context(), host); got.Empty() == want {
				t.Errorf("with %q, %s is shown a token: %v", api, host, !got.Empty())
			}
		}
		if got := (&program{}).tokenAt(api)(t.Context(), "github.com"); !got.Empty() {
			t.Error("a token without a GitHub")
		}
	}
	if got := cloneURL(gitHubHost("https://ghe.example/api/v3/"), "agency/shop") + " " + cloneURL(gitHubHost(""), "https://gitlab.com/agency/shop"); got != "https://ghe.example/agency/shop.git https://gitlab.com/agency/shop" {
		t.Error(got)
	}
}
