package simulated

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// vendor is a Railway that is asked by hand, under contract.
type vendor struct {
	t        *testing.T
	now      time.Time
	railway  *Railway
	handler  http.Handler
	contract *contract.Contract
}

func start(t *testing.T, o Options) *vendor {
	t.Helper()
	v := &vendor{t: t, now: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}
	o.Now = func() time.Time { return v.now }
	var err error
	if v.railway, err = New(o); err != nil {
		t.Fatal(err)
	}
	v.contract = contract.GraphQL(t, "Railway", "railway/schema.graphql")
	v.handler = v.contract.Handler(v.railway)
	t.Cleanup(func() { v.contract.Some(t) })
	return v
}

// ask sends an operation and returns its data, or its first error's message.
func (v *vendor) ask(query string, variables map[string]any) (data map[string]any, said string, status int) {
	v.t.Helper()
	name := strings.FieldsFunc(query, func(r rune) bool { return r == ' ' || r == '(' || r == '{' })[1]
	body, err := json.Marshal(map[string]any{"query": query, "operationName": name, "variables": variables})
	if err != nil {
		v.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/graphql/v2", strings.NewReader(string(body))))
	var got struct {
		Data   map[string]any
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		v.t.Fatalf("%s: %v: %s", name, err, w.Body)
	}
	if len(got.Errors) > 0 {
		return nil, got.Errors[0].Message, w.Code
	}
	return got.Data, "", w.Code
}

// must asks and wants an answer; at is where the text in it stands.
func (v *vendor) must(query string, variables map[string]any, at ...string) string {
	v.t.Helper()
	data, said, _ := v.ask(query, variables)
	if said != "" {
		v.t.Fatalf("%s: %s", query, said)
	}
	var here any = data
	for _, name := range at {
		m, ok := here.(map[string]any)
		if !ok {
			v.t.Fatalf("%s: no %s in %v", query, name, data)
		}
		here = m[name]
	}
	return fmt.Sprint(here)
}

const (
	makeProject = `mutation makeProject($n: String!) { projectCreate(input: {name: $n, workspaceId: "workspace-Agency"}) { id primaryEnvironmentId } }`
	makeService = `mutation makeService($p: String!, $e: String!) { serviceCreate(input: {projectId: $p, environmentId: $e, name: "db", variables: {A: "x", B: "${{A}}y", POSTGRES_PASSWORD: "pw"}}) { id } }`
	setImage    = `mutation setImage($s: String!) { serviceInstanceUpdate(serviceId: $s, input: {source: {image: "img"}}) }`
	deployIt    = `mutation deployIt($s: String!, $e: String!) { serviceInstanceDeployV2(serviceId: $s, environmentId: $e) }`
	readIt      = `query readIt($p: String!, $e: String!, $s: String!) { all: variables(projectId: $p, environmentId: $e, serviceId: $s) }`
)

func (v *vendor) service() map[string]any {
	v.t.Helper()
	data, _, _ := v.ask(makeProject, map[string]any{"n": "shop"})
	p := data["projectCreate"].(map[string]any)
	at := map[string]any{"p": p["id"], "e": p["primaryEnvironmentId"]}
	at["s"] = v.must(makeService, at, "serviceCreate", "id")
	return at
}

func only(at map[string]any, names ...string) map[string]any {
	out := map[string]any{}
	for _, n := range names {
		out[n] = at[n]
	}
	return out
}

// What Railway refuses is refused in its words.
func TestRefusals(t *testing.T) {
	v := start(t, Options{})
	at := v.service()
	refused := func(query string, variables map[string]any, want string) {
		t.Helper()
		if _, said, status := v.ask(query, variables); !strings.Contains(said, want) || status != http.StatusOK {
			t.Errorf("%.40s: %d %q, want %q", query, status, said, want)
		}
	}
	refused(makeService, only(at, "p", "e"), `A service named "db" already exists in this project`)
	refused(deployIt, only(at, "s", "e"), "Cannot redeploy without a snapshot")
	v.must(setImage, only(at, "s"))
	v.must(deployIt, only(at, "s", "e"))
	refused(deployIt, only(at, "s", "e"), "Cannot redeploy yet")
	refused(`mutation volume($p: String!, $e: String!, $s: String!) { volumeCreate(input: {projectId: $p, environmentId: $e, serviceId: $s, mountPath: "/x"}) { id } }`, at, "has deployments")
	refused(`query me { me { id } }`, nil, "Not Authorized")
	refused(`query status { deployment(id: "x") { id } }`, nil, `cannot query field "deployment"`)
	if _, said, status := v.ask(`query broken { me { id `, nil); status != http.StatusBadRequest || said == "" {
		t.Errorf("broken: %d %q", status, said)
	}
	if _, said, status := v.ask(`query missing($id: String!) { workflowStatus(workflowId: $id) { status } }`, nil); status != http.StatusBadRequest || !strings.Contains(said, "$id") {
		t.Errorf("a variable is missing: %d %q", status, said)
	}
}

// Names are not unique, volumes without an environment have no instance, what is deleted is
// still listed, and lists are late.
func TestUnkind(t *testing.T) {
	v := start(t, Options{Lag: func() time.Duration { return time.Minute }})
	at := v.service()
	v.service()
	const list = `query list($after: String) { projects(workspaceId: "workspace-Agency", first: 1, after: $after) { edges { node { name deletedAt } } pageInfo { hasNextPage endCursor } } }`
	if got := v.must(list, nil, "projects", "edges"); got != "[]" {
		t.Errorf("listed at once: %s", got)
	}
	v.now = v.now.Add(time.Minute)
	end := v.must(list, nil, "projects", "pageInfo", "endCursor")
	if got := v.must(list, map[string]any{"after": end}, "projects", "pageInfo", "hasNextPage"); got != "false" {
		t.Errorf("a third page: %s", got)
	}
	v.must(`mutation drop($p: String!) { projectScheduleDelete(id: $p) }`, only(at, "p"))
	if got := v.must(list, nil, "projects", "edges"); !strings.Contains(got, "2026-11-26T09:01:00.000Z") {
		t.Errorf("deleted and listed: %s", got)
	}
	if _, said, _ := v.ask(readIt, at); said != "Project not found" {
		t.Errorf("variables of a deleted one: %q", said)
	}
	other := v.service()
	v.must(`mutation volume($p: String!, $s: String!) { volumeCreate(input: {projectId: $p, serviceId: $s, mountPath: "/x"}) { id } }`, only(other, "p", "s"))
	v.now = v.now.Add(time.Hour)
	look := `query look($p: String!) { projectsByIds(ids: [$p]) { environments { edges { node { volumeInstances { edges { node { id } } } } } } } }`
	if got := v.must(look, only(other, "p"), "projectsByIds"); strings.Contains(got, "node:map[id:") {
		t.Errorf("a volume without an environment has an instance: %s", got)
	}
	if names := v.railway.Projects(); len(names) != 3 || names[0].Name != "shop" || names[1].Name != "shop" || names[2].Volumes != 1 {
		t.Errorf("projects: %+v", names)
	}
}

// Variables are shown rendered, and a real database's address where there is one.
func TestVariables(t *testing.T) {
	asked := ""
	v := start(t, Options{BuildTime: -1, Databases: func(project, password string) (string, error) {
		asked = password
		return "postgresql://real@127.0.0.1:5432/" + project, nil
	}})
	at := v.service()
	if got := v.must(readIt, at, "all", "B"); got != "xy" {
		t.Errorf("rendered: %s", got)
	}
	v.must(setImage, only(at, "s"))
	v.must(deployIt, only(at, "s", "e"))
	if got := v.must(readIt, at, "all", "DATABASE_URL"); got != "postgresql://real@127.0.0.1:5432/"+at["p"].(string) || asked != "pw" {
		t.Errorf("the address is %s, made with %q", got, asked)
	}
}

// The state outlives the process, and the same calls make the same ids.
func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "railway.json")
	v := start(t, Options{File: file})
	at := v.service()
	again := start(t, Options{File: file})
	if d := cmp.Diff(v.railway.Projects(), again.railway.Projects()); d != "" {
		t.Error(d)
	}
	if got := again.must(readIt, at, "all", "A"); got != "x" {
		t.Errorf("after a restart: %s", got)
	}
	if other := start(t, Options{}).service(); other["s"] != at["s"] {
		t.Errorf("other ids: %v, %v", other, at)
	}
}

