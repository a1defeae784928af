package underway

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// suffix ends the files' names, so that no id is a name of its own kind (".", "..").
const suffix = ".pass"

// Folder is where marks are. It is made with the first one.
type Folder string

// Begin marks a client. Marking it again changes nothing.
func (f Folder) Begin(id state.ClientID) error {
	file, err := os.OpenFile(f.path(id), os.O_CREATE|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(string(f), 0o700); err != nil {
			return fmt.Errorf("mark %s: %w", id, err)
		}
		file, err = os.OpenFile(f.path(id), os.O_CREATE|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return fmt.Errorf("mark %s: %w", id, err)
	}
	return file.Close()
}

// End takes a mark away. One that is not there is fine.
func (f Folder) End(id state.ClientID) error {
	if err := os.Remove(f.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take the mark of %s away: %w", id, err)
	}
	return nil
}

// Left returns who is marked, sorted. Other files are no marks.
func (f Folder) Left() ([]state.ClientID, error) {
	files, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the marks: %w", err)
	}
	var out []state.ClientID
	for _, file := range files {
		name, is := strings.CutSuffix(file.Name(), suffix)
		id, err := url.PathUnescape(name)
		if is && err == nil && url.PathEscape(id) == name {
			out = append(out, state.ClientID(id))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (f Folder) path(id state.ClientID) string {
	return filepath.Join(string(f), url.PathEscape(string(id))+suffix)
}
