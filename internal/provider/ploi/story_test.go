package ploi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// only is the world's one site.
func (w *world) only() simulated.Site {
	w.Helper()
	sites := w.vendor.Sites()
	if len(sites) != 1 {
		w.Fatalf("there are %d sites, want one", len(sites))
	}
	return sites[0]
}

// fails says of which kind an error is.
func (w *world) fails(err error, want provider.ErrorKind) {
	w.Helper()
	_ = w.failed(err, want) // only its kind counts
}

// failed is an error of a kind.
func (w *world) failed(err error, want provider.ErrorKind) *provider.Error {
	w.Helper()
	if err == nil || provider.KindOf(err) != want {
		w.Fatalf("the error is %v, want one of kind %q", err, want)
	}
	return err.(*provider.Error) //nolint:errorlint // the provider's own
}

// slow is a vendor that takes its time.
func slow() simulated.Options {
	return simulated.Options{Work: 8 * time.Second, Write: 20 * time.Second, BuildTime: 40 * time.Second, Lag: time.Minute}
}

// get asks the vendor's front for a page.
func (w *world) get(host, path string) (int, string) {
	w.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	a := httptest.NewRecorder()
	w.vendor.Front().ServeHTTP(a, r)
	return a.Code, a.Body.String()
}

// A site is served while the next release is built, and by it after that.
func TestDeploymentsServeWithoutAGap(t *testing.T) {
	w := newWorld(t, slow())
	c := w.client(1)
	if code, page := w.get("shop-1.example", "/"); code != http.StatusOK || !strings.Contains(page, c.release.Name) {
		t.Fatalf("the site answers %d %s, want the release %s", code, page, c.release.Name)
	}
	next, err := w.p.Create(context.Background(), releaseWish("c00001", c.site.ID, "ffffffffffff", strings.Repeat("2", 40)))
	if err != nil {
		t.Fatal(err)
	}
	for ended := false; !ended; {
		o, _ := w.see(state.KindDeployment, next.ID)
		ended = o.Phase != provider.Progressing
		traffic, _ := w.see(state.KindTraffic, c.traffic.ID)
		want := c.release
		if ended {
			want = next
		}
		code, page := w.get("shop-1.example", "/")
		if health, _ := w.get("shop-1.example", "/api/health"); code != http.StatusOK || health != http.StatusOK || !strings.Contains(page, want.Name) || !slicesHas(traffic.Attributes, "deployment", want.ID) {
			t.Fatalf("the site answers %d and %d with %q, traffic is %v; want %s", code, health, page, traffic.Attributes, want.Name)
		}
		if ended && (len(o.Log) == 0 || !strings.Contains(strings.Join(o.Log, "\n"), next.Name)) {
			t.Errorf("the log of the release is %q", o.Log)
		}
		w.clock.Move(5 * time.Second)
	}
	if _, there := w.see(state.KindDeployment, c.release.ID); there {
		t.Error("the release that was overtaken is still there")
	}
}

// A release that fails leaves the one before serving, and that is built again by its name.
func TestAFailedReleaseLeavesTheOneBefore(t *testing.T) {
	for _, o := range []simulated.Options{slow(), {BuildTime: time.Minute, Doubts: simulated.AllDoubts()}} {
		w := newWorld(t, o)
		c := w.client(1)
		bad := releaseWish("c00001", c.site.ID, "ffffffffffff", strings.Repeat("2", 40))
		for n := range bad.Inputs {
			if bad.Inputs[n].Name == "settings" {
				bad.Inputs[n].Text = `{"breakBuild":true}`
			}
		}
		next, err := w.p.Create(context.Background(), bad)
		if err != nil {
			t.Fatal(err)
		}
		failed := w.ended(state.KindDeployment, next.ID)
		if failed.Phase != provider.Failed || !strings.Contains(failed.Message, "breakBuild is set") {
			t.Errorf("the release is %s: %s", failed.Phase, failed.Message)
		}
		if code, page := w.get("shop-1.example", "/"); code != http.StatusOK || !strings.Contains(page, c.release.Name) {
			t.Errorf("the site answers %d %s", code, page)
		}
		if traffic, _ := w.see(state.KindTraffic, c.traffic.ID); !slicesHas(traffic.Attributes, "deployment", c.release.ID) {
			t.Errorf("traffic leads to %v, want %s", traffic.Attributes, c.release.ID)
		}
		_, err = w.p.Update(context.Background(), c.traffic.ID, wish(state.KindTraffic, "c00001", "ploi", "site", c.site.ID, "deployment", next.ID))
		w.fails(err, provider.Invalid)
		w.remove(state.KindDeployment, next.ID)
		again := w.create(releaseWish("c00001", c.site.ID, "8be01c22aa10", strings.Repeat("1", 40)))
		if again.ID != c.release.ID {
			t.Errorf("the release is %s again, was %s", again.ID, c.release.ID)
		}
		if s := w.only(); s.Deployments != 3 || !strings.Contains(s.Script.Text(), strings.Repeat("1", 40)) {
			t.Errorf("%d deployments were begun; the script is %s", s.Deployments, s.Script.Text())
		}
	}
}

