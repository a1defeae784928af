package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// P3, rule "Uncertain creates": the process dies over a create that its vendor ends later,
// and by the time that it starts again the manifest is gone. What comes of the create is
// found and removed, also where its name is unique and nobody asks for it again.
func TestP3CreateThatOutlivesItsWish(t *testing.T) {
	for _, kind := range []state.Kind{state.KindSite, state.KindDatabase} {
		t.Run(string(kind), func(t *testing.T) {
			v, w := newVendors(t)
			ids := w.push(map[string]string{"clients/bakery.yaml": client("bakery")})
			ctx, die := context.WithCancel(t.Context())
			v.faults.Do(memory.Before, memory.Is(memory.Create, kind), 1, func(context.Context, memory.Call) error {
				die()
				return memory.Late(time.Second, context.Canceled)
			})
			if _, err := w.engine.Pass(ctx, ids[0], reconcile.CauseCommit); err == nil {
				t.Fatal("the process was to die")
			}
			w.repo.commit(map[string]string{"clients/bakery.yaml": "", "clients/other.yaml": client("other")})
			w.restart()
			w.pass(w.poll()...)
			w.clock.add(time.Hour)
			known := map[string]bool{}
			err := w.store.View(func(tx store.Tx) error {
				all, err := store.AllResources(tx)
				for _, r := range all {
					known[r.ID] = true
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range v.world.Objects("") {
				if o.Mark != (provider.Mark{}) && !known[o.ID] {
					t.Errorf("%s %s of %s is on no record", o.Kind, o.ID, o.Mark.Client)
				}
			}
		})
	}
}

// P5: the process dies over a delete, or an update, that its vendor ends later, and by the time
// that it starts again something else is wished. What was sent before does not undo what is
// written now: all that is on record is there, as it is on record.
func TestP5WriteThatOutlivesItsWish(t *testing.T) {
	has := func(text string) string { return client("bakery", "env: {STORE_NAME: "+text+"}") }
	for name, c := range map[string]struct {
		match func(memory.Call) bool
		now   string // what is wished when it dies
		then  string
	}{
		"a record is deleted":           {memory.Is(memory.Delete, state.KindRecord), "", has("first")},
		"a site is deleted":             {memory.Is(memory.Delete, state.KindSite), "", has("first")},
		"an environment is changed":     {memory.Is(memory.Update, state.KindEnvironment), has("second"), has("third")},
		"an environment is put back":    {memory.Is(memory.Update, state.KindEnvironment), has("second"), has("first")},
		"traffic goes to a new release": {memory.Is(memory.Update, state.KindTraffic), has("second"), has("first")},
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/bakery.yaml": has("first"), "clients/other.yaml": client("other")})
			ids := w.push(map[string]string{"clients/bakery.yaml": c.now})
			ctx, die := context.WithCancel(t.Context())
			died := false
			v.faults.Do(memory.Before, c.match, 1, func(context.Context, memory.Call) error {
				die()
				died = true
				return memory.Late(time.Second, context.Canceled)
			})
			if _, err := w.engine.Pass(ctx, ids[0], reconcile.CauseCommit); err == nil || !died {
				t.Fatalf("the process was to die: %v", err)
			}
			w.repo.commit(map[string]string{"clients/bakery.yaml": c.then})
			w.restart()
			w.pass(w.poll()...)
			w.clock.add(time.Hour)
			there := map[string]provider.Object{}
			for _, o := range v.world.Objects("") {
				there[o.ID] = o
			}
			err := w.store.View(func(tx store.Tx) error {
				all, err := store.AllResources(tx)
				outputs := map[state.Ref]map[string]state.Value{}
				for _, r := range all {
					outputs[r.Ref] = r.Outputs
				}
				for _, r := range all {
					o, is := there[r.ID]
					if !is && r.Real() {
						t.Errorf("%s is on record, and not there", r.Ref)
					}
					for _, a := range o.Attributes {
						has, ok := r.Attributes.Get(a.Name)
						if has.Ref != nil {
							has = outputs[*has.Ref][has.Output]
						}
						if ok && has.Secret == nil && has.Literal != a.Reveal() {
							t.Errorf("%s of %s is %q, on record %q", a.Name, r.Ref, a.Reveal(), has.Literal)
						}
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// P3, rule "Uncertain creates": the process dies over a create that never reaches its vendor,
// the manifest goes, and meanwhile somebody else made what stands there now. The removal comes to
// its end without a person, and what is theirs stays as it is.
func TestP3CreateOfWhoGoesBesideAnothers(t *testing.T) {
	note := client("bakery", "dns: {records: [{type: TXT, name: note, content: hello}]}")
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": note})
	twins := v.world.Objects("cloudflare")
	for name, c := range map[string]struct {
		kind, content string
		mark          provider.Mark
	}{
		"another client's":                {"TXT", "", provider.Mark{Installation: lawInstallation, Client: "other-000009", Generation: 1}},
		"another installation's":          {"TXT", "", provider.Mark{Installation: "ffff0000", Client: "other-000009", Generation: 1}},
		"a person's, and equal":           {"TXT", "", provider.Mark{}},
		"a person's, where no two can be": {"A", "198.51.100.9", provider.Mark{}},
	} {
		t.Run(name, func(t *testing.T) {
			theirs := provider.Object{}
			for _, o := range twins {
				if strings.HasPrefix(o.Name, c.kind+" ") {
					theirs = o
				}
			}
			theirs.ID, theirs.Mark, theirs.Attributes = "theirs", c.mark, slices.Clone(theirs.Attributes)
			for n := range theirs.Attributes {
				if theirs.Attributes[n].Name == "content" && c.content != "" {
					theirs.Attributes[n].Text = c.content
				}
			}
			v, w := newVendors(t)
			w.change = func(e *reconcile.Engine) { e.Runner.Parallel = 1 } // the database comes first
			w.restart()
			ids := w.push(map[string]string{"clients/bakery.yaml": note})
			ctx, die := context.WithCancel(t.Context())
			v.faults.Do(memory.Before, func(call memory.Call) bool {
				return call.Verb == memory.Create && strings.HasPrefix(call.Name, c.kind+" ")
			}, 1, func(context.Context, memory.Call) error { die(); return memory.Lost() })
			if _, err := w.engine.Pass(ctx, ids[0], reconcile.CauseCommit); err == nil {
				t.Fatal("the process was to die")
			}
			if open := w.openIntents(); len(open) != 1 {
				t.Fatalf("%d intents are open", len(open))
			}
			v.world.Seed("cloudflare", theirs)
			is := func(o provider.Object) bool { return o.ID == "theirs" }
			before := v.world.Snapshot(is)
			w.repo.commit(map[string]string{"clients/bakery.yaml": "", "clients/other.yaml": client("other")})
			w.restart()
			w.pass(w.poll()...)
			for range 3 { // looks are apart
				w.clock.add(time.Hour)
				w.pass(w.due()...)
			}
			w.want("bakery", state.StatusRetained)
			if after := v.world.Snapshot(is); before == "" || after != before {
				t.Errorf("theirs was\n%s, and is\n%s", before, after)
			}
			for _, o := range v.world.Objects("cloudflare") {
				if o.Mark.Client == ids[0] {
					t.Errorf("%s of who went is still there", o.ID)
				}
			}
			if open := w.openIntents(); len(open) != 0 {
				t.Errorf("%d intents are open: %+v", len(open), open[0])
			}
		})
	}
}

// P8: a person deleted the release that serves, and the process dies when it is made again,
// before traffic leads to it. The next pass sees that it leads elsewhere.
func TestP8TrafficFollowsAReleaseThatWasMadeAgain(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	release, _ := v.world.Serves("bakery.agency.example")
	v.world.Remove(release)
	id, err := w.engine.Retry("bakery", "dana")
	if err != nil {
		t.Fatal(err)
	}
	ctx, die := context.WithCancel(t.Context())
	v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindTraffic), 1, func(context.Context, memory.Call) error { die(); return context.Canceled })
	if _, err := w.engine.Pass(ctx, id, reconcile.CauseRetry); err == nil {
		t.Fatal("the process was to die")
	}
	w.pass(w.due()...)
	w.want("bakery", state.StatusActive)
	if now, up := v.world.Serves("bakery.agency.example"); !up || now == release {
		t.Errorf("it serves %q: %v", now, up)
	}
}

// P8: a person lets the removal of a record go, and the process dies before the client's pass
// begins. The client was at rest, and the next start finds it all the same.
func TestP8RemovalThatWasLetGoOutlivesTheProcess(t *testing.T) {
	v, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.ReviewedOnly = true }
	w.restart()
	note := "dns: {records: [{type: TXT, name: note, content: hello}]}"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", note)})
	there := len(v.world.Objects("cloudflare"))
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	o, err := w.engine.Overview()
	if err != nil || len(o.Holds) != 1 || len(v.world.Objects("cloudflare")) != there {
		t.Fatalf("holds %+v, %d of %d records, %v", o.Holds, len(v.world.Objects("cloudflare")), there, err)
	}
	if _, err := w.engine.Approve(t.Context(), o.Holds[0].Fingerprint, "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(ids(w.restart())...)
	if got := len(v.world.Objects("cloudflare")); got != there-1 {
		t.Errorf("%d records are there, want %d", got, there-1)
	}
	if due := w.restart(); len(due) != 0 {
		t.Errorf("all is done, and due are %v", due)
	}
}

// openIntents are all of them.
func (w *world) openIntents() (out []journal.Intent) {
	w.t.Helper()
	err := w.store.View(func(tx store.Tx) (err error) {
		out, err = store.Intents(tx, "")
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}
