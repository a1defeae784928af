package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func jsonHeader(more ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

func pageHeader() http.Header { return http.Header{"Content-Type": {"text/html; charset=utf-8"}} }

// said is an error as Stripe gives it.
func said(kind, code, text string) string {
	if code != "" {
		code = fmt.Sprintf(`"code":%q,`, code)
	}
	return fmt.Sprintf(`{"error":{%s"type":%q,"message":%q}}`, code, kind, text)
}

const badRequest = "invalid_request_error"

// Every error that Stripe documents, and every way in which it gives none, has its kind: of a
// read and of a write.
func TestErrorKinds(t *testing.T) {
	paper := contract.OpenAPI(t, described())
	for name, c := range map[string]struct {
		do          simulator.Effect
		read, write provider.ErrorKind
		says        string
		until       time.Duration
	}{
		"too many":             {simulator.Refuse(429, jsonHeader("Retry-After", "90"), said(badRequest, "rate_limit", "Request rate limit exceeded")), provider.RateLimited, provider.RateLimited, "rate_limit", 90 * time.Second},
		"too many, no time":    {simulator.Refuse(429, jsonHeader(), said(badRequest, "rate_limit", "exceeded")), provider.RateLimited, provider.RateLimited, "exceeded", 0},
		"somebody is at it":    {simulator.Refuse(429, jsonHeader(), said(badRequest, "lock_timeout", "cannot be accessed right now")), provider.Transient, provider.Transient, "lock_timeout", 0},
		"not this key":         {simulator.Refuse(401, jsonHeader(), said(badRequest, "", "Invalid API Key provided")), provider.Denied, provider.Denied, "Invalid API Key", 0},
		"an expired key":       {simulator.Refuse(401, jsonHeader(), said(badRequest, "api_key_expired", "Expired")), provider.Denied, provider.Denied, "api_key_expired", 0},
		"a restricted key":     {simulator.Refuse(403, jsonHeader(), said(badRequest, "", "does not have the required permissions")), provider.Denied, provider.Denied, "permissions", 0},
		"a bad parameter":      {simulator.Refuse(400, jsonHeader(), said(badRequest, "parameter_unknown", "Received unknown parameter")), provider.Invalid, provider.Invalid, "parameter_unknown", 0},
		"failed":               {simulator.Refuse(402, jsonHeader(), said("card_error", "card_declined", "no")), provider.Invalid, provider.Invalid, "card_declined", 0},
		"no such address":      {simulator.Refuse(404, jsonHeader(), said(badRequest, "", "Unrecognized request URL")), provider.Invalid, provider.Invalid, "Unrecognized", 0},
		"no API there":         {simulator.Refuse(404, pageHeader(), "<html>"), provider.Invalid, provider.Invalid, "apiURL", 0},
		"the key is in use":    {simulator.Refuse(409, jsonHeader(), said("idempotency_error", "idempotency_key_in_use", "in progress")), provider.Conflict, provider.Conflict, "in_use", 0},
		"other parameters":     {simulator.Refuse(400, jsonHeader(), said("idempotency_error", "", "same parameters")), provider.Conflict, provider.Conflict, "same parameters", 0},
		"an error of Stripe's": {simulator.Refuse(500, jsonHeader(), said("api_error", "", "unknown")), provider.Transient, provider.Uncertain, "unknown", 0},
		"a new type of error":  {simulator.Refuse(418, jsonHeader(), said("tea_error", "pot", "short and stout")), provider.Invalid, provider.Invalid, "pot", 0},
		"down":                 {simulator.Refuse(503, nil, ""), provider.Transient, provider.Uncertain, "503", 0},
		"a gateway's page":     {simulator.Instead(502, pageHeader(), "<html>"), provider.Transient, provider.Uncertain, "502", 0},
		"a page for success":   {simulator.Instead(200, pageHeader(), "<html>"), provider.Transient, provider.Uncertain, "text/html", 0},
		"no answer":            {simulator.LoseAnswer(), provider.Transient, provider.Uncertain, "no answer", 0},
		"never arrived":        {simulator.LoseRequest(), provider.Transient, provider.Uncertain, "no answer", 0},
		"nothing":              {simulator.Instead(200, jsonHeader(), `{}`), provider.Transient, provider.Uncertain, "not what", 0},
		"null":                 {simulator.Instead(200, jsonHeader(), `null`), provider.Transient, provider.Uncertain, "not what", 0},
		"another object":       {simulator.Instead(200, jsonHeader(), `{"id":"cus_1","object":"customer","data":null}`), provider.Transient, provider.Uncertain, "not what", 0},
		"no data":              {simulator.Instead(200, jsonHeader(), `{"object":"list","data":null,"has_more":false}`), provider.Transient, provider.Uncertain, "not what", 0},
		"more of nothing":      {simulator.Instead(200, jsonHeader(), `{"object":"list","data":[],"has_more":true}`), provider.Transient, provider.Uncertain, "not what", 0},
		"no word of more":      {simulator.Instead(200, jsonHeader(), `{"object":"list","data":[]}`), provider.Transient, provider.Uncertain, "not what", 0},
		"an odd id":            {simulator.Instead(200, jsonHeader(), `{"object":"list","has_more":false,"data":[{"id":"../x","object":"account"}],"id":"../x"}`), provider.Transient, provider.Uncertain, "not what", 0},
		"too large":            {simulator.Instead(200, jsonHeader(), strings.Repeat(" ", 5<<20)), provider.Transient, provider.Uncertain, "more than 4 MiB", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, paper, true)
			p := w.open()
			check := func(what string, err error, kind provider.ErrorKind, op string) {
				t.Helper()
				var pe *provider.Error
				if !errors.As(err, &pe) || pe.Kind != kind || pe.Op != op || pe.Provider != Name || !strings.Contains(pe.Error(), c.says) {
					t.Errorf("%s: %v; want %s: …%s…", what, err, kind, c.says)
					return
				}
				if want := w.clock.Now().Add(c.until); c.until > 0 && !pe.Until.Equal(want) {
					t.Errorf("%s: until %s, want %s", what, pe.Until, want)
				}
			}
			w.faults.Add(simulator.Fault{Method: http.MethodGet, Path: accountsPath, Do: c.do})
			_, err := named(p, 1)
			check("read", err, c.read, opObserve)
			w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: accountsPath, Do: c.do})
			_, err = p.Create(context.Background(), wanted(1))
			check("write", err, c.write, opCreate)
			if id, err := p.whose(context.Background()); err != nil || id != simulated.Platform {
				t.Errorf("afterwards: %q, %v", id, err)
			}
		})
	}
}

