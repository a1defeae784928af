package takeover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Limits on what is collected.
const (
	maxObjects   = 200_000 // of all providers together
	maxVariables = 2000    // of a site, whose names are kept
	maxHosts     = 100     // of a site
	atOnce       = 4       // sites of one provider that are looked into side by side
	maxWord      = 200     // characters of a name
)

// Inventory is what the accounts hold, as far as it matters for adoption. It holds no value
// of a variable and no URL of a database, so that it can be sent and kept.
type Inventory struct {
	Installation string     `json:"installation"` // whose marks are ours
	Sites        []Site     `json:"sites"`        // sorted by provider and id
	Databases    []Database `json:"databases"`
	Records      []Record   `json:"records"` // A, AAAA and CNAME only
	Accounts     []Account  `json:"accounts"`
	Providers    []string   `json:"providers"`
}

// Site is a site with what hangs on it.
type Site struct {
	Provider   string        `json:"provider"`
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Server     string        `json:"server,omitempty"`
	Hosts      []Host        `json:"hosts"` // sorted: the site's own first, then those that redirect
	Repository string        `json:"repository,omitempty"`
	Ref        string        `json:"ref,omitempty"`
	Address    string        `json:"address,omitempty"` // where an A record leads to it
	Mark       provider.Mark `json:"mark"`
	Variables  []string      `json:"variables"` // names, sorted
	Data       Data          `json:"data"`
}

// Host is a host name of a site.
type Host struct {
	Name     string `json:"name"`
	Redirect string `json:"redirect,omitempty"`
	Told     bool   `json:"told,omitempty"` // whether the provider says where a name redirects to
}

// Data is what a site's DATABASE_URL says.
type Data struct {
	State    DataState `json:"state"`
	Host     string    `json:"host,omitempty"`     // for people
	Endpoint string    `json:"endpoint,omitempty"` // HOST:PORT/NAME
	Exact    string    `json:"exact,omitempty"`    // the key of the database whose url is the very text
}

// DataState is whether a DATABASE_URL leads somewhere.
type DataState string

// The states.
const (
	DataNone    DataState = ""        // there is no such variable
	DataLeads   DataState = "leads"   // Endpoint says where to
	DataPrivate DataState = "private" // into a private network, whose names are the same for all
	DataUnclear DataState = "unclear" // it is no address of a database that is known here
	DataUnread  DataState = "unread"  // its provider does not give it back
)

// Database is a database.
type Database struct {
	Provider  string        `json:"provider"`
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Mark      provider.Mark `json:"mark"`
	Access    string        `json:"access,omitempty"`
	Endpoints []string      `json:"endpoints"` // HOST:PORT/NAME; none where nobody says
	TellsURL  bool          `json:"tellsURL"`
}

// key tells a database from others.
func (d Database) key() string { return d.Provider + " " + d.ID }

// Record is a DNS record that leads a name somewhere.
type Record struct {
	Provider string        `json:"provider"`
	ID       string        `json:"id"`
	Type     string        `json:"type"`
	Name     string        `json:"name"`
	Content  string        `json:"content"`
	TTL      int           `json:"ttl"` // 0: it doesn't say
	Proxied  bool          `json:"proxied"`
	Mark     provider.Mark `json:"mark"`
}

// Source is a provider that lists.
type Source struct {
	Name   string
	Lister provider.Lister
}

// Collect reads what the sources hold. It is complete, or an error: an account that could not
// be read must not look like one that is empty.
func Collect(ctx context.Context, sources []Source, installation string) (Inventory, error) {
	c := collector{inv: Inventory{Installation: installation, Sites: []Site{}, Databases: []Database{}, Records: []Record{}, Accounts: []Account{}, Providers: []string{}}, urls: map[string][]string{}}
	for _, s := range sources {
		all, err := s.Lister.Existing(ctx)
		if err != nil {
			return Inventory{}, fmt.Errorf("list what exists at %s: %w", s.Name, err)
		}
		if c.objects += len(all); c.objects > maxObjects {
			return Inventory{}, fmt.Errorf("list what exists at %s: there are more than %d objects", s.Name, maxObjects)
		}
		c.inv.Providers = append(c.inv.Providers, s.Name)
		if err := c.take(ctx, s, all); err != nil {
			return Inventory{}, err
		}
	}
	c.settle()
	return c.inv, nil
}

// collector holds what must not leave it.
type collector struct {
	inv     Inventory
	objects int
	urls    map[string][]string // a database's url → keys of those that have it
	reads   []read              // DATABASE_URL by site
}

