package takeover

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

const password = "invented-Password-77"

func urlOf(port, name string) string {
	return "postgresql://postgres:" + password + "@proxy.example:" + port + "/" + name
}

// A site, its database by DATABASE_URL, its records by name: one manifest that is valid, and
// no word of a secret in anything.
func TestMatchedClient(t *testing.T) {
	ploi := account{lists: []provider.Object{site("1/48", "bakery.example", provider.Mark{}), domain("1/48", "bakery.example", "")},
		inside: map[string][]provider.Object{"1/48": {domain("1/48", "bakery.example", ""), domain("1/48", "www.bakery.example", "bakery.example"), environment("1/48", "DATABASE_URL", urlOf("5001", "railway"), "OLD_TOKEN", password)}}}
	inv := collected(t, ploi, []provider.Object{database("9c1e", "old bakery", urlOf("5001", "railway"), provider.Mark{}), database("9c1f", "else", urlOf("5002", "railway"), provider.Mark{})},
		[]provider.Object{record("z1/r1", "A", "bakery.example", "203.0.113.10", "300"), record("z1/r2", "CNAME", "www.bakery.example", "bakery.example", "1")})
	sent, err := json.Marshal(inv)
	if err != nil || strings.Contains(string(sent), password) {
		t.Fatalf("the inventory tells a secret, or can't be sent: %v", err)
	}
	all := Matches(inv, nil, Known{})
	m := of(t, all, "bakery")
	if m.State != Matched || m.Site.ID != "1/48" || m.Data.ID != "9c1e" || m.DNS.State != Matched {
		t.Fatalf("bakery: %+v", m)
	}
	text := written(t, tree(), all)["bakery"]
	for _, want := range []string{"domain: bakery.example\n", "aliases: [www.bakery.example]\n", `adopt: {site: {id: "1/48"}, database: {id: "9c1e"}}`, "paused: true\n", "deployment: {provider: ploi}\n",
		`dns: {provider: cloudflare, records: [{type: CNAME, name: "www", content: "bakery.example", ttl: 1}]}`, "# site: by its host name\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, password) {
		t.Error("the manifest tells a secret")
	}
}

// A site without a database asks for none, whatever its template has: the merge would fail.
func TestASiteWithoutADatabase(t *testing.T) {
	ploi := account{lists: []provider.Object{site("1/1", "bare.example", provider.Mark{}), domain("1/1", "bare.example", "")}, inside: map[string][]provider.Object{"1/1": {environment("1/1", "NODE_ENV", "production")}}}
	text := written(t, tree(), Matches(collected(t, ploi, nil, nil), nil, Known{}))["bare"]
	if !strings.Contains(text, "database: {provider: none}\n") || !strings.Contains(text, "env: {DATABASE_URL: {none: true}}\n") {
		t.Error(text)
	}
}

// However many variables a site has, its database is found.
func TestASiteOfManyVariables(t *testing.T) {
	var pairs []string
	for i := range maxVariables {
		pairs = append(pairs, fmt.Sprintf("A_%04d", i), "x")
	}
	ploi := account{lists: []provider.Object{site("1/1", "many.example", provider.Mark{}), domain("1/1", "many.example", "")}, inside: map[string][]provider.Object{"1/1": {environment("1/1", append(pairs, "DATABASE_URL", urlOf("5001", "a"))...)}}}
	m := of(t, Matches(collected(t, ploi, []provider.Object{database("9c1e", "a", urlOf("5001", "a"), provider.Mark{})}, nil), nil, Known{}), "many")
	if m.Data.State != Matched {
		t.Errorf("its database: %+v", m.Data)
	}
}

