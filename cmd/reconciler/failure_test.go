package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func refuse(kind provider.ErrorKind, x call, words string) error {
	return &provider.Error{Kind: kind, Provider: x.Provider, Op: x.Verb, Message: words}
}

// S27: DNS refuses three times with an error that passes: one record in the end.
func TestS27Transient(t *testing.T) {
	w := newWorld(t, nil)
	var failed atomic.Int32
	w.calls.interfere(func(x call) error {
		if x.Verb == "create" && x.Kind == state.KindRecord && failed.Add(1) <= 3 {
			return refuse(provider.Transient, x, "internal error, please try again")
		}
		return nil
	}, nil)
	w.start()
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	if failed.Load() != 4 {
		t.Errorf("%d tries", failed.Load())
	}
	if got := w.records("demoshop.localhost"); len(got) != 1 {
		t.Errorf("records: %v", got)
	}
}

// records are the embedded DNS provider's objects of a name.
func (w *world) records(name string) []string {
	w.t.Helper()
	all, err := w.daemon.program.dns.Owned(w.t.Context(), w.daemon.program.engine.Runner.Installation)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, o := range all {
		for _, a := range o.Attributes {
			if a.Name == "name" && a.Text == name {
				out = append(out, o.ID)
			}
		}
	}
	return out
}

// owned is everything that bears this installation's mark at the embedded providers,
// by kind and vendor-side name.
func (w *world) owned() []string {
	w.t.Helper()
	p := w.daemon.program
	var out []string
	seen := map[string]bool{}
	for _, q := range p.engine.Providers {
		all, err := q.Owned(w.t.Context(), p.engine.Runner.Installation)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range all {
			key := q.Name() + " " + string(o.Kind) + " " + o.ID
			if !seen[key] {
				seen[key] = true
				out = append(out, string(o.Kind)+" "+o.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// S28: a refusal for good stops at that step and is taken back in reverse; others are
// not affected; the status says step, the provider's words and what to do; `retry`
// goes on from there once the cause is gone.
func TestS28Permanent(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	var refusing atomic.Bool
	refusing.Store(true)
	w.calls.interfere(func(x call) error {
		if x.Verb == "create" && x.Kind == state.KindDeployment && strings.Contains(x.Name, "demoshop") && refusing.Load() {
			return refuse(provider.Invalid, x, "payment required: the plan allows 3 projects")
		}
		return nil
	}, nil)
	w.start()
	head := w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	v := w.apply()
	r := rowOf(v, "demoshop")
	if r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "payment required: the plan allows 3 projects") || !strings.Contains(r.Next, "reconciler retry demoshop") {
		t.Errorf("demoshop is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	if r := rowOf(v, "bakery"); r.Status != string(state.StatusActive) {
		t.Errorf("bakery is %s", r.Status)
	}
	if got := w.status().Verdict; !strings.HasPrefix(got, "failure") {
		t.Errorf("the verdict of %s is %q", head, got)
	}
	for _, k := range []state.Kind{state.KindSite, state.KindEnvironment, state.KindTraffic, state.KindDomain, state.KindRecord} {
		if got := w.resources("demoshop", k); len(got) > 0 {
			t.Errorf("not taken back: %v", got[0].Ref)
		}
	}
	if db := w.resources("demoshop", state.KindDatabase); len(db) != 1 || !db[0].Retained() {
		t.Errorf("the database is not retained: %+v", db)
	}
	refusing.Store(false)
	w.must(0, "retry", "demoshop")
	w.active("demoshop")
}

// S28 with onFailure: keep: what was made stays, and retry goes on from the failed step.
func TestS28Keep(t *testing.T) {
	w := newWorld(t, nil)
	var refusing atomic.Bool
	refusing.Store(true)
	w.calls.interfere(func(x call) error {
		if x.Verb == "create" && x.Kind == state.KindDeployment && refusing.Load() {
			return refuse(provider.Invalid, x, "no")
		}
		return nil
	}, nil)
	w.start()
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "onFailure: keep")})
	w.apply()
	if got := w.resources("demoshop", state.KindSite); len(got) != 1 {
		t.Fatalf("the site is gone: %v", got)
	}
	refusing.Store(false)
	n := w.calls.len()
	w.must(0, "retry", "demoshop")
	w.active("demoshop")
	for _, c := range w.calls.since(n) {
		if c.Verb == "create" && (c.Kind == state.KindDatabase || c.Kind == state.KindSite || c.Kind == state.KindEnvironment) {
			t.Errorf("made again: %s", c)
		}
	}
}

// A failed update keeps the old version serving, and says so first.
func TestS28FailedUpdateKeepsServing(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: EUR}")})
	w.start()
	w.active("bakery")
	for _, broken := range []string{"settings: {breakBuild: true}", "settings: {breakHealth: true}"} {
		w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}", broken)})
		v := w.apply()
		r := rowOf(v, "bakery")
		if r.Status != string(state.StatusFailed) || !strings.HasPrefix(r.Because, "Your site still runs the old version.") {
			t.Errorf("%s: bakery is %s: %s", broken, r.Status, r.Because)
		}
		if code, page := w.get("bakery.localhost", "/"); code != 200 || !strings.Contains(page, "EUR") {
			t.Errorf("%s: the old version does not serve: %d", broken, code)
		}
	}
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	w.active("bakery")
	if _, page := w.get("bakery.localhost", "/"); !strings.Contains(page, "CHF") {
		t.Error("the mended version does not serve")
	}
}

