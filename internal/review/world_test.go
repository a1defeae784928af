package review

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// desk is a reviewer over a forge in memory, a store on disk, and an engine and a
// repository that say what they are told to say.
type desk struct {
	testing.TB
	*Reviewer
	forge *fakeForge
	time  time.Time
	log   bytes.Buffer

	head        string                         // of the branch, accepted
	judge       map[string]reconcile.Judgement // by the commit that is judged
	judged      []reconcile.Proposal           // what was judged
	moved       map[string]bool                // heads that the repository does not have
	merged      map[string]Merged              // by head
	broken      error                          // the repository can't be read
	changed     []string                       // paths that differ between any two heads of the branch
	rules       bool                           // … and whether rules are among them
	now         map[state.ClientID]report.Plan // what would run
	asked       []string                       // what actions were asked for
	refuse      map[string]error               // of an action, by its argument
	approved    report.Approval                // what an approval comes to
	retold      int
	whileJudged func()
	misjudges   error
}

func commitID(s string) string {
	return strings.Repeat(fmt.Sprintf("%02x", s[0]), 19) + fmt.Sprintf("%02x", s[len(s)-1])
}

func newDesk(t testing.TB, before ...func(d *desk)) *desk {
	t.Helper()
	keys, err := secret.Open(secret.KeySource{Env: state.NewSecret(strings.Repeat("0a", 32))})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{TB: t, time: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), head: commitID("base"), judge: map[string]reconcile.Judgement{}, moved: map[string]bool{}, merged: map[string]Merged{}, now: map[state.ClientID]report.Plan{}, refuse: map[string]error{}}
	clock := func() time.Time { return d.time }
	s, err := bolt.Open(bolt.Options{Path: filepath.Join(t.TempDir(), "state.db"), Keys: keys, Now: clock, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	d.forge = newForge(clock)
	act := func(_ context.Context, what, arg, by string) error {
		if err := d.refuse[arg]; err != nil {
			return err
		}
		d.asked = append(d.asked, what+" "+arg+" by "+by)
		return nil
	}
	d.Reviewer = &Reviewer{Engine: (*deskEngine)(d), Git: (*deskGit)(d), Forge: d.forge, Store: s, Branch: "main", Web: "https://forge.example/agency/clients", Now: clock, Log: slog.New(slog.NewTextHandler(&d.log, nil)),
		Quiet: 5 * time.Second, Patience: 15 * time.Second, Actions: Actions{
			Retry: func(ctx context.Context, client, by string) error { return act(ctx, "retry", client, by) },
			Approve: func(ctx context.Context, fp, by string) (report.Approval, error) {
				return d.approved, act(ctx, "approve", fp, by)
			},
		}}
	for _, f := range before {
		f(d)
	}
	d.sync() // what was there before we came is nobody's command
	d.later(time.Minute)
	return d
}

func (d *desk) later(by time.Duration) { d.time = d.time.Add(by) }

// sync looks once.
func (d *desk) sync() {
	d.Helper()
	if _, err := d.Sync(d.Context()); err != nil {
		d.Fatal(err)
	}
}

// tell empties the outbox as the engine does: the newest of each subject, in order. What
// can't be told stays; its errors come back.
func (d *desk) tell() (errs error) {
	d.Helper()
	for range 10 {
		waiting := d.outbox()
		last := map[string]uint64{}
		for _, r := range waiting {
			last[r.Subject] = r.Seq
		}
		var gone []uint64
		errs = nil
		for _, r := range waiting {
			if last[r.Subject] == r.Seq {
				if err := d.Deliver(d.Context(), r); err != nil {
					errs = errors.Join(errs, fmt.Errorf("%s: %w", r.Subject, err))
					continue
				}
			}
			gone = append(gone, r.Seq)
		}
		if len(gone) == 0 {
			return errs
		}
		d.update(func(tx store.Tx) error {
			for _, seq := range gone {
				if err := store.DeleteReport(tx, seq); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return errs
}

func (d *desk) outbox() (all []state.Report) {
	d.Helper()
	d.view(func(tx store.Tx) (err error) { all, err = store.Reports(tx); return err })
	return all
}

// look syncs and tells until nothing more comes of it.
func (d *desk) look() {
	d.Helper()
	for range 3 {
		d.sync()
		if err := d.tell(); err != nil {
			d.Fatal(err)
		}
	}
}

func (d *desk) view(f func(tx store.Tx) error) {
	d.Helper()
	if err := d.Store.View(f); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) update(f func(tx store.Tx) error) {
	d.Helper()
	if err := d.Store.Update(f); err != nil {
		d.Fatal(err)
	}
}

// open opens a pull request, or pushes to it, whose head makes these changes.
func (d *desk) open(n int, head string, names ...string) string {
	d.Helper()
	return d.propose(forge.Pull{Number: n, Title: fmt.Sprintf("Change %d", n), Author: "dana", HeadRef: fmt.Sprintf("branch-%d", n)}, head, names...)
}

func (d *desk) propose(p forge.Pull, head string, names ...string) string {
	d.Helper()
	head = commitID(head)
	p.Head, p.BaseRef, p.Open, p.URL = head, "main", true, fmt.Sprintf("https://forge.example/agency/clients/pull/%d", p.Number)
	d.forge.pulls[p.Number] = p
	d.changes(head, names...)
	return head
}

// changes says what a head changes: one step of each of these clients.
func (d *desk) changes(head string, names ...string) {
	j := reconcile.Judgement{Preview: report.Plan{Commit: head, Fingerprint: "all", Changes: []report.Change{}, Problems: []report.Problem{}}}
	m := Merged{At: []accept.File{{Path: "clients/there.yaml", Data: []byte("there")}}}
	m.Files = slices.Clone(m.At)
	for _, name := range names {
		j.Changes = append(j.Changes, report.Change{Client: name, Fingerprint: "of" + name, Steps: []report.Step{{Step: "database", Action: "create", Ref: "database/main", Provider: "sqlite", Reason: "it is new"}}})
		j.Clients = append(j.Clients, state.PullClient{Name: name, Hosts: []string{name + ".example"}})
		j.Shown = append(j.Shown, "print-"+name)
		m.Files = append(m.Files, accept.File{Path: "clients/" + name + ".yaml", Data: []byte(name + " " + head)})
	}
	d.judge[head], d.merged[head] = j, m
}

func (d *desk) record(n int) (p state.Pull) {
	d.Helper()
	d.view(func(tx store.Tx) (err error) {
		var ok bool
		if p, ok, err = store.Pull(tx, n); !ok && err == nil {
			err = fmt.Errorf("pull request %d is not on record", n)
		}
		return err
	})
	return p
}

func (d *desk) comment(author string, n int, body string) int64 {
	d.forge.mu.Lock()
	defer d.forge.mu.Unlock()
	return d.forge.add(author, int64(len(author)), n, body).ID
}

// said are our comments of a kind on a pull request.
func (d *desk) said(n int, kind string) (out []string) {
	d.forge.mu.Lock()
	defer d.forge.mu.Unlock()
	for _, c := range d.forge.comments {
		if k, _, ok := report.MarkerOf(c.Body); ok && k == kind && c.Pull == n && c.Author == d.forge.me.Login {
			out = append(out, c.Body)
		}
	}
	return out
}

func (d *desk) status(commit, context string) (s forge.Status) {
	d.forge.mu.Lock()
	defer d.forge.mu.Unlock()
	for _, t := range d.forge.statuses[commit] {
		if t.Context == "reconciler/"+context {
			s = t
		}
	}
	return s
}

func (d *desk) wantStatus(commit, context string, want forge.State, words string) {
	d.Helper()
	if s := d.status(commit, context); s.State != want || !strings.Contains(s.Description, words) {
		d.Errorf("reconciler/%s of %.7s is %q: %q; want %s: …%s…", context, commit, s.State, s.Description, want, words)
	}
}

// writes are how often the forge was written to, by method.
func (d *desk) writes() (n int) {
	for _, m := range []string{"CreateComment", "EditComment", "SetStatus", "CreateDeployment", "SetDeployment", "PutCheck", "Suggest", "Unsuggest", "React", "DeleteComment"} {
		n += d.forge.calls[m]
	}
	return n
}

// accept makes a commit the branch's head, brought by these pull requests, with what became
// of clients.
func (d *desk) accept(head string, range_ []string, fates map[string]string, pulls ...int) {
	d.Helper()
	d.head = head
	d.update(func(tx store.Tx) error {
		v := state.Verdict{Commit: head, At: d.time, Commits: append(range_, head), State: "success", Ended: d.time, Clients: map[state.ClientID]string{}}
		for name, fate := range fates {
			id := state.ClientID(name + "-1")
			v.Clients[id] = fate
			switch fate {
			case "pending":
				v.State = "pending"
			case "failed", "held":
				if v.State != "pending" {
					v.State = "failure"
				}
			}
			c := state.Client{ID: id, Name: name, Status: state.StatusActive, Settled: fate != "pending", Generation: 1, Commit: head}
			if err := store.PutClient(tx, c); err != nil {
				return err
			}
			if _, err := store.AddReport(tx, state.Report{Subject: "commit/" + head + "/client/" + name, State: stateOf(fate), Text: fate, At: d.time}); err != nil {
				return err
			}
		}
		heads, err := store.VerdictHeads(tx)
		if err != nil {
			return err
		}
		v.Seq = uint64(len(heads) + 1)
		if err := store.PutVerdict(tx, v); err != nil {
			return err
		}
		for _, n := range pulls {
			p, ok, err := store.Pull(tx, n)
			if err != nil || !ok {
				return errors.Join(err, fmt.Errorf("pull request %d: %t", n, ok))
			}
			p.Accepted = append(p.Accepted, head)
			if err := store.PutPull(tx, p); err != nil {
				return err
			}
		}
		_, err = store.AddReport(tx, state.Report{Subject: "commit/" + head, State: v.State, Text: v.State, At: d.time})
		return err
	})
}

func stateOf(fate string) string {
	switch fate {
	case "pending":
		return "pending"
	case "failed", "held":
		return "failure"
	}
	return "success"
}

// mergeAt says that a pull request was merged with this commit.
func (d *desk) mergeAt(n int, commit string) {
	d.forge.mu.Lock()
	defer d.forge.mu.Unlock()
	p := d.forge.pulls[n]
	p.Open, p.Merged, p.MergeCommit = false, true, commit
	d.forge.pulls[n] = p
}

type deskEngine desk

func (e *deskEngine) Judge(_ context.Context, p reconcile.Proposal) (reconcile.Judgement, error) {
	e.judged = append(e.judged, p)
	if e.whileJudged != nil {
		e.whileJudged()
	}
	if e.misjudges != nil {
		return reconcile.Judgement{}, e.misjudges
	}
	j := e.judge[p.Commit]
	if p.Static {
		j.Changes, j.Shown = []report.Change{}, nil
	}
	return j, nil
}
func (e *deskEngine) Head() string { return e.head }
func (e *deskEngine) PlanOf(_ context.Context, id state.ClientID) (report.Plan, error) {
	return e.now[id], nil
}
func (e *deskEngine) Told()   {}
func (e *deskEngine) Retell() { e.retold++ }

type deskGit desk

func (g *deskGit) Bring(_ context.Context, number int, head string) error {
	if g.broken != nil {
		return g.broken
	}
	if g.moved[head] {
		return fmt.Errorf("pull request %d: %w", number, ErrMoved)
	}
	return nil
}

func (g *deskGit) Changed(context.Context, string, string) ([]string, bool, error) {
	return g.changed, g.rules, g.broken
}

func (g *deskGit) Merged(_ context.Context, _ int, _, head string) (Merged, error) {
	return g.merged[head], g.broken
}
