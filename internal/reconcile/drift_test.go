package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

const (
	heal   = "drift: {fields: [{field: record.content, policy: heal}]}"
	ownA   = `dns: {records: [{type: A, name: mail, content: 192.0.2.1}, {type: MX, name: "@", content: mx.example, priority: 10}]}`
	mailAt = "mail.shop.agency.example"
)

// look is one scheduled run of looks, an hour after the last, and the passes that it
// makes due.
func (w *world) look() reconcile.Looks {
	w.t.Helper()
	w.clock.add(time.Hour)
	v, err := w.engine.Look(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range v.Due {
		if _, err := w.engine.Pass(w.t.Context(), id, reconcile.CauseDrift); err != nil {
			w.t.Fatal(err)
		}
	}
	return v
}

// record is the id of the record that a name has.
func (v *vendors) record(kind, name string) string {
	for _, o := range v.world.Objects("cloudflare") {
		if o.Kind == state.KindRecord && get(o, "name") == name && get(o, "type") == kind {
			return o.ID
		}
	}
	return ""
}

func get(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Reveal()
		}
	}
	return ""
}

func (v *vendors) content(id string) string {
	o, _ := v.world.Object(id)
	return get(o, "content")
}

// of is the id of the one object of a kind.
func (v *vendors) of(k state.Kind) string {
	for _, o := range v.world.Objects("") {
		if o.Kind == k {
			return o.ID
		}
	}
	return ""
}

// reports are those of a client's drift that are in the outbox.
func (w *world) reports(name string) []state.Report {
	w.t.Helper()
	var out []state.Report
	w.view(func(tx store.Tx) error {
		all, err := store.Reports(tx)
		for _, r := range all {
			if r.Subject == "client/"+name+"/drift" {
				out = append(out, r)
			}
		}
		return err
	})
	return out
}

func (w *world) view(f func(store.Tx) error) {
	w.t.Helper()
	if err := w.store.View(f); err != nil {
		w.t.Fatal(err)
	}
}

// the is the only row of a client's drift.
func (w *world) the(name string) reconcile.DriftRow {
	w.t.Helper()
	rows := w.detail(name).DriftRows
	if len(rows) != 1 {
		w.t.Fatalf("%d rows of drift: %+v", len(rows), rows)
	}
	return rows[0]
}

// S41: found by the schedule, reported once with field, before and after; put back after
// two equal looks where the policy says so, by a pass of its own that writes nothing else.
func TestS41PutBackAfterTwoEqualLooks(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	deployed := w.want("shop", state.StatusActive).LastDeployedAt
	if l := w.look(); l.Seen != 1 || len(l.New)+len(l.Due) > 0 || !w.row("shop").LastLook.Equal(w.clock.Now()) {
		t.Fatalf("a look at what is as recorded: %+v", l)
	}
	id := v.record("A", mailAt)
	v.world.Set(id, "content", "198.51.100.9")
	v.world.ForgetCalls()

	l := w.look()
	row := w.the("shop")
	if len(l.New) != 1 || row.Field != "content" || row.Before != "192.0.2.1" || row.After != "198.51.100.9" || row.Policy != "heal" || row.Looks != 1 || !row.Since.Equal(w.clock.Now()) {
		t.Fatalf("the first look: %+v of %+v", row, l)
	}
	if got := w.row("shop").Drift; len(got) != 1 || got[0] != "record A "+mailAt+" content" {
		t.Errorf("status says %v", got)
	}
	if r := w.reports("shop"); len(r) != 1 || r[0].State != "pending" || !strings.Contains(r[0].Text, "198.51.100.9") || !strings.Contains(r[0].Text, "192.0.2.1") {
		t.Errorf("reports: %+v", r)
	}
	if got := v.writes(); len(got) > 0 || v.content(id) != "198.51.100.9" {
		t.Fatalf("one look wrote %v", got)
	}

	if l = w.look(); len(l.Due) != 1 || len(l.New) > 0 {
		t.Fatalf("the second look: %+v", l)
	}
	if got := v.writes(); len(got) != 1 || !strings.Contains(got[0], "cloudflare update record") || v.content(id) != "192.0.2.1" {
		t.Fatalf("it wrote %v, and it says %s", got, v.content(id))
	}
	d := w.detail("shop")
	if d.Status != "active" || len(d.DriftRows) > 0 || len(d.Drift) > 0 || d.Last.Cause != "drift" || d.Last.State != "succeeded" || !d.LastDeployedAt.Equal(deployed) {
		t.Errorf("afterwards: %+v, last pass %+v", d.Row, d.Last)
	}
	if len(d.Last.Steps) != 2 || d.Last.Steps[0].Action != "update" {
		t.Errorf("the pass: %+v", d.Last.Steps)
	}
	if r := w.reports("shop"); len(r) != 2 || r[1].State != "success" {
		t.Errorf("reports: %+v", r)
	}
	v.world.ForgetCalls()
	if l = w.look(); l.Seen != 1 || len(l.Due)+len(l.New) > 0 || len(v.writes()) > 0 {
		t.Errorf("after it was put back: %+v", l)
	}
}

