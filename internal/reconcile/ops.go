package reconcile

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Errors of what people ask for.
var (
	ErrNoClient = errors.New("no such client")
	ErrNoHold   = errors.New("nothing is held under this fingerprint")
	ErrRefused  = errors.New("refused")
	// ErrNoDeployment: no audit record bears that id.
	ErrNoDeployment = errors.New("no such deployment")
	// ErrNoPull: no such pull request is on record. ErrNoCommit: no head of that id was accepted.
	ErrNoPull   = errors.New("no such pull request is known here")
	ErrNoCommit = errors.New("no such commit was accepted here")
)

// isWhole says that a text is a whole fingerprint: 12 hex digits.
func isWhole(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 6
}

// minPrefix is how much of a fingerprint must be given.
const minPrefix = 4

// clientByName finds a client by its name, or by its id. Of several that bore the name
// the living one answers to it, then the one that was removed last: what is retained of
// it can be asked for as long as it is there.
func (e *Engine) clientByName(tx store.Tx, name string) (state.Client, error) {
	c, ok, err := store.ClientByName(tx, name)
	if err != nil || ok {
		return c, err
	}
	if c, ok, err = store.Client(tx, state.ClientID(name)); err != nil || ok {
		return c, err
	}
	all, err := store.Clients(tx)
	if err != nil {
		return c, err
	}
	for _, other := range all {
		if other.Name == name && (!ok || other.RemovedAt.After(c.RemovedAt)) {
			c, ok = other, true
		}
	}
	if !ok {
		return c, fmt.Errorf("%w: %q; `reconciler status` lists them", ErrNoClient, name)
	}
	return c, nil
}

// Approve acknowledges a hold by its fingerprint (or four or more of its first
// characters) and returns the clients that may go on. An approval binds exactly what
// the hold named, is used once, and lapses after 24 hours. A whole fingerprint may be
// approved before anything is held under it: it then lets its steps run at once.
func (e *Engine) Approve(ctx context.Context, fingerprint, by string) ([]state.ClientID, error) {
	ids, _, err := e.ApproveTold(ctx, fingerprint, by)
	return ids, err
}

// ApproveTold is Approve, with what is told of it.
func (e *Engine) ApproveTold(ctx context.Context, fingerprint, by string) (ids []state.ClientID, told report.Approval, err error) {
	var was underPrint
	if ids, err = e.approve(ctx, fingerprint, by, &was); err != nil {
		return ids, told, err
	}
	var names, next []string
	err = e.Store.View(func(tx store.Tx) error {
		names, next = nil, nil
		holds, err := store.Holds(tx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			c, _, err := store.Client(tx, id)
			if err != nil {
				return err
			}
			waits := slices.IndexFunc(holds, func(h state.Hold) bool {
				return h.Approvable && slices.Contains(h.Clients, id) && (h.Kind == state.HoldCreates || h.Kind == state.HoldGuard && c.Removed)
			})
			if waits >= 0 {
				next = append(next, holds[waits].Fingerprint)
				continue
			}
			names = append(names, orElse(c.Name, string(id))) // one that was removed and has gone meanwhile has none
		}
		return nil
	})
	if err != nil {
		return ids, told, fmt.Errorf("it is approved; who goes on: %w", err)
	}
	sort.Strings(names)
	slices.Sort(next)
	told = report.Approved(was.held, was.approval, names, e.Now())
	told.Next = slices.Compact(next)
	return ids, told, nil
}

// underPrint is what there was under a fingerprint before it was approved.
type underPrint struct {
	held     bool
	approval state.Approval // the zero value: none
}

