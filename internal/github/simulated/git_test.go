package simulated

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/state"
)

// run runs the real git.
func (s *scene) run(dir string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0", "HOME="+dir,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@people.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@people.example")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return strings.TrimSpace(out.String())
}

func (s *scene) clone() string {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "clone")
	s.run("/", "clone", "-q", s.url+"/git/"+repoN+".git", dir)
	return dir
}

func (s *scene) write(dir, path, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func TestAnOrdinaryPushMovesPullRequests(t *testing.T) {
	s := newScene(t, nil)
	dir := s.clone()
	s.run(dir, "switch", "-q", "-c", "feature")
	s.write(dir, "clients/florist.yaml", "name: florist\n")
	s.run(dir, "add", "-A")
	s.run(dir, "commit", "-q", "-m", "Add the florist")
	s.run(dir, "push", "-q", "origin", "feature")
	n, err := s.OpenPull(Proposal{Head: "feature", Title: "Add the florist", Author: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	s.write(dir, "clients/florist.yaml", "name: florist\nplan: free\n")
	s.run(dir, "commit", "-q", "-am", "With a plan")
	s.run(dir, "push", "-q", "origin", "feature")
	head := s.run(dir, "rev-parse", "HEAD")
	if p := s.settled(n); p.GetHead().GetSHA() != head || p.GetCommits() != 2 {
		t.Errorf("the head is %s, want %s; %d commits", p.GetHead().GetSHA(), head, p.GetCommits())
	}
	// What GitHub keeps for a pull request can be fetched.
	s.run(dir, "fetch", "-q", "origin", "refs/pull/1/head:mine", "refs/pull/1/merge:merged")
	if got := s.run(dir, "rev-parse", "mine"); got != head {
		t.Errorf("refs/pull/1/head is %s", got)
	}
	if got := s.run(dir, "rev-parse", "merged^2"); got != head {
		t.Errorf("refs/pull/1/merge is not of %s: %s", head, got)
	}
	// A push of the same commits to main is a merge, too.
	s.run(dir, "push", "-q", "origin", "feature:main")
	if p := s.pullOf(n); !p.GetMerged() || p.GetMergeCommitSHA() != head {
		t.Errorf("after a push of its commits to main: %v", p)
	}
	var events []string
	for _, h := range s.webhooks() {
		events = append(events, h.Event)
	}
	if got := strings.Join(events, " "); got != "push pull_request push pull_request push pull_request" {
		t.Error(got)
	}
}

func TestAForksBranchIsFetched(t *testing.T) {
	s := newScene(t, nil)
	s.AddUser("stranger", "none")
	if _, err := s.PushFork("patch", map[string]*string{"clients/bad.yaml": text("name: bad\n")}, "Add\n", "stranger"); err != nil {
		t.Fatal(err)
	}
	n, err := s.OpenPull(Proposal{Head: "patch", Author: "stranger", Fork: true})
	if err != nil {
		t.Fatal(err)
	}
	p := s.settled(n)
	if !p.GetMergeable() || p.GetHead().GetRepo().GetFullName() != "stranger/clients" || !p.GetHead().GetRepo().GetFork() || p.GetHead().GetLabel() != "stranger:patch" {
		t.Errorf("%v", p)
	}
	dir := s.clone()
	s.run(dir, "fetch", "-q", "origin", "refs/pull/1/head:theirs")
	if got := s.run(dir, "rev-parse", "theirs"); got != p.GetHead().GetSHA() {
		t.Error(got)
	}
	if _, err := s.Branch("patch"); !errors.Is(err, ErrNotFound) {
		t.Error("the fork's branch is in the repository")
	}
	head, err := s.PushFork("patch", map[string]*string{"clients/bad.yaml": text("name: worse\n")}, "More\n", "stranger")
	if err != nil {
		t.Fatal(err)
	}
	if p := s.pullOf(n); p.GetHead().GetSHA() != head {
		t.Errorf("the head is %s, want %s", p.GetHead().GetSHA(), head)
	}
	if _, err := s.Merge(n, MergeCommit, "erik"); err != nil {
		t.Fatal(err)
	}
	if got := s.file(s.branch("main"), "clients/bad.yaml"); got != "name: worse\n" {
		t.Error(got)
	}
	s.judgeSome()
}

// judgeSome holds the webhooks so far against their description.
func (s *scene) judgeSome() {
	s.t.Helper()
	all := schemas(s.t)
	for _, h := range s.webhooks() {
		if all == nil {
			return
		}
		if err := fits(all[h.Event], h.Body); err != nil {
			s.t.Errorf("%s does not fit: %v", h.Event, err)
		}
	}
}

func TestARevertTakesBackWhatWasMerged(t *testing.T) {
	for _, kind := range []Kind{MergeCommit, Squash, Rebase} {
		s := newScene(t, nil)
		n := s.proposed("plan", "starter")
		if _, err := s.Push("plan", map[string]*string{"new": text("n")}, "More\n", "dana"); err != nil {
			t.Fatal(err)
		}
		before := s.branch("main")
		if _, err := s.Merge(n, kind, "erik"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Push("main", map[string]*string{"README.md": text("# Other\n")}, "Later\n", "erik"); err != nil {
			t.Fatal(err)
		}
		back, err := s.Revert(n, "erik")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Merge(back, kind, "erik"); err != nil {
			t.Fatal(err)
		}
		tip := s.branch("main")
		if s.file(tip, "clients/bakery.yaml") != s.file(before, "clients/bakery.yaml") || s.file(tip, "new") != "" || s.file(tip, "README.md") != "# Other\n" {
			t.Errorf("%s: the revert did not take it back, or more than it", kind)
		}
		if _, err := s.Revert(n, "erik"); !errors.Is(err, ErrRefused) {
			t.Errorf("a second revert: %v", err)
		}
	}
}

func TestLinesThatBothChanged(t *testing.T) {
	s := newScene(t, nil)
	a := s.proposed("a", "starter")
	if _, err := s.Push("b", map[string]*string{"clients/bakery.yaml": text("name: bakery\nplan: free\ndomain: bakery\ntemplate: blog\nenv: {}\nnotes: b\n")}, "Note\n", "erik"); err != nil {
		t.Fatal(err)
	}
	b, err := s.OpenPull(Proposal{Head: "b", Author: "erik"})
	if err != nil {
		t.Fatal(err)
	}
	c := s.proposed("c", "enterprise")
	if _, err := s.Merge(a, MergeCommit, "erik"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Merge(b, Rebase, "erik"); err != nil { // other lines of the same file
		t.Fatal(err)
	}
	if got := s.file(s.branch("main"), "clients/bakery.yaml"); got != "name: bakery\nplan: starter\ndomain: bakery\ntemplate: blog\nenv: {}\nnotes: b\n" {
		t.Error(got)
	}
	for _, kind := range []Kind{MergeCommit, Squash, Rebase} {
		before := s.branch("main")
		if _, err := s.Merge(c, kind, "erik"); !errors.Is(err, ErrRefused) || s.branch("main") != before {
			t.Errorf("%s of a conflict: %v", kind, err)
		}
	}
}

// What people saw is there after the process died, and what was pushed meanwhile is found.
func TestARestartKeepsTheWorld(t *testing.T) {
	dir := t.TempDir()
	var options Options
	s := newScene(t, func(o *Options) { o.Dir = dir; options = *o })
	n := s.proposed("plan", "starter")
	id, err := s.Comment("dana", n, "hello")
	if err != nil {
		t.Fatal(err)
	}
	head := s.branch("plan")
	for _, state := range []string{"pending", "success"} {
		if _, _, err := s.client.Repositories.CreateStatus(ctx, owner, repoN, head, &gh.RepoStatus{State: &state, Context: ptr("reconciler/plan")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.client.Repositories.CreateDeployment(ctx, owner, repoN, &gh.DeploymentRequest{Ref: &head, Environment: ptr("bakery"), AutoMerge: ptr(false), RequiredContexts: &[]string{}, Payload: map[string]any{"a": 1}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.client.Repositories.CreateDeployment(ctx, owner, repoN, &gh.DeploymentRequest{Ref: &head, Environment: ptr("bistro"), AutoMerge: ptr(false), RequiredContexts: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	s.Settle()
	before, comments, statuses, deployments := s.Pulls(), s.Comments(n), s.StatusHistory(head), s.Deployments("")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	pushed, err := s.git.CommitTo(repoN, "plan", map[string]*string{"x": text("x")}, "While away\n", person("dana"))
	if err != nil {
		t.Fatal(err)
	}
	options.Git = s.git
	s.open(options)
	s.Settle()
	if got := s.Comments(n); !same(got, comments) || got[0].ID != id {
		t.Errorf("%v, want %v", got, comments)
	}
	if got := s.StatusHistory(head); !same(got, statuses) {
		t.Errorf("%v, want %v", got, statuses)
	}
	if listed, _, err := s.client.Repositories.ListDeployments(ctx, owner, repoN, nil); err != nil || len(listed) != 2 {
		t.Errorf("%d deployments are listed, %v", len(listed), err)
	}
	if got := s.Deployments(""); !same(got, deployments) {
		t.Errorf("%v, want %v", got, deployments)
	}
	p, err := s.Pull(n)
	if err != nil || p.Head != pushed || p.Title != before[0].Title || p.NumCommits != 2 {
		t.Errorf("%v %v", p, err)
	}
	if got := s.webhooks(); got[len(got)-1].Event != "pull_request" {
		t.Error("what was pushed while it was away was told to nobody")
	}
	again, err := s.Comment("dana", n, "still here")
	if err != nil || again <= id {
		t.Errorf("the next id is %d after %d: %v", again, id, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "forge.json"))
	if err != nil || bytes.Contains(data, []byte("hush")) || bytes.Contains(data, []byte(token)) || bytes.Contains(data, []byte(state.Redacted)) {
		t.Errorf("the file holds secrets, or isn't there: %v", err)
	}
}

func TestNobodyWithoutANameIsAnswered(t *testing.T) {
	s := newScene(t, nil)
	r, err := http.NewRequest(http.MethodGet, s.url+"/api/v3/repos/"+owner+"/"+repoN, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["User-Agent"] = []string{""}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Error(res.Status)
	}
}
