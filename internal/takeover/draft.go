package takeover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// Draft is a manifest to be written: one line a field.
type Draft struct {
	Name  string
	Match Match
	head  []string // comments
	lines []line
}

// line is a field with what is said of it. A field that may be left out is one that only
// describes: without it the manifest asks for nothing else.
type line struct {
	field string
	text  string
	notes []string
	spare bool
	least string // what stays where it is left out: a text of the same field
}

// Options are what nobody else says.
type Options struct {
	Template string // of clients whose template the export does not name
	Contact  string // e-mail address of clients without one
}

// Drafts are the manifests of all that can be adopted, in the order of matches.
func Drafts(all []Match, o Options) []Draft {
	var out []Draft
	for _, m := range all {
		if m.Skipped == "" {
			out = append(out, draftOf(m, o))
		}
	}
	return out
}

func draftOf(m Match, o Options) Draft {
	e := m.entry
	if e == nil {
		e = &Entry{}
	}
	d := Draft{Name: m.Name, Match: m}
	d.head = append(d.head, "Adopted from what exists. Site: "+string(m.Site.State)+", database: "+string(m.Data.State)+", records: "+string(m.DNS.State)+".")
	d.head = append(d.head, m.Notes...)
	d.add("apiVersion", manifest.APIVersion)
	d.add("kind", manifest.KindClient)
	d.add("name", scalarYAML(m.Name))
	d.spare("displayName", e.DisplayName, e.DisplayName != "")
	contact := []string{}
	for _, part := range [][2]string{{"name", e.ContactName}, {"email", or(e.ContactEmail, o.Contact)}, {"phone", e.ContactPhone}} {
		if part[1] != "" {
			contact = append(contact, part[0]+": "+scalarYAML(part[1]))
		}
	}
	d.add("contact", flow(contact))
	d.spare("plan", e.Plan, e.Plan != "")
	d.add("template", scalarYAML(or(slug(e.Template), o.Template)))
	d.add("domain", scalarYAML(m.Host))
	if len(m.Aliases) > 0 {
		d.add("aliases", words1(m.Aliases))
	}
	d.list("enabledFeatures", e.EnabledFeatures)
	d.list("disabledCollections", e.DisabledCollections)
	d.deployment(m)
	d.database(m)
	d.records(m)
	d.env(m, e)
	if len(e.Settings) > 0 {
		text, err := json.Marshal(e.Settings)
		d.lines = append(d.lines, line{field: "settings", text: string(text), spare: true})
		if err != nil || secretIn(e.Settings) {
			d.Drop(len(d.lines)-1, "a setting looks like a secret, and a repository is no place for one")
		}
	}
	d.spare("admin", "{email: "+scalarYAML(e.AdminEmail)+"}", e.AdminEmail != "")
	d.payments(m, e)
	if d.spare("notes", e.Notes, e.Notes != ""); confides(e.Notes) {
		d.Drop(len(d.lines)-1, "they may hold a password, and a repository is no place for one")
	}
	d.adopt(m)
	d.add("paused", "true")
	d.note("Plans are shown, nothing is written. Merge, `reconciler adopt --confirm`, then take this line out.")
	return d
}

// Lacks says what nobody said and a manifest can't be without.
func (d *Draft) Lacks() (template, contact bool) {
	e := d.Match.entry
	for _, l := range d.lines {
		template = template || l.field == "template" && l.text == quote("")
		contact = contact || l.field == "contact" && !strings.Contains(l.text, "email: ")
	}
	return template, contact && (e == nil || e.ContactEmail == "")
}

func (d *Draft) add(field, text string) { d.lines = append(d.lines, line{field: field, text: text}) }

func (d *Draft) spare(field, text string, there bool) {
	if !there {
		return
	}
	if !strings.HasPrefix(text, "{") {
		text = scalarYAML(text)
	}
	d.lines = append(d.lines, line{field: field, text: text, spare: true})
}

func (d *Draft) list(field string, all []string) {
	if len(all) > 0 {
		d.lines = append(d.lines, line{field: field, text: words1(all), spare: true})
	}
}

// note puts comments before the last field.
func (d *Draft) note(all ...string) {
	last := &d.lines[len(d.lines)-1]
	last.notes = append(last.notes, all...)
}

// comment puts a comment where a field could be.
func (d *Draft) comment(text string) { d.lines = append(d.lines, line{notes: []string{text}}) }

// Drop leaves a field out, and says why; false: the client needs it.
func (d *Draft) Drop(n int, why string) bool {
	if n < 0 || n >= len(d.lines) || !d.lines[n].spare {
		return false
	}
	l := &d.lines[n]
	notes := append(l.notes, clip(l.field+" is left out: "+why))
	*l = line{field: l.field, text: l.least, notes: notes}
	if l.text == "" {
		l.field = ""
	}
	return true
}

