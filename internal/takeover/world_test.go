package takeover

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const installation = "0badcafe"

// account is a provider that lists what it is given.
type account struct {
	lists  []provider.Object
	inside map[string][]provider.Object
	err    error
}

func (a account) Existing(context.Context) ([]provider.Object, error) { return a.lists, a.err }

func (a account) Inside(_ context.Context, o provider.Object) ([]provider.Object, error) {
	return a.inside[o.ID], a.err
}

func inputs(pairs ...string) (out []provider.Input) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, provider.Input{Name: pairs[i], Text: pairs[i+1]})
	}
	return out
}

func site(id, name string, m provider.Mark) provider.Object {
	return provider.Object{Kind: state.KindSite, ID: id, Name: name, Mark: m, Outputs: []provider.Output{{Name: "address", Text: "203.0.113.10"}}}
}

func domain(site, host, redirect string) provider.Object {
	return provider.Object{Kind: state.KindDomain, ID: site + "/" + host, Name: host, Attributes: inputs("host", host, "redirect", redirect, "site", site)}
}

// environment is one whose variables are secret, as hand-made ones are.
func environment(site string, pairs ...string) provider.Object {
	o := provider.Object{Kind: state.KindEnvironment, ID: site + "/env"}
	for i := 0; i < len(pairs); i += 2 {
		s := state.NewSecret(pairs[i+1])
		o.Attributes = append(o.Attributes, provider.Input{Name: "env." + pairs[i], Secret: &s})
	}
	o.Attributes = append(o.Attributes, provider.Input{Name: "site", Text: site})
	return o
}

func database(id, name, url string, m provider.Mark) provider.Object {
	s := state.NewSecret(url)
	return provider.Object{Kind: state.KindDatabase, ID: id, Name: name, Mark: m, Attributes: inputs("access", "public"), Outputs: []provider.Output{{Name: "url", Secret: &s}}}
}

func record(id, kind, name, content, ttl string) provider.Object {
	return provider.Object{Kind: state.KindRecord, ID: id, Attributes: inputs("content", content, "name", name, "proxied", "false", "ttl", ttl, "type", kind)}
}

// collected is what the accounts hold.
func collected(t *testing.T, ploi account, railway, cloudflare []provider.Object) Inventory {
	t.Helper()
	inv, err := Collect(t.Context(), []Source{{"ploi", ploi}, {"railway", account{lists: railway}}, {"cloudflare", account{lists: cloudflare}}}, installation)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// tree is a repository with a template and these files.
func tree(files ...manifest.File) Tree {
	return Tree{Layout: manifest.LayoutOf("clients"), Defaults: manifest.Defaults{BaseDomain: "platform.example", Deployment: "ploi", Database: "railway", DNS: "cloudflare"},
		Files: append(files, manifest.File{Path: "templates/ecommerce.yaml", Data: []byte("apiVersion: reconciler/v1\nkind: Template\nname: ecommerce\nsource: {repository: compassdigital/storefront, ref: main}\n" +
			"features: {allowed: [ecommerce, blog], default: [ecommerce]}\nenv: {DATABASE_URL: {from: database.url}}\n")})}
}

// written are the files of what is found, by name; each is held against the tree.
func written(t *testing.T, tr Tree, all []Match) map[string]string {
	t.Helper()
	good, refused := Check(tr, Drafts(all, Options{Template: "ecommerce", Contact: "ops@agency.example"}))
	for name, why := range refused {
		t.Errorf("%s is refused: %s", name, why)
	}
	out := map[string]string{}
	for _, d := range good {
		out[d.Name] = string(d.Bytes())
	}
	return out
}

func of(t *testing.T, all []Match, name string) Match {
	t.Helper()
	for _, m := range all {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no client %s among %d", name, len(all))
	return Match{}
}

var errInside = errors.New("one site can't be read")

// failsInside lists sites, one of which can't be looked into.
type failsInside struct{}

func (failsInside) Existing(context.Context) ([]provider.Object, error) {
	var out []provider.Object
	for i := range 30 {
		out = append(out, site(fmt.Sprintf("1/%d", i), "x", provider.Mark{}))
	}
	return out, nil
}

func (failsInside) Inside(_ context.Context, o provider.Object) ([]provider.Object, error) {
	if o.ID == "1/7" {
		return nil, errInside
	}
	return nil, nil
}
