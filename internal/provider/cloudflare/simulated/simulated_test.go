package simulated

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/simulator"
)

const (
	token = "invented-token"
	zone  = "00000000000000000000000000000one"
)

// vendor is one of two zones with a clock.
func vendor(t *testing.T, o Options) (*Vendor, *time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	o.Now, o.Token, o.Zones = func() time.Time { return now }, token, []Zone{{ID: zone, Name: "shops.example", Quota: 6}, {ID: "two", Name: "two.example"}}
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v, &now
}

// papers are Cloudflare's two descriptions, read once: records as they are now, all else as of
// 2024.
var papers struct {
	once          sync.Once
	records, rest *contract.Contract
}

// judged holds what a vendor is asked and answers against them.
func judged(t *testing.T, v http.Handler) http.Handler {
	t.Helper()
	papers.once.Do(func() {
		inner := func(path string) string { return strings.TrimPrefix(path, base) }
		papers.records = contract.OpenAPI(t, contract.Description{Vendor: "Cloudflare (records)", File: "cloudflare/dns-records.openapi.json", Inner: inner})
		papers.rest = contract.OpenAPI(t, contract.Description{Vendor: "Cloudflare (zones)", File: "cloudflare/openapi.json", Loose: true, Inner: inner,
			Relax: func(doc *openapi3.T) {
				o := doc.Paths.Value("/zones/{zone_id}/purge_cache").Post // published as success and failure at once: nothing fits
				o.Responses.Delete("4XX")
				o.Responses.Delete("4xx")
			}})
	})
	records, rest := papers.records.For(t).Handler(v), papers.rest.For(t).Handler(v)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/dns_records") {
			records.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// ask makes a request; what comes back is "STATUS CODE,CODE" and the answer.
func ask(t *testing.T, v http.Handler, method, path, body string) (string, map[string]any, http.Header) {
	t.Helper()
	r := httptest.NewRequest(method, base+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	judged(t, v).ServeHTTP(w, r)
	data, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Errors []message
		Result any
	}
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatalf("%s %s: %s", method, path, data)
	}
	said := fmt.Sprint(w.Code)
	for _, m := range e.Errors {
		said += fmt.Sprintf(" %d", m.Code)
		for _, c := range m.Chain {
			said += fmt.Sprintf("/%d", c.Code)
		}
	}
	var all map[string]any
	_ = json.Unmarshal(data, &all)
	return said, all, w.Header()
}

