package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/secret/canary"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// ears keep whatever a world's program put out, by where it came out.
type ears struct {
	mu   sync.Mutex
	said []heard
	own  canary.Trap // what the test planted itself, beside what is always planted
	// leaky says that a test planted leaks and looked for them by itself.
	leaky bool
	// given are files that are the test's own, by name below the world's folder.
	given map[string]bool
}

type heard struct{ sink, text string }

// hear keeps a text for the look at the end.
func (w *world) hear(sink, text string) {
	if text == "" {
		return
	}
	w.ears.mu.Lock()
	defer w.ears.mu.Unlock()
	w.ears.said = append(w.ears.said, heard{sink, text})
}

// plant makes a value a canary: it may be nowhere but at the site that uses it.
func (w *world) plant(whose, value string) {
	w.ears.mu.Lock()
	defer w.ears.mu.Unlock()
	w.ears.own.Plant(whose, value)
}

// plantWhole is plant for a value whose pieces are ordinary.
func (w *world) plantWhole(whose, value string) {
	w.ears.mu.Lock()
	defer w.ears.mu.Unlock()
	w.ears.own.PlantWhole(whose, value)
}

// plantTokens puts canaries where an installation has its tokens: into the environment,
// under every name that is understood.
func (w *world) plantTokens() {
	for _, name := range []string{"RECONCILER_REPOSITORY_TOKEN", "PLOI_API_TOKEN", "CLOUDFLARE_API_TOKEN", "VERCEL_API_TOKEN", "RAILWAY_API_KEY", "RESEND_API_KEY", "STRIPE_API_KEY"} {
		w.env[name] = canary.Value(name)
		w.plant(name, w.env[name])
	}
}

// learn plants the secrets that are stored: those that were set, and those that the
// program made (every client of the tests' template has some). An address is made of
// ordinary words, but for the password in it.
func (w *world) learn(tx store.Tx) error {
	refs, err := store.Secrets(tx, "")
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if strings.Contains(ref.Name, "/env.NEXT_PUBLIC_") {
			continue // every browser gets it; a rebuild seals whatever an environment showed
		}
		rec, ok, err := store.Secret(tx, ref.Scope, ref.Name, ref.Version)
		if err != nil || !ok {
			return fmt.Errorf("secret %s: %v %w", ref.Name, ok, err)
		}
		whose, text := ref.Scope+" "+ref.Name, string(rec.Text)
		if u, err := url.Parse(text); err == nil && u.Scheme != "" {
			w.plantWhole(whose, text)
			text, _ = u.User.Password()
		}
		w.plant(whose, text)
	}
	return nil
}

