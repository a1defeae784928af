package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/local"
	"github.com/compassdigital/reconciler/internal/provider/localdns"
	"github.com/compassdigital/reconciler/internal/provider/mailbox"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/provider/sqlite"
	"github.com/compassdigital/reconciler/internal/state"
)

// hostVariable makes this binary a host of providers: a process that outlives those that
// call it, and that knows what is true. Its value is a hostSpec.
const hostVariable = "RECONCILER_TEST_PROVIDERS"

// hostSpec says what kind of host it is.
type hostSpec struct {
	Socket  string
	Dir     string        // the embedded providers, kept there; "": providers in memory
	One     bool          // in memory: one provider of every kind, as the suite wants it
	Lag     time.Duration // in memory: names may be taken twice, and lists are so late
	Builds  int           // in memory: looks that a deployment takes to be built
	Slow    bool          // calls take time before and after their effect
	Seed    uint64
	NoLikes bool // nothing is there from the start
	// Vendors are the tokens of simulated vendors, which are there beside the providers; nil: none are.
	Vendors map[string]string
	Work    time.Duration // at simulated vendors: what they do in the background takes so long; 0: 300 ms
}

// host serves providers and keeps the truth about them.
type host struct {
	spec  hostSpec
	clock quickClock
	world *memory.World
	sites net.Listener
	all   []*hosted
	likes []like
	// vendors are the simulated ones; nil: there are none.
	vendors *hostedVendors
	rng     struct {
		sync.Mutex
		*rand.Rand
	}
	flying atomic.Int64
	mailed atomic.Int64 // through a simulated Resend

	mu     sync.Mutex
	truth  truth
	armed  armed
	byID   map[string]string // databases that were made, and whose
	whose  map[string]string // objects that were made, by owner and id
	late   map[string]bool   // objects that were made once their caller was dead, by owner and id
	erased []string
}

// hosted is one provider. Its writes are carried out one after the other in the order in
// which they arrived, as a vendor does it for one account: a write whose caller is dead
// comes before those of the caller's successor.
type hosted struct {
	provider.Provider
	writing chan struct{}
}

// like is an object that only looks like ours.
type like struct {
	at   int
	kind state.Kind
	id   string
	was  string
}

// armed kills the caller of the N-th write from now.
type armed struct {
	N      int
	Moment string // before its effect, or after it
	Only   string // counts requests that a simulated vendor is sent like this: METHOD PATH; "": every write
}

// truth is what the host knows.
type truth struct {
	Objects []ownedObject
	Bad     []string       // what was broken, at once when it was
	Died    map[string]int // calls whose caller died meanwhile, by verb
	Killed  int            // callers that were killed by Arm
	Reads   int
	Writes  int
	By      map[int]int    // writes by caller
	Of      map[string]int // writes by the client whose object it was or was to be
	Erased  []string       // databases that were deleted, by client, since the last question
}

type ownedObject struct {
	Owner  string
	ID     string
	Kind   state.Kind
	Name   string
	Mark   provider.Mark
	Inside string // of a user: the database that it goes with
	Now    string // of an account: what it says
	Late   bool   // it was made once its caller was dead
}

// hostMain is the host's process. It ends when its standard input does: with its test.
func hostMain(text string) error {
	var spec hostSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	h := &host{spec: spec, byID: map[string]string{}, whose: map[string]string{}, late: map[string]bool{}, truth: truth{Died: map[string]int{}, By: map[int]int{}, Of: map[string]int{}}}
	h.rng.Rand = rand.New(rand.NewPCG(spec.Seed, 1))
	if err := h.open(); err != nil {
		return err
	}
	if !spec.NoLikes {
		if err := h.plant(); err != nil {
			return err
		}
	}
	if spec.Vendors != nil {
		if err := h.openVendors(); err != nil {
			return err
		}
	}
	l, err := net.Listen("unix", spec.Socket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/call", h.call)
	mux.HandleFunc("/providers", h.providers)
	mux.HandleFunc("/truth", h.tell)
	mux.HandleFunc("/arm", h.arm)
	mux.HandleFunc("/clock", h.time)
	mux.HandleFunc("/serves", h.serves)
	mux.HandleFunc("/dns", h.dns)
	mux.HandleFunc("/strangers", h.strangers)
	mux.HandleFunc("/emptied", h.emptied)
	mux.HandleFunc("/hand", h.hand)
	mux.HandleFunc("/vendors", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(h.vendors.at) })
	s := &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = s.Close()
	}()
	if err := s.Serve(l); err != nil && err != http.ErrServerClosed {
		return err
	}
	if h.vendors != nil {
		h.vendors.witness.end()
	}
	return nil
}

func (h *host) add(p provider.Provider) {
	h.all = append(h.all, &hosted{p, make(chan struct{}, 1)})
}

