package daemon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
)

// Limits of the control socket.
const (
	// protocol is raised when a program and a daemon of before and after would
	// misunderstand each other.
	protocol = 2
	// maxAsk bounds a request and an answer: a tree of 10,000 manifests fits.
	maxAsk = 256 << 20
	// askTimeout is how long a caller may take to send its request.
	askTimeout = 30 * time.Second
	// maxSocketPath is how long the path of a socket may be; macOS is the narrowest.
	maxSocketPath = 103
	protocolField = "Reconciler-Protocol"
)

// Problem is an error as it goes over the wire.
type Problem struct {
	Title string `json:"title"`
	Kind  string `json:"kind,omitempty"` // refused, no client, no hold: the caller's errors.Is
}

func kinds() map[string]error {
	return map[string]error{"no client": reconcile.ErrNoClient, "no hold": reconcile.ErrNoHold, "refused": reconcile.ErrRefused,
		"no deployment": reconcile.ErrNoDeployment, "unknown op": ErrUnknownOp, "protocol": ErrProtocol}
}

// ErrProtocol: program and daemon come from versions that don't understand each other.
var ErrProtocol = errors.New("the running daemon is of another version than this program: restart it, or use its program")

// ServeHTTP answers POST with an Ask. What panics costs its caller only.
func (c *Control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			c.Log.Error("request panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			fail(w, http.StatusInternalServerError, errors.New("an error in the daemon; its log says where"))
		}
	}()
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	if spoken := r.Header.Get(protocolField); spoken != strconv.Itoa(protocol) {
		fail(w, http.StatusBadRequest, fmt.Errorf("%w (it speaks %d, this program %q)", ErrProtocol, protocol, spoken))
		return
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(askTimeout)) // not there in a test's recorder
	var a Ask
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, cmp.Or(c.most, maxAsk))).Decode(&a); err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	out, err := c.Do(r.Context(), a)
	if err != nil && r.Context().Err() != nil {
		err = fmt.Errorf("%s: the daemon stops", a.Op) // or the caller has gone, and reads nothing
	}
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the caller has gone: nothing is left to say
}

func fail(w http.ResponseWriter, status int, err error) {
	p := Problem{Title: err.Error()}
	for kind, is := range kinds() {
		if errors.Is(err, is) {
			p.Kind = kind
		}
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p)
}

// Listen opens the control socket. Nobody else can connect at any moment: it is made
// in a folder that only its owner enters, with mode 0600, and moved into place. A
// socket that a dead daemon left is replaced; the state's own lock keeps two daemons
// apart. Closing the listener removes the socket.
func Listen(path string) (net.Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	return l, nil
}

func listen(path string) (net.Listener, error) {
	path, err := socketPath(path, true)
	if err != nil {
		return nil, err
	}
	if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("%s is in the way and no socket: move it away", path)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".s-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socket{l, path}, nil
}

// socket removes itself when it is closed.
type socket struct {
	*net.UnixListener
	path string
}

// Close implements net.Listener.
func (s *socket) Close() error {
	err := s.UnixListener.Close()
	if err != nil {
		return err // closed before
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the control socket: %w", err)
	}
	return nil
}

// socketPath is where a socket really is. The system allows about a hundred bytes; for
// a longer path it is a name made from it, in a folder of this user's below the
// system's temporary one.
func socketPath(path string, create bool) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if len(path) <= maxSocketPath && len(filepath.Dir(path))+len("/.s-1234567890/s") <= maxSocketPath {
		return path, nil
	}
	dir := filepath.Join(os.TempDir(), "reconciler-"+strconv.Itoa(os.Getuid()))
	if create {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	if fi, err := os.Lstat(dir); err == nil && (!fi.IsDir() || fi.Mode().Perm()&0o077 != 0 || !ours(fi)) {
		return "", fmt.Errorf("%s is too long for a socket, and its stand-in %s is open to others: give state.path a shorter folder", path, dir)
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(dir, hex.EncodeToString(sum[:8])+".sock"), nil
}

// ErrNoDaemon: nobody answers at the socket.
var ErrNoDaemon = errors.New("no daemon is running")

// ErrNotOurs: whether a daemon runs can't be told, as its socket is another user's, or lies in a
// folder that is.
var ErrNotOurs = errors.New("the daemon's socket may not be opened by this user")

// reached is what an attempt to reach a socket says of the daemon.
func reached(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: %s", ErrNotOurs, path)
	}
	return ErrNoDaemon
}

// Call asks the daemon behind a socket. out is decoded from the answer; nil ignores it.
func Call(ctx context.Context, path string, a Ask, out any) error {
	path, err := socketPath(path, false)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	caller := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		return c, reached(path, err)
	}}}
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://daemon/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	req.Header.Set(protocolField, strconv.Itoa(protocol))
	res, err := caller.Do(req)
	if err != nil {
		if errors.Is(err, ErrNoDaemon) {
			return ErrNoDaemon
		}
		var asked *url.Error // names an address that nobody wrote
		if errors.As(err, &asked) {
			err = asked.Err
		}
		return fmt.Errorf("ask the daemon: %w", err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAsk))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return asError(data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

// remote is an error from the daemon: its text, and what it is.
type remote struct {
	text string
	is   error
}

func (r *remote) Error() string { return r.text }
func (r *remote) Unwrap() error { return r.is }

func asError(data []byte) error {
	var p Problem
	if err := json.Unmarshal(data, &p); err != nil || p.Title == "" {
		return fmt.Errorf("the daemon answered: %s", strings.TrimSpace(string(data)))
	}
	return &remote{p.Title, kinds()[p.Kind]}
}
