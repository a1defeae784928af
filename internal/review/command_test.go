package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// What is a command: the first line of a comment, nothing before it.
func TestParse(t *testing.T) {
	tests := []struct {
		body      string
		verb, arg string
		is        bool
	}{
		{"/reconciler plan", "plan", "", true},
		{"/reconciler PLAN", "plan", "", true},
		{"/reconciler retry bakery", "retry", "bakery", true},
		{"/reconciler retry bakery\r\nplease", "retry", "bakery", true},
		{"\n\n  /reconciler help  \n", "help", "", true},
		{"/reconciler", "", "", true},
		{"/reconciler approve 0123 now", "?", "0123", true},
		{"/reconciler\tplan", "plan", "", true},
		{"please /reconciler plan", "", "", false},
		{"/reconcilerplan", "", "", false},
		{"/Reconciler plan", "", "", false},
		{"> /reconciler plan", "", "", false},
		{"`/reconciler plan`", "", "", false},
		{"```\n/reconciler plan\n```", "", "", false},
		{"    /reconciler plan", "", "", false}, // code
		{"\t/reconciler plan", "", "", false},
		{"words\n/reconciler plan", "", "", false},
		{report.MarkPlan + "\n/reconciler plan", "", "", false},
		{"", "", "", false},
		{" \n ", "", "", false},
		{"/reconciler " + string(make([]byte, maxCommand)), "", "", false},
	}
	for _, tt := range tests {
		o, is := parse(tt.body)
		if is != tt.is || is && (o.verb != tt.verb || o.arg != tt.arg) {
			t.Errorf("%q is %+v, %t", tt.body, o, is)
		}
	}
}

// Who may command, and what is none: asked at that moment, and refused once.
func TestS08RuleWhoMayCommand(t *testing.T) {
	tests := map[string]struct {
		author  string
		edited  bool
		pull    int
		obeyed  bool
		replies int
	}{
		"who may write":                {author: "dana", pull: 1, obeyed: true, replies: 1},
		"an admin":                     {author: "robin", pull: 1, obeyed: true, replies: 1},
		"who may read":                 {author: "rosa", pull: 1, replies: 1},
		"a stranger":                   {author: "sam", pull: 1, replies: 1},
		"nobody (the account is gone)": {author: "", pull: 1, replies: 1},
		"no login":                     {author: "a b", pull: 1, replies: 1},
		"ourselves":                    {author: "bot", pull: 1},
		"an edited comment":            {author: "dana", edited: true, pull: 1},
		"a comment on an issue":        {author: "dana", pull: 7},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.open(1, "one", "bakery")
			d.forge.may["bot"] = forge.Admin
			d.look()
			for range 2 {
				d.later(time.Minute)
				d.comment(tt.author, tt.pull, "/reconciler retry bakery")
				if tt.edited {
					d.later(time.Second)
					d.forge.comments[len(d.forge.comments)-1].UpdatedAt = d.time
				}
				d.look()
			}
			want := []string(nil)
			if tt.obeyed {
				want = slices.Repeat([]string{"retry bakery by github:" + tt.author}, 2)
				tt.replies = 2
			}
			if !slices.Equal(d.asked, want) {
				t.Errorf("asked: %q", d.asked)
			}
			if r := d.said(1, report.KindReply); len(r) != tt.replies {
				t.Errorf("replies: %q", r)
			}
			// Nothing of it is done again, nor keeps others from being heard.
			d.comment("dana", 1, "/reconciler retry dairy")
			d.look()
			d.look()
			if n := len(d.asked) - len(want); n != 1 {
				t.Errorf("asked: %q", d.asked)
			}
		})
	}
}

// A permission that ends between the comment and the look is none.
func TestPermissionOfTheMoment(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	d.comment("dana", 1, "/reconciler retry bakery")
	d.forge.may["dana"] = forge.Read
	d.look()
	if len(d.asked) > 0 {
		t.Errorf("asked: %q", d.asked)
	}
}

