package main

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/github/githubtest"
)

// underContract holds what a simulated vendor is asked and what it answers to the vendor's published
// description. When the test ends it logs how many exchanges were judged; none is a failure
// where the vendor was asked.
func underContract(t testing.TB, vendor string, api http.Handler) http.Handler {
	t.Helper()
	return judge(t, vendor)(api)
}

// judge is underContract for handlers that come later.
func judge(t testing.TB, vendor string) func(http.Handler) http.Handler {
	t.Helper()
	papers := []*contract.Contract{descriptionOf(t, vendor)}
	if vendor == "cloudflare" { // whose records have a description of their own
		papers = append(papers, descriptionOf(t, "zones"))
	}
	asked := make([]atomic.Int64, len(papers))
	t.Cleanup(func() {
		for n, paper := range papers {
			if asked[n].Load() > 0 {
				paper.Some(t)
			}
		}
	})
	return func(api http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := 0
			if len(papers) > 1 && !strings.Contains(r.URL.Path, "/dns_records") {
				n = 1
			}
			asked[n].Add(1)
			papers[n].Handler(api).ServeHTTP(w, r)
		})
	}
}

// descriptions are the vendors' descriptions, each read once for all tests, when it is first
// asked for.
var descriptions struct {
	mu  sync.Mutex
	all map[string]*contract.Contract
}

// descriptionOf is a vendor's description, for one test; Cloudflare has a second one, of all
// but its records: zones.
func descriptionOf(t testing.TB, vendor string) *contract.Contract {
	t.Helper()
	descriptions.mu.Lock()
	defer descriptions.mu.Unlock()
	if descriptions.all == nil {
		descriptions.all = map[string]*contract.Contract{}
	}
	if descriptions.all[vendor] == nil {
		descriptions.all[vendor] = readDescription(t, vendor)
	}
	return descriptions.all[vendor].For(t)
}

func readDescription(t testing.TB, vendor string) *contract.Contract {
	t.Helper()
	about := contract.Description{}
	switch vendor {
	case "stripe":
		about = contract.Description{Vendor: "Stripe", File: "stripe/openapi.json", Relax: contract.WithoutDeepLists}
	case "ploi":
		about = contract.Description{Vendor: "Ploi", File: "ploi/ploi.yaml", Inner: below("/api")}
	case "railway":
		return contract.GraphQL(t, "Railway", "railway/schema.graphql")
	case "resend":
		about = contract.Description{Vendor: "Resend", File: "resend/openapi.json"}
	case "cloudflare":
		about = contract.Description{Vendor: "Cloudflare (records)", File: "cloudflare/dns-records.openapi.json", Inner: below("/client/v4")}
	case "zones":
		about = contract.Description{Vendor: "Cloudflare (zones)", File: "cloudflare/openapi.json", Loose: true, Inner: below("/client/v4"), Relax: zonesHere}
	case "vercel":
		about = contract.Description{Vendor: "Vercel", File: "vercel/openapi.json", Loose: true, Relax: alternatives,
			Uncut: []contract.Operation{{Method: "POST", Path: "/v9/projects/{p}/link"}, {Method: "DELETE", Path: "/v9/projects/{p}/link"}, {Method: "POST", Path: "/v1/projects/{p}/domains/{d}/move"}}}
	case "payload":
		return contract.Payload(t)
	case "github":
		return githubtest.Validator(t)
	default:
		t.Fatalf("%s publishes no description that is read here", vendor)
	}
	return contract.OpenAPI(t, about)
}

// below is a path without what stands before the description's.
func below(prefix string) func(string) string {
	return func(path string) string { return strings.TrimPrefix(path, prefix) }
}

// zonesHere takes out of Cloudflare's description what nothing fits, failures that are a success
// at once, and lets a zone be called localhost, whose names lead to this machine.
func zonesHere(d *openapi3.T) {
	for _, path := range []string{"/zones/{zone_id}/purge_cache", "/user/tokens/verify"} {
		for _, o := range d.Paths.Value(path).Operations() {
			o.Responses.Delete("4XX")
			o.Responses.Delete("4xx")
		}
	}
	seen := map[*openapi3.Schema]bool{}
	var names func(r *openapi3.SchemaRef)
	names = func(r *openapi3.SchemaRef) {
		if r == nil || seen[r.Value] {
			return
		}
		seen[r.Value] = true
		if name := r.Value.Properties["name"]; name != nil {
			name.Value.Pattern = ""
		}
		names(r.Value.Items)
		for _, p := range r.Value.Properties {
			names(p)
		}
		for _, p := range slices.Concat(r.Value.AllOf, r.Value.AnyOf, r.Value.OneOf) {
			names(p)
		}
	}
	names(d.Paths.Value("/zones").Get.Responses.Value("200").Value.Content["application/json"].Schema)
}

// alternatives lets an answer of Vercel's fit several alternatives of its description, which
// overlap: a deployment with all that its owner may see is also one with what everybody may.
func alternatives(d *openapi3.T) {
	seen := map[*openapi3.Schema]bool{}
	var anyOf func(r *openapi3.SchemaRef)
	anyOf = func(r *openapi3.SchemaRef) {
		if r == nil || seen[r.Value] {
			return
		}
		s := r.Value
		seen[s] = true
		if slices.Contains(s.Enum, any("CANCELED")) && !slices.Contains(s.Enum, any("BLOCKED")) { // by the generated SDK of 2026-08-20
			s.Enum = append(s.Enum, "BLOCKED")
		}
		s.AnyOf, s.OneOf = append(s.AnyOf, s.OneOf...), nil
		for _, p := range s.Properties {
			anyOf(p)
		}
		for _, p := range s.AnyOf {
			anyOf(p)
		}
		anyOf(s.Items)
		anyOf(s.AdditionalProperties.Schema)
	}
	for _, path := range d.Paths.InMatchingOrder() {
		for _, o := range d.Paths.Value(path).Operations() {
			for _, r := range o.Responses.Map() {
				for _, media := range r.Value.Content {
					anyOf(media.Schema)
				}
			}
		}
	}
	for _, p := range d.Paths.Value("/v13/deployments").Post.Parameters {
		if p.Value.Schema.Value.Type == nil { // forceNew is one of two words, and of no type
			p.Value.Schema.Value.Type = &openapi3.Types{openapi3.TypeString}
		}
	}
}
