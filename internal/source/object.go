package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// kind is what an entry of a folder is.
type kind string

// The kinds. Only regular files are read.
const (
	regular    kind = ""
	folder     kind = "folder"
	executable kind = "executable"
	link       kind = "link"
	module     kind = "module"
)

// entry is one line of a folder's listing.
type entry struct {
	name string
	kind kind
	hash plumbing.Hash
}

func (e entry) odd() bool { return e.kind != regular && e.kind != folder }

// id is what callers name the content by: a blob id, or what Blob refuses.
func (e entry) id() string {
	if e.kind == regular {
		return e.hash.String()
	}
	return string(e.kind) + ":" + e.hash.String()
}

// key orders entries as Git does: a folder as if its name ended with a slash.
func (e entry) key() string {
	if e.kind == folder {
		return e.name + "/"
	}
	return e.name
}

// objects is what a reader reads from.
type objects interface {
	EncodedObjectSize(h plumbing.Hash) (int64, error)
	EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error)
	HasEncodedObject(h plumbing.Hash) error
}

// reader reads whole objects and checks that they are what their ids say.
type reader struct {
	st    objects
	count *atomic.Uint64

	pulls objects // what pull requests brought, asked when st has it not; nil: it is not asked
	trail *trail  // with pulls
}

// trail is what one read of pull requests' objects came by.
type trail struct {
	foreign bool            // something was read that the mirror has not
	roots   []plumbing.Hash // commits of the mirror whose trees were read
}

// foreign says that an object is not the mirror's, and may be a pull request's.
func (r reader) foreign(h plumbing.Hash) bool {
	if r.pulls == nil || !errors.Is(r.st.HasEncodedObject(h), plumbing.ErrObjectNotFound) || errors.Is(r.pulls.HasEncodedObject(h), plumbing.ErrObjectNotFound) {
		return false
	}
	r.trail.foreign = true
	return true
}

// has returns nil when an object is there. Unlike get it asks for a pull request's first:
// that is quicker while its pack is looked through.
func (r reader) has(h plumbing.Hash) error {
	if r.pulls == nil {
		return r.st.HasEncodedObject(h)
	}
	r.trail.foreign = true
	err := r.pulls.HasEncodedObject(h)
	if err == nil {
		return nil
	}
	own := r.st.HasEncodedObject(h)
	if errors.Is(own, plumbing.ErrObjectNotFound) && !errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("%w: %w", errPulls, err)
	}
	return own
}

// get returns an object's content. plumbing.ErrObjectNotFound says that it is not there,
// ErrDamaged that it is there and broken, errPulls the same of a pull request's object.
func (r reader) get(t plumbing.ObjectType, h plumbing.Hash, most int64) ([]byte, error) {
	if r.count != nil {
		r.count.Add(1)
	}
	if !r.foreign(h) {
		return getFrom(r.st, t, h, most)
	}
	content, err := getFrom(r.pulls, t, h, most)
	if errors.Is(err, ErrDamaged) {
		return nil, fmt.Errorf("read %s: %w", h, errPulls)
	}
	return content, err
}

func getFrom(st objects, t plumbing.ObjectType, h plumbing.Hash, most int64) (content []byte, err error) {
	defer func() { // go-git meets broken packs with a panic now and then
		if p := recover(); p != nil {
			content, err = nil, fmt.Errorf("read %s: %w", h, ErrDamaged)
		}
	}()
	size, err := st.EncodedObjectSize(h)
	if err != nil {
		return nil, broken(h, err)
	}
	if size > most {
		return nil, fmt.Errorf("%d bytes: %w: at most %d", size, ErrTooLarge, most)
	}
	o, err := st.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return nil, broken(h, err)
	}
	if o.Type() != t {
		return nil, fmt.Errorf("%s is a %s and no %s: %w", h, o.Type(), t, plumbing.ErrObjectNotFound)
	}
	in, err := o.Reader()
	if err != nil {
		return nil, broken(h, err)
	}
	content, err = io.ReadAll(io.LimitReader(in, most+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, broken(h, err)
	}
	if plumbing.ComputeHash(t, content) != h {
		return nil, fmt.Errorf("read %s: its content is another one: %w", h, ErrDamaged)
	}
	return content, nil
}

// broken sorts the errors of the storage: what the machine denies is no damage.
func broken(h plumbing.Hash, err error) error {
	var disk *fs.PathError
	if errors.Is(err, errPulls) || errors.Is(err, plumbing.ErrObjectNotFound) || errors.As(err, &disk) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", h, err)
	}
	return fmt.Errorf("read %s: %w: %w", h, ErrDamaged, err)
}

// must turns the absence of what another object names into damage.
func must(err error) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

func (r reader) commit(h plumbing.Hash) (c *object.Commit, err error) {
	content, err := r.get(plumbing.CommitObject, h, maxCommit)
	if err != nil {
		return nil, err
	}
	o := &plumbing.MemoryObject{}
	o.SetType(plumbing.CommitObject)
	if _, err := o.Write(content); err != nil {
		return nil, fmt.Errorf("read commit %s: %w", h, err)
	}
	defer func() {
		if p := recover(); p != nil {
			c, err = nil, fmt.Errorf("commit %s: %w", h, ErrMalformed)
		}
	}()
	c = &object.Commit{}
	if err := c.Decode(o); err != nil || c.TreeHash.IsZero() {
		return nil, fmt.Errorf("commit %s: %w", h, ErrMalformed)
	}
	return c, nil
}

// tree returns a folder's listing. The zero hash is an empty folder. A listing that
// Git would not write is refused: two readers could see two different things in it.
func (r reader) tree(h plumbing.Hash) ([]entry, error) {
	if h.IsZero() {
		return nil, nil
	}
	content, err := r.get(plumbing.TreeObject, h, maxTree)
	if err != nil {
		return nil, err
	}
	bad := func() ([]entry, error) { return nil, fmt.Errorf("folder %s: %w", h, ErrMalformed) }
	out := make([]entry, 0, len(content)/40)
	for len(content) > 0 {
		mode, rest, ok := bytes.Cut(content, []byte{' '})
		if !ok {
			return bad()
		}
		name, rest, ok := bytes.Cut(rest, []byte{0})
		var e entry
		if !ok || len(rest) < len(e.hash) {
			return bad()
		}
		e.name = string(name)
		copy(e.hash[:], rest)
		content = rest[len(e.hash):]
		if e.kind, ok = kindOf(string(mode)); !ok {
			return bad()
		}
		if e.name == "" || e.name == "." || e.name == ".." || strings.Contains(e.name, "/") {
			return bad()
		}
		if n := len(out); n > 0 && (out[n-1].key() >= e.key() || out[n-1].name == e.name) {
			return bad()
		}
		out = append(out, e)
	}
	return out, nil
}

func kindOf(mode string) (kind, bool) {
	switch mode {
	case "100644":
		return regular, true
	case "40000", "040000":
		return folder, true
	case "100755":
		return executable, true
	case "120000":
		return link, true
	case "160000":
		return module, true
	}
	if rights, ok := strings.CutPrefix(mode, "100"); ok && len(rights) == 3 {
		if strings.ContainsAny(rights, "1357") {
			return executable, true
		}
		return regular, true // as old programs wrote it
	}
	return "", false
}
