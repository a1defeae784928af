package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	vercel "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
)

// visitor asks the site over HTTPS at the address that it knows.
type visitor struct {
	keeps   time.Duration // how long it keeps an address
	address string
	learned time.Time
	greeted string // the address and whether it was safe, at the last handshake
	shared  int    // visits since then
	good    int
	bad     []string // when, and what it saw
	sides   map[string]int
}

// open lets both fronts answer over TLS, each with the certificates that its vendor has.
func (s *switching) open() {
	s.t.Helper()
	a := newAuthority(s.t)
	s.fronts = map[string]front{ploiAddress: {"ploi", s.ploi.Front(), s.ploi.Secure}, vercel.Address: {"vercel", s.vercel.Front(), s.vercel.Secure},
		proxyAddress: {"proxy", http.HandlerFunc(s.proxy), func(string) bool { return true }}}
	for address, x := range s.fronts {
		server := httptest.NewUnstartedServer(x.handler)
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // of visitors that refuse a certificate
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if x.secure(hello.ServerName) {
				return a.leaf(hello.ServerName)
			}
			return a.leaf("nobody.example")
		}}
		server.StartTLS()
		s.t.Cleanup(server.Close)
		s.tls[address] = server.Listener.Addr().String()
	}
	s.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: a.roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			to, ok := s.tls[addressOf(ctx)]
			if !ok {
				return nil, fmt.Errorf("nothing is at %q", addressOf(ctx))
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		}}}
}

// proxy hands a request on to where the record leads, without a look at the certificate there.
func (s *switching) proxy(w http.ResponseWriter, r *http.Request) {
	for _, x := range s.cloudflare.Records("zone1") {
		if f, ok := s.fronts[x.Content]; ok && x.Type == "A" && x.Name == switchedHost {
			f.handler.ServeHTTP(w, r)
			return
		}
	}
	http.Error(w, "no origin", http.StatusBadGateway)
}

// parallelOne lets steps run one after another, so that calls have an order.
func parallelOne(p *program) {
	p.engine.Runner.Parallel, p.engine.Runner.Jitter = 1, func(d time.Duration) time.Duration { return d }
}

type addressKey struct{}

func addressOf(ctx context.Context) string { a, _ := ctx.Value(addressKey{}).(string); return a }

// visit is one request of a visitor: on the connection that it has, or, where another address
// or another certificate would be met, and every few seconds, on a new one.
func (s *switching) visit(v *visitor) (string, error) {
	f, there := s.fronts[v.address]
	if !there {
		return "", fmt.Errorf("nothing is at %q", v.address)
	}
	safe := f.secure(switchedHost)
	now := fmt.Sprint(v.address, safe)
	if v.shared++; !safe || now != v.greeted || v.shared >= greetEvery {
		v.greeted, v.shared = now, 0
		return s.ask(v.address, "/api/health")
	}
	r := httptest.NewRequest(http.MethodGet, "https://"+switchedHost+"/api/health", nil)
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return f.side, s.well(f.side, w.Code, w.Body.Bytes())
}

// well says whether an answer is one.
func (s *switching) well(side string, code int, body []byte) error {
	if s.unwell != nil && s.unwell(side) {
		return fmt.Errorf("%s is unwell", side)
	}
	if code != http.StatusOK || !bytes.Contains(body, []byte(`"status":"ok"`)) {
		return fmt.Errorf("%s answers %d %s", side, code, body)
	}
	return nil
}

// ask is one request at an address on a new connection, as a browser makes it: the certificate
// is checked, and what is answered.
func (s *switching) ask(address, path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), addressKey{}, address), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+switchedHost+path, nil)
	if err != nil {
		return "", err
	}
	side := s.fronts[address].side
	a, err := s.client.Do(r)
	if err != nil {
		return side, err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, 1<<16))
	if err != nil {
		return side, err
	}
	return side, s.well(side, a.StatusCode, body)
}

func (s *switching) resolve(v *visitor, now time.Time) {
	if v.learned.IsZero() || now.Sub(v.learned) >= v.keeps {
		v.address, v.learned = "", now
		if all := s.cloudflare.Answers("A", switchedHost); len(all) > 0 {
			v.address = all[0]
		}
	}
}

// watch lets the visitors come from now on.
func (s *switching) watch() {
	s.relearn()
	s.clock.visit = func(now time.Time) {
		for _, v := range s.visitors {
			s.resolve(v, now)
			side, err := s.visit(v)
			if err != nil {
				v.bad = append(v.bad, now.Format("15:04:05.0")+" "+err.Error())
				continue
			}
			v.good, v.sides[side] = v.good+1, v.sides[side]+1
		}
	}
}

// saw returns what visitors saw since the last time.
func (s *switching) saw() (good int, sides map[string]int, bad []string) {
	sides = map[string]int{}
	for _, v := range s.visitors {
		good += v.good
		bad = append(bad, v.bad...)
		for side, n := range v.sides {
			sides[side] += n
		}
		v.good, v.bad, v.sides = 0, nil, map[string]int{}
	}
	return good, sides, bad
}

// authority makes certificates that the visitors trust.
type authority struct {
	roots *x509.CertPool
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	mu    sync.Mutex
	made  map[string]*tls.Certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an invented authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{roots: x509.NewCertPool(), key: key, made: map[string]*tls.Certificate{}}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(a.cert)
	return a
}

// leaf is the certificate of one name.
func (a *authority) leaf(host string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.made[host]; ok {
		return c, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(a.made) + 2)), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	a.made[host] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return a.made[host], nil
}