type read struct {
	provider, id string
	url          state.Secret
}

func (c *collector) take(ctx context.Context, s Source, all []provider.Object) error {
	sites := map[string]*Site{}
	var order []*Site
	for _, o := range all {
		switch o.Kind {
		case state.KindSite:
			if idShape.MatchString(o.ID) && sites[o.ID] == nil {
				x := siteOf(s.Name, o)
				sites[o.ID] = x
				order = append(order, x)
			}
		case state.KindDatabase:
			c.database(s.Name, o)
		case state.KindRecord:
			c.record(s.Name, o)
		case state.KindPayments:
			c.account(s.Name, o)
		}
	}
	for _, o := range all {
		if x := sites[attribute(o, "site")]; x != nil {
			c.part(x, o)
		}
	}
	var open []*Site // whose mark stands in no list
	for _, x := range order {
		if x.Mark.IsZero() {
			open = append(open, x)
		}
	}
	inside, err := c.inside(ctx, s, open)
	if err != nil {
		return err
	}
	for i, x := range open {
		for _, o := range inside[i] {
			c.part(x, o)
		}
	}
	for _, x := range order {
		x.sort()
		c.inv.Sites = append(c.inv.Sites, *x)
	}
	return nil
}

// inside looks into sites, a few at a time. The first error ends it.
func (c *collector) inside(ctx context.Context, s Source, sites []*Site) ([][]provider.Object, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out, errs := make([][]provider.Object, len(sites)), make([]error, len(sites))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(atOnce, len(sites)) {
		wg.Go(func() {
			for i := range next {
				if ctx.Err() != nil {
					errs[i] = context.Cause(ctx)
					continue
				}
				out[i], errs[i] = s.Lister.Inside(ctx, provider.Object{Kind: state.KindSite, ID: sites[i].ID})
				if errs[i] != nil {
					stop()
				}
			}
		})
	}
	for i := range sites {
		next <- i
	}
	close(next)
	wg.Wait()
	var first error
	at := 0
	for i, err := range errs {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first, at = err, i
		}
	}
	if first != nil {
		return nil, fmt.Errorf("look into site %s at %s: %w", sites[at].ID, s.Name, first)
	}
	return out, nil
}

func siteOf(at string, o provider.Object) *Site {
	return &Site{Provider: at, ID: o.ID, Name: clean(o.Name), Server: clean(attribute(o, "server")), Repository: clean(attribute(o, "repository")),
		Ref: clean(attribute(o, "ref")), Address: clean(outputOf(o, "address")), Mark: o.Mark, Hosts: []Host{}, Variables: []string{}}
}

// part puts something that hangs on a site into it.
func (c *collector) part(x *Site, o provider.Object) {
	switch o.Kind {
	case state.KindDomain:
		h := Host{hostOf(attribute(o, "host")), hostOf(attribute(o, "redirect")), slices.ContainsFunc(o.Attributes, func(a provider.Observed) bool { return a.Name == "redirect" })}
		i := slices.IndexFunc(x.Hosts, func(have Host) bool { return have.Name == h.Name })
		switch {
		case h.Name == "":
		case i >= 0:
			x.Hosts[i] = h // who was asked about the site knows more than a list
		case len(x.Hosts) < maxHosts:
			x.Hosts = append(x.Hosts, h)
		}
	case state.KindDeployment:
		x.Repository, x.Ref = cmp.Or(clean(attribute(o, "repository")), x.Repository), cmp.Or(clean(attribute(o, "ref")), x.Ref)
	case state.KindEnvironment:
		if x.Mark.IsZero() {
			x.Mark = o.Mark
		}
		for name := range strings.SplitSeq(attribute(o, "unread"), ",") {
			if name != "" && len(x.Variables) < maxVariables && clean(name) == name {
				x.Variables = append(x.Variables, name)
			}
			if name == databaseURL {
				x.Data = Data{State: DataUnread}
			}
		}
		for _, a := range o.Attributes {
			name, ok := strings.CutPrefix(a.Name, "env.")
			if !ok || provider.Line(name, maxWord) != name {
				continue
			}
			if len(x.Variables) < maxVariables {
				x.Variables = append(x.Variables, name)
			}
			if name == databaseURL {
				c.reads = append(c.reads, read{x.Provider, x.ID, state.NewSecret(a.Reveal())})
				x.Data = endpointOf(a.Reveal())
			}
		}
	}
}

