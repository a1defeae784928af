package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// configured starts the program with all providers but those named, and passes whoever is due.
func (w *world) configured(all []provider.Provider, but ...string) {
	w.t.Helper()
	w.all = slices.DeleteFunc(slices.Clone(all), func(p provider.Provider) bool { return slices.Contains(but, p.Name()) })
	w.pass(w.due()...)
	w.pass(w.poll()...)
}

// A client whose provider is not configured is told to add its block to the configuration. Once that was done,
// and the program started again, it goes on: nobody has to say `retry` of each client.
func TestRuleWhoLacksAProviderGoesOnOnceItIsConfigured(t *testing.T) {
	for _, name := range []string{"railway", "vercel", "cloudflare"} {
		v, w := newVendors(t)
		all := w.all
		w.configured(all, name)
		w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
		r := w.want("a", state.StatusFailed)
		if !strings.Contains(r.Next, "add the block providers."+name+" to reconciler.yaml") {
			t.Fatalf("it says %q", r.Next)
		}
		for range 2 { // nothing changed
			told := len(w.detail("a").History)
			w.configured(all, name)
			if n := len(w.detail("a").History); n != told || w.want("a", state.StatusFailed).Because != r.Because {
				t.Errorf("a start that changes nothing is told: %d entries, then %d", told, n)
			}
		}
		w.configured(all)
		w.want("a", state.StatusActive)
		w.want("b", state.StatusActive)
		if _, up := v.world.Serves("a.agency.example"); !up {
			t.Error("a is not served")
		}
	}
}

// Two clients are to swap their names, and what the next commit wishes of one of them can't be: both have their own again. That its old version
// runs it is told, also once it was tried again, which is over before anything of it is done.
func TestRuleThatTheOldVersionRunsIsSaidAgain(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "A cakes.agency.example" }, 0, memory.Fail(provider.Denied, "the token was revoked"))
	if _, err := w.engine.Pass(t.Context(), w.push(swapped("", ""))[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	v.faults.Clear()
	w.apply(swapped("env: {KEY: {secret: shared/key}}", ""))
	for range 3 {
		if r := w.want("bakery", state.StatusFailed); !strings.HasPrefix(r.Because, "Your site still runs the old version. KEY needs the secret") {
			t.Errorf("it says %q", r.Because)
		}
		v.serves(w, "bakery.agency.example", "bakery")
		id, err := w.engine.Retry("bakery", "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(id)
	}
	_, ids, err := w.engine.SetSecret("", "key", state.NewSecret("very-secret"), w.keys.Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	if r := w.want("bakery", state.StatusActive); r.Because != "" {
		t.Errorf("in the end it says %q", r.Because)
	}
}

// P1, P6: a commit takes a name and a record away while their provider is not configured. They go once it is, and
// whoever gets the name has it.
func TestP1WhatIsLetGoWhileItsProviderIsNotConfiguredGoes(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/b.yaml": client("b"),
		"clients/a.yaml": client("a", "aliases: [shop.example]", "dns: {records: [{type: TXT, name: note, content: hello}]}")})
	w.want("a", state.StatusActive)
	all := w.all
	w.configured(all, "cloudflare")
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusFailed)
	w.configured(all)
	w.want("a", state.StatusActive)
	for _, o := range v.world.Objects("cloudflare") {
		if strings.Contains(o.Name, "shop.example") || strings.Contains(o.Name, "note") {
			t.Errorf("%s is there still", o.Name)
		}
	}
	w.apply(map[string]string{"clients/b.yaml": client("b", "aliases: [shop.example]")})
	if r := w.row("b"); r.Status != string(state.StatusActive) || v.servedBy("shop.example") != w.id("b") {
		t.Errorf("b is %s: %s", r.Status, r.Because)
	}
}

// The same where the manifest turns away from the provider that is not configured: the site serves, and what is left
// there is waited for, and said.
func TestP1WhatIsLeftAtAProviderThatIsNotConfiguredIsSaid(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "dns: {records: [{type: TXT, name: note, content: hello}]}")})
	all := w.all
	w.configured(all, "cloudflare")
	w.apply(map[string]string{"clients/a.yaml": client("a", "dns: {provider: none}", "env: {COLOUR: red}")})
	if r := w.row("a"); !strings.Contains(r.Because, "configure providers.cloudflare") || v.colour("a.agency.example") != "red" {
		t.Errorf("a is %s: %s; it serves the %s version", r.Status, r.Because, v.colour("a.agency.example"))
	}
	w.configured(all)
	id, err := w.engine.Retry("a", "dana") // as it says
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	if left := v.world.Objects("cloudflare"); len(left) > 0 {
		t.Errorf("there is still %v", left)
	}
}

// The account at a host is closed in the middle of a write, and nobody can look into what became of that. Its block is
// taken out of the configuration, and the client goes to another host, or goes: neither waits for the host that is not there. Once
// that is, after all, what is left there goes, and nothing is there twice.
func TestP6AWriteAtAProviderThatIsGoneHoldsNothingElse(t *testing.T) {
	for _, to := range []string{client("a", "deployment: {provider: ploi}", "env: {COLOUR: red}"), ""} {
		v, w := newVendorsWith(t)
		w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
		closed := memory.Fail(provider.Denied, "the account is closed")
		v.faults.Do(memory.After, memory.Is(memory.Update, state.KindTraffic), 1, func(context.Context, memory.Call) error {
			v.world.Down("vercel", closed)
			return memory.Lost()
		})
		w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: green}")})
		all := w.all
		w.configured(all, "vercel")
		w.apply(map[string]string{"clients/a.yaml": to})
		if to != "" {
			if d, up := v.world.Serves("a.agency.example"); !up || !strings.Contains(d, "ploi") || v.colour("a.agency.example") != "red" {
				t.Errorf("%q serves a: %s", d, w.row("a").Because)
			}
		}
		for _, o := range v.world.Objects("cloudflare") {
			if to == "" && o.Name == "A a.agency.example" {
				t.Errorf("%s leads people to a host that is gone: %s", o.Name, w.row("a").Because)
			}
		}
		if r := w.row("a"); !strings.Contains(r.Because, "configure providers.vercel") {
			t.Errorf("of what is left there it says %q", r.Because)
		}
		v.world.Down("vercel", nil)
		w.configured(all)
		id, err := w.engine.Retry("a", "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(id)
		for _, o := range v.world.Objects("vercel") {
			if o.Mark.Client == id {
				t.Errorf("%s %s is left", o.Kind, o.Name)
			}
		}
		if r := w.row("a"); r.Because != "" && to != "" || w.preview(nil).Failed() {
			t.Errorf("in the end a is %s: %s", r.Status, r.Because)
		}
	}
}
