package accept

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// The fates of a client in a verdict.
const (
	FatePending   = "pending"
	FateSucceeded = "succeeded"
	FateFailed    = "failed"
	FateHeld      = "held"
	FateInvalid   = "invalid"
	// FateSuperseded is followed by a space and the commit.
	FateSuperseded = "superseded by"
)

// writer turns what was settled into what is to be written.
type writer struct {
	*pass
	s       *settled
	losses  []loss
	put     map[state.ClientID]state.Client
	touched map[state.ClientID]bool
	fate    map[state.ClientID]string
	refused map[state.ClientID]string // what is wrong with the file of a client
	invalid []state.FileProblem
	holds   map[string]state.Hold
	lift    map[string]bool
	claimed map[string]state.ClientID
	freed   map[string]bool
	stones  map[string]state.Tombstone
	void    map[string]state.Tombstone
	created []*candidate
	ids     map[*candidate]state.ClientID
	wave    []state.ClientID // touched by what they inherit alone
	// goesOn are removals that waited and wait no more: the verdict of the commit
	// that removed the client speaks of them, not this head's
	goesOn map[state.ClientID]string
	// waitsNow are those that were on their way and wait now, likewise
	waitsNow map[state.ClientID]string
}

func (w *writer) write() Result {
	w.holds, w.lift = map[string]state.Hold{}, map[string]bool{}
	w.claimed, w.freed = map[string]state.ClientID{}, map[string]bool{}
	w.stones, w.void = map[string]state.Tombstone{}, map[string]state.Tombstone{}
	w.ids, w.goesOn, w.waitsNow = map[*candidate]state.ClientID{}, map[state.ClientID]string{}, map[state.ClientID]string{}
	w.removals()
	for _, k := range w.s.candidates() {
		w.accept(k)
	}
	w.refusals()
	w.waiting()
	w.creates()
	w.fleet()
	w.standing()
	w.thaw()
	w.filesOut()
	w.baseline()
	w.ledger()
	w.verdict()
	w.finish()
	return w.res
}

// get is a client as it is by now.
func (w *writer) get(id state.ClientID) state.Client {
	if c, ok := w.put[id]; ok {
		return c
	}
	return w.clients.get(id)
}

func (w *writer) set(c state.Client) {
	c.UpdatedAt = w.in.Now
	w.put[c.ID] = c
}

func stoneKey(t state.Tombstone) string { return string(t.Client) + "\x00" + t.Part }

// removals writes the tombstones, and the clients whose manifest is gone.
func (w *writer) removals() {
	for _, l := range w.losses {
		for _, t := range l.stones {
			t.Done = t.Done || isHost(t) && !pending(t, w.in.Now)
			w.stones[stoneKey(t)] = t
		}
		if !w.gone(w.s, l.client.ID) {
			continue
		}
		c, t := l.client, l.stones[0]
		c.Removed, c.RemovedAt, c.InvalidBlob = true, w.in.Now, ""
		c.Status, c.Because, c.Settled = state.StatusDeleting, "Its manifest was removed in "+short(w.in.Head)+".", false
		c.Next, c.Waits, c.Failures, c.Seq = "", "", 0, w.seq()
		c.RetryAt = time.Time{} // what its wish waited for is no date of its removal
		anew(&c)
		c.Review = w.review([]string{c.Path}, nil, c.Review)
		w.fate[c.ID] = FatePending
		switch {
		case t.Held != "":
			c.Status, c.Because, w.fate[c.ID] = state.StatusHeld, "Its removal waits: `reconciler approve "+t.Held+"`, or revert.", FateHeld
		case t.Waits != "":
			c.Status, c.Because, w.fate[c.ID] = state.StatusHeld, "Its removal waits until "+strings.Join(WaitsFor(t), ", ")+" is valid.", FateHeld
		case t.NotUntil.After(w.in.Now):
			c.Because = "It goes at " + t.NotUntil.UTC().Format("15:04 on 2 January 2006") + " UTC; a revert until then costs nothing."
		}
		w.touched[c.ID] = true
		w.set(c)
		w.note(c, "removed", c.Because)
	}
}