func (h *host) open() error {
	if h.spec.Dir != "" {
		return h.openEmbedded()
	}
	h.world = memory.NewWorld(h.clock.Now)
	kinds := func(all map[state.Kind]provider.Traits) map[state.Kind]provider.Traits {
		if h.spec.Lag > 0 {
			return memory.Change(all, memory.Unkind(h.spec.Lag))
		}
		return all
	}
	build := func(w provider.Wish) memory.Build {
		b := memory.Build{}
		if w.Ref.Kind == state.KindDeployment {
			b.Looks = h.spec.Builds
			if strings.Contains(w.Get("settings"), "breakBuild") {
				b.Fails = "the build is broken"
			}
		}
		return b
	}
	open := func(name string, all map[state.Kind]provider.Traits) {
		h.add(memory.New(memory.Options{Name: name, World: h.world, Kinds: kinds(all), Build: build, WriteOnly: map[state.Kind][]string{state.KindAdmin: {"password"}}}))
	}
	if h.spec.One {
		all := memory.Everything()
		delete(all, state.KindPayments) // an account is its owner's to finish, and nobody is one over there
		open("ploi", all)
		return nil
	}
	open("sqlite", memory.Databases())
	open("local", memory.Hosting())
	open("local", memory.DNS())
	open("mailbox", memory.Mail())
	return nil
}

// openEmbedded opens the providers that keep real files and serve real sites.
func (h *host) openEmbedded() error {
	dir := func(name string) string { return filepath.Join(h.spec.Dir, name) }
	var err error
	if h.sites, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	databases, err := sqlite.New(sqlite.Options{Dir: dir("databases"), Now: h.clock.Now})
	if err != nil {
		return err
	}
	sites, err := local.New(local.Options{Dir: dir("sites"), Public: func() string { return h.sites.Addr().String() }, Now: h.clock.Now})
	if err != nil {
		return err
	}
	records, err := localdns.New(localdns.Options{Dir: dir("dns"), Now: h.clock.Now})
	if err != nil {
		return err
	}
	mail, err := mailbox.New(mailbox.Options{Dir: dir("mail"), Now: h.clock.Now})
	if err != nil {
		return err
	}
	go func() { _ = (&http.Server{Handler: sites.Handler(), ReadHeaderTimeout: patience}).Serve(h.sites) }()
	for _, p := range []provider.Provider{databases, sites, records, mail} {
		h.add(p)
	}
	return nil
}

// plant puts objects there that look like ours and are not.
func (h *host) plant() error {
	in := func(pairs ...string) []provider.Input {
		var out []provider.Input
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, provider.Input{Name: pairs[i], Text: pairs[i+1]})
		}
		return out
	}
	for _, mark := range []provider.Mark{{}, {Installation: "ffffffff", Client: "demoshop-ffffff", Generation: 1}} {
		suffix := "-" + mark.Installation
		for n, w := range []provider.Wish{
			0: {Ref: state.Ref{Kind: state.KindDatabase}, Name: "demoshop-ffffff" + suffix + "x", Inputs: in("access", "public", "disabled", "", "schema", "ecommerce")},
			1: {Ref: state.Ref{Kind: state.KindSite}, Name: "demoshop-ffffff" + suffix + "x", Inputs: in("label", "demoshop", "repository", "builtin", "runtime", "", "server", "")},
			2: {Ref: state.Ref{Kind: state.KindRecord}, Name: "TXT shop1.localhost", Inputs: in("content", "look-alike"+suffix, "name", "shop1.localhost", "ttl", "300", "type", "TXT")},
		} {
			w.Mark = mark
			o, err := h.all[n].Create(context.Background(), w)
			if err != nil {
				return fmt.Errorf("plant %s: %w", w.Name, err)
			}
			l := like{at: n, kind: w.Ref.Kind, id: o.ID}
			if l.was, err = h.look(l); err != nil {
				return err
			}
			h.likes = append(h.likes, l)
		}
	}
	return nil
}

// look is what a look-alike is now, as text.
func (h *host) look(l like) (string, error) {
	found, err := h.all[l.at].Observe(context.Background(), provider.Query{Kind: l.kind, ID: l.id})
	if err != nil || len(found) != 1 {
		return "gone", err
	}
	data, err := json.Marshal(objectToWire(found[0]))
	return string(data), err
}

// pause lets a call take its time: mostly next to none, sometimes long enough to be in the
// way of the next process.
func (h *host) pause() {
	if !h.spec.Slow {
		return
	}
	h.rng.Lock()
	d := time.Duration(h.rng.Int64N(int64(time.Millisecond)))
	switch h.rng.IntN(20) {
	case 0:
		d *= 30
	case 1, 2, 3:
		d *= 6
	}
	h.rng.Unlock()
	time.Sleep(d)
}

