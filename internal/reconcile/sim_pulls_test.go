package reconcile_test

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/review"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// proposals are the pull requests of a run: people make them, the real reviewer plans
// them, and they are merged in every way that there is.
type proposals struct {
	on       bool // in this run people propose
	all      []*change
	away     bool // the forge does not answer
	comments []forge.Comment
	commands map[string]*command // by who wrote the comment: see sim_commands_test.go
	reviewer *review.Reviewer

	by     map[string]*change // by commit: its own, and those that landed
	told   map[int]forge.Pull // what the forge said of each, in looks that came to their end
	saying map[int]forge.Pull // in the look that goes on
	plans  map[int][]*shown   // all that were made of each
	kept   map[int]*shown     // the last one of looks that came to their end
	aside  bool               // a look goes on beside passes, which may accept a head
	beside map[int]bool       // of which such a look of this event was the first to see what is on record
	trees  map[string]manifests
	laws   reviewLaws
}

// change is a pull request as people know it.
type change struct {
	number  int
	fork    bool
	at      string // commit of the branch that it grew from, or took in last
	commits []string
	trees   []manifests // after each commit of its own
	since   []manifests // before each
	state   forge.Pull
	landed  string // its head when it was merged
}

func (c *change) head() string    { return c.commits[len(c.commits)-1] }
func (c *change) tree() manifests { return c.trees[len(c.trees)-1] }

// shown is a plan that was made of a pull request.
type shown struct {
	head   string
	static bool
	files  map[string]string // path → blob, "" gone
	steps  map[string]int    // the highest rank of risk of what was shown, by client and step
	tree   manifests         // what the merge would make
	waits  []state.Hold      // what it said would wait
}

// propose decides whether people propose in this run. What was drawn so far decides, so
// that a run in which nobody does draws what it always drew.
func (s *story) propose() {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, "pull requests", s.draws.made[0])
	p := &s.pulls
	p.on = h.Sum32()%2 == 0 && !s.hostile
	p.by, p.told, p.plans, p.kept, p.trees = map[string]*change{}, map[int]forge.Pull{}, map[int][]*shown{}, map[int]*shown{}, map[string]manifests{}
	p.laws = newReviewLaws()
	p.laws.removals = p.on && h.Sum32()/2%3 == 0
}

// reviewWith gives the reviewer the engine of this start.
func (s *story) reviewWith(e *reconcile.Engine) {
	if !s.pulls.on {
		return
	}
	s.pulls.reviewer = &review.Reviewer{Engine: judge{e, s}, Git: gitOf{s}, Forge: hub{s: s}, Store: e.Store, Branch: "main", Now: s.world.clock.Now,
		Quiet: time.Minute, Patience: time.Hour, Actions: s.obeyed()}
}

// pullEvent is something that people do with pull requests.
func (s *story) pullEvent() {
	switch s.one([]string{"open", "open", "look", "merge", "merge", "merge", "merge", "several", "several", "push", "same", "close", "away", "ask", "approve", "take in"}, "pull") {
	case "open":
		s.openPull()
		if s.n(3, "look") > 0 {
			s.lookAtPulls()
		}
	case "look":
		s.lookAtPulls()
	case "merge":
		if c := s.openOne(); c != nil {
			s.beforeMerge(c)
			s.merge(c)
			s.afterMerge()
		}
	case "several": // in one range, perhaps with what nobody proposed
		for range 1 + s.n(2, "merges") {
			if c := s.openOne(); c != nil {
				s.beforeMerge(c)
				s.merge(c)
			}
			if s.odds(3, "direct") {
				s.edit()
				s.commit(false)
			}
		}
		s.afterMerge()
	case "push":
		if c := s.openOne(); c != nil {
			s.push(c)
		}
	case "same":
		if c := s.openOne(); c != nil {
			if tree, clash := mergeOf(s.trees[c.at], s.trees[s.newest()], c.tree()); !clash {
				s.say("the same as pull request %d is pushed", c.number)
				s.tree = tree
				s.commit(false)
				s.afterMerge()
			}
		}
	case "close":
		if c := s.openOne(); c != nil {
			s.say("pull request %d is closed", c.number)
			c.state.Open, c.state.UpdatedAt = false, s.world.clock.Real()
		}
	case "away":
		s.pulls.away = !s.pulls.away
		s.say("the forge is away: %v", s.pulls.away)
	case "ask":
		s.askForPlan()
	case "approve":
		s.approveBefore()
	case "take in":
		if c := s.openOne(); c != nil {
			s.takeIn(c)
		}
	}
}

func (s *story) newest() string { return s.heads[len(s.heads)-1] }

// openOne draws an open pull request, and makes one where there is none.
func (s *story) openOne() *change {
	var open []*change
	for _, c := range s.pulls.all {
		if c.state.Open {
			open = append(open, c)
		}
	}
	if len(open) == 0 {
		return s.openPull()
	}
	return open[s.n(len(open)-1, "pull request")]
}