// What is ambiguous is not chosen, and can't be made by mistake; what is absent is said.
func TestAmbiguousAndAbsent(t *testing.T) {
	foreign := provider.Mark{Installation: "feedface", Client: "c1", Generation: 1}
	ploi := account{lists: []provider.Object{
		site("1/1", "twin.example", provider.Mark{}), domain("1/1", "twin.example", ""), site("1/2", "twin.example", provider.Mark{}), domain("1/2", "twin.example", ""),
		site("1/3", "theirs.example", foreign), domain("1/3", "theirs.example", ""),
		site("1/4", "shared-a.example", provider.Mark{}), domain("1/4", "shared-a.example", ""), site("1/5", "shared-b.example", provider.Mark{}), domain("1/5", "shared-b.example", ""),
		site("1/6", "far.example", provider.Mark{}), domain("1/6", "far.example", ""), site("1/7", "mine.example", provider.Mark{Installation: installation, Client: "c2", Generation: 1}), domain("1/7", "mine.example", ""),
		site("1/8", "look.example", provider.Mark{}), domain("1/8", "look.example", ""), site("1/9", "look.example", foreign), domain("1/9", "look.example", ""), site("1/10", "nameless", provider.Mark{}),
		site("1/11", "blind.example", provider.Mark{}), domain("1/11", "blind.example", ""),
	}, inside: map[string][]provider.Object{"1/11": {{Kind: state.KindEnvironment, ID: "1/11/env", Attributes: inputs("site", "1/11", "unread", "DATABASE_URL,KEY")}}, "1/4": {environment("1/4", "DATABASE_URL", urlOf("5001", "a"))}, "1/5": {environment("1/5", "DATABASE_URL", urlOf("5001", "a"))},
		"1/6": {environment("1/6", "DATABASE_URL", "postgres://u:"+password+"@elsewhere.example/x")}, "1/8": {environment("1/8", "DATABASE_URL", "postgresql://postgres:x@postgres.railway.internal:5432/railway")}}}
	inv := collected(t, ploi, []provider.Object{database("d1", "a", urlOf("5001", "a"), provider.Mark{}), database("d2", "look", "postgresql://postgres:y@postgres.railway.internal:5432/railway", provider.Mark{})},
		[]provider.Object{record("z/1", "A", "far.example", "198.51.100.7", "1"), record("z/2", "A", "look.example", "203.0.113.10", "300"), record("z/3", "A", "look.example", "203.0.113.11", "300")})
	all := Matches(inv, nil, Known{})
	for name, want := range map[string][3]State{"twin": {Ambiguous, Ambiguous, Absent}, "theirs": {"", None, None}, "shared-a": {Matched, Ambiguous, Absent}, "shared-b": {Matched, Ambiguous, Absent},
		"blind": {Matched, Ambiguous, Absent}, "far": {Matched, Absent, Matched}, "look": {Matched, Matched, Ambiguous}} {
		m := of(t, all, name)
		if m.Site.State != want[0] || m.Data.State != want[1] || m.DNS.State != want[2] {
			t.Errorf("%s: site %s, database %s, records %s; want %s", name, m.Site.State, m.Data.State, m.DNS.State, want)
		}
	}
	for _, m := range all {
		if m.Host == "mine.example" {
			t.Error("what is ours already is listed")
		}
	}
	files := written(t, tree(), all)
	if len(files) != 6 {
		t.Errorf("%d files", len(files))
	}
	for _, want := range []string{"adopt: {site: {id: choose-one-twin}, database: {id: choose-one-twin}}", "# site may be: ploi 1/1\n", "# site may be: ploi 1/2\n"} {
		if !strings.Contains(files["twin"], want) {
			t.Errorf("no %q in\n%s", want, files["twin"])
		}
	}
	if !strings.Contains(files["shared-a"], "shared-b uses the same database") || !strings.Contains(files["shared-a"], "choose-one-shared-a") {
		t.Errorf("shared-a:\n%s", files["shared-a"])
	}
	if !strings.Contains(files["far"], "provider: external") || !strings.Contains(files["far"], "leads to elsewhere.example") || !strings.Contains(files["far"], `record: {id: "z/1"}`) {
		t.Errorf("far:\n%s", files["far"])
	}
	if !strings.Contains(files["look"], "feedface: it is not touched") || !strings.Contains(files["look"], "by its name alone") || !strings.Contains(files["look"], "DATABASE_URL: {secret: database-url}") {
		t.Errorf("look:\n%s", files["look"])
	}
}

