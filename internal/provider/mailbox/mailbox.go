package mailbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/mail"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/objectstore"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "mailbox"

// KeepMessages is how many mails keep their text.
const KeepMessages = 500

// Limits on what a wish brings along.
const (
	maxName    = 512
	maxAddress = 254       // RFC 5321 section 4.5.3.1.3, without the brackets
	maxSubject = 255       // runes
	maxText    = 256 << 10 // bytes
	maxShown   = 120       // runes of untrusted text in a message
)

// What we keep beside the wish's own attributes; never reported.
const (
	caughtAt = "caughtAt"
	deleted  = "deleted" // no longer an object: only Messages shows it
)

// timeFormat sorts as text.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// Options say where a Provider keeps mail.
type Options struct {
	// Dir holds the mail; it is made when it isn't there.
	Dir string
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Message is one mail that was caught.
type Message struct {
	ID, To, Subject, Text string
	At                    time.Time
	Client                state.ClientID // whose it was
}

// Provider keeps mail. Make it with New.
type Provider struct {
	now   func() time.Time
	table *objectstore.Table

	mu    sync.Mutex        // one writer at a time; guards names
	names map[string]string // name → id, of what was not deleted
}

var _ provider.Provider = (*Provider)(nil)

// New reads the mail that was caught.
func New(o Options) (*Provider, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	table, err := objectstore.Open(filepath.Join(o.Dir, "messages"))
	if err != nil {
		return nil, fmt.Errorf("open mailbox: %w", err)
	}
	p := &Provider{now: o.Now, table: table, names: map[string]string{}}
	for _, m := range table.List() {
		if get(m, deleted) == "" {
			p.names[m.Name] = m.ID
		}
	}
	return p, nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindMail: {UniqueName: true, Marks: true, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 1, DeleteCalls: 1}}
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
		return fail(provider.Unsupported, op, fmt.Sprintf("kind %s is not kept here", clean(string(kind))), nil)
	}
	return nil
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if err := ready(ctx, "observe", q.Kind); err != nil {
		return nil, err
	}
	id := q.ID
	if id == "" {
		p.mu.Lock()
		id = p.names[q.Name]
		p.mu.Unlock()
	}
	o, ok := p.table.Get(id)
	if !ok || get(o, deleted) != "" {
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
		if installation != "" && o.Mark.Installation == installation && get(o, deleted) == "" {
			out = append(out, present(o))
		}
	}
	return out, nil
}

// Create implements provider.Provider: it sends.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	const op = "create"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	if problem := check(w); problem != "" {
		return provider.Object{}, fail(provider.Invalid, op, problem, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, ok := p.names[w.Name]; ok {
		return provider.Object{}, fail(provider.Conflict, op, fmt.Sprintf("mail %s was sent: %s", clean(w.Name), id), nil)
	}
	at := p.now().UTC()
	o := provider.Object{ID: mint(at), Kind: state.KindMail, Name: w.Name, Mark: w.Mark, Phase: provider.Ready,
		Attributes: append(slices.Clone(w.Inputs), provider.Observed{Name: caughtAt, Text: at.Format(timeFormat)})}
	if err := p.table.Put(o); err != nil {
		return provider.Object{}, fail(provider.Uncertain, op, "the mail could not be stored", err)
	}
	p.names[o.Name] = o.ID
	p.letGo()
	return present(o), nil
}

// letGo drops the texts of all but the newest. One that can't be dropped now is
// dropped with the next mail.
func (p *Provider) letGo() {
	var full []provider.Object
	for _, o := range p.table.List() {
		if hasText(o) {
			full = append(full, o)
		}
	}
	byAge(full)
	for _, o := range full[:max(0, len(full)-KeepMessages)] {
		if get(o, deleted) != "" {
			_ = p.table.Delete(o.ID)
			continue
		}
		o.Attributes = slices.DeleteFunc(slices.Clone(o.Attributes), func(a provider.Observed) bool { return a.Name != caughtAt })
		_ = p.table.Put(o)
	}
}