// openPull opens one, from the newest head or an older one.
func (s *story) openPull() *change {
	at := s.newest()
	if s.odds(4, "of an older head") {
		at = s.heads[s.n(len(s.heads)-1, "head")]
	}
	c := s.newPull(at, s.odds(6, "fork"))
	s.grow(c, s.trees[at], at)
	return c
}

// newPull is one that has no commit so far.
func (s *story) newPull(at string, fork bool) *change {
	c := &change{number: len(s.pulls.all) + 1, fork: fork, at: at}
	c.state = forge.Pull{Number: c.number, Title: fmt.Sprintf("Change %d", c.number), Author: "sam", HeadRef: fmt.Sprintf("change-%d", c.number), BaseRef: "main", Fork: c.fork, Open: true}
	s.pulls.all = append(s.pulls.all, c)
	s.say("pull request %d fork=%v at %s", c.number, c.fork, at[36:])
	return c
}

// push adds a commit to a pull request.
func (s *story) push(c *change) {
	s.say("push to pull request %d", c.number)
	s.grow(c, c.tree(), c.head())
}

// grow makes a commit with one or two edits on a pull request's branch.
func (s *story) grow(c *change, before manifests, parent string) {
	s.growBy(c, before, parent, func() {
		for range 1 + s.n(1, "edits") {
			s.edit()
		}
	})
}

// growBy makes a commit of what changes the tree.
func (s *story) growBy(c *change, before manifests, parent string, edits func()) {
	mine := s.tree
	s.tree = before.clone()
	edits()
	tree := s.tree
	s.tree = mine
	change := s.changes(before, tree)
	s.add(c, before, tree, s.repo.branch(change, parent))
	s.sayFiles(change)
}

// add notes a commit of a pull request's own.
func (s *story) add(c *change, before, tree manifests, id string) {
	c.commits, c.trees, c.since = append(c.commits, id), append(c.trees, tree), append(c.since, before)
	s.pulls.by[id] = c
	c.state.Head, c.state.UpdatedAt = id, s.world.clock.Real()
	s.say("    its head is %s", id[36:])
}

// takeIn merges the branch into a pull request.
func (s *story) takeIn(c *change) {
	tree, clash := mergeOf(s.trees[c.at], s.trees[s.newest()], c.tree())
	own := s.atTheMerge(c, &tree, clash)
	if clash && len(own) == 0 || c.at == s.newest() {
		return
	}
	s.say("pull request %d takes in %s", c.number, s.newest()[36:])
	files := s.changes(c.tree(), tree)
	id := s.repo.branch(files, c.head(), s.newest())
	if s.repo.own[id] = own; len(own) > 0 {
		s.say("    somebody made %v of it by hand", own)
		s.sayFiles(files)
	}
	c.at = s.newest()
	// What a rebase would make of it is one commit.
	c.commits, c.trees, c.since = nil, nil, nil
	s.add(c, s.trees[c.at], tree, id)
}

// beforeMerge is what may come between a plan and the button.
func (s *story) beforeMerge(c *change) {
	if s.odds(2, "looked at") {
		s.lookAtPulls()
	}
	if s.odds(3, "others come first") {
		s.edit()
		s.commit(false)
		if s.odds(2, "accepted") {
			s.pollNow()
		}
	}
	if s.odds(4, "pushed at the last moment") {
		s.push(c)
	}
}

// merge lands a pull request on the branch, where its files allow it.
func (s *story) merge(c *change) {
	how := s.one([]string{"merge", "merge", "squash", "rebase"}, "how")
	tree, clash := mergeOf(s.trees[c.at], s.trees[s.newest()], c.tree())
	own := s.atTheMerge(c, &tree, clash)
	if len(own) > 0 {
		how, clash = "merge", false
	}
	if clash {
		s.say("pull request %d conflicts", c.number)
		if s.odds(2, "given up") {
			c.state.Open, c.state.UpdatedAt = false, s.world.clock.Real()
		}
		return
	}
	s.say("pull request %d: %s of %s", c.number, how, c.head()[36:])
	switch how {
	case "merge":
		s.tree = tree
		s.land(false, c, c.head())
		if s.repo.own[s.newest()] = own; len(own) > 0 {
			s.say("    somebody made %v of it by hand", own)
		}
	case "squash":
		s.tree = tree
		s.land(false, c)
	case "rebase":
		for i := range c.trees {
			step, clash := mergeOf(c.since[i], s.trees[s.newest()], c.trees[i])
			if clash || i == len(c.trees)-1 {
				s.tree = tree
				s.land(false, c)
				break
			}
			s.tree = step
			s.land(false, c)
		}
	}
	s.merged(c)
}

// merged notes that a pull request landed.
func (s *story) merged(c *change) {
	c.landed = c.head()
	c.state.Open, c.state.Merged, c.state.MergeCommit, c.state.UpdatedAt = false, true, s.newest(), s.world.clock.Real()
}

