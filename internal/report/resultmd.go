package report

import (
	"strings"
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
	case "invalid":
		if c.Client.EverDeployed {
			return "invalid; its last good version stays"
		}
		return fate
	case "failed", "paused":
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
	if r.Hold != nil {
		r.whole(s)
	} else if len(all) == 1 && len(r.Problems) == 0 {
		r.one(s, all[0])
	} else {
		r.many(s, all)
	}
	s.frame(r.foot())
	return s.String(MaxComment)
}

// whole is the comment about a commit of which nothing was accepted.
func (r PullResult) whole(s *sheet) {
	s.frame(MarkResult + "\n### " + icon("held") + " Nothing of this merge was accepted: it waits as a whole.\n")
	text := "\nEvery site runs as before.\n\n**Cause:** " + Text(r.Hold.Reason) + "\n\n**What to do:** revert the merge"
	if r.Hold.Approvable {
		text += ", or someone with write access accepts it by commenting:\n\n```text\n/reconciler approve " + Clip(Line(r.Hold.Fingerprint), maxCell) + "\n```\n"
	} else {
		text += ".\n"
	}
	s.either(rankFirst, text, tooLong)
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
		s.add(rankNote, "notes", "\nThe branch had this already, or it was taken back, when the merge was looked at. Every site runs as before.\n")
		return
	}
	bad := 0
	for bad < len(all) && trouble(all[bad].fate()) {
		bad++
	}
	told := map[string]bool{} // whose file's problems are all that there is to say
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
		told[q.Client] = told[q.Client] || !q.Warning
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
	sections, open := 0, 0
	for _, c := range all[:bad] {
		if c.fate() == "invalid" && told[c.Client.Name] {
			continue // it has its row
		}
		if c = c.without(common); c.fate() == "held" && len(c.Holds) == 0 && c.Now == nil && len(common) > 0 {
			continue // told above; it has its row
		}
		if sections++; sections > maxTroubled {
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