// S30: a create succeeds and its answer is lost: found and taken over, one object. Each
// kind in turn.
func TestS30LostResponse(t *testing.T) {
	kinds := []state.Kind{state.KindDatabase, state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindAdmin, state.KindTraffic, state.KindDomain, state.KindRecord, state.KindMail}
	clean := func() []string {
		w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
		w.start()
		w.active("demoshop")
		return kindsOf(w.owned())
	}()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
			var once sync.Once
			lost := false
			w.calls.interfere(nil, func(x call) (err error) {
				if x.Verb == "create" && x.Kind == kind {
					once.Do(func() {
						lost = true
						err = refuse(provider.Uncertain, x, "connection reset by peer")
					})
				}
				return err
			})
			w.start()
			w.active("demoshop")
			if !lost {
				t.Fatal("no answer was lost")
			}
			if got := kindsOf(w.owned()); !slices.Equal(got, clean) {
				t.Errorf("objects:\n%v\nwant\n%v", got, clean)
			}
		})
	}
}

func kindsOf(owned []string) []string {
	out := make([]string, len(owned))
	for i, o := range owned {
		out[i], _, _ = strings.Cut(o, " ")
	}
	slices.Sort(out)
	return out
}

// S36: a second daemon on the same state says who holds it and ends with 1.
func TestS36SecondDaemon(t *testing.T) {
	w := newWorld(t, nil)
	w.start()
	var out buffer
	code := w.app(&out, &out).run(t.Context(), []string{"run", "--config", filepath.Join(w.dir, defaultConfigFile)})
	if code != 1 || !strings.Contains(out.String(), fmt.Sprint(os.Getpid())) {
		t.Errorf("exit code %d:\n%s", code, out.String())
	}
}

