package reconcile_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// onDisk copies the closed state's file, as a person does, and opens it again.
func (w *world) onDisk() []byte {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	data, err := os.ReadFile(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.open()
	return data
}

// putBack copies it back over the state.
func (w *world) putBack(data []byte) []reconcile.Due {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.open()
}

// ids are whom a start finds unfinished.
func ids(due []reconcile.Due) []state.ClientID {
	var out []state.ClientID
	for _, d := range due {
		out = append(out, d.Client)
	}
	return out
}

// S34: an older state that comes back, by the command or as a copied file, is recognised.
// It acts on nothing until it was compared with the providers; what was made since is
// taken over and never made twice, and nothing is undone.
func TestS34OlderStateLooksBeforeItActs(t *testing.T) {
	for _, how := range []string{"restore", "copied by hand"} {
		t.Run(how, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"), "clients/r.yaml": client("r")})
			r := state.ClientID(w.detail("r").ID)
			w.push(map[string]string{"clients/r.yaml": ""}) // accepted, not carried out yet: the removal is due
			backup, file := w.backup(), w.onDisk()
			w.pass(r)
			w.want("r", state.StatusRetained)
			w.apply(map[string]string{"clients/r.yaml": client("r")}) // and is back
			w.apply(map[string]string{"clients/new.yaml": client("new"), "clients/a.yaml": client("a", "env: {COLOUR: red}", "aliases: [www.a.example]")})
			w.apply(map[string]string{"clients/b.yaml": ""})
			for _, n := range []string{"a", "r", "new"} {
				w.want(n, state.StatusActive)
			}
			before, world := w.records(), v.world.Snapshot(everything)
			var due []reconcile.Due
			v.world.ForgetCalls()
			if how == "restore" {
				due = w.restore(backup)
			} else {
				due = w.putBack(file)
			}
			w.pass(append(ids(due), r)...) // the queue begins before the first poll
			if _, err := w.engine.PurgeDue(t.Context()); !errors.Is(err, reconcile.ErrRestored) {
				t.Errorf("purge: %v", err)
			}
			if got := v.writes(); len(got) > 0 {
				t.Fatalf("it acted before it looked: %v", got)
			}
			w.pass(w.poll()...)
			w.pass(w.due()...)
			if now := v.world.Snapshot(everything); now != world {
				t.Errorf("the world:\n%s\nwrites %v", otherThan(now, world), v.writes())
			}
			if got := w.records(); got != before {
				t.Errorf("on record:\n%s", otherThan(got, before))
			}
			for _, n := range []string{"a", "r", "new"} {
				w.want(n, state.StatusActive)
			}
			w.want("b", state.StatusRetained)
			// Once compared, it is a state like any other.
			due = w.restart()
			w.pass(ids(due)...)
			w.apply(map[string]string{"clients/new.yaml": client("new", "env: {COLOUR: blue}")})
			w.want("new", state.StatusActive)
		})
	}
}

