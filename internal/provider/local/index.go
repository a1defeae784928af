package local

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// What ids begin with. A site's and a deployment's are also their address.
const (
	sitePrefix       = "site-"
	deploymentPrefix = "dpl-"
)

func prefix(k state.Kind) string {
	switch k {
	case state.KindSite:
		return sitePrefix
	case state.KindDeployment:
		return deploymentPrefix
	case state.KindEnvironment:
		return "env-"
	case state.KindTraffic:
		return "trf-"
	default:
		return "dom-"
	}
}

// index is what is on disk, in memory, in the ways that it is asked for.
type index struct {
	objects      map[string]provider.Object // by id
	names        map[string]string          // kind and name → id
	environments map[string]string          // site → environment
	traffic      map[string]string          // site → traffic
	domains      map[string]string          // host → domain
	labels       map[string][]string        // label → sites, oldest first
}

func newIndex() index {
	return index{
		objects: map[string]provider.Object{}, names: map[string]string{}, environments: map[string]string{},
		traffic: map[string]string{}, domains: map[string]string{}, labels: map[string][]string{},
	}
}

func key(k state.Kind, name string) string { return string(k) + " " + name }

func (x *index) add(o provider.Object) {
	x.objects[o.ID] = o
	x.names[key(o.Kind, o.Name)] = o.ID
	a := attrs(o.Attributes)
	switch o.Kind {
	case state.KindSite:
		l := append(x.labels[a.get("label")], o.ID)
		sort.Strings(l) // ids sort by age
		x.labels[a.get("label")] = l
	case state.KindEnvironment:
		x.environments[a.get("site")] = o.ID
	case state.KindTraffic:
		x.traffic[a.get("site")] = o.ID
	case state.KindDomain:
		x.domains[strings.ToLower(a.get("host"))] = o.ID
	}
}

func (x *index) drop(o provider.Object) {
	delete(x.objects, o.ID)
	delete(x.names, key(o.Kind, o.Name))
	a := attrs(o.Attributes)
	switch o.Kind {
	case state.KindSite:
		l := a.get("label")
		x.labels[l] = slices.DeleteFunc(x.labels[l], func(id string) bool { return id == o.ID })
		if len(x.labels[l]) == 0 {
			delete(x.labels, l)
		}
	case state.KindEnvironment:
		delete(x.environments, a.get("site"))
	case state.KindTraffic:
		delete(x.traffic, a.get("site"))
	case state.KindDomain:
		delete(x.domains, strings.ToLower(a.get("host")))
	}
}

// asked is the id that a query means, "" when there is nothing.
func (x *index) asked(q provider.Query) string {
	var wish attrs
	if q.Wish != nil {
		wish = q.Wish.Inputs
	}
	switch {
	case q.ID != "":
		return q.ID
	case q.Kind == state.KindDomain && wish.get("host") != "":
		return x.domains[strings.ToLower(wish.get("host"))]
	case q.Name != "":
		return x.names[key(q.Kind, q.Name)]
	case q.Kind == state.KindEnvironment:
		return x.environments[wish.get("site")]
	case q.Kind == state.KindTraffic:
		return x.traffic[wish.get("site")]
	case q.Kind == state.KindDeployment:
		return x.deployment(wish.get("site"))
	}
	return ""
}

// deployment returns the id of the release that serves the site, "" when none does.
func (x *index) deployment(site string) string {
	return attrs(x.objects[x.traffic[site]].Attributes).get("deployment")
}

// The methods below read the index for a writer, who is the only one to change it.

func (p *Provider) object(k state.Kind, id string) (provider.Object, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	o, ok := p.index.objects[id]
	return o, ok && o.Kind == k
}

func (p *Provider) named(k state.Kind, name string) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.index.names[key(k, name)]
}

// environmentOf is the site's set of this moment.
func (p *Provider) environmentOf(site string) variables {
	p.mu.RLock()
	defer p.mu.RUnlock()
	v, _ := readVariables(p.index.objects[p.index.environments[site]].Attributes) // was checked when it was stored
	return v
}

// servedBy is the traffic object that sends requests to the deployment.
func (p *Provider) servedBy(deployment string) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	t := p.index.traffic[attrs(p.index.objects[deployment].Attributes).get("site")]
	if t != "" && attrs(p.index.objects[t].Attributes).get("deployment") == deployment {
		return t
	}
	return ""
}

// inside lists what belongs to a site in the order in which it goes: what is reached
// first, first.
func (p *Provider) inside(site string) []provider.Object {
	order := []state.Kind{state.KindDomain, state.KindTraffic, state.KindDeployment, state.KindEnvironment}
	var out []provider.Object
	p.mu.RLock()
	for _, o := range p.index.objects {
		if o.Kind != state.KindSite && attrs(o.Attributes).get("site") == site {
			out = append(out, o)
		}
	}
	p.mu.RUnlock()
	sort.Slice(out, func(i, j int) bool {
		a, b := slices.Index(order, out[i].Kind), slices.Index(order, out[j].Kind)
		if a != b {
			return a < b
		}
		return out[i].ID < out[j].ID
	})
	return out
}

