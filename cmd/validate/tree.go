package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// Limits of a tree. What is beyond is an error, never left out in silence.
const (
	maxEntries = 200_000   // files and folders that are looked at
	maxDepth   = 8         // folders below the root that are looked into
	maxBytes   = 512 << 20 // of all manifests
)

// tree is a clients folder with the templates and the platform file beside it.
type tree struct {
	o        options
	root     string // absolute
	layout   manifest.Layout
	only     []string // paths below root whose problems are told; empty: all
	files    []manifest.File
	problems manifest.Problems // of reading, paths relative to root
}

// find sorts paths into trees and files that lie outside of any. missing says that
// the one path need not exist.
func (o options) find(paths []string, missing bool) (trees []*tree, alone []string, err error) {
	byRoot := map[string]*tree{}
	for _, p := range paths {
		if p == "-" {
			return nil, nil, usageError{"- can't be combined with other paths"}
		}
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, nil, fmt.Errorf("find %s: %w", p, err)
		}
		info, err := os.Stat(abs)
		switch {
		case err != nil && !(missing && errors.Is(err, fs.ErrNotExist)):
			return nil, nil, usageError{fmt.Sprintf("%s can't be read: %v", p, cause(err))}
		case err == nil && missing && info.IsDir():
			return nil, nil, usageError{"--stdin-path names a folder: " + p}
		}
		dir := err == nil && info.IsDir()
		root, rel, ok := o.rootOf(abs, dir)
		if !ok {
			if dir {
				more, err := manifestsIn(p)
				if err != nil {
					return nil, nil, err
				}
				alone = append(alone, more...)
				continue
			}
			if ext := strings.ToLower(filepath.Ext(p)); ext != ".yaml" && ext != ".yml" {
				return nil, nil, o.noManifest(p)
			}
			alone = append(alone, p)
			continue
		}
		t := byRoot[root]
		if t == nil {
			t = &tree{o: o, root: root, layout: manifest.LayoutOf(o.clients), only: []string{}}
			byRoot[root] = t
			trees = append(trees, t)
		}
		if !dir && t.layout.Classify(rel) == manifest.ClassOther {
			return nil, nil, o.noManifest(p)
		}
		if rel == "." {
			t.only = nil
		} else if t.only != nil {
			t.only = append(t.only, rel)
		}
	}
	return trees, alone, nil
}

func (o options) noManifest(p string) error {
	l := manifest.LayoutOf(o.clients)
	return usageError{fmt.Sprintf("%s is no manifest: those are %s/NAME.yaml, %s/NAME.yaml and %s", p, l.Clients, l.Templates, l.Platform)}
}

// rootOf finds the tree that a path is of, or lies in.
func (o options) rootOf(abs string, dir bool) (root, rel string, ok bool) {
	l := manifest.LayoutOf(o.clients)
	if dir && isDir(filepath.Join(abs, filepath.FromSlash(l.Clients))) {
		return abs, ".", true
	}
	for at := filepath.Dir(abs); ; at = filepath.Dir(at) {
		r, err := filepath.Rel(at, abs)
		if err != nil {
			return "", "", false
		}
		r = filepath.ToSlash(r)
		within := func(folder string) bool { return r == folder || strings.HasPrefix(r, folder+"/") || folder == "." }
		if (within(l.Clients) || within(l.Templates) || strings.EqualFold(path.Dir(r), path.Dir(l.Platform)) && l.Classify(r) != manifest.ClassOther) && isDir(filepath.Join(at, filepath.FromSlash(l.Clients))) {
			return at, r, true
		}
		if at == filepath.Dir(at) {
			return "", "", false
		}
	}
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}

// manifestsIn lists the manifests of a folder outside of any tree. A folder without a
// client is a mistake, not a folder that is fine.
func manifestsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, cause(err))
	}
	var out []string
	clients := 0
	for _, e := range entries {
		if !e.Type().IsRegular() || path.Ext(e.Name()) != ".yaml" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		p := filepath.Join(dir, e.Name())
		data, err := readWhole(p)
		if err != nil {
			return nil, err
		}
		switch saidKind(data) {
		case manifest.KindClient:
			clients++
		case manifest.KindTemplate, manifest.KindPlatform:
		case "":
			if !bytes.HasPrefix(data, []byte("name:")) && !bytes.Contains(data, []byte("\nname:")) {
				continue
			}
			clients++
		default:
			continue
		}
		out = append(out, p)
	}
	if clients == 0 {
		return nil, usageError{fmt.Sprintf("%s is no tree of clients and lies in none; a tree has the clients folder in it, whose name --clients tells", dir)}
	}
	return out, nil
}

