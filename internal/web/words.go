package web

import (
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxLines is how many lines of a message are shown.
const maxLines = 200

// words are what the pages say their data with. What others wrote goes through line,
// lines, class, link or a path, and nothing else.
func (s *server) words() template.FuncMap {
	return template.FuncMap{
		"line": report.Line, "lines": lines, "short": short, "amount": state.Amount, "when": when, "class": class, "link": mayLink, "answersBy": answersBy, "clientPath": clientPath, "deploymentPath": deploymentPath,
		"site": func(name string) string {
			if s.Site == nil {
				return ""
			}
			return s.Site(name)
		},
		"mailbox":   func() bool { return s.Mail != nil },
		"vendors":   func() string { return s.Vendors },
		"forge":     func() string { return s.Forge },
		"reviewing": func() bool { return s.Reviews != nil }, "pullPath": pullPath, "commitPath": commitPath, "fateWord": fateWord,
		"stepWhat": func(s state.StepRun) string { return report.Line(report.StepWhat(s)) },
		"kind":     func(r state.Ref) string { return report.Line(string(r.Kind)) },
		"retained": state.Resource.Retained, "holdAdvice": holdAdvice,
	}
}

// holdAdvice is what to do about a hold: what it says, and the command that lets it run,
// where there is one, now or once a file is taken out, in its place in that or behind it.
func holdAdvice(h state.Hold) []reconcile.Part {
	if !h.Approvable && h.File == "" {
		return []reconcile.Part{{Words: h.Act}}
	}
	command := "reconciler approve " + h.Fingerprint
	before, after, found := strings.Cut(h.Act, "`"+command+"`")
	if !found {
		before += " "
	}
	return []reconcile.Part{{Words: before, Typed: command}, {Words: after}}
}

// statuses are a client's, what needs a person first.
func statuses() []string {
	return []string{"failed", "invalid", "held", "paused", "pending", "provisioning", "deploying", "deleting", "active", "retained"}
}

// class is the style of a word of ours; other words have none.
func class(word string) string {
	others := []string{"healthy", "progressing", "degraded", "running", "succeeded", "done", "waiting", "interrupted", "skipped", "undone", "manual"}
	if slices.Contains(statuses(), word) || slices.Contains(others, word) {
		return word
	}
	return ""
}

// clientPath is where a client's page is. Longer names than there are lead nowhere.
func clientPath(name string) string {
	return "/clients/" + url.PathEscape(name[:min(len(name), maxName)])
}

// answersBy is the name that a client's address has; the one that its manifest wishes, where the
// address is a path on this machine. The wished one may not have come to be, and be another's still.
func answersBy(address, wished string) string {
	at, err := url.Parse(address)
	if err != nil || at.Hostname() == "" || strings.Trim(at.Path, "/") != "" {
		return wished
	}
	return at.Hostname()
}

// deploymentPath is where an audit record is.
func deploymentPath(id string) string {
	return "/api/deployments/" + url.PathEscape(id[:min(len(id), maxName)])
}

// lines is a text of several lines, each as report.Line has it.
func lines(text string) string {
	all := strings.SplitN(strings.ReplaceAll(text, "\r\n", "\n"), "\n", maxLines+1)
	if len(all) > maxLines {
		all[maxLines] = "…"
	}
	for i, l := range all {
		all[i] = report.Line(l)
	}
	return strings.Join(all, "\n")
}

func short(commit string) string { return report.Line(commit[:min(7, len(commit))]) }

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2 Jan 2006 15:04:05 UTC")
}

// sortedFates are a verdict's clients: what needs somebody first, then by name.
func sortedFates(fates map[state.ClientID]string) []state.ClientID {
	order := []string{"failed", "invalid", "held", "pending", "paused", "succeeded", "superseded"}
	out := slices.Sorted(maps.Keys(fates))
	slices.SortStableFunc(out, func(a, b state.ClientID) int {
		return slices.Index(order, state.FateWord(fates[a])) - slices.Index(order, state.FateWord(fates[b]))
	})
	return out
}

// pullPath is where a pull request's page is, commitPath a commit's.
func pullPath(number int) string { return "/pulls/" + strconv.Itoa(number) }

func commitPath(commit string) string {
	return "/commits/" + url.PathEscape(commit[:min(len(commit), maxName)])
}

// fateWord is the first word of a fate.
func fateWord(fate string) string { return state.FateWord(fate) }
