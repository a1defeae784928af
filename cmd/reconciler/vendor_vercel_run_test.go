package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// vercelWorld is an installation whose sites are at a simulated Vercel.
type vercelWorld struct {
	*world
	sim    *simulated.Vercel
	faults *simulator.Faults
}

func newVercelWorld(t *testing.T, change ...func(*simulated.Options)) *vercelWorld {
	t.Helper()
	w := &vercelWorld{world: newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery", "deployment: {provider: none}", "database: {provider: none}", "dns: {provider: none}")}), faults: &simulator.Faults{}}
	o := simulated.Options{Now: w.now, Faults: w.faults, Token: "vc-1", Team: "team_agency", Lag: 30 * time.Second, BuildTime: time.Minute, BuildPolls: 2, PointTime: 2 * time.Second}
	for _, f := range change {
		f(&o)
	}
	sim, err := simulated.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.sim = sim
	server := httptest.NewServer(underContract(t, "vercel", sim))
	t.Cleanup(server.Close)
	w.env["RECONCILER_PROVIDERS_VERCEL_API_TOKEN"] = "vc-1"
	w.env["RECONCILER_PROVIDERS_VERCEL_TEAM_ID"] = "team_agency"
	w.env["RECONCILER_PROVIDERS_VERCEL_API_URL"] = server.URL
	return w
}

// at asks the front for an address.
func (w *vercelWorld) at(host string) (int, string) {
	a := httptest.NewRecorder()
	w.sim.Front().ServeHTTP(a, httptest.NewRequest(http.MethodGet, "http://"+host+"/api/health", nil))
	return a.Code, a.Body.String()
}

// applyThere is one pass of the branch's head; probes go to the front.
func (w *vercelWorld) applyThere() reconcile.Overview {
	w.t.Helper()
	var out, errOut bytes.Buffer
	a := w.app(&out, &errOut)
	a.wired = func(p *program) {
		p.engine.Check = func(_ context.Context, base string, _ manifest.Health) error {
			u, err := url.Parse(base)
			if err != nil {
				return err
			}
			status, body := w.at(u.Hostname())
			if status == http.StatusNotFound { // it may be this machine's
				answer := httptest.NewRecorder()
				p.sites.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://"+u.Host+"/api/health", nil))
				status, body = answer.Code, answer.Body.String()
			}
			if status != http.StatusOK {
				return fmt.Errorf("%s answers %d %s", u.Hostname(), status, body)
			}
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	code := a.run(ctx, []string{"apply", "-o", "json", "--config", filepath.Join(w.dir, defaultConfigFile)})
	w.hear("stdout of apply", out.String())
	w.hear("stderr of apply", errOut.String())
	var v reconcile.Overview
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		w.t.Fatalf("apply: exit code %d: %v\n%s%s", code, err, out.String(), errOut.String())
	}
	return v
}

func (w *vercelWorld) wantActive(name string) {
	w.t.Helper()
	if r := rowOf(w.applyThere(), name); r.Status != "active" {
		w.t.Fatalf("%s is %s: %s", name, r.Status, r.Because)
	}
}

// serves is the deployment that answers for a host.
func (w *vercelWorld) serves(host string) string {
	w.t.Helper()
	status, body := w.at(host)
	var a struct{ Deployment string }
	if err := json.Unmarshal([]byte(body), &a); status != http.StatusOK || err != nil {
		w.t.Fatalf("%s answers %d %s", host, status, body)
	}
	return a.Deployment
}

// The whole way at Vercel: a client is provisioned though first answers are lost, an env
// change deploys anew, its revert rolls back without a build (S20), a domain moves, and a
// removed client leaves nothing.
func TestVercelFromFirstToLast(t *testing.T) {
	w := newVercelWorld(t)
	for _, path := range []string{"/v11/projects", "/v10/projects/*/env", "/v13/deployments", "/v10/projects/*/promote/*", "/v10/projects/*/domains"} {
		w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: path, Do: simulator.LoseAnswer()})
	}
	shop := func(more ...string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", append([]string{"deployment: {provider: vercel}", "database: {provider: sqlite}"}, more...)...)}
	}
	w.commit(shop("env: {STORE_CURRENCY: EUR}"))
	for range 5 {
		if rowOf(w.applyThere(), "demoshop").Status == "active" {
			break
		}
		w.clock.add(2 * time.Minute)
	}
	w.wantActive("demoshop")
	first := w.serves("demoshop.localhost")
	if lost := w.faults.Happened()["answer lost"]; lost != 5 {
		t.Errorf("%d answers were lost", lost)
	}

	change := w.commit(shop("env: {STORE_CURRENCY: USD}"))
	w.wantActive("demoshop")
	second := w.serves("demoshop.localhost")
	if second == first {
		t.Error("the changed variable was not deployed")
	}
	w.revert(change)
	w.wantActive("demoshop")
	if again := w.serves("demoshop.localhost"); again != first {
		t.Errorf("after the revert %s serves, it was %s", again, first)
	}

	w.commit(shop("env: {STORE_CURRENCY: EUR}", "aliases: [www.demoshop.localhost]"))
	w.wantActive("demoshop")
	if status, _ := w.at("www.demoshop.localhost"); status != http.StatusPermanentRedirect {
		t.Errorf("the alias answers %d", status)
	}
	if v := w.plan(); len(v.Changes) > 0 {
		t.Errorf("there is still something to do: %+v", v.Changes)
	}

	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.applyThere()
	w.applyThere()
	for _, host := range []string{"demoshop.localhost", "www.demoshop.localhost"} {
		if status, _ := w.at(host); status != http.StatusNotFound {
			t.Errorf("%s still answers %d", host, status)
		}
	}
	if got := w.status(); strings.Contains(fmt.Sprint(got), "failed") {
		t.Errorf("%+v", got.Clients)
	}
}

