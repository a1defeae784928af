package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/github"
	"github.com/compassdigital/reconciler/internal/health"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// Config is reconciler.yaml. Every field can come from the environment: the path in
// capitals with underscores behind RECONCILER_ (RECONCILER_REPOSITORY_URL for
// repository.url, RECONCILER_STATE_KEY_FILE, or …_KEYFILE, for state.keyFile); lists and maps as YAML, a
// list of texts also with commas. The environment wins over the file; the names that
// people have in their .env already (PLOI_API_TOKEN …, see oldNames) stand behind it.
//
// Design: A block of a vendor that this version cannot talk to is an error, since someone
// asks for it here. What only the environment says of such a vendor is kept and says
// nothing: the .env of an application may serve us too; a client that asks for the vendor
// fails its plan. Blocks that this version reads and does not use yet (github, api,
// notify.slack, notify.webhook, network.resolvers) are checked, and `run` and `apply` say that
// they have no effect: a file that is written for the next version runs today.
type Config struct {
	Repository RepositoryConfig `yaml:"repository"`
	State      StateConfig      `yaml:"state"`
	Listen     string           `yaml:"listen"`
	PublicURL  string           `yaml:"publicURL"`
	GitHub     GitHubConfig     `yaml:"github"`
	Platform   PlatformConfig   `yaml:"platform"`
	Guard      GuardConfig      `yaml:"guard"`
	Schedules  SchedulesConfig  `yaml:"schedules"`
	Secrets    SecretsConfig    `yaml:"secrets"`
	Providers  ProvidersConfig  `yaml:"providers"`
	Network    NetworkConfig    `yaml:"network"`
	API        APIConfig        `yaml:"api"`
	Notify     NotifyConfig     `yaml:"notify"`
	Workers    int              `yaml:"workers"` // clients at once

	blocks []string // of vendors, as the file has them
}

// RepositoryConfig says where the wishes are.
type RepositoryConfig struct {
	URL        string `yaml:"url"`
	Branch     string `yaml:"branch"`
	Path       string `yaml:"path"`
	Poll       string `yaml:"poll"`
	Token      sealed `yaml:"token"`
	TokenFile  string `yaml:"tokenFile"` // read at each use: tokens are rotated
	SSHKeyFile string `yaml:"sshKeyFile"`
	KnownHosts string `yaml:"knownHostsFile"`
}

// Format implements fmt.Formatter: a URL may hold a password.
func (r RepositoryConfig) Format(f fmt.State, verb rune) {
	type plain RepositoryConfig
	p := plain(r)
	if u, err := url.Parse(r.URL); err == nil {
		u.User = nil
		p.URL = u.String()
	} else if strings.Contains(r.URL, "@") {
		p.URL = state.Redacted
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), p)
}

// StateConfig says where the state is.
type StateConfig struct {
	Path    string       `yaml:"path"`
	Key     sealed       `yaml:"key"`
	KeyFile string       `yaml:"keyFile"` // made when it is not there
	Backup  BackupConfig `yaml:"backup"`
}

// BackupConfig makes backups of the state by itself.
type BackupConfig struct {
	Every string `yaml:"every"`
	Keep  int    `yaml:"keep"`
	Dir   string `yaml:"dir"` // left out: backups/ beside the state; none: none is made, and as read it is ""
}

// nowhere, in place of a folder, keeps nothing: no backups of the state, or no dumps of databases
// that are erased.
const nowhere = "none"

// GitHubConfig is the repository whose pull requests are read, and where statuses and
// comments go.
type GitHubConfig struct {
	Owner             string          `yaml:"owner"`
	Repo              string          `yaml:"repo"`
	APIURL            string          `yaml:"apiURL"`
	Token             sealed          `yaml:"token"`
	TokenFile         string          `yaml:"tokenFile"`
	App               GitHubAppConfig `yaml:"app"`
	WebhookSecret     sealed          `yaml:"webhookSecret"`
	WebhookSecretFile string          `yaml:"webhookSecretFile"`
	// OldWebhookSecret holds beside the other while that is changed.
	OldWebhookSecret     sealed `yaml:"oldWebhookSecret"`
	OldWebhookSecretFile string `yaml:"oldWebhookSecretFile"`
}

