package source

import (
	"bytes"
	"slices"
)

// textBegin is how much of a file is looked at for whether it is text, as git does.
const textBegin = 8000

// mergeLines applies to base what ours and theirs changed in it, line by line; false
// when both changed the same lines, or lines that touch, in different ways, or when one
// of the three is no text. It is as strict as Git's own merge and, where lines repeat,
// stricter: see edits.
func mergeLines(base, ours, theirs []byte) ([]byte, bool) {
	switch {
	case bytes.Equal(ours, theirs), bytes.Equal(base, theirs):
		return ours, true
	case bytes.Equal(base, ours):
		return theirs, true
	}
	ids := lineIDs{}
	o, a, b := ids.of(base), ids.of(ours), ids.of(theirs)
	if o == nil || a == nil || b == nil {
		return nil, false
	}
	x, y := edits(o.ids, a.ids), edits(o.ids, b.ids)
	var out []byte
	at := 0 // lines of base that are written or replaced
	for len(x) > 0 || len(y) > 0 {
		lo, hi, xs, ys := together(x, y)
		out = append(out, o.text(at, lo)...)
		mine, other := a.text(span(x[:xs], lo, hi)), b.text(span(y[:ys], lo, hi))
		switch {
		case ys == 0, xs > 0 && bytes.Equal(mine, other):
			out = append(out, mine...)
		case xs == 0:
			out = append(out, other...)
		default:
			return nil, false
		}
		at, x, y = hi, x[xs:], y[ys:]
	}
	return append(out, o.text(at, len(o.ids))...), true
}

// together finds the first edits of both sides that overlap or touch: the lines of base
// that they are about, and how many of each side they are.
func together(x, y []edit) (lo, hi, xs, ys int) {
	if len(y) == 0 || len(x) > 0 && x[0].lo <= y[0].lo {
		lo, hi = x[0].lo, x[0].hi
	} else {
		lo, hi = y[0].lo, y[0].hi
	}
	for {
		switch {
		case xs < len(x) && x[xs].lo <= hi:
			hi = max(hi, x[xs].hi)
			xs++
		case ys < len(y) && y[ys].lo <= hi:
			hi = max(hi, y[ys].hi)
			ys++
		default:
			return lo, hi, xs, ys
		}
	}
}

// span is where the lines lo to hi of base are on the side that made these edits.
func span(all []edit, lo, hi int) (from, to int) {
	if len(all) == 0 {
		return 0, 0 // nothing of it is used
	}
	first, last := all[0], all[len(all)-1]
	return first.from - (first.lo - lo), last.to + (hi - last.hi)
}

// lined is a text as lines with their ends; equal ids are equal lines.
type lined struct {
	ids   []int32
	data  []byte
	begin []int // of each line, and the end
}

func (l *lined) text(from, to int) []byte { return l.data[l.begin[from]:l.begin[to]] }

// lineIDs numbers lines.
type lineIDs map[string]int32

// of returns nil for what is no text, or too long.
func (l lineIDs) of(data []byte) *lined {
	if bytes.IndexByte(data[:min(len(data), textBegin)], 0) >= 0 {
		return nil
	}
	out := &lined{data: data, begin: []int{0}}
	for line := range bytes.Lines(data) {
		id, ok := l[string(line)]
		if !ok {
			id = int32(len(l))
			l[string(line)] = id
		}
		out.ids = append(out.ids, id)
		out.begin = append(out.begin, out.begin[len(out.begin)-1]+len(line))
		if len(out.ids) > maxMergedLines {
			return nil
		}
	}
	return out
}

// edit says that the lines lo to hi of a text became the lines from to to of another.
type edit struct{ lo, hi, from, to int }

// edits returns what makes b of a, in order, with an equal line between any two. Where
// lines repeat, an edit can often be told in several ways. So it is worked out from the
// beginning and from the end, and only lines that are the same ones both times are
// between edits: then no edit is taken for being elsewhere than it was made.
func edits(a, b []int32) []edit {
	one, two := matches(a, b), matches(backwards(a), backwards(b))
	var out []edit
	from := edit{}
	for i := 0; i <= len(a); i++ {
		j := len(b)
		if i < len(a) {
			if j = one[i]; j < 0 || two[len(a)-1-i] != len(b)-1-j {
				continue
			}
		}
		if from.hi, from.to = i, j; from.lo < i || from.from < j {
			out = append(out, from)
		}
		from = edit{lo: i + 1, from: j + 1}
	}
	return out
}