// The address record follows another object: it is compared with what that gives.
func TestS41AddressRecordIsSeenAndPutBack(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal)})
	id := v.record("A", "shop.agency.example")
	v.world.Set(id, "content", "198.51.100.9")
	w.look()
	w.look()
	if got := v.content(id); got != "203.0.113.7" {
		t.Errorf("it leads to %s", got)
	}
}

// Two looks count only where they found the same; and looks survive a restart.
func TestS41AnotherValueBeginsAnewAndRestartsKeepLooks(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	id := v.record("A", mailAt)
	v.world.Set(id, "content", "198.51.100.1")
	w.look()
	v.world.Set(id, "content", "198.51.100.2")
	if l := w.look(); len(l.Due) > 0 || len(l.New) != 1 || w.the("shop").Looks != 1 {
		t.Fatalf("another value: %+v %+v", l, w.the("shop"))
	}
	if due := w.restart(); len(due) > 0 {
		t.Errorf("due after a restart: %v", due)
	}
	if _, err := w.engine.Drift(t.Context(), nil); err != nil { // no look of the schedule
		t.Fatal(err)
	}
	if got := w.the("shop").Looks; got != 1 {
		t.Fatalf("a look by hand counts: %d", got)
	}
	w.look()
	if got := v.content(id); got != "192.0.2.1" {
		t.Errorf("it is not put back: %s", got)
	}
}

// dueForAMend is a client whose record, by its id, a person changed, as two looks saw: its next pass puts it back.
func dueForAMend(t *testing.T) (v *vendors, w *world, id string, shop state.ClientID) {
	t.Helper()
	v, w = newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	id = v.record("A", mailAt)
	v.world.Set(id, "content", "198.51.100.1")
	w.look()
	w.clock.add(time.Hour)
	l, err := w.engine.Look(t.Context())
	if err != nil || len(l.Due) != 1 {
		t.Fatal(l, err)
	}
	return v, w, id, l.Due[0]
}

// The value is looked at once more right before it is put back: what is another by then
// waits for two equal looks of its own.
func TestS41ChangedBetweenLookAndMend(t *testing.T) {
	v, w, id, shop := dueForAMend(t)
	v.world.Set(id, "content", "198.51.100.2")
	v.world.ForgetCalls()
	if _, err := w.engine.Pass(t.Context(), shop, reconcile.CauseDrift); err != nil {
		t.Fatal(err)
	}
	if got := v.writes(); len(got) > 0 || w.row("shop").Status != "active" {
		t.Errorf("writes %v, %s", got, w.row("shop").Status)
	}
	v.world.Set(id, "content", "192.0.2.1") // somebody put it back
	w.look()
	if rows := w.detail("shop").DriftRows; len(rows) > 0 || len(v.writes()) > 0 {
		t.Errorf("%+v, %v", rows, v.writes())
	}
	if r := w.reports("shop"); r[len(r)-1].State != "success" {
		t.Errorf("its end is not told: %+v", r)
	}
}

