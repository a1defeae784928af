package simulated

import "net/http"

// route is one operation of the API.
type route struct {
	pattern string
	kind    string // what Write and Fault call it
	need    string // a permission, or alternatives; "jwt": the App itself; "": anybody who is let in
	status  int
	write   bool
	content bool // it counts against the limits of content
	anybody bool // whoever may read may do it
	do      handler
}

const repo = "/repos/{owner}/{repo}"

// routes are all operations that are answered.
func routes() []route {
	const discussion = "issues:write pull_requests:write"
	read := func(pattern, kind, need string, do handler) route {
		return route{pattern: "GET " + pattern, kind: kind, need: need, status: http.StatusOK, do: do}
	}
	write := func(method, pattern, kind, need string, status int, do handler) route {
		return route{pattern: method + " " + pattern, kind: kind, need: need, status: status, write: true, content: true, do: do}
	}
	// anyone may do it who may read.
	anyone := func(r route) route { r.anybody = true; return r }
	all := []route{
		read("/rate_limit", "rate", "", getRate),
		read("/meta", "meta", "", getMeta),
		read("/user", "user.me", "", getMe),
		read("/users/{login}", "user.get", "", getUser),
		read(repo, "repo.get", "metadata:read", getRepo),
		read(repo+"/collaborators/{login}/permission", "permission", "metadata:read", getPermission),
		read(repo+"/collaborators/{login}", "collaborator", "metadata:read", getCollaborator),

		read(repo+"/pulls", "pull.list", "pull_requests:read", listPulls),
		read(repo+"/pulls/{number}", "pull.get", "pull_requests:read", getPull),
		read(repo+"/pulls/{number}/files", "pull.files", "pull_requests:read", listFiles),
		read(repo+"/pulls/{number}/commits", "pull.commits", "pull_requests:read", listPullCommits),
		read(repo+"/commits/{sha}/pulls", "commit.pulls", "pull_requests:read contents:read", listPullsOf),
		anyone(write("POST", repo+"/pulls", "pull.create", "pull_requests:write", http.StatusCreated, createPull)),
		write("PATCH", repo+"/pulls/{number}", "pull.update", "pull_requests:write", http.StatusOK, updatePull),
		write("PUT", repo+"/pulls/{number}/merge", "pull.merge", "contents:write", http.StatusOK, mergePull),
		read(repo+"/pulls/{number}/comments", "review.list", "pull_requests:read", listSuggestions),
		write("POST", repo+"/pulls/{number}/comments", "review.create", "pull_requests:write", http.StatusCreated, createSuggestion),
		read(repo+"/pulls/comments/{id}", "review.get", "pull_requests:read", getSuggestion),
		write("PATCH", repo+"/pulls/comments/{id}", "review.edit", "pull_requests:write", http.StatusOK, editSuggestion),
		write("DELETE", repo+"/pulls/comments/{id}", "review.delete", "pull_requests:write", http.StatusNoContent, deleteSuggestion),

		read(repo+"/issues/{number}/comments", "comment.list", "issues:read pull_requests:read", listComments),
		read(repo+"/issues/comments", "comment.all", "issues:read pull_requests:read", listAllComments),
		read(repo+"/issues/comments/{id}", "comment.get", "issues:read pull_requests:read", getComment),
		anyone(write("POST", repo+"/issues/{number}/comments", "comment.create", discussion, http.StatusCreated, createComment)),
		anyone(write("PATCH", repo+"/issues/comments/{id}", "comment.edit", discussion, http.StatusOK, editComment)),
		anyone(write("DELETE", repo+"/issues/comments/{id}", "comment.delete", discussion, http.StatusNoContent, deleteComment)),
		read(repo+"/issues/comments/{id}/reactions", "reaction.list", "issues:read pull_requests:read", listReactions),
		anyone(write("POST", repo+"/issues/comments/{id}/reactions", "reaction.create", discussion, http.StatusCreated, createReaction)),
		anyone(write("DELETE", repo+"/issues/comments/{id}/reactions/{reaction}", "reaction.delete", discussion, http.StatusNoContent, deleteReaction)),
		read(repo+"/issues/{number}/labels", "label.list", "issues:read pull_requests:read", listLabels),
		write("POST", repo+"/issues/{number}/labels", "label.add", discussion, http.StatusOK, addLabels),

		write("POST", repo+"/statuses/{sha}", "status.create", "statuses:write", http.StatusCreated, createStatus),
		read(repo+"/commits/{ref}/status", "status.combined", "statuses:read", combinedStatus),
		read(repo+"/commits/{ref}/statuses", "status.list", "statuses:read", listStatuses),

		read(repo+"/deployments", "deployment.list", "deployments:read", listDeployments),
		write("POST", repo+"/deployments", "deployment.create", "deployments:write", http.StatusCreated, createDeployment),
		read(repo+"/deployments/{id}", "deployment.get", "deployments:read", getDeployment),
		write("DELETE", repo+"/deployments/{id}", "deployment.delete", "deployments:write", http.StatusNoContent, deleteDeployment),
		read(repo+"/deployments/{id}/statuses", "deployment.statuses", "deployments:read", listDeploymentStatuses),
		write("POST", repo+"/deployments/{id}/statuses", "deployment.status", "deployments:write", http.StatusCreated, createDeploymentStatus),
		read(repo+"/deployments/{id}/statuses/{status}", "deployment.status.get", "deployments:read", getDeploymentStatus),

		write("POST", repo+"/check-runs", "check.create", "checks:write", http.StatusCreated, createCheck),
		read(repo+"/check-runs/{id}", "check.get", "checks:read", getCheck),
		write("PATCH", repo+"/check-runs/{id}", "check.update", "checks:write", http.StatusOK, updateCheck),
		read(repo+"/check-runs/{id}/annotations", "check.annotations", "checks:read", listAnnotations),
		read(repo+"/commits/{ref}/check-runs", "check.list", "checks:read", listChecks),
	}
	return append(append(all, gitRoutes(read, write)...), appRoutes(read, write)...)
}

