package resend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/letter"
	"github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// P3: with the first answer lost, one mail results: found by a look once lists show it, and
// not sent again by a create that comes before.
func TestP3ALostAnswerMailsOnce(t *testing.T) {
	judge := describe(t)
	for _, lag := range []time.Duration{0, time.Second, 30 * time.Second, time.Minute} {
		for _, again := range []bool{true, false} {
			w := begin(t, simulated.Options{Lag: lag}, judge)
			p := w.open(t)
			w.faults.Add(simulator.Fault{Method: http.MethodPost, Do: simulator.LoseAnswer()})
			_, err := p.Create(t.Context(), welcome("shop-welcome"))
			_ = wantKind(t, err, provider.Uncertain)
			p = w.open(t) // somebody else goes on
			id := ""
			if again {
				o, err := p.Create(t.Context(), welcome("shop-welcome"))
				if err != nil {
					t.Fatal(err)
				}
				id = o.ID
			}
			w.clock.pass(lag)
			found, err := p.Observe(t.Context(), byName(welcome("shop-welcome")))
			sent := w.vendor.Sent()
			if err != nil || len(found) != 1 || len(sent) != 1 || found[0].ID != sent[0].ID || again && id != sent[0].ID || found[0].Name != "shop-welcome" {
				t.Fatalf("lag %s: found %v (%v), sent %v", lag, found, err, sent)
			}
		}
	}
	judge.Some(t)
}

// A request that was lost on its way made nothing; the next one mails.
func TestALostRequestIsSentLater(t *testing.T) {
	w := begin(t, simulated.Options{}, describe(t))
	p := w.open(t)
	w.faults.Add(simulator.Fault{Method: http.MethodPost, Do: simulator.LoseRequest()})
	_, err := p.Create(t.Context(), welcome("shop-welcome"))
	_ = wantKind(t, err, provider.Uncertain)
	if found, err := p.Observe(t.Context(), byName(welcome("shop-welcome"))); err != nil || len(found) != 0 {
		t.Fatalf("found %v (%v)", found, err)
	}
	if _, err := p.Create(t.Context(), welcome("shop-welcome")); err != nil || len(w.vendor.Sent()) != 1 {
		t.Fatalf("sent %v (%v)", w.vendor.Sent(), err)
	}
}

// What goes out is what was wished, as text and as HTML, with our mark for who looks.
func TestWhatIsSent(t *testing.T) {
	w := begin(t, simulated.Options{}, describe(t))
	p := w.open(t)
	made, err := p.Create(t.Context(), welcome("shop-welcome"))
	if err != nil {
		t.Fatal(err)
	}
	m := w.vendor.Sent()[0]
	if m.ID != made.ID || m.From != `"Acme Ops" <ops@acme.example>` || len(m.To) != 1 || m.To[0] != "dana@demoshop.example" || m.Subject != "Demo Shop is ready" || m.Key != "shop-welcome" ||
		m.Text != "It is at\nhttp://demoshop.example/\n" || !strings.Contains(m.HTML, `<a href="http://demoshop.example/">`) || letter.NameIn(m.HTML) != "shop-welcome" {
		t.Errorf("sent %+v", m)
	}
	if want := fmt.Sprint(map[string]string{"client": "demoshop-1a2b3c", "kind": "welcome", "reconciler": "0a1b2c3d"}); fmt.Sprint(m.Tags) != want {
		t.Errorf("tags %v", m.Tags)
	}
	if found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindMail, ID: made.ID}); err != nil || len(found) != 1 || len(found[0].Attributes) != 3 {
		t.Errorf("by id: %v (%v)", found, err)
	}
	for _, q := range []provider.Query{{Kind: state.KindMail, Name: "shop-welcome"}, byName(welcome("other-welcome"))} { // it looks the same and is another one
		if found, err := p.Observe(t.Context(), q); err != nil || len(found) != 0 {
			t.Errorf("found %v (%v)", found, err)
		}
	}
}

