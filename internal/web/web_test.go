package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write the golden files")

// known is a Reader with one client.
type known struct {
	overview    reconcile.Overview
	detail      reconcile.Detail
	deployments []state.Deployment
	history     []state.Entry
	err         error
}

func (k *known) Overview() (reconcile.Overview, error)      { return k.overview, k.err }
func (k *known) History(string, int) ([]state.Entry, error) { return k.history, k.err }
func (k *known) Detail(name string) (reconcile.Detail, error) {
	if k.err == nil && name != k.detail.Name {
		return reconcile.Detail{}, fmt.Errorf("%w: %q", reconcile.ErrNoClient, name)
	}
	return k.detail, k.err
}
func (k *known) Deployments(name string, limit int) ([]state.Deployment, error) {
	out := []state.Deployment{}
	for _, d := range k.deployments {
		if len(out) < limit && (name == "" || d.Name == name) {
			out = append(out, d)
		}
	}
	return out, k.err
}
func (k *known) Deployment(id string) (state.Deployment, error) {
	for _, d := range k.deployments {
		if d.ID == id {
			return d, k.err
		}
	}
	return state.Deployment{}, reconcile.ErrNoDeployment
}

func someday(hour int) time.Time { return time.Date(2026, 11, 26, hour, 0, 0, 0, time.UTC) }

// fleet is a Reader in which every field of what it returns says something.
func fleet() *known {
	row := reconcile.Row{ID: "demoshop-1a2b3c", Name: "demoshop", Status: "active", Health: "healthy", URL: "https://demoshop.example", Commit: "7ff877c0aa", Deployment: "d1",
		Because: "a reason", Next: "a hint", Advice: []reconcile.Part{{Words: "a hint: ", Typed: "reconciler retry demoshop"}, {Words: ", or wait"}}, Drift: []string{"record A demoshop.example"}, Domain: "demoshop.example", AdminURL: "https://demoshop.example/admin", Plan: "starter", Template: "ecommerce",
		Providers: []string{"local", "sqlite"}, LastDeployedAt: someday(1), LastHealthCheck: someday(2), LastLook: someday(3), Uptime: 0.5, PullRequest: "12",
		Payments: &reconcile.Payments{Provider: "stripe", Account: "acct_1Shop", Needs: "a bank account", SeenAt: someday(3)},
		Database: &reconcile.Database{Provider: "sqlite", ID: "db-1", Bytes: 7 << 20, SeenAt: someday(3)}}
	never := reconcile.Row{Name: "newshop", Status: "invalid", Health: "unknown", Because: `plan can't be "startre"`, Drift: []string{}, Providers: []string{}}
	ref := state.Ref{Client: "demoshop-1a2b3c", Kind: state.KindDatabase, Name: "main"}
	problem := state.FileProblem{Path: "clients/newshop.yaml", Client: "newshop", Line: 7, Column: 7, Rule: "enum", Text: `plan can't be "startre"`, Hint: "did you mean starter?"}
	hold := state.Hold{Fingerprint: "9f3a", Kind: state.HoldMail, Client: "demoshop-1a2b3c", Steps: []string{"delete record"}, Commit: "7ff877c0aa", Reason: "Mail may stop.", Act: "Approve 9f3a, or revert.", Approvable: true, At: someday(3), Until: someday(4)}
	entry := state.Entry{Seq: 4, At: someday(1), Client: "demoshop-1a2b3c", Name: "demoshop", Commit: "7ff877c0aa", By: "dana", What: "succeeded", Text: "all steps done"}
	pass := state.Deployment{ID: "d1", Client: "demoshop-1a2b3c", Name: "demoshop", Commit: "7ff877c0aa", Cause: "commit", By: "dana", Fingerprint: "ab9b", State: "failed", Started: someday(0), Ended: someday(1),
		Steps: []state.StepRun{{Number: 1, Step: "create database", Action: "create", Ref: ref, Provider: "sqlite", State: "done", Attempt: 1, Started: someday(0), Ended: someday(1), Note: "a note", Error: "an error"}}, Error: "an error", Next: "a hint", Source: "v1.4.2"}
	k := &known{overview: reconcile.Overview{Clients: []reconcile.Row{row, never}, Head: "7ff877c0aa", Problems: []state.FileProblem{problem}, Holds: []state.Hold{hold}, Verdict: "success: 1 succeeded"},
		deployments: []state.Deployment{pass}, history: []state.Entry{entry}}
	k.detail = reconcile.Detail{Row: row, Facts: reconcile.Facts{
		Resources: []state.Resource{{Ref: ref, Provider: "sqlite", Attributes: state.NewAttributes(map[string]state.Value{"engine": state.Lit("sqlite")}), ID: "db-1", Name: "demoshop", Phase: "manual", Message: "a person has to look", Commit: "7ff877c0aa", Generation: 1, UpdatedAt: someday(1),
			Outputs: map[string]state.Value{"url": state.SecretValue(state.SecretRef{Scope: "demoshop-1a2b3c", Name: "output/database/main/url", Version: 1, Fingerprint: "0a1b2c3d4e5f"})}},
			{Ref: ref, Provider: "sqlite", ID: "db-0", RetainedAt: someday(1), PurgeAfter: someday(5)}},
		Holds: []state.Hold{hold}, Intents: []string{"create demoshop-1a2b3c/record/A"}, History: []state.Entry{entry}, Last: &pass,
		Tombstones: []state.Tombstone{{Client: "demoshop-1a2b3c", Name: "demoshop", Part: "record/A", Commit: "7ff877c0aa", At: someday(1), Retain: "30d"}}, RetryAt: someday(6), Problem: &problem, LookFailed: "cloudflare: 503",
		DriftRows: []reconcile.DriftRow{{Client: "demoshop", Ref: "record/A demoshop.example", Provider: "cloudflare", What: "differs", Text: "a text", Next: "a hint", Advice: []reconcile.Part{{Words: "a hint: ", Typed: "reconciler retry demoshop"}}, Field: "content", Before: "192.0.2.1", After: "198.51.100.9", Policy: "report", Since: someday(2), Looks: 2, LastLook: someday(3)}}}}
	return k
}

