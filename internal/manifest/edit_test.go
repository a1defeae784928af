package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

const edited = `# yaml-language-server: $schema=x
apiVersion: reconciler/v1
kind: Client
name: demoshop # the shop
domain: demoshop
template: ecommerce
contact: {email: dana@demoshop.example}   # Dana

database: {access: public, retain: 30d}
dns:
  records:
    # mail
    - {type: MX, name: "@", content: mx.demoshop.example, priority: 10} # ten
    - type: TXT
      name: 'ü'
      content: 'it''s ours'   # quoted
      ttl: 0300
    - type: TXT
      name: long
      content: >-
        v=spf1
        -all
env:
  STORE_CURRENCY: EUR # euros
  NUMBER: 021
  EMPTY: ""
`

func TestEditChangesOneValueOnly(t *testing.T) {
	for _, c := range []struct{ at, value, was, is string }{
		{"dns.records[0].content", "mx2.demoshop.example", "content: mx.demoshop.example,", "content: mx2.demoshop.example,"},
		{"dns.records[0].priority", "20", "priority: 10}", "priority: 20}"},
		{"dns.records[1].content", "it's theirs", "'it''s ours'", "'it''s theirs'"},
		{"env.STORE_CURRENCY", "two\nlines", "EUR # euros", `"two\nlines" # euros`},
		{"dns.records[1].content", "<b> & \"q\"", "'it''s ours'", `'<b> & "q"'`},
		{"env.STORE_CURRENCY", "USD", "EUR # euros", "USD # euros"},
		{"env.STORE_CURRENCY", "a # b", "EUR # euros", `"a # b" # euros`},
		{"env.STORE_CURRENCY", "null", "EUR # euros", `"null" # euros`},
		{"env.NUMBER", "1.10", "NUMBER: 021", "NUMBER: 1.10"},
		{"env.EMPTY", "x", `EMPTY: ""`, `EMPTY: "x"`},
		{"env.STORE_CURRENCY", "", "EUR # euros", `"" # euros`},
		{"database.access", "private", "access: public", "access: private"},
	} {
		for _, ends := range []string{"\n", "\r\n"} {
			data := strings.ReplaceAll(edited, "\n", ends)
			data = strings.ReplaceAll(data, "ttl: 0300", "ttl: 300")
			got, _, err := Edit("clients/demoshop.yaml", []byte(data), Change{At: c.at, Value: c.value})
			if err != nil {
				t.Errorf("%s = %q: %v", c.at, c.value, err)
				continue
			}
			if want := strings.Replace(data, c.was, c.is, 1); string(got) != want || want == data {
				t.Errorf("%s = %q:\n%s", c.at, c.value, got)
			}
		}
	}
}

func TestEditRefuses(t *testing.T) {
	data := strings.ReplaceAll(edited, "ttl: 0300", "ttl: 300")
	for _, c := range []struct {
		at, value string
		want      error
	}{
		{"dns.records[0].ttl", "600", ErrNotSaid},
		{"dns.records[7].ttl", "600", ErrNotSaid},
		{"dns.proxied", "true", ErrNotSaid},
		{"dns.records", "x", ErrByHand},
		{"dns.records[2].content", "v=spf1", ErrByHand},
		{"dns.records[1].ttl", "soon", ErrByHand},
		{"dns.records[0].priority", "70000", ErrByHand},
		{"env.STORE_CURRENCY", "sk_" + "live_0123456789abcdef", ErrByHand}, // a secret is never written into a file
	} {
		if got, _, err := Edit("clients/demoshop.yaml", []byte(data), Change{At: c.at, Value: c.value}); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s = %q: %v, want %v", c.at, c.value, err, c.want)
		}
	}
}

