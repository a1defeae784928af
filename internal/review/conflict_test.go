package review_test

import (
	"context"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/review"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// still is an engine at a head that judges nothing.
type still struct{ review.Engine }

func (still) Head() string { return "base" }
func (still) Told()        {}
func (still) Retell()      {}

// clash is a repository in which the one pull request conflicts.
type clash struct{}

func (clash) Bring(context.Context, int, string) error { return nil }
func (clash) Changed(context.Context, string, string) ([]string, bool, error) {
	return nil, false, nil
}
func (clash) Merged(context.Context, int, string, string) (review.Merged, error) {
	at := []accept.File{{Path: "clients/a.yaml", Blob: "b1"}}
	half := []accept.File{{Path: "clients/a.yaml", Blob: "b2"}}
	return review.Merged{At: at, Files: half, Conflicts: []string{"clients/a.yaml"}}, nil
}

// one is a forge with one pull request.
type one struct{ forge.Forge }

func (one) Open(context.Context, string) ([]forge.Pull, error) {
	return []forge.Pull{{Number: 1, Head: "head", BaseRef: "main", Open: true}}, nil
}
func (one) CommentsSince(context.Context, time.Time) ([]forge.Comment, error) { return nil, nil }

// What conflicts is planned once for a head, though its clients were at work when it was
// planned before: there is nothing of it to plan again.
func TestConflictsAreNotPlannedAgain(t *testing.T) {
	keys, err := secret.Open(secret.KeySource{File: t.TempDir() + "/key"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	db, err := bolt.Open(bolt.Options{Path: t.TempDir() + "/state.db", Keys: keys, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before := state.Pull{Number: 1, Open: true, Head: "head", Planned: "head", Base: "before", Moving: true, Taken: "a.example other", Clients: []state.PullClient{{Name: "a"}}}
	if err := db.Update(func(tx store.Tx) error { return store.PutPull(tx, before) }); err != nil {
		t.Fatal(err)
	}
	r := &review.Reviewer{Engine: still{}, Git: clash{}, Forge: one{}, Store: db, Branch: "main", Now: func() time.Time { return now }, Quiet: time.Minute, Patience: time.Hour}
	if _, err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	next, err := r.Sync(t.Context())
	if err != nil || !next.IsZero() {
		t.Errorf("it is planned again at %v: %v", next, err)
	}
	var p state.Pull
	if err := db.View(func(tx store.Tx) (err error) { p, _, err = store.Pull(tx, 1); return err }); err != nil {
		t.Fatal(err)
	}
	if !p.Static || len(p.Files) != 1 || p.Files["clients/a.yaml"] == "b2" {
		t.Errorf("half a merge is on record as shown: %+v", p)
	}
}
