package resend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"

	vendor "github.com/resend/resend-go/v3"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/letter"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word.
const Name = "resend"

// DefaultURL is where Resend's API is.
const DefaultURL = "https://api.resend.com"

// Most requests a Window, as Resend documents for an account
// (resend.com/docs/api-reference/rate-limit); its headers say what really holds.
const (
	Most   = 2
	Window = time.Second
)

// Limits of a look by name.
const (
	pageSize  = 100 // the most that Resend gives
	maxPages  = 10
	lookBack  = 48 * time.Hour // twice as long as Resend knows a key
	maxAlike  = 20             // mails that are read because they look like the one
	maxShown  = 120
	maxID     = 64
	listLag   = time.Minute
	tagLength = 256
)

// Options say whose account it is.
type Options struct {
	APIKey state.Secret
	From   string // Acme <ops@acme.example>
	APIURL string // "": DefaultURL
	HTTP   *http.Client
	Now    func() time.Time
}

// Provider sends through one account. Make it with New. Safe for concurrent use.
type Provider struct {
	api  *httpapi.Client
	from mail.Address
}

var _ provider.Provider = (*Provider)(nil)

// New makes a Provider. It asks nobody.
func New(o Options) (*Provider, error) {
	from, err := letter.Sender(o.From)
	if err != nil {
		return nil, fmt.Errorf("providers.resend.from: %w", err)
	}
	if o.APIKey.Empty() {
		return nil, errors.New("providers.resend.apiKey is missing")
	}
	if o.APIURL == "" {
		o.APIURL = DefaultURL
	}
	p := &Provider{from: from}
	p.api = &httpapi.Client{Provider: Name, Base: strings.TrimSuffix(o.APIURL, "/"), Token: o.APIKey, HTTP: o.HTTP, Now: o.Now, Classify: p.classify}
	return p, nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindMail: {ListLag: listLag, ObserveCalls: 1, CreateCalls: 1}}
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

// Create implements provider.Provider: it sends. A name that was sent within a day with the
// same words gives the mail that was sent.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	const op = "create"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	l, problem := letter.Of(w)
	if problem != "" {
		return provider.Object{}, fail(provider.Invalid, op, problem, nil)
	}
	body := vendor.SendEmailRequest{From: p.from.String(), To: []string{l.To}, Subject: l.Subject, Text: l.Text, Html: l.HTML, Tags: tags(w)}
	var made vendor.SendEmailResponse
	_, err := p.api.Do(ctx, httpapi.Call{Op: op, Method: http.MethodPost, Path: "/emails", Header: http.Header{"Idempotency-Key": {l.Key()}}, In: body, Out: &made})
	if err != nil {
		return provider.Object{}, err
	}
	if !isID.MatchString(made.Id) {
		return provider.Object{}, fail(provider.Uncertain, op, "its answer has no id", nil)
	}
	o := object(vendor.Email{Id: made.Id, To: body.To, Subject: body.Subject, Text: body.Text, Html: body.Html})
	return o, nil
}

// tags say whose mail it is, to who looks at Resend's pages.
func tags(w provider.Wish) []vendor.Tag {
	if w.Mark.IsZero() {
		return nil
	}
	return []vendor.Tag{{Name: "reconciler", Value: word(w.Mark.Installation)}, {Name: "client", Value: word(string(w.Mark.Client))}, {Name: "kind", Value: word(w.Ref.Name)}}
}

// word is what Resend takes in a tag: ASCII letters, digits, underscores and dashes.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, s)
	if s == "" {
		return "none"
	}
	return s[:min(len(s), tagLength)]
}

