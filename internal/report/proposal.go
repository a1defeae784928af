package report

import "strings"

// maxProposedRows are told of a proposal; the change itself shows the rest.
const maxProposedRows = 50

// AdoptsDrift is what a pull request says that makes the wish what was found: of each line
// what was found, and what it could not take over with the reason.
func AdoptsDrift(client string, taken []string, left [][2]string) (title, body string) {
	var b strings.Builder
	b.WriteString("What was changed outside becomes what " + Text(client) + " wishes. Only these values change:\n\n")
	for _, t := range taken[:min(len(taken), maxProposedRows)] {
		b.WriteString("- " + Text(t) + "\n")
	}
	if n := len(taken) - maxProposedRows; n > 0 {
		b.WriteString("- " + count(n, "more value") + "\n")
	}
	if len(left) > 0 {
		b.WriteString("\nThis stays as it is:\n\n")
	}
	for _, l := range left[:min(len(left), maxProposedRows)] {
		b.WriteString("- " + Text(l[0]) + ": " + Text(l[1]) + "\n")
	}
	if n := len(left) - maxProposedRows; n > 0 {
		b.WriteString("- " + count(n, "more value") + "\n")
	}
	return "Adopt what was changed outside of " + Line(client), b.String()
}
