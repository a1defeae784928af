package review

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// A pull request is planned once, told once, and costs nothing more until something moves.
func TestPlannedOnce(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	d.look()
	d.wantStatus(head, "plan", forge.Success, "bakery")
	d.wantStatus(head, "validate", forge.Success, "1 manifest valid")
	if all := d.said(1, report.KindPlan); len(all) != 1 {
		t.Fatalf("comments: %q", all)
	}
	writes, judged := d.writes(), len(d.judged)
	if writes != 3 {
		t.Errorf("one plan costs %d writes", writes)
	}
	d.later(time.Hour)
	d.look()
	if d.writes() != writes || len(d.judged) != judged {
		t.Errorf("looking costs %d writes and %d plans", d.writes()-writes, len(d.judged)-judged)
	}
	if n := d.forge.calls["Pull"]; n > 0 {
		t.Errorf("it is asked for by its number %d times", n)
	}
}

// What waits is tried at once when the forge is back, and not at every look.
func TestOutageEnds(t *testing.T) {
	d := newDesk(t)
	d.retold = 0
	d.sync()
	if d.retold != 0 {
		t.Error("told again at a look")
	}
	d.forge.fault = func(string, ...any) error { return forge.ErrAway }
	if _, err := d.Sync(t.Context()); !errors.Is(err, forge.ErrAway) {
		t.Errorf("Sync: %v", err)
	}
	d.forge.fault = nil
	d.sync()
	d.sync()
	if d.retold != 1 {
		t.Errorf("told again %d times", d.retold)
	}
}

// A pull request that the forge has not any more is closed; one that it can't tell of stays.
func TestPullRequestThatIsGone(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	p := d.forge.pulls[1]
	delete(d.forge.pulls, 1)
	d.forge.fault = func(m string, _ ...any) error {
		if m == "Pull" {
			return forge.ErrAway
		}
		return nil
	}
	if _, err := d.Sync(t.Context()); !errors.Is(err, forge.ErrAway) || !d.record(1).Open {
		t.Errorf("Sync: %v; open %t", err, d.record(1).Open)
	}
	d.forge.fault = nil
	d.sync()
	if r := d.record(1); r.Open || r.Head != p.Head {
		t.Errorf("%+v", r)
	}
}

// The statuses of a head that was pushed over before anybody planned it end.
func TestP9OvertakenHeadsEnd(t *testing.T) {
	d := newDesk(t)
	first := d.open(1, "one", "bakery")
	d.look()
	second := d.open(1, "two", "bakery")
	d.open(9, "two", "bakery") // another one of that commit, which is over
	p := d.forge.pulls[9]
	d.sync() // it is seen, and rests
	p.Open = false
	d.forge.pulls[9] = p
	d.look()
	if err := d.tell(); err != nil {
		t.Fatal(err)
	}
	third := d.open(1, "3", "bakery")
	d.later(20 * time.Second)
	d.look()
	d.wantStatus(first, "plan", forge.Success, "bakery")
	d.wantStatus(second, "plan", forge.Error, "overtaken by "+third[:7])
	d.wantStatus(second, "validate", forge.Error, "overtaken by "+third[:7])
	d.wantStatus(third, "plan", forge.Success, "bakery")
	if all := d.said(1, report.KindPlan); len(all) != 1 {
		t.Errorf("comments: %q", all)
	}
}

// Whoever pushes again and again is planned when he rests, or has waited enough.
func TestPushesRest(t *testing.T) {
	d := newDesk(t)
	d.open(1, "0", "bakery")
	d.look()
	for i := range 6 {
		d.later(4 * time.Second)
		d.open(1, string(rune('a'+i)), "bakery")
		d.look()
	}
	// 4 s apart none rests for 5 s; after 15 s of patience one is planned all the same.
	if n := len(d.judged); n != 2 {
		t.Errorf("planned %d times", n)
	}
}

// What another pull request has as its head, too, is not ended by whoever leaves it.
func TestHeadOfTwoPullRequests(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	d.look()
	d.open(2, "two", "bakery")
	d.look()
	d.open(2, "one", "bakery") // the same commit, not planned yet for this one
	d.sync()
	d.open(2, "3", "bakery")
	d.later(20 * time.Second)
	d.look()
	d.wantStatus(head, "plan", forge.Success, "bakery")

	d.open(2, "one", "bakery")
	d.sync()
	p := d.forge.pulls[2]
	p.Open = false
	d.forge.pulls[2] = p
	d.look()
	d.wantStatus(head, "plan", forge.Success, "bakery")
}

