package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// Refs returns the references below a prefix, "refs/pull/" for example, and the commits
// that they name now. It reads and writes nothing here. ErrTooMany over MaxRefs.
func (r *Repository) Refs(ctx context.Context, prefix string) (map[string]string, error) {
	r.polls.Add(1)
	ctx, cancel := context.WithTimeoutCause(ctx, pollTime, errSlow)
	defer cancel()
	out, err := r.remote.refs(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list references: %w", err)
	}
	return out, nil
}

// FetchRef brings a commit here that a reference names, "refs/pull/7/head" for example,
// with all that it reaches and the branch does not. The branch and what it reaches stay
// as they are, whatever comes. What is here already costs no request. ErrNotFound says
// that the repository has no such reference, that it has left the commit meanwhile, or
// that the branch was never fetched; every other error but ErrDamaged is of that
// reference or the way to it.
func (r *Repository) FetchRef(ctx context.Context, ref, commit string) error {
	want, ok := hashOf(commit)
	if !ok {
		return fmt.Errorf("fetch %.64q: %w: it is no commit's id", commit, ErrNotFound)
	}
	name := plumbing.ReferenceName(ref)
	if !strings.HasPrefix(ref, "refs/") || name.Validate() != nil {
		return fmt.Errorf("fetch %.100q: %w: it is no reference", ref, ErrNotFound)
	}
	if here, err := r.known(ctx, want); err != nil || here {
		return err
	}
	if err := r.pulling.enter(ctx); err != nil {
		return fmt.Errorf("fetch %s: %w", ref, err)
	}
	defer r.pulling.leave()
	if here, err := r.known(ctx, want); err != nil || here {
		return err // somebody did it meanwhile
	}
	err := r.pull(ctx, name)
	if errors.Is(err, ErrDamaged) {
		r.damaged.Store(true)
		if again := r.heal(ctx); again != nil {
			return fmt.Errorf("fetch %s: %w; clone it: %w", ref, err, again)
		}
		err = r.pull(ctx, name)
	}
	if errors.Is(err, ErrNoBranch) || errors.Is(err, ErrEmpty) {
		return fmt.Errorf("fetch %s: %w: the repository has no such reference", ref, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("fetch %s: %w", ref, err)
	}
	if here, err := r.known(ctx, want); err != nil || here {
		return err
	}
	return fmt.Errorf("fetch %s: %w: it names another commit than %s now", ref, ErrNotFound, commit)
}

// known says whether a commit is here, the branch's or a pull request's.
func (r *Repository) known(ctx context.Context, h plumbing.Hash) (bool, error) {
	err := r.readAll(ctx, func(in reader) error {
		if err := in.has(h); err != nil {
			return asked(broken(h, err))
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}

// pull transfers what a reference reaches and the branch does not. The caller holds
// pulling; the branch is fetched and read meanwhile.
func (r *Repository) pull(ctx context.Context, ref plumbing.ReferenceName) error {
	r.fetches.Add(1)
	ctx, cancel := context.WithTimeoutCause(ctx, pullTime, errSlow)
	defer cancel()
	var haves []plumbing.Hash
	err := r.alone(ctx, func() (err error) {
		haves, err = r.haves(reader{st: r.m.st, count: &r.objects}, r.m.tip)
		return err
	})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(r.dir, newPrefix)
	if err != nil {
		return fmt.Errorf("make a place for it: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(packDir(dir), 0o700); err != nil {
		return fmt.Errorf("make a place for it: %w", err)
	}
	q, err := newQuarantine(dir, maxPullPack)
	if err != nil {
		return err
	}
	defer q.discard()
	has := func(h plumbing.Hash) bool {
		return r.alone(ctx, func() error { return r.m.st.HasEncodedObject(h) }) == nil
	}
	tip, err := r.remote.fetch(ctx, ref, has, haves, q)
	if err != nil || q.written == 0 {
		return err
	}
	if err := q.weigh(ctx); err != nil {
		return err
	}
	if err := q.index(); err != nil {
		return err
	}
	if err := q.open(); err != nil {
		return err
	}
	return r.alone(ctx, func() error { return r.admit(ctx, q, tip) })
}

// alone calls f with no other reader in the mirror, which is there.
func (r *Repository) alone(ctx context.Context, f func() error) error {
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
	err := f()
	r.m.forget(err)
	return err
}

// admit keeps a pack when what it brings is whole beside the mirror.
func (r *Repository) admit(ctx context.Context, q *quarantine, tip plumbing.Hash) error {
	in := reader{st: r.m.st, count: &r.objects, pulls: q, trail: &trail{}}
	err := r.blame(in, r.sound(ctx, in, tip))
	if errors.Is(err, errPulls) {
		return fmt.Errorf("%w: it lacks something", ErrBadPack)
	}
	if err != nil {
		return err
	}
	return r.keepPull(q)
}

// sound checks that a commit, those before it and what it shows are there. What the
// mirror has is whole.
func (r *Repository) sound(ctx context.Context, in reader, tip plumbing.Hash) error {
	seen := map[plumbing.Hash]bool{}
	todo := []plumbing.Hash{tip}
	for len(todo) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[h] || in.st.HasEncodedObject(h) == nil {
			continue
		}
		if seen[h] = true; len(seen) > maxPullCommits {
			return fmt.Errorf("more than %d commits: %w", maxPullCommits, ErrTooMany)
		}
		c, err := in.commit(h)
		if err != nil {
			return must(err)
		}
		if err := in.has(c.TreeHash); err != nil {
			return must(fmt.Errorf("the folder of commit %s: %w", h, err))
		}
		todo = append(todo, c.ParentHashes...)
	}
	return r.complete(in, r.m.tip, tip)
}

// weigh looks through a stranger's pack before it is unpacked: a few bytes of it can
// say that they are many.
func (q *quarantine) weigh(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: it cannot be parsed", ErrBadPack)
		}
	}()
	if _, err := q.pack.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	s := packfile.NewScanner(q.pack)
	_, n, err := s.Header()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	if n > maxPullObjects {
		return fmt.Errorf("%d objects: %w: at most %d", n, ErrTooMany, maxPullObjects)
	}
	var sum int64
	for range n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := s.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBadPack, err)
		}
		if sum, err = weight(sum, h.Length); err != nil {
			return err
		}
		var begin beginning
		if _, _, err := s.NextObject(&begin); err != nil {
			return fmt.Errorf("%w: %w", ErrBadPack, err)
		}
		if h.Type.IsDelta() {
			if sum, err = weight(sum, begin.target()); err != nil {
				return err
			}
		}
	}
	return nil
}

func weight(sum, size int64) (int64, error) {
	if size < 0 || size > maxPullObject {
		return sum, fmt.Errorf("an object: %w: at most %d bytes", ErrTooLarge, maxPullObject)
	}
	if sum += size; sum > maxPullBytes {
		return sum, fmt.Errorf("all objects: %w: at most %d bytes", ErrTooLarge, int64(maxPullBytes))
	}
	return sum, nil
}

// beginning keeps the first bytes that are written to it.
type beginning struct {
	b [2 * binary.MaxVarintLen64]byte
	n int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.n += copy(b.b[b.n:], p)
	return len(p), nil
}

// target is how large a delta says that its outcome is: its second number; -1 when
// there is none. (git-scm.com/docs/pack-format, "Deltified representation".)
func (b *beginning) target() int64 {
	_, n := binary.Uvarint(b.b[:b.n])
	if n <= 0 {
		return -1
	}
	size, n := binary.Uvarint(b.b[n:b.n])
	if n <= 0 || size > 1<<62 {
		return -1
	}
	return int64(size)
}
