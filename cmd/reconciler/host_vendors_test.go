package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare"
	"github.com/compassdigital/reconciler/internal/provider/payload"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
	railwaysim "github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/provider/resend"
	"github.com/compassdigital/reconciler/internal/provider/stripe"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
	"github.com/compassdigital/reconciler/internal/state"
)

// The vendors' side of a host of providers: simulated vendors over HTTP, which outlive the
// program and its clients of them. Who calls stands in the address, so that the host can kill
// it at a write, as it does with the calls of its own providers.

// vendorsVariable tells the program where a host's vendors are.
const vendorsVariable = "RECONCILER_TEST_VENDORS"

// hostedVendors are the vendors of a host.
type hostedVendors struct {
	set   *vendorSet
	at    string // address
	likes map[string]string
	// witness judges what is asked and answered. It looks at exchanges whose request came whole,
	// when their effect is over: that a caller was killed meanwhile is no misfit.
	witness *witness
	judge   map[string]func(http.Handler) http.Handler // by vendor

	mu   sync.Mutex      // around each write and what is noted of it
	late map[string]bool // objects that were made once their caller was dead
	told map[string]bool // databases of which it was told that they are gone
	had  map[string]bool // accounts that there were, none of which ever goes
	hand []hand          // what people made, none of which ever goes
}

// openVendors starts them.
func (h *host) openVendors() error {
	said, err := newWitness()
	if err != nil {
		return err
	}
	set, err := newVendorSet(h.clock.Now, kindness{lag: h.spec.Lag, work: cmp.Or(h.spec.Work, 300*time.Millisecond), build: time.Second}, "localhost", h.spec.Vendors, said.over)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	v := &hostedVendors{set: set, at: "http://" + l.Addr().String(), likes: set.likes(), witness: said, judge: map[string]func(http.Handler) http.Handler{}, late: map[string]bool{}, told: map[string]bool{}, had: map[string]bool{}}
	h.vendors = v
	mux := http.NewServeMux()
	apis := set.apis()
	apis[payload.Name] = vendorAPI{api: set.atSites()}
	for name, x := range apis {
		v.judge[name] = judge(said, name)
		mux.HandleFunc("/by/{caller}/"+name+"/", func(w http.ResponseWriter, r *http.Request) { h.vendorCall(w, r, name, x.api) })
	}
	go func() { _ = (&http.Server{Handler: mux, ReadHeaderTimeout: patience}).Serve(l) }()
	return nil
}

// vendorCall is one request to a vendor. Its effect happens whatever becomes of who called.
func (h *host) vendorCall(w http.ResponseWriter, r *http.Request, name string, api http.Handler) {
	h.flying.Add(1)
	defer h.flying.Add(-1)
	caller, _ := strconv.Atoi(r.PathValue("caller"))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it died while it spoke
	}
	asked := r.Clone(context.Background())
	asked.Body = readerOf(body)
	asked.URL.Path = strings.TrimPrefix(r.URL.Path, "/by/"+r.PathValue("caller")+"/"+name)
	writes := r.Method != http.MethodGet
	if writes && name == resend.Name {
		if err := h.keepMail(body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	switch name {
	case "railway":
		writes = railwaysim.Mutations(asked, body)
	case payload.Name: // a login only tells whose a user is
		writes = writes && !strings.HasSuffix(asked.URL.Path, "/login")
	}
	answer := httptest.NewRecorder()
	h.vendors.judge[name](http.HandlerFunc(func(w http.ResponseWriter, asked *http.Request) {
		if !writes {
			api.ServeHTTP(w, asked)
			return
		}
		h.vendors.mu.Lock()
		defer h.vendors.mu.Unlock()
		n := h.begins("before", asked.Method+" "+asked.URL.Path, caller)
		h.pause()
		was := h.vendors.ids()
		api.ServeHTTP(w, asked)
		if r.Context().Err() != nil {
			for id := range h.vendors.ids() {
				h.vendors.late[id] = h.vendors.late[id] || !was[id]
			}
		}
		h.ends("after", caller, n)
	})).ServeHTTP(answer, asked)
	h.pause()
	h.mu.Lock()
	verb := name + " read"
	if writes {
		verb = name + " write"
		h.truth.Writes++
		h.truth.By[caller]++
	} else {
		h.truth.Reads++
	}
	if r.Context().Err() != nil {
		h.truth.Died[verb]++
	}
	h.mu.Unlock()
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // a caller that is gone doesn't listen
}

// keepMail puts what is mailed into a file of its own beside the host's socket, where the look for
// leaks finds it.
func (h *host) keepMail(body []byte) error {
	dir := filepath.Join(filepath.Dir(h.spec.Socket), "mailed")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, strconv.FormatInt(h.mailed.Add(1), 10)), body, 0o600)
}

