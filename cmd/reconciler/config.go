package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxConfig bounds reconciler.yaml.
const maxConfig = 1 << 20

// Config is reconciler.yaml. Every field can come from the environment: the path in
// capitals with underscores behind RECONCILER_ (RECONCILER_REPOSITORY_URL for
// repository.url, RECONCILER_STATE_KEY_FILE for state.keyFile).
type Config struct {
	Repository RepositoryConfig `yaml:"repository"`
	State      StateConfig      `yaml:"state"`
	Listen     string           `yaml:"listen"`
	PublicURL  string           `yaml:"publicURL"`
	Platform   PlatformConfig   `yaml:"platform"`
	Guard      GuardConfig      `yaml:"guard"`
	Schedules  SchedulesConfig  `yaml:"schedules"`
	Providers  ProvidersConfig  `yaml:"providers"`
	Network    NetworkConfig    `yaml:"network"`
	Workers    int              `yaml:"workers"` // clients at once
}

// RepositoryConfig says where the wishes are.
type RepositoryConfig struct {
	URL        string `yaml:"url"`
	Branch     string `yaml:"branch"`
	Path       string `yaml:"path"`
	Poll       string `yaml:"poll"`
	Token      sealed `yaml:"token"`
	TokenFile  string `yaml:"tokenFile"`
	SSHKeyFile string `yaml:"sshKeyFile"`
	KnownHosts string `yaml:"knownHostsFile"`
}

// StateConfig says where the state is.
type StateConfig struct {
	Path    string       `yaml:"path"`
	Key     sealed       `yaml:"key"`
	KeyFile string       `yaml:"keyFile"`
	Backup  BackupConfig `yaml:"backup"`
}

// BackupConfig makes backups of the state by itself.
type BackupConfig struct {
	Every string `yaml:"every"`
	Keep  int    `yaml:"keep"`
	Dir   string `yaml:"dir"`
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
}

// ProvidersConfig switches providers on. The embedded ones need no account.
type ProvidersConfig struct {
	Embedded   EmbeddedConfig `yaml:"embedded"`
	Ploi       yaml.Node      `yaml:"ploi"`
	Vercel     yaml.Node      `yaml:"vercel"`
	Railway    yaml.Node      `yaml:"railway"`
	Cloudflare yaml.Node      `yaml:"cloudflare"`
	Postgres   yaml.Node      `yaml:"postgres"`
	Resend     yaml.Node      `yaml:"resend"`
	Stripe     yaml.Node      `yaml:"stripe"`
}

// EmbeddedConfig switches on sqlite, local sites, local DNS and the mailbox.
type EmbeddedConfig struct {
	Dir  string `yaml:"dir"`
	DNS  string `yaml:"dns"`  // address of the embedded DNS server
	Fail string `yaml:"fail"` // step that fails once, to try the recovery
}

// NetworkConfig is what closed networks need.
type NetworkConfig struct {
	CAFile       string   `yaml:"caFile"`
	AllowPrivate []string `yaml:"allowPrivate"` // prefixes that probes may reach
}

// sealed is a configuration value that can't print itself.
type sealed struct{ state.Secret }

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *sealed) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a secret is one text", n.Line)
	}
	s.Secret = state.NewSecret(n.Value)
	return nil
}

func defaultConfig() Config {
	return Config{
		Repository: RepositoryConfig{Branch: "main", Path: "clients", Poll: "@every 30s"},
		State:      StateConfig{Path: "/var/lib/reconciler/state.db", Backup: BackupConfig{Every: "6h", Keep: 14}},
		Listen:     "127.0.0.1:8080",
		Guard:      GuardConfig{MaxDeletes: 3, MaxDeletePercent: 10, MaxChanged: 25, MaxCreates: 10, Removals: "any", RemoveAfter: "0s"},
		Schedules:  SchedulesConfig{Drift: "@every 1h", Health: "@every 5m", Purge: "@daily"},
		Workers:    16,
	}
}

