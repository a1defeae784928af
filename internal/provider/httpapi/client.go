package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Limits.
const (
	maxBody    = 4 << 20   // bytes of an answer
	maxMessage = 300       // characters of a vendor's words
	maxPause   = time.Hour // of what a vendor asks for
	maxHops    = 3         // redirects of a read, within the host
	page       = "text/html"
	piece      = 9 // bytes of a token that give it away; of a key Stripe shows sk_live_
)

// Client is one account at one vendor. Its fields are set once; it is safe for concurrent use.
type Client struct {
	Provider string       // the word of the manifest: vercel
	Base     string       // https://api.vercel.com, without a slash at its end
	Token    state.Secret // sent as a bearer token; empty: none is sent
	HTTP     *http.Client // NewHTTP makes one that refuses to be led elsewhere
	Now      func() time.Time
	// Classify gives the vendor's own meaning of an answer of 400 and above, or of any that
	// a Call's Failed names; nil where it has none. Kind may be left empty: then the status
	// decides. Its Message is made one bounded line here.
	Classify func(Answer) *provider.Error
}

// Call is one request.
type Call struct {
	Op     string // observe | create | update | delete: for errors, and whether it writes
	Method string
	Path   string // below Base, escaped
	Query  url.Values
	Header http.Header
	In     any // sent as JSON, unless it is Form or nil
	Out    any // the answer's JSON is put here; nil: whatever comes is left
	// Failed looks at an answer of success that may say otherwise (GraphQL, bulk writes).
	Failed func(Answer) bool
}

// Form is sent as application/x-www-form-urlencoded.
type Form url.Values

// Answer is what came.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// NewHTTP returns a client over a transport: no cookies, no proxy of its own, a limit for
// the whole exchange, no redirect to another host and none of a write.
func NewHTTP(transport http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		first := via[0]
		if len(via) > maxHops || first.Method != http.MethodGet && first.Method != http.MethodHead || next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// writes says whether a call may change something.
func (k Call) writes() bool { return k.Op != "observe" }

// Do makes one request. Its error is a *provider.Error.
func (c *Client) Do(ctx context.Context, k Call) (Answer, error) {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	if !k.writes() {
		ctx = Reading(ctx)
	}
	r, err := c.request(ctx, k)
	if err != nil {
		return Answer{}, c.unwritten(k, err)
	}
	response, err := c.HTTP.Do(r)
	if err != nil {
		return Answer{}, c.lost(k, sent.Load(), err)
	}
	defer func() { _ = response.Body.Close() }() // read, or given up
	a := Answer{Status: response.StatusCode, Header: response.Header}
	a.Body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return a, c.lost(k, true, err)
	case len(a.Body) > maxBody:
		return a, c.unclear(k, fmt.Sprintf("its answer has more than %d MiB", maxBody>>20), nil)
	}
	if a.Status >= 400 || a.Status < 200 || a.Status >= 300 || k.Failed != nil && k.Failed(a) {
		return a, c.refused(k, a)
	}
	if k.Out == nil && kindOf(a) == page && len(bytes.TrimSpace(a.Body)) > 0 { // somebody in front of the vendor: it may know nothing of the call
		return a, c.unclear(k, "its answer is a page ("+page+")", nil)
	}
	if k.Out == nil {
		return a, nil
	}
	if err := json.Unmarshal(a.Body, k.Out); err != nil {
		return a, c.unclear(k, "its answer is "+kindOf(a)+", not the JSON that was expected", err)
	}
	return a, nil
}

func (c *Client) request(ctx context.Context, k Call) (*http.Request, error) {
	address := c.Base + k.Path
	if len(k.Query) > 0 {
		address += "?" + k.Query.Encode()
	}
	var body io.Reader
	kind := ""
	switch in := k.In.(type) {
	case nil:
	case Form:
		body, kind = strings.NewReader(url.Values(in).Encode()), "application/x-www-form-urlencoded"
	default:
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body, kind = bytes.NewReader(data), "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, k.Method, address, body)
	if err != nil {
		return nil, err
	}
	for name, values := range k.Header {
		r.Header[name] = values
	}
	r.Header.Set("Accept", "application/json")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if !c.Token.Empty() {
		r.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	}
	return r, nil
}

func (c *Client) unwritten(k Call, err error) error {
	return c.fail(k, provider.Invalid, "the request can't be written", err)
}

// lost is a call to which no answer came.
func (c *Client) lost(k Call, sent bool, err error) error {
	var ours *provider.Error
	if errors.As(err, &ours) { // the transport below said what it means
		e := *ours
		e.Provider, e.Op = c.Provider, k.Op
		return &e
	}
	if !sent {
		return c.fail(k, provider.Transient, "no connection to it came about", err)
	}
	return c.unclear(k, "no answer came", err)
}

// unclear is a call whose effect is not known.
func (c *Client) unclear(k Call, message string, err error) error {
	if k.writes() {
		return c.fail(k, provider.Uncertain, message, err)
	}
	return c.fail(k, provider.Transient, message, err)
}

func (c *Client) fail(k Call, kind provider.ErrorKind, message string, err error) *provider.Error {
	return &provider.Error{Kind: kind, Provider: c.Provider, Op: k.Op, Message: message, Err: err}
}

// refused is an answer that is no success.
func (c *Client) refused(k Call, a Answer) error {
	e := &provider.Error{}
	if c.Classify != nil {
		if said := c.Classify(a); said != nil {
			*e = *said
		}
	}
	e.Provider, e.Op = c.Provider, k.Op
	if e.Kind == "" {
		e.Kind = c.kind(k, a.Status)
	}
	if e.Message = provider.Line(c.unsaid(e.Message), maxMessage); e.Message == "" {
		e.Message = fmt.Sprintf("it answered %d %s", a.Status, http.StatusText(a.Status))
	}
	e.Code = provider.Line(c.unsaid(e.Code), maxMessage)
	if e.Kind == provider.RateLimited && e.Until.IsZero() {
		e.Until = After(a.Header, c.Now())
	}
	if most := c.Now().Add(maxPause); e.Until.After(most) {
		e.Until = most
	}
	return e
}

// unsaid is a vendor's words, or none where they hold a piece of the token that was sent: some
// vendor, or who stands in its place, repeats what it refuses.
func (c *Client) unsaid(words string) string {
	token := c.Token.Reveal()
	if token == "" {
		return words
	}
	for i := 0; i == 0 || i+piece <= len(token); i++ {
		if strings.Contains(words, token[i:min(i+piece, len(token))]) {
			return ""
		}
	}
	return words
}

func (c *Client) kind(k Call, status int) provider.ErrorKind {
	unclear := provider.Transient
	if k.writes() {
		unclear = provider.Uncertain
	}
	switch {
	case status == http.StatusTooManyRequests:
		return provider.RateLimited
	case status == http.StatusUnauthorized, status == http.StatusPaymentRequired, status == http.StatusForbidden:
		return provider.Denied
	case status == http.StatusNotFound, status == http.StatusGone:
		return provider.NotFound
	case status == http.StatusConflict:
		return provider.Conflict
	case status == http.StatusRequestTimeout, status < 400, status >= 500:
		return unclear
	}
	return provider.Invalid
}

// kindOf says what an answer is, in a word.
func kindOf(a Answer) string {
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil || kind == "" {
		return "something unnamed"
	}
	return provider.Line(kind, 60)
}
