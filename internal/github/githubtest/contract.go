package githubtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// maxBody is the most bytes of a body that are judged. GitHub's are far smaller.
const maxBody = 16 << 20

// Contract judges exchanges. Safe for concurrent use, until its test ends.
type Contract struct {
	tb     testing.TB
	doc    *openapi3.T // nil: the description is not there
	routes []route
	judged atomic.Int64
	uncut  atomic.Int64
}

// Validator returns a contract whose misfits fail the test.
func Validator(tb testing.TB) *Contract {
	tb.Helper()
	c := &Contract{tb: tb}
	dir := Specs(tb)
	if dir == "" {
		return c
	}
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(dir, "rest.openapi.json"))
	if err != nil {
		tb.Fatalf("GitHub's description: %v", err)
	}
	// Its own examples don't fit its schemas (specs/README.md).
	if err := doc.Validate(context.Background(), openapi3.DisableExamplesValidation()); err != nil {
		tb.Fatalf("GitHub's description: %v", err)
	}
	c.doc, c.routes = doc, routesOf(doc)
	return c
}

// For is the same contract for another test, without reading the description again.
func (c *Contract) For(tb testing.TB) *Contract {
	return &Contract{tb: tb, doc: c.doc, routes: c.routes}
}

// Present says whether there is a description to judge by.
func (c *Contract) Present() bool { return c.doc != nil }

// Judged is how many exchanges were held against the description.
func (c *Contract) Judged() int { return int(c.judged.Load()) }

// Uncut is how many exchanges were of operations that only the whole description has.
func (c *Contract) Uncut() int { return int(c.uncut.Load()) }

// Wrap judges what passes through a client's transport. nil stands for http.DefaultTransport.
func (c *Contract) Wrap(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return wrapped{c, base}
}

type wrapped struct {
	c    *Contract
	base http.RoundTripper
}

// RoundTrip hands on what came, whether it fits or not.
func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.c.doc == nil {
		return w.base.RoundTrip(r)
	}
	sent, err := keep(&r.Body)
	if err != nil {
		return nil, err
	}
	a, err := w.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := keep(&a.Body)
	if err != nil {
		return nil, err
	}
	w.c.judge(r, sent, a.StatusCode, a.Header, got)
	return a, nil
}

// Handler judges what a server is asked and answers.
func (c *Contract) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.doc == nil {
			h.ServeHTTP(w, r)
			return
		}
		sent, err := keep(&r.Body)
		if err != nil {
			c.tb.Errorf("%s %s: its body broke off: %v", r.Method, r.URL.Path, err)
			return
		}
		method, address := r.Method, *r.URL
		a := httptest.NewRecorder()
		h.ServeHTTP(a, r)
		for name, values := range a.Header() {
			w.Header()[name] = values
		}
		got := bytes.Clone(a.Body.Bytes())
		asked := r.Clone(r.Context())
		asked.Method, asked.URL = method, &address
		c.judge(asked, sent, a.Code, a.Header(), got)
		w.WriteHeader(a.Code)
		_, _ = w.Write(got) // who asked may be gone
	})
}

// keep reads a body and puts it back.
func keep(body *io.ReadCloser) ([]byte, error) {
	if *body == nil || *body == http.NoBody {
		return nil, nil
	}
	all, err := io.ReadAll(io.LimitReader(*body, maxBody))
	if err != nil {
		return nil, err
	}
	// What is above the limit stays to be read.
	rest := *body
	*body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(all), rest), rest}
	return all, nil
}

// judge fails the test when the exchange is not as described.
func (c *Contract) judge(r *http.Request, sent []byte, status int, header http.Header, got []byte) {
	what := fmt.Sprintf("%s %s → %d", r.Method, r.URL.RequestURI(), status)
	found, params, ok := c.find(r.Method, r.URL.EscapedPath())
	switch {
	case ok:
		c.judged.Add(1)
	case isUncut(r.Method, r.URL.EscapedPath()):
		c.uncut.Add(1)
		return
	case status == http.StatusNotFound:
		return // a path that nobody has
	default:
		c.tb.Errorf("%s: GitHub's description has no such operation", what)
		return
	}
	// A fresh request: the judge reads its body, and the description's host is another.
	asked := r.Clone(context.Background())
	asked.Body, asked.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
	if len(sent) == 0 {
		asked.Body = http.NoBody
	}
	options := &openapi3filter.Options{MultiError: true, SkipSettingDefaults: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	in := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: found, Options: options}
	// What was refused as malformed need not fit: a test may have asked for just that.
	if status < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			c.tb.Errorf("%s: the request does not fit: %v", what, err)
		}
		c.strange(what, found.Operation, asked, sent)
	}
	if status == http.StatusNotModified {
		return
	}
	if found.Operation.Responses.Status(status) == nil {
		c.undescribed(what, status, got)
		return
	}
	if len(got) == 0 && found.Operation.Responses.Status(status).Value.Content == nil {
		return
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Options: options}
	out.SetBodyBytes(got)
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		c.tb.Errorf("%s: the answer does not fit: %v", what, err)
	}
}

