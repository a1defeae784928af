package web

import (
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

//go:embed page
var files embed.FS

// Reader is what the pages read.
type Reader interface {
	Overview() (reconcile.Overview, error)
	Detail(name string) (reconcile.Detail, error)
	Deployments(name string, limit int) ([]state.Deployment, error)
	History(name string, limit int) ([]state.Entry, error)
}

// Message is one mail that was caught.
type Message struct {
	At                time.Time
	To, Subject, Text string
}

// Options of the pages.
type Options struct {
	Read    Reader
	Mail    func() ([]Message, error) // nil: no mailbox
	Healthy func() error              // what is wrong with the daemon; nil: nothing
	Log     *slog.Logger
	Hosts   []string                 // names beside addresses and localhost that may be asked for
	Site    func(name string) string // path at which a site is shown, too; nil: it isn't
}

// maxShown is how many audit records and history lines a page shows.
const maxShown = 50

// Register puts the pages on a mux.
func Register(mux *http.ServeMux, o Options) error {
	site := func(name string) string { return "" }
	if o.Site != nil {
		site = o.Site
	}
	pages, err := template.New("").Funcs(template.FuncMap{"short": short, "when": when, "site": site, "mail": func() bool { return o.Mail != nil }}).ParseFS(files, "page/*.html")
	if err != nil {
		return err
	}
	s := &server{Options: o, pages: pages}
	mux.Handle("GET /healthz", s.guard(s.healthz))
	mux.Handle("GET /api/clients", s.guard(s.clients))
	mux.Handle("GET /api/clients/{name}", s.guard(s.client))
	mux.Handle("GET /api/deployments", s.guard(s.deployments))
	mux.Handle("GET /api/deployments/{id}", s.guard(s.deployment))
	mux.Handle("GET /mail/", s.guard(s.mail))
	mux.Handle("GET /clients/{name}", s.guard(s.clientPage))
	mux.Handle("GET /style.css", s.guard(s.style))
	mux.Handle("GET /{$}", s.guard(s.dashboard))
	return nil
}

type server struct {
	Options
	pages *template.Template
}

// guard refuses foreign Host names and sets what every answer bears.
func (s *server) guard(h func(http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.mayAsk(r.Host) {
			problem(w, http.StatusMisdirectedRequest, "this host name is not served here")
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		h(w, r)
	})
}

func (s *server) mayAsk(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "localhost" {
		return true
	}
	for _, h := range s.Hosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	if s.Healthy != nil {
		if err := s.Healthy(); err != nil {
			problem(w, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

func (s *server) clients(w http.ResponseWriter, _ *http.Request) {
	v, err := s.Read.Overview()
	s.json(w, v, err)
}

func (s *server) client(w http.ResponseWriter, r *http.Request) {
	v, err := s.Read.Detail(r.PathValue("name"))
	s.json(w, v, err)
}

func (s *server) deployments(w http.ResponseWriter, r *http.Request) {
	v, err := s.Read.Deployments(r.URL.Query().Get("client"), maxShown)
	s.json(w, map[string]any{"deployments": v}, err)
}

func (s *server) deployment(w http.ResponseWriter, r *http.Request) {
	all, err := s.Read.Deployments("", 1000)
	for _, d := range all {
		if d.ID == r.PathValue("id") {
			s.json(w, d, nil)
			return
		}
	}
	if err == nil {
		err = reconcile.ErrNoDeployment
	}
	s.json(w, nil, err)
}

func (s *server) json(w http.ResponseWriter, v any, err error) {
	switch {
	case errors.Is(err, reconcile.ErrNoClient), errors.Is(err, reconcile.ErrNoDeployment):
		problem(w, http.StatusNotFound, err.Error())
	case err != nil:
		s.Log.Error("page can't be shown", "error", err)
		problem(w, http.StatusInternalServerError, "the state can't be read; the log says why")
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
	}
}

func problem(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": title, "status": status})
}

func (s *server) page(w http.ResponseWriter, name string, v any, err error) {
	if err != nil {
		s.json(w, nil, err)
		return
	}
	var b strings.Builder
	if err := s.pages.ExecuteTemplate(&b, name, v); err != nil {
		s.json(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(b.String()))
}

func (s *server) dashboard(w http.ResponseWriter, _ *http.Request) {
	v, err := s.Read.Overview()
	if err != nil {
		s.page(w, "", nil, err)
		return
	}
	h, err := s.Read.History("", 15)
	s.page(w, "dashboard.html", map[string]any{"Overview": v, "History": h, "Mail": s.Mail != nil}, err)
}

func (s *server) clientPage(w http.ResponseWriter, r *http.Request) {
	d, err := s.Read.Detail(r.PathValue("name"))
	s.page(w, "client.html", d, err)
}

func (s *server) mail(w http.ResponseWriter, _ *http.Request) {
	if s.Mail == nil {
		problem(w, http.StatusNotFound, "no mailbox here")
		return
	}
	all, err := s.Mail()
	s.page(w, "mail.html", all, err)
}

func (s *server) style(w http.ResponseWriter, _ *http.Request) {
	data, err := files.ReadFile("page/style.css")
	if err != nil {
		s.json(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(data)
}

func short(commit string) string {
	if len(commit) > 7 {
		return commit[:7]
	}
	return commit
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2 Jan 2006 15:04:05 UTC")
}
