package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

var keep = flag.String("keep", "", "folder to keep rendered pages in, to look at them")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hello = "Dana's Shop"

// world is a provider behind a real server.
type world struct {
	t    *testing.T
	dir  string
	opts Options
	p    *Provider
	srv  *httptest.Server
}

func open(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.opts = Options{Dir: filepath.Join(w.dir, "sites"), Databases: w.dir}
	for _, c := range change {
		c(&w.opts)
	}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	var p *Provider
	w.srv = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { p.Handler().ServeHTTP(rw, r) }))
	w.opts.Public = func() string { return w.srv.Listener.Addr().String() }
	var err error
	if p, err = New(w.opts); err != nil {
		w.t.Fatal(err)
	}
	w.p = p
}

func (w *world) stop() {
	w.srv.CloseClientConnections()
	w.srv.Close()
	if err := w.p.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) restart() { w.t.Helper(); w.stop(); w.start() }

func wish(kind state.Kind, name string, attributes map[string]string) provider.Wish {
	w := provider.Wish{
		Ref: state.Ref{Client: "c1", Kind: kind, Name: name}, Name: name,
		Mark: provider.Mark{Installation: "0badcafe", Client: "c1", Generation: 1},
	}
	for n, v := range attributes {
		w.Inputs = append(w.Inputs, provider.Input{Name: n, Text: v})
	}
	sort.Slice(w.Inputs, func(i, j int) bool { return w.Inputs[i].Name < w.Inputs[j].Name })
	return w
}

func (w *world) create(kind state.Kind, name string, attributes map[string]string) provider.Object {
	w.t.Helper()
	o, err := w.p.Create(context.Background(), wish(kind, name, attributes))
	if err != nil {
		w.t.Fatalf("create %s: %v", kind, err)
	}
	return o
}

func (w *world) site(name string) string {
	w.t.Helper()
	return w.create(state.KindSite, name, map[string]string{"label": name, "repository": Builtin}).ID
}

func releaseOf(site string, change map[string]string) map[string]string {
	a := map[string]string{
		"site": site, "repository": Builtin, "template": "ecommerce", "displayName": hello, "ref": "v1.4.2",
		"features": "ecommerce,blog", "settings": `{"theme":"dark"}`,
	}
	for k, v := range change {
		a[k] = v
	}
	return a
}

// deploy makes a release and waits until it is built.
func (w *world) deploy(name, site string, change map[string]string) provider.Object {
	w.t.Helper()
	return w.await(w.create(state.KindDeployment, name, releaseOf(site, change)).ID)
}

func (w *world) observe(kind state.Kind, id string) provider.Object {
	w.t.Helper()
	found, err := w.p.Observe(context.Background(), provider.Query{Kind: kind, ID: id})
	if err != nil || len(found) != 1 {
		w.t.Fatalf("observe %s %s: %d found, %v", kind, id, len(found), err)
	}
	return found[0]
}

func (w *world) await(id string) provider.Object {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		o := w.observe(state.KindDeployment, id)
		if o.Phase != provider.Progressing {
			return o
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the build does not end")
		}
		time.Sleep(time.Millisecond)
	}
}

