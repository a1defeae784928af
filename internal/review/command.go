package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

const (
	prefix     = "/reconciler"
	maxCommand = 200 // characters of a command that are read
	minPrefix  = 4   // characters of a fingerprint that must be given
	// seenHistory is how many of the newest entries of the history are looked at for a retry.
	seenHistory = 500
	// overlapping is how far back comments are listed again: two may bear the same second.
	overlapping = 2 * time.Second
)

// order is what a comment asks for.
type order struct {
	verb, arg string
	said      string // the line
}

// parse reads a command: the first line of a comment, nothing before it. What is indented
// as code is shown, and commands nothing.
func parse(body string) (o order, is bool) {
	body = strings.TrimLeft(body, "\r\n")
	if strings.HasPrefix(body, "    ") || strings.HasPrefix(body, "\t") {
		return o, false
	}
	line, _, _ := strings.Cut(strings.TrimSpace(body), "\n")
	if len(line) > maxCommand {
		return o, false
	}
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != prefix {
		return o, false
	}
	o.said = line
	if len(words) > 1 {
		o.verb = strings.ToLower(words[1])
	}
	if len(words) > 2 {
		o.arg = strings.Trim(words[2], "`") // plans and results show it as code
	}
	if len(words) > 3 && slices.Contains([]string{"plan", "retry", "approve", "help"}, o.verb) {
		o.verb = "?"
	}
	return o, true
}

// heard are the comments that are new since a time.
type heard struct {
	since    time.Time
	comments []forge.Comment
	deaf     bool // since when we listen could not be noted
}

// listen lists the comments that are new.
func (r *Reviewer) listen(ctx context.Context) (h heard, err error) {
	var known, older bool
	err = r.Store.View(func(tx store.Tx) (err error) {
		if _, older, err = store.Restored(tx); err != nil {
			return err
		}
		h.since, known, err = store.CommentsSeen(tx)
		return err
	})
	if err != nil {
		return h, fmt.Errorf("read what comments were seen: %w", err)
	}
	if older { // what was said before it was put back may have been carried out: see where it is compared
		return h, nil
	}
	if !known { // what was said before we came is nobody's command to us
		err := r.Store.Update(func(tx store.Tx) error { return store.PutCommentsSeen(tx, r.Now()) })
		return heard{deaf: err != nil}, err
	}
	if h.comments, err = r.Forge.CommentsSince(ctx, h.since.Add(-overlapping)); err != nil {
		return heard{}, fmt.Errorf("list comments: %w", err)
	}
	return h, nil
}

// commands carries out what comments command. Their pull requests were looked at after them.
func (r *Reviewer) commands(ctx context.Context, said heard) error {
	last, later := said.since, false
	var errs []error
	for _, c := range said.comments {
		err := r.contain("a comment's command", func() error { return r.obey(ctx, c) })
		if errors.Is(err, errNotKnown) { // it is listed again, when its pull request may be known
			later = true
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("comment %d: %w", c.ID, err))
			var limit *forge.Limited
			if ctx.Err() != nil || errors.Is(err, forge.ErrAway) || errors.As(err, &limit) {
				break // so would the others
			}
		}
		if len(errs) == 0 && !later && c.UpdatedAt.After(last) { // else it is listed again
			last = c.UpdatedAt
		}
	}
	if last.After(said.since) {
		errs = append(errs, r.Store.Update(func(tx store.Tx) error {
			if err := forgetCommands(tx, r.Now()); err != nil {
				return err
			}
			return store.PutCommentsSeen(tx, last)
		}))
	}
	return errors.Join(errs...)
}

func forgetCommands(tx store.Tx, now time.Time) error {
	all, err := store.Commands(tx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if now.Sub(c.At) > keepCommand {
			if err := store.DeleteCommand(tx, c.Comment); err != nil {
				return err
			}
		}
	}
	return nil
}

// errNotKnown: a comment commands on what is no pull request on record, and the forge was not asked
// yet which ones an accepted head brought: it may be one that nobody saw open.
var errNotKnown = errors.New("the pull request may be one that is not known yet")

