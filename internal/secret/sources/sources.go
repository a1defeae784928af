package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of what is read.
const (
	// MaxSources is how many sources there may be.
	MaxSources = 16
	// MaxValue is the longest value, in bytes.
	MaxValue = 64 << 10
	// MaxEntries is how many secrets one source may have.
	MaxEntries = 50_000
	// MaxDocument is the longest age or sops file, before and after it is decrypted.
	MaxDocument = 16 << 20
	// maxKeys is the longest file of age identities.
	maxKeys = 1 << 20
	// maxNotes is how many notes one source makes; the rest is counted.
	maxNotes = 10
	// maxTrust is how long a source that looks unchanged is not read.
	maxTrust = time.Hour
	// settled is how old a file's time has to be to tell the next write apart.
	settled = 2 * time.Second
)

// Spec says what one source is: exactly one of Env, Folder, AgeFile, SopsFile.
type Spec struct {
	Env      string // prefix of variables
	Folder   string
	AgeFile  string
	SopsFile string
	// KeyFile holds age identities: needed for AgeFile; for SopsFile it is handed on.
	KeyFile string
}

// Options of New.
type Options struct {
	Environ func() []string // NAME=value; os.Environ
	Now     func() time.Time
	// Sops is the program; "" is sops as PATH finds it.
	Sops string
	// SopsTime is how long it may take; 0 is 30 seconds.
	SopsTime time.Duration
}

