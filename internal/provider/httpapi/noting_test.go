package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

// library is a vendor's: it keeps no status and no body, and its errors say nothing.
func library(ctx context.Context, h *http.Client, method, address string) error {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(`{}`))
	if err != nil {
		return err
	}
	a, err := h.Do(r)
	if err != nil {
		return fmt.Errorf("it did not work: %w", err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode >= 400 || !json.Valid(data) {
		return errors.New("it did not work")
	}
	return nil
}

// Below a library whose errors lose what came, the kinds are those of Do.
func TestNoting(t *testing.T) {
	for name, c := range map[string]struct {
		do          func(w http.ResponseWriter)
		read, write provider.ErrorKind
		says        string
	}{
		"success":   {func(w http.ResponseWriter) { fmt.Fprint(w, `{}`) }, "", "", ""},
		"a page":    {func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html"); fmt.Fprint(w, "<html>") }, provider.Transient, provider.Uncertain, "text/html"},
		"no answer": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, provider.Transient, provider.Uncertain, "no answer"},
		"cut off":   {func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); fmt.Fprint(w, `{}`) }, provider.Transient, provider.Uncertain, "no answer"},
		"too large": {func(w http.ResponseWriter) { fmt.Fprint(w, strings.Repeat(" ", maxBody+1)) }, provider.Transient, provider.Uncertain, "more than 4 MiB"},
		"its own word": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":"taken","message":"taken"}}`)
		}, provider.Conflict, provider.Conflict, "taken"},
		"broken": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, provider.Transient, provider.Uncertain, "502"},
		"slower": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "20")
			w.WriteHeader(http.StatusTooManyRequests)
		}, provider.RateLimited, provider.RateLimited, ""},
		"elsewhere": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://elsewhere.example/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, provider.Transient, provider.Uncertain, "307"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.do(w) }))
			defer server.Close()
			h := NewHTTP(Noting{&http.Transport{DisableKeepAlives: true}}, time.Minute)
			for op, want := range map[string]provider.ErrorKind{"observe": c.read, "create": c.write} {
				method := map[string]string{"observe": http.MethodGet, "create": http.MethodPost}[op]
				ctx, note := WithNote(t.Context())
				failed := library(ctx, h, method, server.URL)
				err := clientOf(server.URL).Judge(Call{Op: op, Method: method}, note, failed)
				if want == "" {
					if err != nil || note.Answer().Status != 200 {
						t.Errorf("%s: %v", op, err)
					}
					continue
				}
				var e *provider.Error
				if !errors.As(err, &e) || e.Kind != want || e.Op != op || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v, want %s with %q", op, err, want, c.says)
				}
			}
		})
	}
	for name, ctx := range map[string]func() context.Context{
		"nobody there":    func() context.Context { return t.Context() },
		"given up before": func() context.Context { ctx, cancel := context.WithCancel(t.Context()); cancel(); return ctx },
	} {
		ctx, note := WithNote(ctx())
		failed := library(ctx, NewHTTP(Noting{}, time.Minute), http.MethodPost, "http://127.0.0.1:1")
		if err := clientOf("").Judge(Call{Op: "create", Method: http.MethodPost}, note, failed); provider.KindOf(err) != provider.Transient {
			t.Errorf("%s: %v", name, err)
		}
	}
}
