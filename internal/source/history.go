package source

import (
	"container/heap"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	maxRoots = 100 // heads whose roots are remembered
	slop     = 100 // commits that a range looks at beyond its end
)

// Root returns the first commit of a head's history, along first parents.
func (r *Repository) Root(ctx context.Context, head string) (string, error) {
	var root plumbing.Hash
	err := r.read(ctx, func(in reader) error {
		start, ok := hashOf(head)
		if !ok {
			return ErrNotFound
		}
		h := start
		for n := 0; ; n++ {
			if known, ok := r.roots[h]; ok {
				root = known
				break
			}
			if n > maxHistory {
				return fmt.Errorf("more than %d commits: %w", maxHistory, ErrTooMany)
			}
			c, err := in.commit(h)
			if n == 0 {
				err = asked(err)
			}
			if err != nil {
				return must(err)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if root = h; len(c.ParentHashes) == 0 {
				break
			}
			h = c.ParentHashes[0]
		}
		if len(r.roots) >= maxRoots {
			clear(r.roots)
		}
		r.roots[start] = root
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("root of %.64s: %w", head, err)
	}
	return root.String(), nil
}

// Ancestors returns head and the commits before it along first parents, newest first, at
// most so many.
func (r *Repository) Ancestors(ctx context.Context, head string, most int) ([]string, error) {
	var out []string
	err := r.read(ctx, func(in reader) error {
		out = nil
		h, ok := hashOf(head)
		if !ok {
			return ErrNotFound
		}
		for len(out) < most {
			c, err := in.commit(h)
			if len(out) == 0 {
				err = asked(err)
			}
			if err != nil {
				return must(err)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			out = append(out, h.String())
			if len(c.ParentHashes) == 0 {
				break
			}
			h = c.ParentHashes[0]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ancestors of %.64s: %w", head, err)
	}
	return out, nil
}

// Descends says whether from is head or behind it. A from that is not here is not.
func (r *Repository) Descends(ctx context.Context, head, from string) (bool, error) {
	var yes bool
	err := r.read(ctx, func(in reader) error {
		yes = false
		want, ok := hashOf(from)
		start, is := hashOf(head)
		if !is {
			return ErrNotFound
		}
		here := plumbing.ErrObjectNotFound
		if ok {
			here = in.st.HasEncodedObject(want)
		}
		if errors.Is(here, plumbing.ErrObjectNotFound) {
			_, err := in.commit(start)
			return asked(err)
		}
		if here != nil {
			return broken(want, here)
		}
		q := &queue{in: in}
		if err := q.push(start); err != nil {
			return asked(err)
		}
		for q.Len() > 0 {
			c := q.pop()
			if yes = c.Hash == want; yes {
				return nil
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			for _, p := range c.ParentHashes {
				if err := must(q.push(p)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("compare histories: %w", err)
	}
	return yes, nil
}

// Commits returns the commits that head reaches and from does not, merged ones too,
// parents before children. Of more than most, the newest are returned.
func (r *Repository) Commits(ctx context.Context, from, head string, most int) ([]Commit, error) {
	var out []Commit
	err := r.readAll(ctx, func(in reader) error {
		start, ok := hashOf(head)
		if !ok {
			return ErrNotFound
		}
		stop := plumbing.ZeroHash
		if from != "" {
			if stop, ok = hashOf(from); !ok {
				return ErrNotFound
			}
		}
		found, err := between(ctx, in, stop, start, most)
		if err != nil {
			return err
		}
		out = order(found, start)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list commits: %w", err)
	}
	return out, nil
}

// between paints what stop reaches and returns what only start reaches. It goes from
// new to old, until no unpainted commit is left, everything left is older than what was
// found, and slop more were looked at: so wrong clocks do no harm.
func between(ctx context.Context, in reader, stop, start plumbing.Hash, most int) (map[plumbing.Hash]*object.Commit, error) {
	q := &queue{in: in}
	painted := map[plumbing.Hash]bool{}
	found := map[plumbing.Hash]*object.Commit{}
	var oldest time.Time
	after := 0
	if !stop.IsZero() {
		painted[stop] = true
		if err := asked(q.push(stop)); err != nil {
			return nil, err
		}
	}
	if err := asked(q.push(start)); err != nil {
		return nil, err
	}
	for q.Len() > 0 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		unpainted := slices.ContainsFunc(q.all, func(c *object.Commit) bool { return !painted[c.Hash] })
		if !unpainted && len(found) == 0 {
			break
		}
		if !unpainted && q.all[0].Committer.When.Before(oldest) {
			if after++; after > slop {
				break
			}
		}
		if stop.IsZero() && len(found) == most {
			break
		}
		c := q.pop()
		if painted[c.Hash] {
			delete(found, c.Hash)
			for _, p := range c.ParentHashes {
				again := !painted[p] && q.seen[p]
				painted[p] = true
				if err := must(q.reach(p, again)); err != nil {
					return nil, err
				}
			}
			continue
		}
		found[c.Hash] = c
		if oldest.IsZero() || c.Committer.When.Before(oldest) {
			oldest = c.Committer.When
		}
		for _, p := range c.ParentHashes {
			if err := must(q.push(p)); err != nil {
				return nil, err
			}
		}
	}
	return newest(found, most), nil
}

// newest drops the oldest until there are no more than most.
func newest(found map[plumbing.Hash]*object.Commit, most int) map[plumbing.Hash]*object.Commit {
	if len(found) <= most {
		return found
	}
	all := make([]*object.Commit, 0, len(found))
	for _, c := range found {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *object.Commit) int {
		if n := b.Committer.When.Compare(a.Committer.When); n != 0 {
			return n
		}
		return strings.Compare(a.Hash.String(), b.Hash.String())
	})
	for _, c := range all[most:] {
		delete(found, c.Hash)
	}
	return found
}

// order puts parents before children, the first parent's side first.
func order(found map[plumbing.Hash]*object.Commit, start plumbing.Hash) []Commit {
	out := []Commit{}
	done := map[plumbing.Hash]bool{}
	type visit struct {
		c    *object.Commit
		next int
	}
	var stack []visit
	enter := func(h plumbing.Hash) {
		if c, ok := found[h]; ok && !done[h] {
			done[h] = true
			stack = append(stack, visit{c: c})
		}
	}
	enter(start)
	for len(stack) > 0 {
		v := &stack[len(stack)-1]
		if v.next < len(v.c.ParentHashes) {
			v.next++
			enter(v.c.ParentHashes[v.next-1])
			continue
		}
		subject, _, _ := strings.Cut(strings.TrimLeft(v.c.Message, "\r\n"), "\n")
		c := Commit{ID: v.c.Hash.String(), Author: line(v.c.Author.Name, maxName), Subject: line(subject, maxSubject)}
		for _, p := range v.c.ParentHashes[:min(len(v.c.ParentHashes), maxParents)] {
			c.Parents = append(c.Parents, p.String())
		}
		out = append(out, c)
		stack = stack[:len(stack)-1]
	}
	return out
}

// queue is a heap of commits, the newest first. Each is pushed once.
type queue struct {
	in    reader
	all   []*object.Commit
	seen  map[plumbing.Hash]bool
	dates map[plumbing.Hash]time.Time // of those whose own is not believed
}

func (q *queue) Len() int { return len(q.all) }
func (q *queue) Less(i, j int) bool {
	a, b := q.all[i], q.all[j]
	if n := a.Committer.When.Compare(b.Committer.When); n != 0 {
		return n > 0
	}
	return a.Hash.String() < b.Hash.String()
}
func (q *queue) Swap(i, j int) { q.all[i], q.all[j] = q.all[j], q.all[i] }
func (q *queue) Push(x any)    { q.all = append(q.all, x.(*object.Commit)) }
func (q *queue) Pop() any {
	c := q.all[len(q.all)-1]
	q.all = q.all[:len(q.all)-1]
	return c
}

func (q *queue) pop() *object.Commit { return heap.Pop(q).(*object.Commit) }

func (q *queue) push(h plumbing.Hash) error { return q.reach(h, false) }

// reach queues a commit that was not queued before, or again.
func (q *queue) reach(h plumbing.Hash, again bool) error {
	if q.seen == nil {
		q.seen = map[plumbing.Hash]bool{}
	}
	if q.seen[h] && !again {
		return nil
	}
	if !q.seen[h] && len(q.seen) >= maxHistory {
		return fmt.Errorf("more than %d commits: %w", maxHistory, ErrTooMany)
	}
	q.seen[h] = true
	c, err := q.in.commit(h)
	if err != nil {
		return err
	}
	if at, ok := q.dates[h]; ok {
		c.Committer.When = at
	}
	heap.Push(q, c)
	return nil
}

// Resolve returns the commit that a branch, a tag or a full or short id names.
// ErrNotFound when it names none that is here.
func (r *Repository) Resolve(ctx context.Context, rev string) (string, error) {
	h, err := r.resolve(ctx, rev)
	if err != nil {
		return "", fmt.Errorf("revision %.64q: %w", rev, err)
	}
	return h.String(), nil
}

func (r *Repository) resolve(ctx context.Context, rev string) (plumbing.Hash, error) {
	var found plumbing.Hash
	err := r.read(ctx, func(in reader) (err error) {
		if rev == r.branch.Short() || rev == r.branch.String() || rev == "HEAD" {
			found = r.m.tip
			return nil
		}
		found, err = r.byID(in, rev)
		return err
	})
	if err == nil || !errors.Is(err, ErrNotFound) {
		return found, err
	}
	if _, full := hashOf(rev); full {
		return found, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pollTime, errSlow)
	defer cancel()
	for _, ref := range []plumbing.ReferenceName{plumbing.NewTagReferenceName(rev), plumbing.NewBranchReferenceName(rev)} {
		if ref.Validate() != nil {
			return found, err
		}
		h, asking := r.remote.tip(ctx, ref)
		if errors.Is(asking, ErrNoBranch) || errors.Is(asking, ErrEmpty) {
			continue
		}
		if asking != nil {
			return found, asking
		}
		err := r.read(ctx, func(in reader) error {
			_, err := in.commit(h)
			return asked(err)
		})
		if errors.Is(err, ErrNotFound) {
			return h, fmt.Errorf("%w: it is %s, which is not on branch %s", ErrNotFound, h, r.branch.Short())
		}
		return h, err
	}
	return found, err
}

// byID finds a commit by a full or short id.
func (r *Repository) byID(in reader, rev string) (plumbing.Hash, error) {
	if h, ok := hashOf(rev); ok {
		_, err := in.commit(h)
		return h, asked(err)
	}
	even := rev[:len(rev)&^1]
	prefix, err := hex.DecodeString(even)
	if err != nil || len(rev) < minShort || len(rev) > 40 {
		return plumbing.ZeroHash, ErrNotFound
	}
	all, err := r.m.st.HashesWithPrefix(prefix)
	if err != nil {
		return plumbing.ZeroHash, broken(plumbing.ZeroHash, err)
	}
	if len(all) > maxMatches {
		return plumbing.ZeroHash, fmt.Errorf("%d objects begin so: %w", len(all), ErrTooMany)
	}
	var found []plumbing.Hash
	for _, h := range all {
		if !strings.HasPrefix(h.String(), rev) {
			continue
		}
		if _, err := in.commit(h); errors.Is(err, plumbing.ErrObjectNotFound) || errors.Is(err, ErrTooLarge) {
			continue // of another type
		} else if err != nil {
			return plumbing.ZeroHash, err
		}
		if !slices.Contains(found, h) {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 0:
		return plumbing.ZeroHash, ErrNotFound
	case 1:
		return found[0], nil
	}
	return plumbing.ZeroHash, fmt.Errorf("%d commits begin so: %w: give more digits", len(found), ErrTooMany)
}
