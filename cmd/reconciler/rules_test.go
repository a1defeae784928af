package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Rule, guard: `guard.removeAfter` lets a removal wait, visibly; a revert in time costs
// nothing, and when its time has come it goes by itself.
func TestRuleGuardRemoveAfterEndToEnd(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/demoshop.yaml": manifestOf("demoshop"),
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {removeAfter: 2h}\n"})
	w.configure("guard: {removeAfter: 1h}") // the platform file tightens it
	w.start()
	w.active("bakery", "demoshop")
	w.mark("bakery", "row")
	n := w.calls.len()
	removal := w.commit(map[string]string{"clients/bakery.yaml": ""})
	r := rowOf(w.apply(), "bakery")
	if !strings.Contains(r.Because, "its removal waits until ") || !strings.Contains(r.Because, "still runs") {
		t.Errorf("its wait is not to be seen: %s, %s", r.Status, r.Because)
	}
	w.clock.add(119 * time.Minute)
	w.apply()
	if code, _ := w.get("bakery.localhost", "/"); code != 200 {
		t.Errorf("the site answers %d before its time", code)
	}
	w.revert(removal)
	w.active("bakery")
	w.clock.add(3 * time.Hour)
	w.active("bakery")
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("a removal and its revert in time cost %v", got)
	}
	w.commit(map[string]string{"clients/bakery.yaml": ""})
	w.apply()
	w.clock.add(121 * time.Minute)
	if r := rowOf(w.apply(), "bakery"); r.Status != string(state.StatusRetained) {
		t.Errorf("bakery is %s when its time has come: %s", r.Status, r.Because)
	}
	if got := w.rows("bakery"); !slices.Equal(got, []string{"row"}) {
		t.Errorf("rows: %v", got)
	}
}

// Rule, guard: with `guard.removals: reviewed` a removal that no pull request showed
// waits for an approval; changes go on.
func TestRuleGuardReviewedEndToEnd(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/demoshop.yaml": manifestOf("demoshop"),
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {removals: reviewed}\n"})
	w.start()
	w.active("bakery", "demoshop")
	w.commit(map[string]string{"clients/bakery.yaml": "", "clients/demoshop.yaml": manifestOf("demoshop", "env: {STORE_CURRENCY: CHF}")})
	v := w.apply()
	if r := rowOf(v, "demoshop"); r.Status != string(state.StatusActive) {
		t.Errorf("demoshop is %s: %s", r.Status, r.Because)
	}
	if len(v.Holds) != 1 || !strings.Contains(v.Holds[0].Reason, "no pull request showed the removal of bakery") {
		t.Fatalf("holds: %+v", v.Holds)
	}
	if code, _ := w.get("bakery.localhost", "/"); code != 200 {
		t.Errorf("the site answers %d", code)
	}
	w.must(0, "approve", v.Holds[0].Fingerprint)
	if r := rowOf(w.apply(), "bakery"); r.Status != string(state.StatusRetained) {
		t.Errorf("bakery is %s: %s", r.Status, r.Because)
	}
}

