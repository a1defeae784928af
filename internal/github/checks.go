package github

import (
	"context"
	"fmt"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// Bounds of a check run (docs.github.com/rest/checks/runs).
const (
	annotationsAtOnce = 50
	maxAnnotations    = 1_000 // of ours; the summary says how many more there are
	maxSummary        = 65_000
	maxAnnotation     = 16 << 10 // characters of its message; GitHub takes 64 KB
	maxTitle          = 255
)

// PutCheck writes the check run of this name on the commit. GitHub adds annotations and
// never takes one away, so a run that has some is followed by a new one of its name, which
// is the one that is shown. The verdict is in the first request: a run that lost its later
// ones has ended.
func (a *API) PutCheck(ctx context.Context, c forge.Check) error {
	const op = "write a check"
	switch {
	case !a.app:
		return fail(ctx, op, &fault{kind: forge.ErrDenied, words: "only a GitHub App may"})
	case !isCommit(c.Commit):
		return fail(ctx, op, notCommit())
	case c.Name == "":
		return fail(ctx, op, &fault{kind: forge.ErrInvalid, words: "a check has a name"})
	}
	if more := len(c.Annotations) - maxAnnotations; more > 0 {
		c.Annotations = c.Annotations[:maxAnnotations]
		c.Summary += fmt.Sprintf("\n\n%d more are not shown.", more)
	}
	first, rest := c.Annotations, []forge.Annotation(nil)
	if len(first) > annotationsAtOnce {
		first, rest = first[:annotationsAtOnce], first[annotationsAtOnce:]
	}
	id, err := a.bare(ctx, c)
	if err != nil {
		return fail(ctx, op, err)
	}
	if id != 0 {
		err = a.updateCheck(ctx, id, c, first)
	} else {
		id, err = a.createCheck(ctx, c, first)
	}
	for len(rest) > 0 && err == nil {
		n := min(len(rest), annotationsAtOnce)
		err = a.updateCheck(ctx, id, c, rest[:n])
		rest = rest[n:]
	}
	return fail(ctx, op, err)
}

// bare finds the run of ours that can be written again: the newest of its name, if it has
// no annotations. 0: there is none.
func (a *API) bare(ctx context.Context, c forge.Check) (int64, error) {
	latest := "latest"
	all, _, err := a.client.Checks.ListCheckRunsForRef(ctx, a.owner, a.repo, c.Commit, &gh.ListCheckRunsOptions{
		CheckName: &c.Name, Filter: &latest, AppID: &a.appID, ListOptions: gh.ListOptions{PerPage: perPage},
	})
	if err == nil && all.CheckRuns == nil {
		err = noList()
	}
	if err != nil {
		return 0, err
	}
	var newest *gh.CheckRun
	for _, run := range all.CheckRuns {
		if run.GetName() == c.Name && run.GetHeadSHA() == c.Commit && run.GetApp().GetID() == a.appID && run.GetID() > newest.GetID() {
			newest = run
		}
	}
	if newest.GetOutput().GetAnnotationsCount() > 0 {
		return 0, nil
	}
	return newest.GetID(), nil
}

func (a *API) createCheck(ctx context.Context, c forge.Check, notes []forge.Annotation) (int64, error) {
	status, conclusion, done := a.verdict(c)
	run, _, err := a.client.Checks.CreateCheckRun(with(ctx, call{of: telling}), a.owner, a.repo, gh.CreateCheckRunOptions{
		Name: c.Name, HeadSHA: c.Commit, DetailsURL: website(c.URL),
		Status: &status, Conclusion: conclusion, CompletedAt: done, Output: output(c, notes),
	})
	if err == nil && run.GetID() <= 0 {
		err = away("its answer can't be read")
	}
	return run.GetID(), err
}

func (a *API) updateCheck(ctx context.Context, id int64, c forge.Check, notes []forge.Annotation) error {
	status, conclusion, done := a.verdict(c)
	_, _, err := a.client.Checks.UpdateCheckRun(with(ctx, call{of: telling}), a.owner, a.repo, id, gh.UpdateCheckRunOptions{
		Name: c.Name, DetailsURL: website(c.URL),
		Status: &status, Conclusion: conclusion, CompletedAt: done, Output: output(c, notes),
	})
	return err
}

// verdict puts a state into a check's words, which know no error of ours.
func (a *API) verdict(c forge.Check) (status string, conclusion *string, done *gh.Timestamp) {
	if c.State == forge.Pending {
		return "in_progress", nil, nil
	}
	ended := "failure"
	if c.State == forge.Success {
		ended = "success"
	}
	return "completed", &ended, &gh.Timestamp{Time: a.now().UTC().Truncate(time.Second)}
}

func website(s string) *string { return some(link(s)) }

func output(c forge.Check, notes []forge.Annotation) *gh.CheckRunOutput {
	title, summary := cut(c.Title, maxTitle), cut(c.Summary, maxSummary)
	if title == "" {
		title = c.Name
	}
	out := &gh.CheckRunOutput{Title: &title, Summary: &summary}
	for _, n := range notes {
		out.Annotations = append(out.Annotations, annotationOf(n))
	}
	return out
}

func annotationOf(n forge.Annotation) *gh.CheckRunAnnotation {
	path, message, level, line := n.Path, cut(n.Message, maxAnnotation), "failure", max(n.Line, 1)
	if n.Warning {
		level = "warning"
	}
	if message == "" {
		message = cut(n.Title, maxTitle)
	}
	out := &gh.CheckRunAnnotation{Path: &path, StartLine: &line, EndLine: &line, AnnotationLevel: &level, Message: &message, Title: some(cut(n.Title, maxTitle))}
	if n.Column > 0 {
		from, to := n.Column, max(n.Column, n.EndColumn)
		out.StartColumn, out.EndColumn = &from, &to
	}
	return out
}
