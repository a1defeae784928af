package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // a commit's id is one
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	railwaysim "github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	resendsim "github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	vercelsim "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/web"
)

// What the demo's vendors are like: as the real ones, and quicker.
const (
	simulatedPath   = "/simulated" // where their APIs are, on the demo's address
	simulatedDir    = "simulated"  // of what they keep, in the demo's folder
	simulatedTeam   = "team_demo"
	simulatedServer = "203.0.113.10" // Ploi's, in documentation's addresses
	simulatedEdge   = "76.76.21.21"  // Vercel's, where A records lead
	simulatedLag    = time.Second    // of lists
	simulatedWork   = time.Second    // to make something
	simulatedBuild  = 3 * time.Second
	sitesPath       = "/sites/"
	maxAliases      = 5 // CNAMEs in a row
)

// simulations are the vendors of a demo: their APIs, and the world that they make. They know
// nothing of the daemon, which speaks with them over HTTP as with the real ones.
type simulations struct {
	tokens     map[string]string
	faults     map[string]*simulator.Faults
	api        map[string]http.Handler
	ploi       *ploisim.Vendor
	vercel     *vercelsim.Vercel
	railway    *railwaysim.Railway
	cloudflare *cloudflaresim.Vendor
	resend     *resendsim.Resend
	stripe     *stripesim.Stripe
	payload    *payloadSites
	log        *slog.Logger // nil: the daemon is not there yet
	now        func() time.Time
	zones      []string
	listens    func() string            // host:port of the demo, once it is known
	site       func(name string) string // the host of a client's site; nil: not known yet
}

// simulatedVendors are those of a demo, in the order in which they are shown.
func simulatedVendors() []string {
	return []string{"ploi", "vercel", "railway", "cloudflare", "resend", "stripe", "payload"}
}