// Update implements provider.Provider. Only whose the mail is can change.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	if err := ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.table.Get(id)
	if !ok || get(o, deleted) != "" {
		return provider.Object{}, fail(provider.NotFound, op, fmt.Sprintf("mail %s is not here", clean(id)), nil)
	}
	if w.Name == "" || len(w.Name) > maxName {
		return provider.Object{}, fail(provider.Invalid, op, fmt.Sprintf("a name has 1 to %d bytes", maxName), nil)
	}
	if hasText(o) {
		for _, a := range []string{"to", "subject", "text"} {
			if w.Get(a) != get(o, a) {
				return provider.Object{}, fail(provider.Invalid, op, "a mail that was sent can't be changed", nil)
			}
		}
	}
	if other, taken := p.names[w.Name]; taken && other != id {
		return provider.Object{}, fail(provider.Conflict, op, fmt.Sprintf("mail %s was sent: %s", clean(w.Name), other), nil)
	}
	before := o.Name
	o.Name, o.Mark = w.Name, w.Mark
	if err := p.table.Put(o); err != nil {
		return provider.Object{}, fail(provider.Uncertain, op, "the mail could not be stored", err)
	}
	delete(p.names, before)
	p.names[o.Name] = id
	return present(o), nil
}

// Delete implements provider.Provider. The text stays where people look.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	const op = "delete"
	if err := ready(ctx, op, kind); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.table.Get(id)
	if !ok || get(o, deleted) != "" {
		return nil
	}
	var err error
	if hasText(o) {
		o.Attributes = append(slices.Clone(o.Attributes), provider.Observed{Name: deleted, Text: "true"})
		err = p.table.Put(o)
	} else {
		err = p.table.Delete(id)
	}
	if err != nil {
		return fail(provider.Uncertain, op, "the mail could not be taken off", err)
	}
	delete(p.names, o.Name)
	return nil
}

// Messages lists what was caught and still has its text, oldest first.
func (p *Provider) Messages() ([]Message, error) {
	var full []provider.Object
	for _, o := range p.table.List() {
		if hasText(o) {
			full = append(full, o)
		}
	}
	byAge(full)
	full = full[max(0, len(full)-KeepMessages):]
	out := make([]Message, 0, len(full))
	for _, o := range full {
		at, err := time.Parse(timeFormat, get(o, caughtAt))
		if err != nil {
			return nil, fmt.Errorf("read mail %s: its time does not parse", o.ID)
		}
		out = append(out, Message{ID: o.ID, At: at, To: show(o, "to"), Subject: show(o, "subject"), Text: show(o, "text"), Client: o.Mark.Client})
	}
	return out, nil
}

// check says what is wrong with a wish, "" for nothing.
func check(w provider.Wish) string {
	to, subject, text := w.Get("to"), w.Get("subject"), w.Get("text")
	if w.Name == "" || len(w.Name) > maxName {
		return fmt.Sprintf("a name has 1 to %d bytes", maxName)
	}
	at, err := mail.ParseAddress(to)
	switch {
	case len(to) > maxAddress || strings.ContainsFunc(to, oneLine) || err != nil || at.Address != to:
		return fmt.Sprintf("%q is not an e-mail address", clean(to))
	case strings.TrimSpace(subject) == "" || utf8.RuneCountInString(subject) > maxSubject:
		return fmt.Sprintf("a subject has 1 to %d characters", maxSubject)
	case !utf8.ValidString(subject) || strings.ContainsFunc(subject, oneLine):
		return "a subject is one line of text without control characters"
	case len(text) > maxText:
		return fmt.Sprintf("the text is %d bytes; at most %d", len(text), maxText)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "the text is not UTF-8 text"
	}
	return ""
}

// oneLine says that a character has no place in a header.
func oneLine(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

func get(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Reveal()
		}
	}
	return ""
}

// show is get for people: a secret stays one.
func show(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name && a.Secret != nil {
			return state.Redacted
		}
	}
	return get(o, name)
}

func hasText(o provider.Object) bool { return get(o, "to") != "" }

// byAge sorts the oldest first; ids of one moment in their own order.
func byAge(all []provider.Object) {
	sort.Slice(all, func(i, j int) bool {
		a, b := get(all[i], caughtAt), get(all[j], caughtAt)
		if a != b {
			return a < b
		}
		return all[i].ID < all[j].ID
	})
}

// present leaves out what is ours.
func present(o provider.Object) provider.Object {
	o.Attributes = slices.DeleteFunc(slices.Clone(o.Attributes), func(a provider.Observed) bool { return a.Name == caughtAt || a.Name == deleted })
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}}
	return o
}

// mint makes an id. Ids sort by the time at which they were made.
func mint(at time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("mail-%011x%s", at.UnixMilli(), hex.EncodeToString(b[:]))
}

// clean makes untrusted text fit for a message.
func clean(s string) string { return provider.Line(s, maxShown) }
