package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	railwaysim "github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
	"github.com/compassdigital/reconciler/internal/secret/canary"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// usual is how the vendors of these tests are: what is done in the background takes its time.
func usual() kindness { return kindness{work: time.Second, build: 5 * time.Second, haste: 500} }

// site is a client's own name.
func site(name string) string { return name + "." + agencyZone }

// things are what is at the vendors beside the look-alikes, as "vendor kind name", sorted.
func (f *fleet) things() (out []string) {
	likes := f.likes()
	for _, s := range f.ploi.Sites() {
		if _, like := likes["ploi site "+s.Domain]; !like {
			out = append(out, "ploi site "+whose(s.Domain))
		}
	}
	for _, name := range f.vercel.Projects() {
		if !strings.Contains(name, "ffffffff") {
			out = append(out, "vercel project "+whose(name))
		}
	}
	for _, p := range f.railway.Projects() {
		if _, like := likes["railway project "+p.Name]; !like && !p.Deleted {
			out = append(out, fmt.Sprintf("railway project %s with %d, %d, %d, %d", whose(p.Name), p.Services, p.Volumes, p.Proxies, p.Deployments))
		}
	}
	for _, r := range f.cloudflare.Records(f.zone()) {
		if _, like := likes["cloudflare record "+r.ID]; !like {
			out = append(out, "cloudflare "+r.Type+" "+r.Name)
		}
	}
	for _, m := range f.resend.Sent() {
		out = append(out, "resend "+m.To[0]+" "+m.Subject)
	}
	slices.Sort(out)
	return out
}

// whose is the client's name in an object's, which goes on with its random id.
func whose(object string) string {
	name, _, _ := strings.Cut(object, "-")
	return name
}