// S34: a damaged state file stops everything before any provider write, and restore
// brings back an equal state.
func TestS34DamagedState(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	before := w.status().Clients
	backup := filepath.Join(t.TempDir(), "state.backup")
	w.must(0, "backup", backup)
	path := filepath.Join(w.dir, "state.db")
	whole := []byte(readAll(t, path))
	n := w.calls.len()
	for name, damage := range map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:3*4096] },
		"emptied":   func([]byte) []byte { return nil },
		"scribbled": func(b []byte) []byte {
			for i := 0; i < len(b); i += 997 {
				b[i] ^= 0x55
			}
			return b
		},
	} {
		writeAll(t, path, string(damage(slices.Clone(whole))))
		r := w.cli("apply")
		if r.code != 1 || !strings.Contains(r.err, "state") {
			t.Errorf("%s: exit code %d: %s%s", name, r.code, r.out, r.err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if r := w.cli("apply"); r.code != 1 {
		t.Errorf("missing: exit code %d: %s%s", r.code, r.out, r.err)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	w.must(0, "restore", backup, "--replace")
	if v := w.status(); !reflect.DeepEqual(v.Clients, before) || len(v.Notices) != 1 {
		t.Errorf("restored: %+v\nwant %+v", v, before)
	}
	w.active("demoshop")
	if v := w.status(); !reflect.DeepEqual(v.Clients, before) || len(v.Notices) > 0 {
		t.Errorf("compared: %+v\nwant %+v", v, before)
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	if got := w.plan(); len(got.Changes) > 0 {
		t.Errorf("the plan is not empty: %+v", got.Changes)
	}
}

// S34: a key that is gone stops everything, with the way on, and none is made in its
// place: with it, nobody would notice that the state can't be read any more.
func TestS34MissingKey(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	n, key := w.calls.len(), filepath.Join(w.dir, "key")
	text := readAll(t, key)
	for _, state := range []bool{true, false} { // there, and gone too
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		if !state {
			if err := os.Rename(filepath.Join(w.dir, "state.db"), filepath.Join(w.dir, "aside")); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"apply"}, {"status"}} {
			if r := w.must(1, args...); !strings.Contains(r.err, "bring it back") {
				t.Errorf("%v says %s", args, r.err)
			}
		}
		if _, err := os.Stat(key); !os.IsNotExist(err) {
			t.Errorf("a key was made in its place (%v)", err)
		}
		writeAll(t, key, text)
	}
	if err := os.Rename(filepath.Join(w.dir, "aside"), filepath.Join(w.dir, "state.db")); err != nil {
		t.Fatal(err)
	}
	w.active("demoshop")
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// S42 and S54: objects that we did not make are never touched, also when the client
// goes: records of the same name, marked by another installation or not at all.
func TestS42S54NotOurs(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": bare("bakery")})
	w.start()
	w.active("bakery")
	dns := w.daemon.program.dns
	foreign := func(mark provider.Mark, typ, name, content string) provider.Object {
		o, err := dns.Create(t.Context(), provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: state.KindRecord, Name: typ + " " + name}, Name: typ + " " + name, Mark: mark,
			Inputs: []provider.Input{{Name: "content", Text: content}, {Name: "name", Text: name}, {Name: "ttl", Text: "300"}, {Name: "type", Text: typ}}})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	others := []provider.Object{
		foreign(provider.Mark{}, "TXT", "demoshop.localhost", "not ours"),
		foreign(provider.Mark{}, "A", "other.localhost", "127.0.0.9"),
		foreign(provider.Mark{Installation: "ffffffff", Client: "demoshop-ffffff", Generation: 1}, "TXT", "demoshop.localhost", "another installation's"),
	}
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	if r := rowOf(w.apply(), "demoshop"); r.Status != string(state.StatusRetained) {
		t.Fatalf("demoshop is %s: %s", r.Status, r.Because)
	}
	for _, o := range others {
		now, err := dns.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: o.ID})
		if err != nil || len(now) != 1 || fmt.Sprintf("%+v", now[0]) != fmt.Sprintf("%+v", o) {
			t.Errorf("%s became %+v (%v)", o.ID, now, err)
		}
	}
}

// Ownership: a different unmarked record in the way is a conflict for a person, and
// an equal one is used, never changed and never deleted.
func TestRuleOwnership(t *testing.T) {
	w := newWorld(t, nil)
	w.start()
	dns := w.daemon.program.dns
	put := func(name, content string) provider.Object {
		o, err := dns.Create(t.Context(), provider.Wish{Ref: state.Ref{Kind: state.KindRecord, Name: "A " + name}, Name: "A " + name,
			Inputs: []provider.Input{{Name: "content", Text: content}, {Name: "name", Text: name}, {Name: "ttl", Text: "300"}, {Name: "type", Text: "A"}}})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	equal, other := put("equal.localhost", "127.0.0.1"), put("other.localhost", "127.0.0.9")
	w.commit(map[string]string{"clients/equal.yaml": manifestOf("equal"), "clients/other.yaml": manifestOf("other")})
	v := w.apply()
	if r := rowOf(v, "equal"); r.Status != string(state.StatusActive) {
		t.Errorf("equal is %s: %s", r.Status, r.Because)
	}
	if r := rowOf(v, "other"); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "without our mark") {
		t.Errorf("other is %s: %s", r.Status, r.Because)
	}
	w.commit(map[string]string{"clients/equal.yaml": ""})
	w.apply()
	for _, o := range []provider.Object{equal, other} {
		now, err := dns.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: o.ID})
		if err != nil || len(now) != 1 || fmt.Sprintf("%+v", now[0]) != fmt.Sprintf("%+v", o) {
			t.Errorf("%s became %+v (%v)", o.ID, now, err)
		}
	}
}