// A pull request that closes says so on its comment, and is planned again when it is opened
// again; its head is the same, and its words come back.
func TestClosedAndOpenedAgain(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	d.look()
	p := d.forge.pulls[1]
	p.Open = false
	d.forge.pulls[1] = p
	d.look()
	if all := d.said(1, report.KindPlan); len(all) != 1 || !contains(all[0], "Closed without a merge") {
		t.Fatalf("comments: %q", all)
	}
	if r := d.record(1); len(r.Files) > 0 || len(r.Shown) > 0 {
		t.Errorf("it keeps %d files of a plan that nobody asks for", len(r.Files))
	}
	d.wantStatus(head, "plan", forge.Success, "bakery")
	p.Open = true
	d.forge.pulls[1] = p
	d.look()
	if all := d.said(1, report.KindPlan); len(all) != 1 || contains(all[0], "Closed") || !contains(all[0], "bakery") {
		t.Errorf("comments: %q", all)
	}
	if r := d.record(1); len(r.Files) != 1 || !slices.Equal(r.Shown, []string{"print-bakery"}) {
		t.Errorf("files %v, shown %v", r.Files, r.Shown)
	}
}

// One that closes before its comment was written says so, too.
func TestClosedBeforeItWasTold(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.sync()
	p := d.forge.pulls[1]
	p.Open = false
	d.forge.pulls[1] = p
	d.look()
	if all := d.said(1, report.KindPlan); len(all) != 1 || !contains(all[0], "Closed without a merge") {
		t.Fatalf("comments: %q", all)
	}
}

// One that asks for another branch now is closed here, and is no merge of ours when it is
// merged there; when it comes back it is planned again.
func TestRetargeted(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	p := d.forge.pulls[1]
	p.BaseRef = "release"
	d.forge.pulls[1] = p
	d.look()
	if r := d.record(1); r.Open || r.Merged {
		t.Errorf("open %t, merged %t", r.Open, r.Merged)
	}
	if all := d.said(1, report.KindPlan); len(all) != 1 || contains(all[0], "Closed") || !contains(all[0], "for the branch release") {
		t.Errorf("it is open, and for another branch: %q", all)
	}
	p.Open, p.Merged, p.MergeCommit = false, true, commitID("elsewhere")
	d.forge.pulls[1] = p
	d.look()
	if r := d.record(1); r.Merged || r.MergeCommit != "" {
		t.Errorf("merged into another branch: %+v", r)
	}
	p.Open, p.Merged, p.MergeCommit, p.BaseRef = true, false, "", "main"
	d.forge.pulls[1] = p
	d.look()
	if r := d.record(1); !r.Open || r.Planned != r.Head {
		t.Errorf("open %t, planned %q", r.Open, r.Planned)
	}
	if all := d.said(1, report.KindPlan); len(all) != 1 || contains(all[0], "Closed") {
		t.Errorf("comments: %q", all)
	}
}

// One that was merged into another branch before we came to see that it asks for it is no
// merge of ours either.
func TestRetargetedAndMerged(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	p := d.forge.pulls[1]
	p.Open, p.Merged, p.MergeCommit, p.BaseRef = false, true, commitID("elsewhere"), "release"
	d.forge.pulls[1] = p
	d.look()
	if r := d.record(1); r.Open || r.Merged || r.MergeCommit != "" {
		t.Errorf("merged into another branch: %+v", r)
	}
}

// A head that was planned comes back after one that could not be: its words come back, too.
func TestPushedBackAfterAFailure(t *testing.T) {
	d := newDesk(t)
	first := d.open(1, "one", "bakery")
	d.look()
	second := d.open(1, "two", "bakery")
	d.broken = errors.New("the repository is away")
	for range tellFailures + 1 {
		d.later(time.Hour)
		d.look()
	}
	d.wantStatus(second, "plan", forge.Error, "the repository is away")
	if all := d.said(1, report.KindPlan); len(all) != 1 || !contains(all[0], "could not be made") {
		t.Fatalf("comments: %q", all)
	}
	d.broken = nil
	d.open(1, "one", "bakery")
	d.later(time.Minute)
	d.look()
	d.wantStatus(first, "plan", forge.Success, "bakery")
	if all := d.said(1, report.KindPlan); len(all) != 1 || contains(all[0], "could not be made") {
		t.Errorf("comments: %q", all)
	}
}

// A plan that fails again and again in the same way is told as an error, once; after some
// failures a comment says so, and none of it is written at every try.
func TestP9FailuresAreToldAndNotRepeated(t *testing.T) {
	d := newDesk(t)
	d.broken = errors.New("the repository is away")
	head := d.open(1, "one", "bakery")
	d.look()
	d.wantStatus(head, "plan", forge.Error, "the repository is away")
	d.wantStatus(head, "validate", forge.Error, "the repository is away")
	if all := d.said(1, report.KindPlan); len(all) != 0 {
		t.Errorf("the first failure comments: %q", all)
	}
	for range tellFailures {
		d.later(time.Hour)
		d.look()
	}
	if all := d.said(1, report.KindPlan); len(all) != 1 || !contains(all[0], "could not be made") {
		t.Fatalf("comments: %q", all)
	}
	writes := d.writes()
	for range 48 {
		d.later(time.Hour)
		d.look()
	}
	if n := d.writes() - writes; n > 0 {
		t.Errorf("two days of the same failure cost %d writes", n)
	}
	d.broken = nil
	d.later(time.Hour)
	d.look()
	d.wantStatus(head, "plan", forge.Success, "bakery")
	d.wantStatus(head, "validate", forge.Success, "")
}

