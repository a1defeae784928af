package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/provider/payload"
	"github.com/compassdigital/reconciler/internal/provider/payload/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// publisher is an installation whose clients' sites are Payload's, at a host that keeps no users,
// with databases that keep none either.
type publisher struct {
	*world
	memory *memory.World
	faults *simulator.Faults

	mu   sync.Mutex
	site *httptest.Server // that answers at every address of a release
	sent []string
	app2 *program // of the last pass
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	keeper := manifestOf("keeper", "deployment: {provider: none}", "database: {provider: none}", "dns: {provider: none}", "env: {DATABASE_URL: {none: true}}")
	w := &publisher{world: newWorld(t, map[string]string{"clients/keeper.yaml": keeper}), faults: &simulator.Faults{}}
	w.memory = memory.NewWorld(w.now)
	return w
}

// serve puts a site there, with nobody in it.
func (w *publisher) serve(seed string) *simulated.Payload {
	w.t.Helper()
	site, err := simulated.New(simulated.Options{Now: w.now, Faults: w.faults, Seed: seed, Mail: func(_, token string) { w.plant("the mail's token", token) }})
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewServer(underContract(w.t, "payload", site))
	w.t.Cleanup(server.Close)
	w.mu.Lock()
	w.site = server
	w.mu.Unlock()
	return site
}

// RoundTrip leads a release's address to the site that answers there, as DNS would.
func (w *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	server := w.site
	w.sent = append(w.sent, r.Method+" "+r.URL.Path)
	if host := r.URL.Hostname(); !strings.HasSuffix(host, ".local.example") {
		w.t.Errorf("asked at %s", host)
	}
	w.mu.Unlock()
	to := r.Clone(r.Context())
	to.URL.Scheme, to.URL.Host = "http", strings.TrimPrefix(server.URL, "http://")
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(to)
}

func (w *publisher) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := append([]string{}, w.sent...)
	w.sent = nil
	return out
}

func (w *publisher) open(context.Context, Config) ([]provider.Provider, error) {
	open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
		return memory.New(memory.Options{Name: name, World: w.memory, Kinds: kinds})
	}
	databases := memory.Databases()
	delete(databases, state.KindAdmin)
	q, err := payload.New(payload.Options{HTTP: &http.Client{Transport: w}, Now: w.now,
		Where: func(ctx context.Context, site string) (string, error) { return w.app2.whereSite(ctx, site) }})
	return []provider.Provider{open("sqlite", databases), open("local", memory.Hosting()), open("local", memory.DNS()), open("mailbox", memory.Mail()), q}, err
}

