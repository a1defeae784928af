package reconcile_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/review"
)

// three merges one value of two sides; clash says that both changed it.
func three[T any](base, ours, theirs T, clash *bool) T {
	switch {
	case reflect.DeepEqual(base, ours):
		return theirs
	case reflect.DeepEqual(base, theirs), reflect.DeepEqual(ours, theirs):
		return ours
	}
	*clash = true
	return ours
}

// mergeOf merges two trees as Git does, with a field for a line.
func mergeOf(base, ours, theirs manifests) (out manifests, clash bool) {
	out = manifests{specs: map[string]spec{}, template: three(base.template, ours.template, theirs.template, &clash), freeze: three(base.freeze, ours.freeze, theirs.freeze, &clash), blog: ours.blog}
	for _, n := range fleetAndOld {
		b, inBase := base.specs[n]
		o, inOurs := ours.specs[n]
		t, inTheirs := theirs.specs[n]
		if !inOurs && !inTheirs {
			continue
		}
		switch {
		case inBase == inOurs && b.text() == o.text():
			o, inOurs = t, inTheirs
		case inBase == inTheirs && b.text() == t.text():
		case inOurs && inTheirs && inBase:
			o = mergeSpec(b, o, t, &clash)
		case inOurs != inTheirs || o.text() != t.text():
			clash = true
		}
		if inOurs {
			out.specs[n] = o
		}
	}
	return out.clone(), clash
}

// fleetAndOld are all names that a client of a run can have.
var fleetAndOld = append(slices.Clone(fleetNames), "f")

func mergeSpec(b, o, t spec, clash *bool) spec {
	return spec{name: o.name, domain: three(b.domain, o.domain, t.domain, clash), aliases: three(b.aliases, o.aliases, t.aliases, clash),
		colour: three(b.colour, o.colour, t.colour, clash), theme: three(b.theme, o.theme, t.theme, clash), host: three(b.host, o.host, t.host, clash), db: three(b.db, o.db, t.db, clash),
		records: three(b.records, o.records, t.records, clash), previously: three(b.previously, o.previously, t.previously, clash), reuse: three(b.reuse, o.reuse, t.reuse, clash),
		paused: three(b.paused, o.paused, t.paused, clash), keep: three(b.keep, o.keep, t.keep, clash), secret: three(b.secret, o.secret, t.secret, clash), note: three(b.note, o.note, t.note, clash),
		broken: three(b.broken, o.broken, t.broken, clash), adopts: three(b.adopts, o.adopts, t.adopts, clash), byHand: three(b.byHand, o.byHand, t.byHand, clash), heals: three(b.heals, o.heals, t.heals, clash),
		pays: three(b.pays, o.pays, t.pays, clash), retain: three(b.retain, o.retain, t.retain, clash), more: three(b.more, o.more, t.more, clash),
		private: three(b.private, o.private, t.private, clash), own: three(b.own, o.own, t.own, clash)}
}

// gitOf is what the reviewer asks of Git.
type gitOf struct{ s *story }

func (g gitOf) change(number int, head string) (*change, error) {
	c := g.s.pulls.all[number-1]
	if c.head() != head {
		return nil, review.ErrMoved
	}
	return c, nil
}

func (g gitOf) Bring(_ context.Context, number int, head string) error {
	if g.s.pulls.away {
		return errAway
	}
	_, err := g.change(number, head)
	return err
}

func (g gitOf) Changed(_ context.Context, from, to string) (paths []string, rules bool, err error) {
	for _, p := range g.s.repo.differ(from, to) {
		paths = append(paths, p)
		rules = rules || p == "platform.yaml" || p == "templates/shop.yaml"
	}
	return paths, rules, nil
}

func (g gitOf) Merged(_ context.Context, number int, base, head string) (review.Merged, error) {
	c, err := g.change(number, head)
	if err != nil {
		return review.Merged{}, err
	}
	s := g.s
	tree, clash := s.trees[base], false
	if len(s.repo.history(base, head)) > 0 { // else the branch has it
		at := c.at
		if slices.Index(s.heads, base) < slices.Index(s.heads, at) {
			at = base
		}
		tree, clash = mergeOf(s.trees[at], s.trees[base], c.tree())
	}
	out := review.Merged{At: filesOf(s.trees[base]), Files: filesOf(tree), Commits: len(c.commits)}
	if clash { // it is looked at, and nothing is shown
		out.Conflicts = []string{"clients"}
		s.pulls.plans[number] = append(s.pulls.plans[number], &shown{head: head, static: true})
	}
	s.pulls.trees[head] = tree
	return out, nil
}

// filesOf is a tree as files, by path.
func filesOf(m manifests) []accept.File {
	var out []accept.File
	for p, text := range m.files() {
		out = append(out, accept.File{Path: p, Blob: blobOf(text), Data: []byte(text)})
	}
	slices.SortFunc(out, func(a, b accept.File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// hub is the forge. What the reviewer's looks do not ask is not there.
type hub struct {
	forge.Forge
	s *story
}

func (h hub) Me(context.Context) (forge.Identity, error) {
	return forge.Identity{Login: "reconciler", ID: 1}, h.fails()
}

func (h hub) Permission(_ context.Context, login string) (forge.Permission, error) {
	if strings.HasPrefix(login, "stranger") {
		return forge.Read, h.fails()
	}
	if h.s.pulls.commands["github:"+login] != nil && h.s.chaos.roll(100, "permission of "+login) < h.s.chaos.rate {
		h.s.hit(forgeAway)
		return forge.None, fmt.Errorf("who may: %w", forge.ErrAway)
	}
	return forge.Write, h.fails()
}

// PullsOf knows of none: whoever proposes here was seen while it was open, or is not known.
func (h hub) PullsOf(context.Context, string) ([]forge.Pull, error) { return nil, h.fails() }

func (h hub) React(context.Context, int64, string) error { return h.fails() }

func (h hub) fails() error {
	if h.s.pulls.away {
		h.s.hit(forgeAway)
		return fmt.Errorf("list: %w", forge.ErrAway)
	}
	return nil
}

func (h hub) Open(context.Context, string) (out []forge.Pull, err error) {
	for _, c := range h.s.pulls.all {
		if c.state.Open {
			out = append(out, c.state)
		}
	}
	if err = h.fails(); err == nil {
		for _, f := range out {
			h.s.pulls.saying[f.Number] = f
		}
	}
	return out, err
}

func (h hub) Pull(_ context.Context, number int) (forge.Pull, error) {
	f := h.s.pulls.all[number-1].state
	if err := h.fails(); err != nil {
		return forge.Pull{}, err
	}
	h.s.pulls.saying[number] = f
	return f, nil
}

func (h hub) CommentsSince(_ context.Context, since time.Time) (out []forge.Comment, err error) {
	for _, c := range h.s.pulls.comments {
		if !c.UpdatedAt.Before(since) {
			out = append(out, c)
		}
	}
	return out, h.fails()
}
