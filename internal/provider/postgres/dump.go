package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/pgmove"
)

// Dump implements provider.Dumper: an archive at path as pg_dump --format=custom makes it,
// complete or an error. It writes over nothing. pg_restore reads it.
func (p *Provider) Dump(ctx context.Context, id, path string) error {
	name, err := p.nameOf(ctx, "dump", id)
	if err != nil {
		return err
	}
	return p.kept(name).Dump(ctx, path)
}

// kept is a database, whoever's it is, as the administrator gets at it.
func (p *Provider) kept(name string) pgmove.Database {
	keeper := p.server.config.Copy()
	keeper.Password = p.server.admin.Reveal()
	return pgmove.Database{Provider: Name, Name: name, Keeper: keeper, TLS: p.server.tls(), Dumper: p.dumper, Restorer: p.restorer}
}

// spare is how many bytes of the disk a dump leaves free: a full one stops everything, the state
// included.
const spare = 256 << 20

// doomed is a database that is about to be erased.
type doomed struct {
	name, at string // at: the server's time
	bytes    int64  // 0: the server does not tell
	version  int    // the server's
}

// keep writes a database that is about to be erased out to a file of its own; where that fails
// it is not erased. What is not ours, half made, gone or torn needs no file. The file is called by the
// database's id and the server's time: a database that another try wrote out may have changed
// since. What that wrote goes then, or a purge that fails for weeks would fill the disk.
func (p *Provider) keep(ctx context.Context, op, id string) error {
	d, err := p.doomed(ctx, op, id)
	if err != nil || d.name == "" {
		return err
	}
	if program := pgmove.Find(ctx, pgmove.PgDump, p.dumper, d.version); program.Lacks != "" && p.goesWithout {
		provider.Tell(ctx, "no dump of it is left: %s (`reconciler doctor` says what to install)", program.Lacks)
		return nil
	}
	p.dropLeft(time.Now()) // before the room is looked at: what was left may be what takes it
	if err := p.fits(op, d); err != nil {
		return err
	}
	if err := os.MkdirAll(p.dumps, 0o700); err != nil { // not Denied: it is this machine's word, not the server's
		return p.fail(provider.Unsupported, op, fmt.Sprintf("it is not erased: %s can't be made, where the database is written to before; let us make it, or name another folder in providers.postgres.dumps", clean(p.dumps)), err)
	}
	file := id + "-" + d.at + ".dump"
	if !triedAt.MatchString(strings.TrimPrefix(file, id)) {
		return p.fail(provider.Unsupported, op, "the server does not tell the time, which the dump is called by", nil)
	}
	path := filepath.Join(p.dumps, file)
	err = p.kept(d.name).Dump(ctx, path)
	var pe *provider.Error
	if errors.As(err, &pe) {
		kind := pe.Kind
		if here := (*fs.PathError)(nil); errors.As(err, &here) {
			kind = provider.Unsupported
		}
		return &provider.Error{Kind: kind, Provider: Name, Op: op, Code: pe.Code, Message: "it could not be written out, and is not erased: " + pe.Message, Err: err}
	}
	if err == nil {
		p.tidy(id, file)
		provider.Tell(ctx, "a dump of it stays in %s until somebody deletes it", path)
	}
	return err
}

// doomed looks up what is to be written out; its name is empty where nothing is.
func (p *Provider) doomed(ctx context.Context, op, id string) (d doomed, err error) {
	err = p.with(ctx, op, "the database could not be looked up", func(ctx context.Context, s session) error {
		found, err := look(ctx, s, id)
		if err != nil {
			return err
		}
		for _, e := range found {
			if e.hasID(id) && e.ours() && e.database && e.shown() && !e.torn {
				d.name = e.name
			}
		}
		if d.name == "" {
			return nil
		}
		d.version = s.version()
		now, err := s.read(ctx, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS.US\"Z\"')")
		if err != nil {
			return err
		}
		d.at = string(now[0][0])
		d.bytes, err = sizeOf(ctx, s, d.name)
		return err
	})
	return d, err
}

// fits says that the disk has room for a dump. It is smaller than the database as a rule:
// compressed, and without indexes. What is compressed already (pictures in a bytea) takes a little
// more, since it is written out in hexadecimal first: an eighth is more than that.
func (p *Provider) fits(op string, d doomed) error {
	if p.room == nil {
		return nil
	}
	need := uint64(max(d.bytes, 0))/8*9 + spare
	free, known := p.room(p.dumps)
	if !known || free >= need {
		return nil
	}
	return p.fail(provider.Unsupported, op, fmt.Sprintf("it is not erased: its dump may take %d MB on the disk of %s, and %d MB are left there; make room, or name a folder with more in providers.postgres.dumps", need>>20, clean(p.dumps), free>>20), nil)
}

// abandonedAfter is how old a dump on its way is whose process is gone. A file that is written to
// is younger.
const abandonedAfter = 24 * time.Hour

var (
	// triedAt ends the name of a dump of a database that is erased.
	triedAt = regexp.MustCompile(`^-\d{8}T\d{6}\.\d{6}Z\.dump$`)
	// dumped is such a name.
	dumped = regexp.MustCompile(`.-\d{8}T\d{6}\.\d{6}Z\.dump$`)
)

// dropLeft removes what killed processes left of dumps that were on their way in our own folder. What
// can't be removed is left to the next purge.
func (p *Provider) dropLeft(now time.Time) {
	for _, e := range p.written() {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && strings.HasPrefix(e.Name(), provider.UnfinishedDump) && now.Sub(info.ModTime()) > abandonedAfter {
			_ = os.Remove(filepath.Join(p.dumps, e.Name()))
		}
	}
}

// tidy removes the dumps that earlier tries made of the same database, now that file is there. What
// can't be removed is left to the next one: the database is written out, and that counts.
func (p *Provider) tidy(id, file string) {
	for _, e := range p.written() {
		rest, same := strings.CutPrefix(e.Name(), id)
		if same && triedAt.MatchString(rest) && e.Type().IsRegular() && e.Name() != file {
			_ = os.Remove(filepath.Join(p.dumps, e.Name()))
		}
	}
}

// written is what the folder of dumps has, as far as it can be read.
func (p *Provider) written() []fs.DirEntry {
	entries, _ := os.ReadDir(p.dumps)
	return entries
}

// nameOf is the database that an id names.
func (p *Provider) nameOf(ctx context.Context, op, id string) (name string, err error) {
	gone := p.fail(provider.NotFound, op, fmt.Sprintf("database %s is not here", clean(id)), nil)
	if ctx.Err() != nil {
		return "", p.fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if !sayable(id) {
		return "", gone
	}
	err = p.with(ctx, op, "the database could not be looked up", func(ctx context.Context, s session) error {
		found, err := look(ctx, s, id)
		if err != nil {
			return err
		}
		for _, e := range found {
			if e.hasID(id) && e.shown() {
				name = e.name
				return nil
			}
		}
		return gone
	})
	return name, err
}