// A provider that is away right before a mend shows nothing: nothing is written, and the next
// looks find what is left.
func TestS41LookThatFailsBeforeAMend(t *testing.T) {
	v, w, id, shop := dueForAMend(t)
	v.world.ForgetCalls()
	v.world.Down("cloudflare", memory.Fail(provider.Transient, "503 service unavailable"))
	if _, err := w.engine.Pass(t.Context(), shop, reconcile.CauseDrift); err != nil {
		t.Fatal(err)
	}
	v.world.Down("cloudflare", nil)
	if got := v.writes(); len(got) > 0 || w.row("shop").Status != "active" || v.content(id) != "198.51.100.1" {
		t.Errorf("writes %v, %s", got, w.row("shop").Status)
	}
	w.look()
	if got := v.content(id); got != "192.0.2.1" {
		t.Errorf("it is not put back: %s", got)
	}
}

// The safe default: drift is reported, once, and left; a retry puts it back.
func TestS41ReportIsTheDefault(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", ownA)})
	id := v.record("A", mailAt)
	v.world.Set(id, "content", "198.51.100.9")
	v.world.ForgetCalls()
	for range 4 {
		w.look()
	}
	if row := w.the("shop"); row.Policy != "report" || row.Looks != 4 || len(v.writes()) > 0 {
		t.Errorf("%+v, writes %v", row, v.writes())
	}
	if r := w.reports("shop"); len(r) != 1 || r[0].State != "failure" || !strings.Contains(r[0].Detail, "reconciler retry shop") {
		t.Errorf("reports: %+v", r)
	}
	told := 0
	for _, h := range w.detail("shop").History {
		if h.What == "drift" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the history says it %d times", told)
	}
	who, err := w.engine.Retry("shop", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(who)
	if got := v.content(id); got != "192.0.2.1" || len(w.detail("shop").DriftRows) > 0 {
		t.Errorf("after a retry it says %s: %+v", got, w.detail("shop").DriftRows)
	}
}

// A retry puts back what was changed also where its vendor does not answer just then: it looks again, whether something
// else was to be put back or not. Until then the client is what it is, and says what could not be seen.
func TestS41RetryLooksAgainAtWhatItCouldNotSee(t *testing.T) {
	for name, more := range map[string]bool{"nothing else": false, "and something else": true} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop", ownA)})
			id := v.record("A", mailAt)
			v.world.Set(id, "content", "198.51.100.9")
			if more {
				v.world.Set(v.of(state.KindSite), "label", "other")
			}
			w.look()
			v.world.Down("cloudflare", memory.Fail(provider.Transient, "503 service unavailable"))
			who, err := w.engine.Retry("shop", "dana")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				w.pass(who)
				d := w.detail("shop")
				if d.Status != "active" || !strings.Contains(d.Because, "503 service unavailable") || !d.RetryAt.After(w.clock.Now()) {
					t.Fatalf("it can't be seen: %s, %q, again at %s", d.Status, d.Because, d.RetryAt)
				}
				w.clock.add(d.RetryAt.Sub(w.clock.Now()))
			}
			if o, _ := v.world.Object(v.of(state.KindSite)); attribute(o, "label") != "shop" {
				t.Errorf("the site is called %q", attribute(o, "label"))
			}
			v.world.Down("cloudflare", nil)
			w.pass(who)
			if got := v.content(id); got != "192.0.2.1" || len(w.detail("shop").DriftRows) > 0 {
				t.Errorf("it can be seen, and says %s: %+v", got, w.detail("shop").DriftRows)
			}
			if d := w.detail("shop"); d.Status != "active" || d.Because != "" || !d.RetryAt.IsZero() {
				t.Errorf("then: %s, %q, again at %s", d.Status, d.Because, d.RetryAt)
			}
		})
	}
}

