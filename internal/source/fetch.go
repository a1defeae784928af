package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Fetch brings a commit of the branch here, with all that it reaches. What is here
// already costs no request. ErrNotFound says that the branch has left the commit
// meanwhile: look again.
func (r *Repository) Fetch(ctx context.Context, head string) error {
	want, ok := hashOf(head)
	if !ok {
		return fmt.Errorf("fetch %.64q: %w: it is no commit's id", head, ErrNotFound)
	}
	if err := r.fetching.enter(ctx); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer r.fetching.leave()
	if !r.damaged.Load() {
		if here, err := r.here(ctx, want); err != nil || here {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, errSlow)
	defer cancel()
	if err := r.renew(ctx); err != nil {
		return fmt.Errorf("fetch branch %s: %w", r.branch.Short(), err)
	}
	if here, err := r.here(ctx, want); err != nil || here {
		return err
	}
	return fmt.Errorf("fetch %s: %w: the branch moved meanwhile", head, ErrNotFound)
}

func (r *Repository) here(ctx context.Context, h plumbing.Hash) (bool, error) {
	if err := r.reading.enter(ctx); err != nil {
		return false, fmt.Errorf("fetch: %w", err)
	}
	defer r.reading.leave()
	if r.closed {
		return false, errClosed
	}
	if r.m == nil {
		return false, nil
	}
	err := r.m.st.HasEncodedObject(h)
	if err == nil || errors.Is(err, plumbing.ErrObjectNotFound) {
		return err == nil, nil
	}
	err = broken(h, err)
	r.m.forget(err)
	if errors.Is(err, ErrDamaged) {
		return false, nil // it is fetched, and made anew where that doesn't help
	}
	return false, fmt.Errorf("fetch: %w", err)
}

// renew brings the mirror to the branch's tip, by a clone when there is none that can
// be used. The caller holds fetching.
func (r *Repository) renew(ctx context.Context) error {
	r.fetches.Add(1)
	if r.m != nil && !r.damaged.Load() {
		err := r.update(ctx)
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		r.damaged.Store(true)
	}
	return r.clone(ctx)
}

// update adds a pack to the mirror.
func (r *Repository) update(ctx context.Context) error {
	dir, old := r.m.dir, r.m.tip // only holders of fetching change them
	tip, err := r.receive(ctx, dir, old)
	if err != nil {
		return err
	}
	if err := merge(dir); err != nil {
		return err
	}
	m, err := openMirror(dir, r.branch)
	if err != nil {
		return err
	}
	if m.tip != tip {
		return errors.Join(fmt.Errorf("write the branch: %w", ErrDamaged), m.st.Close())
	}
	return r.take(ctx, m, func() error { return nil })
}

// take replaces the open mirror, with no reader in it.
func (r *Repository) take(ctx context.Context, m *mirror, swap func() error) error {
	if err := r.reading.enter(ctx); err != nil {
		return errors.Join(err, m.st.Close())
	}
	defer r.reading.leave()
	if r.m != nil {
		_ = r.m.st.Close() // it was only read
		r.m = nil
	}
	if err := swap(); err != nil {
		r.damaged.Store(true)
		return errors.Join(err, m.st.Close())
	}
	r.m = m
	return nil
}

// clone makes a new mirror beside the old one and swaps the two.
func (r *Repository) clone(ctx context.Context) error {
	r.clones.Add(1)
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("make a mirror: %w", err)
	}
	dir, err := os.MkdirTemp(r.dir, newPrefix)
	if err != nil {
		return fmt.Errorf("make a mirror: %w", err)
	}
	defer os.RemoveAll(dir) // gone when it was swapped
	if err := makeMirror(dir, r.identity()); err != nil {
		return err
	}
	tip, err := r.receive(ctx, dir, plumbing.ZeroHash)
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w (%w)", ErrBadPack, err) // a new one cannot be damaged
	}
	if err != nil {
		return err
	}
	old := filepath.Join(r.dir, oldPrefix+filepath.Base(dir))
	m := &mirror{dir: r.current(), st: openStorage(r.current()), tip: tip}
	err = r.take(ctx, m, func() error {
		r.dropPulls() // they build on the old one
		if err := os.Rename(r.current(), old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("replace the mirror: %w", err)
		}
		if err := os.Rename(dir, r.current()); err != nil {
			return fmt.Errorf("replace the mirror: %w", err)
		}
		r.damaged.Store(false)
		r.roots = map[plumbing.Hash]plumbing.Hash{}
		return syncDir(r.dir)
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("remove the old mirror: %w", err)
	}
	return nil
}

