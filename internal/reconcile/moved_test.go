package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// newVendorsWith is newVendors with a second host, which has another address.
func newVendorsWith(t *testing.T) (*vendors, *world) {
	t.Helper()
	v := &vendors{faults: &memory.Faults{}}
	return v, newWorldWith(t, v.twoHosts)
}

// newVendorsByHand is newVendorsWith, and people who set records themselves.
func newVendorsByHand(t *testing.T) *story {
	t.Helper()
	s := &story{vendors: &vendors{faults: &memory.Faults{}}}
	s.world = newWorldWith(t, func(c *clock) []provider.Provider {
		return append(s.twoHosts(c), external.Providers(external.Options{Now: c.Now, Lookup: s.lookup})...)
	})
	return s
}

// newVendorsThatHide is newVendors with a host that doesn't give environments back.
func newVendorsThatHide(t *testing.T) (*vendors, *world) {
	t.Helper()
	v := &vendors{faults: &memory.Faults{}}
	return v, newWorldWith(t, func(c *clock) []provider.Provider {
		v.world = memory.NewWorld(c.Now)
		return []provider.Provider{memory.New(memory.Options{Name: "railway", World: v.world, Kinds: memory.Databases(), Sleep: c.Sleep}),
			memory.New(memory.Options{Name: "cloudflare", World: v.world, Kinds: memory.DNS(), Sleep: c.Sleep}),
			memory.New(memory.Options{Name: "vercel", World: v.world, Kinds: memory.Hosting(), Sleep: c.Sleep, Fault: v.faults.Hook,
				WriteOnly: map[state.Kind][]string{state.KindEnvironment: {"env.*"}}})}
	})
}

// twoHosts opens two hosts, a database host and a DNS host over a new world.
func (v *vendors) twoHosts(c *clock) []provider.Provider {
	v.clock, v.world = c, memory.NewWorld(c.Now)
	open := func(name, address string, kinds map[state.Kind]provider.Traits) provider.Provider {
		return memory.New(memory.Options{Name: name, World: v.world, Kinds: kinds, Fault: v.faults.Hook, Sleep: c.Sleep, Address: address})
	}
	return []provider.Provider{open("railway", "", memory.Databases()), open("vercel", "", memory.Hosting()),
		open("ploi", "203.0.113.8", memory.Hosting()), open("cloudflare", "", memory.DNS())}
}

// servedBy is whose site a host shows; "": nobody's.
func (v *vendors) servedBy(host string) state.ClientID {
	d, _ := v.world.Serves(host)
	o, _ := v.world.Object(d)
	return o.Mark.Client
}

// P8: a record moved to a newcomer with its name, the newcomer failed and was taken back, after
// the old owner had come to its end. The record is the old owner's again, and still to go: the
// next try finds it where it was.
func TestP8MoveThatIsTakenBackCanBeMadeAgain(t *testing.T) {
	v, w := newVendors(t)
	const note = "dns: {records: [{type: TXT, name: note, content: hello}]}"
	w.apply(map[string]string{"clients/a.yaml": client("a", note)})
	broken := false
	v.faults.Do(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Create && c.Kind == state.KindDeployment && strings.HasPrefix(string(c.Client), "b-")
	}, 1, func(context.Context, memory.Call) error {
		broken = true
		return memory.Fail(provider.Invalid, "the build is broken")
	})
	w.apply(map[string]string{"clients/a.yaml": strings.Replace(client("a", note), "domain: a", "domain: z", 1), "clients/b.yaml": strings.Replace(client("b", note), "domain: b", "domain: a", 1)})
	if !broken {
		t.Fatal("nothing failed")
	}
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	for _, o := range v.world.Objects("cloudflare") {
		if strings.Contains(o.Name, "note.a.") && !strings.HasPrefix(string(o.Mark.Client), "b-") {
			t.Errorf("%s is of %s", o.Name, o.Mark.Client)
		}
	}
}

// S24 between two hosts: only the address record moves, and the old host lets the name
// go after that, however long the new owner takes.
func TestS24MoveBetweenHosts(t *testing.T) {
	v, w := newVendorsWith(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "deployment: {provider: ploi}", "aliases: [shop.example]")})
	down := false
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
		_, ok := v.world.Serves("shop.example")
		down = down || !ok
		return nil
	})
	if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]"), "clients/b.yaml": client("b", "deployment: {provider: ploi}")})
	if _, ok := v.world.Serves("shop.example"); down || !ok {
		t.Fatal("the name went down while its new owner was paused")
	}
	id, err := w.engine.SetPaused("a", false, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	d, _ := v.world.Serves("shop.example")
	if o, _ := v.world.Object(d); down || string(o.Mark.Client) != w.detail("a").ID {
		t.Errorf("down in between: %v; served by %s", down, o.Mark.Client)
	}
}

// A name that moves may redirect to one that goes with its old owner: that stays until
// the name has moved.
func TestS24RedirectedNameStaysUp(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "aliases: [shop.example]")})
	down := false
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
		_, ok := v.world.Serves("shop.example")
		down = down || !ok
		return nil
	})
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]"), "clients/b.yaml": ""})
	w.want("a", state.StatusActive)
	w.want("b", state.StatusRetained)
	if _, ok := v.world.Serves("shop.example"); down || !ok {
		t.Errorf("it was down in between: %v; it is served: %v", down, ok)
	}
}

// A name that moves and is gone at the vendor is made anew by its new owner.
func TestMoveOfWhatIsGone(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "aliases: [shop.example]")})
	for _, o := range v.world.Objects("") {
		if strings.Contains(o.Name, "shop.example") {
			v.world.Remove(o.ID)
		}
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]"), "clients/b.yaml": client("b")})
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	d, _ := v.world.Serves("shop.example")
	if o, _ := v.world.Object(d); string(o.Mark.Client) != w.detail("a").ID {
		t.Errorf("it is served by %q", o.Mark.Client)
	}
}

