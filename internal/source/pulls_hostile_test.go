package source

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// What a stranger's fork holds is an error of its pull request alone: the branch's
// mirror is as it was, and the next pull request is read.
func TestHostileForks(t *testing.T) {
	root := t.TempDir()
	dir := work(t, begin())
	bare := filepath.Join(root, "clients.git")
	run(t, root, "clone", "-q", "--bare", dir, bare)
	base := run(t, bare, "rev-parse", "main")
	blob := pipe(t, bare, "name: evil\n", "hash-object", "-w", "--stdin")
	raw := func(hex string) string {
		h := plumbing.NewHash(hex)
		return string(h[:])
	}
	entry := func(mode, name, id string) string { return mode + " " + name + "\x00" + raw(id) }
	tree := func(entries ...string) string {
		return pipe(t, bare, strings.Join(entries, ""), "hash-object", "-t", "tree", "--literally", "-w", "--stdin")
	}
	commit := func(clients string) string {
		top := tree(entry("40000", "clients", clients))
		return pipe(t, bare, "evil", "commit-tree", top, "-p", base)
	}
	bomb := tree()
	for level := range 5 {
		entries := []string{}
		for i := range 1000 {
			if name := fmt.Sprintf("%04d", i); level == 0 || i < 100 {
				entries = append(entries, entry("40000", name, bomb))
			}
		}
		bomb = tree(entries...)
	}
	var files []string
	for i := range 2000 {
		files = append(files, entry("100644", fmt.Sprintf("%04d.yaml", i), blob))
	}
	many := tree(files...)
	var folders []string
	for i := range MaxEntries/2000 + 1 {
		folders = append(folders, entry("40000", fmt.Sprintf("%04d", i), many))
	}
	large := pipe(t, bare, strings.Repeat("x", maxPullObject+1), "hash-object", "-w", "--stdin")
	var stream strings.Builder
	for i := range maxPullCommits + 1 {
		fmt.Fprintf(&stream, "commit refs/heads/long\ncommitter Ada <ada@people.example> %d +0000\ndata 1\nx\n", 1767323045+i)
		if i == 0 {
			fmt.Fprintf(&stream, "from %s\n", base)
		}
	}
	feed(t, bare, stream.String())
	r := open(t, Options{URL: backend(t, root) + "/clients.git"})
	if got := fetch(t, r); got != base {
		t.Fatal(got)
	}
	n := 0
	for _, c := range []struct {
		name, head string
		want       error
	}{
		{"a name that leads out", commit(tree(entry("100644", "..", blob))), ErrMalformed},
		{"a name with a slash", commit(tree(entry("100644", "a/b.yaml", blob))), ErrMalformed},
		{"a name twice", commit(tree(entry("100644", "a.yaml", blob), entry("100644", "a.yaml", blob))), ErrMalformed},
		{"a file and a folder of one name", commit(tree(entry("100644", "a", blob), entry("40000", "a", many))), ErrMalformed},
		{"names in no order", commit(tree(entry("100644", "b.yaml", blob), entry("100644", "a.yaml", blob))), ErrMalformed},
		{"an unknown mode", commit(tree(entry("110644", "a.yaml", blob))), ErrMalformed},
		{"folders without an end", commit(bomb), ErrTooMany},
		{"too many files", commit(tree(folders...)), ErrTooMany},
		{"a huge file", commit(tree(entry("100644", "a.yaml", large))), ErrTooLarge},
		{"too many commits", run(t, bare, "rev-parse", "long"), ErrTooMany},
	} {
		t.Run(c.name, func(t *testing.T) {
			n++
			run(t, bare, "update-ref", ref(n), c.head)
			err := r.FetchRef(t.Context(), ref(n), c.head)
			if !errors.Is(err, c.want) || errors.Is(err, ErrDamaged) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if _, err := r.Merge(t.Context(), base, c.head); !errors.Is(err, ErrNotFound) {
				t.Errorf("it was kept: %v", err)
			}
			if left := leftovers(t, r.dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	good := pullOf(t, bare, 100, base, map[string]string{"clients/good.yaml": "name: good"})
	if err := r.FetchRef(t.Context(), ref(100), good); err != nil {
		t.Error(err)
	}
	if m, err := r.Merge(t.Context(), base, good); err != nil || len(m.Changes) != 1 {
		t.Errorf("%+v %v", m, err)
	}
	run(t, dir, "push", "-q", bare, "HEAD:main")
	if got := content(t, r, fetch(t, r)); len(got) != 4 || r.Stats().Clones != 1 || r.damaged.Load() {
		t.Errorf("%v %+v", got, r.Stats())
	}
}

// A file over the limit of what is read is listed, and is nobody else's error.
func TestLargeFileInAPullRequest(t *testing.T) {
	f := forked(t, map[string]string{"clients/a.yaml": "a\nb\nc\n"}, map[string]string{"clients/a.yaml": "A\nb\nc\n"},
		map[string]string{"clients/a.yaml": "a\nb\n" + strings.Repeat("c", MaxBlob), "clients/big.yaml": strings.Repeat("x", MaxBlob+1)})
	m, err := f.r.Merge(t.Context(), f.base, f.head)
	if err != nil || len(m.Conflicts) != 1 || m.Conflicts[0] != "clients/a.yaml" || len(m.Changes) != 1 {
		t.Fatalf("%+v %v", m, err)
	}
	if _, err := f.r.Blob(t.Context(), m.Changes[0].New); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// Commits of a pull request whose clocks are wrong have no more looked at than those whose
// clocks are right.
func TestWrongClocksInAPullRequest(t *testing.T) {
	dir := work(t, begin())
	t.Setenv("GIT_COMMITTER_DATE", "@1700000000 +0000") // all of one second, as a script makes them
	for range 60 {
		run(t, dir, "commit", "-q", "--allow-empty", "-m", "later")
	}
	os.Unsetenv("GIT_COMMITTER_DATE")
	base, from := run(t, dir, "rev-parse", "HEAD"), run(t, dir, "rev-parse", "HEAD~3")
	tree := run(t, dir, "rev-parse", "HEAD^{tree}")
	r := open(t, Options{URL: dir})
	fetch(t, r)
	var usual uint64
	for n, when := range []string{"", "@1 +0000", "@4102444800 +0000"} {
		if when != "" {
			t.Setenv("GIT_COMMITTER_DATE", when)
		}
		head := pipe(t, dir, "x", "commit-tree", tree, "-p", from)
		head = pipe(t, dir, "y", "commit-tree", tree, "-p", head)
		os.Unsetenv("GIT_COMMITTER_DATE")
		run(t, dir, "update-ref", ref(n+1), head)
		if err := r.FetchRef(t.Context(), ref(n+1), head); err != nil {
			t.Fatal(err)
		}
		before := r.Stats().Objects
		m, err := r.Merge(t.Context(), base, head)
		if err != nil || m.Base != from || m.Behind != 3 {
			t.Errorf("%s: %+v %v", when, m, err)
		}
		read := r.Stats().Objects - before
		if usual == 0 {
			usual = read
		}
		if read > usual+10 {
			t.Errorf("%s: %d objects, and %d usually", when, read, usual)
		}
	}
}

// packOf makes a pack by hand: what no git would send.
func packOf(t *testing.T, objects ...[]byte) *quarantine {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(packDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	q, err := newQuarantine(dir, maxPullPack)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.discard)
	pack := append([]byte("PACK"), 0, 0, 0, 2)
	pack = binary.BigEndian.AppendUint32(pack, uint32(len(objects)))
	pack = append(pack, bytes.Join(objects, nil)...)
	sum := sha1.Sum(pack)
	if _, err := q.Write(append(pack, sum[:]...)); err != nil {
		t.Fatal(err)
	}
	return q
}

// packed is one of a pack: its kind, the size that it says it has, and its content.
func packed(t *testing.T, kind byte, says int, content, between []byte) []byte {
	t.Helper()
	out := []byte{kind<<4 | byte(says&15)}
	for rest := says >> 4; rest > 0; rest >>= 7 {
		out[len(out)-1] |= 0x80
		out = append(out, byte(rest&0x7f))
	}
	out = append(out, between...)
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return append(out, b.Bytes()...)
}

func TestPacksThatSwell(t *testing.T) {
	const blob, ofsDelta = 3, 6
	base := packed(t, blob, 5, []byte("hello"), nil)
	delta := func(target uint64, tail ...byte) []byte {
		d := append(binary.AppendUvarint(binary.AppendUvarint(nil, 5), target), tail...)
		return packed(t, ofsDelta, len(d), d, []byte{byte(len(base))})
	}
	if err := packOf(t, base, delta(5, 0x90, 5)).weigh(t.Context()); err != nil {
		t.Errorf("a small one: %v", err)
	}
	for name, c := range map[string]struct {
		q    *quarantine
		want error
	}{
		"a delta that swells":      {packOf(t, base, delta(1<<40)), ErrTooLarge},
		"a delta beyond all sizes": {packOf(t, base, delta(1<<63)), ErrTooLarge},
		"a delta of nothing":       {packOf(t, base, packed(t, ofsDelta, 1, []byte{0x85}, []byte{byte(len(base))})), ErrTooLarge},
		"an object that swells":    {packOf(t, packed(t, blob, maxPullObject+1, []byte("x"), nil)), ErrTooLarge},
		"more than it says":        {packOf(t, packed(t, blob, 1, []byte("hello"), nil)), ErrBadPack},
		"no object":                {packOf(t, []byte{0xff}), ErrBadPack},
	} {
		if err := c.q.weigh(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	q := packOf(t)
	if _, err := q.pack.WriteAt(binary.BigEndian.AppendUint32(nil, maxPullObjects+1), 8); err != nil {
		t.Fatal(err)
	}
	if err := q.weigh(t.Context()); !errors.Is(err, ErrTooMany) {
		t.Errorf("too many objects: %v", err)
	}
	if _, err := q.Write(make([]byte, maxPullPack)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
	if _, err := weight(maxPullBytes-1, 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("all together: %v", err)
	}
	if err := packOf(t, base).weigh(ended(t)); err == nil {
		t.Error("weighed after its end")
	}
}