// P3: a deployment whose answer was lost is found by a look, while it runs and after; one
// that never came is not there, and is begun once.
func TestP3DeployIsNeverBegunTwice(t *testing.T) {
	for name, o := range map[string]simulated.Options{"slow": slow(), "the other way": {BuildTime: 40 * time.Second, Doubts: simulated.AllDoubts()}} {
		for lost, do := range map[string]simulator.Effect{"answer": simulator.LoseAnswer(), "request": simulator.LoseRequest()} {
			t.Run(name+"/"+lost, func(t *testing.T) {
				w := newWorld(t, o)
				site := w.create(siteWish("c00001"))
				w.create(wish(state.KindEnvironment, "c00001", "ploi", "site", site.ID, "env.A", "1"))
				before := w.only().Deployments
				x := releaseWish("c00001", site.ID, "8be01c22aa10", strings.Repeat("1", 40))
				w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: "/api/servers/*/sites/*/deploy", Do: do})
				_, err := w.p.Create(context.Background(), x)
				w.fails(err, provider.Uncertain)
				if lost == "answer" {
					if w.fails(secondOf(w.p.Create(context.Background(), x)), provider.Conflict); w.only().Deployments != before+1 {
						t.Fatal("it was begun twice")
					}
				}
				found, ok := w.look(x)
				if ok != (lost == "answer") {
					t.Fatalf("with a lost %s a look finds %v", lost, ok)
				}
				if !ok {
					found = w.create(x)
				}
				w.ready(state.KindDeployment, found.ID)
				w.fails(secondOf(w.p.Create(context.Background(), x)), provider.Conflict)
				if n := w.only().Deployments - before; n != 1 {
					t.Errorf("%d deployments were begun", n)
				}
			})
		}
	}
}

func secondOf(_ provider.Object, err error) error { return err }

// Nothing is deployed while something is, whoever began it; what is being built can't be
// stopped; quick deploy is turned off once.
func TestOneThingAtATime(t *testing.T) {
	o := slow()
	o.Doubts.QuickOn = true
	w := newWorld(t, o)
	c := w.client(1)
	if w.only().Quick {
		t.Error("quick deploy is still on")
	}
	next, err := w.p.Create(context.Background(), releaseWish("c00001", c.site.ID, "ffffffffffff", strings.Repeat("2", 40)))
	if err != nil {
		t.Fatal(err)
	}
	w.fails(secondOf(w.p.Create(context.Background(), releaseWish("c00001", c.site.ID, "eeeeeeeeeeee", strings.Repeat("3", 40)))), provider.Transient)
	w.fails(w.p.Delete(context.Background(), state.KindDeployment, next.ID), provider.Transient)
	w.ready(state.KindDeployment, next.ID)
	if s := w.only(); s.Quick || s.Deployments != 2 {
		t.Errorf("quick deploy is %v, %d deployments were begun", s.Quick, s.Deployments)
	}
}

// A repository that is being installed, by a call whose answer was lost, is waited for: to ask
// for it again would be refused, and the client would fail for nothing.
func TestS30ARepositoryThatIsBeingInstalledIsWaitedFor(t *testing.T) {
	w := newWorld(t, simulated.Options{Work: 20 * time.Second})
	w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: "/api/servers/*/sites/*/repository", Do: simulator.LoseAnswer()})
	x := siteWish("c00001")
	o, err := w.p.Create(context.Background(), x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.p.Update(context.Background(), o.ID, x); err != nil {
		t.Fatal(err)
	}
	if s := w.only(); s.Status != "active" || s.Repository == nil {
		t.Errorf("the site is %s, its repository %v", s.Status, s.Repository)
	}
}