// accept writes one candidate's wish.
func (w *writer) accept(k *candidate) {
	if k.same {
		w.keep(k)
		return
	}
	c := k.client
	was := c
	switch k.who {
	case newcomer:
		c = w.mint(k)
	case returned, renamed:
		c = w.revive(k, c)
	}
	if k.who != newcomer {
		w.regain(k, c)
	}
	changed := k.who == newcomer || k.who == returned || w.moved(k, was)
	if k.name != c.Name {
		c.Former = append(slices.DeleteFunc(slices.Clone(c.Former), func(n string) bool { return n == k.name }), c.Name)
		c.Name = k.name
		changed = true
	}
	if k.who == newcomer && w.in.Baseline == nil || k.who == renamed {
		for _, n := range k.eff.Previously {
			if n != c.Name && !slices.Contains(c.Former, n) {
				c.Former = append(c.Former, n)
			}
		}
	}
	if !k.inherited {
		c.Path, c.Blob, c.Manifest = k.path, k.blob, k.data
		if c.InvalidBlob != "" {
			valid(&c)
			w.goOn(&c)
			w.takeBack(c)
		}
	} else if c.InvalidBlob == c.Blob {
		valid(&c)
		w.takeBack(c)
	}
	c.Accepted, c.TemplateBlob, c.PlatformBlob = w.in.Head, k.eff.TemplateBlob, w.now.platform
	for _, key := range k.wants {
		w.claimed[key] = c.ID
	}
	if changed {
		w.touch(k, &c, was)
	}
	if changed || !sameClient(c, was) {
		w.set(c)
	}
	if changed {
		if w.res.Wishes == nil {
			w.res.Wishes = map[state.ClientID]manifest.Effective{}
		}
		w.res.Wishes[c.ID] = k.eff
	}
}

// moved says that the wish itself changed. A difference that only a newer
// version of this program makes waits for a change of the client's own file.
func (w *writer) moved(k *candidate, was state.Client) bool {
	if k.hash == was.WishHash {
		return false
	}
	if !w.follows(k) {
		return true
	}
	e, ok := w.before(was)
	return !ok || e.Hash() != k.hash
}

// touch makes the wish the newest, so that a pass follows.
func (w *writer) touch(k *candidate, c *state.Client, was state.Client) {
	c.WishHash, c.Commit, c.Seq = k.hash, w.in.Head, w.seq()
	c.Settled, c.Waits, c.Failures = false, "", 0
	c.RetryAt = time.Time{}
	anew(c)
	c.Review = w.review(append([]string{k.path, was.Path}, w.inheritedBy(k, was)...), w.late(k.path, k.blob), w.earlier(k.path, k.blob, was.Review))
	if c.Status == state.StatusFailed {
		c.Status, c.Because, c.Next = state.StatusPending, "", ""
	}
	w.fate[c.ID] = FatePending
	if w.follows(k) {
		w.wave = append(w.wave, c.ID)
		return
	}
	w.touched[c.ID] = true
	what := map[identity]string{newcomer: "is new", existing: "changed", renamed: "was " + k.from, returned: "is back"}[k.who]
	w.note(*c, "accepted", k.path+" "+what+" in "+short(w.in.Head))
}

// anew lets a client that crashed the program try again: its wish is another one, or what
// it waited for is over.
func anew(c *state.Client) { c.Panics, c.Crashes, c.Quarantined = 0, 0, time.Time{} }

// keep notes where an unchanged file is now.
func (w *writer) keep(k *candidate) {
	c := k.client
	if c.Path == k.path && c.InvalidBlob == "" {
		return
	}
	if c.InvalidBlob != "" {
		valid(&c)
		w.goOn(&c)
		w.takeBack(c)
	}
	c.Path = k.path
	w.set(c)
}

