package review

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// merged makes pull request 1 of a client, planned, and merges it.
func merged(t *testing.T, fate string) (d *desk, commit string) {
	t.Helper()
	d = newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	commit = commitID("merge")
	d.mergeAt(1, commit)
	d.accept(commit, nil, map[string]string{"bakery": fate}, 1)
	return d, commit
}

// A merge is told on its commit, on the client's context, as a deployment and as one comment.
func TestMergeIsTold(t *testing.T) {
	d, commit := merged(t, "succeeded")
	d.look()
	d.wantStatus(commit, "apply", forge.Success, "1 client up to date")
	d.wantStatus(commit, "client/bakery", forge.Success, "")
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") {
		t.Errorf("results: %q", all)
	}
	if len(d.forge.deployments) != 1 || d.forge.deployments[0].Environment != "bakery" {
		t.Errorf("deployments: %+v", d.forge.deployments)
	}
	if n := d.forge.calls["SetStatus"] - 4 + d.forge.calls["CreateComment"] - 1 + d.forge.calls["EditComment"]; n > 1+6 {
		t.Errorf("%d writes", n)
	}
}

// The result waits until the last client has ended.
func TestResultWaitsForAll(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery", "dairy")
	d.look()
	commit := commitID("merge")
	d.mergeAt(1, commit)
	d.accept(commit, nil, map[string]string{"bakery": "succeeded", "dairy": "pending"}, 1)
	d.look()
	d.wantStatus(commit, "apply", forge.Pending, "1/2 clients done")
	if all := d.said(1, report.KindResult); len(all) != 0 {
		t.Errorf("results: %q", all)
	}
	d.accept(commit, nil, map[string]string{"bakery": "succeeded", "dairy": "succeeded"})
	d.look()
	d.wantStatus(commit, "apply", forge.Success, "2 clients")
	if all := d.said(1, report.KindResult); len(all) != 1 {
		t.Errorf("results: %q", all)
	}
}

// What a merge came to is told on the commit of every pull request that a head brought, and
// on each of them, whatever becomes of the others.
func TestP9EveryMergeIsTold(t *testing.T) {
	d := newDesk(t)
	commits := map[int]string{}
	for n, name := range map[int]string{1: "bakery", 2: "dairy", 3: "florist"} {
		d.open(n, fmt.Sprintf("h%d", n), name)
		commits[n] = commitID(fmt.Sprintf("%c%d", 'p'+n, n))
	}
	d.look()
	for n, c := range commits {
		d.mergeAt(n, c)
	}
	d.accept(commits[3], []string{commits[1], commits[2]}, map[string]string{"bakery": "succeeded", "dairy": "succeeded", "florist": "succeeded"}, 1, 2, 3)
	d.sync()
	d.forge.unknown[commits[1]] = true // a commit that the forge has not
	delete(d.forge.pulls, 2)           // a pull request that is gone
	d.look()
	for _, n := range []int{2, 3} {
		d.wantStatus(commits[n], "apply", forge.Success, "3 clients")
	}
	for n, name := range map[int]string{1: "bakery", 3: "florist"} {
		if all := d.said(n, report.KindResult); len(all) != 1 || !contains(all[0], name) || contains(all[0], "dairy") {
			t.Errorf("results of %d: %q", n, all)
		}
	}
	if waits := d.outbox(); len(waits) > 0 {
		t.Errorf("the outbox holds %+v", waits)
	}
}

// A head that the forge does not know (the branch is mirrored from elsewhere) is told where
// it can be.
func TestP9HeadThatTheForgeDoesNotKnow(t *testing.T) {
	d, commit := merged(t, "succeeded")
	d.forge.unknown[commit] = true
	d.look()
	if all := d.said(1, report.KindResult); len(all) != 1 {
		t.Errorf("results: %q", all)
	}
	if len(d.outbox()) > 0 {
		t.Errorf("the outbox holds %+v", d.outbox())
	}
	d.later(time.Hour)
	if err := d.Watch(t.Context()); err != nil {
		t.Errorf("Watch: %v", err)
	}
}

// A thousand statuses of one context are all that a commit may have: what else there is to
// tell is told.
func TestP9StatusesThatAreUsedUp(t *testing.T) {
	d, commit := merged(t, "succeeded")
	for _, c := range []string{"apply", "client/bakery"} {
		d.forge.statuses[commit] = append(d.forge.statuses[commit], slices.Repeat([]forge.Status{{Context: "reconciler/" + c, State: forge.Pending}}, statusesOfAContext)...)
	}
	d.look()
	if all := d.said(1, report.KindResult); len(all) != 1 {
		t.Errorf("results: %q", all)
	}
	if len(d.forge.deployments) != 1 {
		t.Errorf("deployments: %+v", d.forge.deployments)
	}
}

// Credentials that see the repository no more are answered as if all were gone: nothing that
// waits is given up for that.
func TestP9NothingIsDroppedWhileTheRepositoryIsNotSeen(t *testing.T) {
	d, commit := merged(t, "succeeded")
	waiting := len(d.outbox())
	d.forge.fault = func(string, ...any) error { return fmt.Errorf("404: %w", forge.ErrNotFound) }
	for range 3 {
		if err := d.tell(); err == nil {
			t.Fatal("it was told")
		}
	}
	if got := len(d.outbox()); got != waiting {
		t.Fatalf("of %d reports %d are left", waiting, got)
	}
	d.forge.fault = nil
	d.look()
	d.wantStatus(commit, "apply", forge.Success, "1 client up to date")
	if all := d.said(1, report.KindResult); len(all) != 1 {
		t.Errorf("results: %q", all)
	}
}

// Where a token may write no statuses GitHub can answer that there is no such commit: what
// is there to be read is not given up.
func TestP9NothingIsDroppedThatIsThere(t *testing.T) {
	d, commit := merged(t, "succeeded")
	d.forge.fault = func(method string, _ ...any) error {
		if method == "SetStatus" {
			return fmt.Errorf("404: %w", forge.ErrNotFound)
		}
		return nil
	}
	if err := d.tell(); err == nil {
		t.Error("it was told")
	}
	d.forge.fault = nil
	d.look()
	d.wantStatus(commit, "apply", forge.Success, "1 client up to date")
	d.wantStatus(commit, "client/bakery", forge.Success, "")
}