// live makes a site with a release that serves.
func (w *world) live(name string, change map[string]string) (site, deployment, traffic string) {
	w.t.Helper()
	site = w.site(name)
	deployment = w.deploy(name+"-1", site, change).ID
	traffic = w.create(state.KindTraffic, name, map[string]string{"site": site, "deployment": deployment}).ID
	return site, deployment, traffic
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (w *world) client() *http.Client {
	return &http.Client{
		Transport:     w.srv.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (w *world) do(method, host, path string) answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.srv.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if host != "" {
		_, port, _ := net.SplitHostPort(w.srv.Listener.Addr().String())
		r.Host = host + ":" + port
	}
	res, err := w.client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, string(body), res.Header}
}

func (w *world) get(host, path string) answer { w.t.Helper(); return w.do("GET", host, path) }

func (w *world) wants(a answer, status int, texts ...string) {
	w.t.Helper()
	if a.status != status {
		w.t.Errorf("status %d, want %d: %.200s", a.status, status, a.body)
	}
	for _, s := range texts {
		if !strings.Contains(a.body, s) {
			w.t.Errorf("no %q in %.3000s", s, a.body)
		}
	}
}

func TestRoutes(t *testing.T) {
	w := open(t)
	site, first, _ := w.live("demoshop", nil)
	w.create(state.KindDomain, "demoshop.localhost", map[string]string{"site": site, "host": "demoshop.localhost"})
	w.create(state.KindDomain, "shop.example", map[string]string{"site": site, "host": "shop.example"})
	w.create(state.KindDomain, "www.shop.example", map[string]string{"site": site, "host": "www.shop.example", "redirect": "shop.example"})
	second := w.deploy("demoshop-2", site, map[string]string{"displayName": "Second"}).ID

	for _, c := range []struct {
		name, host, path string
		status           int
		text             string
	}{
		{"bound", "demoshop.localhost", "/", 200, "Dana&#39;s Shop"},
		{"own host name, case and dot", "SHOP.example.", "/products/", 200, "Stoneware mug"},
		{"path", "", "/sites/demoshop/", 200, "Dana&#39;s Shop"},
		{"path, style", "", "/sites/demoshop/style.css", 200, "--accent"},
		{"site's own host", site + ".localhost", "/", 200, "Dana&#39;s Shop"},
		{"unpromoted by host", second + ".localhost", "/", 200, "Second"},
		{"unpromoted by path", "", "/deployments/" + second + "/", 200, "Second"},
		{"health", "demoshop.localhost", "/api/health", 200, `{"status":"ok","database":"none"}`},
		{"admin", "demoshop.localhost", "/admin/", 200, `type="password"`},
		{"missing", "demoshop.localhost", "/nothing", 404, `href="/style.css"`},
		{"missing below a path", "", "/sites/demoshop/a/b/c", 404, `href="/sites/demoshop/style.css"`},
		{"the missing page itself", "demoshop.localhost", "/404", 404, "Nothing here"},
		{"no such host", "other.example", "/", 404, "No site"},
		{"no such site", "", "/sites/other/", 404, "No site"},
		{"no such release", "dpl-0123456789012345678.localhost", "/", 404, "There is no"},
		{"a site's id is no deployment", "", "/deployments/" + site + "/", 404, "No site"},
		{"up and out", "", "/sites/demoshop/..%2f..%2f" + first + "%2fenvironment.json", 404, ""},
		{"environment", "demoshop.localhost", "/environment.json", 404, ""},
		{"release file", "demoshop.localhost", "/release.json", 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.wants(w.get(c.host, c.path), c.status, c.text)
		})
	}
}

func TestRedirects(t *testing.T) {
	w := open(t)
	site, _, _ := w.live("demoshop", nil)
	w.create(state.KindDomain, "shop.example", map[string]string{"site": site, "host": "shop.example"})
	w.create(state.KindDomain, "www.shop.example", map[string]string{"site": site, "host": "www.shop.example", "redirect": "shop.example"})
	_, port, _ := net.SplitHostPort(w.srv.Listener.Addr().String())
	for path, want := range map[string]string{
		"/a%2Fb?x=1&y=%20": "http://shop.example:" + port + "/a%2Fb?x=1&y=%20",
		"//evil.example/":  "http://shop.example:" + port + "//evil.example/",
	} {
		a := w.get("www.shop.example", path)
		if a.status != 308 || a.header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want 308 to %q", path, a.status, a.header.Get("Location"), want)
		}
	}
	for path, want := range map[string]string{"/products": "/products/", "/sites/demoshop": ""} {
		a := w.get("shop.example", path)
		if want != "" && (a.status != 308 || a.header.Get("Location") != want) {
			t.Errorf("%s: %d to %q", path, a.status, a.header.Get("Location"))
		}
	}
	if a := w.get("", "/sites/demoshop"); a.status != 308 || a.header.Get("Location") != "/sites/demoshop/" {
		t.Errorf("no slash: %d to %q", a.status, a.header.Get("Location"))
	}
	if a := w.get("", "/sites/demoshop/products"); a.status != 308 || a.header.Get("Location") != "/sites/demoshop/products/" {
		t.Errorf("no slash: %d to %q", a.status, a.header.Get("Location"))
	}
}

