package report

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// S06: however many clients, a comment fits, says how many there are of what, and tells those
// that somebody would notice first; the rest is counted.
func TestS06HugeCommentsFit(t *testing.T) {
	removed := pulled(Plan{})
	failed, done := PullResult{Commit: headSHA}, PullResult{Commit: headSHA}
	broken := pulled(Plan{})
	for i := range 5000 {
		name := fmt.Sprintf("shop-%04d", i)
		kept := with(step(plan.StepDatabase, plan.Retain, "database/main", "railway", "the manifest was removed", 0), "", "")
		kept.PurgeAfter = day(22)
		removed.Plan.Changes = append(removed.Plan.Changes, Change{Client: name, Steps: []Step{with(step(plan.StepProject, plan.Delete, "site/ploi", "ploi", "the manifest was removed", 1), plan.RiskOffline, "a revert makes it again"), kept}})
		failed.Clients, done.Clients = append(failed.Clients, stopped(name)), append(done.Clients, good(name))
		q := invalid()
		q.Path = "clients/" + name + ".yaml"
		broken.Plan.Problems = append(broken.Plan.Problems, q)
	}
	for name, c := range map[string]struct {
		md   string
		says []string
	}{
		"all removed": {removed.Markdown(), []string{"5,000 clients change: **5,000 clients go offline when this is merged.**", "| 5,000 | **go offline** |", "**shop-0000 goes offline when this is merged.** Its database stays until 22 December 2026", "more clients like these, see the table", "[full plan]"}},
		"all broken":  {broken.Markdown(), []string{"5,000 files are invalid; nothing else changes.", "clients/shop-0000.yaml:4:7", "more problems."}},
		"all failed":  {failed.Markdown(), []string{"❌ 5,000 clients failed.", "#### ❌ shop-0000 stopped at dns.", "more clients that need somebody"}},
		"all well":    {done.Markdown(), []string{"✅ 5,000 clients are up to date.", "<summary>5,000 clients that need nobody</summary>", "more clients."}},
	} {
		for _, want := range c.says {
			if !strings.Contains(c.md, want) {
				t.Errorf("%s does not say %q:\n%.3000s", name, want, c.md)
			}
		}
		checkPage(t, name, c.md, func(string) bool { return true })
	}
	for _, l := range []StatusLine{removed.Status(), broken.Validate(), broken.Status()} {
		if len([]rune(l.Text)) > MaxStatus {
			t.Errorf("%q", l.Text)
		}
	}
	if got := broken.Validate().Text; !strings.HasSuffix(got, " (+4,999 more)") || !strings.HasPrefix(got, "clients/shop-0000.yaml:4:7 ") {
		t.Errorf("validate: %s", got)
	}
}

// A sheet takes blocks by rank and keeps their order; what it leaves out it counts.
func TestSheet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &sheet{}
		s.frame("begin ")
		n := rapid.IntRange(0, 40).Draw(t, "blocks")
		limit := rapid.IntRange(150, 600).Draw(t, "limit")
		for i := range n {
			s.add(rapid.IntRange(1, 5).Draw(t, "rank"), "blocks", fmt.Sprintf("<%02d%s>", i, strings.Repeat("x", rapid.IntRange(0, 60).Draw(t, "size"))))
		}
		s.rest("blocks", "blocks")
		got := s.String(limit)
		kept, last := 0, -1
		for _, b := range s.blocks {
			if b.rank == rankFrame {
				continue
			}
			if at := strings.Index(got, b.text); at >= 0 {
				if at < last {
					t.Fatalf("%q stands before its place in %q", b.text, got)
				}
				kept, last = kept+1, at
			}
		}
		counted := 0
		if i := strings.Index(got, "… and "); i >= 0 {
			_, _ = fmt.Sscanf(got[i:], "… and %d more blocks.", &counted)
		}
		if len(got) > limit || kept+counted != n || strings.Count(got, "<") != kept {
			t.Fatalf("%d of %d kept, %d counted, %d of %d bytes: %q", kept, n, counted, len(got), limit, got)
		}
	})
}

// S14: what is riskier than it was reviewed is shown beside what was reviewed, with the exact
// comment that lets it run.
func TestS14HeldShowsTheDifference(t *testing.T) {
	got := PullResult{Commit: headSHA, Clients: []ClientResult{heldResult("demoshop")}}.Markdown()
	for _, want := range []string{"### ⏸️ demoshop waits.", "```diff\n+ create database main at railway (risk: data): the database is gone at railway\n```", "1 step is as reviewed", "```text\n/reconciler approve 9f3a00112233\n```"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if s := heldResult("demoshop").Status(); s.State != "failure" || !strings.HasSuffix(s.Text, "; comment /reconciler approve 9f3a00112233") {
		t.Errorf("status: %v", s)
	}
	frozen := heldResult("demoshop")
	frozen.Holds[0].Until = day(22)
	if md := (PullResult{Clients: []ClientResult{frozen}}).Markdown(); !strings.Contains(md, "it goes on by itself on 22 December 2026 09:30 UTC") {
		t.Errorf("a freeze:\n%s", md)
	}
	final := heldResult("demoshop")
	final.Holds = []state.Hold{{Fingerprint: "88cc", Reason: "ambiguous", Act: "say `database.reuse` in the manifest"}}
	if md := (PullResult{Clients: []ClientResult{final}}).Markdown(); strings.Contains(md, "/reconciler approve") || !strings.Contains(md, "say `database.reuse` in the manifest") {
		t.Errorf("what no approval helps:\n%s", md)
	}
}

func BenchmarkPullPlan5000(b *testing.B) {
	p := fleetPlan(5000)
	for b.Loop() {
		_ = p.Markdown()
	}
}
