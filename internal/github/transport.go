package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
)

// Bounds of a call.
const (
	maxAnswer    = 4 << 20          // bytes of a body
	maxAttempts  = 3                // of a read
	maxRedirects = 3                // on the same host
	maxAttempt   = 20 * time.Second // one request and its answer
	maxCall      = time.Minute      // with all attempts, after its turn has come
	firstWait    = 500 * time.Millisecond
)

// call is what the transport has to know of a request beside its method and address.
type call struct {
	of          importance
	conditional bool // a list that is asked for again and again
	asApp       bool // as the App itself, not as its installation
}

type callKey struct{}

func with(ctx context.Context, c call) context.Context { return context.WithValue(ctx, callKey{}, c) }

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// transport is what go-github speaks through. Its errors are *fault, *forge.Limited and
// the context's; it returns no answer but of success.
type transport struct {
	api   *url.URL
	gate  *gate
	etags etags
	keys  keys
	sleep func(context.Context, time.Duration) error
}

// RoundTrip repeats reads, never writes; but a request that GitHub refused as of nobody
// is sent once more with a new token, and one that it sent elsewhere, there.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil { // ours: it is in memory
			return nil, away("the request can't be read")
		}
	}
	c, reading := callOf(r.Context()), r.Method == http.MethodGet
	leave, err := t.gate.enter(r.Context(), !reading, c.of)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), maxCall)
	defer cancel()
	var old kept
	if c.conditional && reading {
		if k, ok := t.etags.find(r.URL.String()); ok {
			old = k
		}
	}
	for attempt := 1; ; attempt++ {
		a, err := t.attempt(ctx, r, body, c, old.tag)
		var f *fault
		if again := errors.As(err, &f) && errors.Is(err, forge.ErrAway) && !f.tooLarge && f.code/100 != 3; err == nil || !again || !reading || attempt == maxAttempts {
			if f != nil && f.nothing() && !reading && c.of != aside {
				t.gate.undone() // else an outage would use up what is to be told after it
			}
			return t.conclude(r, c, a, old), err
		}
		wait := firstWait << (attempt - 1)
		if err := t.sleep(ctx, wait/2+rand.N(wait)); err != nil { // jitter; no secret depends on it
			return nil, f
		}
	}
}

// conclude keeps a list, or takes the kept one's place.
func (t *transport) conclude(r *http.Request, c call, a *http.Response, old kept) *http.Response {
	if a == nil || r.Method != http.MethodGet || !c.conditional {
		return a
	}
	if a.StatusCode == http.StatusNotModified {
		a.StatusCode, a.Status = http.StatusOK, "200 OK"
		a.Header.Set("Link", old.link)
		a.Header.Set("Content-Type", old.kind)
		a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(old.body)), int64(len(old.body))
		return a
	}
	body, err := io.ReadAll(a.Body) // in memory already
	if err == nil {
		t.etags.keep(r.URL.String(), a.Header, body)
	}
	a.Body = io.NopCloser(bytes.NewReader(body))
	return a
}

