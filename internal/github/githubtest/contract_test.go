package githubtest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seen collects what a contract says instead of failing.
type seen struct {
	testing.TB
	said   []string
	logged []string
}

func (s *seen) Log(a ...any) { s.logged = append(s.logged, fmt.Sprint(a...)) }

func (s *seen) Errorf(format string, args ...any) {
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

const (
	user   = `{"login":"octo","id":1,"node_id":"U_1","avatar_url":"https://a.example/1","gravatar_id":"","url":"https://a.example/u","html_url":"https://a.example/h","followers_url":"https://a.example/f","following_url":"https://a.example/f","gists_url":"https://a.example/g","starred_url":"https://a.example/s","subscriptions_url":"https://a.example/s","organizations_url":"https://a.example/o","repos_url":"https://a.example/r","events_url":"https://a.example/e","received_events_url":"https://a.example/e","type":"User","site_admin":false}`
	status = `{"url":"https://a.example/s","avatar_url":null,"id":1,"node_id":"S_1","state":"success","description":null,"target_url":null,"context":"reconciler/plan","created_at":"2026-11-01T00:00:00Z","updated_at":"2026-11-01T00:00:00Z","creator":` + user + `}`
)

// Both doors judge alike: what fits passes untouched, what doesn't is said.
func TestContract(t *testing.T) {
	paper := Validator(t)
	if !paper.Present() {
		return
	}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		answer, said       string
	}{
		"as it is":            {"POST", "/repos/o/r/statuses/abc", `{"state":"success","context":"x"}`, 201, status, ""},
		"enterprise":          {"POST", "/api/v3/repos/o/r/statuses/abc", `{"state":"success"}`, 201, status, ""},
		"a wrong state":       {"POST", "/repos/o/r/statuses/abc", `{"state":"done"}`, 201, status, "request does not fit"},
		"a field of ours":     {"POST", "/repos/o/r/statuses/abc", `{"state":"success","url":"x"}`, 201, status, `no field "url"`},
		"a parameter of ours": {"GET", "/repos/o/r/commits/abc/pulls?state=all", "", 200, "[]", `no parameter "state"`},
		"a lean answer":       {"POST", "/repos/o/r/statuses/abc", `{"state":"success"}`, 201, `{"state":"success"}`, "answer does not fit"},
		"another status":      {"POST", "/repos/o/r/statuses/abc", `{"state":"success"}`, 202, status, "no such answer"},
		"no operation":        {"POST", "/repos/o/r/stargazers", `{}`, 200, `{}`, "no such operation"},
		"nobody's path":       {"GET", "/nothing", "", 404, `{"message":"Not Found"}`, ""},
		"an error":            {"POST", "/repos/o/r/statuses/abc", `{"state":"done"}`, 422, `{"message":"Validation Failed"}`, ""},
		"a mute error":        {"POST", "/repos/o/r/statuses/abc", `{"state":"success"}`, 422, `{}`, "without a message"},
		"not cut":             {"GET", "/repos/o/r/pulls/1/comments?per_page=100", "", 200, `[]`, ""},
		"slashes":             {"GET", "/repos/o/r/git/matching-refs/heads/a/b", "", 200, `[]`, ""},
		"not modified":        {"GET", "/repos/o/r/pulls", "", 304, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); string(body) != c.body {
					t.Errorf("the server got %q", body)
				}
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			})
			for door, ask := range map[string]func(*Contract) (http.Handler, http.RoundTripper){
				"client": func(k *Contract) (http.Handler, http.RoundTripper) { return answers, k.Wrap(nil) },
				"server": func(k *Contract) (http.Handler, http.RoundTripper) { return k.Handler(answers), nil },
			} {
				s := &seen{TB: t}
				handler, transport := ask(paper.For(s))
				server := httptest.NewServer(handler)
				r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				a, err := (&http.Client{Transport: transport}).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(a.Body)
				a.Body.Close()
				server.Close()
				if string(got) != c.answer || a.StatusCode != c.status {
					t.Errorf("%s: %d %q came", door, a.StatusCode, got)
				}
				if all := strings.Join(s.said, "\n"); (all == "") != (c.said == "") || !strings.Contains(all, c.said) {
					t.Errorf("%s: said %q", door, all)
				}
			}
		})
	}
}

// Without the description, exchanges pass and the log says so.
func TestContractWithoutDescription(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("RECONCILER_SPECS", "")
	s := &seen{TB: t}
	if here, _ := os.Getwd(); Specs(s) != "" {
		t.Logf("there is a description above %s", filepath.Dir(here))
		return
	}
	c := Validator(s)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	a, err := (&http.Client{Transport: c.Wrap(nil)}).Get(server.URL + "/whatever")
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if c.Present() || c.Judged() != 0 {
		t.Error("judged by nothing")
	}
	if len(s.logged) == 0 || !strings.Contains(s.logged[0], "nothing is checked against them") {
		t.Errorf("the log says %q", s.logged)
	}
}
