package vercel_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// patience bounds what should take no time: without it a test that fails would hang.
const patience = time.Minute

// follower is somebody who waits for a build.
type follower struct {
	t     *testing.T
	w     *world
	see   func() ([]provider.Object, error)
	d     provider.Object
	lines chan string
	end   func()
	said  bool // only what say wrote, and how the build ended
}

// builds makes a site and begins its deployment, whose build takes an hour of the world's clock.
func builds(t *testing.T, k *contract.Contract, o simulated.Options) *follower {
	t.Helper()
	o.BuildTime = time.Hour
	w := open(t, k, o)
	site := w.must(t, wishSite(1))
	d, err := w.Create(t.Context(), wishRelease(1, site.ID, "aaaaaaaaaaaa"))
	if err != nil || d.Phase != provider.Progressing {
		t.Fatalf("%s, %v", d.Phase, err)
	}
	w.took()
	f := &follower{t: t, w: w, d: d, lines: make(chan string, 100)}
	ctx, following := provider.Following(t.Context(), d.ID, func(line string) { f.lines <- line })
	f.see = func() ([]provider.Object, error) {
		return w.Observe(ctx, provider.Query{Kind: state.KindDeployment, ID: d.ID})
	}
	f.end = sync.OnceFunc(following.End)
	t.Cleanup(f.end)
	return f
}

// look looks at the build. Its lines come on their own way.
func (f *follower) look() provider.Phase {
	f.t.Helper()
	found, err := f.see()
	if err != nil || len(found) != 1 || found[0].Log != nil {
		f.t.Fatalf("look: %v, %v", found, err)
	}
	return found[0].Phase
}

// say lets the build write.
func (f *follower) say(texts ...string) {
	f.t.Helper()
	for _, text := range texts {
		if !f.w.sim.Say(get(f.d, "site"), text) {
			f.t.Fatal("nothing is built")
		}
	}
}

// want are the next lines.
func (f *follower) want(lines ...string) {
	f.t.Helper()
	late := time.After(patience)
	for len(lines) > 0 {
		select {
		case got := <-f.lines:
			if f.said && slices.Contains([]string{begun, "Installing dependencies...", "Building " + f.project()}, got) {
				continue
			}
			if got != lines[0] {
				f.t.Fatalf("told %q, want %q", got, lines[0])
			}
			lines = lines[1:]
		case <-late:
			f.t.Fatalf("%q is not told", lines[0])
		}
	}
}

const begun = "Running build in Washington, D.C., USA (East) – iad1"

func (f *follower) project() string {
	for _, name := range f.w.sim.Names() {
		return name
	}
	return ""
}

// calls are those since it was asked last, without ids.
func (f *follower) calls() (out []string) {
	for _, c := range f.w.took() {
		out = append(out, strings.ReplaceAll(c, f.d.ID, "*"))
	}
	return out
}

const looked, asked = "GET /v13/deployments/*", "GET /v3/deployments/*/events"

// A line is told when the build writes it: before its end, and before the next look. One
// connection does it, and what is read at the end tells nothing twice.
func TestALogIsToldAsItIsWritten(t *testing.T) {
	k := published(t)
	f := builds(t, k, simulated.Options{})
	l := &log{t: t, w: f.w}
	if phase := f.look(); phase != provider.Progressing {
		t.Fatalf("it is %s", phase)
	}
	f.want(begun, "Installing dependencies...") // a line a look
	f.say("compiling \x1b[2J1")
	f.want("compiling [2J1")
	f.say("compiling 2", "compiling 2")
	f.want("compiling 2", "compiling 2") // two lines that are equal are two
	f.look()
	l.step("deployment: two looks while it is built and somebody waits: its log is followed", 3)
	f.w.clock.Move(time.Hour)
	f.want("Building "+f.project(), "Build Completed in /vercel/output", "Deployment completed") // nobody looked
	l.step("deployment: its build ends", 0)
	if phase := f.look(); phase != provider.Ready {
		t.Errorf("it is %s", phase)
	}
	l.step("deployment: a look after the end: the log is read, and nothing told again", 2)
	f.end()
	if len(f.lines) > 0 {
		t.Errorf("told again: %q", <-f.lines)
	}
	l.golden("follow")
	k.Some(t)
}

// following are requests that follow.
func following(r *http.Request, _ []byte) bool { return r.URL.Query().Get("follow") == "1" }

