package simulated

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Front answers as the edge does: by the Host header, for deployments' own addresses, projects'
// addresses and host names on projects.
func (v *Vercel) Front() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		s, to, problem := v.leads(strings.ToLower(host))
		switch {
		case problem == "PROTECTED": // to a visitor's browser a page to log in
			http.Error(w, "Authentication Required", http.StatusUnauthorized)
		case problem == "DEPLOYMENT_PAUSED":
			edge(w, http.StatusServiceUnavailable, problem)
		case problem != "":
			edge(w, http.StatusNotFound, problem)
		case to != "":
			http.Redirect(w, r, "https://"+to+r.URL.RequestURI(), http.StatusPermanentRedirect)
		case v.o.Serve != nil:
			v.o.Serve(s).ServeHTTP(w, r)
		default:
			s.ServeHTTP(w, r)
		}
	})
}

func edge(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Vercel-Error", code)
	http.Error(w, code, status)
}

// leads finds what a host name serves: a deployment, another name, or why nothing.
func (v *Vercel) leads(host string) (s Served, redirect, problem string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.advance()
	for _, d := range v.is.Deployments.All() {
		if d.URL == host && d.State == "READY" && d.Expired == 0 {
			if x, _ := v.is.Projects.Get(d.Project); x.Protected {
				return s, "", "PROTECTED"
			}
			return v.served(d, host), "", ""
		}
	}
	for _, x := range v.is.Projects.All() {
		bound, ok := v.is.Domains.Get(host)
		ok = ok && bound.Project == x.ID && bound.Verified
		if !ok && host != x.Name+".vercel.app" {
			continue
		}
		d, there := v.is.Deployments.Get(x.Production)
		switch {
		case ok && bound.Redirect != "":
			return s, bound.Redirect, ""
		case ok && bound.Branch+bound.Environment != "": // nobody pushed to it yet
			return s, "", "DEPLOYMENT_NOT_FOUND"
		case x.Paused:
			return s, "", "DEPLOYMENT_PAUSED"
		case !there:
			return s, "", "DEPLOYMENT_NOT_FOUND"
		}
		return v.served(d, host), "", ""
	}
	return s, "", "DEPLOYMENT_NOT_FOUND"
}

// ServeHTTP is the page of a deployment that nobody else answers for: it names itself, and the
// variables that it has, not what they say.
func (s Served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	keys := slices.Sorted(maps.Keys(s.Env))
	w.Header().Set("X-Vercel-Id", "sim1::"+s.Deployment)
	if r.URL.Path == "/api/health" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "ok", "deployment": s.Deployment}) // who asked may be gone
		return
	}
	if page, ok := s.Files["index.html"]; ok && r.URL.Path == "/" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "%s<!-- %s -->\n", page, s.Deployment)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html>\n<title>%s</title>\n<p>deployment %s of %s</p>\n<p>environment: %s</p>\n<p>health: <a href=\"/api/health\">/api/health</a></p>\n",
		html.EscapeString(s.Host), s.Deployment, html.EscapeString(s.Project), html.EscapeString(strings.Join(keys, ", ")))
}
