package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// screen tells a person who watches the demo what becomes of clients: the steps of a
// push, and a line when a client comes to rest. What it says of a push stands at the
// pusher's terminal, too.
//
// It compares what there is with what it said last, so that it doesn't matter how
// often it looks.
type screen struct {
	out  *progress
	view func() (reconcile.Overview, error)

	now func() time.Time

	looking sync.Mutex

	mu       sync.Mutex
	pushers  map[int]func(string)
	next     int
	steps    bool                      // steps are told one by one
	runs     map[state.ClientID]theRun // the last one
	rows     map[rowKey]theRow         // what was said of a client
	problems map[string]bool
	holds    map[string]bool
}

// theRow is what was said of a client.
type theRow struct{ status, deployment, because string }

// rowKey is whose line it is: a new client may have the name of one that is retained.
type rowKey struct{ name, id string }

func keyOf(r reconcile.Row) rowKey { return rowKey{r.Name, r.ID} }

// theRun is what a client's line says of its last run.
type theRun struct {
	deployment string
	since      time.Time
	took       time.Duration
}

func newScreen(out *progress, p *program) *screen {
	return &screen{out: out, view: p.engine.Overview, now: p.now, pushers: map[int]func(string){}, runs: map[state.ClientID]theRun{},
		rows: map[rowKey]theRow{}, problems: map[string]bool{}, holds: map[string]bool{}}
}

// listen has a pusher told what is said from now on, until stop.
func (s *screen) listen(say func(string)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	n := s.next
	s.pushers[n] = say
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.pushers, n)
	}
}

// say tells a line, with mu held.
func (s *screen) say(text string) {
	text = report.Line(text)
	s.out.print(text)
	for _, tell := range s.pushers {
		tell(text)
	}
}

func (s *screen) tell(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say(text)
}

// tellSteps says whether steps are told one by one: not while everything comes up.
func (s *screen) tellSteps(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = on
}

// event takes what the runner tells. What a build prints is in `reconciler logs`.
func (s *screen) event(e apply.Event) {
	if s.out.live != nil && e.State != "log" {
		s.out.under(e)
	}
	name := s.out.names(e.Step.Ref.Client)
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.runs[e.Client]
	if run.deployment != e.Deployment {
		run = theRun{deployment: e.Deployment, since: s.now()}
	}
	run.took = s.now().Sub(run.since)
	s.runs[e.Client] = run
	mark, shown := stepSign[e.State]
	if !shown || e.State == "log" || e.State != "failed" && !s.steps {
		return
	}
	text := fmt.Sprintf("  %s %-14s %-12s %-7s %s", mark, name, plan.StepName(e.Step.Number), e.Step.Action, e.Step.Ref.Part())
	if e.Took >= 100*time.Millisecond {
		text += fmt.Sprintf(" (%s)", e.Took.Round(100*time.Millisecond))
	}
	if e.State != "done" && e.Text != "" {
		text += ": " + e.Text
	}
	s.say(strings.TrimRight(text, " "))
}

// look says what is new since the last look.
func (s *screen) look() {
	s.looking.Lock() // one after the other: nothing old is said after something new
	defer s.looking.Unlock()
	v, err := s.view()
	if err != nil {
		s.tell("✗ the state can't be read: " + err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	problems := map[string]bool{}
	for _, p := range v.Problems {
		text := "✗ " + p.Place() + ": " + p.Text
		problems[text] = true
		if !s.problems[text] {
			s.say(text)
			if p.Hint != "" {
				s.say("    " + p.Hint)
			}
		}
	}
	s.problems = problems
	holds := map[string]bool{}
	for _, h := range v.Holds {
		holds[h.Fingerprint] = true
		if !s.holds[h.Fingerprint] {
			s.say("‖ held: " + h.Reason)
			act := h.Act
			if !strings.Contains(act, h.Fingerprint) {
				act += " " + h.Fingerprint
			}
			s.say("    " + strings.TrimSpace(act))
		}
	}
	s.holds = holds
	for _, r := range v.Clients {
		s.row(r, v.Problems)
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.rows), func(a, b rowKey) int { return strings.Compare(a.name+" "+a.id, b.name+" "+b.id) }) {
		if !slices.ContainsFunc(v.Clients, func(r reconcile.Row) bool { return keyOf(r) == key }) {
			renamed := slices.IndexFunc(v.Clients, func(r reconcile.Row) bool { return r.ID == key.id })
			switch {
			case key.id == "": // its file is valid now, or was taken away
			case renamed >= 0:
				s.say(fmt.Sprintf("– %-14s is %s now", key.name, v.Clients[renamed].Name))
			default:
				s.say(fmt.Sprintf("– %-14s is gone", key.name))
			}
			delete(s.rows, key)
		}
	}
}

var rowSign = map[string]string{"active": "✓", "failed": "✗", "invalid": "✗", "held": "‖", "paused": "‖", "retained": "–"}

// row says what became of a client, when it came to rest or is at rest with something new.
// What is wrong with its file was said.
func (s *screen) row(r reconcile.Row, problems []state.FileProblem) {
	mark, rests := rowSign[r.Status]
	if !rests {
		return
	}
	said := s.rows[keyOf(r)]
	is := theRow{r.Status, r.Deployment, r.Because}
	if said == is || said.status == is.status && r.Status == "paused" {
		return
	}
	s.rows[keyOf(r)] = is
	text := fmt.Sprintf("%s %-14s %-9s", mark, r.Name, r.Status)
	took, because := s.took(r.Deployment), report.Beside(r.Because, r.Name, problems, "see above")
	switch {
	case r.Status != "active":
		text += strings.TrimPrefix(because, r.Status+": ")
	case because != "":
		text += r.URL + "  " + because
	case took > 0 && said.deployment != r.Deployment:
		text += fmt.Sprintf("%-36s in %.1f s", r.URL, took.Seconds())
	default:
		text += r.URL
	}
	s.say(strings.TrimRight(text, " "))
	hinted := slices.ContainsFunc(problems, func(p state.FileProblem) bool { return p.Client == r.Name && p.Hint == r.Next })
	if r.Next != "" && r.Status != "paused" && !hinted {
		s.say("    " + r.Next)
	}
}

// took is how long a deployment took, 0 when it was not seen.
func (s *screen) took(deployment string) time.Duration {
	for _, r := range s.runs {
		if r.deployment == deployment {
			return r.took
		}
	}
	return 0
}

// under shows what begins and ends in the live view.
func (p *progress) under(e apply.Event) {
	client, name := p.names(e.Step.Ref.Client), plan.StepName(e.Step.Number)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live.step(client, name+" "+string(e.Step.Action), e)
}
