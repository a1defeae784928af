package accept

import (
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// pending says that a removal is not to be carried out yet.
func pending(t state.Tombstone, now time.Time) bool {
	return t.Held != "" || t.Waits != "" || t.NotUntil.After(now)
}

// Due are the removals to carry out now: proven, not done, not held, not waiting
// for a file or a time. What only says that a host name was let go is left out.
func Due(tombstones []state.Tombstone, now time.Time) []state.Tombstone {
	var out []state.Tombstone
	for _, t := range tombstones {
		if !t.Done && !pending(t, now) && !isHost(t) {
			out = append(out, t)
		}
	}
	sort.Slice(out, func(i, j int) bool { return stoneKey(out[i]) < stoneKey(out[j]) })
	return out
}

// isHost says that the tombstone only remembers a host name that was let go.
func isHost(t state.Tombstone) bool { return strings.HasPrefix(t.Part, HostPart+"/") }

// hostOf is the name of such a one.
func hostOf(t state.Tombstone) string { return strings.TrimPrefix(t.Part, HostPart+"/") }

// Bound returns the hold that keeps a client from its pass: it waits in a
// creates hold, or behind the first of a fleet's change, or a rebuild is not sure of it.
func Bound(holds []state.Hold, id state.ClientID) (state.Hold, bool) {
	for _, h := range holds {
		if (h.Kind == state.HoldCreates || h.Kind == state.HoldFleet || h.Kind == state.HoldRebuild) && slices.Contains(h.Clients, id) {
			return h, true
		}
	}
	return state.Hold{}, false
}

// Release lets go what a hold of removals, creates, a fleet's change or a rebuild bound,
// and nothing else. It uses the approval, which must be of this hold, unused and
// younger than state.ApprovalLife; else the result is empty.
//
// A hold that bound no removal that was accepted (Again is set: history, or
// names that change hands among those that are held) is not lifted and its
// approval not used: the caller calls Head again, with the approval, for the
// same head. That is right after every Release when Retry is not empty.
func Release(in ReleaseInput) Result {
	var res Result
	if in.Approval.Fingerprint != in.Hold.Fingerprint || !usable(in.Approval, in.Now) || !in.Hold.Approvable {
		return res
	}
	r := &release{in: in, clients: map[state.ClientID]state.Client{}, touched: map[state.ClientID]bool{}, freed: map[state.ClientID]bool{}, changed: map[state.ClientID]bool{}}
	for _, c := range in.Clients {
		r.clients[c.ID] = c
	}
	switch in.Hold.Kind {
	case state.HoldGuard:
		if !r.removals() {
			return Result{Again: true}
		}
	case state.HoldCreates, state.HoldFleet:
		r.starts()
	case state.HoldRebuild:
		r.removals()
		r.starts()
	case state.HoldHistory:
		return Result{Again: true}
	default:
		return res
	}
	return r.result()
}

type release struct {
	in      ReleaseInput
	res     Result
	clients map[state.ClientID]state.Client
	touched map[state.ClientID]bool
	changed map[state.ClientID]bool
	freed   map[state.ClientID]bool // whose whole wish or removal was held: no verdict holds them any more
}

// removals frees the tombstones that the hold bound.
func (r *release) removals() bool {
	found := false
	for _, t := range r.in.Tombstones {
		if t.Held != r.in.Hold.Fingerprint || t.Done {
			continue
		}
		found = true
		t.Held = ""
		free := !pending(t, r.in.Now)
		t.Done = isHost(t) && free
		if t.Part == "" {
			r.gone(t, free)
		} else if free {
			r.part(t)
		}
		r.res.Tombstones = append(r.res.Tombstones, t)
		r.touched[t.Client] = true
	}
	return found
}

// put keeps a client as it is by now; several things of it may be let go.
func (r *release) put(c state.Client) { r.clients[c.ID], r.changed[c.ID] = c, true }

// part lets a client go on.
func (r *release) part(t state.Tombstone) {
	c, ok := r.clients[t.Client]
	if !ok {
		return
	}
	wake(&c)
	c.UpdatedAt = r.in.Now
	r.put(c)
}

func (r *release) gone(t state.Tombstone, free bool) {
	c, ok := r.clients[t.Client]
	if !ok || !c.Removed {
		return
	}
	r.freed[c.ID] = t.Waits == ""
	switch {
	case t.Waits != "":
		c.Because = "Its removal waits until " + strings.Join(WaitsFor(t), ", ") + " is valid."
	case !free:
		c.Status, c.Because = state.StatusDeleting, "It goes at "+t.NotUntil.UTC().Format("15:04 on 2 January 2006")+" UTC."
	default:
		c.Status, c.Because = state.StatusDeleting, "Its manifest was removed in "+short(t.Commit)+"."
	}
	wake(&c)
	c.Next, c.UpdatedAt = "", r.in.Now
	anew(&c) // somebody wants it to go on
	r.put(c)
}

// starts lets clients begin that waited.
func (r *release) starts() {
	for _, id := range r.in.Hold.Clients {
		c, ok := r.clients[id]
		if !ok || c.Removed {
			continue
		}
		if c.Status == state.StatusHeld {
			c.Status, c.Because, c.Next = state.StatusPending, "", ""
		}
		anew(&c)
		wake(&c)
		c.RetryAt, c.UpdatedAt = r.in.Now, r.in.Now
		r.put(c)
		r.touched[id], r.freed[id] = true, true
	}
}

func (r *release) result() Result {
	a := r.in.Approval
	a.Used = r.in.Now
	r.res.UsedApprovals = []state.Approval{a}
	r.res.LiftHolds = []string{r.in.Hold.Fingerprint}
	r.res.Touched = sortedIDs(r.touched)
	for _, v := range r.in.Verdicts {
		var goOn []state.ClientID
		v.Clients = copyFates(v.Clients)
		for _, id := range sortedIDs(r.freed) {
			if v.Clients[id] == FateHeld {
				v.Clients[id], goOn = FatePending, append(goOn, id)
			}
		}
		if len(goOn) > 0 {
			Conclude(&v, r.in.Now)
			r.res.Verdicts = append(r.res.Verdicts, v)
			r.tell(v, goOn)
		}
	}
	sort.Slice(r.res.Verdicts, func(i, j int) bool { return r.res.Verdicts[i].Seq < r.res.Verdicts[j].Seq })
	sort.Slice(r.res.Tombstones, func(i, j int) bool { return stoneKey(r.res.Tombstones[i]) < stoneKey(r.res.Tombstones[j]) })
	for _, id := range sortedIDs(r.changed) {
		r.res.Clients = append(r.res.Clients, r.clients[id])
	}
	return r.res
}

// tell says that what waited goes on: what was told of it before was an end.
func (r *release) tell(v state.Verdict, goOn []state.ClientID) {
	r.res.Reports = append(r.res.Reports, state.Report{Subject: "commit/" + v.Commit, State: v.State, Text: clip(summary(v)), At: r.in.Now})
	if len(v.Clients) > MaxClientReports {
		return
	}
	for _, id := range goOn {
		r.res.Reports = append(r.res.Reports, state.Report{Subject: "commit/" + v.Commit + "/client/" + r.clients[id].Name, State: "pending", Text: "approved", At: r.in.Now})
	}
}

func sortedIDs(m map[state.ClientID]bool) []state.ClientID {
	var out []state.ClientID
	for id, yes := range m {
		if yes {
			out = append(out, id)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

func copyFates(m map[state.ClientID]string) map[state.ClientID]string {
	out := make(map[state.ClientID]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
