package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
)

// Every request fits GitHub's published description, and the answers that it shows are
// read: a server answers with them.
func TestPublishedDescription(t *testing.T) {
	paper := described(t)
	if !paper.Present() {
		return // its log says so
	}
	ours := strings.NewReplacer("octocat/Hello-World", "compassdigital/clients", `"number":1347`, `"number":1`, `"event":"issues"`, `"event":"push"`)
	for who, change := range map[string]func(*Options){"a token": func(*Options) {}, "an App": asApp(t)} {
		a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
			switch status, body, ok := paper.Example(r.Method, r.URL.Path); {
			case strings.HasSuffix(r.URL.Path, "/access_tokens"): // its time is long past
				_, body, _ := paper.Example(r.Method, r.URL.Path)
				say(w, 201, strings.Replace(string(body), "2016-07-11", "2116-07-11", 1))
			case strings.HasSuffix(r.URL.Path, "/permission"):
				say(w, 200, strings.ReplaceAll(string(body), "octocat", "dana"))
			case strings.HasSuffix(r.URL.Path, "/hooks"):
				say(w, 200, strings.ReplaceAll(string(body), "https://example.com/webhook", "https://reconciler.example/webhooks/github"))
			case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/contents/"): // the example is a folder
				say(w, 200, `{"type":"file","path":"clients/x.yaml","sha":"`+exampleBlob+`","encoding":"base64","content":""}`)
			case ok:
				say(w, status, ours.Replace(string(body)))
			case strings.HasPrefix(r.URL.Path, "/users/"):
				say(w, 200, `{"login":"octoapp[bot]","id":41898282,"type":"Bot"}`)
			case r.Method == http.MethodPost:
				say(w, 201, aSuggestion)
			case r.Method == http.MethodDelete:
				w.WriteHeader(http.StatusNoContent)
			default:
				say(w, 200, "["+aSuggestion+"]")
			}
		}, change, func(o *Options) {
			o.Webhook = "https://reconciler.example/webhooks/github"
			o.Base = paper.WrapRequests(nil)
		})
		for method, err := range everything(t.Context(), a) {
			if err != nil && (method != "PutCheck" || who == "an App" || !errors.Is(err, forge.ErrDenied)) {
				t.Errorf("%s: %s: %v", who, method, err)
			}
		}
		t.Logf("%s: %d requests fit", who, len(s.requests()))
	}
	if paper.Judged() < 30 {
		t.Errorf("%d exchanges were judged", paper.Judged())
	}
}

const aSuggestion = "{\"id\":9,\"path\":\"clients/x.yaml\",\"line\":3,\"commit_id\":\"" + commit + "\",\"body\":\"<!-- m -->\\n```suggestion\\nplan: free\\n```\",\"user\":{\"login\":\"octocat\",\"id\":1}}"

