package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Versions: what only a newer program would make otherwise waits, visibly, for the
// client's next commit or for an approval.
func TestRuleVersionsUpgradeWaits(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"), "clients/c.yaml": client("c")})
	w.want("a", state.StatusActive)
	v.world.ForgetCalls()
	w.change = func(e *reconcile.Engine) {
		e.Program = "0.2.0"
		e.Point = map[string]string{"vercel": "CNAME"} // the newer program leads names to a host
	}
	if due := w.restart(); len(due) > 0 {
		t.Errorf("due after an upgrade: %v", due)
	}
	w.pass(w.poll()...)
	if got := v.writes(); len(got) > 0 {
		t.Fatalf("writes: %v", got)
	}
	o, err := w.engine.Overview()
	if err != nil || len(o.Holds) != 1 || o.Holds[0].Kind != state.HoldUpgrade || !strings.Contains(o.Holds[0].Reason, "Version 0.2.0 would change what version 0.1.0 made of 3 clients") {
		t.Fatalf("holds: %+v %v", o.Holds, err)
	}
	if len(v.world.Resolves("a.agency.example")) != 1 {
		t.Error("a is not served as before")
	}
	// A commit of one's own brings one along, and takes it out of the hold.
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
	if o, err = w.engine.Overview(); err != nil || len(o.Holds) != 1 || len(o.Holds[0].Clients) != 2 {
		t.Fatalf("holds: %+v %v", o.Holds, err)
	}
	for _, d := range w.restart() {
		t.Errorf("due after another start: %v", d)
	}
	w.pass(w.poll()...)
	v.world.ForgetCalls()
	ids, err := w.engine.Approve(t.Context(), o.Holds[0].Fingerprint, "dana")
	if err != nil || len(ids) != 2 {
		t.Fatalf("%v %v", ids, err)
	}
	w.pass(ids...)
	for _, name := range []string{"b", "c"} {
		w.want(name, state.StatusActive)
	}
	if len(v.writes()) == 0 {
		t.Error("nothing was changed by the approved upgrade")
	}
	if o, err = w.engine.Overview(); err != nil || len(o.Holds) != 0 {
		t.Errorf("holds: %+v %v", o.Holds, err)
	}
}

// newerProgram is a version that leads names to a host, where the one before led them to an address.
func newerProgram(e *reconcile.Engine) {
	e.Program = "0.2.0"
	e.Point = map[string]string{"vercel": "CNAME"}
}

// An upgrade that changes one client says it of one.
func TestRuleVersionsUpgradeOfOneClient(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.change = newerProgram
	w.restart()
	w.poll()
	if h := w.overview().Holds; len(h) != 1 || !strings.Contains(h[0].Reason, "made of 1 client. It stays as it is, and follows with its next commit") {
		t.Errorf("holds: %+v", h)
	}
}

