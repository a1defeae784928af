package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// live is a vendor whose answer is written while it is read. It ends when who asked is gone.
type live struct {
	status int
	write  func(ctx context.Context, w io.Writer) error // its error breaks the answer off
	asked  []*http.Request
}

func (v *live) RoundTrip(r *http.Request) (*http.Response, error) {
	v.asked = append(v.asked, r)
	out, in := io.Pipe()
	context.AfterFunc(r.Context(), func() { _ = in.CloseWithError(r.Context().Err()) })
	go func() { _ = in.CloseWithError(v.write(r.Context(), in)) }()
	return &http.Response{StatusCode: v.status, Header: http.Header{}, Body: out, Request: r}, nil
}

func follows(base http.RoundTripper) *Client {
	return &Client{Provider: "vendor", Base: "https://vendor.example", Token: state.NewSecret("invented-token"), HTTP: NewHTTP(base, time.Second), Now: time.Now}
}

// repeated never ends.
type repeated string

func (s repeated) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = s[i%len(s)]
	}
	return len(into), nil
}

// A line is told when it comes and not at the answer's end, however long that takes; an answer ends
// by itself, after a silence, or at a limit, and says which.
func TestLines(t *testing.T) {
	always := func(ctx context.Context, w io.Writer) error {
		for pause := 500 * time.Millisecond; ; pause = time.Second {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause): // of a bubble's clock
			}
			if _, err := fmt.Fprintln(w, "tick"); err != nil {
				return err
			}
		}
	}
	for _, c := range []struct {
		name  string
		write func(context.Context, io.Writer) error
		lines int
		took  time.Duration
		want  string
	}{
		{"it ends", func(ctx context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "a\r\n\nb")
			return err
		}, 3, 0, ""},
		{"it says nothing", func(ctx context.Context, _ io.Writer) error { <-ctx.Done(); return ctx.Err() }, 0, time.Minute, "nothing came for too long"},
		{"it falls silent", func(ctx context.Context, w io.Writer) error {
			_, _ = io.WriteString(w, "a\nb")
			time.Sleep(50 * time.Second)
			_, _ = io.WriteString(w, "\n")
			<-ctx.Done()
			return ctx.Err()
		}, 2, 110 * time.Second, "nothing came for too long"},
		{"it goes on for ever", always, 600, 10 * time.Minute, "it took too long"},
		{"it breaks off", func(ctx context.Context, w io.Writer) error {
			_, _ = io.WriteString(w, "a\nhalf a li")
			return io.ErrUnexpectedEOF
		}, 1, 0, "no answer came"},
		{"a line never ends", func(ctx context.Context, w io.Writer) error {
			_, err := io.Copy(w, repeated("x"))
			return err
		}, 0, 0, "a line of its answer has more than 256 KiB"},
		{"it is too much", func(ctx context.Context, w io.Writer) error {
			_, err := io.Copy(w, repeated("0123456789abcde\n"))
			return err
		}, maxBody / 16, 0, "its answer has more than 4 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &live{status: http.StatusOK, write: c.write}
				began, n := time.Now(), 0
				err := follows(v).Lines(t.Context(), Call{Op: "observe", Method: http.MethodGet, Path: "/log"}, time.Minute, 10*time.Minute, func([]byte) { n++ })
				if took := time.Since(began); n != c.lines || took != c.took {
					t.Errorf("%d lines in %s, want %d in %s", n, took, c.lines, c.took)
				}
				if c.want == "" && err == nil {
					return
				}
				if err == nil || provider.KindOf(err) != provider.Transient || !strings.Contains(err.Error(), c.want) {
					t.Errorf("it ends with %v, want %q", err, c.want)
				}
			})
		})
	}
}

// A line is there before the answer's end, who gives up is let go at once, and meanwhile the
// transport has its only place for others.
func TestLinesAreToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &live{status: 200, write: func(ctx context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "first\n")
			<-ctx.Done()
			return err
		}}
		transport := NewTransport(Options{Provider: "vendor", Base: v, Now: time.Now, Jitter: func(d time.Duration) time.Duration { return d }, AtOnce: 1})
		c := follows(transport)
		ctx, cancel := context.WithCancel(t.Context())
		told, end := make(chan string), make(chan error)
		go func() {
			end <- c.Lines(ctx, Call{Op: "observe", Method: http.MethodGet, Path: "/log"}, time.Minute, time.Hour, func(l []byte) { told <- string(l) })
		}()
		if l := <-told; l != "first" {
			t.Errorf("told: %q", l)
		}
		v.write = func(ctx context.Context, w io.Writer) error { _, err := io.WriteString(w, "{}"); return err }
		if _, err := c.Do(t.Context(), Call{Op: "observe", Method: http.MethodGet, Path: "/other"}); err != nil {
			t.Errorf("another call: %v", err)
		}
		cancel()
		if err := <-end; !errors.Is(err, context.Canceled) || provider.KindOf(err) != provider.Transient {
			t.Errorf("given up: %v", err)
		}
		r := v.asked[0]
		if r.Header.Get("Authorization") != "Bearer invented-token" || !strings.HasPrefix(r.Header.Get("Accept"), "application/stream+json") {
			t.Errorf("asked with %v", r.Header)
		}
	})
}

// What is no success is an error as any call's, and is asked for once.
func TestLinesRefused(t *testing.T) {
	for status, want := range map[int]provider.ErrorKind{404: provider.NotFound, 429: provider.RateLimited, 403: provider.Denied, 500: provider.Transient, 503: provider.Transient, 302: provider.Transient} {
		v := &live{status: status, write: func(ctx context.Context, w io.Writer) error { _, err := io.WriteString(w, `{"no":1}`); return err }}
		transport := NewTransport(Options{Provider: "vendor", Base: v, Now: time.Now, Jitter: func(d time.Duration) time.Duration { return d }})
		c := follows(transport)
		var got []string
		c.Classify = func(a Answer) *provider.Error { return &provider.Error{Message: string(a.Body)} }
		err := c.Lines(t.Context(), Call{Op: "observe", Method: http.MethodGet, Path: "/log"}, time.Minute, time.Hour, func(l []byte) { got = append(got, string(l)) })
		if provider.KindOf(err) != want || !strings.Contains(err.Error(), `{"no":1}`) || len(got) > 0 || len(v.asked) != 1 {
			t.Errorf("%d: %v, %q, asked %d times", status, err, got, len(v.asked))
		}
	}
	// Another host is not asked.
	v := &live{write: func(context.Context, io.Writer) error { return nil }}
	elsewhere := roundTripper(func(r *http.Request) (*http.Response, error) {
		a, err := v.RoundTrip(r)
		a.StatusCode, a.Header = 302, http.Header{"Location": {"https://elsewhere.example/log"}}
		return a, err
	})
	err := follows(elsewhere).Lines(t.Context(), Call{Op: "observe", Method: http.MethodGet, Path: "/log"}, time.Minute, time.Hour, func([]byte) { t.Error("a line") })
	if hosts := slices.Collect(func(yield func(string) bool) {
		for _, r := range v.asked {
			if !yield(r.URL.Host) {
				return
			}
		}
	}); provider.KindOf(err) != provider.Transient || !slices.Equal(hosts, []string{"vendor.example"}) {
		t.Errorf("led elsewhere: %v, asked %q", err, hosts)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
