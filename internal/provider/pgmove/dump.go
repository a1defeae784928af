package pgmove

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Dump is provider.Dumper's: an archive at path as pg_dump --format=custom makes it, complete
// or an error. It writes over nothing, and nobody else may read it.
func (d Database) Dump(ctx context.Context, path string) error {
	const op = "dump"
	path, err := filepath.Abs(path)
	if err != nil || strings.ContainsRune(path, 0) {
		return d.fail(provider.Invalid, op, "the file to write has no usable name", nil)
	}
	there := d.fail(provider.Conflict, op, fmt.Sprintf("%s exists; name a file that does not", provider.Line(path, maxShown)), nil)
	if _, err := os.Lstat(path); err == nil {
		return there
	}
	program := ""
	err = d.with(ctx, op, "the server could not be asked for its version", func(s session) (err error) {
		program, err = d.find(ctx, op, PgDump, d.Dumper, s.version())
		return err
	})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), provider.UnfinishedDump+"*") // 0600
	if errors.Is(err, fs.ErrNotExist) {
		return d.fail(provider.NotFound, op, fmt.Sprintf("the folder of %s is not here", provider.Line(path, maxShown)), err)
	}
	if err != nil {
		return d.fail(provider.Denied, op, fmt.Sprintf("nothing can be written beside %s", provider.Line(path, maxShown)), err)
	}
	tmp := f.Name()
	err = f.Close()
	if err == nil {
		_, err = d.run(ctx, op, PgDump, program, d.Keeper, maxLog, "--no-password", "--format=custom", "--file="+tmp)
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
		return there
	}
	return d.fail(provider.Transient, op, "the dump could not be put in its place", err)
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
