package reconcile_test

import (
	"iter"
	"slices"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
)

// landed is what lies between two heads, as the people know who did it.
type landed struct {
	head  string
	ids   map[string]bool   // commits
	now   map[string]string // path → blob of what differs
	files map[int]map[string]bool
	bad   map[string]bool // files that something changed which no plan was made of
	// covered are the commits that a plan was made of with its head.
	covered map[string]bool
	sure    map[int]bool // pull requests that Git alone tells
	byGit   map[int]bool // by their commits, not by what they hold
	whole   map[int]bool // merged as they were planned, or all that was planned is there
	asSeen  map[int]bool // merged with the head that was planned
	planned map[int]bool // a plan is of what the range brought, or of all that is there
	// perhaps are those whose plan the range holds, and a look that was cut off, or goes on, leaves open whether
	// that is on record: what they showed may run, and nothing waits for it.
	perhaps map[int]bool
	any     bool // a pull request may have brought something
}

func (s *story) rangeOf(from, head string) *landed {
	r := &landed{head: head, ids: map[string]bool{}, now: map[string]string{}, files: map[int]map[string]bool{}, bad: map[string]bool{}, covered: map[string]bool{},
		sure: map[int]bool{}, byGit: map[int]bool{}, whole: map[int]bool{}, asSeen: map[int]bool{}, planned: map[int]bool{}, perhaps: map[int]bool{}}
	for _, c := range s.repo.history(from, head) {
		r.ids[c.ID] = true
	}
	for _, p := range s.repo.differ(from, head) {
		r.now[p] = s.repo.trees[head][p]
	}
	for _, c := range s.pulls.all {
		s.known(r, from, c)
	}
	content := map[string]bool{} // files that are what a plan was made of, all of whose are
	about := map[string]bool{}   // files that plans are about
	for _, sh := range s.plansOf(r) {
		all := madeOf(sh, r.now)
		for p := range sh.files {
			content[p], about[p] = content[p] || all, true
		}
	}
	for i := slices.Index(s.heads, from) + 1; i <= slices.Index(s.heads, head); i++ {
		c := s.pulls.by[s.heads[i]]
		r.any = r.any || c != nil
		paths := s.repo.differ(s.heads[i-1], s.heads[i])
		seen := !slices.ContainsFunc(paths, func(p string) bool { return !content[p] })
		for _, p := range paths {
			planned := r.covered[s.heads[i]]
			if c != nil && r.byGit[c.number] { // by its content alone, only what its plan was made of is known to be its own
				_, its := s.pulls.kept[c.number].fileOf(p)
				if its || !r.asSeen[c.number] && !r.covered[s.heads[i]] && !seen { // "What was reviewed is what runs": else its plan, or that of another one that holds it, showed what becomes of it
					r.add(c.number, p)
				}
				planned = planned || r.asSeen[c.number] || s.mergedAsCovered(r, from, s.heads[i], p)
				if whole := s.heads[i] == c.state.MergeCommit; whole && !about[p] { // its plan was onto a head that did not have what it does this to
					r.add(c.number, p)
					planned = false
				}
			}
			planned = planned || c != nil && r.perhaps[c.number]
			if slices.Contains(s.repo.own[s.heads[i]], p) && !(r.covered[s.heads[i]] && about[p]) {
				planned = false // no plan is of what somebody made of it at the merge, but one whose head grew from that
			}
			r.bad[p] = r.bad[p] || !planned
		}
	}
	// What a plan was made of, and is there as it was planned, was shown, whoever else changed
	// it in between; so was a file of a plan whose head was merged, whatever was pushed onto it.
	for n, sh := range s.plansOf(r) {
		all := madeOf(sh, r.now) && (r.whole[n] || r.perhaps[n])
		for p, blob := range sh.files {
			if got, changed := r.now[p]; all || (r.byGit[n] || r.perhaps[n]) && r.ids[sh.head] && changed && got == blob {
				r.bad[p] = false
			}
		}
	}
	return r
}

// mergedAsCovered says that a merge brought a file as commits made it of which plans were made, all of
// them: what was pushed after the plan is about other files.
func (s *story) mergedAsCovered(r *landed, from, merge, path string) bool {
	return len(s.repo.parents[merge]) == 2 && !slices.ContainsFunc(s.repo.history(from, merge), func(m accept.Commit) bool {
		touched := m.Paths
		if len(m.Parents) == 2 { // it brings what others made
			touched = m.Own
		}
		return !r.covered[m.ID] && slices.Contains(touched, path)
	})
}

