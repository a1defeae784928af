package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
)

// fakeForge is a forge in memory: all that a reviewer reads and writes, with faults.
type fakeForge struct {
	mu    sync.Mutex
	now   func() time.Time
	me    forge.Identity
	may   map[string]forge.Permission
	pulls map[int]forge.Pull
	// of are the pull requests that brought a commit, beside those whose merge commit it is.
	of          map[string][]int
	comments    []forge.Comment
	statuses    map[string][]forge.Status // by commit, the oldest first
	deployments []forge.Deployment
	states      map[int64][]forge.DeploymentStatus
	checks      []forge.Check
	suggestions []forge.Suggestion
	reactions   map[int64][]string
	unknown     map[string]bool // commits that it has never heard of
	next        int64
	calls       map[string]int // of each method

	// fault answers a call in the forge's place; nil: it is carried out. lost answers with
	// ErrAway what was carried out.
	fault func(method string, args ...any) error
	lost  func(method string, args ...any) bool
}

func newForge(now func() time.Time) *fakeForge {
	return &fakeForge{now: now, me: forge.Identity{Login: "bot", ID: 99}, may: map[string]forge.Permission{"dana": forge.Write, "robin": forge.Admin, "rosa": forge.Read},
		pulls: map[int]forge.Pull{}, of: map[string][]int{}, statuses: map[string][]forge.Status{}, states: map[int64][]forge.DeploymentStatus{}, reactions: map[int64][]string{}, unknown: map[string]bool{}, next: 1000, calls: map[string]int{}}
}

// enter is the start of every call; its error is the forge's answer.
func (f *fakeForge) enter(method string, args ...any) error {
	f.mu.Lock()
	f.calls[method]++
	if f.fault != nil {
		return f.fault(method, args...)
	}
	return nil
}

func (f *fakeForge) leave(method string, args ...any) error {
	if f.lost != nil && f.lost(method, args...) {
		return fmt.Errorf("%s: %w", method, forge.ErrAway)
	}
	return nil
}

func (f *fakeForge) Me(context.Context) (forge.Identity, error) {
	defer f.mu.Unlock()
	err := f.enter("Me")
	return f.me, err
}

func (f *fakeForge) Permission(_ context.Context, login string) (forge.Permission, error) {
	defer f.mu.Unlock()
	if err := f.enter("Permission", login); err != nil {
		return forge.None, err
	}
	if login == "" || strings.ContainsAny(login, " /") {
		return forge.None, fmt.Errorf("that is no login: %w", forge.ErrInvalid)
	}
	if p, ok := f.may[login]; ok {
		return p, nil
	}
	return forge.None, nil
}

func (f *fakeForge) Open(_ context.Context, branch string) (out []forge.Pull, err error) {
	defer f.mu.Unlock()
	if err := f.enter("Open"); err != nil {
		return nil, err
	}
	for _, p := range f.pulls {
		if p.Open && p.BaseRef == branch {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b forge.Pull) int { return a.Number - b.Number })
	return out, nil
}

func (f *fakeForge) Pull(_ context.Context, number int) (forge.Pull, error) {
	defer f.mu.Unlock()
	if err := f.enter("Pull", number); err != nil {
		return forge.Pull{}, err
	}
	p, ok := f.pulls[number]
	if !ok {
		return p, fmt.Errorf("pull %d: %w", number, forge.ErrNotFound)
	}
	return p, nil
}

func (f *fakeForge) PullsOf(_ context.Context, commit string) (out []forge.Pull, err error) {
	defer f.mu.Unlock()
	if err := f.enter("PullsOf", commit); err != nil {
		return nil, err
	}
	for _, p := range f.pulls {
		if p.Merged && (p.MergeCommit == commit || slices.Contains(f.of[commit], p.Number)) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b forge.Pull) int { return a.Number - b.Number })
	return out, nil
}

func (f *fakeForge) Comments(_ context.Context, pull int) (out []forge.Comment, err error) {
	defer f.mu.Unlock()
	if err := f.enter("Comments", pull); err != nil {
		return nil, err
	}
	for _, c := range f.comments {
		if c.Pull == pull {
			out = append(out, c)
		}
	}
	return out, nil
}

func (f *fakeForge) CommentsSince(_ context.Context, since time.Time) (out []forge.Comment, err error) {
	defer f.mu.Unlock()
	if err := f.enter("CommentsSince", since); err != nil {
		return nil, err
	}
	for _, c := range f.comments {
		if !c.UpdatedAt.Before(since) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b forge.Comment) int { return a.UpdatedAt.Compare(b.UpdatedAt) })
	return out, nil
}

func (f *fakeForge) CreateComment(_ context.Context, pull int, body string) (forge.Comment, error) {
	defer f.mu.Unlock()
	if err := f.enter("CreateComment", pull, body); err != nil {
		return forge.Comment{}, err
	}
	if _, ok := f.pulls[pull]; !ok {
		return forge.Comment{}, fmt.Errorf("pull %d: %w", pull, forge.ErrNotFound)
	}
	c := f.add(f.me.Login, f.me.ID, pull, body)
	return c, f.leave("CreateComment", pull, body)
}

func (f *fakeForge) add(author string, id int64, pull int, body string) forge.Comment {
	f.next++
	c := forge.Comment{ID: f.next, Pull: pull, Author: author, AuthorID: id, Body: body, CreatedAt: f.now(), UpdatedAt: f.now()}
	f.comments = append(f.comments, c)
	return c
}

