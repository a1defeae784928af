package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/state"
)

const aComment = `{"id":5,"body":"hi","user":{"login":"dana","id":3},"created_at":"2026-11-26T08:00:00Z","updated_at":"2026-11-26T08:00:00Z","issue_url":"https://api.github.example/repos/o/r/issues/4"}`

// Reads are repeated, three times in all, with growing pauses; writes never, whatever
// became of them.
func TestRepeats(t *testing.T) {
	for name, failure := range map[string]http.HandlerFunc{
		"500":      func(w http.ResponseWriter, _ *http.Request) { say(w, 500, `{}`) },
		"503":      func(w http.ResponseWriter, _ *http.Request) { say(w, 503, `<html>`) },
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `<html>`) },
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			say(w, 200, `[`)
		},
	} {
		var failures atomic.Int32
		a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case failures.Add(-1) >= 0:
				failure(w, r)
			case r.Method == http.MethodGet:
				say(w, 200, "["+aComment+"]")
			default:
				say(w, 201, aComment)
			}
			// On a kept connection net/http would repeat reads, too.
		}, func(o *Options) { o.Base = &http.Transport{DisableKeepAlives: true} })
		failures.Store(2)
		if c, err := a.Comments(t.Context(), 4); err != nil || len(c) != 1 {
			t.Errorf("%s: read with two failures: %v %v", name, c, err)
		}
		failures.Store(3)
		if _, err := a.Comments(t.Context(), 4); !errors.Is(err, forge.ErrAway) {
			t.Errorf("%s: read with three failures: %v", name, err)
		}
		if n := len(s.requests()); n != 6 {
			t.Errorf("%s: %d reads", name, n)
		}
		if len(s.clock.slept) != 4 || s.clock.slept[0] < firstWait/2 || s.clock.slept[1] > 3*firstWait {
			t.Errorf("%s: paused for %v", name, s.clock.slept)
		}
		failures.Store(1)
		if _, err := a.CreateComment(t.Context(), 4, "x"); !errors.Is(err, forge.ErrAway) {
			t.Errorf("%s: write with a failure: %v", name, err)
		}
		if n := len(s.requests()); n != 7 {
			t.Errorf("%s: %d requests after a write that failed once", name, n)
		}
	}
}

// The answer to a write is lost after GitHub did it: ErrAway, and it was asked once.
func TestLostAnswer(t *testing.T) {
	var done atomic.Int32
	a, _ := github(t, func(http.ResponseWriter, *http.Request) { done.Add(1); panic(http.ErrAbortHandler) })
	for name, err := range everything(t.Context(), a) {
		writing := strings.HasPrefix(name, "Create") || strings.HasPrefix(name, "Set") || name == "EditComment" || name == "DeleteComment" || name == "React" || name == "Suggest" || name == "Unsuggest"
		if writing && !errors.Is(err, forge.ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
	}
	done.Store(0)
	if err := a.DeleteComment(t.Context(), 1); !errors.Is(err, forge.ErrAway) || done.Load() != 1 {
		t.Errorf("deleted %d times: %v", done.Load(), err)
	}
}

// Of statuses of HTTP, the caller learns what to do.
func TestKinds(t *testing.T) {
	for code, want := range map[int]error{
		400: forge.ErrInvalid, 401: forge.ErrDenied, 403: forge.ErrDenied, 404: forge.ErrNotFound, 405: forge.ErrInvalid, 408: forge.ErrAway,
		409: forge.ErrInvalid, 410: forge.ErrNotFound, 422: forge.ErrInvalid, 451: forge.ErrDenied, 500: forge.ErrAway, 502: forge.ErrAway, 503: forge.ErrAway,
		301: forge.ErrAway, 302: forge.ErrAway, 304: forge.ErrAway,
	} {
		a, _ := github(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Accepted-GitHub-Permissions", "statuses=write; contents=read,checks=x")
			say(w, code, `{"message":"Validation Failed","errors":[{"message":"No commit found for SHA"},{"code":"x"},{"message":"<b>@all</b>"}]}`)
		})
		err := a.SetStatus(t.Context(), commit, forge.Status{Context: "x", State: forge.Success})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "set a commit status") {
			t.Errorf("%d: %v", code, err)
		}
		if code == 422 && !strings.HasSuffix(err.Error(), "(422, Validation Failed: No commit found for SHA: ball/b)") {
			t.Errorf("%d says %v", code, err)
		}
		if code == 403 && !strings.Contains(err.Error(), "it takes Commit statuses: write, Contents: read") {
			t.Errorf("%d says %v", code, err)
		}
	}
	a, s := github(t, nil)
	s.Close()
	if _, err := a.Open(t.Context(), "main"); !errors.Is(err, forge.ErrAway) {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the daemon stops"))
	if _, err := a.Open(ctx, "main"); !errors.Is(err, forge.ErrAway) || !strings.Contains(err.Error(), "the daemon stops") {
		t.Errorf("given up: %v", err)
	}
}

