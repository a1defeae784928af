package main

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// zone is what the world's DNS answers: what people have set at their DNS hosts.
type zone struct {
	mu      sync.Mutex
	records map[string][]string // "TYPE name"
	asked   int
}

func (z *zone) lookup(_ context.Context, kind, name string) ([]string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	return z.records[kind+" "+name], nil
}

func (z *zone) set(record string, content ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.records == nil {
		z.records = map[string][]string{}
	}
	z.records[record] = content
}

func (z *zone) looks() int { z.mu.Lock(); defer z.mu.Unlock(); return z.asked }

// hands is a clock that only the test moves.
type hands struct {
	mu sync.Mutex
	at time.Time
}

func (h *hands) now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.at }

func (h *hands) add(d time.Duration) { h.mu.Lock(); h.at = h.at.Add(d); h.mu.Unlock() }

// waiting is an installation with a neighbour, the world's DNS and a clock.
func waiting(t *testing.T) (*world, *zone, *hands) {
	t.Helper()
	w, z, clock := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}), &zone{}, &hands{at: time.Now()}
	w.public, w.now = z.lookup, clock.now
	w.start()
	w.active("bakery")
	return w, z, clock
}

// later lets time pass, and something else happen: whoever waits looks again by itself.
func (w *world) later(clock *hands, d time.Duration) {
	w.t.Helper()
	clock.add(d)
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "notes: it is "+clock.now().Format(time.TimeOnly))})
	w.active("bakery")
}

// told counts the history's entries of a kind.
func (w *world) told(name, what string) (texts []string) {
	w.t.Helper()
	for _, e := range w.why(name).History {
		if e.What == what {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// dns.provider external: the client says which records to set, waits for them without
// spinning and without holding anybody up (P6), goes on by itself when they are there,
// and says what is left to remove when it goes.
func TestExternalDNS(t *testing.T) {
	w, z, clock := waiting(t)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop",
		"dns: {provider: external, records: [{type: TXT, name: _verify, content: shop-4711}]}")})
	v := w.apply()
	r := rowOf(v, "demoshop")
	asks := []string{"Set the record A demoshop.localhost → 127.0.0.1 at your DNS host", "Set the record TXT _verify.demoshop.localhost → shop-4711 at your DNS host"}
	for _, ask := range asks {
		if !strings.Contains(r.Because, ask) {
			t.Errorf("status does not say %q: %s", ask, r.Because)
		}
		if why := w.must(0, "why", "demoshop").out; !strings.Contains(strings.Join(strings.Fields(why), " "), ask) {
			t.Errorf("why does not say %q:\n%s", ask, why)
		}
	}
	if r.Status != string(state.StatusProvisioning) || !strings.Contains(r.Next, "by itself") {
		t.Errorf("demoshop is %s: %s", r.Status, r.Next)
	}
	if rowOf(v, "bakery").Status != string(state.StatusActive) {
		t.Error("bakery is held up")
	}
	if got := w.status().Verdict; strings.HasPrefix(got, "pending") { // P9
		t.Errorf("the verdict is %q", got)
	}
	if mails, err := w.daemon.program.mail.Messages(); err != nil || len(mails) != 1 {
		t.Errorf("mail before its name leads anywhere: %v %v", mails, err)
	}

	// No spinning: a pass only when its time has come, each of a few looks.
	n := z.looks()
	for range 5 {
		w.later(clock, 0)
	}
	if got := z.looks() - n; got != 0 {
		t.Errorf("%d looks before their time", got)
	}
	last := ""
	for range 6 {
		n = z.looks()
		w.later(clock, time.Hour)
		if got := z.looks() - n; got == 0 || got > 8 {
			t.Errorf("%d looks when an hour has passed", got)
		}
		if d := w.why("demoshop").Last; last != "" && d.ID != last {
			t.Error("each look leaves an audit record")
		} else {
			last = d.ID
		}
	}
	if got := w.told("demoshop", "waits"); len(got) != 1 {
		t.Errorf("the history tells %d times that it waits: %q", len(got), got)
	}

	z.set("A demoshop.localhost", "192.0.2.1")
	w.later(clock, time.Hour)
	if r := rowOf(w.status(), "demoshop"); !strings.Contains(r.Because, "now it is 192.0.2.1") {
		t.Errorf("a wrong record: %s", r.Because)
	}
	z.set("A demoshop.localhost", "127.0.0.1")
	z.set("TXT _verify.demoshop.localhost", "shop-4711")
	w.later(clock, time.Hour)
	w.active("demoshop")
	if p := w.plan(); len(p.Changes)+len(p.Problems) > 0 {
		t.Errorf("the plan afterwards: %+v", p)
	}
	if mails, err := w.daemon.program.mail.Messages(); err != nil || len(mails) != 2 {
		t.Errorf("mail: %v %v", mails, err)
	}
	if got := w.status().Verdict; !strings.HasPrefix(got, "success") {
		t.Errorf("the verdict is %q", got)
	}

	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.apply()
	told := strings.Join(w.told("demoshop", "succeeded"), "\n")
	for _, left := range []string{"left for you to remove", "the record A demoshop.localhost at your DNS host", "the record TXT _verify.demoshop.localhost at your DNS host"} {
		if !strings.Contains(told, left) {
			t.Errorf("the history does not say %q:\n%s", left, told)
		}
	}
}

