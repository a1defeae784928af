package simulated

import (
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// body reads a comment's text.
func (c *call) text() (string, error) {
	var in struct{ Body string }
	if err := c.decode(&in); err != nil {
		return "", err
	}
	if strings.TrimSpace(in.Body) == "" {
		return "", invalid("IssueComment", "body", "missing_field", "")
	}
	if utf8.RuneCountInString(in.Body) > maxComment {
		return "", invalid("IssueComment", "body", "custom", "body is too long (maximum is 65536 characters)")
	}
	return in.Body, nil
}

// since reads a time of the query.
func (c *call) since() (time.Time, error) {
	text := c.query("since")
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, invalid("IssueComment", "since", "invalid", "")
	}
	return t, nil
}

func (c *call) commentList(pull int) ([]*Comment, error) {
	since, err := c.since()
	var out []*Comment
	for _, x := range c.f.w.Comments {
		if (pull == 0 || x.Pull == pull) && !x.Updated.Before(since) && c.f.visible(x.Created) {
			out = append(out, x)
		}
	}
	return out, err
}

func listComments(c *call) (any, error) {
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	out, err := c.commentList(p.Number)
	return each(pageOf(c, out), c.f.issueComment), err
}

func listAllComments(c *call) (any, error) {
	out, err := c.commentList(0)
	if by := c.query("sort"); by == "updated" || by == "created" && c.query("direction") != "" {
		sort.SliceStable(out, func(i, j int) bool {
			a, b := out[i], out[j]
			if c.query("direction") != "asc" {
				a, b = b, a
			}
			x, y := a.Created, b.Created
			if by == "updated" {
				x, y = a.Updated, b.Updated
			}
			if !x.Equal(y) {
				return x.Before(y)
			}
			return a.ID < b.ID
		})
	}
	return each(pageOf(c, out), c.f.issueComment), err
}

func getComment(c *call) (any, error) {
	x, err := c.f.comment(c.number("id"))
	if err != nil {
		return nil, err
	}
	return c.f.issueComment(x), nil
}

func createComment(c *call) (any, error) {
	text, err := c.text()
	if err != nil {
		return nil, err
	}
	x, err := c.f.addComment(c.login(), int(c.number("number")), text, c.grant.app)
	if err != nil {
		return nil, err
	}
	return c.f.issueComment(x), nil
}

// mayChange says that somebody may change a comment: their own, or any with write access.
func (c *call) mayChange(author string) bool {
	p := c.f.user(c.login()).level()
	return c.login() == author || p == "admin" || p == "write" || c.grant.app
}

