package plan

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Gate decides which steps wait for a person or a date. A held step bears the hold's
// fingerprint; what needs it is blocked. A step may wait for several things (a freeze
// and a risk): it runs when every one is over or approved.
//
//	                       in a freeze   no review            reviewed, equal   reviewed, less risky   not reviewed
//	no risk                freeze        runs                 runs              runs                   runs
//	traffic, offline       freeze        runs (guard decides) runs              runs                   risk
//	mail                   freeze, mail  mail                 mail              mail                   mail
//	left                   freeze, left  left                 left              left                   left
//	gap, data              freeze, data  data                 data              data                   data
//	of a paused client,    blocked: planned and shown, nothing is held; but what records
//	or taken from one      what exists runs while somebody asks for that (Taking)
//
// What only waits, asks or records what exists (await, probe, adopt, record) is no
// change, and goes on in a freeze. So does the certificate of a name that leads to its site (secure): people
// are there. So does what a database's move began: its site can't
// write before it was deployed with the new address (ReadsOnly).
//
// A hold belongs to its client and steps. One that is there already stays as it is
// while its steps do, whatever later commits add: those make holds of their own. An
// approval lets exactly the steps of its hold run, within state.ApprovalLife, for as long as
// its client is not removed; they bear its fingerprint in Approved, and whoever runs them
// marks it as used.
func Gate(p Plan, g GateInput) (Plan, []state.Hold) {
	p.Steps = append([]Step(nil), p.Steps...)
	byKind := map[state.ClientID]map[state.HoldKind][]int{}
	for i, s := range p.Steps {
		if (g.Paused[s.Ref.Client] || g.Paused[s.From.Client]) && !(g.Taking[s.Ref.Client] && p.takes(s)) { // what moves is taken from somebody, too
			p.Steps[i].Blocked, p.Steps[i].Reason = true, "paused: "+s.Reason
			if !g.Paused[s.Ref.Client] {
				p.Steps[i].Reason = "waiting for " + s.FromClient + ", which is paused and gives this on"
			}
			continue
		}
		for _, kind := range holdsOf(s, g) {
			if byKind[s.Ref.Client] == nil {
				byKind[s.Ref.Client] = map[state.HoldKind][]int{}
			}
			byKind[s.Ref.Client][kind] = append(byKind[s.Ref.Client][kind], i)
		}
	}
	var holds []state.Hold
	for _, client := range sortedClients(byKind) {
		for _, kind := range []state.HoldKind{state.HoldFreeze, state.HoldMail, state.HoldLeft, state.HoldData, state.HoldRisk} {
			for _, steps := range split(p, g, client, kind, byKind[client][kind]) {
				h := newHold(p, g, client, kind, steps)
				ok := approved(h.Fingerprint, p.Steps[steps[0]], g)
				for _, i := range steps {
					if ok {
						p.Steps[i].Approved = append(append([]string(nil), p.Steps[i].Approved...), h.Fingerprint)
					} else if p.Steps[i].Held == "" {
						p.Steps[i].Held = h.Fingerprint
					}
				}
				if !ok {
					holds = append(holds, h)
				}
			}
		}
	}
	for again := true; again; {
		block(p.Steps)
		again = keepNames(p, g)
		again = moveWaits(p.Steps) || again
	}
	return p, holds
}

// moveWaits lets a database stay where it is while something waits that gives the site its new address, for a host
// that is down or an approval, say, and says that one does so anew: from its move on the site can't write before that
// is done. What is put back needs none of it.
func moveWaits(steps []Step) (anew bool) {
	for i := range steps {
		move := &steps[i]
		if move.Action != Transfer || len(move.Fields) == 0 || move.Held != "" || move.Blocked {
			continue
		}
		n := slices.IndexFunc(steps, func(s Step) bool {
			return s.Ref.Client == move.Ref.Client && s.readdressesSite() && (s.Held != "" || s.Blocked)
		})
		if n < 0 {
			continue
		}
		why := steps[n].Reason
		if steps[n].Held != "" {
			why = fmt.Sprintf("%s %s %s waits itself", steps[n].Action, steps[n].Ref.Kind, steps[n].Ref.Name)
		}
		move.Blocked, move.Waits, anew = true, steps[n].Waits, true
		move.Reason = "the data is moved once the site can be deployed with its new address, as it can't write before: " + why
	}
	return anew
}

// readdressesSite says that a step is part of how a site that people see comes to the address of its database.
func (s Step) readdressesSite() bool {
	switch s.Ref.Kind {
	case state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic:
		return !s.Action.Ends()
	case state.KindRecord:
		return s.Prior != nil && s.LeadsHere() // to its site at another host
	}
	return false
}

