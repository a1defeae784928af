package payload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "payload"

const (
	callTime = time.Minute // of one call, where Options.HTTP has no limit of its own
	listLag  = time.Minute // see doc.go
)

// Options are what a Provider needs.
type Options struct {
	// HTTP makes the calls. Its transport decides which addresses may be reached: the wiring
	// gives one that refuses private ones at dial. Its jar and its redirects are not used.
	HTTP *http.Client
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Where says at which address the site of an id answers now, "" where nobody knows. It is
	// asked for looks by id. nil: nobody knows.
	Where func(ctx context.Context, site string) (address string, err error)
}

// Provider registers first users. Make it with New.
type Provider struct {
	http  *http.Client
	now   func() time.Time
	where func(ctx context.Context, site string) (string, error)

	locked times // users at a site, who are not asked until then
	wrong  times // passwords that are not theirs, which are not tried until then
}

var _ provider.Provider = (*Provider)(nil)

// New makes a provider.
func New(o Options) (*Provider, error) {
	if o.HTTP == nil {
		return nil, errors.New("open payload: an HTTP client is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Where == nil {
		o.Where = func(context.Context, string) (string, error) { return "", nil }
	}
	client := *o.HTTP
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if client.Timeout == 0 {
		client.Timeout = callTime
	}
	return &Provider{http: &client, now: o.Now, where: o.Where}, nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindAdmin: {Replace: []string{"collection", "database"}, Once: []string{"email", "password", "url"}, UniqueName: true, ListLag: listLag,
		ObserveCalls: 1, CreateCalls: 3, UpdateCalls: 1, DeleteCalls: 0}}
}

func fail(kind provider.ErrorKind, op, message string, cause error) *provider.Error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: message, Err: cause}
}

// ready refuses what cannot be done before anything is.
func ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if kind != state.KindAdmin {
		return fail(provider.Unsupported, op, fmt.Sprintf("kind %s is not made here", provider.Line(string(kind), maxShown)), nil)
	}
	return nil
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	const op = "observe"
	if err := ready(ctx, op, q.Kind); err != nil {
		return nil, err
	}
	if q.ID != "" {
		return p.byID(ctx, q)
	}
	if q.Wish != nil && !slices.ContainsFunc(q.Wish.Inputs, func(in provider.Input) bool { return in.Name == "url" }) {
		return nil, nil // where it was to be made is gone: see the package's words on looks
	}
	if q.Wish == nil || q.Wish.Get("url") == "" {
		_, problem := addressOf("")
		return nil, fail(provider.Invalid, op, "whether the user is there only its site can say; "+problem, nil)
	}
	made := q.Wish.Get("password") != "" // sealed before it is sent: without one no user of ours was ever made
	t, err := wished(op, *q.Wish, made)
	if err != nil || !made {
		return nil, err
	}
	s := p.siteOf(t)
	there, err := s.initialized(ctx, op)
	if err != nil || !there {
		return nil, err
	}
	user, ours, err := s.whose(ctx, op, t)
	if err != nil || !ours {
		return nil, err
	}
	return []provider.Object{t.id.of(user).object()}, nil
}

// byID says what an id says, unless its site says that there is no user at all.
func (p *Provider) byID(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	const op = "observe"
	id, ok := parseID(q.ID)
	if !ok {
		return nil, nil
	}
	text := ""
	if q.Wish != nil {
		text = q.Wish.Get("url")
	}
	if text == "" {
		var err error
		if text, err = p.where(ctx, id.site); err != nil {
			return nil, fail(provider.Transient, op, "where the site answers is not known for now", err)
		}
	}
	if text != "" {
		address, problem := addressOf(text)
		if problem != "" {
			return nil, fail(provider.Invalid, op, problem, nil)
		}
		if there, err := p.site(address, id).initialized(ctx, op); err != nil || !there {
			return nil, err
		}
	}
	return []provider.Object{id.object()}, nil
}

// Owned implements provider.Reader: users bear no mark.
func (p *Provider) Owned(ctx context.Context, _ string) ([]provider.Object, error) {
	return nil, ready(ctx, "observe", state.KindAdmin)
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	const op = "create"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	t, err := wished(op, w, true)
	if err != nil {
		return provider.Object{}, err
	}
	s := p.siteOf(t)
	there, err := s.initialized(ctx, op)
	if err != nil {
		return provider.Object{}, err
	}
	if there {
		return provider.Object{}, s.taken(ctx, op, t)
	}
	user, err := s.register(ctx, op, t)
	if err != nil {
		return provider.Object{}, err
	}
	o := t.id.of(user).object()
	var unsent *provider.Error
	if errors.As(s.forgot(ctx, op, t.id.email), &unsent) { // he is there, and can ask for himself
		o.Message = "the site may have sent no mail with the way to a password (" + unsent.Message + "): its owner asks for one at the login"
	}
	return o, nil
}

// Update implements provider.Provider. It changes nothing at the site: it says whether there is
// still a user at all. His address and password are his to change.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	have, ok := parseID(id)
	if !ok {
		return provider.Object{}, fail(provider.NotFound, op, fmt.Sprintf("the user %s is not here", provider.Line(id, maxShown)), nil)
	}
	t, err := wished(op, w, false)
	if err != nil {
		return provider.Object{}, err
	}
	if t.id.collection != have.collection {
		return provider.Object{}, fail(provider.Invalid, op, "a user stays in its collection; another one has to be made", nil)
	}
	if t.address.host != "" {
		there, err := p.siteOf(t).initialized(ctx, op)
		if err != nil {
			return provider.Object{}, err
		}
		if !there {
			return provider.Object{}, fail(provider.NotFound, op, "the site has no user", nil)
		}
	}
	return have.object(), nil
}

// Delete implements provider.Provider: the user stays in its database, and goes with it.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, _ string) error {
	return ready(ctx, "delete", kind)
}

// ForgotPassword lets the site of a wish send its user a mail with a way to a new password.
// Success says that it was asked, not that a mail was sent: Payload answers the same for an
// address that nobody has, and for a second time within 15 s. Of the inputs url, email, api
// and collection are read.
func (p *Provider) ForgotPassword(ctx context.Context, w provider.Wish) error {
	const op = "update"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return err
	}
	t, err := wished(op, w, false)
	if err != nil {
		return err
	}
	if t.address.host == "" {
		return fail(provider.Invalid, op, "no address of the site is given", nil)
	}
	return p.siteOf(t).forgot(ctx, op, t.id.email)
}
