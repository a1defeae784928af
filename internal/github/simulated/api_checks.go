package simulated

import (
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// Limits of check runs.
const (
	maxAnnotations = 50 // in one request
	maxSummary     = 65_535
)

// checkInput is what a check run is made or changed with.
type checkInput struct {
	Name       string
	SHA        string `json:"head_sha"`
	Details    string `json:"details_url"`
	External   string `json:"external_id"`
	Status     string
	Conclusion string
	Started    *time.Time `json:"started_at"`
	Completed  *time.Time `json:"completed_at"`
	Output     *struct {
		Title, Summary, Text string
		Annotations          []struct {
			Path        string
			StartLine   int    `json:"start_line"`
			EndLine     int    `json:"end_line"`
			StartColumn int    `json:"start_column"`
			EndColumn   int    `json:"end_column"`
			Level       string `json:"annotation_level"`
			Message     string
			Title       string
			Details     string `json:"raw_details"`
		}
	}
}

// check refuses what GitHub refuses.
func (in *checkInput) check() *problem {
	bad := func(message string) *problem {
		return fail(http.StatusUnprocessableEntity, "Invalid request.\n\n"+message)
	}
	if in.Status != "" && !slices.Contains([]string{"queued", "in_progress", "completed"}, in.Status) {
		return bad("status is not one of the allowed values.")
	}
	if in.Conclusion != "" && !slices.Contains([]string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}, in.Conclusion) {
		return bad("conclusion is not one of the allowed values.")
	}
	if in.Status == "completed" && in.Conclusion == "" {
		return bad("conclusion is required when status is completed.")
	}
	o := in.Output
	if o == nil {
		return nil
	}
	if o.Title == "" || o.Summary == "" {
		return bad("\"title\", \"summary\" weren't supplied.")
	}
	if utf8.RuneCountInString(o.Summary) > maxSummary || utf8.RuneCountInString(o.Text) > maxSummary {
		return bad("summary exceeds a maximum length of 65535.")
	}
	if len(o.Annotations) > maxAnnotations {
		return bad(fmt.Sprintf("No subschema in \"oneOf\" matched. annotations exceeds a maximum of %d.", maxAnnotations))
	}
	for _, a := range o.Annotations {
		level := slices.Contains([]string{"notice", "warning", "failure"}, a.Level)
		if a.Path == "" || a.StartLine < 1 || a.EndLine < a.StartLine || !level || a.Message == "" || (a.StartColumn > 0 || a.EndColumn > 0) && a.StartLine != a.EndLine {
			return bad("For 'items', an annotation is not valid.")
		}
	}
	return nil
}

// into writes it into a check run. Annotations are added to those that are there.
func (in *checkInput) into(k *Check, now time.Time) {
	set := func(to *string, v string) {
		if v != "" {
			*to = v
		}
	}
	set(&k.Name, in.Name)
	set(&k.URL, in.Details)
	set(&k.External, in.External)
	set(&k.Status, in.Status)
	if in.Started != nil {
		k.Started = *in.Started
	}
	if in.Conclusion != "" {
		k.Conclusion, k.Status, k.Completed = in.Conclusion, "completed", now
	} else if in.Status != "" && in.Status != "completed" { // it goes on
		k.Conclusion, k.Completed = "", time.Time{}
	}
	if in.Completed != nil {
		k.Completed = *in.Completed
	}
	if o := in.Output; o != nil {
		k.Title, k.Summary, k.Text = o.Title, o.Summary, o.Text
		for _, a := range o.Annotations {
			k.Annotations = append(k.Annotations, Annotation{a.Path, a.StartLine, a.EndLine, a.StartColumn, a.EndColumn, a.Level, a.Title, a.Message, a.Details})
		}
	}
}

