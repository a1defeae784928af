package contract

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

const streamType = "application/stream+json"

// isStream says that an answer is values a line, sent as they come: it passes as it comes, and is
// judged once it is over.
func isStream(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == streamType
}

// judgeLines fails the test for each whole line that is not what the description says that one
// is. The last one may be cut.
func (c *Contract) judgeLines(what string, content openapi3.Content, got []byte) {
	media := content.Get(streamType)
	if media == nil || media.Schema == nil {
		c.tb.Errorf("%s: %s's description has no stream there", what, c.about.Vendor)
		return
	}
	lines := bytes.Split(got, []byte("\n"))
	for n, line := range lines[:len(lines)-1] {
		var value any
		err := json.Unmarshal(line, &value)
		if err == nil {
			err = media.Schema.Value.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors(), openapi3.SetSchemaErrorMessageCustomizer(where))
		}
		if err != nil {
			c.tb.Errorf("%s: line %d of the answer does not fit: %v", what, n+1, err)
			return
		}
	}
}

// streaming keeps an answer until its server flushes it as a stream: from then on it passes,
// and is kept beside.
type streaming struct {
	*httptest.ResponseRecorder
	to   http.ResponseWriter
	open bool
}

// Write implements http.ResponseWriter.
func (s *streaming) Write(data []byte) (int, error) {
	if s.Body.Len() < maxBody {
		_, _ = s.ResponseRecorder.Write(data) // it never fails
	}
	if s.open {
		return s.to.Write(data)
	}
	return len(data), nil
}

// WriteString implements io.StringWriter: the recorder's own would keep what has to pass.
func (s *streaming) WriteString(text string) (int, error) { return s.Write([]byte(text)) }

// FlushError is what http.ResponseController calls.
func (s *streaming) FlushError() error {
	if !s.open && isStream(s.Header()) {
		s.open = true
		for name, values := range s.Header() {
			s.to.Header()[name] = values
		}
		s.to.WriteHeader(s.Code)
		if _, err := s.to.Write(s.Body.Bytes()); err != nil {
			return err
		}
	}
	if !s.open {
		return nil
	}
	return http.NewResponseController(s.to).Flush()
}

// Flush implements http.Flusher.
func (s *streaming) Flush() { _ = s.FlushError() } // who asked may be gone

// watched is a body that is kept while it is read.
type watched struct {
	io.ReadCloser
	over func(got []byte)

	mu   sync.Mutex
	got  []byte
	once sync.Once
}

// Read implements io.Reader.
func (w *watched) Read(into []byte) (int, error) {
	n, err := w.ReadCloser.Read(into)
	w.mu.Lock()
	if len(w.got) < maxBody {
		w.got = append(w.got, into[:n]...)
	}
	w.mu.Unlock()
	return n, err
}

// Close judges what came.
func (w *watched) Close() error {
	err := w.ReadCloser.Close()
	w.once.Do(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.over(w.got)
	})
	return err
}
