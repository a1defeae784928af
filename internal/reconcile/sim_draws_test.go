package reconcile_test

import (
	"math/rand/v2"
	"slices"
)

// draws are the decisions of a run: made from a seed, or those of an earlier run, some of
// which shrinking took out or made smaller. They are kept by event, so that an event can
// be taken out and the others stay as they were.
//
// What was added to the world later draws from a stream of its own, beside: so the seeds
// that were kept before that (sim_seeds_test.go) draw what they drew then. Zeros of that
// stream are a world without what was added.
type draws struct {
	rng, besides *rand.Rand // nil: what the script says, and zeros after it
	script       [][]int
	fresh        *rand.Rand // what the script does not say; nil: zeros
	made, beside [][]int
}

// apart stands in a script between the decisions of an event and those beside.
const apart = -1

func seeded(seed uint64) *draws {
	return &draws{rng: rand.New(rand.NewPCG(seed, 0x5eed)), besides: rand.New(rand.NewPCG(seed, 0xbe51de5))}
}

func scripted(script [][]int) *draws { return &draws{script: script} }

// begin begins another event.
func (d *draws) begin() { d.made, d.beside = append(d.made, nil), append(d.beside, nil) }

// record are all decisions, as a script.
func (d *draws) record() [][]int {
	out := make([][]int, len(d.made))
	for i := range d.made {
		out[i] = slices.Clone(d.made[i])
		if len(d.beside[i]) > 0 {
			out[i] = append(append(out[i], apart), d.beside[i]...)
		}
	}
	return out
}

// scriptOf is what the script says of an event: its decisions, and those beside.
func (d *draws) scriptOf(event int) (made, beside []int) {
	if event >= len(d.script) {
		return nil, nil
	}
	row := d.script[event]
	if i := slices.Index(row, apart); i >= 0 {
		return row[:i], row[i+1:]
	}
	return row, nil
}

// n is a number from 0 to most.
func (d *draws) n(most int) int {
	event := len(d.made) - 1
	at, x := len(d.made[event]), 0
	switch {
	case d.rng != nil:
		x = d.rng.IntN(most + 1)
	default:
		if made, _ := d.scriptOf(event); at < len(made) {
			x = made[at] % (most + 1)
		} else if d.fresh != nil {
			x = d.fresh.IntN(most + 1)
		}
	}
	d.made[event] = append(d.made[event], x)
	return x
}

// besidesN is n of the stream beside.
func (d *draws) besidesN(most int) int {
	event := len(d.made) - 1
	at, x := len(d.beside[event]), 0
	if d.besides != nil {
		x = d.besides.IntN(most + 1)
	} else if _, beside := d.scriptOf(event); at < len(beside) {
		x = beside[at] % (most + 1)
	} else if d.fresh != nil {
		x = d.fresh.IntN(most + 1)
	}
	d.beside[event] = append(d.beside[event], x)
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
