package simulated

import (
	"fmt"
	"strings"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// Kind is how a pull request is merged.
type Kind string

// The three buttons.
const (
	MergeCommit Kind = "merge"
	Squash      Kind = "squash"
	Rebase      Kind = "rebase"
)

// Merge merges a pull request and returns the commit that its base is at then. ErrRefused:
// it conflicts, is a draft or is not open.
func (f *Forge) Merge(number int, kind Kind, by string) (string, error) {
	commit := ""
	err := f.do(func() (announce func(), err error) {
		p, err := f.pull(number)
		if err != nil {
			return nil, err
		}
		commit, announce, err = f.merge(p, kind, by, "", "")
		return announce, err
	})
	return commit, err
}

// merge merges. title and message may be "": GitHub's own are taken. The lock is held.
func (f *Forge) merge(p *Pull, kind Kind, by, title, message string) (string, func(), error) {
	if p.State != "open" || p.Draft {
		return "", nil, fmt.Errorf("pull request %d is not open, or a draft: %w", p.Number, ErrRefused)
	}
	base := heads + p.BaseRef
	var before, after string
	var landed []string
	announce, err := f.git.Edit(f.o.Repo, func(r *gitserver.Repository) (err error) {
		if before, err = r.Ref(base); err != nil {
			return err
		}
		if _, conflicts, err := f.merged(r, before, p.Head); err != nil {
			return err
		} else if len(conflicts) > 0 {
			return fmt.Errorf("pull request %d conflicts in %s: %w", p.Number, strings.Join(conflicts, ", "), ErrRefused)
		}
		switch kind {
		case MergeCommit, Squash:
			after, err = f.mergeOne(r, p, kind, before, by, title, message)
		case Rebase:
			after, err = f.rebase(r, p, before, by)
		default:
			err = fmt.Errorf("merge by %.50q: %w", kind, ErrRefused)
		}
		if err != nil {
			return err
		}
		if landed, err = ids(r.Between(before, after)); err != nil {
			return err
		}
		return r.Set(base, after)
	})
	if err != nil {
		return "", announce, err
	}
	if err := f.setMerged(p, before, after, landed, by); err != nil {
		return "", announce, err
	}
	return after, announce, f.sync(by)
}

// mergeOne makes the commit of a merge or of a squash.
func (f *Forge) mergeOne(r *gitserver.Repository, p *Pull, kind Kind, base, by, title, message string) (string, error) {
	tree, _, err := f.merged(r, base, p.Head)
	if err != nil {
		return "", err
	}
	c := gitserver.Commit{Tree: tree, Parents: []string{base, p.Head}, Author: person(by), Committer: gitserver.Person{Name: "GitHub", Email: "noreply@github.example"}}
	owner := f.o.Owner
	if p.Fork != "" {
		owner = p.Fork
	}
	own, body := fmt.Sprintf("Merge pull request #%d from %s/%s", p.Number, owner, p.HeadRef), p.Title
	if kind == Squash {
		c.Parents, c.Author = c.Parents[:1], person(p.Author)
		commits, err := r.Between(base, p.Head)
		if err != nil {
			return "", err
		}
		own, body = fmt.Sprintf("%s (#%d)", p.Title, p.Number), ""
		if len(commits) > 1 {
			for _, c := range commits {
				body += "* " + strings.TrimSpace(c.Message) + "\n\n"
			}
		}
	}
	if title != "" {
		own = title
	}
	if message != "" {
		body = message
	}
	c.Message = strings.TrimRight(own+"\n\n"+body, "\n") + "\n"
	return r.Write(c)
}

// rebase writes the pull request's commits anew on top of the base, one by one.
func (f *Forge) rebase(r *gitserver.Repository, p *Pull, base, by string) (string, error) {
	commits, err := r.Between(base, p.Head)
	if err != nil {
		return "", err
	}
	at := base
	for _, c := range commits {
		if len(c.Parents) != 1 { // merges are left out, as git rebase does
			continue
		}
		parent, err := r.Commit(c.Parents[0])
		if err != nil {
			return "", err
		}
		onto, err := r.Commit(at)
		if err != nil {
			return "", err
		}
		tree, conflicts, err := r.Merge(parent.Tree, onto.Tree, c.Tree)
		if err != nil {
			return "", err
		}
		if len(conflicts) > 0 {
			return "", fmt.Errorf("pull request %d can't be rebased: %s: %w", p.Number, strings.Join(conflicts, ", "), ErrRefused)
		}
		if tree == onto.Tree { // it is there already
			continue
		}
		if at, err = r.Write(gitserver.Commit{Tree: tree, Parents: []string{at}, Author: c.Author, Committer: person(by), Message: c.Message}); err != nil {
			return "", err
		}
	}
	if at == base {
		return "", fmt.Errorf("pull request %d brings nothing: %w", p.Number, ErrRefused)
	}
	return at, nil
}

// Revert opens a pull request that takes back what a merged one brought, from a branch of
// its own, and returns its number. ErrRefused: later commits changed the same lines.
func (f *Forge) Revert(number int, by string) (int, error) {
	opened := 0
	err := f.do(func() (announce func(), err error) {
		p, err := f.pull(number)
		if err != nil {
			return nil, err
		}
		if !p.Merged {
			return nil, fmt.Errorf("pull request %d was not merged: %w", number, ErrRefused)
		}
		branch := fmt.Sprintf("revert-%d-%s", p.Number, p.HeadRef)
		title := fmt.Sprintf("Revert \"%s\"", p.Title)
		announce, err = f.git.Edit(f.o.Repo, func(r *gitserver.Repository) error {
			return f.revert(r, p, branch, title, by)
		})
		if err != nil {
			return announce, err
		}
		if err := f.sync(by); err != nil {
			return announce, err
		}
		q, err := f.open(Proposal{Head: branch, Base: p.BaseRef, Title: title, Body: fmt.Sprintf("Reverts %s/%s#%d", f.o.Owner, f.o.Repo, p.Number), Author: by})
		if err == nil {
			opened = q.Number
		}
		return announce, err
	})
	return opened, err
}

// revert commits the reverse of all that a merged pull request brought to a new branch.
func (f *Forge) revert(r *gitserver.Repository, p *Pull, branch, title, by string) error {
	if _, err := r.Ref(heads + branch); err == nil {
		return fmt.Errorf("branch %s exists: %w", branch, ErrRefused)
	}
	tip, err := r.Ref(heads + p.BaseRef)
	if err != nil {
		return err
	}
	now, err := r.Commit(tip)
	if err != nil {
		return err
	}
	after, err := r.Commit(p.MergeCommit)
	if err != nil {
		return err
	}
	before, err := r.Commit(p.Base)
	if err != nil {
		return err
	}
	tree, conflicts, err := r.Merge(after.Tree, now.Tree, before.Tree)
	if err != nil {
		return err
	}
	if len(conflicts) > 0 || tree == now.Tree {
		return fmt.Errorf("pull request %d can't be reverted: %s: %w", p.Number, strings.Join(conflicts, ", "), ErrRefused)
	}
	message := fmt.Sprintf("%s\n\nThis reverts pull request #%d, commit %s.\n", title, p.Number, p.MergeCommit)
	commit, err := r.Write(gitserver.Commit{Tree: tree, Parents: []string{tip}, Author: person(by), Message: message})
	if err != nil {
		return err
	}
	return r.Set(heads+branch, commit)
}
