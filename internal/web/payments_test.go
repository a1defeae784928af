package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// The way to an account's keeper is made for a click, and stands nowhere but in the answer's
// Location: in no page, no log, no cache.
func TestWayToPayments(t *testing.T) {
	var log bytes.Buffer
	made := 0
	h := handler(t, Options{Read: fleet(), PublicURL: "https://pages.example", Log: slog.New(slog.NewTextHandler(&log, nil)), Onboard: func(_ context.Context, name string) (state.Secret, error) {
		switch name {
		case "demoshop":
			made++
			return state.NewSecret(fmt.Sprintf("https://connect.example/setup/bearer-%d", made)), nil
		case "odd":
			return state.NewSecret("javascript:bearer(1)"), nil
		case "none":
			return state.Secret{}, fmt.Errorf("%w: none has no account for payments", reconcile.ErrRefused)
		case "away":
			return state.Secret{}, Unable("Stripe gives no way\nto its pages")
		case "broken":
			return state.Secret{}, errors.New("the disk is full")
		}
		return state.Secret{}, fmt.Errorf("%w: %q", reconcile.ErrNoClient, name)
	}})
	for _, c := range []struct {
		name, method, from, purpose string
		status, made                int
		said                        string
	}{
		{"demoshop", "GET", "same-origin", "", 303, 1, ""},
		{"demoshop", "GET", "none", "", 303, 1, ""},
		{"demoshop", "GET", "", "", 303, 1, ""}, // a browser that doesn't say; curl
		{"demoshop", "GET", "cross-site", "", 200, 0, `<a href="/clients/demoshop/payments">Go on to stripe</a>`},
		{"demoshop", "GET", "same-site", "", 200, 0, "a bank account"},
		{"demoshop", "GET", "bogus", "", 200, 0, "Go on to stripe"},
		{"demoshop", "HEAD", "same-origin", "", 204, 0, ""},
		{"demoshop", "GET", "same-origin", "prefetch;prerender", 204, 0, ""},
		{"demoshop", "POST", "same-origin", "", 405, 0, ""},
		{"newshop", "GET", "cross-site", "", 404, 0, ""},
		{"nobody", "GET", "none", "", 404, 0, "nobody"},
		{"none", "GET", "none", "", 404, 0, "has no account for payments"},
		{"odd", "GET", "none", "", 503, 0, "no address of the web"},
		{"away", "GET", "none", "", 503, 0, "Stripe gives no way to its pages"},
		{"broken", "GET", "none", "", 500, 0, "the log says why"},
		{strings.Repeat("n", maxName+1), "GET", "none", "", 400, 0, ""},
	} {
		before := made
		r := request(c.method, "/clients/"+c.name+"/payments")
		if c.from != "" {
			r.Header.Set("Sec-Fetch-Site", c.from)
		}
		if c.purpose != "" {
			r.Header.Set("Sec-Purpose", c.purpose)
		}
		w := do(h, r)
		to := w.Header().Get("Location")
		what := fmt.Sprintf("%s %.20s from %q, %s", c.method, c.name, c.from, c.purpose)
		if w.Code != c.status || made-before != c.made || (c.status == 303) != (to == fmt.Sprintf("https://connect.example/setup/bearer-%d", made)) || c.status != 303 && to != "" {
			t.Errorf("%s: %d to %q, %d made", what, w.Code, to, made-before)
		}
		if !strings.Contains(w.Body.String(), c.said) || strings.Contains(w.Body.String(), "bearer") {
			t.Errorf("%s says\n%s", what, w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", what, w.Header())
		}
	}
	if strings.Contains(log.String(), "bearer") || !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the log says\n%s", log.String())
	}
	// Nobody else is led there.
	for from, host := range map[string]string{"192.0.2.7:1": "pages.example", "127.0.0.1:1": "evil.example"} {
		before := made
		r := request("GET", "/clients/demoshop/payments")
		r.RemoteAddr, r.Host = from, host
		if w := do(h, r); w.Code < 400 || w.Header().Get("Location") != "" || made != before {
			t.Errorf("from %s at %s: %d", from, host, w.Code)
		}
	}
	without := handler(t, Options{Read: fleet()})
	if w := do(without, request("GET", "/clients/demoshop/payments")); w.Code != http.StatusNotFound {
		t.Errorf("where nobody takes payments: %d", w.Code)
	}
	if page := get(t, without, "/clients/demoshop"); strings.Contains(page, "/payments") || !strings.Contains(page, "Payments at stripe: ") {
		t.Errorf("the page without a way says\n%s", page)
	}
	if page := get(t, h, "/clients/demoshop"); !strings.Contains(page, `a bank account · <a href="/clients/demoshop/payments">to stripe</a>`) {
		t.Errorf("the page says\n%s", page)
	}
}
