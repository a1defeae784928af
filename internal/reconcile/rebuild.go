package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/rebuild"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Rebuilt is what a rebuild found, for people.
type Rebuilt struct {
	Installation string          `json:"installation"`
	Head         string          `json:"head"`
	Clients      []RebuiltClient `json:"clients"` // sorted by name
	// Missing are secrets that manifests name: their values were in the state alone.
	Missing []MissingSecret `json:"missing"`
	// Lost are generated secrets that are in use and that no provider gives back.
	Lost     []MissingSecret     `json:"lost"`
	Holds    []state.Hold        `json:"holds"`
	Problems []state.FileProblem `json:"problems"` // of files at the head
}

// RebuiltClient is one client as it is on record now.
type RebuiltClient struct {
	Name      string         `json:"name"`
	ID        state.ClientID `json:"id"`
	Resources int            `json:"resources"`
	// What is one of: found, new (nothing bears its mark), last good version, orphan (no
	// manifest), retained.
	What string `json:"what"`
	Text string `json:"text,omitempty"`
}

// MissingSecret is a secret whose value is gone.
type MissingSecret struct {
	Client string `json:"client,omitempty"` // "": everybody's
	Name   string `json:"name"`
	Act    string `json:"act"` // the command that brings it back
}

// Rebuild makes a lost state anew, from Git and from the marks that this installation's
// objects bear. Nothing is written at a provider: what was changed there meanwhile is the
// next plan. It refuses on a state that holds something. One transaction writes all of
// it: cut off, the state is as empty as before.
func (e *Engine) Rebuild(ctx context.Context, by string) (Rebuilt, error) {
	e.accepting.Lock()
	defer e.accepting.Unlock()
	out := Rebuilt{Installation: e.Runner.Installation}
	if !e.started() {
		return out, fmt.Errorf("rebuild: %w", ErrNotStarted)
	}
	if err := e.empty(); err != nil {
		return out, fmt.Errorf("rebuild: %w", err)
	}
	e.at(PointLost)
	head, err := e.Repo.Poll(ctx)
	if err != nil {
		return out, fmt.Errorf("rebuild: poll: %w", err)
	}
	in, err := e.acceptInput(ctx, head)
	if err != nil {
		return out, fmt.Errorf("rebuild: read %s: %w", head, err)
	}
	if in.HeadEmpty {
		return out, fmt.Errorf("rebuild: %w: there is no manifest at %s of branch %s below %s; is it the right repository?", ErrRefused, head, e.Branch, e.Path)
	}
	w := e.witness()
	found, err := w.all(ctx)
	if err != nil {
		return out, fmt.Errorf("rebuild: %w", err)
	}
	if len(found) == 0 {
		return out, fmt.Errorf("rebuild: %w: no provider shows an object that bears the mark of installation %s. The id comes from the key: with another key, name the old one with --installation (names of objects end with it). If there is nothing yet, `reconciler run` begins", ErrRefused, e.Runner.Installation)
	}
	b := &rebuilder{e: e, ctx: ctx, by: by, in: in, head: head, found: found, w: w, out: &out}
	if err := b.run(); err != nil {
		return out, fmt.Errorf("rebuild: %w", err)
	}
	e.at(PointRebuilt)
	if _, err := e.Start(); err != nil {
		return out, fmt.Errorf("rebuild: %w", err)
	}
	return out, nil
}

// empty refuses a state that holds something, and says when that is what another rebuild
// made, which died before it could say so.
func (e *Engine) empty() error {
	return e.Store.View(func(tx store.Tx) error {
		clients, err := store.Clients(tx)
		if err != nil {
			return err
		}
		_, accepted, err := store.Baseline(tx)
		if err != nil {
			return err
		}
		if len(clients) == 0 && !accepted {
			return nil
		}
		last, err := store.History(tx, "", 1)
		switch {
		case err != nil:
			return err
		case len(last) > 0 && last[0].What == "rebuilt":
			return fmt.Errorf("%w: a rebuild came to its end at %s: the state is whole, and holds %d clients. `reconciler plan` shows what differs", ErrRefused, last[0].At.UTC().Format(time.RFC3339), len(clients))
		default:
			return fmt.Errorf("%w: the state holds %d clients, and a rebuild makes a lost one anew; if this one is to be given up, move it away first", ErrRefused, len(clients))
		}
	})
}

