package simulated

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
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
	return each(pageOf(c, all), c.f.ref), err
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

func getTree(c *call) (any, error) {
	sha := c.r.PathValue("sha")
	if commit, err := c.f.resolve(sha); err == nil {
		sha = commit.Tree
	}
	entries := []any{}
	err := c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) error {
		return c.walk(r, sha, "", c.query("recursive") != "", &entries)
	})
	return object{"sha": sha, "url": c.f.repoAPI("/git/trees/%s", sha), "truncated": len(entries) >= maxListed, "tree": entries}, err
}

func (c *call) walk(r *gitserver.Repository, tree, dir string, deep bool, out *[]any) error {
	list, err := r.List(tree, "")
	for _, e := range list {
		if len(*out) >= maxListed {
			return nil
		}
		mode, kind := "100644", "blob"
		switch {
		case e.Folder:
			mode, kind = "040000", "tree"
		case e.Blob.Executable:
			mode = "100755"
		case e.Blob.Link:
			mode = "120000"
		case e.Blob.Module:
			mode, kind = "160000", "commit"
		}
		*out = append(*out, object{"path": path.Join(dir, e.Name), "mode": mode, "type": kind, "sha": e.Blob.ID, "url": c.f.repoAPI("/git/%ss/%s", kind, e.Blob.ID)})
		if e.Folder && deep {
			if err := c.walk(r, e.Blob.ID, path.Join(dir, e.Name), deep, out); err != nil {
				return err
			}
		}
	}
	return err
}

func getBlob(c *call) (any, error) {
	sha, text := c.r.PathValue("sha"), ""
	err := c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) (err error) {
		text, err = r.Text(sha)
		return err
	})
	return object{"sha": sha, "node_id": node("B", sha), "size": len(text), "url": c.f.repoAPI("/git/blobs/%s", sha), "content": lines64(text), "encoding": "base64"}, err
}

// lines64 is base64 with an end of line after each 60 characters, as GitHub writes it.
func lines64(text string) string {
	var b strings.Builder
	for part := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString([]byte(text))), 60) {
		b.Write(part)
		b.WriteByte('\n')
	}
	return b.String()
}

// entry is a file or a folder as contents have it.
func (c *call) entry(name, ref string, e gitserver.Entry, size int) object {
	f, at := c.f, escapePath(name)
	self := f.repoAPI("/contents/%s?ref=%s", at, url.QueryEscape(ref))
	kind, site, git := "file", f.page("/blob/%s/%s", escapePath(ref), at), f.repoAPI("/git/blobs/%s", e.Blob.ID)
	var download any = f.page("/raw/%s/%s", escapePath(ref), at)
	if e.Folder {
		kind, site, git, download = "dir", f.page("/tree/%s/%s", escapePath(ref), at), f.repoAPI("/git/trees/%s", e.Blob.ID), nil
	}
	return object{"type": kind, "size": size, "name": path.Base(name), "path": name, "sha": e.Blob.ID, "url": self, "git_url": git, "html_url": site, "download_url": download,
		"_links": object{"self": self, "git": git, "html": site}}
}

func (c *call) ref() string {
	if ref := c.query("ref"); ref != "" {
		return ref
	}
	return c.f.own
}

func getContents(c *call) (any, error) {
	name, ref := strings.Trim(c.r.PathValue("path"), "/"), c.ref()
	commit, err := c.f.resolve(ref)
	if notFound(err) {
		return nil, fail(http.StatusNotFound, "No commit found for the ref "+ref)
	} else if err != nil {
		return nil, err
	}
	var out any
	err = c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) error {
		if name != "" {
			b, err := r.File(commit.Tree, name)
			if err != nil && !errors.Is(err, gitserver.ErrName) {
				return err
			}
			if b.ID != "" {
				text, err := r.Text(b.ID)
				o := c.entry(name, ref, gitserver.Entry{Name: name, Blob: b}, len(text))
				if o["content"], o["encoding"] = lines64(text), "base64"; len(text) > maxInline {
					o["content"], o["encoding"] = "", "none"
				}
				out = o
				return err
			}
		}
		list, err := r.List(commit.Tree, name)
		if err != nil {
			return err
		}
		items := []any{}
		for _, e := range list[:min(len(list), 1000)] {
			text := ""
			if !e.Folder && !e.Blob.Module {
				if text, err = r.Text(e.Blob.ID); err != nil {
					return err
				}
			}
			items = append(items, c.entry(path.Join(name, e.Name), ref, e, len(text)))
		}
		out = items
		return nil
	})
	return out, err
}

func putContents(c *call) (any, error) {
	var in struct{ Message, Content, SHA, Branch string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(in.Content, "\n", ""))
	if err != nil {
		return nil, fail(http.StatusUnprocessableEntity, "content is not valid Base64")
	}
	text := string(data)
	return c.change(in.Branch, in.Message, in.SHA, &text)
}

func deleteContents(c *call) (any, error) {
	var in struct{ Message, SHA, Branch string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.SHA == "" {
		return nil, invalid("Contents", "sha", "missing_field", "")
	}
	return c.change(in.Branch, in.Message, in.SHA, nil)
}

// change commits one file on a branch. sha is the blob that it replaces.
func (c *call) change(branch, message, sha string, text *string) (any, error) {
	if branch == "" {
		branch = c.f.own
	}
	if message == "" {
		return nil, invalid("Contents", "message", "missing_field", "")
	}
	name := c.r.PathValue("path")
	var made gitserver.Commit
	var before, after gitserver.Blob
	err := c.setRef(func(r *gitserver.Repository) error {
		tip, err := r.Ref(heads + branch)
		if err != nil {
			return fail(http.StatusNotFound, "Branch "+branch+" not found")
		}
		parent, err := r.Commit(tip)
		if err != nil {
			return err
		}
		if before, err = r.File(parent.Tree, name); err != nil {
			return fail(http.StatusUnprocessableEntity, "path is malformed")
		}
		if before.ID != sha {
			if sha == "" {
				return fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"sha\" wasn't supplied.")
			}
			return fail(http.StatusConflict, fmt.Sprintf("%s does not match %s", name, sha))
		}
		tree, err := r.Change(parent.Tree, map[string]*string{name: text})
		if errors.Is(err, gitserver.ErrNothing) {
			tree, err = parent.Tree, nil // GitHub commits it all the same
		}
		if err != nil {
			return err
		}
		if after, err = r.File(tree, name); err != nil {
			return err
		}
		id, err := r.Write(gitserver.Commit{Tree: tree, Parents: []string{tip}, Author: person(c.login()), Message: message})
		if err != nil {
			return err
		}
		if made, err = r.Commit(id); err != nil {
			return err
		}
		return r.Set(heads+branch, id)
	})
	if err != nil {
		return nil, err
	}
	all := c.f.commit(made)
	commit := all["commit"].(object)
	for _, k := range []string{"sha", "node_id", "html_url", "parents"} {
		commit[k] = all[k]
	}
	out := object{"content": nil, "commit": commit}
	if text != nil {
		out["content"] = c.entry(name, branch, gitserver.Entry{Name: name, Blob: after}, len(*text))
	}
	status := http.StatusOK
	if before.ID == "" {
		status = http.StatusCreated
	}
	return answered{status, out}, nil
}
