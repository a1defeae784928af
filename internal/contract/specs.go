package contract

import (
	"os"
	"path/filepath"
	"testing"
)

// SpecsVariable names the folder of the vendors' published descriptions. Without it they are
// looked for in shared/specs beside the project, and above.
const SpecsVariable = "RECONCILER_SPECS"

// maxUp is how many folders above the test's own are looked at.
const maxUp = 8

// sources are the descriptions that tests judge by, and who publishes them: each is cut down to
// the operations that are used (README.md beside them says how, and names the versions).
func sources() map[string]string {
	return map[string]string{
		"cloudflare/dns-records.openapi.json": "github.com/cloudflare/api-schemas and cloudflare-go, put together by hand",
		"cloudflare/openapi.json":             "github.com/cloudflare/api-schemas",
		"github/rest.openapi.json":            "github.com/github/rest-api-description",
		"github/webhooks.examples.json":       "github.com/octokit/webhooks",
		"github/webhooks.schema.json":         "github.com/octokit/webhooks",
		"ploi/ploi.yaml":                      "developers.ploi.io, written by hand: Ploi publishes none",
		"railway/schema.graphql":              "github.com/railwayapp/cli",
		"resend/openapi.json":                 "github.com/resend/resend-openapi",
		"stripe/openapi.json":                 "github.com/stripe/openapi",
		"vercel/openapi.json":                 "github.com/vercel/sdk",
	}
}

// Specs is the folder of the vendors' published descriptions; "" where it is not there, which
// the test's log then says. A folder that SpecsVariable names has to be there.
func Specs(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv(SpecsVariable); dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			tb.Fatalf("%s=%s is no folder: %v", SpecsVariable, dir, err)
		}
		return dir
	}
	at, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for range maxUp {
		dir := filepath.Join(at, "shared", "specs")
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
		at = filepath.Dir(at)
	}
	tb.Log("the vendors' published descriptions are not beside the project: nothing is checked against them")
	return ""
}