// S24: a name was gone at the vendor, its old owner could not take it off his record, as the vendor refused to
// delete anything, and its new owner made it anew. It goes back to the old one, who has it on record still: it
// moves to him, and is served all the time, also where nothing else of him changes and he was at rest meanwhile.
func TestS24NameGoesBackToWhoHasItOnRecord(t *testing.T) {
	led := func(name, to string) string { return strings.Replace(client(name), "domain: "+name, "domain: "+to, 1) }
	const alias = "aliases: [shop.example]"
	for _, c := range []struct {
		name, host string
		has, gives string // files of a
		takes, not string // and of c
		rests      bool
	}{
		{"its domain", "c.agency.example", led("a", "c"), client("a"), client("c"), "", false},
		{"an alias", "shop.example", client("a", alias), client("a"), client("c", alias), client("c"), false},
		{"an alias of who was at rest", "shop.example", client("a", alias), client("a"), client("c", alias), client("c"), true},
		{"an alias of who was at rest, and the other goes", "shop.example", client("a", alias), client("a"), client("c", alias), "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w := newVendorsWith(t)
			servedBy := func(name string) {
				t.Helper()
				d, _ := v.world.Serves(c.host)
				if o, _ := v.world.Object(d); o.Mark.Client != w.id(name) {
					t.Fatalf("%s is served by %q, want %s", c.host, o.Mark.Client, name)
				}
			}
			w.apply(map[string]string{"clients/a.yaml": c.has})
			for _, o := range v.world.Objects("") {
				if strings.Contains(o.Name, c.host) {
					v.world.Remove(o.ID)
				}
			}
			v.faults.On(memory.Before, func(call memory.Call) bool { return call.Verb == memory.Delete }, 0, memory.Fail(provider.Denied, "the token was revoked"))
			ids := w.push(map[string]string{"clients/a.yaml": c.gives, "clients/c.yaml": c.takes})
			if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
				t.Fatal(err)
			}
			servedBy("c")
			if c.rests { // nothing goes while its file is invalid
				w.apply(map[string]string{"clients/a.yaml": c.gives + "unknown: [1]\n"})
				w.pass(ids[0])
			}
			v.faults.Clear()
			v.faults.Do(memory.After, func(call memory.Call) bool { return call.Verb.Writes() }, 0, func(_ context.Context, call memory.Call) error {
				if _, ok := v.world.Serves(c.host); !ok {
					t.Errorf("%s is down after %s", c.host, call)
				}
				return nil
			})
			w.apply(map[string]string{"clients/a.yaml": c.has, "clients/c.yaml": c.not})
			w.want("a", state.StatusActive)
			servedBy("a")
		})
	}
}

// A member of a group for which there is nothing to do ends with the group's pass, also
// when the others wait: nothing else would end it. And a name that two removed clients
// bore leads to the one that is left.
func TestIdleMemberOfAGroupEnds(t *testing.T) {
	_, w := newVendors(t)
	site := "deployment: {provider: none}"
	mail := "dns: {records: [{type: MX, name: \"@\", content: mx.a.example, priority: 10}]}"
	w.apply(map[string]string{"clients/a.yaml": client("a", site, mail), "clients/z.yaml": client("z", site)})
	w.push(map[string]string{"clients/a.yaml": ""})
	w.push(map[string]string{"clients/a.yaml": client("a", site, "database: {reuse: fresh}")})
	ids := w.push(map[string]string{"clients/a.yaml": ""})
	old := w.removedFirst()
	if got := w.engine.Group(old); len(got) != 2 {
		t.Fatalf("the two are no group: %v of %v", got, ids)
	}
	if _, err := w.engine.Pass(t.Context(), old, reconcile.CauseCommit); err != nil { // the daemon passes a group once
		t.Fatal(err)
	}
	r := w.want("a", state.StatusHeld)
	for _, d := range w.restart() {
		t.Errorf("%s is still due", d.Client)
	}
	fresh, err := w.engine.Approve(t.Context(), w.detail("a").Holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	w.pass(fresh...)
	if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); err != nil {
		t.Errorf("what is retained of a can't be asked for: %v", err)
	}
}

// A client that was removed while the removal of a part of it was held is gone when it
// is gone, also when somebody asks for a retry.
func TestRemovedWithAHeldPart(t *testing.T) {
	_, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.MaxDeletes = 1 }
	w.restart()
	alias := func(name string) string { return client(name, "aliases: [www."+name+".example]") }
	w.apply(map[string]string{"clients/a.yaml": alias("a"), "clients/b.yaml": alias("b"), "clients/z.yaml": client("z", "deployment: {provider: none}")})
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	w.apply(map[string]string{"clients/a.yaml": ""})
	for range 3 {
		o, err := w.engine.Overview()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range o.Holds {
			if len(h.Clients) != 1 {
				continue // of the parts alone
			}
			ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(ids...)
		}
	}
	w.want("a", state.StatusRetained)
	id, err := w.engine.Retry("a", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusRetained)
}

// guard.removeAfter: a part goes at its date by itself, also when nothing else happens to
// its client; who waits for the name is judged again then.
func TestRulePartGoesAtItsDate(t *testing.T) {
	_, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]")})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.apply(map[string]string{"clients/b.yaml": client("b", "aliases: [shop.example]")})
	w.want("b", state.StatusInvalid)
	d := w.detail("a")
	if want := w.clock.Now().Add(time.Hour); !d.RetryAt.Equal(want) {
		t.Fatalf("it goes on at %s, want %s", d.RetryAt, want)
	}
	due := w.restart()
	if len(due) != 1 || !due[0].At.Equal(d.RetryAt) {
		t.Fatalf("due after a start: %+v", due)
	}
	w.clock.add(time.Hour)
	w.pass(due[0].Client)
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
}

// S24: a client that is removed at a date gives its name to who wishes it by then, and may
// not have it before: the name is up all the time, also where a newer head is held as a whole
// by then, and where the clock is set back meanwhile and the removal waits anew.
func TestS24NameMovesAtItsOwnersDate(t *testing.T) {
	for _, held := range []bool{false, true} {
		for _, set := range []time.Duration{0, -26 * time.Hour} {
			t.Run(fmt.Sprintf("a newer head is held: %v, the clock is set by %s", held, set), func(t *testing.T) { nameMovesAtItsDate(t, held, set) })
		}
	}
}

func nameMovesAtItsDate(t *testing.T, held bool, set time.Duration) {
	v, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]"), "clients/b.yaml": client("b")})
	w.apply(map[string]string{"clients/a.yaml": "", "clients/b.yaml": client("b", "aliases: [shop.example]")})
	if r := w.want("b", state.StatusActive); !strings.Contains(r.Because, "its removal waits") {
		t.Fatalf("b: %s", r.Because)
	}
	id := state.ClientID(w.detail("a").ID)
	if got, want := w.detail("a").RetryAt, w.clock.Now().Add(time.Hour); !got.Equal(want) {
		t.Fatalf("a goes on at %s, want %s", got, want)
	}
	if w.clock.jump(set); set != 0 {
		w.poll()
	}
	w.clock.add(time.Hour)
	if held {
		w.push(map[string]string{"clients/b.yaml": ""}) // the tree is empty
		if len(w.waits(state.HoldHistory)) != 1 {
			t.Fatal("the newer head is not held")
		}
	}
	down := false
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
		_, ok := v.world.Serves("shop.example")
		down = down || !ok
		return nil
	})
	w.pass(id)
	w.want("a", state.StatusRetained)
	w.want("b", state.StatusActive)
	d, _ := v.world.Serves("shop.example")
	if o, _ := v.world.Object(d); down || string(o.Mark.Client) != w.detail("b").ID {
		t.Errorf("down in between: %v; served by %q", down, o.Mark.Client)
	}
	if held && len(w.waits(state.HoldHistory)) != 1 {
		t.Error("the newer head is not held any more")
	}
}

