package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// S41: a person suspends a site at Ploi. A look says so, and so does whatever is asked of it; resumed there, it goes on.
func TestS41SuspendedSiteAtPloi(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase()...)})
	f.settle("a")
	press := func(button string) {
		f.ofPloi("a", func(s *ploisim.Site) { f.askPloi(http.MethodPost, fmt.Sprintf("/servers/1/sites/%d/%s", s.ID, button)) })
	}
	press("suspend")
	if r := f.cli("drift", "a"); r.code != 1 || !strings.Contains(r.out, "the site is suspended at Ploi, resume it there") {
		t.Errorf("drift ends with %d\n%s", r.code, r.out)
	}
	f.must(0, "retry", "a")
	if r := rowOf(f.apply(), "a"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "suspended") {
		t.Errorf("retried, it is %s: %s", r.Status, r.Because)
	}
	press("resume")
	f.must(0, "retry", "a")
	f.settle("a")
	if r := f.cli("drift", "a"); r.code != 0 {
		t.Errorf("resumed, drift ends with %d\n%s", r.code, r.out)
	}
}

// A person makes a client's name the root domain of its site at Ploi, and the client is removed. What is to be done there
// is said, and helps.
func TestRuleNameThatBecameTheRootDomainAtPloi(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase()...), "clients/b.yaml": atPloi("b", withoutDatabase()...)})
	f.settle("a", "b")
	id, root := 0, ""
	f.ofPloi("a", func(s *ploisim.Site) { id, root = s.ID, s.Domain })
	f.ploi.Edit(id, func(s *ploisim.Site) { s.Domain, s.Aliases = site("a"), nil })
	f.git("rm", "-q", "clients/a.yaml")
	f.commit(nil)
	if r := rowOf(f.apply(), "a"); !strings.Contains(r.Because, "make "+root+" its root domain there") {
		t.Fatalf("it is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	f.ploi.Edit(id, func(s *ploisim.Site) { s.Domain = root })
	f.must(0, "retry", "a")
	f.apply()
	if slices.ContainsFunc(f.ploi.Sites(), func(s ploisim.Site) bool { return s.ID == id }) {
		t.Error("its site is still there")
	}
}

// P3: Ploi's token is another account's (a new .env, another machine): Ploi says 404 of all that is on the servers. None of it
// is gone: a client that goes waits, with what to set, and a change makes nothing anew. With the right one all is done.
func TestP3SitesThatAnotherTokenOfPloiDoesNotSee(t *testing.T) {
	t.Parallel()
	light := func(name, title string) string {
		return strings.Replace(atPloi(name, withoutDatabase()...), "Shop "+name, title, 1)
	}
	f := newFleet(t, usual(), map[string]string{"clients/a.yaml": light("a", "A"), "clients/b.yaml": light("b", "B")})
	f.settle("a", "b")
	sites := len(f.ploi.Sites())
	f.ploi.Hide(1, true)
	f.git("rm", "-q", "clients/a.yaml")
	f.commit(map[string]string{"clients/b.yaml": light("b", "Another")})
	for range 4 {
		f.apply()
		f.clock.add(time.Hour)
	}
	for _, name := range []string{"a", "b"} {
		if r := f.why(name); !strings.Contains(r.Because, "set providers.ploi.apiToken to one of the account") {
			t.Errorf("%s is %s: %s; %s", name, r.Status, r.Because, r.Next)
		}
	}
	f.ploi.Hide(1, false)
	f.settle("b")
	for range 4 {
		f.apply()
		f.clock.add(time.Hour)
	}
	if left := f.ploi.Sites(); len(left) != sites-1 || slices.ContainsFunc(left, func(s ploisim.Site) bool { return whose(s.Domain) == "a" }) {
		t.Errorf("%d sites are left of %d", len(left), sites)
	}
}

// P6: a server is deleted at Ploi while sites of ours are on it. What was on it is gone: its clients move, or go, and those
// of the other server are looked at.
func TestP6ServerThatWasDeletedAtPloi(t *testing.T) {
	on := func(name, server string) string {
		return manifestOf(name, "deployment: {provider: ploi, server: "+server+"}")
	}
	a := newAgency(t, map[string]string{"clients/demoshop.yaml": on("demoshop", "web-1"), "clients/bakery.yaml": on("bakery", "web-1"), "clients/harbour.yaml": on("harbour", "web-2")}, ploisim.Doubts{},
		func(o *ploisim.Options) {
			o.Servers = []ploisim.Server{{ID: 1, Name: "first", Address: ploiServer}, {ID: 2, Name: "second", Address: ploiServer}}
		})
	a.servers = map[string]string{"web-1": "1", "web-2": "2"}
	a.must0("", "apply")
	a.ploi.Hide(1, true)
	a.clock.add(time.Hour)
	if _, out := a.program("drift", "harbour"); strings.Contains(out, "unknown") {
		t.Errorf("of another server drift says\n%s", out)
	}
	a.commit(map[string]string{"clients/demoshop.yaml": on("demoshop", "web-2"), "clients/bakery.yaml": ""})
	for range 4 {
		if _, out := a.program("apply"); strings.Contains(out, "`reconciler approve ") { // its certificate comes once the name leads there
			_, rest, _ := strings.Cut(out, "`reconciler approve ")
			fingerprint, _, _ := strings.Cut(rest, "`")
			a.must0("", "approve", fingerprint)
		}
		a.clock.add(time.Hour)
	}
	a.must0("", "apply")
	if code, page := a.visit("demoshop.localhost", "/"); code != http.StatusOK {
		t.Errorf("it answers %d %s", code, page)
	}
	a.must0("Everything is as recorded", "drift")
	if _, out := a.program("status"); strings.Contains(out, "failed") {
		t.Errorf("status says\n%s", out)
	}
}

// A site that somebody made by hand has the name that a new client asks for, on the same server: it answers, and Ploi takes
// the name for both. The client is not told as active with somebody else's site, and that one stays as it is.
func TestRuleNameOfASiteThatWasMadeByHandAtPloi(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/b.yaml": atPloi("b", withoutDatabase()...)})
	f.settle("b")
	id := f.ploi.Seed(site("a"), "", "git pull\n")
	f.commit(map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase()...)})
	if r := rowOf(f.apply(), "a"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, fmt.Sprintf("root domain of site 1/%d", id)) || !strings.Contains(r.Because, "adopt") {
		t.Fatalf("it is %s: %s; %s", r.Status, r.Because, r.Next)
	}
	if !slices.ContainsFunc(f.ploi.Sites(), func(s ploisim.Site) bool { return s.ID == id && s.Domain == site("a") && s.Env.Text() == "" }) {
		t.Error("the site that was there is another one")
	}
	f.askPloi(http.MethodDelete, fmt.Sprintf("/servers/1/sites/%d", id))
	f.clock.add(time.Hour)
	f.must(0, "retry", "a")
	f.settle("a")
	if code, page := f.visit(site("a"), "/"); code != http.StatusOK || !strings.Contains(page, "built") {
		t.Errorf("once it is deleted, it answers %d %s", code, page)
	}
}
