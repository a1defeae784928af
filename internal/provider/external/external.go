package external

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "external"

// Lookup says what DNS answers: the contents of a name's records of a type, as a
// manifest writes them, with the priority in front for MX and SRV ("10 mail.example").
// No such record is an empty answer. What can't be looked up is errors.ErrUnsupported.
type Lookup func(ctx context.Context, recordType, name string) ([]string, error)

// Options say how to look.
type Options struct {
	// Now is the clock; nothing here needs it yet. nil: time.Now.
	Now func() time.Time
	// Lookup asks DNS. nil: the system's resolver.
	Lookup Lookup
}

// Providers are what keeps the kinds that people see to themselves.
func Providers(o Options) []provider.Provider {
	if o.Lookup == nil {
		o.Lookup = DNS(net.DefaultResolver)
	}
	return []provider.Provider{&Provider{o: o}}
}

// Provider tells people what to do. Providers makes it.
type Provider struct{ o Options }

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Dumper   = (*Provider)(nil)
)

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider. No name is ever taken: a create may be repeated.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	t := provider.Traits{Manual: true, UniqueName: true}
	data, record, promotable := t, t, t
	data.Data, record.ObserveCalls, record.CreateCalls, record.UpdateCalls, promotable.Promotable = true, 1, 1, 1, true
	return map[state.Kind]provider.Traits{
		state.KindDatabase: data, state.KindAdmin: t, state.KindSite: t, state.KindEnvironment: t, state.KindDeployment: promotable,
		state.KindTraffic: t, state.KindDomain: t, state.KindRecord: record,
	}
}

// kept are the inputs that an object's id holds, beside its name: none is ever secret.
func kept(k state.Kind) []string {
	switch k {
	case state.KindSite:
		return []string{"label"}
	case state.KindDeployment:
		return []string{"ref", "repository"}
	case state.KindDomain:
		return []string{"host", "redirect"}
	case state.KindRecord:
		return []string{"content", "name", "priority", "proxied", "type"}
	}
	return nil
}

// vendorName is under which key of an id the object's own name is.
const vendorName = "object"

// maxID bounds an id, in bytes.
const maxID = 8 << 10

// identify makes the id of a wish.
func identify(w provider.Wish) (string, error) {
	v := url.Values{vendorName: {w.Name}}
	for _, name := range kept(w.Ref.Kind) {
		for _, i := range w.Inputs {
			switch {
			case i.Name != name:
			case i.Secret != nil:
				return "", &provider.Error{Kind: provider.Invalid, Message: name + " can't be a secret: people have to read it"}
			case i.Text != "":
				v.Set(name, i.Text)
			}
		}
	}
	id := string(w.Ref.Kind) + "?" + v.Encode() // sorted by key
	if w.Name == "" || len(id) > maxID {
		return "", &provider.Error{Kind: provider.Invalid, Message: fmt.Sprintf("a name has a byte at least, and all that is to be done at most %d", maxID)}
	}
	return id, nil
}

// recognise reads an id; false: it is not one that identify makes.
func recognise(k state.Kind, id string) (url.Values, bool) {
	query, ok := strings.CutPrefix(id, string(k)+"?")
	if !ok || len(id) > maxID {
		return nil, false
	}
	v, err := url.ParseQuery(query)
	if err != nil || v.Encode() != query || v.Get(vendorName) == "" {
		return nil, false
	}
	for key, values := range v {
		if len(values) != 1 || values[0] == "" || key != vendorName && !slices.Contains(kept(k), key) {
			return nil, false
		}
	}
	return v, true
}

// object is what an id says, as far as it can be told without looking.
func object(k state.Kind, id string, v url.Values) provider.Object {
	o := provider.Object{ID: id, Kind: k, Name: v.Get(vendorName), Phase: provider.Ready, Outputs: []provider.Output{{Name: "id", Text: id}}}
	for _, name := range kept(k) {
		if _, ok := v[name]; ok {
			o.Attributes = append(o.Attributes, provider.Input{Name: name, Text: v.Get(name)})
		}
	}
	give := func(names ...string) {
		for _, n := range names {
			o.Outputs = append(o.Outputs, provider.Output{Name: n})
		}
	}
	switch k {
	case state.KindSite:
		give("url", "address", "host")
		o.Message = "Host the site of " + word(v.Get("label")) + " yourself; nothing is made here"
	case state.KindDeployment:
		give("url")
		o.Message = "Deploy " + word(v.Get("repository"))
		if ref := v.Get("ref"); ref != "" {
			o.Message += " at " + word(ref)
		}
		o.Message += " at your host"
		o.Log = []string{o.Message, "Nothing can be seen of your host from here: the health check of the public address is the proof"}
	case state.KindEnvironment:
		o.Message = "Set the site's variables at your host"
	case state.KindTraffic:
		o.Message = "Let your host serve the new version"
	case state.KindDomain:
		o.Message = "Bind " + word(v.Get("host")) + " to the site at your host"
		if to := v.Get("redirect"); to != "" {
			o.Message += ", redirecting to " + word(to)
		}
	case state.KindAdmin:
		o.Message = "Create the site's administrator"
	}
	return o
}

