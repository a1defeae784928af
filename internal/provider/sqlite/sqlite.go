package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "sqlite"

// Limits on what a wish brings along.
const (
	maxName   = 512     // bytes of an object's name
	maxText   = 4 << 10 // bytes of an attribute
	maxShown  = 120     // runes of untrusted text in a message
	maxAdmins = 10_000  // administrators of one database that are listed
)

// Options say where a Provider keeps things.
type Options struct {
	// Dir holds the files; it is made when it isn't there.
	Dir string
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Provider keeps databases and their administrators. Make it with New.
type Provider struct {
	dir   string
	now   func() time.Time
	cost  func(password string) int
	locks locks
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Dumper   = (*Provider)(nil)
)

// New opens the folder and clears away what a killed process left.
func New(o Options) (*Provider, error) {
	if o.Dir == "" {
		return nil, errors.New("open databases: no folder is named")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open databases: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Provider{dir: dir, now: o.Now, cost: costOf}
	if err := os.MkdirAll(filepath.Join(dir, movedDir), 0o700); err != nil {
		return nil, fmt.Errorf("open databases: %w", err)
	}
	if err := p.sweep(context.Background()); err != nil {
		return nil, fmt.Errorf("open databases: %w", err)
	}
	return p, nil
}

// Close ends the use of the folder. No file is open between calls.
func (p *Provider) Close() error { return nil }

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	t := provider.Traits{UniqueName: true, Marks: true, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 1, DeleteCalls: 1}
	database, admin := t, t
	database.Data = true
	admin.Replace = []string{"database"}
	return map[state.Kind]provider.Traits{state.KindDatabase: database, state.KindAdmin: admin}
}

// ready refuses what cannot be done before anything is.
func (p *Provider) ready(ctx context.Context, op string, kind state.Kind) error {
	if ctx.Err() != nil {
		return p.fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if kind != state.KindDatabase && kind != state.KindAdmin {
		return p.fail(provider.Unsupported, op, fmt.Sprintf("kind %s is not kept here", clean(string(kind))), nil)
	}
	return nil
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	const op = "observe"
	if err := p.ready(ctx, op, q.Kind); err != nil {
		return nil, err
	}
	var out []provider.Object
	var err error
	switch {
	case q.Kind == state.KindAdmin:
		out, err = p.observeAdmin(ctx, q)
	case q.ID != "":
		out, err = p.look(ctx, stemOfID(q.ID), func(m meta) bool { return m.id == q.ID })
	default:
		out, err = p.byName(ctx, q.Name)
	}
	if err != nil {
		return nil, p.classify(op, fmt.Sprintf("the %s could not be read", q.Kind), err, false)
	}
	return out, nil
}

// look returns the database of a stem if it is the one that is meant.
func (p *Provider) look(ctx context.Context, stem string, meant func(meta) bool) (out []provider.Object, err error) {
	if stem == "" {
		return nil, nil
	}
	defer p.locks.read(stem)()
	err = p.with(ctx, stem, false, func(db *sql.DB) error {
		m, err := readMeta(ctx, db, stem)
		if err == nil && meant(m) {
			out = append(out, p.object(stem, m))
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return out, err
}

// byName looks at the name's file, and at those of databases that have taken another
// name since they were made.
func (p *Provider) byName(ctx context.Context, name string) ([]provider.Object, error) {
	meant := func(m meta) bool { return m.name == name }
	out, err := p.look(ctx, stemOf(name), meant)
	if err != nil || len(out) > 0 {
		return out, err
	}
	moved, err := os.ReadDir(filepath.Join(p.dir, movedDir))
	if err != nil {
		return nil, err
	}
	for _, e := range moved {
		if !plainName.MatchString(e.Name()) || e.Name() == stemOf(name) {
			continue
		}
		found, err := p.look(ctx, e.Name(), meant)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// Owned implements provider.Reader: databases, each followed by its administrators.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	const op = "observe"
	if err := p.ready(ctx, op, state.KindDatabase); err != nil {
		return nil, err
	}
	stems, err := p.stems()
	if err != nil {
		return nil, p.classify(op, "the databases could not be listed", err, false)
	}
	var out []provider.Object
	for _, stem := range stems {
		found, err := p.ownedIn(ctx, stem, installation)
		if err != nil {
			return nil, p.classify(op, "database "+stem+" could not be read", err, false)
		}
		out = append(out, found...)
	}
	return out, nil
}

func (p *Provider) ownedIn(ctx context.Context, stem, installation string) (out []provider.Object, err error) {
	defer p.locks.read(stem)()
	err = p.with(ctx, stem, false, func(db *sql.DB) error {
		m, err := readMeta(ctx, db, stem)
		if err != nil || !m.known || installation == "" {
			return err
		}
		if m.mark.Installation == installation {
			out = append(out, p.object(stem, m))
		}
		admins, err := admins(ctx, db, m.id, "a.installation = ?", installation)
		out = append(out, admins...)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // deleted since the folder was listed
	}
	return out, err
}

var (
	accessWord = regexp.MustCompile(`^[a-z]{0,32}$`)
	schemaWord = regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`)
)

// wished takes the attributes out of a wish for a database.
func (p *Provider) wished(op string, w provider.Wish) (meta, error) {
	m := meta{name: w.Name, mark: w.Mark, known: true, attributes: map[string]string{}}
	if w.Name == "" || len(w.Name) > maxName {
		return m, p.invalid(op, "a name has 1 to %d bytes", maxName)
	}
	for _, k := range kept() {
		m.attributes[k] = w.Get(k)
	}
	switch {
	case !accessWord.MatchString(m.attributes["access"]):
		return m, p.invalid(op, "access %q is not a word like public or private", clean(m.attributes["access"]))
	case !schemaWord.MatchString(m.attributes["schema"]):
		return m, p.invalid(op, "schema %q is not a template's name", clean(m.attributes["schema"]))
	case len(m.attributes["disabled"]) > maxText:
		return m, p.invalid(op, "the disabled collections are more than %d bytes", maxText)
	}
	return m, nil
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	const op = "create"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	if w.Ref.Kind == state.KindAdmin {
		return p.createAdmin(ctx, w)
	}
	m, err := p.wished(op, w)
	if err != nil {
		return provider.Object{}, err
	}
	taken, err := p.byName(ctx, w.Name)
	if err != nil {
		return provider.Object{}, p.classify(op, "the name could not be looked up", err, false)
	}
	if len(taken) > 0 {
		return provider.Object{}, p.fail(provider.Conflict, op, fmt.Sprintf("database %s exists: %s", clean(w.Name), taken[0].ID), nil)
	}
	stem := stemOf(w.Name)
	m.id = stem + "." + suffix()
	built, err := p.build(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, metaTables); err != nil {
			return err
		}
		if err := migrate(ctx, tx, m.attributes["schema"], p.now()); err != nil {
			return err
		}
		return m.write(ctx, tx)
	})
	if err != nil {
		return provider.Object{}, p.classify(op, "the database could not be built", err, false) // it has no name yet
	}
	defer p.locks.write(stem)()
	err = p.publish(built, p.path(stem))
	if errors.Is(err, fs.ErrExist) {
		return provider.Object{}, p.fail(provider.Conflict, op, fmt.Sprintf("the file %s is in use by another database", stem+extension), err)
	}
	if err != nil {
		return provider.Object{}, p.classify(op, "the database could not be put in its place", err, true)
	}
	return p.object(stem, m), nil
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	if w.Ref.Kind == state.KindAdmin {
		return p.updateAdmin(ctx, id, w)
	}
	m, err := p.wished(op, w)
	if err != nil {
		return provider.Object{}, err
	}
	gone := p.fail(provider.NotFound, op, fmt.Sprintf("database %s is not here", clean(id)), nil)
	stem := stemOfID(id)
	if stem == "" {
		return provider.Object{}, gone
	}
	if stemOf(w.Name) != stem {
		if err := p.noteMoved(ctx, op, id, w.Name); err != nil {
			return provider.Object{}, err
		}
	}
	defer p.locks.write(stem)()
	err = p.with(ctx, stem, true, func(db *sql.DB) error {
		return inTx(ctx, db, func(tx *sql.Tx) error {
			have, err := p.own(ctx, tx, stem, id)
			if err != nil {
				return err
			}
			m.id = have.id
			if _, err := tx.ExecContext(ctx, metaTables); err != nil {
				return err
			}
			if minted(have.id) { // the tables of what was adopted are its owner's business
				if err := migrate(ctx, tx, m.attributes["schema"], p.now()); err != nil {
					return err
				}
			}
			return m.write(ctx, tx)
		})
	})
	if errors.Is(err, fs.ErrNotExist) {
		return provider.Object{}, gone
	}
	if err != nil {
		return provider.Object{}, p.classify(op, "the database could not be changed", err, isCommit(err))
	}
	return p.object(stem, m), nil
}

// noteMoved makes sure that a database which takes another name is found by it.
func (p *Provider) noteMoved(ctx context.Context, op, id, name string) error {
	taken, err := p.byName(ctx, name)
	if err != nil {
		return p.classify(op, "the name could not be looked up", err, false)
	}
	if len(taken) > 0 && taken[0].ID != id {
		return p.fail(provider.Conflict, op, fmt.Sprintf("database %s exists: %s", clean(name), taken[0].ID), nil)
	}
	dir := filepath.Join(p.dir, movedDir)
	f, err := os.OpenFile(filepath.Join(dir, stemOfID(id)), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), syncDir(dir))
	}
	if err != nil {
		return p.classify(op, "the change of name could not be noted", err, false)
	}
	return nil
}

// Delete implements provider.Provider.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	const op = "delete"
	if err := p.ready(ctx, op, kind); err != nil {
		return err
	}
	if kind == state.KindAdmin {
		return p.deleteAdmin(ctx, id)
	}
	stem := stemOfID(id)
	if stem == "" {
		return nil
	}
	defer p.locks.write(stem)()
	err := p.with(ctx, stem, false, func(db *sql.DB) error {
		_, err := p.own(ctx, db, stem, id)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return p.classify(op, "the database could not be read, so that it can't be told whose it is", err, false)
	}
	if err := p.erase(p.path(stem)); err != nil {
		return p.classify(op, "the database could not be removed", err, true)
	}
	return nil
}

func isCommit(err error) bool {
	var c commitError
	return errors.As(err, &c)
}

// minted says that the database was made here: one that somebody else put into the
// folder has its file's name as its id.
func minted(id string) bool { return strings.Contains(id, ".") }

// suffix makes ids that are not used twice.
func suffix() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
