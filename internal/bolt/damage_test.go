package bolt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/store"
)

// sealedAt returns the sealed bytes of a record of a closed state.
func sealedAt(t *testing.T, path, b, key string) []byte {
	t.Helper()
	var out []byte
	alter(t, path, func(tx *bbolt.Tx) error {
		out = bytes.Clone(tx.Bucket([]byte(b)).Get([]byte(key)))
		return nil
	})
	return out
}

// TestFlippedBits: any bit of a sealed value that is changed makes the record
// damaged, never another value.
func TestFlippedBits(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	put(t, s, "a", "the value of a")
	put(t, s, "b", "the value of b")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sealed := sealedAt(t, o.Path, bucket, "a")
	file, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(file, sealed); n < 1 {
		t.Fatal("the sealed value is not in the file as it is")
	}
	at := bytes.LastIndex(file, sealed)
	if first := bytes.Index(file, sealed); first != at {
		t.Fatalf("the sealed value is in the file twice: %d, %d", first, at)
	}
	for bit := range 8 * len(sealed) {
		broken := bytes.Clone(file)
		broken[at+bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(o.Path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(o)
		if err != nil {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if v, err := get(s, "a"); v != "" || !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("bit %d: %q %v", bit, v, err)
		}
		if v, err := get(s, "b"); v != "the value of b" || err != nil {
			t.Fatalf("bit %d: another record: %q %v", bit, v, err)
		}
		if bit%64 == 0 {
			if err := s.Verify(); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), `"a"`) {
				t.Fatalf("bit %d: verify: %v", bit, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSwappedRecords: a record in another's place is damage, and writing it anew
// heals it.
func TestSwappedRecords(t *testing.T) {
	o := options(t)
	filled(t, o, 2)
	alter(t, o.Path, func(tx *bbolt.Tx) error {
		clients, names := tx.Bucket([]byte(bucket)), tx.Bucket([]byte("names"))
		a, b := bytes.Clone(clients.Get([]byte("key-0000"))), bytes.Clone(clients.Get([]byte("key-0001")))
		return errors.Join(clients.Put([]byte("key-0000"), b), clients.Put([]byte("key-0001"), a), names.Put([]byte("key-0000"), a))
	})
	s := mustOpen(t, o)
	for _, key := range []string{"key-0000", "key-0001"} {
		if v, err := get(s, key); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %q %v", key, v, err)
		}
	}
	err := s.View(func(tx store.Tx) error { _, err := tx.Get("names", "key-0000", new(string)); return err })
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("from another bucket: %v", err)
	}
	put(t, s, "key-0000", "anew")
	if v, err := get(s, "key-0000"); err != nil || v != "anew" {
		t.Errorf("written anew: %q %v", v, err)
	}
}

// S34 and I13: a bucket that is not found any more is damage. Nobody makes an empty one in
// its place, which would say that nothing was ever made. A state of an older version, which
// did not name its buckets, gets those that are new, and names them from then on.
func TestS34LostBucketIsDamage(t *testing.T) {
	for _, name := range append(store.Buckets(), sequences) {
		o := options(t)
		filled(t, o, 2)
		alter(t, o.Path, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(name + "_"))
			if err != nil {
				return err
			}
			return errors.Join(b.Put([]byte("k"), []byte("v")), tx.DeleteBucket([]byte(name)))
		})
		if s, err := Open(o); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
			if err == nil {
				_ = s.Close()
			}
		}
	}
	o := options(t)
	filled(t, o, 2)
	older := func(tx *bbolt.Tx) error {
		h, err := readHeader(tx)
		h.Buckets = ""
		return errors.Join(err, tx.DeleteBucket([]byte("looked")), putHeader(tx, h))
	}
	alter(t, o.Path, older)
	s := mustOpen(t, o)
	put(t, s, "later", "value")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, o.Path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("looked")) })
	if _, err := Open(o); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("once it is named: %v", err)
	}
}

// TestNothingReadable: no text of a value is in the file.
func TestNothingReadable(t *testing.T) {
	o := options(t)
	filled(t, o, 50)
	file, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte("value-")) {
		t.Error("a value can be read in the file")
	}
}