// The name was sent: with other words it is not sent again, within the day by the key, and
// after it by the look that comes first.
func TestANameIsSentOnce(t *testing.T) {
	w := begin(t, simulated.Options{}, describe(t))
	p := w.open(t)
	if _, err := p.Create(t.Context(), welcome("shop-welcome")); err != nil {
		t.Fatal(err)
	}
	other := welcome("shop-welcome")
	other.Inputs[1].Text = "Other words."
	_, err := p.Create(t.Context(), other)
	_ = wantKind(t, err, provider.Conflict)
	w.clock.pass(25 * time.Hour)
	if found, err := p.Observe(t.Context(), byName(welcome("shop-welcome"))); err != nil || len(found) != 1 {
		t.Errorf("a day later: %v (%v)", found, err)
	}
	w.clock.pass(lookBack)
	if found, err := p.Observe(t.Context(), byName(welcome("shop-welcome"))); err != nil || len(found) != 0 {
		t.Errorf("older than a look reaches: %v (%v)", found, err)
	}
}

// A busy account: the look goes through pages, a thousand mails and no more.
func TestALookHasAnEnd(t *testing.T) {
	w := begin(t, simulated.Options{}, nil)
	p := w.open(t)
	for n := range 2*pageSize + 1 {
		wish := welcome(fmt.Sprintf("mail-%d", n))
		wish.Inputs[0].Text = fmt.Sprint("Number ", n)
		if _, err := p.Create(t.Context(), wish); err != nil {
			t.Fatal(err)
		}
	}
	first := welcome("mail-0")
	first.Inputs[0].Text = "Number 0"
	w.calls = nil
	found, err := p.Observe(t.Context(), byName(first))
	if err != nil || len(found) != 1 || strings.Join(w.calls, ", ") != "GET /emails, GET /emails, GET /emails, GET /emails/ID" {
		t.Fatalf("found %v (%v) by %v", found, err, w.calls)
	}
}

func TestAKeyThatOnlySends(t *testing.T) {
	w := begin(t, simulated.Options{Sending: true}, describe(t))
	p := w.open(t)
	if found, err := p.Observe(t.Context(), byName(welcome("shop-welcome"))); err != nil || len(found) != 0 {
		t.Fatalf("found %v (%v)", found, err)
	}
	for range 2 {
		if _, err := p.Create(t.Context(), welcome("shop-welcome")); err != nil || len(w.vendor.Sent()) != 1 {
			t.Fatalf("sent %v (%v)", w.vendor.Sent(), err)
		}
	}
	_, err := p.Observe(t.Context(), provider.Query{Kind: state.KindMail, ID: w.vendor.Sent()[0].ID})
	_ = wantKind(t, err, provider.Denied)
}

// Every documented error, by what it means for a create.
func TestErrors(t *testing.T) {
	json := http.Header{"Content-Type": {"application/json"}}
	with := func(name, value string) http.Header {
		h := json.Clone()
		h.Set(name, value)
		return h
	}
	at := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status int
		name   string
		header http.Header
		kind   provider.ErrorKind
		until  time.Time
		says   string
	}{
		{400, "validation_error", json, provider.Invalid, time.Time{}, "what it says"},
		{400, "invalid_idempotency_key", json, provider.Invalid, time.Time{}, ""},
		{401, "missing_api_key", json, provider.Denied, time.Time{}, ""},
		{401, "restricted_api_key", json, provider.Denied, time.Time{}, ""},
		{403, "invalid_api_key", json, provider.Denied, time.Time{}, ""},
		{403, "validation_error", json, provider.Denied, time.Time{}, "the domain of ops@acme.example is not verified at Resend, which therefore sends nothing: verify it at resend.com/domains"},
		{404, "not_found", json, provider.NotFound, time.Time{}, ""},
		{405, "method_not_allowed", json, provider.Invalid, time.Time{}, ""},
		{409, "invalid_idempotent_request", json, provider.Conflict, time.Time{}, "a mail of that name was sent"},
		{409, "concurrent_idempotent_requests", json, provider.Transient, at.Add(soon), ""},
		{422, "missing_required_field", json, provider.Invalid, time.Time{}, ""},
		{422, "invalid_parameter", json, provider.Invalid, time.Time{}, ""},
		{422, "invalid_attachment", json, provider.Invalid, time.Time{}, ""},
		{429, "rate_limit_exceeded", with("Retry-After", "3"), provider.RateLimited, at.Add(3 * time.Second), ""},
		{429, "rate_limit_exceeded", with("Ratelimit-Reset", "7"), provider.RateLimited, at.Add(7 * time.Second), ""},
		{429, "daily_quota_exceeded", with("Retry-After", "1"), provider.RateLimited, at.Add(time.Hour), "goes on at midnight UTC"},
		{429, "monthly_quota_exceeded", json, provider.RateLimited, at.Add(time.Hour), "goes on with the next month"},
		{451, "security_error", json, provider.Denied, time.Time{}, ""},
		{500, "application_error", json, provider.Uncertain, time.Time{}, ""},
		{500, "internal_server_error", json, provider.Uncertain, time.Time{}, ""},
	} {
		t.Run(fmt.Sprint(c.status, c.name), func(t *testing.T) {
			w := begin(t, simulated.Options{}, nil)
			w.faults.Add(simulator.Fault{Do: simulator.Refuse(c.status, c.header, simulated.Refusal(c.status, c.name, "what it\nsays"))})
			_, err := w.open(t).Create(t.Context(), welcome("shop-welcome"))
			e := wantKind(t, err, c.kind)
			if e.Code != c.name || !e.Until.Equal(c.until) || !strings.Contains(e.Message, c.says) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), apiKey) {
				t.Errorf("%v, until %s", err, e.Until)
			}
			if sent := w.vendor.Sent(); len(sent) != 0 {
				t.Errorf("sent %v", sent)
			}
		})
	}
}