// ReadsOnly says that what serves a client has the address of a database that was left by its move: it can't write
// before another release serves.
func ReadsOnly(recorded []state.Resource) bool {
	by := map[state.Ref]state.Resource{}
	left := map[string]bool{}
	for _, r := range recorded {
		by[r.Ref] = r
		if r.Ref.Kind == state.KindDatabase && r.Ref.Name != MainDatabase && r.Real() && r.Retained() && !r.Copy {
			left[r.ID] = true
		}
	}
	return slices.ContainsFunc(recorded, func(r state.Resource) bool {
		to, _ := r.Attributes.Get("deployment")
		return r.Ref.Kind == state.KindTraffic && to.Ref != nil && left[by[*to.Ref].Database]
	})
}

// keepNames lets a name stay with a client that lives while one of the names that this client is to
// answer by instead waits, for an approval say, or can't be planned, and says that one does so anew: of
// two clients that swap their names neither is to be without one meanwhile.
func keepNames(p Plan, g GateInput) (anew bool) {
	steps, waits := p.Steps, map[state.ClientID]string{}
	for _, problem := range p.Problems {
		waits[problem.Client] = problem.Name
	}
	for i := range steps {
		s := &steps[i]
		if (s.Held != "" || s.Blocked) && s.LeadsHere() && !s.led() {
			waits[s.Ref.Client] = s.Client
		}
	}
	for i := range steps {
		s := &steps[i]
		who, does := waits[s.From.Client]
		if !does || !s.TakesName() || s.Held != "" || g.Removed[s.From.Client] || g.Paused[s.Ref.Client] || g.Paused[s.From.Client] {
			continue
		}
		anew = anew || !s.Blocked
		s.Blocked, s.Reason = true, "waiting for "+who+", whose new name waits itself"
	}
	return anew
}

// LeadsHere says that a step leads people who come by a name to its client's site.
func (s Step) LeadsHere() bool {
	switch {
	case s.Wish == nil || s.Action != Create && s.Action != Update && s.Action != Move && s.Action != Replace:
		return false
	case s.Ref.Kind == state.KindDomain:
		return s.Wish.Attributes.Literal("redirect") == ""
	}
	return s.Ref.Kind == state.KindRecord && address(*s.Wish)
}

// led says that the name of a step that leads people to its client's site led them to that client before.
func (s Step) led() bool {
	if s.Prior == nil || s.Action == Create || s.Action == Move {
		return false
	}
	return s.Ref.Kind == state.KindDomain && s.Prior.Attributes.Literal("redirect") == "" || s.Ref.Kind == state.KindRecord && address(*s.Prior)
}

// TakesName says that a step takes what led people who came by a name to another client's site, also where it
// is to redirect them from now on.
func (s Step) TakesName() bool {
	switch {
	case s.Action != Move || s.From.Client == s.Ref.Client:
		return false
	case s.Prior == nil:
		return s.LeadsHere()
	case s.Ref.Kind == state.KindDomain:
		return s.Prior.Attributes.Literal("redirect") == ""
	}
	return s.Ref.Kind == state.KindRecord && address(*s.Prior)
}

// takes says that a step only records what exists.
func (p Plan) takes(s Step) bool {
	return s.Action == Adopt || s.Action == Record && p.Adopting(s.Ref.Client)
}

// Used lists the approvals that let steps of the plan run, those that do run: a step
// that still waits for something else uses none.
func (p Plan) Used() []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range p.Steps {
		for _, a := range s.Approved {
			if s.Held == "" && !s.Blocked && !seen[a] {
				seen[a] = true
				out = append(out, a)
			}
		}
	}
	sort.Strings(out)
	return out
}

// split puts steps under the holds that bind them already; the rest makes one more.
func split(p Plan, g GateInput, client state.ClientID, kind state.HoldKind, steps []int) [][]int {
	if len(steps) == 0 {
		return nil
	}
	// All of them together: nothing changed, or an approval was given before the hold.
	if known(holdPrint(p, kind, steps), p.Steps[steps[0]], g) {
		return [][]int{steps}
	}
	var out [][]int
	left := append([]int(nil), steps...)
	for _, old := range sortedHolds(g.Holds) {
		if old.Client != client || old.Kind != kind {
			continue
		}
		bound, rest := take(p, left, old.Steps)
		if len(bound) == len(old.Steps) && len(bound) > 0 && holdPrint(p, kind, bound) == old.Fingerprint {
			out, left = append(out, bound), rest
		}
	}
	if len(left) > 0 {
		out = append(out, left)
	}
	return out
}

