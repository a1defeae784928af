package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// proposed is a pull request with these files on top of the branch, planned and on record.
func (w *world) proposed(number int, files map[string]string) state.Pull {
	w.t.Helper()
	base, at, err := w.repo.Tree(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	p := state.Pull{Number: number, Open: true, Head: w.repo.branch(files, base), Base: base, Files: map[string]string{}}
	_, merged, err := w.repo.Tree(w.t.Context(), p.Head)
	if err != nil {
		w.t.Fatal(err)
	}
	j, err := w.engine.Judge(w.t.Context(), reconcile.Proposal{Commit: p.Head, Base: base, Branch: "main", At: at, Merged: merged})
	if err != nil {
		w.t.Fatal(err)
	}
	p.Planned, p.Clients, p.Shown, p.Sources = p.Head, j.Clients, j.Shown, j.Sources
	for _, path := range w.repo.differ(base, p.Head) {
		p.Files[path] = w.repo.trees[p.Head][path]
	}
	w.putPull(p)
	return p
}

func (w *world) putPull(p state.Pull) {
	w.t.Helper()
	if err := w.store.Update(func(tx store.Tx) error { return store.PutPull(tx, p) }); err != nil {
		w.t.Fatal(err)
	}
}

// merge merges a commit of a branch as it is, with these files of its own.
func (w *world) merge(head string, files map[string]string) []state.ClientID {
	w.t.Helper()
	w.repo.commit(files, head)
	return w.poll()
}

// waits are the reasons of what is held.
func (w *world) waits(kind state.HoldKind) (out []state.Hold) {
	w.t.Helper()
	o, err := w.engine.Overview()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range o.Holds {
		if h.Kind == kind {
			out = append(out, h)
		}
	}
	return out
}

// P12: what was pushed onto a pull request after its plan, and merged at once, waits where
// it bears a risk, also in files that the plan did not touch; an approval lets it run.
func TestP12WhatWasPushedAfterThePlanWaits(t *testing.T) {
	v, w := newVendors(t)
	files := map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]"), "clients/b.yaml": client("b", "aliases: [www.b.example]")}
	w.apply(maps.Clone(files))
	first := map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]", "env: {COLOUR: red}")}
	p := w.proposed(1, first)
	files = maps.Clone(first)
	files["clients/b.yaml"] = client("b") // nobody planned that its alias goes
	later := w.repo.branch(map[string]string{"clients/b.yaml": files["clients/b.yaml"]}, p.Head)
	v.world.ForgetCalls()
	w.pass(w.merge(later, files)...)
	w.want("a", state.StatusActive)
	w.want("b", state.StatusHeld)
	holds := w.waits(state.HoldRisk)
	if len(holds) != 1 || !strings.HasPrefix(string(holds[0].Client), "b-") {
		t.Fatalf("held: %+v", holds)
	}
	if _, ok := v.world.Serves("www.b.example"); !ok {
		t.Error("what waits was done")
	}
	ids, err := w.engine.Approve(t.Context(), holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("b", state.StatusActive)
	if _, ok := v.world.Serves("www.b.example"); ok {
		t.Error("an approval changed nothing")
	}
}