func (h *host) call(w http.ResponseWriter, r *http.Request) {
	h.flying.Add(1)
	defer h.flying.Add(-1)
	var c wireCall
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.Provider < 0 || c.Provider >= len(h.all) {
		http.Error(w, fmt.Sprint("what is that: ", err), http.StatusBadRequest)
		return
	}
	h.follow(r.Header.Get(aheadHeader))
	caller, _ := strconv.Atoi(r.Header.Get(callerHeader))
	p := h.all[c.Provider]
	writes := c.Verb == "create" || c.Verb == "update" || c.Verb == "delete"
	n := 0
	if writes {
		p.writing <- struct{}{}
		n = h.begins("before", "", caller)
	}
	h.pause()
	found, err := h.effect(p, c) // whatever became of the caller
	if writes {
		h.happened(p, c, found, err, r.Context().Err() != nil)
		<-p.writing
		h.ends("after", caller, n)
	}
	h.pause()
	h.mu.Lock()
	if r.Context().Err() != nil {
		h.truth.Died[c.Verb]++
	}
	if writes {
		h.truth.Writes++
		h.truth.By[caller]++
	} else {
		h.truth.Reads++
	}
	h.mu.Unlock()
	a := wireAnswer{Error: errorToWire(err)}
	for _, o := range found {
		a.Objects = append(a.Objects, objectToWire(o))
	}
	_ = json.NewEncoder(w).Encode(a) // a caller that is gone doesn't listen
}

func (h *host) effect(p *hosted, c wireCall) (found []provider.Object, err error) {
	ctx := context.Background()
	var o provider.Object
	switch c.Verb {
	case "observe":
		return p.Observe(ctx, provider.Query{Kind: c.Kind, ID: c.ID, Name: c.Name, Wish: c.Wish.wish()})
	case "owned":
		return p.Owned(ctx, c.Installation)
	case "create":
		o, err = p.Create(ctx, *c.Wish.wish())
	case "update":
		o, err = p.Update(ctx, c.ID, *c.Wish.wish())
	case "delete":
		return nil, p.Delete(ctx, c.Kind, c.ID)
	case "dump":
		d, ok := p.Provider.(provider.Dumper)
		if !ok {
			return nil, &provider.Error{Kind: provider.Unsupported, Provider: p.Name(), Op: "dump", Message: "it can't"}
		}
		return nil, d.Dump(ctx, c.ID, c.Path)
	}
	if err != nil {
		return nil, err
	}
	return []provider.Object{o}, nil
}

// begins and ends kill the caller where Arm said so.
func (h *host) begins(moment, request string, caller int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.armed.N == 0 || h.armed.Only != "" && h.armed.Only != request {
		return 0
	}
	h.armed.N--
	if h.armed.N > 0 {
		return 0
	}
	if h.armed.Moment == moment {
		h.kill(caller)
		return 0
	}
	return 1
}

func (h *host) ends(moment string, caller, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n == 1 && h.armed.Moment == moment {
		h.kill(caller)
	}
}

func (h *host) kill(caller int) {
	if caller > 1 && syscall.Kill(caller, syscall.SIGKILL) == nil {
		h.truth.Killed++
	}
}

func (h *host) providers(w http.ResponseWriter, _ *http.Request) {
	var out []wireProvider
	for _, p := range h.all {
		out = append(out, wireProvider{p.Name(), p.Traits()})
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (h *host) arm(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := json.NewDecoder(r.Body).Decode(&h.armed); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, "{}")
}

// follow keeps the host's clock beside its callers'.
func (h *host) follow(ahead string) {
	n, err := strconv.ParseInt(ahead, 10, 64)
	if err != nil {
		return
	}
	for {
		old := h.clock.ahead.Load()
		if n <= old || h.clock.ahead.CompareAndSwap(old, n) {
			return
		}
	}
}

// time lets time pass, and says how much the clock is ahead.
func (h *host) time(w http.ResponseWriter, r *http.Request) {
	h.follow(r.Header.Get(aheadHeader))
	if d, err := time.ParseDuration(r.URL.Query().Get("add")); err == nil {
		h.clock.add(d)
	}
	fmt.Fprint(w, h.clock.ahead.Load())
}

// startHost starts a host that lives until the test ends.
func startHost(t testing.TB, spec hostSpec) *remote {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	judged := newTestimony(t)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), hostVariable+"="+string(text), judged.env())
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("the host of the providers: %v", err)
		}
	})
	r := dialProviders(spec.Socket, nil)
	r.judged = judged
	t.Cleanup(r.http.CloseIdleConnections)
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		err := r.ask(context.Background(), "/providers", nil, nil)
		if err == nil {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("the host of the providers does not come up: %v", err)
		}
	}
}