// An export's ids come first; where it disagrees with what is there nothing is chosen; its
// secrets are in no file; what is there already keeps its name.
func TestExport(t *testing.T) {
	ploi := account{lists: []provider.Object{site("1/48", "bakery.example", provider.Mark{}), domain("1/48", "bakery.example", ""), site("1/49", "florist.example", provider.Mark{}), domain("1/49", "florist.example", "")},
		inside: map[string][]provider.Object{"1/48": {environment("1/48", "DATABASE_URL", urlOf("5001", "railway"), "STORE_CURRENCY", "EUR")}}}
	inv := collected(t, ploi, []provider.Object{database("9c1e", "x", urlOf("5001", "railway"), provider.Mark{})}, nil)
	key := "sk_" + "live_invented0123456789"
	entries, err := ReadExport(strings.NewReader(fmt.Sprintf(`{"docs": [
	{"id": "1", "name": "Bäckerei & Co", "domain": "bakery.example", "plan": "starter", "template": "ecommerce", "deploymentProvider": "ploi", "deploymentProviderId": 48, "databaseProviderId": "9c1e",
	 "enabledFeatures": [{"feature": "blog"}, "rockets"], "customEnvironment": {"STORE_CURRENCY": "CHF", "STORE_LOCALE": "de-CH", "STRIPE_KEY": %q, "SESSION_SECRET": "hunter2hunter2", "bad name": "x"},
	 "customSettings": {"theme": "dark"}, "contactEmail": "dana@bakery.example", "favouriteColour": "blue", "status": "active"},
	{"name": "florist", "domain": "florist.example", "deploymentProviderId": "48"},
	{"name": "ghost", "domain": "ghost.example", "deploymentProviderId": "99", "customSettings": {"apiKey": %q}},
	{"name": "bakery", "domain": "taken.example"},
	{"name": "again", "domain": "bakery.example"}, {"name": "none"}]}`, key, key)))
	if err != nil {
		t.Fatal(err)
	}
	tr := tree(manifest.File{Path: "clients/ghost.yaml", Data: []byte("not a manifest")})
	all := Matches(inv, entries, tr.KnownIn())
	files := written(t, tr, all)
	bakery := files["baeckerei-co"]
	for _, want := range []string{`adopt: {site: {id: "1/48"}, database: {id: "9c1e"}}`, "STORE_LOCALE: \"de-CH\"", "STRIPE_KEY: {secret: stripe-key}", "SESSION_SECRET: {secret: session-secret}", `settings: {"theme":"dark"}`,
		"favouriteColour means nothing here", "the site has these, and keeps what they say there: STORE_CURRENCY", "reconciler secret set stripe-key --client baeckerei-co", "plan: starter"} {
		if !strings.Contains(bakery, want) {
			t.Errorf("no %q in\n%s", want, bakery)
		}
	}
	// The florist's entry names the bakery's site: nothing is chosen for it.
	if m := of(t, all, "florist"); m.Site.State != Ambiguous || len(m.Site.Candid) != 2 {
		t.Errorf("florist: %+v", m.Site)
	}
	if !strings.Contains(bakery, "enabledFeatures is left out") {
		t.Errorf("a feature that the template does not allow:\n%s", bakery)
	}
	if m := of(t, all, "ghost-example"); m.Site.State != Absent || m.Skipped != "" {
		t.Errorf("ghost: %+v", m)
	}
	ghost := files["ghost-example"]
	if !strings.Contains(ghost, `adopt: {site: {id: "99"}}`) || !strings.Contains(ghost, "a setting looks like a secret") || !strings.Contains(ghost, "ghost is another client's name") {
		t.Errorf("ghost:\n%s", ghost)
	}
	for name, text := range files {
		if strings.Contains(text, key) || strings.Contains(text, "hunter2") || strings.Contains(text, password) {
			t.Errorf("%s tells a secret", name)
		}
	}
	if m := of(t, all, "again"); m.Skipped == "" {
		t.Errorf("twice: %+v", m)
	}
	if m := of(t, all, "none"); m.Skipped == "" {
		t.Errorf("without a domain: %+v", m)
	}
}

// An account that can't be read is an error, not an empty one.
func TestUnreadableIsNotEmpty(t *testing.T) {
	broken := errors.New("it is down")
	if _, err := Collect(t.Context(), []Source{{"ploi", account{err: broken}}}, installation); !errors.Is(err, broken) {
		t.Errorf("collected: %v", err)
	}
	if _, err := Collect(t.Context(), []Source{{"ploi", failsInside{}}}, installation); !errors.Is(err, errInside) {
		t.Errorf("collected: %v", err)
	}
}

