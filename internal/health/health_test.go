package health

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func loopback(a netip.AddrPort) bool { return a.Addr().IsLoopback() }

// site is a server at shop.example, and a prober that finds it and may reach it.
func site(t *testing.T, f http.HandlerFunc) (*Prober, string) {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Allow: loopback, Lookup: names(map[string]string{"shop.example": "127.0.0.1"})}), "http://shop.example:" + u.Port()
}

func names(m map[string]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		var out []netip.Addr
		for _, a := range strings.Fields(m[host]) {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}
}

func TestAnswers(t *testing.T) {
	p, base := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			fmt.Fprintf(w, "hello %s from %s", r.Host, r.URL.RawQuery)
		case "/api/health":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, "<script>hunter22</script>")
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/big":
			_, _ = w.Write(make([]byte, MaxBody))
			_, _ = w.Write([]byte("needle"))
		case "/start":
			_, _ = w.Write([]byte("needle"))
			_, _ = w.Write(make([]byte, 2*MaxBody))
		case "/same":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/moved":
			http.Redirect(w, r, "http://other.example/hunter22", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/port":
			http.Redirect(w, r, "http://shop.example:1/", http.StatusFound)
		case "/user":
			http.Redirect(w, r, "http://a:hunter22@"+r.Host+"/ok", http.StatusFound)
		case "/broken":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("hunter22"))
		}
	})
	for _, c := range []struct {
		check Check
		want  string
	}{
		{Check{Path: "/ok"}, ""},
		{Check{Path: "/ok?a=b", Contains: "hello shop.example"}, ""},
		{Check{Path: "/ok?a=b", Contains: "from a=b"}, ""},
		{Check{Path: ""}, ""},
		{Check{Path: "/ok", Contains: "good bye"}, "GET " + base + "/ok answered 200, but without the expected text"},
		{Check{Path: "/api/health?key=hunter22"}, "GET " + base + "/api/health answered 500, expected 200"},
		{Check{Path: "/gone", Status: 410}, ""},
		{Check{Path: "/ok", Status: 204}, "GET " + base + "/ok answered 200, expected 204"},
		{Check{Path: "/big", Contains: "needle"}, "GET " + base + "/big answered 200, but the expected text is not in the first 1024 KiB"},
		{Check{Path: "/start", Contains: "needle"}, ""},
		{Check{Path: "/same", Contains: "hello"}, ""},
		{Check{Path: "/same", Status: 302}, ""},
		{Check{Path: "/moved"}, "redirected to another host: redirects are followed on the same host only"},
		{Check{Path: "/moved", Status: 302}, ""},
		{Check{Path: "/round"}, "redirected more than 3 times"},
		{Check{Path: "/port"}, "redirected to another port"},
		{Check{Path: "/user"}, "redirected to another host"},
		{Check{Path: "/broken", Contains: "x"}, "the connection was closed before the answer was complete"},
		{Check{Path: "no-slash"}, "the health path is not a path"},
		{Check{Path: "//other.example/"}, "the health path is not a path"},
		{Check{Path: "/a b\x00"}, "the health path is not a path"},
		{Check{URL: "ftp://shop.example"}, "is not an http or https URL"},
		{Check{URL: "http://a:hunter22@shop.example"}, "holds a user name"},
		{Check{URL: "http://nowhere.example"}, "its name could not be resolved"},
		{Check{URL: "http://shop.example:1"}, "nothing accepts connections there"},
	} {
		if c.check.URL == "" {
			c.check.URL = base
		}
		err := p.Probe(t.Context(), c.check)
		if c.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", c.check, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.check, err, c.want)
		} else if strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%+v: the error repeats the answer: %v", c.check, err)
		}
	}
}