// objects are the sites, databases and records with an installation's mark, from the vendors'
// own tables.
func (v *hostedVendors) objects(installation string) (out []ownedObject) {
	add := func(owner, id string, kind state.Kind, name string, mark provider.Mark) {
		if mark.Installation == installation && installation != "" {
			out = append(out, ownedObject{Owner: owner, ID: id, Kind: kind, Name: name, Mark: mark, Late: v.late[owner+" "+id]})
		}
	}
	for _, s := range v.set.ploi.Sites() {
		name, _ := strings.CutSuffix(s.Domain, ".reconciler.internal")
		add(ploi.Name, "1/"+strconv.Itoa(s.ID), state.KindSite, name, markOfName(name, installation))
	}
	for _, name := range v.set.vercel.Projects() {
		add(vercel.Name, v.set.projectID(name), state.KindSite, name, provider.ParseMark(v.set.vercel.Env(name, "development")["RECONCILER_MARK"]))
	}
	for _, p := range v.set.railway.Projects() {
		if !p.Deleted {
			add("railway", p.ID, state.KindDatabase, p.Name, markOfName(p.Name, installation))
		}
	}
	for _, r := range v.set.cloudflare.Records(v.set.zone()) {
		words := strings.Fields(r.Comment)
		name := r.Type + " " + r.Name
		if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "#") }); i >= 0 {
			name += " " + words[i]
		}
		for _, word := range words {
			add(cloudflare.Name, v.set.zone()+"/"+r.ID, state.KindRecord, name, provider.ParseMark(word))
		}
	}
	for _, o := range slices.Concat(v.accounts(), v.users(installation), v.mails()) {
		if o.Mark.Installation == installation && installation != "" {
			o.Late = v.late[o.Owner+" "+o.ID]
			out = append(out, o)
		}
	}
	return out
}

// markOfName is the mark that a deterministic name says: CLIENT-ID-INSTALLATION, or with -gN
// before the installation.
func markOfName(name, installation string) provider.Mark {
	rest, is := strings.CutSuffix(name, "-"+installation)
	if !is || installation == "" {
		return provider.Mark{}
	}
	m := provider.Mark{Installation: installation, Client: state.ClientID(rest), Generation: 1}
	if i := strings.LastIndex(rest, "-g"); i > 0 {
		if n, err := strconv.Atoi(rest[i+2:]); err == nil {
			m.Client, m.Generation = state.ClientID(rest[:i]), n
		}
	}
	return m
}

// ids are all objects that there are.
func (v *hostedVendors) ids() map[string]bool {
	out := map[string]bool{}
	for _, s := range v.set.ploi.Sites() {
		out[ploi.Name+" 1/"+strconv.Itoa(s.ID)] = true
	}
	for _, name := range v.set.vercel.Projects() {
		out[vercel.Name+" "+v.set.projectID(name)] = true
	}
	for _, p := range v.set.railway.Projects() {
		out["railway "+p.ID] = true
	}
	for _, r := range v.set.cloudflare.Records(v.set.zone()) {
		out[cloudflare.Name+" "+v.set.zone()+"/"+r.ID] = true
	}
	for _, a := range v.set.stripe.Accounts() {
		out[stripe.Name+" "+a.ID] = true
	}
	for _, u := range v.set.payload.users() {
		out[payload.Name+" "+u.ID] = true
	}
	for _, m := range v.set.resend.Sent() {
		out[resend.Name+" "+m.ID] = true
	}
	return out
}

