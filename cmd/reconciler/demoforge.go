package main

import (
	"net/http"
	"path/filepath"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/web"
)

// Where the demo's forge is, and whose its repository is there.
const (
	forgePath = "/forge"
	demoOwner = "demo"
)

// openDemoForge makes the forge of the demo: the daemon speaks with it over HTTP as it
// speaks with GitHub, webhooks included, and people use its pages.
func (p *program) openDemoForge(git *gitserver.Server, o demoOptions) error {
	base := "http://" + o.listen
	g := p.config.GitHub
	f, err := simulated.New(simulated.Options{Git: git, Dir: filepath.Join(o.dir, "forge"), Owner: demoOwner, Repo: demoRepository, Now: p.now,
		Tokens: []simulated.Token{{Secret: g.Token.Secret, Login: "reconciler",
			Permissions: map[string]string{"contents": "read", "pull_requests": "write", "issues": "write", "statuses": "write", "deployments": "write"}}},
		WebhookURL: base + webhookPath, WebhookSecret: g.WebhookSecret.Secret,
		BaseURL: base + forgePath, CloneURL: base + "/git/" + demoRepository + ".git", Home: base + "/", Visitor: "you"})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, f.Close)
	f.AddUser("reconciler", "write")
	f.AddUser("you", "admin")
	pages, err := f.Pages()
	if err != nil {
		return err
	}
	api := f.API()
	if p.over != nil {
		api = p.over("github", api)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/v3/", api)
	mux.Handle("/", pages)
	p.forge = web.FromHere(http.StripPrefix(forgePath, mux))
	return nil
}

// forgeURL is where people find the demo's pull requests.
func (p *program) forgeURL() string { return "http://" + p.listensAt() + forgePath + "/" }