// What the file does not say yet stands behind the last value beside it, indented and ended
// as the file is.
func TestEditAdds(t *testing.T) {
	const head = "name: demoshop\ndomain: demoshop\ntemplate: ecommerce\ncontact: {email: dana@a.example}\n"
	add := func(at, value string) Change { return Change{At: at, Value: value, Add: true} }
	for _, c := range []struct {
		was    string
		change Change
		is     string
	}{
		{"dns: {records: [{type: TXT, name: a, content: b} ]} # c\n", add("dns.records[0].ttl", "60"), "dns: {records: [{type: TXT, name: a, content: b, ttl: 60} ]} # c\n"},
		{"dns: {records: [{type: TXT, name: a, content: 'b c', }]}\n", add("dns.records[0].ttl", "60"), "dns: {records: [{type: TXT, name: a, content: 'b c', ttl: 60, }]}\n"},
		{"dns:\n  records:\n    - type: TXT\n      name: a # here\n      content: \"b\" # there\n    # next\n    - {type: A, name: m, content: 192.0.2.1}\n", add("dns.records[0].ttl", "60"),
			"dns:\n  records:\n    - type: TXT\n      name: a # here\n      content: \"b\" # there\n      ttl: 60\n    # next\n    - {type: A, name: m, content: 192.0.2.1}\n"},
		{"dns:\n  records:\n  - type: TXT\n    name: a\n    content: >-\n      b\n      c\n", add("dns.records[0].ttl", "60"), "dns:\n  records:\n  - type: TXT\n    name: a\n    ttl: 60\n    content: >-\n      b\n      c\n"},
		{"env:\n  # one\n  A: {secret: a}\n", add("env.B", "x"), "env:\n  # one\n  B: x\n  A: {secret: a}\n"},
		{"env: {}\n", add("env.B", "x, y"), "env: {B: \"x, y\"}\n"},
		{"env: {A: {secret: a}}\n", add("env.B", "x"), "env: {B: x, A: {secret: a}}\n"},
		{"notes: x\n# end\n", add("env.B", "a}"), "notes: x\n# end\nenv: {B: \"a}\"}\n"},
		{"notes: x", add("database.access", "private"), "notes: x\ndatabase: {access: private}"},
		{"env:\n  A: x", add("env.B", "y"), "env:\n  A: x\n  B: y"},
		{"env: {A: 'x'} # one\n", Change{At: "env.A", None: true}, "env: {A: {none: true}} # one\n"},
		{"env:\n  A: x # one\n", Change{At: "env.A", None: true}, "env:\n  A: {none: true} # one\n"},
	} {
		for _, ends := range []string{"\n", "\r\n"} {
			was, want := strings.ReplaceAll(head+c.was, "\n", ends), strings.ReplaceAll(head+c.is, "\n", ends)
			if got, _, err := Edit("clients/demoshop.yaml", []byte(was), c.change); err != nil || string(got) != want {
				t.Errorf("%+v: %v\n%s\nwant\n%s", c.change, err, got, want)
			}
		}
	}
	for _, c := range []struct {
		was  string
		add  Change
		want error
	}{
		{"", add("dns.records[0].ttl", "60"), ErrNotSaid},
		{"dns: {records: []}\n", add("dns.records[0].ttl", "60"), ErrNotSaid},
		{"", add("env.B: x}\nname", "60"), ErrByHand},
		{"env:\n", add("env.B", "x"), ErrByHand},
		{"env: {A: x}\n", add("env.null", "x"), ErrByHand},
		{"dns: {records: [{type: TXT, name: a, content: b}]}\n", add("dns.records[0].priority", "5"), ErrByHand},
		{"dns: {records: [{type: TXT, name: a, content: b}]}\n", add("dns.records[0].ttl", "5}, {type: TXT"), ErrByHand},
		{"dns: {records: [{type: TXT, name: a, content: b}]}\n", Change{At: "dns.records[0].content", None: true}, ErrByHand},
	} {
		if got, _, err := Edit("clients/demoshop.yaml", []byte(head+c.was), c.add); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%+v: %v, want %v\n%s", c.add, err, c.want, got)
		}
	}
}

// Several values belong together: only the last manifest has to be right.
func TestEditSeveral(t *testing.T) {
	data := []byte("name: demoshop\ndomain: demoshop\ntemplate: ecommerce\ncontact: {email: dana@a.example}\ndns: {records: [{type: A, name: m, content: 192.0.2.1}, {type: TXT, name: a, content: x}, {type: TXT, name: a, content: y}]}\n")
	changes := []Change{{At: "dns.records[0].type", Value: "AAAA"}, {At: "dns.records[0].content", Value: "2001:db8::1"}, {At: "dns.records[0].ttl", Value: "60", Add: true},
		{At: "dns.records[1].content", Value: "y"}, {At: "dns.records[2].content", Value: "x"}}
	got, _, err := Edit("clients/demoshop.yaml", data, changes...)
	want := "[{type: AAAA, name: m, content: 2001:db8::1, ttl: 60}, {type: TXT, name: a, content: y}, {type: TXT, name: a, content: x}]"
	if err != nil || !strings.Contains(string(got), want) {
		t.Fatalf("%v\n%s", err, got)
	}
	for i := range changes {
		if _, _, err := Edit("clients/demoshop.yaml", data, changes[i]); i != 2 && !errors.Is(err, ErrByHand) {
			t.Errorf("%+v alone: %v", changes[i], err)
		}
	}
}

