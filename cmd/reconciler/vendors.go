package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/compassdigital/reconciler/internal/health"
	"github.com/compassdigital/reconciler/internal/notify"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// vendorTimeout is how long one exchange with a vendor may take, its turn and repeated reads
// included.
const vendorTimeout = 3 * time.Minute

// vendors is what the program knows of the systems that it speaks to over HTTP.
type vendors struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	up       *prometheus.GaugeVec

	mu   sync.Mutex
	down map[about]outage
	well map[about]time.Time      // all that is configured: since when it goes well; zero: it does not, or was not asked since the start
	skew map[string]time.Duration // how far a vendor's clock was ahead of ours, at its last answer
}

// about is one of two things about a vendor.
type about struct {
	name        string
	credentials bool // that it lets us in; false: that it answers
}

// outage is a vendor that is left alone for a moment.
type outage struct {
	since time.Time
	why   string
}

func newVendors() *vendors {
	v := &vendors{registry: prometheus.NewRegistry(), down: map[about]outage{}, well: map[about]time.Time{}, skew: map[string]time.Duration{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "reconciler_provider_requests_total", Help: "Requests to a provider, each try by itself; status 0: no answer."},
			[]string{"provider", "method", "route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "reconciler_provider_request_seconds", Help: "How long requests to a provider took.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}, []string{"provider"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "reconciler_provider_up", Help: "0 while a provider does not answer and is left alone for a moment."}, []string{"provider"})}
	v.registry.MustRegister(v.requests, v.took, v.up)
	return v
}

// handler answers a scrape.
func (v *vendors) handler() http.Handler {
	return promhttp.HandlerFor(v.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

func (p *program) observed(e httpapi.Exchange) {
	v := p.vendors
	v.mu.Lock()
	if !e.Date.IsZero() {
		v.skew[e.Provider] = e.Date.Sub(p.now())
	}
	if e.Status > 0 && e.Status < http.StatusInternalServerError {
		v.wellNow(about{name: e.Provider}, p.now())
	}
	v.mu.Unlock()
	v.requests.WithLabelValues(e.Provider, e.Method, e.Route, fmt.Sprint(e.Status)).Inc()
	v.took.WithLabelValues(e.Provider).Observe(e.Took.Seconds())
}

// notices are the vendors that do not answer.
func (v *vendors) notices() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for x, o := range v.down {
		what := "does not answer"
		if x.credentials {
			what = "does not let us in"
		}
		out = append(out, fmt.Sprintf("%s %s since %s: %s; clients that need it wait, the others go on", x.name, what, o.since.UTC().Format("2 January 15:04 MST"), o.why))
	}
	slices.Sort(out)
	return out
}

// changed is told once when a vendor stops to answer, and once when it is back.
func (p *program) changed(name string, back bool, why string) {
	p.note(about{name: name}, back, why, "provider does not answer")
}

// barred is told once when a vendor stops to accept our credentials, once when it does again,
// and of the first time that it does.
func (p *program) barred(name string, back bool, why string) {
	p.note(about{name, true}, back, why, "provider does not let us in")
}

func (p *program) note(x about, back bool, why, what string) {
	v, now := p.vendors, p.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	was, down := v.down[x]
	if !back {
		v.down[x], v.well[x] = outage{since: now, why: why}, time.Time{}
		v.up.WithLabelValues(x.name).Set(0)
		p.log.Warn(what, "provider", x.name, "why", why)
		return
	}
	delete(v.down, x)
	v.wellNow(x, now)
	if !down {
		return
	}
	if _, still := v.down[about{x.name, !x.credentials}]; !still {
		v.up.WithLabelValues(x.name).Set(1)
	}
	p.log.Info("provider is back", "provider", x.name, "after", now.Sub(was.since).Round(time.Second))
}

// expect says that a vendor is configured.
func (v *vendors) expect(x about) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.well[x] = time.Time{}
}

// wellNow notes that something went well; whoever is left alone is told to be back by note.
func (v *vendors) wellNow(x about, now time.Time) {
	since, expected := v.well[x]
	if _, down := v.down[x]; expected && since.IsZero() && !down {
		v.well[x] = now
	}
}

// standings are all that is configured, in no order, for the mails to those who run this.
func (v *vendors) standings() (out []notify.Standing) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for x, since := range v.well {
		s := notify.Standing{Provider: x.name, Credentials: x.credentials, Since: since}
		switch o, down := v.down[x]; {
		case down && x.credentials:
			s.Word, s.Since, s.Because = state.NoticeShut, o.since, o.why
		case down:
			s.Word, s.Since, s.Because = state.NoticeAway, o.since, o.why
		case !since.IsZero():
			s.Word = state.NoticeBack
		}
		out = append(out, s)
	}
	return out
}

// limit is how many requests a vendor allows one credential in a window, as it publishes.
type limit struct {
	most   int
	window time.Duration
	byCall bool // it has one for each call, which the provider keeps to
}

// proxyOf is the way to other hosts: network.proxy, else what the environment says.
func proxyOf(n NetworkConfig) (func(*http.Request) (*url.URL, error), error) {
	if n.Proxy == "" {
		return http.ProxyFromEnvironment, nil
	}
	proxy, err := url.Parse(n.Proxy)
	if err != nil || proxy.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, proxy.Scheme) {
		return nil, errors.New("network.proxy is not an address: http://HOST:PORT") // which may hold a password
	}
	return http.ProxyURL(proxy), nil
}

// quickly is how much faster than the machine's clock waits for vendors pass in tests.
const quickly = 200

// vendorHTTP is the client for one credential at a vendor. All of its requests go through one
// transport, that keeps to the limit.
func (p *program) vendorHTTP(name string, l limit) (*http.Client, error) {
	proxy, err := proxyOf(p.config.Network)
	if err != nil {
		return nil, err
	}
	base := &http.Transport{Proxy: proxy}
	if file := p.config.Network.CAFile; file != "" {
		roots, err := health.Roots(file)
		if err != nil {
			return nil, err
		}
		base.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	p.vendors.up.WithLabelValues(name).Set(1)
	p.vendors.expect(about{name: name})
	base = httpapi.NewBase(base)
	if p.sims != nil {
		base.Proxy, base.DialContext = nil, onlyHere(base.DialContext)
	}
	p.closers = append(p.closers, func() error { base.CloseIdleConnections(); return nil })
	var short func(time.Duration) time.Duration
	if p.quick {
		short, l.most = func(d time.Duration) time.Duration { return d / quickly }, 0
	}
	return httpapi.NewHTTP(httpapi.NewTransport(httpapi.Options{Provider: name, Base: base, Now: p.now, Real: short,
		Jitter: func(d time.Duration) time.Duration { return d/2 + mathrand.N(d/2+1) },
		Most:   l.most, Window: l.window, ByCall: l.byCall, Changed: p.changed, Observed: p.observed}), vendorTimeout), nil
}
