package main

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// Railway is opened where the configuration asks for it, with the key from wherever.
func TestRailwayIsConfigured(t *testing.T) {
	const repository = "repository: {url: https://git.example/a.git}\n"
	for name, c := range map[string]struct {
		file  string
		env   map[string]string
		wrong string
		opens bool
	}{
		"nothing":       {},
		"key and block": {file: "providers: {railway: {apiKey: rw-1}}\n", opens: true},
		"key of .env":   {file: "providers: {railway: {}}\n", env: map[string]string{"RAILWAY_API_KEY": "rw-1"}, opens: true},
		"the default":   {file: "platform: {defaults: {database: railway}}\n", env: map[string]string{"RAILWAY_API_KEY": "rw-1"}, opens: true},
		"no wish":       {env: map[string]string{"RAILWAY_API_KEY": "rw-1"}},
		"environment":   {env: map[string]string{"RAILWAY_API_KEY": "rw-1", "RECONCILER_PROVIDERS_RAILWAY_WORKSPACE": "Agency"}, opens: true},
		"no key":        {file: "providers: {railway: {}}\n", wrong: "providers.railway.apiKey, or apiKeyFile, or RAILWAY_API_KEY, is missing"},
		"no address":    {file: "providers: {railway: {apiKey: rw-1, apiURL: here}}\n", wrong: "providers.railway.apiURL is not an address"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := configIn(t, c.env, map[string]string{defaultConfigFile: repository + c.file})
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("%v; want %q", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := &program{vendors: newVendors(), now: time.Now, sleep: sleep}
			opened, err := p.openRailway(config)
			if err != nil || (len(opened) == 1) != c.opens {
				t.Errorf("opened %v, %v", opened, err)
			}
			if err := p.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A client whose database is at Railway is provisioned through the whole program, against the
// simulated one: its site reads the database's address, and nothing else shows the password.
func TestRailwayThroughTheProgram(t *testing.T) {
	// The embedded sites read SQLite: theirs is told of the address under another name.
	template := strings.NewReplacer("kind: payload, path: /admin", "kind: none", "DATABASE_URL:", "SHOP_DATABASE:").Replace(shopTemplate)
	w := newWorld(t, map[string]string{"templates/ecommerce.yaml": template})
	vendor, err := simulated.New(simulated.Options{Now: w.now, Token: w.env["RAILWAY_API_KEY"], BuildTime: -1})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(underContract(t, "railway", vendor))
	t.Cleanup(server.Close)
	w.env["RECONCILER_PROVIDERS_RAILWAY_API_URL"] = server.URL + "/graphql/v2"
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "database: {provider: railway, access: public}"), "clients/bakery.yaml": manifestOf("bakery")})
	w.active("demoshop", "bakery")
	all := vendor.Projects()
	if len(all) != 1 || all[0].Services != 1 || all[0].Volumes != 1 || all[0].Proxies != 1 || all[0].Deployments != 1 {
		t.Errorf("at Railway: %+v", all)
	}
	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.apply()
	if all := vendor.Projects(); len(all) != 1 || all[0].Deleted {
		t.Errorf("it is not retained: %+v", all)
	}
	w.must(0, "purge", "demoshop", "--yes")
	if all := vendor.Projects(); len(all) != 1 || !all[0].Deleted || all[0].Backups != 1 {
		t.Errorf("it is not erased after a backup: %+v", all)
	}
}

// P5: somebody deletes a database's service in its project at Railway, as people do there; the project stays. The
// database is gone, made here or adopted: its client is held before anything is written, by the next commit as by the
// scheduled looks, and goes on once it was restored.
func TestP5DatabaseWhoseServiceIsGoneAtRailwayHoldsItsClient(t *testing.T) {
	f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atVercel("keeper"), "clients/bakery.yaml": atVercel("bakery"), "clients/florist.yaml": atVercel("florist")})
	old, _ := f.railway.Seed("the tavern's", "since 2019", "1234567890abcdef")
	tavern := func(more ...string) string {
		return atVercel("tavern", append([]string{"adopt: {database: {id: " + old + "}}"}, more...)...)
	}
	f.commit(map[string]string{"clients/tavern.yaml": tavern()})
	f.settle("keeper", "bakery", "florist", "tavern")
	f.clock.add(time.Hour) // nothing is late by now
	for _, name := range []string{"bakery", "florist", "tavern"} {
		f.railway.Drop(f.resources(name, state.KindDatabase)[0].ID)
	}
	held := func(name string) {
		t.Helper()
		if r := f.why(name); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "is gone at railway") || !strings.Contains(r.Next, "restore it at railway") {
			t.Errorf("%s is %s: %s; %s", name, r.Status, r.Because, r.Next)
		}
	}
	n := f.sent.len()
	f.commit(map[string]string{"clients/bakery.yaml": atVercel("bakery", "env: {STORE_CURRENCY: EUR}"), "clients/tavern.yaml": tavern("env: {STORE_CURRENCY: EUR}")})
	f.apply()
	held("bakery")
	held("tavern")
	f.start()
	for range 3 { // of a client that nobody touches
		f.clock.add(25 * time.Hour)
		if err := f.daemon.program.watchDrift(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.apply()
	}
	held("florist")
	if got := slices.DeleteFunc(f.sent.writes(n), func(x string) bool { return strings.HasPrefix(x, "resend") }); len(got) > 0 {
		t.Errorf("writes: %q", got)
	}
}