// atTheMerge is what somebody who merges on his own machine changes on the way, in some of the
// merges: a file that conflicts is as it was on the branch, else a client has another colour,
// be it one that the pull request is about. What was drawn so far decides, so that no run draws
// more for it.
func (s *story) atTheMerge(c *change, tree *manifests, clash bool) (own []string) {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, "at the merge", c.number, c.head(), s.newest(), s.draws.made[0])
	if h.Sum32()%6 > 0 {
		return nil
	}
	mine := s.changes(s.trees[c.at], c.tree())
	if clash {
		theirs := s.changes(s.trees[c.at], s.trees[s.newest()])
		for _, p := range slices.Sorted(maps.Keys(mine)) {
			if text, both := theirs[p]; both && text != mine[p] {
				own = append(own, p)
			}
		}
		return own
	}
	paths := slices.Sorted(maps.Keys(mine))
	if h.Sum32()%12 == 0 {
		paths = slices.Sorted(maps.Keys(tree.files()))
	}
	for _, p := range paths {
		name := clientOf(p)
		if x, there := tree.specs[name]; there {
			x.colour = fleetColours[(slices.Index(fleetColours, x.colour)+1)%len(fleetColours)]
			*tree = tree.clone()
			tree.specs[name] = x
			return []string{p}
		}
	}
	return nil
}

// mergeAndPoll is the shortest way from a button to a pass.
func (s *story) mergeAndPoll() {
	if c := s.openOne(); c != nil {
		s.merge(c)
		s.pollNow()
	}
}

func (s *story) afterMerge() {
	if s.odds(3, "look") {
		s.lookAtPulls()
	}
	if s.n(4, "poll") > 0 {
		s.pollNow()
	}
	if s.odds(2, "pass") {
		s.passDue(6)
	}
}

// askForPlan lets somebody who may write ask for the plan of a fork's commit.
func (s *story) askForPlan() {
	c := s.openOne()
	if c == nil {
		return
	}
	s.say("somebody asks for the plan of %d", c.number)
	now := s.world.clock.Real()
	s.pulls.comments = append(s.pulls.comments, forge.Comment{ID: int64(len(s.pulls.comments) + 1), Pull: c.number, Author: "dana", AuthorID: 7, Body: "/reconciler plan " + c.head(), CreatedAt: now, UpdatedAt: now})
}

// approveBefore approves what a plan showed as waiting, before the merge.
func (s *story) approveBefore() {
	var open []*shown
	for _, c := range s.pulls.all {
		if n := len(s.pulls.plans[c.number]); c.state.Open && n > 0 && len(s.pulls.plans[c.number][n-1].waits) > 0 {
			open = append(open, s.pulls.plans[c.number][n-1])
		}
	}
	if len(open) == 0 {
		return
	}
	waits := open[s.n(len(open)-1, "plan")].waits
	s.asksToApprove(waits[s.n(len(waits)-1, "hold")])
}

// lookAtPulls lets the reviewer look at the forge once, and plan what is due.
func (s *story) lookAtPulls() {
	if !s.pulls.on {
		return
	}
	s.pulls.saying = map[int]forge.Pull{}
	_, err := s.pulls.reviewer.Sync(s.ctx())
	s.fine(err)
	s.looked(err == nil && !s.chaos.gone())
}

// planAll lets the reviewer plan all that is open, at rest.
func (s *story) planAll() {
	s.pulls.away = false
	for n := 0; s.pulls.on; n++ {
		s.begin()
		s.lookAtPulls()
		s.finish()
		next, err := s.pulls.reviewer.Sync(s.ctx())
		if err != nil || n == 20 {
			s.Fatalf("pull requests are planned without end: %v", err)
		}
		if next.IsZero() {
			s.answered()
			return
		}
		s.world.clock.add(max(next.Sub(s.world.clock.Now()), time.Minute))
	}
}

// planKept says that the plan of a head was kept: one that found no room was told to nobody.
func (s *story) planKept(number int, head string) (kept bool) {
	s.view(func(tx store.Tx) error {
		p, _, err := store.Pull(tx, number)
		kept = p.Planned == head
		return err
	})
	return kept
}

// looked takes over what a look saw; one that did not come to its end leaves it open what
// is on record of what it saw.
func (s *story) looked(whole bool) {
	p := &s.pulls
	for n, was := range p.saying {
		if whole {
			first := p.told[n].Number == 0
			p.told[n] = was
			if all := p.plans[n]; len(all) > 0 && s.planKept(n, all[len(all)-1].head) {
				first = first || p.kept[n] != all[len(all)-1]
				p.kept[n] = all[len(all)-1]
			}
			if p.aside && first {
				p.beside[n] = true
			}
		} else {
			delete(p.told, n)
			delete(p.kept, n)
		}
	}
	p.saying = map[int]forge.Pull{}
}
