package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of a confirmation.
const (
	// maxTakes is how many passes a client gets in one: what `adopt:` names, what was found
	// equal afterwards, and a look at what is left.
	maxTakes = 4
	// maxChanges of a client are told.
	maxChanges = 10
)

// Confirmation is what came of confirming adoptions.
type Confirmation struct {
	Clients []Taken `json:"clients"` // in the order in which they were taken
	Left    int     `json:"left"`    // paused clients that adopt something and are not through
}

// Taken is what came of one client.
type Taken struct {
	ID       state.ClientID `json:"id"`
	Client   string         `json:"client"`
	Done     bool           `json:"done"`     // all that it names is on record, and marked where there is a place
	Empty    bool           `json:"empty"`    // its plan is empty: nothing will change once it is not paused
	Recorded int            `json:"recorded"` // objects that it has on record from before us
	Marked   []string       `json:"marked"`   // KIND at PROVIDER
	Because  string         `json:"because,omitempty"`
	Next     string         `json:"next,omitempty"`
	Changes  []string       `json:"changes"` // what its plan would do, and waits
}

// ConfirmAdoption takes paused clients that adopt something: what they name is recorded and
// marked, and nothing else is done. It takes those with these names, or the next few: who was
// never asked about comes first, then by name. A client that can't be taken stops no other.
// A freeze does not hold marks: nothing that serves is changed by them.
// They stay paused: `paused: true` ends with a commit, whose plan is as empty as theirs.
func (e *Engine) ConfirmAdoption(ctx context.Context, names []string, most int, by string) (Confirmation, error) {
	out := Confirmation{Clients: []Taken{}}
	if e.old() {
		return out, fmt.Errorf("confirm the adoption: %w", ErrRestored)
	}
	asked, err := e.named(names)
	if err != nil {
		return out, fmt.Errorf("confirm the adoption: %w", err)
	}
	open, err := e.openAdoptions(asked)
	if err != nil {
		return out, fmt.Errorf("confirm the adoption: %w", err)
	}
	out.Left = len(open)
	if len(asked) == 0 && len(open) > most {
		open = open[:max(most, 0)]
	}
	for _, c := range open {
		if e.Stopping() {
			return out, nil
		}
		t, err := e.take(ctx, c, by)
		if err != nil {
			return out, fmt.Errorf("confirm the adoption of %s: %w", c.Name, err)
		}
		out.Clients = append(out.Clients, t)
	}
	left, err := e.openAdoptions(nil)
	out.Left = len(left)
	if err != nil {
		return out, fmt.Errorf("confirm the adoption: %w", err)
	}
	return out, nil
}

