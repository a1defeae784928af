package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// copied is a copy of the state that somebody keeps.
type copied struct {
	path   string
	backup bool                      // made by `backup`; else the file itself
	lives  map[string]state.ClientID // by name, when it was made
}

// older is a state that was put back and is not compared with the providers yet.
type older struct {
	callers []int             // processes that began on it and ended without comparing it
	data    map[string]string // databases of clients that were wished all the time since, and by whom
	open    bool              // it is not compared yet
}

// lives are the ids of living clients by name.
func (r record) lives() map[string]state.ClientID {
	out := map[string]state.ClientID{}
	for _, c := range r.clients {
		if !c.Removed {
			out[c.Name] = c.ID
		}
	}
	return out
}

// keepCopy makes a copy of the state, with the command or as a file; how says which, or "".
func (w *crashWorld) keepCopy() error {
	rec, err := w.read()
	if err != nil || rec.restored || len(rec.clients) == 0 {
		return err // one that knows nobody is refused in front of what there is
	}
	c := copied{path: w.path("copy"), backup: w.rng.IntN(2) == 0, lives: rec.lives()}
	if err := os.RemoveAll(c.path); err != nil {
		return err
	}
	if c.backup {
		if e, out, err := w.command("backup", c.path); err != nil || e.code != 0 {
			return fmt.Errorf("backup ends with %d (%w): %s", e.code, err, out)
		}
	} else {
		data, err := os.ReadFile(w.path("state.db"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.path, data, 0o600); err != nil {
			return err
		}
	}
	w.say("keep a copy, by command %v", c.backup)
	w.copy = &c
	return nil
}

// outdate says what becomes of the copy once a month has passed. Whoever was removed has no
// data any more then, which the copy does not know: with it, who comes back is held as one
// who lost a database. So the copy is thrown away, or nobody comes back.
func (w *crashWorld) outdate() {
	waits := w.older != nil && w.older.open
	if !waits && w.rng.IntN(2) == 0 {
		w.copy = nil
	}
	if !waits && w.copy == nil {
		return
	}
	for name := range w.known {
		if _, wished := w.shops[name]; !wished {
			w.former[name] = true
		}
	}
}

// apart says that the marker knows of a later state than the copy: a process that was cut
// off between its first commit and its marker left no trace beside the state, and a file
// from before it is no older one as far as anybody can tell (package bolt says so).
func (w *crashWorld) apart(c *copied) (bool, error) {
	if c.backup {
		return true, nil // the command says what it puts back
	}
	db, err := bbolt.Open(c.path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		return false, err
	}
	defer db.Close()
	var at uint64
	err = db.View(func(tx *bbolt.Tx) error {
		name := []byte("header")
		_, rest, is := bytes.Cut(tx.Bucket(name).Get(name), []byte(`"epoch":`))
		if is {
			at, err = strconv.ParseUint(string(rest[:bytes.IndexAny(rest, ",}")]), 10, 64)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	marker, err := os.ReadFile(w.path("state.db.marker"))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(marker)) {
		if n, is := strings.CutPrefix(strings.TrimSpace(line), "epoch "); is {
			known, err := strconv.ParseUint(n, 10, 64)
			return known > at, err
		}
	}
	return false, errors.New("the marker names no epoch")
}

// putBack puts the copy in the state's place, when nothing is under way any more; how says
// in which way, "" that it was not. A name that is another client's by now keeps a copy
// from being used: that is told, and wants a rebuild.
func (w *crashWorld) putBack() (how string, err error) {
	c := w.copy
	if c == nil || w.older != nil && w.older.open {
		return "", nil
	}
	t, err := w.check(false)
	if err != nil {
		return "", err
	}
	rec, err := w.read()
	if err != nil {
		return "", err
	}
	now := rec.lives()
	for name, id := range c.lives {
		if is := now[name]; is != "" && is != id {
			w.copy = nil
			return "", nil
		}
	}
	if is, err := w.apart(c); err != nil || !is {
		return "", err
	}
	if err := w.host.pass(context.Background(), time.Minute); err != nil { // lists are late, and people are slower
		return "", err
	}
	w.older = &older{open: true, data: map[string]string{}}
	for name, id := range now {
		for _, o := range t.Objects {
			if _, wished := w.shops[name]; wished && o.Kind == state.KindDatabase && o.Mark.Client == id {
				w.older.data[o.Owner+" "+o.ID] = name
			}
		}
	}
	w.accepted = map[string]bool{}
	if !c.backup {
		w.say("put the file back")
		data, err := os.ReadFile(c.path)
		if err != nil {
			return "", err
		}
		return "file", os.WriteFile(w.path("state.db"), data, 0o600)
	}
	for {
		r, err := w.begin("", "restore", c.path, "--replace")
		if err != nil {
			return "", err
		}
		after := time.Duration(0)
		if how == "" && w.rng.IntN(2) == 0 {
			after = time.Millisecond + time.Duration(w.rng.Int64N(int64(40*time.Millisecond)))
		}
		e, err := r.wait(after, nil)
		switch {
		case err != nil:
			return "", err
		case e.killed:
			how = "backup, killed at it"
			w.say("killed while it restores, after %s", e.ran)
		case e.code != 0:
			return "", fmt.Errorf("restore ends with %d:\n%s", e.code, r.errOut)
		case how == "":
			return "backup", nil
		default:
			return how, nil
		}
	}
}

// compared follows whether a state that was put back was compared. Who began on it and ended
// before wrote nothing, and no data is lost that was wished all the time.
func (w *crashWorld) compared(rec record, t truth) (bad []string) {
	o := w.older
	if o == nil {
		return nil
	}
	if o.open = rec.restored; o.open {
		o.callers = append(o.callers, w.pid)
	}
	for _, pid := range o.callers {
		if n := t.By[pid]; n > 0 {
			bad = append(bad, fmt.Sprintf("an older state acts before it looks: %d writes of %d", n, pid))
		}
	}
	there := map[string]bool{}
	for _, x := range t.Objects {
		there[x.Owner+" "+x.ID] = true
	}
	for id, name := range o.data {
		if !there[id] {
			bad = append(bad, "data: "+id+" of "+name+" is gone, which was wished all the time since an older state was put back")
		}
	}
	return bad
}

// lostSecret is what people are told of one that an older state does not know.
var lostSecret = regexp.MustCompile("which was lost with an earlier state and is in use; .* `reconciler secret rm (\\S+) --client (\\S+)`")

// firstThere is what people are told of a site whose user nobody on record made: of one whose
// password was lost with a state, too.
const firstThere = "Delete that user in the site's database"

// obey does what an overview asks people for: it has lost secrets made anew, deletes users
// whose passwords were lost, approves what can be, and makes the state anew where only that helps.
func (w *crashWorld) obey(v reconcile.Overview) error {
	for _, r := range v.Clients {
		if strings.Contains(r.Because, firstThere) {
			w.say("delete the users of %s", r.ID)
			if err := w.host.ask(context.Background(), "/emptied", r.ID, nil); err != nil {
				return err
			}
			if _, _, err := w.command("retry", r.ID); err != nil {
				return err
			}
		}
		if m := lostSecret.FindStringSubmatch(r.Because); m != nil {
			w.say("lost: %s of %s", m[1], m[2])
			if _, _, err := w.command("secret", "rm", m[1], "--client", m[2]); err != nil { // it may be done, and not tried again yet
				return err
			}
		}
	}
	for _, h := range v.Holds {
		switch {
		case h.Approvable:
			w.approvals++
			w.say("approve: %s", h.Reason)
			if e, out, err := w.command("approve", h.Fingerprint); err != nil || e.code != 0 && !strings.Contains(out, "nothing is held") {
				return fmt.Errorf("approve ends with %d (%w): %s", e.code, err, out)
			}
		case strings.Contains(h.Act, "reconciler rebuild"):
			return w.rebuild(h.Reason)
		}
	}
	for _, p := range v.Problems { // the copy does not know who bore its former name
		if s := w.shops[strings.TrimSuffix(strings.TrimPrefix(p.Path, "clients/"), ".yaml")]; s.Was != "" && w.older != nil {
			return w.rebuild(p.Path + ": " + p.Text)
		}
	}
	return nil
}

// rebuild moves the state away and makes it anew, from Git and the marks alone.
func (w *crashWorld) rebuild(why string) error {
	w.rebuilds++
	w.say("rebuild: %s", why)
	if err := os.Rename(w.path("state.db"), w.path(fmt.Sprintf("state.db.moved-%d", w.rebuilds))); err != nil {
		return err
	}
	if e, out, err := w.command("rebuild"); err != nil || e.code != 0 {
		return fmt.Errorf("rebuild ends with %d (%w): %s", e.code, err, out)
	}
	w.copy = nil
	return nil
}

// S34 and P8: a copy of the state is put back, by command or as a file, and the process
// that compares it is killed at each commit of that, the last ones included. Nothing is
// written before it was compared; then all is as it was.
func TestS34KilledWhileItCompares(t *testing.T) {
	for n, backup := range []bool{true, false} {
		t.Run(fmt.Sprintf("by command %v", backup), func(t *testing.T) {
			t.Parallel()
			w := newCrashWorld(t, uint64(12+n), hostSpec{})
			must := func(what string, err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%s: %v\n%s", what, err, strings.Join(w.log, "\n"))
				}
			}
			wish := func(names ...string) {
				t.Helper()
				for _, name := range names {
					w.shops[name] = shop{Name: name, Currency: w.currency(w.shops[name].Currency)}
				}
				must("commit", w.commit(names...))
			}
			wish(keeper, "shop1", "shop2")
			must("settle", w.settle())
			for w.copy == nil || w.copy.backup != backup {
				must("copy", w.keepCopy())
			}
			wish("shop1", "shop3")
			delete(w.shops, "shop2")
			must("commit", w.commit("shop2"))
			must("settle", w.settle())
			before, err := w.check(true)
			must("check", err)
			how, err := w.putBack()
			must("put back", err)
			if how == "" {
				t.Fatal("it is no older copy")
			}
			kills := 0
			for nth := 1; w.older.open; nth = nth%maxCompared + 1 {
				if kills++; kills > 4*maxCompared {
					t.Fatalf("it is never compared:\n%s", strings.Join(w.log, "\n"))
				}
				r, err := w.begin(fmt.Sprintf("commit:%d", nth), "apply")
				must("apply", err)
				_, err = r.wait(0, nil)
				must("apply", err)
				now, err := w.check(false)
				must("check", err)
				if w.older.open && now.Writes != before.Writes {
					t.Fatalf("%d writes before it was compared", now.Writes-before.Writes)
				}
			}
			if kills < 2 {
				t.Errorf("only %d processes were killed before it was compared", kills-1)
			}
			must("settle", w.settle())
			after, err := w.check(true)
			must("check", err)
			if got, want := objects(after), objects(before); !slices.Equal(got, want) {
				t.Errorf("after it there is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// S34 and P5: to an older copy a client is removed that lives, and whose file can't be
// accepted now, or has another name. Its data is not erased when the copy's date comes, and
// it goes on with it once the file is mended.
func TestS34OlderCopyOfOneWhoLives(t *testing.T) {
	for what, change := range map[string]func(w *crashWorld, s shop) []string{
		"its file is broken": func(w *crashWorld, s shop) []string {
			s.Broken = true
			w.shops[s.Name] = s
			return []string{s.Name}
		},
		"it has another name": func(w *crashWorld, s shop) []string {
			delete(w.shops, s.Name)
			s.Was, s.Name = s.Name, "shop2"
			w.shops[s.Name] = s
			return []string{s.Was, s.Name}
		},
		"it has another name, and its file is broken": func(w *crashWorld, s shop) []string {
			delete(w.shops, s.Name)
			s.Was, s.Name, s.Broken = s.Name, "shop2", true
			w.shops[s.Name] = s
			return []string{s.Was, s.Name}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			livesOn(t, change)
		})
	}
}

func livesOn(t *testing.T, change func(w *crashWorld, s shop) []string) {
	w := newCrashWorld(t, 14, hostSpec{})
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, strings.Join(w.log, "\n"))
		}
	}
	for _, n := range []string{keeper, "shop1"} {
		w.shops[n] = shop{Name: n, Currency: "EUR"}
		must("commit", w.commit(n))
	}
	must("settle", w.settle())
	daemon := func() {
		n := 0
		r, err := w.begin("", "run")
		must("run", err)
		_, err = r.wait(0, func() bool { n++; return n < 2 })
		must("run", err)
	}
	daemon()
	s := w.shops["shop1"]
	delete(w.shops, "shop1")
	must("commit", w.commit("shop1"))
	must("settle", w.settle())
	must("copy", w.keepCopy())
	w.shops["shop1"] = s
	must("commit", w.commit("shop1"))
	must("settle", w.settle())
	must("commit", w.commit(change(w, s)...))
	_, err := w.overview()
	must("apply", err)
	_, err = w.putBack()
	must("put back", err)
	_, err = w.overview()
	must("apply", err)
	must("pass", w.host.pass(context.Background(), 31*24*time.Hour))
	daemon()
	daemon()
	_, err = w.check(false)
	must("check", err)
	must("settle", w.settle())
}

// maxCompared is more than the commits of a comparison.
const maxCompared = 12

// objects are those that there are.
func objects(t truth) []string {
	var out []string
	for _, o := range t.Objects {
		out = append(out, fmt.Sprintf("%s %s %s of %s", o.Owner, o.Kind, o.ID, o.Mark.Client))
	}
	slices.Sort(out)
	return out
}
