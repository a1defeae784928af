package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// wide is a world with more clients than one change may touch at once, all active.
func wide(t *testing.T, n int) (w *world, names []string) {
	t.Helper()
	files := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("c%02d", i)
		names = append(names, name)
		files["clients/"+name+".yaml"] = manifestOf(name, "deployment: {timeout: 2h}") // many wait at once on one quick clock
	}
	w = newWorld(t, files)
	w.configure("guard: {maxChanged: 5, maxCreates: 100}")
	w.start()
	w.active(names...)
	return w, names
}

// newShop is the template with another text in its pages, or with a typo.
func newShop(from, to string) map[string]string {
	return map[string]string{"templates/ecommerce.yaml": strings.Replace(shopTemplate, from, to, 1)}
}

// statuses counts the clients by status.
func (w *world) statuses() map[string]int {
	out := map[string]int{}
	for _, r := range w.status().Clients {
		out[r.Status]++
	}
	return out
}

// S53: a template change with a typo breaks every site that it reaches. It goes to one
// client at a time until one went well; three failures halt it, the others still serve
// the old version; status, why, page and verdict say so, and a restart changes nothing.
func TestS53TemplateWithATypo(t *testing.T) {
	t.Parallel()
	w, names := wide(t, 40)
	head := w.commit(newShop("{from: database.url}", "{from: site.url}"))
	v := w.apply()
	halted := func(when string) {
		t.Helper()
		if got := w.statuses(); got["failed"] != 3 || got["active"] != 37 {
			t.Errorf("%s: %v, want 3 failed and 37 active", when, got)
		}
		for _, name := range names {
			if code, _ := w.get(name+".localhost", "/api/health"); code != 200 {
				t.Errorf("%s: %s answers %d: it does not serve the old version", when, name, code)
			}
		}
		v := w.status()
		if len(v.Holds) != 1 || !strings.Contains(v.Holds[0].Reason, "templates/ecommerce.yaml failed on c00, c01, c02 of 40; 37 clients wait") {
			t.Fatalf("%s: holds: %+v", when, v.Holds)
		}
		approve := "approve " + v.Holds[0].Fingerprint
		for _, text := range []string{w.cli("status").out, w.must(0, "why", "c30").out} {
			if !strings.Contains(text, "failed on c00, c01, c02") || !strings.Contains(text, approve) {
				t.Errorf("%s: it is not told:\n%s", when, text)
			}
		}
		if text := w.must(0, "why", "c01").out; !strings.Contains(text, "Your site still runs the old version") {
			t.Errorf("%s: why c01:\n%s", when, text)
		}
		for _, path := range []string{"/", "/clients/c30"} {
			if _, page := w.get("localhost", path); !strings.Contains(page, "failed on c00, c01, c02") || !strings.Contains(page, ">held<") {
				t.Errorf("%s: the page %s does not tell it", when, path)
			}
		}
	}
	halted("after the commit")
	if !strings.HasPrefix(v.Verdict, "failure") || w.verdict(head).Clients[w.id("c30")] != "held" {
		t.Errorf("verdict %q, c30 is %q in it", v.Verdict, w.verdict(head).Clients[w.id("c30")])
	}
	if r := w.cli("apply", "c30"); r.code != exitHeld {
		t.Errorf("apply of a client that waits ends with %d, want %d", r.code, exitHeld)
	}
	w.stop()
	w.start()
	w.apply()
	halted("after a restart")
	// The typo is mended: the same clients first, and all of them in the end.
	w.commit(newShop("path: /api/health", "path: /"))
	w.active(names...)
	if v := w.status(); len(v.Holds) > 0 {
		t.Errorf("holds are left: %+v", v.Holds)
	}
}