// obey carries out one comment, once.
func (r *Reviewer) obey(ctx context.Context, c forge.Comment) error {
	o, is := parse(c.Body)
	if !is || c.UpdatedAt.After(c.CreatedAt) { // an edited one may be another's words by now
		return nil
	}
	var p state.Pull
	var begun state.Command
	var done, found bool
	err := r.Store.View(func(tx store.Tx) (err error) {
		if begun, done, err = store.Command(tx, c.ID); err != nil {
			return err
		}
		done = done && begun.Outcome != outcomeBegun
		p, found, err = store.Pull(tx, c.Pull)
		return err
	})
	if err == nil && !done && !found && r.asking && r.Now().Sub(c.CreatedAt) <= state.ApprovalLife {
		return errNotKnown
	}
	if err != nil || done || !found {
		return err // an issue's comment, or one on a pull request into another branch
	}
	if me, err := r.whoami(ctx); err != nil {
		return err
	} else if mine(me, c) {
		return nil
	}
	if err := r.Forge.React(ctx, c.ID, "eyes"); err != nil && r.Log != nil {
		r.Log.Info("no reaction was set", "comment", c.ID, "error", err)
	}
	may, err := r.Forge.Permission(ctx, c.Author)
	if errors.Is(err, forge.ErrNotFound) || errors.Is(err, forge.ErrInvalid) {
		may, err = forge.None, nil // of nobody: an account that is gone
	}
	if err != nil {
		return err
	}
	if may.Writes() && (o.verb == "approve" || o.verb == "retry") && o.arg != "" {
		if a, was, err := r.carriedOut(begun, p, c, o); err != nil {
			return err
		} else if was {
			return r.note(p, c, o, a)
		}
		if r.Now().Sub(c.CreatedAt) > state.ApprovalLife { // as long as an approval is good for
			return r.note(p, c, o, r.refuse(c, o, report.RefusedOld))
		}
		if begun.Comment == 0 {
			err := r.Store.Update(func(tx store.Tx) error {
				return store.PutCommand(tx, r.record(p, c, o, answered{outcome: outcomeBegun}))
			})
			if err != nil {
				return fmt.Errorf("note that it is begun: %w", err)
			}
		}
	}
	a, err := r.answer(ctx, p, c, o, may)
	if err != nil {
		return err
	}
	return r.note(p, c, o, a)
}

// outcomeBegun is of a command that may have been carried out: the process died before it
// noted what became of it, or it could not be done at that moment.
const outcomeBegun = "begun"

// carriedOut looks whether a command that was begun was carried out before: then nothing is
// held or failed any more that it could be about, and it must not be refused for that, nor be
// carried out twice.
func (r *Reviewer) carriedOut(begun state.Command, p state.Pull, c forge.Comment, o order) (a answered, was bool, err error) {
	if begun.Outcome != outcomeBegun {
		return a, false, nil
	}
	by := "github:" + c.Author
	err = r.Store.View(func(tx store.Tx) error {
		if o.verb == "approve" {
			all, err := store.Approvals(tx)
			if err != nil {
				return err
			}
			holds, err := store.Holds(tx)
			for _, k := range all { // who approved the same since has done it, too
				if len(o.arg) >= minPrefix && strings.HasPrefix(k.Fingerprint, o.arg) && !k.At.Before(begun.At) && (k.By == by || !waitsElse(holds, o.arg, k.Fingerprint)) {
					was = true
					a = answered{outcome: "done", reply: report.ReplyApproved(c.ID, k.Fingerprint, p.Head, nil, k.At.Add(state.ApprovalLife)), text: "approve " + k.Fingerprint}
				}
			}
			return err
		}
		all, err := store.History(tx, "", seenHistory)
		for _, h := range all {
			if h.What == "retry" && h.By == by && (h.Name == o.arg || string(h.Client) == o.arg) && !h.At.Before(begun.At) {
				was = true
				a = answered{outcome: "done", reply: report.ReplyRetrying(c.ID, o.arg), text: "retry " + o.arg}
			}
		}
		return err
	})
	if err != nil {
		return a, false, fmt.Errorf("look whether it was carried out: %w", err)
	}
	return a, was, nil
}

