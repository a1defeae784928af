package simulated

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// Limits of the vendor.
const (
	maxBody   = 4 << 20
	maxKey    = 256
	keyLives  = 24 * time.Hour
	maxTo     = 50
	mostPage  = 100
	pageUsual = 20
)

// Options say what kind of Resend it is. The zero value takes all keys and senders, without
// limits.
type Options struct {
	Now     func() time.Time // nil: time.Now
	Faults  *simulator.Faults
	Lag     time.Duration     // of lists
	File    string            // "": nothing outlives the process
	Token   string            // "": any
	Sending bool              // the key may send, and nothing else
	Domains map[string]string // name → status, as verified or pending; nil: all are verified
	Rate    simulator.Limit   // of requests; zero: none
	Daily   int               // mails a day (UTC); 0: no quota
	Monthly int
	// Work is how long a request is under way: another one of its key is kept off meanwhile.
	Work time.Duration
}

// Mail is one that was sent.
type Mail struct {
	ID      string            `json:"id"`
	At      time.Time         `json:"at"`
	From    string            `json:"from"`
	To      []string          `json:"to"`
	Subject string            `json:"subject"`
	Text    string            `json:"text"`
	HTML    string            `json:"html"`
	Tags    map[string]string `json:"tags,omitempty"`
	Key     string            `json:"key,omitempty"`
}

// known is an idempotency key.
type known struct {
	Body string    `json:"body"`
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
}

// world is all that is kept.
type world struct {
	IDs   simulator.IDs          `json:"ids"`
	Mails *simulator.Table[Mail] `json:"mails"`
	Keys  map[string]known       `json:"keys"`
	Quota map[string]int         `json:"quota"` // mails by day and by month
}

// Resend is the vendor. Make it with New.
type Resend struct {
	o     Options
	outer http.Handler

	mu     sync.Mutex
	rate   simulator.Limit
	is     world
	failed error // of the last write of the file
	// closed says that Resend found something about the account.
	closed bool
}

// New opens a Resend, with what its file says.
func New(o Options) (*Resend, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &Resend{o: o, rate: o.Rate, is: world{IDs: simulator.IDs{Seed: "resend"}, Keys: map[string]known{}, Quota: map[string]int{},
		Mails: simulator.NewTable[Mail](o.Now, func() time.Duration { return o.Lag })}}
	if err := simulator.Load(o.File, &v.is); err != nil {
		return nil, fmt.Errorf("open the simulated Resend: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /emails", v.guarded(v.send, true))
	mux.HandleFunc("GET /emails", v.guarded(v.list, false))
	mux.HandleFunc("GET /emails/{id}", v.guarded(v.get, false))
	mux.HandleFunc("GET /domains", v.guarded(v.domains, false))
	mux.HandleFunc("/", v.guarded(func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if _, pattern := mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "/" {
				refuse(w, http.StatusMethodNotAllowed, "method_not_allowed", "Method is not allowed for the requested path.")
				return
			}
		}
		refuse(w, http.StatusNotFound, "not_found", "The requested endpoint does not exist.")
	}, true))
	v.outer = mux
	if o.Faults != nil {
		v.outer = o.Faults.Handler(mux)
	}
	return v, nil
}

// Save writes the state to the file, and says whether every write so far came about.
func (v *Resend) Save() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed != nil {
		return v.failed
	}
	return simulator.Save(v.o.File, v.is)
}

// Suspend lets Resend find something about the account that keeps it from sending, or nothing
// any more.
func (v *Resend) Suspend(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = on
}

// Sent are all mails, oldest first.
func (v *Resend) Sent() []Mail {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.is.Mails.All()
}

// ServeHTTP implements http.Handler.
func (v *Resend) ServeHTTP(w http.ResponseWriter, r *http.Request) { v.outer.ServeHTTP(w, r) }

// Refusal is the body of a documented error, for faults.
func Refusal(status int, name, message string) string {
	data, err := json.Marshal(map[string]any{"statusCode": status, "name": name, "message": message})
	if err != nil {
		return ""
	}
	return string(data)
}

func refuse(w http.ResponseWriter, status int, name, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(Refusal(status, name, message))) // who asked may be gone
}