// P9: the clock was ahead when a plan failed, and only its next try tells so after a start: that
// is not waited for.
func TestP9NextTryIsNotWaitedForWhenTheClockIsSetBack(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, 9 * 24 * time.Hour, 20 * 365 * 24 * time.Hour} {
		d := newDesk(t)
		d.broken = errors.New("the repository is away")
		head := d.open(1, "one", "bakery")
		d.look()
		d.later(ahead)
		d.look()
		d.later(-ahead)
		d.broken = nil
		d.later(maxRetry)
		d.look()
		d.wantStatus(head, "plan", forge.Success, "bakery")
	}
}

// A head that failed, was left and comes back has statuses that end.
func TestP9TheSameFailureAfterAnotherHead(t *testing.T) {
	d := newDesk(t)
	d.broken = errors.New("the repository is away")
	first := d.open(1, "one", "bakery")
	d.look()
	d.open(1, "two", "bakery")
	d.look()
	d.open(1, "one", "bakery")
	d.look() // within the same minute: the words are those of before
	d.wantStatus(first, "plan", forge.Error, "the repository is away")
	d.wantStatus(first, "validate", forge.Error, "the repository is away")
}

// A head that the repository does not have is waited for, and not for ever: a mirror may
// have no pull requests at all.
func TestP9HeadThatNeverComes(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	d.moved[head] = true
	d.look()
	d.wantStatus(head, "plan", forge.Pending, "")
	looks := 0
	for range 60 {
		d.later(time.Minute)
		if r := d.record(1); !r.RetryAt.After(d.time) {
			looks++
		}
		d.look()
	}
	d.wantStatus(head, "plan", forge.Error, "")
	if looks > 15 {
		t.Errorf("it is asked for %d times in an hour", looks)
	}
	delete(d.moved, head)
	d.later(time.Hour)
	d.look()
	d.wantStatus(head, "plan", forge.Success, "bakery")
}

// Of a fork the files are judged, until somebody with write access names the commit; the
// next commit is a stranger's again.
func TestS07RuleForkIsStatic(t *testing.T) {
	d := newDesk(t)
	fork := forge.Pull{Number: 1, Author: "sam", Fork: true, HeadRef: "main"}
	head := d.propose(fork, "one", "bakery")
	j := d.judge[head]
	j.Problems = []report.Problem{{Client: "bakery", Path: "clients/bakery.yaml", Line: 3, Text: "odd"}}
	d.judge[head] = j
	d.look()
	static := func() bool { return d.judged[len(d.judged)-1].Static }
	if !static() || !d.record(1).Static {
		t.Error("a fork was planned")
	}
	d.wantStatus(head, "plan", forge.Failure, "a maintainer comments")
	if all := d.said(1, report.KindPlan); len(all) != 1 || !contains(all[0], "/reconciler plan "+head) || contains(all[0], "/edit/") || !contains(all[0], "/blob/"+head) {
		t.Errorf("comments: %q", all)
	}
	d.comment("sam", 1, "/reconciler plan "+head)
	d.comment("rosa", 1, "/reconciler plan "+head)
	d.comment("dana", 1, "/reconciler plan")
	d.comment("dana", 1, "/reconciler plan "+head[:12])
	d.comment("dana", 1, "/reconciler plan "+commitID("other"))
	d.look()
	if !static() || d.record(1).Asked != "" {
		t.Errorf("a fork was planned; asked %q", d.record(1).Asked)
	}
	d.comment("dana", 1, "/reconciler plan "+head)
	d.look()
	if static() || d.record(1).Static {
		t.Error("it was not planned")
	}
	d.later(time.Minute)
	d.propose(fork, "two", "bakery")
	d.look()
	if !static() {
		t.Error("the next commit was planned, too")
	}
}

// newcomer is a client that the branch got.
func newcomer(d *desk) {
	d.later(time.Second)
	d.update(func(tx store.Tx) error {
		return store.PutClient(tx, state.Client{ID: "other-1", Name: "other", Settled: true, CreatedAt: d.time})
	})
}

