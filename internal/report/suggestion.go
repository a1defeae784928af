package report

import "strings"

// maxSuggestion is the longest line that is suggested, in bytes.
const maxSuggestion = 2_000

// Suggestion is the body of a comment that offers to replace the line of a problem by
// another one, by one click. What is taken by the click is the line byte by byte, so one
// that a reader would not see whole (hidden characters, several lines, too long) is not
// offered: ok is false.
func Suggestion(p Problem, line string) (body string, ok bool) {
	if len(line) > maxSuggestion || visible(line) != line || strings.TrimSpace(line) == "" {
		return "", false
	}
	f := fenceFor(line)
	text := MarkSuggestion + "\n" + prose(p.Text)
	if p.Hint != "" {
		text += "<br>" + prose(p.Hint)
	}
	return text + "\n\n" + f + "suggestion\n" + line + "\n" + f + "\n", true
}
