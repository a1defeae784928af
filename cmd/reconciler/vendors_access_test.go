package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// S28: `database.access` changes, and the database's new address is not there in time. The next try deploys the site
// with the address that it has by then, at both hosts, whether that is a `retry` or a commit.
func TestS28SiteHasTheAddressThatCameLate(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"ploi", "vercel"} {
		for _, again := range []string{"retry", "a commit"} {
			t.Run(host+" "+again, func(t *testing.T) {
				t.Parallel()
				k := usual()
				k.build = 3 * time.Minute // of the address, too
				at := func(timeout, access string) map[string]string {
					return map[string]string{"clients/a.yaml": manifestOf("a", fmt.Sprintf("deployment: {provider: %s, timeout: %s}", host, timeout), "database: {access: "+access+"}")}
				}
				f := newFleet(t, k, at("30m", "private"))
				f.settle("a")
				f.commit(at("1m", "public"))
				for _, h := range f.apply().Holds {
					f.must(0, "approve", h.Fingerprint)
				}
				if r := rowOf(f.apply(), "a"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "the database was not ready") {
					t.Fatalf("it is %s: %s", r.Status, r.Because)
				}
				f.clock.add(10 * time.Minute)
				if again == "retry" {
					f.must(0, "retry", "a")
					f.apply() // the release takes longer than that
				}
				f.commit(at("30m", "public"))
				f.settle("a")
				var want string
				for _, p := range f.railway.Projects() {
					if whose(p.Name) == "a" {
						want = p.URL
					}
				}
				if got := f.environment("a")["DATABASE_URL"]; got != want || want == "" {
					t.Errorf("the site has another address than its database")
				}
				if v := f.plan(); len(v.Changes) > 0 {
					t.Errorf("there is still something to do: %q", changes(v))
				}
			})
		}
	}
}