func known(fingerprint string, of Step, g GateInput) bool {
	for _, h := range g.Holds {
		if h.Fingerprint == fingerprint {
			return true
		}
	}
	return approved(fingerprint, of, g)
}

func sortedHolds(all []state.Hold) []state.Hold {
	out := append([]state.Hold(nil), all...)
	sort.Slice(out, func(i, j int) bool {
		if !out[i].At.Equal(out[j].At) {
			return out[i].At.Before(out[j].At)
		}
		return out[i].Fingerprint < out[j].Fingerprint
	})
	return out
}

// take parts steps by their keys.
func take(p Plan, steps []int, keys []string) (bound, rest []int) {
	want := map[string]bool{}
	for _, k := range keys {
		want[k] = true
	}
	for _, i := range steps {
		if want[p.Steps[i].Key()] {
			bound = append(bound, i)
		} else {
			rest = append(rest, i)
		}
	}
	return bound, rest
}

// holdPrint is what an approval takes.
func holdPrint(p Plan, kind state.HoldKind, steps []int) string {
	prints := []string{string(kind)}
	for _, i := range steps {
		prints = append(prints, StepPrint(p.Steps[i]))
	}
	sort.Strings(prints[1:])
	return digest([]byte(strings.Join(prints, "\n")))
}

// holdsOf says why a step waits.
func holdsOf(s Step, g GateInput) []state.HoldKind {
	var out []state.HoldKind
	through := g.ReadsOnly[s.Ref.Client] && (s.readdressesSite() || s.LeadsHere() || s.Action == Secure || s.Action == Transfer)
	if _, frozen := freezeAt(g); frozen && !through && s.Action != Record && s.Action != Probe && s.Action != Await && s.Action != Adopt && s.Action != Secure {
		out = append(out, state.HoldFreeze)
	}
	switch {
	case s.Risk == RiskLeft:
		out = append(out, state.HoldLeft)
	case s.Risk == RiskMail:
		out = append(out, state.HoldMail)
	case s.Risk == RiskData || s.Risk == RiskGap:
		out = append(out, state.HoldData)
	case s.Risk != RiskNone && g.Reviewed[s.Ref.Client] != nil && !reviewed(s, g):
		out = append(out, state.HoldRisk)
	}
	return out
}

// reviewed says that the step was shown, with this risk or a higher one; where its class
// was, any of that class. What is gone since it was shown as changed is made as it was shown, and
// so is a release that was tried meanwhile, or of which what was left is gone.
func reviewed(s Step, g GateInput) bool {
	as := []Action{s.Action}
	switch {
	case s.Ref.Kind == state.KindDeployment && s.Action == Replace:
		as = append(as, Create)
	case s.Ref.Kind == state.KindDeployment && s.Action == Create:
		as = append(as, Replace)
	}
	if s.Action == Create && s.Prior != nil {
		as = append(as, Update)
	}
	return slices.ContainsFunc(as, func(a Action) bool { s.Action = a; return shown(s, g) })
}

// shown is reviewed of the step as it is.
func shown(s Step, g GateInput) bool {
	for _, r := range []Risk{RiskTraffic, RiskOffline, RiskLeft, RiskMail, RiskGap, RiskData} {
		as := s
		if as.Risk = r; r.Rank() >= s.Risk.Rank() && (g.Reviewed[s.Ref.Client][StepPrint(as)] || g.Reviewed[s.Ref.Client][ClassPrint(as)]) {
			return true
		}
	}
	return false
}

func freezeAt(g GateInput) (Window, bool) {
	for _, w := range g.Freeze {
		if !g.Now.Before(w.From) && g.Now.Before(w.To) {
			return w, true
		}
	}
	return Window{}, false
}

