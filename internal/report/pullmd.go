package report

import (
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	// maxRisky is how many risky clients a plan comment tells in full.
	maxRisky = 150
	// maxProblems is how many problems it shows, and maxFirst how many of them before all else.
	maxProblems = 25
	maxFirst    = 3
	// maxPlain is up to how many clients that nothing endangers stand in the table; more
	// are counted by kind, and their rows folded.
	maxPlain = 30
	// maxRows is how many rows of them a fold has.
	maxRows = 300
	// maxListed is how many entries of a short list are shown: other pull requests, files
	// that were not planned, differences between two plans.
	maxListed = 10
	// maxDiffSteps is how many steps of a client a comparison of two plans names.
	maxDiffSteps = 4
)

// onMerge is how a plan speaks on a pull request. What is to be removed waits until every
// file is valid.
func (p PullPlan) onMerge() setting {
	at := setting{when: "when this is merged", goes: "when this is merged", approve: "/reconciler approve"}
	if files, _ := p.problems(); len(files) > 0 {
		at.goes = "when this is mended and merged"
	}
	return p.Plan.later(at)
}

// Markdown is the plan comment: the marker, the verdict, a table of the clients, what is
// risky in full, what to do next, the steps folded. At most MaxComment bytes.
func (p PullPlan) Markdown() string {
	s := &sheet{}
	s.frame(MarkPlan + "\n### " + p.verdict() + "\n")
	switch p.Stage {
	case StagePlanning:
		s.frame("\nThe plan of " + commit(p.Head) + " comes here in a moment. Nothing is changed before the merge.\n")
		return s.String(MaxComment)
	case StageConflict:
		p.conflict(s)
	case StageFork:
		p.fork(s)
	case StageFailed:
		p.failed(s)
	case StageClosed, StageMerged:
		p.over(s)
	default:
		p.body(s)
	}
	s.frame(p.foot())
	return s.String(MaxComment)
}

func commit(sha string) string { return Code(short(sha)) }

// body is the comment of a plan that is there.
func (p PullPlan) body(s *sheet) {
	if p.Stage == StageOutdated {
		s.frame("\n**Outdated.** Something moved since this was planned (the base, the branch, or what the plan rests on). It is planned again by itself; below is the plan of before.\n")
	}
	p.listProblems(s)
	p.others(s)
	p.since(s)
	p.table(s)
	p.risky(s)
	p.next(s)
	p.details(s)
	p.notPlanned(s)
	if len(p.Plan.Changes) > 0 || len(p.Plan.Problems) > 0 {
		s.frame(folded("Commands", commands()))
	}
}

func folded(summary, inside string) string {
	return "\n<details><summary>" + summary + "</summary>\n\n" + strings.TrimLeft(inside, "\n") + "\n</details>\n"
}

// fenced is a command that is to be written exactly so; GitHub shows a button that copies it.
func fenced(text string) string {
	text = cell(text)
	f := fenceFor(text)
	return f + "text\n" + text + "\n" + f + "\n"
}

// listProblems shows what is wrong, the gravest first, then the warnings.
func (p PullPlan) listProblems(s *sheet) {
	files, planning := p.problems()
	all := append(append([]Problem(nil), planning...), files...)
	for _, q := range p.Plan.Problems {
		if q.Warning {
			all = append(all, q)
		}
	}
	for i, q := range all[:min(maxProblems, len(all))] {
		rank := rankNote
		if i < maxFirst {
			rank = rankFirst
		}
		s.add(rank, "problems", q.block(p.Repo))
	}
	s.count("problems", len(all)-maxProblems)
	s.rest("problems", "problems")
}

// others names the pull requests that touch the same.
func (p PullPlan) others(s *sheet) {
	for i, o := range p.Others {
		if i == maxListed {
			s.frame("\n… and " + number(len(p.Others)-maxListed) + " more pull requests that touch the same.\n")
			return
		}
		who := href("pull request "+number(o.Number), o.URL)
		if o.Title != "" {
			who += " (" + Text(cell(o.Title)) + ")"
		}
		switch {
		case o.Host != "":
			s.add(rankNote, "others", "\n⚠️ **"+who+" claims "+Code(cell(o.Host))+", too.** Only one client can have it: whoever is merged first keeps it, and the other's file is invalid then; where both are merged at once, both files are.\n")
		default:
			s.add(rankNote, "others", "\n⚠️ "+who+" changes "+Code(cell(o.Client))+", too. When one of them is merged, the other is planned again and says what changed.\n")
		}
	}
}