// Every command is in the audit trail, with who gave it, where, and what came of it; and has
// its reaction at once.
func TestCommandsAreAudited(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	for _, who := range []string{"dana", "sam", "sam"} {
		id := d.comment(who, 1, "/reconciler retry bakery")
		d.look()
		if r := d.forge.reactions[id]; !slices.Equal(r, []string{"eyes"}) {
			t.Errorf("reactions: %v", r)
		}
	}
	var got []string
	d.view(func(tx store.Tx) error {
		all, err := store.History(tx, "", 10)
		for _, e := range all {
			got = append(got, e.By+" "+e.What+": "+e.Text)
		}
		return err
	})
	slices.Sort(got)
	want := []string{"github:dana command done: pull request 1: retry bakery: retry bakery", "github:sam command refused: pull request 1: retry bakery: no write access", "github:sam command refused: pull request 1: retry bakery: no write access"}
	if !slices.Equal(got, want) {
		t.Errorf("history: %q", got)
	}
}

// One command that can't be carried out now keeps no other from it, and comes again.
func TestP6OneCommandBlocksNoOther(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	d.refuse["bakery"] = errors.New("the disk is full")
	d.comment("dana", 1, "/reconciler retry bakery")
	d.later(time.Minute)
	d.comment("dana", 1, "/reconciler retry dairy")
	for range 3 {
		d.later(time.Minute)
		if _, err := d.Sync(t.Context()); err == nil {
			t.Error("nobody is told that a command waits")
		}
	}
	if !slices.Equal(d.asked, []string{"retry dairy by github:dana"}) {
		t.Errorf("asked: %q", d.asked)
	}
	delete(d.refuse, "bakery")
	d.look()
	d.look()
	if len(d.asked) != 2 {
		t.Errorf("asked: %q", d.asked)
	}
}

// What a command comes to: done, or refused in our words.
func TestRuleCommands(t *testing.T) {
	full := "0123456789ab"
	tests := map[string]struct {
		body   string
		before func(d *desk)
		asked  string
		reply  string
		text   string // in the audit trail
	}{
		"retry":                           {body: "retry bakery", asked: "retry bakery by github:dana", reply: "bakery", text: "retry bakery"},
		"retry of nobody":                 {body: "retry none", before: func(d *desk) { d.refuse["none"] = reconcile.ErrNoClient }, reply: "Not done", text: string(report.RefusedNoClient)},
		"retry of who does not wait":      {body: "retry busy", before: func(d *desk) { d.refuse["busy"] = reconcile.ErrRefused }, reply: "Not done", text: string(report.RefusedNotWaiting)},
		"retry without a name":            {body: "retry", reply: "The command `/reconciler retry` is not complete", text: "not a whole command"},
		"retry of two":                    {body: "retry bakery and cafe", reply: "The command `/reconciler retry bakery and cafe` is not complete, or says too much", text: "not a whole command"},
		"approve":                         {body: "approve " + full, asked: "approve " + full + " by github:dana", reply: "Approved", text: "approve " + full},
		"approve by its first characters": {body: "approve 0123", asked: "approve " + full + " by github:dana", reply: "Approved", text: "approve " + full},
		"approve by too few":              {body: "approve 012", reply: "Not done", text: string(report.RefusedUnknownHold)},
		"approve of what is not there":    {body: "approve ffffffffffff", reply: "Not done", text: string(report.RefusedUnknownHold)},
		"approve of two": {body: "approve 0123", before: func(d *desk) {
			h := d.open(1, "two", "bakery", "dairy")
			j := d.judge[h]
			j.Changes[0].Steps[0].Held, j.Changes[1].Steps[0].Held = full, "0123ffffffff"
		}, reply: "Not done", text: string(report.RefusedUnknownHold)},
		"approve without": {body: "approve", reply: "The command `/reconciler approve` is not complete", text: "not a whole command"},
		"approve as code": {body: "approve `0123`", asked: "approve " + full + " by github:dana", reply: "Approved", text: "approve " + full},
		"approve of what waits as a whole": {body: "approve abcd", before: func(d *desk) {
			h := d.open(1, "two", "bakery")
			j := d.judge[h]
			j.Waits = []state.Hold{{Fingerprint: "abcdefabcdef", Approvable: true, Reason: "many"}, {Fingerprint: "abcd00000000", Reason: "never"}}
			d.judge[h] = j
		}, asked: "approve abcdefabcdef by github:dana", reply: "Approved", text: "approve abcdefabcdef"},
		"approve of what a file waits for": {body: "approve abcd", before: func(d *desk) {
			h := d.open(1, "two", "bakery")
			j := d.judge[h]
			j.Problems = []report.Problem{{Client: "bakery", Path: "clients/bakery.yaml", Text: "cakes.example is still cakes's: its removal is held", Hint: "`reconciler approve abcdefabcdef` lets it go"}}
			d.judge[h] = j
			d.hold("abcdefabcdef")
		}, asked: "approve abcdefabcdef by github:dana", reply: "Approved", text: "approve abcdefabcdef"},
		"approve of what another one waits for": {body: "approve abcd", before: func(d *desk) { d.hold("abcdefabcdef") }, reply: "Not done", text: string(report.RefusedUnknownHold)},
		"approve of what is final":              {body: "approve " + full, before: func(d *desk) { d.refuse[full] = reconcile.ErrRefused }, reply: "Not done", text: string(report.RefusedFinal)},
		"help":                                  {body: "help", reply: "/reconciler retry", text: "help"},
		"nothing":                               {body: "", reply: "/reconciler retry", text: "help"},
		"nonsense":                              {body: "destroy", reply: "/reconciler help", text: "no such command"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			h := d.open(1, "one", "bakery")
			d.judge[h].Changes[0].Steps[0].Held = full
			d.judge[h].Changes[0].Steps = slices.Repeat(d.judge[h].Changes[0].Steps, 2)
			if tt.before != nil {
				tt.before(d)
			}
			d.look()
			d.comment("dana", 1, "/reconciler "+tt.body)
			d.look()
			d.look()
			want := []string{tt.asked}
			if tt.asked == "" {
				want = nil
			}
			if !slices.Equal(d.asked, want) {
				t.Errorf("asked: %q", d.asked)
			}
			if r := d.said(1, report.KindReply); len(r) != 1 || !contains(r[0], tt.reply) {
				t.Errorf("replies: %q", r)
			}
			d.view(func(tx store.Tx) error {
				all, err := store.Commands(tx)
				if len(all) != 1 || all[0].Why != tt.text || all[0].By != "dana" || all[0].Pull != 1 {
					t.Errorf("commands: %+v", all)
				}
				return err
			})
		})
	}
}

