package contract

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A stream passes both judges line by line, before its end; each line is held against the description, and
// of one that is cut the whole lines.
func TestStreams(t *testing.T) {
	whole := OpenAPI(t, Description{Vendor: "Vercel", File: "vercel/openapi.json", Loose: true})
	if !whole.Present() {
		return
	}
	const good = `{"created":1,"date":1,"deploymentId":"dpl_x","id":"1","info":{"type":"build","name":"bld_x"},"serial":"1","type":"stdout","text":"a"}` + "\n"
	for name, c := range map[string]struct {
		lines []string
		cut   bool
		bad   string
	}{
		"all fit":                {[]string{good, good}, false, ""},
		"cut":                    {[]string{good, good[:30]}, true, ""},
		"the second is no event": {[]string{good, `{"created":1,"type":"stdout"}` + "\n", good}, false, "line 2 of the answer does not fit"},
		"the first is no JSON":   {[]string{"building\n"}, false, "line 1 of the answer does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			said := &saying{TB: t}
			k := whole.For(said)
			read := make(chan bool)
			server := httptest.NewServer(k.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/stream+json; charset=utf-8")
				for _, l := range c.lines {
					_, _ = io.WriteString(w, l)
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Error(err)
					}
					if strings.HasSuffix(l, "\n") {
						<-read // it arrived while the answer is written
					}
				}
				if c.cut {
					panic(http.ErrAbortHandler)
				}
			})))
			client := &http.Client{Transport: k.Wrap(&http.Transport{DisableKeepAlives: true})}
			a, err := client.Get(server.URL + "/v3/deployments/dpl_x/events?follow=1&builds=1")
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(a.Body)
			for _, want := range c.lines {
				if got, err := lines.ReadString('\n'); got != want && !c.cut || (err != nil) != !strings.HasSuffix(want, "\n") {
					t.Errorf("%q, %v", got, err)
				}
				if strings.HasSuffix(want, "\n") {
					read <- true
				}
			}
			if rest, err := io.ReadAll(lines); len(rest) > 0 || (err != nil) != c.cut {
				t.Errorf("%q, %v", rest, err)
			}
			_ = a.Body.Close()
			server.Close()
			if all := said.all(); (c.bad == "") != (len(all) == 0) || strings.Count(strings.Join(all, "\n"), c.bad) < 2*min(1, len(c.bad)) || k.Judged() != 2 {
				t.Errorf("judged %d: %q", k.Judged(), all)
			}
		})
	}
	// What a description has no stream for is none.
	said := &saying{TB: t}
	whole.For(said).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", streamType)
		fmt.Fprintln(w, "{}")
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v2/user", nil))
	if all := said.all(); len(all) != 1 || !strings.Contains(all[0], "has no stream there") {
		t.Errorf("%q", all)
	}
}

// saying keeps what is said of misfits, from any goroutine.
type saying struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (s *saying) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

func (s *saying) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said)
}
