package report

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/state"
)

// MaxStatus is the longest text that a commit status takes, in characters.
const MaxStatus = 140

// maxNamed is how many clients or files of a kind a status names.
const maxNamed = 2

// Status is a verdict in at most MaxStatus characters: what needs somebody first, by
// name; what went well as a number, or by name if it is the only one. Where the names have no
// room fewer are said, whole ones. name may be nil, or return "", where names are not known.
func Status(v state.Verdict, name func(state.ClientID) string) string {
	by := map[string][]string{}
	newer := map[string]bool{}
	for id, fate := range v.Clients {
		if rest, ok := strings.CutPrefix(fate, "superseded"); ok {
			fate = "superseded"
			newer[strings.TrimPrefix(strings.TrimSpace(rest), "by ")] = true
		}
		n := "" // names that are not shown are not asked for: a verdict may be about thousands
		if name != nil && (len(v.Clients) == 1 || fate == "failed" || fate == "held" || fate == "invalid") {
			n = name(id)
		}
		by[fate] = append(by[fate], n)
	}
	total := len(v.Clients) + len(v.Invalid)
	if v.Clients == nil { // kept as numbers: a verdict may be about thousands
		for word, n := range v.Fates {
			by[word] = make([]string, n)
			total += n
		}
	}
	if files := invalidFiles(v.Invalid); len(files) > 0 {
		by["invalid"] = files
	}
	tail := ""
	if v.Waits != "" && len(by["pending"]) > 0 {
		tail = "; " + WaitingFor(v.Waits)
	}
	text := ""
	for most := maxNamed; most >= 0; most-- {
		parts := fateParts(by, newer, total, len(v.Clients), most)
		if text = Line(strings.Join(parts, "; ")); len(parts) == 0 {
			return "no client changes"
		}
		if utf8.RuneCountInString(text+tail) <= MaxStatus {
			break
		}
	}
	return squeezed("", text, tail).Text
}

// fateParts are how many met each fate, and who they are, where that matters: at most so many
// by name.
func fateParts(by map[string][]string, newer map[string]bool, total, clients, most int) (parts []string) {
	for _, fate := range []string{"failed", "invalid", "held", "pending", "superseded", "paused", "succeeded"} {
		who := by[fate]
		switch {
		case len(who) == 0:
		case fate == "superseded" && len(who) == clients && len(newer) == 1:
			parts = append(parts, strings.TrimSpace("superseded by "+short(only(newer))))
		case len(who) == 1 && total == 1 && who[0] != "" && fate != "invalid":
			parts = append(parts, who[0]+" "+fate)
		case fate == "pending" || fate == "superseded" || fate == "paused" || fate == "succeeded" || !named(who) || most == 0 && len(who) > 1:
			parts = append(parts, strconv.Itoa(len(who))+" "+fate)
		default:
			parts = append(parts, fate+": "+list(who, most))
		}
	}
	return parts
}

// WaitingFor is what keeps somebody, where that is a provider.
func WaitingFor(provider string) string { return "waiting for " + Clip(Line(provider), 40) }

// invalidFiles are the places of the first problem of each file.
func invalidFiles(problems []state.FileProblem) []string {
	seen := map[string]bool{}
	var out []string
	for _, p := range problems {
		if !seen[p.Path] {
			seen[p.Path] = true
			out = append(out, place(p.Path, p.Line, p.Column))
		}
	}
	return out
}

func place(path string, line, column int) string {
	if line <= 0 {
		return path
	}
	return path + ":" + strconv.Itoa(line) + ":" + strconv.Itoa(column)
}

func named(who []string) bool {
	for _, n := range who {
		if n == "" {
			return false
		}
	}
	return true
}

// list names the first few in their order.
func list(who []string, most int) string {
	sort.Strings(who)
	if most = max(most, 1); len(who) > most {
		return strings.Join(who[:most], ", ") + " and " + strconv.Itoa(len(who)-most) + " more"
	}
	return strings.Join(who, ", ")
}

func only(set map[string]bool) string {
	for k := range set {
		return k
	}
	return ""
}
