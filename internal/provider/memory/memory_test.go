package memory_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

var ctx = context.Background()

func text(name, value string) provider.Input { return providertest.Text(name, value) }

// wish is a wish of a client.
func wish(client state.ClientID, kind state.Kind, name string, inputs ...provider.Input) provider.Wish {
	m := provider.Mark{Installation: "0badcafe", Client: client, Generation: 1}
	r := state.Ref{Client: client, Kind: kind, Name: name}
	return provider.Wish{Ref: r, Name: provider.ObjectName(m, r), Mark: m, Inputs: inputs}
}

func create(t *testing.T, p provider.Provider, w provider.Wish) string {
	t.Helper()
	o, err := p.Create(ctx, w)
	if err != nil {
		t.Fatalf("create %s: %v", w.Ref.Kind, err)
	}
	return o.ID
}

func named(t *testing.T, p provider.Provider, w provider.Wish) []provider.Object {
	t.Helper()
	found, err := p.Observe(ctx, provider.Query{Kind: w.Ref.Kind, Name: w.Name, Wish: &w})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func observe(t *testing.T, p provider.Provider, kind state.Kind, id string) provider.Object {
	t.Helper()
	found, err := p.Observe(ctx, provider.Query{Kind: kind, ID: id})
	if err != nil || len(found) != 1 {
		t.Fatalf("observe %s: %d found, %v", id, len(found), err)
	}
	return found[0]
}

func wantKind(t *testing.T, err error, kind provider.ErrorKind) {
	t.Helper()
	if err == nil || provider.KindOf(err) != kind {
		t.Errorf("%v, want %s", err, kind)
	}
}

// live makes a site with a release that serves a host.
func live(t *testing.T, p provider.Provider, client state.ClientID, host string) (site, deployment, domain string) {
	t.Helper()
	site = create(t, p, wish(client, state.KindSite, p.Name(), text("label", string(client))))
	deployment = create(t, p, wish(client, state.KindDeployment, "aaaaaaaaaaaa", text("site", site), text("ref", "v1")))
	create(t, p, wish(client, state.KindTraffic, p.Name(), text("site", site), text("deployment", deployment)))
	domain = create(t, p, wish(client, state.KindDomain, host+"@"+p.Name(), text("site", site), text("host", host), text("redirect", "")))
	return site, deployment, domain
}

func serves(t *testing.T, w *memory.World, host, want string) {
	t.Helper()
	if got, ok := w.Serves(host); got != want || ok != (want != "") {
		t.Errorf("%s is served by %q, want %q", host, got, want)
	}
}

func TestListsAreLate(t *testing.T) {
	c := newClock()
	p := memory.New(memory.Options{Now: c.Now, LateDeletes: true, Kinds: memory.Change(memory.Everything(), memory.Unkind(10*time.Second))})
	w := wish("c1", state.KindDatabase, "main", text("access", "public"))
	first, second := create(t, p, w), create(t, p, w)
	if first == second {
		t.Fatal("two creates gave one id")
	}
	for _, s := range []struct {
		after          time.Duration
		named, byID    int
		deleted        bool
		ownedAtTheTime int
	}{{0, 0, 1, false, 0}, {9 * time.Second, 0, 1, false, 0}, {time.Second, 2, 1, false, 2}, {0, 2, 0, true, 2}, {10 * time.Second, 1, 0, true, 1}} {
		c.Move(s.after)
		if s.deleted {
			if err := p.Delete(ctx, state.KindDatabase, first); err != nil {
				t.Fatal(err)
			}
		}
		byID, err := p.Observe(ctx, provider.Query{Kind: state.KindDatabase, ID: first})
		owned, errOwned := p.Owned(ctx, "0badcafe")
		if err := errors.Join(err, errOwned); err != nil {
			t.Fatal(err)
		}
		if n := len(named(t, p, w)); n != s.named || len(byID) != s.byID || len(owned) != s.ownedAtTheTime {
			t.Errorf("%+v: %d by name, %d by id, %d owned", s, n, len(byID), len(owned))
		}
	}
}

// A create may come to be when its caller has gone; what is there by then, or went, decides.
func TestLateCreates(t *testing.T) {
	c, faults := newClock(), &memory.Faults{}
	w := memory.NewWorld(c.Now)
	p := memory.New(memory.Options{Name: "host", World: w, Fault: faults.Hook, Kinds: memory.Change(memory.Everything(), memory.Unkind(10*time.Second))})
	q := memory.New(memory.Options{Name: "other", World: w, Fault: faults.Hook})
	faults.On(memory.Before, memory.Is(memory.Create), 2, memory.Late(time.Second, memory.Lost()))
	late, refused := wish("a-1", state.KindSite, "a"), wish("b-2", state.KindSite, "b")
	for _, x := range []struct {
		p *memory.Provider
		w provider.Wish
	}{{p, late}, {q, refused}} {
		_, err := x.p.Create(ctx, x.w)
		wantKind(t, err, provider.Uncertain)
	}
	if n := len(w.Objects("")); n != 0 {
		t.Fatalf("%d objects at once", n)
	}
	create(t, q, refused)
	c.Move(time.Second)
	if at, other := len(w.Objects("host")), len(w.Objects("other")); at != 1 || other != 1 {
		t.Errorf("%d came to be, and %d beside the one of its name", at, other-1)
	}
	c.Move(8 * time.Second)
	if got := named(t, p, late); len(got) != 0 {
		t.Errorf("a list shows it before its time: %v", got)
	}
	c.Move(time.Second)
	if got := named(t, p, late); len(got) != 1 {
		t.Errorf("a list shows %d, ten seconds after it was sent", len(got))
	}
}

func TestBuilds(t *testing.T) {
	c := newClock()
	p := memory.New(memory.Options{Now: c.Now, Build: func(w provider.Wish) memory.Build {
		b := memory.Build{Looks: 2, Takes: time.Minute, Log: []string{"fetch", "build"}}
		if w.Get("ref") == "bad" {
			b.Fails = "exit 1"
		}
		if w.Ref.Kind != state.KindDeployment {
			return memory.Build{}
		}
		return b
	}})
	site := create(t, p, wish("c1", state.KindSite, "memory", text("label", "shop")))
	good := create(t, p, wish("c1", state.KindDeployment, "good", text("site", site), text("ref", "good")))
	bad := create(t, p, wish("c1", state.KindDeployment, "bad", text("site", site), text("ref", "bad")))
	traffic := func(d string) provider.Wish {
		return wish("c1", state.KindTraffic, "memory", text("site", site), text("deployment", d))
	}
	_, err := p.Create(ctx, traffic(good))
	wantKind(t, err, provider.Transient) // still being built
	snapshot, written := p.World().Snapshot(nil), p.World().Written()
	if o := observe(t, p, state.KindDeployment, good); o.Phase != provider.Progressing || len(o.Log) != 1 {
		t.Errorf("first look: %s %q", o.Phase, o.Log)
	}
	observe(t, p, state.KindDeployment, good)
	if o := observe(t, p, state.KindDeployment, good); o.Phase != provider.Progressing {
		t.Errorf("before its time: %s", o.Phase)
	}
	c.Move(time.Minute)
	if o := observe(t, p, state.KindDeployment, good); o.Phase != provider.Ready || len(o.Log) != 2 {
		t.Errorf("built: %s %q", o.Phase, o.Log)
	}
	if p.World().Snapshot(nil) == snapshot || p.World().Written() != written {
		t.Error("who looks while it is built counts as one who writes, or it is not seen to be built")
	}
	observe(t, p, state.KindDeployment, bad)
	if o := observe(t, p, state.KindDeployment, bad); o.Phase != provider.Failed || o.Message != "exit 1" {
		t.Errorf("broken: %s %q", o.Phase, o.Message)
	}
	_, err = p.Create(ctx, traffic(bad))
	wantKind(t, err, provider.Invalid)
	create(t, p, traffic(good))
	if p.World().Written() == written {
		t.Error("who creates counts as one who does not write")
	}
	wantKind(t, p.Delete(ctx, state.KindDeployment, good), provider.Invalid) // it serves
}

func TestBuiltWithTheEnvironmentOfItsMoment(t *testing.T) {
	p := memory.New(memory.Options{})
	site := create(t, p, wish("c1", state.KindSite, "memory", text("label", "shop")))
	env := wish("c1", state.KindEnvironment, "memory", text("site", site), providertest.Secret("env.KEY", "old"))
	id := create(t, p, env)
	d := create(t, p, wish("c1", state.KindDeployment, "x", text("site", site)))
	env.Inputs[1] = providertest.Secret("env.KEY", "new")
	if _, err := p.Update(ctx, id, env); err != nil {
		t.Fatal(err)
	}
	if got := p.World().BuiltWith(d); len(got) != 1 || got["KEY"] != "old" {
		t.Errorf("built with %d variables, KEY is not the old one", len(got))
	}
}

// The moments of a fault: before its effect nothing happened, after it the answer is lost.
func TestFaults(t *testing.T) {
	var f memory.Faults
	p := memory.New(memory.Options{Fault: f.Hook})
	w := wish("c1", state.KindDatabase, "main", text("access", "public"))
	for _, kind := range []provider.ErrorKind{provider.Transient, provider.RateLimited, provider.Invalid, provider.Denied, provider.Conflict, provider.Uncertain, provider.Unsupported} {
		f.On(memory.Before, memory.Is(memory.Create, state.KindDatabase), 1, memory.Fail(kind, "as asked"))
		_, err := p.Create(ctx, w)
		wantKind(t, err, kind)
		var e *provider.Error
		if !errors.As(err, &e) || e.Provider != "memory" || e.Op != "create" {
			t.Errorf("%#v names no provider and verb", e)
		}
		if n := len(p.World().Objects("")); n != 0 {
			t.Fatalf("%s before its effect left %d objects", kind, n)
		}
	}
	f.On(memory.After, memory.Is(memory.Create), 1, memory.Lost())
	_, err := p.Create(ctx, w)
	wantKind(t, err, provider.Uncertain)
	if found := named(t, p, w); len(found) != 1 {
		t.Fatalf("%d objects after a create whose answer was lost", len(found))
	}
	id := named(t, p, w)[0].ID
	// What is not classified: a write after its effect is uncertain, all else is transient.
	odd := errors.New("reset by peer")
	for _, c := range []struct {
		moment memory.Moment
		verb   memory.Verb
		call   func() error
		want   provider.ErrorKind
	}{
		{memory.Before, memory.Update, func() error { _, err := p.Update(ctx, id, w); return err }, provider.Transient},
		{memory.After, memory.Update, func() error { _, err := p.Update(ctx, id, w); return err }, provider.Uncertain},
		{memory.After, memory.Observe, func() error { _, err := p.Observe(ctx, provider.Query{Kind: state.KindDatabase, ID: id}); return err }, provider.Transient},
		{memory.After, memory.Owned, func() error { _, err := p.Owned(ctx, "0badcafe"); return err }, provider.Transient},
		{memory.After, memory.Delete, func() error { return p.Delete(ctx, state.KindDatabase, id) }, provider.Uncertain},
	} {
		f.On(c.moment, memory.Is(c.verb), 1, odd)
		err := c.call()
		wantKind(t, err, c.want)
		if !errors.Is(err, odd) {
			t.Errorf("%s: the cause is lost: %v", c.verb, err)
		}
	}
	if _, there := p.World().Object(id); there {
		t.Error("a delete whose answer was lost did not happen")
	}
	f.On(memory.Before, nil, 0, memory.Lost())
	for range 3 {
		_, err := p.Owned(ctx, "0badcafe")
		wantKind(t, err, provider.Uncertain)
	}
	f.Clear()
	if _, err := p.Owned(ctx, "0badcafe"); err != nil {
		t.Error(err)
	}
}

func TestContextThatEndsInTheMiddle(t *testing.T) {
	var f memory.Faults
	p := memory.New(memory.Options{Fault: f.Hook})
	for _, c := range []struct {
		moment memory.Moment
		want   provider.ErrorKind
		made   int
	}{{memory.Before, provider.Transient, 0}, {memory.After, provider.Uncertain, 1}} {
		ctx, cancel := context.WithCancel(ctx)
		f.Do(c.moment, memory.Is(memory.Create), 1, func(context.Context, memory.Call) error { cancel(); return nil })
		_, err := p.Create(ctx, wish("c1", state.KindDatabase, "main"))
		wantKind(t, err, c.want)
		if n := len(p.World().Objects("")); n != c.made || !errors.Is(err, context.Canceled) {
			t.Errorf("ended %s the effect: %d objects, %v", c.moment, n, err)
		}
	}
}

// A slow answer: the call ends with its context, on the way there or back.
func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := memory.New(memory.Options{Latency: 2 * time.Second})
		begun := time.Now()
		create(t, p, wish("c1", state.KindDatabase, "main"))
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("took %s", took)
		}
		for n, c := range []struct {
			limit time.Duration
			want  provider.ErrorKind
			made  int
		}{{500 * time.Millisecond, provider.Transient, 1}, {1500 * time.Millisecond, provider.Uncertain, 2}} {
			ctx, cancel := context.WithTimeout(ctx, c.limit)
			_, err := p.Create(ctx, wish(state.ClientID(fmt.Sprint("d", n)), state.KindDatabase, "main"))
			cancel()
			wantKind(t, err, c.want)
			if made := len(p.World().Objects("")); made != c.made || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("given up after %s: %d objects, %v", c.limit, made, err)
			}
		}
	})
}

