package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/report"
)

// maxLine is how much of a source line is shown.
const maxLine = 160

// clean makes one visible line of text that may come from a file or its name.
func clean(s string) string { return report.Line(s) }

func severity(p manifest.Problem) string {
	if p.Warning {
		return "warning"
	}
	return "error"
}

// tally counts files and problems.
func (r result) tally() (files, invalid, errors, warnings int) {
	for _, f := range r.all() {
		if !f.gone {
			files++
		}
	}
	bad := map[string]bool{}
	for _, p := range r.problems {
		if p.Warning {
			warnings++
			continue
		}
		errors++
		bad[p.Path] = true
	}
	return files, len(bad), errors, warnings
}

// all are the files that were checked and those that only have problems.
func (r result) all() []file {
	out := append([]file(nil), r.files...)
	have := map[string]bool{}
	for _, f := range r.files {
		have[f.path] = true
	}
	for _, p := range r.problems {
		if !have[p.Path] {
			have[p.Path] = true
			out = append(out, file{p.Path, p.Client, p.Rule == manifest.RuleRemoved})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].path < out[j].path })
	return out
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (r result) summary() string {
	files, invalid, errors, warnings := r.tally()
	out := fmt.Sprintf("%s: %d valid, %d invalid", count(files, "file"), files-invalid, invalid)
	if errors+warnings > 0 {
		out += fmt.Sprintf("; %s, %s", count(errors, "error"), count(warnings, "warning"))
	}
	return out
}

// printText writes what people, editors and problem matchers read.
func printText(w io.Writer, r result, colours bool) error {
	paint := func(code, s string) string {
		if !colours {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	for _, p := range r.problems {
		where := clean(p.Path)
		if p.Line > 0 {
			where += fmt.Sprintf(":%d:%d", p.Line, p.Column)
		}
		word := paint("1;31", "error")
		if p.Warning {
			word = paint("1;33", "warning")
		}
		fmt.Fprintf(w, "%s: %s: %s [%s]\n", paint("1", where), word, clean(p.Text), p.Rule)
		if p.Snippet == "" {
			if p.Hint != "" {
				fmt.Fprintf(w, "  = %s\n", clean(p.Hint))
			}
			fmt.Fprintln(w)
			continue
		}
		line, before := window(p.Snippet, p.Column)
		number := fmt.Sprint(p.Line)
		margin := strings.Repeat(" ", len(number)) + " |"
		caret := strings.TrimRight(paint("1;36", "^")+" "+clean(p.Hint), " ")
		fmt.Fprintf(w, "%s\n%s | %s\n%s %s%s\n\n", margin, number, line, margin, strings.Repeat(" ", before), caret)
	}
	_, err := fmt.Fprintln(w, r.summary())
	return err
}

// window is the part of a line around a column, and how many columns
// of a terminal are before it.
func window(line string, column int) (part string, before int) {
	runes := []rune(strings.TrimRight(strings.ToValidUTF8(line, "\ufffd"), "\r"))
	at := max(0, min(column-1, len(runes)))
	start, end := 0, len(runes)
	head, tail := "", ""
	if end > maxLine {
		start = max(0, min(at-maxLine/2, end-maxLine))
		end = start + maxLine
		if start > 0 {
			head = "…"
		}
		if end < len(runes) {
			tail = "…"
		}
	}
	left := head + clean(string(runes[start:at]))
	return left + clean(string(runes[at:max(at, end)])) + tail, columns(left)
}

// columns is how many columns of a terminal a text takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
			continue
		}
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n++
		}
		n++
	}
	return n
}

// The JSON document. It only gains fields.
type jsonReport struct {
	Version int         `json:"version"`
	Files   []jsonFile  `json:"files"`
	Summary jsonSummary `json:"summary"`
}

type jsonFile struct {
	Filename string        `json:"filename"`
	Client   string        `json:"client"`
	Status   string        `json:"status"` // valid | invalid | removed
	Problems []jsonProblem `json:"problems"`
}

type jsonProblem struct {
	Severity string `json:"severity"` // error | warning
	Rule     string `json:"rule"`
	Line     int    `json:"line"`   // 0: the whole file
	Column   int    `json:"column"` // in characters
	Message  string `json:"message"`
	Hint     string `json:"hint"`
}

type jsonSummary struct {
	Files    int `json:"files"`
	Valid    int `json:"valid"`
	Invalid  int `json:"invalid"`
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
}

func printJSON(w io.Writer, r result) error {
	by := map[string][]manifest.Problem{}
	for _, p := range r.problems {
		by[p.Path] = append(by[p.Path], p)
	}
	files, invalid, errors, warnings := r.tally()
	out := jsonReport{Version: 1, Files: []jsonFile{}, Summary: jsonSummary{files, files - invalid, invalid, errors, warnings}}
	for _, f := range r.all() {
		j := jsonFile{Filename: strings.ToValidUTF8(f.path, "\ufffd"), Client: clean(f.client), Status: "valid", Problems: []jsonProblem{}}
		if f.gone {
			j.Status = "removed"
		}
		for _, p := range by[f.path] {
			if !p.Warning {
				j.Status = "invalid"
			}
			j.Problems = append(j.Problems, jsonProblem{severity(p), p.Rule, p.Line, p.Column, clean(p.Text), clean(p.Hint)})
		}
		out.Files = append(out.Files, j)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

// printGitHub writes workflow commands. Nothing that comes from a file stands outside
// of one: the runner takes commands from every line.
// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
func printGitHub(w io.Writer, r result) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, p := range r.problems {
		where := ""
		if p.Line > 0 {
			where = fmt.Sprintf(",line=%d,col=%d", p.Line, p.Column)
		}
		text := clean(p.Text)
		if p.Hint != "" {
			text += "\n" + clean(p.Hint)
		}
		// The older form of a command is taken from the middle of a line, too.
		text = strings.ReplaceAll(text, "##[", "# #[")
		name := strings.ReplaceAll(clean(p.Path), "##[", "# #[")
		fmt.Fprintf(w, "::%s file=%s%s,title=%s::%s\n", severity(p), property.Replace(name), where, property.Replace(p.Rule), data.Replace(text))
	}
	_, err := fmt.Fprintln(w, r.summary())
	return err
}