// GitHubAppConfig is an App in place of a token.
type GitHubAppConfig struct {
	ID             string `yaml:"id"`
	InstallationID string `yaml:"installationID"`
	PrivateKey     sealed `yaml:"privateKey"`
	PrivateKeyFile string `yaml:"privateKeyFile"`
}

// on says that a forge is configured.
func (g GitHubConfig) on() bool { return !reflect.ValueOf(g).IsZero() }

// hookSecrets are the secrets that deliveries may be signed with.
func (g GitHubConfig) hookSecrets() (out []state.Secret) {
	for _, s := range []sealed{g.WebhookSecret, g.OldWebhookSecret} {
		if !s.Empty() {
			out = append(out, s.Secret)
		}
	}
	return out
}

// check says what is wrong, and fills in what the repository's own address says.
func (g *GitHubConfig) check(repository string) (out []string) {
	if !g.on() {
		return nil
	}
	bad := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	if u, err := url.Parse(repository); err == nil && g.Owner == "" && g.Repo == "" {
		if words := strings.Split(strings.Trim(strings.TrimSuffix(u.Path, ".git"), "/"), "/"); len(words) == 2 {
			g.Owner, g.Repo = words[0], words[1]
		}
	}
	if g.Owner == "" || g.Repo == "" {
		bad("github.owner and github.repo: which repository has the pull requests? (owner: compassdigital, repo: clients)")
	}
	token, app := !g.Token.Empty(), !reflect.ValueOf(g.App).IsZero()
	switch {
	case token && app:
		bad("github.token and github.app exclude each other")
	case !token && !app:
		bad("github.token, or github.app, is missing: in whose name are comments and statuses written?")
	case app && (numberOf(g.App.ID) <= 0 || g.App.PrivateKey.Empty()):
		bad("github.app needs id, a number, and privateKeyFile")
	case app && g.App.InstallationID != "" && numberOf(g.App.InstallationID) <= 0:
		bad("github.app.installationID is a number; leave it out and it is looked up")
	}
	if u, err := url.Parse(g.APIURL); g.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		bad("github.apiURL is not an address: https://api.github.com/, or https://HOST/api/v3/")
	}
	for name, s := range map[string]sealed{"webhookSecret": g.WebhookSecret, "oldWebhookSecret": g.OldWebhookSecret} {
		if n := len(strings.TrimSpace(s.Reveal())); s.given && n == 0 || n > 0 && n < github.MinSecret {
			bad("github.%s has to be %d characters or more (openssl rand -hex 32): without one anybody could send webhooks; leave it out to do without them", name, github.MinSecret)
		}
	}
	if g.WebhookSecret.Empty() && !g.OldWebhookSecret.Empty() {
		bad("github.oldWebhookSecret holds beside webhookSecret while that is changed, not without it")
	}
	return out
}

// PlatformConfig is what holds for manifests that don't say otherwise.
type PlatformConfig struct {
	BaseDomain string         `yaml:"baseDomain"`
	Defaults   DefaultsConfig `yaml:"defaults"`
}

// DefaultsConfig names default providers.
type DefaultsConfig struct {
	Deployment string `yaml:"deployment"`
	Database   string `yaml:"database"`
	DNS        string `yaml:"dns"`
}

// GuardConfig limits what one range of commits may do.
type GuardConfig struct {
	MaxDeletes       int    `yaml:"maxDeletes"`
	MaxDeletePercent int    `yaml:"maxDeletePercent"`
	MaxChanged       int    `yaml:"maxChanged"`
	MaxCreates       int    `yaml:"maxCreates"`
	Removals         string `yaml:"removals"` // any | reviewed
	RemoveAfter      string `yaml:"removeAfter"`
}

// SchedulesConfig are cron texts, in UTC.
type SchedulesConfig struct {
	Drift  string `yaml:"drift"`
	Health string `yaml:"health"`
	Purge  string `yaml:"purge"`
	// Secrets is when the sources of secrets are looked at.
	Secrets string `yaml:"secrets"`
}

