package reconcile

import (
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// outsider is a secret in a source, with whose it is. The lowest rank counts where a
// client is found under several names.
type outsider struct {
	state.OutsideSecret
	scope string
	rank  int
}

// The ranks.
const (
	byID = iota
	byName
	byFormer
)

// owners knows whose a name in a source is.
type owners struct {
	id     map[state.ClientID]state.Client
	living map[string]state.Client
	taken  map[string]state.ClientID
	said   map[string]bool
}

func (e *Engine) whose(tx store.Tx) (owners, error) {
	w := owners{id: map[state.ClientID]state.Client{}, living: map[string]state.Client{}, said: map[string]bool{}}
	clients, err := store.Clients(tx)
	if err != nil {
		return w, err
	}
	for _, c := range clients {
		w.id[c.ID] = c
		if !c.Removed {
			w.living[c.Name] = c
		}
	}
	w.taken, err = store.SecretOwners(tx)
	return w, err
}

// of says whose a secret in a source is; false: nobody's that there is. What the names
// tell people is noted in t, and a name that is taken with this secret.
func (w *owners) of(x state.OutsideSecret, t *taken) (outsider, bool) {
	o := outsider{OutsideSecret: x, scope: sharedScope}
	bearer, borne := w.living[x.Owner]
	if x.Owner == state.SharedOwner {
		if borne {
			w.say(t, x.Owner, "secrets: the client %s finds none of its own in sources: there the name means everybody. Put them under its id, %s, or set them", x.Owner, bearer.ID)
		}
		return o, true
	}
	if c, ok := w.id[state.ClientID(x.Owner)]; ok {
		if borne && bearer.ID != c.ID {
			w.say(t, x.Owner, "secrets: what is under %s in sources is for the client %s, whose id that is; the client of that name finds its own under its id, %s", x.Owner, c.Name, bearer.ID)
		}
		o.scope, o.rank = string(c.ID), byID
		return o, !c.Removed
	}
	id, taken := w.taken[x.Owner]
	if !taken && borne {
		id, taken = bearer.ID, true
		w.taken[x.Owner], t.owners[x.Owner] = id, id
	}
	if !taken {
		o.scope, o.rank = Coming+x.Owner, byName
		return o, manifest.IsName(x.Owner)
	}
	c, there := w.id[id]
	if borne && bearer.ID != id {
		w.say(t, x.Owner, "secrets: what is under %s in sources was read for another client of that name (%s) and is not handed on; put what is this one's under its id, %s, or `reconciler secret set NAME --client %s`", x.Owner, id, bearer.ID, x.Owner)
	}
	o.scope, o.rank = string(id), byName
	if there && c.Name != x.Owner {
		o.rank = byFormer
	}
	return o, there && !c.Removed
}

// say notes something of a name, once.
func (w *owners) say(t *taken, name, format string, a ...any) {
	if !w.said[name] {
		w.said[name] = true
		t.note(format, a...)
	}
}
