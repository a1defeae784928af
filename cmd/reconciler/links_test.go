package main

import (
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/reconcile"
)

// onThisMachineOnly is an installation as the demo's: nothing leads to it from outside.
func onThisMachineOnly(_ *hub, _ *simulated.Options, config *[]string) { *config = nil }

// Where the program is reached on this machine only, a client's own domain leads no
// browser to it: every link to such a client is a path that answers. Names below localhost
// lead there, and stay.
func TestLinksToSitesWorkOnThisMachine(t *testing.T) {
	h := newHub(t, map[string]string{"README.md": "clients\n"}, onThisMachineOnly)
	h.look()
	own := strings.Replace(manifestOf("atelier", "aliases: [www.atelier.example]", "admin: {email: noor@atelier.example}"), "domain: atelier\n", "domain: atelier.example\n", 1)
	n := h.propose("add-two", map[string]string{"clients/atelier.yaml": own, "clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	h.merge(n, simulated.MergeCommit)
	h.look()
	h.active("atelier", "bakery")

	base := "http://" + h.daemon.program.listensAt()
	_, port, _ := strings.Cut(h.daemon.program.listensAt(), ":")
	links := map[string]string{}
	is := func(where, link, want string) {
		t.Helper()
		if link != want {
			t.Errorf("%s leads to %q, want %q", where, link, want)
		}
		links[where] = link
	}
	atelier := rowOf(h.status(), "atelier")
	is("status", atelier.URL, base+"/sites/atelier/")
	is("status, administration", atelier.AdminURL, base+"/sites/atelier/admin")
	is("why", h.why("atelier").URL, base+"/sites/atelier/")
	var rows struct{ Clients []reconcile.Row }
	h.json(&rows, "status", "-o", "json")
	is("status -o json", rowOf(reconcile.Overview{Clients: rows.Clients}, "atelier").URL, base+"/sites/atelier/")
	d := h.gh.Deployments("atelier")
	if len(d) != 1 || d[0].State() != "success" {
		t.Fatalf("deployments: %+v", d)
	}
	is("the deployment", d[0].Statuses[len(d[0].Statuses)-1].URL, base+"/sites/atelier/")
	result := h.wantComment(n, "result", "[site](<"+base+"/sites/atelier/>)", "[site](<http://bakery.localhost:"+port+">)")
	is("status of bakery", rowOf(h.status(), "bakery").URL, "http://bakery.localhost:"+port)

	said := map[string]string{"the result": result}
	for _, path := range []string{"/", "/clients/atelier", "/api/clients", "/mail/"} {
		_, page := h.get("127.0.0.1", path)
		said[path] = html.UnescapeString(page)
	}
	if mail := said["/mail/"]; !strings.Contains(mail, base+"/sites/atelier/\n") || !strings.Contains(mail, base+"/sites/atelier/admin") {
		t.Errorf("the mail says\n%s", mail)
	}
	dead := regexp.MustCompile(`(href="|\(<|"url": ?"|is ready: )http://[^/\s"<>]*atelier\.example[^\s"<>]*`)
	for where, text := range said {
		if dead := dead.FindString(text); dead != "" { // its environment may be shown, as words
			t.Errorf("%s has %s", where, dead)
		}
	}
	for where, link := range links {
		if strings.Contains(link, ".localhost:") {
			continue // not every resolver knows that these are this machine's; browsers do
		}
		res, err := http.Get(link)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.Contains(string(body), "Shop atelier") {
			t.Errorf("%s: %s answers %d\n%.300s", where, link, res.StatusCode, body)
		}
	}
	if code, _ := h.get("atelier.example", "/"); code != 200 { // probes and the world ask for the name itself
		t.Errorf("its own name answers %d", code)
	}
}
