package provider

import (
	"context"

	"github.com/compassdigital/reconciler/internal/state"
)

// Mark is the ownership mark that our objects carry where the vendor has a place
// for one.
type Mark struct {
	Installation string         `json:"installation"`
	Client       state.ClientID `json:"client"`
	Generation   int            `json:"generation"`
}

// IsZero says that there is no mark.
func (m Mark) IsZero() bool { return m == Mark{} }

// Input is one resolved attribute of a wish, as the provider gets it. Secret is
// set in place of Text for secret values.
type Input struct {
	Name   string
	Text   string
	Secret *state.Secret
}

// Reveal returns the text, secret or not.
func (i Input) Reveal() string {
	if i.Secret != nil {
		return i.Secret.Reveal()
	}
	return i.Text
}

// Wish is a resource with everything resolved: what Create and Update get.
type Wish struct {
	Ref    state.Ref
	Name   string // deterministic vendor-side name (ObjectName)
	Mark   Mark
	Inputs []Input // sorted by name
}

// Get returns the named input's text, "" when absent.
func (w Wish) Get(name string) string {
	for _, i := range w.Inputs {
		if i.Name == name {
			return i.Reveal()
		}
	}
	return ""
}

// Phase is how far an object is.
type Phase string

// The phases. Only deployments, what is built slowly, and records that DNS does not answer
// with yet are ever Progressing.
const (
	Ready       Phase = "ready"
	Progressing Phase = "progressing"
	Failed      Phase = "failed"
	// Manual: a person has to do something outside first; Message says what.
	Manual Phase = "manual"
	// Unfinished: a Create of several calls was cut off. Update with the wish finishes it.
	Unfinished Phase = "unfinished"
	// Unreached: a host name that is bound, and that DNS does not lead here yet: an Update asks
	// for the certificate that it is served with once DNS does. Only where Traits say AfterDNS.
	Unreached Phase = "unreached"
)

// Output is one thing that a real object gives to others.
type Output struct {
	Name   string
	Text   string
	Secret *state.Secret
}

// Observed is an attribute as the provider reports it. What a vendor does not
// give back (write-only values) is left out, never guessed; secrets come as
// Secret and are compared by fingerprint.
type Observed = Input

// Object is a provider's object as it is.
type Object struct {
	ID         string
	Kind       state.Kind
	Name       string // vendor-side
	Mark       Mark   // zero: unmarked
	Attributes []Observed
	Outputs    []Output
	Phase      Phase
	Message    string   // why Failed, what to do for Manual; untrusted text
	Log        []string // build log so far, bounded; untrusted text; none where a Follow has it
	Lost       bool     // of a database: what held its data is gone at the vendor, though its frame (a project, say) is there still
	Frozen     bool     // of a database that can be moved: its client can't write (Mover); false also where nobody can tell
	Also       []string // of a record that others keep, and that leads a name: where else DNS leads it, be the record there or not: addresses, or the target of a CNAME; sorted; untrusted text
	Bytes      int64    // about how much a database holds; told of one that is asked for by id, in lists where that costs no more; 0: not told
}

// Query asks for one object: by ID where it is known, else by Name (and Wish for
// kinds that are found by content: a DNS record by its type and name, a domain by its
// host).
//
// With neither it asks what hangs on the site that Wish names in its input `site`, by
// whatever name and whoever made it: the environment, the traffic, or of deployments
// the one that serves. Where nothing hangs there, or the site is not here, none is
// found. No other kind is asked for in this way.
type Query struct {
	Kind state.Kind
	ID   string
	Name string
	Wish *Wish
}

// Traits describe one kind at one provider, as data.
type Traits = state.Traits