// databaseURL is the variable that a site finds its database by.
const databaseURL = "DATABASE_URL"

func (c *collector) database(at string, o provider.Object) {
	if !idShape.MatchString(o.ID) {
		return
	}
	d := Database{Provider: at, ID: o.ID, Name: clean(o.Name), Mark: o.Mark, Access: clean(attribute(o, "access")), Endpoints: []string{}}
	for _, x := range o.Outputs {
		if x.Name == "endpoint" {
			d.Endpoints = append(d.Endpoints, strings.ToLower(clean(x.Text)))
		}
		if x.Name != "url" || x.Secret == nil {
			continue
		}
		d.TellsURL = true
		c.urls[x.Secret.Reveal()] = append(c.urls[x.Secret.Reveal()], d.key())
		if e := endpointOf(x.Secret.Reveal()); e.State == DataLeads {
			d.Endpoints = append(d.Endpoints, e.Endpoint)
		}
	}
	slices.Sort(d.Endpoints)
	d.Endpoints = slices.Compact(d.Endpoints)
	c.inv.Databases = append(c.inv.Databases, d)
}

func (c *collector) record(at string, o provider.Object) {
	r := Record{Provider: at, ID: o.ID, Type: attribute(o, "type"), Name: hostOf(attribute(o, "name")), Content: clean(attribute(o, "content")), Proxied: attribute(o, "proxied") == "true", Mark: o.Mark}
	r.TTL, _ = strconv.Atoi(attribute(o, "ttl")) // 0 where it says none
	if slices.Contains([]string{"A", "AAAA", "CNAME"}, r.Type) && r.Name != "" && r.Content != "" && idShape.MatchString(r.ID) {
		c.inv.Records = append(c.inv.Records, r)
	}
}

// settle says of each site which database has the very URL that it uses, and puts all into
// an order.
func (c *collector) settle() {
	at := map[[2]string]int{}
	for i, x := range c.inv.Sites {
		at[[2]string{x.Provider, x.ID}] = i
	}
	for _, r := range c.reads {
		if keys := c.urls[r.url.Reveal()]; len(keys) == 1 {
			c.inv.Sites[at[[2]string{r.provider, r.id}]].Data.Exact = keys[0]
		}
	}
	slices.SortFunc(c.inv.Sites, func(a, b Site) int { return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.ID, b.ID)) })
	slices.SortFunc(c.inv.Databases, func(a, b Database) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(c.inv.Accounts, func(a, b Account) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(c.inv.Records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.ID, b.ID))
	})
}

// sort puts the site's own names first: those that don't redirect, without www, the shortest.
func (x *Site) sort() {
	slices.Sort(x.Variables)
	x.Variables = slices.Compact(x.Variables)
	rank := func(h Host) int {
		n := 0
		if h.Redirect != "" {
			n += 2
		}
		if strings.HasPrefix(h.Name, "www.") {
			n++
		}
		return n
	}
	slices.SortFunc(x.Hosts, func(a, b Host) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
}

// privateNetwork ends names that mean another host in every project.
const privateNetwork = ".railway.internal"

// endpointOf says where a connection URL leads, without who connects.
func endpointOf(text string) Data {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Hostname() == "" || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return Data{State: DataUnclear}
	}
	host, port, name := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), cmp.Or(u.Port(), "5432"), strings.TrimPrefix(u.Path, "/")
	if hostOf(host) == "" || clean(name) != name || name == "" {
		return Data{State: DataUnclear}
	}
	if strings.HasSuffix(host, privateNetwork) {
		return Data{State: DataPrivate, Host: host}
	}
	return Data{State: DataLeads, Host: host, Endpoint: strings.ToLower(net.JoinHostPort(host, port) + "/" + name)}
}

var (
	idShape   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,199}$`)
	hostShape = regexp.MustCompile(`^(_?[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// hostOf is a host name as names are compared; "" for what is none.
func hostOf(text string) string {
	h := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text), "."))
	if a, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil {
		return a.String()
	}
	if len(h) > 253 || !hostShape.MatchString(h) {
		return ""
	}
	return h
}

func clean(text string) string { return provider.Line(text, maxWord) }

func attribute(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name && a.Secret == nil {
			return a.Text
		}
	}
	return ""
}

func outputOf(o provider.Object, name string) string {
	for _, x := range o.Outputs {
		if x.Name == name && x.Secret == nil {
			return x.Text
		}
	}
	return ""
}
