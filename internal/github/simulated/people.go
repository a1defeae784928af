package simulated

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// What GitHub takes.
const (
	maxComment = 65_536 // characters
	maxTitle   = 256
)

// Proposal is a pull request that somebody opens.
type Proposal struct {
	Head   string // branch
	Base   string // "": the repository's own branch
	Title  string // "": the branch's name
	Body   string
	Author string // login; "": the owner
	Fork   bool   // the branch is in the author's fork
	Draft  bool
}

// AddUser makes an account with a role on the repository: admin, maintain, write, triage,
// read or none.
func (f *Forge) AddUser(login, permission string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.user(login).Permission = permission
}

// SetPermission changes what somebody may do; whoever is not there is added.
func (f *Forge) SetPermission(login, permission string) { f.AddUser(login, permission) }

// RenameRepository gives the repository another name: whoever asks by the former one is led on. Git
// and the pages know the former one only.
func (f *Forge) RenameRepository(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.called = name
}

// Archive makes the repository read-only, or lets it be written again.
func (f *Forge) Archive(is bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.archived = is
}

// Suspend suspends the App's installation, or ends that.
func (f *Forge) Suspend(is bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.suspended = is
}

// Push commits files (nil deletes) to a branch, which begins at the repository's own branch
// when it is new, and returns the commit.
func (f *Forge) Push(branch string, files map[string]*string, message, author string) (string, error) {
	f.meet(author)
	return f.git.CommitTo(f.o.Repo, branch, files, message, person(author))
}

// PushFork commits to a branch of the author's fork, which is made when it is missing.
func (f *Forge) PushFork(branch string, files map[string]*string, message, author string) (string, error) {
	f.meet(author)
	repo, err := f.fork(author)
	if err != nil {
		return "", err
	}
	return f.git.CommitTo(repo, branch, files, message, person(author))
}

func (f *Forge) meet(login string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.user(login)
}

// fork is the repository of somebody's fork.
func (f *Forge) fork(login string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if repo := f.w.Forks[login]; repo != "" {
		return repo, nil
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(login))
	repo := fmt.Sprintf("%s-fork-%s", f.o.Repo, name)
	if err := f.git.Fork(f.o.Repo, repo); err != nil {
		return "", err
	}
	f.w.Forks[login] = repo
	return repo, errors.Join(f.sync(login), f.save())
}

// ForcePush moves a branch to a commit, whatever it named before, and commits files on top
// of it when there are any. It returns the branch's commit.
func (f *Forge) ForcePush(branch, to string, files map[string]*string, message, author string) (string, error) {
	f.meet(author)
	tip := to
	announce, err := f.git.Edit(f.o.Repo, func(r *gitserver.Repository) error {
		c, err := r.Commit(to)
		if err != nil {
			return err
		}
		if len(files) > 0 {
			tree, err := r.Change(c.Tree, files)
			if err != nil {
				return err
			}
			if tip, err = r.Write(gitserver.Commit{Tree: tree, Parents: []string{to}, Author: person(author), Message: message}); err != nil {
				return err
			}
		}
		return r.Set(heads+branch, tip)
	})
	announce()
	return tip, err
}

// DeleteBranch removes a branch; its open pull requests are closed.
func (f *Forge) DeleteBranch(branch, by string) error {
	return f.do(func() (func(), error) {
		announce, err := f.git.Edit(f.o.Repo, func(r *gitserver.Repository) error {
			if _, err := r.Ref(heads + branch); err != nil {
				return err
			}
			return r.Delete(heads + branch)
		})
		if err != nil {
			return announce, err
		}
		return announce, f.sync(by)
	})
}

// OpenPull opens a pull request and returns its number. ErrRefused: there is one, or the
// branch brings nothing.
func (f *Forge) OpenPull(p Proposal) (int, error) {
	number := 0
	err := f.do(func() (func(), error) {
		opened, err := f.open(p)
		if err == nil {
			number = opened.Number
		}
		return nil, err
	})
	return number, err
}

