package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

const token = "invented-token-of-a-test"

func clientOf(base string) *Client {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	return &Client{Provider: "vendor", Base: base, Token: state.NewSecret(token), HTTP: NewHTTP(&http.Transport{DisableKeepAlives: true}, time.Minute), Now: func() time.Time { return now },
		Classify: func(a Answer) *provider.Error {
			var e struct {
				Error struct{ Code, Message string }
			}
			_ = json.Unmarshal(a.Body, &e) // whatever else it is has no message
			if e.Error.Message == "" {
				return nil
			}
			out := &provider.Error{Message: e.Error.Message, Code: e.Error.Code}
			if e.Error.Code == "taken" {
				out.Kind = provider.Conflict
			}
			return out
		}}
}

// Every answer, and every way in which there is none, has the kind that doc.go says.
func TestKinds(t *testing.T) {
	answers := map[string]struct {
		do          func(w http.ResponseWriter, r *http.Request)
		read, write provider.ErrorKind // "": success
		says        string
	}{
		"success": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"7"}`) }, "", "", ""},
		"nothing": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, provider.Transient, provider.Uncertain, "not the JSON"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<html>`)
		}, provider.Transient, provider.Uncertain, "text/html"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"id`)
			panic(http.ErrAbortHandler)
		}, provider.Transient, provider.Uncertain, "no answer"},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, provider.Transient, provider.Uncertain, "no answer"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", maxBody+1)) }, provider.Transient, provider.Uncertain, "more than 4 MiB"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusTemporaryRedirect)
		}, provider.Transient, provider.Uncertain, "307"},
		"bad": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"error":{"code":"name","message":"no\nsuch\tname"}}`)
		}, provider.Invalid, provider.Invalid, "no such name (name)"},
		"who are you": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, provider.Denied, provider.Denied, "401 Unauthorized"},
		"pay":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPaymentRequired) }, provider.Denied, provider.Denied, ""},
		"not you":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, provider.Denied, provider.Denied, ""},
		"not here":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, provider.NotFound, provider.NotFound, ""},
		"conflict":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) }, provider.Conflict, provider.Conflict, ""},
		"its own word": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":"taken","message":"taken"}}`)
		}, provider.Conflict, provider.Conflict, "taken"},
		"too slow": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestTimeout) }, provider.Transient, provider.Uncertain, ""},
		"broken":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, provider.Transient, provider.Uncertain, ""},
		"gateway": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<html>")
		}, provider.Transient, provider.Uncertain, ""},
		"slower": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "20")
			w.WriteHeader(http.StatusTooManyRequests)
		}, provider.RateLimited, provider.RateLimited, ""},
	}
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				if r.Header.Get("Authorization") != "Bearer "+token {
					t.Error("no token came")
				}
				c.do(w, r)
			}))
			defer server.Close()
			for op, want := range map[string]provider.ErrorKind{"observe": c.read, "create": c.write} {
				n.Store(0)
				method, in := http.MethodGet, any(nil)
				if op == "create" {
					method, in = http.MethodPost, map[string]string{"name": "x"}
				}
				var out struct{ ID string }
				_, err := clientOf(server.URL).Do(t.Context(), Call{Op: op, Method: method, Path: "/things", In: in, Out: &out})
				if n.Load() != 1 {
					t.Errorf("%s: %d requests", op, n.Load())
				}
				if want == "" {
					if err != nil || out.ID != "7" {
						t.Errorf("%s: %v %+v", op, err, out)
					}
					continue
				}
				var e *provider.Error
				if !errors.As(err, &e) || e.Kind != want || e.Op != op || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), token) {
					t.Errorf("%s: %v, want %s with %q", op, err, want, c.says)
				}
			}
		})
	}
}

// Where nobody listens, nothing was sent: a write is not uncertain. A write whose time is up
// after it was sent is.
func TestNothingSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	if _, err := clientOf("http://"+address).Do(t.Context(), Call{Op: "create", Method: http.MethodPost, Path: "/"}); provider.KindOf(err) != provider.Transient {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	if _, err := clientOf(server.URL).Do(ctx, Call{Op: "create", Method: http.MethodPost, Path: "/"}); provider.KindOf(err) != provider.Uncertain || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := clientOf(server.URL).Do(ctx, Call{Op: "create", Method: http.MethodPost, Path: "/"}); provider.KindOf(err) != provider.Transient {
		t.Errorf("given up before: %v", err)
	}
}

// What the vendor asks for is heeded, at most an hour of it.
func TestUntil(t *testing.T) {
	c := clientOf("")
	for text, want := range map[string]time.Duration{"": -1, "20": 20 * time.Second, "999999": time.Hour, "-5": -1, "soon": -1, "Thu, 26 Nov 2026 09:01:00 GMT": time.Minute} {
		e := c.refused(Call{Op: "create"}, Answer{Status: 429, Header: http.Header{"Retry-After": {text}}})
		got := provider.UntilOf(e)
		if want < 0 && !got.IsZero() || want >= 0 && !got.Equal(c.Now().Add(want)) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// A read is led within its host; a write nowhere; nobody's token goes to another host.
func TestRedirects(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the stranger got %s with %q", r.Method, r.Header.Get("Authorization"))
	}))
	defer stranger.Close()
	wrote := 0
	mux := http.NewServeMux()
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/within", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/there", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			wrote++
		}
		fmt.Fprint(w, `{}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	c := clientOf(server.URL)
	if _, err := c.Do(t.Context(), Call{Op: "observe", Method: http.MethodGet, Path: "/within"}); err != nil {
		t.Errorf("within: %v", err)
	}
	if _, err := c.Do(t.Context(), Call{Op: "create", Method: http.MethodPost, Path: "/within", In: 1}); provider.KindOf(err) != provider.Uncertain || wrote > 0 {
		t.Errorf("a write was led: %v, %d", err, wrote)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if _, err := c.Do(t.Context(), Call{Op: "create", Method: method, Path: "/away"}); err == nil {
			t.Errorf("%s was led away", method)
		}
	}
}

// A success that says otherwise is a failure, and a form is a form.
func TestFailedAndForm(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("controller[type]") != "none" {
			t.Errorf("got %v", r.Form)
		}
		fmt.Fprint(w, `{"error":{"code":"taken","message":"it is taken"}}`)
	}))
	defer server.Close()
	_, err := clientOf(server.URL).Do(t.Context(), Call{Op: "create", Method: http.MethodPost, Path: "/", In: Form{"controller[type]": {"none"}},
		Failed: func(a Answer) bool { return strings.Contains(string(a.Body), "error") }})
	if provider.KindOf(err) != provider.Conflict {
		t.Errorf("got %v", err)
	}
}

// P10: what a vendor repeats of the token is in no error, whole or in pieces, and its other words
// are.
func TestP10NoTokenInErrors(t *testing.T) {
	for words, want := range map[string]string{
		"your key " + token + " is bad":        "vendor observe: denied: it answered 401 Unauthorized",
		"your key " + token[3:15] + "… is bad": "vendor observe: denied: it answered 401 Unauthorized",
		"Invalid key: inven****":               "vendor observe: denied: Invalid key: inven****",
	} {
		for _, body := range []map[string]string{{"message": words}, {"message": words, "code": words}} {
			answer, err := json.Marshal(map[string]any{"error": body})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write(answer)
			}))
			_, err = clientOf(server.URL).Do(t.Context(), Call{Op: "observe", Method: http.MethodGet, Path: "/x"})
			server.Close()
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(fmt.Sprintf("%v %+v", err, err), token[3:15]) {
				t.Errorf("%s: %v", words, err)
			}
		}
	}
}
