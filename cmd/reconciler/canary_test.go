package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/secret/canary"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// ears keep whatever a world's program put out, by where it came out.
type ears struct {
	mu   sync.Mutex
	said []heard
	own  canary.Trap // what was planted
	// planted counts it: a look for nothing proves nothing.
	planted int
	// leaky says that a test planted leaks and looked for them by itself.
	leaky bool
	// given are files that are the test's own, by name below the world's folder.
	given map[string]bool
	// states is the folder of the state, where it is not the world's.
	states string
	// seen are the files that leftovers looked at, and what they were like.
	seen map[string]string
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
	w.ears.planted++
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

// plantConfig plants the secrets that the configuration holds: the demonstration makes some up.
func (w *world) plantConfig() {
	c, err := loadConfig(filepath.Join(w.dir, defaultConfigFile), func(string) string { return "" })
	if err != nil {
		w.t.Errorf("P10: %v", err)
		return
	}
	if w.ears.given == nil {
		w.ears.given = map[string]bool{}
	}
	w.ears.given[defaultConfigFile] = true
	w.plantIn("the configuration", reflect.ValueOf(c))
}

// plantIn plants every secret in a value.
func (w *world) plantIn(whose string, v reflect.Value) {
	if !v.CanInterface() {
		return
	}
	if s, is := v.Interface().(state.Secret); is {
		w.plantWhole("a secret of "+whose, s.Reveal())
		w.plant("a secret of "+whose, strings.TrimPrefix(s.Reveal(), "simulated-"))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			w.plantIn(whose, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.plantIn(whose, v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			w.plantIn(whose, v.MapIndex(key))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			w.plantIn(whose, v.Elem())
		}
	}
}

// finds are leaks that were found, each once.
type finds []string

func (f *finds) look(own *canary.Trap, sink string, data []byte) {
	f.flat(own, sink, data)
	for _, inner := range canary.Unpacked(data) {
		f.flat(own, sink, inner)
	}
}

// flat is look without what is packed.
func (f *finds) flat(own *canary.Trap, sink string, data []byte) {
	for _, x := range own.Find(data) {
		if text := fmt.Sprintf("%s holds %s (%s)", sink, x.Whose, x.Spelling); !slices.Contains(*f, text) {
			*f = append(*f, text)
		}
	}
}

// leaks looks for every canary in everything that the world's program put out: what it
// said, every file that it left, and the state after unsealing, outside of the secrets.
func (w *world) leaks() ([]string, error) {
	var out finds
	records, err := w.unsealed()
	if err != nil {
		return nil, err
	}
	w.ears.mu.Lock()
	defer w.ears.mu.Unlock()
	for _, r := range records {
		out.look(&w.ears.own, r.sink, []byte(r.text))
	}
	for _, h := range w.ears.said {
		out.look(&w.ears.own, h.sink, []byte(h.text))
	}
	w.ears.seen = nil
	err = w.lying(&out)
	return out, err
}

// leftovers looks for every canary in the files that are new or changed since the last look:
// what a process left half-written, the next one may take away.
func (w *world) leftovers() ([]string, error) {
	w.ears.mu.Lock()
	defer w.ears.mu.Unlock()
	var out finds
	err := w.lying(&out)
	return out, err
}

// lying is called with the ears locked.
func (w *world) lying(out *finds) error {
	if w.ears.seen == nil {
		w.ears.seen = map[string]string{}
	}
	for _, dir := range []string{w.dir, w.ears.states} {
		if dir == "" {
			continue
		}
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				if p == dir && errors.Is(err, fs.ErrNotExist) {
					return nil // taken away with all that was in it
				}
				return err
			}
			name, err := filepath.Rel(dir, p)
			if err != nil || w.notOurs(filepath.ToSlash(name)) {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			is := fmt.Sprint(info.Size(), info.ModTime())
			if w.ears.seen[p] == is {
				return nil
			}
			data, err := os.ReadFile(p)
			w.ears.seen[p] = is
			if sink := "file " + filepath.ToSlash(name); strings.HasPrefix(name, "mirror"+string(filepath.Separator)) {
				out.flat(&w.ears.own, sink, data) // packed is what was fetched, and a test committed
			} else {
				out.look(&w.ears.own, sink, data)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// notOurs are files that may hold secrets: the key itself, what is the test's own, and the
// vendor's side, whose sites read their environment.
func (w *world) notOurs(name string) bool {
	return name == "key" || strings.HasPrefix(name, "key.before-") || w.ears.given[name] || strings.HasPrefix(name, "sites/") || strings.HasPrefix(name, "vendor/sites/") || strings.HasPrefix(name, simulatedDir+"/")
}

// state is where the state is.
func (w *world) state() string {
	dir := w.dir
	if w.ears.states != "" {
		dir = w.ears.states
	}
	return filepath.Join(dir, "state.db")
}

// unsealed returns the state's records but the secrets, which it learns; and plants the
// key. A state that a test damaged or took away has none.
func (w *world) unsealed() ([]heard, error) {
	path, file := w.state(), filepath.Join(w.dir, "key")
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
		if name, key, ok := strings.Cut(line, " "); ok && (name == "key" || name == "before" || name == "fingerprints") {
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
	if w.ears.leaky {
		return
	}
	found, err := w.leaks()
	if err != nil {
		w.t.Errorf("look for leaks: %v", err)
	}
	for _, f := range found {
		w.t.Errorf("P10: %s", f)
	}
	if w.ears.planted == 0 {
		w.t.Error("P10: no secret is known to look for")
	}
}

// heardLeaks looks through what was heard by now, for what is planted by now.
func (w *world) heardLeaks() []string {
	w.ears.mu.Lock()
	defer w.ears.mu.Unlock()
	var out finds
	for _, h := range w.ears.said {
		out.look(&w.ears.own, h.sink, []byte(h.text))
	}
	return out
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
	w.daemon.program.observed(httpapi.Exchange{Provider: "vendor", Method: http.MethodGet, Route: "/things/" + value, Status: http.StatusOK})
	w.stop() // looks around by itself
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
		"stdout of why", "stdout of apply", "page localhost/clients/demoshop", "page localhost/api/clients/demoshop", "page localhost/api/deployments", "page localhost/metrics", "log"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, sink+" holds the leak") }) {
			t.Errorf("not found: %s", sink)
		}
	}
}

// P10, the control where processes are killed: what one said before it died, and what it
// left half-written, in the state's folder or another, is looked through.
func TestP10LeaksOfKilledProcessesAreFound(t *testing.T) {
	w := newCrashWorldAt(t, shortDir(t), 11, hostSpec{Dir: "embedded"})
	w.place.ears.leaky = true // as planned
	w.shops[keeper] = shop{Name: keeper, Currency: "EUR"}
	if err := w.commit(keeper); err != nil {
		t.Fatal(err)
	}
	value := canary.Value("planted")
	w.place.plant("the leak", value)
	r, err := w.begin(bolt.PointCommit+":3", "apply")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range canary.Spellings(value) {
		all.WriteString(s.Text + "\n")
	}
	for _, out := range []*buffer{r.out, r.errOut} {
		if _, err := out.Write([]byte(all.String())); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := r.wait(0, nil); err != nil || !e.killed {
		t.Fatalf("killed %v: %v", e.killed, err)
	}
	if err := w.settle(); err != nil {
		t.Fatal(err)
	}
	wants := func(found []string, err error, sinks ...string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, sink := range sinks {
			for _, s := range canary.Spellings(value) {
				if want := fmt.Sprintf("%s holds the leak (%s)", sink, s.Name); !slices.Contains(found, want) {
					t.Errorf("not found: %s", want)
				}
			}
		}
	}
	if found, err := w.place.leftovers(); err != nil || len(found) > 0 {
		t.Errorf("found before anything was left: %v %v", found, err)
	}
	writeAll(t, w.path("state.db.new"), all.String())
	if err := os.MkdirAll(w.path("backups/.check-backup-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeAll(t, w.path("backups/.check-backup-1/state.db"), all.String())
	found, err := w.place.leftovers()
	wants(found, err, "file state.db.new", "file backups/.check-backup-1/state.db")
	if found, err = w.place.leftovers(); err != nil || len(found) > 0 {
		t.Errorf("found again: %v %v", found, err)
	}
	if err := os.Remove(w.path("state.db.new")); err != nil {
		t.Fatal(err)
	}
	// What the program made itself, and a token that it was given.
	for name, text := range map[string]string{"made": w.made(t), "token": w.place.env["PLOI_API_TOKEN"]} {
		writeAll(t, w.path(name), text)
	}
	found, err = w.place.leaks()
	wants(found, err, "stdout of apply", "stderr of apply", "file backups/.check-backup-1/state.db")
	for _, sink := range []string{"file made holds ", "file token holds PLOI_API_TOKEN "} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, sink) }) {
			t.Errorf("not found: %s", sink)
		}
	}
}

// P10, the control of what GitHub is told: a leak in a comment, a status and a deployment is
// found.
func TestP10LeaksToGitHubAreFound(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	n := h.propose("words", map[string]string{"README.md": "other words\n"})
	head, api := h.headOf(n), h.daemon.program.github
	for name, tell := range map[string]func(words string) error{
		"comment": func(words string) error { _, err := api.CreateComment(t.Context(), n, words); return err },
		"status": func(words string) error {
			return api.SetStatus(t.Context(), head, forge.Status{Context: "x", State: forge.Success, Description: words})
		},
		"deployment": func(words string) error {
			_, err := api.CreateDeployment(t.Context(), forge.Deployment{Commit: head, Environment: "x", Task: "x"}, words)
			return err
		},
	} {
		value := invented("leak in a " + name)
		h.plant("the leak in a "+name, value)
		if err := tell("refused: " + value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.stop()
	found, err := h.leaks()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"comment", "status", "deployment"} {
		if want := "what GitHub is sent holds the leak in a " + name; !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, want) }) {
			t.Errorf("not found: %s; but %v", want, found)
		}
	}
	h.ears.leaky = true // as planned
}

// made is a secret that the program made for a client.
func (w *crashWorld) made(t *testing.T) string {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Path: w.path("state.db"), Keys: w.keys(), Now: time.Now, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var text string
	err = s.View(func(tx store.Tx) error {
		refs, err := store.Secrets(tx, "")
		for _, ref := range refs {
			if strings.HasSuffix(ref.Name, "PAYLOAD_SECRET") {
				rec, _, err := store.Secret(tx, ref.Scope, ref.Name, ref.Version)
				text = string(rec.Text)
				return err
			}
		}
		return err
	})
	if err = errors.Join(err, s.Close()); err != nil || text == "" {
		t.Fatalf("no secret was made: %v", err)
	}
	return text
}