// takeBack takes out of the head's verdict that a client's file is invalid, where the head is judged once more and
// it is valid: the configuration was mended, say. No pass of that head follows where its wish is what it was.
func (w *writer) takeBack(c state.Client) {
	for _, v := range w.in.Verdicts {
		if v.Commit != w.in.Head || v.Clients[c.ID] != FateInvalid {
			continue
		}
		switch {
		case c.Commit != w.in.Head: // the head asked for nothing of it
			w.fate[c.ID] = ""
		case c.Status == state.StatusFailed:
			w.fate[c.ID] = FateFailed
		case c.Status == state.StatusHeld:
			w.fate[c.ID] = FateHeld
		case !c.Settled:
			w.fate[c.ID] = FatePending
		default:
			w.fate[c.ID] = FateSucceeded
		}
	}
}

// goOn lets a client pass whose file is valid again, if parts of it are still to be removed:
// that has waited for the file.
func (w *writer) goOn(c *state.Client) {
	if slices.ContainsFunc(w.tombs[c.ID], func(t state.Tombstone) bool { return t.Part != "" && !t.Done && !pending(t, w.in.Now) }) {
		wake(c)
		w.touched[c.ID] = true
	}
}

// wake lets a client go on: a pass that is under way, of a moment when it could not, does not
// end that, and should the process die before the next pass, the next start finds it.
func wake(c *state.Client) {
	c.Settled, c.RetryAt = false, time.Time{}
	c.Wakes++
}

// seq is what the wishes of this head are numbered with. A head that is judged again may give
// a client its second wish: that is a newer one for whoever passes the first.
func (w *writer) seq() uint64 {
	if b := w.in.Baseline; b != nil && w.base.Seq == b.Seq {
		w.base.Seq++
	}
	return w.base.Seq
}

// mint makes a new identity.
func (w *writer) mint(k *candidate) state.Client {
	c := state.Client{Generation: 1, Name: k.name, Status: state.StatusPending, Health: state.Unknown, CreatedAt: w.in.Now}
	for _, ids := range [][]state.ClientID{w.removed[k.name], w.former[k.name]} {
		for _, id := range ids {
			c.Generation = max(c.Generation, w.clients.get(id).Generation+1)
		}
	}
	c.ID = w.in.NewID(k.name)
	w.ids[k] = c.ID
	w.created = append(w.created, k)
	return c
}

// revive takes a removal back: the tombstone of the whole client is void.
func (w *writer) revive(k *candidate, c state.Client) state.Client {
	for _, t := range w.tombs[c.ID] {
		if t.Part == "" {
			w.void[stoneKey(t)] = t
		}
	}
	if c.Removed {
		c.Removed, c.RemovedAt, c.LivedOn = false, time.Time{}, false
		c.Status, c.Because, c.Next = state.StatusPending, "", ""
	}
	return c
}

// regain voids the tombstones of parts that the wish has again.
func (w *writer) regain(k *candidate, c state.Client) {
	if len(w.tombs[c.ID]) == 0 {
		return
	}
	parts := w.parts(k.path, c, k.eff)
	for _, t := range w.tombs[c.ID] {
		host, isHost := strings.CutPrefix(t.Part, HostPart+"/")
		if isHost && slices.Contains(k.wants, "host:"+host) || t.Part != "" && slices.Contains(parts, t.Part) {
			w.void[stoneKey(t)] = t
		}
	}
}

// sameClient compares what accept may change.
func sameClient(a, b state.Client) bool {
	return a.Path == b.Path && a.Blob == b.Blob && a.InvalidBlob == b.InvalidBlob && a.Because == b.Because && a.TemplateBlob == b.TemplateBlob && a.PlatformBlob == b.PlatformBlob && a.Name == b.Name
}

// refusals writes what is invalid; its client keeps its last good version.
func (w *writer) refusals() {
	for _, k := range append(append([]*candidate(nil), w.files...), w.fallbackList()...) {
		problems := append(append([]state.FileProblem(nil), k.problems...), w.s.failed[k]...)
		if k.reuse != "" {
			w.ambiguous(k)
			continue
		}
		if len(problems) == 0 {
			continue
		}
		w.refuse(k, problems)
	}
	for _, file := range keys(w.changed) {
		if class := w.layout.Classify(file); class != manifest.ClassClient && !w.deleted[file] {
			w.invalid = append(w.invalid, w.problems[file]...)
		}
	}
}

