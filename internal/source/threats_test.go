package source

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"os"
	"path/filepath"
	"strings"
	"testing"

	githash "github.com/go-git/go-git/v5/plumbing/hash"
	"github.com/google/go-cmp/cmp"
)

// Threat 4: names and modes that lead elsewhere are no files: a tree that Git's own tools
// would refuse to check out is read without a work tree, nothing is written beside the
// mirror, and what a link points to is never its content.
func TestThreat04Traversal(t *testing.T) {
	dir := work(t, map[string]string{"clients/good.yaml": "name: good"})
	blob := pipe(t, dir, "name: evil\n", "hash-object", "-w", "--stdin")
	link := pipe(t, dir, "../../../../etc/passwd", "hash-object", "-w", "--stdin")
	head := run(t, dir, "rev-parse", "HEAD")
	good := run(t, dir, "rev-parse", "HEAD:clients/good.yaml")
	entries := "100644 blob " + good + "\tgood.yaml\x00" +
		"100644 blob " + blob + "\t..\\evil.yaml\x00" +
		"100644 blob " + blob + "\tGood.yaml\x00" +
		"100644 blob " + blob + "\tC:evil.yaml\x00" +
		"100644 blob " + blob + "\t.git.yaml\x00" +
		"100755 blob " + blob + "\trun.yaml\x00" +
		"120000 blob " + link + "\tlink.yaml\x00" +
		"160000 commit " + head + "\tmodule.yaml\x00"
	clients := pipe(t, dir, entries, "mktree", "-z")
	root := pipe(t, dir, "040000 tree "+clients+"\tclients\n", "mktree")
	run(t, dir, "update-ref", "refs/heads/main", pipe(t, dir, "hostile", "commit-tree", root, "-p", head))

	place := t.TempDir()
	r := open(t, Options{URL: dir, Dir: filepath.Join(place, "mirror")})
	want := map[string]string{"clients/good.yaml": "name: good", "clients/Good.yaml": "name: evil\n", `clients/..\x5cevil.yaml`: "name: evil\n", "clients/C:evil.yaml": "name: evil\n", "clients/.git.yaml": "name: evil\n",
		"clients/run.yaml": "executable", "clients/link.yaml": "link", "clients/module.yaml": "module"}
	got := content(t, r, fetch(t, r))
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name := range got {
		if strings.HasPrefix(name, "/") || strings.Contains(name, "/../") || strings.Count(name, "/") != 1 {
			t.Errorf("%q is a path elsewhere", name)
		}
	}
	left, err := os.ReadDir(place)
	if err != nil || len(left) != 1 {
		t.Errorf("beside the mirror lie %v %v", left, err)
	}
}

// Threat 22: the two beginnings of the published SHA-1 collision hash alike, and not with
// the hash that objects are named by.
func TestThreat22CollisionsAreDetected(t *testing.T) {
	var plain, ours [2][]byte
	for i, name := range []string{"shattered-1.bin", "shattered-2.bin"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum(data)
		plain[i] = sum[:]
		h := githash.New(crypto.SHA1)
		if _, err := h.Write(data); err != nil {
			t.Fatal(err)
		}
		ours[i] = h.Sum(nil)
	}
	if !bytes.Equal(plain[0], plain[1]) || bytes.Equal(ours[0], ours[1]) {
		t.Errorf("plain %x %x, ours %x %x", plain[0], plain[1], ours[0], ours[1])
	}
}
