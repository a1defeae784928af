package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/secret/sources"
	"github.com/compassdigital/reconciler/internal/store"
)

// Room on a disk, in bytes.
const (
	roomToRun  = 64 << 20 // below it nothing is begun any more before long
	roomToRest = 1 << 30  // below it somebody should know
)

// lookAtKey reads the key, and never makes one.
func (d *doctor) lookAtKey() ([]report.Finding, *secret.Keys) {
	const about = "key"
	file, dir := d.c.State.KeyFile, d.c.State.Backup.Dir
	keys, err := secret.Open(secret.KeySource{File: file, Env: d.c.State.Key.Secret, Existing: true})
	expected, failed := bolt.Expected(d.c.State.Path)
	switch {
	case err == nil && !d.c.State.Key.Empty():
		return []report.Finding{ok(about, "the key comes from the configuration or the environment")}, keys
	case err == nil && dir != "" && filepath.Clean(dir) == filepath.Dir(file):
		return []report.Finding{warn(about, "keep a copy of the key elsewhere, and the backups in another folder: both together open the state", "%s is in the folder of the backups", file)}, keys
	case err == nil:
		return []report.Finding{ok(about, "%s is there, and its owner's alone", file)}, keys
	case errors.Is(err, secret.ErrNoKey) && failed == nil && !expected:
		if f := folder("state.keyFile", filepath.Dir(file)); f.Level == report.Fail {
			f.About = about
			return []report.Finding{f}, nil
		}
		return []report.Finding{ok(about, "there is none yet: the first run makes %s; keep a copy of it elsewhere then", file)}, nil
	case errors.Is(err, secret.ErrNoKey):
		return []report.Finding{bad(about, "bring the key back from where you keep its copy", "%s is gone, and the state can't be read without it", file)}, nil
	case errors.Is(err, secret.ErrReadable):
		return []report.Finding{bad(about, "chmod 600 "+file, "others may read %s", file)}, nil
	case errors.Is(err, fs.ErrPermission):
		return []report.Finding{bad(about, "run this as the user that runs the daemon, or let that user read it", "%s may not be read by %s", file, who())}, nil
	}
	return []report.Finding{bad(about, "bring the key back from where you keep its copy (state.keyFile)", "%v", err)}, nil
}

// state asks the daemon, or reads the state as a backup is read.
func (d *doctor) state(ctx context.Context) []report.Finding {
	const about = "state"
	path := d.c.State.Path
	var v reconcile.Overview
	err := daemon.Call(ctx, socketOf(d.c), daemon.Ask{Op: "overview"}, &v)
	switch {
	case err == nil:
		out := []report.Finding{ok(about, "the daemon has it open (%s): %s", bolt.Holder(path), counted(len(v.Clients), "client", "clients"))}
		for _, n := range v.Notices {
			out = append(out, warn("daemon", "", "%s", n))
		}
		return out
	case !errors.Is(err, daemon.ErrNoDaemon):
		return []report.Finding{noAnswer(path, err)}
	case d.keys == nil:
		if there, err := bolt.Expected(path); err == nil && !there {
			return append([]report.Finding{ok(about, "there is none yet: the first run makes %s", path)}, d.listen(ctx)...)
		}
		return []report.Finding{bad(about, "see the key, above", "%s can't be read without its key", path)}
	}
	return append(append(d.offline(path), rootsFiles(path, ownerOf)...), d.listen(ctx)...)
}

// noAnswer is what it means that asking the daemon ended with an error.
func noAnswer(path string, err error) report.Finding {
	if errors.Is(err, daemon.ErrNotOurs) {
		return bad("state", "run this as the user that runs the daemon", "what is in %s may not be read by %s: neither the state nor the daemon's socket", filepath.Dir(path), who())
	}
	return bad("state", "restart the daemon, and see its log", "the daemon's socket is there, and it does not answer as it should: %v", err)
}

// rootsFiles are those of a state that root left among another user's, as a restore by root
// does: root sees nothing wrong, and the daemon can't open them.
func rootsFiles(path string, owner func(string) (int, bool)) []report.Finding {
	dir := filepath.Dir(path)
	whose, known := owner(dir)
	if !known || whose == 0 {
		return nil
	}
	var roots []string
	theirs := false
	for _, end := range []string{"", ".lock", ".marker", ".underway"} {
		switch is, known := owner(path + end); {
		case known && is == 0:
			roots = append(roots, filepath.Base(path+end))
		case known && is == whose:
			theirs = true
		}
	}
	if len(roots) == 0 || !theirs { // all of them root's: root may run the daemon
		return nil
	}
	return []report.Finding{bad("state", fmt.Sprintf("chown -R %d %s", whose, dir), "root's in %s, whose other files are not: %s; the user that runs the daemon can't open that", dir, strings.Join(roots, ", "))}
}

// offline reads a state that no daemon answers for.
func (d *doctor) offline(path string) []report.Finding {
	const about = "state"
	g, err := bolt.Look(path, d.keys)
	var held *bolt.HeldError
	switch {
	case err == nil && !g.There:
		return []report.Finding{ok(about, "there is none yet: the first run makes %s", path)}
	case err == nil && g.Old:
		return []report.Finding{warn(about, "nothing has to be done: the next run compares it with what the providers show before it does anything", "%s is an older copy that was put back", path)}
	case err == nil && g.Past:
		return []report.Finding{ok(about, "%s is sound; an older version wrote it, and the next run brings it up to date. No daemon runs", path)}
	case err == nil:
		return []report.Finding{ok(about, "%s is sound: every record opens (%s). No daemon runs", path, size(g.Size))}
	case errors.As(err, &held):
		return []report.Finding{warn(about, "a command is at work, or a daemon that does not answer at its socket: look again in a moment", "it is held by %s", held.Holder)}
	case errors.Is(err, bolt.ErrMissing):
		return []report.Finding{bad(about, "restore a backup (reconciler restore FILE), or make it anew from Git and the providers' marks (reconciler rebuild)", "%s is gone, or a rebuild of it did not come to its end", path)}
	case errors.Is(err, secret.ErrWrongKey):
		return []report.Finding{bad(about, "name the key that made this state in state.keyFile", "%s was sealed with another key", path)}
	case errors.Is(err, store.ErrDamaged):
		return []report.Finding{bad(about, "move it away and restore a backup (reconciler restore FILE), or make it anew (reconciler rebuild)", "%v", err)}
	case errors.Is(err, bolt.ErrNewer):
		return []report.Finding{bad(about, "install that version again, or restore a backup made before it", "a newer version of this program wrote %s", path)}
	case errors.Is(err, fs.ErrPermission):
		return []report.Finding{bad(about, "run this as the user that runs the daemon", "%s may not be read by %s", path, who())}
	}
	return []report.Finding{bad(about, "see state.path", "%v", err)}
}

// listen tries the addresses of the pages and of the embedded DNS, where no daemon has them.
func (d *doctor) listen(ctx context.Context) (out []report.Finding) {
	out = tried("listen", d.c.Listen, func(lc net.ListenConfig) (io.Closer, error) { return lc.Listen(ctx, "tcp", d.c.Listen) })
	if e := d.c.Providers.Embedded; e.Dir != "" && e.DNS != "" {
		const field = "providers.embedded.dns"
		found := tried(field, e.DNS, func(lc net.ListenConfig) (io.Closer, error) { return lc.ListenPacket(ctx, "udp", e.DNS) })
		if found == nil {
			found = tried(field, e.DNS, func(lc net.ListenConfig) (io.Closer, error) { return lc.Listen(ctx, "tcp", e.DNS) })
		}
		out = append(out, found...)
	}
	return out
}

// tried says why nobody can listen at the address that a field names; nothing where one can.
func tried(field, address string, listen func(net.ListenConfig) (io.Closer, error)) []report.Finding {
	l, err := listen(net.ListenConfig{})
	switch {
	case err == nil:
		if err = l.Close(); err == nil {
			return nil
		}
		return []report.Finding{bad(field, "look at the machine", "%v", err)}
	case errors.Is(err, syscall.EADDRINUSE):
		return []report.Finding{bad(field, "stop what listens there, or set "+field+" to another port", "%s is taken by another program", address)}
	}
	return []report.Finding{bad(field, "set "+field+" to an address of this machine, as 127.0.0.1:PORT", "nobody can listen at %s: %v", address, err)}
}