// waitsElse says that something else waits under a prefix than what has the fingerprint.
func waitsElse(holds []state.Hold, prefix, fingerprint string) bool {
	return slices.ContainsFunc(holds, func(h state.Hold) bool {
		return strings.HasPrefix(h.Fingerprint, prefix) && h.Fingerprint != fingerprint
	})
}

// record is what is kept of a command.
func (r *Reviewer) record(p state.Pull, c forge.Comment, o order, a answered) state.Command {
	text := strings.TrimSpace(o.verb + " " + o.arg)
	return state.Command{Comment: c.ID, Pull: p.Number, Head: p.Head, By: c.Author, Text: report.Clip(report.Line(text), maxCommand), At: r.Now(), Outcome: a.outcome, Why: a.text}
}

// answered is what became of a command.
type answered struct {
	outcome string // done | refused
	reply   string // "": none
	text    string // for the audit trail
	change  func(*state.Pull)
}

func refused(text, reply string) answered {
	return answered{outcome: "refused", reply: reply, text: text}
}

func (r *Reviewer) answer(ctx context.Context, p state.Pull, c forge.Comment, o order, may forge.Permission) (answered, error) {
	if !may.Writes() {
		return refused("no write access", report.ReplyDenied(c.ID)), nil
	}
	by := "github:" + c.Author
	switch o.verb {
	case "plan":
		return r.askPlan(p, c, o), nil
	case "retry":
		if o.arg == "" {
			break
		}
		err := r.Actions.Retry(ctx, o.arg, by)
		if errors.Is(err, reconcile.ErrNoClient) {
			return r.refuse(c, o, report.RefusedNoClient), nil
		}
		if errors.Is(err, reconcile.ErrRefused) {
			return r.refuse(c, o, report.RefusedNotWaiting), nil
		}
		return answered{outcome: "done", reply: report.ReplyRetrying(c.ID, o.arg), text: "retry " + o.arg}, err
	case "approve":
		if o.arg == "" {
			break
		}
		return r.approve(ctx, p, c, o, by)
	case "help", "":
		return answered{outcome: "done", reply: report.ReplyHelp(c.ID), text: "help"}, nil
	}
	if o.verb == "retry" || o.verb == "approve" || o.verb == "?" {
		return refused("not a whole command", report.ReplyMisused(c.ID, o.said)), nil
	}
	return refused("no such command", report.ReplyUnknown(c.ID, o.verb)), nil
}

// refuse says no in our words.
func (r *Reviewer) refuse(c forge.Comment, o order, why report.Refusal) answered {
	return answered{outcome: "refused", reply: report.ReplyRefused(c.ID, strings.TrimSpace(prefix+" "+o.verb+" "+o.arg), why), text: string(why)}
}

// askPlan plans once more; of a fork only the commit that is named in full.
func (r *Reviewer) askPlan(p state.Pull, c forge.Comment, o order) answered {
	switch {
	case !p.Open:
		return r.refuse(c, o, report.RefusedClosed)
	case o.arg != "" && o.arg != p.Head, p.Fork && o.arg == "" && p.Asked != p.Head:
		return r.refuse(c, o, report.RefusedNotHead)
	}
	head := p.Head
	return answered{outcome: "done", reply: report.ReplyPlanning(c.ID, head), text: "plan " + head, change: func(p *state.Pull) {
		if p.Head == head {
			p.Asked, p.Wanted, p.RetryAt = head, true, time.Time{}
			p.Said = "" // told again, whatever became of what was told
		}
	}}
}

