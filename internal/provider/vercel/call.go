package vercel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// The words of an error's Op.
const (
	observing = "observe"
	creating  = "create"
	updating  = "update"
	deleting  = "delete"
)

// Limits.
const (
	pageSize = 100 // the most that a list gives at once
	maxPages = 500 // of one list
	atOnce   = 4   // projects whose inside Owned reads side by side
	// frontReadings is how often the front of a list of projects that moves is read.
	frontReadings = 6
	maxID         = 120 // characters of an id or a name in a path
	maxTeams      = 20  // in which a project that is not there is looked for
)

// ofTeam is the parameter that says whose an object is.
const ofTeam = "teamId"

// do makes one call for the team.
func (p *Provider) do(ctx context.Context, k httpapi.Call, out any) error {
	if k.Out = out; out == nil { // else what is missing in the answer says so
		k.Failed = saysError
	}
	err := p.asked(ctx, k)
	if isGone(err) {
		return p.unlessElsewhere(ctx, k, err)
	}
	return err
}

func (p *Provider) asked(ctx context.Context, k httpapi.Call) error {
	return p.limitedCall(k, func(k httpapi.Call) error {
		_, err := p.api.Do(ctx, k)
		return err
	})
}

// unlessElsewhere looks for a project, or a deployment, that is not there among what else the token sees: that of another
// team, and of no team. Whoever is asked in the wrong one says 404 of each project, and what is only out of sight is not gone: it
// would be made a second time, or taken off the record while it serves. A token that may not list teams sees no others.
func (p *Provider) unlessElsewhere(ctx context.Context, k httpapi.Call, gone error) error {
	what, at := "project", strings.TrimSuffix(k.Path, "/env")
	id := path.Base(at)
	switch {
	case isProject(id):
		at = projectPath("v9", id)
	case strings.HasPrefix(at, "/v13/deployments/"):
		what = "deployment"
	default:
		return gone
	}
	var a struct {
		Teams []struct{ ID, Name string }
	}
	err := p.asked(ctx, httpapi.Call{Op: k.Op, Method: http.MethodGet, Path: "/v2/teams", Query: url.Values{"limit": {strconv.Itoa(maxTeams)}}, Out: &a})
	switch kind := provider.KindOf(err); {
	case err != nil && kind != provider.Denied && kind != provider.NotFound:
		return before(err)
	case err == nil && a.Teams == nil:
		return noList(k.Op, "/v2/teams")
	case p.team != "":
		a.Teams = append(a.Teams, struct{ ID, Name string }{Name: "no team"})
	}
	for _, team := range a.Teams[:min(len(a.Teams), maxTeams+1)] {
		if team.ID == p.team {
			continue
		}
		var x struct{ ID string }
		err := p.asked(ctx, httpapi.Call{Op: k.Op, Method: http.MethodGet, Path: at, Query: url.Values{ofTeam: {team.ID}}, Out: &x})
		switch kind := provider.KindOf(err); {
		case err == nil && x.ID == id && team.ID == "":
			return refuse(k.Op, provider.Denied, "the %s %s is one of no team, and is asked for in the team %s: take providers.vercel.teamID out", what, id, p.team)
		case err == nil && x.ID == id:
			return refuse(k.Op, provider.Denied, "the %s %s is in the team %q, where it is not asked for: set providers.vercel.teamID to %s", what, id, team.Name, team.ID)
		case err != nil && kind != provider.Denied && kind != provider.NotFound:
			return before(err)
		}
	}
	return gone
}