// rebuilder is one rebuild under way.
type rebuilder struct {
	e     *Engine
	ctx   context.Context //nolint:containedctx // it is one call of Rebuild, and ends with it
	by    string
	in    accept.Input
	head  string
	found []rebuild.Found
	w     witness
	out   *Rebuilt

	result   accept.Result
	good     map[string]lastGood // by name, of files that are invalid at the head
	who      map[string]rebuild.Identity
	rest     []state.ClientID // that no manifest belongs to
	rules    []state.FileProblem
	said     said   // by any version of the manifests
	asked    said   // by versions that were valid: host names, and names before
	base     string // domain of the platform
	writes   []remembered
	unmarked []state.ClientID // nothing bears their mark
}

func (b *rebuilder) run() error {
	walk, err := b.e.past(b.ctx, b.head, b.in.Changes)
	if err != nil {
		return err
	}
	if b.rules, err = walk.goodRules(b.ctx, &b.in); err != nil {
		return err
	}
	if walk, err = b.e.past(b.ctx, b.head, b.in.Changes); err != nil {
		return err
	}
	if b.said, err = b.e.everSaid(b.ctx, b.head, b.in.Changes); err != nil {
		return err
	}
	if b.asked, err = b.e.everAsked(b.ctx, b.head, b.in.Changes); err != nil {
		return err
	}
	b.in.Guard.MaxCreates = len(b.in.Files) + 1 // most of them are no new clients; see creates
	b.in.NewID = func(name string) state.ClientID { return state.ClientID(name) }
	first := accept.Head(b.in)
	if b.contested(first) {
		first = accept.Head(b.in)
	}
	if err := b.invalid(walk, first); err != nil {
		return err
	}
	b.identify(first)
	b.in.NewID = func(name string) state.ClientID {
		if id, ok := b.who[name]; ok {
			return id.ID
		}
		return b.e.clientID(name)
	}
	b.result = b.unheld(accept.Head(b.in))
	if err := b.clients(); err != nil {
		return err
	}
	if err := b.orphans(); err != nil {
		return err
	}
	b.creates()
	b.waves()
	return b.commit()
}

// unheld takes the hold of a first start away: they are no new clients.
func (b *rebuilder) unheld(r accept.Result) accept.Result {
	var rest []state.Hold
	for _, h := range r.Holds {
		if h.Kind != state.HoldCreates {
			rest = append(rest, h)
			continue
		}
		for i := range r.Clients {
			c := &r.Clients[i]
			if slices.Contains(h.Clients, c.ID) {
				c.Status, c.Because = state.StatusPending, ""
				r.Verdict.Clients[c.ID] = accept.FatePending
			}
		}
	}
	r.Holds = rest
	return r
}

// invalid finds the last good versions of the files that are invalid at the head.
func (b *rebuilder) invalid(walk *past, first accept.Result) error {
	names := map[string]bool{}
	for _, q := range first.Baseline.Problems {
		if walk.layout.Classify(q.Path) == manifest.ClassClient {
			names[fileName(q.Path)] = true
		}
	}
	for _, c := range first.Clients {
		delete(names, c.Name)
	}
	var err error
	b.good, err = walk.find(b.ctx, names, func(g lastGood) bool { return b.foreign(g.effective) == "" })
	return err
}

// contested takes out of the judgement the files that ask for a name that the marks show as
// another client's: who had it first was in the state alone. It says whether there is one.
func (b *rebuilder) contested(first accept.Result) bool {
	rules, any := accept.NewResolver(first.Baseline, b.e.Program), false
	b.base = rules.BaseDomain()
	for _, q := range first.Baseline.Problems {
		f := b.in.Files[q.Path]
		if q.Rule != "host" || f.Err != "" {
			continue
		}
		eff, problems := rules.File(q.Path, f.Data)
		if problems.Failed() {
			continue
		}
		if f.Err = b.foreign(eff); f.Err != "" {
			b.in.Files[q.Path], any = f, true
		}
	}
	return any
}

