package accept

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// hold puts a hold of this head, with the time of the first sight.
func (w *writer) hold(h state.Hold) { w.holds[h.Fingerprint] = h }

// creates holds more new clients than the guard allows: all of this range's.
// Those that name an existing site or database to adopt go on.
func (w *writer) creates() {
	var fresh []*candidate
	for _, k := range w.created {
		if !k.takesOver() {
			fresh = append(fresh, k)
		}
	}
	if len(fresh) == 0 {
		return
	}
	limit, lately := w.guard().MaxCreates, 0
	for i := range w.clients {
		c := &w.clients[i]
		id := c.ID
		if c.CreatedAt.After(w.in.Now.Add(-Window)) && !w.neverBegun(id) {
			lately++
		}
	}
	w.res.New, w.res.Room = len(fresh), limit-lately-len(fresh)
	if w.res.Room >= 0 {
		return
	}
	sort.Slice(fresh, func(i, j int) bool { return fresh[i].name < fresh[j].name })
	parts := []string{"creates"}
	h := state.Hold{Kind: state.HoldCreates, Commit: w.in.Head, NewHead: w.in.Head, Approvable: true, At: w.in.Now}
	for _, k := range fresh {
		parts = append(parts, k.name, k.blob)
		h.Clients = append(h.Clients, w.ids[k])
	}
	h.Fingerprint = fingerprint(parts...)
	h.Reason = fmt.Sprintf("%s in 24 hours; the guard allows %d.", count(lately+len(fresh), "new client"), limit)
	h.Act = "`reconciler approve " + h.Fingerprint + "` lets them begin."
	if w.in.EmptyState {
		h.Reason, h.Act = fmt.Sprintf("First start: %s, none known.", count(len(fresh), "client")), "Adopt, or approve "+h.Fingerprint+"."
	}
	if a, ok := approved(w.in.Approvals, h.Fingerprint, w.in.Now); ok {
		w.use(a)
		w.note(state.Client{}, "approved", h.Reason)
		return
	}
	w.hold(h)
	for _, id := range h.Clients {
		c := w.get(id)
		c.Status, c.Because = state.StatusHeld, h.Reason+" "+h.Act
		w.set(c)
	}
}

// takesOver says that a file names a site or a database that exists. Beside an account for payments, or a record,
// all else is made.
func (k *candidate) takesOver() bool {
	for kind := range k.eff.Adopt {
		if kind == string(state.KindSite) || kind == string(state.KindDatabase) {
			return true
		}
	}
	return false
}

// fleet lets a change of what clients inherit run in waves when it touches more
// active ones than the guard allows, or one that still waits for an earlier such
// change. Approving the hold lets all go at once; a commit of a client's own takes
// that client out of it.
func (w *writer) fleet() {
	var wave []state.Client
	active, waits := 0, false
	for _, id := range w.wave {
		was := w.clients.get(id)
		if w.neverBegun(id) {
			continue // it waits in a hold of its own
		}
		if h, bound := Bound(w.in.Holds, id); bound && h.Kind == state.HoldFleet {
			if was.Converged == w.get(id).WishHash {
				w.touched[id] = true // back to what it has: nothing will be done
				continue
			}
			waits = true
		}
		if isActive(was) {
			active++
		}
		wave = append(wave, was)
	}
	limit := w.guard().MaxChanged
	if waits {
		limit = 0
	}
	hashes := func(id state.ClientID) string { return w.get(id).WishHash }
	first, h := spread(limit, active, list(w.inherits), w.in.Head, wave, hashes, w.in.Now)
	for _, id := range first {
		w.touched[id] = true
	}
	if h == nil {
		return
	}
	if a, ok := approved(w.in.Approvals, h.Fingerprint, w.in.Now); ok {
		w.use(a)
		w.note(state.Client{}, "approved", h.Reason)
		for _, c := range wave {
			w.touched[c.ID] = true
		}
		return
	}
	w.hold(*h)
	w.note(state.Client{}, "held", h.Reason)
}

