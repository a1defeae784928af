package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// remoteVariable makes this binary the program, with the providers of another process: its
// value is their socket. Only the test binary's TestMain reads it.
const remoteVariable = "RECONCILER_TEST_REMOTE"

// What the program tells its test, a line each, at the file descriptor below.
const (
	toldAt      = 3
	saidWired   = "wired"     // everything is open; how many intents are
	saidSettled = "recovered" // every intent that was open is settled, or shows what it waits for
	saidUnread  = "unread"    // the state can't be read
	saidIdle    = "idle"      // a poll went well, and nothing is due
)

// remoteMain is the program's process: Main, but for where the providers are, and with a
// clock whose waits are short.
func remoteMain(socket string, args []string) int {
	if err := limitFiles(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	clock := &quickClock{}
	r := dialProviders(socket, clock)
	ahead, err := r.now(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	clock.ahead.Store(int64(ahead))
	told := &teller{w: os.NewFile(toldAt, "told")}
	vendors := os.Getenv(vendorsVariable)
	wait := func(ctx context.Context, d time.Duration) error { // the host's clock keeps up
		if err := clock.Sleep(ctx, d); err != nil || vendors == "" {
			return err
		}
		_, err := r.now(ctx)
		return err
	}
	env := os.Getenv
	if vendors != "" {
		env, clock.haste = vendorEnv(env, vendors), 100 // they work in the background, and are waited for
	}
	var sites *program
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: env, now: clock.Now, sleep: wait,
		providers: func(ctx context.Context, c Config) ([]provider.Provider, error) {
			all, err := r.providers(ctx)
			if err != nil || vendors == "" {
				return all, err
			}
			more, at, err := vendorsOf(c, r, vendors, clock, wait)
			sites = at
			return append(all, more...), err
		},
		wired: func(p *program) {
			photograph(p, os.Getenv(photoVariable))
			watch(p, r, told)
			if sites != nil {
				sites.store, p.engine.Mail, p.engine.ResolveRef = p.store, sites.mailer, resolved
			}
		}}
	return a.run(context.Background(), args)
}

// now is how much the host's clock is ahead.
func (r *remote) now(ctx context.Context) (time.Duration, error) {
	var n int64
	err := r.ask(ctx, "/clock", nil, &n)
	return time.Duration(n), err
}

// pass lets time pass at the host.
func (r *remote) pass(ctx context.Context, d time.Duration) error {
	return r.ask(ctx, "/clock?add="+d.String(), nil, new(int64))
}

// serves is what answers at a host name.
func (r *remote) serves(ctx context.Context, host string) (string, error) {
	var text string
	err := r.ask(ctx, "/serves?host="+url.QueryEscape(host), nil, &text)
	return text, err
}

// teller writes lines to the test.
type teller struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *teller) say(a ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintln(t.w, a...) // without a test nobody listens
}

// watch looks at a program that is wired and has not begun: probes ask the host, and the
// test is told of what was open and when it was settled.
func watch(p *program, r *remote, told *teller) {
	p.engine.Mail = "mailbox"
	p.engine.Check = func(ctx context.Context, base string, _ manifest.Health) error {
		u, err := url.Parse(base)
		if err != nil {
			return err
		}
		if filepath.Ext(u.Hostname()) != ".localhost" {
			return nil // the vendor's own address of a site
		}
		_, err = r.serves(ctx, u.Hostname())
		return err
	}
	open, err := intents(p)
	if err != nil {
		told.say(saidUnread, err) // the program comes to that itself
		return
	}
	told.say(saidWired, len(open))
	if len(open) == 0 {
		told.say(saidSettled, "settled")
	} else {
		go recovers(p, open, told)
	}
	p.daemon.OnPoll = func(err error) {
		if err != nil {
			return
		}
		go func() {
			if p.daemon.Queue().Idle(context.Background()) == nil {
				told.say(saidIdle)
			}
		}()
	}
}

// intents are those that are open, by what they are about.
func intents(p *program) (map[string]journal.Intent, error) {
	out := map[string]journal.Intent{}
	err := p.store.View(func(tx store.Tx) error {
		clients, err := store.Clients(tx)
		if err != nil {
			return err
		}
		for _, c := range clients {
			open, err := store.Intents(tx, c.ID)
			if err != nil {
				return err
			}
			for _, i := range open {
				out[i.Key] = i
			}
		}
		return nil
	})
	return out, err
}

// recovers waits until every intent that was open at the start is settled, or shows what
// it waits for and until when.
func recovers(p *program, open map[string]journal.Intent, told *teller) {
	how := "settled"
	for ; ; time.Sleep(time.Millisecond) {
		now, err := intents(p)
		if err != nil {
			return // the program ends
		}
		left, shown := 0, 0
		for key, was := range open {
			i, still := now[key]
			if !still || !i.At.Equal(was.At) {
				continue
			}
			left++
			if showsWhy(p, i) {
				shown++
			}
		}
		if left == shown {
			if left > 0 {
				how = "shown"
			}
			told.say(saidSettled, how)
			return
		}
	}
}

// showsWhy says that `why` shows what an open intent waits for, and until when: a look, another
// try, or a person, as that of a client in quarantine.
func showsWhy(p *program, i journal.Intent) bool {
	d, err := p.engine.Detail(string(i.Ref.Client))
	if err != nil {
		return false
	}
	if i.LookAt.After(p.now()) && !d.LookAt.IsZero() {
		return true
	}
	return d.Because != "" && (d.RetryAt.After(p.now()) || d.Status == string(state.StatusHeld) || strings.Contains(d.Because, "in quarantine since"))
}
