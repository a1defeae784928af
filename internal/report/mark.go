package report

import (
	"strconv"
	"strings"
)

// Markers are the hidden first lines of what we write on a pull request: with the author
// they are how our own is found again. Equal ones stand in DESIGN.md, section 6.
const (
	MarkPlan       = "<!-- reconciler:plan -->"
	MarkResult     = "<!-- reconciler:result -->"
	MarkSuggestion = "<!-- reconciler:suggestion -->"
)

// Kinds of what we write, as MarkerOf tells them.
const (
	KindPlan       = "plan"
	KindResult     = "result"
	KindSuggestion = "suggestion"
	KindReply      = "reply"
)

// MarkReply is the marker of the answer to a comment.
func MarkReply(comment int64) string {
	return "<!-- reconciler:reply " + strconv.FormatInt(comment, 10) + " -->"
}

// MarkerOf reads the marker of a comment's body: its kind, and of a reply the comment that
// it answers. Only the whole first line counts: a marker that somebody quotes is no marker.
// Who wrote the body is for the caller to check: anybody can write a marker.
func MarkerOf(body string) (kind string, comment int64, ok bool) {
	first, _, _ := strings.Cut(body, "\n")
	switch first = strings.TrimRight(first, " \t\r"); first {
	case MarkPlan:
		return KindPlan, 0, true
	case MarkResult:
		return KindResult, 0, true
	case MarkSuggestion:
		return KindSuggestion, 0, true
	}
	digits, is := strings.CutPrefix(first, "<!-- reconciler:reply ")
	if !is {
		return "", 0, false
	}
	id, err := strconv.ParseInt(strings.TrimSuffix(digits, " -->"), 10, 64)
	if err != nil || id <= 0 || MarkReply(id) != first {
		return "", 0, false
	}
	return KindReply, id, true
}
