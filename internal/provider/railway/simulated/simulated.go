package simulated

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// maxBody is the most bytes of a request.
const maxBody = 1 << 20

// Defaults of Options.
const (
	defaultWorkspace = "Agency"
	defaultBuild     = 30 * time.Second
	pageMost         = 100 // projects a page, whatever is asked for
)

// Options make a Railway.
type Options struct {
	Now    func() time.Time     // nil: time.Now
	Faults *simulator.Faults    // nil: nothing goes wrong
	Lag    func() time.Duration // of lists and volume instances; nil: none
	File   string               // "": nothing outlives the process
	Token  string               // who comes with another is refused; "": anybody is let in
	// Account says that the token is one of a person, who can be asked for; else it is one of
	// a workspace.
	Account bool
	// Workspace is the name of the only workspace; "": Agency. Workspaces are more of them.
	Workspace  string
	Workspaces []string
	// ProjectToken is let in as one of a project, in its own header; "": none.
	ProjectToken string
	// BuildTime is how long a deployment takes; 0: 30 s, negative: none.
	BuildTime time.Duration
	// PerHour is the limit of calls; 0: none. Hobby has 1,000.
	PerHour int
	// PerSecond is another one; 0: none. Hobby has 10. Who has more is answered with a page.
	PerSecond int
	// TwoFactor says that the workspace asks its members for a second factor, and whose token it
	// is has none.
	TwoFactor bool
	// Databases makes a real database for a service that is deployed for the first time, and
	// returns its URL. nil: the URLs lead nowhere.
	Databases func(project, password string) (string, error)
}

// Railway is the simulated vendor. Make it with New.
type Railway struct {
	o       Options
	handler http.Handler

	mu    sync.Mutex
	limit simulator.Limit
	edge  simulator.Limit // of what stands before it
	world world
}

// New returns a Railway, with what its file holds.
func New(o Options) (*Railway, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Workspace == "" {
		o.Workspace = defaultWorkspace
	}
	if o.BuildTime == 0 {
		o.BuildTime = defaultBuild
	}
	if o.Faults == nil {
		o.Faults = &simulator.Faults{}
	}
	r := &Railway{o: o, limit: simulator.Limit{Most: o.PerHour, Window: time.Hour}, edge: simulator.Limit{Most: o.PerSecond, Window: time.Second}}
	r.world = newWorld(o.Now, o.Lag)
	if err := simulator.Load(o.File, &r.world); err != nil {
		return nil, fmt.Errorf("open the simulated railway: %w", err)
	}
	r.handler = o.Faults.Handler(http.HandlerFunc(r.serve))
	return r, nil
}

// Operation matches a request by its operation's name: for simulator.Fault.Match.
func Operation(name string) func(r *http.Request, body []byte) bool {
	return func(_ *http.Request, body []byte) bool {
		var asked request
		return json.Unmarshal(body, &asked) == nil && asked.OperationName == name
	}
}

// Mutations matches every request that may change something.
func Mutations(_ *http.Request, body []byte) bool {
	var asked request
	return json.Unmarshal(body, &asked) == nil && strings.HasPrefix(strings.TrimSpace(asked.Query), "mutation")
}

// ServeHTTP implements http.Handler.
func (r *Railway) ServeHTTP(w http.ResponseWriter, q *http.Request) { r.handler.ServeHTTP(w, q) }

type request struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

func (r *Railway) serve(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodPost || !strings.HasSuffix(q.URL.Path, "/graphql/v2") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>404</title>") // who asked may be gone
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, _, ok := r.edge.Take(r.o.Now()); !ok {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Access denied</title>") // who asked may be gone
		return
	}
	left, reset, ok := r.limit.Take(r.o.Now())
	if r.limit.Most > 0 {
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(r.limit.Most))
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(left))
		w.Header().Set("X-RateLimit-Reset", reset.UTC().Format(time.RFC3339))
	}
	if !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(reset.Sub(r.o.Now()).Seconds())+1))
		answer(w, http.StatusTooManyRequests, nil, &trouble{err: failure{"Too many requests"}})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, nil, &trouble{err: failure{"The request is too large"}})
		return
	}
	var asked request
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&asked); err != nil {
		unbegun(w, "POST body missing, invalid Content-Type, or JSON object has no keys.")
		return
	}
	op, err := parse(asked.Query, asked.OperationName, asked.Variables)
	if err != nil {
		unbegun(w, err.Error())
		return
	}
	c := call{Railway: r, who: r.who(q)}
	root := c.queries()
	if op.def.Operation == "mutation" {
		root = c.mutations()
	}
	data, err := op.execute(root)
	if e := simulator.Save(r.o.File, &r.world); e != nil {
		err = &trouble{err: e}
	}
	answer(w, http.StatusOK, data, err)
}

// who came.
type who string

const (
	nobody    who = ""
	person    who = "person"
	workspace who = "workspace"
	project   who = "project"
)

func (r *Railway) who(q *http.Request) who {
	if t := q.Header.Get("Project-Access-Token"); t != "" && t == r.o.ProjectToken {
		return project
	}
	switch bearer, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer "); {
	case r.o.Token != "" && bearer != r.o.Token:
		return nobody
	case r.o.Account:
		return person
	}
	return workspace
}

// answer sends data, or an error in its place: with status 200, as Railway does.
func answer(w http.ResponseWriter, status int, data map[string]any, err error) {
	out := map[string]any{"data": data}
	if err != nil {
		one := map[string]any{"message": err.Error(), "extensions": map[string]any{}}
		var t *trouble
		if errors.As(err, &t) && len(t.path) > 0 {
			one["path"] = t.path
		}
		out = map[string]any{"errors": []any{one}, "data": nil}
	}
	send(w, status, out)
}

// unbegun answers what can't be executed at all.
func unbegun(w http.ResponseWriter, why string) {
	send(w, http.StatusBadRequest, map[string]any{"errors": []any{map[string]any{"message": why, "extensions": map[string]any{"code": "GRAPHQL_VALIDATION_FAILED"}}}})
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}
