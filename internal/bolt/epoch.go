package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/store"
)

// An old state that was put back looks like any other. So every process counts one up
// with the first thing that it writes, in the same transaction, and notes the number in
// the marker once it is durable. A state that is behind its marker is one that was
// written to since: a copy that came back. It is opened, and says so in a record
// (store.Restored), which whoever acts on it must look at first.
//
// The marker may be behind the state (the program was cut off between the two, or the
// disk was full): then nothing is known of older copies, and it catches up with the next
// write. A copy of the whole folder, marker and all, is not told apart.

// epochLine begins the line of the marker that says the number.
const epochLine = "epoch "

// maxMarker bounds what is read of a marker.
const maxMarker = 4 << 10

func writeMarker(path string, now time.Time, epoch uint64, sync bool) error {
	text := fmt.Appendf(nil, "A state is expected in %s since %s.\nIf it is gone: reconciler restore FILE, or reconciler rebuild. Removing this file makes the program start with an empty state.\n%s%d\n",
		filepath.Base(path), now.UTC().Format(time.RFC3339), epochLine, epoch)
	if !sync {
		return os.WriteFile(Marker(path), text, 0o600)
	}
	return writeFile(Marker(path), text)
}

// readEpoch is what a marker says: 0 when there is none, or an older one.
func readEpoch(marker string) (uint64, error) {
	info, err := os.Stat(marker)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil && info.Size() > maxMarker {
		err = fmt.Errorf("%s has %d bytes: it is no marker of a state", marker, info.Size())
	}
	if err != nil {
		return 0, err
	}
	data, err := os.ReadFile(marker)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), epochLine); ok {
			epoch, err := strconv.ParseUint(n, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: its epoch can't be read: %w", marker, err)
			}
			return epoch, nil
		}
	}
	return 0, nil
}

// begin counts up, with the first transaction of this process.
func (s *Store) begin(tx *bbolt.Tx) error {
	if s.epoch > 0 {
		return nil
	}
	h, err := readHeader(tx)
	if err != nil {
		return err
	}
	h.Epoch = max(h.Epoch, s.known) + 1
	return putHeader(tx, h)
}

// mark notes in the marker what was committed. Who can't (the disk is full) tries again
// with the next commit: what was committed is committed.
func (s *Store) mark() {
	if s.epoch == 0 {
		err := s.db.View(func(tx *bbolt.Tx) error {
			h, err := readHeader(tx)
			s.epoch = h.Epoch
			return err
		})
		if err != nil {
			return
		}
	}
	if !s.marked {
		s.marked = writeMarker(s.path, s.now(), s.epoch, !s.noSync) == nil
	}
}

// recognise notes in a state that is behind its marker that it came back.
func (s *Store) recognise() error {
	behind := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		h, err := readHeader(tx)
		behind = h.Epoch < s.known
		return err
	})
	if err != nil || !behind {
		return err
	}
	return s.Update(func(tx store.Tx) error { return store.PutRestored(tx, s.now()) })
}