// approve is Approve; was gets what there was before.
func (e *Engine) approve(ctx context.Context, fingerprint, by string, was *underPrint) ([]state.ClientID, error) {
	if len(fingerprint) < minPrefix {
		return nil, fmt.Errorf("%w: give at least %d characters of the fingerprint", ErrNoHold, minPrefix)
	}
	var touched []state.ClientID
	var history bool
	var result accept.Result
	err := e.Store.Update(func(tx store.Tx) error {
		touched, history, result = nil, false, accept.Result{}
		h, err := findHold(tx, fingerprint)
		was.held = err == nil
		if errors.Is(err, ErrNoHold) && isWhole(fingerprint) {
			// It may be given before the merge: it waits for its hold.
			if was.approval, _, err = store.Approval(tx, fingerprint); err != nil {
				return err
			}
			return store.PutApproval(tx, state.Approval{Fingerprint: fingerprint, By: by, At: e.Now()})
		}
		if err != nil {
			return err
		}
		if !h.Approvable {
			return fmt.Errorf("%w: %s %s", ErrRefused, h.Reason, h.Act)
		}
		if was.approval, _, err = store.Approval(tx, h.Fingerprint); err != nil {
			return err
		}
		a := state.Approval{Fingerprint: h.Fingerprint, By: by, At: e.Now(), Client: h.Client, Removals: h.Removals, Head: h.NewHead}
		if err := store.PutApproval(tx, a); err != nil {
			return err
		}
		if _, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: h.Client, Commit: h.Commit, By: by, What: "approved", Text: h.Reason}); err != nil {
			return err
		}
		switch {
		case h.Kind == state.HoldHistory:
			history = true
			return nil
		case h.Kind == state.HoldUpgrade:
			touched, err = e.follow(tx, h, a)
			return err
		case planned(h.Kind):
			touched = []state.ClientID{h.Client}
			if err := e.wake(tx, h.Client, func(*state.Client) {}); err != nil {
				return err
			}
			return e.tellApproved(tx, h)
		}
		in := accept.ReleaseInput{Now: e.Now(), Hold: h, Approval: a}
		if err := releaseInput(tx, &in); err != nil {
			return err
		}
		result = accept.Release(in)
		touched = result.Touched
		return write(tx, result)
	})
	if err != nil {
		return nil, err
	}
	e.told.Store(true)
	e.mu.Lock()
	for _, c := range result.Clients {
		e.seq[c.ID] = max(e.seq[c.ID], c.Seq)
		if c.Panics+c.Crashes == 0 {
			delete(e.crashy, c.ID)
			delete(e.turns.suspects, c.ID)
		}
	}
	if history {
		e.refused, e.recheck = "", true
		e.wanted++
	}
	base := e.baseline
	e.mu.Unlock()
	if history {
		return e.Poll(ctx)
	}
	if e.old() {
		return touched, nil // the head that is on record is an old one: the next poll judges the branch's
	}
	if base != nil && (result.Again || len(accept.Retry(base)) > 0) {
		more, err := e.judgeAgain(ctx) // who was let go may be among them
		touched = append(slices.Clone(touched), more...)
		slices.Sort(touched)
		return slices.Compact(touched), err
	}
	return touched, nil
}

// judgeAgain judges the accepted head once more: what was invalid because of what was held
// may be valid now. A newer head that is held as a whole stays so.
func (e *Engine) judgeAgain(ctx context.Context) ([]state.ClientID, error) {
	touched, newer, err := e.judgeAccepted(ctx)
	if err != nil || !newer {
		return touched, err
	}
	if more, err := e.Poll(ctx); err == nil { // else the next poll finds it
		touched = append(touched, more...)
	}
	return touched, nil
}

// judgeAccepted judges the accepted head; newer says that a later one is held as a whole.
func (e *Engine) judgeAccepted(ctx context.Context) (touched []state.ClientID, newer bool, err error) {
	e.accepting.Lock()
	defer e.accepting.Unlock() // also where it runs into an error of this program
	e.mu.Lock()
	newer = e.refused != "" || e.refusedHas != nil
	e.mu.Unlock()
	e.again = true
	defer func() { e.again = false }()
	touched, err = e.accept(ctx, e.Head())
	return touched, newer, err
}

func releaseInput(tx store.Tx, in *accept.ReleaseInput) (err error) {
	if in.Clients, err = store.Clients(tx); err != nil {
		return err
	}
	if in.Claims, err = store.Claims(tx); err != nil {
		return err
	}
	if in.Tombstones, err = store.Tombstones(tx, ""); err != nil {
		return err
	}
	in.Verdicts, err = store.Verdicts(tx, func(v state.Verdict) bool { return accept.Open(v) || v.Commit == in.Hold.Commit })
	return err
}

