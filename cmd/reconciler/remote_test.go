package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// The wire between a process and the providers in another one: every word of the contract,
// as JSON over HTTP on a socket in the file system. Only tests speak it.

// wireInput is an input, an output or an observed attribute.
type wireInput struct {
	Name   string  `json:"name"`
	Text   string  `json:"text,omitempty"`
	Secret *string `json:"secret,omitempty"`
}

type wireWish struct {
	Ref    state.Ref     `json:"ref"`
	Name   string        `json:"name"`
	Mark   provider.Mark `json:"mark"`
	Inputs []wireInput   `json:"inputs"`
}

type wireObject struct {
	ID         string         `json:"id"`
	Kind       state.Kind     `json:"kind"`
	Name       string         `json:"name"`
	Mark       provider.Mark  `json:"mark"`
	Attributes []wireInput    `json:"attributes"`
	Outputs    []wireInput    `json:"outputs"`
	Phase      provider.Phase `json:"phase"`
	Message    string         `json:"message,omitempty"`
	Log        []string       `json:"log,omitempty"`
}

// wireCall is one call; who made it and what its clock says are headers.
type wireCall struct {
	Provider     int        `json:"provider"` // the host's n-th
	Verb         string     `json:"verb"`
	Kind         state.Kind `json:"kind,omitempty"`
	ID           string     `json:"id,omitempty"`
	Name         string     `json:"name,omitempty"`
	Wish         *wireWish  `json:"wish,omitempty"`
	Installation string     `json:"installation,omitempty"`
	Path         string     `json:"path,omitempty"`
}

type wireAnswer struct {
	Objects []wireObject `json:"objects,omitempty"`
	Error   *wireError   `json:"error,omitempty"`
}

type wireError struct {
	Kind     provider.ErrorKind `json:"kind"`
	Provider string             `json:"provider"`
	Op       string             `json:"op"`
	Message  string             `json:"message"`
	Code     string             `json:"code,omitempty"`
	Until    time.Time          `json:"until,omitzero"`
}

func toWire[T provider.Input | provider.Output](all []T) []wireInput {
	out := make([]wireInput, 0, len(all))
	for _, x := range all {
		i := provider.Input(x)
		w := wireInput{Name: i.Name, Text: i.Text}
		if i.Secret != nil {
			s := i.Secret.Reveal()
			w.Secret = &s
		}
		out = append(out, w)
	}
	return out
}

func fromWire[T provider.Input | provider.Output](all []wireInput) []T {
	var out []T
	for _, w := range all {
		i := provider.Input{Name: w.Name, Text: w.Text}
		if w.Secret != nil {
			s := state.NewSecret(*w.Secret)
			i.Secret = &s
		}
		out = append(out, T(i))
	}
	return out
}

func wishToWire(w *provider.Wish) *wireWish {
	if w == nil {
		return nil
	}
	return &wireWish{Ref: w.Ref, Name: w.Name, Mark: w.Mark, Inputs: toWire(w.Inputs)}
}

func (w *wireWish) wish() *provider.Wish {
	if w == nil {
		return nil
	}
	return &provider.Wish{Ref: w.Ref, Name: w.Name, Mark: w.Mark, Inputs: fromWire[provider.Input](w.Inputs)}
}

func objectToWire(o provider.Object) wireObject {
	return wireObject{ID: o.ID, Kind: o.Kind, Name: o.Name, Mark: o.Mark, Attributes: toWire(o.Attributes), Outputs: toWire(o.Outputs), Phase: o.Phase, Message: o.Message, Log: o.Log}
}

func (o wireObject) object() provider.Object {
	return provider.Object{ID: o.ID, Kind: o.Kind, Name: o.Name, Mark: o.Mark, Attributes: fromWire[provider.Observed](o.Attributes), Outputs: fromWire[provider.Output](o.Outputs),
		Phase: o.Phase, Message: o.Message, Log: o.Log}
}

func errorToWire(err error) *wireError {
	var e *provider.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return &wireError{e.Kind, e.Provider, e.Op, e.Message, e.Code, e.Until}
	}
	return &wireError{Kind: provider.Uncertain, Provider: "host", Op: "call", Message: err.Error()}
}

// remote is a connection to the providers of another process.
type remote struct {
	http  *http.Client
	clock *quickClock // what it is ahead goes along with every call; nil: the real time
	// judged is what the host's vendors told; nil: it was not started here.
	judged *testimony
}

// The headers of a call.
const (
	callerHeader = "X-Caller" // process id, which the host may kill
	aheadHeader  = "X-Ahead"  // how much the caller's clock is ahead, in nanoseconds
)

