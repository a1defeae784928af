package reconcile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

var fixtures = flag.Bool("fixtures", false, "write the state of a fleet for the newest schema, where there is none")

// fixtureKey seals the fixtures, and opens nothing else.
const fixtureKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// fleetFixture is a state that an engine left behind, of one schema. What is there is never written
// again: it is what somebody may still have.
func fleetFixture(schema int) string {
	return filepath.Join("testdata", fmt.Sprintf("fleet-v%d.db.gz", schema))
}

// allSchemas are the states with a record of every kind, of every schema; the newest is the last.
func allSchemas(t *testing.T) []string {
	t.Helper()
	var out []string
	for {
		path := filepath.Join("..", "bolt", "testdata", fmt.Sprintf("state-v%d.db.gz", len(out)+1))
		if _, err := os.Stat(path); err != nil {
			if len(out) < 3 {
				t.Fatalf("of %d schemas a state was found: %v", len(out), err)
			}
			return out
		}
		out = append(out, path)
	}
}

// firstFleet is the first schema of which there is the state of a fleet.
const firstFleet = 3

// TestEverySchemaGoesOn: an engine that is started on the state of any schema, before providers that
// show what it says, passes everybody, looks and probes, and writes nothing there. Of a fleet's it
// says of everybody what was so, and what was sent last, and had no answer, counts as done.
func TestEverySchemaGoesOn(t *testing.T) {
	states := allSchemas(t)
	for _, path := range states {
		t.Run(filepath.Base(path), func(t *testing.T) { goesOn(t, path) })
	}
	for schema := firstFleet; schema <= len(states); schema++ {
		path := fleetFixture(schema)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && *fixtures && schema == len(states) {
			writeFleet(t, path)
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			w := goesOn(t, path)
			if d := cmp.Diff(map[string]string{"shop": "active", "bakery": "active", "mailer": "held", "broken": "active", "gone": "retained", "cut": "active", "idle": "paused"}, statuses(w)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// goesOn starts an engine on a state and lets it do all that it does.
func goesOn(t *testing.T, path string) *world {
	t.Helper()
	v, w := newFixture(t)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.repo = newRepository()
	fleetCommitted(w, func(map[string]string) {})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: make it with `go test ./internal/reconcile -run TestEverySchemaGoesOn -args -fixtures`, and commit it", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w.clock.add(24 * time.Hour) // later than all of them
	w.open()
	var ids []state.ClientID
	err = w.store.View(func(tx store.Tx) error {
		clients, err := store.Clients(tx)
		for _, c := range clients {
			ids = append(ids, c.ID)
		}
		return errors.Join(err, v.show(tx, w.engine.Runner.Installation))
	})
	if err != nil || len(ids) == 0 {
		t.Fatalf("%d clients, %v", len(ids), err)
	}
	v.world.ForgetCalls()
	if filepath.Base(path)[:5] == "fleet" {
		ids = append(ids, w.poll()...)
	}
	for range 4 {
		w.pass(ids...)
		if _, err := w.engine.Look(t.Context()); err != nil {
			t.Error(err)
		}
		if err := w.engine.ProbeAll(t.Context()); err != nil {
			t.Error(err)
		}
		w.clock.add(time.Hour)
	}
	if did := v.writes(); len(did) > 0 {
		t.Errorf("it wrote: %v", did)
	}
	err = w.store.View(func(tx store.Tx) error {
		open, err := store.Intents(tx, "")
		for _, i := range open {
			c, there, cerr := store.Client(tx, i.Ref.Client)
			if err = errors.Join(err, cerr); there && c.Quarantined.IsZero() {
				t.Errorf("nobody looked into %s of %s", i.Op, i.Ref)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return w
}

// newFixture is a world with vendors, that opens fixtures.
func newFixture(t *testing.T) (*vendors, *world) {
	t.Helper()
	v := &vendors{faults: &memory.Faults{}}
	return v, newWorldOver(t, func(w *world) { w.key = fixtureKey }, v.twoHosts)
}

// show puts there what a state says is there, and what was sent last.
func (v *vendors) show(tx store.Tx, installation string) error {
	all, err := store.AllResources(tx)
	if err != nil {
		return err
	}
	open, err := store.Intents(tx, "")
	if err != nil {
		return err
	}
	for _, i := range open {
		n := slices.IndexFunc(all, func(r state.Resource) bool { return r.Ref == i.Ref })
		switch {
		case n < 0:
		case i.Op == journal.OpDelete:
			all = slices.Delete(all, n, n+1)
		case i.Wish != nil:
			all[n].Attributes = i.Wish.Attributes
		}
	}
	by := map[state.Ref]state.Resource{}
	for _, r := range all {
		by[r.Ref] = r
	}
	text := func(x state.Value) (string, error) {
		switch {
		case x.Secret != nil:
			s, _, err := store.Secret(tx, x.Secret.Scope, x.Secret.Name, x.Secret.Version)
			return string(s.Text), err
		case x.Ref != nil:
			return by[*x.Ref].Outputs[x.Output].Literal, nil
		}
		return x.Literal, nil
	}
	for _, r := range all {
		o := provider.Object{ID: r.ID, Kind: r.Ref.Kind, Name: r.Name, Mark: provider.Mark{Installation: installation, Client: r.Ref.Client, Generation: max(r.Generation, 1)}}
		for _, a := range r.Attributes {
			var is string
			x := a.Value
			if out := x.Ref; out != nil && by[*out].Outputs[x.Output].Secret != nil {
				x = by[*out].Outputs[x.Output]
			}
			if is, err = text(x); err != nil {
				return err
			}
			in := provider.Input{Name: a.Name, Text: is}
			if x.Secret != nil {
				s := state.NewSecret(is)
				in = provider.Input{Name: a.Name, Secret: &s}
			}
			o.Attributes = append(o.Attributes, in)
		}
		for name, x := range r.Outputs {
			is, err := text(x)
			if err != nil {
				return err
			}
			out := provider.Output{Name: name, Text: is}
			if x.Secret != nil {
				s := state.NewSecret(is)
				out = provider.Output{Name: name, Secret: &s}
			}
			o.Outputs = append(o.Outputs, out)
		}
		v.world.Seed(r.Provider, o)
	}
	return nil
}

// fleetCommitted are the commits of the fleet, with what happens after each.
func fleetCommitted(w *world, then func(touched map[string]string)) {
	commit := func(files map[string]string) { w.repo.commit(files); then(files) }
	w.repo.commit(map[string]string{"templates/shop.yaml": template})
	mx := "dns: {records: [{type: MX, name: \"@\", content: mx.example.net, priority: 10}]}"
	note := func(text string) string { return "dns: {records: [{type: TXT, name: note, content: " + text + "}]}" }
	commit(map[string]string{"clients/shop.yaml": client("shop", "aliases: [www.shop.example]\nenv: {COLOUR: red, KEY: {generate: hex32}}"), "clients/bakery.yaml": client("bakery"),
		"clients/mailer.yaml": client("mailer", mx), "clients/broken.yaml": client("broken"), "clients/gone.yaml": client("gone"), "clients/cut.yaml": client("cut", note("hello")), "clients/idle.yaml": client("idle")})
	commit(map[string]string{"clients/gone.yaml": "", "clients/mailer.yaml": client("mailer"), "clients/idle.yaml": client("idle", "paused: true")})
	commit(map[string]string{"clients/broken.yaml": client("broken", "colour: red")}) // beside a removal, that would wait
	commit(map[string]string{"clients/cut.yaml": client("cut", note("there"))})
}

// statuses are where clients are, by name.
func statuses(w *world) map[string]string {
	w.t.Helper()
	v, err := w.engine.Overview()
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range v.Clients {
		out[r.Name] = r.Status
	}
	return out
}

// writeFleet keeps what an engine leaves behind that stops before the answer to its last write came.
func writeFleet(t *testing.T, path string) {
	t.Helper()
	v, w := newFixture(t)
	w.repo = newRepository()
	w.engine.Repo = w.repo
	n := 0
	fleetCommitted(w, func(map[string]string) {
		w.clock.add(time.Minute)
		if n++; n < 4 {
			w.pass(w.poll()...)
			return
		}
		ctx, stop := context.WithCancel(t.Context())
		v.faults.Do(memory.After, of("cut", memory.Is(memory.Delete, state.KindRecord)), 1, func(context.Context, memory.Call) error { stop(); return memory.Lost() })
		for _, id := range w.poll() {
			if _, err := w.engine.Pass(ctx, id, reconcile.CauseCommit); !errors.Is(err, context.Canceled) {
				t.Errorf("the last pass: %v", err)
			}
		}
	})
	if err := w.store.View(func(tx store.Tx) error {
		open, err := store.Intents(tx, "")
		if err == nil && len(open) != 1 {
			err = fmt.Errorf("%d intents are open, want that of the client that was cut off", len(open))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	data := packed(t, w.path)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	if err := errors.Join(err, z.Close(), os.MkdirAll("testdata", 0o755), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// packed is a state file without what was deleted from it.
func packed(t *testing.T, path string) []byte {
	t.Helper()
	to := filepath.Join(t.TempDir(), "packed.db")
	from, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(to, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(bbolt.Compact(db, from, 0), db.Close(), from.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
