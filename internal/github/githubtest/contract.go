package githubtest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/contract"
)

// Contract judges exchanges with GitHub.
type Contract = contract.Contract

// Validator returns a contract whose misfits fail the test.
func Validator(tb testing.TB) *Contract {
	tb.Helper()
	return contract.OpenAPI(tb, contract.Description{
		Vendor: "GitHub", File: "github/rest.openapi.json",
		Loose: true, // its own examples don't fit its schemas (specs/README.md)
		Moves: true, // docs.github.com/rest/using-the-rest-api/best-practices: "Follow redirects"
		Inner: inner, Slashed: slashed, Failure: failure,
		// docs.github.com/rest/pulls/comments and /rest/users/users
		Uncut: []contract.Operation{
			{Method: http.MethodGet, Path: "/users/{username}"},
			{Method: http.MethodGet, Path: "/repos/{owner}/{repo}/pulls/{pull_number}/comments"},
			{Method: http.MethodPost, Path: "/repos/{owner}/{repo}/pulls/{pull_number}/comments"},
			{Method: http.MethodGet, Path: "/repos/{owner}/{repo}/pulls/comments/{comment_id}"},
			{Method: http.MethodDelete, Path: "/repos/{owner}/{repo}/pulls/comments/{comment_id}"},
		},
	})
}

// slashed says that a path's last parameter holds slashes. commits/{ref} does too, but
// would swallow what lies below it (specs/README.md).
func slashed(path string) bool {
	return strings.Contains(path, "/contents/") || strings.Contains(path, "/git/") || strings.Contains(path, "/compare/")
}

// inner is a path without what GitHub Enterprise puts before it.
func inner(path string) string {
	if _, after, ok := strings.Cut(path, "/api/v3/"); ok {
		path = "/" + after
	}
	if after, ok := strings.CutPrefix(path, "/repositories/"); ok { // as redirects of a renamed repository name it
		if _, after, ok = strings.Cut(after, "/"); ok {
			after = "/" + after
		}
		path = "/repos/owner/name" + after
	}
	return path
}

// failure judges an error that the description does not list: it has a message.
func failure(status int, body []byte) error {
	var e struct {
		Message *string `json:"message"`
	}
	if status < http.StatusInternalServerError && (json.Unmarshal(body, &e) != nil || e.Message == nil) {
		return errors.New("an error without a message")
	}
	return nil
}