// plansOf are the plans that a range brought, by pull request: those on record, and those that
// may be.
func (s *story) plansOf(r *landed) iter.Seq2[int, *shown] {
	return func(yield func(int, *shown) bool) {
		for n := range r.sure {
			if kept := s.pulls.kept[n]; kept != nil && !kept.static && !yield(n, kept) {
				return
			}
		}
		for n, may := range r.perhaps {
			for _, sh := range s.pulls.plans[n] {
				if may && !sh.static && !yield(n, sh) {
					return
				}
			}
		}
	}
}

// known notes what Git alone tells of a pull request.
func (s *story) known(r *landed, from string, c *change) {
	for _, sh := range s.pulls.plans[c.number] {
		r.any = r.any || madeOf(sh, r.now)
	}
	kept, t := s.pulls.kept[c.number], s.pulls.told[c.number]
	if now, is := s.pulls.saying[c.number]; is && (now.Open != t.Open || now.Merged != t.Merged || now.Head != t.Head || now.MergeCommit != t.MergeCommit) {
		kept, t = nil, forge.Pull{} // a command of this very look accepts the head, before or after that is on record
	}
	if s.pulls.beside[c.number] { // a pass may have accepted the head before that look, or after it
		kept, t = nil, forge.Pull{}
	}
	there := t.Number != 0 && (t.Open || t.Merged)
	if t.Number == 0 {
		r.perhaps[c.number] = slices.ContainsFunc(s.pulls.plans[c.number], func(sh *shown) bool {
			return !sh.static && (r.ids[sh.head] || r.ids[c.state.MergeCommit] || madeOf(sh, r.now))
		})
		for _, sh := range s.pulls.plans[c.number] { // whoever else brought that, it may have been shown
			r.covers(s, from, sh)
		}
	}
	same := there && madeOf(kept, r.now) && !s.broughtBefore(c.number, r.head)                 // what a head brought shows nothing of what comes back later
	again := t.MergeCommit != "" && !r.ids[t.MergeCommit] && s.broughtBefore(c.number, r.head) // its commits come with another one's merge
	byGit := there && (r.ids[t.Head] && !again || t.MergeCommit != "" && r.ids[t.MergeCommit])
	if byGit || same {
		r.sure[c.number], r.byGit[c.number] = true, byGit
		r.asSeen[c.number] = kept != nil && !kept.static && c.landed != "" && kept.head == c.landed
		// Where Git says that it was merged, what is as it was planned was shown, though a head brought as much before.
		r.whole[c.number] = r.asSeen[c.number] || kept != nil && !kept.static && madeOf(kept, r.now)
		r.planned[c.number] = r.whole[c.number] || kept != nil && !kept.static && r.ids[kept.head]
	}
	if byGit {
		r.covers(s, from, kept)
	}
	if same {
		for p := range kept.files {
			r.add(c.number, p)
		}
	}
}

// covers notes the commits that a plan was made of, if the range holds its head.
func (r *landed) covers(s *story, from string, sh *shown) {
	if sh == nil || sh.static || !r.ids[sh.head] {
		return
	}
	for _, m := range s.repo.history(from, sh.head) {
		r.covered[m.ID] = true
	}
}

func (r *landed) add(number int, path string) {
	if r.files[number] == nil {
		r.files[number] = map[string]bool{}
	}
	r.files[number][path] = true
}

// bringers are the pull requests that brought one of the files.
func (r *landed) bringers(paths ...string) map[int]bool {
	out := map[int]bool{}
	for n := range r.sure {
		if slices.ContainsFunc(paths, func(p string) bool { return r.files[n][p] }) {
			out[n] = true
		}
	}
	return out
}

// all are the pull requests of a range, and those that may be. "A step runs if an equal step
// was reviewed in the accepted range": whichever files the plan was about that showed it. A
// plan onto an older head shows what others brought, too, and what everybody inherits.
func (r *landed) all() map[int]bool {
	out := map[int]bool{}
	for n := range r.sure {
		out[n] = true
	}
	for n, may := range r.perhaps {
		if may {
			out[n] = true
		}
	}
	return out
}

// unplanned says that one of the pull requests has no plan of what it brought, though another
// one's may have shown that, too.
func (r *landed) unplanned(set map[int]bool) bool {
	for n := range set {
		if !r.planned[n] {
			return true
		}
	}
	return false
}

// fileOf is what the plan says that a file becomes.
func (sh *shown) fileOf(path string) (blob string, its bool) {
	if sh != nil {
		blob, its = sh.files[path]
	}
	return blob, its
}

// madeOf says that a range made of every file of a plan what it was made of.
func madeOf(sh *shown, now map[string]string) bool {
	if sh == nil || len(sh.files) == 0 {
		return false
	}
	for p, blob := range sh.files {
		if got, changed := now[p]; !changed || got != blob {
			return false
		}
	}
	return true
}
