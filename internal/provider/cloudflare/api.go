package cloudflare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

// maxErrors is how many of an answer's errors are looked at.
const maxErrors = 20

// Cloudflare's codes, from what users met (specs/README.md names the places) and its API
// pages.
const (
	codeNoRecord      = 81044
	codeAddressTaken  = 81053 // a CNAME beside an address or a CNAME
	codeAliasTaken    = 81054 // an address beside a CNAME
	codeNSTaken       = 81056
	codeExists        = 81057
	codeIdentical     = 81058
	codeQuota         = 81045
	codeValidation    = 1004
	codeInvalidToken  = 1000
	codeBadHeaders    = 6003
	codeNoCredentials = 9106
	codeUnauthorized  = 9109
	codeAuth          = 10000
)

// denied are the codes that mean the credentials, whatever the status: a token that is no
// token at all comes back as a 400.
func denied(code int) bool {
	return slices.Contains([]int{codeInvalidToken, codeBadHeaders, codeNoCredentials, codeUnauthorized, codeAuth}, code)
}

// failure is one error of an answer.
type failure struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Chain   []failure `json:"error_chain"`
}

// failures reads the errors of an answer; none where it is not Cloudflare's.
func failures(body []byte) []failure {
	var e struct {
		Errors []failure `json:"errors"`
	}
	if json.Unmarshal(body, &e) != nil {
		return nil
	}
	return e.Errors[:min(len(e.Errors), maxErrors)]
}

// classify gives Cloudflare's own meaning of a refusal, by its codes.
func classify(a httpapi.Answer) *provider.Error {
	all := failures(a.Body)
	if len(all) == 0 {
		return nil
	}
	first := all[0]
	e := &provider.Error{Code: strconv.Itoa(first.Code), Message: first.Message}
	if len(first.Chain) > 0 { // the reason stands behind "DNS Validation Error"
		e.Code, e.Message = strconv.Itoa(first.Chain[0].Code), first.Chain[0].Message
	}
	switch {
	case a.Status == http.StatusTooManyRequests || a.Status >= 500:
	case denied(first.Code):
		e.Kind = provider.Denied
		e.Message += ": see that the token is there, and may edit DNS and read zones"
	case first.Code == codeNoRecord:
		e.Kind = provider.NotFound
	case first.Code == codeIdentical, first.Code == codeExists:
		e.Kind = provider.Conflict
		e.Message = "an equal record is there already"
	case first.Code == codeAddressTaken, first.Code == codeAliasTaken, first.Code == codeNSTaken:
		e.Kind = provider.Conflict
		e.Message = "a record of another type has the name, and a CNAME stands alone: remove the other one at Cloudflare, or wish what is there"
	case first.Code == codeQuota:
		e.Kind = provider.Invalid
		e.Message = "the zone holds as many records as its plan allows: remove some, or take a larger plan"
	}
	return e
}

// codeOf is the code of an error, 0 without one.
func codeOf(err error) int {
	e, ok := errorOf(err)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(e.Code)
	if err != nil {
		return 0
	}
	return n
}

// call makes one request through cloudflare-go. out gets the answer's result.
func (p *Provider) call(ctx context.Context, op, method, path string, q url.Values, in, out any) (page, error) {
	k := httpapi.Call{Op: op, Method: method, Failed: func(a httpapi.Answer) bool { return !succeeded(a.Body) }}
	if ctx.Err() != nil {
		return page{}, givenUp(ctx, op)
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	var body any
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return page{}, &provider.Error{Kind: provider.Invalid, Provider: Name, Op: op, Message: "the record can't be written as JSON", Err: err}
		}
		body = data
	}
	if p.o.HTTP.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.o.HTTP.Timeout)
		defer cancel()
	}
	noted, note := httpapi.WithNote(ctx)
	failed := p.raw(noted, method, path, body)
	if err := p.judge.Judge(k, note, failed); err != nil {
		return page{}, p.unsaid(k, note, err)
	}
	info, err := decode(note.Answer().Body, out)
	if err != nil {
		return page{}, p.judge.Unclear(k, err.Error())
	}
	return info, nil
}

// raw lets cloudflare-go make a request. It decodes with a JSON package of its own: an answer
// that it falls over costs one call.
func (p *Provider) raw(ctx context.Context, method, path string, body any) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errors.New("cloudflare-go fell over the answer")
		}
	}()
	_, err = p.api.Raw(ctx, method, path, body, nil)
	return err
}

// unsaid mends the kind of what a bare "no success" with a status of success would be: what
// it did is not known.
func (p *Provider) unsaid(k httpapi.Call, note *httpapi.Note, err error) error {
	if a := note.Answer(); a.Status >= 200 && a.Status < 300 && len(failures(a.Body)) == 0 {
		return p.judge.Unclear(k, "its answer says neither that it worked nor why not")
	}
	return err
}

// succeeded says that an answer says so itself.
func succeeded(body []byte) bool {
	var e struct {
		Success bool `json:"success"`
	}
	return json.Unmarshal(body, &e) == nil && e.Success
}

// page says which part of a list an answer is.
type page struct {
	told         bool
	total, pages int
}

// maxTotal is the greatest count that is believed.
const maxTotal = 1 << 30

// decode reads an answer of success: its result into out, strictly as far as we need it.
func decode(body []byte, out any) (page, error) {
	var e struct {
		Result json.RawMessage `json:"result"`
		Info   *struct {
			Total float64 `json:"total_count"`
			Pages float64 `json:"total_pages"`
		} `json:"result_info"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return page{}, fmt.Errorf("its answer is not what was expected")
	}
	info := page{}
	if e.Info != nil {
		if e.Info.Total < 0 || e.Info.Total > maxTotal || e.Info.Pages < 0 || e.Info.Pages > maxTotal {
			return page{}, fmt.Errorf("its answer counts in a strange way")
		}
		info = page{told: true, total: int(e.Info.Total), pages: int(e.Info.Pages)}
	}
	if out == nil {
		return info, nil
	}
	if len(e.Result) == 0 || bytes.Equal(e.Result, []byte("null")) {
		return page{}, fmt.Errorf("its answer has no result")
	}
	if err := json.Unmarshal(e.Result, out); err != nil {
		return page{}, fmt.Errorf("its answer is not what was expected")
	}
	return info, nil
}

// idShape is an id of Cloudflare's. Anything else is nobody's, and no path is made of it.
var idShape = regexp.MustCompile(`^[0-9a-zA-Z]{1,32}$`)

// number is a JSON number that is a small whole one.
type number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil || f < 0 || f > 1<<31 || f != float64(int(f)) {
		return fmt.Errorf("%.20q is not a small whole number", data)
	}
	*n = number(f)
	return nil
}

// recordPath is where a zone's records are, or one of them.
func recordPath(zone string, more ...string) string {
	return "/zones/" + strings.Join(append([]string{zone, "dns_records"}, more...), "/")
}

// givenUp is a call that its caller gave up before it began.
func givenUp(ctx context.Context, op string) error {
	return &provider.Error{Kind: provider.Transient, Provider: Name, Op: op, Message: "the call was given up before it began", Err: context.Cause(ctx)}
}

// errorOf finds the *provider.Error in an error.
func errorOf(err error) (*provider.Error, bool) {
	var e *provider.Error
	return e, errors.As(err, &e)
}

// as is an error of another verb.
func as(op string, err error) error {
	e, ok := errorOf(err)
	if !ok {
		return err
	}
	out := *e
	out.Provider, out.Op = Name, op
	return &out
}
