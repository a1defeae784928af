package takeover

import (
	"slices"

	"github.com/compassdigital/reconciler/internal/provider"
)

// maxNote is how long a sentence in a manifest may be, in characters.
const maxNote = 300

func clip(text string) string { return provider.Line(text, maxNote) }

// data finds a client's database.
func (m *matcher) data(x *Match) {
	if x.Skipped != "" {
		x.Data.State = None
		return
	}
	var named *Database // by the export
	asked := ""
	if x.entry != nil {
		asked = x.entry.DatabaseID
	}
	if asked != "" {
		named = m.databaseOf(x.entry)
	}
	s := x.site()
	switch {
	case s == nil:
		m.dataWithoutSite(x, named, asked)
	case s.Data.State == DataLeads, m.byKey[s.Data.Exact] != nil:
		m.dataByURL(x, s, named, asked)
	case named != nil:
		x.chooseData(named, "by the export's id; the site's DATABASE_URL does not say which it is")
	case asked != "":
		x.Data.State = Ambiguous
		x.Data.note("the export names database %s, and there is none of this id", asked)
	case s.Data.State == DataPrivate:
		x.Data.note("the site's DATABASE_URL leads to %s, a name that is another database's in every project", s.Data.Host)
		m.dataByName(x, s)
	case s.Data.State == DataUnread:
		x.Data.note("%s does not give the site's DATABASE_URL back", s.Provider)
		m.dataByName(x, s)
	case s.Data.State == DataUnclear:
		x.Data.State = Ambiguous
		x.Data.note("the site's DATABASE_URL can't be read as the address of a PostgreSQL database")
	default:
		x.Data.State = None
		x.Data.note("the site has no DATABASE_URL")
	}
	if d := x.database; d != nil && !d.Mark.IsZero() {
		x.Data.State = Ambiguous
		x.Data.note("database %s at %s bears the mark of %s: it is not ours to adopt", d.ID, d.Provider, d.Mark.Installation)
	}
	x.dataCandidates()
}

// databaseOf is the database that the export names.
func (m *matcher) databaseOf(e *Entry) *Database {
	for i := range m.inv.Databases {
		d := &m.inv.Databases[i]
		if d.ID == e.DatabaseID && (e.DatabaseProvider == "" || e.DatabaseProvider == d.Provider) {
			return d
		}
	}
	return nil
}

// dataByURL finds the database that the site uses.
func (m *matcher) dataByURL(x *Match, s *Site, named *Database, asked string) {
	found := slices.Clone(m.byEnd[s.Data.Endpoint])
	if d := m.byKey[s.Data.Exact]; d != nil {
		found = []*Database{d} // the very text, password included
	}
	switch {
	case asked != "" && (len(found) != 1 || found[0] != named):
		x.Data.State = Ambiguous
		x.Data.note("the export names database %s, and the site's DATABASE_URL leads elsewhere (%s)", asked, s.Data.Host)
		x.databases = found
		if named != nil && !slices.Contains(found, named) {
			x.databases = append(x.databases, named)
		}
	case len(found) == 0:
		x.Data.State = Absent
		x.Data.note("the site's DATABASE_URL leads to %s, and no database of the accounts is there", s.Data.Host)
	case len(found) > 1:
		x.Data.State, x.databases = Ambiguous, found
		x.Data.note("%d databases are where the site's DATABASE_URL leads", len(found))
	case s.Data.Exact != "":
		x.chooseData(found[0], "by the site's DATABASE_URL")
	default:
		x.chooseData(found[0], "by host, port and name of the site's DATABASE_URL, which is spelled otherwise than at the provider")
	}
}

// dataByName finds the database whose name is the client's, where nothing else tells.
func (m *matcher) dataByName(x *Match, s *Site) {
	var found []*Database
	for _, name := range []string{x.Name, fromHost(x.Host), slug(x.Host), slug(s.Name)} {
		for _, d := range m.names[name] {
			if name != "" && !slices.Contains(found, d) {
				found = append(found, d)
			}
		}
	}
	if len(found) == 1 {
		x.chooseData(found[0], "by its name alone: see whether it is the one")
		return
	}
	x.Data.State, x.databases = Ambiguous, found
}

// dataWithoutSite finds the database of a client whose site was not chosen.
func (m *matcher) dataWithoutSite(x *Match, named *Database, asked string) {
	for _, c := range x.sites {
		for _, d := range m.byEnd[c.Data.Endpoint] {
			if !slices.Contains(x.databases, d) {
				x.databases = append(x.databases, d)
			}
		}
	}
	switch {
	case named != nil:
		x.chooseData(named, "by the export's id")
	case asked != "":
		x.Data.State = Ambiguous
		x.Data.note("the export names database %s, and there is none of this id", asked)
	case len(x.databases) > 0 || x.Site.State == Ambiguous:
		x.Data.State = Ambiguous
		x.Data.note("it follows from which site is chosen")
	default:
		x.Data.State = Absent
		x.Data.note("without a site nothing says which database it is")
	}
}

func (x *Match) chooseData(d *Database, why string) {
	x.Data.State, x.database, x.databases = Matched, d, []*Database{d}
	x.Data.note("%s", why)
}

// dataCandidates says which databases may be meant.
func (x *Match) dataCandidates() {
	x.Data.Candid, x.Data.Provider, x.Data.ID = []string{}, "", ""
	if x.Data.State == Matched {
		x.Data.Provider, x.Data.ID = x.database.Provider, x.database.ID
		return
	}
	x.database = nil
	for _, d := range x.databases {
		x.Data.Candid = append(x.Data.Candid, d.key())
	}
}

// databasesOnce takes the choice back where two clients would have the same database.
func (m *matcher) databasesOnce() {
	users := map[*Database][]*Match{}
	for _, x := range m.out {
		if x.database != nil {
			users[x.database] = append(users[x.database], x)
		}
	}
	for _, x := range m.out {
		all := users[x.database]
		if x.database == nil || len(all) < 2 {
			continue
		}
		other := all[0]
		if other == x {
			other = all[1]
		}
		x.Data.State = Ambiguous
		x.Data.note("%s uses the same database", other.Name)
		x.dataCandidates()
	}
}

// needsSecret says that the site's DATABASE_URL has to be given as a secret: it is not what
// the adopted database's provider tells.
func (x *Match) needsSecret() bool {
	s := x.site()
	if s == nil || s.Data.State == DataNone {
		return false
	}
	if x.Data.State == Matched {
		return s.Data.Exact != x.database.key()
	}
	return x.Data.State == Absent
}
