package simulated

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// noreply is the address at which the authors of commits are known by their login.
const noreply = "@users.noreply.github.example"

const heads = "refs/heads/"

// person is how a login stands in a commit.
func person(login string) gitserver.Person {
	return gitserver.Person{Name: login, Email: login + noreply}
}

// loginOf is whose commit it is; "" when nobody with an account wrote it.
func (f *Forge) loginOf(p gitserver.Person) string {
	login, ours := strings.CutSuffix(p.Email, noreply)
	if !ours {
		login = p.Name
	}
	if u := f.known(login); u != nil {
		return u.Login
	}
	return ""
}

// pushed takes note of what moved in Git.
func (f *Forge) pushed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.broken = f.sync("")
	if f.broken == nil {
		f.broken = f.save()
	}
}

// move is a branch that is not where it was; "" is not there.
type move struct{ branch, before, after string }

// sync compares the branches with those that are known, and does what GitHub does of a
// push. by is who pushed, "": whoever committed. The lock is held.
func (f *Forge) sync(by string) error {
	repos := []string{f.o.Repo}
	for _, login := range slices.Sorted(maps.Keys(f.w.Forks)) {
		repos = append(repos, f.w.Forks[login])
	}
	for _, repo := range repos {
		now := map[string]string{}
		err := f.git.View(repo, func(r *gitserver.Repository) error {
			refs, err := r.Refs(heads)
			for _, ref := range refs {
				now[strings.TrimPrefix(ref.Name, heads)] = ref.Commit
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("look at the branches of %s: %w", repo, err)
		}
		before, known := f.w.Branches[repo]
		f.w.Branches[repo] = now
		if !known {
			continue
		}
		for _, m := range moves(before, now) {
			if err := f.moved(repo, m, by); err != nil {
				return err
			}
		}
	}
	return nil
}

func moves(before, now map[string]string) (out []move) {
	names := map[string]bool{}
	for n := range before {
		names[n] = true
	}
	for n := range now {
		names[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if before[n] != now[n] {
			out = append(out, move{n, before[n], now[n]})
		}
	}
	return out
}

// moved is what one moved branch means for pull requests and hooks.
func (f *Forge) moved(repo string, m move, by string) error {
	if by == "" {
		by = f.pusher(repo, m)
	}
	var fresh []string // what the push brought
	if repo == f.o.Repo {
		f.w.Pushed = f.now()
		if err := f.brought(m, &fresh); err != nil {
			return err
		}
		if err := f.tellPush(m, by); err != nil {
			return err
		}
	}
	for _, p := range f.w.Pulls {
		if p.State != "open" {
			continue
		}
		if f.repoOf(p) == repo && p.HeadRef == m.branch {
			if err := f.headMoved(p, m, by); err != nil {
				return err
			}
		}
		if repo == f.o.Repo && p.BaseRef == m.branch && p.State == "open" {
			if err := f.baseMoved(p, m, fresh, by); err != nil {
				return err
			}
		}
	}
	return nil
}

// pusher is who committed what was pushed; nobody known is the owner.
func (f *Forge) pusher(repo string, m move) string {
	login := ""
	_ = f.git.View(repo, func(r *gitserver.Repository) error {
		c, err := r.Commit(m.after)
		if err == nil {
			login = f.loginOf(c.Committer)
		}
		return nil
	})
	if login == "" {
		return f.o.Owner
	}
	return login
}

// repoOf is the repository in Git that a pull request's branch is in.
func (f *Forge) repoOf(p *Pull) string {
	if p.Fork == "" {
		return f.o.Repo
	}
	return f.w.Forks[p.Fork]
}

func (f *Forge) headMoved(p *Pull, m move, by string) error {
	if m.after == "" {
		f.setClosed(p, by)
		return nil
	}
	p.Head = m.after
	if err := f.look(p); err != nil {
		return err
	}
	p.Updated = f.now()
	return f.tellPull("synchronize", p, by, object{"before": m.before, "after": m.after})
}

// brought are the commits that a branch of the repository has since a push.
func (f *Forge) brought(m move, out *[]string) error {
	if m.after == "" {
		return nil
	}
	return f.git.View(f.o.Repo, func(r *gitserver.Repository) (err error) {
		*out, err = ids(r.Between(m.before, m.after))
		return err
	})
}

// baseMoved finds that a base is gone, or that somebody pushed the pull request's commits
// to it by hand: GitHub calls that merged.
func (f *Forge) baseMoved(p *Pull, m move, fresh []string, by string) error {
	switch {
	case m.after == "":
		f.setClosed(p, by)
	case slices.Contains(fresh, p.Head):
		return f.setMerged(p, m.before, m.after, fresh, by)
	}
	return nil
}

func ids(commits []gitserver.Commit, err error) ([]string, error) {
	out := []string{}
	for _, c := range commits {
		out = append(out, c.ID)
	}
	return out, err
}

// look brings a pull request's numbers and its refs/pull/N/head up to its head, and lets
// its merge be tried.
func (f *Forge) look(p *Pull) error {
	if err := f.git.Fetch(f.o.Repo, f.repoOf(p), p.Head); err != nil {
		return err
	}
	p.Base = f.w.Branches[f.o.Repo][p.BaseRef]
	_, err := f.git.Edit(f.o.Repo, func(r *gitserver.Repository) error { // no branch moves
		if err := f.measure(r, p); err != nil {
			return err
		}
		return r.Set(pullRef(p, "head"), p.Head)
	})
	f.later(task{pull: p.Number})
	return err
}

func pullRef(p *Pull, kind string) string { return fmt.Sprintf("refs/pull/%d/%s", p.Number, kind) }

// setClosed closes without a merge.
func (f *Forge) setClosed(p *Pull, by string) {
	p.State, p.Closed, p.Updated, p.ClosedBy = "closed", f.now(), f.now(), by
	f.later(task{pull: p.Number})
	// A payload of our own can always be made.
	_ = f.tellPull("closed", p, by, nil)
}

// setMerged closes with one; the commits that stand on the base are landed.
func (f *Forge) setMerged(p *Pull, before, commit string, landed []string, by string) error {
	err := f.git.View(f.o.Repo, func(r *gitserver.Repository) (err error) {
		p.Base = before
		p.Commits, err = ids(r.Between(before, p.Head))
		return err
	})
	if err != nil {
		return err
	}
	p.State, p.Merged, p.MergedBy, p.MergedAt, p.Closed, p.Updated, p.ClosedBy = "closed", true, by, f.now(), f.now(), f.now(), by
	p.MergeCommit, p.Landed = commit, landed
	f.later(task{pull: p.Number})
	return f.tellPull("closed", p, by, nil)
}

// mergeable says whether GitHub knows, and what. The lock is held.
func (f *Forge) mergeable(p *Pull) (known, can bool) {
	if p.Trial.Head != p.Head || p.Trial.Base != f.w.Branches[f.o.Repo][p.BaseRef] {
		return false, false
	}
	return true, p.Trial.Commit != ""
}

// tryMerge merges a pull request for trial, in the background. A closed one loses its
// refs/pull/N/merge.
func (f *Forge) tryMerge(number int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.pull(number)
	if err != nil || f.closed {
		return
	}
	if known, _ := f.mergeable(p); known && p.State == "open" {
		return
	}
	t := Trial{Head: p.Head, Base: f.w.Branches[f.o.Repo][p.BaseRef]}
	_, err = f.git.Edit(f.o.Repo, func(r *gitserver.Repository) error {
		ref := pullRef(p, "merge")
		if p.State != "open" {
			return r.Delete(ref)
		}
		tree, conflicts, err := f.merged(r, t.Base, t.Head)
		if err != nil {
			return err
		}
		if t.Conflicts = conflicts; len(conflicts) > 0 {
			return r.Delete(ref)
		}
		t.Commit, err = r.Write(gitserver.Commit{Tree: tree, Parents: []string{t.Base, t.Head}, Author: person("GitHub"),
			Message: "Merge " + t.Head + " into " + t.Base})
		if err != nil {
			return err
		}
		return r.Set(ref, t.Commit)
	})
	if err == nil && p.State == "open" {
		p.Trial = t
	}
	if f.broken = err; err == nil {
		f.broken = f.save()
	}
}

// merged is the tree of a three-way merge, or the paths that conflict.
func (f *Forge) merged(r *gitserver.Repository, base, head string) (tree string, conflicts []string, err error) {
	common, err := r.MergeBase(base, head)
	if err != nil {
		return "", nil, err
	}
	var trees [3]string
	for i, id := range []string{common, base, head} {
		if id == "" { // histories that have nothing in common
			continue
		}
		c, err := r.Commit(id)
		if err != nil {
			return "", nil, err
		}
		trees[i] = c.Tree
	}
	return r.Merge(trees[0], trees[1], trees[2])
}

// notFound says that an error is of something that is not there.
func notFound(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, gitserver.ErrNotFound)
}