// wantThings wants exactly these at the vendors.
func (f *fleet) wantThings(what string, want ...string) {
	f.t.Helper()
	slices.Sort(want)
	if got := f.things(); !slices.Equal(got, want) {
		f.t.Errorf("%s there is\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wholeOf are the objects of a provisioned client.
func wholeOf(hosting, name string) []string {
	if hosting == vercel.Name {
		hosting = "vercel project "
	} else {
		hosting = "ploi site "
	}
	return []string{hosting + name, "railway project " + name + " with 1, 1, 1, 1", "cloudflare A " + site(name), "resend dana@" + name + ".example Shop " + name + " is ready"}
}

// sites are what the sites of clients are built with.
func (f *fleet) environment(name string) map[string]string {
	f.t.Helper()
	for _, project := range f.vercel.Projects() {
		if strings.HasPrefix(project, name+"-") && !strings.Contains(project, "ffffffff") {
			return f.vercel.Env(project, "production")
		}
	}
	out := map[string]string{}
	for _, s := range f.ploi.Sites() {
		if !strings.HasPrefix(s.Domain, name+"-") || strings.Contains(s.Domain, "-ffffff-") {
			continue
		}
		for line := range strings.Lines(s.Env.Text()) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if text, err := strconv.Unquote(value); err == nil && strings.HasPrefix(value, `"`) {
				value = text
			}
			out[key] = strings.Trim(value, "'")
		}
	}
	return out
}

// S19: one variable changes, and only environment and deployment run, at both hosts. S20: its
// revert is served without a build where the host can, and the environment is the old one. S45:
// a secret gets a new version: the plan shows its name and fingerprint, and environment and
// deployment run for who uses it.
func TestS19S20S45OverVendors(t *testing.T) {
	t.Parallel()
	shop := func(at func(string, ...string) string, name, currency string) map[string]string {
		return map[string]string{"clients/" + name + ".yaml": at(name, "env: {STORE_CURRENCY: "+currency+", SMTP_PASSWORD: {secret: shared/smtp}}")}
	}
	other := atPloi("other")
	f := newFleet(t, usual(), map[string]string{"clients/other.yaml": other})
	versions := []string{canary.Value("version 1"), canary.Value("version 2")}
	for n, v := range versions {
		f.plant(fmt.Sprintf("version %d", n+1), v)
	}
	f.cliIn(versions[0], "secret", "set", "smtp")
	f.commit(shop(atPloi, "demoshop", "EUR"))
	f.commit(shop(atVercel, "bakery", "EUR"))
	f.settle("demoshop", "bakery", "other")
	f.wantThings("provisioned", slices.Concat(wholeOf("ploi", "demoshop"), wholeOf("vercel", "bakery"), wholeOf("ploi", "other"))...)
	release := func() string { _, page := f.visit(site("bakery"), "/api/health"); return page }
	first, env := release(), map[string]map[string]string{"demoshop": f.environment("demoshop"), "bakery": f.environment("bakery")}

	writes := func(what string, builds bool) {
		t.Helper()
		n, c := f.sent.len(), f.calls.len()
		f.settle("demoshop", "bakery", "other")
		for _, x := range f.calls.since(c) {
			if x.Writes() && x.Kind != state.KindEnvironment && x.Kind != state.KindDeployment && x.Kind != state.KindTraffic {
				t.Errorf("%s: %s", what, x)
			}
			if x.Writes() && strings.Contains(x.Name, "other-") {
				t.Errorf("%s: %s", what, x)
			}
		}
		built := map[string]bool{}
		for _, x := range f.sent.since(n) {
			switch {
			case x.Writes && x.Vendor != "ploi" && x.Vendor != "vercel":
				t.Errorf("%s: %s", what, x)
			case x.Call == "POST /v13/deployments" || strings.HasSuffix(x.Call, "/deploy"):
				built[x.Vendor] = true
			}
		}
		if !built["ploi"] || built["vercel"] != builds {
			t.Errorf("%s: built at %v", what, built)
		}
	}
	f.commit(shop(atPloi, "demoshop", "USD"))
	change := f.commit(shop(atVercel, "bakery", "USD"))
	writes("one variable", true)
	if now := release(); now == first || f.environment("demoshop")["STORE_CURRENCY"] != "USD" || f.environment("bakery")["STORE_CURRENCY"] != "USD" {
		t.Errorf("it serves %s, which was %s; %v", now, first, f.environment("demoshop"))
	}

	f.git("revert", "--no-edit", change+"~1", change)
	f.push()
	writes("reverted", false)
	if now := release(); now != first {
		t.Errorf("after the revert it serves %s, which was %s", now, first)
	}
	for name, was := range env {
		if now := f.environment(name); fmt.Sprint(now) != fmt.Sprint(was) {
			t.Errorf("after the revert %s has other variables: %v, were %v", name, sortedKeys(now), sortedKeys(was))
		}
		if r := rowOf(f.status(), name); r.Health != "healthy" {
			t.Errorf("%s is %s", name, r.Health)
		}
	}

	f.cliIn(versions[1], "secret", "set", "smtp")
	r := f.cli("plan")
	if !strings.Contains(r.out, "smtp") || !strings.Contains(r.out, "bakery") || !strings.Contains(r.out, "demoshop") {
		t.Errorf("the plan of a new version:\n%s%s", r.out, r.err)
	}
	writes("a new version", true)
	for name := range env {
		if f.environment(name)["SMTP_PASSWORD"] != versions[1] {
			t.Errorf("%s has the old version", name)
		}
	}
}

// S20: a release of a client behind Cloudflare's proxy, and the one before when it is reverted,
// takes the copies of its own names out of the cache: not those of others in the zone, and
// never the whole zone.
func TestS20CopiesOfItsOwnNamesAreForgotten(t *testing.T) {
	t.Parallel()
	proxied := func(name, currency string, more ...string) map[string]string {
		return map[string]string{"clients/" + name + ".yaml": atVercel(name, append([]string{"database: {provider: none}", "dns: {proxied: true}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: " + currency + "}"}, more...)...)}
	}
	const alias = "aliases: [shop." + agencyZone + "]"
	f := newFleet(t, usual(), proxied("bakery", "EUR"))
	f.commit(proxied("demoshop", "EUR", alias))
	f.settle("demoshop", "bakery")
	if got := f.cloudflare.Purged(); len(got) > 0 {
		t.Errorf("before anybody saw a page %v were purged", got)
	}
	want := []string{site("demoshop"), "shop." + agencyZone}
	slices.Sort(want)
	purges := func(when string) {
		t.Helper()
		before := len(f.cloudflare.Purged())
		f.settle("demoshop", "bakery")
		got := f.cloudflare.Purged()[before:]
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v were purged, not %v", when, got, want)
		}
	}
	_, first := f.visit(site("demoshop"), "/api/health")
	change := f.commit(proxied("demoshop", "USD", alias))
	purges("a release")
	_, second := f.visit(site("demoshop"), "/api/health")
	f.git("revert", "--no-edit", change)
	f.push()
	purges("the revert")
	if _, now := f.visit(site("demoshop"), "/api/health"); now != first || second == first {
		t.Errorf("it serves %s, which was %s and %s", now, first, second)
	}
}

// S27: each vendor answers 500 three times, each time to a write: it is looked into and tried
// again, and one of everything results.
func TestS27OverVendors(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), nil)
	for _, vendor := range []string{"ploi", "vercel", "railway", "cloudflare", "resend"} {
		f.faults[vendor].Add(simulator.Fault{Match: writing, Times: 3, Do: simulator.Refuse(http.StatusInternalServerError, nil, "<html>we are sorry</html>")})
	}
	f.commit(map[string]string{"clients/demoshop.yaml": atPloi("demoshop"), "clients/bakery.yaml": atVercel("bakery")})
	f.settle("demoshop", "bakery")
	f.wantThings("after three errors of each", slices.Concat(wholeOf("ploi", "demoshop"), wholeOf("vercel", "bakery"))...)
	for vendor, faults := range f.faults {
		if got := faults.Happened()["refused"]; got != 3 {
			t.Errorf("%s refused %d times", vendor, got)
		}
	}
}

