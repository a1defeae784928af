package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// folder is files, FOLDER/OWNER/NAME. Names that begin with a dot are passed over: there
// the systems that put secrets into folders keep what the links beside them lead to.
type folder struct {
	path string
	now  func() time.Time
}

// place is a file that is a secret by where it is.
type place struct{ owner, name string }

func (p place) path() string { return path.Join(p.owner, p.name) }

// stray is what stands where no secret is looked for.
type stray struct {
	n     int
	first string
}

func (s *stray) add(name string) {
	if s.n++; s.first == "" {
		s.first = name
	}
}

// within opens the folder. What is opened in it can't lead out of it.
func (f folder) within() (*os.Root, error) {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return nil, reason(err)
	}
	return root, nil
}

// list finds the files, sorted, and what is no place for a secret.
func (f folder) list(root *os.Root) (out []place, odd stray, err error) {
	owners, err := entries(root, ".")
	if err != nil {
		return nil, odd, err
	}
	for _, owner := range owners {
		info, err := root.Stat(owner)
		switch {
		case err != nil && isLink(root, owner):
			odd.add(owner) // it leads out of the folder, or nowhere
			continue
		case err != nil:
			return nil, odd, fmt.Errorf("%q: %w", owner, reason(err))
		case !info.IsDir() || !ownerShape.MatchString(owner):
			odd.add(owner)
			continue
		}
		names, err := entries(root, owner)
		if err != nil {
			return nil, odd, fmt.Errorf("%q: %w", owner, err)
		}
		for _, name := range names {
			if !nameShape.MatchString(name) {
				odd.add(owner + "/" + name)
				continue
			}
			if len(out) == MaxEntries {
				return nil, odd, errTooMany
			}
			out = append(out, place{owner, name})
		}
	}
	return out, odd, nil
}

// entries are the names in a folder, sorted, but those that begin with a dot.
func entries(root *os.Root, name string) ([]string, error) {
	d, err := root.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer d.Close()
	names, err := d.Readdirnames(MaxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, reason(err)
	}
	if len(names) > MaxEntries {
		return nil, errTooMany
	}
	names = slices.DeleteFunc(names, func(s string) bool { return strings.HasPrefix(s, ".") })
	slices.Sort(names)
	return names, nil
}

func (f folder) stamp() string {
	root, err := f.within()
	if err != nil {
		return ""
	}
	defer root.Close()
	places, odd, err := f.list(root)
	if err != nil {
		return ""
	}
	h := sha256.New()
	_, _ = fmt.Fprintln(h, odd) // a hash never fails
	for _, p := range places {
		info, err := root.Stat(p.path())
		if err != nil {
			_, _ = fmt.Fprintln(h, p.path(), "?")
			continue
		}
		if f.now().Sub(info.ModTime()) < settled {
			return ""
		}
		_, _ = fmt.Fprintln(h, p.path(), info.Size(), info.ModTime().UnixNano(), info.Mode())
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (f folder) load(ctx context.Context) (found, error) {
	root, err := f.within()
	if err != nil {
		return found{}, err
	}
	defer root.Close()
	places, odd, err := f.list(root)
	if err != nil {
		return found{}, err
	}
	var out found
	var open stray
	for _, p := range places {
		if ctx.Err() != nil {
			return found{}, context.Cause(ctx)
		}
		x := state.OutsideSecret{Owner: p.owner, Name: p.name, Place: filepath.Join(f.path, p.owner, p.name)}
		text, mode, err := readWithin(root, p.path())
		switch {
		case errors.Is(err, fs.ErrNotExist) && !isLink(root, p.path()):
			continue // it went after it was listed
		case err != nil && mode == 0 && isLink(root, p.path()):
			x.Problem = "it is a link that leads out of the folder, or nowhere"
		case err != nil:
			x.Problem = err.Error()
		default:
			x = use(x, trimLine(text))
		}
		if mode.Perm()&0o027 != 0 {
			open.add(p.path())
		}
		out.secrets = append(out.secrets, x)
	}
	if open.n > 0 {
		out.notes.add("secrets: %s below %s may be read or changed by other users of this machine, the first is %s; run: chmod -R u=rwX,go= %s", count(open.n, "file", "files"), f.path, open.first, f.path)
	}
	if odd.n > 0 {
		out.notes.add("secrets: below %s %s not read, the first is %q: secrets are CLIENT/NAME or shared/NAME, in small letters, digits and hyphens", f.path, count(odd.n, "entry is", "entries are"), odd.first)
	}
	return out, nil
}

func isLink(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// readWithin reads one file: a regular one, and no more of it than a value may have and a
// line end.
func readWithin(root *os.Root, name string) ([]byte, fs.FileMode, error) {
	// What is no file (a pipe that nobody writes to) must not be waited for.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, reason(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, info.Mode(), errors.New("it is no regular file")
	}
	text, err := io.ReadAll(io.LimitReader(file, MaxValue+3))
	if err != nil {
		return nil, info.Mode(), reason(err)
	}
	return text, info.Mode(), nil
}

// trimLine takes one line end off the end.
func trimLine(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
		if n > 1 && text[n-2] == '\r' {
			text = text[:n-2]
		}
	}
	return text
}

// reason is an error of the file system without the path, which is told beside it.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