// A comment after the merge that approves that under which nothing waits any more is told so, not that steps
// wait there; what does wait is told as ever.
func TestApprovalAfterTheMergeSaysWhatWaits(t *testing.T) {
	const full = "0123456789ab"
	for name, tt := range map[string]struct {
		told report.Approval
		says string
	}{
		"it waits":             {report.Approval{Waited: true, Clients: 1}, "Approved: `" + full + "` for `"},
		"it was used":          {report.Approval{By: "robin", At: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Used: true}, "`" + full + "` was approved already, on 24 November 2026 12:00 UTC, and that was used: nothing waits for it any more. What comes to wait"},
		"it was given before":  {report.Approval{By: "robin", At: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}, "`" + full + "` was approved already, on 24 November 2026 12:00 UTC. Nothing waits for it now."},
		"nothing waits for it": {report.Approval{}, "Approved: `" + full + "`. Nothing waits for it now."},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.open(1, "one", "bakery")
			d.look()
			d.mergeAt(1, commitID("merge"))
			d.accept(commitID("merge"), nil, map[string]string{"bakery": "succeeded"}, 1)
			d.look()
			d.approved = tt.told
			d.comment("dana", 1, "/reconciler approve "+full)
			d.look()
			if r := d.said(1, report.KindReply); len(r) != 1 || !contains(r[0], tt.says) || contains(r[0], "robin") {
				t.Errorf("replies: %q", r)
			}
		})
	}
}

// hold is something that waits since an earlier head.
func (d *desk) hold(fingerprint string) {
	d.Helper()
	h := state.Hold{Fingerprint: fingerprint, Kind: state.HoldGuard, Approvable: true, Reason: "removals wait"}
	if err := d.Store.Update(func(tx store.Tx) error { return store.PutHold(tx, h) }); err != nil {
		d.Fatal(err)
	}
}

