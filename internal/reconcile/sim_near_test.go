package reconcile_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// Runs near those that were red once: their decisions, of which some are others. Where one thing went wrong others
// lie close: such runs are red dozens of times as often as those of new seeds.
//
// Which run a seed is hangs on the lists of those that were red. So a red one is kept by a test of what it shows, not by
// its seed.

// nearTo is a run that others come near to.
type nearTo struct {
	shape  func(*story)
	script func(*testing.T) [][]int
}

// origins are the runs that were red once.
var origins = sync.OnceValue(func() (all []*nearTo) {
	add := func(shape func(*story), seeds ...uint64) {
		for _, seed := range seeds {
			o := &nearTo{shape: shape}
			var once sync.Once
			var script [][]int
			o.script = func(t *testing.T) [][]int {
				once.Do(func() { script = playWith(t, seeded(seed), shape).draws })
				return script
			}
			all = append(all, o)
		}
	}
	for _, w := range redWorlds {
		for _, c := range w.runs {
			add(w.shape, c.seed)
		}
	}
	add(func(s *story) { s.namers = true }, nameOnceRedInFull...)
	add(func(s *story) { s.namers, s.brief = true, true }, nameOnceRedOfLate...)
	add(func(s *story) { s.namers, s.wordless = true, true }, nameOnceRedAmongRivals...)
	add(func(s *story) { s.namers, s.plain = true, true }, nameOnceRed...)
	add(func(s *story) { s.movers, s.brief = true, true }, moveOnceRed...)
	return all
})

// nearRun is the run of a seed. In one of three it is in the newest world, whatever its origin's was.
func nearRun(t *testing.T, seed uint64) (*draws, func(*story)) {
	r, all := rand.New(rand.NewPCG(seed, 0x4ea4)), origins()
	from := all[r.IntN(len(all))]
	shape := from.shape
	if r.IntN(3) == 0 {
		shape = func(*story) {}
	}
	script := changed(r, cloned(from.script(t)), func() [][]int { return all[r.IntN(len(all))].script(t) })
	return &draws{script: script, fresh: rand.New(rand.NewPCG(seed, 0xf4e54))}, shape
}

func cloned(script [][]int) (out [][]int) {
	for _, row := range script {
		out = append(out, slices.Clone(row))
	}
	return out
}

// changed is a script of which some decisions are open (the run draws them), others, one more, one less, or of another run.
func changed(r *rand.Rand, script [][]int, another func() [][]int) [][]int {
	if r.IntN(3) == 0 { // all that comes after an event
		for e := 1 + r.IntN(len(script)-1); e < len(script)-1; e++ {
			script[e] = nil
		}
		for r.IntN(3) > 0 {
			script = slices.Insert(script, len(script)-1, []int(nil))
		}
	}
	for range 1 + r.IntN(4) {
		e := r.IntN(len(script))
		if e == 0 && r.IntN(3) > 0 { // how the world begins changes all that comes after it
			e = r.IntN(len(script))
		}
		switch x := r.IntN(100); {
		case x < 40 && len(script[e]) > 0:
			if at := r.IntN(len(script[e])); script[e][at] != apart {
				script[e][at] = r.IntN(1 << 20)
			}
		case x < 65 && len(script[e]) > 0:
			script[e] = openFrom(script[e], r.IntN(len(script[e])))
		case e == 0:
		case x < 75:
			script = slices.Insert(script, e, []int(nil))
		case x < 85 && e < len(script)-1 && len(script) > leastEvents:
			script = slices.Delete(script, e, e+1)
		default:
			from := another()
			many := min(1+r.IntN(3), len(from)-2)
			if many < 1 {
				continue
			}
			at := 1 + r.IntN(len(from)-1-many)
			script = slices.Insert(script, e, cloned(from[at:at+many])...)
		}
	}
	return script
}

// openFrom leaves an event's decisions open from one on; those beside stay, or are open as well from there.
func openFrom(row []int, from int) []int {
	var beside []int
	if i := slices.Index(row[from:], apart); i >= 0 {
		beside = row[from+i:]
	}
	return append(slices.Clone(row[:from]), beside...)
}
