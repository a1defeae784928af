package postgres

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/state"
)

// server is what a DSN says, and where clients find the same server.
type server struct {
	config  *pgconn.Config // without the password
	admin   state.Secret   // the password
	sslmode string         // as the DSN has it; "": it says nothing
	files   []string       // certificates, as pg_dump is told of them
	roots   bool           // the DSN names those that it trusts
	host    string         // of clients' URLs: a name, or the folder of a socket
	port    string
}

// asked are the parameters that a DSN may have. All of them are given to pgconn, so that
// none comes from the environment or a file of the user that we run as.
func asked() map[string]string {
	return map[string]string{"sslmode": "prefer", "sslrootcert": "", "sslcert": "", "sslkey": "", "host": "", "connect_timeout": "10"}
}

// parseDSN reads the administrator's DSN. No error repeats any of it.
func parseDSN(dsn state.Secret, public string) (server, error) {
	bad := func(text string) (server, error) {
		return server{}, errors.New("open postgres: providers.postgres.dsn " + text + "; write postgres://USER:PASSWORD@HOST:5432/postgres?sslmode=verify-full")
	}
	u, err := url.Parse(dsn.Reveal())
	switch {
	case err != nil:
		return bad("is not a URL") // the cause repeats it
	case u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" || u.Fragment != "":
		return bad("is not a postgres:// URL")
	case u.User.Username() == "":
		return bad("names no user")
	case strings.Contains(u.Host, ","):
		return bad("names several hosts: write the one that can be written to")
	}
	given, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad("has parameters that can't be read")
	}
	all := asked()
	for name, values := range given {
		if _, ok := all[name]; !ok || len(values) != 1 {
			return bad("has a parameter that is not known here (sslmode, sslrootcert, sslcert, sslkey, host and connect_timeout are), or has one twice")
		}
		all[name] = values[0]
	}
	s := server{sslmode: given.Get("sslmode"), roots: all["sslrootcert"] != ""}
	for _, f := range [][2]string{{"PGSSLROOTCERT", all["sslrootcert"]}, {"PGSSLCERT", all["sslcert"]}, {"PGSSLKEY", all["sslkey"]}} {
		if f[1] != "" {
			s.files = append(s.files, f[0]+"="+f[1])
		}
	}
	socket := all["host"]
	switch {
	case socket == "" && u.Hostname() == "":
		return bad("names no host")
	case socket != "" && (u.Hostname() != "" || !strings.HasPrefix(socket, "/")):
		return bad("names a host twice: the parameter host is the folder of a socket, instead of a host name")
	case socket == "":
		delete(all, "host")
	}
	password, _ := u.User.Password() // none: not PGPASSWORD's either
	s.admin = state.NewSecret(password)
	if s.config, err = configOf(u, all); err != nil {
		return bad("can't be used: a port, an sslmode or a file of certificates in it is wrong") // the cause repeats it
	}
	s.host, s.port = s.config.Host, strconv.Itoa(int(s.config.Port))
	if public != "" {
		if s.host, s.port, err = split(public, s.port); err != nil {
			return server{}, err
		}
	}
	return s, nil
}

// configOf makes a configuration of the DSN alone.
func configOf(u *url.URL, parameters map[string]string) (*pgconn.Config, error) {
	full := *u
	if full.Path == "" || full.Path == "/" {
		full.Path = "/postgres"
	}
	if full.Port() == "" && full.Hostname() != "" {
		full.Host = net.JoinHostPort(full.Hostname(), "5432")
	}
	q := url.Values{"passfile": {os.DevNull}, "sslcertmode": {"allow"}, "sslsni": {"1"}, "sslpassword": {""}, "sslnegotiation": {"postgres"}, "servicefile": {os.DevNull},
		"target_session_attrs": {"any"}, "min_protocol_version": {""}, "max_protocol_version": {""}, "channel_binding": {"prefer"}, "require_auth": {""}}
	if full.Port() == "" {
		q.Set("port", "5432")
	}
	for name, value := range parameters {
		q.Set(name, value)
	}
	full.RawQuery = q.Encode()
	c, err := pgconn.ParseConfig(full.String())
	if err != nil {
		return nil, err
	}
	c.Password = ""
	if c.ConnectTimeout <= 0 || c.ConnectTimeout > connectTime {
		c.ConnectTimeout = connectTime
	}
	// Nothing else may come from the environment. The search path is empty, so that no name
	// of ours means what somebody put into a schema.
	c.RuntimeParams = map[string]string{"application_name": "reconciler", "search_path": "pg_catalog", "client_encoding": "UTF8",
		"default_transaction_read_only": "off", "idle_in_transaction_session_timeout": milliseconds(statement)}
	return c, nil
}

// split takes HOST or HOST:PORT apart.
func split(public, port string) (string, string, error) {
	host := public
	if h, p, err := net.SplitHostPort(public); err == nil {
		host, port = h, p
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, "/@?# ") {
		return "", "", errors.New("open postgres: providers.postgres.host is a host name, or HOST:PORT, that clients reach the server at")
	}
	return strings.Trim(host, "[]"), port, nil
}

// tls is the environment of a program that is to connect as we do.
func (s server) tls() []string {
	out := s.files
	if s.sslmode != "" {
		out = append(out[:len(out):len(out)], "PGSSLMODE="+s.sslmode)
	}
	if s.sslmode == "verify-full" && !s.roots {
		out = append(out, "PGSSLROOTCERT=system") // as we do; libpq 16 or newer
	}
	return out
}

// address is where we reach the server, for messages.
func (s server) address() string {
	if strings.HasPrefix(s.config.Host, "/") {
		return s.config.Host
	}
	return net.JoinHostPort(s.config.Host, strconv.Itoa(int(s.config.Port)))
}

// believes is why a server on the way to ours could read what we say to it, the administrator's
// password included; "": it can't, or there is no way that leaves this machine. (libpq's
// "SSL Support": only verify-full compares the name; with roots, require is verify-ca.)
func (s server) believes() string {
	if strings.HasPrefix(s.config.Host, "/") || s.config.Host == "localhost" {
		return ""
	}
	if a, err := netip.ParseAddr(s.config.Host); err == nil && a.IsLoopback() {
		return ""
	}
	switch s.sslmode {
	case "verify-full":
		return ""
	case "verify-ca":
		return "any server with a certificate of the same issuer"
	case "require":
		if s.roots {
			return "any server with a certificate of the same issuer"
		}
		return "whoever answers there, whatever its certificate"
	}
	return "whoever answers there, without TLS, too"
}

// publicHost is the host that clients are given.
func (s server) publicHost() string {
	if strings.HasPrefix(s.host, "/") {
		return "localhost"
	}
	return s.host
}

// clientURL is a client's way in: its role and its database have one name. It says of TLS
// what the DSN says; files of certificates are ours, so that they are left out.
func (s server) clientURL(name string, password state.Secret) state.Secret {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(name, password.Reveal()), Path: "/" + name}
	q := url.Values{}
	if s.sslmode != "" {
		q.Set("sslmode", s.sslmode)
	}
	if strings.HasPrefix(s.host, "/") {
		q.Set("host", s.host)
		if s.port != "5432" {
			q.Set("port", s.port)
		}
	} else {
		u.Host = net.JoinHostPort(s.host, s.port)
	}
	u.RawQuery = q.Encode()
	return state.NewSecret(u.String())
}
