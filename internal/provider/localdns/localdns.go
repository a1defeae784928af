package localdns

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/objectstore"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "local"

// Options say where a Provider keeps records and who may ask it.
type Options struct {
	// Dir holds the records; it is made when it isn't there.
	Dir string
	// Anywhere lets Listen take an address that is not loopback. A server that the
	// world can ask is a tool for attacks on others.
	Anywhere bool
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Provider keeps records and answers for them. Make it with New, end it with Close.
type Provider struct {
	o     Options
	table *objectstore.Table

	writing sync.Mutex   // one writer at a time; held across disk writes
	mu      sync.RWMutex // guards zone and lost; never held across disk writes
	zone    zone
	lost    map[string]string // records whose files somebody removed: id → name

	listening sync.Mutex // guards server and closed
	server    *server
	closed    bool
}

var _ provider.Provider = (*Provider)(nil)

// New reads the records. It listens when Listen is called.
func New(o Options) (*Provider, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Provider{o: o, zone: newZone(), lost: map[string]string{}}
	var err error
	if p.table, err = objectstore.Open(filepath.Join(o.Dir, "records")); err != nil {
		return nil, fmt.Errorf("open DNS records: %w", err)
	}
	for _, obj := range p.table.List() {
		rr, err := parse(obj.Attributes)
		if err != nil {
			return nil, fmt.Errorf("open DNS record %s: %w", obj.ID, err)
		}
		p.zone.add(obj.ID, rr)
	}
	return p, nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider. A name bears several records of most types.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindRecord: {
		Serving: true, Marks: true, Replace: []string{"name", "type"}, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 1, DeleteCalls: 1,
	}}
}

// ready refuses what cannot be done before anything is.
func (p *Provider) ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return &provider.Error{Kind: provider.Transient, Provider: Name, Op: op, Message: "the call was given up before it began", Err: context.Cause(ctx)}
	}
	if kind != state.KindRecord {
		return &provider.Error{Kind: provider.Unsupported, Provider: Name, Op: op, Message: fmt.Sprintf("kind %s is not kept here", clean(string(kind)))}
	}
	return nil
}

// Observe implements provider.Reader. With a wish it finds the records of the wish's
// name and type, whatever they say.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if err := p.ready(ctx, "observe", q.Kind); err != nil {
		return nil, err
	}
	if q.ID != "" {
		if err := p.follow(q.ID); err != nil {
			return nil, unused("observe", err)
		}
		o, ok := p.table.Get(q.ID)
		if !ok {
			return nil, nil
		}
		return []provider.Object{present(o)}, nil
	}
	var out []provider.Object
	if q.Wish == nil {
		if err := p.takeAll(); err != nil {
			return nil, unused("observe", err)
		}
		for _, o := range p.table.List() {
			if o.Name == q.Name {
				out = append(out, present(o))
			}
		}
		return out, nil
	}
	name, kind := attrs(q.Wish.Inputs).where()
	if err := p.follow(p.at(name)...); err != nil {
		return nil, unused("observe", err)
	}
	p.mu.RLock()
	at := p.zone.names[name]
	p.mu.RUnlock()
	for _, e := range at {
		if dns.TypeToString[e.rr.Header().Rrtype] != kind {
			continue
		}
		if o, ok := p.table.Get(e.id); ok {
			out = append(out, present(o))
		}
	}
	return out, nil
}

// Owned implements provider.Reader: sorted by id.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if err := p.ready(ctx, "observe", state.KindRecord); err != nil {
		return nil, err
	}
	if err := p.takeAll(); err != nil {
		return nil, unused("observe", err)
	}
	var out []provider.Object
	for _, o := range p.table.List() {
		if installation != "" && o.Mark.Installation == installation {
			out = append(out, present(o))
		}
	}
	return out, nil
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	if err := p.ready(ctx, "create", w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.zone.count >= maxRecords { // only writers change it
		return provider.Object{}, refuse("create", invalidf("%d records are kept, and no more", maxRecords))
	}
	way := p.instead(w)
	o, err := p.put("create", p.mint(), w, way...)
	for _, id := range way {
		if err == nil {
			err = p.remove(id)
		}
	}
	return o, err
}

// instead are the addresses and the CNAME of the wish's name that bear its very mark and can't stand beside
// it: a plan makes first and deletes last, and the name is never without an answer.
func (p *Provider) instead(w provider.Wish) []string {
	rr, err := parse(w.Inputs)
	if err != nil || w.Mark.IsZero() {
		return nil
	}
	leads := func(kind uint16) bool { return kind == dns.TypeA || kind == dns.TypeAAAA || kind == dns.TypeCNAME }
	kind := rr.Header().Rrtype
	var out []string
	for _, e := range p.zone.names[rr.Header().Name] {
		other := e.rr.Header().Rrtype
		if o, ok := p.table.Get(e.id); ok && o.Mark == w.Mark && kind != other && leads(kind) && leads(other) && (kind == dns.TypeCNAME || other == dns.TypeCNAME) {
			out = append(out, e.id)
		}
	}
	return out
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	if err := p.ready(ctx, "update", w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.take(id); err != nil {
		return provider.Object{}, unused("update", err)
	}
	if _, ok := p.table.Get(id); !ok {
		return provider.Object{}, &provider.Error{Kind: provider.NotFound, Provider: Name, Op: "update", Message: fmt.Sprintf("record %s is not here", clean(id))}
	}
	return p.put("update", id, w)
}

// put checks and stores the record of a wish under an id, for a writer. Those that are to go count no more.
func (p *Provider) put(op, id string, w provider.Wish, going ...string) (provider.Object, error) {
	if w.Name == "" || len(w.Name) > 512 {
		return provider.Object{}, refuse(op, invalid("a name has 1 to 512 bytes"))
	}
	rr, err := parse(w.Inputs)
	if err == nil {
		if err := p.take(p.at(rr.Header().Name)...); err != nil {
			return provider.Object{}, unused(op, err)
		}
		err = p.zone.check(rr, append(going, id)...)
	}
	if err != nil {
		return provider.Object{}, refuse(op, err)
	}
	before, known := p.table.Get(id)
	o := provider.Object{ID: id, Kind: state.KindRecord, Name: w.Name, Mark: w.Mark, Attributes: slices.Clone(w.Inputs), Phase: provider.Ready}
	if err := p.table.Put(o); err != nil {
		return provider.Object{}, &provider.Error{Kind: provider.Uncertain, Provider: Name, Op: op, Message: "the record could not be stored", Err: err}
	}
	p.replace(id, before, known, rr)
	return present(o), nil
}

// Delete implements provider.Provider.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	if err := p.ready(ctx, "delete", kind); err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.remove(id)
}

// remove takes a record away, for a writer.
func (p *Provider) remove(id string) error {
	o, ok := p.table.Get(id)
	if !ok {
		return nil
	}
	if err := p.table.Delete(id); err != nil {
		return &provider.Error{Kind: provider.Uncertain, Provider: Name, Op: "delete", Message: "the record could not be removed", Err: err}
	}
	p.replace(id, o, true, nil)
	return nil
}

func present(o provider.Object) provider.Object {
	o.Attributes = slices.Clone(o.Attributes)
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}}
	return o
}

// refuse classifies a refusal.
func refuse(op string, err error) error {
	kind := provider.Invalid
	var c conflict
	if errors.As(err, &c) {
		kind = provider.Conflict
	}
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: err.Error()}
}

// mint makes an id. Ids sort by the time at which they were made.
func (p *Provider) mint() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("rec-%011x%s", p.o.Now().UnixMilli(), hex.EncodeToString(b[:]))
}
