package simulated

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// Limits, as published.
const (
	callsAWindow = 1200
	window       = 5 * time.Minute
	maxComment   = 100
	maxBatch     = 200
	maxContent   = 4096 // bytes of one record
	maxSet       = 8192 // bytes of all of a name and type
	maxBody      = 1 << 20
)

// base is what stands before every path.
const base = "/client/v4"

// Options say what a Vendor is like.
type Options struct {
	Now    func() time.Time     // nil: time.Now
	Faults *simulator.Faults    // what goes wrong; nil: nothing
	Lag    func() time.Duration // how late lists are; nil: not at all
	File   string               // where it keeps its state; "": nowhere
	Token  string               // the one that is let in
	Zones  []Zone               // added to those of File
	Calls  int                  // in five minutes; 0: 1,200, negative: no limit
}

// Zone is one domain.
type Zone struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Account     string   `json:"account"`
	Status      string   `json:"status"` // active | pending | initializing | moved; "": active
	NameServers []string `json:"nameServers,omitempty"`
	Quota       int      `json:"quota,omitempty"` // records; 0: 3,500
	// ReadOnly and NoPurge are permissions that the token lacks; Hidden: all of them.
	ReadOnly bool `json:"readOnly,omitempty"`
	NoPurge  bool `json:"noPurge,omitempty"`
	Hidden   bool `json:"hidden,omitempty"`
}

// Vendor is the simulated Cloudflare. Make it with New. Safe for concurrent use.
type Vendor struct {
	o       Options
	handler http.Handler

	mu    sync.Mutex
	state held
	limit simulator.Limit
	calls int
}

// held is what outlives the process.
type held struct {
	IDs     simulator.IDs            `json:"ids"`
	Zones   []Zone                   `json:"zones"`
	Records *simulator.Table[Record] `json:"records"`
	Purged  []string                 `json:"purged"`
}

// New opens a Vendor.
func New(o Options) (*Vendor, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Calls == 0 {
		o.Calls = callsAWindow
	}
	v := &Vendor{o: o, limit: simulator.Limit{Most: max(o.Calls, 0), Window: window}}
	v.state = held{IDs: simulator.IDs{Seed: "cloudflare"}, Records: simulator.NewTable[Record](o.Now, o.Lag)}
	if err := simulator.Load(o.File, &v.state); err != nil {
		return nil, fmt.Errorf("open simulated Cloudflare: %w", err)
	}
	for _, z := range o.Zones {
		if _, known := v.zone(z.ID); !known {
			v.addZone(z)
		}
	}
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(*call){
		"GET /user/tokens/verify":               verify,
		"GET /zones":                            listZones,
		"GET /zones/{zone}":                     oneZone,
		"POST /zones/{zone}/purge_cache":        purge,
		"GET /zones/{zone}/dns_records":         listRecords,
		"POST /zones/{zone}/dns_records":        create,
		"POST /zones/{zone}/dns_records/batch":  batch,
		"GET /zones/{zone}/dns_records/{id}":    one,
		"PUT /zones/{zone}/dns_records/{id}":    change,
		"PATCH /zones/{zone}/dns_records/{id}":  change,
		"DELETE /zones/{zone}/dns_records/{id}": remove,
		"/": func(c *call) {
			c.refuse(http.StatusNotFound, 7003, "Could not route to "+c.r.URL.Path+", perhaps your object identifier is invalid?")
		},
	} {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = "", pattern
		}
		mux.HandleFunc(strings.TrimSpace(method+" "+base+path), func(w http.ResponseWriter, r *http.Request) { v.serve(w, r, do) })
	}
	v.handler = mux
	if o.Faults != nil {
		v.handler = o.Faults.Handler(mux)
	}
	return v, nil
}

func (v *Vendor) addZone(z Zone) {
	if z.Status == "" {
		z.Status = "active"
	}
	if len(z.NameServers) == 0 {
		z.NameServers = []string{"ada.ns.cloudflare.example", "bob.ns.cloudflare.example"}
	}
	v.state.Zones = append(v.state.Zones, z)
}

// ServeHTTP implements http.Handler.
func (v *Vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) { v.handler.ServeHTTP(w, r) }

// call is one request under the vendor's lock.
type call struct {
	v      *Vendor
	w      http.ResponseWriter
	r      *http.Request
	zoneIs Zone
}

// serve counts a call, asks who it is, and does it.
func (v *Vendor) serve(w http.ResponseWriter, r *http.Request, do func(*call)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
	c := &call{v: v, w: w, r: r}
	left, reset, ok := v.limit.Take(v.o.Now())
	seconds := max(int(reset.Sub(v.o.Now())/time.Second), 0)
	if v.limit.Most > 0 {
		w.Header().Set("Ratelimit", fmt.Sprintf(`"default";r=%d;t=%d`, left, seconds))
		w.Header().Set("Ratelimit-Policy", fmt.Sprintf(`"default";q=%d;w=%d`, v.limit.Most, int(window/time.Second)))
	}
	switch token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); {
	case !ok:
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		c.refuse(http.StatusTooManyRequests, 10429, "More than 1200 requests per 300 seconds reached. Please wait and consider throttling your request speed")
		return
	case !bearer:
		c.refuse(http.StatusBadRequest, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
		return
	case token != v.o.Token && strings.HasSuffix(r.URL.Path, "/user/tokens/verify"):
		c.refuse(http.StatusUnauthorized, 1000, "Invalid API Token")
		return
	case token != v.o.Token:
		c.refuse(http.StatusForbidden, 10000, "Authentication error")
		return
	}
	if id := r.PathValue("zone"); id != "" {
		var known bool
		if c.zoneIs, known = v.zone(id); !known || c.zoneIs.Hidden {
			c.refuse(http.StatusForbidden, 9109, "Unauthorized to access requested resource")
			return
		}
	}
	do(c)
}

func (v *Vendor) zone(id string) (Zone, bool) {
	for _, z := range v.state.Zones {
		if z.ID == id {
			return z, true
		}
	}
	return Zone{}, false
}

// message is one error or note.
type message struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Chain   []message `json:"error_chain,omitempty"`
}

// envelope is what every answer is in.
type envelope struct {
	Result   any       `json:"result"`
	Success  bool      `json:"success"`
	Errors   []message `json:"errors"`
	Messages []message `json:"messages"`
	Info     *info     `json:"result_info,omitempty"`
}

type info struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Count      int `json:"count"`
	TotalCount int `json:"total_count"`
	TotalPages int `json:"total_pages"`
}

func (c *call) send(status int, e envelope) {
	if e.Errors == nil {
		e.Errors = []message{}
	}
	if e.Messages == nil {
		e.Messages = []message{}
	}
	data, err := json.Marshal(e)
	if err != nil {
		panic(err) // of our own values
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(data) // who asked may be gone
}

func (c *call) ok(result any) { c.send(http.StatusOK, envelope{Success: true, Result: result}) }

func (c *call) refuse(status, code int, text string, chain ...message) {
	c.send(status, envelope{Errors: []message{{Code: code, Message: text, Chain: chain}}})
}

func (c *call) refused(no *refusal) { c.refuse(no.status, no.code, no.text, no.chain...) }

// changed keeps the state before the answer is sent.
func (c *call) changed() bool {
	if err := simulator.Save(c.v.o.File, c.v.state); err != nil {
		c.refuse(http.StatusInternalServerError, 10001, "the state could not be written")
		return false
	}
	return true
}

// read decodes a body.
func (c *call) read(into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err := d.Decode(into); err != nil {
		c.refuse(http.StatusBadRequest, 9207, "Request body is invalid.")
		return false
	}
	return true
}
