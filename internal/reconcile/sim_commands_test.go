package reconcile_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/review"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// command is what a comment on a pull request asks for.
type command struct {
	text   string
	may    bool // who wrote it may write, and nobody changed it since
	done   int  // how often it was carried out
	before bool // of a state that was lost, or that an older copy was put in the place of
	// hold is what waited under the fingerprint as it was written: by now it may wait with more, under another one.
	hold state.Hold
}

// commanded is the fault point: a command was carried out.
const commanded = "a comment commands"

// byComment says that somebody asks in a comment, not at the command line. What was drawn so far decides,
// so that no run draws more for it.
func (s *story) byComment(what string) bool {
	p := &s.pulls
	return p.on && s.laterWorld() && s.hash("by comment", what)%2 == 0
}

// laterWorld says that people command by comments, and stop the program.
func (s *story) laterWorld() bool { return !s.before && !s.plain && !s.wordless }

// hash is a number that follows from what was drawn so far, and from what is asked.
func (s *story) hash(what ...any) uint32 {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, what, len(s.pulls.comments), s.events, s.draws.made[0])
	return h.Sum32() >> 4
}

// comment writes a command on a pull request; false: there is none that is known. Most who write may, and
// some change later what they said, or write what somebody else then changes.
func (s *story) comment(text string) bool {
	var known []int
	s.view(func(tx store.Tx) error {
		for _, c := range s.pulls.all {
			if _, ok, _ := store.Pull(tx, c.number); ok {
				known = append(known, c.number)
			}
		}
		return nil
	})
	if len(known) == 0 {
		return false
	}
	on, now, k := known[s.hash("on")%uint32(len(known))], s.world.clock.Real(), &command{text: text, may: true}
	for _, n := range known { // where its plan shows it
		if all := s.pulls.plans[n]; len(all) > 0 && slices.ContainsFunc(all[len(all)-1].waits, func(h state.Hold) bool { return strings.Contains(text, h.Fingerprint[:12]) }) {
			on = n
		}
	}
	c := forge.Comment{ID: int64(len(s.pulls.comments) + 1), Pull: on, AuthorID: 7, Body: "/reconciler " + text, CreatedAt: now, UpdatedAt: now}
	c.Author = fmt.Sprintf("dana-%d", c.ID)
	switch s.hash("who") % 8 {
	case 0:
		c.Author, k.may = fmt.Sprintf("stranger-%d", c.ID), false
	case 1:
		c.UpdatedAt, k.may = now.Add(time.Second), false
	}
	if verb, print, _ := strings.Cut(text, " "); verb == "approve" {
		k.hold, _ = s.heldAs(print)
	}
	s.say("%s comments on pull request %d, changed=%v: %s", c.Author, on, !c.UpdatedAt.Equal(now), c.Body)
	s.pulls.comments = append(s.pulls.comments, c)
	if s.pulls.commands == nil {
		s.pulls.commands = map[string]*command{}
	}
	s.pulls.commands["github:"+c.Author] = k
	if s.hash("at once")%2 == 0 {
		s.lookAtPulls()
	}
	return true
}

// obeyed are the actions of a reviewer: what comments command is carried out by whom it is a command of,
// and once (P12), whatever dies or is put back in between.
func (s *story) obeyed() review.Actions {
	return review.Actions{
		Approve: func(ctx context.Context, fingerprint, by string) (report.Approval, error) {
			k := s.commandOf(by, "approve "+fingerprint)
			if h, ok := s.heldAs(fingerprint); ok {
				s.lets(h)
			} else if k.hold.Fingerprint != "" {
				s.lets(k.hold)
			}
			ids, told, err := s.engine.ApproveTold(ctx, fingerprint, by)
			s.view(func(tx store.Tx) error {
				all, err := store.Approvals(tx)
				if slices.ContainsFunc(all, func(a state.Approval) bool { return a.By == by && a.At.Equal(s.world.clock.Now()) }) {
					s.carriedOut(k, by)
				}
				return err
			})
			s.wants(ids...)
			s.noticed()
			return told, err
		},
		Retry: func(_ context.Context, name, by string) error {
			k := s.commandOf(by, "retry "+name)
			s.person(name)
			id, err := s.engine.Retry(name, by)
			if err == nil {
				s.carriedOut(k, by)
				s.wants(id)
			}
			return err
		},
	}
}

// commandOf is the command by which something is about to be done.
func (s *story) commandOf(by, what string) *command {
	k := s.pulls.commands[by]
	if k == nil || !k.may {
		s.broken("P12: %s commands %q, and may not", by, what)
		return &command{}
	}
	if verb, arg, _ := strings.Cut(k.text, " "); !strings.HasPrefix(what, verb+" "+arg) {
		s.broken("P12: %s commanded %q, and what is done is %q", by, k.text, what)
	}
	if k.before {
		s.broken("P12: %s commanded %q before an older state was put back, and it is done", by, k.text)
	}
	return k
}

func (s *story) carriedOut(k *command, by string) {
	s.hit(commanded)
	if k.done++; k.done > 1 && !s.clocks.any { // what was approved since is told by its date
		s.broken("P12: %s commanded %q, and it is done %d times", by, k.text, k.done)
	}
}

// heldAs is what waits under a fingerprint, or is shown by a plan to.
func (s *story) heldAs(fingerprint string) (h state.Hold, ok bool) {
	all := slices.Clone(s.holds())
	for _, c := range s.pulls.all {
		for _, sh := range s.pulls.plans[c.number] {
			all = append(all, sh.waits...)
		}
	}
	i := slices.IndexFunc(all, func(h state.Hold) bool { return strings.HasPrefix(h.Fingerprint, fingerprint) })
	if i < 0 {
		return h, false
	}
	return all[i], true
}

// unheard: what was said before is no command to a state that knows nothing of it.
func (s *story) unheard() {
	for _, k := range s.pulls.commands {
		k.before = true
	}
}

// answered: at rest every command has its answer, once its pull requests were looked at (P9).
func (s *story) answered() {
	if s.clocks.any { // what is new is told by the dates of two clocks
		return
	}
	s.view(func(tx store.Tx) error {
		for _, c := range s.pulls.comments {
			k := s.pulls.commands["github:"+c.Author]
			if k == nil || !k.may || k.before || s.world.clock.Real().Sub(c.CreatedAt) > 30*24*time.Hour {
				continue
			}
			if got, ok, err := store.Command(tx, c.ID); err != nil || !ok || got.Outcome == "begun" {
				s.broken("P9: the comment %d, %q, has no answer: %+v", c.ID, c.Body, got)
			}
		}
		return nil
	})
}
