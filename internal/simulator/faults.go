package simulator

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"sync"
)

// maxBody is the most bytes of a request that a simulated vendor reads.
const maxBody = 8 << 20

// Effect is what a fault does to an exchange.
type Effect struct {
	name    string
	before  http.HandlerFunc // in place of the vendor; nil: the vendor works
	instead http.HandlerFunc // in place of its answer; nil: the answer is sent
	lines   int              // of its answer that are sent, where then goes wrong
	then    http.HandlerFunc // after so many lines; nil: nothing
}

// String names the effect.
func (e Effect) String() string { return e.name }

// Refuse answers in place of the vendor: nothing happens.
func Refuse(status int, header http.Header, body string) Effect {
	return Effect{name: "refused", before: answer(status, header, body)}
}

// Instead lets the vendor work and sends another answer: a gateway's page, say.
func Instead(status int, header http.Header, body string) Effect {
	return Effect{name: "another answer", instead: answer(status, header, body)}
}

// LoseRequest cuts the connection before the vendor works: nothing happens, and nobody is told.
func LoseRequest() Effect { return Effect{name: "request lost", before: cut} }

// LoseAnswer cuts the connection after the vendor worked.
func LoseAnswer() Effect { return Effect{name: "answer lost", instead: cut} }

// CutAfter cuts the connection in the middle of an answer, after so many lines.
func CutAfter(lines int) Effect { return Effect{name: "cut", lines: lines, then: cut} }

// StallAfter keeps back what comes after so many lines of an answer, until who asked is gone.
func StallAfter(lines int) Effect {
	return Effect{name: "stall", lines: lines, then: func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		cut(w, r)
	}}
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func answer(status int, header http.Header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // who asked may be gone
	}
}

// Fault is what goes wrong with which requests.
type Fault struct {
	Method string // "": any
	Path   string // as path.Match takes it: /v1/projects/*; "": any
	// Match looks closer, where method and path don't tell (GraphQL). nil: it fits.
	Match func(r *http.Request, body []byte) bool
	Skip  int // so many that fit pass first
	Times int // then so many don't; 0: one; negative: all
	Do    Effect
}

func (f *Fault) fits(r *http.Request, body []byte) bool {
	if f.Method != "" && f.Method != r.Method {
		return false
	}
	if f.Path != "" {
		if ok, err := path.Match(f.Path, r.URL.Path); err != nil || !ok {
			return false
		}
	}
	return f.Match == nil || f.Match(r, body)
}

// Faults are those that wait to happen. Its zero value is none. Safe for concurrent use.
type Faults struct {
	mu       sync.Mutex
	waiting  []*Fault
	happened map[string]int
}

// Add lets something go wrong from now on. Of several that fit, the first added happens.
func (f *Faults) Add(all ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range all {
		if one.Times == 0 {
			one.Times = 1
		}
		f.waiting = append(f.waiting, &one)
	}
}

// Clear ends all that goes wrong.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = nil
}

// Happened is how often something went wrong, by the effect's name.
func (f *Faults) Happened() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.happened)
}

// take finds what goes wrong with a request.
func (f *Faults) take(r *http.Request, body []byte) (Effect, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, one := range f.waiting {
		if !one.fits(r, body) {
			continue
		}
		if one.Skip > 0 {
			one.Skip--
			continue
		}
		if one.Times--; one.Times == 0 {
			f.waiting = slices.Delete(f.waiting, i, i+1)
		}
		if f.happened == nil {
			f.happened = map[string]int{}
		}
		f.happened[one.Do.name]++
		return one.Do, true
	}
	return Effect{}, false
}

// Handler puts the faults before a vendor.
func (f *Faults) Handler(vendor http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the body broke off or is too large", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		effect, goesWrong := f.take(r, body)
		switch {
		case !goesWrong:
			vendor.ServeHTTP(w, r)
		case effect.before != nil:
			effect.before(w, r)
		case effect.then != nil:
			vendor.ServeHTTP(&stopping{w, r, effect.lines, effect.then}, r)
		default:
			vendor.ServeHTTP(nowhere{}, r)
			effect.instead(w, r)
		}
	})
}

// stopping lets so many lines pass.
type stopping struct {
	http.ResponseWriter
	r    *http.Request
	left int
	then http.HandlerFunc
}

// Write implements http.ResponseWriter.
func (s *stopping) Write(data []byte) (int, error) {
	for i, b := range data {
		if s.left == 0 {
			_, _ = s.ResponseWriter.Write(data[:i]) // who asked may be gone
			_ = http.NewResponseController(s.ResponseWriter).Flush()
			s.then(s.ResponseWriter, s.r)
		}
		if b == '\n' {
			s.left--
		}
	}
	return s.ResponseWriter.Write(data)
}

// Unwrap is for http.ResponseController: answers that are sent as they come are flushed.
func (s *stopping) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// nowhere is where a lost answer goes.
type nowhere struct{}

func (nowhere) Header() http.Header            { return http.Header{} }
func (nowhere) Write(data []byte) (int, error) { return len(data), nil }
func (nowhere) WriteHeader(int)                {}