func TestMethods(t *testing.T) {
	w := open(t)
	w.live("demoshop", nil)
	if a := w.do("HEAD", "", "/sites/demoshop/"); a.status != 200 || a.body != "" || a.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %+v", a)
	}
	w.wants(w.do("DELETE", "", "/sites/demoshop/"), 405)
	w.wants(w.do("POST", "", "/sites/demoshop/admin/"), 501)
}

func TestOwns(t *testing.T) {
	w := open(t)
	for target, want := range map[string]bool{
		"http://127.0.0.1:8080/": false, "http://localhost:8080/api/clients": false, "http://[::1]:8080/": false,
		"http://127.0.0.1:8080/sites/x/": true, "http://127.0.0.1/deployments/dpl-1/": true,
		"http://127.0.0.1/deployments/0193": false, "http://demoshop.localhost:8080/": true, "http://shop.example/api/clients": true,
	} {
		if got := w.p.Owns(httptest.NewRequest(http.MethodGet, target, nil)); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}

func TestPageShowsWhatTheManifestSays(t *testing.T) {
	w := open(t)
	site := w.site("demoshop")
	w.create(state.KindEnvironment, "env", map[string]string{"site": site, "env.STORE_CURRENCY": "GBP", "env.NEXT_PUBLIC_PHONE": "+31 20", "env.MOLLIE": "hidden-value"})
	d := w.deploy("d", site, map[string]string{
		"features": "multiLanguage,priceAlerts", "collections": "orders",
		"settings": `{"theme":{"mode":"dark","primaryColor":"#FFEE00"},"tagline":"Since 1911","locale":"de-DE"}`,
	})
	home := w.get(d.ID+".localhost", "/")
	w.wants(home, 200, `lang="de-DE"`, `data-theme="dark"`, "Since 1911", "GBP 24.50", "&#43;31 20", "In your language", "Price alerts", "Version v1.4.2", d.ID)
	for _, s := range []string{"hidden-value", "MOLLIE", "Your orders", "Journal"} {
		if strings.Contains(home.body, s) {
			t.Errorf("the page shows %q", s)
		}
	}
	w.wants(w.get(d.ID+".localhost", "/orders/"), 404)
	w.wants(w.get(d.ID+".localhost", "/style.css"), 200, "--accent:#ffee00;--on-accent:#000")
}

func TestEveryTemplateRenders(t *testing.T) {
	w := open(t)
	site := w.site("demoshop")
	w.create(state.KindEnvironment, "env", map[string]string{"site": site, "env.STORE_CURRENCY": "EUR", "env.STORE_CITY": "Utrecht"})
	for name, l := range looks() {
		d := w.deploy(name, site, map[string]string{"template": name, "displayName": "Vries & Co", "features": "blog,forms", "settings": "{}"})
		if d.Phase != provider.Ready {
			t.Fatalf("%s: %s %s", name, d.Phase, d.Message)
		}
		home := w.get(d.ID+".localhost", "/")
		w.wants(home, 200, "Vries &amp; Co", l.Headline, "Write to us", `<main id="main"`)
		for _, c := range l.Collections {
			w.wants(w.get(d.ID+".localhost", "/"+c.Slug+"/"), 200, "<h1>"+c.Title+"</h1>")
		}
		if *keep != "" {
			if err := os.CopyFS(filepath.Join(*keep, name), os.DirFS(filepath.Join(w.p.releases.of(d.ID), pagesDir))); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestHostileText(t *testing.T) {
	w := open(t)
	site := w.site("demoshop")
	bad := `"><script>alert(1)</script>{{.}}` + "\x00\u202e" + strings.Repeat("é", 5000)
	w.create(state.KindEnvironment, "env", map[string]string{"site": site, "env.STORE_X": bad, "env.NEXT_PUBLIC_<b>": "<i>"})
	settings, err := json.Marshal(map[string]any{"tagline": bad, "announcement": bad, "locale": bad, "theme": map[string]any{"mode": bad, "primaryColor": "red;}"}})
	if err != nil {
		t.Fatal(err)
	}
	d := w.deploy("d", site, map[string]string{"displayName": bad, "ref": bad, "features": bad, "collections": bad, "command": bad, "install": bad, "migrate": bad, "settings": string(settings)})
	if d.Phase != provider.Ready {
		t.Fatalf("%s %s", d.Phase, d.Message)
	}
	for _, path := range []string{"/", "/products/", "/admin/", "/nothing"} {
		body := w.get(d.ID+".localhost", path).body
		for _, s := range []string{"<script", "<b>", "<i>", "\x00", "\u202e", "red;}"} {
			if strings.Contains(body, s) {
				t.Errorf("%s holds %q", path, s)
			}
		}
		if len(body) > 64<<10 {
			t.Errorf("%s has %d bytes", path, len(body))
		}
	}
	for _, line := range d.Log {
		if strings.ContainsAny(line, "\x00\u202e\n") || len(line) > 4*maxText {
			t.Errorf("log line %q", line)
		}
	}
}

func TestSecretsStayOut(t *testing.T) {
	w := open(t)
	site := w.site("demoshop")
	value := "sk_" + "live_" + "abcdef0123456789"
	secret := state.NewSecret(value)
	e := wish(state.KindEnvironment, "env", map[string]string{"site": site})
	e.Inputs = append([]provider.Input{{Name: "env.STORE_KEY", Secret: &secret}, {Name: "env.MOLLIE", Text: "plain-but-private"}}, e.Inputs...)
	o, err := w.p.Create(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	d := w.deploy("d", site, nil)
	seen := fmt.Sprintf("%v %+v %#v", o, d, d.Log)
	for _, path := range []string{"/", "/products/", "/admin/", "/nothing", "/api/health"} {
		seen += w.get(d.ID+".localhost", path).body
	}
	env, err := w.p.releases.environment(d.ID)
	if err != nil || env.get("STORE_KEY") != value {
		t.Errorf("the release does not have its secret: %v", err)
	}
	seen += fmt.Sprintf("%v %+v %#v", env, env, env)
	if strings.Contains(seen, value) || strings.Contains(strings.ReplaceAll(seen, fmt.Sprintf("%v", o), ""), "plain-but-private") {
		t.Error("a value is shown")
	}
	info, err := os.Stat(filepath.Join(w.p.releases.of(d.ID), environmentFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("snapshot: %v %v", info, err)
	}
}

func TestSnapshotIsOfTheMoment(t *testing.T) {
	w := open(t)
	site := w.site("demoshop")
	env := w.create(state.KindEnvironment, "env", map[string]string{"site": site, "env.STORE_CURRENCY": "EUR"}).ID
	first := w.deploy("a", site, nil).ID
	if _, err := w.p.Update(context.Background(), env, wish(state.KindEnvironment, "env", map[string]string{"site": site, "env.STORE_CURRENCY": "USD"})); err != nil {
		t.Fatal(err)
	}
	second := w.deploy("b", site, nil).ID
	w.wants(w.get(first+".localhost", "/"), 200, "EUR 24.50")
	w.wants(w.get(second+".localhost", "/"), 200, "USD 24.50")
}

func TestBreakBuild(t *testing.T) {
	w := open(t)
	site := w.site("demoshop")
	d := w.deploy("d", site, map[string]string{"settings": `{"breakBuild": true}`, "command": "pnpm build"})
	if d.Phase != provider.Failed || !strings.Contains(d.Message, `command "pnpm build" exited with 1`) {
		t.Errorf("%s: %s", d.Phase, d.Message)
	}
	if log := strings.Join(d.Log, "\n"); !strings.Contains(log, "$ pnpm build") || !strings.Contains(log, "Type error") || !strings.Contains(log, "settings.breakBuild") {
		t.Errorf("log:\n%s", log)
	}
	w.wants(w.get(d.ID+".localhost", "/"), 404, "not built")
	_, err := w.p.Create(context.Background(), wish(state.KindTraffic, "t", map[string]string{"site": site, "deployment": d.ID}))
	if provider.KindOf(err) != provider.Invalid {
		t.Errorf("traffic to a broken release: %v", err)
	}
	w.restart()
	if again := w.observe(state.KindDeployment, d.ID); again.Phase != provider.Failed || len(again.Log) != len(d.Log) {
		t.Errorf("after a restart: %s, %d lines", again.Phase, len(again.Log))
	}
}

func TestBreakHealth(t *testing.T) {
	w := open(t)
	site := w.site("demoshop")
	a := w.deploy("a", site, map[string]string{"settings": `{"breakHealth": true}`}).ID
	b := w.deploy("b", site, map[string]string{"settings": `{"breakHealth": "/up"}`}).ID
	w.wants(w.get(a+".localhost", "/api/health"), 500, "failing")
	w.wants(w.get(a+".localhost", "/"), 200)
	w.wants(w.get(b+".localhost", "/up"), 500, "failing")
	w.wants(w.get(b+".localhost", "/api/health"), 200)
}

func TestHealthAsksTheDatabase(t *testing.T) {
	w := open(t)
	site := w.site("demoshop")
	path := filepath.Join(w.dir, "shop #1.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA journal_mode=WAL; CREATE TABLE users (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(w.dir, "damaged.db")
	if err := os.WriteFile(damaged, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside.db")
	other, err := sql.Open("sqlite", outside)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Exec("CREATE TABLE users (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	env := w.create(state.KindEnvironment, "env", map[string]string{"site": site}).ID
	escaped := strings.NewReplacer(" ", "%20", "#", "%23").Replace(path)
	for n, c := range []struct {
		url    string
		status int
	}{
		{"file:" + escaped, 200}, {"file://" + escaped + "?mode=rwc&_pragma=journal_mode(DELETE)", 200}, {"sqlite://" + escaped, 200},
		{"file:" + filepath.Join(w.dir, "absent.db"), 503}, {"file:" + damaged, 503}, {"file:" + outside, 503},
		{"file:" + w.dir + "/../" + filepath.Base(outside), 503}, {"postgres://db.example/x", 503}, {"file:///", 503}, {"::", 503},
	} {
		if _, err := w.p.Update(context.Background(), env, wish(state.KindEnvironment, "env", map[string]string{"site": site, "env.DATABASE_URL": c.url})); err != nil {
			t.Fatal(err)
		}
		d := w.deploy(fmt.Sprint("d", n), site, nil).ID
		a := w.get(d+".localhost", "/api/health")
		want := `{"status":"ok","database":"ok"}`
		if c.status != 200 {
			want = `{"status":"failing","database":"unreachable"}`
		}
		t.Log(c.url)
		w.wants(a, c.status, want)
		if strings.Contains(a.body, w.dir) {
			t.Error("the answer names a path")
		}
	}
	if _, err := os.Stat(filepath.Join(w.dir, "absent.db")); err == nil {
		t.Error("a ping made a database")
	}
}

func TestRefusals(t *testing.T) {
	w := open(t)
	a, first, _ := w.live("a", nil)
	b, _, _ := w.live("b", nil)
	w.create(state.KindDomain, "shop.example", map[string]string{"site": a, "host": "shop.example"})
	for _, c := range []struct {
		name string
		wish provider.Wish
		want provider.ErrorKind
		text string
	}{
		{"repository", wish(state.KindDeployment, "x", releaseOf(a, map[string]string{"repository": "acme/shop"})), provider.Invalid, "builtin"},
		{"site's repository", wish(state.KindSite, "x", map[string]string{"label": "x", "repository": "acme/shop"}), provider.Invalid, "builtin"},
		{"template", wish(state.KindDeployment, "x", releaseOf(a, map[string]string{"template": "../../x"})), provider.Invalid, "not built in"},
		{"settings", wish(state.KindDeployment, "x", releaseOf(a, map[string]string{"settings": "[1]"})), provider.Invalid, "JSON object"},
		{"large settings", wish(state.KindDeployment, "x", releaseOf(a, map[string]string{"settings": `{"a":"` + strings.Repeat("x", maxSettings) + `"}`})), provider.Invalid, "at most"},
		{"no site", wish(state.KindDeployment, "x", releaseOf("site-0", nil)), provider.Invalid, "not here"},
		{"same name", wish(state.KindSite, "a", map[string]string{"label": "z"}), provider.Conflict, "exists"},
		{"label", wish(state.KindSite, "x", map[string]string{"label": "../x"}), provider.Invalid, "label"},
		{"bound elsewhere", wish(state.KindDomain, "y", map[string]string{"site": b, "host": "SHOP.example"}), provider.Conflict, "bound"},
		{"host", wish(state.KindDomain, "y", map[string]string{"site": b, "host": "a b.example"}), provider.Invalid, "host name"},
		{"an address", wish(state.KindDomain, "y", map[string]string{"site": b, "host": "127.0.0.1"}), provider.Invalid, "host name"},
		{"the machine", wish(state.KindDomain, "y", map[string]string{"site": b, "host": "localhost"}), provider.Invalid, "host name"},
		{"a release's host", wish(state.KindDomain, "y", map[string]string{"site": b, "host": first + ".localhost"}), provider.Invalid, "by themselves"},
		{"redirect to itself", wish(state.KindDomain, "y", map[string]string{"site": b, "host": "y.example", "redirect": "y.example"}), provider.Invalid, "redirect"},
		{"redirect out", wish(state.KindDomain, "y", map[string]string{"site": b, "host": "y.example", "redirect": "evil.example/x"}), provider.Invalid, "redirect"},
		{"another's release", wish(state.KindTraffic, "y", map[string]string{"site": b, "deployment": first}), provider.Conflict, "traffic"},
		{"second environment", wish(state.KindTraffic, "y", map[string]string{"site": b, "deployment": first}), provider.Conflict, "traffic"},
		{"kind", wish(state.KindDatabase, "y", nil), provider.Unsupported, "not kept here"},
	} {
		_, err := w.p.Create(context.Background(), c.wish)
		if provider.KindOf(err) != c.want || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := w.p.Delete(context.Background(), state.KindDeployment, first); provider.KindOf(err) != provider.Invalid {
		t.Errorf("deleting what serves: %v", err)
	}
	if _, err := w.p.Update(context.Background(), first, wish(state.KindDeployment, "a-1", releaseOf(a, map[string]string{"ref": "v2"}))); provider.KindOf(err) != provider.Invalid {
		t.Errorf("changing a release: %v", err)
	}
	if _, err := w.p.Update(context.Background(), "dom-0", wish(state.KindDomain, "q", nil)); provider.KindOf(err) != provider.NotFound {
		t.Errorf("updating the absent: %v", err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.p.Create(over, wish(state.KindSite, "x", map[string]string{"label": "x"})); provider.KindOf(err) != provider.Transient {
		t.Errorf("given up: %v", err)
	}
}

// watch asks for a page until stop is called, at least 200 times, and counts what is
// not a good answer.
func (w *world) watch(host, path string, good func(answer) bool) (stop func() (asked, bad int)) {
	done, over := make(chan struct{}), make(chan struct{})
	var asked, bad int
	var once sync.Once
	go func() {
		defer close(over)
		for {
			select {
			case <-done:
				if asked >= 200 {
					return
				}
			default:
			}
			a := w.get(host, path)
			asked++
			if a.status != 200 || !good(a) {
				bad++
			}
		}
	}()
	return func() (int, int) {
		once.Do(func() { close(done) })
		<-over
		return asked, bad
	}
}

func TestPromotionLosesNoRequest(t *testing.T) {
	w := open(t)
	site, first, traffic := w.live("demoshop", map[string]string{"displayName": "Release One"})
	w.create(state.KindDomain, "shop.example", map[string]string{"site": site, "host": "shop.example"})
	stop := w.watch("shop.example", "/", func(a answer) bool { return strings.Contains(a.body, "Release ") })
	defer stop()
	promote := func(d string) {
		if _, err := w.p.Update(context.Background(), traffic, wish(state.KindTraffic, "demoshop", map[string]string{"site": site, "deployment": d})); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 10 {
		second := w.deploy(fmt.Sprint("r", n), site, map[string]string{"displayName": "Release Two"}).ID
		promote(second)
		w.wants(w.get("shop.example", "/"), 200, "Release Two", second)
		promote(first)
		w.wants(w.get("shop.example", "/"), 200, "Release One")
		if err := w.p.Delete(context.Background(), state.KindDeployment, second); err != nil {
			t.Fatal(err)
		}
	}
	if asked, bad := stop(); bad > 0 {
		t.Errorf("%d of %d requests failed", bad, asked)
	}
}

func TestDomainMovesWithoutAGap(t *testing.T) {
	w := open(t)
	a, _, _ := w.live("a", map[string]string{"displayName": "Shop Anna"})
	b, _, _ := w.live("b", map[string]string{"displayName": "Shop Bert"})
	id := w.create(state.KindDomain, "shop.example", map[string]string{"site": a, "host": "shop.example"}).ID
	stop := w.watch("shop.example", "/", func(a answer) bool { return strings.Contains(a.body, "Shop ") })
	defer stop()
	for range 20 {
		for site, text := range map[string]string{b: "Shop Bert", a: "Shop Anna"} {
			to := wish(state.KindDomain, "shop.example", map[string]string{"site": site, "host": "shop.example"})
			to.Mark.Client = "c2"
			o, err := w.p.Update(context.Background(), id, to)
			if err != nil || o.ID != id || o.Mark.Client != "c2" {
				t.Fatalf("%+v %v", o, err)
			}
			w.wants(w.get("shop.example", "/"), 200, text)
		}
	}
	if asked, bad := stop(); bad > 0 {
		t.Errorf("%d of %d requests failed", bad, asked)
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	w := open(t)
	site, first, traffic := w.live("demoshop", nil)
	domain := w.create(state.KindDomain, "shop.example", map[string]string{"site": site, "host": "shop.example"}).ID
	before := w.get("shop.example", "/").body
	log := w.observe(state.KindDeployment, first).Log
	w.restart()
	if after := w.get("shop.example", "/").body; after != before {
		t.Error("the page has changed")
	}
	if got := w.observe(state.KindDeployment, first); len(got.Log) != len(log) || got.Phase != provider.Ready {
		t.Errorf("%+v", got)
	}
	owned, err := w.p.Owned(context.Background(), "0badcafe")
	if err != nil || len(owned) != 4 {
		t.Fatalf("%d owned, %v", len(owned), err)
	}
	if owned, _ := w.p.Owned(context.Background(), "other"); len(owned) != 0 {
		t.Errorf("%d owned by another", len(owned))
	}
	if err := w.p.Delete(context.Background(), state.KindSite, site); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.wants(w.get("shop.example", "/"), 404)
	for kind, id := range map[state.Kind]string{state.KindSite: site, state.KindDeployment: first, state.KindTraffic: traffic, state.KindDomain: domain} {
		found, err := w.p.Observe(context.Background(), provider.Query{Kind: kind, ID: id})
		if err != nil || len(found) != 0 {
			t.Errorf("%s stayed: %v", kind, err)
		}
		if err := w.p.Delete(context.Background(), kind, id); err != nil {
			t.Errorf("deleting the absent: %v", err)
		}
	}
	left, err := os.ReadDir(w.p.releases.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("%d releases stayed, %v", len(left), err)
	}
}

func TestBuildGoesOnAfterARestart(t *testing.T) {
	w := open(t, func(o *Options) { o.Pace = time.Hour })
	site := w.site("demoshop")
	env := w.create(state.KindEnvironment, "env", map[string]string{"site": site, "env.STORE_CURRENCY": "EUR"}).ID
	d := w.create(state.KindDeployment, "d", releaseOf(site, nil))
	if d.Phase != provider.Progressing {
		t.Fatalf("phase %s", d.Phase)
	}
	for len(w.observe(state.KindDeployment, d.ID).Log) == 0 {
		time.Sleep(time.Millisecond)
	}
	w.wants(w.get(d.ID+".localhost", "/"), 503, "being built")
	_, err := w.p.Create(context.Background(), wish(state.KindTraffic, "t", map[string]string{"site": site, "deployment": d.ID}))
	if provider.KindOf(err) != provider.Transient {
		t.Errorf("traffic to what is being built: %v", err)
	}
	if _, err := w.p.Update(context.Background(), env, wish(state.KindEnvironment, "env", map[string]string{"site": site, "env.STORE_CURRENCY": "USD"})); err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(w.p.releases.dir, "dpl-orphan")
	if err := os.Mkdir(orphan, 0o700); err != nil {
		t.Fatal(err)
	}
	w.opts.Pace = 0
	w.restart()
	if o := w.await(d.ID); o.Phase != provider.Ready {
		t.Fatalf("%s %s", o.Phase, o.Message)
	}
	w.wants(w.get(d.ID+".localhost", "/"), 200, "EUR 24.50")
	if _, err := os.Stat(orphan); err == nil {
		t.Error("a folder without a deployment stayed")
	}
	// A release whose files are gone comes back.
	if err := os.Remove(filepath.Join(w.p.releases.of(d.ID), releaseFile)); err != nil {
		t.Fatal(err)
	}
	w.restart()
	for w.get(d.ID+".localhost", "/").status != 200 {
		time.Sleep(time.Millisecond)
	}
}

func TestDeletingWhatIsBuilt(t *testing.T) {
	w := open(t, func(o *Options) { o.Pace = 5 * time.Millisecond })
	site := w.site("demoshop")
	var ids []string
	for n := range 2 * builders {
		ids = append(ids, w.create(state.KindDeployment, fmt.Sprint("d", n), releaseOf(site, nil)).ID)
	}
	for _, id := range ids[1:] {
		if err := w.p.Delete(context.Background(), state.KindDeployment, id); err != nil {
			t.Fatal(err)
		}
	}
	w.await(ids[0])
	w.opts.Pace = 0
	w.restart()
	left, err := os.ReadDir(w.p.releases.dir)
	if err != nil || len(left) != 1 || left[0].Name() != ids[0] {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestTheYoungerSiteHasTheLabel(t *testing.T) {
	clock := time.Unix(1_700_000_000, 0)
	w := open(t, func(o *Options) { o.Now = func() time.Time { clock = clock.Add(time.Second); return clock } })
	for _, n := range []string{"old", "new"} {
		site := w.create(state.KindSite, n, map[string]string{"label": "demoshop"}).ID
		d := w.deploy(n+"-1", site, map[string]string{"displayName": "The " + n + " one"}).ID
		w.create(state.KindTraffic, n, map[string]string{"site": site, "deployment": d})
	}
	w.wants(w.get("", "/sites/demoshop/"), 200, "The new one")
}
