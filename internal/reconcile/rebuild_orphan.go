package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/rebuild"
	"github.com/compassdigital/reconciler/internal/state"
)

// orphans records what bears our mark and belongs to no manifest. Nothing of it goes
// unasked: that no manifest is there is no proof that a commit removed one.
func (b *rebuilder) orphans() error {
	living := map[string]bool{}
	for _, m := range b.writes {
		living[m.client.Name] = true
	}
	good, err := b.e.lastOf(b.ctx, b.head, b.in.Changes, b.rest, living, b.said)
	if err != nil {
		return err
	}
	for _, id := range b.rest {
		o := orphan{id: id, found: rebuild.Of(b.found, id), head: b.head, base: b.result.Baseline, adopted: b.said.adopted, asked: b.asked}
		o.call(b.found, good, b.said, living)
		if o.file, err = b.e.fileOf(b.ctx, o, b.in.Changes, living); err != nil {
			return err
		}
		o.own = o.isOwn(b.found, living)
		m, row, err := b.e.orphan(b.ctx, b.w, o)
		if err != nil {
			return err
		}
		b.writes = append(b.writes, m)
		b.out.Clients = append(b.out.Clients, row)
	}
	return nil
}

// lastOf finds the last good versions of the manifests that clients had who have none any
// more. Of a name that another client bears now, only what was before its file was taken
// away counts.
func (e *Engine) lastOf(ctx context.Context, head string, changes []accept.Change, ids []state.ClientID, living map[string]bool, ever said) (map[string]lastGood, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	walk, err := e.past(ctx, head, changes)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, id := range ids {
		for _, n := range append(ever.later(rebuild.NameOf(id)), rebuild.NameOf(id)) {
			names[n] = true
		}
	}
	return walk.find(ctx, names, func(g lastGood) bool { return g.removed != "" || !living[fileName(g.path)] })
}

// orphan is a client without a manifest.
type orphan struct {
	id    state.ClientID
	found []rebuild.Found
	name  string     // the last that it had
	names []string   // that it had before
	good  lastGood   // its last good version; zero: none is known
	maybe []lastGood // of names that it may have had: how long they keep its data counts, too
	head  string
	base  *state.Baseline
	taken bool   // another client bears its name
	file  string // at the head, in its name, and not accepted; "": there is none
	own   bool   // that file is its own (see isOwn)

	adopted map[string]bool
	asked   said // see everAsked
}

// call says by which name a client went, and what its last good version is. Its id is of the first name that it had. Of
// several of one name it was the first that got another one.
func (o *orphan) call(found []rebuild.Found, good map[string]lastGood, ever said, living map[string]bool) {
	o.name = rebuild.NameOf(o.id)
	o.good = good[o.name]
	first, generation := true, 1
	for _, f := range o.found {
		generation = max(generation, f.Mark.Generation)
	}
	for _, f := range found {
		first = first && (f.Mark.Client == o.id || rebuild.NameOf(f.Mark.Client) != o.name || f.Mark.Generation > generation)
	}
	minted := o.name
	for _, n := range ever.later(minted) {
		g, known := good[n]
		if !known {
			continue
		}
		o.maybe = append(o.maybe, g)
		if first && (o.good.commit == "" || g.age < o.good.age) {
			o.name, o.good = n, g
		}
	}
	if o.name != minted {
		o.names = slices.DeleteFunc(append([]string{minted}, ever.once(o.name)...), func(n string) bool { return n == o.name })
		slices.Sort(o.names)
		o.names = slices.Compact(o.names)
	}
	o.taken = living[o.name]
}

// isOwn says that the file at the head is the orphan's, and was all the time: with its domain as before, who is accepted with
// it is this client. Where another one has, or had, its name (had: on record), or the file bears another name, a rebuild
// alone tells whose it is.
func (o *orphan) isOwn(found []rebuild.Found, had map[string]bool) bool {
	return fileName(o.file) == o.name && o.good.commit != "" && o.good.removed == "" && !had[o.name] &&
		!slices.ContainsFunc(found, func(f rebuild.Found) bool { return f.Mark.Client != o.id && rebuild.NameOf(f.Mark.Client) == o.name })
}