// A base that moves away from a pull request's files, names and rules costs no plan and no
// word; any other does.
func TestBaseMoved(t *testing.T) {
	tests := map[string]struct {
		changed []string
		rules   bool
		move    func(d *desk)
		brings  int // new clients
		room    int // more that the guard would take
		planned bool
	}{
		"others' files":                         {changed: []string{"clients/other.yaml"}},
		"its file":                              {changed: []string{"clients/bakery.yaml"}, planned: true},
		"the platform file":                     {changed: []string{"platform.yaml"}, rules: true, planned: true},
		"its client, in another place":          {changed: []string{"clients/ab/bakery.yaml"}, planned: true},
		"a new client, for which there is room": {changed: []string{"clients/other.yaml"}, brings: 1, room: 1, move: newcomer},
		"a new client, and it brings none":      {changed: []string{"clients/other.yaml"}, room: -1, move: newcomer},
		"a new client too many":                 {changed: []string{"clients/other.yaml"}, brings: 1, move: newcomer, planned: true},
		"a new client, where too many are":      {changed: []string{"clients/other.yaml"}, brings: 1, room: -3, move: newcomer, planned: true},
		"a client that was there":               {changed: []string{"clients/other.yaml"}, brings: 1, room: -3},
		"its host name": {planned: true, move: func(d *desk) {
			d.update(func(tx store.Tx) error {
				return errors.Join(store.PutClient(tx, state.Client{ID: "x-1", Name: "x"}), store.PutClaim(tx, state.Claim{Key: "host:bakery.example", Client: "x-1"}))
			})
		}},
		"its own client's host name": {move: func(d *desk) {
			d.update(func(tx store.Tx) error {
				return errors.Join(store.PutClient(tx, state.Client{ID: "bakery-1", Name: "bakery", Settled: true}), store.PutClaim(tx, state.Claim{Key: "host:bakery.example", Client: "bakery-1"}))
			})
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			head := d.open(1, "one", "bakery")
			j := d.judge[head]
			j.New, j.Room = tt.brings, tt.room
			d.judge[head] = j
			d.update(func(tx store.Tx) error { return store.PutVerdict(tx, state.Verdict{Commit: d.head, At: d.time}) })
			d.look()
			judged, writes := len(d.judged), d.writes()
			d.head, d.changed, d.rules = commitID("next"), tt.changed, tt.rules
			if tt.move != nil {
				tt.move(d)
			}
			d.look()
			if got := len(d.judged) > judged; got != tt.planned {
				t.Errorf("planned again: %t", got)
			}
			if d.writes() != writes { // equal words are not said again
				t.Errorf("%d writes", d.writes()-writes)
			}
			if b := d.record(1).Base; b != d.head {
				t.Errorf("it is of base %s", b)
			}
		})
	}
}

// A removal is planned onto every base: what the guard counts is others' matter, too.
func TestRemovalsArePlannedOntoEveryBase(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	j := d.judge[head]
	j.Clients[0].Removed = true
	d.look()
	judged := len(d.judged)
	d.head, d.changed = commitID("next"), []string{"clients/other.yaml"}
	d.look()
	if len(d.judged) != judged+1 {
		t.Errorf("planned %d times more", len(d.judged)-judged)
	}
}

// A template's change is about every client that has it, also about one that the branch gets meanwhile: the plan says so.
func TestS04RulesArePlannedOntoNewClients(t *testing.T) {
	for _, file := range []string{"templates/shop.yaml", "platform.yaml"} {
		d := newDesk(t)
		head := d.open(1, "one")
		j, m := d.judge[head], d.merged[head]
		j.Clients = []state.PullClient{{Name: "bakery"}} // that has the template
		m.Files = append(m.Files, accept.File{Path: file, Data: []byte("other")})
		d.judge[head], d.merged[head] = j, m
		d.look()
		judged := len(d.judged)
		d.head, d.changed = commitID("readme"), nil
		d.look()
		if n := len(d.judged) - judged; n != 0 {
			t.Errorf("%s: planned %d times more, of a base that changed nothing", file, n)
		}
		d.head, d.changed = commitID("next"), []string{"clients/new.yaml"}
		d.look()
		if n := len(d.judged) - judged; n != 1 {
			t.Errorf("%s: planned %d times more", file, n)
		}
	}
}

// Two pull requests of one client, or one host name, name each other; and not when one ends.
func TestRuleOverlaps(t *testing.T) {
	same := func(host string, name string) func(d *desk, head string) {
		return func(d *desk, head string) {
			d.changes(head, name)
			j := d.judge[head]
			j.Clients[0].Hosts = []string{host}
			d.judge[head] = j
		}
	}
	tests := map[string]struct {
		a, b  func(d *desk, head string)
		names bool
	}{
		"one client":        {same("a.example", "bakery"), same("b.example", "bakery"), true},
		"one host name":     {same("a.example", "bakery"), same("a.example", "other"), true},
		"nothing in common": {same("a.example", "bakery"), same("b.example", "other"), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			tt.a(d, d.open(1, "one"))
			tt.b(d, d.open(2, "two"))
			d.look()
			for n, other := range map[int]string{1: "/pull/2", 2: "/pull/1"} {
				if all := d.said(n, report.KindPlan); len(all) != 1 || contains(all[0], other) != tt.names {
					t.Errorf("pull request %d says %q", n, all)
				}
			}
			d.mergeAt(2, commitID("merge"))
			d.look()
			d.look()
			if all := d.said(1, report.KindPlan); len(all) != 1 || contains(all[0], "/pull/2") {
				t.Errorf("pull request 1 says %q", all)
			}
		})
	}
}

