package reconcile_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// S34, C20: to the copy a client is removed, and in quarantine. It was back since, and went again, which ended that: it goes.
func TestS34OlderStateAndAQuarantineThatEndedSince(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/z.yaml": client("z")})
	a := w.id("a")
	w.push(map[string]string{"clients/a.yaml": ""})
	w.poll()
	for range 3 {
		w.crash(a)
	}
	if r := w.row("a"); !strings.Contains(r.Because, "in quarantine since") {
		t.Fatalf("it is said: %s", r.Because)
	}
	copied := w.backup()
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: blue}")})
	w.want("a", state.StatusActive)
	w.push(map[string]string{"clients/a.yaml": ""})
	w.restore(copied)
	w.pass(w.poll()...)
	w.pass(w.due()...)
	w.want("a", state.StatusRetained)
	if now, _ := v.world.Serves("a.agency.example"); now != "" {
		t.Errorf("it is served by %q", now)
	}
}

// S34: since the copy a template, or the platform file, got a version that everybody runs with, and at the head it can't be read.
// The newest version that can be is the last good one, as it was: nobody goes back to what the copy knows.
func TestS34OlderStateAndATemplateThatIsBrokenByNow(t *testing.T) {
	for file, versions := range map[string][2]string{
		"templates/shop.yaml": {template, strings.Replace(template, "ref: v1", "ref: v2", 1)},
		"platform.yaml":       {"apiVersion: reconciler/v1\nkind: Platform\n", "apiVersion: reconciler/v1\nkind: Platform\ndefaults: {env: {COLOUR: blue}}\n"},
	} {
		t.Run(file, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{file: versions[0], "clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
			copied := w.backup()
			w.apply(map[string]string{file: versions[1]})
			before, _ := v.world.Serves("a.agency.example")
			w.apply(map[string]string{file: "kind: [\n", "clients/b.yaml": client("b", "env: {SIZE: big}")})
			w.want("b", state.StatusActive)
			w.restore(copied)
			v.world.ForgetCalls()
			w.pass(w.poll()...)
			w.pass(w.due()...)
			for _, n := range []string{"a", "b"} {
				w.want(n, state.StatusActive)
			}
			if now, _ := v.world.Serves("a.agency.example"); now != before || len(v.writes()) > 0 {
				t.Errorf("a is served by %q, and was by %q; writes %v", now, before, v.writes())
			}
			if p := w.overview().Problems; !slices.ContainsFunc(p, func(q state.FileProblem) bool { return q.Path == file }) {
				t.Errorf("nothing is said of %s: %+v", file, p)
			}
			w.apply(map[string]string{file: versions[1]})
			for _, n := range []string{"a", "b"} {
				w.want(n, state.StatusActive)
			}
			if p := w.overview().Problems; len(p) > 0 || len(v.writes()) > 0 {
				t.Errorf("once it is mended: problems %+v, writes %v", p, v.writes())
			}
		})
	}
}

// S34: where the host shows no values, a secret that was set anew since may be that of a variable, or of a client, that the copy
// does not know. What is here does not take its place unasked, either.
func TestS34OlderStateAndNewerSecretOfANewVariable(t *testing.T) {
	const with = "env: {KEY: {secret: shared/mollie}}"
	for _, known := range []bool{true, false} {
		v, w := newQuietVendors(t, map[state.Kind][]string{state.KindEnvironment: {"env.*"}, state.KindAdmin: {"password"}})
		set := func(value string) {
			t.Helper()
			if _, _, err := w.engine.SetSecret("", "mollie", state.NewSecret(value), w.keys.Fingerprint, "ops"); err != nil {
				t.Fatal(err)
			}
		}
		set("first")
		w.apply(map[string]string{"clients/b.yaml": client("b")})
		if known {
			w.apply(map[string]string{"clients/a.yaml": client("a")})
		}
		copied := w.backup()
		w.apply(map[string]string{"clients/a.yaml": client("a", with)})
		set("second")
		w.pass(w.id("a"))
		w.want("a", state.StatusActive)
		w.restore(copied)
		v.world.ForgetCalls()
		w.pass(w.poll()...)
		w.pass(w.due()...)
		if d, _ := v.world.Serves("a.agency.example"); v.world.BuiltWith(d)["KEY"] != "second" || len(v.writes()) > 0 {
			t.Errorf("known %v: it is built with %q, unasked: %v", known, v.world.BuiltWith(d)["KEY"], v.writes())
		}
		if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "mollie") || strings.Contains(r.Because, "second") {
			t.Errorf("known %v: a: %s", known, r.Because)
		}
		set("second")
		if !known { // what was made for it is lost, too
			if _, _, err := w.engine.SetSecret("a", "generated/PAYLOAD_SECRET", state.NewSecret("what it was"), w.keys.Fingerprint, "ops"); err != nil {
				t.Fatal(err)
			}
		}
		w.approveAll("a")
		w.pass(w.due()...)
		w.want("a", state.StatusActive)
		if d, _ := v.world.Serves("a.agency.example"); v.world.BuiltWith(d)["KEY"] != "second" {
			t.Errorf("known %v: set again, it is built with %q", known, v.world.BuiltWith(d)["KEY"])
		}
	}
}

