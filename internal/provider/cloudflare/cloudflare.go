package cloudflare

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	vendor "github.com/cloudflare/cloudflare-go"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "cloudflare"

// DefaultURL is where Cloudflare's API is.
const DefaultURL = "https://api.cloudflare.com/client/v4"

// listLag is how late Cloudflare's lists may be. It publishes nothing about it.
const listLag = time.Minute

// defaultMoment is how long a write waits for others of its zone.
const defaultMoment = 20 * time.Millisecond

// Options are one account.
type Options struct {
	Token  state.Secret
	ZoneID string       // the one zone; "": zones are found by name
	URL    string       // "": DefaultURL
	HTTP   *http.Client // httpapi.NewHTTP makes one
	Now    func() time.Time
	// Moment is how long a write waits for others of its zone, to go with them as one batch.
	// 0: 20 ms; negative: not at all. After is its clock; nil: time.After.
	Moment time.Duration
	After  func(time.Duration) <-chan time.Time
	// Lookup asks DNS whether a record is answered. nil: nobody asks, and a record is ready
	// once Cloudflare has it.
	Lookup Lookup
}

// Provider keeps records at Cloudflare. Make it with New, end it with Close.
type Provider struct {
	o       Options
	api     *vendor.API
	judge   *httpapi.Client
	zones   zones
	lists   lists
	unseen  unseen
	gather  gather
	working sync.WaitGroup
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Checker  = (*Provider)(nil)
	_ provider.Purger   = (*Provider)(nil)
)

// CheckZoneID says what is wrong with a zone's id; "" is none.
func CheckZoneID(id string) error {
	if id != "" && !idShape.MatchString(id) {
		return fmt.Errorf("providers.cloudflare.zoneID is not a zone's id: it has up to 32 letters and digits, and stands on the zone's page")
	}
	return nil
}

// New returns a provider. It makes no call.
func New(o Options) (*Provider, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Moment == 0 {
		o.Moment = defaultMoment
	}
	o.URL = strings.TrimSuffix(cmp.Or(o.URL, DefaultURL), "/")
	if at, err := url.Parse(o.URL); err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" {
		return nil, fmt.Errorf("providers.cloudflare.apiURL is not an address")
	}
	if err := CheckZoneID(o.ZoneID); err != nil {
		return nil, err
	}
	if o.Token.Empty() {
		return nil, fmt.Errorf("providers.cloudflare.apiToken is missing")
	}
	if o.HTTP == nil {
		return nil, fmt.Errorf("open cloudflare: no HTTP client was given")
	}
	h := *o.HTTP
	h.Transport = httpapi.Noting{Base: o.HTTP.Transport}
	h.Timeout = 0 // call sets it: the library leaves answers of 429 and 5xx open, and with them the client's timer
	api, err := vendor.NewWithAPIToken(o.Token.Reveal(), vendor.BaseURL(o.URL), vendor.HTTPClient(&h), vendor.UsingRetryPolicy(0, 0, 0),
		vendor.UsingRateLimit(math.MaxFloat64), vendor.UserAgent("reconciler"))
	if err != nil {
		return nil, fmt.Errorf("open cloudflare: %w", err)
	}
	return &Provider{o: o, api: api, judge: &httpapi.Client{Provider: Name, Token: o.Token, Now: o.Now, Classify: classify},
		zones: zones{reading: make(chan struct{}, 1)}, lists: newLists(), unseen: newUnseen(), gather: newGather()}, nil
}

// Close sends what is gathered and waits for what is under way. No call may follow.
func (p *Provider) Close() error {
	p.gather.end()
	p.working.Wait()
	return nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider. A name bears several records of most types.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindRecord: {
		Serving: true, Marks: true, Copies: true, Replace: []string{"name", "type"}, ListLag: listLag, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 1, DeleteCalls: 1,
	}}
}

// ready refuses what cannot be done before anything is.
func (p *Provider) ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return givenUp(ctx, op)
	}
	if kind != state.KindRecord {
		return &provider.Error{Kind: provider.Unsupported, Provider: Name, Op: op, Message: "kind " + word(string(kind)) + " is not kept here"}
	}
	return nil
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	const op = "create"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	b, err := bodyOf(w)
	if err != nil {
		return provider.Object{}, as(op, err)
	}
	z, err := p.zoneOf(ctx, op, b.Name)
	if err != nil {
		return provider.Object{}, err
	}
	b.Comment = comment(w, "")
	r, err := p.write(ctx, z.ID, &change{op: op, body: b})
	if code := codeOf(err); code == codeAddressTaken || code == codeAliasTaken {
		r, err = p.instead(ctx, z, w, b, err)
	}
	if err != nil {
		return provider.Object{}, err
	}
	return p.wrote(ctx, z, r), nil
}

