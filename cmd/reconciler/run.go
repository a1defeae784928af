package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
)

func (a *app) runCommand() *cobra.Command {
	c := &cobra.Command{Use: "run", Short: "The daemon: polls the repository and brings every client to its manifest", Args: noArgs,
		Long: `The daemon: polls the repository, brings every client to its manifest, probes the sites,
looks for drift, serves the page to this machine. It stops in order on Ctrl-C or SIGTERM:
what is under way ends at the border of a step, and the next start goes on there.

Every field of reconciler.yaml can come from the environment, RECONCILER_REPOSITORY_URL for
repository.url, and every secret from a file, tokenFile for token.`,
		Example: "  reconciler run --config /etc/reconciler/reconciler.yaml"}
	logFormat := c.Flags().String("log", "", "log `format`: text or json (default text on a terminal, json else)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, err := a.load()
		if err != nil {
			return err
		}
		log, err := a.logger(*logFormat)
		if err != nil {
			return err
		}
		p, err := a.build(c.Context(), conf, log)
		if err != nil {
			return err
		}
		defer p.close()
		return p.serve(c.Context(), func() error { a.isReady(p); return nil })
	}
	return c
}

func (a *app) isReady(p *program) {
	if a.ready != nil {
		a.ready(p)
	}
}

// logger writes to stderr: colours on a terminal, JSON lines else.
func (a *app) logger(format string) (*slog.Logger, error) {
	if format == "" {
		format = "json"
		if terminal(a.err) {
			format = "text"
		}
	}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, nil)), nil
	case "text":
		return slog.New(tint.NewTextHandler(a.err, &tint.Options{TimeFormat: time.TimeOnly, NoColor: a.env("NO_COLOR") != ""})), nil
	}
	return nil, usageError{fmt.Sprintf("--log %s: it is text or json", format)}
}

// warnings is the log beside a progress, which tells what happens: only what it doesn't.
func (a *app) warnings(w io.Writer) *slog.Logger {
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: slog.LevelWarn, TimeFormat: time.TimeOnly, NoColor: !terminal(a.err) || a.env("NO_COLOR") != ""}))
}

// before is what comes before the first pass: secrets are taken in, and the log says what is to
// be known of the installation. On an older state that was put back nothing happens for a while.
func (p *program) before(ctx context.Context) {
	if err := p.refreshSecrets(ctx); err != nil {
		p.log.Error("secrets can't be taken in; it is tried again", "error", err)
	}
	v, err := p.engine.Overview()
	if err != nil {
		return // the poll says it
	}
	for _, n := range v.Notices {
		p.log.Warn(n)
	}
}

// serve runs the daemon with its servers until ctx ends. ready is called when
// everything listens.
func (p *program) serve(ctx context.Context, ready func() error) error {
	listener, err := p.listener(ctx, p.config.Listen)
	if err != nil {
		return err
	}
	p.address.Store(listener.Addr().String())
	pages, err := p.handler()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	socket, err := daemon.Listen(socketOf(p.config))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	serve := func(l net.Listener, h http.Handler, base context.Context) *http.Server {
		s := &http.Server{Handler: h, BaseContext: func(net.Listener) context.Context { return base }, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				stop(fmt.Errorf("serve %s: %w", l.Addr(), err))
			}
		}()
		return s
	}
	// Who waits at the socket is told of a stop at once; sites answer until passes ended.
	servers := []*http.Server{serve(socket, p.control(true), ctx), serve(listener, pages, context.WithoutCancel(ctx))}
	if p.dns != nil {
		addr := p.config.Providers.Embedded.DNS
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		if err := p.answerDNS(addr); err != nil {
			stop(err)
		}
	}
	if ready != nil && ctx.Err() == nil {
		if err := ready(); err != nil {
			stop(err)
		}
	}
	wg.Go(func() { p.review(ctx) })
	wg.Go(func() { p.payments.run(ctx) })
	err = p.daemon.Run(ctx)
	stop(nil)
	for _, s := range servers {
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		if s.Shutdown(grace) != nil {
			_ = s.Close() // streams that people have open are cut
		}
		cancel()
	}
	wg.Wait()
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func (a *app) applyCommand() *cobra.Command {
	c := &cobra.Command{Use: "apply [CLIENT...]", Short: "One pass of the branch's head, then exit", ValidArgsFunction: a.clients(many),
		Long: `One pass: fetch the branch's head, bring every client that is due to its manifest, wait
for the end, tell what there is. Where a daemon runs, it does the work. CLIENT limits what
is told, and what the exit code speaks of; every client that is due passes.

Ends with 0, with 1 when something failed or is invalid, with 3 when something waits for a
person.`,
		Example: "  reconciler apply\n  reconciler apply demoshop -o json"}
	o := output(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		conf, err := a.load()
		if err != nil {
			return err
		}
		var v reconcile.Overview
		slow := time.AfterFunc(time.Second, func() {
			if terminal(a.err) {
				fmt.Fprintln(a.err, "The running daemon is at it; `reconciler logs -f CLIENT` in another terminal shows how it goes.")
			}
		})
		err = daemon.Call(c.Context(), socketOf(conf), daemon.Ask{Op: "apply", Names: args}, &v)
		slow.Stop()
		if errors.Is(err, daemon.ErrNoDaemon) {
			v, err = a.applyHere(c.Context(), conf)
		} else {
			err = notOurs(err)
		}
		unfinished := err
		if err != nil && !errors.Is(err, daemon.ErrUnfinished) {
			return err
		}
		if v, err = narrow(v, args); err != nil {
			return err
		}
		if json {
			err = a.json(v)
		} else {
			a.printOverview(v, len(args) > 0)
		}
		if err = errors.Join(err, unfinished); err != nil {
			return err
		}
		return codeOf(v)
	}
	return c
}

// applyHere is one pass without a daemon. With daemon.ErrUnfinished it says what there is
// all the same.
func (a *app) applyHere(ctx context.Context, conf Config) (reconcile.Overview, error) {
	out := a.progress()
	defer out.close()
	p, err := a.build(ctx, conf, a.warnings(out))
	if err != nil {
		return reconcile.Overview{}, err
	}
	defer p.close()
	p.show(out)
	if p.front != nil { // health checks need the sites to answer
		listener, err := p.listener(ctx, conf.Listen)
		if err != nil {
			return reconcile.Overview{}, err
		}
		p.address.Store(listener.Addr().String())
		pages, err := p.handler()
		if err != nil {
			return reconcile.Overview{}, errors.Join(err, listener.Close())
		}
		s := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = s.Serve(listener) }()
		defer func() { _ = s.Close(); <-ended }()
	}
	unfinished := p.daemon.Once(ctx)
	if unfinished != nil && !errors.Is(unfinished, daemon.ErrUnfinished) {
		return reconcile.Overview{}, unfinished
	}
	if err := p.deliver(ctx); away(err) {
		p.log.Warn("GitHub is told later, by the next run", "error", err)
	} else if err != nil {
		return reconcile.Overview{}, errors.Join(unfinished, err)
	}
	v, err := p.engine.Overview()
	return v, errors.Join(unfinished, err)
}
