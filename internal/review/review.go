package review

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits.
const (
	maxPlans    = 50                  // pull requests planned in one look
	maxPlanning = 10 * time.Second    // in one look: whoever comments meanwhile is heard by the next
	maxOthers   = 20                  // overlaps that one comment tells
	keepPulls   = 90 * 24 * time.Hour // records of pull requests that ended
	keepFiles   = 7 * 24 * time.Hour  // which files such a one changed, and what it showed
	keepCommand = 30 * 24 * time.Hour
	firstRetry  = 30 * time.Second // of a plan that could not be made; doubled, to maxRetry
	maxRetry    = 30 * time.Minute
	// tellFailures is how often a plan has to fail before a comment says so, too.
	tellFailures = 3
	// maxRecord is the most that is kept of one pull request beside its plan, in bytes of JSON.
	maxRecord = 8 << 20
	// movedPatience is how long a head that the forge tells of may not be in the repository.
	movedPatience = time.Minute
	// nextTry is what comes after a failure that lasts.
	nextTry = "Nothing; it is tried again at least every half hour, or at once when someone asks for a plan."
	// acceptedPatience is how long a forge may call open what the branch has.
	acceptedPatience = 10 * time.Minute
)

// Engine judges proposals and carries out what people ask for.
type Engine interface {
	// Judge says what merging would do, by the rules of the branch.
	Judge(ctx context.Context, p reconcile.Proposal) (reconcile.Judgement, error)
	// Head is the accepted head of the branch, "" before the first.
	Head() string
	// PlanOf is what would run for a client now, looked at.
	PlanOf(ctx context.Context, id state.ClientID) (report.Plan, error)
	// Told says that something was put into the outbox, and Retell that the forge is back.
	Told()
	Retell()
}

// Git reads what pull requests would merge. What it can't read is an error.
type Git interface {
	// Bring brings a pull request's head here.
	Bring(ctx context.Context, number int, head string) error
	// Changed returns the files of the read area that differ between two heads of the
	// branch; rules says that templates or the platform file are among them.
	Changed(ctx context.Context, from, to string) (paths []string, rules bool, err error)
	// Merged returns the branch's files at base, and what they are after merging head.
	Merged(ctx context.Context, number int, base, head string) (Merged, error)
}

// Merged is a merge that nobody made.
type Merged struct {
	At, Files []accept.File // before and after
	Conflicts []string      // paths that both sides changed; Files are then not all
	Commits   int           // that the head has and the base has not; 0: not known
}

// Actions are what a comment may ask for.
type Actions struct {
	Retry   func(ctx context.Context, client, by string) error
	Approve func(ctx context.Context, fingerprint, by string) (report.Approval, error)
}

// Pages are addresses of our own pages; each may return "". Site is where a browser finds a
// client's site, from its public address.
type Pages struct {
	Site   func(url string) string
	Pull   func(number int) string
	Commit func(commit string) string
	Client func(name string) string
	Pass   func(deployment string) string
}

// Reviewer reads the pull requests of one repository. Fields are set by wiring.
type Reviewer struct {
	Engine  Engine
	Git     Git
	Forge   forge.Forge
	Queue   Queue // nil: there is none
	Store   store.Store
	Actions Actions
	Pages   Pages
	App     bool   // checks may be written
	Web     string // the repository's page at the forge, for links; "" for none
	Branch  string
	Now     func() time.Time
	Log     *slog.Logger
	// Quiet is how long a branch that is pushed to again and again must rest before it is
	// planned once more, and Patience how long it may make us wait.
	Quiet, Patience time.Duration

	asked   sync.Mutex
	anew    map[int]bool // pull requests that somebody at the forge asked to plan again
	once    sync.Once
	hint    chan struct{}
	looking sync.Mutex // one look at a time
	there   bool       // the forge answered the last one
	asking  bool       // which pull requests accepted heads brought was not asked of all yet
	known   kept       // what pull requests were when they were read last
	me      identity
	set     statuses        // that were set
	inQueue map[string]bool // commits of the merge queue that were judged
}

