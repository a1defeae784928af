package takeover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// State is how sure a finding is; scripts rely on these words.
type State string

// The states.
const (
	Matched   State = "matched"   // exactly one, and nothing speaks against it
	Ambiguous State = "ambiguous" // several, or two sources disagree: a person chooses
	Absent    State = "absent"    // there is none
	None      State = "none"      // none is asked for
)

// Finding is what was found of one part of a client.
type Finding struct {
	State    State    `json:"state"`
	Provider string   `json:"provider,omitempty"`
	ID       string   `json:"id,omitempty"`    // of what is matched
	Candid   []string `json:"candidates"`      // PROVIDER ID of what may be meant
	Notes    []string `json:"notes,omitempty"` // sentences, one line each
}

func (f *Finding) note(format string, a ...any) {
	f.Notes = append(f.Notes, clip(fmt.Sprintf(format, a...)))
}

// Match is what was found of one client.
type Match struct {
	Name    string   `json:"name"`
	Host    string   `json:"host"`
	Aliases []string `json:"aliases"`
	Site    Finding  `json:"site"`
	Data    Finding  `json:"database"`
	DNS     Finding  `json:"records"`
	Money   Finding  `json:"payments"`
	State   State    `json:"state"`
	Skipped string   `json:"skipped,omitempty"` // why no manifest is written
	File    string   `json:"file,omitempty"`    // that has it already
	Notes   []string `json:"notes,omitempty"`
	Next    string   `json:"next,omitempty"` // the one thing to do

	entry     *Entry
	sites     []*Site // matched: one; ambiguous: all that may be meant
	exported  bool    // the id is the export's, and nothing is there
	database  *Database
	databases []*Database
	dns       dns
	accounts  []*Account // matched: one; ambiguous: all that may be meant
	listed    bool       // somebody who keeps accounts was asked
}

// Known is what is in the folder already.
type Known struct {
	Names map[string]bool   // of clients
	Hosts map[string]string // host name → the file that has it
}

// matcher holds what Match works with.
type matcher struct {
	inv    Inventory
	known  Known
	byHost map[string][]*Site
	byKey  map[string]*Database
	byEnd  map[string][]*Database
	names  map[string][]*Database // by their vendor-side name, as a name
	out    []*Match
}

// Matches finds out what is whose. Without entries every site with a host name of its own is a
// client; with entries these are, and of the other sites it is said that nobody asks for
// them. The result is sorted by name.
func Matches(inv Inventory, entries []Entry, known Known) []Match {
	m := &matcher{inv: inv, known: known, byHost: map[string][]*Site{}, byKey: map[string]*Database{}, byEnd: map[string][]*Database{}, names: map[string][]*Database{}}
	for i := range inv.Databases {
		d := &inv.Databases[i]
		m.byKey[d.key()] = d
		m.names[slug(d.Name)] = append(m.names[slug(d.Name)], d)
		for _, e := range d.Endpoints {
			m.byEnd[e] = append(m.byEnd[e], d)
		}
	}
	for i := range inv.Sites {
		for _, h := range inv.Sites[i].Hosts {
			m.byHost[h.Name] = append(m.byHost[h.Name], &inv.Sites[i])
		}
	}
	if entries == nil {
		m.fromSites()
	} else {
		m.fromEntries(entries)
	}
	m.name()
	m.sitesOnce()
	for _, x := range m.out {
		m.data(x)
	}
	m.databasesOnce()
	records := recordsByName(inv.Records)
	out := make([]Match, 0, len(m.out))
	for _, x := range m.out {
		x.dns = x.leads(records, inv)
		m.money(x)
	}
	m.accountsOnce()
	for _, x := range m.out {
		x.sum()
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Match) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// ours says that a site is this installation's already.
func (m *matcher) ours(s *Site) bool {
	return m.inv.Installation != "" && s.Mark.Installation == m.inv.Installation
}

// free are the sites that nobody has marked.
func free(all []*Site) []*Site {
	return slices.DeleteFunc(slices.Clone(all), func(s *Site) bool { return !s.Mark.IsZero() })
}

// fromSites makes a client of each group of sites that share a host name.
func (m *matcher) fromSites() {
	seen := map[*Site]bool{}
	for i := range m.inv.Sites {
		first := &m.inv.Sites[i]
		if seen[first] || m.ours(first) {
			continue
		}
		group := m.group(first, seen)
		x := &Match{Aliases: []string{}, sites: free(group)}
		switch {
		case len(x.sites) == 0 && len(first.Hosts) == 0:
			x.Skipped = "it bears the mark of another installation, " + first.Mark.Installation
			x.Notes = append(x.Notes, where(first))
		case len(x.sites) == 0:
			x.Host, x.Skipped = first.Hosts[0].Name, "its site bears the mark of another installation, "+first.Mark.Installation
			x.Notes = append(x.Notes, where(first))
		case len(first.Hosts) == 0:
			x.Skipped = "the site has no host name of its own, and no export says whose it is"
			x.Notes = append(x.Notes, where(first))
		default:
			x.Host = x.sites[0].Hosts[0].Name
			m.chooseSite(x)
			m.foreigners(x, group)
		}
		m.out = append(m.out, x)
	}
}

// group are the sites that are joined by host names.
func (m *matcher) group(first *Site, seen map[*Site]bool) []*Site {
	group := []*Site{first}
	seen[first] = true
	for n := 0; n < len(group); n++ {
		for _, h := range group[n].Hosts {
			for _, other := range m.byHost[h.Name] {
				if !seen[other] && !m.ours(other) {
					seen[other] = true
					group = append(group, other)
				}
			}
		}
	}
	slices.SortFunc(group, func(a, b *Site) int { return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.ID, b.ID)) })
	return group
}