// tell adds the vendors' truth to a host's: what there is, what is there twice, what a
// look-alike became, whose databases are gone.
func (v *hostedVendors) tell(t *truth, installation string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen := map[string]int{}
	objects := v.objects(installation)
	for _, o := range objects {
		if o.Kind == state.KindMail {
			continue // its name may be mailed again some days later
		}
		key := fmt.Sprint(o.Owner, ": ", o.Kind, " ", o.Name, " of ", o.Mark.Client)
		if seen[key]++; seen[key] == 2 {
			t.Bad = append(t.Bad, "I1: 2 times at "+key)
		}
	}
	t.Objects = append(t.Objects, objects...)
	t.Bad = append(t.Bad, v.twice()...)
	t.Bad = append(t.Bad, v.closed()...)
	t.Bad = append(t.Bad, v.taken()...)
	for _, p := range v.set.railway.Projects() {
		if p.Services > 1 || p.Volumes > 1 || p.Proxies > 1 {
			t.Bad = append(t.Bad, fmt.Sprintf("I1: at railway: %s has %d services, %d volumes, %d proxies", p.Name, p.Services, p.Volumes, p.Proxies))
		}
		if mark := markOfName(p.Name, installation); p.Deleted && !mark.IsZero() && !v.told[p.ID] {
			v.told[p.ID] = true
			t.Erased = append(t.Erased, string(mark.Client))
		}
	}
	for _, changed := range likesChanged(v.likes, v.set.likes()) {
		t.Bad = append(t.Bad, "I5: the look-alike "+changed)
	}
}

// serves says what answers at a host name: STORE_CURRENCY of what was built. is says that
// Cloudflare has the name.
func (v *hostedVendors) serves(name string) (currency string, is bool, err error) {
	for range maxHops {
		if len(v.set.cloudflare.Answers("A", name)) == 0 {
			return "", is, nil
		}
		is = true
		code, page := v.set.visit(name, "/")
		switch {
		case code == http.StatusOK:
			_, text, _ := strings.Cut(page, currencyWord)
			return text, true, nil
		case code != http.StatusPermanentRedirect:
			return "", true, fmt.Errorf("%s answers %d: %s", name, code, page)
		}
		_, to, _ := strings.Cut(page, "https://")
		name, _, _ = strings.Cut(to, "/")
	}
	return "", true, fmt.Errorf("%s redirects and redirects", name)
}

// dns answers for the world's DNS.
func (h *host) dns(w http.ResponseWriter, r *http.Request) {
	answers := h.vendors.set.cloudflare.Answers(r.URL.Query().Get("type"), r.URL.Query().Get("name"))
	_ = json.NewEncoder(w).Encode(answers)
}

// lookUp asks the host's DNS.
func (r *remote) lookUp(ctx context.Context, recordType, name string) (out []string, err error) {
	err = r.ask(ctx, "/dns?type="+url.QueryEscape(recordType)+"&name="+url.QueryEscape(name), nil, &out)
	return out, err
}

// vendorEnv adds where the vendors are to a program's environment, with its own number.
func vendorEnv(env func(string) string, at string) func(string) string {
	mine := map[string]string{"RECONCILER_PROVIDERS_VERCEL_TEAM_ID": agencyTeam, "RECONCILER_PROVIDERS_PLOI_SERVER_ID": "1",
		"RECONCILER_PROVIDERS_STRIPE_PLATFORM": stripesim.Platform, "RECONCILER_PROVIDERS_RESEND_FROM": "Agency <ops@localhost>"}
	for name, path := range map[string]string{"cloudflare": "/client/v4", "ploi": "/api", "vercel": "", "railway": "/graphql/v2", "stripe": "", "resend": ""} {
		mine[apiVariable(name)] = byMe(at, name) + path
	}
	return func(name string) string {
		if text, is := mine[name]; is {
			return text
		}
		return env(name)
	}
}

// byMe is a vendor's address at a host, for calls of this process.
func byMe(at, vendor string) string { return at + "/by/" + strconv.Itoa(os.Getpid()) + "/" + vendor }

// vendorsOf opens the program's own clients of a host's vendors. sites is who asks Payload: it
// finds sites in the store that it is given.
func vendorsOf(c Config, r *remote, at string, clock *quickClock, sleep func(context.Context, time.Duration) error) (out []provider.Provider, sites *program, err error) {
	p := &program{config: c, vendors: newVendors(), now: clock.Now, sleep: sleep, quick: true, public: r.lookUp, standIn: true, log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		reach: func(http.RoundTripper) http.RoundTripper { return atHost(byMe(at, payload.Name)) }}
	for _, open := range []func(Config) ([]provider.Provider, error){p.openRailway, p.openPloi, p.openCloudflare, p.openVercel, p.openStripe, p.openResend} {
		vendor, err := open(c)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, vendor...)
	}
	users, err := p.openPayload(c)
	return append(out, users), p, err // their connections go with the process
}
