package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// Admin and Password are the superuser's.
	Admin    = "root-of-tests"
	Password = "pssst admin's %2F own @word" // awkward in URLs and statements

	// LeaveOut is the variable that leaves out the tests that need a server.
	LeaveOut = "RECONCILER_TEST_POSTGRES"

	patience = time.Minute // how long a server may take to start; only a hang takes it
	attempts = 5           // ports that are tried
)

// ErrMissing says what to install.
var ErrMissing = errors.New("no PostgreSQL server programs (initdb, postgres) on the PATH or in /usr/lib/postgresql/*/bin: install them (Debian: apt-get install postgresql; macOS: brew install postgresql), or leave these tests out with " + LeaveOut + "=no")

// LeftOut says that somebody asked for the tests to be left out.
func LeftOut() bool { return os.Getenv(LeaveOut) == "no" }

// Server is a server that runs.
type Server struct {
	Port int
	dir  string
	bin  string
	cmd  *exec.Cmd
	rein io.WriteCloser // the server lives as long as this is open
	as   *account
}

// Open makes a cluster and starts it. settings are lines like "ssl=on".
func Open(settings ...string) (s *Server, err error) {
	bin, err := programs(debian)
	if err != nil {
		return nil, err
	}
	s = &Server{bin: bin}
	if s.as, err = whose(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "pg-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	if err := s.initialize(); err != nil {
		return nil, err
	}
	return s, s.Start(settings...)
}

// debian is where Debian keeps the programs of each version, off the PATH.
const debian = "/usr/lib/postgresql/*/bin"

// programs finds the folder of the newest server programs.
func programs(folders string) (string, error) {
	found, err := filepath.Glob(filepath.Join(folders, "initdb"))
	if err != nil {
		return "", err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // else the oldest
		return n
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	for _, f := range found {
		if _, err := exec.LookPath(filepath.Join(filepath.Dir(f), "postgres")); err == nil {
			return filepath.Dir(f), nil
		}
	}
	return "", ErrMissing
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Socket is the folder of the server's socket.
func (s *Server) Socket() string { return s.dir }

// Programs is the folder of the server's programs, and of pg_dump and pg_restore.
func (s *Server) Programs() string { return s.bin }

func (s *Server) initialize() error {
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o600); err != nil {
		return err
	}
	if err := s.as.give(s.dir, password); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "--pgdata="+s.data(), "--username="+Admin, "--pwfile="+password,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as.attributes()
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// Put writes a file that only the server's user may read, such as a key, and returns its
// path.
func (s *Server) Put(name string, data []byte) (string, error) {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", err
	}
	return path, s.as.give(path)
}

// Start starts a server that is stopped, at the port that it had.
func (s *Server) Start(settings ...string) error {
	var err error
	for range attempts {
		port := s.Port
		if port == 0 {
			if port, err = freePort(); err != nil {
				return err
			}
		}
		if err = s.start(port, settings); err == nil {
			s.Port = port
			return nil
		}
	}
	return err
}

// reign is a shell that ends the server when its own input ends: with Stop, which says the
// word before, or with a test process that is no more. Then nobody needs the folder.
const reign = `dir=$1; shift
"$@" & server=$!
word=$(cat)
kill -QUIT $server
wait $server
[ "$word" = keep ] || rm -rf "$dir"`

func (s *Server) start(port int, settings []string) error {
	all := append([]string{"fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=127.0.0.1", "port=" + strconv.Itoa(port),
		"unix_socket_directories=" + s.dir, "max_connections=40", "shared_buffers=16MB", "password_encryption=scram-sha-256", "log_statement=all"}, settings...)
	args := []string{"-c", reign, "reign", s.dir, filepath.Join(s.bin, "postgres"), "-D", s.data()}
	for _, x := range all {
		args = append(args, "-c", x)
	}
	s.cmd = exec.CommandContext(context.Background(), "/bin/sh", args...) // until Stop
	s.cmd.Dir, s.cmd.SysProcAttr = s.dir, s.as.attributes()
	s.cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.rein, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := s.answers(port); err != nil {
		return errors.Join(err, s.Stop(), errors.New(s.Log()))
	}
	return nil
}

// answers waits until the server takes connections.
func (s *Server) answers(port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		c, err := pgconn.Connect(ctx, s.dsn(port, Admin, Password, "postgres"))
		if err == nil {
			return c.Close(ctx)
		}
		if s.over() {
			return errors.New("the server ended")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// over says that the server wrote that it could not begin.
func (s *Server) over() bool { return strings.Contains(s.Log(), "FATAL:  could not") }

// Log is what the server has logged since it was started, every statement included.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Stop stops the server at once, as a machine that fails would, and waits.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	_, err := io.WriteString(s.rein, "keep\n")
	err = errors.Join(err, s.rein.Close())
	_ = s.cmd.Wait() // says that it was made to quit
	s.cmd = nil
	return err
}

// Close stops the server and removes all of it.
func (s *Server) Close() error { return errors.Join(s.Stop(), os.RemoveAll(s.dir)) }

// DSN is the superuser's way in.
func (s *Server) DSN() string { return s.dsn(s.Port, Admin, Password, "postgres") }

// DSNOf is somebody's way into a database.
func (s *Server) DSNOf(user, password, database string) string {
	return s.dsn(s.Port, user, password, database)
}

func (s *Server) dsn(port int, user, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/" + database}
	return u.String()
}

func freePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// account is the user that the server runs as, where that is not ours.
type account struct{ uid, gid int }

func (a *account) give(paths ...string) error {
	if a == nil {
		return nil
	}
	for _, p := range paths {
		if err := os.Chown(p, a.uid, a.gid); err != nil {
			return err
		}
	}
	return nil
}
