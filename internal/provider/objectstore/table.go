package objectstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxFile bounds one object's file.
const maxFile = 4 << 20

// Table is the objects of one folder. Safe for concurrent use by one process. People may
// edit its files beside it: who wants to know asks Look or Disk.
type Table struct {
	dir     string
	writing sync.Mutex // held across disk writes
	mu      sync.Mutex // guards objects
	objects map[string]provider.Object
}

// row is an object on disk: like Object, but secrets are written out.
type row struct {
	ID, Name   string
	Kind       state.Kind
	Mark       provider.Mark
	Attributes []cell `json:",omitempty"`
	Outputs    []cell `json:",omitempty"`
	Phase      provider.Phase
	Message    string   `json:",omitempty"`
	Log        []string `json:",omitempty"`
}

type cell struct {
	Name   string
	Text   string `json:",omitempty"`
	Secret string `json:",omitempty"`
}

// Open makes dir if need be and reads what is in it. A file that can't be read is
// an error: an absent object and an unreadable one are not the same.
func Open(dir string) (*Table, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the objects' folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".new-") { // left by a process that was killed
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("clear a half-written object: %w", err)
		}
	}
	t := &Table{dir: dir, objects: map[string]provider.Object{}}
	all, err := t.Disk()
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		t.objects[o.ID] = o
	}
	return t, nil
}

// Disk reads every object as its file is now. A file that can't be read is an error.
func (t *Table) Disk() ([]provider.Object, error) {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	var out []provider.Object
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		o, err := read(filepath.Join(t.dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// Look reads one object as its file is now. An error says that it can't be read (somebody
// may be writing it), which is no absence.
func (t *Table) Look(id string) (o provider.Object, there bool, err error) {
	o, err = read(filepath.Join(t.dir, fileOf(id)))
	if errors.Is(err, fs.ErrNotExist) {
		return o, false, nil
	}
	return o, err == nil, err
}

// Take holds an object for what its file says; nothing is written.
func (t *Table) Take(o provider.Object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects[o.ID] = o
}

// Forget is Take of an object whose file is gone.
func (t *Table) Forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.objects, id)
}

func read(name string) (provider.Object, error) {
	info, err := os.Stat(name)
	if err != nil {
		return provider.Object{}, fmt.Errorf("read object: %w", err)
	}
	if info.Size() > maxFile {
		return provider.Object{}, fmt.Errorf("read object %s: larger than %d bytes", filepath.Base(name), maxFile)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return provider.Object{}, fmt.Errorf("read object: %w", err)
	}
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return provider.Object{}, fmt.Errorf("read object %s: %w", filepath.Base(name), err)
	}
	if r.ID == "" || fileOf(r.ID) != filepath.Base(name) {
		return provider.Object{}, fmt.Errorf("read object %s: it holds another object", filepath.Base(name))
	}
	o := provider.Object{ID: r.ID, Name: r.Name, Kind: r.Kind, Mark: r.Mark, Phase: r.Phase, Message: r.Message, Log: r.Log}
	for _, c := range r.Attributes {
		o.Attributes = append(o.Attributes, c.input())
	}
	for _, c := range r.Outputs {
		o.Outputs = append(o.Outputs, provider.Output(c.input()))
	}
	return o, nil
}

func (c cell) input() provider.Input {
	i := provider.Input{Name: c.Name, Text: c.Text}
	if c.Secret != "" {
		s := state.NewSecret(c.Secret)
		i.Secret = &s
	}
	return i
}

func cellOf(name, text string, s *state.Secret) cell {
	if s != nil {
		return cell{Name: name, Secret: s.Reveal()}
	}
	return cell{Name: name, Text: text}
}

// List returns every object, sorted by id.
func (t *Table) List() []provider.Object {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]provider.Object, 0, len(t.objects))
	for _, o := range t.objects {
		out = append(out, o)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// Get returns the object of an id.
func (t *Table) Get(id string) (provider.Object, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, ok := t.objects[id]
	return o, ok
}

// Put writes an object, new or changed. On an error the old one is kept.
func (t *Table) Put(o provider.Object) error {
	if o.ID == "" {
		return errors.New("write object: it has no id")
	}
	if !utf8.ValidString(o.ID) { // JSON would change it, and the file would be another object's
		return errors.New("write object: its id is not UTF-8")
	}
	r := row{ID: o.ID, Name: o.Name, Kind: o.Kind, Mark: o.Mark, Phase: o.Phase, Message: o.Message, Log: o.Log}
	for _, a := range o.Attributes {
		r.Attributes = append(r.Attributes, cellOf(a.Name, a.Text, a.Secret))
	}
	for _, a := range o.Outputs {
		r.Outputs = append(r.Outputs, cellOf(a.Name, a.Text, a.Secret))
	}
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write object: %w", err)
	}
	t.writing.Lock()
	defer t.writing.Unlock()
	if err := t.write(fileOf(o.ID), data); err != nil {
		return fmt.Errorf("write object: %w", err)
	}
	t.Take(o)
	return nil
}

func (t *Table) write(name string, data []byte) error {
	f, err := os.CreateTemp(t.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(t.dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Delete removes an object. Removing the absent succeeds.
func (t *Table) Delete(id string) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	if err := os.Remove(filepath.Join(t.dir, fileOf(id))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove object: %w", err)
	}
	t.Forget(id)
	return nil
}

// fileOf names an id's file: ids are not file names.
func fileOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16]) + ".json"
}
