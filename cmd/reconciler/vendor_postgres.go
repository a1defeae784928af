package main

import (
	"path/filepath"
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
	if _, err := postgres.New(c.postgresOptions(any)); err != nil {
		return []string{"providers.postgres: " + err.Error()}
	}
	return nil
}

// dumps is the folder that a database on the server is written to before it is erased: beside the
// state, where nobody named one; "": none is kept, since somebody said so. asked says that the
// folder was named: without a pg_dump nothing is erased then.
func (c *Config) dumps() (dir string, asked bool) {
	switch x := c.Providers.Postgres; {
	case x.Dumps == nowhere:
		return "", true
	case x.Dumps != "":
		return x.Dumps, true
	case x.DSN.Empty():
		return "", false
	}
	return filepath.Join(filepath.Dir(c.State.Path), "dumps"), false
}

func (c *Config) postgresOptions(key state.Secret) postgres.Options {
	x := c.Providers.Postgres
	dir, asked := c.dumps()
	return postgres.Options{DSN: x.DSN.Secret, Host: x.Host, Key: key, ConnectionLimit: x.ConnectionLimit, Dumps: dir, GoesWithout: !asked, Room: roomBelow}
}

// openPostgres opens the server of databases where one is configured.
func (p *program) openPostgres(c Config) ([]provider.Provider, error) {
	if c.Providers.Postgres.DSN.Empty() {
		return nil, nil
	}
	q, err := postgres.New(c.postgresOptions(p.keys.Derive("provider postgres")))
	if err != nil {
		return nil, err
	}
	return []provider.Provider{q}, nil
}
