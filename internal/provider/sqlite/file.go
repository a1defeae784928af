package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

const (
	extension = ".db"
	newPrefix = ".new-"
	// movedDir has an empty file for each database that may bear a name other than its
	// file's: a look by name reads these too, and no more.
	movedDir = "moved"
)

// plainName is a name that is used as a file name as it is. Others, and those that
// look like a hash of ours, are hashed.
var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,119}$`)

// plainID is NAME.SUFFIX; a file that somebody else put here has no suffix.
var plainID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,119}(\.[0-9a-f]{8})?$`)

func stemOf(name string) string {
	if plainName.MatchString(name) && !strings.HasPrefix(name, "x-") {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "x-" + hex.EncodeToString(sum[:16])
}

// stemOfID returns the file's stem, "" for what can't be an id of ours.
func stemOfID(id string) string {
	if !plainID.MatchString(id) {
		return ""
	}
	stem, _, _ := strings.Cut(id, ".")
	return stem
}

func (p *Provider) path(stem string) string { return filepath.Join(p.dir, stem+extension) }

// stems lists the databases of the folder, sorted.
func (p *Provider) stems() ([]string, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if stem, ok := strings.CutSuffix(e.Name(), extension); ok && plainName.MatchString(stem) {
			out = append(out, stem)
		}
	}
	return out, nil
}

// sides are the files that SQLite keeps beside a database.
func sides(path string) []string { return []string{path + "-journal", path + "-wal", path + "-shm"} }

// sweep takes away what a killed process left: half-made databases, side files
// without a database. A journal with its database is rolled back by opening it.
func (p *Provider) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		full := filepath.Join(p.dir, e.Name())
		if strings.HasPrefix(e.Name(), newPrefix) {
			if err := os.Remove(full); err != nil {
				return err
			}
			continue
		}
		for _, side := range []string{"-journal", "-wal", "-shm"} {
			main, ok := strings.CutSuffix(full, side)
			if !ok || filepath.Ext(main) != extension {
				continue
			}
			_, err := os.Lstat(main)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				err = remove(full)
			case err == nil && side != "-shm":
				// What can't be opened is reported when it is asked for; it stops nobody else.
				_ = p.with(ctx, strings.TrimSuffix(filepath.Base(main), extension), false, func(*sql.DB) error { return nil })
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// exists says whether the file is there. What is not a plain file, or is empty, is
// damage: SQLite would take an empty file for an empty database.
func exists(path string) (bool, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular() || info.Size() == 0:
		return true, errDamaged
	}
	return true, nil
}

// open opens a file that must exist. write takes the write lock when a transaction
// begins, so that none fails half-way for want of it.
func open(path string, write bool, more ...string) (*sql.DB, error) {
	q := "mode=rw&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=synchronous(full)&_pragma=trusted_schema(0)" + strings.Join(more, "")
	if write {
		q += "&_txlock=immediate"
	} else {
		q += "&_pragma=query_only(1)"
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// with opens the database of a stem for f. It is fs.ErrNotExist when there is none.
func (p *Provider) with(ctx context.Context, stem string, write bool, f func(*sql.DB) error) (err error) {
	path := p.path(stem)
	there, err := exists(path)
	if err != nil {
		return err
	}
	if !there {
		return fs.ErrNotExist
	}
	db, err := open(path, write)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var n int // reads the header: damage shows here, before anything is done
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		return err
	}
	return f(db)
}

// commitError marks an error of a commit: it may have happened.
type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }

// inTx runs f in one transaction.
func inTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return commitError{err}
	}
	return nil
}

// build makes a new database in a temporary file and returns its path.
func (p *Provider) build(ctx context.Context, fill func(*sql.Tx) error) (_ string, err error) {
	f, err := os.CreateTemp(p.dir, newPrefix+"*") // mode 0600
	if err != nil {
		return "", err
	}
	path := f.Name()
	if err := f.Close(); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			for _, s := range append(sides(path), path) {
				err = errors.Join(err, remove(s))
			}
		}
	}()
	// A file without a name needs no journal and no sync before the last one.
	db, err := open(path, true, "&_pragma=journal_mode(off)&_pragma=synchronous(off)")
	if err != nil {
		return "", err
	}
	err = inTx(ctx, db, fill)
	if err = errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	return path, syncFile(path)
}

// publish gives a finished file its name. It is fs.ErrExist when the name is taken.
func (p *Provider) publish(built, path string) error {
	_, err := os.Lstat(path)
	if err == nil {
		return errors.Join(fs.ErrExist, remove(built))
	}
	for _, s := range sides(path) { // of a database that was deleted: they must not meet the new one
		if err := remove(s); err != nil {
			return err
		}
	}
	if err := place(built, path); err != nil {
		return errors.Join(err, remove(built))
	}
	return syncDir(filepath.Dir(path))
}

// place moves built to path and never over anything. Where the disk knows no links,
// the look before is all there is.
func place(built, path string) error {
	err := os.Link(built, path)
	switch {
	case err == nil:
		return remove(built)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	if _, e := os.Lstat(path); !errors.Is(e, fs.ErrNotExist) {
		return errors.Join(err, e, fs.ErrExist)
	}
	return os.Rename(built, path)
}

// erase removes a database, the file first: a journal that outlives it is swept, a
// database that outlives its journal would be damaged.
func (p *Provider) erase(path string) error {
	stem := strings.TrimSuffix(filepath.Base(path), extension)
	for _, f := range append([]string{path, filepath.Join(p.dir, movedDir, stem)}, sides(path)...) {
		if err := remove(f); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(path))
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Dump implements provider.Dumper: a compacted copy at path, complete or an error.
// It writes over nothing.
func (p *Provider) Dump(ctx context.Context, id, path string) error {
	const op = "observe"
	stem := stemOfID(id)
	if stem == "" {
		return p.fail(provider.NotFound, op, fmt.Sprintf("database %s is not here", clean(id)), nil)
	}
	path, err := filepath.Abs(path)
	if err != nil || strings.ContainsRune(path, 0) {
		return p.invalid(op, "the file to write has no usable name")
	}
	if _, err := os.Lstat(path); err == nil {
		return p.fail(provider.Conflict, op, fmt.Sprintf("%s exists; name a file that does not", clean(path)), nil)
	}
	unlock := p.locks.read(stem)
	defer unlock()
	// VACUUM INTO writes nothing here, but a read-only connection refuses it.
	err = p.with(ctx, stem, true, func(db *sql.DB) error {
		if _, err := p.own(ctx, db, stem, id); err != nil {
			return err
		}
		return dump(ctx, db, path)
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		return p.fail(provider.Conflict, op, fmt.Sprintf("%s exists; name a file that does not", clean(path)), err)
	case errors.Is(err, fs.ErrNotExist):
		return p.fail(provider.NotFound, op, fmt.Sprintf("database %s is not here, or the folder of %s is not", clean(id), clean(path)), err)
	case err != nil:
		return p.classify(op, fmt.Sprintf("database %s could not be written out", clean(id)), err, false)
	}
	return nil
}

func dump(ctx context.Context, db *sql.DB, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), provider.UnfinishedDump+"*")
	if err != nil {
		return err
	}
	tmp := f.Name()
	err = f.Close()
	if err == nil {
		_, err = db.ExecContext(ctx, "VACUUM INTO ?", tmp) // an empty file may be written into
	}
	if err == nil {
		err = syncFile(tmp)
	}
	if err == nil {
		err = place(tmp, path)
	}
	if err != nil {
		return errors.Join(err, remove(tmp), remove(tmp+"-journal"))
	}
	return syncDir(filepath.Dir(path))
}
