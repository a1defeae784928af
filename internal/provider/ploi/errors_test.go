package ploi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func jsonHeader(more ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for n := 0; n < len(more); n += 2 {
		h.Set(more[n], more[n+1])
	}
	return h
}

// Each documented answer, at a read and at a write, is of the right kind, with the vendor's
// words.
func TestDocumentedErrorsHaveTheirKinds(t *testing.T) {
	now := newClock().Now()
	for name, x := range map[string]struct {
		do          simulator.Effect
		read, write provider.ErrorKind
		says        string
		until       time.Time
	}{
		"401": {simulator.Refuse(401, jsonHeader(), `{"message":"Unauthenticated."}`), provider.Denied, provider.Denied, "Unauthenticated.", time.Time{}},
		"free plan": {simulator.Refuse(403, jsonHeader(), `{"error":"You are on a free plan, therefore you cannot use this API.","links":["https://ploi.io/plans"]}`),
			provider.Denied, provider.Denied, "free plan", time.Time{}},
		"405": {simulator.Refuse(405, jsonHeader(), `{"message":"The POST method is not supported for this route."}`), provider.Invalid, provider.Invalid, "not supported", time.Time{}},
		"422": {simulator.Refuse(422, jsonHeader(), `{"message":"The given data was invalid.","errors":{"content":["The content is too short."]}}`), provider.Invalid, provider.Invalid, "too short", time.Time{}},
		"429": {simulator.Refuse(429, jsonHeader("Retry-After", "54", "X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "0"), `{"message":"Too many requests, please slow down with sending requests."}`),
			provider.RateLimited, provider.RateLimited, "Too many requests", now.Add(54 * time.Second)},
		"429 without a time":   {simulator.Refuse(429, jsonHeader(), `{"message":"Too many requests."}`), provider.RateLimited, provider.RateLimited, "Too many", now.Add(time.Minute)},
		"500":                  {simulator.Refuse(500, jsonHeader(), `{"message":"Server Error"}`), provider.Transient, provider.Uncertain, "Server Error", time.Time{}},
		"503":                  {simulator.Refuse(503, jsonHeader("Retry-After", "120"), `{"message":"Service Unavailable"}`), provider.RateLimited, provider.RateLimited, "Ploi is being maintained", now.Add(2 * time.Minute)},
		"503 without a time":   {simulator.Refuse(503, jsonHeader(), `{}`), provider.RateLimited, provider.RateLimited, "Ploi is being maintained", now.Add(time.Minute)},
		"503 of somebody else": {simulator.Refuse(503, http.Header{"Content-Type": {"text/html"}}, "<h1>busy</h1>"), provider.Transient, provider.Uncertain, "503", time.Time{}},
		"a page":               {simulator.Refuse(200, http.Header{"Content-Type": {"text/html"}}, "<h1>Log in</h1>"), provider.Transient, "", "text/html", time.Time{}},
		"led to the login":     {simulator.Refuse(302, http.Header{"Location": {"https://elsewhere.example/login"}}, ""), provider.Transient, provider.Uncertain, "302", time.Time{}},
		"no answer":            {simulator.LoseAnswer(), provider.Transient, provider.Uncertain, "no answer came", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, simulated.Options{})
			c := w.client(1)
			check := func(err error, want provider.ErrorKind) {
				t.Helper()
				if want == "" {
					return
				}
				e := w.failed(err, want)
				if !strings.Contains(e.Error(), x.says) || !e.Until.Equal(x.until) && want == provider.RateLimited {
					t.Errorf("it says %v until %v, want %q until %v", e, e.Until, x.says, x.until)
				}
			}
			w.faults.Add(simulator.Fault{Method: http.MethodGet, Do: x.do})
			_, err := w.p.Observe(context.Background(), provider.Query{Kind: state.KindSite, ID: c.site.ID})
			check(err, x.read)
			w.faults.Add(simulator.Fault{Method: http.MethodPatch, Do: x.do})
			_, err = w.p.Update(context.Background(), c.env.ID, wish(state.KindEnvironment, "c00001", "ploi", "site", c.site.ID, "env.A", "1"))
			check(err, x.write)
		})
	}
}

// A refusal of the name of a new site means that it is taken, one of another field that the
// wish is wrong; that the site is gone is no error of a look or a delete.
func TestRefusedSites(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	w.create(siteWish("c00001"))
	w.fails(secondOf(w.p.Create(context.Background(), siteWish("c00001"))), provider.Conflict)
	refuse := func(body string) {
		w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: "/api/servers/1/sites", Do: simulator.Refuse(422, jsonHeader(), body)})
	}
	refuse(`{"message":"The given data was invalid.","errors":{"system_user":["No such user."]}}`)
	w.fails(secondOf(w.p.Create(context.Background(), siteWish("c00002"))), provider.Invalid)
	refuse(`{"message":"The root domain has already been taken."}`)
	w.fails(secondOf(w.p.Create(context.Background(), siteWish("c00002"))), provider.Conflict)
	x := siteWish("c00002")
	for n := range x.Inputs {
		if x.Inputs[n].Name == "server" {
			x.Inputs[n].Text = "web-9"
		}
	}
	w.fails(secondOf(w.p.Create(context.Background(), x)), provider.Invalid)
	if n := len(w.vendor.Sites()); n != 1 {
		t.Errorf("there are %d sites", n)
	}
}

