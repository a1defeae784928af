package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// A call that was given up is an error, never an absence, and did nothing.
func testCancelled(t *suite) {
	c, wishes := t.chain(1, ours)
	fresh := newChain(2, ours)
	fresh.made = c.made
	ctx, cancel := context.WithCancel(background())
	cancel()
	gaveUp := func(what string, err error) {
		t.Helper()
		t.fails(what, err, provider.Transient, provider.Uncertain)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the cause is not context.Canceled: %v", what, err)
		}
	}
	if _, err := t.p.Owned(ctx, ours); true {
		gaveUp("owned", err)
	}
	for n, k := range t.s.Cases {
		what := string(k.Kind)
		_, err := t.p.Observe(ctx, provider.Query{Kind: k.Kind, ID: c.ID(k.Kind)})
		gaveUp("observe "+what+" by id", err)
		_, err = t.p.Observe(ctx, provider.Query{Kind: k.Kind, Name: wishes[n].Name, Wish: &wishes[n]})
		gaveUp("observe "+what+" by name", err)
		w := t.wish(k, fresh)
		_, err = t.p.Create(ctx, w)
		gaveUp("create "+what, err)
		if found := t.named(w, 0); len(found) != 0 {
			t.Errorf("%s: made by a call that was given up before it began", k.Kind)
		}
		if k.Change != nil {
			_, err = t.p.Update(ctx, c.ID(k.Kind), t.changed(k, c))
			gaveUp("update "+what, err)
		}
		gaveUp("delete "+what, t.p.Delete(ctx, k.Kind, c.ID(k.Kind)))
		t.same("after calls that were given up", t.one(k.Kind, c.ID(k.Kind)), c.made[k.Kind])
	}
}

func testUnknownKind(t *suite) {
	kinds := []state.Kind{"nonsense"}
	for _, k := range []state.Kind{state.KindDatabase, state.KindSite, state.KindRecord, state.KindMail} {
		if _, ok := t.p.Traits()[k]; !ok {
			kinds = append(kinds, k)
		}
	}
	for _, k := range kinds {
		w := provider.Wish{Ref: state.Ref{Client: "c00001", Kind: k, Name: "main"}, Name: "c00001-" + ours, Mark: newChain(1, ours).mark}
		_, err := t.p.Observe(background(), provider.Query{Kind: k, ID: "x"})
		t.fails("observe a "+string(k)+" by id", err, provider.Unsupported)
		_, err = t.p.Observe(background(), provider.Query{Kind: k, Name: w.Name, Wish: &w})
		t.fails("observe a "+string(k)+" by name", err, provider.Unsupported)
		_, err = t.p.Create(background(), w)
		t.fails("create a "+string(k), err, provider.Unsupported)
		_, err = t.p.Update(background(), "x", w)
		t.fails("update a "+string(k), err, provider.Unsupported)
		t.fails("delete a "+string(k), t.p.Delete(background(), k, "x"), provider.Unsupported)
	}
}

// Ids and names of any content end in an answer or an *Error, and touch nothing.
func testOddWords(t *suite) {
	c, _ := t.chain(1, ours)
	for _, word := range []string{"../../etc/passwd", "a/b", ".", "..", "*", "%", "' OR 1=1 --", "a\x00b", "\xff\xfe", "ä\u202e", strings.Repeat("x", 100_000)} {
		for _, k := range t.s.Cases {
			found, err := t.p.Observe(background(), provider.Query{Kind: k.Kind, ID: word})
			t.odd("observe by id", word, len(found), err)
			found, err = t.p.Observe(background(), provider.Query{Kind: k.Kind, Name: word})
			t.odd("observe by name", word, len(found), err)
			t.odd("delete", word, 0, t.p.Delete(background(), k.Kind, word))
			_, err = t.p.Update(background(), word, t.wish(k, c))
			t.fails("update of "+fmt.Sprintf("%.40q", word), err)
			t.odd("update", word, 0, err)
		}
	}
	for _, k := range t.s.Cases {
		t.same("after odd words", t.one(k.Kind, c.ID(k.Kind)), c.made[k.Kind])
	}
}

func (t *suite) odd(what, word string, found int, err error) {
	t.Helper()
	if found != 0 {
		t.Errorf("%s %.40q finds %d", what, word, found)
	}
	if err == nil {
		return
	}
	t.fails(fmt.Sprintf("%s %.40q", what, word), err)
	if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x00\u202e") {
		t.Errorf("%s %.40q: the error is not clean text: %q", what, word, err)
	}
}

