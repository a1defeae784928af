package reconcile_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Strangers have objects at the vendors: look-alikes, which are named as ours will be, and neighbours,
// who come and go between the pages of a list (sim_pages_test.go). s.likes has each as it was when its
// owner made it, or touched it last. Nothing that we do changes one.

// strangersStay is the law of them.
func (s *story) strangersStay() {
	now := s.shots(slices.Collect(maps.Keys(s.likes))...)
	for _, id := range slices.Sorted(maps.Keys(s.likes)) {
		if now[id] != s.likes[id] {
			s.Fatalf("I3: what is a stranger's changed:\n%s\nwas\n%s", now[id], s.likes[id])
		}
	}
}

// likeShot is what strangers have now. What one has had before is as it was then, whatever became of it
// since: only its owner takes it away, or makes another one.
func (s *story) likeShot() map[string]string {
	var ids []string
	for id, theirs := range s.likeIDs {
		if theirs {
			ids = append(ids, id)
		}
	}
	for _, all := range s.chaos.neighbours {
		ids = append(ids, all...)
	}
	out := s.shots(ids...)
	for id := range out {
		if was, known := s.likes[id]; known {
			out[id] = was
		}
	}
	return out
}

// comes notes an object that a stranger made now, also in the middle of an event.
func (s *story) comes(id string) {
	shot := s.shots(id)
	s.liking.Lock()
	defer s.liking.Unlock()
	maps.Copy(s.likes, shot)
}

// goes notes that its owner takes an object away, if it is as it was.
func (s *story) goes(id string) {
	shot := s.shots(id)
	s.liking.Lock()
	defer s.liking.Unlock()
	if was := s.likes[id]; shot[id] != was {
		s.broken("I3: a neighbour changed:\n%s\nwas\n%s", shot[id], was)
	}
	delete(s.likes, id)
}

// shots are objects as their vendors have them, by id. One that is gone is not among them.
func (s *story) shots(of ...string) map[string]string {
	var ids []string
	text := s.vendors.world.Snapshot(func(o provider.Object) bool {
		if !slices.Contains(of, o.ID) {
			return false
		}
		ids = append(ids, o.ID)
		return true
	})
	out, n := map[string]string{}, -1
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, " ") { // what follows of an object is indented
			n++
		}
		out[ids[n]] += line
	}
	return out
}
