package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write testdata")

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// traits of providers as they are: a database that is never made anew, a host that
// promotes, a second host, a DNS server, a mailer, a person.
func traits() map[string]map[state.Kind]state.Traits {
	base := state.Traits{UniqueName: true, Marks: true, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 1, DeleteCalls: 1}
	with := func(f func(*state.Traits)) state.Traits { t := base; f(&t); return t }
	host := map[state.Kind]state.Traits{
		state.KindSite: with(func(t *state.Traits) { t.Serving = true }), state.KindEnvironment: base,
		state.KindDeployment: with(func(t *state.Traits) { t.Promotable = true; t.CreateCalls = 2 }),
		state.KindTraffic:    with(func(t *state.Traits) { t.Serving = true }),
		state.KindDomain:     with(func(t *state.Traits) { t.Serving = true; t.Replace = []string{"host"} }),
	}
	byHand := with(func(t *state.Traits) { t.Manual = true })
	return map[string]map[state.Kind]state.Traits{
		"sqlite":   {state.KindDatabase: with(func(t *state.Traits) { t.Data = true; t.Replace = []string{"access"} }), state.KindAdmin: base},
		"railway":  {state.KindDatabase: with(func(t *state.Traits) { t.Data = true }), state.KindAdmin: base},
		"pg1":      {state.KindDatabase: with(func(t *state.Traits) { t.Data, t.Engine = true, "postgresql" })},
		"pg2":      {state.KindDatabase: with(func(t *state.Traits) { t.Data, t.Engine = true, "postgresql" })},
		"local":    host,
		"vercel":   host,
		"localdns": {state.KindRecord: with(func(t *state.Traits) { t.Serving = true })},
		"external": {state.KindRecord: byHand, state.KindDatabase: byHand},
		"mailbox":  {state.KindMail: base},
		"postgres": {state.KindDatabase: with(func(t *state.Traits) { t.Data = true })},
		"payload":  {state.KindAdmin: {Replace: []string{"database"}, Once: []string{"email", "password", "url"}, UniqueName: true, ObserveCalls: 1, CreateCalls: 3, UpdateCalls: 1}},
		"stripe":   {state.KindPayments: {Data: true, Marks: true, Replace: []string{"country"}, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 2}},
	}
}

// shop is a manifest as resolved; change alters it.
func shop(name string, change ...func(*manifest.Effective)) manifest.Effective {
	e := manifest.Effective{Host: name + ".example", Hosts: []string{name + ".example"}, Source: manifest.Source{Repository: "builtin", Ref: "v1"},
		AdminPanel:  manifest.AdminPanel{Kind: "local", Path: "/admin"},
		Environment: manifest.Env{"DATABASE_URL": {From: "database.url"}, "SESSION": {Generate: "hex32"}, "CURRENCY": {Literal: "EUR"}}}
	e.Name, e.DisplayName, e.Template = name, strings.ToUpper(name), "ecommerce"
	e.Deployment.Provider, e.Database.Provider, e.DNS.Provider = "local", "sqlite", "localdns"
	e.Database.Retain.For = manifest.Duration(30 * 24 * time.Hour)
	e.Admin.Email = "owner@" + e.Host
	for _, f := range change {
		f(&e)
	}
	return e
}

func idOf(name string) state.ClientID { return state.ClientID(name + "-1a2b") }

func wishFor(t testing.TB, c state.Client, e manifest.Effective, secrets map[string]state.SecretRef) []state.Resource {
	t.Helper()
	all, problems := desired.Resources(desired.Input{Client: c, Effective: e, Secrets: secrets, Mail: "mailbox", PublicURL: "http://" + e.Host + "/",
		Configured: func(p string, k state.Kind) bool {
			return p != "postgres" || k != state.KindAdmin // it keeps no users
		}})
	if len(problems) > 0 {
		t.Fatalf("%s cannot be wished: %v", e.Name, problems)
	}
	return all
}

// client is a client of the group with its wish and no record.
func client(t testing.TB, e manifest.Effective) plan.ClientInput {
	c := state.Client{ID: idOf(e.Name), Name: e.Name, Generation: 1}
	return plan.ClientInput{Client: c, Wish: wishFor(t, c, e, nil), Health: true, Retain: e.Database.Retain.For.Std()}
}

// settled is the client after everything that e wishes was done.
func settled(t testing.TB, e manifest.Effective) plan.ClientInput {
	t.Helper()
	c := client(t, e)
	for n := 0; ; n++ {
		p := plan.Calculate(input(c))
		if p.Empty() {
			return c
		}
		if len(p.Problems) > 0 || n > 2 {
			t.Fatalf("%s does not settle: %v %v", e.Name, p.Problems, lines(p))
		}
		c.Recorded = plan.Model(c.Recorded, p, now.Add(-time.Hour))
	}
}

