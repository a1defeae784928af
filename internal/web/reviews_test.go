package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// proposed is one pull request, and what was told of it.
type proposed struct {
	pull state.Pull
	plan report.Plan
}

func (p proposed) Pulls() ([]state.Pull, error)              { return []state.Pull{p.pull}, nil }
func (p proposed) Pull(int) (state.Pull, report.Plan, error) { return p.pull, p.plan, nil }
func (p proposed) Commit(string) (state.Verdict, []state.Pull, error) {
	return state.Verdict{}, nil, nil
}

// That nothing changes is said of a plan that was made, and alone where nothing is wrong: not of a pull request that nobody has
// planned yet, and not of one from a fork, whose files alone were checked.
func TestThePageOfAPullRequestSaysThatNothingChangesOnlyOfAPlan(t *testing.T) {
	wrong := report.Plan{Problems: []report.Problem{{Path: "clients/bakery.yaml", Line: 3, Text: "the domain is no name"}}}
	for name, c := range map[string]struct {
		p         proposed
		says, not string
	}{
		"planned":         {proposed{state.Pull{Number: 7, Head: "a1", Planned: "a1"}, report.Plan{}}, "Nothing changes for any client.", "not planned yet"},
		"not planned yet": {proposed{state.Pull{Number: 7, Head: "a1"}, report.Plan{}}, "not planned yet", "Nothing"},
		"from a fork":     {proposed{state.Pull{Number: 7, Head: "a1", Planned: "a1", Static: true}, report.Plan{}}, "nothing was planned", "Nothing changes"},
		"invalid":         {proposed{state.Pull{Number: 7, Head: "a1", Planned: "a1"}, wrong}, "Nothing else changes.", "Nothing changes for any client"},
	} {
		h, err := Handler(Options{Read: &known{}, Reviews: c.p, Ready: func() error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "http://localhost/pulls/7", nil)
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if page := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(page, c.says) || strings.Contains(page, c.not) {
			t.Errorf("%s: %d\n%s", name, w.Code, page)
		}
	}
}
