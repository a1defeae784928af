package simulated

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of the simulation itself; those of GitHub are in limits.go.
const (
	maxBody       = 1 << 20 // of a request
	maxQueue      = 10_000  // webhooks and test merges that wait
	maxDeliveries = 2_000   // that are remembered
	maxWrites     = 200_000 // that are remembered
	maxFaults     = 1_000
	maxWorld      = 256 << 20 // of the file that keeps the world
	firstID       = 5_000_000_001
)

// What the methods for people can answer, wrapped.
var (
	// ErrNotFound says that there is no such pull request, comment, branch or user.
	ErrNotFound = errors.New("not found")
	// ErrRefused says that GitHub would not let it happen: a conflict, a closed pull request.
	ErrRefused = errors.New("refused")
)

// errClosed is of whoever comes after Close.
var errClosed = errors.New("the simulated forge is closed")

// Options of a Forge.
type Options struct {
	// Git serves the repository; New takes over its OnPush, and calls the one it finds there.
	// It must not be used before, nor told another OnPush after.
	Git *gitserver.Server
	// Dir is where the world is kept; "": in memory.
	Dir string
	// Owner and Repo name the repository; Repo is its name in Git, too, and must exist there.
	Owner, Repo string
	// Now is GitHub's clock; nil is time.Now. Tokens, limits and lags go by it.
	Now func() time.Time
	// Tokens that are let in, beside those that the App asks for.
	Tokens []Token
	// App that is installed; nil: none.
	App *App
	// WebhookURL gets every event, signed with WebhookSecret: the App's hook, or, without
	// an App, one of the repository. "": none.
	WebhookURL    string
	WebhookSecret state.Secret
	// BaseURL is where people find the pages, without a slash at its end; it stands in
	// every html_url. "": https://github.example.
	BaseURL string
	// APIURL stands in every url; "": BaseURL and /api/v3.
	APIURL string
	// CloneURL is the repository's in answers; "": BaseURL/OWNER/REPO.git.
	CloneURL string
	// Home is where the pages' link to the program leads; "": there is none.
	Home string
	// Visitor is the login of whoever uses the pages; "": Owner.
	Visitor string
	// Transport sends webhooks; nil is one of its own.
	Transport http.RoundTripper
}

// Token is a personal access token.
type Token struct {
	Secret state.Secret
	Login  string
	// Permissions by name (statuses, pull_requests, issues, deployments, contents …), each
	// read or write; nil: those of a classic token with the scope repo. metadata is implied.
	Permissions map[string]string
}

// App is a GitHub App with one installation.
type App struct {
	ID, InstallationID int64
	Slug               string // its login is SLUG[bot]
	Key                *rsa.PublicKey
	Permissions        map[string]string
	// Now is the clock by which its JSON Web Tokens are judged; nil is Options.Now. A client
	// whose library signs by the machine's clock needs that one.
	Now func() time.Time
}

// Forge is the simulated GitHub. Safe for concurrent use.
type Forge struct {
	o      Options
	git    *gitserver.Server
	client *http.Client
	own    string // the repository's own branch

	mu         sync.Mutex
	w          world
	grants     []*grant
	hooks      []*hook
	broken     error // why a push could not be taken note of; told by the next call
	writes     []Write
	deliveries []*Delivery
	limits     Limits
	faults     []*fault
	lag        time.Duration
	webhooks   Webhooks
	usage      map[string]*usage
	called     string // the repository's name since it was renamed; "": Options.Repo
	archived   bool
	suspended  bool // the App's installation

	queue   chan task
	pending int        // tasks that are not done
	idle    *sync.Cond // of mu: pending came to 0
	stop    context.CancelFunc
	ended   chan struct{}
	closed  bool
}

// task is what the background does: send a delivery, or merge a pull request for trial.
type task struct {
	deliver *Delivery
	pull    int
}

// New returns the forge of a repository, as it was when Dir holds one. Close it.
func New(o Options) (*Forge, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.BaseURL == "" {
		o.BaseURL = "https://github.example"
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	if o.APIURL == "" {
		o.APIURL = o.BaseURL + "/api/v3"
	}
	o.APIURL = strings.TrimSuffix(o.APIURL, "/")
	if o.CloneURL == "" {
		o.CloneURL = o.BaseURL + "/" + o.Owner + "/" + o.Repo + ".git"
	}
	if o.Visitor == "" {
		o.Visitor = o.Owner
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{DisableKeepAlives: true}
	}
	f := &Forge{o: o, git: o.Git, limits: DefaultLimits(), usage: map[string]*usage{}, queue: make(chan task, maxQueue), ended: make(chan struct{}),
		client: &http.Client{Transport: o.Transport, Timeout: webhookTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	f.idle = sync.NewCond(&f.mu)
	err := o.Git.View(o.Repo, func(r *gitserver.Repository) (err error) {
		f.own, err = r.Default()
		return err
	})
	if err == nil {
		err = f.load()
	}
	if err != nil {
		return nil, fmt.Errorf("simulated forge of %s/%s: %w", o.Owner, o.Repo, err)
	}
	for _, t := range o.Tokens {
		f.grants = append(f.grants, f.grantOf(t))
	}
	if o.App != nil {
		app := *o.App
		if app.Now == nil {
			app.Now = o.Now
		}
		f.o.App = &app
		f.user(botOf(&app))
	}
	f.seedHook()
	if err := errors.Join(f.sync(""), f.save()); err != nil { // nobody else has it yet
		return nil, fmt.Errorf("simulated forge of %s/%s: %w", o.Owner, o.Repo, err)
	}
	before := o.Git.OnPush
	o.Git.OnPush = func(name, branch, head string) {
		f.pushed()
		if before != nil {
			before(name, branch, head)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	go f.work(ctx)
	return f, nil
}

// work does what GitHub does in the background, until Close.
func (f *Forge) work(ctx context.Context) {
	defer close(f.ended)
	for t := range f.queue {
		if ctx.Err() == nil {
			if t.deliver != nil {
				f.send(ctx, t.deliver)
			} else {
				f.tryMerge(t.pull)
			}
		}
		f.mu.Lock()
		if f.pending--; f.pending == 0 {
			f.idle.Broadcast()
		}
		f.mu.Unlock()
	}
}

// later queues a task; the lock is held. What doesn't fit is lost, as webhooks are.
func (f *Forge) later(t task) {
	if f.closed {
		return
	}
	select {
	case f.queue <- t:
		f.pending++
	default:
	}
}

// Settle waits until every webhook was sent, and every merge was tried, that was due when
// it was called or became so since.
func (f *Forge) Settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.pending > 0 {
		f.idle.Wait()
	}
}

// Close ends the background; a webhook that is being sent is cut off. Nothing changes the
// world any more: another Forge may be made of the same folder and repository.
func (f *Forge) Close() error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		f.stop()
		close(f.queue)
	}
	f.mu.Unlock()
	<-f.ended
	f.client.CloseIdleConnections()
	return nil
}

// now is GitHub's time: whole seconds.
func (f *Forge) now() time.Time { return f.o.Now().UTC().Truncate(time.Second) }

// do changes the world: it runs with the lock held, keeps the world when it went well, and
// then tells the gitserver's listeners of what moved.
func (f *Forge) do(change func() (announce func(), err error)) error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return errClosed
	}
	announce, err := change()
	if err == nil {
		err = f.save()
	}
	f.mu.Unlock()
	if announce != nil {
		announce()
	}
	return err
}
