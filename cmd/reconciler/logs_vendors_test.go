package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	vercel "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// follow runs `logs -f` of a client beside the test.
func (w *world) follow(client string) (out *buffer, ended <-chan int) {
	out, end := &buffer{}, make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		end <- w.app(out, out).run(ctx, []string{"logs", "-f", client, "--config", filepath.Join(w.dir, defaultConfigFile)})
	}()
	return out, end
}

// looks lets the build of a deployment be looked at once for each call of next, and as often
// as anybody likes after free.
func (w *world) looks() (next, free func()) {
	turn, open := make(chan struct{}), make(chan struct{})
	w.calls.slow(func(c call) bool {
		if c.Kind == state.KindDeployment && (strings.HasPrefix(c.Name, "dpl_") || strings.Contains(c.Name, "release/")) {
			select {
			case <-turn:
			case <-open:
			}
		}
		return false
	})
	return func() { turn <- struct{}{} }, func() { close(open) }
}

// wantFollowed looks at a log that is followed to its end: the first lines are there while the
// build runs and the last are not, every line comes once and is one, and no secret is in it.
func (w *world) wantFollowed(out *buffer, ended <-chan int, first, last string, secret *atomic.Value, next, free func()) {
	w.t.Helper()
	next()
	w.until("the first lines while the build runs: "+first, func() bool { return strings.Contains(out.String(), first) })
	if text := out.String(); strings.Contains(text, last) || len(ended) > 0 {
		w.t.Errorf("it is over already:\n%s", text)
	}
	free()
	select {
	case code := <-ended:
		text := out.String()
		hidden, _ := secret.Load().(string)
		if code != 0 || strings.Count(text, last) != 1 || strings.Count(text, first) != 1 {
			w.t.Errorf("it ends with %d\n%s", code, text)
		}
		if hidden == "" || strings.Contains(text, hidden) || strings.Contains(text, hidden[:10]) || strings.ContainsAny(text, "\x1b\x07") {
			w.t.Errorf("it tells %q or moves a cursor\n%q", hidden, text)
		}
		for line := range strings.Lines(text) {
			if len([]rune(line)) > 500 {
				w.t.Errorf("a line of %d characters", len([]rune(line)))
			}
		}
	case <-time.After(patience):
		w.t.Fatal("it does not end")
	}
}

// logPadding is what stands in a line before a secret, so that the line is cut in it.
const logPadding = 380

// A build at Vercel is followed while it runs. What it prints of the environment is taken out
// before a long line is cut.
func TestLogsFollowABuildAtVercel(t *testing.T) {
	var hidden atomic.Value
	w := newVercelWorld(t, func(o *vercel.Options) {
		o.BuildPolls, o.BuildTime = 4, 0
		o.Log = func(d vercel.Served) []string {
			secret := d.Env["PAYLOAD_SECRET"]
			hidden.Store(secret)
			return []string{"$ pnpm build", "PAYLOAD_SECRET=" + secret, strings.Repeat("x", logPadding) + " " + secret + " and on", "\x1b[2J\x1b]0;title\x07forged", strings.Repeat("long ", 5000)}
		}
	})
	w.custom = func(a *app) {
		a.wired = func(p *program) {
			p.engine.Check = func(context.Context, string, manifest.Health) error { return nil }
		}
	}
	next, free := w.looks()
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: vercel}", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	w.start()
	w.until("a deployment has begun", func() bool { return rowOf(w.status(), "demoshop").Deployment != "" })
	out, ended := w.follow("demoshop")
	next()
	w.until("the build has begun", func() bool { return strings.Contains(out.String(), "Running build") })
	for _, name := range w.sim.Names() { // nobody looks meanwhile
		if !w.sim.Say(name, "said between looks") {
			t.Error("nothing is built")
		}
	}
	w.until("a line between two looks", func() bool { return strings.Contains(out.String(), "said between looks") })
	w.wantFollowed(out, ended, "Installing dependencies...", "Deployment completed", &hidden, next, free)
	if strings.Count(out.String(), "said between looks") != 1 {
		t.Errorf("it is told again:\n%s", out)
	}
	if !strings.Contains(out.String(), "PAYLOAD_SECRET="+state.Redacted) || !strings.Contains(out.String(), "forged") {
		t.Errorf("lines are missing:\n%s", out)
	}
}

// A build at Ploi is followed while it runs: its live log, then the whole one.
func TestLogsFollowABuildAtPloi(t *testing.T) {
	var hidden atomic.Value
	a := newAgency(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: ploi, server: web-1}", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")}, simulated.Doubts{LateLog: true}, func(o *simulated.Options) {
		o.BuildTime = time.Minute
		o.Build = func(_, _, env string) (log []string, fails bool) {
			for n := range 600 { // more than are shown of a log
				log = append(log, fmt.Sprintf("line %03d.", n))
			}
			for line := range strings.Lines(env) {
				if _, text, ok := strings.Cut(line, "PAYLOAD_SECRET="); ok {
					text = strings.Trim(strings.TrimSpace(text), `"'`)
					hidden.Store(text)
					log = append(log, "the secret is "+text)
				}
			}
			return append(log, "all done"), false
		}
	})
	a.custom = func(x *app) {
		x.providers = a.open
		x.wired = func(p *program) {
			p.engine.Check = func(context.Context, string, manifest.Health) error { return nil }
			p.engine.ResolveRef = func(context.Context, string, string) (string, error) { return strings.Repeat("1", 40), nil }
		}
	}
	next, free := a.looks()
	a.start()
	a.until("a deployment has begun", func() bool { return rowOf(a.status(), "demoshop").Deployment != "" })
	out, ended := a.follow("demoshop")
	a.wantFollowed(out, ended, "reconciler: release ", "all done", &hidden, next, free)
	if !strings.Contains(out.String(), "the secret is "+state.Redacted) {
		t.Errorf("a line is missing:\n%s", out)
	}
}
