package plan_test

import (
	"slices"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// P12: where nobody has to promote a release, what builds it lets another version serve, and
// bears the risk of that; the first one has nothing to take the place of.
func TestReleasesThatServeAtOnceBearTheRisk(t *testing.T) {
	inPlace := func(c plan.ClientInput) plan.Plan {
		in := input(c)
		host := in.Traits["local"]
		release := host[state.KindDeployment]
		release.Promotable = false
		host[state.KindDeployment] = release
		return plan.Calculate(in)
	}
	if got := changes(inPlace(client(t, shop("shop")))); !slices.Contains(got, "create deployment") {
		t.Errorf("the first release: %v", got)
	}
	dark := shop("shop", func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} })
	second := becomes(t, settled(t, shop("shop")), dark)
	if got := changes(inPlace(second)); !slices.Contains(got, "create deployment !traffic") {
		t.Errorf("another release: %v", got)
	}
	if got := changes(plan.Calculate(input(second))); !slices.Contains(got, "create deployment") {
		t.Errorf("another release, promoted: %v", got)
	}

	// So does building one anew that was there before and was overtaken, or whose try failed.
	for _, r := range []state.Resource{{Overtaken: true}, {Phase: "failed"}} {
		third := becomes(t, second, dark)
		w := third.Wish[slices.IndexFunc(third.Wish, func(r state.Resource) bool { return r.Ref.Kind == state.KindDeployment })]
		w.ID, w.Overtaken, w.Phase = "dep-2", r.Overtaken, r.Phase
		third.Recorded = append(slices.Clone(third.Recorded), w)
		if got := changes(inPlace(third)); !slices.Contains(got, "replace deployment !traffic") {
			t.Errorf("a release that was there, %+v: %v", r, got)
		}
		if got := changes(plan.Calculate(input(third))); !slices.Contains(got, "replace deployment") {
			t.Errorf("a release that was there, promoted, %+v: %v", r, got)
		}

		// Whoever saw it made for the first time saw this, and nobody else did.
		for theme, held := range map[string]bool{"dark": false, "light": true} {
			about := shop("shop", func(e *manifest.Effective) { e.Settings = map[string]any{"theme": theme} })
			shown := inPlace(becomes(t, settled(t, shop("shop")), about))
			prints := map[string]bool{}
			for _, print := range plan.Prints(shown) {
				prints[print] = true
			}
			p, _ := plan.Gate(inPlace(third), plan.GateInput{Now: now, Reviewed: map[state.ClientID]map[string]bool{third.Client.ID: prints}})
			i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Replace })
			if (p.Steps[i].Held != "") != held {
				t.Errorf("a release that was there, %+v, of which %s was shown: held is %t", r, theme, !held)
			}
		}
	}

	// So does going back to the one that traffic leads to by the record, where another one was built
	// since: people see that one. Where none was, nothing changes.
	deployment := func(r state.Resource) bool { return r.Ref.Kind == state.KindDeployment }
	for _, built := range []bool{true, false} {
		back := becomes(t, settled(t, shop("shop")), shop("shop"))
		back.Recorded = slices.Clone(back.Recorded)
		back.Recorded[slices.IndexFunc(back.Recorded, deployment)].Overtaken = built
		w := second.Wish[slices.IndexFunc(second.Wish, deployment)]
		if w.ID = "dep-2"; built {
			back.Recorded = append(back.Recorded, w)
		}
		if got := changes(inPlace(back)); slices.Contains(got, "replace deployment !traffic") != built || len(got) > 0 != built {
			t.Errorf("the release on record, with another one built since: %t, is wished again: %v", built, got)
		}
		// Its own was taken away to build it again, and the process died: what was built since serves.
		back.Recorded = slices.DeleteFunc(back.Recorded, func(r state.Resource) bool { return deployment(r) && r.Ref != w.Ref })
		if got := changes(inPlace(back)); slices.Contains(got, "create deployment !traffic") != built {
			t.Errorf("a release that is off the record, with another one built since: %t, is wished again: %v", built, got)
		}
	}

	// So does taking away one that was being built when it was last seen, and may be built since. Not where another one is
	// built in its place: then that one does, also where the one before is gone.
	for _, gone := range []bool{false, true} {
		back := becomes(t, settled(t, shop("shop")), shop("shop"))
		w := second.Wish[slices.IndexFunc(second.Wish, deployment)]
		w.ID, w.Phase = "dep-2", "progressing"
		back.Recorded = append(slices.Clone(back.Recorded), w)
		want := []string{"delete deployment !traffic"}
		if gone {
			before := back.Recorded[slices.IndexFunc(back.Recorded, deployment)].Ref
			back.Looks = map[state.Ref]plan.Look{before: {Ref: before, Gone: true}}
			want = []string{"delete deployment", "create deployment !traffic"}
		}
		got := changes(inPlace(back))
		for _, step := range want {
			if !slices.Contains(got, step) {
				t.Errorf("a release that was being built is not wished any more, the one before is gone: %t: %v", gone, got)
			}
		}
	}

	// Nobody was led there yet: nobody sees it go.
	begun := becomes(t, settled(t, shop("shop")), shop("shop"))
	begun.Recorded = slices.DeleteFunc(slices.Clone(begun.Recorded), func(r state.Resource) bool {
		return r.Ref.Kind == state.KindTraffic || r.Ref.Kind == state.KindDeployment
	})
	first := second.Wish[slices.IndexFunc(second.Wish, deployment)]
	first.ID, first.Phase = "dep-2", "progressing"
	begun.Recorded = append(begun.Recorded, first)
	begun.Wish = slices.DeleteFunc(slices.Clone(begun.Wish), deployment)
	if got := changes(inPlace(begun)); !slices.Contains(got, "delete deployment") {
		t.Errorf("the first release is not wished any more before it is built: %v", got)
	}

	// Of a class are releases of whatever.
	p := inPlace(second)
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Ref.Kind == state.KindDeployment })
	other := p.Steps[i]
	other.Ref.Name, other.Release = "another", "another"
	if plan.StepPrint(p.Steps[i]) == plan.StepPrint(other) || plan.ClassPrint(p.Steps[i]) != plan.ClassPrint(other) {
		t.Error("a release's class knows what it is built with")
	}
}