// present adds what is worked out when it is asked for.
func (p *Provider) present(o provider.Object) provider.Object {
	o.Attributes = clone(o.Attributes)
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}}
	own := o.ID + ".localhost"
	switch o.Kind {
	case state.KindSite:
		o.Outputs = append(o.Outputs, provider.Output{Name: "url", Text: p.url(own)},
			provider.Output{Name: "address", Text: p.o.Address}, provider.Output{Name: "host", Text: own})
	case state.KindDeployment:
		o.Outputs = append(o.Outputs, provider.Output{Name: "url", Text: p.url(own)})
	}
	return o
}

// url is a host of ours with the port at which we are reached.
func (p *Provider) url(host string) string { return "http://" + host + port(p.o.Public()) }

func clone(in []provider.Input) []provider.Input { return slices.Clone(in) }

func sameInputs(a, b []provider.Input) bool {
	return slices.EqualFunc(a, b, func(x, y provider.Input) bool {
		return x.Name == y.Name && x.Reveal() == y.Reveal()
	})
}

// building is a refusal that ends by itself.
type building string

func (e building) Error() string { return string(e) }

// check holds an object that is about to be stored against the others.
func (p *Provider) check(o provider.Object) error {
	if o.Name == "" || len(o.Name) > 512 {
		return invalid("a name has 1 to 512 bytes")
	}
	if other := p.named(o.Kind, o.Name); other != "" && other != o.ID {
		return conflict(fmt.Sprintf("%s %q exists: %s", o.Kind, provider.Line(o.Name, maxWord), other))
	}
	a := attrs(o.Attributes)
	if o.Kind != state.KindSite {
		if _, ok := p.object(state.KindSite, a.get("site")); !ok {
			return invalid(fmt.Sprintf("site %q is not here", provider.Line(a.get("site"), maxWord)))
		}
	}
	switch o.Kind {
	case state.KindSite:
		if !label(a.get("label")) {
			return invalid(fmt.Sprintf("label %q is not one of a-z, 0-9 and -, at most 63", provider.Line(a.get("label"), maxWord)))
		}
		return checkRepository(a.get("repository"))
	case state.KindEnvironment:
		if err := p.alone(p.index.environments, o, "an environment"); err != nil {
			return err
		}
		_, err := readVariables(a)
		return err
	case state.KindDeployment:
		_, err := readSpec(o.ID, a, p.looks)
		return err
	case state.KindTraffic:
		return p.checkTraffic(o)
	default:
		return p.checkDomain(o)
	}
}

// alone refuses a second one of what a site has once.
func (p *Provider) alone(of map[string]string, o provider.Object, what string) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	site := attrs(o.Attributes).get("site")
	if other := of[site]; other != "" && other != o.ID {
		return conflict(fmt.Sprintf("site %s has %s: %s", site, what, other))
	}
	return nil
}

func (p *Provider) checkTraffic(o provider.Object) error {
	if err := p.alone(p.index.traffic, o, "its traffic"); err != nil {
		return err
	}
	a := attrs(o.Attributes)
	d, ok := p.object(state.KindDeployment, a.get("deployment"))
	switch {
	case !ok || attrs(d.Attributes).get("site") != a.get("site"):
		return invalid(fmt.Sprintf("site %s has no deployment %q", a.get("site"), provider.Line(a.get("deployment"), maxWord)))
	case d.Phase == provider.Progressing:
		return building(fmt.Sprintf("deployment %s is still being built", d.ID))
	case d.Phase != provider.Ready:
		return invalid(fmt.Sprintf("deployment %s was not built: %s", d.ID, d.Message))
	}
	return nil
}

func (p *Provider) checkDomain(o provider.Object) error {
	a := attrs(o.Attributes)
	host := strings.ToLower(a.get("host"))
	if !hostName(host) || host == hostOf(p.o.Public()) {
		return invalid(fmt.Sprintf("%q is not a host name that can be bound", provider.Line(a.get("host"), maxWord)))
	}
	if id, ok := ownHost(host); ok {
		return invalid(fmt.Sprintf("%s.localhost is an address that sites and deployments have by themselves", id))
	}
	if to := strings.ToLower(a.get("redirect")); to != "" && (!hostName(to) || to == host) {
		return invalid(fmt.Sprintf("%q is not a host name to redirect %s to", provider.Line(to, maxWord), host))
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if other := p.index.domains[host]; other != "" && other != o.ID {
		return conflict(fmt.Sprintf("%s is bound to site %s", host, attrs(p.index.objects[other].Attributes).get("site")))
	}
	return nil
}

// label says that s can be one label of a host name.
func label(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// hostName says that s is a host name of two labels or more in lower-case ASCII form,
// and no IP address.
func hostName(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	if len(s) > 253 || len(last) == len(s) || strings.Trim(last, "0123456789") == "" {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !label(part) {
			return false
		}
	}
	return true
}
