package memory

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func unique() provider.Traits {
	return provider.Traits{UniqueName: true, Marks: true, ObserveCalls: 1, CreateCalls: 1, UpdateCalls: 1, DeleteCalls: 1}
}

func with(change func(*provider.Traits)) provider.Traits { t := unique(); change(&t); return t }

// Hosting are the traits of a host that keeps releases side by side.
func Hosting() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{
		state.KindSite:        with(func(t *provider.Traits) { t.Serving = true }),
		state.KindEnvironment: with(func(t *provider.Traits) { t.Replace = []string{"site"} }),
		state.KindDeployment: with(func(t *provider.Traits) {
			t.Promotable = true
			t.Replace = []string{"collections", "command", "directory", "displayName", "environment", "features", "install",
				"migrate", "ref", "repository", "settings", "site", "start", "template"}
		}),
		state.KindTraffic: with(func(t *provider.Traits) { t.Serving, t.Replace = true, []string{"site"} }),
		state.KindDomain:  with(func(t *provider.Traits) { t.Serving, t.Replace = true, []string{"host"} }),
	}
}

// Databases are the traits of a keeper of databases, with their administrators.
func Databases() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{
		state.KindDatabase: with(func(t *provider.Traits) { t.Data, t.Engine = true, "rows" }),
		state.KindAdmin:    with(func(t *provider.Traits) { t.Replace = []string{"database"} }),
	}
}

// DNS are the traits of a DNS host whose records have comments.
func DNS() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindRecord: with(func(t *provider.Traits) { t.Serving, t.Replace = true, []string{"name", "type"} })}
}

// Payments are the traits of a keeper of accounts for taking money. The address that an owner
// is told of counts at the creation.
func Payments() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindPayments: with(func(t *provider.Traits) { t.Data, t.Replace, t.Once = true, []string{"country"}, []string{"email"} })}
}

// Mail are the traits of a sender of mail.
func Mail() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{state.KindMail: unique()}
}

// Everything is all of them.
func Everything() map[state.Kind]provider.Traits {
	out := Hosting()
	for _, more := range []map[state.Kind]provider.Traits{Databases(), DNS(), Mail(), Payments()} {
		maps.Copy(out, more)
	}
	return out
}

// Change is kinds with something else about each of them.
func Change(kinds map[state.Kind]provider.Traits, change func(state.Kind, *provider.Traits)) map[state.Kind]provider.Traits {
	out := maps.Clone(kinds)
	for k, t := range out {
		change(k, &t)
		out[k] = t
	}
	return out
}

// Unkind is a vendor that takes a name twice and whose lists are late.
func Unkind(lag time.Duration) func(state.Kind, *provider.Traits) {
	return func(_ state.Kind, t *provider.Traits) { t.UniqueName, t.ListLag = false, lag }
}

// idOf is a new object's id. A word in a list has none of its own: it is called by the list and the word.
func (p *Provider) idOf(w provider.Wish) string {
	if p.bareDomain(w.Ref.Kind) {
		return DomainID(get(w.Inputs, "site"), w.Name)
	}
	return p.w.mint(p.o.Name, w.Ref.Kind, w.Name)
}

// DomainID is the id of a host name of a site, where a domain has no place for a mark.
func DomainID(site, host string) string { return site + "/" + host }

func (p *Provider) bareDomain(k state.Kind) bool { return k == state.KindDomain && !p.kinds[k].Marks }

// have is the object of an id, if it is this provider's and of the kind.
func (p *Provider) have(kind state.Kind, id string) (*object, bool) {
	o, ok := p.w.objects[id]
	return o, ok && o.owner == p.o.Name && o.Kind == kind
}

// listed are the objects under a key that lists show by now.
func (p *Provider) listed(key string) []*object {
	now := p.w.now()
	var out []*object
	for _, o := range p.w.of(key) {
		if !now.Before(o.visible) {
			out = append(out, o)
		}
	}
	p.w.ghosts = slices.DeleteFunc(p.w.ghosts, func(g ghost) bool { return !now.Before(g.until) })
	for n := range p.w.ghosts {
		if slices.Contains(p.w.ghosts[n].keys(), key) {
			out = append(out, &p.w.ghosts[n].object)
		}
	}
	return out
}

// hanging is what a site has: its environment, its traffic, the release that serves.
func (p *Provider) hanging(kind state.Kind, site string) []*object {
	serves, _ := p.w.serving(site)
	var out []*object
	for _, o := range p.listed("site " + site) {
		switch {
		case o.owner != p.o.Name || o.Kind != kind || site == "":
		case kind == state.KindEnvironment, kind == state.KindTraffic, kind == state.KindDeployment && o.ID == serves:
			out = append(out, o)
		}
	}
	return out
}

// fill puts what a wish says into an object.
func (p *Provider) fill(o *object, w provider.Wish) {
	o.Name, o.Attributes, o.Mark, o.bare = w.Name, sorted(w.Inputs), w.Mark, !p.kinds[o.Kind].Marks
}

