package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/source"
	"github.com/go-git/go-git/v5/plumbing"
)

// deny lets the disk refuse to read a file of the mirror, before it comes or after; what it
// returns ends that.
func (w *world) deny(text string) (end func()) {
	w.t.Helper()
	h := plumbing.ComputeHash(plumbing.BlobObject, []byte(text)).String()
	at := filepath.Join(w.dir, "mirror", "git", "objects", h[:2], h[2:])
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		w.t.Fatal(err)
	}
	short := filepath.Join(w.t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		w.t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(l.Close(), os.Rename(short, at)); err != nil { // nobody may open a socket as a file
		w.t.Fatal(err)
	}
	return func() {
		if err := os.Remove(at); err != nil {
			w.t.Fatal(err)
		}
	}
}

// P1: the disk refuses to read one file of a commit. Nothing of the commit is accepted,
// status says so, and the file is no invalid one: when the disk reads again, it is applied.
func TestP1AFileThatTheDiskRefuses(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("demoshop")
	head, n := w.status().Head, w.calls.len()
	fresh, edit := manifestOf("fresh"), manifestOf("demoshop", "env: {COLOUR: blue}")
	for _, text := range []string{fresh, edit} {
		end := w.deny(text)
		if text == fresh {
			w.commit(map[string]string{"clients/fresh.yaml": text})
		} else {
			w.commit(map[string]string{"clients/demoshop.yaml": text})
		}
		r := w.cli("apply")
		if r.code != 1 || !strings.Contains(r.err, ".yaml") {
			t.Errorf("apply: %d: %s%s", r.code, r.out, r.err)
		}
		v := w.status()
		if v.Head != head || len(v.Problems) > 0 || len(v.Notices) != 1 || !strings.Contains(v.Notices[0], "the branch can't be followed right now") {
			t.Errorf("status: %+v", v)
		}
		// Who looks at the page, or reads the API, is told as well.
		for _, path := range []string{"/", "/api/clients"} {
			if code, body := w.get("localhost", path); code != 200 || !strings.Contains(body, "be followed right now") {
				t.Errorf("%s says nothing of it: %d %s", path, code, body)
			}
		}
		if r := w.cli("plan"); r.code != 1 || !strings.Contains(r.err, ".yaml") || r.out != "" {
			t.Errorf("plan: %d: %s%s", r.code, r.out, r.err)
		}
		if got := w.calls.writes(n); len(got) > 0 {
			t.Errorf("writes: %v", got)
		}
		end()
		w.active("demoshop")
		if v = w.status(); v.Head == head || len(v.Notices) > 0 {
			t.Errorf("status: %+v", v)
		}
		head, n = v.Head, w.calls.len()
	}
	w.active("fresh")
	if d := w.why("demoshop"); d.Commit != head {
		t.Errorf("demoshop is at %s, and the head is %s", d.Commit, head)
	}
}

// What is wrong with a file itself is its fault; anything else is an error, wherever files
// of the mirror are read.
func TestP1WhoseFaultAReadIs(t *testing.T) {
	const stray = "apiVersion: reconciler/v1\nkind: Client\nname: astray\n"
	big := "# " + strings.Repeat("x", source.MaxBlob)
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/big.yaml": big, "archive/astray.yaml": stray})
	git, err := source.Open(source.Options{URL: w.url, Branch: "main", Path: "clients", Dir: filepath.Join(w.dir, "mirror")})
	if err != nil {
		t.Fatal(err)
	}
	defer git.Close()
	r := &repository{git, manifest.LayoutOf("clients")}
	head, files, err := r.Tree(t.Context(), "")
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if (f.Err != "") != (f.Path == "clients/big.yaml") {
			t.Errorf("%s: %s", f.Path, f.Err)
		}
	}
	for _, blob := range []string{strings.Repeat("1", 40), "link:" + strings.Repeat("1", 40)} {
		if f, err := r.Read(t.Context(), "clients/x.yaml", blob); err != nil || f.Err == "" || f.Data != nil {
			t.Errorf("%s: %+v, %v", blob, f, err)
		}
	}
	blob := plumbing.ComputeHash(plumbing.BlobObject, []byte(manifestOf("demoshop"))).String()
	for _, text := range []string{manifestOf("demoshop"), stray} {
		end := w.deny(text)
		if _, got, err := r.Tree(t.Context(), head); err == nil {
			t.Errorf("a tree of %d files", len(got))
		}
		if _, err := r.Read(t.Context(), "clients/demoshop.yaml", blob); (err == nil) != (text == stray) {
			t.Errorf("read: %v", err)
		}
		if _, err := r.Range(t.Context(), "", head); (err == nil) != (text != stray) {
			t.Errorf("range: %v", err)
		}
		end()
		if _, again, err := r.Tree(t.Context(), head); err != nil || len(again) != len(files) {
			t.Errorf("%d files, %v", len(again), err)
		}
	}
}