// since says what a plan has that the one before had not, if it was not the branch that moved.
func (p PullPlan) since(s *sheet) {
	if p.Since == nil {
		return
	}
	all := Differences(*p.Since, p.Plan)
	head := "\n**Since the last plan**"
	if p.SinceBase != "" && p.SinceBase != p.Base {
		head += " (the base went from " + commit(p.SinceBase) + " to " + commit(p.Base) + ")"
	}
	if len(all) == 0 {
		s.frame(head + ": the same steps.\n")
		return
	}
	s.frame(head + ":\n\n")
	for i, d := range all {
		if i == maxListed {
			s.frame("- … and " + number(len(all)-maxListed) + " more clients\n")
			break
		}
		s.add(rankNote, "since", "- "+d.line()+"\n")
	}
}

// line is a difference in a line or two.
func (d Difference) line() string {
	var parts []string
	switch {
	case d.Entered:
		parts = append(parts, "is changed now, too: "+names(d.New))
	case d.Left:
		parts = append(parts, "is not changed any more")
	default:
		if len(d.New) > 0 {
			parts = append(parts, "new: "+names(d.New))
		}
		if len(d.Gone) > 0 {
			parts = append(parts, "gone: "+names(d.Gone))
		}
	}
	return Code(cell(d.Client)) + " " + strings.Join(parts, "; ")
}

// names are the first few steps of a list.
func names(steps []Step) string {
	var out []string
	for i, s := range steps {
		if i == maxDiffSteps {
			out = append(out, number(len(steps)-maxDiffSteps)+" more")
			break
		}
		out = append(out, s.does())
	}
	return strings.Join(out, ", ")
}

// does is what a step does, without where and why.
func (s Step) does() string {
	kind, name, _ := strings.Cut(s.Ref, "/")
	if s.Ref == "" {
		return Text(cell(s.Action))
	}
	out := Text(cell(s.Action)) + " " + Text(cell(kind))
	if name != "" {
		out += " " + Code(cell(name))
	}
	return out
}

// summaryCode is Code in a summary, where GitHub reads HTML and no Markdown.
func summaryCode(s string) string {
	s = strings.TrimSpace(cell(s))
	var b strings.Builder
	for _, r := range s {
		if r < 128 && !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == ' ') {
			b.WriteString(entity(r))
		} else {
			b.WriteRune(r)
		}
	}
	return "<code>" + b.String() + "</code>"
}

// next says what to do.
func (p PullPlan) next(s *sheet) {
	files, planning := p.problems()
	var b strings.Builder
	switch {
	case len(files) > 0:
		b.WriteString("Fix " + verb(len(files), "the problem", "the problems") + " above and push; it is planned again by itself. If this is merged as it is, an invalid file's client keeps its last good version, what is to be removed waits until the file is valid, and the rest goes on.\n")
	case len(planning) > 0:
		b.WriteString("Mend what is said above, then comment `/reconciler plan`, or push. If this is merged as it is, those clients wait and the rest goes on.\n")
	case len(p.Plan.Changes) > 0:
		b.WriteString("Merge it: the steps run in their order, and the result comes as a comment here. Until then nothing is changed.")
		if slices.ContainsFunc(p.Plan.Changes, func(c Change) bool {
			return slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Blocked && s.Action != string(plan.Record) })
		}) { // what only records follows what is approved
			b.WriteString(" What waits runs by itself once that is over.")
		}
		if p.loud() != "" {
			b.WriteString(" If what is said above is not meant, don't merge it: take it out of this pull request, and push.")
		}
		b.WriteString("\n")
	}
	waits := p.approvals()
	if b.Len() == 0 && len(waits) == 0 {
		return
	}
	s.frame("\n**What to do next**\n\n" + b.String())
	for _, w := range waits {
		s.add(rankFirst, "approvals", w)
	}
	s.rest("approvals", "approvals, which are too long to show here")
}