// What GitHub says of a pull request is read as it is meant, and no more of it.
func TestPulls(t *testing.T) {
	base := `"base":{"ref":"main","sha":"` + commit + `","repo":{"id":1}}`
	tried := strings.Repeat("a", 40)
	var answer string
	a, s := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, answer) })
	for name, c := range map[string]struct {
		json string
		want forge.Pull // Number 1, Head commit, HeadRef "x", BaseRef "main", Author "dana" are added
	}{
		"open":            {`"state":"open","draft":true,"merge_commit_sha":"` + tried + `","head":{"ref":"x","sha":"` + commit + `","repo":{"id":1}}`, forge.Pull{Open: true, Draft: true}},
		"closed":          {`"state":"closed","merge_commit_sha":"` + tried + `","head":{"ref":"x","sha":"` + commit + `","repo":{"id":1}}`, forge.Pull{}},
		"merged":          {`"state":"closed","merged":true,"merge_commit_sha":"` + tried + `","head":{"ref":"x","sha":"` + commit + `","repo":{"id":1}}`, forge.Pull{Merged: true, MergeCommit: tried}},
		"merged, by time": {`"state":"closed","merged_at":"2026-11-26T08:00:00Z","merge_commit_sha":"` + tried + `","head":{"ref":"x","sha":"` + commit + `","repo":{"id":1}}`, forge.Pull{Merged: true, MergeCommit: tried}},
		"a fork":          {`"state":"open","head":{"ref":"x","sha":"` + commit + `","repo":{"id":2}}`, forge.Pull{Open: true, Fork: true}},
		"a fork, deleted": {`"state":"open","head":{"ref":"x","sha":"` + commit + `","repo":null}`, forge.Pull{Open: true, Fork: true}},
		"a bad link":      {`"state":"open","html_url":"javascript:alert(1)","head":{"ref":"x","sha":"` + commit + `","repo":{"id":1}}`, forge.Pull{Open: true}},
		"a link":          {`"state":"open","html_url":"https://github.example/p/1","head":{"ref":"x","sha":"` + commit + `","repo":{"id":1}}`, forge.Pull{Open: true, URL: "https://github.example/p/1"}},
	} {
		answer = `{"number":1,"user":{"login":"dana"},` + c.json + `,` + base + `}`
		c.want.Number, c.want.Head, c.want.HeadRef, c.want.BaseRef, c.want.Author = 1, commit, "x", "main", "dana"
		if p, err := a.Pull(t.Context(), 1); err != nil || !reflect.DeepEqual(p, c.want) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	for name, bad := range map[string]string{"another": `{"number":2,"head":{"sha":"` + commit + `"}}`, "no head": `{"number":1}`, "a branch as head": `{"number":1,"head":{"sha":"main"}}`, "an odd merge": `{"number":1,"merged":true,"merge_commit_sha":"../x","head":{"sha":"` + commit + `"}}`} {
		answer = bad
		if _, err := a.Pull(t.Context(), 1); !errors.Is(err, forge.ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
	}
	answer = `{"number":1,"state":"open","head":{"ref":"x","sha":"` + commit + `"},"base":{"ref":"main"}}`
	if p, err := a.Pull(t.Context(), 1); err != nil || !p.Fork {
		t.Errorf("of no repository: %+v %v", p, err)
	}
	pull := func(n int, state, into, more string) string {
		return fmt.Sprintf(`{"number":%d,"state":%q,"title":%q,"head":{"ref":"x","sha":%q,"repo":{"id":1}},"base":{"ref":%q,"repo":{"id":1}}%s}`, n, state, strings.Repeat("é", forge.MaxText), commit, into, more)
	}
	answer = "[" + strings.Join([]string{pull(7, "open", "main", ""), pull(3, "open", "main", ""), pull(4, "open", "other", ""), pull(5, "closed", "main", ""), pull(3, "open", "main", "")}, ",") + "]"
	open, err := a.Open(t.Context(), "main")
	if err != nil || len(open) != 2 || open[0].Number != 3 || open[1].Number != 7 || open[0].Title != strings.Repeat("é", forge.MaxText/2) {
		t.Errorf("open: %d %v", len(open), err)
	}
	answer = "[" + pull(7, "open", "main", "") + "," + pull(9, "closed", "main", `,"merged_at":"2026-11-26T08:00:00Z","merge_commit_sha":"`+commit+`"`) + "]"
	of, err := a.PullsOf(t.Context(), commit)
	if err != nil || len(of) != 1 || of[0].Number != 9 || of[0].MergeCommit != commit {
		t.Errorf("of a commit: %v %v", of, err)
	}
	if last := s.requests(); last[len(last)-1] != "GET /repos/compassdigital/clients/commits/"+commit+"/pulls" {
		t.Errorf("asked %v", last[len(last)-1])
	}
}

// Lists are read to their end, and none is longer than is allowed.
func TestPages(t *testing.T) {
	a, s := github(t, pagesOf(250, func(i int) string {
		return fmt.Sprintf(`{"number":%d,"state":"open","head":{"sha":%q},"base":{"ref":"main"}}`, i, commit)
	}))
	if open, err := a.Open(t.Context(), "main"); err != nil || len(open) != 250 || open[249].Number != 250 || len(s.requests()) != 3 {
		t.Errorf("%d open ones, %v, by %d requests", len(open), err, len(s.requests()))
	}
	endless := pagesOf(1<<30, func(i int) string { return strings.Replace(aComment, `"id":5`, fmt.Sprintf(`"id":%d`, i), 1) })
	a, s = github(t, func(w http.ResponseWriter, r *http.Request) { endless(w, without(r, "since")) })
	if _, err := a.Comments(t.Context(), 1); !errors.Is(err, forge.ErrInvalid) || len(s.requests()) != maxItems/perPage+1 {
		t.Errorf("an endless list: %v by %d requests", err, len(s.requests()))
	}
	s.asked = nil
	if _, err := a.CommentsSince(t.Context(), time.Time{}); err == nil && len(s.requests()) > maxSince/perPage+1 || len(s.requests()) > maxItems/perPage+1 {
		t.Errorf("an endless list: %v by %d requests", err, len(s.requests()))
	}
	// A list of empty pages.
	a, s = github(t, func(w http.ResponseWriter, r *http.Request) {
		page := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		w.Header().Set("Link", fmt.Sprintf(`<http://x.example/?page=%d>; rel="next"`, page+1))
		say(w, 200, "[]")
	})
	if _, err := a.Open(t.Context(), "main"); !errors.Is(err, forge.ErrInvalid) || len(s.requests()) > maxItems/perPage+2 {
		t.Errorf("empty pages: %v by %d requests", err, len(s.requests()))
	}
	if _, err := a.CommentsSince(t.Context(), time.Time{}); !errors.Is(err, forge.ErrInvalid) || len(s.requests()) > 2*(maxItems/perPage+2) {
		t.Errorf("empty pages: %v by %d requests", err, len(s.requests()))
	}
	// A list that turns back.
	a, s = github(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `<http://x.example/?page=1>; rel="next"`)
		say(w, 200, "[]")
	})
	if _, err := a.Open(t.Context(), "main"); err != nil || len(s.requests()) != 1 {
		t.Errorf("a list in circles: %v by %d requests", err, len(s.requests()))
	}
}

