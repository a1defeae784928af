package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/pgmove"
)

const (
	maxLog   = 8 << 10 // bytes of what pg_dump says
	maxTold  = 300     // runes of it in an error
	dumpStop = 5 * time.Second
)

// Dump implements provider.Dumper: an archive at path as pg_dump --format=custom makes it,
// complete or an error. It writes over nothing. pg_restore reads it.
func (p *Provider) Dump(ctx context.Context, id, path string) error {
	const op = "dump"
	path, err := filepath.Abs(path)
	if err != nil || strings.ContainsRune(path, 0) {
		return p.invalid(op, "the file to write has no usable name")
	}
	if _, err := os.Lstat(path); err == nil {
		return p.fail(provider.Conflict, op, fmt.Sprintf("%s exists; name a file that does not", clean(path)), nil)
	}
	name, server, err := p.nameOf(ctx, op, id)
	if err != nil {
		return err
	}
	return p.writeOut(ctx, op, server, name, path)
}

// keep writes a database that is about to be erased out to a file of its own; where that fails
// it is not erased. What is not ours, half made or gone needs no file. The file's name ends
// with the server's time: a database that another try wrote out may have changed since.
func (p *Provider) keep(ctx context.Context, op, id string) error {
	name, at, server := "", "", 0
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
		server = s.version()
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
	return p.writeOut(ctx, op, server, name, filepath.Join(p.dumps, name+"-"+at+".dump"))
}

// writeOut writes a database of a server of some version to a new file.
func (p *Provider) writeOut(ctx context.Context, op string, server int, name, path string) error {
	program := pgmove.Find(ctx, pgmove.PgDump, p.dumper, server)
	if program.Lacks != "" {
		return p.fail(provider.Unsupported, op, program.Lacks+": "+program.Install, nil)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".dump-*")
	if errors.Is(err, fs.ErrNotExist) {
		return p.fail(provider.NotFound, op, fmt.Sprintf("the folder of %s is not here", clean(path)), err)
	}
	if err != nil {
		return p.fail(provider.Denied, op, fmt.Sprintf("nothing can be written beside %s", clean(path)), err)
	}
	tmp := f.Name()
	err = f.Close()
	if err == nil {
		err = p.pgDump(ctx, op, program.Path, name, tmp)
	}
	if err == nil {
		err = place(tmp, path)
	}
	if removed := os.Remove(tmp); err == nil && !errors.Is(removed, fs.ErrNotExist) {
		err = removed
	}
	var known *provider.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrExist):
		return p.fail(provider.Conflict, op, fmt.Sprintf("%s exists; name a file that does not", clean(path)), err)
	}
	return p.fail(provider.Transient, op, "the dump could not be put in its place", err)
}

// nameOf is the database that an id names, and its server's version.
func (p *Provider) nameOf(ctx context.Context, op, id string) (name string, server int, err error) {
	gone := p.fail(provider.NotFound, op, fmt.Sprintf("database %s is not here", clean(id)), nil)
	if ctx.Err() != nil {
		return "", 0, p.fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if !sayable(id) {
		return "", 0, gone
	}
	err = p.with(ctx, op, "the database could not be looked up", func(ctx context.Context, s session) error {
		found, err := look(ctx, s, id)
		if err != nil {
			return err
		}
		for _, e := range found {
			if e.hasID(id) && e.shown() {
				name, server = e.name, s.version()
				return nil
			}
		}
		return gone
	})
	return name, server, err
}

// pgDump runs the program. What it has to know stands in its environment, which only our
// own user can read: an argument would show in the list of processes, and a database's
// name there could be read as a connection string.
func (p *Provider) pgDump(ctx context.Context, op, program, name, to string) error {
	c := p.server.config
	cmd := exec.CommandContext(ctx, program, "--no-password", "--format=custom", "--file="+to)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin", "PGHOST=" + c.Host, "PGPORT=" + strconv.Itoa(int(c.Port)), "PGUSER=" + c.User, "PGPASSWORD=" + p.server.admin.Reveal(),
		"PGDATABASE=" + name, "PGAPPNAME=reconciler", "PGCONNECT_TIMEOUT=" + strconv.Itoa(int(connectTime.Seconds()))}
	cmd.Env = append(cmd.Env, p.server.tls()...)
	said := &bounded{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, dumpStop
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return p.fail(provider.Transient, op, "the dump was given up", context.Cause(ctx))
	}
	text := said.b.String()
	if password := p.server.admin.Reveal(); password != "" {
		text = strings.ReplaceAll(text, password, "…")
	}
	return p.fail(provider.Transient, op, "pg_dump failed: "+provider.Line(text, maxTold), err)
}

// bounded keeps the beginning of what is written into it.
type bounded struct{ b bytes.Buffer }

func (w *bounded) Write(data []byte) (int, error) {
	if room := maxLog - w.b.Len(); room > 0 {
		w.b.Write(data[:min(room, len(data))])
	}
	return len(data), nil
}

// place gives a finished file its name, never over anything. Where the disk knows no
// links, the look before is all there is.
func place(tmp, path string) error {
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	err = os.Link(tmp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		if _, e := os.Lstat(path); !errors.Is(e, fs.ErrNotExist) {
			return errors.Join(err, e, fs.ErrExist)
		}
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
