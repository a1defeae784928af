package github

import (
	"context"
	"slices"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// Deployments returns the deployments of a commit in an environment, the newest first.
func (a *API) Deployments(ctx context.Context, commit, environment string) ([]forge.Deployment, error) {
	const op = "list deployments"
	if !isCommit(commit) {
		return nil, fail(ctx, op, notCommit())
	}
	out, err := list(func(page gh.ListOptions) ([]*gh.Deployment, *gh.Response, error) {
		return a.client.Repositories.ListDeployments(with(ctx, call{conditional: true}), a.owner, a.repo, &gh.DeploymentsListOptions{
			SHA: commit, Environment: environment, ListOptions: page,
		})
	}, deploymentOf)
	if err != nil {
		return nil, fail(ctx, op, err)
	}
	slices.SortStableFunc(out, func(d, e forge.Deployment) int {
		switch {
		case d.ID > e.ID:
			return -1
		case d.ID < e.ID:
			return 1
		}
		return 0
	})
	return out, nil
}

// CreateDeployment says that a commit is being deployed in an environment. GitHub neither
// merges anything for it nor waits for statuses, which would be our own.
func (a *API) CreateDeployment(ctx context.Context, d forge.Deployment, description string) (forge.Deployment, error) {
	const op = "create a deployment"
	if !isCommit(d.Commit) {
		return forge.Deployment{}, fail(ctx, op, notCommit())
	}
	no := false
	got, _, err := a.client.Repositories.CreateDeployment(with(ctx, call{of: telling}), a.owner, a.repo, &gh.DeploymentRequest{
		Ref: &d.Commit, Task: some(d.Task), Environment: &d.Environment, Description: some(short(description)),
		AutoMerge: &no, RequiredContexts: &[]string{},
		// A client's site stays, so it is not transient. It is not called production either,
		// since GitHub's auto_inactive then leaves all former ones "active" for ever.
		TransientEnvironment: &no, ProductionEnvironment: &no,
	})
	if err != nil {
		return forge.Deployment{}, fail(ctx, op, err)
	}
	out, _, err := deploymentOf(got)
	if err != nil {
		return forge.Deployment{}, fail(ctx, op, err)
	}
	return out, nil
}

// SetDeployment says how far a deployment has come. One that succeeds makes the former
// ones of its environment inactive.
func (a *API) SetDeployment(ctx context.Context, id int64, s forge.DeploymentStatus) error {
	const op = "set a deployment's status"
	of := final
	switch s.State {
	case forge.InProgress:
		of = progress
	case forge.DeploymentSuccess, forge.DeploymentFailure, forge.DeploymentError, forge.DeploymentInactive:
	default:
		return fail(ctx, op, &fault{kind: forge.ErrInvalid, words: "there is no such state"})
	}
	state, former := string(s.State), s.State == forge.DeploymentSuccess
	_, _, err := a.client.Repositories.CreateDeploymentStatus(with(ctx, call{of: of}), a.owner, a.repo, id, &gh.DeploymentStatusRequest{
		State: &state, Description: some(short(s.Description)), Environment: some(s.Environment),
		EnvironmentURL: some(s.URL), LogURL: some(s.LogURL), AutoInactive: &former,
	})
	return fail(ctx, op, err)
}

func deploymentOf(d *gh.Deployment) (forge.Deployment, int, error) {
	out := forge.Deployment{ID: d.GetID(), Commit: d.GetSHA(), Environment: text(d.GetEnvironment()), Task: text(d.GetTask())}
	if out.ID <= 0 || !isCommit(out.Commit) {
		return forge.Deployment{}, 0, away("its answer can't be read")
	}
	return out, len(out.Environment), nil
}
