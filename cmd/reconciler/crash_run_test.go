package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
)

// crashRun is a process of the program.
type crashRun struct {
	w       *crashWorld
	cmd     *exec.Cmd
	args    []string
	started time.Time
	lines   chan string // what it tells; closed when it ended
	out     *buffer
	errOut  *buffer
	spared  bool // it is left alone until it recovered
}

// begin starts the program.
func (w *crashWorld) begin(failpoint string, args ...string) (*crashRun, error) {
	r := &crashRun{w: w, args: args, lines: make(chan string, 100), out: &buffer{}, errOut: &buffer{}}
	r.cmd = exec.Command(os.Args[0], withConfig(args, w.path(defaultConfigFile))...)
	r.cmd.Env = append(os.Environ(), remoteVariable+"="+w.path("providers"), "RECONCILER_FAILPOINT="+failpoint)
	for k, v := range w.place.env {
		r.cmd.Env = append(r.cmd.Env, k+"="+v)
	}
	r.cmd.Env = append(r.cmd.Env, w.env...)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.errOut
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.cmd.ExtraFiles = []*os.File{write}
	r.started = time.Now()
	err = r.cmd.Start()
	_ = write.Close() // the process has it
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	w.pid = r.cmd.Process.Pid
	w.say("start %d: %s %s", w.pid, strings.Join(args, " "), failpoint)
	go func() {
		defer read.Close()
		defer close(r.lines)
		for scan := bufio.NewScanner(read); scan.Scan(); {
			r.lines <- scan.Text()
		}
	}()
	return r, nil
}

// withConfig names the world's configuration, unless the arguments name another one.
func withConfig(args []string, path string) []string {
	if slices.Contains(args, "--config") {
		return args
	}
	return append(slices.Clone(args), "--config", path)
}

// crashEnd is how a process ended.
type crashEnd struct {
	killed    bool
	code      int
	open      int           // intents that were open when it started
	recovered time.Duration // until those were settled or shown; 0: it died before
	how       string
	busy      bool          // it had not said that nothing is due
	idle      time.Duration // until it said so
	ran       time.Duration
}

// wait lets the process run until it ends, or until it was killed: at a time (zero: not; of one
// that is spared so long after it recovered), or when it is idle, unless more says that there is
// something to do.
func (r *crashRun) wait(after time.Duration, more func() bool) (crashEnd, error) {
	defer r.heard()
	e := crashEnd{busy: true, open: -1}
	var timer <-chan time.Time
	if after > 0 && !r.spared {
		timer = time.After(after - time.Since(r.started))
	}
	hung := time.NewTimer(patience)
	defer hung.Stop()
	lines := r.lines
	for lines != nil {
		select {
		case line, ok := <-lines:
			word, rest, _ := strings.Cut(line, " ")
			switch {
			case !ok:
				lines = nil
			case word == saidWired:
				_, _ = fmt.Sscan(rest, &e.open)
			case word == saidSettled:
				e.recovered, e.how = time.Since(r.started), rest
				if r.spared && after > 0 {
					timer = time.After(after)
				}
			case word == saidIdle:
				if e.idle == 0 {
					e.idle = time.Since(r.started)
				}
				if r.spared && e.recovered == 0 || more != nil && more() {
					continue
				}
				if e.busy && r.args[0] == "run" {
					e.busy = false
					_ = r.cmd.Process.Kill()
				}
			case word == saidUnread:
			default:
				return e, fmt.Errorf("it says %q", line)
			}
		case <-timer:
			_ = r.cmd.Process.Kill() // it may have ended by itself
		case <-hung.C:
			_ = r.cmd.Process.Signal(syscall.SIGQUIT)
			_ = r.cmd.Wait()
			return e, fmt.Errorf("%v hangs:\n%s", r.args, r.errOut)
		}
	}
	err := r.cmd.Wait()
	e.ran, e.code = time.Since(r.started), r.cmd.ProcessState.ExitCode()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		ws, ok := exit.Sys().(syscall.WaitStatus)
		e.killed = ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
		err = nil
	}
	if err == nil && !e.killed && (e.code < 0 || strings.Contains(r.errOut.String(), "panic")) {
		err = fmt.Errorf("%v ended with %d:\n%s", r.args, e.code, r.errOut)
	}
	return e, err
}

// heard keeps what the process said, dying or not.
func (r *crashRun) heard() {
	r.w.place.hear("stdout of "+r.args[0], r.out.String())
	r.w.place.hear("stderr of "+r.args[0], r.errOut.String())
}

// command runs one command to its end.
func (w *crashWorld) command(args ...string) (crashEnd, string, error) {
	r, err := w.begin("", args...)
	if err != nil {
		return crashEnd{}, "", err
	}
	e, err := r.wait(0, nil)
	if err == nil && e.killed {
		err = fmt.Errorf("%v was killed by somebody", args)
	}
	return e, r.out.String() + r.errOut.String(), err
}

// overview is what `apply` shows, after everything that is due.
func (w *crashWorld) overview() (reconcile.Overview, error) {
	var v reconcile.Overview
	r, err := w.begin("", "apply", "-o", "json")
	if err != nil {
		return v, err
	}
	e, err := r.wait(0, nil)
	if err != nil || e.killed {
		return v, fmt.Errorf("apply ended with %d, killed %v: %w", e.code, e.killed, err)
	}
	w.told = r.errOut.String()
	if err := json.Unmarshal([]byte(r.out.String()), &v); err != nil {
		return v, fmt.Errorf("apply: %w\n%s%s", err, r.out, r.errOut)
	}
	return v, nil
}
