package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// errForgotten: what a report is about is on record no more.
var errForgotten = errors.New("it is on record no more")

// Deliver says one report of the outbox to the forge; it is the outbox's sink. Repeated, it
// says the same again. What the forge will never take (a commit that is gone, a comment on
// a pull request that was deleted) is dropped, and logged; each by itself, so that it keeps
// nothing else of a report from being told.
func (r *Reviewer) Deliver(ctx context.Context, t state.Report) error {
	if err := r.set.isAway(r.Now()); err != nil {
		return err
	}
	began := r.Now()
	err := r.deliver(ctx, t)
	if took := r.Now().Sub(began); errors.Is(err, forge.ErrAway) && took >= slowly {
		r.set.isGone(err, r.Now())
	}
	if errors.Is(err, forge.ErrDenied) && t.Tries >= maxDenied {
		if over, failed := r.over(t.Subject); failed == nil && over {
			r.Log.Warn("the forge does not let us tell it", "about", t.Subject, "error", err)
			err = nil
		}
	}
	if errors.Is(err, errForgotten) {
		r.Log.Info("nobody is told", "about", t.Subject, "error", err)
		err = nil
	}
	if errors.Is(err, forge.ErrInvalid) && t.Tries >= maxRefused {
		r.Log.Warn("the forge can't be told", "about", t.Subject, "error", err)
		err = nil
	}
	if err == nil {
		r.set.whole(t.Subject)
	}
	return err
}

const (
	// maxRefused is how often the forge may refuse a report as one that it never takes: some two hours.
	maxRefused = 20
	// maxDenied is how often a status may be denied us: some three days, for as long as Watch finds what is missing. Who
	// gives the permission after months is to be told of today, and not of each commit since.
	maxDenied = 450
	// slowly is how long a forge that does not answer may take for it; the others of a batch then wait for awayFor at least.
	slowly  = 10 * time.Second
	awayFor = 30 * time.Second
)

// over says that a report is a status of which nothing depends any more: of a commit of the branch, or of a head that no
// open pull request has.
func (r *Reviewer) over(subject string) (bool, error) {
	what, rest, _ := strings.Cut(subject, "/")
	if what == "commit" {
		return true, nil
	}
	head, _, _ := strings.Cut(rest, "/")
	var all []state.Pull
	err := r.Store.View(func(tx store.Tx) (err error) { all, err = r.pulls(tx); return err })
	return what == "head" && !slices.ContainsFunc(all, func(p state.Pull) bool { return p.Open && p.Head == head }), err
}

// statuses is what the sink keeps in mind of the statuses that it set. Writes are few (GitHub takes 500
// an hour): what waits for something else must not use them up.
type statuses struct {
	mu     sync.Mutex
	taken  map[string]map[string]forge.Status // of reports that were not told whole yet: by subject, and commit and context
	denied error                              // statuses are denied us: one permission lets all of them be set
	since  time.Time
	shown  bool  // a deployment was: it may be
	gone   error // the forge swallows what is sent to it
	from   time.Time
}

// isGone notes that the forge took long to answer nothing, and isAway that it did so a moment ago.
func (k *statuses) isGone(err error, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone, k.from = err, now
}

func (k *statuses) isAway(now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.from).Abs() >= awayFor {
		k.gone = nil
	}
	return k.gone
}

// deniedFor is how long statuses that were denied are not asked for again.
const deniedFor = 5 * time.Minute

// whole says that a report was told whole; one that comes later is told anew.
func (k *statuses) whole(subject string) {
	k.mu.Lock()
	delete(k.taken, subject)
	k.mu.Unlock()
}

// allowed says that statuses may be allowed by now, and that the forge answers.
func (k *statuses) allowed() {
	k.mu.Lock()
	k.denied, k.gone = nil, nil
	k.mu.Unlock()
}

// setStatus sets a status for a report, once: what else of it is told may be tried many times.
func (r *Reviewer) setStatus(ctx context.Context, subject, commit string, s forge.Status) error {
	k, at := &r.set, commit+" "+s.Context
	k.mu.Lock()
	was, denied := k.taken[subject][at], k.denied
	if r.Now().Sub(k.since).Abs() >= deniedFor {
		denied = nil
	}
	k.mu.Unlock()
	if was == s {
		return nil
	}
	if denied != nil {
		return denied
	}
	err := r.onCommit(ctx, commit, r.Forge.SetStatus(ctx, commit, s))
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case errors.Is(err, forge.ErrDenied) && !errors.Is(err, forge.ErrNotFound): // else it may be this commit's matter
		k.denied, k.since = err, r.Now()
	case err == nil:
		if k.denied = nil; k.taken == nil {
			k.taken = map[string]map[string]forge.Status{}
		}
		if k.taken[subject] == nil {
			k.taken[subject] = map[string]forge.Status{}
		}
		k.taken[subject][at] = s
	}
	return err
}