// Rule, data: a removed manifest's own `retain` counts, never less than the platform's
// floor; `forever` is never purged by schedule.
func TestRuleDataRetainEndToEnd(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/a.yaml": bare("a", "database: {retain: 20d}"), "clients/b.yaml": bare("b", "database: {retain: forever}"),
		"clients/c.yaml": bare("c", "database: {retain: 90d}"), "clients/d.yaml": bare("d"), "platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nlimits: {minRetain: 14d}\n"})
	w.configure("guard: {maxDeletes: 10, maxDeletePercent: 100}")
	w.start()
	w.active("a", "b", "c", "d")
	// The floor is raised in the commit that removes: what is removed by it obeys it.
	w.commit(map[string]string{"clients/a.yaml": "", "clients/b.yaml": "", "clients/c.yaml": "",
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nlimits: {minRetain: 40d}\ndefaults: {database: {retain: 60d}}\n"})
	w.apply()
	var purged []string
	for day := range 120 {
		w.clock.add(24 * time.Hour)
		done, err := w.daemon.program.engine.PurgeDue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range done {
			name, _, _ := strings.Cut(d, ":")
			purged = append(purged, name)
			if want := map[string]int{"a": 40, "c": 90}[name]; day+1 < want || day+1 > want+1 {
				t.Errorf("%s was purged after %d days, want %d", name, day+1, want)
			}
		}
	}
	if !slices.Equal(purged, []string{"a", "c"}) {
		t.Errorf("purged: %v", purged)
	}
	if r := w.must(0, "retained"); !strings.Contains(r.out, "b") || !strings.Contains(r.out, "for ever") {
		t.Errorf("retained:\n%s", r.out)
	}
}

// Rule, verdicts: what looks like a manifest and isn't read is an error with the name
// that it should have, wherever it is; the rest goes on, and put right it is a client.
func TestRuleVerdictLookAlikesEndToEnd(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("demoshop")
	for file, hint := range map[string]string{"clients/bakery.yml": "clients/bakery.yaml", "clients/Bakery.yaml": "clients/bakery.yaml", "docs/bakery.yaml": "clients/bakery.yaml", "clients/a/b/bakery.yaml": "clients/bakery.yaml"} {
		commit := w.commit(map[string]string{file: bare("bakery")})
		r := w.must(1, "apply")
		if !strings.Contains(r.out, file) || !strings.Contains(r.out, hint) || strings.Contains(r.out, "bakery     active") {
			t.Errorf("%s: apply says\n%s", file, r.out)
		}
		if v := w.verdict(commit); v.State != "failure" || len(v.Invalid) != 1 {
			t.Errorf("%s: verdict %+v", file, v)
		}
		if r := rowOf(w.status(), "demoshop"); r.Status != string(state.StatusActive) {
			t.Errorf("%s: demoshop is %s", file, r.Status)
		}
		if r := w.must(1, "plan", "--dir", w.work); !strings.Contains(r.out, hint) {
			t.Errorf("%s: plan says\n%s", file, r.out)
		}
		w.commit(map[string]string{file: ""})
		w.must(0, "apply")
	}
	w.commit(map[string]string{"clients/bakery.yaml": bare("bakery")})
	w.active("bakery")
}

// P5, rule, removal: a manifest that was moved to where none is read is invalid there, so
// that its client is not taken for gone: it stays until somebody says what is meant.
func TestP5ManifestMovedToWhereNoneIsRead(t *testing.T) {
	for _, to := range []string{"clients/bakery.yml", "archive/bakery.yaml", "clients/old/2026/bakery.yaml", "Clients/bakery.yaml"} {
		t.Run(strings.ReplaceAll(to, "/", " "), func(t *testing.T) {
			w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/demoshop.yaml": bare("demoshop")})
			w.start()
			w.active("bakery", "demoshop")
			n := w.calls.len()
			w.commit(map[string]string{"clients/bakery.yaml": "", to: manifestOf("bakery")})
			r := w.must(1, "apply")
			if !strings.Contains(r.out, to) || !strings.Contains(r.out, "clients/bakery.yaml") && !strings.Contains(r.out, "clients/old/bakery.yaml") {
				t.Errorf("apply says\n%s", r.out)
			}
			if code, _ := w.get("bakery.localhost", "/"); code != 200 || len(w.calls.writes(n)) > 0 {
				t.Errorf("the site answers %d, writes %v", code, w.calls.writes(n))
			}
			// Really meant: it is taken away there, too.
			w.commit(map[string]string{to: ""})
			if r := rowOf(w.apply(), "bakery"); r.Status != string(state.StatusRetained) {
				t.Errorf("bakery is %s: %s", r.Status, r.Because)
			}
		})
	}
}

// Section 5: manifests may be one folder deep, and moving a file is no change: not a
// call, not even a look.
func TestMovedManifestIsNoChange(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/de/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("demoshop", "bakery")
	id, n := w.id("demoshop"), w.calls.len()
	for _, move := range [][2]string{{"clients/de/demoshop.yaml", "clients/demoshop.yaml"}, {"clients/bakery.yaml", "clients/ba/bakery.yaml"}, {"clients/demoshop.yaml", "clients/xy/demoshop.yaml"}} {
		if err := os.MkdirAll(filepath.Join(w.work, filepath.Dir(move[1])), 0o755); err != nil {
			t.Fatal(err)
		}
		w.git("mv", move[0], move[1])
		w.git("commit", "-q", "-m", "Move "+move[0])
		commit := w.push()
		v := w.apply()
		if len(v.Holds) > 0 || w.verdict(commit).State != "success" || len(w.verdict(commit).Clients) > 0 {
			t.Errorf("%v: holds %+v, verdict %+v", move, v.Holds, w.verdict(commit))
		}
		w.active("demoshop", "bakery")
	}
	if got := w.calls.since(n); len(got) > 0 || w.id("demoshop") != id {
		t.Errorf("moving files cost %v", got)
	}
}

// A commit that touches no manifest is accepted with "no client changes"; contact,
// billing, labels and notes are recorded and deploy nothing (rule, values).
func TestRuleValuesDescriptionsDeployNothing(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("demoshop")
	n := w.calls.len()
	commit := w.commit(map[string]string{"README.md": "Our clients\n"})
	w.active("demoshop")
	if got := w.calls.since(n); len(got) > 0 || w.verdict(commit).State != "success" {
		t.Errorf("%v, verdict %+v", got, w.verdict(commit))
	}
	if r := w.must(0, "history"); !strings.Contains(r.out, commit[:7]) || !strings.Contains(r.out, "no client changes") {
		t.Errorf("history:\n%s", r.out)
	}
	deployed := w.resources("demoshop", state.KindDeployment)
	text := strings.Replace(manifestOf("demoshop"), "{name: Dana, email: dana@demoshop.example}", "{name: Eva, email: dana@demoshop.example, phone: \"+31 20 555 0100\"}", 1)
	commit = w.commit(map[string]string{"clients/demoshop.yaml": text + "billing: {status: active, monthlyFee: 49.00, currency: EUR, nextDate: 2026-12-01}\nlabels: {team: shops}\nnotes: free text\n"})
	w.active("demoshop")
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("descriptions cost %v", got)
	}
	if got := w.resources("demoshop", state.KindDeployment); len(got) != len(deployed) {
		t.Errorf("%d deployments, want %d", len(got), len(deployed))
	}
	if v := w.verdict(commit); v.State != "success" {
		t.Errorf("verdict %+v", v)
	}
	if _, page := w.get("localhost", "/clients/demoshop"); !strings.Contains(page, "49.00 EUR") || !strings.Contains(page, "labels.team") || !strings.Contains(page, "free text") {
		t.Errorf("the page shows nothing of it:\n%s", page)
	}
}