// S34: a state that was not put back is not taken for an older one, however often the
// program starts.
func TestS34RestartIsNoRestore(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	for range 3 {
		w.restart()
		w.apply(map[string]string{"clients/b.yaml": client("b")})
		err := w.store.View(func(tx store.Tx) error {
			if _, old, err := store.Restored(tx); err != nil || old {
				t.Errorf("taken for an older state (%v)", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// S34: status says until when nothing is changed, and how long that takes: as long as the latest list.
func TestS34StatusTellsTheWait(t *testing.T) {
	for lag, says := range map[time.Duration]string{0: "which the next poll does", 90 * time.Second: "It waits 1 min 30 s first", time.Hour: "It waits 10 min first"} {
		w := newWorldWith(t, func(c *clock) []provider.Provider {
			open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
				return memory.New(memory.Options{Name: name, World: memory.NewWorld(c.Now), Kinds: kinds, Sleep: c.Sleep})
			}
			late := memory.Change(memory.Hosting(), func(_ state.Kind, t *provider.Traits) { t.ListLag = lag })
			return []provider.Provider{open("railway", memory.Databases()), open("vercel", late), open("cloudflare", memory.DNS())}
		})
		w.push(map[string]string{"clients/a.yaml": client("a")})
		w.restore(w.backup())
		if n := w.overview().Notices; len(n) != 1 || !strings.Contains(n[0], says) || lag == 0 && strings.Contains(n[0], "waits") {
			t.Errorf("lists are late by %s: %q", lag, n)
		}
		before := w.clock.Now()
		w.poll()
		if n, took := w.overview().Notices, w.clock.Now().Sub(before); len(n) > 0 || took != min(lag, 10*time.Minute) {
			t.Errorf("compared after %s: %q", took, n)
		}
	}
}

// S34: since the copy a site was made anew, at a vendor whose host names have no place for a mark.
// They are looked for where they are now, and are what the program made.
func TestS34OlderStateFindsNamesOfASiteThatWasMadeAnew(t *testing.T) {
	for _, known := range []bool{false, true} { // to the copy
		vendor, w := bareHosts(t)
		site := func() string {
			for _, o := range vendor.Objects("vercel") {
				if o.Kind == state.KindSite {
					return o.ID
				}
			}
			return ""
		}
		first := map[string]string{"clients/a.yaml": client("a")}
		if !known {
			first["clients/a.yaml"] = client("a", "deployment: {provider: none}")
		}
		w.apply(first)
		copied := w.backup()
		vendor.Remove(site())
		w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: green}")})
		w.want("a", state.StatusActive)
		w.restore(copied)
		w.poll()
		w.view(func(tx store.Tx) error {
			all, err := store.Resources(tx, w.id("a"))
			for _, r := range all {
				if want := memory.DomainID(site(), "a.agency.example"); r.Ref.Kind == state.KindDomain && (r.ID != want || r.Found) {
					t.Errorf("known to the copy %v: on record is the name %q (found: %v), and it is %q", known, r.ID, r.Found, want)
				}
			}
			if n := slices.IndexFunc(all, func(r state.Resource) bool { return r.Ref.Kind == state.KindDomain && r.Real() }); n < 0 {
				t.Errorf("known to the copy %v: the name is on no record", known)
			}
			return err
		})
	}
}

// bareHosts is a world whose host has no place for a mark on host names, as Vercel has none.
func bareHosts(t *testing.T) (*memory.World, *world) {
	var vendor *memory.World
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		vendor = memory.NewWorld(c.Now)
		bare := memory.Change(memory.Hosting(), func(k state.Kind, t *provider.Traits) { t.Marks = k != state.KindDomain })
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: vendor, Kinds: kinds, Sleep: c.Sleep})
		}
		return []provider.Provider{open("railway", memory.Databases()), open("vercel", bare), open("ploi", memory.Hosting()), open("cloudflare", memory.DNS())}
	})
	return vendor, w
}

// hostNames are those that sites have at a vendor.
func hostNames(world *memory.World) (names []string) {
	for _, o := range world.Objects("vercel") {
		if o.Kind == state.KindDomain {
			names = append(names, o.Name)
		}
	}
	return names
}

