package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// result is what was found, with paths as people at the current folder write them.
type result struct {
	files    []file // what was checked, sorted
	problems manifest.Problems
	notes    []string // about the check itself, for the standard error
}

// file is one file that was checked.
type file struct {
	path, client string
	gone         bool // removed by the change
}

// defaults stand for what the daemon's configuration says and the tree may not: what
// isn't known can't be wrong. The providers are those that ask for nothing else.
func (o options) defaults() manifest.Defaults {
	base := o.baseDomain
	if base == "" {
		base = "platform.invalid"
	}
	return manifest.Defaults{BaseDomain: base, Deployment: "local", Database: "sqlite", DNS: "local"}
}

// check judges what the command line names.
func check(ctx context.Context, o options, in io.Reader) (result, error) {
	var r result
	o.clients = path.Clean(filepath.ToSlash(o.clients))
	if path.IsAbs(o.clients) || o.clients == ".." || strings.HasPrefix(o.clients, "../") {
		return r, usageError{"--clients is a path inside the tree"}
	}
	paths := o.paths
	var stdin *manifest.File
	switch {
	case len(paths) == 1 && paths[0] == "-":
		data, err := io.ReadAll(io.LimitReader(in, manifest.MaxFile+1))
		if err != nil {
			return r, fmt.Errorf("read the standard input: %w", err)
		}
		stdin = &manifest.File{Path: "-", Data: data}
		paths = nil
		if o.stdinPath != "" {
			paths = []string{o.stdinPath}
		}
	case o.stdinPath != "":
		return r, usageError{"--stdin-path needs - as the only PATH"}
	case len(paths) == 0:
		paths = []string{"."}
	}
	if o.against != "" && stdin != nil && o.stdinPath == "" {
		return r, usageError{"--against needs --stdin-path: what is the manifest called?"}
	}
	trees, alone, err := o.find(paths, stdin != nil)
	if err != nil {
		return r, err
	}
	if stdin != nil && len(trees) == 0 {
		if o.stdinPath != "" {
			stdin.Path = filepath.ToSlash(o.stdinPath)
		}
		r.alone(*stdin)
		alone = nil
	}
	if o.against != "" && len(trees) == 0 {
		return r, usageError{"--against needs a tree: a folder that has " + o.clients + "/ in it"}
	}
	for _, t := range trees {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if err := t.read(ctx); err != nil {
			return r, err
		}
		if stdin != nil {
			t.replace(manifest.File{Path: t.only[0], Data: stdin.Data})
		}
		if err := t.judge(ctx, &r); err != nil {
			return r, err
		}
	}
	for _, p := range alone {
		data, err := readWhole(p)
		if err != nil {
			return r, usageError{err.Error()}
		}
		r.alone(manifest.File{Path: filepath.ToSlash(p), Data: data})
	}
	sort.Slice(r.files, func(i, j int) bool { return r.files[i].path < r.files[j].path })
	sort.SliceStable(r.problems, func(i, j int) bool { return r.problems[i].Path < r.problems[j].Path })
	return r, nil
}

// alone judges a document by itself, as what it says that it is.
func (r *result) alone(f manifest.File) {
	var q manifest.Problems
	client := ""
	switch kindOf(f) {
	case manifest.KindTemplate:
		_, q = manifest.DecodeTemplate(f.Path, f.Data)
	case manifest.KindPlatform:
		_, q = manifest.DecodePlatform(f.Path, f.Data)
	default:
		var c manifest.Client
		c, q = manifest.DecodeClient(f.Path, f.Data)
		client = c.Name
	}
	r.files = append(r.files, file{path: f.Path, client: client})
	r.problems = append(r.problems, q...)
}

// kindOf is a document's kind; one that says none is what its name says.
func kindOf(f manifest.File) string {
	if k := saidKind(f.Data); k != "" {
		return k
	}
	if path.Base(f.Path) == "platform.yaml" {
		return manifest.KindPlatform
	}
	return manifest.KindClient
}

// saidKind reads a document's kind, "" where it says none.
func saidKind(data []byte) string {
	for _, line := range bytes.Split(data[:min(len(data), manifest.MaxFile)], []byte("\n")) {
		if k, v, ok := strings.Cut(string(line), ":"); ok && k == "kind" {
			v, _, _ = strings.Cut(v, "#")
			return strings.Trim(v, " \t\r\"'")
		}
	}
	return ""
}

// display is a path as somebody at the current folder writes it.
func display(root, rel string) string {
	p := filepath.Join(root, filepath.FromSlash(rel))
	if cwd, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(cwd, p); err == nil {
			p = short
		}
	}
	return filepath.ToSlash(p)
}
