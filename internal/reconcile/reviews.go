package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// reviews are the pull requests that a range of commits brought, by what Git says: the
// head of one is among the commits, or the branch now has what one would have made of it
// (a squash, a rebase, a push of the same). Nobody is asked: a forge that is away keeps no
// merge, and what a commit's message claims proves nothing. What a head brought already shows
// nothing of equal content that comes back later.
func reviews(tx store.Tx, rg Range, read *store.Memo[state.Pull]) ([]state.Pull, error) {
	all, err := store.PullsAgain(tx, read)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	commits := make(map[string]bool, len(rg.Commits))
	for _, c := range rg.Commits {
		commits[c.ID] = true
	}
	now := make(map[string]string, len(rg.Changes))
	for _, c := range rg.Changes {
		now[c.Path] = c.New
	}
	var out []state.Pull
	for _, p := range all {
		if !p.Open && !p.Merged {
			continue
		}
		// A branch that was squashed and grew on brings its commits once more with the next merge: that is the next one's.
		again := len(p.Accepted) > 0 && p.MergeCommit != "" && !commits[p.MergeCommit]
		if commits[p.Head] && !again || p.MergeCommit != "" && commits[p.MergeCommit] || len(p.Accepted) == 0 && brought(p, now) {
			out = append(out, p)
		}
	}
	return out, nil
}

// untold takes those plans for none that the forge would not take yet: what waits in the outbox and
// was refused there (a limit, an outage, a permission that is missing) nobody has seen, whatever an
// earlier plan of the same head showed. What is merely next counts: it is said within seconds.
func untold(tx store.Tx, pulls []state.Pull) error {
	if len(pulls) == 0 {
		return nil
	}
	all, err := store.Reports(tx)
	if err != nil {
		return err
	}
	refused := map[string]bool{}
	for _, r := range all {
		refused[r.Subject] = refused[r.Subject] || r.Tries > 0
	}
	for i, p := range pulls {
		if refused[fmt.Sprintf("pull/%d/plan", p.Number)] || refused["head/"+p.Planned+"/plan"] {
			pulls[i].Static, pulls[i].Shown, pulls[i].Sources = true, nil, nil
		}
	}
	return nil
}

// brought says that a range made of every file of a pull request what its plan was made of.
func brought(p state.Pull, now map[string]string) bool {
	for path, blob := range p.Files {
		if got, changed := now[path]; !changed || got != blob {
			return false
		}
	}
	return len(p.Files) > 0
}

// reviewed tells accept what was shown: by file, which says what a removal needs; by step,
// for what bears a risk; and by commit, so that what was pushed after a plan, or beside it,
// is not taken for shown. A plan is of what its head and the accepted one differ in: what its
// head does to a file that was accepted only later (it grew from a head that was not accepted
// yet) no plan knows, and that counts as pushed after it.
func reviewed(in *accept.Input, pulls []state.Pull, now map[string]string) {
	parents := make(map[string][]string, len(in.Commits))
	for _, c := range in.Commits {
		parents[c.ID] = append([]string{}, c.Parents...)
	}
	in.Shown = map[string]bool{}
	made, content := map[string]bool{}, map[string]bool{} // commits, and files, that plans were made of
	about := map[string]bool{}                            // files that plans are about, whatever became of them
	var merges []string                                   // of pull requests that were merged as they were planned
	for _, p := range pulls {
		planned := !p.Static && p.Planned != ""
		landed := p.MergeCommit != "" && parents[p.MergeCommit] != nil && p.Planned == p.Head
		r := accept.Review{Pull: p.Number, Shown: p.Shown, Sources: p.Sources, Whole: planned && (brought(p, now) || landed || parents[p.Planned] != nil)}
		if planned && landed {
			merges = append(merges, p.MergeCommit)
		}
		if planned {
			within(parents, p.Planned, made)
		}
		for path, blob := range p.Files {
			r.Paths = append(r.Paths, path)
			content[path], about[path] = content[path] || planned && brought(p, now), about[path] || planned
			if got, changed := now[path]; planned && changed && got == blob {
				in.Shown[path] = true
			}
		}
		in.Reviews = append(in.Reviews, r)
	}
	unknown := func(path string) bool { _, changed := now[path]; return changed && !about[path] } // to every plan
	held := maps.Clone(made)                                                                      // by the heads of plans
	for _, id := range merges {
		made[id] = true
	}
	for i, c := range in.Commits {
		// A merge is as good as what it merged, but for what it made of that by itself; a squash, and
		// what a rebase made, by its files.
		merge := len(c.Parents) == 2 && (made[c.Parents[0]] || made[c.Parents[1]])
		in.Commits[i].Reviewed = held[c.ID] || (made[c.ID] || merge) && (c.Paths != nil || len(c.Parents) < 2) ||
			len(c.Parents) < 2 && c.Paths != nil && !slices.ContainsFunc(c.Paths, func(path string) bool { return !content[path] })
		in.Commits[i].Own = slices.DeleteFunc(slices.Clone(c.Own), func(path string) bool { return held[c.ID] && !unknown(path) || content[path] })
		if len(c.Parents) < 2 && in.Commits[i].Reviewed {
			in.Commits[i].Own = slices.DeleteFunc(slices.Clone(c.Paths), func(path string) bool { return !unknown(path) })
		}
	}
	b := branchOf(in.Head, in.Commits, parents)
	for i, p := range pulls {
		r := &in.Reviews[i]
		r.Paths = append(r.Paths, unseen(in, b.own(p), now)...)
		slices.Sort(r.Paths)
		r.Paths = slices.Compact(r.Paths)
	}
}