// open opens a pull request. The lock is held.
func (f *Forge) open(o Proposal) (*Pull, error) {
	if o.Author == "" {
		o.Author = f.o.Owner
	}
	if o.Title == "" {
		o.Title = o.Head
	}
	if utf8.RuneCountInString(o.Title) > maxTitle || utf8.RuneCountInString(o.Body) > maxComment {
		return nil, fmt.Errorf("the title or the body is too long: %w", ErrRefused)
	}
	u := f.user(o.Author)
	if o.Base == "" {
		o.Base = f.own
	}
	p := &Pull{Title: o.Title, Body: o.Body, Author: u.Login, HeadRef: o.Head, BaseRef: o.Base, State: "open", Draft: o.Draft, Created: f.now(), Updated: f.now()}
	if o.Fork {
		p.Fork = u.Login
	}
	if p.Head = f.w.Branches[f.repoOf(p)][o.Head]; p.Head == "" {
		return nil, fmt.Errorf("branch %q: %w", o.Head, ErrNotFound)
	}
	if p.Base = f.w.Branches[f.o.Repo][o.Base]; p.Base == "" {
		return nil, fmt.Errorf("branch %q: %w", o.Base, ErrNotFound)
	}
	same := func(q *Pull) bool {
		return q.State == "open" && q.HeadRef == p.HeadRef && q.BaseRef == p.BaseRef && q.Fork == p.Fork
	}
	if slices.ContainsFunc(f.w.Pulls, same) {
		return nil, fmt.Errorf("a pull request of %s exists: %w", o.Head, ErrRefused)
	}
	if err := f.git.Fetch(f.o.Repo, f.repoOf(p), p.Head); err != nil {
		return nil, err
	}
	var fresh []gitserver.Commit
	err := f.git.View(f.o.Repo, func(r *gitserver.Repository) (err error) {
		fresh, err = r.Between(p.Base, p.Head)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(fresh) == 0 {
		return nil, fmt.Errorf("no commits between %s and %s: %w", o.Base, o.Head, ErrRefused)
	}
	f.w.Number++
	p.ID, p.Number = f.id(), f.w.Number
	if err := f.look(p); err != nil {
		return nil, err
	}
	f.w.Pulls = append(f.w.Pulls, p)
	return p, f.tellPull("opened", p, p.Author, nil)
}

// Comment writes a comment on a pull request and returns its id.
func (f *Forge) Comment(author string, pull int, body string) (int64, error) {
	var id int64
	err := f.do(func() (func(), error) {
		c, err := f.addComment(f.user(author).Login, pull, body, false)
		if err == nil {
			id = c.ID
		}
		return nil, err
	})
	return id, err
}

func (f *Forge) addComment(author string, pull int, body string, app bool) (*Comment, error) {
	p, err := f.pull(pull)
	if err != nil {
		return nil, err
	}
	c := &Comment{ID: f.id(), Pull: pull, Author: author, Body: body, Created: f.now(), Updated: f.now(), App: app}
	f.w.Comments = append(f.w.Comments, c)
	p.Updated = f.now()
	return c, f.tellComment("created", c, author, nil)
}

// EditComment changes a comment, as somebody with write access.
func (f *Forge) EditComment(id int64, body, by string) error {
	return f.do(func() (func(), error) {
		c, err := f.comment(id)
		if err != nil {
			return nil, err
		}
		return nil, f.editComment(c, body, by)
	})
}

func (f *Forge) editComment(c *Comment, body, by string) error {
	from := c.Body
	c.Body, c.Updated = body, f.now()
	c.Edits++
	return f.tellComment("edited", c, by, object{"body": object{"from": from}})
}

// DeleteComment removes a comment, as somebody with write access.
func (f *Forge) DeleteComment(id int64, by string) error {
	return f.do(func() (func(), error) {
		c, err := f.comment(id)
		if err != nil {
			return nil, err
		}
		return nil, f.deleteComment(c, by)
	})
}

func (f *Forge) deleteComment(c *Comment, by string) error {
	f.remove(c.ID)
	return f.tellComment("deleted", c, by, nil)
}

// ClosePull is what GitHub's button Close does.
func (f *Forge) ClosePull(number int, by string) error {
	return f.do(func() (func(), error) {
		p, err := f.pull(number)
		if err != nil {
			return nil, err
		}
		if p.State != "open" {
			return nil, fmt.Errorf("pull request %d is closed: %w", number, ErrRefused)
		}
		f.setClosed(p, by)
		return nil, nil
	})
}

// Reopen opens a closed pull request again, at its branch's commit of now. ErrRefused: it was
// merged, or its branch is gone.
func (f *Forge) Reopen(number int, by string) error {
	return f.do(func() (func(), error) {
		p, err := f.pull(number)
		if err != nil {
			return nil, err
		}
		return nil, f.reopen(p, by)
	})
}

func (f *Forge) reopen(p *Pull, by string) error {
	head := f.w.Branches[f.repoOf(p)][p.HeadRef]
	if p.State == "open" || p.Merged || head == "" {
		return fmt.Errorf("pull request %d can't be reopened: %w", p.Number, ErrRefused)
	}
	p.State, p.Closed, p.ClosedBy, p.Updated, p.Head, p.Trial = "open", time.Time{}, "", f.now(), head, Trial{}
	if err := f.look(p); err != nil {
		return err
	}
	return f.tellPull("reopened", p, by, nil)
}

// SetDraft makes a pull request a draft, or ready for review.
func (f *Forge) SetDraft(number int, draft bool, by string) error {
	return f.do(func() (func(), error) {
		p, err := f.pull(number)
		if err != nil || p.Draft == draft {
			return nil, err
		}
		p.Draft, p.Updated = draft, f.now()
		action := "ready_for_review"
		if draft {
			action = "converted_to_draft"
		}
		return nil, f.tellPull(action, p, by, nil)
	})
}

// Retitle edits a pull request's title and body.
func (f *Forge) Retitle(number int, title, body, by string) error {
	return f.do(func() (func(), error) {
		p, err := f.pull(number)
		if err != nil {
			return nil, err
		}
		return nil, f.edit(p, &title, &body, by)
	})
}

func (f *Forge) edit(p *Pull, title, body *string, by string) error {
	changes := object{}
	if title != nil && *title != p.Title {
		changes["title"], p.Title = object{"from": p.Title}, *title
	}
	if body != nil && *body != p.Body {
		changes["body"], p.Body = object{"from": p.Body}, *body
	}
	if len(changes) == 0 {
		return nil
	}
	p.Updated = f.now()
	return f.tellPull("edited", p, by, object{"changes": changes})
}

// Apply commits a suggestion to the pull request's branch, as the button does. ErrRefused:
// it holds none, or its lines changed since.
func (f *Forge) Apply(id int64, by string) error {
	return f.do(func() (announce func(), err error) {
		for _, s := range f.w.Suggestions {
			if s.ID == id {
				return f.apply(s, by)
			}
		}
		return nil, fmt.Errorf("suggestion %d: %w", id, ErrNotFound)
	})
}

func (f *Forge) apply(s *Suggestion, by string) (func(), error) {
	p, err := f.pull(s.Pull)
	if err != nil {
		return nil, err
	}
	lines, ok := suggested(s.Body)
	if !ok || p.State != "open" || f.outdated(s, p.Head) {
		return nil, fmt.Errorf("suggestion %d holds nothing to commit, or is outdated: %w", s.ID, ErrRefused)
	}
	commit := ""
	announce, err := f.git.Edit(f.repoOf(p), func(r *gitserver.Repository) error {
		tip, err := r.Ref(heads + p.HeadRef)
		if err != nil {
			return err
		}
		c, err := r.Commit(tip)
		if err != nil {
			return err
		}
		blob, err := r.File(c.Tree, s.Path)
		if err != nil {
			return err
		}
		text, err := r.Text(blob.ID)
		if err != nil {
			return err
		}
		old := strings.SplitAfter(text, "\n")
		first := s.Line
		if s.StartLine > 0 {
			first = s.StartLine
		}
		if first < 1 || s.Line > len(old) {
			return fmt.Errorf("suggestion %d is outside of its file: %w", s.ID, ErrRefused)
		}
		text = strings.Join(old[:first-1], "") + lines + strings.Join(old[s.Line:], "")
		tree, err := r.Change(c.Tree, map[string]*string{s.Path: &text})
		if err != nil {
			return err
		}
		if commit, err = r.Write(gitserver.Commit{Tree: tree, Parents: []string{tip}, Author: person(by), Message: "Apply a suggestion to " + s.Path + "\n"}); err != nil {
			return err
		}
		return r.Set(heads+p.HeadRef, commit)
	})
	if err != nil {
		return announce, err
	}
	s.Applied, s.Updated = commit, f.now()
	return announce, f.sync(by)
}

// suggested is the text between the fences of a suggestion, with an end of line after each.
func suggested(body string) (string, bool) {
	_, rest, ok := strings.Cut(strings.ReplaceAll(body, "\r\n", "\n"), "```suggestion\n")
	if !ok {
		return "", false
	}
	if strings.HasPrefix(rest, "```") {
		return "", true
	}
	text, _, ok := strings.Cut(rest, "\n```")
	return text + "\n", ok
}