func findHold(tx store.Tx, prefix string) (state.Hold, error) {
	holds, err := store.Holds(tx)
	if err != nil {
		return state.Hold{}, err
	}
	var found []state.Hold
	for _, h := range holds {
		if strings.HasPrefix(h.Fingerprint, prefix) {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		approvals, err := store.Approvals(tx)
		if err != nil {
			return state.Hold{}, err
		}
		if i := slices.IndexFunc(approvals, func(a state.Approval) bool { return strings.HasPrefix(a.Fingerprint, prefix) && !a.Used.IsZero() }); i >= 0 {
			return state.Hold{}, fmt.Errorf("%w: %s was %s", ErrNoHold, prefix, report.Used(approvals[i]))
		}
		return state.Hold{}, fmt.Errorf("%w: %s; `reconciler status` shows what is held", ErrNoHold, prefix)
	}
	return state.Hold{}, fmt.Errorf("%w: %s fits %d holds, give more of it", ErrNoHold, prefix, len(found))
}

// wake makes a client due.
func (e *Engine) wake(tx store.Tx, id state.ClientID, change func(*state.Client)) error {
	c, ok, err := store.Client(tx, id)
	if err != nil || !ok {
		return err
	}
	c.Settled, c.RetryAt = false, time.Time{}
	c.Wakes++
	change(&c)
	return store.PutClient(tx, c)
}

// tellApproved tells of a client's commit that it goes on, since what the hold bound was approved: that it waits was
// an end, and the pass that follows may take long. Who waits for something else as well does not.
func (e *Engine) tellApproved(tx store.Tx, approved state.Hold) error {
	m := &member{}
	var err error
	if m.client, _, err = store.Client(tx, approved.Client); err != nil {
		return err
	}
	if m.allTombs, err = store.Tombstones(tx, approved.Client); err != nil {
		return err
	}
	holds, err := store.Holds(tx)
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(holds, func(h state.Hold) bool {
		return h.Fingerprint != approved.Fingerprint && (h.Client == approved.Client || slices.Contains(h.Clients, approved.Client))
	})
	fate, _, err := store.Fate(tx, m.commit(), approved.Client)
	if err != nil || others || fate != accept.FateHeld || m.quarantined() {
		return err
	}
	return e.verdict(tx, m, m.client, ending{word: accept.FatePending, because: "approved"})
}

// Retry makes a client due again at once, from the step at which it stopped, after a
// look at the world.
func (e *Engine) Retry(name, by string) (state.ClientID, error) {
	var id state.ClientID
	err := e.Store.Update(func(tx store.Tx) error {
		c, err := e.clientByName(tx, name)
		if err != nil {
			return err
		}
		id = c.ID
		open, err := store.Intents(tx, id)
		if err != nil {
			return err
		}
		for _, i := range open {
			i.Parked, i.Looks, i.LookAt = "", 0, time.Time{}
			if err := store.PutIntent(tx, i); err != nil {
				return err
			}
		}
		if _, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: id, Name: c.Name, Commit: c.Commit, By: by, What: "retry", Text: "asked for"}); err != nil {
			return err
		}
		if err := begunAnew(tx, id); err != nil {
			return err
		}
		return e.wake(tx, id, func(c *state.Client) {
			c.Failures, c.LookWanted = 0, true
			c.Panics, c.Crashes, c.Quarantined = 0, 0, time.Time{}
		})
	})
	if err == nil {
		e.counted(id, state.Client{}, false)
	}
	return id, err
}

// SetPaused pauses or resumes a client: a paused one is planned and left alone.
func (e *Engine) SetPaused(name string, paused bool, by string) (state.ClientID, error) {
	var id state.ClientID
	err := e.Store.Update(func(tx store.Tx) error {
		c, err := e.clientByName(tx, name)
		if err != nil {
			return err
		}
		id = c.ID
		what := "resumed"
		if paused {
			what = "paused"
		}
		if _, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: id, Name: c.Name, By: by, What: what, Text: "asked for"}); err != nil {
			return err
		}
		return e.wake(tx, id, func(c *state.Client) { c.Paused = paused })
	})
	return id, err
}

