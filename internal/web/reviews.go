package web

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// Reviews is what the pages of pull requests and commits read. What is not there is
// reconcile.ErrNoPull or ErrNoCommit.
type Reviews interface {
	Pulls() ([]state.Pull, error)                          // newest first
	Pull(number int) (state.Pull, report.Plan, error)      // with the plan that was told of it
	Commit(id string) (state.Verdict, []state.Pull, error) // Verdict.Clients by name
}

// maxChanges is how many clients of a plan, or of a commit, a page shows; JSON has all.
const maxChanges = 1000

func (s *server) reviews(mux *http.ServeMux) {
	if s.Reviews == nil {
		return
	}
	mux.HandleFunc("GET /pulls/{$}", s.pulls)
	mux.HandleFunc("GET /pulls/{number}", s.pull)
	mux.HandleFunc("GET /api/pulls/{number}/plan", s.pullPlan)
	mux.HandleFunc("GET /commits/{commit}", s.commit)
}

func (s *server) pulls(w http.ResponseWriter, _ *http.Request) {
	all, err := s.Reviews.Pulls()
	s.page(w, "pulls.html", all[:min(len(all), maxRows)], err)
}

// pullPage is what pull.html gets.
type pullPage struct {
	state.Pull
	Plan report.Plan
	Rows []report.Change
	Left int
}

func (s *server) pull(w http.ResponseWriter, r *http.Request) {
	n, err := number(r)
	if err != nil {
		s.page(w, "", nil, err)
		return
	}
	p, plan, err := s.Reviews.Pull(n)
	shown := min(len(plan.Changes), maxChanges)
	s.page(w, "pull.html", pullPage{p, plan, plan.Ranked()[:shown], len(plan.Changes) - shown}, err)
}

func (s *server) pullPlan(w http.ResponseWriter, r *http.Request) {
	n, err := number(r)
	if err != nil {
		s.json(w, nil, err)
		return
	}
	_, plan, err := s.Reviews.Pull(n)
	s.json(w, plan, err)
}

// commitPage is what commit.html gets.
type commitPage struct {
	state.Verdict
	Pulls []state.Pull
	Rows  []fateRow
	Left  int
	Word  string
}

type fateRow struct{ Name, Fate string }

func (s *server) commit(w http.ResponseWriter, r *http.Request) {
	id, err := bounded(r.PathValue("commit"))
	if err != nil {
		s.page(w, "", nil, err)
		return
	}
	v, pulls, err := s.Reviews.Commit(id)
	p := commitPage{Verdict: v, Pulls: pulls, Word: report.Status(v, func(id state.ClientID) string { return string(id) })}
	for _, name := range sortedFates(v.Clients) {
		if len(p.Rows) == maxChanges {
			p.Left = len(v.Clients) - maxChanges
			break
		}
		p.Rows = append(p.Rows, fateRow{string(name), v.Clients[name]})
	}
	s.page(w, "commit.html", p, err)
}

func number(r *http.Request) (int, error) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: a pull request has a number", errBadQuery)
	}
	return n, nil
}
