package simulated

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// issuing is how long a certificate takes, where Options don't say it.
const issuing = 10 * time.Second

type cert struct {
	ID      int       `json:"id"`
	Domain  string    `json:"domain"` // with commas
	Status  string    `json:"status"`
	Until   time.Time `json:"until"`
	Created time.Time `json:"created"`
}

// A certificate is good for so long, and renewed so long before its end, as Let's Encrypt and certbot have it.
const (
	certLife  = 90 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour
)

// settleCert ends the issuing of a certificate: DNS must lead each of its names here. It is renewed by the
// same rule, and ends where it can't be: nobody renews what has run out.
func (v *Vendor) settleCert(s *Site, c *cert) {
	now := v.o.Now()
	switch {
	case c.Status == "created" && !now.Before(c.Until):
		if c.Status = "failed"; v.issues(s, c) {
			c.Status = "active"
		}
	case c.Status == "active" && !now.Before(c.Until.Add(certLife-certRenew)) && now.Before(c.Until.Add(certLife)) && v.issues(s, c):
		c.Until = now
	}
}

// issues says that Let's Encrypt gives a certificate for all of its names.
func (v *Vendor) issues(s *Site, c *cert) bool {
	return !slices.ContainsFunc(strings.Split(c.Domain, ","), func(host string) bool { return !v.leads(s, host) || v.forbids[host] })
}

// leads says that Let's Encrypt comes to the site's server, which it asks for by IPv6 first (letsencrypt.org/docs/ipv6-support).
func (v *Vendor) leads(s *Site, host string) bool {
	i := slices.IndexFunc(v.o.Servers, func(x Server) bool { return x.ID == s.Server })
	if i < 0 || v.o.DNS == nil {
		return false
	}
	to, is := v.o.DNS(host), v.o.Servers[i].Address
	elsewhere := slices.ContainsFunc(to, func(a string) bool { return strings.Contains(a, ":") && a != is })
	return slices.Contains(to, is) && !elsewhere
}

func (c *cert) show(s *Site) object {
	o := object{"id": c.ID, "status": c.Status, "domain": c.Domain, "site_id": s.ID, "server_id": s.Server, "type": "letsencrypt", "expires_at": nil, "created_at": stamp(c.Created)}
	if c.Status == "active" {
		o["expires_at"] = stamp(c.Until.Add(certLife))
	}
	return o
}

func (s *Site) names() object {
	all := s.Aliases
	if all == nil {
		all = []string{}
	}
	return data(object{"aliases": all, "count": len(all), "main": s.Domain})
}

func (v *Vendor) nameRoutes() {
	v.ofSite("GET /aliases", func(w http.ResponseWriter, _ *http.Request, s *Site) { answer(w, http.StatusOK, s.names()) })
	v.ofSite("POST /aliases", v.addAliases)
	v.ofSite("DELETE /aliases/{alias}", func(w http.ResponseWriter, r *http.Request, s *Site) {
		i := slices.Index(s.Aliases, r.PathValue("alias"))
		if i < 0 {
			refuse(w, http.StatusNotFound, "Not found.")
			return
		}
		s.Aliases = slices.Delete(s.Aliases, i, i+1)
		answer(w, http.StatusOK, s.names())
	})
	v.ofSite("GET /certificates", func(w http.ResponseWriter, r *http.Request, s *Site) {
		var rows []object
		for _, c := range s.Certs {
			rows = append(rows, c.show(s))
		}
		paged(w, r, rows)
	})
	v.ofSite("POST /certificates", func(w http.ResponseWriter, r *http.Request, s *Site) {
		in, ok := input(w, r)
		if !ok {
			return
		}
		if text(in, "certificate") == "" {
			v.invalid(w, "certificate", "The certificate field is required.")
			return
		}
		c := &cert{ID: v.world.IDs.Number(), Domain: text(in, "certificate"), Status: "created", Created: v.o.Now(), Until: v.o.Now().Add(v.o.Issue)}
		s.Certs = append(s.Certs, c)
		answer(w, v.made(), data(c.show(s)))
	})
	v.ofSite("GET /certificates/{certificate}", func(w http.ResponseWriter, r *http.Request, s *Site) {
		for _, c := range s.Certs {
			if strconv.Itoa(c.ID) == r.PathValue("certificate") {
				answer(w, http.StatusOK, data(c.show(s)))
				return
			}
		}
		refuse(w, http.StatusNotFound, "Not found.")
	})
	v.ofSite("DELETE /certificates/{certificate}", func(w http.ResponseWriter, r *http.Request, s *Site) {
		s.Certs = slices.DeleteFunc(s.Certs, func(c *cert) bool { return strconv.Itoa(c.ID) == r.PathValue("certificate") })
		v.done(w, "Certificate is being deleted")
	})
	v.ofSite("GET /redirects", func(w http.ResponseWriter, r *http.Request, s *Site) {
		var rows []object
		for _, x := range s.Redirects {
			rows = append(rows, x.show())
		}
		paged(w, r, rows)
	})
	v.ofSite("POST /redirects", func(w http.ResponseWriter, r *http.Request, s *Site) {
		if in, ok := input(w, r); ok {
			x := redirect{v.world.IDs.Number(), text(in, "redirect_from"), text(in, "redirect_to"), "redirect"}
			s.Redirects = append(s.Redirects, x)
			answer(w, v.made(), data(x.show()))
		}
	})
	v.ofSite("DELETE /redirects/{redirect}", func(w http.ResponseWriter, r *http.Request, s *Site) {
		s.Redirects = slices.DeleteFunc(s.Redirects, func(x redirect) bool { return strconv.Itoa(x.ID) == r.PathValue("redirect") })
		v.done(w, "Redirect is being deleted")
	})
}

