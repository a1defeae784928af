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
	keyFileSecond  = "reconciler-key/2" // of a key that was renewed
	maxKeyFileSize = 4 << 10
	keySumDigits   = 16
)

// Open reads the key, and makes the key file when there is none and none must be.
// Errors are ErrNoKey, ErrReadable and ErrKeyFile, with a sentence that says what to
// do, or those of the file system.
func Open(o KeySource) (*Keys, error) {
	if !o.Env.Empty() {
		m, err := parseKey([]byte(o.Env.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("read key from the environment: %w", err)
		}
		return newKeys(m)
	}
	if o.File == "" {
		return nil, fmt.Errorf("%w: name a key file (state.keyFile)", ErrNoKey)
	}
	m, err := readKeyFile(o.File)
	if errors.Is(err, fs.ErrNotExist) {
		if o.Existing {
			return nil, fmt.Errorf("%w: %s is gone, and the state cannot be read without it: bring it back from where you keep its copy", ErrNoKey, o.File)
		}
		m, err = makeKeyFile(o.File)
	}
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	return newKeys(m)
}

func readKeyFile(path string) (m material, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return m, err
	}
	if !info.Mode().IsRegular() {
		return m, fmt.Errorf("%s: %w: it is no regular file", path, ErrKeyFile)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return m, fmt.Errorf("%w: %s has mode %04o; run: chmod 600 %s", ErrReadable, path, perm, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFileSize+1))
	if err != nil {
		return m, err
	}
	if len(data) > maxKeyFileSize {
		return m, fmt.Errorf("%s: %w: it is over %d bytes long", path, ErrKeyFile, maxKeyFileSize)
	}
	if m, err = parseKeyFile(data); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// formatKeyFile writes a key as its file: a first line that names the format, then
// comments, the key, and a sum that finds a key that was copied badly. A key that was
// renewed has the second format: versions before would take its fingerprints for others.
func formatKeyFile(m material) []byte {
	var b bytes.Buffer
	line := func(name string, value []byte) {
		if value != nil {
			fmt.Fprintln(&b, name, base64.StdEncoding.EncodeToString(value))
		}
	}
	fmt.Fprintln(&b, m.format())
	fmt.Fprintln(&b, "# The key of this installation: without it neither the state nor a backup of it can be read.")
	fmt.Fprintln(&b, "# Keep a copy in a safe place, apart from the backups.")
	line("key", m.master)
	line("fingerprints", m.finger)
	line("before", m.before)
	fmt.Fprintln(&b, "sum", m.sum())
	return b.Bytes()
}

func (m material) format() string {
	if m.finger != nil || m.before != nil {
		return keyFileSecond
	}
	return keyFileFirst
}

func (m material) sum() string {
	all := append([]byte(m.format()+"\x00"), m.master...)
	if m.format() != keyFileFirst { // which of them is there is part of it
		all = append(append(append(all, byte(len(m.finger))), m.finger...), m.before...)
	}
	h := sha256.Sum256(all)
	return hex.EncodeToString(h[:])[:keySumDigits]
}

// parseKeyFile never quotes what it read: it may be the key.
func parseKeyFile(data []byte) (m material, err error) {
	lines := strings.Split(string(data), "\n")
	format := strings.TrimSpace(lines[0])
	switch {
	case format == keyFileFirst, format == keyFileSecond:
	case strings.HasPrefix(format, "reconciler-key/"):
		return m, fmt.Errorf("%w: a newer version of this program wrote it", ErrKeyFile)
	default:
		return m, fmt.Errorf("%w: its first line must be %q", ErrKeyFile, keyFileFirst)
	}
	values := map[string]string{}
	for n, line := range lines[1:] {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		_, twice := values[name]
		known := name == "key" || name == "sum" || format == keyFileSecond && (name == "fingerprints" || name == "before")
		if !known || twice {
			return m, fmt.Errorf("%w: line %d is neither its key nor its sum", ErrKeyFile, n+2)
		}
		values[name] = strings.TrimSpace(value)
	}
	read := func(name string) []byte {
		text, there := values[name]
		if !there && name != "key" {
			return nil
		}
		raw, failed := base64.StdEncoding.Strict().DecodeString(text)
		if failed != nil || len(raw) != keySize {
			err = fmt.Errorf("%w: the key must be %d bytes in base64", ErrKeyFile, keySize)
		}
		return raw
	}
	m = material{master: read("key"), finger: read("fingerprints"), before: read("before")}
	if err != nil {
		return material{}, err
	}
	if values["sum"] != m.sum() || m.format() != format {
		return material{}, fmt.Errorf("%w: key and sum do not fit together, so one of them was changed; bring the file back from its copy", ErrKeyFile)
	}
	return m, nil
}

// parseKey reads the spellings that a key has outside of a file.
func parseKey(text []byte) (material, error) {
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("reconciler-key/")) {
		return parseKeyFile(text)
	}
	if len(text) == hex.EncodedLen(keySize) {
		if master, err := hex.DecodeString(string(text)); err == nil {
			return material{master: master}, nil
		}
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if master, err := e.Strict().DecodeString(string(text)); err == nil && len(master) == keySize {
			return material{master: master}, nil
		}
	}
	return material{}, fmt.Errorf("%w: it must be %d random bytes as base64 or as %d hex digits (openssl rand -base64 %d)", ErrKeyFile, keySize, 2*keySize, keySize)
}

// makeKeyFile makes a key and its file, whole or not at all. When another process
// was first, its key is taken.
func makeKeyFile(path string) (m material, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return m, err
	}
	if m.master, err = newMaster(); err != nil {
		return m, err
	}
	temp, err := writeTemp(dir, formatKeyFile(m))
	if err != nil {
		return m, err
	}
	defer func() { _ = os.Remove(temp) }() // the link, if made, stays
	// A link, unlike a rename, never replaces a key that came to be in between.
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return readKeyFile(path)
	} else if err != nil {
		return m, err
	}
	return m, syncDir(dir)
}

func newMaster() ([]byte, error) {
	master := make([]byte, keySize)
	if _, err := rand.Read(master); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return master, nil
}

// writeTemp writes a file of a name of its own, with mode 0600, to the disk.
func writeTemp(dir string, data []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, ".key-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error says why
		return "", fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return f.Name(), nil
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
