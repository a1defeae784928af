package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

// vendor answers as it is told, and keeps who came when.
type vendor struct {
	mu     sync.Mutex
	takes  time.Duration
	answer func(n int) (*http.Response, error) // n counts from 1
	came   []string                            // client and seconds since the first
	bodies []string
	first  time.Time
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	if v.first.IsZero() {
		v.first = time.Now()
	}
	v.came = append(v.came, fmt.Sprintf("%s@%.0f", provider.CallerOf(r.Context()).Client, time.Since(v.first).Seconds()))
	n := len(v.came)
	if r.Body != nil {
		body, _ := io.ReadAll(r.Body)
		v.bodies = append(v.bodies, string(body))
	}
	v.mu.Unlock()
	if v.takes > 0 {
		time.Sleep(v.takes) // of a bubble's clock
	}
	return v.answer(n)
}

func says(status int, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

func transportOf(v *vendor, more func(*Options)) *Transport {
	o := Options{Provider: "vendor", Base: v, Now: time.Now, Jitter: func(d time.Duration) time.Duration { return d }}
	if more != nil {
		more(&o)
	}
	return NewTransport(o)
}

func send(ctx context.Context, t *Transport, method string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, method, "https://vendor.example/v1/things/1", strings.NewReader("body"))
	if err != nil {
		return 0, err
	}
	a, err := t.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	return a.StatusCode, nil
}

// Never 6: a read is tried three times, a write once, whatever comes.
func TestReadsAreRepeatedWritesNever(t *testing.T) {
	for name, answer := range map[string]func(int) (*http.Response, error){
		"no answer": func(int) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"500":       func(int) (*http.Response, error) { return says(500) },
		"502":       func(int) (*http.Response, error) { return says(502) },
		"503":       func(int) (*http.Response, error) { return says(503, "Retry-After", "3") },
		"429":       func(int) (*http.Response, error) { return says(429, "Retry-After", "3") },
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, c := range []struct {
				method string
				marked bool
				want   int
			}{{http.MethodGet, false, 3}, {http.MethodPost, true, 3}, {http.MethodPost, false, 1}, {http.MethodPut, false, 1}, {http.MethodPatch, false, 1}, {http.MethodDelete, false, 1}} {
				v, ctx := &vendor{answer: answer}, t.Context()
				if c.marked {
					ctx = Reading(ctx)
				}
				_, _ = send(ctx, transportOf(v, nil), c.method)
				if len(v.came) != c.want {
					t.Errorf("%s: %s came %d times, want %d", name, c.method, len(v.came), c.want)
				}
				for _, b := range v.bodies {
					if b != "body" {
						t.Errorf("%s: %s came with %q", name, c.method, b)
					}
				}
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answer: func(n int) (*http.Response, error) {
			if n == 1 {
				return says(502)
			}
			return says(200)
		}}
		if status, err := send(t.Context(), transportOf(v, nil), http.MethodGet); err != nil || status != 200 {
			t.Errorf("the second try: %d, %v", status, err)
		}
		v = &vendor{answer: func(int) (*http.Response, error) { return says(404) }}
		if status, _ := send(t.Context(), transportOf(v, nil), http.MethodGet); status != 404 || len(v.came) != 1 {
			t.Errorf("what is final came %d times", len(v.came))
		}
	})
}

// A pause that a vendor asks for holds for all, at most an hour; who would wait for long is
// told until when, and nothing is sent.
func TestPauses(t *testing.T) {
	for _, c := range []struct {
		header []string
		status int
		until  time.Duration
	}{
		{[]string{"Retry-After", "120"}, 429, 2 * time.Minute},
		{[]string{"Retry-After", "999999"}, 429, time.Hour},
		{[]string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "60"}, 200, time.Minute},
		{[]string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(time.Date(2000, 1, 1, 0, 5, 0, 0, time.UTC).Unix())}, 200, 5 * time.Minute},
		{[]string{"Ratelimit-Remaining", "0", "Ratelimit-Reset", "30"}, 200, 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) { // its clock begins on 1 January 2000
			began := time.Now()
			v := &vendor{answer: func(n int) (*http.Response, error) {
				if n == 1 {
					return says(c.status, c.header...)
				}
				return says(200)
			}}
			tr := transportOf(v, nil)
			if status, err := send(t.Context(), tr, http.MethodPost); err != nil || status != c.status {
				t.Fatalf("%v: %d, %v", c.header, status, err)
			}
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				_, err := send(t.Context(), tr, method)
				if provider.KindOf(err) != provider.RateLimited || !provider.UntilOf(err).Equal(began.Add(c.until)) || len(v.came) != 1 {
					t.Errorf("%v: %v until %s, %d came", c.header, err, provider.UntilOf(err).Sub(began), len(v.came))
				}
			}
			time.Sleep(c.until)
			if status, err := send(t.Context(), tr, http.MethodPost); err != nil || status != 200 {
				t.Errorf("%v: after it: %d, %v", c.header, status, err)
			}
		})
	}
}

