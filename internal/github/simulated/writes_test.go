package simulated

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/state"
)

func ptr[T any](v T) *T { return &v }

func TestCommentsAndReactions(t *testing.T) {
	s := newScene(t, nil)
	n := s.proposed("plan", "starter")
	made, _, err := s.client.Issues.CreateComment(ctx, owner, repoN, n, &gh.IssueComment{Body: ptr("the plan <!-- reconciler:plan -->")})
	if err != nil {
		t.Fatal(err)
	}
	if made.GetUser().GetLogin() != "robot" || !made.GetCreatedAt().Equal(made.GetUpdatedAt()) || made.GetCreatedAt().Nanosecond() != 0 || made.GetID() < 1<<32 {
		t.Errorf("%v", made)
	}
	s.pass(time.Minute)
	since := s.now()
	asked, err := s.Comment("dana", n, "/reconciler plan")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusCreated, http.StatusOK} { // the second time it is there
		_, res, err := s.client.Reactions.CreateIssueCommentReaction(ctx, owner, repoN, asked, "eyes")
		if err != nil || res.StatusCode != want {
			t.Errorf("react: %v %v", res.Status, err)
		}
	}
	_, _, err = s.client.Reactions.CreateIssueCommentReaction(ctx, owner, repoN, asked, "wink")
	refused(t, err, 422, "content")
	if r := s.Reactions(asked); len(r) != 1 || r[0].Content != "eyes" || r[0].Author != "robot" {
		t.Errorf("%v", r)
	}
	list, _, err := s.client.Issues.ListComments(ctx, owner, repoN, 0, &gh.IssueListCommentsOptions{Sort: ptr("updated"), Direction: ptr("asc"), Since: &since})
	if err != nil || len(list) != 1 || list[0].GetID() != asked || list[0].GetAuthorAssociation() != "NONE" || list[0].GetReactions().GetEyes() != 1 {
		t.Errorf("%v %v", list, err)
	}
	if _, _, err := s.client.Issues.EditComment(ctx, owner, repoN, made.GetID(), &gh.IssueComment{Body: ptr("another plan")}); err != nil {
		t.Error(err)
	}
	got, _, err := s.client.Issues.GetComment(ctx, owner, repoN, made.GetID())
	if err != nil || got.GetBody() != "another plan" || !got.GetUpdatedAt().After(got.GetCreatedAt().Time) {
		t.Errorf("%v %v", got, err)
	}
	_, _, err = s.client.Issues.CreateComment(ctx, owner, repoN, n, &gh.IssueComment{Body: ptr(strings.Repeat("ü", 65_537))})
	refused(t, err, 422, "too long")
	_, _, err = s.client.Issues.CreateComment(ctx, owner, repoN, 99, &gh.IssueComment{Body: ptr("x")})
	refused(t, err, 404, "")
	if _, err := s.client.Issues.DeleteComment(ctx, owner, repoN, made.GetID()); err != nil {
		t.Error(err)
	}
	_, _, err = s.client.Issues.EditComment(ctx, owner, repoN, made.GetID(), &gh.IssueComment{Body: ptr("x")})
	refused(t, err, 404, "")
	if all := s.Comments(n); len(all) != 1 || all[0].ID != asked {
		t.Errorf("%v", all)
	}
}

