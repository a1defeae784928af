package report

import (
	"sort"
	"strings"
)

// MaxComment is the longest Markdown that is made, in bytes: GitHub takes 65,536
// characters.
const MaxComment = 60_000

// restRoom is kept free for each line that counts what did not fit.
const restRoom = 120

// Ranks of a comment's blocks: what stays when not all fits.
const (
	rankFrame  = iota // headings, heads of tables, ends of folds, the last lines: always there
	rankFirst         // the first problems
	rankRisky         // what a risky client's change means, or a failed client's end
	rankNote          // more problems, other pull requests, what was not planned
	rankRow           // rows of risky clients
	rankSteps         // steps of risky clients
	rankOther         // rows of the others
	rankDetail        // steps of the others
)

// block is a piece of a comment, taken whole or not at all.
type block struct {
	text, instead string // instead: what stands there if text does not fit and this does
	rank          int
	group         string // the line that counts it if it is left out
	never         bool   // it is only counted
	rest          bool   // it is that line: noun is what it counts
	noun          string
}

// sheet is a comment under way: blocks in the order in which they are read, of which those
// of the lowest ranks are taken first. Nothing is cut inside a row, a fold or a fence.
type sheet struct{ blocks []block }

// frame adds what is always there. It is ours, and short.
func (s *sheet) frame(text string) { s.blocks = append(s.blocks, block{text: text}) }

func (s *sheet) add(rank int, group, text string) {
	s.blocks = append(s.blocks, block{text: text, rank: rank, group: group})
}

// count adds n blocks of a group that are not shown.
func (s *sheet) count(group string, n int) {
	for range n {
		s.blocks = append(s.blocks, block{rank: rankDetail, group: group, never: true})
	}
}

func (s *sheet) either(rank int, text, instead string) {
	s.blocks = append(s.blocks, block{text: text, instead: instead, rank: rank})
}

// rest is the line that says how many blocks of a group did not fit.
func (s *sheet) rest(group, noun string) {
	s.blocks = append(s.blocks, block{group: group, rest: true, noun: noun})
}

// String is the comment, at most limit bytes if its frame is not longer.
func (s *sheet) String(limit int) string {
	order := make([]int, 0, len(s.blocks))
	for i, b := range s.blocks {
		if b.rest {
			limit -= restRoom
			continue
		}
		order = append(order, i)
	}
	sort.SliceStable(order, func(a, b int) bool { return s.blocks[order[a]].rank < s.blocks[order[b]].rank })
	out := make([]string, len(s.blocks))
	left := map[string]int{}
	for _, i := range order {
		b := s.blocks[i]
		switch {
		case b.never:
			left[b.group]++
		case b.rank == rankFrame || len(b.text) <= limit:
			out[i] = b.text
		case b.instead != "" && len(b.instead) <= limit:
			out[i] = b.instead
		default:
			left[b.group]++
		}
		limit -= len(out[i])
	}
	for i, b := range s.blocks {
		if b.rest && left[b.group] > 0 {
			out[i] = "\n… and " + number(left[b.group]) + " more " + b.noun + ".\n"
		}
	}
	return strings.Join(out, "")
}