// unsettled is the id of an object that a person has to choose: nothing has it, so that the
// client is held and nothing is made.
func unsettled(m Match) string { return "choose-one-" + m.Name }

func (d *Draft) deployment(m Match) {
	s := m.site()
	if s == nil {
		if len(m.sites) > 0 {
			d.add("deployment", flow([]string{"provider: " + m.sites[0].Provider}))
			d.note("Of the site that is chosen: its provider, and its server where there are several.")
		} else if e := m.entry; e != nil && e.SiteProvider != "" {
			d.spare("deployment", "{provider: "+scalarYAML(strings.ToLower(e.SiteProvider))+"}", true)
		}
		return
	}
	parts := []string{"provider: " + s.Provider}
	if s.Server != "" {
		parts = append(parts, "server: "+scalarYAML(s.Server))
	}
	if strings.Contains(s.Repository, "/") {
		parts = append(parts, "repository: "+scalarYAML(s.Repository))
		if s.Ref != "" {
			parts = append(parts, "ref: "+scalarYAML(s.Ref))
		}
	}
	d.add("deployment", flow(parts))
}

func (d *Draft) database(m Match) {
	switch m.Data.State {
	case Matched:
		parts := []string{"provider: " + m.database.Provider}
		if a := m.database.Access; a == "private" || a == "public" {
			parts = append(parts, "access: "+a)
		}
		d.add("database", flow(parts))
	case Ambiguous:
		if len(m.databases) > 0 {
			d.add("database", flow([]string{"provider: " + m.databases[0].Provider}))
			d.note("Of the database that is chosen.")
		}
	case Absent:
		if m.site() == nil {
			return
		}
		d.add("database", "{provider: external, external: {url: {secret: database-url}}}")
		d.note("Somebody else keeps it. `reconciler secret set database-url --client "+m.Name+"` with the DATABASE_URL that the site has;", "then the plan is empty.")
	case None:
		d.add("database", "{provider: none}")
	}
}

func (d *Draft) records(m Match) {
	if m.dns.provider == "" {
		d.add("dns", "{provider: none}")
		return
	}
	parts := []string{"provider: " + m.dns.provider}
	if m.dns.proxied {
		parts = append(parts, "proxied: true")
	}
	var all []string
	for _, r := range m.dns.explicit {
		name := "@"
		if r.Name != m.Host {
			name = strings.TrimSuffix(r.Name, "."+m.Host)
		}
		fields := []string{"type: " + r.Type, "name: " + quote(name), "content: " + quote(r.Content)}
		if !r.Proxied && r.TTL > 0 {
			fields = append(fields, fmt.Sprintf("ttl: %d", r.TTL))
		}
		if r.Proxied != m.dns.proxied {
			fields = append(fields, fmt.Sprintf("proxied: %t", r.Proxied))
		}
		all = append(all, flow(fields))
	}
	if len(all) > 0 {
		parts = append(parts, "records: ["+strings.Join(all, ", ")+"]")
	}
	d.add("dns", flow(parts))
	if len(all) > 0 {
		d.note("Written out as they are: a site's own record would be another one.")
	}
}

// env writes the export's variables that the site does not have. What it has stays, sealed,
// without being mentioned.
func (d *Draft) env(m Match, e *Entry) {
	var has []string
	if s := m.site(); s != nil {
		has = s.Variables
	}
	var parts, notes, kept []string
	least := ""
	if m.needsSecret() && m.Data.State == Matched {
		parts = append(parts, databaseURL+": {secret: database-url}")
		least = flow(parts)
		notes = append(notes, "As the site has it, which is not what "+m.Data.Provider+" tells of the database: `reconciler secret set database-url --client "+m.Name+"`.")
	}
	if m.Data.State == None && m.site() != nil { // templates take it from the client's database
		parts = append(parts, databaseURL+": {none: true}")
		least = flow(parts)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Environment)) {
		value := e.Environment[name]
		switch {
		case !manifest.IsVariable(name):
			notes = append(notes, clip("The export's variable "+clean(name)+" is left out: that is no name of one."))
		case slices.Contains(has, name) || name == databaseURL:
			kept = append(kept, name)
		case manifest.Delicate(name, value) || clip(value) != value:
			secret := slug(strings.ReplaceAll(name, "_", "-"))
			if secret == "" {
				continue
			}
			parts = append(parts, name+": {secret: "+secret+"}")
			notes = append(notes, "`reconciler secret set "+secret+" --client "+m.Name+"` before the plan can be had: the export's "+name+" may be a secret, and is not written here.")
		default:
			parts = append(parts, name+": "+quote(value))
		}
	}
	if len(kept) > 0 {
		notes = append(notes, clip("Of the export's variables the site has these, and keeps what they say there: "+strings.Join(kept, ", ")+"."))
	}
	switch {
	case len(parts) > 0:
		d.lines = append(d.lines, line{field: "env", text: flow(parts), notes: notes, spare: least != flow(parts), least: least})
	case len(notes) > 0:
		d.lines = append(d.lines, line{notes: notes})
	}
}

