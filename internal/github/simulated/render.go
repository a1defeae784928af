package simulated

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// object is JSON as GitHub answers it; its keys are written in their order.
type object = map[string]any

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stampOr is null for no time.
func stampOr(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// textOr is null for no text.
func textOr(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// node is an opaque id of GraphQL.
func node(kind string, id any) string {
	return kind + "_" + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprint(id)))
}

func (f *Forge) api(format string, a ...any) string { return f.o.APIURL + fmt.Sprintf(format, a...) }

// repoAPI is an address below the repository.
func (f *Forge) repoAPI(format string, a ...any) string {
	return f.api("/repos/%s/%s", f.o.Owner, f.name()) + fmt.Sprintf(format, a...)
}

// page is an address for people below the repository's.
func (f *Forge) page(format string, a ...any) string {
	return f.o.BaseURL + "/" + f.o.Owner + "/" + f.name() + fmt.Sprintf(format, a...)
}

// account is a user as they stand in other answers.
func (f *Forge) account(login string) object {
	u := f.user(login)
	at := f.api("/users/%s", url.PathEscape(u.Login))
	kind, site := "User", f.o.BaseURL+"/"+u.Login
	if u.Bot {
		kind, site = "Bot", f.o.BaseURL+"/apps/"+strings.TrimSuffix(u.Login, "[bot]")
	}
	return object{"login": u.Login, "id": u.ID, "node_id": node("U", u.ID), "avatar_url": f.o.BaseURL + "/avatars/" + fmt.Sprint(u.ID), "gravatar_id": "",
		"url": at, "html_url": site, "followers_url": at + "/followers", "following_url": at + "/following{/other_user}", "gists_url": at + "/gists{/gist_id}",
		"starred_url": at + "/starred{/owner}{/repo}", "subscriptions_url": at + "/subscriptions", "organizations_url": at + "/orgs", "repos_url": at + "/repos",
		"events_url": at + "/events{/privacy}", "received_events_url": at + "/received_events", "type": kind, "site_admin": false}
}

// accountOr is null for nobody.
func (f *Forge) accountOr(login string) any {
	if login == "" {
		return nil
	}
	return f.account(login)
}

// association is what somebody is to the repository.
func (f *Forge) association(login string) string {
	u := f.user(login)
	switch {
	case strings.EqualFold(login, f.o.Owner):
		return "OWNER"
	case u.level() == "admin" || u.level() == "write":
		return "COLLABORATOR"
	case slices.ContainsFunc(f.w.Pulls, func(p *Pull) bool { return p.Merged && p.Author == u.Login }):
		return "CONTRIBUTOR"
	}
	return "NONE"
}

