package apply

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of a pass.
const (
	// callAttempts is how often one step's call is tried within a pass.
	callAttempts = 4
	// firstBackOff doubles with each attempt, with jitter.
	firstBackOff = time.Second
	// maxStepWait is the longest that a step waits inside a pass for a rate limit;
	// beyond it the client waits outside, without a worker.
	maxStepWait = 30 * time.Second
	// defaultAwait is how long a deployment may take.
	defaultAwait = 10 * time.Minute
	// defaultProbe is how long a new site may take to answer well.
	defaultProbe = time.Minute
	// refreshTime is how long forgetting copies of pages may take: nothing depends on it.
	refreshTime = 20 * time.Second
	// maxLogLines of one build are kept.
	maxLogLines = 2000
	// maxRemarks of what a provider says of one delete stand in the step's note.
	maxRemarks = 4
)

// Border names a place in a step's protocol. Tests kill the process there.
type Border string

// The borders, in order.
const (
	BeforeIntent Border = "before-intent"
	AfterIntent  Border = "after-intent"
	AfterCall    Border = "after-call"
	AfterOutcome Border = "after-outcome"
	// Of a transfer, between AfterIntent and AfterCall.
	AfterFreeze Border = "after-freeze"
	AfterLoad   Border = "after-load"
)

// Target is what a probe asks for.
type Target struct {
	Client  state.Client
	URL     string // base address: scheme, host, port
	Host    string // host name to ask for, when it differs from URL's
	Outside bool   // through the public name
	Step    plan.Step
}

// Event tells how a pass goes on, for terminals, logs and pages.
type Event struct {
	At         time.Time
	Client     state.ClientID
	Deployment string
	Step       plan.Step
	State      string // running | done | failed | waiting | skipped | log
	Attempt    int
	Text       string
	Took       time.Duration
}

// Runner applies plans. All fields are set by wiring; none is changed afterwards.
type Runner struct {
	Store    store.Store
	Provider func(name string, kind state.Kind) (provider.Provider, bool)
	// Marker finds who writes marks on what others made; nil: nobody does.
	Marker       func(name string, kind state.Kind) (provider.Marker, bool)
	Installation string
	Now          func() time.Time
	// Elapsed is how long this process has been running, by a clock that nobody sets: what is
	// waited for within a process is counted by it. nil: by differences of Now, which is as good
	// where Now is time.Now.
	Elapsed     func() time.Duration
	Sleep       func(ctx context.Context, d time.Duration) error
	Jitter      func(d time.Duration) time.Duration
	NewSecret   func() (state.Secret, error)
	Fingerprint func(state.Secret) string
	Conceal     func(state.Secret)              // told what a provider's words must not repeat; nil: nobody listens
	At          func(b Border, step plan.Step)  // nil outside tests
	Emit        func(Event)                     // nil: nobody listens
	Parallel    int                             // steps at once in one group; 1 runs them in plan order
	Scratch     string                          // a folder that nobody else reads: databases are written out there on their way
	Room        func(dir string) (uint64, bool) // how many bytes fit below a folder, which need not be there; false: unknown. nil: nobody looks

	refused refused
	looked  looked
	first   atomic.Pointer[time.Time] // what Now said when it was first asked how long this process has been running
}

// Job is one pass over one group of clients.
type Job struct {
	Plan       plan.Plan
	Clients    map[state.ClientID]state.Client
	Run        string                    // for clients that have none of their own
	Deployment map[state.ClientID]string // audit record by client
	Commit     string
	Await      map[state.ClientID]time.Duration // 0: defaultAwait
	PublicURL  map[state.ClientID]string
	// Probe asks a site for a good answer once; nil: no health check is wished.
	Probe func(ctx context.Context, t Target) error
	// Superseded says that a newer wish of the client was accepted; nil: none ever is.
	Superseded func(state.ClientID) bool
	// PutsBack says that the job undoes what another one did: it goes on whatever is wished by
	// then, and is not undone itself.
	PutsBack bool
}