// What the branch has already is not planned again while the forge does not say that it is
// merged: its plan is what was shown. One that the forge still calls open long after is a
// proposal like any other.
func TestAcceptedBeforeTheForgeSaysSo(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	judged := len(d.judged)
	d.accept(commitID("merged"), nil, map[string]string{"bakery": "succeeded"}, 1)
	d.changed = []string{"clients/bakery.yaml"}
	d.look()
	if len(d.judged) != judged {
		t.Error("what was shown was planned again")
	}
	d.later(2 * acceptedPatience)
	d.look()
	if len(d.judged) != judged+1 {
		t.Errorf("it was planned %d times more", len(d.judged)-judged)
	}
	// While the forge is away nobody knows.
	d = newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	judged = len(d.judged)
	d.accept(commitID("merged"), nil, map[string]string{"bakery": "succeeded"}, 1)
	d.changed = []string{"clients/bakery.yaml"}
	d.forge.fault = func(string, ...any) error { return forge.ErrAway }
	d.later(2 * acceptedPatience)
	if _, err := d.Sync(t.Context()); !errors.Is(err, forge.ErrAway) {
		t.Errorf("Sync: %v", err)
	}
	if len(d.judged) != judged {
		t.Error("what was shown was planned again")
	}
}

// A conflict shows no plan, and none of before is taken for it.
func TestConflictForgetsThePlan(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	head := d.open(1, "two")
	m := d.merged[head]
	m.Conflicts = []string{"clients/bakery.yaml"}
	d.merged[head] = m
	d.later(time.Minute)
	d.look()
	d.wantStatus(head, "plan", forge.Failure, "conflicts with the base")
	d.wantStatus(head, "validate", forge.Failure, "conflicts with the base")
	d.view(func(tx store.Tx) error {
		p, err := PlanOf(tx, 1)
		if len(p.Changes) > 0 {
			t.Errorf("the plan of another head is kept: %+v", p.Changes)
		}
		return err
	})
	if r := d.record(1); len(r.Shown) > 0 || len(r.Clients) > 0 {
		t.Errorf("it shows %v of %v", r.Shown, r.Clients)
	}
}

// P12: what a merged pull request showed is kept until a head brought it, though the branch
// can't be read for weeks: without it, what it changed would count as nobody's.
func TestP12WhatWasMergedIsKeptUntilItIsAccepted(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	p := d.forge.pulls[1]
	p.Open, p.Merged = false, true
	d.forge.pulls[1] = p
	d.look()
	d.later(3 * keepFiles)
	d.look()
	if r := d.record(1); len(r.Files) == 0 {
		t.Error("its files are forgotten, and no head brought it so far")
	}
	err := d.Store.Update(func(tx store.Tx) error {
		r, _, err := store.Pull(tx, 1)
		r.Accepted = []string{"0a"}
		return errors.Join(err, store.PutPull(tx, r))
	})
	if err != nil {
		t.Fatal(err)
	}
	d.later(time.Hour)
	d.look()
	if r := d.record(1); len(r.Files) > 0 {
		t.Errorf("a head brought it weeks ago, and kept are %v", r.Files)
	}
}

// Pull requests that ended long ago are forgotten, with their plans.
func TestOldPullRequestsAreForgotten(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.open(2, "two", "other")
	d.look()
	p := d.forge.pulls[1]
	p.Open = false
	d.forge.pulls[1] = p
	d.look()
	d.later(keepPulls - time.Hour)
	d.look()
	d.record(1)
	d.later(2 * time.Hour)
	d.look()
	d.view(func(tx store.Tx) error {
		all, err := store.Pulls(tx)
		if len(all) != 1 || all[0].Number != 2 {
			t.Errorf("kept: %+v", all)
		}
		_, ok, err2 := store.PullPlan(tx, 1)
		if ok {
			t.Error("its plan is kept")
		}
		return errors.Join(err, err2)
	})
}

