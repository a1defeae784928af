package ploi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A .env is changed here without being understood: it is cut into statements (a variable
// with its value, which may go over several lines, or any other line), and only statements
// of variables that are ours are written anew. Everything else stays byte for byte, in its
// order. Laws (FuzzSplice holds them): the statements together are the file; foreign ones
// are in the result as they were; what was set reads back; to do it again changes nothing.

// statement is a piece of a .env, with the line end that closes it.
type statement struct {
	text  string
	name  string // "": no variable
	value string // as it reads
	open  bool   // the value begins with a quote that never ends
}

var (
	variables = regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*`)
	plain     = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]*$`)
	expands   = regexp.MustCompile(`\$[A-Za-z0-9_{]`)
	ourNames  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,199}$`)
)

// cut cuts a .env into statements.
func cut(text string) []statement {
	var out []statement
	for text != "" {
		end := strings.IndexByte(text, '\n') + 1
		if end == 0 {
			end = len(text)
		}
		s := statement{text: text[:end]}
		if m := variables.FindStringSubmatch(s.text); m != nil {
			s.name = m[1]
			rest := text[len(m[0]):]
			if value, n, ok := quoted(rest); ok {
				s.value = value
				end = len(m[0]) + n
				if i := strings.IndexByte(text[end:], '\n'); i >= 0 {
					end += i + 1
				} else {
					end = len(text)
				}
				s.text = text[:end]
			} else {
				s.value = bare(s.text[len(m[0]):])
				s.open = strings.HasPrefix(s.value, `"`) || strings.HasPrefix(s.value, "'") || strings.HasPrefix(s.value, "`")
			}
		}
		out = append(out, s)
		text = text[end:]
	}
	return out
}

// quoted reads a quoted value at the start of text and says how long it is with its quotes.
// One that never ends is none.
func quoted(text string) (value string, n int, ok bool) {
	if text == "" {
		return "", 0, false
	}
	q := text[0]
	if q != '"' && q != '\'' && q != '`' {
		return "", 0, false
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == q:
			return b.String(), i + 1, true
		case c == '\\' && q == '"' && i+1 < len(text):
			i++
			b.WriteString(unescape(text[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, false
}

func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$':
		return string([]byte{c})
	}
	return string([]byte{'\\', c})
}

// bare reads a value without quotes: up to a comment, without blanks around it.
func bare(text string) string {
	for i := range len(text) {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			text = text[:i]
			break
		}
	}
	return strings.TrimSpace(text)
}

// enquote writes a value so that it reads back, in the plainest form that does: single
// quotes mean the same to most readers of such files, escapes in double quotes don't. But for
// a dollar before a name: Next.js takes the two for another variable's value whatever the quotes
// are, unless a backslash stands before it, which shells and phpdotenv understand in double quotes.
func enquote(value string) string {
	switch {
	case plain.MatchString(value):
		return value
	case expands.MatchString(value) && !strings.ContainsAny(value, "\"\\`\n\r"):
		return `"` + strings.ReplaceAll(value, "$", `\$`) + `"`
	case !strings.ContainsAny(value, "'\n\r"):
		return "'" + value + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\n", `\n`, "\r", `\r`).Replace(value) + `"`
}

// pair is a variable to be set.
type pair struct{ name, value string }

// checkPair refuses what can't be written so that it reads back.
func checkPair(v pair) error {
	switch {
	case !ourNames.MatchString(v.name):
		return fmt.Errorf("%s is no name of a variable of a .env: letters, digits, _ and dots", quote(v.name))
	case strings.ContainsRune(v.value, 0):
		return fmt.Errorf("the value of %s holds a zero byte, which a .env can't", v.name)
	}
	return nil
}

// splice sets variables (each name once) and takes others away. A variable that stands there
// already is changed where it stands; what has its value already keeps its spelling; one
// that stands there several times is left once. New ones come at the end, in their order.
// What has quotes comes before a quote that never ends: else it would end it.
func splice(text string, set []pair, drop []string) string {
	var out []string
	done := map[string]bool{}
	before := -1 // where such a quote is
	keep := func(s statement) {
		if s.open && before < 0 {
			before = len(out)
		}
		out = append(out, s.text)
	}
	write := func(v pair) {
		done[v.name] = true
		line := v.name + "=" + enquote(v.value) + "\n"
		if before >= 0 && strings.ContainsAny(line, "\"'`") {
			out = slices.Insert(out, before, line)
			before++
			return
		}
		if n := len(out); n > 0 && !strings.HasSuffix(out[n-1], "\n") {
			out[n-1] += "\n"
		}
		out = append(out, line)
	}
	for _, s := range cut(text) {
		at := slices.IndexFunc(set, func(v pair) bool { return v.name == s.name })
		switch {
		case s.name == "" || at < 0 && !slices.Contains(drop, s.name):
			keep(s)
		case at < 0 || done[s.name]:
		case s.value == set[at].value:
			done[s.name] = true
			keep(s)
		default:
			write(set[at])
		}
	}
	for _, v := range set {
		if !done[v.name] {
			write(v)
		}
	}
	return strings.Join(out, "")
}

// valueOf is what a variable says: where it stands several times, the first.
func valueOf(all []statement, name string) (string, bool) {
	for _, s := range all {
		if s.name == name {
			return s.value, true
		}
	}
	return "", false
}
