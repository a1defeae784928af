package github

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of the endpoint. GitHub waits ten seconds for its answer.
const (
	maxReading  = 16              // bodies that are read at the same time, of MaxPayload in the worst case
	maxWaiting  = 1_024           // requests that wait to be read
	maxPatience = 3 * time.Second // that a request waits to be read
	maxBody     = 8 * time.Second // that a body may take
	minBody     = time.Second     // before it may have to make room for another
	maxReplays  = 4_096           // deliveries that are remembered
	maxEvents   = 64              // names of events that are counted by themselves
)

// HandlerOptions say what the endpoint needs.
type HandlerOptions struct {
	Hook       *Hook
	Repository string // OWNER/NAME
	// Note takes a hint in. It is called before the answer and must not wait for anything.
	Note func(Hint)
	Now  func() time.Time
}

// Handler answers deliveries: 202 once their hint is noted. Safe for concurrent use.
type Handler struct {
	o       HandlerOptions
	readers readers

	mu      sync.Mutex
	stats   Stats
	ignored map[string]int
	refused map[int]int
	seen    map[string]bool
	ring    []string // what is in seen, the oldest at next
	next    int
}

// Stats is what came so far.
type Stats struct {
	Accepted int // noted
	Repeated int // had been noted before
	Nothing  int // of use, but nothing to look at: a ping, a tag
	Ignored  []EventCount
	Refused  []StatusCount
}

// EventCount is how many deliveries of an event were ignored.
type EventCount struct {
	Event string // "other" when there are too many names
	N     int
}

// StatusCount is how many requests were answered with a status.
type StatusCount struct{ Status, N int }

// NewHandler returns the endpoint's handler. All options but Now are needed.
func NewHandler(o HandlerOptions) (*Handler, error) {
	if o.Hook == nil || o.Note == nil || !fullName(o.Repository) {
		return nil, errors.New("a webhook endpoint has a hook, a repository and somebody who takes hints")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Handler{
		o: o, readers: readers{now: o.Now, slots: make(chan struct{}, maxReading), line: make(chan struct{}, maxWaiting)},
		ignored: map[string]int{}, refused: map[int]int{}, seen: map[string]bool{},
	}, nil
}

// Stats returns what came so far, sorted.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	for event, n := range h.ignored {
		s.Ignored = append(s.Ignored, EventCount{event, n})
	}
	for status, n := range h.refused {
		s.Refused = append(s.Refused, StatusCount{status, n})
	}
	slices.SortFunc(s.Ignored, func(a, b EventCount) int { return strings.Compare(a.Event, b.Event) })
	slices.SortFunc(s.Refused, func(a, b StatusCount) int { return a.Status - b.Status })
	return s
}

// ServeHTTP answers 202, or what is wrong.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	claimed, err := h.o.Hook.head(r)
	if err != nil {
		h.refuse(w, Status(err), err.Error())
		return
	}
	done, ok := h.readers.enter(w, r)
	if !ok {
		w.Header().Set("Retry-After", "60")
		h.refuse(w, http.StatusServiceUnavailable, "too many deliveries at once")
		return
	}
	d, err := h.o.Hook.body(w, r, claimed)
	done()
	if err != nil {
		h.refuse(w, Status(err), err.Error())
		return
	}
	hint, err := HintOf(d)
	if err != nil {
		h.refuse(w, Status(err), ErrDelivery.Error())
		return
	}
	if hint.Repository != "" && !strings.EqualFold(hint.Repository, h.o.Repository) {
		h.refuse(w, http.StatusNotFound, "the delivery is of another repository")
		return
	}
	if h.first(hint) {
		h.o.Note(hint)
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "noted\n") // who asked may be gone; it is noted
}

func (h *Handler) refuse(w http.ResponseWriter, status int, why string) {
	h.mu.Lock()
	h.refused[status]++
	h.mu.Unlock()
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	http.Error(w, why, status)
}

// first counts a delivery, and says whether it is one to note. A delivery that was noted
// before says nothing new; the poll sees whatever it would.
func (h *Handler) first(hint Hint) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !hint.Known:
		event := hint.Event
		if _, there := h.ignored[event]; !there && len(h.ignored) >= maxEvents {
			event = "other"
		}
		h.ignored[event]++
		return false
	case !hint.Look():
		h.stats.Nothing++
		return false
	case h.seen[hint.Delivery]:
		h.stats.Repeated++
		return false
	}
	h.stats.Accepted++
	if len(h.ring) < maxReplays {
		h.ring = append(h.ring, hint.Delivery)
	} else {
		delete(h.seen, h.ring[h.next])
		h.ring[h.next] = hint.Delivery
		h.next = (h.next + 1) % maxReplays
	}
	h.seen[hint.Delivery] = true
	return true
}

// readers let few bodies be read at the same time. When all places are taken by bodies
// that come slowly, the slowest makes room: nobody keeps GitHub out by dribbling.
type readers struct {
	now   func() time.Time
	slots chan struct{} // who reads
	line  chan struct{} // who waits to

	mu      sync.Mutex
	reading []*reading // the first to begin first
}

type reading struct {
	began   time.Time
	control *http.ResponseController
	evicted bool
}

// enter waits for a place to read a request's body. Whoever got one calls done.
func (r *readers) enter(w http.ResponseWriter, req *http.Request) (done func(), ok bool) {
	select {
	case r.slots <- struct{}{}:
	default:
		if !r.wait(req) {
			return nil, false
		}
	}
	// A server that can't set deadlines (a recorder of a test) has none.
	one := &reading{began: r.now(), control: http.NewResponseController(w)}
	_ = one.control.SetReadDeadline(time.Now().Add(maxBody))
	r.mu.Lock()
	r.reading = append(r.reading, one)
	r.mu.Unlock()
	return func() { r.leave(one) }, true
}

func (r *readers) leave(one *reading) {
	r.mu.Lock()
	r.reading = slices.DeleteFunc(r.reading, func(o *reading) bool { return o == one })
	if !one.evicted { // the next request of the connection has the server's own deadlines
		_ = one.control.SetReadDeadline(time.Time{})
	}
	r.mu.Unlock()
	<-r.slots
}

func (r *readers) wait(req *http.Request) bool {
	select {
	case r.line <- struct{}{}:
		defer func() { <-r.line }()
	default:
		return false
	}
	patience := time.NewTimer(maxPatience)
	defer patience.Stop()
	look := time.NewTicker(minBody / 4)
	defer look.Stop()
	for {
		r.makeRoom()
		select {
		case r.slots <- struct{}{}:
			return true
		case <-look.C:
		case <-patience.C:
			return false
		case <-req.Context().Done():
			return false
		}
	}
}

// makeRoom ends the body that has been coming for longest, if it had its time.
func (r *readers) makeRoom() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.reading {
		if !one.evicted {
			if r.now().Sub(one.began) >= minBody {
				one.evicted = true
				_ = one.control.SetReadDeadline(time.Unix(1, 0))
			}
			return
		}
	}
}