// standing goes through the holds that were there: they outlive later commits
// for as long as they bind something.
func (w *writer) standing() {
	for _, h := range w.newHolds {
		accepted := map[string]bool{}
		for _, t := range w.stones {
			accepted[removal(t)] = t.Held == h.Fingerprint
		}
		h.Removals = slices.DeleteFunc(h.Removals, func(r string) bool { return accepted[r] })
		w.hold(h)
	}
	for _, h := range w.in.Holds {
		if again, ok := w.holds[h.Fingerprint]; ok {
			again.At = h.At
			w.holds[h.Fingerprint] = again
			continue
		}
		switch h.Kind {
		case state.HoldGuard:
			w.lift[h.Fingerprint] = !w.binds(h.Fingerprint)
		case state.HoldRebuild:
			w.lift[h.Fingerprint] = len(h.Clients) == 0 && !w.binds(h.Fingerprint) || slices.Contains(h.Steps, OlderWish) && w.anew(h.Client)
			if !w.lift[h.Fingerprint] {
				w.bind(h)
			}
		case state.HoldReuse:
			for file := range w.evaluated {
				if reusePrint(file, h.Client) == h.Fingerprint {
					w.lift[h.Fingerprint] = true
				}
			}
		case state.HoldCreates:
			w.trim(h, func(id state.ClientID) bool {
				k := w.s.active[id]
				return k == nil || k.same || !k.takesOver()
			})
		case state.HoldFleet:
			w.surf(h)
		}
	}
	w.bound()
}

// OlderWish is the step of a hold that binds a client to nothing but its wish: it is that
// of an older state, and a newer one ends the hold.
const OlderWish = "older wish"

// anew says that the client's own file was accepted, or is gone.
func (w *writer) anew(id state.ClientID) bool {
	return w.touched[id] && !slices.Contains(w.wave, id) || w.get(id).Removed
}

// binds says that a tombstone still waits for the hold.
func (w *writer) binds(print string) bool {
	for _, t := range w.in.Tombstones {
		key := stoneKey(t)
		if _, void := w.void[key]; void {
			continue
		}
		if now, ok := w.stones[key]; ok {
			t = now
		}
		if t.Held == print && !t.Done {
			return true
		}
	}
	return false
}

// trim takes out of a hold the clients that it binds no more.
func (w *writer) trim(h state.Hold, stays func(state.ClientID) bool) {
	var left []state.ClientID
	for _, id := range h.Clients {
		if c, ok := w.clients.find(id); !ok || w.get(id).Removed {
			continue
		} else if stays(id) {
			left = append(left, id)
		} else if h.Kind == state.HoldCreates && c.Status == state.StatusHeld {
			c = w.get(id)
			c.Status, c.Because = state.StatusPending, ""
			w.set(c)
		}
	}
	switch {
	case len(left) == 0:
		w.lift[h.Fingerprint] = true
	case len(left) < len(h.Clients):
		h.Clients = left
		w.hold(h)
	default:
		w.bind(h)
	}
}

// surf takes out of a fleet's hold the clients that are touched anew or gone; when
// nobody is under way then, the next ones follow.
func (w *writer) surf(h state.Hold) {
	anew := func(id state.ClientID) bool {
		_, known := w.clients.find(id)
		return !known || w.touched[id] || slices.Contains(w.wave, id) || w.get(id).Removed
	}
	had := len(h.Clients)
	h.Clients = slices.DeleteFunc(slices.Clone(h.Clients), anew)
	if h.Waves == nil {
		w.lift[h.Fingerprint] = len(h.Clients) == 0
		w.hold(h)
		return
	}
	v := *h.Waves
	v.Out = slices.DeleteFunc(slices.Clone(v.Out), anew)
	v.Failed = slices.DeleteFunc(slices.Clone(v.Failed), anew)
	v.Well = slices.DeleteFunc(slices.Clone(v.Well), anew)
	if had == len(h.Clients) && len(v.Out) == len(h.Waves.Out) && len(v.Failed) == len(h.Waves.Failed) && len(v.Well) == len(h.Waves.Well) {
		w.bind(h)
		return
	}
	h.Waves = &v
	next, over := advance(&h)
	if say(&h); v.Halted {
		WaveInput{Client: w.clients.find}.sayHalted(&h)
	}
	for _, id := range next {
		w.touched[id] = true
	}
	if over {
		w.lift[h.Fingerprint] = true
		return
	}
	w.hold(h)
}

