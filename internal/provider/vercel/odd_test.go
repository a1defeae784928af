package vercel_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// An answer of success without the list that belongs in it says nothing of what is there: who looks for a release whose answer was
// lost does not find none, and would make it a second time, and nobody has no projects, variables or names.
func TestP3AnAnswerWithoutAListIsNoEmptyOne(t *testing.T) {
	k := published(t)
	defer k.Some(t)
	for path, look := range map[string]func(t *testing.T, w *world, c client) error{
		"/v10/projects": func(t *testing.T, w *world, _ client) error { _, err := w.Owned(t.Context(), ours); return err },
		"/v7/deployments": func(t *testing.T, w *world, c client) error {
			x := wishRelease(1, c.site.ID, "aaaaaaaaaaaa")
			_, err := w.Observe(t.Context(), provider.Query{Kind: state.KindDeployment, Name: x.Name, Wish: &x})
			return err
		},
		"/v10/projects/*/env": func(t *testing.T, w *world, c client) error {
			_, err := w.Observe(t.Context(), provider.Query{Kind: state.KindEnvironment, ID: c.site.ID})
			return err
		},
		"/v9/projects/*/domains": func(t *testing.T, w *world, c client) error { _, err := w.Inside(t.Context(), c.site); return err },
	} {
		for _, body := range []string{`{}`, `{"projects":null,"deployments":null,"envs":null,"domains":null,"pagination":{"count":0,"next":null,"prev":null}}`} {
			w := openApart(t, k, simulated.Options{})
			c := w.provision(t, 1)
			w.clock.Move(time.Hour)
			if err := look(t, w, c); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			w.faults.Add(simulator.Fault{Method: http.MethodGet, Path: path, Times: -1, Do: simulator.Refuse(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, body)})
			if err := look(t, w, c); err == nil || provider.KindOf(err) != provider.Transient {
				t.Errorf("%s answers %s: %v", path, body, err)
			}
		}
	}
}

// An answer of success that holds an error is none: what was to be deleted is not known to be gone, nor what was to serve to do so.
func TestP3AnErrorInAnAnswerOfSuccess(t *testing.T) {
	k := published(t)
	defer k.Some(t)
	for path, do := range map[string]func(t *testing.T, w *world, c client) error{
		"/v9/projects/*": func(t *testing.T, w *world, c client) error { return w.Delete(t.Context(), state.KindSite, c.site.ID) },
		"/v13/deployments/*": func(t *testing.T, w *world, c client) error {
			return w.Delete(t.Context(), state.KindDeployment, c.release.ID)
		},
		"/v1/projects/*/pause": func(t *testing.T, w *world, c client) error {
			return w.Delete(t.Context(), state.KindTraffic, c.traffic.ID)
		},
	} {
		w := openApart(t, k, simulated.Options{})
		c := w.provision(t, 1)
		writes := func(r *http.Request, _ []byte) bool { return r.Method != http.MethodGet }
		w.faults.Add(simulator.Fault{Path: path, Match: writes, Do: simulator.Refuse(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, `{"error":{"code":"internal_server_error","message":"An unexpected internal error occurred"}}`)})
		if err := do(t, w, c); err == nil || provider.KindOf(err) != provider.Uncertain {
			t.Errorf("%s: %v", path, err)
		}
		if err := do(t, w, c); err != nil {
			t.Errorf("%s, once more: %v", path, err)
		}
	}
}