// An ignore leaves the field to whoever changed it, also in other passes, until its last
// day; then it is reported, and says so.
func TestS41IgnoreEnds(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", ownA, "drift: {default: heal, fields: [{field: record.content, policy: ignore, reason: moving mail, until: 2026-11-25}]}")})
	id := v.record("A", mailAt)
	v.world.Set(id, "content", "198.51.100.9")
	for range 3 {
		w.look()
	}
	if row := w.the("shop"); row.Policy != "ignore" || row.Reason != "moving mail" || row.Until != "2026-11-25" || len(w.row("shop").Drift) > 0 || len(w.reports("shop")) > 0 {
		t.Errorf("%+v, told %+v", row, w.reports("shop"))
	}
	who, err := w.engine.Retry("shop", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(who)
	if got := v.content(id); got != "198.51.100.9" || w.row("shop").Status != "active" {
		t.Errorf("a retry put back what is ignored: %s", got)
	}
	w.clock.add(48 * time.Hour)
	l := w.look()
	row := w.the("shop")
	if row.Policy != "report" || !strings.Contains(row.Next, "the ignore ended on 2026-11-25") || len(l.New) != 1 || len(w.reports("shop")) != 1 || v.content(id) != "198.51.100.9" {
		t.Errorf("after its end: %+v, %+v", row, l)
	}
}

// Three mends of one field within a day are a fight: it stops and says so. A retry, or a
// commit, begins anew.
func TestS41FightStops(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	id := v.record("A", mailAt)
	change := func() { t.Helper(); v.world.Set(id, "content", "198.51.100.9"); w.look(); w.look() }
	for n := range 3 {
		if change(); v.content(id) != "192.0.2.1" {
			t.Fatalf("mend %d did not come", n+1)
		}
	}
	v.world.ForgetCalls()
	change()
	w.look()
	row := w.the("shop")
	if !row.Fight || len(v.writes()) > 0 || !strings.Contains(row.Next, "somebody or something changes it again") || !strings.Contains(row.Next, "reconciler retry shop") {
		t.Fatalf("the fight goes on: %+v, %v", row, v.writes())
	}
	if got := w.row("shop"); !strings.Contains(got.Why(), "changed outside") || !strings.Contains(got.Why(), "left alone now") {
		t.Errorf("status says %q", got.Why())
	}
	if r := w.reports("shop"); r[len(r)-1].State != "failure" || !strings.Contains(r[len(r)-1].Detail, "3 times within a day") {
		t.Errorf("it is told: %+v", r[len(r)-1])
	}
	w.clock.add(30 * time.Hour) // time alone ends nothing
	if w.look(); !w.the("shop").Fight {
		t.Error("it began again by itself")
	}
	who, err := w.engine.Retry("shop", "dana")
	if err != nil {
		t.Fatal(err)
	}
	if w.pass(who); v.content(id) != "192.0.2.1" {
		t.Fatal("a retry does not put it back")
	}
	for range 3 {
		change()
	}
	change()
	if !w.the("shop").Fight {
		t.Fatal("after a retry it fights without an end")
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA, "notes: we know")})
	w.look()
	w.look()
	if got := v.content(id); got != "192.0.2.1" {
		t.Errorf("after a commit it is not put back: %s", got)
	}
}

// Rule, data: a database is never made again by mending; that it is gone holds the client.
func TestRuleDataGoneDatabaseIsHeldNotMended(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "drift: {default: heal}")})
	v.world.Remove(w.database("shop"))
	v.world.ForgetCalls()
	w.look()
	if w.row("shop").Status != "active" {
		t.Error("one look holds it")
	}
	w.look()
	w.look()
	if r := w.want("shop", state.StatusHeld); !strings.Contains(r.Because, "an empty one never takes its place") {
		t.Errorf("held because %s", r.Because)
	}
	if got := v.writes(); len(got) > 0 || v.of(state.KindDatabase) != "" {
		t.Errorf("writes: %v", got)
	}
}

