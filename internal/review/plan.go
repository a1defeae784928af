package review

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // Git's own ids
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// The contexts of a pull request's statuses, below "reconciler/".
const (
	contextValidate = "validate"
	contextPlan     = "plan"
)

// ErrMoved says that a pull request's head is not where the forge said: look again.
var ErrMoved = errors.New("the pull request moved meanwhile")

func waitText(context string) string {
	if context == contextValidate {
		return "checking the manifests"
	}
	return "planning"
}

// planDue plans what is due, the longest waiting first, and says when to come back.
func (r *Reviewer) planDue(ctx context.Context) (next time.Time, err error) {
	// First the head: what it brought is noted before it is the head.
	base := r.Engine.Head()
	var all []state.Pull
	if err := r.Store.View(func(tx store.Tx) (err error) { all, err = r.pulls(tx); return err }); err != nil {
		return next, fmt.Errorf("read pull requests: %w", err)
	}
	if base == "" {
		return next, nil // there is no branch to merge into yet
	}
	// A head that nobody planned, and what somebody asked for, does not wait behind what a branch that
	// moved has planned anew: that may be more than is planned before it moves again.
	waits := func(p state.Pull) int {
		if p.Wanted || p.Open && p.Planned != p.Head {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b state.Pull) int {
		return cmp.Or(cmp.Compare(waits(a), waits(b)), a.HeadAt.Compare(b.HeadAt))
	})
	among := beside(all)
	var errs []error
	left, until := maxPlans, r.Now().Add(maxPlanning)
	for _, p := range all {
		if ctx.Err() != nil {
			return next, context.Cause(ctx)
		}
		due, at, err := r.due(p, base, among)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !due {
			next = sooner(next, at)
			continue
		}
		if left--; left < 0 || r.Now().After(until) {
			return sooner(next, r.Now()), errors.Join(errs...)
		}
		if err := r.contain("what comes of a plan", func() error { return r.plan(ctx, p, base, among) }); err != nil {
			errs = append(errs, fmt.Errorf("plan pull request %d: %w", p.Number, err))
			continue // it comes again with the next look: nobody knows when it can be
		}
		if err := r.Store.View(func(tx store.Tx) error { return among.again(tx, p.Number) }); err != nil {
			return next, fmt.Errorf("read pull requests: %w", err)
		}
		next = sooner(next, r.Now()) // what it changed may be others' matter, too
	}
	return next, errors.Join(errs...)
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due says whether a pull request is to be planned now, or when.
func (r *Reviewer) due(p state.Pull, base string, among *openPulls) (now bool, at time.Time, err error) {
	if !p.Open {
		return p.Wanted, at, nil
	}
	if len(p.Accepted) > 0 && p.Head == p.Planned {
		// The branch has it, though the forge did not say so yet: what was shown is what its
		// result is about.
		if fresh, err := r.justAccepted(p); fresh || err != nil {
			return false, at, err
		}
	}
	switch {
	// Nothing is put off for longer than maxRetry: else the clock was set back since.
	case p.RetryAt.After(r.Now()) && p.RetryAt.Sub(r.Now()) <= maxRetry:
		return false, p.RetryAt, nil
	case p.Wanted || p.Planned == "" || !p.RetryAt.IsZero():
		return true, at, nil
	case p.Head != p.Planned:
		// Whoever pushes again and again is planned when he rests, or has waited enough.
		at = p.HeadAt.Add(r.Quiet)
		if most := p.PlannedAt.Add(r.Patience); at.After(most) && most.After(p.PlannedAt) {
			at = most
		}
		return !at.After(r.Now()), at, nil
	}
	if p.Moving {
		moving, err := r.moving(p, time.Time{})
		if err != nil || !moving {
			return err == nil, at, err
		}
	}
	return p.Base != base || digestOf(among.others(p)) != p.Others, at, nil
}

// justAccepted says that the branch accepted a pull request, and that the forge did not have
// the time to say so. One that it calls open long after is a proposal like any other: what
// it asks for came by another way.
func (r *Reviewer) justAccepted(p state.Pull) (bool, error) {
	if !r.there {
		return true, nil
	}
	var v state.Verdict
	err := r.Store.View(func(tx store.Tx) (err error) {
		v, _, err = store.VerdictHead(tx, p.Accepted[len(p.Accepted)-1])
		return err
	})
	return r.Now().Sub(v.At).Abs() < acceptedPatience, err // of a head in the future: the clock was set back since
}

// moving says that a client of a pull request is at work, or was at some time since then:
// what is planned now holds what the branch asked for before. A zero time asks for now only.
func (r *Reviewer) moving(p state.Pull, since time.Time) (bool, error) {
	moving := false
	err := r.Store.View(func(tx store.Tx) error {
		moving = false
		for _, pc := range p.Clients {
			c, ok, err := store.ClientByName(tx, pc.Name)
			if err != nil {
				return err
			}
			moving = moving || ok && (!c.Settled && c.RetryAt.IsZero() || !since.IsZero() && c.UpdatedAt.After(since))
		}
		return nil
	})
	return moving, err
}

// nameIn is the name of the client that a file is of, if it is one of a client.
func nameIn(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }

// plan judges one pull request and writes what came of it, with what is to be told.
func (r *Reviewer) plan(ctx context.Context, p state.Pull, base string, among *openPulls) error {
	if !p.Open {
		return r.ended(ctx, p, among)
	}
	if stays, err := r.stays(ctx, p, base, among); err != nil || stays {
		return err
	}
	v := view{comment: report.PullPlan{Stage: report.StagePlanned, Head: p.Head, Base: base, Repo: r.repoOf(p), Link: r.pullURL(p)}}
	before, blank := p, v
	err := r.contain("a plan", func() error { return r.judge(ctx, &p, base, &v) })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if age := r.Now().Sub(p.HeadAt); errors.Is(err, ErrMoved) && age < movedPatience {
		p.RetryAt = r.Now().Add(max(time.Second, age/4))
		return r.write(func(tx store.Tx) error { return r.put(tx, p) })
	}
	if errors.Is(err, ErrMoved) {
		err = fmt.Errorf("the repository does not have its head: %w", err)
	}
	if err != nil {
		p, v = before, blank
		p.Failures++
		p.RetryAt = r.Now().Add(min(firstRetry<<min(p.Failures-1, 10), maxRetry))
		v.comment.Stage, v.comment.Cause, v.comment.RetryAt = report.StageFailed, cause(err), p.RetryAt
		if p.Failures >= tellFailures { // it lasts: its words are to stay true while it does
			v.comment.Next, v.comment.RetryAt = nextTry, time.Time{}
		}
		if r.Log != nil {
			r.Log.Warn("pull request can't be planned; it is tried again", "pull", p.Number, "error", err)
		}
	} else {
		p.Failures, p.RetryAt, p.Wanted = 0, time.Time{}, false
		p.Planned, p.Base, p.PlannedAt, v.made = p.Head, base, r.Now(), true
	}
	v.comment.Others = among.others(p)
	p.Others = digestOf(v.comment.Others)
	if v.comment.Stage == report.StagePlanned {
		if err := r.since(&p, before, base, &v); err != nil {
			return err
		}
	}
	return r.tell(p, before, v, false)
}

// view is a judged pull request on its way to be told.
type view struct {
	comment report.PullPlan
	whole   []byte      // the plan, packed; nil: there is none
	since   report.Plan // the one before, of another base
	earlier []byte      // the same packed, if it is to be kept; empty: forgotten
	turned  bool        // earlier is to be written
	made    bool        // it was judged now
}

// judge fetches, merges and judges.
func (r *Reviewer) judge(ctx context.Context, p *state.Pull, base string, v *view) error {
	if err := r.Git.Bring(ctx, p.Number, p.Head); err != nil {
		return err
	}
	m, err := r.Git.Merged(ctx, p.Number, base, p.Head)
	if err != nil {
		return err
	}
	p.Static = p.Fork && p.Asked != p.Head
	p.Files, p.Commits = filesOf(m), m.Commits
	if len(m.Conflicts) > 0 {
		p.Clients, p.Shown, p.Sources, p.Waits, p.Taken, p.Moving, p.Static, p.New = nil, nil, nil, nil, "", false, true, 0 // nothing was shown
		for path := range p.Files {
			p.Files[path] = state.Unmerged // nobody made this of them
		}
		v.comment.Stage, v.comment.Conflicts = report.StageConflict, m.Conflicts
		v.whole, err = pack(reconcile.Preview{Commit: p.Head, Changes: []report.Change{}, Problems: []report.Problem{}})
		return err
	}
	began := r.Now()
	j, err := r.Engine.Judge(ctx, reconcile.Proposal{Commit: p.Head, Base: base, Branch: r.Branch, At: m.At, Merged: m.Files, Static: p.Static})
	if err != nil {
		return err
	}
	p.Clients, p.Shown, p.Sources, p.Waits, p.New, p.Room = j.Clients, j.Shown, j.Sources, nil, j.New, j.Room
	for _, h := range j.Waits {
		if h.Approvable {
			p.Waits = append(p.Waits, h.Fingerprint)
		}
	}
	if p.Taken, err = r.taken(*p); err != nil {
		return err
	}
	kept, err := r.stopped(*p)
	if err != nil {
		return err
	}
	j.Problems = append(j.Problems, kept...)
	if p.Moving, err = r.moving(*p, began); err != nil {
		return err
	}
	p.Moving = p.Moving || r.Engine.Head() != base // what would wait as a whole was not judged
	if p.Static {
		v.comment.Stage = report.StageFork
	}
	v.comment.Plan, v.comment.At, v.comment.Checked, v.comment.Holds = j.Preview, r.Now(), true, j.Waits
	v.comment.Files = len(p.Clients)
	v.comment.Clients = map[string]report.About{}
	for _, c := range j.Clients {
		about := report.About{Page: r.page(r.Pages.Client, c.Name)}
		if len(c.Hosts) > 0 && !p.Static {
			about.Site = "https://" + c.Hosts[0]
		}
		v.comment.Clients[c.Name] = about
	}
	if v.whole, err = pack(j.Preview); err != nil {
		return err
	}
	return fits(*p)
}

// stopped are the removals that wait, and that merging a pull request stops, as it brings the file back: no step shows
// that, for what still runs does not change.
func (r *Reviewer) stopped(p state.Pull) (out []report.Problem, err error) {
	err = r.Store.View(func(tx store.Tx) error {
		out = nil
		for _, pc := range p.Clients {
			c, ok, err := store.ClientByName(tx, pc.Name)
			if err != nil {
				return err
			}
			if !ok || pc.Removed {
				continue
			}
			all, err := store.Tombstones(tx, c.ID)
			if err != nil {
				return err
			}
			for _, t := range all {
				if t.Part != "" || t.Done {
					continue
				}
				text, when := pc.Name+" is to be removed", ""
				if !t.NotUntil.IsZero() {
					when = " before that"
					text += " on " + t.NotUntil.UTC().Format("2 January 2006 at 15:04 UTC")
				}
				out = append(out, report.Problem{Client: pc.Name, Text: text + ", and still runs.", Hint: "Merging this" + when + " keeps it: it stays as it is.", Warning: true})
			}
		}
		return nil
	})
	return out, err
}

// fits says whether what is held of a pull request can be kept: anybody can ask to change
// very many files with very long names.
func fits(p state.Pull) error {
	text, err := json.Marshal(p)
	if err == nil && len(text) > maxRecord {
		err = fmt.Errorf("it changes %d files, which is more than can be kept of one; make several of it", len(p.Files))
	}
	return err
}

// since adds the plan that was made of the same head onto another base. One that was made
// while the branch's own change was under way is not what is compared with.
func (r *Reviewer) since(p *state.Pull, before state.Pull, base string, v *view) error {
	switch {
	case before.Planned != p.Head:
		p.SinceBase, v.turned = "", before.SinceBase != ""
	case before.Base != base && !before.Moving:
		if err := r.Store.View(func(tx store.Tx) (err error) { v.earlier, _, err = store.PullPlan(tx, p.Number); return err }); err != nil {
			return err
		}
		if p.SinceBase, v.turned = before.Base, true; len(v.earlier) == 0 {
			p.SinceBase = ""
		}
	}
	if p.SinceBase == "" {
		return nil
	}
	text := v.earlier
	if !v.turned {
		if err := r.Store.View(func(tx store.Tx) (err error) { text, _, err = store.PullSince(tx, p.Number); return err }); err != nil {
			return err
		}
	}
	if len(text) == 0 {
		return nil
	}
	var err error
	if v.since, err = unpack(text); err != nil {
		return fmt.Errorf("read the plan before: %w", err)
	}
	v.comment.Since, v.comment.SinceBase = &v.since, p.SinceBase
	return nil
}

// filesOf are the paths that a merge changes, with the blob they have after it.
func filesOf(m Merged) map[string]string {
	out, was := map[string]string{}, map[string]string{}
	for _, f := range m.At {
		was[f.Path] = blobOf(f)
	}
	for _, f := range m.Files {
		if b := blobOf(f); was[f.Path] != b {
			out[f.Path] = b
		}
		delete(was, f.Path)
	}
	for path := range was {
		out[path] = ""
	}
	return out
}

// blobOf is the id that Git has for a file's content.
func blobOf(f accept.File) string {
	if f.Blob != "" || f.Err != "" {
		return cmp.Or(f.Blob, "unreadable")
	}
	h := sha1.New() //nolint:gosec // Git's own ids
	fmt.Fprintf(h, "blob %d\x00", len(f.Data))
	_, _ = h.Write(f.Data) // a hash never fails
	return hex.EncodeToString(h.Sum(nil))
}

// cause is an error's words for people.
func cause(err error) string {
	text := err.Error()
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	return text
}

// stays says that a branch that moved changes nothing of a pull request's plan: it touched
// none of its files, no rules, and nobody took a name that it asks for. Its record then
// says so, and nobody is told. Nor did the branch get so many new clients that the guard
// would hold those that it brings. What changes rules itself is planned onto every change.
func (r *Reviewer) stays(ctx context.Context, p state.Pull, base string, among *openPulls) (bool, error) {
	if p.Wanted || p.Moving || p.Head != p.Planned || p.Base == base || !p.RetryAt.IsZero() {
		return false, nil
	}
	if digestOf(among.others(p)) != p.Others {
		return false, nil
	}
	its := map[string]bool{}
	for _, c := range p.Clients {
		if c.Removed {
			return false, nil // what the guard counts is others' removals, too
		}
		its[c.Name] = true
	}
	changed, rules, err := r.Git.Changed(ctx, p.Base, base)
	if err != nil || rules || len(changed) > 0 && changesRules(p) { // they are about clients that it does not know yet, too
		return false, err
	}
	for _, file := range changed {
		// A client's file may be in another folder there.
		if _, same := p.Files[file]; same || its[nameIn(file)] {
			return false, nil
		}
	}
	taken, err := r.taken(p)
	if err != nil || taken != p.Taken {
		return false, err
	}
	if p.New > 0 { // what the guard counts is others' new clients, too
		more, err := r.newcomers(p.Base, changed)
		if err != nil || more > 0 && more > p.Room {
			return false, err
		}
		p.Room -= more
	}
	p.Base = base
	return true, r.Store.Update(func(tx store.Tx) error { return r.put(tx, p) })
}

// changesRules says that a pull request changes a template or the platform file, by their names.
func changesRules(p state.Pull) bool {
	for file := range p.Files {
		if path.Base(path.Dir(file)) == "templates" || path.Base(file) == "platform.yaml" {
			return true
		}
	}
	return false
}

// newcomers counts the clients among files of the branch that are new since one of its heads
// was accepted.
func (r *Reviewer) newcomers(since string, files []string) (n int, err error) {
	err = r.Store.View(func(tx store.Tx) error {
		n = 0
		v, _, err := store.VerdictHead(tx, since) // one that is forgotten was long ago
		if err != nil {
			return err
		}
		for _, file := range files {
			c, ok, err := store.ClientByName(tx, nameIn(file))
			if err != nil {
				return err
			}
			if ok && c.CreatedAt.After(v.At) {
				n++
			}
		}
		return nil
	})
	return n, err
}

// taken tells who has the names that a pull request asks for, beside its own clients.
func (r *Reviewer) taken(p state.Pull) (string, error) {
	own := map[string]bool{}
	var hosts []string
	for _, c := range p.Clients {
		own[c.Name] = true
		hosts = append(hosts, c.Hosts...)
	}
	var out []string
	err := r.Store.View(func(tx store.Tx) error {
		out = nil
		for _, h := range hosts {
			claim, ok, err := store.Claim(tx, "host:"+h)
			if err != nil {
				return err
			}
			if !ok || claim.Client == "" {
				continue
			}
			c, _, err := store.Client(tx, claim.Client)
			if err != nil {
				return err
			}
			if !own[c.Name] {
				out = append(out, h+" "+c.Name)
			}
		}
		return nil
	})
	return strings.Join(out, "\n"), err
}

// ended tells on its comment that a pull request was closed. A merged one has its result.
func (r *Reviewer) ended(ctx context.Context, p state.Pull, among *openPulls) error {
	v := view{comment: report.PullPlan{Stage: report.StageClosed, Head: p.Head, Base: p.Base, Repo: r.repoOf(p)}}
	if p.Merged {
		v.comment.Stage, v.comment.Merged, v.comment.Result = report.StageMerged, p.MergeCommit, r.page(r.Pages.Commit, p.MergeCommit)
	} else if f, err := r.Forge.Pull(ctx, p.Number); err != nil && !errors.Is(err, forge.ErrNotFound) {
		return err
	} else if f.BaseRef != "" && f.BaseRef != r.Branch { // it was not closed
		v.comment.Stage, v.comment.Cause = report.StageFailed, fmt.Sprintf("it is for the branch %s now, and only what comes into %s is planned", f.BaseRef, r.Branch)
		v.comment.Next = fmt.Sprintf("Nothing, if that is meant. Else set its base to %s again, and it is planned; where the branch itself has another name now, set repository.branch.", r.Branch)
	}
	before := p
	p.Wanted = false
	if !p.Merged { // nobody asks for it any more
		p.Files, p.Clients, p.Shown, p.Sources, p.Waits, p.Taken, p.Others = nil, nil, nil, nil, nil, "", ""
	}
	return r.tell(p, before, v, headed(p, among.all, false))
}

// tell writes a pull request's record with what is to be said of it. What was said already
// is not said again. shared says that the statuses of its head are another's matter.
func (r *Reviewer) tell(p, before state.Pull, v view, shared bool) error {
	quiet := v.comment.Stage == report.StagePlanned && len(v.comment.Plan.Changes) == 0 && len(v.comment.Plan.Problems) == 0 && len(v.comment.Others) == 0
	body := ""
	if v.comment.Stage == report.StageFailed && p.Failures < tellFailures {
		quiet = true // the status says it; a comment is for what lasts
	}
	if p.Open && (!quiet || p.Comment != 0 || before.Told) || !p.Open && !p.Merged && (p.Comment != 0 || before.Told) {
		body, p.Told = v.comment.Markdown(), true
	}
	validate, plan := v.comment.Validate(), v.comment.Status()
	w := marks(p, v.comment, validate, r.pullURL(p))
	inFiles := p.Open && v.comment.Checked && (r.App || len(w.Suggestions) > 0 || before.Marked)
	p.Marked = before.Marked && !p.Open || len(w.Suggestions) > 0
	said := digest(string(v.comment.Stage), v.comment.Head, v.comment.Plan.Fingerprint, stable(v.comment))
	repeated := said == before.Said
	p.Said = said
	return r.write(func(tx store.Tx) error {
		if err := r.put(tx, p); err != nil {
			return err
		}
		if v.made {
			if err := goesOn(tx, p); err != nil {
				return err
			}
		}
		if v.whole != nil {
			if err := store.PutPullPlan(tx, p.Number, v.whole); err != nil {
				return err
			}
		}
		if v.turned {
			if err := store.PutPullSince(tx, p.Number, v.earlier); err != nil {
				return err
			}
		}
		if repeated {
			return nil
		}
		if p.Open || p.Planned != p.Head && !shared { // what nobody came to plan ends, too
			for _, s := range []struct {
				context string
				report.StatusLine
			}{{contextValidate, validate}, {contextPlan, plan}} {
				if err := r.report(tx, state.Report{Subject: "head/" + p.Head + "/" + s.context, State: s.State, Text: s.Text, URL: r.pullURL(p)}); err != nil {
					return err
				}
			}
		}
		if inFiles {
			if err := r.mark(tx, p, w); err != nil {
				return err
			}
		}
		if body == "" {
			return nil
		}
		return r.report(tx, state.Report{Subject: fmt.Sprintf("pull/%d/plan", p.Number), State: plan.State, Text: plan.Text, Detail: body})
	})
}

// stable is what makes the words of a comment other words, beside its plan: not the base
// it was made on, nor the time.
func stable(c report.PullPlan) string {
	c.Base, c.At, c.Plan.LookedAt, c.Since, c.SinceBase = "", time.Time{}, time.Time{}, nil, ""
	return c.Markdown()
}

// write is one transaction, after which the outbox is looked at.
func (r *Reviewer) write(f func(tx store.Tx) error) error {
	err := r.Store.Update(f)
	r.Engine.Told()
	return err
}

// put writes a judged record; what the sink and the engine noted meanwhile stays.
func (r *Reviewer) put(tx store.Tx, p state.Pull) error {
	now, ok, err := store.Pull(tx, p.Number)
	if err != nil {
		return err
	}
	if ok {
		p.Accepted, p.HeldBy, p.Comment, p.Result, p.ResultSaid = now.Accepted, now.HeldBy, now.Comment, now.Result, now.ResultSaid
	}
	return store.PutPull(tx, p)
}

// goesOn lets the heads go that brought a pull request, where it is open all the same and was planned onto what
// they made of the branch (somebody pushed what it had then, or merged the same): what it asks for now is to come yet.
func goesOn(tx store.Tx, p state.Pull) error {
	now, ok, err := store.Pull(tx, p.Number)
	if err != nil || !ok || len(now.Accepted) == 0 {
		return err
	}
	had, _, err := store.VerdictHead(tx, now.Accepted[len(now.Accepted)-1]) // one that is forgotten was long ago
	if err != nil {
		return err
	}
	if base, known, err := store.VerdictHead(tx, p.Base); err != nil || !known || base.Seq < had.Seq {
		return err
	}
	now.Accepted = nil
	return store.PutPull(tx, now)
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// page is an address of ours, "" where there is none.
func (r *Reviewer) page(f func(string) string, name string) string {
	if f == nil || name == "" {
		return ""
	}
	return f(name)
}

// site is where a browser finds a client's site.
func (r *Reviewer) site(url string) string {
	if r.Pages.Site == nil {
		return url
	}
	return r.Pages.Site(url)
}

// pullURL is where a pull request's links lead: our page of it, else its own.
func (r *Reviewer) pullURL(p state.Pull) string {
	if r.Pages.Pull != nil {
		if u := r.Pages.Pull(p.Number); u != "" {
			return u
		}
	}
	return p.URL
}

// repoOf is where the files of a pull request are shown and, but for a stranger's, edited.
func (r *Reviewer) repoOf(p state.Pull) report.Repo {
	if r.Web == "" {
		return report.Repo{}
	}
	out := report.Repo{View: r.Web + "/blob/" + p.Head}
	if !p.Fork && p.Branch != "" {
		out.Edit = r.Web + "/edit/" + url.PathEscape(p.Branch)
	}
	return out
}
