package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// Vercel is opened where the configuration asks for it, with the token from wherever, and
// speaks for the team to the address that is said.
func TestVercelIsConfigured(t *testing.T) {
	sim, err := simulated.New(simulated.Options{Token: "vc-1", Team: "team_agency"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(underContract(t, "vercel", sim))
	defer server.Close()
	const repository = "repository: {url: https://git.example/a.git}\n"
	at := "apiURL: " + server.URL
	for name, c := range map[string]struct {
		file, wrong string
		env         map[string]string
		opens       bool
	}{
		"nothing":        {},
		"no wish":        {env: map[string]string{"VERCEL_API_TOKEN": "vc-1"}},
		"token and team": {file: "providers: {vercel: {apiToken: vc-1, teamID: team_agency, " + at + "}}\n", opens: true},
		"of .env":        {file: "providers: {vercel: {" + at + "}}\n", env: map[string]string{"VERCEL_API_TOKEN": "vc-1", "VERCEL_TEAM_ID": "team_agency"}, opens: true},
		"its older name": {file: "providers: {vercel: {" + at + "}}\n", env: map[string]string{"VERCEL_API_TOKEN": "vc-1", "VERCEL_ORG_ID": "team_agency"}, opens: true},
		"no token":       {file: "providers: {vercel: {}}\n", wrong: "providers.vercel.apiToken, or apiTokenFile, or VERCEL_API_TOKEN, is missing"},
		"no address":     {file: "providers: {vercel: {apiToken: vc-1, apiURL: here}}\n", wrong: "providers.vercel.apiURL is not an address"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := configIn(t, c.env, map[string]string{defaultConfigFile: repository + c.file})
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "vc-1") {
					t.Errorf("%v; want %q", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := &program{vendors: newVendors(), now: time.Now}
			opened, err := p.openVercel(config)
			defer func() { _ = p.close() }()
			if err != nil || len(opened) > 0 != c.opens {
				t.Fatalf("%d opened, %v", len(opened), err)
			}
			for _, v := range opened {
				if found, err := v.Observe(t.Context(), provider.Query{Kind: state.KindSite, Name: "nothing-0badcafe"}); err != nil || len(found) > 0 {
					t.Errorf("%v, %v", found, err)
				}
				if found := v.(provider.Checker).Check(t.Context()); !found[0].OK {
					t.Errorf("check: %+v", found)
				}
			}
		})
	}
}
