package sources

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// ageFile is a document that age encrypted, as it is or armored.
type ageFile struct {
	path    string
	keyFile string
	now     func() time.Time
}

// Errors of age files. age's own words may repeat a line of the identities.
var (
	errNoAge      = errors.New("it is damaged, or no file that age made")
	errNoMatch    = errors.New("no identity in keyFile opens it")
	errIdentities = errors.New("keyFile has no age identity, or a line in it is none (age-keygen makes one)")
)

func (a ageFile) stamp() string { return stampOf(a.now(), a.path, a.keyFile) }

func (a ageFile) load(context.Context) (found, error) {
	keys, mode, err := readFile(a.keyFile, maxKeys)
	if err != nil {
		return found{}, fmt.Errorf("keyFile %s: %w", a.keyFile, err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(keys))
	if err != nil || len(identities) == 0 {
		return found{}, errIdentities
	}
	data, _, err := readFile(a.path, MaxDocument)
	if err != nil {
		return found{}, err
	}
	plain, err := decrypt(data, identities)
	if err != nil {
		return found{}, err
	}
	out, err := parseYAML(a.path, plain)
	if err == nil && mode.Perm()&0o077 != 0 {
		out.notes.add("secrets: %s may be read by other users of this machine (mode %04o); run: chmod 600 %s", a.keyFile, mode.Perm(), a.keyFile)
	}
	return out, err
}

// decrypt opens a whole file; nothing of one that was changed or cut comes out.
func decrypt(data []byte, identities []age.Identity) ([]byte, error) {
	var in io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header)) {
		in = armor.NewReader(in)
	}
	r, err := age.Decrypt(in, identities...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, errNoMatch
	case err != nil:
		return nil, errNoAge
	}
	plain, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	switch {
	case err != nil:
		return nil, errNoAge
	case len(plain) > MaxDocument:
		return nil, errDocument
	}
	return plain, nil
}

// readFile reads a regular file of at most so many bytes.
func readFile(path string, most int64) ([]byte, os.FileMode, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("it is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, 0, reason(err)
	case int64(len(data)) > most:
		return nil, 0, fmt.Errorf("it is larger than %d MiB", most>>20)
	}
	return data, info.Mode(), nil
}

// stampOf tells changed files from unchanged ones; "": it can't be told now.
func stampOf(now time.Time, paths ...string) string {
	out := ""
	for _, p := range paths {
		if p == "" {
			continue
		}
		info, err := os.Stat(p)
		if err != nil || now.Sub(info.ModTime()) < settled {
			return ""
		}
		out += fmt.Sprintln(p, info.Size(), info.ModTime().UnixNano(), info.Mode())
	}
	return out
}