// unseen are the files of what a pull request brought and its plan was not made of: it was
// pushed after the plan, or never planned, or a merge made it by itself, or no plan is about it.
func unseen(in *accept.Input, own map[string]bool, now map[string]string) []string {
	files := map[string]bool{}
	for _, c := range in.Commits {
		merge := len(c.Parents) > 1 // it brings files of others, too
		if !own[c.ID] {
			continue
		}
		touched := c.Paths
		if merge || c.Reviewed {
			touched = c.Own
		}
		if c.Paths == nil && !c.Reviewed { // any of the range
			return slices.Collect(maps.Keys(now))
		}
		for _, path := range touched {
			if _, changed := now[path]; changed { // else nothing came of it
				files[path] = true
			}
		}
	}
	return slices.Collect(maps.Keys(files))
}

// branch is how the commits of a range lie: those that were made on the branch itself, and
// those that a merge brought.
type branch struct {
	parents map[string][]string
	on      map[string]bool
	by      map[string]string   // the merge that brought a commit
	side    map[string][]string // the commits that a merge brought
}

func branchOf(head string, commits []accept.Commit, parents map[string][]string) branch {
	b := branch{parents: parents, on: map[string]bool{}, by: map[string]string{}, side: map[string][]string{}}
	for c, more := head, true; more && parents[c] != nil; {
		b.on[c] = true
		if more = len(parents[c]) > 0; more {
			c = parents[c][0]
		}
	}
	for _, c := range commits { // parents come first, and so do earlier merges
		if !b.on[c.ID] || len(c.Parents) < 2 {
			continue
		}
		todo := slices.Clone(c.Parents[1:])
		for len(todo) > 0 {
			id := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if parents[id] == nil || b.on[id] || b.by[id] != "" {
				continue
			}
			b.by[id], b.side[c.ID] = c.ID, append(b.side[c.ID], id)
			todo = append(todo, parents[id]...)
		}
	}
	return b
}

// own are the commits that a pull request brought: what was merged with its head, also what
// was pushed onto it since it was seen. Of a squash that is one commit. Of a rebase only the
// last is known, and those before may be its own: as many as it had itself; where its newest
// head was never planned, or could not be as it conflicted, all that were made on the branch
// before. What they do to files of no plan is not what was shown: a rebase makes anew what one
// of its commits did and a later one took back, and leaves out what the branch has already. So
// what somebody pushed right before a squash of several commits counts as its own, too.
func (b branch) own(p state.Pull) map[string]bool {
	own, most := map[string]bool{}, max(p.Commits, 1)
	for c := p.MergeCommit; c != "" && len(b.parents[c]) == 1; c = b.parents[c][0] {
		if own[c] = true; p.Planned == p.Head && !conflicted(p) && len(own) >= most {
			break // its plan knows its files
		}
	}
	tip := p.Head
	if b.parents[tip] == nil {
		tip = p.Planned // what was pushed onto it since came with it
	}
	if b.on[tip] {
		within(b.parents, tip, own)
	}
	for _, c := range b.side[b.by[tip]] {
		own[c] = true
	}
	own[b.by[tip]], own[p.MergeCommit] = true, true // of a merge only what it made by itself is
	return own
}

// conflicted says that what a pull request would have made could not be told.
func conflicted(p state.Pull) bool {
	for _, blob := range p.Files {
		if blob == state.Unmerged {
			return true
		}
	}
	return false
}

// within marks a commit of a range and all of the range that it reaches.
func within(parents map[string][]string, commit string, marked map[string]bool) {
	todo := []string{commit}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, in := parents[c]; !in || marked[c] {
			continue
		}
		marked[c] = true
		todo = append(todo, parents[c]...)
	}
}

// acceptedBy notes which head brought the pull requests, with the head itself: who is to be
// told of it needs no forge that answers.
func acceptedBy(tx store.Tx, head string, brought []accept.Review) error {
	for _, r := range brought {
		p, ok, err := store.Pull(tx, r.Pull)
		if err != nil {
			return err
		}
		if !ok || slices.Contains(p.Accepted, head) {
			continue
		}
		p.Accepted, p.HeldBy = append(p.Accepted, head), ""
		if err := store.PutPull(tx, p); err != nil {
			return err
		}
	}
	return nil
}

// heldBy notes which head that waits as a whole brought the pull requests.
func heldBy(tx store.Tx, head string, brought []accept.Review) error {
	for _, r := range brought {
		p, ok, err := store.Pull(tx, r.Pull)
		if err != nil {
			return err
		}
		if !ok || p.HeldBy == head {
			continue
		}
		p.HeldBy = head
		if err := store.PutPull(tx, p); err != nil {
			return err
		}
	}
	return nil
}
