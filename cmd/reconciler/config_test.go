package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// designConfig is the configuration of the design, with example values; without the
// vendors, which have a test of their own.
const designConfig = `
repository: {url: https://github.com/compassdigital/clients.git, branch: main, path: clients, poll: "@every 30s"}
state: {path: /var/lib/reconciler/state.db, keyFile: /etc/reconciler/key, backup: {every: 6h, keep: 14, dir: /var/backups}}
listen: 127.0.0.1:8080
publicURL: https://reconciler.compassdigital.example
github: {owner: compassdigital, repo: clients, apiURL: https://api.github.com/, app: {id: 1234, installationID: 5678, privateKeyFile: app.pem}, webhookSecret: hook-1-of-32-characters-or-more-}
platform: {baseDomain: compassdigital.example, defaults: {deployment: ploi, database: railway, dns: cloudflare}}
guard: {maxDeletes: 3, maxDeletePercent: 10, maxChanged: 25, maxCreates: 10, removals: any, removeAfter: 0s}
schedules: {drift: "@every 1h", health: "@every 5m", purge: "@daily"}
network: {resolvers: [9.9.9.9], proxy: "", caFile: "", allowPrivate: [10.0.0.0/8]}
api: {tokens: [{name: ops, role: operator, tokenFile: ops.token}], github: {org: compassdigital, teams: {operator: [ops]}}}
notify: {mail: [ops@compassdigital.example], slack: https://hooks.slack.example/T0/B0/slack-1, webhook: {url: https://in.example/w-1, secret: hook-2}, quiet: "22:00-07:00"}
`

const designProviders = `
providers:
  cloudflare: {apiToken: cf-1, zoneID: z1, apiURL: https://api.cloudflare.example}
  ploi: {apiToken: ploi-1, servers: {web-1: "1"}, serverID: 2, apiURL: https://ploi.example}
  vercel: {apiToken: vc-1, teamID: team_1, apiURL: https://api.vercel.example}
  railway: {apiKey: rw-1, apiURL: https://railway.example}
  postgres: {dsn: "postgres://root:pg-1@db.example/main"}
  resend: {apiKey: re-1, from: hello@compassdigital.example, apiURL: https://api.resend.example}
  smtp: {host: mail.compassdigital.example, port: 587, username: ops, password: smtp-1, from: hello@compassdigital.example, tls: starttls}
  stripe: {apiKey: st-1, apiURL: https://api.stripe.example}
`

// configIn writes files and loads reconciler.yaml with an environment.
func configIn(t *testing.T, env map[string]string, files map[string]string) (Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		writeAll(t, filepath.Join(dir, name), text)
	}
	return loadConfig(filepath.Join(dir, defaultConfigFile), func(k string) string { return env[k] })
}

