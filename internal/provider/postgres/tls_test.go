package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
)

// certificate makes one that signs itself, for 127.0.0.1.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "db.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})
}

// sslmode is what the DSN says: of the administrator's connection, of pg_dump's, and of
// the client's url; a certificate that it does not trust stops the provider.
func TestTLS(t *testing.T) {
	running(t) // or these tests are left out
	s, err := postgrestest.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	cert, key := certificate(t)
	stranger, _ := certificate(t)
	trusted, distrusted := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "other.pem")
	for path, data := range map[string][]byte{trusted: cert, distrusted: stranger} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dsn := func(mode, ca string) string {
		q := url.Values{"sslmode": {mode}}
		if ca != "" {
			q.Set("sslrootcert", ca)
		}
		return s.DSN() + "?" + q.Encode()
	}
	_, err = openAs(t, dsn("require", "")).Owned(t.Context(), "0badcafe") // it speaks no TLS yet
	wantKind(t, err, provider.Transient)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	certFile, err := s.Put("server.crt", cert)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, err := s.Put("server.key", key)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("ssl=on", "ssl_cert_file="+certFile, "ssl_key_file="+keyFile); err != nil {
		t.Fatal(err)
	}
	p := openAs(t, dsn("verify-full", trusted))
	p.dumper = filepath.Join(s.Programs(), "pg_dump")
	o := create(t, p, wish("shop"))
	if u := urlOf(o); !strings.HasSuffix(u, "?sslmode=verify-full") {
		t.Error("the client's url does not say how to connect")
	}
	if got := ask(t, strings.Replace(urlOf(o), "verify-full", "require", 1), "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got[0] != "true" {
		t.Errorf("the client speaks TLS: %v", got)
	}
	if err := p.Dump(t.Context(), o.ID, filepath.Join(t.TempDir(), "x.dump")); err != nil {
		t.Error(err)
	}
	for _, ca := range []string{distrusted, ""} {
		_, err := openAs(t, dsn("verify-full", ca)).Owned(t.Context(), "0badcafe")
		wantKind(t, err, provider.Denied)
		quiet(t, err)
	}
}