// An update that came to its end, but for what it replaced, is not put back: the new
// version runs, that is said, and the rest goes with the next try.
func TestLeftOverIsNotRolledBack(t *testing.T) {
	v, w := newVendorsWith(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindTraffic), 1, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}")})
	r := w.want("a", state.StatusFailed)
	d, _ := v.world.Serves("a.agency.example")
	if !strings.HasPrefix(r.Because, "Your site runs the new version.") || !strings.Contains(d, "ploi") {
		t.Errorf("%q, and %s serves", r.Because, d)
	}
	id, err := w.engine.Retry("a", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	if left := v.world.Objects("vercel"); len(left) > 0 {
		t.Errorf("left at vercel: %v", left)
	}
}

// Who wishes no site any more, and whose old one can't be removed, is not told that one runs.
func TestLeftOverOfWhoWishesNoSite(t *testing.T) {
	v, w := newVendorsWith(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindSite), 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: none}")})
	if r := w.want("a", state.StatusFailed); !strings.HasPrefix(r.Because, "What is no longer wished can't be removed: ") {
		t.Errorf("%q", r.Because)
	}
}

// Make before break: a host that was replaced goes on serving a name whose removal waits,
// and goes with it.
func TestReplacedHostKeepsANameThatWaits(t *testing.T) {
	v, w := newVendorsWith(t)
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]")})
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}")})
	w.want("a", state.StatusActive)
	if _, ok := v.world.Serves("shop.example"); !ok {
		t.Error("shop.example is down while its removal waits")
	}
	w.clock.add(time.Hour)
	w.pass(state.ClientID(w.detail("a").ID))
	if left := v.world.Objects("vercel"); len(left) > 0 {
		t.Errorf("the old host still has %v", left)
	}
	if _, ok := v.world.Serves("a.agency.example"); !ok {
		t.Error("a is down")
	}
}

// Make before break: a name that redirects turns to the new host name when people reach
// the site there, not before.
func TestRedirectWaitsForItsHost(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
	v.world.Seed("cloudflare", provider.Object{Kind: state.KindRecord, Name: "A new.agency.example", Attributes: []provider.Input{
		{Name: "type", Text: "A"}, {Name: "name", Text: "new.agency.example"}, {Name: "content", Text: "198.51.100.1"}, {Name: "ttl", Text: "300"}}})
	w.apply(map[string]string{"clients/a.yaml": strings.Replace(client("a", "aliases: [www.a.example]"), "domain: a", "domain: new", 1)})
	w.want("a", state.StatusHeld)
	if _, ok := v.world.Serves("www.a.example"); !ok {
		t.Error("www.a.example leads to a name that nobody reaches")
	}
}

// An undo whose earlier state is gone at the vendor ends: the client is failed, says so,
// and a retry goes on from what there is.
func TestUndoOfWhatIsGoneEnds(t *testing.T) {
	for _, what := range []string{"the release", "what promotes it"} {
		t.Run(what, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/a.yaml": client("a")})
			old, _ := v.world.Serves("a.agency.example")
			// The new release is promoted, the site is sick at its public name, and somebody
			// deletes the release that served before, or what says which one serves.
			v.faults.Do(memory.After, memory.Is(memory.Update, state.KindTraffic), 1, func(_ context.Context, c memory.Call) error {
				gone := old
				if what != "the release" {
					gone = c.ID
				}
				v.world.Remove(gone)
				w.unfit = func(string) error { return errors.New("it answers 500") }
				return nil
			})
			w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
			if r := w.want("a", state.StatusFailed); !strings.Contains(r.Because, "put back") {
				t.Errorf("a: %s", r.Because)
			}
			w.unfit = nil
			id, err := w.engine.Retry("a", "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(id)
			w.want("a", state.StatusActive)
			if _, ok := v.world.Serves("a.agency.example"); !ok {
				t.Error("nothing serves")
			}
		})
	}
}

// P3: an update whose answer was lost, of values that the vendor doesn't give back: that
// it happened can't be seen, so it is made again.
func TestP3LostUpdateOfHiddenValues(t *testing.T) {
	v, w := newVendorsThatHide(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
	v.faults.On(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 1, memory.Lost())
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: green}")})
	w.want("a", state.StatusActive)
	d, _ := v.world.Serves("a.agency.example")
	if got := v.world.BuiltWith(d)["COLOUR"]; got != "green" {
		t.Errorf("the site is %q", got)
	}
}

// P3: a newer commit wishes again what was there before such an update: that it did not
// happen can't be seen either, so it is set.
func TestP3LostUpdateOfHiddenValuesTakenBack(t *testing.T) {
	v, w := newVendorsThatHide(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
	v.faults.Do(memory.After, memory.Is(memory.Update, state.KindEnvironment), 1, func(context.Context, memory.Call) error {
		w.push(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
		return memory.Lost()
	})
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: green}")})
	w.want("a", state.StatusActive)
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)}) // what is built next reads it
	w.want("a", state.StatusActive)
	d, _ := v.world.Serves("a.agency.example")
	if got := v.world.BuiltWith(d)["COLOUR"]; got != "red" {
		t.Errorf("the site is %q", got)
	}
}

// What is made anew has another id: what refers to it is led there.
func TestWhatIsMadeAnewServes(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	d, _ := v.world.Serves("a.agency.example")
	v.world.Remove(d)
	id, err := w.engine.Retry("a", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	if _, ok := v.world.Serves("a.agency.example"); !ok {
		t.Error("nothing serves")
	}
}

// What is on record says which site it was led to, so that a pass that was cut off between
// a new site and its names is gone on from.
func TestRecordSaysWhichSiteItServes(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	v.world.Remove(v.byKind(t, state.ClientID(w.detail("a").ID), state.KindSite).ID)
	id, err := w.engine.Retry("a", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	site := v.byKind(t, id, state.KindSite).ID
	for _, r := range w.detail("a").Resources {
		want := ""
		for _, ref := range r.References() {
			if ref.Kind == state.KindSite {
				want = site
			}
		}
		if old := r.Ref.Kind == state.KindDeployment; r.Site != want && !old {
			t.Errorf("%s: site %q, want %q", r.Ref, r.Site, want)
		}
	}
}

// What is ours and is taken over may have other values than those that nobody sees: they
// are set.
func TestTakenOverEnvironmentIsSet(t *testing.T) {
	v, w := newVendorsThatHide(t)
	v.world.Seed("vercel", provider.Object{Kind: state.KindSite, Name: "a-000001-" + lawInstallation, Attributes: []provider.Input{{Name: "label", Text: "a"}},
		Outputs: []provider.Output{{Name: "url", Text: "https://a.vercel.example"}, {Name: "address", Text: "203.0.113.7"}, {Name: "host", Text: "a.vercel.example"}}})
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}"), "clients/b.yaml": client("b")})
	w.want("a", state.StatusActive)
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.want("a", state.StatusRetained)
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: green}")})
	w.want("a", state.StatusActive)
	d, _ := v.world.Serves("a.agency.example")
	if got := v.world.BuiltWith(d)["COLOUR"]; got != "green" {
		t.Errorf("the site is %q", got)
	}
}