// onCommit is the error of a write about a commit, nil where it never can be done: there are
// mirrors whose commits the forge has not, and a commit takes so many statuses.
func (r *Reviewer) onCommit(ctx context.Context, commit string, err error) error {
	return r.unless(ctx, err, "commit", commit, func() error {
		_, err := r.Forge.Statuses(ctx, commit)
		return err
	})
}

// onPull is the same of a pull request: it may be gone, or its conversation locked.
func (r *Reviewer) onPull(ctx context.Context, number int, err error) error {
	if errors.Is(err, forge.ErrDenied) {
		if p, failed := r.Forge.Pull(ctx, number); failed != nil || !p.Locked {
			return err
		}
		r.Log.Warn("a conversation is locked: nobody is told there", "pull", number)
		return nil
	}
	if errors.Is(err, forge.ErrInvalid) {
		if _, failed := r.Forge.Pull(ctx, number); failed == nil {
			return err // it may be taken later: a forge says so, too, of whoever writes much
		}
	}
	return r.unless(ctx, err, "pull", number, func() error {
		_, err := r.Forge.Pull(ctx, number)
		return err
	})
}

// unless is an error unless it will never be another. "Not found" is what a forge answers
// whoever may not see a repository, too, or may not write: so both are looked for.
func (r *Reviewer) unless(ctx context.Context, err error, what string, of any, there func() error) error {
	switch {
	case errors.Is(err, forge.ErrInvalid):
	case errors.Is(err, forge.ErrNotFound):
		if _, failed := r.Forge.Open(ctx, r.Branch); failed != nil {
			return err
		}
		if failed := there(); failed == nil { // it is there, and may not be written
			return fmt.Errorf("%w: %w", forge.ErrDenied, err)
		} else if !errors.Is(failed, forge.ErrNotFound) && !errors.Is(failed, forge.ErrInvalid) {
			return err
		}
	default:
		return err
	}
	r.Log.Warn("the forge can't be told", what, of, "error", err)
	return nil
}

func (r *Reviewer) deliver(ctx context.Context, t state.Report) error {
	words := strings.Split(t.Subject, "/")
	switch {
	case words[0] == "head" && len(words) == 3:
		return r.setStatus(ctx, t.Subject, words[1], status(words[2], t, t.URL))
	case words[0] == "pull" && len(words) == 3:
		p, err := r.pull(words[1])
		if err != nil {
			return err
		}
		switch words[2] {
		case report.KindPlan:
			return r.onPull(ctx, p.Number, r.sticky(ctx, p, report.KindPlan, t.Detail))
		case report.KindResult:
			return r.resultAgain(ctx, p)
		case "files":
			return r.onPull(ctx, p.Number, r.files(ctx, p.Number, t.Detail))
		}
	case words[0] == "pull" && len(words) == 4 && words[2] == report.KindReply:
		p, err := r.pull(words[1])
		if err != nil {
			return err
		}
		return r.onPull(ctx, p.Number, r.reply(ctx, p, words[3], t.Detail))
	case words[0] == "commit" && len(words) == 2:
		return r.verdict(ctx, words[1], t)
	case words[0] == "commit" && len(words) == 4 && words[2] == "client":
		return r.client(ctx, words[1], words[3], t)
	}
	return nil // not a matter of the forge
}

// status is a report as a commit status.
func status(context string, t state.Report, url string) forge.Status {
	return forge.Status{Context: "reconciler/" + context, State: forge.State(t.State), Description: report.ClipWords(report.Line(t.Text), forge.MaxDescription), URL: url}
}

// pull reads a record by its number as a subject has it.
func (r *Reviewer) pull(number string) (p state.Pull, err error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return p, fmt.Errorf("pull request %q: %w", number, errForgotten)
	}
	var ok bool
	err = r.Store.View(func(tx store.Tx) error { p, ok, err = store.Pull(tx, n); return err })
	if err == nil && !ok {
		err = fmt.Errorf("pull request %d: %w", n, errForgotten)
	}
	return p, err
}

// sticky writes the one comment of a kind: the one that we know, else one of ours that bears
// the marker, else a new one.
func (r *Reviewer) sticky(ctx context.Context, p state.Pull, kind, body string) error {
	id := func(p *state.Pull) *int64 {
		if kind == report.KindResult {
			return &p.Result
		}
		return &p.Comment
	}
	known := *id(&p)
	var denied error
	if known != 0 {
		err := r.Forge.EditComment(ctx, known, body)
		if errors.Is(err, forge.ErrDenied) {
			denied = err // or it is another account's, of before the credentials were changed
		} else if !errors.Is(err, forge.ErrNotFound) { // else somebody deleted it
			return err
		}
	}
	is, err := r.find(ctx, p.Number, func(k string, _ int64) bool { return k == kind })
	if err != nil {
		return err
	}
	if denied != nil && is == known {
		return denied
	}
	if is != 0 {
		err = r.Forge.EditComment(ctx, is, body)
	} else {
		var made forge.Comment
		made, err = r.Forge.CreateComment(ctx, p.Number, body)
		is = made.ID
	}
	if err != nil {
		return err
	}
	return r.Store.Update(func(tx store.Tx) error {
		now, ok, err := store.Pull(tx, p.Number)
		if err != nil || !ok {
			return err
		}
		*id(&now) = is
		return store.PutPull(tx, now)
	})
}

