package review

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of what is written into a pull request's files.
const (
	maxSuggestions = 10
	maxAnnotations = 200
	checkName      = "reconciler"
)

// wanted is what stands beside the lines of a pull request's files.
type wanted struct {
	Check       forge.Check        `json:"check"`
	Suggestions []forge.Suggestion `json:"suggestions,omitempty"`
}

// marks are the problems of files as annotations, and those with one obvious repair as
// suggestions.
func marks(p state.Pull, c report.PullPlan, validate report.StatusLine, url string) wanted {
	w := wanted{Check: forge.Check{Name: checkName, Commit: p.Head, State: forge.State(validate.State), Title: validate.Text, Summary: report.Text(validate.Text), URL: url}}
	for _, q := range c.Plan.Problems {
		if q.Path == "" || q.Line < 1 || p.Files[q.Path] == "" {
			continue
		}
		if len(w.Check.Annotations) < maxAnnotations {
			text := q.Text
			if q.Hint != "" {
				text += "\n" + q.Hint
			}
			w.Check.Annotations = append(w.Check.Annotations, forge.Annotation{Path: q.Path, Line: q.Line, Column: q.Column, Warning: q.Warning, Title: report.ClipWords(report.Line(q.Text), 100), Message: text})
		}
		if body, ok := report.Suggestion(q, q.Repair); ok && !q.Warning && len(w.Suggestions) < maxSuggestions {
			w.Suggestions = append(w.Suggestions, forge.Suggestion{Pull: p.Number, Commit: p.Head, Path: q.Path, Line: q.Line, Body: body})
		}
	}
	return w
}

// mark puts what stands in the files into the outbox, where it is other than before.
func (r *Reviewer) mark(tx store.Tx, p state.Pull, w wanted) error {
	text, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("mark files: %w", err)
	}
	return r.report(tx, state.Report{Subject: fmt.Sprintf("pull/%d/files", p.Number), State: string(w.Check.State), Text: w.Check.Title, Detail: string(text)})
}

// files writes the check (an App's only) and brings the suggestions to what is wanted:
// those whose problem is gone are taken back.
func (r *Reviewer) files(ctx context.Context, n int, detail string) error {
	var w wanted
	if err := json.Unmarshal([]byte(detail), &w); err != nil {
		return fmt.Errorf("read what stands in the files: %w", err)
	}
	me, err := r.whoami(ctx)
	if err != nil {
		return err
	}
	if me.App {
		if err := r.Forge.PutCheck(ctx, w.Check); err != nil && !errors.Is(err, forge.ErrDenied) {
			return err
		}
	}
	have, err := r.Forge.Suggestions(ctx, n)
	if err != nil {
		return err
	}
	at := func(s forge.Suggestion) string { return s.Path + "\x00" + strconv.Itoa(s.Line) + "\x00" + s.Body }
	there, want := map[string]bool{}, map[string]bool{}
	for _, s := range w.Suggestions {
		want[at(s)] = true
	}
	for _, s := range have {
		if kind, _, ok := report.MarkerOf(s.Body); !ok || kind != report.KindSuggestion {
			continue
		}
		if !want[at(s)] || there[at(s)] {
			if err := r.Forge.Unsuggest(ctx, s); err != nil {
				return err
			}
			continue
		}
		there[at(s)] = true
	}
	for _, s := range w.Suggestions {
		if there[at(s)] {
			continue
		}
		if _, err := r.Forge.Suggest(ctx, s); err != nil && !errors.Is(err, forge.ErrInvalid) { // a line that the pull request does not show
			return err
		}
	}
	return nil
}
