package simulated

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// Limits of statuses.
const (
	maxStatuses    = 1_000 // of one commit and context
	maxDescription = 140   // characters
)

// resolve is the commit that a sha, a branch or a tag names.
func (f *Forge) resolve(ref string) (gitserver.Commit, error) {
	var out gitserver.Commit
	err := f.git.View(f.o.Repo, func(r *gitserver.Repository) (err error) {
		for _, name := range []string{"refs/heads/" + ref, "refs/tags/" + ref, "refs/" + strings.TrimPrefix(ref, "refs/")} {
			if id, err := r.Ref(name); err == nil {
				out, err = r.Commit(id)
				return err
			}
		}
		out, err = r.Commit(ref)
		return err
	})
	return out, err
}

// link says whether an address may stand as a status's link.
func link(text string) bool {
	u, err := url.Parse(text)
	return text == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func createStatus(c *call) (any, error) {
	in := struct {
		State, Description, Context string
		Target                      string `json:"target_url"`
	}{Context: "default"}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	f, sha := c.f, c.r.PathValue("sha")
	if commit, err := f.resolve(sha); notFound(err) || err == nil && commit.ID != sha {
		return nil, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	} else if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"error", "failure", "pending", "success"}, in.State) {
		return nil, invalid("Status", "state", "inclusion", "")
	}
	if utf8.RuneCountInString(in.Description) > maxDescription {
		return nil, invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	if !link(in.Target) {
		return nil, invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
	}
	n := 0
	for _, s := range f.w.Statuses {
		if s.SHA == sha && strings.EqualFold(s.Context, in.Context) {
			n++
		}
	}
	if n >= maxStatuses {
		p := invalid("Status", "", "custom", "This SHA and context has reached the maximum number of statuses.")
		delete(p.errors[0], "field")
		return nil, p
	}
	s := &Status{ID: f.id(), SHA: sha, Context: in.Context, State: in.State, Description: in.Description, URL: in.Target, Author: c.login(), Created: f.now()}
	f.w.Statuses = append(f.w.Statuses, s)
	return f.status(s), nil
}

// statusesOf are a commit's, the newest first; lists may lag.
func (f *Forge) statusesOf(sha string, lag bool) (out []*Status) {
	for i := len(f.w.Statuses) - 1; i >= 0; i-- {
		if s := f.w.Statuses[i]; s.SHA == sha && (!lag || f.visible(s.Created)) {
			out = append(out, s)
		}
	}
	return out
}

// newest are the newest of each context, by the order in which contexts came.
func newest(all []*Status) (out []*Status) {
	seen := map[string]bool{}
	for _, s := range all {
		if key := strings.ToLower(s.Context); !seen[key] {
			seen[key] = true
			out = append(out, s)
		}
	}
	slices.Reverse(out)
	return out
}

// combine is the state of all contexts together: failure wins, then pending.
func combine(all []*Status) string {
	state := "success"
	for _, s := range all {
		switch s.State {
		case "failure", "error":
			return "failure"
		case "pending":
			state = "pending"
		}
	}
	if len(all) == 0 {
		state = "pending"
	}
	return state
}