// S40: what was retained before its client was removed is not erased while the removal
// is on its way, and nothing is forgotten by it.
func TestS40PurgeWaitsForTheRemoval(t *testing.T) {
	v, w := newVendors(t)
	bare := "env: {DATABASE_URL: {none: true}}"
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/z.yaml": client("z", "deployment: {provider: none}")})
	w.apply(map[string]string{"clients/a.yaml": client("a", "database: {provider: none}", bare)})
	w.clock.add(40 * 24 * time.Hour)
	ids := w.push(map[string]string{"clients/a.yaml": ""})
	erased, err := w.engine.PurgeDue(t.Context())
	if err != nil || len(erased) > 0 {
		t.Errorf("erased %v: %v", erased, err)
	}
	if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); !errors.Is(err, reconcile.ErrRefused) {
		t.Errorf("purged by hand: %v", err)
	}
	w.pass(ids...)
	w.want("a", state.StatusRetained)
	if erased, err = w.engine.PurgeDue(t.Context()); err != nil || len(erased) != 1 || strings.Contains(kinds(v), "railway database\nrailway database") {
		t.Errorf("erased %v: %v", erased, err)
	}
	o, err := w.engine.Overview()
	if err != nil || strings.HasPrefix(o.Verdict, "pending") {
		t.Errorf("the verdict is %q: %v", o.Verdict, err)
	}
}