// S31, S32: who is told to wait leaves the vendor alone until then, whoever asks.
func TestS32NobodyCallsBeforeItsTime(t *testing.T) {
	w := newWorld(t, simulated.Options{Plan: "basic"})
	p := provider.Heed(w.p, w.clock.Now)
	ctx := context.Background()
	var until time.Time
	for until.IsZero() {
		if _, err := p.Observe(ctx, provider.Query{Kind: state.KindSite, ID: "1/1"}); err != nil {
			until = w.failed(err, provider.RateLimited).Until
		}
	}
	if n := len(w.calls.take()); n != 61 || !until.After(w.clock.Now()) {
		t.Errorf("%d calls until %v", n, until)
	}
	_, err := p.Create(ctx, siteWish("c00001"))
	w.fails(err, provider.RateLimited)
	if n := len(w.calls.take()); n != 0 {
		t.Errorf("%d calls were made before its time", n)
	}
	w.clock.Move(until.Sub(w.clock.Now()))
	if _, err := p.Create(ctx, siteWish("c00001")); err != nil {
		t.Error(err)
	}
	w.clock.Move(time.Minute)
	w.faults.Add(simulator.Fault{Do: simulator.Refuse(503, jsonHeader("Retry-After", "1800"), `{"message":"Service Unavailable"}`)})
	_, err = p.Owned(ctx, installation)
	if at := w.failed(err, provider.RateLimited).Until; !at.Equal(w.clock.Now().Add(30 * time.Minute)) {
		t.Errorf("it is left alone until %v", at)
	}
}

// What is hostile in an answer ends in an error or is cleaned; nothing is taken for another
// object, and the token shows nowhere.
func TestHostileAnswers(t *testing.T) {
	long := strings.Repeat("x", 5<<20)
	for name, body := range map[string]string{
		"nothing": "", "no object": "[]", "a number": "7", "null": "null", "empty": "{}", "another site": `{"data":{"id":2,"server_id":1,"status":"active","domain":"a.example"}}`,
		"negative": `{"data":{"id":-1}}`, "huge": `{"data":{"id":1e40}}`, "a list": `{"data":[]}`, "cut off": `{"data":{"id":1,`, "too long": long,
		"words":           `{"data":{"id":1,"server_id":1,"status":"act\u0000ive\u202e\n","domain":"\u202emoc.elpmaxe","test_domain":"http://evil\"onload","deploy_script":{"a":1},"last_deploy_at":[],"system_user":"../../root","php_version":{}}}`,
		"a loop of pages": `{"data":[{"id":1,"domain":"x"}],"meta":{"last_page":1000000000}}`,
		"an odd env":      `{"content":{"a":1}}`, "a deep one": strings.Repeat(`{"data":`, 5000) + "1" + strings.Repeat("}", 5000),
		"echo": `{"error":"Bearer ` + "\u202e" + `no","message":"` + strings.Repeat("long ", 2000) + `"}`,
	} {
		for _, status := range []int{200, 201, 404, 422, 500} {
			t.Run(fmt.Sprintf("%s/%d", name, status), func(t *testing.T) {
				calls := 0
				server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					calls++
					rw.Header().Set("Content-Type", "application/json")
					rw.WriteHeader(status)
					_, _ = rw.Write([]byte(body))
				}))
				defer server.Close()
				w := &world{T: t, names: map[string]string{"web-1": "1"}, clock: newClock(), dns: &names{any: []string{serverAddress}}}
				p, err := ploi.New(w.options(server.URL+"/api", &http.Transport{DisableKeepAlives: true}))
				if err != nil {
					t.Fatal(err)
				}
				w.hostile(p)
				if calls > 2_000 {
					t.Errorf("%d calls were made", calls)
				}
			})
		}
	}
}

// hostile makes every call at a vendor that answers nonsense.
func (w *world) hostile(p *ploi.Provider) {
	w.Helper()
	ctx := context.Background()
	site := "1/1"
	all := []provider.Wish{siteWish("c00001"), wish(state.KindEnvironment, "c00001", "ploi", "site", site, "env.A", "1"), releaseWish("c00001", site, "8be01c22aa10", "1"),
		wish(state.KindTraffic, "c00001", "ploi", "site", site, "deployment", site+"/release/c00001-0badcafe-8be01c22aa10"), wish(state.KindDomain, "c00001", "shop.example@ploi", "site", site, "host", "shop.example")}
	ids := []string{site, site + "/env", site + "/release/c00001-0badcafe-8be01c22aa10", site + "/traffic", site + "/domain/shop.example"}
	var pe *provider.Error
	clean := func(what string, err error, said ...provider.Object) {
		w.Helper()
		text := fmt.Sprintf("%v", said)
		if err != nil {
			text += err.Error()
			if !errors.As(err, &pe) {
				w.Errorf("%s: %T is no *provider.Error: %v", what, err, err)
			}
		}
		if strings.Contains(text, token) || strings.ContainsAny(text, "\u202e\x00") || len(text) > 64<<10 {
			w.Errorf("%s says %.300q", what, text)
		}
		for _, o := range said {
			if o.ID != "" && !strings.HasPrefix(o.ID, "1/1") {
				w.Errorf("%s returns %s", what, o.ID)
			}
		}
	}
	for n, x := range all {
		kind := x.Ref.Kind
		found, err := p.Observe(ctx, provider.Query{Kind: kind, ID: ids[n]})
		clean("observe "+string(kind), err, found...)
		found, err = p.Observe(ctx, provider.Query{Kind: kind, Name: x.Name, Wish: &x})
		clean("look for "+string(kind), err, found...)
		o, err := p.Create(ctx, x)
		clean("create "+string(kind), err, o)
		o, err = p.Update(ctx, ids[n], x)
		clean("update "+string(kind), err, o)
		clean("delete "+string(kind), p.Delete(ctx, kind, ids[n]))
	}
	owned, err := p.Owned(ctx, installation)
	clean("owned", err, owned...)
	for _, f := range p.Check(ctx) {
		clean("check", &provider.Error{Message: f.Text + " " + f.Hint})
	}
}