// newSimulations opens the vendors with what an earlier demo left in dir. listens is where the
// demo will be.
func newSimulations(dir string, now func() time.Time, listens func() string) (*simulations, error) {
	s := &simulations{tokens: map[string]string{}, faults: map[string]*simulator.Faults{}, now: now, listens: listens, zones: []string{"localhost", "example"}}
	for _, name := range append(simulatedVendors(), stripeHook) {
		token, err := hexN(20)
		if err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
		s.tokens[name] = "simulated-" + token
	}
	for _, name := range simulatedVendors() {
		s.faults[name] = &simulator.Faults{}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	file := func(name string) string { return filepath.Join(dir, name+".json") }
	lag := func() time.Duration { return simulatedLag }
	var zones []cloudflaresim.Zone
	for i, name := range s.zones { // the second is for domains of clients' own
		zones = append(zones, cloudflaresim.Zone{ID: fmt.Sprintf("%032x", i+1), Name: name, Account: "demo"})
	}
	var err [7]error
	s.payload, err[0] = newPayloadSites(filepath.Join(dir, "payload"), now, s.faults["payload"])
	err[1] = s.openStripe(stripesim.Options{Now: now, Faults: s.faults["stripe"], Lag: lag, File: file("stripe"), Key: s.tokens["stripe"], URL: s.address(listens(), "stripe")})
	s.cloudflare, err[2] = cloudflaresim.New(cloudflaresim.Options{Now: now, Faults: s.faults["cloudflare"], Lag: lag, File: file("cloudflare"), Token: s.tokens["cloudflare"], Zones: zones})
	s.ploi, err[3] = ploisim.New(ploisim.Options{Now: now, Faults: s.faults["ploi"], Lag: simulatedLag, Write: simulatedWork, Work: simulatedWork, BuildTime: simulatedBuild, File: file("ploi"), Token: s.tokens["ploi"],
		Servers: []ploisim.Server{{ID: 1, Name: "web-1", Address: simulatedServer}}, DNS: func(host string) []string { return s.addresses(host) }, Serve: s.payload.atPloi})
	s.vercel, err[4] = vercelsim.New(vercelsim.Options{Now: now, Faults: s.faults["vercel"], Lag: simulatedLag, BuildTime: simulatedBuild, BuildPolls: 1, PointTime: simulatedWork, File: file("vercel"), Token: s.tokens["vercel"], Team: simulatedTeam, Serve: s.payload.atVercel})
	s.railway, err[5] = railwaysim.New(railwaysim.Options{Now: now, Faults: s.faults["railway"], Lag: lag, BuildTime: simulatedBuild, File: file("railway"), Token: s.tokens["railway"]})
	s.resend, err[6] = resendsim.New(resendsim.Options{Now: now, Faults: s.faults["resend"], Lag: simulatedLag, File: file("resend"), Token: s.tokens["resend"], Domains: map[string]string{"demo.example": "verified"}})
	if err := errors.Join(err[:]...); err != nil {
		return nil, err
	}
	s.api = map[string]http.Handler{"ploi": s.ploi, "vercel": s.vercel, "railway": s.railway, "cloudflare": s.cloudflare, "resend": s.resend, "stripe": s.stripe}
	return s, nil
}

func (o demoOptions) simulated() bool { return o.providers == "simulated" }

// choose settles which providers it is: a demo goes on with those that it was begun with.
func (o *demoOptions) choose(dir string) error {
	begun := ""
	if dir != "" && !exists(filepath.Join(dir, demoGit, demoRepository+".git")) { // a demo makes it first
		for _, name := range []string{defaultConfigFile, demoState} {
			if exists(filepath.Join(dir, name)) {
				return usageError{filepath.Join(dir, name) + " is no demo's, and a demo has its own there: name another folder"}
			}
		}
	}
	if dir != "" && exists(filepath.Join(dir, defaultConfigFile)) {
		begun = "embedded"
		if exists(filepath.Join(dir, simulatedDir)) {
			begun = "simulated"
		}
	}
	switch {
	case o.providers == "":
		if o.providers = begun; begun == "" {
			o.providers = "embedded"
		}
	case o.providers != "embedded" && o.providers != "simulated":
		return usageError{fmt.Sprintf("--providers %s: it is embedded or simulated", o.providers)}
	case begun != "" && begun != o.providers:
		return usageError{fmt.Sprintf("%s holds a demo with %s providers: name another folder", dir, begun)}
	}
	if len(o.faults) > 0 && !o.simulated() {
		return usageError{"--fault is for simulated vendors: add --providers simulated"}
	}
	return nil
}

// openSimulations opens the vendors of the demo.
func (a *app) openSimulations(o demoOptions) (err error) {
	if a.sims, err = newSimulations(filepath.Join(o.dir, simulatedDir), a.now, func() string { return o.listen }); err != nil {
		return err
	}
	if a.over != nil {
		for name, api := range a.sims.api {
			a.sims.api[name] = a.over(name, api)
		}
	}
	for _, f := range o.faults {
		if err := a.sims.fault(f); err != nil {
			return err
		}
	}
	a.public, a.reach = a.sims.lookup, a.sims.reach
	return nil
}

// providers is the block of the configuration that leads to them.
func (s *simulations) providers(listen string) map[string]any {
	at := func(name, path string) string { return s.address(listen, name) + path }
	return map[string]any{
		"ploi":       map[string]any{"apiToken": s.tokens["ploi"], "servers": map[string]string{"web-1": "1"}, "apiURL": at("ploi", "/api")},
		"vercel":     map[string]any{"apiToken": s.tokens["vercel"], "teamID": simulatedTeam, "apiURL": at("vercel", "")},
		"railway":    map[string]any{"apiKey": s.tokens["railway"], "apiURL": at("railway", "/graphql/v2")},
		"cloudflare": map[string]any{"apiToken": s.tokens["cloudflare"], "apiURL": at("cloudflare", "/client/v4")},
		"resend":     map[string]any{"apiKey": s.tokens["resend"], "from": "Demo <ops@demo.example>", "apiURL": at("resend", "")},
		"stripe":     map[string]any{"apiKey": s.tokens["stripe"], "platform": stripesim.Platform, "webhookSecret": s.tokens[stripeHook], "apiURL": at("stripe", "")},
	}
}

func (s *simulations) address(listen, name string) string {
	return "http://" + listen + simulatedPath + "/" + name
}

// lookup is the world's DNS, as the simulated Cloudflare tells it: nobody else is asked.
func (s *simulations) lookup(_ context.Context, recordType, name string) ([]string, error) {
	return s.cloudflare.Answers(recordType, name), nil
}

// addresses are those of a name, behind its CNAMEs.
func (s *simulations) addresses(host string) []string {
	for range maxAliases {
		if found := s.cloudflare.Answers("A", host); len(found) > 0 {
			return found
		}
		to := s.cloudflare.Answers("CNAME", host)
		if len(to) == 0 {
			return nil
		}
		host = strings.TrimSuffix(to[0], ".")
	}
	return nil
}

// server is what answers for a name: what its records lead to; a vendor's own names lead to
// that vendor. nil: the name has no address.
func (s *simulations) server(host string) http.Handler {
	found := s.addresses(host)
	switch {
	case slices.Contains(found, simulatedEdge), strings.HasSuffix(host, ".vercel.app"):
		return s.vercel.Front()
	case slices.Contains(found, simulatedServer), strings.HasSuffix(host, ".test.ploi.example"):
		return s.ploi.Front()
	}
	return nil
}

func (s *simulations) inZone(host string) bool {
	return slices.ContainsFunc(s.zones, func(z string) bool { return host == z || strings.HasSuffix(host, "."+z) })
}

// Owns implements frontage.
func (s *simulations) Owns(r *http.Request) bool {
	host := hostname(r.Host)
	own := hostname(s.listens())
	return host != "" && host != "localhost" && host != own && net.ParseIP(host) == nil || strings.HasPrefix(r.URL.Path, sitesPath)
}

// Path implements frontage.
func (s *simulations) Path(host string) string {
	if s.addresses(host) == nil {
		return ""
	}
	return sitesPath + host
}

// Handler implements front: sites by the Host header, or under a path for who has no such
// name.
func (s *simulations) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostname(r.Host)
		if rest, ok := strings.CutPrefix(r.URL.Path, sitesPath); ok && (net.ParseIP(host) != nil || host == "localhost") {
			name, path, _ := strings.Cut(rest, "/")
			host = s.named(strings.ToLower(name))
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath, r.Host = "/"+path, "", host
		}
		front := s.server(host)
		if front == nil {
			http.Error(w, host+" has no address at the simulated Cloudflare", http.StatusNotFound)
			return
		}
		front.ServeHTTP(&redirecting{w, s}, r)
	})
}

