package postgres

import (
	"context"
	"errors"
	"fmt"
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

// keep writes a database that is about to be erased out to a file of its own; where that fails
// it is not erased. What is not ours, half made or gone needs no file. The file is called by the
// database's id and the server's time: a database that another try wrote out may have changed
// since. What that wrote goes then, or a purge that fails for weeks would fill the disk.
func (p *Provider) keep(ctx context.Context, op, id string) error {
	name, at := "", ""
	err := p.with(ctx, op, "the database could not be looked up", func(ctx context.Context, s session) error {
		found, err := look(ctx, s, id)
		if err != nil {
			return err
		}
		for _, e := range found {
			if e.hasID(id) && e.ours() && e.database && e.shown() {
				name = e.name
			}
		}
		if name == "" {
			return nil
		}
		now, err := s.read(ctx, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS.US\"Z\"')")
		if err == nil {
			at = string(now[0][0])
		}
		return err
	})
	if err != nil || name == "" {
		return err
	}
	if err := os.MkdirAll(p.dumps, 0o700); err != nil {
		return p.fail(provider.Denied, op, fmt.Sprintf("%s can't be made, where the database is written to before it is erased", clean(p.dumps)), err)
	}
	file := id + "-" + at + ".dump"
	if !triedAt.MatchString(strings.TrimPrefix(file, id)) {
		return p.fail(provider.Unsupported, op, "the server does not tell the time, which the dump is called by", nil)
	}
	err = p.kept(name).Dump(ctx, filepath.Join(p.dumps, file))
	var pe *provider.Error
	if errors.As(err, &pe) {
		return &provider.Error{Kind: pe.Kind, Provider: Name, Op: op, Code: pe.Code, Message: "it could not be written out, and is not erased: " + pe.Message, Err: err}
	}
	if err == nil {
		p.tidy(id, file)
	}
	return err
}

// abandonedAfter is how old a dump on its way is whose process is gone. A file that is written to
// is younger.
const abandonedAfter = 24 * time.Hour

// triedAt ends the name of a dump.
var triedAt = regexp.MustCompile(`^-\d{8}T\d{6}\.\d{6}Z\.dump$`)

// tidy removes the dumps that earlier tries made of the same database, now that file is there, and
// what killed processes left. What can't be removed is left to the next one: the database is
// written out, and that counts.
func (p *Provider) tidy(id, file string) {
	newest, err := os.Stat(filepath.Join(p.dumps, file))
	if err != nil {
		return
	}
	entries, _ := os.ReadDir(p.dumps) // as far as it can be read
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || e.Name() == file {
			continue
		}
		rest, same := strings.CutPrefix(e.Name(), id)
		if same && triedAt.MatchString(rest) || pgmove.Unfinished(e.Name()) && newest.ModTime().Sub(info.ModTime()) > abandonedAfter {
			_ = os.Remove(filepath.Join(p.dumps, e.Name()))
		}
	}
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
