package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Limits.
const (
	// MaxBody is how much of an answer is looked at.
	MaxBody = 1 << 20

	maxRedirects = 3
	maxHeaders   = 64 << 10
	maxAddresses = 4   // of a name that are tried
	maxURL       = 200 // bytes of a URL in an error
	defaultTime  = 10 * time.Second
	longestTime  = 5 * time.Minute
)

// What a probe can find. Errors of Probe wrap one of them when it applies.
var (
	// ErrAddress says that the name leads to an address that is not probed.
	ErrAddress = errors.New("it is not an address of the public internet; network.allowPrivate lists exceptions")
	// ErrRedirect says that the site sends its visitors elsewhere.
	ErrRedirect = errors.New("redirects are followed on the same host only")
	// ErrTimeout says that the answer took too long.
	ErrTimeout = errors.New("it took too long")
)

// Options are what a Prober needs. All fields may be left out.
type Options struct {
	Now func() time.Time // for certificates' dates
	// Allow says that an address that is not public may be probed at a port.
	Allow func(netip.AddrPort) bool
	// Lookup resolves a name. nil is the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Roots are the certificate authorities; nil are the system's.
	Roots *x509.CertPool
}

// Check says what to ask and what to expect.
type Check struct {
	URL      string // of the site
	Path     string // below it; "" is /
	Status   int    // 0 is 200
	Contains string // a text in the first MaxBody bytes; "" is any
	Timeout  time.Duration
}

// Prober probes. It is safe for concurrent use and holds nothing open.
type Prober struct {
	o        Options
	reserved []netip.Prefix
}

// New returns a prober.
func New(o Options) *Prober {
	if o.Allow == nil {
		o.Allow = func(netip.AddrPort) bool { return false }
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return &Prober{o: o, reserved: reserved()}
}

// Roots reads more certificate authorities, in PEM, beside the system's.
func Roots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificate authorities: %s holds no certificate", file)
	}
	return pool, nil
}

// Probe asks once. nil says that the site answered as expected.
func (p *Prober) Probe(ctx context.Context, c Check) error {
	target, err := where(c)
	if err != nil {
		return err
	}
	timeout := min(c.Timeout, longestTime)
	if timeout <= 0 {
		timeout = defaultTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no full answer within %s: %w", timeout, ErrTimeout))
	defer cancel()
	want := c.Status
	if want == 0 {
		want = http.StatusOK
	}
	if err := p.ask(ctx, target, want, c.Contains); err != nil {
		return fmt.Errorf("GET %s %w", shown(target), p.reason(ctx, err))
	}
	return nil
}

// where puts the site's address and the path together. Errors don't repeat them.
func where(c Check) (*url.URL, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Hostname() == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("the site's address is not an http or https URL")
	}
	if base.User != nil {
		return nil, errors.New("the site's address holds a user name or a password")
	}
	path := c.Path
	if path == "" {
		path = "/"
	}
	below, err := url.Parse(path)
	if err != nil || below.Host != "" || below.Scheme != "" || below.Opaque != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return nil, errors.New("the health path is not a path: it begins with one slash")
	}
	out := *base
	out.Path = strings.TrimSuffix(base.Path, "/") + below.Path
	out.RawPath = ""
	if below.RawPath != "" {
		out.RawPath = strings.TrimSuffix(base.EscapedPath(), "/") + below.RawPath
	}
	out.RawQuery, out.Fragment = below.RawQuery, ""
	return &out, nil
}

// answered is a finding that is a sentence's second half: "GET … answered 500".
type answered struct{ text string }

func (a answered) Error() string { return a.text }

// Transport reaches what a probe may reach and nothing else, for those who ask a client's site
// something. It refuses with ErrAddress, uses no proxy, and keeps no connection.
func (p *Prober) Transport() *http.Transport {
	return &http.Transport{
		DialContext:            p.Dial,
		TLSClientConfig:        &tls.Config{RootCAs: p.o.Roots, MinVersion: tls.VersionTLS12, Time: p.o.Now},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeaders,
	}
}

func (p *Prober) ask(ctx context.Context, target *url.URL, want int, contains string) error {
	t := p.Transport()
	defer t.CloseIdleConnections()
	client := &http.Client{Transport: t, CheckRedirect: follow(want)}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return errors.New("could not be asked: its address is malformed")
	}
	req.Header.Set("User-Agent", "reconciler-health")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		return answered{fmt.Sprintf("answered %d, expected %d", res.StatusCode, want)}
	}
	if contains == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxBody))
	if bytes.Contains(body, []byte(contains)) {
		return nil // enough was read
	}
	if err != nil {
		return fmt.Errorf("broke off its answer: %w", err)
	}
	if len(body) == MaxBody {
		return answered{fmt.Sprintf("answered %d, but the expected text is not in the first %d KiB", want, MaxBody>>10)}
	}
	return answered{fmt.Sprintf("answered %d, but without the expected text", want)}
}

