package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
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