// approve lets held steps run: those that the plan of the head shows, or what is held after
// the merge.
func (r *Reviewer) approve(ctx context.Context, p state.Pull, c forge.Comment, o order, by string) (answered, error) {
	fingerprint := o.arg
	var steps []report.Step
	if p.Open {
		if p.Planned != p.Head {
			return r.refuse(c, o, report.RefusedStaleHead), nil
		}
		var err error
		if fingerprint, steps, err = r.inPlan(p, fingerprint); err != nil {
			return answered{}, err
		}
		if fingerprint == "" {
			return r.refuse(c, o, report.RefusedUnknownHold), nil
		}
	}
	told, err := r.Actions.Approve(ctx, fingerprint, by)
	switch {
	case errors.Is(err, reconcile.ErrNoHold):
		return r.refuse(c, o, report.RefusedUnknownHold), nil
	case errors.Is(err, reconcile.ErrRefused):
		return r.refuse(c, o, report.RefusedFinal), nil
	}
	until := r.Now().Add(state.ApprovalLife)
	said := report.ReplyApproved(c.ID, fingerprint, p.Head, steps, until)
	if !p.Open && !told.Waited { // else its plan shows what waits
		said = report.ReplyNothingWaits(c.ID, fingerprint, told, until)
	}
	return answered{outcome: "done", reply: said, text: "approve " + fingerprint}, err
}

// inPlan is the whole fingerprint of something that waits in the plan that was told, or of
// what a problem of it waits for, with its steps, where it is steps of one client; "" for none, or several.
func (r *Reviewer) inPlan(p state.Pull, fingerprint string) (string, []report.Step, error) {
	if len(fingerprint) < minPrefix {
		return "", nil, nil
	}
	var plan report.Plan
	var holds []state.Hold
	err := r.Store.View(func(tx store.Tx) (err error) {
		if plan, err = PlanOf(tx, p.Number); err != nil {
			return err
		}
		holds, err = store.Holds(tx)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	waits := slices.Clone(p.Waits)
	for _, h := range holds {
		if slices.ContainsFunc(plan.Problems, func(q report.Problem) bool { return strings.Contains(q.Hint, "approve "+h.Fingerprint+"`") }) {
			waits = append(waits, h.Fingerprint)
		}
	}
	steps := map[string][]report.Step{}
	var found []string
	for _, print := range waits {
		if strings.HasPrefix(print, fingerprint) && !slices.Contains(found, print) {
			found = append(found, print)
		}
	}
	for _, ch := range plan.Changes {
		for _, s := range ch.Steps {
			if s.Held == "" || !strings.HasPrefix(s.Held, fingerprint) {
				continue
			}
			if !slices.Contains(found, s.Held) {
				found = append(found, s.Held)
			}
			steps[s.Held] = append(steps[s.Held], s)
		}
	}
	if len(found) != 1 {
		return "", nil, nil
	}
	return found[0], steps[found[0]], nil
}

// note writes what became of a command, for the audit trail and so that it is not carried
// out again, with the reply. Whoever may not command is told once a pull request.
func (r *Reviewer) note(p state.Pull, c forge.Comment, o order, a answered) error {
	return r.write(func(tx store.Tx) error {
		all, err := store.Commands(tx)
		if err != nil {
			return err
		}
		again := a.outcome == "refused" && slices.ContainsFunc(all, func(k state.Command) bool {
			return k.Pull == p.Number && k.By == c.Author && k.Outcome == "refused" && k.Why == a.text
		})
		kept := r.record(p, c, o, a)
		if err := store.PutCommand(tx, kept); err != nil {
			return err
		}
		_, err = store.AddHistory(tx, state.Entry{At: r.Now(), Commit: p.Head, By: "github:" + c.Author, What: "command " + a.outcome,
			Text: fmt.Sprintf("pull request %d: %s: %s", p.Number, kept.Text, a.text)})
		if err != nil {
			return err
		}
		if a.change != nil {
			now, ok, err := store.Pull(tx, p.Number)
			if err != nil {
				return err
			}
			if ok {
				a.change(&now)
				if err := store.PutPull(tx, now); err != nil {
					return err
				}
			}
		}
		if a.reply == "" || again {
			return nil
		}
		return r.report(tx, state.Report{Subject: fmt.Sprintf("pull/%d/reply/%d", p.Number, c.ID), State: "success", Text: a.outcome, Detail: a.reply})
	})
}