// Where no connection comes about, nothing was sent.
func TestNoConnection(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1)
	w.server.Close()
	if _, err := p.Create(context.Background(), wanted(2)); provider.KindOf(err) != provider.Transient {
		t.Errorf("create: %v", err)
	}
	if _, err := p.Update(context.Background(), o.ID, with(wanted(1), "tier", "x")); provider.KindOf(err) != provider.Transient {
		t.Errorf("update: %v", err)
	}
}

// S33: a key that Stripe does not accept stops the provider.
func TestS33RevokedKey(t *testing.T) {
	w := start(t)
	o := w.made(w.open(), 1)
	other := w.open(func(o *Options) { o.Key = state.NewSecret("another-invented-key") })
	for name, err := range map[string]error{
		"by id":  second(other.Observe(context.Background(), provider.Query{Kind: KindPayments, ID: o.ID})),
		"list":   second(other.Owned(context.Background(), ours)),
		"create": second(other.Create(context.Background(), wanted(2))),
		"update": second(other.Update(context.Background(), o.ID, wanted(1))),
		"link":   second(other.Link(context.Background(), o.ID, "https://a.example", "https://b.example")),
		"check":  second(other.whose(context.Background())),
	} {
		if provider.KindOf(err) != provider.Denied || strings.Contains(err.Error(), "another-invented") {
			t.Errorf("%s with another key: %v", name, err)
		}
	}
	if got := w.vendor.Accounts(); len(got) != 1 {
		t.Errorf("accounts: %+v", got)
	}
}

func second[T any](_ T, err error) error { return err }

// P5: that there is no access to an account is no proof that it is gone: only with a key that
// was seen to be the platform's. With another platform's key nothing is taken for gone.
func TestP5NoAccessIsNoAbsence(t *testing.T) {
	w := start(t)
	known, unknown := w.open(), w.open(func(o *Options) { o.Platform = "" })
	elsewhere := w.open(func(o *Options) { o.Platform = "acct_1AnotherPlatform" })
	o := w.made(known, 1)
	if err := w.vendor.Close(o.ID); err != nil {
		t.Fatal(err)
	}
	q := provider.Query{Kind: KindPayments, ID: o.ID}
	if found, err := known.Observe(context.Background(), q); err != nil || len(found) != 0 {
		t.Errorf("the platform's key: %v, %v", found, err)
	}
	if _, err := known.Update(context.Background(), o.ID, wanted(1)); provider.KindOf(err) != provider.NotFound {
		t.Errorf("the platform's key, update: %v", err)
	}
	found, err := unknown.Observe(context.Background(), q)
	if err != nil || len(found) != 1 || found[0].Phase != provider.Failed || !strings.Contains(found[0].Message, "providers.stripe.platform") {
		t.Errorf("nobody knows whose key: %+v, %v", found, err)
	}
	if _, err := unknown.Update(context.Background(), o.ID, wanted(1)); provider.KindOf(err) != provider.Invalid {
		t.Errorf("nobody knows whose key, update: %v", err)
	}
	if _, err := elsewhere.Observe(context.Background(), q); provider.KindOf(err) != provider.Denied {
		t.Errorf("another's key: %v", err)
	}
	if _, err := elsewhere.Update(context.Background(), o.ID, wanted(1)); provider.KindOf(err) != provider.Denied {
		t.Errorf("another's key, update: %v", err)
	}
}

