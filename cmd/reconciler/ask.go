package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compassdigital/reconciler/internal/daemon"
)

// defaultConfigFile is read when neither --config nor --data is given.
const defaultConfigFile = "reconciler.yaml"

// configFile is the configuration that a command works with.
func (a *app) configFile() string {
	switch {
	case a.config != "":
		return a.config
	case a.data != "":
		return filepath.Join(a.data, defaultConfigFile)
	}
	return defaultConfigFile
}

func (a *app) load() (Config, error) {
	path := a.configFile()
	c, err := loadConfig(path, a.env)
	if errors.Is(err, os.ErrNotExist) {
		return c, usageError{fmt.Sprintf("there is no %s here; name one with --config FILE, or a demo's folder with --data DIR", path)}
	}
	return c, err
}

func socketOf(c Config) string { return c.State.Path + ".sock" }

// ask carries out a request: by the running daemon where there is one, else on the
// state itself. out gets the answer.
func (a *app) ask(ctx context.Context, q daemon.Ask, out any) (byDaemon bool, err error) {
	c, err := a.load()
	if err != nil {
		return false, err
	}
	q.By = who()
	err = daemon.Call(ctx, socketOf(c), q, out)
	if !errors.Is(err, daemon.ErrNoDaemon) {
		return true, err
	}
	p, err := a.build(ctx, c, nil)
	if err != nil {
		return false, err
	}
	defer p.close()
	if _, err := p.engine.Start(); err != nil {
		return false, err
	}
	v, err := p.control(false).Do(ctx, q)
	if err != nil {
		return false, err
	}
	if out == nil || v == nil {
		return false, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	return false, json.Unmarshal(data, out)
}

// later tells that what was asked for waits for the daemon.
func (a *app) later(byDaemon bool) {
	if !byDaemon {
		fmt.Fprintln(a.err, "No daemon is running: it takes effect with the next `reconciler run` or `reconciler apply`.")
	}
}
