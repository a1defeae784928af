package review

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxDifferences is of how many clients that are riskier than reviewed a result compares the
// plans: each takes a look at its providers.
const maxDifferences = 10

// results writes the result comment of every pull request of a head whose clients have all
// come to an end, for now: one that goes on later is told again. One that can't be written
// is a report of its own from then on: what was told already is not told again for it.
func (r *Reviewer) results(ctx context.Context, head string, pulls []state.Pull) error {
	for _, p := range pulls {
		if p.Accepted[len(p.Accepted)-1] != head {
			continue // a later head speaks of it
		}
		err := r.tellResult(ctx, p, head, len(pulls) == 1)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			continue
		}
		r.Log.Info("a result can't be told; it is tried again", "pull", p.Number, "error", err)
		if err := r.tellLater(p.Number); err != nil {
			return err
		}
	}
	return nil
}

// besideMany: of a head with more clients than are told one by one nobody says that one has come
// to its end. The result of a pull request whose own clients all have does not wait for the others,
// which may wait for a provider, or a person, for long.
func (r *Reviewer) besideMany(ctx context.Context) error {
	var due []state.Pull
	err := r.Store.View(func(tx store.Tx) error {
		due = nil
		all, err := r.pulls(tx)
		if err != nil {
			return err
		}
		for _, p := range all {
			if len(p.Accepted) == 0 || p.ResultSaid != "" || len(p.Clients) == 0 || len(p.Clients) > accept.MaxClientReports {
				continue // it was told, or is told at the end
			}
			head := p.Accepted[len(p.Accepted)-1]
			v, ok, err := store.VerdictHead(tx, head)
			if err != nil {
				return err
			}
			if !ok || v.State != string(forge.Pending) || count(v.Tally()) <= accept.MaxClientReports {
				continue
			}
			ended, open, err := fatesOf(tx, p, head)
			if err != nil {
				return err
			}
			if ended > 0 && open == 0 {
				due = append(due, p)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for results to tell: %w", err)
	}
	for _, p := range due {
		c, ended, err := r.result(ctx, p, p.Accepted[len(p.Accepted)-1], false)
		if err == nil && ended && len(c.Clients)+len(c.Problems) > 0 {
			err = r.tellLater(p.Number)
		}
		if err != nil {
			return fmt.Errorf("tell the result of pull request %d: %w", p.Number, err)
		}
	}
	return nil
}

// fatesOf is how many clients of a pull request have come to their end in a head, and how many have not.
func fatesOf(tx store.Tx, p state.Pull, head string) (ended, open int, err error) {
	for _, pc := range p.Clients {
		c, ok, err := store.ClientByName(tx, pc.Name)
		if err != nil {
			return 0, 0, err
		}
		fate, touched, err := store.Fate(tx, head, c.ID)
		switch {
		case err != nil:
			return 0, 0, err
		case !ok || !touched:
		case state.FateWord(fate) == string(forge.Pending):
			open++
		default:
			ended++
		}
	}
	return ended, open, nil
}

// tellLater has a result told when it can be.
func (r *Reviewer) tellLater(number int) error {
	subject := fmt.Sprintf("pull/%d/%s", number, report.KindResult)
	return r.write(func(tx store.Tx) error {
		all, err := store.Reports(tx)
		if err != nil || slices.ContainsFunc(all, func(t state.Report) bool { return t.Subject == subject }) {
			return err
		}
		return r.report(tx, state.Report{Subject: subject, State: "pending", Text: "the result is to be told"})
	})
}

// resultAgain writes the result of a pull request that could not be written.
func (r *Reviewer) resultAgain(ctx context.Context, p state.Pull) error {
	if len(p.Accepted) == 0 {
		return nil
	}
	head := p.Accepted[len(p.Accepted)-1]
	pulls, _, err := r.broughtBy(head)
	if err != nil {
		return err
	}
	return r.tellResult(ctx, p, head, len(pulls) == 1)
}

// tellResult writes the result comment of a pull request, if all has ended and it was not
// said already. only says that the head brought no other.
func (r *Reviewer) tellResult(ctx context.Context, p state.Pull, head string, only bool) error {
	c, ended, err := r.result(ctx, p, head, only && p.Planned != p.Head)
	if err != nil || !ended {
		return err
	}
	if len(c.Clients)+len(c.Problems) == 0 { // whoever was shown changes was told that a result comes
		var shown report.Plan
		if err := r.Store.View(func(tx store.Tx) error { shown, err = PlanOf(tx, p.Number); return err }); err != nil || len(shown.Changes) == 0 {
			return err
		}
	}
	return r.sayResult(ctx, p, c.Markdown())
}

// sayResult writes a result comment, once.
func (r *Reviewer) sayResult(ctx context.Context, p state.Pull, body string) error {
	said := digest(body)
	if said == p.ResultSaid {
		return nil
	}
	if err := r.onPull(ctx, p.Number, r.sticky(ctx, p, report.KindResult, body)); err != nil {
		return err
	}
	return r.Store.Update(func(tx store.Tx) error {
		now, ok, err := store.Pull(tx, p.Number)
		if err != nil || !ok {
			return err
		}
		now.ResultSaid = said
		return store.PutPull(tx, now)
	})
}

// result is what a head came to for the clients of a pull request; ended says that none of
// them is under way. One that was merged before anybody came to plan it, and alone, has all
// of the head.
func (r *Reviewer) result(ctx context.Context, p state.Pull, head string, alone bool) (out report.PullResult, ended bool, err error) {
	var reviewed report.Plan
	var held []int
	err = r.Store.View(func(tx store.Tx) error {
		out, ended, held = report.PullResult{Commit: head, Repo: r.repoOf(state.Pull{Head: head, Fork: true}), Link: r.page(r.Pages.Commit, head)}, true, nil
		v, ok, err := store.Verdict(tx, head)
		if err != nil || !ok {
			return err
		}
		if reviewed, err = PlanOf(tx, p.Number); err != nil {
			return err
		}
		more := unplannedIn(p, v)
		for _, q := range reviewed.Problems { // a template that it changes, or takes away, makes others' files invalid
			if _, its := p.Files[q.Path]; !its && !q.Warning && changesRules(p) {
				more[nameIn(q.Path)] = true
			}
		}
		for _, q := range v.Invalid {
			if _, its := p.Files[q.Path]; its || alone || more[nameIn(q.Path)] {
				out.Problems = append(out.Problems, report.Problem{Client: q.Client, Path: q.Path, Line: q.Line, Column: q.Column, Text: q.Text, Hint: q.Hint})
			}
		}
		holds, err := store.Holds(tx)
		if err != nil {
			return err
		}
		var began, last time.Time
		its, err := clientsOf(tx, p, v, alone, more)
		if err != nil {
			return err
		}
		for _, c := range its {
			fate := v.Clients[c.ID]
			one, err := r.clientResult(tx, c, head, fate, holds)
			if err != nil {
				return err
			}
			if state.FateWord(fate) == "pending" {
				ended = false
			}
			if len(held) < maxDifferences && state.FateWord(fate) == "held" && !c.Removed {
				held = append(held, len(out.Clients))
			}
			if s := one.Run.Started; !s.IsZero() && (began.IsZero() || s.Before(began)) {
				began = s
			}
			if e := one.Run.Ended; e.After(last) {
				last = e
			}
			out.Clients = append(out.Clients, one)
		}
		if last.After(began) {
			out.Took = last.Sub(began)
		}
		return nil
	})
	if err != nil || !ended {
		return out, ended, err
	}
	for _, i := range held {
		if err := r.difference(ctx, &out.Clients[i], reviewed); err != nil {
			return out, ended, err
		}
	}
	return out, ended, nil
}

// unplannedIn are whose files a pull request changed that nobody came to plan as it was
// merged, by the commits that its merge brought. Of a rebase only the last is known.
func unplannedIn(p state.Pull, v state.Verdict) map[string]bool {
	names := map[string]bool{}
	if p.Planned == p.Head || p.MergeCommit == "" {
		return names
	}
	landed := map[string]state.Landed{}
	for _, c := range v.Landed {
		landed[c.ID] = c
	}
	merge, known := landed[p.MergeCommit]
	if !known {
		return names
	}
	add := func(c state.Landed) {
		for _, n := range c.Names {
			names[n] = true
		}
	}
	if len(merge.Parents) < 2 {
		add(merge)
		return names
	}
	seen := map[string]bool{}
	reach := func(from []string, see func(state.Landed)) {
		todo := slices.Clone(from)
		for len(todo) > 0 {
			c, in := landed[todo[len(todo)-1]]
			todo = todo[:len(todo)-1]
			if !in || seen[c.ID] {
				continue
			}
			seen[c.ID] = true
			see(c)
			todo = append(todo, c.Parents...)
		}
	}
	reach(merge.Parents[:1], func(state.Landed) {}) // the branch had that
	reach(merge.Parents[1:], func(c state.Landed) {
		if len(c.Parents) < 2 { // what it took in from the branch is not its own
			add(c)
		}
	})
	return names
}

// clientsOf are the clients of a head that a pull request is about, by name.
func clientsOf(tx store.Tx, p state.Pull, v state.Verdict, alone bool, more map[string]bool) (out []state.Client, err error) {
	names := maps.Clone(more)
	for _, c := range p.Clients {
		names[c.Name] = true
	}
	for id := range v.Clients {
		c, ok, err := store.Client(tx, id)
		if err != nil {
			return nil, err
		}
		if ok && (alone || names[c.Name] || slices.ContainsFunc(c.Former, func(n string) bool { return names[n] })) { // renamed beside it, or since
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b state.Client) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
	})
	return out, nil
}

// clientResult is what is on record of how a client came to its fate.
func (r *Reviewer) clientResult(tx store.Tx, c state.Client, head, fate string, holds []state.Hold) (report.ClientResult, error) {
	c.URL = r.site(c.URL)
	out := report.ClientResult{Client: c, Fate: fate, Fault: ours(c), Log: r.page(r.Pages.Client, c.Name)}
	d, ok, err := store.Deployment(tx, c.Deployment)
	if err != nil {
		return out, err
	}
	if ok && d.Commit == head && state.FateWord(fate) != "superseded" {
		out.Run = d
	}
	if state.FateWord(fate) == "held" {
		for _, h := range holds {
			if h.Client == c.ID || slices.Contains(h.Clients, c.ID) {
				out.Holds = append(out.Holds, h)
			}
		}
	}
	have, err := store.Resources(tx, c.ID)
	if err != nil {
		return out, err
	}
	for _, x := range have {
		if x.Retained() {
			out.Kept = append(out.Kept, x)
		}
	}
	return out, nil
}

// difference adds, of a client that is held, what was shown and what would run now.
func (r *Reviewer) difference(ctx context.Context, c *report.ClientResult, reviewed report.Plan) error {
	now, err := r.Engine.PlanOf(ctx, c.Client.ID)
	if err != nil {
		return err
	}
	for i := range reviewed.Changes {
		if n := reviewed.Changes[i].Client; n == c.Client.Name || slices.Contains(c.Client.Former, n) {
			c.Reviewed = &reviewed.Changes[i]
		}
	}
	if c.Reviewed != nil {
		c.Now = &report.Change{Client: c.Client.Name} // nothing may run
	}
	for i := range now.Changes {
		if now.Changes[i].Client == c.Client.Name {
			c.Now = &now.Changes[i]
		}
	}
	return nil
}

// waits tells the pull requests that a head brought which waits as a whole.
func (r *Reviewer) waits(ctx context.Context, head string) error {
	var pulls []state.Pull
	var hold *state.Hold
	err := r.Store.View(func(tx store.Tx) error {
		pulls, hold = nil, nil
		holds, err := store.Holds(tx)
		if err != nil {
			return err
		}
		for _, h := range holds {
			if h.Kind == state.HoldHistory && h.NewHead == head {
				hold = &h
			}
		}
		if hold == nil {
			return nil
		}
		all, err := store.Pulls(tx)
		for _, p := range all {
			if p.HeldBy == head {
				pulls = append(pulls, p)
			}
		}
		return err
	})
	if err != nil || hold == nil {
		return err
	}
	for _, p := range pulls {
		c := report.PullResult{Commit: head, Hold: hold, Link: r.page(r.Pages.Commit, head)}
		if err := r.sayResult(ctx, p, c.Markdown()); err != nil {
			return err
		}
	}
	return nil
}
