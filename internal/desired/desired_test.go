package desired

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write testdata")

// shop is a manifest as resolved; change alters it.
func shop(change ...func(*manifest.Effective)) Input {
	e := manifest.Effective{Host: "shop.example", Hosts: []string{"shop.example", "www.shop.example"}, Source: manifest.Source{Repository: "acme/storefront", Ref: "main", Directory: "."},
		Build: manifest.Build{Install: "pnpm i", Command: "pnpm build"}, Migrate: "pnpm migrate", AdminPanel: manifest.AdminPanel{Kind: "payload", Path: "/admin"},
		Features: []string{"ecommerce", "blog"}, Environment: manifest.Env{"DATABASE_URL": {From: "database.url"}, "SESSION": {Generate: "hex32"}, "ZERO": {Literal: "021"},
			"VERSION": {Literal: "1.10"}, "SWITCH": {Literal: "on"}, "KEY": {Secret: "mollie"}, "ALL": {Secret: "shared/sentry"}, "URL": {From: "site.url"}}}
	e.Name, e.DisplayName, e.Template, e.Admin.Email = "shop", "Shop", "ecommerce", "dana@shop.example"
	e.Deployment.Provider, e.Deployment.Server, e.Database.Provider, e.Database.Access, e.DNS.Provider = "ploi", "web-1", "railway", "public", "cloudflare"
	e.DNS.Records = []manifest.Record{{Type: "MX", Name: "@", Content: "mx.example", Priority: 10}, {Type: "TXT", Name: "note", Content: "x", TTL: 60}}
	for _, f := range change {
		f(&e)
	}
	own := state.SecretRef{Scope: "shop-1a2b", Name: "mollie", Version: 3, Fingerprint: "aa11"}
	all := state.SecretRef{Scope: "shared", Name: "sentry", Version: 1, Fingerprint: "bb22"}
	return Input{Client: state.Client{ID: "shop-1a2b", Name: e.Name}, Effective: e, Mail: "resend", PublicURL: "https://shop.example/",
		Secrets:    map[string]state.SecretRef{own.Scope + "/" + own.Name: own, all.Scope + "/" + all.Name: all},
		Configured: func(string, state.Kind) bool { return true }}
}

func resources(t *testing.T, in Input) []state.Resource {
	t.Helper()
	all, problems := Resources(in)
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	return all
}

func of(t *testing.T, all []state.Resource, k state.Kind) state.Resource {
	t.Helper()
	for _, r := range all {
		if r.Ref.Kind == k {
			return r
		}
	}
	t.Fatalf("no %s is wished", k)
	return state.Resource{}
}

func render(all []state.Resource) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%s at %s", r.Ref, r.Provider)
		if len(r.After) > 0 {
			fmt.Fprintf(&b, " after %s", r.After)
		}
		if r.AdoptID != "" {
			fmt.Fprintf(&b, " adopts %s", r.AdoptID)
		}
		b.WriteString("\n")
		for _, a := range r.Attributes {
			fmt.Fprintf(&b, "    %-12s %s\n", a.Name, a.Value.Canonical())
		}
	}
	return b.String()
}

