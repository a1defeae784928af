package local

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	sitesPath       = "/sites/"
	deploymentsPath = "/deployments/"
)

// target is where a request goes.
type target struct {
	deployment string
	prefix     string // of the path, without the last slash: "/sites/demoshop"
	path       string // below prefix
	redirect   string // host to redirect to
	why        string // nothing serves: what to say
	status     int    // with why
}

// Handler serves every site and every deployment. Requests that are nobody's get 404.
func (p *Provider) Handler() http.Handler { return http.HandlerFunc(p.serve) }

// Owns says that a request is meant for a site, for those who put other things on the
// same address: it is, when its host is neither an IP address nor localhost nor the
// host of Public, or when its path is one of ours.
func (p *Provider) Owns(r *http.Request) bool {
	host := hostOf(r.Host)
	public := hostOf(p.o.Public())
	p.mu.RLock()
	_, bound := p.index.domains[host]
	p.mu.RUnlock()
	if bound || host != "" && host != "localhost" && host != public && net.ParseIP(host) == nil {
		return true
	}
	return strings.HasPrefix(r.URL.Path, sitesPath) || strings.HasPrefix(r.URL.Path, deploymentsPath+deploymentPrefix)
}

// find works out where a request goes, from one look at the index.
func (p *Provider) find(host, path string) target {
	p.mu.RLock()
	defer p.mu.RUnlock()
	x := &p.index
	if id, ok := ownHost(host); ok {
		if o, ok := x.objects[id]; ok {
			return x.serving(o, "", path)
		}
		return target{why: "There is no site or deployment " + id + " here.", status: http.StatusNotFound}
	}
	if d, ok := x.objects[x.domains[host]]; ok {
		a := attrs(d.Attributes)
		if to := strings.ToLower(a.get("redirect")); to != "" {
			return target{redirect: to}
		}
		return x.serving(x.objects[a.get("site")], "", path)
	}
	if rest, ok := strings.CutPrefix(path, sitesPath); ok {
		word, below, slash := strings.Cut(rest, "/")
		if sites := x.labels[word]; len(sites) > 0 {
			return x.below(x.objects[sites[len(sites)-1]], sitesPath+word, below, slash)
		}
	}
	if rest, ok := strings.CutPrefix(path, deploymentsPath); ok {
		word, below, slash := strings.Cut(rest, "/")
		if o, ok := x.objects[word]; ok && o.Kind == state.KindDeployment {
			return x.below(o, deploymentsPath+word, below, slash)
		}
	}
	return target{why: "No site has this address.", status: http.StatusNotFound}
}

// below is serving for addresses that are a path.
func (x *index) below(o provider.Object, prefix, path string, slash bool) target {
	if !slash {
		path = "" // the prefix itself: its pages need the slash to find their style sheet
	} else {
		path = "/" + path
	}
	return x.serving(o, prefix, path)
}

// serving is the deployment that o (a site or a deployment) means.
func (x *index) serving(o provider.Object, prefix, path string) target {
	t := target{deployment: o.ID, prefix: prefix, path: path}
	if o.Kind == state.KindSite {
		t.deployment = x.deployment(o.ID)
	}
	d, ok := x.objects[t.deployment]
	switch {
	case !ok:
		t.why, t.status = "This site has no release yet.", http.StatusServiceUnavailable
	case d.Phase == provider.Progressing:
		t.why, t.status = "This release is still being built.", http.StatusServiceUnavailable
	case d.Phase == provider.Failed:
		t.why, t.status = "This release was not built.", http.StatusNotFound
	}
	return t
}

// Path is where the site that has a host is found whatever name is asked for, without the
// last slash: "/sites/demoshop"; "" when no site here has the host.
func (p *Provider) Path(host string) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	d := attrs(p.index.objects[p.index.domains[hostOf(host)]].Attributes)
	if l := attrs(p.index.objects[d.get("site")].Attributes).get("label"); l != "" {
		return sitesPath + l
	}
	return ""
}

