package railway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

// edgePause is how long Railway is left alone when the edge before it shows a page in place
// of an answer: it does that where it limits, and says nothing of the time
// (station.railway.com/community/access-denied-backboard-railway-com-us-66a53935).
const edgePause = time.Minute

// maxErrors is how many of an answer's errors are read.
const maxErrors = 20

// errRefused is the cause of what Railway answered with errors of GraphQL.
var errRefused = errors.New("railway answered with errors")

// caller is a verb's way to Railway. It is what generated code calls: a graphql.Client that
// makes one request by httpapi, for the limits and the exact errors of that.
type caller struct {
	p  *Provider
	op string // observe | create | update | delete
}

// MakeRequest implements graphql.Client. Its error is a *provider.Error.
func (c caller) MakeRequest(ctx context.Context, req *graphql.Request, resp *graphql.Response) error {
	var got struct {
		Data json.RawMessage `json:"data"`
	}
	_, err := c.p.api.Do(ctx, httpapi.Call{Op: c.op, Method: http.MethodPost, In: req, Out: &got, Failed: hasErrors})
	if err != nil {
		return c.denied(ctx, req, err)
	}
	if err := fill(got.Data, resp.Data); err != nil {
		return c.odd(err)
	}
	return nil
}

// denied finds out whether a read was refused because the token is not accepted: Railway says
// both by an error without a code, begun or not, but then it refuses to speak of the token, too.
func (c caller) denied(ctx context.Context, req *graphql.Request, err error) error {
	var pe *provider.Error
	if c.op != opObserve || req.OpName == opToken || !errors.Is(err, errRefused) || !errors.As(err, &pe) || pe.Kind != provider.Transient && pe.Kind != provider.Invalid {
		return err
	}
	if _, again := token(ctx, c); !errors.Is(again, errRefused) {
		return err
	}
	out := *pe
	out.Kind = provider.Denied
	return &out
}

// odd is the error of an answer that is none: of a write nobody knows what it did.
func (c caller) odd(err error) error {
	kind := provider.Transient
	if c.op != opObserve {
		kind = provider.Uncertain
	}
	return &provider.Error{Kind: kind, Provider: Name, Op: c.op, Message: "its answer is not what was asked for", Err: err}
}

// fill reads an answer's data. All that we ask for at the top may not be null by the schema;
// where it is, or is not there, the answer says nothing: least of all that nothing is there.
func fill(data json.RawMessage, into any) error {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return fmt.Errorf("its data: %w", err)
	}
	for _, name := range fieldsOf(into) {
		if v, ok := top[name]; !ok || string(v) == "null" {
			return fmt.Errorf("%s is not in its data", name)
		}
	}
	return json.Unmarshal(data, into)
}

// fieldsOf are the names of the fields of a generated answer.
func fieldsOf(into any) (names []string) {
	t := reflect.TypeOf(into)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Elem().Fields() {
		names = append(names, f.Tag.Get("json"))
	}
	return names
}

// said is the body of an answer with errors, as far as it can be relied upon.
type said struct {
	Data   json.RawMessage `json:"data"` // nil: there is no such entry; null is one
	Errors []struct {
		Message    string            `json:"message"`
		Path       []json.RawMessage `json:"path"`
		Extensions struct {
			Code string `json:"code"`
		} `json:"extensions"`
	} `json:"errors"`
}

// saying reads an answer with errors.
func saying(a httpapi.Answer) (s said, ok bool) {
	err := json.Unmarshal(a.Body, &s)
	return s, err == nil && len(s.Errors) > 0
}

// hasErrors says that an answer of success is a refusal.
func hasErrors(a httpapi.Answer) bool {
	_, ok := saying(a)
	return ok
}

// classify gives Railway's meaning of an answer. There is a table of codes for those servers
// that send any, and there is the form: GraphQL says that an answer without an entry `data`
// is one to a request that was not begun (October 2021, 7.1). The texts decide nothing.
func (p *Provider) classify(a httpapi.Answer) *provider.Error {
	if a.Status == http.StatusNotFound || a.Status == http.StatusGone {
		return &provider.Error{Kind: provider.Invalid, Message: fmt.Sprintf("there is no API at its address (it answered %d): see providers.railway.apiURL", a.Status)}
	}
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")) // what can't be read is no page
	if kind == "text/html" && (a.Status == http.StatusForbidden || a.Status == http.StatusTooManyRequests) {
		e := &provider.Error{Kind: provider.RateLimited, Message: fmt.Sprintf("its edge let nothing through (it answered %d with a page)", a.Status)}
		if a.Header.Get("Retry-After") == "" {
			e.Until = p.now().Add(edgePause)
		}
		return e
	}
	s, ok := saying(a)
	if !ok {
		return nil
	}
	e := &provider.Error{Message: s.message(), Err: errRefused}
	begun := s.Data != nil
	for _, one := range s.Errors[:min(len(s.Errors), maxErrors)] {
		begun = begun || len(one.Path) > 0
		if code := one.Extensions.Code; e.Code == "" {
			e.Code = code
			e.Kind = kindOfCode(code)
		}
	}
	if e.Kind == "" && !begun && a.Status == http.StatusOK {
		e.Kind = provider.Invalid
	}
	return e
}

// kindOfCode is the meaning of a code that GraphQL servers of this make (Apollo Server 4,
// "Built-in error codes") give; "" for others: they may have done something.
func kindOfCode(code string) provider.ErrorKind {
	switch code {
	case "UNAUTHENTICATED", "FORBIDDEN":
		return provider.Denied
	case "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "OPERATION_RESOLUTION_FAILURE", "BAD_USER_INPUT", "BAD_REQUEST":
		return provider.Invalid
	}
	return ""
}

func (s said) message() string {
	var all []string
	for _, e := range s.Errors[:min(len(s.Errors), maxErrors)] {
		if e.Message != "" {
			all = append(all, e.Message)
		}
	}
	return strings.Join(all, "; ")
}
