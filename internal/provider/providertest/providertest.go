package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Installations that the suite marks its objects with.
const (
	ours   = "0badcafe"
	theirs = "deadbeef"
)

// patience is how long the suite waits for what comes late, such as a build. It is a
// net against hanging, not a measure.
const patience = time.Minute

// Subject is a provider under test.
type Subject struct {
	// New opens a provider that holds nothing. It ends it with t.Cleanup.
	New func(t *testing.T) provider.Provider
	// Reopen ends p and opens what it held anew, as a restart does. nil: p holds
	// nothing on disk, and there is nothing to reopen.
	Reopen func(t *testing.T, p provider.Provider) provider.Provider
	// Cases are the kinds, each after those that it refers to. Every kind of Traits
	// has one.
	Cases []Case
	// Tick lets a little time go by at p, while the suite waits for a build or a late
	// list. nil: a millisecond of real time.
	Tick func(p provider.Provider)
}

// Case says what to wish of one kind.
type Case struct {
	Kind state.Kind
	// Name is the Ref's name. nil: "main".
	Name func(c Chain) string
	// Inputs are the wish's, in any order. Chains of different N must be able to live
	// side by side: use c.N in labels and host names.
	Inputs func(c Chain) []provider.Input
	// Change are the inputs that an update changes; the others stay. nil: an object of
	// this kind never changes.
	Change func(c Chain) []provider.Input
	// WriteOnly are inputs that the vendor does not give back.
	WriteOnly []string
	// Sent says that what was made can't be taken back, as a mail: Delete succeeds and leaves
	// it, and a Create of the same name makes nothing: it returns the first one, or says
	// Conflict.
	Sent bool
}

// Chain is what has been made of one client so far.
type Chain struct {
	N    int
	made map[state.Kind]provider.Object
	mark provider.Mark
}

// ID is the id of the chain's object of a kind, "" when it has none.
func (c Chain) ID(k state.Kind) string { return c.made[k].ID }

// Text is an input.
func Text(name, text string) provider.Input { return provider.Input{Name: name, Text: text} }

// Secret is a secret input.
func Secret(name, text string) provider.Input {
	s := state.NewSecret(text)
	return provider.Input{Name: name, Secret: &s}
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Helper()
	if len(s.Cases) == 0 {
		t.Fatal("the subject has no cases")
	}
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"traits", testTraits},
		{"create", testCreate},
		{"create again", testCreateAgain},
		{"absent", testAbsent},
		{"delete", testDelete},
		{"update", testUpdate},
		{"move", testMove},
		{"outputs", testOutputs},
		{"owned", testOwned},
		{"parts of a site", testParts},
		{"looking changes nothing", testLooking},
		{"copies", testCopies},
		{"cancelled", testCancelled},
		{"unknown kind", testUnknownKind},
		{"odd words", testOddWords},
		{"secrets", testSecrets},
		{"reopen", testReopen},
		{"concurrent", testConcurrent},
		{"concurrent same name", testConcurrentName},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(&suite{T: t, s: s, p: s.New(t)}) })
	}
}

// suite is one test on one fresh provider.
type suite struct {
	*testing.T
	s Subject
	p provider.Provider
}

func (t *suite) traits(k state.Kind) provider.Traits { return t.p.Traits()[k] }

// wish is what to ask for in chain c.
func (t *suite) wish(k Case, c Chain) provider.Wish {
	name := "main"
	if k.Name != nil {
		name = k.Name(c)
	}
	r := state.Ref{Client: c.mark.Client, Kind: k.Kind, Name: name}
	return provider.Wish{Ref: r, Name: provider.ObjectName(c.mark, r), Mark: c.mark, Inputs: sorted(k.Inputs(c))}
}

// changed is the wish with its Change.
func (t *suite) changed(k Case, c Chain) provider.Wish {
	w := t.wish(k, c)
	for _, i := range k.Change(c) {
		w.Inputs = slices.DeleteFunc(w.Inputs, func(have provider.Input) bool { return have.Name == i.Name })
		w.Inputs = append(w.Inputs, i)
	}
	w.Inputs = sorted(w.Inputs)
	return w
}

