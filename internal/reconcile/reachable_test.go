package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// A vendor goes down in the middle of a write, and tells nobody what became of it for hours. What that client asks of
// others goes on: another host, its DNS, its removal. Once the vendor answers, what is left there goes, and nothing is twice.
func TestP6AnUncertainWriteHoldsItsVendorOnly(t *testing.T) {
	for _, how := range []struct {
		name string
		kind state.Kind
		op   memory.Verb
		said error
		anew bool // the client is new
	}{
		{"an update of traffic, 503", state.KindTraffic, memory.Update, memory.Fail(provider.Transient, "503"), false},
		{"an update of traffic, the token is refused", state.KindTraffic, memory.Update, memory.Fail(provider.Denied, "401"), false},
		{"a release", state.KindDeployment, memory.Create, memory.Fail(provider.Transient, "503"), false},
		{"a new site", state.KindSite, memory.Create, memory.Fail(provider.Transient, "503"), true},
		{"the environment", state.KindEnvironment, memory.Update, memory.Fail(provider.Transient, "503"), false},
	} {
		for _, next := range []struct{ name, file string }{
			{"another host", client("a", "env: {COLOUR: green}", "deployment: {provider: ploi}")},
			{"a record", client("a", "env: {COLOUR: red}", "dns: {records: [{type: TXT, name: note, content: hello}]}")},
			{"removed", ""},
			{"back", client("a")},
		} {
			t.Run(how.name+", then "+next.name, func(t *testing.T) {
				v, w := newVendorsWith(t)
				w.apply(map[string]string{"clients/b.yaml": client("b")})
				if !how.anew {
					w.apply(map[string]string{"clients/a.yaml": client("a")})
				}
				v.faults.Do(memory.After, memory.Is(how.op, how.kind), 1, func(context.Context, memory.Call) error {
					v.world.Down("vercel", how.said)
					return memory.Lost()
				})
				w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
				if r := w.row("a"); !strings.Contains(r.Because, "uncertain write") && !strings.Contains(r.Because, "waiting for vercel") {
					t.Fatalf("a is %s: %s", r.Status, r.Because)
				}
				w.apply(map[string]string{"clients/a.yaml": next.file})
				id := w.id("a")
				switch next.name {
				case "another host":
					if d, up := v.world.Serves("a.agency.example"); !up || !strings.Contains(d, "ploi") || v.colour("a.agency.example") != "green" {
						t.Errorf("%q serves: %s", d, w.row("a").Because)
					}
				case "a record":
					if v.record("TXT", "note.a.agency.example") == "" {
						t.Errorf("the record is not there: %s", w.row("a").Because)
					}
				case "removed":
					if v.record("A", "a.agency.example") != "" {
						t.Errorf("DNS leads there still: %s", w.row("a").Because)
					}
				}
				if r := w.detail("a"); !strings.Contains(r.Because, "vercel") || r.RetryAt.IsZero() {
					t.Errorf("a is %s: %q, to be tried at %v", r.Status, r.Because, r.RetryAt)
				}
				v.world.Down("vercel", nil)
				for range 20 {
					w.clock.add(10 * time.Minute)
					w.pass(id)
				}
				switch next.name {
				case "another host", "removed":
					for _, o := range v.world.Objects("vercel") {
						if o.Mark.Client == id {
							t.Errorf("%s %s is left at vercel", o.Kind, o.Name)
						}
					}
				case "a record":
					if v.colour("a.agency.example") != "red" {
						t.Errorf("a serves the %s version", v.colour("a.agency.example"))
					}
				case "back":
					if c := v.colour("a.agency.example"); c == "red" {
						t.Errorf("a serves the %s version", c)
					}
				}
				if r := w.row("a"); next.file != "" && (r.Status != string(state.StatusActive) || w.preview(nil).Failed()) {
					t.Errorf("in the end a is %s: %s", r.Status, r.Because)
				}
				if open := w.openIntents(); len(open) > 0 {
					t.Errorf("open are %v", open)
				}
			})
		}
	}
}

// silence is a client of whose release at vercel nobody knows what became of it, as vercel went down.
func silence(t *testing.T, was, is string) (*vendors, *world) {
	t.Helper()
	v, w := newVendorsWith(t)
	w.apply(map[string]string{"clients/a.yaml": was, "clients/b.yaml": client("b")})
	v.faults.Do(memory.After, memory.Is(memory.Create, state.KindDeployment), 1, func(context.Context, memory.Call) error {
		v.world.Down("vercel", memory.Fail(provider.Transient, "503"))
		return memory.Lost()
	})
	w.apply(map[string]string{"clients/a.yaml": is})
	if len(w.openIntents()) != 1 {
		t.Fatalf("open are %v", w.openIntents())
	}
	return v, w
}

