package simulated

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// Options say what kind of Vercel it is. The zero value is a kind one without a team.
type Options struct {
	Now    func() time.Time // nil: time.Now
	Faults *simulator.Faults
	Lag    time.Duration // of lists
	File   string        // "": nothing outlives the process
	Token  string        // "": any
	Team   string        // team_…; "": the token's own account
	Others []string      // teams that the token is of, too, and that have nothing
	Role   string        // of the token's owner in its team; "": MEMBER
	// A build is done after both: so much time, and so many reads of the deployment.
	BuildTime  time.Duration
	BuildPolls int
	// Fails gives the reason why a build fails; "": it succeeds. nil: all succeed.
	Fails func(d Served) string
	// Log is what a build says beside the usual lines. nil: nothing.
	Log func(d Served) []string
	// PointTime is how long a promotion or a rollback takes.
	PointTime time.Duration
	// Limits are calls a window by endpoint, as "POST /v13/deployments"; others have DefaultLimit.
	Limits map[string]simulator.Limit
	// MaxProjects and MaxDeployments (a day) are quotas of the plan; 0: none.
	MaxProjects, MaxDeployments int
	// Hobby is a plan without a price: only the release that served last can be rolled back to.
	Hobby bool
	// Sensitive is a team whose owner enforces sensitive variables: whatever they are sent as,
	// those for production and previews are never given back.
	Sensitive bool
	// DNS gives the addresses of a host name: one that leads here gets its certificate. nil: all
	// names lead here.
	DNS func(host string) []string
	// Serve answers for a deployment at the Front. nil: a page that names it.
	Serve func(d Served) http.Handler
}

// DefaultLimit is an endpoint's, where Options don't say another.
func DefaultLimit() simulator.Limit { return simulator.Limit{Most: 5000, Window: time.Minute} }

// Served is a deployment as what it serves sees it.
type Served struct {
	Project, Deployment, Host string
	Env, Meta                 map[string]string
	Files                     map[string]string
}

// Vercel is the vendor. Make it with New.
type Vercel struct {
	o      Options
	routes *http.ServeMux
	outer  http.Handler

	mu     sync.Mutex
	limits map[string]*simulator.Limit
	is     world
	failed error         // of the last write of the file
	woken  chan struct{} // closed at the next change: who follows a log looks
}

// world is all that is kept.
type world struct {
	IDs         simulator.IDs                `json:"ids"`
	Last        int64                        `json:"last"` // the newest timestamp, in milliseconds
	Projects    *simulator.Table[project]    `json:"projects"`
	Deployments *simulator.Table[deployment] `json:"deployments"`
	Claimed     map[string]bool              `json:"claimed"` // host names that other accounts use
	TXT         map[string][]string          `json:"txt"`
	Domains     *simulator.Table[hostOf]     `json:"domains"`
	Quota       map[string]int               `json:"quota"` // deployments by day
	Certs       map[string]int64             `json:"certs"` // when a host name's certificate was asked for
	Blocked     bool                         `json:"blocked,omitempty"`
}

// New opens a Vercel, with what its file says.
func New(o Options) (*Vercel, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	lag := func() time.Duration { return o.Lag }
	v := &Vercel{o: o, limits: map[string]*simulator.Limit{}, woken: make(chan struct{}), is: world{IDs: simulator.IDs{Seed: "vercel"}, Claimed: map[string]bool{}, TXT: map[string][]string{}, Quota: map[string]int{}, Certs: map[string]int64{},
		Projects: simulator.NewTable[project](o.Now, lag), Deployments: simulator.NewTable[deployment](o.Now, lag), Domains: simulator.NewTable[hostOf](o.Now, lag)}}
	if err := simulator.Load(o.File, &v.is); err != nil {
		return nil, fmt.Errorf("open the simulated Vercel: %w", err)
	}
	v.routes = http.NewServeMux()
	v.route()
	v.outer = http.HandlerFunc(v.serve)
	if o.Faults != nil {
		v.outer = o.Faults.Handler(v.outer)
	}
	return v, nil
}

// Save writes the state to the file, and says whether every write so far came about.
func (v *Vercel) Save() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed != nil {
		return v.failed
	}
	return simulator.Save(v.o.File, v.is)
}

// ServeHTTP implements http.Handler.
func (v *Vercel) ServeHTTP(w http.ResponseWriter, r *http.Request) { v.outer.ServeHTTP(w, r) }

// maxBody is the most bytes of a request.
const maxBody = 4 << 20

// call is one request, read.
type call struct {
	*http.Request
	body []byte
}

// answer is what is sent back.
type answer struct {
	status int
	body   any
	stream func(http.ResponseWriter, *http.Request) // in place of both: it lasts, and takes the lock by itself
}

