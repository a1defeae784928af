package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// simulatedDemo is a demo with simulated vendors in this process, with waits that are
// shortened.
type simulatedDemo struct {
	*world
	data  string
	p     *program
	out   *buffer
	stop  context.CancelFunc
	ended chan error
}

// startSimulated starts one, and returns when its clients have come up.
func startSimulated(t *testing.T, data string, clock *quickClock, faults ...string) *simulatedDemo {
	t.Helper()
	d := &simulatedDemo{world: &world{t: t, dir: data, clock: clock, env: map[string]string{}}, data: data, out: &buffer{}, ended: make(chan error, 1)}
	d.now = d.clock.Now
	o := demoOptions{dir: data, listen: "127.0.0.1:0", dns: "127.0.0.1:0", keep: true, faults: faults}
	if !exists(data) { // else it goes on as it was begun
		o.providers = "simulated"
	}
	if err := o.choose(data); err != nil || !o.simulated() {
		t.Fatal(err, o.providers)
	}
	up := make(chan *program, 1)
	a := &app{in: strings.NewReader(""), out: d.out, err: d.out, now: d.now, sleep: d.clock.Sleep, quick: true, env: func(string) string { return "" }, ready: func(p *program) { up <- p },
		over: func(vendor string, api http.Handler) http.Handler { return underContract(t, vendor, api) }}
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	t.Cleanup(d.end)
	go func() { d.ended <- a.demo(ctx, o) }()
	select {
	case d.p = <-up:
	case err := <-d.ended:
		t.Fatalf("it ended: %v\n%s", err, d.out.String())
	}
	return d
}

func (d *simulatedDemo) end() {
	if d.p != nil {
		d.lookAroundOf(d.p)
		d.plantConfig()
	}
	d.stop()
	if d.p == nil {
		return
	}
	for _, m := range d.p.sims.resend.Sent() {
		d.hear("mail", m.Subject+m.Text+m.HTML)
	}
	if err := <-d.ended; err != nil && !errors.Is(err, context.Canceled) {
		d.t.Error(err)
	}
	d.p = nil
	d.hear("screen", d.out.String())
	d.wantNoLeak()
}

