package manifest

import (
	"reflect"
	"strings"
	"testing"
)

// layers resolves a manifest over a template's and a platform file's extra lines and
// the configuration.
func layers(t *testing.T, d Defaults, platform, template, manifest string) (Effective, Problems) {
	t.Helper()
	p, problems := DecodePlatform("platform.yaml", []byte("baseDomain: agency.example\n"+platform))
	if len(problems) > 0 {
		t.Fatalf("platform: %v", problems)
	}
	tpl, problems := DecodeTemplate("templates/shop.yaml", []byte("name: shop\nsource: {repository: builtin, ref: v1}\n"+template))
	if len(problems) > 0 {
		t.Fatalf("template: %v", problems)
	}
	text := "name: a\ntemplate: shop\ncontact: {email: a@a.example}\n" + manifest
	if !strings.Contains(manifest, "domain:") {
		text += "domain: a\n"
	}
	return Resolve("clients/a.yaml", []byte(text), Context{Defaults: d, Platform: &p, Templates: map[string]Template{"shop": tpl}, Blobs: map[string]string{"shop": "b1"}})
}

var configured = Defaults{Deployment: "local", Server: "one", Database: "sqlite", DNS: "local"}

// TestRuleValues: manifest over template over platform.yaml over reconciler.yaml;
// maps merge, lists replace; left out means the default; only none removes.
func TestRuleValues(t *testing.T) {
	for _, c := range []struct {
		name                         string
		platform, template, manifest string
		got                          func(Effective) any
		want                         any
	}{
		{"configuration alone", "", "", "", func(e Effective) any {
			return []string{e.Deployment.Provider, e.Deployment.Server, e.Database.Provider, e.DNS.Provider}
		}, []string{"local", "one", "sqlite", "local"}},
		{"platform over configuration", "defaults: {deployment: {provider: ploi, server: web-1}}\n", "", "", func(e Effective) any { return e.Deployment.Provider + "/" + e.Deployment.Server }, "ploi/web-1"},
		{"template over platform", "defaults: {deployment: {provider: ploi, server: web-1}}\n", "defaults: {deployment: {server: web-2}}\n", "", func(e Effective) any { return e.Deployment.Provider + "/" + e.Deployment.Server }, "ploi/web-2"},
		{"manifest over template", "", "defaults: {deployment: {server: web-2}}\n", "deployment: {server: web-3}\n", func(e Effective) any { return e.Deployment.Provider + "/" + e.Deployment.Server }, "local/web-3"},
		{"another provider inherits no server", "defaults: {deployment: {provider: ploi, server: web-1, timeout: 20m}}\n", "", "deployment: {provider: vercel}\n", func(e Effective) any {
			return e.Deployment.Provider + "/" + e.Deployment.Server + "/" + e.Deployment.Timeout.String()
		}, "vercel//20m"},
		{"another provider than the configuration's inherits no server", "", "", "deployment: {provider: vercel}\n", func(e Effective) any { return e.Deployment.Provider + "/" + e.Deployment.Server }, "vercel/"},
		{"the configuration's provider, said again, keeps its server", "", "", "deployment: {provider: local}\n", func(e Effective) any { return e.Deployment.Server }, "one"},
		{"a provider that is empty is left out", "", "", "deployment: {provider: }\n", func(e Effective) any { return e.Deployment.Provider + "/" + e.Deployment.Server }, "local/one"},
		{"another database inherits no address", "defaults: {database: {provider: external, external: {url: {secret: db}}}}\n", "", "database: {provider: sqlite}\n", func(e Effective) any { return e.Database.External == nil }, true},
		{"the database's address replaces", "defaults: {database: {provider: external, external: {url: {secret: db}}}}\n", "", "database: {external: {url: {secret: own}}}\n", func(e Effective) any { return e.Database.External.URL.Secret }, "own"},
		{"another name server inherits no proxy", "defaults: {dns: {provider: cloudflare, proxied: true}}\n", "", "dns: {provider: external}\n", func(e Effective) any { return e.DNS.Proxied }, false},
		{"false is said", "defaults: {dns: {proxied: true}}\n", "", "dns: {proxied: false}\n", func(e Effective) any { return e.DNS.Proxied }, false},
		{"maps merge, deeply", "defaults: {settings: {a: 1, theme: {mode: light, color: red}}}\n", "", "settings: {theme: {mode: dark}, b: 2}\n", func(e Effective) any { return e.Settings },
			map[string]any{"a": int64(1), "b": int64(2), "theme": map[string]any{"mode": "dark", "color": "red"}}},
		{"labels merge", "defaults: {labels: {team: a, region: north}}\n", "", "labels: {team: b}\n", func(e Effective) any { return e.Labels }, map[string]string{"team": "b", "region": "north"}},
		{"lists replace", "defaults: {settings: {list: [1, 2]}}\n", "", "settings: {list: [3]}\n", func(e Effective) any { return e.Settings["list"] }, []any{int64(3)}},
		{"records replace", "defaults: {dns: {records: [{type: A, name: x, content: 192.0.2.1}]}}\n", "", "dns: {records: [{type: A, name: y, content: 192.0.2.1}]}\n", func(e Effective) any { return e.DNS.Records }, []Record{{Type: "A", Name: "y", Content: "192.0.2.1"}}},
		{"no records are asked for", "defaults: {dns: {records: [{type: A, name: x, content: 192.0.2.1}]}}\n", "", "dns: {records: []}\n", func(e Effective) any { return len(e.DNS.Records) }, 0},
		{"left out means the default", "defaults: {dns: {records: [{type: A, name: x, content: 192.0.2.1}]}}\n", "", "dns: {records: }\n", func(e Effective) any { return len(e.DNS.Records) }, 1},
		{"features left out", "", "features: {allowed: [a, b], default: [a]}\n", "", func(e Effective) any { return e.Features }, []string{"a"}},
		{"features replace", "", "features: {allowed: [a, b], default: [a]}\n", "enabledFeatures: [b]\n", func(e Effective) any { return e.Features }, []string{"b"}},
		{"no features", "", "features: {allowed: [a, b], default: [a]}\n", "enabledFeatures: []\n", func(e Effective) any { return len(e.Features) }, 0},
		{"the platform's features, as far as the template has them", "defaults: {enabledFeatures: [a, z], disabledCollections: [x, y]}\n", "features: {allowed: [a, b]}\ncollections: {disableable: [y]}\n", "", func(e Effective) any {
			return [][]string{e.Features, e.EnabledFeatures, e.DisabledCollections}
		}, [][]string{{"a"}, {"a"}, {"y"}}},
		{"default features, as far as the plan has them", "plans: {free: {features: [a]}}\n", "features: {allowed: [a, b], default: [a, b]}\n", "plan: free\n", func(e Effective) any { return e.Features }, []string{"a"}},
		{"a plan that says no features has no limits", "plans: {free: {}}\n", "features: {allowed: [a, b]}\n", "plan: free\nenabledFeatures: [a, b]\n", func(e Effective) any { return e.Features }, []string{"a", "b"}},
		{"a plan that isn't listed has no limits", "plans: {free: {features: [a]}}\n", "features: {allowed: [a, b]}\n", "plan: starter\nenabledFeatures: [b]\n", func(e Effective) any { return e.Features }, []string{"b"}},
		{"the platform's floor is the default where it is higher", "limits: {minRetain: 60d}\n", "", "", func(e Effective) any { return e.Database.Retain.String() }, "60d"},
		{"the default where the floor is lower", "limits: {minRetain: 14d}\n", "", "", func(e Effective) any { return e.Database.Retain.String() }, "30d"},
		{"for ever passes every floor", "limits: {minRetain: 60d}\n", "", "database: {retain: forever}\n", func(e Effective) any { return e.Database.Retain }, Retain{Forever: true}},
		{"source from the template", "", "", "", func(e Effective) any { return e.Source.Repository + "@" + e.Source.Ref + "=" + e.Deployment.Ref }, "builtin@v1=v1"},
		{"source from the manifest", "", "", "deployment: {ref: v2}\n", func(e Effective) any { return e.Source.Repository + "@" + e.Source.Ref }, "builtin@v2"},
		{"the manifest says its source", "", "", "deployment: {ref: v2}\n", func(e Effective) any { return e.SourceAt }, "deployment of clients/a.yaml"},
		{"the template says its source", "", "", "", func(e Effective) any { return e.SourceAt }, "source of templates/shop.yaml"},
		{"none is a provider", "", "", "database: {provider: none}\ndns: {provider: none}\n", func(e Effective) any { return e.Database.Provider + e.DNS.Provider }, "nonenone"},
		{"administrator", "", "", "admin: {email: b@a.example}\n", func(e Effective) any { return e.Admin.Email }, "b@a.example"},
		{"empty maps are as good as none", "", "", "adopt: {}\nbilling: {}\npayments: {}\nlabels: {}\nsettings: {}\n", func(e Effective) any {
			return e.Adopt == nil && e.Billing == nil && e.Payments == nil && e.Labels == nil && e.Settings == nil
		}, true},
	} {
		e, problems := layers(t, configured, c.platform, c.template, c.manifest)
		if len(problems) > 0 {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		if got := c.got(e); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, want %#v", c.name, got, c.want)
		}
	}
}

