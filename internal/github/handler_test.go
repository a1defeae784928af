package github

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// noted is what a handler took in.
type noted struct {
	mu    sync.Mutex
	hints []Hint
}

func (n *noted) note(h Hint) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hints = append(n.hints, h)
}

func (n *noted) all() []Hint {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Hint(nil), n.hints...)
}

func handler(t testing.TB) (*Handler, *noted) {
	t.Helper()
	n := &noted{}
	h, err := NewHandler(HandlerOptions{Hook: hook(t), Repository: "compassdigital/clients", Note: n.note})
	if err != nil {
		t.Fatal(err)
	}
	return h, n
}

// from is a delivery of an event with an ID.
func from(event, id string, body []byte) *http.Request {
	r := delivery(body)
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	return r
}

func answerOf(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const aPush = `{"ref":"refs/heads/main","repository":{"full_name":"CompassDigital/Clients"}}`

// Each request gets its answer, is counted, and only what says to look is noted.
func TestHandler(t *testing.T) {
	h, n := handler(t)
	huge := from("push", "12", nil)
	huge.ContentLength = MaxPayload + 1
	plain := from("push", "13", []byte(aPush))
	plain.Header.Set("Content-Type", "text/plain")
	forged := from("push", "14", []byte(aPush))
	forged.Header.Set("X-Hub-Signature-256", sign("another", []byte(aPush)))
	unsigned := from("push", "15", []byte(aPush))
	unsigned.Header.Del("X-Hub-Signature-256")
	get := from("push", "16", nil)
	get.Method = http.MethodGet
	for name, c := range map[string]struct {
		r    *http.Request
		want int
	}{
		"a push":              {from("push", "1", []byte(aPush)), 202},
		"a tag":               {from("push", "2", []byte(strings.Replace(aPush, "heads", "tags", 1))), 202},
		"a ping":              {from("ping", "3", []byte(`{"zen":"x"}`)), 202},
		"an unknown event":    {from("star", "4", []byte(`{}`)), 202},
		"an installation":     {from("installation", "5", []byte(`{"action":"created"}`)), 202},
		"another repository":  {from("push", "6", []byte(strings.Replace(aPush, "Clients", "Other", 1))), 404},
		"another one's ping":  {from("ping", "7", []byte(`{"repository":{"full_name":"a/b"}}`)), 404},
		"no payload":          {from("push", "8", []byte(`{}`)), 400},
		"no JSON":             {from("push", "9", []byte(`{`)), 400},
		"too large":           {huge, 413},
		"too large, as it is": {from("push", "11", bytes.Repeat([]byte(" "), MaxPayload+1)), 413},
		"another type":        {plain, 415},
		"badly signed":        {forged, 401},
		"not signed":          {unsigned, 401},
		"a GET":               {get, 405},
	} {
		w := answerOf(h, c.r)
		if w.Code != c.want || w.Code == 405 && w.Header().Get("Allow") != "POST" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	got := map[Hint]bool{}
	for _, hint := range n.all() {
		got[hint] = true
	}
	if want := map[Hint]bool{
		{Delivery: "1", Event: "push", Known: true, Repository: "CompassDigital/Clients", Branch: "main"}: true,
		{Delivery: "5", Event: "installation", Known: true, Installation: true}:                           true,
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("noted %v", got)
	}
	want := Stats{Accepted: 2, Nothing: 1, Ignored: []EventCount{{"push", 1}, {"star", 1}}, Refused: []StatusCount{{400, 2}, {401, 2}, {404, 2}, {405, 1}, {413, 2}, {415, 1}}}
	if s := h.Stats(); !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
	if _, err := NewHandler(HandlerOptions{Hook: hook(t), Repository: "clients", Note: n.note}); err == nil {
		t.Error("a handler for no repository")
	}
}

// Threat 8: a delivery that is sent again, by GitHub or by somebody who saw it, says
// nothing new; what is remembered of them is bounded.
func TestThreat08Replays(t *testing.T) {
	h, n := handler(t)
	for range 10_000 {
		if w := answerOf(h, from("push", "the same", []byte(aPush))); w.Code != 400 {
			t.Fatal(w.Code) // no delivery's ID
		}
		if w := answerOf(h, from("push", "the-same", []byte(aPush))); w.Code != 202 {
			t.Fatal(w.Code)
		}
	}
	if s := h.Stats(); len(n.all()) != 1 || s.Accepted != 1 || s.Repeated != 9_999 {
		t.Errorf("noted %d times, %+v", len(n.all()), s)
	}
	// One that was refused is no replay.
	bad := from("push", "later", []byte(aPush))
	bad.Header.Set("X-Hub-Signature-256", sign("another", []byte(aPush)))
	answerOf(h, bad)
	answerOf(h, from("push", "later", []byte(aPush)))
	if len(n.all()) != 2 {
		t.Error("what was refused once is ignored")
	}
	for i := range 2*maxReplays + 100 {
		answerOf(h, from("push", fmt.Sprint("n", i), []byte(aPush)))
	}
	if len(h.seen) != maxReplays || len(h.ring) != maxReplays || len(n.all()) != 2+2*maxReplays+100 {
		t.Errorf("remembers %d, %d", len(h.seen), len(h.ring))
	}
	answerOf(h, from("push", fmt.Sprint("n", maxReplays+101), []byte(aPush)))
	answerOf(h, from("push", "the-same", []byte(aPush))) // forgotten by now: once more is harmless
	if len(n.all()) != 3+2*maxReplays+100 {
		t.Error("forgets the wrong ones")
	}
	// Nor does it count without end.
	for i := range 3 * maxEvents {
		answerOf(h, from("event_"+strings.Repeat("x", i/26)+string(rune('a'+i%26)), "1", []byte(`{}`)))
	}
	if s := h.Stats(); len(s.Ignored) != maxEvents+1 {
		t.Errorf("%d events are counted", len(s.Ignored))
	}
}

// odd are values that stand where another is expected.
func odd() []any {
	deep := any("x")
	for range 200 {
		deep = []any{deep}
	}
	return []any{nil, true, -1, 1e300, "", "\x00\n\x1b[31m", strings.Repeat("x", 5_000), []any{}, []any{nil, 1}, map[string]any{}, map[string]any{"number": nil, "full_name": 3}, deep, "../../x", "refs/heads/", "refs/heads/\u202e"}
}

// mutate puts an odd value at some place of a document.
func mutate(r *rand.Rand, v any) any {
	switch in := v.(type) {
	case map[string]any:
		if len(in) == 0 || r.IntN(4) == 0 {
			break
		}
		keys := make([]string, 0, len(in))
		for key := range in {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		// What is read stands at few places: go there more often.
		key := keys[r.IntN(len(keys))]
		for _, near := range []string{"repository", "full_name", "ref", "pull_request", "issue", "number", "check_run", "check_suite", "pull_requests", "action"} {
			if _, ok := in[near]; ok && r.IntN(4) == 0 {
				key = near
			}
		}
		out := map[string]any{}
		for k, x := range in {
			out[k] = x
		}
		if out[key] = mutate(r, in[key]); r.IntN(8) == 0 {
			delete(out, key)
		}
		return out
	case []any:
		if len(in) > 0 && r.IntN(3) > 0 {
			out := append([]any(nil), in...)
			i := r.IntN(len(out))
			out[i] = mutate(r, out[i])
			return out
		}
	}
	all := odd()
	return all[r.IntN(len(all))]
}

// Mutations of GitHub's payloads, well signed: no panic, nothing but 202, 400 and 404, and
// what is noted is of our repository and names a place.
func TestMutatedPayloads(t *testing.T) {
	all, published := payloads(t)
	n := &noted{}
	h, err := NewHandler(HandlerOptions{Hook: hook(t), Repository: "Codertocat/Hello-World", Note: n.note})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	answers := map[int]int{}
	id := 0
	post := func(event string, body []byte) {
		id++
		code := answerOf(h, from(event, fmt.Sprint(id), body)).Code
		if answers[code]++; code != 202 && code != 400 && code != 404 {
			t.Errorf("%d for %s %.200s", code, event, body)
		}
	}
	for _, d := range all {
		var doc any
		if err := json.Unmarshal(d.Payload, &doc); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			other := all[r.IntN(len(all))].Event
			body, err := json.Marshal(mutate(r, doc))
			if err != nil {
				t.Fatal(err)
			}
			post(d.Event, body)
			if i%10 == 0 { // bytes that change, an end that is missing, another event
				flipped := bytes.Clone(d.Payload)
				flipped[r.IntN(len(flipped))] ^= byte(1 << r.IntN(8))
				post(d.Event, flipped)
				post(d.Event, d.Payload[:r.IntN(len(d.Payload))])
				post(other, d.Payload)
			}
		}
	}
	for _, hint := range n.all() {
		if !hint.Look() || !hint.Installation && !strings.EqualFold(hint.Repository, "Codertocat/Hello-World") {
			t.Errorf("noted %+v", hint)
		}
	}
	t.Logf("%d deliveries from %d payloads (%d published): answered %v, %d noted", id, len(all), published, answers, len(n.all()))
}

// Threat 6: while 20,000 requests with bad signatures come, every good delivery among them
// is taken, and the memory in use does not grow.
func TestThreat06Flood(t *testing.T) {
	const bad, senders, good = 20_000, 16, 200
	h, n := handler(t)
	server := httptest.NewServer(h)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders + 1}}
	defer client.CloseIdleConnections()
	send := func(id, signature string, body []byte) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Github-Delivery": {id}, "X-Hub-Signature-256": {signature}}
		a, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer a.Body.Close()
		_, _ = io.Copy(io.Discard, a.Body)
		return a.StatusCode
	}
	large := []byte(`{"ref":"refs/heads/main","x":"` + strings.Repeat("x", 4<<10) + `"}`)
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most := inUse(), uint64(0)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			claims := []string{sign("another", large), "sha256=", "", "sha1=" + strings.Repeat("0", 40)}
			for i := range bad / senders {
				if code := send(fmt.Sprint(s, "-", i), claims[i%len(claims)], large); code != http.StatusUnauthorized {
					t.Errorf("a bad one was answered %d", code)
					return
				}
			}
		})
	}
	all.Go(func() {
		for i := range good {
			if code := send(fmt.Sprint("good-", i), sign(current, []byte(aPush)), []byte(aPush)); code != http.StatusAccepted {
				t.Errorf("the %d. good one was answered %d", i+1, code)
			}
			if i%20 == 0 {
				most = max(most, inUse())
			}
		}
	})
	all.Wait()
	if len(n.all()) != good {
		t.Errorf("%d of %d good ones were noted", len(n.all()), good)
	}
	if most > before+32<<20 {
		t.Errorf("%d MiB in use, %d before", most>>20, before>>20)
	}
	t.Logf("%d MiB in use at most, %d before; %+v", most>>20, before>>20, h.Stats())
}