// S34: nothing that a comment asks for is done on an older state that is not compared yet: it may have
// been done before, and an approval would serve twice.
func TestS34OlderStateDoesNothingThatWasAsked(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	update := func(f func(tx store.Tx) error) {
		t.Helper()
		if err := d.Store.Update(f); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx store.Tx) error { return store.PutRestored(tx, d.time) })
	d.comment("dana", 1, "/reconciler retry bakery")
	d.look()
	if len(d.asked) > 0 {
		t.Errorf("not compared: %q", d.asked)
	}
	update(store.DeleteRestored)
	if d.look(); !slices.Equal(d.asked, []string{"retry bakery by github:dana"}) {
		t.Errorf("compared: %q", d.asked)
	}
}

// An approval is of the head that was planned: what was pushed since and not planned yet is
// not approved, whatever the plan of before showed.
func TestRuleApproveIsBoundToTheHead(t *testing.T) {
	full := "0123456789ab"
	d := newDesk(t)
	d.judge[d.open(1, "one", "bakery")].Changes[0].Steps[0].Held = full
	d.look()
	d.judge[d.open(1, "two", "bakery")].Changes[0].Steps[0].Held = full
	d.comment("dana", 1, "/reconciler approve "+full)
	d.sync() // it rests
	if err := d.tell(); err != nil {
		t.Fatal(err)
	}
	if len(d.asked) > 0 {
		t.Errorf("asked: %q", d.asked)
	}
	if r := d.said(1, report.KindReply); len(r) != 1 || !contains(r[0], "Not done") {
		t.Errorf("replies: %q", r)
	}
	// After the merge the fingerprint says what it is about.
	d.mergeAt(1, commitID("merge"))
	d.later(time.Minute)
	d.look()
	d.comment("dana", 1, "/reconciler approve "+full)
	d.look()
	if !slices.Equal(d.asked, []string{"approve " + full + " by github:dana"}) {
		t.Errorf("asked: %q", d.asked)
	}
}

// A plan is asked for of an open pull request, and of its head.
func TestRulePlanIsOfTheHead(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	d.look()
	judged := len(d.judged)
	d.comment("dana", 1, "/reconciler plan "+commitID("other"))
	d.look()
	if len(d.judged) != judged {
		t.Error("another commit was planned")
	}
	d.comment("dana", 1, "/reconciler plan "+head)
	d.look()
	if len(d.judged) != judged+1 {
		t.Errorf("planned %d times", len(d.judged)-judged)
	}
	p := d.forge.pulls[1]
	p.Open = false
	d.forge.pulls[1] = p
	d.look()
	d.comment("dana", 1, "/reconciler plan")
	d.look()
	if len(d.judged) != judged+1 {
		t.Error("a closed one was planned")
	}
	if r := d.said(1, report.KindReply); len(r) != 3 || !contains(r[0], "Not done") || contains(r[1], "Not done") || !contains(r[2], "Not done") {
		t.Errorf("replies: %q", r)
	}
}

// What was said before we came is nobody's command to us.
func TestCommandsOfBefore(t *testing.T) {
	d := newDesk(t, func(d *desk) {
		d.open(1, "one", "bakery")
		d.comment("dana", 1, "/reconciler retry dairy")
		d.later(time.Minute)
	})
	d.look()
	d.forge.mu.Lock()
	c := d.forge.add("dana", 4, 1, "/reconciler retry bakery")
	d.forge.comments[len(d.forge.comments)-1].CreatedAt = d.time.Add(-time.Hour)
	d.forge.comments[len(d.forge.comments)-1].UpdatedAt = d.time.Add(-time.Hour)
	d.forge.mu.Unlock()
	d.look()
	if len(d.asked) > 0 || len(d.forge.reactions[c.ID]) > 0 {
		t.Errorf("asked: %q", d.asked)
	}
}

