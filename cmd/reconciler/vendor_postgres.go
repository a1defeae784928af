package main

import (
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/postgres"
)

// openPostgres opens the server of databases where one is configured.
func (p *program) openPostgres(c Config) ([]provider.Provider, error) {
	x := c.Providers.Postgres
	if x.DSN.Empty() {
		return nil, nil
	}
	q, err := postgres.New(postgres.Options{DSN: x.DSN.Secret, Host: x.Host, Key: p.keys.Derive("provider postgres"), ConnectionLimit: x.ConnectionLimit})
	if err != nil {
		return nil, err
	}
	return []provider.Provider{q}, nil
}
