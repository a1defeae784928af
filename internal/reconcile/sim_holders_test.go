package reconcile_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Who is written is at work: a pass writes what its group has, a purge what is due, and nobody anything else
// (I3), and no two passes that are under way write one client (I12).

// holder is a pass that is under way.
type holder struct {
	id    state.ClientID
	group []state.ClientID // as it began
	ended bool
}

type holderKey struct{}

// holders are who is written by whom.
type holders struct {
	sync.Mutex
	last map[state.ClientID]*holder // the last one that wrote it
}

// pass is one of the engine, which is known by its context.
func (s *story) pass(ctx context.Context, id state.ClientID) (reconcile.Done, error) {
	h := &holder{id: id, group: s.engine.Group(id)}
	defer func() {
		s.holders.Lock()
		defer s.holders.Unlock()
		h.ended = true
	}()
	return s.engine.Pass(context.WithValue(ctx, holderKey{}, h), id, reconcile.CauseCommit)
}

// whoWrites is asked of every write before its effect, and of what is written.
func (s *story) whoWrites(ctx context.Context, c memory.Call, o provider.Object) {
	h, _ := ctx.Value(holderKey{}).(*holder)
	whose := map[state.ClientID]bool{c.Client: true}
	if ours(o) && !(s.older && o.Kind == state.KindDomain) { // a host's names have no place for a mark: an older record is all that says whose they are
		whose[o.Mark.Client] = true
	}
	delete(whose, "")
	s.holders.Lock()
	defer s.holders.Unlock()
	for _, who := range slices.Sorted(maps.Keys(whose)) {
		other := s.holders.last[who]
		switch {
		case h == nil && !s.purging[who]:
			s.broken("I3: nobody is at work on %s, and it is written: %s", who, c)
		case h != nil && !slices.Contains(h.group, who) && !slices.Contains(s.engine.Group(h.id), who): // a head that was accepted meanwhile may have joined others to it
			s.broken("I3: a pass of %v writes %s: %s", h.group, who, c)
		case other != nil && other != h && !other.ended:
			s.broken("I12: a pass of %s is under way, and something else writes %s: %s", other.id, who, c)
		}
		if h != nil {
			s.holders.last[who] = h
		}
	}
}

// Who writes without being at work, or beside somebody who is, is found.
func TestSimFindsWhoWrites(t *testing.T) {
	pass := func(of string) *holder {
		return &holder{id: state.ClientID(of), group: []state.ClientID{state.ClientID(of)}}
	}
	for _, c := range []struct {
		what      string
		by, other *holder
		purging   bool
		mark      state.ClientID
		want      string
	}{
		{"its pass", pass("a"), nil, false, "a", ""},
		{"its pass, after another one", pass("a"), &holder{id: "a", ended: true}, false, "a", ""},
		{"a purge", nil, &holder{id: "a", ended: true}, true, "", ""},
		{"nobody", nil, nil, false, "a", "I3: nobody is at work on a"},
		{"a pass of another one", pass("b"), nil, false, "", "I3: a pass of [b] writes a"},
		{"its pass, what is another one's", pass("a"), nil, false, "b", "I3: a pass of [a] writes b"},
		{"two passes", pass("a"), pass("a"), false, "a", "I12: a pass of a is under way"},
		{"a purge beside a pass", nil, pass("a"), true, "a", "I12: a pass of a is under way"},
	} {
		o := playWith(t, seeded(1), func(s *story) {
			s.law = func() {
				s.purging = map[state.ClientID]bool{"a": c.purging}
				s.holders.last = map[state.ClientID]*holder{"a": c.other}
				ctx := t.Context()
				if c.by != nil {
					ctx = context.WithValue(ctx, holderKey{}, c.by)
				}
				s.whoWrites(ctx, memory.Call{Client: "a"}, provider.Object{Mark: provider.Mark{Installation: lawInstallation, Client: c.mark}})
				s.law = func() {}
			}
		})
		if c.want == "" && o.failed != "" || !strings.HasPrefix(o.failed, c.want) {
			t.Errorf("%s: %q, want %q", c.what, o.failed, c.want)
		}
	}
}
