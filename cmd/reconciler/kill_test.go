package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/state"
)

// child runs the program in a process of its own and says whether it was killed. Its
// clock goes on from this world's, and this world's from a minute later.
func (w *world) child(failpoint string, args ...string) (killed bool, r result) {
	w.t.Helper()
	c := exec.Command("reconciler", append(args, "--config", filepath.Join(w.dir, defaultConfigFile))...)
	for k, v := range w.env {
		c.Env = append(c.Env, k+"="+v)
	}
	c.Env = append(append(os.Environ(), c.Env...), aheadOf+"="+time.Duration(w.clock.ahead.Load()).String(), "RECONCILER_FAILPOINT="+failpoint)
	w.clock.add(time.Minute)
	var out, errOut bytes.Buffer
	c.Stdout, c.Stderr = &out, &errOut
	err := c.Run()
	r = result{c.ProcessState.ExitCode(), out.String(), errOut.String()}
	w.hear("stdout of "+args[0], r.out)
	w.hear("stderr of "+args[0], r.err)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false, r
	case errors.As(err, &exit):
		ws, ok := exit.Sys().(syscall.WaitStatus)
		return ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL, r
	}
	w.t.Fatal(err)
	return false, r
}

// S29 and P8: kill -9 at every border of every step of a provisioning, a change and a
// removal; after the restart the world is that of an undisturbed run, with exactly one
// of each object.
func TestS29KilledAtEveryBorder(t *testing.T) {
	base := map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {STORE_CURRENCY: EUR}"), "clients/other.yaml": bare("other", "database: {provider: none}")}
	for _, phase := range []struct {
		name   string
		before map[string]string
		commit map[string]string
	}{
		{"provision", nil, base},
		{"change", base, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {STORE_CURRENCY: CHF}", "aliases: [second.localhost]")}},
		{"remove", base, map[string]string{"clients/demoshop.yaml": ""}},
	} {
		// ready is a world in which the commit is pushed and not seen yet.
		ready := func(t *testing.T) *world {
			w := newWorld(t, phase.before)
			if phase.before != nil {
				w.active("demoshop", "other")
			}
			w.commit(phase.commit)
			return w
		}
		var want []string
		t.Run(phase.name, func(t *testing.T) {
			w := ready(t)
			w.apply()
			want = w.end()
		})
		for _, border := range []apply.Border{apply.BeforeIntent, apply.AfterIntent, apply.AfterCall, apply.AfterOutcome} {
			t.Run(phase.name+" "+string(border), func(t *testing.T) {
				t.Parallel()
				w := ready(t)
				again := w.keep()
				kills := 0
				for n := 1; ; n++ {
					killed, r := w.child(fmt.Sprintf("%s:%d", border, n), "apply")
					if !killed {
						if r.code != 0 {
							t.Fatalf("undisturbed: exit code %d\n%s%s", r.code, r.out, r.err)
						}
						break
					}
					kills++
					if r := w.cli("apply"); r.code != 0 {
						t.Errorf("after a kill at %s:%d: exit code %d\n%s%s", border, n, r.code, r.out, r.err)
					}
					if got := w.end(); !slices.Equal(got, want) {
						t.Errorf("after a kill at %s:%d:\n%s\nwant\n%s", border, n, strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
					again()
				}
				if kills < 3 {
					t.Errorf("only %d kills", kills)
				}
			})
		}
	}
}

// keep copies everything but the repository, and returns what puts it back.
func (w *world) keep() (again func()) {
	w.t.Helper()
	kept := filepath.Join(w.t.TempDir(), "kept")
	cp := func(from, to string) {
		if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
			w.t.Fatalf("cp: %v: %s", err, out)
		}
	}
	cp(w.dir, kept)
	return func() {
		w.t.Helper()
		if err := os.RemoveAll(w.dir); err != nil {
			w.t.Fatal(err)
		}
		cp(kept, w.dir)
	}
}

// end is what there is in the end: objects by kind, the client's status, open intents,
// and that another pass writes nothing.
func (w *world) end() []string {
	w.t.Helper()
	w.start()
	defer w.stop()
	n := w.calls.len()
	v := w.apply()
	out := kindsOf(w.owned())
	if got := w.calls.writes(n); len(got) > 0 {
		out = append(out, "written afterwards: "+strings.Join(got, ", "))
	}
	for _, r := range v.Clients {
		out = append(out, r.Name+" is "+r.Status)
		d := w.why(r.Name)
		if len(d.Intents) > 0 {
			out = append(out, "open intents: "+strings.Join(d.Intents, ", "))
		}
		for _, x := range d.Resources {
			if x.Ref.Kind != state.KindDeployment { // named by a hash that the port is part of
				out = append(out, "on record: "+string(x.Ref.Kind)+" "+x.Ref.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}