func TestLimitAndOutage(t *testing.T) {
	c := newClock()
	w := memory.NewWorld(c.Now)
	p := memory.New(memory.Options{World: w, Name: "ploi", Limit: memory.Limit{Calls: 2, Per: time.Minute}})
	other := memory.New(memory.Options{World: w, Name: "vercel"})
	look := func(p provider.Provider) error { _, err := p.Owned(ctx, "0badcafe"); return err }
	until := c.Now().Add(time.Minute)
	c.Move(0)
	for n, want := range []bool{true, true, false, false} {
		err := look(p)
		if (err == nil) != want {
			t.Errorf("call %d: %v", n, err)
		}
		if !want && (provider.KindOf(err) != provider.RateLimited || !provider.UntilOf(err).Equal(until)) {
			t.Errorf("call %d: %v until %s, want %s", n, err, provider.UntilOf(err), until)
		}
	}
	c.Move(time.Minute)
	if err := look(p); err != nil {
		t.Error(err)
	}
	w.Down("ploi", memory.Fail(provider.Transient, "503"))
	wantKind(t, look(p), provider.Transient)
	if err := look(other); err != nil {
		t.Errorf("the other vendor is down, too: %v", err)
	}
	w.Down("ploi", nil)
	if err := look(p); err != nil {
		t.Error(err)
	}
	if n := w.Counts("ploi"); n.Reads != 7 || n.Writes != 0 || w.Counts("").Reads != 8 {
		t.Errorf("counted %+v and %+v", n, w.Counts(""))
	}
	if early := w.Early(); len(early) != 1 || early[0].Provider != "ploi" || !early[0].At.Before(until) {
		t.Errorf("one call came before the time that it was given: %v", early)
	}
	w.Limit("ploi", memory.Limit{})
	for range 10 {
		if err := look(p); err != nil {
			t.Errorf("without a limit: %v", err)
		}
	}
}