// Comments that change while they are listed hide none of the others.
func TestCommentsThatMove(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	type one struct {
		id int
		at time.Time
	}
	var all []one
	for i := range 350 {
		all = append(all, one{i + 1, start.Add(time.Duration(i/3) * time.Second)}) // three a second
	}
	for i := 100; i < 260; i++ { // and many in one
		all[i].at = all[100].at
	}
	requests := 0
	a, _ := github(t, func(w http.ResponseWriter, r *http.Request) {
		slices.SortStableFunc(all, func(x, y one) int { return x.at.Compare(y.at) })
		since, _ := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
		if r.URL.Query().Get("sort") != "updated" || r.URL.Query().Get("direction") != "asc" {
			t.Errorf("asked %s", r.URL.RawQuery)
		}
		rest := all[slices.IndexFunc(all, func(x one) bool { return !x.at.Before(since) }):]
		requests++
		pagesOf(len(rest), func(i int) string {
			return fmt.Sprintf(`{"id":%d,"user":{"id":3},"issue_url":"x/4","created_at":%q,"updated_at":%q}`, rest[i-1].id, start.Format(time.RFC3339), rest[i-1].at.Format(time.RFC3339))
		})(w, without(r, "since"))
		all[0].at = start.Add(time.Hour) // the first one of the list is edited, so that all move up
	})
	got, err := a.CommentsSince(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for i, c := range got {
		if seen[c.ID] || i > 0 && c.UpdatedAt.Before(got[i-1].UpdatedAt) || c.Pull != 4 {
			t.Errorf("%d. is %+v", i, c)
		}
		seen[c.ID] = true
		if c.ID == 1 && !c.UpdatedAt.Equal(start.Add(time.Hour)) {
			t.Errorf("what was changed meanwhile is of %v", c.UpdatedAt)
		}
	}
	if len(seen) != 350 || requests > 12 {
		t.Errorf("%d of 350, by %d requests", len(seen), requests)
	}
}

func without(r *http.Request, parameter string) *http.Request {
	r = r.Clone(r.Context())
	q := r.URL.Query()
	q.Del(parameter)
	r.URL.RawQuery = q.Encode()
	return r
}

// Comments: what is gone when it is to be deleted is well, and what is too long isn't sent.
func TestComments(t *testing.T) {
	code := 404
	a, s := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, code, `{"message":"Not Found"}`) })
	if err := a.EditComment(t.Context(), 1, "x"); !errors.Is(err, forge.ErrNotFound) {
		t.Error(err)
	}
	if err := errors.Join(a.DeleteComment(t.Context(), 1), a.Unsuggest(t.Context(), forge.Suggestion{ID: 1})); err != nil {
		t.Error(err)
	}
	if code = 410; a.DeleteComment(t.Context(), 1) != nil {
		t.Error("what is gone can't be deleted")
	}
	n := len(s.requests())
	for _, body := range []string{"", strings.Repeat("é", forge.MaxBody+1)} {
		_, err := a.CreateComment(t.Context(), 1, body)
		_, err2 := a.Suggest(t.Context(), forge.Suggestion{Pull: 1, Commit: commit, Body: body})
		if err3 := a.EditComment(t.Context(), 1, body); !errors.Is(err, forge.ErrInvalid) || !errors.Is(err2, forge.ErrInvalid) || !errors.Is(err3, forge.ErrInvalid) {
			t.Error(err, err2, err3)
		}
	}
	if len(s.requests()) != n {
		t.Errorf("asked %v", s.requests()[n:])
	}
	a, _ = github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 201, aComment) })
	c, err := a.CreateComment(t.Context(), 4, strings.Repeat("é", forge.MaxBody))
	if want := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC); err != nil || c.ID != 5 || c.Pull != 4 || c.AuthorID != 3 || c.Author != "dana" || !c.UpdatedAt.Equal(want) {
		t.Errorf("%+v %v", c, err)
	}
}

