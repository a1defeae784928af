package simulated

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Site is a site as it is on its server.
type Site struct {
	ID          int        `json:"id"`
	Server      int        `json:"server"`
	Domain      string     `json:"domain"`
	Directory   string     `json:"directory"`
	Status      string     `json:"status"`
	Suspended   bool       `json:"suspended,omitempty"`
	Test        string     `json:"test,omitempty"`
	Script      late       `json:"script"`
	Env         late       `json:"env"`
	EnvThere    bool       `json:"envThere,omitempty"`
	Repository  *source    `json:"repository,omitempty"`
	Quick       bool       `json:"quick,omitempty"`
	LastDeploy  string     `json:"lastDeploy,omitempty"`
	Logs        []log      `json:"logs,omitempty"` // newest first
	Aliases     []string   `json:"aliases,omitempty"`
	Certs       []*cert    `json:"certs,omitempty"`
	Redirects   []redirect `json:"redirects,omitempty"`
	Pages       Pages      `json:"pages"`
	Job         job        `json:"job"`
	Created     time.Time  `json:"created"`
	Deployments int        `json:"deployments"` // how many were begun
}

// late is a file that is written in the background.
type late struct {
	Now  string    `json:"now"`
	Next *string   `json:"next,omitempty"`
	At   time.Time `json:"at,omitzero"`
}

func (l *late) put(text string, at time.Time) { l.Next, l.At = &text, at }

func (l *late) settle(now time.Time) {
	if l.Next != nil && !now.Before(l.At) {
		l.Now, l.Next = *l.Next, nil
	}
}

type source struct{ Provider, User, Name, Branch string }

type log struct {
	ID      int       `json:"id"`
	Title   string    `json:"title"`
	Content string    `json:"content"`
	At      time.Time `json:"at"`
}

type redirect struct {
	ID             int
	From, To, Type string
}

// job is what is done in the background; one at a time.
type job struct {
	Kind  string    `json:"kind,omitempty"` // create | install | uninstall | deploy | delete
	Until time.Time `json:"until,omitzero"`
	To    *source   `json:"to,omitempty"`
	Log   []string  `json:"log,omitempty"`
	Fails bool      `json:"fails,omitempty"`
	Pages Pages     `json:"pages"`
}

// settle does what is due.
func (v *Vendor) settle(s *Site) {
	now := v.o.Now()
	s.Script.settle(now)
	s.Env.settle(now)
	for _, c := range s.Certs {
		v.settleCert(s, c)
	}
	if s.Job.Kind == "" || now.Before(s.Job.Until) {
		return
	}
	j := s.Job
	s.Job = job{}
	switch j.Kind {
	case "create":
		s.Status = "active"
		s.EnvThere = !v.o.Doubts.EnvWithRepo
		s.Logs = append([]log{{v.world.IDs.Number(), "Install virtual host " + s.Domain, "done", now}}, s.Logs...)
	case "install":
		s.Status, s.Repository, s.Quick = "active", j.To, v.o.Doubts.QuickOn
		s.EnvThere = true
		s.Script.Now = "cd /home/ploi/" + s.Domain + "\ngit pull origin " + j.To.Branch + "\n"
	case "uninstall":
		s.Status, s.Repository, s.Pages = "active", nil, Pages{}
		if v.o.Doubts.EnvWithRepo { // it goes as it came
			s.EnvThere, s.Env = false, late{}
		}
	case "delete":
		v.world.Sites.Delete(strconv.Itoa(s.ID))
	case "deploy":
		v.deployed(s, j)
	}
}

// begin starts something in the background.
func (v *Vendor) begin(s *Site, status string, takes time.Duration, j job) {
	j.Until = v.o.Now().Add(takes)
	s.Status, s.Job = status, j
	if takes == 0 {
		v.settle(s)
	}
}

func (v *Vendor) show(s *Site) object {
	o := object{"id": s.ID, "status": s.Status, "server_id": s.Server, "domain": s.Domain, "test_domain": nil, "deploy_script": false, "web_directory": s.Directory,
		"project_type": nil, "project_root": "/", "last_deploy_at": nil, "system_user": "ploi", "php_version": "8.3", "health_url": nil,
		"has_repository": s.Repository != nil, "zero_downtime_deployment": false, "has_staging": false, "created_at": stamp(s.Created), "current_deploy_log": nil}
	if s.Test != "" {
		o["test_domain"] = s.Test
	}
	if s.Script.Now != "" {
		o["deploy_script"] = s.Script.Now
	}
	if s.LastDeploy != "" {
		o["last_deploy_at"] = s.LastDeploy
	}
	if live := v.live(s); live != "" {
		o["current_deploy_log"] = live
	}
	if !v.o.Doubts.QuickHidden {
		o["quick_deploy"] = s.Quick
	}
	return o
}

