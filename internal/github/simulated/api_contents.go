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