// strange fails the test for parameters and fields that the description does not know: it
// allows them, GitHub ignores them, and whoever sends them hopes for something.
func (c *Contract) strange(what string, o *openapi3.Operation, r *http.Request, sent []byte) {
	for name := range r.URL.Query() {
		if o.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			c.tb.Errorf("%s: there is no parameter %q", what, name)
		}
	}
	if o.RequestBody == nil || len(sent) == 0 {
		return
	}
	media := o.RequestBody.Value.Content.Get("application/json")
	var fields map[string]json.RawMessage
	if media == nil || media.Schema == nil || len(media.Schema.Value.Properties) == 0 || json.Unmarshal(sent, &fields) != nil {
		return
	}
	for name := range fields {
		if media.Schema.Value.Properties[name] == nil {
			c.tb.Errorf("%s: there is no field %q", what, name)
		}
	}
}

// undescribed judges an answer whose status is not listed: an error has a message.
func (c *Contract) undescribed(what string, status int, got []byte) {
	if status < 400 {
		c.tb.Errorf("%s: GitHub's description has no such answer", what)
		return
	}
	var e struct {
		Message *string `json:"message"`
	}
	if status < 500 && (json.Unmarshal(got, &e) != nil || e.Message == nil) {
		c.tb.Errorf("%s: an error without a message", what)
	}
}

// route is one path of the description.
type route struct {
	path  string
	parts []string // "{name}" is a parameter
	item  *openapi3.PathItem
	doc   *openapi3.T
}

// slashed says that a path's last parameter holds slashes. commits/{ref} does too, but
// would swallow what lies below it (specs/README.md).
func slashed(path string) bool {
	return strings.Contains(path, "/contents/") || strings.Contains(path, "/git/") || strings.Contains(path, "/compare/")
}

func routesOf(doc *openapi3.T) []route {
	var out []route
	for _, path := range doc.Paths.InMatchingOrder() {
		out = append(out, route{path: path, parts: strings.Split(path, "/")[1:], item: doc.Paths.Value(path), doc: doc})
	}
	return out
}

// find returns the operation of a path, whatever stands before the API's own.
func (c *Contract) find(method, path string) (*routers.Route, map[string]string, bool) {
	parts := strings.Split(inner(path), "/")[1:]
	for _, r := range c.routes {
		o := r.item.GetOperation(method)
		if o == nil {
			continue
		}
		if params, ok := match(r.parts, parts, slashed(r.path)); ok {
			return &routers.Route{Spec: r.doc, Path: r.path, PathItem: r.item, Method: method, Operation: o}, params, true
		}
	}
	return nil, nil, false
}

// inner is a path without what GitHub Enterprise puts before it.
func inner(path string) string {
	if _, after, ok := strings.Cut(path, "/api/v3/"); ok {
		return "/" + after
	}
	return path
}

// match reads a path's parameters; the last one may hold slashes.
func match(pattern, parts []string, slashes bool) (map[string]string, bool) {
	if len(parts) < len(pattern) || len(parts) > len(pattern) && !slashes {
		return nil, false
	}
	params := map[string]string{}
	for i, p := range pattern {
		name, isParam := strings.CutPrefix(p, "{")
		switch {
		case !isParam && p != parts[i], parts[i] == "":
			return nil, false
		case isParam && i == len(pattern)-1:
			params[strings.TrimSuffix(name, "}")] = strings.Join(parts[i:], "/")
			return params, true
		case isParam:
			params[strings.TrimSuffix(name, "}")] = parts[i]
		}
	}
	return params, len(parts) == len(pattern)
}

// isUncut names the operations that are GitHub's and not in the cut of its description
// that is beside the project (docs.github.com/rest/pulls/comments and /rest/users/users).
func isUncut(method, path string) bool {
	parts := strings.Split(inner(path), "/")[1:]
	for _, u := range []struct{ method, path string }{
		{http.MethodGet, "users/{username}"},
		{http.MethodGet, "repos/{owner}/{repo}/pulls/{pull_number}/comments"},
		{http.MethodPost, "repos/{owner}/{repo}/pulls/{pull_number}/comments"},
		{http.MethodGet, "repos/{owner}/{repo}/pulls/comments/{comment_id}"},
		{http.MethodDelete, "repos/{owner}/{repo}/pulls/comments/{comment_id}"},
	} {
		if _, ok := match(strings.Split(u.path, "/"), parts, false); ok && method == u.method {
			return true
		}
	}
	return false
}

// Example is what the description shows as an operation's answer of success: for a server
// that answers with GitHub's own words. ok is false where there is none.
func (c *Contract) Example(method, path string) (status int, body []byte, ok bool) {
	found, _, ok := c.find(method, path)
	if !ok {
		return 0, nil, false
	}
	for status := http.StatusOK; status < 300; status++ {
		r := found.Operation.Responses.Status(status)
		if r == nil {
			continue
		}
		media := r.Value.Content.Get("application/json")
		if media == nil {
			return status, nil, true
		}
		for _, name := range slices.Sorted(maps.Keys(media.Examples)) {
			body, err := json.Marshal(media.Examples[name].Value.Value)
			return status, body, err == nil
		}
	}
	return 0, nil, false
}