// survey opens a file that was spoiled, reads all of it and writes to it: whatever
// comes is an error of a known kind, and what is read is what was written.
func survey(t *testing.T, o Options, name string) (opened bool) {
	t.Helper()
	known := func(doing string, err error) {
		if err != nil && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrBroken) && !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %s: %v", name, doing, err)
		}
	}
	s, err := Open(o)
	known("open", err)
	if err != nil {
		return false
	}
	err = s.View(func(tx store.Tx) error {
		return tx.Each(bucket, "", func(key string, decode func(any) error) error {
			var v string
			if err := decode(&v); err != nil {
				return err
			}
			var n int
			if _, err := fmt.Sscanf(key, "key-%d", &n); err != nil || !strings.HasPrefix(v, fmt.Sprintf("value-%04d", n)) {
				t.Errorf("%s: %q is %q", name, key, v)
			}
			return nil
		})
	})
	known("read", err)
	known("verify", s.Verify())
	known("write", s.Update(func(tx store.Tx) error { return tx.Put(bucket, "key-0001", "value-0001") }))
	known("close", s.Close())
	return true
}

func TestTruncated(t *testing.T) {
	o := options(t)
	filled(t, o, 400)
	file, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	alter(t, o.Path, func(tx *bbolt.Tx) error { used = int(tx.Size()); return nil })
	lengths := []int{0, 1, 15, 80, 512, 4095, 4096, 4097, 8191, 8192, 8193, used / 2, used - 4096, used - 1}
	for n := 3 * 4096; n < used; n += 7 * 4096 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		if err := os.WriteFile(o.Path, file[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(o)
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("cut to %d of %d: %v", n, used, err)
		}
		if info, serr := os.Stat(o.Path); serr != nil || info.Size() != int64(n) {
			t.Errorf("cut to %d: the file was changed: %v", n, serr)
		}
		var held *HeldError
		if _, err := Open(o); errors.As(err, &held) {
			t.Fatalf("cut to %d: a failed open keeps the lock", n)
		}
	}
}

// TestSpoiledPages: whatever page is overwritten, nothing panics, hangs or reads as
// another value.
func TestSpoiledPages(t *testing.T) {
	o := options(t)
	filled(t, o, 400)
	file, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	alter(t, o.Path, func(tx *bbolt.Tx) error { used = int(tx.Size()); return nil })
	opened := 0
	for at := 0; at < used; at += 4096 {
		for kind, fill := range map[string]func([]byte){
			"zeroed": func(p []byte) { clear(p) },
			"set": func(p []byte) {
				for i := range p {
					p[i] = 0xff
				}
			},
			"garbage": func(p []byte) {
				sum := sha256.Sum256(p)
				for i := range p {
					p[i] = sum[i%len(sum)] + byte(i/len(sum))
				}
			},
			"head": func(p []byte) { p[8], p[10], p[12] = p[8]^0x13, p[10]+40, 9 },
		} {
			broken := bytes.Clone(file)
			fill(broken[at : at+4096])
			if err := os.WriteFile(o.Path, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			if survey(t, o, fmt.Sprintf("page %d %s", at/4096, kind)) {
				opened++
			}
		}
	}
	if opened == 0 {
		t.Error("none could be opened: the test looks at nothing")
	}
}

func TestForeignFiles(t *testing.T) {
	o := options(t)
	for name, text := range map[string]string{
		"text":    "hello, this is not a state file\n",
		"zeroes":  strings.Repeat("\x00", 64<<10),
		"garbage": strings.Repeat("\xff\x13reconciler", 5000),
		"SQLite":  "SQLite format 3\x00" + strings.Repeat("\x00\x10\x01\x01", 4096),
	} {
		if err := os.WriteFile(o.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(o); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(o.Path); err != nil || string(now) != text {
			t.Errorf("%s was changed: %v", name, err)
		}
	}
}

// TestCutWhileOpen: a file that is cut from outside while it is mapped is damage, not
// a crash.
func TestCutWhileOpen(t *testing.T) {
	o := options(t)
	filled(t, o, 400)
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(o.Path, 3*4096); err != nil {
		t.Fatal(err)
	}
	err = s.View(func(tx store.Tx) error {
		return tx.Each(bucket, "", func(_ string, decode func(any) error) error { return decode(new(string)) })
	})
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("read: %v", err)
	}
	err = s.Update(func(tx store.Tx) error { return tx.Put(bucket, "key-0300", "new") })
	if err == nil {
		t.Error("wrote into a file that is cut off")
	}
	_ = s.Close() // whatever it says, it returns
}