// Threat 11: nothing that is not public is connected to.
func TestThreat11PrivateAddressesAreRefused(t *testing.T) {
	bad := []string{"127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "192.0.0.1", "198.18.0.1",
		"224.0.0.1", "240.0.0.1", "255.255.255.255", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe",
		"64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "::127.0.0.1", "fec0::1", "192.0.2.1", "2001:db8::1", "0.1.2.3", "192.88.99.1",
		"192.0.0.192", "100.64.0.1", "198.19.255.255", "255.0.0.1", "fd00:ec2::254", "::ffff:0:127.0.0.1", "::ffff:0:a9fe:a9fe", "4000::1", "2001:0:7f00:1::", "2002:c0a8:101::1", "64:ff9b::6440:1", "::ffff:100.100.100.200", "5f00::1", "3fff::1", "2001:20::1"}
	if len(bad) < 40 {
		t.Errorf("only %d addresses", len(bad))
	}
	p := New(Options{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) { return nil, errors.New("not asked") }})
	for _, s := range bad {
		a := netip.MustParseAddr(s)
		if p.public(a) {
			t.Errorf("%s passes for public", s)
		}
		host := a.WithZone("").String()
		if err := p.Probe(t.Context(), Check{URL: "http://" + net.JoinHostPort(host, "1")}); !errors.Is(err, ErrAddress) {
			t.Errorf("%s as a literal: %v", s, err)
		}
		byName := New(Options{Lookup: names(map[string]string{"shop.example": "93.184.216.34 " + s})})
		if err := byName.Probe(t.Context(), Check{URL: "http://shop.example:1"}); !errors.Is(err, ErrAddress) {
			t.Errorf("%s by name: %v", s, err)
		}
	}
	for _, s := range []string{"93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "2002:5db8:d822::1", "::ffff:93.184.216.34"} {
		if !p.public(netip.MustParseAddr(s)) {
			t.Errorf("%s does not pass for public", s)
		}
	}
	// What Allow lets through in one writing, it does in the others, and nothing else.
	some := New(Options{Allow: func(a netip.AddrPort) bool { return a == netip.MustParseAddrPort("10.0.0.7:80") }})
	for s, want := range map[string]bool{"10.0.0.7": true, "::ffff:10.0.0.7": true, "64:ff9b::a00:7": true, "10.0.0.8": false, "::ffff:10.0.0.8": false} {
		a := plain(netip.MustParseAddr(s))
		if some.allowed(netip.AddrPortFrom(a, 80)) != want || some.allowed(netip.AddrPortFrom(a, 81)) {
			t.Errorf("%s: allowed %v", s, !want)
		}
	}
	// Writings of an address that are no address are names.
	odd := New(Options{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) { return nil, nil }})
	for _, s := range []string{"0177.0.0.1", "2130706433", "0x7f.1", "127.1"} {
		if err := odd.Probe(t.Context(), Check{URL: "http://" + s + ":1"}); err == nil || errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// Threat 11: a name that answers with a public address first and a private one later gains nothing.
func TestThreat11Rebinding(t *testing.T) {
	var hits, asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	defer s.Close()
	u, _ := url.Parse(s.URL)
	// 127.0.0.1 is let through, 127.0.0.2 stands for what is not.
	p := New(Options{Allow: func(a netip.AddrPort) bool { return a.Addr() == netip.MustParseAddr("127.0.0.1") },
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			if asked.Add(1) == 1 {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
		}})
	err := p.Probe(t.Context(), Check{URL: "http://shop.example:" + u.Port()})
	if !errors.Is(err, ErrAddress) || hits.Load() != 1 || asked.Load() != 2 {
		t.Errorf("%v after %d requests and %d questions", err, hits.Load(), asked.Load())
	}
}

func TestSlowSites(t *testing.T) {
	entered := make(chan struct{}, 10)
	p, base := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = w.Write([]byte("begin"))
			w.(http.Flusher).Flush()
		}
		entered <- struct{}{}
		<-r.Context().Done()
	})
	for _, c := range []Check{{Path: "/head"}, {Path: "/body", Contains: "end"}} {
		c.URL, c.Timeout = base, 50*time.Millisecond
		err := p.Probe(t.Context(), c)
		if !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "no full answer within 50ms") {
			t.Errorf("%s: %v", c.Path, err)
		}
		<-entered
	}
	why := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-entered; cancel(why) }()
	if err := p.Probe(ctx, Check{URL: base, Path: "/head"}); !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
	slow := New(Options{Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }})
	if err := slow.Probe(t.Context(), Check{URL: "http://shop.example", Timeout: 20 * time.Millisecond}); !errors.Is(err, ErrTimeout) {
		t.Errorf("a slow resolver: %v", err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	u, _ := url.Parse(s.URL)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	roots, err := Roots(file)
	if err != nil {
		t.Fatal(err)
	}
	lookup := names(map[string]string{"example.com": "127.0.0.1", "shop.example": "127.0.0.1"})
	probe := func(pool *x509.CertPool, host, path string, now func() time.Time) error {
		p := New(Options{Allow: loopback, Lookup: lookup, Roots: pool, Now: now})
		return p.Probe(t.Context(), Check{URL: "https://" + host + ":" + u.Port(), Path: path})
	}
	if err := probe(roots, "example.com", "/", nil); err != nil {
		t.Error(err)
	}
	for want, err := range map[string]error{
		"an authority that is not known":  probe(nil, "example.com", "/", nil),
		"is for another name":             probe(roots, "shop.example", "/", nil),
		"has expired":                     probe(roots, "example.com", "/", func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"redirected from https to http":   probe(roots, "example.com", "/down", nil),
		"does not speak TLS as it should": plainAsTLS(t),
		"answered 400, expected 200":      New(Options{Allow: loopback, Lookup: lookup}).Probe(t.Context(), Check{URL: "http://example.com:" + u.Port()}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Roots(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file is read")
	}
}

func plainAsTLS(t *testing.T) error {
	p, base := site(t, func(http.ResponseWriter, *http.Request) {})
	return p.Probe(t.Context(), Check{URL: strings.Replace(base, "http", "https", 1)})
}

// S24 probes every 200 ms: no connection is kept, none is lost.
func TestManyProbes(t *testing.T) {
	var open atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") }))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		switch st {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	s.Start()
	u, _ := url.Parse(s.URL)
	p := New(Options{Allow: loopback, Lookup: names(map[string]string{"shop.example": "127.0.0.1"})})
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if err := p.Probe(t.Context(), Check{URL: "http://shop.example:" + u.Port(), Contains: "fine"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.Close()
	if n := open.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}