func (f *fakeForge) EditComment(_ context.Context, id int64, body string) error {
	defer f.mu.Unlock()
	if err := f.enter("EditComment", id, body); err != nil {
		return err
	}
	i := slices.IndexFunc(f.comments, func(c forge.Comment) bool { return c.ID == id })
	if i < 0 {
		return fmt.Errorf("comment %d: %w", id, forge.ErrNotFound)
	}
	f.comments[i].Body, f.comments[i].UpdatedAt = body, f.now()
	return f.leave("EditComment", id, body)
}

func (f *fakeForge) DeleteComment(_ context.Context, id int64) error {
	defer f.mu.Unlock()
	if err := f.enter("DeleteComment", id); err != nil {
		return err
	}
	f.comments = slices.DeleteFunc(f.comments, func(c forge.Comment) bool { return c.ID == id })
	return nil
}

func (f *fakeForge) React(_ context.Context, comment int64, content string) error {
	defer f.mu.Unlock()
	if err := f.enter("React", comment); err != nil {
		return err
	}
	f.reactions[comment] = append(f.reactions[comment], content)
	return nil
}

func (f *fakeForge) Statuses(_ context.Context, commit string) (out []forge.Status, err error) {
	defer f.mu.Unlock()
	if err := f.enter("Statuses", commit); err != nil {
		return nil, err
	}
	if f.unknown[commit] {
		return nil, fmt.Errorf("commit %s: %w", commit, forge.ErrNotFound)
	}
	all := f.statuses[commit]
	for i, s := range all {
		if !slices.ContainsFunc(all[i+1:], func(t forge.Status) bool { return t.Context == s.Context }) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b forge.Status) int { return strings.Compare(a.Context, b.Context) })
	return out, nil
}

// statusesOfAContext is how many a commit may have of one context.
const statusesOfAContext = 1000

func (f *fakeForge) SetStatus(_ context.Context, commit string, s forge.Status) error {
	defer f.mu.Unlock()
	if err := f.enter("SetStatus", commit, s); err != nil {
		return err
	}
	n := 0
	for _, t := range f.statuses[commit] {
		if t.Context == s.Context {
			n++
		}
	}
	if f.unknown[commit] || n >= statusesOfAContext {
		return fmt.Errorf("commit %s: %w", commit, forge.ErrInvalid)
	}
	f.statuses[commit] = append(f.statuses[commit], s)
	return f.leave("SetStatus", commit, s)
}

func (f *fakeForge) Deployments(_ context.Context, commit, environment string) (out []forge.Deployment, err error) {
	defer f.mu.Unlock()
	if err := f.enter("Deployments", commit, environment); err != nil {
		return nil, err
	}
	for _, d := range f.deployments {
		if d.Commit == commit && d.Environment == environment {
			out = append(out, d)
		}
	}
	slices.Reverse(out)
	return out, nil
}

func (f *fakeForge) CreateDeployment(_ context.Context, d forge.Deployment, _ string) (forge.Deployment, error) {
	defer f.mu.Unlock()
	if err := f.enter("CreateDeployment", d); err != nil {
		return d, err
	}
	f.next++
	d.ID = f.next
	f.deployments = append(f.deployments, d)
	return d, f.leave("CreateDeployment", d)
}

func (f *fakeForge) SetDeployment(_ context.Context, id int64, s forge.DeploymentStatus) error {
	defer f.mu.Unlock()
	if err := f.enter("SetDeployment", id, s); err != nil {
		return err
	}
	f.states[id] = append(f.states[id], s)
	if s.State == forge.DeploymentSuccess { // former ones of its environment end then
		of := func(d forge.Deployment) bool { return d.ID == id }
		at := f.deployments[slices.IndexFunc(f.deployments, of)]
		for _, d := range f.deployments {
			if told := f.states[d.ID]; d.ID != id && d.Environment == at.Environment && len(told) > 0 && told[len(told)-1].State == forge.DeploymentSuccess {
				f.states[d.ID] = append(told, forge.DeploymentStatus{State: forge.DeploymentInactive})
			}
		}
	}
	return f.leave("SetDeployment", id, s)
}

func (f *fakeForge) PutCheck(_ context.Context, c forge.Check) error {
	defer f.mu.Unlock()
	if err := f.enter("PutCheck", c); err != nil {
		return err
	}
	if !f.me.App {
		return forge.ErrDenied
	}
	f.checks = append(f.checks, c)
	return nil
}

func (f *fakeForge) Suggestions(_ context.Context, pull int) (out []forge.Suggestion, err error) {
	defer f.mu.Unlock()
	if err := f.enter("Suggestions", pull); err != nil {
		return nil, err
	}
	for _, s := range f.suggestions {
		if s.Pull == pull {
			out = append(out, s)
		}
	}
	return out, nil
}

func (f *fakeForge) Suggest(_ context.Context, s forge.Suggestion) (forge.Suggestion, error) {
	defer f.mu.Unlock()
	if err := f.enter("Suggest", s); err != nil {
		return s, err
	}
	f.next++
	s.ID = f.next
	f.suggestions = append(f.suggestions, s)
	return s, f.leave("Suggest", s)
}

func (f *fakeForge) Unsuggest(_ context.Context, s forge.Suggestion) error {
	defer f.mu.Unlock()
	if err := f.enter("Unsuggest", s); err != nil {
		return err
	}
	f.suggestions = slices.DeleteFunc(f.suggestions, func(t forge.Suggestion) bool { return t.ID == s.ID })
	return nil
}