// upgradeWaits is whom an upgrade's hold has, by name.
func (w *world) upgradeWaits() (names []string) {
	w.t.Helper()
	o, err := w.engine.Overview()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range o.Holds {
		if h.Kind != state.HoldUpgrade {
			continue
		}
		for _, c := range w.everybody() {
			if slices.Contains(h.Clients, c.ID) {
				names = append(names, c.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// What wakes a client is no change of what it wishes: it stays as the version before made it, and what is put
// back is what that one made. A hold that one of these took a client out of would leave no trace of it.
func TestRuleVersionsUpgradeWaitsWhateverWakesAClient(t *testing.T) {
	names := []string{"drifts", "gone", "paused", "resumed", "retried", "waits"}
	begin := func(t *testing.T) (*vendors, *world) {
		v, w := newVendors(t)
		files := map[string]string{}
		for _, n := range names {
			files["clients/"+n+".yaml"] = client(n, heal, `dns: {records: [{type: A, name: mail, content: 192.0.2.1}]}`)
		}
		w.apply(files)
		for _, n := range names {
			w.want(n, state.StatusActive)
		}
		for _, n := range []string{"paused", "resumed"} {
			id, err := w.engine.SetPaused(n, true, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(id)
		}
		return v, w
	}
	mail := func(v *vendors, name string) string { return v.record("A", "mail."+name+".agency.example") }
	stay := func(t *testing.T, v *vendors, w *world, want ...string) {
		t.Helper()
		for _, n := range names {
			if v.record("CNAME", n+".agency.example") != "" {
				t.Errorf("%s is led otherwise, and nobody asked for it", n)
			}
		}
		if got := v.writes(); len(got) != len(want) {
			t.Errorf("writes: %v, not %v", got, want)
		} else {
			for i, x := range want {
				if !strings.Contains(got[i], x) {
					t.Errorf("writes: %v, not %v", got, want)
				}
			}
		}
		if got := w.upgradeWaits(); !slices.Equal(got, names) {
			t.Errorf("the hold has %v, not %v", got, names)
		}
	}
	t.Run("afterwards", func(t *testing.T) {
		v, w := begin(t)
		w.change = newerProgram
		w.restart()
		w.pass(w.poll()...)
		v.world.ForgetCalls()
		id, err := w.engine.Retry("retried", "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(id)
		w.resume("resumed")
		stay(t, v, w)
		w.want("retried", state.StatusActive)
		w.want("resumed", state.StatusActive)
		v.world.Set(mail(v, "drifts"), "content", "198.51.100.9")
		w.look()
		w.look()
		stay(t, v, w, "cloudflare update record A mail.drifts")
		v.world.ForgetCalls()
		v.world.Remove(mail(v, "gone"))
		if id, err = w.engine.Retry("gone", "dana"); err != nil {
			t.Fatal(err)
		}
		w.pass(id)
		stay(t, v, w, "cloudflare create record A mail.gone")
		v.world.ForgetCalls()
		w.restart()
		w.pass(w.poll()...)
		stay(t, v, w)
	})
	t.Run("before the branch is read", func(t *testing.T) {
		v, w := begin(t)
		v.world.Set(mail(v, "drifts"), "content", "198.51.100.9")
		w.look()
		w.clock.add(time.Hour)
		looks, err := w.engine.Look(t.Context()) // the second one: it is to be put back
		if err != nil || len(looks.Due) != 1 {
			t.Fatalf("%+v %v", looks, err)
		}
		if _, err := w.engine.Retry("retried", "dana"); err != nil {
			t.Fatal(err)
		}
		v.world.ForgetCalls()
		w.change = newerProgram
		w.pass(ids(w.restart())...)
		w.resume("resumed")
		stay(t, v, w, "cloudflare update record A mail.drifts")
	})
}

// What was asked for before the upgrade is carried out after it: a commit whose pass was cut off as it is
// wished now, and a removal that waited for its date.
func TestRuleVersionsUpgradeKeepsNothingThatWasAskedFor(t *testing.T) {
	v, w := newVendors(t)
	later := func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.change = later
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [shop.example]"), "clients/b.yaml": client("b"), "clients/c.yaml": client("c")})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	if got := w.push(map[string]string{"clients/b.yaml": client("b", "env: {COLOUR: red}")}); len(got) != 1 || v.record("A", "shop.example") == "" {
		t.Fatal(got)
	}
	w.change = func(e *reconcile.Engine) { later(e); newerProgram(e) }
	due := w.restart()
	if got := w.upgradeWaits(); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("the hold has %v", got)
	}
	w.clock.add(2 * time.Hour)
	for _, d := range due {
		w.pass(d.Client)
	}
	w.pass(w.poll()...)
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	if _, serves := v.world.Serves("shop.example"); v.record("CNAME", "b.agency.example") == "" || serves || v.record("CNAME", "a.agency.example") != "" {
		t.Errorf("b, which somebody asked for: %q; a's name that was to go serves: %v; the rest of a: %q",
			v.record("CNAME", "b.agency.example"), serves, v.record("CNAME", "a.agency.example"))
	}
}

// Who went half the way to another wish, and back to the one before, is not at rest.
func TestRuleVersionsUpgradeGoesBackTheWholeWay(t *testing.T) {
	v, w := newVendors(t)
	mailAt := func(x string) string { return "dns: {records: [{type: A, name: mail, content: " + x + "}]}" }
	w.apply(map[string]string{"clients/a.yaml": client("a", mailAt("192.0.2.1"))})
	red := client("a", mailAt("192.0.2.2"), "env: {COLOUR: red}")
	ids := w.push(map[string]string{"clients/a.yaml": red})
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb.Writes() && c.Kind == state.KindDeployment }, 0, func(context.Context, memory.Call) error {
		return memory.Fail(provider.Transient, "503 service unavailable")
	})
	for _, id := range ids {
		if _, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil {
			t.Fatal(err)
		}
	}
	v.faults.Clear()
	mail := func() string { return v.content(v.record("A", "mail.a.agency.example")) }
	if mail() != "192.0.2.2" {
		t.Fatal("it has gone none of the way")
	}
	w.push(map[string]string{"clients/a.yaml": client("a", mailAt("192.0.2.1"))})
	w.change = newerProgram
	due := w.restart()
	if got := w.upgradeWaits(); len(got) > 0 {
		t.Errorf("the hold has %v", got)
	}
	for _, d := range due {
		w.pass(d.Client)
	}
	w.pass(w.poll()...)
	w.want("a", state.StatusActive)
	if mail() != "192.0.2.1" {
		t.Errorf("it has a mail server at %s still", mail())
	}
}

// A new version of a secret is a change of those that use it, as a commit is of its clients.
func TestRuleVersionsUpgradeComesWithASecret(t *testing.T) {
	v, w := newVendors(t)
	set := func(value string) []state.ClientID {
		_, ids, err := w.engine.SetSecret("", "mollie", state.NewSecret(value), w.keys.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	set("first-value")
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {KEY: {secret: shared/mollie}}"), "clients/b.yaml": client("b")})
	w.change = newerProgram
	w.restart()
	w.pass(w.poll()...)
	w.pass(set("second-value")...)
	w.want("a", state.StatusActive)
	d, _ := v.world.Serves("a.agency.example")
	if v.world.BuiltWith(d)["KEY"] != "second-value" || v.record("CNAME", "a.agency.example") == "" {
		t.Error("a did not get its secret, or not as this version makes it")
	}
	if got := w.upgradeWaits(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the hold has %v", got)
	}
}

// A state that is put back on a newer version: what that one makes otherwise waits here, too.
func TestRuleVersionsUpgradeWaitsAfterARestore(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	backup := w.backup()
	w.apply(map[string]string{"clients/b.yaml": client("b", "env: {COLOUR: red}")})
	w.change = newerProgram
	v.world.ForgetCalls()
	due := w.restore(backup)
	w.pass(w.poll()...)
	for _, d := range due {
		w.pass(d.Client)
	}
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	if v.record("CNAME", "a.agency.example") != "" {
		t.Error("a is led otherwise, and nobody asked for it")
	}
	if got := w.upgradeWaits(); !slices.Contains(got, "a") {
		t.Errorf("the hold has %v", got)
	}
}

// An approved upgrade that is cut off, or of which one fails, goes on.
func TestRuleVersionsUpgradeIsCutOff(t *testing.T) {
	v, w := newVendors(t)
	files := map[string]string{}
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		files["clients/"+n+".yaml"] = client(n)
	}
	w.apply(files)
	w.change = func(e *reconcile.Engine) {
		newerProgram(e)
		e.Guard = accept.Guard{MaxDeletes: 100, MaxDeletePercent: 100, MaxChanged: 2, MaxCreates: 100}
	}
	w.restart()
	w.pass(w.poll()...)
	o, err := w.engine.Overview()
	if err != nil || len(o.Holds) != 1 {
		t.Fatalf("%+v %v", o.Holds, err)
	}
	now, err := w.engine.Approve(t.Context(), o.Holds[0].Fingerprint, "dana")
	if err != nil || len(now) != 1 {
		t.Fatalf("%v %v", now, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 1, func(context.Context, memory.Call) error { cancel(); return memory.Lost() })
	if _, err := w.engine.Pass(ctx, now[0], reconcile.CauseApprove); err == nil {
		t.Fatal("a pass that was cut off reports an end")
	}
	v.faults.Clear()
	for _, d := range w.restart() {
		w.pass(d.Client)
	}
	w.pass(w.poll()...)
	for n := range maps.Keys(files) {
		name := strings.TrimSuffix(strings.TrimPrefix(n, "clients/"), ".yaml")
		w.want(name, state.StatusActive)
		if v.record("CNAME", name+".agency.example") == "" {
			t.Errorf("%s was left behind", name)
		}
	}
	if o, err = w.engine.Overview(); err != nil || len(o.Holds) > 0 {
		t.Errorf("%+v %v", o.Holds, err)
	}
}

// Whatever happens in whatever order, before and after an upgrade: a client is made as the newer version makes it
// only once somebody asked for something of it, and in the end, when all is approved, everybody is.
func TestRuleVersionsUpgradeInAnyOrder(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { upgradeInAnyOrder(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func upgradeInAnyOrder(t *testing.T, r *rand.Rand) {
	v, w := newVendors(t)
	names := []string{"a", "b", "c", "d", "e"}
	guard := func(e *reconcile.Engine) { e.Guard.MaxChanged = 1 + r.IntN(6) }
	w.change = guard
	w.restart()
	file := func(n string, x int) string {
		return client(n, heal, "dns: {records: [{type: A, name: mail, content: 192.0.2.1}]}", fmt.Sprintf("env: {COLOUR: c%d, KEY: {secret: shared/mollie}}", x))
	}
	secrets := 0
	set := func() []state.ClientID {
		secrets++
		_, ids, err := w.engine.SetSecret("", "mollie", state.NewSecret(fmt.Sprintf("some-value-%d", secrets)), w.keys.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	set()
	files := map[string]string{}
	for _, n := range names {
		files["clients/"+n+".yaml"] = file(n, 0)
	}
	w.apply(files)
	asked, newer, colour := map[string]bool{}, false, 0 // who may be made anew
	pass := func(ids ...state.ClientID) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if r.IntN(4) == 0 { // the program dies at a write
			n := 1 + r.IntN(3)
			v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
				if n--; n == 0 {
					cancel()
					return memory.Lost()
				}
				return nil
			})
			defer v.faults.Clear()
		}
		for _, id := range ids {
			if _, err := w.engine.Pass(ctx, id, reconcile.CauseRetry); err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
		}
		if ctx.Err() != nil {
			v.faults.Clear()
			for _, d := range w.restart() {
				w.pass(d.Client)
			}
		}
	}
	say := []string{}
	for range 25 {
		n := names[r.IntN(len(names))]
		op := r.IntN(10)
		say = append(say, fmt.Sprintf("%d %s", op, n))
		switch op {
		case 0:
			id, err := w.engine.Retry(n, "dana")
			if err != nil {
				t.Fatal(err)
			}
			pass(id)
		case 1, 2:
			id, err := w.engine.SetPaused(n, op == 1, "dana")
			if err != nil {
				t.Fatal(err)
			}
			pass(id)
		case 3:
			if id := v.record("A", "mail."+n+".agency.example"); id != "" {
				v.world.Set(id, "content", "198.51.100.9")
			}
		case 4:
			w.clock.add(time.Hour)
			looks, err := w.engine.Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pass(looks.Due...)
		case 5:
			for _, d := range w.restart() {
				pass(d.Client)
			}
			pass(w.poll()...)
		case 6:
			colour++
			asked[n] = true
			pass(w.push(map[string]string{"clients/" + n + ".yaml": file(n, colour)})...)
		case 7:
			if r.IntN(4) == 0 {
				for _, x := range names {
					asked[x] = true
				}
				pass(set()...)
			}
		case 8:
			if !newer {
				clear(asked)
				// Who is not at rest by now is carried out as it is wished then, and who has yet to get a secret.
				for _, x := range names {
					if c := w.stored(w.id(x)); v.has(x, "KEY") != fmt.Sprintf("some-value-%d", secrets) || !c.Settled || c.Status != state.StatusActive && c.Converged != c.WishHash {
						asked[x] = true
					}
				}
			}
			newer = true
			w.change = func(e *reconcile.Engine) { guard(e); newerProgram(e) }
			for _, d := range w.restart() {
				pass(d.Client)
			}
		case 9:
			w.clock.add(10 * time.Minute)
			for _, x := range names {
				pass(w.id(x))
			}
		}
		for _, x := range names {
			if v.record("CNAME", x+".agency.example") != "" && !asked[x] {
				t.Fatalf("after %v %s is led otherwise, and nobody asked for it", say, x)
			}
			if _, ok := v.world.Serves(x + ".agency.example"); !ok {
				t.Fatalf("after %v %s is down", say, x)
			}
		}
	}
	w.change = func(e *reconcile.Engine) { guard(e); newerProgram(e) }
	w.restart()
	for range 30 {
		w.pass(w.poll()...)
		for _, n := range names {
			id, err := w.engine.SetPaused(n, false, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(id)
		}
		o, err := w.engine.Overview()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range o.Holds {
			ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil && !errors.Is(err, reconcile.ErrNoHold) {
				t.Fatal(err)
			}
			w.pass(ids...)
		}
		w.clock.add(10 * time.Minute)
		if len(o.Holds) == 0 {
			break
		}
	}
	for _, n := range names {
		w.want(n, state.StatusActive)
		if v.record("CNAME", n+".agency.example") == "" {
			t.Errorf("after %v %s is made as the older version made it", say, n)
		}
	}
}