func handler(t *testing.T, o Options) http.Handler {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	h, err := Handler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// request is one from this machine.
func request(method, path string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, nil)
	r.RemoteAddr = "127.0.0.1:50000"
	return r
}

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	w := do(h, request("GET", path))
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// What a client waits for is said once on its page, also where that is what a hold says.
func TestAHoldIsSaidOnce(t *testing.T) {
	k := fleet()
	for because, want := range map[string]int{k.detail.Because: 1, k.detail.Holds[0].Reason: 0} {
		k.detail.Because = because
		page := get(t, handler(t, Options{Read: k}), "/clients/demoshop")
		if boxes := strings.Count(page, `<span class="status held">held</span> <code>9f3a</code>`); boxes != want || strings.Count(page, k.detail.Holds[0].Reason) != 1 {
			t.Errorf("because %q: %d boxes of the hold, want %d:\n%s", because, boxes, want, page)
		}
	}
}

// A name that a client is to get and has not got is another's: the dashboard's link is called as what
// it leads to. On this machine a site may be a path, which says nothing of its name.
func TestDashboardLinksSayWhereTheyLead(t *testing.T) {
	for address, want := range map[string]string{"https://demoshop.example": ">demoshop.example</a>", "https://old.example": ">old.example</a>",
		"http://old.localhost:8080/": ">old.localhost</a>", "http://127.0.0.1:8080/sites/demoshop/": ">demoshop.example</a>"} {
		k := fleet()
		k.overview.Clients[0].URL = address
		if page := get(t, handler(t, Options{Read: k}), "/"); !strings.Contains(page, `<a href="`+address+`"`+want) {
			t.Errorf("%s: the link is not called %s", address, want)
		}
	}
}

// What is said of the installation stands on the page, above who is well.
func TestDashboardTellsOfTheInstallation(t *testing.T) {
	k := fleet()
	k.overview.Notices = []string{"the state is an older copy <b>"}
	page := get(t, handler(t, Options{Read: k}), "/")
	says, rows := strings.Index(page, "the state is an older copy &lt;b&gt;"), strings.Index(page, "<table>")
	if says < 0 || says > rows {
		t.Errorf("it says so at %d, and the clients are at %d", says, rows)
	}
}

// The names in these answers are what scripts rely on.
func TestShapesOfTheAPI(t *testing.T) {
	h := handler(t, Options{Read: fleet()})
	for file, path := range map[string]string{"clients.json": "/api/clients", "client.json": "/api/clients/demoshop", "deployments.json": "/api/deployments?client=demoshop&limit=1", "deployment.json": "/api/deployments/d1"} {
		w := do(h, request("GET", path))
		if ct := w.Header().Get("Content-Type"); w.Code != http.StatusOK || ct != "application/json" {
			t.Errorf("GET %s: %d, %s", path, w.Code, ct)
		}
		var got bytes.Buffer
		if err := json.Indent(&got, w.Body.Bytes(), "", "  "); err != nil {
			t.Fatalf("GET %s: %v", path, err)
		}
		name := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(name, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("GET %s is not as in %s (-update, if that is meant):\n%s", path, name, got.Bytes())
		}
	}
}

