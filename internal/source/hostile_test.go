package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/google/go-cmp/cmp"
)

const token = "tok-3n-of-the-test"

// P10: the token reaches the host as basic authentication and stands in no error,
// whatever the host repeats.
func TestP10TokenIsNowhere(t *testing.T) {
	w, first := newWorld(t, begin())
	w.through(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		user, password, _ := r.BasicAuth()
		if password != token {
			rw.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(rw, "%s %s %s", user, password, r.Header.Get("Authorization"))
			return
		}
		next.ServeHTTP(rw, r)
	})
	clean := func(what string, r *Repository, want error) {
		t.Helper()
		_, err := r.Poll(t.Context())
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
		ferr := r.Fetch(t.Context(), first)
		if !errors.Is(ferr, want) {
			t.Errorf("%s: %v", what, ferr)
		}
		for _, e := range []error{err, ferr} {
			for e != nil {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", e, e, e), "wrong-one") || strings.Contains(e.Error(), base64.StdEncoding.EncodeToString([]byte("x-access-token:wrong-one"))) {
					t.Errorf("%s: the error shows a secret", what)
				}
				e = errors.Unwrap(e)
			}
		}
	}
	clean("none", open(t, Options{URL: w.url}), ErrDenied)
	clean("wrong token", open(t, Options{URL: w.url, Token: func() state.Secret { return state.NewSecret("wrong-one") }}), ErrDenied)
	clean("wrong password in the URL", open(t, Options{URL: strings.Replace(w.url, "://", "://ops:wrong-one@", 1)}), ErrDenied)
	clean("empty token", open(t, Options{URL: w.url, Token: func() state.Secret { return state.Secret{} }}), ErrDenied)

	// A token that is renewed is asked for anew.
	now := "wrong-one"
	r := open(t, Options{URL: w.url, Token: func() state.Secret { return state.NewSecret(now) }})
	clean("before it is renewed", r, ErrDenied)
	now = token
	if got := fetch(t, r); got != first {
		t.Error(got)
	}
	in := open(t, Options{URL: strings.Replace(w.url, "://", "://ops:"+token+"@", 1)})
	if got := fetch(t, in); got != first {
		t.Error(got)
	}
	for _, dir := range []string{r.dir, in.dir} {
		err := filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
			if err != nil || fi.IsDir() {
				return err
			}
			data, err := os.ReadFile(p)
			if bytes.Contains(data, []byte(token)) {
				t.Errorf("%s holds the token", p)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	// A host that repeats what it was sent in its errors.
	w.through(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, password, _ := r.BasicAuth()
		rw.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(rw, "https://x:%s@host %s\n%s", password, password, strings.Repeat("x", 10_000))
	})
	_, err := r.Poll(t.Context())
	if err == nil || strings.Contains(err.Error(), token) || len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("a host that repeats: %v", err)
	}
}

