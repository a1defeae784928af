package vercel

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

// builtin is the source that needs no repository: a page of our own.
const builtin = "builtin"

// repository is a Git repository as Vercel names it. Its zero value is none.
type repository struct {
	kind string // github | gitlab | bitbucket
	path string // OWNER/NAME
}

// repositoryOf reads OWNER/NAME (at GitHub) or an https URL.
func repositoryOf(text string) (repository, bool) {
	if text == "" || text == builtin {
		return repository{}, true
	}
	if !strings.Contains(text, "://") {
		text = "https://github.com/" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return repository{}, false
	}
	kinds := map[string]string{"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}
	path := strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
	kind, parts := kinds[strings.ToLower(u.Host)], strings.Split(path, "/")
	if kind == "" || len(parts) < 2 || len(parts) > 2 && kind != "gitlab" {
		return repository{}, false
	}
	for _, part := range parts {
		if !isWord(part) {
			return repository{}, false
		}
	}
	return repository{kind, path}, true
}

// link is a project's repository. Which fields it has depends on its type.
type link struct {
	Type      string  `json:"type"`
	Org       string  `json:"org"`
	Repo      string  `json:"repo"`
	RepoID    literal `json:"repoId"`
	ProjectID literal `json:"projectId"` // GitLab's
	Owner     string  `json:"owner"`     // Bitbucket's
	Slug      string  `json:"slug"`
	Branch    string  `json:"productionBranch"`
}

// literal is a number or a text, kept as it came.
type literal json.RawMessage

// UnmarshalJSON implements json.Unmarshaler: anything else is left out.
func (l *literal) UnmarshalJSON(data []byte) error {
	if c := data[0]; c == '"' || c >= '0' && c <= '9' {
		*l = append((*l)[:0], data...)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (l literal) MarshalJSON() ([]byte, error) { return json.RawMessage(l).MarshalJSON() }

// is says that the project is linked to the repository. GitLab says its own id and not the
// path: any link of that kind counts.
func (l *link) is(r repository) bool {
	switch {
	case l == nil || l.Type == "":
		return r.kind == ""
	case l.Type == "github" || l.Type == "github-limited":
		return r.kind == "github" && strings.EqualFold(r.path, l.Org+"/"+l.Repo)
	case l.Type == "bitbucket":
		return r.kind == l.Type && strings.EqualFold(r.path, l.Owner+"/"+l.Slug)
	}
	return r.kind == l.Type
}

// text is the link as a manifest would say it.
func (l *link) text() string {
	switch {
	case l == nil || l.Type == "":
		return ""
	case l.Type == "bitbucket":
		return "https://bitbucket.org/" + l.Owner + "/" + l.Slug
	case l.Org != "" && l.Repo != "":
		return l.Org + "/" + l.Repo
	}
	return l.Type
}

// source is the gitSource of a deployment: one commit of the linked repository.
func (l *link) source(r repository, ref, commit string) map[string]any {
	if ref == "" {
		ref = commit
	}
	out := map[string]any{"type": r.kind, "ref": ref, "sha": commit}
	owner, name, _ := strings.Cut(r.path, "/")
	switch {
	case r.kind == "github" && l.is(r) && len(l.RepoID) > 0:
		out["type"], out["repoId"] = l.Type, l.RepoID
	case r.kind == "github":
		out["org"], out["repo"] = owner, name
	case r.kind == "gitlab" && l != nil && len(l.ProjectID) > 0:
		out["projectId"] = l.ProjectID
	case r.kind == "bitbucket":
		out["owner"], out["slug"] = owner, name
	default:
		return nil // GitLab's is known by the link alone
	}
	return out
}

// release is what a deployment hands to its build, in RECONCILER_RELEASE.
type release struct {
	DisplayName string          `json:"displayName"`
	Template    string          `json:"template"`
	Features    []string        `json:"features"`
	Disabled    []string        `json:"disabledCollections"`
	Settings    json.RawMessage `json:"settings"`
}

// releaseOf reads a wish. ok is false where the settings are no JSON.
func releaseOf(w provider.Wish) (release, bool) {
	settings := w.Get("settings")
	if settings == "" {
		settings = "{}"
	}
	return release{DisplayName: w.Get("displayName"), Template: w.Get("template"), Features: words(w.Get("features")), Disabled: words(w.Get("collections")),
		Settings: json.RawMessage(settings)}, json.Valid([]byte(settings))
}

// words reads a list of names with commas.
func words(s string) []string {
	if s == "" {
		return []string{}
	}
	return strings.Split(s, ",")
}

// file is one of a deployment without a repository.
type file struct {
	File string `json:"file"`
	Data string `json:"data"`
}

// files are the builtin source: one page, and an answer for health checks.
func (r release) files() []file {
	title := html.EscapeString(r.DisplayName)
	page := fmt.Sprintf("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n<h1>%s</h1>\n<p>%s</p>\n</html>\n",
		title, title, html.EscapeString(strings.Join(append([]string{r.Template}, r.Features...), " · ")))
	return []file{
		{"health.json", `{"status":"ok"}` + "\n"},
		{"index.html", page},
		{"vercel.json", `{"rewrites":[{"source":"/api/health","destination":"/health.json"}]}` + "\n"},
	}
}