// outputs are what an object gives to others; they never change.
func (p *Provider) outputs(o *object) {
	host := o.ID + "." + p.o.Name + ".example"
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}}
	give := func(name, text string) { o.Outputs = append(o.Outputs, provider.Output{Name: name, Text: text}) }
	switch o.Kind {
	case state.KindSite:
		give("url", "https://"+host)
		give("address", p.o.Address)
		give("host", host)
	case state.KindDeployment, state.KindAdmin:
		give("url", "https://"+host)
	case state.KindDatabase:
		s := state.NewSecret("postgres://app:" + password(o.ID) + "@" + host + "/app")
		o.Outputs = append(o.Outputs, provider.Output{Name: "url", Secret: &s})
		give("host", host)
	}
}

// PasswordPrefix begins every database's password.
const PasswordPrefix = "pw0f-"

// password is a database's: always the same, and no piece of it is in ordinary text.
func password(id string) string {
	sum := sha256.Sum256([]byte("password of " + id))
	return PasswordPrefix + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// give is an object as this vendor shows it.
func (p *Provider) give(o *object) provider.Object {
	out := p.w.show(o)
	out.Frozen = p.w.frozen[o.ID]
	if !p.kinds[o.Kind].Marks {
		out.Mark = provider.Mark{}
	}
	hidden := p.o.WriteOnly[o.Kind]
	out.Attributes = slices.DeleteFunc(out.Attributes, func(a provider.Input) bool {
		return slices.ContainsFunc(hidden, func(h string) bool {
			prefix, all := strings.CutSuffix(h, "*")
			return a.Name == h || all && strings.HasPrefix(a.Name, prefix)
		})
	})
	return out
}

// show is an object as it is now: how far it is built follows from looks and time.
func (w *World) show(o *object) provider.Object {
	out := copyOf(o.Object)
	if o.Phase != provider.Progressing {
		return out
	}
	log := o.build.Log
	if o.looks < o.build.Looks || w.now().Sub(o.begun) < o.build.Takes {
		out.Log = slices.Clone(log[:min(o.looks, len(log))])
		return out
	}
	out.Phase, out.Log = provider.Ready, slices.Clone(log)
	if o.build.Fails != "" {
		out.Phase, out.Message = provider.Failed, o.build.Fails
	}
	return out
}

func conflict(format string, args ...any) error {
	return Fail(provider.Conflict, fmt.Sprintf(format, args...))
}

func invalid(format string, args ...any) error {
	return Fail(provider.Invalid, fmt.Sprintf(format, args...))
}

// check is what a vendor checks of a wish; id is the object that it is to change.
func (p *Provider) check(w provider.Wish, id string) error {
	kind := w.Ref.Kind
	if w.Name == "" || len(w.Name) > 512 {
		return invalid("a name has 1 to 512 bytes")
	}
	if p.kinds[kind].UniqueName || kind == state.KindDomain {
		for _, other := range p.w.of(nameKey(p.o.Name, kind, w.Name, w.Inputs)) {
			// A name may have several records, and each once.
			if p.bareDomain(kind) && get(other.Attributes, "site") != get(w.Inputs, "site") && other.ID != id {
				return invalid("another site has %s", quote(w.Name))
			}
			if other.ID != id && (kind != state.KindRecord || get(other.Attributes, "content") == get(w.Inputs, "content")) {
				return conflict("%s %s exists: %s", kind, quote(w.Name), other.ID)
			}
		}
	}
	for _, ref := range []state.Kind{state.KindSite, state.KindDatabase} {
		if _, kept := p.kinds[ref]; !kept || !refers(kind, ref) {
			continue
		}
		if _, ok := p.have(ref, get(w.Inputs, string(ref))); !ok {
			return invalid("%s %s is not here", ref, quote(get(w.Inputs, string(ref))))
		}
	}
	switch kind {
	case state.KindEnvironment, state.KindTraffic:
		for _, other := range p.w.of("site " + get(w.Inputs, "site")) {
			if other.Kind == kind && other.ID != id {
				return conflict("site %s has its %s: %s", quote(get(w.Inputs, "site")), kind, other.ID)
			}
		}
	}
	if kind == state.KindTraffic {
		return p.checkTraffic(w)
	}
	return nil
}

// refers says that kind lives inside a ref of the same vendor.
func refers(kind, ref state.Kind) bool {
	switch kind {
	case state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain:
		return ref == state.KindSite
	case state.KindAdmin:
		return ref == state.KindDatabase
	}
	return false
}

func (p *Provider) checkTraffic(w provider.Wish) error {
	d, ok := p.have(state.KindDeployment, get(w.Inputs, "deployment"))
	if !ok || get(d.Attributes, "site") != get(w.Inputs, "site") {
		return invalid("the site has no deployment %s", quote(get(w.Inputs, "deployment")))
	}
	switch now := p.w.show(d); now.Phase {
	case provider.Progressing:
		return Fail(provider.Transient, "deployment "+d.ID+" is still being built")
	case provider.Ready:
		if last := p.builtLast(get(w.Inputs, "site")); !p.kinds[state.KindDeployment].Promotable && last != d.ID {
			return invalid("%s serves what was built last, and that is %s, not %s", p.o.Name, last, d.ID)
		}
		return nil
	default:
		return invalid("deployment %s is %s: %s", d.ID, now.Phase, now.Message)
	}
}

// builtLast is the release of a site that was built last, of those that are here.
func (p *Provider) builtLast(site string) (id string) {
	for _, o := range p.w.of("site " + site) {
		if o.Kind == state.KindDeployment && p.w.show(o).Phase == provider.Ready {
			id = o.ID
		}
	}
	return id
}