// A conversation that is locked keeps nobody from the statuses, and is given up.
func TestLockedConversation(t *testing.T) {
	d, commit := merged(t, "succeeded")
	p := d.forge.pulls[1]
	p.Locked = true
	d.forge.pulls[1] = p
	d.forge.fault = func(method string, _ ...any) error {
		if method == "CreateComment" || method == "EditComment" {
			return forge.ErrDenied
		}
		return nil
	}
	d.look()
	d.wantStatus(commit, "apply", forge.Success, "1 client up to date")
	d.wantStatus(commit, "client/bakery", forge.Success, "")
	if n := len(d.outbox()); n > 0 {
		t.Errorf("the outbox holds %d reports", n)
	}
	statuses := d.forge.calls["SetStatus"]
	d.look()
	if d.forge.calls["SetStatus"] != statuses {
		t.Error("statuses are told again")
	}
}

// Credentials that may not comment are refused: the comment waits, and the statuses are told
// once.
func TestP9RefusedCommentRepeatsNoStatus(t *testing.T) {
	d, commit := merged(t, "succeeded")
	d.forge.fault = func(method string, _ ...any) error {
		if method == "CreateComment" || method == "EditComment" {
			return forge.ErrDenied
		}
		return nil
	}
	if err := d.tell(); !errors.Is(err, forge.ErrDenied) {
		t.Errorf("tell: %v", err)
	}
	d.wantStatus(commit, "apply", forge.Success, "1 client up to date")
	statuses, deployments := d.forge.calls["SetStatus"], d.forge.calls["SetDeployment"]
	for range 5 {
		d.later(time.Hour)
		if err := d.tell(); !errors.Is(err, forge.ErrDenied) {
			t.Errorf("tell: %v", err)
		}
	}
	if d.forge.calls["SetStatus"] != statuses || d.forge.calls["SetDeployment"] != deployments {
		t.Errorf("%d statuses and %d deployments were told again", d.forge.calls["SetStatus"]-statuses, d.forge.calls["SetDeployment"]-deployments)
	}
	d.forge.fault = nil
	d.look()
	if all := d.said(1, report.KindResult); len(all) != 1 {
		t.Errorf("results: %q", all)
	}
}

// Whatever answer is lost, and wherever we die between the forge and the record: there is
// one comment of each kind, one deployment, one reply.
func TestP9LostAnswersWriteNothingTwice(t *testing.T) {
	for _, method := range []string{"CreateComment", "EditComment", "SetStatus", "CreateDeployment", "SetDeployment"} {
		t.Run(method, func(t *testing.T) {
			d := newDesk(t)
			seen := map[string]bool{}
			d.forge.lost = func(m string, args ...any) bool {
				key := fmt.Sprint(m, len(args), args[0])
				if body, ok := args[len(args)-1].(string); ok {
					kind, id, _ := report.MarkerOf(body)
					key += fmt.Sprint(kind, id)
				}
				lost := m == method && !seen[key]
				seen[key] = true
				return lost
			}
			d.open(1, "one", "bakery")
			d.sync()
			for range 4 {
				_ = d.tell() // what is lost is tried again
			}
			d.comment("dana", 1, "/reconciler help")
			d.sync()
			for range 4 {
				_ = d.tell()
			}
			commit := commitID("merge")
			d.mergeAt(1, commit)
			d.accept(commit, nil, map[string]string{"bakery": "succeeded"}, 1)
			for range 6 {
				_ = d.tell()
			}
			d.look()
			for _, kind := range []string{report.KindPlan, report.KindReply, report.KindResult} {
				if all := d.said(1, kind); len(all) != 1 {
					t.Errorf("%d comments of kind %s", len(all), kind)
				}
			}
			if len(d.forge.deployments) != 1 {
				t.Errorf("deployments: %+v", d.forge.deployments)
			}
			d.wantStatus(commit, "apply", forge.Success, "")
		})
	}
}

// The comment that is ours is found by marker and author: neither a stranger's that bears
// the marker nor another one of ours is edited.
func TestCommentIsFoundByMarkerAndAuthor(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.comment("mallory", 1, report.MarkPlan+"\nforged")
	d.forge.mu.Lock()
	d.forge.add("bot", 99, 1, "a word that bears no marker")
	d.forge.add("bot", 99, 1, report.MarkResult+"\nof another kind")
	ours := d.forge.add("bot", 99, 1, report.MarkPlan+"\nof before the state was lost")
	d.forge.mu.Unlock()
	d.look()
	for _, c := range d.forge.comments {
		changed := !c.UpdatedAt.Equal(c.CreatedAt) || contains(c.Body, "bakery")
		if changed != (c.ID == ours.ID) {
			t.Errorf("comment %d of %s: %.60q", c.ID, c.Author, c.Body)
		}
	}
	if r := d.record(1); r.Comment != ours.ID {
		t.Errorf("comment %d is on record", r.Comment)
	}
}

// A comment that somebody deleted is written anew when there is something to say, and when
// The credentials are those of another account by now (an App in the place of a token): GitHub may refuse to have the
// comment of the one before changed. What is to be told is told in one of our own, and changed there from then on.
func TestP9CommentOfAnAccountOfBefore(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	d.forge.me = forge.Identity{Login: "app[bot]", ID: 77, App: true}
	d.me.is = nil // the program was started anew
	d.forge.fault = func(method string, args ...any) error {
		if method != "EditComment" {
			return nil
		}
		for _, c := range d.forge.comments {
			if c.ID == args[0] && c.AuthorID != d.forge.me.ID {
				return fmt.Errorf("edit: %w", forge.ErrDenied)
			}
		}
		return nil
	}
	for _, head := range []string{"two", "three"} {
		d.open(1, head, "bakery", "dairy"+head)
		d.later(time.Minute)
		d.look()
		if all := d.said(1, report.KindPlan); len(all) != 1 || !contains(all[0], "dairy"+head) {
			t.Errorf("plans: %q", all)
		}
	}
	// Who may not comment at all is told so.
	d.forge.fault = func(method string, _ ...any) error {
		if method == "EditComment" || method == "CreateComment" {
			return fmt.Errorf("%s: %w", method, forge.ErrDenied)
		}
		return nil
	}
	d.open(1, "four", "bakery")
	d.later(time.Minute)
	d.sync()
	if err := d.tell(); !errors.Is(err, forge.ErrDenied) || len(d.outbox()) == 0 {
		t.Errorf("%v, %d reports left", err, len(d.outbox()))
	}
}