// foreigners tells of sites of the same names that are somebody else's.
func (m *matcher) foreigners(x *Match, all []*Site) {
	for _, s := range all {
		if !s.Mark.IsZero() && !m.ours(s) {
			x.Site.note("%s has the name, too, and bears the mark of another installation, %s: it is not touched", where(s), s.Mark.Installation)
		}
	}
}

// fromEntries makes a client of each entry.
func (m *matcher) fromEntries(entries []Entry) {
	asked, hosts := map[*Site]bool{}, map[string]bool{}
	for i := range entries {
		e := &entries[i]
		x := &Match{Aliases: []string{}, entry: e, Host: hostOf(e.Domain)}
		m.out = append(m.out, x)
		for _, k := range e.Unknown {
			x.Notes = append(x.Notes, clip("the export's field "+k+" means nothing here, and is left out"))
		}
		byID, byHost := m.named(e), m.byHost[x.Host]
		if x.Host == "" && len(byID) == 1 && len(byID[0].Hosts) > 0 {
			x.Host = byID[0].Hosts[0].Name
		}
		switch {
		case x.Host == "":
			x.Skipped = "the export names no domain of it that is a host name"
		case !strings.Contains(x.Host, "."):
			x.Skipped = "its domain " + x.Host + " is one label: write the whole host name into the export"
		case hosts[x.Host]:
			x.Skipped = "the export has its domain twice"
		}
		hosts[x.Host] = true
		x.sites = free(byHost)
		if e.SiteID != "" {
			m.byID(x, byID)
		} else {
			m.chooseSite(x)
		}
		m.foreigners(x, byHost)
		for _, s := range append(slices.Clone(byID), byHost...) {
			asked[s] = true
			if m.ours(s) && x.Skipped == "" {
				x.Skipped = "its site is this installation's already"
			}
		}
	}
	for i := range m.inv.Sites {
		if s := &m.inv.Sites[i]; !asked[s] && s.Mark.IsZero() {
			x := &Match{Aliases: []string{}, Skipped: "the export does not name it", Notes: []string{where(s)}}
			if len(s.Hosts) > 0 {
				x.Host = s.Hosts[0].Name
			}
			m.out = append(m.out, x)
		}
	}
}

// named are the sites of an export's id: the vendor's own, without what we put before it.
func (m *matcher) named(e *Entry) []*Site {
	if e.SiteID == "" {
		return nil
	}
	var out []*Site
	for i := range m.inv.Sites {
		s := &m.inv.Sites[i]
		if e.SiteProvider != "" && !strings.EqualFold(e.SiteProvider, s.Provider) {
			continue
		}
		if s.ID == e.SiteID || strings.HasSuffix(s.ID, "/"+e.SiteID) || s.Name == e.SiteID && len(s.Hosts) > 0 && s.Hosts[0].Name != s.Name {
			out = append(out, s)
		}
	}
	return out
}

// byID chooses the site that the export names, where its host name does not lead elsewhere.
func (m *matcher) byID(x *Match, byID []*Site) {
	byHost := x.sites
	others := slices.DeleteFunc(slices.Clone(byHost), func(s *Site) bool { return slices.Contains(byID, s) })
	marked := slices.ContainsFunc(byID, func(s *Site) bool { return !s.Mark.IsZero() })
	x.sites = append(free(byID), others...)
	switch {
	case marked:
		x.Site.State = Ambiguous
		x.Site.note("the export names site %s, which bears a mark already: it is not ours to adopt", x.entry.SiteID)
	case len(byID) == 0 && len(byHost) == 0:
		x.Site.State, x.exported = Absent, true
		x.Site.note("the export names site %s, and there is none of this id", x.entry.SiteID)
	case len(byID) == 0:
		x.Site.State = Ambiguous
		x.Site.note("the export names site %s, which is not there; %s leads elsewhere", x.entry.SiteID, x.Host)
	case len(byID) > 1 || len(others) > 0:
		x.Site.State = Ambiguous
		x.Site.note("the export names site %s, and %s leads to another one", x.entry.SiteID, x.Host)
	case len(byHost) == 0 && len(byID[0].Hosts) > 0:
		x.Site.State = Ambiguous
		x.Site.note("the export names site %s, which does not have the name %s", x.entry.SiteID, x.Host)
	default:
		x.Site.State = Matched
		x.Site.note("by the export's id, and by its host name")
	}
	x.candidates()
}

