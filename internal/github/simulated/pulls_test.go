package simulated

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	gh "github.com/google/go-github/v60/github"
)

func asError[T error](err error, to *T) bool { return errors.As(err, to) }

var ctx = context.Background()

func TestAPullRequestIsOpenedTriedAndMerged(t *testing.T) {
	for _, kind := range []Kind{MergeCommit, Squash, Rebase} {
		t.Run(string(kind), func(t *testing.T) {
			s := newScene(t, nil)
			before := s.branch("main")
			n := s.proposed("plan", "starter")
			if _, err := s.Push("plan", map[string]*string{"clients/florist.yaml": text("name: florist\n")}, "Add the florist\n", "dana"); err != nil {
				t.Fatal(err)
			}
			if p := s.pullOf(n); p.GetNumber() != 1 || p.GetState() != "open" || p.GetUser().GetLogin() != "dana" || p.GetCommits() != 2 || p.GetChangedFiles() != 2 || p.GetAdditions() != 2 || p.GetDeletions() != 1 {
				t.Fatalf("%v", p)
			}
			p := s.settled(n)
			if !p.GetMergeable() || p.GetMergeableState() != "clean" || p.GetMergeCommitSHA() == "" {
				t.Fatalf("mergeable %v %s", p.Mergeable, p.GetMergeableState())
			}
			if got := s.file(p.GetMergeCommitSHA(), "clients/florist.yaml"); got != "name: florist\n" {
				t.Errorf("the test merge holds %q", got)
			}
			commit, err := s.Merge(n, kind, "erik")
			if err != nil {
				t.Fatal(err)
			}
			if s.branch("main") != commit || s.file(commit, "clients/florist.yaml") != "name: florist\n" || !strings.Contains(s.file(commit, "clients/bakery.yaml"), "plan: starter") {
				t.Error("main does not hold what was merged")
			}
			if p := s.pullOf(n); !p.GetMerged() || p.GetState() != "closed" || p.GetMergeCommitSHA() != commit || p.GetMergedBy().GetLogin() != "erik" || p.MergedAt == nil {
				t.Errorf("after the merge: %v", p)
			}
			commits, _, err := s.client.Repositories.CompareCommits(ctx, owner, repoN, before, commit, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[Kind]int{MergeCommit: 3, Squash: 1, Rebase: 2}[kind]; commits.GetTotalCommits() != want {
				t.Errorf("%d commits landed, want %d", commits.GetTotalCommits(), want)
			}
			for _, c := range commits.Commits {
				of, _, err := s.client.PullRequests.ListPullRequestsWithCommit(ctx, owner, repoN, c.GetSHA(), nil)
				if err != nil || len(of) != 1 || of[0].GetNumber() != n {
					t.Errorf("pull requests of %s: %v %v", c.GetSHA(), of, err)
				}
			}
			_, err = s.Merge(n, kind, "erik")
			if !errors.Is(err, ErrRefused) {
				t.Errorf("a second merge: %v", err)
			}
		})
	}
}

func TestMergeableIsNotKnownUntilItWasWorkedOut(t *testing.T) {
	s := newScene(t, nil)
	n := s.proposed("plan", "starter")
	s.Settle()
	if p := s.pullOf(n); p.Mergeable == nil || !*p.Mergeable {
		t.Fatalf("after the background: %v", p.Mergeable)
	}
	// The base moves: what was known is forgotten, and looked into when somebody asks.
	if _, err := s.Push("main", map[string]*string{"clients/bakery.yaml": text("name: bakery\nplan: enterprise\ndomain: bakery\ntemplate: blog\nenv: {}\n")}, "By hand\n", "erik"); err != nil {
		t.Fatal(err)
	}
	s.Settle()
	if p := s.pullOf(n); p.Mergeable != nil || p.GetMergeableState() != "unknown" {
		t.Errorf("right after the base moved: %v", p.Mergeable)
	}
	s.Settle()
	if p := s.pullOf(n); p.Mergeable == nil || *p.Mergeable || p.GetMergeableState() != "dirty" {
		t.Errorf("both changed the same line: %v %s", p.Mergeable, p.GetMergeableState())
	}
	if _, _, err := s.client.Git.GetRef(ctx, owner, repoN, "pull/1/merge"); err == nil {
		t.Error("refs/pull/1/merge is there though it conflicts")
	}
	_, _, err := s.unjudged().PullRequests.Merge(ctx, owner, repoN, n, "", nil)
	refused(t, err, 405, "not mergeable")
}

func TestListsComeInPagesAndOrders(t *testing.T) {
	s := newScene(t, nil)
	for i := range 5 {
		if _, err := s.Push(fmt.Sprintf("b%d", i), map[string]*string{fmt.Sprintf("clients/c%d.yaml", i): text("x\n")}, "c\n", "dana"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.OpenPull(Proposal{Head: fmt.Sprintf("b%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ClosePull(2, "dana"); err != nil {
		t.Fatal(err)
	}
	var numbers []int
	o := &gh.PullRequestListOptions{State: "all", Base: "main", ListOptions: gh.ListOptions{PerPage: 2}}
	pages := 0
	for {
		list, res, err := s.client.PullRequests.List(ctx, owner, repoN, o)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, p := range list {
			numbers = append(numbers, p.GetNumber())
		}
		if o.Page = res.NextPage; o.Page == 0 {
			break
		}
	}
	if fmt.Sprint(numbers) != "[5 4 3 2 1]" || pages != 3 {
		t.Errorf("%v in %d pages", numbers, pages)
	}
	open, _, err := s.client.PullRequests.List(ctx, owner, repoN, &gh.PullRequestListOptions{Sort: "created", Direction: "asc"})
	if err != nil || len(open) != 4 || open[0].GetNumber() != 1 {
		t.Errorf("%v %v", open, err)
	}
}
