package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Poll asks whether the branch has moved, and accepts its head if it has. It returns
// the clients that need a pass. An unchanged branch costs one ls-remote: no parse, no
// read or write of the state, no provider call.
func (e *Engine) Poll(ctx context.Context) ([]state.ClientID, error) {
	woken, err := e.keepTime()
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	ids, err := e.poll(ctx)
	if len(woken) > 0 {
		ids = append(slices.Clone(ids), slices.DeleteFunc(woken, func(id state.ClientID) bool { return slices.Contains(ids, id) })...)
	}
	if err != nil || len(ids) == 0 || e.Sources == nil {
		return ids, err
	}
	// What a new head names may have come into a source with it. What goes wrong here is
	// told by the schedule, which tries again.
	r, _ := e.RefreshSecrets(ctx, Refresh{})
	for _, id := range r.Clients {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (e *Engine) poll(ctx context.Context) ([]state.ClientID, error) {
	e.accepting.Lock()
	defer e.accepting.Unlock()
	if !e.started() {
		return nil, ErrNotStarted
	}
	now := e.Now()
	head, same, err := e.readBranch(ctx)
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	e.mu.Lock()
	held := e.refused != "" || e.refusedHas != nil
	same = same && !e.recheck && !e.restored && e.refused == "" || (e.refused == head && e.refused != "")
	e.mu.Unlock()
	var touched []state.ClientID
	if !same {
		if touched, err = e.accept(ctx, head); err == nil && held {
			touched, err = e.withWaiting(touched)
		}
		if err != nil {
			return touched, err
		}
	}
	e.mu.Lock()
	e.looked = now
	e.mu.Unlock()
	return touched, nil
}

// readBranch reads where the branch is, and says whether that is the head which is accepted.
func (e *Engine) readBranch(ctx context.Context) (head string, same bool, err error) {
	if head, err = e.Repo.Poll(ctx); err != nil {
		return "", false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.baseline
	return head, b != nil && b.Head == head && b.Repository == e.Repository && b.Branch == e.Branch && b.Path == e.Path, nil
}

// unread says that something of the group is due to go, and that what the branch has was not accepted since it is, or
// since this program was started: what goes may be back there. "A revert until then costs nothing."
func (e *Engine) unread(g *group) bool {
	e.mu.Lock()
	looked := e.looked
	e.mu.Unlock()
	return slices.ContainsFunc(g.members, func(m *member) bool {
		return slices.ContainsFunc(m.allTombs, func(t state.Tombstone) bool {
			due := !t.Done && t.Held == "" && t.Waits == "" && !t.NotUntil.After(g.now)
			return due && (looked.IsZero() || looked.After(g.now) || t.NotUntil.After(looked))
		})
	})
}

// errHeadHeld: a head is not judged until a person has accepted what the branch is now, or it is put back.
var errHeadHeld = errors.New("what the branch has by now is held as a whole, and asks for it again; it goes once the branch is put back, or what that is now is approved and does not ask for it")

// headHeld says that something of the group is due to go, and that the branch has a head that is held as a whole in
// which its client's file is there again, or is another one: history was rewritten to take the removal back, say.
func (e *Engine) headHeld(g *group) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(g.members, func(m *member) bool {
		return e.refusedHas[m.client.Name] && slices.ContainsFunc(m.allTombs, func(t state.Tombstone) bool {
			return !t.Done && t.Held == "" && t.Waits == "" && !t.NotUntil.After(g.now)
		})
	})
}

// has are the names of clients, and their former ones, whose files a head has that differ from the accepted ones.
func has(in accept.Input) map[string]bool {
	out := map[string]bool{}
	for _, c := range in.Changes {
		if c.New == "" {
			continue
		}
		out[fileName(c.Path)] = true
		if f := in.Files[c.Path]; f.Err == "" && manifest.LayoutOf(in.Path).Classify(c.Path) == manifest.ClassClient {
			m, _ := manifest.DecodeClient(c.Path, f.Data)
			for _, former := range m.Previously {
				out[former] = true
			}
		}
	}
	return out
}

// withWaiting adds those of whom something is due to go, once no head is held as a whole any more: they waited for
// that (headHeld).
func (e *Engine) withWaiting(touched []state.ClientID) ([]state.ClientID, error) {
	e.mu.Lock()
	held := e.refused != ""
	e.mu.Unlock()
	if held {
		return touched, nil
	}
	var all []state.Tombstone
	err := e.Store.View(func(tx store.Tx) (err error) { all, err = store.Tombstones(tx, ""); return err })
	if err != nil {
		return touched, fmt.Errorf("read what is to go: %w", err)
	}
	out := slices.Clone(touched)
	for _, t := range accept.Due(all, e.Now()) {
		if !t.Done {
			out = append(out, t.Client)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// ErrStaleHead: what is to be erased may be asked for again by what the branch has by now.
var ErrStaleHead = errors.New("the branch has a head that is not accepted")

// fresh reads the branch, and fails where it can't be read, or is not at the accepted head: data is not erased on
// the word of a head that may be an old one.
func (e *Engine) fresh(ctx context.Context) error {
	switch head, same, err := e.readBranch(ctx); {
	case err != nil:
		return fmt.Errorf("the branch can't be read, and may ask for it again; nothing is erased until it can be: %w", err)
	case !same:
		return fmt.Errorf("%w (%s); nothing is erased until it is", ErrStaleHead, head)
	}
	return nil
}

// ErrNotStarted: what is on record was not read yet. A head that is judged without it
// would be a first one, which takes nothing away.
var ErrNotStarted = errors.New("the engine was not started")

// started says that Start was called.
func (e *Engine) started() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seq != nil
}

// RecheckWanted notes that names became free, and says whether something invalid waits
// that may be valid now.
func (e *Engine) RecheckWanted() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.baseline == nil || len(accept.Retry(e.baseline)) == 0 {
		return false
	}
	e.recheck = true
	e.wanted++
	return true
}

// judgeFirst says that names of the group became free since the head was judged, and that
// something invalid may ask for them: it is judged before they go, so that a name moves to
// whoever gets it and nobody is without service in between.
func (e *Engine) judgeFirst(g *group) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.baseline == nil || len(accept.Retry(e.baseline)) == 0 { // a newer head that is held as a whole stays so: see judgeAgain
		return false
	}
	for _, m := range g.members {
		for _, t := range m.allTombs {
			if due := !t.Done && t.Held == "" && !t.NotUntil.After(g.now); due && (t.NotUntil.After(e.judged) || e.recheck && t.Waits == "") {
				return true
			}
		}
	}
	return false
}

// accept reads what lies between the last accepted head and this one, lets package
// accept judge it, and commits the judgement as one transaction. A judgement of what is not
// so any more is made anew.
func (e *Engine) accept(ctx context.Context, head string) (touched []state.ClientID, err error) {
	for range maxJudged {
		if touched, err = e.judgeNow(ctx, head); !errors.Is(err, errOutdated) {
			break
		}
	}
	return touched, err
}

// judgeNow is accept, once.
func (e *Engine) judgeNow(ctx context.Context, head string) ([]state.ClientID, error) {
	in, err := e.acceptInput(ctx, head)
	if err != nil {
		return nil, fmt.Errorf("accept %s: %w", head, err)
	}
	e.at(PointRead)
	if in.EmptyState && in.Baseline == nil {
		if err := e.strangers(ctx); err != nil {
			return nil, err
		}
	}
	if e.old() {
		return e.catch(ctx, head, in)
	}
	r := accept.Head(in)
	if in.Baseline != nil && !e.askedAll() && unheardOf(in, r) && e.behind(ctx, in.Clients) {
		if err := e.takeForOld(); err != nil {
			return nil, fmt.Errorf("accept %s: %w", head, err)
		}
		return e.catch(ctx, head, in)
	}
	if err := e.commit(head, in, r); err != nil {
		return nil, fmt.Errorf("accept %s: %w", head, err)
	}
	if !r.Held { // else nothing of what was accepted was judged
		e.mu.Lock()
		e.judged = in.Now
		e.mu.Unlock()
	}
	return r.Touched, nil
}

func (e *Engine) acceptInput(ctx context.Context, head string) (accept.Input, error) {
	in := accept.Input{Now: e.Now(), Head: head, Repository: e.Repository, Branch: e.Branch, Path: e.Path, Program: e.Program,
		Guard: e.Guard, Defaults: e.Defaults, NewID: e.clientID, Files: map[string]accept.File{}}
	e.mu.Lock()
	if e.baseline != nil {
		b := *e.baseline
		in.Baseline = &b
	}
	e.judging = e.wanted
	e.mu.Unlock()
	from := ""
	if in.Baseline != nil {
		from = in.Baseline.Head
	}
	rg, err := e.Repo.Range(ctx, from, head)
	if err != nil {
		return in, err
	}
	if in.Baseline != nil && in.Baseline.Path != e.Path {
		// What changed below another folder says nothing of this one: all of it is new.
		whole, err := e.Repo.Range(ctx, "", head)
		if err != nil {
			return in, err
		}
		rg.Changes, rg.Odd, rg.Empty, rg.Whole = whole.Changes, whole.Odd, whole.Empty, true
	}
	in.Root, in.Descends, in.HeadEmpty, in.Commits, in.Changes, in.Whole = rg.Root, rg.Descends, rg.Empty, rg.Commits, rg.Changes, rg.Whole
	var pulls []state.Pull
	err = e.Store.View(func(tx store.Tx) (err error) {
		if pulls, err = reviews(tx, rg, &e.pulls); err != nil {
			return err
		}
		if err := untold(tx, pulls); err != nil {
			return err
		}
		if in.Clients, err = store.ClientsAgain(tx, &e.clients); err != nil {
			return err
		}
		if in.Claims, err = store.ClaimsAgain(tx, &e.claims); err != nil {
			return err
		}
		return e.onRecordNow(tx, &in)
	})
	if err != nil {
		return in, err
	}
	now := make(map[string]string, len(rg.Changes))
	for _, c := range rg.Changes {
		now[c.Path] = c.New
	}
	reviewed(&in, pulls, now)
	if in.Last, err = e.lastVersions(ctx, from, head, rg); err != nil {
		return in, err
	}
	return in, e.readFiles(ctx, &in, rg.Odd)
}

// lastVersions are what manifests said last that the range took away, where it is not what they said at the head
// before: a head in between had it, which nobody looked at.
func (e *Engine) lastVersions(ctx context.Context, from, head string, rg Range) (map[string]accept.File, error) {
	a, ok := e.Repo.(Ancestry)
	away, layout := map[string]string{}, manifest.LayoutOf(e.Path)
	for _, c := range rg.Changes {
		if c.New == "" && c.Old != "" && layout.Classify(c.Path) == manifest.ClassClient {
			away[c.Path] = c.Old
		}
	}
	if !ok || len(away) == 0 || len(rg.Commits) < 2 || !rg.Descends || rg.Whole {
		return nil, nil
	}
	heads, err := a.Ancestors(ctx, head, min(len(rg.Commits)+1, maxPast))
	if err != nil {
		return nil, err
	}
	out := map[string]accept.File{}
	for i := 0; i+1 < len(heads) && heads[i] != from && len(away) > 0; i++ {
		one, err := e.Repo.Range(ctx, heads[i+1], heads[i])
		if err != nil {
			return nil, err
		}
		for _, c := range one.Changes {
			was, is := away[c.Path]
			if !is || c.New != "" {
				continue
			}
			if delete(away, c.Path); c.Old == was {
				continue
			}
			if out[c.Path], err = e.Repo.Read(ctx, c.Path, c.Old); err != nil {
				return nil, fmt.Errorf("read %s as it was before it went: %w", c.Path, err)
			}
		}
	}
	return out, nil
}

// onRecordNow adds what is on record to what accept reads; clients and claims unless they
// are there.
func (e *Engine) onRecordNow(tx store.Tx, in *accept.Input) (err error) {
	if in.Clients == nil {
		if in.Clients, err = store.Clients(tx); err != nil {
			return err
		}
	}
	if in.Claims == nil {
		if in.Claims, err = store.Claims(tx); err != nil {
			return err
		}
	}
	if in.Tombstones, err = store.Tombstones(tx, ""); err != nil {
		return err
	}
	if in.Holds, err = store.Holds(tx); err != nil {
		return err
	}
	if in.Approvals, err = store.Approvals(tx); err != nil {
		return err
	}
	shown := map[string]bool{in.Head: true}
	for _, h := range in.Holds {
		if h.Kind == state.HoldHistory {
			shown[h.NewHead] = true
		}
	}
	if in.Verdicts, err = store.Verdicts(tx, func(v state.Verdict) bool { return accept.Open(v) || shown[v.Commit] }); err != nil {
		return err
	}
	retained := map[state.ClientID]bool{}
	for _, c := range in.Clients {
		if !c.Removed {
			continue
		}
		have, err := store.Resources(tx, c.ID)
		if err != nil {
			return err
		}
		for _, r := range have {
			retained[c.ID] = retained[c.ID] || r.Retained() || r.Ref.Kind == state.KindDatabase || r.Ref.Kind == state.KindPayments
		}
	}
	in.EmptyState = len(in.Clients) == 0
	in.Retained = func(id state.ClientID) bool { return retained[id] }
	in.Parts = e.parts
	return nil
}

// readFiles fetches the content of what changed and of what was invalid before: it
// may have become valid by a change elsewhere. A file that can't be read right now is an
// error of the whole: a head that is accepted without it would not be read again.
func (e *Engine) readFiles(ctx context.Context, in *accept.Input, odd map[string]string) error {
	for path, why := range odd {
		in.Files[path] = accept.File{Path: path, Err: why}
	}
	read := func(path, blob string) error {
		f, err := e.Repo.Read(ctx, path, blob)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		in.Files[path] = f
		return nil
	}
	for _, ch := range in.Changes {
		if _, is := in.Files[ch.Path]; ch.New != "" && !is {
			if err := read(ch.Path, ch.New); err != nil {
				return err
			}
		}
	}
	gone := map[string]bool{}
	for _, ch := range in.Changes {
		gone[ch.Path] = ch.New == ""
	}
	blobs := map[string]string{}
	if in.Baseline != nil {
		for _, p := range in.Baseline.Problems {
			blobs[p.Path] = p.Blob
		}
	}
	for _, path := range accept.Retry(in.Baseline) {
		if _, have := in.Files[path]; have || path == "" || blobs[path] == "" || gone[path] {
			continue
		}
		if err := read(path, blobs[path]); err != nil {
			return err
		}
	}
	e.count(func(s *Stats) { s.Parses += len(in.Files) })
	return nil
}

// parts are the kind/name of what a wish consists of.
func (e *Engine) parts(c state.Client, eff manifest.Effective) []string {
	in := e.desiredInput(c, eff, nil, nil)
	in.Configured = e.keptOrAway
	all, _ := desired.Resources(in)
	var out []string
	for _, r := range all {
		out = append(out, string(r.Ref.Kind)+"/"+r.Ref.Name)
	}
	return out
}

// keptOrAway is Configured for what a wish consists of: what is at a provider that is not configured just now is
// there all the same, and goes once the manifest does not ask for it.
func (e *Engine) keptOrAway(name string, kind state.Kind) bool {
	return e.Configured(name, kind) || e.away(name)
}

// away says that a provider is not configured.
func (e *Engine) away(name string) bool {
	return !slices.ContainsFunc(e.Providers, func(p provider.Provider) bool { return p.Name() == name })
}

func (e *Engine) clientID(name string) state.ClientID {
	id, err := e.NewID()
	if err != nil {
		id = fmt.Sprintf("%06x", e.Now().UnixNano()&0xffffff)
	}
	return state.ClientID(name + "-" + id)
}

// commit writes what accept said of in, and takes it into memory once it is durable.
func (e *Engine) commit(head string, in accept.Input, r accept.Result) error {
	var fresh []state.Client
	e.mu.Lock()
	for _, c := range r.Clients {
		if _, known := e.seq[c.ID]; !known {
			fresh = append(fresh, c)
		}
	}
	e.mu.Unlock()
	fresh = append(fresh, named(in.Clients, r.Clients)...)
	e.at(PointAccept)
	judged := r
	err := e.Store.Update(func(tx store.Tx) (err error) {
		r = judged
		if err := sameAsRead(tx, in); err != nil {
			return err
		}
		if err := endsAgain(tx, in, r); err != nil {
			return err
		}
		if err := keepFates(tx, in.Verdicts, &r, e.Now()); err != nil {
			return err
		}
		if r.Clients, err = onTop(tx, in.Clients, judged); err != nil {
			return err
		}
		if err := write(tx, r); err != nil {
			return err
		}
		if err := followed(tx, newWishes(in.Holds, in.Clients, r.Clients)); err != nil {
			return err
		}
		for _, c := range fresh {
			if err := comingSecrets(tx, c.Name, c.ID); err != nil {
				return err
			}
		}
		if r.Held {
			if err := heldBy(tx, head, in.Reviews); err != nil {
				return err
			}
		}
		if !r.Held {
			if err := acceptedBy(tx, head, in.Reviews); err != nil {
				return err
			}
		}
		return forgetVerdicts(tx)
	})
	if err != nil {
		return err
	}
	e.at(PointAccepted)
	e.told.Store(true)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refreshing.again = e.refreshing.again || e.Sources != nil && renames(in.Clients, r.Clients)
	e.refused, e.recheck = "", e.wanted != e.judging // who asked since it was read is not answered
	if !e.again {
		e.refusedHas = nil
	}
	if r.Held {
		e.refusedHas = has(in)
		if !e.recheck {
			e.refused = head
		}
	}
	for _, c := range r.Clients {
		e.seq[c.ID] = max(e.seq[c.ID], c.Seq)
		if c.Panics+c.Crashes == 0 {
			delete(e.crashy, c.ID)
			delete(e.turns.suspects, c.ID)
		}
		delete(e.read, c.ID)
		if eff, ok := r.Wishes[c.ID]; ok && len(e.read) < maxRead {
			e.read[c.ID] = readWish{c.Blob, c.TemplateBlob, c.PlatformBlob, eff}
		}
	}
	if r.Baseline != nil {
		if e.baseline != nil && sameFiles(*e.baseline, *r.Baseline) {
			b := *r.Baseline
			e.baseline = &b
		} else {
			e.setBaseline(*r.Baseline)
		}
	}
	e.joined++
	e.addPartners(r.Claims)
	return nil
}

// forgetVerdicts keeps the newest verdicts, and those that may still change.
func forgetVerdicts(tx store.Tx) error {
	all, err := store.VerdictHeads(tx)
	if err != nil || len(all) <= maxVerdicts {
		return err
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Seq > all[j].Seq })
	for _, v := range all[maxVerdicts:] {
		if accept.Open(v) {
			continue
		}
		if err := store.DeleteVerdict(tx, v.Commit); err != nil {
			return err
		}
	}
	return nil
}

func sameFiles(a, b state.Baseline) bool {
	if (a.Platform == nil) != (b.Platform == nil) || len(a.Templates) != len(b.Templates) {
		return false
	}
	if a.Platform != nil && a.Platform.Blob != b.Platform.Blob {
		return false
	}
	for i := range a.Templates {
		if a.Templates[i].Path != b.Templates[i].Path || a.Templates[i].Blob != b.Templates[i].Blob {
			return false
		}
	}
	return true
}

// endApprovals ends with a client that is removed now what was approved of it and did not run;
// with one that comes back, what was approved of its removal.
func endApprovals(tx store.Tx, c state.Client) error {
	was, ok, err := store.Client(tx, c.ID)
	if err != nil || !ok || was.Removed == c.Removed {
		return err
	}
	all, err := store.Approvals(tx)
	if err != nil {
		return err
	}
	for _, a := range all {
		switch {
		case a.Client == c.ID && !a.Ended: // one that is in use, too: it may be given back
			a.Ended = true
		case a.Client == "" && c.Removed && c.RemovedAt.Sub(a.At) < state.ApprovalLife && !slices.Contains(a.Removed, was.Name):
			a.Removed = append(a.Removed, was.Name)
		default:
			continue
		}
		if err := store.PutApproval(tx, a); err != nil {
			return err
		}
	}
	return nil
}

// write puts a result into the store, all of it or nothing.
func write(tx store.Tx, r accept.Result) error {
	var errs firstError
	for _, fp := range r.LiftHolds {
		errs.add(store.DeleteHold(tx, fp))
	}
	for _, h := range r.Holds {
		errs.add(store.PutHold(tx, h))
	}
	for _, t := range r.VoidTombstones {
		errs.add(store.DeleteTombstone(tx, t.Client, t.Part))
	}
	for _, t := range r.Tombstones {
		errs.add(store.PutTombstone(tx, t))
	}
	for _, c := range r.Clients {
		errs.add(endApprovals(tx, c))
		errs.add(store.PutClient(tx, c))
	}
	for _, key := range r.FreeClaims {
		errs.add(store.DeleteClaim(tx, key))
	}
	for _, c := range r.Claims {
		errs.add(store.PutClaim(tx, c))
	}
	for _, a := range r.UsedApprovals {
		errs.add(store.PutApproval(tx, a))
	}
	for _, v := range r.Verdicts {
		errs.add(store.PutVerdict(tx, v))
	}
	if r.Verdict != nil {
		errs.add(store.PutVerdict(tx, *r.Verdict))
	}
	for _, h := range r.History {
		_, err := store.AddHistory(tx, h)
		errs.add(err)
	}
	for _, rep := range r.Reports {
		_, err := store.AddReport(tx, rep)
		errs.add(err)
	}
	if r.Baseline != nil {
		errs.add(store.PutBaseline(tx, *r.Baseline))
	}
	return errs.err
}

// firstError keeps the first of several.
type firstError struct{ err error }

func (f *firstError) add(err error) {
	if f.err == nil {
		f.err = err
	}
}