func combinedStatus(c *call) (any, error) {
	commit, err := c.f.resolve(c.r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	f := c.f
	all := newest(f.statusesOf(commit.ID, true))
	repo := f.repository(f.o.Owner)
	return object{"state": combine(all), "statuses": each(pageOf(c, all), f.status), "sha": commit.ID, "total_count": len(all), "repository": repo,
		"commit_url": f.repoAPI("/commits/%s", commit.ID), "url": f.repoAPI("/commits/%s/status", commit.ID)}, nil
}

func listStatuses(c *call) (any, error) {
	commit, err := c.f.resolve(c.r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	return each(pageOf(c, c.f.statusesOf(commit.ID, true)), c.f.status), nil
}

func listDeployments(c *call) (any, error) {
	var out []*Deployment
	for i := len(c.f.w.Deployments) - 1; i >= 0; i-- {
		d := c.f.w.Deployments[i]
		is := func(query, value string) bool { q := c.query(query); return q == "" || q == value }
		if is("sha", d.SHA) && is("ref", d.Ref) && is("task", d.Task) && is("environment", d.Environment) && c.f.visible(d.Created) {
			out = append(out, d)
		}
	}
	return each(pageOf(c, out), c.f.deployment), nil
}

func createDeployment(c *call) (any, error) {
	in := struct {
		Ref, Task, Environment, Description string
		Payload                             json.RawMessage
		Auto                                *bool     `json:"auto_merge"`
		Contexts                            *[]string `json:"required_contexts"`
		Transient                           bool      `json:"transient_environment"`
		Production                          *bool     `json:"production_environment"`
	}{Task: "deploy", Environment: "production"}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	f := c.f
	commit, err := f.resolve(in.Ref)
	if notFound(err) {
		return nil, invalid("Deployment", "ref", "invalid", "No ref found for: "+in.Ref)
	} else if err != nil {
		return nil, err
	}
	if in.Auto == nil || *in.Auto {
		if behind, err := f.behind(commit.ID); err != nil {
			return nil, err
		} else if behind && commit.ID != in.Ref {
			return nil, fail(http.StatusConflict, fmt.Sprintf("Conflict merging %s into %s.", f.own, in.Ref))
		}
	}
	for _, s := range newest(f.statusesOf(commit.ID, false)) {
		asked := in.Contexts == nil || slices.Contains(*in.Contexts, s.Context)
		if asked && s.State != "success" {
			return nil, fail(http.StatusConflict, fmt.Sprintf("Conflict: Commit status checks failed for %s.", in.Ref))
		}
	}
	d := &Deployment{ID: f.id(), SHA: commit.ID, Ref: in.Ref, Task: in.Task, Environment: in.Environment, Description: in.Description, Payload: in.Payload, Author: c.login(),
		Transient: in.Transient, Production: in.Environment == "production", Created: f.now(), Updated: f.now()}
	if in.Production != nil {
		d.Production = *in.Production
	}
	if string(d.Payload) == `""` || string(d.Payload) == "null" {
		d.Payload = nil
	}
	f.w.Deployments = append(f.w.Deployments, d)
	return f.deployment(d), nil
}

// behind says that a commit lacks something of the repository's own branch.
func (f *Forge) behind(commit string) (bool, error) {
	in := false
	err := f.git.View(f.o.Repo, func(r *gitserver.Repository) error {
		own, err := r.Ref(heads + f.own)
		if err == nil {
			in, err = r.Reaches(commit, own)
		}
		return err
	})
	return !in, err
}

func (c *call) deployment() (*Deployment, error) {
	for _, d := range c.f.w.Deployments {
		if d.ID == c.number("id") {
			return d, nil
		}
	}
	return nil, ErrNotFound
}

func getDeployment(c *call) (any, error) {
	d, err := c.deployment()
	if err != nil {
		return nil, err
	}
	return c.f.deployment(d), nil
}

func deleteDeployment(c *call) (any, error) {
	d, err := c.deployment()
	if err != nil {
		return nil, err
	}
	if d.State() != "inactive" && len(c.f.w.Deployments) > 1 {
		return nil, fail(http.StatusUnprocessableEntity, "We cannot delete an active deployment unless it is the only deployment in a given environment.")
	}
	c.f.w.Deployments = slices.DeleteFunc(c.f.w.Deployments, func(x *Deployment) bool { return x == d })
	return empty{}, nil
}

func listDeploymentStatuses(c *call) (any, error) {
	d, err := c.deployment()
	if err != nil {
		return nil, err
	}
	all := slices.Clone(d.Statuses)
	slices.Reverse(all)
	return each(pageOf(c, all), func(s DeploymentStatus) object { return c.f.deploymentStatus(d, s) }), nil
}

func getDeploymentStatus(c *call) (any, error) {
	d, err := c.deployment()
	if err != nil {
		return nil, err
	}
	for _, s := range d.Statuses {
		if s.ID == c.number("status") {
			return c.f.deploymentStatus(d, s), nil
		}
	}
	return nil, ErrNotFound
}

func createDeploymentStatus(c *call) (any, error) {
	var in struct {
		State, Description, Environment string
		URL                             string `json:"environment_url"`
		Log                             string `json:"log_url"`
		Target                          string `json:"target_url"`
		Inactive                        *bool  `json:"auto_inactive"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	d, err := c.deployment()
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}, in.State) {
		return nil, invalid("DeploymentStatus", "state", "inclusion", "")
	}
	if utf8.RuneCountInString(in.Description) > maxDescription {
		return nil, invalid("DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	if in.Log == "" {
		in.Log = in.Target
	}
	if !link(in.URL) || !link(in.Log) {
		return nil, invalid("DeploymentStatus", "environment_url", "custom", "environment_url must use http(s) scheme")
	}
	if in.Environment == "" {
		in.Environment = d.Environment
	}
	f := c.f
	s := DeploymentStatus{ID: f.id(), State: in.State, Description: in.Description, Environment: in.Environment, URL: in.URL, LogURL: in.Log, Author: c.login(), Created: f.now()}
	d.Statuses, d.Updated, d.Environment = append(d.Statuses, s), f.now(), in.Environment
	if in.State == "success" && (in.Inactive == nil || *in.Inactive) {
		for _, old := range f.w.Deployments { // production ones and transient ones stay as they are
			if old != d && old.Environment == d.Environment && !old.Transient && !old.Production && old.State() == "success" && old.ID < d.ID {
				old.Statuses = append(old.Statuses, DeploymentStatus{ID: f.id(), State: "inactive", Environment: old.Environment, Author: c.login(), Created: f.now()})
			}
		}
	}
	return f.deploymentStatus(d, s), nil
}