// disk looks at the room and at who may write, for every folder that something is kept in.
func (d *doctor) disk(context.Context) (out []report.Finding) {
	dumps, _ := d.c.dumps()
	seen := map[string]bool{}
	for _, x := range []struct{ what, dir string }{{"state.path", filepath.Dir(d.c.State.Path)}, {"state.backup.dir", d.c.State.Backup.Dir},
		{"providers.embedded.dir", d.c.Providers.Embedded.Dir}, {"providers.postgres.dumps", dumps}} {
		if x.dir == "" || seen[x.dir] {
			continue
		}
		if _, err := os.Stat(x.dir); seen[filepath.Dir(x.dir)] && errors.Is(err, fs.ErrNotExist) {
			continue // it will be made in one that was looked at
		}
		seen[x.dir] = true
		out = append(out, folder(x.what, x.dir))
	}
	return out
}

// standing is the folder itself, or the nearest above it that is there.
func standing(dir string) (at string, info fs.FileInfo, err error) {
	at = dir
	info, err = os.Stat(at)
	for errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
		info, err = os.Stat(at)
	}
	return at, info, err
}

// roomBelow is how many bytes may be written below a folder, which need not be there yet.
func roomBelow(dir string) (uint64, bool) {
	at, _, err := standing(dir)
	if err != nil {
		return 0, false
	}
	return room(at)
}

// folder looks at one folder, or at the one that it is to be made in.
func folder(what, dir string) report.Finding {
	const about = "disk"
	at, info, err := standing(dir)
	switch {
	case err != nil:
		return bad(about, "see "+what, "%v", err)
	case !info.IsDir():
		return bad(about, "see "+what, "%s is no folder", at)
	case !writable(at):
		return bad(about, "let the user that runs the daemon write there, or name another folder in "+what, "%s may not write to %s", who(), at)
	}
	free, known := room(at)
	if !known {
		return ok(about, "%s can be written to", at)
	}
	return roomIn(dir, free)
}

// roomIn says what so much room means.
func roomIn(dir string, free uint64) report.Finding {
	switch {
	case free < roomToRun:
		return bad("disk", "make room: on a full disk nothing is written anywhere, and nothing is done", "%s are left for %s", size(int64(free)), dir)
	case free < roomToRest:
		return warn("disk", "make room before it is used up", "%s are left for %s", size(int64(free)), dir)
	}
	return ok("disk", "%s are left for %s", size(int64(min(free, 1<<62))), dir)
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	switch {
	case n < unit*unit:
		return fmt.Sprintf("%d KiB", (n+unit-1)/unit)
	case n < 10*unit*unit*unit:
		return fmt.Sprintf("%d MiB", n/unit/unit)
	}
	return fmt.Sprintf("%d GiB", n/unit/unit/unit)
}

// secrets reads the sources outside; nothing of it is kept.
func (d *doctor) secrets(ctx context.Context) []report.Finding {
	const about = "secrets"
	if len(d.c.Secrets.Sources) == 0 {
		return nil
	}
	environ := d.app.environ
	if environ == nil {
		environ = os.Environ
	}
	set, err := sources.New(d.c.Secrets.specs(), sources.Options{Environ: environ, Now: time.Now})
	if err != nil {
		return []report.Finding{bad(about, "see secrets.sources", "%v", err)}
	}
	read := set.Read(ctx, true)
	for _, s := range read.Secrets {
		d.known.Add(s.Value)
	}
	var out []report.Finding
	for _, name := range read.Failed {
		out = append(out, bad(about, "see secrets.sources, and the reason below", "the %s can't be read", name))
	}
	if len(out) == 0 {
		out = append(out, ok(about, "%s read from %s", counted(len(read.Secrets), "secret is", "secrets are"), counted(len(read.Sources), "source", "sources")))
	}
	for _, n := range read.Notes {
		out = append(out, warn(about, "", "%s", n))
	}
	return out
}
