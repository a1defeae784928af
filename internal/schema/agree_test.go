package schema

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/examples"
	"github.com/compassdigital/reconciler/internal/manifest"
)

// compiled are the committed schemas by kind of document, read as draft-07.
func compiled(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	out := map[string]*jsonschema.Schema{}
	for _, k := range []string{"client", "template", "platform"} {
		data, err := os.ReadFile(filepath.Join(root, "schemas", k+".v1.schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if d := document.(map[string]any)["$schema"]; d != "http://json-schema.org/draft-07/schema#" {
			t.Errorf("%s is written in %v: editors read draft-07", k, d)
		}
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft7)
		if err := c.AddResource(k, document); err != nil {
			t.Fatal(err)
		}
		if out[k], err = c.Compile(k); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// decoded says what the decoder has against a document.
func decoded(kind, file string, data []byte) manifest.Problems {
	var p manifest.Problems
	switch kind {
	case "client":
		_, p = manifest.DecodeClient(file, data)
	case "template":
		_, p = manifest.DecodeTemplate(file, data)
	default:
		_, p = manifest.DecodePlatform(file, data)
	}
	return p
}

// tester is what both kinds of test have.
type tester interface {
	Helper()
	Fatal(args ...any)
}

// documents are the whole documents of the format.
func documents(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, f := range []string{"demoshop.yaml", "ecommerce.yaml", "platform.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata/documents", f))
		if err != nil {
			t.Fatal(err)
		}
		out[f] = data
	}
	return out
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// plain is a document as an editor hands it to a schema: dates are texts.
func plain(t tester, data []byte) any {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal(data, &n); err != nil {
		t.Fatal(err)
	}
	return plainNode(t, n.Content[0])
}

func plainNode(t tester, n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plainNode(t, n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, plainNode(t, c))
		}
		return l
	}
	if n.Tag == "!!timestamp" {
		return n.Value
	}
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if i, ok := v.(int); ok {
		return float64(i)
	}
	return v
}

func kindOf(file string) string {
	switch {
	case filepath.Base(file) == "platform.yaml":
		return "platform"
	case strings.Contains(file, "templates/") || filepath.Base(file) == "ecommerce.yaml":
		return "template"
	}
	return "client"
}

// Schema and decoder accept every example and the format's whole documents.
func TestGoodDocumentsAreAccepted(t *testing.T) {
	schemas := compiled(t)
	accept := func(file string, data []byte) {
		t.Run(file, func(t *testing.T) {
			if p := decoded(kindOf(file), file, data); len(p) > 0 {
				t.Errorf("the decoder refuses it:\n%v", p)
			}
			if err := schemas[kindOf(file)].Validate(plain(t, data)); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
		})
	}
	for name, tree := range map[string]fs.FS{"examples": examples.Files, "documents": os.DirFS("testdata/documents")} {
		n := 0
		err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(tree, p)
			accept(p, data)
			n++
			return err
		})
		if err != nil || n < 3 {
			t.Errorf("%s: %d documents, %v", name, n, err)
		}
	}
	for name, d := range map[string][2]string{
		"the smallest":           {"client", ""},
		"a variable's spellings": {"client", "env: {A: 021, B: 1.10, C: on, D: true, E: text, F: {none: true}, G: {from: site.url}}"},
		"amounts":                {"client", `billing: {monthlyFee: "49.00"}`},
		"forever":                {"client", "database: {retain: forever}"},
		"compound durations":     {"client", "database: {retain: 1d12h}\nhealth: {every: 1h30m, timeout: 0.5m}"},
		"a host of letters":      {"client", "aliases: [café.example, XN--CAF-DMA.example.org]"},
		"settings of any kind":   {"client", "settings: {a: [1, {b: null}], c: 1.5}"},
		"an https repository":    {"client", "deployment: {repository: https://git.example/@team/site.git, ref: feature/x}"},
		"defaults":               {"platform", "apiVersion: reconciler/v1\nkind: Platform\ndefaults: {dns: {records: [{type: TXT, name: '@', content: x}]}, health: {path: /x}}"},
		"an empty guard":         {"platform", "guard: {}\nplans: {free: {}}"},
	} {
		accept0 := func(t *testing.T, kind, text string) {
			if kind == "client" {
				text = smallest + text + "\n"
			}
			if p := decoded(kind, "demoshop.yaml", []byte(text)); len(p) > 0 {
				t.Errorf("the decoder refuses it:\n%v", p)
			}
			if err := schemas[kind].Validate(plain(t, []byte(text))); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
		}
		t.Run(name, func(t *testing.T) { accept0(t, d[0], d[1]) })
	}
}