// S28: a quota that is used up fails the client in the vendor's words, keeps nobody else, and
// `retry` goes on from there. S33: a token that is not accepted any more waits.
func TestVercelRefuses(t *testing.T) {
	w := newVercelWorld(t)
	w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: "/v13/deployments", Times: -1,
		Do: simulator.Refuse(402, nil, `{"error":{"code":"api-deployments-free-per-day","message":"Resource is limited - try again in 24 hours"}}`)})
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: vercel}", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}", "onFailure: keep")})
	v := w.applyThere()
	if r := rowOf(v, "demoshop"); r.Status != "failed" || !strings.Contains(r.Because, "Resource is limited - try again in 24 hours") {
		t.Errorf("it is %s: %s", r.Status, r.Because)
	}
	if r := rowOf(v, "bakery"); r.Status != "active" {
		t.Errorf("another client is %s: %s", r.Status, r.Because)
	}
	w.faults.Clear()
	w.faults.Add(simulator.Fault{Times: -1, Do: simulator.Refuse(403, nil, `{"error":{"code":"forbidden","message":"Not authorized","invalidToken":true}}`)})
	w.must(0, "retry", "demoshop")
	if r := rowOf(w.applyThere(), "demoshop"); r.Status == "active" || !strings.Contains(r.Because, "the token of providers.vercel is not accepted") {
		t.Errorf("it is %s: %s", r.Status, r.Because)
	}
	w.faults.Clear()
	w.must(0, "retry", "demoshop")
	w.wantActive("demoshop")
}

// A domain that another account uses waits for a person, says which record to set, and goes on
// once Vercel believes it.
func TestVercelDomainWaitsForAPerson(t *testing.T) {
	w := newVercelWorld(t)
	w.sim.Claim("demoshop.localhost")
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: vercel}", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	r := rowOf(w.applyThere(), "demoshop")
	if r.Status == "active" || !strings.Contains(r.Because, "set the TXT record _vercel.demoshop.localhost to") {
		t.Fatalf("it is %s: %s", r.Status, r.Because)
	}
	words := strings.Split(r.Because, `"`)
	if len(words) < 2 {
		t.Fatalf("no value is said: %s", r.Because)
	}
	w.sim.SetTXT("_vercel.demoshop.localhost", words[1])
	if !w.sim.Refresh("demoshop.localhost") {
		t.Fatalf("it is not the value: %q", words[1])
	}
	w.clock.add(time.Hour)
	w.wantActive("demoshop")
	w.serves("demoshop.localhost")
}

