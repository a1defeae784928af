package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	fleetOf = 300
	theirs  = "reconciler:feedface/c00001/1" // another installation's mark
)

// password is one that URLs need no escapes for, the same each time.
func password(of string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(of)))[:24] }

// settleFleet makes the hand-made fleet: every second client at Ploi, on two servers, with quick
// deploys; the others at Vercel. Some have aliases, some records that are not the usual ones.
func (e *estate) settleFleet() {
	e.t.Helper()
	record := func(kind, name, content string, ttl int, comment string) {
		if _, err := e.cloudflare.Add(cloudflaresim.Record{Zone: "z1", Type: kind, Name: name, Content: content, TTL: ttl, Comment: comment}); err != nil {
			e.t.Fatal(err)
		}
	}
	for n := range fleetOf {
		host := fmt.Sprintf("shop%03d.agency.example", n)
		_, url := e.railway.Seed(fmt.Sprintf("db of %d", n), "since 2019", password("database "+fmt.Sprint(n)))
		vars := map[string]string{"DATABASE_URL": url, "NEXT_PUBLIC_SERVER_URL": "https://" + host, "LEGACY_KEY": password("legacy " + fmt.Sprint(n))}
		if n%10 == 0 { // half of them take money already
			e.stripe.Seed(stripesim.Account{Country: "NL", Email: "owner@" + host, Label: "Shop", URL: "https://www." + host + "/", Enabled: n%20 == 0, Metadata: map[string]string{"crm": fmt.Sprint(n)}})
		}
		ttl, comment := 300, ""
		if n%7 == 0 {
			ttl, comment = 1, "by Dana"
		}
		if n%2 == 1 {
			e.projects = append(e.projects, e.vercel.Seed(fmt.Sprintf("shop-%03d", n), "compassdigital/storefront", []string{host, "www." + host}, vars))
			record("A", host, "76.76.21.21", ttl, comment)
			record("CNAME", "www."+host, "cname.vercel-dns.com", 1, "")
			continue
		}
		env := "# by hand\nexport A='b'\n"
		for _, k := range slices.Sorted(maps.Keys(vars)) {
			env += k + "=" + vars[k] + "\n"
		}
		server, address := 1, "203.0.113.10"
		if n%4 == 0 {
			server, address = 2, "203.0.113.20"
		}
		e.ploi.Edit(e.ploi.Seed(host, env, "cd /home/ploi\ngit pull\n"), func(s *ploisim.Site) { s.Server, s.Quick = server, true })
		record("A", host, address, ttl, comment)
	}
}

// plantOthers puts things beside the fleet that must not be taken: what another installation
// marked, and what is ambiguous.
func (e *estate) plantOthers() {
	e.t.Helper()
	e.stripe.Seed(stripesim.Account{Country: "NL", URL: "https://shop001.agency.example", Metadata: map[string]string{"reconciler": theirs}})
	for range 2 {
		e.stripe.Seed(stripesim.Account{Country: "DE", URL: "http://far.agency.example"})
	}
	e.ploi.Seed("c00001-feedface.reconciler.internal", "", "")
	e.ploi.Seed("shop000.agency.example", "RECONCILER_MARK="+theirs+"\n", "") // a look-alike of our first
	e.railway.Seed("c00001-feedface", theirs, password("theirs"))
	_, url := e.railway.Seed("shared", "", password("shared"))
	for _, host := range []string{"twin.agency.example", "twin.agency.example"} {
		e.ploi.Seed(host, "", "")
	}
	e.ploi.Seed("left.agency.example", "DATABASE_URL="+url+"\n", "")
	e.ploi.Seed("right.agency.example", "DATABASE_URL="+url+"\n", "")
	e.ploi.Seed("far.agency.example", "DATABASE_URL=postgres://u:invented-far-password@elsewhere.example/x\n", "")
	if _, err := e.cloudflare.Add(cloudflaresim.Record{Zone: "z1", Type: "A", Name: "far.agency.example", Content: "203.0.113.10", TTL: 300, Comment: theirs}); err != nil {
		e.t.Fatal(err)
	}
}

