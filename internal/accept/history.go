package accept

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// fingerprintLength is the number of hex digits that people are asked to type.
const fingerprintLength = 12

// fingerprint binds exactly the parts, in their order.
func fingerprint(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:fingerprintLength]
}

// approved finds an approval that may be used now.
func approved(approvals []state.Approval, print string, now time.Time) (state.Approval, bool) {
	for _, a := range approvals {
		if a.Fingerprint == print && usable(a, now) {
			return a, true
		}
	}
	return state.Approval{}, false
}

// usable says that the approval was not used and has not lapsed.
func usable(a state.Approval, now time.Time) bool {
	return a.Used.IsZero() && now.Sub(a.At) <= state.ApprovalLife
}

// broken says in words how the head doesn't follow from the baseline; "" when it does.
func (p *pass) broken() string {
	b, in := p.in.Baseline, p.in
	living := len(p.byName)
	switch {
	case b == nil && (!in.HeadEmpty || living == 0):
		return ""
	case b == nil:
		return "the tree is empty"
	case b.Repository != in.Repository:
		return "the repository was changed from " + b.Repository + " to " + in.Repository
	case b.Branch != in.Branch:
		return "the branch was changed from " + b.Branch + " to " + in.Branch
	case b.Path != in.Path:
		return "the path was changed from " + b.Path + " to " + in.Path
	case b.Root != "" && in.Root != "" && b.Root != in.Root:
		return "the repository is another one: it begins at " + short(in.Root) + " instead of " + short(b.Root)
	case !in.Descends:
		return "history was rewritten: " + short(in.Head) + " does not descend from " + short(b.Head)
	case in.HeadEmpty && living > 0:
		return "the tree is empty"
	}
	return ""
}

// history holds a head that does not follow from the baseline, unless that was
// approved. Holds of other such heads are lifted: they are not the head any more.
func (p *pass) history() (state.Hold, bool) {
	why := p.broken()
	h := state.Hold{Kind: state.HoldHistory, NewHead: p.in.Head, Commit: p.in.Head, Approvable: true, At: p.in.Now}
	if why != "" {
		if p.in.Baseline != nil {
			h.OldHead = p.in.Baseline.Head
		}
		gone := p.vanished()
		parts := []string{"history", h.OldHead, h.NewHead, p.in.Repository, p.in.Branch, p.in.Path}
		for _, id := range gone {
			parts = append(parts, string(id))
		}
		h.Fingerprint, h.Clients = fingerprint(parts...), gone
		h.Reason = fmt.Sprintf("Nothing changes: %s. %s would lose their manifest.", why, count(len(gone), "client"))
		h.Act = "Put the branch back, or `reconciler approve " + h.Fingerprint + "` to take over what it is now."
	}
	held := why != ""
	if held {
		if a, ok := approved(p.in.Approvals, h.Fingerprint, p.in.Now); ok {
			p.use(a)
			p.note(state.Client{}, "approved", why)
			held = false
		}
	}
	for _, old := range p.in.Holds {
		if old.Kind != state.HoldHistory {
			continue
		}
		if held && old.Fingerprint == h.Fingerprint {
			h.At = old.At
			p.known = true
			continue
		}
		p.res.LiftHolds = append(p.res.LiftHolds, old.Fingerprint)
		if old.NewHead != p.in.Head {
			p.restate(old.NewHead)
		}
	}
	return h, held
}

// restate tells again what an accepted head came to: it was shown as the branch's head once
// more, by a server that was behind or a branch that was set back for a while, and was
// reported as held.
func (p *pass) restate(head string) {
	for _, v := range p.in.Verdicts {
		if v.Commit == head {
			p.res.Reports = append(p.res.Reports, state.Report{Subject: "commit/" + head, State: v.State, Text: clip(summary(v)), At: p.in.Now})
		}
	}
}

// vanished lists the clients that this head has no manifest of.
func (p *pass) vanished() []state.ClientID {
	var out []state.ClientID
	for i := range p.clients {
		c := &p.clients[i]
		id := c.ID
		if c.Removed {
			continue
		}
		if p.in.HeadEmpty || p.left(*c) && len(p.present[c.Name]) == 0 {
			out = append(out, id)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// short is how a commit is named to people.
func short(sha string) string {
	if len(sha) > 7 {
		return sha[:7]
	}
	return sha
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// list names up to five.
func list(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