// foreign says which name of a wish is another client's, as the marks show it; "" for none.
func (b *rebuilder) foreign(eff manifest.Effective) string {
	host, name, by := rebuild.Elsewhere(wisher(eff), b.found, b.nested)
	if host == "" {
		return ""
	}
	return fmt.Sprintf("asks for %s, and %s bears the mark of %s", host, name, by)
}

// nested says that of two host names one lies below the other.
func (b *rebuilder) nested(one, other string) bool {
	return slices.Contains(manifest.Above(one, b.base), other) || slices.Contains(manifest.Above(other, b.base), one)
}

// shared says which host of a last good version another one's asks for, too, or for one
// below or above it: nothing shows who had it, so both wait for a person. "" for none.
func (b *rebuilder) shared(name string) string {
	for _, host := range b.good[name].effective.Hosts {
		for _, other := range sortedPaths(b.good) {
			if other == name {
				continue
			}
			for _, h := range b.good[other].effective.Hosts {
				if h == host || b.nested(h, host) {
					return fmt.Sprintf("%s may be its name, and as well %s that of %s: one client has a name and what lies below it", host, h, other)
				}
			}
		}
	}
	return ""
}

// identify finds the client id of every manifest.
func (b *rebuilder) identify(first accept.Result) {
	var wishers []rebuild.Wisher
	for _, c := range first.Clients {
		wishers = append(wishers, wisher(first.Wishes[c.ID]))
	}
	for name, g := range b.good {
		w := wisher(g.effective)
		w.Name = name
		wishers = append(wishers, w)
	}
	sort.Slice(wishers, func(i, j int) bool { return wishers[i].Name < wishers[j].Name })
	for i := range wishers {
		wishers[i].Once = b.said.once(wishers[i].Name)
	}
	b.who, b.rest = rebuild.Identify(wishers, b.found)
	for name, id := range b.who {
		if id.ID == "" {
			id.ID = b.e.clientID(name)
			b.who[name] = id
		}
	}
}

func wisher(e manifest.Effective) rebuild.Wisher {
	p := e.Deployment.Provider
	return rebuild.Wisher{Name: e.Name, Hosts: e.Hosts, Former: e.Previously, Site: p != "" && p != "none", Data: e.Database.Provider != "" && e.Database.Provider != "none", Fresh: e.Database.Reuse == "fresh"}
}

// clients records what is there of every client that has a manifest.
func (b *rebuilder) clients() error {
	for _, c := range b.result.Clients {
		if err := b.client(c, b.result.Wishes[c.ID]); err != nil {
			return err
		}
	}
	names := make([]string, 0, len(b.good))
	for name := range b.good {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		g := b.good[name]
		id, known := b.who[name]
		if !known {
			continue // nothing of it was ever made: its file is invalid, and that is all
		}
		c := state.Client{ID: id.ID, Name: name, Former: g.effective.Previously, Path: g.path, Blob: g.blob, Manifest: g.data, Commit: g.commit, Accepted: b.head,
			Seq: b.result.Baseline.Seq, TemplateBlob: g.effective.TemplateBlob, PlatformBlob: g.platform, WishHash: g.effective.Hash(), Health: state.Unknown, Status: state.StatusPending}
		for _, q := range b.result.Baseline.Problems {
			if fileName(q.Path) == name && c.InvalidBlob == "" {
				c.Path, c.InvalidBlob = q.Path, orElse(q.Blob, "unreadable")
				c.Because = q.Text + ". Its last good version, of " + shortCommit(g.commit) + ", stays."
			}
		}
		b.keep(g)
		b.claim(c.ID, g.effective)
		if text := b.shared(name); text != "" && id.Doubt == "" {
			id.Doubt = text
			b.who[name] = id
		}
		if err := b.client(c, g.effective); err != nil {
			return err
		}
	}
	return nil
}

