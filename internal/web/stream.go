package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// Event is one message of an event stream (HTML standard, section 9.2). Kind is a word of
// ours; Data becomes JSON, in which no line ends.
type Event struct {
	ID   uint64 // raised by one with each; a stream goes on after it
	Kind string
	Data any
}

// Frame is the event as it is sent.
func (e Event) Frame() ([]byte, error) {
	for _, r := range e.Kind {
		if (r < 'a' || r > 'z') && r != '-' && r != '.' {
			return nil, fmt.Errorf("frame event %d: its kind is no word", e.ID)
		}
	}
	data, err := json.Marshal(e.Data)
	if err != nil {
		return nil, fmt.Errorf("frame event %d: %w", e.ID, err)
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data), nil
}

// Resume is the id after which a stream goes on, by what the caller says was the last that
// it saw. Without one that we could have given it begins anew: ok is false.
func Resume(h http.Header) (after uint64, ok bool) {
	said := h.Values("Last-Event-ID")
	if len(said) != 1 {
		return 0, false
	}
	after, err := strconv.ParseUint(said[0], 10, 64)
	if err != nil || strconv.FormatUint(after, 10) != said[0] { // +1 and 007 are not ours
		return 0, false
	}
	return after, true
}
