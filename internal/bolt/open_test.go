package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

const bucket = "clients"

func put(t testing.TB, s *Store, key string, v any) {
	t.Helper()
	if err := s.Update(func(tx store.Tx) error { return tx.Put(bucket, key, v) }); err != nil {
		t.Fatal(err)
	}
}

func get(s *Store, key string) (v string, err error) {
	err = s.View(func(tx store.Tx) error {
		ok, err := tx.Get(bucket, key, &v)
		if err == nil && !ok {
			err = fs.ErrNotExist
		}
		return err
	})
	return v, err
}

// filled makes a closed state with some records and returns its path.
func filled(t testing.TB, o Options, records int) {
	t.Helper()
	s := mustOpen(t, o)
	err := s.Update(func(tx store.Tx) error {
		for i := range records {
			if err := tx.Put(bucket, fmt.Sprintf("key-%04d", i), strings.Repeat(fmt.Sprintf("value-%04d ", i), 10)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenAgain(t *testing.T) {
	o := options(t)
	filled(t, o, 3)
	s := mustOpen(t, o)
	if v, err := get(s, "key-0001"); err != nil || !strings.HasPrefix(v, "value-0001") {
		t.Errorf("%q %v", v, err)
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Syncs != 0 {
		t.Errorf("opening and reading wrote: %+v", st)
	}
	for _, path := range []string{o.Path, o.Path + ".lock", Marker(o.Path)} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", path, info, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.View(func(store.Tx) error { return nil })); !errors.Is(err, ErrClosed) {
		t.Errorf("view of a closed state: %v", err)
	}
	if err := s.Update(func(store.Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("update of a closed state: %v", err)
	}
}

func TestOpenMissing(t *testing.T) {
	o := options(t)
	if there, err := Expected(o.Path); there || err != nil {
		t.Errorf("expected before the first start: %v %v", there, err)
	}
	filled(t, o, 1)
	if err := os.Remove(o.Path); err != nil {
		t.Fatal(err)
	}
	if there, err := Expected(o.Path); !there || err != nil {
		t.Errorf("not expected although the marker is there: %v %v", there, err)
	}
	_, err := Open(o)
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "restore") || !strings.Contains(err.Error(), Marker(o.Path)) {
		t.Fatalf("missing state: %v", err)
	}
	if _, err := os.Stat(o.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a state was made: %v", err)
	}
	if err := os.Remove(Marker(o.Path)); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, o)
	if _, err := os.Stat(Marker(o.Path)); err != nil {
		t.Errorf("no marker after a new start: %v", err)
	}
}

// S43 and P8: a state that a rebuild made and did not fill opens for another rebuild alone;
// taken for a first start, it would have everything made a second time.
func TestS43OpenUnfilled(t *testing.T) {
	o := options(t)
	filled(t, o, 1)
	if err := os.Remove(o.Path); err != nil {
		t.Fatal(err)
	}
	anew := o
	anew.Anew = true
	for range 2 {
		if err := mustOpen(t, anew).Close(); err != nil {
			t.Fatal(err)
		}
		_, err := Open(o)
		if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "reconciler rebuild") || !strings.Contains(err.Error(), "rm "+o.Path+" "+Marker(o.Path)) {
			t.Fatalf("opened for anybody: %v", err)
		}
	}
	s := mustOpen(t, anew)
	if err := errors.Join(s.Update(store.DeleteUnfilled), s.Close()); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, o)

	// Nothing was expected: it is a first start, whoever makes it.
	o = options(t)
	anew = o
	anew.Anew = true
	if err := mustOpen(t, anew).Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, o)
}

// TestOpenWithoutMarker: cut off between the state and its marker, the next start
// makes up for it.
func TestOpenWithoutMarker(t *testing.T) {
	o := options(t)
	filled(t, o, 1)
	if err := errors.Join(os.Remove(Marker(o.Path)), os.WriteFile(o.Path+".new", []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, o)
	if _, err := get(s, "key-0000"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(Marker(o.Path)); err != nil {
		t.Error(err)
	}
}

func TestOpenHeld(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	o.Timeout = 1 // no waiting
	_, err := Open(o)
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("second open: %v", err)
	}
	for _, want := range []string{fmt.Sprint("process ", os.Getpid()), "2026-11-24 12:00:00 UTC"} {
		if !strings.Contains(held.Holder, want) {
			t.Errorf("%q does not say %q", held.Holder, want)
		}
	}
	if err := Restore("no matter", o.Path, o.Keys); !errors.As(err, &held) {
		t.Errorf("restore of a state in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, o)
}

func TestOpenWrongKey(t *testing.T) {
	o := options(t)
	filled(t, o, 1)
	other, err := secret.Open(secret.KeySource{Env: state.NewSecret(strings.Repeat("ab", 32))})
	if err != nil {
		t.Fatal(err)
	}
	wrong := o
	wrong.Keys = other
	if _, err := Open(wrong); !errors.Is(err, secret.ErrWrongKey) || errors.Is(err, store.ErrDamaged) {
		t.Errorf("wrong key: %v", err)
	}
	mustOpen(t, o)
}

// alter changes a closed state's file with bbolt.
func alter(t *testing.T, path string, fn func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenNewerAndForeign(t *testing.T) {
	o := options(t)
	filled(t, o, 1)
	alter(t, o.Path, func(tx *bbolt.Tx) error {
		return putHeader(tx, header{Format: headerFormat, Schema: 99, Key: o.Keys.Check()})
	})
	if _, err := Open(o); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Errorf("newer: %v", err)
	}
	alter(t, o.Path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(headerBucket)).Put([]byte(headerBucket), []byte("{}"))
	})
	if _, err := Open(o); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("header damaged: %v", err)
	}
	alter(t, o.Path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(headerBucket)) })
	before, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrForeign) {
		t.Errorf("foreign: %v", err)
	}
	if after, err := os.ReadFile(o.Path); err != nil || string(after) != string(before) {
		t.Errorf("a foreign file was changed: %v", err)
	}
}

