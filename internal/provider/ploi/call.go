package ploi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// The verbs of errors.
const (
	opObserve = "observe"
	opCreate  = "create"
	opUpdate  = "update"
	opDelete  = "delete"
)

// Limits.
const (
	maxWord  = 80          // characters of a word that is quoted
	perPage  = 50          // more is silently 15
	maxPages = 200         // of one list
	pause    = time.Minute // of a vendor that asks for one and doesn't say how long
)

// delays are how long is waited between looks at what the vendor does in the background: a
// file of a site is written within their sum, a little more than listLag.
func delays() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second}
}

// patient is delays for what takes longer: making, installing, deleting.
func patient() []time.Duration {
	out := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}
	for range 34 {
		out = append(out, 5*time.Second)
	}
	return out
}

// failure is the shape of the vendor's errors.
type failure struct {
	Error   word            `json:"error"`
	Message word            `json:"message"`
	Errors  json.RawMessage `json:"errors"`
}

// fields are the request's fields that an answer complains about, with the words, by name.
func (f failure) fields() (names []string, text string) {
	var all map[string]json.RawMessage
	if json.Unmarshal(f.Errors, &all) != nil {
		return nil, ""
	}
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	var said []string
	for _, name := range names {
		var lines []string
		if json.Unmarshal(all[name], &lines) == nil && len(lines) > 0 {
			said = append(said, lines[0])
		}
	}
	return names, strings.Join(said, " ")
}

// fieldsCode begins the code of an error that names the fields that were refused.
const fieldsCode = "fields: "

// classify says what an answer means that is documented: 503 is maintenance of the whole
// vendor and happens before anything else, so that nothing was done and the provider is
// left alone (RateLimited), not one client after the other. Where it comes without the
// vendor's JSON somebody in between may have said it, and the status decides.
func (p *Provider) classify(a httpapi.Answer) *provider.Error {
	var f failure
	if json.Unmarshal(a.Body, &f) != nil {
		return nil //nolint:nilerr // it is not the vendor's JSON: its status says what there is to say
	}
	names, text := f.fields()
	e := &provider.Error{}
	for _, said := range []string{string(f.Error), text, string(f.Message)} { // in the order of the vendor's own CLI
		if e.Message == "" {
			e.Message = said
		}
	}
	if len(names) > 0 {
		e.Code = fieldsCode + strings.Join(names, ",")
	}
	switch {
	case a.Status == http.StatusServiceUnavailable:
		e.Kind = provider.RateLimited
		e.Message = strings.TrimSuffix("Ploi is being maintained: "+e.Message, ": ")
	case a.Status == http.StatusTooManyRequests:
		e.Kind = provider.RateLimited
	case a.Status < 300: // see Failed in startDeploy
		e.Kind = provider.Invalid
	case a.Status == http.StatusForbidden && f.Error == "": // a plan that has no API says so in error
		e.Err = errForbidden
	}
	if e.Kind == provider.RateLimited && a.Header.Get("Retry-After") == "" {
		e.Until = p.o.Now().Add(pause)
	}
	return e
}

// refusedFields are the fields that an error names.
func refusedFields(err error) []string {
	var e *provider.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Code, fieldsCode) {
		return nil
	}
	return strings.Split(strings.TrimPrefix(e.Code, fieldsCode), ",")
}

// errForbidden is the cause of what the token is accepted for, and may not do.
var errForbidden = errors.New("the token lacks a permission")

// permission says which one a refused call needs: Ploi's own words don't.
func permission(method, path string, err error) error {
	var e *provider.Error
	if !errors.As(err, &e) || !errors.Is(e.Err, errForbidden) {
		return err
	}
	what := ""
	for word := range strings.SplitSeq(path, "/") {
		if strings.Trim(word, "0123456789") != "" {
			what = word
		}
	}
	out := *e
	verb := "write"
	if method == http.MethodGet {
		verb = "read"
	}
	out.Message = strings.TrimRight(e.Message, ".") + ": the token may not " + verb + " " + what + "; make one that may at ploi.io under Profile, API keys, and set providers.ploi.apiToken"
	return &out
}

func agent() http.Header { return http.Header{"User-Agent": {"reconciler"}} }

// read makes a reading call. found is false for what is not there.
func (p *Provider) read(ctx context.Context, path string, query url.Values, out any) (found bool, err error) {
	_, err = p.api.Do(ctx, httpapi.Call{Op: opObserve, Method: http.MethodGet, Path: path, Query: query, Header: agent(), Out: out})
	if err != nil && provider.KindOf(err) == provider.NotFound {
		return false, nil
	}
	return err == nil, permission(http.MethodGet, path, err)
}