// superseded says that nothing more is to be begun for a client.
func (j Job) superseded(id state.ClientID) bool {
	return !j.PutsBack && j.Superseded != nil && j.Superseded(id)
}

// run is the pass under whose name a client's objects are made: its own, where one that was cut
// off goes on under its name. Each of a group takes back what is its own.
func (j Job) run(id state.ClientID) string {
	if own := j.Clients[id].Run; own != "" {
		return own
	}
	return j.Run
}

// StepState is how a step ended.
type StepState string

// The states of a step.
const (
	StepDone       StepState = "done"
	StepFailed     StepState = "failed"     // permanently: needs a commit, `retry` or a person
	StepWaiting    StepState = "waiting"    // may go on later by itself
	StepParked     StepState = "parked"     // only a person can decide
	StepSuperseded StepState = "superseded" // not begun: a newer wish is there
	StepSkipped    StepState = "skipped"    // something that it needs did not get done, or it is held
)

// StepResult is one step's end.
type StepResult struct {
	Step    plan.Step
	State   StepState
	Err     error
	RetryAt time.Time // StepWaiting
	Started time.Time
	Ended   time.Time
	Tries   int
	Note    string
}

// Result holds one StepResult a step, in plan order.
type Result struct{ Steps []StepResult }

// Of returns the client's results, in plan order.
func (r Result) Of(id state.ClientID) []StepResult {
	var out []StepResult
	for _, s := range r.Steps {
		if s.Step.Ref.Client == id {
			out = append(out, s)
		}
	}
	return out
}

// Worst is the client's state over all its steps: the one that decides what happens
// next, and the step that it came from.
func (r Result) Worst(id state.ClientID) (StepState, *StepResult) {
	return r.worst(func(s plan.Step) bool { return s.Ref.Client == id })
}

// WorstOfAll is that of all the steps: an undo gives names back to other clients, too.
func (r Result) WorstOfAll() (StepState, *StepResult) {
	return r.worst(func(plan.Step) bool { return true })
}

func (r Result) worst(of func(plan.Step) bool) (StepState, *StepResult) {
	rank := map[StepState]int{StepDone: 0, StepSkipped: 1, StepWaiting: 2, StepSuperseded: 3, StepParked: 4, StepFailed: 5}
	best, at := StepDone, (*StepResult)(nil)
	for i := range r.Steps {
		s := &r.Steps[i]
		if of(s.Step) && rank[s.State] > rank[best] {
			best, at = s.State, s
		}
	}
	return best, at
}

// Run walks the plan until every step has ended or cannot begin. It returns an
// error only when the journal itself failed or ctx ended: then nothing is known of
// the remaining steps, and the next pass goes on from the journal.
func (r *Runner) Run(ctx context.Context, job Job) (Result, error) {
	w := &walk{runner: r, job: job, results: make([]StepResult, len(job.Plan.Steps)), state: map[string]StepState{}, known: map[string]bool{}}
	for i, s := range job.Plan.Steps {
		w.results[i].Step = s
		w.known[s.Key()] = true
	}
	if r.Parallel <= 1 {
		return w.inOrder(ctx)
	}
	return w.sideBySide(ctx)
}

func (r *Runner) emit(e Event) {
	if r.Emit != nil {
		e.At = r.Now()
		r.Emit(e)
	}
}

func (r *Runner) at(b Border, s plan.Step) {
	if r.At != nil {
		r.At(b, s)
	}
}

func (r *Runner) providerOf(name string, kind state.Kind) (provider.Provider, state.Traits, error) {
	p, ok := r.Provider(name, kind)
	if !ok {
		return nil, state.Traits{}, &provider.Error{Kind: provider.Unsupported, Provider: name, Op: "find", Message: fmt.Sprintf("no provider %q for %s is configured; configure providers.%s, then `reconciler retry`", name, kind, name)}
	}
	return p, p.Traits()[kind], nil
}
