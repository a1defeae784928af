package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/examples"
	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/web"
)

// demoRepository is the name of the demo's repository.
const demoRepository = "clients"

// What a demo's folder has: its repositories, and its state.
const (
	demoGit   = "git"
	demoState = "state.db"
)

func (a *app) demoCommand() *cobra.Command {
	c := &cobra.Command{Use: "demo", Short: "The whole thing on embedded parts, without an account; prints what to try", Args: noArgs,
		Long: `The whole thing on embedded parts, without an account and without a network: a Git
repository with example clients, the daemon, a database file per client, a web server
for the sites, a DNS server, a mailbox. It prints what to try.

With --providers simulated the clients are at Ploi, Vercel, Railway, Cloudflare, Resend and
Stripe, and their sites are Payload's, all simulated on this machine: their APIs over HTTP,
as late, as limited and, with --fault, as broken as the real ones. Nothing leaves the machine.

Everything is in a folder of its own, which is removed at the end; --keep or --data keep it.`,
		Example: "  reconciler demo\n  reconciler demo --data ./demo --fail deploy"}
	var o demoOptions
	c.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` of all HTTP, or the next free port")
	c.Flags().StringVar(&o.dns, "dns", "127.0.0.1:8053", "`address` of DNS, or the next free port")
	c.Flags().BoolVar(&o.keep, "keep", false, "keep the folder at the end")
	c.Flags().StringVar(&o.fail, "fail", "", "make a `step` fail once: database, project, dns, environment or deploy")
	c.Flags().StringVar(&o.providers, "providers", "", "`kind` of providers, embedded or simulated (default: as --data began, else embedded)")
	c.Flags().StringArrayVar(&o.faults, "fault", nil, "`fault` of a simulated vendor: cloudflare:503:30s, vercel:429:3, ploi:lose-answer")
	_ = c.RegisterFlagCompletionFunc("providers", fixed("embedded", "simulated")) // the flag is there
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if _, err := failOnce(nil, o.fail); err != nil {
			return err
		}
		if err := o.choose(a.data); err != nil {
			return err
		}
		o.dir, o.keep = a.data, o.keep || a.data != ""
		if o.dir == "" {
			if o.dir, err = os.MkdirTemp("", "reconciler-demo-"); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
		}
		if o.dir, err = filepath.Abs(o.dir); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if err := a.demo(c.Context(), o); err != nil {
			if !o.keep {
				err = errors.Join(err, os.RemoveAll(o.dir))
			}
			return err
		}
		if o.keep {
			fmt.Fprintf(a.out, "Stopped. Everything is in %s; to go on:\n  %s demo --data %s\n", o.dir, startedAs(a.env), quoted(o.dir))
			return nil
		}
		if err := os.RemoveAll(o.dir); err != nil {
			return fmt.Errorf("demo: remove its folder: %w", err)
		}
		fmt.Fprintf(a.out, "Stopped, and %s is removed: nothing is left.\n", o.dir)
		return nil
	}
	return c
}

// demoOptions are the demo's flags, and the folder that it lives in.
type demoOptions struct {
	dir, listen, dns, fail string
	providers              string // embedded | simulated
	faults                 []string
	keep                   bool
}

// demo runs in o.dir, which may hold an earlier demo.
func (a *app) demo(ctx context.Context, o demoOptions) error {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	busy := []string{}
	addresses := []*string{&o.listen, &o.dns}
	if o.simulated() {
		addresses = addresses[:1] // names are the simulated Cloudflare's
	}
	var claims []*claim // until they are listened at: what begins meanwhile must not take them
	for _, address := range addresses {
		free, err := claimAddress(*address)
		if err != nil {
			return err
		}
		defer free.Close()
		if _, port, _ := net.SplitHostPort(*address); free.address != *address && port != "0" {
			busy = append(busy, fmt.Sprintf("%s is in use already: it is %s here.", *address, free.address))
		}
		*address = free.address
		claims = append(claims, free)
	}
	git, err := gitserver.New(filepath.Join(o.dir, demoGit))
	if err != nil {
		return err
	}
	if o.simulated() {
		if err := a.openSimulations(o); err != nil {
			return err
		}
	}
	if _, err := git.Head(demoRepository); err != nil {
		files, err := exampleFiles()
		if err != nil {
			return err
		}
		if o.simulated() {
			files = simulatedExamples(files)
		}
		if _, err := git.Create(demoRepository, "main", files, "Begin with the example clients"); err != nil {
			return err
		}
	}
	out := &progress{out: a.out, stop: func() {}}
	if terminal(a.out) {
		out = a.progress()
	}
	defer out.close()
	p, err := a.buildDemo(ctx, o, out)
	if err != nil {
		return err
	}
	defer p.close()
	p.claims = claims
	p.gitServer = git
	git.OnPush = func(string, string, string) { p.daemon.Hint() }
	if err := p.openDemoForge(git, o); err != nil {
		return err
	}
	out.names = p.names
	s := newScreen(out, p)
	p.emit.Store(s.event)
	passed := p.daemon.OnPass
	p.daemon.OnPass = func() {
		s.look()
		if passed != nil {
			passed()
		}
	}
	git.Tell = func(push context.Context, _, branch, head string, say func(string)) {
		if branch != p.config.Repository.Branch {
			say("Open a pull request of " + branch + ", and see its plan there: " + p.forgeURL())
			return
		}
		p.tellPusher(ctx, push, s, head, say)
	}

	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	first := sync.OnceFunc(func() {
		wg.Go(func() { // the examples come up, then it is somebody's turn
			for p.daemon.Settle(ctx) != nil { // the log says why
				if sleep(ctx, time.Second) != nil {
					return
				}
			}
			s.tellSteps(true)
			var failed []string
			if v, err := p.engine.Overview(); err == nil {
				failed = names(v.Clients, state.StatusFailed)
			}
			_, _ = io.WriteString(out, a.tries(p, o, failed))
			a.isReady(p)
		})
	})
	reviews := p.daemon.OnPoll
	p.daemon.OnPoll = func(err error) {
		first()
		s.look()
		if reviews != nil {
			reviews(err)
		}
	}
	return p.serve(ctx, func() error {
		_, err := io.WriteString(out, a.welcome(p, o, busy))
		return err
	})
}

// buildDemo opens the demo's folder. Its configuration is written when it is ours: a
// second demo in the same folder must not change it.
func (a *app) buildDemo(ctx context.Context, o demoOptions, out *progress) (*program, error) {
	path := filepath.Join(o.dir, defaultConfigFile)
	fresh := filepath.Join(o.dir, "."+defaultConfigFile)
	conf, err := demoConfig(fresh, o, a.sims)
	if err != nil {
		return nil, err
	}
	words := a.err
	if out.live != nil {
		words = out
	}
	// The screen tells what happens; of the log only what it doesn't say.
	p, err := a.build(ctx, conf, a.warnings(words))
	if err != nil {
		return nil, errors.Join(err, os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return nil, errors.Join(fmt.Errorf("demo: %w", err), p.close())
	}
	return p, nil
}

// tellPusher tells what comes of a push while it comes, and how it ended.
func (p *program) tellPusher(ctx, push context.Context, s *screen, head string, say func(string)) {
	push, cancel := context.WithTimeout(push, time.Minute)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	lines := make(chan string, 1000) // a pusher who doesn't read loses lines, and holds nobody
	defer s.listen(func(line string) {
		select {
		case lines <- line:
		default:
		}
	})()
	s.tell("> " + short(head) + " is pushed")
	ended := make(chan error, 1)
	go func() { ended <- p.daemon.Settle(push) }()
	var err error
	for settled := false; !settled; {
		select {
		case line := <-lines:
			say(line)
		case err = <-ended:
			settled = true
		}
	}
	s.look()
	if v, failed := p.engine.Overview(); err == nil && failed == nil && v.Head == head {
		s.tell("= " + short(head) + ": " + v.Verdict)
	} else if err != nil {
		s.tell("… " + short(head) + " goes on; look at the dashboard")
	}
	for len(lines) > 0 {
		say(<-lines)
	}
}

// names are the clients with a status.
func names(rows []reconcile.Row, status state.Status) (out []string) {
	for _, r := range rows {
		if r.Status == string(status) {
			out = append(out, r.Name)
		}
	}
	return out
}

// exampleFiles are the files of the demo's repository.
func exampleFiles() (map[string]string, error) {
	files := map[string]string{"README.md": "# Clients\n\nOne file per client. Push to change the world; revert to change it back.\n"}
	err := fs.WalkDir(examples.Files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(examples.Files, p)
		files[p] = string(data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the examples: %w", err)
	}
	return files, nil
}

// demoConfig is written into the folder, so that every command works with --data DIR.
// The repository is named by its folder: the port may be another one the next time.
func demoConfig(path string, o demoOptions, sims *simulations) (Config, error) {
	defaults, providers := map[string]any{"deployment": "local", "database": "sqlite", "dns": "local"}, map[string]any{"embedded": map[string]any{"dir": ".", "dns": o.dns}}
	if sims != nil {
		defaults, providers = map[string]any{"deployment": "ploi", "database": "railway", "dns": "cloudflare"}, sims.providers(o.listen)
	}
	token, err := hexN(20)
	if err != nil {
		return Config{}, fmt.Errorf("demo: %w", err)
	}
	secret, err := hexN(20)
	if err != nil {
		return Config{}, fmt.Errorf("demo: %w", err)
	}
	text, err := yaml.Marshal(map[string]any{
		"repository": map[string]any{"url": filepath.Join(o.dir, demoGit, demoRepository+".git"), "branch": "main", "path": "clients", "poll": "@every 5s"},
		"state":      map[string]any{"path": demoState, "keyFile": "key"},
		"listen":     o.listen,
		"platform":   map[string]any{"baseDomain": "localhost", "defaults": defaults},
		"guard":      map[string]any{"maxCreates": 50},
		"github":     map[string]any{"owner": demoOwner, "repo": demoRepository, "apiURL": "http://" + o.listen + forgePath + "/api/v3/", "token": token, "webhookSecret": secret},
		"providers":  providers,
	})
	if err != nil {
		return Config{}, fmt.Errorf("demo: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return Config{}, fmt.Errorf("demo: %w", err)
	}
	c, err := loadConfig(path, func(string) string { return "" })
	c.Providers.Embedded.Fail = o.fail // this time only
	return c, err
}

// handler is everything on the one address. The pages have the host of publicURL for
// themselves; Git, which asks nobody who he is, answers only this machine.
func (p *program) handler() (http.Handler, error) {
	pages, err := p.pages()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	if p.webhooks != nil {
		mux.Handle(webhookPath, p.webhooks)
	}
	if p.payments != nil && p.payments.hook != nil {
		mux.Handle(stripePath, p.payments.hook)
	}
	if p.gitServer != nil {
		if p.forge != nil {
			mux.Handle(forgePath+"/", p.forge)
		}
		mux.Handle("/git/", web.FromHere(http.StripPrefix("/git", p.gitServer)))
	}
	if p.sims != nil {
		mux.Handle(simulatedPath+"/", p.sims.handler())
	}
	if p.front == nil {
		return mux, nil
	}
	sites := p.front.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.front.Owns(r) && !web.IsPublic(p.config.PublicURL, r.Host) {
			sites.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}