// A site whose create's answer was lost, or whose own address could not be had then, has one
// before its first release is built: who is to be its first user is made there. Where the vendor
// gives none it is released without.
func TestS30ASiteThatIsFoundGetsAnAddress(t *testing.T) {
	test, refused := "/api/servers/*/sites/*/test-domain", simulator.Refuse(http.StatusUnprocessableEntity, http.Header{"Content-Type": {"application/json"}}, `{"message":"not here"}`)
	for name, c := range map[string]struct {
		lose  []simulator.Fault
		first provider.ErrorKind // of the first try to deploy; "": it works
		none  bool
	}{
		"the create's answer":    {lose: []simulator.Fault{{Method: http.MethodPost, Path: "/api/servers/*/sites", Do: simulator.LoseAnswer()}}},
		"and the address's, too": {lose: []simulator.Fault{{Method: http.MethodPost, Path: "/api/servers/*/sites", Do: simulator.LoseAnswer()}, {Method: http.MethodPost, Path: test, Do: simulator.LoseAnswer()}}},
		"it was not asked":       {lose: []simulator.Fault{{Method: http.MethodPost, Path: test, Do: simulator.LoseRequest()}}},
		"twice":                  {lose: []simulator.Fault{{Method: http.MethodPost, Path: test, Times: 2, Do: simulator.LoseRequest()}}, first: provider.Transient},
		"limited":                {lose: []simulator.Fault{{Method: http.MethodPost, Path: test, Do: simulator.LoseRequest()}, {Method: http.MethodPost, Path: test, Do: simulator.Refuse(http.StatusTooManyRequests, nil, "")}}, first: provider.RateLimited},
		"there is none":          {lose: []simulator.Fault{{Method: http.MethodPost, Path: test, Times: 2, Do: refused}}, none: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, simulated.Options{})
			w.faults.Add(c.lose...)
			x := siteWish("c00001")
			o, err := w.p.Create(context.Background(), x)
			if err != nil {
				w.fails(err, provider.Uncertain)
				found, ok := w.look(x)
				if !ok {
					t.Fatal("it is not found")
				}
				if o, err = w.p.Update(context.Background(), found.ID, x); err != nil {
					t.Fatal(err)
				}
			}
			w.create(wish(state.KindEnvironment, "c00001", "ploi", "site", o.ID, "env.A", "1"))
			r := releaseWish("c00001", o.ID, "8be01c22aa10", strings.Repeat("1", 40))
			if c.first != "" {
				w.fails(secondOf(w.p.Create(context.Background(), r)), c.first)
				w.clock.Move(time.Minute)
			}
			made := w.create(r)
			is := w.only().Test
			if (is == "") != c.none || w.only().Deployments != 1 {
				t.Errorf("its own address is %q, %d deployments were begun", is, w.only().Deployments)
			}
			at := slices.IndexFunc(made.Outputs, func(o provider.Output) bool { return o.Name == "url" })
			if got := made.Outputs[at].Text; !c.none && got != "http://"+is || c.none && got != "" {
				t.Errorf("the release is at %q", got)
			}
		})
	}
}

