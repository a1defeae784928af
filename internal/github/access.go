package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// maxPermissions is how many of an answer's permissions are told.
const maxPermissions = 100

// Need is a permission that we work with.
type Need struct {
	Name  string // as GitHub's settings page says it
	Level string // read, write
	For   string // what it is for
	key   string // as the API says it
	app   bool   // only a GitHub App can have it
}

func (n Need) String() string { return n.Name + ": " + n.Level }

// needs are all of them. A sentence of whoever sets up the access follows them.
func needs() []Need {
	return []Need{
		{key: "metadata", Name: "Metadata", Level: "read", For: "who may command"},
		{key: "contents", Name: "Contents", Level: "read", For: "the manifests, and which pull request brought a commit"},
		{key: "pull_requests", Name: "Pull requests", Level: "write", For: "plans and results as comments, suggestions"},
		{key: "statuses", Name: "Commit statuses", Level: "write", For: "the verdicts beside a commit"},
		{key: "deployments", Name: "Deployments", Level: "write", For: "what runs where"},
		{key: "checks", Name: "Checks", Level: "write", For: "mistakes shown on their lines", app: true},
	}
}

// Access is what the credentials allow, as far as GitHub says it.
type Access struct {
	Kind      string // "GitHub App", "classic token", "fine-grained token"
	Missing   []Need
	Wider     []string // what is allowed and not needed, in words
	Unchecked []Need   // what GitHub does not say beforehand
	Notes     []Note   // about the repository itself
	Expires   time.Time
}

// Note is what people should know of the repository, and what to do then.
type Note struct{ Text, Next string }

func (n Note) String() string { return n.Text + ": " + n.Next }

// of notes what keeps the repository from being told, or found, as it is configured.
func (x *Access) of(repo *gh.Repository, owner, name string) {
	if repo.GetArchived() {
		x.Notes = append(x.Notes, Note{"the repository is archived at GitHub, which takes no plan, status or comment there", "take it out of the archive; what waits is told then"})
	}
	if full := repo.GetFullName(); fullName(full) && !strings.EqualFold(full, owner+"/"+name) {
		x.Notes = append(x.Notes, Note{fmt.Sprintf("GitHub calls the repository %s by now, not %s/%s", full, owner, name),
			"set github.owner, github.repo and repository.url; until then its webhooks are refused, and a new repository of the former name would be taken for it"})
	}
}

// Lines says it for people, the worst first.
func (x Access) Lines() []string {
	var out []string
	for _, n := range x.Notes {
		out = append(out, n.String())
	}
	for _, n := range x.Missing {
		out = append(out, fmt.Sprintf("missing: %s (%s)", n, n.For))
	}
	for _, w := range x.Wider {
		out = append(out, "wider than needed: "+w)
	}
	for _, n := range x.Unchecked {
		out = append(out, fmt.Sprintf("can't be checked beforehand: %s (%s)", n, n.For))
	}
	if !x.Expires.IsZero() {
		out = append(out, "the token expires on "+x.Expires.UTC().Format("2 January 2006"))
	}
	return out
}

// Check asks what the credentials allow, by reading only. Its error is that of credentials
// that are refused whole, or of a GitHub that does not answer.
func (a *API) Check(ctx context.Context) (Access, error) {
	if a.app {
		return a.checkApp(ctx)
	}
	return a.checkToken(ctx)
}

// granted is an installation, as far as it matters.
type granted struct {
	ID          int64             `json:"id"`
	Permissions map[string]string `json:"permissions"`
	Selection   string            `json:"repository_selection"`
	Suspended   *time.Time        `json:"suspended_at"`
}

func (a *API) checkApp(ctx context.Context) (Access, error) {
	const op = "check the GitHub App's permissions"
	x := Access{Kind: "GitHub App"}
	r, err := a.client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/installation", a.owner, a.repo), nil)
	if err != nil {
		return x, fail(ctx, op, err)
	}
	var g granted
	if _, err := a.client.Do(with(ctx, call{asApp: true}), r, &g); err != nil {
		if err = fail(ctx, op, err); errors.Is(err, forge.ErrNotFound) {
			err = fmt.Errorf("%s: %w (the GitHub App is not installed for %s/%s)", op, forge.ErrDenied, a.owner, a.repo)
		}
		return x, err
	}
	if g.Suspended != nil {
		return x, fmt.Errorf("%s: %w (the installation is suspended)", op, forge.ErrDenied)
	}
	if a.installation != 0 && a.installation != g.ID {
		return x, fmt.Errorf("%s: %w (the installation of %s/%s is %d, another is set)", op, forge.ErrDenied, a.owner, a.repo, g.ID)
	}
	for _, n := range needs() {
		if !covers(g.Permissions[n.key], n.Level) {
			x.Missing = append(x.Missing, n)
		}
	}
	for _, key := range sorted(g.Permissions) {
		if w := wider(key, g.Permissions[key]); w != "" {
			x.Wider = append(x.Wider, w)
		}
	}
	if g.Selection == "all" {
		x.Wider = append(x.Wider, "all repositories, where one is enough")
	}
	repo, _, err := a.client.Repositories.Get(ctx, a.owner, a.repo)
	if err = fail(ctx, op, err); err != nil {
		return x, err
	}
	x.of(repo, a.owner, a.repo)
	return x, nil
}

