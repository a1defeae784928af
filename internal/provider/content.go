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
	// Settings are what works upon the content and no Dump takes along, as the search path that a
	// database gives its sessions: their names, with a sum of their values. They are no part of
	// what is compared after a copy, or on the way back.
	Settings []Part
	// Stays is what there is that no Dump takes along and a site of its own does not need, in words:
	// what other roles may do, who reads its changes. Sorted; untrusted text. It is told.
	Stays []string
	// Refuses says why nothing can be loaded into it on this machine, and what to do; "": it can.
	Refuses string
	// Order is how texts are sorted and which letters are pairs: the engine's word, for people.
	Order string
}

// Lacks names the settings that the other content does not have likewise; "" none.
func (c Content) Lacks(other Content) string {
	var out []string
	for _, s := range c.Settings {
		if !slices.Contains(other.Settings, s) {
			out = append(out, Line(s.Name, maxPartName))
		}
	}
	return few(out)
}

// Leaves names what a copy leaves behind; "" nothing.
func (c Content) Leaves() string {
	var out []string
	for _, s := range c.Stays {
		out = append(out, Line(s, maxPartName))
	}
	return few(out)
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
	return few(out)
}

func few(all []string) string {
	if len(all) > maxDiffers {
		all = append(all[:maxDiffers], fmt.Sprintf("and %d more", len(all)-maxDiffers))
	}
	return strings.Join(all, ", ")
}

// maxPartName is how many runes of a part's name are shown.
const maxPartName = 60
