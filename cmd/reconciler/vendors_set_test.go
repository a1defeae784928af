package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/provider/railway"
	railwaysim "github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	resendsim "github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
	vercelsim "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// kindness is how unkind the vendors are; its zero value is as kind as they get.
type kindness struct {
	lag   time.Duration // of lists
	work  time.Duration // of what is done in the background
	build time.Duration
	haste int64 // of the clock; 0: the usual
}

// vendorSet are the simulated vendors of one installation, with look-alikes in each.
type vendorSet struct {
	ploi       *ploisim.Vendor
	vercel     *vercelsim.Vercel
	railway    *railwaysim.Railway
	cloudflare *cloudflaresim.Vendor
	resend     *resendsim.Resend
	stripe     *stripesim.Stripe
	payload    *payloadSites                // whose faults happen at the sites
	faults     map[string]*simulator.Faults // by vendor; nobody puts them before a vendor but who serves it
	zoneName   string
	sites      []int // of Ploi's look-alikes
}

// What look-alikes are called: like a client's object, but for another installation's.
const lookAlike = "demoshop-ffffff-ffffffff"

// theirMark is another installation's.
func theirMark() provider.Mark {
	return provider.Mark{Installation: "ffffffff", Client: "demoshop-ffffff", Generation: 1}
}

// newVendorSet opens the vendors with the tokens of an environment. The zone is what
// Cloudflare holds; what is asked here is judged.
func newVendorSet(now func() time.Time, k kindness, zone string, env map[string]string, judged func(vendor string, api http.Handler) http.Handler) (*vendorSet, error) {
	lag := func() time.Duration { return k.lag }
	f := &vendorSet{zoneName: zone, faults: map[string]*simulator.Faults{}}
	for _, name := range vendorNames() {
		f.faults[name] = &simulator.Faults{}
	}
	var errs [7]error
	f.payload, errs[5] = newPayloadSites("", now, f.faults["payload"])
	f.stripe, errs[6] = stripesim.New(stripesim.Options{Now: now, Lag: lag, Key: env["STRIPE_API_KEY"]})
	f.cloudflare, errs[0] = cloudflaresim.New(cloudflaresim.Options{Now: now, Lag: lag, Token: env["CLOUDFLARE_API_TOKEN"], Calls: -1, Zones: []cloudflaresim.Zone{{ID: f.zone(), Name: zone, Account: "agency"}}})
	f.ploi, errs[1] = ploisim.New(ploisim.Options{Now: now, Work: k.work, Write: k.work, Issue: cmp.Or(k.work, -1), BuildTime: k.build, Lag: k.lag, Token: env["PLOI_API_TOKEN"],
		Build: buildAtPloi, DNS: f.leads, Serve: f.payload.atPloi})
	f.vercel, errs[2] = vercelsim.New(vercelsim.Options{Now: now, Token: env["VERCEL_API_TOKEN"], Team: agencyTeam, Lag: k.lag, BuildTime: k.build, PointTime: k.work, Fails: brokenAtVercel, DNS: f.leads,
		Serve: func(d vercelsim.Served) http.Handler { return f.payload.at(d.Env["DATABASE_URL"], serveAtVercel(d)) }})
	f.railway, errs[3] = railwaysim.New(railwaysim.Options{Now: now, Lag: lag, Token: env["RAILWAY_API_KEY"], BuildTime: cmp.Or(k.build, -1)})
	f.resend, errs[4] = resendsim.New(resendsim.Options{Now: now, Lag: k.lag, Token: env["RESEND_API_KEY"], Domains: map[string]string{zone: "verified"}})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return f, f.plantLikes(now, env, judged)
}

// currencyWord stands before what a site's STORE_CURRENCY was when it was built, on its page.
const currencyWord = "STORE_CURRENCY="

// buildAtPloi is what becomes of a deployment at Ploi.
func buildAtPloi(_, script, env string) (log []string, fails bool) {
	for line := range strings.Lines(env) {
		if value, is := strings.CutPrefix(line, currencyWord); is {
			log = append(log, currencyWord+strings.TrimSpace(value))
		}
	}
	return log, strings.Contains(script+env, "breakBuild")
}