// S34, S43: a host name bears no mark at the vendor, and the wish that is acted on does not ask for it: a later
// one did, that an older copy does not know, or an earlier one did, and the state is lost. Its record in DNS is
// marked, so it is ours where that record is, and goes when nobody asks for it. So is one that the wish asked for before.
func TestS34NameThatOnlyItsRecordTellsOf(t *testing.T) {
	t.Run("older copy", func(t *testing.T) {
		world, w := bareHosts(t)
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		copied := w.backup()
		w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
		w.want("a", state.StatusActive)
		w.push(map[string]string{"clients/a.yaml": "name: ["})
		w.restore(copied)
		w.pass(w.poll()...)
		w.wantOwnName("www.a.example")
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		w.letGo("a")
		if got := hostNames(world); !slices.Equal(got, []string{"a.agency.example"}) {
			t.Errorf("served: %v", got)
		}
	})
	t.Run("older copy, whose wish was not carried out", func(t *testing.T) {
		world, w := bareHosts(t)
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		due := w.push(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
		copied := w.backup()
		w.pass(due...)
		if got := hostNames(world); !slices.Contains(got, "www.a.example") {
			t.Fatalf("served: %v", got)
		}
		for _, o := range world.Objects("cloudflare") {
			world.Remove(o.ID) // as where people set the records
		}
		w.push(map[string]string{"clients/a.yaml": client("a")})
		w.restore(copied)
		w.pass(w.poll()...)
		w.wantOwnName("www.a.example")
	})
	t.Run("older copy, and a file that asks for more than it can have", func(t *testing.T) {
		world, w := bareHosts(t)
		w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
		copied := w.backup()
		w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
		for _, o := range world.Objects("cloudflare") {
			if o.Name == "A www.a.example" {
				world.Remove(o.ID) // as where people set the records
			}
		}
		w.push(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example, b.agency.example]")})
		w.restore(copied)
		w.pass(w.poll()...)
		w.wantOwnName("www.a.example")
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		w.letGo("a")
		if got := hostNames(world); !slices.Equal(got, []string{"a.agency.example", "b.agency.example"}) {
			t.Errorf("served: %v", got)
		}
	})
	t.Run("older copy, and a name that came since and goes", func(t *testing.T) {
		world, w := bareHosts(t)
		const byHand = "dns: {provider: none}"
		w.apply(map[string]string{"clients/a.yaml": client("a", byHand)})
		copied := w.backup()
		w.apply(map[string]string{"clients/a.yaml": client("a", byHand, "aliases: [www.a.example]")})
		w.push(map[string]string{"clients/a.yaml": client("a", byHand)}) // not carried out when the copy is put back: its date, say
		w.restore(copied)
		w.pass(w.poll()...)
		w.wantOwnName("www.a.example")
		w.letGo("a")
		if got := hostNames(world); !slices.Equal(got, []string{"a.agency.example"}) {
			t.Errorf("served: %v", got)
		}
	})
	t.Run("older copy, and a name that came with a rename since", func(t *testing.T) {
		for _, goes := range []bool{false, true} {
			world, w := bareHosts(t)
			const byHand, renamed = "dns: {provider: none}", "previously: [a]"
			w.apply(map[string]string{"clients/a.yaml": client("a", byHand)})
			copied, id := w.backup(), w.id("a")
			w.apply(map[string]string{"clients/a.yaml": "", "clients/e.yaml": client("e", byHand, renamed, "aliases: [www.a.example]")})
			if got := hostNames(world); w.id("e") != id || !slices.Contains(got, "www.a.example") {
				t.Fatalf("e is %s, and a was %s; served: %v", w.id("e"), id, got)
			}
			// Another client is called a by now. The copy takes its file for that of this one, and refuses the rename.
			head := map[string]string{"clients/a.yaml": client("a", byHand, "deployment: {provider: none}")}
			if goes {
				head["clients/e.yaml"] = client("e", byHand, renamed)
			}
			w.push(head)
			w.restore(copied)
			w.pass(w.poll()...)
			if w.id("a") != id {
				t.Fatalf("a is %s, and was %s", w.id("a"), id)
			}
			w.wantOwnName("www.a.example")
		}
	})
	t.Run("of whom no manifest tells any more", func(t *testing.T) {
		for _, lost := range []bool{false, true} {
			_, w := bareHosts(t)
			w.apply(map[string]string{"clients/b.yaml": client("b")})
			copied := w.backup()
			w.apply(map[string]string{"clients/a.yaml": client("a", "dns: {provider: none}", "aliases: [www.a.example]")})
			id := w.id("a")
			w.push(map[string]string{"clients/a.yaml": ""}) // not carried out
			if lost {
				w.lose()
				if _, err := w.engine.Rebuild(t.Context(), "ops"); err != nil {
					t.Fatal(err)
				}
			} else {
				w.restore(copied)
				w.pass(w.poll()...)
			}
			if w.id("a") != id {
				t.Fatalf("a is %s, and was %s", w.id("a"), id)
			}
			w.wantOwnName("a.agency.example")
			w.wantOwnName("www.a.example")
		}
	})
	t.Run("older copy, and the history does not tell", func(t *testing.T) {
		_, w := bareHosts(t)
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		copied := w.backup()
		w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
		w.push(map[string]string{"clients/a.yaml": "name: ["})
		w.restore(copied)
		w.engine.Repo = struct{ reconcile.Repository }{w.engine.Repo} // it says of no earlier head
		w.pass(w.poll()...)
		w.wantOwnName("www.a.example")
	})
	t.Run("older copy, and a site that the history does not tell of", func(t *testing.T) {
		world, w := bareHosts(t)
		w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}")})
		copied := w.backup()
		w.push(map[string]string{"clients/a.yaml": client("a")})
		w.pass(w.id("a"))
		for _, o := range world.Objects("cloudflare") {
			world.Remove(o.ID) // its record tells nothing, either
		}
		if got := hostNames(world); !slices.Equal(got, []string{"a.agency.example"}) {
			t.Fatalf("served: %v", got)
		}
		w.push(map[string]string{"clients/a.yaml": "name: ["})
		w.restore(copied)
		w.engine.Repo = struct{ reconcile.Repository }{w.engine.Repo} // it says of no earlier head
		w.pass(w.poll()...)
		w.view(func(tx store.Tx) error {
			all, err := store.Resources(tx, w.id("a"))
			if !slices.ContainsFunc(all, func(r state.Resource) bool {
				return r.Ref.Kind == state.KindDomain && r.Provider == "vercel" && r.Real() && !r.Found
			}) {
				t.Errorf("the name that the site at vercel has is on no record: %v", all)
			}
			return err
		})
	})
	t.Run("lost state, and people set the records", func(t *testing.T) {
		world, w := bareHosts(t)
		const byHand = "dns: {provider: none}"
		w.apply(map[string]string{"clients/a.yaml": client("a", byHand, "aliases: [www.a.example]")})
		w.push(map[string]string{"clients/a.yaml": client("a", byHand)}) // not carried out when the state is lost
		w.lose()
		if _, err := w.engine.Rebuild(t.Context(), "ops"); err != nil {
			t.Fatal(err)
		}
		w.wantOwnName("www.a.example")
		w.letGo("a")
		if got := hostNames(world); !slices.Equal(got, []string{"a.agency.example"}) {
			t.Errorf("served: %v", got)
		}
	})
	t.Run("lost state, and the site moves", func(t *testing.T) {
		world, w := bareHosts(t)
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		w.push(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}")})
		for _, o := range world.Objects("cloudflare") {
			world.Remove(o.ID) // its record tells nothing, either
		}
		w.lose()
		if _, err := w.engine.Rebuild(t.Context(), "ops"); err != nil {
			t.Fatal(err)
		}
		w.wantOwnName("a.agency.example")
	})
	t.Run("lost state", func(t *testing.T) {
		world, w := bareHosts(t)
		w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
		w.push(map[string]string{"clients/a.yaml": client("a")}) // not carried out when the state is lost
		w.lose()
		if _, err := w.engine.Rebuild(t.Context(), "ops"); err != nil {
			t.Fatal(err)
		}
		w.wantOwnName("www.a.example")
		w.letGo("a")
		if got := hostNames(world); !slices.Equal(got, []string{"a.agency.example"}) {
			t.Errorf("served: %v", got)
		}
	})
}