// Rule, values: environment values keep their spelling until they are at the site.
func TestRuleValuesSpellingReachesTheSite(t *testing.T) {
	want := map[string]string{"STORE_A": "021", "STORE_B": "1.10", "STORE_C": "on", "STORE_D": "0x1F", "STORE_E": "2026-12-01", "STORE_F": "1_000", "STORE_G": "~", "STORE_H": "1e3", "STORE_I": "TRUE", "STORE_J": "+1"}
	lines := []string{"env:"}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		lines = append(lines, "  "+k+": "+strings.ReplaceAll(want[k], "~", `"~"`))
	}
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", lines...)})
	w.start()
	w.active("demoshop")
	code, page := w.get("demoshop.localhost", "/")
	if code != 200 {
		t.Fatalf("the site answers %d", code)
	}
	for _, value := range []string{"021", "1.10", "0x1F", "1_000", "TRUE"} {
		if !strings.Contains(page, value) {
			t.Errorf("the page does not show %s", value)
		}
	}
	// What the site runs with, to the letter.
	env, files := map[string]string{}, 0
	err := filepath.WalkDir(filepath.Join(w.dir, "sites"), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var set struct {
			Variables []struct{ Name, Value string }
		}
		if json.Unmarshal([]byte(readAll(t, p)), &set) == nil && len(set.Variables) > 0 {
			files++
			for _, v := range set.Variables {
				env[v.Name] = v.Value
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d environments: %v", files, err)
	}
	for name, value := range want {
		if env[name] != value {
			t.Errorf("%s is %q at the site, want %q", name, env[name], value)
		}
	}
}

// P6, rule, removal and verdicts: a typo in a template keeps its last good version; its
// clients go on with it, and the mended template reaches them.
func TestP6TemplateTypoEndToEnd(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("demoshop", "bakery")
	n := w.calls.len()
	bad := w.commit(map[string]string{"templates/ecommerce.yaml": strings.Replace(shopTemplate, "collections:", "colections:", 1), "clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	r := w.must(1, "apply")
	if !strings.Contains(r.out, "templates/ecommerce.yaml:7:1") || !strings.Contains(r.out, "collections") {
		t.Errorf("apply says\n%s", r.out)
	}
	if v := w.verdict(bad); v.State != "failure" {
		t.Errorf("verdict %+v", v)
	}
	w.active2("demoshop", "bakery")
	if _, page := w.get("bakery.localhost", "/"); !strings.Contains(page, "CHF") {
		t.Error("a client's own change does not go on with the template's last good version")
	}
	for _, c := range w.calls.writes(n) {
		if strings.Contains(c, string(w.id("demoshop"))) {
			t.Errorf("demoshop was touched: %s", c)
		}
	}
	w.commit(map[string]string{"templates/ecommerce.yaml": strings.Replace(shopTemplate, "env: {", "env: {STORE_NOTE: mended, ", 1)})
	w.active("demoshop", "bakery")
	if _, page := w.get("demoshop.localhost", "/"); !strings.Contains(page, "mended") {
		t.Error("the mended template does not reach its clients")
	}
}

// active2 wants clients active while something else is invalid.
func (w *world) active2(names ...string) {
	w.t.Helper()
	for _, n := range names {
		if r := rowOf(w.status(), n); r.Status != string(state.StatusActive) {
			w.t.Errorf("%s is %s: %s", n, r.Status, r.Because)
		}
	}
}

// Rule, identity: renames in a row keep the client, its data and its secrets, one by one
// and several in one range.
func TestRuleIdentityRenameChain(t *testing.T) {
	text := func(name string, previously string) string {
		return strings.Replace(manifestOf("shop", "database: {retain: 30d}", "env: {K: {generate: hex32}}"), "name: shop\n", "name: "+name+"\npreviously: ["+previously+"]\n", 1)
	}
	w := newWorld(t, map[string]string{"clients/a.yaml": text("a", "")})
	w.start()
	w.active("a")
	w.mark("a", "row")
	id, n := w.id("a"), w.calls.len()
	w.commit(map[string]string{"clients/a.yaml": "", "clients/b.yaml": text("b", "a")})
	w.active("b")
	// Two more before the next look: the range goes from b to d.
	w.write(map[string]string{"clients/b.yaml": "", "clients/c.yaml": text("c", "a, b")})
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "Rename")
	w.commit(map[string]string{"clients/c.yaml": "", "clients/d.yaml": text("d", "a, b, c")})
	v := w.apply()
	if r := rowOf(v, "d"); r.Status != string(state.StatusActive) {
		t.Fatalf("d is %s: %s\n%+v", r.Status, r.Because, v)
	}
	if w.id("d") != id {
		t.Error("it is another client")
	}
	for _, c := range w.calls.since(n) {
		if c.Verb == "delete" && c.Kind != state.KindDomain && c.Kind != state.KindRecord || c.Verb == "create" && (c.Kind == state.KindDatabase || c.Kind == state.KindSite) {
			t.Errorf("a rename cost %s", c)
		}
	}
	if got := w.rows("d"); !slices.Equal(got, []string{"row"}) {
		t.Errorf("rows: %v", got)
	}
	// Back to the first name.
	w.commit(map[string]string{"clients/d.yaml": "", "clients/a.yaml": text("a", "d")})
	w.active("a")
	if w.id("a") != id {
		t.Error("it is another client")
	}
}

// Rule, identity: of two files with one client's name both are named, and the client
// keeps what it has.
func TestRuleIdentityTwoFilesOneName(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("demoshop")
	n := w.calls.len()
	w.commit(map[string]string{"clients/xy/demoshop.yaml": manifestOf("demoshop", "env: {STORE_CURRENCY: CHF}")})
	r := w.must(1, "apply")
	if !strings.Contains(r.out, "clients/xy/demoshop.yaml") || !strings.Contains(r.out, "clients/demoshop.yaml") {
		t.Errorf("apply says\n%s", r.out)
	}
	if code, _ := w.get("demoshop.localhost", "/"); code != 200 || len(w.calls.writes(n)) > 0 {
		t.Errorf("the site answers %d, writes %v", code, w.calls.writes(n))
	}
	// The first one goes: the other is the client's file, and its change runs.
	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.active("demoshop")
	if _, page := w.get("demoshop.localhost", "/"); !strings.Contains(page, "CHF") {
		t.Error("the file that is left does not count")
	}
}

// Rule, secrets: an unset secret fails the plan, with the way to set it.
func TestRuleSecretsUnsetFailsThePlan(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {KEY: {secret: mollie}, ALL: {secret: shared/sentry}}")})
	r := w.must(1, "plan")
	for _, want := range []string{"reconciler secret set mollie --client demoshop", "reconciler secret set sentry"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("the plan does not say %q:\n%s", want, r.out)
		}
	}
	w.must(1, "apply")
	if got := w.calls.writes(0); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// Rule, secrets: a client's own secret and what was generated for it are bound to its id:
// they survive a rename, and a copy of its manifest has none of them. A new version is a
// cause without a commit, and stands in the history.
func TestRuleSecretsBoundToTheID(t *testing.T) {
	const env = "env: {KEY: {secret: mollie}, OWN: {generate: hex32}}"
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", env)})
	w.start()
	w.apply()
	set := func(value string) {
		t.Helper()
		if r := w.cliIn(value, "secret", "set", "mollie", "--client", "demoshop"); r.code != 0 {
			t.Fatal(r.err)
		}
	}
	set("first-value")
	w.active("demoshop")
	fingerprints := func(name string) string {
		t.Helper()
		var out string
		for _, a := range w.resources(name, state.KindEnvironment)[0].Attributes {
			if a.Value.Secret != nil && (a.Name == "env.KEY" || a.Name == "env.OWN") {
				out += a.Name + "=" + a.Value.Secret.Fingerprint + " "
			}
		}
		return out
	}
	before := fingerprints("demoshop")
	w.commit(map[string]string{"clients/demoshop.yaml": "", "clients/toyshop.yaml": strings.Replace(manifestOf("demoshop", env), "name: demoshop\n", "name: toyshop\npreviously: [demoshop]\n", 1)})
	w.active("toyshop")
	if after := fingerprints("toyshop"); after != before || strings.Count(after, "=") != 2 {
		t.Errorf("after a rename the secrets are %s, were %s", after, before)
	}
	w.commit(map[string]string{"clients/copy.yaml": manifestOf("copy", env)})
	if r := rowOf(w.apply(), "copy"); r.Status == string(state.StatusActive) || !strings.Contains(r.Next, "reconciler secret set mollie --client copy") {
		t.Errorf("a copy is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	n := w.calls.len()
	if r := w.cliIn("second-value", "secret", "set", "mollie", "--client", "toyshop"); r.code != 0 {
		t.Fatal(r.err)
	}
	w.apply()
	if after := fingerprints("toyshop"); after == before || len(w.calls.writes(n)) == 0 {
		t.Error("a new version does not reach the site")
	}
	for _, args := range [][]string{{"history"}, {"history", "toyshop"}} {
		if r := w.must(0, args...); !strings.Contains(r.out, "secret mollie version 2") {
			t.Errorf("%s does not say that a secret was set:\n%s", strings.Join(args, " "), r.out)
		}
	}
}

// Rule, rolling back a failed create: only what this run created is deleted, the database
// is retained, and the client stays failed until a commit touches it (or a retry). Once a
// deployment succeeded, a failure takes nothing away.
func TestRuleRollingBackAFailedCreate(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": bare("bakery")})
	var refusing, promoting atomic.Bool
	refusing.Store(true)
	promoting.Store(true)
	w.calls.interfere(func(x call) error {
		if x.Verb == "create" && x.Kind == state.KindDeployment && refusing.Load() || x.Verb == "update" && x.Kind == state.KindTraffic && !promoting.Load() {
			return refuse(provider.Invalid, x, "payment required")
		}
		return nil
	}, nil)
	w.start()
	w.active("bakery")
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "onFailure: keep")})
	w.apply()
	site, database := w.resources("demoshop", state.KindSite), w.databaseID("demoshop")
	if len(site) != 1 {
		t.Fatalf("onFailure: keep left %v", site)
	}
	w.mark("demoshop", "row")
	// The next run makes one thing more, and fails with `rollback`: that one goes, alone.
	n := w.calls.len()
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "dns: {records: [{type: TXT, name: x, content: y}]}")})
	if r := rowOf(w.apply(), "demoshop"); r.Status != string(state.StatusFailed) {
		t.Fatalf("demoshop is %s: %s", r.Status, r.Because)
	}
	if got := w.resources("demoshop", state.KindSite); len(got) != 1 || got[0].ID != site[0].ID {
		t.Errorf("what an earlier run made was taken away: %v", got)
	}
	for _, c := range w.calls.since(n) {
		if c.Verb == "delete" && (c.Kind == state.KindDatabase || c.Name == site[0].ID) {
			t.Errorf("the run deleted %s", c)
		}
	}
	// It stays failed, whatever else goes on.
	n = w.calls.len()
	for range 5 {
		w.clock.add(7 * time.Hour)
		w.commit(map[string]string{"README.md": w.clock.Now().String(), "clients/bakery.yaml": bare("bakery", "notes: at "+w.clock.Now().Format(time.RFC3339))})
		if r := rowOf(w.apply(), "demoshop"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Next, "reconciler retry demoshop") {
			t.Errorf("demoshop is %s: %s; %s", r.Status, r.Because, r.Next)
		}
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("a failed client was tried again by itself: %v", got)
	}
	// A commit that touches it tries again, with the database that was there.
	refusing.Store(false)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	if got := w.databaseID("demoshop"); got != database || !slices.Equal(w.rows("demoshop"), []string{"row"}) {
		t.Errorf("the database is %s, was %s", got, database)
	}
	promoting.Store(false)
	n = w.calls.len()
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {STORE_CURRENCY: CHF}")})
	if r := rowOf(w.apply(), "demoshop"); r.Status != string(state.StatusFailed) || !strings.HasPrefix(r.Because, "Your site still runs the old version.") {
		t.Errorf("demoshop is %s: %s", r.Status, r.Because)
	}
	for _, c := range w.calls.since(n) {
		if c.Verb == "delete" {
			t.Errorf("a failed update deleted %s", c)
		}
	}
	if code, _ := w.get("demoshop.localhost", "/"); code != 200 {
		t.Errorf("the site answers %d", code)
	}
}