// has is what every vendor keeps, without what only counts up.
func (d *simulatedDemo) has() string {
	s := d.p.sims
	var out []string
	for _, x := range s.ploi.Sites() {
		out = append(out, fmt.Sprintf("ploi %d %s", x.ID, x.Domain))
	}
	for _, x := range s.vercel.Names() {
		out = append(out, "vercel "+x)
	}
	for _, x := range s.railway.Projects() {
		out = append(out, fmt.Sprintf("railway %s %t", x.Name, x.Deleted))
	}
	for i := range s.zones {
		for _, x := range s.cloudflare.Records(fmt.Sprintf("%032x", i+1)) {
			out = append(out, fmt.Sprintf("cloudflare %s %s %s %s", x.ID, x.Type, x.Name, x.Content))
		}
	}
	for _, x := range s.resend.Sent() {
		out = append(out, "resend "+x.Subject)
	}
	for _, x := range s.stripe.Accounts() {
		out = append(out, fmt.Sprintf("stripe %s %s %t %v", x.ID, x.Label, x.Enabled, x.Due))
	}
	for _, x := range s.payload.users() {
		out = append(out, fmt.Sprintf("payload %s %s mailed %t", x.ID, x.Email, !x.MailedAt.IsZero()))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// counts is how many lines of has begin with a word.
func (d *simulatedDemo) counts() map[string]int {
	out := map[string]int{}
	for _, line := range strings.Split(d.has(), "\n") {
		vendor, _, _ := strings.Cut(line, " ")
		out[vendor]++
	}
	return out
}

func (d *simulatedDemo) statuses() map[string]string {
	d.t.Helper()
	v, err := d.p.engine.Overview()
	if err != nil {
		d.t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range v.Clients {
		out[r.Name] = r.Status
	}
	return out
}

// page asks for a page of the demo, as somebody who asks for a host.
func (d *simulatedDemo) page(host, path string) (int, string) {
	d.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+d.p.listensAt()+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if r.Host = host; host == "" {
		r.Host = d.p.listensAt()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Location") + string(body)
}

// click posts one of a page's buttons, as a browser does that shows it, and returns where that leads.
func (d *simulatedDemo) click(at, form string) string {
	d.t.Helper()
	r := mustRequest(d.t, http.MethodPost, at, form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		d.t.Fatal(err)
	}
	return res.Header.Get("Location")
}

// finishPayments is what the owner of a client's account does: on the way from the client's page
// to Stripe he tells a part, comes back, and later the rest. What Stripe says of it, signed, is on
// the page then.
func (d *simulatedDemo) finishPayments(name string) {
	d.t.Helper()
	base, page := "http://"+d.p.listensAt(), "/clients/"+name
	shows := func(what, words string) {
		d.t.Helper()
		d.until(what, func() bool { _, body := d.page("", page); return strings.Contains(body, words) })
	}
	shows("what is due is shown", "business type, a bank account, the acceptance of Stripe&#39;s terms")
	for _, x := range []struct{ due, form, then string }{
		{"business_type", "part=1", "finish at Stripe: a bank account; "},
		{"external_account", "", "they work"},
	} {
		status, to := d.page("", page+"/payments")
		if status != http.StatusSeeOther || !strings.HasPrefix(to, base+"/simulated/stripe/setup/") {
			d.t.Fatalf("the way to Stripe: %d %s", status, to)
		}
		if _, asks := d.page("", strings.TrimPrefix(to, base)); !strings.Contains(asks, x.due) || strings.Contains(asks, "business_type") != (x.form != "") {
			d.t.Errorf("Stripe's page says %s", asks)
		}
		if back := d.click(to, x.form); back != base+page {
			d.t.Errorf("Stripe leads back to %q", back)
		}
		shows("it is shown that Stripe was told", x.then)
	}
}

// noWayOut makes every look-up of a name by the system's resolver a failure that is kept.
func noWayOut(t *testing.T) func() []string {
	var mu sync.Mutex
	var asked []string
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(_ context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, network+" "+address)
		return nil, errElsewhere
	}}
	t.Cleanup(func() { net.DefaultResolver = was })
	return func() []string { mu.Lock(); defer mu.Unlock(); return asked }
}

// The demo's clients are at simulated vendors: one object each, though answers are lost; a
// push changes, a revert takes back; started again it goes on with the same objects. No name
// is asked for, and no connection leaves the machine.
func TestDemoOnSimulatedVendors(t *testing.T) {
	asked := noWayOut(t)
	data := filepath.Join(t.TempDir(), "demo")
	clock := &quickClock{}
	d := startSimulated(t, data, clock, "railway:lose-answer", "ploi:503:2", "cloudflare:lose-answer:2", "vercel:html:2", "resend:lose-answer", "stripe:lose-answer:2", "payload:lose-answer:2")
	for name, status := range d.statuses() {
		if want := map[bool]string{true: "paused", false: "active"}[name == "wintermarket"]; status != want {
			t.Errorf("%s is %s\n%s", name, status, d.out.String())
		}
	}
	want := map[string]int{"ploi": 4, "vercel": 3, "railway": 7, "cloudflare": 14, "resend": 7, "stripe": 1, "payload": 7}
	if got := d.counts(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("there are %v, want %v\n%s", got, want, d.has())
	}
	for name, f := range d.p.sims.faults {
		if len(f.Happened()) == 0 {
			t.Errorf("nothing went wrong at %s", name)
		}
	}
	for host, says := range map[string]string{"demoshop.localhost": "reconciler: built demoshop", "fieldnotes.localhost": "deployment dpl_", "atelier-noord.example": "deployment dpl_", "wintermarket.localhost": "has no address"} {
		if code, body := d.page(host, "/"); (code == http.StatusOK) == (host == "wintermarket.localhost") || !strings.Contains(body, says) {
			t.Errorf("%s answers %d %s", host, code, body)
		}
	}
	for path, says := range map[string]string{"/sites/demoshop/": "reconciler: built", "/sites/atelier-noord/": "deployment dpl_", "/sites/atelier-noord.example/": "deployment dpl_",
		"/sites/nbe/": "http://northbridge.localhost:", "/sites/nobody/": "has no address", "/mail/": "14 messages", "/sites/demoshop/admin": "Its first user is dana@demoshop.example", "/sites/wintermarket/admin": "has no address", "/simulated/": "14 records", "/pulls/": `href="/simulated/"`, "/": "fieldnotes"} {
		if _, body := d.page("", path); !strings.Contains(body, says) {
			t.Errorf("%s says %s", path, body)
		}
	}
	said := d.out.String()
	for _, words := range []string{"nothing leaves the machine", "/simulated/ploi\n", "behind Railway's databases there is no server", "A vendor fails, as --fault asked for: ploi:503:2", "/sites/atelier-noord.example/"} {
		if !strings.Contains(said, words) {
			t.Errorf("the screen does not say %q:\n%s", words, said)
		}
	}
	all := examined(t, d.world, 0)
	wantFinding(t, all, "cloudflare", report.OK, "the zone localhost is active")
	wantFinding(t, all, "stripe", report.OK, "")
	d.finishPayments("timmerhout")

	work := filepath.Join(t.TempDir(), "clients")
	d.git2(".", "clone", "-q", "http://"+d.p.listensAt()+"/git/clients.git", work)
	change := func(file, from, to, message string) {
		t.Helper()
		text := strings.ReplaceAll(readAll(t, filepath.Join(work, "clients", file)), from, to)
		writeAll(t, filepath.Join(work, "clients", strings.ReplaceAll(file, from, to)), text)
		d.git2(work, "add", "-A")
		d.git2(work, "commit", "-q", "-m", message)
		d.git2(work, "push", "-q")
	}
	change("demoshop.yaml", "demoshop", "secondshop", "Add secondshop")
	d.until("the second shop is active", func() bool { return d.statuses()["secondshop"] == "active" })
	if _, body := d.page("secondshop.localhost", "/"); !strings.Contains(body, "reconciler: built secondshop") {
		t.Errorf("it answers %s", body)
	}
	d.git2(work, "revert", "--no-edit", "HEAD")
	d.git2(work, "push", "-q")
	d.until("it is gone, but for its database", func() bool { return d.statuses()["secondshop"] == "retained" })
	want["railway"], want["resend"], want["payload"] = 8, 8, 8 // who is in a database stays with it
	if got := d.counts(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("there are %v, want %v\n%s", got, want, d.has())
	}
	before := d.has()
	d.end()

	again := startSimulated(t, data, clock)
	if got := again.has(); got != before || again.statuses()["demoshop"] != "active" {
		t.Errorf("started again there is\n%s\nand was\n%s", got, before)
	}
	again.end()
	if got := asked(); len(got) > 0 {
		t.Errorf("names were asked for: %v", got)
	}
}

// A vendor's client in the demo connects to this machine only, whatever address it has.
func TestDemoConnectsToThisMachineOnly(t *testing.T) {
	p := &program{vendors: newVendors(), now: (&quickClock{}).Now, sims: &simulations{}, log: slog.New(slog.DiscardHandler)}
	for _, address := range []string{"http://203.0.113.10/", "https://ploi.example/", "http://[2001:db8::1]/"} {
		client, err := p.vendorHTTP(address, limit{})
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Post(address, "", nil) // a read is tried again
		if err == nil {
			_ = res.Body.Close() // it says enough
		}
		if !errors.Is(err, errElsewhere) {
			t.Errorf("%s: %v", address, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if to := netip.MustParseAddrPort(l.Addr().String()); !to.Addr().IsLoopback() {
		t.Fatal(to)
	}
	c, err := onlyHere((&net.Dialer{}).DialContext)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), p.close()); err != nil {
		t.Error(err)
	}
}

// Killed while its clients come up, it goes on with the same objects: one each.
func TestP8DemoOnSimulatedVendorsIsKilled(t *testing.T) {
	temp := t.TempDir()
	data := filepath.Join(temp, "demo")
	quick := func(ahead string) *demo {
		d := newDemo(t, temp)
		d.env = []string{"RECONCILER_TEST_MAIN=quick", aheadOf + "=" + ahead}
		return d
	}
	first, again := quick("0s"), quick("1h")
	first.begin("--providers", "simulated", "--data", data, "--listen", "127.0.0.1:0")
	first.until("the first one is up", func() bool { return strings.Contains(first.out.String(), "✓ fieldnotes") })
	first.data = data
	first.end(syscall.SIGKILL)
	again.up("--data", data)
	for name, status := range again.status() {
		if status != "active" && name != "wintermarket" {
			t.Errorf("%s is %s", name, status)
		}
	}
	_, body := again.get(again.base + "/simulated/")
	for _, words := range []string{"<td>4 sites", "<td>3 projects", "<td>7 projects", "<td>14 records", "<td>7 mails", "<td>1 account", "<td>7 first users"} {
		if !strings.Contains(body, words) {
			t.Errorf("without %q: %s", words, body)
		}
	}
	if code := again.end(syscall.SIGTERM); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, again.out.String())
	}
}

// What is no fault, and folders of the other kind, are refused as wrong usage; a fault ends
// when it said that it would.
func TestDemoFaults(t *testing.T) {
	clock := &quickClock{}
	s := &simulations{faults: map[string]*simulator.Faults{"ploi": {}}, now: clock.Now, listens: func() string { return "127.0.0.1:8080" }}
	for _, word := range []string{"", "ploi", "nobody:503", "ploi:200", "ploi:600", "ploi:odd", "ploi:503:0", "ploi:503:-1s", "ploi:503:99h", "ploi:503:1:2", "ploi:503:many", "ploi:503:1001"} {
		var ue usageError
		if err := s.fault(word); !errors.As(err, &ue) {
			t.Errorf("%q: %v", word, err)
		}
	}
	vendor := s.faults["ploi"].Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	ask := func() int {
		w := httptest.NewRecorder()
		vendor.ServeHTTP(w, mustRequest(t, http.MethodGet, "/", ""))
		return w.Code
	}
	for _, x := range []struct {
		word  string
		codes []int
	}{{"ploi:503", []int{503, 204}}, {" ploi:429:2\n", []int{429, 429, 204}}, {"ploi:html", []int{502, 204}}} {
		if err := s.fault(x.word); err != nil {
			t.Fatal(err)
		}
		for i, code := range x.codes {
			if got := ask(); got != code {
				t.Errorf("%s, %d: %d, want %d", x.word, i, got, code)
			}
		}
	}
	if err := s.fault("ploi:500:1m"); err != nil || ask() != 500 || ask() != 500 {
		t.Errorf("for a minute: %v", err)
	}
	clock.add(61e9)
	if got := ask(); got != 204 {
		t.Errorf("after it: %d", got)
	}
	// A form of another site's page is refused; curl and our own page are not.
	for origin, code := range map[string]int{"https://elsewhere.example": http.StatusForbidden, "": http.StatusOK, "http://127.0.0.1:8080": http.StatusSeeOther} {
		body := "ploi:503"
		if code == http.StatusSeeOther {
			body = "fault=" + url.QueryEscape(body)
		}
		r := mustRequest(t, http.MethodPost, "http://127.0.0.1:8080/simulated/faults", body)
		r.RemoteAddr = "127.0.0.1:40000"
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		if w.Code != code {
			t.Errorf("from %q: %d, want %d: %s", origin, w.Code, code, w.Body.String())
		}
	}
	r := mustRequest(t, http.MethodGet, "http://127.0.0.1:8080/simulated/", "")
	r.RemoteAddr = "192.0.2.1:40000"
	w := httptest.NewRecorder()
	if s.handler().ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("another machine: %d", w.Code)
	}

	dir := t.TempDir()
	for _, args := range [][]string{{"--providers", "odd"}, {"--fault", "ploi:503"}, {"--providers", "simulated", "--fault", "ploi"}, {"--providers", "simulated", "--fail", "nothing"}} {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out, now: clock.Now, env: func(string) string { return "" }}
		if code := a.run(t.Context(), append([]string{"demo", "--listen", "127.0.0.1:0", "--dns", "127.0.0.1:0"}, args...)); code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, code, out.String())
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, demoGit, demoRepository+".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeAll(t, filepath.Join(dir, defaultConfigFile), "")
	o := demoOptions{providers: "simulated"}
	if err := o.choose(dir); err == nil || !strings.Contains(err.Error(), "embedded providers: name another folder") {
		t.Errorf("%v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, simulatedDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if o := (demoOptions{}); o.choose(dir) != nil || !o.simulated() {
		t.Errorf("it does not go on: %+v", o)
	}
}

