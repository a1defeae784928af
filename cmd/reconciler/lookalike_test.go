package main

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/local"
	"github.com/compassdigital/reconciler/internal/provider/localdns"
	"github.com/compassdigital/reconciler/internal/provider/sqlite"
	"github.com/compassdigital/reconciler/internal/state"
)

// S54: every world begins with objects that look like ours, unmarked or marked by
// another installation, and they are byte-equal when its test ends.
func (w *world) plantLookAlikes() {
	w.t.Helper()
	theirs := provider.Mark{Installation: "ffffffff", Client: "demoshop-ffffff", Generation: 1}
	databases, err := sqlite.New(sqlite.Options{Dir: filepath.Join(w.dir, "databases"), Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	sites, err := local.New(local.Options{Dir: filepath.Join(w.dir, "sites"), Public: func() string { return w.listen }, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	records, err := localdns.New(localdns.Options{Dir: filepath.Join(w.dir, "dns"), Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	plant := func(p provider.Provider, kind state.Kind, name string, mark provider.Mark, inputs ...provider.Input) {
		w.t.Helper()
		if _, err := p.Create(w.t.Context(), provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: kind, Name: name}, Name: name, Mark: mark, Inputs: inputs}); err != nil {
			w.t.Fatalf("plant %s %s: %v", kind, name, err)
		}
	}
	in := func(name, text string) provider.Input { return provider.Input{Name: name, Text: text} }
	for _, mark := range []provider.Mark{{}, theirs} {
		suffix := "-" + mark.Installation
		plant(databases, state.KindDatabase, "demoshop-ffffff"+suffix+"x", mark, in("access", "public"), in("disabled", ""), in("schema", "ecommerce"))
		plant(sites, state.KindSite, "demoshop-ffffff"+suffix+"x", mark, in("label", "demoshop"), in("repository", "builtin"), in("runtime", ""), in("server", ""))
		plant(records, state.KindRecord, "TXT demoshop.localhost", mark, in("content", "look-alike"+suffix), in("name", "demoshop.localhost"), in("ttl", "300"), in("type", "TXT"))
		plant(records, state.KindRecord, "A lookalike"+suffix+".localhost", mark, in("content", "127.0.0.1"), in("name", "lookalike"+suffix+"x.localhost"), in("ttl", "300"), in("type", "A"))
	}
	for _, close := range []func() error{databases.Close, sites.Close, records.Close} {
		if err := close(); err != nil {
			w.t.Fatal(err)
		}
	}
	before := w.files()
	if len(before) < 8 {
		w.t.Fatalf("only %d look-alikes", len(before))
	}
	w.t.Cleanup(func() {
		now := w.files()
		for path, sum := range before {
			if now[path] != sum {
				w.t.Errorf("a look-alike was touched: %s", path)
			}
		}
	})
}

// files are the embedded providers' files with their content's sum.
func (w *world) files() map[string][32]byte {
	w.t.Helper()
	out := map[string][32]byte{}
	for _, dir := range []string{"databases", "sites", "dns"} {
		err := filepath.WalkDir(filepath.Join(w.dir, dir), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a site is being built, and what is half written has its name by now
			}
			if err != nil || d.IsDir() || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, "-wal") {
				return err
			}
			data, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			out[path] = sha256.Sum256(data)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

// The check itself can fail.
func TestS54SeesATouchedLookAlike(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), clock: &quickClock{}, listen: "127.0.0.1:1"}
	w.now = w.clock.Now
	w.plantLookAlikes()
	before := w.files()
	var any string
	for path := range before {
		any = path
	}
	old, err := os.ReadFile(any)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(any, append(old, 'x'), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.files()[any] == before[any] {
		t.Error("a changed file looks the same")
	}
	if err := os.WriteFile(any, old, 0o600); err != nil {
		t.Fatal(err)
	}
}