func newHold(p Plan, g GateInput, client state.ClientID, kind state.HoldKind, steps []int) state.Hold {
	h := state.Hold{Kind: kind, Client: client, Commit: p.Commit, Approvable: true, At: g.Now}
	var what []string
	risk := RiskNone
	for _, i := range steps {
		s := p.Steps[i]
		h.Steps = append(h.Steps, s.Key())
		what = append(what, fmt.Sprintf("%s %s %s", s.word(), s.Ref.Kind, s.Ref.Name))
		if s.Risk.Rank() > risk.Rank() {
			risk = s.Risk
		}
	}
	sort.Strings(h.Steps)
	h.Fingerprint = holdPrint(p, kind, steps)
	for _, old := range g.Holds {
		if old.Fingerprint == h.Fingerprint {
			h.At = old.At
		}
	}
	switch kind {
	case state.HoldFreeze:
		w, _ := freezeAt(g)
		h.Until = w.To
		h.Reason = fmt.Sprintf("changes are frozen until %s", w.To.UTC().Format("2 January 2006 15:04 MST"))
		if w.Reason != "" {
			h.Reason += " (" + w.Reason + ")"
		}
		h.Act = "it goes on by itself then, or now with `reconciler approve " + h.Fingerprint + "`"
	case state.HoldMail:
		h.Reason = "mail may stop arriving: " + listWords(what)
	case state.HoldLeft:
		h.Reason, h.Act = left(p, steps), "`reconciler approve "+h.Fingerprint+"` leaves it there and lets all else go; or do as it says, then `reconciler retry "+p.Steps[steps[0]].Client+"`"
	case state.HoldData:
		h.Reason = "there would be a time without service: " + listWords(what) + reasons(p, steps, RiskGap)
		if risk == RiskData {
			h.Reason = "data may become unreachable: " + listWords(what) + reasons(p, steps, RiskData)
			for _, i := range steps {
				if s := p.Steps[i]; s.Action == Transfer {
					h.Reason = "the database moves to " + s.Provider + ": " + s.Reason
				}
			}
		}
	default:
		h.Reason = "riskier than what was reviewed: " + listWords(what)
	}
	if h.Act == "" {
		h.Act = "`reconciler approve " + h.Fingerprint + "` lets it run; a revert takes it back"
	}
	return h
}

// word says what a step does, for people. A record that is restated moves to another name on record: there it changes.
func (s Step) word() string {
	if s.Action == Move && s.Ref.Kind == state.KindRecord && s.From.Client == s.Ref.Client {
		return "change"
	}
	return string(s.Action)
}

// left is what stays where nobody here can take it away, and why, for people.
func left(p Plan, steps []int) string {
	var what []string
	for _, i := range steps {
		what = append(what, string(p.Steps[i].Ref.Kind)+" "+p.Steps[i].Ref.Name)
	}
	s := p.Steps[steps[0]]
	return listWords(what) + " stays at " + s.Prior.Provider + ": " + s.Reason
}

// reasons are why steps of a risk are planned, for people. Of a gap: what it is; that
// something is replaced says its step.
func reasons(p Plan, steps []int, risk Risk) string {
	var why []string
	for _, i := range steps {
		if s := p.Steps[i]; s.Risk == risk && s.Reason != "" && (risk != RiskGap || s.Gap != "") {
			why = append(why, s.Reason)
		}
	}
	if len(why) == 0 {
		return ""
	}
	return " (" + listWords(why) + ")"
}

// approved says that an approval lets a hold's steps run, of which this is one. It ends with the
// client that it was given for: another one of the same name, and the same one that comes back,
// ask for their own, though their steps are equal.
func approved(fingerprint string, of Step, g GateInput) bool {
	for _, a := range g.Approvals {
		if a.Fingerprint != fingerprint || !a.Used.IsZero() || g.Now.Sub(a.At) >= state.ApprovalLife {
			continue
		}
		if a.Client == of.Ref.Client && !a.Ended || a.Client == "" && (g.Removed[of.Ref.Client] || !slices.Contains(a.Removed, of.Client)) {
			return true
		}
	}
	return false
}

func sortedClients[T any](m map[state.ClientID]T) []state.ClientID {
	out := make([]state.ClientID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// FreezeAt is the freeze that holds at a time, if one does.
func FreezeAt(all []Window, now time.Time) (Window, bool) {
	return freezeAt(GateInput{Now: now, Freeze: all})
}

// Only keeps the writes of the resources that are wanted, and the record of them: nothing
// waits for what is left out.
func Only(p Plan, wanted func(state.Ref) bool) Plan {
	kept, writes := map[string]bool{}, false
	steps := p.Steps
	p.Steps = nil
	for _, s := range steps {
		if s.Action != Record && !(s.Action.Writes() && wanted(s.Ref)) {
			continue
		}
		writes = writes || s.Action.Writes()
		kept[s.Key()] = true
		p.Steps = append(p.Steps, s)
	}
	if !writes {
		p.Steps = nil
	}
	for i := range p.Steps {
		var needs []string
		for _, k := range p.Steps[i].Needs {
			if kept[k] {
				needs = append(needs, k)
			}
		}
		p.Steps[i].Needs = needs
	}
	return p
}