func (w *publisher) pass() (int, string) {
	w.t.Helper()
	var out, errOut bytes.Buffer
	a := w.app(&out, &errOut)
	a.providers = w.open
	a.wired = func(p *program) {
		w.app2, p.engine.Mail = p, "mailbox"
		p.engine.Check = func(context.Context, string, manifest.Health) error { return nil }
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	code := a.run(ctx, []string{"apply", "--config", filepath.Join(w.dir, defaultConfigFile)})
	w.hear("stdout of apply", out.String())
	w.hear("stderr of apply", errOut.String())
	return code, out.String() + errOut.String()
}

func (w *publisher) passes(what string) {
	w.t.Helper()
	if code, out := w.pass(); code != 0 {
		w.t.Fatalf("%s: exit code %d\n%s", what, code, out)
	}
}

// The whole way of a first user at a Payload site: made once though every answer is lost, with a
// password that nobody sees and a mail to choose another; let alone by releases and by another
// contact; there again when the client returns. A site that has a user already keeps it.
func TestFirstUserOfAPayloadSite(t *testing.T) {
	w := newPublisher(t)
	site := w.serve("demoshop")
	shop := func(more ...string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", more...)}
	}
	for _, path := range []string{"/api/users/first-register", "/api/users/login"} {
		w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: path, Do: simulator.LoseAnswer()})
	}
	w.commit(shop())
	w.passes("the first pass")
	if got := w.took(); count(got, "POST /api/users/first-register") != 1 {
		t.Errorf("asked %v", got)
	}
	users := site.Users()
	if len(users) != 1 || users[0].Email != "dana@demoshop.example" || users[0].Attempts != 0 {
		t.Fatalf("users: %+v", users)
	}
	admin := w.resources("demoshop", state.KindAdmin)
	if len(admin) != 1 || admin[0].Provider != payload.Name || !strings.Contains(admin[0].ID, users[0].ID) {
		t.Fatalf("on record: %+v", admin)
	}
	if mails := w.memory.Objects("mailbox"); !slices.ContainsFunc(mails, func(o provider.Object) bool {
		return o.Kind == state.KindMail && slices.ContainsFunc(o.Attributes, func(a provider.Observed) bool {
			return strings.Contains(a.Text, "Choose your password at ") && strings.Contains(a.Text, "/admin/forgot.")
		})
	}) {
		t.Errorf("nobody is told how to come by a password: %+v", mails)
	}
	w.passes("nothing changed")
	w.commit(shop("env: {STORE_CURRENCY: CHF}"))
	w.passes("a new release")
	w.commit(map[string]string{"clients/demoshop.yaml": strings.Replace(manifestOf("demoshop", "env: {STORE_CURRENCY: CHF}"), "dana@", "kim@", 1)})
	w.passes("another contact")
	if got := w.took(); len(got) > 0 {
		t.Errorf("without a reason: %v", got)
	}
	gone := w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.passes("the client goes")
	if got := w.took(); count(got, "POST ") > 0 || len(site.Users()) != 1 {
		t.Errorf("going cost %v", got)
	}
	w.revert(gone)
	w.passes("it returns")
	if got := w.took(); count(got, "POST ") != 0 || len(site.Users()) != 1 {
		t.Errorf("returning cost %v", got)
	}
	if again := w.resources("demoshop", state.KindAdmin); len(again) != 1 || again[0].Retained() || again[0].ID != admin[0].ID {
		t.Errorf("on record: %+v", again)
	}

	// The address of another client's release leads to a site that somebody was at first.
	site = w.serve("bakery")
	if err := site.Add("eve@elsewhere.example", "a stranger's own password", false); err != nil {
		t.Fatal(err)
	}
	before := site.Users()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	if code, out := w.pass(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	w.clock.add(2 * time.Minute) // an earlier call of ours may come to its end so late
	code, out := w.pass()
	d := w.why("bakery")
	if code != 3 || d.Status != string(state.StatusHeld) || !strings.Contains(d.Because, "somebody else was first to register at ") {
		t.Errorf("exit code %d, %s: %s\n%s", code, d.Status, d.Because, out)
	}
	after := site.Users()
	for i := range after {
		after[i].Attempts, after[i].LockUntil = before[i].Attempts, before[i].LockUntil
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("the stranger is another one: %s", d)
	}
	if got := w.took(); count(got, "POST /api/users/first-register") != 0 {
		t.Errorf("asked %v", got)
	}

	// A stranger who has the address that the manifest names: wrong passwords lock a user, so
	// ours is tried once by a process, whoever asks again.
	site = w.serve("pastry")
	if err := site.Add("dana@pastry.example", "a stranger's own password", false); err != nil {
		t.Fatal(err)
	}
	w.commit(map[string]string{"clients/pastry.yaml": manifestOf("pastry")})
	for range 3 {
		code, out = w.pass()
		w.clock.add(2 * time.Minute)
	}
	d = w.why("pastry")
	if code != 3 || d.Status != string(state.StatusHeld) || !strings.Contains(d.Because, "somebody else was first to register at ") {
		t.Errorf("exit code %d, %s: %s\n%s", code, d.Status, d.Because, out)
	}
	if u := site.Users()[0]; u.Attempts > 3 || !u.LockUntil.IsZero() { // once in each process
		t.Errorf("%d wrong passwords, locked until %s", u.Attempts, u.LockUntil)
	}
}

func count(calls []string, prefix string) (n int) {
	for _, c := range calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// Threat 11: what a manifest or a vendor gives as a site's address never leads into a private
// network: the connection is refused before anything is sent, for good.
func TestThreat11NoPrivateSiteIsAsked(t *testing.T) {
	asked := 0
	private := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer private.Close()
	w := newWorld(t, nil)
	config, err := loadConfig(filepath.Join(w.dir, defaultConfigFile), func(k string) string { return w.env[k] })
	if err != nil {
		t.Fatal(err)
	}
	p := &program{vendors: newVendors(), now: w.now}
	p.address.Store(w.listen)
	q, err := p.openPayload(config)
	if err != nil {
		t.Fatal(err)
	}
	secret := state.NewSecret("a password of some length")
	for _, at := range []string{private.URL, strings.Replace(private.URL, "127.0.0.1", "localhost", 1), "http://169.254.169.254", "http://[::1]:1", "https://10.0.0.1"} {
		wish := provider.Wish{Ref: state.Ref{Kind: state.KindAdmin, Name: "main"}, Name: "demoshop-1a2b3c", Inputs: []provider.Input{
			{Name: "email", Text: "dana@demoshop.example"}, {Name: "password", Secret: &secret}, {Name: "url", Text: at}}}
		for what, err := range map[string]error{
			"create": func() error { _, err := q.Create(t.Context(), wish); return err }(),
			"look": func() error {
				_, err := q.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Name: wish.Name, Wish: &wish})
				return err
			}(),
		} {
			if provider.KindOf(err) != provider.Invalid || !strings.Contains(err.Error(), "not an address of the public internet") {
				t.Errorf("%s at %s: %v", what, at, err)
			}
		}
	}
	if asked > 0 {
		t.Errorf("%d requests came through", asked)
	}
}
