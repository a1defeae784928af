package ploi_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "write the golden files")

// What provisioning costs, call by call, and that the traits count it so.
func TestCallsOfProvisioning(t *testing.T) {
	w := newWorld(t, simulated.Options{})
	ctx := context.Background()
	w.client(9) // its server's address is known from then on
	w.calls.take()
	var b strings.Builder
	traits := w.p.Traits()
	costs := func(what string, kind state.Kind, count int, do func()) {
		t.Helper()
		do()
		made := w.calls.take()
		fmt.Fprintf(&b, "%s: %d\n", what, len(made))
		for _, c := range made {
			fmt.Fprintln(&b, "  "+c)
		}
		if len(made) != count {
			t.Errorf("%s of %s costs %d calls, its traits say %d:\n%s", what, kind, len(made), count, strings.Join(made, "\n"))
		}
	}
	var ids = map[state.Kind]string{}
	create := func(title string, x provider.Wish) {
		costs(title+" create "+string(x.Ref.Kind), x.Ref.Kind, traits[x.Ref.Kind].CreateCalls, func() {
			o, err := w.p.Create(ctx, x)
			if err != nil {
				t.Fatal(err)
			}
			ids[x.Ref.Kind] = o.ID
		})
		costs(title+" observe "+string(x.Ref.Kind), x.Ref.Kind, traits[x.Ref.Kind].ObserveCalls, func() {
			if o, ok := w.see(x.Ref.Kind, ids[x.Ref.Kind]); !ok || o.Phase != provider.Ready && o.Phase != provider.Unreached {
				t.Fatalf("%s is %s", x.Ref.Kind, o.Phase)
			}
		})
	}
	change := func(title string, x provider.Wish) {
		costs(title+" update "+string(x.Ref.Kind), x.Ref.Kind, traits[x.Ref.Kind].UpdateCalls, func() { w.update(ids[x.Ref.Kind], x) })
	}
	remove := func(title string, kind state.Kind) {
		costs(title+" delete "+string(kind), kind, traits[kind].DeleteCalls, func() { w.remove(kind, ids[kind]) })
	}
	id := "c00001"
	create("new:", siteWish(id))
	site := ids[state.KindSite]
	create("new:", wish(state.KindEnvironment, id, "ploi", "site", site, "env.STORE_CURRENCY", "EUR"))
	// The first look at a release that was just built reads its log, too.
	title := "new:"
	release := releaseWish(id, site, "8be01c22aa10", strings.Repeat("1", 40))
	deployment := traits[state.KindDeployment]
	costs(title+" create deployment", state.KindDeployment, deployment.CreateCalls, func() {
		o, err := w.p.Create(ctx, release)
		if err != nil {
			t.Fatal(err)
		}
		ids[state.KindDeployment] = o.ID
	})
	costs(title+" await deployment, with its log", state.KindDeployment, deployment.ObserveCalls+2, func() { w.ready(state.KindDeployment, ids[state.KindDeployment]) })
	costs(title+" observe deployment", state.KindDeployment, deployment.ObserveCalls, func() { w.ready(state.KindDeployment, ids[state.KindDeployment]) })
	create("new:", wish(state.KindTraffic, id, "ploi", "site", site, "deployment", ids[state.KindDeployment]))
	create("new:", wish(state.KindDomain, id, "shop.example@ploi", "site", site, "host", "shop.example", "redirect", ""))
	w.dns.lead("shop.example", serverAddress)
	change("DNS leads there:", wish(state.KindDomain, id, "shop.example@ploi", "site", site, "host", "shop.example", "redirect", ""))
	w.ready(state.KindDomain, ids[state.KindDomain])
	w.calls.take()

	change("env only:", wish(state.KindEnvironment, id, "ploi", "site", site, "env.STORE_CURRENCY", "USD"))
	next := releaseWish(id, site, "8be01c22aa11", strings.Repeat("1", 40))
	costs("env only: create deployment", state.KindDeployment, deployment.CreateCalls, func() {
		o, err := w.p.Create(ctx, next)
		if err != nil {
			t.Fatal(err)
		}
		ids[state.KindDeployment] = o.ID
	})
	w.ready(state.KindDeployment, ids[state.KindDeployment])
	w.calls.take()
	change("env only:", wish(state.KindTraffic, id, "ploi", "site", site, "deployment", ids[state.KindDeployment]))

	create("domain change:", wish(state.KindDomain, id, "new.example@ploi", "site", site, "host", "new.example", "redirect", ""))
	old := ids[state.KindDomain]
	ids[state.KindDomain] = site + "/domain/shop.example"
	remove("domain change:", state.KindDomain)
	ids[state.KindDomain] = old

	for _, kind := range []state.Kind{state.KindTraffic, state.KindDomain, state.KindDeployment, state.KindEnvironment, state.KindSite} {
		remove("remove:", kind)
	}
	for n := range 100 {
		w.create(siteWish(fmt.Sprintf("c1%04d", n)))
	}
	w.calls.take()
	found, err := w.p.Observe(ctx, provider.Query{Kind: state.KindSite, Name: siteWish("c10042").Name})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d found, %v", len(found), err)
	}
	fmt.Fprintf(&b, "one of a hundred by name: %d\n", len(w.calls.take()))
	golden(t, "calls", b.String())

	owned := func(ctx context.Context) (calls, sites int) {
		all, err := w.p.Owned(ctx, installation)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all {
			if o.Kind == state.KindSite {
				sites++
			}
		}
		return len(w.calls.take()), sites
	}
	each := 0
	for _, k := range traits {
		each += k.ListCalls
	}
	calls, sites := owned(ctx)
	fewer, some := owned(provider.Only(ctx, func(id string, says provider.Mark) bool { return id == found[0].ID && says.Client == "c10042" }))
	if sites < 100 || some != 1 || each != 1 || calls-fewer != (sites-some)*each {
		t.Errorf("a list of %d sites costs %d calls, of %d of them %d, and the traits say %d for each", sites, calls, some, fewer, each)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.NewReplacer("/48001", "/SITE-0", "/48004", "/SITE").Replace(got)
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}