// S34, P5: a client that the copy knows as removed came back since, said another time for its data, and went again. Its last good
// version counts, not that of the copy.
func TestS34OlderStateAndHowLongDataIsKept(t *testing.T) {
	for retain, after := range map[string]time.Duration{"forever": 0, "90d": 90 * 24 * time.Hour, "15d": 20 * 24 * time.Hour} {
		t.Run(retain, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "database: {retain: 20d}")})
			w.apply(map[string]string{"clients/b.yaml": ""})
			b := state.ClientID(w.detail("b").ID)
			copied := w.backup()
			w.apply(map[string]string{"clients/b.yaml": client("b", "database: {retain: "+retain+"}")})
			w.want("b", state.StatusActive)
			w.clock.add(24 * time.Hour)
			w.apply(map[string]string{"clients/b.yaml": ""})
			w.restore(copied)
			w.pass(w.poll()...)
			w.pass(w.due()...)
			until := time.Time{}
			if after > 0 {
				until = w.clock.Now().Add(after)
			}
			kept, err := w.engine.Retained()
			if err != nil || len(kept) != 1 || !kept[0].Until.Equal(until) {
				t.Errorf("it is kept until %s, and is to be until %s (%v)", kept[0].Until, until, err)
			}
			w.clock.add(60 * 24 * time.Hour)
			if _, err := w.engine.PurgeDue(t.Context()); err != nil {
				t.Fatal(err)
			}
			has := slices.ContainsFunc(v.world.Objects("railway"), func(o provider.Object) bool { return o.Mark.Client == b && o.Kind == state.KindDatabase })
			if want := retain != "15d"; has != want {
				t.Errorf("after 60 days its database is there: %v, want %v", has, want)
			}
		})
	}
}

// S43, P5: a client that was renamed, and is gone. Its last good version is that of its last name: how long its data is kept, and
// by which name it comes back.
func TestS43RenamedAndRemoved(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "database: {retain: 20d}")})
	b := w.id("b")
	file := client("c", "previously: [b]", "database: {retain: forever}")
	w.apply(map[string]string{"clients/b.yaml": "", "clients/c.yaml": file})
	w.want("c", state.StatusActive)
	w.apply(map[string]string{"clients/c.yaml": ""})
	w.rebuild(v)
	w.pass(w.due()...)
	kept, err := w.engine.Retained()
	if err != nil || len(kept) != 1 || !kept[0].Until.IsZero() {
		t.Errorf("retained: %+v %v", kept, err)
	}
	w.clock.add(60 * 24 * time.Hour)
	if _, err := w.engine.PurgeDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(v.world.Objects("railway"), func(o provider.Object) bool { return o.Mark.Client == b && o.Kind == state.KindDatabase }) {
		t.Fatal("it was erased")
	}
	w.apply(map[string]string{"clients/c.yaml": file}) // its removal is reverted
	if r := w.want("c", state.StatusActive); state.ClientID(r.ID) != b {
		t.Errorf("c is %s, and was %s", r.ID, b)
	}
}

