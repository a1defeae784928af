package bolt

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/store"
)

// ErrExists: a restore would have to replace a state.
var ErrExists = errors.New("there is a state already")

// A backup is a line that names the format, a line of JSON (BackupInfo), the state
// file's bytes, and a line with the SHA-256 of everything before it. Its records are
// as sealed as the state's; the key is not in it.
const (
	backupFirst   = "reconciler-backup/1\n"
	maxBackupHead = 4 << 10
)

// BackupInfo is what a backup says of itself.
type BackupInfo struct {
	Schema int       `json:"schema"`
	Key    string    `json:"key"` // secret.Keys.Check
	At     time.Time `json:"at"`
	Size   int64     `json:"size"` // bytes of the state
	Epoch  uint64    `json:"epoch,omitempty"`
}

// Backup writes a snapshot of one moment, while the state is in use. A writer that
// makes the file grow beyond 256 MiB waits for it, so w should be a file, not a
// slow line.
func (s *Store) Backup(w io.Writer) error {
	err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			h, err := readHeader(tx)
			if err != nil {
				return err
			}
			return writeBackup(w, BackupInfo{Schema: h.Schema, Key: h.Key, At: s.now().UTC(), Size: tx.Size(), Epoch: h.Epoch}, tx)
		})
	})
	if err != nil {
		return fmt.Errorf("back up state: %w", err)
	}
	return nil
}

func writeBackup(w io.Writer, info BackupInfo, state io.WriterTo) error {
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	head, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, backupFirst+string(head)+"\n"); err != nil {
		return err
	}
	n, err := state.WriteTo(out)
	if err != nil {
		return err
	}
	if n != info.Size {
		return fmt.Errorf("%d of %d bytes were copied", n, info.Size)
	}
	_, err = io.WriteString(w, hex.EncodeToString(sum.Sum(nil))+"\n")
	return err
}

// CheckBackup verifies a backup as Restore does, and leaves nothing behind. It needs
// room for a copy beside it.
func CheckBackup(from string, keys *secret.Keys) (BackupInfo, error) {
	dir, err := os.MkdirTemp(filepath.Dir(from), ".check-backup-*")
	if err != nil {
		return BackupInfo{}, fmt.Errorf("check backup: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // only a copy
	info, err := unpack(from, filepath.Join(dir, "state.db"), keys)
	if err != nil {
		return info, fmt.Errorf("check backup %s: %w", from, err)
	}
	return info, nil
}

// Restore puts a backup's state in its place, after every record of it was opened.
// It refuses to replace a state (ErrExists), and one that is in use (*HeldError).
func Restore(from, to string, keys *secret.Keys) error {
	_, err := restore(from, to, keys, false)
	return err
}

// Replace is Restore in the place of a state that is there. The old one is kept; the
// path of what it is now is returned, "" when there was none.
func Replace(from, to string, keys *secret.Keys) (kept string, err error) {
	return restore(from, to, keys, true)
}

func restore(from, to string, keys *secret.Keys, over bool) (kept string, err error) {
	fail := func(err error) (string, error) { return kept, fmt.Errorf("restore %s: %w", to, classify(err)) }
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fail(err)
	}
	held, err := lock(to, defaultTimeout, time.Time{})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = unlock(held) }() // everything is synced by itself
	there, err := exists(to)
	if err != nil {
		return fail(err)
	}
	if there && !over {
		return fail(ErrExists)
	}
	temp := to + ".restore"
	defer func() { _ = os.Remove(temp) }() // gone already once renamed
	info, err := unpack(from, temp, keys)
	if err != nil {
		return fail(fmt.Errorf("from %s: %w", from, err))
	}
	// The marker comes first: cut off in between, the next start must not make an
	// empty state, and must know that what it finds came back.
	known, err := readEpoch(Marker(to))
	if err != nil {
		return fail(err)
	}
	if err := writeMarker(to, info.At, max(known, info.Epoch)+1, true); err != nil {
		return fail(err)
	}
	if there {
		if kept, err = keep(to); err != nil {
			return fail(err)
		}
	}
	if err := replace(temp, to); err != nil {
		return fail(err)
	}
	return kept, nil
}

// maxKept bounds how many replaced states lie beside one.
const maxKept = 100

// keep gives the state that is there another name, which nothing has.
func keep(path string) (string, error) {
	for n := 1; n <= maxKept; n++ {
		kept := fmt.Sprintf("%s.replaced-%d", path, n)
		there, err := exists(kept)
		if err != nil {
			return "", err
		}
		if !there {
			return kept, replace(path, kept)
		}
	}
	return "", fmt.Errorf("%d replaced states lie beside it already: remove some", maxKept)
}

// unpack copies a backup's state to a new file and verifies it there.
func unpack(from, to string, keys *secret.Keys) (BackupInfo, error) {
	f, err := os.Open(from)
	if err != nil {
		return BackupInfo{}, err
	}
	defer func() { _ = f.Close() }() // only read
	sum := sha256.New()
	in := bufio.NewReaderSize(f, maxBackupHead)
	info, err := readInfo(in, sum)
	if err != nil {
		return info, err
	}
	if keys.For(info.Key) == nil {
		return info, fmt.Errorf("%w: use the key that the state had when it was backed up", secret.ErrWrongKey)
	}
	if err := copyState(in, sum, to, info.Size); err != nil {
		return info, err
	}
	trailer, err := io.ReadAll(io.LimitReader(in, maxBackupHead))
	if err != nil {
		return info, err
	}
	if string(trailer) != hex.EncodeToString(sum.Sum(nil))+"\n" {
		return info, fmt.Errorf("%w: the backup was changed or cut off: its checksum does not fit", store.ErrDamaged)
	}
	return info, verifyFile(to, keys)
}

func readInfo(in *bufio.Reader, sum hash.Hash) (BackupInfo, error) {
	var info BackupInfo
	for n := range 2 {
		line, err := in.ReadSlice('\n')
		if n == 0 && string(line) != backupFirst {
			return info, fmt.Errorf("%w: the file is no backup that this version can read", ErrForeign)
		}
		if err != nil {
			return info, fmt.Errorf("%w: the backup is cut off", store.ErrDamaged)
		}
		_, _ = sum.Write(line) // a hash never fails
		if n == 1 {
			if err := json.Unmarshal(line, &info); err != nil || info.Size <= 0 {
				return info, fmt.Errorf("%w: the head of the backup", store.ErrDamaged)
			}
		}
	}
	return info, nil
}

func copyState(in io.Reader, sum io.Writer, to string, size int64) error {
	if err := os.Remove(to); err != nil && !os.IsNotExist(err) {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.MultiWriter(out, sum), in, size)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: the backup is cut off", store.ErrDamaged)
	}
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return classify(err)
}

// verifyFile verifies a state that nobody has open, without changing it.
func verifyFile(path string, keys *secret.Keys) error {
	db, err := openDB(path, true, true, defaultTimeout)
	if err != nil {
		return err
	}
	s := &Store{db: db, keys: keys, path: path}
	err = guard(func() error { return s.checkHeader(len(migrations())) })
	if err == nil {
		err = s.View(func(tx store.Tx) error { return verifyRecords(tx.(*transaction)) })
	}
	if err == nil {
		err = verifyStructure(db)
	}
	if cerr := s.closeDB(); err == nil {
		err = cerr
	}
	return err
}
