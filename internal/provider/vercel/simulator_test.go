package vercel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// bare speaks to a simulated Vercel without the provider, through the contract.
type bare struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
	team   string
}

func newBare(t *testing.T, k *contract.Contract, sim http.Handler) *bare {
	t.Helper()
	server := httptest.NewServer(k.Handler(sim))
	t.Cleanup(server.Close)
	return &bare{t, server, &http.Client{Transport: k.Wrap(&http.Transport{DisableKeepAlives: true})}, team}
}

// ask makes one request and wants the status; it returns the body and the headers.
func (b *bare) ask(want int, method, path, body string) (map[string]any, http.Header) {
	b.t.Helper()
	path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "teamId=" + b.team
	if strings.HasPrefix(path, "/v2/user") || strings.HasPrefix(path, "/v2/teams") {
		path, _, _ = strings.Cut(path, "?")
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != want {
		b.t.Fatalf("%s %s: %d %s, %v; want %d", method, path, a.StatusCode, data, err, want)
	}
	var out map[string]any
	if len(bytes.TrimSpace(data)) > 0 && data[0] == '{' {
		if err := json.Unmarshal(data, &out); err != nil {
			b.t.Fatal(err)
		}
	}
	return out, a.Header
}

func (b *bare) code(want int, code, method, path, body string) {
	b.t.Helper()
	out, _ := b.ask(want, method, path, body)
	if e, _ := out["error"].(map[string]any); e["code"] != code {
		b.t.Errorf("%s %s: %v, want %s", method, path, out, code)
	}
}

// Every operation of the simulated Vercel, and every refusal of its own, is as published.
func TestSimulatorIsAsPublished(t *testing.T) {
	k := published(t)
	at := newClock()
	file := filepath.Join(t.TempDir(), "vercel.json")
	o := simulated.Options{Now: at.Now, Token: token, Team: team, File: file, Lag: 10 * time.Second, BuildPolls: 1, PointTime: time.Second, MaxProjects: 30}
	sim, err := simulated.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b := newBare(t, k, sim)
	b.ask(200, "GET", "/v2/user", "")
	b.ask(200, "GET", "/v2/teams", "")
	b.ask(200, "GET", "/v2/teams/"+team, "")
	b.code(403, "forbidden", "GET", "/v2/teams/team_other", "")

	p, header := b.ask(200, "POST", "/v11/projects", `{"name":"shop","gitRepository":{"type":"bitbucket","repo":"agency/shop"}}`)
	id := fmt.Sprint(p["id"])
	if header.Get("X-RateLimit-Limit") == "" || header.Get("X-RateLimit-Remaining") == "" || header.Get("X-RateLimit-Reset") == "" || !strings.HasPrefix(id, "prj_") {
		t.Errorf("%v, %v", header, p)
	}
	b.code(409, "conflict", "POST", "/v11/projects", `{"name":"shop"}`)
	b.code(400, "bad_request", "POST", "/v11/projects", `{"name":"A Shop"}`)
	b.code(400, "bad_request", "PATCH", "/v9/projects/shop", `{"nodeVersion":"9.x"}`)
	b.code(404, "not_found", "GET", "/v9/projects/other", "")
	b.code(400, "bad_request", "POST", "/v1/projects/other/pause", "")

	b.ask(201, "POST", "/v10/projects/shop/env", `{"key":"A","value":"1","type":"plain","target":["production"]}`)
	b.code(403, "ENV_ALREADY_EXISTS", "POST", "/v10/projects/shop/env", `{"key":"A","value":"2","type":"plain","target":["production"]}`)
	some, _ := b.ask(201, "POST", "/v10/projects/shop/env", `[{"key":"A","value":"2","type":"plain","target":["production"]},{"key":"B","value":"pssst","type":"sensitive","target":["production"]}]`)
	if failed, _ := some["failed"].([]any); len(failed) != 1 {
		t.Errorf("failed: %v", some)
	}
	b.ask(201, "POST", "/v10/projects/shop/env?upsert=true", `[{"key":"C","value":"pssst","type":"encrypted","target":["production","preview"]}]`)
	all, _ := b.ask(200, "GET", "/v10/projects/shop/env?decrypt=true", "")
	if text := fmt.Sprint(all); strings.Count(text, "pssst") != 1 {
		t.Errorf("sensitive values are given back: %s", text)
	}

	b.ask(200, "POST", "/v10/projects/shop/domains", `{"name":"shop.example"}`)
	b.code(400, "domain_already_in_use", "POST", "/v10/projects/shop/domains", `{"name":"shop.example"}`)
	b.code(400, "invalid_domain", "POST", "/v10/projects/shop/domains", `{"name":"shop"}`)
	sim.Claim("claimed.example")
	b.ask(200, "POST", "/v10/projects/shop/domains", `{"name":"claimed.example","redirect":"shop.example"}`)
	b.code(400, "missing_txt_record", "POST", "/v9/projects/shop/domains/claimed.example/verify", "")
	b.ask(200, "GET", "/v6/domains/shop.example/config", "")
	b.ask(200, "GET", "/v6/domains/nobody.example/config", "")

	d, _ := b.ask(200, "POST", "/v13/deployments", fmt.Sprintf(`{"name":"shop","project":%q,"target":"production","files":[{"file":"index.html","data":"hi"}]}`, id))
	dpl := fmt.Sprint(d["id"])
	b.code(400, "missing_files", "POST", "/v13/deployments", `{"name":"shop"}`)
	b.code(400, "bad_request", "POST", "/v10/projects/"+id+"/promote/"+dpl, "")
	b.ask(200, "GET", "/v13/deployments/"+dpl, "")
	b.ask(200, "GET", "/v3/deployments/"+dpl+"/events?builds=1", "")
	b.ask(200, "GET", "/v2/deployments/"+dpl+"/aliases", "") // production followed by itself
	second, _ := b.ask(200, "POST", "/v13/deployments", fmt.Sprintf(`{"name":"shop","project":%q,"target":"production","files":[{"file":"index.html","data":"ho"}]}`, id))
	b.ask(200, "PATCH", "/v9/projects/shop", `{"autoAssignCustomDomains":false}`)
	next := fmt.Sprint(second["id"])
	b.ask(200, "GET", "/v13/deployments/"+next, "")
	b.ask(200, "GET", "/v13/deployments/"+next, "")
	b.ask(201, "POST", "/v1/projects/"+id+"/rollback/"+dpl, "")
	b.code(409, "conflict", "POST", "/v10/projects/"+id+"/promote/"+next, "")
	b.ask(200, "GET", "/v1/projects/"+id+"/promote/aliases", "")
	if found, _ := b.ask(200, "GET", "/v9/projects/shop/domains", ""); len(found["domains"].([]any)) != 0 {
		t.Error("lists are not late")
	}
	at.Move(10 * time.Second)
	b.ask(200, "GET", "/v9/projects/shop/domains?limit=1", "")
	b.ask(200, "GET", "/v6/deployments?projectId="+id, "")

	// What it holds outlives it; pages by timestamp are complete.
	for n := range 25 {
		b.ask(200, "POST", "/v11/projects", fmt.Sprintf(`{"name":"shop-%d"}`, n))
	}
	if err := sim.Save(); err != nil {
		t.Fatal(err)
	}
	again, err := simulated.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b = newBare(t, k, again)
	at.Move(10 * time.Second)
	seen, from := map[string]bool{}, ""
	for range 10 {
		page, _ := b.ask(200, "GET", "/v10/projects?limit=7"+from, "")
		for _, x := range page["projects"].([]any) {
			seen[fmt.Sprint(x.(map[string]any)["name"])] = true
		}
		after := page["pagination"].(map[string]any)["next"]
		if after == nil {
			break
		}
		from = fmt.Sprintf("&from=%.0f", after)
	}
	if len(seen) != 26 {
		t.Errorf("%d projects in the pages", len(seen))
	}
	for n := range 5 {
		want := 200
		if n == 4 {
			want = 402
		}
		b.ask(want, "POST", "/v11/projects", fmt.Sprintf(`{"name":"more-%d"}`, n))
	}
	b.team = ""
	b.code(404, "not_found", "GET", "/v9/projects/shop", "")
	b.team = "team_other"
	b.code(403, "forbidden", "GET", "/v9/projects/shop", "")
	k.Some(t)
}

// A limit is an endpoint's, and is over when it says so.
func TestSimulatorLimits(t *testing.T) {
	k := published(t)
	at := newClock()
	sim, err := simulated.New(simulated.Options{Now: at.Now, Token: token, Team: team, Limits: map[string]simulator.Limit{"GET /v10/projects": {Most: 2, Window: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBare(t, k, sim)
	b.ask(200, "GET", "/v10/projects", "")
	b.ask(200, "GET", "/v10/projects", "")
	out, header := b.ask(429, "GET", "/v10/projects", "")
	reset := fmt.Sprint(at.Now().Add(time.Minute).Unix())
	limit := out["error"].(map[string]any)["limit"].(map[string]any)
	if header.Get("X-RateLimit-Remaining") != "0" || header.Get("X-RateLimit-Reset") != reset || fmt.Sprintf("%.0f", limit["reset"]) != reset {
		t.Errorf("%v, %v", header, out)
	}
	b.ask(200, "POST", "/v11/projects", `{"name":"shop"}`)
	at.Move(time.Minute)
	b.ask(200, "GET", "/v10/projects", "")
	k.Some(t)
}

// What a deployment serves can be somebody else's to say.
func TestFrontServesWhatIsAsked(t *testing.T) {
	w := open(t, published(t), simulated.Options{Serve: func(d simulated.Served) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s %s", d.Host, d.Env["KEY"]) })
	}})
	w.provision(t, 1)
	if status, body := w.at("shop1.example", "/"); status != 200 || body != "shop1.example pssst-a-key" {
		t.Errorf("%d %q", status, body)
	}
	if status, _ := w.at("nobody.example", "/"); status != 404 {
		t.Errorf("nobody's name answers %d", status)
	}
}
