package simulated

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/report"
)

// words are what the pages say their data with. What others wrote goes through line, shown
// or markdown, and nothing else.
func (p *pages) words() template.FuncMap {
	return template.FuncMap{
		"line": report.Line, "shown": shown, "path": escapePath,
		"short": func(id string) string { return report.Line(id[:min(7, len(id))]) },
		"when":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") },
		"many":  many,
		"safe": func(u string) string {
			if strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://") {
				return u
			}
			return ""
		},
		"sign": sign, "emoji": emoji, "inc": func(n int) int { return n + 1 },
		"dict": func(pairs ...any) map[string]any {
			out := map[string]any{}
			for i := 0; i+1 < len(pairs); i += 2 {
				out[fmt.Sprint(pairs[i])] = pairs[i+1]
			}
			return out
		},
	}
}

// many is a number of something.
func many(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "s"):
		one += "e"
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// sign is the mark of a state, so that nothing is told by colour alone.
func sign(state string) string {
	switch state {
	case "success":
		return "✓"
	case "failure", "error", "timed_out", "action_required":
		return "✗"
	case "pending", "queued", "in_progress":
		return "●"
	}
	return "–"
}

func emoji(name string) string {
	return map[string]string{"+1": "👍", "-1": "👎", "laugh": "😄", "confused": "😕", "heart": "❤️", "hooray": "🎉", "rocket": "🚀", "eyes": "👀"}[name]
}

// line of commits with what is known of them.
type commitRow struct {
	ID, Subject, Author string
	When                time.Time
	State               string // of all statuses together; "" without any
	Statuses            []Status
	Pull                int // that brought it; 0: none
}

func subject(message string) string {
	s, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	return s
}

func (p *pages) row(c gitserver.Commit) commitRow {
	f := p.f
	out := commitRow{ID: c.ID, Subject: subject(c.Message), Author: c.Author.Name, When: c.Committer.When, Statuses: f.Statuses(c.ID)}
	out.State = p.state(out.Statuses)
	for _, q := range f.Pulls() {
		if q.Merged && (slices.Contains(q.Landed, c.ID) || q.MergeCommit == c.ID) {
			out.Pull = q.Number
		}
	}
	return out
}

func (p *pages) state(all []Status) string {
	if len(all) == 0 {
		return ""
	}
	var list []*Status
	for i := range all {
		list = append(list, &all[i])
	}
	return combine(list)
}

// history are the newest commits of a branch that another lacks; "" lacks all.
func (p *pages) history(without, tip string) (out []commitRow, err error) {
	var all []gitserver.Commit
	err = p.f.git.View(p.f.o.Repo, func(r *gitserver.Repository) error {
		all, err = r.Between(without, tip)
		return err
	})
	slices.Reverse(all)
	for _, c := range all[:min(len(all), maxRows)] {
		out = append(out, p.row(c))
	}
	return out, err
}

type pullRow struct {
	Pull
	Status   string
	Comments int
}

type branchRow struct {
	Name, Tip, Subject string
	Ahead              int
	When               time.Time
}

// overview is the first page.
func (p *pages) overview(w http.ResponseWriter, r *http.Request) {
	v := struct {
		Open, Closed []pullRow
		Branches     []branchRow // that no pull request is open for
		Main         string
		Commits      []commitRow
		Deployments  []Deployment
	}{Main: p.f.own}
	busy := map[string]bool{p.f.own: true}
	all := p.f.Pulls()
	slices.Reverse(all)
	for _, q := range all {
		statuses := p.f.Statuses(q.Head)
		row := pullRow{q, p.state(statuses), len(p.f.Comments(q.Number))}
		switch q.State {
		case "open":
			v.Open = append(v.Open, row)
			busy[q.HeadRef] = busy[q.HeadRef] || q.Fork == ""
		default:
			if tip, err := p.f.Branch(q.HeadRef); err == nil && tip == q.Head && q.Fork == "" {
				busy[q.HeadRef] = true // nothing came since
			}
			if len(v.Closed) < 10 {
				v.Closed = append(v.Closed, row)
			}
		}
	}
	var err error
	if v.Branches, err = p.branches(busy); err == nil {
		var tip string
		if tip, err = p.f.Branch(p.f.own); err == nil {
			v.Commits, err = p.history("", tip)
			v.Commits = v.Commits[:min(len(v.Commits), 10)]
		}
	}
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	v.Deployments = p.newest(8)
	p.show(w, r, http.StatusOK, "overview.html", "Pull requests", v)
}

// newest is the last deployment of each environment, the newest first.
func (p *pages) newest(most int) (out []Deployment) {
	all := p.f.Deployments("")
	seen := map[string]bool{}
	for i := len(all) - 1; i >= 0 && len(out) < most; i-- {
		if !seen[all[i].Environment] {
			seen[all[i].Environment] = true
			out = append(out, all[i])
		}
	}
	return out
}

// branches are those with commits of their own that nobody proposed yet.
func (p *pages) branches(busy map[string]bool) (out []branchRow, err error) {
	err = p.f.git.View(p.f.o.Repo, func(r *gitserver.Repository) error {
		refs, err := r.Refs(heads)
		if err != nil {
			return err
		}
		main, err := r.Ref(heads + p.f.own)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			name := strings.TrimPrefix(ref.Name, heads)
			if busy[name] || len(out) == maxRows {
				continue
			}
			fresh, err := r.Between(main, ref.Commit)
			if err != nil {
				return err
			}
			if len(fresh) > 0 {
				tip := fresh[len(fresh)-1]
				out = append(out, branchRow{name, ref.Commit, subject(tip.Message), len(fresh), tip.Committer.When})
			}
		}
		return nil
	})
	return out, err
}

