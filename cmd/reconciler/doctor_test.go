package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/daemon"
	hubsim "github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/provider"
	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	railwaysim "github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	resendsim "github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	vercelsim "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// clinic is an installation with an account at every simulated vendor, and a count of what
// is written there.
type clinic struct {
	*hub
	faults     map[string]*simulator.Faults // by vendor
	servers    map[string]*httptest.Server
	cloudflare *cloudflaresim.Vendor
	team       string

	mu     sync.Mutex
	writes []string
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{faults: map[string]*simulator.Faults{}, servers: map[string]*httptest.Server{}, team: "team_agency"}
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) // we, seen from outside
	t.Cleanup(site.Close)
	c.hub = newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}, func(h *hub, o *hubsim.Options, config *[]string) {
		*config = []string{"publicURL: " + site.URL}
		o.WebhookURL, o.WebhookSecret = site.URL+webhookPath, state.NewSecret(hubSecret)
		h.env["RECONCILER_GITHUB_WEBHOOK_SECRET"] = hubSecret
	})
	vendors := map[string]func() (http.Handler, error){
		"cloudflare": func() (_ http.Handler, err error) {
			c.cloudflare, err = cloudflaresim.New(cloudflaresim.Options{Now: c.now, Token: c.env["CLOUDFLARE_API_TOKEN"], Zones: []cloudflaresim.Zone{{ID: "zone1", Name: "localhost", Account: "agency"}}})
			return c.cloudflare, err
		},
		"vercel": func() (http.Handler, error) {
			return vercelsim.New(vercelsim.Options{Now: c.now, Token: c.env["VERCEL_API_TOKEN"], Team: c.team})
		},
		"ploi": func() (http.Handler, error) {
			return ploisim.New(ploisim.Options{Now: c.now, Token: c.env["PLOI_API_TOKEN"], Servers: []ploisim.Server{{ID: 1, Name: "royal-reef", Address: "203.0.113.10"}}})
		},
		"railway": func() (http.Handler, error) {
			return railwaysim.New(railwaysim.Options{Now: c.now, Token: c.env["RAILWAY_API_KEY"]})
		},
		"stripe": func() (http.Handler, error) {
			return stripesim.New(stripesim.Options{Now: c.now, Key: c.env["STRIPE_API_KEY"]})
		},
		"resend": func() (http.Handler, error) {
			return resendsim.New(resendsim.Options{Now: c.now, Token: c.env["RESEND_API_KEY"], Domains: map[string]string{"agency.example": "verified"}})
		},
	}
	for name, open := range vendors {
		c.faults[name] = &simulator.Faults{}
		vendor, err := open()
		if err != nil {
			t.Fatal(err)
		}
		api := c.noting(name, c.faults[name].Handler(underContract(t, name, vendor)))
		if name == "resend" {
			api = c.hearsMail(api)
		}
		c.servers[name] = httptest.NewServer(api)
		t.Cleanup(c.servers[name].Close)
	}
	for name, value := range map[string]string{"CLOUDFLARE_API_URL": c.servers["cloudflare"].URL + "/client/v4", "VERCEL_API_URL": c.servers["vercel"].URL, "VERCEL_TEAM_ID": c.team,
		"PLOI_API_URL": c.servers["ploi"].URL + "/api", "PLOI_SERVERS": `{web-1: "1"}`, "RAILWAY_API_URL": c.servers["railway"].URL + "/graphql/v2",
		"STRIPE_API_URL": c.servers["stripe"].URL, "STRIPE_PLATFORM": stripesim.Platform,
		"RESEND_API_URL": c.servers["resend"].URL, "RESEND_FROM": "Agency <ops@agency.example>"} {
		c.env["RECONCILER_PROVIDERS_"+name] = value
	}
	return c
}