// leaks looks for every canary in everything that the world's program put out: what it
// said, every file that it left, and the state after unsealing, outside of the secrets.
func (w *world) leaks() ([]string, error) {
	var out []string
	look := func(sink string, data []byte) {
		for _, f := range w.ears.own.Find(data) {
			if text := fmt.Sprintf("%s holds %s (%s)", sink, f.Whose, f.Spelling); !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	records, err := w.unsealed()
	if err != nil {
		return nil, err
	}
	w.ears.mu.Lock()
	defer w.ears.mu.Unlock()
	for _, r := range records {
		look(r.sink, []byte(r.text))
	}
	for _, h := range w.ears.said {
		look(h.sink, []byte(h.text))
	}
	err = filepath.WalkDir(w.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(w.dir, p)
		if err != nil {
			return err
		}
		if name == "key" || w.ears.given[name] || strings.HasPrefix(name, "sites"+string(filepath.Separator)) {
			return nil // the key itself; the vendor's side, whose sites read their environment
		}
		data, err := os.ReadFile(p)
		look("file "+filepath.ToSlash(name), data)
		return err
	})
	return out, err
}

// unsealed returns the state's records but the secrets, which it learns; and plants the
// key. A state that a test damaged or took away has none.
func (w *world) unsealed() ([]heard, error) {
	path, file := filepath.Join(w.dir, "state.db"), filepath.Join(w.dir, "key")
	if !exists(path) || !exists(file) {
		return nil, nil
	}
	keys, err := secret.Open(secret.KeySource{File: file, Existing: true})
	if errors.Is(err, secret.ErrKeyFile) || errors.Is(err, secret.ErrReadable) {
		w.t.Logf("the state is not looked at: %v", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if key, ok := strings.CutPrefix(line, "key "); ok {
			raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(key))
			if err != nil {
				return nil, err
			}
			w.plant("the key", string(raw))
		}
	}
	s, err := bolt.Open(bolt.Options{Path: path, Keys: keys, Now: w.now, Timeout: patience})
	if errors.Is(err, store.ErrDamaged) || errors.Is(err, bolt.ErrForeign) || errors.Is(err, secret.ErrWrongKey) {
		w.t.Logf("the state is not looked at: %v", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []heard
	err = s.View(func(tx store.Tx) error {
		if err := w.learn(tx); err != nil {
			return err
		}
		for _, bucket := range store.Buckets() {
			if bucket == "secrets" {
				continue
			}
			err := tx.Each(bucket, "", func(key string, decode func(any) error) error {
				var plain json.RawMessage
				if err := decode(&plain); err != nil {
					return err
				}
				out = append(out, heard{"record of " + bucket, key + " " + string(plain)})
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(err, s.Close()); errors.Is(err, store.ErrDamaged) {
		w.t.Logf("not all of the state is looked at: %v", err)
		err = nil
	}
	return out, err
}

// scene is a folder of an installation that is no world of its own, a script's or a
// demonstration's, to be looked through in the same way. What lies there already is the
// test's own.
func scene(t testing.TB, dir string) *world {
	w := &world{t: t, dir: dir, now: time.Now, env: map[string]string{}}
	w.ears.given = map[string]bool{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if name, e := filepath.Rel(dir, p); err == nil && e == nil && d.Type().IsRegular() {
			w.ears.given[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// P10, at the end of every end-to-end test.
func (w *world) wantNoLeak() {
	if w.ears.leaky || !exists(w.dir) {
		return
	}
	found, err := w.leaks()
	if err != nil {
		w.t.Errorf("look for leaks: %v", err)
	}
	for _, f := range found {
		w.t.Errorf("P10: %s", f)
	}
}

// P10, the control: a leak in each kind of sink and each spelling is found, all of them.
func TestP10PlantedLeaksAreFound(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("demoshop")
	value := canary.Value("planted")
	w.plant("the leak", value)
	var spelled []string
	var texts strings.Builder
	for _, s := range canary.Spellings(value) {
		spelled = append(spelled, s.Name)
		texts.WriteString(s.Text + "\n")
	}
	all := texts.String()

	// Where text goes as it is, every spelling.
	raw := map[string]func(){
		"stdout of x":        func() { w.hear("stdout of x", all) },
		"stderr of x":        func() { w.hear("stderr of x", all) },
		"page localhost/x":   func() { w.hear("page localhost/x", all) },
		"file .state-1.tmp":  func() { writeAll(t, filepath.Join(w.dir, ".state-1.tmp"), all) },
		"file mail/note.txt": func() { writeAll(t, filepath.Join(w.dir, "mail", "note.txt"), all) },
		"backup": func() {
			path := filepath.Join(t.TempDir(), "backup")
			w.must(0, "backup", path)
			w.hear("backup", readAll(t, path)+all)
		},
		"log": func() {
			if _, err := w.daemon.out.Write([]byte(all)); err != nil {
				t.Fatal(err)
			}
		},
	}
	// What is kept in the state, and shown by commands, pages and the API.
	demoshop := w.id("demoshop")
	err := w.daemon.program.store.Update(func(tx store.Tx) error {
		d, err := store.Deployments(tx, demoshop, 1)
		if err != nil || len(d) == 0 {
			return fmt.Errorf("no deployment: %w", err)
		}
		for _, text := range []string{value, all} {
			if _, err := store.AddHistory(tx, state.Entry{At: w.now(), Client: demoshop, Name: "demoshop", What: "failed", Text: text}); err != nil {
				return err
			}
			if _, err := store.AddLog(tx, state.LogLine{Deployment: d[0].ID, At: w.now(), Text: text}); err != nil {
				return err
			}
			d[0].Error = text
			if err := store.PutDeployment(tx, d[0]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.must(0, "history", "demoshop")
	w.must(0, "logs", "demoshop")
	w.must(0, "history", "-o", "json")
	w.get("localhost", "/clients/demoshop")
	w.get("localhost", "/api/deployments")
	// An error that repeats what nobody registered as secret.
	w.calls.interfere(func(x call) error {
		return &provider.Error{Kind: provider.Invalid, Provider: x.Provider, Op: x.Verb, Message: "refused: " + value}
	}, nil)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {STORE_CURRENCY: CHF}"), "clients/bakery.yaml": manifestOf("bakery")})
	w.apply()
	w.must(0, "why", "bakery")
	for _, plant := range raw {
		plant()
	}
	w.stop()
	keys, err := secret.Open(secret.KeySource{File: filepath.Join(w.dir, "key"), Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := bolt.Open(bolt.Options{Path: filepath.Join(w.dir, "state.db"), Keys: keys, Now: w.now, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(func(tx store.Tx) error { // nobody is there to take it out
		_, err := store.AddReport(tx, state.Report{Subject: "client/nobody", State: "failure", Detail: value, At: w.now()})
		return err
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.dir, "state.db")
	writeAll(t, path, readAll(t, path)+all) // what is not sealed
	raw["file state.db"] = nil
	found, err := w.leaks()
	if err != nil {
		t.Fatal(err)
	}
	w.ears.leaky = true // as planned
	for sink := range raw {
		for _, name := range spelled {
			if want := fmt.Sprintf("%s holds the leak (%s)", sink, name); !slices.Contains(found, want) {
				t.Errorf("not found: %s", want)
			}
		}
	}
	for _, sink := range []string{"record of history", "record of logs", "record of deployments", "record of clients", "record of reports", "stdout of history", "stdout of logs",
		"stdout of why", "stdout of apply", "page localhost/clients/demoshop", "page localhost/api/deployments", "log"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, sink+" holds the leak") }) {
			t.Errorf("not found: %s", sink)
		}
	}
}
