package report

import (
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// act is the one thing to do: for what waits for an approval the exact comment.
func (c ClientResult) act(o Outcome) string {
	var b strings.Builder
	approvable := false
	for i, h := range c.Holds {
		if i == maxTold {
			b.WriteString("\n… and " + count(len(c.Holds)-maxTold, "hold") + " more.\n")
			break
		}
		if c.fate() != "held" {
			break
		}
		b.WriteString(actOn(h))
		approvable = approvable || h.Approvable
	}
	if b.Len() > 0 {
		if approvable {
			b.WriteString(approvalRule)
		}
		return b.String()
	}
	next := o.next
	if next == "" && c.fate() == "failed" {
		next = "`reconciler retry " + c.Client.Name + "` tries again; a commit that fixes it does, too"
	}
	if next == "" {
		return ""
	}
	return "\n**What to do:** " + prose(next) + "\n"
}

const approvalRule = "\nAn approval binds exactly these steps and is used once. Reverting the merge takes the wish back.\n"

// sharedHold is a hold of several clients.
type sharedHold struct {
	state.Hold
	clients int
}

// shared are the holds that several clients wait for, in their order: one approval lets all
// of them run.
func shared(all []ClientResult) []sharedHold {
	var out []sharedHold
	at := map[string]int{}
	for _, c := range all {
		for _, h := range c.Holds {
			i, known := at[h.Fingerprint]
			if !known {
				i = len(out)
				at[h.Fingerprint] = i
				out = append(out, sharedHold{Hold: h})
			}
			out[i].clients++
		}
	}
	return slices.DeleteFunc(out, func(h sharedHold) bool { return h.clients < 2 })
}

// without is the client without holds that are told elsewhere.
func (c ClientResult) without(told []sharedHold) ClientResult {
	c.Holds = slices.DeleteFunc(slices.Clone(c.Holds), func(h state.Hold) bool {
		return slices.ContainsFunc(told, func(o sharedHold) bool { return o.Fingerprint == h.Fingerprint })
	})
	return c
}

// actOn is what lets a hold go.
func actOn(h state.Hold) string {
	out := "\n**What to do:** "
	if h.Reason != "" {
		out = "\n**Waits:** " + strings.TrimSuffix(prose(h.Reason), ".") + ".\n" + out
	}
	if !h.Approvable || h.Fingerprint == "" {
		return out + prose(h.Act) + "\n"
	}
	if !h.Until.IsZero() {
		out += "nothing; it goes on by itself on " + stamp(h.Until) + ". To let it run now, someone with write access comments:\n\n"
	} else {
		out += "someone with write access lets it run by commenting:\n\n"
	}
	return out + fenced("/reconciler approve "+h.Fingerprint)
}

// difference shows what would run now beside what was reviewed.
func (c ClientResult) difference() string {
	var before, after Change
	if c.Reviewed != nil {
		before = *c.Reviewed
	}
	if c.Now != nil {
		after = *c.Now
	}
	d := differ(before, after)
	if len(d.New)+len(d.Gone) == 0 {
		return ""
	}
	var lines []string
	add := func(sign string, steps []Step) {
		for i, s := range steps {
			if i == maxListed {
				lines = append(lines, sign+" … and "+number(len(steps)-maxListed)+" more")
				return
			}
			text := s.Action + " " + strings.Replace(s.Ref, "/", " ", 1)
			if s.Provider != "" {
				text += " at " + s.Provider
			}
			if s.Risk != "" {
				text += " (risk: " + s.Risk + ")"
			}
			if s.Reason != "" && sign == "+" {
				text += ": " + s.Reason
			}
			lines = append(lines, sign+" "+cell(text))
		}
	}
	add("-", d.Gone)
	add("+", d.New)
	text := strings.Join(lines, "\n")
	f := fenceFor(text)
	head := "\nBetween review and merge something changed. What would run now (`+`), beside the plan that was reviewed (`-`):\n"
	if c.Reviewed == nil {
		head = "\nNo pull request showed this plan. What would run now:\n"
	}
	out := head + "\n" + f + "diff\n" + text + "\n" + f + "\n"
	if d.Same > 0 {
		out += "\n" + count(d.Same, "step") + " " + verb(d.Same, "is", "are") + " as reviewed.\n"
	}
	return out
}
