package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// Cloudflare is opened where the configuration asks for it, with the token from wherever.
func TestCloudflareIsConfigured(t *testing.T) {
	const repository = "repository: {url: https://git.example/a.git}\n"
	for name, c := range map[string]struct {
		file, wrong string
		env         map[string]string
		opens       bool
	}{
		"nothing":         {},
		"token and block": {file: "providers: {cloudflare: {apiToken: cf-1}}\n", opens: true},
		"token of .env":   {file: "providers: {cloudflare: {}}\n", env: map[string]string{"CLOUDFLARE_API_TOKEN": "cf-1"}, opens: true},
		"zone of .env":    {env: map[string]string{"CLOUDFLARE_API_TOKEN": "cf-1", "CLOUDFLARE_ZONE_ID": "abc"}, opens: true},
		"the default":     {file: "platform: {defaults: {dns: cloudflare}}\n", env: map[string]string{"CLOUDFLARE_API_TOKEN": "cf-1"}, opens: true},
		"no wish":         {env: map[string]string{"CLOUDFLARE_API_TOKEN": "cf-1"}},
		"no token":        {file: "providers: {cloudflare: {}}\n", wrong: "providers.cloudflare.apiToken, or apiTokenFile, or CLOUDFLARE_API_TOKEN, is missing"},
		"no address":      {file: "providers: {cloudflare: {apiToken: cf-1, apiURL: here}}\n", wrong: "providers.cloudflare.apiURL is not an address"},
		"no resolver":     {file: "network: {resolvers: [dns.example]}\n", wrong: `network.resolvers: "dns.example" is not an address`},
		"no zone's id":    {file: "providers: {cloudflare: {apiToken: cf-1, zoneID: shops.example}}\n", wrong: "providers.cloudflare.zoneID is not a zone's id"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := configIn(t, c.env, map[string]string{defaultConfigFile: repository + c.file})
			p := &program{vendors: newVendors(), now: time.Now}
			opened := 0
			if err == nil {
				got, failed := p.openCloudflare(config)
				opened, err = len(got), failed
			}
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "cf-1") {
					t.Errorf("%v; want %q", err, c.wrong)
				}
				return
			}
			if err != nil || (opened == 1) != c.opens {
				t.Errorf("%d opened, %v", opened, err)
			}
			if err := p.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// cloudflareOf is an installation with a simulated Cloudflare that holds the zone localhost,
// with lists as late as lag says.
func cloudflareOf(t *testing.T, lag func() time.Duration) (*world, *simulated.Vendor, *simulator.Faults) {
	t.Helper()
	faults := &simulator.Faults{}
	w := newWorld(t, map[string]string{"clients/florist.yaml": manifestOf("florist")})
	vendor, err := simulated.New(simulated.Options{Now: w.now, Lag: lag, Faults: faults, Token: w.env["CLOUDFLARE_API_TOKEN"], Zones: []simulated.Zone{{ID: "zone1", Name: "localhost", Account: "agency"}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(underContract(t, "cloudflare", vendor))
	t.Cleanup(server.Close)
	w.env["RECONCILER_PROVIDERS_CLOUDFLARE_API_URL"] = server.URL + "/client/v4"
	return w, vendor, faults
}

// recordsAt are a zone's records as "TYPE name content mark".
func recordsAt(v *simulated.Vendor) (out []string) {
	for _, r := range v.Records("zone1") {
		whose := "nobody's"
		if strings.HasPrefix(r.Comment, "reconciler:") {
			whose = "ours"
		}
		out = append(out, fmt.Sprintf("%s %s %s %s", r.Type, r.Name, r.Content, whose))
	}
	slices.Sort(out)
	return out
}

// A client's records are made, changed, replaced by another type and taken away at
// Cloudflare, though the first answer is lost; what was there before stays as it is, and
// once all is well nothing is written any more.
func TestCloudflareFromCommitToRecord(t *testing.T) {
	w, vendor, faults := cloudflareOf(t, nil)
	for _, r := range []simulated.Record{{Type: "TXT", Name: "shop.localhost", Content: "by hand"}, {Type: "MX", Name: "bakery.localhost", Content: "mx.example", Priority: new(int), TTL: 300}} {
		r.Zone = "zone1"
		if _, err := vendor.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	faults.Add(simulator.Fault{Method: "POST", Path: "/client/v4/zones/*/dns_records", Do: simulator.LoseAnswer()})
	dns := func(records string) map[string]string {
		return map[string]string{"clients/bakery.yaml": manifestOf("bakery", "dns: {provider: cloudflare, records: ["+records+"]}")}
	}
	const mail, proof = "{type: MX, name: \"@\", content: MX.example., priority: 0}", "{type: TXT, name: _verify, content: '\"bakery-1\"'}"
	strangers := []string{"MX bakery.localhost mx.example nobody's", `TXT shop.localhost "by hand" nobody's`}
	want := func(what string, ours ...string) {
		t.Helper()
		all := slices.Sorted(slices.Values(append(ours, strangers...)))
		if got := recordsAt(vendor); !slices.Equal(got, all) {
			t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(all, "\n"))
		}
	}
	w.commit(dns(mail + ", " + proof + ", {type: A, name: static, content: 192.0.2.7}"))
	w.active("bakery")
	want("made", "A bakery.localhost 127.0.0.1 ours", "A static.bakery.localhost 192.0.2.7 ours", `TXT _verify.bakery.localhost "bakery-1" ours`)
	calls := vendor.Calls()
	w.apply()
	if got := vendor.Calls(); got != calls {
		t.Errorf("a converged client costs %d calls", got-calls)
	}
	w.commit(dns(mail + ", {type: TXT, name: _verify, content: bakery-1}, {type: A, name: static, content: 192.0.2.8}"))
	w.active("bakery")
	want("changed", "A bakery.localhost 127.0.0.1 ours", "A static.bakery.localhost 192.0.2.8 ours", `TXT _verify.bakery.localhost "bakery-1" ours`)
	w.commit(dns(mail + ", " + proof + ", {type: CNAME, name: static, content: cdn.example}"))
	w.active("bakery")
	want("of another type", "A bakery.localhost 127.0.0.1 ours", "CNAME static.bakery.localhost cdn.example ours", `TXT _verify.bakery.localhost "bakery-1" ours`)
	w.git("rm", "-q", "clients/bakery.yaml")
	w.git("commit", "-q", "-m", "Remove bakery")
	w.push()
	w.apply()
	want("removed")
}

// Cloudflare answers 500 three times: it is looked into, tried again, and one record results.
func TestS27CloudflareFails(t *testing.T) {
	w, vendor, faults := cloudflareOf(t, nil)
	faults.Add(simulator.Fault{Method: "POST", Path: "/client/v4/zones/*/dns_records", Times: 3, Do: simulator.Refuse(500, nil, "<html>")})
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "dns: {provider: cloudflare}")})
	for range 5 {
		if rowOf(w.apply(), "bakery").Status == string(state.StatusActive) {
			break
		}
	}
	w.active("bakery")
	if got := recordsAt(vendor); !slices.Equal(got, []string{"A bakery.localhost 127.0.0.1 ours"}) || faults.Happened()["refused"] != 3 {
		t.Errorf("%v after %v", got, faults.Happened())
	}
}

// A record that somebody edits in the dashboard is found by the schedule and put back where
// the policy says so; a comment that somebody edits is no difference, and loses no record.
func TestS41EditedAtCloudflare(t *testing.T) {
	w, vendor, _ := cloudflareOf(t, nil)
	w.everySecond()
	w.start()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "dns: {provider: cloudflare, records: [{type: MX, name: post, content: MX.Example., priority: 10}, {type: CNAME, name: static, content: CDN.Example.}, {type: TXT, name: note, content: '\"a note\"'}]}",
		"drift: {fields: [{field: record.content, policy: heal}]}")})
	w.active("bakery")
	w.until("a first look", func() bool { return !rowOf(w.status(), "bakery").LastLook.IsZero() })
	if d := w.why("bakery").DriftRows; len(d) > 0 {
		t.Errorf("right after they were made they differ: %+v", d)
	}
	content := func(kind string) (is string) {
		for _, r := range vendor.Records("zone1") {
			if r.Type == kind {
				is += r.Content + " " + r.Comment
			}
		}
		return is
	}
	note := content("TXT")
	for _, r := range vendor.Records("zone1") {
		if err := vendor.Edit(r.ID, func(r *simulated.Record) {
			switch r.Type {
			case "CNAME":
				r.Content = "other.example"
			case "TXT":
				r.Comment = "tidied up"
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.until("it is put back", func() bool { return strings.HasPrefix(content("CNAME"), "cdn.example reconciler:") })
	w.until("the pass ends", func() bool { d := w.why("bakery"); return d.Status == "active" && len(d.DriftRows) == 0 })
	if got := content("TXT"); got != `"a note" tidied up` {
		t.Errorf("the note is %q", got)
	}
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "dns: {provider: cloudflare, records: [{type: TXT, name: note, content: a note, ttl: 600}]}")})
	w.apply()
	w.until("the mark is back", func() bool { return strings.HasPrefix(content("TXT"), note) })
}