func TestWish(t *testing.T) {
	in := shop()
	in.Client.SourceSpec, in.Client.SourceCommit = "acme/storefront@main", "4f1c"
	got := render(resources(t, in))
	file := filepath.Join("testdata", "wish.golden")
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

// RuleWhatIsDeployed: the resolved commit is part of the release; a branch that moves
// later changes nothing, for nobody asks again while repository and ref stay.
func TestRuleWhatIsDeployed(t *testing.T) {
	release := func(spec, commit string, change ...func(*manifest.Effective)) state.Resource {
		in := shop(change...)
		in.Client.SourceSpec, in.Client.SourceCommit = spec, commit
		return of(t, resources(t, in), state.KindDeployment)
	}
	const spec = "acme/storefront@main"
	first := release(spec, "4f1c")
	if got := first.Attributes.Literal("commit"); got != "4f1c" {
		t.Errorf("commit %q", got)
	}
	if again := release(spec, "4f1c"); again.Ref != first.Ref {
		t.Error("the same commit gives another release")
	}
	if other := release(spec, "9a9a"); other.Ref == first.Ref {
		t.Error("another commit gives the same release")
	}
	for name, r := range map[string]state.Resource{
		"stale":    release("acme/storefront@v1", "4f1c"),
		"unknown":  release("", ""),
		"builtin":  release("builtin@main", "4f1c", func(e *manifest.Effective) { e.Source.Repository = "builtin" }),
		"no words": release("@main", "4f1c", func(e *manifest.Effective) { e.Source.Repository = "" }),
	} {
		if v, ok := r.Attributes.Get("commit"); ok {
			t.Errorf("%s: a commit that was resolved from something else: %v", name, v)
		}
	}
	for want, change := range map[string]func(*manifest.Effective){
		spec:                  func(*manifest.Effective) {},
		"acme/storefront@v2":  func(e *manifest.Effective) { e.Source.Ref = "v2" },
		"acme/other@main":     func(e *manifest.Effective) { e.Source.Repository = "acme/other" },
		"":                    func(e *manifest.Effective) { e.Source.Repository = "builtin" },
		"acme/storefront@":    func(e *manifest.Effective) { e.Source.Ref = "" },
		"acme/storefront@v10": func(e *manifest.Effective) { e.Source.Ref = "v10" },
	} {
		if got := SourceSpec(shop(change).Effective); got != want {
			t.Errorf("spec %q, want %q", got, want)
		}
	}
	for _, provider := range []string{"none", "external"} {
		if got := SourceSpec(shop(func(e *manifest.Effective) { e.Deployment.Provider = provider }).Effective); got != "" {
			t.Errorf("a client whose site is %s has the spec %q", provider, got)
		}
	}
}

// A release's name is a hash of all that it is made of, and of nothing else: not of the
// client's id, which is minted when the manifest is accepted (S13).
func TestReleaseName(t *testing.T) {
	base := of(t, resources(t, shop()), state.KindDeployment)
	for _, c := range []struct {
		name   string
		change func(*manifest.Effective)
		same   bool
	}{
		{"contact", func(e *manifest.Effective) { e.Contact.Name = "x" }, true},
		{"billing", func(e *manifest.Effective) { e.Billing = &manifest.Billing{Status: "trial"} }, true},
		{"labels and notes", func(e *manifest.Effective) { e.Labels, e.Notes = map[string]string{"team": "x"}, "y" }, true},
		{"order of features", func(e *manifest.Effective) { e.Features = []string{"blog", "ecommerce"} }, true},
		{"aliases", func(e *manifest.Effective) { e.Hosts = e.Hosts[:1] }, true},
		{"records", func(e *manifest.Effective) { e.DNS.Records = nil }, true},
		{"template's revision", func(e *manifest.Effective) { e.TemplateBlob = "x" }, true},
		{"ref", func(e *manifest.Effective) { e.Source.Ref = "v2" }, false},
		{"build", func(e *manifest.Effective) { e.Build.Command = "make" }, false},
		{"features", func(e *manifest.Effective) { e.Features = []string{"blog"} }, false},
		{"settings", func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} }, false},
		{"a variable", func(e *manifest.Effective) { e.Environment["ZERO"] = manifest.EnvValue{Literal: "21"} }, false},
		{"a variable less", func(e *manifest.Effective) { delete(e.Environment, "ZERO") }, false},
		{"displayName", func(e *manifest.Effective) { e.DisplayName = "Other" }, false},
	} {
		if got := of(t, resources(t, shop(c.change)), state.KindDeployment).Ref == base.Ref; got != c.same {
			t.Errorf("%s: same release %t, want %t", c.name, got, c.same)
		}
	}
	minted := shop()
	minted.Client.ID = "shop-7f3a"
	own := minted.Secrets["shop-1a2b/mollie"]
	own.Scope = "shop-7f3a"
	minted.Secrets["shop-7f3a/mollie"] = own
	if got := of(t, resources(t, minted), state.KindDeployment); got.Ref.Name != base.Ref.Name {
		t.Error("the client's id is part of the release's name")
	}
	rotated := shop()
	own = rotated.Secrets["shop-1a2b/mollie"]
	own.Version++
	rotated.Secrets["shop-1a2b/mollie"] = own
	got := of(t, resources(t, rotated), state.KindDeployment)
	if got.Ref == base.Ref || got.Attributes.Literal("secrets") == base.Attributes.Literal("secrets") {
		t.Error("S45: a new version of a secret is no new release")
	}
	if got.Attributes.Literal("environment") != base.Attributes.Literal("environment") {
		t.Error("a new version of a secret is another environment by name")
	}
}

