package forge

import (
	"context"
	"errors"
	"time"
)

// Limits that every implementation keeps.
const (
	// MaxDescription is the longest description of a status, in characters.
	MaxDescription = 140
	// MaxBody is the longest body of a comment, in characters; GitHub's own limit is 65,536.
	MaxBody = 65_000
	// MaxText is the most of somebody's title, name or body that is handed on, in bytes.
	MaxText = 64 << 10
)

// What a call can fail with, wrapped. Nobody reads an error's text.
var (
	// ErrNotFound: no such pull request, comment, commit or repository, or none we may see.
	ErrNotFound = errors.New("not found at the forge")
	// ErrDenied: the credentials are refused, or lack a permission.
	ErrDenied = errors.New("the forge refused the credentials, or they lack a permission")
	// ErrInvalid: the forge refuses what was sent, and would again.
	ErrInvalid = errors.New("the forge refused the request as invalid")
	// ErrAway: the forge did not answer, or answered that it failed. Try later.
	ErrAway = errors.New("the forge does not answer")
)

// Limited is the error of a call that a limit stopped: nothing was sent, or it was refused.
type Limited struct{ Until time.Time }

func (l *Limited) Error() string {
	return "the forge's limit is reached until " + l.Until.UTC().Format("15:04:05Z")
}

// Pull is a pull request into the tracked branch.
type Pull struct {
	Number      int
	Title       string
	Author      string // login
	Head        string // commit
	HeadRef     string // branch
	BaseRef     string // branch that it asks to be merged into
	Fork        bool   // its branch is in another repository
	Draft       bool
	Open        bool
	Merged      bool
	MergeCommit string // of a merged one: the commit on the branch (merge, squash, last of a rebase)
	UpdatedAt   time.Time
	Locked      bool   // its conversation: not everybody may comment
	URL         string // for people
}

// Queued is a commit that a merge queue is to merge, once it has its statuses.
type Queued struct {
	Branch string // of the queue's own
	Head   string // commit
}

// Comment is a comment on a pull request.
type Comment struct {
	ID        int64
	Pull      int
	Author    string // login
	AuthorID  int64
	Body      string
	CreatedAt time.Time
	UpdatedAt time.Time // later than CreatedAt: it was edited
	URL       string
}

// State is that of a commit status.
type State string

// States of a commit status: failure when a person must act, error when we or a provider failed.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
	Error   State = "error"
)

// Status is one commit status.
type Status struct {
	Context     string // reconciler/plan …
	State       State
	Description string // at most MaxDescription characters
	URL         string // where the link leads; ""
}

// Deployment is a deployment in an environment.
type Deployment struct {
	ID          int64
	Commit      string
	Environment string // the client's name
	Task        string // "reconcile"
}

// DeploymentState is how far a deployment has come.
type DeploymentState string

// States of a deployment that are used.
const (
	InProgress         DeploymentState = "in_progress"
	DeploymentSuccess  DeploymentState = "success"
	DeploymentFailure  DeploymentState = "failure"
	DeploymentError    DeploymentState = "error"
	DeploymentInactive DeploymentState = "inactive"
)

// DeploymentStatus is one status of a deployment.
type DeploymentStatus struct {
	State       DeploymentState
	Description string // at most MaxDescription characters
	Environment string // its address for people is URL
	URL         string // of the site
	LogURL      string // of the pass
}

// Annotation marks a line of a file in a check.
type Annotation struct {
	Path           string
	Line, Column   int // from 1
	EndColumn      int // 0: not known
	Warning        bool
	Title, Message string
}

// Check is a check run on a commit: what an App shows in "Files changed".
type Check struct {
	Name        string
	Commit      string
	State       State
	Title       string
	Summary     string // Markdown
	URL         string
	Annotations []Annotation // any number; sent in the batches that the forge takes
}

// Suggestion is a repair offered on a line of a pull request's diff, to be taken by one click.
type Suggestion struct {
	ID     int64 // 0: not made yet
	Pull   int
	Commit string
	Path   string
	Line   int
	Body   string // Markdown, with its marker and a ```suggestion block
}

// Proposal is a change of one file that a pull request is to ask for.
type Proposal struct {
	Base   string // branch that it asks to be merged into
	Branch string // its own; the same change has the same one
	Path   string
	Was    string // the blob that it replaces
	Text   []byte // what the file is to be
	Title  string // of the pull request, and of its commit; one plain line
	Body   string // Markdown
}

// Identity is who we are at the forge.
type Identity struct {
	Login string
	ID    int64
	App   bool // a GitHub App: may write checks
}

// Permission is what somebody may do to the repository.
type Permission string

// Permissions, the strongest last.
const (
	None  Permission = "none"
	Read  Permission = "read"
	Write Permission = "write"
	Admin Permission = "admin"
)

// Writes says that it allows to write.
func (p Permission) Writes() bool { return p == Write || p == Admin }

// Forge is one repository at a forge. Safe for concurrent use. Reads are repeated by the
// implementation; a write whose answer is lost is ErrAway, and may have happened.
type Forge interface {
	// Me is who we write as.
	Me(ctx context.Context) (Identity, error)
	// Permission asks, at this moment, what a login may do.
	Permission(ctx context.Context, login string) (Permission, error)

	// Open returns the open pull requests into the branch, by number. A list that did not
	// change costs a conditional request. Whoever misses one asks for it (Pull) before it
	// believes that it is gone: a list of several pages may lose one while it is read.
	Open(ctx context.Context, branch string) ([]Pull, error)
	// Pull returns one, open or not.
	Pull(ctx context.Context, number int) (Pull, error)
	// PullsOf returns the merged pull requests that brought a commit to a branch (BaseRef).
	PullsOf(ctx context.Context, commit string) ([]Pull, error)

	// Comments returns a pull request's comments, the oldest first.
	Comments(ctx context.Context, pull int) ([]Comment, error)
	// CommentsSince returns comments on all pull requests and issues changed at or after a
	// time, in the order of their change, the oldest first. Of very many it returns the
	// first: whoever goes on from the last one's UpdatedAt misses none.
	CommentsSince(ctx context.Context, since time.Time) ([]Comment, error)
	CreateComment(ctx context.Context, pull int, body string) (Comment, error)
	EditComment(ctx context.Context, id int64, body string) error // ErrNotFound: somebody deleted it
	DeleteComment(ctx context.Context, id int64) error            // of the absent succeeds
	// React adds a reaction (eyes, rocket, confused …); one that is there stays.
	React(ctx context.Context, comment int64, content string) error

	// Statuses returns the newest status of each context of a commit.
	Statuses(ctx context.Context, commit string) ([]Status, error)
	SetStatus(ctx context.Context, commit string, s Status) error

	// Deployments returns the deployments of a commit in an environment, the newest first.
	Deployments(ctx context.Context, commit, environment string) ([]Deployment, error)
	CreateDeployment(ctx context.Context, d Deployment, description string) (Deployment, error)
	SetDeployment(ctx context.Context, id int64, s DeploymentStatus) error

	// PutCheck writes the check run of this name on the commit, a new one or again. Only an
	// App may: ErrDenied else.
	PutCheck(ctx context.Context, c Check) error

	// Suggestions returns our own suggestions on a pull request.
	Suggestions(ctx context.Context, pull int) ([]Suggestion, error)
	Suggest(ctx context.Context, s Suggestion) (Suggestion, error) // ErrInvalid: the line is not in the diff
	Unsuggest(ctx context.Context, s Suggestion) error             // of the absent succeeds
}