// named is the host that a name in a path stands for: itself, or that of a client's site.
func (s *simulations) named(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	below := name + "." + s.zones[0]
	if s.addresses(below) == nil && s.site != nil {
		if host := s.site(name); host != "" {
			return host
		}
	}
	return below
}

// redirecting leads to other names of the demo at the demo's address.
type redirecting struct {
	http.ResponseWriter
	s *simulations
}

// WriteHeader implements http.ResponseWriter.
func (w *redirecting) WriteHeader(status int) {
	if u, err := url.Parse(w.Header().Get("Location")); err == nil && u.Scheme == "https" && w.s.inZone(u.Hostname()) {
		u.Scheme, u.Host = "http", w.s.at(u.Hostname())
		w.Header().Set("Location", u.String())
	}
	w.ResponseWriter.WriteHeader(status)
}

// at is a host with the demo's port.
func (s *simulations) at(host string) string {
	_, port, err := net.SplitHostPort(s.listens())
	if err != nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

func hostname(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(hostport, "[]"), "."))
}

// simulate wires a program to the vendors: names, probes, refs and mail are theirs.
func (p *program) simulate(s *simulations) {
	p.front = s
	s.site = func(name string) string {
		v, err := p.engine.Detail(name)
		if err != nil {
			return ""
		}
		u, err := url.Parse(v.URL)
		if err != nil {
			return ""
		}
		if host, ok := strings.CutPrefix(u.Path, sitesPath); ok { // what a browser finds here
			return strings.Trim(host, "/")
		}
		return u.Hostname()
	}
	probe := p.engine.Check
	p.engine.Check = func(ctx context.Context, base string, h manifest.Health) error {
		u, err := url.Parse(base)
		if err != nil {
			return fmt.Errorf("probe a site: %w", err)
		}
		u.Scheme, u.Host = "http", s.at(u.Hostname()) // whatever its name, it is served here
		return probe(ctx, u.String(), h)
	}
	// There is no repository of the sites: a ref stands for a commit of its own.
	p.engine.ResolveRef = func(_ context.Context, repository, ref string) (string, error) {
		sum := sha1.Sum([]byte(repository + " " + ref)) //nolint:gosec // it proves nothing
		return hex.EncodeToString(sum[:]), nil
	}
	p.caught = func() ([]web.Message, error) { return s.mail(p.here), nil }
	s.log = p.log
}

// here is this machine, for every name of a simulated site.
func (s *simulations) here(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
}

// errElsewhere refuses a connection that would leave the machine.
var errElsewhere = errors.New("the demo connects to this machine only")

// onlyHere makes a way to connect that ends at this machine.
func onlyHere(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !to.Addr().IsLoopback() {
			return nil, errElsewhere
		}
		return dial(ctx, network, address)
	}
}

// simulatedExamples are the example clients as they are asked of the simulated vendors: the
// same files, with other providers and sources, Payload sites, whose first user is made at the
// site, and one client that takes payments.
func simulatedExamples(files map[string]string) map[string]string {
	out := map[string]string{}
	for name, text := range files {
		switch {
		case name == "platform.yaml":
			text = strings.NewReplacer(
				"# Everything runs on the embedded parts. For real sites this says, for example,\n# {provider: ploi, server: web-1}, {provider: railway} and {provider: cloudflare}.", "# All of these vendors are simulated, on this machine.",
				"{provider: local}\n  database: {provider: sqlite, ", "{provider: ploi, server: web-1}\n  database: {provider: railway, access: public, ",
				"dns: {provider: local}", "dns: {provider: cloudflare}").Replace(text)
		case strings.HasPrefix(name, "templates/"):
			text = strings.NewReplacer("repository: builtin", "repository: compassdigital/storefront", "admin: {kind: local, path: /admin}", "admin: {kind: payload, path: /admin}").Replace(text)
		case name == "clients/fieldnotes.yaml" || name == "clients/atelier-noord.yaml":
			text += "deployment: {provider: vercel}\n"
		case name == "clients/timmerhout.yaml":
			text = strings.Replace(text, "payments: {enabled: false", "payments: {enabled: true", 1)
		case name == "clients/northbridge.yaml":
			text = strings.Replace(text, "deployment: {ref", "deployment: {provider: vercel, ref", 1)
		}
		out[name] = text
	}
	return out
}