// A domain that moves is served at every moment; a hook asks in the midst of it.
func TestServesWithoutAGap(t *testing.T) {
	w := memory.NewWorld(newClock().Now)
	var gaps []string
	watch := func(_ context.Context, c memory.Call) error {
		if _, ok := w.Serves("shop.example"); !ok && len(w.Calls()) > 20 {
			gaps = append(gaps, c.String())
		}
		return nil
	}
	ploi := memory.New(memory.Options{World: w, Name: "ploi", Fault: watch, Address: "203.0.113.1"})
	vercel := memory.New(memory.Options{World: w, Name: "vercel", Fault: watch, Address: "203.0.113.2"})
	dns := memory.New(memory.Options{World: w, Name: "cloudflare", Fault: watch, Kinds: memory.DNS()})
	siteA, a, domain := live(t, ploi, "c1", "shop.example")
	serves(t, w, "shop.example", a) // no record in this world: whoever has it bound
	rec := wish("c1", state.KindRecord, "A shop.example", text("type", "A"), text("name", "shop.example"), text("content", "203.0.113.1"))
	record := create(t, dns, rec)
	serves(t, w, "SHOP.example", a)
	siteB, b, _ := live(t, ploi, "c2", "other.example")
	for range 20 {
		observe(t, ploi, state.KindSite, siteA)
	}
	if _, err := ploi.Update(ctx, domain, wish("c2", state.KindDomain, "shop.example@ploi", text("site", siteB), text("host", "shop.example"), text("redirect", ""))); err != nil {
		t.Fatal(err)
	}
	serves(t, w, "shop.example", b)
	_, v, _ := live(t, vercel, "c2", "shop.example") // bound at both: DNS decides
	serves(t, w, "shop.example", b)
	rec.Inputs[2] = text("content", "203.0.113.2")
	if _, err := dns.Update(ctx, record, rec); err != nil {
		t.Fatal(err)
	}
	serves(t, w, "shop.example", v)
	if len(gaps) > 0 {
		t.Errorf("not served at %q", gaps)
	}
	if got := w.Resolves("shop.example"); !slices.Equal(got, []string{"203.0.113.2"}) {
		t.Errorf("resolves to %q", got)
	}
	w.Set(record, "content", "198.51.100.9") // by hand
	serves(t, w, "shop.example", "")
	create(t, vercel, wish("c2", state.KindDomain, "www.shop.example@vercel", text("site", observe(t, vercel, state.KindDeployment, v).Attributes[1].Text), text("host", "www.shop.example"), text("redirect", "other.example")))
	serves(t, w, "www.shop.example", b)
	serves(t, w, "nobody.example", "")
}

