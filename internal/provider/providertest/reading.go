package providertest

import (
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func testTraits(t *suite) {
	if name := t.p.Name(); name == "" || name != strings.ToLower(strings.TrimSpace(name)) {
		t.Errorf("name %q is not a word of the manifest", name)
	}
	for kind, traits := range t.p.Traits() {
		if !slices.ContainsFunc(t.s.Cases, func(c Case) bool { return c.Kind == kind }) {
			t.Errorf("kind %s is accepted and has no case", kind)
		}
		if !slices.IsSorted(traits.Replace) {
			t.Errorf("%s: Replace is not sorted: %q", kind, traits.Replace)
		}
		if kind == state.KindDatabase && !traits.Data {
			t.Error("a database holds data")
		}
		if traits.Data && slices.Contains([]state.Kind{state.KindSite, state.KindTraffic, state.KindDomain, state.KindRecord}, kind) {
			t.Errorf("%s holds no data", kind)
		}
		if traits.CreateCalls < 1 || traits.ObserveCalls < 1 || traits.DeleteCalls < 0 || traits.UpdateCalls < 0 {
			t.Errorf("%s: a plan counts its calls: %+v", kind, traits)
		}
	}
	for _, c := range t.s.Cases {
		if _, ok := t.p.Traits()[c.Kind]; !ok {
			t.Errorf("kind %s has a case and is not accepted", c.Kind)
		}
		t.p.Traits()[c.Kind] = provider.Traits{Manual: true}
		if t.p.Traits()[c.Kind].Manual {
			t.Error("a caller can change the traits of the provider")
		}
	}
}

// outputs are what other resources may refer to, by the table in provider's doc.go.
func outputs(k state.Kind) []string {
	switch k {
	case state.KindDatabase:
		return []string{"url", "host"}
	case state.KindSite:
		return []string{"url", "address", "host"}
	case state.KindDeployment:
		return []string{"url"}
	}
	return nil
}

func testOutputs(t *suite) {
	c, _ := t.chain(1, ours)
	for _, o := range t.all(c) {
		have := map[string]provider.Output{}
		for _, out := range o.Outputs {
			have[out.Name] = out
		}
		if have["id"].Text != o.ID {
			t.Errorf("%s: output id is %q, the id is %q", o.Kind, have["id"].Text, o.ID)
		}
		for _, name := range outputs(o.Kind) {
			if _, ok := have[name]; !ok {
				t.Errorf("%s gives no %s", o.Kind, name)
			}
		}
		if url := have["url"]; o.Kind == state.KindDatabase && (url.Secret == nil || url.Text != "" || url.Secret.Empty()) {
			t.Error("the url of a database is a secret and not empty")
		}
	}
}

func testOwned(t *suite) {
	a, _ := t.chain(1, ours)
	b, _ := t.chain(2, ours)
	foreign, _ := t.chain(3, theirs)
	for _, c := range []struct {
		installation string
		want         []Chain
	}{{ours, []Chain{a, b}}, {theirs, []Chain{foreign}}, {"0badcaf", nil}, {"", nil}} {
		want := map[string]provider.Object{}
		for _, chain := range c.want {
			for _, k := range t.s.Cases {
				if t.traits(k.Kind).Marks {
					o := t.one(k.Kind, chain.ID(k.Kind))
					want[string(k.Kind)+" "+o.ID] = o
				}
			}
		}
		var owned []provider.Object
		lag := false
		for _, k := range t.s.Cases {
			lag = lag || t.traits(k.Kind).ListLag > 0
		}
		for range 100_000 { // a list that is late is complete in the end
			var err error
			if owned, err = t.p.Owned(background(), c.installation); err != nil {
				t.Fatalf("owned: %v", err)
			}
			if len(owned) == len(want) || !lag {
				break
			}
			t.tick()
		}
		for _, o := range owned {
			key := string(o.Kind) + " " + o.ID
			if _, ok := want[key]; !ok {
				t.Errorf("installation %q: lists %s with the mark %v, or lists it twice", c.installation, key, o.Mark)
				continue
			}
			t.same("in the list and by id", o, want[key])
			delete(want, key)
		}
		for key := range want {
			t.Errorf("installation %q: does not list %s", c.installation, key)
		}
	}
}

// A wish alone asks what hangs on its site, whatever it is called and whose it is: what
// is adopted was made by somebody else.
func testParts(t *suite) {
	if !slices.ContainsFunc(t.s.Cases, func(k Case) bool { return k.Kind == state.KindSite }) {
		return // it keeps no sites
	}
	c, _ := t.chain(1, ours)
	t.chain(2, theirs)
	ask := func(k state.Kind, site string) []provider.Object {
		w := provider.Wish{Ref: state.Ref{Client: "somebody-else", Kind: k, Name: "main"}, Inputs: []provider.Input{Text("site", site)}}
		for end := 0; ; end++ {
			found, err := t.p.Observe(background(), provider.Query{Kind: k, Wish: &w})
			if err != nil {
				t.Fatalf("what hangs on site %q of kind %s: %v", site, k, err)
			}
			if len(found) > 0 || site != c.ID(state.KindSite) || t.traits(k).ListLag == 0 || end > 100_000 {
				return found
			}
			t.tick() // a list that is late shows it in the end
		}
	}
	for _, k := range t.s.Cases {
		switch k.Kind {
		case state.KindEnvironment, state.KindDeployment, state.KindTraffic:
		default:
			continue
		}
		if k.Kind == state.KindDeployment && k.Name != nil { // another release, which does not serve where traffic decides
			w := t.wish(k, c)
			w.Ref.Name = "ffffffffffff"
			w.Name = provider.ObjectName(w.Mark, w.Ref)
			if t.traits(k.Kind).Promotable {
				o, err := t.p.Create(background(), w)
				if err != nil {
					t.Fatalf("a second release: %v", err)
				}
				if _, err := t.settled(k.Kind, o.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		if found := ask(k.Kind, c.ID(state.KindSite)); len(found) != 1 || found[0].ID != c.ID(k.Kind) {
			t.Errorf("%s of the site: found %v, want %s alone", k.Kind, found, c.ID(k.Kind))
		}
		for _, site := range []string{"", "nothing-has-this-id"} {
			if found := ask(k.Kind, site); len(found) != 0 {
				t.Errorf("%s of site %q: found %v", k.Kind, site, found)
			}
		}
	}
}

// Observe and Owned change nothing.
func testLooking(t *suite) {
	c, wishes := t.chain(1, ours)
	before := t.all(c)
	stranger := newChain(8, ours)
	stranger.made = c.made
	for range 3 {
		for n, k := range t.s.Cases {
			t.named(wishes[n], 1)
			w := t.wish(k, stranger)
			t.named(w, 0)
			t.none(k.Kind, "nothing-has-this-id")
		}
		for _, installation := range []string{ours, theirs, ""} {
			if _, err := t.p.Owned(background(), installation); err != nil {
				t.Fatalf("owned: %v", err)
			}
		}
	}
	for n, o := range t.all(c) {
		t.same("after many looks", o, before[n])
	}
	for n := range t.s.Cases {
		if found := t.named(wishes[n], 1); len(found) != 1 {
			t.Errorf("%s: %d found by name after many looks", wishes[n].Ref.Kind, len(found))
		}
	}
}

// What a caller does with what it gave or got changes no object.
func testCopies(t *suite) {
	c := newChain(1, ours)
	for _, k := range t.s.Cases {
		w := t.wish(k, c)
		o, err := t.p.Create(background(), w)
		if err != nil {
			t.Fatalf("create %s: %v", k.Kind, err)
		}
		for n := range w.Inputs {
			w.Inputs[n] = Text("scribbled", "scribbled")
		}
		scribble(o)
		if o, err = t.settled(k.Kind, o.ID); err != nil {
			t.Fatal(err)
		}
		t.asWished(k, t.wish(k, c), o)
		c.made[k.Kind] = o
	}
	before := t.all(c)
	kept := t.all(c)
	owned, err := t.p.Owned(background(), ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append(owned, before...) {
		scribble(o)
	}
	for n, o := range t.all(c) {
		t.same("after a caller wrote into what it got", o, kept[n])
	}
}

func scribble(o provider.Object) {
	for n := range o.Attributes {
		o.Attributes[n] = Text("scribbled", "scribbled")
	}
	for n := range o.Outputs {
		o.Outputs[n] = provider.Output{Name: "scribbled"}
	}
	for n := range o.Log {
		o.Log[n] = "scribbled"
	}
}

func testReopen(t *suite) {
	if t.s.Reopen == nil {
		return // nothing on disk
	}
	c, wishes := t.chain(1, ours)
	other, _ := t.chain(2, theirs)
	last := t.s.Cases[len(t.s.Cases)-1]
	if err := t.p.Delete(background(), last.Kind, other.ID(last.Kind)); err != nil {
		t.Fatal(err)
	}
	before := t.all(c)
	for range 2 {
		t.p = t.s.Reopen(t.T, t.p)
		for n, k := range t.s.Cases {
			t.same("after a restart", t.one(k.Kind, c.ID(k.Kind)), before[n])
			if found := t.named(wishes[n], 1); len(found) != 1 || found[0].ID != c.ID(k.Kind) {
				t.Errorf("%s: %d found by name after a restart", k.Kind, len(found))
			}
			if t.traits(k.Kind).UniqueName {
				_, err := t.p.Create(background(), wishes[n])
				t.fails("a second "+string(k.Kind)+" after a restart", err, provider.Conflict)
			}
		}
		if !last.Sent {
			t.none(last.Kind, other.ID(last.Kind))
		}
	}
	if next, _ := t.chain(5, ours); next.ID(last.Kind) == c.ID(last.Kind) {
		t.Errorf("%s: an id was given twice", last.Kind)
	}
}
