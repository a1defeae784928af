package main

import (
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/postgres"
	"github.com/compassdigital/reconciler/internal/state"
)

// checkPostgres says what is wrong with it.
func (c *Config) checkPostgres() []string {
	x := c.Providers.Postgres
	if x.DSN.Empty() {
		if slices.Contains(c.blocks, postgres.Name) || x.Host != "" || x.Dumps != "" || x.ConnectionLimit != 0 {
			return []string{"providers.postgres.dsn, or dsnFile, is missing: postgres://USER:PASSWORD@HOST:5432/postgres of a role with CREATEDB and CREATEROLE"}
		}
		return nil
	}
	any := state.NewSecret(strings.Repeat("0", 64)) // New calls nobody and derives nothing
	if _, err := postgres.New(postgres.Options{DSN: x.DSN.Secret, Host: x.Host, Key: any, ConnectionLimit: x.ConnectionLimit, Dumps: x.Dumps}); err != nil {
		return []string{"providers.postgres: " + err.Error()}
	}
	return nil
}

// openPostgres opens the server of databases where one is configured.
func (p *program) openPostgres(c Config) ([]provider.Provider, error) {
	x := c.Providers.Postgres
	if x.DSN.Empty() {
		return nil, nil
	}
	q, err := postgres.New(postgres.Options{DSN: x.DSN.Secret, Host: x.Host, Key: p.keys.Derive("provider postgres"), ConnectionLimit: x.ConnectionLimit, Dumps: x.Dumps})
	if err != nil {
		return nil, err
	}
	return []provider.Provider{q}, nil
}