// ProvidersConfig switches providers on. The embedded ones need no account.
type ProvidersConfig struct {
	Embedded   EmbeddedConfig   `yaml:"embedded"`
	Ploi       PloiConfig       `yaml:"ploi"`
	Vercel     VercelConfig     `yaml:"vercel"`
	Railway    RailwayConfig    `yaml:"railway"`
	Cloudflare CloudflareConfig `yaml:"cloudflare"`
	Postgres   PostgresConfig   `yaml:"postgres"`
	Resend     ResendConfig     `yaml:"resend"`
	SMTP       SMTPConfig       `yaml:"smtp"`
	Stripe     StripeConfig     `yaml:"stripe"`
}

// EmbeddedConfig switches on sqlite, local sites, local DNS and the mailbox.
type EmbeddedConfig struct {
	Dir  string `yaml:"dir"`
	DNS  string `yaml:"dns"`  // address of the embedded DNS server
	Fail string `yaml:"fail"` // step that fails once, to try the recovery
}

// PloiConfig is an account at Ploi.
type PloiConfig struct {
	APIToken     sealed            `yaml:"apiToken"`
	APITokenFile string            `yaml:"apiTokenFile"`
	Servers      map[string]string `yaml:"servers"`  // name in manifests → id at Ploi
	ServerID     string            `yaml:"serverID"` // one server, named default
	APIURL       string            `yaml:"apiURL"`
}

// VercelConfig is an account at Vercel.
type VercelConfig struct {
	APIToken     sealed `yaml:"apiToken"`
	APITokenFile string `yaml:"apiTokenFile"`
	TeamID       string `yaml:"teamID"`
	APIURL       string `yaml:"apiURL"`
}

// CloudflareConfig is an account at Cloudflare.
type CloudflareConfig struct {
	APIToken     sealed `yaml:"apiToken"`
	APITokenFile string `yaml:"apiTokenFile"`
	ZoneID       string `yaml:"zoneID"` // empty: zones are found by name
	APIURL       string `yaml:"apiURL"`
}

// PostgresConfig is a server of one's own.
type PostgresConfig struct {
	DSN             sealed `yaml:"dsn"`
	DSNFile         string `yaml:"dsnFile"`
	Host            string `yaml:"host"`            // HOST or HOST:PORT that clients reach it at; empty: the DSN's
	ConnectionLimit int    `yaml:"connectionLimit"` // of each client; 0: 20
	Dumps           string `yaml:"dumps"`           // the folder for databases that are erased; empty: beside the state, where there is a pg_dump; none: none is kept
}

// ResendConfig is an account at Resend.
type ResendConfig struct {
	APIKey     sealed `yaml:"apiKey"`
	APIKeyFile string `yaml:"apiKeyFile"`
	From       string `yaml:"from"`
	APIURL     string `yaml:"apiURL"`
}

// NetworkConfig is what closed networks need.
type NetworkConfig struct {
	Resolvers    []string `yaml:"resolvers"` // asked whether a record is there, beside the zone's own servers
	Proxy        string   `yaml:"proxy"`     // for vendors and clients' repositories; else HTTPS_PROXY and its like decide
	CAFile       string   `yaml:"caFile"`
	AllowPrivate []string `yaml:"allowPrivate"` // prefixes that probes, and questions to clients' repositories, may reach
}

// APIConfig says who may use the API. Not used yet: it only reads.
type APIConfig struct {
	Tokens []APIToken      `yaml:"tokens"`
	GitHub APIGitHubConfig `yaml:"github"`
}

// APIToken is somebody who may use the API.
type APIToken struct {
	Name      string `yaml:"name"`
	Role      string `yaml:"role"`
	Token     sealed `yaml:"token"`
	TokenFile string `yaml:"tokenFile"`
}

// APIGitHubConfig lets people in by their teams.
type APIGitHubConfig struct {
	Org   string              `yaml:"org"`
	Teams map[string][]string `yaml:"teams"` // role → teams
}