// refusal is an error body of Vercel's.
type refusal struct {
	status        int
	code, message string
	more          map[string]any
}

func no(status int, code, format string, a ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, a...)}
}

func notFound(what string) *refusal { return no(404, "not_found", "%s not found", what) }

func (n *refusal) answer() answer {
	e := map[string]any{"code": n.code, "message": n.message}
	for k, x := range n.more {
		e[k] = x
	}
	return answer{status: n.status, body: map[string]any{"error": e}}
}

type handler func(c call) (answer, *refusal)

func (v *Vercel) route() {
	for pattern, h := range map[string]handler{
		"GET /v2/user":           v.user,
		"GET /v2/teams":          v.teams,
		"GET /v2/teams/{team}":   v.team,
		"GET /v10/projects":      v.listProjects,
		"POST /v11/projects":     v.createProject,
		"GET /v9/projects/{p}":   v.getProject,
		"PATCH /v9/projects/{p}": v.updateProject, "DELETE /v9/projects/{p}": v.deleteProject,
		"POST /v9/projects/{p}/link": v.linkProject, "DELETE /v9/projects/{p}/link": v.linkProject,
		"POST /v1/projects/{p}/pause": v.pause, "POST /v1/projects/{p}/unpause": v.pause,
		"GET /v10/projects/{p}/env": v.listEnv, "POST /v10/projects/{p}/env": v.createEnv,
		"PATCH /v9/projects/{p}/env/{e}": v.editEnv, "DELETE /v9/projects/{p}/env/{e}": v.deleteEnv,
		"GET /v9/projects/{p}/domains": v.listDomains, "POST /v10/projects/{p}/domains": v.addDomain,
		"GET /v9/projects/{p}/domains/{d}": v.getDomain, "PATCH /v9/projects/{p}/domains/{d}": v.editDomain,
		"DELETE /v9/projects/{p}/domains/{d}":      v.removeDomain,
		"POST /v9/projects/{p}/domains/{d}/verify": v.verifyDomain,
		"POST /v1/projects/{p}/domains/{d}/move":   v.moveDomain,
		"GET /v6/domains/{d}/config":               v.domainConfig,
		"POST /v13/deployments":                    v.createDeployment,
		"GET /v13/deployments/{id}":                v.getDeployment, "DELETE /v13/deployments/{id}": v.deleteDeployment,
		"GET /v7/deployments": v.listDeployments, "GET /v6/deployments": v.listDeployments,
		"GET /v3/deployments/{id}/events":      v.events,
		"GET /v2/deployments/{id}/aliases":     v.aliases,
		"POST /v10/projects/{p}/promote/{id}":  v.promote,
		"POST /v1/projects/{p}/rollback/{id}":  v.promote,
		"GET /v1/projects/{p}/promote/aliases": v.promoteAliases,
	} {
		v.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { v.handle(pattern, h, w, r) })
	}
}

func (v *Vercel) serve(w http.ResponseWriter, r *http.Request) {
	if _, pattern := v.routes.Handler(r); pattern == "" {
		send(w, no(404, "not_found", "The requested resource was not found").answer())
		return
	}
	v.routes.ServeHTTP(w, r)
}

func (v *Vercel) handle(pattern string, h handler, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		send(w, no(413, "payload_too_large", "The request is too large").answer())
		return
	}
	if a := v.answer(pattern, h, w, call{r, body}); a.stream != nil {
		a.stream(w, r)
	} else {
		send(w, a)
	}
}

// answer is what a call comes to.
func (v *Vercel) answer(pattern string, h handler, w http.ResponseWriter, c call) answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := v.authorized(pattern, c.Request); n != nil {
		return n.answer()
	}
	if n := v.limited(pattern, w); n != nil {
		return n.answer()
	}
	v.advance()
	var a answer
	n := v.barred(pattern, c.Request)
	if n == nil {
		a, n = h(c)
	}
	if n != nil {
		a = n.answer()
	}
	v.wake()
	if c.Method != http.MethodGet || v.o.BuildPolls > 0 {
		if err := simulator.Save(v.o.File, v.is); err != nil && v.failed == nil {
			v.failed = err
		}
	}
	return a
}

func send(w http.ResponseWriter, a answer) {
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // who asked may be gone
}

// limited counts a call and sets the headers that say how many more there are.
func (v *Vercel) limited(pattern string, w http.ResponseWriter) *refusal {
	l := v.limits[pattern]
	if l == nil {
		one, said := v.o.Limits[pattern]
		if !said {
			one = DefaultLimit()
		}
		l = &simulator.Limit{Most: one.Most, Window: one.Window}
		v.limits[pattern] = l
	}
	left, reset, ok := l.Take(v.o.Now())
	if l.Most == 0 {
		return nil
	}
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(l.Most))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(left))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	if ok {
		return nil
	}
	n := no(429, "rate_limited", "The rate limit of %d exceeded for '%s'. Try again later", l.Most, pattern)
	n.more = map[string]any{"limit": map[string]any{"remaining": 0, "reset": reset.Unix(), "resetMs": reset.UnixMilli(), "total": l.Most}}
	return n
}