// loadConfig reads a file, then the environment over it, then checks all of it.
func loadConfig(path string, env func(string) string) (Config, error) {
	c := defaultConfig()
	f, err := os.Open(path)
	if err != nil {
		return c, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return c, fmt.Errorf("read the configuration: %w", err)
	}
	if len(data) > maxConfig {
		return c, fmt.Errorf("read the configuration: %s is larger than 1 MiB", path)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	if err := fromEnv(reflect.ValueOf(&c).Elem(), "RECONCILER", env); err != nil {
		return c, err
	}
	if v := env("PLATFORM_BASE_URL"); v != "" && c.Platform.BaseDomain == "" {
		c.Platform.BaseDomain = hostOf(v)
	}
	if v := env("DEFAULT_DEPLOYMENT_PROVIDER"); v != "" && c.Platform.Defaults.Deployment == "" {
		c.Platform.Defaults.Deployment = v
	}
	c.relativeTo(filepath.Dir(path))
	return c, c.check()
}

func hostOf(v string) string {
	if u, err := url.Parse(v); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return v
}

// relativeTo makes file names in the configuration relative to its folder.
func (c *Config) relativeTo(dir string) {
	for _, p := range []*string{&c.State.Path, &c.State.KeyFile, &c.State.Backup.Dir, &c.Providers.Embedded.Dir, &c.Repository.TokenFile, &c.Repository.SSHKeyFile, &c.Repository.KnownHosts, &c.Network.CAFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if c.State.KeyFile == "" && c.State.Key.Empty() {
		c.State.KeyFile = filepath.Join(filepath.Dir(c.State.Path), "key")
	}
}

// fromEnv sets every text, number and secret that the environment names.
func fromEnv(v reflect.Value, name string, env func(string) string) error {
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		key := name + "_" + upper(strings.Split(t.Tag.Get("yaml"), ",")[0])
		switch x := f.Addr().Interface().(type) {
		case *sealed:
			if s := env(key); s != "" {
				x.Secret = state.NewSecret(s)
			}
			continue
		case *yaml.Node:
			continue
		case *[]string:
			if s := env(key); s != "" {
				*x = strings.Split(s, ",")
			}
			continue
		}
		switch f.Kind() {
		case reflect.Struct:
			if err := fromEnv(f, key, env); err != nil {
				return err
			}
		case reflect.String:
			if s := env(key); s != "" {
				f.SetString(s)
			}
		case reflect.Int:
			if s := env(key); s != "" {
				n, err := strconv.Atoi(s)
				if err != nil {
					return fmt.Errorf("read the configuration: %s is not a number", key)
				}
				f.SetInt(int64(n))
			}
		}
	}
	return nil
}

// upper turns keyFile into KEY_FILE, publicURL into PUBLIC_URL.
func upper(s string) string {
	var b strings.Builder
	r := []rune(s)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && unicode.IsLower(r[i-1]) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(c))
	}
	return b.String()
}

// check lists everything that is wrong at once.
func (c *Config) check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Repository.URL == "" {
		bad("repository.url is missing: where are the manifests?")
	}
	for name, spec := range map[string]string{"schedules.health": c.Schedules.Health, "schedules.purge": c.Schedules.Purge, "schedules.drift": c.Schedules.Drift, "repository.poll": c.Repository.Poll} {
		if err := daemon.ParseSpec(spec); err != nil {
			bad("%s: %w", name, err)
		}
	}
	if _, err := c.pollEvery(); err != nil {
		bad("%w", err)
	}
	if _, err := manifest.ParseDuration(c.Guard.RemoveAfter); err != nil {
		bad("guard.removeAfter: %w", err)
	}
	if r := c.Guard.Removals; r != "any" && r != "reviewed" {
		bad("guard.removals is %q: it is any or reviewed", r)
	}
	if _, err := c.allowed(); err != nil {
		bad("network.allowPrivate: %w", err)
	}
	for name, n := range map[string]yaml.Node{"ploi": c.Providers.Ploi, "vercel": c.Providers.Vercel, "railway": c.Providers.Railway, "cloudflare": c.Providers.Cloudflare,
		"postgres": c.Providers.Postgres, "resend": c.Providers.Resend, "stripe": c.Providers.Stripe} {
		if n.Kind != 0 {
			bad("providers.%s: this version has no provider %s yet; the embedded ones are sqlite, local and external", name, name)
		}
	}
	if c.Workers < 1 {
		bad("workers is %d: at least 1", c.Workers)
	}
	return sortedJoin(errs)
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

func sortedJoin(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	texts := make([]string, len(errs))
	for i, e := range errs {
		texts[i] = e.Error()
	}
	for i := range texts { // few: insertion sort
		for j := i; j > 0 && texts[j] < texts[j-1]; j-- {
			texts[j], texts[j-1] = texts[j-1], texts[j]
		}
	}
	return usageError{"the configuration is wrong:\n  " + strings.Join(texts, "\n  ")}
}
