package reconcile_test

import (
	"fmt"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// paging says how a vendor lists in a run.
type paging struct {
	size   int // objects of a page; 0: all at once
	newest bool
}

// paginate decides which vendors list in pages, and lets others have objects there, who make
// and delete some between two pages.
func (s *story) paginate() {
	s.pages, s.chaos.neighbours = map[string]paging{}, map[string][]string{}
	if s.besidesN(2, "pages") != 2 {
		return
	}
	for _, name := range hosts {
		s.pages[name] = paging{[]int{0, 2, 3, 5}[s.besidesN(3, "page of "+name)], s.besidesN(1, "newest first") == 1}
	}
	s.chaos.moves = true
}

// mostNeighbours is how many objects of others a vendor has.
const mostNeighbours = 4

// neighbourly are objects that others have at the vendors from the start.
func (s *story) neighbourly() {
	for _, name := range hosts {
		for range mostNeighbours - 1 {
			if s.pages[name].size > 0 {
				s.chaos.settles(name)
			}
		}
	}
}

const (
	listMoves = "a list moves between two pages"
	pageFails = "a page fails"
)

// between lets others work at a vendor between two pages of a list. It is called without mu: what
// is due at the vendor then comes to be first, and asks here how it is built.
func (c *chaos) between(call memory.Call) {
	if !c.moves || call.Page < 2 || call.Moment != memory.Before {
		return
	}
	c.mu.Lock()
	n := c.dice(6, "between pages of "+call.String())
	c.mu.Unlock()
	if n >= 3 {
		return
	}
	c.moving.Lock() // two vendors' lists may move at once
	defer c.moving.Unlock()
	c.hit(listMoves)
	if all := c.neighbours[call.Provider]; n < 2 && len(all) > 0 {
		c.goes(all[0])
		c.world.Remove(all[0])
		c.neighbours[call.Provider] = all[1:]
	}
	if n > 0 && len(c.neighbours[call.Provider]) < mostNeighbours {
		c.settles(call.Provider)
	}
}

// settles lets somebody else make an object at a vendor.
func (c *chaos) settles(at string) {
	kind := map[string]state.Kind{"railway": state.KindDatabase, "postgres": state.KindDatabase, "cloudflare": state.KindRecord}[at]
	if kind == "" {
		kind = state.KindSite
	}
	c.settled++
	o := provider.Object{Kind: kind, Name: fmt.Sprintf("neighbour-%d", c.settled)}
	if kind == state.KindRecord {
		o.Attributes = []provider.Input{{Name: "content", Text: "theirs"}, {Name: "name", Text: o.Name + ".example"}, {Name: "type", Text: "TXT"}}
	}
	id := c.world.Seed(at, o)
	c.neighbours[at] = append(c.neighbours[at], id)
	c.comes(id)
}
