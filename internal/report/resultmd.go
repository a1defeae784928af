package report

import (
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	// maxTroubled is how many clients that need somebody a result comment tells in full.
	maxTroubled = 100
	// maxOpenTables is up to how many of them show their steps unfolded.
	maxOpenTables = 3
	// maxRunsOfStep is how many things that one step did are named.
	maxRunsOfStep = 4
)

// icon says a fate at a glance; the words beside it say it, too.
func icon(fate string) string {
	switch fate {
	case "succeeded":
		return "✅"
	case "failed", "invalid":
		return "❌"
	case "held", "paused":
		return "⏸️"
	case "superseded":
		return "⏩"
	}
	return "⏳"
}

// word is a fate in a table.
func (c ClientResult) word() string {
	switch fate := c.fate(); fate {
	case "succeeded":
		if c.Client.Removed {
			return "offline, as wished"
		}
		return "up to date"
	case "held":
		return "waits for somebody"
	case "pending":
		return "under way"
	case "failed", "invalid", "paused":
		return fate
	case "superseded":
		return "overtaken"
	}
	return "not known"
}

// Markdown is the result comment: what needs somebody first. At most MaxComment bytes.
func (r PullResult) Markdown() string {
	s := &sheet{}
	all := r.sorted()
	if len(all) == 1 && len(r.Problems) == 0 {
		r.one(s, all[0])
	} else {
		r.many(s, all)
	}
	s.frame(r.foot())
	return s.String(MaxComment)
}

// one is the comment about a single client.
func (r PullResult) one(s *sheet, c ClientResult) {
	o := c.Outcome()
	s.frame(MarkResult + "\n### " + icon(c.fate()) + " " + o.plainHeadline() + "\n")
	s.either(rankFirst, c.body(o), tooLong)
	s.either(rankSteps, c.rows(), "")
}

const tooLong = "\nWhat there is to say is too long to show here.\n"

func (r PullResult) many(s *sheet, all []ClientResult) {
	s.frame(MarkResult + "\n### " + r.verdict() + "\n")
	if len(all) == 0 && len(r.Problems) == 0 {
		return
	}
	bad := 0
	for bad < len(all) && trouble(all[bad].fate()) {
		bad++
	}
	for i, q := range r.Problems {
		if i >= maxProblems {
			s.count("problems", len(r.Problems)-maxProblems)
			break
		}
		rank := rankNote
		if i < maxFirst {
			rank = rankFirst
		}
		s.add(rank, "problems", q.block(r.Repo))
	}
	s.rest("problems", "problems")
	few := len(all)-bad <= maxPlain
	if bad > 0 || few && len(all) > 0 {
		s.frame(resultHead)
	}
	for _, c := range all[:bad] {
		s.add(rankRow, "rows", c.row())
	}
	if few {
		for _, c := range all[bad:] {
			s.add(rankOther, "rows", c.row())
		}
	}
	s.rest("rows", "clients")
	common := shared(all[:bad])
	for _, h := range common {
		s.add(rankRisky, "", "\n#### ⏸️ "+count(h.clients, "client")+" wait together\n"+actOn(h.Hold)+approvalRule)
	}
	told, open := 0, 0
	for _, c := range all[:bad] {
		if c = c.without(common); c.fate() == "held" && len(c.Holds) == 0 && c.Now == nil && len(common) > 0 {
			continue // told above; it has its row
		}
		if told++; told > maxTroubled {
			s.count("troubled", 1)
			continue
		}
		o := c.Outcome()
		s.add(rankRisky, "troubled", "\n#### "+icon(c.fate())+" "+o.plainHeadline()+"\n"+c.body(o))
		steps := c.rows()
		if steps != "" {
			if open++; open > maxOpenTables {
				steps = folded("Steps", steps)
			}
		}
		s.either(rankSteps, steps, "")
	}
	s.rest("troubled", "clients that need somebody")
	r.good(s, all[bad:], few)
}

// good are the clients that need nobody, folded.
func (r PullResult) good(s *sheet, all []ClientResult, few bool) {
	if len(all) == 0 {
		return
	}
	if few {
		for _, c := range all {
			o := c.Outcome()
			s.add(rankDetail, "details", folded(summaryCode(c.Client.Name)+": "+c.word(), o.headline.markdown()+"\n"+c.body(o)+c.rows()))
		}
		s.rest("details", "clients, whose steps are too long to show here")
		return
	}
	s.frame("\n<details><summary>" + count(len(all), "client") + " that " + verb(len(all), "needs", "need") + " nobody</summary>\n" + resultHead)
	for _, c := range all[:min(maxRows, len(all))] {
		s.add(rankOther, "good", c.row())
	}
	s.count("good", len(all)-maxRows)
	s.rest("good", "clients")
	s.frame("\n</details>\n")
}

