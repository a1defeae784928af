package payload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

const (
	// lockTime is how long Payload locks a user (auth.lockTime, if nobody changed it).
	lockTime = 10 * time.Minute
	// maxLocked is how many users are known to be locked, and how many passwords to be wrong.
	maxLocked = 1000
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
// an address that nobody has; none while a wrong password is known to be one, since wrong ones
// lock whoever is there.
func (s site) whose(ctx context.Context, op string, t target) (user string, ours bool, err error) {
	if until := s.p.locked.until(s.user(t), s.p.now()); !until.IsZero() {
		return "", false, s.lockedError(op, until)
	}
	if !s.p.wrong.until(s.pair(t), s.p.now()).IsZero() {
		return "", false, nil
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
		s.p.wrong.note(s.pair(t), s.p.now(), lockTime)
		return nil
	}
	return s.lockedError(op, s.p.locked.note(s.user(t), s.p.now(), lockTime))
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

// pair names a user together with our password, which it does not hold.
func (s site) pair(t target) string {
	sum := sha256.Sum256([]byte(t.password.Reveal()))
	return s.user(t) + " " + hex.EncodeToString(sum[:])
}

// times are what counts until some time. Of more than maxLocked the rest is asked again.
type times struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (x *times) note(what string, now time.Time, d time.Duration) (until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	maps.DeleteFunc(x.at, func(_ string, at time.Time) bool { return !at.After(now) })
	until = now.Add(d)
	if x.at == nil {
		x.at = map[string]time.Time{}
	}
	if len(x.at) < maxLocked {
		x.at[what] = until
	}
	return until
}

// forget ends it.
func (x *times) forget(what string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.at, what)
}

// until is when that is over; zero: it doesn't count. A clock that was set back ends it.
func (x *times) until(what string, now time.Time) time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := x.at[what]
	if !at.After(now) || at.Sub(now) > lockTime {
		return time.Time{}
	}
	return at
}