func (x redirect) show() object {
	return object{"id": x.ID, "status": "active", "redirect_from": x.From, "redirect_to": x.To, "type": x.Type}
}

func (v *Vendor) addAliases(w http.ResponseWriter, r *http.Request, s *Site) {
	in, ok := input(w, r)
	if !ok {
		return
	}
	all, _ := in["aliases"].([]any)
	for _, a := range all {
		host, _ := a.(string)
		if !domains.MatchString(host) {
			v.invalid(w, "aliases", "The alias format is invalid.")
			return
		}
		for _, other := range v.world.Sites.All() {
			if v.o.Doubts.OneName && other != s && other.Server == s.Server && slices.Contains(other.Aliases, host) {
				v.invalid(w, "aliases", "The alias is in use by another site.")
				return
			}
		}
	}
	for _, a := range all {
		if host, _ := a.(string); !slices.Contains(s.Aliases, host) && host != s.Domain {
			s.Aliases = append(s.Aliases, host)
		}
	}
	answer(w, http.StatusOK, s.names())
}

type database struct {
	ID, Server int
	Name       string
	Created    time.Time
}

func (d *database) show() object {
	return object{"id": d.ID, "type": "mysql", "name": d.Name, "server_id": d.Server, "status": "active", "created_at": stamp(d.Created)}
}

func (v *Vendor) databaseRoutes() {
	v.at("GET /servers/{server}/databases", func(w http.ResponseWriter, r *http.Request) {
		server, ok := v.server(w, r)
		if !ok {
			return
		}
		var rows []object
		for _, d := range v.world.Databases.Seen() {
			if d.Server == server.ID {
				rows = append(rows, d.show())
			}
		}
		paged(w, r, rows)
	})
	v.at("POST /servers/{server}/databases", func(w http.ResponseWriter, r *http.Request) {
		server, ok := v.server(w, r)
		if !ok {
			return
		}
		in, ok := input(w, r)
		if !ok {
			return
		}
		for _, d := range v.world.Databases.All() {
			if d.Server == server.ID && d.Name == text(in, "name") {
				v.invalid(w, "name", "The name has already been taken.")
				return
			}
		}
		d := &database{v.world.IDs.Number(), server.ID, text(in, "name"), v.o.Now()}
		v.world.Databases.Put(strconv.Itoa(d.ID), d)
		answer(w, v.made(), data(d.show()))
	})
	v.at("GET /servers/{server}/databases/{database}", func(w http.ResponseWriter, r *http.Request) {
		d, ok := v.world.Databases.Get(r.PathValue("database"))
		if !ok {
			refuse(w, http.StatusNotFound, "Not found.")
			return
		}
		answer(w, http.StatusOK, data(d.show()))
	})
	v.at("DELETE /servers/{server}/databases/{database}", func(w http.ResponseWriter, r *http.Request) {
		v.world.Databases.Delete(r.PathValue("database"))
		v.done(w, "Database is being deleted")
	})
}