// PurgeDue erases retained data whose date has passed and whose client, or part of a
// client's wish, is still absent. It returns what it erased, as history says it.
func (e *Engine) PurgeDue(ctx context.Context) ([]string, error) {
	if e.old() {
		return nil, fmt.Errorf("purge: %w", ErrRestored)
	}
	// The clock may be set at any time: what comes after is judged by what it showed then.
	now, err := e.readTime()
	if err != nil {
		return nil, fmt.Errorf("purge: %w", err)
	}
	var ids []state.ClientID
	err = e.Store.View(func(tx store.Tx) error {
		ids = nil
		all, err := store.AllResources(tx)
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.Retained() && !r.PurgeAfter.IsZero() && !now.Before(r.PurgeAfter) && !slices.Contains(ids, r.Ref.Client) {
				ids = append(ids, r.Ref.Client)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("purge: %w", err)
	}
	var out []string
	var errs []error
	for _, id := range ids {
		leave, busy := e.tryEnter([]state.ClientID{id})
		if busy != nil {
			continue // it is passed just now; the next run comes to it
		}
		var texts []string
		err := e.contain(id, func() (err error) { texts, err = e.purge(ctx, id, now, "schedule"); return err })
		leave()
		out = append(out, texts...)
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		errs = append(errs, err) // one never blocks another
	}
	return out, errors.Join(errs...)
}

// PurgeNow erases a removed client's retained data before its date: a person asked.
func (e *Engine) PurgeNow(ctx context.Context, name, by string) ([]string, error) {
	if e.old() {
		return nil, fmt.Errorf("purge: %w", ErrRestored)
	}
	var c state.Client
	err := e.Store.View(func(tx store.Tx) (err error) {
		c, err = e.clientByName(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !c.Removed {
		err := fmt.Errorf("%w: %s is not removed; only what no manifest wishes any more can be purged", ErrRefused, name)
		kept, _ := e.Retained() // it is refused in any case
		if i := slices.IndexFunc(kept, func(k Kept) bool { return k.Client == c.Name && k.As != "" }); i >= 0 {
			err = fmt.Errorf("%w. An earlier client of that name has retained data: `reconciler purge %s`", err, kept[i].As)
		}
		return nil, err
	}
	leave, err := e.enter(ctx, []state.ClientID{c.ID})
	if err != nil {
		return nil, fmt.Errorf("purge %s: %w", name, err)
	}
	defer leave()
	var texts []string
	err = e.contain(c.ID, func() (err error) { texts, err = e.purge(ctx, c.ID, time.Time{}, by); return err })
	return texts, err
}

// fileWaits says that the head has a file that is not accepted and may be a removed
// client's: it has its name, or names it as who it was.
func (e *Engine) fileWaits(ctx context.Context, c state.Client) bool {
	_, base := e.resolver()
	if base == nil {
		return false
	}
	for _, p := range base.Problems {
		if p.Path == c.Path || fileName(p.Path) == c.Name {
			return true
		}
		if p.Blob == "" {
			continue
		}
		f, err := e.Repo.Read(ctx, p.Path, p.Blob)
		if err != nil {
			return true // nobody knows
		}
		if f.Err == "" {
			if m, _ := manifest.DecodeClient(p.Path, f.Data); slices.Contains(m.Previously, c.Name) {
				return true
			}
		}
	}
	return false
}

// purge works on a client that the caller entered, and erases what is kept until before then;
// a zero time: everything, as a person asked. It reads what there is anew.
func (e *Engine) purge(ctx context.Context, id state.ClientID, then time.Time, by string) ([]string, error) {
	now := then.IsZero()
	g, err := e.load([]state.ClientID{id})
	if err != nil || len(g.members) == 0 {
		return nil, err
	}
	m := g.members[0]
	if !now && e.ahead(g) {
		return nil, nil // what it inherits may ask for it again, and is known in a moment
	}
	if now && !m.client.Removed {
		return nil, fmt.Errorf("%w: %s came back meanwhile", ErrRefused, m.client.Name)
	}
	if m.client.Removed && !gone(m.allTombs) {
		if now {
			return nil, fmt.Errorf("%w: the removal of %s is not carried out yet", ErrRefused, m.client.Name)
		}
		return nil, nil // it may still be taken back, or is held: until then nothing of it is erased
	}
	if m.client.Removed && !now && e.fileWaits(ctx, m.client) {
		return nil, nil // it is not absent, and may ask for its data
	}
	recorded := append([]state.Resource(nil), m.recorded...)
	others, err := e.othersHave(m) // what is another client's by now, or to be, is erased by nobody
	if err != nil {
		return nil, fmt.Errorf("purge %s: %w", m.client.Name, err)
	}
	var stays []plan.Step
	if now {
		for i, r := range m.recorded {
			switch other := others[recordedObject(r)]; {
			case !r.Retained():
			case other != "" && !r.Adopted:
				return nil, fmt.Errorf("%w: %s names its database %s in `adopt:`, and it was made here; take it out there, or add %s again with `database.reuse: retained`", ErrRefused, other, r.ID, m.client.Name)
			case other != "":
				recorded[i].PurgeAfter = time.Time{}
				stays = append(stays, plan.Step{Number: plan.Number(r.Ref.Kind), Action: plan.Forget, Ref: r.Ref, Client: m.client.Name, Provider: r.Provider, Prior: &r, Reason: other + " has it, or names it in `adopt:`: it stays where it is", Undo: "`adopt:` names it"})
			default:
				recorded[i].PurgeAfter, recorded[i].Adopted = r.RetainedAt, false
			}
		}
	}
	if err := e.wish(g); err != nil {
		return nil, err
	}
	for i, r := range recorded {
		if !now {
			recorded[i].PurgeAfter = e.keptUntil(m.client, m.effective, m.allTombs, r)
		}
		if others[recordedObject(r)] != "" {
			recorded[i].PurgeAfter = time.Time{}
		}
	}
	if !m.client.Removed && (m.client.InvalidBlob != "" || m.client.Paused || m.effective.Paused) {
		return nil, nil // its file may ask for it again, or nobody may touch it
	}
	if len(m.problems) > 0 {
		m.wish = nil // not known whole
	}
	if now {
		then = g.now
	}
	steps := append(plan.Purges(m.client, m.wish, recorded, then), stays...)
	if len(steps) == 0 {
		return nil, nil
	}
	switch err := e.fresh(ctx); {
	case errors.Is(err, ErrStaleHead) && !now:
		return nil, nil // it is judged in a moment, or waits for a person
	case errors.Is(err, ErrStaleHead):
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	case err != nil:
		return nil, fmt.Errorf("purge %s: %w", m.client.Name, err)
	}
	run, err := e.runID()
	if err != nil {
		return nil, err
	}
	job := g.job(e, plan.Plan{Steps: steps}, run)
	if newer := job.Superseded; m.client.Removed && !now { // one may take as long as a dump of it
		job.Superseded = func(id state.ClientID) bool { return newer(id) || e.fileWaits(ctx, m.client) }
	}
	missing := e.missing(ctx, m, steps)
	e.at(PointPurge)
	r, err := e.Runner.Run(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("purge %s: %w", m.client.Name, err)
	}
	e.at(PointPurged)
	var texts []string
	for _, s := range r.Steps {
		if s.State == apply.StepDone && s.Step.Action == plan.Forget {
			texts = append(texts, fmt.Sprintf("%s: %s %s at %s taken off the record; %s", m.client.Name, s.Step.Ref.Kind, s.Step.Ref.Name, s.Step.Provider, s.Step.Reason))
		}
		if s.State == apply.StepDone && s.Step.Action == plan.Purge {
			text := "%s: %s %s at %s erased"
			manual := g.traits[s.Step.Provider][s.Step.Ref.Kind].Manual
			switch {
			case manual:
				text = "%s: %s %s at %s taken off the record; its data is for its keeper to erase"
			case missing[s.Step.Ref]:
				text = "%s: %s %s at %s was not there any more and is taken off the record; nothing was erased: if its account or server is another one by now, its data is where it was"
			}
			text = fmt.Sprintf(text, m.client.Name, s.Step.Ref.Kind, s.Step.Ref.Name, s.Step.Provider)
			if !manual && s.Note != "" { // what became of a copy
				text += "; " + s.Note
			}
			texts = append(texts, text)
		}
	}
	err = e.Store.Update(func(tx store.Tx) error {
		for _, t := range texts {
			if _, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: id, Name: m.client.Name, By: by, What: "purged", Text: t}); err != nil {
				return err
			}
		}
		c, ok, err := store.Client(tx, id)
		if err != nil || !ok || !c.Removed {
			return err
		}
		if err := e.gone(tx, c, false); err != nil {
			return err
		}
		if _, left, err := store.Client(tx, id); err != nil || left || c.Settled {
			return err
		}
		// A pass of it waited, to look into a write perhaps: nobody comes back to tell its end.
		return e.verdict(tx, m, c, ending{because: "its data is erased", word: "succeeded"})
	})
	if err != nil {
		return texts, err
	}
	e.told.Store(true)
	e.RecheckWanted() // whoever has its name now need not say any more whose the data is
	_, stuck := r.Worst(id)
	if stuck != nil && stuck.Err != nil {
		return texts, fmt.Errorf("purge %s: %w", m.client.Name, stuck.Err)
	}
	return texts, nil
}

// othersHave says of what is retained of a client which other one has it, too, or names it in `adopt:`.
func (e *Engine) othersHave(m *member) (map[object]string, error) {
	var kept []state.Resource
	for _, r := range m.recorded {
		if r.Retained() && r.Real() && r.Ref.Kind == state.KindDatabase { // an account is erased by nobody anyhow
			r.AdoptID = r.ID
			kept = append(kept, r)
		}
	}
	others := e.rivals(m, kept)
	return others.names, others.err
}

// missing are the objects of a purge that are not there before it begins: whoever reads that data was erased is told
// the truth. What a look can't tell, and what an earlier try may have erased, is not among them.
func (e *Engine) missing(ctx context.Context, m *member, steps []plan.Step) map[state.Ref]bool {
	out := map[state.Ref]bool{}
	for _, s := range steps {
		i := slices.IndexFunc(m.recorded, func(r state.Resource) bool { return r.Ref == s.Ref && r.Real() })
		p, ok := e.Runner.Provider(s.Provider, s.Ref.Kind)
		tried := slices.ContainsFunc(m.intents, func(in journal.Intent) bool { return in.Ref == s.Ref })
		if i < 0 || !ok || tried || s.Action != plan.Purge {
			continue
		}
		found, err := provider.NewReadOnly(p).Observe(ctx, provider.Query{Kind: s.Ref.Kind, ID: m.recorded[i].ID})
		out[s.Ref] = err == nil && len(found) == 0
	}
	return out
}

// keptUntil is until when a database that is out of use is kept; zero: for ever. Its date is that of the day on
// which it was taken out of use: since then its manifest may say a longer time, or the platform's floor be another. And
// it may have been asked for again, and taken out once more, without coming back into use in between (gone: what was taken out).
func (e *Engine) keptUntil(c state.Client, said manifest.Effective, gone []state.Tombstone, r state.Resource) time.Time {
	if r.Ref.Kind != state.KindDatabase || !r.Retained() || r.PurgeAfter.IsZero() {
		return r.PurgeAfter
	}
	until := r.PurgeAfter
	atLeast := func(since time.Time, keep time.Duration) {
		if at := since.Add(keep + max(r.Ahead, 0)); at.After(until) { // put off as its own date is: see clock.go
			until = at
		}
	}
	if !c.Removed {
		if said.Database.Retain.Forever {
			return time.Time{}
		}
		atLeast(r.RetainedAt, said.Database.Retain.For.Std())
	}
	wishes, _ := e.resolver()
	if p := wishes.Platform(); p != nil {
		atLeast(r.RetainedAt, p.Limits.MinRetain.Std())
	}
	for _, t := range gone {
		keep, forever, says := retainOf(t)
		switch {
		case forever:
			return time.Time{}
		case says && r.Ref.Name == plan.MainDatabase && (t.Part != "" || said.Database.Provider != "none"):
			atLeast(t.At, keep) // it was asked for until then
		case says:
			atLeast(r.RetainedAt, keep)
		}
	}
	return until
}

// dated writes until when what is left of a removed client is kept.
func (e *Engine) dated(tx store.Tx, c state.Client, said manifest.Effective) error {
	have, err := store.Resources(tx, c.ID)
	if err != nil {
		return err
	}
	gone, err := store.Tombstones(tx, c.ID)
	if err != nil {
		return err
	}
	for _, r := range have {
		until := e.keptUntil(c, said, gone, r)
		if until.Equal(r.PurgeAfter) {
			continue
		}
		r.PurgeAfter = until
		if err := store.PutResource(tx, r); err != nil {
			return err
		}
	}
	return nil
}

// Dump writes a client's database to a file.
func (e *Engine) Dump(ctx context.Context, name, path string) error {
	var db state.Resource
	err := e.Store.View(func(tx store.Tx) error {
		c, err := e.clientByName(tx, name)
		if err != nil {
			return err
		}
		have, err := store.Resources(tx, c.ID)
		if err != nil {
			return err
		}
		for _, r := range have {
			if r.Ref.Kind == state.KindDatabase && r.Ref.Name == plan.MainDatabase && r.Real() {
				db = r
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !db.Real() {
		return fmt.Errorf("%w: %s has no database", ErrRefused, name)
	}
	p, ok := e.Runner.Provider(db.Provider, state.KindDatabase)
	d, can := p.(provider.Dumper)
	if !ok || !can {
		return fmt.Errorf("%w: %s can't write its databases out", ErrRefused, db.Provider)
	}
	return d.Dump(ctx, db.ID, path)
}

// Retained lists what is kept of removed clients, soonest date first.
func (e *Engine) Retained() ([]Kept, error) {
	out := []Kept{}
	err := e.Store.View(func(tx store.Tx) error {
		out = out[:0]
		all, err := store.AllResources(tx)
		if err != nil {
			return err
		}
		byName := map[string]state.ClientID{} // whom clientByName finds
		for _, r := range all {
			if !r.Retained() || r.Ref.Kind == state.KindAdmin { // it stays with its database
				continue
			}
			c, _, err := store.Client(tx, r.Ref.Client)
			if err != nil {
				return err
			}
			if _, known := byName[c.Name]; !known && c.Removed {
				answers, err := e.clientByName(tx, c.Name)
				if err != nil {
					return err
				}
				byName[c.Name] = answers.ID
			}
			as := ""
			if c.Removed && byName[c.Name] != c.ID {
				as = string(c.ID)
			}
			said, _ := e.effective(c)
			gone, err := store.Tombstones(tx, c.ID)
			if err != nil {
				return err
			}
			out = append(out, Kept{Client: c.Name, As: as, Kind: string(r.Ref.Kind), Provider: r.Provider, ID: r.ID, Since: r.RetainedAt, Until: e.keptUntil(c, said, gone, r)})
		}
		return nil
	})
	sort.Slice(out, func(i, j int) bool {
		if out[i].Until.IsZero() != out[j].Until.IsZero() {
			return !out[i].Until.IsZero()
		}
		if !out[i].Until.Equal(out[j].Until) {
			return out[i].Until.Before(out[j].Until)
		}
		return out[i].Client < out[j].Client
	})
	return out, err
}

// Kept is one line of `retained`.
type Kept struct {
	Client   string    `json:"client"`
	As       string    `json:"as,omitempty"` // its id, by which commands find it: another client answers to its name
	Kind     string    `json:"kind"`
	Provider string    `json:"provider"`
	ID       string    `json:"id"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // zero: for ever
}
