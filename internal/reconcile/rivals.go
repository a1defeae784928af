package reconcile

import (
	"bytes"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// object is one object of the world.
type object struct {
	provider string
	kind     state.Kind
	id       string
}

func recordedObject(r state.Resource) object { return object{r.Provider, r.Ref.Kind, r.ID} }

// rivals are the names of the other clients that have an object on record, or that name
// it in `adopt:` too, for what a member is about to adopt. Who has it on record comes
// first. Manifests are accepted before anybody passes, so that of two that name the same
// object each sees the other, however close together they pass.
type rivals struct {
	names map[object]string
	left  map[object]bool // by a client that was removed
	err   error
}

func (e *Engine) rivals(m *member, adopt []state.Resource) rivals {
	out := rivals{}
	if len(adopt) == 0 {
		return out
	}
	var ids [][]byte
	for _, w := range adopt {
		if w.AdoptID != "" {
			ids = append(ids, []byte(w.AdoptID))
		}
	}
	var named []state.Client
	e.whoHas.Lock()
	out.err = e.Store.View(func(tx store.Tx) error {
		out.names, out.left, named = map[object]string{}, map[object]bool{}, nil
		clients, err := store.NamersAgain(tx, &e.namers)
		if err != nil {
			return err
		}
		name, removed := map[state.ClientID]string{}, map[state.ClientID]bool{}
		for _, c := range clients {
			name[c.ID], removed[c.ID] = c.Name, c.Removed
			if c.ID == m.client.ID || c.Removed || !mayName(c.Manifest, ids) {
				continue
			}
			whole, ok, err := store.Client(tx, c.ID)
			if err != nil {
				return err
			}
			if ok {
				named = append(named, whole)
			}
		}
		all, err := store.HoldersAgain(tx, &e.holders)
		for _, r := range all {
			if r.ID != "" && r.Ref.Client != m.client.ID {
				o := object{r.Provider, r.Ref.Kind, r.ID}
				out.names[o], out.left[o] = name[r.Ref.Client], removed[r.Ref.Client]
			}
		}
		return err
	})
	e.whoHas.Unlock()
	for _, c := range named {
		var wish []state.Resource
		if err := e.contain(c.ID, func() error {
			if eff, problems := e.effective(c); !problems.Failed() && len(eff.Adopt) > 0 {
				wish, _ = desired.Resources(e.desiredInput(c, eff, nil, nil))
			}
			return nil
		}); err != nil {
			out.err = err // what it names is not known
			return out
		}
		for _, w := range wish {
			o := object{w.Provider, w.Ref.Kind, w.AdoptID}
			if _, has := out.names[o]; w.AdoptID != "" && !has {
				out.names[o] = c.Name
			}
		}
	}
	return out
}

// mayName says that a manifest is worth reading: it holds one of the ids, as it is or
// escaped.
func mayName(text []byte, ids [][]byte) bool {
	for _, id := range ids {
		if bytes.Contains(text, id) {
			return true
		}
	}
	return bytes.IndexByte(text, '\\') >= 0 && bytes.Contains(text, []byte("adopt"))
}

// settle says in a look whose else the object is.
func (r rivals) settle(l *plan.Look, w state.Resource) {
	if r.err != nil {
		l.Failed = "who else names it can't be read: " + r.err.Error()
		return
	}
	id := w.AdoptID
	if id == "" {
		id = l.ID
	}
	o := object{w.Provider, w.Ref.Kind, id}
	other := r.names[o]
	switch {
	case id == "" || other == "":
	case w.AdoptID != "":
		l.Other, l.Left = other, r.left[o]
	case l.Foreign == "":
		l.Foreign = other
	}
}