// find is the oldest comment of ours whose marker is wanted; 0: there is none.
func (r *Reviewer) find(ctx context.Context, pull int, want func(kind string, id int64) bool) (int64, error) {
	me, err := r.whoami(ctx)
	if err != nil {
		return 0, err
	}
	all, err := r.Forge.Comments(ctx, pull)
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		if kind, id, ok := report.MarkerOf(c.Body); ok && mine(me, c) && want(kind, id) {
			return c.ID, nil
		}
	}
	return 0, nil
}

// reply answers a comment, once.
func (r *Reviewer) reply(ctx context.Context, p state.Pull, comment, body string) error {
	found, err := r.find(ctx, p.Number, func(kind string, id int64) bool {
		return kind == report.KindReply && strconv.FormatInt(id, 10) == comment
	})
	if err != nil || found != 0 {
		return err
	}
	_, err = r.Forge.CreateComment(ctx, p.Number, body)
	return err
}

// verdict tells what became of an accepted head: on the head, and on the merge commit of
// every pull request that it brought.
func (r *Reviewer) verdict(ctx context.Context, head string, t state.Report) error {
	pulls, v, err := r.broughtBy(head)
	if err != nil {
		return err
	}
	url := r.page(r.Pages.Commit, head)
	if url == "" && len(pulls) == 1 {
		url = pulls[0].URL
	}
	t, err = r.worded(head, t)
	if err != nil {
		return err
	}
	s := status("apply", t, url)
	told := []string{head}
	for _, p := range pulls {
		if p.MergeCommit != "" && slices.Contains(v.Commits, p.MergeCommit) && !slices.Contains(told, p.MergeCommit) {
			told = append(told, p.MergeCommit)
		}
	}
	var denied error
	for _, commit := range told {
		err := r.setStatus(ctx, t.Subject, commit, s)
		if errors.Is(err, forge.ErrDenied) { // it is this permission that we lack: comments may be allowed
			denied = err
		} else if err != nil {
			return err
		}
	}
	if err := r.waits(ctx, head); err != nil {
		return err
	}
	return errors.Join(r.results(ctx, head, pulls), denied)
}

// broughtBy are the pull requests that an accepted head brought, and its verdict without
// the clients.
func (r *Reviewer) broughtBy(head string) (pulls []state.Pull, v state.Verdict, err error) {
	err = r.Store.View(func(tx store.Tx) error {
		pulls = nil
		all, err := r.pulls(tx)
		if err != nil {
			return err
		}
		for _, p := range all {
			if slices.Contains(p.Accepted, head) {
				pulls = append(pulls, p)
			}
		}
		v, _, err = store.VerdictHead(tx, head)
		return err
	})
	return pulls, v, err
}

// client tells what became of one client of a head: a status and a deployment in the
// environment of its name.
func (r *Reviewer) client(ctx context.Context, head, name string, t state.Report) error {
	pulls, v, err := r.broughtBy(head)
	if err != nil {
		return err
	}
	clients := 0
	for _, n := range v.Tally() {
		clients += n
	}
	url := r.page(r.Pages.Client, name)
	if url == "" && len(pulls) == 1 {
		url = pulls[0].URL
	}
	if t, err = r.clientWorded(head, name, t); err != nil {
		return err
	}
	if err := r.setStatus(ctx, t.Subject, head, status("client/"+name, t, url)); errors.Is(err, forge.ErrDenied) {
		return errors.Join(r.results(ctx, head, pulls), err)
	} else if err != nil {
		return err
	}
	if forge.State(t.State) != forge.Pending || clients <= maxProgress {
		err := r.deployment(ctx, head, name, t)
		if errors.Is(err, forge.ErrInvalid) { // a forge says so, too, of whoever writes much
			if _, gone := r.Forge.Statuses(ctx, head); gone == nil {
				err = fmt.Errorf("%w: %s", forge.ErrDenied, err.Error())
			}
		}
		err = r.onCommit(ctx, head, err)
		if errors.Is(err, forge.ErrDenied) && !errors.Is(err, forge.ErrNotFound) { // the status was taken: it is this permission that we lack
			if r.set.deploys(false) && t.Tries < maxRefused { // or it was taken since, or it passes: "in progress" would stand for ever
				return errors.Join(r.results(ctx, head, pulls), err)
			}
			r.Log.Warn("no deployment can be shown at the forge", "client", name, "error", err)
		} else if err := r.onCommit(ctx, head, err); err != nil {
			return err
		} else {
			r.set.deploys(true)
		}
	}
	return r.results(ctx, head, pulls)
}