func dialProviders(socket string, clock *quickClock) *remote {
	var d net.Dialer
	return &remote{clock: clock, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) }, MaxIdleConnsPerHost: 64}}}
}

// ask posts a question and reads the answer. nil in: GET.
func (r *remote) ask(ctx context.Context, path string, in, out any) error {
	method, body := http.MethodGet, io.Reader(nil)
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		method, body = http.MethodPost, bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://providers"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set(callerHeader, strconv.Itoa(os.Getpid()))
	if r.clock != nil {
		req.Header.Set(aheadHeader, strconv.FormatInt(r.clock.ahead.Load(), 10))
	}
	res, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, res.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// wireProvider says who a provider is.
type wireProvider struct {
	Name   string                         `json:"name"`
	Traits map[state.Kind]provider.Traits `json:"traits"`
}

// providers are the host's, as providers.
func (r *remote) providers(ctx context.Context) ([]provider.Provider, error) {
	var all []wireProvider
	if err := r.ask(ctx, "/providers", nil, &all); err != nil {
		return nil, err
	}
	var out []provider.Provider
	for n, p := range all {
		out = append(out, &remoteProvider{r: r, n: n, who: p})
	}
	return out, nil
}

// remoteProvider is one provider of another process.
type remoteProvider struct {
	r   *remote
	n   int
	who wireProvider
}

var _ provider.Dumper = (*remoteProvider)(nil)

// Name implements provider.Provider.
func (p *remoteProvider) Name() string { return p.who.Name }

// Traits implements provider.Provider.
func (p *remoteProvider) Traits() map[state.Kind]provider.Traits {
	out := map[state.Kind]provider.Traits{}
	for k, t := range p.who.Traits {
		out[k] = t
	}
	return out
}

// call asks the host. A write whose answer does not come is uncertain once it was sent.
func (p *remoteProvider) call(ctx context.Context, c wireCall) ([]provider.Object, error) {
	op := c.Verb
	if op == "owned" {
		op = "observe"
	}
	fail := func(kind provider.ErrorKind, words string, err error) error {
		return &provider.Error{Kind: kind, Provider: p.Name(), Op: op, Message: words, Err: err}
	}
	if ctx.Err() != nil {
		return nil, fail(provider.Transient, "the call was not made", context.Cause(ctx))
	}
	c.Provider = p.n
	var a wireAnswer
	if err := p.r.ask(ctx, "/call", c, &a); err != nil {
		if c.Verb == "create" || c.Verb == "update" || c.Verb == "delete" {
			return nil, fail(provider.Uncertain, "the answer was lost", err)
		}
		return nil, fail(provider.Transient, "the call did not come through", err)
	}
	if e := a.Error; e != nil {
		return nil, &provider.Error{Kind: e.Kind, Provider: e.Provider, Op: e.Op, Message: e.Message, Code: e.Code, Until: e.Until}
	}
	var out []provider.Object
	for _, o := range a.Objects {
		out = append(out, o.object())
	}
	return out, nil
}

func (p *remoteProvider) one(found []provider.Object, err error) (provider.Object, error) {
	if err != nil || len(found) == 0 {
		return provider.Object{}, err
	}
	return found[0], nil
}

// Observe implements provider.Reader.
func (p *remoteProvider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	return p.call(ctx, wireCall{Verb: "observe", Kind: q.Kind, ID: q.ID, Name: q.Name, Wish: wishToWire(q.Wish)})
}

// Owned implements provider.Reader.
func (p *remoteProvider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	return p.call(ctx, wireCall{Verb: "owned", Installation: installation})
}

// Create implements provider.Provider.
func (p *remoteProvider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	return p.one(p.call(ctx, wireCall{Verb: "create", Kind: w.Ref.Kind, Wish: wishToWire(&w)}))
}

// Update implements provider.Provider.
func (p *remoteProvider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	return p.one(p.call(ctx, wireCall{Verb: "update", Kind: w.Ref.Kind, ID: id, Wish: wishToWire(&w)}))
}

// Delete implements provider.Provider.
func (p *remoteProvider) Delete(ctx context.Context, kind state.Kind, id string) error {
	_, err := p.call(ctx, wireCall{Verb: "delete", Kind: kind, ID: id})
	return err
}

// Dump implements provider.Dumper: both processes are on this machine.
func (p *remoteProvider) Dump(ctx context.Context, id, path string) error {
	_, err := p.call(ctx, wireCall{Verb: "dump", ID: id, Path: path})
	return err
}
