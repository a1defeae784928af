package accept

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// maxFailures is how many clients a fleet's change may fail on.
const maxFailures = 3

// The stages of a fleet's change.
const (
	stageOne = iota + 1
	stageTenth
	stageRest
)

// Spread says how a change that many clients inherit reaches them, when it has no
// head of its own (a new version of a shared secret): who goes now, and the hold
// of the others; nil when all may go. version tells one such change from the next.
// An approval that was given before is the caller's to find.
func Spread(g Guard, what, version string, clients []state.Client, now time.Time) ([]state.ClientID, *state.Hold) {
	active := 0
	for _, c := range clients {
		if isActive(c) {
			active++
		}
	}
	return spread(g.MaxChanged, active, what, "", clients, func(state.ClientID) string { return version }, now)
}

// Overtake takes clients that a later change reaches, which has no head of its own, out of the holds of earlier
// ones, as a head does: a client waits in one of them, or nobody's pass would let it go. Who waits in one that
// was stopped stays there, for a person, and gets the later change with it. It returns who is left to be spread,
// and whether some waited: then they go in waves, however few they are. Touched begin now in what is left of the
// earlier ones.
func Overtake(holds []state.Hold, clients []state.Client) (left []state.Client, waited bool, res Result) {
	left = slices.Clone(clients)
	reached := func(id state.ClientID) bool {
		return slices.ContainsFunc(left, func(c state.Client) bool { return c.ID == id })
	}
	for _, h := range holds {
		if h.Kind == state.HoldFleet && (h.Waves == nil || h.Waves.Halted) {
			left = slices.DeleteFunc(left, func(c state.Client) bool { return slices.Contains(h.Clients, c.ID) })
		}
	}
	for _, h := range holds {
		if h.Kind != state.HoldFleet || h.Waves == nil {
			continue
		}
		v := *h.Waves
		out := func(ids []state.ClientID) []state.ClientID { return slices.DeleteFunc(slices.Clone(ids), reached) }
		had := len(h.Clients) + len(v.Out) + len(v.Failed) + len(v.Well)
		waited = waited || slices.ContainsFunc(h.Clients, reached)
		h.Clients, v.Out, v.Failed, v.Well = out(h.Clients), out(v.Out), out(v.Failed), out(v.Well)
		if had == len(h.Clients)+len(v.Out)+len(v.Failed)+len(v.Well) {
			continue
		}
		h.Waves = &v
		next, over := advance(&h)
		if over {
			res.LiftHolds = append(res.LiftHolds, h.Fingerprint)
			continue
		}
		say(&h)
		res.Touched = append(res.Touched, next...)
		res.Holds = append(res.Holds, h)
	}
	return left, waited, res
}

func spread(limit, active int, what, commit string, clients []state.Client, hash func(state.ClientID) string, now time.Time) ([]state.ClientID, *state.Hold) {
	clients = slices.Clone(clients)
	sort.Slice(clients, func(i, j int) bool {
		a, b := clients[i], clients[j]
		if tells(a) != tells(b) {
			return tells(a) > tells(b)
		}
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return a.ID < b.ID
	})
	ids := make([]state.ClientID, len(clients))
	for i, c := range clients {
		ids[i] = c.ID
	}
	if active <= limit || len(ids) < 2 {
		return ids, nil
	}
	h := &state.Hold{Kind: state.HoldFleet, Commit: commit, NewHead: commit, Approvable: true, At: now, Clients: ids}
	parts := []string{"fleet", what}
	for _, id := range ids {
		parts = append(parts, string(id), hash(id))
	}
	h.Fingerprint = fingerprint(parts...)
	h.Waves = &state.Waves{What: what, Total: len(ids)}
	first, _ := advance(h)
	h.Reason = fmt.Sprintf("%s touches %s; it runs on %s first.", what, count(len(ids), "client"), clients[0].Name)
	return first, h
}

func isActive(c state.Client) bool { return c.EverDeployed || c.Status == state.StatusActive }

// tells is how much a client's pass says about a change: most when it is well.
func tells(c state.Client) int {
	switch {
	case !isActive(c):
		return 0
	case c.Paused || c.Status != state.StatusActive || c.InvalidBlob != "" || !c.Settled: // it may wait for somebody
		return 1
	}
	return 2
}

