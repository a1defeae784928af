package accept

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// FuzzHeads: P5 over hostile histories, searched by what is covered: files that come, go,
// break, can't be read, bear each other's names; rewritten histories, approvals, failures.
// The laws are those of TestLawsOverRandomHistories: nothing is removed without its proof,
// no client is lost, a name has one owner, and equal inputs have one answer.
func FuzzHeads(f *testing.F) {
	for seed := range uint64(8) {
		draws := make([]byte, 8<<10)
		r := rand.New(rand.NewPCG(seed, 0))
		for i := range draws {
			draws[i] = byte(r.Uint32())
		}
		f.Add(draws)
	}
	f.Fuzz(rapid.MakeFuzz(func(rt *rapid.T) {
		s := begin(rt)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			s.step()
		}
		s.drain()
	}))
}
