package contract

import (
	_ "embed"
	"path"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed payload.yaml
var payload []byte

// Payload returns a contract of what Payload CMS is known to answer about users, from facts
// that were gathered by hand (payload.yaml): it publishes no description. So it is always
// there. A site's pages, and addresses that nobody has, are not judged.
func Payload(tb testing.TB) *Contract {
	tb.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(payload)
	if err == nil {
		err = doc.Validate(tb.Context())
	}
	if err != nil {
		tb.Fatalf("Payload's description: %v", err)
	}
	about := Description{Vendor: "Payload", Inner: afterRoutes, Uncut: []Operation{{Method: "GET", Path: "/page"}}}
	return begin(tb, &Contract{about: about, doc: doc, routes: routesOf(doc, nil)})
}

// afterRoutes is a path without routes.api and what stands before it.
func afterRoutes(p string) string {
	switch path.Base(p) {
	case "init", "first-register", "login", "forgot-password":
		return "/" + path.Base(path.Dir(p)) + "/" + path.Base(p)
	}
	return "/page"
}
