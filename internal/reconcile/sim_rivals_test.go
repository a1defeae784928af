package reconcile_test

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// rivalRuns: in one of so many runs the vendors have the traits of those that the program
// speaks with (internal/provider: vercel, ploi, railway, payload), and somebody else is at work
// there, who is now and then faster than we are.
const rivalRuns = 3

// faster is the fault: right before a create of ours another one makes an object of that name.
const faster = "somebody is faster: create "

// rivalKinds are those of what they make.
var rivalKinds = []state.Kind{state.KindSite, state.KindDatabase, state.KindDomain, state.KindRecord, state.KindAdmin}

// vendorsAsTheyAre decides whether this run is one of those. What was drawn so far decides, so
// that the other runs are what they were.
func (s *story) vendorsAsTheyAre(unkind map[string]func(state.Kind, *provider.Traits)) {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, "rivals", s.draws.made[0])
	if s.rivalry = h.Sum32() >> 8; s.rivalry%rivalRuns > 0 || s.before || s.plain || s.movers {
		return
	}
	s.bare, s.chaos.rival = true, s.rival
	for _, name := range hosts {
		unkind[name] = asItIs(name, s.chaos.lag[name])
	}
}

// asItIs are the traits of a vendor: it refuses a name that is taken, though its lists are late,
// and a domain or a user has no place for a mark. A database may have a name twice at Railway, and
// releases at Vercel.
func asItIs(vendor string, lag time.Duration) func(state.Kind, *provider.Traits) {
	return func(k state.Kind, t *provider.Traits) {
		t.ListLag = lag
		switch k {
		case state.KindDomain:
			t.Marks, t.AfterDNS, t.PerSite = false, true, vendor == "ploi"
		case state.KindAdmin:
			t.Marks = false
		case state.KindDatabase:
			t.UniqueName = vendor != "railway"
		case state.KindEnvironment, state.KindDeployment, state.KindTraffic:
			t.UniqueName = vendor != "vercel"
		}
	}
}

// rival may let somebody else make an object right before we make one of that name: with no mark
// or another installation's, of a site or an account that is not ours, or by hand in ours.
func (s *story) rival(call memory.Call) {
	n := s.chaos.roll(16, fmt.Sprintf("rival %d %s", s.rivalry, call))
	if n > 1 {
		return
	}
	theirs := n == 0
	o := provider.Object{Kind: call.Kind, Name: call.Name}
	if theirs {
		o.Mark = provider.Mark{Installation: "ffff0000", Client: "a-000001", Generation: 1}
	}
	say := func(pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			o.Attributes = append(o.Attributes, provider.Input{Name: pairs[i], Text: pairs[i+1]})
		}
	}
	inOurs := false
	switch call.Kind {
	case state.KindSite:
		say("label", "theirs")
		o.Outputs = []provider.Output{{Name: "url", Text: "https://elsewhere.example"}, {Name: "address", Text: addresses[call.Provider]}, {Name: "host", Text: "elsewhere.example"}}
	case state.KindDatabase:
		say("access", "public")
	case state.KindDomain:
		site := "another"
		if !theirs {
			site, inOurs = s.siteOf(call)
		}
		say("host", call.Name, "site", site)
		o.ID = memory.DomainID(site, call.Name)
	case state.KindRecord:
		typ, name, _ := strings.Cut(call.Name, " ")
		content := addresses["vercel"] // as it is wished of many
		if theirs {
			content = "198.51.100.1"
		}
		if name, _, _ = strings.Cut(name, " "); typ != "A" {
			return
		}
		say("type", typ, "name", name, "content", content, "ttl", "300")
	case state.KindAdmin:
	default:
		return
	}
	if _, there := s.vendors.world.Object(o.ID); there {
		return
	}
	s.hit(faster + string(call.Kind))
	id := s.vendors.world.Settle(call.Provider, o, s.chaos.lag[call.Provider])
	s.likeIDs[id] = !inOurs // else it goes with its site
	s.say("somebody is faster: %s %s %q marked %v: %s", call.Provider, call.Kind, call.Name, theirs, id)
	if !inOurs {
		s.comes(id)
	}
	s.tookDown() // a record beside ours, or in its place, may lead elsewhere
}

// siteOf is the site that a domain is about to be bound to, if it is ours.
func (s *story) siteOf(call memory.Call) (id string, is bool) {
	for _, o := range s.vendors.world.Objects(call.Provider) {
		if o.Kind == state.KindSite && ours(o) && o.Mark.Client == call.Client {
			return o.ID, true
		}
	}
	return "another", false
}