// writing fits requests that change something.
func writing(r *http.Request, body []byte) bool {
	if strings.HasSuffix(r.URL.Path, "/graphql/v2") {
		return railwaysim.Mutations(r, body)
	}
	return r.Method != http.MethodGet
}

// S30, P3: the first answer to every create at every vendor is lost, all in one provisioning;
// lists are not late, and a minute late. One of everything results.
func TestS30OverVendors(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Minute} {
		t.Run(lag.String(), func(t *testing.T) {
			t.Parallel()
			k := usual()
			k.lag = lag
			f := newFleet(t, k, nil)
			for vendor, faults := range f.faults {
				faults.Add(simulator.Fault{Times: -1, Match: firstOfEach(vendor), Do: simulator.LoseAnswer()})
			}
			f.commit(map[string]string{"clients/demoshop.yaml": atPloi("demoshop", `dns: {records: [{type: TXT, name: note, content: one}, {type: MX, name: post, content: mx.example, priority: 10}]}`), "clients/bakery.yaml": atVercel("bakery")})
			f.settle("demoshop", "bakery")
			f.wantThings("after lost answers", slices.Concat(wholeOf("ploi", "demoshop"), wholeOf("vercel", "bakery"), []string{"cloudflare TXT note." + site("demoshop"), "cloudflare MX post." + site("demoshop")})...)
			for vendor, faults := range f.faults {
				t.Logf("%s: %v", vendor, faults.Happened())
				if faults.Happened()["answer lost"] == 0 {
					t.Errorf("no answer of %s was lost", vendor)
				}
			}
			if v := f.plan(); len(v.Changes) > 0 {
				t.Errorf("there is still something to do: %+v", v.Changes)
			}
		})
	}
}

// firstOfEach fits the first request of each call that makes something.
func firstOfEach(vendor string) func(*http.Request, []byte) bool {
	var log exchanges
	seen := map[string]bool{}
	handler := log.note(vendor, time.Now, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return func(r *http.Request, body []byte) bool { // under the faults' lock
		if r.Method != http.MethodPost || !writing(r, body) {
			return false
		}
		again := r.Clone(r.Context())
		again.Body = http.NoBody
		if vendor == "railway" {
			again.Body = readerOf(body)
		}
		n := log.len()
		handler.ServeHTTP(nil, again)
		call := log.since(n)[0].Call
		first := !seen[call]
		seen[call] = true
		return first
	}
}
