package simulated

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// world is what is kept: everything that people see.
type world struct {
	Version     int
	NextID      int64
	Number      int // the last pull request's
	Created     time.Time
	Pushed      time.Time // when a branch of the repository moved last
	Users       []*User
	Pulls       []*Pull
	Comments    []*Comment
	Reactions   []*Reaction
	Statuses    []*Status
	Deployments []*Deployment
	Checks      []*Check
	Suggestions []*Suggestion
	// Branches are those that are known, by repository and name.
	Branches map[string]map[string]string
	// Forks are the repositories of forks in Git, by the login of their owner.
	Forks map[string]string
}

// User is somebody with an account.
type User struct {
	ID         int64
	Login      string
	Bot        bool
	Permission string // admin, maintain, write, triage, read, none
}

// level is what a role comes to: GitHub says write of maintain, and read of triage.
func (u *User) level() string {
	switch u.Permission {
	case "maintain":
		return "write"
	case "triage":
		return "read"
	}
	return u.Permission
}

// Pull is a pull request.
type Pull struct {
	ID                int64
	Number            int
	Title, Body       string
	Author            string
	HeadRef, BaseRef  string
	Fork              string // login of the fork's owner; "": a branch of the repository
	Head, Base        string // commits
	State             string // open, closed
	Draft             bool
	Labels            []Label
	Created, Updated  time.Time
	Closed, MergedAt  time.Time
	ClosedBy          string
	Merged            bool
	MergedBy          string
	MergeCommit       string   // of a merged one, on the base
	Landed            []string // commits that its merge brought to the base
	Commits           []string // of a merged one: its own, as they were
	Trial             Trial
	Adds, Deletes     int
	Files, NumCommits int
}

// Trial is what came of the test merge.
type Trial struct {
	Head, Base string // what was merged
	Commit     string // "": they conflict
	Conflicts  []string
}

// Label is a label of a pull request.
type Label struct {
	ID   int64
	Name string
}

// Comment is a comment on a pull request.
type Comment struct {
	ID               int64
	Pull             int
	Author           string
	Body             string
	Created, Updated time.Time
	App              bool // written through the App
	Edits            int
}

// Reaction is one on a comment.
type Reaction struct {
	ID, Comment int64
	Author      string
	Content     string
	Created     time.Time
}

// Status is a commit status; there may be many of one context.
type Status struct {
	ID                               int64
	SHA, Context, State, Description string
	URL, Author                      string
	Created                          time.Time
}

// Deployment is a deployment with its statuses, the oldest first.
type Deployment struct {
	ID                                       int64
	SHA, Ref, Task, Environment, Description string
	Author                                   string
	Payload                                  json.RawMessage
	Transient, Production                    bool
	Created, Updated                         time.Time
	Statuses                                 []DeploymentStatus
}

// State is that of its newest status; "" when it has none.
func (d Deployment) State() string {
	if len(d.Statuses) == 0 {
		return ""
	}
	return d.Statuses[len(d.Statuses)-1].State
}

// Last is its newest status; the zero one when it has none.
func (d Deployment) Last() DeploymentStatus {
	if len(d.Statuses) == 0 {
		return DeploymentStatus{}
	}
	return d.Statuses[len(d.Statuses)-1]
}

// DeploymentStatus is one status of a deployment.
type DeploymentStatus struct {
	ID                                           int64
	State, Description, Environment, URL, LogURL string
	Author                                       string
	Created                                      time.Time
}

// Check is a check run.
type Check struct {
	ID, Suite                           int64
	Name, SHA, Status, Conclusion       string
	Title, Summary, Text, URL, External string
	Started, Completed                  time.Time
	Annotations                         []Annotation
}

// Annotation marks lines of a file in a check run.
type Annotation struct {
	Path                   string
	StartLine, EndLine     int
	StartColumn, EndColumn int
	Level, Title, Message  string
	Details                string
}

// Suggestion is a comment on a line of a pull request's diff.
type Suggestion struct {
	ID               int64
	Pull             int
	Author           string
	Commit, Path     string
	Side             string
	StartLine, Line  int
	Hunk, Body       string
	Created, Updated time.Time
	Applied          string // commit that somebody made of it; "": none
}

// hook is a webhook of the repository or of the App; none is kept.
type hook struct {
	ID               int64
	App, Active      bool
	URL, ContentType string
	Events           []string
	Created, Updated time.Time
	Seeded           bool // the one that Options names
	LastCode         int
	LastStatus       string
	Secret           state.Secret
}

// id mints the next id. GitHub's are above 32 bits, too.
func (f *Forge) id() int64 {
	f.w.NextID++
	return f.w.NextID
}

func (f *Forge) file() string { return filepath.Join(f.o.Dir, "forge.json") }

// load reads the world, or makes a new one.
func (f *Forge) load() error {
	f.w = world{Version: 1, NextID: firstID, Created: f.now(), Pushed: f.now(), Branches: map[string]map[string]string{}, Forks: map[string]string{}}
	if f.o.Dir != "" {
		if err := os.MkdirAll(f.o.Dir, 0o700); err != nil {
			return fmt.Errorf("make the forge's folder: %w", err)
		}
		data, err := readFile(f.file())
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return fmt.Errorf("read the forge: %w", err)
		default:
			if err := json.Unmarshal(data, &f.w); err != nil {
				return fmt.Errorf("read the forge: %w", err)
			}
			if f.w.Version != 1 {
				return fmt.Errorf("read the forge: its version is %d, not 1", f.w.Version)
			}
		}
	}
	f.user(f.o.Owner).Permission = "admin"
	if f.o.Visitor != f.o.Owner {
		f.user(f.o.Visitor).Permission = "admin"
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxWorld+1))
	if err == nil && len(data) > maxWorld {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxWorld)
	}
	return data, err
}

// save writes the world, whole or not at all. The lock is held.
func (f *Forge) save() error {
	if f.o.Dir == "" {
		return nil
	}
	data, err := json.Marshal(f.w)
	if err != nil {
		return fmt.Errorf("keep the forge: %w", err)
	}
	tmp, err := os.CreateTemp(f.o.Dir, ".forge-")
	if err != nil {
		return fmt.Errorf("keep the forge: %w", err)
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.file())
	}
	if err != nil {
		return fmt.Errorf("keep the forge: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

// user is somebody's account, made when it is missing. Logins differ by more than case.
func (f *Forge) user(login string) *User {
	if u := f.known(login); u != nil {
		return u
	}
	u := &User{ID: f.id(), Login: login, Bot: strings.HasSuffix(login, "[bot]"), Permission: "none"}
	f.w.Users = append(f.w.Users, u)
	return u
}

func (f *Forge) known(login string) *User {
	for _, u := range f.w.Users {
		if strings.EqualFold(u.Login, login) {
			return u
		}
	}
	return nil
}

func (f *Forge) pull(number int) (*Pull, error) {
	for _, p := range f.w.Pulls {
		if p.Number == number {
			return p, nil
		}
	}
	return nil, fmt.Errorf("pull request %d: %w", number, ErrNotFound)
}

func (f *Forge) comment(id int64) (*Comment, error) {
	for _, c := range f.w.Comments {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, fmt.Errorf("comment %d: %w", id, ErrNotFound)
}

// remove takes a comment away, with its reactions.
func (f *Forge) remove(id int64) {
	f.w.Comments = slices.DeleteFunc(f.w.Comments, func(c *Comment) bool { return c.ID == id })
	f.w.Reactions = slices.DeleteFunc(f.w.Reactions, func(r *Reaction) bool { return r.Comment == id })
}