// Redirects are followed where the token may go, and nowhere else: nobody else sees it.
func TestRedirects(t *testing.T) {
	var strangers atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	defer stranger.Close()
	for name, c := range map[string]struct {
		code        int
		to          string
		read, write bool // comes through
	}{
		"renamed":             {301, "/api/v3/repositories/1/there", true, false},
		"renamed, for writes": {307, "/api/v3/repositories/1/there", true, true},
		"for good":            {308, "/api/v3/repositories/1/there", true, true},
		"found":               {302, "/api/v3/repositories/1/there", true, false},
		"relative":            {307, "there", true, true},
		"another host":        {307, stranger.URL + "/api/v3/there", false, false},
		"without a scheme":    {307, "//" + strings.TrimPrefix(stranger.URL, "http://") + "/api/v3/there", false, false},
		"outside the API":     {307, "/login", false, false},
		"outside, climbing":   {307, "/api/v3/../../login", false, false},
		"outside, escaped":    {307, "/api/v3/%2e%2e/login", false, false},
		"with a password":     {307, "http://me:pw@HOST/api/v3/there", false, false},
		"nowhere":             {307, "", false, false},
		"no address":          {307, ":%", false, false},
		"in circles":          {307, "/api/v3/repos/compassdigital/clients/issues/4/comments", false, false},
	} {
		var posted atomic.Int32
		a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
			switch body, _ := io.ReadAll(r.Body); {
			case r.Header.Get("Authorization") != "Bearer "+token:
				t.Errorf("%s: came as %q", name, r.Header.Get("Authorization"))
			case !strings.HasSuffix(r.URL.Path, "there"):
				w.Header().Set("Location", strings.Replace(c.to, "HOST", r.Host, 1))
				say(w, c.code, `{"message":"Moved Permanently","url":"x"}`)
			case r.Method == http.MethodGet:
				say(w, 200, "["+aComment+"]")
			case string(body) == `{"body":"x"}`+"\n":
				posted.Add(1)
				say(w, 201, aComment)
			}
		}, func(o *Options) { o.APIURL += "/api/v3/" })
		_, err := a.Comments(t.Context(), 4)
		if (err == nil) != c.read || err != nil && !errors.Is(err, forge.ErrAway) {
			t.Errorf("%s: read: %v", name, err)
		}
		if n := len(s.requests()); n > 2 && name != "in circles" || n > maxRedirects+1 {
			t.Errorf("%s: %d reads", name, n)
		}
		_, err = a.CreateComment(t.Context(), 4, "x")
		if (err == nil) != c.write || err != nil && !errors.Is(err, forge.ErrAway) || (posted.Load() == 1) != c.write {
			t.Errorf("%s: write: %v, %d times", name, err, posted.Load())
		}
		for _, asked := range s.requests() {
			if !strings.Contains(asked, " /api/v3/") {
				t.Errorf("%s: asked %s", name, asked)
			}
		}
	}
	if strangers.Load() != 0 {
		t.Errorf("another host was asked %d times", strangers.Load())
	}
}

