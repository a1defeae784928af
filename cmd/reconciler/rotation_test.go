package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/secret/canary"
	"github.com/compassdigital/reconciler/internal/state"
)

// mailer is a template whose clients all use a shared secret.
func mailer() string {
	return strings.NewReplacer("name: ecommerce", "name: blog", "directory: ecommerce", "directory: blog", "env: {", "env: {SMTP_PASSWORD: {secret: shared/smtp}, ").Replace(shopTemplate)
}

// fleetOfTen are ten clients, three of which use the shared secret smtp: one by its
// manifest, two by their template.
func fleetOfTen() (files map[string]string, names, users []string) {
	files = map[string]string{"templates/blog.yaml": mailer()}
	for i := range 10 {
		name := fmt.Sprintf("c%02d", i)
		text := manifestOf(name)
		switch i {
		case 2:
			text = manifestOf(name, "env: {MAIL_KEY: {secret: shared/smtp}}")
			users = append(users, name)
		case 5, 8:
			text = strings.Replace(text, "template: ecommerce", "template: blog", 1)
			users = append(users, name)
		case 6:
			text = manifestOf(name, "env: {MAIL_KEY: {secret: smtp}}") // its own, of the same name
		}
		files["clients/"+name+".yaml"] = text
		names = append(names, name)
	}
	return files, names, users
}

