package contract

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
	"github.com/vektah/gqlparser/v2/ast"
)

// maxBody is the most bytes of a body that are judged. Vendors' are far smaller.
const maxBody = 16 << 20

// Description names a published OpenAPI description and what has to be known to judge by
// it. specs/README.md says which of them need what.
type Description struct {
	Vendor string // for messages: Vercel
	File   string // below shared/specs: vercel/openapi.json
	// Loose turns off what of the description's own examples and defaults does not fit it.
	Loose bool
	// Inner is a request's path without what stands before the paths of the description. nil:
	// the path itself.
	Inner func(path string) string
	// Slashed says that the last parameter of a path of the description holds slashes.
	Slashed func(path string) bool
	// Uncut are operations that the vendor has and the cut of its description has not.
	Uncut []Operation
	// Failure judges the body of an answer of 400 and above whose status the description does
	// not list. nil: anything may come.
	Failure func(status int, body []byte) error
	// Moves says that any operation may be answered with a redirect.
	Moves bool
	// Relax changes the description once it is read, where the vendor is known to differ.
	Relax func(*openapi3.T)
}

// Operation is one method of one path, with {parameters}.
type Operation struct{ Method, Path string }

// Contract judges exchanges. Safe for concurrent use, until its test ends.
type Contract struct {
	tb     testing.TB
	about  Description
	doc    *openapi3.T // nil: the description is not there
	routes []route
	schema *ast.Schema // in place of doc, for GraphQL
	judged atomic.Int64
	uncut  atomic.Int64
}

// OpenAPI returns a contract whose misfits fail the test.
func OpenAPI(tb testing.TB, about Description) *Contract {
	tb.Helper()
	c := begin(tb, &Contract{about: about})
	dir := Specs(tb)
	if dir == "" {
		return c
	}
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(dir, filepath.FromSlash(about.File)))
	if err != nil {
		tb.Fatalf("%s's description: %v", about.Vendor, err)
	}
	var loose []openapi3.ValidationOption
	if about.Loose {
		loose = []openapi3.ValidationOption{openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation()}
	}
	if err := doc.Validate(context.Background(), loose...); err != nil {
		tb.Fatalf("%s's description: %v", about.Vendor, err)
	}
	if about.Relax != nil {
		about.Relax(doc)
	}
	c.doc, c.routes = doc, routesOf(doc, about.Slashed)
	return c
}

// For returns a contract of the same description for another test: to read it takes a
// tenth of a second.
func (c *Contract) For(tb testing.TB) *Contract {
	return begin(tb, &Contract{about: c.about, doc: c.doc, routes: c.routes, schema: c.schema})
}

// begin gives a contract its test, whose log says at its end how much was judged: `make test`
// prints the sum.
func begin(tb testing.TB, c *Contract) *Contract {
	c.tb = tb
	tb.Cleanup(func() {
		if n := c.Judged(); n > 0 {
			tb.Logf("%d exchanges were held against %s's description", n, c.about.Vendor)
		}
	})
	return c
}

// Present says whether there is a description to judge by.
func (c *Contract) Present() bool { return c.doc != nil || c.schema != nil }

// Judged is how many exchanges were held against the description.
func (c *Contract) Judged() int { return int(c.judged.Load()) }

// Some fails a test in which nothing was judged, though there is a description.
func (c *Contract) Some(tb testing.TB) {
	tb.Helper()
	if c.Present() && c.Judged() == 0 {
		tb.Errorf("no exchange was held against %s's description", c.about.Vendor)
	}
}

// Uncut is how many exchanges were of operations that only the whole description has.
func (c *Contract) Uncut() int { return int(c.uncut.Load()) }

// Wrap judges what passes through a client's transport. nil stands for http.DefaultTransport.
func (c *Contract) Wrap(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return wrapped{c, base, false}
}

// WrapRequests is Wrap for a server that answers with the description's own examples
// (Example), of which some don't fit it: only requests are judged.
func (c *Contract) WrapRequests(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return wrapped{c, base, true}
}

type wrapped struct {
	c        *Contract
	base     http.RoundTripper
	requests bool // judges nothing else
}

// RoundTrip hands on what came, whether it fits or not.
func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) {
	if !w.c.Present() {
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
	if isStream(a.Header) {
		a.Body = &watched{ReadCloser: a.Body, over: func(got []byte) { w.c.judge(r, sent, a.StatusCode, a.Header, got, w.requests) }}
		return a, nil
	}
	got, err := keep(&a.Body)
	if err != nil {
		return nil, err
	}
	w.c.judge(r, sent, a.StatusCode, a.Header, got, w.requests)
	return a, nil
}

// Handler judges what a server is asked and answers.
func (c *Contract) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.Present() {
			h.ServeHTTP(w, r)
			return
		}
		sent, err := keep(&r.Body)
		if err != nil {
			c.tb.Errorf("%s %s: its body broke off: %v", r.Method, r.URL.Path, err)
			return
		}
		asked := r.Clone(r.Context())
		to := &streaming{ResponseRecorder: httptest.NewRecorder(), to: w}
		defer func() { // a stream may be cut
			if to.open {
				c.judge(asked, sent, to.Code, to.Header(), to.Body.Bytes(), false)
			}
		}()
		h.ServeHTTP(to, r)
		if to.open {
			return
		}
		got := bytes.Clone(to.Body.Bytes())
		c.judge(asked, sent, to.Code, to.Header(), got, false)
		maps.Copy(w.Header(), to.Header())
		w.WriteHeader(to.Code)
		_, _ = w.Write(got) // who asked may be gone
	})
}