func (d *Draft) adopt(m Match) {
	var parts, notes []string
	tell := func(what string, f Finding) {
		for _, n := range f.Notes {
			notes = append(notes, clip(what+": "+n))
		}
		for _, c := range f.Candid {
			notes = append(notes, clip(what+" may be: "+c))
		}
	}
	tell("site", m.Site)
	switch {
	case m.Site.State == Matched:
		parts = append(parts, "site: {id: "+quote(m.Site.ID)+"}")
	case m.Site.State == Ambiguous:
		parts = append(parts, "site: {id: "+unsettled(m)+"}")
	case m.exported && idShape.MatchString(m.entry.SiteID):
		parts = append(parts, "site: {id: "+quote(m.entry.SiteID)+"}")
	}
	tell("database", m.Data)
	switch m.Data.State {
	case Matched:
		parts = append(parts, "database: {id: "+quote(m.Data.ID)+"}")
	case Ambiguous:
		parts = append(parts, "database: {id: "+unsettled(m)+"}")
	}
	tell("records", m.DNS)
	if m.dns.adopt != "" {
		parts = append(parts, "record: {id: "+quote(m.dns.adopt)+"}")
	}
	tell("payments", m.Money)
	switch m.Money.State {
	case Matched:
		parts = append(parts, "payments: {account: "+quote(m.Money.ID)+"}")
	case Ambiguous:
		parts = append(parts, "payments: {account: "+unsettled(m)+"}")
	}
	if len(parts) == 0 {
		d.lines = append(d.lines, line{notes: notes})
		return
	}
	d.add("adopt", flow(parts))
	d.note(notes...)
}

// Bytes are the file.
func (d *Draft) Bytes() []byte {
	data, _ := d.print()
	return data
}

// print returns the file, and which of its lines (from 1) is which field.
func (d *Draft) print() ([]byte, map[int]int) {
	var b bytes.Buffer
	at, fields := 1, map[int]int{}
	put := func(text string) {
		b.WriteString(text + "\n")
		at++
	}
	put("# yaml-language-server: $schema=https://raw.githubusercontent.com/compassdigital/reconciler/v1/schemas/client.v1.schema.json")
	for _, h := range d.head {
		put("# " + clip(h))
	}
	for i, l := range d.lines {
		for _, n := range l.notes {
			put("# " + clip(n))
		}
		if l.field != "" {
			fields[at] = i
			put(l.field + ": " + l.text)
		}
	}
	return b.Bytes(), fields
}

var plainShape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/-]*$`)

// scalarYAML is a text as YAML reads it back.
func scalarYAML(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		return quote(text)
	}
	if plainShape.MatchString(text) {
		return text
	}
	return quote(text)
}

// quote is a text in double quotes: what JSON writes is YAML, too.
func quote(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text can be written
	return strings.TrimSuffix(b.String(), "\n")
}

func flow(parts []string) string { return "{" + strings.Join(parts, ", ") + "}" }

func words1(all []string) string {
	out := make([]string, len(all))
	for i, w := range all {
		out[i] = scalarYAML(w)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// secretIn says that something in a tree of settings looks like a secret, or lies below a name that
// secrets have: under is the names above it.
func secretIn(v any, under ...string) bool {
	delicate := func(text string) bool {
		return manifest.Delicate("", text) || slices.ContainsFunc(under, func(name string) bool { return manifest.Delicate(name, text) })
	}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if manifest.Delicate("", k) || secretIn(x, append(slices.Clip(under), k)...) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return secretIn(x, under...) })
	case string:
		return delicate(v)
	case json.Number:
		return delicate(v.String())
	}
	return false
}

// passwordWord is what stands beside a password that somebody wrote down.
var passwordWord = regexp.MustCompile(`(?i)passw|pass ?phrase|passcode|kennwort|\bpwd?\b|\bpass\b|\bpin\b|token|secret|api.?key|credential|zugangsdaten|mot de passe|contrase|wachtwoord`)

// confides says that a note may hold a secret.
func confides(note string) bool {
	return passwordWord.MatchString(note) || manifest.Delicate("", note) || slices.ContainsFunc(strings.Fields(note), func(w string) bool { return manifest.Delicate("", w) })
}
