package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/state"
)

// elsewhere is a Git server behind TLS, as a manifest names one, and a resolver that asks it.
type elsewhere struct {
	*Resolver
	git      *gitserver.Server
	dir, url string
	asked    atomic.Int64
	seen     atomic.Value // string: the last Authorization header
	now      time.Time
	answer   http.HandlerFunc // in place of the Git server's; nil: that
}

var errForbidden = errors.New("not a public address")

func newElsewhere(t *testing.T) (e *elsewhere, first string) {
	t.Helper()
	e = &elsewhere{dir: t.TempDir(), now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	var err error
	if e.git, err = gitserver.New(e.dir); err != nil {
		t.Fatal(err)
	}
	if first, err = e.git.Create("shop", "main", map[string]string{"index.html": "1"}, "Begin"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.asked.Add(1)
		e.seen.Store(r.Header.Get("Authorization"))
		if e.answer != nil {
			e.answer(w, r)
			return
		}
		e.git.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	e.url = server.URL + "/shop.git"
	e.Resolver = NewResolver(ResolverOptions{HTTP: server.Client().Transport, Forbidden: errForbidden, Now: func() time.Time { return e.now }})
	t.Cleanup(server.Client().CloseIdleConnections)
	return e, first
}

// what returns the commit, or what is wrong and what is to be done.
func (e *elsewhere) what(t *testing.T, ref string) string {
	t.Helper()
	commit, err := e.Commit(t.Context(), e.url, ref)
	var u *Unresolved
	switch {
	case err == nil:
		return commit
	case !errors.As(err, &u):
		t.Fatalf("%s: %v", ref, err)
	case strings.Contains(err.Error(), "\n"):
		t.Errorf("%q has several lines", err)
	}
	return u.Text + " | " + u.Act
}

func (e *elsewhere) later() { e.now = e.now.Add(answerTime) }

// A branch, a tag, an annotated one, a commit and the default branch mean a commit; a branch
// that moved means another one; a name that is gone, that was never there or that is two
// things means none, and says what to do.
func TestResolverNames(t *testing.T) {
	e, first := newElsewhere(t)
	bare := e.dir + "/shop.git"
	run(t, bare, "tag", "v1")
	run(t, bare, "tag", "-a", "-m", "release", "v1.1")
	run(t, bare, "tag", "-a", "-m", "a tag of a tag", "signed", "v1.1")
	run(t, bare, "branch", "gone")
	run(t, bare, "update-ref", "refs/pull/1/head", first)
	want := func(ref, want string) {
		t.Helper()
		if got := e.what(t, ref); got != want {
			t.Errorf("%s is %s, want %s", ref, got, want)
		}
	}
	for _, ref := range []string{"", "main", "v1", "v1.1", "signed", "heads/main", "refs/tags/v1.1", "gone"} {
		want(ref, first)
	}
	if n := e.asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	second, err := e.git.Commit("shop", map[string]*string{"index.html": ptr("2")}, "Change")
	if err != nil {
		t.Fatal(err)
	}
	run(t, bare, "branch", "-D", "gone")
	run(t, bare, "branch", "v1") // now of the second commit
	e.later()
	want("main", second)
	want("v1.1", first)
	host := strings.TrimPrefix(strings.TrimSuffix(e.url, ".git"), "https://")
	want("gone", host+" has no branch and no tag gone | push it, or name another one")
	want("1234567", host+" has no branch and no tag 1234567 | push it, name another one, or write a commit with all its 40 digits")
	want("pull/1/head", host+" has no branch and no tag pull/1/head | push it, or name another one")
	want("v1", host+" has a branch v1 and a tag v1, of two commits | write refs/tags/v1 or refs/heads/v1")
	want("refs/heads/v1", second)
	asked := e.asked.Load()
	want(strings.ToUpper(first), first) // as it is, and nobody is asked
	if e.asked.Load() != asked {
		t.Error("a whole commit was asked about")
	}
	// What was missing is asked anew as soon as somebody may have pushed it.
	run(t, bare, "branch", "gone")
	e.now = e.now.Add(failTime)
	want("gone", second)
	// An answer is not used beyond its time: nor when the host does not answer any more.
	e.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	e.later()
	want("main", host+" answered 502: it is asked again | ")
}

func ptr(s string) *string { return &s }

// Three hundred clients of one template are one question; who gives up keeps nobody else from
// the answer.
func TestResolverAsksOnce(t *testing.T) {
	e, first := newElsewhere(t)
	gone, cancel := context.WithCancel(t.Context())
	e.answer = func(w http.ResponseWriter, r *http.Request) {
		if e.asked.Load() == 1 {
			cancel()
			<-r.Context().Done() // whoever asked has gone
			return
		}
		e.git.ServeHTTP(w, r)
	}
	if _, err := e.Commit(gone, e.url, "main"); !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up is told %v", err)
	}
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			if got, err := e.Commit(t.Context(), e.url, "main"); err != nil || got != first {
				t.Errorf("%s %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := e.asked.Load(); n != 2 {
		t.Errorf("it was asked %d times", n)
	}
	e.later()
	e.leave(e.enter("https://another.example/x"))
	if n := len(e.Resolver.asked); n != 0 {
		t.Errorf("%d answers are kept beyond their time", n)
	}
}

// Threat 15: our token goes to the host that it is for, and a redirect takes it nowhere else;
// what a host says is bounded, and none of its words reaches anybody.
func TestResolverHostile(t *testing.T) {
	e, first := newElsewhere(t)
	host := strings.Split(strings.TrimPrefix(e.url, "https://"), "/")[0]
	e.o.Token = func(_ context.Context, at string) state.Secret {
		if at != host {
			return state.Secret{}
		}
		return state.NewSecret("invented-token")
	}
	if got := e.what(t, "main"); got != first {
		t.Error(got)
	}
	if a, _ := e.seen.Load().(string); !strings.HasPrefix(a, "Basic ") {
		t.Errorf("the host was shown %q", a)
	}
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked, with %q", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	line := func(w io.Writer, text string) { fmt.Fprintf(w, "%04x%s", len(text)+4, text) }
	git := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		line(w, "# service=git-upload-pack\n")
		write(w, "0000")
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusMovedPermanently) }
	}
	where := host + "/shop"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"another host": {redirect(other.URL + "/shop.git/info/refs"), where + " sends us to another host"},
		"this machine": {redirect("http://127.0.0.1/"), where + " sends us to another host"},
		"metadata":     {redirect("https://169.254.169.254/latest/meta-data/"), where + " sends us to another host"},
		"on and on": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String()+"x", http.StatusFound)
		}, where + " sends us to another host, or on and on"},
		"a page":    {func(w http.ResponseWriter, _ *http.Request) { write(w, "<h1>Log in</h1>") }, where + " is not a Git repository"},
		"refused":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "say @everyone", http.StatusUnauthorized) }, where + " refuses our credentials (401)"},
		"not there": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "say @everyone", http.StatusNotFound) }, where + " is not there, or may not be read (404)"},
		"down": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "say @everyone", http.StatusServiceUnavailable)
		}, where + " answered 503: it is asked again | "},
		"its own error": {func(w http.ResponseWriter, _ *http.Request) { git(w); line(w, "ERR say @everyone\n") }, where + " does not answer as a Git repository"},
		"no line": {func(w http.ResponseWriter, _ *http.Request) {
			git(w)
			write(w, "zzzz"+strings.Repeat("x", 99))
		}, where + " does not answer as a Git repository"},
		"a line too long": {func(w http.ResponseWriter, _ *http.Request) {
			git(w)
			write(w, "ffff"+strings.Repeat("x", 70_000))
		}, where + " does not answer as a Git repository"},
		"no hash": {func(w http.ResponseWriter, _ *http.Request) {
			git(w)
			line(w, strings.Repeat("z", 40)+" refs/heads/main\n")
			write(w, "0000")
		}, where + " does not answer as a Git repository"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			git(w)
			line(w, first+" refs/heads/main\n")
			write(w, "00")
		}, where + " can't be asked: unexpected EOF | "},
		"empty": {func(w http.ResponseWriter, _ *http.Request) {
			git(w)
			line(w, strings.Repeat("0", 40)+" capabilities^{}\x00agent=x\n")
			write(w, "0000")
		}, where + " has no branch and no tag main"},
		"names without end": {endless(git, line, first), where + " lists more names than are read"},
		"a name too long": {func(w http.ResponseWriter, _ *http.Request) {
			git(w)
			line(w, first+" refs/heads/"+strings.Repeat("m", 2000)+"\n")
			write(w, "0000")
		}, where + " has no branch and no tag main"},
	} {
		e.answer = c.answer
		e.later()
		if got := e.what(t, "main"); !strings.HasPrefix(got, c.want) || strings.Contains(got, "@everyone") || strings.Contains(got, "invented-token") {
			t.Errorf("%s: %s", name, got)
		}
	}
	e.answer = nil
	e.later()
	e.client.Transport = refusing{}
	if got := e.what(t, "main"); !strings.HasPrefix(got, where+" may not be asked") || !strings.Contains(got, "network.allowPrivate") {
		t.Error(got)
	}
	for _, address := range []string{"http://127.0.0.1/shop", "https://user:invented@" + host + "/shop.git", "https://" + host + "/shop.git?x=1", "ssh://git@" + host + "/shop", "/etc", "file:///etc", ""} {
		if _, err := e.Commit(t.Context(), address, "main"); err == nil || strings.Contains(err.Error(), "invented") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// write says something to whoever may be gone.
func write(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("shop.example leads to 10.0.0.1: %w", errForbidden)
}

func endless(git func(http.ResponseWriter), line func(io.Writer, string), hash string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		git(w)
		for i := 0; r.Context().Err() == nil && i < 2*MaxRefs; i++ {
			line(w, fmt.Sprintf("%s refs/heads/b%d\n", hash, i))
		}
	}
}