// P12: a pull request that was merged before anybody planned it waits where it bears a risk.
func TestP12WhatWasNeverPlannedWaits(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
	files := map[string]string{"clients/a.yaml": client("a")}
	base, _, err := w.repo.Tree(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p := state.Pull{Number: 1, Open: true, Head: w.repo.branch(files, base)}
	w.putPull(p)
	w.pass(w.merge(p.Head, files)...)
	w.want("a", state.StatusHeld)
	if holds := w.waits(state.HoldRisk); len(holds) != 1 {
		t.Errorf("held: %+v", holds)
	}
}

// P12: a plan that the forge would not take (a limit, an outage, a permission that is missing)
// nobody has seen: the branch moved since the one that people see, and what is riskier by that
// waits, however it is merged. One that is merely next in the outbox counts.
func TestP12PlanThatCouldNotBeToldWasNotShown(t *testing.T) {
	for _, what := range []string{"pull/1/plan", "head/%s/plan"} {
		for tries, want := range map[int]state.Status{0: state.StatusActive, 3: state.StatusHeld} {
			_, w := newVendors(t)
			w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
			files := map[string]string{"clients/a.yaml": client("a")}
			p := w.proposed(1, files)
			if strings.Contains(what, "%s") {
				what = fmt.Sprintf(what, p.Head)
			}
			err := w.store.Update(func(tx store.Tx) error {
				_, err := store.AddReport(tx, state.Report{Subject: what, State: "success", Text: "1 client changes", Detail: "the plan", Tries: tries, At: w.clock.Now()})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			w.pass(w.merge(p.Head, files)...)
			w.want("a", want)
		}
	}
}

// P12: a push that nobody proposed does not let run what a pull request brought before and
// no plan showed; once that is done, pushes go on as ever.
func TestP12APushLetsNothingRunThatWaits(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
	p := w.proposed(1, map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]", "notes: one")})
	files := map[string]string{"clients/a.yaml": client("a", "notes: one")}
	w.pass(w.merge(w.repo.branch(files, p.Head), files)...)
	w.want("a", state.StatusHeld)
	w.apply(map[string]string{"clients/a.yaml": client("a", "notes: two")})
	w.want("a", state.StatusHeld)
	for _, h := range w.waits(state.HoldRisk) {
		ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	w.want("a", state.StatusActive)
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
	w.want("a", state.StatusActive)
}

// P12: what no plan showed waits until the wish is done, and it is not while a person has yet to
// set a record: that our own of another client, which answered for it, goes in the very pass
// that did all else ends nothing.
func TestP12AWishIsNotDoneWhileARecordIsAskedFor(t *testing.T) {
	s := newVendorsByHand(t)
	v, w := s.vendors, s.world
	w.apply(map[string]string{"clients/b.yaml": client("b", "aliases: [shop.example]")})
	a := func(more ...string) string {
		return client("a", append(more, "aliases: [shop.example]", "dns: {provider: external}")...)
	}
	p := w.proposed(1, map[string]string{"clients/a.yaml": a()})
	w.repo.commit(map[string]string{"clients/b.yaml": client("b")})
	files := map[string]string{"clients/a.yaml": a("notes: pushed")}
	w.pass(w.merge(w.repo.branch(files, p.Head), files)...)
	for _, r := range s.asked() { // a's own name; shop.example leads to its host by our record
		s.setByHand(r)
	}
	w.pass(w.id("a"))
	for _, kind := range []state.HoldKind{state.HoldData, state.HoldRisk} { // that ours goes, that the name moves
		for _, h := range w.waits(kind) {
			ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(ids...)
		}
	}
	if r := w.row("a"); !strings.Contains(r.Because, "Set the record A shop.example") {
		t.Fatalf("a: %+v", r)
	}
	was, _ := v.world.Serves("a.agency.example")
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	if now, _ := v.world.Serves("a.agency.example"); now != was || was == "" || len(w.waits(state.HoldRisk)) != 1 {
		t.Errorf("a.agency.example is served by %s, was %s; waits: %+v", now, was, w.waits(state.HoldRisk))
	}
}

// P12: "a step runs if an equal step was reviewed in the accepted range", and until a wish is done
// the next one's range goes on from it: what a merged plan showed, a push took back and a later pull
// request does without a plan runs, whether or not somebody polled in between. When the push was
// carried out, it is over, and the step waits.
func TestP12WhatWasShownCountsUntilTheWishIsDone(t *testing.T) {
	with, without := client("a", "aliases: [www.a.example]"), client("a")
	for _, c := range []struct {
		name         string
		polled, done bool
		want         state.Status
	}{
		{"one range", false, false, state.StatusActive},
		{"two ranges", true, false, state.StatusActive},
		{"done in between", true, true, state.StatusHeld},
	} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": with})
		one := map[string]string{"clients/a.yaml": without}
		w.repo.commit(one, w.proposed(1, one).Head)
		w.repo.commit(map[string]string{"clients/a.yaml": with + "notes: pushed\n"})
		var due []state.ClientID
		if c.polled {
			due = w.poll()
		}
		if c.done {
			w.pass(due...)
			w.want("a", state.StatusActive)
		}
		two := w.proposed(2, map[string]string{"clients/a.yaml": with + "notes: planned\n"})
		files := map[string]string{"clients/a.yaml": without + "notes: later\n"}
		w.pass(w.merge(w.repo.branch(files, two.Head), files)...)
		w.want("a", c.want)
		if _, up := v.world.Serves("www.a.example"); up != c.done {
			t.Errorf("%s: the name is up: %v", c.name, up)
		}
	}
}

// P12: a template that a pull request changed after its plan is what its clients' new wish
// comes from, too, where their own files were pushed beside it.
func TestP12AnInheritedChangeWaitsToo(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	p := w.proposed(1, map[string]string{"clients/b.yaml": client("b")})
	files := map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)}
	later := w.repo.branch(files, p.Head)
	w.repo.commit(map[string]string{"clients/a.yaml": client("a", "notes: pushed")})
	files["clients/b.yaml"] = client("b")
	w.pass(w.merge(later, files)...)
	w.want("a", state.StatusHeld)
	w.want("b", state.StatusActive)
}

// A pull request's files that are not known by commit may be any of the range.
func TestP12CommitsWhoseFilesAreNotKnown(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]")})
	p := w.proposed(1, map[string]string{"clients/b.yaml": client("b")})
	files := map[string]string{"clients/a.yaml": client("a")}
	later := w.repo.branch(files, p.Head)
	files["clients/b.yaml"] = client("b")
	w.engine.Repo = vague{w.repo}
	w.pass(w.merge(later, files)...)
	w.want("a", state.StatusHeld)
}