// What people wrote into a .env stays byte for byte through all that is done to ours, and
// two writes at once lose nothing.
func TestForeignVariablesStay(t *testing.T) {
	w := newWorld(t, slow())
	site := w.create(siteWish("c00001"))
	const foreign = "# by hand\nAPP_NAME=\"Dana's  Shop\" # shown\n\n  export ODD = 'x\ny'\n"
	w.vendor.Edit(w.only().ID, func(s *simulated.Site) { s.Env.Now = foreign + "DATABASE_URL=old\n" })
	env := wish(state.KindEnvironment, "c00001", "ploi", "site", site.ID, "env.DATABASE_URL", "secret:postgres://app:invented@db.example/app", "env.STORE", "EUR")
	o := w.create(env)
	if !slicesHas(o.Attributes, "env.STORE", "EUR") || slicesHas(o.Attributes, "env.APP_NAME", "Dana's  Shop") {
		t.Errorf("the environment is %v", o.Attributes)
	}
	done := make(chan error, 2)
	go func() {
		_, err := w.p.Update(context.Background(), o.ID, wish(state.KindEnvironment, "c00001", "ploi", "site", site.ID, "env.STORE", "USD", "env.NEW", "1"))
		done <- err
	}()
	go func() {
		_, err := w.p.Update(context.Background(), o.ID, wish(state.KindEnvironment, "c00001", "ploi", "site", site.ID, "env.STORE", "USD", "env.NEW", "1"))
		done <- err
	}()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	text := w.only().Env.Text()
	if !strings.HasPrefix(text, foreign) || strings.Contains(text, "DATABASE_URL") || strings.Count(text, "STORE=USD") != 1 {
		t.Errorf("the .env is\n%s", text)
	}
	w.remove(state.KindEnvironment, o.ID)
	if text := w.only().Env.Text(); text != foreign {
		t.Errorf("without ours the .env is\n%s\nwant\n%s", text, foreign)
	}
}

// Somebody who overwrites a .env as it is written is found out: it is uncertain, not done.
func TestALostWriteOfAnEnvironmentIsUncertain(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	c := w.client(1)
	w.faults.Add(simulator.Fault{Method: http.MethodPatch, Path: "/api/servers/*/sites/*/env", Do: simulator.Refuse(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, `{"message":"Environment file has been updated"}`)})
	_, err := w.p.Update(context.Background(), c.env.ID, wish(state.KindEnvironment, "c00001", "ploi", "site", c.site.ID, "env.STORE_CURRENCY", "USD"))
	w.fails(err, provider.Uncertain)
	if o := w.ready(state.KindEnvironment, c.env.ID); !slicesHas(o.Attributes, "env.STORE_CURRENCY", "EUR") {
		t.Errorf("the environment is %v", o.Attributes)
	}
}

// A certificate comes once DNS leads to the server, and holds the site's other names that do.
func TestCertificatesComeWhenDNSLeadsThere(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	c := w.client(1)
	said := func(o provider.Object, word string) {
		t.Helper()
		if !slicesHas(o.Attributes, "certificate", word) {
			t.Errorf("%s is %s with %v, want a certificate that is %s", o.ID, o.Phase, o.Attributes, word)
		}
	}
	said(c.domain, "none")
	if c.domain.Phase != provider.Unreached {
		t.Errorf("before DNS leads there it is %s", c.domain.Phase)
	}
	x := wish(state.KindDomain, "c00001", "shop-1.example@ploi", "site", c.site.ID, "host", "shop-1.example", "redirect", "")
	said(w.update(c.domain.ID, x), "none") // it is not asked for in vain: such asking is limited
	w.dns.lead("shop-1.example", "198.51.100.1", serverAddress)
	if o := w.update(c.domain.ID, x); o.Phase != provider.Progressing {
		t.Errorf("the domain is %s", o.Phase)
	}
	w.update(c.domain.ID, x) // asked for already
	if o := w.ready(state.KindDomain, c.domain.ID); o.Phase != provider.Ready {
		t.Errorf("with its certificate it is %s", o.Phase)
	} else {
		said(o, "active")
	}
	w.dns.lead("www.shop-1.example", serverAddress)
	www := w.create(wish(state.KindDomain, "c00001", "www.shop-1.example@ploi", "site", c.site.ID, "host", "www.shop-1.example", "redirect", "shop-1.example"))
	said(www, "active")
	if s := w.only(); len(s.Certs) != 2 || s.Certs[1].Domain != "www.shop-1.example,shop-1.example" || !w.vendor.Secure("www.shop-1.example") {
		t.Errorf("there are %d certificates", len(s.Certs))
	}
}