// slow is a host that says a little, and then no more.
type slow struct{ first string }

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	in, out := io.Pipe()
	go func() { // ends with the request
		write(out, "001e# service=git-upload-pack\n0000")
		for i := 0; r.Context().Err() == nil; i++ {
			line := fmt.Sprintf("%s refs/heads/b%d\n", s.first, i)
			if _, err := fmt.Fprintf(out, "%04x%s", len(line)+4, line); err != nil {
				return
			}
			select {
			case <-time.After(5 * time.Second):
			case <-r.Context().Done():
			}
		}
		out.CloseWithError(context.Cause(r.Context()))
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-git-upload-pack-advertisement"}}, Body: in, Request: r}, nil
}

// A host that dribbles is given up after askTime.
func TestResolverSlowHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewResolver(ResolverOptions{HTTP: slow{strings.Repeat("1", 40)}, Now: time.Now})
		began := time.Now()
		_, err := r.Commit(t.Context(), "https://git.example/shop", "main")
		var u *Unresolved
		if !errors.As(err, &u) || u.Act != "" || !strings.Contains(u.Text, "took too long") {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != askTime {
			t.Errorf("it took %s", took)
		}
	})
}

// Whatever a host sends: no panic, no more names than the limit, and only whole commits.
func FuzzAdvertised(f *testing.F) {
	hash := strings.Repeat("1", 40)
	packet := func(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
	f.Add("001e# service=git-upload-pack\n0000" + packet(hash+" HEAD\x00agent=x\n") + packet(hash+" refs/tags/v1\n") + packet(strings.Repeat("2", 40)+" refs/tags/v1^{}\n") + "0000")
	f.Add("0000")
	f.Add(packet("ERR no\n"))
	f.Fuzz(func(t *testing.T, text string) {
		names, err := advertised(strings.NewReader(text))
		if err != nil && names != nil {
			t.Error("an error and names")
		}
		for name, commit := range names {
			if !full(commit) || len(name) > maxRefName || !strings.HasPrefix(name, "refs/heads/") && !strings.HasPrefix(name, "refs/tags/") && name != "HEAD" {
				t.Errorf("%q is %q", name, commit)
			}
		}
	})
}
