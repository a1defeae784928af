package drift

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// onFile does what `git apply` does with a patch of one file, and refuses what git refuses.
func onFile(text, patch string) (string, error) {
	if patch == "" {
		return text, nil
	}
	lines := strings.SplitAfter(patch, "\n")
	if !strings.HasPrefix(lines[0], "--- a/clients/shop.yaml") || !strings.HasPrefix(lines[1], "+++ b/clients/shop.yaml") {
		return "", fmt.Errorf("it begins with %q", lines[:2])
	}
	was := strings.SplitAfter(text, "\n")
	var out strings.Builder
	at, i := 0, 2
	for i < len(lines) && lines[i] != "" {
		from, n, m, err := hunk(lines[i])
		if err != nil {
			return "", err
		}
		for ; at < from-1; at++ {
			out.WriteString(was[at])
		}
		for i++; n > 0 || m > 0; i++ {
			if i >= len(lines) || lines[i] == "" {
				return "", fmt.Errorf("the hunk ends early: %d, %d", n, m)
			}
			line := lines[i][1:]
			if i+1 < len(lines) && strings.HasPrefix(lines[i+1], `\ No newline`) {
				line = strings.TrimSuffix(line, "\n")
			}
			switch lines[i][0] {
			case '\\':
			case '+':
				out.WriteString(line)
				m--
			case '-', ' ':
				if at >= len(was) || was[at] != line {
					return "", fmt.Errorf("line %d is not %q", at+1, line)
				}
				at, n = at+1, n-1
				if lines[i][0] == ' ' {
					out.WriteString(line)
					m--
				}
			default:
				return "", fmt.Errorf("no line of a hunk: %q", lines[i])
			}
		}
		if i < len(lines) && strings.HasPrefix(lines[i], `\`) {
			i++
		}
	}
	for ; at < len(was); at++ {
		out.WriteString(was[at])
	}
	return out.String(), nil
}

// hunk reads where a hunk begins and how many lines it has of the old text and the new.
func hunk(line string) (from, n, m int, err error) {
	parts := strings.Fields(line)
	if len(parts) != 4 || parts[0] != "@@" || parts[3] != "@@" {
		return 0, 0, 0, fmt.Errorf("no hunk: %q", line)
	}
	count := func(s string) (at, n int) {
		first, more, ok := strings.Cut(s[1:], ",")
		at, err = strconv.Atoi(first)
		if n = 1; ok && err == nil {
			n, err = strconv.Atoi(more)
		}
		return at, n
	}
	if from, n = count(parts[1]); err == nil {
		_, m = count(parts[2])
	}
	return from, n, m, err
}

// wishing is a manifest that says one value otherwise.
func wishing(c manifest.Client, x manifest.Change) (manifest.Client, bool) {
	env := manifest.Env{}
	for k, v := range c.Env {
		env[k] = v
	}
	records := append([]manifest.Record(nil), c.DNS.Records...)
	number := func(p *int) bool { n, err := strconv.Atoi(x.Value); *p = n; return err == nil }
	if name, is := strings.CutPrefix(x.At, "env."); is {
		env[name] = manifest.EnvValue{Literal: x.Value}
		if x.None {
			env[name] = manifest.EnvValue{None: true}
		}
		c.Env = env
		return c, true
	}
	var i int
	var field string
	if n, _ := fmt.Sscanf(x.At, "dns.records[%d].%s", &i, &field); n == 2 {
		if i >= len(records) {
			return c, false
		}
		r, ok := &records[i], true
		switch field {
		case "type":
			r.Type = x.Value
		case "name":
			r.Name = x.Value
		case "content":
			r.Content = x.Value
		case "ttl":
			ok = number(&r.TTL)
		case "priority":
			ok = number(&r.Priority)
		case "proxied":
			is := strings.EqualFold(x.Value, "true")
			r.Proxied = &is
		}
		c.DNS.Records = records
		return c, ok
	}
	switch x.At {
	case "database.access":
		c.Database.Access = x.Value
	case "displayName":
		c.DisplayName = x.Value
	}
	return c, true
}

// FuzzPatch: whatever is found, and however a manifest is written: the patch applies, the
// patched manifest decodes to the old one with just that value changed, no rule is broken
// that held, and but for a part of one line every byte of the old one is still there.
func FuzzPatch(f *testing.F) {
	places := []string{"dns.records[0].content", "dns.records[0].ttl", "dns.records[0].priority", "dns.records[0].name", "dns.records[0].type", "dns.records[0].proxied",
		"dns.records[1].content", "dns.records[1].ttl", "env.A", "env.NEW", "database.access", "displayName"}
	head := "apiVersion: reconciler/v1\nkind: Client\nname: shop\ndomain: shop\ntemplate: shop\ncontact: {email: a@a.example} # Dana\n"
	for _, body := range []string{
		"dns: {records: [{type: TXT, name: note, content: hello}, {type: MX, name: \"@\", content: mx.example, priority: 10}]} # two\nenv: {A: 'x'}\n",
		"dns:\n  records:\n    # first\n    - type: TXT\n      name: note # here\n      content: >-\n        v=spf1\n        -all\n    - content: 'it''s'\n      type: TXT\n      name: b\nenv:\n  # a\n  A: {secret: x}\n# end",
		"dns: {\n  records: [\n    {\"type\": \"A\", \"name\": \"m\", \"content\": \"192.0.2.1\", }, # one\n  ]\n}\r\nenv:\r\n  A: 1\r\ndatabase: {}\r\n",
		"env:\ndns:\n  records:\n  - {type: CAA, name: '@', content: '0 issue \"a.example\"'}\n  - type: TXT\n    name: k\n    content:\n      later\ndatabase:\n  retain: 30d # long",
	} {
		for place := range places {
			for _, value := range []string{"600", "a: b # c", "two\nlines", "'\"{}[],&*!|>%@`", "null", "mx9.example", "private", "\x1b[31m", "- x", "\xff", "\u2028", "?", strings.Repeat("x ", 2000)} {
				f.Add([]byte(head+body), place, value, len(value)%2 == 0)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, place int, value string, none bool) {
		x := manifest.Change{At: places[max(place, 0)%len(places)], Value: value, Add: true}
		x.None = none && strings.HasPrefix(x.At, "env.")
		const path = "clients/shop.yaml"
		out, _, err := manifest.Edit(path, data, x)
		if err != nil {
			if out != nil || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x1b\u2028") {
				t.Fatalf("%q, %v", out, err)
			}
			return
		}
		patched, err := onFile(string(data), Patch(path, data, out))
		if err != nil || patched != string(out) {
			t.Fatalf("the patch does not apply: %v\n%s\n%s", err, Patch(path, data, out), out)
		}
		was, had := manifest.DecodeClient(path, data)
		now, has := manifest.DecodeClient(path, out)
		if len(has) > len(had) {
			t.Fatalf("it breaks a rule: %v\n%s", has, out)
		}
		if had.Failed() {
			return // what could be read of it is not all of it
		}
		if want, ok := wishing(was, x); !ok || !reflect.DeepEqual(want, now) {
			t.Fatalf("%s = %q:\n%+v\nwant\n%+v\n%s", x.At, value, now, want, out)
		}
		same := 0
		for same < min(len(data), len(out)) && data[same] == out[same] {
			same++
		}
		tail := 0
		for tail < min(len(data), len(out))-same && data[len(data)-1-tail] == out[len(out)-1-tail] {
			tail++
		}
		if old := data[same : len(data)-tail]; bytes.ContainsRune(old, '\n') {
			t.Fatalf("%s = %q took %q away:\n%s", x.At, value, old, out)
		}
	})
}