// chooseSite takes the one site of the host name.
func (m *matcher) chooseSite(x *Match) {
	switch len(x.sites) {
	case 0:
		x.Site.State = Absent
		x.Site.note("no site at %s has the name %s", list(m.inv.Providers), x.Host)
	case 1:
		x.Site.State = Matched
		x.Site.note("by its host name")
	default:
		x.Site.State = Ambiguous
		x.Site.note("%d sites have the name: choose one, and take the name off the others", len(x.sites))
	}
	x.candidates()
}

// candidates says which sites may be meant.
func (x *Match) candidates() {
	x.Site.Candid = []string{}
	for _, s := range x.sites {
		x.Site.Candid = append(x.Site.Candid, s.Provider+" "+s.ID)
	}
	if x.Site.State == Matched {
		x.Site.Provider, x.Site.ID, x.Site.Candid = x.sites[0].Provider, x.sites[0].ID, []string{}
	}
}

// site is the one that was chosen; nil: none was.
func (x *Match) site() *Site {
	if x.Site.State == Matched {
		return x.sites[0]
	}
	return nil
}

// sitesOnce takes the choice back where two clients would have the same site.
func (m *matcher) sitesOnce() {
	users := map[*Site][]*Match{}
	for _, x := range m.out {
		if s := x.site(); s != nil && x.Skipped == "" {
			users[s] = append(users[s], x)
		}
	}
	for _, x := range m.out {
		s := x.site()
		if s == nil || x.Skipped != "" || len(users[s]) < 2 {
			continue
		}
		other := users[s][0]
		if other == x {
			other = users[s][1]
		}
		x.Site.State = Ambiguous
		x.Site.note("%s would have the same site", other.Name)
	}
	for _, x := range m.out {
		if x.Site.State == Ambiguous {
			x.Site.ID = ""
			x.candidates()
		}
	}
}

// name names the clients, in the order of their host names.
func (m *matcher) name() {
	slices.SortStableFunc(m.out, func(a, b *Match) int { return cmp.Compare(a.Host, b.Host) })
	n := names{taken: map[string]bool{}, last: map[string]int{}}
	for name := range m.known.Names {
		n.taken[name] = true
	}
	for _, x := range m.out {
		if file := m.known.Hosts[x.Host]; file != "" && x.Skipped == "" {
			x.Skipped, x.File = file+" has its host name already, and is not touched", file
		}
		wanted := []string{fromHost(x.Host), slug(strings.TrimPrefix(x.Host, "www."))}
		if x.entry != nil {
			wanted = append([]string{slug(x.entry.Name)}, wanted...)
		}
		if x.Skipped != "" {
			x.Name = cmp.Or(append(wanted, "-")...)
			continue
		}
		var instead string
		if x.Name, instead = n.take(wanted...); instead != "" {
			x.Notes = append(x.Notes, clip("it is called "+x.Name+", for "+instead+" is another client's name"))
		}
		if x.entry != nil && x.entry.Name != "" && x.entry.Name != x.Name && instead == "" {
			x.Notes = append(x.Notes, clip("the export calls it "+x.entry.Name+", which a name can't be"))
		}
	}
}

// sum says how the client stands as a whole, and what to do next.
func (x *Match) sum() {
	x.State = x.Site.State
	for _, f := range []Finding{x.Data, x.DNS, x.Money} {
		if f.State == Ambiguous {
			x.State = Ambiguous
		}
	}
	switch {
	case x.Skipped != "":
		x.Next = ""
	case x.Site.State == Ambiguous:
		x.Next = "choose the site in adopt.site, and its deployment.provider"
	case x.Data.State == Ambiguous:
		x.Next = "choose the database in adopt.database"
	case x.Money.State == Ambiguous:
		x.Next = "choose the account in adopt.payments, and payments.country of it"
	case x.Site.State == Absent && x.exported:
		x.Next = "mend adopt.site, or take it out: then the site is made anew"
	case x.Site.State == Absent:
		x.Next = "take the file away, unless the site is to be made anew"
	case x.DNS.State == Ambiguous:
		x.Next = "see to its records: nobody manages them until then"
	case x.needsSecret():
		x.Next = "reconciler secret set database-url --client " + x.Name
	default:
		x.Next = "merge it, then reconciler adopt --confirm"
	}
	if x.Skipped != "" && x.Site.State == "" {
		x.State = None
	}
}

// where is a site in words.
func where(s *Site) string { return clip("site " + s.ID + " at " + s.Provider + " (" + s.Name + ")") }

// list joins names.
func list(all []string) string {
	switch len(all) {
	case 0:
		return "any provider"
	case 1:
		return all[0]
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}
