package railway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// A backup is looked at as the official client looks at workflows: once a second, 120 times
// (railwayapp/cli, src/controllers/workflow.rs).
const (
	workflowLooks = 120
	workflowPause = time.Second
)

// Delete implements provider.Provider: a backup first, then the project, which Railway keeps
// for 48 hours (docs.railway.com, projectScheduleDelete), and the backup with it.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	if err := p.ready(ctx, opDelete, kind); err != nil {
		return err
	}
	found, err := p.databases(ctx, []string{id})
	if err != nil || len(found) == 0 {
		return err
	}
	d := found[0]
	switch {
	case d.mark.IsZero():
		return p.fail(provider.Invalid, opDelete, "project "+shown(d.name)+" bears no mark: it is not ours to delete", nil)
	case d.others > 0:
		return p.fail(provider.Invalid, opDelete, fmt.Sprintf("project %s has %d other services, which would go with it: delete the database there by hand", shown(d.name), d.others), nil)
	}
	if d.volume != nil && d.volume.CurrentSizeMB > 0 {
		if err := p.backUp(ctx, d); err != nil {
			return err
		}
	}
	c := caller{p, opDelete}
	got, err := scheduleDelete(ctx, c, d.id)
	return c.did(err, err == nil && got.ProjectScheduleDelete)
}

// backUp makes a backup, unless an earlier try of today did.
func (p *Provider) backUp(ctx context.Context, d *database) error {
	name := "before deletion, " + p.now().UTC().Format(time.DateOnly)
	look := caller{p, opObserve}
	have, err := backups(ctx, look, d.volume.Id)
	if err != nil {
		return err
	}
	if have.VolumeInstanceBackupList == nil {
		return look.odd(errors.New("the backups are no list"))
	}
	if slices.ContainsFunc(have.VolumeInstanceBackupList, func(b backupNode) bool { return b.Name == name }) {
		return nil
	}
	c := caller{p, opDelete}
	made, err := backUp(ctx, c, d.volume.Id, name)
	if err != nil {
		return err
	}
	id := made.VolumeInstanceBackupCreate.WorkflowId
	if id == "" {
		return c.odd(errors.New("the backup's workflow has no id"))
	}
	for range workflowLooks {
		got, err := workflow(ctx, look, id)
		if err != nil {
			return err
		}
		switch w := got.WorkflowStatus; w.Status {
		case WorkflowStatusComplete:
			return nil
		case WorkflowStatusError:
			return p.fail(provider.Invalid, opDelete, "nothing was deleted: the backup before it failed ("+shown(w.Error)+"); make one at Railway, or delete the project there", nil)
		}
		// NotFound comes at first: workflows show late.
		if err := p.sleep(ctx, workflowPause); err != nil {
			return p.fail(provider.Transient, opDelete, "given up while the backup was being made", err)
		}
	}
	return p.fail(provider.Transient, opDelete, "nothing was deleted: the backup before it is not ready", nil)
}