// S24: a name moves between two sites; what was cut off is gone on with.
func TestS24ANameMovesBetweenSites(t *testing.T) {
	for _, doubts := range []simulated.Doubts{{}, simulated.AllDoubts()} {
		w := newWorld(t, simulated.Options{Doubts: doubts})
		a, b := w.client(1), w.client(2)
		x := wish(state.KindDomain, "c00002", "shop-1.example@ploi", "site", b.site.ID, "host", "shop-1.example", "redirect", "")
		o := w.update(a.domain.ID, x)
		if o.ID != b.site.ID+"/domain/shop-1.example" {
			t.Errorf("the name is %s", o.ID)
		}
		if _, there := w.see(state.KindDomain, a.domain.ID); there {
			t.Error("the first site has it still")
		}
		w.ready(state.KindDomain, o.ID)
		if again := w.update(a.domain.ID, x); again.ID != o.ID {
			t.Errorf("again it is %s", again.ID)
		}
	}
}

// Adopting writes the mark and nothing else; all that was there is kept, and goes on record.
func TestAnAdoptedSiteIsMarkedInItsEnvironment(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	const env, script = "# hand-made\nAPP_KEY='k'\nDEBUG=0\n", "cd /home/ploi/shop.example\ngit pull\n"
	number := w.vendor.Seed("shop.example", env, script)
	id := fmt.Sprintf("1/%d", number)
	ctx := context.Background()
	parts := map[state.Kind]provider.Object{}
	for _, kind := range []state.Kind{state.KindEnvironment, state.KindDeployment, state.KindTraffic} {
		x := wish(kind, "c00001", "ploi", "site", id)
		found, err := w.p.Observe(ctx, provider.Query{Kind: kind, Wish: &x})
		if err != nil || len(found) != 1 || !found[0].Mark.IsZero() {
			t.Fatalf("%s: found %v, %v", kind, found, err)
		}
		parts[kind] = found[0]
	}
	if e := parts[state.KindEnvironment]; !slicesHas(e.Attributes, "env.APP_KEY", "k") || e.Attributes[0].Secret == nil {
		t.Errorf("the environment is %v", e.Attributes)
	}
	if d := parts[state.KindDeployment]; !slicesHas(d.Attributes, "repository", "compassdigital/storefront") {
		t.Errorf("the deployment is %v", d.Attributes)
	}
	if owned, err := w.p.Owned(ctx, installation); err != nil || len(owned) != 0 {
		t.Fatalf("ours are %v, %v", owned, err)
	}
	x := siteWish("c00001")
	w.update(id, x)
	s := w.only()
	if s.Script.Text() != script || s.Env.Text() != env+"RECONCILER_MARK='reconciler:0badcafe/c00001/1'\nRECONCILER_KEYS='APP_KEY*,DEBUG*'\n" && s.Env.Text() != env+"RECONCILER_MARK=reconciler:0badcafe/c00001/1\nRECONCILER_KEYS='APP_KEY*,DEBUG*'\n" {
		t.Errorf("the .env is\n%s\nand the script\n%s", s.Env.Text(), s.Script.Text())
	}
	if o := w.ready(state.KindSite, id); o.Mark != mark("c00001") {
		t.Errorf("its mark is %v", o.Mark)
	}
	owned, err := w.p.Owned(ctx, installation)
	if err != nil || len(owned) != 2 {
		t.Fatalf("ours are %v, %v", owned, err)
	}
	// {none: true} takes one away; what was added by hand since stays.
	w.vendor.Edit(number, func(s *simulated.Site) { s.Env.Now += "ADDED=1\n" })
	w.update(parts[state.KindEnvironment].ID, wish(state.KindEnvironment, "c00001", "ploi", "site", id, "env.APP_KEY", "secret:k"))
	if text := w.only().Env.Text(); strings.Contains(text, "DEBUG") || !strings.Contains(text, "APP_KEY='k'\n") || !strings.Contains(text, "ADDED=1\n") {
		t.Errorf("the .env is\n%s", text)
	}
	w.fails(w.p.Delete(ctx, state.KindDomain, id+"/domain/shop.example"), provider.Invalid)
	release := w.create(releaseWish("c00001", id, "8be01c22aa10", strings.Repeat("1", 40)))
	w.update(id+"/traffic", wish(state.KindTraffic, "c00001", "ploi", "site", id, "deployment", release.ID))
	if o := w.ready(state.KindTraffic, id+"/traffic"); o.Mark != mark("c00001") || !slicesHas(o.Attributes, "deployment", release.ID) {
		t.Errorf("traffic is %v of %v", o.Attributes, o.Mark)
	}
	if _, there := w.see(state.KindDeployment, parts[state.KindDeployment].ID); there {
		t.Error("what served before is still there")
	}
	x.Mark.Client = "c00002"
	w.fails(secondOf(w.p.Update(ctx, id, x)), provider.Conflict)
}

