package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/github"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/review"
	"github.com/compassdigital/reconciler/internal/source"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// How pull requests are looked at.
const (
	pushQuiet    = 5 * time.Second  // a branch that is pushed to again and again is planned when it rests
	pushPatience = 15 * time.Second // … or after this
	webhookPath  = "/webhooks/github"
	// maxMerged and maxMergedBytes are what a pull request may change: anybody can open one.
	maxMerged      = 20_000
	maxMergedBytes = 128 << 20
	listPause      = time.Second    // between two looks at lists, which cost nothing while they don't change
	redeliverFor   = 72 * time.Hour // GitHub keeps deliveries for three days
)

// openGitHub makes what speaks with GitHub, where it is configured.
func (p *program) openGitHub(c Config) error {
	g := c.GitHub
	if !g.on() {
		return nil
	}
	o := github.Options{APIURL: g.APIURL, Owner: g.Owner, Repo: g.Repo, CAFile: c.Network.CAFile, Now: p.now, Sleep: p.sleep, Log: p.log}
	if c.PublicURL != "" {
		o.Webhook = strings.TrimSuffix(c.PublicURL, "/") + webhookPath
	}
	if p.quick || onThisMachine(g.APIURL) {
		o.Pause = -1
	}
	if g.App.ID != "" {
		o.App = &github.App{ID: numberOf(g.App.ID), InstallationID: numberOf(g.App.InstallationID), Key: g.App.PrivateKey.Secret}
	} else {
		o.Token = func() state.Secret { return g.Token.Secret }
	}
	api, err := github.New(o)
	if err != nil {
		return err
	}
	p.github = api
	p.closers = append(p.closers, func() error { api.Close(); return nil })
	return nil
}

// openForge makes what reads pull requests, where a forge is configured. The engine is
// there already.
func (p *program) openForge(c Config, layout manifest.Layout, repo *repository) error {
	g := c.GitHub
	if p.github == nil {
		return nil
	}
	quiet, patience := pushQuiet, pushPatience
	read := &pulls{repo: repo, api: p.github, into: c.Repository.Branch}
	p.reviewer = &review.Reviewer{Engine: p.engine, Git: read, Queue: read, Forge: p.github, Store: p.store, Branch: c.Repository.Branch, Web: webOf(g), App: g.App.ID != "",
		Now: p.now, Log: p.log, Quiet: quiet, Patience: patience, Pages: p.addresses(), Actions: review.Actions{
			Retry: func(_ context.Context, client, by string) error {
				id, err := p.engine.Retry(client, by)
				if err == nil {
					p.daemon.Queue().Add(reconcile.CauseRetry, id)
				}
				return err
			},
			Approve: func(ctx context.Context, fingerprint, by string) (report.Approval, error) {
				ids, told, err := p.engine.ApproveTold(ctx, fingerprint, by)
				p.daemon.Queue().Add(reconcile.CauseApprove, ids...)
				if err == nil {
					p.daemon.Hint() // a head that was held is judged again
				}
				return told, err
			},
		}}
	p.daemon.Schedules = append(p.daemon.Schedules, daemon.Schedule{Name: "statuses", Spec: "@every 1h", Run: p.reviewer.Watch, Remember: true})
	p.daemon.Schedules = append(p.daemon.Schedules, daemon.Schedule{Name: "access", Spec: accessEvery, Run: p.access, Looks: true})
	passed := &spaced{every: hintPause, now: time.Now, do: p.reviewer.Hint}
	p.closers = append(p.closers, passed.close)
	p.daemon.OnPass = passed.ask // a plan of what was at work is made again
	last := ""
	p.daemon.OnPoll = func(error) {
		if head := p.engine.Head(); head != last { // polls don't overlap
			last = head
			p.reviewer.Hint()
		}
	}
	if secrets := g.hookSecrets(); len(secrets) > 0 {
		hook, err := github.NewHook(secrets...)
		if err != nil {
			return fmt.Errorf("github.webhookSecret: %w", err)
		}
		p.webhooks, err = github.NewHandler(github.HandlerOptions{Hook: hook, Repository: g.Owner + "/" + g.Repo, Note: p.noted(), Now: p.now})
		return err
	}
	return nil
}

