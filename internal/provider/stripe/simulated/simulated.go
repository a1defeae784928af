package simulated

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// Platform is the id of the account that the key belongs to.
const Platform = "acct_1SimulatedPlatform"

// Limits and times of Stripe's.
const (
	maxBody  = 1 << 20
	maxKey   = 255 // characters of an idempotency key
	keepKeys = 24 * time.Hour
	linkLife = 5 * time.Minute // "a few minutes", says the description
)

// Options of a simulated Stripe.
type Options struct {
	Now       func() time.Time
	Faults    *simulator.Faults
	Key       string               // that is accepted; "": any
	File      string               // keeps the state; "": nothing does
	Lag       func() time.Duration // of lists
	PerSecond int                  // requests; 0: no limit
	// Work is how long a request with a key is under way: another one of that key is kept off.
	Work time.Duration
	// Expired, ReadOnly and NoConnect are what may be wrong with the key and whose it is: its time
	// is over, it may not write, its owner has not signed up for Connect.
	Expired, ReadOnly, NoConnect bool
	// Onboarded lets accounts be born with nothing due.
	Onboarded bool
	// URL is where links lead: the address that this handler is served at. "": the one that
	// the request for the link came to.
	URL string
}

// Stripe is a simulated Stripe. Make it with New. Safe for concurrent use.
type Stripe struct {
	o       Options
	handler http.Handler

	mu    sync.Mutex
	limit simulator.Limit
	fail  int // so many requests more fail once they began
	world world
}

// world is what is kept in the file.
type world struct {
	IDs      simulator.IDs             `json:"ids"`
	Accounts *simulator.Table[account] `json:"accounts"`
	Links    map[string]link           `json:"links"` // by the last part of their address
	Keys     map[string]remembered     `json:"keys"`
}

// remembered is the first answer to a key.
type remembered struct {
	Request string    `json:"request"` // a hash
	Status  int       `json:"status"`
	Body    []byte    `json:"body"`
	At      time.Time `json:"at"`
}

// New returns a simulated Stripe with what its file holds.
func New(o Options) (*Stripe, error) {
	if o.Now == nil {
		return nil, errors.New("open the simulated stripe: a clock is needed")
	}
	if o.Faults == nil {
		o.Faults = &simulator.Faults{}
	}
	s := &Stripe{o: o, limit: simulator.Limit{Most: o.PerSecond, Window: time.Second}}
	s.world = world{IDs: simulator.IDs{Seed: "stripe"}, Accounts: simulator.NewTable[account](o.Now, o.Lag), Links: map[string]link{}, Keys: map[string]remembered{}}
	if err := simulator.Load(o.File, &s.world); err != nil {
		return nil, fmt.Errorf("open the simulated stripe: %w", err)
	}
	s.handler = o.Faults.Handler(http.HandlerFunc(s.serve))
	return s, nil
}

// FailNext lets the next n requests that change something fail with 500 once they began, before
// anything is changed: Stripe keeps that answer for their keys.
func (s *Stripe) FailNext(n int) { s.mu.Lock(); s.fail = n; s.mu.Unlock() }

