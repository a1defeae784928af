package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// A client is given the DSN's host and sslmode, or the public host where one is said.
func TestClientURLs(t *testing.T) {
	for _, x := range []struct{ dsn, host, url, out, at string }{
		{"postgres://ops:pssst@db.example/main", "", "postgres://shop:word@db.example:5432/shop", "db.example", "db.example:5432"},
		{"postgresql://ops:pssst@10.0.0.5:6432/", "", "postgres://shop:word@10.0.0.5:6432/shop", "10.0.0.5", "10.0.0.5:6432"},
		{"postgres://ops:pssst@10.0.0.5/x?sslmode=disable", "db.example", "postgres://shop:word@db.example:5432/shop?sslmode=disable", "db.example", "10.0.0.5:5432"},
		{"postgres://ops:pssst@10.0.0.5:6432/x?sslmode=verify-full", "db.example:7000", "postgres://shop:word@db.example:7000/shop?sslmode=verify-full", "db.example", "10.0.0.5:6432"},
		{"postgres://ops:pssst@10.0.0.5:6432/x?sslmode=require", "db.example", "postgres://shop:word@db.example:6432/shop?sslmode=require", "db.example", "10.0.0.5:6432"},
		{"postgres://ops@[2001:db8::1]/x", "", "postgres://shop:word@[2001:db8::1]:5432/shop", "2001:db8::1", "[2001:db8::1]:5432"},
		{"postgres://ops@/x?host=/run/postgresql", "", "postgres://shop:word@/shop?host=%2Frun%2Fpostgresql", "localhost", "/run/postgresql"},
		{"postgres://ops@/x?host=/run/postgresql", "db.example", "postgres://shop:word@db.example:5432/shop", "db.example", "/run/postgresql"},
	} {
		s, err := parseDSN(state.NewSecret(x.dsn), x.host)
		if err != nil {
			t.Errorf("%s: %v", x.dsn, err)
			continue
		}
		u := s.clientURL("shop", state.NewSecret("word"))
		if u.Reveal() != x.url || s.publicHost() != x.out || s.address() != x.at {
			t.Errorf("%s, %s: %s, %s, %s", x.dsn, x.host, u.Reveal(), s.publicHost(), s.address())
		}
	}
}

// Only verify-full knows a server by its name; what stays on this machine needs none.
func TestWhomWeBelieve(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	pem, _ := certificate(t)
	if err := os.WriteFile(ca, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	for dsn, want := range map[string]string{
		"postgres://ops@db.example/x":                                     "without TLS",
		"postgres://ops@db.example/x?sslmode=disable":                     "without TLS",
		"postgres://ops@db.example/x?sslmode=prefer":                      "without TLS",
		"postgres://ops@10.0.0.5/x?sslmode=require":                       "whatever its certificate",
		"postgres://ops@db.example/x?sslmode=require&sslrootcert=" + ca:   "same issuer",
		"postgres://ops@db.example/x?sslmode=verify-ca&sslrootcert=" + ca: "same issuer",
		"postgres://ops@db.example/x?sslmode=verify-full":                 "",
		"postgres://ops@127.0.0.1/x":                                      "",
		"postgres://ops@[::1]/x":                                          "",
		"postgres://ops@localhost/x":                                      "",
		"postgres://ops@/x?host=/run/postgresql":                          "",
	} {
		s, err := parseDSN(state.NewSecret(dsn), "")
		if err != nil {
			t.Errorf("%s: %v", dsn, err)
			continue
		}
		if got := s.believes(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", dsn, got, want)
		}
	}
}

// P10: a DSN that can't be used is told without any of it, and what to write.
func TestP10WrongDSNsAreNotRepeated(t *testing.T) {
	for _, x := range []struct{ dsn, host string }{
		{"", ""}, {"pssst", ""}, {"host=pssst user=x", ""}, {"mysql://u:pssst@db.example/x", ""}, {"postgres://u:pssst@db.example:port/x", ""},
		{"postgres://u:pssst@db.example:99999/x", ""}, {"postgres://db.example/pssst", ""}, {"postgres://u:pssst@/x", ""}, {"postgres://u:pssst@a.example,b.example/x", ""},
		{"postgres://u:pssst@db.example/x?sslmode=pssst", ""}, {"postgres://u:pssst@db.example/x?search_path=pssst", ""}, {"postgres://u:pssst@db.example/x?sslmode=disable&sslmode=require", ""},
		{"postgres://u:pssst@db.example/x?options=-c%20pssst", ""}, {"postgres://u:pssst@db.example/x?sslrootcert=/pssst", ""}, {"postgres://u:pssst@db.example/x?host=/run", ""},
		{"postgres://u:pssst@/x?host=elsewhere.example", ""}, {"postgres://u:%zzpssst@db.example/x", ""}, {"postgres://u:pssst@db.example/x#y", ""}, {"postgres://u:pssst@db.example/x?a=%zz", ""},
		{"postgres://u:pssst@db.example/x", "pssst/x"}, {"postgres://u:pssst@db.example/x", "db.example:0"}, {"postgres://u:pssst@db.example/x", "db.example:pssst"},
	} {
		p, err := New(Options{DSN: state.NewSecret(x.dsn), Host: x.host, Key: state.NewSecret(testKey)})
		if err == nil {
			t.Errorf("%s is taken: %s", x.dsn, p.server.address())
			continue
		}
		if strings.Contains(err.Error(), "pssst") || !strings.Contains(err.Error(), "providers.postgres.") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", x.dsn, err)
		}
	}
	if _, err := New(Options{DSN: state.NewSecret("postgres://u:p@db.example/x"), Key: state.NewSecret("short")}); err == nil {
		t.Error("a short key is taken")
	}
}

// Nothing but the DSN says where the server is and who we are.
func TestTheEnvironmentIsNotRead(t *testing.T) {
	for name, value := range map[string]string{"PGHOST": "evil.example", "PGPORT": "6666", "PGUSER": "eve", "PGPASSWORD": "evil", "PGDATABASE": "evil", "PGSSLMODE": "disable",
		"PGOPTIONS": "-c search_path=evil", "PGAPPNAME": "evil", "PGTZ": "Mars", "PGTARGETSESSIONATTRS": "standby", "PGCONNECT_TIMEOUT": "9999", "PGREQUIREAUTH": "none"} {
		t.Setenv(name, value)
	}
	s, err := parseDSN(state.NewSecret("postgres://ops@db.example?sslmode=require"), "")
	if err != nil {
		t.Fatal(err)
	}
	c := s.config
	if c.Host != "db.example" || c.Port != 5432 || c.User != "ops" || c.Password != "" || !s.admin.Empty() || c.Database != "postgres" || c.TLSConfig == nil || c.ValidateConnect != nil || c.ConnectTimeout != connectTime || c.RequireAuth != "" {
		t.Errorf("%s:%d user %s database %s timeout %s", c.Host, c.Port, c.User, c.Database, c.ConnectTimeout)
	}
	for name, value := range c.RuntimeParams {
		if strings.Contains(value, "evil") || strings.Contains(value, "Mars") {
			t.Errorf("%s is %s", name, value)
		}
	}
}
