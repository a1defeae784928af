package manifest

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// designContext is the design's template and platform file.
func designContext(t testing.TB) Context {
	t.Helper()
	files := design(t)
	tpl, problems := DecodeTemplate(files[1].Path, files[1].Data)
	p, q := DecodePlatform(files[2].Path, files[2].Data)
	if len(problems)+len(q) > 0 {
		t.Fatal(problems, q)
	}
	return Context{Platform: &p, Templates: map[string]Template{tpl.Name: tpl}, Blobs: map[string]string{tpl.Name: "b1"}}
}

// someManifest draws a valid manifest.
func someManifest(t *rapid.T) []byte {
	var b bytes.Buffer
	word := rapid.StringMatching(`[a-z][a-z0-9]{0,9}`)
	maybe := func(line string, args ...any) {
		if rapid.Bool().Draw(t, "said") {
			fmt.Fprintf(&b, line+"\n", args...)
		}
	}
	fmt.Fprintf(&b, "name: demoshop\ndomain: %s\ntemplate: ecommerce\n", rapid.SampledFrom([]string{"demoshop", "shop.example", "bücher.example", "DEMO"}).Draw(t, "domain"))
	fmt.Fprintf(&b, "contact: {email: %s@a.example, name: %q}\n", word.Draw(t, "local"), rapid.StringMatching(`[A-Z][a-z]{1,8} [A-Z][a-z]{1,8}`).Draw(t, "person"))
	maybe("plan: %s", rapid.SampledFrom([]string{"starter", "professional", "enterprise"}).Draw(t, "plan"))
	maybe("aliases: [www.%s.example, x.%s.example]", word.Draw(t, "alias"), word.Draw(t, "other"))
	maybe("enabledFeatures: [%s]", strings.Join(rapid.Permutation([]string{"ecommerce", "blog", "forms"}).Draw(t, "features")[:2], ", "))
	maybe("disabledCollections: [orders, cases]")
	maybe("deployment: {provider: %s, timeout: %dm, ref: v%d}", rapid.SampledFrom([]string{"ploi", "vercel", "local"}).Draw(t, "host"), rapid.IntRange(1, 100).Draw(t, "minutes"), rapid.IntRange(1, 9).Draw(t, "ref"))
	maybe("database: {retain: %dd, access: private}", rapid.IntRange(14, 400).Draw(t, "days"))
	maybe("dns: {records: [{type: MX, name: \"@\", content: mx.a.example, priority: %d}, {type: TXT, name: %s, content: \"v=spf1 -all\"}]}", rapid.IntRange(0, 99).Draw(t, "priority"), word.Draw(t, "record"))
	maybe("env: {A: %s, B: %q, C: {secret: %s}, D: {generate: hex32}, E: {from: site.url}, DATABASE_URL: {none: true}}",
		rapid.SampledFrom([]string{"021", "1.10", "on", "true", "a", "2026-12-01"}).Draw(t, "spelling"), rapid.StringMatching(`[ -~]{0,20}`).Filter(func(s string) bool { return !looksSecret(s) && !random(s) && !strings.ContainsAny(s, `\"`) }).Draw(t, "text"), word.Draw(t, "secret"))
	maybe("settings: {a: %d, b: {c: [1, two, {three: %v}]}, d: 1.5, e: \"%d\", f: null}", rapid.IntRange(-5, 5000).Draw(t, "number"), rapid.Bool().Draw(t, "bool"), rapid.IntRange(0, 9).Draw(t, "digits"))
	maybe("health: {path: /%s, status: 204, contains: \"hello: you\"}", word.Draw(t, "path"))
	maybe("billing: {status: trial, monthlyFee: %d.00, currency: EUR, nextDate: 2026-12-01}", rapid.IntRange(0, 500).Draw(t, "fee"))
	maybe("labels: {team: %s, region: north}", word.Draw(t, "team"))
	maybe("notes: \"first\\nsecond\"")
	maybe("paused: true")
	return b.Bytes()
}

func drawStyle(t *rapid.T) style {
	return style{
		shuffle: func(n int) []int { return rapid.Permutation(inOrder(n)).Draw(t, "order") },
		flow:    func() bool { return rapid.Bool().Draw(t, "flow") },
		quote:   func() bool { return rapid.Bool().Draw(t, "quote") },
		comment: func() bool { return rapid.IntRange(0, 3).Draw(t, "comment") == 0 },
		crlf:    rapid.Bool().Draw(t, "crlf"),
	}
}

// The same bytes and the same context give the same answer, and neither is changed.
func TestResolveIsDeterministic(t *testing.T) {
	ctx := designContext(t)
	before := fmt.Sprint(ctx)
	rapid.Check(t, func(t *rapid.T) {
		data := someManifest(t)
		kept := bytes.Clone(data)
		a, p := Resolve("clients/demoshop.yaml", data, ctx)
		b, q := Resolve("clients/demoshop.yaml", data, ctx)
		if len(p) > 0 {
			t.Fatalf("%s\n%v", data, p)
		}
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(p, q) || a.Hash() != b.Hash() {
			t.Fatalf("two answers:\n%+v\n%+v", a, b)
		}
		if !bytes.Equal(data, kept) || fmt.Sprint(ctx) != before {
			t.Fatal("the input was changed")
		}
	})
}