// endless is a body that doesn't end.
func endless(w http.ResponseWriter, start string) {
	_, _ = io.WriteString(w, start)
	block := []byte(strings.Repeat(" ", 1<<16))
	for range 1 << 12 { // 256 MiB, if somebody takes it
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// Bodies are bounded, and a list whose pages are too large is read in smaller ones.
func TestHugeAnswers(t *testing.T) {
	a, s := github(t, func(w http.ResponseWriter, _ *http.Request) { endless(w, "[") })
	if _, err := a.Permission(t.Context(), "dana"); !errors.Is(err, forge.ErrAway) || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("an endless answer: %v", err)
	}
	if n := len(s.requests()); n != 1 {
		t.Errorf("an endless answer was asked for %d times", n)
	}
	if _, err := a.Comments(t.Context(), 1); !errors.Is(err, forge.ErrAway) {
		t.Errorf("an endless list: %v", err)
	}
	if n := len(s.requests()); n != 4 {
		t.Errorf("an endless list was asked for %d times", n-1)
	}
	const all = 30
	body := strings.Repeat("\u20ac", 60_000)
	quoted := `"` + body + `"`
	a, s = github(t, pagesOf(all, func(i int) string {
		return fmt.Sprintf(`{"id":%d,"body":%s,"user":{"login":"dana","id":3},"created_at":"2026-11-26T08:00:00Z","updated_at":%q}`, i, quoted, at(i))
	}))
	if c, err := a.Comments(t.Context(), 1); err != nil || len(c) != all || len(c[0].Body) > forge.MaxText || !strings.HasPrefix(body, c[0].Body) {
		t.Errorf("large comments: %d %v", len(c), err)
	}
	if c, err := a.CommentsSince(t.Context(), time.Time{}); err != nil || len(c) != all || c[all-1].ID != all {
		t.Errorf("large comments since: %d %v", len(c), err)
	}
	if n := len(s.requests()); n > 2*(3+all/(perPage/20)+1) {
		t.Errorf("asked %d times", n)
	}
}

func at(i int) string {
	return time.Date(2026, 11, 1, 0, 0, i, 0, time.UTC).Format(time.RFC3339)
}

// pagesOf answers with numbered objects in pages, as GitHub does; since holds, too.
func pagesOf(all int, object func(i int) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var page, per int
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		_, _ = fmt.Sscan(r.URL.Query().Get("per_page"), &per)
		page = max(page, 1)
		from := 1
		if since := r.URL.Query().Get("since"); since != "" {
			for from <= all && at(from) < since {
				from++
			}
		}
		var out []string
		for i := from + (page-1)*per; i < from+page*per && i <= all; i++ {
			out = append(out, object(i))
		}
		if from+page*per <= all {
			w.Header().Set("Link", fmt.Sprintf(`<http://x.example/?page=%d>; rel="next", <http://x.example/?page=99>; rel="last"`, page+1))
		}
		say(w, 200, "["+strings.Join(out, ",")+"]")
	}
}

// A list that did not change is not sent again: GitHub's 304 costs nothing of the limit.
func TestConditional(t *testing.T) {
	tag, body := `W/"1"`, "["+aComment+"]"
	var whole, spared int
	a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			spared++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		whole++
		say(w, 200, body)
	})
	for range 3 {
		if c, err := a.Comments(t.Context(), 4); err != nil || len(c) != 1 || c[0].Body != "hi" {
			t.Fatalf("%v %v", c, err)
		}
	}
	if whole != 1 || spared != 2 {
		t.Errorf("sent %d times, spared %d times", whole, spared)
	}
	tag, body = `W/"2"`, "["+strings.Replace(aComment, "hi", "ho", 1)+"]"
	if c, err := a.Comments(t.Context(), 4); err != nil || c[0].Body != "ho" || whole != 2 {
		t.Errorf("after a change: %v %v", c, err)
	}
	// Another page, pull request or time is another list; what may command is asked anew.
	if _, err := a.Comments(t.Context(), 5); err != nil || whole != 3 {
		t.Errorf("another pull request: %v", err)
	}
	body = `{"permission":"write","user":{"login":"dana"}}`
	for range 2 {
		if p, err := a.Permission(t.Context(), "dana"); err != nil || p != forge.Write {
			t.Error(p, err)
		}
	}
	if whole != 5 {
		t.Errorf("a permission was not asked at the moment: %d", whole)
	}
	_ = s
}

