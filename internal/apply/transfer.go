package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// spare is how many bytes of a disk are left free beside a copy: a full one stops everything, the
// state, which may be on it, included.
const spare = 256 << 20

// thawTime is how long the end of a freeze may take when its pass was given up.
const thawTime = 30 * time.Second

// between is a transfer with both ends.
type between struct {
	had, comes state.Resource // the client's own database, and the one that takes its place
	from, to   provider.Mover
	back       bool // the one that takes its place was there before, and is whole
}

// transfer moves a database's content to another provider:
//
//	reach     both are read before anything is frozen
//	intent    from here on the client's own database may be frozen: whatever comes, it is thawed
//	freeze    the copy's, then: nothing is written to the old one any more
//	copy      dump and load
//	compare   both, row by row
//	switch    the record: the new one is the client's own, the old one is retained, frozen
//	thaw      the client's own: the new one, or after any failure the old one
//	outcome   the end of the intent
//
// On the way back nothing is copied: what was switched to must be as it was then.
func (r *Runner) transfer(ctx context.Context, job Job, s plan.Step) (string, error) {
	b, done, err := r.ends(s)
	if err != nil || done {
		return "", err
	}
	slow := fmt.Errorf("it took longer than %s", plan.CopyTime)
	first, stop := context.WithTimeoutCause(ctx, plan.CopyTime, slow)
	err = r.reached(first, s, b)
	stop()
	if err != nil {
		return "", err
	}
	i := journal.Intent{Op: journal.OpTransfer, Key: s.Ref.String(), Run: job.run(s.Ref.Client), Step: s.Key(), Ref: s.Ref, From: s.From, Provider: b.had.Provider, Name: b.had.Name,
		ObjectID: b.had.ID, Prior: &b.had, Commit: job.Commit, At: r.Now()}
	r.at(BeforeIntent, s)
	err = r.update(func(tx store.Tx) error {
		if err := noteUndo(tx, job, s); err != nil {
			return err
		}
		comes, _, err := store.Resource(tx, s.From)
		if err != nil {
			return err
		}
		comes.Agreed = false // one approval, one freeze
		if err := store.PutResource(tx, comes); err != nil {
			return err
		}
		return announce(tx, job, i)
	})
	if err != nil {
		return "", err
	}
	r.at(AfterIntent, s)
	within, cancel := context.WithTimeoutCause(ctx, plan.CopyTime, slow)
	moved, err := r.fill(within, job, s, b, i)
	cancel()
	r.at(AfterCall, s)
	if err == nil {
		err = r.switchOver(job, s)
	}
	if isJournal(err) {
		return "", err // the intent stays: the next start thaws what is on record
	}
	last, stop := ctx, context.CancelFunc(func() {})
	if ctx.Err() != nil {
		last, stop = context.WithTimeout(context.WithoutCancel(ctx), thawTime)
	}
	defer stop()
	if e := r.thaw(last, i); e != nil {
		if isJournal(e) {
			return "", e
		}
		if err != nil {
			e = fmt.Errorf("%w (and before that: %w)", e, err)
		}
		return "", &errWait{err: fmt.Errorf("the freeze of the database can't be lifted yet: %w", e)}
	}
	if err != nil {
		return "", failedMove(s, b, err)
	}
	r.at(AfterOutcome, s)
	return moved, nil
}

// ends finds both databases and their providers. done: the record says that it happened.
func (r *Runner) ends(s plan.Step) (b between, done bool, err error) {
	var ok, there bool
	err = r.Store.View(func(tx store.Tx) (err error) {
		if b.had, ok, err = store.Resource(tx, s.Ref); err != nil {
			return err
		}
		b.comes, there, err = store.Resource(tx, s.From)
		return err
	})
	switch {
	case err != nil:
		return b, false, &journalError{err}
	case ok && b.had.Real() && b.had.Provider == s.Provider:
		return b, true, nil
	case !ok || !b.had.Real() || b.had.Retained() || !there || !b.comes.Real() || b.comes.Provider != s.Provider || s.Prior == nil || b.had.ID != s.Prior.ID:
		return b, false, &errWait{anew: true, err: fmt.Errorf("%s is not what it was when its move was planned; the next pass plans it anew", s.Ref)}
	}
	b.back = !b.comes.Copy
	for _, end := range []struct {
		of    state.Resource
		mover *provider.Mover
	}{{b.had, &b.from}, {b.comes, &b.to}} {
		p, _, err := r.providerOf(end.of.Provider, s.Ref.Kind)
		if err != nil {
			return b, false, err
		}
		m, can := p.(provider.Mover)
		if !can {
			return b, false, &provider.Error{Kind: provider.Unsupported, Provider: end.of.Provider, Op: "transfer", Message: "it can't move databases"}
		}
		*end.mover = m
	}
	return b, false, nil
}