// Threat 6: bodies that dribble hold the places of readers only until somebody needs one.
func TestThreat06Dribble(t *testing.T) {
	c := newClock()
	n := &noted{}
	h, err := NewHandler(HandlerOptions{Hook: hook(t), Repository: "compassdigital/clients", Note: n.note, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	head := "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: 1\r\nContent-Length: 100000\r\nX-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\n\r\n{"
	for range maxReading {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
	}
	for len(h.readers.slots) < maxReading {
		runtime.Gosched()
	}
	c.pass(minBody - 1)
	for i := range 10 {
		done := make(chan int)
		go func() {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(aPush))
			r.Header = from("push", fmt.Sprint("good-", i), []byte(aPush)).Header
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				done <- 0
				return
			}
			a.Body.Close()
			done <- a.StatusCode
		}()
		if i == 0 { // it waits, and is let in when the others have had their time
			for len(h.readers.line) == 0 {
				runtime.Gosched()
			}
			c.pass(time.Second)
		}
		if code := <-done; code != http.StatusAccepted {
			t.Errorf("the %d. good one was answered %d", i+1, code)
		}
	}
	if len(n.all()) != 10 {
		t.Errorf("%d were noted", len(n.all()))
	}
}

// When too many wait, the next one is told so at once; GitHub is asked for it later.
func TestTooManyAtOnce(t *testing.T) {
	h, n := handler(t)
	for range maxReading {
		h.readers.slots <- struct{}{}
	}
	h.readers.line = make(chan struct{})
	if w := answerOf(h, from("push", "1", []byte(aPush))); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d", w.Code)
	}
	// What is wrong by its head needs no place.
	bad := from("push", "2", []byte(aPush))
	bad.Header.Del("X-Hub-Signature-256")
	if w := answerOf(h, bad); w.Code != http.StatusUnauthorized {
		t.Errorf("%d", w.Code)
	}
	<-h.readers.slots
	if w := answerOf(h, from("push", "3", []byte(aPush))); w.Code != http.StatusAccepted || len(n.all()) != 1 {
		t.Errorf("%d", w.Code)
	}
}

// BenchmarkRefused is what a request costs that somebody without the secret sends.
func BenchmarkRefused(b *testing.B) {
	h, _ := handler(b)
	body := []byte(`{"x":"` + strings.Repeat("x", 8<<10) + `"}`)
	for name, claim := range map[string]string{"by its head": "sha256=", "by its body": sign("another", body)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := from("push", "1", body)
				r.Header.Set("X-Hub-Signature-256", claim)
				if w := answerOf(h, r); w.Code != http.StatusUnauthorized {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