// advance lets the next wave go when nobody is under way. over says that all is done.
func advance(h *state.Hold) (next []state.ClientID, over bool) {
	v := h.Waves
	if len(v.Out) > 0 {
		return nil, false
	}
	if len(h.Clients) == 0 {
		return nil, true
	}
	if v.Halted {
		return nil, false
	}
	n := 1
	switch {
	case v.Good == 0:
		v.Stage = stageOne
	case v.Stage < stageTenth:
		v.Stage, n = stageTenth, max(1, v.Total/10)
	default:
		v.Stage, n = stageRest, len(h.Clients)
	}
	n = min(n, len(h.Clients))
	next = slices.Clone(h.Clients[:n])
	v.Out, h.Clients = slices.Clone(next), slices.Clone(h.Clients[n:])
	say(h)
	return next, false
}

// say tells how far the change has come.
func say(h *state.Hold) {
	v := h.Waves
	if v.Halted {
		return // see sayHalted
	}
	which := map[int]string{stageOne: "one", stageTenth: "a tenth", stageRest: "the rest"}[v.Stage]
	h.Reason = fmt.Sprintf("%s touches %s; wave %d of 3 (%s): %d under way, %s, %d to follow.", v.What, count(v.Total, "client"), v.Stage, which, len(v.Out), went(*v), len(h.Clients))
	h.Act = "The others follow when that went well and the sites answer; `reconciler approve " + h.Fingerprint + "` lets all begin at once."
	if len(h.Clients) == 0 {
		h.Act = "Nobody waits any more; after three failures those that have not begun are called back."
	}
}

// went says how a change went so far.
func went(v state.Waves) string { return fmt.Sprintf("%d went well, %d failed", v.Good, len(v.Failed)) }

// InWave returns the fleet's hold that wants to know how the client's pass ended, or how
// its site is now.
func InWave(holds []state.Hold, id state.ClientID) (state.Hold, bool) {
	for _, h := range holds {
		if v := h.Waves; h.Kind == state.HoldFleet && v != nil && (slices.Contains(v.Out, id) || slices.Contains(v.Failed, id) || slices.Contains(v.Well, id)) {
			return h, true
		}
	}
	return state.Hold{}, false
}

// WaveInput is all that NextWave reads.
type WaveInput struct {
	Now  time.Time
	Hold state.Hold // as InWave returns it
	// Ended are the clients to look at; nil: all that the change has reached. More
	// than those that ended may be given.
	Ended []state.ClientID
	// Client reads a client's record as it is after its pass; false: forgotten.
	Client func(state.ClientID) (state.Client, bool)
	// Verdict reads that of Hold.Commit; false: not kept.
	Verdict func(commit string) (state.Verdict, bool)
}

// NextWave goes on with a fleet's change when a client of it has ended its pass, or its
// site's health has changed: one at a time until one went well, then a tenth, then the
// rest. After three failures, together or one at a time, nobody else begins: who was let
// go and has not begun waits again, and only an approval goes on.
//
// A pass has ended when the record is settled: active is well, failed is failed;
// held, paused, removed or changed by a later commit says nothing, but who is held until a date has not ended
// before. Who went well and is
// degraded while the change is under way has failed; who was degraded before the change,
// and its pass did not mend it, says nothing. What is written is the result of the
// records alone, so it may be called again at any time.
func NextWave(in WaveInput) Result {
	var res Result
	h := in.Hold
	if h.Kind != state.HoldFleet || h.Waves == nil {
		return res
	}
	v := *h.Waves
	h.Waves, h.Clients = &v, slices.Clone(h.Clients)
	v.Out, v.Failed, v.Well = slices.Clone(v.Out), slices.Clone(v.Failed), slices.Clone(v.Well)
	ended := in.Ended
	if ended == nil {
		ended = slices.Concat(v.Out, v.Failed, v.Well)
	}
	changed := false
	for _, id := range ended {
		changed = in.note(h.Commit, &v, id) || changed
	}
	note := func(what, text string) {
		res.History = append(res.History, state.Entry{At: in.Now, Commit: h.Commit, What: what, Text: text})
	}
	if !v.Halted && len(v.Failed) >= maxFailures {
		v.Halted, changed = true, true
		in.callBack(&h)
		in.sayHalted(&h)
		if len(h.Clients) > 0 {
			note("held", h.Reason+" "+h.Act)
			in.tell(&res, h)
		}
	}
	if !changed {
		return res
	}
	next, over := advance(&h)
	if say(&h); v.Halted {
		in.sayHalted(&h)
	}
	res.Touched = slices.Clone(next)
	slices.Sort(res.Touched)
	switch {
	case over:
		res.LiftHolds = []string{h.Fingerprint}
		note("rolled out", v.What+": "+went(v)+".")
	case len(next) > 0:
		note("rolling out", h.Reason)
		res.Holds = []state.Hold{h}
	default:
		res.Holds = []state.Hold{h}
	}
	return res
}