// reached reads both before anything is frozen: what can't be copied is not begun.
func (r *Runner) reached(ctx context.Context, s plan.Step, b between) error {
	old, err := b.from.Content(ctx, b.had.ID)
	if err != nil {
		return asRead(err)
	}
	fresh, err := b.to.Content(ctx, b.comes.ID)
	if err != nil {
		return asRead(err)
	}
	if fresh.Version < old.Version {
		return &provider.Error{Kind: provider.Invalid, Provider: s.Provider, Op: "transfer",
			Message: fmt.Sprintf("the data was not moved: it runs version %d, and %s version %d; data moves to an equal or newer one", fresh.Version, b.had.Provider, old.Version)}
	}
	if fresh.Refuses != "" && !b.back {
		return &provider.Error{Kind: provider.Unsupported, Provider: s.Provider, Op: "transfer", Message: "the data was not moved: " + fresh.Refuses}
	}
	if r.Room != nil && r.Scratch != "" && !b.back { // it is smaller as a rule: it is compressed, and without indexes
		if free, known := r.Room(r.Scratch); known && free < uint64(max(old.Bytes, 0))+spare {
			return &provider.Error{Kind: provider.Invalid, Provider: s.Provider, Op: "transfer",
				Message: fmt.Sprintf("the data was not moved: its copy may take %d MB on the disk of %s on its way, and %d MB are left there; make room, then retry", (max(old.Bytes, 0)+spare)>>20, r.Scratch, free>>20)}
		}
	}
	if lacks := old.Lacks(fresh); lacks != "" && !b.back {
		return &provider.Error{Kind: provider.Invalid, Provider: s.Provider, Op: "transfer",
			Message: fmt.Sprintf("the data was not moved: the database at %s has settings that no copy takes along, and the site may not work without them: %s; set them for %s at %s, too, or take them away, then retry", b.had.Provider, lacks, orElse(b.comes.Name, b.comes.ID), s.Provider)}
	}
	return nil
}

// fill freezes the old one, copies it and compares.
func (r *Runner) fill(ctx context.Context, job Job, s plan.Step, b between, i journal.Intent) (string, error) {
	say := func(format string, a ...any) {
		r.emit(Event{Client: s.Ref.Client, Deployment: job.Deployment[s.Ref.Client], Step: s, State: "log", Text: fmt.Sprintf(format, a...)})
	}
	err := r.careful(ctx, i, func() error {
		if !b.back { // first the copy: of two, the one that can be written to is the client's own, for whoever has no record
			if err := b.to.Freeze(ctx, b.comes.ID); err != nil {
				return err
			}
		}
		return b.from.Freeze(ctx, b.had.ID)
	})
	if err != nil {
		return "", err
	}
	say("%s is frozen: nothing is written to the database", b.had.Provider)
	r.at(AfterFreeze, s)
	if !b.back {
		if err := r.careful(ctx, i, func() error { return r.copy(ctx, s, b) }); err != nil {
			return "", err
		}
		say("it is copied to %s", b.comes.Provider)
		r.at(AfterLoad, s)
	}
	var old, fresh provider.Content
	err = r.careful(ctx, i, func() (err error) {
		if old, err = b.from.Content(ctx, b.had.ID); err != nil {
			return err
		}
		fresh, err = b.to.Content(ctx, b.comes.ID)
		return err
	})
	if err != nil {
		return "", err
	}
	if d := old.Differs(fresh); d != "" {
		if b.back {
			return "", &errPark{fmt.Sprintf("the new database at %s was written to since the move, and the old one at %s lacks that: it is not put back. At %s: %s", b.had.Provider, b.comes.Provider, b.comes.Provider, d)}
		}
		return "", fmt.Errorf("the copy is not what the old one is: at %s, %s", b.comes.Provider, d)
	}
	rows := fmt.Sprintf("%d rows in %d tables and the like are equal at both", old.Rows(), len(old.Parts))
	if old.Order != fresh.Order {
		rows += fmt.Sprintf("; texts are sorted by %s now, and by %s at %s", fresh.Order, old.Order, b.had.Provider)
	}
	if stays := old.Leaves(); stays != "" && !b.back {
		rows += fmt.Sprintf("; not taken along from %s: %s", b.had.Provider, stays)
	}
	say("%s", rows)
	return rows, nil
}

// careful makes calls of a provider. Where one of them panics the freeze is lifted before that
// goes on: a client that is left alone because of it must not stay frozen.
func (r *Runner) careful(ctx context.Context, i journal.Intent, calls func() error) error {
	defer func() {
		if x := recover(); x != nil {
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), thawTime)
			defer stop()
			_ = r.thaw(last, i) // else its intent stays open, and whoever finds it thaws
			panic(x)
		}
	}()
	return calls()
}