// P9: a verdict that a later head superseded has ended: a pass that still waits, here
// with a removal that may not run yet, doesn't make it pending again.
func TestP9SupersededStaysSo(t *testing.T) {
	_, w := newVendors(t)
	ids := w.push(map[string]string{"clients/a.yaml": client("a"), "clients/z.yaml": client("z", "deployment: {provider: none}")})
	first := w.engine.Head()
	w.engine.Guard.RemoveAfter = time.Hour
	w.push(map[string]string{"clients/a.yaml": ""})
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	err := w.store.View(func(tx store.Tx) error {
		fate, _, err := store.Fate(tx, first, ids[0])
		if !accept.Superseded(fate) {
			t.Errorf("the fate is %q", fate)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A user that was deleted by hand is made anew when something of it changes: its update
// finds nothing, and would do so for ever.
func TestDeletedUserIsMadeAnew(t *testing.T) {
	v, w := newVendorsWith(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	for _, o := range v.world.Objects("railway") {
		if o.Kind == state.KindAdmin {
			v.world.Remove(o.ID)
		}
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}")})
	w.want("a", state.StatusActive)
	if got := kinds(v); strings.Count(got, "railway admin") != 1 {
		t.Errorf("users:\n%s", got)
	}
}

// A name that is given on before it has arrived comes from who has it still, and who has
// it keeps it for as long as its new owner can't take it.
func TestS24NameGivenOnTwice(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/b.yaml": client("b", "deployment: {provider: none}"), "clients/c.yaml": client("c", "deployment: {provider: none}"),
		"clients/e.yaml": client("e", "aliases: [x.example]"), "clients/z.yaml": client("z", "deployment: {provider: none}")})
	w.push(map[string]string{"clients/c.yaml": client("c", "deployment: {provider: none}", "aliases: [x.example]"), "clients/e.yaml": client("e")})
	w.restart()
	foreign := v.world.Seed("cloudflare", provider.Object{Kind: state.KindRecord, Name: "A b.agency.example", Mark: provider.Mark{Installation: "ffff0000", Client: "a", Generation: 1}, Attributes: []provider.Input{
		{Name: "type", Text: "A"}, {Name: "name", Text: "b.agency.example"}, {Name: "content", Text: "198.51.100.1"}, {Name: "ttl", Text: "300"}}})
	ids := w.push(map[string]string{"clients/b.yaml": client("b", "aliases: [x.example]"), "clients/c.yaml": "", "clients/e.yaml": ""})
	if got := w.engine.Group(ids[0]); len(got) != 3 {
		t.Fatalf("the group is %v", got)
	}
	w.pass(ids[0])
	w.want("b", state.StatusHeld)
	if r := w.want("e", state.StatusDeleting); !strings.HasPrefix(r.Because, "waiting for b") {
		t.Errorf("e: %s", r.Because)
	}
	if _, ok := v.world.Serves("x.example"); !ok {
		t.Error("x.example is down")
	}
	v.world.Remove(foreign)
	id, err := w.engine.Retry("b", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.pass(id)
	w.want("b", state.StatusActive)
	w.want("e", state.StatusRetained)
	d, _ := v.world.Serves("x.example")
	if o, _ := v.world.Object(d); string(o.Mark.Client) != w.detail("b").ID {
		t.Errorf("x.example is served by %q", o.Mark.Client)
	}
}

// P3: a user stays in its database when its client goes, and on record: a client that
// returns before the vendor's lists show it has it once, on its new site.
func TestP3ReturnFindsItsUser(t *testing.T) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		v.clock, v.world = c, memory.NewWorld(c.Now)
		return []provider.Provider{memory.New(memory.Options{Name: "railway", World: v.world, Kinds: memory.Change(memory.Databases(), memory.Unkind(time.Hour)), Sleep: c.Sleep}),
			memory.New(memory.Options{Name: "cloudflare", World: v.world, Kinds: memory.DNS(), Sleep: c.Sleep}),
			memory.New(memory.Options{Name: "vercel", World: v.world, Kinds: memory.Hosting(), Sleep: c.Sleep})}
	})
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/z.yaml": client("z", "deployment: {provider: none}")})
	w.apply(map[string]string{"clients/a.yaml": ""})
	if kept, err := w.engine.Retained(); err != nil || len(kept) != 1 {
		t.Errorf("retained: %+v, %v", kept, err)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusActive)
	users, at, site := 0, "", ""
	for _, o := range v.world.Objects("") {
		switch o.Kind {
		case state.KindSite:
			site = o.ID
		case state.KindAdmin:
			users++
			at = attribute(o, "site")
		}
	}
	if users != 1 || at != site {
		t.Errorf("%d users, want 1; of the site %s, want %s", users, at, site)
	}
	// A rollback that takes back what a return began leaves the user where it is, too.
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.unfit = func(string) error { return errors.New("it answers 500") }
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusFailed)
	w.unfit = nil
	id, err := w.engine.Retry("a", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	if got := strings.Count(v.world.Snapshot(nil), "admin \""); got != 1 {
		t.Errorf("%d users, want 1", got)
	}
	// And it is off the record with its database.
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.clock.add(40 * 24 * time.Hour)
	if _, err := w.engine.PurgeDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.row("a"); got.Name != "" {
		t.Errorf("a is still known as %s", got.Status)
	}
}

// removedFirst is the client that was removed first.
func (w *world) removedFirst() state.ClientID {
	w.t.Helper()
	var out state.Client
	err := w.store.View(func(tx store.Tx) error {
		all, err := store.Clients(tx)
		for _, c := range all {
			if c.Removed && (out.ID == "" || c.CreatedAt.Before(out.CreatedAt) || c.ID < out.ID) {
				out = c
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.ID
}

// Make before break: where people set records, too, a name that redirects turns to the
// new host name when it leads to the site.
func TestRedirectWaitsForAPerson(t *testing.T) {
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	byHand := client("a", "aliases: [www.a.example]", "dns: {provider: external}")
	ids := w.push(map[string]string{"clients/a.yaml": byHand})
	for range 2 {
		w.pass(ids...)
		for _, r := range s.asked() {
			s.setByHand(r)
		}
	}
	w.pass(ids...)
	w.want("a", state.StatusActive)
	v.world.Seed(outside, provider.Object{Kind: state.KindRecord, Name: "A new.agency.example", Attributes: []provider.Input{
		{Name: "type", Text: "A"}, {Name: "name", Text: "new.agency.example"}, {Name: "content", Text: "198.51.100.1"}}})
	w.apply(map[string]string{"clients/a.yaml": strings.Replace(byHand, "domain: a", "domain: new", 1)})
	for range 2 {
		if _, ok := v.world.Serves("www.a.example"); !ok {
			t.Error("www.a.example leads to a name that nobody reaches")
		}
		w.pass(ids...)
	}
	for _, r := range s.asked() {
		s.setByHand(r)
	}
	w.pass(ids...)
	w.want("a", state.StatusActive)
	if _, ok := v.world.Serves("www.a.example"); !ok {
		t.Error("www.a.example is not served")
	}
}

// A name goes from one client, at whose records a person sees, to another at another host, whose alias
// redirects to it from then on. DNS answers with both until the first has let go, which waits for
// the record of his new name here: the alias is not led there meanwhile, and it is said why.
func TestS24RedirectWaitsForTheOldOwner(t *testing.T) {
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	old := client("c", "deployment: {provider: ploi}", "dns: {provider: external}")
	has := client("d", "aliases: [shop.example]")
	ids := w.push(map[string]string{"clients/c.yaml": old, "clients/d.yaml": has})
	w.pass(ids...)
	for _, r := range s.asked() {
		s.setByHand(r)
	}
	w.pass(ids...)
	w.want("c", state.StatusActive)
	w.want("d", state.StatusActive)
	d := w.id("d")
	shows := func(when string) {
		t.Helper()
		release, _ := v.world.Serves("shop.example")
		if o, _ := v.world.Object(release); o.Mark.Client != d {
			t.Errorf("shop.example shows the site of %q %s", o.Mark.Client, when)
		}
	}
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, call memory.Call) error {
		shows("after " + call.String())
		return nil
	})
	ids = w.push(map[string]string{"clients/c.yaml": strings.Replace(old, "domain: c", "domain: n", 1), "clients/d.yaml": strings.Replace(has, "domain: d", "domain: c", 1)})
	for range 2 {
		w.pass(ids...)
		if r := w.row("d"); r.Because != "waiting for c, which still has a name that it gives away" {
			t.Errorf("d is %s: %q", r.Status, r.Because)
		}
	}
	for _, r := range s.asked() {
		s.setByHand(r)
	}
	w.pass(w.id("c"))
	w.want("c", state.StatusActive)
	w.want("d", state.StatusActive)
	shows("in the end")
	for _, o := range v.world.Objects("vercel") {
		if to := attribute(o, "redirect"); o.Name == "shop.example" && to != "c.agency.example" {
			t.Errorf("in the end shop.example redirects to %q", to)
		}
	}
}

// setBeside is setByHand of somebody who forgets the record that was there.
func (s *story) setBeside(v url.Values) {
	s.vendors.world.Seed(outside, provider.Object{Kind: state.KindRecord, Name: v.Get("type") + " " + v.Get("name"), Attributes: []provider.Input{
		{Name: "type", Text: v.Get("type")}, {Name: "name", Text: v.Get("name")}, {Name: "content", Text: v.Get("content")}}})
}

// forgotten takes the record away.
func (s *story) forgotten(content string) {
	for _, o := range s.vendors.world.Objects(outside) {
		if attribute(o, "content") == content {
			s.vendors.world.Remove(o.ID)
		}
	}
}

// Make before break: a site moves to another host, and a person keeps its record, and sets the new one beside the
// old one, or sets the old one again, or DNS can't be asked. What it replaced stays for as long as DNS
// leads people there, and it is said what to do.
func TestOldSideStaysWhileDNSLeadsThere(t *testing.T) {
	set := url.Values{"type": {"A"}, "name": {"c.agency.example"}, "content": {"203.0.113.7"}}
	for _, c := range []struct {
		how, says string
		next      time.Duration // after ten days
		do, mend  func(*story)
	}{
		{"beside the old one", "what it replaced at ploi serves on: DNS leads people there still: take the record A c.agency.example → 203.0.113.8 away at your DNS host", 6 * time.Hour,
			func(s *story) { s.setBeside(set) }, func(s *story) { s.forgotten("203.0.113.8") }},
		{"and the old one again", "what it replaced at ploi serves on: DNS leads people there still: Set the record A c.agency.example → 203.0.113.7 at your DNS host; now it is 203.0.113.8", 6 * time.Hour,
			func(s *story) {
				s.setByHand(set)
				s.world.pass(s.id("c"))
				s.setByHand(url.Values{"type": {"A"}, "name": {"c.agency.example"}, "content": {"203.0.113.8"}})
			}, func(s *story) { s.setByHand(set) }},
		{"nobody can ask", "waiting for external: where A c.agency.example leads can't be seen: ", 15 * time.Minute,
			func(s *story) { s.setByHand(set); s.world.pass(s.id("c")); s.deaf = true }, func(s *story) { s.deaf = false }},
	} {
		t.Run(c.how, func(t *testing.T) {
			s := newVendorsByHand(t)
			v, w := s.vendors, s.world
			w.change = func(e *reconcile.Engine) { e.Soak = 10 * time.Minute }
			w.restart()
			at := func(host string) string {
				return client("c", "deployment: {provider: "+host+"}", "dns: {provider: external}")
			}
			ids := w.push(map[string]string{"clients/c.yaml": at("ploi")})
			w.pass(ids...)
			for _, r := range s.asked() {
				s.setByHand(r)
			}
			w.pass(ids...)
			w.want("c", state.StatusActive)
			v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
				if _, ok := v.world.Serves("c.agency.example"); !ok {
					t.Errorf("c.agency.example is down after %s", c)
				}
				return nil
			})
			w.apply(map[string]string{"clients/c.yaml": at("vercel")})
			c.do(s)
			for range 3 {
				w.pass(ids...)
				w.clock.add(20 * time.Minute)
			}
			sites := func(host string) (n int) {
				for _, o := range v.world.Objects(host) {
					if o.Kind == state.KindSite {
						n++
					}
				}
				return n
			}
			if r := w.want("c", state.StatusActive); sites("ploi") != 1 || !strings.HasPrefix(r.Because, c.says) || c.next > time.Hour && !strings.HasSuffix(r.Next, "`reconciler retry c`") {
				t.Errorf("%d sites at ploi; c: %s; %s", sites("ploi"), r.Because, r.Next)
			}
			w.clock.add(10 * 24 * time.Hour)
			w.pass(ids...)
			if next := w.next().Sub(w.clock.Now()); next <= 0 || next > c.next {
				t.Errorf("after ten days it is looked at again in %s, not %s", next, c.next)
			}
			c.mend(s)
			id, err := w.engine.Retry("c", "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(id)
			if r := w.want("c", state.StatusActive); sites("ploi") != 0 || sites("vercel") != 1 || r.Because != "" {
				t.Errorf("in the end %d sites at ploi, %d at vercel; c: %s", sites("ploi"), sites("vercel"), r.Because)
			}
		})
	}
}

// The same where the name goes to another client at another host, and people keep the records of both.
func TestS24OldOwnerKeepsANameWhileDNSLeadsThere(t *testing.T) {
	for _, before := range []bool{false, true} {
		t.Run(fmt.Sprintf("the new record is there before: %v", before), func(t *testing.T) { oldOwnerKeeps(t, before) })
	}
}

func oldOwnerKeeps(t *testing.T, before bool) {
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	b, a := []string{"deployment: {provider: ploi}", "dns: {provider: external}"}, "dns: {provider: external}"
	ids := w.push(map[string]string{"clients/b.yaml": client("b", append(b, "aliases: [shop.example]")...), "clients/a.yaml": client("a", a)})
	for range 2 {
		w.pass(ids...)
		for _, r := range s.asked() {
			s.setByHand(r)
		}
	}
	w.pass(ids...)
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
		if _, ok := v.world.Serves("shop.example"); !ok {
			t.Errorf("shop.example is down after %s", c)
		}
		return nil
	})
	for _, o := range v.world.Objects(outside) {
		if before && attribute(o, "name") == "a.agency.example" {
			s.setBeside(url.Values{"type": {"A"}, "name": {"shop.example"}, "content": {attribute(o, "content")}})
		}
	}
	ids = w.push(map[string]string{"clients/b.yaml": client("b", b...), "clients/a.yaml": client("a", a, "aliases: [shop.example]")})
	for range 3 {
		w.pass(ids...)
		for _, r := range s.asked() {
			s.setBeside(r)
		}
	}
	w.want("a", state.StatusActive)
	const says = "waiting for a person, as DNS leads people here still: take the record A shop.example → 203.0.113.8 away at your DNS host"
	if r := w.row("b"); r.Because != says {
		t.Errorf("b is %s: %q", r.Status, r.Because)
	}
	for _, o := range v.world.Objects(outside) {
		if attribute(o, "name") == "shop.example" && attribute(o, "content") == "203.0.113.8" {
			v.world.Remove(o.ID)
		}
	}
	w.pass(w.id("b"))
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	for _, o := range v.world.Objects("ploi") {
		if strings.Contains(o.Name, "shop.example") {
			t.Errorf("b still has %s", o.Name)
		}
	}
}