func answer(w http.ResponseWriter, is any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(is) // who asked may be gone
}

// guarded counts a request and asks for the key. The lock is held while do runs.
func (v *Resend) guarded(do http.HandlerFunc, sends bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		now := v.o.Now()
		if v.rate.Most > 0 {
			left, reset, ok := v.rate.Take(now)
			seconds := strconv.Itoa(int((reset.Sub(now) + time.Second - 1) / time.Second))
			w.Header().Set("Ratelimit-Limit", strconv.Itoa(v.rate.Most))
			w.Header().Set("Ratelimit-Remaining", strconv.Itoa(left))
			w.Header().Set("Ratelimit-Reset", seconds)
			if !ok {
				w.Header().Set("Retry-After", seconds)
				refuse(w, http.StatusTooManyRequests, "rate_limit_exceeded", "Too many requests. You can only make "+strconv.Itoa(v.rate.Most)+" requests per second.")
				return
			}
		}
		key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case !ok || key == "":
			refuse(w, http.StatusUnauthorized, "missing_api_key", "Missing API key in the authorization header.")
		case v.o.Token != "" && key != v.o.Token:
			refuse(w, http.StatusForbidden, "invalid_api_key", "API key is invalid")
		case v.o.Sending && !sends:
			refuse(w, http.StatusUnauthorized, "restricted_api_key", "This API key is restricted to only send emails")
		default:
			do(w, r)
		}
	}
}