// fallbackList are the last good versions, by path; those that a valid file
// stands in for are not among them.
func (w *writer) fallbackList() []*candidate {
	var out []*candidate
	for id, k := range w.fallbacks {
		if a := w.s.active[id]; a == nil || a == k {
			out = append(out, k)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].path < out[j].path })
	return out
}

// unreadable stands for the blob of a file that can't be read.
const unreadable = "unreadable"

func (w *writer) refuse(k *candidate, problems []state.FileProblem) {
	file := k.path
	if len(w.problems[file]) == 0 {
		w.problems[file] = problems
	}
	if w.changed[file] || k.inherited {
		w.invalid = append(w.invalid, problems...)
	}
	if k.who != existing || k.client.ID == "" {
		if w.changed[file] {
			w.note(state.Client{Name: k.name}, "invalid", describe(problems[0]))
		}
		return
	}
	c := w.get(k.client.ID)
	mark := k.blob
	if mark == "" {
		mark = unreadable
	}
	if c.InvalidBlob == mark && c.Path == file {
		return
	}
	if k.inherited && c.InvalidBlob != "" {
		return // its file is invalid too: that is said already
	}
	c.InvalidBlob, c.Path = mark, file
	why := describe(problems[0]) + lastGoodStays
	if c.Because == "" || strings.HasSuffix(c.Because, lastGoodStays) { // else why it failed, say, or is in quarantine, goes on being said: the problem is in the list of them, too
		c.Because = why
	}
	if w.fate[c.ID] == "" {
		w.fate[c.ID] = FateInvalid // else its last good version changes all the same
	}
	w.set(c)
	w.note(c, "invalid", why)
	w.refused[c.ID] = why
}

// lastGoodStays ends what is said of a client whose file at the head is invalid, where there is nothing else to say.
const lastGoodStays = ". Its last good version stays."

// valid takes back that a client's file is invalid.
func valid(c *state.Client) {
	if c.InvalidBlob = ""; strings.HasSuffix(c.Because, lastGoodStays) {
		c.Because = ""
	}
}

// ruleReuse is broken by a file that does not say whose database it wants.
const ruleReuse = "reuse"

// ambiguous holds a newcomer that takes a name with a retained database. Only
// another commit helps, so that the verdict of this one ends: the file is invalid.
func (w *writer) ambiguous(k *candidate) {
	old := w.clients.get(k.reuse)
	h := state.Hold{Kind: state.HoldReuse, Client: old.ID, Commit: w.in.Head, At: w.in.Now, Fingerprint: reusePrint(k.path, old.ID)}
	h.Reason = fmt.Sprintf("%s was removed and its database is still here; %s doesn't say whether it is the same client.", old.Name, k.path)
	h.Act = "Say database.reuse: retained (that database) or fresh (a new one) in " + k.path + "."
	if w.linked(old.ID, k.path) { // as the revert of a rename is
		h.Reason = fmt.Sprintf("%s is removed here, and %s has a name that it had, and doesn't say whether it is the same client.", old.Name, k.path)
		h.Act = fmt.Sprintf("Say previously: [%s] in %s: it keeps its site and its data. database.reuse: fresh begins anew.", old.Name, k.path)
	}
	w.holds[h.Fingerprint] = h
	w.problems[k.path] = []state.FileProblem{{Path: k.path, Blob: k.blob, Client: k.name, Rule: ruleReuse, Text: h.Reason, Hint: h.Act}}
	if w.changed[k.path] {
		w.invalid = append(w.invalid, w.problems[k.path]...)
		w.note(state.Client{ID: old.ID, Name: k.name}, "held", h.Reason)
	}
}

func reusePrint(file string, id state.ClientID) string { return fingerprint("reuse", file, string(id)) }

// describe is a problem in one line.
func describe(q state.FileProblem) string { return q.Place() + ": " + q.Text }