// What failed at the other host is not put back before it is known what became of the write: of two writes a later
// one could come first.
func TestP6WhatFailsBesideAnUncertainWriteIsPutBackAfterIt(t *testing.T) {
	v, w := silence(t, client("a"), client("a", "env: {COLOUR: red}"))
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return c.Provider == "ploi" && c.Verb == memory.Create && c.Kind == state.KindDeployment
	}, 0,
		memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: green}", "deployment: {provider: ploi}")})
	if r := w.detail("a"); !strings.Contains(r.Because, "taking back waits until it is known") || r.RetryAt.IsZero() {
		t.Errorf("a is %s: %s", r.Status, r.Because)
	}
	v.world.Down("vercel", nil)
	for range 20 {
		w.clock.add(10 * time.Minute)
		w.pass(w.id("a"))
	}
	if r := w.row("a"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "the build is broken") || len(w.openIntents()) > 0 {
		t.Errorf("a is %s: %s; open are %v", r.Status, r.Because, w.openIntents())
	}
	if d, up := v.world.Serves("a.agency.example"); !up || !strings.Contains(d, "vercel") {
		t.Errorf("%q serves", d)
	}
}

// Of what goes on beside it something waits for a person, and the write is looked into all the same.
func TestP6AnUncertainWriteIsLookedIntoWhileAPersonIsAsked(t *testing.T) {
	mail := "dns: {records: [{type: MX, name: \"@\", content: mx.mail.example, priority: 10}]}"
	v, w := silence(t, client("a", mail), client("a", mail, "env: {COLOUR: red}"))
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}", "dns: {records: [{type: TXT, name: note, content: hello}]}")})
	if r := w.detail("a"); r.Status != string(state.StatusHeld) || r.RetryAt.IsZero() || v.record("TXT", "note.a.agency.example") == "" {
		t.Errorf("a is %s: %s, to be tried at %v", r.Status, r.Because, r.RetryAt)
	}
}

// The vendor answers again right after it was asked in vain: nothing is sent to it before it is known what became of the
// write. What comes late would take the place of what was sent since.
func TestP6NothingIsSentBesideAnUncertainWriteToItsVendor(t *testing.T) {
	v, w := silence(t, client("a"), client("a", "env: {COLOUR: red}"))
	v.world.Down("vercel", nil)
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Provider == "vercel" }, 1, memory.Fail(provider.Transient, "503"))
	v.faults.Do(memory.Before, func(c memory.Call) bool {
		return c.Provider == "vercel" && (c.Verb == memory.Create || c.Verb == memory.Update || c.Verb == memory.Delete)
	}, 0, func(_ context.Context, c memory.Call) error {
		if open := w.openIntents(); len(open) != 1 || open[0].Name != c.Name {
			t.Errorf("%s %s is sent while open are %v", c.Verb, c.Name, open)
		}
		return nil
	})
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: green}", "dns: {records: [{type: TXT, name: note, content: hello}]}")})
	for range 20 {
		w.clock.add(10 * time.Minute)
		w.pass(w.id("a"))
	}
	if r := w.row("a"); r.Status != string(state.StatusActive) || v.colour("a.agency.example") != "green" {
		t.Errorf("a is %s: %s", r.Status, r.Because)
	}
}

// Two clients swap their names; of a write of one nobody knows what became of it, and the other fails. Nothing of either is put
// back before that is known.
func TestS24SwapThatFailsBesideAnUncertainWriteWaitsForIt(t *testing.T) {
	v, w := newVendors(t)
	alias := "aliases: [www.cakes.example]"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes", alias)})
	hosts, before := v.swapping()
	www := func(verb memory.Verb) func(memory.Call) bool {
		return func(c memory.Call) bool { return c.Verb == verb && strings.HasPrefix(c.Name, "www.cakes.example") }
	}
	id := ""
	v.faults.Do(memory.After, www(memory.Update), 1, func(_ context.Context, c memory.Call) error { id = c.ID; return memory.Lost() })
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return id != "" && c.Verb == memory.Observe && (c.ID == id || www(memory.Observe)(c))
	}, 0, memory.Fail(provider.Transient, "503"))
	w.engine.Check = func(_ context.Context, url string, _ manifest.Health) error {
		if strings.Contains(url, hosts[1]) { // bakery's new name
			return errors.New("it answers 500")
		}
		return nil
	}
	ids := w.push(swapped("", alias))
	w.pass(ids...)
	if open := w.openIntents(); len(open) != 1 {
		t.Fatalf("open are %v", open)
	}
	if r := w.row("bakery"); !strings.Contains(r.Because, "taking back waits until it is known") {
		t.Errorf("bakery is %s: %s", r.Status, r.Because)
	}
	v.faults.Clear()
	for range 20 {
		w.clock.add(10 * time.Minute)
		w.pass(ids...)
	}
	for i, name := range []string{"bakery", "cakes"} {
		w.want(name, state.StatusFailed)
		if now, _ := v.world.Serves(hosts[i]); now != before[i] {
			t.Errorf("%s is served by %q, and was by %q", hosts[i], now, before[i])
		}
	}
}
