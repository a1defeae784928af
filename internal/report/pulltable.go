package report

import (
	"sort"
	"strings"
)

// ranked are the plan's changes, the riskiest first, and how many of them are risky.
func (p PullPlan) ranked() (all []Change, risky int) {
	all = append(all, p.Plan.Changes...)
	turn := map[string]turn{}
	for _, c := range all {
		turn[c.Client] = turnOf(c, p.Clients[c.Client])
		if c.risky() {
			risky++
		}
	}
	sort.SliceStable(all, func(i, j int) bool {
		if a, b := all[i].risky(), all[j].risky(); a != b {
			return a
		}
		return turn[all[i].Client] < turn[all[j].Client]
	})
	return all, risky
}

const rowHead = "\n| Client | What happens | Data at risk | Downtime | Undo | Effort |\n|---|---|---|---|---|---|\n"

// row is a client's row of the table.
func (p PullPlan) row(c Change) string {
	a := p.Clients[c.Client]
	name := href(Code(cell(c.Client)), a.Page)
	if c.risky() {
		name = "⚠️&nbsp;" + name
	}
	return "| " + name + " | " + c.what(a) + " | " + c.atRisk() + " | " + c.downtime(p.Plan.RemoveAfter) + " | " + c.undo() + " | " + c.takes(a) + " |\n"
}

// table is all clients at a glance. Many that nothing endangers are counted by kind.
func (p PullPlan) table(s *sheet) {
	all, risky := p.ranked()
	if len(all) == 0 {
		return
	}
	many := len(all)-risky > maxPlain || risky > maxRisky
	if many {
		s.frame(p.kinds())
	}
	if risky > 0 || !many {
		s.frame(rowHead)
	}
	for _, c := range all[:risky] {
		s.add(rankRow, "rows", p.row(c))
	}
	if !many {
		for _, c := range all[risky:] {
			s.add(rankOther, "rows", p.row(c))
		}
	}
	s.rest("rows", "clients")
}

// kinds counts clients by what happens to them; those that only change, by what of them.
func (p PullPlan) kinds() string {
	n, parts, waiting := make([]int, turns), map[string]int{}, 0
	for _, c := range p.Plan.Changes {
		t := turnOf(c, p.Clients[c.Client])
		n[t]++
		if t == turnChanged {
			parts[strings.Join(c.touches(), ", ")]++
		}
		if len(factsOf(c).holds) > 0 {
			waiting++
		}
	}
	var b strings.Builder
	b.WriteString("\n| Clients | What happens |\n|--:|---|\n")
	for t, k := range n {
		switch {
		case k == 0:
		case turn(t) == turnChanged:
			b.WriteString(changed(parts))
		case turn(t).loud():
			b.WriteString("| " + number(k) + " | **" + turn(t).happens(k) + "** |\n")
		default:
			b.WriteString("| " + number(k) + " | " + turn(t).happens(k) + " |\n")
		}
	}
	if waiting > 0 {
		b.WriteString("\nPart of " + number(waiting) + " of them would wait.\n")
	}
	return b.String()
}

// changed are the rows of clients that only change, by what of them, the most first.
func changed(parts map[string]int) string {
	what := make([]string, 0, len(parts))
	for w := range parts {
		what = append(what, w)
	}
	sort.Slice(what, func(i, j int) bool {
		if parts[what[i]] != parts[what[j]] {
			return parts[what[i]] > parts[what[j]]
		}
		return what[i] < what[j]
	})
	out, rest := "", 0
	for i, w := range what {
		n := parts[w]
		switch {
		case i >= maxListed:
			rest += n
		case w == "":
			out += "| " + number(n) + " | " + verb(n, "is", "are") + " looked at |\n"
		default:
			out += "| " + number(n) + " | " + turnChanged.happens(n) + ": " + w + " |\n"
		}
	}
	if rest > 0 {
		out += "| " + number(rest) + " | " + turnChanged.happens(rest) + " in other ways |\n"
	}
	return out
}

// risky tells the clients that people would notice: their consequences unfolded.
func (p PullPlan) risky(s *sheet) {
	all, risky := p.ranked()
	for _, c := range all[:min(maxRisky, risky)] {
		s.add(rankRisky, "risky", c.brief(p.onMerge()))
		s.either(rankSteps, c.fold(), c.noSteps())
	}
	s.count("risky", risky-maxRisky)
	s.rest("risky", "clients like these, see the table")
}

// details are the steps of the clients that nothing endangers, each folded.
func (p PullPlan) details(s *sheet) {
	all, risky := p.ranked()
	plain := all[risky:]
	many := len(plain) > maxPlain || risky > maxRisky
	if many && len(plain) > 0 {
		s.frame("\n<details><summary>" + count(len(plain), "client") + " that nothing endangers" + "</summary>\n" + rowHead)
		for _, c := range plain[:min(maxRows, len(plain))] {
			s.add(rankOther, "plain", p.row(c))
		}
		s.count("plain", len(plain)-maxRows)
		s.rest("plain", "clients")
		s.frame("\n</details>\n")
		return
	}
	for _, c := range plain {
		inside := c.rows()
		if said := c.said(p.onMerge()); said != "" {
			inside = said + "\n" + inside
		}
		s.add(rankDetail, "details", folded(summaryCode(c.Client)+": "+c.summary(), inside))
	}
	s.rest("details", "clients, whose steps are too long to show here")
}
