package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// What is certainly wrong with a vendor's block is said at the start, all of it at once, and
// ends with 2; what an .env brought along is no wish.
func TestConfigOfVendors(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	for name := range w.env {
		delete(w.env, name)
	}
	file := func(providers, more string) {
		w.configure("")
		path := filepath.Join(w.dir, defaultConfigFile)
		text := strings.Replace(readAll(t, path), `providers: {embedded: {dir: ".", dns: "127.0.0.1:0"}}`, `providers: {embedded: {dir: ".", dns: "127.0.0.1:0"}`+providers+"}", 1)
		if err := os.WriteFile(path, []byte(text+more), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		providers, more string
		wrong           []string
	}{
		{", ploi: {apiToken: invented-1}", "", []string{"providers.ploi.servers, or serverID, or PLOI_SERVER_ID, is missing"}},
		{", ploi: {}", "", []string{"providers.ploi.apiToken, or apiTokenFile, or PLOI_API_TOKEN, is missing", "providers.ploi.servers, or serverID"}},
		{", ploi: {apiToken: invented-1, servers: {web-1: reef, web-2: \"7\"}, apiURL: ploi}", "", []string{"providers.ploi.servers: the id of server \"web-1\" is no number", "providers.ploi.apiURL is not an address"}},
		{", cloudflare: {}, vercel: {teamID: t}, railway: {workspace: w}, postgres: {host: db}", "", []string{"providers.cloudflare.apiToken", "providers.vercel.apiToken", "providers.railway.apiKey", "providers.postgres.dsn"}},
		{", cloudflare: {apiToken: invented-1, zoneID: shop.example}, postgres: {dsn: here, connectionLimit: -1}", "", []string{"providers.cloudflare.zoneID is not a zone's id", "providers.postgres: "}},
		{"", "network: {proxy: \"here:8080\", caFile: gone.pem}\n", []string{"network.proxy is not an address", "network.caFile: read certificate authorities: "}},
	} {
		file(c.providers, c.more)
		r := w.cli("apply")
		if r.code != exitUsage || strings.Contains(r.err, "invented-1") {
			t.Errorf("%s%s ends with %d: %s", c.providers, c.more, r.code, r.err)
		}
		for _, want := range c.wrong {
			if !strings.Contains(r.err, want) {
				t.Errorf("%s%s: no %q in %s", c.providers, c.more, want, r.err)
			}
		}
	}
	file("", "")
	w.env["PLOI_API_TOKEN"], w.env["CLOUDFLARE_API_TOKEN"], w.env["VERCEL_TEAM_ID"] = "invented-1", "invented-2", "team"
	if r := w.must(0, "apply"); !strings.Contains(r.err, "there is a token of Ploi and no server") {
		t.Errorf("%s", r.err)
	}
	// What is not there is said once a client, with what needs it and what is there instead.
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: ploi, server: web-1}")})
	v := w.plan()
	if len(v.Problems) != 1 || v.Problems[0].Text != "deployment.provider ploi: providers.ploi is not configured: site, environment, deployment, traffic and domain need it" ||
		v.Problems[0].Hint != "add the block providers.ploi to reconciler.yaml, or choose in deployment.provider what is there: local, external, none" {
		t.Errorf("%+v", v.Problems)
	}
}