// wantOwnName wants a host name of client a on record, as made by us.
func (w *world) wantOwnName(host string) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		all, err := store.Resources(tx, w.id("a"))
		if !slices.ContainsFunc(all, func(r state.Resource) bool {
			return r.Ref.Kind == state.KindDomain && r.Ref.Host() == host && r.Real() && !r.Found
		}) {
			w.t.Errorf("%s is on no record", host)
		}
		return err
	})
}

// letGo approves what waits of a client, and carries it out.
func (w *world) letGo(name string) {
	w.t.Helper()
	for _, h := range w.overview().Holds {
		if _, err := w.engine.Approve(w.t.Context(), h.Fingerprint, "dana"); err != nil {
			w.t.Fatal(err)
		}
	}
	w.pass(w.poll()...)
	w.pass(w.id(name))
	w.want(name, state.StatusActive)
}

// S43: the state is lost, and beside a record of ours there is one that says the same, of somebody
// else's. Ours is found by its mark, and the other one is nobody's matter.
func TestS43EqualRecordBesideOurs(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	var ours provider.Object
	for _, o := range v.world.Objects("cloudflare") {
		ours = o
	}
	theirs := ours
	theirs.ID, theirs.Mark = "", provider.Mark{}
	v.world.Seed("cloudflare", theirs)
	w.rebuild(v)
	w.pass(w.id("a"))
	w.want("a", state.StatusActive)
	w.view(func(tx store.Tx) error {
		all, err := store.Resources(tx, w.id("a"))
		for _, r := range all {
			if r.Ref.Kind == state.KindRecord && (r.ID != ours.ID || r.Found) {
				t.Errorf("on record is %s (found: %v), and ours is %s", r.ID, r.Found, ours.ID)
			}
		}
		return err
	})
}