// HandlerRequests is Handler for a server whose answers fit nothing on purpose: only requests
// that it did not refuse are judged.
func (c *Contract) HandlerRequests(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.Present() {
			h.ServeHTTP(w, r)
			return
		}
		sent, err := keep(&r.Body)
		if err != nil {
			return // who asked is gone
		}
		asked := r.Clone(r.Context())
		to := &answered{w, http.StatusOK}
		h.ServeHTTP(to, r)
		c.judge(asked, sent, to.status, nil, nil, true)
	})
}

// answered keeps the status of an answer.
type answered struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController: what is sent as it comes is flushed.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

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
func (c *Contract) judge(r *http.Request, sent []byte, status int, header http.Header, got []byte, requestOnly bool) {
	if c.schema != nil {
		c.judgeQuery(sent, status, got, requestOnly)
		return
	}
	what := fmt.Sprintf("%s %s → %d", r.Method, r.URL.RequestURI(), status)
	found, params, ok := c.find(r.Method, r.URL.EscapedPath())
	switch {
	case ok:
		c.judged.Add(1)
	case c.isUncut(r.Method, r.URL.EscapedPath()):
		c.uncut.Add(1)
		return
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return // a path, or a method of one, that nobody has
	default:
		c.tb.Errorf("%s: %s's description has no such operation", what, c.about.Vendor)
		return
	}
	// A fresh request: the judge reads its body, and the description's host is another.
	asked := r.Clone(context.Background())
	asked.Body, asked.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
	if len(sent) == 0 {
		asked.Body = http.NoBody
	}
	options := &openapi3filter.Options{MultiError: true, SkipSettingDefaults: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	options.WithCustomSchemaErrorFunc(where)
	in := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: found, Options: options}
	// What was refused as malformed need not fit: a test may have asked for just that.
	if status < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			c.tb.Errorf("%s: the request does not fit: %v", what, err)
		}
		c.strange(what, found.Operation, asked, sent)
	}
	if status == http.StatusNotModified || requestOnly {
		return
	}
	if found.Operation.Responses.Status(status) == nil {
		c.undescribed(what, status, got)
		return
	}
	if isStream(header) {
		c.judgeLines(what, found.Operation.Responses.Status(status).Value.Content, got)
		return
	}
	if len(got) == 0 && found.Operation.Responses.Status(status).Value.Content == nil {
		return
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Options: options}
	out.SetBodyBytes(got)
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		c.tb.Errorf("%s: the answer does not fit: %v (%s answered %.80q)", what, err, r.Host, got)
	}
}

// where says what is wrong at which place, without the schema and the value, which are long.
func where(err *openapi3.SchemaError) string {
	return fmt.Sprintf("at /%s: %s", strings.Join(err.JSONPointer(), "/"), err.Reason)
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
	for _, name := range strangeForm(o.RequestBody.Value.Content.Get(formType), sent) {
		c.tb.Errorf("%s: there is no field %q", what, name)
	}
	media := o.RequestBody.Value.Content.Get("application/json")
	var fields map[string]json.RawMessage
	if media == nil || media.Schema == nil || len(media.Schema.Value.Properties) == 0 || json.Unmarshal(sent, &fields) != nil {
		return
	}
	if more := media.Schema.Value.AdditionalProperties.Has; more != nil && *more {
		return // it says that there may be others
	}
	for name := range fields {
		if media.Schema.Value.Properties[name] == nil {
			c.tb.Errorf("%s: there is no field %q", what, name)
		}
	}
}

// undescribed judges an answer whose status is not listed.
func (c *Contract) undescribed(what string, status int, got []byte) {
	if c.about.Moves && (status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect) {
		return
	}
	if status < 400 {
		c.tb.Errorf("%s: %s's description has no such answer", what, c.about.Vendor)
		return
	}
	if c.about.Failure == nil {
		return
	}
	if err := c.about.Failure(status, got); err != nil {
		c.tb.Errorf("%s: %v", what, err)
	}
}

// route is one path of the description.
type route struct {
	path    string
	parts   []string // "{name}" is a parameter
	slashed bool     // the last one may hold slashes
	item    *openapi3.PathItem
	doc     *openapi3.T
}

func routesOf(doc *openapi3.T, slashed func(string) bool) []route {
	var out []route
	for _, path := range doc.Paths.InMatchingOrder() {
		out = append(out, route{path: path, parts: strings.Split(path, "/")[1:], slashed: slashed != nil && slashed(path), item: doc.Paths.Value(path), doc: doc})
	}
	return out
}

// find returns the operation of a path, whatever stands before the API's own.
func (c *Contract) find(method, path string) (*routers.Route, map[string]string, bool) {
	parts := strings.Split(c.inner(path), "/")[1:]
	for _, r := range c.routes {
		o := r.item.GetOperation(method)
		if o == nil {
			continue
		}
		if params, ok := match(r.parts, parts, r.slashed); ok {
			return &routers.Route{Spec: r.doc, Path: r.path, PathItem: r.item, Method: method, Operation: o}, params, true
		}
	}
	return nil, nil, false
}

func (c *Contract) inner(path string) string {
	if c.about.Inner == nil {
		return path
	}
	return c.about.Inner(path)
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

func (c *Contract) isUncut(method, path string) bool {
	parts := strings.Split(c.inner(path), "/")[1:]
	for _, u := range c.about.Uncut {
		if _, ok := match(strings.Split(strings.TrimPrefix(u.Path, "/"), "/"), parts, false); ok && method == u.Method {
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
