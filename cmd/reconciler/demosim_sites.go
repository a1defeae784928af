package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	payloadsim "github.com/compassdigital/reconciler/internal/provider/payload/simulated"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	vercelsim "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/web"
)

// payloadUsers is where a Payload site makes its first user.
const payloadUsers = "/api/users/"

// payloadSites are the users of simulated Payload sites. They live in a site's database, as
// they do at a real one: whichever host serves it finds the same ones.
type payloadSites struct {
	dir    string // "": nothing outlives the process
	now    func() time.Time
	faults *simulator.Faults

	mu  sync.Mutex
	all map[string]*payloadsim.Payload // by a hash of the database's address
}

// newPayloadSites returns them, with the users that dir holds.
func newPayloadSites(dir string, now func() time.Time, faults *simulator.Faults) (*payloadSites, error) {
	s := &payloadSites{dir: dir, now: now, faults: faults, all: map[string]*payloadsim.Payload{}}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the simulated sites: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open the simulated sites: %w", err)
	}
	for _, f := range files {
		if key, ok := strings.CutSuffix(f.Name(), ".json"); ok {
			if _, err := s.open(key); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// siteKey names the users of a database without its password.
func siteKey(database string) string {
	sum := sha256.Sum256([]byte(database))
	return hex.EncodeToString(sum[:8])
}

// open returns the users of a database. The lock is held, or nobody else is there yet.
func (s *payloadSites) open(key string) (*payloadsim.Payload, error) {
	if site := s.all[key]; site != nil {
		return site, nil
	}
	file := ""
	if s.dir != "" {
		file = filepath.Join(s.dir, key+".json")
	}
	site, err := payloadsim.New(payloadsim.Options{Now: s.now, Faults: s.faults, File: file, Seed: key})
	if err == nil {
		s.all[key] = site
	}
	return site, err
}

// at is a Payload site with a database: its page, and what Payload answers.
func (s *payloadSites) at(database string, page http.Handler) http.Handler {
	if database == "" {
		return page
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login := r.URL.Path == "/admin" || strings.HasPrefix(r.URL.Path, "/admin/") // where it is chosen, too
		if !login && !strings.HasPrefix(r.URL.Path, payloadUsers) {
			page.ServeHTTP(w, r)
			return
		}
		s.mu.Lock()
		site, err := s.open(siteKey(database))
		s.mu.Unlock()
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case login:
			showLogin(w, site)
		default:
			site.ServeHTTP(w, r)
		}
	})
}

// atPloi is at, for a site at Ploi with a .env.
func (s *payloadSites) atPloi(env string, page http.Handler) http.Handler {
	database := ""
	for line := range strings.Lines(env) {
		if value, is := strings.CutPrefix(line, "DATABASE_URL="); is {
			database = strings.Trim(strings.TrimSpace(value), `'"`)
		}
	}
	return s.at(database, page)
}

// atVercel is at, for a deployment at Vercel.
func (s *payloadSites) atVercel(d vercelsim.Served) http.Handler {
	return s.at(d.Env["DATABASE_URL"], d)
}

// showLogin is the page of a site's administration. A real one would not say who is there.
func showLogin(w http.ResponseWriter, site *payloadsim.Payload) {
	who := "Nobody is there yet: whoever comes first registers."
	if users := site.Users(); len(users) > 0 {
		who = "Its first user is " + users[0].Email + ", who chooses a password by the site's own mail."
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><title>Administration</title><h1>Administration</h1><p>%s</p><p>This site is simulated: there is nothing behind its login.</p></html>\n", html.EscapeString(who)) // who asked may be gone
}

// users are all of all sites.
func (s *payloadSites) users() (out []payloadsim.User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.all)) {
		out = append(out, s.all[key].Users()...)
	}
	return out
}

// mails are what the sites sent.
func (s *payloadSites) mails() (out []web.Message) {
	for _, u := range s.users() {
		if !u.MailedAt.IsZero() {
			out = append(out, web.Message{At: u.MailedAt, To: u.Email, Subject: "Choose your password",
				Text: "The site itself sends this one. At a real site there is an address in it, at which its first user chooses a password."})
		}
	}
	return out
}

// mail is what was sent to clients, by Resend and by their own sites, newest first, with the
// addresses that a browser finds here.
func (s *simulations) mail(here func(string) string) []web.Message {
	out := s.payload.mails()
	for _, m := range s.resend.Sent() {
		out = append(out, web.Message{At: m.At, To: strings.Join(m.To, ", "), Subject: m.Subject, Text: anAddress.ReplaceAllStringFunc(m.Text, here)})
	}
	slices.SortStableFunc(out, func(a, b web.Message) int { return b.At.Compare(a.At) })
	return out
}

// reach leads who asks a site by its name to the demo's address, where it is served.
func (s *simulations) reach(base http.RoundTripper) http.RoundTripper { return reaching{base, s} }

type reaching struct {
	base http.RoundTripper
	s    *simulations
}

// RoundTrip implements http.RoundTripper.
func (t reaching) RoundTrip(r *http.Request) (*http.Response, error) {
	to := r.Clone(r.Context())
	to.URL.Scheme, to.URL.Host = "http", t.s.at(r.URL.Hostname())
	to.Host = to.URL.Host
	return t.base.RoundTrip(to)
}

// deliveryTime is how long Stripe waits for who takes a delivery.
const deliveryTime = 10 * time.Second

// openStripe opens the simulated Stripe, whose deliveries come to the demo's own address.
func (s *simulations) openStripe(o stripesim.Options) (err error) {
	o.Updated = s.deliver
	s.stripe, err = stripesim.New(o)
	return err
}

// deliver sends an account.updated. Stripe would try again for days; here the daemon is the
// same process, and what it missed its scheduled look finds.
func (s *simulations) deliver(account string) {
	ctx, cancel := context.WithTimeout(context.Background(), deliveryTime)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: onlyHere((&net.Dialer{}).DialContext)}}
	status, err := s.stripe.Deliver(ctx, client, "http://"+s.listens()+stripePath, account, s.tokens[stripeHook])
	if s.log != nil && (err != nil || status != http.StatusOK) {
		s.log.Warn("the simulated Stripe could not deliver", "account", account, "status", status, "error", err)
	}
}

// stripeHook names the secret of Stripe's deliveries among the tokens.
const stripeHook = "stripe's deliveries"