// wished is the body of a send, as far as it is kept.
type wished struct {
	From    string `json:"from"`
	To      list   `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
	Tags    []struct{ Name, Value string }
}

// list is one text or several.
type list []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

func (v *Resend) send(w http.ResponseWriter, r *http.Request) {
	var in wished
	var raw json.RawMessage
	if json.NewDecoder(r.Body).Decode(&raw) != nil || json.Unmarshal(raw, &in) != nil {
		refuse(w, http.StatusUnprocessableEntity, "invalid_parameter", "The request body is not valid JSON.")
		return
	}
	key, now := r.Header.Get("Idempotency-Key"), v.o.Now().UTC()
	if _, given := r.Header["Idempotency-Key"]; given && (key == "" || len(key) > maxKey) {
		refuse(w, http.StatusBadRequest, "invalid_idempotency_key", "The key must be between 1-256 chars. Retry with a valid key.")
		return
	}
	if k, ok := v.is.Keys[key]; ok && key != "" && now.Sub(k.At) < keyLives {
		switch {
		case now.Sub(k.At) < v.o.Work:
			refuse(w, http.StatusConflict, "concurrent_idempotent_requests", "Same idempotency key used while original request is still in progress.")
			return
		case k.Body != string(raw):
			refuse(w, http.StatusConflict, "invalid_idempotent_request", "Same idempotency key used with a different request payload.")
			return
		}
		answer(w, map[string]string{"id": k.ID})
		return
	}
	if status, name, message := v.wrong(in, now); name != "" {
		refuse(w, status, name, message)
		return
	}
	m := Mail{ID: v.is.IDs.UUID(), At: now, From: in.From, To: in.To, Subject: in.Subject, Text: in.Text, HTML: in.HTML, Key: key}
	for _, t := range in.Tags {
		if m.Tags == nil {
			m.Tags = map[string]string{}
		}
		m.Tags[t.Name] = t.Value
	}
	v.is.Mails.Put(m.ID, m)
	v.is.Quota[day(now)]++
	v.is.Quota[month(now)]++
	if key != "" {
		v.is.Keys[key] = known{Body: string(raw), ID: m.ID, At: now}
	}
	if err := simulator.Save(v.o.File, v.is); err != nil {
		v.failed = err
	}
	answer(w, map[string]string{"id": m.ID})
}

func day(at time.Time) string   { return at.Format("2006-01-02") }
func month(at time.Time) string { return at.Format("2006-01") }

// wrong says why a mail is not sent; no name: nothing speaks against it.
func (v *Resend) wrong(in wished, now time.Time) (status int, name, message string) {
	const invalid = http.StatusUnprocessableEntity
	from, err := mail.ParseAddress(in.From)
	switch {
	case in.From == "" || len(in.To) == 0 || in.Subject == "":
		return invalid, "missing_required_field", "Missing `from`, `to` or `subject` field."
	case in.Text == "" && in.HTML == "":
		return invalid, "missing_required_field", "Missing `html` or `text` field."
	case err != nil:
		return invalid, "invalid_parameter", "Invalid `from` field. The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."
	case len(in.To) > maxTo:
		return invalid, "validation_error", "Too many recipients."
	}
	for _, to := range in.To {
		if _, err := mail.ParseAddress(to); err != nil {
			return invalid, "validation_error", "Invalid `to` field. The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."
		}
	}
	for _, t := range in.Tags {
		for _, text := range []string{t.Name, t.Value} {
			if text == "" || len(text) > maxKey || strings.ContainsFunc(text, func(r rune) bool {
				return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			}) {
				return invalid, "validation_error", "Tags should only contain ASCII letters, numbers, underscores, or dashes."
			}
		}
	}
	host := from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	switch {
	case v.closed:
		return http.StatusUnavailableForLegalReasons, "security_error", "We may have found a security issue with the request."
	case v.o.Domains != nil && v.o.Domains[host] != "verified":
		return http.StatusForbidden, "validation_error", "The " + host + " domain is not verified. Please, add and verify your domain on https://resend.com/domains"
	case v.o.Daily > 0 && v.is.Quota[day(now)] >= v.o.Daily:
		return http.StatusTooManyRequests, "daily_quota_exceeded", "You have reached your daily email sending quota."
	case v.o.Monthly > 0 && v.is.Quota[month(now)] >= v.o.Monthly:
		return http.StatusTooManyRequests, "monthly_quota_exceeded", "You have reached your monthly email sending quota."
	}
	return 0, "", ""
}

// shown is a mail as it is read; a list leaves the bodies out.
func shown(m Mail, whole bool) map[string]any {
	out := map[string]any{"id": m.ID, "message_id": "<" + m.ID + "@resend.example>", "to": m.To, "from": m.From, "created_at": m.At.Format("2006-01-02 15:04:05.000000+00"),
		"subject": m.Subject, "bcc": []string{}, "cc": []string{}, "reply_to": []string{}, "last_event": "delivered"}
	if whole {
		out["object"], out["html"], out["text"] = "email", m.HTML, m.Text
	}
	return out
}

func (v *Resend) get(w http.ResponseWriter, r *http.Request) {
	m, ok := v.is.Mails.Get(r.PathValue("id"))
	if !ok {
		refuse(w, http.StatusNotFound, "not_found", "Email not found")
		return
	}
	answer(w, shown(m, true))
}

func (v *Resend) list(w http.ResponseWriter, r *http.Request) {
	all := v.is.Mails.Seen()
	slices.Reverse(all)
	page, more, ok := paged(all, r)
	if !ok {
		refuse(w, http.StatusUnprocessableEntity, "validation_error", "Invalid pagination parameters.")
		return
	}
	data := make([]map[string]any, 0, len(page))
	for _, m := range page {
		data = append(data, shown(m, false))
	}
	answer(w, map[string]any{"object": "list", "has_more": more, "data": data})
}

// paged is what a list shows of all.
func paged(all []Mail, r *http.Request) (page []Mail, more, ok bool) {
	limit, q := pageUsual, r.URL.Query()
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostPage {
			return nil, false, false
		}
		limit = n
	}
	if after := q.Get("after"); after != "" {
		i := slices.IndexFunc(all, func(m Mail) bool { return m.ID == after })
		if i < 0 {
			return nil, false, false
		}
		all = all[i+1:]
	}
	if len(all) > limit {
		return all[:limit], true, true
	}
	return all, false, true
}

func (v *Resend) domains(w http.ResponseWriter, _ *http.Request) {
	data := []map[string]any{}
	names := make([]string, 0, len(v.o.Domains))
	for name := range v.o.Domains {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		data = append(data, map[string]any{"id": fmt.Sprintf("domain-%d", i+1), "name": name, "status": v.o.Domains[name], "created_at": "2026-01-01 00:00:00.000000+00", "region": "eu-west-1"})
	}
	answer(w, map[string]any{"object": "list", "has_more": false, "data": data})
}
