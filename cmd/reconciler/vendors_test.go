package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

// One credential has one transport: its requests are counted by provider and route, a vendor
// that stops to answer is told once, stands among the notices, and leaves them when it is back.
func TestVendorsAreCountedAndTold(t *testing.T) {
	down := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	var said strings.Builder
	p := &program{vendors: newVendors(), now: time.Now, log: slog.New(slog.NewTextHandler(&said, nil))}
	client, err := p.vendorHTTP("vendor", limit{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	c := &httpapi.Client{Provider: "vendor", Base: server.URL, HTTP: client, Now: p.now}
	for range 5 {
		if _, err := c.Do(context.Background(), httpapi.Call{Op: "create", Method: http.MethodPost, Path: "/things/17"}); err == nil {
			t.Error("it answered")
		}
	}
	if got := strings.Join(p.vendors.notices(), "\n"); strings.Count(got, "vendor does not answer since") != 1 {
		t.Errorf("notices: %q", got)
	}
	scrape := func() string {
		w := httptest.NewRecorder()
		p.vendors.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	for _, line := range []string{`reconciler_provider_requests_total{method="POST",provider="vendor",route="/things/*",status="502"} 5`, `reconciler_provider_up{provider="vendor"} 0`, `reconciler_provider_request_seconds_count{provider="vendor"} 5`} {
		if !strings.Contains(scrape(), line) {
			t.Errorf("no line %s in\n%s", line, scrape())
		}
	}
	p.changed("vendor", true, "it answers again")
	if got := p.vendors.notices(); len(got) != 0 {
		t.Errorf("notices: %q", got)
	}
	if !strings.Contains(scrape(), `reconciler_provider_up{provider="vendor"} 1`) {
		t.Error("it is not up again")
	}
	if n := strings.Count(said.String(), "does not answer"); n != 1 || strings.Count(said.String(), "is back") != 1 {
		t.Errorf("told %s", said.String())
	}
}
