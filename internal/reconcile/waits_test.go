package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// S31: a commit whose change can't be looked at says whom it waits for, in the client's
// words and in those of the commit, and no longer once that is over, or a newer commit came.
func TestS31WaitsForAProvider(t *testing.T) {
	v, w := newVendors(t)
	reports := func(commit string) (texts []string) {
		t.Helper()
		if err := w.engine.Store.View(func(tx store.Tx) error {
			all, err := store.Reports(tx)
			for _, r := range all {
				if r.Subject == "commit/"+commit || r.Subject == "commit/"+commit+"/client/a" {
					texts = append(texts, r.State+" "+r.Text)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return texts
	}
	waits := func() (client, commit string) {
		t.Helper()
		_ = w.engine.Store.View(func(tx store.Tx) error {
			c, _, err := store.ClientByName(tx, "a")
			if err != nil {
				t.Fatal(err)
			}
			verdict, _, err := store.VerdictHead(tx, c.Commit)
			if err != nil {
				t.Fatal(err)
			}
			client, commit = c.Waits, verdict.Waits
			return nil
		})
		return client, commit
	}
	record := func(text string) map[string]string {
		return map[string]string{"clients/a.yaml": client("a", `dns: {records: [{type: TXT, name: hello, content: "`+text+`"}]}`)}
	}
	w.apply(record("one"))
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Provider == "cloudflare" }, 0, memory.Fail(provider.Transient, "503 service unavailable"))
	w.pass(w.push(record("two"))...)
	if r := w.row("a"); !strings.HasPrefix(r.Because, "waiting for cloudflare: ") || !strings.Contains(r.Because, "503 service unavailable") {
		t.Errorf("a: %q", r.Because)
	}
	if c, head := waits(); c != "cloudflare" || head != "cloudflare" {
		t.Errorf("the client waits for %q, the commit for %q", c, head)
	}
	second := w.row("a").Commit
	told := reports(second)
	if last := told[len(told)-1]; last != "pending a pending; waiting for cloudflare" {
		t.Errorf("told: %q", told)
	}
	w.clock.add(time.Hour)
	w.pass(w.due()...)
	if again := reports(second); len(again) != len(told) {
		t.Errorf("told again: %q", again)
	}
	ids := w.push(record("three")) // a newer wish: it was not told yet that it waits
	if c, head := waits(); c != "" || head != "" {
		t.Errorf("before its first pass the client waits for %q, the commit for %q", c, head)
	}
	w.pass(ids...)
	if c, head := waits(); c != "cloudflare" || head != "cloudflare" {
		t.Errorf("the newer one: the client waits for %q, the commit for %q", c, head)
	}
	v.faults.Clear()
	w.clock.add(time.Hour)
	w.pass(w.due()...)
	w.want("a", state.StatusActive)
	if c, head := waits(); c != "" || head != "" {
		t.Errorf("at the end the client waits for %q, the commit for %q", c, head)
	}
	if told := reports(w.row("a").Commit); told[len(told)-1] != "success a succeeded" {
		t.Errorf("told: %q", told)
	}
}

// A host that gets a certificate once DNS leads there says so of a name whose record a person sets. What is
// told names the record while it is not set, or leads elsewhere, as where it is asked for first; asks nobody
// for what is done; and says so where nobody can know. Nothing else changes: it goes on by itself.
func TestWhatDNSHasYetToLeadIsToldByItsRecord(t *testing.T) {
	v, zone, away := &vendors{faults: &memory.Faults{}}, map[string][]string{}, false
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		all := v.twoHosts(c)
		late := memory.Change(memory.Hosting(), func(k state.Kind, t *provider.Traits) { t.AfterDNS = k == state.KindDomain })
		all[2] = memory.New(memory.Options{Name: "ploi", World: v.world, Kinds: late, Fault: v.faults.Hook, Sleep: c.Sleep, Address: "203.0.113.8"})
		return append(all, external.Providers(external.Options{Lookup: func(_ context.Context, kind, name string) ([]string, error) {
			if away {
				return nil, errAway
			}
			return zone[kind+" "+name], nil
		}})...)
	})
	const record, ask = "A a.agency.example", "Set the record A a.agency.example → 203.0.113.8 at your DNS host"
	says := func(when, because, next string) {
		t.Helper()
		w.clock.add(time.Hour)
		w.pass(w.due()...)
		if r := w.want("a", state.StatusProvisioning); r.Because != because || (next == "") != (r.Next == "") || !strings.Contains(r.Next, next) {
			t.Errorf("%s, it says %q; %q", when, r.Because, r.Next)
		}
	}
	const byItself = "it goes on by itself once it is seen"
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}", "dns: {provider: external}")})
	says("nobody has set it", "waiting for a person: "+ask, byItself)
	zone[record] = []string{"203.0.113.8"}
	const late = "waiting: A a.agency.example is set as wished, and that may take a while to be seen; ploi says: DNS does not lead here yet"
	says("it is set, and the host does not see it", late, "")
	zone[record] = nil
	says("its owner took it away", "waiting for a person: "+ask, byItself)
	told := 0
	for _, h := range w.detail("a").History {
		if h.What == "waits" && h.Text == "waiting for a person: "+ask {
			told++
		}
	}
	if told != 2 {
		t.Errorf("the history tells %d times that a person is asked", told)
	}
	zone[record] = []string{"192.0.2.1"}
	says("it leads elsewhere", "waiting for a person: "+ask+"; now it is 192.0.2.1", byItself)
	away = true
	says("DNS can't be asked", "waiting: whether A a.agency.example is set as wished can't be seen now (external: DNS could not be asked), and ploi says: DNS does not lead here yet", "")
	away, zone[record] = false, []string{"203.0.113.8"}
	says("it is set again", late, "")
	ids := w.push(map[string]string{"clients/b.yaml": client("b", "deployment: {provider: ploi}", "dns: {provider: none}"), "clients/c.yaml": client("c", "deployment: {provider: ploi}")})
	v.faults.Do(memory.After, memory.Is(memory.Create, state.KindRecord), 1, func(context.Context, memory.Call) error {
		for _, o := range v.world.Objects("cloudflare") {
			v.world.Remove(o.ID)
		}
		return nil
	})
	w.pass(ids...)
	for name, because := range map[string]string{
		"b": "waiting: no record of b.agency.example is set from here: whoever keeps its DNS leads it there; ploi says: DNS does not lead here yet",
		"c": "waiting: A c.agency.example was set at cloudflare, and that may take a while to be seen; ploi says: DNS does not lead here yet",
	} {
		if r := w.row(name); r.Because != because {
			t.Errorf("%s says %q", name, r.Because)
		}
	}
	v.world.Seed(outside, provider.Object{Kind: state.KindRecord, Name: record, Attributes: []provider.Input{
		{Name: "type", Text: "A"}, {Name: "name", Text: "a.agency.example"}, {Name: "content", Text: "203.0.113.8"}}})
	w.clock.add(time.Hour)
	w.pass(w.due()...)
	if r := w.want("a", state.StatusActive); r.Because != "" || r.Next != "" {
		t.Errorf("in the end it says %q; %q", r.Because, r.Next)
	}
}
