package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// poisonVariable says how the process dies when a client whose id begins with "sick" gets
// its environment: "exit", "kill" or "overflow". "look ID" is SIGKILL when that object is read,
// "list NAME" when that provider lists, "probe" when the client's site is probed.
const poisonVariable = "RECONCILER_TEST_POISON"

// poisonOf wraps providers so that they end the process; nil for "".
func poisonOf(how string) func(provider.Provider) provider.Provider {
	if how == "" {
		return nil
	}
	return func(p provider.Provider) provider.Provider { return poisonous{p, how} }
}

type poisonous struct {
	provider.Provider
	how string
}

func (p poisonous) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	if w.Ref.Kind == state.KindEnvironment && strings.HasPrefix(string(w.Ref.Client), "sick") {
		switch p.how {
		case "exit":
			os.Exit(7)
		case "kill":
			killed()
		case "overflow":
			debug.SetMaxStack(64 << 10)
			overflowed = deeper(0)
		}
	}
	return p.Provider.Create(ctx, w)
}

func (p poisonous) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if p.how == "look "+q.ID {
		killed()
	}
	return p.Provider.Observe(ctx, q)
}

func (p poisonous) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if p.how == "list "+p.Name() {
		killed()
	}
	return p.Provider.Owned(ctx, installation)
}

// poisonProbes ends the process when the client's site is probed.
func poisonProbes(how string) func(*program) {
	if how != "probe" {
		return nil
	}
	return func(p *program) {
		was := p.engine.Check
		p.engine.Check = func(ctx context.Context, url string, h manifest.Health) error {
			if strings.Contains(url, "//sick.") {
				killed()
			}
			return was(ctx, url, h)
		}
	}
}

// killed is the process's end.
func killed() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// overflowed is where what never comes back would go.
var overflowed int

// deeper is a fatal error that nothing recovers.
func deeper(n int) int {
	if n < 0 {
		return 0
	}
	return deeper(n+1) + n
}

// process is a daemon in a process of its own.
type process struct {
	cmd    *exec.Cmd
	out    *buffer
	errOut *buffer
	ended  chan struct{}
}

// daemonProcess starts a daemon as init systems do; poison is how it dies.
func (w *world) daemonProcess(poison string) *process {
	w.t.Helper()
	p := &process{exec.Command("reconciler", "run", "--config", filepath.Join(w.dir, defaultConfigFile)), &buffer{}, &buffer{}, make(chan struct{})}
	for k, v := range w.env {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.errOut
	p.cmd.Env = append(append(os.Environ(), p.cmd.Env...), aheadOf+"="+time.Duration(w.clock.ahead.Load()).String(), poisonVariable+"="+poison)
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is what the test is about
		w.hear("stdout of run", p.out.String())
		w.hear("stderr of run", p.errOut.String()) // a crash dump, too
	}()
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// asked is what the daemon's process says of all clients; false: it is not up.
func (w *world) asked() (v reconcile.Overview, ok bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := daemon.Call(ctx, filepath.Join(w.dir, "state.db.sock"), daemon.Ask{Op: "overview"}, &v)
	return v, err == nil
}

// C20: a client whose pass ends the process, under an init system that starts it again:
// the others become active, the one is quarantined and shown after three tries, nothing
// dies any more, and retry heals it once the cause is gone.
func TestC20CrashLoop(t *testing.T) {
	for _, how := range []string{"exit", "kill", "overflow"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"clients/sick.yaml": manifestOf("sick")}
			var others []string
			for i := range 4 {
				name := fmt.Sprintf("well%d", i)
				others = append(others, name)
				files["clients/"+name+".yaml"] = manifestOf(name)
			}
			w := newWorld(t, files)
			starts, dumps := 0, 0
			limit := time.Now().Add(patience)
			var p *process
			defer func() {
				if p != nil {
					p.kill()
				}
			}()
			for settled := false; !settled; {
				if time.Now().After(limit) {
					t.Fatalf("it does not come to rest in %d starts", starts)
				}
				starts++
				p = w.daemonProcess(how)
				for alive := true; alive && !settled && time.Now().Before(limit); {
					select {
					case <-p.ended:
						if said := p.errOut.String(); strings.Contains(said, "stack overflow") && strings.Contains(said, "goroutine ") {
							dumps++
						}
						alive, p = false, nil
					case <-time.After(50 * time.Millisecond):
						v, ok := w.asked()
						settled = ok && rowOf(v, "sick").Status == string(state.StatusFailed)
						for _, name := range others {
							settled = settled && rowOf(v, name).Status == string(state.StatusActive)
						}
					}
				}
			}
			if starts < 4 || starts > 5 {
				t.Errorf("%d starts: three tries end the process, the next start goes on", starts)
			}
			if how == "overflow" && dumps < 3 {
				t.Errorf("%d crash dumps were there to look through", dumps)
			}
			v, _ := w.asked()
			r := rowOf(v, "sick")
			if !strings.Contains(r.Because, "in quarantine since") || !strings.Contains(r.Because, "died while it was at work on it, 3 times in a row") || !strings.Contains(r.Next, "reconciler retry sick") {
				t.Errorf("status says %q, next %q", r.Because, r.Next)
			}
			if !strings.HasPrefix(v.Verdict, "failure") {
				t.Errorf("the verdict is %q", v.Verdict)
			}
			if out := w.must(0, "why", "sick").out; !strings.Contains(out, "in quarantine since") || !strings.Contains(out, "reconciler retry sick") {
				t.Errorf("why says:\n%s", out)
			}
			if out := w.must(0, "status").out; !strings.Contains(out, "quarantine") {
				t.Errorf("status says:\n%s", out)
			}
			p.kill()
			// Another start does not touch it; it serves the page with it.
			w.start()
			if code, page := w.get("localhost", "/clients/sick"); code != 200 || !strings.Contains(page, "in quarantine since") {
				t.Errorf("the page: %d, quarantine on it %v", code, strings.Contains(page, "in quarantine since"))
			}
			w.stop()
			w.must(0, "retry", "sick")
			w.active(append(others, "sick")...)
		})
	}
}

