package source

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Limits.
const (
	// MaxBlob is the largest file that is read.
	MaxBlob = 1 << 20
	// MaxEntries is how many files the read area may have.
	MaxEntries = 200_000
	// MaxDepth is how many folders below the clients folder are looked into.
	MaxDepth = 3

	maxTree    = 64 << 20  // bytes of one folder's listing
	maxCommit  = 1 << 20   // bytes of one commit
	maxHistory = 1_000_000 // commits one walk visits
	maxHaves   = 256       // commits told to the server
	maxRefs    = 64 << 20  // bytes of the list of references
	maxPack    = 4 << 30   // bytes of a pack
	maxRefusal = 4 << 10   // bytes read of an answer that says no
	maxPacks   = 200       // packs before they become one
	maxMatches = 1_000     // objects looked at for a short id
	cacheSize  = 32 * cache.MiByte
	packWindow = 10
	dialTime   = 30 * time.Second
	headerTime = 60 * time.Second
)

// What the methods can answer.
var (
	// ErrNotFound says that the mirror has no such commit, file or revision.
	ErrNotFound = errors.New("not in the mirror")
	// ErrNoBranch says that the repository has no such branch.
	ErrNoBranch = errors.New("the repository has no such branch")
	// ErrEmpty says that the repository has no commit.
	ErrEmpty = errors.New("the repository is empty")
	// ErrTooLarge says that something is over its limit of size.
	ErrTooLarge = errors.New("too large")
	// ErrTooMany says that something is over its limit of number.
	ErrTooMany = errors.New("too many")
	// ErrDenied says that the repository's host wants other credentials.
	ErrDenied = errors.New("the repository's host refused the credentials")
	// ErrNoRepository says that there is no such repository, or none we may see.
	ErrNoRepository = errors.New("there is no such repository, or it may not be read")
	// ErrDamaged says that the mirror is damaged; the next Fetch clones anew.
	ErrDamaged = errors.New("the mirror is damaged")
)

// Options says what to mirror where.
type Options struct {
	URL    string // https, http, ssh, git@host:path, file or an absolute path
	Branch string
	Path   string // the clients folder, for example "clients"
	Dir    string // the mirror's folder

	Token          func() state.Secret // for https and http; nil for none
	SSHKeyFile     string              // empty: the agent's keys
	KnownHostsFile string              // empty: the user's
	CAFile         string              // more certificate authorities, in PEM
}

// Commit is one commit. Paths are the files of the read area it changed against its
// first parent, sorted.
type Commit struct {
	ID, Author, Email, Subject string
	At                         time.Time
	Parents                    []string
	Paths                      []string
}

// Change is a file of the read area that differs; Old and New are blob ids, "" for none.
type Change struct{ Path, Old, New string }

// Entry is a file of the read area. Size is 0 when it was not looked up.
type Entry struct {
	Path, Blob string
	Size       int64
	Regular    bool
}

// Stats counts since Open.
type Stats struct{ Polls, Fetches, Blobs uint64 }

// Repository is the mirror of one branch.
type Repository struct {
	remote remote
	dir    string
	branch plumbing.ReferenceName
	url    string
	area   area

	fetching gate // one Fetch at a time
	reading  gate // one reader of st at a time: go-git's storage wants it so
	st       *filesystem.Storage
	damaged  atomic.Bool

	polls, fetches, blobs atomic.Uint64
}

// Open opens the mirror or prepares a new one. It touches no network. A mirror of
// another URL or branch, or a broken one, is moved to Dir.aside.
func Open(o Options) (*Repository, error) {
	a, err := newArea(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open the mirror: %w", err)
	}
	branch := plumbing.NewBranchReferenceName(o.Branch)
	if err := branch.Validate(); err != nil || o.Branch == "" {
		return nil, fmt.Errorf("open the mirror: %.100q is not a branch's name", o.Branch)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil || o.Dir == "" {
		return nil, errors.New("open the mirror: its folder is not named")
	}
	address, err := parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("open the mirror: repository URL: %w", err)
	}
	rem, err := newRemote(address, o)
	if err != nil {
		return nil, fmt.Errorf("open the mirror: %w", err)
	}
	r := &Repository{remote: rem, dir: dir, branch: branch, url: o.URL, area: a, fetching: newGate(), reading: newGate()}
	if err := r.openDir(); err != nil {
		rem.close()
		return nil, fmt.Errorf("open the mirror: %w", err)
	}
	return r, nil
}

// Close waits for who reads or fetches and releases what is open.
func (r *Repository) Close() error {
	r.fetching <- struct{}{}
	defer r.fetching.leave()
	r.reading <- struct{}{}
	defer r.reading.leave()
	r.remote.close()
	if r.st == nil {
		return nil
	}
	err := r.st.Close()
	r.st = nil
	return err
}

// Stats returns what was done so far.
func (r *Repository) Stats() Stats {
	return Stats{Polls: r.polls.Load(), Fetches: r.fetches.Load(), Blobs: r.blobs.Load()}
}

// Poll asks the repository for the branch's tip. It writes nothing.
func (r *Repository) Poll(ctx context.Context) (string, error) {
	r.polls.Add(1)
	h, err := r.remote.tip(ctx, r.branch)
	if err != nil {
		return "", fmt.Errorf("look at branch %s: %w", r.branch.Short(), err)
	}
	return h.String(), nil
}

// gate is a mutex that a context can stop waiting for.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// area is what is read of the repository.
type area struct {
	base    string // folder of the clients folder and its siblings, "" is the root
	clients string // the last part of the clients folder
}

func newArea(p string) (area, error) {
	c := path.Clean(strings.Trim(p, "/"))
	if p == "" || c == "." || c == ".." || strings.HasPrefix(c, "../") || strings.Contains(c, "\\") {
		return area{}, fmt.Errorf("%.100q is not a folder in the repository", p)
	}
	base, clients := path.Split(c)
	if clients == "templates" || clients == "platform.yaml" {
		return area{}, fmt.Errorf("the clients folder cannot be named %s", clients)
	}
	return area{base: strings.TrimSuffix(base, "/"), clients: clients}, nil
}