// Where limits are for each call by itself, one that is used up stops no other.
func TestLimitedByCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answer: func(n int) (*http.Response, error) {
			if n == 1 {
				return says(429, "Retry-After", "120", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "120")
			}
			return says(200)
		}}
		tr := transportOf(v, func(o *Options) { o.ByCall = true })
		for i, want := range []int{429, 200} {
			if status, err := send(t.Context(), tr, http.MethodPost); err != nil || status != want {
				t.Errorf("%d: %d, %v", i, status, err)
			}
		}
	})
}

// A window's limit is never exceeded, and who comes too early waits for the next one.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answer: func(int) (*http.Response, error) { return says(200) }}
		tr := transportOf(v, func(o *Options) { o.Most, o.Window = 5, 4*time.Second })
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if _, err := send(t.Context(), tr, http.MethodPost); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := strings.Join(v.came, " "); got != "@0 @0 @0 @0 @0 @4 @4 @4 @4 @4 @8 @8" {
			t.Errorf("came %s", got)
		}
	})
}

// Looks take no more than half of a window, and come when nobody else waits; one that would
// wait longer than it has time is told until when, which is no word of the vendor's.
func TestHalfOfAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answer: func(int) (*http.Response, error) { return says(200) }}
		tr := transportOf(v, func(o *Options) { o.Most, o.Window = 4, time.Minute })
		looks := func(wait time.Duration) context.Context {
			return provider.Paced(provider.For(t.Context(), provider.Caller{Client: "look"}), provider.Pace{Half: true, Wait: wait})
		}
		counted, made := provider.Counting(looks(time.Minute))
		var one sync.Mutex
		told := ""
		counted = provider.Listening(counted, func(text string) { one.Lock(); told = text; one.Unlock() })
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := send(counted, tr, http.MethodGet); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		_, err := send(looks(0), tr, http.MethodGet)
		if !errors.Is(err, provider.ErrTurn) || provider.KindOf(err) != provider.RateLimited || time.Until(provider.UntilOf(err)) != time.Minute {
			t.Errorf("who can't wait: %v until %s", err, provider.UntilOf(err))
		}
		for range 2 {
			if _, err := send(provider.For(t.Context(), provider.Caller{Client: "pass"}), tr, http.MethodPost); err != nil {
				t.Error(err)
			}
		}
		if _, err := send(t.Context(), tr, http.MethodPost); provider.KindOf(err) != provider.RateLimited || errors.Is(err, provider.ErrTurn) {
			t.Errorf("one more than there are: %v", err)
		}
		wg.Wait()
		if got := strings.Join(v.came, " "); got != "look@0 look@0 pass@0 pass@0 look@60 look@60 look@120" || made() != 5 {
			t.Errorf("came %s; %d counted", got, made())
		}
		if told != "vendor: its limit is used up until 00:01:00 UTC; it goes on then" {
			t.Errorf("told %q", told)
		}
	})
}

// A bulk edit of many clients delays nobody else by more than a turn, a new client least.
func TestFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{takes: time.Second, answer: func(int) (*http.Response, error) { return says(200) }}
		tr := transportOf(v, func(o *Options) { o.AtOnce = 1 })
		var wg sync.WaitGroup
		ask := func(c provider.Caller, n int) {
			for range n {
				wg.Go(func() { _, _ = send(provider.For(t.Context(), c), tr, http.MethodPost) })
			}
			synctest.Wait()
		}
		ask(provider.Caller{Client: "bulk"}, 20)
		ask(provider.Caller{Client: "other"}, 2)
		ask(provider.Caller{Client: "fresh", New: true}, 5)
		wg.Wait()
		if got := strings.Join(v.came[:10], " "); got != "bulk@0 fresh@1 fresh@2 fresh@3 bulk@4 fresh@5 fresh@6 other@7 bulk@8 other@9" {
			t.Errorf("came %s", got)
		}
	})
}

