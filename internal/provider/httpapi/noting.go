package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Note is what became of one request that a vendor's library made: what its own errors
// lose. Safe for concurrent use.
type Note struct {
	mu     sync.Mutex
	sent   bool
	answer *Answer // whole; nil: none came
	over   bool    // more than maxBody
	err    error
}

// noteKey finds a call's Note in its context.
type noteKey struct{}

// WithNote returns a context whose request is noted by Noting.
func WithNote(ctx context.Context) (context.Context, *Note) {
	n := &Note{}
	return context.WithValue(ctx, noteKey{}, n), n
}

// Answer is what came, zero where nothing did.
func (n *Note) Answer() Answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.answer == nil {
		return Answer{}
	}
	return *n.answer
}

// Noting is the transport below a vendor's library. It reads every answer whole, within the
// limit, before the library sees it, and writes down in the request's Note what came. nil
// Base stands for http.DefaultTransport.
type Noting struct{ Base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t Noting) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	n, ok := r.Context().Value(noteKey{}).(*Note)
	if !ok {
		n = &Note{}
	}
	var sent atomic.Bool
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}))
	response, err := base.RoundTrip(r)
	if err != nil {
		n.set(sent.Load(), nil, false, err)
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	_ = response.Body.Close() // read, or given up
	if err != nil {
		n.set(true, nil, false, err)
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	a := &Answer{Status: response.StatusCode, Header: response.Header, Body: body}
	if len(body) > maxBody {
		n.set(true, a, true, nil)
		return nil, errOver
	}
	n.set(true, a, false, nil)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// errOver ends a call whose answer is too large; the Note says it better.
var errOver = fmt.Errorf("the answer has more than %d MiB", maxBody>>20)

func (n *Note) set(sent bool, a *Answer, over bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent, n.answer, n.over, n.err = n.sent || sent, a, over, err
}

// Judge says what a noted request came to, by the table in doc.go; nil for a success. failed
// is the library's error: of it only that it is one counts, and only where the answer does
// not tell.
func (c *Client) Judge(k Call, n *Note, failed error) error {
	n.mu.Lock()
	sent, answer, over, err := n.sent, n.answer, n.over, n.err
	n.mu.Unlock()
	switch {
	case answer == nil && failed == nil && err == nil:
		return nil // it was never asked
	case answer == nil && err == nil:
		return c.lost(k, sent, failed) // given up before, or after a redirect
	case answer == nil:
		if failed != nil {
			err = failed // the client's own: whose time was up
		}
		return c.lost(k, sent, err)
	case over:
		return c.unclear(k, fmt.Sprintf("its answer has more than %d MiB", maxBody>>20), nil)
	case answer.Status < 200 || answer.Status >= 300 || k.Failed != nil && k.Failed(*answer):
		return c.refused(k, *answer)
	case failed != nil:
		return c.unclear(k, "its answer is "+kindOf(*answer)+", not the JSON that was expected", failed)
	}
	return nil
}

// Unclear is the error of an answer of success that can't be right.
func (c *Client) Unclear(k Call, message string) error {
	return c.unclear(k, provider.Line(message, maxMessage), nil)
}