// S53: approve lets all that wait go at once, whatever became of the first ones.
func TestS53ApproveGoesOn(t *testing.T) {
	t.Parallel()
	w, names := wide(t, 12)
	bad := []string{"c00", "c01", "c02"}
	w.calls.interfere(func(c call) error {
		if c.Kind == state.KindDeployment && c.Verb == "create" && slices.ContainsFunc(bad, func(n string) bool { return strings.Contains(c.Name, " of "+n+"-") }) {
			return &provider.Error{Kind: provider.Invalid, Provider: c.Provider, Op: c.Verb, Message: "the build is broken"}
		}
		return nil
	}, nil)
	w.commit(newShop("ref: v1", "ref: v2"))
	w.apply()
	if got := w.statuses(); got["failed"] != 3 {
		t.Fatalf("%v", got)
	}
	w.must(0, "approve", w.status().Holds[0].Fingerprint)
	w.apply()
	if got := w.statuses(); got["failed"] != 3 || got["active"] != 9 || len(w.status().Holds) > 0 {
		t.Errorf("%v, holds %+v", got, w.status().Holds)
	}
	w.calls.interfere(nil, nil)
	for _, n := range bad {
		w.must(0, "retry", n)
	}
	w.active(names...)
}

// S53: a check that is mistyped breaks no site, and is found by the first client all the
// same; a site that degrades after its pass counts too, when it is one of three.
func TestS53GatedByHealth(t *testing.T) {
	t.Parallel()
	w, names := wide(t, 12)
	w.commit(newShop("path: /api/health", "path: /api/helth"))
	w.apply()
	if got := w.statuses(); got["failed"] != 3 {
		t.Fatalf("a mistyped check: %v", got)
	}
	if r := rowOf(w.status(), "c01"); !strings.Contains(r.Because, "does not answer as its health check asks now") {
		t.Errorf("c01 says %q", r.Because)
	}
	w.commit(newShop("path: /api/health", "path: /"))
	w.active(names...)
}

// S53: while a change is on its way, status, why and the page say which wave it is, how
// many went well and failed, and how many are left.
func TestS53ShownOnItsWay(t *testing.T) {
	t.Parallel()
	w, names := wide(t, 40)
	var once sync.Once
	var seen []string
	var mu sync.Mutex
	begun := map[string]bool{}
	w.calls.interfere(func(c call) error {
		if c.Kind != state.KindDeployment || c.Verb != "create" {
			return nil
		}
		mu.Lock() // the others of the wave wait for what is asked
		defer mu.Unlock()
		begun[c.Name] = true
		if len(begun) == 2 { // the first of the second wave
			once.Do(func() {
				_, page := w.get("localhost", "/")
				_, one := w.get("localhost", "/clients/c30")
				seen = []string{w.must(0, "status", "--exit-code").out, w.must(0, "why", "c30").out, page, one}
			})
		}
		return nil
	}, nil)
	w.commit(newShop("ref: v1", "ref: v2"))
	w.active(names...)
	for _, text := range seen {
		if !strings.Contains(text, "templates/ecommerce.yaml touches 40 clients; wave 2 of 3 (a tenth): 4 under way, 1 went well, 0 failed, 35 to follow.") || !strings.Contains(text, "rolling out") {
			t.Errorf("it is not told:\n%s", text)
		}
	}
	if len(seen) != 4 || !strings.Contains(seen[1], "waits for the clients before it, or a person") {
		t.Errorf("why: %q", seen)
	}
	if v := w.status(); len(v.Holds) > 0 {
		t.Errorf("holds are left: %+v", v.Holds)
	}
}

// S53, P8: kill -9 in the middle of each wave; the next start goes on where it was, and
// nobody gets the change twice.
func TestS53KilledInEachWave(t *testing.T) {
	t.Parallel()
	w, names := wide(t, 20)
	w.commit(newShop("ref: v1", "ref: v2"))
	w.stop()
	for i, n := range []int{1, 4, 12} { // writes: a release and its promotion for each client
		if killed, r := w.child(fmt.Sprintf("%s:%d", apply.AfterCall, n), "apply"); !killed {
			t.Fatalf("it was not killed: %s%s", r.out, r.err)
		}
		if h := w.status().Holds; len(h) != 1 || h[0].Waves == nil || h[0].Waves.Stage != i+1 {
			t.Errorf("killed in wave %d: %+v", i+1, h)
		}
	}
	w.start()
	w.active(names...)
	if v := w.status(); len(v.Holds) > 0 {
		t.Errorf("holds are left: %+v", v.Holds)
	}
	for _, name := range names {
		n := 0
		for _, r := range w.why(name).Resources {
			if r.Ref.Kind == state.KindDeployment {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s has %d releases, want the old and the new one", name, n)
		}
	}
}
