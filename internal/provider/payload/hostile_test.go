package payload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// Inputs that are refused before anything is asked.
func TestRefusedInputs(t *testing.T) {
	w := start(t)
	p := w.open()
	for _, bad := range []provider.Input{
		input("url", ""), input("url", "shop.example"), input("url", "ftp://shop.example"), input("url", "file:///etc/passwd"), input("url", "https://"), input("url", "https://:443"),
		input("url", "https://dana:secret@shop.example"), input("url", "https://shop.example/?a=b"), input("url", "https://shop.example/?"), input("url", "https://shop.example/#x"),
		input("url", "https://shop.example/a/../b"), input("url", "https://shop.example//b"), input("url", "http://shop.example/\x00"), input("url", "https://shop.example/"+strings.Repeat("x", maxAddress)),
		input("url", "javascript:alert(1)"), input("url", "unix:///run/docker.sock"),
		input("email", ""), input("email", "dana"), input("email", "Dana <dana@demoshop.example>"), input("email", "a@b.example\r\nBcc: x@y.example"), input("email", strings.Repeat("x", 250)+"@b.example"), input("email", "d\u202ea@b.example"),
		input("api", "api"), input("api", "/"), input("api", "/api/"), input("api", "/../api"), input("api", "/a?b"), input("api", "/a%2fb"), input("api", "//shop.example"), input("api", "/"+strings.Repeat("x", maxPath)),
		input("collection", "users/1"), input("collection", ".."), input("collection", "us ers"), input("collection", strings.Repeat("x", maxWord+1)),
		input("site", "a\nb"), input("site", strings.Repeat("x", maxText+1)), input("path", "admin"), input("path", "/admin?x"), input("path", "/"+strings.Repeat("x", maxPath)),
		input("password", ""), input("password", "short"), input("password", strings.Repeat("x", maxPassword+1)),
	} {
		wish := w.wish("site-1", bad)
		_, err := p.Create(t.Context(), wish)
		wantKind(t, fmt.Sprintf("create with %s %.40q", bad.Name, bad.Text), err, provider.Invalid)
		_, err = p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Name: wish.Name, Wish: &wish})
		if bad.Name == "password" && bad.Text == "" {
			err = fail(provider.Invalid, "observe", "see TestLookBeforeThereIsAPassword", err)
		}
		wantKind(t, fmt.Sprintf("look with %s %.40q", bad.Name, bad.Text), err, provider.Invalid)
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%v", err)
		}
	}
	nameless := w.wish("site-1")
	nameless.Name = ""
	_, err := p.Create(t.Context(), nameless)
	wantKind(t, "no name", err, provider.Invalid)
	if calls := w.asked(); len(calls) > 0 {
		t.Errorf("asked: %v", calls)
	}
}