// note takes in how a client's pass ended, if it did.
func (in WaveInput) note(commit string, v *state.Waves, id state.ClientID) bool {
	failed, well := slices.Contains(v.Failed, id), slices.Contains(v.Well, id)
	if !failed && !well && !slices.Contains(v.Out, id) {
		return false
	}
	c, ok := in.Client(id)
	gone := !ok || c.Removed || commit != "" && c.Commit != commit
	active := c.Status == state.StatusActive
	bad := c.Status == state.StatusFailed || active && c.Health == state.Degraded && (failed || well)
	good := active && c.Health != state.Degraded
	switch {
	case gone:
	case !c.Settled, failed && bad, well && good:
		return false
	case waitsForDate(c):
		return false // it tells then how it went
	}
	without := func(ids []state.ClientID) []state.ClientID {
		return slices.DeleteFunc(ids, func(other state.ClientID) bool { return other == id })
	}
	v.Out, v.Failed, v.Well = without(v.Out), without(v.Failed), without(v.Well)
	switch {
	case gone:
		return true // what it said while it was watched stays said
	case well:
		v.Good--
	}
	switch {
	case bad:
		v.Failed = append(v.Failed, id)
	case good:
		v.Good++
		v.Well = append(v.Well, id)
	}
	return true
}

// waitsForDate says that a client is held until a date, the end of a freeze say, and goes on by itself then: its pass
// is yet to come.
func waitsForDate(c state.Client) bool {
	return c.Status == state.StatusHeld && !c.RetryAt.IsZero()
}

// callBack puts those that were let go and have not begun back to the front.
func (in WaveInput) callBack(h *state.Hold) {
	var under, back []state.ClientID
	for _, id := range h.Waves.Out {
		if c, ok := in.Client(id); ok && !begun(c) {
			back = append(back, id)
		} else {
			under = append(under, id)
		}
	}
	h.Waves.Out, h.Clients = under, append(back, h.Clients...)
}

// begun says that a pass is under way, or was cut off in its middle.
func begun(c state.Client) bool {
	return c.Attempts > 0 || c.Run != "" || c.Failures > 0 || len(c.Undo) > 0 || c.RollingBack != ""
}

// sayHalted tells of a change that was stopped.
func (in WaveInput) sayHalted(h *state.Hold) {
	v := *h.Waves
	h.Reason = fmt.Sprintf("%s failed on %s of %d; %s wait, %d went well.", v.What, orElse(in.failed(v), "three"), v.Total, count(len(h.Clients), "client"), v.Good)
	h.Act = "Mend it, or `reconciler approve " + h.Fingerprint + "` to go on with the others."
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (in WaveInput) failed(v state.Waves) string {
	var out []string
	for _, id := range v.Failed {
		if c, ok := in.Client(id); ok {
			out = append(out, c.Name)
		}
	}
	sort.Strings(out)
	return strings.TrimSpace(list(out))
}

// tell reports a change that was stopped: in its verdict the others are held.
func (in WaveInput) tell(res *Result, h state.Hold) {
	v, ok := state.Verdict{}, false
	if in.Verdict != nil && h.Commit != "" {
		v, ok = in.Verdict(h.Commit)
	}
	if !ok {
		return
	}
	v.Clients = copyFates(v.Clients)
	for _, id := range h.Clients {
		if v.Clients[id] == FatePending {
			v.Clients[id] = FateHeld
		}
	}
	Conclude(&v, in.Now)
	res.Verdicts = []state.Verdict{v}
	text := h.Reason + " " + h.Act
	res.Reports = []state.Report{{Subject: "commit/" + h.Commit, State: v.State, Text: clip(text), Detail: text, At: in.Now}}
}