// Records that people set take the place of ours: DNS answers with ours until they are
// gone, so nobody can see that the others are set. It says so, and waits for an approval.
func TestSwitchToRecordsByHandIsHeld(t *testing.T) {
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusActive)
	w.apply(map[string]string{"clients/a.yaml": client("a", "dns: {provider: external}")})
	w.want("a", state.StatusHeld)
	if _, ok := v.world.Serves("a.agency.example"); !ok {
		t.Error("the name is down, and nobody said that it may be")
	}
}

// S24 between two hosts and two who keep the records: nothing of the name moves, and the
// old owner keeps it until the new one's leads to its site.
func TestS24MoveBetweenKeepersOfRecords(t *testing.T) {
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	w.apply(map[string]string{"clients/b.yaml": client("b", "deployment: {provider: ploi}", "aliases: [shop.example]"), "clients/z.yaml": client("z", "deployment: {provider: none}")})
	down := false
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
		_, ok := v.world.Serves("shop.example")
		down = down || !ok
		return nil
	})
	ids := w.push(map[string]string{"clients/b.yaml": client("b", "deployment: {provider: ploi}"), "clients/a.yaml": client("a", "aliases: [shop.example]", "dns: {provider: external}")})
	for range 2 {
		w.pass(ids...)
		if _, ok := v.world.Serves("shop.example"); down || !ok {
			t.Fatal("the name went down while a person has its record to set")
		}
	}
	for range 2 { // the name, and what it redirects to
		for _, r := range s.asked() {
			s.setByHand(r)
		}
		w.pass(ids...)
	}
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	d, _ := v.world.Serves("shop.example")
	if o, _ := v.world.Object(d); down || string(o.Mark.Client) != w.detail("a").ID {
		t.Errorf("down in between: %v; served by %s", down, o.Mark.Client)
	}
	for _, o := range v.world.Objects("") {
		if strings.Contains(o.Name, "shop.example") && o.Mark.Client == state.ClientID(w.detail("b").ID) {
			t.Errorf("b still has %s", o.Name)
		}
	}
}