// S41: a record that a person keeps, and that was there, is taken away or leads elsewhere: looks say so, and what to do.
func TestS41RecordThatAPersonTookAway(t *testing.T) {
	w, z, clock := waiting(t)
	z.set("A demoshop.localhost", "127.0.0.1")
	z.set("MX demoshop.localhost", "10 mx.mail.example")
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", `dns: {provider: external, records: [{type: MX, name: "@", content: mx.mail.example, priority: 10}]}`)})
	w.active("demoshop")
	clock.add(time.Hour)
	if r := w.cli("drift", "demoshop"); r.code != 0 {
		t.Errorf("as it is wished, drift ends with %d: %s", r.code, r.out)
	}
	z.set("A demoshop.localhost", "192.0.2.1")
	z.set("MX demoshop.localhost")
	out := w.cli("drift", "demoshop").out
	for _, says := range []string{"Set the record A demoshop.localhost → 127.0.0.1 at your DNS host; now it is 192.0.2.1", "Set the record MX demoshop.localhost → 10 mx.mail.example at your DNS host", "set it there, or let the manifest say what is there"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), says) {
			t.Errorf("drift does not say %q:\n%s", says, out)
		}
	}
}

// dns.provider external: a retry looks at once.
func TestExternalDNSRetry(t *testing.T) {
	w, z, _ := waiting(t)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "dns: {provider: external}")})
	w.apply()
	z.set("A demoshop.localhost", "127.0.0.1")
	w.must(0, "retry", "demoshop")
	w.active("demoshop")
}

