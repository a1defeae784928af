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

// withoutDatabase are the lines of a client that has a site alone.
func withoutDatabase(more ...string) []string {
	return append([]string{"database: {provider: none}", "env: {DATABASE_URL: {none: true}}"}, more...)
}

// S28: Let's Encrypt refuses a name's certificate at Ploi, as its CAA records forbid it. Once they allow it, `retry` asks
// for it again, of a new client and of one that gets a second name.
func TestS28CertificateThatWasRefusedIsAskedForAgain(t *testing.T) {
	t.Parallel()
	const second = "shop." + agencyZone
	for name, was := range map[string]bool{"a new client": false, "a second name": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, usual(), nil)
			f.ploi.Forbid(second, true)
			if was {
				f.commit(map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase()...)})
				f.settle("a")
			}
			f.commit(map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase("aliases: ["+second+"]", "onFailure: keep")...)})
			if r := rowOf(f.apply(), "a"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "CAA records") || !strings.Contains(r.Next, "retry a") {
				t.Fatalf("it is %s: %s; %s", r.Status, r.Because, r.Next)
			}
			f.must(0, "retry", "a")
			if r := rowOf(f.apply(), "a"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "CAA records") {
				t.Errorf("while they forbid it, it is %s: %s", r.Status, r.Because)
			}
			f.ploi.Forbid(second, false)
			f.must(0, "retry", "a")
			f.settle("a")
			if !f.ploi.Secure(second) {
				t.Error("the name has no certificate")
			}
		})
	}
}

// The certificate of a name at Ploi is gone: somebody deleted it there, or it could not be renewed in time. That is reported,
// and another one is asked for by `retry`, and by whatever else is done at the client.
func TestRuleACertificateThatIsGoneAtPloiIsAskedForAgain(t *testing.T) {
	t.Parallel()
	const second = "shop." + agencyZone
	manifest := atPloi("a", withoutDatabase("aliases: ["+second+"]")...)
	for name, gone := range map[string]func(*fleet){
		"deleted": func(f *fleet) {
			f.ofPloi("a", func(s *ploisim.Site) {
				for _, c := range slices.Clone(s.Certs) {
					f.askPloi(http.MethodDelete, fmt.Sprintf("/servers/1/sites/%d/certificates/%d", s.ID, c.ID))
				}
			})
		},
		"not renewed": func(f *fleet) {
			f.ploi.Forbid(site("a"), true)
			f.ploi.Forbid(second, true)
			for range 8 { // the vendor tries now and then
				f.clock.add(15 * 24 * time.Hour)
				f.ploi.Secure(second)
			}
			f.ploi.Forbid(site("a"), false)
			f.ploi.Forbid(second, false)
		},
	} {
		for act, do := range map[string]func(*fleet){
			"retried": func(f *fleet) { f.must(0, "retry", "a") },
			"committed": func(f *fleet) {
				f.commit(map[string]string{"clients/a.yaml": strings.Replace(manifest, "Shop a", "Another", 1)})
			},
		} {
			t.Run(name+" and "+act, func(t *testing.T) {
				t.Parallel()
				f := newFleet(t, usual(), map[string]string{"clients/a.yaml": manifest})
				f.settle("a")
				gone(f)
				if f.ploi.Secure(site("a")) || f.ploi.Secure(second) {
					t.Fatal("the names have a certificate")
				}
				if r := f.cli("drift", "a"); r.code != 1 || !strings.Contains(r.out, "certificate") {
					t.Errorf("drift ends with %d\n%s", r.code, r.out)
				}
				do(f)
				f.settle("a")
				if !f.ploi.Secure(site("a")) || !f.ploi.Secure(second) {
					t.Error("a name has no certificate")
				}
				if r := f.cli("drift", "a"); r.code != 0 {
					t.Errorf("afterwards drift ends with %d\n%s", r.code, r.out)
				}
			})
		}
	}
}

// ofPloi changes a client's site at Ploi, or looks at it.
func (f *fleet) ofPloi(name string, change func(*ploisim.Site)) {
	for _, s := range f.ploi.Sites() {
		if whose(s.Domain) == name {
			change(&s)
		}
	}
}

// askPloi asks with the installation's token, as a person's program does.
func (f *fleet) askPloi(method, path string) {
	f.t.Helper()
	r := mustRequest(f.t, method, f.env[apiVariable("ploi")]+path, "")
	r.Header.Set("Authorization", "Bearer "+f.env["PLOI_API_TOKEN"])
	a, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil || a.StatusCode != http.StatusOK {
		f.t.Fatal(a, err)
	}
	if err := a.Body.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// A certificate at Ploi is for all names of its site, and Let's Encrypt renews it for all of them or not at all. A site
// whose name was given up has one that can be renewed: it is still there a year later.
func TestCertificatesOutliveNamesThatWereGivenUp(t *testing.T) {
	t.Parallel()
	domain := func(manifest, to string) string { return strings.Replace(manifest, "domain: a", "domain: "+to, 1) }
	was := atPloi("a", withoutDatabase()...)
	for name, c := range map[string]struct {
		files []map[string]string
		has   []string
	}{
		"another domain": {[]map[string]string{{"clients/a.yaml": domain(was, "other")}}, []string{site("other")}},
		"an alias for a while": {[]map[string]string{{"clients/a.yaml": atPloi("a", withoutDatabase("aliases: [shop."+agencyZone+"]")...)},
			{"clients/a.yaml": domain(atPloi("a", withoutDatabase("aliases: [shop."+agencyZone+"]")...), "other")}, {"clients/a.yaml": domain(was, "other")}}, []string{site("other")}},
		"a name goes to another client": {[]map[string]string{{"clients/a.yaml": domain(was, "other"), "clients/b.yaml": strings.Replace(atVercel("b", withoutDatabase()...), "domain: b", "domain: a", 1)}}, []string{site("other")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, usual(), map[string]string{"clients/a.yaml": was, "clients/b.yaml": atVercel("b", withoutDatabase()...)})
			f.settle("a", "b")
			for _, files := range c.files {
				f.commit(files)
				for range 8 {
					for _, h := range f.apply().Holds {
						f.must(0, "approve", h.Fingerprint)
					}
					f.clock.add(time.Hour)
				}
				f.settle("a", "b")
			}
			for range 24 { // the vendor looks now and then
				f.clock.add(15 * 24 * time.Hour)
				for _, host := range c.has {
					f.ploi.Secure(host)
				}
			}
			for _, host := range c.has {
				if !f.ploi.Secure(host) {
					t.Errorf("%s has no certificate a year later", host)
				}
			}
		})
	}
}