// Rule "Adoption", and the promise of `adopt`: 300 clients with live databases, .env files and
// quick deploys go from what exists to manifests, through a merge and batches of marks to an
// empty plan, and stay there when they are not paused any more. Nothing is written but marks.
func TestRuleAdoptionOfAFleet(t *testing.T) {
	e := newEstate(t, cloudflaresim.Zone{ID: "z1", Name: "agency.example"})
	e.settleFleet()
	e.plantOthers()
	before := e.all()

	// What exists becomes manifests. Only reads.
	var found adopted
	if err := json.Unmarshal([]byte(e.run(3, "adopt", "--out", e.work, "--contact", "ops@agency.example", "-o", "json")), &found); err != nil {
		t.Fatal(err)
	}
	reads, writes := e.wire.take()
	t.Logf("adopt: reads %v", reads)
	// Lists: 4 pages of two servers' sites, read twice, and two addresses; 3 calls a site, which stand in no list.
	if want := fleetOf/2 + 6; reads["ploi"] > 12+3*want || reads["vercel"] > 3+2*fleetOf/2 || reads["railway"] > 40 || reads["cloudflare"] > 3 || reads["stripe"] > 1 || len(writes) > 0 {
		t.Errorf("adopt wrote %v, and read %v", writes, reads)
	}
	states := map[string]int{}
	for _, r := range found.Clients {
		states[string(r.State)+" "+r.Skipped]++
	}
	if found.Written != fleetOf+4 || states["matched "] != fleetOf {
		t.Errorf("%d written: %v", found.Written, states)
	}
	first, err := os.ReadFile(filepath.Join(e.work, "clients", "shop000-agency.yaml"))
	if err != nil || !strings.Contains(string(first), "feedface: it is not touched") || !strings.Contains(string(first), "server: web-2, repository: compassdigital/storefront, ref: main") {
		t.Fatalf("%v\n%s", err, first)
	}
	for name, want := range map[string][]string{
		"shop000-agency": {"payments: {enabled: true, provider: stripe, country: NL}", "payments: {account: \"acct_1", "by its business address, www.shop000.agency.example"},
		"shop001-agency": {"has its address, and bears the mark of feedface: it is not touched"},
		"far-agency":     {"payments: {enabled: true, provider: stripe, country: DE}", "payments: {account: choose-one-far-agency}", "payments may be: stripe acct_1"},
	} {
		for text := readAll(t, filepath.Join(e.work, "clients", name+".yaml")); len(want) > 0; want = want[1:] {
			if !strings.Contains(text, want[0]) {
				t.Errorf("no %q in\n%s", want[0], text)
			}
		}
	}
	for _, r := range found.Clients {
		if data, err := os.ReadFile(filepath.Join(e.work, "clients", r.Name+".yaml")); err == nil && (strings.Contains(string(data), "invented-")) {
			t.Errorf("%s tells a secret", r.Name)
		} else if err == nil {
			e.hear("manifest of "+r.Name, string(data))
		}
	}
	if again := e.run(0, "adopt", "--out", e.work, "--contact", "ops@agency.example"); !strings.Contains(again, "304 clients have a manifest already") || strings.Contains(again, "shop") {
		t.Errorf("a second time:\n%s", again)
	}
	e.wire.take()

	// Merged, all are paused, and nothing is on record.
	e.commit(nil)
	e.run(1, "apply") // of one the secret is not set
	reads, writes = e.wire.take()
	t.Logf("after the merge: reads %v", reads)
	if len(writes) > 0 {
		t.Errorf("the merge wrote %v", writes)
	}

	// Batches. Those that wait for a person come first by their names, and stop nobody else.
	confirmed := 0
	for left := fleetOf + 4; left > 4; {
		var v reconcile.Confirmation
		code, out, failed := e.try("adopt", "--confirm", "--batch", "100", "-o", "json")
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Fatal(err, failed)
		}
		if waits := slices.ContainsFunc(v.Clients, func(c reconcile.Taken) bool { return !c.Done }); waits != (code == 3) {
			t.Errorf("exit code %d, and someone waits: %t", code, waits)
		}
		for _, c := range v.Clients {
			if strings.HasPrefix(c.Client, "shop") != (c.Done && c.Empty) {
				t.Errorf("%s: done %t, empty %t: %s %v", c.Client, c.Done, c.Empty, c.Because, c.Changes)
			}
			if c.Done {
				confirmed++
			}
		}
		if v.Left >= left {
			t.Fatalf("%d left, and %d before", v.Left, left)
		}
		left = v.Left
	}
	reads, marks := e.wire.take()
	t.Logf("confirmed %d: reads %v, marks %v", confirmed, reads, marks)
	want := map[string]int{"ploi PATCH /api/servers/*/sites/*/env": fleetOf / 2, "vercel POST /v10/projects/*/env": fleetOf / 2, "railway describeProject": fleetOf, "cloudflare PATCH /client/v4/zones/*/dns_records/*": fleetOf + fleetOf/2, "stripe POST /v1/accounts/*": fleetOf / 10}
	if confirmed != fleetOf || !maps.Equal(marks, want) {
		t.Errorf("confirmed %d clients with the writes %v, want %v", confirmed, marks, want)
	}

	// The vendors' tables are what they were, but for the marks.
	after := e.all()
	installation := e.installation()
	for key, text := range before {
		if was, is := unmarked(text, installation), unmarked(after[key], installation); was != is {
			t.Fatalf("%s was changed:\n%s\n%s", key, was, is)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d objects, %d before", len(after), len(before))
	}

	// The plan is empty, and that of the commit that ends the pause, too.
	shop := func(name string) bool { return strings.HasPrefix(name, "shop") }
	if v := e.planned(); slices.ContainsFunc(v, shop) {
		t.Errorf("clients would change: %v", v)
	}
	unpaused := map[string]string{}
	for n := range fleetOf {
		name := filepath.Join("clients", fmt.Sprintf("shop%03d-agency.yaml", n))
		data, err := os.ReadFile(filepath.Join(e.work, name))
		if err != nil {
			t.Fatal(err)
		}
		unpaused[name] = strings.Replace(string(data), "paused: true\n", "", 1)
	}
	e.commit(unpaused)
	e.wire.take()
	e.run(1, "apply") // the ambiguous ones are still held
	reads, writes = e.wire.take()
	t.Logf("unpaused: reads %v", reads)
	if len(writes) > 0 {
		t.Errorf("the end of the pause wrote %v", writes)
	}
	var v reconcile.Overview
	if err := json.Unmarshal([]byte(e.run(0, "status", "-o", "json")), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Problems) > 0 || len(v.Clients) != fleetOf+4 {
		t.Errorf("%d clients; invalid: %+v", len(v.Clients), v.Problems)
	}
	for _, r := range v.Clients {
		if strings.HasPrefix(r.Name, "shop") && r.Status != string(state.StatusActive) {
			t.Fatalf("%s is %s: %s", r.Name, r.Status, r.Because)
		}
		var n int
		if _, err := fmt.Sscanf(r.Name, "shop%d", &n); err == nil && (n%10 == 0) != (r.Payments != nil) || r.Payments != nil && r.Payments.Ready != (n%20 == 0) {
			t.Errorf("%s takes money: %+v", r.Name, r.Payments)
		}
	}
	if v := e.planned(); slices.ContainsFunc(v, shop) {
		t.Errorf("afterwards clients would change: %v", v)
	}
}

