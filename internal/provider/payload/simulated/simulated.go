package simulated

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// maxBody is the most bytes of a request.
const maxBody = 1 << 20

// Defaults of Options, as Payload's configuration has them.
const (
	defaultAPI      = "/api"
	defaultUsers    = "users"
	defaultAttempts = 5
	defaultLock     = 10 * time.Minute
	defaultInterval = 15 * time.Second
	tokenLife       = 2 * time.Hour
	hashRounds      = 1000
)

// Options make a Payload.
type Options struct {
	Now        func() time.Time  // nil: time.Now
	Faults     *simulator.Faults // nil: nothing goes wrong
	File       string            // "": nothing outlives the process
	API        string            // routes.api; "": /api
	Collection string            // "": users
	Seed       string            // of ids and tokens
	// MaxLoginAttempts lock a user for LockTime; 0: 5 and 10 minutes.
	MaxLoginAttempts int
	LockTime         time.Duration
	// MinRequestInterval is between two mails to a user; 0: 15 s, negative: none.
	MinRequestInterval time.Duration
	NumericIDs         bool     // ids as PostgreSQL and SQLite give them, not as MongoDB does
	Required           []string // fields of a user beside its address and password
	// DisableLocalStrategy says that nobody has a password here.
	DisableLocalStrategy bool
	RemoveToken          bool // auth.removeTokenFromResponses
	German               bool // what a site says is translated
	// Between happens in first-register after it has looked and before it creates. nil: nothing.
	Between func()
	// Mail is told of what forgot-password sends. nil: nobody reads it.
	Mail func(email, token string)
}

// User is one user, as its site shows it.
type User struct {
	ID         string    `json:"id"`
	Email      string    `json:"email"`
	Salt       string    `json:"salt"`
	Hash       string    `json:"hash"`
	Unverified bool      `json:"unverified,omitempty"`
	Attempts   int       `json:"loginAttempts,omitempty"`
	LockUntil  time.Time `json:"lockUntil,omitzero"`
	MailedAt   time.Time `json:"mailedAt,omitzero"`
}

// Payload is the simulated site. Make it with New.
type Payload struct {
	o       Options
	handler http.Handler

	mu    sync.Mutex
	away  bool
	state saved
}

type saved struct {
	IDs   simulator.IDs `json:"ids"`
	Users []User        `json:"users"`
}

// New returns a site, with the users that its file holds.
func New(o Options) (*Payload, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Faults == nil {
		o.Faults = &simulator.Faults{}
	}
	if o.API == "" {
		o.API = defaultAPI
	}
	if o.Collection == "" {
		o.Collection = defaultUsers
	}
	if o.MaxLoginAttempts == 0 {
		o.MaxLoginAttempts = defaultAttempts
	}
	if o.LockTime == 0 {
		o.LockTime = defaultLock
	}
	if o.MinRequestInterval == 0 {
		o.MinRequestInterval = defaultInterval
	}
	p := &Payload{o: o, state: saved{IDs: simulator.IDs{Seed: o.Seed}}}
	if err := simulator.Load(o.File, &p.state); err != nil {
		return nil, fmt.Errorf("open the simulated payload: %w", err)
	}
	mux := http.NewServeMux()
	at := o.API + "/" + o.Collection
	mux.HandleFunc("GET "+at+"/init", p.init)
	mux.HandleFunc("POST "+at+"/first-register", p.firstRegister)
	mux.HandleFunc("POST "+at+"/login", p.login)
	mux.HandleFunc("POST "+at+"/forgot-password", p.forgotPassword)
	mux.HandleFunc("GET /{$}", page)
	mux.HandleFunc("GET /admin", page)
	mux.HandleFunc("/", p.nowhere)
	p.handler = o.Faults.Handler(mux)
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Payload) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// Away takes the site's database off, or brings it back.
func (p *Payload) Away(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// Drop puts an empty database in place of the site's.
func (p *Payload) Drop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Users = nil
	return simulator.Save(p.o.File, &p.state)
}

// Users are the users that there are, oldest first.
func (p *Payload) Users() []User {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]User(nil), p.state.Users...)
}

// Add makes a user as a person does in the administration. It may be one whose address is not
// verified.
func (p *Payload) Add(email, password string, unverified bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.add(email, password, unverified)
	return err
}

// add makes a user. The lock is held.
func (p *Payload) add(email, password string, unverified bool) (User, error) {
	u := User{ID: p.state.IDs.Hex(24), Email: plain(email), Unverified: unverified, Salt: p.state.IDs.Hex(32)}
	if p.o.NumericIDs {
		u.ID = fmt.Sprint(p.state.IDs.Number())
	}
	var err error
	if u.Hash, err = hash(password, u.Salt); err != nil {
		return User{}, err
	}
	p.state.Users = append(p.state.Users, u)
	return u, simulator.Save(p.o.File, &p.state)
}

func hash(password, salt string) (string, error) {
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), hashRounds, sha256.Size)
	return hex.EncodeToString(key), err
}

// plain is an address as it is compared.
func plain(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// user finds a user by address, -1 for none. The lock is held.
func (p *Payload) user(email string) int {
	for i, u := range p.state.Users {
		if u.Email == plain(email) {
			return i
		}
	}
	return -1
}

// fields reads a body. What is no text is "", as Payload has it.
func fields(w http.ResponseWriter, r *http.Request) map[string]string {
	out := map[string]string{}
	var in map[string]any
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in) != nil {
		return out
	}
	for name, v := range in {
		if text, ok := v.(string); ok {
			out[name] = text
		}
	}
	return out
}

// gone answers for a site without its database, in the form that it has then.
func (p *Payload) gone(w http.ResponseWriter) bool {
	p.mu.Lock()
	away := p.away
	p.mu.Unlock()
	if away {
		send(w, http.StatusInternalServerError, map[string]any{"message": "There was an error initializing Payload"})
	}
	return away
}

func page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!DOCTYPE html><title>A shop</title>") // who asked may be gone
}

func (p *Payload) nowhere(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, p.o.API+"/") {
		send(w, http.StatusNotFound, map[string]any{"message": "Route not found"})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, "<!DOCTYPE html><title>404</title>") // who asked may be gone
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}

// refuse answers with an error, in Payload's form.
func refuse(w http.ResponseWriter, status int, message string) {
	send(w, status, map[string]any{"errors": []any{map[string]any{"message": message}}})
}