// S24 at Vercel: a domain that goes from one client to another in one commit is moved by one
// call, and somebody answers for it all the way.
func TestS24AtVercel(t *testing.T) {
	w := newVercelWorld(t)
	w.configure("guard: {maxDeletePercent: 100}\n")
	client := func(name, domain string) string {
		return strings.Replace(manifestOf(name, "deployment: {provider: vercel}", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}"), "domain: "+name, "domain: "+domain, 1)
	}
	w.commit(map[string]string{"clients/a.yaml": client("a", "shared"), "clients/b.yaml": client("b", "b")})
	w.wantActive("a")
	w.wantActive("b")
	was, is := w.serves("shared.localhost"), w.serves("b.localhost")
	w.faults.Add(simulator.Fault{Times: -1, Match: func(r *http.Request, _ []byte) bool {
		if status, body := w.at("shared.localhost"); status != http.StatusOK {
			t.Errorf("before %s %s it answers %d %s", r.Method, r.URL.Path, status, body)
		}
		return false
	}, Do: simulator.LoseAnswer()})
	w.commit(map[string]string{"clients/a.yaml": client("a", "a"), "clients/b.yaml": client("b", "shared")})
	for range 5 {
		v := w.applyThere()
		if rowOf(v, "a").Status == "active" && rowOf(v, "b").Status == "active" && len(w.plan().Changes) == 0 {
			break
		}
		w.clock.add(30 * time.Minute) // what was left serves until names are forgotten
	}
	w.wantActive("a")
	w.wantActive("b")
	if now := w.serves("shared.localhost"); now == was {
		t.Errorf("%s serves still; b had %s", now, is)
	}
	w.serves("a.localhost")
	if v := w.plan(); len(v.Changes) > 0 {
		t.Errorf("there is still something to do: %+v", v.Changes)
	}
}

// S25: a client goes from this machine to Vercel and back; each side is there before its name
// leads there, and its database stays.
func TestS25ToVercelAndBack(t *testing.T) {
	w := newVercelWorld(t)
	at := func(provider string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: "+provider+"}", "database: {provider: sqlite}")}
	}
	settle := func() {
		t.Helper()
		for range 6 {
			w.applyThere()
			if len(w.plan().Changes) == 0 {
				break
			}
			w.clock.add(time.Hour) // the old side stays until its time is over
		}
		w.wantActive("demoshop")
		if v := w.plan(); len(v.Changes) > 0 {
			t.Fatalf("there is still something to do: %+v", v.Changes)
		}
	}
	w.commit(at("vercel"))
	settle()
	w.serves("demoshop.localhost")
	w.commit(at("local"))
	settle()
	w.clock.add(time.Hour) // the old side stays until its address is forgotten
	w.wantActive("demoshop")
	if status, _ := w.at("demoshop.localhost"); status != http.StatusNotFound {
		t.Errorf("the old side still answers %d", status)
	}
	w.commit(at("vercel"))
	w.applyThere()
	for _, h := range w.why("demoshop").Holds { // Vercel's certificate comes after DNS: a gap, which is stated
		w.must(0, "approve", h.Fingerprint)
	}
	settle()
	w.serves("demoshop.localhost")
}

// S43 at Vercel: the state is lost, and `rebuild` reads from the projects' marks what is whose,
// writes nothing, and leaves nothing to do. An earlier release is known, too: a revert after it
// rolls back without a build.
func TestS43AtVercel(t *testing.T) {
	w := newVercelWorld(t)
	shop := func(currency string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: vercel}", "database: {provider: none}",
			"env: {DATABASE_URL: {none: true}, PAYLOAD_SECRET: {none: true}, STORE_CURRENCY: "+currency+"}", "aliases: [www.demoshop.localhost]")}
	}
	w.commit(shop("EUR"))
	w.wantActive("demoshop")
	first := w.serves("demoshop.localhost")
	change := w.commit(shop("USD"))
	w.wantActive("demoshop")
	second := w.serves("demoshop.localhost")
	w.clock.add(time.Minute) // lists are late
	w.loseState()
	w.rebuilt()
	if got := changes(w.plan()); len(got) > 0 {
		t.Errorf("after the rebuild there is something to do: %q", got)
	}
	w.wantActive("demoshop")
	if now := w.serves("demoshop.localhost"); now != second {
		t.Errorf("%s serves, it was %s", now, second)
	}
	w.revert(change)
	w.wantActive("demoshop")
	if now := w.serves("demoshop.localhost"); now != first {
		t.Errorf("after the revert %s serves, the earlier release is %s", now, first)
	}
}
