package contract

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// seen collects what a contract says instead of failing.
type seen struct {
	testing.TB
	said []string
}

func (s *seen) Errorf(format string, args ...any) {
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

const shop = `
scalar Moment
enum Colour { RED BLUE }
input Making { name: String! colour: Colour }
type Shop { id: ID! name: String! colour: Colour items(first: Int): [Item!]! made: Moment }
type Item { id: ID! price: Float sold: Boolean! }
type Query { shop(id: ID!): Shop }
type Mutation { make(input: Making!): Shop! }
`

func TestGraphQL(t *testing.T) {
	schema := gqlparser.MustLoadSchema(&ast.Source{Name: "shop", Input: shop})
	const query = `{"query":"query q($id: ID!) { shop(id: $id) { id name colour items(first: 2) { id price sold } made } }","operationName":"q","variables":{"id":"1"}}`
	const whole = `{"data":{"shop":{"id":"1","name":"a","colour":"RED","items":[{"id":"2","price":1.5,"sold":false}],"made":"2026"}}}`
	for name, c := range map[string]struct {
		sent   string
		status int
		got    string
		said   string // "" for nothing
		judged int
	}{
		"as it is":           {query, 200, whole, "", 1},
		"nothing found":      {query, 200, `{"data":{"shop":null}}`, "", 1},
		"a field too many":   {query, 200, strings.Replace(whole, `"id":"1"`, `"id":"1","x":1`, 1), "/shop/x was not asked for", 1},
		"a field missing":    {query, 200, strings.Replace(whole, `"name":"a",`, ``, 1), "/shop/name is not there", 1},
		"null where none is": {query, 200, strings.Replace(whole, `"sold":false`, `"sold":null`, 1), "/shop/items/0/sold is null", 1},
		"null with errors":   {query, 200, `{"errors":[{"message":"no"}],` + strings.Replace(whole, `"sold":false`, `"sold":null`, 1)[1:], "", 1},
		"another kind":       {query, 200, strings.Replace(whole, `1.5`, `"1.5"`, 1), "/shop/items/0/price: 1.5 is no Float", 1},
		"an unknown colour":  {query, 200, strings.Replace(whole, `RED`, `GREEN`, 1), "GREEN is no Colour", 1},
		"a page":             {query, 502, `<html>bad gateway</html>`, "", 1},
		"no such field":      {strings.Replace(query, "made", "madeAt", 1), 200, whole, "the operation does not fit", 0},
		"it is refused":      {strings.Replace(query, "made", "madeAt", 1), 400, `{"errors":[{"message":"no"}]}`, "", 0},
		"variables missing":  {strings.Replace(query, `{"id":"1"}`, `{}`, 1), 200, whole, "its variables do not fit", 1},
		"variables too many": {strings.Replace(query, `{"id":"1"}`, `{"id":"1","x":2}`, 1), 200, whole, `there is no variable "x"`, 1},
		"an input of ours":   {`{"query":"mutation m($i: Making!) { make(input: $i) { id } }","operationName":"m","variables":{"i":{"name":"a","size":1}}}`, 200, `{"data":{"make":{"id":"1"}}}`, "its variables do not fit", 1},
		"no GraphQL":         {`hello`, 400, `no`, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &seen{TB: t}
			k := &Contract{tb: s, about: Description{Vendor: "the shop"}, schema: schema}
			server := httptest.NewServer(k.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.got))
			})))
			defer server.Close()
			a, err := http.Post(server.URL, "application/json", strings.NewReader(c.sent))
			if err != nil {
				t.Fatal(err)
			}
			a.Body.Close()
			if all := strings.Join(s.said, "\n"); (all == "") != (c.said == "") || !strings.Contains(all, c.said) {
				t.Errorf("said %q", all)
			}
			if k.Judged() != c.judged {
				t.Errorf("%d judged, want %d", k.Judged(), c.judged)
			}
		})
	}
}

// Railway's whole schema can be read.
func TestGraphQLOfRailway(t *testing.T) {
	c := GraphQL(t, "Railway", "railway/schema.graphql")
	if c.Present() && c.schema.Types["Mutation"].Fields.ForName("projectCreate") == nil {
		t.Error("it has no projectCreate")
	}
}
