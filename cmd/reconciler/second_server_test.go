package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
)

// An installation has one server at Ploi, so that its manifests name none. It gets a second one: the sites stay where
// they are, and go on being changed and removed. A new client has to say where it goes, and is told how.
func TestRuleASecondServerAtPloi(t *testing.T) {
	shop := func(name string, more ...string) map[string]string {
		return map[string]string{"clients/" + name + ".yaml": manifestOf(name, append([]string{"deployment: {provider: ploi}"}, more...)...)}
	}
	a := newAgency(t, shop("demoshop"), simulated.Doubts{}, func(o *simulated.Options) {
		o.Servers = []simulated.Server{{ID: 1, Name: "first", Address: "203.0.113.10"}, {ID: 2, Name: "second", Address: "203.0.113.10"}}
	})
	pass := func(want int) string {
		t.Helper()
		code, out := a.pass()
		if code != want {
			t.Errorf("exit code %d, want %d\n%s", code, want, out)
		}
		if code, page := a.visit("demoshop.localhost", "/"); code != http.StatusOK {
			t.Errorf("it answers %d %s", code, page)
		}
		return out
	}
	pass(0)
	a.servers = map[string]string{"web-1": "1", "web-2": "2"}
	if _, out := a.program("drift"); !strings.Contains(out, "Everything is as recorded") {
		t.Errorf("drift says\n%s", out)
	}
	a.commit(shop("demoshop", "env: {STORE_CURRENCY: EUR}"))
	pass(0)
	a.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: ploi, repository: compassdigital/other}")}) // the site itself is changed
	pass(0)
	if sites := a.ploi.Sites(); len(sites) != 1 {
		t.Errorf("there are %d sites", len(sites))
	}
	a.commit(shop("newshop"))
	if out := pass(1); !strings.Contains(out, "deployment.server is not said") {
		t.Errorf("it says\n%s", out)
	}
	a.servers = map[string]string{"default": "1", "web-2": "2"}
	a.program("retry", "newshop")
	a.clock.add(time.Hour)
	pass(0)
	a.commit(map[string]string{"clients/newshop.yaml": ""})
	a.servers = map[string]string{"web-1": "1", "web-2": "2"}
	pass(0)
	if sites := a.ploi.Sites(); len(sites) != 1 {
		t.Errorf("there are %d sites", len(sites))
	}
}
