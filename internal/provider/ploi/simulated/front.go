package simulated

import (
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Front serves what sites serve, by the Host header.
func (v *Vendor) Front() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(r.Host)
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		v.answers(host, r.URL.Path).ServeHTTP(w, r)
	})
}

// answers is what a host name answers for a path.
func (v *Vendor) answers(host, path string) http.Handler {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.at443(host)
	switch {
	case s == nil:
		return problem("there is no site "+host, http.StatusNotFound)
	case s.Suspended:
		return problem("the site is suspended", http.StatusServiceUnavailable)
	case v.o.Gap && s.Job.Kind == "deploy":
		return problem("nothing answers behind this", http.StatusBadGateway)
	case path == "/api/health" && (s.Pages.Sick || len(s.Pages.Printed) == 0):
		return problem(`{"status":"sick"}`, http.StatusInternalServerError)
	case path == "/api/health":
		return shown("application/json", `{"status":"ok"}`+"\n")
	}
	page := shown("text/html; charset=utf-8", fmt.Sprintf("<!doctype html><title>%[1]s</title><h1>%[1]s</h1><pre>%[2]s</pre>\n", html.EscapeString(host), html.EscapeString(strings.Join(s.Pages.Printed, "\n"))))
	if v.o.Serve != nil && len(s.Pages.Printed) > 0 {
		return v.o.Serve(s.Env.Now, page)
	}
	return page
}

func problem(text string, status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, status) })
}

func shown(kind, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body) // who asked may be gone
	})
}

// at443 is the site of a host name; of several the first that was made.
func (v *Vendor) at443(host string) *Site {
	for _, s := range v.world.Sites.All() {
		if v.settle(s); s.Domain == host || s.Test == host || slices.Contains(s.Aliases, host) {
			return s
		}
	}
	return nil
}

// Secure says whether a host name has a certificate of its site.
func (v *Vendor) Secure(host string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.at443(host)
	return s != nil && slices.ContainsFunc(s.Certs, func(c *cert) bool {
		return c.Status == "active" && v.o.Now().Before(c.Until.Add(certLife)) && slices.Contains(strings.Split(c.Domain, ","), host)
	})
}

// Forbid lets a host name's CAA records forbid Let's Encrypt, or allow it again.
func (v *Vendor) Forbid(host string, on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forbids[host] = on
}

// Sites are copies of all sites, for who wants to see what became of them.
func (v *Vendor) Sites() []Site {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []Site
	for _, s := range v.world.Sites.All() {
		if v.settle(s); s.gone(v) {
			continue // just now
		}
		out = append(out, *s)
	}
	return out
}

// gone says that a site is not there any more.
func (s *Site) gone(v *Vendor) bool {
	_, there := v.world.Sites.Get(strconv.Itoa(s.ID))
	return !there
}

// Deploy is a person who presses the button of a site.
func (v *Vendor) Deploy(id int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.world.Sites.Get(strconv.Itoa(id)); ok {
		v.settle(s)
		v.deploy(s)
	}
}

// Edit changes a site by hand, as a person at the vendor's page does.
func (v *Vendor) Edit(id int, change func(*Site)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.world.Sites.Get(strconv.Itoa(id)); ok {
		change(s)
	}
}

// Text is a file as it is.
func (l late) Text() string { return l.Now }

// Seed makes a site that others made: it is active, has a repository and was deployed.
func (v *Vendor) Seed(domain, env, script string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := &Site{ID: v.world.IDs.Number(), Server: v.o.Servers[0].ID, Domain: domain, Directory: "/public", Status: "active", EnvThere: true, Created: v.o.Now(),
		Repository: &source{"github", "compassdigital", "compassdigital/storefront", "main"}, LastDeploy: stamp(v.o.Now()), Pages: Pages{Printed: []string{"by hand"}}}
	s.Env.Now, s.Script.Now = env, script
	v.world.Sites.Put(strconv.Itoa(s.ID), s)
	return s.ID
}