// What was commanded more than a day before anybody came to it is not carried out: it is asked for again.
func TestP12CommandsOfLongAgo(t *testing.T) {
	for _, body := range []string{"/reconciler retry bakery", "/reconciler approve 0123456789ab"} {
		for _, after := range []time.Duration{23 * time.Hour, 25 * time.Hour} {
			d := newDesk(t)
			d.open(1, "one", "bakery")
			d.look()
			d.mergeAt(1, commitID("merge"))
			d.accept(commitID("merge"), nil, map[string]string{"bakery": "held"}, 1)
			d.look()
			d.later(time.Minute)
			d.comment("dana", 1, body)
			d.later(after)
			d.look()
			if old := after > state.ApprovalLife; (len(d.asked) == 0) != old {
				t.Errorf("%s, after %s: asked %q", body, after, d.asked)
			}
			if r := d.said(1, report.KindReply); len(r) != 1 || contains(r[0], string(report.RefusedOld)) != (after > state.ApprovalLife) {
				t.Errorf("%s, after %s: replies %q", body, after, r)
			}
		}
	}
}

// Somebody opens a pull request, and commands something there at once, between two answers of the forge, or while
// it lists no pull requests: it is carried out, once.
func TestCommandOnAPullRequestThatIsOpenedMeanwhile(t *testing.T) {
	for _, away := range []bool{false, true} {
		d := newDesk(t)
		d.open(2, "two", "dairy")
		d.look()
		d.later(time.Minute)
		opened, listed := false, 0
		d.forge.fault = func(method string, _ ...any) error {
			if method == "CommentsSince" && !opened {
				opened = true
				d.open(1, "one", "bakery")
				d.forge.add("dana", 4, 1, "/reconciler retry bakery")
				later := d.time.Add(10 * time.Second)
				d.forge.add("dana", 4, 2, "/reconciler help")
				d.forge.comments[len(d.forge.comments)-1].CreatedAt, d.forge.comments[len(d.forge.comments)-1].UpdatedAt = later, later
			}
			if method == "Open" && away {
				if listed++; listed == 1 {
					return forge.ErrAway
				}
			}
			return nil
		}
		for range 3 {
			_, _ = d.Sync(t.Context())
			d.later(time.Minute)
		}
		if want := []string{"retry bakery by github:dana"}; !slices.Equal(d.asked, want) {
			t.Errorf("away %v: asked: %q", away, d.asked)
		}
	}
}

// The disk is full when the forge is looked at for the first time. No pull request counts before it is
// noted since when comments are heard: a command on one that does is carried out.
func TestCommandAfterAFirstLookThatFoundNoRoom(t *testing.T) {
	d := newDesk(t, func(d *desk) {
		d.open(1, "one", "bakery")
		s := d.Store
		d.Store = fullStore{s}
		if _, err := d.Sync(t.Context()); !errors.Is(err, store.ErrFull) {
			t.Errorf("the first look: %v", err)
		}
		d.Store = s
		d.view(func(tx store.Tx) error {
			if p, ok, err := store.Pull(tx, 1); ok || err != nil {
				t.Errorf("it counts: %+v, %v", p, err)
			}
			return nil
		})
	})
	d.comment("dana", 1, "/reconciler retry bakery")
	d.look()
	if want := []string{"retry bakery by github:dana"}; !slices.Equal(d.asked, want) {
		t.Errorf("asked: %q", d.asked)
	}
}

// fullStore has room for pull requests, and none for the time since when comments are heard.
type fullStore struct{ store.Store }

func (s fullStore) Update(fn func(store.Tx) error) error {
	return s.Store.Update(func(tx store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if _, known, err := store.CommentsSeen(tx); err != nil {
			return err
		} else if known {
			return store.ErrFull
		}
		return nil
	})
}

// Commands are kept for a while, so that none is carried out twice, and then forgotten.
func TestCommandsAreForgotten(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	for i := range 3 {
		d.comment("dana", 1, fmt.Sprintf("/reconciler retry s%d", i))
	}
	d.look()
	d.later(keepCommand + time.Hour)
	d.comment("dana", 1, "/reconciler help")
	d.look()
	d.view(func(tx store.Tx) error {
		all, err := store.Commands(tx)
		if len(all) != 1 {
			t.Errorf("%d are kept", len(all))
		}
		return err
	})
	if len(d.asked) != 3 {
		t.Errorf("asked: %q", d.asked)
	}
}