// A permission is GitHub's, of that login, at this moment.
func TestPermission(t *testing.T) {
	for answer, want := range map[string]forge.Permission{
		`{"permission":"admin","role_name":"admin","user":{"login":"Dana"}}`:    forge.Admin,
		`{"permission":"write","role_name":"write","user":{"login":"dana"}}`:    forge.Write,
		`{"permission":"write","role_name":"maintain","user":{"login":"dana"}}`: forge.Write,
		`{"permission":"maintain","user":{"login":"dana"}}`:                     forge.Write,
		`{"permission":"read","role_name":"triage","user":{"login":"dana"}}`:    forge.Read,
		`{"permission":"none","user":{"login":"dana"}}`:                         forge.None,
		`{"permission":"owner","user":{"login":"dana"}}`:                        forge.None,
		`{"permission":"admin","user":{"login":"eve"}}`:                         forge.None,
		`{"permission":"admin","user":null}`:                                    forge.None,
		`{}`:                                                                    forge.None,
	} {
		a, _ := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, answer) })
		if p, err := a.Permission(t.Context(), "dana"); err != nil || p != want {
			t.Errorf("%s is %s, %v", answer, p, err)
		}
	}
	for _, hidden := range []bool{false, true} { // the repository, too: nobody was asked about
		a, _ := github(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/clients") && !hidden {
				say(w, 200, `{"id":1}`)
			} else {
				say(w, 404, `{}`)
			}
		})
		if p, err := a.Permission(t.Context(), "dana"); p != forge.None || errors.Is(err, forge.ErrAway) != hidden || !hidden && err != nil {
			t.Errorf("hidden: %t: %s, %v", hidden, p, err)
		}
	}
	a, _ := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 500, `{}`) })
	if p, err := a.Permission(t.Context(), "dana"); !errors.Is(err, forge.ErrAway) || p != forge.None {
		t.Error(p, err)
	}
}

// sent decodes what came.
func sent(t testing.TB, r *http.Request) map[string]any {
	t.Helper()
	out := map[string]any{}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) > 0 && json.Unmarshal(body, &out) != nil {
		t.Errorf("%s: %s, %v", r.URL.Path, body, err)
	}
	return out
}

