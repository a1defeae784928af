package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// `logs -f` follows a deployment that is under way to its end.
func TestLogsFollow(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	built := make(chan struct{})
	w.calls.slow(func(c call) bool {
		if c.Kind == state.KindDeployment {
			<-built
		}
		return false
	})
	w.start()
	w.until("a deployment has begun", func() bool {
		r := rowOf(w.status(), "demoshop")
		return r.Deployment != ""
	})
	if r := w.cli("logs", "demoshop"); r.code != 0 {
		t.Errorf("logs of a deployment that is under way: %d %s%s", r.code, r.out, r.err)
	}
	out, errOut := &buffer{}, &buffer{}
	ended := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- w.app(out, errOut).run(ctx, []string{"logs", "-f", "demoshop", "--config", filepath.Join(w.dir, defaultConfigFile)})
	}()
	w.until("it shows the wait", func() bool { return strings.Contains(out.String(), "create") })
	select {
	case code := <-ended:
		t.Fatalf("it ended with %d before the deployment did:\n%s%s", code, out, errOut)
	default:
	}
	close(built)
	select {
	case code := <-ended:
		if code != 0 || !strings.Contains(out.String(), "record: record: done") || errOut.String() != "" {
			t.Errorf("exit code %d:\n%s%s", code, out, errOut)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}

}

// A deployment that was cut off has ended, and its lines say so; what goes on with the next start
// has lines of its own. `logs -f` does not wait for that.
func TestLogsFollowWithoutADaemon(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	if killed, r := w.child("after-call:3", "apply"); !killed {
		t.Fatalf("not killed: %s%s", r.out, r.err)
	}
	if r := w.cli("logs", "-f", "demoshop"); r.code != 0 || !strings.Contains(r.out, "interrupted: this program died") {
		t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
	}
	if r := w.cli("logs", "demoshop"); r.code != 0 {
		t.Errorf("without -f: exit code %d: %s%s", r.code, r.out, r.err)
	}
}

// until waits for what must come.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain: %s", what)
		}
	}
}
