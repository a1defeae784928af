package report

import (
	"slices"
	"strings"
)

// verdict is the first line that people read. It says what is wrong, then how many clients
// change, then what people would notice.
func (p PullPlan) verdict() string {
	switch p.Stage {
	case StagePlanning:
		if p.Files > 0 {
			return "Planning: " + count(p.Files, "manifest") + "…"
		}
		return "Planning…"
	case StageConflict:
		return "Not planned: this branch conflicts with its base."
	case StageFork:
		return "Not planned: this comes from a fork."
	case StageFailed:
		return "The plan could not be made."
	case StageClosed:
		return "Closed without a merge. Nothing was changed."
	case StageMerged:
		return "Merged."
	}
	files, planning := p.problems()
	var wrong []string
	if n := len(invalidPaths(files)); n > 0 {
		wrong = append(wrong, count(n, "file")+" "+verb(n, "is", "are")+" invalid")
	}
	if n := clientsOf(planning); n > 0 {
		wrong = append(wrong, count(n, "client")+" can't be planned")
	}
	out := ""
	if len(wrong) > 0 {
		out = strings.Join(wrong, ", ") + "; "
	}
	n := len(p.Plan.Changes)
	if n == 0 {
		if out != "" {
			return out + "nothing else changes."
		}
		return "Nothing changes for any client."
	}
	out += count(n, "client") + " " + verb(n, "changes", "change")
	loud := p.loud()
	if loud == "" && n == 1 {
		c := p.Plan.Changes[0]
		return out + ": " + Text(cell(c.Client)) + " " + turnOf(c, p.Clients[c.Client]).happens(1) + "."
	}
	if loud == "" {
		if t, all := p.alike(); all && t != turnChanged {
			return out + ": all " + t.happens(n) + "."
		}
		return out + "."
	}
	at := p.onMerge()
	if p.onlyGoes() {
		return out + ": **" + loud + " " + at.goes + ".**"
	}
	return out + ": **" + loud + " " + at.when + ".**"
}

// onlyGoes says that all that people would notice is that something goes.
func (p PullPlan) onlyGoes() bool {
	for t, who := range p.risks() {
		if len(who) > 0 && !slices.Contains([]turn{turnErased, turnMail, turnOffline, turnStops}, turn(t)) {
			return false
		}
	}
	return true
}

// alike is what happens to every client, where that is the same.
func (p PullPlan) alike() (t turn, all bool) {
	for i, c := range p.Plan.Changes {
		switch u := turnOf(c, p.Clients[c.Client]); {
		case i == 0:
			t = u
		case u != t:
			return t, false
		}
	}
	return t, len(p.Plan.Changes) > 0
}

// loud says what people would notice, by name where few are meant; "": nothing.
func (p PullPlan) loud() string {
	var out []string
	for t, who := range p.risks() {
		if len(who) == 0 {
			continue
		}
		subject := number(len(who)) + " clients"
		switch len(who) {
		case 1:
			subject = Text(cell(who[0]))
		case maxNamed:
			subject = Text(cell(who[0])) + " and " + Text(cell(who[1]))
		}
		out = append(out, subject+" "+turn(t).happens(len(who)))
	}
	return strings.Join(out, "; ")
}

// invalidPaths are the files that problems are about, once each, in order.
func invalidPaths(problems []Problem) []string {
	seen := map[string]bool{}
	var out []string
	for _, q := range problems {
		if !seen[q.Path] {
			seen[q.Path] = true
			out = append(out, q.Path)
		}
	}
	return out
}

// clientsOf is how many clients problems are about.
func clientsOf(problems []Problem) int {
	seen := map[string]bool{}
	for _, q := range problems {
		seen[q.Client] = true
	}
	return len(seen)
}

// conflict says which files conflict, and what to do.
func (p PullPlan) conflict(s *sheet) {
	if len(p.Conflicts) > 0 {
		s.frame("\nChanged on both sides:\n\n")
		for i, f := range p.Conflicts {
			if i == maxListed {
				s.frame("- … and " + number(len(p.Conflicts)-maxListed) + " more\n")
				break
			}
			s.add(rankNote, "", "- "+href(Code(cell(f)), p.Repo.view(f, 0))+"\n")
		}
	}
	s.frame("\n**What to do next**\n\nMerge the base into this branch (or rebase it), settle the conflict, and push. What is planned is what a merge would bring, and there is none yet.\n")
	p.listProblems(s)
}

// fork says what was checked, and how a maintainer lets exactly this commit be planned.
func (p PullPlan) fork(s *sheet) {
	p.listProblems(s)
	p.others(s)
	switch files, _ := p.problems(); {
	case !p.Checked:
	case len(files) > 0:
		n := len(invalidPaths(files))
		s.frame("\nChecked: " + number(n) + " of " + count(max(n, p.Files), "manifest") + " " + verb(n, "is", "are") + " invalid.\n")
	default:
		s.frame("\nChecked: " + count(p.Files, "manifest") + ", " + verb(p.Files, "it is", "all") + " valid.\n")
	}
	s.frame("\nA plan looks at providers and at secrets, so nobody's fork is planned by itself.\n\n**What to do next**\n\nSomeone with write access who has read this commit lets it be planned, and only it, by commenting:\n\n" + fenced("/reconciler plan "+Clip(p.Head, 64)))
	p.notPlanned(s)
}

// failed says why there is no plan: cause, effect, what is next.
func (p PullPlan) failed(s *sheet) {
	text := "\nNothing was changed anywhere.\n"
	if p.Cause != "" {
		text += "\n**Cause:** " + prose(p.Cause) + "\n"
	}
	text += "\n**What to do next:** "
	switch {
	case p.Next != "":
		text += prose(p.Next)
		if !p.RetryAt.IsZero() {
			text += " It is tried again on " + stamp(p.RetryAt) + "."
		}
	case !p.RetryAt.IsZero():
		text += "nothing; it is tried again on " + stamp(p.RetryAt) + ", or at once when someone comments `/reconciler plan`."
	default:
		text += "comment `/reconciler plan` to try again."
	}
	s.frame(text + "\n")
	p.listProblems(s)
	p.others(s)
	if p.Plan.LookedAt.IsZero() && len(p.Plan.Changes) == 0 {
		return
	}
	s.frame("\nBelow is the plan of before.\n")
	p.table(s)
	p.risky(s)
}

// over is what stays of a plan when the pull request is closed or merged.
func (p PullPlan) over(s *sheet) {
	if p.Stage == StageMerged {
		text := "\n"
		if p.Merged != "" {
			text += "It is " + commit(p.Merged) + " on the branch. "
		}
		text += "What came of it is told in " + href("the result", p.Result) + ", and at the commit.\n"
		s.frame(text)
	}
	if len(p.Plan.Changes) == 0 {
		return
	}
	s.frame("\n<details><summary>The plan as it was reviewed: " + p.Plan.summary() + "</summary>\n")
	p.table(s)
	p.risky(s)
	p.details(s)
	s.frame("\n</details>\n")
}