// attempt sends a request, again after a refusal that a new token may end, and on along
// redirects that stay where the token may go.
func (t *transport) attempt(ctx context.Context, r *http.Request, body []byte, c call, tag string) (*http.Response, error) {
	renewed := false
	to, came := r.URL, 0 // came: the redirect's status
	for redirects := 0; ; {
		if !t.ours(to) {
			return nil, &fault{kind: forge.ErrAway, code: came, words: "it points to where no request is sent: another host, or outside the API"}
		}
		out := r.Clone(ctx)
		out.URL, out.Host = to, to.Host
		if out.Body = http.NoBody; len(body) > 0 {
			out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		if tag != "" {
			out.Header.Set("If-None-Match", tag)
		}
		a, used, err := t.keys.send(out, c.asApp)
		var f *fault
		if err == nil {
			if t.gate.passed(); a.StatusCode == http.StatusNotModified && tag == "" {
				return nil, away("it says that nothing changed, and wasn't asked")
			}
			return a, nil
		}
		if !errors.As(err, &f) {
			return nil, err
		}
		switch {
		case f.code == http.StatusUnauthorized && !renewed && t.keys.renew(used):
			renewed = true
		case f.location != "" && redirects < maxRedirects && follows(r.Method, f.code):
			next, err := to.Parse(f.location)
			if err != nil {
				return nil, f
			}
			to, came, redirects = next, f.code, redirects+1
		default:
			return nil, f
		}
	}
}

// follows says whether a redirect repeats the request as it was: a repository that was
// renamed answers reads with 301, and writes with 307, undone.
func follows(method string, code int) bool {
	return code == http.StatusTemporaryRedirect || code == http.StatusPermanentRedirect || method == http.MethodGet
}

// ours says whether an address is below the API's, on its host.
func (t *transport) ours(u *url.URL) bool { return below(t.api, u) }

func below(api, u *url.URL) bool {
	return u.Scheme == api.Scheme && u.Host == api.Host && u.User == nil && strings.HasPrefix(u.EscapedPath(), api.EscapedPath()) && !slices.Contains(strings.Split(u.Path, "/"), "..")
}

// wire is one request and its whole answer.
type wire struct {
	base http.RoundTripper
	gate *gate
}

// RoundTrip returns an answer of success whose body is in memory; all else is an error.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := w.gate.open(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxAttempt)
	defer cancel()
	out := r.Clone(ctx)
	out.Header["Accept"] = []string{"application/vnd.github+json"}
	a, err := w.base.RoundTrip(out)
	if err != nil {
		return nil, unreached(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer+1))
	switch {
	case len(body) > maxAnswer:
		return nil, &fault{kind: forge.ErrAway, code: a.StatusCode, words: "its answer is larger than 4 MiB", tooLarge: true}
	case err != nil:
		return nil, &fault{kind: forge.ErrAway, words: "its answer broke off"}
	case a.StatusCode/100 == 2 && !readable(a.StatusCode, body):
		return nil, &fault{kind: forge.ErrAway, code: a.StatusCode, words: "its answer is not JSON"}
	case a.StatusCode/100 == 2, a.StatusCode == http.StatusNotModified:
		a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		// go-github would refuse to call by what it reads there, by a clock of its own.
		for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"} {
			a.Header.Del(name)
		}
		return a, nil
	}
	return nil, w.refused(r, a, body)
}

// readable says whether a body can be what was asked for. An empty one would be read as an
// empty list, which is an answer of another kind.
func readable(code int, body []byte) bool {
	if code == http.StatusNoContent || code == http.StatusAccepted {
		return true
	}
	start := bytes.TrimLeft(body, " \t\r\n")
	return len(start) > 0 && (start[0] == '{' || start[0] == '[')
}

// refused reads an answer that is no success.
func (w *wire) refused(r *http.Request, a *http.Response, body []byte) error {
	var e struct {
		Message       string `json:"message"`
		Documentation string `json:"documentation_url"`
		Errors        []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(body, &e) // an error without words is one, too
	if l := w.gate.limited(a.StatusCode, a.Header, e.Documentation); l != nil {
		return l
	}
	for i := range e.Errors {
		if e.Errors[i].Message != "" && i < 3 {
			e.Message += ": " + e.Errors[i].Message
		}
	}
	f := &fault{kind: kindOf(a.StatusCode), code: a.StatusCode, said: harmless(e.Message, secretOf(r))}
	switch {
	case a.StatusCode/100 == 3:
		f.location, f.said, f.words = a.Header.Get("Location"), "", "it points elsewhere; was the repository renamed?"
	case errors.Is(f, forge.ErrDenied):
		f.words = accepted(a.Header.Get("X-Accepted-GitHub-Permissions"))
	}
	return f
}

// secretOf is what a request shows of who sends it.
func secretOf(r *http.Request) string {
	_, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return secret
}