func TestOnlyThisMachineIsAnswered(t *testing.T) {
	h := handler(t, Options{Read: fleet(), PublicURL: "https://Reconciler.your-agency.example/", Ready: func() error { return errors.New("the repository is away") }})
	for _, x := range []struct {
		from, host string
		want       int
	}{
		{"127.0.0.1:1", "127.0.0.1:8080", 200},
		{"127.9.0.1:1", "localhost:8080", 200},
		{"[::1]:1", "[::1]:8080", 200},
		{"[::1]:1", "[::1]", 200},
		{"[::ffff:127.0.0.1]:1", "LOCALHOST.", 200},
		{"127.0.0.1:1", "reconciler.your-agency.example", 200}, // a proxy on this machine
		{"127.0.0.1:1", "reconciler.your-agency.example:443", 200},
		// Names that somebody points at this machine.
		{"127.0.0.1:1", "evil.example:8080", 421},
		{"127.0.0.1:1", "localhost.evil.example", 421},
		{"127.0.0.1:1", "127.0.0.1.evil.example", 421},
		{"127.0.0.1:1", "demoshop.localhost", 421},
		{"127.0.0.1:1", "192.0.2.1:8080", 421},
		{"127.0.0.1:1", "", 421},
		// Other machines, whatever they say.
		{"192.0.2.7:1", "127.0.0.1:8080", 403},
		{"10.0.0.7:1", "reconciler.your-agency.example", 403},
		{"[2001:db8::1]:1", "localhost", 403},
		{"@", "localhost", 403},
		{"", "localhost", 403},
	} {
		for _, path := range []string{"/", "/clients/demoshop", "/api/clients", "/api/clients/demoshop", "/api/deployments", "/api/deployments/d1", "/mail/", "/style.css", "/nothing", "/api/nothing"} {
			r := request("GET", path)
			r.RemoteAddr, r.Host = x.from, x.host
			r.Header.Set("X-Forwarded-For", "127.0.0.1")
			w := do(h, r)
			want := x.want
			if want == 200 && (path == "/mail/" || strings.HasSuffix(path, "nothing")) {
				want = 404
			}
			if w.Code != want {
				t.Errorf("%s from %q for %q: %d, want %d", path, x.from, x.host, w.Code, want)
			}
			if want != 200 && strings.Contains(w.Body.String(), "demoshop") {
				t.Errorf("%s from %q for %q tells: %s", path, x.from, x.host, w.Body)
			}
		}
		// Probes are for everybody; why is for this machine.
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 503} {
			r := request("GET", path)
			r.RemoteAddr, r.Host = x.from, x.host
			w := do(h, r)
			if w.Code != want || strings.Contains(w.Body.String(), "away") != (path == "/readyz" && x.want == 200) {
				t.Errorf("%s from %q for %q: %d %s", path, x.from, x.host, w.Code, w.Body)
			}
		}
	}
}

func TestNoPublicURLIsNobodysName(t *testing.T) {
	for _, public := range []string{"", "not an address", "http://", "://"} {
		for _, host := range []string{"", "evil.example", ":8080"} {
			if IsPublic(public, host) {
				t.Errorf("%q is the host of publicURL %q", host, public)
			}
		}
	}
}

func TestReady(t *testing.T) {
	if got := get(t, handler(t, Options{Read: fleet(), Ready: func() error { return nil }}), "/readyz"); got != "ok\n" {
		t.Errorf("readyz: %q", got)
	}
}

// Every answer, good or bad, bears these.
func TestHeaders(t *testing.T) {
	h := handler(t, Options{Read: fleet()})
	for _, path := range []string{"/", "/clients/demoshop", "/clients/nobody", "/api/clients", "/api/clients/nobody", "/healthz", "/style.css", "/nothing", "/api/nothing"} {
		for _, host := range []string{"127.0.0.1", "evil.example"} {
			r := request("GET", path)
			r.Host = host
			got := do(h, r).Header()
			csp := got.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
				if !strings.Contains(csp, want) {
					t.Errorf("%s: the policy lacks %s: %s", path, want, csp)
				}
			}
			if strings.Contains(csp, "script") || strings.Contains(csp, "unsafe") {
				t.Errorf("%s: the policy lets scripts run: %s", path, csp)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": ""} {
				if got.Get(name) != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got.Get(name), want)
				}
			}
		}
	}
}

