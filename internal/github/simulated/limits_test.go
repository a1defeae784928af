package simulated

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// said is an answer without its body.
type said struct {
	Status     string
	StatusCode int
	Header     http.Header
}

// raw asks without a library that would wait by itself, and without a judge: it is for
// what comes many times or broken.
func (s *scene) raw(method, path, body string, header ...string) (said, error) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+"/api/v3/repos/"+owner+"/"+repoN+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return said{}, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return said{res.Status, res.StatusCode, res.Header}, err
}

func (s *scene) mustRaw(method, path, body string, header ...string) said {
	s.t.Helper()
	res, err := s.raw(method, path, body, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	return res
}

func TestContentWritesAreLimitedAMinuteAndAnHour(t *testing.T) {
	s := newScene(t, nil)
	s.proposed("plan", "starter")
	const path, say = "/issues/1/comments", `{"body":"x"}`
	for minute := range 7 {
		for i := range 80 {
			if minute*80+i == 500 {
				break
			}
			if res := s.mustRaw("POST", path, say); res.StatusCode != http.StatusCreated {
				t.Fatalf("write %d of minute %d: %s", i, minute, res.Status)
			}
		}
		if minute == 6 {
			break
		}
		res := s.mustRaw("POST", path, say)
		wait, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if res.StatusCode != http.StatusForbidden || err != nil || wait < 1 || wait > 60 {
			t.Fatalf("the 81st in minute %d: %s, Retry-After %q", minute, res.Status, res.Header.Get("Retry-After"))
		}
		s.pass(time.Duration(wait) * time.Second)
	}
	s.SetLimits(Limits{Hour: 5_000, WritesPerMinute: 80, WritesPerHour: 500, TooMany: true})
	res := s.mustRaw("POST", path, say)
	if wait, err := strconv.Atoi(res.Header.Get("Retry-After")); res.StatusCode != http.StatusTooManyRequests || err != nil || wait < 3000 {
		t.Errorf("the 501st in an hour: %s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
	}
	if n := len(s.Comments(1)); n != 500 {
		t.Errorf("%d comments, want 500", n)
	}
	if w := s.Writes(); len(w) != 507 || w[80].Status != 403 || w[80].Kind != "comment.create" || w[80].Login != "robot" {
		t.Errorf("%d writes were counted", len(w))
	}
	s.pass(time.Hour)
	if res := s.mustRaw("POST", path, say); res.StatusCode != http.StatusCreated {
		t.Errorf("an hour later: %s", res.Status)
	}
}

func TestLimitsAreWhatAClientUnderstands(t *testing.T) {
	s := newScene(t, nil)
	s.SetLimits(Limits{Hour: 3})
	for range 3 {
		s.mustRaw("GET", "/pulls", "")
	}
	_, _, err := s.client.PullRequests.List(ctx, owner, repoN, nil)
	var primary *gh.RateLimitError
	if !errors.As(err, &primary) || primary.Rate.Limit != 3 || !primary.Rate.Reset.Equal(gh.Timestamp{Time: s.now().Add(time.Hour).Truncate(time.Second)}) {
		t.Errorf("%v", err)
	}
	s.pass(time.Hour)
	s.Inject(Fault{Kind: "pull.list", Times: 1, Secondary: 90 * time.Second})
	_, _, err = s.as(token).PullRequests.List(ctx, owner, repoN, nil)
	var secondary *gh.AbuseRateLimitError
	if !errors.As(err, &secondary) || secondary.GetRetryAfter() != 90*time.Second {
		t.Errorf("%v", err)
	}
	s.Inject(Fault{Times: 1, Primary: true})
	for range 2 {
		res := s.mustRaw("GET", "/pulls", "")
		if res.StatusCode != http.StatusForbidden || res.Header.Get("X-Ratelimit-Remaining") != "0" || res.Header.Get("Retry-After") != "" {
			t.Errorf("the primary limit: %s, %v", res.Status, res.Header)
		}
	}
	s.pass(time.Hour)
	s.SetLimits(Limits{Points: 7, TooMany: true, NoRetryAfter: true})
	s.mustRaw("GET", "/pulls", "")
	s.mustRaw("POST", "/issues/1/comments", `{"body":"x"}`)
	if res := s.mustRaw("POST", "/issues/1/comments", `{"body":"x"}`); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "" {
		t.Errorf("more than the points of a minute: %s, %v", res.Status, res.Header)
	}
	s.pass(time.Hour)
	s.SetLimits(Limits{Hour: 3})
	rate, _, err := s.client.RateLimit.Get(ctx)
	if err != nil || rate.Core.Limit != 3 || rate.Core.Remaining != 3 {
		t.Errorf("%v %v", rate, err)
	}
}

func TestWhatDidNotChangeIsSaidInAWord(t *testing.T) {
	s := newScene(t, nil)
	s.proposed("plan", "starter")
	s.Settle()
	first := s.mustRaw("GET", "/pulls", "")
	tag, left := first.Header.Get("ETag"), first.Header.Get("X-RateLimit-Remaining")
	again := s.mustRaw("GET", "/pulls", "", "If-None-Match", tag)
	if tag == "" || again.StatusCode != http.StatusNotModified || again.Header.Get("X-RateLimit-Remaining") != left {
		t.Errorf("%q: %s, %s left, then %s", tag, again.Status, left, again.Header.Get("X-RateLimit-Remaining"))
	}
	if err := s.Retitle(1, "Another", "", "dana"); err != nil {
		t.Fatal(err)
	}
	if res := s.mustRaw("GET", "/pulls", "", "If-None-Match", tag); res.StatusCode != http.StatusOK {
		t.Errorf("after an edit: %s", res.Status)
	}
}

func TestFaults(t *testing.T) {
	s := newScene(t, nil)
	s.proposed("plan", "starter")
	const path, say = "/issues/1/comments", `{"body":"x"}`
	over := s.Inject(Fault{Down: true})
	if res := s.mustRaw("GET", "/pulls", ""); res.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		t.Errorf("down: %s %s", res.Status, res.Header.Get("Content-Type"))
	}
	over()
	s.Inject(Fault{Kind: "comment.create", Skip: 1, Times: 1, Lost: true})
	if res := s.mustRaw("POST", path, say); res.StatusCode != http.StatusCreated {
		t.Error(res.Status)
	}
	if res, err := s.raw("POST", path, say); err == nil {
		t.Errorf("the answer was not lost: %s", res.Status)
	}
	if n := len(s.Comments(1)); n != 2 {
		t.Errorf("%d comments: the lost answer's is to be there", n)
	}
	s.Inject(Fault{Kind: "writes", Times: 1, Cut: true})
	if res, err := s.raw("POST", path, say); err == nil {
		t.Errorf("the connection was not cut: %s", res.Status)
	}
	if n := len(s.Comments(1)); n != 2 {
		t.Errorf("%d comments: nothing was to happen", n)
	}
	s.Inject(Fault{Kind: "pull.list", Times: 1, Truncated: true})
	if res, err := s.raw("GET", "/pulls", ""); err == nil {
		t.Errorf("half an answer was whole: %s", res.Status)
	}
	hold, done := make(chan struct{}), make(chan string)
	s.Inject(Fault{Kind: "pull.get", Times: 1, Hold: hold})
	go func() {
		res, err := s.raw("GET", "/pulls/1", "")
		if err != nil {
			done <- err.Error()
			return
		}
		done <- res.Status
	}()
	select {
	case got := <-done:
		t.Errorf("it was not held up: %s", got)
	default:
	}
	close(hold)
	if got := <-done; got != "200 OK" {
		t.Error(got)
	}
	w := s.Writes()
	if len(w) != 3 || w[1].Status != 0 || w[2].Status != 0 {
		t.Errorf("%v", w)
	}
}

func TestListsLagBehindAndSingleThingsDoNot(t *testing.T) {
	s := newScene(t, nil)
	s.proposed("plan", "starter")
	s.SetLag(10 * time.Second)
	c, _, err := s.client.Issues.CreateComment(ctx, owner, repoN, 1, &gh.IssueComment{Body: ptr("x")})
	if err != nil {
		t.Fatal(err)
	}
	count := func() int {
		list, _, err := s.client.Issues.ListComments(ctx, owner, repoN, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := count(); n != 0 {
		t.Errorf("%d comments right after the write", n)
	}
	if _, _, err := s.client.Issues.GetComment(ctx, owner, repoN, c.GetID()); err != nil {
		t.Error(err)
	}
	s.pass(10 * time.Second)
	if n := count(); n != 1 {
		t.Errorf("%d comments after the lag", n)
	}
}

func TestBrokenRequestsAreRefused(t *testing.T) {
	s := newScene(t, nil)
	s.proposed("plan", "starter")
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/issues/1/comments", `{"body":`, http.StatusBadRequest},
		{"POST", "/issues/1/comments", `{"body":7}`, http.StatusUnprocessableEntity},
		{"POST", "/issues/1/comments", `{"body":" "}`, http.StatusUnprocessableEntity},
		{"POST", "/issues/1/comments", `{"body":"` + strings.Repeat("x", maxBody) + `"}`, http.StatusRequestEntityTooLarge},
		{"POST", "/issues/99999999999999999999/comments", `{"body":"x"}`, http.StatusNotFound},
		{"POST", "/statuses/main", `{"state":"success"}`, http.StatusUnprocessableEntity},
		{"POST", "/deployments", `{"ref":"none"}`, http.StatusUnprocessableEntity},
		{"POST", "/git/refs", `{"ref":"refs/heads/../x","sha":"` + s.branch("main") + `"}`, http.StatusUnprocessableEntity},
		{"PUT", "/contents/%2e%2e/x", `{"message":"x","content":""}`, http.StatusUnprocessableEntity},
		{"PUT", "/pulls/1/merge", `{"sha":"` + s.branch("main") + `"}`, http.StatusConflict},
		{"PUT", "/pulls/1/merge", `{"merge_method":"octopus"}`, http.StatusMethodNotAllowed},
		{"GET", "/pulls?per_page=-1&page=x", "", http.StatusOK},
		{"GET", "/pulls?per_page=1000&page=99999", "", http.StatusOK},
		{"GET", "/contents/%2e%2e/%2e%2e/etc/passwd", "", http.StatusNotFound},
		{"GET", "/compare/main", "", http.StatusNotFound},
		{"GET", "/issues/comments?since=yesterday", "", http.StatusUnprocessableEntity},
		{"GET", "/nothing", "", http.StatusNotFound},
		{"TRACE", "/pulls", "", http.StatusNotFound},
	} {
		if res := s.mustRaw(c.method, c.path, c.body); res.StatusCode != c.want {
			t.Errorf("%s %s %.40s: %s, want %d", c.method, c.path, c.body, res.Status, c.want)
		}
	}
	if p, err := s.Pull(1); err != nil || p.State != "open" || len(s.Comments(1)) != 0 {
		t.Errorf("%v %v", p, err)
	}
}