// S34: a removal that the copy knows, carried out or not, was taken back since, and another one waits. It has its own date.
func TestS34OlderStateAndARemovalThatWaitsSince(t *testing.T) {
	for _, done := range []bool{false, true} {
		for _, reverted := range []bool{false, true} {
			t.Run(fmt.Sprintf("carried out %v, reverted %v", done, reverted), func(t *testing.T) {
				v, w := newVendors(t)
				w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = 24 * time.Hour }
				w.restart()
				w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/z.yaml": client("z")})
				a := w.id("a")
				w.apply(map[string]string{"clients/a.yaml": ""})
				if done {
					w.clock.add(25 * time.Hour)
					w.pass(w.poll()...)
					w.pass(w.due()...)
					w.want("a", state.StatusRetained)
				}
				copied := w.backup()
				w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: blue}")})
				w.want("a", state.StatusActive)
				w.clock.add(30 * 24 * time.Hour)
				w.apply(map[string]string{"clients/a.yaml": ""})
				w.clock.add(time.Hour)
				w.restore(copied)
				w.pass(w.poll()...)
				w.pass(w.due()...)
				if now, _ := v.world.Serves("a.agency.example"); now == "" {
					t.Error("it went at once")
				}
				if r := w.want("a", state.StatusHeld); !strings.Contains(r.Because, "its removal waits until") {
					t.Errorf("it is said: %s %s", r.Because, r.Next)
				}
				if reverted {
					w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: blue}")})
					if r := w.want("a", state.StatusActive); state.ClientID(r.ID) != a {
						t.Errorf("it is %s, and was %s", r.ID, a)
					}
				}
				w.clock.add(25 * time.Hour)
				w.pass(w.poll()...)
				w.pass(w.due()...)
				if now, _ := v.world.Serves("a.agency.example"); (now != "") != reverted {
					t.Errorf("a day later it is served by %q", now)
				}
				if !reverted {
					w.want("a", state.StatusRetained)
					if kept, err := w.engine.Retained(); err != nil || len(kept) != 1 || kept[0].Until.IsZero() {
						t.Errorf("retained: %+v %v", kept, err)
					}
				}
			})
		}
	}
}

// S34: a whole folder was put back, marker and all, and is found out as the accepted head, an old one, is judged once more: a
// person approves what waits there, which lets a new client in. It is compared with what the branch has by now, and nobody
// who came since is told to be gone.
func TestS34AnOldHeadIsJudgedAgainOnAnOlderState(t *testing.T) {
	for _, how := range []string{"history was rewritten since", "the branch can't be read then"} {
		t.Run(how, func(t *testing.T) {
			v, w := newVendors(t)
			w.guarded(accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 9, ReviewedOnly: true})
			old := strings.Replace(client("old"), "domain: old", "domain: shop.example", 1)
			w.apply(map[string]string{"clients/old.yaml": old, "clients/z.yaml": client("z")})
			w.apply(map[string]string{"clients/old.yaml": "", "clients/new.yaml": strings.Replace(client("new", "database: {reuse: fresh}"), "domain: new", "domain: shop.example", 1)})
			if len(w.waits(state.HoldGuard)) != 1 {
				t.Fatal("the removal does not wait")
			}
			copied := w.backup()
			head := w.repo.commit(map[string]string{"clients/old.yaml": old, "clients/new.yaml": "", "clients/later.yaml": client("later")})
			rewritten := strings.HasPrefix(how, "history")
			if rewritten {
				w.repo.cut(head)
			}
			w.pass(w.poll()...)
			w.approveHolds(state.HoldHistory)
			w.pass(w.due()...)
			later, before := w.want("later", state.StatusActive).ID, v.world.Snapshot(everything)
			w.want("old", state.StatusActive)
			v.world.ForgetCalls()

			w.pass(ids(w.restoreWhole(copied))...)
			w.engine.Repo = &unreachable{w.repo, func() bool { return true }}
			if rewritten {
				w.engine.Repo = w.repo
				w.pass(w.poll()...)
			}
			w.approveHolds(state.HoldGuard)
			w.engine.Repo = w.repo
			w.pass(w.poll()...)
			for _, h := range w.waits(state.HoldRebuild) {
				t.Errorf("it is said: %s %s", h.Reason, h.Act)
			}
			w.approveHolds(state.HoldHistory)
			w.pass(w.poll()...)
			w.pass(w.due()...)
			if r := w.want("later", state.StatusActive); r.ID != later {
				t.Errorf("it is %s, and was %s", r.ID, later)
			}
			w.want("old", state.StatusActive)
			if now := v.world.Snapshot(everything); now != before {
				t.Errorf("something is written:\n%s\nwrites %v", otherThan(now, before), v.writes())
			}
		})
	}
}