// asBefore is the domain by which the orphan's file is known as its own.
func (o *orphan) asBefore() string {
	if host := o.good.effective.Host; host != "" {
		return " with the domain " + host
	}
	return ""
}

// wantsALook is what is said of a client that is gone, and of whose data it is not sure which is its own.
func wantsALook(called string) string {
	return "its manifest is gone, and what is left of it wants a look: it is kept until somebody says `reconciler purge " + called + "`"
}

// onlyData says that nothing but what is retained is left of a client.
func onlyData(found []rebuild.Found) bool {
	for _, f := range found {
		switch f.Kind {
		case state.KindDatabase, state.KindAdmin, state.KindMail, state.KindPayments:
		default:
			return false
		}
	}
	return true
}

// retain is how long its data is kept from now: as its last good version said, never less
// than the platform's floor. Without a removal in the history it is kept for ever.
func (o orphan) retain(e *Engine) (text string, d time.Duration, forever bool) {
	if o.good.removed == "" || o.good.effective.Database.Retain.Forever {
		return "forever", 0, true
	}
	least := o.good.effective.Database.Retain.For
	for _, g := range o.maybe {
		if g.effective.Database.Retain.Forever {
			return "forever", 0, true
		}
		least = max(least, g.effective.Database.Retain.For)
	}
	if p := accept.NewResolver(o.base, e.Program).Platform(); p != nil {
		least = max(least, p.Limits.MinRetain)
	}
	return least.String(), least.Std(), false
}

