package manifest

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile are files that are built to cost time, memory or a crash, each up to the
// largest that is read.
func hostile() map[string]string {
	fill := func(head, part, tail string) string {
		return head + strings.Repeat(part, (MaxFile-len(head)-len(tail))/len(part)) + tail
	}
	numbered := func(head, format string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; ; i++ {
			line := fmt.Sprintf(format, i)
			if b.Len()+len(line) > MaxFile {
				return b.String()
			}
			b.WriteString(line)
		}
	}
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		laughs += fmt.Sprintf("%c: &%c [", c, c) + strings.Repeat(fmt.Sprintf("*%c,", c-1), 8) + fmt.Sprintf("*%c]\n", c-1)
	}
	out := map[string]string{
		"brackets":            fill("", "[", ""),
		"braces":              fill("", "{", ""),
		"nested maps":         fill("", "{a: ", ""),
		"nested and closed":   fill("settings: ", "[", strings.Repeat("]", MaxFile/2-10))[:MaxFile-1],
		"dashes":              fill("", "- ", ""),
		"question marks":      fill("", "? ", ""),
		"colons":              fill("", ": ", ""),
		"commas":              fill("a: [", ",", "]"),
		"exclamation marks":   fill("", "!", ""),
		"tags":                fill("", "!a ", ""),
		"percent":             fill("", "%YAML 1.1\n", ""),
		"anchors":             numbered("", "&a%d "),
		"anchored keys":       numbered("settings:\n", "  k%d: &a x\n"),
		"laughs":              laughs,
		"itself":              "a: &a [*a, *a]\n",
		"comments":            fill("", "#\n", ""),
		"comment line":        fill("#", "x", "\n"),
		"comments and items":  fill("a:\n", "- #\n", ""),
		"blank lines":         fill("", "\n", ""),
		"spaces":              fill("a:", " ", "b"),
		"deep indentation":    deepIndentation(),
		"tabs":                fill("a:", "\t", "b"),
		"line ends":           fill("", "\r\n", ""),
		"carriage returns":    fill("", "\r", ""),
		"documents":           fill("", "---\n", ""),
		"document ends":       fill("", "...\n", ""),
		"keys":                numbered("", "k%d: 1\n"),
		"keys in settings":    numbered("settings:\n", "  k%d: 1\n"),
		"one key again":       fill("", "a: 1\n", ""),
		"variables":           numbered("env:\n", "  V%d: x\n"),
		"bad variables":       numbered("env:\n", "  %d-: x\n"),
		"secrets":             numbered("env:\n", "  V%d: "+canary+"\n"),
		"secrets on a line":   fill("notes: ", canary+" ", ""),
		"items":               fill("aliases: [", "a,", "]"),
		"records":             fill("dns:\n  records:\n", "    - {type: A, name: a, content: 1}\n", ""),
		"empty records":       fill("dns: {records: [", "{},", "]}"),
		"unknown long keys":   numbered("", "databasedatabasedatabasedatabasedatabasedatabasedatabase%d: 1\n"),
		"one word":            fill("displayName: ", "x", "\n"),
		"one long key":        fill("", "x", ": 1\n"),
		"quotes":              fill("a: ", `"`, ""),
		"single quotes":       fill("a: ", "'", ""),
		"open quote":          fill(`a: "`, "x", ""),
		"escapes":             fill(`a: "`, `\x41`, `"`),
		"escaped nul":         fill(`a: "`, `\0`, `"`),
		"folded":              fill("a: >\n", " x\n", ""),
		"literal":             fill("a: |\n", " x\n", ""),
		"wrong bytes":         fill("", "\xff", ""),
		"nul bytes":           fill("", "\x00", ""),
		"replacement":         fill("a: ", "\ufffd", ""),
		"bidi":                fill("a: ", "\u202e", ""),
		"combining":           fill("domain: a", "\u0301", ""),
		"unicode host":        fill("domain: ", "ü", "\n"),
		"dotted host":         fill("domain: ", "a.", "\n"),
		"long list of hosts":  numbered("aliases:\n", "  - ü%d.example\n"),
		"url of passwords":    fill("notes: ", "a://b:", "\n"),
		"at signs":            fill("contact: {email: ", "a@", "}\n"),
		"merge":               fill("a: &a {b: 1}\n", "<<: *a\n", ""),
		"numbers":             fill("settings: {a: ", "9", "}"),
		"many numbers":        fill("settings: {a: [", "1e9,", "]}"),
		"durations":           fill("database: {retain: ", "1h", "}"),
		"too large":           strings.Repeat("a", MaxFile+1),
		"utf-16":              "\xff\xfen\x00a\x00",
		"utf-32":              "\xff\xfe\x00\x00n\x00\x00\x00",
		"unfinished":          "a: [\"",
		"only a quote":        "\"",
		"only an anchor":      "&a",
		"only an alias":       "*a",
		"only a tag":          "!",
		"block and no text":   "a: |",
		"indent indicator":    "a: |99\n x",
		"a directive":         "%TAG ! tag:example,2026:\n---\na: !b c\n",
		"binary":              "a: !!binary aGVsbG8=\n",
		"null root":           "~\n",
		"a complex key":       "? {a: b}\n: c\n",
		"an empty key":        ": a\n",
		"merge into settings": "settings: {<<: [{a: 1}, {b: 2}]}\n",
	}
	return out
}