// limitedCall lets a call for the team go out unless its endpoint is at its limit.
func (p *Provider) limitedCall(k httpapi.Call, call func(httpapi.Call) error) error {
	q := url.Values{}
	maps.Copy(q, k.Query)
	// The user's own address takes no team, nor does the list of teams, and a team's names its own.
	switch {
	case q.Has(ofTeam) && q.Get(ofTeam) == "":
		q.Del(ofTeam)
	case !q.Has(ofTeam) && p.team != "" && k.Path != "/v2/user" && k.Path != "/v2/teams" && !strings.HasPrefix(k.Path, "/v2/teams/"):
		q.Set(ofTeam, p.team)
	}
	k.Query = q
	at := endpoint(k.Method, k.Path)
	if err := p.limited(at, k.Op); err != nil {
		return err
	}
	err := call(k)
	if until := provider.UntilOf(err); !until.IsZero() && provider.KindOf(err) == provider.RateLimited {
		p.mu.Lock()
		p.until[at] = until
		p.mu.Unlock()
	}
	return err
}

// limited says that an endpoint asked for a pause which is not over: no call goes out. Its
// limits are for each endpoint, so that one at its limit stops no other.
func (p *Provider) limited(at, op string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := p.until[at]
	if !p.now().Before(until) {
		delete(p.until, at)
		return nil
	}
	return &provider.Error{Kind: provider.RateLimited, Provider: Name, Op: op, Until: until, Message: "it asked for a pause of " + at + " until " + until.UTC().Format("15:04:05 MST")}
}

// endpoint is what a limit counts: a method and a path without ids.
func endpoint(method, path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		switch part {
		case "", "aliases", "deployments", "domains", "env", "events", "link", "move", "pause", "projects", "promote", "rollback", "teams", "unpause", "user", "verify":
		default:
			if i != 1 { // the version
				parts[i] = "*"
			}
		}
	}
	return method + " " + strings.Join(parts, "/")
}

// refusal is the body of an error: vercel.com/docs/rest-api/errors.
type refusal struct {
	Error struct {
		Code         string `json:"code"`
		Message      string `json:"message"`
		InvalidToken bool   `json:"invalidToken"`
		Limit        struct {
			Reset float64 `json:"reset"` // epoch seconds
		} `json:"limit"`
	} `json:"error"`
}

// saysError says that an answer of success is a refusal all the same.
func saysError(a httpapi.Answer) bool {
	var r refusal
	return json.Unmarshal(a.Body, &r) == nil && r.Error.Code != ""
}

// errPlan is the cause of what an account's plan does not have, or a payment that it owes.
var errPlan = errors.New("the plan of the account does not have it")

// classify gives the meaning of a refused call, by status and code.
func classify(a httpapi.Answer) *provider.Error {
	if a.Status < 300 {
		return classifyFailed(a)
	}
	var r refusal
	_ = json.Unmarshal(a.Body, &r) // a page has no words of Vercel's
	e := &provider.Error{Message: r.Error.Message, Code: r.Error.Code}
	switch {
	case a.Status == http.StatusTooManyRequests:
		e.Until = resetOf(r.Error.Limit.Reset, a.Header)
	case a.Status == http.StatusPaymentRequired:
		// It is about this wish (a quota, a feature of a plan), and others may go on.
		e.Kind, e.Err = provider.Invalid, errPlan
	case r.Error.InvalidToken, a.Status == http.StatusUnauthorized:
		e.Kind = provider.Denied
		e.Message = join("the token of providers.vercel is not accepted", r.Error.Message)
	case a.Status == http.StatusForbidden && r.Error.Code == "ENV_ALREADY_EXISTS":
		e.Kind = provider.Conflict
	case a.Status == http.StatusForbidden:
		e.Message = join("the token may not do this: it has to be of the team in providers.vercel.teamID", r.Error.Message)
	}
	return e
}

func join(ours, theirs string) string {
	if theirs == "" {
		return ours
	}
	return ours + "; it says: " + theirs
}

// resetOf is when a limit is over: error.limit.reset, or the header of the same.
func resetOf(seconds float64, h http.Header) time.Time {
	if seconds == 0 {
		seconds, _ = strconv.ParseFloat(h.Get("X-RateLimit-Reset"), 64) // 0 where there is none
	}
	if seconds <= 0 || seconds > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

func refuse(op string, kind provider.ErrorKind, format string, a ...any) error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: provider.Line(fmt.Sprintf(format, a...), maxMessage)}
}