// S32: a pause that is longer than anybody waits ends the waiting of who is in line: nobody
// keeps a worker for it, and nothing is sent before its time.
func TestALongPauseEndsTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{takes: time.Second, answer: func(n int) (*http.Response, error) {
			if n == 1 {
				return says(429, "Retry-After", "54")
			}
			return says(200)
		}}
		tr := transportOf(v, func(o *Options) { o.AtOnce = 1 })
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = send(t.Context(), tr, http.MethodPost) })
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				_, err := send(t.Context(), tr, http.MethodPost)
				if until := provider.UntilOf(err); provider.KindOf(err) != provider.RateLimited || time.Until(until) != 54*time.Second {
					t.Errorf("in line: %v, until %v", err, until)
				}
			})
		}
		wg.Wait()
		time.Sleep(54 * time.Second)
		if code, err := send(t.Context(), tr, http.MethodPost); code != 200 || err != nil || len(v.came) != 2 || tr.turns.running != 0 || tr.turns.waiting != 0 {
			t.Errorf("afterwards: %d, %v; came %v, %d running, %d waiting", code, err, v.came, tr.turns.running, tr.turns.waiting)
		}
	})
}

// Who gives up while waiting leaves no hole and takes nobody's turn.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{takes: time.Second, answer: func(int) (*http.Response, error) { return says(200) }}
		tr := transportOf(v, func(o *Options) { o.AtOnce = 1 })
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = send(t.Context(), tr, http.MethodPost) })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := send(ctx, tr, http.MethodPost); !errors.Is(err, context.Canceled) || provider.KindOf(err) != provider.Transient {
				t.Errorf("given up: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := send(t.Context(), tr, http.MethodPost); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if got := strings.Join(v.came, " "); got != "@0 @1" || tr.turns.running != 0 || tr.turns.waiting != 0 {
			t.Errorf("came %s, %d running, %d waiting", got, tr.turns.running, tr.turns.waiting)
		}
	})
}

// A vendor that is down is given up once and comes back once; in between nothing is sent.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		v := &vendor{answer: func(int) (*http.Response, error) {
			if down {
				return says(503)
			}
			return says(200)
		}}
		var news []string
		tr := transportOf(v, func(o *Options) {
			o.Changed = func(_ string, back bool, _ string) { news = append(news, fmt.Sprint(back)) }
		})
		for range 5 {
			if status, _ := send(t.Context(), tr, http.MethodPost); status != 503 {
				t.Error("it did not come through")
			}
		}
		for range 3 {
			if _, err := send(t.Context(), tr, http.MethodPost); provider.KindOf(err) != provider.Transient || provider.UntilOf(err).IsZero() {
				t.Errorf("given up: %v", err)
			}
		}
		for range 2 { // half open, and down still
			time.Sleep(openFor + time.Second)
			_, _ = send(t.Context(), tr, http.MethodPost)
		}
		if len(v.came) != 7 {
			t.Errorf("%d came", len(v.came))
		}
		down = false
		time.Sleep(openFor + time.Second)
		for range 3 {
			if status, err := send(t.Context(), tr, http.MethodPost); status != 200 {
				t.Errorf("back: %v", err)
			}
		}
		if got := strings.Join(news, " "); got != "false true" {
			t.Errorf("told %s", got)
		}
	})
}

// What speaks against one request does not speak against the vendor.
func TestBreakerHeedsOnlyOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answer: func(n int) (*http.Response, error) { return says([]int{400, 401, 404, 409, 422, 501}[n%6]) }}
		tr := transportOf(v, func(o *Options) { o.Changed = func(string, bool, string) { t.Error("given up") } })
		for range 30 {
			if _, err := send(t.Context(), tr, http.MethodPost); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Every request that is made is told, each try by itself.
func TestObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{takes: time.Second, answer: func(n int) (*http.Response, error) { return says([]int{502, 200}[n-1]) }}
		var got []string
		tr := transportOf(v, func(o *Options) {
			o.Observed = func(e Exchange) {
				got = append(got, fmt.Sprintf("%s %s %s %d %s %d", e.Provider, e.Method, e.Route, e.Status, e.Took, e.Try))
			}
		})
		if _, err := send(t.Context(), tr, http.MethodGet); err != nil {
			t.Fatal(err)
		}
		if want := "vendor GET /v1/things/* 502 1s 1, vendor GET /v1/things/* 200 1s 2"; strings.Join(got, ", ") != want {
			t.Errorf("told %v", got)
		}
	})
}

func TestRoute(t *testing.T) {
	for path, want := range map[string]string{
		"/v9/projects/prj_12/env": "/v9/projects/*/env", "/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records": "/client/v4/zones/*/dns_records",
		"/api/servers/1/sites/22": "/api/servers/*/sites/*", "/v4/domains/demoshop.example/config": "/v4/domains/*/config", "/": "/",
	} {
		if got := Route(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// A body without an end is an error, for whoever reads it.
func TestBodiesAreBounded(t *testing.T) {
	v := &vendor{answer: func(int) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(endless{})}, nil
	}}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://vendor.example/", nil)
	a, err := transportOf(v, nil).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if n, err := io.Copy(io.Discard, a.Body); err == nil || n > maxBody+1 {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

type endless struct{}

func (endless) Read(into []byte) (int, error) { return len(into), nil }