// isID is what an id of Resend may look like; nothing else is put into a path.
var isID = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9_-]{1,%d}$`, maxID))

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if err := ready(ctx, "observe", q.Kind); err != nil {
		return nil, err
	}
	switch {
	case q.ID != "":
		return p.byID(ctx, q.ID)
	case q.Name != "" && q.Wish != nil:
		return p.byName(ctx, q.Name, q.Wish.Get("to"), q.Wish.Get("subject"))
	}
	return nil, nil // without its words nobody finds a mail
}

func (p *Provider) byID(ctx context.Context, id string) ([]provider.Object, error) {
	if !isID.MatchString(id) {
		return nil, nil
	}
	m, err := p.get(ctx, id)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []provider.Object{object(m)}, nil
}

func (p *Provider) get(ctx context.Context, id string) (m vendor.Email, err error) {
	_, err = p.api.Do(ctx, httpapi.Call{Op: "observe", Method: http.MethodGet, Path: "/emails/" + id, Out: &m})
	if err == nil && m.Id != id {
		err = fail(provider.Transient, "observe", "it answered with another mail than was asked for", nil)
	}
	return m, err
}

// byName reads those of the newest mails that look like the one, and keeps which are it.
func (p *Provider) byName(ctx context.Context, name, to, subject string) (out []provider.Object, err error) {
	after, oldest, alike := "", p.api.Now().Add(-lookBack), 0
	for range maxPages {
		q := url.Values{"limit": {fmt.Sprint(pageSize)}}
		if after != "" {
			q.Set("after", after)
		}
		var page vendor.ListEmailsResponse
		_, err := p.api.Do(ctx, httpapi.Call{Op: "observe", Method: http.MethodGet, Path: "/emails", Query: q, Out: &page})
		switch {
		case code(err) == onlySends:
			return nil, nil // the idempotency key decides
		case err != nil:
			return nil, err
		}
		for _, m := range page.Data {
			if made := madeAt(m); !made.IsZero() && made.Before(oldest) {
				return out, nil
			}
			if m.Subject != subject || len(m.To) != 1 || !strings.EqualFold(m.To[0], to) || !isID.MatchString(m.Id) {
				continue
			}
			if alike++; alike > maxAlike {
				return out, nil
			}
			is, err := p.get(ctx, m.Id)
			if err != nil && !absent(err) {
				return nil, err
			}
			if err == nil && letter.NameIn(is.Html) == name {
				out = append(out, object(is))
			}
		}
		if !page.HasMore || len(page.Data) == 0 || !isID.MatchString(page.Data[len(page.Data)-1].Id) {
			return out, nil
		}
		after = page.Data[len(page.Data)-1].Id
	}
	return out, nil
}

// madeAt is when a mail was made; zero where the vendor's time does not parse.
func madeAt(m vendor.Email) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05.999999-07", time.RFC3339Nano} {
		if at, err := time.Parse(layout, m.CreatedAt); err == nil {
			return at
		}
	}
	return time.Time{}
}

// object is a mail as ours. Words that are too many to be ours are left out.
func object(m vendor.Email) provider.Object {
	o := provider.Object{ID: m.Id, Kind: state.KindMail, Name: letter.NameIn(m.Html), Phase: provider.Ready, Outputs: []provider.Output{{Name: "id", Text: m.Id}}}
	to := ""
	if len(m.To) == 1 {
		to = m.To[0]
	}
	for _, a := range []provider.Observed{{Name: "subject", Text: m.Subject}, {Name: "text", Text: m.Text}, {Name: "to", Text: to}} {
		if a.Text != "" {
			o.Attributes = append(o.Attributes, a)
		}
	}
	return o
}

// Owned implements provider.Reader. Resend's lists show nothing that says whose a mail is.
func (p *Provider) Owned(ctx context.Context, _ string) ([]provider.Object, error) {
	return nil, ready(ctx, "observe", state.KindMail)
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	found, err := p.byID(ctx, id)
	switch {
	case err != nil:
		return provider.Object{}, err
	case len(found) == 0:
		return provider.Object{}, fail(provider.NotFound, op, fmt.Sprintf("mail %s is not here", provider.Line(id, maxShown)), nil)
	}
	return provider.Object{}, fail(provider.Invalid, op, "a mail that was sent can't be changed", nil)
}

// Delete implements provider.Provider. A mail that was sent stays sent.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, _ string) error {
	return ready(ctx, "delete", kind)
}
