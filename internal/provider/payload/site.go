package payload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

// maxFields is how many names of fields a message has.
const maxFields = 8

// site is one that is asked.
type site struct {
	p          *Provider
	host       string
	client     httpapi.Client
	collection string // its address below the base
	page       string // one that it has when it is up
}

func (p *Provider) site(a address, id identity) site {
	return site{p: p, host: a.host, page: "/", collection: id.api + "/" + id.collection,
		client: httpapi.Client{Provider: Name, Base: a.base, HTTP: p.http, Now: p.now}}
}

// ask makes one request. An error says that no whole answer came, or one of success that is
// not the JSON that was expected; every other answer is returned with its status.
func (s site) ask(ctx context.Context, k httpapi.Call) (httpapi.Answer, *provider.Error) {
	whole := false
	s.client.Classify = func(httpapi.Answer) *provider.Error { whole = true; return nil }
	a, err := s.client.Do(ctx, k)
	if err == nil || whole {
		return a, nil
	}
	var e *provider.Error
	if !errors.As(err, &e) {
		e = fail(provider.Uncertain, k.Op, "no answer came", err)
	}
	return a, e
}

// late is a site that is not to be asked for a moment. It is Transient, since a limit of one
// site is none of the others'.
func (s site) late(op string, a httpapi.Answer) *provider.Error {
	e := fail(provider.Transient, op, s.host+" asks for a pause", nil)
	e.Until = httpapi.After(a.Header, s.p.now())
	if most := s.p.now().Add(maxPause); e.Until.After(most) {
		e.Until = most
	}
	return e
}

// maxPause bounds what a site may ask for.
const maxPause = time.Hour

// read turns a failure of a call that changes nothing into one that says so.
func (s site) read(op, message string, e *provider.Error) *provider.Error {
	out := fail(provider.Transient, op, message, e)
	switch { // what the transport below refused it has said itself
	case e.Kind == provider.Invalid, e.Kind == provider.Unsupported:
		out.Kind, out.Message = e.Kind, provider.Line(e.Message, maxShown)
	case e.Kind != provider.Uncertain:
		out.Until = e.Until
	}
	return out
}

// initialized asks whether the site has a user.
func (s site) initialized(ctx context.Context, op string) (bool, error) {
	var out struct {
		Initialized *bool `json:"initialized"`
	}
	a, err := s.ask(ctx, httpapi.Call{Op: "observe", Method: http.MethodGet, Path: s.collection + "/init", Out: &out})
	switch {
	case err != nil && a.Status == 0:
		return false, s.read(op, s.host+" does not answer", err)
	case err != nil, a.Status == http.StatusOK && out.Initialized == nil:
		return false, fail(provider.Transient, op, s.host+" is not up yet: its answer is not Payload's", cause(err))
	case a.Status == http.StatusOK:
		return *out.Initialized, nil
	case a.Status == http.StatusNotFound:
		return false, s.missing(ctx, op)
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden, a.Status == http.StatusProxyAuthRequired:
		return false, fail(provider.Invalid, op, fmt.Sprintf("%s lets nobody ask (%d); if its host protects addresses of deployments, take that off for this site", s.host, a.Status), nil)
	case a.Status == http.StatusTooManyRequests:
		return false, s.late(op, a)
	case a.Status >= 300 && a.Status < 400:
		return false, fail(provider.Transient, op, fmt.Sprintf("%s leads elsewhere (%d), and is not followed", s.host, a.Status), nil)
	}
	return false, fail(provider.Transient, op, fmt.Sprintf("%s is not up yet (%d)", s.host, a.Status), nil)
}