// openAdoptions are the clients that adopt something and are not through with it: of those
// that are named, all; else the paused ones.
func (e *Engine) openAdoptions(asked []state.ClientID) ([]state.Client, error) {
	var all, out []state.Client
	err := e.Store.View(func(tx store.Tx) (err error) {
		all, err = store.Clients(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		named := slices.Contains(asked, c.ID)
		if c.Removed || len(asked) > 0 && !named {
			continue
		}
		eff, problems := e.effective(c)
		adopts := !problems.Failed() && len(eff.Adopt) > 0
		switch {
		case named && !adopts:
			return nil, fmt.Errorf("%w: the manifest of %s adopts nothing", ErrRefused, c.Name)
		case !adopts || !named && !eff.Paused && !c.Paused:
			continue
		}
		through, err := e.through(c)
		if err != nil {
			return nil, err
		}
		if !through || named {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b state.Client) int {
		return cmp.Or(a.TakenAsked.Compare(b.TakenAsked), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// through says that a client was taken, and that its manifest names nothing else since.
func (e *Engine) through(c state.Client) (bool, error) {
	if c.Taken.IsZero() || c.TakenWish == c.WishHash {
		return !c.Taken.IsZero(), nil
	}
	g, err := e.load([]state.ClientID{c.ID})
	if err != nil || len(g.members) == 0 {
		return false, err
	}
	if err := e.wish(g); err != nil {
		return false, nil //nolint:nilerr // its pass tells it
	}
	for _, w := range plan.ToAdopt(g.members[0].input()) {
		if w.AdoptID != "" {
			return false, nil
		}
	}
	return true, nil
}

// take records what a client names, marks it, and says what is left.
func (e *Engine) take(ctx context.Context, c state.Client, by string) (Taken, error) {
	t := Taken{ID: c.ID, Client: c.Name, Marked: []string{}, Changes: []string{}}
	err := e.Store.Update(func(tx store.Tx) error {
		if _, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: c.ID, Name: c.Name, Commit: c.Commit, By: by, What: "adopt", Text: "asked for"}); err != nil {
			return err
		}
		return e.wake(tx, c.ID, func(c *state.Client) { c.TakenAsked = e.Now() })
	})
	if err != nil {
		return t, err
	}
	for range maxTakes {
		done, err := e.Pass(ctx, c.ID, CauseAdopt)
		e.alsoDue(done)
		if err != nil {
			return t, err
		}
		if !done.Again {
			break
		}
		if err := e.seenAll(c.ID); err != nil {
			return t, err
		}
	}
	if err := e.markTaken(ctx, c.ID, &t); err != nil {
		return t, err
	}
	return t, e.judge(c.ID, &t)
}

// alsoDue keeps who is due by a pass that no queue asked for, until somebody says so (see keepTime).
func (e *Engine) alsoDue(done Done) {
	due := done.Also
	if !done.At.IsZero() {
		due = slices.Concat(due, done.Clients)
	}
	if done.Recheck {
		e.RecheckWanted()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range due {
		if !slices.Contains(e.awake, id) {
			e.awake = append(e.awake, id)
		}
	}
}

// seenAll spares the next pass a look at what this one has just recorded and did not change.
func (e *Engine) seenAll(id state.ClientID) error {
	return e.Store.Update(func(tx store.Tx) error {
		c, ok, err := store.Client(tx, id)
		if err != nil || !ok || !c.LookWanted {
			return err
		}
		c.LookWanted = false
		return store.PutClient(tx, c)
	})
}

// markTaken writes marks on what the client has from before us.
func (e *Engine) markTaken(ctx context.Context, id state.ClientID, t *Taken) error {
	leave, err := e.enter(ctx, []state.ClientID{id})
	if err != nil {
		return err
	}
	defer leave()
	g, err := e.load([]state.ClientID{id})
	if err != nil || len(g.members) == 0 {
		return err
	}
	m := g.members[0]
	if len(m.intents) > 0 {
		t.Because = "a write is open of which nobody knows yet whether it came through"
		return nil // its next pass looks
	}
	steps := plan.Marks(m.client, m.recorded, e.hasPlace)
	if len(steps) == 0 {
		return nil
	}
	run, err := e.runID()
	if err != nil {
		return err
	}
	var r apply.Result
	err = e.contain(id, func() (err error) { r, err = e.Runner.Run(ctx, g.job(e, plan.Plan{Steps: steps}, run)); return err })
	if err != nil {
		return err
	}
	for _, s := range r.Steps {
		what := string(s.Step.Ref.Kind) + " at " + s.Step.Provider
		switch {
		case s.State == apply.StepDone && s.Note == "":
			t.Marked = append(t.Marked, what)
		case s.State != apply.StepDone && t.Because == "":
			t.Because = "the " + what + " could not be marked: " + sentence(cmp.Or(s.Err, errSkipped))
		}
	}
	return nil
}

// errSkipped stands for the cause of a step that another one stopped.
var errSkipped = errors.New("another mark could not be written")

// hasPlace says that a provider has a place for marks on what others made.
func (e *Engine) hasPlace(name string, k state.Kind) bool {
	if e.Runner.Marker == nil {
		return false
	}
	switch k {
	case state.KindSite, state.KindDatabase, state.KindRecord, state.KindPayments:
		_, ok := e.Runner.Marker(name, k)
		return ok
	}
	return false // it hangs on a site, and is marked with it
}

// judge says how the client stands, and writes down when it is through.
func (e *Engine) judge(id state.ClientID, t *Taken) error {
	g, err := e.load([]state.ClientID{id})
	if err != nil || len(g.members) == 0 {
		return err
	}
	m := g.members[0]
	if err := e.wish(g); err != nil {
		t.Because = cmp.Or(t.Because, err.Error())
		return nil
	}
	if e.ahead(g) {
		t.Because = cmp.Or(t.Because, "a newer commit is being accepted")
		return nil
	}
	for _, r := range m.recorded {
		if r.Real() && (r.Adopted || r.Found) {
			t.Recorded++
		}
	}
	open := false
	for _, w := range plan.ToAdopt(m.input()) {
		open = open || w.AdoptID != ""
	}
	p := e.calculate(g)
	for _, s := range p.Steps {
		if !s.Action.Writes() {
			continue
		}
		if len(t.Changes) == maxChanges {
			t.Changes = append(t.Changes, "…")
			break
		}
		t.Changes = append(t.Changes, fmt.Sprintf("%s %s %s: %s", s.Action, s.Ref.Kind, s.Ref.Name, s.Reason))
	}
	t.Empty = p.Empty()
	t.Done = !open && t.Because == "" && len(m.intents) == 0
	if !t.Done {
		t.Because, t.Next = cmp.Or(t.Because, m.client.Because), m.client.Next
	}
	for _, problem := range p.Problems {
		t.Because, t.Next = cmp.Or(t.Because, problem.Text), cmp.Or(t.Next, problem.Act)
	}
	if !t.Done {
		return nil
	}
	return e.Store.Update(func(tx store.Tx) error {
		c, ok, err := store.Client(tx, id)
		if err != nil || !ok {
			return err
		}
		if c.Taken.IsZero() {
			if _, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: id, Name: c.Name, Commit: c.Commit, What: "adopted", Text: fmt.Sprintf("%d objects are on record; marked: %s", t.Recorded, cmp.Or(strings.Join(t.Marked, ", "), "none"))}); err != nil {
				return err
			}
		}
		c.Taken, c.TakenWish = e.Now(), m.client.WishHash
		return store.PutClient(tx, c)
	})
}