func TestStatusesAreAddedAndHaveTheirLimits(t *testing.T) {
	s := newScene(t, nil)
	s.SetLimits(Limits{})
	n := s.proposed("plan", "starter")
	head := s.pullOf(n).GetHead().GetSHA()
	put := func(context, state, words string) error {
		_, _, err := s.client.Repositories.CreateStatus(ctx, owner, repoN, head, &gh.RepoStatus{Context: &context, State: &state, Description: &words, TargetURL: ptr("https://status.example/1")})
		return err
	}
	for _, x := range [][2]string{{"reconciler/plan", "pending"}, {"reconciler/validate", "success"}, {"reconciler/plan", "success"}} {
		if err := put(x[0], x[1], "words"); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := s.client.Repositories.GetCombinedStatus(ctx, owner, repoN, head, nil)
	if err != nil || got.GetState() != "success" || got.GetTotalCount() != 2 {
		t.Errorf("%v %v", got, err)
	}
	if h := s.StatusHistory(head); len(h) != 3 || h[0].State != "pending" {
		t.Errorf("%v", h)
	}
	refused(t, put("x", "success", strings.Repeat("é", 141)), 422, "description is too long (maximum is 140 characters)")
	if err := put("x", "success", strings.Repeat("é", 140)); err != nil {
		t.Error(err)
	}
	for i := range 999 {
		s.w.Statuses = append(s.w.Statuses, &Status{ID: int64(i), SHA: head, Context: "x", State: "pending", Author: "robot", Created: s.now()})
	}
	refused(t, put("x", "success", ""), 422, "This SHA and context has reached the maximum number of statuses.")
	_, _, err = s.client.Repositories.CreateStatus(ctx, owner, repoN, strings.Repeat("1", 40), &gh.RepoStatus{State: ptr("success")})
	refused(t, err, 422, "")
	bad, _, err := s.client.Repositories.GetCombinedStatus(ctx, owner, repoN, "no-such-branch", nil)
	if err == nil {
		t.Error(bad)
	}
}

func TestDeploymentsMakeEarlierOnesInactive(t *testing.T) {
	s := newScene(t, nil)
	head := s.branch("main")
	deploy := func() int64 {
		d, _, err := s.client.Repositories.CreateDeployment(ctx, owner, repoN, &gh.DeploymentRequest{Ref: &head, Task: ptr("reconcile"), Environment: ptr("bakery"), AutoMerge: ptr(false), RequiredContexts: &[]string{}, Description: ptr("bakery")})
		if err != nil {
			t.Fatal(err)
		}
		return d.GetID()
	}
	set := func(id int64, state string) error {
		_, _, err := s.client.Repositories.CreateDeploymentStatus(ctx, owner, repoN, id, &gh.DeploymentStatusRequest{State: &state, EnvironmentURL: ptr("https://bakery.example"), LogURL: ptr("https://log.example"), Description: ptr("done")})
		return err
	}
	first := deploy()
	for _, state := range []string{"in_progress", "success"} {
		if err := set(first, state); err != nil {
			t.Fatal(err)
		}
	}
	second := deploy()
	if err := set(second, "success"); err != nil {
		t.Fatal(err)
	}
	all := s.Deployments("bakery")
	if len(all) != 2 || all[0].State() != "inactive" || all[1].State() != "success" || all[1].Statuses[0].URL != "https://bakery.example" {
		t.Errorf("%v", all)
	}
	list, _, err := s.client.Repositories.ListDeployments(ctx, owner, repoN, &gh.DeploymentsListOptions{SHA: head, Environment: "bakery"})
	if err != nil || len(list) != 2 || list[0].GetID() != second {
		t.Errorf("%v %v", list, err)
	}
	states, _, err := s.client.Repositories.ListDeploymentStatuses(ctx, owner, repoN, first, nil)
	if err != nil || len(states) != 3 || states[0].GetState() != "inactive" {
		t.Errorf("%v %v", states, err)
	}
	refused(t, set(second, "over"), 422, "state")
	// Whoever leaves the contexts out asks for all of them to be green.
	if _, _, err := s.client.Repositories.CreateStatus(ctx, owner, repoN, head, &gh.RepoStatus{State: ptr("pending"), Context: ptr("ci")}); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.client.Repositories.CreateDeployment(ctx, owner, repoN, &gh.DeploymentRequest{Ref: &head, AutoMerge: ptr(false)})
	refused(t, err, 409, "status checks failed")
}

func theApp(o *Options) *App {
	o.App = &App{Now: time.Now, ID: 77, InstallationID: 4711, Slug: "compass-reconciler", Permissions: map[string]string{"checks": "write", "statuses": "write", "pull_requests": "write", "deployments": "write", "contents": "read"}}
	return o.App
}

func TestChecksAreAnAppsAndHaveFiftyAnnotationsARequest(t *testing.T) {
	key := newKey(t)
	s := newScene(t, func(o *Options) { theApp(o).Key = &key.PublicKey })
	app, _ := s.asApp(key)
	n := s.proposed("plan", "starter")
	head := s.pullOf(n).GetHead().GetSHA()
	notes := func(k int) (out []*gh.CheckRunAnnotation) {
		for i := range k {
			out = append(out, &gh.CheckRunAnnotation{Path: ptr("clients/bakery.yaml"), StartLine: ptr(i + 1), EndLine: ptr(i + 1), AnnotationLevel: ptr("failure"), Message: ptr("wrong")})
		}
		return out
	}
	output := func(k int) *gh.CheckRunOutput {
		return &gh.CheckRunOutput{Title: ptr("2 problems"), Summary: ptr("…"), Annotations: notes(k)}
	}
	_, _, err := s.client.Checks.CreateCheckRun(ctx, owner, repoN, gh.CreateCheckRunOptions{Name: "reconciler", HeadSHA: head})
	refused(t, err, 403, "GitHub App")
	_, _, err = app.Checks.CreateCheckRun(ctx, owner, repoN, gh.CreateCheckRunOptions{Name: "reconciler", HeadSHA: head, Output: output(51)})
	refused(t, err, 422, "50")
	made, _, err := app.Checks.CreateCheckRun(ctx, owner, repoN, gh.CreateCheckRunOptions{Name: "reconciler", HeadSHA: head, Status: ptr("in_progress"), Output: output(50)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := app.Checks.UpdateCheckRun(ctx, owner, repoN, made.GetID(), gh.UpdateCheckRunOptions{Name: "reconciler", Conclusion: ptr("failure"), Output: output(7)}); err != nil {
		t.Fatal(err)
	}
	list, _, err := app.Checks.ListCheckRunsForRef(ctx, owner, repoN, head, &gh.ListCheckRunsOptions{CheckName: ptr("reconciler")})
	if err != nil || list.GetTotal() != 1 || list.CheckRuns[0].GetConclusion() != "failure" || len(list.CheckRuns[0].PullRequests) != 1 {
		t.Errorf("%v %v", list, err)
	}
	if k := s.Checks(head); len(k) != 1 || len(k[0].Annotations) != 57 || k[0].Status != "completed" {
		t.Errorf("%d annotations", len(k[0].Annotations))
	}
}

func TestSuggestionsStandOnLinesOfTheDiff(t *testing.T) {
	s := newScene(t, nil)
	n := s.proposed("plan", "startr")
	head := s.pullOf(n).GetHead().GetSHA()
	on := func(path string, line int, commit string) (*gh.PullRequestComment, error) {
		c, _, err := s.client.PullRequests.CreateComment(ctx, owner, repoN, n, &gh.PullRequestComment{Body: ptr("```suggestion\nplan: starter\n```"), CommitID: &commit, Path: &path, Line: &line, Side: ptr("RIGHT")})
		return c, err
	}
	made, err := on("clients/bakery.yaml", 2, head)
	if err != nil || made.GetLine() != 2 || !strings.Contains(made.GetDiffHunk(), "+plan: startr") {
		t.Fatalf("%v %v", made, err)
	}
	_, err = on("clients/bakery.yaml", 40, head)
	refused(t, err, 422, "line must be part of the diff")
	_, err = on("README.md", 1, head)
	refused(t, err, 422, "line must be part of the diff")
	_, err = on("clients/bakery.yaml", 2, s.branch("main"))
	refused(t, err, 422, "not part of the pull request")
	if err := s.Apply(made.GetID(), "dana"); err != nil {
		t.Fatal(err)
	}
	if got := s.file(s.branch("plan"), "clients/bakery.yaml"); !strings.Contains(got, "plan: starter\n") || strings.Contains(got, "startr\n") {
		t.Errorf("after it was applied: %s", got)
	}
	list, _, err := s.client.PullRequests.ListComments(ctx, owner, repoN, n, nil)
	if err != nil || len(list) != 1 || list[0].Line != nil || list[0].GetOriginalLine() != 2 {
		t.Errorf("%v %v", list, err)
	}
	if _, err := s.client.PullRequests.DeleteComment(ctx, owner, repoN, made.GetID()); err != nil {
		t.Error(err)
	}
	if left := s.Suggestions(n); len(left) != 0 {
		t.Errorf("%v", left)
	}
}

func TestAPullRequestOpenedOverTheAPI(t *testing.T) {
	s := newScene(t, nil)
	c := s.client
	if _, _, err := c.Git.CreateRef(ctx, owner, repoN, &gh.Reference{Ref: ptr("refs/heads/add"), Object: &gh.GitObject{SHA: ptr(s.branch("main"))}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Repositories.CreateFile(ctx, owner, repoN, "clients/ünì.yaml", &gh.RepositoryContentFileOptions{Message: ptr("Add"), Content: []byte("name: uni\n"), Branch: ptr("add")}); err != nil {
		t.Fatal(err)
	}
	file, _, _, err := c.Repositories.GetContents(ctx, owner, repoN, "clients/ünì.yaml", &gh.RepositoryContentGetOptions{Ref: "add"})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := file.GetContent(); err != nil || text != "name: uni\n" {
		t.Errorf("%q %v", text, err)
	}
	_, dir, _, err := c.Repositories.GetContents(ctx, owner, repoN, "clients", nil)
	if err != nil || len(dir) != 1 {
		t.Errorf("%v %v", dir, err)
	}
	// The description has two forms of this answer that cannot be told apart.
	_, _, err = s.unjudged().Repositories.UpdateFile(ctx, owner, repoN, "clients/ünì.yaml", &gh.RepositoryContentFileOptions{Message: ptr("Change"), Content: []byte("x"), SHA: ptr(strings.Repeat("1", 40)), Branch: ptr("add")})
	refused(t, err, 409, "does not match")
	p, _, err := c.PullRequests.Create(ctx, owner, repoN, &gh.NewPullRequest{Title: ptr("Add uni"), Head: ptr("add"), Base: ptr("main"), Body: ptr("new")})
	if err != nil || p.GetUser().GetLogin() != "robot" {
		t.Fatalf("%v %v", p, err)
	}
	_, _, err = c.PullRequests.Create(ctx, owner, repoN, &gh.NewPullRequest{Title: ptr("Again"), Head: ptr("add"), Base: ptr("main")})
	refused(t, err, 422, "exists")
	files, _, err := c.PullRequests.ListFiles(ctx, owner, repoN, p.GetNumber(), nil)
	if err != nil || len(files) != 1 || files[0].GetStatus() != "added" || files[0].GetPatch() != "@@ -0,0 +1 @@\n+name: uni" {
		t.Errorf("%v %v", files, err)
	}
	commits, _, err := c.PullRequests.ListCommits(ctx, owner, repoN, p.GetNumber(), nil)
	if err != nil || len(commits) != 1 || commits[0].GetAuthor().GetLogin() != "robot" {
		t.Errorf("%v %v", commits, err)
	}
	if _, _, err := c.PullRequests.Edit(ctx, owner, repoN, p.GetNumber(), &gh.PullRequest{State: ptr("closed")}); err != nil {
		t.Error(err)
	}
	labels, _, err := s.unjudged().Issues.AddLabelsToIssue(ctx, owner, repoN, p.GetNumber(), []string{"removes-data"})
	if err != nil || len(labels) != 1 {
		t.Errorf("%v %v", labels, err)
	}
	if _, err := c.Git.DeleteRef(ctx, owner, repoN, "heads/add"); err != nil {
		t.Error(err)
	}
	_, _, err = c.Git.CreateRef(ctx, owner, repoN, &gh.Reference{Ref: ptr("refs/heads/main"), Object: &gh.GitObject{SHA: ptr(s.branch("main"))}})
	refused(t, err, 422, "already exists")
	for _, u := range []string{"branches/main", "commits/main", "commits?path=README.md", "git/trees/main?recursive=1", "git/ref/heads/main", "git/matching-refs/heads", "", "collaborators/dana/permission", "hooks"} {
		r, err := c.NewRequest(http.MethodGet, strings.TrimSuffix(fmt.Sprintf("repos/%s/%s/%s", owner, repoN, u), "/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.AddUser("robot", "admin")
		s.AddUser("dana", "write")
		if _, err := c.Do(ctx, r, nil); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestATokenCanDoWhatItsPermissionsSay(t *testing.T) {
	key := newKey(t)
	s := newScene(t, func(o *Options) {
		theApp(o).Key = &key.PublicKey
		o.Tokens = append(o.Tokens, Token{Secret: state.NewSecret("narrow"), Login: "narrow", Permissions: map[string]string{"statuses": "read", "pull_requests": "read"}})
	})
	app, itself := s.asApp(key)
	head := s.branch("main")
	status := &gh.RepoStatus{State: ptr("success"), Context: ptr("x")}
	_, _, err := s.as("nobody's").Repositories.GetCombinedStatus(ctx, owner, repoN, head, nil)
	refused(t, err, 401, "Bad credentials")
	_, _, err = s.as("").Repositories.GetCombinedStatus(ctx, owner, repoN, head, nil)
	refused(t, err, 401, "Requires authentication")
	_, _, err = s.as("narrow").Repositories.CreateStatus(ctx, owner, repoN, head, status)
	refused(t, err, 403, "Resource not accessible by personal access token")
	if _, _, err := s.as("narrow").PullRequests.List(ctx, owner, repoN, nil); err != nil {
		t.Error(err)
	}
	_, _, err = s.client.Repositories.Get(ctx, owner, "another")
	refused(t, err, 404, "")
	s.SetPermission("robot", "none")
	_, _, err = s.client.Repositories.Get(ctx, owner, repoN)
	refused(t, err, 404, "")

	if _, _, err := app.Repositories.CreateStatus(ctx, owner, repoN, head, status); err != nil {
		t.Error(err)
	}
	_, err = app.Git.DeleteRef(ctx, owner, repoN, "heads/x")
	refused(t, err, 403, "Resource not accessible by integration")
	_, _, err = app.Users.Get(ctx, "")
	refused(t, err, 403, "Resource not accessible by integration")
	a, _, err := itself.Apps.Get(ctx, "")
	if err != nil || a.GetSlug() != "compass-reconciler" {
		t.Errorf("%v %v", a, err)
	}
	in, _, err := itself.Apps.FindRepositoryInstallation(ctx, owner, repoN)
	if err != nil || in.GetID() != 4711 || in.GetPermissions().GetChecks() != "write" {
		t.Errorf("%v %v", in, err)
	}
	u, _, err := app.Users.Get(ctx, "compass-reconciler[bot]")
	if err != nil || u.GetType() != "Bot" {
		t.Errorf("%v %v", u, err)
	}
	// An hour later the token is void, whatever the other side believes of its clock.
	s.pass(time.Hour)
	_, _, err = app.Repositories.CreateStatus(ctx, owner, repoN, head, status)
	refused(t, err, 401, "Bad credentials")
	stranger, strange := s.asApp(newKey(t))
	_, _, err = strange.Apps.Get(ctx, "")
	refused(t, err, 401, "could not be decoded")
	if _, _, err = stranger.Repositories.Get(ctx, owner, repoN); err == nil {
		t.Error("a stranger's key let somebody in")
	}
}