func sorted(in []provider.Input) []provider.Input {
	out := slices.Clone(in)
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func newChain(n int, installation string) Chain {
	return Chain{N: n, made: map[state.Kind]provider.Object{},
		mark: provider.Mark{Installation: installation, Client: state.ClientID(fmt.Sprintf("c%05d", n)), Generation: 1}}
}

// chain makes one object of every kind and waits until each is ready.
func (t *suite) chain(n int, installation string) (Chain, []provider.Wish) {
	t.Helper()
	c, wishes, err := t.build(n, installation)
	if err != nil {
		t.Fatal(err)
	}
	return c, wishes
}

func (t *suite) build(n int, installation string) (Chain, []provider.Wish, error) {
	c := newChain(n, installation)
	var wishes []provider.Wish
	for _, k := range t.s.Cases {
		w := t.wish(k, c)
		o, err := t.p.Create(context.Background(), w)
		if err != nil {
			return c, nil, fmt.Errorf("create %s: %w", k.Kind, err)
		}
		if o, err = t.settled(k.Kind, o.ID); err != nil {
			return c, nil, err
		}
		c.made[k.Kind] = o
		wishes = append(wishes, w)
	}
	return c, wishes, nil
}

// settled looks until the object is no longer Progressing.
func (t *suite) settled(k state.Kind, id string) (provider.Object, error) {
	for end := time.Now().Add(patience); ; t.tick() {
		found, err := t.p.Observe(context.Background(), provider.Query{Kind: k, ID: id})
		switch {
		case err != nil:
			return provider.Object{}, fmt.Errorf("observe %s %s: %w", k, id, err)
		case len(found) != 1:
			return provider.Object{}, fmt.Errorf("observe %s %s: %d found right after its create", k, id, len(found))
		case found[0].Phase == provider.Ready:
			return found[0], nil
		case found[0].Phase != provider.Progressing:
			return provider.Object{}, fmt.Errorf("%s %s is %s: %s", k, id, found[0].Phase, found[0].Message)
		case time.Now().After(end):
			return provider.Object{}, fmt.Errorf("%s %s does not become ready", k, id)
		}
	}
}

func (t *suite) tick() {
	if t.s.Tick != nil {
		t.s.Tick(t.p)
		return
	}
	time.Sleep(time.Millisecond)
}

// one is the object of an id, which must be there.
func (t *suite) one(k state.Kind, id string) provider.Object {
	t.Helper()
	found, err := t.p.Observe(context.Background(), provider.Query{Kind: k, ID: id})
	if err != nil || len(found) != 1 {
		t.Fatalf("observe %s %s: %d found, %v", k, id, len(found), err)
	}
	return found[0]
}

// none says that nothing has the id.
func (t *suite) none(k state.Kind, id string) {
	t.Helper()
	found, err := t.p.Observe(context.Background(), provider.Query{Kind: k, ID: id})
	if err != nil || len(found) != 0 {
		t.Errorf("observe %s %s: %d found, %v; want none", k, id, len(found), err)
	}
}

// named looks by name and content, as before a create, until n are found or the
// vendor's lists had time to show them.
func (t *suite) named(w provider.Wish, n int) []provider.Object {
	t.Helper()
	for end := time.Now().Add(patience); ; t.tick() {
		found, err := t.p.Observe(context.Background(), provider.Query{Kind: w.Ref.Kind, Name: w.Name, Wish: &w})
		if err != nil {
			t.Fatalf("observe %s by name %q: %v", w.Ref.Kind, w.Name, err)
		}
		if len(found) == n || t.traits(w.Ref.Kind).ListLag == 0 {
			return found
		}
		if time.Now().After(end) {
			return found
		}
	}
}

// all is every object of the chain as it is now.
func (t *suite) all(c Chain) []provider.Object {
	t.Helper()
	var out []provider.Object
	for _, k := range t.s.Cases {
		out = append(out, t.one(k.Kind, c.ID(k.Kind)))
	}
	return out
}

// sameObject compares what holds of an object for good.
func sameObject(a, b provider.Object) string {
	switch {
	case a.ID != b.ID:
		return fmt.Sprintf("id %q and %q", a.ID, b.ID)
	case a.Kind != b.Kind:
		return fmt.Sprintf("kind %q and %q", a.Kind, b.Kind)
	case a.Name != b.Name:
		return fmt.Sprintf("name %q and %q", a.Name, b.Name)
	case a.Mark != b.Mark:
		return fmt.Sprintf("mark %v and %v", a.Mark, b.Mark)
	case a.Phase != b.Phase || a.Message != b.Message:
		return fmt.Sprintf("phase %q (%s) and %q (%s)", a.Phase, a.Message, b.Phase, b.Message)
	case !slices.EqualFunc(a.Attributes, b.Attributes, sameInput):
		return fmt.Sprintf("attributes %v and %v", a.Attributes, b.Attributes)
	case !slices.EqualFunc(a.Outputs, b.Outputs, func(x, y provider.Output) bool { return sameInput(provider.Input(x), provider.Input(y)) }):
		return fmt.Sprintf("outputs %v and %v", a.Outputs, b.Outputs)
	}
	return ""
}

func sameInput(a, b provider.Input) bool {
	return a.Name == b.Name && (a.Secret == nil) == (b.Secret == nil) && a.Reveal() == b.Reveal()
}

func (t *suite) same(what string, a, b provider.Object) {
	t.Helper()
	if d := sameObject(a, b); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

func kinds() []provider.ErrorKind {
	return []provider.ErrorKind{provider.Transient, provider.RateLimited, provider.Invalid, provider.Denied,
		provider.Conflict, provider.Uncertain, provider.NotFound, provider.Unsupported}
}

// maxMessage bounds what a provider quotes of its vendor, in bytes.
const maxMessage = 4 << 10

// fails says that err is a *provider.Error of one of the kinds (any, when none is given).
func (t *suite) fails(what string, err error, want ...provider.ErrorKind) {
	t.Helper()
	var pe *provider.Error
	switch {
	case err == nil:
		t.Errorf("%s: no error", what)
		return
	case !errors.As(err, &pe):
		t.Errorf("%s: %T is no *provider.Error: %v", what, err, err)
		return
	case !slices.Contains(kinds(), pe.Kind):
		t.Errorf("%s: kind %q is not one of the contract's", what, pe.Kind)
	case len(want) > 0 && !slices.Contains(want, pe.Kind):
		t.Errorf("%s: kind %q, want %q: %v", what, pe.Kind, want, err)
	}
	if pe.Provider == "" || pe.Op == "" || pe.Message == "" || len(err.Error()) > maxMessage {
		t.Errorf("%s: an error names its provider and verb and says why, in at most %d bytes: %.300q", what, maxMessage, err)
	}
}
