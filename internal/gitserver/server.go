package gitserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Limits.
const (
	// MaxBody is the most a request may hold, after decompression.
	MaxBody = 64 << 20
	// maxName is how long a repository's name may be.
	maxName = 64
	// maxRefs is how many references a repository may have.
	maxRefs = 10_000
	// maxCommands is how many references one push may change.
	maxCommands = 1_000
	// maxLines is how many wants and haves one request may name.
	maxLines = 100_000
	// maxPart is the most that one packet to a pusher holds.
	maxPart = 32 << 10
	// maxPeel is how many tags a tag may be of.
	maxPeel = 10
	// maxPath is how long a path in a repository may be.
	maxPath = 1_000
	// cacheSize bounds the objects kept in memory by one request.
	cacheSize = 16 * cache.MiByte
)

// What the methods can answer.
var (
	// ErrExists says that there is a repository of that name.
	ErrExists = errors.New("the repository exists")
	// ErrNotFound says that the repository, commit or file is not there.
	ErrNotFound = errors.New("not found")
	// ErrName says that a name of a repository or a path in it is not allowed.
	ErrName = errors.New("not an allowed name")
	// ErrConflict says that a commit cannot be reverted: later commits changed the same files.
	ErrConflict = errors.New("later commits changed the same files")
	// ErrNothing says that a commit would change nothing.
	ErrNothing = errors.New("nothing to commit")
)

// Who commits.
const (
	authorName  = "demo"
	authorEmail = "demo@reconciler.example"
)

// Server serves the repositories of one folder. Set OnPush, Tell and Now before the first use.
type Server struct {
	// OnPush is called after a branch was updated, by a push or by Commit and Revert.
	// head is "" when the branch was deleted. It may be nil.
	OnPush func(name, branch, head string)
	// Tell is called after OnPush, for each branch that a pusher moved who can be told
	// what comes of it: say shows a line at the pusher's terminal at once. The push ends
	// when Tell returns; ctx ends with the pusher. It may be nil.
	Tell func(ctx context.Context, name, branch, head string, say func(line string))
	// Now tells the time of commits; nil is time.Now.
	Now func() time.Time

	dir   string
	valid *regexp.Regexp
	mu    sync.Mutex
	locks map[string]*sync.RWMutex
}

// New returns a server of the repositories in dir, which is made when it is missing.
func New(dir string) (*Server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of repositories: %w", err)
	}
	return &Server{dir: dir, valid: regexp.MustCompile(`^[a-z0-9-]+$`), locks: map[string]*sync.RWMutex{}}, nil
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name+".git") }

func (s *Server) named(name string) error {
	if len(name) > maxName || !s.valid.MatchString(name) {
		return fmt.Errorf("repository name of %d characters: %w: use a-z, 0-9 and -", len(name), ErrName)
	}
	return nil
}

// lock returns the lock of a repository that exists.
func (s *Server) lock(name string) (*sync.RWMutex, error) {
	if err := s.named(name); err != nil {
		return nil, err
	}
	if fi, err := os.Stat(s.path(name)); errors.Is(err, os.ErrNotExist) || err == nil && !fi.IsDir() {
		return nil, fmt.Errorf("repository %s: %w", name, ErrNotFound)
	} else if err != nil {
		return nil, fmt.Errorf("repository %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.locks[name]
	if l == nil {
		l = &sync.RWMutex{}
		s.locks[name] = l
	}
	return l, nil
}

// storage opens a repository's objects anew, so that nothing is outdated.
func storage(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(cacheSize), filesystem.Options{LargeObjectThreshold: 1 << 20})
}

// head returns the branch HEAD names and its commit; the commit is zero in an
// empty repository.
func head(st *filesystem.Storage) (plumbing.ReferenceName, plumbing.Hash, error) {
	h, err := st.Reference(plumbing.HEAD)
	if err != nil {
		return "", plumbing.ZeroHash, fmt.Errorf("read HEAD: %w", err)
	}
	if h.Type() != plumbing.SymbolicReference {
		return "", plumbing.ZeroHash, errors.New("HEAD names no branch")
	}
	ref, err := st.Reference(h.Target())
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return h.Target(), plumbing.ZeroHash, nil
	}
	if err != nil {
		return "", plumbing.ZeroHash, fmt.Errorf("read %s: %w", h.Target(), err)
	}
	return h.Target(), ref.Hash(), nil
}

// references returns the branches and tags.
func references(st *filesystem.Storage) (map[plumbing.ReferenceName]plumbing.Hash, error) {
	it, err := st.IterReferences()
	if err != nil {
		return nil, fmt.Errorf("list references: %w", err)
	}
	defer it.Close()
	out := map[plumbing.ReferenceName]plumbing.Hash{}
	err = it.ForEach(func(r *plumbing.Reference) error {
		if r.Type() == plumbing.HashReference && r.Name() != plumbing.HEAD {
			out[r.Name()] = r.Hash()
		}
		if len(out) > maxRefs {
			return fmt.Errorf("more than %d references", maxRefs)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list references: %w", err)
	}
	return out, nil
}

func (s *Server) pushed(name string, ref plumbing.ReferenceName, hash plumbing.Hash) {
	if s.OnPush == nil || !ref.IsBranch() {
		return
	}
	head := ""
	if !hash.IsZero() {
		head = hash.String()
	}
	s.OnPush(name, ref.Short(), head)
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