// cause is an error that may be none: a nil *provider.Error is no nil error.
func cause(e *provider.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// missing is a site where `init` is not: it is up and has none, or it is not up.
func (s site) missing(ctx context.Context, op string) error {
	a, err := s.ask(ctx, httpapi.Call{Op: "observe", Method: http.MethodGet, Path: s.page})
	switch {
	case err != nil && a.Status == 0:
		return s.read(op, s.host+" does not answer", err)
	case a.Status >= 200 && a.Status < 400:
		return fail(provider.Unsupported, op, fmt.Sprintf("%s is up and has no %s/init: is this Payload, and is its API under another path or its collection of users another one?", s.host, s.collection), nil)
	}
	return fail(provider.Transient, op, fmt.Sprintf("%s is not up yet (404)", s.host), nil)
}

// siteOf is the site of a wish: its administration is a page that it has.
func (p *Provider) siteOf(t target) site {
	s := p.site(t.address, t.id)
	if t.page != "" {
		s.page = t.page
	}
	return s
}

// entrance is what first-register and login answer. Their token is not read.
type entrance struct {
	User struct {
		ID    json.RawMessage `json:"id"`
		Email *string         `json:"email"`
	} `json:"user"`
}

// user is the id of who entered, "" when the answer does not name ours.
func (e entrance) user(t target) string {
	var id string
	if json.Unmarshal(e.User.ID, &id) != nil {
		var n json.Number
		if json.Unmarshal(e.User.ID, &n) != nil {
			return ""
		}
		id = n.String()
	}
	if !plainUser(id) || strings.Contains(id, t.password.Reveal()) || e.User.Email != nil && !same(*e.User.Email, t.id.email) {
		return ""
	}
	return id
}

type pair struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// register makes the first user, and returns its id.
func (s site) register(ctx context.Context, op string, t target) (string, error) {
	var out entrance
	s.p.wrong.forget(s.pair(t)) // of somebody who was there before
	a, err := s.ask(ctx, httpapi.Call{Op: "create", Method: http.MethodPost, Path: s.collection + "/first-register", In: pair{t.id.email, t.password.Reveal()}, Out: &out})
	switch {
	case err != nil && err.Kind != provider.Uncertain:
		return "", s.read(op, s.host+" can't be reached", err)
	case err != nil:
		return s.lost(ctx, op, t, "no answer of "+s.host+" came, or none that says something", err)
	case a.Status == http.StatusOK:
		if user := out.user(t); user != "" {
			return user, nil
		}
		return s.lost(ctx, op, t, s.host+" says yes and does not name the user", nil)
	case a.Status == http.StatusBadRequest, a.Status == http.StatusForbidden:
		return "", s.refused(ctx, op, t, a)
	case a.Status == http.StatusTooManyRequests:
		return "", s.late(op, a)
	case a.Status == http.StatusNotFound, a.Status == http.StatusMethodNotAllowed:
		return "", fail(provider.Unsupported, op, fmt.Sprintf("%s has no %s/first-register (%d)", s.host, s.collection, a.Status), nil)
	case a.Status > 400 && a.Status < 500 && a.Status != http.StatusRequestTimeout:
		return "", fail(provider.Invalid, op, fmt.Sprintf("%s refuses to register its first user (%d)", s.host, a.Status), nil)
	}
	return s.lost(ctx, op, t, fmt.Sprintf("%s answered %d", s.host, a.Status), nil)
}

// lost looks once whether a user whom no answer confirmed is there. Where that does not show
// him he may be on his way still.
func (s site) lost(ctx context.Context, op string, t target, message string, e *provider.Error) (string, error) {
	if ctx.Err() == nil && s.p.locked.until(s.user(t), s.p.now()).IsZero() {
		if user, status, _ := s.login(ctx, pair{t.id.email, t.password.Reveal()}, t); status == http.StatusOK && user != "" {
			return user, nil
		}
	}
	return "", fail(provider.Uncertain, op, message, cause(e))
}

// refused is a first-register that was answered with 400 or 403: because somebody is there,
// or for a reason of the site.
func (s site) refused(ctx context.Context, op string, t target, a httpapi.Answer) error {
	there, err := s.initialized(ctx, op)
	switch {
	case err != nil:
		return err
	case there:
		return s.taken(ctx, op, t)
	case a.Status == http.StatusForbidden:
		return fail(provider.Unsupported, op, fmt.Sprintf("%s refuses a first user though it has none (403): are passwords off in its collection (auth.disableLocalStrategy)?", s.host), nil)
	}
	return fail(provider.Invalid, op, fmt.Sprintf("%s refuses the fields of its first user (400)%s; a user is made with an address and a password, and the site must ask for no more", s.host, wrongFields(a.Body, t)), nil)
}

// wrongFields names what a site calls wrong, as far as its names are plain.
func wrongFields(body []byte, t target) string {
	var said struct {
		Errors []struct {
			Data struct {
				Errors []struct {
					Path string `json:"path"`
				} `json:"errors"`
			} `json:"data"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	var names []string
	for _, e := range said.Errors {
		for _, f := range e.Data.Errors {
			if len(names) < maxFields && len(f.Path) <= maxUserID && plain(f.Path, "-_.") && !strings.Contains(f.Path, t.password.Reveal()) && !slices.Contains(names, f.Path) {
				names = append(names, f.Path)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}

// taken is a site that has a user: ours, by an earlier call, or a stranger.
func (s site) taken(ctx context.Context, op string, t target) error {
	_, ours, err := s.whose(ctx, op, t)
	switch {
	case err != nil:
		return err
	case ours:
		return fail(provider.Conflict, op, "the user is there already, by an earlier call", nil)
	}
	return fail(provider.Conflict, op, fmt.Sprintf("somebody else was first to register at %s, or a state that was lost made that user: find out who it was. Delete that user in the site's database, then `reconciler retry`; "+
		"or, if it is to stay, take `admin` off the template, or give the client an empty database", s.host), nil)
}

// forgot asks for a mail.
func (s site) forgot(ctx context.Context, op, email string) error {
	a, err := s.ask(ctx, httpapi.Call{Op: "update", Method: http.MethodPost, Path: s.collection + "/forgot-password", In: map[string]string{"email": email}})
	switch {
	case err != nil && err.Kind == provider.Uncertain:
		return fail(provider.Uncertain, op, "no answer of "+s.host+" came", err)
	case err != nil:
		return s.read(op, s.host+" can't be reached", err)
	case a.Status >= 200 && a.Status < 300:
		return nil
	case a.Status == http.StatusTooManyRequests:
		return s.late(op, a)
	case a.Status == http.StatusForbidden, a.Status == http.StatusNotFound:
		return fail(provider.Unsupported, op, fmt.Sprintf("%s sends nobody a new password (%d)", s.host, a.Status), nil)
	case a.Status >= 400 && a.Status < 500 && a.Status != http.StatusRequestTimeout:
		return fail(provider.Invalid, op, fmt.Sprintf("%s refuses to send a new password (%d)", s.host, a.Status), nil)
	}
	return fail(provider.Uncertain, op, fmt.Sprintf("%s answered %d", s.host, a.Status), nil)
}
