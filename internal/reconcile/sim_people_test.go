package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// outside is who keeps the records that people set by hand.
const outside = "outside"

// lookup answers as DNS does: with every record that there is, whoever keeps it.
func (s *story) lookup(_ context.Context, kind, name string) ([]string, error) {
	if s.deaf {
		return nil, errors.New("no server answers")
	}
	var out []string
	for _, o := range s.vendors.world.Objects("") {
		if o.Kind != state.KindRecord || attribute(o, "type") != kind || attribute(o, "name") != name {
			continue
		}
		content := attribute(o, "content")
		if p := attribute(o, "priority"); p != "" {
			content = p + " " + content
		}
		out = append(out, content)
	}
	return out, nil
}

// asked are the records that people are asked to set and have not, by id. (Also one that was there when
// it was looked for, and that its owner took away since, where a host says that DNS does not lead to it: it is
// asked for again.)
func (s *story) asked() []url.Values {
	var out []url.Values
	for _, id := range s.ids() {
		going := map[string]bool{} // nobody is asked any more for what goes
		for _, t := range s.tombstones(id) {
			going[t.Part] = !t.Done
		}
		for _, r := range s.resources(id) {
			if going[""] || going[string(r.Ref.Kind)+"/"+r.Ref.Name] {
				continue
			}
			_, query, ok := strings.Cut(r.ID, "?")
			again := strings.Contains(s.client(id).Because, "Set the record "+r.Ref.Name+" →")
			if r.Provider != "external" || r.Phase != string(provider.Manual) && !again || !ok {
				continue
			}
			v, err := url.ParseQuery(query)
			if err != nil {
				s.Fatalf("%s: %v", r.ID, err)
			}
			out = append(out, v)
		}
	}
	return out
}

// setByHand lets a person do what was asked: a name leads to one address.
func (s *story) setByHand(v url.Values) {
	s.say("by hand: set %s %s %s", v.Get("type"), v.Get("name"), v.Get("content"))
	for _, o := range s.vendors.world.Objects(outside) {
		if attribute(o, "name") == v.Get("name") && attribute(o, "type") == v.Get("type") && (v.Get("type") == "A" || attribute(o, "content") == v.Get("content")) {
			s.vendors.world.Remove(o.ID)
		}
	}
	o := provider.Object{Kind: state.KindRecord, Name: v.Get("type") + " " + v.Get("name")}
	for _, a := range []string{"type", "name", "content", "priority"} {
		if x := v.Get(a); x != "" {
			o.Attributes = append(o.Attributes, provider.Input{Name: a, Text: x})
		}
	}
	s.vendors.world.Seed(outside, o)
}

// forgetful lets a person do it who leaves the record that was there beside the new one, at times.
func (s *story) forgetful(v url.Values) {
	if v.Get("type") != "A" || s.besidesN(2, "beside the old one") != 2 {
		s.setByHand(v)
		return
	}
	s.say("by hand: beside what is there, set A %s %s", v.Get("name"), v.Get("content"))
	s.setBeside(v)
}

// takeAway are the records that status says a person is to take away.
var takeAway = regexp.MustCompile(`take the record A (\S+) → (\S+) away at your DNS host`)

// tidy lets people take away what status says, also where it is the record of before us at a host that we know.
func (s *story) tidy() {
	for _, c := range s.clients() {
		for _, m := range takeAway.FindAllStringSubmatch(c.Because, -1) {
			theirs := slices.DeleteFunc(s.vendors.world.Objects("cloudflare"), func(o provider.Object) bool { return !s.planted[o.ID] || ours(o) })
			for _, o := range append(theirs, s.vendors.world.Objects(outside)...) {
				if attribute(o, "name") == m[1] && attribute(o, "content") == m[2] {
					s.say("by hand: take A %s %s away", m[1], m[2])
					s.vendors.world.Remove(o.ID)
					delete(s.planted, o.ID)
				}
			}
		}
	}
}

// freeze is a window of platform.yaml.
type freeze struct{ from, to time.Time }

func (f freeze) at(now time.Time) bool { return !now.Before(f.from) && now.Before(f.to) }

func (f freeze) text() string {
	if f.to.IsZero() {
		return ""
	}
	const layout = "2006-01-02T15:04"
	return fmt.Sprintf("apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: %s, to: %s, zone: UTC, reason: holidays}]\n", f.from.Format(layout), f.to.Format(layout))
}

// freezeSome draws a window.
func (s *story) freezeSome() freeze {
	if s.odds(3, "no freeze") {
		return freeze{}
	}
	from := s.world.clock.Now().Add(time.Duration(s.n(3, "freeze in")-1) * time.Hour).Truncate(time.Minute)
	return freeze{from, from.Add(time.Duration(1+s.n(30, "freeze for")) * time.Hour)}
}

// frozen are the clients of a group that a pass which begins now must leave alone: there
// is a freeze, nobody let them go, and nothing was begun before it.
func (s *story) frozen(group []state.ClientID) map[state.ClientID]bool {
	out := map[state.ClientID]bool{}
	if s.accepted == "" || !s.trees[s.accepted].freeze.at(s.world.clock.Now()) {
		return out
	}
	for _, c := range s.clients() {
		for _, id := range group {
			building := slices.ContainsFunc(s.resources(id), func(r state.Resource) bool { return r.Phase != "" })
			if c.ID == id && c.Run == "" && c.RollingBack == "" && !s.letFreeze(c) && !building && !s.lostBefore[id] {
				out[id] = true
			}
		}
	}
	return out
}

// letFreeze says that somebody let the client change in a freeze. An approval may be given
// before the merge: a client that is yet to come has no id then, and its plan stands for
// whoever comes by its name and has nothing yet.
func (s *story) letFreeze(c state.Client) bool {
	return s.thawed[c.ID] || s.thawed[coming(c.Name)] && !c.EverDeployed
}

// coming is whom a plan means by a client that is yet to come.
func coming(name string) state.ClientID { return state.ClientID(name + "-new") }

// pausedOf are the clients of a group that a pass which begins now must leave alone: they
// are paused, and nothing of an earlier pass is to be ended.
func (s *story) pausedOf(group []state.ClientID) map[state.ClientID]bool {
	out := map[state.ClientID]bool{}
	for _, id := range group {
		c := s.client(id)
		x, known := s.bySpec[c.Blob]
		if !c.Removed && (c.Paused || known && x.paused) && c.Run == "" && c.RollingBack == "" && len(s.intents(id)) == 0 {
			out[id] = true
		}
	}
	return out
}

// mayChange lets go, in a pass that is under way, of whom the branch's newest head frees.
func (s *story) mayChange() {
	tree := s.trees[s.heads[len(s.heads)-1]]
	if !tree.freeze.at(s.world.clock.Now()) {
		clear(s.froze)
	}
	for id := range s.still {
		if c := s.client(id); !c.Paused && !tree.specs[c.Name].paused {
			delete(s.still, id)
		}
	}
}