// NotifyConfig says whom to tell. Slack and Webhook are not used yet.
type NotifyConfig struct {
	Mail      []string      `yaml:"mail"`
	Slack     sealed        `yaml:"slack"` // the hook's address is its password
	SlackFile string        `yaml:"slackFile"`
	Webhook   WebhookConfig `yaml:"webhook"`
	Quiet     string        `yaml:"quiet"` // 22:00-07:00, in UTC: no mail
}

// WebhookConfig is an address that is told.
type WebhookConfig struct {
	URL        sealed `yaml:"url"` // many hold a password
	URLFile    string `yaml:"urlFile"`
	Secret     sealed `yaml:"secret"`
	SecretFile string `yaml:"secretFile"`
}

// sealed is a configuration value that can't print itself.
type sealed struct {
	state.Secret
	given bool // it stands in the file, perhaps empty
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *sealed) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a secret is one text", n.Line)
	}
	s.Secret, s.given = state.NewSecret(strings.TrimRight(n.Value, "\r\n")), true // a block of YAML ends with one
	return nil
}

func defaultConfig() Config {
	return Config{
		Repository: RepositoryConfig{Branch: "main", Path: "clients", Poll: "@every 30s"},
		State:      StateConfig{Path: "/var/lib/reconciler/state.db", Backup: BackupConfig{Every: "6h", Keep: 14}},
		Listen:     "127.0.0.1:8080",
		Guard:      GuardConfig{MaxDeletes: 3, MaxDeletePercent: 10, MaxChanged: 25, MaxCreates: 10, Removals: "any", RemoveAfter: "0s"},
		Schedules:  SchedulesConfig{Drift: "@every 1h", Health: "@every 5m", Purge: "@daily", Secrets: "@every 1m"},
		Workers:    64,
	}
}

// check says everything that is wrong, sorted.
func (c *Config) check() []string {
	var out []string
	bad := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	if c.Repository.URL == "" {
		bad("repository.url is missing: where are the manifests?")
	}
	for name, spec := range map[string]string{"schedules.health": c.Schedules.Health, "schedules.purge": c.Schedules.Purge, "schedules.drift": c.Schedules.Drift, "schedules.secrets": c.Schedules.Secrets, "repository.poll": c.Repository.Poll} {
		if err := daemon.ParseSpec(spec); err != nil {
			bad("%s: %v", name, err)
		}
	}
	if _, err := c.pollEvery(); err != nil {
		bad("%v", err)
	}
	if _, err := manifest.ParseDuration(c.Guard.RemoveAfter); err != nil {
		bad("guard.removeAfter: %v", err)
	}
	for _, g := range []struct {
		name string
		is   int
	}{{"maxDeletes", c.Guard.MaxDeletes}, {"maxDeletePercent", c.Guard.MaxDeletePercent}, {"maxChanged", c.Guard.MaxChanged}, {"maxCreates", c.Guard.MaxCreates}} {
		if g.is < 0 {
			bad("guard.%s is %d: it is 0 or more; a large number is no limit", g.name, g.is)
		}
	}
	if r := c.Guard.Removals; r != "any" && r != "reviewed" {
		bad("guard.removals is %q: it is any or reviewed", r)
	}
	for _, text := range c.GitHub.check(c.Repository.URL) {
		bad("%s", text)
	}
	out = append(out, c.Secrets.check()...)
	if _, err := c.allowed(); err != nil {
		bad("network.allowPrivate: %v", err)
	}
	out = append(out, slices.Concat(c.checkNetwork(), c.checkPostgres(), c.checkPloi(), c.checkRailway(), c.checkCloudflare(), c.checkVercel(), c.checkStripe(), c.Providers.checkMail(c.blocks), c.Notify.check())...)
	if d := c.Platform.BaseDomain; strings.ContainsAny(d, "/: *") {
		bad("platform.baseDomain is %q: it is a host name, without a scheme, a port, a path or a pattern", d)
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
		bad("publicURL is not an address: write https://reconciler.your-agency.example")
	}
	for i, t := range c.API.Tokens {
		if t.Name == "" {
			bad("api.tokens: the %d. token has no name", i+1)
		}
	}
	if c.State.Backup.Dir != "" {
		if err := daemon.ParseSpec("@every " + c.State.Backup.Every); err != nil {
			bad("state.backup.every is %q: write a time such as 6h or 24h, at least one second", c.State.Backup.Every)
		}
	}
	if c.Workers < 1 {
		bad("workers is %d: at least 1", c.Workers)
	}
	sort.Strings(out)
	return out
}