// Each refusal has its code, and changes nothing.
func TestRefusals(t *testing.T) {
	v, _ := vendor(t, Options{})
	records := "/zones/" + zone + "/dns_records"
	for i, c := range []struct{ method, path, body, want string }{
		{"POST", records, `{"type":"A","name":"a","content":"192.0.2.1","ttl":1}`, "200"},
		{"POST", records, `{"type":"A","name":"a.shops.example","content":"192.0.2.1","ttl":1}`, "400 81058"},
		{"POST", records, `{"type":"A","name":"a.shops.example","content":"192.0.2.2","ttl":1}`, "200"},
		{"POST", records, `{"type":"CNAME","name":"a.shops.example","content":"x.example","ttl":1}`, "400 81053"},
		{"POST", records, `{"type":"CNAME","name":"c.shops.example","content":"x.example","ttl":1}`, "200"},
		{"POST", records, `{"type":"AAAA","name":"c.shops.example","content":"2001:db8::1","ttl":1}`, "400 81054"},
		{"POST", records, `{"type":"A","name":"b.shops.example","content":"x","ttl":1}`, "400 1004/9005"},
		{"POST", records, `{"type":"AAAA","name":"b.shops.example","content":"192.0.2.1","ttl":1}`, "400 1004/9006"},
		{"POST", records, `{"type":"CNAME","name":"b.shops.example","content":"b.shops.example","ttl":1}`, "400 1004/9007"},
		{"POST", records, `{"type":"MX","name":"b.shops.example","content":"mx.example","ttl":1}`, "400 1004/9100"},
		{"POST", records, `{"type":"CAA","name":"b.shops.example","content":"0 issue x","ttl":1}`, "400 1004/9101"},
		{"POST", records, `{"type":"SRV","name":"b.shops.example","content":"1 2 x","ttl":1}`, "400 1004/9101"},
		{"POST", records, `{"type":"TXT","name":"b.shops.example","content":"x","ttl":1,"proxied":true}`, "400 1004/9004"},
		{"POST", records, `{"type":"TXT","name":"b.shops.example","content":"x","ttl":5}`, "400 1004/9021"},
		{"POST", records, `{"type":"TXT","name":"b.shops.example","content":"x","ttl":1,"tags":["a:b"]}`, "400 1004/9300"},
		{"POST", records, `{"type":"TXT","name":"b.shops.example","content":"x","ttl":1,"comment":"` + strings.Repeat("c", 101) + `"}`, "400 9313"},
		{"POST", records, `{"type":"TXT","name":"b.shops.example","content":"` + strings.Repeat("c", 5000) + `","ttl":1}`, "400 1004"},
		{"POST", records, `{"type":"TXT","content":"x"}`, "400 1004/9000"},
		{"POST", records, `{"type":"LOC","name":"b","content":"x"}`, "400 1004"},
		{"POST", records, `{`, "400 9207"},
		{"GET", records + "/ffff", "", "404 81044"},
		{"PATCH", records + "/ffff", `{}`, "404 81044"},
		{"DELETE", records + "/ffff", "", "404 81044"},
		{"GET", records + "?per_page=0", "", "400 1004"},
		{"GET", "/zones?per_page=51", "", "400 1004"},
		{"GET", "/zones/unknown", "", "403 9109"},
		{"GET", "/elsewhere", "", "404 7003"},
		{"POST", "/zones/" + zone + "/purge_cache", `{}`, "400 1012"},
		{"POST", records + "/batch", `{"posts":[{"type":"TXT","name":"d","content":"x","ttl":1},{"type":"A","name":"e","content":"x","ttl":1}]}`, "400 1004/9005"},
		{"POST", records + "/batch", `{"deletes":[` + strings.TrimSuffix(strings.Repeat(`{"id":"a"},`, 201), ",") + `]}`, "400 1004"},
		{"POST", records + "/batch", `{"posts":[{"type":"TXT","name":"d","content":"1","ttl":1},{"type":"TXT","name":"d","content":"2","ttl":1},{"type":"TXT","name":"d","content":"3","ttl":1}]}`, "200"},
		{"POST", records, `{"type":"TXT","name":"d","content":"4"}`, "400 81045"},
	} {
		if got, _, _ := ask(t, v, c.method, c.path, c.body); got != c.want {
			t.Errorf("%d: %s %.80s: %s, want %s", i, c.method, c.body, got, c.want)
		}
	}
	if n := len(v.Records(zone)); n != 6 {
		t.Errorf("%d records", n)
	}
	for header, want := range map[string]int{"": 400, "Bearer other": 403} {
		r := httptest.NewRequest(http.MethodGet, base+"/zones", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		if judged(t, v).ServeHTTP(w, r); w.Code != want {
			t.Errorf("%q: %d", header, w.Code)
		}
	}
}

// A batch deletes first and makes last; it happens whole or not at all.
func TestBatchOrder(t *testing.T) {
	v, _ := vendor(t, Options{})
	id, err := v.Add(Record{Zone: zone, Type: "A", Name: "a.shops.example", Content: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	path := "/zones/" + zone + "/dns_records/batch"
	if got, _, _ := ask(t, v, "POST", path, `{"posts":[{"type":"CNAME","name":"a","content":"x.example","ttl":1},{"type":"A","name":"b","content":"no","ttl":1}],"deletes":[{"id":"`+id+`"}]}`); got != "400 1004/9005" || len(v.Records(zone)) != 1 {
		t.Errorf("%s: %v", got, v.Records(zone))
	}
	if got, _, _ := ask(t, v, "POST", path, `{"posts":[{"type":"CNAME","name":"a","content":"x.example","ttl":1}],"deletes":[{"id":"`+id+`"}]}`); got != "200" || len(v.Records(zone)) != 1 || v.Records(zone)[0].Type != "CNAME" {
		t.Errorf("%s: %v", got, v.Records(zone))
	}
}

// The addresses of a name are proxied together, and lose their time to live.
func TestProxyOfAName(t *testing.T) {
	v, _ := vendor(t, Options{})
	for _, body := range []string{`{"type":"A","name":"a","content":"192.0.2.1","ttl":300}`, `{"type":"AAAA","name":"a","content":"2001:db8::1","ttl":300,"proxied":true}`} {
		if got, _, _ := ask(t, v, "POST", "/zones/"+zone+"/dns_records", body); got != "200" {
			t.Fatal(got)
		}
	}
	for _, r := range v.Records(zone) {
		if !r.Proxied || r.TTL != 1 {
			t.Errorf("%+v", r)
		}
	}
	if got := v.Answers("A", "A.shops.example."); len(got) != 1 || got[0] == "192.0.2.1" {
		t.Errorf("what is behind the proxy is answered: %v", got)
	}
}

// What was made is there after a restart; lists are late, a look by id is not.
func TestRestartAndLag(t *testing.T) {
	o := Options{File: filepath.Join(t.TempDir(), "cloudflare.json"), Lag: func() time.Duration { return time.Minute }}
	v, now := vendor(t, o)
	_, made, _ := ask(t, v, "POST", "/zones/"+zone+"/dns_records", `{"type":"TXT","name":"t","content":"kept","ttl":60,"comment":"mine"}`)
	id, _ := made["result"].(map[string]any)["id"].(string)
	if got, _, _ := ask(t, v, "GET", "/zones/"+zone+"/dns_records/"+id, ""); got != "200" {
		t.Errorf("by id: %s", got)
	}
	count := func(v *Vendor) float64 {
		_, list, _ := ask(t, v, "GET", "/zones/"+zone+"/dns_records?comment.startswith=MI&name.exact=t.shops.example&type=TXT", "")
		n, _ := list["result_info"].(map[string]any)["total_count"].(float64)
		return n
	}
	if n := count(v); n != 0 {
		t.Errorf("at once a list shows %v", n)
	}
	*now = now.Add(time.Minute)
	if n := count(v); n != 1 {
		t.Errorf("later a list shows %v", n)
	}
	if err := v.Edit(id, func(r *Record) { r.Comment = "theirs" }); err != nil {
		t.Fatal(err)
	}
	again, _ := vendor(t, o)
	if r := again.Records(zone); len(r) != 1 || r[0].ID != id || r[0].Content != `"kept"` || r[0].Comment != "theirs" {
		t.Errorf("after a restart: %+v", r)
	}
	if err := again.Remove(id); err != nil || len(again.Records(zone)) != 0 {
		t.Errorf("removed: %v", err)
	}
}

// 1,200 calls in five minutes, with the headers that say how many are left; a fault counts
// for nothing that was not asked for.
func TestLimitAndFaults(t *testing.T) {
	faults := &simulator.Faults{}
	v, now := vendor(t, Options{Faults: faults, Calls: 2})
	_, _, header := ask(t, v, "GET", "/zones", "")
	if header.Get("Ratelimit") != `"default";r=1;t=300` || header.Get("Ratelimit-Policy") != `"default";q=2;w=300` {
		t.Errorf("%v", header)
	}
	faults.Add(simulator.Fault{Path: base + "/zones", Do: simulator.Refuse(503, nil, `{"errors":[{"code":1001}]}`)})
	if got, _, _ := ask(t, v, "GET", "/zones", ""); got != "503 1001" || v.Calls() != 1 {
		t.Errorf("%s after %d calls", got, v.Calls())
	}
	ask(t, v, "GET", "/zones", "")
	got, _, header := ask(t, v, "GET", "/zones", "")
	if got != "429 10429" || header.Get("Retry-After") != "300" {
		t.Errorf("%s %v", got, header)
	}
	*now = now.Add(window)
	if got, _, _ := ask(t, v, "GET", "/zones", ""); got != "200" {
		t.Errorf("later: %s", got)
	}
}