// waiting looks again at the removals that wait for a file, and at those whose client's own
// file is back and invalid: that is an error and never an absence, also of whom an earlier
// head removed.
func (w *writer) waiting() {
	brought := w.brought()
	for _, t := range w.in.Tombstones {
		key := stoneKey(t)
		if _, void := w.void[key]; void || t.Done {
			continue
		}
		if _, again := w.stones[key]; again {
			continue
		}
		files := w.waited(t)
		if c := w.get(t.Client); t.Part == "" && c.Removed {
			files = append(slices.Clone(files), w.back(c, brought)...)
			sort.Strings(files)
			files = slices.Compact(files)
		}
		var left []string
		for _, file := range files {
			if len(w.problems[file]) > 0 {
				left = append(left, file)
			}
		}
		waits, goes := strings.Join(left, "\n"), !pending(t, w.in.Now)
		switch {
		case waits == t.Waits:
		case goes:
			t.Waits = waits
			w.detain(t)
		default:
			t.Waits = waits
			w.loosen(t)
		}
	}
}

// thaw lets those look again who wait for the end of a freeze, once the platform file says another one, or none. It
// is no wish of theirs: in a wave they stay under way.
func (w *writer) thaw() {
	if slices.Equal(w.old.freezes(), w.now.freezes()) {
		return
	}
	var holds []state.Hold
	for _, h := range w.in.Holds {
		if _, again := w.holds[h.Fingerprint]; !again && !w.lift[h.Fingerprint] {
			holds = append(holds, h)
		}
	}
	for _, h := range w.holds {
		holds = append(holds, h)
	}
	for _, h := range w.in.Holds {
		c := w.get(h.Client)
		if _, bound := Bound(holds, c.ID); h.Kind != state.HoldFreeze || c.ID == "" || bound {
			continue
		}
		wake(&c)
		w.set(c)
		w.touched[c.ID] = true
	}
}

// back are the files by which a removed client is put back, and which are invalid: its own, or one of its name that the
// range brings, wherever that is (brought).
func (w *writer) back(c state.Client, brought map[string][]string) []string {
	out := brought[c.Name]
	if w.asks(c.Path) && !slices.Contains(out, c.Path) {
		out = append(slices.Clone(out), c.Path)
	}
	return out
}

// brought are the invalid files of clients that the range brings, by the names that they are to have.
func (w *writer) brought() map[string][]string {
	out := map[string][]string{}
	for file := range w.changed {
		if proper := w.layout.Proper(file); w.asks(file) && w.layout.Classify(proper) == manifest.ClassClient {
			out[nameOf(proper)] = append(out[nameOf(proper)], file)
		}
	}
	return out
}

// asks says that a file is there, and invalid. Whose it is that has a client's name and another domain, it has to
// say: see ambiguous.
func (w *writer) asks(file string) bool {
	problems := w.problems[file]
	return len(problems) > 0 && problems[0].Rule != ruleReuse
}

// detain writes a removal that was on its way and waits now. Its pass ends at the next step.
func (w *writer) detain(t state.Tombstone) {
	c := w.get(t.Client)
	c.Status, c.Because, c.Next = state.StatusHeld, "Its removal waits until "+strings.Join(WaitsFor(t), ", ")+" is valid.", ""
	c.Seq = w.seq()
	wake(&c)
	w.set(c)
	w.touched[c.ID], w.waitsNow[c.ID] = true, t.Commit
	w.stones[stoneKey(t)] = t
}

// loosen writes a tombstone that waits for less than before.
func (w *writer) loosen(t state.Tombstone) {
	if !pending(t, w.in.Now) {
		t.Done = isHost(t)
		if c := w.get(t.Client); t.Part == "" && c.Removed {
			c.Status, c.Because, c.Next = state.StatusDeleting, "Its manifest was removed in "+short(t.Commit)+".", ""
			wake(&c)
			anew(&c)
			w.set(c)
		} else if t.Part != "" {
			wake(&c)
			w.set(c)
		}
		w.touched[t.Client] = true
		if t.Part == "" {
			w.goesOn[t.Client] = t.Commit
		}
	} else if c := w.get(t.Client); t.Part == "" && c.Removed && t.Held == "" {
		wake(&c) // it says what it waits for by now
		w.set(c)
		w.touched[t.Client] = true
	}
	w.stones[stoneKey(t)] = t
}
