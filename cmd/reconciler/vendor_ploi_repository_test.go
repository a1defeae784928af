package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
)

// A repository at Ploi that is taken away takes along what was built of it, and its .env where that came with it.
func TestRuleRepositoriesAtPloi(t *testing.T) {
	for name, doubts := range map[string]simulated.Doubts{"as usual": {}, "the other way": simulated.AllDoubts()} {
		shop := func(source, currency string) map[string]string {
			return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: ploi, server: web-1"+source+"}", "env: {STORE_CURRENCY: "+currency+"}")}
		}
		begin := func(t *testing.T) *agency {
			t.Helper()
			a := newAgency(t, shop("", "EUR"), doubts)
			a.must0("", "apply")
			return a
		}
		t.Run("the manifest names another one, "+name, func(t *testing.T) {
			a := begin(t)
			a.ploi.Edit(a.ploi.Sites()[0].ID, func(s *simulated.Site) { s.Env.Now += "BY_HAND=1\n" })
			a.commit(shop(", repository: compassdigital/shop2", "EUR"))
			a.must0("", "apply")
			if env := a.built[len(a.built)-1]; !strings.Contains(env, "STORE_CURRENCY=EUR\n") || !strings.Contains(env, "BY_HAND=1\n") {
				t.Errorf("it was built with\n%s", env)
			}
			a.clock.add(patience)
			a.must0("", "apply") // the script went, too, and with it that the site serves: it is said once more
			a.must0("Everything is as recorded", "drift")
		})
		t.Run("somebody takes it away, "+name, func(t *testing.T) {
			a := begin(t)
			r := mustRequest(t, http.MethodDelete, fmt.Sprintf("%s/api/servers/1/sites/%d/repository", a.server.URL, a.ploi.Sites()[0].ID), "")
			r.Header.Set("Authorization", "Bearer "+a.env["PLOI_API_TOKEN"])
			answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatal(answer, err)
			}
			if err := answer.Body.Close(); err != nil {
				t.Fatal(err)
			}
			a.clock.add(patience)
			a.must0("", "retry", "demoshop")
			a.must0("", "apply")
			if code, page := a.visit("demoshop.localhost", "/"); code != http.StatusOK || !strings.Contains(page, "built") {
				t.Errorf("it answers %d %s", code, page)
			}
			if env := a.built[len(a.built)-1]; len(a.built) != 2 || !strings.Contains(env, "STORE_CURRENCY=EUR\n") {
				t.Errorf("%d were built, the last one with\n%s", len(a.built), env)
			}
			a.must0("Everything is as recorded", "drift")
		})
	}
}

// must0 runs a command that has to go well, and to say something.
func (a *agency) must0(want string, args ...string) {
	a.t.Helper()
	if code, out := a.program(args...); code != 0 || !strings.Contains(out, want) {
		a.t.Fatalf("%s ends with %d\n%s", args[0], code, out)
	}
}
