package reconcile_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// disk is a repository on a disk that can't read some files right now.
type disk struct {
	*repository
	sick map[string]bool // paths, and blobs
}

var errDisk = errors.New("input/output error")

func (d *disk) Read(ctx context.Context, path, blob string) (accept.File, error) {
	if d.sick[path] || d.sick[blob] {
		return accept.File{}, errDisk
	}
	return d.repository.Read(ctx, path, blob)
}

func (d *disk) Tree(ctx context.Context, rev string) (string, []accept.File, error) {
	if len(d.sick) > 0 {
		return "", nil, errDisk
	}
	return d.repository.Tree(ctx, rev)
}

// onSickDisk puts the world's repository on such a disk.
func onSickDisk(w *world) *disk {
	d := &disk{w.repo, map[string]bool{}}
	w.engine.Repo = d
	w.change = func(e *reconcile.Engine) { e.Repo = d }
	return d
}

// P1: a file that can't be read right now says nothing of the file. Nothing of its head is
// accepted, and the next poll that can read it accepts what the commit says.
func TestP1AFileThatCannotBeReadRightNow(t *testing.T) {
	freeze := "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2026-11-20T00:00, to: 2026-12-01T00:00, zone: UTC, reason: the big sale}]\n"
	for _, c := range []struct {
		what, path, text string
		then             func(t *testing.T, w *world)
	}{
		{"a new client", "clients/fresh.yaml", client("fresh"), func(_ *testing.T, w *world) { w.want("fresh", state.StatusActive) }},
		{"an edit", "clients/shop.yaml", client("shop", "aliases: [www.shop.example]"), func(t *testing.T, w *world) {
			if r := w.want("shop", state.StatusActive); r.Commit != w.engine.Head() {
				t.Errorf("it runs %s, and the head is %s", r.Commit, w.engine.Head())
			}
		}},
		{"a freeze", "platform.yaml", freeze, func(t *testing.T, w *world) {
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: blue}")})
			if r := w.row("shop"); !strings.Contains(r.Because, "the big sale") {
				t.Errorf("%s: %q: the freeze is not in force", r.Status, r.Because)
			}
		}},
		{"a template", "templates/shop.yaml", template + "defaults: {labels: {team: shops}}\n", func(t *testing.T, w *world) {
			if r := w.want("shop", state.StatusActive); r.Why() != "" {
				t.Errorf("%+v", r)
			}
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
			w.want("shop", state.StatusActive)
			before, seen := w.engine.Head(), w.records()
			v.world.ForgetCalls()
			d := onSickDisk(w)
			d.sick[c.path] = true
			w.repo.commit(map[string]string{c.path: c.text})
			for range 3 {
				if ids, err := w.engine.Poll(t.Context()); !errors.Is(err, errDisk) || !strings.Contains(err.Error(), c.path) || len(ids) > 0 {
					t.Fatalf("the poll: %v, %v", ids, err)
				}
				w.restart()
			}
			if w.engine.Head() != before || w.records() != seen || len(v.writes()) > 0 {
				t.Fatalf("something of the head was accepted: %v", v.writes())
			}
			delete(d.sick, c.path)
			w.pass(w.poll()...)
			overview, err := w.engine.Overview()
			if err != nil || w.engine.Head() == before || len(overview.Problems) > 0 {
				t.Fatalf("the head is %s: %v, %v", w.engine.Head(), overview.Problems, err)
			}
			c.then(t, w)
		})
	}
}

// A file that was invalid is read again with every head; when that fails, the head waits.
func TestP1AnInvalidFileThatCannotBeReadAgain(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/late.yaml": strings.Replace(client("late"), "template: shop", "template: blog", 1)})
	d := onSickDisk(w)
	d.sick["clients/late.yaml"] = true
	w.repo.commit(map[string]string{"templates/blog.yaml": strings.Replace(template, "name: shop", "name: blog", 1)})
	if _, err := w.engine.Poll(t.Context()); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	clear(d.sick)
	w.pass(w.poll()...)
	w.want("late", state.StatusActive)
}

// A rebuild that can't read a version of a file does not take another for the newest good
// one: it ends, with the state as empty as before, and can be asked for again.
func TestS43AVersionThatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		what string
		then map[string]string // commits after the first, one by one in order of their paths
	}{
		{"the last good version of a manifest", map[string]string{"clients/shop.yaml": client("shop", "nonsense: true")}},
		{"the last good version of a template", map[string]string{"templates/shop.yaml": "nonsense"}},
		{"the manifest of what has none any more", map[string]string{"clients/shop.yaml": ""}},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: blue}"), "clients/other.yaml": client("other")})
			w.want("shop", state.StatusActive)
			for _, p := range slices.Sorted(maps.Keys(c.then)) {
				w.repo.commit(map[string]string{p: c.then[p]})
			}
			w.lose()
			d := onSickDisk(w)
			for p := range c.then {
				d.sick[w.repo.trees[w.repo.order[1]][p]] = true // as it was
			}
			if _, err := w.engine.Rebuild(t.Context(), "ops"); !errors.Is(err, errDisk) {
				t.Fatalf("rebuilt without what can't be read: %v", err)
			}
			clear(d.sick)
			out, err := w.engine.Rebuild(t.Context(), "ops")
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Clients {
				if r.Name == "shop" && r.What == "new" {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// A file that is there and is none that is read is an error in a plan, and its client is
// not taken for gone.
func TestP5AnUnreadableFileIsNoRemovalInAPlan(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	commit, files, err := w.repo.Tree(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if f.Path == "clients/shop.yaml" {
			files[i] = accept.File{Path: f.Path, Err: "not a regular file"}
		}
	}
	p, err := w.engine.PreviewOf(t.Context(), commit, files, nil)
	if err != nil || len(p.Changes) > 0 || len(p.Problems) != 1 || p.Problems[0].Path != "clients/shop.yaml" {
		t.Errorf("%+v, %v", p, err)
	}
}
