package takeover

import (
	"fmt"
	"slices"
	"strings"
)

// usualTTL is the time to live of an address record that a manifest does not mention.
const usualTTL = 300

// dns is what a manifest says of a client's records.
type dns struct {
	provider string   // "": none
	proxied  bool     // of the records that follow from the site
	explicit []Record // that are written out
	adopt    string   // the id of the host's own record, where it is written out
}

func recordsByName(all []Record) map[string][]Record {
	out := map[string][]Record{}
	for _, r := range all {
		out[r.Name] = append(out[r.Name], r)
	}
	return out
}

// leads finds the records that lead the client's host names somewhere, and says in Aliases
// which of the names the manifest has.
func (x *Match) leads(records map[string][]Record, inv Inventory) (out dns) {
	f := &x.DNS
	f.Candid = []string{}
	if x.Skipped != "" {
		f.State = None
		return out
	}
	own := records[x.Host]
	names := x.otherNames()
	switch {
	case len(own) == 0:
		f.State = Absent
		f.note("no record of %s is in the zones of %s: nobody manages its names", x.Host, list(inv.Providers))
		x.Aliases = names
		return out
	case twice(own) || slices.ContainsFunc(own, func(r Record) bool { return !r.Mark.IsZero() }) || x.site() == nil:
		f.State = Ambiguous
		f.note("%s: nobody manages its names until that is settled", x.unclear(own))
		for _, r := range own {
			f.Candid = append(f.Candid, r.Provider+" "+r.ID)
		}
		x.Aliases = names
		return out
	}
	if slices.ContainsFunc(own, func(r Record) bool { return r.Type == "CNAME" }) {
		f.State = None
		f.note("%s: a manifest can't ask for a CNAME at the domain itself, so that nobody manages its names; with an A record in its place `dns` can", says(own))
		x.Aliases = names
		return out
	}
	f.State, f.Provider, f.ID = Matched, own[0].Provider, own[0].ID
	out.provider, out.proxied = own[0].Provider, own[0].Proxied
	if len(own) > 1 || !out.follows(own[0], x.site()) {
		out.explicit = append(out.explicit, own...)
		out.adopt = adoptee(own).ID
		f.ID = out.adopt
	}
	f.note("%s", says(own))
	for _, name := range names {
		its := records[name]
		switch {
		case len(its) == 0:
			f.note("%s has no record there: it is left out of the aliases, and stays as it is", name)
			continue
		case its[0].Provider != out.provider || twice(its) || slices.ContainsFunc(its, func(r Record) bool { return !r.Mark.IsZero() }):
			f.note("the records of %s are unclear: it is left out of the aliases, and stays as it is", name)
			continue
		case len(its) == 1 && out.follows(its[0], x.site()):
		case !strings.HasSuffix(name, "."+x.Host):
			f.note("the record of %s leads elsewhere, and a manifest has records of its own domain alone: it is left out of the aliases, and stays as it is", name)
			continue
		default:
			out.explicit = append(out.explicit, its...)
		}
		x.Aliases = append(x.Aliases, name)
	}
	return out
}

// otherNames are the names of the site, and those of the export, but the client's own.
func (x *Match) otherNames() []string {
	out := []string{}
	add := func(h string) {
		if h != "" && h != x.Host && strings.Contains(h, ".") && !slices.Contains(out, h) && len(out) < maxAliases {
			out = append(out, h)
		}
	}
	if s := x.site(); s != nil {
		for _, h := range s.Hosts {
			if h.Told && h.Redirect != x.Host && h.Name != x.Host {
				x.Site.note("%s is on the site and does not redirect to %s, as an alias would: it is left out, and stays as it is", h.Name, x.Host)
				continue
			}
			add(h.Name)
		}
	} else if x.entry != nil {
		for _, a := range x.entry.Aliases {
			add(hostOf(a))
		}
	}
	return out
}

// maxAliases is how many a manifest may have.
const maxAliases = 20

// follows says that a record is what the site's own address record would be.
func (d dns) follows(r Record, s *Site) bool {
	return s != nil && r.Type == "A" && r.Content == s.Address && s.Address != "" && r.Proxied == d.proxied && (r.Proxied || r.TTL == usualTTL)
}

// twice says that several records of a name have one type.
func twice(all []Record) bool {
	for i, r := range all {
		if slices.ContainsFunc(all[i+1:], func(o Record) bool { return o.Type == r.Type }) {
			return true
		}
	}
	return false
}

// adoptee is the record that `adopt.record` means: A before AAAA.
func adoptee(all []Record) Record {
	for _, r := range all {
		if r.Type == "A" {
			return r
		}
	}
	return all[0]
}

func (x *Match) unclear(own []Record) string {
	switch {
	case x.site() == nil:
		return "without a site nobody knows where its records should lead"
	case twice(own):
		return "it has several records of one type"
	}
	return "its record bears a mark already"
}

func says(all []Record) string {
	var out []string
	for _, r := range all {
		proxied := ""
		if r.Proxied {
			proxied = ", proxied"
		}
		out = append(out, fmt.Sprintf("%s %s → %s%s", r.Type, r.Name, r.Content, proxied))
	}
	return strings.Join(out, "; ")
}
