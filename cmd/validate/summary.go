package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/compassdigital/reconciler/internal/report"
)

// maxRows is how many problems a job's summary shows. GitHub takes 1 MiB of it a step,
// and nobody reads a hundred rows.
const maxRows = 100

// summarize appends a table to a job's summary on GitHub: the file that its runner names
// in GITHUB_STEP_SUMMARY.
// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#adding-a-job-summary
func summarize(file string, r result) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write the job's summary: %w", err)
	}
	_, err = f.WriteString(markdown(r))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the job's summary: %w", err)
	}
	return nil
}

// markdown is the table. What comes from a file passes report's doors: it is text, and
// leads nowhere.
func markdown(r result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Client manifests\n\n%s.\n\n", r.summary())
	if len(r.problems) == 0 {
		return b.String()
	}
	b.WriteString("| | Where | What |\n|---|---|---|\n")
	for _, p := range r.problems[:min(len(r.problems), maxRows)] {
		where := p.Path
		if p.Line > 0 {
			where = fmt.Sprintf("%s:%d:%d", p.Path, p.Line, p.Column)
		}
		what := report.Text(p.Text)
		if p.Hint != "" {
			what += "<br>" + report.Text(p.Hint)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", severity(p), report.Code(where), what)
	}
	if n := len(r.problems) - maxRows; n > 0 {
		fmt.Fprintf(&b, "\n%s more: see the log.\n", count(n, "problem"))
	}
	b.WriteString("\n")
	return b.String()
}