// The simulator says by itself what it is documented to say.
func TestErrorsOfAnAccount(t *testing.T) {
	judge := describe(t)
	create := func(t *testing.T, w *world, name string) error {
		t.Helper()
		_, err := w.open(t).Create(t.Context(), welcome(name))
		return err
	}
	w := begin(t, simulated.Options{Domains: map[string]string{"acme.example": "pending"}}, judge)
	if e := wantKind(t, create(t, w, "a"), provider.Denied); !strings.Contains(e.Message, "not verified") {
		t.Errorf("%v", e)
	}
	w = begin(t, simulated.Options{Daily: 1, Monthly: 2}, judge)
	if err := create(t, w, "a"); err != nil {
		t.Fatal(err)
	}
	if e := wantKind(t, create(t, w, "b"), provider.RateLimited); e.Code != dailyQuota {
		t.Errorf("%v", e)
	}
	w.clock.pass(16 * time.Hour) // it is tomorrow
	if err := create(t, w, "b"); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(24 * time.Hour)
	if e := wantKind(t, create(t, w, "c"), provider.RateLimited); e.Code != monthlyQuota {
		t.Errorf("%v", e)
	}
	w = begin(t, simulated.Options{Rate: simulator.Limit{Most: Most, Window: Window}}, judge)
	for _, name := range []string{"a", "b"} {
		if err := create(t, w, name); err != nil {
			t.Fatal(err)
		}
	}
	if e := wantKind(t, create(t, w, "c"), provider.RateLimited); e.Code != rateLimit || !e.Until.Equal(w.clock.now().Add(Window)) {
		t.Errorf("%v until %s", e, e.Until)
	}
	w.clock.pass(Window)
	if err := create(t, w, "c"); err != nil || len(w.vendor.Sent()) != 3 {
		t.Errorf("sent %v (%v)", w.vendor.Sent(), err)
	}
	judge.Some(t)
}

// Pages of gateways, answers that break off, and answers that are no mail.
func TestStrangeAnswers(t *testing.T) {
	page := http.Header{"Content-Type": {"text/html"}}
	for name, c := range map[string]struct {
		do          simulator.Effect
		look, write provider.ErrorKind
	}{
		"a gateway's page": {simulator.Refuse(502, page, "<html>"), provider.Transient, provider.Uncertain},
		"a page of 200":    {simulator.Refuse(200, page, "<html>"), provider.Transient, provider.Uncertain},
		"a page of 429":    {simulator.Refuse(429, page, "<html>"), provider.RateLimited, provider.RateLimited},
		"a page of 403":    {simulator.Refuse(403, page, "<html>"), provider.Denied, provider.Denied},
		"no id":            {simulator.Refuse(200, nil, `{}`), provider.Transient, provider.Uncertain},
		"an odd id":        {simulator.Refuse(200, nil, `{"id":"../../domains"}`), provider.Transient, provider.Uncertain},
		"lost":             {simulator.LoseRequest(), provider.Transient, provider.Uncertain},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, simulated.Options{}, nil)
			w.faults.Add(simulator.Fault{Do: c.do, Times: -1})
			p := w.open(t)
			_, err := p.Create(t.Context(), welcome("shop-welcome"))
			_ = wantKind(t, err, c.write)
			_, err = p.Observe(t.Context(), provider.Query{Kind: state.KindMail, ID: "4ef9a417-02e9-4d39-ad75-9611e0fcc33c"})
			_ = wantKind(t, err, c.look)
		})
	}
}