// Who may not command is told so once on each pull request, and each person is.
func TestS08RuleRefusedOnce(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.open(2, "two", "dairy")
	d.look()
	for range 2 {
		for _, who := range []string{"sam", "rosa"} {
			d.comment(who, 1, "/reconciler plan")
			d.comment(who, 2, "/reconciler plan")
			d.look()
		}
	}
	for n := range 2 {
		if r := d.said(n+1, report.KindReply); len(r) != 2 {
			t.Errorf("replies on %d: %q", n+1, r)
		}
	}
}

// A comment that the forge shows a second late is heard, too.
func TestCommentsThatComeLate(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	d.comment("dana", 1, "words")
	d.look()
	d.comment("dana", 1, "/reconciler retry bakery")
	c := &d.forge.comments[len(d.forge.comments)-1]
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.Add(-time.Second), c.UpdatedAt.Add(-time.Second)
	d.look()
	if len(d.asked) != 1 {
		t.Errorf("asked: %q", d.asked)
	}
}

// What was asked of a commit is of that commit, whatever was pushed meanwhile.
func TestS07RuleAskedIsOfThatCommit(t *testing.T) {
	d := newDesk(t)
	p := state.Pull{Number: 1, Open: true, Fork: true, Head: commitID("one")}
	a := d.askPlan(p, forge.Comment{ID: 1}, order{verb: "plan", arg: p.Head})
	if a.outcome != "done" {
		t.Fatalf("%+v", a)
	}
	moved := p
	moved.Head = commitID("two")
	if a.change(&moved); moved.Asked != "" || moved.Wanted {
		t.Errorf("%+v", moved)
	}
	if a.change(&p); p.Asked != p.Head || !p.Wanted {
		t.Errorf("%+v", p)
	}
}

// Whoever asks for a plan that could not be made does not wait for the next try.
func TestPlanIsAskedForAfterAFailure(t *testing.T) {
	d := newDesk(t)
	d.broken = errors.New("the repository is away")
	head := d.open(1, "one", "bakery")
	d.look()
	d.broken = nil
	d.comment("dana", 1, "/reconciler plan")
	d.look()
	d.wantStatus(head, "plan", forge.Success, "bakery")
}

// Whose comment it is: by id, and by login where there is no id; nothing is nobody's.
func TestMine(t *testing.T) {
	bot := forge.Identity{Login: "bot", ID: 99}
	tests := []struct {
		me   forge.Identity
		c    forge.Comment
		want bool
	}{
		{bot, forge.Comment{Author: "bot", AuthorID: 99}, true},
		{bot, forge.Comment{Author: "renamed", AuthorID: 99}, true},
		{bot, forge.Comment{Author: "bot"}, true},
		{bot, forge.Comment{Author: "sam", AuthorID: 7}, false},
		{bot, forge.Comment{}, false},
		{forge.Identity{}, forge.Comment{}, false},
		{forge.Identity{Login: "bot"}, forge.Comment{Author: "sam"}, false},
		{forge.Identity{ID: 99}, forge.Comment{AuthorID: 7}, false},
	}
	for _, tt := range tests {
		if got := mine(tt.me, tt.c); got != tt.want {
			t.Errorf("%+v wrote %+v: %t", tt.me, tt.c, got)
		}
	}
}