// What Stripe says is gone is gone.
func TestGone(t *testing.T) {
	w := hostile(t)
	p := w.open()
	o := w.made(p, 1)
	for name, do := range map[string]simulator.Effect{
		"missing": simulator.Refuse(404, jsonHeader(), said(badRequest, "resource_missing", "No such account")),
		"deleted": simulator.Instead(200, jsonHeader(), `{"id":"`+o.ID+`","object":"account","deleted":true}`),
	} {
		w.faults.Add(simulator.Fault{Method: http.MethodGet, Path: accountsPath + "/*", Do: do, Times: 2})
		if found, err := p.Observe(context.Background(), provider.Query{Kind: KindPayments, ID: o.ID}); err != nil || len(found) != 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		if _, err := p.Update(context.Background(), o.ID, wanted(1)); provider.KindOf(err) != provider.NotFound {
			t.Errorf("%s: update: %v", name, err)
		}
	}
}

// What a wish may not ask for is refused before anything is sent.
func TestInvalidWishes(t *testing.T) {
	w := start(t)
	p := w.open(func(o *Options) { o.URL = "https://127.0.0.1:1" })
	for name, bad := range map[string]func(*provider.Wish){
		"no name":       func(w *provider.Wish) { w.Name = "" },
		"a long name":   func(w *provider.Wish) { w.Name = strings.Repeat("x", maxName+1) },
		"two words":     func(w *provider.Wish) { w.Name = "a b" },
		"a header":      func(w *provider.Wish) { w.Name = "a\r\nX: y" },
		"no mark":       func(w *provider.Wish) { w.Mark = provider.Mark{} },
		"an odd mark":   func(w *provider.Wish) { w.Mark.Client = "a/b" },
		"no country":    func(w *provider.Wish) { *w = with(*w, "country", "") },
		"a word for it": func(w *provider.Wish) { *w = with(*w, "country", "Netherlands") },
		"two lines":     func(w *provider.Wish) { *w = with(*w, "label", "a\nb") },
		"a long tier":   func(w *provider.Wish) { *w = with(*w, "tier", strings.Repeat("x", maxText+1)) },
		"no address":    func(w *provider.Wish) { *w = with(*w, "url", "demoshop.example") },
		"no TLS":        func(w *provider.Wish) { *w = with(*w, "url", "http://demoshop.example") },
		"a password":    func(w *provider.Wish) { *w = with(*w, "url", "https://a:b@demoshop.example") },
	} {
		wish := wanted(1)
		bad(&wish)
		if _, err := p.Create(context.Background(), wish); provider.KindOf(err) != provider.Invalid {
			t.Errorf("%s: created: %v", name, err)
		}
		if _, err := p.Update(context.Background(), "acct_1", wish); provider.KindOf(err) != provider.Invalid {
			t.Errorf("%s: updated: %v", name, err)
		}
	}
	for _, o := range []Options{{}, {Key: state.NewSecret(testKey), HTTP: http.DefaultClient, Now: time.Now, Platform: "my platform"}} {
		if _, err := New(o); err == nil {
			t.Errorf("opens with %v", o.Platform)
		}
	}
	if len(w.log.take()) != 0 || len(w.vendor.Accounts()) != 0 {
		t.Error("something was sent")
	}
}

// A list that has no end is an error, and one that turns in a circle.
func TestListsEnd(t *testing.T) {
	w := hostile(t)
	p := w.open()
	page := `{"object":"list","has_more":true,"url":"/v1/accounts","data":[{"id":"acct_1A","object":"account"}]}`
	w.faults.Add(simulator.Fault{Method: http.MethodGet, Path: accountsPath, Do: simulator.Instead(200, jsonHeader(), page), Times: -1})
	if found, err := p.Owned(context.Background(), ours); provider.KindOf(err) != provider.Transient || found != nil {
		t.Errorf("a circle: %v, %v", found, err)
	}
	if sent := w.log.take(); len(sent) != 2 {
		t.Errorf("%d pages", len(sent))
	}
}

// The limit that Stripe has a second is told, and is over after it.
func TestRateLimit(t *testing.T) {
	w := start(t, func(o *simulated.Options) { o.PerSecond = 1 })
	p := w.open()
	o := w.made(p, 1)
	if _, err := p.Observe(context.Background(), provider.Query{Kind: KindPayments, ID: o.ID}); provider.KindOf(err) != provider.RateLimited {
		t.Errorf("the second call of a second: %v", err)
	}
	w.clock.move(time.Second)
	w.look(p, o.ID)
}
