package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// StepPrint is what a review binds of a step: whose, what, where, with which
// attributes (secrets by name, not by version) and which risk. Reasons, numbers of
// calls and dates are not part of it.
func StepPrint(s Step) string {
	var w strings.Builder
	fmt.Fprintf(&w, "%s\n%s\n%s\n%s\n%s\n", s.Ref, s.Action, s.From, s.Provider, s.Risk)
	if s.Wish != nil {
		for _, a := range s.Wish.Attributes {
			v := a.Value
			if v.Secret != nil {
				named := *v.Secret
				named.Version, named.Fingerprint = 0, ""
				v = state.SecretValue(named)
			}
			fmt.Fprintf(&w, "%q=%s\n", a.Name, v.Canonical())
		}
	}
	if s.Outside {
		w.WriteString("outside\n")
	}
	return digest(w.String())
}

// Fingerprint is 12 hex digits over the prints of one client's steps; client ""
// takes all of them.
func Fingerprint(p Plan, client state.ClientID) string {
	var prints []string
	for _, s := range p.Steps {
		if client == "" || s.Ref.Client == client {
			prints = append(prints, StepPrint(s))
		}
	}
	sort.Strings(prints)
	return digest(strings.Join(prints, "\n"))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// Gate decides which steps wait for a person or a date. A held step bears the hold's
// fingerprint; what needs it is blocked. An approval of a hold lets exactly its steps
// run, once, within state.ApprovalLife.
func Gate(p Plan, g GateInput) (Plan, []state.Hold) {
	p.Steps = append([]Step(nil), p.Steps...)
	byKind := map[state.ClientID]map[state.HoldKind][]int{}
	for i, s := range p.Steps {
		if g.Paused[s.Ref.Client] {
			p.Steps[i].Blocked, p.Steps[i].Reason = true, "paused: "+s.Reason
			continue
		}
		kind, held := holdOf(s, g)
		if !held {
			continue
		}
		if byKind[s.Ref.Client] == nil {
			byKind[s.Ref.Client] = map[state.HoldKind][]int{}
		}
		byKind[s.Ref.Client][kind] = append(byKind[s.Ref.Client][kind], i)
	}
	var holds []state.Hold
	for _, client := range sortedClients(byKind) {
		for _, kind := range []state.HoldKind{state.HoldFreeze, state.HoldMail, state.HoldData, state.HoldRisk} {
			steps := byKind[client][kind]
			if len(steps) == 0 {
				continue
			}
			h := newHold(p, g, client, kind, steps)
			if approved(h.Fingerprint, g) {
				continue
			}
			for _, i := range steps {
				p.Steps[i].Held = h.Fingerprint
			}
			holds = append(holds, h)
		}
	}
	block(p.Steps)
	return p, holds
}

// holdOf says why a step waits.
func holdOf(s Step, g GateInput) (state.HoldKind, bool) {
	if _, frozen := freezeAt(g); frozen && s.Action != Record && s.Action != Probe && s.Action != Await {
		return state.HoldFreeze, true
	}
	switch s.Risk {
	case RiskMail:
		return state.HoldMail, true
	case RiskData, RiskGap:
		return state.HoldData, true
	case RiskNone:
		return "", false
	}
	if g.Reviewed != nil && !g.Reviewed[StepPrint(s)] {
		return state.HoldRisk, true
	}
	return "", false
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
	prints := []string{string(kind), string(client)}
	var what []string
	for _, i := range steps {
		s := p.Steps[i]
		h.Steps = append(h.Steps, s.Key())
		prints = append(prints, StepPrint(s))
		what = append(what, fmt.Sprintf("%s %s %s", s.Action, s.Ref.Kind, s.Ref.Name))
	}
	sort.Strings(prints[2:])
	sort.Strings(h.Steps)
	h.Fingerprint = digest(strings.Join(prints, "\n"))
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
	case state.HoldData:
		h.Reason = "there would be a time without service: " + listWords(what)
	default:
		h.Reason = "riskier than what was reviewed: " + listWords(what)
	}
	if h.Act == "" {
		h.Act = "`reconciler approve " + h.Fingerprint + "` lets it run; a revert takes it back"
	}
	return h
}

func approved(fingerprint string, g GateInput) bool {
	for _, a := range g.Approvals {
		if a.Fingerprint == fingerprint && a.Used.IsZero() && g.Now.Sub(a.At) < state.ApprovalLife {
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

// Model is what would be on record after the plan, for previews and proofs.
func Model(recorded []state.Resource, p Plan, now time.Time) []state.Resource {
	have := map[state.Ref]state.Resource{}
	for _, r := range recorded {
		have[r.Ref] = r
	}
	for _, s := range p.Steps {
		if s.Held != "" || s.Blocked {
			continue
		}
		switch s.Action {
		case Create, Update, Replace, Move, Adopt:
			r := *s.Wish
			if old, ok := have[s.Ref]; ok && s.Action == Update {
				r.ID, r.Name, r.Outputs, r.Adopted, r.Generation, r.Run = old.ID, old.Name, old.Outputs, old.Adopted, old.Generation, old.Run
			}
			if r.ID == "" {
				r.ID = "model-" + digest(s.Ref.String())
			}
			r.Provider, r.UpdatedAt = s.Provider, now
			if s.Action == Move {
				delete(have, s.From)
			}
			have[s.Ref] = r
		case Delete, Purge, Forget:
			delete(have, s.Ref)
		case Retain:
			r := have[s.Ref]
			r.RetainedAt, r.PurgeAfter = now, s.PurgeAfter
			have[s.Ref] = r
		case Return:
			r := have[s.Ref]
			r.RetainedAt, r.PurgeAfter = time.Time{}, time.Time{}
			have[s.Ref] = r
		case Await:
			if r, ok := have[s.Ref]; ok {
				r.Phase = ""
				have[s.Ref] = r
			}
		}
	}
	out := make([]state.Resource, 0, len(have))
	for _, r := range have {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Ref.Less(out[j].Ref) })
	return out
}