// Whatever is posted as a fault is one that is written as it should be, or wrong usage that
// changes nothing.
func FuzzFault(f *testing.F) {
	for _, seed := range append(faultWords(), "", ":", "ploi:503:", "ploi:503:1h1m", "ploi:\x00", "fault=ploi%3A503", "vercel:429:999999999999999999999") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		faults := &simulator.Faults{}
		s := &simulations{faults: map[string]*simulator.Faults{}, now: func() time.Time { return time.Unix(0, 0) }}
		for _, name := range simulatedVendors() {
			s.faults[name] = faults
		}
		err := s.fault(word)
		passed := answered(faults)
		var ue usageError
		if err != nil && (!errors.As(err, &ue) || !passed) {
			t.Errorf("%q: %v, and something goes wrong", word, err)
		}
		if err == nil && passed {
			t.Errorf("%q is taken and does nothing", word)
		}
	})
}

// answered says that a request comes through.
func answered(faults *simulator.Faults) (is bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			panic(p)
		}
	}()
	w := httptest.NewRecorder()
	faults.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code == http.StatusNoContent
}

// The examples ask the simulated vendors, and are as valid as before.
func TestSimulatedExamples(t *testing.T) {
	files, err := exampleFiles()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range sortedKeys(files) {
		all.WriteString(simulatedExamples(files)[name])
	}
	for word, n := range map[string]int{"builtin": 0, "kind: local": 0, "provider: local}": 0, "provider: sqlite": 0, "{provider: ploi, server: web-1}": 1, "provider: railway, access: public": 1, "provider: cloudflare": 1, "provider: vercel": 3, "embedded": 0, "kind: payload": 5, "payments: {enabled: true": 1} {
		if got := strings.Count(all.String(), word); got != n {
			t.Errorf("%q stands there %d times, want %d", word, got, n)
		}
	}
}

func mustRequest(t testing.TB, method, to, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
