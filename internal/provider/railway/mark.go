package railway

import (
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

// making stands behind the mark until there may be data: then a part that is missing was not
// made yet, and later it was taken away.
const making = " (in the making)"

// markIn reads the mark in a project's description, in its last line: what people wrote
// above it is theirs.
func markIn(description string) (mark provider.Mark, unfinished bool) {
	last := strings.TrimSpace(description[strings.LastIndexByte(description, '\n')+1:])
	text, unfinished := strings.CutSuffix(last, making)
	if mark = provider.ParseMark(text); mark.IsZero() {
		return mark, false
	}
	return mark, unfinished
}

// marked is a description with another mark.
func marked(description string, mark provider.Mark, unfinished bool) string {
	text := mark.Text()
	if unfinished {
		text += making
	}
	if old, _ := markIn(description); !old.IsZero() {
		description = description[:strings.LastIndexByte(description, '\n')+1]
	}
	if description = strings.TrimRight(description, "\n"); description == "" {
		return text
	}
	return description + "\n" + text
}
