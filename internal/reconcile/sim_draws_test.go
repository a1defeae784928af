package reconcile_test

import "math/rand/v2"

// draws are the decisions of a run: made from a seed, or those of an earlier run, some of
// which shrinking took out or made smaller. They are kept by event, so that an event can
// be taken out and the others stay as they were.
type draws struct {
	rng    *rand.Rand // nil: what the script says, and zeros after it
	script [][]int
	made   [][]int
}

func seeded(seed uint64) *draws { return &draws{rng: rand.New(rand.NewPCG(seed, 0x5eed))} }

func scripted(script [][]int) *draws { return &draws{script: script} }

// begin begins another event.
func (d *draws) begin() { d.made = append(d.made, nil) }

// n is a number from 0 to most.
func (d *draws) n(most int) int {
	event := len(d.made) - 1
	at, x := len(d.made[event]), 0
	switch {
	case d.rng != nil:
		x = d.rng.IntN(most + 1)
	case event < len(d.script) && at < len(d.script[event]):
		x = d.script[event][at] % (most + 1)
	}
	d.made[event] = append(d.made[event], x)
	return x
}

// shrink looks for a smaller run that fails in the same way: without an event, or with
// smaller decisions. It tries at most so many runs.
func shrink(script [][]int, tries int, fails func([][]int) bool) [][]int {
	try := func(s [][]int) bool {
		if tries == 0 {
			return false
		}
		if tries--; !fails(s) {
			return false
		}
		script = s
		return true
	}
	for size := (len(script) - 2) / 2; size >= 1; {
		took := false
		// The first entry is how the world begins, the last how it ends.
		for from := len(script) - 1 - size; from >= 1; from -= size {
			if from+size > len(script)-1 {
				continue
			}
			took = try(append(append([][]int{}, script[:from]...), script[from+size:]...)) || took
		}
		if !took || size > 1 {
			size /= 2
		}
	}
	for event := range script {
		for i := 0; i < len(script[event]); i++ {
			for _, x := range []int{0, script[event][i] / 2} {
				if x >= script[event][i] {
					continue
				}
				less := append([][]int{}, script...)
				less[event] = append([]int{}, script[event]...)
				less[event][i] = x
				if try(less) {
					break
				}
			}
		}
	}
	return script
}
