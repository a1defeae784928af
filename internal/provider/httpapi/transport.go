package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sony/gobreaker/v2"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Limits of a transport.
const (
	connectTimeout = 10 * time.Second
	answerTimeout  = 60 * time.Second // until the head of an answer; some vendors build while one waits
	readTries      = 3                // of a read, the first included
	firstBackoff   = 300 * time.Millisecond
	longestWait    = 10 * time.Second // for a turn, and for what a vendor asks a read to wait
	atOnceDefault  = 8                // requests at the same time
	failuresToOpen = 5                // in a row
	openFor        = 30 * time.Second // then one request tries
)

// Options of a Transport.
type Options struct {
	Provider string
	Base     http.RoundTripper // nil: NewBase()
	Now      func() time.Time
	Jitter   func(time.Duration) time.Duration
	// Most requests in a Window, as the vendor's account has; 0: only what the vendor says.
	Most   int
	Window time.Duration
	AtOnce int // 0: 8
	// ByCall says that the vendor's limits are for each call by itself: one that is used up
	// stops no other, and who asks keeps to them.
	ByCall bool
	// Real is how long a wait takes by the machine's clock, where Now is another one; nil: as long.
	Real func(time.Duration) time.Duration
	// Changed is told once when a vendor is given up for a while, and once when it is back.
	// nil: nobody listens.
	Changed func(provider string, back bool, why string)
	// Observed is told of every request that was made. nil: nobody listens.
	Observed func(Exchange)
}

// Exchange is one request that was made, for metrics. It holds nothing secret.
type Exchange struct {
	Provider string
	Method   string
	Route    string // the path with * in place of ids
	Status   int    // 0: no answer
	Took     time.Duration
	Try      int       // from 1
	Date     time.Time // the vendor's clock, by the second; zero: it did not say
}

// Transport is what all requests of one credential go through: it keeps to the vendor's
// limits, learns them from its answers, is fair between clients, repeats reads (never a
// write), and gives a vendor that is down up for a while. Safe for concurrent use.
type Transport struct {
	o       Options
	turns   *turns
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
}

// readKey marks a request that changes nothing though its method might (GraphQL).
type readKey struct{}

// Reading returns a context whose request may be repeated, whatever its method.
func Reading(ctx context.Context) context.Context { return context.WithValue(ctx, readKey{}, true) }

// NewBase returns a transport with time limits for connecting and answering. proxy and root
// certificates are the configuration's; nil: the system's.
func NewBase(base *http.Transport) *http.Transport {
	if base == nil {
		base = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t := base.Clone()
	t.DialContext = (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout, t.ResponseHeaderTimeout = connectTimeout, answerTimeout
	t.MaxIdleConnsPerHost, t.IdleConnTimeout, t.ForceAttemptHTTP2 = atOnceDefault, 90*time.Second, true
	return t
}

// NewTransport makes a transport.
func NewTransport(o Options) *Transport {
	if o.Base == nil {
		o.Base = NewBase(nil)
	}
	if o.AtOnce == 0 {
		o.AtOnce = atOnceDefault
	}
	if o.Real == nil {
		o.Real = func(d time.Duration) time.Duration { return d }
	}
	t := &Transport{o: o, turns: &turns{name: o.Provider, now: o.Now, real: o.Real, atOnce: o.AtOnce, most: o.Most, window: o.Window, longest: longestWait}}
	t.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: o.Provider, MaxRequests: 1, Timeout: o.Real(openFor),
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToOpen },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			switch { // half-open and open again is no news
			case o.Changed == nil:
			case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
				o.Changed(o.Provider, false, fmt.Sprintf("%d requests in a row failed; it is asked again in %s", failuresToOpen, openFor))
			case to == gobreaker.StateClosed:
				o.Changed(o.Provider, true, "it answers again")
			}
		},
	})
	return t
}

// RoundTrip implements http.RoundTripper. Its errors are *provider.Error where nothing was
// sent, and the base's otherwise.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	reading := t.reads(r) && !once(r)
	for try := 1; ; try++ {
		a, err := t.once(r, try)
		again, wait := t.again(r.Context(), a, err, try)
		if !reading || !again || r.GetBody == nil && r.Body != nil && r.Body != http.NoBody {
			return a, err
		}
		if a != nil {
			_ = a.Body.Close() // its words are not needed
		}
		if r.GetBody != nil {
			body, bodyErr := r.GetBody()
			if bodyErr != nil {
				return nil, bodyErr
			}
			r = r.Clone(r.Context())
			r.Body = body
		}
		timer := time.NewTimer(t.o.Real(wait))
		select {
		case <-timer.C:
		case <-r.Context().Done():
			timer.Stop()
			return nil, r.Context().Err()
		}
	}
}

func (t *Transport) reads(r *http.Request) bool {
	marked, _ := r.Context().Value(readKey{}).(bool)
	return marked || r.Method == http.MethodGet || r.Method == http.MethodHead
}