// noted returns what is told of what a webhook says to look at; it only wakes who looks.
func (p *program) noted() func(github.Hint) {
	branch := &spaced{every: hintPause, now: time.Now, do: p.daemon.Hint}
	pulls := &spaced{every: listPause, now: time.Now, do: p.reviewer.Hint}
	p.closers = append(p.closers, branch.close, pulls.close)
	return func(h github.Hint) {
		if h.Branch == p.config.Repository.Branch {
			branch.ask()
		}
		if h.Rerun {
			p.reviewer.Again(h.Pull)
		}
		pulls.ask()
	}
}

func numberOf(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// addresses are those of our own pages; without a public address there are none to give.
func (p *program) addresses() review.Pages {
	at := func(path string) string {
		base := strings.TrimSuffix(p.config.PublicURL, "/")
		if base == "" && p.forge != nil {
			base = "http://" + p.listensAt()
		}
		if base == "" {
			return ""
		}
		return base + path
	}
	return review.Pages{
		Site:   p.here,
		Pull:   func(n int) string { return at("/pulls/" + strconv.Itoa(n)) },
		Commit: func(c string) string { return at("/commits/" + url.PathEscape(c)) },
		Client: func(name string) string { return at("/clients/" + url.PathEscape(name)) },
	}
}

// onThisMachine says that an address is of the loopback: nobody's limits are spared there.
func onThisMachine(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return err == nil && a.IsLoopback()
}

// away says that the forge can't be told now; what is to be told stays in the outbox.
func away(err error) bool {
	var l *forge.Limited
	return errors.Is(err, forge.ErrAway) || errors.As(err, &l)
}

// sameHost says that a repository is at the forge whose API this is: its token is for there.
func sameHost(repository, api string) bool {
	r, err := url.Parse(repository)
	if err != nil || r.Scheme != "https" && r.Scheme != "http" {
		return false
	}
	if api == "" || strings.HasPrefix(api, github.DefaultURL) {
		return r.Hostname() == "github.com" && r.Scheme == "https"
	}
	a, err := url.Parse(api)
	return err == nil && a.Host == r.Host && a.Scheme == r.Scheme
}

// webOf is the repository's page.
func webOf(g GitHubConfig) string {
	host := "https://github.com"
	if u, err := url.Parse(g.APIURL); err == nil && g.APIURL != "" && u.Hostname() != "api.github.com" {
		host = u.Scheme + "://" + u.Host + strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/api/v3")
	}
	return host + "/" + url.PathEscape(g.Owner) + "/" + url.PathEscape(g.Repo)
}

// review runs what reads pull requests, until ctx ends.
func (p *program) review(ctx context.Context) {
	if p.reviewer == nil {
		return
	}
	if p.daemon.Started(ctx) != nil {
		return
	}
	_ = p.access(ctx) // it is logged
	if p.webhooks != nil && p.config.PublicURL != "" {
		// What was lost while we were away; looks find it, too, a little later.
		if n, err := p.github.Redeliver(ctx, p.now().Add(-redeliverFor)); err != nil {
			p.log.Info("failed webhooks can't be asked for again; looks find what they told", "error", err)
		} else if n > 0 {
			p.log.Info("failed webhooks are asked for again", "deliveries", n)
		}
	}
	p.reviewer.Run(ctx, p.daemon.Every)
}

// accessEvery is how often GitHub is asked what we may do: permissions are taken and given while we run.
const accessEvery = "@every 10m"

// access asks GitHub what we may do, and says what of it is other than before. What a GitHub that does not
// answer said before stays.
func (p *program) access(ctx context.Context) error {
	x, err := p.github.Check(ctx)
	var said []string
	switch {
	case errors.Is(err, forge.ErrDenied):
		said = []string{fmt.Sprintf("GitHub does not let us in: %v; plans and results wait, and are told when it does. See the access at GitHub: README, On GitHub", err)}
	case err != nil:
		if ctx.Err() == nil {
			p.log.Warn("GitHub can't be asked what we may do; the rest goes on", "error", err)
		}
		return nil
	}
	for _, n := range x.Missing {
		said = append(said, fmt.Sprintf("GitHub does not let us: %s is missing (%s); the rest goes on", n, n.For))
	}
	for _, n := range x.Notes {
		said = append(said, n.String())
	}
	if at := x.Expires; !at.IsZero() && at.Sub(p.now()) < soonExpired {
		said = append(said, fmt.Sprintf("the token for GitHub ends on %s, and Git and GitHub with it: make the next one now (github.token)", at.UTC().Format("2 January 2006")))
	}
	lines := slices.Concat(said, x.Lines())
	if before := p.lacks.Swap(&lacks{said, lines}); before != nil && slices.Equal(before.lines, lines) {
		return nil
	}
	if err != nil {
		p.log.Warn("access to GitHub", "error", err)
	}
	for _, line := range x.Lines() {
		if len(x.Notes)+len(x.Missing)+len(x.Wider) > 0 {
			p.log.Warn("access to GitHub", "as", x.Kind, "note", line)
		} else {
			p.log.Info("access to GitHub", "as", x.Kind, "note", line)
		}
	}
	return nil
}

// lacks is what GitHub does not let us do, in words, and all that it said of our access.
type lacks struct{ said, lines []string }

// notices are what people should know about the installation itself.
func (p *program) notices() []string {
	out := slices.Concat(p.lateBackups(), p.vendors.notices(), p.engine.SecretNotes())
	if lacks := p.lacks.Load(); lacks != nil {
		out = append(out, lacks.said...)
	}
	return out
}

// pulls reads pull requests from the mirror.
type pulls struct {
	repo *repository
	api  *github.API
	into string // the branch

	mu   sync.Mutex
	base string        // the branch's head that at is of
	at   []accept.File // sorted by path
}

var _ review.Git = (*pulls)(nil)

// Bring implements review.Git.
func (g *pulls) Bring(ctx context.Context, number int, head string) error {
	err := g.repo.git.FetchRef(ctx, "refs/pull/"+strconv.Itoa(number)+"/head", head)
	if errors.Is(err, source.ErrNotFound) {
		return fmt.Errorf("%w: %w", review.ErrMoved, err)
	}
	return err
}

var _ review.Queue = (*pulls)(nil)

// Queued implements review.Queue.
func (g *pulls) Queued(ctx context.Context) ([]forge.Queued, error) { return g.api.Queued(ctx, g.into) }

// BringQueued implements review.Queue.
func (g *pulls) BringQueued(ctx context.Context, q forge.Queued) error {
	return g.repo.git.FetchRef(ctx, "refs/heads/"+q.Branch, q.Head)
}

// Merged implements review.Git. Where both sides changed a file and we find no way, the
// merge that the forge made is taken, if it is of exactly these two.
func (g *pulls) Merged(ctx context.Context, number int, base, head string) (review.Merged, error) {
	var out review.Merged
	at, err := g.branch(ctx, base)
	if err != nil {
		return out, err
	}
	out.At = at
	m, err := g.repo.git.Merge(ctx, base, head)
	if err != nil {
		return out, err
	}
	commits, err := g.repo.git.Commits(ctx, base, head, mostRebased)
	if err != nil {
		return out, err
	}
	out.Commits = len(commits)
	if len(m.Conflicts) > 0 {
		made, ok := g.made(ctx, number, base, head)
		if !ok {
			out.Conflicts = m.Conflicts
			return out, nil
		}
		m = made
	}
	out.Files, err = g.over(ctx, at, m)
	return out, err
}

// mostRebased is how many commits GitHub rebases at most.
const mostRebased = 100

// Changed implements review.Git.
func (g *pulls) Changed(ctx context.Context, from, to string) (paths []string, rules bool, err error) {
	changes, err := g.repo.git.Diff(ctx, from, to)
	if errors.Is(err, source.ErrNotFound) {
		return nil, true, nil // another history: all may differ
	}
	for _, c := range changes {
		class := g.repo.layout.Classify(c.Path)
		rules = rules || class == manifest.ClassTemplate || class == manifest.ClassPlatform
		paths = append(paths, c.Path)
	}
	return paths, rules, err
}

// branch are the branch's files at its head; they are kept, for one pull request follows
// another.
func (g *pulls) branch(ctx context.Context, base string) ([]accept.File, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.base == base {
		return g.at, nil
	}
	_, files, err := g.repo.Tree(ctx, base)
	if err != nil {
		return nil, err
	}
	sort.SliceStable(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	g.base, g.at = base, files
	return files, nil
}

// made is the forge's own merge.
func (g *pulls) made(ctx context.Context, number int, base, head string) (m source.Merged, ok bool) {
	ref := "refs/pull/" + strconv.Itoa(number) + "/merge"
	refs, err := g.repo.git.Refs(ctx, ref)
	if err != nil || refs[ref] == "" || g.repo.git.FetchRef(ctx, ref, refs[ref]) != nil {
		return m, false
	}
	parents, err := g.repo.git.Parents(ctx, refs[ref])
	if err != nil || !slices.Equal(parents, []string{base, head}) {
		return m, false
	}
	if m.Changes, err = g.repo.git.Diff(ctx, base, refs[ref]); err == nil {
		m.Strays, err = g.repo.git.Strays(ctx, base, refs[ref])
	}
	for _, c := range slices.Concat(m.Changes, m.Strays) {
		if c.New != "" {
			m.Files = append(m.Files, source.MergedFile{Path: c.Path, Blob: c.New, Regular: !source.Irregular(c.New)})
		}
	}
	return m, err == nil
}

// over lays a merge's changes over the branch's files.
func (g *pulls) over(ctx context.Context, at []accept.File, m source.Merged) ([]accept.File, error) {
	changed := map[string]bool{}
	for _, c := range append(slices.Clone(m.Changes), m.Strays...) {
		changed[c.Path] = true
	}
	if len(m.Files) > maxMerged {
		return nil, fmt.Errorf("it changes %d files, and at most %d are read: part it", len(m.Files), maxMerged)
	}
	out, bytes := make([]accept.File, 0, len(at)+len(m.Files)), 0
	for _, f := range at {
		if !changed[f.Path] {
			out = append(out, f)
		}
	}
	for _, f := range m.Files {
		n, err := g.file(ctx, f)
		if err != nil {
			return nil, err
		}
		if bytes += len(n.Data); bytes > maxMergedBytes {
			return nil, fmt.Errorf("the files that it changes have more than %d MiB: part it", maxMergedBytes>>20)
		}
		if g.repo.layout.Classify(f.Path) == manifest.ClassOther && !manifest.SaysClient(n.Data) {
			continue // a file of somebody else's
		}
		out = append(out, n)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, nil
}

func (g *pulls) file(ctx context.Context, f source.MergedFile) (accept.File, error) {
	switch {
	case !f.Regular:
		return accept.File{Path: f.Path, Blob: f.Blob, Err: notRegular}, nil
	case f.Data != nil:
		return accept.File{Path: f.Path, Blob: f.Blob, Data: f.Data}, nil
	}
	return g.repo.Read(ctx, f.Path, f.Blob)
}

// reviews is what the pages of pull requests and commits read.
type reviews struct{ store store.Store }

// Pulls implements web.Reviews.
func (r reviews) Pulls() (all []state.Pull, err error) {
	err = r.store.View(func(tx store.Tx) error { all, err = store.Pulls(tx); return err })
	slices.Reverse(all)
	return all, err
}

// Pull implements web.Reviews.
func (r reviews) Pull(number int) (p state.Pull, plan report.Plan, err error) {
	err = r.store.View(func(tx store.Tx) error {
		found, ok, err := store.Pull(tx, number)
		if err != nil {
			return err
		}
		if p = found; !ok {
			return reconcile.ErrNoPull
		}
		plan, err = review.PlanOf(tx, number)
		return err
	})
	return p, plan, err
}

// Commit implements web.Reviews.
func (r reviews) Commit(id string) (v state.Verdict, brought []state.Pull, err error) {
	err = r.store.View(func(tx store.Tx) error {
		found, ok, err := store.Verdict(tx, id)
		if err != nil {
			return err
		}
		if v = found; !ok {
			return reconcile.ErrNoCommit
		}
		names := map[state.ClientID]string{}
		for cid, fate := range found.Clients {
			c, _, err := store.Client(tx, cid)
			if err != nil {
				return err
			}
			if c.Name == "" {
				c.Name = string(cid)
			}
			names[state.ClientID(c.Name)] = fate
		}
		v.Clients = names
		all, err := store.Pulls(tx)
		for _, p := range all {
			if slices.Contains(p.Accepted, id) {
				brought = append(brought, p)
			}
		}
		return err
	})
	return v, brought, err
}
