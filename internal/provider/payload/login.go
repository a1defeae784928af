package payload

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

const (
	// lockTime is how long Payload locks a user (auth.lockTime, if nobody changed it).
	lockTime  = 10 * time.Minute
	maxLocked = 1000 // users that are known to be locked
	// controlPassword goes with an address that nobody has.
	controlPassword = "nobody has this one"
)

// login tries a pair once. It is never repeated, though it changes nothing: a wrong pair
// counts. status 0: no answer that says something.
func (s site) login(ctx context.Context, in pair, t target) (user string, status int, a httpapi.Answer) {
	var out entrance
	a, err := s.ask(ctx, httpapi.Call{Op: "create", Method: http.MethodPost, Path: s.collection + "/login", In: in, Out: &out})
	if err != nil {
		return "", 0, a
	}
	return out.user(t), a.Status, a
}

// whose says whether the wish's user is there. At most one login at its address, and one at
// an address that nobody has.
func (s site) whose(ctx context.Context, op string, t target) (user string, ours bool, err error) {
	if until := s.p.lockedUntil(s, t); !until.IsZero() {
		return "", false, s.lockedError(op, until)
	}
	user, status, a := s.login(ctx, pair{t.id.email, t.password.Reveal()}, t)
	switch {
	case status == http.StatusOK && user != "":
		return user, true, nil
	case status == http.StatusUnauthorized:
		return "", false, s.wrongOrLocked(ctx, op, t, a)
	case status == http.StatusTooManyRequests:
		return "", false, s.late(op, a)
	case status == http.StatusForbidden:
		return "", false, fail(provider.Invalid, op, fmt.Sprintf("%s has users and lets ours not log in (403): is his address not verified, or are passwords off in its collection?", s.host), nil)
	case status == http.StatusBadRequest, status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return "", false, fail(provider.Invalid, op, fmt.Sprintf("%s has users, and nobody can log in with an address and a password (%d)", s.host, status), nil)
	}
	return "", false, fail(provider.Transient, op, fmt.Sprintf("%s has users, and a login that would tell whose they are came to no answer that says it", s.host), nil)
}

// wrongOrLocked tells a wrong pair (nil) from a user that is locked: Payload has one status
// for both. What the site says is compared with what it says to a pair that is wrong for
// certain.
func (s site) wrongOrLocked(ctx context.Context, op string, t target, a httpapi.Answer) error {
	_, status, control := s.login(ctx, pair{"nobody." + strings.ToLower(t.id.collection) + "@reconciler.invalid", controlPassword}, t)
	said, plainly := complaints(a.Body)
	compared, too := complaints(control.Body)
	switch {
	case status == http.StatusTooManyRequests:
		return s.late(op, control)
	case status != http.StatusUnauthorized || !plainly || !too:
		return fail(provider.Transient, op, s.host+" has users, and its answers to a login do not tell whose they are", nil)
	case slices.Equal(said, compared):
		return nil
	}
	until := s.p.now().Add(lockTime)
	s.p.lock(s, t, until)
	return s.lockedError(op, until)
}

func (s site) lockedError(op string, until time.Time) error {
	e := fail(provider.Transient, op, fmt.Sprintf("a user of %s is locked at present by too many wrong passwords; it is asked again after %s", s.host, until.UTC().Format("15:04 MST")), nil)
	e.Until = until
	return e
}

// complaint is an error of Payload's.
type complaint struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// complaints are an answer's errors; false when it has none in Payload's form.
func complaints(body []byte) ([]complaint, bool) {
	var said struct {
		Errors []complaint `json:"errors"`
	}
	if json.Unmarshal(body, &said) != nil {
		return nil, false
	}
	return said.Errors, len(said.Errors) > 0
}

func (s site) user(t target) string {
	return s.client.Base + s.collection + " " + strings.ToLower(t.id.email)
}

// lock remembers that a user is locked. Of more than maxLocked the rest is asked again.
func (p *Provider) lock(s site, t target, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	maps.DeleteFunc(p.locked, func(_ string, at time.Time) bool { return !at.After(now) })
	if len(p.locked) < maxLocked {
		p.locked[s.user(t)] = until
	}
}

// lockedUntil is when a locked user may be asked again; zero: at once.
func (p *Provider) lockedUntil(s site, t target) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := p.locked[s.user(t)]
	if !until.After(p.now()) {
		return time.Time{}
	}
	return until
}

func (p *Provider) isLocked(s site, t target) bool { return !p.lockedUntil(s, t).IsZero() }
