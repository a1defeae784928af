package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/examples"
	"github.com/compassdigital/reconciler/internal/gitserver"
)

// demoRepository is the name of the demo's repository.
const demoRepository = "clients"

func (a *app) demoCommand() *cobra.Command {
	c := &cobra.Command{Use: "demo", Short: "The whole thing on embedded parts, without an account; prints what to try", Args: noArgs,
		Long: `The whole thing on embedded parts, without an account and without a network: a Git
repository with example clients, the daemon, a database file a client, a web server
for the sites, a DNS server, a mailbox. It prints what to try.

Everything is in a folder of its own, which is removed at the end; --keep or --data keep it.`,
		Example: "  reconciler demo\n  reconciler demo --data ./demo --fail deploy"}
	listen := c.Flags().String("listen", "127.0.0.1:8080", "`address` of everything that speaks HTTP")
	dns := c.Flags().String("dns", "127.0.0.1:8053", "`address` of the DNS server")
	keep := c.Flags().Bool("keep", false, "keep the folder at the end")
	fail := c.Flags().String("fail", "", "make a `step` fail once: database, project, dns, environment or deploy")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir := a.data
		if dir == "" {
			made, err := os.MkdirTemp("", "reconciler-demo-")
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			dir = made
			if !*keep {
				defer os.RemoveAll(made)
			}
		}
		return a.demo(c.Context(), dir, *listen, *dns, *fail)
	}
	return c
}

// demo runs in dir, which may hold an earlier demo.
func (a *app) demo(ctx context.Context, dir, listen, dns, fail string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if listen, err = freeAddress(listen); err != nil {
		return err
	}
	git, err := gitserver.New(filepath.Join(dir, "git"))
	if err != nil {
		return err
	}
	if _, err := git.Head(demoRepository); err != nil {
		files, err := exampleFiles()
		if err != nil {
			return err
		}
		if _, err := git.Create(demoRepository, "main", files, "Begin with the example clients"); err != nil {
			return err
		}
	}
	conf, err := demoConfig(dir, listen, dns, fail)
	if err != nil {
		return err
	}
	out := a.progress()
	defer out.close()
	p, err := a.build(ctx, conf, a.warnings(out))
	if err != nil {
		return err
	}
	defer p.close()
	p.gitServer = git
	p.show(out)
	git.OnPush = func(_, _, head string) {
		out.print("> push " + short(head))
		p.daemon.Hint()
	}
	return p.serve(ctx, func() error {
		a.welcome(p, dir)
		a.isReady(p)
		return nil
	})
}

// freeAddress returns the address itself when its port is free or 0 stands for any;
// for the default port in use it says how to name another.
func freeAddress(listen string) (string, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", usageError{fmt.Sprintf("%s can't be listened at (%v); name another address with --listen 127.0.0.1:PORT", listen, err)}
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// exampleFiles are the files of the demo's repository.
func exampleFiles() (map[string]string, error) {
	files := map[string]string{"README.md": "# Clients\n\nOne file a client. Push to change the world; revert to change it back.\n"}
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
func demoConfig(dir, listen, dns, fail string) (Config, error) {
	text, err := yaml.Marshal(map[string]any{
		"repository": map[string]any{"url": "http://" + listen + "/git/" + demoRepository + ".git", "branch": "main", "path": "clients", "poll": "@every 5s"},
		"state":      map[string]any{"path": "state.db", "keyFile": "key"},
		"listen":     listen,
		"platform":   map[string]any{"baseDomain": "localhost", "defaults": map[string]any{"deployment": "local", "database": "sqlite", "dns": "local"}},
		"guard":      map[string]any{"maxCreates": 50},
		"providers":  map[string]any{"embedded": map[string]any{"dir": ".", "dns": dns, "fail": fail}},
	})
	if err != nil {
		return Config{}, fmt.Errorf("demo: %w", err)
	}
	path := filepath.Join(dir, defaultConfigFile)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return Config{}, fmt.Errorf("demo: %w", err)
	}
	return loadConfig(path, func(string) string { return "" })
}

// welcome says what there is and what to try.
func (a *app) welcome(p *program, dir string) {
	base := "http://" + p.listensAt()
	_, port, _ := net.SplitHostPort(p.listensAt())
	dnsHost, dnsPort, _ := net.SplitHostPort(p.dns.Addr())
	fmt.Fprintf(a.out, `
reconciler demo: everything below runs on this machine, in %[1]s

  dashboard  %[2]s/
  Git        %[2]s/git/clients.git
  sites      http://demoshop.localhost:%[3]s/   (or %[2]s/sites/demoshop/)
  mail       %[2]s/mail/
  DNS        dig @%[4]s -p %[5]s demoshop.localhost

What to try, in another terminal:

  git clone %[2]s/git/clients.git && cd clients
  sed 's/demoshop/secondshop/g; s/Demo Shop/Second Shop/' clients/demoshop.yaml > clients/secondshop.yaml
  git add -A && git commit -m "Add secondshop" && git push        # provisions it
  git revert --no-edit HEAD && git push                           # takes it back; its database is kept
  git revert --no-edit HEAD && git push                           # and here it is again, same rows

  reconciler status --data %[1]s          (also: why, plan, history, logs, retained)

Press Ctrl-C to stop.

`, dir, base, port, dnsHost, dnsPort)
}

// handler is everything on the one address.
func (p *program) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	if p.gitServer != nil {
		mux.Handle("/git/", http.StripPrefix("/git", p.gitServer))
	}
	if err := p.pages(mux); err != nil {
		return nil, err
	}
	if p.sites == nil {
		return mux, nil
	}
	sites := p.sites.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.sites.Owns(r) {
			sites.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}
