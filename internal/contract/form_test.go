package contract

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
)

// Fields of a form are known by their brackets, to any depth.
func TestStrangeForm(t *testing.T) {
	text := openapi3.NewStringSchema()
	free := openapi3.NewObjectSchema()
	free.AdditionalProperties.Schema = text.NewRef()
	either := openapi3.NewAnyOfSchema(free, text)
	media := openapi3.NewMediaType().WithSchema(openapi3.NewObjectSchema().
		WithProperty("country", text).
		WithProperty("controller", openapi3.NewObjectSchema().WithProperty("fees", openapi3.NewObjectSchema().WithProperty("payer", text))).
		WithProperty("expand", openapi3.NewArraySchema().WithItems(text)).
		WithProperty("metadata", either))
	for sent, want := range map[string][]string{
		"country=NL&controller[fees][payer]=account&metadata[a]=b&expand[]=x": nil,
		"metadata=":                    nil,
		"county=NL":                    {"county"},
		"controller[fees][payee]=x":    {"controller[fees][payee]"},
		"controller[payer]=x":          {"controller[payer]"},
		"controller[fees][payer][x]=x": {"controller[fees][payer][x]"},
		"metadata[a][b]=x":             {"metadata[a][b]"},
		"country=NL&country=DE":        {"country"},
		"controller[fees=x":            {"controller[fees"},
		"%zz":                          {"(no form)"},
	} {
		if d := cmp.Diff(want, strangeForm(media, []byte(sent))); d != "" {
			t.Errorf("%s: %s", sent, d)
		}
	}
	if got := strangeForm(nil, []byte("a=b")); got != nil {
		t.Errorf("no form is described: %q", got)
	}
}

// Stripe's forms are judged: values by the validator, names here, and lists in brackets are
// strange. Where the description is not there, nothing is.
func TestStripesForms(t *testing.T) {
	const account = `{"id":"acct_1A","object":"account"}`
	for name, c := range map[string]struct{ method, path, sent, got, said string }{
		"as it is":      {"POST", "/v1/accounts", "country=NL&controller[fees][payer]=account&metadata[a]=b&capabilities[card_payments][requested]=true", account, ""},
		"another value": {"POST", "/v1/accounts", "controller[fees][payer]=nobody", account, "controller"},
		"no such field": {"POST", "/v1/accounts", "controller[fees][payee]=account", account, `no field "controller[fees][payee]"`},
		"missing":       {"POST", "/v1/account_links", "account=acct_1A", `{"object":"account_link","created":1,"expires_at":2,"url":"https://a.example"}`, "type"},
		"a list":        {"GET", "/v1/accounts?expand[]=data", "", `{"object":"list","data":[],"has_more":false,"url":"/v1/accounts"}`, "no parameter"},
		"an odd answer": {"POST", "/v1/accounts", "country=NL", `{"id":1}`, "the answer does not fit"},
	} {
		s := &seen{TB: t}
		k := OpenAPI(s, Description{Vendor: "Stripe", File: "stripe/openapi.json", Relax: WithoutDeepLists})
		if !k.Present() {
			return
		}
		h := k.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(c.got))
		}))
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.sent))
		if c.sent != "" {
			r.Header.Set("Content-Type", formType)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if said := strings.Join(s.said, "; "); (said == "") != (c.said == "") || !strings.Contains(said, c.said) {
			t.Errorf("%s: %q, want …%s…", name, said, c.said)
		}
	}
}
