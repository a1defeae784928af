package providertest

import (
	"context"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// background is the context of calls that nobody ends.
func background() context.Context { return context.Background() }

// asWished says that o shows w: what it gives back is what was wished, so that a look
// right after a create finds no difference, and only what is write-only is left out.
func (t *suite) asWished(k Case, w provider.Wish, o provider.Object) {
	t.Helper()
	if o.Kind != k.Kind || o.Name != w.Name || o.ID == "" {
		t.Errorf("%s: got kind %q, name %q, id %q; want the name %q and an id", k.Kind, o.Kind, o.Name, o.ID, w.Name)
	}
	want := provider.Mark{}
	if t.traits(k.Kind).Marks {
		want = w.Mark
	}
	if o.Mark != want {
		t.Errorf("%s: mark %v, want %v", k.Kind, o.Mark, want)
	}
	have := map[string]provider.Input{}
	for _, a := range o.Attributes {
		if _, twice := have[a.Name]; twice {
			t.Errorf("%s: attribute %s is there twice", k.Kind, a.Name)
		}
		have[a.Name] = a
	}
	for _, i := range w.Inputs {
		a, ok := have[i.Name]
		switch {
		case !ok && !slices.Contains(k.WriteOnly, i.Name):
			t.Errorf("%s: attribute %s is not given back", k.Kind, i.Name)
		case ok && i.Secret != nil && a.Secret == nil:
			t.Errorf("%s: attribute %s was a secret and comes back in clear", k.Kind, i.Name)
		case ok && a.Reveal() != i.Reveal() && i.Secret != nil:
			t.Errorf("%s: secret %s comes back as another one", k.Kind, i.Name)
		case ok && a.Reveal() != i.Reveal():
			t.Errorf("%s: attribute %s is %q, want %q", k.Kind, i.Name, a.Text, i.Text)
		}
		delete(have, i.Name)
	}
	for name := range have {
		if strings.HasPrefix(name, "env.") {
			t.Errorf("%s: %s was not wished; a set is replaced as one", k.Kind, name)
		}
	}
}

func testCreate(t *suite) {
	c := newChain(1, ours)
	for _, k := range t.s.Cases {
		w := t.wish(k, c)
		if found := t.named(w, 0); len(found) != 0 {
			t.Fatalf("%s: %d found before its create", k.Kind, len(found))
		}
		made, err := t.p.Create(background(), w)
		if err != nil {
			t.Fatalf("create %s: %v", k.Kind, err)
		}
		if made.ID == "" {
			t.Fatalf("create %s returned no id", k.Kind)
		}
		o, err := t.settled(k.Kind, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		c.made[k.Kind] = o
		t.asWished(k, w, o)
		found := t.named(w, 1)
		if len(found) != 1 {
			t.Fatalf("%s: %d found by name %q, want 1", k.Kind, len(found), w.Name)
		}
		t.same("by name and by id", found[0], o)
	}
	for _, k := range t.s.Cases { // the later ones did nothing to the earlier ones
		t.asWished(k, t.wish(k, c), t.one(k.Kind, c.ID(k.Kind)))
	}
}

// A second object of a name: refused where names are unique, a second one elsewhere.
func testCreateAgain(t *suite) {
	c, wishes := t.chain(1, ours)
	for n, k := range t.s.Cases {
		w := wishes[n]
		before := t.one(k.Kind, c.ID(k.Kind))
		again, err := t.p.Create(background(), w)
		if !t.traits(k.Kind).UniqueName {
			if err != nil {
				t.fails("a second "+string(k.Kind)+" of the name", err, provider.Conflict, provider.Invalid)
				continue
			}
			if k.Sent {
				if found := t.named(w, 1); again.ID != before.ID || len(found) != 1 {
					t.Errorf("%s: %d found after a second create, which returned %q; want the first one alone, %q", k.Kind, len(found), again.ID, before.ID)
				}
				continue
			}
			if again.ID == before.ID {
				t.Errorf("a second create of %s returned the first object; it promises to make one or to say Conflict", k.Kind)
			}
			if found := t.named(w, 2); len(found) != 2 {
				t.Errorf("%s: %d found after a second create, want both", k.Kind, len(found))
			}
			if err := t.p.Delete(background(), k.Kind, again.ID); err != nil {
				t.Errorf("delete the second %s: %v", k.Kind, err)
			}
			continue
		}
		t.fails("a second "+string(k.Kind)+" of the name", err, provider.Conflict)
		if found := t.named(w, 1); len(found) != 1 || found[0].ID != before.ID {
			t.Errorf("%s: %d found after a refused create, want the first one", k.Kind, len(found))
		}
		t.same("the first one after a refused create", t.one(k.Kind, before.ID), before)
	}
}

func testAbsent(t *suite) {
	absent := newChain(9, ours)
	c, _ := t.chain(1, ours)
	absent.made = c.made
	for _, k := range t.s.Cases {
		w := t.wish(k, absent)
		if k.Kind != state.KindRecord || w.Name != t.wish(k, c).Name { // a record is found by its content
			if found := t.named(w, 0); len(found) != 0 {
				t.Errorf("%s: a name that nothing has finds %d", k.Kind, len(found))
			}
		}
		t.none(k.Kind, "nothing-has-this-id")
		if k.Change != nil {
			w = t.changed(k, absent)
		}
		_, err := t.p.Update(background(), "nothing-has-this-id", w)
		t.fails("update of an absent "+string(k.Kind), err, provider.NotFound)
		if err := t.p.Delete(background(), k.Kind, "nothing-has-this-id"); err != nil {
			t.Errorf("delete of an absent %s: %v", k.Kind, err)
		}
		for _, other := range t.s.Cases {
			if other.Kind == k.Kind || c.ID(other.Kind) == c.ID(k.Kind) {
				continue
			}
			t.none(k.Kind, c.ID(other.Kind))
			if err := t.p.Delete(background(), k.Kind, c.ID(other.Kind)); err != nil {
				t.Errorf("delete of a %s by the id of a %s: %v", k.Kind, other.Kind, err)
			}
		}
	}
	for _, k := range t.s.Cases {
		t.same("after deletes of what is absent", t.one(k.Kind, c.ID(k.Kind)), c.made[k.Kind])
	}
}

func testDelete(t *suite) {
	c, wishes := t.chain(1, ours)
	beside, _ := t.chain(2, ours)
	for n := len(t.s.Cases) - 1; n >= 0; n-- {
		k := t.s.Cases[n]
		for range 2 { // deleting the absent succeeds
			if err := t.p.Delete(background(), k.Kind, c.ID(k.Kind)); err != nil {
				t.Fatalf("delete %s: %v", k.Kind, err)
			}
			if k.Sent {
				t.same("sent, and deleted", t.one(k.Kind, c.ID(k.Kind)), c.made[k.Kind])
				continue
			}
			t.none(k.Kind, c.ID(k.Kind))
		}
		if k.Sent {
			continue
		}
		if found := t.named(wishes[n], 0); len(found) != 0 {
			t.Errorf("%s: %d found by name after its delete", k.Kind, len(found))
		}
		_, err := t.p.Update(background(), c.ID(k.Kind), wishes[n])
		t.fails("update of a deleted "+string(k.Kind), err, provider.NotFound)
	}
	for _, k := range t.s.Cases {
		t.same("the neighbour", t.one(k.Kind, beside.ID(k.Kind)), beside.made[k.Kind])
	}
	if slices.ContainsFunc(t.s.Cases, func(k Case) bool { return k.Sent }) {
		return // those names stay taken
	}
	again, _ := t.chain(1, ours) // the names are free
	for _, k := range t.s.Cases {
		if again.ID(k.Kind) == "" {
			t.Errorf("%s was not made again", k.Kind)
		}
	}
}

func testUpdate(t *suite) {
	c, wishes := t.chain(1, ours)
	beside, _ := t.chain(2, ours)
	for n, k := range t.s.Cases {
		if k.Change == nil {
			continue
		}
		changed := t.changed(k, c)
		for _, w := range []provider.Wish{changed, changed, wishes[n]} { // there, no change, and back
			o, err := t.p.Update(background(), c.ID(k.Kind), w)
			if err != nil {
				t.Fatalf("update %s: %v", k.Kind, err)
			}
			if o.ID != c.ID(k.Kind) {
				t.Errorf("update %s returned the id %q, was %q", k.Kind, o.ID, c.ID(k.Kind))
			}
			if o, err = t.settled(k.Kind, o.ID); err != nil {
				t.Fatal(err)
			}
			t.asWished(k, w, o)
			if found := t.named(w, 1); len(found) != 1 || found[0].ID != o.ID {
				t.Errorf("%s: %d found by name after an update", k.Kind, len(found))
			}
		}
	}
	for _, k := range t.s.Cases {
		t.same("the neighbour", t.one(k.Kind, beside.ID(k.Kind)), beside.made[k.Kind])
	}
}

// A domain or a record moves to another client by an update: the mark follows.
func testMove(t *suite) {
	c, wishes := t.chain(1, ours)
	for n, k := range t.s.Cases {
		if k.Kind != state.KindDomain && k.Kind != state.KindRecord {
			continue
		}
		w := wishes[n]
		w.Mark.Client, w.Ref.Client = "c00077", "c00077"
		if _, err := t.p.Update(background(), c.ID(k.Kind), w); err != nil {
			t.Fatalf("move %s: %v", k.Kind, err)
		}
		t.asWished(k, w, t.one(k.Kind, c.ID(k.Kind)))
	}
	for _, k := range t.s.Cases {
		if k.Kind != state.KindDomain && k.Kind != state.KindRecord {
			t.same("what did not move", t.one(k.Kind, c.ID(k.Kind)), c.made[k.Kind])
		}
	}
}
