package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/secret/sources"
)

// refreshTime is how long a look at all sources of secrets may take.
const refreshTime = 2 * time.Minute

// SecretsConfig says where secrets are beside the state.
type SecretsConfig struct {
	Sources []SecretSourceConfig `yaml:"sources"` // what an earlier one has counts
}

// SecretSourceConfig is one source: exactly one of the four, see package sources.
type SecretSourceConfig struct {
	Env      string `yaml:"env"` // what variables' names begin with
	Folder   string `yaml:"folder"`
	AgeFile  string `yaml:"ageFile"`
	SopsFile string `yaml:"sopsFile"`
	KeyFile  string `yaml:"keyFile"` // age identities, for ageFile; for sopsFile where its key is an age one
}

func (s SecretSourceConfig) spec() sources.Spec { return sources.Spec(s) }

func (c SecretsConfig) specs() (out []sources.Spec) {
	for _, s := range c.Sources {
		out = append(out, s.spec())
	}
	return out
}

// check says what is wrong.
func (c SecretsConfig) check() (out []string) {
	if len(c.Sources) > sources.MaxSources {
		out = append(out, fmt.Sprintf("secrets.sources: at most %d", sources.MaxSources))
	}
	var names []string
	for i, s := range c.specs() {
		if wrong := s.Check(); wrong != "" {
			out = append(out, fmt.Sprintf("secrets.sources[%d]: %s", i, wrong))
			continue
		}
		if slices.Contains(names, s.Name()) {
			out = append(out, fmt.Sprintf("secrets.sources[%d] is listed twice", i))
		}
		names = append(names, s.Name())
	}
	return out
}

// openSecretSources gives the engine what secrets are read from. Times of files are
// compared with the machine's clock, whatever clock we go by.
func (p *program) openSecretSources(c Config, environ func() []string) error {
	if len(c.Secrets.Sources) == 0 {
		return nil
	}
	if environ == nil {
		environ = os.Environ
	}
	set, err := sources.New(c.Secrets.specs(), sources.Options{Environ: environ, Now: time.Now})
	if err != nil {
		return err
	}
	p.engine.Sources = set
	return nil
}

// refreshSecrets takes in what the sources of secrets have, and says what is new to say.
func (p *program) refreshSecrets(ctx context.Context) error {
	if p.engine.Sources == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	before := p.engine.SecretNotes()
	r, err := p.engine.RefreshSecrets(ctx, reconcile.Refresh{By: "schedule"})
	for _, n := range r.Notes {
		if !slices.Contains(before, n) {
			p.log.Warn("secrets", "note", n)
		}
	}
	for _, s := range r.Set {
		p.log.Info("secret has a new version", "scope", s.Scope, "secret", s.Name, "version", s.Version, "fingerprint", s.Fingerprint)
	}
	p.daemon.Queue().Add(reconcile.CauseSecret, r.Clients...)
	return err
}