// A vendor that can't promote serves what was built last.
func TestServesWhatWasBuiltLast(t *testing.T) {
	c := newClock()
	kinds := memory.Change(memory.Hosting(), func(_ state.Kind, t *provider.Traits) { t.Promotable = false })
	p := memory.New(memory.Options{Now: c.Now, Kinds: kinds, Build: func(w provider.Wish) memory.Build {
		return memory.Build{Takes: map[string]time.Duration{"v2": time.Minute}[w.Get("ref")]}
	}})
	site, first, _ := live(t, p, "c1", "shop.example")
	second := create(t, p, wish("c1", state.KindDeployment, "bbbbbbbbbbbb", text("site", site), text("ref", "v2")))
	serves(t, p.World(), "shop.example", first)
	c.Move(time.Minute)
	serves(t, p.World(), "shop.example", second)
}

func TestVendorRules(t *testing.T) {
	p := memory.New(memory.Options{Kinds: memory.Change(memory.Everything(), memory.Unkind(0))})
	site, deployment, _ := live(t, p, "c1", "shop.example")
	other := create(t, p, wish("c2", state.KindSite, "memory", text("label", "c2")))
	for _, c := range []struct {
		name string
		wish provider.Wish
		want provider.ErrorKind
	}{
		{"host bound once", wish("c2", state.KindDomain, "shop.example@memory", text("site", other), text("host", "Shop.example")), provider.Conflict},
		{"traffic once a site", wish("c1", state.KindTraffic, "memory", text("site", site), text("deployment", deployment)), provider.Conflict},
		{"another site's deployment", wish("c2", state.KindTraffic, "memory", text("site", other), text("deployment", deployment)), provider.Invalid},
		{"no site", wish("c2", state.KindEnvironment, "memory", text("site", "nowhere")), provider.Invalid},
		{"no database", wish("c2", state.KindAdmin, "main", text("database", "nowhere")), provider.Invalid},
		{"no name", provider.Wish{Ref: state.Ref{Kind: state.KindSite}}, provider.Invalid},
	} {
		before := p.World().Snapshot(nil)
		_, err := p.Create(ctx, c.wish)
		if provider.KindOf(err) != c.want || err == nil {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		if p.World().Snapshot(nil) != before {
			t.Errorf("%s: a refused call changed something", c.name)
		}
	}
	_, err := p.Update(ctx, deployment, wish("c1", state.KindDeployment, "aaaaaaaaaaaa", text("site", site), text("ref", "v2")))
	wantKind(t, err, provider.Invalid) // a release never changes
}

// Deleting a site takes what is inside it, and nothing of its neighbour.
func TestSiteTakesItsContentAlong(t *testing.T) {
	p := memory.New(memory.Options{})
	site, _, _ := live(t, p, "c1", "shop.example")
	_, kept, _ := live(t, p, "c2", "other.example")
	database := create(t, p, wish("c1", state.KindDatabase, "main"))
	create(t, p, wish("c1", state.KindAdmin, "main", text("database", database), text("site", site)))
	neighbour := func(o provider.Object) bool {
		return o.Mark.Client == "c2" || o.Kind == state.KindDatabase || o.Kind == state.KindAdmin
	}
	before := p.World().Snapshot(neighbour)
	if err := p.Delete(ctx, state.KindSite, site); err != nil {
		t.Fatal(err)
	}
	if p.World().Snapshot(nil) != before {
		t.Errorf("left: %s\nwant: %s", p.World().Snapshot(nil), before)
	}
	serves(t, p.World(), "shop.example", "")
	serves(t, p.World(), "other.example", kept)
	if err := p.Delete(ctx, state.KindDatabase, database); err != nil {
		t.Fatal(err)
	}
	if p.World().Snapshot(neighbour) == before || len(p.World().Objects("")) != 4 {
		t.Error("the administrator outlives its database")
	}
}

// Strangers' objects: seen by name, never listed as ours; Snapshot proves them untouched.
func TestLookAlikes(t *testing.T) {
	p := memory.New(memory.Options{})
	w := p.World()
	mine := wish("c1", state.KindRecord, "A shop.example", text("type", "A"), text("name", "shop.example"), text("content", "203.0.113.7"))
	id := w.Seed("memory", provider.Object{Kind: state.KindRecord, Name: "made in the dashboard", Attributes: []provider.Input{text("type", "A"), text("name", "Shop.example"), text("content", "198.51.100.1")}})
	site := wish("c1", state.KindSite, "memory")
	foreign := provider.Mark{Installation: "deadbeef", Client: "c1", Generation: 1}
	theirs := w.Seed("memory", provider.Object{ID: "4711", Kind: state.KindSite, Name: site.Name, Mark: foreign, Attributes: []provider.Input{providertest.Secret("token", "pssst")}})
	before := w.Snapshot(memory.Unmarked("0badcafe"))
	if found := named(t, p, mine); len(found) != 1 || found[0].ID != id {
		t.Errorf("%d records found by content", len(found))
	}
	if found := named(t, p, site); len(found) != 1 || found[0].ID != theirs || found[0].Mark != foreign {
		t.Errorf("%d sites found by name", len(found))
	}
	_, err := p.Create(ctx, site)
	wantKind(t, err, provider.Conflict)
	create(t, p, mine) // a name may have several records
	_, err = p.Create(ctx, mine)
	wantKind(t, err, provider.Conflict) // but each once
	owned, err := p.Owned(ctx, "0badcafe")
	if err != nil || len(owned) != 1 || owned[0].Kind != state.KindRecord {
		t.Errorf("owned: %v %v", owned, err)
	}
	if w.Snapshot(memory.Unmarked("0badcafe")) != before {
		t.Error("the strangers' objects changed")
	}
	w.Edit(theirs, func(o *provider.Object) { o.Attributes[0] = providertest.Secret("token", "other") })
	after := w.Snapshot(memory.Unmarked("0badcafe"))
	if after == before || strings.Contains(before+after, "pssst") {
		t.Error("a snapshot shows each change of a secret, and no secret")
	}
}

func TestByHand(t *testing.T) {
	p := memory.New(memory.Options{Kinds: memory.Change(memory.Everything(), func(k state.Kind, t *provider.Traits) { t.Manual = k == state.KindRecord })})
	w := p.World()
	_, _, domain := live(t, p, "c1", "shop.example")
	if !w.Set(domain, "host", "moved.example") {
		t.Fatal("not there")
	}
	if got := observe(t, p, state.KindDomain, domain).Attributes; got[0].Text != "moved.example" {
		t.Errorf("attributes %v", got)
	}
	serves(t, w, "shop.example", "")
	if !w.Remove(domain) || w.Remove(domain) || w.Set(domain, "host", "x") {
		t.Error("what is removed is gone")
	}
	serves(t, w, "moved.example", "")
	rec := create(t, p, wish("c1", state.KindRecord, "A shop.example", text("type", "A"), text("name", "shop.example")))
	if o := observe(t, p, state.KindRecord, rec); o.Phase != provider.Manual || o.Message == "" {
		t.Errorf("%s %q", o.Phase, o.Message)
	}
	w.Done(rec)
	if o := observe(t, p, state.KindRecord, rec); o.Phase != provider.Ready || o.Message != "" {
		t.Errorf("%s %q", o.Phase, o.Message)
	}
}

func TestRowsOutliveARestartAndAreDumped(t *testing.T) {
	w := memory.NewWorld(nil)
	p := memory.New(memory.Options{World: w, Kinds: memory.Databases()})
	id := create(t, p, wish("c1", state.KindDatabase, "main"))
	if !w.Write(id, "order 1") || !w.Write(id, "order 2") || w.Write("nowhere", "x") {
		t.Fatal("rows")
	}
	p = memory.New(memory.Options{World: w, Kinds: memory.Databases()})
	path := filepath.Join(t.TempDir(), "dump")
	if err := p.Dump(ctx, id, path); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "order 1\norder 2\n" || len(w.Rows(id)) != 2 {
		t.Errorf("dumped %q, %v", data, err)
	}
	wantKind(t, p.Dump(ctx, "nowhere", path), provider.NotFound)
	if err := p.Delete(ctx, state.KindDatabase, id); err != nil {
		t.Fatal(err)
	}
	if again := create(t, p, wish("c1", state.KindDatabase, "main")); again == id || len(w.Rows(again)) != 0 {
		t.Error("a new database is another one, and empty")
	}
}

// Equal runs give equal ids, in whatever order they call.
func TestIdsDependOnNames(t *testing.T) {
	run := func(clients ...state.ClientID) string {
		p := memory.New(memory.Options{Now: newClock().Now})
		for _, c := range clients {
			create(t, p, wish(c, state.KindDatabase, "main"))
		}
		return p.World().Snapshot(nil)
	}
	if a, b := run("c1", "c2", "c3"), run("c3", "c1", "c2"); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestCallLog(t *testing.T) {
	c := newClock()
	p := memory.New(memory.Options{Name: "ploi", Now: c.Now, Kinds: memory.Databases()})
	id := create(t, p, wish("c1", state.KindDatabase, "main"))
	_, err := p.Create(ctx, wish("c1", state.KindDatabase, "main"))
	wantKind(t, err, provider.Conflict)
	if err := p.Delete(ctx, state.KindDatabase, id); err != nil {
		t.Fatal(err)
	}
	calls := p.World().Calls()
	if len(calls) != 3 || calls[0].ID != id || calls[0].Client != "c1" || !calls[0].At.Equal(c.Now()) || calls[1].Err == nil || calls[2].String() != "ploi delete database c1-0badcafe" {
		t.Errorf("%+v", calls)
	}
	if n := p.World().Counts("ploi"); n != (memory.Counts{Writes: 3}) {
		t.Errorf("%+v", n)
	}
	p.World().ForgetCalls()
	if len(p.World().Calls()) != 0 || p.World().Counts("") != (memory.Counts{}) {
		t.Error("calls are still there")
	}
}

// A name is reached once a record leads to its site, and an update after that says so. It stays
// so there; another site is another matter.
func TestNamesAreReachedOnceDNSLeadsThere(t *testing.T) {
	w := memory.NewWorld(time.Now)
	late := memory.Change(memory.Hosting(), func(k state.Kind, t *provider.Traits) { t.AfterDNS = k == state.KindDomain })
	host, dns := memory.New(memory.Options{Name: "host", World: w, Kinds: late, Address: "203.0.113.7"}), memory.New(memory.Options{Name: "dns", World: w, Kinds: memory.DNS()})
	wish := func(kind state.Kind, name string, pairs ...string) provider.Wish {
		x := provider.Wish{Ref: state.Ref{Client: "c", Kind: kind, Name: name}, Name: name, Mark: provider.Mark{Installation: "0badcafe", Client: "c", Generation: 1}}
		for n := 0; n < len(pairs); n += 2 {
			x.Inputs = append(x.Inputs, provider.Input{Name: pairs[n], Text: pairs[n+1]})
		}
		return x
	}
	must := func(o provider.Object, err error) provider.Object {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	phase := func(what string, o provider.Object, want provider.Phase) {
		t.Helper()
		if o.Phase != want || w.Secure("host", "shop.example") != (want == provider.Ready) {
			t.Errorf("%s: it is %s, want %s", what, o.Phase, want)
		}
	}
	ctx := t.Context()
	a, b := must(host.Create(ctx, wish(state.KindSite, "a"))), must(host.Create(ctx, wish(state.KindSite, "b")))
	x := wish(state.KindDomain, "shop.example", "host", "shop.example", "redirect", "", "site", a.ID)
	o := must(host.Create(ctx, x))
	phase("no record", o, provider.Unreached)
	record := must(dns.Create(ctx, wish(state.KindRecord, "A shop.example", "content", "203.0.113.8", "name", "shop.example", "type", "A")))
	phase("a record elsewhere", must(host.Update(ctx, o.ID, x)), provider.Unreached)
	must(dns.Update(ctx, record.ID, wish(state.KindRecord, "A shop.example", "content", "203.0.113.7", "name", "shop.example", "type", "A")))
	phase("a record here", must(host.Update(ctx, o.ID, x)), provider.Ready)
	if err := dns.Delete(ctx, state.KindRecord, record.ID); err != nil {
		t.Fatal(err)
	}
	phase("the record is gone", must(host.Update(ctx, o.ID, x)), provider.Ready)
	phase("another site", must(host.Update(ctx, o.ID, wish(state.KindDomain, "shop.example", "host", "shop.example", "redirect", "", "site", b.ID))), provider.Unreached)
}