// repository is the repository, or somebody's fork of it.
func (f *Forge) repository(owner string) object {
	name := owner + "/" + f.name()
	at, site := f.api("/repos/%s", name), f.o.BaseURL+"/"+name
	id, clone := int64(repoID), f.o.CloneURL
	fork := owner != f.o.Owner
	if fork {
		id, clone = f.user(owner).ID+1_000_000, site+".git"
	}
	out := object{"id": id, "node_id": node("R", id), "name": f.name(), "full_name": name, "owner": f.account(owner), "private": true, "html_url": site,
		"description": nil, "fork": fork, "url": at, "git_url": "git://" + strings.TrimPrefix(strings.TrimPrefix(site, "https://"), "http://") + ".git",
		"ssh_url": "git@" + hostOf(f.o.BaseURL) + ":" + name + ".git", "clone_url": clone, "svn_url": site, "homepage": nil, "language": nil, "mirror_url": nil,
		"forks_count": len(f.w.Forks), "stargazers_count": 0, "watchers_count": 0, "size": 1, "default_branch": f.own, "open_issues_count": f.openPulls(),
		"is_template": false, "topics": []string{}, "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false, "has_downloads": true,
		"has_discussions": false, "archived": f.archived, "disabled": false, "visibility": "private", "pushed_at": stamp(f.w.Pushed), "created_at": stamp(f.w.Created),
		"updated_at": stamp(f.w.Created), "license": nil, "forks": len(f.w.Forks), "open_issues": f.openPulls(), "watchers": 0, "web_commit_signoff_required": false, "allow_forking": true}
	for key, tail := range map[string]string{"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
		"branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}", "commits_url": "/commits{/sha}",
		"compare_url": "/compare/{base}...{head}", "contents_url": "/contents/{+path}", "contributors_url": "/contributors", "deployments_url": "/deployments",
		"downloads_url": "/downloads", "events_url": "/events", "forks_url": "/forks", "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}",
		"git_tags_url": "/git/tags{/sha}", "hooks_url": "/hooks", "issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}",
		"issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}", "languages_url": "/languages", "merges_url": "/merges",
		"milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}",
		"releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}", "subscribers_url": "/subscribers",
		"subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}"} {
		out[key] = at + tail
	}
	return out
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (f *Forge) openPulls() (n int) {
	for _, p := range f.w.Pulls {
		if p.State == "open" {
			n++
		}
	}
	return n
}

// pullLinks are the addresses of a pull request.
func (f *Forge) pullLinks(p *Pull) (out, links object) {
	at, issue := f.repoAPI("/pulls/%d", p.Number), f.repoAPI("/issues/%d", p.Number)
	site := f.page("/pull/%d", p.Number)
	out = object{"url": at, "html_url": site, "diff_url": site + ".diff", "patch_url": site + ".patch", "issue_url": issue, "commits_url": at + "/commits",
		"review_comments_url": at + "/comments", "review_comment_url": f.repoAPI("/pulls/comments{/number}"), "comments_url": issue + "/comments", "statuses_url": f.repoAPI("/statuses/%s", p.Head)}
	href := func(s any) object { return object{"href": s} }
	links = object{"self": href(at), "html": href(site), "issue": href(issue), "comments": href(out["comments_url"]), "review_comments": href(out["review_comments_url"]),
		"review_comment": href(out["review_comment_url"]), "commits": href(out["commits_url"]), "statuses": href(out["statuses_url"])}
	return out, links
}

// pullSimple is a pull request in a list.
func (f *Forge) pullSimple(p *Pull) object {
	out, links := f.pullLinks(p)
	owner := f.o.Owner
	if p.Fork != "" {
		owner = p.Fork
	}
	merge := textOr(p.Trial.Commit)
	if p.Merged {
		merge = p.MergeCommit
	}
	for k, v := range (object{"id": p.ID, "node_id": node("PR", p.ID), "number": p.Number, "state": p.State, "locked": false, "title": p.Title, "user": f.account(p.Author),
		"body": textOr(p.Body), "labels": f.labels(p), "milestone": nil, "active_lock_reason": nil, "created_at": stamp(p.Created), "updated_at": stamp(p.Updated),
		"closed_at": stampOr(p.Closed), "merged_at": stampOr(p.MergedAt), "merge_commit_sha": merge, "assignee": nil, "assignees": []any{}, "requested_reviewers": []any{},
		"requested_teams": []any{}, "_links": links, "author_association": f.association(p.Author), "auto_merge": nil, "draft": p.Draft,
		"head": object{"label": owner + ":" + p.HeadRef, "ref": p.HeadRef, "sha": p.Head, "user": f.account(owner), "repo": f.repository(owner)},
		"base": object{"label": f.o.Owner + ":" + p.BaseRef, "ref": p.BaseRef, "sha": p.Base, "user": f.account(f.o.Owner), "repo": f.repository(f.o.Owner)}}) {
		out[k] = v
	}
	return out
}

// pullFull is a pull request by itself.
func (f *Forge) pullFull(p *Pull) object {
	out := f.pullSimple(p)
	known, can := f.mergeable(p)
	var mergeable any
	state := "unknown"
	switch {
	case p.State == "open" && known && can:
		mergeable, state = true, "clean"
		if p.Draft {
			state = "draft"
		}
	case p.State == "open" && known:
		mergeable, state = false, "dirty"
	case p.Merged || p.State == "closed":
	}
	for k, v := range (object{"merged": p.Merged, "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": state, "merged_by": f.accountOr(p.MergedBy),
		"comments": len(f.commentsOf(p.Number)), "review_comments": len(f.suggestionsOf(p.Number)), "maintainer_can_modify": p.Fork != "", "commits": p.NumCommits,
		"additions": p.Adds, "deletions": p.Deletes, "changed_files": p.Files}) {
		out[k] = v
	}
	return out
}

func (f *Forge) labels(p *Pull) []any {
	out := []any{}
	for _, l := range p.Labels {
		out = append(out, object{"id": l.ID, "node_id": node("LA", l.ID), "url": f.repoAPI("/labels/%s", url.PathEscape(l.Name)), "name": l.Name, "description": nil, "color": "ededed", "default": false})
	}
	return out
}

func (f *Forge) commentsOf(pull int) (out []*Comment) {
	for _, c := range f.w.Comments {
		if c.Pull == pull {
			out = append(out, c)
		}
	}
	return out
}

func (f *Forge) suggestionsOf(pull int) (out []*Suggestion) {
	for _, s := range f.w.Suggestions {
		if s.Pull == pull {
			out = append(out, s)
		}
	}
	return out
}

// reactionNames are those that there are.
func reactionNames() []string {
	return []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}
}

func (f *Forge) rollup(comment int64, at string) object {
	out := object{"url": at + "/reactions", "total_count": 0}
	for _, n := range reactionNames() {
		out[n] = 0
	}
	total := 0
	for _, r := range f.w.Reactions {
		if r.Comment == comment {
			out[r.Content] = out[r.Content].(int) + 1
			total++
		}
	}
	out["total_count"] = total
	return out
}