// write makes a writing call.
func (p *Provider) write(ctx context.Context, op, method, path string, in, out any) error {
	_, err := p.api.Do(ctx, httpapi.Call{Op: op, Method: method, Path: path, Header: agent(), In: in, Out: out})
	return permission(method, path, err)
}

// errEnough ends a list at the page that had what was looked for.
var errEnough = errors.New("found")

// errNoList is the cause of a list that is not there.
var errNoList = errors.New("there is no such list")

// list reads all pages of a list (provider.Pages: it may move meanwhile), or as many as it
// takes until enough says so.
func list[T any](ctx context.Context, p *Provider, path string, query url.Values, enough func(T) bool, id func(T) string) ([]T, error) {
	q := maps.Clone(query)
	if q == nil {
		q = url.Values{}
	}
	q.Set("per_page", strconv.Itoa(perPage))
	var found []T
	out, err := provider.Pages(ctx, maxPages, func(ctx context.Context, n int) (provider.Page[T], error) {
		if q.Del("page"); n > 1 {
			q.Set("page", strconv.Itoa(n))
		}
		var got page[T]
		there, err := p.read(ctx, path, q, &got)
		switch {
		case err != nil:
			return provider.Page[T]{}, err
		case !there:
			e := fail(opObserve, provider.Denied, "Ploi has no "+path+" for this token: is the server's id right?")
			e.Err = errNoList
			return provider.Page[T]{}, e
		case enough != nil && slices.ContainsFunc(got.Data, enough):
			found = got.Data
			return provider.Page[T]{}, errEnough
		}
		is := provider.Page[T]{Items: got.Data, Total: -1, Last: n >= got.Meta.LastPage || len(got.Data) == 0}
		if t := got.Meta.Total; t != nil {
			is.Total = *t
		}
		return is, nil
	}, id)
	switch {
	case errors.Is(err, errEnough):
		return found, nil
	case errors.Is(err, provider.ErrLong):
		return nil, fail(opObserve, provider.Transient, "its list of "+path+" has more than "+strconv.Itoa(maxPages)+" pages")
	case errors.Is(err, provider.ErrMoves):
		return nil, fail(opObserve, provider.Transient, "its list of "+path+" changes faster than it can be read")
	}
	return out, err
}

// siteNumber and certificateNumber tell items of lists apart.
func siteNumber(s site) string               { return strconv.FormatInt(s.ID, 10) }
func certificateNumber(c certificate) string { return strconv.FormatInt(c.ID, 10) }

// ready refuses what can't be done before anything is.
func ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return gaveUp(ctx, op)
	}
	switch kind {
	case "", state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain:
		return nil
	}
	return fail(op, provider.Unsupported, "kind "+quote(string(kind))+" is not kept here")
}

func gaveUp(ctx context.Context, op string) *provider.Error {
	return &provider.Error{Kind: provider.Transient, Provider: Name, Op: op, Message: "the call was given up before it began", Err: context.Cause(ctx)}
}

func fail(op string, kind provider.ErrorKind, message string) *provider.Error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: message}
}

// because is fail with what led to it.
func because(op string, kind provider.ErrorKind, message string, err error) *provider.Error {
	e := fail(op, kind, message)
	var pe *provider.Error
	if errors.As(err, &pe) {
		e.Message, e.Code, e.Until = message+": "+pe.Message, pe.Code, pe.Until
	}
	e.Err = err
	return e
}

func (p *Provider) absent(kind state.Kind, object string) *provider.Error {
	return fail(opUpdate, provider.NotFound, string(kind)+" "+quote(object)+" is not here")
}

func quote(s string) string { return strconv.Quote(provider.Line(s, maxWord)) }

// locks let one write at a time at a site: its files are read, changed and written whole.
type locks struct {
	mu  sync.Mutex
	all map[siteID]*lock
}

type lock struct {
	held  chan struct{}
	users int
}

// enter waits for the site. leave lets the next one in.
func (l *locks) enter(ctx context.Context, s siteID, op string) (leave func(), err error) {
	l.mu.Lock()
	if l.all == nil {
		l.all = map[siteID]*lock{}
	}
	k := l.all[s]
	if k == nil {
		k = &lock{held: make(chan struct{}, 1)}
		l.all[s] = k
	}
	k.users++
	l.mu.Unlock()
	done := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.all, s)
		}
	}
	select {
	case k.held <- struct{}{}:
		return func() { <-k.held; done() }, nil
	case <-ctx.Done():
		done()
		return nil, gaveUp(ctx, op)
	}
}