func TestRefusedURLs(t *testing.T) {
	for _, url := range []string{"", "clients", "../clients", "ftp://host.example/x", "https://", "https://host.example", "https://host.example/x?token=hunter22",
		"ssh://git:hunter22@host.example/x", "https://host.example/x y", "https://ops:hunter22@host.example\x00/x", "ext::sh -c true", "ssh://-oProxyCommand=x/y", "file://host.example/x", "git://host.example/x"} {
		r, err := Open(Options{URL: url, Branch: "main", Path: "clients", Dir: t.TempDir()})
		if err == nil {
			_ = r.Close()
			t.Errorf("%q was accepted", url)
		} else if strings.Contains(err.Error(), "hunter22") {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
	dir := t.TempDir()
	for _, o := range []Options{{URL: dir, Branch: "", Path: "clients", Dir: dir}, {URL: dir, Branch: "a..b", Path: "clients", Dir: dir}, {URL: dir, Branch: "main", Path: "../x", Dir: dir},
		{URL: dir, Branch: "main", Path: "", Dir: dir}, {URL: dir, Branch: "main", Path: "a/templates", Dir: dir}, {URL: dir, Branch: "main", Path: "clients"}} {
		if r, err := Open(o); err == nil {
			_ = r.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
}

// A host that is not there, hangs, stops half way or sends rubbish gives an error in
// time, and the next fetch works.
func TestSickHosts(t *testing.T) {
	w, first := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if _, err := open(t, Options{URL: gone.URL + "/x.git"}).Poll(t.Context()); err == nil {
		t.Error("a closed port answers")
	}

	entered := make(chan struct{})
	w.through(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		entered <- struct{}{}
		<-r.Context().Done()
	})
	why := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-entered; cancel(why) }()
	if _, err := r.Poll(ctx); !errors.Is(err, why) {
		t.Errorf("a hanging host: %v", err)
	}

	cut := func(size int) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodGet {
				next.ServeHTTP(rw, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			rw.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			body := rec.Body.Bytes()
			_, _ = rw.Write(body[:min(len(body), size)])
		}
	}
	flip := func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		rw.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		body := rec.Body.Bytes()
		if r.Method == http.MethodPost {
			body[len(body)/2] ^= 0x40
		}
		_, _ = rw.Write(body)
	}
	rubbish := func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.WriteString(rw, "<html>a page for people</html>")
	}
	w.through(rubbish)
	if _, err := r.Poll(t.Context()); !errors.Is(err, ErrNotGit) {
		t.Errorf("a page: %v", err)
	}
	w.through(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Error(rw, "words of the host", http.StatusBadGateway)
	})
	if _, err := r.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "answered 502") || strings.Contains(err.Error(), "words") {
		t.Errorf("a sick gateway: %v", err)
	}
	for name, f := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){"nothing": cut(0), "the acknowledgement": cut(8), "a few bytes": cut(30), "half a pack": cut(400), "a flipped bit": flip, "a page": rubbish} {
		w.through(f)
		if err := r.Fetch(t.Context(), first); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	w.through(nil)
	if got := fetch(t, r); got != first {
		t.Error(got)
	}
	// The same on a mirror that has something: what it has stays.
	second := w.commit(t, map[string]string{"clients/new.yaml": "name: new"})
	w.through(cut(200))
	if err := r.Fetch(t.Context(), second); err == nil {
		t.Error("half a pack brought the commit")
	}
	w.through(nil)
	if got := fetch(t, r); got != second {
		t.Error(got)
	}
	if got := diff(t, r, first, second); got["clients/new.yaml"] != "added" {
		t.Error(got)
	}
	if left := leftovers(t, r.dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A connection that is closed at once, below HTTP.
func TestClosedConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	if _, err := open(t, Options{URL: "http://" + l.Addr().String() + "/x.git"}).Poll(t.Context()); err == nil {
		t.Error("no error")
	}
	_ = l.Close()
	<-done
}

func leftovers(t *testing.T, dir string) (out []string) {
	t.Helper()
	for path := range listing(t, dir) {
		base := filepath.Base(path)
		if strings.HasPrefix(base, newPrefix) || strings.HasPrefix(base, oldPrefix) || strings.HasPrefix(base, tmpPrefix) {
			out = append(out, path)
		}
	}
	return out
}

// reliability 2.4: links, modules and executables are there, and are not read.
func TestOddEntries(t *testing.T) {
	dir := work(t, map[string]string{"clients/good.yaml": "name: good", "clients/run.yaml": "name: run", "clients/ab/inner.yaml": "name: inner", "clients/.hidden": "x"})
	first := run(t, dir, "rev-parse", "HEAD")
	r := open(t, Options{URL: dir})
	fetch(t, r)
	if err := os.Symlink("../../../etc/passwd", filepath.Join(dir, "clients", "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "clients", "run.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+first+",clients/module.yaml")
	run(t, dir, "add", "clients/link.yaml", "clients/run.yaml")
	run(t, dir, "commit", "-q", "-m", "odd ones")
	second := fetch(t, r)
	want := map[string]string{"clients/good.yaml": "name: good", "clients/run.yaml": "executable", "clients/ab/inner.yaml": "name: inner", "clients/.hidden": "x",
		"clients/link.yaml": "link", "clients/module.yaml": "module"}
	if d := cmp.Diff(want, content(t, r, second)); d != "" {
		t.Error(d)
	}
	changes := map[string]string{"clients/link.yaml": "added link", "clients/module.yaml": "added module", "clients/run.yaml": "changed executable"}
	if d := cmp.Diff(changes, diff(t, r, first, second)); d != "" {
		t.Error(d)
	}
	// A folder that becomes a link takes no client away.
	run(t, dir, "rm", "-q", "-r", "--cached", "clients/ab")
	if err := os.RemoveAll(filepath.Join(dir, "clients", "ab")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, "clients", "ab")); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "add", "clients/ab")
	run(t, dir, "commit", "-q", "-m", "a link")
	third := fetch(t, r)
	if d := cmp.Diff(map[string]string{"clients/ab": "added link", "clients/ab/inner.yaml": "changed link"}, diff(t, r, second, third)); d != "" {
		t.Error(d)
	}
	// Nor does the clients folder.
	run(t, dir, "rm", "-q", "-r", "--cached", "clients")
	if err := os.RemoveAll(filepath.Join(dir, "clients")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, "clients")); err != nil {
		t.Fatal(err)
	}
	fourth := seal(t, dir)
	if got := fetch(t, r); got != fourth {
		t.Error(got)
	}
	if _, err := r.Diff(t.Context(), third, fourth); !errors.Is(err, ErrNoFolder) {
		t.Errorf("the clients folder is a link: %v", err)
	}
	if _, err := r.Any(t.Context(), fourth, func(string) bool { return true }); !errors.Is(err, ErrNoFolder) {
		t.Errorf("the clients folder is a link: %v", err)
	}
}