// copy writes the old one out and loads it. The file is gone at the end, and at the beginning
// of the next try whatever came of this one.
func (r *Runner) copy(ctx context.Context, s plan.Step, b between) (err error) {
	dir, err := r.scratch(s.Ref.Client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "dump")
	if err := b.from.Dump(ctx, b.had.ID, path); err != nil {
		return err
	}
	return b.to.Load(ctx, b.comes.ID, path)
}

// scratch makes the client's folder for a copy, empty.
func (r *Runner) scratch(id state.ClientID) (string, error) {
	if r.Scratch == "" {
		return "", errors.New("there is no folder to write a database to")
	}
	dir := r.scratchOf(id)
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("clear the folder of an earlier copy: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a folder for the copy: %w", err)
	}
	return dir, nil
}

func (r *Runner) scratchOf(id state.ClientID) string {
	return filepath.Join(r.Scratch, "move-"+string(id))
}

// switchOver records that the database that came is the client's own. What has the address of
// the one before says so from then on, so that every later plan changes it. The intent stays.
func (r *Runner) switchOver(job Job, s plan.Step) error {
	return r.update(func(tx store.Tx) error {
		had, _, err := store.Resource(tx, s.Ref)
		if err != nil {
			return err
		}
		comes, _, err := store.Resource(tx, s.From)
		if err != nil {
			return err
		}
		now := r.Now()
		main, beside := plan.Switched(had, comes, now, s.Until(now))
		main.Commit, main.UpdatedAt, beside.Commit = job.Commit, r.Now(), job.Commit
		if main.Run == "" {
			main.Run = "unknown"
		}
		other := func(res state.Resource) state.Resource {
			away := state.Ref{Kind: "away"} // so that the two change places
			return plan.Repointed(plan.Repointed(plan.Repointed(res, s.Ref, away), s.From, s.Ref), away, beside.Ref)
		}
		if err := store.DeleteResource(tx, s.From); err != nil {
			return err
		}
		all, err := store.Resources(tx, s.Ref.Client)
		if err != nil {
			return err
		}
		for _, have := range all {
			if have.Ref.Kind == state.KindEnvironment {
				if err := store.PutResource(tx, other(have)); err != nil {
					return err
				}
			}
		}
		c, ok, err := store.Client(tx, s.Ref.Client)
		if err != nil {
			return err
		}
		if ok && len(c.Undo) > 0 {
			undo := make([]state.Undo, len(c.Undo))
			for n, u := range c.Undo {
				u.Prior = other(u.Prior)
				undo[n] = u
			}
			c.Undo = undo
			if err := store.PutClient(tx, c); err != nil {
				return err
			}
		}
		if err := store.PutResource(tx, main); err != nil {
			return err
		}
		return store.PutResource(tx, beside)
	})
}

// thaw ends a transfer, however far it came: the client's own database is the one on record,
// and nothing else is ever thawed.
func (r *Runner) thaw(ctx context.Context, i journal.Intent) error {
	var own state.Resource
	err := r.Store.View(func(tx store.Tx) (err error) {
		own, _, err = store.Resource(tx, i.Ref)
		return err
	})
	if err != nil {
		return &journalError{err}
	}
	if own.Real() {
		p, _, err := r.providerOf(own.Provider, i.Ref.Kind)
		if err != nil {
			return err
		}
		m, can := p.(provider.Mover)
		if !can {
			return &provider.Error{Kind: provider.Unsupported, Provider: own.Provider, Op: "thaw", Message: "it can't lift the freeze of its databases"}
		}
		if err := m.Thaw(ctx, own.ID); err != nil && provider.KindOf(err) != provider.NotFound {
			return asRead(err) // it may be done again
		}
	}
	if r.Scratch != "" { // a copy that was cut off left its file
		if err := os.RemoveAll(r.scratchOf(i.Ref.Client)); err != nil {
			return fmt.Errorf("remove what was written out: %w", err)
		}
	}
	return r.close(i)
}

// failedMove is why a move came to nothing. It is not tried again by itself: each try freezes
// the site.
func failedMove(s plan.Step, b between, err error) error {
	var park *errPark
	var pe *provider.Error
	switch {
	case errors.As(err, &park):
		return park
	case errors.As(err, &pe):
		return &provider.Error{Kind: provider.Invalid, Provider: pe.Provider, Op: "transfer", Code: pe.Code, Err: err,
			Message: pe.Message + "; the data was not moved, and " + b.had.Provider + " serves it as before"}
	}
	return &provider.Error{Kind: provider.Invalid, Provider: s.Provider, Op: "transfer", Err: err,
		Message: err.Error() + "; the data was not moved, and " + b.had.Provider + " serves it as before"}
}
