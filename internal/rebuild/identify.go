package rebuild

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Found is one object, and who keeps it.
type Found struct {
	Provider string
	provider.Object
}

// less orders objects, so that the order in which they were listed decides nothing.
func (f Found) less(o Found) bool {
	if f.Kind != o.Kind {
		return f.Kind < o.Kind
	}
	if f.Provider != o.Provider {
		return f.Provider < o.Provider
	}
	return f.ID < o.ID
}

// get is an attribute as it was given, "" when it was not.
func (f Found) get(name string) string {
	in, _ := f.attribute(name)
	return in.Reveal()
}

// Lived names an object that was there before us, as state.Client.Lived does: it was adopted
// at some time, or its site was. "": it was not.
func (f Found) Lived(adopted map[string]bool) string {
	if adopted[f.ID] || adopted[f.ID[strings.LastIndexByte(f.ID, '/')+1:]] || f.Kind != state.KindRecord && adopted[f.get("site")] {
		return f.Provider + "/" + string(f.Kind) + "/" + f.ID
	}
	return ""
}

func (f Found) attribute(name string) (provider.Observed, bool) {
	for _, a := range f.Attributes {
		if a.Name == name {
			return a, true
		}
	}
	return provider.Observed{}, false
}

// Wisher is a manifest that some client id belongs to, or none.
type Wisher struct {
	Name   string
	Hosts  []string // that it asks for
	Former []string // names that it says it had
	Once   []string // names that an earlier version of it said it had
	Site   bool     // it asks for a site
	Data   bool     // it asks for a database
	Fresh  bool     // database.reuse: fresh: an earlier client of its name is another one
}

// Identity is the client id that a manifest belongs to, or that none is known to, and why that
// is not sure.
type Identity struct {
	ID         state.ClientID // "": what may be its was found to be another one's
	Generation int            // 0: the same
	Told       bool           // the objects themselves say so, not the name alone
	Doubt      string         // why it is not sure
}

// Evidence, the strongest first. What an object says of its client was written by us with
// the client's last change; the name in an id is that of the day when it was minted.
const (
	byLabel = 8
	byHost  = 4
	byName  = 2
	byOnce  = 1 // by a name that an earlier version of the manifest said it had
)

// suffix is how long the random part of a client id is, with its hyphen.
const suffix = 7

// NameOf is the name that a client id was minted from.
func NameOf(id state.ClientID) string {
	s := string(id)
	if n := len(s) - suffix; n > 0 && s[n] == '-' && strings.Trim(s[n+1:], "0123456789abcdef") == "" {
		return s[:n]
	}
	return s
}

// traces are what the objects of one client id say of whose they are.
type traces struct {
	id            state.ClientID
	generation    int
	labels, hosts map[string]bool
	data          bool // a database is among them
	onlyData      bool
}

func trace(found []Found) []traces {
	by := map[state.ClientID]*traces{}
	for _, f := range found {
		if f.Mark.Client == "" {
			continue
		}
		t := by[f.Mark.Client]
		if t == nil {
			t = &traces{id: f.Mark.Client, labels: map[string]bool{}, hosts: map[string]bool{}, onlyData: true}
			by[t.id] = t
		}
		t.generation = max(t.generation, f.Mark.Generation)
		t.data = t.data || f.Kind == state.KindDatabase
		t.onlyData = t.onlyData && (f.Kind == state.KindDatabase || f.Kind == state.KindAdmin || f.Kind == state.KindMail || f.Kind == state.KindPayments)
		switch f.Kind {
		case state.KindSite:
			t.labels[f.get("label")] = true
		case state.KindDomain:
			t.hosts[f.Name], t.hosts[f.get("host")] = true, true
		case state.KindRecord:
			t.hosts[f.get("name")] = true
		}
	}
	out := make([]traces, 0, len(by))
	for _, t := range by {
		out = append(out, *t)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].id < out[j].id })
	return out
}

// fits says how much speaks for it that the traces are the manifest's.
func (t traces) fits(w Wisher) int {
	n := 0
	if t.labels[w.Name] {
		n += byLabel
	}
	if slices.ContainsFunc(w.Hosts, func(h string) bool { return h != "" && t.hosts[h] }) {
		n += byHost
	}
	switch name := NameOf(t.id); {
	case name == w.Name || slices.Contains(w.Former, name):
		n += byName
	case slices.Contains(w.Once, name) && (w.Data || !t.onlyData):
		n += byOnce
	}
	return n
}