// maxFinds is how often a request is looked up anew because its release went between
// finding and reading it.
const maxFinds = 5

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-cache")
	for range maxFinds {
		t := p.find(hostOf(r.Host), r.URL.Path)
		switch {
		case t.redirect != "":
			p.redirect(w, r, t.redirect)
			return
		case t.why != "":
			if t.status == http.StatusServiceUnavailable {
				h.Set("Retry-After", "1")
			}
			http.Error(w, t.why, t.status)
			return
		}
		h.Set("X-Deployment", t.deployment)
		err := p.page(w, r, t)
		if err == nil {
			return
		}
		if !errors.Is(err, fs.ErrNotExist) {
			p.o.Log.Error("release cannot be read", "deployment", t.deployment, "error", err)
			break
		}
	}
	h.Set("Retry-After", "1")
	http.Error(w, "This release cannot be read at the moment.", http.StatusServiceUnavailable)
}

// page answers from a release. An error means that nothing was written yet.
func (p *Provider) page(w http.ResponseWriter, r *http.Request, t target) error {
	rel, err := p.releases.load(t.deployment)
	if err != nil {
		return err
	}
	if rel.BreakHealth != "" && t.path == rel.BreakHealth {
		answerHealth(w, http.StatusInternalServerError, "failing", "not asked")
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if t.path == "/admin/" && r.Method == http.MethodPost {
			http.Error(w, "Signing in is not part of the built-in site.", http.StatusNotImplemented)
			return nil
		}
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are answered here.", http.StatusMethodNotAllowed)
		return nil
	}
	if t.path == healthPath {
		return p.health(w, r, t.deployment)
	}
	entry, ok := rel.Pages[t.path]
	if _, dir := rel.Pages[t.path+"/"]; !ok && dir {
		u := url.URL{Path: t.prefix + t.path + "/", RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, u.String(), http.StatusPermanentRedirect)
		return nil
	}
	status := http.StatusOK
	if !ok || t.path == missingPath {
		entry, status = rel.Pages[missingPath], http.StatusNotFound
	}
	body, err := p.releases.body(t.deployment, entry)
	if err != nil {
		return err
	}
	if status == http.StatusNotFound {
		body = bytes.ReplaceAll(body, []byte(rootMark), []byte(t.prefix+"/"))
	}
	w.Header().Set("Content-Type", entry.Type)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller went away
	}
	return nil
}

// redirect sends the caller to the same page of another host, at the port that was
// asked.
func (p *Provider) redirect(w http.ResponseWriter, r *http.Request, host string) {
	u := url.URL{Scheme: "http", Host: host + port(r.Host), Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	http.Redirect(w, r, u.String(), http.StatusPermanentRedirect)
}

// ownHost takes the id out of ID.localhost.
func ownHost(host string) (string, bool) {
	id, ok := strings.CutSuffix(host, ".localhost")
	if !ok || strings.Contains(id, ".") {
		return "", false
	}
	return id, minted(id, sitePrefix) || minted(id, deploymentPrefix)
}

// minted says that id has the form of those that mint makes.
func minted(id, prefix string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok || len(rest) != 19 {
		return false
	}
	return strings.Trim(rest, "0123456789abcdef") == ""
}

// hostOf is the host of a Host header, in lower case, without port and final dot.
func hostOf(s string) string {
	if h, _, err := net.SplitHostPort(s); err == nil {
		s = h
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	return strings.TrimSuffix(strings.ToLower(s), ".")
}

// port is ":8080" of host:8080; "" when there is none.
func port(s string) string {
	_, p, err := net.SplitHostPort(s)
	if err != nil || p == "" || p == "80" {
		return ""
	}
	if _, err := strconv.ParseUint(p, 10, 16); err != nil {
		return ""
	}
	return ":" + p
}