// rotated says who was written since the first n calls, and wants only what a new version
// of a secret is a cause for.
func (w *world) rotated(n int) []string {
	w.t.Helper()
	var out []string
	kinds := map[string][]string{}
	for _, c := range w.calls.since(n) {
		if !c.Writes() || c.Verb == "delete" && c.Kind == state.KindDeployment { // a release beyond those that are kept
			continue
		}
		_, of, _ := strings.Cut(c.Name, " of ")
		name, _, _ := strings.Cut(of, "-")
		if c.Kind != state.KindEnvironment && c.Kind != state.KindDeployment && c.Kind != state.KindTraffic {
			w.t.Errorf("a write that has nothing to do with it: %s", c)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
		kinds[name] = append(kinds[name], string(c.Kind))
	}
	for name, k := range kinds {
		if !slices.Contains(k, "environment") || !slices.Contains(k, "deployment") {
			w.t.Errorf("%s got %v, want its environment and a deployment", name, k)
		}
	}
	slices.Sort(out)
	return out
}

// wantAtSites wants a planted value to be at so many sites at least: the vendor's side.
func (w *world) wantAtSites(whose string, sites int) {
	w.t.Helper()
	found := 0
	err := filepath.WalkDir(filepath.Join(w.dir, "sites"), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if slices.ContainsFunc(w.ears.own.Find(data), func(f canary.Find) bool { return f.Whose == whose }) {
			found++
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if found < sites {
		w.t.Errorf("%d files of sites hold %s, want %d", found, whose, sites)
	}
}

// S45, P4, P10: a shared secret gets a new version, by hand and from a folder. The plan
// shows name and fingerprint, and environment and deployment run for the three of ten
// clients that use it, and for no others. Neither value is anywhere but at the sites.
func TestS45Rotation(t *testing.T) {
	t.Parallel()
	files, names, users := fleetOfTen()
	w := newWorld(t, files)
	folder := t.TempDir()
	w.env["RECONCILER_SCHEDULES_SECRETS"] = "@every 1h" // this test says when
	w.configure(fmt.Sprintf("secrets: {sources: [{folder: %q}]}\n", folder))
	var values []string
	for i := range 4 {
		values = append(values, canary.Value(fmt.Sprintf("version %d", i+1)))
		w.plant(fmt.Sprintf("version %d", i+1), values[i])
	}
	own := canary.Value("own of c06")
	w.plant("own of c06", own)
	w.cliIn(own, "secret", "set", "smtp", "--client", "c06")
	w.apply()
	w.cliIn(own, "secret", "set", "smtp", "--client", "c06")
	if r := w.cliIn(values[0], "secret", "set", "smtp"); r.code != 0 || !strings.Contains(r.out, "3 clients use it") {
		t.Fatalf("set: %s%s", r.out, r.err)
	}
	w.start()
	w.active(names...)
	put := func(value string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(folder, "shared"), 0o700); err != nil {
			t.Fatal(err)
		}
		writeAll(t, filepath.Join(folder, "shared", "smtp"), value+"\n")
	}
	looks := func() {
		t.Helper()
		for _, args := range [][]string{{"plan"}, {"status"}, {"why", "c02"}, {"why", "c03"}, {"history"}, {"logs", "c05"}, {"drift"}, {"secret", "list"}} {
			w.cli(args...)
			w.cli(append(args, "-o", "json")...)
		}
		for _, page := range []string{"/", "/clients/c02", "/clients/c03", "/api/clients", "/api/clients/c05", "/api/deployments", "/healthz"} {
			w.get("localhost", page)
		}
	}

	// By hand, asked of the daemon.
	n := w.calls.len()
	if r := w.cliIn(values[1], "secret", "set", "smtp"); r.code != 0 || !strings.Contains(r.out, "smtp version 2 (") {
		t.Fatalf("set: %s%s", r.out, r.err)
	}
	w.active(names...)
	if got := w.rotated(n); !slices.Equal(got, users) {
		t.Errorf("by hand: writes for %v, want %v", got, users)
	}
	w.wantAtSites("version 2", 3)

	// From the folder, asked of the daemon.
	n = w.calls.len()
	put(values[2])
	if r := w.must(0, "secret", "refresh"); !strings.Contains(r.out, "smtp version 3 (") || !strings.Contains(r.out, "3 clients are planned again.") {
		t.Errorf("refresh: %s%s", r.out, r.err)
	}
	w.active(names...)
	if got := w.rotated(n); !slices.Equal(got, users) {
		t.Errorf("from the folder: writes for %v, want %v", got, users)
	}
	w.wantAtSites("version 3", 3)
	looks()

	// By the schedule. Then nothing is new, and nothing is written anywhere.
	n = w.calls.len()
	put(values[0])
	if err := w.daemon.program.refreshSecrets(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.active(names...)
	if got := w.rotated(n); !slices.Equal(got, users) {
		t.Errorf("by the schedule: writes for %v, want %v", got, users)
	}
	n, syncs := w.calls.len(), w.daemon.program.store.Stats()
	for range 5 {
		if err := w.daemon.program.refreshSecrets(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.daemon.program.store.Stats(); w.calls.len() != n || got != syncs {
		t.Errorf("refreshes without a change: %d calls, the store went from %+v to %+v", w.calls.len()-n, syncs, got)
	}

	// Without a daemon: it is planned first, and the plan names the three.
	w.stop()
	put(values[3])
	if r := w.must(0, "secret", "refresh", "smtp"); !strings.Contains(r.out, "smtp version 5 (") || !strings.Contains(r.err, "No daemon is running") {
		t.Errorf("refresh: %s%s", r.out, r.err)
	}
	print := w.secretRow("", "smtp").Fingerprint
	var planned []string
	for _, c := range w.plan().Changes {
		planned = append(planned, c.Client)
		text := fmt.Sprintf("%+v", c.Steps)
		if !strings.Contains(text, "smtp v5 ("+print+")") || !strings.Contains(text, "smtp v4 (") {
			t.Errorf("%s: the plan does not show name and fingerprints: %s", c.Client, text)
		}
		for _, s := range c.Steps {
			if kind, _, _ := strings.Cut(s.Ref, "/"); !slices.Contains([]string{"environment", "deployment", "traffic", ""}, kind) {
				t.Errorf("%s: a step that has nothing to do with it: %+v", c.Client, s)
			}
		}
	}
	if slices.Sort(planned); !slices.Equal(planned, users) {
		t.Errorf("the plan is about %v, want %v", planned, users)
	}
	n = w.calls.len()
	w.active(names...)
	if got := w.rotated(n); !slices.Equal(got, users) {
		t.Errorf("without a daemon: writes for %v, want %v", got, users)
	}
	w.start()
	looks()
	row := w.secretRow("", "smtp")
	if row.Source != "folder "+folder || row.Version != 5 || !slices.Equal(row.Users, users) {
		t.Errorf("listed as %+v", row)
	}
	if r := w.cli("history", "-o", "json"); strings.Count(r.out, "secret shared/smtp version ") != 3 || strings.Count(r.out, "secret smtp version ") < 2 {
		t.Errorf("the history does not tell each version:\n%s", r.out)
	}
}

// secretRow is a line of `secret list`.
func (w *world) secretRow(client, name string) reconcile.SecretRow {
	w.t.Helper()
	var v struct {
		Secrets []reconcile.SecretRow `json:"secrets"`
	}
	r := w.must(0, "secret", "list", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		w.t.Fatal(err)
	}
	for _, s := range v.Secrets {
		if s.Client == client && s.Name == name {
			return s
		}
	}
	return reconcile.SecretRow{}
}

// All four kinds of sources, with their precedence, at a first start: what they have is
// there for the first pass. What is kept outside is neither set nor forgotten by hand; what
// is used is not forgotten; what can't be read is told, and stays.
func TestSecretSources(t *testing.T) {
	t.Parallel()
	names := []string{"byage", "byenv", "byfolder", "bysops"}
	files := map[string]string{}
	for _, n := range names {
		files["clients/"+n+".yaml"] = manifestOf(n, "env: {KEY: {secret: key}}")
	}
	w := newWorld(t, files)
	outside := t.TempDir()
	at := func(name string) string { return filepath.Join(outside, name) }
	value := map[string]string{}
	for _, n := range names {
		value[n] = canary.Value("of " + n)
		w.plant("of "+n, value[n])
	}
	w.env["CLIENT_SECRET_BYENV__KEY"] = value["byenv"]
	if err := os.MkdirAll(at("folder/byfolder"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeAll(t, at("folder/byfolder/key"), value["byfolder"])
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w.plantWhole("the age identity", id.String())
	writeAll(t, at("age.key"), id.String()+"\n")
	if err := os.Chmod(at("age.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	e, err := age.Encrypt(&sealed, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(e, "byage: {key: %q}\nbyenv: {key: not-this-one}\n", value["byage"])
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	writeAll(t, at("secrets.age"), sealed.String())
	writeAll(t, at("secrets.enc.yaml"), "{}")
	w.configure(fmt.Sprintf("secrets: {sources: [{env: CLIENT_SECRET_}, {folder: %q}, {ageFile: %q, keyFile: %q}, {sopsFile: %q}]}\n", at("folder"), at("secrets.age"), at("age.key"), at("absent.enc.yaml")))
	v := w.apply()
	for _, n := range names[:3] {
		if r := rowOf(v, n); r.Status != "active" {
			t.Errorf("%s is %s: %s", n, r.Status, r.Because)
		}
	}
	if r := rowOf(v, "bysops"); r.Status != "failed" || !strings.Contains(r.Because, `needs the secret "key", which is not set`) || !strings.Contains(r.Next, "reconciler secret set key --client bysops`, or put it into a source and `reconciler secret refresh`") {
		t.Errorf("bysops is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	w.start()
	if p := w.daemon.program; !slices.ContainsFunc(p.daemon.Schedules, func(s daemon.Schedule) bool {
		return s.Name == "secrets" && s.Spec == "@every 1m" && !s.Remember
	}) {
		t.Error("the daemon does not look at the sources by schedule, or notes each look")
	}
	var notices string
	for _, n := range w.status().Notices {
		notices += n + "\n"
	}
	for _, want := range []string{"key of byenv is in two sources: the variable CLIENT_SECRET_BYENV__KEY counts, and byenv.key in " + at("secrets.age") + " does not", "the sops file " + at("absent.enc.yaml") + " can't be read: "} {
		if !strings.Contains(notices, want) {
			t.Errorf("status does not say %q:\n%s", want, notices)
		}
	}
	for client, want := range map[string]string{"byenv": "environment CLIENT_SECRET_", "byfolder": "folder " + at("folder"), "byage": "age file " + at("secrets.age")} {
		if got := w.secretRow(client, "key"); got.Source != want || got.Version != 1 {
			t.Errorf("%s: listed as %+v", client, got)
		}
	}
	refused := func(want string, in string, args ...string) {
		t.Helper()
		if r := w.cliIn(in, args...); r.code != exitFailed || !strings.Contains(r.err, want) {
			t.Errorf("%v ends with %d: %s", args, r.code, r.err)
		}
	}
	refused("key is kept outside: "+at("folder/byfolder/key"), canary.Value("refused"), "secret", "set", "key", "--client", "byfolder")
	refused("key is kept outside: the variable CLIENT_SECRET_BYENV__KEY", "", "secret", "rm", "key", "--client", "byenv")
	if r := w.cliIn(canary.Value("by hand"), "secret", "set", "key", "--client", "bysops"); r.code != 0 {
		t.Errorf("set: %s", r.err)
	}
	w.active(names...)
	refused("key is in use by bysops", "", "secret", "rm", "key", "--client", "bysops")
	if r := w.cli("secret", "refresh"); r.code != exitFailed || !strings.Contains(r.err, "absent.enc.yaml") || !strings.Contains(r.out, "Nothing new.") {
		t.Errorf("refresh ends with %d: %s%s", r.code, r.out, r.err)
	}

	// The folder is not mounted any more: everything stays as it is.
	if err := os.Rename(at("folder"), at("elsewhere")); err != nil {
		t.Fatal(err)
	}
	n := w.calls.len()
	w.cli("secret", "refresh")
	w.commit(map[string]string{"clients/byfolder.yaml": manifestOf("byfolder", "env: {KEY: {secret: key}, A: b}")})
	w.active(names...)
	if got := w.secretRow("byfolder", "key"); got.Version != 1 {
		t.Errorf("listed as %+v", got)
	}
	if len(w.calls.writes(n)) == 0 {
		t.Error("the commit was not done")
	}
	if r := w.cli("secret", "refresh", "--client", "byage"); r.code != exitUsage {
		t.Errorf("a refresh of a client without a name ends with %d: %s", r.code, r.err)
	}
}

// What is wrong with the sources is told all at once, with the other mistakes.
func TestSecretSourcesInTheConfiguration(t *testing.T) {
	base := "repository: {url: https://git.example/c.git}\n"
	_, err := configIn(t, nil, map[string]string{defaultConfigFile: base + "schedules: {secrets: never}\nsecrets: {sources: [{}, {env: x}, {ageFile: a}, {folder: f}, {folder: f}, {file: x}]}\n"})
	for _, want := range []string{"schedules.secrets: ", "secrets.sources[0]: it is exactly one of", "secrets.sources[1]: env is the beginning", "secrets.sources[2]: ageFile needs keyFile", "secrets.sources[4] is listed twice", "secrets.sources[5].file: no such key"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("it is not said: %s\n%v", want, err)
		}
	}
	c, err := configIn(t, map[string]string{"RECONCILER_SECRETS_SOURCES": "[{folder: secrets}, {sopsFile: s.enc.yaml, keyFile: /k}]"}, map[string]string{defaultConfigFile: base})
	if err != nil {
		t.Fatal(err)
	}
	specs := c.Secrets.specs()
	if len(specs) != 2 || filepath.Base(specs[0].Folder) != "secrets" || !filepath.IsAbs(specs[0].Folder) || !filepath.IsAbs(specs[1].SopsFile) || specs[1].KeyFile != "/k" {
		t.Errorf("%+v", specs)
	}
	if c.Schedules.Secrets != "@every 1m" {
		t.Errorf("schedule %q", c.Schedules.Secrets)
	}
}