func TestETagsAreBounded(t *testing.T) {
	var e etags
	h := http.Header{"Etag": {`"x"`}}
	for i := range 3 * maxKept {
		e.keep(fmt.Sprint(i), h, make([]byte, 1<<10))
	}
	if len(e.kept) != maxKept || len(e.order) != maxKept || e.bytes != maxKept<<10 {
		t.Errorf("kept %d, %d, %d bytes", len(e.kept), len(e.order), e.bytes)
	}
	e.keep("large", h, make([]byte, maxKeptBytes/2))
	e.keep("too large", h, make([]byte, maxKeptBytes/2+1))
	e.keep("large, too", h, make([]byte, maxKeptBytes/2))
	e.keep("large", h, make([]byte, 10))
	e.keep("without", http.Header{}, nil)
	sum := 0
	for _, k := range e.kept {
		sum += len(k.body)
	}
	if sum != e.bytes || e.bytes > maxKeptBytes || len(e.kept) != 2 || !reflect.DeepEqual(e.order, []string{"large, too", "large"}) {
		t.Errorf("kept %v of %d bytes, counted %d", e.order, sum, e.bytes)
	}
}

// A token that GitHub refuses is asked for once more: whoever keeps it may have a new one.
func TestTokenIsRenewed(t *testing.T) {
	var current atomic.Value
	current.Store("old")
	valid := "new"
	a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+valid {
			current.Store("new") // somebody changed the file
			say(w, 401, `{"message":"Bad credentials"}`)
			return
		}
		say(w, 201, aComment)
	}, func(o *Options) { o.Token = func() state.Secret { return state.NewSecret(current.Load().(string)) } })
	if _, err := a.CreateComment(t.Context(), 4, "x"); err != nil || len(s.requests()) != 2 {
		t.Errorf("%v after %v", err, s.requests())
	}
	valid = "another"
	if _, err := a.CreateComment(t.Context(), 4, "x"); !errors.Is(err, forge.ErrDenied) || len(s.requests()) != 3 {
		t.Errorf("%v after %v", err, s.requests())
	}
	n := 0 // of somebody who has another one each time
	b, s2 := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 401, `{}`) }, func(o *Options) {
		o.Token = func() state.Secret { n++; return state.NewSecret(fmt.Sprint("ghp_", n)) }
	})
	if err := b.React(t.Context(), 1, "eyes"); !errors.Is(err, forge.ErrDenied) || len(s2.requests()) != 2 {
		t.Errorf("%v after %v", err, s2.requests())
	}
	for _, odd := range []string{"", "a b", "a\nX-Evil: 1", "\x00"} {
		current.Store(odd)
		if _, err := a.Open(t.Context(), "main"); !errors.Is(err, forge.ErrDenied) || len(s.requests()) != 3 {
			t.Errorf("a token %q: %v", odd, err)
		}
	}
}