// Variables: platform, template, template's defaults, manifest; each whole; {none:
// true} takes one away, and leaving it out doesn't.
func TestRuleValuesOfVariables(t *testing.T) {
	e, problems := layers(t, configured,
		"defaults: {env: {P: platform, T: platform, D: platform, M: platform, GONE: platform, BACK: {none: true}, KEPT: {secret: shared/x}}}\n",
		"env: {T: template, D: template, M: template, BACK: template}\ndefaults: {env: {D: defaults, M: {generate: hex32}}}\n",
		"env: {M: {from: site.url}, GONE: {none: true}, NEVER: {none: true}, KEPT: }\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := Env{"P": {Literal: "platform"}, "T": {Literal: "template"}, "D": {Literal: "defaults"}, "M": {From: "site.url"}, "BACK": {Literal: "template"}, "KEPT": {Secret: "shared/x"}}
	if !reflect.DeepEqual(e.Environment, want) {
		t.Errorf("got %v, want %v", e.Environment, want)
	}
}

// Environment values keep their spelling, and amounts and dates theirs.
func TestRuleValuesKeepTheirSpelling(t *testing.T) {
	text := "env:\n"
	spellings := []string{"021", "1.10", "on", "yes", "No", "true", "True", "0x10", "1e3", "1_000", "2026-12-01", "12:30:45", ".5", "-0", ".nan", ".inf", "0o17", "'021'", `"null"`, "''", "a b", "#x"}
	names := map[string]string{}
	for i, s := range spellings {
		name := "V" + string(rune('A'+i))
		if s == "#x" {
			s = `"#x"`
		}
		text += "  " + name + ": " + s + "\n"
		names[name] = strings.Trim(s, `'"`)
	}
	e, problems := layers(t, configured, "", "", text+"billing: {monthlyFee: 49.00, nextDate: 2026-12-01}\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, want := range names {
		if got := e.Environment[name].Literal; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if e.Billing.MonthlyFee != "49.00" || e.Billing.NextDate != "2026-12-01" {
		t.Errorf("billing %+v", *e.Billing)
	}
	if quoted, _ := layers(t, configured, "", "", `billing: {monthlyFee: "49.00"}`+"\n"); quoted.Billing.MonthlyFee != "49.00" {
		t.Errorf("quoted fee %+v", *quoted.Billing)
	}
}

// What the layers say together is checked too, and told at the manifest.
func TestLayersThatDoNotFit(t *testing.T) {
	for _, c := range []struct{ name, platform, template, manifest, rule string }{
		{"an external database without address", "defaults: {database: {provider: external}}\n", "", "", "database"},
		{"an address without an external database", "", "", "database: {external: {url: {secret: db}}}\n", "database"},
		{"a probe that is slower than its turn", "defaults: {health: {timeout: 30s}}\n", "", "health: {every: 10s}\n", "health"},
		{"a feature that the template lacks", "", "features: {allowed: []}\n", "enabledFeatures: [a]\n", "feature"},
		{"a feature that the plan lacks", "plans: {free: {features: []}}\n", "", "plan: free\nenabledFeatures: [a]\n", "plan"},
		{"a plan by default", "plans: {free: {features: []}}\ndefaults: {plan: free}\n", "", "enabledFeatures: [a]\n", "plan"},
		{"below the floor", "limits: {minRetain: 14d}\n", "defaults: {database: {retain: 7d}}\n", "", "limit"},
		{"a reserved label in capitals", "reserved: [shop]\n", "", "domain: SHOP\n", "host"},
		{"a reserved label, whole", "reserved: [shop]\n", "", "domain: shop.agency.example\n", "host"},
	} {
		_, problems := layers(t, configured, c.platform, c.template, c.manifest)
		if !problems.Failed() || problems[0].Rule != c.rule || problems[0].Path != "clients/a.yaml" || problems[0].Line < 1 {
			t.Errorf("%s: %v", c.name, problems)
		}
	}
	// Without anything that says who, it is asked for.
	_, problems := layers(t, Defaults{}, "", "", "")
	if len(problems) != 3 || problems[0].Rule != "provider" {
		t.Errorf("no providers: %v", problems)
	}
}

// Base domains fold as host names do.
func TestBaseDomainFolds(t *testing.T) {
	for base, want := range map[string]string{"Agency.Example": "a.agency.example", "bücher.example": "a.xn--bcher-kva.example", "localhost": "a.localhost"} {
		tpl, _ := DecodeTemplate("templates/shop.yaml", []byte("name: shop\nsource: {repository: builtin}\n"))
		d := configured
		d.BaseDomain = base
		e, problems := Resolve("clients/a.yaml", []byte("name: a\ntemplate: shop\ncontact: {email: a@a.example}\ndomain: a\n"), Context{Defaults: d, Templates: map[string]Template{"shop": tpl}})
		if len(problems) > 0 || e.Host != want {
			t.Errorf("%s: %q, want %q; %v", base, e.Host, want, problems)
		}
	}
}

// TestRuleVersions: what needs a newer program says so, and unknown keys which
// version may know them.
func TestRuleVersions(t *testing.T) {
	tree := []File{
		{"platform.yaml", []byte("requires: \">=0.9\"\nbaseDomain: agency.example\n")},
		{"templates/shop.yaml", []byte("name: shop\nsource: {repository: builtin}\n")},
		{"clients/a.yaml", []byte("name: a\ntemplate: shop\ncontact: {email: a@a.example}\ndomain: a\n")},
		{"clients/b.yaml", []byte("name: b\ntemplate: shop\ncontact: {email: a@a.example}\ndomain: b\nsparkle: true\n")},
	}
	for program, old := range map[string]bool{"0.8.3": true, "v0.8": true, "0.9": false, "v0.9.0": false, "1.0.0-rc.1": false, "0.10": false, "dev": false, "": false, "(devel)": false} {
		valid, problems := CheckTreeFor(program, LayoutOf("clients"), tree, configured)
		text := problems.Error()
		if got := strings.Contains(text, "platform.yaml requires reconciler >=0.9, and this is "+program); got != old {
			t.Errorf("%q: %s", program, text)
		}
		if got := strings.Contains(text, "reconciler 0.9 may know it"); got != old {
			t.Errorf("%q: %s", program, text)
		}
		if (len(valid) == 0) != old || !strings.Contains(text, `no key "sparkle"`) {
			t.Errorf("%q: %d valid; %s", program, len(valid), text)
		}
	}
	ctx := Context{Program: "0.8", Platform: &Platform{Requires: ">=0.9"}}
	if _, problems := Resolve("clients/b.yaml", tree[3].Data, ctx); !strings.Contains(problems.Error(), "reconciler 0.9 may know it") {
		t.Error(problems)
	}
}

// The effective hash is about what is asked for: not about how it is written, where
// the file lies, or former names.
func TestHashIsOfWhatIsAsked(t *testing.T) {
	hash := func(template, manifest string) string {
		t.Helper()
		e, problems := layers(t, configured, "", "features: {allowed: [a, b], default: [a]}\n"+template, manifest)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", manifest, problems)
		}
		return e.Hash()
	}
	plain := hash("", "")
	for _, same := range []string{
		"previously: [old]\n", "# a comment\n", "enabledFeatures: [a]\n", "deployment: {provider: local, server: one, ref: v1, timeout: 600s}\n",
		"database: {retain: 720h, access: public}\n", "health: {path: /, status: 200, every: 300s, timeout: 10s}\n", "onFailure: rollback\n", "paused: false\n",
		"domain: A\n", "domain: a.agency.example\n", "displayName: a\n", "admin: {email: a@a.example}\n", "aliases: []\nlabels: {}\n", "apiVersion: reconciler/v1\nkind: Client\n",
	} {
		if hash("", same) != plain {
			t.Errorf("%q changes the hash", same)
		}
	}
	if hash("env: {GIVEN: x}\n", "env: {GIVEN: {none: true}}\n") != plain {
		t.Error("what is not inherited changes the hash")
	}
	seen := map[string]string{plain: ""}
	for _, other := range []string{
		"enabledFeatures: [b]\n", "enabledFeatures: []\n", "env: {NEVER: {none: true}}\n", "env: {A: b}\n", "env: {A: \"\"}\n", "env: {A: {secret: b}}\n", "paused: true\n", "domain: b\n", "aliases: [www.a.example]\n", "plan: free\n",
		"settings: {a: 0}\n", "settings: {a: \"0\"}\n", "settings: {a: null}\n", "database: {retain: forever}\n", "database: {retain: 31d}\n", "deployment: {ref: v2}\n", "notes: x\n", "billing: {monthlyFee: 49}\n", "billing: {monthlyFee: 49.00}\n", "contact: {email: b@a.example}\n"[:0] + "displayName: A\n",
	} {
		h := hash("", other)
		if had, ok := seen[h]; ok {
			t.Errorf("%q hashes as %q", other, had)
		}
		seen[h] = other
	}
	if hash("migrate: pnpm migrate\n", "") == plain {
		t.Error("a template's change doesn't change the hash")
	}
}

func TestClaims(t *testing.T) {
	e, problems := layers(t, configured, "", "", "domain: bücher\naliases: [WWW.Shop.Example]\n")
	if want := []string{"host:xn--bcher-kva.agency.example", "host:www.shop.example"}; len(problems) > 0 || !reflect.DeepEqual(e.Claims(), want) {
		t.Errorf("got %v, want %v; %v", e.Claims(), want, problems)
	}
}

// Vercel deploys from three hosts. A repository elsewhere is said with the manifest, wherever it
// is inherited from; how an adopted site came to be there is no matter.
func TestRepositoryThatVercelCantDeploy(t *testing.T) {
	for _, c := range []struct {
		provider, repository string
		adopted              bool
		want                 string
	}{
		{"vercel", "builtin", false, ""}, {"vercel", "agency/storefront", false, ""}, {"vercel", "", false, ""},
		{"vercel", "https://github.com/agency/storefront.git", false, ""}, {"vercel", "https://GitLab.com/agency/shops/storefront", false, ""}, {"vercel", "https://bitbucket.org/agency/storefront", false, ""},
		{"vercel", "https://git.agency.example/storefront.git", false, "git.agency.example"}, {"vercel", "https://github.com.agency.example/a/b", false, "github.com.agency.example"},
		{"vercel", "https://git.agency.example/storefront.git", true, ""}, {"ploi", "https://git.agency.example/storefront.git", false, ""},
	} {
		var e Effective
		e.Deployment.Provider, e.Source.Repository = c.provider, c.repository
		if c.adopted {
			e.Adopt = Adopt{"site": {ID: "prj_1"}}
		}
		if got := strange(e); got != c.want {
			t.Errorf("%s of %q: %q, want %q", c.provider, c.repository, got, c.want)
		}
	}
}