// Mistakes that people make in numbers and schedules are told with the field and what to write; a
// guard below nothing would hold every new client for ever.
func TestConfigSaysWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"guard: {maxCreates: -1}":                               "guard.maxCreates is -1: it is 0 or more",
		"guard: {maxDeletes: -3}":                               "guard.maxDeletes is -3",
		`guard: {maxChanged: "25"}`:                             "line 2: guard.maxChanged is a number: write it without quotes",
		`schedules: {health: "5m"}`:                             "it is @every 5m, @daily or the five fields of cron",
		`schedules: {drift: every hour}`:                        "it is @every 5m, @daily or the five fields of cron",
		`state: {path: state.db, backup: {dir: b, every: 1d}}`:  "state.backup.every is \"1d\": write a time such as 6h or 24h",
		`schedules: {drift: @daily}`:                            "a value that begins with @",
		`state: {path: state.db, backup: {dir: b, every: "0"}}`: "state.backup.every",
	} {
		_, err := configIn(t, nil, map[string]string{defaultConfigFile: "repository: {url: https://git.example/clients.git}\n" + text + "\n"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}

// The whole configuration of the design is understood, and all vendors: what is not built yet
// is said.
func TestConfigOfTheDesign(t *testing.T) {
	files := map[string]string{defaultConfigFile: designConfig, "app.pem": "pem-1\n", "ops.token": "ops-1\n"}
	c, err := configIn(t, nil, files)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.GitHub.App.ID + " " + c.GitHub.App.PrivateKey.Reveal() + " " + c.API.Tokens[0].Token.Reveal() + " " + c.Notify.Webhook.Secret.Reveal(); got != "1234 pem-1 ops-1 hook-2" {
		t.Errorf("read: %s", got)
	}
	want := []string{"api has no effect in this version yet", "notify.slack has no effect in this version yet", "notify.webhook has no effect in this version yet",
		"notify.mail has no effect: nobody is configured to send mail (providers.resend or providers.smtp)"}
	for _, d := range []string{"deployment is ploi", "database is railway", "dns is cloudflare"} {
		want = append(want, "platform.defaults."+d+", which is not configured: clients that don't name another provider can't be planned")
	}
	if d := cmp.Diff(want, c.notices()); d != "" {
		t.Error(d)
	}

	files[defaultConfigFile] += designProviders
	if _, err = configIn(t, nil, files); err != nil {
		t.Errorf("the vendors: %v", err)
	}
}

// Everything that is wrong is listed at once, with its line, and no value is repeated.
func TestConfigListsAllProblems(t *testing.T) {
	_, err := configIn(t, map[string]string{"RECONCILER_GUARD_MAX_DELETES": "many-sk_live", "RECONCILER_API_TOKENS": "[{nam: x}]"}, map[string]string{"empty": "\n", defaultConfigFile: `repositry: {url: https://git.example/clients.git}
state: {path: state.db, keyfile: key, key: a-key, keyFile: key}
schedules: {health: "now and then"}
workers: sk_live_in_the_wrong_place
network: {allowPrivate: [ten], caFile: [a]}
providers: {plio: {}, stripe: {apiKeyFile: gone}, ploi: {apiTokenFile: empty}}
guard: {removals: never, removeAfter: soon}
platform: {baseDomain: "https://agency.example"}
publicURL: reconciler.agency.example
`})
	var ue usageError
	if !errors.As(err, &ue) {
		t.Fatalf("not wrong usage: %v", err)
	}
	text := err.Error()
	for _, want := range []string{
		"line 1: repositry: no such key; did you mean repository?",
		"line 2: state.keyfile: no such key; did you mean keyFile?",
		"line 4: workers is a number",
		"line 5: network.caFile is one text",
		"line 6: providers.plio: no such key; did you mean ploi?",
		"RECONCILER_GUARD_MAX_DELETES in the environment is a number",
		"RECONCILER_API_TOKENS[0].nam: no such key; did you mean name?",
		"state.key and state.keyFile exclude each other",
		"providers.stripe.apiKeyFile: open ", "providers.ploi.apiTokenFile: ", " is empty",
		"repository.url is missing", "schedules.health", "network.allowPrivate", "guard.removals", "guard.removeAfter", "platform.baseDomain", "publicURL is not an address",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if strings.Contains(text, "sk_live") || strings.Contains(text, "a-key") {
		t.Error("it repeats a value")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Odd files are refused, or mean nothing.
func TestConfigShapes(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "repository.url is missing",
		"null\n":                    "repository.url is missing",
		"- a\n":                     "line 1: the file is made of keys and values",
		"a: b\n---\nc: d\n":         "more than one document",
		"listen: a\nlisten: b\n":    "already defined",
		"listen: [\n":               "yaml: line",
		"listen: &a {b: *a}\n":      "listen is one text",
		"workers: 0\n":              "workers is 0: at least 1",
		"repository: {poll: 1ms}\n": "repository.poll",
	} {
		if _, err := configIn(t, nil, map[string]string{defaultConfigFile: text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Backups are made where nobody asked for them, and not where somebody asked for none.
func TestConfigOfBackups(t *testing.T) {
	for asked, want := range map[string]string{"": "/s/backups", ", backup: {every: 1h}": "/s/backups", ", backup: {dir: none}": "", ", backup: {dir: /b}": "/b"} {
		c, err := configIn(t, nil, map[string]string{defaultConfigFile: "repository: {url: https://git.example/a.git}\nstate: {path: /s/state.db" + asked + "}\n"})
		if err != nil || c.State.Backup.Dir != want {
			t.Errorf("%q: backups in %q, want %q: %v", asked, c.State.Backup.Dir, want, err)
		}
	}
	// What is no folder to leave out may be called so.
	c, err := configIn(t, nil, map[string]string{defaultConfigFile: "repository: {url: https://git.example/a.git}\nstate: {path: none}\n"})
	if err != nil || !filepath.IsAbs(c.State.Path) {
		t.Errorf("the state is at %q: %v", c.State.Path, err)
	}
}

// P10: a password without quotes that begins like an alias is not repeated.
func TestP10ConfigRepeatsNoPassword(t *testing.T) {
	for _, text := range []string{"state: {key: *hunter22}\n", "state:\n  key: &a [*a, hunter22]\n", "workers: !!int hunter22\n", "state: {key: !!float hunter22}\n"} {
		if _, err := configIn(t, nil, map[string]string{defaultConfigFile: text}); err == nil || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Every field can come from the environment, which wins over the file; the names of the
// platform's .env fill what is left.
func TestConfigFromTheEnvironment(t *testing.T) {
	files := map[string]string{"railway.key": "rw-file\n", defaultConfigFile: "repository: {url: https://git.example/a.git, branch: old}\n"}
	c, err := configIn(t, map[string]string{
		"RECONCILER_REPOSITORY_BRANCH": "release", "RECONCILER_GITHUB_TOKEN": "gh", "RECONCILER_GITHUB_OWNER": "agency", "RECONCILER_GITHUB_REPO": "clients", "RECONCILER_WORKERS": "3", "RECONCILER_PUBLIC_URL": "https://r.example",
		"RECONCILER_STATE_KEY_FILE": "other", "RECONCILER_NETWORK_ALLOW_PRIVATE": "10.0.0.0/8,fd00::/8", "RECONCILER_NOTIFY_MAIL": "[a@b.example]",
		"RECONCILER_API_TOKENS": `[{name: ops, token: t1}]`, "RECONCILER_PROVIDERS_PLOI_SERVERS": `{web-1: "1"}`, "RECONCILER_PROVIDERS_RAILWAY_API_KEY_FILE": "railway.key",
		"RECONCILER_PROVIDERS_VERCEL_API_TOKEN": "vc-ours",
		"PLOI_API_TOKEN":                        "ploi", "PLOI_SERVER_ID": "7", "CLOUDFLARE_API_TOKEN": "cf", "CLOUDFLARE_ZONE_ID": "zone", "VERCEL_API_TOKEN": "vc-old", "VERCEL_ORG_ID": "org", "VERCEL_TEAM_ID": "team",
		"RAILWAY_API_KEY": "rw-old", "RESEND_API_KEY": "re", "STRIPE_API_KEY": "st", "PLATFORM_BASE_URL": "https://agency.example:3000/x", "DEFAULT_DEPLOYMENT_PROVIDER": "ploi",
	}, files)
	if err != nil {
		t.Fatal(err)
	}
	p := c.Providers
	got := []string{c.Repository.Branch, c.GitHub.Token.Reveal(), fmt.Sprint(c.Workers), c.PublicURL, filepath.Base(c.State.KeyFile), strings.Join(c.Network.AllowPrivate, "+"), strings.Join(c.Notify.Mail, "+"),
		c.API.Tokens[0].Name + c.API.Tokens[0].Token.Reveal(), p.Ploi.Servers["web-1"], p.Railway.APIKey.Reveal(), p.Vercel.APIToken.Reveal(), p.Vercel.TeamID,
		p.Ploi.APIToken.Reveal(), p.Ploi.ServerID, p.Cloudflare.APIToken.Reveal(), p.Cloudflare.ZoneID, p.Resend.APIKey.Reveal(), p.Stripe.APIKey.Reveal(), c.Platform.BaseDomain, c.Platform.Defaults.Deployment}
	want := []string{"release", "gh", "3", "https://r.example", "other", "10.0.0.0/8+fd00::/8", "a@b.example", "opst1", "1", "rw-file", "vc-ours", "team",
		"ploi", "7", "cf", "zone", "re", "st", "agency.example", "ploi"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for v, want := range map[string]string{"agency.example": "agency.example", "agency.example:8080": "agency.example", "http://agency.example/": "agency.example"} {
		if got := hostOf(v); got != want {
			t.Errorf("PLATFORM_BASE_URL=%s is %s", v, got)
		}
	}
}

// P10: a configuration does not print its secrets, however it is printed.
func TestP10ConfigDoesNotPrintSecrets(t *testing.T) {
	files := map[string]string{defaultConfigFile: strings.Replace(designConfig, "https://github.com", "https://dana:pass-1@github.com", 1), "app.pem": "pem-1", "ops.token": "ops-1"}
	c, err := configIn(t, map[string]string{"STRIPE_API_KEY": "st-1", "RECONCILER_PROVIDERS_POSTGRES_DSN": "postgres://root:pg-1@db.example"}, files)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb, c)
		fmt.Fprintf(&b, verb, &c)
	}
	fmt.Fprint(&b, RepositoryConfig{URL: "https://dana:pass-1@bad host/%zz"}, RepositoryConfig{URL: "git@github.com:compassdigital/clients.git"})
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "config", c)
	for _, secret := range []string{"pass-1", "pem-1", "ops-1", "st-1", "pg-1", "hook-1", "hook-2", "slack-1", "w-1"} {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret)} {
			if strings.Contains(b.String(), form) {
				t.Errorf("%s shows", secret)
			}
		}
	}
	if !strings.Contains(b.String(), "github.com/compassdigital/clients.git") {
		t.Error("nothing was printed at all")
	}
}

// How mail goes out is checked before anything starts, and no password is repeated.
func TestConfigOfMail(t *testing.T) {
	for text, want := range map[string]string{
		"resend: {from: ops@acme.example}":                          "providers.resend.apiKey, or apiKeyFile, is missing",
		"resend: {apiKey: re-1}":                                    "providers.resend.from: it is not a sender",
		"resend: {apiKey: re-1, from: ops@acme.example, apiURL: x}": "providers.resend.apiURL is not an address",
		"smtp: {from: ops@acme.example}":                            "providers.smtp.host is missing",
		"}\nnotify: {mail: [ops], quiet: late":                      "notify.mail: \"ops\" is not an e-mail address\n  notify.quiet: write from when to when",
		"smtp: {host: mail.acme.example}":                           "providers.smtp.from: it is not a sender",
		"smtp: {host: mail.acme.example, from: ops@acme.example, username: ops, password: pw-1, tls: none}": "a password goes out over TLS or to this machine only",
		"smtp: {host: mail.acme.example, from: ops@acme.example, tls: perhaps}":                             "providers.smtp.tls is tls, starttls or none",
		"resend: {apiKey: re-1, from: Acme <ops@acme.example>}":                                             "",
		"smtp: {host: mail.acme.example, from: ops@acme.example, username: ops, password: pw-1}":            "",
	} {
		_, err := configIn(t, nil, map[string]string{defaultConfigFile: "repository: {url: https://git.example/clients.git}\nproviders: {" + text + "}\n"})
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) || strings.Contains(got, "pw-1") || strings.Contains(got, "re-1") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