// brokenAtVercel says why a deployment at Vercel fails.
func brokenAtVercel(d vercelsim.Served) string {
	if strings.Contains(d.Env["RECONCILER_RELEASE"], "breakBuild") {
		return "breakBuild is set"
	}
	return ""
}

// serveAtVercel is a page at Vercel.
func serveAtVercel(d vercelsim.Served) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "deployment %s\n%s%s\n", d.Deployment, currencyWord, d.Env["STORE_CURRENCY"]) // who asked may be gone
	})
}

func vendorNames() []string {
	return []string{"cloudflare", "payload", "ploi", "railway", "resend", "stripe", "vercel"}
}

// vendorAPI is where a vendor is asked, below its address. Payload is asked at sites.
type vendorAPI struct {
	api  http.Handler
	path string
}

func (f *vendorSet) apis() map[string]vendorAPI {
	return map[string]vendorAPI{"cloudflare": {f.cloudflare, "/client/v4"}, "ploi": {f.ploi.Plain(), "/api"}, "vercel": {f.vercel, ""}, "railway": {f.railway, "/graphql/v2"}, "resend": {f.resend, ""}, "stripe": {f.stripe, ""}}
}

// apiVariable is the variable that says where a vendor is.
func apiVariable(vendor string) string {
	return "RECONCILER_PROVIDERS_" + strings.ToUpper(vendor) + "_API_URL"
}

// zone is the id of the only one.
func (f *vendorSet) zone() string { return "023e105f4ecef8ad9ca31a8372d0c353" }

// leads is where DNS leads: of the zone Cloudflare says it; names of others lead to Ploi's
// server.
func (f *vendorSet) leads(host string) []string {
	if host != f.zoneName && !strings.HasSuffix(host, "."+f.zoneName) {
		return []string{ploiServer}
	}
	return f.cloudflare.Answers("A", host)
}

// front is what answers for a host name: what DNS leads to. Addresses of the vendors' own lead
// to them. nil: there is no such name.
func (f *vendorSet) front(host string) http.Handler {
	switch to := f.leads(host); {
	case strings.HasSuffix(host, ".vercel.app"):
	case len(to) == 0 && strings.HasSuffix(host, f.zoneName):
		return nil
	case len(to) == 0 || slices.Contains(to, ploiServer):
		return f.ploi.Front()
	}
	return f.vercel.Front()
}

// atSites is what answers at the names of all sites.
func (f *vendorSet) atSites() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		front := f.front(r.Host)
		if front == nil {
			panic(http.ErrAbortHandler) // no such name
		}
		front.ServeHTTP(w, r)
	})
}

// visit asks for a page as a visitor does, over HTTPS.
func (f *vendorSet) visit(host, path string) (int, string) {
	front := f.front(host)
	if front == nil {
		return 0, "no such name"
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	front.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// projectID is the id of a project at Vercel.
func (f *vendorSet) projectID(name string) string {
	var all []map[string]any
	if err := json.Unmarshal([]byte(f.vercel.Snapshot(name)), &all); err != nil || len(all) == 0 {
		return ""
	}
	for _, key := range []string{"id", "ID"} {
		if id, is := all[0][key].(string); is {
			return id
		}
	}
	return ""
}

// inProcess hands requests to the vendors without a network.
type inProcess struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	asked := r.Clone(r.Context())
	asked.Body = readerOf(body)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, asked)
	return w.Result(), nil
}

func readerOf(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }

// plantLikes puts objects into every vendor that look like ours: unmarked, and marked by another
// installation.
func (f *vendorSet) plantLikes(now func() time.Time, env map[string]string, judged func(string, http.Handler) http.Handler) error {
	theirs := theirMark()
	f.stripe.Add("NL", map[string]string{"reconciler_name": lookAlike})
	f.stripe.Add("NL", map[string]string{"reconciler_name": lookAlike, "reconciler": theirs.Text()})
	f.sites = []int{f.ploi.Seed("demoshop-ffffff-0badcafe.reconciler.internal", "APP=1\n", "git pull\n"),
		f.ploi.Seed(lookAlike+".reconciler.internal", "RECONCILER_MARK='"+theirs.Text()+"'\nAPP=2\n", "git pull\n")}
	for _, r := range []cloudflaresim.Record{
		{Type: "TXT", Name: "demoshop." + f.zoneName, Content: "by hand"},
		{Type: "MX", Name: "demoshop." + f.zoneName, Content: "mx.example", Priority: new(int)},
		{Type: "A", Name: "old." + f.zoneName, Content: ploiServer, Comment: theirs.Text()},
		{Type: "TXT", Name: "demoshop." + f.zoneName, Content: "theirs", Comment: theirs.Text()},
	} {
		r.Zone = f.zone()
		if _, err := f.cloudflare.Add(r); err != nil {
			return err
		}
	}
	in := func(pairs ...string) (out []provider.Input) {
		for n := 0; n < len(pairs); n += 2 {
			out = append(out, provider.Input{Name: pairs[n], Text: pairs[n+1]})
		}
		return out
	}
	ctx := context.Background()
	client := func(h http.Handler) *http.Client { return httpapi.NewHTTP(inProcess{h}, time.Minute) }
	v := vercel.New(vercel.Options{Token: state.NewSecret(env["VERCEL_API_TOKEN"]), Team: agencyTeam, URL: "http://vercel.invalid", HTTP: client(judged("vercel", f.vercel)), Now: now})
	for _, mark := range []provider.Mark{{}, theirs} {
		name := lookAlike + "-" + mark.Installation + "x"
		w := provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: state.KindSite, Name: "main"}, Name: name, Mark: mark, Inputs: in("label", "demoshop", "repository", "compassdigital/storefront", "runtime", "", "server", "")}
		if _, err := v.Create(ctx, w); err != nil {
			return fmt.Errorf("plant at Vercel: %w", err)
		}
	}
	api := judged("railway", f.railway)
	r, err := railway.New(railway.Options{Token: state.NewSecret(env["RAILWAY_API_KEY"]), URL: "http://railway.invalid/graphql/v2", HTTP: client(api), Now: now, Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		return err
	}
	database := provider.Wish{Ref: state.Ref{Client: theirs.Client, Kind: state.KindDatabase, Name: "main"}, Name: lookAlike, Mark: theirs, Inputs: in("access", "public", "disabled", "", "schema", "ecommerce")}
	if _, err := r.Create(ctx, database); err != nil {
		return fmt.Errorf("plant at Railway: %w", err)
	}
	byHand := httptest.NewRequest(http.MethodPost, "/graphql/v2", strings.NewReader(`{"query":"mutation { projectCreate(input: {name: \"`+lookAlike+`-x\"}) { id } }"}`))
	byHand.Header.Set("Authorization", "Bearer "+env["RAILWAY_API_KEY"])
	api.ServeHTTP(httptest.NewRecorder(), byHand)
	return nil
}

// likes are the look-alikes as they are now.
func (f *vendorSet) likes() map[string]string {
	out := map[string]string{}
	put := func(name string, is any) {
		data, err := json.Marshal(is)
		if err != nil {
			data = []byte(err.Error())
		}
		out[name] = string(data)
	}
	for _, s := range f.ploi.Sites() {
		if slices.Contains(f.sites, s.ID) {
			put("ploi site "+s.Domain, s)
		}
	}
	for _, p := range f.railway.Projects() {
		if strings.HasPrefix(p.Name, lookAlike) {
			put("railway project "+p.Name, p)
		}
	}
	for _, c := range f.cloudflare.Records(f.zone()) {
		if c.Comment == "" || strings.Contains(c.Comment, theirMark().Installation) {
			put("cloudflare record "+c.ID, c)
		}
	}
	for _, a := range f.stripe.Accounts() {
		if a.Metadata["reconciler_name"] == lookAlike {
			put("stripe account "+a.ID, a)
		}
	}
	for _, mark := range []string{"", theirMark().Installation} {
		put("vercel project "+mark, f.vercel.Snapshot(lookAlike+"-"+mark+"x"))
	}
	return out
}

// likesChanged says which look-alikes are not what they were.
func likesChanged(was, is map[string]string) (out []string) {
	for _, name := range sortedKeys(was) {
		if is[name] != was[name] {
			out = append(out, fmt.Sprintf("%s was\n%s\nand is\n%s", name, was[name], is[name]))
		}
	}
	return out
}