// A connection that is cut is opened again at once, from the last line on: no line is told
// twice, none is lost, in their order.
func TestALogThatIsCut(t *testing.T) {
	k := published(t)
	f := builds(t, k, simulated.Options{})
	for _, lines := range []int{2, 3, 5} {
		f.w.faults.Add(simulator.Fault{Match: following, Do: simulator.CutAfter(lines)})
	}
	f.say("1", "2", "3", "4")
	f.look()
	f.want(begun, "1", "2", "3", "4")
	f.say("5", "6", "7")
	f.want("Installing dependencies...", "5", "6", "7")
	if happened := f.w.faults.Happened()["cut"]; happened != 3 {
		t.Errorf("it was cut %d times", happened)
	}
	if calls := f.calls(); !slices.Equal(calls, []string{looked, asked, asked, asked, asked}) {
		t.Errorf("calls: %q", calls)
	}
	f.w.clock.Move(time.Hour)
	f.want("Building "+f.project(), "Build Completed in /vercel/output", "Deployment completed")
	f.look()
	f.end()
	if len(f.lines) > 0 {
		t.Errorf("told again: %q", <-f.lines)
	}
	k.Some(t)
}

// What a silent connection keeps back, a look reads after a quarter of a minute; then another
// connection is opened.
func TestALogThatStalls(t *testing.T) {
	k := published(t)
	f := builds(t, k, simulated.Options{})
	f.said = true
	f.w.faults.Add(simulator.Fault{Match: following, Do: simulator.StallAfter(1)})
	f.look()
	if l := <-f.lines; l != begun {
		t.Fatalf("told %q", l)
	}
	f.say("1", "2")
	f.look()
	f.w.clock.Move(10 * time.Second)
	f.look()
	if n := len(f.lines); n > 0 {
		t.Errorf("%d lines came", n)
	}
	f.w.clock.Move(10 * time.Second)
	f.look()
	f.want("1", "2")
	f.untilFollowed()
	f.say("3")
	f.want("3")
	f.w.clock.Move(time.Hour)
	f.want("Build Completed in /vercel/output", "Deployment completed")
	k.Some(t)
}

// untilFollowed looks until there is another connection.
func (f *follower) untilFollowed() {
	f.t.Helper()
	f.w.faults.Add(simulator.Fault{Match: following, Do: simulator.CutAfter(1000)}) // it is told of
	for range 1000 {
		if f.look(); f.w.faults.Happened()["cut"] > 0 {
			return
		}
	}
	f.t.Fatal("it is not followed again")
}

// Where following is refused, or what comes between us and Vercel keeps the stream back, a look reads
// the log, as if nobody had tried: and it is not tried for ever.
func TestALogThatCannotBeFollowed(t *testing.T) {
	k := published(t)
	for name, c := range map[string]struct {
		do   simulator.Effect
		most int32 // requests
	}{
		"404":       {simulator.Refuse(404, nil, `{"error":{"code":"not_found","message":"no"}}`), 2},
		"429":       {simulator.Refuse(429, http.Header{"Retry-After": {"5"}}, `{"error":{"code":"rate_limited","message":"no"}}`), 2},
		"500":       {simulator.Refuse(500, nil, `{"error":{"code":"internal","message":"no"}}`), 2},
		"no answer": {simulator.LoseRequest(), 4}, // net/http asks again by itself

		"a proxy that keeps it back": {simulator.StallAfter(0), 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := builds(t, k.For(t), simulated.Options{})
			var followed atomic.Int32
			f.w.faults.Add(simulator.Fault{Match: func(r *http.Request, body []byte) bool {
				if following(r, body) {
					followed.Add(1)
				}
				return following(r, body)
			}, Times: -1, Do: c.do})
			told := []string{}
			for n := range 12 {
				f.say(fmt.Sprint(n))
				f.w.clock.Move(16 * time.Second)
				f.look()
				for len(f.lines) > 0 {
					told = append(told, <-f.lines)
				}
			}
			f.end()
			if n := followed.Load(); n > c.most {
				t.Errorf("it was tried %d times, at most %d are right", n, c.most)
			}
			told = slices.DeleteFunc(told, func(l string) bool { return len(l) > 2 })
			want := []string{}
			for n := range told {
				want = append(want, fmt.Sprint(n))
			}
			if len(told) < 10 || !slices.Equal(told, want) {
				t.Errorf("told: %q", told)
			}
		})
	}
}

// After its end nothing is told, and nothing is left of it: who waited may be gone at any time.
func TestAFollowEnds(t *testing.T) {
	k := published(t)
	f := builds(t, k, simulated.Options{})
	f.look()
	f.want(begun)
	f.end()
	f.say("late")
	f.look()
	if calls := f.calls(); !slices.Equal(calls, []string{looked, asked, looked}) || len(f.lines) > 1 {
		t.Errorf("calls: %q, %d lines", calls, len(f.lines))
	}
	for len(f.lines) > 0 {
		if l := <-f.lines; l == "late" {
			t.Error("it was told after its end")
		}
	}
	k.Some(t)
}
