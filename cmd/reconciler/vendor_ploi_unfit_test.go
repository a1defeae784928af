package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
)

// A change of a site at Ploi, which serves what was built last, is unfit as people see it. What served before is
// built again, with the variables that it had, also where it is what was adopted with the site.
func TestAChangeThatIsUnfitFromOutsideIsPutBackAtPloi(t *testing.T) {
	for _, adopted := range []bool{false, true} {
		t.Run(fmt.Sprintf("adopted %t", adopted), func(t *testing.T) {
			a := newAgency(t, map[string]string{"clients/keeper.yaml": manifestOf("keeper", "deployment: {provider: none}", "database: {provider: none}", "dns: {provider: none}", "env: {DATABASE_URL: {none: true}}")}, simulated.Doubts{})
			more, times := []string{"deployment: {provider: ploi, server: web-1, ref: main}", "database: {provider: none}"}, 2
			if adopted {
				number := a.ploi.Seed("demoshop.localhost", "PAYLOAD_SECRET=invented-old-value\nNEXT_PUBLIC_SERVER_URL=https://demoshop.localhost\n", "cd /home/ploi/demoshop.localhost\ngit pull\n")
				more, times = append(more, "dns: {provider: none}", fmt.Sprintf("adopt: {site: {id: \"1/%d\"}}", number)), 1
			}
			must := func(want int, env string) (out string) {
				t.Helper()
				a.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", append(more, "env: {DATABASE_URL: {none: true}"+env+"}")...)})
				code, out := a.pass()
				if code != want {
					t.Fatalf("with %q: exit code %d\n%s", env, code, out)
				}
				return out
			}
			must(0, "")
			a.unfit = "demoshop.localhost"
			if out := must(1, ", STORE_CURRENCY: EUR"); !strings.Contains(out, "Your site still runs the old version.") {
				t.Errorf("it says\n%s", out)
			}
			if n := len(a.built); n != times+1 || !strings.Contains(a.built[n-2], "STORE_CURRENCY=EUR") || strings.Contains(a.built[n-1], "STORE_CURRENCY") {
				t.Errorf("built were:\n%s", strings.Join(a.built, "\n---\n"))
			}
			a.unfit = ""
			must(0, ", STORE_CURRENCY: CHF")
			if code, _ := a.visit("demoshop.localhost", "/"); code != http.StatusOK {
				t.Errorf("it answers %d", code)
			}
		})
	}
}