// follow lets redirects pass on the same host. A redirect that is itself what is
// expected is not followed.
func follow(want int) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		switch {
		case req.Response != nil && req.Response.StatusCode == want:
			return http.ErrUseLastResponse
		case len(via) > maxRedirects:
			return fmt.Errorf("redirected more than %d times: %w", maxRedirects, ErrRedirect)
		case req.URL.User != nil, !strings.EqualFold(req.URL.Hostname(), first.Hostname()):
			return fmt.Errorf("redirected to another host: %w", ErrRedirect)
		case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https":
			return fmt.Errorf("redirected from https to http: %w", ErrRedirect)
		case req.URL.Scheme == first.Scheme && req.URL.Port() != first.Port(), req.URL.Scheme != first.Scheme && req.URL.Port() != "" && req.URL.Port() != first.Port():
			return fmt.Errorf("redirected to another port: %w", ErrRedirect)
		}
		return nil
	}
}

// Dial resolves, checks and connects, as a probe does: what it checked is what it connects
// to. It is for everybody else who follows an address that a manifest says.
func (p *Prober) Dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	found, port, err := p.permitted(ctx, hostPort)
	if err != nil {
		return nil, err
	}
	var last error
	found = found[:min(len(found), maxAddresses)]
	for i, a := range found {
		var d net.Dialer
		if end, ok := ctx.Deadline(); ok { // one that is silent leaves time for the next
			d.Timeout = max(time.Until(end)/time.Duration(len(found)-i), time.Millisecond)
		}
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(plain(a).String(), strconv.Itoa(int(port))))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

// Permits says why an address is not to be asked. It is for a way that dials by itself (a
// proxy), and proves less than Dial: a name that is not found here is left to that way, and
// one that changes its mind afterwards is not noticed.
func (p *Prober) Permits(ctx context.Context, hostPort string) error {
	_, _, err := p.permitted(ctx, hostPort)
	var name *unresolved
	if errors.As(err, &name) {
		return nil
	}
	return err
}

// permitted are the addresses that a name leads to, when all of them may be asked.
func (p *Prober) permitted(ctx context.Context, hostPort string) (found []netip.Addr, port uint16, err error) {
	host, text, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, 0, errors.New("its address is malformed")
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, 0, errors.New("its address is malformed")
	}
	port = uint16(number)
	if a, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{a}
	} else if found, err = p.o.Lookup(ctx, host); err != nil {
		return nil, port, &unresolved{err}
	}
	if len(found) == 0 {
		return nil, port, &unresolved{errors.New("no address")}
	}
	// One bad address is enough: a name that leads to both is an attempt.
	for _, a := range found {
		if a = plain(a); !p.public(a) && !p.allowed(netip.AddrPortFrom(a, port)) {
			return nil, port, fmt.Errorf("%s leads to %s: %w", host, a, ErrAddress)
		}
	}
	return found, port, nil
}

// allowed asks Allow about the address and about the one in it.
func (p *Prober) allowed(a netip.AddrPort) bool {
	if inner, ok := carried(a.Addr()); ok {
		return p.o.Allow(netip.AddrPortFrom(inner, a.Port()))
	}
	return p.o.Allow(a)
}

type unresolved struct{ err error }

func (u *unresolved) Error() string { return "its name could not be resolved" }

func (u *unresolved) Unwrap() error { return u.err }

// reason makes the second half of the sentence. What a foreign host or a library says
// is not repeated where it can hold the host's own words.
func (p *Prober) reason(ctx context.Context, err error) error {
	var a answered
	if errors.As(err, &a) {
		return a
	}
	if ctx.Err() != nil {
		return fmt.Errorf("failed: %w", context.Cause(ctx))
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	var (
		name     *unresolved
		host     x509.HostnameError
		unknown  x509.UnknownAuthorityError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		dial     *net.OpError
		verified *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, ErrRedirect):
		return err
	case errors.Is(err, ErrAddress):
		return fmt.Errorf("was not sent: %w", err)
	case errors.As(err, &name):
		return fmt.Errorf("failed: %w", name)
	case errors.As(err, &host):
		return errors.New("failed: the certificate is for another name")
	case errors.As(err, &unknown):
		return errors.New("failed: the certificate is of an authority that is not known")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errors.New("failed: the certificate has expired or is not valid yet")
	case errors.As(err, &invalid), errors.As(err, &verified):
		return errors.New("failed: the certificate is not valid")
	case errors.As(err, &record), errors.As(err, &alert), errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("failed: the server does not speak TLS as it should")
	case errors.As(err, &dial) && dial.Op == "dial":
		return errors.New("failed: nothing accepts connections there")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &dial):
		return errors.New("failed: the connection was closed before the answer was complete")
	}
	return errors.New("failed: the answer is not one of a web server")
}

// shown is a URL in an error: short, and without its query, which may hold a key.
func shown(u *url.URL) string {
	v := *u
	v.RawQuery, v.Fragment = "", ""
	s := v.String()
	if len(s) > maxURL {
		s = strings.ToValidUTF8(s[:maxURL], "") + "…"
	}
	return s
}