func createCheck(c *call) (any, error) {
	if !c.grant.app {
		return nil, fail(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	var in checkInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Name == "" || in.SHA == "" {
		return nil, fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"name\", \"head_sha\" weren't supplied.")
	}
	if p := in.check(); p != nil {
		return nil, p
	}
	f := c.f
	if commit, err := f.resolve(in.SHA); notFound(err) || err == nil && commit.ID != in.SHA {
		return nil, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+in.SHA)
	} else if err != nil {
		return nil, err
	}
	k := &Check{ID: f.id(), SHA: in.SHA, Status: "queued", Started: f.now()}
	for _, old := range f.w.Checks { // one suite a commit and App
		if old.SHA == k.SHA {
			k.Suite = old.Suite
		}
	}
	if k.Suite == 0 {
		k.Suite = f.id()
	}
	in.into(k, f.now())
	f.w.Checks = append(f.w.Checks, k)
	return f.check(k), nil
}

func (c *call) check() (*Check, error) {
	for _, k := range c.f.w.Checks {
		if k.ID == c.number("id") {
			return k, nil
		}
	}
	return nil, ErrNotFound
}

func getCheck(c *call) (any, error) {
	k, err := c.check()
	if err != nil {
		return nil, err
	}
	return c.f.check(k), nil
}

func updateCheck(c *call) (any, error) {
	if !c.grant.app {
		return nil, fail(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	var in checkInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if p := in.check(); p != nil {
		return nil, p
	}
	k, err := c.check()
	if err != nil {
		return nil, err
	}
	in.into(k, c.f.now())
	return c.f.check(k), nil
}

func listChecks(c *call) (any, error) {
	commit, err := c.f.resolve(c.r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	var out []*Check
	latest := map[string]bool{}
	for i := len(c.f.w.Checks) - 1; i >= 0; i-- {
		k := c.f.w.Checks[i]
		if k.SHA != commit.ID || c.query("check_name") != "" && c.query("check_name") != k.Name || c.query("status") != "" && c.query("status") != k.Status || !c.f.visible(k.Started) {
			continue
		}
		if c.query("filter") != "all" && latest[k.Name] {
			continue
		}
		latest[k.Name] = true
		out = append(out, k)
	}
	return object{"total_count": len(out), "check_runs": each(pageOf(c, out), c.f.check)}, nil
}

func listAnnotations(c *call) (any, error) {
	k, err := c.check()
	if err != nil {
		return nil, err
	}
	column := func(n int) any {
		if n == 0 {
			return nil
		}
		return n
	}
	return each(pageOf(c, k.Annotations), func(a Annotation) object {
		return object{"path": a.Path, "start_line": a.StartLine, "end_line": a.EndLine, "start_column": column(a.StartColumn), "end_column": column(a.EndColumn),
			"annotation_level": a.Level, "title": textOr(a.Title), "message": a.Message, "raw_details": textOr(a.Details), "blob_href": c.f.page("/blob/%s/%s", k.SHA, escapePath(a.Path))}
	}), nil
}

// check is a check run as the API has it. Pull requests of forks don't stand in it.
func (f *Forge) check(k *Check) object {
	pulls := []any{}
	for _, p := range f.w.Pulls {
		if p.Head == k.SHA && p.Fork == "" && p.State == "open" {
			part := func(ref, sha string) object {
				return object{"ref": ref, "sha": sha, "repo": object{"id": int64(firstID - 2), "url": f.repoAPI(""), "name": f.o.Repo}}
			}
			pulls = append(pulls, object{"id": p.ID, "number": p.Number, "url": f.repoAPI("/pulls/%d", p.Number), "head": part(p.HeadRef, p.Head), "base": part(p.BaseRef, p.Base)})
		}
	}
	at := f.repoAPI("/check-runs/%d", k.ID)
	details := k.URL
	if details == "" {
		details = f.page("")
	}
	return object{"id": k.ID, "head_sha": k.SHA, "node_id": node("CR", k.ID), "external_id": k.External, "url": at, "html_url": f.page("/runs/%d", k.ID), "details_url": details,
		"status": k.Status, "conclusion": textOr(k.Conclusion), "started_at": stampOr(k.Started), "completed_at": stampOr(k.Completed),
		"output": object{"title": textOr(k.Title), "summary": textOr(k.Summary), "text": textOr(k.Text), "annotations_count": len(k.Annotations), "annotations_url": at + "/annotations"},
		"name":   k.Name, "check_suite": object{"id": k.Suite}, "app": f.integration(), "pull_requests": pulls}
}
