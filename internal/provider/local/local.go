package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/objectstore"
	"github.com/compassdigital/reconciler/internal/state"
)

// Options say where a Provider keeps things and how it is reached.
type Options struct {
	// Dir holds everything; it is made when it isn't there.
	Dir string
	// Public is the host:port at which people reach Handler, asked for whenever an
	// address is shown. nil: 127.0.0.1:8080.
	Public func() string
	// Address is what a DNS record of a site points at. "": 127.0.0.1.
	Address string
	// Databases is the folder that DATABASE_URL may name files in. "": any folder.
	Databases string
	// Pace is how long each line of a build takes, so that it can be watched. 0: as
	// fast as it goes.
	Pace time.Duration
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log gets what goes wrong while serving and building. nil: nothing.
	Log *slog.Logger
}

// Name is the provider's word in a manifest.
const Name = "local"

// Provider keeps sites. Make it with New, end it with Close.
type Provider struct {
	o        Options
	table    *objectstore.Table
	releases releases
	render   *renderer
	looks    map[string]look

	writing sync.Mutex   // one writer at a time; held across disk writes
	mu      sync.RWMutex // guards index; never held across disk writes
	index   index

	builds builder
}

var _ provider.Provider = (*Provider)(nil)

// New opens what o.Dir holds and goes on with builds that were cut off.
func New(o Options) (*Provider, error) {
	if o.Public == nil {
		o.Public = func() string { return "127.0.0.1:8080" }
	}
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Provider{o: o, releases: releases{filepath.Join(o.Dir, "releases")}, looks: looks(), index: newIndex()}
	if err := os.MkdirAll(p.releases.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open sites: %w", err)
	}
	var err error
	if p.render, err = newRenderer(); err != nil {
		return nil, err
	}
	if p.table, err = objectstore.Open(filepath.Join(o.Dir, "objects")); err != nil {
		return nil, fmt.Errorf("open sites: %w", err)
	}
	if err := p.recover(); err != nil {
		return nil, fmt.Errorf("open sites: %w", err)
	}
	return p, nil
}

// recover reads what is on disk and starts the builders on what isn't finished: a
// build that was cut off, and a release whose files are gone.
func (p *Provider) recover() error {
	objects, err := p.stored()
	if err != nil {
		return err
	}
	var todo []string
	for _, o := range objects {
		p.index.add(o)
		if o.Kind != state.KindDeployment {
			continue
		}
		_, err := p.releases.load(o.ID)
		if o.Phase == provider.Progressing || o.Phase == provider.Ready && err != nil {
			todo = append(todo, o.ID)
		}
	}
	if err := p.releases.sweep(func(id string) bool { _, ok := p.index.objects[id]; return ok }); err != nil {
		return err
	}
	sort.Strings(todo)
	p.builds.start(p.build, todo)
	return nil
}

// Close stops building and waits for it. What is unfinished goes on at the next New.
func (p *Provider) Close() error {
	p.builds.stop()
	return nil
}

// Name implements provider.Reader's part of Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	base := provider.Traits{UniqueName: true, Marks: true, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 1, DeleteCalls: 1}
	of := func(change func(*provider.Traits)) provider.Traits { t := base; change(&t); return t }
	return map[state.Kind]provider.Traits{
		state.KindSite:        of(func(t *provider.Traits) { t.Serving = true }),
		state.KindEnvironment: of(func(t *provider.Traits) { t.Replace = []string{"site"} }),
		state.KindDeployment: of(func(t *provider.Traits) {
			t.Promotable = true
			t.Replace = []string{
				"collections", "command", "directory", "displayName", "environment", "features", "install",
				"migrate", "ref", "repository", "settings", "site", "start", "template",
			}
		}),
		state.KindTraffic: of(func(t *provider.Traits) { t.Serving, t.Replace = true, []string{"site"} }),
		state.KindDomain:  of(func(t *provider.Traits) { t.Serving, t.Replace = true, []string{"host"} }),
	}
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if err := p.ready(ctx, "observe", q.Kind); err != nil {
		return nil, err
	}
	p.mu.RLock()
	o, ok := p.index.objects[p.index.asked(q)]
	p.mu.RUnlock()
	if !ok || o.Kind != q.Kind {
		return nil, nil
	}
	o = p.present(o)
	if o.Kind == state.KindDeployment {
		o.Log = p.buildLog(o)
	}
	return []provider.Object{o}, nil
}

