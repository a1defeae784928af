package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// childDSN makes the test binary create databases there until it is killed.
const childDSN = "POSTGRES_TEST_CHILD_DSN"

func createForEver(dsn string) {
	p, err := New(Options{DSN: state.NewSecret(dsn), Key: state.NewSecret(testKey)})
	for n := 0; err == nil; n++ {
		if _, err = p.Create(context.Background(), wish(fmt.Sprintf("killed%d", n))); err == nil {
			fmt.Println(n)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// maxStatements is more than any call sends.
const maxStatements = 30

// everywhere breaks the connection at every statement of a call, before it reached the
// server and after it took effect, and counts how often it could.
func everywhere(t *testing.T, try func(t *testing.T, name string, f *fault) (over bool)) {
	t.Helper()
	tried := 0
	for at := 1; ; at++ {
		if at > maxStatements {
			t.Fatal("the call has no end")
		}
		for _, after := range []bool{false, true} {
			over := false
			t.Run(fmt.Sprintf("%d after=%t", at, after), func(t *testing.T) {
				over = try(t, fmt.Sprintf("shop%dx%t", at, after), &fault{at: at, after: after})
			})
			if over {
				if tried < 4 {
					t.Fatalf("only %d places", tried)
				}
				t.Logf("%d places", tried)
				return
			}
			tried++
		}
	}
}

// P3, P8: a create that dies at any statement, answered or not, is gone on with: there is
// one database in the end, with a url that works.
func TestP8CreateDiesAnywhere(t *testing.T) {
	s := running(t)
	everywhere(t, func(t *testing.T, name string, f *fault) bool {
		p, w := open(t, s), wish(name)
		breaks(p, f)
		_, err := p.Create(t.Context(), w)
		if f.count < f.at {
			if err != nil {
				t.Fatal(err)
			}
			return true
		}
		if k := provider.KindOf(err); k != provider.Uncertain && k != provider.Transient {
			t.Errorf("it is %v", err)
		}
		_, roles := there(t, w.Name)
		if len(roles) > 0 && provider.KindOf(err) != provider.Uncertain {
			t.Errorf("something was written, and the error says that nothing was: %v", err)
		}
		next := open(t, s) // after a restart
		found := observe(t, next, provider.Query{Name: w.Name, Wish: &w})
		switch len(found) {
		case 0: // never a half one
			found = append(found, create(t, next, w))
		case 1:
			_, err := next.Create(t.Context(), w)
			wantKind(t, err, provider.Conflict)
		}
		if len(found) != 1 || found[0].Mark != w.Mark || found[0].Phase != provider.Ready {
			t.Fatalf("found %v", found)
		}
		works(t, found[0])
		if again := observe(t, next, provider.Query{ID: found[0].ID}); len(again) != 1 || urlOf(again[0]) != urlOf(found[0]) {
			t.Errorf("by id %v", again)
		}
		if databases, roles := there(t, w.Name); len(databases) != 1 || len(roles) != 1 {
			t.Errorf("databases %v, roles %v", databases, roles)
		}
		return false
	})
}

// P3, P8: an update that dies anywhere is the old or the new object, never one between.
func TestP8UpdateDiesAnywhere(t *testing.T) {
	s := running(t)
	everywhere(t, func(t *testing.T, name string, f *fault) bool {
		w := wish(name)
		o := create(t, open(t, s), w)
		w.Inputs[2].Text = "b2b"
		p := open(t, s)
		breaks(p, f)
		_, err := p.Update(t.Context(), o.ID, w)
		if f.count < f.at {
			return err == nil
		}
		if err == nil {
			t.Fatal("it says that all is well")
		}
		found := observe(t, open(t, s), provider.Query{ID: o.ID})
		if len(found) != 1 {
			t.Fatalf("found %v", found)
		}
		schema := found[0].Attributes[2].Text
		if schema != "ecommerce" && schema != "b2b" || schema == "b2b" && provider.KindOf(err) != provider.Uncertain {
			t.Errorf("schema %s after %v", schema, err)
		}
		works(t, found[0])
		if o, err = open(t, s).Update(t.Context(), o.ID, w); err != nil || o.Attributes[2].Text != "b2b" {
			t.Errorf("the next one: %v %v", o, err)
		}
		return false
	})
}

// P3, P8: a delete that dies anywhere leaves a whole database, or something that a look by
// id still shows; the next one finishes it.
func TestP8DeleteDiesAnywhere(t *testing.T) {
	s := running(t)
	everywhere(t, func(t *testing.T, name string, f *fault) bool {
		w := wish(name)
		o := create(t, open(t, s), w)
		p := open(t, s)
		breaks(p, f)
		err := p.Delete(t.Context(), state.KindDatabase, o.ID)
		if f.count < f.at {
			return err == nil
		}
		if err == nil {
			t.Fatal("it says that all is well")
		}
		next := open(t, s)
		found := observe(t, next, provider.Query{ID: o.ID})
		databases, roles := there(t, w.Name)
		switch {
		case len(databases) == 1: // a purge that is called off now has lost nothing
			if len(found) != 1 || found[0].Phase != provider.Ready {
				t.Fatalf("found %v", found)
			}
			works(t, found[0])
		case len(roles) == 1 && len(found) != 1:
			t.Error("a role is left, and nobody sees it")
		case len(roles) == 0 && len(found) != 0:
			t.Errorf("nothing is left, and %v shows", found)
		}
		if len(databases) == 0 && len(observe(t, next, provider.Query{Name: w.Name, Wish: &w})) != 0 {
			t.Error("what is erased is found by its name: a create would take it for the database")
		}
		for range 2 {
			if err := next.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
				t.Fatal(err)
			}
		}
		if databases, roles := there(t, w.Name); len(databases)+len(roles) != 0 {
			t.Errorf("left: databases %v, roles %v", databases, roles)
		}
		return false
	})
}

// P3: a role that is left of a delete which died is no obstacle when its client returns,
// and the new database is another one.
func TestP3HalfErasedAndMadeAgain(t *testing.T) {
	s := running(t)
	p, w := open(t, s), wish("shop")
	o := create(t, p, w)
	broken := open(t, s)
	f := &fault{at: 7} // DROP ROLE
	breaks(broken, f)
	if err := broken.Delete(t.Context(), state.KindDatabase, o.ID); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if databases, roles := there(t, w.Name); len(databases) != 0 || len(roles) != 1 {
		t.Fatalf("databases %v, roles %v: the fault is at another place", databases, roles)
	}
	again := create(t, p, w)
	works(t, again)
	if again.ID == o.ID || urlOf(again) == urlOf(o) {
		t.Error("it passes for the one that was erased")
	}
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 0 {
		t.Errorf("the erased one is found: %v", found)
	}
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	works(t, again) // the old id does nothing to it
}

// P3: a call that is given up while a statement is under way: the server goes on with it or
// not, and the next create makes of it one database.
func TestP3GivenUpInTheMiddle(t *testing.T) {
	s := running(t)
	for _, at := range []int{5, 7, 9} {
		p, w := open(t, s), wish(fmt.Sprintf("shop%d", at))
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the daemon stops")
		breaks(p, &fault{at: at, hit: func() { cancel(why) }})
		_, err := p.Create(ctx, w)
		if !errors.Is(err, why) {
			t.Fatalf("%d: %v", at, err)
		}
		next := open(t, s)
		found := observe(t, next, provider.Query{Name: w.Name, Wish: &w})
		if len(found) == 0 {
			o, err := next.Create(t.Context(), w)
			if provider.KindOf(err) == provider.Conflict && err != nil { // it came through after the look
				found = observe(t, next, provider.Query{Name: w.Name, Wish: &w})
			} else if err != nil {
				t.Fatal(err)
			} else {
				found = append(found, o)
			}
		}
		if len(found) != 1 {
			t.Fatalf("%d: found %v", at, found)
		}
		works(t, found[0])
	}
}

// P8: a server that dies while it works at a create: once it is back, the next create makes
// of what is there one database.
func TestP8TheServerDiesInTheMiddle(t *testing.T) {
	s := running(t)
	for _, at := range []int{5, 7, 9} {
		p, w := open(t, s), wish(fmt.Sprintf("shop%d", at))
		breaks(p, &fault{at: at, hit: func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		}})
		_, err := p.Create(t.Context(), w)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if k := provider.KindOf(err); k != provider.Uncertain && (at != 5 || k != provider.Transient) { // of the first write it may be known that it was not sent
			t.Errorf("%d: %v", at, err)
		}
		next := open(t, s)
		if found := observe(t, next, provider.Query{Name: w.Name, Wish: &w}); len(found) != 0 {
			t.Fatalf("%d: found %v", at, found)
		}
		works(t, create(t, next, w))
		if databases, roles := there(t, w.Name); len(databases) != 1 || len(roles) != 1 {
			t.Errorf("databases %v, roles %v", databases, roles)
		}
	}
}

// P8: a process that is killed while it makes databases leaves whole ones, and one at
// most that the next create finishes.
func TestP8KilledWhileCreating(t *testing.T) {
	s := running(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childDSN+"="+s.DSN())
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		for lines := bufio.NewScanner(out); acknowledged < 1+round && lines.Scan(); {
			acknowledged++
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		p := open(t, s)
		if acknowledged == 0 {
			t.Fatal("it made none")
		}
		for n := range acknowledged + 1 {
			w := wish(fmt.Sprintf("killed%d", n))
			found := observe(t, p, provider.Query{Name: w.Name, Wish: &w})
			if n < acknowledged && len(found) != 1 {
				t.Fatalf("round %d: %s was acknowledged, found %v", round, w.Name, found)
			}
			if len(found) == 0 {
				o, err := p.Create(t.Context(), w)
				if provider.KindOf(err) == provider.Conflict && err != nil {
					o = observe(t, p, provider.Query{Name: w.Name, Wish: &w})[0]
				} else if err != nil {
					t.Fatal(err)
				}
				found = append(found, o)
			}
			works(t, found[0])
		}
		clear(t)
	}
}

// What nobody went on with is taken away an hour later by a create of the same
// installation; what is younger, whole, or another's stays.
func TestLeftoversAreSwept(t *testing.T) {
	s := running(t)
	half := func(w provider.Wish, at int) {
		t.Helper()
		p := open(t, s)
		breaks(p, &fault{at: at})
		if _, err := p.Create(t.Context(), w); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
	}
	old, young, theirs, role := wish("old"), wish("young"), wishOf("deadbeef", "theirs"), wish("role")
	for _, w := range []provider.Wish{old, young, theirs} {
		half(w, 9) // before the last transaction
	}
	half(role, 7) // before CREATE DATABASE
	whole := create(t, open(t, s), wish("whole"))
	for _, w := range []provider.Wish{old, theirs, role} {
		n := parseNote(comment(t, w.Name))
		if n.stage != making {
			t.Fatalf("%s: %q", w.Name, n.text())
		}
		n.since = "1000"
		ask(t, s.DSN(), "COMMENT ON ROLE "+identifier(w.Name)+" IS "+literal(n.text()))
	}
	p := open(t, s)
	create(t, p, wish("next"))
	databases, roles := there(t, "%-0badcafe")
	if got := strings.Join(databases, " "); got != "next-0badcafe whole-0badcafe young-0badcafe" {
		t.Errorf("databases: %s", got)
	}
	if got := strings.Join(roles, " "); got != "next-0badcafe whole-0badcafe young-0badcafe" {
		t.Errorf("roles: %s", got)
	}
	if databases, roles := there(t, "%-deadbeef"); len(databases) != 1 || len(roles) != 1 {
		t.Errorf("another installation's was taken: %v %v", databases, roles)
	}
	works(t, whole)
	works(t, create(t, p, young))
}