// somebody asks for a plan.
func TestDeletedComment(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	if err := d.forge.DeleteComment(t.Context(), d.record(1).Comment); err != nil {
		t.Fatal(err)
	}
	d.open(1, "two", "bakery", "dairy")
	d.later(time.Minute)
	d.look()
	if all := d.said(1, report.KindPlan); len(all) != 1 || !contains(all[0], "dairy") {
		t.Errorf("comments: %q", all)
	}
	if err := d.forge.DeleteComment(t.Context(), d.record(1).Comment); err != nil {
		t.Fatal(err)
	}
	d.comment("dana", 1, "/reconciler plan")
	d.look()
	if all := d.said(1, report.KindPlan); len(all) != 1 {
		t.Errorf("comments: %q", all)
	}
}

// Equal results are not written again, whatever is told beside them.
func TestEqualResultsAreNotRepeated(t *testing.T) {
	d, commit := merged(t, "succeeded")
	d.look()
	comments := d.forge.calls["CreateComment"] + d.forge.calls["EditComment"]
	d.update(func(tx store.Tx) error {
		_, err := store.AddReport(tx, state.Report{Subject: "commit/" + commit, State: "success", Text: "again", At: d.time})
		return err
	})
	d.look()
	if n := d.forge.calls["CreateComment"] + d.forge.calls["EditComment"]; n != comments {
		t.Errorf("%d comment writes", n-comments)
	}
}

// A merge that a later head speaks of is told by that one.
func TestResultOfTheNewestHead(t *testing.T) {
	d, first := merged(t, "succeeded")
	second := commitID("next")
	d.accept(second, nil, map[string]string{"bakery": "failed"}, 1)
	d.look()
	// The first is told once more, late.
	d.update(func(tx store.Tx) error {
		_, err := store.AddReport(tx, state.Report{Subject: "commit/" + first, State: "success", Text: "late", At: d.time})
		return err
	})
	d.look()
	all := d.said(1, report.KindResult)
	if len(all) != 1 || !contains(all[0], second[:7]) || contains(all[0], first[:7]) {
		t.Errorf("results: %q", all)
	}
}

// A merge that changes no client has a status, and no comment.
func TestS03RuleNoResultOfNothing(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one")
	d.look()
	commit := commitID("merge")
	d.mergeAt(1, commit)
	d.accept(commit, nil, nil, 1)
	d.look()
	d.wantStatus(commit, "apply", forge.Success, "no client changes")
	if len(d.forge.comments) > 0 {
		t.Errorf("comments: %+v", d.forge.comments)
	}
}

// A deployment is a success only where the head is what the site runs: what is paused or was
// overtaken goes on with what it had.
func TestDeploymentOfWhatDidNotRun(t *testing.T) {
	for fate, want := range map[string]forge.DeploymentState{
		"succeeded": forge.DeploymentSuccess, "paused": forge.DeploymentInactive, "superseded by " + commitID("later"): forge.DeploymentInactive,
	} {
		d, commit := merged(t, fate)
		d.look()
		i := slices.IndexFunc(d.forge.deployments, func(one forge.Deployment) bool { return one.Commit == commit && one.Environment == "bakery" })
		if i < 0 {
			t.Errorf("%s: no deployment", fate)
			continue
		}
		if told := d.forge.states[d.forge.deployments[i].ID]; len(told) == 0 || told[len(told)-1].State != want {
			t.Errorf("%s: %+v, want %s", fate, told, want)
		}
	}
}

// A client that is gone has no deployment that counts as active at the forge, of whatever head.
func TestDeploymentOfWhatIsGone(t *testing.T) {
	d, _ := merged(t, "succeeded")
	d.look()
	active := func() (out []string) {
		for _, one := range d.forge.deployments {
			if told := d.forge.states[one.ID]; len(told) > 0 && told[len(told)-1].State == forge.DeploymentSuccess {
				out = append(out, one.Environment)
			}
		}
		return out
	}
	if got := active(); !slices.Equal(got, []string{"bakery"}) {
		t.Fatalf("active: %q", got)
	}
	d.later(time.Hour)
	d.accept(commitID("gone"), nil, map[string]string{"bakery": "succeeded"})
	d.update(func(tx store.Tx) error {
		c, _, err := store.ClientByName(tx, "bakery")
		c.Removed, c.Status = true, state.StatusRetained
		return errors.Join(err, store.PutClient(tx, c))
	})
	d.look()
	if got := active(); len(got) > 0 {
		t.Errorf("active: %q; its site is gone", got)
	}
}

// Somebody else's deployment of the same commit is not ours to end, and of many clients none
// is shown under way.
func TestDeploymentsAreOurs(t *testing.T) {
	d, commit := merged(t, "succeeded")
	d.forge.deployments = []forge.Deployment{{ID: 5, Commit: commit, Environment: "bakery", Task: "deploy"}}
	d.look()
	if len(d.forge.states[5]) > 0 || len(d.forge.deployments) != 2 {
		t.Errorf("deployments: %+v; states %+v", d.forge.deployments, d.forge.states)
	}
	for _, clients := range []int{maxProgress, maxProgress + 1} {
		d := newDesk(t)
		fates := map[string]string{}
		for i := range clients {
			fates[fmt.Sprintf("s%d", i)] = "pending"
		}
		d.accept(commit, nil, fates)
		if err := d.tell(); err != nil {
			t.Fatal(err)
		}
		if got := len(d.forge.deployments); (got == clients) != (clients <= maxProgress) || got != 0 && got != clients {
			t.Errorf("%d clients under way have %d deployments", clients, got)
		}
	}
}

