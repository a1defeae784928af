package source

import (
	"bufio"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// quarantine is a pack that is not part of the mirror yet: it is written, indexed,
// looked through, and only then installed.
type quarantine struct {
	dir      string // of the mirror
	most     int64  // bytes of the pack
	pack     *os.File
	written  int64
	idx      *idxfile.MemoryIndex
	checksum plumbing.Hash
	file     billy.File
	in       *packfile.Packfile
}

func newQuarantine(dir string, most int64) (*quarantine, error) {
	f, err := os.CreateTemp(packDir(dir), tmpPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a pack: %w", err)
	}
	return &quarantine{dir: dir, most: most, pack: f}, nil
}

// Write takes the pack, up to its limit.
func (q *quarantine) Write(p []byte) (int, error) {
	if q.written+int64(len(p)) > q.most {
		return 0, fmt.Errorf("the pack: %w: at most %d bytes", ErrTooLarge, q.most)
	}
	n, err := q.pack.Write(p)
	q.written += int64(n)
	return n, err
}

// encode writes objects of a storage.
func (q *quarantine) encode(st storer.EncodedObjectStorer, all []plumbing.Hash) error {
	w := bufio.NewWriterSize(q, 1<<16)
	if _, err := packfile.NewEncoder(w, st, false).Encode(all, packWindow); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	return nil
}

// index reads the pack once and finds what is in it. A pack that is cut off or changed
// on its way is refused.
func (q *quarantine) index() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: it cannot be parsed", ErrBadPack)
		}
	}()
	if err := q.trailer(); err != nil {
		return err
	}
	if _, err := q.pack.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	var w idxfile.Writer
	parser, err := packfile.NewParser(packfile.NewScanner(q.pack), &w)
	if err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	if q.checksum, err = parser.Parse(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	if q.idx, err = w.Index(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	return nil
}

// trailer compares the pack with the checksum at its end.
func (q *quarantine) trailer() error {
	const size = sha1.Size
	if q.written < size {
		return fmt.Errorf("%w: it is cut off", ErrBadPack)
	}
	if _, err := q.pack.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	sum := sha1.New()
	if _, err := io.CopyN(sum, q.pack, q.written-size); err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	end := make([]byte, size)
	if _, err := io.ReadFull(q.pack, end); err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	if string(end) != string(sum.Sum(nil)) {
		return fmt.Errorf("%w: its checksum is wrong", ErrBadPack)
	}
	return nil
}

// over returns a view of the mirror as it will be.
func (q *quarantine) over(st *filesystem.Storage) (objects, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	return &view{st, q}, nil
}

// open lets the pack's objects be read.
func (q *quarantine) open() error {
	fs := osfs.New(packDir(q.dir), osfs.WithBoundOS())
	f, err := fs.Open(filepath.Base(q.pack.Name()))
	if err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	q.file = f
	q.in = packfile.NewPackfile(q.idx, fs, f, 0)
	return nil
}

func (q *quarantine) holds(h plumbing.Hash) bool {
	if q.idx == nil {
		return false
	}
	ok, err := q.idx.Contains(h)
	return ok && err == nil
}

// install makes the pack part of the mirror. The index comes first: go-git believes
// that every pack has one.
func (q *quarantine) install() error {
	base := filepath.Join(packDir(q.dir), "pack-"+q.checksum.String())
	f, err := os.CreateTemp(packDir(q.dir), tmpPrefix)
	if err != nil {
		return fmt.Errorf("write the pack's index: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<16)
	_, err = idxfile.NewEncoder(w).Encode(q.idx)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = q.pack.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), base+".idx")
	}
	if err != nil {
		return fmt.Errorf("write the pack's index: %w", errors.Join(err, os.Remove(f.Name())))
	}
	if err := os.Rename(q.pack.Name(), base+".pack"); err != nil {
		return fmt.Errorf("install the pack: %w", err)
	}
	return syncDir(packDir(q.dir))
}

// discard closes the pack, and removes it unless it was installed.
func (q *quarantine) discard() {
	if q.file != nil {
		_ = q.file.Close()
	}
	_ = q.pack.Close()
	_ = os.Remove(q.pack.Name()) // gone when it was installed
}

// EncodedObjectSize, EncodedObject and HasEncodedObject make an open quarantine readable.
func (q *quarantine) EncodedObjectSize(h plumbing.Hash) (int64, error) {
	offset, err := q.idx.FindOffset(h)
	if err != nil {
		return 0, err
	}
	return q.in.GetSizeByOffset(offset)
}

func (q *quarantine) EncodedObject(_ plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	return q.in.Get(h)
}

func (q *quarantine) HasEncodedObject(h plumbing.Hash) error {
	if !q.holds(h) {
		return plumbing.ErrObjectNotFound
	}
	return nil
}

// view is a storage with one more pack.
type view struct {
	*filesystem.Storage
	q *quarantine
}

func (v *view) EncodedObjectSize(h plumbing.Hash) (int64, error) {
	if !v.q.holds(h) {
		return v.Storage.EncodedObjectSize(h)
	}
	return v.q.EncodedObjectSize(h)
}

func (v *view) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	if !v.q.holds(h) {
		return v.Storage.EncodedObject(t, h)
	}
	return v.q.EncodedObject(t, h)
}

func (v *view) HasEncodedObject(h plumbing.Hash) error {
	if v.q.holds(h) {
		return nil
	}
	return v.Storage.HasEncodedObject(h)
}