func sorted(m map[string]string) []string {
	var keys []string
	for key := range m {
		if key != "" && len(key) <= 60 && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") == "" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[:min(len(keys), maxPermissions)]
}

// covers says whether a level includes another.
func covers(has, needed string) bool {
	return has == "admin" || has == "write" || has == needed
}

// wider says what of a permission is not needed, "" if nothing is.
func wider(key, level string) string {
	for _, n := range needs() {
		if n.key == key && n.Level == "read" && level != "read" {
			if n.key == "contents" {
				return n.Name + ": write, where read is enough but for `drift --adopt --propose`"
			}
			return n.Name + ": write, where read is enough"
		}
		if n.key == key {
			return ""
		}
	}
	name := strings.ReplaceAll(key, "_", " ")
	return strings.ToUpper(name[:1]) + name[1:]
}

func (a *API) checkToken(ctx context.Context) (Access, error) {
	const op = "check the token's permissions"
	var x Access
	repo, r, err := a.client.Repositories.Get(ctx, a.owner, a.repo)
	if err = fail(ctx, op, err); err != nil {
		if errors.Is(err, forge.ErrNotFound) {
			err = fmt.Errorf("%s: %w (the token does not see %s/%s)", op, forge.ErrDenied, a.owner, a.repo)
		}
		return x, err
	}
	x.Expires = r.TokenExpiration.Time
	x.of(repo, a.owner, a.repo)
	_, classic := r.Header["X-Oauth-Scopes"] // only a classic token's answers have it
	x.Kind = "fine-grained token"
	if classic {
		x.Kind = "classic token"
		x.scopes(r.Header.Get("X-OAuth-Scopes"), repo.GetPrivate())
	} else if err := a.readings(ctx, &x, repo.GetDefaultBranch()); err != nil {
		return x, fmt.Errorf("%s: %w", op, err)
	}
	// What the token's owner may not do, it may not either.
	if may := repo.GetPermissions(); len(may) > 0 && !may["push"] && !may["maintain"] && !may["admin"] {
		for _, n := range needs() {
			if n.Level == "write" && !n.app && !slices.Contains(x.Missing, n) {
				x.Missing = append(x.Missing, n)
			}
		}
		x.Unchecked = nil
	}
	return x, nil
}

// scopes reads what a classic token may do.
func (x *Access) scopes(header string, private bool) {
	enough := false
	for i, s := range strings.Split(header, ",") {
		s = strings.TrimSpace(s)
		switch {
		case i >= maxPermissions || s == "" || len(s) > 60 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_:") != "":
		case s == "repo", s == "public_repo" && !private:
			enough = true
			x.Wider = append(x.Wider, "scope "+s+": all repositories of its owner, with their contents (a GitHub App or a fine-grained token is for one)")
		default:
			x.Wider = append(x.Wider, "scope "+s)
		}
	}
	if enough {
		return
	}
	for _, n := range needs() {
		if !n.app {
			x.Missing = append(x.Missing, n)
		}
	}
}

// readings tries what a fine-grained token reads: GitHub says nowhere what it may.
func (a *API) readings(ctx context.Context, x *Access, branch string) error {
	one := gh.ListOptions{PerPage: 1}
	for _, n := range needs() {
		var err error
		switch n.key {
		case "contents":
			_, _, err = a.client.Repositories.ListCommits(ctx, a.owner, a.repo, &gh.CommitsListOptions{ListOptions: one})
		case "pull_requests":
			_, _, err = a.client.PullRequests.List(ctx, a.owner, a.repo, &gh.PullRequestListOptions{ListOptions: one})
		case "statuses":
			_, _, err = a.client.Repositories.GetCombinedStatus(ctx, a.owner, a.repo, branch, &one)
		case "deployments":
			_, _, err = a.client.Repositories.ListDeployments(ctx, a.owner, a.repo, &gh.DeploymentsListOptions{ListOptions: one})
		default:
			continue // metadata was read; checks are an App's
		}
		err = fail(ctx, "try "+n.Name, err)
		switch {
		case errors.Is(err, forge.ErrDenied), errors.Is(err, forge.ErrNotFound):
			x.Missing = append(x.Missing, n)
		case errors.Is(err, forge.ErrInvalid): // an empty repository
			x.Unchecked = append(x.Unchecked, n)
		case err != nil:
			return err
		case n.Level == "write":
			x.Unchecked = append(x.Unchecked, n)
		}
	}
	return nil
}

// accepted reads what GitHub says that a refused request takes: "statuses=write; …".
func accepted(header string) string {
	var names []string
	for _, one := range strings.FieldsFunc(header, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		key, level, _ := strings.Cut(one, "=")
		for _, n := range needs() {
			if n.key == key && (level == "read" || level == "write") {
				names = append(names, n.Name+": "+level)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "it takes " + strings.Join(names[:min(len(names), 4)], ", ")
}