// Identify says which client id each manifest belongs to, by the manifest's name, and
// which ids belong to none, sorted.
func Identify(wishers []Wisher, found []Found) (map[string]Identity, []state.ClientID) {
	type pair struct {
		w     Wisher
		t     traces
		score int
	}
	var pairs []pair
	all := trace(found)
	for _, w := range wishers {
		for _, t := range all {
			if n := t.fits(w); n > 0 {
				pairs = append(pairs, pair{w, t, n})
			}
		}
	}
	// The strongest evidence first; a name that was taken afresh is the younger client's.
	sort.Slice(pairs, func(i, j int) bool {
		a, b := pairs[i], pairs[j]
		switch {
		case a.score != b.score:
			return a.score > b.score
		case a.t.generation != b.t.generation:
			return a.t.generation > b.t.generation
		case a.w.Name != b.w.Name:
			return a.w.Name < b.w.Name
		}
		return a.t.id < b.t.id
	})
	of, taken := map[string]Identity{}, map[state.ClientID]string{}
	for _, p := range pairs {
		if _, has := of[p.w.Name]; has || taken[p.t.id] != "" {
			continue
		}
		id := Identity{ID: p.t.id, Generation: max(p.t.generation, 1), Told: p.score > byName}
		for _, q := range pairs {
			if q.score != p.score || q.t.generation != p.t.generation || (q.w.Name == p.w.Name) == (q.t.id == p.t.id) {
				continue
			}
			if _, has := of[q.w.Name]; (q.t.id != p.t.id && taken[q.t.id] == "") || (q.w.Name != p.w.Name && !has) {
				id.Doubt = fmt.Sprintf("it may be %s, and as well another one: the marks of %s fit %s as much", p.t.id, q.t.id, q.w.Name)
			}
		}
		switch {
		case id.Doubt != "" || p.score > byName:
		case p.score == byOnce:
			id.Doubt = fmt.Sprintf("an earlier version of its manifest says that it was called %s before, and nothing else says that what bears the mark of %s is this client's", NameOf(p.t.id), p.t.id)
		case !p.t.onlyData:
		case p.w.Fresh:
			id.Doubt = fmt.Sprintf("nothing but the name says that the data of %s is this client's, and its manifest says database.reuse: fresh", p.t.id)
		case p.w.Site:
			id.Doubt = fmt.Sprintf("only data bears the mark of %s, and nothing but the name says that it is this client's", p.t.id)
		}
		of[p.w.Name], taken[p.t.id] = id, p.w.Name
	}
	// Data that nothing but a name gives to one may be that of another one of whom nothing else is
	// known: then neither goes on unasked, so that no empty database takes the place of a full one.
	for _, p := range pairs {
		by := taken[p.t.id]
		if _, has := of[p.w.Name]; has || !p.w.Data || !(p.t.data || p.t.onlyData) || by == "" || of[by].Told {
			continue
		}
		id := of[by]
		if id.Doubt == "" {
			id.Doubt = fmt.Sprintf("nothing but the name says that the data of %s is this client's, and %s had that name, too", p.t.id, p.w.Name)
			of[by] = id
		}
		of[p.w.Name] = Identity{Doubt: fmt.Sprintf("the data of %s may be its, and counts as that of %s, of which as little is known", p.t.id, by)}
	}
	var rest []state.ClientID
	for _, t := range all {
		if taken[t.id] == "" {
			rest = append(rest, t.id)
		}
	}
	return of, rest
}

// Elsewhere finds a host that a manifest asks for and that another client's objects bear,
// or a name that is nested with it (one lies below the other); host "" for none. What its own
// client's objects bear is its own.
func Elsewhere(w Wisher, found []Found, nested func(a, b string) bool) (host, name string, by state.ClientID) {
	own := map[state.ClientID]bool{}
	for _, f := range found {
		n := NameOf(f.Mark.Client)
		if n == w.Name || slices.Contains(w.Former, n) || f.Kind == state.KindSite && f.get("label") == w.Name {
			own[f.Mark.Client] = true
		}
	}
	has := map[string]bool{}
	for _, f := range found {
		if f.Kind == state.KindDomain && own[f.Mark.Client] {
			has[f.Name] = true
		}
	}
	for _, h := range w.Hosts {
		for _, f := range found {
			if f.Kind != state.KindDomain || f.Mark.Client == "" || own[f.Mark.Client] || has[h] || f.Name != h && !nested(f.Name, h) {
				continue
			}
			if host == "" || f.Name < name {
				host, name, by = h, f.Name, f.Mark.Client
			}
		}
		if host != "" {
			return host, name, by
		}
	}
	return "", "", ""
}

// Of are the objects of one client id.
func Of(found []Found, id state.ClientID) []Found {
	var out []Found
	for _, f := range found {
		if f.Mark.Client == id {
			out = append(out, f)
		}
	}
	return out
}