var (
	prefixShape = regexp.MustCompile(`^[A-Z][A-Z0-9_]*_$`)
	// ownerShape is a client's name or its id, which is a name, a hyphen and six digits.
	ownerShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$`)
	nameShape  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
)

// Check says what is wrong with a source, "" when nothing is.
func (s Spec) Check() string {
	given := 0
	for _, x := range []string{s.Env, s.Folder, s.AgeFile, s.SopsFile} {
		if x != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return "it is exactly one of env, folder, ageFile and sopsFile"
	case s.Env != "" && !prefixShape.MatchString(s.Env):
		return "env is the beginning of variables' names, in capitals, with an underscore at its end: CLIENT_SECRET_"
	case s.Env == "RECONCILER_":
		return "env: RECONCILER_ begins the variables of this configuration; take another, as CLIENT_SECRET_"
	case s.AgeFile != "" && s.KeyFile == "":
		return "ageFile needs keyFile, the file with the age identity that opens it"
	case s.KeyFile != "" && s.AgeFile == "" && s.SopsFile == "":
		return "keyFile belongs to ageFile or sopsFile"
	}
	return ""
}

// Name is how people and the record call a source.
func (s Spec) Name() string {
	switch {
	case s.Env != "":
		return "environment " + s.Env
	case s.Folder != "":
		return "folder " + s.Folder
	case s.AgeFile != "":
		return "age file " + s.AgeFile
	}
	return "sops file " + s.SopsFile
}

// source is one place that has secrets.
type source interface {
	// stamp tells a changed source from an unchanged one without reading it; "": it can't
	// be told now.
	stamp() string
	load(ctx context.Context) (found, error)
}

// found is what one source has.
type found struct {
	secrets []state.OutsideSecret // without Source
	notes   notes
}

// notes are at most maxNotes, and a count of the rest.
type notes struct {
	texts []string
	more  int
}

func (n *notes) add(format string, a ...any) {
	if len(n.texts) == maxNotes {
		n.more++
		return
	}
	n.texts = append(n.texts, fmt.Sprintf(format, a...))
}

func (n notes) list() []string {
	if n.more == 0 {
		return n.texts
	}
	return append(slices.Clone(n.texts), fmt.Sprintf("and %d more like these", n.more))
}

// Set is all sources of an installation. Safe for concurrent use; one look at a time.
type Set struct {
	names   []string
	sources []source
	now     func() time.Time

	mu     sync.Mutex
	stamps []string // of the last look; nil: there was none
	read   time.Time
	last   state.Outside // without Secrets
}

// New makes a set. Nothing is read yet.
func New(specs []Spec, o Options) (*Set, error) {
	s := &Set{now: o.Now}
	if len(specs) > MaxSources {
		return nil, fmt.Errorf("more than %d sources of secrets", MaxSources)
	}
	for i, spec := range specs {
		if wrong := spec.Check(); wrong != "" {
			return nil, fmt.Errorf("source %d of secrets: %s", i+1, wrong)
		}
		if slices.Contains(s.names, spec.Name()) {
			return nil, fmt.Errorf("source %d of secrets: %s is listed twice", i+1, spec.Name())
		}
		s.names = append(s.names, spec.Name())
	}
	hide := []string{"RECONCILER_"}
	for _, spec := range specs {
		if spec.Env != "" {
			hide = append(hide, spec.Env)
		}
	}
	for _, spec := range specs {
		s.sources = append(s.sources, open(spec, o, hide))
	}
	return s, nil
}

// open makes one source. hide begins the names of variables that no other program gets.
func open(spec Spec, o Options, hide []string) source {
	switch {
	case spec.Env != "":
		return environment{prefix: spec.Env, environ: o.Environ}
	case spec.Folder != "":
		return folder{path: spec.Folder, now: o.Now}
	case spec.AgeFile != "":
		return ageFile{path: spec.AgeFile, keyFile: spec.KeyFile, now: o.Now}
	}
	return sopsFile{path: spec.SopsFile, keyFile: spec.KeyFile, program: o.Sops, time: cmp.Or(o.SopsTime, defaultSopsTime), environ: o.Environ, hide: hide, now: o.Now}
}

// Read looks at every source. anew reads them whatever they look like.
func (s *Set) Read(ctx context.Context, anew bool) state.Outside {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamps := make([]string, len(s.sources))
	told := s.stamps != nil && len(s.last.Failed) == 0 && s.now().Sub(s.read) < maxTrust
	for i, src := range s.sources {
		stamps[i] = src.stamp()
		told = told && stamps[i] != "" && stamps[i] == s.stamps[i]
	}
	if told && !anew {
		out := s.last
		out.Same = true
		return out
	}
	out := state.Outside{Sources: s.names}
	has := map[[2]string]string{} // owner and name → place
	for i, src := range s.sources {
		got, err := src.load(ctx)
		if err != nil {
			out.Failed = append(out.Failed, s.names[i])
			out.Notes = append(out.Notes, fmt.Sprintf("secrets: the %s can't be read: %v; what came from it stays as it was", s.names[i], err))
			continue
		}
		n := got.notes
		for _, x := range got.secrets {
			key := [2]string{x.Owner, x.Name}
			if first, twice := has[key]; twice {
				n.add("secrets: %s is in two sources: %s counts, and %s does not", titled(x), first, x.Place)
				continue
			}
			if has[key] = x.Place; x.Problem != "" {
				n.add("secrets: %s: %s; what was read of it before stays", x.Place, x.Problem)
			}
			x.Source = s.names[i]
			out.Secrets = append(out.Secrets, x)
		}
		out.Notes = append(out.Notes, n.list()...)
	}
	slices.SortFunc(out.Secrets, func(a, b state.OutsideSecret) int {
		return cmp.Or(strings.Compare(a.Owner, b.Owner), strings.Compare(a.Name, b.Name))
	})
	s.stamps, s.read, s.last = stamps, s.now(), out
	s.last.Secrets = nil
	return out
}

// titled names a secret as people do.
func titled(x state.OutsideSecret) string {
	if x.Owner == state.SharedOwner {
		return "shared/" + x.Name
	}
	return x.Name + " of " + x.Owner
}

// use fills in a value, or says why it can't be one.
func use(x state.OutsideSecret, text []byte) state.OutsideSecret {
	switch {
	case len(text) > MaxValue:
		x.Problem = fmt.Sprintf("it is longer than %d KiB", MaxValue>>10)
	case strings.TrimSpace(string(text)) == "":
		x.Problem = "it is empty"
	case !utf8.Valid(text) || slices.Contains(text, 0):
		x.Problem = "it is no text but binary data; keep it as base64"
	default:
		x.Value = state.NewSecret(string(text))
	}
	return x
}

var errTooMany = fmt.Errorf("it has more than %d entries", MaxEntries)

// errDocument: a file is larger than it may be.
var errDocument = errors.New("it is larger than 16 MiB")