// S34, P5: a client whose removal waits as the copy is made came back since, and got more than it had. As the copy is put back its file
// waits for something. Should it come back without that, a person is asked: else it would stay for ever, told by nobody.
func TestS34OlderStateAndWhatARemovedClientGotSince(t *testing.T) {
	none := []string{"database: {provider: none}", "env: {DATABASE_URL: {none: true}}"}
	more := []string{"aliases: [www.b.example]", "dns: {records: [{type: TXT, name: note, content: hello}]}"}
	for _, then := range []string{"without it", "with it", "it stays gone"} {
		t.Run(then, func(t *testing.T) {
			v, w := newVendors(t)
			w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
			w.restart()
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", none...)})
			b := w.id("b")
			w.apply(map[string]string{"clients/b.yaml": ""})
			copied := w.backup()
			w.apply(map[string]string{"clients/b.yaml": client("b", more...)})
			w.want("b", state.StatusActive)
			w.push(map[string]string{"clients/b.yaml": "name: ["})
			w.restore(copied)
			v.world.ForgetCalls()
			w.pass(w.poll()...)
			w.pass(w.due()...)
			switch then {
			case "without it":
				w.apply(map[string]string{"clients/b.yaml": client("b", none...)})
			case "with it":
				w.apply(map[string]string{"clients/b.yaml": client("b", more...)})
			default:
				w.apply(map[string]string{"clients/b.yaml": ""})
				w.clock.add(2 * time.Hour)
				w.pass(w.due()...)
				w.pass(w.poll()...)
			}
			holds := w.overview().Holds
			if asks := then == "without it"; asks != (len(holds) == 1) {
				t.Errorf("held: %+v", holds)
			}
			if then != "it stays gone" {
				if r := w.want("b", state.StatusActive); state.ClientID(r.ID) != b {
					t.Errorf("b is %s, and was %s", r.ID, b)
				}
				if did := v.writes(); slices.ContainsFunc(did, func(call string) bool { return strings.Contains(call, "delete") }) {
					t.Errorf("unasked: %v", did)
				}
				w.approveAll("b")
				w.pass(w.due()...)
				w.want("b", state.StatusActive)
			}
			kept, err := w.engine.Retained()
			if is := then != "with it"; err != nil || is != (len(kept) == 1 && kept[0].ID == v.byKind(t, b, state.KindDatabase).ID && !kept[0].Until.IsZero()) {
				t.Errorf("retained: %+v %v", kept, err)
			}
			if now, _ := v.world.Serves("www.b.example"); (now != "") != (then == "with it") {
				t.Errorf("www.b.example is served by %q", now)
			}
			if now, _ := v.world.Serves("b.agency.example"); (now != "") != (then != "it stays gone") {
				t.Errorf("b.agency.example is served by %q", now)
			}
			for _, o := range v.world.Objects("cloudflare") {
				if then != "with it" && strings.Contains(o.Name, "note") {
					t.Errorf("left over: %s", o.Name)
				}
			}
			if holds := w.overview().Holds; len(holds) > 0 {
				t.Errorf("still held: %+v", holds)
			}
		})
	}
}

// S34, P5: a client that the copy knows as gone, of which an account for payments is left, came back since, got a database, and went
// again. Its data is kept as any is: it is shown, and goes at its date, or when a person says so.
func TestS34OlderStateAndDataThatARemovedClientGotSince(t *testing.T) {
	for _, how := range []string{"schedule", "person"} {
		t.Run(how, func(t *testing.T) {
			v, w := newShops(t)
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}", "payments: {enabled: true, country: NL}")})
			b := w.id("b")
			w.apply(map[string]string{"clients/b.yaml": ""})
			copied := w.backup()
			w.apply(map[string]string{"clients/b.yaml": client("b", "database: {retain: 60d}")})
			w.want("b", state.StatusActive)
			w.apply(map[string]string{"clients/b.yaml": ""})
			w.restore(copied)
			w.pass(w.poll()...)
			w.pass(w.due()...)
			kept, err := w.engine.Retained()
			if until := w.clock.Now().Add(60 * 24 * time.Hour); err != nil || len(kept) != 2 || kept[0].Kind != string(state.KindDatabase) || !kept[0].Until.Equal(until) {
				t.Errorf("retained: %+v %v", kept, err)
			}
			if holds := w.overview().Holds; len(holds) > 0 {
				t.Errorf("held: %+v", holds)
			}
			has := func() bool {
				return slices.ContainsFunc(v.world.Objects("railway"), func(o provider.Object) bool { return o.Mark.Client == b && o.Kind == state.KindDatabase })
			}
			if how == "person" {
				_, err = w.engine.PurgeNow(t.Context(), "b", "dana")
			} else {
				w.clock.add(50 * 24 * time.Hour)
				if _, err := w.engine.PurgeDue(t.Context()); err != nil || !has() {
					t.Fatalf("after 50 days its database is gone: %v", err)
				}
				w.clock.add(11 * 24 * time.Hour)
				_, err = w.engine.PurgeDue(t.Context())
			}
			if err != nil || has() {
				t.Errorf("its database is there still: %v %v", has(), err)
			}
		})
	}
}

