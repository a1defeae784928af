package simulated

import (
	"net/http"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// Limits of what is read of Git.
const (
	maxCompared = 250     // commits in a comparison
	maxListed   = 10_000  // commits in a list
	maxInline   = 1 << 20 // a file whose content is answered
)

func listCommits(c *call) (any, error) {
	from := c.query("sha")
	if from == "" {
		from = c.f.own
	}
	tip, err := c.f.resolve(from)
	if err != nil {
		return nil, err
	}
	var all []gitserver.Commit
	err = c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) error {
		list, err := r.Between("", tip.ID)
		if err != nil {
			return err
		}
		slices.Reverse(list)
		for _, x := range list {
			keep := true
			if name := c.query("path"); name != "" {
				if keep, err = touches(r, x, name); err != nil {
					return err
				}
			}
			if keep && len(all) < maxListed {
				all = append(all, x)
			}
		}
		return nil
	})
	return each(pageOf(c, all), c.f.commit), err
}

// touches says that a commit changes a file, or one below a folder.
func touches(r *gitserver.Repository, c gitserver.Commit, name string) (bool, error) {
	before := ""
	if len(c.Parents) > 0 {
		p, err := r.Commit(c.Parents[0])
		if err != nil {
			return false, err
		}
		before = p.Tree
	}
	changes, err := r.Changes(before, c.Tree)
	return slices.ContainsFunc(changes, func(x gitserver.Change) bool {
		return x.Path == name || strings.HasPrefix(x.Path, name+"/")
	}), err
}

func getCommit(c *call) (any, error) {
	commit, err := c.f.resolve(c.r.PathValue("ref"))
	if notFound(err) {
		return nil, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.r.PathValue("ref"))
	}
	if err != nil {
		return nil, err
	}
	out := c.f.commit(commit)
	files, err := c.f.filesOf(commit)
	adds, deletes := 0, 0
	for _, d := range files {
		adds += d.Adds
		deletes += d.Deletes
	}
	out["stats"] = object{"additions": adds, "deletions": deletes, "total": adds + deletes}
	out["files"] = each(files, func(d fileDiff) object { return c.f.diffEntry(d, commit.ID) })
	return out, err
}

// filesOf is what a commit changes beside its first parent.
func (f *Forge) filesOf(c gitserver.Commit) (out []fileDiff, err error) {
	err = f.git.View(f.o.Repo, func(r *gitserver.Repository) error {
		before := ""
		if len(c.Parents) > 0 {
			p, err := r.Commit(c.Parents[0])
			if err != nil {
				return err
			}
			before = p.Tree
		}
		out, err = diff(r, before, c.Tree)
		return err
	})
	return out, err
}

func compare(c *call) (any, error) {
	a, b, ok := strings.Cut(c.r.PathValue("basehead"), "...")
	if !ok {
		return nil, ErrNotFound
	}
	f := c.f
	base, err := f.resolve(a)
	if err != nil {
		return nil, err
	}
	head, err := f.resolve(b)
	if err != nil {
		return nil, err
	}
	var ahead, back []gitserver.Commit
	var common gitserver.Commit
	var files []fileDiff
	err = f.git.View(f.o.Repo, func(r *gitserver.Repository) (err error) {
		if ahead, err = r.Between(base.ID, head.ID); err != nil {
			return err
		}
		if back, err = r.Between(head.ID, base.ID); err != nil {
			return err
		}
		id, err := r.MergeBase(base.ID, head.ID)
		if err != nil {
			return err
		}
		if common, err = r.Commit(id); err != nil { // no common history: GitHub answers 404
			return err
		}
		files, err = diff(r, common.Tree, head.Tree)
		return err
	})
	if err != nil {
		return nil, err
	}
	status := "diverged"
	switch {
	case len(ahead) == 0 && len(back) == 0:
		status = "identical"
	case len(back) == 0:
		status = "ahead"
	case len(ahead) == 0:
		status = "behind"
	}
	at, site := f.repoAPI("/compare/%s...%s", base.ID, head.ID), f.page("/compare/%s...%s", base.ID, head.ID)
	return object{"url": at, "html_url": site, "permalink_url": site, "diff_url": site + ".diff", "patch_url": site + ".patch", "base_commit": f.commit(base), "merge_base_commit": f.commit(common),
		"status": status, "ahead_by": len(ahead), "behind_by": len(back), "total_commits": len(ahead), "commits": each(ahead[max(0, len(ahead)-maxCompared):], f.commit),
		"files": each(files[:min(len(files), 300)], func(d fileDiff) object { return f.diffEntry(d, head.ID) })}, nil
}