// ServeHTTP implements http.Handler.
func (s *Stripe) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Stripe) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, linkPath) {
		s.visit(w, r)
		return
	}
	status, body, replay := s.answer(w, r)
	if err := simulator.Save(s.o.File, &s.world); err != nil {
		status, body = problem(http.StatusInternalServerError, "api_error", "", "", err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	if replay {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // who asked may be gone
}

// answer does what is asked, at most once a key.
func (s *Stripe) answer(w http.ResponseWriter, r *http.Request) (status int, body []byte, replay bool) {
	w.Header().Set("Request-Id", "req_"+s.world.IDs.Hex(14))
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || s.o.Key != "" && bearer != s.o.Key {
		status, body = problem(http.StatusUnauthorized, "invalid_request_error", "", "", "Invalid API Key provided.")
		return status, body, false
	}
	if s.o.Expired {
		status, body = problem(http.StatusUnauthorized, "invalid_request_error", "api_key_expired", "", "Expired API Key provided.")
		return status, body, false
	}
	if s.o.ReadOnly && r.Method != http.MethodGet {
		status, body = problem(http.StatusForbidden, "invalid_request_error", "", "", "The provided key does not have the required permissions for this endpoint.")
		return status, body, false
	}
	if _, _, ok := s.limit.Take(s.o.Now()); !ok {
		w.Header().Set("Stripe-Rate-Limited-Reason", "global-rate")
		status, body = problem(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "", "Request rate limit exceeded.")
		return status, body, false
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status, body = problem(http.StatusRequestEntityTooLarge, "invalid_request_error", "", "", "The request is too large.")
		return status, body, false
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil || len(raw) > 0 && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		status, body = problem(http.StatusBadRequest, "invalid_request_error", "", "", "Invalid request: the body is no form.")
		return status, body, false
	}
	key := r.Header.Get("Idempotency-Key")
	if r.Method != http.MethodPost || key == "" {
		status, body, _ = s.run(r, form)
		return status, body, false
	}
	if len(key) > maxKey {
		status, body = problem(http.StatusBadRequest, "invalid_request_error", "", "", "Idempotency keys have at most 255 characters.")
		return status, body, false
	}
	sum := sha256.Sum256([]byte(r.URL.Path + "\n" + form.Encode()))
	request := hex.EncodeToString(sum[:])
	if was, ok := s.world.Keys[key]; ok && s.o.Now().Sub(was.At) < keepKeys {
		if s.o.Now().Sub(was.At) < s.o.Work {
			status, body = problem(http.StatusConflict, "idempotency_error", "idempotency_key_in_use", "", "There is currently another in-progress request using this Idempotent Key.")
			return status, body, false
		}
		if was.Request != request {
			status, body = problem(http.StatusBadRequest, "idempotency_error", "", "", "Keys for idempotent requests can only be used with the same parameters they were first used with.")
			return status, body, false
		}
		return was.Status, was.Body, true
	}
	status, body, began := s.run(r, form)
	if began {
		s.world.Keys[key] = remembered{Request: request, Status: status, Body: body, At: s.o.Now()}
	}
	return status, body, false
}

// run finds out what is asked. began says that it was valid: then its answer is kept.
func (s *Stripe) run(r *http.Request, form url.Values) (status int, body []byte, began bool) {
	rest, isOne := strings.CutPrefix(r.URL.Path, "/v1/accounts/")
	c := call{s, r, form}
	var t *trouble
	var out any
	switch {
	case r.URL.Path == "/v1/account" && r.Method == http.MethodGet:
		out = platform(s.o.Now())
	case r.URL.Path == "/v1/accounts" && r.Method == http.MethodGet:
		out, t = c.list()
	case r.URL.Path == "/v1/accounts" && r.Method == http.MethodPost:
		out, t = c.create()
	case r.URL.Path == "/v1/account_links" && r.Method == http.MethodPost:
		out, t = c.link()
	case isOne && !strings.Contains(rest, "/") && r.Method == http.MethodGet:
		out, t = c.get(rest)
	case isOne && !strings.Contains(rest, "/") && r.Method == http.MethodPost:
		out, t = c.update(rest)
	case isOne && !strings.Contains(rest, "/") && r.Method == http.MethodDelete:
		out, t = c.remove(rest)
	default:
		t = &trouble{status: http.StatusNotFound, text: fmt.Sprintf("Unrecognized request URL (%s: %s).", r.Method, r.URL.Path)}
	}
	if t != nil {
		kind := "invalid_request_error"
		if t.status >= 500 {
			kind = "api_error"
		}
		status, body = problem(t.status, kind, t.code, t.param, t.text)
		return status, body, t.began
	}
	body, err := json.Marshal(out)
	if err != nil {
		status, body = problem(http.StatusInternalServerError, "api_error", "", "", err.Error())
		return status, body, true
	}
	return http.StatusOK, body, true
}

// trouble is a refusal.
type trouble struct {
	status            int
	code, param, text string
	began             bool
}

func bad(code, param, text string) *trouble {
	return &trouble{status: http.StatusBadRequest, code: code, param: param, text: text}
}

// began is the failure of a request that is otherwise fine, while one is wanted.
func (c call) began() *trouble {
	if c.fail == 0 {
		return nil
	}
	c.fail--
	return &trouble{status: http.StatusInternalServerError, text: "An unknown error occurred.", began: true}
}

// problem is an error as Stripe gives it.
func problem(status int, kind, code, param, text string) (int, []byte) {
	one := map[string]string{"type": kind, "message": text}
	if code != "" {
		one["code"], one["doc_url"] = code, "https://stripe.com/docs/error-codes/"+strings.ReplaceAll(code, "_", "-")
	}
	if param != "" {
		one["param"] = param
	}
	body, err := json.Marshal(map[string]any{"error": one})
	if err != nil {
		return http.StatusInternalServerError, nil // texts always marshal
	}
	return status, body
}
