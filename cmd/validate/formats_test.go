package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"pgregory.net/rapid"
)

// hostile draws what a file or its name could bring into a report.
func hostile() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.StringN(0, 20, -1),
		rapid.SampledFrom([]string{"\x1b[2J", "a\nb", "::error::x", "##[error]x", "]]>", "<!--", "%0A", "\u202e", "\xff\xfe", "\x00", "a:b,c", "../x", "http://x/", "]]><![CDATA["}),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")) }))
}

func hostileReport() *rapid.Generator[result] {
	return rapid.Custom(func(t *rapid.T) result {
		var r result
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			p := manifest.Problem{Path: hostile().Draw(t, "path"), Line: rapid.IntRange(0, 5).Draw(t, "line"), Rule: rapid.SampledFrom([]string{"enum", "removed", "new-rule"}).Draw(t, "rule"),
				Text: hostile().Draw(t, "text"), Hint: hostile().Draw(t, "hint"), Client: hostile().Draw(t, "client"), Snippet: hostile().Draw(t, "snippet"), Warning: rapid.Bool().Draw(t, "warning")}
			if p.Line > 0 {
				p.Column = rapid.IntRange(1, 400).Draw(t, "column")
			}
			r.problems = append(r.problems, p)
			if rapid.Bool().Draw(t, "listed") {
				r.files = append(r.files, file{path: p.Path, client: p.Client})
			}
		}
		return r
	})
}

// Whatever stands in files and their names, every format stays what it is.
func TestFormatsHoldHostileText(t *testing.T) {
	visible := regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f\x{80}-\x{9f}\x{200b}\x{200e}\x{200f}\x{2028}-\x{202e}]`)
	rapid.Check(t, func(t *rapid.T) {
		r := hostileReport().Draw(t, "report")
		out := map[string]string{}
		for _, format := range []string{"text", "json", "github", "sarif", "junit"} {
			write, err := printer(format, false)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := write(&b, r); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			out[format] = b.String()
		}
		if visible.MatchString(out["text"]) || visible.MatchString(out["github"]) {
			t.Errorf("a control character came through:\n%q\n%q", out["text"], out["github"])
		}
		var j jsonReport
		if err := json.Unmarshal([]byte(out["json"]), &j); err != nil {
			t.Errorf("json: %v", err)
		}
		if j.Summary.Errors+j.Summary.Warnings != len(r.problems) {
			t.Errorf("json counts %+v, not %d", j.Summary, len(r.problems))
		}
		sarif(t, out["sarif"], len(r.problems))
		d := xml.NewDecoder(strings.NewReader(out["junit"]))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("junit: %v\n%s", err, out["junit"])
			}
		}
		lines := strings.Split(strings.TrimSuffix(out["github"], "\n"), "\n")
		if len(lines) != len(r.problems)+1 {
			t.Errorf("github: %d lines for %d problems", len(lines), len(r.problems))
		}
		command := regexp.MustCompile(`^::(error|warning) file=[^:,]*(,line=\d+,col=\d+)?,title=[a-z-]+::`)
		for _, l := range lines[:len(lines)-1] {
			if !command.MatchString(l) || strings.Contains(l, "##[") {
				t.Errorf("github: %q", l)
			}
		}
	})
}

// sarif checks what readers of SARIF 2.1.0 need.
func sarif(t interface{ Errorf(string, ...any) }, text string, results int) {
	var l sarifLog
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Errorf("sarif: %v", err)
		return
	}
	if l.Version != "2.1.0" || l.Schema == "" || len(l.Runs) != 1 || l.Runs[0].Tool.Driver.Name == "" || len(l.Runs[0].Results) != results {
		t.Errorf("sarif: version %q, %d runs", l.Version, len(l.Runs))
		return
	}
	rules := l.Runs[0].Tool.Driver.Rules
	for _, r := range l.Runs[0].Results {
		if r.RuleIndex < 0 || r.RuleIndex >= len(rules) || rules[r.RuleIndex].ID != r.RuleID || rules[r.RuleIndex].ShortDescription.Text == "" {
			t.Errorf("sarif: result of rule %q has index %d", r.RuleID, r.RuleIndex)
		}
		if r.Level != "error" && r.Level != "warning" || len(r.Locations) != 1 {
			t.Errorf("sarif: level %q, %d locations", r.Level, len(r.Locations))
			continue
		}
		at := r.Locations[0].PhysicalLocation
		if _, err := url.Parse(at.ArtifactLocation.URI); err != nil {
			t.Errorf("sarif: %v", err)
		}
		if at.Region != nil && (at.Region.StartLine < 1 || at.Region.StartColumn < 1) {
			t.Errorf("sarif: region %+v", at.Region)
		}
	}
}

func TestTheCaretStandsBelowItsColumn(t *testing.T) {
	for name, c := range map[string]struct {
		line   string
		column int
		under  string
	}{
		"plain":      {"plan: gold", 7, "g"},
		"accents":    {"näme: gøld", 7, "g"},
		"tabs":       {"a:\tb", 4, "b"},
		"escaped":    {"a: \u202eb", 5, "b"},
		"long":       {strings.Repeat("x", 500) + "y" + strings.Repeat("z", 500), 501, "y"},
		"long begin": {"y" + strings.Repeat("z", 500), 1, "y"},
		"long end":   {strings.Repeat("x", 500) + "y", 501, "y"},
	} {
		line, before := window(c.line, c.column)
		runes := []rune(line)
		if before >= len(runes) || string(runes[before]) != c.under {
			t.Errorf("%s: the caret isn't under %q in %q at %d", name, c.under, line, before)
		}
		if len(runes) > maxLine+10 {
			t.Errorf("%s: %d characters are shown", name, len(runes))
		}
	}
	if line, before := window("名: gold", 4); line != "名: gold" || before != 4 {
		t.Errorf("a wide character: %q at %d", line, before)
	}
	if line, before := window("ab", 9); line != "ab" || before != 2 {
		t.Errorf("beyond the end: %q at %d", line, before)
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	r := result{problems: manifest.Problems{{Path: "clients/a.yaml", Line: 1, Column: 1, Rule: "enum", Text: "no", Snippet: "x"}}}
	var plain, painted bytes.Buffer
	if err := errors.Join(printText(&plain, r, false), printText(&painted, r, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(painted.String(), "\x1b[1;31merror\x1b[0m") {
		t.Errorf("%q and %q", plain.String(), painted.String())
	}
	if bare := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(painted.String(), ""); bare != plain.String() {
		t.Errorf("colours change the text: %q and %q", bare, plain.String())
	}
	unset := func(string) string { return "" }
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if colourful(file, unset) || colourful(&plain, unset) {
		t.Error("a file is taken for a terminal")
	}
}