// S34: an older copy is put back that does not know a client whose file is mistaken at the head. It is told what brings the client
// back with all it has: the mended file alone, or, where another client has or had its name, or the file bears another one, a rebuild.
func TestS34WhoseFileIsMistakenIsToldWhatBringsItBack(t *testing.T) {
	broken, again := "name: [", client("b", "database: {reuse: fresh}")
	renamed := strings.Replace(client("c", "previously: [b]"), "domain: c", "domain: b", 1)
	for _, c := range []struct {
		name          string
		since         []map[string]string // the last one has a mistake
		file, mended  string
		known, enough bool // the copy has a client of that name, which is gone, and purged since; mending is enough
	}{
		{"its own", []map[string]string{{"clients/b.yaml": client("b")}, {"clients/b.yaml": broken}}, "b", client("b", "env: {COLOUR: red}"), false, true},
		{"it was renamed", []map[string]string{{"clients/b.yaml": client("b")}, {"clients/b.yaml": "", "clients/c.yaml": renamed}, {"clients/c.yaml": broken}}, "c", renamed, false, true},
		{"it is renamed", []map[string]string{{"clients/b.yaml": client("b")}, {"clients/b.yaml": "", "clients/c.yaml": renamed + "colour: red"}}, "c", renamed, false, false},
		{"one that is gone had its name", []map[string]string{{"clients/b.yaml": again}, {"clients/b.yaml": broken}}, "b", again, true, false},
		{"one that came and went since had its name", []map[string]string{{"clients/b.yaml": client("b")}, {"clients/b.yaml": ""}, {"clients/b.yaml": again}, {"clients/b.yaml": broken}}, "b", again, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/a.yaml": client("a")})
			if c.known {
				w.apply(map[string]string{"clients/b.yaml": client("b")})
				w.apply(map[string]string{"clients/b.yaml": ""})
			}
			copied := w.backup()
			if c.known {
				if _, err := w.engine.PurgeNow(t.Context(), "b", "dana"); err != nil {
					t.Fatal(err)
				}
			}
			for _, files := range c.since[:len(c.since)-1] {
				w.apply(files)
			}
			is, _ := v.world.Serves("b.agency.example")
			o, _ := v.world.Object(is)
			w.push(c.since[len(c.since)-1])
			w.restore(copied)
			w.pass(w.poll()...)
			w.pass(w.due()...)
			held := w.waits(state.HoldRebuild)
			if len(held) != 1 || held[0].Client != o.Mark.Client || strings.Contains(held[0].Act, "rebuild") == c.enough {
				t.Fatalf("of %s is said: %+v", o.Mark.Client, held)
			}
			mended := map[string]string{"clients/" + c.file + ".yaml": c.mended}
			if c.enough {
				w.apply(mended)
			} else {
				w.repo.commit(mended)
				w.rebuild(v)
			}
			w.pass(w.poll()...)
			w.pass(w.due()...)
			if r := w.want(c.file, state.StatusActive); state.ClientID(r.ID) != o.Mark.Client || len(w.waits(state.HoldRebuild)) > 0 {
				t.Errorf("%s is %s, and was %s; it waits %+v", c.file, r.ID, o.Mark.Client, w.waits(state.HoldRebuild))
			}
		})
	}
}