// deploys says whether deployments could be shown since we started; shown: one was now.
func (k *statuses) deploys(shown bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shown = k.shown || shown
	return k.shown
}

// deployment is the forge's own record of what a head came to for a client.
func (r *Reviewer) deployment(ctx context.Context, head, name string, t state.Report) error {
	d, err := r.deploymentOf(ctx, head, name)
	if err != nil {
		return err
	}
	s := forge.DeploymentStatus{Description: report.ClipWords(report.Line(t.Text), forge.MaxDescription), Environment: name, URL: r.site(t.URL), LogURL: r.page(r.Pages.Client, name)}
	switch forge.State(t.State) {
	case forge.Pending:
		s.State = forge.InProgress
	case forge.Success:
		s.State = forge.DeploymentSuccess
		runs, gone, err := r.runs(head, name)
		if err != nil {
			return err
		}
		if err := r.renamed(ctx, head, name); err != nil {
			return err
		}
		if !runs {
			s.URL = ""
		}
		if gone { // only a success ends the former ones, which would count as active for ever
			if err := r.Forge.SetDeployment(ctx, d.ID, s); err != nil {
				return err
			}
		}
		if !runs {
			s.State = forge.DeploymentInactive
		}
	case forge.Failure:
		s.State = forge.DeploymentFailure
	default:
		s.State = forge.DeploymentError
	}
	return r.Forge.SetDeployment(ctx, d.ID, s)
}

// renamed ends what the forge shows in the environments of names that a client gave up at a head, and that nobody has
// now: else the last deployment there would count as active for ever. Only a success ends former ones.
func (r *Reviewer) renamed(ctx context.Context, head, name string) error {
	var former []string
	err := r.Store.View(func(tx store.Tx) error {
		former = nil
		c, _, err := store.ClientByName(tx, name)
		if err != nil || len(c.Former) == 0 {
			return err
		}
		v, _, err := store.VerdictHead(tx, head)
		if err != nil {
			return err
		}
		for _, n := range c.Former {
			if !slices.ContainsFunc(v.Landed, func(l state.Landed) bool { return slices.Contains(l.Names, n) }) {
				continue // its file went in another head
			}
			_, taken, err := store.ClientByName(tx, n)
			if err != nil {
				return err
			}
			if !taken {
				former = append(former, n)
			}
		}
		return nil
	})
	for _, n := range former {
		if err == nil {
			err = r.vacate(ctx, head, n, "renamed to "+name)
		}
	}
	return err
}

// vacate ends what is shown in an environment.
func (r *Reviewer) vacate(ctx context.Context, head, environment, why string) error {
	d, err := r.deploymentOf(ctx, head, environment)
	for _, s := range []forge.DeploymentState{forge.DeploymentSuccess, forge.DeploymentInactive} {
		if err == nil {
			err = r.Forge.SetDeployment(ctx, d.ID, forge.DeploymentStatus{State: s, Description: why, Environment: environment})
		}
	}
	return err
}

// deploymentOf is our deployment of a head in an environment, a new one if there is none.
func (r *Reviewer) deploymentOf(ctx context.Context, head, environment string) (forge.Deployment, error) {
	all, err := r.Forge.Deployments(ctx, head, environment)
	if err != nil {
		return forge.Deployment{}, err
	}
	if i := slices.IndexFunc(all, func(d forge.Deployment) bool { return d.Task == deployTask }); i >= 0 {
		return all[i], nil
	}
	return r.Forge.CreateDeployment(ctx, forge.Deployment{Commit: head, Environment: environment, Task: deployTask}, "reconciler")
}

// runs says that a head is what a client's site runs: it is neither gone, nor paused, nor did
// a later head overtake this one before it was applied. gone says that nothing of it is served.
func (r *Reviewer) runs(head, name string) (runs, gone bool, err error) {
	err = r.Store.View(func(tx store.Tx) error {
		runs, gone = false, false
		c, ok, err := store.ClientByName(tx, name)
		if gone = err == nil && !ok; err != nil || gone {
			return err
		}
		fate, _, err := store.Fate(tx, head, c.ID)
		ended := fate != "paused" && !strings.HasPrefix(fate, "superseded")
		runs, gone = ended && !c.Removed, ended && c.Removed
		return err
	})
	return runs, gone, err
}

const (
	deployTask = "reconcile"
	// maxProgress is up to how many clients of a head have a deployment that shows that it is
	// under way; of more, one is made when it has ended: GitHub takes 80 writes a minute.
	maxProgress = 5
)