const smallest = "name: demoshop\ntemplate: ecommerce\ndomain: demoshop\ncontact: {email: dana@demoshop.example}\n"

// What one refuses, the other refuses.
func TestBadDocumentsAreRefusedByBoth(t *testing.T) {
	schemas := compiled(t)
	client := func(extra string) [2]string { return [2]string{"client", smallest + extra + "\n"} }
	template := func(extra string) [2]string {
		return [2]string{"template", "kind: Template\nname: shop\nsource: {repository: builtin}\n" + extra + "\n"}
	}
	platform := func(extra string) [2]string { return [2]string{"platform", extra + "\n"} }
	for name, d := range map[string][2]string{
		"unknown key":               client("planet: earth"),
		"unknown key below":         client("deployment: {provder: ploi}"),
		"former key":                client("contactEmail: dana@demoshop.example"),
		"wrong version":             client("apiVersion: reconciler/v2"),
		"wrong kind":                client("kind: Shop"),
		"plan":                      client("plan: profesional"),
		"name":                      {"client", "name: Demo_Shop\ntemplate: a\ndomain: b\ncontact: {email: a@b.example}\n"},
		"long name":                 {"client", "name: " + strings.Repeat("a", 41) + "\ntemplate: a\ndomain: b\ncontact: {email: a@b.example}\n"},
		"no name":                   {"client", "template: a\ndomain: b\ncontact: {email: a@b.example}\n"},
		"no template":               {"client", "name: a\ndomain: b\ncontact: {email: a@b.example}\n"},
		"no domain":                 {"client", "name: a\ntemplate: b\ncontact: {email: a@b.example}\n"},
		"no contact":                {"client", "name: a\ntemplate: b\ndomain: c\n"},
		"no e-mail":                 {"client", "name: a\ntemplate: b\ndomain: c\ncontact: {name: x}\n"},
		"e-mail":                    client("admin: {email: nobody}"),
		"url as domain":             client("aliases: [https://demoshop.example]"),
		"trailing dot":              client("aliases: [demoshop.example.]"),
		"text for list":             client("aliases: demoshop.example"),
		"list for text":             client("displayName: [a]"),
		"number for text":           client("displayName: 5"),
		"two lines":                 client(`displayName: "a\nb"`),
		"too long":                  client("displayName: " + strings.Repeat("x", 121)),
		"said twice in a list":      client("enabledFeatures: [blog, blog]"),
		"feature of two words":      client("enabledFeatures: [two words]"),
		"provider":                  client("deployment: {provider: heroku}"),
		"database provider":         client("database: {provider: mysql}"),
		"retain":                    client("database: {retain: a while}"),
		"reuse":                     client("database: {reuse: yes please}"),
		"literal for a URL":         client("database: {provider: external, external: {}}"),
		"duration":                  client("deployment: {timeout: ten minutes}"),
		"duration as number":        client("deployment: {timeout: 10}"),
		"status":                    client("health: {status: 99}"),
		"status as text":            client(`health: {status: "200"}`),
		"path":                      client("health: {path: api/health}"),
		"record type":               client("dns: {records: [{type: PTR, name: a, content: b}]}"),
		"record without content":    client("dns: {records: [{type: TXT, name: a}]}"),
		"priority":                  client("dns: {records: [{type: MX, name: '@', content: mx.demoshop.example, priority: 65536}]}"),
		"proxied":                   client("dns: {proxied: sometimes}"),
		"variable's name":           client("env: {1A: x}"),
		"variable's value":          client("env: {A: [x]}"),
		"variable of two forms":     client("env: {A: {secret: a, from: site.url}}"),
		"unknown form":              client("env: {A: {vault: a}}"),
		"secret's name":             client("env: {A: {secret: other/a}}"),
		"unknown generator":         client("env: {A: {generate: uuid}}"),
		"unknown output":            client("env: {A: {from: database.password}}"),
		"none: false":               client("env: {A: {none: false}}"),
		"settings as a list":        client("settings: [a]"),
		"amount":                    client("billing: {monthlyFee: much}"),
		"negative amount":           client("billing: {monthlyFee: -5}"),
		"currency":                  client("billing: {currency: euro}"),
		"date":                      client("billing: {nextDate: 1 December}"),
		"country":                   client("payments: {country: Netherlands}"),
		"payments provider":         client("payments: {provider: mollie}"),
		"labels":                    client("labels: {team: [a]}"),
		"label's name":              client(`labels: {"a b": c}`),
		"adopt":                     client("adopt: {toaster: {id: x}}"),
		"adopt's id":                client(`adopt: {site: {id: "a b"}}`),
		"onFailure":                 client("onFailure: shrug"),
		"paused":                    client("paused: maybe"),
		"ref":                       client("deployment: {ref: -x}"),
		"repository":                client("deployment: {repository: git@host.example:a/b}"),
		"template: no source":       {"template", "name: shop\n"},
		"template: empty source":    {"template", "name: shop\nsource: {ref: v1}\n"},
		"template: unknown key":     template("colour: red"),
		"template: admin":           template("admin: {kind: wordpress}"),
		"template: own default":     template("defaults: {domain: a}"),
		"template: default's key":   template("defaults: {deployment: {prvider: ploi}}"),
		"template: default's value": template("defaults: {plan: gold}"),
		"template: default record":  template("defaults: {dns: {records: [{type: TXT}]}}"),
		"template: folder":          template("build: {command: [a]}"),
		"platform: requires":        platform("requires: newest"),
		"platform: base domain":     platform("baseDomain: shops"),
		"platform: reserved":        platform("reserved: [two.labels]"),
		"platform: plan":            platform("plans: {gold: {features: []}}"),
		"platform: guard":           platform("guard: {maxDeletePercent: 101}"),
		"platform: removals":        platform("guard: {removals: never}"),
		"platform: freeze":          platform("freeze: [{from: 2026-12-18T18:00}]"),
		"platform: freeze's time":   platform("freeze: [{from: tomorrow, to: 2027-01-02T08:00}]"),
		"platform: own default":     platform("defaults: {name: a}"),
	} {
		t.Run(name, func(t *testing.T) {
			file := "demoshop.yaml"
			if d[0] != "client" {
				file = "shop.yaml"
			}
			if strings.Contains(d[1], "name: a\n") {
				file = "a.yaml"
			}
			if p := decoded(d[0], file, []byte(d[1])); !p.Failed() {
				t.Errorf("the decoder accepts it")
			}
			if err := schemas[d[0]].Validate(plain(t, []byte(d[1]))); err == nil {
				t.Errorf("the schema accepts it")
			}
		})
	}
}

// Descriptions come through for every key that an editor can complete.
func TestEveryPropertyIsDescribed(t *testing.T) {
	var check func(t *testing.T, at string, s *jsonschema.Schema)
	check = func(t *testing.T, at string, s *jsonschema.Schema) {
		for key, p := range s.Properties {
			if p.Description == "" && !strings.HasSuffix(at, "?") {
				t.Errorf("%s.%s has no description", at, key)
			}
			check(t, at+"."+key, p)
		}
		if list, ok := s.Items.(*jsonschema.Schema); ok {
			check(t, at+"[]", list)
		}
		if len(s.Properties) > 0 && s.AdditionalProperties != false {
			t.Errorf("%s accepts further keys", at)
		}
	}
	for kind, s := range compiled(t) {
		if len(s.Properties) < 5 {
			t.Errorf("%s has %d properties", kind, len(s.Properties))
		}
		check(t, kind, s)
	}
}
