package railway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/pgmove"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "railway"

// URL is where Railway's public API is (docs.railway.com/integrations/api).
const URL = "https://backboard.railway.com/graphql/v2"

// Image is what a database runs: the image of Railway's own template, PostgreSQL with TLS.
const Image = "ghcr.io/railwayapp-templates/postgres-ssl:17"

// The verbs, as errors name them, and the operation that speaks of the token.
const (
	opObserve = "observe"
	opCreate  = "create"
	opUpdate  = "update"
	opDelete  = "delete"
	opToken   = "token"
)

// listLag is how late lists may be. Railway says nothing of it.
const listLag = time.Minute

// Limits.
const (
	maxName     = 200     // bytes of a project's name
	maxText     = 4 << 10 // bytes of an attribute, and of a connection URL
	maxID       = 64      // bytes of an id
	maxVolumeMB = 1 << 30 // more is no size
	maxShown    = 120     // characters of text from outside in a message
)

// Options say which account is meant.
type Options struct {
	Token state.Secret // of an account or a workspace
	URL   string       // "": URL
	// Workspace is its id or name. "": the token's only one.
	Workspace string
	HTTP      *http.Client // of httpapi.NewHTTP
	Now       func() time.Time
	// Sleep waits between looks at a backup that is being made.
	Sleep  func(context.Context, time.Duration) error
	Random io.Reader // of passwords; nil: crypto/rand
	// PgDump and PgRestore are the programs that write databases out and load them. "": those
	// found on the PATH.
	PgDump, PgRestore string
}

// Provider keeps databases at Railway. Make it with New.
type Provider struct {
	api    *httpapi.Client
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
	random io.Reader
	wanted string

	dumper, restorer string

	mu        sync.Mutex
	workspace string // its id, once it is known
	began     time.Time
	tried     map[attempt]trial // see unsure
}

var _ provider.Provider = (*Provider)(nil)

// New returns a provider. It asks nothing.
func New(o Options) (*Provider, error) {
	if o.Token.Empty() || o.HTTP == nil || o.Now == nil || o.Sleep == nil {
		return nil, errors.New("open railway: a token, a client, a clock and a way to wait are needed")
	}
	if o.URL == "" {
		o.URL = URL
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	p := &Provider{now: o.Now, sleep: o.Sleep, random: o.Random, wanted: o.Workspace, dumper: o.PgDump, restorer: o.PgRestore, began: o.Now(), tried: map[attempt]trial{}}
	p.api = &httpapi.Client{Provider: Name, Base: strings.TrimSuffix(o.URL, "/"), Token: o.Token, HTTP: o.HTTP, Now: o.Now, Classify: p.classify}
	return p, nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider. A database with public access costs the most calls:
// those are counted. See testdata/calls.golden.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindDatabase: {
		Data: true, Marks: true, Engine: pgmove.Engine, ListLag: listLag, ObserveCalls: 2, CreateCalls: 7, UpdateCalls: 4, DeleteCalls: 5,
	}}
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if err := p.ready(ctx, opObserve, q.Kind); err != nil {
		return nil, err
	}
	if q.ID != "" {
		return p.objects(ctx, []string{q.ID})
	}
	if q.Name == "" {
		return nil, nil
	}
	ids, err := p.listed(ctx, func(n projectShort) bool { return n.Name == q.Name })
	if err != nil {
		return nil, err
	}
	return p.objects(ctx, ids)
}

// Owned implements provider.Reader.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if err := p.ready(ctx, opObserve, state.KindDatabase); err != nil {
		return nil, err
	}
	if installation == "" {
		return nil, nil
	}
	ids, err := p.listed(ctx, func(n projectShort) bool {
		mark, _ := markIn(n.Description)
		return mark.Installation == installation && provider.Wanted(ctx, n.Id, mark)
	})
	if err != nil {
		return nil, err
	}
	return p.objects(ctx, ids)
}

// ready refuses what can't be done before anything is.
func (p *Provider) ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return p.fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if kind != state.KindDatabase {
		return p.fail(provider.Unsupported, op, fmt.Sprintf("kind %s is not kept here", shown(string(kind))), nil)
	}
	return nil
}

func (p *Provider) fail(kind provider.ErrorKind, op, message string, cause error) *provider.Error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: message, Err: cause}
}

// shown makes text from outside fit for a message.
func shown(s string) string { return provider.Line(s, maxShown) }

// plainID says that a text may be an id of Railway's: nothing else is asked for.
func plainID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for _, c := range []byte(id) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