var (
	domains     = regexp.MustCompile(`^([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	directories = regexp.MustCompile(`^[a-zA-Z0-9/]{1,50}$`)
)

func (v *Vendor) siteRoutes() {
	v.at("GET /servers/{server}/sites", func(w http.ResponseWriter, r *http.Request) {
		server, ok := v.server(w, r)
		if !ok {
			return
		}
		search := r.URL.Query().Get("search")
		var rows []object
		for _, s := range v.world.Sites.Seen() {
			if s.Server == server.ID && (search == "" || v.o.Doubts.NoSearch || strings.Contains(s.Domain, search)) {
				rows = append(rows, v.show(s))
			}
		}
		paged(w, r, rows)
	})
	v.at("POST /servers/{server}/sites", v.createSite)
	v.ofSite("GET ", func(w http.ResponseWriter, _ *http.Request, s *Site) { answer(w, http.StatusOK, data(v.show(s))) })
	v.ofSite("DELETE ", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		v.begin(s, "deleting", v.o.Work, job{Kind: "delete"})
		v.done(w, "Site is being deleted")
	})
	v.ofSite("POST /suspend", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		s.Status, s.Suspended = "suspended", true
		answer(w, http.StatusOK, data(v.show(s)))
	})
	v.ofSite("POST /resume", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		s.Status, s.Suspended = "active", false
		answer(w, http.StatusOK, data(v.show(s)))
	})
	v.ofSite("GET /test-domain", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		answer(w, http.StatusOK, data(object{"test_domain": s.Test}))
	})
	v.ofSite("POST /test-domain", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		s.Test = "site" + strconv.Itoa(s.ID) + ".test.ploi.example"
		answer(w, http.StatusOK, data(object{"test_domain": s.Test}))
	})
	v.ofSite("DELETE /test-domain", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		s.Test = ""
		v.done(w, "Test domain is removed")
	})
	v.ofSite("GET /env", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		switch {
		case !s.EnvThere:
			refuse(w, http.StatusNotFound, "Not found.")
		case v.o.Doubts.EnvAsData:
			answer(w, http.StatusOK, data(s.Env.Now))
		default:
			answer(w, http.StatusOK, object{"content": s.Env.Now})
		}
	})
	v.ofSite("PATCH /env", func(w http.ResponseWriter, r *http.Request, s *Site) {
		in, ok := input(w, r)
		switch {
		case !ok:
		case !s.EnvThere:
			refuse(w, http.StatusNotFound, "Not found.")
		case len(text(in, "content")) < 2:
			v.invalid(w, "content", "The content must be at least 2 characters.")
		default:
			s.Env.put(text(in, "content"), v.o.Now().Add(v.o.Write))
			s.Env.settle(v.o.Now())
			v.done(w, "Environment file has been updated")
		}
	})
}

func (v *Vendor) createSite(w http.ResponseWriter, r *http.Request) {
	server, ok := v.server(w, r)
	if !ok {
		return
	}
	in, ok := input(w, r)
	if !ok {
		return
	}
	domain := strings.ToLower(text(in, "root_domain"))
	switch {
	case len(domain) > 100 || !domains.MatchString(domain):
		v.invalid(w, "root_domain", "The root domain format is invalid.")
		return
	case !directories.MatchString(text(in, "web_directory")):
		v.invalid(w, "web_directory", "The web directory format is invalid.")
		return
	}
	for _, s := range v.world.Sites.All() {
		if s.Server == server.ID && s.Domain == domain {
			v.invalid(w, "root_domain", "The root domain has already been taken.")
			return
		}
	}
	s := &Site{ID: v.world.IDs.Number(), Server: server.ID, Domain: domain, Directory: text(in, "web_directory"), Created: v.o.Now()}
	s.Env.Now = ""
	v.world.Sites.Put(strconv.Itoa(s.ID), s)
	v.begin(s, "created", v.o.Work, job{Kind: "create"})
	shown := v.show(s)
	delete(shown, "status") // the vendor's page shows none here
	answer(w, http.StatusCreated, data(shown))
}