// entry in a conversation.
type talk struct {
	ID               int64
	Author           string
	Bot, Edited, Own bool // Own: the pull request's description
	At               time.Time
	Body             template.HTML
	Reactions        []string
	Suggestion       *suggestionView
}

type suggestionView struct {
	ID       int64
	Path     string
	Line     int
	Hunk     []diffLine
	Old, Fix []string
	HasFix   bool
	Outdated bool
	Applied  string
}

// pullView is what pull.html gets.
type pullView struct {
	Pull
	Talk                []talk
	Statuses, Earlier   []Status // of its head; of a merged one, of what it became, and earlier ones
	Status              string
	Checks              []Check
	Commits             []commitRow
	Files               []fileDiff
	Known, Can          bool // whether it is known that it merges, and that it does
	HeadGone, CanReopen bool
	Reverted            bool
	Deployments         []Deployment
}

func (p *pages) pull(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		p.wrong(w, r, ErrNotFound)
		return
	}
	v, err := p.viewOf(number, base(r))
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "pull.html", fmt.Sprintf("%s · #%d", report.Line(v.Title), v.Number), v)
}

func (p *pages) viewOf(number int, base string) (v pullView, err error) {
	f := p.f
	f.tryMerge(number) // whoever looks at a page doesn't want to look twice
	q, err := f.Pull(number)
	if err != nil {
		return v, err
	}
	v.Pull = q
	f.mu.Lock()
	v.Known, v.Can = f.mergeable(&q)
	v.HeadGone = f.w.Branches[f.repoOf(&q)][q.HeadRef] == ""
	f.mu.Unlock()
	v.CanReopen = q.State == "closed" && !q.Merged && !v.HeadGone
	if v.Statuses = f.Statuses(q.Head); q.Merged {
		if q.MergeCommit != q.Head {
			v.Earlier = v.Statuses
		}
		v.Statuses = f.Statuses(q.MergeCommit)
		for _, d := range f.Deployments("") {
			if d.SHA == q.MergeCommit || slices.Contains(q.Landed, d.SHA) {
				v.Deployments = append(v.Deployments, d)
			}
		}
	}
	v.Status, v.Checks = p.state(v.Statuses), f.Checks(q.Head)
	for _, other := range f.Pulls() {
		v.Reverted = v.Reverted || other.HeadRef == fmt.Sprintf("revert-%d-%s", q.Number, q.HeadRef)
	}
	commits, err := f.commitsOf(&q)
	if err != nil {
		return v, err
	}
	for _, c := range commits[:min(len(commits), maxRows)] {
		v.Commits = append(v.Commits, p.row(c))
	}
	err = f.git.View(f.o.Repo, func(r *gitserver.Repository) (err error) {
		v.Files, err = diffOf(r, &q, q.Head)
		return err
	})
	v.Talk = p.conversation(q, base)
	return v, err
}

// conversation is all that was said, in its order.
func (p *pages) conversation(q Pull, base string) []talk {
	f := p.f
	at := base + "/" + f.o.Owner + "/" + f.o.Repo
	md := newMarkdown(func(n int) (string, bool) {
		_, err := f.Pull(n)
		return at + "/pull/" + strconv.Itoa(n), err == nil
	})
	out := []talk{}
	if strings.TrimSpace(q.Body) != "" {
		out = append(out, talk{Author: q.Author, At: q.Created, Body: md.render(q.Body), Own: true})
	}
	for _, c := range f.Comments(q.Number) {
		t := talk{ID: c.ID, Author: c.Author, Bot: strings.HasSuffix(c.Author, "[bot]"), Edited: c.Edits > 0, At: c.Created, Body: md.render(c.Body)}
		for _, r := range f.Reactions(c.ID) {
			t.Reactions = append(t.Reactions, r.Content)
		}
		out = append(out, t)
	}
	for _, s := range f.Suggestions(q.Number) {
		body, _, _ := strings.Cut(strings.ReplaceAll(s.Body, "\r\n", "\n"), "```suggestion")
		fix, has := suggested(s.Body)
		f.mu.Lock()
		outdated := f.outdated(&s, q.Head)
		f.mu.Unlock()
		view := &suggestionView{ID: s.ID, Path: s.Path, Line: s.Line, Hunk: lastLines(s.Hunk), HasFix: has, Fix: strings.Split(strings.TrimSuffix(fix, "\n"), "\n"), Outdated: outdated, Applied: s.Applied}
		n := 1 // lines that it replaces
		if s.StartLine > 0 {
			n = s.Line - s.StartLine + 1
		}
		for _, l := range view.Hunk[max(0, len(view.Hunk)-n):] {
			view.Old = append(view.Old, l.Text)
		}
		out = append(out, talk{ID: s.ID, Author: s.Author, Bot: strings.HasSuffix(s.Author, "[bot]"), At: s.Created, Body: md.render(body), Suggestion: view})
	}
	slices.SortStableFunc(out, func(a, b talk) int { return a.At.Compare(b.At) })
	return out
}

// lastLines are the last of a hunk, which its comment is about.
func lastLines(hunk string) (out []diffLine) {
	all := strings.Split(hunk, "\n")[1:]
	for _, l := range all[max(0, len(all)-4):] {
		if l != "" {
			out = append(out, diffLine{Sign: l[:1], Text: l[1:]})
		}
	}
	return out
}