func (f *Forge) reaction(r *Reaction) object {
	return object{"id": r.ID, "node_id": node("REA", r.ID), "user": f.account(r.Author), "content": r.Content, "created_at": stamp(r.Created)}
}

func (f *Forge) issueComment(c *Comment) object {
	at := f.repoAPI("/issues/comments/%d", c.ID)
	return object{"id": c.ID, "node_id": node("IC", c.ID), "url": at, "html_url": f.page("/pull/%d#issuecomment-%d", c.Pull, c.ID), "issue_url": f.repoAPI("/issues/%d", c.Pull),
		"body": c.Body, "user": f.account(c.Author), "created_at": stamp(c.Created), "updated_at": stamp(c.Updated), "author_association": f.association(c.Author),
		"performed_via_github_app": nil, "reactions": f.rollup(c.ID, at)}
}

func (f *Forge) status(s *Status) object {
	return object{"url": f.repoAPI("/statuses/%s", s.SHA), "id": s.ID, "node_id": node("SC", s.ID), "state": s.State, "description": textOr(s.Description), "target_url": textOr(s.URL),
		"context": s.Context, "created_at": stamp(s.Created), "updated_at": stamp(s.Created), "avatar_url": f.account(s.Author)["avatar_url"], "creator": f.account(s.Author)}
}

func (f *Forge) deployment(d *Deployment) object {
	at := f.repoAPI("/deployments/%d", d.ID)
	var payload any = object{}
	if len(d.Payload) > 0 && string(d.Payload) != "null" { // as none reads when it was kept in a file
		payload = d.Payload
	}
	return object{"url": at, "id": d.ID, "node_id": node("DE", d.ID), "sha": d.SHA, "ref": d.Ref, "task": d.Task, "payload": payload, "original_environment": d.Environment,
		"environment": d.Environment, "description": textOr(d.Description), "creator": f.account(d.Author), "created_at": stamp(d.Created), "updated_at": stamp(d.Updated),
		"statuses_url": at + "/statuses", "repository_url": f.repoAPI(""), "transient_environment": d.Transient, "production_environment": d.Production, "performed_via_github_app": nil}
}

func (f *Forge) deploymentStatus(d *Deployment, s DeploymentStatus) object {
	at := f.repoAPI("/deployments/%d", d.ID)
	return object{"url": fmt.Sprintf("%s/statuses/%d", at, s.ID), "id": s.ID, "node_id": node("DES", s.ID), "state": s.State, "creator": f.account(s.Author), "description": s.Description,
		"environment": s.Environment, "target_url": s.LogURL, "created_at": stamp(s.Created), "updated_at": stamp(s.Created), "deployment_url": at, "repository_url": f.repoAPI(""),
		"environment_url": s.URL, "log_url": s.LogURL, "performed_via_github_app": nil}
}

// commit is a commit as the API has it, without its files.
func (f *Forge) commit(c gitserver.Commit) object {
	at, site := f.repoAPI("/commits/%s", c.ID), f.page("/commit/%s", c.ID)
	parents := []any{}
	for _, p := range c.Parents {
		parents = append(parents, object{"sha": p, "url": f.repoAPI("/commits/%s", p), "html_url": f.page("/commit/%s", p)})
	}
	who := func(p gitserver.Person) object {
		return object{"name": p.Name, "email": p.Email, "date": stamp(p.When)}
	}
	return object{"url": at, "sha": c.ID, "node_id": node("C", c.ID), "html_url": site, "comments_url": at + "/comments",
		"commit": object{"url": f.repoAPI("/git/commits/%s", c.ID), "author": who(c.Author), "committer": who(c.Committer), "message": strings.TrimSuffix(c.Message, "\n"), "comment_count": 0,
			"tree":         object{"sha": c.Tree, "url": f.repoAPI("/git/trees/%s", c.Tree)},
			"verification": object{"verified": false, "reason": "unsigned", "payload": nil, "signature": nil, "verified_at": nil}},
		"author": f.accountOr(f.loginOf(c.Author)), "committer": f.accountOr(f.loginOf(c.Committer)), "parents": parents}
}

// diffEntry is a file of a diff at a commit.
func (f *Forge) diffEntry(d fileDiff, commit string) object {
	sha, path := d.After.ID, escapePath(d.Path)
	if sha == "" {
		sha = d.Before.ID
	}
	out := object{"sha": sha, "filename": d.Path, "status": d.Status(), "additions": d.Adds, "deletions": d.Deletes, "changes": d.Adds + d.Deletes,
		"blob_url": f.page("/blob/%s/%s", commit, path), "raw_url": f.page("/raw/%s/%s", commit, path), "contents_url": f.repoAPI("/contents/%s?ref=%s", path, commit)}
	if d.Patch != "" {
		out["patch"] = d.Patch
	}
	return out
}

func escapePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }
