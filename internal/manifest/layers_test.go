package manifest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// What passed its rules is not checked again when it is laid over layers that pass theirs.
// Over a template with a mistake it is: the outcome is the same, the mistake left out.
func TestLayersThatAreSoundGiveWhatIsCheckedTwice(t *testing.T) {
	template := func(name, more string) manifest.File {
		return manifest.File{Path: "templates/" + name + ".yaml", Data: []byte("apiVersion: reconciler/v1\nkind: Template\nname: " + name +
			"\nsource: {repository: agency/shop, ref: v1}\nenv: {A: template, GONE: {none: true}}\ndefaults:\n  labels: {team: one}\n  env: {B: defaults}\n  settings: {tone: calm, list: [1, 2.5, x]}\n" + more)}
	}
	platform := manifest.File{Path: "platform.yaml", Data: []byte("apiVersion: reconciler/v1\nkind: Platform\nbaseDomain: agency.example\ndefaults: {env: {B: platform, C: platform}, database: {retain: 40d}}\n")}
	for i, own := range []string{
		"notes: hello", "env: {A: own, D: {generate: hex32}, C: {none: true}, URL: {from: database.url}}", "labels: {team: two, more: yes-please}",
		"settings: {tone: loud, deep: {er: [a, {b: c}]}}", "aliases: [www, пример.example]", "database: {provider: external, external: {url: {secret: shop-url}}}",
		"dns: {records: [{type: MX, name: \"@\", content: mx.example, priority: 10}], proxied: true}", "adopt: {site: {id: site-1}}", "health: {every: 30s, timeout: 5s, path: /up}",
		"database: {retain: forever}", "deployment: {provider: external, server: web-1}", "admin: {email: boss@shop.example}", "payments: {enabled: true, provider: stripe}", "billing: {monthlyFee: 49.00, nextDate: 2026-12-01}",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			checked := func(more string) manifest.Effective {
				t.Helper()
				client := manifest.File{Path: "clients/bakery.yaml", Data: []byte("apiVersion: reconciler/v1\nkind: Client\nname: bakery\ndomain: bakery\ntemplate: shop\ncontact: {name: Dana, email: owner@bakery.example}\n" + own + "\n")}
				all, problems := manifest.CheckTree(manifest.LayoutOf("clients"), []manifest.File{platform, template("shop", more), client},
					manifest.Defaults{Deployment: "vercel", Database: "railway", DNS: "cloudflare"})
				if len(all) != 1 {
					t.Fatal(problems)
				}
				return all[0]
			}
			if d := cmp.Diff(checked("  health: {status: 9999}\n"), checked("")); d != "" {
				t.Errorf("-checked twice +once:\n%s", d)
			}
		})
	}
}

// A default of the configuration that isn't one of the words is none.
func TestDefaultsOfTheConfigurationAreChecked(t *testing.T) {
	files := []manifest.File{
		{Path: "templates/shop.yaml", Data: []byte("apiVersion: reconciler/v1\nkind: Template\nname: shop\nsource: {repository: agency/shop, ref: v1}\n")},
		{Path: "clients/bakery.yaml", Data: []byte("apiVersion: reconciler/v1\nkind: Client\nname: bakery\ndomain: bakery.example\ntemplate: shop\ncontact: {name: Dana, email: owner@bakery.example}\n")},
	}
	all, problems := manifest.CheckTree(manifest.LayoutOf("clients"), files, manifest.Defaults{Deployment: "nowhere", Database: "railway", DNS: "cloudflare"})
	if len(all) != 0 || len(problems) != 1 || problems[0].Rule != "provider" {
		t.Errorf("%d clients, %v", len(all), problems)
	}
}