// readWhole reads a file that was named, as far as a manifest may go.
func readWhole(p string) ([]byte, error) {
	info, err := os.Stat(p)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", p)
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, fmt.Errorf("%s can't be read: %w", p, cause(err))
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, manifest.MaxFile+1))
}

// read takes the tree's files from the disk. Links are never followed, and nothing
// outside of the root can be reached.
func (t *tree) read(ctx context.Context) error {
	root, err := os.OpenRoot(t.root)
	if err != nil {
		return fmt.Errorf("open %s: %w", t.root, cause(err))
	}
	defer root.Close()
	entries, size := 0, 0
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if entries++; entries > maxEntries {
			return fmt.Errorf("more than %d files and folders", maxEntries)
		}
		class := t.layout.Classify(p)
		if err != nil {
			if p == "." || class != manifest.ClassOther || t.within(p) {
				t.bad(p, "read", fmt.Sprintf("%s can't be read: %v", p, cause(err)), "")
			}
			return nil
		}
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || strings.Count(p, "/") >= maxDepth) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			if class != manifest.ClassOther || t.within(p) {
				t.bad(p, "not-regular", path.Base(p)+" is a link or another thing that is no regular file; it is not read", "put the file itself there")
			}
			return nil
		}
		if ext := strings.ToLower(path.Ext(p)); ext != ".yaml" && ext != ".yml" {
			return nil
		}
		data, mode, err := readIn(root, p)
		if err != nil {
			t.bad(p, "read", fmt.Sprintf("%s can't be read: %v", p, cause(err)), "")
			return nil
		}
		if class == manifest.ClassOther && !manifest.SaysClient(data) {
			return nil
		}
		if size += len(data); size > maxBytes {
			return fmt.Errorf("the manifests are larger than %d MiB together", maxBytes>>20)
		}
		if mode&0o111 != 0 && class != manifest.ClassOther {
			t.bad(p, "executable", path.Base(p)+" is executable; if Git records it so, it is not read", "chmod -x "+p)
			t.problems[len(t.problems)-1].Warning = true
		}
		t.files = append(t.files, manifest.File{Path: p, Data: data})
		return nil
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", t.root, err)
	}
	return nil
}

// within says that a path lies in a folder whose files are manifests.
func (t *tree) within(p string) bool {
	for _, folder := range []string{t.layout.Clients, t.layout.Templates} {
		if p == folder || folder != "." && strings.HasPrefix(p, folder+"/") {
			return true
		}
	}
	return false
}

func readIn(root *os.Root, p string) ([]byte, fs.FileMode, error) {
	f, err := root.Open(filepath.FromSlash(p))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, manifest.MaxFile+1))
	return data, info.Mode(), err
}

func (t *tree) bad(p, rule, text, hint string) {
	t.problems = append(t.problems, manifest.Problem{Path: p, Rule: rule, Text: text, Hint: hint})
}

// replace puts a file in the place of the one at its path.
func (t *tree) replace(f manifest.File) {
	kept := t.files[:0]
	for _, have := range t.files {
		if have.Path != f.Path {
			kept = append(kept, have)
		}
	}
	t.files = append(kept, f)
}

// selected says that a path's problems are to be told.
func (t *tree) selected(p string) bool {
	if len(t.only) == 0 {
		return true
	}
	for _, o := range t.only {
		if p == o || strings.HasPrefix(p, o+"/") {
			return true
		}
	}
	return false
}

// judge adds what is wrong with the tree to a report.
func (t *tree) judge(ctx context.Context, r *result) error {
	problems := append(manifest.Problems(nil), t.problems...)
	if t.o.against == "" {
		_, q := checkTree(t.layout, t.files, nil, t.o.defaults(), t.rank)
		problems = append(problems, q...)
	} else {
		q, notes, err := t.judgeAgainst(ctx, t.o.against)
		if err != nil {
			return err
		}
		problems = append(problems, q...)
		r.notes = append(r.notes, notes...)
	}
	for _, f := range t.files {
		if t.selected(f.Path) {
			client := ""
			if t.layout.Classify(f.Path) == manifest.ClassClient {
				client = nameOf(f.Path)
			}
			r.files = append(r.files, file{path: display(t.root, f.Path), client: client})
		}
	}
	for _, p := range problems {
		if t.selected(p.Path) {
			p.Path = display(t.root, p.Path)
			r.problems = append(r.problems, p)
		}
	}
	return nil
}

// rank lets what is asked about come last, so that a name that two have is told
// there.
func (t *tree) rank(p string) int {
	if len(t.only) > 0 && t.selected(p) {
		return 1
	}
	return 0
}

// nameOf is the client that a file's name stands for.
func nameOf(p string) string { return strings.TrimSuffix(path.Base(p), ".yaml") }

// cause is a path error without its path, which the sentence has already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