// Hint says that something may have changed at the forge. It never blocks.
func (r *Reviewer) Hint() {
	r.prepare()
	select {
	case r.hint <- struct{}{}:
	default:
	}
}

// Again says that somebody at the forge asked for a pull request's checks once more; 0: for those of one
// that the forge does not name. It never blocks; of very many the rest is left out.
func (r *Reviewer) Again(number int) {
	r.asked.Lock()
	if r.anew == nil {
		r.anew = map[int]bool{}
	}
	if len(r.anew) < maxPlans {
		r.anew[number] = true
	}
	r.asked.Unlock()
	r.Hint()
}

// askedAgain takes those that were.
func (r *Reviewer) askedAgain() []int {
	r.asked.Lock()
	defer r.asked.Unlock()
	out := slices.Sorted(maps.Keys(r.anew))
	clear(r.anew)
	return out
}

func (r *Reviewer) prepare() {
	r.once.Do(func() { r.hint = make(chan struct{}, 1) })
}

// trouble is what was said last of what goes wrong again and again.
type trouble struct {
	words string // "": nothing goes wrong
	said  time.Time
}

// saidAgain is when the same trouble is said once more.
const saidAgain = time.Hour

// news says that an error, or that there is none any more, is worth a line in the log.
func (t *trouble) news(err error, now time.Time) bool {
	words := ""
	if err != nil {
		words = err.Error()
	}
	if words == t.words && (words == "" || now.Sub(t.said) < saidAgain) {
		return false
	}
	t.words, t.said = words, now
	return true
}

// errOurs is an error in this program, in words for people.
var errOurs = errors.New("an error in this program; its log says where")

// contain turns a panic into an error: it costs what ran into it, and nothing else. Else it would
// end the program, which would meet it again at its next start: pull requests stay.
func (r *Reviewer) contain(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.Error(what+" panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errOurs
		}
	}()
	return f()
}

// Run looks now, at every hint, and at least every so often, until ctx ends.
func (r *Reviewer) Run(ctx context.Context, every time.Duration) {
	r.prepare()
	var last trouble
	for {
		var next time.Time
		err := r.contain("a look at pull requests", func() (err error) { next, err = r.Sync(ctx); return err })
		if ctx.Err() != nil {
			return
		}
		switch news := last.news(err, r.Now()); {
		case news && err != nil:
			r.Log.Warn("pull requests can't be looked at; it is tried again", "error", err)
		case news:
			r.Log.Info("pull requests are looked at again")
		}
		pause := every
		if !next.IsZero() {
			pause = max(min(pause, next.Sub(r.Now())), time.Second/4)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-r.hint:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// kept are the pull requests as they were read last: many are kept that ended, and a look
// that finds nothing new does not read them again.
type kept struct {
	mu   sync.Mutex
	memo store.Memo[state.Pull]
}

// pulls are all that are on record, by number, in a slice of the caller's own. What they
// hold is not to be changed.
func (r *Reviewer) pulls(tx store.Tx) ([]state.Pull, error) {
	r.known.mu.Lock()
	defer r.known.mu.Unlock()
	all, err := store.PullsAgain(tx, &r.known.memo)
	return slices.Clone(all), err
}

// identity is who we are at the forge, asked once it answers.
type identity struct {
	mu sync.Mutex
	is *forge.Identity
}

func (r *Reviewer) whoami(ctx context.Context) (forge.Identity, error) {
	r.me.mu.Lock()
	defer r.me.mu.Unlock()
	if r.me.is != nil {
		return *r.me.is, nil
	}
	me, err := r.Forge.Me(ctx)
	if err != nil {
		return me, err
	}
	r.me.is = &me
	return me, nil
}

// mine says that we wrote a comment.
func mine(me forge.Identity, c forge.Comment) bool {
	return me.ID != 0 && c.AuthorID == me.ID || me.Login != "" && c.Author == me.Login
}
