package simulated

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/github"
	"github.com/compassdigital/reconciler/internal/state"
)

// program is our own client of the forge, judged, as the App or with a token.
func (s *scene) program(app *github.App) forge.Forge {
	s.t.Helper()
	o := github.Options{APIURL: s.url + "/api/v3/", Owner: owner, Repo: repoN, Base: s.judged(), Pause: -1, Now: s.now, App: app}
	if app == nil {
		o.Token = func() state.Secret { return state.NewSecret(token) }
	}
	a, err := github.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(a.Close)
	return a
}

// The program's own client gets on with it in everything that the contract of a forge says.
func TestTheProgramSpeaksWithIt(t *testing.T) {
	key := newKey(t)
	s := newScene(t, func(o *Options) { theApp(o).Key = &key.PublicKey })
	secret := state.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	f := s.program(&github.App{ID: 77, InstallationID: 4711, Key: secret})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	me, err := f.Me(ctx)
	must(err)
	if me.Login != "compass-reconciler[bot]" || !me.App || me.ID == 0 {
		t.Errorf("%+v", me)
	}
	s.AddUser("dana", "write")
	p, err := f.Permission(ctx, "dana")
	must(err)
	if !p.Writes() {
		t.Errorf("dana has %s", p)
	}
	if p, err := f.Permission(ctx, "stranger"); err != nil && !errors.Is(err, forge.ErrNotFound) || p.Writes() {
		t.Errorf("a stranger has %s, %v", p, err)
	}
	n := s.proposed("plan", "startr")
	open, err := f.Open(ctx, "main")
	must(err)
	if len(open) != 1 || open[0].Number != n || open[0].Author != "dana" || open[0].HeadRef != "plan" || open[0].Fork {
		t.Errorf("%+v", open)
	}
	head := open[0].Head
	c, err := f.CreateComment(ctx, n, "the plan")
	must(err)
	must(f.EditComment(ctx, c.ID, "another"))
	must(f.React(ctx, c.ID, "eyes"))
	must(f.React(ctx, c.ID, "eyes"))
	comments, err := f.Comments(ctx, n)
	must(err)
	if len(comments) != 1 || comments[0].AuthorID != me.ID || comments[0].Body != "another" {
		t.Errorf("%+v", comments)
	}
	since, err := f.CommentsSince(ctx, s.now().Add(-time.Minute))
	must(err)
	if len(since) != 1 || since[0].Pull != n {
		t.Errorf("%+v", since)
	}
	must(f.SetStatus(ctx, head, forge.Status{Context: "reconciler/plan", State: forge.Pending, Description: "…"}))
	must(f.SetStatus(ctx, head, forge.Status{Context: "reconciler/plan", State: forge.Failure, Description: "1 problem", URL: "https://status.example/"}))
	statuses, err := f.Statuses(ctx, head)
	must(err)
	if len(statuses) != 1 || statuses[0].State != forge.Failure {
		t.Errorf("%+v", statuses)
	}
	check := forge.Check{Name: "reconciler", Commit: head, State: forge.Failure, Title: "problems", Summary: "…"}
	for i := range 120 {
		check.Annotations = append(check.Annotations, forge.Annotation{Path: "clients/bakery.yaml", Line: i + 1, Title: "x", Message: "y"})
	}
	must(f.PutCheck(ctx, check))
	if k := s.Checks(head); len(k) == 0 || len(k[len(k)-1].Annotations) != 120 || k[len(k)-1].Conclusion != "failure" {
		t.Errorf("%d checks", len(k))
	}
	g, err := f.Suggest(ctx, forge.Suggestion{Pull: n, Commit: head, Path: "clients/bakery.yaml", Line: 2, Body: "<!-- ours -->\n```suggestion\nplan: starter\n```"})
	must(err)
	if _, err := f.Suggest(ctx, forge.Suggestion{Pull: n, Commit: head, Path: "clients/bakery.yaml", Line: 90, Body: "x"}); !errors.Is(err, forge.ErrInvalid) {
		t.Errorf("outside of the diff: %v", err)
	}
	mine, err := f.Suggestions(ctx, n)
	must(err)
	if len(mine) != 1 || mine[0].ID != g.ID || mine[0].Line != 2 {
		t.Errorf("%+v", mine)
	}
	must(f.Unsuggest(ctx, g))
	must(f.Unsuggest(ctx, g))
	commit, err := s.Merge(n, Squash, "dana")
	must(err)
	of, err := f.PullsOf(ctx, commit)
	must(err)
	if len(of) != 1 || !of[0].Merged || of[0].MergeCommit != commit {
		t.Errorf("%+v", of)
	}
	d, err := f.CreateDeployment(ctx, forge.Deployment{Commit: commit, Environment: "bakery", Task: "reconcile"}, "bakery")
	must(err)
	for _, state := range []forge.DeploymentState{forge.InProgress, forge.DeploymentSuccess} {
		must(f.SetDeployment(ctx, d.ID, forge.DeploymentStatus{State: state, Environment: "bakery", URL: "https://bakery.example", LogURL: "https://log.example", Description: "done"}))
	}
	ds, err := f.Deployments(ctx, commit, "bakery")
	must(err)
	if len(ds) != 1 || ds[0].ID != d.ID || s.Deployments("bakery")[0].State() != "success" {
		t.Errorf("%+v", ds)
	}
	must(f.DeleteComment(ctx, c.ID))
	must(f.DeleteComment(ctx, c.ID))
	if err := f.EditComment(ctx, c.ID, "x"); !errors.Is(err, forge.ErrNotFound) {
		t.Error(err)
	}
	var kinds []string
	for _, w := range s.Writes() {
		kinds = append(kinds, w.Kind)
	}
	for _, want := range []string{"token.create", "comment.create", "reaction.create", "status.create", "check.create", "check.update", "review.create", "deployment.create", "deployment.status"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no %s in %s", want, strings.Join(kinds, " "))
		}
	}
	s.RevokeTokens() // a token that GitHub takes back is replaced, once
	if _, err := f.Open(ctx, "main"); err != nil {
		t.Error(err)
	}
}