func TestOnlyReading(t *testing.T) {
	h := handler(t, Options{Read: fleet()})
	for _, path := range []string{"/", "/clients/demoshop", "/api/clients", "/api/clients/demoshop", "/api/deployments/d1", "/healthz", "/nothing"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			w := do(h, request(method, path))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %d %v", method, path, w.Code, w.Header())
			}
		}
	}
	server := httptest.NewServer(h)
	defer server.Close()
	for path, want := range map[string]int{"/": 200, "/api/clients": 200, "/api/clients/nobody": 404, "/healthz": 200} {
		r, err := server.Client().Head(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if r.StatusCode != want || len(body) > 0 || r.Header.Get("Content-Type") == "" {
			t.Errorf("HEAD %s: %d, %d bytes, %v", path, r.StatusCode, len(body), r.Header)
		}
	}
}

// What is wrong is said as a problem in the API, and as a page where people look; errors
// of ours stay in the log.
func TestProblems(t *testing.T) {
	long := strings.Repeat("a", maxName+1)
	var log strings.Builder
	good := handler(t, Options{Read: fleet()})
	bad := handler(t, Options{Read: &known{err: errors.New("disk: hunter2")}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, x := range []struct {
		h    http.Handler
		path string
		want int
		says string
	}{
		{good, "/api/clients/nobody", 404, "no such client"},
		{good, "/api/deployments/nothing", 404, "no such deployment"},
		{good, "/api/nothing", 404, "nothing at this address"},
		{good, "/api/deployments?limit=0", 400, "from 1 to 1000"},
		{good, "/api/deployments?limit=1001", 400, "from 1 to 1000"},
		{good, "/api/deployments?limit=x", 400, "from 1 to 1000"},
		{good, "/api/deployments?client=" + long, 400, "characters"},
		{good, "/api/clients/" + long, 400, "characters"},
		{good, "/api/deployments/" + long, 400, "characters"},
		{bad, "/api/clients", 500, "the log says why"},
		{bad, "/api/deployments", 500, "the log says why"},
		{good, "/clients/nobody", 404, "no such client"},
		{good, "/clients/" + long, 400, "characters"},
		{good, "/?status=nonsense", 404, "nothing at this address"},
		{good, "/nothing", 404, "nothing at this address"},
		{good, "/mail/", 404, "nothing at this address"},
		{bad, "/", 500, "the log says why"},
		{bad, "/clients/demoshop", 500, "the log says why"},
	} {
		w := do(x.h, request("GET", x.path))
		if w.Code != x.want || !strings.Contains(w.Body.String(), x.says) || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("GET %.40s: %d %s", x.path, w.Code, w.Body)
		}
		want := "text/html; charset=utf-8"
		if strings.HasPrefix(x.path, "/api/") {
			want = "application/problem+json"
			var p struct {
				Title  string `json:"title"`
				Status int    `json:"status"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != x.want || p.Title == "" {
				t.Errorf("GET %.40s: %s", x.path, w.Body)
			}
		}
		if got := w.Header().Get("Content-Type"); got != want {
			t.Errorf("GET %.40s: %s", x.path, got)
		}
	}
	if !strings.Contains(log.String(), "hunter2") {
		t.Error("the log doesn't say what is wrong")
	}
}

// A page of a large fleet is bounded, and says what it leaves out.
func TestDashboardOfALargeFleet(t *testing.T) {
	k := fleet()
	for i := range 2 * maxRows {
		k.overview.Clients = append(k.overview.Clients, reconcile.Row{Name: fmt.Sprintf("shop-%04d", i), Status: "active"})
	}
	h := handler(t, Options{Read: k})
	all := get(t, h, "/")
	for _, want := range []string{"1002 clients", "502 more are not shown", `href="/?status=active">1001 active</a>`, `href="/?status=invalid">1 invalid</a>`} {
		if !strings.Contains(all, want) {
			t.Errorf("the dashboard doesn't say %q", want)
		}
	}
	if n := strings.Count(all, "shop-0") / 2; n > maxRows {
		t.Errorf("%d rows", n)
	}
	sick := get(t, h, "/?status=invalid")
	if !strings.Contains(sick, "newshop") || strings.Contains(sick, "shop-0001") {
		t.Errorf("only the invalid ones: %s", sick)
	}
}

func TestMailIsBounded(t *testing.T) {
	all := make([]Message, maxMail+5)
	for i := range all {
		all[i] = Message{Subject: fmt.Sprintf("message %d.", i), Text: strings.Repeat("line\n", 10*maxLines)}
	}
	page := get(t, handler(t, Options{Read: fleet(), Mail: func() ([]Message, error) { return all, nil }}), "/mail/")
	if !strings.Contains(page, fmt.Sprint(len(all), " messages")) || !strings.Contains(page, "Older ones are not shown") || strings.Contains(page, fmt.Sprintf("message %d.", maxMail)) {
		t.Error("older messages are shown, or nothing says that they aren't")
	}
	if n := strings.Count(page, "line\n"); n > maxMail*maxLines {
		t.Errorf("%d lines", n)
	}
}
