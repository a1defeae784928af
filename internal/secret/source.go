package secret

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// Errors of reading the key.
var (
	// ErrNoKey: there is no key where one must be.
	ErrNoKey = errors.New("no key")
	// ErrReadable: others may read the key file.
	ErrReadable = errors.New("others may read the key file")
	// ErrKeyFile: the key file is not one, or was changed.
	ErrKeyFile = errors.New("not a usable key")
)

// KeySource says where the installation's key is.
type KeySource struct {
	// File is the key file. It is made on first use, with mode 0600.
	File string
	// Env is the key itself (32 bytes as base64 or 64 hex digits, or a key file's
	// whole text). It wins over File.
	Env state.Secret
	// Existing: there is sealed data already, so a key that is not there must be
	// brought back, never made anew.
	Existing bool
}

const (
	keyFileFirst   = "reconciler-key/1"
	maxKeyFileSize = 4 << 10
	keySumDigits   = 16
)

// Open reads the key, and makes the key file when there is none and none must be.
// Errors are ErrNoKey, ErrReadable and ErrKeyFile, with a sentence that says what to
// do, or those of the file system.
func Open(o KeySource) (*Keys, error) {
	if !o.Env.Empty() {
		master, err := parseKey([]byte(o.Env.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("read key from the environment: %w", err)
		}
		return newKeys(master)
	}
	if o.File == "" {
		return nil, fmt.Errorf("%w: name a key file (state.keyFile)", ErrNoKey)
	}
	master, err := readKeyFile(o.File)
	if errors.Is(err, fs.ErrNotExist) {
		if o.Existing {
			return nil, fmt.Errorf("%w: %s is gone, and the state cannot be read without it: bring it back from where you keep its copy", ErrNoKey, o.File)
		}
		master, err = makeKeyFile(o.File)
	}
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	return newKeys(master)
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is no regular file", path, ErrKeyFile)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; run: chmod 600 %s", ErrReadable, path, perm, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFileSize {
		return nil, fmt.Errorf("%s: %w: it is over %d bytes long", path, ErrKeyFile, maxKeyFileSize)
	}
	master, err := parseKeyFile(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return master, nil
}

// formatKeyFile writes a key as its file: a first line that names the format, then
// comments, the key, and a sum that finds a key that was copied badly.
func formatKeyFile(master []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, keyFileFirst)
	fmt.Fprintln(&b, "# The key of this installation: without it neither the state nor a backup of it can be read.")
	fmt.Fprintln(&b, "# Keep a copy in a safe place, apart from the backups.")
	fmt.Fprintln(&b, "key", base64.StdEncoding.EncodeToString(master))
	fmt.Fprintln(&b, "sum", keySum(master))
	return b.Bytes()
}

func keySum(master []byte) string {
	h := sha256.Sum256(append([]byte(keyFileFirst+"\x00"), master...))
	return hex.EncodeToString(h[:])[:keySumDigits]
}

// parseKeyFile never quotes what it read: it may be the key.
func parseKeyFile(data []byte) ([]byte, error) {
	lines := strings.Split(string(data), "\n")
	switch first := strings.TrimSpace(lines[0]); {
	case first == keyFileFirst:
	case strings.HasPrefix(first, "reconciler-key/"):
		return nil, fmt.Errorf("%w: a newer version of this program wrote it", ErrKeyFile)
	default:
		return nil, fmt.Errorf("%w: its first line must be %q", ErrKeyFile, keyFileFirst)
	}
	var key, sum string
	for n, line := range lines[1:] {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		switch {
		case name == "key" && key == "":
			key = strings.TrimSpace(value)
		case name == "sum" && sum == "":
			sum = strings.TrimSpace(value)
		default:
			return nil, fmt.Errorf("%w: line %d is neither its key nor its sum", ErrKeyFile, n+2)
		}
	}
	master, err := base64.StdEncoding.Strict().DecodeString(key)
	if err != nil || len(master) != keySize {
		return nil, fmt.Errorf("%w: the key must be %d bytes in base64", ErrKeyFile, keySize)
	}
	if sum != keySum(master) {
		return nil, fmt.Errorf("%w: key and sum do not fit together, so one of them was changed; bring the file back from its copy", ErrKeyFile)
	}
	return master, nil
}

// parseKey reads the spellings that a key has outside of a file.
func parseKey(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("reconciler-key/")) {
		return parseKeyFile(text)
	}
	if len(text) == hex.EncodedLen(keySize) {
		if master, err := hex.DecodeString(string(text)); err == nil {
			return master, nil
		}
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if master, err := e.Strict().DecodeString(string(text)); err == nil && len(master) == keySize {
			return master, nil
		}
	}
	return nil, fmt.Errorf("%w: it must be %d random bytes as base64 or as %d hex digits (openssl rand -base64 %d)", ErrKeyFile, keySize, 2*keySize, keySize)
}

// makeKeyFile makes a key and its file, whole or not at all. When another process
// was first, its key is taken.
func makeKeyFile(path string) ([]byte, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	master := make([]byte, keySize)
	if _, err := rand.Read(master); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // the link, if made, stays
	_, err = f.Write(formatKeyFile(master))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", f.Name(), err)
	}
	// A link, unlike a rename, never replaces a key that came to be in between.
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return readKeyFile(path)
	} else if err != nil {
		return nil, err
	}
	return master, syncDir(dir)
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
