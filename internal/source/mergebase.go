package source

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// ErrUnrelated says that two commits have no commit before them in common. It is an
// ErrNotFound, too.
var ErrUnrelated = fmt.Errorf("the two histories have no commit in common: %w", ErrNotFound)

// Parents returns the commits that a commit was made on, the first one first.
func (r *Repository) Parents(ctx context.Context, commit string) ([]string, error) {
	var out []string
	err := r.readAll(ctx, func(in reader) error {
		out = []string{}
		h, ok := hashOf(commit)
		if !ok {
			return ErrNotFound
		}
		c, err := in.commit(h)
		if err != nil {
			return asked(err)
		}
		for _, p := range c.ParentHashes {
			out = append(out, p.String())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("parents of %.64s: %w", commit, err)
	}
	return out, nil
}

// MergeBase returns the best commit that both a and b reach: one that no other such
// commit reaches; of several, as criss-cross merges make them, the newest, and of equal
// dates the one of the smallest id. ErrUnrelated when there is none.
func (r *Repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	var base plumbing.Hash
	err := r.readAll(ctx, func(in reader) (err error) {
		base, _, err = common(ctx, in, a, b)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("merge base of %.64s and %.64s: %w", a, b, err)
	}
	return base.String(), nil
}

// What reaches a commit.
const (
	fromA uint8 = 1 << iota
	fromB
	stale // it is behind one that both reach
	found
)

// common returns the merge base of two commits and how many commits only a reaches, as
// far as the commits' clocks are right, at most maxBehind.
func common(ctx context.Context, in reader, a, b string) (base plumbing.Hash, behind int, err error) {
	ha, ok := hashOf(a)
	hb, is := hashOf(b)
	if !ok || !is {
		return base, 0, ErrNotFound
	}
	dates := map[plumbing.Hash]time.Time{}
	if err := errors.Join(believe(in, ha, dates), believe(in, hb, dates)); err != nil {
		return base, 0, err
	}
	p := &painter{queue: queue{in: in, dates: dates}, marks: map[plumbing.Hash]uint8{}, most: maxApart}
	if err := errors.Join(asked(p.mark(ha, fromA)), asked(p.mark(hb, fromB))); err != nil {
		return base, 0, err
	}
	all, err := p.paint(ctx)
	if err != nil {
		return base, 0, err
	}
	if len(all) == 0 {
		return base, 0, ErrUnrelated
	}
	for _, m := range p.marks {
		if m == fromA && behind < maxBehind {
			behind++
		}
	}
	slices.SortFunc(all, func(a, b *object.Commit) int {
		return cmp.Or(b.Committer.When.Compare(a.Committer.When), cmp.Compare(a.Hash.String(), b.Hash.String()))
	})
	best, err := independent(ctx, in, dates, all)
	return best, behind, err
}

// believe works out when the commits of a pull request were made: after those they were made
// on. A stranger's clock, set back by years, would else have the whole history of the branch
// looked at; and of two commits of one second the later is to be looked at first.
func believe(in reader, head plumbing.Hash, dates map[plumbing.Hash]time.Time) error {
	type visit struct {
		c    *object.Commit
		next int
	}
	var stack []visit
	enter := func(h plumbing.Hash) (time.Time, error) {
		if at, ok := dates[h]; ok {
			return at, nil
		}
		c, err := in.commit(h)
		if err != nil {
			return time.Time{}, err
		}
		if in.foreign(h) {
			dates[h] = c.Committer.When // until its parents are known
			stack = append(stack, visit{c: c})
		}
		return c.Committer.When, nil
	}
	later := func(v visit, at time.Time) {
		if at = at.Add(time.Nanosecond); at.After(dates[v.c.Hash]) {
			dates[v.c.Hash] = at
		}
	}
	_, err := enter(head)
	err = asked(err)
	for err == nil && len(stack) > 0 {
		if len(dates) > maxApart {
			return fmt.Errorf("more than %d commits: %w", maxApart, ErrTooMany)
		}
		i := len(stack) - 1
		v := stack[i]
		if v.next == len(v.c.ParentHashes) {
			if stack = stack[:i]; i > 0 {
				later(stack[i-1], dates[v.c.Hash])
			}
			continue
		}
		stack[i].next++
		var at time.Time
		if at, err = enter(v.c.ParentHashes[v.next]); err == nil {
			later(v, at)
		}
		err = must(err)
	}
	return err
}

// painter goes from new to old and marks what reaches each commit.
type painter struct {
	queue
	marks map[plumbing.Hash]uint8
	most  int
}

// mark adds to the marks of a commit and queues it when they are new.
func (p *painter) mark(h plumbing.Hash, m uint8) error {
	if p.marks[h]&m == m {
		return nil
	}
	if len(p.marks) >= p.most {
		return fmt.Errorf("more than %d commits lie between: %w", p.most, ErrTooMany)
	}
	p.marks[h] |= m
	return p.reach(h, true)
}

// paint returns the commits that both sides reach, some of which may be behind others
// where clocks are wrong. It ends when all that is left is behind them.
func (p *painter) paint(ctx context.Context) ([]*object.Commit, error) {
	var out []*object.Commit
	for steps := 0; slices.ContainsFunc(p.all, func(c *object.Commit) bool { return p.marks[c.Hash]&stale == 0 }); steps++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if steps > 4*p.most {
			return nil, fmt.Errorf("more than %d commits lie between: %w", p.most, ErrTooMany)
		}
		c := heap.Pop(&p.queue).(*object.Commit)
		m := p.marks[c.Hash] &^ found
		if m == fromA|fromB {
			if p.marks[c.Hash]&found == 0 {
				p.marks[c.Hash] |= found
				out = append(out, c)
			}
			m |= stale
		}
		for _, parent := range c.ParentHashes {
			if err := must(p.mark(parent, m)); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(out, func(c *object.Commit) bool { return p.marks[c.Hash]&stale != 0 }), nil
}

// independent returns the first of the commits that no other of them reaches. Only the
// newest maxBases are compared.
func independent(ctx context.Context, in reader, dates map[plumbing.Hash]time.Time, all []*object.Commit) (plumbing.Hash, error) {
	all = all[:min(len(all), maxBases)]
	for i, c := range all {
		reached := false
		for j, other := range all {
			if i == j || reached {
				continue
			}
			p := &painter{queue: queue{in: in, dates: dates}, marks: map[plumbing.Hash]uint8{}, most: maxApart / maxBases}
			if err := errors.Join(p.mark(c.Hash, fromA), p.mark(other.Hash, fromB)); err != nil {
				return plumbing.ZeroHash, must(err)
			}
			if _, err := p.paint(ctx); err != nil {
				return plumbing.ZeroHash, err
			}
			reached = p.marks[c.Hash]&fromB != 0
		}
		if !reached {
			return c.Hash, nil
		}
	}
	return all[0].Hash, nil
}