// Releases, what a person made, and what is not ours are never mended, whatever the
// policy is.
func TestS41NeverMended(t *testing.T) {
	for name, change := range map[string]func(*vendors) string{
		"a changed release": func(v *vendors) string { v.world.Set(v.of(state.KindDeployment), "ref", "v9"); return "deployment" },
		"a changed database": func(v *vendors) string {
			v.world.Set(v.of(state.KindDatabase), "access", "private")
			return "database"
		},
		"a site that is gone": func(v *vendors) string { v.world.Remove(v.of(state.KindSite)); return "site" },
		"another's mark": func(v *vendors) string {
			v.world.Edit(v.record("A", mailAt), func(o *provider.Object) {
				o.Mark = provider.Mark{Installation: "ffffffff", Client: "other-1", Generation: 1}
				o.Attributes = slices.DeleteFunc(o.Attributes, func(a provider.Input) bool { return a.Name == "content" })
				o.Attributes = append(o.Attributes, provider.Input{Name: "content", Text: "198.51.100.9"})
			})
			return "foreign"
		},
		"what was found": func(v *vendors) string {
			v.world.Set(v.record("A", "old.shop.agency.example"), "content", "198.51.100.9")
			return "record"
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			v.world.Seed("cloudflare", provider.Object{Kind: state.KindRecord, Name: "theirs", Attributes: []provider.Input{
				{Name: "type", Text: "A"}, {Name: "name", Text: "old.shop.agency.example"}, {Name: "content", Text: "192.0.2.7"}, {Name: "ttl", Text: "300"}}})
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "drift: {default: heal}", `dns: {records: [{type: A, name: mail, content: 192.0.2.1}, {type: A, name: old, content: 192.0.2.7}]}`)})
			w.want("shop", state.StatusActive)
			what := change(v)
			before := v.world.Snapshot(nil)
			v.world.ForgetCalls()
			for range 4 {
				w.look()
			}
			rows := w.detail("shop").DriftRows
			if !slices.ContainsFunc(rows, func(r reconcile.DriftRow) bool { return strings.HasPrefix(r.Ref, what) || r.What == what }) {
				t.Errorf("it is not seen: %+v", rows)
			}
			if got := v.writes(); len(got) > 0 || v.world.Snapshot(nil) != before {
				t.Errorf("writes: %v", got)
			}
			w.want("shop", state.StatusActive)
		})
	}
}