// bound keeps what a hold binds from being touched.
func (w *writer) bound() {
	for _, h := range w.holds {
		w.bind(h)
	}
}

func (w *writer) bind(h state.Hold) {
	if h.Kind != state.HoldCreates && h.Kind != state.HoldFleet && h.Kind != state.HoldRebuild {
		return
	}
	for _, id := range h.Clients {
		if h.Kind != state.HoldFleet && w.fate[id] == FatePending && !w.get(id).Removed {
			w.fate[id] = FateHeld
		}
		c := w.get(id)
		if c.Removed {
			continue
		}
		if h.Kind == state.HoldRebuild && w.touched[id] && c.InvalidBlob == "" {
			c.Status, c.Because, c.Next = state.StatusHeld, h.Reason, h.Act
			w.set(c)
		}
		delete(w.touched, id)
	}
}

// ledger works out the claims.
func (w *writer) ledger() {
	w.forget()
	for _, key := range keys(w.claimed) {
		if have, ok := w.claims.find(key); !ok || have.Client != w.claimed[key] {
			w.res.Claims = append(w.res.Claims, state.Claim{Key: key, Client: w.claimed[key], Since: w.in.Head, From: before(have, w.claimed[key])})
		}
	}
	for _, key := range keys(w.freed) {
		if _, taken := w.claimed[key]; taken {
			continue
		}
		have, _ := w.claims.find(key)
		left := state.Claim{Key: key, Since: have.Since, From: before(have, "")}
		if left.Joins() {
			w.res.Claims = append(w.res.Claims, left)
		} else {
			w.res.FreeClaims = append(w.res.FreeClaims, key)
		}
	}
}

