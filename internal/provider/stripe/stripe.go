package stripe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "stripe"

// URL is where Stripe's API is (docs.stripe.com/api).
const URL = "https://api.stripe.com"

// Version is the version of the API whose shapes are read here: the one of the published
// description. It is sent with every call, whatever version the platform is pinned to.
const Version = "2026-08-26.dahlia"

// KindPayments is the kind that this provider keeps: a client's account for taking money.
const KindPayments = state.KindPayments

// The verbs, as errors name them.
const (
	opObserve = "observe"
	opCreate  = "create"
	opUpdate  = "update"
	opDelete  = "delete"
	opLink    = "link"
)

// listLag is how late lists may be. Stripe says nothing of it.
const listLag = time.Minute

// Limits.
const (
	pageSize = 100     // accounts of a page, Stripe's most
	maxPages = 1000    // of one list
	maxName  = 200     // bytes of a name: an idempotency key may have 255 characters
	maxText  = 500     // bytes of an attribute: of a value of metadata, Stripe's most
	maxURL   = 4 << 10 // bytes of an address
	maxShown = 120     // characters of text from outside in a message
)

// Options say which platform is meant.
type Options struct {
	Key state.Secret // a secret or a restricted key of the platform's
	URL string       // "": URL
	// Platform is the platform's own account. With it an account to which Stripe gives no
	// access is believed to be gone, once the key was seen to be that platform's. "": it is
	// reported as Failed, for the key may be another platform's.
	Platform string
	HTTP     *http.Client // of httpapi.NewHTTP
	Now      func() time.Time
	Random   io.Reader // of the keys of calls that are never repeated; nil: crypto/rand
}

// Provider keeps accounts of one Connect platform. Make it with New.
type Provider struct {
	api      *httpapi.Client
	now      func() time.Time
	platform string
	plain    bool // the API is not spoken to by TLS: a simulated one

	mu     sync.Mutex
	random io.Reader
	seen   bool // the key is the platform's
}

var _ provider.Provider = (*Provider)(nil)

// New returns a provider. It asks nothing.
func New(o Options) (*Provider, error) {
	switch {
	case o.Key.Empty() || o.HTTP == nil || o.Now == nil:
		return nil, errors.New("open stripe: a key, a client and a clock are needed")
	case o.Platform != "" && !isAccount(o.Platform):
		return nil, errors.New("open stripe: the platform is an id that begins with acct_")
	}
	if o.URL == "" {
		o.URL = URL
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	p := &Provider{now: o.Now, platform: o.Platform, plain: strings.HasPrefix(o.URL, "http://"), random: o.Random}
	p.api = &httpapi.Client{Provider: Name, Base: strings.TrimSuffix(o.URL, "/"), Token: o.Key, HTTP: o.HTTP, Now: o.Now, Classify: classify}
	return p, nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider. See testdata/calls.golden. The name is unique for a
// day only, and so is not said to be.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{KindPayments: {
		Replace: []string{"country"}, Data: true, Marks: true, ListLag: listLag, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 2, DeleteCalls: 0,
	}}
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if err := p.ready(ctx, opObserve, q.Kind); err != nil {
		return nil, err
	}
	if q.ID != "" {
		return p.byID(ctx, q.ID)
	}
	if q.Name == "" {
		return nil, nil
	}
	return p.listed(ctx, func(a account) bool { return a.Metadata[keyName] == q.Name })
}

// Owned implements provider.Reader.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if err := p.ready(ctx, opObserve, KindPayments); err != nil || installation == "" {
		return nil, err
	}
	return p.listed(ctx, func(a account) bool { return a.mark().Installation == installation })
}

// Create implements provider.Provider. Its key is made of the name alone: whatever is sent for
// this name within a day makes one account. What an earlier call made, or asked for in other
// words, is a Conflict: the account is found by its name.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	if err := p.ready(ctx, opCreate, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	form, err := p.wished(opCreate, w)
	if err != nil {
		return provider.Object{}, err
	}
	var a account
	answer, err := p.api.Do(ctx, httpapi.Call{Op: opCreate, Method: http.MethodPost, Path: accountsPath, Header: header(accountKey(w.Name)), In: form.created(), Out: &a})
	switch {
	case err != nil:
		return provider.Object{}, err
	case answer.Header.Get(replayed) == "true":
		return provider.Object{}, p.fail(provider.Conflict, opCreate, "an earlier call made an account of this name"+freeAgain, nil)
	case !a.good():
		return provider.Object{}, p.odd(opCreate)
	}
	return a.object(), nil
}

