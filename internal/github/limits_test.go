package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
)

// A limit is one whether GitHub says it with 403 or 429, and with or without a time; until
// then nothing is sent, and then it is.
func TestLimits(t *testing.T) {
	start := newClock().at
	secondary := `{"message":"You have exceeded a secondary rate limit","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	for name, c := range map[string]struct {
		code   int
		header http.Header
		body   string
		want   time.Duration // 0: it is none
	}{
		"429, seconds":              {429, http.Header{"Retry-After": {"7"}}, `{}`, 7 * time.Second},
		"403, seconds":              {403, http.Header{"Retry-After": {"7"}}, `{}`, 7 * time.Second},
		"429, a date":               {429, http.Header{"Retry-After": {start.Add(90 * time.Second).Format(http.TimeFormat)}}, `{}`, 90 * time.Second},
		"429, no time":              {429, nil, ``, time.Minute},
		"429, nonsense":             {429, http.Header{"Retry-After": {"soon"}}, `{}`, time.Minute},
		"429, at once":              {429, http.Header{"Retry-After": {"0"}}, `{}`, time.Second},
		"429, ages":                 {429, http.Header{"Retry-After": {"999999"}}, `{}`, maxPause},
		"429, more than a number":   {429, http.Header{"Retry-After": {"99999999999999999999"}}, `{}`, time.Minute},
		"429, primary":              {429, spent(start.Add(20 * time.Minute)), `{}`, 20 * time.Minute},
		"403, primary":              {403, spent(start.Add(20 * time.Minute)), `{}`, 20 * time.Minute},
		"403, primary, in the past": {403, spent(start.Add(-time.Hour)), `{}`, time.Second},
		"403, primary, far":         {403, spent(start.Add(48 * time.Hour)), `{}`, maxPause},
		"403, primary, no reset":    {403, http.Header{"X-Ratelimit-Remaining": {"0"}}, `{}`, time.Minute},
		"403, secondary, no time":   {403, http.Header{"X-Ratelimit-Remaining": {"4000"}}, secondary, time.Minute},
		"403, secondary, seconds":   {403, http.Header{"Retry-After": {"30"}}, secondary, 30 * time.Second},
		"a permission":              {403, http.Header{"X-Ratelimit-Remaining": {"4000"}}, `{"message":"Resource not accessible by integration"}`, 0},
		"a permission, by its text": {403, nil, `{"message":"this is no secondary rate limit"}`, 0},
	} {
		var over atomic.Bool
		a, s := github(t, func(w http.ResponseWriter, _ *http.Request) {
			if over.Load() {
				say(w, 200, "[]")
				return
			}
			for k, v := range c.header {
				w.Header()[k] = v
			}
			say(w, c.code, c.body)
		}, func(o *Options) { o.Webhook = "https://reconciler.example/webhooks/github" })
		_, err := a.Open(t.Context(), "main")
		var limited *forge.Limited
		if c.want == 0 {
			if errors.As(err, &limited) || !errors.Is(err, forge.ErrDenied) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.As(err, &limited) || !limited.Until.Equal(start.Add(c.want)) || errors.Is(err, forge.ErrDenied) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		over.Store(true)
		s.clock.pass(c.want - time.Millisecond)
		for method, err := range everything(t.Context(), a) {
			if method != "PutCheck" && !errors.As(err, &limited) {
				t.Errorf("%s: before its time, %s: %v", name, method, err)
			}
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
		if u := a.Usage(); !u.LimitedUntil.Equal(limited.Until) {
			t.Errorf("%s: tells %v", name, u)
		}
		s.clock.pass(time.Millisecond)
		if _, err := a.Open(t.Context(), "main"); err != nil {
			t.Errorf("%s: after its time: %v", name, err)
		}
	}
}

func spent(reset time.Time) http.Header {
	return http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Reset": {fmt.Sprint(reset.Unix())}}
}

// Limits without a time last twice as long each, up to a quarter of an hour, and begin
// anew after an answer.
func TestLimitsInARow(t *testing.T) {
	limiting := true
	a, s := github(t, func(w http.ResponseWriter, _ *http.Request) {
		if limiting {
			say(w, 429, ``)
		} else {
			say(w, 200, "[]")
		}
	})
	next := func(want time.Duration) {
		t.Helper()
		_, err := a.Open(t.Context(), "main")
		var limited *forge.Limited
		if !errors.As(err, &limited) || limited.Until.Sub(s.clock.now()) != want {
			t.Fatalf("%v at %v", err, s.clock.now())
		}
		s.clock.pass(want)
	}
	for _, minutes := range []int{1, 2, 4, 8, 15, 15, 15, 15, 15, 15, 15, 15} {
		next(time.Duration(minutes) * time.Minute)
	}
	limiting = false
	if _, err := a.Open(t.Context(), "main"); err != nil {
		t.Error(err)
	}
	limiting = true
	next(time.Minute)
}

// An answer of success that spends the last of the limit doesn't stop go-github by its
// own clock, nor does a limit stop it longer than its time.
func TestNoLocalBlocking(t *testing.T) {
	a, s := github(t, func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range spent(time.Now().Add(time.Hour)) {
			w.Header()[k] = v
		}
		say(w, 200, "[]")
	})
	for range 3 {
		if _, err := a.Open(t.Context(), "main"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.requests()); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// Near the budget progress gives way to what tells something, and that to how something
// ended: what is final gets through until the budget is used up.
func TestBudget(t *testing.T) {
	a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
		say(w, 201, `{"id":1,"sha":"`+commit+`","updated_at":"2026-11-26T08:00:00Z"}`)
	})
	write := map[string]func() error{
		"progress": func() error {
			return a.SetStatus(t.Context(), commit, forge.Status{Context: "x", State: forge.Pending})
		},
		"reaction":    func() error { return a.React(t.Context(), 1, "eyes") },
		"in progress": func() error { return a.SetDeployment(t.Context(), 1, forge.DeploymentStatus{State: forge.InProgress}) },
		"comment":     func() error { _, err := a.CreateComment(t.Context(), 1, "x"); return err },
		"edit":        func() error { return a.EditComment(t.Context(), 1, "x") },
		"deployment": func() error {
			_, err := a.CreateDeployment(t.Context(), forge.Deployment{Commit: commit}, "")
			return err
		},
		"final": func() error {
			return a.SetStatus(t.Context(), commit, forge.Status{Context: "x", State: forge.Failure})
		},
		"deployed": func() error {
			return a.SetDeployment(t.Context(), 1, forge.DeploymentStatus{State: forge.DeploymentError})
		},
	}
	some := func(kind string, n int) {
		t.Helper()
		for i := range n {
			if err := write[kind](); err != nil {
				t.Fatalf("%s, the %d.: %v", kind, i+1, err)
			}
		}
	}
	refused := func(until time.Time, kinds ...string) {
		t.Helper()
		for _, kind := range kinds {
			var limited *forge.Limited
			if err := write[kind](); !errors.As(err, &limited) || !limited.Until.Equal(until) {
				t.Errorf("%s: %v, not until %v", kind, err, until)
			}
		}
	}
	minute := s.clock.now().Add(time.Minute)
	some("progress", 48) // 60 % of 80
	refused(minute, "progress", "reaction", "in progress")
	some("comment", 20) // 85 %
	refused(minute, "comment", "edit", "deployment")
	some("final", 6)
	some("deployed", 6)
	refused(minute, "final", "deployed", "progress", "comment")
	if u := a.Usage(); u.Minute != 80 || u.Hour != 80 {
		t.Errorf("%+v", u)
	}
	sent := len(s.requests())
	if sent != 80 {
		t.Errorf("%d were sent", sent)
	}
	if _, err := a.Permission(t.Context(), "dana"); err != nil { // reads go on
		t.Error(err)
	}
	// An hour of it: 500, whatever the minutes would allow.
	hour := newClock().at.Add(time.Hour)
	for range 5 {
		s.clock.pass(time.Minute)
		some("final", 80)
	}
	s.clock.pass(time.Minute)
	some("final", 20)
	refused(hour, "final")
	s.clock.pass(hour.Sub(s.clock.now()))
	some("final", 80)
	s.clock.pass(time.Minute)
	refused(newClock().at.Add(time.Hour+3*time.Minute), "progress") // 420 are of the last hour, and 300 may be
}

// A clock that is set back makes nobody wait longer than a limit lasts.
func TestLimitsAndClock(t *testing.T) {
	c := newClock()
	g := &gate{now: c.now, sleep: c.sleep, pause: time.Second, slots: make(chan struct{}, 1), log: discard()}
	for range 80 {
		leave, err := g.enter(t.Context(), true, final)
		if err != nil {
			t.Fatal(err)
		}
		leave()
	}
	if l := g.limited(429, http.Header{"Retry-After": {"60"}}, ""); l == nil {
		t.Fatal("no limit")
	}
	c.pass(-24 * time.Hour)
	before := c.now()
	leave, err := g.enter(t.Context(), true, final)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if c.now().Sub(before) > time.Second {
		t.Errorf("waited for %v", c.now().Sub(before))
	}
	c.pass(48 * time.Hour)
	if leave, err = g.enter(t.Context(), true, progress); err != nil {
		t.Fatal(err)
	}
	leave()
}

// Writes follow each other with a pause, reads don't; and whoever would wait long for its
// turn is told when to come.
func TestPace(t *testing.T) {
	c := newClock()
	g := &gate{now: c.now, sleep: func(ctx context.Context, d time.Duration) error { return nil }, pause: time.Second, slots: make(chan struct{}, 1), log: discard()}
	for i := range 11 {
		wait, err := g.book(final)
		if err != nil || wait != time.Duration(i)*time.Second {
			t.Errorf("the %d. waits for %v, %v", i, wait, err)
		}
	}
	_, err := g.book(final)
	var limited *forge.Limited
	if !errors.As(err, &limited) || !limited.Until.Equal(c.at.Add(11*time.Second)) {
		t.Errorf("the twelfth: %v", err)
	}
	leave, err := g.enter(t.Context(), false, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, false, 0); !errors.Is(err, context.Canceled) { // all places are taken
		t.Error(err)
	}
	leave()
}

// What GitHub refused, or did not get, takes no room of the budgets: after an outage all that waits can be told.
func TestP9OutageTakesNoBudget(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	a, s := github(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			say(w, 503, `{}`)
			return
		}
		say(w, 201, `{"id":1,"node_id":"x","state":"success","context":"reconciler/apply","description":"","target_url":"","url":"https://api.example/x","avatar_url":null,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","creator":null}`)
	})
	set := func() error {
		return a.SetStatus(t.Context(), strings.Repeat("a", 40), forge.Status{Context: "reconciler/apply", State: forge.Success})
	}
	for range 600 { // an outage of half an hour
		if err := set(); !errors.Is(err, forge.ErrAway) {
			t.Fatalf("down: %v", err)
		}
		s.clock.pass(3 * time.Second)
	}
	down.Store(false)
	for n := range 80 {
		if err := set(); err != nil {
			t.Fatalf("back, write %d: %v", n, err)
		}
	}
}