func TestMigrate(t *testing.T) {
	o := options(t)
	step := func(key string, fail error) migration {
		return migration{key, func(tx store.Tx) error {
			n, err := tx.Next(bucket)
			return errors.Join(err, tx.Put(bucket, key, fmt.Sprint(n)), fail)
		}}
	}
	first := migrations()
	o.migrations = first
	filled(t, o, 2)
	boom := errors.New("boom")
	o.migrations = append(first, step("second", nil), step("third", boom))
	if _, err := Open(o); !errors.Is(err, boom) || !strings.Contains(err.Error(), fmt.Sprintf("schema %d (third)", len(first)+2)) {
		t.Fatalf("failed migration: %v", err)
	}
	o.migrations[len(first)+1] = step("third", nil)
	s := mustOpen(t, o)
	for key, want := range map[string]string{"second": "1", "third": "2"} { // each ran once
		if v, err := get(s, key); err != nil || v != want {
			t.Errorf("%s: %q %v", key, v, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	if v, err := get(s, "third"); err != nil || v != "2" {
		t.Errorf("ran again: %q %v", v, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.migrations = first
	if _, err := Open(o); !errors.Is(err, ErrNewer) {
		t.Errorf("the older program: %v", err)
	}
}

// TestOpenNewBucket: a bucket that an older version did not have is made.
func TestOpenNewBucket(t *testing.T) {
	o := options(t)
	filled(t, o, 1)
	alter(t, o.Path, func(tx *bbolt.Tx) error {
		h, err := readHeader(tx)
		h.Buckets = strings.Replace(h.Buckets, " runs ", " ", 1)
		return errors.Join(err, tx.DeleteBucket([]byte("runs")), putHeader(tx, h))
	})
	s := mustOpen(t, o)
	err := s.Update(func(tx store.Tx) error { return tx.Put("runs", "purge", 1) })
	if err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	o := options(t)
	if err := os.Mkdir(o.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := Open(Options{Path: filepath.Join(t.TempDir(), "x")}); err == nil {
		t.Error("opened without keys")
	}
}