// Reader is the reading half.
type Reader interface {
	// Observe returns the objects that match q: none, one, or (a conflict, or a
	// vendor without unique names) several. By ID: none means gone. An error never
	// means absence.
	Observe(ctx context.Context, q Query) ([]Object, error)
	// Owned lists every object whose mark names the installation, by whatever the
	// vendor can list. Complete or an error, but for what Only leaves out.
	Owned(ctx context.Context, installation string) ([]Object, error)
}

// Provider is one vendor (or one embedded part) behind the contract in doc.go.
type Provider interface {
	Reader
	// Name is the word of the manifest: railway, local, sqlite.
	Name() string
	// Traits returns the kinds that it accepts.
	Traits() map[state.Kind]Traits
	// Create makes the object and returns it, at least with its ID. It may return
	// before the object is Ready. It does not look first: that is the caller's.
	// If an object of that unique name exists it fails with Conflict.
	Create(ctx context.Context, w Wish) (Object, error)
	// Update changes the object to the wish.
	Update(ctx context.Context, id string, w Wish) (Object, error)
	// Delete removes the object. Deleting the absent succeeds.
	Delete(ctx context.Context, kind state.Kind, id string) error
}

// Dumper is implemented by providers whose databases can be written out.
type Dumper interface {
	// Dump writes the database's content to path, complete or an error: over nothing that is
	// there, and readable by its owner alone.
	// A file whose name begins with UnfinishedDump is what it has written so far, in the folder of path.
	Dump(ctx context.Context, id, path string) error
}

// UnfinishedDump begins the name of a dump on its way; a process that was killed leaves the file.
const UnfinishedDump = ".dump-"

// Mover is implemented by providers whose databases can be moved to another provider. Their
// traits name the Engine; content moves between equal ones.
//
// Freeze, Thaw and Load may be called again, whatever came of an earlier call: an error says
// nothing of how far it came. None is ever called for a database that we did not make, but
// Freeze and Thaw for one that was adopted.
type Mover interface {
	Dumper
	// Freeze lets the database's client read, and write no more: what it had under way has
	// ended when Freeze returns.
	Freeze(ctx context.Context, id string) error
	// Thaw ends that: the client writes again, from its next connection on.
	Thaw(ctx context.Context, id string) error
	// Content says what is in the database at one moment.
	Content(ctx context.Context, id string) (Content, error)
	// Load puts what Dump of an equal engine wrote at path into a database, all or nothing, and
	// leaves it frozen. What is there must be nothing, or frozen: a copy that came to nothing
	// goes. Anything else is a Conflict, and stays.
	Load(ctx context.Context, id, path string) error
}

// ReadOnly is the reading half as a struct: planning holds this, and no type
// assertion can recover the writer from it.
type ReadOnly struct {
	observe func(context.Context, Query) ([]Object, error)
	owned   func(context.Context, string) ([]Object, error)
	content func(context.Context, string) (Content, error) // nil: its databases can't be moved
	traits  map[state.Kind]Traits
	name    string
}

// NewReadOnly takes p's reading half.
func NewReadOnly(p Provider) ReadOnly {
	r := ReadOnly{observe: p.Observe, owned: p.Owned, traits: p.Traits(), name: p.Name()}
	if m, can := p.(Mover); can {
		r.content = m.Content
	}
	return r
}

// Name is the provider's.
func (r ReadOnly) Name() string { return r.name }

// Traits are the provider's.
func (r ReadOnly) Traits() map[state.Kind]Traits { return r.traits }

// Observe is the provider's.
func (r ReadOnly) Observe(ctx context.Context, q Query) ([]Object, error) { return r.observe(ctx, q) }

// Owned is the provider's.
func (r ReadOnly) Owned(ctx context.Context, installation string) ([]Object, error) {
	return r.owned(ctx, installation)
}

// Content is Mover's; known is false where the provider's databases can't be moved.
func (r ReadOnly) Content(ctx context.Context, id string) (c Content, known bool, err error) {
	if r.content == nil {
		return c, false, nil
	}
	c, err = r.content(ctx, id)
	return c, true, err
}