// vague does not say which files a commit changed.
type vague struct{ *repository }

func (v vague) Range(ctx context.Context, from, head string) (reconcile.Range, error) {
	rg, err := v.repository.Range(ctx, from, head)
	for i := range rg.Commits {
		rg.Commits[i] = accept.Commit{ID: rg.Commits[i].ID, Parents: rg.Commits[i].Parents}
	}
	return rg, err
}

// P12: what a pull request brought and was not valid then waits, too, when what others do
// makes it valid.
func TestP12WhatBecomesValidLaterWaits(t *testing.T) {
	at := func(name, domain string) string {
		return strings.Replace(client(name), "domain: "+name+"\n", "domain: "+domain+"\n", 1)
	}
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": at("b", "shop.example")})
	p := w.proposed(1, map[string]string{"clients/a.yaml": client("a", "notes: one")})
	files := map[string]string{"clients/a.yaml": at("a", "shop.example")}
	w.pass(w.merge(w.repo.branch(files, p.Head), files)...)
	if r := w.row("a"); !strings.Contains(r.Because, "Its last good version stays") {
		t.Fatalf("a: %+v", r)
	}
	w.restart()
	w.apply(map[string]string{"clients/b.yaml": client("b")})
	w.want("b", state.StatusActive)
	w.want("a", state.StatusHeld)
	if _, ok := v.world.Serves("a.agency.example"); !ok {
		t.Error("what waits was done")
	}
	for _, h := range w.waits(state.HoldRisk) {
		ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	w.want("a", state.StatusActive)
}

// P12: what a pull request brought that no plan showed waits, too, when its file was not valid
// and another pull request, merged as it was planned, or a push changed it before it was. Of what
// nobody proposed the guard alone decides.
func TestP12WhatWasRefusedAndChangedSinceWaits(t *testing.T) {
	at := func(domain string, more ...string) map[string]string {
		return map[string]string{"clients/a.yaml": strings.Replace(client("a", more...), "domain: a\n", "domain: "+domain+"\n", 1)}
	}
	for name, tt := range map[string]struct {
		proposed, planned bool // the first, which is refused
		second            bool // it is a pull request
		shows             bool // what the first brought
	}{
		"no plan, then a pull request": {true, false, true, false},
		"no plan, then a push":         {true, false, false, false},
		"two pull requests":            {true, true, true, true},
		"a push, then a pull request":  {false, false, true, true},
	} {
		v, w := newVendors(t)
		w.engine.Guard.ReviewedOnly = true
		w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
		w.apply(map[string]string{"clients/a.yaml": at("b")["clients/a.yaml"], "clients/b.yaml": ""}) // b's removal is held
		first, both := at("b", "env: {COLOUR: blue}"), at("b", "env: {COLOUR: blue}", "settings: {theme: dark}")
		p := w.proposed(1, at("b", "env: {COLOUR: red}"))
		if tt.planned {
			p = w.proposed(1, first)
		}
		q := w.proposed(2, at("b", "settings: {theme: dark}"))
		if tt.planned {
			w.pass(w.merge(p.Head, first)...)
		} else if tt.proposed {
			w.pass(w.merge(w.repo.branch(first, p.Head), first)...)
		} else {
			w.apply(first)
		}
		if r := w.row("a"); !strings.Contains(r.Because, "Its last good version stays") {
			t.Fatalf("%s: %+v", name, r)
		}
		if tt.second {
			w.pass(w.merge(q.Head, both)...)
		} else {
			w.apply(both)
		}
		for _, h := range w.waits(state.HoldGuard) {
			ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(ids...)
		}
		d, ok := v.world.Serves("a.agency.example")
		if blue := v.world.BuiltWith(d)["COLOUR"] == "blue"; !ok || blue != tt.shows {
			t.Errorf("%s: up %t, blue %t: %s", name, ok, blue, w.row("a").Because)
		}
	}
}

// P12: what was refused at one place binds at another one, too: the file moves to another folder,
// or its client gets another name, at once or by a file that is refused first.
func TestP12WhatWasRefusedElsewhereWaits(t *testing.T) {
	second := strings.Replace(template, "ref: v1", "ref: v2", 1)
	renamed := strings.Replace(client("c", "previously: [a]"), "domain: c\n", "domain: a\n", 1)
	for name, tt := range map[string]struct {
		is     string
		pushed []map[string]string
	}{
		"it stays": {"a", []map[string]string{{"clients/a.yaml": client("a", "notes: pushed"), "templates/shop.yaml": second}}},
		"it moves": {"a", []map[string]string{{"clients/a.yaml": "", "clients/eu/a.yaml": client("a", "notes: pushed"), "templates/shop.yaml": second}}},
		"it moves, and is still refused": {"a", []map[string]string{{"clients/a.yaml": "", "clients/eu/a.yaml": client("a", "nonsense: 2")},
			{"clients/eu/a.yaml": client("a", "notes: pushed"), "templates/shop.yaml": second}}},
		"another name": {"c", []map[string]string{{"clients/a.yaml": "", "clients/c.yaml": renamed, "templates/shop.yaml": second}}},
		"another name, refused first": {"c", []map[string]string{{"clients/a.yaml": "", "clients/c.yaml": renamed + "nonsense: 2\n"},
			{"clients/c.yaml": renamed, "templates/shop.yaml": second}}},
	} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
		p := w.proposed(1, map[string]string{"clients/a.yaml": client("a", "notes: planned")})
		files := map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}", "nonsense: 1")}
		w.pass(w.merge(w.repo.branch(files, p.Head), files)...)
		was, ok := v.world.Serves("a.agency.example")
		for _, files := range tt.pushed {
			w.apply(files)
		}
		if now, up := v.world.Serves("a.agency.example"); !ok || !up || now != was || w.row(tt.is).Status != string(state.StatusHeld) || len(w.waits(state.HoldRisk)) != 1 {
			t.Errorf("%s: %+v, served by %s, was %s; waits: %+v", name, w.row(tt.is), now, was, w.waits(state.HoldRisk))
		}
	}
}