// deployment.provider external: nobody here knows where it is, so that the manifest has
// to say it; what is left to a person is said, and the health check is the proof. The
// wait is nobody's failure: nothing is taken back.
func TestExternalDeployment(t *testing.T) {
	w, _, clock := waiting(t)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: external}")})
	r := rowOf(w.apply(), "demoshop")
	if r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "only you know where demoshop.localhost is") || !strings.Contains(r.Next, "dns.records") {
		t.Errorf("without an address demoshop is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	text := manifestOf("demoshop", "deployment: {provider: external}", `dns: {records: [{type: A, name: "@", content: 127.0.0.2}]}`, "env: {STORE_CURRENCY: EUR}")
	w.commit(map[string]string{"clients/demoshop.yaml": text})
	r = rowOf(w.apply(), "demoshop")
	for _, said := range []string{"Host the site of demoshop yourself", "STORE_CURRENCY", "Bind demoshop.localhost", "does not answer well"} {
		if r.Status != string(state.StatusProvisioning) || !strings.Contains(r.Because, said) {
			t.Errorf("demoshop is %s, and does not say %q: %s", r.Status, said, r.Because)
		}
	}
	if got := w.resolve("demoshop.localhost"); !slices.Equal(got, []string{"127.0.0.2"}) {
		t.Errorf("its name leads to %v", got)
	}
	for range 3 {
		w.later(clock, time.Hour)
	}
	if r := rowOf(w.status(), "demoshop"); r.Status != string(state.StatusProvisioning) {
		t.Errorf("after hours demoshop is %s: %s", r.Status, r.Because)
	}

	_, port, _ := strings.Cut(w.listen, ":")
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		t.Fatal(err)
	}
	host := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	served := make(chan error, 1)
	go func() { served <- host.Serve(l) }()
	defer func() {
		if err := errors.Join(host.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	w.later(clock, time.Hour)
	w.active("demoshop")
	if p := w.plan(); len(p.Changes)+len(p.Problems) > 0 {
		t.Errorf("the plan afterwards: %+v", p)
	}

	// The version before still answers: what a change asks for is said all the same.
	w.commit(map[string]string{"clients/demoshop.yaml": text + "settings: {theme: dark}\n"})
	w.active("demoshop")
	if r := rowOf(w.status(), "demoshop"); !strings.Contains(r.Because, "left to you") || !strings.Contains(r.Because, "Deploy builtin at v1") {
		t.Errorf("the change asks for nothing: %s", r.Because)
	}

	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.apply()
	if told := strings.Join(w.told("demoshop", "succeeded"), "\n"); !strings.Contains(told, "left for you to remove") || !strings.Contains(told, "the site at your host") {
		t.Errorf("the history does not say what is left:\n%s", told)
	}
	if got := w.resolve("demoshop.localhost"); len(got) > 0 {
		t.Errorf("its name still leads to %v", got)
	}
}

// database.provider external: its address is the client's secret, a new version of it
// reaches the site, nobody sees it (P10), and no schedule claims to have erased it.
func TestExternalDatabase(t *testing.T) {
	w, _, clock := waiting(t)
	text := manifestOf("demoshop", "database: {provider: external, external: {url: {secret: database-url}}}")
	w.commit(map[string]string{"clients/demoshop.yaml": text})
	r := rowOf(w.apply(), "demoshop")
	if r.Status != string(state.StatusFailed) || !strings.Contains(r.Next, "reconciler secret set database-url --client demoshop") {
		t.Fatalf("without its secret demoshop is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	set := func(password string) { // its keeper's database, as far as the site can tell
		t.Helper()
		path := filepath.Join(t.TempDir(), password+".db")
		db, err := sql.Open("sqlite", path)
		if err == nil {
			_, err = db.Exec("create table orders (title text)")
		}
		if e := db.Close(); err != nil || e != nil {
			t.Fatal(err, e)
		}
		if r := w.cliIn("file:"+path, "secret", "set", "database-url", "--client", "demoshop"); r.code != 0 {
			t.Fatalf("secret set: %d %s%s", r.code, r.out, r.err)
		}
		w.active("demoshop")
		site := w.resources("demoshop", state.KindSite)[0].ID
		if got := w.variable(site, "DATABASE_URL"); !strings.Contains(got, password) {
			t.Error("the site does not have the address")
		}
	}
	set("first-pssst")
	set("second-pssst")
	if p := w.plan(); len(p.Changes)+len(p.Problems) > 0 {
		t.Errorf("the plan afterwards: %+v", p)
	}
	for _, args := range [][]string{{"why", "demoshop"}, {"why", "demoshop", "-o", "json"}, {"status", "-o", "json"}, {"history", "demoshop"}} {
		if strings.Contains(w.must(0, args...).out, "pssst") {
			t.Errorf("%s shows the address", args[0])
		}
	}
	for _, o := range w.owned() {
		if strings.HasPrefix(o, "database ") && strings.Contains(o, "demoshop") {
			t.Errorf("somebody made %s", o)
		}
	}
	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	if r := rowOf(w.apply(), "demoshop"); r.Status != string(state.StatusRetained) {
		t.Errorf("demoshop is %s: %s", r.Status, r.Because)
	}
	clock.add(400 * 24 * time.Hour)
	gone, err := w.daemon.program.engine.PurgeDue(t.Context())
	if err != nil || len(gone) != 1 || strings.Contains(gone[0], "erased") || !strings.Contains(gone[0], "its keeper") {
		t.Errorf("purged: %v %v", gone, err)
	}
}

// none: nothing is made, and nothing is waited for. A variable that needs what the
// client doesn't have is a problem with the way out, no empty value.
func TestExternalNone(t *testing.T) {
	w, z, _ := waiting(t)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "database: {provider: none}", "dns: {provider: none}")})
	r := rowOf(w.apply(), "demoshop")
	if r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "DATABASE_URL") || !strings.Contains(r.Next, "none: true") {
		t.Errorf("demoshop is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "database: {provider: none}", "dns: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	w.active("demoshop")
	for _, k := range []state.Kind{state.KindDatabase, state.KindAdmin, state.KindRecord} {
		if got := w.resources("demoshop", k); len(got) > 0 {
			t.Errorf("made: %v", got[0].Ref)
		}
	}
	if code, _ := w.get("demoshop.localhost", "/"); code != 200 {
		t.Errorf("the site answers %d", code)
	}
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "database: {provider: none}", "dns: {provider: none}", "deployment: {provider: none}")})
	w.active("demoshop")
	if got := w.resources("demoshop", state.KindSite); len(got) > 0 {
		t.Errorf("the site is still on record: %v", got[0].Ref)
	}
	if z.looks() > 0 {
		t.Errorf("the world's DNS was asked %d times", z.looks())
	}
}