// A freeze and a pause hold for mends, too; they come afterwards by themselves.
func TestS41FreezeAndPause(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	id := v.record("A", mailAt)
	if _, err := w.engine.SetPaused("shop", true, "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(w.due()...)
	v.world.Set(id, "content", "198.51.100.9")
	for range 3 {
		w.look()
	}
	if row := w.the("shop"); v.content(id) != "198.51.100.9" || !strings.Contains(row.Next, "paused") || w.row("shop").Status != "paused" {
		t.Errorf("paused: %+v", row)
	}
	who, err := w.engine.SetPaused("shop", false, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(who)
	w.apply(map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2026-11-24T00:00, to: 2026-11-25T00:00, reason: holidays}]\n"})
	w.look()
	if row := w.the("shop"); v.content(id) != "198.51.100.9" || !strings.Contains(row.Next, "frozen until 25 November 2026") || w.row("shop").Status != "active" {
		t.Errorf("frozen: %+v", row)
	}
	w.clock.add(24 * time.Hour)
	w.look()
	if got := v.content(id); got != "192.0.2.1" {
		t.Errorf("after the freeze it says %s", got)
	}
}

// A mend that may stop mail is held like every other step of that risk, and an approval
// lets exactly it run. The commit's verdict is not about it.
func TestS41MailIsHeld(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	id := v.record("MX", "shop.agency.example")
	v.world.Set(id, "content", "mx.elsewhere.example")
	v.world.Set(v.record("A", mailAt), "ttl", "60") // reported, and not part of it
	verdict := func() (s state.Verdict) {
		w.view(func(tx store.Tx) (err error) { s, _, err = store.Verdict(tx, w.engine.Head()); return err })
		return s
	}
	before := verdict()
	v.world.ForgetCalls()
	w.look()
	w.look()
	w.want("shop", state.StatusHeld)
	holds := w.detail("shop").Holds
	if len(holds) != 1 || holds[0].Kind != state.HoldMail || len(v.writes()) > 0 {
		t.Fatalf("holds %+v, writes %v", holds, v.writes())
	}
	w.look()
	ids, err := w.engine.Approve(t.Context(), holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("shop", state.StatusActive)
	if got := v.writes(); len(got) != 1 || v.content(id) != "mx.example" {
		t.Errorf("writes %v, it says %s", got, v.content(id))
	}
	if row := w.the("shop"); row.Field != "ttl" {
		t.Errorf("left: %+v", row)
	}
	if now := verdict(); fmt.Sprint(now.Clients, now.State) != fmt.Sprint(before.Clients, before.State) {
		t.Errorf("the verdict of the commit was %v and is %v", before, now)
	}
}

// A hold of a mend goes when somebody puts the field back.
func TestS41HoldGoesWithTheDrift(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	id := v.record("MX", "shop.agency.example")
	v.world.Set(id, "content", "mx.elsewhere.example")
	w.look()
	w.look()
	w.want("shop", state.StatusHeld)
	v.world.Set(id, "content", "mx.example")
	w.look()
	if w.want("shop", state.StatusActive); len(w.overview().Holds) > 0 {
		t.Errorf("holds: %+v", w.overview().Holds)
	}
}

// P8: a mend that is cut off after its write is a mend all the same, once.
func TestP8MendCutOff(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	id := v.record("A", mailAt)
	v.world.Set(id, "content", "198.51.100.9")
	v.world.Set(id, "ttl", "60") // reported: a pass that goes on must not be about more
	other := v.record("A", "shop.agency.example")
	v.world.Set(other, "ttl", "60")
	w.look()
	w.clock.add(time.Hour)
	l, err := w.engine.Look(t.Context())
	if err != nil || len(l.Due) != 1 {
		t.Fatal(l, err)
	}
	ctx, cut := context.WithCancel(t.Context())
	v.faults.Do(memory.After, memory.Is(memory.Update, state.KindRecord), 1, func(context.Context, memory.Call) error { cut(); return memory.Lost() })
	if _, err := w.engine.Pass(ctx, l.Due[0], reconcile.CauseDrift); err == nil {
		t.Fatal("it was not cut off")
	}
	due := w.due()
	if len(due) != 1 {
		t.Fatalf("due: %v", due)
	}
	if _, err := w.engine.Pass(t.Context(), due[0], reconcile.CauseStart); err != nil {
		t.Fatal(err)
	}
	w.want("shop", state.StatusActive)
	o, _ := v.world.Object(other)
	if v.content(id) != "192.0.2.1" || get(o, "ttl") != "60" {
		t.Errorf("it says %s; what is reported says ttl %s", v.content(id), get(o, "ttl"))
	}
	var known state.Looked
	w.view(func(tx store.Tx) (err error) { known, _, err = store.Looked(tx, l.Due[0]); return err })
	if len(known.Mends) != 1 {
		t.Errorf("mends: %+v", known.Mends)
	}
}

// P10: values of secrets, and what may be one, are fingerprints wherever drift is shown.
func TestP10DriftShowsNoSecret(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}", "drift: {fields: [{field: env.*, policy: heal}]}")})
	id := v.of(state.KindEnvironment)
	old, _ := v.world.Object(id)
	const theirs = "a-canary-of-somebody-4711"
	v.world.Set(id, "env.PAYLOAD_SECRET", theirs)
	v.world.Set(id, "env.API_TOKEN", theirs)
	v.world.Set(id, "env.COLOUR", "blue")
	w.look()
	rows := w.detail("shop").DriftRows
	if len(rows) != 3 {
		t.Fatalf("%+v", rows)
	}
	history, err := w.engine.History("shop", 100)
	if err != nil {
		t.Fatal(err)
	}
	live, err := w.engine.Drift(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal([]any{rows, history, live, w.reports("shop")})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{theirs, get(old, "env.PAYLOAD_SECRET")} {
		if strings.Contains(string(text), secret) {
			t.Error("drift shows a secret")
		}
	}
	if !strings.Contains(string(text), "blue") {
		t.Error("drift does not show what everybody may know")
	}
	w.look()
	now, _ := v.world.Object(id)
	if get(now, "env.PAYLOAD_SECRET") != get(old, "env.PAYLOAD_SECRET") || get(now, "env.COLOUR") != "red" || get(now, "env.API_TOKEN") != "" {
		t.Error("the set is not put back")
	}
}

// A record that somebody deleted is made again where the policy says so.
func TestS41DeletedRecordIsMadeAgain(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "drift: {fields: [{field: record.gone, policy: heal}]}", ownA)})
	v.world.Remove(v.record("A", mailAt))
	v.world.ForgetCalls()
	w.look()
	if row := w.the("shop"); row.What != "gone" {
		t.Errorf("%+v", row)
	}
	w.look()
	if got := v.writes(); len(got) != 1 || v.content(v.record("A", mailAt)) != "192.0.2.1" {
		t.Errorf("writes: %v", got)
	}
	w.want("shop", state.StatusActive)
}

