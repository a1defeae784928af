package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

var errClosed = errors.New("the mirror is closed")

// maxStrays is how many files outside of the read area one comparison returns.
const maxStrays = 1000

// errFound ends a walk early.
var errFound = errors.New("found")

// read lets f read the mirror, alone. When the mirror turns out to be damaged it is
// cloned anew, and f is called once more.
func (r *Repository) read(ctx context.Context, f func(in reader) error) error {
	return r.healed(ctx, false, f)
}

// readAll reads what pull requests brought, too.
func (r *Repository) readAll(ctx context.Context, f func(in reader) error) error {
	return r.healed(ctx, true, f)
}

func (r *Repository) healed(ctx context.Context, pulls bool, f func(in reader) error) error {
	err := r.once(ctx, pulls, f)
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	r.damaged.Store(true)
	if again := r.heal(ctx); again != nil {
		return fmt.Errorf("%w; clone it: %w", err, again)
	}
	return r.once(ctx, pulls, f)
}

func (r *Repository) once(ctx context.Context, pulls bool, f func(in reader) error) error {
	if err := r.reading.enter(ctx); err != nil {
		return err
	}
	defer r.reading.leave()
	if r.closed {
		return errClosed
	}
	if r.m == nil {
		return fmt.Errorf("nothing was fetched yet: %w", ErrNotFound)
	}
	in := reader{st: r.m.st, count: &r.objects}
	if pulls && r.pulls != nil {
		in.pulls, in.trail = r.pulls, &trail{}
	}
	err := f(in)
	r.m.forget(err)
	if in.pulls != nil && in.trail.foreign {
		if err = r.blame(in, err); errors.Is(err, errPulls) {
			r.dropPulls()
			err = fmt.Errorf("%w: what a pull request brought is not whole any more: fetch it again", ErrNotFound)
		}
	}
	return err
}

func (r *Repository) heal(ctx context.Context) error {
	if err := r.fetching.enter(ctx); err != nil {
		return err
	}
	defer r.fetching.leave()
	if !r.damaged.Load() {
		return nil // somebody did it meanwhile
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, errSlow)
	defer cancel()
	return r.renew(ctx)
}

// Irregular says that an id is of something that Blob refuses to read.
func Irregular(blob string) bool { return strings.Contains(blob, ":") }

// Blob returns a file's content. ErrNotFound when there is no such blob, ErrIrregular
// when it is of something else than a regular file, ErrTooLarge over MaxBlob.
func (r *Repository) Blob(ctx context.Context, blob string) ([]byte, error) {
	if k, _, odd := strings.Cut(blob, ":"); odd {
		return nil, fmt.Errorf("it is a %.20s: %w", k, ErrIrregular)
	}
	h, ok := hashOf(blob)
	if !ok {
		return nil, fmt.Errorf("blob %.64q: %w", blob, ErrNotFound)
	}
	var out []byte
	err := r.readAll(ctx, func(in reader) (err error) {
		out, err = in.get(plumbing.BlobObject, h, MaxBlob)
		return asked(err)
	})
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", blob, err)
	}
	return out, nil
}

// asked turns the absence of what a caller asked for into ErrNotFound.
func asked(err error) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return ErrNotFound
	}
	return err
}

// rootTree returns the tree of a commit that a caller named.
func rootTree(in reader, commit string) (plumbing.Hash, error) {
	h, ok := hashOf(commit)
	if !ok {
		return plumbing.ZeroHash, fmt.Errorf("commit %.64q: %w", commit, ErrNotFound)
	}
	c, err := in.commit(h)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("commit %s: %w", commit, asked(err))
	}
	if in.pulls != nil && in.st.HasEncodedObject(h) == nil {
		in.trail.roots = append(in.trail.roots, h)
	}
	return c.TreeHash, nil
}

// Diff returns the files of the read area that differ between two commits, sorted as
// Git sorts. It reads the folders that differ and nothing else. From "" everything is
// new. ErrNotFound when from or head is not here.
func (r *Repository) Diff(ctx context.Context, from, head string) ([]Change, error) {
	var out []Change
	err := r.readAll(ctx, func(in reader) (err error) {
		out = []Change{}
		old := plumbing.ZeroHash
		if from != "" {
			if old, err = rootTree(in, from); err != nil {
				return err
			}
		}
		now, err := rootTree(in, head)
		if err != nil {
			return err
		}
		w := walk{in: in, area: r.area}
		return w.trees(old, now, func(path string, a, b entry) error {
			c := Change{Path: path}
			if !a.hash.IsZero() {
				c.Old = a.id()
			}
			if !b.hash.IsZero() {
				c.New = b.id()
			}
			out = append(out, c)
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return out, nil
}

// Strays returns the YAML files outside of the read area that differ between two commits,
// at most maxStrays, sorted as Git sorts: somebody may have put a manifest there. Only
// regular files count, none of a hidden folder, and none deeper than MaxDepth folders.
func (r *Repository) Strays(ctx context.Context, from, head string) ([]Change, error) {
	out, _, err := r.outside(ctx, from, head)
	return out, err
}

// outside says, too, whether these are all.
func (r *Repository) outside(ctx context.Context, from, head string) (out []Change, whole bool, err error) {
	err = r.readAll(ctx, func(in reader) (err error) {
		out, whole = []Change{}, true
		old := plumbing.ZeroHash
		if from != "" {
			if old, err = rootTree(in, from); err != nil {
				return err
			}
		}
		now, err := rootTree(in, head)
		if err != nil {
			return err
		}
		w := walk{in: in, area: area{base: r.area.base}}
		err = w.trees(old, now, func(path string, a, b entry) error {
			c := Change{Path: path}
			if a.kind == regular && !a.hash.IsZero() {
				c.Old = a.id()
			}
			if b.kind == regular && !b.hash.IsZero() {
				c.New = b.id()
			}
			if c.Old != c.New && r.area.strays(path) {
				out = append(out, c)
			}
			if len(out) == maxStrays {
				return errFound
			}
			return ctx.Err()
		})
		if errors.Is(err, errFound) || errors.Is(err, ErrTooMany) {
			whole = false
			return nil
		}
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("look for stray manifests: %w", err)
	}
	return out, whole, nil
}

// Files lists the files of the read area at a commit. It reads every folder.
func (r *Repository) Files(ctx context.Context, head string) ([]Entry, error) {
	var out []Entry
	err := r.walk(ctx, head, func(path string, e entry) error {
		out = append(out, Entry{Path: path, Blob: e.id(), Regular: e.kind == regular})
		return ctx.Err()
	}, func() { out = []Entry{} })
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	return out, nil
}

// Any says whether a file of the read area at a commit matches. It reads folders until
// one does.
func (r *Repository) Any(ctx context.Context, head string, match func(path string) bool) (bool, error) {
	err := r.walk(ctx, head, func(path string, _ entry) error {
		if match(path) {
			return errFound
		}
		return ctx.Err()
	}, func() {})
	if errors.Is(err, errFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a file: %w", err)
	}
	return false, nil
}

func (r *Repository) walk(ctx context.Context, head string, f func(path string, e entry) error, begin func()) error {
	return r.readAll(ctx, func(in reader) error {
		begin()
		now, err := rootTree(in, head)
		if err != nil {
			return err
		}
		w := walk{in: in, area: r.area}
		return w.trees(plumbing.ZeroHash, now, func(path string, _, e entry) error { return f(path, e) })
	})
}