// S34: approvals lapse, and retention begins anew: an older copy knows an earlier date.
func TestS34OlderStateForgetsApprovalsAndDates(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "database: {retain: 20d}")})
	w.apply(map[string]string{"clients/b.yaml": ""})
	b := state.ClientID(w.detail("b").ID)
	if _, err := w.engine.Approve(t.Context(), "0123456789ab", "ops"); err != nil {
		t.Fatal(err)
	}
	seen := func() (at time.Time) { // up to when comments were
		w.view(func(tx store.Tx) (err error) { at, _, err = store.CommentsSeen(tx); return err })
		return at
	}
	if err := w.store.Update(func(tx store.Tx) error { return store.PutCommentsSeen(tx, w.clock.Now()) }); err != nil {
		t.Fatal(err)
	}
	backup := w.backup()
	w.clock.add(10 * 24 * time.Hour)
	w.apply(map[string]string{"clients/b.yaml": client("b", "database: {retain: 20d}")})
	w.clock.add(5 * 24 * time.Hour)
	w.apply(map[string]string{"clients/b.yaml": ""}) // kept until day 35
	w.restore(backup)
	put := w.clock.Now()
	w.clock.add(6 * 24 * time.Hour) // day 21: the older copy would erase it
	w.pass(w.poll()...)
	if !seen().Equal(put) {
		t.Errorf("comments are looked at since %s, and the copy was put back at %s", seen(), put)
	}
	if _, err := w.engine.PurgeDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v.byKind(t, b, state.KindDatabase).ID == "" {
		t.Error("it was erased")
	}
	kept, err := w.engine.Retained()
	if err != nil || len(kept) != 1 || !kept[0].Until.Equal(w.clock.Now().Add(20*24*time.Hour)) {
		t.Errorf("retained: %+v %v", kept, err)
	}
	err = w.store.View(func(tx store.Tx) error {
		if all, err := store.Approvals(tx); err != nil || len(all) > 0 {
			t.Errorf("approvals: %v %v", all, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// S34: a secret that was set after the older copy is not overwritten by the older one; a
// provider that can't be asked lets everything wait.
func TestS34OlderStateAndNewerSecret(t *testing.T) {
	v, w := newVendors(t)
	set := func(value string) {
		t.Helper()
		if _, _, err := w.engine.SetSecret("a", "mollie", state.NewSecret(value), w.keys.Fingerprint, "ops"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.engine.SetSecret("new/a", "mollie", state.NewSecret("first"), w.keys.Fingerprint, "ops"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {KEY: {secret: mollie}}"), "clients/b.yaml": client("b")})
	a := state.ClientID(w.detail("a").ID)
	backup := w.backup()
	set("second")
	w.pass(a)
	w.want("a", state.StatusActive)
	w.restore(backup)
	v.world.ForgetCalls()
	v.world.Down("railway", &provider.Error{Kind: provider.Transient, Provider: "railway", Op: "observe", Message: "down"})
	if _, err := w.engine.Poll(t.Context()); !errors.Is(err, reconcile.ErrRestored) {
		t.Errorf("poll: %v", err)
	}
	w.pass(a)
	v.world.Down("railway", nil)
	w.pass(w.poll()...)
	if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "mollie") || strings.Contains(r.Because, "second") {
		t.Errorf("a: %s", r.Because)
	}
	w.want("b", state.StatusActive)
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// S34: whoever dies between accepting the head and the comparison compares at the next
// start.
func TestS34OlderStateCutOff(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	backup := w.backup()
	w.apply(map[string]string{"clients/new.yaml": client("new")})
	world := v.world.Snapshot(everything)
	w.change = func(e *reconcile.Engine) { e.Store = &cutStore{Store: e.Store, left: 1} }
	w.restore(backup)
	if _, err := w.engine.Poll(t.Context()); !errors.Is(err, errCut) {
		t.Fatalf("poll: %v", err)
	}
	w.change = nil
	w.pass(ids(w.restart())...)
	if got := v.world.Snapshot(everything); got != world {
		t.Errorf("it acted before it looked:\n%s\nwas:\n%s", got, world)
	}
	w.pass(w.poll()...)
	w.want("new", state.StatusActive)
	if now := v.world.Snapshot(everything); now != world {
		t.Errorf("the world:\n%s\nwas:\n%s", now, world)
	}
}

var errCut = errors.New("cut off")

// cutStore dies after some Updates.
type cutStore struct {
	store.Store
	left int
}

func (c *cutStore) Update(fn func(store.Tx) error) error {
	if c.left--; c.left < 0 {
		return errCut
	}
	return c.Store.Update(fn)
}

// S34: a client of which the copy knows nothing, and whose file is accepted only later,
// keeps the data that the file no longer asks for: on record, retained.
func TestS34UnknownClientKeepsWhatItsFileDropped(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]")})
	backup := w.backup()
	w.apply(map[string]string{"clients/e.yaml": client("e")})
	e := state.ClientID(w.detail("e").ID)
	w.apply(map[string]string{"clients/a.yaml": "", "clients/e.yaml": client("e", "aliases: [shop.example]", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	w.want("e", state.StatusActive)
	w.restore(backup)
	for range 3 {
		w.pass(w.poll()...)
		w.pass(w.due()...)
	}
	w.want("e", state.StatusActive)
	db := v.byKind(t, e, state.KindDatabase)
	kept, err := w.engine.Retained()
	if err != nil || db.ID == "" || !slices.ContainsFunc(kept, func(k reconcile.Kept) bool { return k.ID == db.ID }) {
		t.Errorf("%s is not retained: %v (%v)", db.ID, kept, err)
	}
}

// S34: a whole folder that is put back, marker and all, is found out by what bears our
// mark before a client that it does not know is made a second time.
func TestS34WholeFolderPutBack(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	backup := w.backup()
	w.apply(map[string]string{"clients/later.yaml": client("later")})
	later, before := w.detail("later").ID, v.world.Snapshot(everything)
	v.world.ForgetCalls()
	w.pass(ids(w.restoreWhole(backup))...)
	w.pass(w.poll()...)
	w.pass(w.due()...)
	w.want("later", state.StatusActive)
	if now := v.world.Snapshot(everything); now != before || w.detail("later").ID != later {
		t.Errorf("%s was %s; the world:\n%s\nwrites %v", w.detail("later").ID, later, otherThan(now, before), v.writes())
	}
	// New clients are a reason to ask once a start.
	var listed atomic.Int64 // several providers are asked at a time
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Owned }, 0, func(context.Context, memory.Call) error { listed.Add(1); return nil })
	w.apply(map[string]string{"clients/next.yaml": client("next")})
	w.apply(map[string]string{"clients/last.yaml": client("last")})
	w.want("last", state.StatusActive)
	most := 0
	for _, p := range w.engine.Providers {
		traits := p.Traits()
		_, sites := traits[state.KindSite]
		if _, databases := traits[state.KindDatabase]; sites || databases {
			most++
		}
	}
	if most == len(w.engine.Providers) || listed.Load() > int64(most) {
		t.Errorf("%d lists were asked for, want %d at most: those of sites and databases, of %d", listed.Load(), most, len(w.engine.Providers))
	}
}

// wholeFolderWritesNothing puts a whole folder back, marker and all, and passes who is due: nothing is written.
func (w *world) wholeFolderWritesNothing(v *vendors, backup string) {
	w.t.Helper()
	before := v.world.Snapshot(everything)
	v.world.ForgetCalls()
	w.pass(ids(w.restoreWhole(backup))...)
	for range 3 {
		w.pass(w.poll()...)
		w.pass(w.due()...)
	}
	if now := v.world.Snapshot(everything); now != before {
		w.t.Errorf("something is written:\n%s\nwrites %v", otherThan(now, before), v.writes())
	}
}

// S34: the copy knows the client's name from a time before anything of it was made; since
// then it went, and another one of the name came. Nothing is made for the earlier one.
func TestS34WholeFolderThatKnowsOnlyTheName(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.push(map[string]string{"clients/shop.yaml": client("shop")})
	backup := w.backup()
	w.apply(map[string]string{"clients/shop.yaml": ""})
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.want("shop", state.StatusActive)
	w.wholeFolderWritesNothing(v, backup)
}

// S34: the copy has the client's data as retained. Since then that was purged, and another one of the name came. A person
// hears whose the name is, not that the data is gone for good.
func TestS34WholeFolderWhoseRetainedDataWasPurgedSince(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/shop.yaml": client("shop")})
	w.apply(map[string]string{"clients/shop.yaml": ""})
	backup, earlier := w.backup(), w.want("shop", state.StatusRetained).ID
	if _, err := w.engine.PurgeNow(t.Context(), "shop", "dana"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	shop := w.want("shop", state.StatusActive).ID
	w.wholeFolderWritesNothing(v, backup)
	held := w.waits(state.HoldRebuild)
	if !slices.ContainsFunc(held, func(h state.Hold) bool {
		return h.Client == state.ClientID(earlier) && strings.Contains(h.Reason, shop) && !h.Approvable
	}) {
		t.Errorf("nobody is told that the name is that of %s by now: %v", shop, held)
	}
}

// S34, I3: the copy has a removal that was accepted and waits. Since then it was carried out, and another client has the name; its
// file is mistaken at the head, so that it is nobody's on that state. Its name is not taken away with what went.
func TestS34WholeFolderAndANameThatIsAnothersSince(t *testing.T) {
	v, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/old.yaml": client("old"), "clients/z.yaml": client("z")})
	w.apply(map[string]string{"clients/old.yaml": ""})
	backup := w.backup()
	w.apply(map[string]string{"clients/new.yaml": strings.Replace(client("new"), "domain: new", "domain: old", 1)})
	w.clock.add(2 * time.Hour)
	w.poll()
	w.pass(w.due()...)
	w.want("old", state.StatusRetained)
	w.want("new", state.StatusActive)
	w.push(map[string]string{"clients/new.yaml": "name: ["})
	w.wholeFolderWritesNothing(v, backup)
}

// S34: an older state says of a client that it is removed, as it was when the copy was made, and its
// removal waited. It came back since, was deployed, and its file says `reuse: fresh` by now, which
// meant nothing to who lives. It is who it was: its site is not taken away for an empty one.
func TestS34OlderStateTookWhoCameBackForGone(t *testing.T) {
	v, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	id := w.id("bakery")
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	data := w.onDisk()
	w.poll()
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: blue}")})
	w.want("bakery", state.StatusActive)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: blue}", "database: {reuse: fresh}")})
	before, _ := v.world.Serves("bakery.agency.example")
	w.pass(ids(w.putBack(data))...)
	w.pass(w.poll()...)
	for range 2 {
		w.clock.add(2 * time.Hour)
		w.pass(w.due()...)
	}
	w.want("bakery", state.StatusActive)
	if now, _ := v.world.Serves("bakery.agency.example"); w.id("bakery") != id || now != before {
		t.Errorf("bakery is %s, and was %s; it is served by %q, and was by %q", w.id("bakery"), id, now, before)
	}
}

// So does one whose removal waits for an invalid file when the copy is compared, as it did when that was made: it
// comes back once more, and its file has another address by then, and says `reuse: fresh`.
func TestS34WhoComesBackOnceMoreIsItself(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/z.yaml": client("z")})
	id := w.id("bakery")
	w.apply(map[string]string{"clients/bakery.yaml": "", "clients/typo.yaml": "name: [\n"})
	data := w.onDisk()
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "env: {COLOUR: blue}")})
	later := strings.Replace(client("bakery", "env: {COLOUR: blue}", "database: {reuse: fresh}"), "domain: bakery", "domain: cakes", 1)
	w.apply(map[string]string{"clients/bakery.yaml": later})
	w.want("bakery", state.StatusActive)
	before, _ := v.world.Serves("cakes.agency.example")
	w.push(map[string]string{"clients/bakery.yaml": ""}) // accepted, and not carried out
	w.pass(ids(w.putBack(data))...)
	w.pass(w.poll()...)
	w.pass(w.due()...)
	w.apply(map[string]string{"clients/bakery.yaml": later})
	for range 2 {
		w.clock.add(2 * time.Hour)
		w.pass(w.due()...)
	}
	w.want("bakery", state.StatusActive)
	if now, _ := v.world.Serves("cakes.agency.example"); w.id("bakery") != id || now != before {
		t.Errorf("bakery is %s, and was %s; it is served by %q, and was by %q", w.id("bakery"), id, now, before)
	}
}

// S34: where the host shows no values, the release that serves tells that a secret may have been set since: it is one that the
// copy does not know, and not what the copy would build. A person is asked, who sets the secret again or goes on with the older one.
func TestS34OlderStateAndNewerSecretThatNobodyShows(t *testing.T) {
	v, w := newQuietVendors(t, map[state.Kind][]string{state.KindEnvironment: {"env.*"}, state.KindAdmin: {"password"}})
	set := func(client, value string) {
		t.Helper()
		if _, _, err := w.engine.SetSecret(client, "mollie", state.NewSecret(value), w.keys.Fingerprint, "ops"); err != nil {
			t.Fatal(err)
		}
	}
	set("new/a", "first")
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {KEY: {secret: mollie}}"), "clients/b.yaml": client("b")})
	backup := w.backup()
	set("a", "second")
	w.pass(w.id("a"))
	w.apply(map[string]string{"clients/b.yaml": client("b", "env: {COLOUR: blue}")})
	w.want("a", state.StatusActive)
	w.restore(backup)
	v.world.ForgetCalls()
	w.pass(w.poll()...)
	w.want("b", state.StatusActive)
	if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "mollie") || strings.Contains(r.Because, "second") {
		t.Errorf("a: %s", r.Because)
	}
	if got := v.writes(); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	w.approveAll("a")
	w.pass(w.due()...)
	w.want("a", state.StatusActive)
	d, _ := v.world.Serves("a.agency.example")
	if got := v.world.BuiltWith(d); got["KEY"] != "first" {
		t.Errorf("it was approved to go on with what is on record, and is built with %q", got["KEY"])
	}
}
