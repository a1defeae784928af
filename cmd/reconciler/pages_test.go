package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// The sites are for everybody; the page and the API only for this machine, by its own
// names and that of publicURL, though sites get every other name on the same address.
func TestPagesBesideSites(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.configure("publicURL: https://reconciler.your-agency.example\n")
	w.start()
	w.active("demoshop")
	h, err := w.daemon.program.handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		from, host, path string
		want             int
		says             string
	}{
		{"127.0.0.1:1", "localhost", "/", 200, "1 client"},
		{"127.0.0.1:1", "reconciler.your-agency.example", "/", 200, "1 client"},
		{"127.0.0.1:1", "reconciler.your-agency.example", "/clients/demoshop", 200, "demoshop"},
		{"127.0.0.1:1", "evil.example", "/api/clients", 404, "No site has this address"},
		{"192.0.2.7:1", "localhost", "/api/clients", 403, "only this machine"},
		{"192.0.2.7:1", "reconciler.your-agency.example", "/", 403, "only this machine"},
		{"192.0.2.7:1", "192.0.2.1", "/readyz", 200, "ok"},
		{"192.0.2.7:1", "demoshop.localhost", "/", 200, "Shop demoshop"},
	} {
		r := httptest.NewRequest(http.MethodGet, x.path, nil)
		r.RemoteAddr, r.Host = x.from, x.host
		a := httptest.NewRecorder()
		h.ServeHTTP(a, r)
		if a.Code != x.want || !strings.Contains(a.Body.String(), x.says) {
			t.Errorf("%s%s from %s: %d %.200s", x.host, x.path, x.from, a.Code, a.Body)
		}
	}
	// Every record of the list is found by its id.
	_, body := w.get("localhost", "/api/deployments?client=demoshop")
	var list struct{ Deployments []state.Deployment }
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Deployments) == 0 {
		t.Fatalf("%v: %s", err, body)
	}
	for _, d := range list.Deployments {
		var one state.Deployment
		if code, body := w.get("localhost", "/api/deployments/"+d.ID); code != 200 || json.Unmarshal([]byte(body), &one) != nil || one.ID != d.ID || len(one.Steps) != len(d.Steps) {
			t.Errorf("deployment %s: %d %s", d.ID, code, body)
		}
	}
	if code, _ := w.get("localhost", "/api/deployments/nothing"); code != 404 {
		t.Errorf("a deployment that isn't there: %d", code)
	}
}

// The demo's Git asks nobody who he is, and so answers only this machine.
func TestDemoGitIsForThisMachine(t *testing.T) {
	w := newWorld(t, map[string]string{})
	w.start()
	p := w.daemon.program
	p.gitServer = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("git")) })
	h, err := p.handler()
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]int{"127.0.0.1:1": 200, "[::1]:1": 200, "192.0.2.7:1": 403} {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/git/clients.git/git-receive-pack", nil)
		r.RemoteAddr = from
		a := httptest.NewRecorder()
		h.ServeHTTP(a, r)
		if a.Code != want || strings.Contains(a.Body.String(), "git") != (want == 200) {
			t.Errorf("from %s: %d %s", from, a.Code, a.Body)
		}
	}
}