// instead makes a record where one of another type has the name: only ours give way, and in
// one batch, so that the name is never without an answer of Cloudflare's own making.
func (p *Provider) instead(ctx context.Context, z zone, w provider.Wish, b body, refused error) (record, error) {
	all, err := p.records(ctx, z.ID, url.Values{"name.exact": {b.Name}}, namePage)
	if err != nil {
		return record{}, as("create", err)
	}
	var ours []body
	for _, r := range all {
		if r.name() != b.Name || !proxiable(r.Type) || b.Type != "CNAME" && r.Type != "CNAME" {
			continue
		}
		if mark, _ := readComment(r.Comment); mark.IsZero() || mark != w.Mark {
			out := provider.Error{Kind: provider.Conflict, Provider: Name, Op: "create", Err: refused}
			out.Code, out.Message = strconv.Itoa(codeOf(refused)), fmt.Sprintf("%s %s has the name and is not ours (%s → %s): remove it at Cloudflare, or wish what is there", r.Type, word(r.name()), r.ID, word(r.content()))
			return record{}, &out
		}
		ours = append(ours, body{ID: r.ID})
	}
	if len(ours) == 0 { // terraform-provider-cloudflare#6482
		return record{}, &provider.Error{Kind: provider.Transient, Provider: Name, Op: "create", Message: "it still sees a record of the name that is gone; nothing was made", Err: refused}
	}
	for _, o := range ours {
		p.lists.exactly(z.ID+"/"+o.ID, p.o.Now())
	}
	made, err := p.batch(ctx, "create", z.ID, batchBody{Deletes: ours, Posts: []body{b}})
	if err != nil {
		return record{}, err
	}
	return made.Posts[0], nil
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	zoneID, record, ok := p.find(id)
	if !ok {
		return provider.Object{}, &provider.Error{Kind: provider.NotFound, Provider: Name, Op: op, Message: "record " + word(id) + " is not here"}
	}
	b, err := bodyOf(w)
	if err != nil {
		return provider.Object{}, as(op, err)
	}
	z, ok, err := p.zoneByID(ctx, op, zoneID)
	switch {
	case err != nil:
		return provider.Object{}, err
	case !ok:
		return provider.Object{}, refusal(op, "the zone %s of the record is not one that the token sees", zoneID)
	case !z.holds(b.Name):
		return provider.Object{}, refusal(op, "%s is not in the zone %s, where the record is", b.Name, z.Name)
	case z.Status != "active": // whoever reads it anew may find another one that is
		if now, err := p.zoneOf(ctx, op, b.Name); err != nil {
			return provider.Object{}, err
		} else if now.ID != zoneID {
			return provider.Object{}, &provider.Error{Kind: provider.NotFound, Provider: Name, Op: op, Message: "the zone " + z.Name + " that the record is in is not active any more, and another one answers for its name"}
		}
	}
	if !p.lists.keeps(zoneID+"/"+record, b) {
		if _, err := p.byName(ctx, b.Type, b.Name, &w); err != nil { // would it turn somebody else's?
			return provider.Object{}, as(op, err)
		}
	}
	b.Comment = comment(w, p.lists.noted(zoneID+"/"+record))
	r, err := p.write(ctx, zoneID, &change{op: op, id: record, body: b})
	if err != nil {
		return provider.Object{}, err
	}
	return p.wrote(ctx, z, r), nil
}

// wrote notes a record that was just written, and shows it.
func (p *Provider) wrote(ctx context.Context, z zone, r record) provider.Object {
	p.unseen.add(z, r, p.o)
	return p.show(ctx, z.ID, r)
}

// show is a record as an object, as far as the world sees it.
func (p *Provider) show(ctx context.Context, zoneID string, r record) provider.Object {
	o := r.object(zoneID)
	p.lists.note(o.ID, r.Comment)
	p.lists.seen(o.ID, r)
	o.Phase, o.Message = p.visible(ctx, o.ID)
	return o
}

// Delete implements provider.Provider.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	const op = "delete"
	if err := p.ready(ctx, op, kind); err != nil {
		return err
	}
	zoneID, record, ok := p.find(id)
	if !ok {
		return nil // nothing here has such an id
	}
	_, err := p.write(ctx, zoneID, &change{op: op, id: record})
	if codeOf(err) == codeNoRecord || provider.KindOf(err) == provider.Invalid && err != nil && p.lists.leaves(zoneID+"/"+record, p.o.Now()) {
		return nil
	}
	return err
}
