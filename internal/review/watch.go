package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of the watch over what hangs.
const (
	watchFor   = 72 * time.Hour // how old what is looked at may be
	maxWatched = 100            // heads of the branch in one run, and as many of pull requests
)

// Watch looks whether statuses at the forge hang though what they are about has ended: of
// accepted heads and of their clients, and of heads of open pull requests. What hangs, or is missing, is put into
// the outbox again. It is for what a forge lost, or a state that was put back; it costs a
// read a commit.
func (r *Reviewer) Watch(ctx context.Context) error {
	var heads []state.Verdict
	var pulls []state.Pull
	waiting := map[string]bool{}
	err := r.Store.View(func(tx store.Tx) (err error) {
		if heads, err = store.VerdictHeads(tx); err != nil {
			return err
		}
		all, err := store.Reports(tx)
		if err != nil {
			return err
		}
		for _, t := range all {
			waiting[t.Subject] = true
		}
		pulls, err = r.pulls(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read what may hang: %w", err)
	}
	sort.Slice(heads, func(i, j int) bool { return heads[i].Seq > heads[j].Seq })
	var errs []error
	left := maxWatched
	for _, v := range heads {
		at, n := v.Ended, v.Tally()
		if v.State == "pending" {
			at = v.At
		}
		if waiting["commit/"+v.Commit] || r.Now().Sub(at) > watchFor || v.State == "pending" && count(n) == n["pending"] {
			continue
		}
		if left--; left < 0 {
			break
		}
		if err := r.watchHead(ctx, v.Commit, waiting); err != nil {
			errs = append(errs, err)
		}
	}
	left = maxWatched
	for _, p := range pulls {
		subject := "head/" + p.Head + "/"
		if !p.Open || p.Planned != p.Head || waiting[subject+contextPlan] || waiting[subject+contextValidate] {
			continue
		}
		if left--; left < 0 {
			break
		}
		hangs, err := r.hangs(ctx, p.Head, contextValidate, contextPlan)
		if hangs {
			r.Again(p.Number) // the next look writes it: this is not the only writer
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// watchHead looks at an accepted head, and at the contexts of its clients that have ended.
func (r *Reviewer) watchHead(ctx context.Context, commit string, waiting map[string]bool) error {
	var v state.Verdict
	var own map[string]string
	err := r.Store.View(func(tx store.Tx) (err error) {
		v, own, err = ownClients(tx, commit)
		return err
	})
	if err != nil {
		return fmt.Errorf("read what became of %s: %w", commit, err)
	}
	told, err := r.told(ctx, commit)
	if told == nil || err != nil {
		return err
	}
	var lost []state.Report
	add := func(name, word string) {
		if subject := "commit/" + commit + "/client/" + name; !waiting[subject] {
			// Its words are those of now when it is told.
			lost = append(lost, state.Report{Subject: subject, State: word, Text: report.Status(v, nil)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if ended := told["reconciler/client/"+name]; !ended && own[name] != "pending" {
			add(name, stateOfFate(own[name]))
		}
	}
	for _, at := range slices.Sorted(maps.Keys(told)) { // those who have another name by now, or were touched again
		name, is := strings.CutPrefix(at, "reconciler/client/")
		if _, has := own[name]; is && !told[at] && !has && v.State != "pending" {
			add(name, v.State)
		}
	}
	if v.State != "pending" && !told["reconciler/apply"] {
		lost = append(lost, state.Report{Subject: "commit/" + commit, State: v.State, Text: report.Status(v, nil)})
	}
	if len(lost) == 0 {
		return nil
	}
	return r.write(func(tx store.Tx) error {
		for _, t := range lost {
			if err := r.report(tx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// ownClients are the clients of a head that are told one by one, with their fates, by the
// names that they had at it: those whose wish changed again since are left out.
func ownClients(tx store.Tx, commit string) (v state.Verdict, own map[string]string, err error) {
	v, _, err = store.Verdict(tx, commit)
	if err != nil || len(v.Clients) > accept.MaxClientReports {
		return v, nil, err
	}
	own = map[string]string{}
	for id, fate := range v.Clients {
		c, ok, err := store.Client(tx, id)
		if err != nil {
			return v, nil, err
		}
		if ok && c.Commit == commit {
			own[c.Name] = state.FateWord(fate)
		}
	}
	return v, own, nil
}

// stateOfFate is the state of a client's status, where its words can't be had.
func stateOfFate(word string) string {
	switch word {
	case "succeeded", "paused", "superseded":
		return string(forge.Success)
	}
	return string(forge.Failure)
}

func count(n map[string]int) (sum int) {
	for _, k := range n {
		sum += k
	}
	return sum
}

// told are the contexts that have a status on a commit, and whether it has ended; nil: nobody
// can be told there.
func (r *Reviewer) told(ctx context.Context, commit string) (map[string]bool, error) {
	all, err := r.Forge.Statuses(ctx, commit)
	if errors.Is(err, forge.ErrNotFound) || errors.Is(err, forge.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the statuses of %s: %w", commit, err)
	}
	ended := map[string]bool{}
	for _, s := range all {
		ended[s.Context] = s.State != forge.Pending
	}
	return ended, nil
}

// hangs says that one of the contexts has no status on the commit, or one that is pending.
func (r *Reviewer) hangs(ctx context.Context, commit string, contexts ...string) (bool, error) {
	told, err := r.told(ctx, commit)
	if told == nil || err != nil {
		return false, err
	}
	return slices.ContainsFunc(contexts, func(c string) bool { return !told["reconciler/"+c] }), nil
}

// unnamed has those planned and told once more that a forge does not name when somebody asks for a
// check of theirs: forks', and those that share their head with another one.
func (r *Reviewer) unnamed() error {
	var all []state.Pull
	if err := r.Store.View(func(tx store.Tx) (err error) { all, err = r.pulls(tx); return err }); err != nil {
		return fmt.Errorf("read pull requests: %w", err)
	}
	var errs []error
	for _, p := range all {
		if p.Open && (p.Fork || headed(p, all, false)) {
			errs = append(errs, r.again(p.Number))
		}
	}
	return errors.Join(errs...)
}

// again has a pull request planned and told once more, now.
func (r *Reviewer) again(number int) error {
	defer r.Hint()
	return r.Store.Update(func(tx store.Tx) error {
		p, ok, err := store.Pull(tx, number)
		if err != nil || !ok {
			return err
		}
		p.Wanted, p.Said, p.RetryAt = true, "", time.Time{}
		return store.PutPull(tx, p)
	})
}