// An App's token is made at our API's address, kept, renewed before it expires, once after
// a 401, and for all who wait at once.
func TestAppTokens(t *testing.T) {
	var minted atomic.Int32
	var life atomic.Int64
	var valid atomic.Value
	life.Store(int64(time.Hour))
	valid.Store("")
	refuseAll := false
	a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch r.URL.Path {
		case "/api/v3/repos/compassdigital/clients/installation", "/api/v3/app/installations/99/access_tokens":
			if strings.Count(bearer, ".") != 2 {
				t.Errorf("asked as %q", bearer)
			}
			if strings.HasSuffix(r.URL.Path, "installation") {
				say(w, 200, `{"id":99}`)
				return
			}
			if body, _ := io.ReadAll(r.Body); strings.TrimSpace(string(body)) != `{"repositories":["clients"]}` {
				t.Errorf("asked for %s", body)
			}
			valid.Store(fmt.Sprintf("ghs_%d", minted.Add(1)))
			say(w, 201, fmt.Sprintf(`{"token":%q,"expires_at":%q}`, valid.Load(), time.Now().Add(time.Duration(life.Load())).Format(time.RFC3339)))
		default:
			if bearer != valid.Load() || refuseAll {
				say(w, 401, `{"message":"Bad credentials"}`)
				return
			}
			say(w, 200, "["+aComment+"]")
		}
	}, asApp(t), func(o *Options) { o.APIURL += "/api/v3" })
	read := func(want error, tokens int32) {
		t.Helper()
		if _, err := a.Comments(t.Context(), 4); !errors.Is(err, want) || minted.Load() != tokens {
			t.Errorf("%v, with %d tokens", err, minted.Load())
		}
	}
	read(nil, 1)
	read(nil, 1)
	valid.Store("revoked")
	read(nil, 2)
	valid.Store("revoked again, at once")
	read(forge.ErrDenied, 2)
	s.clock.pass(minRenewal)
	life.Store(int64(30 * time.Second)) // below a minute: used once, and renewed
	read(nil, 3)
	read(nil, 4)
	life.Store(int64(time.Hour))
	read(nil, 5)
	read(nil, 5)
	refuseAll = true
	s.clock.pass(minRenewal)
	read(forge.ErrDenied, 6)
	read(forge.ErrDenied, 6)
	refuseAll = false
	s.clock.pass(minRenewal)
	valid.Store("revoked")
	done := make(chan error)
	for range 20 {
		go func() {
			_, err := a.Comments(t.Context(), 4)
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if minted.Load() != 7 {
		t.Errorf("%d tokens for twenty at once", minted.Load()-6)
	}
}

// A repository that was renamed is found by its number, whether the App's installation is looked up or set: after a start, and
// when a token of before ends. No other is asked for.
func TestAppOfARenamedRepository(t *testing.T) {
	for name, c := range map[string]struct {
		set     int64 // the installation; 0: it is looked up
		to      string
		in      int // whose it is
		through bool
	}{
		"looked up":              {0, "/api/v3/repositories/1296269/installation", 99, true},
		"set":                    {99, "/api/v3/repositories/1296269/installation", 99, true},
		"set, and another one's": {99, "/api/v3/repositories/1296269/installation", 98, false},
		"to another host":        {0, "http://github.example/api/v3/repositories/1296269/installation", 99, false},
		"outside the API":        {0, "/repositories/1296269/installation", 99, false},
		"in circles":             {0, "/api/v3/repos/compassdigital/clients/installation", 99, false},
	} {
		renamed, life, minted := false, 30*time.Second, 0 // below a minute: used once, and renewed
		a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			switch at := r.URL.Path; {
			case strings.HasSuffix(at, "/access_tokens"):
				if want := map[bool]string{false: `{"repositories":["clients"]}`, true: `{"repository_ids":[1296269]}`}[renamed]; strings.TrimSpace(string(body)) != want {
					say(w, 422, `{"message":"There is at least one repository that does not exist or is not accessible to the parent installation."}`)
					return
				}
				minted++
				say(w, 201, fmt.Sprintf(`{"token":"ghs_1","expires_at":%q}`, time.Now().Add(life).Format(time.RFC3339)))
			case strings.HasPrefix(at, "/api/v3/repos/") && renamed:
				w.Header().Set("Location", strings.Replace(c.to, "installation", at[strings.LastIndex(at, "/")+1:], 1))
				say(w, 301, `{"message":"Moved Permanently"}`)
			case strings.HasSuffix(at, "/installation"):
				say(w, 200, fmt.Sprintf(`{"id":%d}`, c.in))
			default:
				say(w, 200, `{"login":"dana","id":7}`)
			}
		}, asApp(t), func(o *Options) { o.APIURL, o.App.InstallationID = o.APIURL+"/api/v3", c.set })
		if before := a.GitToken(t.Context()); before.Empty() && c.in == 99 {
			t.Errorf("%s: no token before", name)
		}
		renamed = true
		if now := a.GitToken(t.Context()); now.Empty() == c.through {
			t.Errorf("%s: as the token of before ended: a token is there: %v", name, !now.Empty())
		}
		o := Options{APIURL: s.URL + "/api/v3", Owner: "compassdigital", Repo: "clients", App: &App{ID: 7, InstallationID: c.set, Key: aKey(t)}}
		b, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if now := b.GitToken(t.Context()); now.Empty() == c.through {
			t.Errorf("%s: after a start: a token is there: %v", name, !now.Empty())
		}
	}
}

// What is not found when a token is made is the installation, not the comment.
func TestAppThatIsNotInstalled(t *testing.T) {
	for _, code := range []int{401, 403, 404, 422} {
		for _, at := range []string{"installation", "access_tokens"} {
			a, _ := github(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, at) {
					say(w, code, `{"message":"Not Found"}`)
				} else {
					say(w, 200, `{"id":99}`)
				}
			}, asApp(t))
			if err := a.DeleteComment(t.Context(), 1); !errors.Is(err, forge.ErrDenied) {
				t.Errorf("%d at %s: %v", code, at, err)
			}
			if err := a.EditComment(t.Context(), 1, "x"); !errors.Is(err, forge.ErrDenied) {
				t.Errorf("%d at %s: %v", code, at, err)
			}
		}
	}
}