func unsupported(op string, kind state.Kind) error {
	return refuse(op, provider.Unsupported, "it keeps no %s", kind)
}

// isGone says that a call's object is not there.
func isGone(err error) bool { return err != nil && provider.KindOf(err) == provider.NotFound }

// say puts a sentence in front of a refusal that is about who we are; any other error stays.
func say(err error, sentence string) error {
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != provider.Denied && e.Kind != provider.NotFound {
		return err
	}
	out := *e
	out.Kind, out.Message = provider.Denied, provider.Line(join(sentence, e.Message), maxMessage)
	return &out
}

// tell puts a sentence in front of a refusal.
func tell(err error, sentence string) error {
	var e *provider.Error
	if !errors.As(err, &e) {
		return err
	}
	out := *e
	out.Message = provider.Line(join(sentence, e.Message), maxMessage)
	return &out
}

// as gives an error another kind, where the vendor's own status does not mean what it
// usually does.
func as(err error, from, to provider.ErrorKind) error {
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != from {
		return err
	}
	out := *e
	out.Kind = to
	return &out
}

// maxMessage bounds our own words with theirs in them, in characters.
const maxMessage = 400

// before says of a failure that what it led up to was not begun.
func before(err error) error { return as(err, provider.Uncertain, provider.Transient) }

// isWord says that a text can be one part of a path: an id, a name, a host.
func isWord(s string) bool {
	if s == "" || len(s) > maxID && !strings.Contains(s, ".") || len(s) > 253 || strings.Trim(s, ".") == "" {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

func isProject(id string) bool    { return strings.HasPrefix(id, "prj_") && isWord(id) }
func isDeployment(id string) bool { return strings.HasPrefix(id, "dpl_") && isWord(id) }

// page is what every list says of the next one.
type page struct {
	Next token `json:"next"`
}

// token is a place in a list: a number, or a text where it is a continuation token.
type token string

// UnmarshalJSON implements json.Unmarshaler.
func (t *token) UnmarshalJSON(data []byte) error {
	text := strings.TrimSpace(string(data))
	if text == "null" {
		*t = ""
		return nil
	}
	if strings.HasPrefix(text, `"`) {
		return json.Unmarshal(data, (*string)(t))
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	*t = token(n.String())
	return nil
}

// noList is the error of an answer that has no list where one belongs: of what is there it says nothing, least of all that
// nothing is.
func noList(op, path string) error {
	return refuse(op, provider.Transient, "its answer of %s has no list", path)
}

// all reads the pages of a list. take reads one answer and returns where the next begins; ok is false where it has no list.
func (p *Provider) all(ctx context.Context, path string, query url.Values, more string, out func() (answer any, take func() (next token, ok bool))) error {
	q := url.Values{}
	maps.Copy(q, query)
	q.Set("limit", strconv.Itoa(pageSize))
	seen := map[token]bool{}
	for range maxPages {
		answer, take := out()
		if err := p.do(ctx, httpapi.Call{Op: observing, Method: http.MethodGet, Path: path, Query: q}, answer); err != nil {
			return err
		}
		next, ok := take()
		if !ok {
			return noList(observing, path)
		}
		if next == "" {
			return nil
		}
		if seen[next] {
			return refuse(observing, provider.Transient, "its list of %s leads in a circle", path)
		}
		seen[next] = true
		q.Set(more, string(next))
	}
	return refuse(observing, provider.Transient, "its list of %s has more than %d pages", path, maxPages)
}

// text is an input that is no secret.
func text(name, value string) provider.Input { return provider.Input{Name: name, Text: value} }

// object is what every object has.
func object(kind state.Kind, id, name string, mark provider.Mark) provider.Object {
	return provider.Object{ID: id, Kind: kind, Name: name, Mark: mark, Phase: provider.Ready, Outputs: []provider.Output{{Name: "id", Text: id}}}
}