// refusedAtTheMerge is a world of a and b in which a pull request planned a change of a, and what
// was merged of it is refused. removed: a removal of a, which no plan showed, was held before.
func refusedAtTheMerge(t *testing.T, removed bool) (*vendors, *world) {
	t.Helper()
	v, w := newVendors(t)
	w.engine.Guard.ReviewedOnly = true
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	if removed {
		w.apply(map[string]string{"clients/a.yaml": ""})
	}
	p := w.proposed(1, map[string]string{"clients/a.yaml": client("a", "notes: planned")})
	files := map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}", "nonsense: 1")}
	w.pass(w.merge(w.repo.branch(files, p.Head), files)...)
	return v, w
}

// P12: a file can say that it was a client which its own commits remove, and then what was refused
// of that one binds. Of one that an earlier commit removed it says it in vain: what comes so is
// another client, which says so (`database.reuse: fresh`), and nothing of that one's refused return is its own.
func TestP12WhatWasRefusedIsNotThatOfANewClient(t *testing.T) {
	at := func(more ...string) map[string]string {
		return map[string]string{"clients/a.yaml": "", "clients/c.yaml": strings.Replace(client("c", more...), "domain: c\n", "domain: a\n", 1)}
	}
	for name, tt := range map[string]struct {
		removed bool // by an earlier commit
		said    string
		want    state.Status
	}{
		"removed with it":         {false, "nonsense: 2", state.StatusHeld},
		"removed before":          {true, "notes: said", state.StatusActive},
		"removed before, refused": {true, "nonsense: 2", state.StatusActive},
	} {
		v, w := refusedAtTheMerge(t, tt.removed)
		was, ok := v.world.Serves("a.agency.example")
		w.apply(at("previously: [a]", tt.said))
		w.apply(at("database: {reuse: fresh}"))
		for _, h := range w.waits(state.HoldGuard) {
			ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(ids...)
		}
		now, up := v.world.Serves("a.agency.example")
		if waits := now == was; !ok || !up || w.row("c").Status != string(tt.want) || waits != (tt.want == state.StatusHeld) || waits != (len(w.waits(state.HoldRisk)) == 1) {
			t.Errorf("%s: %+v, served by %s, was %s; waits: %+v", name, w.row("c"), now, was, w.waits(state.HoldRisk))
		}
	}
}