func backwards(a []int32) []int32 {
	out := slices.Clone(a)
	slices.Reverse(out)
	return out
}

// matches says for each line of a which line of b it is, or -1: as many as can be. What
// could be an edit further down is put there. Over maxEdits edits all from the first to
// the last is one.
func matches(a, b []int32) []int {
	begin := 0
	for begin < len(a) && begin < len(b) && a[begin] == b[begin] {
		begin++
	}
	endA, endB := len(a), len(b)
	for endA > begin && endB > begin && a[endA-1] == b[endB-1] {
		endA--
		endB--
	}
	all := shortest(a[begin:endA], b[begin:endB])
	for i, e := range all {
		all[i] = edit{e.lo + begin, e.hi + begin, e.from + begin, e.to + begin}
	}
	out := make([]int, len(a))
	at, to := 0, 0
	for _, e := range append(slide(a, b, all), edit{len(a), len(a), len(b), len(b)}) {
		for ; at < e.lo; at, to = at+1, to+1 {
			out[at] = to
		}
		for ; at < e.hi; at++ {
			out[at] = -1
		}
		to = e.to
	}
	return out
}

// shortest is Myers' greedy algorithm ("An O(ND) Difference Algorithm and Its
// Variations", 1986). It keeps how far each diagonal came after each number of edits
// and walks back from the end.
func shortest(a, b []int32) []edit {
	most := min(len(a)+len(b), maxEdits)
	far := make([]int32, 2*most+3)
	var steps [][]int32
	for d := 0; d <= most; d++ {
		steps = append(steps, slices.Clone(far[most+1-d:most+2+d]))
		for k := -d; k <= d; k += 2 {
			i := most + 1 + k
			x := far[i-1] + 1
			if k == -d || k != d && far[i-1] < far[i+1] {
				x = far[i+1]
			}
			for int(x) < len(a) && int(x)-k < len(b) && int(x)-k >= 0 && a[x] == b[int(x)-k] {
				x++
			}
			far[i] = x
			if int(x) >= len(a) && int(x)-k >= len(b) {
				return back(steps, len(a), len(b))
			}
		}
	}
	return []edit{{0, len(a), 0, len(b)}} // too much
}

// back walks from the end to the beginning. steps[d] is how far the diagonals -d to d
// were before the d-th edit.
func back(steps [][]int32, x, y int) []edit {
	var out []edit
	add := func(e edit) {
		if n := len(out); n > 0 && out[n-1].lo == e.hi && out[n-1].from == e.to {
			out[n-1].lo, out[n-1].from = e.lo, e.from
			return
		}
		out = append(out, e)
	}
	for d := len(steps) - 1; d > 0; d-- {
		k, far := x-y, func(k int) int { return int(steps[d][k+d]) }
		if k == -d || k != d && far(k-1) < far(k+1) {
			x = far(k + 1)
			y = x - k - 1
			add(edit{x, x, y, y + 1})
		} else {
			x = far(k - 1)
			y = x - k + 1
			add(edit{x, x + 1, y, y})
		}
	}
	slices.Reverse(out)
	return out
}

// slide moves pure insertions and removals down as far as the text allows, and joins
// those that touch then.
func slide(a, b []int32, all []edit) []edit {
	for i := len(all) - 1; i >= 0; i-- {
		e := &all[i]
		endA, endB := len(a), len(b)
		if i+1 < len(all) {
			endA, endB = all[i+1].lo, all[i+1].from
		}
		for e.hi < endA && e.to < endB && (e.lo == e.hi && b[e.from] == b[e.to] || e.from == e.to && a[e.lo] == a[e.hi]) {
			e.lo, e.hi, e.from, e.to = e.lo+1, e.hi+1, e.from+1, e.to+1
		}
		if i+1 < len(all) && e.hi == all[i+1].lo && e.to == all[i+1].from {
			e.hi, e.to = all[i+1].hi, all[i+1].to
			all = slices.Delete(all, i+1, i+2)
		}
	}
	return all
}