// The vendor writes a .env in the background, and answers 404 for a while: that is no site without a
// file, and what others wrote there is not overwritten.
func TestAFileThatDoesNotShowIsNotOverwritten(t *testing.T) {
	const text = "# hand-made\nAPP_KEY='k'\n"
	ctx := context.Background()
	hidden := func(w *world, times int) {
		w.faults.Add(simulator.Fault{Method: http.MethodGet, Path: "/api/servers/*/sites/*/env", Times: times,
			Do: simulator.Refuse(http.StatusNotFound, http.Header{"Content-Type": {"application/json"}}, `{"message":"Not found."}`)})
	}
	for name, do := range map[string]func(*world, string) error{
		"marked": func(w *world, id string) error {
			hidden(w, 3)
			return w.p.Mark(ctx, state.KindSite, id, mark("c00001"))
		},
		"updated": func(w *world, id string) error {
			hidden(w, 3)
			return secondOf(w.p.Update(ctx, id, siteWish("c00001")))
		},
		"given an environment": func(w *world, id string) error {
			hidden(w, 3)
			return secondOf(w.p.Create(ctx, wish(state.KindEnvironment, "c00001", "ploi", "site", id, "env.STORE", "EUR")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, simulated.Options{})
			id := fmt.Sprintf("1/%d", w.vendor.Seed("shop.example", text, "git pull\n"))
			if err := do(w, id); err != nil && provider.KindOf(err) != provider.Transient {
				t.Error(err)
			}
			if got := w.only().Env.Text(); !strings.HasPrefix(got, text) {
				t.Errorf("the .env is\n%s", got)
			}
		})
	}
}

// S54: sites of others, marked and unmarked, are byte-equal after all that is done beside them.
func TestS54LookAlikesStay(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	const marked = "RECONCILER_MARK=reconciler:deadbeef/c00001/1\nRECONCILER_KEYS=A\nA=1\n"
	w.vendor.Seed("c00001-0badcafe.reconciler.example", "A=1\n", "true\n")
	w.vendor.Seed("www.shop-1.example", marked, "true\n")
	w.vendor.Seed("c00001-deadbeef.reconciler.internal", marked, "true\n")
	before := fmt.Sprintf("%+v", w.vendor.Sites())
	c := w.client(1)
	if owned, err := w.p.Owned(context.Background(), installation); err != nil || len(owned) != 4 {
		t.Errorf("ours are %d, %v; want site, environment, deployment and traffic", len(owned), err)
	}
	for _, o := range []provider.Object{c.traffic, c.domain, c.release, c.env, c.site} {
		w.remove(o.Kind, o.ID)
	}
	if after := fmt.Sprintf("%+v", w.vendor.Sites()); after != before {
		t.Errorf("they were\n%s\nand are\n%s", before, after)
	}
}

// An AAAA record of somebody's, beside the address of the server, keeps Let's Encrypt away: it is named.
func TestCertificateThatAnotherAddressPrevents(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	c := w.client(1)
	w.dns.lead("shop-1.example", serverAddress, "2001:db8::7")
	w.update(c.domain.ID, wish(state.KindDomain, "c00001", "shop-1.example@ploi", "site", c.site.ID, "host", "shop-1.example", "redirect", ""))
	w.clock.Move(time.Hour)
	if o, _ := w.see(state.KindDomain, c.domain.ID); o.Phase != provider.Failed || !strings.Contains(o.Message, "leads to 2001:db8::7, too") {
		t.Errorf("it is %s: %s", o.Phase, o.Message)
	}
}