// What a mail costs, as the traits say it.
func TestCalls(t *testing.T) {
	w := begin(t, simulated.Options{}, describe(t))
	p := w.open(t)
	var out strings.Builder
	step := func(what string, want int, do func() error) {
		w.calls = nil
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if len(w.calls) != want {
			t.Errorf("%s costs %v, and the traits say %d", what, w.calls, want)
		}
		fmt.Fprintf(&out, "# %s\n%s\n", what, strings.Join(w.calls, "\n"))
	}
	traits := p.Traits()[state.KindMail]
	made := ""
	step("look before it is sent", traits.ObserveCalls, func() error {
		_, err := p.Observe(t.Context(), byName(welcome("shop-welcome")))
		return err
	})
	step("send", traits.CreateCalls, func() error {
		o, err := p.Create(t.Context(), welcome("shop-welcome"))
		made = o.ID
		return err
	})
	step("look by id", traits.ObserveCalls, func() error {
		_, err := p.Observe(t.Context(), provider.Query{Kind: state.KindMail, ID: made})
		return err
	})
	step("remove", traits.DeleteCalls, func() error { return p.Delete(t.Context(), state.KindMail, made) })
	step("list what is ours", 0, func() error { _, err := p.Owned(t.Context(), mark.Installation); return err })
	golden(t, "testdata/calls.golden", out.String())
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{From: from}, {APIKey: state.NewSecret(apiKey)}, {APIKey: state.NewSecret(apiKey), From: "ops"}} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), apiKey) {
			t.Errorf("%v", err)
		}
	}
}

// A simulated Resend goes on after a restart with what it knew.
func TestASimulatedResendOutlivesItsProcess(t *testing.T) {
	file := t.TempDir() + "/resend.json"
	w := begin(t, simulated.Options{File: file}, nil)
	if _, err := w.open(t).Create(t.Context(), welcome("shop-welcome")); err != nil || w.vendor.Save() != nil {
		t.Fatal(err)
	}
	w = begin(t, simulated.Options{File: file}, nil)
	if _, err := w.open(t).Create(t.Context(), welcome("shop-welcome")); err != nil || len(w.vendor.Sent()) != 1 {
		t.Errorf("sent %v (%v)", w.vendor.Sent(), err)
	}
}

// answering is a vendor that says one thing.
type answering struct {
	status int
	body   string
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// Whatever Resend says, it ends in an object that was asked for or an error that is one clean
// line.
func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"id":"4ef9a417-02e9-4d39-ad75-9611e0fcc33c"}`)
	f.Add(200, `{"object":"list","has_more":true,"data":[{"id":"a","to":["dana@demoshop.example"],"subject":"Demo Shop is ready","created_at":"2026-11-26 08:00:00+00"}]}`)
	f.Add(429, simulated.Refusal(429, dailyQuota, "\x1b[2J\u202e"))
	f.Add(403, `{"name":7,"message":["x"]}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		now := func() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC) }
		p, err := New(Options{APIKey: state.NewSecret(apiKey), From: from, APIURL: "https://api.resend.example", Now: now, HTTP: httpapi.NewHTTP(answering{status, body}, time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		check := func(n int, err error) {
			t.Helper()
			var e *provider.Error
			if err != nil && (!errors.As(err, &e) || e.Message == "" || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\n\x1b\u202e") || len(err.Error()) > 4096) {
				t.Errorf("%q", err)
			}
			if n > maxAlike*maxPages {
				t.Errorf("%d objects", n)
			}
		}
		o, err := p.Create(context.Background(), welcome("shop-welcome"))
		if err == nil && !isID.MatchString(o.ID) {
			t.Errorf("id %q", o.ID)
		}
		check(0, err)
		found, err := p.Observe(context.Background(), byName(welcome("shop-welcome")))
		check(len(found), err)
		found, err = p.Observe(context.Background(), provider.Query{Kind: state.KindMail, ID: "a"})
		if len(found) == 1 && found[0].ID != "a" {
			t.Errorf("found %q", found[0].ID)
		}
		check(len(found), err)
	})
}
