package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Processes that tests start ask and serve simulated vendors as well: the host of a crash
// test, a demo. What they hold against the vendors' descriptions they tell in files, which
// outlive them.

// witnessVariable names a folder to a process: there it tells what does not fit, at once, and
// what it judged, when it ends. Of one that is killed only the first is known.
const witnessVariable = "RECONCILER_TEST_JUDGED"

// What a line of such a file begins with.
const (
	misfitLine = "misfit "
	saidLine   = "said "
)

// witness is what a contract takes for its test in a process that is none.
type witness struct {
	testing.TB // nil: what stands below is all that a contract asks of it

	mu   sync.Mutex
	file *os.File // nil: nobody asked for it
	last []func()
}

// newWitness begins a process's file. Without the variable it judges nothing.
func newWitness() (*witness, error) {
	w := &witness{}
	dir := os.Getenv(witnessVariable)
	if dir == "" {
		return w, nil
	}
	var err error
	w.file, err = os.OpenFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return w, err
}

// over judges a vendor's API.
func (w *witness) over(vendor string, api http.Handler) http.Handler {
	if w.file == nil {
		return api
	}
	return judge(w, vendor)(api)
}

// end tells what was judged.
func (w *witness) end() {
	for _, f := range w.last {
		f()
	}
}

func (w *witness) line(kind, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return
	}
	if _, err := fmt.Fprintf(w.file, "%s%q\n", kind, text); err != nil {
		panic(err) // what does not fit would be lost
	}
}

func (w *witness) Helper()                      {}
func (w *witness) Context() context.Context     { return context.Background() }
func (w *witness) Cleanup(f func())             { w.last = append(w.last, f) }
func (w *witness) Log(a ...any)                 { w.line(saidLine, fmt.Sprint(a...)) }
func (w *witness) Logf(format string, a ...any) { w.line(saidLine, fmt.Sprintf(format, a...)) }
func (w *witness) Errorf(format string, a ...any) {
	w.line(misfitLine, fmt.Sprintf(format, a...))
}
func (w *witness) Fatal(a ...any) { w.Fatalf("%s", fmt.Sprint(a...)) }
func (w *witness) Fatalf(format string, a ...any) {
	w.Errorf(format, a...)
	panic(fmt.Sprintf(format, a...))
}

// testimony is a folder in which processes tell what they judged.
type testimony struct {
	dir   string
	known int // so many misfits were asked for
}

// newTestimony makes one. The test fails at its end for what did not fit, and logs what was
// judged; whoever starts the processes has ended them by then, if he did so after this.
func newTestimony(t testing.TB) *testimony {
	t.Helper()
	x := &testimony{dir: t.TempDir()}
	t.Cleanup(func() {
		misfits, err := x.misfits()
		if err != nil {
			t.Error(err)
		}
		for _, m := range misfits[min(x.known, len(misfits)):] {
			t.Error(m)
		}
		said, err := x.lines(saidLine)
		if err != nil {
			t.Error(err)
		}
		for _, s := range said {
			t.Log(s)
		}
	})
	return x
}

// env is what a process is given for it.
func (x *testimony) env() string { return witnessVariable + "=" + x.dir }

// misfits are what did not fit so far.
func (x *testimony) misfits() ([]string, error) { return x.lines(misfitLine) }

func (x *testimony) lines(kind string) (out []string, err error) {
	files, err := filepath.Glob(filepath.Join(x.dir, "*"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			quoted, is := strings.CutPrefix(line, kind)
			if !is {
				continue
			}
			said, err := strconv.Unquote(strings.TrimSpace(quoted))
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, line, err)
			}
			out = append(out, said)
		}
	}
	return out, nil
}

// witnessed is a run of all tests in which every process that one starts, and that has no
// folder of its own, tells what it judged.
type witnessed struct{ *testing.M }

// Run runs the tests, and says what such processes judged.
func (m witnessed) Run() int {
	dir, err := os.MkdirTemp("", "judged")
	if err == nil {
		err = os.Setenv(witnessVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	code := m.M.Run()
	x := &testimony{dir: dir}
	misfits, err := x.misfits()
	said, failed := x.lines(saidLine)
	for _, m := range misfits {
		fmt.Println("in a process of the tests:", m)
	}
	for _, s := range said {
		fmt.Println(s)
	}
	if err := errors.Join(err, failed, os.RemoveAll(dir)); err != nil || len(misfits) > 0 {
		fmt.Println("what processes of the tests judged:", err)
		return exitFailed
	}
	return code
}

// testedMain is main, but that simulated vendors are judged.
func testedMain() int {
	w, err := newWitness()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	defer w.end()
	return mainWith(func(a *app) { a.over = w.over })
}