// freeAgain is what to do where that account does not show: Stripe remembers the call, whatever became of the account.
const freeAgain = " (where that account was closed, Stripe makes another one a day after the first call, and no sooner)"

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	if err := p.ready(ctx, opUpdate, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	wished, err := p.wished(opUpdate, w)
	if err != nil {
		return provider.Object{}, err
	}
	a, err := p.mustGet(ctx, opUpdate, id)
	if err != nil {
		return provider.Object{}, err
	}
	if m := a.mark(); !m.IsZero() && (m.Installation != w.Mark.Installation || m.Client != w.Mark.Client) {
		return provider.Object{}, p.fail(provider.Invalid, opUpdate, "account "+id+" is marked as another client's: an account of money never changes hands", nil)
	}
	if a.Country != wished.country {
		return provider.Object{}, p.fail(provider.Invalid, opUpdate, fmt.Sprintf("account %s is in %s and can't move to %s: Stripe sets the country once", id, shown(a.Country), wished.country), nil)
	}
	form := wished.changes(a)
	if len(form) == 0 {
		return a.object(), nil
	}
	if a, err = p.post(ctx, opUpdate, id, form); err != nil {
		return provider.Object{}, err
	}
	return a.object(), nil
}

// Delete implements provider.Provider: it calls nothing and succeeds.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, _ string) error {
	return p.ready(ctx, opDelete, kind)
}

// whose asks who the key is of: the platform's id. Its error is a *provider.Error.
func (p *Provider) whose(ctx context.Context) (string, error) {
	var own account
	if _, err := p.api.Do(ctx, httpapi.Call{Op: opObserve, Method: http.MethodGet, Path: "/v1/account", Header: header(""), Out: &own}); err != nil {
		return "", err
	}
	switch {
	case !own.good():
		return "", p.odd(opObserve)
	case p.platform != "" && own.ID != p.platform:
		return own.ID, p.fail(provider.Denied, opObserve, "the key is of "+own.ID+", not of the platform "+p.platform, nil)
	}
	return own.ID, nil
}

// ready refuses what can't be done before anything is.
func (p *Provider) ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return p.fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if kind != KindPayments {
		return p.fail(provider.Unsupported, op, fmt.Sprintf("kind %s is not kept here", shown(string(kind))), nil)
	}
	return nil
}

func (p *Provider) fail(kind provider.ErrorKind, op, message string, cause error) *provider.Error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: message, Err: cause}
}

// odd is the error of an answer that is none: of a write nobody knows what it did.
func (p *Provider) odd(op string) error {
	kind := provider.Transient
	if op != opObserve {
		kind = provider.Uncertain
	}
	return p.fail(kind, op, "its answer is not what was asked for", nil)
}

// fresh returns a key that no other call has.
func (p *Provider) fresh(op, id string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b [16]byte
	if _, err := io.ReadFull(p.random, b[:]); err != nil {
		return "", p.fail(provider.Transient, op, "there is no randomness for an idempotency key", err)
	}
	return keyWord + op + "/" + id + "/" + hex.EncodeToString(b[:]), nil
}

// keyWord begins all our idempotency keys.
const keyWord = "reconciler/"

func accountKey(name string) string { return keyWord + "account/" + name }

// replayed is the header of an answer that is an earlier one's.
const replayed = "Idempotent-Replayed"

// header is what every call bears; key is for those that write.
func header(key string) http.Header {
	h := http.Header{"Stripe-Version": {Version}}
	if key != "" {
		h.Set("Idempotency-Key", key)
	}
	return h
}

// shown makes text from outside fit for a message.
func shown(s string) string { return provider.Line(s, maxShown) }

// accountID is what an id of an account looks like: nothing else is asked for.
var accountID = regexp.MustCompile(`^acct_[A-Za-z0-9]{1,64}$`)

func isAccount(id string) bool { return accountID.MatchString(id) }