// However a manifest is written: after an edit it says the new value there, all else as
// before, and all bytes but those of the value are the same.
func TestEditProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := fmt.Sprintf("name: demoshop\ndomain: demoshop\ntemplate: ecommerce\ncontact: {email: dana@a.example}\ndns: {records: [{type: TXT, name: t, content: %q, ttl: 300}]}\nenv: {A: %q, B: 021}\nnotes: end\n",
			rapid.StringMatching(`[a-z'"#: é-]{1,12}`).Filter(func(s string) bool { return strings.TrimSpace(s) != "" }).Draw(t, "content"), rapid.StringMatching(`[a-z ü,{}]{0,8}`).Draw(t, "variable"))
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		s := drawStyle(t)
		data := s.write(n.Content[0])
		at := rapid.SampledFrom([]string{"dns.records[0].content", "env.A", "env.B"}).Draw(t, "place")
		value := rapid.StringMatching(`[ -~éü]{0,20}`).Filter(func(s string) bool {
			return strings.TrimSpace(s) != "" && !looksSecret(s) && !random(s)
		}).Draw(t, "value")
		was, problems := DecodeClient("clients/demoshop.yaml", data)
		if problems.Failed() {
			t.Skip(problems)
		}
		got, _, err := Edit("clients/demoshop.yaml", data, Change{At: at, Value: value})
		if err != nil {
			t.Fatalf("%s = %q: %v\n%s", at, value, err, data)
		}
		now, problems := DecodeClient("clients/demoshop.yaml", got)
		if problems.Failed() {
			t.Fatalf("it is invalid now: %v\n%s", problems, got)
		}
		want := was
		want.Env = Env{"A": was.Env["A"], "B": was.Env["B"]}
		want.DNS.Records = append([]Record(nil), was.DNS.Records...)
		switch at {
		case "env.A":
			want.Env["A"] = EnvValue{Literal: value}
		case "env.B":
			want.Env["B"] = EnvValue{Literal: value}
		default:
			want.DNS.Records[0].Content = value
		}
		if fmt.Sprintf("%+v", now) != fmt.Sprintf("%+v", want) {
			t.Fatalf("it says\n%+v\nwant\n%+v\n%s", now, want, got)
		}
		head := 0
		for head < min(len(data), len(got)) && data[head] == got[head] {
			head++
		}
		tail := 0
		for tail < min(len(data), len(got))-head && data[len(data)-1-tail] == got[len(got)-1-tail] {
			tail++
		}
		if old := data[head : len(data)-tail]; bytes.ContainsRune(old, '\n') {
			t.Fatalf("more than one value changed: %q became %q", old, got[head:len(got)-tail])
		}
	})
}

func TestRuleDriftPolicies(t *testing.T) {
	for rules, want := range map[string]string{
		`{field: record.content, policy: heal}`:                                                "",
		`{field: site.label, policy: ignore, reason: marketing renames it, until: 2026-12-31}`: "",
		`{field: env.A, policy: report, reason: "because"}`:                                    "",
		`{field: site.label, policy: ignore, until: 2026-12-31}`:                               "does not say why",
		`{field: site.label, policy: ignore, reason: x}`:                                       "without an end",
		`{field: site.label, policy: heal, until: 2026-12-31}`:                                 "only what is ignored has an end",
		`{field: site.label, policy: ignore, reason: x, until: 2026-02-31}`:                    "must be a date",
		`{field: database.access, policy: heal}`:                                               "a database is never healed",
		`{field: deployment.*, policy: heal}`:                                                  "a deployment is never healed",
		`{field: database.gone, policy: ignore, reason: x, until: 2026-12-31}`:                 "never ignored",
		`{field: records.content, policy: heal}`:                                               "must be a kind and a field of it",
		`{field: record.content, policy: mend}`:                                                "can't be",
		`{field: record.content, policy: heal}, {field: record.content, policy: report}`:       "said twice",
	} {
		_, problems := DecodeClient("clients/demoshop.yaml", []byte("name: demoshop\ndomain: demoshop\ntemplate: ecommerce\ncontact: {email: dana@a.example}\ndrift: {fields: ["+rules+"]}\n"))
		text := ""
		for _, p := range problems {
			if p.Rule != "required" {
				text += p.Text + "\n"
			}
		}
		if (want == "") != (text == "") || !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", rules, text, want)
		}
	}
}

// A manifest that says nothing of drift has the hash that it had before there was such a
// field: nobody is touched by a new version of this program.
func TestDriftLeavesHashesAlone(t *testing.T) {
	var e Effective
	e.Name = "demoshop"
	before := e.Hash()
	if data, err := json.Marshal(e); err != nil || bytes.Contains(data, []byte("Drift")) {
		t.Errorf("the hash is over what is not said: %s, %v", data, err)
	}
	e.Drift.Default = DriftHeal
	if before == e.Hash() {
		t.Error("a policy does not count")
	}
}