// P10: no secret prints.
func testSecrets(t *suite) {
	c, wishes := t.chain(1, ours)
	var secrets []string
	for _, w := range wishes {
		for _, i := range w.Inputs {
			if i.Secret != nil {
				secrets = append(secrets, i.Reveal())
			}
		}
	}
	objects := t.all(c)
	owned, err := t.p.Owned(background(), ours)
	if err != nil {
		t.Fatal(err)
	}
	objects = append(objects, owned...)
	for n, k := range t.s.Cases {
		objects = append(objects, t.named(wishes[n], 1)...)
		if k.Change != nil {
			o, err := t.p.Update(background(), c.ID(k.Kind), t.changed(k, c))
			if err != nil {
				t.Fatalf("update %s: %v", k.Kind, err)
			}
			objects = append(objects, o)
		}
	}
	for _, o := range objects {
		for _, out := range o.Outputs {
			if out.Secret != nil {
				secrets = append(secrets, out.Secret.Reveal())
			}
		}
	}
	var shown []string
	for _, o := range objects {
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, fmt.Sprintf("%v %+v %#v %s", o, o, o, data))
	}
	for n, w := range wishes { // refusals quote no secret either
		if _, err := t.p.Create(background(), w); err != nil {
			shown = append(shown, fmt.Sprintf("%v %+v %#v %v", err, err, err, errors.Unwrap(err)))
		}
		if _, err := t.p.Update(background(), "nothing-has-this-id", wishes[n]); err != nil {
			shown = append(shown, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
	}
	for _, text := range shown {
		for _, secret := range secrets {
			if secret != "" && strings.Contains(text, secret) {
				t.Fatal("a secret prints") // the text itself is not shown
			}
		}
	}
}

// crowd is how many callers the concurrent tests have.
const crowd = 8

func testConcurrent(t *suite) {
	var wg sync.WaitGroup
	chains := make([]Chain, crowd)
	errs := make([]error, crowd)
	for n := range crowd {
		wg.Go(func() {
			c, wishes, err := t.build(n+1, ours)
			if err == nil {
				err = t.busy(c, wishes)
			}
			chains[n], errs[n] = c, err
		})
	}
	wg.Wait()
	for n := range crowd {
		if errs[n] != nil {
			t.Fatalf("caller %d: %v", n+1, errs[n])
		}
		for _, k := range t.s.Cases {
			t.asWished(k, t.wish(k, chains[n]), t.one(k.Kind, chains[n].ID(k.Kind)))
		}
	}
}

// busy looks, changes and changes back what c has.
func (t *suite) busy(c Chain, wishes []provider.Wish) error {
	for n, k := range t.s.Cases {
		if _, err := t.p.Owned(background(), ours); err != nil {
			return err
		}
		if _, err := t.p.Observe(background(), provider.Query{Kind: k.Kind, Name: wishes[n].Name, Wish: &wishes[n]}); err != nil {
			return err
		}
		if k.Change == nil {
			continue
		}
		for _, w := range []provider.Wish{t.changed(k, c), wishes[n]} {
			if _, err := t.p.Update(background(), c.ID(k.Kind), w); err != nil {
				return err
			}
			if _, err := t.settled(k.Kind, c.ID(k.Kind)); err != nil {
				return err
			}
		}
	}
	return nil
}

// P3: many ask for the same unique name at once, and there is one.
func testConcurrentName(t *suite) {
	c := newChain(1, ours)
	for _, k := range t.s.Cases {
		w := t.wish(k, c)
		callers := 1
		if t.traits(k.Kind).UniqueName {
			callers = crowd
		}
		objects := make([]provider.Object, callers)
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for n := range callers {
			wg.Go(func() { objects[n], errs[n] = t.p.Create(background(), w) })
		}
		wg.Wait()
		made := 0
		for n := range callers {
			if errs[n] != nil {
				t.fails("the same "+string(k.Kind)+" at once", errs[n], provider.Conflict)
				continue
			}
			made++
			o, err := t.settled(k.Kind, objects[n].ID)
			if err != nil {
				t.Fatal(err)
			}
			c.made[k.Kind] = o
		}
		if found := t.named(w, 1); made != 1 || len(found) != 1 {
			t.Fatalf("%s: %d of %d callers made one, and %d are there; want 1 and 1", k.Kind, made, callers, len(found))
		}
	}
}
