package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
)

const (
	// shownDeployments is how many audit records are listed unasked.
	shownDeployments = 50
	// maxDeployments is how many one may ask for.
	maxDeployments = 1000
	// maxName is the longest name that is looked up, in bytes. Names are shorter.
	maxName = 200
)

// errBadQuery: a parameter is not what it may be.
var errBadQuery = errors.New("the query is not understood")

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) { ok(w) }

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	err := error(nil)
	if s.Ready != nil {
		err = s.Ready()
	}
	switch {
	case err == nil:
		ok(w)
	case fromHere(r) && s.servedHere(r.Host):
		problem(w, http.StatusServiceUnavailable, err.Error())
	default:
		problem(w, http.StatusServiceUnavailable, "not ready; the log says why")
	}
}

func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

func (s *server) clients(w http.ResponseWriter, _ *http.Request) {
	v, err := s.Read.Overview()
	s.json(w, v, err)
}

func (s *server) client(w http.ResponseWriter, r *http.Request) {
	name, err := bounded(r.PathValue("name"))
	if err != nil {
		s.json(w, nil, err)
		return
	}
	v, err := s.Read.Detail(name)
	s.json(w, v, err)
}

func (s *server) deployments(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name, err := bounded(q.Get("client"))
	limit := shownDeployments
	if l := q.Get("limit"); err == nil && l != "" {
		if limit, err = strconv.Atoi(l); err != nil || limit < 1 || limit > maxDeployments {
			err = fmt.Errorf("%w: limit is a number from 1 to %d", errBadQuery, maxDeployments)
		}
	}
	if err != nil {
		s.json(w, nil, err)
		return
	}
	v, err := s.Read.Deployments(name, limit)
	s.json(w, map[string]any{"deployments": v}, err)
}

func (s *server) deployment(w http.ResponseWriter, r *http.Request) {
	id, err := bounded(r.PathValue("id"))
	if err != nil {
		s.json(w, nil, err)
		return
	}
	v, err := s.Read.Deployment(id)
	s.json(w, v, err)
}

// bounded is a name that may be looked up.
func bounded(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("%w: no name has more than %d characters", errBadQuery, maxName)
	}
	return name, nil
}

// json answers with a value, or says what is wrong.
func (s *server) json(w http.ResponseWriter, v any, err error) {
	if err != nil {
		status, title := s.wrong(err)
		problem(w, status, title)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
}

// wrong is what to say of an error. One of ours is logged, and not told.
func (s *server) wrong(err error) (status int, title string) {
	var unable Unable
	switch {
	case errors.As(err, &unable):
		return http.StatusServiceUnavailable, report.Line(unable.Error())
	case errors.Is(err, reconcile.ErrRefused):
		return http.StatusNotFound, err.Error()
	case errors.Is(err, errBadQuery):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, errNothingHere), errors.Is(err, reconcile.ErrNoClient), errors.Is(err, reconcile.ErrNoDeployment),
		errors.Is(err, reconcile.ErrNoPull), errors.Is(err, reconcile.ErrNoCommit):
		return http.StatusNotFound, err.Error()
	}
	s.Log.Error("page can't be shown", "error", err)
	return http.StatusInternalServerError, "the state can't be read; the log says why"
}