// The order of keys, comments, quotes, flow or block, line ends, a moved file: none
// changes what is asked for.
func TestWritingDoesNotChangeTheHash(t *testing.T) {
	ctx := designContext(t)
	rapid.Check(t, func(t *rapid.T) {
		data := someManifest(t)
		a, p := Resolve("clients/demoshop.yaml", data, ctx)
		var n yaml.Node
		if err := yaml.Unmarshal(data, &n); err != nil || len(p) > 0 {
			t.Fatalf("%v\n%v", err, p)
		}
		other := drawStyle(t).write(n.Content[0])
		b, q := Resolve("clients/de/demoshop.yaml", other, ctx)
		if len(q) > 0 {
			t.Fatalf("%s\n%v", other, q)
		}
		if a.Hash() != b.Hash() {
			t.Fatalf("other hash for\n%s\n%s\n%+v\n%+v", data, other, a, b)
		}
	})
}

// Every manifest differs from the same one with another variable.
func TestAVariableChangesTheHash(t *testing.T) {
	ctx := designContext(t)
	rapid.Check(t, func(t *rapid.T) {
		data := someManifest(t)
		a, _ := Resolve("clients/demoshop.yaml", data, ctx)
		changed := bytes.Replace(data, []byte("env: {"), []byte("env: {ADDED: x, "), 1)
		if bytes.Equal(changed, data) {
			changed = append(changed, "env: {ADDED: x}\n"...)
		}
		b, q := Resolve("clients/demoshop.yaml", changed, ctx)
		if len(q) > 0 || a.Hash() == b.Hash() {
			t.Fatalf("%s\n%v", changed, q)
		}
	})
}

// The order in which a tree's files come changes nothing; what is valid has unique
// names and hosts.
func TestShuffledTree(t *testing.T) {
	base := design(t)[1:]
	rapid.Check(t, func(t *rapid.T) {
		files := append([]File(nil), base...)
		seen := map[string]bool{}
		for range rapid.IntRange(0, 8).Draw(t, "files") {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
			path := rapid.SampledFrom([]string{"clients/", "clients/x/", "clients/y/", "docs/"}).Draw(t, "folder") + name + rapid.SampledFrom([]string{".yaml", ".yaml", ".yaml", ".yml"}).Draw(t, "ending")
			if seen[path] {
				continue
			}
			seen[path] = true
			data := fmt.Sprintf("kind: Client\nname: %s\ntemplate: ecommerce\ncontact: {email: a@a.example}\ndomain: %s\naliases: [%s.example]\n", name,
				rapid.SampledFrom([]string{"a", "b", "A.example", "b.example", "www"}).Draw(t, "domain"), rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "alias"))
			data += rapid.SampledFrom([]string{"", "", "previously: [a]\n", "previously: [old]\n", "plna: x\n", "x: [\n", "adopt: {site: {id: s1}}\n", "dns: {records: [{type: A, name: b, content: 192.0.2.1}]}\n"}).Draw(t, "extra")
			files = append(files, File{Path: path, Data: []byte(data)})
		}
		valid, problems := CheckTree(LayoutOf("clients"), files, Defaults{})
		again, said := CheckTree(LayoutOf("clients"), rapid.Permutation(files).Draw(t, "order"), Defaults{})
		if !reflect.DeepEqual(valid, again) || problems.Error() != said.Error() {
			t.Fatalf("the order matters:\n%v\n%v", problems, said)
		}
		names, hosts := map[string]bool{}, map[string]bool{}
		for _, e := range valid {
			if names[e.Name] {
				t.Fatalf("two valid clients are %s", e.Name)
			}
			names[e.Name] = true
			for _, h := range e.Hosts {
				if hosts[h] {
					t.Fatalf("two valid clients have %s", h)
				}
				hosts[h] = true
			}
		}
		if clients := len(files) - len(base); len(valid) < clients && !problems.Failed() {
			t.Fatalf("%d of %d are valid, and nothing is said", len(valid), clients)
		}
	})
}

// A duration is written as it is read.
func TestDurationsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Range(0, int64(maxDays)*24*3600e9).Draw(t, "d"))
		if got, err := ParseDuration(d.String()); err != nil || got != d {
			t.Fatalf("%s is read as %v, %v", d, got, err)
		}
	})
}

// A suggestion is one of the known words.
func TestSuggestIsKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.SliceOf(rapid.StringMatching(`[a-zA-Z]{0,12}`)).Draw(t, "known")
		got := Suggest(rapid.String().Draw(t, "word"), known)
		if got != "" && !contains(known, got) {
			t.Fatalf("%q is not among %q", got, known)
		}
	})
}

// Whatever is shaped like a secret has a mark, so that the quick look misses nothing.
func TestShapesAreMarked(t *testing.T) {
	shape := rapid.StringMatching(strings.ReplaceAll(secretShape.String(), `\b`, ""))
	rapid.Check(t, func(t *rapid.T) {
		s := shape.Draw(t, "secret")
		if secretShape.MatchString(s) && !marked(s) {
			t.Fatalf("%q has no mark", s)
		}
	})
}
