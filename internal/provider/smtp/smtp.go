package smtp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/letter"
	"github.com/compassdigital/reconciler/internal/provider/objectstore"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word.
const Name = "smtp"

// Ways to TLS.
const (
	TLS      = "tls"      // from the first byte
	StartTLS = "starttls" // after a word in clear
	NoTLS    = "none"
)

// Limits.
const (
	atOnce     = 4 // talks at the same time
	maxShown   = 120
	keepOurs   = 30 * 24 * time.Hour // records of mails that are no client's
	sentAt     = "sentAt"            // beside a record; never reported
	timeFormat = "2006-01-02T15:04:05.000000000Z"
)

// Options say which server, and as whom.
type Options struct {
	Host     string
	Port     int // 0: 587, 465 with TLS from the first byte
	Username string
	Password state.Secret
	From     string // Acme <ops@acme.example>
	TLS      string // tls | starttls | none; "": tls at port 465, else starttls
	Dir      string // of the records
	Roots    *x509.CertPool
	Now      func() time.Time
}

// Provider sends through one server. Make it with New. Safe for concurrent use.
type Provider struct {
	o     Options
	from  mail.Address
	host  string // of the sender
	table *objectstore.Table
	slots chan struct{}

	mu    sync.Mutex
	under map[string]chan struct{} // names being sent; closed when that ends
}

var _ provider.Provider = (*Provider)(nil)

// New reads what was sent. It connects to nobody.
func New(o Options) (*Provider, error) {
	from, err := letter.Sender(o.From)
	if err != nil {
		return nil, fmt.Errorf("providers.smtp.from: %w", err)
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	table, err := objectstore.Open(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open what was mailed: %w", err)
	}
	return &Provider{o: o, from: from, host: from.Address[strings.LastIndexByte(from.Address, '@')+1:], table: table,
		slots: make(chan struct{}, atOnce), under: map[string]chan struct{}{}}, nil
}

// Check says what is wrong with a server, without asking it.
func (o Options) Check() error { return o.complete() }

// complete fills in what is usual, and refuses what would give a password away.
func (o *Options) complete() error {
	if o.TLS == "" {
		o.TLS = StartTLS
		if o.Port == 465 {
			o.TLS = TLS
		}
	}
	if o.Port == 0 {
		o.Port = 587
		if o.TLS == TLS {
			o.Port = 465
		}
	}
	switch {
	case o.Host == "" || strings.ContainsFunc(o.Host, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }):
		return errors.New("providers.smtp.host is missing or no host name")
	case o.Port < 0 || o.Port > 65535:
		return errors.New("providers.smtp.port is no port")
	case !slices.Contains([]string{TLS, StartTLS, NoTLS}, o.TLS):
		return errors.New("providers.smtp.tls is tls, starttls or none")
	case (o.Username == "") != o.Password.Empty():
		return errors.New("providers.smtp.username and password go together")
	case o.TLS == NoTLS && o.Username != "" && !loopback(o.Host):
		return errors.New("providers.smtp: a password goes out over TLS or to this machine only; set tls to starttls or tls")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindMail: {UniqueName: true, Marks: true, ObserveCalls: 1, CreateCalls: 1}}
}

func fail(kind provider.ErrorKind, op, message string, cause error) error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: message, Err: cause}
}

// ready refuses what cannot be done before anything is.
func ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if kind != state.KindMail {
		return fail(provider.Unsupported, op, fmt.Sprintf("kind %s is not kept here", provider.Line(string(kind), maxShown)), nil)
	}
	return nil
}

// idOf is the id of a name's record.
func idOf(name string) string { return "mail-" + letter.Hash(name) }

// Observe implements provider.Reader: it looks at the records.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if err := ready(ctx, "observe", q.Kind); err != nil {
		return nil, err
	}
	id := q.ID
	if id == "" && q.Name != "" {
		id = idOf(q.Name)
	}
	o, ok := p.table.Get(id)
	if !ok {
		return nil, nil
	}
	return []provider.Object{present(o)}, nil
}

// Owned implements provider.Reader: sorted by id.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if err := ready(ctx, "observe", state.KindMail); err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, o := range p.table.List() {
		if installation != "" && o.Mark.Installation == installation {
			out = append(out, present(o))
		}
	}
	return out, nil
}

// present leaves out what is ours.
func present(o provider.Object) provider.Object {
	o.Attributes = nil
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}}
	return o
}

// Create implements provider.Provider: it sends.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	const op = "create"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	l, problem := letter.Of(w)
	if problem != "" {
		return provider.Object{}, fail(provider.Invalid, op, problem, nil)
	}
	done, err := p.enter(ctx, l.Name)
	if err != nil {
		return provider.Object{}, err
	}
	defer done()
	if o, ok := p.table.Get(idOf(l.Name)); ok {
		return provider.Object{}, fail(provider.Conflict, op, "a mail of that name was sent: "+o.ID, nil)
	}
	now := p.o.Now().UTC()
	o := provider.Object{ID: idOf(l.Name), Kind: state.KindMail, Name: l.Name, Mark: w.Mark, Phase: provider.Ready, Attributes: []provider.Observed{{Name: sentAt, Text: now.Format(timeFormat)}}}
	d := delivery{to: l.To, message: l.MIME(p.from, l.ID(p.host), now), before: func() error { return p.table.Put(o) }}
	switch err := p.deliver(ctx, d); {
	case err == nil:
	case provider.KindOf(err) == provider.Uncertain:
		return provider.Object{}, err // the record stands
	default:
		if gone := p.table.Delete(o.ID); gone != nil {
			return provider.Object{}, fail(provider.Uncertain, op, "it was not sent, and the record that says otherwise could not be removed", errors.Join(err, gone))
		}
		return provider.Object{}, err
	}
	p.letGo(now)
	return present(o), nil
}

// enter waits for a free slot, and for whoever sends the same name.
func (p *Provider) enter(ctx context.Context, name string) (func(), error) {
	var leave func()
	late := func() error {
		return fail(provider.Transient, "create", "its turn did not come in time", context.Cause(ctx))
	}
	for {
		p.mu.Lock()
		other, busy := p.under[name]
		mine := make(chan struct{})
		if !busy {
			p.under[name] = mine
		}
		p.mu.Unlock()
		if !busy {
			leave = func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				delete(p.under, name)
				close(mine)
			}
			break
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, late()
		}
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, late()
	}
}

// letGo drops old records of mails that are no client's. One that can't be dropped now is
// dropped with a later mail.
func (p *Provider) letGo(now time.Time) {
	for _, o := range p.table.List() {
		if !o.Mark.IsZero() || len(o.Attributes) == 0 {
			continue
		}
		if at, err := time.Parse(timeFormat, o.Attributes[0].Text); err == nil && now.Sub(at) > keepOurs {
			_ = p.table.Delete(o.ID)
		}
	}
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	if _, ok := p.table.Get(id); !ok {
		return provider.Object{}, fail(provider.NotFound, op, fmt.Sprintf("mail %s is not here", provider.Line(id, maxShown)), nil)
	}
	return provider.Object{}, fail(provider.Invalid, op, "a mail that was sent can't be changed", nil)
}

// Delete implements provider.Provider. A mail that was sent stays sent.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, _ string) error {
	return ready(ctx, "delete", kind)
}