// A release was found gone, and another one serves by now: of the one before nothing is told any more.
func TestS41ReleaseThatServesNoMoreIsNotTold(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	old := v.of(state.KindDeployment)
	was, _ := v.world.Object(old)
	v.world.Remove(old)
	w.look()
	if row := w.the("shop"); row.What != "gone" {
		t.Errorf("%+v", row)
	}
	v.world.Seed("vercel", was) // it is there again
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "settings: {theme: dark}")})
	w.want("shop", state.StatusActive)
	w.look()
	if rows := w.detail("shop").DriftRows; len(rows) > 0 {
		t.Errorf("told still: %+v", rows)
	}
}

// The guard: one run lets no more clients be mended than a shared change may touch.
func TestRuleGuardBoundsMends(t *testing.T) {
	v, w := newVendors(t)
	files := map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\ndefaults: {drift: {default: heal}}\n"}
	for i := range 5 {
		n := fmt.Sprintf("c%d", i)
		files["clients/"+n+".yaml"] = client(n)
	}
	w.apply(files)
	for i := range 5 {
		v.world.Set(v.record("A", fmt.Sprintf("c%d.agency.example", i)), "content", "198.51.100.9")
	}
	w.look()
	for run, want := range []int{2, 2, 1, 0} {
		if l := w.look(); len(l.Due) != want {
			t.Errorf("run %d lets %d clients be mended", run, len(l.Due))
		}
	}
	for i := range 5 {
		if got := v.content(v.record("A", fmt.Sprintf("c%d.agency.example", i))); got != "203.0.113.7" {
			t.Errorf("c%d leads to %s", i, got)
		}
	}
}

// A commit that comes before the pass does what it asks for, and what was drifted is as
// wished.
func TestS41CommitBeforeTheMend(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, ownA)})
	id := v.record("A", mailAt)
	v.world.Set(id, "content", "198.51.100.9")
	w.look()
	w.clock.add(time.Hour)
	if l, err := w.engine.Look(t.Context()); err != nil || len(l.Due) != 1 {
		t.Fatal(l, err)
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop", heal, strings.Replace(ownA, "192.0.2.1", "198.51.100.9", 1))})
	w.want("shop", state.StatusActive)
	if v.content(id) != "198.51.100.9" || len(w.detail("shop").DriftRows) > 0 {
		t.Errorf("it says %s: %+v", v.content(id), w.detail("shop").DriftRows)
	}
	if l := w.look(); len(l.New)+len(l.Due) > 0 {
		t.Errorf("what the commit wishes is drift: %+v", l)
	}
}

// P9: a commit that comes while a client is held by what looks found gets its own pass, and
// its verdict.
func TestP9CommitOverAHeldMend(t *testing.T) {
	v, w := newVendors(t)
	only := []string{"deployment: {provider: none}", "dns: {provider: none}"}
	w.apply(map[string]string{"clients/shop.yaml": client("shop", only...)})
	v.world.Remove(w.database("shop"))
	w.look()
	w.look()
	w.want("shop", state.StatusHeld)
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	w.view(func(tx store.Tx) error {
		s, _, err := store.Verdict(tx, w.engine.Head())
		if len(s.Clients) != 1 || s.State == "pending" {
			t.Errorf("the verdict: %+v", s)
		}
		return err
	})
	w.look()
	w.want("shop", state.StatusHeld) // the database is still gone
}

// P6: a record whose zone its customer took elsewhere is refused at each look. What was changed of others is found, and
// put back, all the same: the provider showed them in the same run.
func TestP6RefusedObjectStopsNobodyElsesLook(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/aaa.yaml": client("aaa", heal, ownA), "clients/shop.yaml": client("shop", heal, ownA)})
	away, mine := v.record("A", "mail.aaa.agency.example"), v.record("A", mailAt)
	v.world.Set(away, "content", "198.51.100.9")
	v.world.Set(mine, "content", "198.51.100.9")
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Observe && c.ID == away }, -1, memory.Fail(provider.Denied, "403 unauthorized to access requested resource"))
	w.look()
	w.look()
	if got := v.content(mine); got != "192.0.2.1" {
		t.Errorf("it says %s after two looks", got)
	}
}