// A squash of what nobody had planned is known by what the forge says, whoever comes first:
// its word, or the branch's head.
func TestP9SquashOfWhatNobodyPlanned(t *testing.T) {
	for _, order := range []string{"the forge first", "the branch first", "while the head was judged"} {
		t.Run(order, func(t *testing.T) {
			d := newDesk(t)
			d.open(1, "one", "bakery")
			d.head = "" // nothing is planned yet
			d.sync()
			commit := commitID("squash")
			switch order {
			case "the forge first":
				d.mergeAt(1, commit)
				d.sync()
				d.accept(commit, nil, map[string]string{"bakery": "succeeded"}, 1) // Git finds it then
			case "the branch first":
				d.accept(commit, nil, map[string]string{"bakery": "succeeded"})
				d.look()
				d.mergeAt(1, commit)
			case "while the head was judged":
				d.mergeAt(1, commit)
				d.sync()
				d.accept(commit, nil, map[string]string{"bakery": "succeeded"})
			}
			d.later(time.Minute)
			d.look()
			if r := d.record(1); !slices.Equal(r.Accepted, []string{commit}) {
				t.Errorf("accepted: %v", r.Accepted)
			}
			if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") {
				t.Errorf("results: %q", all)
			}
		})
	}
}

// A head that brought several merges was told before the forge said which commits they are:
// each of them has its status all the same, once.
func TestP9MergeCommitThatIsKnownLater(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	merge, head := commitID("merge"), commitID("head")
	d.accept(head, []string{merge}, map[string]string{"bakery": "succeeded"}, 1)
	if err := d.tell(); err != nil {
		t.Fatal(err)
	}
	d.wantStatus(head, "apply", forge.Success, "1 client up to date")
	d.mergeAt(1, merge)
	d.look()
	d.wantStatus(merge, "apply", forge.Success, "1 client up to date")
	if all := d.said(1, report.KindResult); len(all) != 1 {
		t.Errorf("results: %q", all)
	}
	told := d.writes()
	d.later(time.Hour)
	d.look()
	if n := d.writes(); n != told {
		t.Errorf("%d more writes", n-told)
	}
}

// A pull request that was opened and merged between two looks is told its result all the same.
func TestP9OpenedAndMergedUnseen(t *testing.T) {
	d := newDesk(t)
	d.accept(commitID("first"), nil, map[string]string{"old": "succeeded"})
	d.look() // what was accepted before we came to ask is not asked for
	d.open(1, "one", "bakery")
	commit := commitID("merge")
	d.mergeAt(1, commit)
	d.forge.pulls[2] = forge.Pull{Number: 2, Head: commitID("z"), BaseRef: "release", Merged: true, MergeCommit: commit}
	d.accept(commit, []string{commitID("one")}, map[string]string{"bakery": "succeeded"})
	d.later(time.Minute)
	d.look()
	if r := d.record(1); !r.Merged || !slices.Equal(r.Accepted, []string{commit}) {
		t.Errorf("%+v", r)
	}
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") {
		t.Errorf("results: %q", all)
	}
	if _, ok := d.known(2); ok {
		t.Error("a merge into another branch is taken for one of ours")
	}
	asked := d.forge.calls["PullsOf"]
	d.look()
	d.accept(commitID("young"), nil, map[string]string{"bakery": "succeeded"})
	d.look() // a forge may not know yet what it merged
	if d.forge.calls["PullsOf"] != asked {
		t.Error("it is asked again and again")
	}
}

// A pull request that was closed, opened again and merged between two looks is told its result all the
// same, and its plan says no more that nothing was changed.
func TestP9ClosedThenMergedUnseen(t *testing.T) {
	d := newDesk(t)
	d.accept(commitID("first"), nil, map[string]string{"old": "succeeded"})
	d.look()
	head := d.open(1, "one", "bakery")
	d.look()
	p := d.forge.pulls[1]
	p.Open = false
	d.forge.pulls[1] = p
	d.look()
	commit := commitID("merge")
	d.mergeAt(1, commit)
	d.accept(commit, []string{head}, map[string]string{"bakery": "succeeded"})
	d.later(time.Minute)
	d.look()
	if r := d.record(1); !r.Merged || !slices.Equal(r.Accepted, []string{commit}) {
		t.Errorf("%+v", r)
	}
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") {
		t.Errorf("results: %q", all)
	}
	if all := d.said(1, report.KindPlan); len(all) != 1 || contains(all[0], "Nothing was changed") {
		t.Errorf("plan: %q", all)
	}
	told := d.writes()
	d.later(time.Hour)
	d.look()
	if n := d.writes(); n != told {
		t.Errorf("%d more writes", n-told)
	}
}

func (d *desk) known(n int) (p state.Pull, ok bool) {
	d.view(func(tx store.Tx) (err error) { p, ok, err = store.Pull(tx, n); return err })
	return p, ok
}

