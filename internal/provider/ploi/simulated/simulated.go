package simulated

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// Server is a server of the account.
type Server struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Status  string `json:"status,omitempty"` // "": active
}

// Options say what the vendor is like.
type Options struct {
	Now    func() time.Time
	Faults *simulator.Faults // nil: none
	Lag    time.Duration     // of lists
	Write  time.Duration     // how late .env and deploy script are written
	Work   time.Duration     // how long it takes to make, install and delete
	// BuildTime is how long a deployment takes.
	BuildTime time.Duration
	// Issue is how long a certificate takes. 0: 10 s, negative: it is there at once.
	Issue time.Duration
	// Build says what becomes of a deployment. nil: it succeeds unless breakBuild is set.
	Build func(domain, script, env string) (log []string, fails bool)
	// Serve answers at the Front for a site that was deployed, by its .env and its page: the
	// page, where it has nothing else to say. nil: the page.
	Serve func(env string, page http.Handler) http.Handler
	// DNS gives the addresses of a host name: a certificate needs the server's. nil: none.
	DNS   func(host string) []string
	File  string // "": it is forgotten
	Token string // "": any
	// Plan is free, basic, pro or unlimited; "": calls aren't limited. A free one has no API.
	Plan    string
	Servers []Server // none: one, number 1 at 203.0.113.10
	Gap     bool     // a site answers 502 while it is deployed
	Doubts  Doubts
}

// Doubts are what the vendor's pages leave open, each done in the other way.
type Doubts struct {
	NoSearch     bool // lists ignore `search`
	EnvAsData    bool // the .env comes as a text below data
	EnvWithRepo  bool // there is no .env before a repository is installed, and none once it is taken away
	NullAnswers  bool // writes that say nothing else answer null
	Created      bool // 201 where 200 or 201 is not known
	DeployedLate bool // last_deploy_at is when a deployment has succeeded, not when it begins
	BusyError    bool // to deploy while deploying is a 200 with an error; else 422
	QuickHidden  bool // a site does not say quick_deploy; its repository does
	QuickOn      bool // a repository that is installed is deployed at each push
	OneName      bool // an alias of another site is refused
	NoFields     bool // what is refused is said in words only
	LateLog      bool // a deployment's log comes five seconds after its end
}

// AllDoubts is the vendor that is everywhere the other way.
func AllDoubts() Doubts {
	return Doubts{true, true, true, true, true, true, true, true, true, true, true, true}
}

// Vendor is the simulated account. Make it with New.
type Vendor struct {
	o     Options
	mux   *http.ServeMux
	mu    sync.Mutex
	limit simulator.Limit
	away  time.Time // it is maintained until then
	world world
	// forbids are host names whose CAA records keep Let's Encrypt out.
	forbids map[string]bool
	hidden  map[int]bool // servers that the token does not see
}

// world is what outlives the process.
type world struct {
	IDs       simulator.IDs               `json:"ids"`
	Sites     *simulator.Table[*Site]     `json:"sites"`
	Databases *simulator.Table[*database] `json:"databases"`
}

// New returns a vendor, with what its file holds.
func New(o Options) (*Vendor, error) {
	if o.Faults == nil {
		o.Faults = &simulator.Faults{}
	}
	if len(o.Servers) == 0 {
		o.Servers = []Server{{ID: 1, Name: "royal-reef", Address: "203.0.113.10"}}
	}
	if o.Issue == 0 {
		o.Issue = issuing
	}
	v := &Vendor{o: o, mux: http.NewServeMux(), forbids: map[string]bool{}, hidden: map[int]bool{}}
	lag := func() time.Duration { return o.Lag }
	v.world = world{IDs: simulator.IDs{Seed: "ploi", N: 48_000}, Sites: simulator.NewTable[*Site](o.Now, lag), Databases: simulator.NewTable[*database](o.Now, lag)}
	if err := simulator.Load(o.File, &v.world); err != nil {
		return nil, err
	}
	v.limit.Window = time.Minute
	v.limit.Most = map[string]int{"basic": 60, "pro": 120, "unlimited": 240}[o.Plan]
	v.routes()
	return v, nil
}

// ServeHTTP is the API.
func (v *Vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.o.Faults.Handler(http.HandlerFunc(v.serve)).ServeHTTP(w, r)
}

func (v *Vendor) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || v.o.Token != "" && token != v.o.Token {
		refuse(w, http.StatusUnauthorized, "Unauthenticated.")
		return
	}
	if left := v.away.Sub(v.o.Now()); left > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(left.Seconds())+1))
		refuse(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	if v.o.Plan == "free" {
		answer(w, http.StatusForbidden, object{"error": "You are on a free plan, therefore you cannot use this API.", "links": []string{"https://ploi.io/plans"}})
		return
	}
	left, reset, ok := v.limit.Take(v.o.Now())
	if v.limit.Most > 0 {
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(v.limit.Most))
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(left))
	}
	if !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(reset.Sub(v.o.Now()).Seconds())+1))
		refuse(w, http.StatusTooManyRequests, "Too many requests, please slow down with sending requests.")
		return
	}
	for _, s := range v.world.Sites.All() {
		v.settle(s)
	}
	v.mux.ServeHTTP(w, r)
	if r.Method != http.MethodGet {
		if err := simulator.Save(v.o.File, v.world); err != nil {
			panic(err) // a simulated vendor that forgets lies
		}
	}
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps and structs of texts can be written
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // who asked may be gone
}

type object = map[string]any

func data(v any) object { return object{"data": v} }

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, object{"message": message})
}