// receive transfers what lies between old and the branch's tip into a repository, and
// moves its branch when all of it is there.
func (r *Repository) receive(ctx context.Context, dir string, old plumbing.Hash) (plumbing.Hash, error) {
	st := openStorage(dir) // its own: readers have theirs
	defer st.Close()
	haves, err := r.haves(reader{st: st, count: &r.objects}, old)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	q, err := newQuarantine(dir, maxPack)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer q.discard()
	has := func(h plumbing.Hash) bool { return st.HasEncodedObject(h) == nil }
	tip, err := r.remote.fetch(ctx, r.branch, has, haves, q)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	var from objects = st
	if q.written > 0 {
		if err := q.index(); err != nil {
			return plumbing.ZeroHash, err
		}
		if from, err = q.over(st); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	if err := r.arrived(reader{st: from, count: &r.objects}, q, st, old, tip); err != nil {
		return plumbing.ZeroHash, err
	}
	if q.written > 0 {
		if err := q.install(); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	return tip, writeFile(filepath.Join(dir, filepath.FromSlash(r.branch.String())), []byte(tip.String()+"\n"))
}

// arrived checks that the new commits, their parents and what the tip shows are all there.
func (r *Repository) arrived(in reader, q *quarantine, st *filesystem.Storage, old, tip plumbing.Hash) error {
	seen := map[plumbing.Hash]bool{}
	todo := []plumbing.Hash{tip}
	for len(todo) > 0 {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[h] || !q.holds(h) && st.HasEncodedObject(h) == nil {
			continue
		}
		seen[h] = true
		if len(seen) > maxHistory {
			return fmt.Errorf("more than %d commits: %w", maxHistory, ErrTooMany)
		}
		c, err := in.commit(h)
		if err != nil {
			return must(err)
		}
		if !q.holds(c.TreeHash) && st.HasEncodedObject(c.TreeHash) != nil {
			return fmt.Errorf("commit %s has no tree: %w", h, ErrDamaged)
		}
		todo = append(todo, c.ParentHashes...)
	}
	return r.complete(in, old, tip)
}

// complete checks that all that the read area of a commit names is there, but for
// what the commit old has already. The files themselves are not read.
func (r *Repository) complete(in reader, old, tip plumbing.Hash) error {
	var err error
	before := plumbing.ZeroHash
	if !old.IsZero() {
		c, err := in.commit(old)
		if err != nil {
			return must(err)
		}
		before = c.TreeHash
	}
	c, err := in.commit(tip)
	if err != nil {
		return must(err)
	}
	w := walk{in: in, area: r.area}
	err = w.trees(before, c.TreeHash, func(path string, _, now entry) error {
		if now.hash.IsZero() || now.kind == module {
			return nil
		}
		if err := in.has(now.hash); err != nil {
			return fmt.Errorf("%s: %w", path, broken(now.hash, err))
		}
		return nil
	})
	if errors.Is(err, ErrNoFolder) {
		return nil // that is for the reader to say
	}
	return must(err)
}

// haves are the commits that the repository may build on: the tip and what is behind it.
func (r *Repository) haves(in reader, tip plumbing.Hash) ([]plumbing.Hash, error) {
	if tip.IsZero() {
		return nil, nil
	}
	out := []plumbing.Hash{tip}
	seen := map[plumbing.Hash]bool{tip: true}
	for i := 0; i < len(out) && len(out) < maxHaves; i++ {
		c, err := in.commit(out[i])
		if err != nil {
			return nil, must(err)
		}
		for _, p := range c.ParentHashes {
			if !seen[p] {
				seen[p] = true
				out = append(out, p)
			}
		}
	}
	return out, nil
}