func trouble(fate string) bool { return fate == "failed" || fate == "invalid" || fate == "held" }

const resultHead = "\n| Client | Result | Time | |\n|---|---|--:|---|\n"

// row is a client's row of the table.
func (c ClientResult) row() string {
	result := icon(c.fate()) + "&nbsp;" + c.word()
	if s := failedStep(c.Run); s != nil && c.fate() == "failed" {
		result += " at " + Text(stepWord(*s))
	}
	return "| " + href(Code(cell(c.Client.Name)), c.Log) + " | " + result + " | " + c.took() + " | " + c.links(true) + " |\n"
}

func (c ClientResult) took() string {
	if c.Run.Started.IsZero() || c.Run.Ended.IsZero() || c.Run.Ended.Before(c.Run.Started) {
		return ""
	}
	return tight(Took(c.Run.Ended.Sub(c.Run.Started)))
}

// links are where the client and its run are to be seen.
func (c ClientResult) links(site bool) string {
	var out []string
	if site && c.Client.URL != "" && !c.Client.Removed {
		if to := safeURL(c.Client.URL); to != "" {
			out = append(out, "[site](<"+to+">)")
		}
	}
	if to := safeURL(c.Log); to != "" {
		out = append(out, "[log](<"+to+">)")
	}
	if to := safeURL(c.Newer); to != "" {
		out = append(out, "[newer result](<"+to+">)")
	}
	return strings.Join(out, " · ")
}

// plainHeadline is the headline for a heading, which is strong by itself.
func (o Outcome) plainHeadline() string {
	h := o.headline
	h.strong = false
	return h.markdown()
}

// body is what follows a client's headline: what works, the cause, what to do, links.
func (c ClientResult) body(o Outcome) string {
	var b strings.Builder
	if len(o.works) > 0 {
		var words []string
		for _, s := range o.works {
			words = append(words, s.markdown())
		}
		b.WriteString("\n" + strings.Join(words, " ") + "\n")
	}
	if c.fate() == "held" && (c.Reviewed != nil || c.Now != nil) {
		b.WriteString(c.difference())
	}
	if o.cause != "" && !o.Good && (c.fate() != "held" || len(c.Holds) == 0) { // else each hold says why
		b.WriteString("\n**Cause:** " + prose(o.cause) + "\n")
	}
	b.WriteString(c.act(o))
	if l := c.links(!o.Good); l != "" {
		b.WriteString("\n" + l + "\n")
	}
	return b.String()
}

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

// group is what one of the eight steps did.
type group struct {
	label          string // "deploy"; of several that were not begun the first and the last
	state          string
	started, ended time.Time
	what           []string
	notes          []string
}

// stateRank orders the states of steps, the worst last.
func stateRank(s string) int {
	for i, k := range []string{"", "done", "skipped", "undone", "superseded", "pending", "running", "waiting", "parked", "failed"} {
		if s == k {
			return i
		}
	}
	return 0
}

// groups are a run's steps by their number, in order.
func groups(d state.Deployment) []group {
	by := map[int]*group{}
	for _, s := range d.Steps {
		g := by[s.Number]
		if g == nil {
			g = &group{}
			by[s.Number] = g
		}
		if g.state == "" || stateRank(s.State) > stateRank(g.state) {
			g.state = s.State
		}
		if !s.Started.IsZero() && (g.started.IsZero() || s.Started.Before(g.started)) {
			g.started = s.Started
		}
		if s.Ended.After(g.ended) {
			g.ended = s.Ended
		}
		if plan.Action(s.Action) != plan.Record {
			g.what = append(g.what, Text(cell(s.Action))+" "+Text(cell(string(s.Ref.Kind)))+" "+Code(cell(s.Ref.Name)))
		}
		note := ""
		switch {
		case s.Error != "":
			note = "**" + Text(cell(s.Error)) + "**"
		case s.Note != "":
			note = Text(cell(s.Note))
		}
		if note != "" && !slices.Contains(g.notes, note) {
			g.notes = append(g.notes, note)
		}
	}
	var out []group
	for n := 0; n <= plan.StepRecord; n++ {
		g := by[n]
		if g == nil {
			continue
		}
		g.label = plan.StepName(n)
		if last := len(out) - 1; last >= 0 && g.idle() && out[last].idle() {
			first, _, _ := strings.Cut(out[last].label, " ")
			out[last].label, out[last].what = first+" … "+g.label, nil
			continue
		}
		out = append(out, *g)
	}
	return out
}