// Who we are is asked once.
func TestIdentityIsAskedOnce(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	for range 3 {
		d.comment("dana", 1, "/reconciler help")
		d.look()
	}
	if n := d.forge.calls["Me"]; n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A command that was carried out, though the process died before it noted so, is told as
// carried out, and is not carried out a second time.
func TestP8CommandCarriedOutBeforeADeath(t *testing.T) {
	died := errors.New("the process died")
	tests := map[string]struct {
		body  string
		does  func(d *desk) // before the death; nil: it died before that
		again int           // how often the action is asked for
		says  string
	}{
		"approve": {"/reconciler approve 0123", func(d *desk) {
			d.update(func(tx store.Tx) error {
				return store.PutApproval(tx, state.Approval{Fingerprint: "0123456789ab", By: "github:dana", At: d.time})
			})
		}, 1, "Approved: `0123456789ab`"},
		"retry": {"/reconciler retry bakery", func(d *desk) {
			d.update(func(tx store.Tx) error {
				_, err := store.AddHistory(tx, state.Entry{At: d.time, Client: "bakery-1", Name: "bakery", By: "github:dana", What: "retry"})
				return err
			})
		}, 1, "Trying `bakery` again"},
		"approve, not carried out": {"/reconciler approve 0123", nil, 2, "Nothing waits under that fingerprint"},
		"retry, not carried out":   {"/reconciler retry bakery", nil, 2, "nothing to try again"},
		"approved by another": {"/reconciler approve 0123", func(d *desk) {
			d.update(func(tx store.Tx) error {
				return store.PutApproval(tx, state.Approval{Fingerprint: "0123456789ab", By: "github:robin", At: d.time})
			})
		}, 1, "Approved: `0123456789ab`"},
		"something else approved by another": {"/reconciler approve 0123", func(d *desk) {
			d.update(func(tx store.Tx) error {
				return errors.Join(store.PutApproval(tx, state.Approval{Fingerprint: "0123456789ab", By: "github:robin", At: d.time}),
					store.PutHold(tx, state.Hold{Fingerprint: "0123ffffffff", Kind: state.HoldRisk, Client: "bakery-1"}))
			})
		}, 2, "Nothing waits under that fingerprint"},
		"approved long before": {"/reconciler approve 0123", func(d *desk) {
			d.update(func(tx store.Tx) error {
				return store.PutApproval(tx, state.Approval{Fingerprint: "0123456789ab", By: "github:dana", At: d.time.Add(-time.Hour)})
			})
		}, 2, "Nothing waits under that fingerprint"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.open(1, "one", "bakery")
			d.look()
			d.mergeAt(1, commitID("merge"))
			d.accept(commitID("merge"), nil, map[string]string{"bakery": "held"}, 1)
			d.look()
			asked := 0
			act := func() error {
				if asked++; asked > 1 {
					return errors.Join(reconcile.ErrNoHold, reconcile.ErrRefused)
				}
				if tt.does != nil {
					tt.does(d)
				}
				return died
			}
			d.Actions = Actions{Retry: func(context.Context, string, string) error {
				if err := act(); !errors.Is(err, reconcile.ErrNoHold) {
					return err
				}
				return reconcile.ErrRefused
			}, Approve: func(context.Context, string, string) (report.Approval, error) { return report.Approval{}, act() }}
			d.later(time.Minute)
			comment := d.comment("dana", 1, tt.body)
			if _, err := d.Sync(t.Context()); !errors.Is(err, died) {
				t.Fatalf("the first look: %v", err)
			}
			d.later(time.Minute)
			d.look()
			d.later(time.Minute)
			d.look()
			if asked != tt.again {
				t.Errorf("it was carried out %d times", asked)
			}
			var replies []string
			for _, b := range d.said(1, report.KindReply) {
				if _, id, ok := report.MarkerOf(b); ok && id == comment {
					replies = append(replies, b)
				}
			}
			if len(replies) != 1 || !contains(replies[0], tt.says) {
				t.Errorf("replies: %q", replies)
			}
		})
	}
}

// A pull request was opened and merged while nobody looked, and somebody commands on it before the
// forge is asked which ones a head brought, or while it can't say: that is carried out, once, when it
// is known.
func TestCommandOnAPullRequestThatNobodySawOpen(t *testing.T) {
	for _, away := range []bool{false, true} {
		d := newDesk(t)
		d.accept(commitID("first"), nil, map[string]string{"old": "succeeded"})
		d.look()
		d.open(1, "one", "bakery")
		commit := commitID("merge")
		d.mergeAt(1, commit)
		d.accept(commit, []string{commitID("one")}, map[string]string{"bakery": "failed"})
		if away {
			d.later(time.Minute)
			d.forge.fault = func(method string, _ ...any) error {
				if method == "PullsOf" {
					return forge.ErrAway
				}
				return nil
			}
		}
		d.comment("dana", 1, "/reconciler retry bakery")
		d.later(5 * time.Second)
		d.comment("rosa", 7, "thanks!") // on an issue: another comment follows it
		_, _ = d.Sync(t.Context())
		d.forge.fault = nil
		for range 3 {
			d.later(time.Minute)
			d.look()
		}
		if want := []string{"retry bakery by github:dana"}; !slices.Equal(d.asked, want) {
			t.Errorf("away %v: asked: %q", away, d.asked)
		}
	}
}
