package apply

import (
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
)

// maxLogLine is how many characters of a build log's line are told. Providers keep longer
// ones, so that a secret is taken out of a line before it is cut.
const maxLogLine = 400

// tail is what was told of a build log.
type tail struct {
	last []string // as it was seen last
	told int
}

// logs hands on the lines of a build log that are new, up to maxLogLines. A look that shows
// none says nothing of those before.
func (r *Runner) logs(job Job, s plan.Step, all []string, t *tail) {
	if len(all) == 0 {
		return
	}
	fresh := after(t.last, all)
	t.last = all
	tell := func(text string) {
		t.told++
		r.emit(Event{Client: s.Ref.Client, Deployment: job.Deployment[s.Ref.Client], Step: s, State: "log", Text: text})
	}
	for _, text := range fresh {
		switch {
		case t.told < maxLogLines:
			tell(provider.Line(text, maxLogLine))
		case t.told == maxLogLines:
			tell("the rest of the log is at " + s.Provider)
		default:
			return
		}
	}
}

// after are the lines of a log that are not in what was seen of it. Some vendors show a log
// from its beginning, others its end only; the last line may have been seen half-written, and
// comes again then. What has nothing in common with what was seen is new.
func after(seen, all []string) []string {
	for from := range seen {
		rest, last := seen[from:], len(seen)-from-1
		if len(rest) > len(all) || !slices.Equal(rest[:last], all[:last]) {
			continue
		}
		if rest[last] == all[last] {
			return all[last+1:]
		}
		if strings.HasPrefix(all[last], rest[last]) {
			return all[last:]
		}
	}
	return all
}
