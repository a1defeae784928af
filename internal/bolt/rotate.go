package bolt

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/secret"
)

// backupTime names backups so that their order is that of their names.
const backupTime = "20060102T150405Z"

// part ends the name of a backup that is not verified yet.
const part = ".part"

// ourBackup is a name that BackupInto gives; nothing else is ever removed.
var ourBackup = regexp.MustCompile(`^state-\d{8}T\d{6}Z\.backup$`)

// BackupTo writes a backup to a file, while the state is in use. It bears its name once
// it is whole, on the disk, and was opened: every record of it. A backup that had
// the name before stays until then; what is no backup is refused, and stays.
func (s *Store) BackupTo(path string) error {
	if err := replaceable(path); err != nil {
		return fmt.Errorf("back up state: %w", err)
	}
	temp := path + part
	defer func() { _ = os.Remove(temp) }() // gone already once renamed
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("back up state: %w", err)
	}
	err = s.Backup(f)
	if err == nil {
		err = classify(f.Sync())
	}
	if err = errors.Join(err, classify(f.Close())); err != nil {
		return fmt.Errorf("back up state to %s: %w", path, err)
	}
	if _, err := CheckBackup(temp, s.keys); err != nil {
		return fmt.Errorf("back up state to %s: the copy does not open, and is dropped: %w", path, err)
	}
	s.at(PointBackup)
	if err := replace(temp, path); err != nil {
		return fmt.Errorf("back up state to %s: %w", path, err)
	}
	s.at(PointBackedUp)
	return nil
}

// replaceable refuses a path at which there is something else than a backup: the state itself,
// say, its key, or a folder.
func replaceable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder: name a file in it", path)
	case info.Mode().IsRegular() && info.Size() == 0:
		return nil // nothing is lost
	case info.Mode().IsRegular():
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only read
		first := make([]byte, len(backupFirst))
		if n, err := io.ReadFull(f, first); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		} else if string(first[:n]) == backupFirst {
			return nil
		}
	}
	return fmt.Errorf("%s is there already, and no backup: name another file", path)
}

// BackupInto makes a backup in a folder and drops the oldest beyond keep, of those of this
// state: another installation may keep its own there. Nothing is dropped unless the new one was verified.
func (s *Store) BackupInto(dir string, keep int) (path string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("back up state: %w", err)
	}
	path = filepath.Join(dir, "state-"+s.now().UTC().Format(backupTime)+".backup")
	if err := s.BackupTo(path); err != nil {
		return "", err
	}
	names, halves, err := backups(dir, s.keys, s.now())
	if err != nil {
		return path, err
	}
	for _, half := range halves {
		if err := os.Remove(filepath.Join(dir, half)); err != nil {
			return path, fmt.Errorf("remove half a backup: %w", err)
		}
	}
	for len(names) > max(keep, 1) {
		old := names[0]
		names = names[1:]
		if old == filepath.Base(path) {
			continue // a clock that was set back: the newest is the one that was just made
		}
		if err := os.Remove(filepath.Join(dir, old)); err != nil {
			return path, fmt.Errorf("drop an old backup: %w", err)
		}
	}
	return path, nil
}

// halfLeft is how old half a backup is that nobody is at work on any more.
const halfLeft = 24 * time.Hour

// backups lists the names of those in a folder that a key of ours opens, the oldest first, and what a killed
// process left half written: of ours, or long ago, where it does not say of whom.
func backups(dir string, keys *secret.Keys, now time.Time) (whole, halves []string, err error) {
	all, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, nil, fmt.Errorf("list backups: %w", err)
	}
	for _, e := range all {
		name, half := strings.CutSuffix(e.Name(), part)
		if !e.Type().IsRegular() || !ourBackup.MatchString(name) {
			continue
		}
		switch key := keyOf(filepath.Join(dir, e.Name())); {
		case key == "" && half:
			if made, err := madeAt(name); err == nil && now.Sub(made) > halfLeft {
				halves = append(halves, e.Name())
			}
		case key == "" || keys.For(key) == nil:
		case half:
			halves = append(halves, e.Name())
		default:
			whole = append(whole, name)
		}
	}
	return whole, halves, nil
}

// keyOf is the name of the key that a backup was sealed with; "": its head can't be read.
func keyOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read
	info, err := readInfo(bufio.NewReader(f), sha256.New())
	if err != nil {
		return ""
	}
	return info.Key
}

// madeAt is when a backup of that name was begun.
func madeAt(name string) (time.Time, error) { return time.Parse("state-"+backupTime+".backup", name) }

// LastBackup is when the newest backup of these keys in a folder was made; zero: there is none.
func LastBackup(dir string, keys *secret.Keys) (time.Time, error) {
	names, _, err := backups(dir, keys, time.Time{})
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return madeAt(names[len(names)-1])
}
