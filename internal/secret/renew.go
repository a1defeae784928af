package secret

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A new key takes the old one's place in three steps, each whole or not at all: Renew puts
// it into the key file beside the old one, whoever keeps sealed data seals it anew, and
// Renewed takes the old one out. Cut off anywhere, the file opens what there is: what is
// sealed says under which of the two (Keys.For). Fingerprints stay what they were: they are
// on record, and marks at providers bear one.

// Renew puts a new key into a key file and returns it. A file in which one is on its way
// already stays. The old file is kept beside it: backups that were made before need it. kept
// is its path.
func Renew(file string) (k *Keys, kept string, err error) {
	fail := func(err error) (*Keys, string, error) { return nil, "", fmt.Errorf("renew key: %w", err) }
	m, err := readKeyFile(file)
	if err != nil {
		return fail(err)
	}
	if m.before != nil {
		old, err := derived(m.before)
		if err != nil {
			return fail(err)
		}
		if k, err = newKeys(m); err != nil {
			return fail(err)
		}
		return k, keptAs(file, old), nil
	}
	old, err := newKeys(m)
	if err != nil {
		return fail(err)
	}
	kept = keptAs(file, old)
	if err := os.Link(file, kept); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(err)
	}
	m.before, m.finger = m.master, old.finger
	if m.master, err = newMaster(); err != nil {
		return fail(err)
	}
	if err := replaceKeyFile(file, m); err != nil {
		return fail(err)
	}
	k, err = newKeys(m)
	if err != nil {
		return fail(err)
	}
	return k, kept, nil
}

// keptAs is where the file of a key that was renewed is kept.
func keptAs(file string, old *Keys) string {
	return file + ".before-" + hex.EncodeToString(old.check[:keyIDSize])
}

// Renewed takes the key before out of a key file: nothing is sealed under it any more.
func Renewed(file string) error {
	m, err := readKeyFile(file)
	if err == nil && m.before != nil {
		m.before = nil
		err = replaceKeyFile(file, m)
	}
	if err != nil {
		return fmt.Errorf("renew key: %w", err)
	}
	return nil
}

func replaceKeyFile(path string, m material) error {
	dir := filepath.Dir(path)
	temp, err := writeTemp(dir, formatKeyFile(m))
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp) // the first error says why
		return err
	}
	return syncDir(dir)
}