// before are those that the next owner of a claim takes it over from.
func before(c state.Claim, next state.ClientID) []state.ClientID {
	var out []state.ClientID
	for _, id := range append(slices.Clone(c.From), c.Client) {
		if id != "" && id != next && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// free lets a claim go when it is the client's. Those who had the name before, and may have it
// still, pass together with him until they have not: what the name of one redirects to may go
// with the other.
func (w *writer) free(id state.ClientID, key string) {
	if have, ok := w.claims.find(key); ok && have.Client == id {
		w.freed[key] = true
	}
}

// forget frees the names of what is gone, and drops tombstones of clients that are forgotten, and of host names,
// that neither the guard needs any more nor who has the name still. Until then a name that was
// let go stays with its last owner, and whoever asks for it gets it from there, so that both
// pass as one group.
func (w *writer) forget() {
	gone := map[state.ClientID]bool{}
	for _, t := range w.in.Tombstones {
		key := stoneKey(t)
		if now, ok := w.stones[key]; ok {
			t = now
		}
		if _, void := w.void[key]; void || pending(t, w.in.Now) {
			continue
		}
		_, known := w.clients.find(t.Client)
		switch {
		case !known: // nothing was kept of it, and it is here for the guard alone
			if !t.At.After(w.in.Now.Add(-Window)) || w.lives(w.s, t.Name) {
				w.void[key] = t
			}
		case t.Part == "" && t.Done && w.get(t.Client).Removed:
			gone[t.Client] = true
		case !isHost(t):
		case !t.At.After(w.in.Now.Add(-Window)) && !w.stillHas(t.Client, hostOf(t)):
			w.void[key] = t
			delete(w.stones, key)
			w.free(t.Client, "host:"+hostOf(t))
		case !t.Done:
			t.Done = true
			w.stones[key] = t
		}
	}
	if len(gone) > 0 {
		for _, c := range w.in.Claims {
			if gone[c.Client] {
				w.free(c.Client, c.Key)
			}
		}
	}
}

// stillHas says that the removal of a name that the client let go is not carried out: it may be
// paused, or wait for an approval, for however long.
func (w *writer) stillHas(id state.ClientID, host string) bool {
	return slices.ContainsFunc(w.tombs[id], func(t state.Tombstone) bool {
		name, is := domainOf(t.Part)
		_, void := w.void[stoneKey(t)]
		return !t.Done && !void && (t.Part == "" || is && name == host)
	})
}

// baseline finishes the new baseline; none when it is the old one.
func (w *writer) baseline() {
	w.base.Problems = nil
	for _, file := range keys(w.problems) {
		for i, q := range w.problems[file] {
			if i == 0 { // it is the file's
				q.Review = w.review([]string{file}, w.late(file, q.Blob), w.earlier(file, q.Blob, nil))
			}
			w.base.Problems = append(w.base.Problems, q)
		}
	}
	w.prune(w.get)
	if w.in.Baseline == nil || !reflect.DeepEqual(*w.base, *w.in.Baseline) {
		w.res.Baseline = w.base
	}
}

// filesOut says of what waits for a file to be mended whether that is at the head still: once it is out, a person may let
// its client go, and while it is back, nobody may.
func (w *writer) filesOut() {
	for _, h := range w.in.Holds {
		c := w.get(h.Client)
		if h.File == "" || w.lift[h.Fingerprint] || !c.Removed || h.Approvable != w.mayBeIts(c, h.File) {
			continue
		}
		h.Approvable = !h.Approvable
		about, _, _ := strings.Cut(h.Reason, h.File)
		if h.Reason = about + h.File + state.NotAccepted; h.Approvable {
			h.Reason = about + h.File + " was taken out."
			for _, t := range w.tombs[c.ID] {
				if t.Held == h.Fingerprint {
					t.Commit = w.in.Head
					w.stones[stoneKey(t)] = t
				}
			}
		}
		w.hold(h)
		c.Because, c.Next = h.Reason, h.Act
		wake(&c)
		w.set(c)
		w.touched[c.ID] = true
	}
}

// mayBeIts says that a file which is not accepted may be a removed client's: it is the one that is named, has its name, or
// names it as who it was.
func (w *writer) mayBeIts(c state.Client, named string) bool {
	for file, problems := range w.problems {
		if len(problems) == 0 {
			continue
		}
		if file == named || nameOf(w.layout.Proper(file)) == c.Name {
			return true
		}
		if m, _ := manifest.DecodeClient(file, w.in.Files[file].Data); slices.Contains(m.Previously, c.Name) {
			return true
		}
	}
	return false
}

// finish hands everything over, sorted.
func (w *writer) finish() {
	for _, c := range w.put {
		w.res.Clients = append(w.res.Clients, c)
	}
	sort.Slice(w.res.Clients, func(i, j int) bool { return w.res.Clients[i].ID < w.res.Clients[j].ID })
	for _, key := range keys(w.void) {
		if _, again := w.stones[key]; !again {
			w.res.VoidTombstones = append(w.res.VoidTombstones, w.void[key])
		}
	}
	for _, key := range keys(w.stones) {
		w.res.Tombstones = append(w.res.Tombstones, w.stones[key])
	}
	for _, print := range keys(w.holds) {
		w.res.Holds = append(w.res.Holds, w.holds[print])
	}
	for _, print := range keys(w.lift) {
		if w.lift[print] {
			w.res.LiftHolds = append(w.res.LiftHolds, print)
		}
	}
	sort.Strings(w.res.LiftHolds)
	w.res.Touched = sortedIDs(w.touched)
}