// P12: the version of a file that its client has all along holds nothing of those that were
// refused since: whoever gives it back brings nothing of what no plan showed. Whose client was
// removed has no version any more.
func TestP12WhoGivesBackTheGoodVersionBringsNothingThatWasRefused(t *testing.T) {
	second := strings.Replace(template, "ref: v1", "ref: v2", 1)
	reserved := "apiVersion: reconciler/v1\nkind: Platform\nreserved: [a]\n"
	for name, tt := range map[string]struct {
		removed bool
		pushed  []map[string]string
		want    state.Status
	}{
		"with a template": {pushed: []map[string]string{{"clients/a.yaml": client("a"), "templates/shop.yaml": second}}, want: state.StatusActive},
		"before it is changed": {pushed: []map[string]string{{"clients/a.yaml": client("a"), "platform.yaml": reserved},
			{"clients/a.yaml": client("a", "env: {COLOUR: blue}"), "platform.yaml": ""}}, want: state.StatusActive},
		"not at all":       {pushed: []map[string]string{{"clients/a.yaml": client("a", "notes: pushed"), "templates/shop.yaml": second}}, want: state.StatusHeld},
		"of a removed one": {removed: true, pushed: []map[string]string{{"clients/a.yaml": client("a"), "templates/shop.yaml": second}}, want: state.StatusHeld},
	} {
		v, w := refusedAtTheMerge(t, tt.removed)
		was, ok := v.world.Serves("a.agency.example")
		for _, files := range tt.pushed {
			w.apply(files)
		}
		now, up := v.world.Serves("a.agency.example")
		if waits := now == was; !ok || !up || w.row("a").Status != string(tt.want) || waits != (tt.want == state.StatusHeld) || waits != (len(w.waits(state.HoldRisk)) == 1) {
			t.Errorf("%s: %+v, served by %s, was %s; waits: %+v", name, w.row("a"), now, was, w.waits(state.HoldRisk))
		}
	}
}

// P12: a head that is judged again gives a client a second wish; what pull requests showed
// of that is not that of the first.
func TestP12ASecondWishOfOneHeadWaitsToo(t *testing.T) {
	at := func(name, domain string) string {
		return strings.Replace(client(name), "domain: "+name+"\n", "domain: "+domain+"\n", 1)
	}
	_, w := newVendors(t)
	w.engine.Guard.ReviewedOnly = true
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": at("b", "shop.example")})
	p := w.proposed(1, map[string]string{"clients/a.yaml": client("a", "notes: one")})
	files := map[string]string{"clients/a.yaml": at("a", "shop.example")}
	w.pass(w.merge(w.repo.branch(files, p.Head), files)...)
	// The name goes by a push that nobody proposed, and so it is held; a gets a new wish from
	// its template.
	w.apply(map[string]string{"clients/b.yaml": client("b"), "templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	for range 2 {
		for _, h := range w.waits(state.HoldGuard) {
			ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(ids...)
		}
	}
	w.want("b", state.StatusActive)
	w.want("a", state.StatusHeld)
	if holds := w.waits(state.HoldRisk); len(holds) == 0 {
		t.Errorf("held: %+v", holds)
	}
}

// P12: what was pushed beside a squash of what was planned is judged by the guard alone; of
// one whose last push nobody planned, whatever may be its own waits.
func TestP12PushesBesideASquash(t *testing.T) {
	for _, late := range []bool{false, true} {
		_, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]"), "clients/b.yaml": client("b")})
		files := map[string]string{"clients/b.yaml": client("b", "env: {COLOUR: red}")}
		p := w.proposed(1, files)
		w.repo.commit(map[string]string{"clients/a.yaml": client("a")}) // pushed
		if late {
			files = map[string]string{"clients/b.yaml": client("b", "env: {COLOUR: blue}")}
			p.Head = w.repo.branch(files, p.Head)
		}
		p.Open, p.Merged, p.MergeCommit = false, true, w.repo.commit(files)
		w.putPull(p)
		w.pass(w.poll()...)
		want := state.StatusActive
		if late {
			want = state.StatusHeld
		}
		w.want("a", want)
		w.want("b", want)
	}
}