// Statuses and deployments are sent as GitHub takes them.
func TestStatusesAndDeployments(t *testing.T) {
	var got []map[string]any
	a, _ := github(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, sent(t, r))
		say(w, 201, `{"id":3,"sha":"`+commit+`","environment":"demoshop","task":"reconcile"}`)
	})
	long := strings.Repeat("é", 200)
	err := errors.Join(
		a.SetStatus(t.Context(), commit, forge.Status{Context: "reconciler/plan", State: forge.Error, Description: long, URL: "https://reconciler.example/"}),
		a.SetStatus(t.Context(), commit, forge.Status{Context: "reconciler/plan", State: forge.Pending}),
		a.SetDeployment(t.Context(), 3, forge.DeploymentStatus{State: forge.DeploymentSuccess, Description: long, URL: "https://demoshop.example/", LogURL: "https://reconciler.example/d/1"}),
		a.SetDeployment(t.Context(), 3, forge.DeploymentStatus{State: forge.InProgress}),
	)
	d, err2 := a.CreateDeployment(t.Context(), forge.Deployment{Commit: commit, Environment: "demoshop", Task: "reconcile"}, "demoshop at 0123456")
	if want := (forge.Deployment{ID: 3, Commit: commit, Environment: "demoshop", Task: "reconcile"}); err != nil || err2 != nil || d != want {
		t.Errorf("%+v, %v, %v", d, err, err2)
	}
	cut := strings.Repeat("é", 139) + "…"
	for i, want := range []map[string]any{
		{"state": "error", "context": "reconciler/plan", "description": cut, "target_url": "https://reconciler.example/"},
		{"state": "pending", "context": "reconciler/plan"},
		{"state": "success", "description": cut, "environment_url": "https://demoshop.example/", "log_url": "https://reconciler.example/d/1", "auto_inactive": true},
		{"state": "in_progress", "auto_inactive": false},
		{"ref": commit, "task": "reconcile", "environment": "demoshop", "description": "demoshop at 0123456", "auto_merge": false, "required_contexts": []any{}, "transient_environment": false, "production_environment": false},
	} {
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("%d: %v", i, got[i])
		}
	}
	n := len(got)
	err = a.SetStatus(t.Context(), commit, forge.Status{Context: "x", State: "done"})
	err2 = a.SetDeployment(t.Context(), 3, forge.DeploymentStatus{State: "done"})
	err3 := a.SetStatus(t.Context(), commit, forge.Status{State: forge.Success})
	if !errors.Is(err, forge.ErrInvalid) || !errors.Is(err2, forge.ErrInvalid) || !errors.Is(err3, forge.ErrInvalid) || len(got) != n {
		t.Error(err, err2, err3)
	}
	a, _ = github(t, func(w http.ResponseWriter, _ *http.Request) {
		say(w, 200, `{"state":"pending","statuses":[{"context":"b","state":"success","target_url":"https://reconciler.example/"},{"context":"a","state":"pending","description":"x","target_url":"javascript:x"}]}`)
	})
	all, err := a.Statuses(t.Context(), commit)
	if want := []forge.Status{{Context: "a", State: forge.Pending, Description: "x"}, {Context: "b", State: forge.Success, URL: "https://reconciler.example/"}}; err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%v %v", all, err)
	}
}

// A check's annotations come in the batches that GitHub takes, the verdict with the first;
// a run without annotations is written again, one with some is followed by another.
func TestChecks(t *testing.T) {
	type run struct {
		id, notes  int
		conclusion any
		summary    string
	}
	var runs []*run
	a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
		if installation(w, r, time.Now(), "ghs_x") {
			return
		}
		if r.Method == http.MethodGet {
			var out []string
			for _, x := range runs {
				out = append(out, fmt.Sprintf(`{"id":%d,"name":"reconciler/validate","head_sha":%q,"app":{"id":7},"output":{"annotations_count":%d}}`, x.id, commit, x.notes))
			}
			out = append(out, fmt.Sprintf(`{"id":900,"name":"reconciler/validate","head_sha":%q,"app":{"id":8}}`, commit)) // another App's
			say(w, 200, `{"total_count":1,"check_runs":[`+strings.Join(out, ",")+`]}`)
			return
		}
		body := sent(t, r)
		out := body["output"].(map[string]any)
		notes, _ := out["annotations"].([]any)
		if len(notes) > 50 {
			say(w, 422, `{}`)
			return
		}
		x := &run{id: len(runs) + 1}
		if id := lastNumber(r.URL.Path); id != 0 {
			x = runs[id-1]
		} else {
			runs = append(runs, x)
		}
		x.notes, x.conclusion, x.summary = x.notes+len(notes), body["conclusion"], out["summary"].(string)
		if (body["status"] == "completed") != (body["completed_at"] != nil) {
			t.Errorf("ended oddly: %v", body)
		}
		say(w, 201, fmt.Sprintf(`{"id":%d}`, x.id))
	}, asApp(t))
	put := func(state forge.State, notes int) {
		t.Helper()
		c := forge.Check{Name: "reconciler/validate", Commit: commit, State: state, Title: "1 problem", Summary: "x", URL: "https://reconciler.example/"}
		for i := range notes {
			c.Annotations = append(c.Annotations, forge.Annotation{Path: "clients/x.yaml", Line: i + 1, Message: "no such plan"})
		}
		if err := a.PutCheck(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	put(forge.Pending, 0)
	put(forge.Failure, 120)
	if len(runs) != 1 || runs[0].notes != 120 || runs[0].conclusion != "failure" {
		t.Errorf("%+v", *runs[0])
	}
	put(forge.Error, 2)
	put(forge.Success, 0)
	put(forge.Success, 0)
	put(forge.Failure, 0)
	if len(runs) != 3 || runs[1].notes != 2 || runs[1].conclusion != "failure" || runs[2].conclusion != "failure" {
		t.Errorf("%d runs", len(runs))
	}
	s.clock.pass(time.Hour)
	put(forge.Failure, maxAnnotations+7)
	if len(runs) != 3 || runs[2].notes != maxAnnotations || !strings.Contains(runs[2].summary, "7 more are not shown") {
		t.Errorf("%+v", *runs[2])
	}
	n := annotationOf(forge.Annotation{Path: "x", Line: 0, Column: 5, EndColumn: 2, Warning: true, Title: strings.Repeat("x", 300)})
	if n.GetStartLine() != 1 || n.GetEndLine() != 1 || n.GetStartColumn() != 5 || n.GetEndColumn() != 5 || n.GetAnnotationLevel() != "warning" || len(n.GetTitle()) > 260 || n.GetMessage() == "" {
		t.Errorf("%v", n)
	}
	b, s := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `{}`) })
	if err := b.PutCheck(t.Context(), forge.Check{Name: "x", Commit: commit}); !errors.Is(err, forge.ErrDenied) || len(s.requests()) != 0 {
		t.Errorf("with a token: %v", err)
	}
}