// RuleValues: environment values keep their spelling.
func TestRuleValuesSpelling(t *testing.T) {
	env := of(t, resources(t, shop()), state.KindEnvironment).Attributes
	for name, want := range map[string]string{"ZERO": "021", "VERSION": "1.10", "SWITCH": "on", "URL": "https://shop.example/"} {
		if got := env.Literal("env." + name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// RuleSecrets: bound to the id, versions by number, an unset one is a problem with the
// way to set it; an unconfigured provider is an error, never a fallback.
func TestRuleSecretsAndProviders(t *testing.T) {
	env := of(t, resources(t, shop()), state.KindEnvironment).Attributes
	key, _ := env.Get("env.KEY")
	all, _ := env.Get("env.ALL")
	session, _ := env.Get("env.SESSION")
	if key.Secret == nil || key.Secret.Scope != "shop-1a2b" || key.Secret.Version != 3 || all.Secret == nil || all.Secret.Scope != "shared" ||
		session.Secret == nil || session.Secret.Name != "generated/SESSION" || session.Secret.Scope != "shop-1a2b" {
		t.Errorf("KEY %v ALL %v SESSION %v", key, all, session)
	}
	for _, c := range []struct {
		name   string
		change func(*Input)
		text   string
		act    string
	}{
		{"own secret unset", func(in *Input) { delete(in.Secrets, "shop-1a2b/mollie") }, `"mollie"`, "reconciler secret set mollie --client shop"},
		{"shared secret unset", func(in *Input) { delete(in.Secrets, "shared/sentry") }, `"shared/sentry"`, "reconciler secret set sentry`"},
		{"another client's", func(in *Input) { in.Client.ID = "other-9z" }, `"mollie"`, "reconciler secret set"},
		{"provider", func(in *Input) { in.Configured = func(p string, _ state.Kind) bool { return p != "ploi" } }, "deployment.provider ploi: providers.ploi is not configured", "providers.ploi"},
		{"no database", func(in *Input) { in.Effective.Database.Provider = "none" }, "database.url", "{none: true}"},
		{"settings", func(in *Input) { in.Effective.Settings = map[string]any{"f": func() {}} }, "settings", "plain YAML"},
		{"payments", func(in *Input) {
			in.Effective.Payments = &manifest.Payments{Enabled: true, Provider: "stripe"}
		}, "no country", "payments.country"},
		{"payments without a key", func(in *Input) {
			in.Configured = func(p string, _ state.Kind) bool { return p != "stripe" }
			in.Effective.Payments = &manifest.Payments{Enabled: true, Country: "NL"}
		}, "providers.stripe is not configured: payments needs it", "providers.stripe"},
		{"an account of one that takes none", func(in *Input) {
			in.Effective.Environment["ACCOUNT"] = manifest.EnvValue{From: "payments.account"}
		}, "payments.account", "payments.enabled"},
		{"adopted payments", func(in *Input) { in.Effective.Adopt = manifest.Adopt{"payments": {Account: "acct_1"}} }, "adopt.payments", "payments.enabled"},
		{"adopted without asking", func(in *Input) {
			in.Effective.Adopt = manifest.Adopt{"record": {ID: "r1"}}
			in.Effective.DNS.Provider = "none"
		}, "adopt.record", "adopt"},
	} {
		in := shop()
		c.change(&in)
		_, problems := Resources(in)
		if len(problems) == 0 || !strings.Contains(problems[0].Text, c.text) || !strings.Contains(problems[0].Act, c.act) {
			t.Errorf("%s: %v", c.name, problems)
		}
	}
}

// What is not configured is said once a provider, with what needs it, the field that asks for
// it, and what there is instead; what it is needed for is not said again.
func TestUnconfiguredProviderIsSaidOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		there  func(string, state.Kind) bool
		change func(*manifest.Effective)
		want   []Problem
	}{
		{"a host", func(p string, _ state.Kind) bool { return p != "ploi" && p != "vercel" }, func(e *manifest.Effective) { e.Adopt = manifest.Adopt{"site": {ID: "17"}} }, []Problem{{
			"deployment.provider ploi: providers.ploi is not configured: site, environment, deployment, traffic and domain need it",
			"add the block providers.ploi to reconciler.yaml, or choose in deployment.provider what is there: local, external, none"}}},
		{"a host that has no such thing", func(p string, k state.Kind) bool { return p != "ploi" || k != state.KindDomain }, nil, []Problem{{
			"deployment.provider ploi: ploi keeps no domain", "choose in deployment.provider what is there: ploi, vercel, local, external, none"}}},
		{"all", func(string, state.Kind) bool { return false }, func(e *manifest.Effective) { e.Deployment.Provider, e.DNS.Provider = "local", "local" }, []Problem{{
			"database.provider railway: providers.railway is not configured: database needs it", "add the block providers.railway to reconciler.yaml, or choose in database.provider what is there: none"}, {
			"deployment.provider and dns.provider local: providers.embedded is not configured: site, environment, deployment, traffic, domain, admin and record need it",
			"add the block providers.embedded to reconciler.yaml, or choose in deployment.provider what is there: none; in dns.provider what is there: none"}, {
			"providers.resend is not configured: mail needs it", "add the block providers.resend to reconciler.yaml"}}},
	} {
		in := shop()
		in.Configured = c.there
		if c.change != nil {
			c.change(&in.Effective)
		}
		_, problems := Resources(in)
		if d := cmp.Diff(c.want, problems); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// A database that somebody else keeps: its address is the client's secret, so that a
// new version of it reaches the site.
func TestExternalDatabase(t *testing.T) {
	all := resources(t, shop(func(e *manifest.Effective) {
		e.Database.Provider, e.Database.External = "external", &manifest.ExternalURL{URL: manifest.EnvValue{Secret: "mollie"}}
	}))
	db, _ := of(t, all, state.KindDatabase).Attributes.Get("url")
	env, _ := of(t, all, state.KindEnvironment).Attributes.Get("env.DATABASE_URL")
	if db.Secret == nil || !db.Equal(env) {
		t.Errorf("database %v, site %v", db, env)
	}
}

// Where an external site is, only its keeper knows: it is asked for, never guessed.
func TestExternalSiteNeedsItsAddress(t *testing.T) {
	records := func(provider string, own ...manifest.Record) func(*manifest.Effective) {
		return func(e *manifest.Effective) {
			e.Deployment.Provider, e.Deployment.Server, e.DNS.Provider, e.DNS.Records = "external", "", provider, own
		}
	}
	everywhere := []manifest.Record{{Type: "A", Name: "@", Content: "203.0.113.7"}, {Type: "CNAME", Name: "www", Content: "shop.example"}}
	for _, c := range []struct {
		name     string
		change   func(*manifest.Effective)
		records  int
		problems []string
	}{
		{"nothing said", records("cloudflare"), 0, []string{"shop.example", "www.shop.example"}},
		{"one said", records("cloudflare", everywhere[:1]...), 1, []string{"www.shop.example"}},
		{"all said", records("cloudflare", everywhere...), 2, nil},
		{"an IPv6 address", records("cloudflare", manifest.Record{Type: "AAAA", Name: "@", Content: "2001:db8::7"}, everywhere[1]), 2, nil},
		{"a person sets them", records("external"), 2, nil},
		{"nobody does", records("none"), 0, nil},
	} {
		in := shop(c.change)
		all, problems := Resources(in)
		n := 0
		for _, r := range all {
			if r.Ref.Kind == state.KindRecord {
				n++
			}
		}
		if n != c.records || len(problems) != len(c.problems) {
			t.Errorf("%s: %d records, problems %v", c.name, n, problems)
			continue
		}
		for i, host := range c.problems {
			if !strings.Contains(problems[i].Text, "where "+host+" is") || !strings.Contains(problems[i].Act, "dns.records") {
				t.Errorf("%s: %v", c.name, problems[i])
			}
			if strings.Contains(problems[i].Act, `."`) { // no manifest takes such a name
				t.Errorf("%s: %s", c.name, problems[i].Act)
			}
		}
	}
}

// A client that asks for nothing wishes nothing; that is a wish, and what it had goes.
func TestNothingIsAWish(t *testing.T) {
	all := resources(t, shop(func(e *manifest.Effective) {
		e.Deployment.Provider, e.Database.Provider, e.DNS.Provider, e.Environment = "none", "none", "none", nil
	}))
	if all == nil || len(all) != 0 {
		t.Errorf("%#v", all)
	}
}

func TestRecords(t *testing.T) {
	on := true
	for _, c := range []struct {
		name    string
		records []manifest.Record
		proxied bool
		want    []string // name of Ref, content, ttl
	}{
		{"one a host", nil, false, []string{"A shop.example address 300", "A www.shop.example address 300"}},
		{"proxied", nil, true, []string{"A shop.example address 300 proxied", "A www.shop.example address 300 proxied"}},
		{"the manifest's own takes its place", []manifest.Record{{Type: "CNAME", Name: "www", Content: "x.example", TTL: 60}}, false,
			[]string{"A shop.example address 300", "CNAME www.shop.example x.example 60"}},
		{"@ is the domain", []manifest.Record{{Type: "A", Name: "@", Content: "192.0.2.1", Proxied: &on}}, false,
			[]string{"A shop.example 192.0.2.1 300 proxied", "A www.shop.example address 300"}},
		{"full names", []manifest.Record{{Type: "AAAA", Name: "Deep.shop.example", Content: "2001:db8::1"}, {Type: "CNAME", Name: "else.example.", Content: "x.example"}}, false,
			[]string{"A shop.example address 300", "A www.shop.example address 300", "AAAA deep.shop.example 2001:db8::1 300", "CNAME else.example x.example 300"}},
		{"several of a name", []manifest.Record{{Type: "TXT", Name: "@", Content: "a"}, {Type: "TXT", Name: "@", Content: "b"}, {Type: "TXT", Name: "@", Content: "a"}}, false,
			[]string{"A shop.example address 300", "A www.shop.example address 300", "TXT shop.example #" + hash("a\n0")[:6] + " a 300", "TXT shop.example #" + hash("b\n0")[:6] + " b 300"}},
	} {
		var got []string
		for _, r := range resources(t, shop(func(e *manifest.Effective) { e.DNS.Records, e.DNS.Proxied = c.records, c.proxied })) {
			if r.Ref.Kind != state.KindRecord {
				continue
			}
			content, _ := r.Attributes.Get("content")
			text := r.Ref.Name + " " + content.Literal + content.Output + " " + r.Attributes.Literal("ttl")
			if r.Attributes.Literal("proxied") == "true" {
				text += " proxied"
			}
			got = append(got, text)
		}
		sort.Strings(got)
		sort.Strings(c.want)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// RuleAdoption: what `adopt:` names is marked on what is wished; what the site's
// environment said stays until the manifest says otherwise.
func TestRuleAdoptionIsAField(t *testing.T) {
	in := shop(func(e *manifest.Effective) {
		e.Adopt = manifest.Adopt{"site": {ID: "48211"}, "database": {ID: "9c1e"}, "record": {ID: "r1"}}
	})
	kept := state.SecretRef{Scope: "shop-1a2b", Name: Kept + "LEGACY", Version: 1}
	gone := state.SecretRef{Scope: "shop-1a2b", Name: Kept + "GONE", Version: 1}
	said := state.SecretRef{Scope: "shop-1a2b", Name: Kept + "ZERO", Version: 1}
	foreign := state.SecretRef{Scope: "other-9z", Name: Kept + "FOREIGN", Version: 1}
	for _, s := range []state.SecretRef{kept, gone, said, foreign} {
		in.Secrets[s.Scope+"/"+s.Name] = s
	}
	in.Effective.Env = manifest.Env{"GONE": {None: true}}
	all := resources(t, in)
	got := map[string]string{}
	for _, r := range all {
		if r.AdoptID != "" {
			got[part(r.Ref)] = r.AdoptID
		}
	}
	if d := cmp.Diff(map[string]string{"site/ploi/web-1": "48211", "database/main": "9c1e", "record/A shop.example": "r1"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	env := of(t, all, state.KindEnvironment).Attributes
	if v, _ := env.Get("env.LEGACY"); v.Secret == nil || *v.Secret != kept {
		t.Errorf("LEGACY is %v", v)
	}
	if env.Literal("env.ZERO") != "021" {
		t.Error("the manifest's word does not win")
	}
	for _, n := range []string{"env.GONE", "env.FOREIGN"} {
		if v, ok := env.Get(n); ok {
			t.Errorf("%s is %v", n, v)
		}
	}
	in.Effective.Env = nil
	delete(in.Secrets, gone.Scope+"/"+gone.Name)
	without := of(t, resources(t, in), state.KindDeployment)
	delete(in.Secrets, kept.Scope+"/"+kept.Name)
	if again := of(t, resources(t, in), state.KindDeployment); again.Ref != without.Ref {
		t.Error("what was kept is part of the release's name")
	}
	if of(t, all, state.KindDeployment).Ref == without.Ref {
		t.Error("what {none: true} takes away is no new release")
	}
}

// Names of the site carry its host and server: both sides of a switch can be on record.
func TestSidesHaveNamesOfTheirOwn(t *testing.T) {
	a := resources(t, shop())
	b := resources(t, shop(func(e *manifest.Effective) { e.Deployment.Server = "web-2" }))
	for _, k := range []state.Kind{state.KindSite, state.KindEnvironment, state.KindTraffic, state.KindDomain, state.KindDeployment} {
		if of(t, a, k).Ref == of(t, b, k).Ref {
			t.Errorf("%s is called the same on both sides", k)
		}
	}
	for _, k := range []state.Kind{state.KindDatabase, state.KindRecord, state.KindAdmin, state.KindMail} {
		if of(t, a, k).Ref != of(t, b, k).Ref {
			t.Errorf("%s is another one after a switch", k)
		}
	}
}

func TestParts(t *testing.T) {
	a, b := resources(t, shop()), resources(t, shop(func(e *manifest.Effective) { e.Hosts, e.DNS.Records = e.Hosts[:1], e.DNS.Records[:1] }))
	want := []string{"domain/www.shop.example@ploi/web-1", "record/A www.shop.example", "record/TXT note.shop.example #" + hash("x\n0")[:6]}
	if d := cmp.Diff(want, Parts(a, b)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := Parts(b, a); len(got) > 0 {
		t.Errorf("the other way round: %v", got)
	}
}

// A record that is said in two spellings is one, under one name, whatever the spelling.
func TestOneSpellingOfRecords(t *testing.T) {
	names := func(all ...manifest.Record) (out []string) {
		in := shop()
		in.Effective.DNS.Records = all
		got, problems := Resources(in)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for _, r := range got {
			if r.Ref.Kind == state.KindRecord && r.Attributes.Literal("type") == "TXT" {
				out = append(out, r.Ref.Name+" = "+r.Attributes.Literal("content"))
			}
		}
		return out
	}
	plain, quoted := manifest.Record{Type: "TXT", Name: "_verify", Content: "shop 1"}, manifest.Record{Type: "TXT", Name: "_verify", Content: `"shop 1"`}
	one := names(plain)
	if len(one) != 1 || !strings.HasSuffix(one[0], " = shop 1") {
		t.Fatalf("%v", one)
	}
	for _, both := range [][]string{names(quoted), names(plain, quoted)} {
		if len(both) != 1 || both[0] != one[0] {
			t.Errorf("%v, want %v", both, one)
		}
	}
}