// Owned implements provider.Reader: sorted by kind and id.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if err := p.ready(ctx, "observe", ""); err != nil {
		return nil, err
	}
	var out []provider.Object
	p.mu.RLock()
	for _, o := range p.index.objects {
		if installation != "" && o.Mark.Installation == installation {
			out = append(out, p.present(o))
		}
	}
	p.mu.RUnlock()
	sort.Slice(out, func(i, j int) bool {
		if out[i].Kind != out[j].Kind {
			return out[i].Kind < out[j].Kind
		}
		return out[i].ID < out[j].ID
	})
	return out, nil
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	const op = "create"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	o := provider.Object{ID: p.mint(w.Ref.Kind), Kind: w.Ref.Kind, Name: w.Name, Mark: w.Mark, Attributes: clone(w.Inputs), Phase: provider.Ready}
	if err := p.check(o); err != nil {
		return provider.Object{}, p.refuse(op, err)
	}
	if o.Kind == state.KindDeployment {
		o.Phase = provider.Progressing
		if err := p.releases.begin(o.ID, p.environmentOf(attrs(o.Attributes).get("site"))); err != nil {
			_ = p.releases.remove(o.ID) // what stays behind is swept at the next start
			return provider.Object{}, p.fail(op, provider.Transient, "the release could not be begun", err)
		}
	}
	if err := p.put(o, true); err != nil {
		return provider.Object{}, p.fail(op, provider.Uncertain, "the object could not be stored", err)
	}
	if o.Kind == state.KindDeployment {
		p.builds.add(o.ID)
	}
	return p.present(o), nil
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	o, ok := p.object(w.Ref.Kind, id)
	if !ok {
		return provider.Object{}, &provider.Error{Kind: provider.NotFound, Provider: Name, Op: op, Message: fmt.Sprintf("%s %s is not here", w.Ref.Kind, provider.Line(id, maxWord))}
	}
	if o.Kind == state.KindDeployment && !sameInputs(o.Attributes, w.Inputs) {
		return provider.Object{}, p.refuse(op, invalid("a deployment never changes; create another one"))
	}
	o.Name, o.Mark, o.Attributes = w.Name, w.Mark, clone(w.Inputs)
	if err := p.check(o); err != nil {
		return provider.Object{}, p.refuse(op, err)
	}
	if err := p.put(o, false); err != nil {
		return provider.Object{}, p.fail(op, provider.Uncertain, "the object could not be stored", err)
	}
	return p.present(o), nil
}

// Delete implements provider.Provider. What is inside a site goes with it.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	const op = "delete"
	if err := p.ready(ctx, op, kind); err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	o, ok := p.object(kind, id)
	if !ok {
		return nil
	}
	if kind == state.KindDeployment {
		if t := p.servedBy(id); t != "" {
			return p.refuse(op, invalid(fmt.Sprintf("deployment %s serves; move or delete traffic %s first", id, t)))
		}
	}
	if kind == state.KindSite {
		for _, inner := range p.inside(id) {
			if err := p.remove(inner); err != nil {
				return p.fail(op, provider.Uncertain, "a part of the site could not be removed", err)
			}
		}
	}
	if err := p.remove(o); err != nil {
		return p.fail(op, provider.Uncertain, "the object could not be removed", err)
	}
	return nil
}

// ready refuses what cannot be done before anything is.
func (p *Provider) ready(ctx context.Context, op string, kind state.Kind) error {
	if err := ctx.Err(); err != nil {
		return p.fail(op, provider.Transient, "the call was given up before it began", context.Cause(ctx))
	}
	switch kind {
	case "", state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain:
		return nil
	}
	return &provider.Error{Kind: provider.Unsupported, Provider: Name, Op: op, Message: fmt.Sprintf("kind %s is not kept here", provider.Line(string(kind), maxWord))}
}

// conflict is a refusal because of another object.
type conflict string

func (e conflict) Error() string { return string(e) }

// refuse classifies what check says.
func (p *Provider) refuse(op string, err error) error {
	kind := provider.Invalid
	var c conflict
	var b building
	switch {
	case errors.As(err, &c):
		kind = provider.Conflict
	case errors.As(err, &b):
		kind = provider.Transient
	}
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: err.Error()}
}

func (p *Provider) fail(op string, kind provider.ErrorKind, message string, cause error) error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: message, Err: cause}
}

// mint makes an id that can be a label of a host name and a folder's name. Ids of a
// kind sort by the time at which they were made.
func (p *Provider) mint(k state.Kind) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%s%011x%s", prefix(k), p.o.Now().UnixMilli(), hex.EncodeToString(b[:]))
}
