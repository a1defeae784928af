package bolt

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt/powerloss"
	"github.com/compassdigital/reconciler/internal/store"
)

// `go test` looks at some images of a power loss; `make power IMAGES=10000` at as many as
// one likes.
var (
	powerImages = flag.Int("power.images", 400, "images of the state file at a power loss")
	powerSeed   = flag.Uint64("power.seed", 0, "of the writes and the images; 0: another one each time")
)

const hanging = time.Minute // no image takes so long to be looked at

// contents are all records, by bucket and key.
type contents map[string]string

// cut is one commit, and what the file held before it and after it.
type cut struct {
	powerloss.Cut
	marker   []byte // beside the file, before it
	old, now contents
}

// photographed makes a state with a real workload (records of all sizes that come, change
// and go, several writers in one commit) and takes the file before and after commits.
func photographed(t *testing.T, rng *rand.Rand, commits int) (Options, []cut) {
	t.Helper()
	o := options(t)
	var out []cut
	var next cut
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	o.At = func(point string) {
		switch point {
		case PointCommit:
			next.Before, next.marker = read(o.Path), read(Marker(o.Path))
		case PointCommitted:
			next.After = read(o.Path)
		}
	}
	s := mustOpen(t, o)
	have := contents{}
	for range commits {
		next = cut{old: maps.Clone(have)}
		err := s.Update(func(tx store.Tx) error {
			for range 1 + rng.IntN(12) {
				b := store.Buckets()[rng.IntN(len(store.Buckets()))]
				key := fmt.Sprintf("key-%03d", rng.IntN(60))
				if rng.IntN(4) == 0 {
					delete(have, b+"/"+key)
					if err := tx.Delete(b, key); err != nil {
						return err
					}
					continue
				}
				size := []int{10, 200, 3000, 20_000}[rng.IntN(4)]
				value := fmt.Sprintf("%s of %s, %d ", key, b, rng.IntN(1000)) + strings.Repeat("x", rng.IntN(size))
				have[b+"/"+key] = value
				if err := tx.Put(b, key, value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if next.After == nil {
			continue // nothing changed
		}
		next.now = maps.Clone(have)
		out = append(out, next)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.At = nil
	return o, out
}

// held reads everything.
func held(s *Store) (contents, error) {
	out := contents{}
	err := s.View(func(tx store.Tx) error {
		for _, b := range store.Buckets() {
			err := tx.Each(b, "", func(key string, decode func(any) error) error {
				var v string
				if err := decode(&v); err != nil {
					return err
				}
				out[b+"/"+key] = v
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// P8: the power goes at any moment of a commit. The state opens and holds all that was
// acknowledged, and of the commit all or nothing; it can be written, and opened again.
func TestP8PowerLoss(t *testing.T) {
	seed := *powerSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-power.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	count, kinds := map[string]int{}, powerloss.Kinds()
	fresh := 0
	for n := 0; n < *powerImages; {
		o, cuts := photographed(t, rng, 40)
		if len(cuts) < 20 {
			t.Fatalf("only %d commits", len(cuts))
		}
		for range min(400, *powerImages-n) {
			c, kind := cuts[rng.IntN(len(cuts))], kinds[n%len(kinds)]
			n++
			count[kind]++
			if err := os.WriteFile(o.Path, c.Image(rng, kind), 0o600); err != nil {
				t.Fatal(err)
			}
			switch what := c.examined(t, o, kind); what {
			case "new":
				fresh++
			case "old":
			default:
				t.Fatalf("image %d (%s): %s", n, kind, what)
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		t.Logf("%d images: %s", count[kind], kind)
	}
	if fresh == 0 || fresh == *powerImages {
		t.Errorf("%d of %d images show the new commit", fresh, *powerImages)
	}
}

// examined is what examine says, unless it hangs.
func (c cut) examined(t *testing.T, o Options, kind string) string {
	t.Helper()
	done := make(chan string, 1)
	go func() { done <- c.examine(o, kind) }()
	select {
	case what := <-done:
		return what
	case <-time.After(hanging):
		t.Fatalf("an image (%s) hangs", kind)
		return ""
	}
}

// examine opens an image and says what it shows: the old state, the new one, or what is
// wrong with it.
func (c cut) examine(o Options, kind string) string {
	if err := os.WriteFile(Marker(o.Path), c.marker, 0o600); err != nil {
		return err.Error()
	}
	s, err := Open(o)
	if err != nil {
		return "it does not open: " + err.Error()
	}
	defer s.Close()
	got, err := held(s)
	if err != nil {
		return "it can't be read: " + err.Error()
	}
	if err := s.Verify(); err != nil {
		return "it is not sound: " + err.Error()
	}
	what := "old"
	switch {
	case maps.Equal(got, c.old):
	case maps.Equal(got, c.now):
		what = "new"
	default:
		return fmt.Sprintf("it holds %d records, of %d before and %d after", len(got), len(c.old), len(c.now))
	}
	if strings.HasSuffix(kind, "old meta") && what != "old" || strings.HasSuffix(kind, "new meta") && what != "new" {
		return "it shows the " + what + " state"
	}
	if err := s.Update(func(tx store.Tx) error { return tx.Put(bucket, "afterwards", "written") }); err != nil {
		return "it can't be written: " + err.Error()
	}
	if err := s.Close(); err != nil {
		return "it does not close: " + err.Error()
	}
	if s, err = Open(o); err != nil {
		return "it does not open again: " + err.Error()
	}
	again, err := held(s)
	if got[bucket+"/afterwards"] = "written"; err != nil || !maps.Equal(again, got) {
		return fmt.Sprintf("opened again, it holds %d records, want %d (%v)", len(again), len(got), err)
	}
	if err := s.Close(); err != nil {
		return "it does not close again: " + err.Error()
	}
	return what
}

// The examination finds what is wrong: pages that a commit needs and that are not there
// are damage or the old state, never another value.
func TestPowerLossIsSeen(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	o, cuts := photographed(t, rng, 40)
	found := 0
	for _, c := range cuts {
		data, meta := c.Changed()
		file := c.Grown()
		copy(file[meta*powerloss.Page:(meta+1)*powerloss.Page], c.After[meta*powerloss.Page:(meta+1)*powerloss.Page])
		for _, n := range data[1:] { // the disk lied: one page is missing under the new meta
			copy(file[n*powerloss.Page:(n+1)*powerloss.Page], c.After[n*powerloss.Page:(n+1)*powerloss.Page])
		}
		if err := os.WriteFile(o.Path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		what := c.examined(t, o, "a page is missing")
		if what == "old" {
			t.Error("it shows the old state under the new meta")
		}
		if what != "new" { // unless the page is one that nothing reads
			found++
		}
	}
	if found < len(cuts)/2 {
		t.Errorf("of %d images without a page %d were seen", len(cuts), found)
	}
	if left, err := filepath.Glob(o.Path + "*"); err != nil || len(left) == 0 {
		t.Errorf("left: %v %v", left, err)
	}
}