// idle says that nothing of it was begun, and nothing is to be said of it.
func (g group) idle() bool { return resultOf(g.state) == notBegun && len(g.notes) == 0 }

// rows are the steps with results and durations; "" if there are none.
func (c ClientResult) rows() string {
	all := groups(c.Run)
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| Step | Result | Time | What |\n|---|---|--:|---|\n")
	for _, g := range all {
		took := ""
		if !g.started.IsZero() && g.ended.After(g.started) && (g.state == "done" || g.state == "failed") {
			took = tight(Took(g.ended.Sub(g.started)))
		}
		what := g.what
		if len(what) > maxRunsOfStep {
			what = append(what[:maxRunsOfStep:maxRunsOfStep], number(len(g.what)-maxRunsOfStep)+" more")
		}
		notes := g.notes
		if len(notes) > maxRunsOfStep {
			notes = append(notes[:maxRunsOfStep:maxRunsOfStep], number(len(g.notes)-maxRunsOfStep)+" more")
		}
		b.WriteString("| " + g.label + " | " + resultOf(g.state) + " | " + took + " | " + strings.Join(append([]string{strings.Join(what, ", ")}, notes...), "<br>") + " |\n")
	}
	return b.String()
}

const notBegun = "○&nbsp;not&nbsp;begun"

// resultOf is a step's state with a sign.
func resultOf(s string) string {
	switch s {
	case "done":
		return "✔&nbsp;done"
	case "failed":
		return "✘&nbsp;failed"
	case "waiting", "parked":
		return "…&nbsp;waits"
	case "running":
		return "▶&nbsp;running"
	case "skipped", "pending", "superseded":
		return notBegun
	case "undone":
		return "↩&nbsp;taken&nbsp;back"
	}
	return Text(cell(s))
}

// verdict is the first line about several clients.
func (r PullResult) verdict() string {
	n := map[string][]string{}
	for _, c := range r.Clients {
		n[c.fate()] = append(n[c.fate()], c.Client.Name)
	}
	var parts []string
	worst := ""
	for _, f := range fates() {
		who := n[f]
		if len(who) == 0 {
			continue
		}
		if worst == "" {
			worst = f
		}
		subject := count(len(who), "client")
		if trouble(f) && len(who) == 1 {
			subject = Text(cell(who[0]))
		}
		parts = append(parts, subject+" "+became(f, len(who)))
	}
	if files := len(invalidPaths(r.Problems)); files > 0 && len(n["invalid"]) == 0 {
		worst = "invalid"
		parts = append([]string{count(files, "file") + " " + verb(files, "is", "are") + " invalid"}, parts...)
	}
	if len(parts) == 0 {
		return "No client changed."
	}
	return icon(worst) + " " + strings.Join(parts, ", ") + "."
}

// became is a fate as a verb.
func became(fate string, n int) string {
	switch fate {
	case "failed":
		return "failed"
	case "invalid":
		return verb(n, "has", "have") + " an invalid file"
	case "held":
		return verb(n, "waits", "wait") + " for somebody"
	case "pending":
		return verb(n, "is", "are") + " under way"
	case "paused":
		return verb(n, "is", "are") + " paused"
	case "superseded":
		return verb(n, "was", "were") + " overtaken by a newer commit"
	}
	return verb(n, "is", "are") + " up to date"
}

func (r PullResult) foot() string {
	var parts []string
	if r.Commit != "" {
		parts = append(parts, "Commit "+commit(r.Commit))
	}
	if r.Took > 0 {
		parts = append(parts, Took(r.Took))
	}
	if l := href("all of it", r.Link); l != "all of it" {
		parts = append(parts, l)
	}
	for _, c := range r.Clients {
		if c.fate() == "pending" {
			parts = append(parts, "This comment is edited while it goes on.")
			break
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "\n<sub>" + strings.Join(parts, " · ") + "</sub>\n"
}