// S34, P5: as above, and its file is taken out instead of mended. Then, and no earlier, a person may let it go: its data stays.
func TestS34WhoseMistakenFileIsTakenOut(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	copied := w.backup()
	w.apply(map[string]string{"clients/b.yaml": client("b")})
	b := w.id("b")
	w.push(map[string]string{"clients/b.yaml": "name: ["})
	w.restore(copied)
	w.pass(w.poll()...)
	w.pass(w.due()...)
	held := w.waits(state.HoldRebuild)
	if len(held) != 1 || held[0].Client != b || held[0].Approvable {
		t.Fatalf("it waits %+v", held)
	}
	if _, err := w.engine.Retry(string(b), "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(b)
	if r := w.want("b", state.StatusHeld); r.Because != held[0].Reason || r.Next != held[0].Act {
		t.Errorf("tried again it says %q, %q", r.Because, r.Next)
	}
	if _, err := w.engine.Approve(t.Context(), held[0].Fingerprint, "dana"); !errors.Is(err, reconcile.ErrRefused) || !strings.Contains(err.Error(), "can't be accepted as its manifest. Nothing of it is changed. With its file mended,") {
		t.Errorf("approved with its file at the head: %v", err)
	}
	w.apply(map[string]string{"clients/b.yaml": ""})
	out := w.waits(state.HoldRebuild)
	if r := w.want("b", state.StatusHeld); len(out) != 1 || !out[0].Approvable || !strings.HasSuffix(out[0].Reason, "bear the mark of b, and clients/b.yaml was taken out.") || r.Because != out[0].Reason || r.Next != held[0].Act {
		t.Fatalf("without its file it waits %+v, and says %q, %q", out, r.Because, r.Next)
	}
	for file, text := range map[string]string{"clients/b.yaml": "name: [", "clients/c.yaml": client("c", "previously: [b]", "database: {size: 7}")} {
		w.apply(map[string]string{file: text})
		if back := w.waits(state.HoldRebuild); len(back) != 1 || !reflect.DeepEqual(back[0], held[0]) || w.want("b", state.StatusHeld).Because != held[0].Reason {
			t.Errorf("with %s back it waits %+v", file, back)
		}
		if _, err := w.engine.Approve(t.Context(), held[0].Fingerprint, "dana"); !errors.Is(err, reconcile.ErrRefused) {
			t.Errorf("approved with %s at the head: %v", file, err)
		}
		w.apply(map[string]string{file: ""})
	}
	if _, err := w.engine.Approve(t.Context(), held[0].Fingerprint, "dana"); err != nil {
		t.Fatal(err)
	}
	if r := w.want("b", state.StatusDeleting); r.Because != "Its manifest was removed in "+w.repo.order[len(w.repo.order)-1][:7]+"." {
		t.Errorf("approved it says %q", r.Because)
	}
	w.pass(w.due()...)
	w.want("b", state.StatusRetained)
	if now, _ := v.world.Serves("b.agency.example"); now != "" || len(w.waits(state.HoldRebuild)) > 0 {
		t.Errorf("approved, it is served by %q, and waits %+v", now, w.waits(state.HoldRebuild))
	}
	if kept, err := w.engine.Retained(); err != nil || len(kept) != 1 || !kept[0].Until.IsZero() {
		t.Errorf("retained: %+v %v", kept, err)
	}
}

// S34: the date of a removal comes while an older copy is not compared, and nothing is carried out. Nobody is told that it is
// waited for still.
func TestS34ADateThatIsPastIsNotWaitedFor(t *testing.T) {
	_, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]"), "clients/b.yaml": client("b"), "clients/c.yaml": client("c")})
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": ""})
	w.push(map[string]string{"clients/c.yaml": ""})
	says := func(what string) {
		t.Helper()
		for _, name := range []string{"a", "b", "c"} {
			if d := w.detail(name); !strings.Contains(d.Because, what) || strings.Contains(d.Because, "November") || w.row(name).Because != d.Because {
				t.Errorf("%s: %s; in the overview: %s", name, d.Because, w.row(name).Because)
			}
		}
	}
	copied := w.backup()
	for name, date := range map[string]string{"a": "waits until 24 November 2026 10:00 UTC", "b": "its removal waits until 24 November 2026 10:00 UTC; the site still runs", "c": "It goes at 10:00 on 24 November 2026 UTC; a revert until then costs nothing."} {
		if r := w.row(name); !strings.Contains(r.Because, date) {
			t.Errorf("%s: %s", name, r.Because)
		}
	}
	w.clock.add(2 * time.Hour)
	says("waits until its next pass")
	w.restore(copied)
	says("waits until this older state is compared with what the providers show")
	w.pass(w.poll()...)
	w.pass(w.due()...)
	w.want("b", state.StatusRetained)
	w.want("c", state.StatusRetained)
	if r := w.want("a", state.StatusActive); r.Because != "" {
		t.Errorf("a: %s", r.Because)
	}
}