// Observe implements provider.Reader. By name there is never anything: see doc.go.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	const op = "observe"
	if err := p.ready(ctx, op, q.Kind); err != nil {
		return nil, err
	}
	v, ok := recognise(q.Kind, q.ID)
	if !ok {
		return nil, nil
	}
	o := object(q.Kind, q.ID, v)
	if q.Kind == state.KindRecord {
		if err := p.look(ctx, &o, recordOf(v)); err != nil {
			return nil, fail(op, err)
		}
	}
	return []provider.Object{o}, nil
}

// Owned implements provider.Reader: nothing here bears a mark.
func (p *Provider) Owned(ctx context.Context, _ string) ([]provider.Object, error) {
	return nil, p.ready(ctx, "observe", state.KindSite)
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	return p.tell(ctx, "create", w)
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	if _, ok := recognise(w.Ref.Kind, id); !ok {
		return provider.Object{}, &provider.Error{Kind: provider.NotFound, Provider: Name, Op: op, Message: fmt.Sprintf("%s %s is not from here", word(string(w.Ref.Kind)), word(id))}
	}
	return p.tell(ctx, op, w)
}

// tell says what the wish asks of a person.
func (p *Provider) tell(ctx context.Context, op string, w provider.Wish) (provider.Object, error) {
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	id, err := identify(w)
	if err != nil {
		return provider.Object{}, fail(op, err)
	}
	v, _ := recognise(w.Ref.Kind, id)
	o := object(w.Ref.Kind, id, v)
	switch o.Kind {
	case state.KindDatabase:
		err = database(&o, w)
	case state.KindEnvironment:
		o.Message = variables(w)
	case state.KindAdmin:
		o.Message = "Create the site's administrator " + word(w.Get("email"))
	case state.KindRecord:
		err = p.look(ctx, &o, recordOf(v))
		if err != nil && ctx.Err() == nil {
			err = nil // it is told all the same; the next look may come through
		}
	}
	if err != nil {
		return provider.Object{}, fail(op, err)
	}
	return o, nil
}

// database gives what its url says.
func database(o *provider.Object, w provider.Wish) error {
	at := w.Get("url")
	if at == "" {
		return &provider.Error{Kind: provider.Invalid, Message: "an external database is known by its url alone: set database.external.url to a secret"}
	}
	host := ""
	if u, err := url.Parse(at); err == nil {
		host = u.Hostname()
	}
	s := state.NewSecret(at)
	o.Outputs = append(o.Outputs, provider.Output{Name: "url", Secret: &s}, provider.Output{Name: "host", Text: host})
	return nil
}

// maxNames is how many variables are named.
const maxNames = 40

func variables(w provider.Wish) string {
	var names []string
	for _, i := range w.Inputs {
		if name, ok := strings.CutPrefix(i.Name, "env."); ok {
			names = append(names, word(name))
		}
	}
	if len(names) == 0 {
		return "The site needs no variables"
	}
	more := ""
	if len(names) > maxNames {
		more = " and " + strconv.Itoa(len(names)-maxNames) + " more"
		names = names[:maxNames]
	}
	return "Set these variables at your host, and no others: " + strings.Join(names, ", ") + more
}

// Delete implements provider.Provider: there is nothing to delete here.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, _ string) error {
	return p.ready(ctx, "delete", kind)
}

// Dump implements provider.Dumper.
func (p *Provider) Dump(context.Context, string, string) error {
	return &provider.Error{Kind: provider.Unsupported, Provider: Name, Op: "dump", Message: "an external database is dumped by whoever keeps it"}
}

// ready refuses what cannot be done before anything is.
func (p *Provider) ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return fail(op, context.Cause(ctx))
	}
	if _, ok := p.Traits()[kind]; !ok {
		return &provider.Error{Kind: provider.Unsupported, Provider: Name, Op: op, Message: "nobody is asked to keep the kind " + word(string(kind))}
	}
	return nil
}
