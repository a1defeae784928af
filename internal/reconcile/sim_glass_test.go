package reconcile_test

import (
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// glass shows a bucket of the store: what was written since the last look is decoded
// anew, so that the laws can look after every event. What it shows is not to be changed.
type glass[T any] struct {
	at     store.Moment
	keys   []string // sorted
	values map[string]T
}

func (g *glass[T]) look(tx store.Tx, bucket string) error {
	changed, now, ok := tx.Since(bucket, g.at)
	if g.at = nil; !ok {
		g.values = map[string]T{}
		changed = nil
		if err := tx.Each(bucket, "", func(key string, _ func(any) error) error { changed = append(changed, key); return nil }); err != nil {
			return err
		}
	}
	for _, key := range changed {
		var v T
		there, err := tx.Get(bucket, key, &v)
		if err != nil {
			return err
		}
		delete(g.values, key)
		if there {
			g.values[key] = v
		}
	}
	if len(changed) > 0 || !ok {
		g.keys = g.keys[:0]
		for key := range g.values {
			g.keys = append(g.keys, key)
		}
		slices.Sort(g.keys)
	}
	g.at = now
	return nil
}

func (g *glass[T]) all(s *story, bucket, prefix string) (out []T) {
	s.looking.Lock()
	defer s.looking.Unlock()
	s.view(func(tx store.Tx) error { return g.look(tx, bucket) })
	from, _ := slices.BinarySearch(g.keys, prefix)
	for _, key := range g.keys[from:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		out = append(out, g.values[key])
	}
	return out
}

// glasses are those that the laws look through.
type glasses struct {
	clients   glass[state.Client]
	resources glass[state.Resource]
	intents   glass[journal.Intent]
	holds     glass[state.Hold]
	stones    glass[state.Tombstone]
}

func below(id state.ClientID) string { return string(id) + "/" }

func (s *story) clients() []state.Client { return s.glasses.clients.all(s, "clients", "") }

func (s *story) allResources() []state.Resource { return s.glasses.resources.all(s, "resources", "") }

func (s *story) resources(id state.ClientID) []state.Resource {
	return s.glasses.resources.all(s, "resources", below(id))
}

func (s *story) allIntents() []journal.Intent { return s.glasses.intents.all(s, "intents", "") }

func (s *story) intents(id state.ClientID) []journal.Intent {
	return s.glasses.intents.all(s, "intents", below(id))
}

func (s *story) holds() []state.Hold { return s.glasses.holds.all(s, "holds", "") }

func (s *story) allTombstones() []state.Tombstone {
	return s.glasses.stones.all(s, "tombstones", "")
}

func (s *story) tombstones(id state.ClientID) []state.Tombstone {
	return s.glasses.stones.all(s, "tombstones", below(id))
}
