package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// record is what the state file says while nobody has it open.
type record struct {
	installation string
	clients      []state.Client
	resources    []state.Resource
	intents      []journal.Intent
	restored     bool // an older copy, not compared yet
}

func (w *crashWorld) keys() *secret.Keys {
	w.t.Helper()
	keys, err := secret.Open(secret.KeySource{File: w.path("key"), Existing: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

func (w *crashWorld) read() (rec record, err error) {
	path := w.path("state.db")
	if !exists(path) {
		return rec, nil
	}
	s, err := bolt.Open(bolt.Options{Path: path, Keys: w.keys(), Now: time.Now, NoSync: true})
	if err != nil {
		return rec, err
	}
	err = s.View(func(tx store.Tx) error {
		if err := w.place.learn(tx); err != nil { // some are gone at the end
			return err
		}
		in, _, err := store.Installation(tx)
		if err != nil {
			return err
		}
		rec.installation = in.ID
		if _, rec.restored, err = store.Restored(tx); err != nil {
			return err
		}
		if rec.clients, err = store.Clients(tx); err != nil {
			return err
		}
		if rec.resources, err = store.AllResources(tx); err != nil {
			return err
		}
		for _, c := range rec.clients {
			open, err := store.Intents(tx, c.ID)
			if err != nil {
				return err
			}
			rec.intents = append(rec.intents, open...)
		}
		return nil
	})
	return rec, errors.Join(err, s.Close())
}

// check compares the state file with what the host knows, at any time. settled says that
// nothing is under way: then both are the same.
func (w *crashWorld) check(settled bool) (truth, error) {
	var t truth
	rec, err := w.read()
	if err != nil {
		return t, fmt.Errorf("read the state: %w", err)
	}
	if err := w.host.ask(context.Background(), "/truth?installation="+rec.installation, nil, &t); err != nil {
		return t, err
	}
	w.accepted = map[string]bool{}
	for _, c := range rec.clients {
		w.accepted[c.Name] = !c.Removed && !rec.restored
	}
	bad := t.Bad
	leaks, err := w.place.leftovers()
	if err != nil {
		return t, fmt.Errorf("look for leaks: %w", err)
	}
	for _, l := range leaks {
		bad = append(bad, "P10: "+l)
	}
	misfits, err := w.host.judged.misfits()
	if err != nil {
		return t, err
	}
	bad = append(append(bad, misfits...), w.compared(rec, t)...)
	bad = append(bad, w.leftAlone(rec, t)...)
	recorded := map[string]state.Resource{}
	for _, r := range rec.resources {
		sent := (r.Ref.Kind == state.KindMail || r.Ref.Kind == state.KindAdmin) && r.ID == state.DoneBefore // is all that a comparison knows of it
		if r.Real() && !sent && !partAtVendor(r) && !w.byHand[r.Provider+" "+r.ID] {                        // of those the host says that they are there
			recorded[r.Provider+" "+string(r.Ref.Kind)+" "+theirID(r)] = r
		}
	}
	databases := map[string]bool{}
	for _, r := range rec.resources {
		databases[r.ID] = r.Ref.Kind == state.KindDatabase
	}
	for _, o := range t.Objects {
		id := o.Owner + " " + string(o.Kind) + " " + o.ID
		intent := slices.ContainsFunc(rec.intents, func(i journal.Intent) bool {
			return i.Provider == o.Owner && i.Ref.Kind == o.Kind && (i.Name == o.Name || i.ObjectID == o.ID)
		})
		_, on := recorded[id]
		switch {
		case on, intent, rec.restored: // what is older knows less, until it was compared
		case w.byHand[o.Owner+" "+o.ID]: // our mark stays when its client goes
		case o.Late && !settled: // a look was earlier; it is found, or made and there already
		case o.Kind == state.KindMail: // what was sent is taken off the record with its client
		case o.Kind == state.KindAdmin && databases[o.Inside] && !rec.misses(o): // off the record before its database is erased, with which it goes
		case o.Kind == state.KindPayments && !rec.knows(o.Mark.Client): // its owner's, and its client is forgotten
		default:
			bad = append(bad, "I2: an orphan: "+id+" "+o.Name+", whose client is "+rec.told(o.Mark.Client)+"; before it was "+w.last.knew(o))
		}
		delete(recorded, id)
	}
	if settled {
		for id, r := range recorded {
			bad = append(bad, fmt.Sprintf("on record, and not there: %s, which is %s of %s, last written %s by %s", id, r.Ref, rec.told(r.Ref.Client), r.UpdatedAt.Format(time.RFC3339), cmp.Or(r.Run, "?")))
		}
		for _, c := range rec.clients {
			if c.Removed && !slices.ContainsFunc(rec.resources, func(r state.Resource) bool { return r.Ref.Client == c.ID }) {
				bad = append(bad, "nothing is left of "+string(c.ID)+", and it is not forgotten")
			}
		}
		for _, i := range rec.intents {
			bad = append(bad, "an open intent: "+string(i.Op)+" "+i.Key)
		}
	}
	for _, client := range t.Erased {
		name := client[:strings.LastIndex(client, "-")]
		if _, wished := w.shops[name]; wished && !w.gone[name] && !w.renamed(name) {
			bad = append(bad, "P5: the database of "+client+" was erased, and its manifest never went")
		}
	}
	w.last = rec
	if len(bad) > 0 {
		return t, errors.New(strings.Join(bad, "\n"))
	}
	return t, nil
}

// knew is what the record says of an object, in words for whom it was lost since.
func (r record) knew(o ownedObject) string {
	said := "on no record"
	for _, x := range r.resources {
		if x.Provider == o.Owner && x.Ref.Kind == o.Kind && x.ID == o.ID {
			said = fmt.Sprintf("%s, last written by %s", x.Ref, cmp.Or(x.Run, "?"))
		}
	}
	for _, i := range r.intents {
		if i.Provider == o.Owner && i.Ref.Kind == o.Kind && (i.Name == o.Name || i.ObjectID == o.ID) {
			said += fmt.Sprintf(", under way: %s of run %s, sent %s, %d looks", i.Op, i.Run, i.At.Format(time.RFC3339Nano), i.Looks)
		}
	}
	if r.restored {
		said += ", in an older copy"
	}
	return said
}

// partAtVendor says that a resource is part of an object at a simulated vendor, which has no
// list of it: with its site it is there.
func partAtVendor(r state.Resource) bool {
	return (r.Provider == "ploi" || r.Provider == "vercel") && r.Ref.Kind != state.KindSite
}

// renamed says that the name was another client's before, whose id it still has.
func (w *crashWorld) renamed(name string) bool { return w.known[name].Was != "" }

// settle lets everything come to its end, undisturbed, and checks that it is as wished.
func (w *crashWorld) settle() error {
	if err := w.host.ask(context.Background(), "/arm", armed{}, nil); err != nil {
		return err
	}
	for name, s := range w.shops {
		if s.Broken || s.Fails {
			s.Broken, s.Fails = false, false
			w.shops[name] = s
			if err := w.commit(name); err != nil {
				return err
			}
		}
	}
	const tries = 12
	var wrong []string
	for n := range tries {
		v, err := w.overview()
		if err != nil {
			return err
		}
		if wrong = w.unfit(v); len(wrong) == 0 && len(v.Holds) == 0 {
			break
		}
		for _, h := range v.Holds {
			wrong = append(wrong, "held: "+h.Reason+" "+h.Act)
		}
		if n == tries-1 {
			return fmt.Errorf("it does not come to its end:\n%s\n%s", strings.Join(wrong, "\n"), w.explain(v))
		}
		if err := w.obey(v); err != nil {
			return err
		}
		for _, r := range v.Clients {
			if n > 2 && (r.Status == string(state.StatusFailed) || r.Status == string(state.StatusHeld)) {
				if _, _, err := w.command("retry", r.ID); err != nil {
					return err
				}
			}
		}
		if err := w.host.pass(context.Background(), 10*time.Minute); err != nil {
			return err
		}
	}
	before, err := w.check(true)
	if err != nil {
		return err
	}
	if _, err := w.overview(); err != nil {
		return err
	}
	after, err := w.check(true)
	if err != nil {
		return err
	}
	if after.Writes != before.Writes {
		return fmt.Errorf("%d writes although nothing is left to do", after.Writes-before.Writes)
	}
	for _, s := range w.shops {
		for _, host := range s.hosts() {
			got, err := w.host.serves(context.Background(), host)
			if err != nil {
				return fmt.Errorf("%s does not answer: %w", host, err)
			}
			if !strings.Contains(got, s.Currency) {
				return fmt.Errorf("%s serves %.200q, want %s", host, got, s.Currency)
			}
		}
	}
	return nil
}

// explain is what the last apply said, and `why` of everybody who is not active.
func (w *crashWorld) explain(v reconcile.Overview) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apply says:\n%s\n", w.told)
	for _, r := range v.Clients {
		if r.Status != string(state.StatusActive) && r.Status != string(state.StatusRetained) {
			_, out, err := w.command("why", r.ID)
			fmt.Fprintf(&b, "why %s (%v):\n%s\n", r.ID, err, out)
		}
	}
	return b.String()
}

// unfit says which clients are not as the branch wishes them.
func (w *crashWorld) unfit(v reconcile.Overview) (out []string) {
	left := map[string]bool{}
	for name := range w.shops {
		left[name] = true
	}
	for _, r := range v.Clients {
		switch {
		case left[r.Name] && r.Status == string(state.StatusActive):
			delete(left, r.Name)
		case r.Status == string(state.StatusRetained):
		default:
			out = append(out, fmt.Sprintf("%s (%s) is %s: %s", r.Name, r.ID, r.Status, r.Because))
		}
	}
	for name := range left {
		out = append(out, name+" is not there")
	}
	sort.Strings(out)
	return out
}

// The host and the check see what is wrong: something twice, something that is on no
// record, a look-alike that was changed, a database that lost its rows or was erased, who
// writes before an older state was compared.
func TestCrashCheckSees(t *testing.T) {
	w := newCrashWorld(t, 10, hostSpec{Lag: time.Second})
	for _, name := range []string{keeper, "shop1"} {
		w.shops[name] = shop{Name: name, Currency: "EUR"}
		if err := w.commit(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.settle(); err != nil {
		t.Fatal(err)
	}
	if err := w.host.pass(t.Context(), time.Minute); err != nil { // lists are late
		t.Fatal(err)
	}
	rec, err := w.read()
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.host.providers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mark := provider.Mark{Installation: rec.installation, Client: "shop9-000000", Generation: 1}
	wish := provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: state.KindDatabase, Name: "main"}, Name: "shop9-000000-x", Mark: mark}
	for range 2 {
		if _, err := all[0].Create(t.Context(), wish); err != nil {
			t.Fatal(err)
		}
	}
	like := provider.Wish{Ref: state.Ref{Kind: state.KindSite}, Name: "demoshop-ffffff-x"}
	found, err := all[1].Observe(t.Context(), provider.Query{Kind: state.KindSite, Name: like.Name})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d look-alikes: %v", len(found), err)
	}
	if _, err := all[1].Update(t.Context(), found[0].ID, like); err != nil {
		t.Fatal(err)
	}
	for _, r := range rec.resources {
		if r.Ref.Kind == state.KindDatabase && strings.HasPrefix(string(r.Ref.Client), "shop1-") {
			if err := all[0].Delete(t.Context(), state.KindDatabase, r.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.older = &older{callers: []int{os.Getpid()}, data: map[string]string{}}
	for _, r := range rec.resources {
		if r.Ref.Kind == state.KindDatabase {
			w.older.data[r.Provider+" "+r.ID] = string(r.Ref.Client[:strings.LastIndex(string(r.Ref.Client), "-")])
		}
	}
	_, err = w.check(true)
	if err == nil {
		t.Fatal("nothing is seen")
	}
	for _, want := range []string{"I1: 2 times", "I2: an orphan", "I5: the look-alike", "P5: the database of shop1", "on record, and not there", "an older state acts before it looks", "of shop1 is gone, which was wished all the time"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not seen: %s, in\n%v", want, err)
		}
	}
}