// invalid is the vendor's refusal of a field.
func (v *Vendor) invalid(w http.ResponseWriter, field, message string) {
	if v.o.Doubts.NoFields {
		refuse(w, http.StatusUnprocessableEntity, message)
		return
	}
	answer(w, http.StatusUnprocessableEntity, object{"message": "The given data was invalid.", "errors": object{field: []string{message}}})
}

// done answers a write that says nothing else.
func (v *Vendor) done(w http.ResponseWriter, message string) {
	if v.o.Doubts.NullAnswers {
		answer(w, http.StatusOK, nil)
		return
	}
	answer(w, http.StatusOK, object{"message": message})
}

// made is the status of an answer of which 200 or 201 is not known.
func (v *Vendor) made() int {
	if v.o.Doubts.Created {
		return http.StatusCreated
	}
	return http.StatusOK
}

// stamp is a time as the vendor writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// paged answers a page of rows: 15 of them, or per_page up to 50; more is 15.
func paged(w http.ResponseWriter, r *http.Request, rows []object) {
	size, err := strconv.Atoi(r.URL.Query().Get("per_page"))
	if err != nil || size < 1 || size > 50 {
		size = 15
	}
	number, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || number < 1 {
		number = 1
	}
	last := max(1, (len(rows)+size-1)/size)
	begin := min((number-1)*size, len(rows))
	end := min(begin+size, len(rows))
	part := rows[begin:end]
	if part == nil {
		part = []object{}
	}
	path := "https://ploi.io" + r.URL.Path
	to := func(n int) any {
		if n < 1 || n > last {
			return nil
		}
		return path + "?page=" + strconv.Itoa(n)
	}
	answer(w, http.StatusOK, object{"data": part, "links": object{"first": to(1), "last": to(last), "prev": to(number - 1), "next": to(number + 1)},
		"meta": object{"current_page": number, "from": begin + 1, "last_page": last, "path": path, "per_page": size, "to": end, "total": len(rows)}})
}

// input reads a JSON body; an empty one is nothing.
func input(w http.ResponseWriter, r *http.Request) (map[string]any, bool) {
	in := map[string]any{}
	if r.ContentLength != 0 {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil && !errors.Is(err, io.EOF) {
			refuse(w, http.StatusUnprocessableEntity, "The body is no JSON.")
			return nil, false
		}
	}
	return in, true
}

func text(in map[string]any, name string) string {
	s, _ := in[name].(string)
	return s
}

// server is the server of a request's path.
func (v *Vendor) server(w http.ResponseWriter, r *http.Request) (Server, bool) {
	n, _ := strconv.Atoi(r.PathValue("server"))
	i := slices.IndexFunc(v.o.Servers, func(s Server) bool { return s.ID == n && !v.hidden[n] })
	if i < 0 {
		refuse(w, http.StatusNotFound, "Not found.")
		return Server{}, false
	}
	return v.o.Servers[i], true
}

func (s Server) show(sites int) object {
	status := s.Status
	if status == "" {
		status = "active"
	}
	return object{"id": s.ID, "status": status, "type": "server", "name": s.Name, "ip_address": s.Address, "internal_ip": nil, "php_version": "8.3",
		"mysql_version": 8, "sites_count": sites, "monitoring": false, "created_at": "2024-01-01 00:00:00"}
}

func (v *Vendor) sitesOn(server int) int {
	n := 0
	for _, s := range v.world.Sites.All() {
		if s.Server == server {
			n++
		}
	}
	return n
}

// at registers a handler below /api.
func (v *Vendor) at(pattern string, h http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	v.mux.HandleFunc(method+" /api"+path, h)
}

// ofSite registers a handler of what is below a site.
func (v *Vendor) ofSite(pattern string, h func(http.ResponseWriter, *http.Request, *Site)) {
	method, path, _ := strings.Cut(pattern, " ")
	v.at(method+" /servers/{server}/sites/{site}"+path, func(w http.ResponseWriter, r *http.Request) {
		server, ok := v.server(w, r)
		if !ok {
			return
		}
		s, there := v.world.Sites.Get(r.PathValue("site"))
		if !there || s.Server != server.ID {
			refuse(w, http.StatusNotFound, "Not found.")
			return
		}
		h(w, r, s)
	})
}

func (v *Vendor) routes() {
	v.mux.HandleFunc("/", v.nowhere)
	v.at("GET /user", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, data(object{"id": 7, "name": "Compass Digital", "email": "ops@compassdigital.example"}))
	})
	v.at("GET /servers", func(w http.ResponseWriter, r *http.Request) {
		var rows []object
		for _, s := range v.o.Servers {
			rows = append(rows, s.show(v.sitesOn(s.ID)))
		}
		paged(w, r, rows)
	})
	v.at("GET /servers/{server}", func(w http.ResponseWriter, r *http.Request) {
		if s, ok := v.server(w, r); ok {
			answer(w, http.StatusOK, data(s.show(v.sitesOn(s.ID))))
		}
	})
	v.siteRoutes()
	v.deployRoutes()
	v.nameRoutes()
	v.databaseRoutes()
}

// nowhere answers where nothing is, or not with this method.
func (v *Vendor) nowhere(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if _, pattern := v.mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "/" {
			refuse(w, http.StatusMethodNotAllowed, "The "+r.Method+" method is not supported for this route. Supported methods: "+method+".")
			return
		}
	}
	refuse(w, http.StatusNotFound, "Not found.")
}

// Hide lets the token not see a server, as one of another account, or see it again.
func (v *Vendor) Hide(server int, on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hidden[server] = on
}

// Maintain lets the vendor be away for a while, as it says when it is asked.
func (v *Vendor) Maintain(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.away = v.o.Now().Add(d)
}

// Plain is the API without the faults, for who puts them elsewhere.
func (v *Vendor) Plain() http.Handler { return http.HandlerFunc(v.serve) }