// An hour has so many calls, which the headers count; and faults are told apart by operation.
func TestLimitAndFaults(t *testing.T) {
	var faults simulator.Faults
	v := start(t, Options{PerHour: 2, Faults: &faults})
	faults.Add(simulator.Fault{Match: Operation("other"), Do: simulator.Refuse(500, nil, `{"errors":[{"message":"no"}]}`), Times: -1},
		simulator.Fault{Match: Mutations, Do: simulator.Refuse(500, nil, `{"errors":[{"message":"no writes"}]}`), Times: -1})
	const workspaces = `query workspaces { apiToken { workspaces { name } } }`
	v.must(workspaces, nil)
	if _, said, _ := v.ask(makeProject, map[string]any{"n": "x"}); said != "no writes" {
		t.Errorf("a write: %q", said)
	}
	v.must(workspaces, nil)
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/graphql/v2", strings.NewReader(`{"query":"query workspaces { apiToken { workspaces { name } } }","operationName":"workspaces"}`)))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "3601" || w.Header().Get("X-RateLimit-Remaining") != "0" || w.Header().Get("X-RateLimit-Limit") != "2" {
		t.Errorf("the third: %d %v", w.Code, w.Header())
	}
	v.now = v.now.Add(time.Hour)
	v.must(workspaces, nil)
}