// pollEvery is the pause between polls; repository.poll is "@every D" or D.
func (c *Config) pollEvery() (time.Duration, error) {
	d, err := manifest.ParseDuration(strings.TrimSpace(strings.TrimPrefix(c.Repository.Poll, "@every")))
	if err != nil || d.Std() < time.Second {
		return 0, fmt.Errorf("repository.poll is %q: write @every 30s, at least one second", c.Repository.Poll)
	}
	return d.Std(), nil
}

func (c *Config) allowed() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.Network.AllowPrivate {
		p, err := netip.ParsePrefix(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// notices are what the configuration asks for and this version does not do yet.
func (c *Config) notices() []string {
	var out []string
	unused := func(name string, set bool) {
		if set {
			out = append(out, name+" has no effect in this version yet")
		}
	}
	unused("api", len(c.API.Tokens) > 0 || c.API.GitHub.Org != "" || len(c.API.GitHub.Teams) > 0)
	unused("notify.slack", !c.Notify.Slack.Empty())
	unused("notify.webhook", !reflect.ValueOf(c.Notify.Webhook).IsZero())
	if len(c.Notify.Mail) > 0 && !c.mails() {
		out = append(out, "notify.mail has no effect: nobody is configured to send mail (providers.resend or providers.smtp)")
	}
	unused("network.resolvers", len(c.Network.Resolvers) > 0 && !c.asksCloudflare())
	d, there := c.Platform.Defaults, c.configured()
	for _, x := range []struct{ field, name string }{{"deployment", d.Deployment}, {"database", d.Database}, {"dns", d.DNS}} {
		if instead := noProvider(x.field, x.name); instead != "" {
			out = append(out, fmt.Sprintf("platform.defaults.%s is %s, which is not read: %s", x.field, x.name, instead))
		} else if is, known := there[x.name]; known && !is {
			out = append(out, fmt.Sprintf("platform.defaults.%s is %s, which is not configured: clients that don't name another provider can't be planned", x.field, x.name))
		}
	}
	if p := c.Providers.Ploi; !p.APIToken.Empty() && !c.asksPloi() {
		out = append(out, "there is a token of Ploi and no server: name them in providers.ploi.servers, or one in PLOI_SERVER_ID")
	}
	return out
}

// noProvider says what to write in the place of a default that no manifest may say either; ""
// where it is one.
func noProvider(field, name string) string {
	t, _ := reflect.TypeFor[manifest.Client]().FieldByName(map[string]string{"deployment": "Deployment", "database": "Database", "dns": "DNS"}[field])
	p, _ := t.Type.FieldByName("Provider")
	names := strings.Split(p.Tag.Get("enum"), ",")
	switch {
	case name == "" || slices.Contains(names, name):
		return ""
	case meant(name, names) != "":
		return "did you mean " + meant(name, names) + "?"
	}
	return "it is one of " + strings.Join(names, ", ")
}

// configured says of each provider that needs an account or a place whether it has that.
func (c *Config) configured() map[string]bool {
	p, embedded := c.Providers, c.Providers.Embedded.Dir != ""
	return map[string]bool{"local": embedded, "sqlite": embedded, "ploi": !p.Ploi.APIToken.Empty() && len(c.ploiServers()) > 0, "vercel": !p.Vercel.APIToken.Empty(),
		"railway": !p.Railway.APIKey.Empty(), "postgres": !p.Postgres.DSN.Empty(), "cloudflare": !p.Cloudflare.APIToken.Empty()}
}

// checkNetwork says what is wrong with the way to other hosts.
func (c *Config) checkNetwork() (out []string) {
	if _, err := proxyOf(c.Network); err != nil {
		out = append(out, err.Error())
	}
	if c.Network.CAFile != "" {
		if _, err := health.Roots(c.Network.CAFile); err != nil {
			out = append(out, "network.caFile: "+err.Error())
		}
	}
	return out
}