// approvals say what would wait after the merge, and the exact comment that lets it run.
func (p PullPlan) approvals() (out []string) {
	all := p.held()
	for i, w := range all {
		if i == maxTold {
			out = append(out, "\n… and "+count(len(all)-maxTold, "approval")+" more, said at their clients.\n")
			break
		}
		of := count(len(w.clients), "client")
		if len(w.clients) == 1 {
			of = Code(cell(w.clients[0]))
		}
		h, known := p.hold(w.fingerprint)
		if !known {
			h = state.Hold{Fingerprint: w.fingerprint, Approvable: true}
		}
		out = append(out, "\n"+count(w.steps, "step")+" of "+of+" would wait"+wouldWait(h))
	}
	for i, h := range p.wide() {
		if i == maxTold {
			return append(out, "\n… and more that would wait.\n")
		}
		out = append(out, "\nPart of this would wait"+wouldWait(h))
	}
	return out
}

// wouldWait is the rest of a sentence about what would wait: why, until when, and what
// lets it run.
func wouldWait(h state.Hold) string {
	out := ""
	if h.Reason != "" {
		out = ": " + strings.TrimSuffix(prose(h.Reason), ".")
	}
	out += ". "
	if !h.Until.IsZero() {
		out += "It goes on by itself on " + stamp(h.Until) + ". "
	}
	if !h.Approvable {
		return out + prose(h.Act) + "\n"
	}
	return out + "Someone with write access lets exactly that run by commenting, before or after the merge:\n\n" + fenced("/reconciler approve "+h.Fingerprint)
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006 15:04 UTC") }

// notPlanned says which files were not planned, and whose rules count.
func (p PullPlan) notPlanned(s *sheet) {
	if len(p.OwnRules) > 0 {
		var paths []string
		for i, f := range p.OwnRules {
			if i == maxListed {
				paths = append(paths, number(len(p.OwnRules)-maxListed)+" more")
				break
			}
			paths = append(paths, Code(cell(f)))
		}
		s.add(rankNote, "", "\nThis pull request changes "+strings.Join(paths, ", ")+". It is judged by the rules of its base; the new ones count from the merge on.\n")
	}
	if len(p.Skipped) == 0 {
		return
	}
	var b strings.Builder
	for i, f := range p.Skipped {
		if i == maxListed {
			b.WriteString("- … and " + number(len(p.Skipped)-maxListed) + " more\n")
			break
		}
		b.WriteString("- " + Code(cell(f.Path)) + ": " + Text(cell(f.Reason)) + "\n")
	}
	s.add(rankNote, "", folded(count(len(p.Skipped), "file")+" not planned", b.String()))
}

// foot is the last line: what was planned, on what it rests, where there is more.
func (p PullPlan) foot() string {
	var parts []string
	if p.Head != "" {
		at := "Planned"
		if p.Stage == StageFork || p.Stage == StageFailed || p.Stage == StageConflict {
			at = "Head"
		}
		on := " onto "
		if at == "Head" {
			on = ", base "
		}
		at += " " + commit(p.Head)
		if p.Base != "" {
			at += on + commit(p.Base)
		}
		parts = append(parts, at)
	}
	if p.Plan.Fingerprint != "" && len(p.Plan.Changes) > 0 {
		parts = append(parts, "plan "+Code(Clip(p.Plan.Fingerprint, 64)))
	}
	if len(p.Plan.Changes) > 0 {
		parts = append(parts, p.age())
	}
	if p.Link != "" {
		if l := href("full plan", p.Link); l != "full plan" {
			parts = append(parts, l)
		}
	}
	if p.Stage != StageClosed && p.Stage != StageMerged {
		parts = append(parts, "This comment is edited at every push.")
	}
	return "\n<sub>" + strings.Join(parts, " · ") + "</sub>\n"
}

// age is on which look at the providers the plan rests.
func (p PullPlan) age() string {
	looked := p.Plan.LookedAt
	if looked.IsZero() {
		return "from the record, nobody looked at the providers"
	}
	text := "providers looked at on " + stamp(looked)
	if old := p.At.Sub(looked); !p.At.IsZero() && old >= time.Minute {
		text += ", " + Took(old.Truncate(time.Minute)) + " before"
	}
	return text
}

// said is what a change means, in sentences.
func (c Change) said(at setting) string {
	var words []string
	for _, s := range consequences(c, at) {
		words = append(words, s.markdown())
	}
	return strings.Join(words, " ")
}

// risks are the loud kinds of a plan with their clients, the worst first.
func (p PullPlan) risks() (kinds [][]string) {
	kinds = make([][]string, turnStops+1)
	for _, c := range p.Plan.Changes {
		if t := turnOf(c, p.Clients[c.Client]); t.loud() {
			kinds[t] = append(kinds[t], c.Client)
		}
	}
	return kinds
}
