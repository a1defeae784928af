package web

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

const onlyHere = "only this machine is answered; from another one use an SSH tunnel to this port"

// guard refuses what nobody may ask for, and sets what every answer bears.
func (s *server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		switch probe := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"; {
		case !probe && !fromHere(r):
			problem(w, http.StatusForbidden, onlyHere)
		case !probe && !s.servedHere(r.Host):
			problem(w, http.StatusMisdirectedRequest, "this host name is not served here; publicURL names the one beside localhost that is")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			header.Set("Allow", "GET, HEAD")
			problem(w, http.StatusMethodNotAllowed, "only GET and HEAD are answered here; Git decides, and commands do the rest")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// fromHere says that the connection comes from this machine.
func fromHere(r *http.Request) bool {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// FromHere answers only connections from this machine.
func FromHere(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fromHere(r) {
			problem(w, http.StatusForbidden, onlyHere)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// servedHere says that a Host is this machine's own, or that of publicURL.
func (s *server) servedHere(hostport string) bool {
	host := hostOf(hostport)
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return host == "localhost" || IsPublic(s.PublicURL, hostport)
}

// IsPublic says that a Host header names the host of publicURL.
func IsPublic(publicURL, hostport string) bool {
	u, err := url.Parse(publicURL)
	return err == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), hostOf(hostport))
}

// hostOf is a Host without its port, in lower case and without brackets or a last dot.
func hostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// problem answers as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": title, "status": status}) // whoever asked has gone
}