// How the command is used wrongly, and what it says where there is nothing to do, with a daemon
// and without.
func TestAdoptIsUsedWrongly(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, "with --confirm alone", []string{"bakery"}},
		{2, "--confirm is the second step", []string{"--confirm", "--template", "x"}},
		{2, "at least 1", []string{"--confirm", "--batch", "0"}},
		{2, "goes with --confirm", []string{"--batch", "3"}},
		{2, "is no folder", []string{"--out", filepath.Join(w.dir, "nowhere")}},
		{2, "--from", []string{"--from", filepath.Join(w.dir, "nowhere"), "--out", w.work}},
		{1, "it is not JSON", []string{"--from", "-", "--out", w.work}},
		{1, "no provider that can be adopted from", []string{"--out", w.work}},
		{0, "No paused client", []string{"--confirm"}},
		{2, "no such client", []string{"--confirm", "nobody"}},
	} {
		r := w.cliIn("{", append([]string{"adopt"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.out+r.err, c.says) {
			t.Errorf("adopt %v: exit code %d\n%s%s", c.args, r.code, r.out, r.err)
		}
	}
	w.start()
	if r := w.cli("adopt", "--out", w.work); r.code != 1 || !strings.Contains(r.err, "no provider that can be adopted from") {
		t.Errorf("of the daemon: exit code %d\n%s", r.code, r.err)
	}
	if r := w.cli("adopt", "--confirm", "-o", "json"); r.code != 0 || !strings.Contains(r.out, `"left": 0`) {
		t.Errorf("of the daemon: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}