// once makes one request, when its turn comes.
func (t *Transport) once(r *http.Request, try int) (*http.Response, error) {
	leave, err := t.turns.enter(r.Context())
	if err != nil {
		return nil, t.unsent(r, err)
	}
	defer leave()
	done, err := t.breaker.Allow()
	if err != nil {
		return nil, t.unsent(r, &provider.Error{Kind: provider.Transient, Provider: t.o.Provider, Message: "it did not answer lately and is left alone for a moment", Until: t.o.Now().Add(openFor), Err: err})
	}
	provider.Count(r.Context())
	began := t.o.Now()
	a, err := t.o.Base.RoundTrip(r)
	e := Exchange{Provider: t.o.Provider, Method: r.Method, Route: Route(r.URL.Path), Took: t.o.Now().Sub(began), Try: try}
	if err == nil {
		e.Status = a.StatusCode
		if at, err := http.ParseTime(a.Header.Get("Date")); err == nil {
			e.Date = at
		}
		if !t.o.ByCall {
			t.learn(a)
		}
		a.Body = &bounded{a.Body, maxBody + 1}
	}
	if t.o.Observed != nil {
		t.o.Observed(e)
	}
	if outage(a, err) && r.Context().Err() == nil { // else we gave up
		done(errOutage)
	} else {
		done(nil)
	}
	return a, err
}

// unsent is an error of a request that was never made.
func (t *Transport) unsent(r *http.Request, err error) error {
	if r.Body != nil {
		_ = r.Body.Close() // a RoundTripper closes it always
	}
	var e *provider.Error
	if errors.As(err, &e) {
		e.Provider = t.o.Provider
		return e
	}
	return &provider.Error{Kind: provider.Transient, Provider: t.o.Provider, Message: "its turn did not come in time", Err: err}
}

// errOutage is what the breaker counts.
var errOutage = errors.New("it does not answer")

// outage says that what came speaks against a vendor as a whole: no answer, or a gateway's.
func outage(a *http.Response, err error) bool {
	return err != nil || a.StatusCode >= 500 && a.StatusCode != http.StatusNotImplemented
}

// again says whether a read is worth another try, and after how long.
func (t *Transport) again(ctx context.Context, a *http.Response, err error, try int) (bool, time.Duration) {
	if try >= readTries {
		return false, 0
	}
	longest := longestWait
	if p, paced := provider.PaceOf(ctx); paced {
		longest = max(longest, p.Wait)
	}
	wait := t.o.Jitter(firstBackoff << (2 * (try - 1)))
	if err != nil {
		var unsent *provider.Error
		return !errors.As(err, &unsent) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded), wait
	}
	switch a.StatusCode {
	case http.StatusTooManyRequests:
		at := After(a.Header, t.o.Now())
		if pause := at.Sub(t.o.Now()); !at.IsZero() && pause <= longest {
			return true, max(pause, wait)
		}
		return false, 0
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if at := After(a.Header, t.o.Now()); at.Sub(t.o.Now()) > longestWait {
			return false, 0
		}
		return true, wait
	}
	return false, 0
}

// learn heeds what an answer says of the vendor's limits: a 429, and a window that is used
// up, by the headers that vendors have in common.
func (t *Transport) learn(a *http.Response) {
	now := t.o.Now()
	if a.StatusCode == http.StatusTooManyRequests {
		at := After(a.Header, now)
		if at.IsZero() {
			at = now.Add(time.Second)
		}
		t.turns.pause(at)
		return
	}
	left, reset, ok := remaining(a.Header, now)
	if ok && left == 0 && reset.After(now) {
		t.turns.pause(reset)
	}
}

// remaining reads X-RateLimit-Remaining and -Reset, or RateLimit-Remaining and -Reset. Reset
// is an epoch or the seconds until then: vendors differ, and the size tells them apart.
func remaining(h http.Header, now time.Time) (left int, reset time.Time, ok bool) {
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		n, err := strconv.Atoi(h.Get(prefix + "Remaining"))
		if err != nil || n < 0 {
			continue
		}
		seconds, err := strconv.ParseInt(h.Get(prefix+"Reset"), 10, 64)
		if err != nil || seconds < 0 {
			continue
		}
		if seconds > 1e8 {
			return n, time.Unix(seconds, 0), true
		}
		return n, now.Add(time.Duration(seconds) * time.Second), true
	}
	return 0, time.Time{}, false
}

// After reads Retry-After: seconds, or a date. Zero where there is none that makes sense.
func After(h http.Header, now time.Time) time.Time {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 {
		return now.Add(time.Duration(n) * time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return at
	}
	return time.Time{}
}

// Route is a path with * in place of what looks like an id or a name, so that metrics stay
// few: a part with a digit that is no version, or a long one.
func Route(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		version := len(p) <= 3 && strings.HasPrefix(p, "v")
		if !version && strings.ContainsFunc(p, unicode.IsDigit) || len(p) > 24 || strings.Contains(p, ".") {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// bounded ends a body that is too large with an error.
type bounded struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer has more than %d MiB", maxBody>>20)
	}
	if int64(len(into)) > b.left {
		into = into[:b.left]
	}
	n, err := b.ReadCloser.Read(into)
	b.left -= int64(n)
	return n, err
}