// P12: a rebase makes each commit anew. One gave a client a name, the next took it back, and the
// branch got the same name meanwhile: of the rebase only what takes it back is left, which no
// plan showed. It waits; of a squash, and of a merge, nothing of it comes.
func TestP12RebaseOfWhatWasTakenBack(t *testing.T) {
	for _, how := range []string{"rebase", "squash", "merge"} {
		v, w := newVendors(t)
		without, with := client("a"), client("a", "aliases: [www.a.example]")
		w.apply(map[string]string{"clients/a.yaml": without, "clients/b.yaml": client("b")})
		files := map[string]string{"clients/b.yaml": client("b", "env: {COLOUR: red}")}
		p := w.proposed(1, files)
		p.Commits = 3 // gives a its alias, takes it back, changes b
		w.apply(map[string]string{"clients/a.yaml": with})
		w.want("a", state.StatusActive)
		switch how {
		case "rebase":
			w.repo.commit(map[string]string{"clients/a.yaml": without})
			p.MergeCommit = w.repo.commit(files)
		case "squash":
			p.MergeCommit = w.repo.commit(files)
		case "merge":
			p.MergeCommit = w.repo.commit(files, p.Head)
		}
		p.Open, p.Merged = false, true
		w.putPull(p)
		w.pass(w.poll()...)
		w.want("b", state.StatusActive)
		w.want("a", map[bool]state.Status{true: state.StatusHeld, false: state.StatusActive}[how == "rebase"])
		if _, ok := v.world.Serves("www.a.example"); !ok {
			t.Errorf("%s: www.a.example is down, and no plan showed it: %+v", how, w.row("a"))
		}
	}
}

// P12: of a pull request that conflicted no plan knows the files. When it is rebased, only its
// last commit is known to be its own, and those before may be: what bears a risk waits.
func TestP12RebaseOfWhatConflicted(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]"), "clients/b.yaml": client("b")})
	files := map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "notes: one")}
	p := w.proposed(1, files)
	p.Files, p.Shown, p.Static = map[string]string{"clients/b.yaml": state.Unmerged}, nil, true
	w.repo.commit(map[string]string{"clients/a.yaml": client("a")})
	p.Open, p.Merged, p.MergeCommit = false, true, w.repo.commit(map[string]string{"clients/b.yaml": client("b", "notes: one")})
	w.putPull(p)
	w.pass(w.poll()...)
	w.want("a", state.StatusHeld)
	w.want("b", state.StatusActive)
}

// P2, P12: a name that a client gave away by an earlier commit, and has still as it is paused, is shown as one that
// moves from there, to whom a pull request gives it now; nothing else of that client is. What was shown runs when
// the other one goes on, and asks nobody.
func TestP12NameOfWhoIsPausedIsShownAsAMove(t *testing.T) {
	v, w := newVendors(t)
	alias := "aliases: [shop.example]"
	w.apply(map[string]string{"clients/a.yaml": client("a", alias, "env: {COLOUR: red}"), "clients/b.yaml": client("b"), "clients/z.yaml": client("z")})
	if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: blue}")})
	files := map[string]string{"clients/b.yaml": client("b", alias)}
	base, at, err := w.repo.Tree(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	head := w.repo.branch(files, base)
	_, merged, err := w.repo.Tree(t.Context(), head)
	if err != nil {
		t.Fatal(err)
	}
	j, err := w.engine.Judge(t.Context(), reconcile.Proposal{Commit: head, Base: base, Branch: "main", At: at, Merged: merged})
	if err != nil {
		t.Fatal(err)
	}
	alone, err := w.engine.PreviewOf(t.Context(), head, merged, []string{"b"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []reconcile.Preview{j.Preview, alone} {
		var lines []string
		for _, c := range p.Changes {
			for _, s := range c.Steps {
				if s.Action != "probe" && s.Action != "record" {
					lines = append(lines, fmt.Sprintf("%s: %s %s !%s %s", c.Client, s.Action, s.Ref, s.Risk, s.Reason))
				}
			}
		}
		want := []string{"b: move domain/shop.example@vercel !traffic waiting for a, which is paused and gives this on", "b: move record/A shop.example !traffic waiting for a, which is paused and gives this on"}
		if !slices.Equal(lines, want) {
			t.Errorf("shown: %s", strings.Join(lines, "\n"))
		}
	}
	w.pass(w.merge(w.proposed(1, files).Head, files)...)
	w.resume("a")
	w.want("a", state.StatusActive)
	w.want("b", state.StatusActive)
	if by := v.servedBy("shop.example"); by != w.id("b") {
		t.Errorf("shop.example is served by %q", by)
	}
}