// P9: a pull request was closed before anybody planned it, and nobody came to tell its end until
// long after it would be forgotten: no status of its head stays pending.
func TestP9OldPullRequestsAreToldFirst(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	see := func() {
		t.Helper()
		if _, err := d.see(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	see()
	p := d.forge.pulls[1]
	p.Open = false
	d.forge.pulls[1] = p
	see()
	d.later(keepPulls + time.Hour)
	see()
	d.look()
	last := map[string]forge.State{}
	for _, s := range d.forge.statuses[head] {
		last[s.Context] = s.State
	}
	if len(last) != 2 || slices.Contains(slices.Collect(maps.Values(last)), forge.Pending) {
		t.Errorf("statuses of its head: %v", last)
	}
	d.look()
	d.view(func(tx store.Tx) error {
		all, err := store.Pulls(tx)
		if len(all) > 0 {
			t.Errorf("kept: %+v", all)
		}
		return err
	})
}

// What is told is in one order, whatever the order of maps.
func TestStatusesAreInOrder(t *testing.T) {
	for range 20 {
		d := newDesk(t)
		head := d.open(1, "one", "bakery")
		d.sync()
		var got []string
		for _, r := range d.outbox() {
			if r.State != "pending" {
				got = append(got, r.Subject)
			}
		}
		want := []string{"head/" + head + "/validate", "head/" + head + "/plan", "pull/1/plan"}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v", got)
		}
	}
}

// What the sink and the engine note while a plan is made stays.
func TestNothingIsLostBetweenWriters(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.sync()
	p := d.record(1)
	d.update(func(tx store.Tx) error {
		p.Accepted, p.Comment, p.Result, p.ResultSaid = []string{"x"}, 7, 8, "said"
		return store.PutPull(tx, p)
	})
	stale := p
	stale.Accepted, stale.Comment, stale.Result, stale.ResultSaid = nil, 0, 0, ""
	if err := d.plan(t.Context(), stale, d.head, beside(nil)); err != nil {
		t.Fatal(err)
	}
	known := []state.Pull{stale}
	stale.Title = "another"
	if err := d.keep([]state.Pull{stale}, known); err != nil {
		t.Fatal(err)
	}
	if r := d.record(1); len(r.Accepted) != 1 || r.Comment != 7 || r.Result != 8 || r.ResultSaid != "said" || r.Title != "another" {
		t.Errorf("%+v", r)
	}
}

func contains(s, sub string) bool { return strings.Contains(s, sub) }

// A client that comes to rest while a plan is made was at work when the plan was made: it is
// planned again.
func TestPlanOfWhatWasAtWork(t *testing.T) {
	d := newDesk(t)
	rest := func(settled bool) {
		d.update(func(tx store.Tx) error {
			return store.PutClient(tx, state.Client{ID: "bakery-1", Name: "bakery", Settled: settled, UpdatedAt: d.time})
		})
	}
	rest(false)
	d.open(1, "one", "bakery")
	d.whileJudged = func() {
		d.whileJudged = nil
		d.later(time.Second)
		rest(true)
		d.later(time.Second)
	}
	d.sync()
	if !d.record(1).Moving {
		t.Error("nothing was at work")
	}
	d.look()
	if len(d.judged) != 2 || d.record(1).Moving {
		t.Errorf("planned %d times", len(d.judged))
	}
}

// What could not be judged leaves what was shown: it is what the merge is compared with.
func TestFailedJudgementKeepsWhatWasShown(t *testing.T) {
	d := newDesk(t)
	first := d.open(1, "one", "bakery")
	d.look()
	was := d.record(1)
	d.misjudges = errors.New("a provider is away")
	d.open(1, "two", "dairy")
	d.later(time.Minute)
	d.look()
	r := d.record(1)
	if r.Planned != first || !maps.Equal(r.Files, was.Files) || !slices.Equal(r.Shown, was.Shown) || r.Failures != 1 {
		t.Errorf("%+v", r)
	}
}

// Whoever sends very many files with very long names is told so; it costs no look after look.
func TestThreat05MoreThanCanBeKept(t *testing.T) {
	d := newDesk(t)
	head := d.propose(forge.Pull{Number: 1, Author: "sam", Fork: true, HeadRef: "b"}, "one")
	m := d.merged[head]
	for i := range 3000 {
		m.Files = append(m.Files, accept.File{Path: fmt.Sprintf("clients/%04d%s.yaml", i, strings.Repeat("x", 4000)), Data: []byte("x")})
	}
	d.merged[head] = m
	other := d.open(2, "two", "bakery")
	d.look()
	d.wantStatus(head, "plan", forge.Error, "more than can be kept")
	d.wantStatus(head, "validate", forge.Error, "more than can be kept")
	d.wantStatus(other, "plan", forge.Success, "bakery")
	judged := len(d.judged)
	d.look()
	if len(d.judged) != judged {
		t.Error("it is judged at every look")
	}
}

// What is asked for while the branch moves elsewhere is done.
func TestAskedForWhileTheBaseMoves(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	judged := len(d.judged)
	d.comment("dana", 1, "/reconciler plan")
	d.head, d.changed = commitID("next"), []string{"clients/other.yaml"}
	d.look()
	if len(d.judged) == judged {
		t.Error("it was not planned")
	}
}

// A plan of the same head onto another base says what is other than before; of another head
// it doesn't, and neither does one that was made while the branch's own change was under way.
func TestSinceTheLastPlan(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	d.look()
	again := func(base string, clients ...string) string {
		d.changes(head, clients...)
		d.later(time.Minute)
		d.head, d.rules = commitID(base), true
		d.look()
		return d.said(1, report.KindPlan)[0]
	}
	if c := again("next", "bakery", "dairy"); !contains(c, "Since the last plan") {
		t.Errorf("it does not say what changed:\n%s", c)
	}
	if c := again("later", "bakery", "dairy"); contains(c, "Since the last plan") && !contains(c, "dairy") {
		t.Errorf("%s", c)
	}
	head = d.open(1, "two", "bakery")
	d.later(time.Minute)
	d.look()
	if c := d.said(1, report.KindPlan)[0]; contains(c, "Since the last plan") {
		t.Errorf("another head is compared with:\n%s", c)
	}
	d.update(func(tx store.Tx) error {
		p, _, err := store.Pull(tx, 1)
		p.Moving = true
		return errors.Join(err, store.PutPull(tx, p))
	})
	if c := again("last", "bakery", "florist"); contains(c, "Since the last plan") {
		t.Errorf("what was under way is compared with:\n%s", c)
	}
}

// Many plans that take their time keep nobody's command waiting for all of them.
func TestCommandsBetweenPlans(t *testing.T) {
	d := newDesk(t)
	for n := range 10 {
		d.open(n+1, fmt.Sprintf("%c", 'k'+n), fmt.Sprintf("s%d", n))
	}
	d.whileJudged = func() { d.later(4 * time.Second) }
	next, err := d.Sync(t.Context())
	if err != nil || len(d.judged) > 4 || next.After(d.time) {
		t.Errorf("%d plans in one look; next %v; %v", len(d.judged), next, err)
	}
	id := d.comment("dana", 1, "/reconciler help")
	d.sync()
	if len(d.forge.reactions[id]) == 0 || len(d.judged) == 10 {
		t.Errorf("after %d plans there are %d reactions", len(d.judged), len(d.forge.reactions[id]))
	}
	for range 3 {
		d.sync()
	}
	if len(d.judged) != 10 {
		t.Errorf("%d plans", len(d.judged))
	}
}

// Looks, the outbox, the watch and the engine write records of pull requests at the same
// time: none loses what another noted.
func TestNothingIsLostAtOnce(t *testing.T) {
	d := newDesk(t)
	const pulls, rounds = 3, 20
	for n := range pulls {
		d.open(n+1, fmt.Sprintf("%c", 'k'+n), fmt.Sprintf("s%d", n))
	}
	d.sync()
	ctx := t.Context()
	var all sync.WaitGroup
	all.Go(func() {
		for i := range rounds {
			for n := range pulls {
				d.forge.mu.Lock()
				p := d.forge.pulls[n+1]
				p.Title = fmt.Sprint("Title ", i)
				d.forge.pulls[n+1] = p
				d.forge.mu.Unlock()
			}
			if _, err := d.Sync(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for range rounds {
			if err := d.tell(); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for range rounds {
			if err := d.Watch(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for i := range rounds {
			err := d.Store.Update(func(tx store.Tx) error {
				for n := range pulls {
					p, _, err := store.Pull(tx, n+1)
					if err != nil {
						return err
					}
					p.Accepted = append(p.Accepted, fmt.Sprintf("%040x", i))
					if err := store.PutPull(tx, p); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if err := d.tell(); err != nil {
		t.Error(err)
	}
	for n := range pulls {
		r := d.record(n + 1)
		if len(r.Accepted) != rounds || r.Title != fmt.Sprint("Title ", rounds-1) || r.Comment == 0 {
			t.Errorf("%d of %d heads, %q, comment %d", len(r.Accepted), rounds, r.Title, r.Comment)
		}
		if c := d.said(n+1, report.KindPlan); len(c) != 1 {
			t.Errorf("%d comments", len(c))
		}
	}
}

// One look plans so many, the longest waiting first, and comes again at once for the rest.
func TestPlansInOneLook(t *testing.T) {
	d := newDesk(t)
	for n := range maxPlans + 10 {
		head := fmt.Sprintf("%040x", n+1)
		d.forge.pulls[n+1] = forge.Pull{Number: n + 1, Head: head, BaseRef: "main", Open: true}
		d.changes(head, fmt.Sprintf("s%d", n))
	}
	next, err := d.Sync(t.Context())
	if err != nil || len(d.judged) != maxPlans || next.After(d.time) {
		t.Errorf("%d plans; next %v; %v", len(d.judged), next, err)
	}
	if d.sync(); len(d.judged) != maxPlans+10 {
		t.Errorf("%d plans", len(d.judged))
	}
}

// P6: an error in this program that one pull request brings to light costs that one its plan, and
// says so: the others are planned, and nothing ends the program, which would meet it again at its
// next start.
func TestP6APanicCostsItsPullRequestOnly(t *testing.T) {
	d := newDesk(t)
	sick, well := d.open(1, "one", "bakery"), d.open(2, "two", "dairy")
	d.whileJudged = func() {
		if d.judged[len(d.judged)-1].Commit == sick {
			panic("a nil map of s3cret")
		}
	}
	d.look()
	d.wantStatus(well, "plan", forge.Success, "")
	d.wantStatus(sick, "plan", forge.Error, "error in this program")
	if s := d.status(sick, "plan"); strings.Contains(s.Description, "s3cret") {
		t.Errorf("what it ran into is told to people: %q", s.Description)
	}
	if !strings.Contains(d.log.String(), "pulls_test.go") {
		t.Errorf("the log does not say where it was:\n%s", d.log.String())
	}
	d.whileJudged = nil
	d.later(maxRetry)
	d.look()
	d.wantStatus(sick, "plan", forge.Success, "")
}

// A branch that moves again and again has old pull requests planned anew. A head that nobody has
// planned yet does not wait behind them.
func TestP9NewHeadDoesNotWaitBehindOldOnes(t *testing.T) {
	d := newDesk(t)
	for n := range 3 {
		d.open(n+1, fmt.Sprintf("old%d", n), fmt.Sprintf("old%d", n))
	}
	d.look()
	d.rules = true // a template changes with each head of the branch: all plans are made again
	d.whileJudged = func() { d.later(maxPlanning) }
	fresh := d.open(9, "fresh", "fresh")
	for n := range 6 {
		d.head = commitID(fmt.Sprintf("base%d", n))
		d.sync()
		if err := d.tell(); err != nil {
			t.Fatal(err)
		}
		d.later(time.Second)
	}
	d.wantStatus(fresh, "plan", forge.Success, "")
}

// Somebody asks at the forge for a check again. Where it names no pull request (a fork's, a head of
// several) those are meant; and whoever asks waits for no date of a failure.
func TestChecksAreAskedForAgain(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	fork := d.propose(forge.Pull{Number: 2, Title: "A stranger's", Author: "rosa", Fork: true}, "two", "dairy")
	d.look()
	judged := len(d.judged)
	d.Again(0)
	d.look()
	if got := d.judged[judged:]; len(got) != 1 || got[0].Commit != fork {
		t.Errorf("a fork's check was asked for again, and %d plans were made", len(got))
	}
	d.broken = errors.New("no repository")
	head := d.open(1, "six", "bakery")
	d.later(time.Minute)
	d.look()
	d.wantStatus(head, "plan", forge.Error, "")
	d.broken = nil
	d.Again(1)
	d.look()
	d.wantStatus(head, "plan", forge.Success, "")
}

// The installation follows another repository by now, whose pull requests have the numbers of the one before: each
// is one of its own, with its plan and its result.
func TestP9NumbersOfAnotherRepository(t *testing.T) {
	for _, how := range []string{"seen open", "of a fork", "not planned", "not seen"} { // of a fork nothing is planned
		t.Run(how, func(t *testing.T) {
			seen, fork, planned := how != "not seen", how == "of a fork", how != "not planned"
			d := newDesk(t)
			first := d.open(1, "one", "bakery")
			d.look()
			d.mergeAt(1, commitID("merge"))
			d.accept(commitID("merge"), []string{first}, map[string]string{"bakery": "succeeded"}, 1)
			d.later(time.Minute)
			d.look()

			clock := func() time.Time { return d.time }
			d.forge = newForge(clock)
			d.forge.next = 5000
			d.Forge = d.forge
			d.later(time.Hour)
			d.look()
			d.open(1, "two", "florist")
			p := d.forge.pulls[1]
			p.URL, p.Fork = "https://forge.example/agency/sites/pull/1", fork
			d.forge.pulls[1] = p
			if !planned {
				d.broken = errors.New("the repository is away")
				_, _ = d.Sync(d.Context())
				d.broken = nil
			} else if seen {
				d.look()
				d.later(time.Minute)
				d.look()
				if all := d.said(1, report.KindPlan); !fork && (len(all) != 1 || !contains(all[0], "florist")) {
					t.Errorf("plans: %q", all)
				}
			}
			squash := commitID("squash")
			d.mergeAt(1, squash)
			if seen {
				d.sync()
			}
			d.accept(squash, nil, map[string]string{"florist": "succeeded"})
			d.later(time.Minute)
			d.look()
			if r := d.record(1); !r.Merged || !slices.Equal(r.Accepted, []string{squash}) {
				t.Errorf("it is on record as %+v", r)
			}
			if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "florist") {
				t.Errorf("results: %q", all)
			}
			if planned {
				return
			}
			if r, all := d.record(1), d.said(1, report.KindPlan); r.Planned != "" || len(r.Shown) > 0 || len(all) > 0 {
				t.Errorf("it had no plan, and has %q as shown, and said %q", r.Shown, all)
			}
		})
	}
}

// A pull request that brings a client back whose removal waits has no step to show, and says all the same what merging it
// does: it stops that.
func TestRuleARevertInTimeSaysWhatItStops(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	j := d.judge[head]
	j.Changes = []report.Change{}
	d.judge[head] = j
	until := d.time.Add(time.Hour)
	removed := state.Tombstone{Client: "bakery-1", Name: "bakery", Commit: commitID("gone"), At: d.time, NotUntil: until}
	d.update(func(tx store.Tx) error {
		return errors.Join(store.PutClient(tx, state.Client{ID: "bakery-1", Name: "bakery", Status: state.StatusActive}), store.PutTombstone(tx, removed))
	})
	d.look()
	if all := d.said(1, report.KindPlan); len(all) != 1 || !contains(all[0], "bakery is to be removed on "+until.Format("2 January 2006 at 15:04 UTC")) || !contains(all[0], "Merging this before that keeps it") {
		t.Errorf("comments: %q", all)
	}
	d.wantStatus(head, "validate", forge.Success, "")
	d.wantStatus(head, "plan", forge.Success, "")
	removed.Done = true
	d.update(func(tx store.Tx) error { return store.PutTombstone(tx, removed) })
	d.open(1, "two", "bakery")
	d.sync()
	d.later(time.Minute)
	d.look()
	if all := d.said(1, report.KindPlan); len(all) != 1 || contains(all[0], "is to be removed") {
		t.Errorf("it is removed: %q", all)
	}
}