func TestStrangeNames(t *testing.T) {
	dir := work(t, map[string]string{"base/clients/Shop.yaml": "1", "base/clients/shop.yaml": "2", "base/clients/a\xffb.yaml": "3", "base/clients/tab\t.yaml": "4", "base/clients/é.yaml": "5",
		`base/clients/a\xffb.yaml`: "6", "base/Platform.yml": "7", "base/clients/1/2/3/deep.yaml": "8", "base/clients/1/2/3/4/deeper.yaml": "9", "clients/no.yaml": "10",
		"base/clients.yaml": "11", "base/templates/x/y.yaml": "12", "base/clients-old/a.yaml": "13"})
	r := open(t, Options{URL: dir, Path: "base/clients"})
	got := content(t, r, fetch(t, r))
	want := map[string]string{"base/clients/Shop.yaml": "1", "base/clients/shop.yaml": "2", `base/clients/a\xffb.yaml`: "3", `base/clients/tab\x09.yaml`: "4", "base/clients/é.yaml": "5",
		`base/clients/a\x5cxffb.yaml`: "6", "base/Platform.yml": "7", "base/clients/1/2/3/deep.yaml": "8", "base/templates/x/y.yaml": "12"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	root := open(t, Options{URL: dir, Path: "."})
	if any, err := root.Any(t.Context(), fetch(t, root), func(p string) bool { return p == "clients/no.yaml" }); err != nil || !any {
		t.Error(any, err)
	}
	file := open(t, Options{URL: dir, Path: "base/clients.yaml/clients"})
	if _, err := file.Files(t.Context(), fetch(t, file)); !errors.Is(err, ErrNoFolder) {
		t.Errorf("a file where a folder should be: %v", err)
	}
}

func TestBlobLimits(t *testing.T) {
	dir := work(t, map[string]string{"clients/big.yaml": strings.Repeat("x", MaxBlob+1), "clients/most.yaml": strings.Repeat("y", MaxBlob)})
	r := open(t, Options{URL: dir})
	files, err := r.Files(t.Context(), fetch(t, r))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	if _, err := r.Blob(t.Context(), files[0].Blob); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large file: %v", err)
	}
	if b, err := r.Blob(t.Context(), files[1].Blob); err != nil || len(b) != MaxBlob {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	for _, id := range []string{"", "x", strings.Repeat("0", 40), strings.Repeat("3", 40), strings.Repeat("A", 40)} {
		if _, err := r.Blob(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("blob %q: %v", id, err)
		}
	}
	if r.Stats().Clones != 1 {
		t.Error("an unknown id made it clone again")
	}
}