// Somebody makes a client's name the root domain of its site: it can't be taken away then, and what is to be done is said.
func TestNameThatBecameTheRootDomain(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	c := w.client(1)
	root := w.only().Domain
	w.vendor.Edit(w.only().ID, func(s *simulated.Site) { s.Domain, s.Aliases = "shop-1.example", nil })
	err := w.p.Delete(context.Background(), state.KindDomain, c.domain.ID)
	w.fails(err, provider.Invalid)
	if !strings.Contains(err.Error(), "make "+root+" its root domain") {
		t.Error(err)
	}
	w.vendor.Edit(w.only().ID, func(s *simulated.Site) { s.Domain = root })
	if err := w.p.Delete(context.Background(), state.KindDomain, c.domain.ID); err != nil {
		t.Error(err)
	}
}

// What stands in the vendor's page about a site that a person suspended is what to do.
func TestASuspendedSiteAsksForAPerson(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	c := w.client(1)
	w.vendor.Edit(w.only().ID, func(s *simulated.Site) { s.Status, s.Suspended = "suspended", true })
	if o, _ := w.see(state.KindSite, c.site.ID); o.Phase != provider.Manual || !strings.Contains(o.Message, "resume it there") {
		t.Errorf("the site is %s: %s", o.Phase, o.Message)
	}
	if o, _ := w.see(state.KindTraffic, c.site.ID+"/traffic"); !strings.Contains(textOf(o, "deployment"), "suspended") {
		t.Errorf("it serves %s", textOf(o, "deployment"))
	}
	w.faults.Add(simulator.Fault{Path: "/api/servers/1/sites/*", Do: simulator.Instead(http.StatusOK, nil, fmt.Sprintf(`{"data":{"id":%d,"server_id":1,"status":"dreaming","domain":"c00001-0badcafe.reconciler.internal"}}`, w.only().ID))})
	if o, _ := w.see(state.KindSite, c.site.ID); o.Phase != provider.Progressing {
		t.Errorf("with a status that is new the site is %s", o.Phase)
	}
	if code, body := w.get("elsewhere.example", "/"); code != http.StatusNotFound || body == "" {
		t.Errorf("a host of nobody's answers %d", code)
	}
}

// P4: a site that the vendor is deleting is there until it is gone. Whether it will be is not known
// yet, and whoever asks for all that is ours is told of it.
func TestASiteThatIsBeingDeletedIsNotGone(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	c := w.client(1)
	turn := func(status string) {
		w.vendor.Edit(w.only().ID, func(s *simulated.Site) { s.Status = status })
	}
	owned := func() (kinds []string) {
		t.Helper()
		all, err := w.p.Owned(t.Context(), mark("shop-000001").Installation)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all {
			kinds = append(kinds, string(o.Kind)+" "+o.ID)
		}
		return kinds
	}
	before := owned()
	turn("deleting")
	_, err := w.p.Observe(t.Context(), provider.Query{Kind: state.KindSite, ID: c.site.ID})
	if e := w.failed(err, provider.Transient); !strings.Contains(e.Message, "being deleted") {
		t.Error(e.Message)
	}
	if got, want := owned(), []string{"site " + c.site.ID}; !slices.Equal(got, want) {
		t.Errorf("of ours there are %q, want %q", got, want)
	}
	turn("active") // it came to nothing
	if got := owned(); !slices.Equal(got, before) {
		t.Errorf("of ours there are %q, want %q", got, before)
	}
	if _, there := w.see(state.KindSite, c.site.ID); !there {
		t.Error("the site is not seen any more")
	}
}

