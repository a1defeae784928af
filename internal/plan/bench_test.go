package plan_test

import (
	"fmt"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
)

// benchFleet is n settled clients; each is planned with one changed variable.
func benchFleet(b *testing.B, n int, changed bool) []plan.ClientInput {
	b.Helper()
	out := make([]plan.ClientInput, n)
	for i := range out {
		e := shop(fmt.Sprintf("shop%05d", i))
		out[i] = settled(b, e)
		if changed {
			out[i] = becomes(b, out[i], shop(e.Name, func(e *manifest.Effective) { e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "USD"} }))
		}
	}
	return out
}

// BenchmarkPlan plans every client of a fleet by itself, as passes do, and the whole
// fleet as one group, as a preview does.
func BenchmarkPlan(b *testing.B) {
	one := input() // what does not differ by client is made once, as passes do
	for _, n := range []int{1_000, 10_000} {
		for _, changed := range []bool{false, true} {
			name := map[bool]string{false: "settled", true: "changed"}[changed]
			fleet := benchFleet(b, n, changed)
			b.Run(fmt.Sprintf("each/%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					steps := 0
					for i := range fleet {
						one.Clients = fleet[i : i+1]
						steps += len(plan.Calculate(one).Steps)
					}
					if (steps > 0) != changed {
						b.Fatalf("%d steps", steps)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/client")
			})
			b.Run(fmt.Sprintf("group/%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if p := plan.Calculate(input(fleet...)); p.Empty() == changed {
						b.Fatalf("%d steps", len(p.Steps))
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/client")
			})
		}
	}
}

// BenchmarkFingerprint prints the plans of a fleet.
func BenchmarkFingerprint(b *testing.B) {
	p := plan.Calculate(input(benchFleet(b, 1_000, true)...))
	for b.Loop() {
		if plan.Fingerprint(p, "") == "" {
			b.Fatal("no print")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1_000), "ns/client")
}
