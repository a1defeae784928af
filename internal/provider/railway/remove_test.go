package railway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// Before a database goes there is a backup of it, one, however often the delete is tried and
// whichever of its answers is lost.
func TestP5BackupBeforeDelete(t *testing.T) {
	for _, lost := range []string{"", "backups", "workflow", "scheduleDelete"} {
		t.Run("lost "+lost, func(t *testing.T) {
			w := start(t)
			p := w.open()
			o := w.made(p, 1, public)
			w.vendor.Fill(o.ID, 400)
			w.faults.Add(simulator.Fault{Match: simulated.Operation(lost), Do: simulator.LoseAnswer()})
			tries := 0
			for err := p.Delete(context.Background(), state.KindDatabase, o.ID); err != nil; err = p.Delete(context.Background(), state.KindDatabase, o.ID) {
				if tries++; tries > 3 || provider.KindOf(err) != provider.Transient && provider.KindOf(err) != provider.Uncertain {
					t.Fatalf("delete: %v", err)
				}
				w.clock.move(time.Minute) // the engine looks, and tries again
			}
			if x := w.vendor.Projects()[0]; !x.Deleted || x.Backups != 1 {
				t.Errorf("at Railway: %+v", x)
			}
			if found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: o.ID}); err != nil || len(found) != 0 {
				t.Errorf("found after its delete: %v, %v", found, err)
			}
		})
	}
}

// A backup that fails, or does not come to an end, leaves all as it is.
func TestP5NoBackupNoDelete(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1, public)
	w.vendor.Fill(o.ID, 4000) // more than half of its volume
	err := p.Delete(context.Background(), state.KindDatabase, o.ID)
	if provider.KindOf(err) != provider.Invalid || !strings.Contains(err.Error(), "nothing was deleted: the backup before it failed (The volume is too full") {
		t.Errorf("delete: %v", err)
	}
	w.vendor.Fill(o.ID, 40)
	hour := 0
	slow := w.open(func(o *Options) {
		o.Sleep = func(context.Context, time.Duration) error { hour++; return nil } // no time passes
	})
	if err := slow.Delete(context.Background(), state.KindDatabase, o.ID); provider.KindOf(err) != provider.Transient || hour != workflowLooks {
		t.Errorf("delete: %v after %d looks", err, hour)
	}
	ctx, cancel := context.WithCancel(context.Background())
	given := w.open(func(o *Options) {
		o.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return context.Cause(ctx) }
	})
	if err := given.Delete(ctx, state.KindDatabase, o.ID); provider.KindOf(err) != provider.Transient {
		t.Errorf("delete that was given up: %v", err)
	}
	if x := w.vendor.Projects()[0]; x.Deleted {
		t.Errorf("at Railway: %+v", x)
	}
}

// What was never whole, or holds nothing, needs no backup.
func TestDeleteUnfinished(t *testing.T) {
	for n, step := range steps()[1:] {
		w := start(t)
		p := w.open()
		w.faults.Add(simulator.Fault{Match: simulated.Operation(step), Do: simulator.LoseRequest()})
		o, err := p.Create(context.Background(), wish(1, public))
		if err != nil || o.Phase != provider.Unfinished {
			t.Fatalf("%d %s: %+v, %v", n, step, o, err)
		}
		if err := p.Delete(context.Background(), state.KindDatabase, o.ID); err != nil {
			t.Errorf("%s: %v", step, err)
		}
		if x := w.vendor.Projects()[0]; !x.Deleted || x.Backups != 0 {
			t.Errorf("%s: at Railway: %+v", step, x)
		}
	}
}