// Check says in words whether the account can be used; one server that is not there hides no
// other.
func TestCheckSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t, simulated.Options{Servers: []simulated.Server{{ID: 1, Name: "royal-reef", Address: serverAddress}}})
	says := func(what string, want ...string) {
		t.Helper()
		found := w.p.Check(context.Background())
		if len(found) != len(want) {
			t.Fatalf("%s: %+v", what, found)
		}
		for i, f := range found {
			sign := map[bool]string{true: "+", false: "-"}[f.OK]
			if !strings.HasPrefix(sign+f.Text, want[i]) || f.OK == (f.Hint != "") || strings.Contains(f.Text+f.Hint, token) {
				t.Errorf("%s: %s%s (%s); want %s", what, sign, f.Text, f.Hint, want[i])
			}
		}
	}
	json := http.Header{"Content-Type": {"application/json"}}
	me, server := "+the token is \"Compass Digital\"'s", "+server web-1 (1) is ready at "+serverAddress
	says("well", me, server)
	for _, f := range []struct {
		path string
		do   simulator.Effect
		want []string
	}{
		{"/api/user", simulator.Refuse(http.StatusUnauthorized, json, `{"message":"Unauthenticated."}`), []string{"-Ploi: Unauthenticated."}},
		{"/api/user", simulator.Refuse(http.StatusTooManyRequests, http.Header{"Retry-After": {"40"}}, ""), []string{"-Ploi takes no more requests until "}},
		{"/api/user", simulator.Refuse(http.StatusOK, http.Header{"Content-Type": {"text/html"}}, "<html>"), []string{"-Ploi does not answer as it should: its answer is text/html"}},
		{"/api/servers/1", simulator.Refuse(http.StatusNotFound, json, `{"message":"Not found."}`), []string{me, "-server web-1 (1): the account has none of that id"}},
		{"/api/servers/1", simulator.Refuse(http.StatusForbidden, json, `{"message":"This action is unauthorized."}`), []string{me, "-server web-1 (1): This action is unauthorized: the token may not read servers"}},
		{"/api/servers/1", simulator.Refuse(http.StatusOK, json, `{"data":{"id":1,"status":"building"}}`), []string{me, `-server web-1 (1) is "building"`}},
	} {
		w.faults.Add(simulator.Fault{Path: f.path, Do: f.do})
		says(f.want[len(f.want)-1], f.want...)
		w.clock.Move(time.Hour)
	}
}

// A wish without a server means the only one, or the one named default; what a site shows
// then does not differ from it. One that is named is a server of its own.
func TestServersByName(t *testing.T) {
	servers := []simulated.Server{{ID: 1, Name: "royal-reef", Address: serverAddress}, {ID: 2, Name: "calm-bay", Address: "203.0.113.11"}}
	two := newWorld(t, simulated.Options{Servers: servers})
	x := siteWish("c00001")
	for n := range x.Inputs {
		if x.Inputs[n].Name == "server" {
			x.Inputs[n].Text = "web-2"
		}
	}
	second := two.create(x)
	if second.ID[:2] != "2/" || !slicesHas(second.Attributes, "server", "web-2") || second.Outputs[0].Text != "203.0.113.11" {
		t.Errorf("the site is %s with %v and %v", second.ID, second.Attributes, second.Outputs)
	}
	first := two.create(siteWish("c00001")) // the same name is free on another server
	if found, err := two.p.Observe(context.Background(), provider.Query{Kind: state.KindSite, Name: x.Name, Wish: &x}); err != nil || len(found) != 1 || found[0].ID != second.ID {
		t.Errorf("by name on web-2: %v, %v", found, err)
	}
	if found, err := two.p.Observe(context.Background(), provider.Query{Kind: state.KindSite, Name: x.Name}); err != nil || len(found) != 2 || found[0].ID != first.ID {
		t.Errorf("by name anywhere: %v, %v", found, err)
	}
	unnamed := wish(state.KindSite, "c00002", "ploi", "label", "shop", "server", "", "repository", "compassdigital/storefront", "runtime", "")
	two.fails(secondOf(two.p.Create(context.Background(), unnamed)), provider.Invalid)
	one := newWorld(t, simulated.Options{})
	for _, a := range one.create(unnamed).Attributes {
		if a.Name == "server" {
			t.Errorf("the only server is told: %v", a)
		}
	}
}

// What was sent to a .env and does not show yet is waited for, before the next change is
// made of the file: else one of both is lost.
func TestALateWriteIsNotOvertaken(t *testing.T) {
	w := newWorld(t, simulated.Options{Write: 90 * time.Second})
	site := w.create(siteWish("c00001"))
	env := func(value string) provider.Wish {
		return wish(state.KindEnvironment, "c00001", "ploi", "site", site.ID, "env.A", value)
	}
	w.fails(secondOf(w.p.Create(context.Background(), env("1"))), provider.Uncertain)
	w.fails(secondOf(w.p.Create(context.Background(), env("2"))), provider.Transient)
	w.clock.Move(30 * time.Second)
	o := w.ready(state.KindEnvironment, site.ID+"/env")
	if !slicesHas(o.Attributes, "env.A", "1") {
		t.Errorf("the environment is %v", o.Attributes)
	}
}

func textOf(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Text
		}
	}
	return ""
}