// With the first answer to every create dropped, alone or in a batch, and lists that are a
// minute late, one record of each results.
func TestP3CloudflareDropsEveryFirstAnswer(t *testing.T) {
	w, vendor, faults := cloudflareOf(t, func() time.Duration { return time.Minute })
	var mu sync.Mutex
	seen := map[string]bool{}
	for _, path := range []string{"/client/v4/zones/*/dns_records", "/client/v4/zones/*/dns_records/batch"} {
		faults.Add(simulator.Fault{Method: "POST", Path: path, Times: -1, Do: simulator.LoseAnswer(), Match: func(_ *http.Request, body []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			first := false
			for _, content := range []string{`"127.0.0.1"`, `"192.0.2.7"`, `"mx.example"`, `one`, `"ca.example"`} {
				if strings.Contains(string(body), content) && !seen[content] {
					seen[content], first = true, true
				}
			}
			return first
		}})
	}
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", `dns: {provider: cloudflare, records: [{type: A, name: static, content: 192.0.2.7}, {type: MX, name: post, content: mx.example, priority: 5}, {type: TXT, name: note, content: one}, {type: CAA, name: "@", content: '0 issue "ca.example"'}]}`)})
	for range 5 {
		if rowOf(w.apply(), "bakery").Status == string(state.StatusActive) {
			break
		}
	}
	w.active("bakery")
	want := []string{"A bakery.localhost 127.0.0.1 ours", "A static.bakery.localhost 192.0.2.7 ours", `CAA bakery.localhost 0 issue "ca.example" ours`, "MX post.bakery.localhost mx.example ours", `TXT note.bakery.localhost "one" ours`}
	if got := recordsAt(vendor); !slices.Equal(got, want) || faults.Happened()["answer lost"] == 0 {
		t.Errorf("%s\nafter %v", strings.Join(got, "\n"), faults.Happened())
	}
	t.Logf("%v", faults.Happened())
}
