package main

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
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
			p := &program{}
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

// cloudflareOf is an installation with a simulated Cloudflare that holds the zone localhost.
func cloudflareOf(t *testing.T) (*world, *simulated.Vendor, *simulator.Faults) {
	t.Helper()
	faults := &simulator.Faults{}
	w := newWorld(t, map[string]string{"clients/florist.yaml": manifestOf("florist")})
	vendor, err := simulated.New(simulated.Options{Faults: faults, Token: w.env["CLOUDFLARE_API_TOKEN"], Zones: []simulated.Zone{{ID: "zone1", Name: "localhost", Account: "agency"}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(vendor)
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
	w, vendor, faults := cloudflareOf(t)
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
