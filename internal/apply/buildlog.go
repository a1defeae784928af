package apply

import (
	"slices"
	"strings"
	"sync"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
)

// maxLogLine is how many characters of a build log's line are told. Providers keep longer
// ones, so that a secret is taken out of a line before it is cut.
const maxLogLine = 400

// tail is what was told of a build log.
type tail struct {
	last []string // as it was seen last

	mu   sync.Mutex // looks tell lines, and who follows a log
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
	for _, text := range fresh {
		if !r.logLine(job, s, text, t) {
			return
		}
	}
}

// logLine hands on one line of a build log, and says whether there may be more.
func (r *Runner) logLine(job Job, s plan.Step, text string, t *tail) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.told < maxLogLines:
		text = provider.Line(text, maxLogLine)
	case t.told == maxLogLines:
		text = "the rest of the log is at " + s.Provider
	default:
		return false
	}
	t.told++
	r.emit(Event{Client: s.Ref.Client, Deployment: job.Deployment[s.Ref.Client], Step: s, State: "log", Text: text})
	return true
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