func editComment(c *call) (any, error) {
	text, err := c.text()
	if err != nil {
		return nil, err
	}
	x, err := c.f.comment(c.number("id"))
	if err != nil {
		return nil, err
	}
	if !c.mayChange(x.Author) {
		return nil, fail(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	if err := c.f.editComment(x, text, c.login()); err != nil {
		return nil, err
	}
	return c.f.issueComment(x), nil
}

func deleteComment(c *call) (any, error) {
	x, err := c.f.comment(c.number("id"))
	if err != nil {
		return nil, err
	}
	if !c.mayChange(x.Author) {
		return nil, fail(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	return empty{}, c.f.deleteComment(x, c.login())
}

func listReactions(c *call) (any, error) {
	x, err := c.f.comment(c.number("id"))
	if err != nil {
		return nil, err
	}
	var out []*Reaction
	for _, r := range c.f.w.Reactions {
		if r.Comment == x.ID && (c.query("content") == "" || c.query("content") == r.Content) {
			out = append(out, r)
		}
	}
	return each(pageOf(c, out), c.f.reaction), nil
}

func createReaction(c *call) (any, error) {
	var in struct{ Content string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	x, err := c.f.comment(c.number("id"))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(reactionNames(), in.Content) {
		return nil, invalid("Reaction", "content", "invalid", "")
	}
	for _, r := range c.f.w.Reactions {
		if r.Comment == x.ID && r.Author == c.login() && r.Content == in.Content {
			return answered{http.StatusOK, c.f.reaction(r)}, nil
		}
	}
	r := &Reaction{ID: c.f.id(), Comment: x.ID, Author: c.login(), Content: in.Content, Created: c.f.now()}
	c.f.w.Reactions = append(c.f.w.Reactions, r)
	return c.f.reaction(r), nil
}

func deleteReaction(c *call) (any, error) {
	comment, id := c.number("id"), c.number("reaction")
	before := len(c.f.w.Reactions)
	c.f.w.Reactions = slices.DeleteFunc(c.f.w.Reactions, func(r *Reaction) bool {
		return r.ID == id && r.Comment == comment && r.Author == c.login()
	})
	if len(c.f.w.Reactions) == before {
		return nil, ErrNotFound
	}
	return empty{}, nil
}

// suggestion is a review comment as the API has it. It is outdated when its file is not
// what it was any more: it has no line then.
func (c *call) suggestion(s *Suggestion) object {
	f := c.f
	p, err := f.pull(s.Pull)
	var line, start any = s.Line, nil
	if s.StartLine > 0 {
		start = s.StartLine
	}
	head := s.Commit
	if err == nil {
		head = p.Head
	}
	if f.outdated(s, head) {
		line = nil
	}
	at, site := f.repoAPI("/pulls/comments/%d", s.ID), f.page("/pull/%d#discussion_r%d", s.Pull, s.ID)
	pull := f.repoAPI("/pulls/%d", s.Pull)
	return object{"url": at, "pull_request_review_id": s.ID - 1, "id": s.ID, "node_id": node("PRRC", s.ID), "diff_hunk": s.Hunk, "path": s.Path, "position": line,
		"original_position": s.Line, "commit_id": head, "original_commit_id": s.Commit, "user": f.account(s.Author), "body": s.Body, "created_at": stamp(s.Created),
		"updated_at": stamp(s.Updated), "html_url": site, "pull_request_url": pull, "author_association": f.association(s.Author), "reactions": f.rollup(s.ID, at),
		"_links":     object{"self": object{"href": at}, "html": object{"href": site}, "pull_request": object{"href": pull}},
		"start_line": start, "original_start_line": start, "start_side": nil, "line": line, "original_line": s.Line, "side": s.Side, "subject_type": "line"}
}

// outdated says that the file of a suggestion changed since.
func (f *Forge) outdated(s *Suggestion, head string) bool {
	if s.Applied != "" {
		return true
	}
	same := false
	_ = f.git.View(f.o.Repo, func(r *gitserver.Repository) error { // what can't be read is outdated
		var blobs [2]gitserver.Blob
		for i, id := range []string{s.Commit, head} {
			commit, err := r.Commit(id)
			if err != nil {
				return err
			}
			if blobs[i], err = r.File(commit.Tree, s.Path); err != nil {
				return err
			}
		}
		same = blobs[0] == blobs[1]
		return nil
	})
	return !same
}

func listSuggestions(c *call) (any, error) {
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	var out []*Suggestion
	for _, s := range c.f.suggestionsOf(p.Number) {
		if c.f.visible(s.Created) {
			out = append(out, s)
		}
	}
	return each(pageOf(c, out), c.suggestion), nil
}

func (c *call) ownSuggestion() (*Suggestion, error) {
	for _, s := range c.f.w.Suggestions {
		if s.ID == c.number("id") {
			return s, nil
		}
	}
	return nil, ErrNotFound
}

func getSuggestion(c *call) (any, error) {
	s, err := c.ownSuggestion()
	if err != nil {
		return nil, err
	}
	return c.suggestion(s), nil
}

func createSuggestion(c *call) (any, error) {
	var in struct {
		Body, Path, Side string
		Commit           string `json:"commit_id"`
		Line             int
		StartLine        int `json:"start_line"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if _, err := c.text(); err != nil {
		return nil, err
	}
	p, err := c.pull()
	if err != nil {
		return nil, err
	}
	commits, err := c.f.commitsOf(p)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(commits, func(x gitserver.Commit) bool { return x.ID == in.Commit }) {
		return nil, invalid("PullRequestReviewComment", "pull_request_review_thread.commit_id", "custom", "pull_request_review_thread.commit_id is not part of the pull request")
	}
	hunk, ok := "", false
	err = c.f.git.View(c.f.o.Repo, func(r *gitserver.Repository) error {
		files, err := diffOf(r, p, in.Commit)
		for _, d := range files {
			if d.Path == in.Path {
				hunk, ok = d.shows(in.Line, in.Side)
				if in.StartLine > 0 {
					_, first := d.shows(in.StartLine, in.Side)
					ok = ok && first && in.StartLine < in.Line
				}
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, invalid("PullRequestReviewComment", "pull_request_review_thread.line", "custom", "pull_request_review_thread.line must be part of the diff")
	}
	if in.Side == "" {
		in.Side = "RIGHT"
	}
	f := c.f
	s := &Suggestion{ID: f.id() + 1, Pull: p.Number, Author: c.login(), Commit: in.Commit, Path: in.Path, Side: in.Side, Line: in.Line, StartLine: in.StartLine, Hunk: hunk, Body: in.Body, Created: f.now(), Updated: f.now()}
	f.w.NextID++ // its review has one of its own
	f.w.Suggestions = append(f.w.Suggestions, s)
	p.Updated = f.now()
	return c.suggestion(s), nil
}

func editSuggestion(c *call) (any, error) {
	text, err := c.text()
	if err != nil {
		return nil, err
	}
	s, err := c.ownSuggestion()
	if err != nil {
		return nil, err
	}
	if !c.mayChange(s.Author) {
		return nil, fail(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	s.Body, s.Updated = text, c.f.now()
	return c.suggestion(s), nil
}

func deleteSuggestion(c *call) (any, error) {
	s, err := c.ownSuggestion()
	if err != nil {
		return nil, err
	}
	if !c.mayChange(s.Author) {
		return nil, fail(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	c.f.w.Suggestions = slices.DeleteFunc(c.f.w.Suggestions, func(x *Suggestion) bool { return x == s })
	return empty{}, nil
}
