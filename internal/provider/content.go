package provider

import (
	"fmt"
	"slices"
	"strings"
)

// Content is what is in a database: what two copies of it have in common.
type Content struct {
	Version int    // of the engine: content moves to an equal or newer one
	Bytes   int64  // about how much it is
	Parts   []Part // sorted by name
}

// Part is a table, a sequence, or what else an engine keeps.
type Part struct {
	Name string // untrusted text
	Rows int64
	// Sum tells two contents of equally many rows apart, in whatever order they lie.
	Sum string
}

// Rows is how many there are in all parts.
func (c Content) Rows() (n int64) {
	for _, p := range c.Parts {
		n += p.Rows
	}
	return n
}

// maxDiffers is how many parts a difference names.
const maxDiffers = 3

// Differs says in which parts the other content is another one; "" in none.
func (c Content) Differs(other Content) string {
	var out []string
	add := func(name, format string, a ...any) {
		out = append(out, Line(name, maxPartName)+" "+fmt.Sprintf(format, a...))
	}
	there := func(all []Part, name string) (Part, bool) {
		i, ok := slices.BinarySearchFunc(all, name, func(p Part, name string) int { return strings.Compare(p.Name, name) })
		if !ok {
			return Part{}, false
		}
		return all[i], true
	}
	for _, p := range c.Parts {
		switch o, ok := there(other.Parts, p.Name); {
		case !ok:
			add(p.Name, "is missing")
		case o.Rows != p.Rows:
			add(p.Name, "has %d rows instead of %d", o.Rows, p.Rows)
		case o.Sum != p.Sum:
			add(p.Name, "has other rows")
		}
	}
	for _, o := range other.Parts {
		if _, ok := there(c.Parts, o.Name); !ok {
			add(o.Name, "is there, too")
		}
	}
	if len(out) > maxDiffers {
		out = append(out[:maxDiffers], fmt.Sprintf("and %d more", len(out)-maxDiffers))
	}
	return strings.Join(out, ", ")
}

// maxPartName is how many runes of a part's name are shown.
const maxPartName = 60