// Ten thousand entries of strange words: each is a valid manifest or says why not, names are
// legal and each is one client's, and nothing that came from outside breaks out of its line.
func TestHostileExport(t *testing.T) {
	var b strings.Builder
	b.WriteString("[")
	words := []string{"shop", "Shop", "../../etc/passwd", "a\nb: c", "\u202Eevil", "{{x}}", "- &a", strings.Repeat("long", 500), "", "yes", "null", "# comment", "ß", "тест"}
	for i := range 10_000 {
		if i > 0 {
			b.WriteString(",")
		}
		w := words[i%len(words)]
		row, err := json.Marshal(map[string]any{"name": w, "domain": fmt.Sprintf("shop-%d.example", i/3), "displayName": w, "plan": w, "template": "ecommerce", "enabledFeatures": []any{w, 7, nil, map[string]any{"value": w}},
			"customEnvironment": map[string]any{w: w, "PLAIN": w, "LD_PRELOAD": "x"}, "customSettings": map[string]any{w: []any{w, map[string]any{w: w}}}, "contactEmail": "dana@shop.example", "notes": w, w + "Key": w, "deploymentProviderId": i})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(row)
	}
	b.WriteString("]")
	entries, err := ReadExport(strings.NewReader(b.String()))
	if err != nil || len(entries) != 10_000 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	all := Matches(collected(t, account{}, nil, nil), entries, Known{})
	drafts := Drafts(all, Options{Template: "ecommerce"})
	good, refused := Check(tree(), drafts[:100])
	if len(good)+len(refused) != 100 || len(good) < 80 {
		t.Errorf("%d are good, %d refused: %v", len(good), len(refused), refused)
	}
	seen := map[string]bool{}
	for _, d := range drafts {
		if !manifest.IsName(d.Name) || seen[d.Name] {
			t.Fatalf("the name %q is not one, or is another's", d.Name)
		}
		seen[d.Name] = true
		for line := range strings.Lines(string(d.Bytes())) {
			field, _, ok := strings.Cut(line, ": ")
			if !ok && !strings.HasPrefix(line, "#") || !strings.HasPrefix(line, "#") && strings.Trim(field, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				t.Fatalf("%s has the line %q", d.Name, line)
			}
		}
	}
}

// What is no export is refused without a word of it.
func TestNoExport(t *testing.T) {
	secret := "hunter2hunter2"
	for _, text := range []string{"", "null", `"` + secret + `"`, `[{"name": "` + secret, `[1, 2]`, `[null]`, `{"docs": "` + secret + `"`, "[" + strings.Repeat(`{},`, maxEntries) + "{}]"} {
		entries, err := ReadExport(strings.NewReader(text))
		if err == nil {
			t.Errorf("%.40q gives %d entries", text, len(entries))
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells: %v", err)
		}
	}
	if entries, err := ReadExport(strings.NewReader(`{"name": "one", "domain": "one.example", "customEnvironment": "{\"A\": \"b\"}", "contact": {"email": "a@b.example"}}`)); err != nil || len(entries) != 1 || entries[0].Environment["A"] != "b" || entries[0].ContactEmail != "a@b.example" {
		t.Errorf("%+v %v", entries, err)
	}
}

// A name below the platform's domain is written whole, and a site that lives at it is a
// client like any other; a name that the platform reserves is refused.
func TestBelowThePlatform(t *testing.T) {
	ploi := account{lists: []provider.Object{site("1/1", "inner", provider.Mark{}), domain("1/1", "inner.platform.example", ""), site("1/2", "www", provider.Mark{}), domain("1/2", "www.platform.example", "")}}
	tr := tree(manifest.File{Path: "platform.yaml", Data: []byte("apiVersion: reconciler/v1\nkind: Platform\nbaseDomain: platform.example\nreserved: [www]\n")})
	good, refused := Check(tr, Drafts(Matches(collected(t, ploi, nil, nil), nil, tr.KnownIn()), Options{Template: "ecommerce", Contact: "ops@agency.example"}))
	if len(good) != 1 || good[0].Name != "inner-platform" || len(refused) != 1 || refused["platform"] == "" {
		t.Errorf("good: %v, refused: %v", good, refused)
	}
}
