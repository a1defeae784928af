package review

import (
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// A head made of the branch what an open pull request would have made, which then goes on: its own merge is told, whether
// it was planned once more before or not. Planned, it is a proposal like any other, which no head brought.
func TestP9GoesOnAfterTheSameWasMerged(t *testing.T) {
	for _, planned := range []bool{true, false} {
		d := newDesk(t)
		d.open(1, "one", "bakery")
		d.look()
		d.accept(commitID("same"), nil, map[string]string{"bakery": "succeeded"}, 1)
		d.look()
		d.open(1, "two", "bakery", "cafe")
		if d.sync(); planned {
			d.later(time.Minute)
			d.look()
			if r := d.record(1); len(r.Accepted) != 0 {
				t.Errorf("brought by %v", r.Accepted)
			}
		}
		squash := commitID("zquash")
		d.accept(squash, nil, map[string]string{"cafe": "succeeded"}) // Git alone doesn't tell
		d.mergeAt(1, squash)
		d.look()
		if r := d.record(1); len(r.Accepted) == 0 || r.Accepted[len(r.Accepted)-1] != squash {
			t.Errorf("planned %t: brought by %v", planned, r.Accepted)
		}
		if all := d.said(1, report.KindResult); planned && (len(all) != 1 || !contains(all[0], squash[:7])) {
			t.Errorf("results: %q", all)
		}
	}
}

// What a plan that was made onto an earlier head says lets go of nothing: the branch has it, and that is its result.
func TestP9PlanOfAnEarlierHeadLetsGoOfNothing(t *testing.T) {
	d := newDesk(t)
	d.accept(commitID("first"), nil, nil)
	d.open(1, "one", "bakery")
	merge := commitID("merge")
	d.whileJudged = func() {
		d.whileJudged = nil
		d.accept(merge, nil, map[string]string{"bakery": "succeeded"}, 1)
	}
	d.sync()
	if r := d.record(1); !slices.Equal(r.Accepted, []string{merge}) {
		t.Errorf("brought by %v", r.Accepted)
	}
}

// Whoever was shown changes has a result where nothing came of them, too: they were taken back before they were looked at.
func TestP9ResultOfNothingThatWasShown(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	commit := commitID("merge")
	d.mergeAt(1, commit)
	d.accept(commit, nil, nil, 1)
	d.look()
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "No client changed") {
		t.Errorf("results: %q", all)
	}
}

// A client that has another name by now is the one that was planned.
func TestP9ResultOfWhoWasRenamed(t *testing.T) {
	d := newDesk(t)
	d.open(1, "one", "bakery")
	d.look()
	commit := commitID("merge")
	d.mergeAt(1, commit)
	d.accept(commit, nil, map[string]string{"bread": "succeeded"}, 1)
	d.update(func(tx store.Tx) error {
		c, _, err := store.ClientByName(tx, "bread")
		if err != nil {
			return err
		}
		c.Former = []string{"bakery"}
		return store.PutClient(tx, c)
	})
	d.look()
	if all := d.said(1, report.KindResult); len(all) != 1 || !contains(all[0], "bread") {
		t.Errorf("results: %q", all)
	}
}

// The files that a template's change makes invalid are its matter, and nobody else's.
func TestP9ResultOfFilesThatATemplateMakesInvalid(t *testing.T) {
	for file, told := range map[string]bool{"templates/shop.yaml": true, "clients/other.yaml": false} {
		d := newDesk(t)
		head := d.open(1, "one")
		j, m := d.judge[head], d.merged[head]
		j.Problems = []report.Problem{{Path: "clients/bakery.yaml", Line: 6, Text: "there is no template"}}
		m.Files = append(m.Files, accept.File{Path: file, Data: []byte("other")})
		d.judge[head], d.merged[head] = j, m
		d.look()
		commit := commitID("merge")
		d.mergeAt(1, commit)
		d.accept(commit, nil, map[string]string{"bakery": "invalid"}, 1)
		d.update(func(tx store.Tx) error {
			v, _, err := store.Verdict(tx, commit)
			if err != nil {
				return err
			}
			v.State, v.Invalid = string(forge.Failure), []state.FileProblem{{Client: "bakery", Path: "clients/bakery.yaml", Text: "there is no template"}}
			return store.PutVerdict(tx, v)
		})
		d.look()
		if all := d.said(1, report.KindResult); (len(all) == 1 && contains(all[0], "there is no template")) != told {
			t.Errorf("%s: results: %q", file, all)
		}
	}
}

// A pull request that renames a client, and one that changes it, want one client, and not one name for two.
func TestRuleARenameClaimsNoName(t *testing.T) {
	d := newDesk(t)
	one, two := d.open(1, "one", "bakery"), d.open(2, "two", "bread")
	a, b := d.judge[one], d.judge[two]
	b.Clients = []state.PullClient{{Name: "bakery", Removed: true}, {Name: "bread", Hosts: a.Clients[0].Hosts}}
	d.judge[two] = b
	d.look()
	for n := 1; n <= 2; n++ {
		if all := d.said(n, report.KindPlan); len(all) != 1 || !contains(all[0], "changes `bakery`, too") || contains(all[0], "claims") {
			t.Errorf("pull request %d says %q", n, all)
		}
	}
}