// Of the comments on a diff, suggestions are ours that hold one.
func TestSuggestions(t *testing.T) {
	var got map[string]any
	a, _ := github(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/user":
			say(w, 200, `{"login":"octocat","id":1}`)
		case r.Method == http.MethodGet:
			say(w, 200, "["+aSuggestion+","+strings.NewReplacer(`"id":9`, `"id":10`, `"id":1}`, `"id":2}`).Replace(aSuggestion)+
				`,{"id":11,"user":{"id":1},"body":"only words"},`+strings.NewReplacer(`"id":9`, `"id":12`, `"line":3`, `"line":null,"original_line":8`).Replace(aSuggestion)+"]")
		default:
			got = sent(t, r)
			say(w, 201, aSuggestion)
		}
	})
	all, err := a.Suggestions(t.Context(), 4)
	body := "<!-- m -->\n```suggestion\nplan: free\n```"
	want := []forge.Suggestion{{ID: 9, Pull: 4, Commit: commit, Path: "clients/x.yaml", Line: 3, Body: body}, {ID: 12, Pull: 4, Commit: commit, Path: "clients/x.yaml", Line: 8, Body: body}}
	if err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%+v %v", all, err)
	}
	one, err := a.Suggest(t.Context(), forge.Suggestion{Pull: 4, Commit: commit, Path: "clients/x.yaml", Line: 3, Body: body})
	if err != nil || one != want[0] || !reflect.DeepEqual(got, map[string]any{"body": body, "commit_id": commit, "path": "clients/x.yaml", "line": 3.0, "side": "RIGHT"}) {
		t.Errorf("%+v %v, sent %v", one, err, got)
	}
}

// Who we are is asked once; an App writes as SLUG[bot], whose ID is another than its own.
func TestMe(t *testing.T) {
	a, s := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `{"login":"robot","id":12}`) })
	for range 2 {
		if me, err := a.Me(t.Context()); err != nil || me != (forge.Identity{Login: "robot", ID: 12}) {
			t.Errorf("%+v %v", me, err)
		}
	}
	if len(s.requests()) != 1 {
		t.Errorf("asked %v", s.requests())
	}
	a, s = github(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case installation(w, r, time.Now(), "ghs_x"):
		case r.URL.Path == "/app":
			if strings.Count(r.Header.Get("Authorization"), ".") != 2 {
				t.Errorf("asks as %q", r.Header.Get("Authorization"))
			}
			say(w, 200, `{"id":7,"slug":"reconciler"}`)
		case r.URL.Path == "/users/reconciler[bot]":
			say(w, 200, `{"login":"reconciler[bot]","id":4242}`)
		}
	}, asApp(t))
	if me, err := a.Me(t.Context()); err != nil || me != (forge.Identity{Login: "reconciler[bot]", ID: 4242, App: true}) {
		t.Errorf("%+v %v after %v", me, err, s.requests())
	}
}
