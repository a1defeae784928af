package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/secret"
)

// keyed is a state under a key file of its own.
func keyed(t *testing.T) (o Options, file string) {
	t.Helper()
	o = options(t)
	file = filepath.Join(filepath.Dir(o.Path), "key")
	o.Keys = keysIn(t, file)
	return o, file
}

func keysIn(t *testing.T, file string) *secret.Keys {
	t.Helper()
	k, err := secret.Open(secret.KeySource{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// stop is what a test's point ends the work with, as a death would.
type stop string

// P8: cut off anywhere, a state that is sealed anew opens with what the key file says then;
// at the end the old key opens nothing of it, and all records are what they were.
func TestP8Rekey(t *testing.T) {
	for _, at := range []string{"", "renewed", PointRekey, PointRekeyed} {
		t.Run(at, func(t *testing.T) {
			o, file := keyed(t)
			filled(t, o, 300)
			s := mustOpen(t, o)
			big := strings.Repeat("z", rekeyBatch/2+1)
			if at != "" {
				big = "small"
			}
			put(t, s, "big", big)
			put(t, s, "big2", big) // a second transaction
			put(t, s, "a", "kept")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			old := o.Keys
			k, _, err := secret.Renew(file)
			if err != nil {
				t.Fatal(err)
			}
			if at != "renewed" {
				func() {
					defer func() {
						if r := recover(); r != nil && r != stop(at) {
							panic(r)
						}
					}()
					o.Keys, o.At = k, func(p string) {
						if p == at {
							panic(stop(p))
						}
					}
					if err := Rekey(o); err != nil {
						t.Fatal(err)
					}
				}()
			}
			o.At, o.Keys = nil, keysIn(t, file)
			s = mustOpen(t, o) // it is used, under whatever key
			put(t, s, "b", "written between")
			backup := backupFile(t, s)
			if err := errors.Join(s.Verify(), s.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := CheckBackup(backup, o.Keys); err != nil {
				t.Errorf("a backup of then: %v", err)
			}
			k, _, err = secret.Renew(file)
			if err := errors.Join(err, Rekey(Options{Path: o.Path, Keys: k, Now: o.Now}), secret.Renewed(file)); err != nil {
				t.Fatal(err)
			}
			o.Keys = keysIn(t, file)
			wantValue(t, o, "a", "kept")
			wantValue(t, o, "b", "written between")
			wantValue(t, o, "big2", big)
			if _, err := Open(Options{Path: o.Path, Keys: old, Now: o.Now}); !errors.Is(err, secret.ErrWrongKey) {
				t.Errorf("under the old key: %v", err)
			}
			wantNothingUnder(t, o.Path, old)
			if exists, _ := exists(o.Path + ".rekey"); exists {
				t.Error("half a state is left")
			}
		})
	}
}

// wantNothingUnder wants no record that bears the id of a key, not even in free pages.
func wantNothingUnder(t *testing.T, path string, old *secret.Keys) {
	t.Helper()
	head := old.Seal("", nil)[:5] // version and id
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, head) {
		t.Errorf("something is under the old key still (%v)", err)
	}
	alter(t, path, func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, v []byte) error {
				if bytes.HasPrefix(v, head) {
					t.Errorf("a record of %s is under the old key", name)
				}
				return nil
			})
		})
	})
}

// A state that is in use, or damaged, is not sealed anew.
func TestRekeyRefuses(t *testing.T) {
	o, file := keyed(t)
	filled(t, o, 20)
	k, _, err := secret.Renew(file)
	if err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, o)
	var held *HeldError
	if err := Rekey(Options{Path: o.Path, Keys: k, Now: o.Now}); !errors.As(err, &held) {
		t.Errorf("in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Rekey(Options{Path: o.Path, Keys: testKeys(t), Now: o.Now}); !errors.Is(err, secret.ErrWrongKey) {
		t.Errorf("a key that knows nothing of the old one: %v", err)
	}
	before, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	alter(t, o.Path, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		key, v := b.Cursor().First()
		broken := bytes.Clone(v)
		broken[len(broken)-1] ^= 1
		return b.Put(key, broken)
	})
	damaged, err := os.ReadFile(o.Path)
	if err != nil || bytes.Equal(before, damaged) {
		t.Fatal("nothing was damaged", err)
	}
	if err := Rekey(Options{Path: o.Path, Keys: k, Now: o.Now}); err == nil {
		t.Error("a damaged state was sealed anew")
	}
	if after, err := os.ReadFile(o.Path); err != nil || !bytes.Equal(after, damaged) {
		t.Errorf("it was changed: %v", err)
	}
}
