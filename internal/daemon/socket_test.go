package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
)

// serveAt serves a control at a socket until the test ends.
func serveAt(t *testing.T, path string, h http.Handler) {
	t.Helper()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	ended := make(chan error)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// A socket that may not be opened says nothing of a daemon: a folder of another user's looks the same.
func TestSocketOfAnotherUser(t *testing.T) {
	err := reached("/state.db.sock", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)})
	if !errors.Is(err, ErrNotOurs) || strings.Contains(err.Error(), "another user's") {
		t.Errorf("%v", err)
	}
	if err := reached("/state.db.sock", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("%v", err)
	}
}

func TestSocket(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 20))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", shortDir(t))
	for name, dir := range map[string]string{"beside the state": shortDir(t), "of a long path": long} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "state.db.sock")
			if err := Call(t.Context(), path, Ask{Op: "backup"}, nil); !errors.Is(err, ErrNoDaemon) {
				t.Errorf("before anybody listens: %v", err)
			}
			stale, err := Listen(path) // of a daemon that is killed: the file stays
			if err != nil {
				t.Fatal(err)
			}
			if err := stale.(*socket).UnixListener.Close(); err != nil {
				t.Fatal(err)
			}
			if err := Call(t.Context(), path, Ask{Op: "backup"}, nil); !errors.Is(err, ErrNoDaemon) {
				t.Errorf("at a dead daemon's socket: %v", err)
			}
			t.Run("served", func(t *testing.T) {
				var asked string
				serveAt(t, path, &Control{Log: quiet(), Backup: func(path string) error { asked = path; return nil }})
				if err := Call(t.Context(), path, Ask{Op: "backup", Path: "here"}, nil); err != nil || asked != "here" {
					t.Errorf("%v, asked for %q", err, asked)
				}
				real, err := socketPath(path, false)
				if err != nil {
					t.Fatal(err)
				}
				fi, err := os.Lstat(real)
				if err != nil || fi.Mode() != os.ModeSocket|0o600 {
					t.Errorf("the socket: %v %v", fi.Mode(), err)
				}
				if left, _ := filepath.Glob(filepath.Join(filepath.Dir(real), ".s-*")); left != nil {
					t.Errorf("left over: %v", left)
				}
			})
			real, err := socketPath(path, false)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(real); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// shortDir is a folder whose sockets' paths are short, whatever the test is called.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "s") //nolint:usetesting // t.TempDir is long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestSocketRefuses(t *testing.T) {
	dir := shortDir(t)
	file := filepath.Join(dir, "notes")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil || !strings.Contains(err.Error(), "in the way") {
		t.Errorf("in the place of a file: %v", err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "mine" {
		t.Errorf("the file: %q %v", data, err)
	}
	t.Setenv("TMPDIR", dir)
	long := filepath.Join(dir, strings.Repeat("x", 120), "state.db.sock")
	standIn, err := socketPath(long, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(standIn), 0o777); err != nil { // somebody else made it first
		t.Fatal(err)
	}
	if _, err := Listen(long); err == nil || !strings.Contains(err.Error(), "open to others") {
		t.Errorf("in a folder that others enter: %v", err)
	}
	if err := Call(t.Context(), long, Ask{}, nil); err == nil || !strings.Contains(err.Error(), "open to others") {
		t.Errorf("a call there: %v", err)
	}
}

func TestControlAnswers(t *testing.T) {
	c := &Control{Log: quiet(), Backup: func(path string) error {
		if path == "" {
			panic("no path")
		}
		return reconcile.ErrNoClient
	}}
	path := filepath.Join(shortDir(t), "sock")
	serveAt(t, path, c)
	for _, a := range []struct {
		ask  Ask
		is   error
		says string
	}{
		{Ask{Op: "backup", Path: "x"}, reconcile.ErrNoClient, reconcile.ErrNoClient.Error()},
		{Ask{Op: "backup"}, nil, "its log says where"},
		{Ask{Op: "dance"}, ErrUnknownOp, "older"},
		{Ask{Op: "apply"}, nil, "no daemon"},
	} {
		err := Call(t.Context(), path, a.ask, nil)
		if err == nil || a.is != nil && !errors.Is(err, a.is) || !strings.Contains(err.Error(), a.says) {
			t.Errorf("%s: %v, want %q", a.ask.Op, err, a.says)
		}
	}
}

func TestControlRefuses(t *testing.T) {
	c, ours := &Control{Log: quiet()}, strconv.Itoa(protocol)
	for _, r := range []struct {
		name, method, spoken, body string
		status                     int
		says                       string
	}{
		{"a look", "GET", ours, "", 405, "POST only"},
		{"another version", "POST", "1", `{"op":"backup"}`, 400, "another version"},
		{"a version from before there were any", "POST", "", `{"op":"backup"}`, 400, "another version"},
		{"half a request", "POST", ours, `{"op":`, 400, "read the request"},
	} {
		t.Run(r.name, func(t *testing.T) {
			req := httptest.NewRequest(r.method, "http://daemon/", strings.NewReader(r.body))
			if r.spoken != "" {
				req.Header.Set(protocolField, r.spoken)
			}
			w := httptest.NewRecorder()
			c.ServeHTTP(w, req)
			if w.Code != r.status || !strings.Contains(w.Body.String(), r.says) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// A request has a bound, and is not read beyond it.
func TestControlBoundsRequests(t *testing.T) {
	body := &counting{r: io.MultiReader(strings.NewReader(`{"op":"`), endless{})}
	req := httptest.NewRequest(http.MethodPost, "http://daemon/", body)
	req.Header.Set(protocolField, strconv.Itoa(protocol))
	w := httptest.NewRecorder()
	(&Control{Log: quiet(), most: 1 << 20}).ServeHTTP(w, req)
	if w.Code != http.StatusBadRequest || body.n > 2<<20 {
		t.Errorf("%d after %d bytes", w.Code, body.n)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// A caller that says nothing holds its own connection, and nobody else's.
func TestASlowCallerHoldsNobody(t *testing.T) {
	path := filepath.Join(shortDir(t), "sock")
	serveAt(t, path, &Control{Log: quiet(), Backup: func(string) error { return nil }})
	for range 20 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: daemon\r\n"+protocolField+": "+strconv.Itoa(protocol)+"\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := Call(ctx, path, Ask{Op: "backup", Path: "x"}, nil); err != nil {
		t.Error(err)
	}
}