// No redirect is followed, not even within the site; no cookie is kept; no body without end is
// read.
func TestASiteGainsNothing(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the stranger got %s %s", r.Method, r.URL) }))
	defer stranger.Close()
	for _, to := range []string{stranger.URL + "/", "/site-2/api/users/init", "http://169.254.169.254/latest/meta-data"} {
		for _, path := range []string{initPath, firstPath} {
			w := start(t)
			w.faults.Add(simulator.Fault{Path: path, Times: -1, Do: simulator.Refuse(307, http.Header{"Location": {to}}, ``)})
			if _, err := w.open().Create(t.Context(), w.wish("site-1")); err == nil {
				t.Errorf("%s to %s: no error", path, to)
			}
			for _, c := range w.asked() {
				if !strings.Contains(c, "/site-1/") {
					t.Errorf("%s to %s: asked %s", path, to, c)
				}
			}
		}
	}

	w := start(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{HTTP: &http.Client{Transport: w, Jar: jar}, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	create(t, p, w.wish("site-1"))
	at, err := url.Parse(w.address("site-1"))
	if err != nil || len(jar.Cookies(at)) > 0 {
		t.Errorf("cookies: %v, %v", jar.Cookies(at), err)
	}

	w = start(t)
	w.faults.Add(simulator.Fault{Path: initPath, Do: simulator.Refuse(200, nil, strings.Repeat(" ", 5<<20)+`{"initialized":false}`)})
	_, err = w.open().Create(t.Context(), w.wish("site-1"))
	wantKind(t, "a body without end", err, provider.Transient)
	if n := len(w.site("site-1").Users()); n != 0 {
		t.Errorf("%d users", n)
	}
}

// What a dialer refuses keeps its meaning: an address that is private will not become public.
func TestADialerThatRefuses(t *testing.T) {
	w := start(t)
	refusing := func(cause error) *Provider {
		t.Helper()
		p, err := New(Options{HTTP: &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, cause }}}, Now: w.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	cause := &provider.Error{Kind: provider.Invalid, Message: "it leads to an address that is not public"}
	_, err := refusing(cause).Create(t.Context(), w.wish("site-1"))
	wantKind(t, "refused", err, provider.Invalid)
	if err == nil || !strings.Contains(err.Error(), "not public") {
		t.Errorf("it does not say why: %v", err)
	}
	plainly := errors.New("it does not listen")
	_, err = refusing(plainly).Create(t.Context(), w.wish("site-1"))
	wantKind(t, "failed", err, provider.Transient)
	if !errors.Is(err, plainly) {
		t.Errorf("its cause is gone: %v", err)
	}
}

// P10: neither the password nor a token is in an object, an error or a control login, also where
// a site repeats them.
func TestP10NothingRepeatsThePassword(t *testing.T) {
	repeat := `{"errors":[{"name":"` + testPassword + `","message":"` + testPassword + `","data":{"errors":[{"path":"` + testPassword[:12] + `"},{"path":"x` + testPassword + `"}]}}],` +
		`"message":"` + testPassword + `","token":"a-token","initialized":true,"user":{"id":"` + testPassword + `"}}`
	for _, path := range []string{initPath, firstPath, loginPath} {
		for _, status := range []int{200, 400, 401, 403, 404, 409, 429, 500} {
			w := start(t)
			p, wish := w.open(), w.wish("site-1")
			w.faults.Add(refuse(path, status, repeat))
			o, err := p.Create(t.Context(), wish)
			found, lookErr := p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Name: wish.Name, Wish: &wish})
			data, jsonErr := json.Marshal([]any{o, found})
			if jsonErr != nil {
				t.Fatal(jsonErr)
			}
			for _, text := range []string{fmt.Sprintf("%v %+v %v %+v", o, o, found, found), string(data), fmt.Sprint(err), fmt.Sprint(lookErr)} {
				if strings.Contains(text, testPassword) || strings.Contains(text, "a-token") || strings.Contains(text, "simulated.") {
					t.Fatalf("%s %d: a secret is told", path, status)
				}
			}
		}
	}
	w := start(t)
	var bodies []string
	w.faults.Add(simulator.Fault{Path: loginPath, Match: func(_ *http.Request, body []byte) bool { bodies = append(bodies, string(body)); return false }, Do: simulator.LoseRequest()})
	if err := w.site("site-1").Add("eve@elsewhere.example", "a stranger's password", false); err != nil {
		t.Fatal(err)
	}
	look(t, w.open(), w.wish("site-1"))
	if len(bodies) != 2 || strings.Contains(bodies[1], testPassword) || strings.Contains(bodies[1], testEmail) {
		t.Errorf("%d logins, or the control holds ours", len(bodies))
	}
}

// By id without an address nothing is asked; with one that does not answer it is an error.
func TestByID(t *testing.T) {
	w := start(t)
	var where string
	var whereErr error
	p, err := New(Options{HTTP: &http.Client{Transport: w, Timeout: time.Minute}, Now: w.clock.Now, Where: func(context.Context, string) (string, error) { return where, whereErr }})
	if err != nil {
		t.Fatal(err)
	}
	o := create(t, p, w.wish("site-1"))
	w.asked()
	ask := func() ([]provider.Object, error) {
		return p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, ID: o.ID})
	}
	if found, err := ask(); err != nil || len(found) != 1 || len(w.asked()) != 0 {
		t.Errorf("nobody knows where: %v, %v", found, err)
	}
	whereErr = errors.New("the store is closed")
	_, err = ask()
	wantKind(t, "where fails", err, provider.Transient)
	where, whereErr = "ftp://shop.example", nil
	_, err = ask()
	wantKind(t, "where is odd", err, provider.Invalid)
	where = w.address("site-1")
	if err := w.site("site-1").Drop(); err != nil {
		t.Fatal(err)
	}
	if found, err := ask(); err != nil || len(found) != 0 {
		t.Errorf("no user is there: %v, %v", found, err)
	}
	w.server.Close()
	if found, err := ask(); err == nil || len(found) != 0 {
		t.Errorf("nobody answers: %v", found)
	}
	_, err = p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Name: o.Name})
	wantKind(t, "a name alone", err, provider.Invalid)
	if _, err := New(Options{}); err == nil {
		t.Error("opened without a client")
	}
}