// A name goes to a client whose record a person sets, at the same host of sites: until our
// record of it goes, DNS answers with ours, and that it leads to the new owner's site says
// nothing of the person's. Once ours has gone, as was approved, theirs is looked at once more,
// and asked for, also where the delete's answer is lost, or the process dies after it.
func TestS24OursGoesAndTheirsIsAskedFor(t *testing.T) {
	for _, how := range []string{"all is well", "the answer is lost", "it dies"} {
		s := newVendorsByHand(t)
		v, w := s.vendors, s.world
		w.apply(map[string]string{"clients/b.yaml": client("b", "aliases: [shop.example]"), "clients/z.yaml": client("z", "deployment: {provider: none}")})
		ids := w.push(map[string]string{"clients/b.yaml": client("b"), "clients/a.yaml": client("a", "aliases: [shop.example]", "dns: {provider: external}")})
		w.pass(ids...)
		for _, r := range s.asked() { // a's own name; shop.example leads to its host by our record
			s.setByHand(r)
		}
		w.pass(ids...)
		if _, ok := v.world.Serves("shop.example"); !ok || len(v.world.Resolves("shop.example")) == 0 || len(s.asked()) > 0 {
			t.Fatalf("%s: shop.example is down before anybody approved that; asked for %v", how, s.asked())
		}
		ours := func(c memory.Call) bool { return c.Verb == memory.Delete && c.Kind == state.KindRecord }
		ctx, cancel := context.WithCancel(t.Context())
		switch how {
		case "the answer is lost":
			v.faults.On(memory.After, ours, 1, memory.Fail(provider.Uncertain, "connection reset"))
		case "it dies":
			v.faults.Do(memory.After, ours, 1, func(context.Context, memory.Call) error { cancel(); return nil })
		}
		approved := w.waits(state.HoldData)
		if len(approved) != 1 || !strings.Contains(approved[0].Reason, "time without service") {
			t.Fatalf("%s: holds %+v", how, approved)
		}
		ids, err := w.engine.Approve(t.Context(), approved[0].Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		if how == "it dies" {
			_, _ = w.engine.Pass(ctx, ids[0], reconcile.CauseApprove) // it ends wherever it is
			ids = nil
			for _, d := range w.restart() {
				ids = append(ids, d.Client)
			}
		}
		cancel()
		w.pass(ids...)
		if r := w.row("a"); !strings.Contains(r.Because, "Set the record A shop.example") || len(v.world.Resolves("shop.example")) > 0 {
			t.Errorf("%s: a is %s: %q; shop.example leads to %v", how, r.Status, r.Because, v.world.Resolves("shop.example"))
		}
		for _, r := range s.asked() {
			s.setByHand(r)
		}
		w.pass(w.id("a"))
		w.want("a", state.StatusActive)
		w.want("b", state.StatusActive)
		if d, ok := v.world.Serves("shop.example"); !ok || len(v.world.Resolves("shop.example")) == 0 {
			t.Errorf("%s: shop.example is served by %q", how, d)
		}
	}
}

// A name goes so to a client with an alias that people come by at another name of its own, which goes for it. Ours
// has gone, as was approved, and nothing leads to the name until the person's is set: the alias
// stays where it is until then.
func TestS24AliasStaysUntilTheRecordBehindOursIsSeen(t *testing.T) {
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	has := client("a", "aliases: [shop.example]", "dns: {provider: external}")
	ids := w.push(map[string]string{"clients/a.yaml": has, "clients/b.yaml": client("b")})
	for range 3 { // its name, and what redirects there
		w.pass(ids...)
		for _, r := range s.asked() {
			s.setByHand(r)
		}
	}
	w.want("a", state.StatusActive)
	reached := func(when string) {
		t.Helper()
		for _, host := range v.world.Way("shop.example") {
			if len(v.world.Resolves(host)) == 0 {
				t.Errorf("%s, on the way of shop.example, leads nowhere %s", host, when)
			}
		}
		if by := v.servedBy("shop.example"); by != w.id("a") {
			t.Errorf("shop.example shows the site of %q %s", by, when)
		}
	}
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, call memory.Call) error {
		reached("after " + call.String())
		return nil
	})
	w.apply(map[string]string{"clients/a.yaml": strings.Replace(has, "domain: a", "domain: b", 1), "clients/b.yaml": strings.Replace(client("b"), "domain: b", "domain: n", 1)})
	w.approveAll("b")
	for range 2 {
		if r := w.row("a"); !strings.Contains(r.Because, "Set the record A b.agency.example") || len(v.world.Resolves("b.agency.example")) > 0 {
			t.Errorf("a is %s: %q; b.agency.example leads to %v", r.Status, r.Because, v.world.Resolves("b.agency.example"))
		}
		w.pass(w.due()...)
		reached("before the record is set")
	}
	for _, r := range s.asked() {
		s.setByHand(r)
	}
	w.pass(w.id("a"))
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	reached("in the end")
	if way := v.world.Way("shop.example"); !slices.Equal(way, []string{"shop.example", "b.agency.example"}) {
		t.Errorf("in the end people come over %v", way)
	}
}

// Where the two swap their names, whoever of them is planned first, what redirected to the name of before shows the other one's
// site by then: it is led on at once, as our record leads to its client's site until somebody approves that it goes. After
// that it is away as long as the name.
func TestS24AliasOfASwapShowsNoOtherSiteWhileOurRecordWaits(t *testing.T) {
	for _, who := range [][2]string{{"a", "b"}, {"b", "a"}} {
		for _, alias := range []string{"", "aliases: [ours.example]"} {
			hand, ours := who[0], who[1]
			t.Run("by hand: "+hand+" "+alias, func(t *testing.T) {
				s := newVendorsByHand(t)
				v, w := s.vendors, s.world
				files := func(handHas, oursHas string) map[string]string {
					return map[string]string{
						"clients/" + hand + ".yaml": strings.Replace(client(hand, "aliases: [hand.example]", "dns: {provider: external}"), "domain: "+hand, "domain: "+handHas, 1),
						"clients/" + ours + ".yaml": strings.Replace(client(ours, alias), "domain: "+ours, "domain: "+oursHas, 1)}
				}
				ids := w.push(files(hand, ours))
				for range 3 { // its name, and what redirects there
					w.pass(ids...)
					for _, r := range s.asked() {
						s.setByHand(r)
					}
				}
				w.want(hand, state.StatusActive)
				w.want(ours, state.StatusActive)
				shows := func(when string) {
					t.Helper()
					v.serves(w, "hand.example", hand)
					if way := v.world.Way("hand.example"); !slices.Equal(way, []string{"hand.example", ours + ".agency.example"}) {
						t.Errorf("people come over %v %s", way, when)
					}
				}
				name := ours + ".agency.example"
				w.apply(files(ours, hand))
				w.pass(w.due()...)
				if shows("before anybody approves"); len(v.world.Resolves(name)) == 0 {
					t.Errorf("%s is down, and nobody said that it may be", name)
				}
				w.approveAll(ours)
				if shows("before the record is set"); len(v.world.Resolves(name)) > 0 {
					t.Errorf("%s leads to %v: nobody's record was in the way of a person's", name, v.world.Resolves(name))
				}
				for range 2 {
					for _, r := range s.asked() {
						s.setByHand(r)
					}
					w.pass(w.id("a"), w.id("b"))
				}
				w.want(hand, state.StatusActive)
				w.want(ours, state.StatusActive)
				if shows("in the end"); len(v.world.Resolves(name)) == 0 {
					t.Errorf("%s leads nowhere in the end", name)
				}
			})
		}
	}
}

// Two clients swap their names, and the keeper of the records is down once the names have
// moved: the two stay joined until the records have moved, too.
func TestS24SwapWithLateRecords(t *testing.T) {
	v, w := newVendorsWith(t)
	of := func(name, domain string) string {
		return strings.Replace(client(name), "domain: "+name, "domain: "+domain, 1)
	}
	w.apply(map[string]string{"clients/b.yaml": of("b", "b"), "clients/c.yaml": of("c", "c")})
	records := func(c memory.Call) bool { return c.Verb.Writes() && c.Kind == state.KindRecord }
	v.faults.On(memory.Before, records, 0, memory.Fail(provider.Transient, "503 service unavailable"))
	ids := w.push(map[string]string{"clients/b.yaml": of("b", "c"), "clients/c.yaml": of("c", "b")})
	if d, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil || d.At.IsZero() {
		t.Fatalf("%+v, %v", d, err)
	}
	v.faults.Clear()
	w.restart()
	w.pass(ids...)
	w.want("b", state.StatusActive)
	w.want("c", state.StatusActive)
	for host, name := range map[string]string{"b.agency.example": "c", "c.agency.example": "b"} {
		d, ok := v.world.Serves(host)
		if o, _ := v.world.Object(d); !ok || string(o.Mark.Client) != w.detail(name).ID {
			t.Errorf("%s is served by %q, want %s", host, o.Mark.Client, name)
		}
	}
}