func getBranch(c *call) (any, error) {
	name := c.r.PathValue("branch")
	tip := c.f.w.Branches[c.f.o.Repo][name]
	if tip == "" {
		return nil, fail(http.StatusNotFound, "Branch not found")
	}
	commit, err := c.f.resolve(tip)
	at := c.f.repoAPI("/branches/%s", escapePath(name))
	return object{"name": name, "commit": c.f.commit(commit), "_links": object{"self": at, "html": c.f.page("/tree/%s", escapePath(name))}, "protected": false,
		"protection":     object{"enabled": false, "required_status_checks": object{"enforcement_level": "off", "contexts": []any{}, "checks": []any{}}},
		"protection_url": at + "/protection"}, err
}

func (f *Forge) ref(r gitserver.Ref) object {
	short := strings.TrimPrefix(r.Name, "refs/")
	return object{"ref": r.Name, "node_id": node("REF", r.Name), "url": f.repoAPI("/git/refs/%s", escapePath(short)),
		"object": object{"type": "commit", "sha": r.Commit, "url": f.repoAPI("/git/commits/%s", r.Commit)}}
}

func getRef(c *call) (any, error) {
	var out gitserver.Ref
	err := c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) (err error) {
		out.Name = "refs/" + c.r.PathValue("ref")
		out.Commit, err = r.Ref(out.Name)
		return err
	})
	return c.f.ref(out), err
}

func listRefs(c *call) (any, error) {
	var all []gitserver.Ref
	err := c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) (err error) {
		all, err = r.Refs("refs/" + c.r.PathValue("ref"))
		return err
	})
	return each(all, c.f.ref), err
}

// setRef moves references as do says, and takes note of what that means.
func (c *call) setRef(do func(*gitserver.Repository) error) error {
	announce, err := c.f.git.Edit(c.f.o.Repo, do)
	c.announce = announce
	if err != nil {
		return err
	}
	return c.f.sync(c.login())
}

func createRef(c *call) (any, error) {
	var in struct{ Ref, SHA string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(in.Ref, "refs/heads/") && !strings.HasPrefix(in.Ref, "refs/tags/") {
		return nil, fail(http.StatusUnprocessableEntity, "Reference name must start with 'refs/'.")
	}
	there := fail(http.StatusUnprocessableEntity, "Reference already exists")
	err := c.setRef(func(r *gitserver.Repository) error {
		if _, err := r.Ref(in.Ref); err == nil {
			return there
		}
		return r.Set(in.Ref, in.SHA)
	})
	if notFound(err) {
		return nil, fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	return c.f.ref(gitserver.Ref{Name: in.Ref, Commit: in.SHA}), err
}

func updateRef(c *call) (any, error) {
	var in struct {
		SHA   string
		Force bool
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	name := "refs/" + c.r.PathValue("ref")
	err := c.setRef(func(r *gitserver.Repository) error {
		old, err := r.Ref(name)
		if err != nil {
			return fail(http.StatusUnprocessableEntity, "Reference does not exist")
		}
		if ok, err := r.Reaches(in.SHA, old); err != nil {
			return fail(http.StatusUnprocessableEntity, "Object does not exist")
		} else if !ok && !in.Force {
			return fail(http.StatusUnprocessableEntity, "Update is not a fast forward")
		}
		return r.Set(name, in.SHA)
	})
	return c.f.ref(gitserver.Ref{Name: name, Commit: in.SHA}), err
}

func deleteRef(c *call) (any, error) {
	name := "refs/" + c.r.PathValue("ref")
	err := c.setRef(func(r *gitserver.Repository) error {
		if _, err := r.Ref(name); err != nil {
			return fail(http.StatusUnprocessableEntity, "Reference does not exist")
		}
		return r.Delete(name)
	})
	return empty{}, err
}
