package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/pgmove"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "postgres"

// Limits on what is asked of the server and taken from it.
const (
	maxConnections = 4      // of ours at once
	maxOwned       = 50_000 // databases of one installation that are listed
	maxFound       = 8      // databases of one name or id that are looked at
	maxText        = 4 << 10
	maxComment     = 16 << 10 // characters of a comment that are read
	maxShown       = 120      // runes of untrusted text in a message
	// defaultLimit is how many connections a client's role may have: a server takes 100
	// unless somebody said otherwise, and one client must not take them all.
	defaultLimit = 20
)

// How long things may take. What is given up here is cancelled at the server, too.
const (
	connectTime = 10 * time.Second
	statement   = 20 * time.Second // one statement, and the wait for whoever works at the same name
	longest     = 5 * time.Minute  // CREATE DATABASE and DROP DATABASE
	callTime    = 12 * time.Minute // one call as a whole
)

// Options say which server it is.
type Options struct {
	// DSN is the administrator's way in, postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=….
	// It may be a superuser or a role with CREATEDB and CREATEROLE.
	DSN state.Secret
	// Host is the HOST or HOST:PORT that clients reach the server at; "": the DSN's.
	Host string
	// Key is what clients' passwords are derived from. Another key is other passwords.
	Key state.Secret
	// ConnectionLimit is how many connections each client's role may have. 0: 20.
	ConnectionLimit int
	// PgDump is the program that writes databases out. "": pg_dump
	// of the server's version, or the PATH's (pgmove.Find).
	PgDump string
	// PgRestore is the program that loads what was written out. "":
	// pg_restore, likewise.
	PgRestore string
	// Dumps is the folder that Delete writes a database to before it erases it; "": it doesn't.
	Dumps string
	// GoesWithout lets Delete erase without a dump where no pg_dump on this machine suits the
	// server, and say so. A dump that fails keeps the database all the same.
	GoesWithout bool
	// Room is how many bytes fit below a folder, which need not be there; false: unknown. nil:
	// nobody looks.
	Room func(dir string) (uint64, bool)
}

// Provider keeps databases on one server. Make it with New.
type Provider struct {
	server      server
	key         state.Secret
	limit       int
	dumper      string
	restorer    string
	dumps       string
	goesWithout bool
	room        func(dir string) (uint64, bool)
	slots       chan struct{} // one for each connection that is open
	dial        func(ctx context.Context) (session, error)
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Mover    = (*Provider)(nil)
)

// New checks the options. It does not connect: a server that is away stops nobody else.
func New(o Options) (*Provider, error) {
	s, err := parseDSN(o.DSN, o.Host)
	if err != nil {
		return nil, err
	}
	if len(o.Key.Reveal()) < minKey {
		return nil, fmt.Errorf("open postgres: the key that passwords are derived from has fewer than %d bytes", minKey)
	}
	if o.ConnectionLimit < 0 || o.ConnectionLimit > 10_000 {
		return nil, errors.New("open postgres: connectionLimit is a number from 1 to 10000; leave it out for 20")
	}
	if o.ConnectionLimit == 0 {
		o.ConnectionLimit = defaultLimit
	}
	p := &Provider{server: s, key: o.Key, limit: o.ConnectionLimit, dumper: o.PgDump, restorer: o.PgRestore, dumps: o.Dumps,
		goesWithout: o.GoesWithout, room: o.Room, slots: make(chan struct{}, maxConnections)}
	p.dial = p.connect
	return p, nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider. A call is a connection here, however many
// statements go over it.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindDatabase: {Data: true, UniqueName: true, Marks: true, Engine: pgmove.Engine,
		ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 1, DeleteCalls: 1}}
}

// ready refuses what cannot be done before anything is.
func (p *Provider) ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return p.fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if kind != state.KindDatabase {
		return p.fail(provider.Unsupported, op, fmt.Sprintf("kind %s is not kept here", clean(string(kind))), nil)
	}
	return nil
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) (out []provider.Object, err error) {
	const op = "observe"
	if err := p.ready(ctx, op, q.Kind); err != nil {
		return nil, err
	}
	match, name := entry.goesBy, q.Name
	if q.ID != "" {
		match, name = entry.hasID, q.ID
	}
	if !sayable(name) {
		return nil, nil
	}
	err = p.with(ctx, op, "the database could not be looked up", func(ctx context.Context, s session) error {
		found, err := look(ctx, s, name)
		if err != nil {
			return err
		}
		for _, e := range found {
			if !match(e, name) || !e.shown() && (q.ID == "" || !e.goneHalf()) {
				continue
			}
			o := p.object(e)
			if q.ID != "" && e.database {
				if o.Bytes, err = sizeOf(ctx, s, e.name); err != nil {
					return err
				}
			}
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// Owned implements provider.Reader. Sizes come with it, where the server tells them in time.
func (p *Provider) Owned(ctx context.Context, installation string) (out []provider.Object, err error) {
	const op = "observe"
	if err := p.ready(ctx, op, state.KindDatabase); err != nil {
		return nil, err
	}
	if installation == "" || !sayable(installation) {
		return nil, nil
	}
	err = p.with(ctx, op, "the databases could not be listed", func(ctx context.Context, s session) error {
		all, err := owned(ctx, s, installation)
		if err != nil {
			return err
		}
		size, err := sizes(ctx, s, installation)
		if err != nil {
			return err
		}
		for _, e := range all {
			if e.shown() {
				o := p.object(e)
				o.Bytes = size[e.name]
				out = append(out, o)
			}
		}
		return nil
	})
	return out, err
}

// object is how a database looks from outside.
func (p *Provider) object(e entry) provider.Object {
	o := provider.Object{ID: e.id(), Kind: state.KindDatabase, Name: e.name, Phase: provider.Ready, Frozen: e.frozen,
		Outputs: []provider.Output{{Name: "id", Text: e.id()}, {Name: "host", Text: p.server.publicHost()}}}
	if !e.ours() {
		return o
	}
	n := e.role
	o.Name, o.Mark = n.nameOr(e.name), n.mark
	switch {
	case e.goneHalf():
		o.Phase, o.Message = provider.Failed, "it is erased; only its role is left"
	case e.torn:
		o.Phase, o.Message = provider.Failed, "it was being dropped, and that was broken off: the server lets nobody connect to it any more"
	case n.key != p.keyCheck():
		o.Message = "its password was made under another key of this program; the next change sets a new one"
	default:
		// What is set again together with the password is told only where there is one.
		o.Attributes = []provider.Observed{{Name: "access", Text: n.access}, {Name: "disabled", Text: n.disabled}, {Name: "schema", Text: n.schema}}
		url := p.server.clientURL(e.name, p.password(e.name, n.id))
		o.Outputs = append(o.Outputs, provider.Output{Name: "url", Secret: &url})
	}
	return o
}