// orphan works out the record of a client without a manifest. What is only data is
// retained, from now on; anything else is held until a person says what becomes of it.
func (e *Engine) orphan(ctx context.Context, w witness, o orphan) (remembered, RebuiltClient, error) {
	c := state.Client{ID: o.id, Generation: 1, Name: o.name, Former: o.names, Removed: true, Health: state.Unknown, Commit: o.head, Accepted: o.head}
	if o.base != nil {
		c.Seq = o.base.Seq
	}
	for _, f := range o.found {
		c.Generation = max(c.Generation, f.Mark.Generation)
	}
	commit := o.head
	if g := o.good; g.commit != "" {
		c.Path, c.Blob, c.Manifest, c.WishHash = g.path, g.blob, g.data, g.effective.Hash()
		if g.removed != "" {
			commit = g.removed
		}
	}
	m, err := e.remember(ctx, w, memory{client: c, keeps: o.good.effective.Database.Provider, found: o.found, adopted: o.adopted, leave: namesOf(o.asked, c)})
	if err != nil {
		return m, RebuiltClient{}, err
	}
	m.client.Settled, m.client.LookWanted = true, false
	row := RebuiltClient{Name: c.Name, ID: c.ID, Resources: len(m.out.Resources), What: "orphan"}
	m.hold(e, o.head) // it counts when the client comes back
	unsure := len(m.holds) > 0
	text, d, forever := o.retain(e)
	if unsure {
		text, forever = "forever", true
	}
	called := c.Name
	if o.taken {
		called = string(c.ID)
	}
	stone := state.Tombstone{Client: c.ID, Name: c.Name, Commit: commit, Blob: c.Blob, Retain: text}
	if onlyData(o.found) {
		row.What = "retained"
		m.client.Status, m.client.Next = state.StatusRetained, ""
		m.client.Because = "its manifest was removed in " + shortCommit(commit) + "; its retention began anew when the state was rebuilt"
		if o.good.removed == "" {
			m.client.Because = "no commit is known that removed its manifest: it is kept until somebody says `reconciler purge " + called + "`"
		} else {
			stone.Done = true
			m.stones = append(m.stones, stone)
		}
		if unsure {
			m.client.Because = wantsALook(called)
		}
		for i := range m.out.Resources {
			r := &m.out.Resources[i]
			if r.Ref.Kind == state.KindMail {
				continue
			}
			r.RetainedAt = e.Now()
			if r.Ref.Kind == state.KindDatabase && !forever {
				r.PurgeAfter = e.Now().Add(d)
			}
		}
		row.Text = m.client.Because
		return m, row, nil
	}
	h := state.Hold{Kind: state.HoldRebuild, Client: c.ID, Commit: commit, NewHead: o.head, Approvable: true, At: e.Now()}
	for _, r := range m.out.Resources {
		h.Steps = append(h.Steps, string(r.Ref.Kind)+"/"+r.Ref.Name)
	}
	sort.Strings(h.Steps)
	h.Fingerprint = printOf(append([]string{"orphan", string(c.ID)}, h.Steps...)...)
	h.Reason = fmt.Sprintf("%s has no manifest, and %d objects at %s bear its mark.", called, len(m.out.Resources), strings.Join(keepers(o.found), ", "))
	if o.good.removed != "" {
		h.Reason = fmt.Sprintf("The manifest of %s was removed in %s, and %d objects at %s still bear its mark.", called, shortCommit(commit), len(m.out.Resources), strings.Join(keepers(o.found), ", "))
	}
	if o.file != "" {
		h.Approvable = false
		h.Reason = fmt.Sprintf("%d objects at %s bear the mark of %s, and %s%s", len(m.out.Resources), strings.Join(keepers(o.found), ", "), called, o.file, state.NotAccepted)
	}
	h.Act = "Nothing of it is changed. `reconciler approve " + h.Fingerprint + "` takes it down and retains its data; putting its manifest back keeps it."
	if o.file != "" {
		// Once the file is accepted it asks for its data again, or that stays until somebody erases it.
		for i := range m.out.Resources {
			if r := &m.out.Resources[i]; e.traits()[r.Provider][r.Ref.Kind].Data {
				r.RetainedAt = e.Now()
			}
		}
		h.Act = "Nothing of it is changed. Move this state away, mend the file, where something is wrong with it, then run `reconciler rebuild`."
		if o.own {
			h.File = o.file
			h.Act = "Nothing of it is changed. With its file mended, and accepted" + o.asBefore() + ", it goes on with all that it has; " +
				"with the file taken out, `reconciler approve " + h.Fingerprint + "` takes it down and retains its data."
		}
	}
	stone.Held = h.Fingerprint
	m.client.Status, m.client.Because, m.client.Next = state.StatusHeld, h.Reason, h.Act
	m.holds, m.stones = append(m.holds, h), append(m.stones, stone)
	row.Text = h.Reason
	return m, row, nil
}

// fileOf is the manifest at the head that may be the orphan's, and that nobody has: it
// breaks a rule, or waits for something.
func (e *Engine) fileOf(ctx context.Context, o orphan, changes []accept.Change, living map[string]bool) (string, error) {
	layout, rules := manifest.LayoutOf(e.Path), accept.NewResolver(o.base, e.Program)
	for _, c := range changes {
		name := fileName(c.Path)
		if c.New == "" || living[name] || layout.Classify(c.Path) != manifest.ClassClient {
			continue
		}
		w := rebuild.Wisher{Name: name}
		f, err := e.Repo.Read(ctx, c.Path, c.New)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", c.Path, err)
		}
		if f.Err == "" {
			if eff, problems := rules.File(c.Path, f.Data); !problems.Failed() {
				w = wisher(eff)
			} else if m, _ := manifest.DecodeClient(c.Path, f.Data); m.Name != "" {
				w.Former = m.Previously
			}
		}
		if who, _ := rebuild.Identify([]rebuild.Wisher{w}, o.found); len(who) > 0 {
			return c.Path, nil
		}
	}
	return "", nil
}

func keepers(found []rebuild.Found) []string {
	var out []string
	for _, f := range found {
		if !slices.Contains(out, f.Provider) {
			out = append(out, f.Provider)
		}
	}
	sort.Strings(out)
	return out
}
