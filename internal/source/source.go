package source

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
	// MaxRefs is how many references Refs lists.
	MaxRefs = 100_000
	// MaxDepth is how many folders below the clients folder are looked into.
	MaxDepth = 3

	maxTree    = 64 << 20  // bytes of one folder's listing
	maxListed  = 1_000_000 // entries of all the folders that one walk lists, on each side
	maxCommit  = 1 << 20   // bytes of one commit
	maxHistory = 1_000_000 // commits one walk visits
	maxHaves   = 256       // commits told to the server
	maxRefs    = 64 << 20  // bytes of the list of references
	maxPack    = 4 << 30   // bytes of a pack
	maxRefusal = 4 << 10   // bytes read of an answer that says no
	maxPacks   = 50        // packs before they become one
	maxMatches = 1_000     // objects looked at for a short id
	maxParents = 16        // parents of a commit whose paths are told
	maxSubject = 200       // bytes of a commit's first line
	maxName    = 100       // bytes of an author's name
	minShort   = 4         // digits of a short id

	// Of a pull request, which a stranger may have made.
	maxPullPack    = 256 << 20 // bytes of its pack
	maxPullObject  = 64 << 20  // bytes of one object of it, unpacked
	maxPullBytes   = 2 << 30   // bytes of all its objects, unpacked
	maxPullObjects = 200_000   // objects
	maxPullCommits = 10_000    // commits that the mirror has not
	maxApart       = 20_000    // commits that are looked at for a merge base
	maxBases       = 16        // merge bases that are compared
	maxBehind      = 10_000    // commits that a head is said to lack
	maxMerged      = 200       // files that one merge merges by line
	maxMergedBytes = 32 << 20  // bytes of their versions
	maxMergedLines = 20_000    // lines of one version that is merged by line
	maxEdits       = 1_000     // lines that one version may differ in before all between the first and the last is one edit
	// Of all pull requests.
	maxPullPacks = 500     // packs that are kept
	maxPullsSize = 2 << 30 // bytes of those packs

	cacheSize  = 32 * cache.MiByte
	packWindow = 10
	dialTime   = 30 * time.Second
	headerTime = 60 * time.Second
	pollTime   = 2 * time.Minute
	fetchTime  = 30 * time.Minute
	pullTime   = 5 * time.Minute
)

// What the methods can answer. Each says what to do next.
var (
	// ErrNotFound says that the mirror has no such commit, file or revision.
	ErrNotFound = errors.New("not in the mirror of the branch")
	// ErrNoBranch says that the repository has no such branch.
	ErrNoBranch = errors.New("the repository has no such branch: push it again, or set repository.branch")
	// ErrEmpty says that the repository has no commit.
	ErrEmpty = errors.New("the repository is empty: push a first commit, or look whether repository.url is the right one")
	// ErrTooLarge says that something is over its limit of size.
	ErrTooLarge = errors.New("too large to be read")
	// ErrTooMany says that something is over its limit of number.
	ErrTooMany = errors.New("too many")
	// ErrDenied says that the repository's host wants other credentials.
	ErrDenied = errors.New("the repository's host refused the credentials: renew repository.token, or give it the right to read")
	// ErrNoRepository says that there is no such repository, or none we may see.
	ErrNoRepository = errors.New("there is no such repository, or it may not be read: look at repository.url and repository.token")
	// ErrMoved refuses to follow to another host. It does not name it: the host that
	// redirects chose the words.
	ErrMoved = errors.New("the repository moved to another host: set repository.url to its new place")
	// ErrNotGit says that what answered is no Git server.
	ErrNotGit = errors.New("what answered is not a Git server: look at repository.url")
	// ErrHostKey says that an ssh host is not the one that is known.
	ErrHostKey = errors.New("the host's ssh key is not among the known hosts: compare it with what its owner publishes, then add it to repository.knownHostsFile")
	// ErrDamaged says that the mirror is damaged and could not be cloned anew yet.
	ErrDamaged = errors.New("the mirror on disk is damaged; it is cloned anew when the repository answers")
	// ErrIrregular says that an entry is not a regular file.
	ErrIrregular = errors.New("not a regular file: make it one")
	// ErrNoFolder says that what should be a folder is none.
	ErrNoFolder = errors.New("not a folder, so nothing below it can be read: make it one, or set repository.path")
	// ErrMalformed says that what the repository holds breaks Git's rules.
	ErrMalformed = errors.New("malformed: run git fsck on the repository")
	// ErrBadPack says that what was sent is broken or lacks something.
	ErrBadPack = errors.New("the repository sent a broken or incomplete pack: it is asked again; if it stays, run git fsck there")

	errSlow = errors.New("the repository's host took too long: it is asked again")
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

// Commit is one commit. The texts are one line each, and short.
type Commit struct {
	ID, Author, Subject string
	Parents             []string
}

// Change is a file of the read area that differs; Old and New are blob ids, "" for
// none. What is there and is no regular file has an id that Blob refuses.
type Change struct{ Path, Old, New string }

// Entry is a file of the read area. The Blob of what is not regular is refused by Blob.
type Entry struct {
	Path, Blob string
	Regular    bool
}

// Stats counts since Open: questions to the repository, transfers, clones among them,
// objects that were read. Polls are lists of references, too.
type Stats struct{ Polls, Fetches, Clones, Objects uint64 }

// Repository is the mirror of one branch.
type Repository struct {
	remote remote
	dir    string
	branch plumbing.ReferenceName
	url    string // without credentials
	area   area

	fetching gate // one Fetch at a time
	pulling  gate // one FetchRef at a time
	reading  gate // one reader of m and pulls at a time: go-git's storage wants it so
	m        *mirror
	pulls    *filesystem.Storage             // what pull requests brought; nil: nothing
	roots    map[plumbing.Hash]plumbing.Hash // of the last heads
	damaged  atomic.Bool
	closed   bool

	polls, fetches, clones, objects atomic.Uint64
}

// Open opens the mirror or prepares a new one. It touches no network. A mirror of
// another URL or branch, or a broken one, is not used: the first Fetch replaces it.
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
	r := &Repository{remote: rem, dir: dir, branch: branch, url: address.clean, area: a, fetching: newGate(), pulling: newGate(), reading: newGate(),
		roots: map[plumbing.Hash]plumbing.Hash{}}
	if err := r.openDir(); err != nil {
		rem.close()
		return nil, fmt.Errorf("open the mirror: %w", err)
	}
	return r, nil
}

// Close waits for who reads or fetches and releases what is open.
func (r *Repository) Close() error {
	r.pulling <- struct{}{} // first: who pulls may fetch
	defer r.pulling.leave()
	r.fetching <- struct{}{}
	defer r.fetching.leave()
	r.reading <- struct{}{}
	defer r.reading.leave()
	r.closed = true
	r.remote.close()
	r.closePulls()
	if r.m == nil {
		return nil
	}
	err := r.m.st.Close()
	r.m = nil
	return err
}

// Stats returns what was done so far.
func (r *Repository) Stats() Stats {
	return Stats{Polls: r.polls.Load(), Fetches: r.fetches.Load(), Clones: r.clones.Load(), Objects: r.objects.Load()}
}

// Poll asks the repository for the branch's tip. It reads and writes nothing here.
func (r *Repository) Poll(ctx context.Context) (string, error) {
	r.polls.Add(1)
	ctx, cancel := context.WithTimeoutCause(ctx, pollTime, errSlow)
	defer cancel()
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
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g gate) leave() { <-g }
