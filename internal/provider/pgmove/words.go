package pgmove

import (
	"regexp"
	"strings"
)

// told is what may be repeated of what a program said that failed: the lines that it begins with its
// name, up to the first with the server's words, and of those no value. Behind that stand details,
// the statement, and the row at which it failed, which are the client's and its customers'. Of a
// program that speaks otherwise, a linker's words say, all is kept.
func told(program, text string) string {
	var own []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, program+": ") {
			continue
		}
		if at := serverSays.FindStringIndex(line); at != nil {
			own = append(own, line[:at[1]]+withoutValues(line[at[1]:]))
			break
		}
		own = append(own, line)
	}
	if len(own) == 0 {
		return text
	}
	return strings.Join(own, "")
}

var (
	// serverSays begins what the server said, in the language that it speaks: "ERROR:  ". Two blanks
	// stand there and nowhere else (libpq's PQerrorMessage).
	serverSays = regexp.MustCompile(`\S+\s?:  `)
	// quotedText is one, as languages quote, with the word before it.
	quotedText = regexp.MustCompile(`(\S*\s*)("[^"]*"?|'[^']*'?|«[^»]*»?|»[^«]*«?|„[^“”]*[“”]?|“[^”]*”?|「[^」]*」?)`)
	// names are what the server quotes the name of, and no value: "relation "orders" does not
	// exist". All else in quotes may be one: "invalid input syntax for type integer: "x"".
	names = regexp.MustCompile(`(^|\s)(aggregate|collation|column|constraint|database|directory|domain|encoding|extension|file|function|index|language|of|operator|parameter|policy|procedure|publication|relation|role|rule|schema|sequence|server|subscription|table|tablespace|trigger|type|user|view)\s+$`)
)

// withoutValues takes what is quoted, and no name, out of a message of the server.
func withoutValues(message string) string {
	if i := strings.Index(message, `: "`); i >= 0 { // nothing behind a value is sure to be no part of it
		message = message[:i] + ": …\n"
	}
	return quotedText.ReplaceAllStringFunc(message, func(m string) string {
		at := strings.IndexAny(m, `"'«»„“「`)
		if at < 0 || names.MatchString(m[:at]) {
			return m
		}
		return m[:at] + "…"
	})
}
