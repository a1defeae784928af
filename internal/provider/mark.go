package provider

import (
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// markWord begins a mark that is written as text.
const markWord = "reconciler:"

// Text is the mark in one word, for vendors whose place for it is a text: a comment, a
// description, a variable. At most 90 bytes for the names that a manifest may have.
// "" for no mark. ParseMark reads it.
func (m Mark) Text() string {
	if m.IsZero() {
		return ""
	}
	return markWord + m.Installation + "/" + string(m.Client) + "/" + strconv.Itoa(m.Generation)
}

// ParseMark reads what Text wrote. Anything else is no mark: the object is not ours.
func ParseMark(text string) Mark {
	rest, ok := strings.CutPrefix(text, markWord)
	if !ok {
		return Mark{}
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
		return Mark{}
	}
	generation, err := strconv.Atoi(parts[2])
	m := Mark{Installation: parts[0], Client: state.ClientID(parts[1]), Generation: generation}
	if err != nil || generation < 0 || m.Text() != text {
		return Mark{}
	}
	return m
}
