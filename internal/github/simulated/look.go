package simulated

import (
	"fmt"
	"slices"
)

// Pulls are the pull requests, by number.
func (f *Forge) Pulls() (out []Pull) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.w.Pulls {
		out = append(out, p.copy())
	}
	return out
}

// Pull is one of them. ErrNotFound.
func (f *Forge) Pull(number int) (Pull, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.pull(number)
	if err != nil {
		return Pull{}, err
	}
	return p.copy(), nil
}

func (p *Pull) copy() Pull {
	out := *p
	out.Labels, out.Landed, out.Commits = slices.Clone(p.Labels), slices.Clone(p.Landed), slices.Clone(p.Commits)
	out.Trial.Conflicts = slices.Clone(p.Trial.Conflicts)
	return out
}

// Comments are those on a pull request, the oldest first.
func (f *Forge) Comments(pull int) (out []Comment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.commentsOf(pull) {
		out = append(out, *c)
	}
	return out
}

// Reactions are those on a comment, the oldest first.
func (f *Forge) Reactions(comment int64) (out []Reaction) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.w.Reactions {
		if r.Comment == comment {
			out = append(out, *r)
		}
	}
	return out
}

// Statuses are the newest of each context of a commit, in the order in which the contexts
// came.
func (f *Forge) Statuses(sha string) (out []Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range newest(f.statusesOf(sha, false)) {
		out = append(out, *s)
	}
	return out
}

// StatusHistory is every status that was ever written on a commit, the oldest first.
func (f *Forge) StatusHistory(sha string) (out []Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.w.Statuses {
		if s.SHA == sha {
			out = append(out, *s)
		}
	}
	return out
}

// Deployments are those in an environment ("" is all), the oldest first.
func (f *Forge) Deployments(environment string) (out []Deployment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.w.Deployments {
		if environment == "" || d.Environment == environment {
			one := *d
			one.Statuses = slices.Clone(d.Statuses)
			out = append(out, one)
		}
	}
	return out
}

// Checks are the check runs on a commit, the oldest first.
func (f *Forge) Checks(sha string) (out []Check) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.w.Checks {
		if k.SHA == sha {
			one := *k
			one.Annotations = slices.Clone(k.Annotations)
			out = append(out, one)
		}
	}
	return out
}

// Suggestions are the comments on lines of a pull request, the oldest first.
func (f *Forge) Suggestions(pull int) (out []Suggestion) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.suggestionsOf(pull) {
		out = append(out, *s)
	}
	return out
}

// Branch is the commit of a branch. ErrNotFound.
func (f *Forge) Branch(name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if tip := f.w.Branches[f.o.Repo][name]; tip != "" {
		return tip, nil
	}
	return "", fmt.Errorf("branch %q: %w", name, ErrNotFound)
}
