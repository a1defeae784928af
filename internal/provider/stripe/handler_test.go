package stripe

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
)

// endpoint is a Handler with what it noted.
type endpoint struct {
	mu    sync.Mutex
	noted []string
	*Handler
}

func newEndpoint(t *testing.T, now time.Time) *endpoint {
	t.Helper()
	e := &endpoint{}
	var err error
	e.Handler, err = NewHandler(HandlerOptions{Secrets: secrets(oldSecret, newSecret), Now: func() time.Time { return now }, Note: func(a string) {
		e.mu.Lock()
		e.noted = append(e.noted, a)
		e.mu.Unlock()
	}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *endpoint) send(method string, body io.Reader, signature string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/webhooks/stripe", body)
	r.Header.Set("Stripe-Signature", signature)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

// What Stripe signed lately is a hint of one account; all else is refused in one way, and says
// nothing of why.
func TestHandlerRefusesAlike(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	e := newEndpoint(t, now)
	good := simulated.Sign([]byte(delivery), now, newSecret)
	other := strings.Replace(delivery, "account.updated", "account.application.authorized", 1)
	for _, c := range []struct {
		name, method, body, signature string
		status, notes                 int
	}{
		{"signed", "POST", delivery, good, 200, 1},
		{"again", "POST", delivery, good, 200, 1}, // a look more
		{"by the older secret", "POST", delivery, simulated.Sign([]byte(delivery), now, oldSecret), 200, 1},
		{"another event", "POST", other, simulated.Sign([]byte(other), now, newSecret), 200, 0},
		{"by a stranger", "POST", delivery, simulated.Sign([]byte(delivery), now, "a-strangers-secret-of-16"), 400, 0},
		{"changed", "POST", delivery + " ", good, 400, 0},
		{"ten minutes old", "POST", delivery, simulated.Sign([]byte(delivery), now.Add(-10*time.Minute), newSecret), 400, 0},
		{"of the future", "POST", delivery, simulated.Sign([]byte(delivery), now.Add(10*time.Minute), newSecret), 400, 0},
		{"without a signature", "POST", delivery, "", 400, 0},
		{"no event", "POST", "[]", simulated.Sign([]byte("[]"), now, newSecret), 400, 0},
		{"too large", "POST", strings.Repeat("x", MaxEvent+1), good, 400, 0},
		{"a long header", "POST", delivery, good + strings.Repeat(",x=y", maxHeader), 400, 0},
		{"a look", "GET", "", good, 405, 0},
	} {
		e.noted = nil
		w := e.send(c.method, strings.NewReader(c.body), c.signature)
		if w.Code != c.status || len(e.noted) != c.notes || c.notes > 0 && e.noted[0] != "acct_1Shop" {
			t.Errorf("%s: %d, noted %v", c.name, w.Code, e.noted)
		}
		if c.status == 400 && w.Body.String() != "this is no delivery\n" {
			t.Errorf("%s is told %q", c.name, w.Body.String())
		}
	}
	// Of unknown length and without an end: it is read to the limit and no further.
	if w := e.send("POST", io.MultiReader(strings.NewReader(delivery), endless{}), good); w.Code != http.StatusBadRequest {
		t.Errorf("endless: %d", w.Code)
	}
	if w := e.send("POST", broken{}, good); w.Code != http.StatusBadRequest {
		t.Errorf("broken off: %d", w.Code)
	}
}

// endless and broken are bodies of people who mean no good.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("cut off") }

// Bodies that come slowly hold some places, and whoever comes then is told to come again.
func TestHandlerReadsFewAtOnce(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	e := newEndpoint(t, now)
	good := simulated.Sign([]byte(delivery), now, newSecret)
	var wg sync.WaitGroup
	var ends []*io.PipeWriter
	for range maxReading {
		r, w := io.Pipe()
		ends = append(ends, w)
		wg.Go(func() { e.send("POST", r, good) })
		if _, err := w.Write([]byte("{")); err != nil { // it is being read
			t.Fatal(err)
		}
	}
	if w := e.send("POST", strings.NewReader(delivery), good); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("one too many: %d", w.Code)
	}
	for _, w := range ends {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if w := e.send("POST", strings.NewReader(delivery), good); w.Code != http.StatusOK || len(e.noted) != 1 {
		t.Errorf("afterwards: %d, noted %v", w.Code, e.noted)
	}
}

// Without a secret that is one nobody is let in.
func TestHandlerNeedsSecrets(t *testing.T) {
	note := func(string) {}
	for name, o := range map[string]HandlerOptions{
		"none":     {Now: time.Now, Note: note},
		"short":    {Secrets: secrets("short"), Now: time.Now, Note: note},
		"empty":    {Secrets: secrets(newSecret, ""), Now: time.Now, Note: note},
		"no clock": {Secrets: secrets(newSecret), Note: note},
		"nobody":   {Secrets: secrets(newSecret), Now: time.Now},
	} {
		if _, err := NewHandler(o); err == nil || strings.Contains(err.Error(), newSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