// aProject makes a project as people do at Railway's page: by calls of its API.
func (w *world) aProject(p *Provider, name, description string, services ...string) string {
	w.t.Helper()
	ctx, c := context.Background(), caller{p, opCreate}
	workspace, err := p.inWorkspace(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	made, err := makeProject(ctx, c, workspace, name, description, environmentName)
	if err != nil {
		w.t.Fatal(err)
	}
	id, home := made.ProjectCreate.Id, made.ProjectCreate.Environments.Edges[0].Node.Id
	for _, s := range services {
		service, err := makeService(ctx, c, id, home, s, variablesFor("invented", kept{}))
		if err == nil && strings.Contains(strings.ToLower(s), "postgres") {
			_, err = makeVolume(ctx, c, id, home, service.ServiceCreate.Id, dataPath)
		}
		image := "docker.io/library/" + strings.ToLower(s) + ":17"
		if err == nil {
			_, err = setImage(ctx, c, home, service.ServiceCreate.Id, image)
		}
		if err == nil {
			_, err = deploy(ctx, c, home, service.ServiceCreate.Id)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return id
}

// S54: projects of our name without our mark, or with somebody else's, or with a mark
// that is none, are told as what they are and never touched.
func TestS54LookAlikes(t *testing.T) {
	w := start(t)
	p := w.open()
	name := wish(1, private).Name
	theirs := provider.Mark{Installation: "deadbeef", Client: "c00001", Generation: 1}
	for _, description := range []string{"", "our shop", theirs.Text(), wish(1, private).Mark.Text() + "/2", "reconciler:" + ours, wish(1, private).Mark.Text() + " is not the last line\nx"} {
		w.aProject(p, name, description, "Postgres")
	}
	w.clock.move(time.Minute)
	found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, Name: name})
	if err != nil || len(found) != 6 {
		t.Fatalf("%d found, %v", len(found), err)
	}
	before := fmt.Sprint(w.vendor.Projects())
	for _, o := range found {
		if o.Mark != (provider.Mark{}) && o.Mark != theirs {
			t.Errorf("a mark: %+v", o)
		}
		if o.Mark.IsZero() {
			if err := p.Delete(context.Background(), state.KindDatabase, o.ID); provider.KindOf(err) != provider.Invalid {
				t.Errorf("delete without a mark: %v", err)
			}
		}
	}
	if owned, err := p.Owned(context.Background(), ours); err != nil || len(owned) != 0 {
		t.Errorf("owned: %v, %v", owned, err)
	}
	if after := fmt.Sprint(w.vendor.Projects()); after != before {
		t.Errorf("something changed: %s\n%s", before, after)
	}
	made := w.made(p, 1, private)
	if owned, err := p.Owned(context.Background(), ours); err != nil || len(owned) != 1 || owned[0].ID != made.ID {
		t.Errorf("owned: %v, %v", owned, err)
	}
}

// Adoption: a database that people made is read by its project's id; marking it changes
// nothing else, and it is not deleted while other services are beside it.
func TestAdopted(t *testing.T) {
	w := start(t)
	p := w.open()
	id := w.aProject(p, "old shop", "the shop of 2019\nask Dana", "Web", "Postgres")
	w.clock.move(time.Minute)
	o := w.ready(p, id)
	if o.Name != "old shop" || !o.Mark.IsZero() || attribute(o, "access") != private || !strings.Contains(output(o, "url"), "invented") {
		t.Fatalf("as it was: %+v", o)
	}
	if _, err := p.Update(context.Background(), id, wish(1, private)); err != nil {
		t.Fatal(err)
	}
	marked := w.ready(p, id)
	x := w.vendor.Projects()[0]
	if marked.Mark != wish(1, private).Mark || marked.Name != "old shop" || x.Description != "the shop of 2019\nask Dana\n"+wish(1, private).Mark.Text() || x.Services != 2 || x.Volumes != 1 || x.Deployments != 2 {
		t.Errorf("marked: %+v, %+v", marked, x)
	}
	if url := output(marked, "url"); url != output(o, "url") {
		t.Error("its URL is another one")
	}
	if err := p.Delete(context.Background(), state.KindDatabase, id); provider.KindOf(err) != provider.Invalid || !strings.Contains(err.Error(), "1 other service") {
		t.Errorf("delete: %v", err)
	}
	both := w.aProject(p, "two", "", "postgres-a", "postgres-b")
	w.clock.move(time.Hour)
	if found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: both}); err != nil || len(found) != 1 || found[0].Phase == provider.Ready {
		t.Errorf("which of two: %+v, %v", found, err)
	}
}

// What ended badly says so; what needs a person says what for.
func TestEnds(t *testing.T) {
	for status, want := range map[string]provider.Phase{"FAILED": provider.Failed, "CRASHED": provider.Failed, "REMOVED": provider.Failed, "SKIPPED": provider.Failed,
		"NEEDS_APPROVAL": provider.Manual, "SLEEPING": provider.Ready, "WAITING": provider.Progressing, "REMOVING": provider.Progressing} {
		w := start(t)
		p := w.open()
		o := w.made(p, 1, private)
		w.vendor.End(o.ID, status)
		found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: o.ID})
		if err != nil || len(found) != 1 || found[0].Phase != want || (want != provider.Ready) != (found[0].Message != "") {
			t.Errorf("%s: %+v, %v", status, found, err)
		}
	}
}