// noting notes every request that may change something at a vendor.
func (c *clinic) noting(name string, vendor http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if r.Method != http.MethodGet && r.Method != http.MethodHead && (name != "railway" || railwaysim.Mutations(r, body)) {
			c.mu.Lock()
			c.writes = append(c.writes, name+" "+r.Method+" "+r.URL.Path)
			c.mu.Unlock()
		}
		vendor.ServeHTTP(w, r)
	})
}

// examined runs doctor and returns what it found.
func (c *clinic) examined(code int) []report.Finding {
	c.t.Helper()
	return examined(c.t, c.world, code)
}

func examined(t testing.TB, w *world, code int) []report.Finding {
	t.Helper()
	var v struct {
		Findings         []report.Finding
		Failed, Warnings int
	}
	r := w.cli("doctor", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != code || r.err != "" || v.Failed != report.Count(v.Findings, report.Fail) || (v.Failed > 0) != (code > 0) {
		t.Fatalf("exit code %d, want %d; %v\n%s%s", r.code, code, err, r.out, r.err)
	}
	return v.Findings
}

// wantFinding wants one of a subject and a level that says something.
func wantFinding(t testing.TB, all []report.Finding, about string, level report.Level, says string) {
	t.Helper()
	for _, f := range all {
		if f.About == about && f.Level == level && strings.Contains(f.Text, says) {
			return
		}
	}
	t.Errorf("no %s of %s says %q:\n%s", level, about, says, report.Findings(all, report.Options{}))
}

// files are a folder's files with what is in them, and when they were changed.
func filesIn(t testing.TB, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := p + " " + info.Mode().String()
		if info.Mode().IsRegular() {
			sum := sha256.Sum256([]byte(readAll(t, p)))
			line += " " + hex.EncodeToString(sum[:]) + " " + info.ModTime().String()
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Where all is well doctor says so of everything, before the first start, between two and
// beside a daemon; and it changes nothing: no file, no vendor's object, nothing at GitHub.
func TestDoctorChangesNothing(t *testing.T) {
	c := newClinic(t)
	nothing := func(when string, known ...string) []report.Finding {
		t.Helper()
		before := filesIn(t, c.dir)
		c.mu.Lock()
		c.writes = nil
		c.mu.Unlock()
		said := len(c.gh.Writes())
		all := c.examined(0)
		c.mu.Lock()
		defer c.mu.Unlock()
		if after := filesIn(t, c.dir); !slices.Equal(before, after) {
			t.Errorf("%s: files\n%s\nwere\n%s", when, strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
		if len(c.writes) > 0 || len(c.gh.Writes()) != said {
			t.Errorf("%s: %v, and %d writes at GitHub", when, c.writes, len(c.gh.Writes())-said)
		}
		for _, about := range append(known, "configuration", "key", "state", "disk", "repository", "publicURL", "webhook", "cloudflare", "vercel", "ploi", "railway", "stripe", "resend", "clock") {
			wantFinding(t, all, about, report.OK, "")
		}
		if n := report.Count(all, report.Warn); n != 1 { // the classic token of the tests
			t.Errorf("%s: %d warnings\n%s", when, n, report.Findings(all, report.Options{}))
		}
		return all
	}
	wantFinding(t, nothing("before the first start"), "state", report.OK, "there is none yet")
	c.apply()
	wantFinding(t, nothing("without a daemon", "github"), "state", report.OK, "every record opens")
	c.start()
	c.active("bakery")
	all := c.examined(0)
	wantFinding(t, all, "state", report.OK, "the daemon has it open (process ")
	wantFinding(t, all, "state", report.OK, "1 client")
	r := c.must(0, "doctor")
	for _, f := range all { // both say the same
		if !strings.Contains(r.out, "\n"+string(f.Level)+" ") && !strings.HasPrefix(r.out, string(f.Level)+" ") || !strings.Contains(r.out, f.Hint) || !strings.Contains(r.out, f.Text) && f.About != "disk" {
			t.Errorf("%+v is not in\n%s", f, r.out)
		}
	}
	if !strings.HasSuffix(r.out, "\nNothing to mend, 1 warning.\n") {
		t.Errorf("%s", r.out)
	}
}

// Whatever is wrong with an account is told, with what to do, and hides nothing of the others.
func TestDoctorTellsWhatIsWrong(t *testing.T) {
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer locked.Close()
	c := newClinic(t)
	body := func(text string) simulator.Effect {
		return simulator.Refuse(http.StatusUnauthorized, http.Header{"Content-Type": {"application/json"}}, text)
	}
	page := simulator.Refuse(http.StatusOK, http.Header{"Content-Type": {"text/html"}}, "<html>Welcome</html>")
	away := simulator.Refuse(http.StatusServiceUnavailable, http.Header{"Retry-After": {"3600"}}, "")
	limited := simulator.Refuse(http.StatusTooManyRequests, http.Header{"Retry-After": {"900"}}, "")
	for _, x := range []struct {
		name, vendor string
		fault        *simulator.Fault
		env          map[string]string
		says         string
	}{
		{"a revoked token", "cloudflare", nil, map[string]string{"CLOUDFLARE_API_TOKEN": "revoked-1"}, "does not take the token"},
		{"no such zone", "cloudflare", nil, map[string]string{"RECONCILER_PROVIDERS_CLOUDFLARE_ZONE_ID": "0123456789abcdef0123456789abcdef"}, "zones could not be read"},
		{"a quota", "cloudflare", &simulator.Fault{Do: limited}, nil, "takes no more requests until"},
		{"a page", "cloudflare", &simulator.Fault{Do: page}, nil, "does not answer as it should"},
		{"a revoked token", "vercel", nil, map[string]string{"VERCEL_API_TOKEN": "revoked-1"}, "is not accepted"},
		{"another team", "vercel", nil, map[string]string{"RECONCILER_PROVIDERS_VERCEL_TEAM_ID": "team_other"}, "team_other"},
		{"no team's id", "vercel", nil, map[string]string{"RECONCILER_PROVIDERS_VERCEL_TEAM_ID": "The Agency"}, "is no team's id"},
		{"a page", "vercel", &simulator.Fault{Do: page}, nil, "its answer is text/html"},
		{"a quota", "vercel", &simulator.Fault{Do: limited}, nil, "takes no more requests"},
		{"a revoked token", "ploi", nil, map[string]string{"PLOI_API_TOKEN": "revoked-1"}, "Unauthenticated"},
		{"no such server", "ploi", nil, map[string]string{"RECONCILER_PROVIDERS_PLOI_SERVERS": `{web-1: "1", web-9: "9"}`}, "server web-9 (9): the account has none of that id"},
		{"maintenance", "ploi", &simulator.Fault{Do: away}, nil, "does not answer as it should"},
		{"a revoked token", "railway", nil, map[string]string{"RAILWAY_API_KEY": "revoked-1"}, "the token is not accepted"},
		{"another workspace", "railway", nil, map[string]string{"RECONCILER_PROVIDERS_RAILWAY_WORKSPACE": "Elsewhere"}, "does not see the workspace Elsewhere"},
		{"a page", "railway", &simulator.Fault{Do: page}, nil, "its answer is text/html"},
		{"a wrong address", "railway", nil, map[string]string{"RECONCILER_PROVIDERS_RAILWAY_API_URL": c.servers["railway"].URL + "/graphql"}, "there is no API at its address"},
		{"a revoked key", "stripe", nil, map[string]string{"STRIPE_API_KEY": "revoked-1"}, "Stripe"},
		{"another platform", "stripe", nil, map[string]string{"RECONCILER_PROVIDERS_STRIPE_PLATFORM": "acct_0ther"}, "providers.stripe.platform says acct_0ther"},
		{"a revoked key", "resend", nil, map[string]string{"RESEND_API_KEY": "revoked-1"}, "API key is invalid"},
		{"another sender", "resend", nil, map[string]string{"RECONCILER_PROVIDERS_RESEND_FROM": "ops@other.example"}, "other.example is not among"},
		{"a missing permission", "resend", &simulator.Fault{Do: body(resendsim.Refusal(401, "missing_api_key", "Missing API key"))}, nil, "Missing API key"},
		{"unreachable", "ploi", nil, map[string]string{"RECONCILER_PROVIDERS_PLOI_API_URL": "http://127.0.0.1:1"}, "no connection to it came about"},
		{"a revoked token", "github", nil, map[string]string{"RECONCILER_GITHUB_TOKEN": "revoked-1"}, "Bad credentials"},
		{"unreachable", "github", nil, map[string]string{"RECONCILER_GITHUB_API_URL": "http://127.0.0.1:1/"}, "does not answer"},
		{"another branch", "repository", nil, map[string]string{"RECONCILER_REPOSITORY_BRANCH": "trunk"}, "it has no branch trunk"},
		{"no repository", "repository", nil, map[string]string{"RECONCILER_REPOSITORY_URL": c.server.URL + "/nothing.git"}, "there is no such repository"},
		{"refused", "repository", nil, map[string]string{"RECONCILER_REPOSITORY_URL": locked.URL + "/x.git"}, "its host refuses the credentials"},
		{"unreachable", "repository", nil, map[string]string{"RECONCILER_REPOSITORY_URL": "http://127.0.0.1:1/x.git"}, "connection refused"},
		{"a default", "defaults", nil, map[string]string{"RECONCILER_PLATFORM_DEFAULTS_DATABASE": "postgres"}, "platform.defaults.database is postgres, which is not configured"},
		{"a resolver", "dns", nil, map[string]string{"RECONCILER_NETWORK_RESOLVERS": "127.0.0.1:1"}, "127.0.0.1:1 does not answer"},
		{"a mail server", "smtp", nil, map[string]string{"RECONCILER_PROVIDERS_SMTP_HOST": "127.0.0.1", "RECONCILER_PROVIDERS_SMTP_PORT": "1", "RECONCILER_PROVIDERS_SMTP_FROM": "ops@agency.example"}, "no connection came about"},
		{"a folder of secrets", "secrets", nil, map[string]string{"RECONCILER_SECRETS_SOURCES": `[{folder: nowhere}]`}, "can't be read"},
	} {
		t.Run(x.vendor+": "+x.name, func(t *testing.T) {
			was := map[string]string{}
			for k, v := range x.env {
				was[k], c.env[k] = c.env[k], v
			}
			if x.fault != nil {
				x.fault.Times = -1
				c.faults[x.vendor].Add(*x.fault)
			}
			all := c.examined(1)
			for k, v := range was {
				c.env[k] = v
			}
			if x.fault != nil {
				c.faults[x.vendor].Clear()
			}
			wantFinding(t, all, x.vendor, report.Fail, x.says)
			if n := report.Count(all, report.Fail); n != 1 {
				t.Errorf("%d fail\n%s", n, report.Findings(all, report.Options{}))
			}
			for _, f := range all {
				if strings.Contains(f.Text+f.Hint, "revoked-1") {
					t.Errorf("it shows a token: %+v", f)
				}
			}
		})
	}
}

// What is wrong with the configuration is told all at once; none, and wrong usage, end with 2.
func TestDoctorReadsTheConfigurationFirst(t *testing.T) {
	w := newWorld(t, nil)
	w.configure("guard: {removals: some}\nnonsense: 1\n")
	all := examined(t, w, 1)
	wantFinding(t, all, "configuration", report.Fail, "nonsense: no such key")
	wantFinding(t, all, "configuration", report.Fail, `guard.removals is "some"`)
	if len(all) != 2 || all[1].Hint == "" {
		t.Errorf("%+v", all)
	}
	writeAll(t, filepath.Join(w.dir, defaultConfigFile), "{")
	wantFinding(t, examined(t, w, 1), "configuration", report.Fail, "read the configuration")
	if err := os.Remove(filepath.Join(w.dir, defaultConfigFile)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"doctor"}, {"doctor", "--nothing"}, {"doctor", "bakery"}, {"doctor", "-o", "yaml"}, {"doctor", "--data", w.dir}} {
		if r := w.cli(args...); r.code != exitUsage || r.out != "" {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.out)
		}
	}
}

// What is wrong on this machine is told: the key, the state, who holds it, the address.
func TestDoctorLooksAtThisMachine(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.apply()
	key, db := filepath.Join(w.dir, "key"), filepath.Join(w.dir, "state.db")
	text := readAll(t, key)
	fails := func(about, says string) {
		t.Helper()
		wantFinding(t, examined(t, w, 1), about, report.Fail, says)
	}
	chmod := func(mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
	}
	chmod(0o644)
	fails("key", "others may read")
	chmod(0o600)
	writeAll(t, key, strings.Replace(text, "sum ", "sum 0", 1))
	fails("key", "not a usable key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	fails("key", "is gone, and the state can't be read without it")
	if _, err := os.Stat(key); err == nil {
		t.Error("it made a key")
	}
	if _, err := secret.Open(secret.KeySource{File: key}); err != nil { // another one
		t.Fatal(err)
	}
	fails("state", "was sealed with another key")
	writeAll(t, key, text)
	chmod(0o600)

	p, err := w.app(io.Discard, io.Discard).build(t.Context(), loaded(t, w), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantFinding(t, examined(t, w, 0), "state", report.Warn, "it is held by process ")
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", w.listen)
	if err != nil {
		t.Fatal(err)
	}
	fails("listen", "is taken by another program")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}

	// The embedded DNS has an address of its own, over UDP and TCP.
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.env["RECONCILER_PROVIDERS_EMBEDDED_DNS"] = dns.LocalAddr().String()
	fails("providers.embedded.dns", "is taken by another program")
	if r := w.cli("run"); r.code != 1 || !strings.Contains(r.err, "set providers.embedded.dns (for the demo: --dns)") {
		t.Errorf("run: %d %s", r.code, r.err)
	}
	if err := dns.Close(); err != nil {
		t.Fatal(err)
	}
	delete(w.env, "RECONCILER_PROVIDERS_EMBEDDED_DNS")

	data := []byte(readAll(t, db))
	broken := slices.Clone(data)
	for i := 16 << 10; i < len(broken) && i < 96<<10; i += 256 {
		broken[i] ^= 0xff
	}
	writeAll(t, db, string(broken))
	fails("state", "damaged")
	if err := os.Remove(db); err != nil {
		t.Fatal(err)
	}
	fails("state", "is gone")
	writeAll(t, db, string(data))
	wantFinding(t, examined(t, w, 0), "state", report.OK, "every record opens")

	w.configure("state: {path: state.db, keyFile: key}")
	for free, want := range map[uint64]report.Level{10 << 20: report.Fail, 500 << 20: report.Warn, 50 << 30: report.OK} {
		if f := roomIn("/var/lib/reconciler", free); f.Level != want || want != report.OK && f.Hint == "" {
			t.Errorf("%d: %+v", free, f)
		}
	}
	if _, known := roomBelow(filepath.Join(w.dir, "not", "there", "yet")); !known {
		t.Error("nobody knows the room")
	}
	closed := &doctor{app: &app{}, c: Config{}}
	closed.c.Providers.Postgres.Dumps = filepath.Join(key, "dumps")
	wantFinding(t, closed.disk(t.Context()), "disk", report.Fail, key)
	if f := folder("state.path", filepath.Join(key, "below", "a", "file")); f.Level != report.Fail {
		t.Errorf("%+v", f)
	}
}

// What root left among the files of the user that runs the daemon (a restore as root) is told:
// root sees nothing wrong with it, and the daemon can't open it.
func TestDoctorSeesWhatRootLeft(t *testing.T) {
	const path = "/var/lib/reconciler/state.db"
	owners := map[string]int{"/var/lib/reconciler": 991, path: 991, path + ".lock": 991, path + ".marker": 991}
	owner := func(p string) (int, bool) { uid, known := owners[p]; return uid, known }
	if f := rootsFiles(path, owner); len(f) > 0 {
		t.Errorf("all of them the daemon's: %+v", f)
	}
	owners[path], owners[path+".marker"] = 0, 0
	f := rootsFiles(path, owner)
	wantFinding(t, f, "state", report.Fail, "state.db, state.db.marker")
	if len(f) == 1 && f[0].Hint != "chown -R 991 /var/lib/reconciler" {
		t.Errorf("%+v", f)
	}
	owners[path+".lock"] = 0
	if f := rootsFiles(path, owner); len(f) > 0 {
		t.Errorf("all of them root's, as where root runs the daemon: %+v", f)
	}
	owners["/var/lib/reconciler"], owners[path+".lock"] = 0, 991
	if f := rootsFiles(path, owner); len(f) > 0 {
		t.Errorf("in root's own folder: %+v", f)
	}
}

// Whoever may not enter the folder of the state, or reach the socket in it, is told whose command
// that is, and not that a daemon is there which has to be restarted. Other commands say so, too.
func TestDoctorOfAnotherUser(t *testing.T) {
	denied := fmt.Errorf("ask the daemon: %w: state.db.sock", daemon.ErrNotOurs)
	if f := noAnswer("/var/lib/reconciler/state.db", denied); f.Level != report.Fail || f.Hint != "run this as the user that runs the daemon" || strings.Contains(f.Text, "is there") {
		t.Errorf("%+v", f)
	}
	if f := noAnswer("/var/lib/reconciler/state.db", errors.New("the daemon answered: nonsense")); !strings.Contains(f.Hint, "restart the daemon") {
		t.Errorf("%+v", f)
	}
	for _, err := range []error{denied, fmt.Errorf("read key file: %w", &fs.PathError{Op: "open", Path: "key", Err: syscall.EACCES})} {
		if text := notOurs(err).Error(); !strings.Contains(text, "run it as the user that runs the daemon") || !strings.Contains(text, "`reconciler doctor`") || !errors.Is(notOurs(err), err) {
			t.Errorf("%s", text)
		}
	}
	if err := errors.New("anything else"); notOurs(err).Error() != err.Error() || notOurs(nil) != nil {
		t.Error("it says so of anything else")
	}
}

// What a check says becomes a finding of its level, and looks end though one has no end.
func TestDoctorLevels(t *testing.T) {
	found := checking("x", checked{{OK: true, Text: "a"}, {OK: true, Text: "b", Hint: "c"}, {Text: "d", Hint: "e"}})(t.Context())
	want := []report.Finding{{About: "x", Level: report.OK, Text: "a"}, {About: "x", Level: report.Warn, Text: "b", Hint: "c"}, {About: "x", Level: report.Fail, Text: "d", Hint: "e"}}
	if !slices.Equal(found, want) {
		t.Errorf("%+v", found)
	}
	d := &doctor{p: &program{vendors: newVendors(), now: time.Now}}
	if f := d.clock(); f != nil {
		t.Errorf("without an answer: %+v", f)
	}
	d.p.vendors.skew["near"] = time.Second
	if f := d.clock(); len(f) != 1 || f[0].Level != report.OK {
		t.Errorf("%+v", f)
	}
	d.p.vendors.skew["far"] = -3 * time.Minute
	if f := d.clock(); f[0].Level != report.Warn || !strings.Contains(f[0].Text, "3m0s off that of far") {
		t.Errorf("%+v", f)
	}
	d.c.GitHub.App.ID = "1"
	if f := d.clock(); f[0].Level != report.Fail {
		t.Errorf("with an App: %+v", f)
	}
}

// checked is a provider.Checker that found something.
type checked []provider.Finding

func (c checked) Check(context.Context) []provider.Finding { return c }

// loaded is the configuration as commands read it.
func loaded(t testing.TB, w *world) Config {
	t.Helper()
	c, err := loadConfig(filepath.Join(w.dir, defaultConfigFile), func(k string) string { return w.env[k] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}
