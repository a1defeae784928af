package bolt

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/store"
)

// Errors of opening and keeping a state, beside those of package store.
var (
	// ErrMissing: a state is expected (its marker says so) and is gone, or a rebuild of it
	// has not come to its end.
	ErrMissing = errors.New("the state file is gone")
	// ErrForeign: the file is not a state of this program.
	ErrForeign = errors.New("not a state file of this program")
	// ErrNewer: a newer version of this program wrote it.
	ErrNewer = errors.New("a newer version of this program wrote the state")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the state is closed")
	// ErrBroken: the disk left it unclear whether a commit happened. Only opening
	// the state anew tells.
	ErrBroken = errors.New("the state can no longer be written safely: stop the program, look at the disk, start it again")
)

// Options of Open.
type Options struct {
	Path string       // the state file; its folder is made, with mode 0700
	Keys *secret.Keys // seal every record
	Now  func() time.Time
	// Timeout is how long Open waits for another process to let go; 0 is one second.
	Timeout time.Duration
	// NoSync leaves syncing to the system: for tests and demos that may lose
	// everything.
	NoSync bool
	// MaxSize in bytes bounds the file; 0 does not.
	MaxSize int
	// Anew says that a state that is expected and gone is made anew, for whoever fills it
	// from elsewhere at once. Until then (store.DeleteUnfilled) it opens for nobody else.
	Anew bool

	// At is told of the places at which a crash is tried (points.go). nil outside tests.
	At func(point string)

	migrations []migration // tests; nil is the program's own
}

const (
	defaultTimeout = time.Second
	headerBucket   = "header"
	sequences      = "sequences"
	headerFormat   = "reconciler state"
)

// Marker is the file that says that a state is expected at path. Who wants to start
// anew removes both.
func Marker(path string) string { return path + ".marker" }

// Expected says that there is a state at path, or was one that must be brought back:
// the key that seals it must exist then.
func Expected(path string) (bool, error) {
	there, err := exists(path)
	if err != nil || there {
		return there, err
	}
	return exists(Marker(path))
}

// header is the one record that is not sealed: it says whether the rest can be.
type header struct {
	Format string `json:"format"`
	Schema int    `json:"schema"`
	Key    string `json:"key"` // secret.Keys.Check
	// Buckets are the names of those that were made, in order: one of them that is not there is
	// damage, and no new one is made in its place. "" in a state that older versions made.
	Buckets string `json:"buckets,omitempty"`
	// Epoch counts the processes that wrote to the state; see epoch.go.
	Epoch uint64 `json:"epoch,omitempty"`
}

func (h header) encode() ([]byte, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(data, "\n%08x", crc32.ChecksumIEEE(data)), nil
}

func decodeHeader(data []byte) (header, error) {
	text, sum, _ := strings.Cut(string(data), "\n")
	n, err := strconv.ParseUint(sum, 16, 32)
	if err != nil || crc32.ChecksumIEEE([]byte(text)) != uint32(n) {
		return header{}, fmt.Errorf("%w: its header", store.ErrDamaged)
	}
	var h header
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return header{}, fmt.Errorf("%w: its header: %w", store.ErrDamaged, err)
	}
	if h.Format != headerFormat {
		return header{}, ErrForeign
	}
	return h, nil
}

