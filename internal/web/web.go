package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

//go:embed page
var files embed.FS

// Reader is what the pages read.
type Reader interface {
	Overview() (reconcile.Overview, error)
	Detail(name string) (reconcile.Detail, error)
	Deployments(name string, limit int) ([]state.Deployment, error)
	Deployment(id string) (state.Deployment, error) // reconcile.ErrNoDeployment
	History(name string, limit int) ([]state.Entry, error)
}

// Message is one mail that was caught.
type Message struct {
	At                time.Time
	To, Subject, Text string
}

// Options of the pages.
type Options struct {
	Read      Reader
	Reviews   Reviews                   // nil: no pull requests are read
	Mail      func() ([]Message, error) // newest first; nil: no mailbox
	Vendors   string                    // path of a page about simulated vendors; "": there are none
	Forge     string                    // path of the forge's page of pull requests, where it is on this address, too; or ""
	Ready     func() error              // why the daemon is not ready; nil: it is
	Log       *slog.Logger
	PublicURL string                   // address at which people find the pages, beside loopback ones; or ""
	Site      func(name string) string // path at which a site is shown, too; nil: it isn't
	Metrics   http.Handler             // answers a scrape; nil: there are none
	// Onboard makes the address at which the owner of a client's account for payments goes on
	// at its keeper, a fresh one each time. Its errors are those of Read, or an Unable.
	Onboard func(ctx context.Context, name string) (state.Secret, error) // nil: nobody takes payments
}

const (
	maxRows    = 500 // clients on the dashboard
	maxHistory = 15  // lines of history on the dashboard
	maxPasses  = 10  // on a client's page
	maxMail    = 100 // messages on the page
)

// errNothingHere: no such page.
var errNothingHere = errors.New("there is nothing at this address")

type server struct {
	Options
	pages *template.Template
	style []byte
}

// Handler answers every path of the pages and the API, and 404 else.
func Handler(o Options) (http.Handler, error) {
	s := &server{Options: o}
	var err error
	if s.style, err = files.ReadFile("page/style.css"); err != nil {
		return nil, err
	}
	if s.pages, err = template.New("").Funcs(s.words()).ParseFS(files, "page/*.html"); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /api/clients", s.clients)
	mux.HandleFunc("GET /api/clients/{name}", s.client)
	mux.HandleFunc("GET /api/deployments", s.deployments)
	mux.HandleFunc("GET /api/deployments/{id}", s.deployment)
	mux.HandleFunc("GET /api/", func(w http.ResponseWriter, _ *http.Request) { s.json(w, nil, errNothingHere) })
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	s.reviews(mux)
	mux.HandleFunc("GET /mail/{$}", s.mail)
	mux.HandleFunc("GET /clients/{name}", s.clientPage)
	if s.Onboard != nil {
		mux.HandleFunc("GET /clients/{name}/payments", s.payments)
	}
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(s.style)
	})
	mux.HandleFunc("GET /{$}", s.dashboard)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { s.page(w, "", nil, errNothingHere) })
	return s.guard(mux), nil
}

// page answers with a page; an error is one, too.
func (s *server) page(w http.ResponseWriter, name string, v any, err error) {
	var b bytes.Buffer
	if err == nil {
		err = s.pages.ExecuteTemplate(&b, name, v)
	}
	status := http.StatusOK
	if err != nil {
		var title string
		status, title = s.wrong(err)
		b.Reset()
		if err := s.pages.ExecuteTemplate(&b, "problem.html", title); err != nil {
			problem(w, status, title)
			return
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever asked has gone
}

// dashboard is what dashboard.html gets.
type dashboard struct {
	reconcile.Overview
	Rows    []row  // those that are shown
	Only    string // status that they have; or ""
	Left    int    // how many are not shown, though they have it
	Counts  []count
	History []state.Entry
}

// row is a client with what is said of it beside the problems of its file.
type row struct {
	reconcile.Row
	Reason string
	What   []reconcile.Part // to do
}

// said is a row beside some problems, which stand at a place: what those say is not said
// again.
func said(r reconcile.Row, problems []state.FileProblem, where string) row {
	out := row{r, report.Beside(r.Why(), r.Name, problems, where), r.Advice}
	for _, p := range problems {
		if p.Client == r.Name && p.Hint == r.Next {
			out.What = nil
		}
	}
	return out
}

// count is how many clients have a status.
type count struct {
	Status string
	N      int
}

func (s *server) dashboard(w http.ResponseWriter, r *http.Request) {
	only := r.URL.Query().Get("status")
	if only != "" && class(only) == "" {
		s.page(w, "", nil, errNothingHere)
		return
	}
	v, err := s.Read.Overview()
	if err != nil {
		s.page(w, "", nil, err)
		return
	}
	d := dashboard{Overview: v, Only: only}
	n := map[string]int{}
	for _, c := range v.Clients {
		n[c.Status]++
		switch {
		case only != "" && c.Status != only:
		case len(d.Rows) == maxRows:
			d.Left++
		default:
			d.Rows = append(d.Rows, said(c, v.Problems, "see above"))
		}
	}
	for _, word := range statuses() {
		if n[word] > 0 {
			d.Counts = append(d.Counts, count{word, n[word]})
		}
	}
	d.History, err = s.Read.History("", maxHistory)
	s.page(w, "dashboard.html", d, err)
}

// clientPage is what client.html gets.
type clientPage struct {
	reconcile.Detail
	Said   row
	Passes []state.Deployment
	Way    bool // there is a way to the keeper of its account for payments
}

func (s *server) clientPage(w http.ResponseWriter, r *http.Request) {
	name, err := bounded(r.PathValue("name"))
	if err != nil {
		s.page(w, "", nil, err)
		return
	}
	d, err := s.Read.Detail(name)
	if err != nil {
		s.page(w, "", nil, err)
		return
	}
	passes := []state.Deployment{}
	if d.ID != "" { // its file was valid once
		passes, err = s.Read.Deployments(name, maxPasses)
	}
	var problems []state.FileProblem
	if d.Problem != nil {
		problems = append(problems, *d.Problem)
	}
	row := d.Row
	row.Drift, row.Payments = nil, nil // they have a place of their own
	s.page(w, "client.html", clientPage{d, said(row, problems, "see below"), passes, s.Onboard != nil}, err)
}

func (s *server) mail(w http.ResponseWriter, _ *http.Request) {
	if s.Mail == nil {
		s.page(w, "", nil, errNothingHere)
		return
	}
	all, err := s.Mail()
	s.page(w, "mail.html", map[string]any{"All": len(all), "Shown": all[:min(len(all), maxMail)]}, err)
}

// mayLink is the address, when it is one of the web; else "".
func mayLink(address string) string {
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return address
	}
	return ""
}