// becomes is the settled client with a new wish, and the proof of what it took away.
func becomes(t testing.TB, c plan.ClientInput, e manifest.Effective) plan.ClientInput {
	t.Helper()
	was := c.Wish
	c.Wish = wishFor(t, c.Client, e, nil)
	for _, part := range desired.Parts(was, c.Wish) {
		if strings.HasPrefix(part, "deployment/") || strings.HasPrefix(part, "mail/") {
			continue // as where heads are accepted: a release goes with its site
		}
		c.Tombstones = append(c.Tombstones, state.Tombstone{Client: c.Client.ID, Part: part})
	}
	return c
}

// removed is the client with the proof that its manifest is gone.
func removed(c plan.ClientInput) plan.ClientInput {
	c.Wish, c.Removed = nil, true
	c.Tombstones = []state.Tombstone{{Client: c.Client.ID, Name: c.Client.Name}}
	return c
}

func input(clients ...plan.ClientInput) plan.Input {
	return plan.Input{Commit: "c0ffee", Now: now, Clients: clients, Traits: traits(), Keep: 2}
}

// lines are the steps, but for the record, as "action kind/name risk".
func lines(p plan.Plan) []string {
	out := []string{}
	for _, s := range p.Steps {
		if s.Action != plan.Record {
			out = append(out, line(s))
		}
	}
	return out
}

func line(s plan.Step) string {
	name := string(s.Ref.Kind)
	if s.Ref.Kind != state.KindDeployment { // the name is a hash
		name += "/" + s.Ref.Name
	}
	text := string(s.Action) + " " + name
	if s.Outside {
		text += " outside"
	}
	if s.Risk != "" {
		text += " !" + string(s.Risk)
	}
	if s.Blocked {
		text += " blocked"
	}
	return text
}

// changes are lines without those that only wait, ask or record.
func changes(p plan.Plan) []string {
	out := []string{}
	for _, s := range p.Steps {
		if s.Action != plan.Record && s.Action != plan.Await && s.Action != plan.Probe {
			out = append(out, line(s))
		}
	}
	sort.Strings(out)
	return out
}

// render writes a plan for a golden file.
func render(p plan.Plan) string {
	var b strings.Builder
	names := map[string]string{}
	for i, s := range p.Steps {
		names[s.Key()] = fmt.Sprint(i + 1)
	}
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%2d  %-11s %s: %s", i+1, plan.StepName(s.Number), s.Client, line(s))
		if s.Provider != "" {
			fmt.Fprintf(&b, " at %s", s.Provider)
		}
		if s.Calls > 0 {
			fmt.Fprintf(&b, ", %d calls", s.Calls)
		}
		var needs []string
		for _, n := range s.Needs {
			needs = append(needs, names[n])
		}
		sort.Slice(needs, func(i, j int) bool {
			return len(needs[i]) < len(needs[j]) || len(needs[i]) == len(needs[j]) && needs[i] < needs[j]
		})
		if len(needs) > 0 && s.Action != plan.Record {
			fmt.Fprintf(&b, ", after %s", strings.Join(needs, " "))
		}
		fmt.Fprintf(&b, "\n    (%s) undo: %s\n", s.Reason, s.Undo)
		for _, f := range s.Fields {
			if s.Action != plan.Create {
				fmt.Fprintf(&b, "      %s: %q -> %q\n", f.Name, f.Before, f.After)
			}
		}
	}
	for _, q := range p.Problems {
		fmt.Fprintf(&b, "held (%s) %s: %s\n    %s\n", q.Hold, q.Name, q.Text, q.Act)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning %s: %s\n    %s\n", w.Name, w.Text, w.Act)
	}
	fmt.Fprintf(&b, "%d calls\n", p.Calls())
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, d)
	}
}

func find(t *testing.T, p plan.Plan, text string) plan.Step {
	t.Helper()
	for _, s := range p.Steps {
		if line(s) == text {
			return s
		}
	}
	t.Fatalf("no step %q in %v", text, lines(p))
	return plan.Step{}
}

// after says that b runs only when a is done.
func after(p plan.Plan, b, a string) bool {
	by := map[string]plan.Step{}
	for _, s := range p.Steps {
		by[s.Key()] = s
	}
	seen := map[string]bool{}
	var walk func(string) bool
	walk = func(k string) bool {
		if k == a {
			return true
		}
		if seen[k] {
			return false
		}
		seen[k] = true
		for _, n := range by[k].Needs {
			if walk(n) {
				return true
			}
		}
		return false
	}
	return b != a && walk(b)
}