// Open opens the state, makes it on the first start, and brings an older schema up
// to date. Errors: *HeldError, ErrMissing, ErrForeign, ErrNewer, secret.ErrWrongKey,
// store.ErrDamaged, store.ErrFull, or the file system's.
func Open(o Options) (*Store, error) {
	if o.Keys == nil || o.Now == nil || o.Path == "" {
		return nil, errors.New("open state: path, keys and clock are needed")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.migrations == nil {
		o.migrations = migrations()
	}
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	held, err := lock(o.Path, o.Timeout, o.Now())
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s, err := openLocked(o)
	if err != nil {
		_ = unlock(held) // the first error says why
		return nil, fmt.Errorf("open state %s: %w", o.Path, err)
	}
	s.held = held
	return s, nil
}

// openLocked is called with the lock held.
func openLocked(o Options) (*Store, error) {
	there, err := exists(o.Path)
	if err != nil {
		return nil, err
	}
	marked, err := exists(Marker(o.Path))
	if err != nil {
		return nil, err
	}
	known, err := readEpoch(Marker(o.Path))
	if err != nil {
		return nil, err
	}
	if !there {
		if marked && !o.Anew {
			return nil, fmt.Errorf("%w: restore a backup (reconciler restore FILE), or make it anew from Git and the providers' marks (reconciler rebuild); only if nothing that it made is left, remove %s and start anew", ErrMissing, Marker(o.Path))
		}
		if err := create(o, known, marked); err != nil {
			return nil, classify(err)
		}
	}
	s, err := openFile(o)
	if err != nil {
		return nil, err
	}
	s.known = known
	if err := s.filled(o); err != nil {
		_ = s.closeDB() // the first error says why
		return nil, classify(err)
	}
	if !marked {
		o.at(PointCreated)
		err = writeMarker(o.Path, o.Now(), known, !o.NoSync)
	}
	if err == nil {
		err = s.recognise()
	}
	if err != nil {
		_ = s.closeDB() // the first error says why
		return nil, classify(err)
	}
	return s, nil
}

// filled refuses what a rebuild left behind that has not come to its end: it looks like a
// first start, and whoever took it for one would make everything twice where the key, and
// with it the mark, is another.
func (s *Store) filled(o Options) error {
	if o.Anew {
		return nil
	}
	return s.View(func(tx store.Tx) error {
		since, unfilled, err := store.Unfilled(tx)
		if err == nil && unfilled {
			err = fmt.Errorf("%w: what is in its place was made at %s by a rebuild that did not come to its end. Rebuild again (reconciler rebuild), or restore a backup (reconciler restore FILE --replace); only if nothing that the lost one made is left, start anew (rm %s %s)",
				ErrMissing, since.UTC().Format(time.RFC3339), o.Path, Marker(o.Path))
		}
		return err
	})
}

// create makes an empty state beside its place and renames it there, because bbolt's
// first writes are not safe against power loss. lost says that it stands for one that was
// there.
func create(o Options, epoch uint64, lost bool) error {
	temp := o.Path + ".new"
	if err := os.Remove(temp); err != nil && !os.IsNotExist(err) {
		return err
	}
	defer func() { _ = os.Remove(temp) }() // gone already once renamed
	err := guard(func() error {
		db, err := bbolt.Open(temp, 0o600, &bbolt.Options{Timeout: o.Timeout, FreelistType: bbolt.FreelistMapType, NoSync: o.NoSync})
		if err != nil {
			return err
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			if _, err := makeBuckets(tx); err != nil {
				return err
			}
			if lost {
				t := &transaction{keys: o.Keys, recent: &recent{}, tx: tx, buffer: buffer{}}
				defer t.end()
				if err := store.PutUnfilled(t, o.Now()); err != nil {
					return err
				}
				if _, err := t.flush(); err != nil {
					return err
				}
			}
			return putHeader(tx, header{Format: headerFormat, Schema: len(o.migrations), Key: o.Keys.Check(), Buckets: header{}.made(), Epoch: epoch})
		})
		if err == nil {
			err = db.Sync()
		}
		if cerr := db.Close(); err == nil {
			err = cerr
		}
		return err
	})
	if err != nil {
		return err
	}
	o.at(PointCreate)
	return replace(temp, o.Path)
}

// openFile opens a file that is there, checks whose it is and migrates it.
func openFile(o Options) (*Store, error) {
	db, err := openDB(o.Path, false, o.NoSync, o.Timeout)
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, &HeldError{Path: o.Path, Holder: "another process"}
	}
	if err != nil {
		return nil, err
	}
	db.MaxSize = o.MaxSize
	db.AllocSize = growth
	s := &Store{db: db, keys: o.Keys, path: o.Path, now: o.Now, at: o.at, noSync: o.NoSync}
	err = guard(func() error {
		if err := s.checkHeader(len(o.migrations)); err != nil {
			return err
		}
		return s.migrate(o.migrations)
	})
	if err == nil {
		err = os.Chmod(o.Path, 0o600)
	}
	if err != nil {
		_ = s.closeDB() // the first error says why
		return nil, err
	}
	return s, nil
}

func readHeader(tx *bbolt.Tx) (header, error) {
	b := tx.Bucket([]byte(headerBucket))
	if b == nil {
		return header{}, ErrForeign
	}
	data := b.Get([]byte(headerBucket))
	if data == nil {
		return header{}, ErrForeign
	}
	return decodeHeader(data)
}

func putHeader(tx *bbolt.Tx, h header) error {
	data, err := h.encode()
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists([]byte(headerBucket))
	if err != nil {
		return err
	}
	return b.Put([]byte(headerBucket), data)
}

func (s *Store) checkHeader(schema int) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		h, err := readHeader(tx)
		if err != nil {
			return err
		}
		if h.Schema > schema {
			return fmt.Errorf("%w: its schema is %d, this one knows up to %d; install that version again, or restore a backup made before it", ErrNewer, h.Schema, schema)
		}
		if keys := s.keys.For(h.Key); keys != nil {
			s.keys = keys // maybe those that a new key takes the place of: see Rekey
		} else {
			return fmt.Errorf("%w: use the key that made this state (state.keyFile)", secret.ErrWrongKey)
		}
		for _, name := range strings.Fields(h.Buckets) {
			if tx.Bucket([]byte(name)) == nil {
				return noBucket(name)
			}
		}
		return nil
	})
}

// made are the buckets that are there once those of this version are made.
func (h header) made() string {
	names := append(strings.Fields(h.Buckets), append(store.Buckets(), sequences)...)
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

func noBucket(name string) error {
	return fmt.Errorf("%w: bucket %q is not there", store.ErrDamaged, name)
}

// makeBuckets makes those that are not there and says whether there were any.
func makeBuckets(tx *bbolt.Tx) (bool, error) {
	made := false
	for _, name := range append(store.Buckets(), sequences) {
		if tx.Bucket([]byte(name)) != nil {
			continue
		}
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return made, err
		}
		made = true
	}
	return made, nil
}