// authorized says whose token it is, and for which team.
func (v *Vercel) authorized(pattern string, r *http.Request) *refusal {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return no(401, "unauthorized", "The request is not authorized")
	}
	if v.o.Token != "" && token != v.o.Token {
		n := no(403, "forbidden", "Not authorized")
		n.more = map[string]any{"invalidToken": true}
		return n
	}
	if strings.Contains(pattern, "/v2/user") || strings.Contains(pattern, "/v2/teams") {
		return nil
	}
	switch team := r.URL.Query().Get("teamId"); {
	case team == v.o.Team:
		return nil
	case team == "", slices.Contains(v.o.Others, team):
		return notFound("Resource") // the token's own account has nothing
	default:
		return no(403, "forbidden", "Not authorized: Trying to access resource under scope %q. You must re-authenticate to this scope or use a token with access to this scope.", team)
	}
}

// barred says what keeps an account or a project from being changed: the description lists for
// which calls.
func (v *Vercel) barred(pattern string, r *http.Request) *refusal {
	switch pattern {
	case "POST /v11/projects", "PATCH /v9/projects/{p}", "POST /v10/projects/{p}/env", "POST /v10/projects/{p}/domains", "POST /v13/deployments", "POST /v1/projects/{p}/rollback/{id}":
		if v.is.Blocked {
			return no(402, "payment_required", "The account is missing a payment so payment method must be updated")
		}
	}
	if r.Method == http.MethodGet || r.PathValue("p") == "" {
		return nil
	}
	x, n := v.find(r.PathValue("p"))
	if n == nil && x.Transferred {
		return transferred()
	}
	return nil
}

func transferred() *refusal { return no(409, "conflict", "The project is currently being transferred") }

// stamp is the time in milliseconds, never the same twice: lists are paged by it.
func (v *Vercel) stamp() int64 {
	v.is.Last = max(v.is.Last+1, v.o.Now().UnixMilli())
	return v.is.Last
}

func (v *Vercel) user(call) (answer, *refusal) {
	return answer{status: 200, body: map[string]any{"user": map[string]any{"limited": true, "id": "usr_simulated", "email": "ops@agency.example", "name": "Ops", "username": "ops",
		"avatar": nil, "defaultTeamId": orNull(v.o.Team)}}}, nil
}

func (v *Vercel) oneTeam(id string) map[string]any {
	return map[string]any{"id": id, "slug": "agency", "name": "Agency", "avatar": nil, "creatorId": "usr_simulated", "updatedAt": 1, "createdAt": 1, "description": nil, "stagingPrefix": "agency",
		"membership": map[string]any{"confirmed": true, "role": cmp.Or(v.o.Role, "MEMBER"), "createdAt": 1, "created": 1, "confirmedAt": 1, "uid": "usr_simulated", "teamId": id}}
}

func (v *Vercel) team(c call) (answer, *refusal) {
	id := c.PathValue("team")
	if id != v.o.Team && !slices.Contains(v.o.Others, id) {
		return answer{}, no(403, "forbidden", "Not authorized to access the team")
	}
	return answer{status: 200, body: v.oneTeam(id)}, nil
}

func (v *Vercel) teams(call) (answer, *refusal) {
	all := []any{}
	for _, id := range append([]string{v.o.Team}, v.o.Others...) {
		if id != "" {
			all = append(all, v.oneTeam(id))
		}
	}
	return answer{status: 200, body: map[string]any{"teams": all, "pagination": map[string]any{"count": len(all), "next": nil, "prev": nil}}}, nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// read decodes a body, and refuses what is none.
func (c call) read(into any) *refusal {
	if err := json.Unmarshal(c.body, into); err != nil {
		return no(400, "bad_request", "Invalid request: the body is not what is expected")
	}
	return nil
}

// pageOf cuts a list, the newest first, at a place in it. next is where the following page
// begins; nil: nowhere.
func pageOf[T any](all []T, at func(T) int64, before, limit string) (page []T, next any) {
	n, err := strconv.Atoi(limit)
	if err != nil || n < 1 || n > 100 {
		n = 20
	}
	until, err := strconv.ParseInt(before, 10, 64)
	page = []T{}
	for _, x := range all {
		if err == nil && at(x) >= until {
			continue
		}
		if len(page) == n {
			return page, at(page[n-1])
		}
		page = append(page, x)
	}
	return page, nil
}
