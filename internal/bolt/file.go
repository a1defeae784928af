package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/compassdigital/reconciler/internal/store"
)

// What bbolt's file format says of a meta page (its internal/common/{page,meta}.go).
const (
	pageHeader  = 16
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSize    = 64 // with its checksum, the last 8 bytes
	minPage     = 1 << 10
	maxPage     = 16 << 20
)

// mapSize is mapped from the start, so that a file that grows to it never waits for
// readers. Address space only.
const mapSize = 256 << 20

// meta is what one meta page says.
type meta struct {
	pageSize, root, pages, txid uint64
}

func readMeta(r io.ReaderAt, offset int64) (meta, bool) {
	var page [pageHeader + metaSize]byte
	if _, err := r.ReadAt(page[:], offset); err != nil {
		return meta{}, false
	}
	b := page[pageHeader:]
	le := binary.LittleEndian
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSize-8]) // a hash never fails
	m := meta{pageSize: uint64(le.Uint32(b[8:])), root: le.Uint64(b[16:]), pages: le.Uint64(b[40:]), txid: le.Uint64(b[48:])}
	ok := le.Uint32(b) == metaMagic && le.Uint32(b[4:]) == metaVersion && le.Uint64(b[56:]) == sum.Sum64() &&
		m.pageSize >= minPage && m.pageSize <= maxPage && m.pageSize&(m.pageSize-1) == 0
	return m, ok
}

// bestMeta is the newer of the file's two meta pages, or the one that is whole.
func bestMeta(f io.ReaderAt) (best meta, found bool) {
	for page := int64(minPage); page <= maxPage; page <<= 1 {
		for _, offset := range []int64{0, page} {
			m, ok := readMeta(f, offset)
			if ok && m.pageSize == uint64(page) && (!found || m.txid > best.txid) {
				best, found = m, true
			}
		}
	}
	return best, found
}

// inspect looks at a file before bbolt does, which trusts what it finds.
func inspect(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: it is no regular file", ErrForeign)
	}
	size := uint64(info.Size())
	if size == 0 {
		return fmt.Errorf("%w: the file is empty", store.ErrDamaged)
	}
	best, found := bestMeta(f)
	if !found {
		return fmt.Errorf("%w: it does not begin as a state file does (is it another file, or was it overwritten?)", store.ErrDamaged)
	}
	if best.pages > size/best.pageSize {
		return fmt.Errorf("%w: the file is cut off: it has %d bytes of at least %d", store.ErrDamaged, size, best.pages*best.pageSize)
	}
	return nil
}

// openDB opens the file with bbolt. A panic of it is an error, and leaves no lock.
func openDB(path string, readOnly, noSync bool, timeout time.Duration) (db *bbolt.DB, err error) {
	if err := inspect(path); err != nil {
		return nil, err
	}
	var file *os.File
	done := false
	defer func() {
		if !done && file != nil {
			// bbolt panicked, or failed and closed it already: then these fail.
			_ = letGo(file)
			_ = file.Close()
		}
	}()
	err = guard(func() error {
		var err error
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: timeout, ReadOnly: readOnly, NoSync: noSync, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mapSize, NoStatistics: true,
			OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
				f, err := os.OpenFile(name, flag&^os.O_CREATE, perm)
				file = f
				return f, err
			},
		})
		return err
	})
	if err == nil {
		if err = loopless(file); err != nil {
			_ = db.Close() // the first error says why
		}
	}
	if err != nil {
		return nil, err
	}
	done = true
	return db, nil
}

// guard runs what touches bbolt: its panics, and faults of the mapped file, are
// damage.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", store.ErrDamaged, r)
		}
	}()
	return classify(fn())
}

// classify says in the store's words what bbolt and the system say in theirs.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, berrors.ErrMaxSizeReached), full(err):
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrInvalidMapping):
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	}
	return err
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// writeFile puts a whole small file in place, durably.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already once renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return replace(f.Name(), path)
}

// replace renames within a folder, durably.
func replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
