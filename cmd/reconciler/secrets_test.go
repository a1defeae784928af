package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/secret/canary"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// P10: values of a client's own secret, a shared one, generated ones and the address of
// a database are nowhere but at the site that uses them: not in the state file or its
// backup, nor in what any command, page, log, mail, history or error says, even where a
// provider's error repeats what it was sent.
func TestP10NoSecretLeaks(t *testing.T) {
	own, shared := canary.Value("own"), canary.Value("shared")
	const address = "postgres://shop:cq-Zn4ry%2Fpw99x@db.example:5432/shop?sslmode=require"
	manifests := map[string]string{
		"clients/demoshop.yaml": manifestOf("demoshop", "env: {MOLLIE_API_KEY: {secret: mollie}, SMTP_PASSWORD: {secret: shared/smtp}, SESSION_SECRET: {generate: hex32}}"),
		"clients/bakery.yaml":   manifestOf("bakery", "env: {SMTP_PASSWORD: {secret: shared/smtp}}"),
		"clients/outside.yaml":  manifestOf("outside", "database: {provider: external, external: {url: {secret: database-url}}}"),
	}
	w := newWorld(t, manifests)
	w.plant("own", own)
	w.plant("shared", shared)
	w.plantWhole("database address", address)
	w.plant("database password", "cq-Zn4ry%2Fpw99x")
	w.plant("database password", "cq-Zn4ry/pw99x")
	run := func(in string, args ...string) result {
		t.Helper()
		return w.cliIn(in, args...) // what it says is looked through at the end, as all else
	}
	var leaking atomic.Bool
	leaking.Store(true)
	var sent sync.Map // client → what it is sent, in all spellings
	sends := func(client string, values ...string) {
		words := ""
		for _, v := range values {
			words += " refused: " + strings.Join(vendorSpellings(v), ", ")
		}
		sent.Store(client, words)
	}
	sends("demoshop", own, shared)
	sends("bakery", shared)
	sends("outside", address)
	w.calls.interfere(func(x call) error {
		if !leaking.Load() || x.Kind != state.KindEnvironment || x.Verb == "delete" {
			return nil
		}
		client := "" // a vendor repeats what it was sent, no other client's values
		for _, name := range []string{"demoshop", "bakery", "outside"} {
			if strings.Contains(x.Name, " of "+name+"-") {
				client = name
			}
		}
		said, _ := sent.Load(client)
		words, _ := said.(string)
		if client == "bakery" {
			return errors.New("broken pipe while sending" + words) // not even an error of ours
		}
		return &provider.Error{Kind: provider.Invalid, Provider: x.Provider, Op: x.Verb, Message: "bad value" + words, Code: words, Err: errors.New(words)}
	}, nil)
	w.start()
	run("", "apply")
	for _, s := range [][]string{{own, "mollie", "--client", "demoshop"}, {shared, "smtp"}, {address, "database-url", "--client", "outside"}} {
		if r := run(s[0], append([]string{"secret", "set"}, s[1:]...)...); r.code != 0 {
			t.Fatalf("secret set: %s%s", r.out, r.err)
		}
	}
	everything := func(when string) {
		t.Helper()
		for _, args := range [][]string{{"apply"}, {"plan"}, {"status"}, {"why", "demoshop"}, {"why", "bakery"}, {"why", "outside"}, {"history"}, {"history", "demoshop"}, {"logs", "demoshop"}, {"logs", "bakery"},
			{"drift"}, {"retained"}, {"secret", "list"}} {
			run("", args...)
			if args[0] != "logs" {
				run("", append(args, "-o", "json")...)
			}
		}
		for _, page := range []string{"/", "/clients/demoshop", "/clients/bakery", "/clients/outside", "/api/clients", "/api/clients/demoshop", "/api/clients/outside", "/api/deployments", "/mail/", "/healthz"} {
			if code, _ := w.get("localhost", page); code != 200 {
				t.Errorf("%s: %s answers %d", when, page, code)
			}
		}
		run("", "backup", filepath.Join(t.TempDir(), "state.backup"))
	}
	everything("refused")
	if r := rowOf(w.status(), "demoshop"); r.Status == string(state.StatusActive) || !strings.Contains(r.Because, state.Redacted) {
		t.Errorf("demoshop is %s and does not say what was refused: %s", r.Status, r.Because)
	}
	leaking.Store(false)
	for _, name := range []string{"demoshop", "bakery", "outside"} {
		run("", "retry", name)
	}
	w.active("demoshop", "bakery")
	// What was made meanwhile: generated secrets, and what databases and administrators gave.
	demoshop, all, made := w.id("demoshop"), []string{own, shared}, map[string]bool{}
	err := w.daemon.program.store.View(func(tx store.Tx) error {
		refs, err := store.Secrets(tx, "")
		for _, ref := range refs {
			rec, ok, err := store.Secret(tx, ref.Scope, ref.Name, ref.Version)
			if err != nil || !ok {
				return fmt.Errorf("%s: %v %w", ref.Name, ok, err)
			}
			made[ref.Name] = true
			if ref.Scope == string(demoshop) && ref.Name != "generated/admin-password" { // which goes to the site by itself
				all = append(all, string(rec.Text))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"generated/SESSION_SECRET", "generated/PAYLOAD_SECRET"} {
		if !made[part] {
			t.Errorf("no canary of %s", part)
		}
	}
	sends("demoshop", all...)
	everything("active")
	for _, host := range []string{"demoshop.localhost", "bakery.localhost"} {
		w.get(host, "/")
	}
	leaking.Store(true) // an update fails, and says what it was sent
	w.commit(map[string]string{"clients/demoshop.yaml": strings.Replace(manifests["clients/demoshop.yaml"], "env: {", "env: {STORE_CURRENCY: CHF, ", 1), "clients/bakery.yaml": ""})
	everything("changed")
	leaking.Store(false)
	run("", "retry", "demoshop")
	run("", "pause", "demoshop")
	run("", "resume", "demoshop")
	everything("removed")
	run("", "purge", "bakery", "--yes")
	run("", "secret", "rm", "smtp")
	w.stop()
	run("", "apply") // without a daemon
	sites := 0
	err = filepath.WalkDir(filepath.Join(w.dir, "sites"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil || len(w.ears.own.Find(data)) == 0 {
			return err
		}
		sites++ // the vendor's side: the environment that the site runs with
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s may be read by others (%v)", p, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if sites == 0 {
		t.Error("no site has its secrets: nothing was tried")
	}
}

// vendorSpellings are the spellings that a vendor's words may have of a value, and that
// are taken out of them.
func vendorSpellings(value string) []string {
	var out []string
	for _, s := range canary.Spellings(value) {
		switch s.Name {
		case "numbers", "numbers with commas", "Go bytes", "percent", "reversed", "HTML template", "HTML numbers", "Markdown", "YAML", "shell":
		default:
			out = append(out, s.Text)
		}
	}
	return out
}

// wordy is a provider that repeats what it was told in whatever it says.
type wordy struct {
	provider.Provider
	heard *string
}

func (w wordy) Name() string { return "wordy" }

func (w wordy) object() provider.Object {
	return provider.Object{ID: "1", Message: "took " + *w.heard, Log: []string{"export KEY=" + *w.heard}, Attributes: []provider.Observed{{Name: "public", Text: *w.heard}}}
}

func (w wordy) Create(_ context.Context, wish provider.Wish) (provider.Object, error) {
	*w.heard = wish.Get("key")
	return w.object(), nil
}

func (w wordy) Observe(context.Context, provider.Query) ([]provider.Object, error) {
	return []provider.Object{w.object()}, fmt.Errorf("look: %w", &provider.Error{Kind: provider.Denied, Provider: "wordy", Message: "no " + *w.heard})
}

// P10: a provider's messages and build log repeat no secret; what an object is stays,
// and so does what an error means.
func TestP10ProvidersWordsAreConcealed(t *testing.T) {
	key, heard := state.NewSecret("canary-value-1"), ""
	p := provider.Conceal(wordy{heard: &heard}, &secret.Redactor{})
	o, err := p.Create(t.Context(), provider.Wish{Inputs: []provider.Input{{Name: "key", Secret: &key}}})
	if err != nil || strings.Contains(o.Message+o.Log[0], "canary") || !strings.Contains(o.Log[0], state.Redacted) {
		t.Errorf("%+v, %v", o, err)
	}
	if o.Attributes[0].Text != "canary-value-1" {
		t.Errorf("an attribute was changed: %+v", o.Attributes)
	}
	found, err := p.Observe(t.Context(), provider.Query{ID: "1"})
	if strings.Contains(found[0].Message+found[0].Log[0], "canary") {
		t.Errorf("%+v", found)
	}
	if provider.KindOf(err) != provider.Denied || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), state.Redacted) {
		t.Errorf("%v", err)
	}
	if _, ok := p.(provider.Dumper); ok {
		t.Error("it can dump")
	}
}
