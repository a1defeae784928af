package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// What we write is found again by its first line; what somebody quotes is not ours.
func TestMarkers(t *testing.T) {
	for body, want := range map[string]string{MarkPlan + "\n### x": "plan", MarkResult + "\r\nx": "result", MarkSuggestion: "suggestion", MarkReply(42) + "\nx": "reply",
		"> " + MarkPlan: "", "x\n" + MarkPlan: "", MarkPlan + " x": "", "": "", "<!-- reconciler:reply -->": "", "<!-- reconciler:reply 0 -->": "", "<!-- reconciler:reply -1 -->": "", "<!-- reconciler:reply +1 -->": "", "<!-- reconciler:reply 99999999999999999999 -->": "", "<!-- reconciler:plan-->": ""} {
		kind, id, ok := MarkerOf(body)
		if kind != want || ok != (want != "") || (kind == KindReply) != (id == 42) {
			t.Errorf("%q is read as %q %d %t", body, kind, id, ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Int64Min(1).Draw(t, "id")
		if kind, got, ok := MarkerOf(ReplyDenied(id)); !ok || kind != KindReply || got != id {
			t.Fatalf("%d is read as %q %d %t", id, kind, got, ok)
		}
	})
	if _, _, ok := MarkerOf(pulled(Plan{}).Markdown()); !ok {
		t.Error("the plan comment is not found again")
	}
}

func TestReplies(t *testing.T) {
	steps := []Step{{Action: "delete", Ref: "record/MX mailshop.example"}, {Action: "create", Ref: "database/main"}}
	all := []string{ReplyDenied(1), ReplyUnknown(2, "destroy everything"), ReplyMisused(3, "retry"), ReplyHelp(4), ReplyPlanning(5, headSHA), ReplyRefused(6, "plan 3f9c2ab", RefusedNotHead), ReplyRefused(7, "approve 77bb", RefusedUnknownHold),
		ReplyRefused(8, "approve 77bb", RefusedStaleHead), ReplyRefused(9, "retry demoshop", RefusedNotWaiting), ReplyRefused(13, "approve 77bb", RefusedOld), ReplyApproved(10, "9f3a00112233", headSHA, steps, day(2)), ReplyApproved(11, "9f3a00112233", "", nil, time.Time{}),
		ReplyNothingWaits(14, "9f3a00112233", Approval{By: "dana", At: day(1), Used: true}, day(2)), ReplyNothingWaits(15, "9f3a00112233", Approval{By: "dana", At: day(1)}, day(2)), ReplyNothingWaits(16, "9f3a00112233", Approval{}, day(2)), ReplyRetrying(12, "demoshop")}
	if body, ok := Suggestion(invalid(), "plan: professional"); ok {
		all = append(all, body)
	}
	if body, ok := Suggestion(invalid(), "plan: a # ````"); ok {
		all = append(all, body)
	}
	golden(t, "replies.md", strings.Join(all, "\n---\n\n"))
	for _, line := range []string{"", "  ", "a\nb", "a\tb", "a\u202eb", "a\x1b", "\xff", strings.Repeat("x", maxSuggestion+1)} {
		if body, ok := Suggestion(invalid(), line); ok {
			t.Errorf("%q is suggested: %s", line, body)
		}
	}
}

// S09: what is told after the base has moved is what a step does, not why or how dear it is.
func TestDifferences(t *testing.T) {
	a := step(plan.StepDNS, plan.Create, "record/A a.example", "cloudflare", "new", 1)
	b := step(plan.StepDNS, plan.Create, "record/A b.example", "cloudflare", "new", 1)
	again := a
	again.Reason, again.Calls, again.Held = "otherwise said", 9, "77bb"
	risky := with(a, plan.RiskData, "none")
	field := a
	field.Fields = []plan.Field{{Name: "content", Before: "1", After: "2"}}
	noted := step(plan.StepRecord, plan.Record, "", "", "the audit record", 0)
	of := func(steps ...Step) Plan { return Plan{Changes: []Change{{Client: "shop", Steps: steps}}} }
	for name, c := range map[string]struct {
		before, after Plan
		want          []Difference
	}{
		"nothing":        {of(a), of(again), nil},
		"only recorded":  {of(a), of(a, noted), nil},
		"new":            {of(a), of(a, b), []Difference{{Client: "shop", New: []Step{b}, Same: 1}}},
		"gone":           {of(a, b), of(a), []Difference{{Client: "shop", Gone: []Step{b}, Same: 1}}},
		"riskier":        {of(a), of(risky), []Difference{{Client: "shop", New: []Step{risky}, Gone: []Step{a}}}},
		"otherwise":      {of(a), of(field), []Difference{{Client: "shop", New: []Step{field}, Gone: []Step{a}}}},
		"client entered": {Plan{}, of(a), []Difference{{Client: "shop", New: []Step{a}, Entered: true}}},
		"client left":    {of(a), Plan{}, []Difference{{Client: "shop", Gone: []Step{a}, Left: true}}},
		"twice":          {of(a, a), of(a), []Difference{{Client: "shop", Gone: []Step{a}, Same: 1}}},
	} {
		if d := cmp.Diff(c.want, Differences(c.before, c.after)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 s", -time.Second: "0 s", 999 * time.Millisecond: "less than 1 s", 38 * time.Second: "38 s", time.Minute: "1 min", 163 * time.Second: "2 min 43 s", time.Hour: "1 h", 3*time.Hour + 5*time.Minute + 9*time.Second: "3 h 5 min", 49 * time.Hour: "2 d 1 h"} {
		if got := Took(d); got != want {
			t.Errorf("Took(%s) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q", n, got)
		}
	}
}

// An address becomes a link only if it is a plain web address, and leads where it says.
func TestLinks(t *testing.T) {
	for in, want := range map[string]string{
		"https://a.example/b?c=d&e=f#g": "[x](<https://a.example/b?c=d&amp;e=f#g>)", "http://a.example:8080/(b)": "[x](<http://a.example:8080/%28b%29>)", "https://a.example/ü b": "[x](<https://a.example/%C3%BC%20b>)",
		"": "x", "a.example": "x", "//a.example": "x", "javascript:alert(1)": "x", "https:a": "x", "https:///a": "x", "https://u@a.example": "x", "mailto:a@b": "x", "https://" + strings.Repeat("a", maxURL): "x",
	} {
		if got := href("x", in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	r := Repo{View: "https://a.example/o/r/blob/1", Edit: "https://a.example/o/r/edit/my-branch/"}
	for path, want := range map[string]string{"clients/a b#?.yaml": "https://a.example/o/r/blob/1/clients/a%20b%23%3F.yaml#L3", "../../x": "", "a//b": "", "/a": "", "": "", "a/./b": ""} {
		if got := r.view(path, 3); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
	if got := r.edit("a.yaml", 0); got != "https://a.example/o/r/edit/my-branch/a.yaml" {
		t.Errorf("edit: %q", got)
	}
}

func TestAdviceOnAPullRequest(t *testing.T) {
	for in, want := range map[string]string{
		"`reconciler retry demoshop`":              "`/reconciler retry demoshop`",
		"then `reconciler approve 9f3a`, or put":   "then `/reconciler approve 9f3a`, or put",
		"`reconciler secret set mollie`":           "`reconciler secret set mollie`",
		"one ` alone":                              "one &#96; alone",
		"- `a` - b":                                "&#45; `a` - b",
		"`a|b` @team":                              "<code>a&#124;b</code> &#64;&#8203;team",
		"a `` b":                                   "a – b",
		"`reconciler retry x\ny`":                  "`/reconciler retry x y`",
		"`reconciler retry a` `reconciler status`": "`/reconciler retry a` `reconciler status`",
	} {
		if got := prose(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// S37: what many wait for together is said once, with one approval.
func TestS37OneHoldOfManyIsSaidOnce(t *testing.T) {
	h := state.Hold{Fingerprint: "77bb00112233", Kind: state.HoldGuard, Reason: "30 clients would go, the guard allows 3", Act: "`reconciler approve 77bb00112233`", Approvable: true}
	var r PullResult
	p := pulled(Plan{Changes: []Change{newClient("atelier")}})
	p.Holds = []state.Hold{h}
	for i := range 30 {
		c := good("shop-" + number(i))
		c.Fate, c.Holds = "held", []state.Hold{h}
		r.Clients = append(r.Clients, c)
	}
	for name, md := range map[string]string{"result": r.Markdown(), "plan": p.Markdown()} {
		if n := strings.Count(md, "/reconciler approve 77bb00112233\n"); n != 1 || strings.Count(md, "the guard allows 3") != 1 {
			t.Errorf("%s: the approval is asked for %d times:\n%s", name, n, md)
		}
	}
	if n := strings.Count(r.Markdown(), "| ⏸️&nbsp;waits for somebody |"); n != 30 {
		t.Errorf("%d rows", n)
	}
	if got := p.Status(); got != (StatusLine{"success", "1 client changes: atelier is new; part of it would wait for an approval"}) {
		t.Errorf("status: %v", got)
	}
}
