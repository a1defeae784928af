package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// commitAll commits a tree and returns the commit.
func commitAll(t *testing.T, repo *git.Repository, message string) *object.Commit {
	t.Helper()
	w, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddGlob("."); err != nil {
		t.Fatal(err)
	}
	h, err := w.Commit(message, &git.CommitOptions{Author: &object.Signature{Name: "Dana", Email: "dana@agency.example", When: time.Unix(1_700_000_000, 0)}, AllowEmptyCommits: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := repo.CommitObject(h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What of REV can't be read is an error, and not something that REV doesn't have.
func TestWhatCannotBeReadIsNoAbsence(t *testing.T) {
	for what, c := range map[string]struct {
		of    func(t *testing.T, first *object.Commit) plumbing.Hash
		spoil func(file string) error
	}{
		"a folder that is lost": {folderOf, os.Remove},
		"a folder that is broken": {folderOf, func(file string) error {
			return os.WriteFile(file, []byte("broken"), 0o600)
		}},
		"a common commit that is broken": {func(_ *testing.T, first *object.Commit) plumbing.Hash { return first.Hash }, func(file string) error {
			return os.WriteFile(file, []byte("broken"), 0o600)
		}},
	} {
		t.Run(what, func(t *testing.T) {
			root := plant(t, map[string]string{"customers/templates/shop.yaml": shop, "customers/clients/one.yaml": client("one", "one")})
			repo, err := git.PlainInitWithOptions(root, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: "refs/heads/main"}})
			if err != nil {
				t.Fatal(err)
			}
			first := commitAll(t, repo, "Begin")
			second := commitAll(t, repo, "Go on")
			if err := repo.Storer.SetReference(plumbing.NewHashReference("refs/heads/other", first.Hash)); err != nil {
				t.Fatal(err)
			}
			if err := repo.Storer.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, "refs/heads/other")); err != nil {
				t.Fatal(err)
			}
			third := commitAll(t, repo, "Go elsewhere")
			if second.Hash == third.Hash {
				t.Fatal("the branches are one")
			}
			h := c.of(t, first).String()
			file := filepath.Join(root, ".git", "objects", h[:2], h[2:])
			if err := os.Chmod(file, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(file); err != nil {
				t.Fatal(err)
			}
			var out, errOut bytes.Buffer
			code := Main(context.Background(), []string{"--against", "main", filepath.Join(root, "customers")}, strings.NewReader(""), &out, &errOut, func(string) string { return "" })
			if code != 1 || out.Len() > 0 || !strings.Contains(errOut.String(), "read") {
				t.Errorf("%d: %s%s", code, out.String(), errOut.String())
			}
		})
	}
}

// folderOf is the folder that the tree lies in.
func folderOf(t *testing.T, c *object.Commit) plumbing.Hash {
	t.Helper()
	tree, err := c.Tree()
	if err != nil {
		t.Fatal(err)
	}
	e, err := tree.FindEntry("customers")
	if err != nil {
		t.Fatal(err)
	}
	return e.Hash
}