// An approval of one thing does not lift the hold of a newer head that is held as a whole.
func TestApprovalLeavesTheHeldHead(t *testing.T) {
	_, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.MaxCreates = 1 }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.apply(map[string]string{"clients/b.yaml": client("b"), "clients/c.yaml": client("c"), "clients/d.yaml": "kind: [\n"})
	w.repo.cut(w.repo.commit(map[string]string{"clients/a.yaml": ""}))
	w.poll()
	kinds := func() map[state.HoldKind]string {
		o, err := w.engine.Overview()
		if err != nil {
			t.Fatal(err)
		}
		out := map[state.HoldKind]string{}
		for _, h := range o.Holds {
			out[h.Kind] = h.Fingerprint
		}
		return out
	}
	before := kinds()
	if _, err := w.engine.Approve(t.Context(), before[state.HoldCreates], "dana"); err != nil {
		t.Fatal(err)
	}
	if after := kinds(); before[state.HoldHistory] == "" || after[state.HoldHistory] != before[state.HoldHistory] {
		t.Errorf("held before: %v, after: %v", before, after)
	}
}

// P8: a client's domain changes, and that its old mail record goes waits for an approval, for days maybe. All
// else of it is done and proved: what fails after that is taken back to there, and no further.
func TestWhatOnlyWaitsToRemoveIsNotPutBack(t *testing.T) {
	v, w := newVendors(t)
	mx := "dns: {records: [{type: MX, name: \"@\", content: mx.example, priority: 10}]}"
	moved := func(more ...string) string {
		return strings.Replace(client("bakery", append(more, mx)...), "domain: bakery", "domain: bread", 1)
	}
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", mx)})
	serves := func(when string) {
		t.Helper()
		d, _ := v.world.Serves("bread.agency.example")
		if o, _ := v.world.Object(d); o.Mark.Client != w.id("bakery") || v.world.BuiltWith(d)["COLOUR"] != "green" {
			t.Errorf("%s: bread.agency.example is served by %q, built with %v", when, d, v.world.BuiltWith(d))
		}
	}
	w.apply(map[string]string{"clients/bakery.yaml": moved("env: {COLOUR: green}")})
	if r := w.want("bakery", state.StatusHeld); !strings.Contains(r.Because, "mail may stop arriving") || !strings.Contains(r.URL, "bread") {
		t.Errorf("it says %q at %s", r.Because, r.URL)
	}
	serves("held")
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/bakery.yaml": moved("env: {COLOUR: blue}")})
	w.want("bakery", state.StatusFailed)
	serves("failed")
}

// P9: a client's domain changes, and its old record can't be removed. The new address is what people are told.
func TestWhatCantBeRemovedIsNotWhereItIs(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindRecord), 0, memory.Fail(provider.Invalid, "the zone is locked"))
	w.apply(map[string]string{"clients/bakery.yaml": strings.Replace(client("bakery"), "domain: bakery", "domain: bread", 1)})
	if r := w.want("bakery", state.StatusFailed); !strings.Contains(r.Because, "can't be removed") || !strings.Contains(r.URL, "bread") {
		t.Errorf("it says %q at %s", r.Because, r.URL)
	}
	if d, _ := v.world.Serves("bread.agency.example"); d == "" {
		t.Error("the new address is not served")
	}
}

// S24: two swap their names, and a file of the same commit is invalid: it may be who a name is let go for. Both say
// which one they wait for, and go on once it is mended.
func TestS24SwapBesideAnInvalidFileSaysWhatItWaitsFor(t *testing.T) {
	v, w := newVendors(t)
	swapped := func(name, domain string) string {
		return strings.Replace(client(name), "domain: "+name, "domain: "+domain, 1)
	}
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	w.apply(map[string]string{"clients/bakery.yaml": swapped("bakery", "cakes"), "clients/cakes.yaml": swapped("cakes", "bakery"), "clients/bad.yaml": "kind: ["})
	for _, h := range w.overview().Holds {
		if _, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana"); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(w.poll()...)
	w.pass(w.due()...)
	for _, name := range []string{"bakery", "cakes"} {
		if r := w.row(name); !strings.HasSuffix(r.Because, "what is to be removed waits until clients/bad.yaml is valid") || r.Next != "mend clients/bad.yaml" {
			t.Errorf("%s is %s: %q; next %q", name, r.Status, r.Because, r.Next)
		}
	}
	w.apply(map[string]string{"clients/bad.yaml": ""})
	w.pass(w.due()...)
	for name, host := range map[string]string{"bakery": "cakes.agency.example", "cakes": "bakery.agency.example"} {
		w.want(name, state.StatusActive)
		d, _ := v.world.Serves(host)
		if o, _ := v.world.Object(d); o.Mark.Client != w.id(name) {
			t.Errorf("%s is served by %q", host, d)
		}
	}
}

// A name that people come by redirects anew only to one of which it was seen that it leads to the site: it
// was made in a pass that was cut off, and somebody may have changed it since.
func TestNameRedirectsAnewOnlyToWhatIsSeen(t *testing.T) {
	for _, kind := range []state.Kind{state.KindDomain, state.KindRecord} {
		v, w := newVendors(t)
		alias, serves := "aliases: [www.shop.example]", func(when string) {
			t.Helper()
			if _, ok := v.world.Serves("www.shop.example"); !ok {
				t.Errorf("%s: www.shop.example is down %s", kind, when)
			}
		}
		w.apply(map[string]string{"clients/a.yaml": client("a", alias)})
		serves("at first")
		ids := w.push(map[string]string{"clients/a.yaml": strings.Replace(client("a", alias), "domain: a\n", "domain: a-new\n", 1)})
		v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Kind == state.KindDomain }, 0, memory.Fail(provider.Transient, "503 service unavailable"))
		w.pass(ids...)
		v.faults.Clear()
		made := ""
		for _, o := range v.world.Objects("") {
			if o.Kind == kind && (get(o, "host") == "a-new.agency.example" || get(o, "name") == "a-new.agency.example") {
				made = o.ID
			}
		}
		if made == "" || w.row("a").Status == string(state.StatusActive) {
			t.Fatalf("%s: %q, a is %s: %s", kind, made, w.row("a").Status, w.row("a").Because)
		}
		if kind == state.KindDomain {
			v.world.Set(made, "redirect", "elsewhere.example")
		} else {
			v.world.Remove(made)
		}
		v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Observe && c.ID == made }, 0, memory.Fail(provider.Transient, "503 service unavailable"))
		w.clock.add(time.Hour)
		w.pass(ids...)
		serves("after a pass that did not see what it redirects to")
		if r := w.row("a"); !strings.HasPrefix(r.Because, "waiting for ") {
			t.Errorf("%s: a is %s: %s", kind, r.Status, r.Because)
		}
		v.faults.Clear()
		w.clock.add(time.Hour)
		w.pass(ids...)
		w.want("a", state.StatusActive)
		serves("in the end")
		for _, o := range v.world.Objects("vercel") {
			if get(o, "host") == "www.shop.example" && get(o, "redirect") != "a-new.agency.example" {
				t.Errorf("%s: www.shop.example redirects to %q", kind, get(o, "redirect"))
			}
		}
	}
}