// gitRoutes are those about commits, files and references.
func gitRoutes(read func(string, string, string, handler) route, write func(string, string, string, string, int, handler) route) []route {
	return []route{
		read(repo+"/commits", "commit.list", "contents:read", listCommits),
		read(repo+"/commits/{ref}", "commit.get", "contents:read", getCommit),
		read(repo+"/compare/{basehead...}", "compare", "contents:read", compare),
		read(repo+"/branches/{branch...}", "branch.get", "contents:read", getBranch),
		read(repo+"/git/ref/{ref...}", "ref.get", "contents:read", getRef),
		read(repo+"/git/matching-refs/{ref...}", "ref.list", "contents:read", listRefs),
		write("POST", repo+"/git/refs", "ref.create", "contents:write", http.StatusCreated, createRef),
		write("PATCH", repo+"/git/refs/{ref...}", "ref.update", "contents:write", http.StatusOK, updateRef),
		write("DELETE", repo+"/git/refs/{ref...}", "ref.delete", "contents:write", http.StatusNoContent, deleteRef),
		read(repo+"/git/trees/{sha}", "tree.get", "contents:read", getTree),
		read(repo+"/git/blobs/{sha}", "blob.get", "contents:read", getBlob),
		read(repo+"/contents/{path...}", "contents.get", "contents:read", getContents),
		write("PUT", repo+"/contents/{path...}", "contents.put", "contents:write", http.StatusOK, putContents),
		write("DELETE", repo+"/contents/{path...}", "contents.delete", "contents:write", http.StatusOK, deleteContents),
	}
}

// appRoutes are those of Apps and of webhooks; none makes content.
func appRoutes(read func(string, string, string, handler) route, write func(string, string, string, string, int, handler) route) []route {
	quiet := func(method, pattern, kind, need string, status int, do handler) route {
		r := write(method, pattern, kind, need, status, do)
		r.content = false
		return r
	}
	return []route{
		read("/app", "app.get", "jwt", getApp),
		read("/app/installations", "installation.list", "jwt", listInstallations),
		read("/app/installations/{id}", "installation.get", "jwt", getInstallation),
		quiet("POST", "/app/installations/{id}/access_tokens", "token.create", "jwt", http.StatusCreated, createToken),
		read("/app/hook/config", "app.hook", "jwt", getAppHook),
		read("/app/hook/deliveries", "delivery.list", "jwt", listDeliveries),
		read("/app/hook/deliveries/{id}", "delivery.get", "jwt", getDelivery),
		quiet("POST", "/app/hook/deliveries/{id}/attempts", "delivery.retry", "jwt", http.StatusAccepted, retryDelivery),
		read(repo+"/installation", "installation.of", "jwt", getInstallation),
		read("/installation/repositories", "installation.repos", "", listRepositories),
		quiet("DELETE", "/installation/token", "token.revoke", "", http.StatusNoContent, revokeToken),

		read(repo+"/hooks", "hook.list", "repository_hooks:read", listHooks),
		quiet("POST", repo+"/hooks", "hook.create", "repository_hooks:write", http.StatusCreated, createHook),
		read(repo+"/hooks/{hook}", "hook.get", "repository_hooks:read", getHook),
		quiet("DELETE", repo+"/hooks/{hook}", "hook.delete", "repository_hooks:write", http.StatusNoContent, deleteHook),
		quiet("POST", repo+"/hooks/{hook}/pings", "hook.ping", "repository_hooks:read", http.StatusNoContent, pingHook),
		read(repo+"/hooks/{hook}/deliveries", "hook.deliveries", "repository_hooks:read", listDeliveries),
		read(repo+"/hooks/{hook}/deliveries/{id}", "hook.delivery", "repository_hooks:read", getDelivery),
		quiet("POST", repo+"/hooks/{hook}/deliveries/{id}/attempts", "hook.retry", "repository_hooks:write", http.StatusAccepted, retryDelivery),
	}
}