// What hangs at the forge though it ended is told again: heads of the branch, their clients,
// heads of pull requests; and one that can't be looked at keeps nobody else from it.
func TestP9WatchFindsWhatHangs(t *testing.T) {
	d, commit := merged(t, "succeeded")
	d.look()
	head := d.open(2, "two", "dairy")
	d.later(time.Minute)
	d.look()
	writes := d.writes()
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.look()
	if d.writes() != writes {
		t.Errorf("%d writes where nothing hangs", d.writes()-writes)
	}
	tests := map[string]func(){
		"apply": func() {
			d.forge.statuses[commit] = slices.DeleteFunc(d.forge.statuses[commit], func(s forge.Status) bool { return s.Context == "reconciler/apply" })
		},
		"client": func() {
			d.forge.statuses[commit] = append(d.forge.statuses[commit], forge.Status{Context: "reconciler/client/bakery", State: forge.Pending})
		},
		"lost client": func() {
			d.forge.statuses[commit] = slices.DeleteFunc(d.forge.statuses[commit], func(s forge.Status) bool { return s.Context == "reconciler/client/bakery" })
		},
		"plan": func() {
			d.forge.statuses[head] = append(d.forge.statuses[head], forge.Status{Context: "reconciler/plan", State: forge.Pending})
		},
		"both": func() {
			d.forge.statuses[head] = nil
			d.forge.unknown[commit] = true
		},
	}
	for _, name := range []string{"apply", "client", "lost client", "plan", "both"} {
		tests[name]()
		if err := d.Watch(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		d.look()
		if name != "both" {
			d.wantStatus(commit, "apply", forge.Success, "1 client up to date")
			d.wantStatus(commit, "client/bakery", forge.Success, "")
		}
		d.wantStatus(head, "plan", forge.Success, "dairy")
		d.wantStatus(head, "validate", forge.Success, "")
	}
}

// A client that ended is not left pending because another of its head goes on for long.
func TestP9WatchFindsClientsOfHeadsThatGoOn(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery", "dairy", "florist")
	d.look()
	commit := commitID("merge")
	d.mergeAt(1, commit)
	d.accept(commit, nil, map[string]string{"bakery": "succeeded", "dairy": "pending", "florist": "failed"}, 1)
	d.look()
	d.forge.statuses[commit] = []forge.Status{{Context: "reconciler/apply", State: forge.Pending}, {Context: "reconciler/client/bakery", State: forge.Pending},
		{Context: "reconciler/client/dairy", State: forge.Pending}}
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(d.outbox()); n != 2 {
		t.Errorf("%d reports: %+v", n, d.outbox())
	}
	d.look()
	d.wantStatus(commit, "client/bakery", forge.Success, "")
	d.wantStatus(commit, "client/florist", forge.Failure, "")
	d.wantStatus(commit, "client/dairy", forge.Pending, "")
	d.wantStatus(commit, "apply", forge.Pending, "")
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(d.outbox()); n != 0 {
		t.Errorf("%d reports where nothing hangs", n)
	}
}

// Many heads of a busy branch keep nobody from looking at pull requests.
func TestP9WatchReachesPullRequests(t *testing.T) {
	d := newDesk(t)
	d.update(func(tx store.Tx) error {
		for i := range 3 * maxWatched {
			c := fmt.Sprintf("%040x", i+1)
			d.forge.statuses[c] = []forge.Status{{Context: "reconciler/apply", State: forge.Success}}
			if err := store.PutVerdict(tx, state.Verdict{Commit: c, Seq: uint64(i + 1), State: "success", At: d.time, Ended: d.time}); err != nil {
				return err
			}
		}
		return nil
	})
	head := d.open(1, "one", "bakery")
	d.look()
	d.forge.statuses[head] = nil
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.look()
	d.wantStatus(head, "plan", forge.Success, "bakery")
	if n := d.forge.calls["Statuses"]; n > 2*maxWatched {
		t.Errorf("%d commits were looked at", n)
	}
}

// Old ones are not looked at.
func TestWatchForgets(t *testing.T) {
	d, commit := merged(t, "succeeded")
	d.look()
	d.forge.statuses[commit] = nil
	d.later(watchFor + time.Hour)
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(d.outbox()); n > 0 {
		t.Errorf("%d reports", n)
	}
}

// A subject that is no matter of the forge, or of nothing that is known, is dropped.
func TestDeliverDrops(t *testing.T) {
	d := newDesk(t)
	for _, subject := range []string{"", "client/bakery/drift", "pull/x/plan", "pull/7/plan", "pull/7/reply/1", "pull/7/files", "a/b/c/d/e", "commit", "pull/7/result"} {
		if err := d.Deliver(t.Context(), state.Report{Subject: subject, Detail: "{}"}); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if d.writes() > 0 {
		t.Errorf("%d writes", d.writes())
	}
}

// Limits and outages are no refusals: what they stop waits.
func TestDeliverKeepsWhatLimitsStop(t *testing.T) {
	for _, err := range []error{&forge.Limited{Until: time.Now()}, forge.ErrAway, forge.ErrDenied} {
		d := newDesk(t)
		head := d.open(1, "one", "bakery")
		d.sync()
		d.forge.fault = func(m string, _ ...any) error {
			if strings.HasPrefix(m, "Set") || strings.HasPrefix(m, "Create") {
				return err
			}
			return nil
		}
		if got := d.tell(); !errors.Is(got, err) {
			t.Errorf("tell: %v", got)
		}
		d.forge.fault = nil
		d.later(deniedFor)
		d.look()
		d.wantStatus(head, "plan", forge.Success, "bakery")
		if all := d.said(1, report.KindPlan); len(all) != 1 {
			t.Errorf("comments: %q", all)
		}
	}
}

// A result is about what the pull request changed, though the head brought more; of one that
// was merged before anybody planned it, and alone, it is about all of the head.
func TestResultIsAboutThePullRequest(t *testing.T) {
	for _, planned := range []bool{true, false} {
		d := newDesk(t)
		d.open(1, "one", "bakery")
		if !planned {
			d.head = ""
		}
		d.look()
		commit := commitID("merge")
		d.mergeAt(1, commit)
		d.sync()
		d.accept(commit, nil, map[string]string{"bakery": "succeeded", "dairy": "succeeded"}, 1)
		d.look()
		if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") || contains(all[0], "dairy") == planned {
			t.Errorf("planned %t: %q", planned, all)
		}
	}
}

// What is told of a client is the run of this head, and what it waits for.
func TestClientResult(t *testing.T) {
	d := newDesk(t)
	c := state.Client{ID: "bakery-1", Name: "bakery", Deployment: "d1"}
	holds := []state.Hold{{Fingerprint: "a", Client: "bakery-1"}, {Fingerprint: "b", Client: "dairy-1"}, {Fingerprint: "c", Clients: []state.ClientID{"dairy-1", "bakery-1"}}, {Fingerprint: "d", Clients: []state.ClientID{"dairy-1"}}}
	d.update(func(tx store.Tx) error {
		return store.PutDeployment(tx, state.Deployment{ID: "d1", Client: c.ID, Commit: "head"})
	})
	tests := []struct {
		head, fate string
		run        bool
		holds      string
	}{
		{"head", "succeeded", true, ""},
		{"other", "succeeded", false, ""},
		{"head", "superseded by other", false, ""},
		{"head", "held", true, "ac"},
	}
	d.view(func(tx store.Tx) error {
		for _, tt := range tests {
			r, err := d.clientResult(tx, c, tt.head, tt.fate, holds)
			if err != nil {
				return err
			}
			got := ""
			for _, h := range r.Holds {
				got += h.Fingerprint
			}
			if (r.Run.ID != "") != tt.run || got != tt.holds {
				t.Errorf("%+v: run %q, holds %s", tt, r.Run.ID, got)
			}
		}
		return nil
	})
}

// What is under way, what waits in the outbox and what is over is not watched.
func TestWatchLeavesAlone(t *testing.T) {
	d, commit := merged(t, "pending")
	d.sync()
	waiting := len(d.outbox())
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(d.outbox()); got != waiting || d.forge.calls["Statuses"] > 0 {
		t.Errorf("%d reports where there were %d; %d looks", got, waiting, d.forge.calls["Statuses"])
	}
	d.look()
	d.forge.statuses[commit] = nil
	d.open(2, "two", "dairy")
	d.look()
	p := d.forge.pulls[2]
	p.Open = false
	d.forge.pulls[2] = p
	d.look()
	d.forge.statuses[p.Head] = nil
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(d.outbox()); got > 0 || d.forge.calls["Statuses"] > 0 {
		t.Errorf("%d reports; %d looks", got, d.forge.calls["Statuses"])
	}
	d.accept(commit, nil, map[string]string{"bakery": "succeeded"})
	waiting = len(d.outbox())
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(d.outbox()); got != waiting {
		t.Errorf("%d reports where there were %d", got, waiting)
	}
}

// Suggestions are brought to what is wanted: none twice, those whose problem is gone taken
// back, nobody else's touched; and no more than a few.
func TestSuggestionsAreBroughtToWhatIsWanted(t *testing.T) {
	d := newDesk(t)
	head := d.open(1, "one", "bakery")
	j := d.judge[head]
	problem := func(path string, line int) report.Problem {
		return report.Problem{Client: "bakery", Path: path, Line: line, Text: "odd", Repair: fmt.Sprintf("line: %d", line)}
	}
	j.Problems = []report.Problem{problem("clients/there.yaml", 2), problem("clients/bakery.yaml", 0)} // not of its files; of no line
	for line := range maxSuggestions + 5 {
		j.Problems = append(j.Problems, problem("clients/bakery.yaml", line+1))
	}
	d.judge[head] = j
	theirs := forge.Suggestion{ID: 1, Pull: 1, Path: "clients/bakery.yaml", Line: 3, Body: "somebody's word"}
	d.forge.suggestions = []forge.Suggestion{theirs}
	d.look()
	if n := len(d.forge.suggestions); n != 1+maxSuggestions {
		t.Fatalf("%d suggestions", n)
	}
	for _, s := range d.forge.suggestions {
		if s.Path != "clients/bakery.yaml" || s.Line < 1 {
			t.Errorf("%+v", s)
		}
	}
	d.forge.suggestions = append(d.forge.suggestions, d.forge.suggestions[1]) // made twice: an answer was lost
	d.forge.suggestions[len(d.forge.suggestions)-1].ID = 2
	made := d.forge.calls["Suggest"]
	d.comment("dana", 1, "/reconciler plan")
	d.look()
	if n := len(d.forge.suggestions); n != 1+maxSuggestions || d.forge.calls["Suggest"] != made {
		t.Errorf("%d suggestions, %d made again", n, d.forge.calls["Suggest"]-made)
	}
	j.Problems = nil
	d.judge[head] = j
	d.comment("dana", 1, "/reconciler plan")
	d.look()
	if len(d.forge.suggestions) != 1 || d.forge.suggestions[0] != theirs {
		t.Errorf("%+v", d.forge.suggestions)
	}
}

// An App shows problems on their lines, and a check that fails; whoever is none does not try.
func TestChecks(t *testing.T) {
	for _, app := range []bool{true, false} {
		d := newDesk(t)
		d.App, d.forge.me.App = app, app
		head := d.open(1, "one", "bakery")
		j := d.judge[head]
		j.Problems = []report.Problem{{Client: "bakery", Path: "clients/bakery.yaml", Line: 3, Column: 2, Text: "odd", Hint: "even"}}
		d.judge[head] = j
		d.look()
		if got := len(d.forge.checks); (got == 1) != app {
			t.Fatalf("%d checks of an App: %t", got, app)
		}
		if !app {
			continue
		}
		c := d.forge.checks[0]
		if c.Commit != head || c.State != forge.Failure || len(c.Annotations) != 1 || c.Annotations[0].Line != 3 || !contains(c.Annotations[0].Message, "even") {
			t.Errorf("%+v", c)
		}
	}
}

// Many heads that no pull request explains are asked for little by little.
func TestUnseenAreAskedForLittleByLittle(t *testing.T) {
	d := newDesk(t)
	for h := range 4 {
		var commits []string
		for c := range maxAskedCommits + 50 {
			commits = append(commits, fmt.Sprintf("%040x", h<<16+c+1))
		}
		d.accept(fmt.Sprintf("%040x", h<<16+1<<12), commits, nil)
	}
	d.later(time.Minute)
	before := 0
	for range 6 {
		d.sync()
		if n := d.forge.calls["PullsOf"] - before; n > maxAskedCommits {
			t.Errorf("one look asks %d times", n)
		}
		before = d.forge.calls["PullsOf"]
	}
	if before != 4*maxAskedCommits {
		t.Errorf("asked %d times", before)
	}
}

// P9: two pull requests were merged between two looks, and the head has more clients than are told one
// by one. Of the one whose client has come to its end people are told then: the others may wait for a
// provider, or a person, for long.
func TestP9ResultOfWhatEndedBesideMany(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	fates, others := map[string]string{"bakery": "failed"}, []string{}
	for n := range accept.MaxClientReports + 1 {
		others = append(others, fmt.Sprintf("s%02d", n))
		fates[others[n]] = "pending"
	}
	d.open(2, "two", others...)
	d.look()
	d.mergeAt(1, commitID("merge"))
	d.mergeAt(2, commitID("merge2"))
	d.accept(commitID("merge2"), []string{commitID("one"), commitID("merge"), commitID("two")}, fates, 1, 2)
	d.update(func(tx store.Tx) error { // as the engine tells of many
		all, err := store.Reports(tx)
		for _, r := range all {
			err = errors.Join(err, store.DeleteReport(tx, r.Seq))
		}
		_, err2 := store.AddReport(tx, state.Report{Subject: "commit/" + commitID("merge2"), State: "pending", Text: "22 clients to do", At: d.time})
		return errors.Join(err, err2)
	})
	comes := func(to string) {
		d.update(func(tx store.Tx) error {
			v, err := store.PutFate(tx, commitID("merge2"), "bakery-1", to)
			return errors.Join(err, store.PutVerdictHead(tx, v))
		})
	}
	comes("pending")
	d.look()
	if all := d.said(1, report.KindResult); len(all) > 0 {
		t.Fatalf("nothing has ended, and the result is %q", all)
	}
	comes("failed")
	d.look()
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") {
		t.Errorf("its client failed, and the result is %q", all)
	}
	if all := d.said(2, report.KindResult); len(all) > 0 {
		t.Errorf("a result of what has not ended: %q", all)
	}
	if d.look(); len(d.outbox()) > 0 || d.forge.calls["CreateComment"] != 3 {
		t.Errorf("told again and again: %d comments, and %d more are to be told", d.forge.calls["CreateComment"], len(d.outbox()))
	}
}

// P9: a token that may not write statuses keeps no result from being told: the rest goes on. What is
// denied waits, and is told when it is granted.
func TestP9DeniedStatusKeepsNoResult(t *testing.T) {
	d, commit := merged(t, "failed")
	d.forge.fault = func(method string, _ ...any) error {
		if method == "SetStatus" {
			return forge.ErrDenied
		}
		return nil
	}
	d.sync()
	for range 3 {
		if err := d.tell(); !errors.Is(err, forge.ErrDenied) {
			t.Fatalf("what is denied: %v", err)
		}
	}
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") {
		t.Errorf("results: %q", all)
	}
	d.forge.fault = nil
	d.later(deniedFor)
	d.look()
	d.wantStatus(commit, "apply", forge.Failure, "")
	d.wantStatus(commit, "client/bakery", forge.Failure, "")
	if n := d.forge.calls["CreateComment"] + d.forge.calls["EditComment"]; n != 2 {
		t.Errorf("comments were written %d times", n)
	}
}

// P9: statuses that are denied us are asked for now and then, not once for each that waits: GitHub takes 500 writes
// an hour, and comments need some of them.
func TestP9DeniedStatusesLeaveRoom(t *testing.T) {
	d := newDesk(t)
	denied := true
	d.forge.fault = func(method string, _ ...any) error {
		if method == "SetStatus" && denied {
			return forge.ErrDenied
		}
		return nil
	}
	d.update(func(tx store.Tx) error {
		for n := range 100 {
			if _, err := store.AddReport(tx, state.Report{Subject: "commit/" + commitID(fmt.Sprint(n)), State: "success", Text: "done", At: d.time}); err != nil {
				return err
			}
		}
		return nil
	})
	for range 6 { // an hour, as the engine tries again
		if err := d.tell(); !errors.Is(err, forge.ErrDenied) {
			t.Fatalf("what is denied: %v", err)
		}
		d.later(10 * time.Minute)
	}
	if n := d.forge.calls["SetStatus"]; n > 12 {
		t.Errorf("%d statuses were tried in an hour", n)
	}
	denied = false
	d.look()
	d.wantStatus(commitID("7"), "apply", forge.Success, "")
	if waits := d.outbox(); len(waits) > 0 {
		t.Errorf("%d wait", len(waits))
	}
}

// P9: what else of a report is to be told may have to wait for room: its status is set once.
func TestP9StatusIsSetOnceWhileTheRestWaits(t *testing.T) {
	d, commit := merged(t, "succeeded")
	full := true
	d.forge.fault = func(method string, _ ...any) error {
		if method == "CreateDeployment" && full {
			return &forge.Limited{Until: d.time.Add(time.Minute)}
		}
		return nil
	}
	d.sync()
	before := d.forge.calls["SetStatus"]
	for range 5 {
		_ = d.tell()
		d.later(10 * time.Minute)
	}
	full = false
	d.look()
	d.wantStatus(commit, "client/bakery", forge.Success, "")
	if n := d.forge.calls["SetStatus"] - before; n > 4 { // of the client, of the commit, and two of the pull request's head
		t.Errorf("%d statuses were set", n)
	}
	// One that the forge lost is set again, when it is asked for.
	d.forge.mu.Lock()
	delete(d.forge.statuses, commit)
	d.forge.mu.Unlock()
	if err := d.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.look()
	d.wantStatus(commit, "client/bakery", forge.Success, "")
}

// P9: "not found" is what a forge answers whoever may read a commit and set no status on it: as where it is denied
// in so many words, the result is told all the same.
func TestP9HiddenStatusKeepsNoResult(t *testing.T) {
	d, commit := merged(t, "failed")
	d.forge.fault = func(method string, _ ...any) error {
		if method == "SetStatus" {
			return forge.ErrNotFound
		}
		return nil
	}
	d.sync()
	if err := d.tell(); !errors.Is(err, forge.ErrDenied) {
		t.Fatalf("what is denied: %v", err)
	}
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") {
		t.Errorf("results: %q", all)
	}
	d.forge.fault = nil
	d.look()
	d.wantStatus(commit, "apply", forge.Failure, "")
}

// P9: a comment that the forge refuses as invalid is tried again, for a while: GitHub answers whoever writes much so, too.
func TestP9RefusedCommentIsTriedAgain(t *testing.T) {
	d, _ := merged(t, "succeeded")
	refuses := true
	d.forge.fault = func(method string, _ ...any) error {
		if method == "CreateComment" && refuses {
			return forge.ErrInvalid
		}
		return nil
	}
	d.sync()
	for range 3 {
		if err := d.tell(); !errors.Is(err, forge.ErrInvalid) {
			t.Errorf("what is refused: %v", err)
		}
	}
	refuses = false
	d.look()
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bakery") {
		t.Errorf("results: %q", all)
	}
	refuses = true
	if err := d.Deliver(t.Context(), state.Report{Subject: "pull/1/reply/7", Detail: "words", Tries: maxRefused}); err != nil {
		t.Errorf("what is never taken: %v", err)
	}
}

// P9: a deployment that is refused once others were shown is told as soon as it may be: "in progress" does not stand for
// ever. Where none was ever shown the permission is not ours, and nothing waits for it.
func TestP9DeploymentThatIsRefusedIsToldLater(t *testing.T) {
	for what, refusal := range map[string]error{"denied": forge.ErrDenied, "refused as invalid": forge.ErrInvalid} {
		d, commit := merged(t, "pending")
		d.look()
		refuses := true
		d.forge.fault = func(method string, _ ...any) error {
			if method == "SetDeployment" && refuses {
				return refusal
			}
			return nil
		}
		d.later(time.Minute)
		d.update(func(tx store.Tx) error {
			v, _, err := store.Verdict(tx, commit)
			v.State, v.Ended, v.Clients = "success", d.time, map[state.ClientID]string{"bakery-1": "succeeded"}
			_, failed := store.AddReport(tx, state.Report{Subject: "commit/" + commit + "/client/bakery", State: "success", Text: "done", At: d.time})
			return errors.Join(err, failed, store.PutVerdict(tx, v))
		})
		if err := d.tell(); err == nil {
			t.Errorf("%s: it counts as told", what)
		}
		if all := d.said(1, report.KindResult); len(all) != 1 {
			t.Errorf("%s: results: %q", what, all)
		}
		refuses = false
		d.look()
		if told := d.forge.states[d.forge.deployments[0].ID]; len(told) != 2 || told[1].State != forge.DeploymentSuccess {
			t.Errorf("%s: %+v", what, told)
		}
		refuses = true
		last := state.Report{Subject: "commit/" + commit + "/client/bakery", State: "success", Text: "done", Tries: maxRefused}
		if err := d.Deliver(t.Context(), last); err != nil {
			t.Errorf("%s: what is never taken: %v", what, err)
		}
	}
	d, _ := merged(t, "succeeded")
	d.forge.fault = func(method string, _ ...any) error {
		if method == "CreateDeployment" {
			return forge.ErrDenied
		}
		return nil
	}
	d.look()
	if len(d.outbox()) > 0 {
		t.Errorf("without the permission: %+v waits", d.outbox())
	}
}

// A client that is renamed has no deployment that counts as active in the environment of its former name, unless
// another client has that name now.
func TestDeploymentOfAFormerName(t *testing.T) {
	for _, taken := range []bool{false, true} {
		d, _ := merged(t, "succeeded")
		d.look()
		d.later(time.Hour)
		head := commitID("renamed")
		d.accept(head, nil, map[string]string{"bread": "succeeded"})
		d.update(func(tx store.Tx) error {
			c, _, err := store.ClientByName(tx, "bakery")
			if err != nil {
				return err
			}
			if !taken {
				err = store.DeleteClient(tx, c)
			}
			bread, _, failed := store.ClientByName(tx, "bread")
			bread.Former = []string{"bakery", "long-ago"}
			v, _, wrong := store.Verdict(tx, head)
			v.Landed = []state.Landed{{ID: head, Names: []string{"bread", "bakery"}}}
			return errors.Join(err, failed, wrong, store.PutClient(tx, bread), store.PutVerdict(tx, v))
		})
		d.look()
		var active []string
		for _, one := range d.forge.deployments {
			if told := d.forge.states[one.ID]; told[len(told)-1].State == forge.DeploymentSuccess {
				active = append(active, one.Environment)
			}
		}
		slices.Sort(active)
		if want := map[bool][]string{false: {"bread"}, true: {"bakery", "bread"}}[taken]; !slices.Equal(active, want) {
			t.Errorf("taken by another: %t; active: %q", taken, active)
		}
	}
}

// Statuses that are denied for days are given up, but for those of open pull requests, which are waited for: whoever gives the
// permission at last is told of today first.
func TestP9DeniedForDays(t *testing.T) {
	d, commit := merged(t, "failed")
	head := d.open(2, "two", "cafe")
	d.look()
	d.forge.fault = func(method string, _ ...any) error {
		if method == "SetStatus" {
			return forge.ErrDenied
		}
		return nil
	}
	for subject, kept := range map[string]bool{"commit/" + commit: false, "commit/" + commit + "/client/bakery": false, "head/" + commitID("one") + "/plan": false, "head/" + head + "/plan": true} {
		err := d.Deliver(t.Context(), state.Report{Subject: subject, State: "success", Text: "done", Tries: maxDenied})
		if (err != nil) != kept {
			t.Errorf("%s: %v", subject, err)
		}
		if err := d.Deliver(t.Context(), state.Report{Subject: subject, State: "success", Text: "done", Tries: maxDenied - 1}); !errors.Is(err, forge.ErrDenied) {
			t.Errorf("%s, before: %v", subject, err)
		}
	}
}

// P12: while the forge swallows what it is sent, a batch is not held up by each report: that it could not be told is on record
// when the first one has failed.
func TestP12BatchEndsWhileTheForgeSwallows(t *testing.T) {
	d, commit := merged(t, "succeeded")
	swallows := true
	d.forge.fault = func(string, ...any) error {
		if !swallows {
			return nil
		}
		d.later(20 * time.Second)
		return forge.ErrAway
	}
	began := d.time
	for i := range 50 {
		if err := d.Deliver(t.Context(), state.Report{Subject: fmt.Sprintf("head/%s/plan", commitID(fmt.Sprint(i))), State: "success"}); !errors.Is(err, forge.ErrAway) {
			t.Fatal(err)
		}
	}
	if took := d.time.Sub(began); took > time.Minute {
		t.Errorf("it takes %s to know that nobody is told", took)
	}
	swallows = false
	d.later(awayFor)
	d.look()
	d.wantStatus(commit, "apply", forge.Success, "")
}