// deepIndentation indents each line by one more than the last.
func deepIndentation() string {
	var b strings.Builder
	for i := 0; b.Len()+i+4 < MaxFile; i++ {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestHostileFiles: whatever the bytes, the answer comes, in bounded memory, and says
// where and why. The deadline only keeps a hang from holding up the tests.
func TestHostileFiles(t *testing.T) {
	base := design(t)
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			data := []byte(text)
			decoders := map[string]func() Problems{
				"tree": func() Problems {
					_, p := CheckTree(LayoutOf("clients"), append([]File{{Path: "clients/a.yaml", Data: data}}, base...), Defaults{})
					return p
				},
			}
			if parse("a.yaml", data).root != nil { // else all kinds say the same
				decoders["template"] = func() Problems { _, p := DecodeTemplate("templates/a.yaml", data); return p }
				decoders["platform"] = func() Problems { _, p := DecodePlatform("platform.yaml", data); return p }
			}
			for kind, decode := range decoders {
				done := make(chan Problems)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				go func() { done <- decode() }()
				select {
				case problems := <-done:
					runtime.ReadMemStats(&after)
					if used := after.TotalAlloc - before.TotalAlloc; used > 256<<20 {
						t.Errorf("%s: %d MiB", kind, used>>20)
					}
					if !problems.Failed() {
						t.Errorf("%s: accepted", kind)
					}
					placed(t, data, problems)
					if text := rendered(problems); len(text) > 64<<10 || strings.Contains(text, canary) {
						t.Errorf("%s: %d bytes of problems", kind, len(text))
					}
				case <-time.After(time.Minute):
					t.Fatalf("%s: no answer", kind)
				}
			}
		})
	}
}

// TestS48HostileText: text that would be something else elsewhere is kept as text or
// refused; control characters and line ends where one line is meant are refused.
func TestS48HostileText(t *testing.T) {
	fields := map[string]string{ // what each field refuses, a YAML text with one place for it
		"displayName":         "displayName: %s\n",
		"contact.name":        "contact: {email: dana@demoshop.example, name: %s}\n",
		"contact.email":       "contact: {email: %s}\n",
		"contact.phone":       "contact: {email: dana@demoshop.example, phone: %s}\n",
		"admin.email":         "admin: {email: %s}\n",
		"domain":              "domain: %s\n",
		"aliases":             "aliases: [%s]\n",
		"template":            "template: %s\n",
		"enabledFeatures":     "enabledFeatures: [%s]\n",
		"deployment.ref":      "deployment: {ref: %s}\n",
		"health.path":         "health: {path: %s}\n",
		"health.contains":     "health: {contains: %s}\n",
		"labels":              "labels: {team: %s}\n",
		"billing.status":      "billing: {status: %s}\n",
		"adopt":               "adopt: {site: {id: %s}}\n",
		"dns.records.name":    "dns: {records: [{type: TXT, name: %s, content: a}]}\n",
		"dns.records.content": "dns: {records: [{type: TXT, name: a, content: %s}]}\n",
	}
	for field, form := range fields {
		for what, text := range map[string]string{
			"a line end":            `"a\nBcc: x@evil.example"`,
			"a carriage return":     `"a\r\nX: y"`,
			"an escape":             `"a\e[31m"`,
			"nul":                   `"a\0b"`,
			"a reversed direction":  `"a\u202eb"`,
			"a line separator":      `"a\u2028b"`,
			"ten thousand letters":  strings.Repeat("a", 10000),
			"eight thousand chars":  strings.Repeat("a", 8000),
			"an invisible space":    `"a\u200bb"`,
			"a next-line character": `"a\x85b"`,
		} {
			data := fmt.Sprintf(form, text)
			for _, line := range []string{"name: a\n", "domain: a\n", "template: ecommerce\n", "contact: {email: dana@demoshop.example}\n"} {
				if key, _, _ := strings.Cut(line, ":"); !strings.HasPrefix(data, key+":") {
					data += line
				}
			}
			problems := oneFile(t, "client", "a.yaml", []byte(data))
			if !problems.Failed() {
				t.Errorf("%s takes %s", field, what)
			}
			if got := rendered(problems); len(got) > 4000 || strings.ContainsAny(got, "\r\x00\x1b\u202e\u2028\u200b\u0085") {
				t.Errorf("%s with %s: %d bytes: %q", field, what, len(got), got)
			}
		}
	}
	// Markup is only text.
	for _, text := range []string{`"<script>alert(1)</script>"`, `"**bold** [a](http://evil.example) @team"`, "\"`code`\"", `"| a | b |"`, `"<!-- reconciler:plan -->"`} {
		if problems := oneFile(t, "client", "a.yaml", []byte("name: a\ndomain: a\ntemplate: ecommerce\ncontact: {email: dana@demoshop.example}\ndisplayName: "+text+"\nnotes: "+text+"\n")); len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
		}
	}
}
