package sources

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	defaultSopsTime = 30 * time.Second
	// sopsGrace is how long what sops started may hold its output after it was ended.
	sopsGrace = time.Second
)

// sopsFile is a document that the program sops decrypts.
type sopsFile struct {
	path    string
	keyFile string
	program string
	time    time.Duration
	environ func() []string
	hide    []string
	now     func() time.Time
}

func (s sopsFile) stamp() string { return stampOf(s.now(), s.path, s.keyFile) }

func (s sopsFile) load(ctx context.Context) (found, error) {
	program := s.program
	if program == "" {
		program = "sops"
	}
	program, err := exec.LookPath(program)
	if err != nil {
		return found{}, errors.New("the program sops is not installed here (https://getsops.io), or not in PATH")
	}
	if _, _, err := readFile(s.path, MaxDocument); err != nil {
		return found{}, err
	}
	path, err := filepath.Abs(s.path)
	if err != nil {
		return found{}, reason(err)
	}
	plain, err := s.run(ctx, program, path)
	if err != nil {
		return found{}, err
	}
	return parseJSON(s.path, plain)
}

// run asks sops. Its command line has the file's name and nothing secret; what it says on
// its error output goes nowhere.
func (s sopsFile) run(ctx context.Context, program, path string) ([]byte, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, s.time, fmt.Errorf("sops did not answer within %v", s.time))
	defer cancel()
	out := &limited{most: MaxDocument, full: cancel}
	c := exec.CommandContext(bounded, program, "--decrypt", "--output-type", "json", path)
	c.Stdout, c.Env, c.Dir, c.WaitDelay = out, s.environment(), filepath.Dir(path), sopsGrace
	endWhole(c)
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case out.over:
		return nil, errDocument
	case bounded.Err() != nil:
		return nil, context.Cause(bounded)
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return nil, fmt.Errorf("sops ended with code %d%s; `sops --decrypt %s` says more", exit.ExitCode(), meaning(exit.ExitCode()), path)
	case err != nil:
		return nil, errors.New("sops can't be run, or was ended")
	}
	return out.b.Bytes(), nil
}

// environment is ours without what configures this program, tokens among it, and without
// the secrets of clients.
func (s sopsFile) environment() []string {
	var out []string
	for _, v := range s.environ() {
		hidden := slices.ContainsFunc(s.hide, func(prefix string) bool { return strings.HasPrefix(v, prefix) })
		if !hidden && (s.keyFile == "" || !strings.HasPrefix(v, "SOPS_AGE_KEY_FILE=")) {
			out = append(out, v)
		}
	}
	if s.keyFile != "" {
		out = append(out, "SOPS_AGE_KEY_FILE="+s.keyFile)
	}
	return out
}

// meaning is what sops's documented exit codes say of a decryption
// (getsops/sops, cmd/sops/codes).
func meaning(code int) string {
	switch code {
	case 2:
		return ": it could not read the file"
	case 24, 51, 52:
		return ": the file was changed after it was encrypted"
	case 25:
		return ": a value can't be decrypted"
	case 100:
		return ": the file is gone"
	case 111, 128:
		return ": no key that it has opens the file"
	}
	return ""
}

// limited keeps what is written to it, up to its limit, and says when there is more.
type limited struct {
	b    bytes.Buffer
	most int
	full func()
	over bool
}

// Write implements io.Writer. It keeps on reading: whoever writes must not hang.
func (l *limited) Write(p []byte) (int, error) {
	if l.over = l.over || l.b.Len()+len(p) > l.most; l.over {
		l.full()
		return len(p), nil
	}
	return l.b.Write(p)
}