func shortCommit(c string) string { return c[:min(len(c), 10)] }

// keep lets the baseline hold what a last good version is resolved with.
func (b *rebuilder) keep(g lastGood) {
	base := b.result.Baseline
	have := map[string]bool{}
	for _, list := range [][]state.File{base.Templates, base.Kept} {
		for _, f := range list {
			have[f.Path+"\x00"+f.Blob] = true
		}
	}
	if base.Platform != nil {
		have[base.Platform.Path+"\x00"+base.Platform.Blob] = true
	}
	for _, f := range g.files {
		if !have[f.Path+"\x00"+f.Blob] {
			base.Kept = append(base.Kept, f)
		}
	}
	sort.Slice(base.Kept, func(i, j int) bool {
		a, c := base.Kept[i], base.Kept[j]
		return a.Path < c.Path || a.Path == c.Path && a.Blob < c.Blob
	})
}

// claim gives a client the names that nobody else has.
func (b *rebuilder) claim(id state.ClientID, eff manifest.Effective) {
	taken := map[string]bool{}
	for _, c := range b.result.Claims {
		taken[c.Key] = true
	}
	for _, key := range eff.Claims() {
		if !taken[key] {
			b.result.Claims = append(b.result.Claims, state.Claim{Key: key, Client: id, Since: b.head})
		}
	}
}

// client records what is there of one client.
func (b *rebuilder) client(c state.Client, eff manifest.Effective) error {
	id, known := b.who[c.Name]
	row := RebuiltClient{Name: c.Name, ID: c.ID, What: "new", Text: "nothing bears its mark: it will be made"}
	if !known || id.Generation == 0 {
		c.CreatedAt = b.e.Now()
		m := remembered{client: c}
		if known {
			m.out.Doubts = []string{id.Doubt}
			m.hold(b.e, b.head)
			row.Text = m.client.Because
		} else {
			b.unmarked = append(b.unmarked, c.ID)
		}
		b.writes = append(b.writes, m)
		b.out.Clients = append(b.out.Clients, row)
		b.missing(c, eff, nil)
		return nil
	}
	c.Generation, c.CreatedAt = id.Generation, state.Client{}.CreatedAt // not now: the guard counts newcomers
	if n := rebuild.NameOf(c.ID); n != c.Name && !slices.Contains(c.Former, n) {
		c.Former = append([]string{n}, c.Former...)
	}
	m, err := b.e.remember(b.ctx, b.w, memory{client: c, effective: &eff, found: rebuild.Of(b.found, c.ID), adopted: b.said.adopted, leave: namesOf(b.asked, c), lived: b.said.lived(c)})
	if err != nil {
		return err
	}
	if id.Doubt != "" {
		m.out.Doubts = append([]string{id.Doubt}, m.out.Doubts...)
	}
	m.hold(b.e, b.head)
	row.What, row.Text, row.Resources = "found", m.client.Because, len(m.out.Resources)
	if c.InvalidBlob != "" {
		row.What = "last good version"
	}
	b.writes = append(b.writes, m)
	b.out.Clients = append(b.out.Clients, row)
	b.missing(m.client, eff, m.out.Lost)
	return nil
}

// missing lists the secrets that the manifest names, and what was lost of those that we
// made.
func (b *rebuilder) missing(c state.Client, eff manifest.Effective, lost []state.SecretRef) {
	for _, name := range secretsOf(eff) {
		row := MissingSecret{Client: c.Name, Name: name, Act: "reconciler secret set " + name + " --client " + c.Name}
		if bare, ok := sharedName(name); ok {
			row = MissingSecret{Name: name, Act: "reconciler secret set " + bare}
		}
		known := false
		for _, have := range b.out.Missing {
			known = known || have == row
		}
		if !known {
			b.out.Missing = append(b.out.Missing, row)
		}
	}
	for _, s := range lost {
		b.out.Lost = append(b.out.Lost, MissingSecret{Client: c.Name, Name: s.Name, Act: "reconciler secret set " + s.Name + " --client " + c.Name})
	}
}
