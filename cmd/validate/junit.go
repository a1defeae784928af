package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
)

type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitFailure `xml:"failure"`
	Out     string        `xml:"system-out,omitempty"` // warnings
}

type junitFailure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// printJUnit writes a test case a file; a file fails when it is invalid. Characters
// that XML can't hold are replaced by the encoder.
func printJUnit(w io.Writer, r result) error {
	by := map[string][]manifest.Problem{}
	for _, p := range r.problems {
		by[p.Path] = append(by[p.Path], p)
	}
	all := r.all()
	_, invalid, _, _ := r.tally()
	suite := junitSuite{Name: "validate", Tests: len(all), Failures: invalid, Cases: []junitCase{}}
	for _, f := range all {
		c := junitCase{Class: clean(path.Dir(f.path)), Name: clean(f.path)}
		var failures, warnings []string
		for _, p := range by[f.path] {
			line := fmt.Sprintf("%s:%d:%d: %s [%s]", clean(p.Path), p.Line, p.Column, clean(p.Text), p.Rule)
			if p.Hint != "" {
				line += "\n  " + clean(p.Hint)
			}
			if p.Warning {
				warnings = append(warnings, line)
				continue
			}
			if failures = append(failures, line); len(failures) == 1 {
				c.Failure = &junitFailure{Type: p.Rule, Message: fmt.Sprintf("%d:%d %s", p.Line, p.Column, clean(p.Text))}
			}
		}
		if c.Failure != nil {
			c.Failure.Text = strings.Join(failures, "\n")
		}
		c.Out = strings.Join(warnings, "\n")
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Tests: suite.Tests, Failures: suite.Failures, Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