// C20: a client at whose scheduled look, or probe, the process dies: it is begun again each time, and
// after the third the one is quarantined and shown, the others are looked at and probed, nothing dies
// any more, and retry heals it once the cause is gone.
func TestC20CrashLoopBesidePasses(t *testing.T) {
	for _, work := range []string{"look", "probe"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			others := []string{"alike", "well"} // before it and after it in every order by name
			w := newWorld(t, map[string]string{"clients/sick.yaml": manifestOf("sick"), "clients/alike.yaml": manifestOf("alike"), "clients/well.yaml": manifestOf("well")})
			w.active(append(others, "sick")...)
			path := filepath.Join(w.dir, defaultConfigFile)
			how, died := work, "it probed its site"
			if work == "look" {
				w.start()
				w.byHand("sick.localhost", "192.0.2.99") // what a list shows as another is read by itself
				how, died = "look "+w.dnsRecord("sick.localhost").ID, "it looked at it"
				w.stop()
			}
			writeAll(t, path, strings.Replace(readAll(t, path), `health: "@every 1h"`, `health: "@every 1s"`, 1))
			w.everySecond()
			starts := 0
			limit, begun := time.Now().Add(patience), w.now()
			var p *process
			defer func() {
				if p != nil {
					p.kill()
				}
			}()
			for settled := false; !settled; {
				starts++
				p = w.daemonProcess(how)
				for alive := true; alive && !settled; {
					if time.Now().After(limit) {
						v, _ := w.asked()
						t.Fatalf("it does not come to rest in %d starts: %+v", starts, v.Clients)
					}
					select {
					case <-p.ended:
						alive, p = false, nil
					case <-time.After(50 * time.Millisecond):
						v, ok := w.asked()
						settled = ok && rowOf(v, "sick").Status == string(state.StatusFailed)
						for _, name := range others {
							r := rowOf(v, name)
							at := r.LastHealthCheck
							if work == "look" {
								at = r.LastLook
							}
							settled = settled && r.Status == string(state.StatusActive) && at.After(begun)
						}
					}
				}
			}
			if starts != 4 {
				t.Errorf("%d starts: three tries end the process, the next start goes on", starts)
			}
			v, _ := w.asked()
			r := rowOf(v, "sick")
			if !strings.Contains(r.Because, "in quarantine since") || !strings.Contains(r.Because, "this program died while "+died+", 3 times in a row") || !strings.Contains(r.Next, "reconciler retry sick") {
				t.Errorf("status says %q, next %q", r.Because, r.Next)
			}
			if !strings.HasPrefix(v.Verdict, "success") {
				t.Errorf("the verdict of the commit is %q", v.Verdict)
			}
			p.kill()
			w.must(0, "retry", "sick")
			w.active(append(others, "sick")...)
		})
	}
}
