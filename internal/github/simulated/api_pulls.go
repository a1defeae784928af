package simulated

import (
	"errors"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

func (c *call) pull() (*Pull, error) { return c.f.pull(int(c.number("number"))) }

func listPulls(c *call) (any, error) {
	state, base, head := c.query("state"), c.query("base"), c.query("head")
	var out []*Pull
	for _, p := range c.f.w.Pulls {
		owner := c.f.o.Owner
		if p.Fork != "" {
			owner = p.Fork
		}
		if (state == "" && p.State != "open") || (state != "" && state != "all" && p.State != state) || (base != "" && p.BaseRef != base) ||
			(head != "" && head != owner+":"+p.HeadRef) || !c.f.visible(p.Created) {
			continue
		}
		out = append(out, p)
	}
	by := func(p *Pull) int64 { return p.Created.Unix() }
	if c.query("sort") == "updated" {
		by = func(p *Pull) int64 { return p.Updated.Unix() }
	}
	// The newest first, unless they are sorted by something and no direction is asked for.
	up := c.query("direction") == "asc" || c.query("direction") == "" && c.query("sort") != "" && c.query("sort") != "created"
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if !up {
			a, b = b, a
		}
		if x, y := by(a), by(b); x != y {
			return x < y
		}
		return a.Number < b.Number
	})
	return each(pageOf(c, out), c.f.pullSimple), nil
}

func getPull(c *call) (any, error) {
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	out := c.f.pullFull(p)
	if known, _ := c.f.mergeable(p); !known && p.State == "open" {
		c.f.later(task{pull: p.Number}) // asked for, it is worked out; the next answer has it
	}
	return out, nil
}

func listFiles(c *call) (any, error) {
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	var files []fileDiff
	err = c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) (err error) {
		files, err = diffOf(r, p, p.Head)
		return err
	})
	return each(pageOf(c, files), func(d fileDiff) object { return c.f.diffEntry(d, p.Head) }), err
}

// maxPullCommits is how many commits of a pull request GitHub lists.
const maxPullCommits = 250

func listPullCommits(c *call) (any, error) {
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	commits, err := c.f.commitsOf(p)
	commits = commits[:min(len(commits), maxPullCommits)]
	return each(pageOf(c, commits), c.f.commit), err
}

// commitsOf are a pull request's own commits, the oldest first.
func (f *Forge) commitsOf(p *Pull) (out []gitserver.Commit, err error) {
	err = f.git.View(f.o.Repo, func(r *gitserver.Repository) error {
		if !p.Merged {
			out, err = r.Between(p.Base, p.Head)
			return err
		}
		for _, id := range p.Commits {
			c, err := r.Commit(id)
			if err != nil {
				return err
			}
			out = append(out, c)
		}
		return nil
	})
	return out, err
}

func listPullsOf(c *call) (any, error) {
	sha := c.r.PathValue("sha")
	in := false // on the repository's own branch
	err := c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) error {
		if _, err := r.Commit(sha); err != nil {
			return err
		}
		own, err := r.Ref(heads + c.f.own)
		if err == nil {
			in, err = r.Reaches(own, sha)
		}
		return err
	})
	if notFound(err) {
		return nil, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	}
	if err != nil {
		return nil, err
	}
	var out []*Pull
	for _, p := range c.f.w.Pulls {
		of := p.MergeCommit == sha || slices.Contains(p.Landed, sha) || slices.Contains(p.Commits, sha)
		if !in && p.State == "open" {
			commits, err := c.f.commitsOf(p)
			if err != nil {
				return nil, err
			}
			of = slices.ContainsFunc(commits, func(x gitserver.Commit) bool { return x.ID == sha })
		}
		if of && c.f.visible(p.MergedAt) {
			out = append(out, p)
		}
	}
	return each(pageOf(c, out), c.f.pullSimple), nil
}

func createPull(c *call) (any, error) {
	var in struct {
		Title, Head, Base, Body string
		Draft                   bool
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	f := c.f
	if in.Title == "" {
		return nil, invalid("PullRequest", "title", "missing_field", "")
	}
	head := in.Head
	if owner, branch, ok := strings.Cut(in.Head, ":"); ok && strings.EqualFold(owner, f.o.Owner) {
		head = branch
	}
	if f.w.Branches[f.o.Repo][head] == "" {
		return nil, invalid("PullRequest", "head", "invalid", "")
	}
	if f.w.Branches[f.o.Repo][in.Base] == "" {
		return nil, invalid("PullRequest", "base", "invalid", "")
	}
	p, err := f.open(Proposal{Head: head, Base: in.Base, Title: in.Title, Body: in.Body, Author: c.login(), Draft: in.Draft})
	if errors.Is(err, ErrRefused) {
		bad := invalid("PullRequest", "", "custom", err.Error())
		delete(bad.errors[0], "field")
		return nil, bad
	}
	if err != nil {
		return nil, err
	}
	c.header.Set("Location", f.repoAPI("/pulls/%d", p.Number))
	return f.pullFull(p), nil
}

func updatePull(c *call) (any, error) {
	var in struct{ Title, Body, State, Base *string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	f := c.f
	if err := f.edit(p, in.Title, in.Body, c.login()); err != nil {
		return nil, err
	}
	if in.Base != nil && *in.Base != p.BaseRef {
		tip := f.w.Branches[f.o.Repo][*in.Base]
		if tip == "" || p.State != "open" {
			return nil, invalid("PullRequest", "base", "invalid", "")
		}
		from := object{"ref": object{"from": p.BaseRef}, "sha": object{"from": p.Base}}
		p.BaseRef, p.Updated = *in.Base, f.now()
		if err := f.look(p); err != nil {
			return nil, err
		}
		if err := f.tellPull("edited", p, c.login(), object{"changes": object{"base": from}}); err != nil {
			return nil, err
		}
	}
	switch {
	case in.State == nil || *in.State == p.State:
	case *in.State == "closed":
		f.setClosed(p, c.login())
	case *in.State == "open":
		if err := f.reopen(p, c.login()); errors.Is(err, ErrRefused) {
			return nil, invalid("PullRequest", "state", "invalid", "state cannot be changed.")
		} else if err != nil {
			return nil, err
		}
	default:
		return nil, invalid("PullRequest", "state", "invalid", "")
	}
	return f.pullFull(p), nil
}

func mergePull(c *call) (any, error) {
	var in struct {
		Title   string `json:"commit_title"`
		Message string `json:"commit_message"`
		Method  string `json:"merge_method"`
		SHA     string
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	if in.SHA != "" && in.SHA != p.Head {
		return nil, fail(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	}
	if in.Method == "" {
		in.Method = string(MergeCommit)
	}
	commit, announce, err := c.f.merge(p, Kind(in.Method), c.login(), in.Title, in.Message)
	c.announce = announce
	if errors.Is(err, ErrRefused) {
		return nil, fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	return object{"sha": commit, "merged": true, "message": "Pull Request successfully merged"}, err
}

func listLabels(c *call) (any, error) {
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	return pageOf(c, c.f.labels(p)), nil
}

func addLabels(c *call) (any, error) {
	var in struct{ Labels []string }
	if err := c.decode(&in); err != nil {
		if err := c.decode(&in.Labels); err != nil { // the older form: a list by itself
			return nil, err
		}
	}
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	for _, name := range in.Labels {
		if !slices.ContainsFunc(p.Labels, func(l Label) bool { return strings.EqualFold(l.Name, name) }) {
			p.Labels = append(p.Labels, Label{c.f.id(), name})
		}
	}
	p.Updated = c.f.now()
	return c.f.labels(p), nil
}
